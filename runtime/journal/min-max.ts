/**
 * min, max and count per bucket of time, exactly, from the levels, and from the rows themselves where the edge of a
 * bucket cuts a block: a picture of a day costs as much as it has pixels.
 */
import { closeSync, openSync } from "node:fs";
import { secondsSince } from "../columns.ts";
import { bucketAt } from "../min-max.ts";
import type { MinMax } from "../run-view.ts";
import type { NumericArray } from "../wire/schema.ts";
import { valuesOf, type ColumnLayout, type Layout } from "./layout.ts";
import { levelNames, LEVELS, numbers } from "./levels.ts";
import { bodyRegions, messageAt, padded } from "./message.ts";
import { RunError } from "./run-error.ts";
import { DATA } from "./segment.ts";
import { readerOf, type Segment, type StreamFiles } from "./stream-files.ts";

export interface Span {
  readonly from: bigint;
  readonly to: bigint;
  readonly buckets: number;
}

export type Levels = ReadonlyMap<number, StreamFiles>;

/** Reads from the page cache take microseconds; after this many the event loop has its turn. */
const READS_PER_TURN = 200;

export async function minMax(
  files: StreamFiles,
  levels: Levels,
  column: string,
  span: Span,
): Promise<MinMax> {
  const { from, to, buckets } = span;
  if (!(to > from) || !(buckets >= 1))
    throw new RunError(
      `wanted a span that ends after it begins, in at least one bucket; got ${from} to ${to} in ${buckets}`,
    );
  const tally = new Tally(span);
  const columns = new ColumnReader();
  try {
    const epochs = new Map<number, Segment[]>();
    for (const segment of files.segments)
      epochs.set(segment.head.epoch, [...(epochs.get(segment.head.epoch) ?? []), segment]);
    for (const [epoch, segments] of epochs) {
      const field = segments[0]!.schema.fields[column];
      if (field?.kind !== "scalar" && field?.kind !== "code") continue;
      const ofEpoch = new Map(
        [...levels].map(([k, { segments }]) => [k, segments.filter(({ head }) => head.epoch === epoch)]),
      );
      await new Walk(segments, ofEpoch, column, tally, columns).cover();
    }
  } finally {
    columns.close();
  }
  return { from, to, min: tally.min, max: tally.max, count: tally.count };
}

/** What has been found so far in each bucket. */
class Tally {
  readonly from: bigint;
  readonly to: bigint;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly count: Uint32Array;
  readonly #seconds: number;
  readonly #buckets: number;

  constructor({ from, to, buckets }: Span) {
    this.from = from;
    this.to = to;
    this.min = new Float64Array(buckets).fill(NaN);
    this.max = new Float64Array(buckets).fill(NaN);
    this.count = new Uint32Array(buckets);
    this.#seconds = Number(to - from) / 1e9;
    this.#buckets = buckets;
  }

