import { afterEach, expect, test } from "vitest";
import WebSocket from "ws";
import { connect } from "../../../ui/client/client.ts";
import type { ToPage, ToWorker } from "../../../ui/client/messages.ts";
import { Session, type SocketConstructor } from "../../../ui/client/session.ts";
import type { Client, Frame, RowsFrame, TraceFrame } from "../../../ui/client/types.ts";
import { curve, image, label, scalar, type Schema } from "../../../runtime/index.ts";
import { websocket } from "../../../sinks/websocket.ts";
import { FakeRun } from "../../helpers/fake-run.ts";

const Socket = WebSocket as unknown as SocketConstructor;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(
  run: FakeRun,
  port = 0,
  token = "",
): Promise<{ url: string; port: number; close: () => Promise<void> }> {
  const sink = await websocket.open({ port, host: "127.0.0.1", token, origins: [] }, run);
  closers.push(() => sink.close());
  const address = new URL(sink.says!.split(" ")[0]!);
  return { url: `ws://${address.host}/`, port: Number(address.port), close: () => sink.close() };
}

/** A client whose session runs at the other end of a real message port, as in a worker. */
function open(url: string, token = ""): Client {
  const { port1, port2 } = new MessageChannel();
  const session = new Session((message, transfer) => port2.postMessage(message, transfer), Socket);
  port2.addEventListener("message", (event) => session.take((event as MessageEvent<ToWorker>).data));
  port2.start();
  const client = connect(url, { token, port: port1 as never });
  closers.push(() => {
    session.take({ say: "close" });
    client.close();
    port1.close();
    port2.close();
  });
  return client;
}

function until(client: Client, fits: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!fits()) return;
      stop();
      resolve();
    };
    const stop = client.onChange(check);
    check();
  });
}

/** Collects frames, and resolves when what came is enough. */
function collect(client: Client, request: Parameters<Client["subscribe"]>[0]) {
  const frames: Frame[] = [];
  let check = (): void => {};
  const subscription = client.subscribe(request, (frame) => {
    frames.push(frame);
    check();
  });
  const enough = (fits: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      check = () => fits() && resolve();
      check();
    });
  return { frames, subscription, until: enough };
}

const schema: Schema = { fields: { v: scalar("V") }, metadata: { sample: "7" } };
const START_ms = 1_790_000_000_000;
/** Rows from … to, one a ms, whose value is their number. */
const rows = (from: number, to: number) => ({
  time: BigInt64Array.from({ length: to - from }, (_, i) => BigInt(START_ms + from + i) * 1_000_000n),
  v: Float64Array.from({ length: to - from }, (_, i) => from + i),
});
const rowFrames = (frames: Frame[]): RowsFrame[] => frames.filter((frame) => frame.kind === "rows");
const values = (frames: Frame[]): number[] =>
  rowFrames(frames).flatMap(({ columns }) => [...(columns["v"] as Float64Array)]);
const live = { from: 0, to: "live" } as const;

test("a page learns of the run, its streams and how they are", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  expect(client.connection).toEqual({ state: "connecting", attempt: 1 });
  run.open("cycler.echem", schema);
  run.append("cycler.echem", rows(0, 3));
  await until(client, () => client.catalogue.get("cycler.echem")?.rows === 3);
  expect(client.connection).toMatchObject({ state: "open", mode: "simulated", speed: 60 });
  expect(client.manifest["name"]).toBe("fake");
  expect(client.catalogue.get("cycler.echem")).toMatchObject({
    schema,
    epoch: 0,
    firstTime: START_ms,
    lastTime: START_ms + 2,
  });
  await until(client, () => client.health.length === 1);
  await until(client, () => client.connection.state === "open" && client.connection.latency_ms >= 0);
});

test("rows of every kind come as typed arrays of the right length", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  const all: Schema = {
    fields: {
      data: image("1", { shape: [1, 3], type: "u16" }),
      force: curve("N"),
      name: label(),
      n: scalar("1", { type: "f32" }),
    },
    metadata: {},
  };
  run.open("s", all);
  run.append("s", {
    time: rows(0, 1).time, data: Uint16Array.of(1, 2, 3), name: ["ü"], n: Float32Array.of(0.5),
    force: { values: Float64Array.of(7, 8), offsets: Int32Array.of(0, 2) },
  }); // prettier-ignore
  const got = collect(client, { stream: "s", ...live });
  await got.until(() => got.frames.length === 1);
  expect(got.frames[0]).toEqual({
    kind: "rows", epoch: 0, row: 0, dropped: 0, schema: all, time: Float64Array.of(START_ms), time_ns: rows(0, 1).time,
    columns: {
      data: Uint16Array.of(1, 2, 3), name: ["ü"], n: Float32Array.of(0.5),
      force: { values: Float64Array.of(7, 8), offsets: Int32Array.of(0, 2) },
    },
  }); // prettier-ignore
});

