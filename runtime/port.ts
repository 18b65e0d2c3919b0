/**
 * An input port of an operator: a lossless edge with a credit in bytes.
 *
 * It queues batches until their rows are complete. Over its credit it reports itself full, so that pulled sources
 * and the operators before it wait. What still comes then (a source that cannot wait, or that alone can move the
 * graph on) is not queued: the port notes where it stopped and reads on from the store once there is room.
 */
import type { Subscription } from "rxjs";
import { BEGIN_OF_TIME, END_OF_TIME, type Batch } from "./batch.ts";
import { concat, slice, type Columns } from "./columns.ts";
import { cut, firstAtOrAfter, type Stream } from "./stream.ts";
import type { Schema } from "./wire/schema.ts";

export interface PortOptions {
  readonly name: string;
  readonly stream: Stream;
  readonly creditBytes: number;
  /** Something came in. */
  readonly wake: () => void;
  /** There is room again. */
  readonly relieved: () => void;
  readonly failed: (error: Error) => void;
}

export class Port {
  readonly name: string;
  readonly stream: Stream;
  readonly credit: number;
  readonly #options: PortOptions;
  readonly #subscription: Subscription;
  #queue: Batch[] = [];
  /** Rows of the first batch that are taken already. */
  #taken = 0;
  #bytes = 0;
  #watermark = BEGIN_OF_TIME;
  #ended = false;
  /** Epochs that begin after what is queued, oldest first, each where it begins. */
  #schemas: { epoch: number; schema: Schema; from: bigint }[] = [];
  #current: Schema | undefined;
  #epochSeen = -1;
  #spilledFrom: { epoch: number; row: number } | undefined;
  #catchingUp = false;
  highWaterBytes = 0;
  /** How often it had to leave memory for the store. */
  spills = 0;

  constructor(options: PortOptions) {
    this.#options = options;
    this.name = options.name;
    this.stream = options.stream;
    this.credit = options.creditBytes;
    options.stream.readers.add(this);
    this.#subscription = options.stream.appended$.subscribe((batch) => this.#offer(batch));
  }