  /** -1 before the span, `buckets` after it. Never falls as time rises, so that a block lies where its ends do. */
  bucket(seconds: number): number {
    if (seconds < 0) return -1;
    if (seconds >= this.#seconds) return this.#buckets;
    return Math.min(
      this.#buckets - 1,
      bucketAt(Math.round(seconds * 1e9), (this.#seconds * 1e9) / this.#buckets),
    );
  }

  has = (bucket: number): boolean => bucket >= 0 && bucket < this.#buckets;

  add(bucket: number, min: number, max: number, count: number): void {
    if (count === 0) return;
    if (this.count[bucket] === 0 || min < this.min[bucket]!) this.min[bucket] = min;
    if (this.count[bucket] === 0 || max > this.max[bucket]!) this.max[bucket] = max;
    this.count[bucket]! += count;
  }
}

/** Goes down from the coarsest blocks to the rows, one epoch. */
class Walk {
  readonly #rows: readonly Segment[];
  readonly #levels: ReadonlyMap<number, readonly Segment[]>;
  readonly #column: string;
  readonly #tally: Tally;
  readonly #read: ColumnReader;
  /** Rows still to be read themselves, neighbours joined: from, to, from, to … */
  readonly #raw: number[] = [];

  constructor(
    rows: readonly Segment[],
    levels: ReadonlyMap<number, readonly Segment[]>,
    column: string,
    tally: Tally,
    read: ColumnReader,
  ) {
    this.#rows = rows;
    this.#levels = levels;
    this.#column = column;
    this.#tally = tally;
    this.#read = read;
  }

  async cover(): Promise<void> {
    await this.#cover(LEVELS.length - 1, this.#rows[0]!.head.row, this.#rows.at(-1)!.endRow);
    for (let i = 0; i < this.#raw.length; i += 2) await this.#addRows(this.#raw[i]!, this.#raw[i + 1]!);
  }

  async #cover(level: number, from: number, to: number): Promise<void> {
    if (from >= to) return;
    if (level < 0) {
      if (this.#raw.at(-1) === from) this.#raw[this.#raw.length - 1] = to;
      else this.#raw.push(from, to);
      return;
    }
    const size = 2 ** LEVELS[level]!;
    const segments = this.#levels.get(LEVELS[level]!) ?? [];
    const first = Math.max(Math.ceil(from / size), segments[0]?.head.row ?? Infinity);
    const end = Math.min(Math.floor(to / size), segments.at(-1)?.endRow ?? 0);
    if (!(first < end)) return this.#cover(level - 1, from, to);
    await this.#cover(level - 1, from, first * size);
    const [min, max, count] = levelNames(this.#column);
    const { from: origin } = this.#tally;
    for (const { segment, message, start, stop, row } of messagesOf(segments, first, end)) {
      const [times, lasts] = await this.#read.columns(segment, message, ["time", "last_time"], start, stop);
      const starts = secondsSince(origin, times as BigInt64Array);
      const ends = secondsSince(origin, lasts as BigInt64Array);
      let values: NumericArray[] | undefined;
      for (let i = 0; i < starts.length; i++) {
        const bucket = this.#tally.bucket(starts[i]!);
        const last = this.#tally.bucket(ends[i]!);
        if (bucket !== last) {
          const block = row + i;
          await this.#cover(level - 1, block * size, (block + 1) * size);
        } else if (this.#tally.has(bucket)) {
          values ??= await this.#read.columns(segment, message, [min!, max!, count!], start, stop);
          const [mins, maxs, counts] = values as [Float64Array, Float64Array, Uint32Array];
          this.#tally.add(bucket, mins[i]!, maxs[i]!, counts[i]!);
        }
      }
    }
    await this.#cover(level - 1, end * size, to);
  }

  async #addRows(from: number, to: number): Promise<void> {
    const tally = this.#tally;
    for (const { segment, message, start, stop } of messagesOf(this.#rows, from, to)) {
      if (segment.entries.last(message) < tally.from || segment.entries.first(message) >= tally.to) continue;
      const [times, column] = await this.#read.columns(segment, message, ["time", this.#column], start, stop);
      const seconds = secondsSince(tally.from, times as BigInt64Array);
      const values = numbers(column!);
      for (let i = 0; i < seconds.length; i++) {
        const value = values[i]!;
        const bucket = tally.bucket(seconds[i]!);
        if (value === value && tally.has(bucket)) tally.add(bucket, value, value, 1);
      }
    }
  }
}

interface Part {
  readonly segment: Segment;
  readonly message: number;
  /** Rows of the message that are wanted, and the number of the first in its epoch. */
  readonly start: number;
  readonly stop: number;
  readonly row: number;
}

function* messagesOf(segments: readonly Segment[], from: number, to: number): Generator<Part> {
  for (const segment of segments) {
    const { entries, head, endRow } = segment;
    if (endRow <= from || head.row >= to) continue;
    let low = 1;
    let high = entries.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries.row(middle) + entries.rows(middle) <= from) low = middle + 1;
      else high = middle;
    }
    for (let message = low; message < entries.count && entries.row(message) < to; message++) {
      const row = entries.row(message);
      const start = Math.max(0, from - row);
      const stop = Math.min(entries.rows(message), to - row);
      if (stop > start) yield { segment, message, start, stop, row: row + start };
    }
  }
}

/** Reads some rows of some columns, and nothing else of a message: a scalar beside images costs no image. */
class ColumnReader {
  readonly #files = new Map<Segment, number>();
  /** Where each buffer of a message begins in its segment. */
  readonly #starts = new Map<Segment, Map<number, number[]>>();
  #reads = 0;

  async columns(
    segment: Segment,
    message: number,
    names: readonly string[],
    start: number,
    stop: number,
  ): Promise<NumericArray[]> {
    const wanted = names.map((name) => segment.layout.columns.find((column) => column.name === name)!);
    const starts = this.#startsOf(segment, message);
    const read = readerOf(this.#file(segment));
    const from = (column: ColumnLayout): number => starts[column.buffer]! + start * column.bytes;
    const parts: NumericArray[] = [];
    // Columns that lie beside each other (of a level they do) come in one read.
    const near = from(wanted.at(-1)!) - from(wanted[0]!) < 65536;
    const all = near
      ? read(
          from(wanted[0]!),
          from(wanted.at(-1)!) + (stop - start) * wanted.at(-1)!.bytes - from(wanted[0]!),
        )
      : undefined;
    for (const column of wanted) {
      const length = (stop - start) * column.bytes;
      const at = from(column) - from(wanted[0]!);
      parts.push(valuesOf(all ? all.subarray(at, at + length) : read(from(column), length), column.type));
    }
    this.#reads += near ? 1 : wanted.length;
    if (this.#reads >= READS_PER_TURN) {
      this.#reads = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return parts;
  }

  #file(segment: Segment): number {
    let file = this.#files.get(segment);
    if (file === undefined) {
      if (this.#files.size >= 64) this.close();
      this.#files.set(segment, (file = openSync(segment.path + DATA, "r")));
    }
    return file;
  }

  #startsOf(segment: Segment, message: number): number[] {
    let known = this.#starts.get(segment);
    if (!known) this.#starts.set(segment, (known = new Map()));
    let starts = known.get(message);
    if (!starts) {
      starts = segment.layout.varies
        ? this.#decoded(segment, message)
        : computed(segment, message, segment.layout);
      if (known.size >= 4096) known.clear();
      known.set(message, starts);
    }
    return starts;
  }

  #decoded(segment: Segment, message: number): number[] {
    const offset = segment.entries.offset(message);
    const found = messageAt(readerOf(this.#file(segment)), offset, segment.bytes);
    if (found.what !== "batch")
      throw new RunError(`${segment.name}: message ${message} cannot be read; verify the run`);
    return bodyRegions(found.message, segment.layout).map(
      (region) => offset + found.headerLength + region.offset,
    );
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }
}

/** Where all rows are of one size, the body's length says where each buffer begins. */
function computed({ entries }: Segment, message: number, layout: Layout): number[] {
  const rows = entries.rows(message);
  const starts: number[] = [];
  let length = 0;
  for (const { bytes } of layout.columns) {
    starts.push(length);
    length += padded(rows * bytes);
  }
  const body = entries.offset(message) + entries.length(message) - length;
  return starts.map((start) => body + start);
}
