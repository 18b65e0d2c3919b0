/**
 * Rows that are sent: a program beside the cycler pushes them over a WebSocket, or publishes them on an MQTT broker. What
 * they look like stands in pushed-rows.ts and docs/electrochemistry.md.
 *
 * Each WebSocket message is answered: {"rows": 3, "seq": 12}, or {"error": "…"}. It has been taken when it was answered. A reader
 * that cannot keep up stops the sender (TCP, MQTT's flow control): nothing is dropped.
 */
import { connectAsync, type MqttClient } from "mqtt";
import { WebSocketServer, type WebSocket } from "ws";
import {
  defineSource,
  integer,
  record,
  scalar,
  SourceError,
  text,
  type SourceContext,
  type SourceItem,
} from "../../runtime/index.ts";
import { Cadence } from "./cadence.ts";
import { PushedRows } from "./pushed-rows.ts";

const LARGEST_MESSAGE = 1 << 24;
/** Messages that wait to be taken; beyond them the sender waits. */
const MOST_WAITING = 64;
/** Beyond its usual interval a sender is late only after so long. */
const GRACE_s = 1;

export const echemPush = defineSource({
  name: "echem/push",
  doc: "Rows that a program sends, over a WebSocket or by way of an MQTT broker",
  output: { echem: { test_time_second: scalar("s"), voltage_volt: scalar("V"), current_ampere: scalar("A") } },
  config: {
    port: integer(0, { min: 0, max: 65535, doc: "listens here for WebSockets; 0: does not" }),
    host: text("127.0.0.1", { doc: "interface to listen on; other than loopback only with a token" }),
    token: text("", { doc: "what a sender must know: ws://host:port/?token=…" }),
    broker: text("", { doc: "an MQTT broker, such as mqtt://127.0.0.1:1883; name and password as mqtt://name:password@host" }),
    topic: text("", { doc: "what it publishes under, such as lab/cell7/echem; + and # stand for any" }),
    units: record({}, { doc: "of further columns, such as { pressure: bar }" }),
  },
  async *open({ port, host, token, broker, topic, units }, context) {
    if ((port > 0) === (broker !== ""))
      throw new SourceError("give either port, to listen for WebSockets, or broker and topic, to hear MQTT");
    const inbox = new Inbox(new PushedRows(units), context);
    const close = port > 0 ? await listen({ port, host, token }, inbox) : await subscribe({ broker, topic }, inbox);
    try {
      yield* inbox.items();
    } finally {
      await close();
    }
  },
}); // prettier-ignore

interface Waiting {
  readonly item: SourceItem;
  /** Its sender may send on. */
  readonly taken: () => void;
}

/** What came and was not handed on yet. */
class Inbox {
  readonly #rows: PushedRows;
  readonly #context: SourceContext;
  readonly #waiting: Waiting[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(rows: PushedRows, context: SourceContext) {
    this.#rows = rows;
    this.#context = context;
    context.signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  /** The answer for its sender, and when there is room again. */
  put(message: Uint8Array, isBinary: boolean): { answer: object; room: Promise<void> } {
    const { item, rows, refused, end, seq } = this.#rows.take(message, isBinary, this.#context.now());
    if (end) this.#ended = true;
    let room = Promise.resolve();
    if (item) {
      const full = this.#waiting.length >= MOST_WAITING;
      const taken = new Promise<void>((resolve) => this.#waiting.push({ item, taken: resolve }));
      if (full) room = taken;
    }
    this.#wake?.();
    return { answer: refused === undefined ? { rows, ...(seq !== undefined && { seq }) } : { error: refused }, room };
  }

  fault(what: string): void {
    this.#waiting.push({ item: { faults: [{ time: this.#context.now(), what }] }, taken: () => undefined });
    this.#wake?.();
  }

  async *items(): AsyncGenerator<SourceItem> {
    const cadence = new Cadence();
    while (!this.#context.signal.aborted) {
      const next = this.#waiting.shift();
      if (next) {
        next.taken();
        if (next.item.rows) cadence.came(performance.now() / 1000);
        const { interval_s } = cadence;
        yield { ...next.item, ...(Number.isFinite(interval_s) && { due_s: 1.5 * interval_s + GRACE_s }) };
      } else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
} // prettier-ignore

async function listen(
  { port, host, token }: { port: number; host: string; token: string },
  inbox: Inbox,
): Promise<() => Promise<void>> {
  if (!/^(127\.|localhost$|::1$)/.test(host) && token === "")
    throw new SourceError(
      `host ${host} can be reached by other machines, so a token is needed; give one, or leave host at 127.0.0.1`,
    );
  const server = new WebSocketServer({ port, host, maxPayload: LARGEST_MESSAGE });
  await new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", ({ code, message }: NodeJS.ErrnoException) =>
      reject(new SourceError(code === "EADDRINUSE" ? `port ${port} is in use; choose another` : message)),
    );
  });
  server.on("connection", (socket: WebSocket, { url = "" }) => {
    if (token !== "" && new URL(url, "ws://here").searchParams.get("token") !== token)
      return socket.close(4401, "a token is needed");
    socket.on("error", () => undefined); // closed with it; whoever sends connects again
    socket.on("message", (data: Buffer, isBinary) => {
      const { answer, room } = inbox.put(data, isBinary);
      socket.pause();
      void room.then(() => {
        socket.send(JSON.stringify(answer));
        socket.resume();
      });
    });
  });
  return () =>
    new Promise((resolve) => {
      for (const client of server.clients) client.terminate();
      server.close(() => resolve());
    });
}

async function subscribe(
  { broker, topic }: { broker: string; topic: string },
  inbox: Inbox,
): Promise<() => Promise<void>> {
  if (topic === "") throw new SourceError("broker needs a topic, such as lab/cell7/echem");
  let client: MqttClient;
  try {
    client = await connectAsync(broker, { reconnectPeriod: 1000, connectTimeout: 5000 }, false);
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException;
    throw new SourceError(`${withoutPassword(broker)}: no MQTT broker answers (${code ?? message})`, {
      cause,
    });
  }
  let lost = 0;
  client.on("close", () => void (lost ||= performance.now()));
  client.on("connect", () => {
    const away_s = ((performance.now() - lost) / 1000).toFixed(1);
    if (lost) inbox.fault(`${withoutPassword(broker)} was away for ${away_s} s; what was published meanwhile without a stored session is lost`); // prettier-ignore
    lost = 0;
  });
  client.on("error", () => undefined); // it connects again; the time without it is said then
  client.handleMessage = (packet, done) => {
    const payload = typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload;
    void inbox.put(payload, true).room.then(() => done());
  };
  await client.subscribeAsync(topic, { qos: 1 });
  return () => client.endAsync(true);
}

const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, "//");
