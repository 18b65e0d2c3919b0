import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import fc from "fast-check";
import { connectAsync } from "mqtt";
import { pack } from "msgpackr";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Columns, Fault, Schema, SourceItem } from "../../../runtime/index.ts";
import { echemPush } from "../../../sources/echem/push.ts";
import { PushedRows } from "../../../sources/echem/pushed-rows.ts";

const utc = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n;
const NOW = utc("2026-11-23T10:00:00Z");
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const rowsIn = (item: SourceItem | undefined): Columns => item!.rows!["echem"] as Columns;

describe("what is sent", () => {
  test.each([
    ["a row", [{ time: "2026-11-23T09:00:00.5Z", voltage_volt: 3.5, current_ampere: 1 }], [3.5]],
    ["rows", [[{ time: 1795428000, voltage_volt: 3 }, { time: 1795428000.25, voltage_volt: 4 }]], [3, 4]],
    ["columns", [{ unix_time_second: [1795428000, 1795428001], voltage_volt: [1, 2] }], [1, 2]],
  ])("%s, as JSON and as MessagePack", (_, [said], volts) => {
    for (const [message, binary] of [[json(said), false], [pack(said), true]] as const) {
      const { item, rows, refused } = new PushedRows({}).take(message, binary, NOW);
      expect([rows, refused]).toEqual([volts.length, undefined]);
      expect([...(rowsIn(item)["voltage_volt"] as Float64Array)]).toEqual(volts);
    }
  }); // prettier-ignore

  test("times: a text with its zone, seconds since 1970, the test's, or when it came", () => {
    const timesOf = (...said: unknown[]): bigint[] => {
      const rows = new PushedRows({});
      return said.flatMap((one, i) => [...rowsIn(rows.take(json(one), false, NOW + BigInt(i)).item).time]);
    };
    expect(timesOf({ time: "2026-11-23T11:00:00.000000001+01:00" })).toEqual([NOW + 1n]);
    expect(timesOf({ time: 1795428000.5 })).toEqual([NOW + 500_000_000n]);
    expect(timesOf({ test_time_second: 10 }, { test_time_second: 12.5 })).toEqual([
      NOW,
      NOW + 2_500_000_000n,
    ]);
    expect(timesOf({ voltage_volt: 1 }, { voltage_volt: 1 })).toEqual([NOW, NOW + 1n]);
  });

  test("what is not said is NaN; a test time counts from the first row", () => {
    const rows = new PushedRows({});
    rows.take(json({ time: 1795428000, voltage_volt: 1 }), false, NOW);
    const { item } = rows.take(json({ time: 1795428002, current_ampere: null }), false, NOW);
    expect(rowsIn(item)).toMatchObject({ test_time_second: Float64Array.of(2), voltage_volt: Float64Array.of(NaN), current_ampere: Float64Array.of(NaN) }); // prettier-ignore
  });

  test("a further column begins a new epoch, with the unit that the pipeline file names", () => {
    const rows = new PushedRows({ pressure: "bar" });
    expect(rows.take(json({ voltage_volt: 1 }), false, NOW).item!.schema).toBeDefined();
    expect(rows.take(json({ voltage_volt: 1 }), false, NOW).item!.schema).toBeUndefined();
    const { item } = rows.take(json({ pressure: 1.5, cycle_count: 3 }), false, NOW);
    expect(item!.schema!["echem"]!.fields).toMatchObject({ pressure: { unit: "bar" }, cycle_count: { kind: "code" } }); // prettier-ignore
    expect(rowsIn(item)).toMatchObject({ pressure: Float64Array.of(1.5), cycle_count: Int32Array.of(3) });
  });

  test("what is sent twice is taken once, and what was left out is counted", () => {
    const rows = new PushedRows({});
    const send = (seq: number) =>
      rows.take(json({ from: "rig", seq, rows: { voltage_volt: seq } }), false, NOW);
    expect([send(1), send(2), send(2), send(1)].map(({ rows }) => rows)).toEqual([1, 1, 0, 0]);
    expect(send(5).item!.faults).toMatchObject([{ what: "rig left out 2 messages before its number 5", count: 2 }]); // prettier-ignore
    expect(rows.take(json({ from: "other", seq: 1, rows: { voltage_volt: 1 } }), false, NOW).rows).toBe(1);
  });

  test("of a column that every object has something by the name of", () => {
    const rows = new PushedRows({});
    const { item } = rows.take(json([{ constructor: 1 }, { voltage_volt: 3 }]), false, NOW);
    expect(item!.schema!["echem"]!.fields["constructor"]).toMatchObject({ kind: "scalar", unit: "" });
    expect((item!.rows!["echem"] as Columns)["constructor"]).toEqual(Float64Array.of(1, NaN));
  });

  test.each([
    ["not JSON", Buffer.from("{voltage"), /neither JSON nor MessagePack/],
    ["a number", json(7), /a message is a row, a list of rows, or their columns, not 7/],
    ["a text for a number", json({ voltage_volt: "3.7" }), /voltage_volt is a number, not "3\.7"/],
    ["a time without its zone", json({ time: "2026-11-23T10:00:00" }), /does not say its zone/],
    ["a time in ms", json({ time: 1795428000000 }), /is not in seconds since 1970/],
    ["columns of two lengths", json({ voltage_volt: [1, 2], current_ampere: [1] }), /columns have one length; these have 2, 1/],
    ["lists beside values", json({ voltage_volt: [1, 2], current_ampere: 1 }), /columns are lists, all of them/],
    ["a name of its own", json({ "U [V]": 1 }), /small letters, digits and _.*not "U \[V\]"/],
    ["rows that are none", json([1, 2]), /each row is an object of columns, not 1/],
    ["a number that counts nothing", json({ seq: 1.5, rows: [] }), /seq is a whole number, not 1\.5/],
  ])("%s is refused, and the next is taken", (_, message, says) => {
    const rows = new PushedRows({});
    const { refused, item } = rows.take(message, false, NOW);
    expect(refused).toMatch(says);
    expect(item!.faults![0]!.what).toMatch(says);
    expect(rows.take(json({ voltage_volt: 1 }), false, NOW).rows).toBe(1);
  }); // prettier-ignore

  test("whatever is sent: rows or a reason, nothing else", () => {
    const rows = new PushedRows({});
    fc.assert(
      fc.property(fc.oneof(fc.json().map((text) => Buffer.from(text)), fc.uint8Array({ maxLength: 60 })), fc.boolean(), (message, binary) => {
        const { item, refused, rows: n } = rows.take(message, binary, NOW);
        if (refused === undefined && item) for (const column of Object.values(rowsIn(item))) expect((column as Float64Array).length).toBe(n);
      }),
      { numRuns: Number(process.env["OPERANDO_TEST_MUTATIONS"] ?? 500), seed: 3 },
    );
  }); // prettier-ignore
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A source that is open, and what it gives as it comes. */
function opened(config: Partial<Parameters<typeof echemPush.open>[0]>) {
  const stop = new AbortController();
  const items: SourceItem[] = [];
  let wake = (): void => undefined;
  const context = { signal: stop.signal, now: () => NOW, timezone: "UTC", timezoneAssumed: false, directory: "." };
  const all = { port: 0, host: "127.0.0.1", token: "", broker: "", topic: "", units: {}, ...config };
  const ended = (async () => {
    for await (const item of echemPush.open(all, context) as AsyncIterable<SourceItem>) {
      items.push(item);
      wake();
    }
  })();
  return {
    items, ended, stop: () => stop.abort(),
    until: async (enough: () => boolean) => {
      while (!enough()) await Promise.race([new Promise<void>((resolve) => (wake = resolve)), ended.then(() => Promise.reject(new Error("ended")))]);
    },
    voltages: () => items.flatMap(({ rows }) => (rows ? [...((rows["echem"] as Columns)["voltage_volt"] as Float64Array)] : [])),
    faults: (): Fault[] => items.flatMap(({ faults }) => faults ?? []),
    schemas: (): Schema[] => items.flatMap(({ schema }) => (schema ? [schema["echem"]!] : [])),
  };
} // prettier-ignore

async function connected(url: string): Promise<WebSocket> {
  for (;;) {
    const socket = new WebSocket(url);
    const open = await new Promise<boolean>((resolve) => socket.once("open", () => resolve(true)).once("error", () => resolve(false))); // prettier-ignore
    if (open) return socket;
    await new Promise(setImmediate);
  }
}

describe("over a WebSocket", () => {
  test("each message is answered, and a slow reader makes the sender wait, with nothing lost", async () => {
    const port = await freePort();
    const source = opened({ port });
    const socket = await connected(`ws://127.0.0.1:${port}`);
    const answers: unknown[] = [];
    socket.on("message", (data: Buffer) => answers.push(JSON.parse(data.toString())));
    for (let seq = 1; seq <= 1000; seq++) socket.send(JSON.stringify({ seq, rows: { voltage_volt: seq } }));
    socket.send("what?");
    await source.until(() => source.faults().length === 1);
    expect(source.voltages()).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
    while (answers.length < 1001) await once(socket, "message");
    expect(answers[999]).toEqual({ rows: 1, seq: 1000 });
    expect(answers[1000]).toEqual({ error: expect.stringMatching(/neither JSON/) });
    socket.send(JSON.stringify({ end: true }));
    await source.ended;
  });

  test("who does not know the token is turned away", async () => {
    const port = await freePort();
    const source = opened({ port, token: "s3cret" });
    const stranger = await connected(`ws://127.0.0.1:${port}`);
    expect((await once(stranger, "close"))[0]).toBe(4401);
    const friend = await connected(`ws://127.0.0.1:${port}/?token=s3cret`);
    friend.send(JSON.stringify({ voltage_volt: 1 }));
    await source.until(() => source.voltages().length === 1);
    source.stop();
    await source.ended;
  });

  test("a run that ends lets go of the port", async () => {
    const port = await freePort();
    for (const _ of [1, 2]) {
      const source = opened({ port });
      await connected(`ws://127.0.0.1:${port}`);
      source.stop();
      await source.ended;
    }
  });
});

test.each([
  [{}, /give either port, to listen for WebSockets, or broker and topic/],
  [{ port: 8099, broker: "mqtt://127.0.0.1" }, /give either port/],
  [{ port: 8099, host: "0.0.0.0" }, /host 0\.0\.0\.0 can be reached by other machines, so a token is needed/],
  [{ broker: "mqtt://127.0.0.1:1" }, /broker needs a topic/],
  [{ broker: "mqtt://me:secret@127.0.0.1:1", topic: "a" }, /^mqtt:\/\/127\.0\.0\.1:1: no MQTT broker answers \(ECONNREFUSED\)/], // prettier-ignore
])("%j is refused with what to do", async (config, says) => {
  await expect(opened(config).ended).rejects.toThrow(says);
});

test("a port in use is told", async () => {
  const port = await freePort();
  const first = opened({ port });
  await connected(`ws://127.0.0.1:${port}`);
  await expect(opened({ port }).ended).rejects.toThrow(`port ${port} is in use; choose another`);
  first.stop();
  await first.ended;
});

const MOSQUITTO = "/usr/sbin/mosquitto";
describe.runIf(existsSync(MOSQUITTO) || process.env["CI"])("by way of a real broker", () => {
  let port = 0;
  let broker: ChildProcess;
  const start = async (): Promise<void> => {
    broker = spawn(MOSQUITTO, ["-p", String(port)], { stdio: "ignore" });
    for (let client; !client;) {
      client = await connectAsync(`mqtt://127.0.0.1:${port}`).catch(() => undefined);
      await client?.endAsync();
    }
  };
  beforeAll(async () => {
    port = await freePort();
    await start();
  });
  afterAll(async () => {
    broker.kill();
    await once(broker, "exit");
  });

  test("what is published arrives once, in order; also after the broker was away", async () => {
    const source = opened({ broker: `mqtt://127.0.0.1:${port}`, topic: "lab/+/echem" });
    const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 20 });
    let sent = 0;
    const publish = async (): Promise<void> => {
      sent++;
      await publisher.publishAsync("lab/cell7/echem", JSON.stringify({ seq: sent, rows: { voltage_volt: sent } }), { qos: 1 }); // prettier-ignore
    };
    // Until its subscription holds, what is published goes nowhere.
    while (source.items.length === 0) await publish();
    for (let i = 0; i < 200; i++) await publish();
    await source.until(() => source.voltages().at(-1) === sent);
    const got = source.voltages();
    expect(got).toEqual(got.map((_, i) => got[0]! + i));

    broker.kill();
    await once(broker, "exit");
    await start();
    await source.until(() => source.faults().some(({ what }) => /was away for/.test(what)));
    const before = source.items.length;
    while (source.items.length === before) await publish();
    await publisher.endAsync();
    source.stop();
    await source.ended;
  }, 30_000);
});
