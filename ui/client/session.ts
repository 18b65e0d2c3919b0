/**
 * The worker's side of the client: one WebSocket that is made anew when it is lost, and the feeds that it serves.
 * After a lost connection all are taken up again.
 */
import {
  bodyOf, CLOSE, decodeHeader, KIND, pack, PROTOCOL_VERSION, SUB_PROTOCOL, unpack,
  type ActedMessage, type Catalogue, type ClientMessage, type Health, type Nodes, type Welcome, type WireError,
} from "../../runtime/wire/protocol.ts"; // prettier-ignore
import { positionIn, streamEntry, toMs } from "./decode.ts";
import { Feed } from "./feed.ts";
import type { Post, ToWorker } from "./messages.ts";
import type { Answer, Connection } from "./types.ts";

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;
/** The server speaks twice a second; after this silence the connection counts as lost… */
const SILENCE_MS = 2_000;
/** …and after this it is made anew. */
const DEAD_MS = 10_000;
const PING_INTERVAL_MS = 2_000;

export type SocketConstructor = new (url: string, protocol: string) => WebSocket;

export class Session {
  readonly #post: Post;
  readonly #Socket: SocketConstructor;
  /** By the page's number. */
  readonly #feeds = new Map<number, Feed>();
  /** By the number on the wire: a new one each time, so that what is still on its way for an old one goes nowhere. */
  readonly #asked = new Map<number, Feed>();
  #lastAsked = 0;
  /** Changes that wait for their answer. */
  readonly #acts = new Set<number>();
  #socket: WebSocket | undefined;
  #url = "";
  #token = "";
  #run: string | undefined;
  #welcome: Welcome | undefined;
  #attempt = 0;
  #everOpen = false;
  #connection: Connection = { state: "connecting", attempt: 1 };
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heard_ms = 0;
  #pings = new Map<number, number>();
  #pinged_ms = 0;
  #pingCount = 0;
  #latency_ms = NaN;
  #closed = false;
  #error = "";

  constructor(post: Post, Socket: SocketConstructor) {
    this.#post = post;
    this.#Socket = Socket;
  }

  take(message: ToWorker): void {
    switch (message.say) {
      case "connect":
        this.#url = message.url;
        this.#token = message.token;
        this.#watch ??= setInterval(() => this.#check(), 500);
        return this.#connect();
      case "subscribe": {
        const feed: Feed = new Feed(message.id, message.request, this.#post, {
          subscribe: (wish) => {
            const id = ++this.#lastAsked;
            this.#asked.set(id, feed);
            this.#send({ verb: "subscribe", id, ...wish });
          },
          unsubscribe: () => this.#unsubscribe(feed),
        });
        this.#feeds.set(message.id, feed);
        if (this.#welcome) feed.subscribe();
        return;
      }
      case "unsubscribe": {
        const feed = this.#feeds.get(message.id);
        this.#feeds.delete(message.id);
        if (feed) this.#unsubscribe(feed);
        return;
      }
      case "act": {
        const { id, node, changes } = message;
        if (!this.#welcome)
          return this.#answer(id, { refused: "there is no connection; nothing was changed" });
        this.#acts.add(id);
        return this.#send({ verb: "act", id, node, changes });
      }
      case "received":
        return this.#feeds.get(message.id)?.received();
      case "close":
        return this.#close();
    }
  }

  #answer(id: number, answer: Answer): void {
    this.#acts.delete(id);
    this.#post({ say: "answer", id, answer }, []);
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#feeds.clear();
    this.#socket?.close();
  }

