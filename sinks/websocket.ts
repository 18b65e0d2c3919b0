/**
 * Serves the page and the run's streams to browsers and other clients, by the protocol of docs/protocol.md.
 *
 * It listens on the loopback interface unless told otherwise, and then only with a token. A browser may come from
 * the page that is served here, or from an origin that is named; what it sees never holds the run back.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import {
  defineSink, encodeHeader, integer, joinMessage, KIND, list, pack, plainHeader, PROTOCOL_VERSION, SUB_PROTOCOL, text,
  type Catalogue, type CatalogueEntry, type Health, type KindCode, type Nodes, type RunView, type StreamInfo, type StreamPosition, type Welcome,
} from "../runtime/index.ts"; // prettier-ignore
import { Client } from "./websocket-client.ts";
import { Pulse } from "./websocket-outbox.ts";
import { builtPage, servePage } from "./websocket-page.ts";
import { RowEncoder, type Shared } from "./websocket-subscription.ts";
import { TraceViews } from "./websocket-views.ts";

/** A screen shows hardly more, and a weak one chokes on more; a little under 1/30 s, so that rows at 30 Hz never wait. */
const FRAME_INTERVAL_MS = 30;
const HEALTH_INTERVAL_MS = 500;
const ALIVE_INTERVAL_MS = 15_000;
/** Clients send only small maps. */
const CLIENT_MESSAGE_BYTES = 64 << 10;
const CLIENTS = 1000;

export const websocket = defineSink({
  name: "websocket",
  doc: "Serves the page, and every stream to browsers and other clients",
  config: {
    port: integer(8080, { min: 0, max: 65_535, doc: "0 takes any free one" }),
    host: text("127.0.0.1", { doc: "interface to listen on; other than loopback only with a token" }),
    token: text("", { doc: "what a client must know; empty lets in whoever reaches the interface" }),
    origins: list<string>([], {
      doc: "further origins from which a browser may connect, such as http://localhost:5173",
    }),
  },
  async open({ port, host, token, origins }, run) {
    if (!isLoopback(host) && token === "") {
      throw new Error(
        `websocket: host ${host} can be reached by other machines, so a token is needed; ` +
          "give the sink a token, or leave host at 127.0.0.1",
      );
    }
    const server = new WireServer(run, { token, origins: origins.map(String), host });
    const bound = await server.listen(port);
    const shown = host.includes(":") ? `[${host}]` : host;
    return {
      says: `http://${shown}:${bound}${token === "" ? "" : "/#token=… with the token of the pipeline file"}`,
      close: () => server.close(),
    };
  },
});

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

interface ServerOptions {
  readonly token: string;
  readonly origins: readonly string[];
  readonly host: string;
}

class WireServer {
  readonly #run: RunView;
  readonly #options: ServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #clients = new Set<Client>();
  readonly #pulse = new Pulse(FRAME_INTERVAL_MS);
  readonly #views: TraceViews;
  readonly #shared: Shared;
  readonly #unwatch: () => void;
  readonly #timers: NodeJS.Timeout[];
  readonly #waiting = new Map<string, Set<(info: StreamInfo) => void>>();