test("a trace is one whole, then goes on; a spike is in its max", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  run.open("s", schema);
  run.append("s", rows(0, 100));
  const got = collect(client, { stream: "s", columns: ["v"], from: -100, to: "live", maxPoints: 101 });
  const drawn = new Map<number, number>();
  let newest: number | undefined;
  const draw = (): number => {
    for (const frame of got.frames.splice(0) as TraceFrame[]) {
      newest = frame.lastTime;
      if (frame.reset) drawn.clear();
      frame.time.forEach((time, i) => {
        if (frame.columns["v"]!.count[i]! > 0) drawn.set(time, frame.columns["v"]!.max[i]!);
      });
    }
    return drawn.size;
  };
  await got.until(() => draw() === 100);
  run.append("s", {
    time: BigInt64Array.of(BigInt(START_ms + 100) * 1_000_000n + 250_000n),
    v: Float64Array.of(1e9),
  });
  await got.until(() => draw() === 101);
  // Not where the bucket ends: when the row was measured.
  expect(newest).toBe(START_ms + 100.25);
  expect(drawn.get(START_ms + 100.5)).toBe(1e9);
  expect(drawn.get(START_ms + 42.5)).toBe(42);
});

test("a zoom is another request; what was still on its way for the old one goes nowhere", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  run.open("s", schema);
  run.append("s", rows(0, 1000));
  const got = collect(client, { stream: "s", ...live, maxPoints: 100 });
  got.subscription.change({ stream: "s", from: START_ms + 500, to: START_ms + 510, maxPoints: 11 });
  await got.until(() => got.frames.length > 0);
  const [frame] = got.frames as TraceFrame[];
  expect([...frame!.columns["v"]!.min]).toEqual([500, 501, 502, 503, 504, 505, 506, 507, 508, 509]);
  expect(got.frames.length).toBe(1);
});

test("when the server is lost the page hears of it, and lossless rows go on without gap once it is back", async () => {
  const run = new FakeRun();
  const first = await serve(run);
  const client = open(first.url);
  run.open("s", schema);
  run.append("s", rows(0, 10));
  const got = collect(client, { stream: "s", ...live, lossless: true });
  const trace = collect(client, { stream: "s", ...live, maxPoints: 50 });
  await got.until(() => values(got.frames).length === 10);
  await first.close();
  await until(client, () => client.connection.state === "lost");
  expect(client.connection).toMatchObject({ state: "lost", recording: true, reason: "the server ends" });
  run.append("s", rows(10, 20));
  trace.frames.length = 0;
  await serve(run, first.port);
  await until(client, () => client.connection.state === "open");
  await got.until(() => values(got.frames).length === 20);
  expect(values(got.frames)).toEqual(rows(0, 20).v.reduce<number[]>((all, v) => [...all, v], []));
  await trace.until(() => trace.frames.length > 0);
  expect((trace.frames[0] as TraceFrame).reset).toBe(true);
});

test("when another run answers in its place, that is said, and it begins anew", async () => {
  const run = new FakeRun();
  const first = await serve(run);
  const client = open(first.url);
  run.open("s", schema);
  run.append("s", rows(0, 10));
  const got = collect(client, { stream: "s", ...live, lossless: true });
  await got.until(() => values(got.frames).length === 10);
  await first.close();
  const another = new FakeRun({ manifest: { name: "another" } });
  another.open("s", schema);
  another.append("s", rows(500, 503));
  await serve(another, first.port);
  await got.until(() => values(got.frames).length === 13);
  expect(got.frames.slice(1)).toMatchObject([
    { kind: "gap", reason: "the server has begun another run" },
    { row: 0 },
  ]);
});

test("a wrong token is refused for good, with the reason", async () => {
  const client = open((await serve(new FakeRun(), 0, "right")).url, "wrong");
  await until(client, () => client.connection.state === "refused");
  expect(client.connection).toEqual({ state: "refused", reason: "the token is wrong" });
});

