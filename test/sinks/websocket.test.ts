import fc from "fast-check";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { code, image, label, scalar, type Fields, type Schema } from "../../runtime/index.ts";
import { decodeBlock } from "../../runtime/wire/buckets.ts";
import {
  KIND,
  type Catalogue,
  type EpochMessage,
  type Gap,
  type Welcome,
} from "../../runtime/wire/protocol.ts";
import { websocket } from "../../sinks/websocket.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import {
  connectWire,
  isKind,
  rowsOf,
  said,
  traceOf,
  type WireClient,
  type WireClientOptions,
} from "../helpers/wire-client.ts";

const config = { port: 0, host: "127.0.0.1", token: "", origins: [] as string[] };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(run: FakeRun, given: Partial<typeof config> = {}): Promise<string> {
  const sink = await websocket.open({ ...config, ...given }, run);
  closers.push(() => sink.close());
  return /^http:\/\/[^/]*/.exec(sink.says!)![0];
}

async function join(address: string, options?: WireClientOptions): Promise<WireClient> {
  const client = await connectWire(address, options);
  closers.push(() => client.end());
  if (options?.hello !== false) await client.until(isKind("health"));
  return client;
}

const schema = (fields: Fields = { v: scalar("V") }): Schema => ({ fields, metadata: {} });
/** Rows from … to of a stream whose value is its row number, one a µs. */
const rows = (from: number, to: number, start = 1_790_000_000_000_000_000n) => ({
  time: BigInt64Array.from({ length: to - from }, (_, i) => start + 1000n * BigInt(from + i)),
  v: Float64Array.from({ length: to - from }, (_, i) => from + i),
});
const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const live = { from: 0, to: "live" };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Resolves once the client has so many rows of a subscription. */
async function untilRows(client: WireClient, id: number, n: number): Promise<void> {
  await client.until(() => rowsOf(client, id, "v").values.length >= n);
}

describe("who comes in", () => {
  test("hello is answered with the run, its streams and their health", async () => {
    const run = new FakeRun();
    run.open("cycler.echem", schema());
    run.append("cycler.echem", rows(0, 3));
    const client = await join(await serve(run));
    expect(said<Welcome>(client.heard[0]!)).toMatchObject({
      version: 1, mode: { kind: "simulated", speed: 60 }, recording: true, manifest: { name: "fake" },
    }); // prettier-ignore
    expect(said<Catalogue>(client.heard[1]!)).toMatchObject({
      complete: true,
      streams: [{ stream: "cycler.echem", epoch: 0, rows: 3, lastTime: 1_790_000_000_000_002_000n, schema: { fields: { v: { unit: "V" } } } }],
    }); // prettier-ignore
    client.say({ verb: "ping", id: 9 });
    expect(said(await client.until(isKind("pong")))).toMatchObject({
      id: 9,
      received_ms: expect.any(Number),
    });
  });

  test.each([
    ["http://evil.example", "Unexpected server response: 403"],
    ["http://127.0.0.1:1", "Unexpected server response: 403"],
    ["null", "Unexpected server response: 403"],
  ])("a page of %s is refused", async (origin, words) => {
    await expect(connectWire(await serve(new FakeRun()), { origin })).rejects.toThrow(words);
  });

  test("the page that is served here may connect, by any name of this machine, and so may a named origin", async () => {
    const address = await serve(new FakeRun(), { origins: ["http://localhost:5173"] });
    await join(address, { origin: address });
    await join(address, { origin: address.replace("127.0.0.1", "localhost") });
    await join(address, { origin: "http://localhost:5173" });
  });

  test("without the sub-protocol there is no connection", async () => {
    const socket = new WebSocket((await serve(new FakeRun())).replace("http", "ws"));
    await expect(new Promise((_, reject) => socket.on("error", reject))).rejects.toThrow("400");
  });

  test.each([
    [{ token: "wrong" }, "the token is wrong"],
    [{}, "a token is needed"],
  ])("with %j the door stays shut", async (given, reason) => {
    const client = await join(await serve(new FakeRun(), { token: "right" }), { hello: false });
    client.say({ verb: "hello", version: 1, ...given });
    expect(await client.closed).toEqual({ code: 1008, reason });
    expect(client.heard.map(({ header }) => header.kind)).toEqual([KIND.error]);
  });

  test("with the token it opens", async () => {
    await join(await serve(new FakeRun(), { token: "right" }), { token: "right" });
  });

  test("who asks before hello is sent away, and so is who speaks another version", async () => {
    const address = await serve(new FakeRun());
    const hasty = await join(address, { hello: false });
    hasty.say({ verb: "subscribe", id: 1, stream: "s", ...live });
    expect(await hasty.closed).toEqual({ code: 1008, reason: "the first message must be hello" });
    const old = await join(address, { hello: false });
    old.say({ verb: "hello", version: 0 });
    expect((await old.closed).code).toBe(1002);
    expect(said(old.heard[0]!)["what"]).toMatch(/speaks version 1 of operando.v1, and the client version 0/);
  });

  test("a message beyond the limit closes the connection, nonsense is answered", async () => {
    const client = await join(await serve(new FakeRun()));
    client.say({ verb: "launch" });
    expect(said(await client.until(isKind("error")))["what"]).toMatch(/verb "launch" is not known/);
    client.socket.send(new Uint8Array(70_000));
    expect((await client.closed).code).toBe(1009);
  });

  test("other machines need a token, and a start without one says so", async () => {
    await expect(websocket.open({ ...config, host: "0.0.0.0" }, new FakeRun())).rejects.toThrow(
      /host 0\.0\.0\.0 can be reached by other machines, so a token is needed; give the sink a token, or leave host/,
    );
  });

  test("a port in use: the next free one is offered, not taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => other.close(() => resolve())));
    const { port } = other.address() as AddressInfo;
    await expect(websocket.open({ ...config, port }, new FakeRun())).rejects.toThrow(
      new RegExp(
        `port ${port} on 127\\.0\\.0\\.1 is in use by another program; (\\d+) is free: set port: \\1, or end that program`,
      ),
    );
  });
});