  constructor(run: RunView, options: ServerOptions) {
    this.#run = run;
    this.#options = options;
    this.#views = new TraceViews(run);
    this.#shared = {
      run, pulse: this.#pulse, views: this.#views, encoder: new RowEncoder(), dropped: new Map(), now_ms: () => Date.now(),
      known: (stream, signal) => this.#known(stream, signal),
    }; // prettier-ignore
    const page = servePage(builtPage());
    this.#http = createServer((request, response) => void page(request, response));
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: CLIENT_MESSAGE_BYTES,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUB_PROTOCOL) ? SUB_PROTOCOL : false),
    });
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    const watch = run.streams$.subscribe((info) => this.#changed(info));
    const acted = run.acted$.subscribe(() => this.#broadcast(KIND.nodes, this.#nodes()));
    this.#unwatch = () => (watch.unsubscribe(), acted.unsubscribe());
    this.#timers = [
      setInterval(() => this.#sayHealth(), HEALTH_INTERVAL_MS).unref(),
      setInterval(() => this.#clients.forEach((client) => client.check()), ALIVE_INTERVAL_MS).unref(),
    ];
  }

  async listen(port: number): Promise<number> {
    try {
      return await listen(this.#http, port, this.#options.host);
    } catch (error) {
      await this.close();
      throw await explained(error as NodeJS.ErrnoException, port, this.#options.host);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const refusal = this.#refusal(request);
    if (refusal) {
      const [status, why] = refusal;
      socket.end(
        `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(why)}\r\n\r\n${why}`,
      );
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (connected) => {
      const client = new Client(connected, {
        token: this.#options.token,
        shared: this.#shared,
        greet: (greeted) => this.#greet(greeted),
        left: (gone) => void this.#clients.delete(gone),
      });
      this.#clients.add(client);
    });
  }

  #refusal({ headers }: IncomingMessage): [status: string, why: string] | undefined {
    const offered = String(headers["sec-websocket-protocol"] ?? "").split(/\s*,\s*/);
    if (!offered.includes(SUB_PROTOCOL))
      return ["400 Bad Request", `ask for the sub-protocol ${SUB_PROTOCOL}\n`];
    if (!this.#allowed(headers.origin, headers.host)) {
      return [
        "403 Forbidden",
        `pages of ${headers.origin} may not connect here; name the origin in the sink's option origins\n`,
      ];
    }
    if (this.#clients.size >= CLIENTS)
      return ["503 Service Unavailable", `${CLIENTS} clients are connected already\n`];
    return undefined;
  }

  /** Whoever is no browser sends no origin. A browser's must be this server's own, or one that is named. */
  #allowed(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || this.#options.origins.includes(origin)) return true;
    if (!URL.canParse(origin)) return false;
    const { host: from, hostname, port, protocol } = new URL(origin);
    // By name, since another site's name may be made to point at this machine.
    if (isLoopback(this.#options.host)) {
      const own = (this.#http.address() as AddressInfo).port;
      return (
        isLoopback(hostname.replace(/^\[|\]$/g, "")) &&
        Number(port || (protocol === "https:" ? 443 : 80)) === own
      );
    }
    return from === host;
  }

  #known(stream: string, signal: AbortSignal): Promise<StreamInfo> {
    const info = this.#newest().get(stream);
    if (info) return Promise.resolve(info);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(stream) ?? new Set();
      this.#waiting.set(stream, waiting.add(resolve));
      signal.addEventListener("abort", () => {
        waiting.delete(resolve);
        if (waiting.size === 0 && this.#waiting.get(stream) === waiting) this.#waiting.delete(stream);
      });
    });
  }

  /** The newest epoch of each stream. */
  #newest(): Map<string, StreamInfo> {
    const newest = new Map<string, StreamInfo>();
    for (const info of this.#run.streams()) {
      if (info.epoch >= (newest.get(info.stream)?.epoch ?? 0)) newest.set(info.stream, info);
    }
    return newest;
  }

  #changed(info: StreamInfo): void {
    this.#broadcast(KIND.catalogue, { complete: false, streams: [entryOf(info)] } satisfies Catalogue);
    const waiting = this.#waiting.get(info.stream);
    this.#waiting.delete(info.stream);
    waiting?.forEach((resolve) => resolve(info));
  }

  #greet(client: Client): void {
    const { manifest, mode } = this.#run;
    client.say(KIND.welcome, {
      version: PROTOCOL_VERSION,
      run: [manifest["id"], manifest["name"], manifest["directory"], manifest["origin"]]
        .map(String)
        .join(" "),
      manifest,
      mode,
      recording: typeof manifest["directory"] === "string",
    } satisfies Welcome);
    const streams = [...this.#newest().values()].map(entryOf);
    client.say(KIND.catalogue, { complete: true, streams } satisfies Catalogue);
    client.say(KIND.nodes, this.#nodes());
    client.say(KIND.health, this.#health());
  }

  #nodes(): Nodes {
    return { nodes: this.#run.changeable() };
  }

  #health(): Health {
    const { dropped } = this.#shared;
    const streams = this.#run.health().map((line) => ({ ...line, drops: dropped.get(line.stream) ?? 0 }));
    return { streams, positions: [...this.#newest().values()].map(positionOf) };
  }

  #sayHealth(): void {
    if (this.#clients.size > 0) this.#broadcast(KIND.health, this.#health(), true);
  }

  /** Written once for all. What will be said again soon is left out for who cannot take it now. */
  #broadcast(kind: KindCode, body: object, repeated = false): void {
    if (this.#clients.size === 0) return;
    const message = joinMessage(encodeHeader(plainHeader(kind, Date.now())), pack(body));
    for (const client of this.#clients) {
      if (client.greeted && (client.outbox.open || !repeated)) client.outbox.control(message);
    }
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#timers.forEach(clearInterval);
    for (const client of this.#clients) client.end();
    this.#pulse.close();
    this.#views.close();
    this.#sockets.close();
    if (!this.#http.listening) return;
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    // Connections that have become WebSockets are no longer the HTTP server's to close.
    const patience = setTimeout(() => this.#sockets.clients.forEach((socket) => socket.terminate()), 500);
    await closed;
    clearTimeout(patience);
  }
}

function positionOf({
  stream,
  epoch,
  state,
  rows,
  firstTime,
  lastTime,
  watermark,
}: StreamInfo): StreamPosition {
  return { stream, epoch, state, rows, firstTime: firstTime ?? null, lastTime: lastTime ?? null, watermark };
}

function entryOf(info: StreamInfo): CatalogueEntry {
  const { schema, derived, provisional } = info;
  return { ...positionOf(info), schema, derived, provisional };
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** The sentence for a server that cannot listen. */
async function explained(error: NodeJS.ErrnoException, port: number, host: string): Promise<Error> {
  const say = (what: string): Error => new Error(`websocket: ${what}`, { cause: error });
  if (error.code === "EADDRINUSE") {
    const free = await nextFree(port + 1, host);
    return say(
      `port ${port} on ${host} is in use by another program${free ? `; ${free} is free: set port: ${free}, or end that program` : "; set another port, or end that program"}`,
    );
  }
  if (error.code === "EACCES")
    return say(`port ${port} on ${host} may not be opened by this user; set a port above 1023`);
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND")
    return say(
      `this machine has no interface ${host}; set host to 127.0.0.1, or to 0.0.0.0 for all interfaces`,
    );
  return say(`cannot listen on ${host}, port ${port}: ${error.message}`);
}

async function nextFree(from: number, host: string): Promise<number | undefined> {
  for (let port = from; port < Math.min(from + 50, 65_536); port++) {
    const probe = createServer();
    try {
      await listen(probe, port, host);
      await new Promise((resolve) => probe.close(resolve));
      return port;
    } catch {
      continue;
    }
  }
  return undefined;
}