test("a mistake in a request comes as a gap with a reason", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  run.open("s", schema);
  const got = collect(client, { stream: "s", columns: ["w"], ...live });
  await got.until(() => got.frames.length > 0);
  expect(got.frames).toEqual([{ kind: "gap", reason: "there is no column w; there are v" }]);
});

test("what was asked for up to a time ends in done, also where there is nothing, and after a mistake", async () => {
  const run = new FakeRun();
  const client = open((await serve(run)).url);
  run.open("s", schema);
  run.append("s", rows(0, 10));
  const ask = async (request: object): Promise<string[]> => {
    const got = collect(client, { stream: "s", from: START_ms + 2, to: START_ms + 5, ...request });
    await got.until(() => got.frames.some(({ kind }) => kind === "done"));
    return got.frames.map((frame) => (frame.kind === "rows" ? values([frame]).join() : frame.kind));
  };
  expect(await ask({ lossless: true })).toEqual(["2,3,4", "done"]);
  expect(await ask({})).toEqual(["4", "done"]);
  expect(await ask({ from: 0, to: 1000, lossless: true })).toEqual(["done"]);
  expect(await ask({ columns: ["w"], lossless: true })).toEqual(["gap", "done"]);
});

test("a page that takes nothing holds a bounded queue, and gets every row and the newest image when it goes on", async () => {
  const run = new FakeRun();
  const { url } = await serve(run);
  run.open("s", schema);
  run.open("i", schema);
  const posted: ToPage[] = [];
  const taken: number[] = [];
  const newest: RowsFrame[] = [];
  let answer = false;
  let wake = (): void => {};
  const session = new Session((message) => {
    posted.push(message);
    if (message.say === "frame") {
      if (message.id === 1) taken.push(...values([message.frame]));
      else newest.push(message.frame as RowsFrame);
      if (answer) queueMicrotask(() => session.take({ say: "received", id: message.id }));
    }
    wake();
  }, Socket);
  closers.push(() => session.take({ say: "close" }));
  const wait = (fits: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      wake = () => fits() && resolve();
      wake();
    });
  session.take({ say: "connect", url, token: "" });
  session.take({ say: "subscribe", id: 1, request: { stream: "s", ...live, lossless: true } });
  session.take({ say: "subscribe", id: 2, request: { stream: "i", ...live } });
  run.append("s", rows(0, 1));
  run.append("i", rows(0, 1));
  await wait(() => taken.length === 1 && newest.length === 1);
  const N = 600;
  for (let n = 1; n < N; n++) run.append("s", rows(n, n + 1));
  run.append("i", rows(1, 4));
  // Twice the health: what was appended before has been sent by then.
  const health = (): number => posted.filter(({ say }) => say === "health").length;
  const heard = health();
  await wait(() => health() >= heard + 2);
  expect(taken.length).toBe(1);
  answer = true;
  session.take({ say: "received", id: 1 });
  session.take({ say: "received", id: 2 });
  await wait(() => taken.length >= N && newest.length >= 2);
  expect(taken).toEqual(Array.from({ length: N }, (_, i) => i));
  expect(newest[1]).toMatchObject({ row: 3, dropped: 2 });
});

test("a change is made at the server, which says from when it holds or why not; a lost connection answers too", async () => {
  const run = new FakeRun();
  const done: unknown[] = [];
  const refuse = run.act.bind(run);
  Object.assign(run, {
    act(node: string, changes: Readonly<Record<string, unknown>>) {
      if (node !== "slices") return refuse(node);
      done.push(changes);
      return { time: BigInt(START_ms) * 1_000_000n, node, changes, by: "" };
    },
    changeable: () => [{ node: "slices", use: "tomography/incremental", options: [] }],
  });
  const server = await serve(run);
  const client = open(server.url);
  expect(await client.act("slices", { filter: "hann" })).toEqual({
    refused: "there is no connection; nothing was changed",
  });
  await until(client, () => client.nodes.length > 0);
  expect(client.nodes[0]!.node).toBe("slices");
  expect(await client.act("slices", { filter: "hann", axis: null })).toEqual({ time: START_ms });
  expect(done).toEqual([{ filter: "hann", axis: null }]);
  expect(await client.act("nobody", {})).toEqual({ refused: expect.stringContaining("nobody") });
});
