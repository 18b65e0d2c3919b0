/**
 * One stream of the running graph: gives out row numbers and epochs, hands each batch to the recorder before any
 * reader sees it, and keeps the newest batches in memory for readers that fall a little behind.
 */
import { Subject } from "rxjs";
import { noRows } from "./arrow.ts";
import { BEGIN_OF_TIME, END_OF_TIME, makeBatch, type Batch, type StreamState } from "./batch.ts";
import { byteSize, slice, type Columns } from "./columns.ts";
import { GapCounter } from "./gap-counter.ts";
import type { FrameReference } from "./define.ts";
import type { ReadRange, StreamInfo } from "./run-view.ts";
import type { Schema } from "./wire/schema.ts";

/** What keeps batches beyond memory: the recorder of this run, or the journal of the run that is replayed. */
export interface Store {
  append(batch: Batch): void;
  /** Position after the last row that is written. */
  acknowledged(stream: string): { readonly epoch: number; readonly row: number } | undefined;
  read(stream: string, range: ReadRange): AsyncIterable<Batch>;
  /** Bytes handed over and not yet written. */
  readonly pendingBytes: number;
}

export interface StreamOptions {
  readonly name: string;
  readonly derived: boolean;
  readonly provisional?: boolean;
  /** Absent where nothing is recorded: then readers cannot fall behind further than memory. */
  readonly store?: Store | undefined;
  /** Bytes of the newest batches kept in memory, beyond those that the recorder has not acknowledged. */
  readonly ringBytes?: number;
}