  #unsubscribe(feed: Feed): void {
    for (const [id, asked] of this.#asked) {
      if (asked !== feed) continue;
      this.#asked.delete(id);
      this.#send({ verb: "unsubscribe", id });
    }
  }

  #send(message: ClientMessage): void {
    if (this.#welcome && this.#socket?.readyState === 1)
      this.#socket.send(pack(message) as Uint8Array<ArrayBuffer>);
  }

  #say(connection: Connection): void {
    this.#connection = connection;
    this.#post({ say: "connection", connection }, []);
  }

  #connect(): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#attempt++;
    if (!this.#everOpen) this.#say({ state: "connecting", attempt: this.#attempt });
    this.#error = "";
    const socket = new this.#Socket(this.#url, SUB_PROTOCOL);
    this.#socket = socket;
    this.#heard_ms = Date.now();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const hello: ClientMessage = {
        verb: "hello",
        version: PROTOCOL_VERSION,
        ...(this.#token && { token: this.#token }),
      };
      socket.send(pack(hello) as Uint8Array<ArrayBuffer>);
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      try {
        this.#hear(new Uint8Array(data as ArrayBuffer));
      } catch (error) {
        this.#error = `what the server sent cannot be read: ${(error as Error).message}`;
        socket.close();
      }
    };
    socket.onerror = () => {}; // it closes, and says no more
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason);
    };
  }

  #lost(code: number, reason: string): void {
    this.#socket = undefined;
    this.#pings.clear();
    for (const id of [...this.#acts])
      this.#answer(id, { refused: "the connection broke before an answer came; look whether it was done" });
    if (this.#closed) return;
    const why = this.#error || reason || (this.#everOpen ? "the connection broke" : "there is no answer");
    if (code === CLOSE.refused || code === CLOSE.protocol) {
      this.#welcome = undefined;
      return this.#say({ state: "refused", reason: why });
    }
    if (this.#everOpen) this.#sayLost(why);
    this.#welcome = undefined;
    const wait_ms = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#attempt, 10));
    // A little apart, so that not all pages come back at one moment.
    this.#retry = setTimeout(() => this.#connect(), wait_ms * (0.75 + 0.5 * Math.random()));
  }

  #sayLost(reason: string): void {
    if (this.#connection.state === "lost") return;
    this.#say({ state: "lost", since: this.#heard_ms, reason, recording: this.#welcome?.recording ?? false });
  }

  /** Silence is not always told: a cable is pulled, a lid is closed. */
  #check(): void {
    const now_ms = Date.now();
    const silence_ms = now_ms - this.#heard_ms;
    if (this.#socket && silence_ms > DEAD_MS) {
      const dead = this.#socket;
      this.#lost(1006, "the server is silent");
      dead.close();
    } else if (this.#welcome && silence_ms > SILENCE_MS) this.#sayLost("the server is silent");
    if (this.#welcome && now_ms - this.#pinged_ms >= PING_INTERVAL_MS && this.#pings.size < 10)
      this.#ping(now_ms);
  }

  #ping(now_ms: number): void {
    this.#pinged_ms = now_ms;
    const id = ++this.#pingCount;
    this.#pings.set(id, performance.now());
    this.#send({ verb: "ping", id });
  }

  #hear(message: Uint8Array): void {
    this.#heard_ms = Date.now();
    const header = decodeHeader(message);
    if (this.#connection.state === "lost" && this.#welcome) this.#sayOpen();
    const body = bodyOf(message);
    switch (header.kind) {
      case KIND.welcome:
        return this.#begin(unpack(body) as Welcome);
      case KIND.catalogue: {
        const { complete, streams } = unpack(body) as Catalogue;
        return this.#post({ say: "catalogue", complete, streams: streams.map(streamEntry) }, []);
      }
      case KIND.health: {
        const { streams, positions } = unpack(body) as Health;
        const at = positions.map((position) => ({ stream: position.stream, ...positionIn(position) }));
        return this.#post({ say: "health", health: streams, positions: at }, []);
      }
      case KIND.pong: {
        const { id } = unpack(body) as { id: number };
        const sent = this.#pings.get(id);
        this.#pings.delete(id);
        if (sent === undefined) return;
        this.#latency_ms = (performance.now() - sent) / 2;
        return this.#sayOpen();
      }
      case KIND.nodes:
        return this.#post({ say: "nodes", nodes: (unpack(body) as Nodes).nodes }, []);
      case KIND.acted: {
        const { id, time, refused } = unpack(body) as ActedMessage;
        return this.#answer(id, refused === undefined ? { time: toMs(time) } : { refused });
      }
      case KIND.error:
        this.#error = (unpack(body) as WireError).what;
        return this.#asked.get(header.subscription)?.refused(this.#error);
      default:
        this.#asked.get(header.subscription)?.hear(header, body);
    }
  }

  #begin(welcome: Welcome): void {
    const another = this.#run !== undefined && this.#run !== welcome.run;
    this.#run = welcome.run;
    this.#welcome = welcome;
    this.#everOpen = true;
    this.#attempt = 0;
    this.#latency_ms = NaN;
    this.#asked.clear();
    this.#post({ say: "manifest", manifest: welcome.manifest }, []);
    this.#sayOpen();
    for (const feed of this.#feeds.values()) {
      if (another) feed.anotherRun();
      feed.subscribe();
    }
    this.#ping(Date.now());
  }

  #sayOpen(): void {
    const { kind, speed } = this.#welcome!.mode;
    this.#say({ state: "open", mode: kind, speed, latency_ms: this.#latency_ms });
  }
}
