/**
 * One connected client: says who it is, then asks for streams.
 */
import { timingSafeEqual, createHash } from "node:crypto";
import type { WebSocket } from "ws";
import {
  ActionError, CLOSE, encodeHeader, joinMessage, KIND, pack, plainHeader, PROTOCOL_VERSION, readClientMessage, SUB_PROTOCOL,
  type ActedMessage, type ActMessage, type KindCode, type Pong, type SubscribeMessage, type WireError,
} from "../runtime/index.ts"; // prettier-ignore
import { Outbox } from "./websocket-outbox.ts";
import {
  LatestSubscription,
  LosslessSubscription,
  type Shared,
  type Subscription,
} from "./websocket-subscription.ts";
import { TraceSubscription } from "./websocket-traces.ts";

const SUBSCRIPTIONS = 256;
/** A client says hello at once; who does not is not one. */
const HELLO_WITHIN_MS = 10_000;

export interface ClientOptions {
  readonly token: string;
  readonly shared: Shared;
  /** What a client hears first, once it has said who it is. */
  readonly greet: (client: Client) => void;
  readonly left: (client: Client) => void;
}

export class Client {
  readonly outbox: Outbox;
  greeted = false;
  /** Answered the last ping of the WebSocket. */
  alive = true;
  readonly #socket: WebSocket;
  readonly #options: ClientOptions;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #patience: NodeJS.Timeout;

  constructor(socket: WebSocket, options: ClientOptions) {
    this.#socket = socket;
    this.#options = options;
    this.outbox = new Outbox(socket, () => {
      for (const subscription of this.#subscriptions.values()) options.shared.pulse.mark(subscription);
    });
    this.#patience = setTimeout(() => this.refuse("no hello came"), HELLO_WITHIN_MS);
    socket.on("message", (data, binary) => this.#take(data as Buffer, binary));
    socket.on("pong", () => (this.alive = true));
    socket.on("error", () => {}); // it closes, and says so
    socket.on("close", () => this.#close());
  }

  #take(data: Buffer, binary: boolean): void {
    let message;
    try {
      if (!binary) throw new TypeError("a message must be binary: one MessagePack map");
      message = readClientMessage(data);
    } catch (error) {
      this.tell((error as Error).message);
      if (!this.greeted) this.refuse("the first message must be hello");
      return;
    }
    if (message.verb === "hello") {
      if (message.version !== PROTOCOL_VERSION) {
        this.tell(
          `this server speaks version ${PROTOCOL_VERSION} of ${SUB_PROTOCOL}, and the client version ${message.version}; load the page again, or update the client`,
        );
        return this.#socket.close(CLOSE.protocol, `version ${message.version} is not spoken here`);
      }
      if (this.#options.token !== "" && !sameText(message.token ?? "", this.#options.token)) {
        return this.refuse(message.token ? "the token is wrong" : "a token is needed");
      }
      clearTimeout(this.#patience);
      if (!this.greeted) this.#options.greet(this);
      this.greeted = true;
      return;
    }
    if (!this.greeted) return this.refuse("the first message must be hello");
    if (message.verb === "ping") {
      return this.say(KIND.pong, {
        id: message.id,
        received_ms: this.#options.shared.now_ms(),
      } satisfies Pong);
    }
    if (message.verb === "act") return this.#act(message);
    if (message.verb === "unsubscribe") return this.#subscriptions.get(message.id)?.close();
    this.#subscribe(message);
  }

  #act({ id, node, changes, by = "" }: ActMessage): void {
    let answer: ActedMessage;
    try {
      const { time } = this.#options.shared.run.act(node, changes, { by });
      answer = { id, time };
    } catch (error) {
      if (!(error instanceof ActionError)) throw error;
      answer = { id, refused: error.message };
    }
    this.say(KIND.acted, answer);
  }

  #subscribe(request: SubscribeMessage): void {
    const { id } = request;
    if (this.#subscriptions.has(id))
      return this.tell(
        `subscription ${id} is open already; unsubscribe it first, or take another number`,
        id,
      );
    if (this.#subscriptions.size >= SUBSCRIPTIONS)
      return this.tell(`there are ${SUBSCRIPTIONS} subscriptions already; close some first`, id);
    const kind =
      request.maxPoints !== undefined
        ? TraceSubscription
        : request.lossless
          ? LosslessSubscription
          : LatestSubscription;
    const subscription: Subscription = new kind(request, this.#options.shared, this.outbox, () => {
      if (this.#subscriptions.get(id) === subscription) this.#subscriptions.delete(id);
    });
    this.#subscriptions.set(id, subscription);
    void subscription.start();
  }

  say(kind: KindCode, body: object, subscription = 0): void {
    const header = plainHeader(kind, this.#options.shared.now_ms(), { subscription });
    this.outbox.control(joinMessage(encodeHeader(header), pack(body)));
  }

  tell(what: string, subscription = 0): void {
    this.say(KIND.error, { what } satisfies WireError, subscription);
  }

  refuse(reason: string): void {
    this.tell(reason);
    this.#socket.close(CLOSE.refused, reason);
  }

  /** Asks whether it is still there; who has not answered the last time is gone. */
  check(): void {
    if (!this.alive) return this.#socket.terminate();
    this.alive = false;
    if (this.#socket.readyState === 1) this.#socket.ping();
  }

  end(): void {
    this.#socket.close(CLOSE.goingAway, "the server ends");
    this.#close();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #close(): void {
    clearTimeout(this.#patience);
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.outbox.release();
    this.#options.left(this);
  }
}

/** Compares in a time that tells nothing of how far they agree. */
function sameText(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