export class Stream {
  readonly name: string;
  readonly derived: boolean;
  readonly provisional: boolean;
  readonly store: Store | undefined;
  /** Every batch and heartbeat, in order, synchronously. */
  readonly appended$ = new Subject<Batch>();
  /** Each new epoch, change of state and end. */
  readonly changed$ = new Subject<StreamInfo>();
  /** Lossless readers; while one has no room, whoever can wait does. */
  readonly readers = new Set<{ readonly full: boolean; readonly spills: number }>();
  readonly #ringLimit: number;
  #ring: Batch[] = [];
  #ringBytes = 0;
  #epoch = -1;
  #rows = 0;
  #schema: Schema | undefined;
  #watermark = BEGIN_OF_TIME;
  #state: StreamState = "active";
  #firstTime: bigint | undefined;
  #lastTime: bigint | undefined;
  #recorded: Pick<Batch, "epoch" | "state" | "watermark"> = {
    epoch: -1,
    state: "active",
    watermark: BEGIN_OF_TIME,
  };
  readonly #gaps = new GapCounter();
  /** Rows over all epochs, for rates. */
  totalRows = 0;

  constructor({ name, derived, provisional = false, store, ringBytes = 1 << 20 }: StreamOptions) {
    this.name = name;
    this.derived = derived;
    this.provisional = provisional;
    this.store = provisional ? undefined : store;
    this.#ringLimit = ringBytes;
  }

  get schema(): Schema | undefined {
    return this.#schema;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get rows(): number {
    return this.#rows;
  }
  get watermark(): bigint {
    return this.#watermark;
  }
  get state(): StreamState {
    return this.#state;
  }

  /** Of a source's stream: intervals without rows, well beyond the usual one. */
  get gaps(): number {
    return this.#gaps.count;
  }

  get full(): boolean {
    for (const reader of this.readers) if (reader.full) return true;
    return false;
  }

  info(): StreamInfo | undefined {
    if (!this.#schema) return undefined;
    return {
      stream: this.name, epoch: this.#epoch, schema: this.#schema, state: this.#state, derived: this.derived,
      provisional: this.provisional, rows: this.#rows, firstTime: this.#firstTime, lastTime: this.#lastTime,
      watermark: this.#watermark,
    }; // prettier-ignore
  }

  /** Begins a new epoch. Readers hear of it by a heartbeat that carries the schema. */
  open(schema: Schema): void {
    this.#epoch++;
    this.#rows = 0;
    this.#schema = schema;
    this.#firstTime = this.#lastTime = undefined;
    this.#send(noRows(schema.fields), 0);
    this.#changed();
  }

  /** Rows in time order, all at or after the watermark promised so far. */
  append(columns: Columns, watermark: bigint, reference?: FrameReference): void {
    const { time } = columns;
    this.#firstTime ??= time[0]!;
    this.#lastTime = time[time.length - 1]!;
    if (!this.derived) this.#gaps.add(time);
    if (watermark > this.#watermark) this.#watermark = watermark;
    const woke = this.#state === "idle";
    if (woke) this.#state = "active";
    this.#send(columns, byteSize(columns), reference);
    if (woke) this.#changed();
  }

  /** A heartbeat: no rows, a later watermark or another state. */
  beat(watermark: bigint, state: StreamState = this.#state): void {
    if (watermark <= this.#watermark && state === this.#state) return;
    const changed = state !== this.#state;
    if (watermark > this.#watermark) this.#watermark = watermark;
    this.#state = state;
    if (this.#schema) this.#send(noRows(this.#schema.fields), 0);
    else this.#send({ time: new BigInt64Array(0) } as Columns, 0);
    if (changed) this.#changed();
  }

  /** Says that nothing more will come. */
  end(): void {
    if (this.#state !== "ended") this.beat(END_OF_TIME, "ended");
  }

  #send(columns: Columns, bytes: number, reference?: FrameReference): void {
    const length = columns.time.length;
    const batch = makeBatch({
      stream: this.name, epoch: this.#epoch, row: this.#rows, columns, schema: this.#schema ?? NO_SCHEMA,
      watermark: this.#watermark, state: this.#state, bytes, ...(reference && { reference }),
    }); // prettier-ignore
    this.#rows += length;
    this.totalRows += length;
    if (this.#schema && (length > 0 || this.#worthRecording(batch))) this.store?.append(batch);
    if (length > 0) {
      this.#ring.push(batch);
      this.#ringBytes += bytes;
      if (this.#ringBytes > this.#ringLimit) this.#trim();
    }
    this.appended$.next(batch);
  }

  /** Of heartbeats: a new epoch, a change of state, and a promise well after the last one recorded. */
  #worthRecording({ epoch, state, watermark }: Batch): boolean {
    const last = this.#recorded;
    if (epoch === last.epoch && state === last.state && watermark - last.watermark < HEARTBEAT_ns)
      return false;
    this.#recorded = { epoch, state, watermark };
    return true;
  }

  #trim(): void {
    const written = this.store?.acknowledged(this.name);
    while (this.#ring.length > 1 && this.#ringBytes > this.#ringLimit) {
      const { epoch, row, columns, bytes } = this.#ring[0]!;
      const kept =
        !this.store ||
        (written &&
          (epoch < written.epoch || (epoch === written.epoch && row + columns.time.length <= written.row)));
      if (!kept) return;
      this.#ring.shift();
      this.#ringBytes -= bytes;
    }
  }

  #changed(): void {
    const info = this.info();
    if (info) this.changed$.next(info);
  }

  /** Batches of the newest rows that are still in memory, oldest first. */
  recent(): readonly Batch[] {
    return this.#ring;
  }

  /** Rows already there, in order and without gap: from the store what is no longer in memory, then from memory. */
  async *read(range: ReadRange): AsyncGenerator<Batch> {
    const epoch = range.epoch ?? this.#epoch;
    let row = range.fromRow ?? 0;
    const end = range.toRow ?? Infinity;
    const inMemory = (): number => this.#ring.find((batch) => batch.epoch === epoch)?.row ?? Infinity;
    while (this.store && row < Math.min(end, inMemory())) {
      const before = row;
      for await (const batch of this.store.read(this.name, {
        ...range,
        epoch,
        fromRow: row,
        toRow: Math.min(end, inMemory()),
      })) {
        row = batch.row + batch.columns.time.length;
        yield batch;
      }
      if (row === before) break;
    }
    for (const batch of [...this.#ring]) {
      const part = batch.epoch === epoch ? within(batch, { ...range, fromRow: row }) : undefined;
      if (!part) continue;
      row = part.row + part.columns.time.length;
      yield part;
    }
  }
}

const HEARTBEAT_ns = 10_000_000_000n;
const NO_SCHEMA: Schema = { fields: {}, metadata: {} };

/** The part of a batch that lies within a range of rows and of time; undefined if none does. */
export function within(batch: Batch, range: ReadRange): Batch | undefined {
  const { time } = batch.columns;
  let from = Math.max(0, (range.fromRow ?? 0) - batch.row);
  let to = Math.min(time.length, (range.toRow ?? Infinity) - batch.row);
  if (range.fromTime !== undefined) from = Math.max(from, firstAtOrAfter(time, range.fromTime));
  if (range.toTime !== undefined) to = Math.min(to, firstAtOrAfter(time, range.toTime));
  return from < to ? cut(batch, from, to) : undefined;
}

/** Rows from … to of a batch, without a copy. A slice's watermark is the time of the row after it. */
export function cut(batch: Batch, from: number, to: number): Batch {
  const { time } = batch.columns;
  if (from === 0 && to === time.length) return batch;
  return makeBatch({
    stream: batch.stream, epoch: batch.epoch, schema: batch.schema, state: batch.state,
    row: batch.row + from,
    columns: slice(batch.columns, batch.schema.fields, from, to),
    watermark: to < time.length ? time[to]! : batch.watermark,
    ...(batch.reference && { reference: { ...batch.reference, first: batch.reference.first + from * (batch.reference.stride ?? 1) } }),
  }); // prettier-ignore
}

/** Index of the first time at or after `t`; the length if there is none. */
export function firstAtOrAfter(time: BigInt64Array, t: bigint): number {
  let low = 0;
  let high = time.length;
  if (high > 0 && time[high - 1]! < t) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle]! < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