describe("every row", () => {
  test("history and live are one, without gap or overlap, however batches are cut", async () => {
    const plan = fc.record({
      before: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 }),
      after: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 }),
      cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      epochAt: fc.nat(20),
      turnAt: fc.array(fc.nat(20), { maxLength: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ before, after, cuts, epochAt, turnAt }) => {
        let cut = 0;
        const run = new FakeRun({ readRows: () => cuts[cut++ % cuts.length]! });
        const client = await join(await serve(run));
        const expected: string[] = [];
        let [n, epoch, row, step] = [0, -1, 0, 0];
        const append = (size: number): void => {
          if (epoch < 0 || step++ === epochAt) {
            run.open("s", schema());
            epoch++;
            row = 0;
          }
          for (let i = 0; i < size; i++) expected.push(`${epoch}:${row++}=${n + i}`);
          run.append("s", rows(n, n + size));
          n += size;
        };
        before.forEach(append);
        client.say({ verb: "subscribe", id: 1, stream: "s", lossless: true, ...live });
        for (const [i, size] of after.entries()) {
          if (turnAt.includes(i)) await turn();
          append(size);
        }
        if (n > 0) await untilRows(client, 1, n);
        const got = rowsOf(client, 1, "v");
        expect(got.values.map((value, i) => `${got.epochs[i]}:${got.rows[i]}=${value}`)).toEqual(expected);
        expect(client.of(1, "gap", "error")).toEqual([]);
        await client.end();
      }),
      { numRuns: 40 },
    );
  });

  test("after a lost connection it goes on after the last row, wherever it was cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
        async (cuts) => {
          const run = new FakeRun({ readRows: () => 7 });
          const address = await serve(run);
          run.open("s", schema());
          const got: number[] = [];
          let [n, after]: [number, { epoch: number; row: number } | undefined] = [0, undefined];
          for (const cut of [...cuts, 0]) {
            const client = await join(address);
            client.say({
              verb: "subscribe",
              id: 1,
              stream: "s",
              lossless: true,
              ...live,
              ...(after && { after }),
            });
            for (let i = 0; i < 4; i++, n += 10) run.append("s", rows(n, n + 10));
            await untilRows(client, 1, cut === 0 ? n - got.length : Math.min(cut, n - got.length));
            await client.end();
            // What is decoded counts as got; what was still on its way comes again.
            const { values, rows: numbers, epochs } = rowsOf(client, 1, "v");
            got.push(...values);
            after = { epoch: epochs.at(-1)!, row: numbers.at(-1)! };
            run.append("s", rows(n, n + 10));
            n += 10;
          }
          expect(got).toEqual(count(got.length));
          expect(got.length).toBeGreaterThanOrEqual(n - 10);
        },
      ),
      { numRuns: 15 },
    );
  });

  test("a span of the past is answered and done; negative from counts back from the newest", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema());
    run.append("s", rows(0, 10, 0n));
    run.append("s", rows(10, 20, 0n));
    client.say({ verb: "subscribe", id: 1, stream: "s", lossless: true, from: 3000, to: 15_000 });
    await client.until(isKind("done", 1));
    expect(rowsOf(client, 1, "v").values).toEqual(count(15).slice(3));
    client.say({ verb: "subscribe", id: 2, stream: "s", lossless: true, from: -2000, to: "live" });
    await untilRows(client, 2, 3);
    expect(rowsOf(client, 2, "v").rows).toEqual([17, 18, 19]);
  });

  test("a span that ends in the future is done when the stream has passed it", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema());
    run.append("s", rows(0, 2, 0n));
    client.say({ verb: "subscribe", id: 1, stream: "s", lossless: true, from: 0, to: 5000 });
    await untilRows(client, 1, 2);
    expect(client.of(1, "done")).toEqual([]);
    run.append("s", rows(2, 4, 0n));
    run.beat("s", 6000n);
    await client.until(isKind("done", 1));
    expect(rowsOf(client, 1, "v").values).toEqual([0, 1, 2, 3]);
  });

  test("rows that are nowhere any more are told of as a gap, and the rest follows", async () => {
    const run = new FakeRun({ ringBytes: 16 * 20 });
    const client = await join(await serve(run));
    run.open("s", schema());
    for (let n = 0; n < 100; n += 10) run.append("s", rows(n, n + 10));
    client.say({
      verb: "subscribe",
      id: 1,
      stream: "s",
      lossless: true,
      ...live,
      after: { epoch: 0, row: 9 },
    });
    expect(said<Gap>(await client.until(isKind("gap", 1)))).toEqual({
      reason: "rows 10 to 79 have left memory and were not recorded", epoch: 0, from: 10, to: 80,
    }); // prettier-ignore
    await untilRows(client, 1, 20);
    expect(rowsOf(client, 1, "v").rows).toEqual(count(100).slice(80));
  });

  test("a position that this run does not have is answered with the reason, and all rows", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema());
    run.append("s", rows(0, 5));
    for (const [id, after] of [
      [1, { epoch: 3, row: 0 }],
      [2, { epoch: 0, row: 5 }],
    ] as const) {
      client.say({ verb: "subscribe", id, stream: "s", lossless: true, ...live, after });
      expect(said<Gap>(await client.until(isKind("gap", id))).reason).toMatch(
        /is not known here.*begins anew/,
      );
      await untilRows(client, id, 5);
    }
  });

  test("one may ask for a stream before there is one", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    client.say({ verb: "subscribe", id: 1, stream: "s", lossless: true, ...live });
    client.say({ verb: "subscribe", id: 2, stream: "s", ...live });
    client.say({ verb: "subscribe", id: 3, stream: "s", ...live, maxPoints: 100 });
    client.say({ verb: "ping", id: 1 });
    await client.until(isKind("pong"));
    run.open("s", schema());
    expect(
      said<Catalogue>(
        await client.until((one) => isKind("catalogue")(one) && !said<Catalogue>(one).complete),
      ),
    ).toMatchObject({
      streams: [{ stream: "s", epoch: 0 }],
    });
    run.append("s", rows(0, 5));
    await untilRows(client, 1, 5);
    await untilRows(client, 2, 1);
    await client.until(() => [...traceOf(client, 3).count.values()].reduce((a, b) => a + b, 0) === 5);
    expect(rowsOf(client, 2, "v").rows).toEqual([4]);
  });

  test("a column that is not there is answered with those that are", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema({ v: scalar("V"), name: label() }));
    run.append("s", { ...rows(0, 1), name: ["x"] });
    for (const [id, rest] of [
      [1, { lossless: true }],
      [2, {}],
      [3, { maxPoints: 10 }],
    ] as const) {
      client.say({ verb: "subscribe", id, stream: "s", ...live, columns: ["w"], ...rest });
      expect(said(await client.until(isKind("error", id)))["what"]).toBe(
        "there is no column w; there are v, name",
      );
    }
    client.say({ verb: "subscribe", id: 4, stream: "s", ...live, columns: ["name"], maxPoints: 10 });
    expect(said(await client.until(isKind("error", 4)))["what"]).toBe(
      "name is label; only scalars and codes have min and max",
    );
    client.say({ verb: "subscribe", id: 5, stream: "s", ...live, columns: ["name"], lossless: true });
    const { schema: sent } = said<EpochMessage>(await client.until(isKind("epoch", 5)));
    expect(Object.keys(sent.fields)).toEqual(["name"]);
    client.say({ verb: "subscribe", id: 5, stream: "s", ...live });
    expect(said(await client.until(isKind("error", 5)))["what"]).toMatch(/subscription 5 is open already/);
  });
});

