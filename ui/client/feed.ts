/**
 * One subscription: what it has got, and what the page has not taken yet.
 *
 * The page takes one frame at a time. What comes meanwhile waits here, bounded: of traces their buckets, of newest
 * rows the newest, of lossless rows a queue; when that is full, the subscription is closed and taken up again after
 * its last row once the page has caught up.
 */
import { BucketRing, decodeBlock, type BucketBlock } from "../../runtime/wire/buckets.ts";
import {
  FLAG, KIND, unpack,
  type EpochMessage, type Gap, type Header, type Position, type SubscribeMessage,
} from "../../runtime/wire/protocol.ts"; // prettier-ignore
import type { Schema } from "../../runtime/wire/schema.ts";
import { buffersOf, rowsFrame, toMs, toNs, traceFrame } from "./decode.ts";
import type { Post } from "./messages.ts";
import type { Frame, Ms, Request } from "./types.ts";

const QUEUE_FRAMES = 256;
const QUEUE_BYTES = 64 << 20;

export interface Wire {
  subscribe(wish: Omit<SubscribeMessage, "verb" | "id">): void;
  unsubscribe(): void;
}

export class Feed {
  readonly #id: number;
  readonly #request: Request;
  readonly #post: Post;
  readonly #wire: Wire;
  /** The page has a frame that it has not taken. */
  #busy = false;
  #schema: Schema = { fields: {}, metadata: {} };
  #columns: readonly string[] = [];
  #arrowSchema = new Uint8Array(0);
  #queue: { frame: Frame; bytes: number }[] = [];
  #queueBytes = 0;
  /** The last row that stands in the queue, or stood there. */
  #last: Position | undefined;
  /** The queue was full: rows after `last` are asked for again. */
  #overflowed = false;
  /** Answered in full: nothing more comes, and nothing is asked for again. */
  #done = false;
  #ring: BucketRing | undefined;
  #since = Infinity;
  #reset = false;
  /** Time of the newest row in the buckets; undefined while they are history alone. */
  #lastTime: Ms | undefined;
  #dropped = 0;

  constructor(id: number, request: Request, post: Post, wire: Wire) {
    this.#id = id;
    this.#request = request;
    this.#post = post;
    this.#wire = wire;
  }

  subscribe(): void {
    if (this.#done) return;
    const { stream, columns, from, to, maxPoints, lossless } = this.#request;
    this.#overflowed = false;
    this.#wire.subscribe({
      stream,
      from: from === -Infinity ? 0n : toNs(from),
      to: to === "live" ? "live" : toNs(to),
      ...(columns && { columns }),
      ...(maxPoints !== undefined && { maxPoints: Math.min(16_384, Math.max(2, Math.round(maxPoints))) }),
      ...(lossless && maxPoints === undefined && { lossless }),
      ...(lossless && maxPoints === undefined && this.#last && { after: this.#last }),
    });
  }

  anotherRun(): void {
    if (this.#last) this.gap("the server has begun another run");
    this.#last = undefined;
    this.#done = false;
  }

  hear(header: Header, body: Uint8Array): void {
    switch (header.kind) {
      case KIND.epoch: {
        const { schema, columns } = unpack(body) as EpochMessage;
        this.#schema = schema;
        this.#columns = columns;
        return;
      }
      case KIND.schema:
        this.#arrowSchema = body.slice();
        return;
      case KIND.minmax:
        return this.#buckets(header, decodeBlock(body));
      case KIND.rows:
        return this.#rows(header, body);
      case KIND.gap:
        return this.gap((unpack(body) as Gap).reason);
      case KIND.done:
        return this.#end();
      default:
    }
  }

  gap(reason: string): void {
    this.#queue.push({ frame: { kind: "gap", reason }, bytes: 0 });
    this.#offer();
  }

  /** The server has closed the subscription and said why. What was asked up to a time is not asked again. */
  refused(reason: string): void {
    this.gap(reason);
    if (this.#request.to !== "live") this.#end();
  }

  #end(): void {
    this.#done = true;
    if (this.#request.maxPoints !== undefined) return;
    this.#queue.push({ frame: { kind: "done" }, bytes: 0 });
    this.#offer();
  }

  #rows(header: Header, body: Uint8Array): void {
    const frame = rowsFrame(header, this.#arrowSchema, body, this.#schema);
    if (this.#request.lossless) {
      if (this.#queue.length >= QUEUE_FRAMES || this.#queueBytes > QUEUE_BYTES) {
        this.#overflowed = true;
        this.#wire.unsubscribe();
        return;
      }
      this.#last = { epoch: frame.epoch, row: frame.row + frame.time.length - 1 };
    } else {
      // The newest takes the place of one that the page has not asked for yet.
      this.#dropped += frame.dropped;
      const waiting = this.#queue.at(-1);
      if (waiting?.frame.kind === "rows") {
        this.#queue.pop();
        this.#queueBytes -= waiting.bytes;
        this.#dropped += waiting.frame.time.length;
      }
    }
    this.#queue.push({ frame, bytes: body.byteLength });
    this.#queueBytes += body.byteLength;
    this.#offer();
  }

  #buckets(header: Header, block: BucketBlock): void {
    const reset = (header.flags & FLAG.reset) !== 0;
    this.#dropped += header.dropped;
    if (reset || !this.#ring || this.#ring.width !== block.width) {
      const room = Math.max(2 * (this.#request.maxPoints ?? 0), block.columns[0]?.count.length ?? 0, 64);
      this.#ring = new BucketRing(this.#columns.length, block.width, room, block.first);
      this.#reset = true;
      this.#since = 0;
    }
    this.#since = Math.min(this.#since, this.#ring.put(block));
    this.#lastTime = header.flags & FLAG.history ? undefined : toMs(header.lastTime);
    this.#offer();
  }

  /** The page has taken its frame. */
  received(): void {
    this.#busy = false;
    this.#offer();
    if (this.#overflowed && this.#queue.length === 0) this.subscribe();
  }

  #offer(): void {
    if (this.#busy) return;
    const next = this.#queue.shift();
    if (next) {
      this.#queueBytes -= next.bytes;
      const { frame } = next;
      if (frame.kind !== "rows") return this.#give(frame, []);
      const dropped = this.#request.lossless ? frame.dropped : this.#dropped;
      this.#dropped = 0;
      return this.#give({ ...frame, dropped }, buffersOf(frame));
    }
    const ring = this.#ring;
    if (!ring || (this.#since >= ring.end && !this.#reset)) return;
    const block = ring.block(Math.max(ring.first, this.#since), ring.end);
    const frame = traceFrame(block, this.#columns, this.#reset, this.#dropped, this.#lastTime);
    this.#since = Infinity;
    this.#reset = false;
    this.#dropped = 0;
    this.#give(frame, buffersOf(frame));
  }

  #give(frame: Frame, transfer: ArrayBuffer[]): void {
    this.#busy = true;
    this.#post({ say: "frame", id: this.#id, frame }, transfer);
  }
}
