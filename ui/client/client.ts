/**
 * The page's side of the client: it sends wishes to the worker and hands frames to who asked for them.
 */
import type { ChangeableNode } from "../../runtime/wire/protocol.ts";
import type { ToPage, ToWorker } from "./messages.ts";
import type {
  Answer,
  Client,
  Connection,
  Frame,
  Request,
  StreamEntry,
  StreamHealth,
  Subscription,
} from "./types.ts";

export interface ConnectOptions {
  /** What the server wants to know; empty where it listens on loopback. */
  readonly token?: string | undefined;
  /** Where the session runs; by default a web worker of its own. */
  readonly port?: Port;
}

/** What a worker and a message port have in common. */
export interface Port {
  postMessage(message: ToWorker): void;
  addEventListener(type: "message", listener: (event: { data: ToPage }) => void): void;
  terminate?(): void;
  start?(): void;
}

/** Connects to an Operando server, such as "ws://127.0.0.1:8080/", and stays connected. */
export function connect(url: string, { token = "", port = ownWorker() }: ConnectOptions = {}): Client {
  const catalogue = new Map<string, StreamEntry>();
  const listeners = new Set<() => void>();
  const receivers = new Map<number, (frame: Frame) => void>();
  let connection: Connection = { state: "connecting", attempt: 1 };
  let health: readonly StreamHealth[] = [];
  let manifest: Readonly<Record<string, unknown>> = {};
  let nodes: readonly ChangeableNode[] = [];
  const answers = new Map<number, (answer: Answer) => void>();
  let lastId = 0;

  const hear = (message: ToPage): void => {
    switch (message.say) {
      case "frame":
        // A frame of a subscription that has just been closed has nobody who waits for it.
        receivers.get(message.id)?.(message.frame);
        return port.postMessage({ say: "received", id: message.id });
      case "connection":
        connection = message.connection;
        break;
      case "manifest":
        manifest = message.manifest;
        break;
      case "catalogue":
        if (message.complete) catalogue.clear();
        for (const entry of message.streams) catalogue.set(entry.stream, entry);
        break;
      case "nodes":
        nodes = message.nodes;
        break;
      case "answer":
        answers.get(message.id)?.(message.answer);
        answers.delete(message.id);
        return;
      case "health":
        health = message.health;
        for (const { stream, ...position } of message.positions) {
          const entry = catalogue.get(stream);
          if (entry?.epoch === position.epoch) catalogue.set(stream, { ...entry, ...position });
        }
        break;
    }
    for (const listener of listeners) listener();
  };
  port.addEventListener("message", ({ data }) => hear(data));
  port.start?.();
  port.postMessage({ say: "connect", url, token });

  return {
    get connection() {
      return connection;
    },
    get catalogue() {
      return catalogue;
    },
    get health() {
      return health;
    },
    get manifest() {
      return manifest;
    },
    get nodes() {
      return nodes;
    },
    act(node, changes) {
      const id = ++lastId;
      port.postMessage({ say: "act", id, node, changes });
      return new Promise((resolve) => answers.set(id, resolve));
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    subscribe(request: Request, receive: (frame: Frame) => void): Subscription {
      let id = open(request);
      function open(wanted: Request): number {
        const next = ++lastId;
        receivers.set(next, receive);
        port.postMessage({ say: "subscribe", id: next, request: wanted });
        return next;
      }
      function end(): void {
        receivers.delete(id);
        port.postMessage({ say: "unsubscribe", id });
      }
      return {
        // Under a new number, so that what is still on its way for the old wish goes nowhere.
        change(wanted) {
          end();
          id = open(wanted);
        },
        close: end,
      };
    },
    close() {
      port.postMessage({ say: "close" });
      receivers.clear();
      listeners.clear();
      port.terminate?.();
    },
  };
}

function ownWorker(): Port {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }) as unknown as Port;
}