describe("the newest row", () => {
  const frames = (n: number, size: number, start = 0) => ({
    time: BigInt64Array.from({ length: n }, (_, i) => BigInt(start + i) * 1_000_000n),
    data: new Float32Array(n * size).map((_, i) => start + Math.floor(i / size)),
    v: Float64Array.from({ length: n }, (_, i) => start + i),
  });
  const imageSchema = (size: number): Schema =>
    schema({ data: image("1", { shape: [1, size] }), v: scalar("1") });

  test("the newest of several is sent, the others are counted", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("i", imageSchema(4));
    run.append("i", frames(3, 4));
    client.say({ verb: "subscribe", id: 1, stream: "i", ...live });
    await untilRows(client, 1, 1);
    run.append("i", frames(5, 4, 3));
    run.append("i", frames(2, 4, 8));
    await untilRows(client, 1, 2);
    expect(rowsOf(client, 1, "v").values).toEqual([2, 9]);
    expect(client.of(1, "rows").map(({ header }) => header.dropped)).toEqual([0, 6]);
  });

  test("of a span in the past it is the last before its end, in whatever epoch", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("i", imageSchema(4));
    run.append("i", frames(50, 4));
    run.open("i", imageSchema(9));
    run.append("i", frames(50, 9, 50));
    const ask = async (id: number, from: number, to: number): Promise<number[]> => {
      client.say({ verb: "subscribe", id, stream: "i", from: from * 1e6, to: to * 1e6 });
      await client.until(isKind("done", id));
      return rowsOf(client, id, "v").values;
    };
    expect(await ask(1, 0, 100)).toEqual([99]);
    expect(await ask(2, 0, 77.5)).toEqual([77]);
    expect(await ask(3, 0, 50)).toEqual([49]);
    expect(await ask(4, 0, 20)).toEqual([19]);
    expect(await ask(5, 0, 0)).toEqual([]);
    expect(await ask(6, 30, 40)).toEqual([39]);
    expect(await ask(7, 200, 300)).toEqual([]);
  });

  test("images of another size begin an epoch in the midst", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("i", imageSchema(4));
    run.append("i", frames(1, 4));
    client.say({ verb: "subscribe", id: 1, stream: "i", ...live });
    await untilRows(client, 1, 1);
    run.open("i", imageSchema(6));
    run.append("i", frames(1, 6, 1));
    await untilRows(client, 1, 2);
    expect(client.of(1, "epoch").map((one) => said<EpochMessage>(one).schema.fields["data"]!.shape)).toEqual([
      [1, 4],
      [1, 6],
    ]);
    expect(client.of(1, "rows").map(({ header }) => header.epoch)).toEqual([0, 1]);
  });

  test("a client that stops reading costs a bounded part, and then gets the newest with what it missed", async () => {
    const SIZE = 1 << 18; // 1 MiB
    const run = new FakeRun({ ringBytes: 1 << 22 });
    const address = await serve(run);
    const [fast, slow] = [await join(address), await join(address)];
    run.open("i", imageSchema(SIZE));
    run.open("t", schema());
    const ask = (client: WireClient): void => {
      client.say({ verb: "subscribe", id: 1, stream: "i", ...live });
      client.say({ verb: "subscribe", id: 2, stream: "t", ...live, maxPoints: 100 });
      client.say({ verb: "subscribe", id: 3, stream: "t", ...live, lossless: true });
    };
    ask(fast);
    ask(slow);
    run.append("i", frames(1, SIZE));
    run.append("t", rows(0, 1));
    await untilRows(slow, 1, 1);
    slow.socket.pause();
    for (let n = 1; n < 40; n++) {
      run.append("i", frames(1, SIZE, n));
      run.append("t", { ...rows(n, n + 1), v: Float64Array.of(n === 20 ? 1e6 : n) }); // a spike while nobody reads
      await fast.until(
        ({ header }) => header.kind === KIND.rows && header.subscription === 1 && header.row === BigInt(n),
      );
    }
    slow.socket.resume();
    await slow.until(
      ({ header }) => header.kind === KIND.rows && header.subscription === 1 && header.row === 39n,
    );
    const got = slow.of(1, "rows");
    const dropped = got.reduce((n, { header }) => n + header.dropped, 0);
    expect(got.length + dropped).toBe(40);
    expect(got.length).toBeLessThan(20); // what fits into the sockets of the system, and one more
    expect(fast.of(1, "rows").length).toBe(40);
    await untilRows(slow, 3, 40);
    expect(rowsOf(slow, 3, "v").rows).toEqual(count(40));
    await slow.until(() => [...traceOf(slow, 2).count.values()].reduce((a, b) => a + b, 0) === 40);
    expect(Math.max(...traceOf(slow, 2).max.values())).toBe(1e6);
    // Whoever comes now is told how many rows views have left out.
    const later = await join(address);
    const { streams } = said<{ streams: { stream: string; drops: number }[] }>(
      await later.until(isKind("health")),
    );
    expect(Object.fromEntries(streams.map(({ stream, drops }) => [stream, drops]))).toMatchObject({
      i: dropped,
      t: 0,
    });
  });

  test("a client that does not even take what must not be lost is sent away; the others stay", async () => {
    const run = new FakeRun();
    const address = await serve(run);
    const [fast, slow] = [await join(address), await join(address)];
    slow.socket.pause();
    const metadata = { note: "x".repeat(200_000) };
    for (let n = 0; n < 120; n++) {
      run.open("s", { fields: { v: scalar("V") }, metadata });
      await fast.until((one) => isKind("catalogue")(one) && said<Catalogue>(one).streams[0]?.epoch === n);
    }
    slow.socket.resume();
    expect(await slow.closed).toEqual({ code: 1013, reason: expect.stringMatching(/^too slow/) });
    fast.say({ verb: "ping", id: 1 });
    await fast.until(isKind("pong"));
  });
});