  get full(): boolean {
    return !this.#room || this.#spilledFrom !== undefined;
  }
  /** However much is queued: rows that all wait for a promise (the last of a time) need the batch that makes it. */
  get #room(): boolean {
    return this.#bytes < this.credit || !this.has(this.#watermark);
  }
  get depthBytes(): number {
    return this.#bytes;
  }
  /** All rows before it are queued here (or taken). */
  get watermark(): bigint {
    return this.#watermark;
  }
  get ended(): boolean {
    return this.#ended && this.#queue.length === 0;
  }
  /** Where the next epoch begins, once its first row is here. */
  get nextEpochFrom(): bigint | undefined {
    const from = this.#schemas[0]?.from;
    return from === END_OF_TIME ? undefined : from;
  }
  /** What an operator that starts at this time will be given. */
  schemaAt(time: bigint): Schema | undefined {
    return this.#due(time) ? this.#schemas[0]!.schema : this.#current;
  }
  /** An operator has started at this time. */
  beginEpoch(time: bigint): void {
    if (this.#due(time)) this.#current = this.#schemas.shift()!.schema;
  }
  #due(time: bigint): boolean {
    const next = this.#schemas[0];
    return next !== undefined && (this.#current === undefined || next.from <= time);
  }

  #offer(batch: Batch): void {
    if (this.#spilledFrom) return;
    const length = batch.columns.time.length;
    if (length > 0 && !this.#room) {
      if (this.stream.store) {
        this.#spilledFrom = { epoch: batch.epoch, row: batch.row };
        this.spills++;
        return;
      }
      if (this.#bytes > 8 * this.credit) {
        this.close();
        this.#options.failed(
          new Error(
            `${this.name}: ${this.stream.name} is ${this.#bytes >> 20} MiB ahead of the other inputs and nothing is recorded to fall back on; record the run, or declare the slow source idle`,
          ),
        );
        return;
      }
    }
    this.#take(batch);
    this.#options.wake();
  }

  #take(batch: Batch): void {
    const { time } = batch.columns;
    if (batch.epoch > this.#epochSeen) {
      this.#epochSeen = batch.epoch;
      this.#schemas.push({
        epoch: batch.epoch,
        schema: batch.schema,
        from: time.length ? time[0]! : END_OF_TIME,
      });
    }
    if (time.length > 0) {
      const opened = this.#schemas.at(-1);
      if (opened?.epoch === batch.epoch && opened.from === END_OF_TIME) opened.from = time[0]!;
      this.#queue.push(batch);
      this.#bytes += batch.bytes;
      if (this.#bytes > this.highWaterBytes) this.highWaterBytes = this.#bytes;
    }
    if (batch.watermark > this.#watermark) this.#watermark = batch.watermark;
    if (batch.state === "ended") this.#ended = true;
  }

  /** Time of the first row of the second queued batch: where a pane may be cut so that nothing is copied. */
  get boundary(): bigint | undefined {
    return this.#queue[1]?.columns.time[0];
  }

  /** True where rows before `upTo` wait here. */
  has(upTo: bigint): boolean {
    const head = this.#queue[0];
    return head !== undefined && head.columns.time[this.#taken]! < upTo;
  }

  /** Rows of the first queued batch with time < upTo; undefined if there are none. */
  take(upTo: bigint): Columns | undefined {
    const head = this.#queue[0];
    if (!head) return undefined;
    const { time } = head.columns;
    const from = this.#taken;
    if (time[from]! >= upTo) return undefined;
    const to = firstAtOrAfter(time, upTo);
    const wasFull = this.full;
    const columns = slice(head.columns, head.schema.fields, from, to);
    if (to === time.length) {
      this.#queue.shift();
      this.#taken = 0;
      this.#bytes -= head.bytes;
    } else this.#taken = to;
    if (this.#spilledFrom) void this.#catchUp();
    else if (wasFull && !this.full) this.#options.relieved();
    return columns;
  }

  /** Makes one batch of the first two, where rows of one time lie on both sides of a cut. */
  joinHead(): void {
    const [first, second] = this.#queue as [Batch, Batch];
    const rest = cut(first, this.#taken, first.columns.time.length);
    const columns = concat([rest.columns, second.columns], second.schema.fields);
    const joined: Batch = { ...second, columns, row: rest.row, bytes: first.bytes + second.bytes };
    this.#queue.splice(0, 2, joined);
    this.#taken = 0;
  }

  async #catchUp(): Promise<void> {
    if (this.#catchingUp || (this.#bytes > this.credit / 2 && this.has(this.#watermark))) return;
    this.#catchingUp = true;
    try {
      while (this.#spilledFrom && this.#room) {
        const at: { epoch: number; row: number } = this.#spilledFrom;
        let advanced = false;
        for await (const batch of this.stream.read({ epoch: at.epoch, fromRow: at.row })) {
          // A recorded batch that is cut ends before the watermark that it was published with.
          this.#take(batch);
          at.row = batch.row + batch.columns.time.length;
          advanced = true;
          if (!this.#room) break;
        }
        const { epoch, rows, watermark, state } = this.stream;
        if (at.epoch === epoch && at.row === rows) {
          this.#spilledFrom = undefined;
          if (watermark > this.#watermark) this.#watermark = watermark;
          if (state === "ended") this.#ended = true;
          this.#options.relieved();
        } else if (!advanced && at.epoch < epoch) this.#spilledFrom = { epoch: at.epoch + 1, row: 0 };
        this.#options.wake();
        // Let the recorder write what memory has already given up.
        if (!advanced) await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      this.#options.failed(error as Error);
    } finally {
      this.#catchingUp = false;
    }
  }

  close(): void {
    this.#subscription.unsubscribe();
    this.stream.readers.delete(this);
    this.#queue = [];
    this.#bytes = 0;
    this.#spilledFrom = undefined;
    this.#ended = true;
  }
}
