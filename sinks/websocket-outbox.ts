/**
 * What goes out to one client: never more than a bounded part of it waits in memory.
 *
 * ws queues without limit whatever it is given. So data is sent only while less than HIGH_WATER waits in the socket,
 * and again once less than LOW_WATER does; who has data asks `open` first. Messages that must not be lost (catalogue,
 * errors, answers) queue here meanwhile, up to a bound over which the client is sent away.
 */
import type { WebSocket } from "ws";
import { CLOSE, encodeHeader, HEADER_BYTES, joinMessage, type Header } from "../runtime/index.ts";

const HIGH_WATER = 1 << 20;
const LOW_WATER = 256 << 10;
const CONTROL_MESSAGES = 256;
const CONTROL_BYTES = 4 << 20;
/** Larger bodies are sent as a second fragment, since a copy would cost more than another write. */
const COPIED_BYTES = 64 << 10;

export class Outbox {
  readonly #socket: WebSocket;
  readonly #drained: () => void;
  #control: Uint8Array[] = [];
  #controlBytes = 0;
  #full = false;
  #waiting: (() => void)[] = [];

  constructor(socket: WebSocket, drained: () => void) {
    this.#socket = socket;
    this.#drained = drained;
  }

  /** True while data may be sent. */
  get open(): boolean {
    return !this.#full && this.#socket.readyState === 1;
  }

  /** Resolves when data may be sent, or the socket has closed. */
  async ready(): Promise<void> {
    while (this.#full && this.#socket.readyState === 1)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A message that is never left out. */
  control(message: Uint8Array): void {
    if (this.#socket.readyState !== 1) return;
    if (this.open) return this.#send(message);
    this.#control.push(message);
    this.#controlBytes += message.byteLength;
    if (this.#control.length > CONTROL_MESSAGES || this.#controlBytes > CONTROL_BYTES) {
      this.#control = [];
      // Who reads nothing does not read this either; ws then ends the connection by itself.
      this.#socket.close(CLOSE.tooSlow, "too slow: messages that must not be lost have piled up");
    }
  }

  /** A message of rows; only while `open`. The body may be shared with other clients. */
  data(header: Header, body: Uint8Array): void {
    const head = encodeHeader(header);
    if (body.byteLength + HEADER_BYTES <= COPIED_BYTES) return this.#send(joinMessage(head, body));
    this.#socket.send(head, { binary: true, fin: false });
    this.#send(body);
  }

  #send(bytes: Uint8Array): void {
    this.#socket.send(bytes, { binary: true, fin: true }, () => this.#sent());
    if (this.#socket.bufferedAmount > HIGH_WATER) this.#full = true;
  }

  #sent(): void {
    if (!this.#full || this.#socket.bufferedAmount > LOW_WATER) return;
    this.#full = false;
    while (this.#control.length > 0 && this.open) {
      const message = this.#control.shift()!;
      this.#controlBytes -= message.byteLength;
      this.#send(message);
    }
    if (!this.#full) this.release();
  }

  /** Wakes all who wait: there is room, or the socket has closed. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    if (this.open) this.#drained();
  }
}

/**
 * Calls each of its members at most once an interval, and only those that have something to say: at once who has
 * been silent for an interval, whoever comes again within it at its end. Each has a phase of its own, so that rows
 * of instruments that are not in step do not wait for one another.
 */
export class Pulse<T extends { flush(): void }> {
  readonly #interval_ms: number;
  readonly #due = new Map<T, NodeJS.Timeout>();
  readonly #last_ms = new WeakMap<T, number>();

  constructor(interval_ms: number) {
    this.#interval_ms = interval_ms;
  }

  mark(member: T): void {
    if (this.#due.has(member)) return;
    const now_ms = performance.now();
    const due_ms = Math.max(now_ms, (this.#last_ms.get(member) ?? -Infinity) + this.#interval_ms);
    // Counted from when it was due: timers are late, and rows at just this rate would wait longer each time.
    this.#last_ms.set(member, due_ms);
    const flush = (): void => {
      this.#due.delete(member);
      member.flush();
    };
    this.#due.set(member, setTimeout(flush, due_ms - now_ms));
  }

  forget(member: T): void {
    clearTimeout(this.#due.get(member));
    this.#due.delete(member);
  }

  close(): void {
    for (const timer of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
  }
}