describe("traces", () => {
  const bucketsOf = (values: Map<bigint, number[]>): Map<bigint, [number, number, number]> =>
    new Map([...values].map(([k, v]) => [k, [Math.min(...v), Math.max(...v), v.length]]));

  test("history and live fall into the same buckets, whenever one asks and however rows are cut", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
    const steps = fc.array(fc.integer({ min: 1, max: 90_000_000 }), { minLength: 1, maxLength: 7 });
    const from = fc.constantFrom(0, -1_000_000_000, -50_000_000);
    await fc.assert(
      fc.asyncProperty(sizes, sizes, steps, from, fc.nat(10), async (before, after, gaps, start, epochAt) => {
        const run = new FakeRun({ readRows: () => 3 });
        const client = await join(await serve(run));
        const truth: [bigint, number][] = [];
        let [time, step] = [1_790_000_000_000_000_000n, 0];
        run.open("s", schema());
        const append = (size: number): void => {
          if (step++ === epochAt) run.open("s", schema());
          const columns = { time: new BigInt64Array(size), v: new Float64Array(size) };
          for (let i = 0; i < size; i++, time += BigInt(gaps[truth.length % gaps.length]!)) {
            columns.time[i] = time;
            columns.v[i] = Math.sin(truth.length) * truth.length;
            truth.push([time, columns.v[i]!]);
          }
          run.append("s", columns);
        };
        before.forEach(append);
        client.say({ verb: "subscribe", id: 1, stream: "s", from: start, to: "live", maxPoints: 50 });
        for (const [i, size] of after.entries()) {
          if (i % 2) await turn();
          append(size);
        }
        const expected = (): Map<bigint, number[]> => {
          const { width, count: counted } = traceOf(client, 1);
          const first = [...counted.keys()].reduce((a, b) => (a < b ? a : b));
          const buckets = new Map<bigint, number[]>();
          for (const [t, v] of truth)
            if (t / width >= first) buckets.set(t / width, [...(buckets.get(t / width) ?? []), v]);
          return buckets;
        };
        const got = (): Map<bigint, [number, number, number]> => {
          const { min, max, count: counted } = traceOf(client, 1);
          return new Map([...counted].map(([k, n]) => [k, [min.get(k)!, max.get(k)!, n]]));
        };
        await client.until(() => {
          const { width, count: counted } = traceOf(client, 1);
          return (
            counted.size > 0 &&
            counted.get(truth.at(-1)![0] / width) === expected().get(truth.at(-1)![0] / width)?.length
          );
        });
        // What has slid out of the span need not have been sent.
        const { width } = traceOf(client, 1);
        const least = start < 0 ? (truth.at(-1)![0] + BigInt(start)) / width + 1n : 0n;
        const wanted = (buckets: Map<bigint, unknown>) =>
          [...buckets].filter(([k]) => k >= least).toSorted(([a], [b]) => Number(a - b));
        expect(wanted(got())).toEqual(wanted(bucketsOf(expected())));
        if (start === 0) expect([...got().values()].reduce((n, [, , m]) => n + m, 0)).toBe(truth.length);
        for (const { header } of client.of(1, "minmax")) expect(header.dropped).toBe(0);
        await client.end();
      }),
      { numRuns: 40 },
    );
  });

  test("a zoom into the past is one block on the grid, and done", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema({ v: scalar("V"), step: code(), name: label() }));
    const more = { step: new Int32Array(1000).fill(3), name: Array.from({ length: 1000 }, () => "") };
    run.append("s", { ...rows(0, 1000, 0n), ...more });
    client.say({ verb: "subscribe", id: 1, stream: "s", from: 200_000, to: 300_000, maxPoints: 101 });
    await client.until(isKind("done", 1));
    const blocks = client.of(1, "minmax");
    expect(blocks.length).toBe(1);
    const { first, width, columns } = decodeBlock(blocks[0]!.body);
    expect([first, width, columns.length]).toEqual([200n, 1000n, 2]);
    expect([...columns[0]!.max]).toEqual(count(300).slice(200));
    expect(said<EpochMessage>(client.of(1, "epoch")[0]!).columns).toEqual(["v", "step"]);
  });

  test("a growing view is laid out anew before it has too many buckets", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema());
    run.append("s", rows(0, 1));
    client.say({ verb: "subscribe", id: 1, stream: "s", ...live, maxPoints: 20 });
    await client.until(isKind("minmax", 1));
    const second = (n: number) => ({
      time: BigInt64Array.of(1_790_000_000_000_000_000n + BigInt(n) * 10n ** 9n),
      v: Float64Array.of(n),
    });
    const total = (): number => [...traceOf(client, 1).count.values()].reduce((a, b) => a + b, 0);
    for (let n = 1; n <= 60; n += 15) {
      for (let i = n; i < n + 15; i++) run.append("s", second(i));
      await client.until(() => total() === n + 15);
    }
    expect(traceOf(client, 1).count.size).toBeLessThanOrEqual(22);
    expect(traceOf(client, 1).max.size).toBeGreaterThan(5);
  });

  test("columns that come with an epoch come into the trace", async () => {
    const run = new FakeRun();
    const client = await join(await serve(run));
    run.open("s", schema());
    run.append("s", rows(0, 5));
    client.say({ verb: "subscribe", id: 1, stream: "s", ...live, maxPoints: 20 });
    client.say({ verb: "subscribe", id: 2, stream: "s", ...live, columns: ["v"], maxPoints: 20 });
    await client.until(() => traceOf(client, 1).count.size > 0 && traceOf(client, 2).count.size > 0);
    run.open("s", schema({ v: scalar("V"), w: scalar("A") }));
    run.append("s", { ...rows(5, 8), w: Float64Array.of(7, 8, 9) });
    await client.until(
      () =>
        said<EpochMessage>(client.of(1, "epoch").at(-1)!).columns.length === 2 &&
        client.of(1, "minmax").at(-1)!.header.epoch === 1,
    );
    await client.until(() => Math.max(...traceOf(client, 1, 1).max.values()) === 9);
    expect([...traceOf(client, 1).count.values()].reduce((a, b) => a + b, 0)).toBe(8);
    await client.until(() => [...traceOf(client, 2).count.values()].reduce((a, b) => a + b, 0) === 8);
  });

  test("two clients of one view get the same bytes", async () => {
    const run = new FakeRun();
    const address = await serve(run);
    const clients = [await join(address), await join(address)];
    run.open("s", schema());
    run.append("s", rows(0, 5));
    for (const client of clients) {
      client.say({ verb: "subscribe", id: 1, stream: "s", from: -1_000_000, to: "live", maxPoints: 100 });
      await client.until(isKind("minmax", 1));
    }
    await turn();
    run.append("s", rows(5, 50));
    const full = (client: WireClient) => () =>
      [...traceOf(client, 1).count.values()].reduce((a, b) => a + b, 0) === 50;
    for (const client of clients) await client.until(full(client));
    expect(traceOf(clients[1]!, 1)).toEqual(traceOf(clients[0]!, 1));
  });
});
