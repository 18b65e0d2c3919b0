/**
 * The buckets behind one trace: a fixed number of them, the oldest leaving first.
 * Columns are made at the first frame that names them; after that nothing is allocated.
 */
import type { Ms, TraceFrame } from "./client/types.ts";

export interface TraceColumn {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly count: Uint32Array;
}

export interface Reading {
  readonly time: Ms;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

export class TraceBuffer {
  readonly capacity: number;
  readonly time: Float64Array;
  readonly columns = new Map<string, TraceColumn>();
  length = 0;
  /** Rows that the server left out of this view, by its own count. */
  dropped = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.time = new Float64Array(capacity);
  }

  clear(): void {
    this.length = 0;
  }

  push(frame: TraceFrame): void {
    this.dropped += frame.dropped;
    if (frame.reset) this.length = 0;
    const skip = Math.max(0, frame.time.length - this.capacity);
    const added = frame.time.length - skip;
    if (added === 0) return;
    // A bucket that was still open is sent again: it takes the place of what was drawn of it.
    this.length = Math.min(this.length, this.indexOf(frame.time[skip]!));
    // One move makes room for a quarter more, so that moves are rare.
    if (this.length + added > this.capacity)
      this.#forget(this.length + added - Math.floor(this.capacity * 0.75));
    this.time.set(skip ? frame.time.subarray(skip) : frame.time, this.length);
    for (const [name, { min, max, count }] of Object.entries(frame.columns)) {
      const column = this.#column(name);
      column.min.set(skip ? min.subarray(skip) : min, this.length);
      column.max.set(skip ? max.subarray(skip) : max, this.length);
      column.count.set(skip ? count.subarray(skip) : count, this.length);
    }
    for (const [name, column] of this.columns) {
      if (!(name in frame.columns)) column.count.fill(0, this.length, this.length + added);
    }
    this.length += added;
  }

  #forget(wanted: number): void {
    const n = Math.min(this.length, wanted);
    this.time.copyWithin(0, n, this.length);
    for (const { min, max, count } of this.columns.values()) {
      min.copyWithin(0, n, this.length);
      max.copyWithin(0, n, this.length);
      count.copyWithin(0, n, this.length);
    }
    this.length -= n;
  }

  #column(name: string): TraceColumn {
    let column = this.columns.get(name);
    if (!column) {
      const { capacity } = this;
      column = {
        min: new Float64Array(capacity),
        max: new Float64Array(capacity),
        count: new Uint32Array(capacity),
      };
      this.columns.set(name, column);
    }
    return column;
  }

  /** What is drawn while the view stands still: the original goes on filling. */
  copy(): TraceBuffer {
    const copy = new TraceBuffer(this.capacity);
    copy.push({
      kind: "trace",
      time: this.time.subarray(0, this.length),
      columns: this.#views(),
      reset: true,
      dropped: this.dropped,
    });
    return copy;
  }

  #views(): TraceFrame["columns"] {
    const views: Record<string, TraceColumn> = {};
    for (const [name, { min, max, count }] of this.columns) {
      const n = this.length;
      views[name] = { min: min.subarray(0, n), max: max.subarray(0, n), count: count.subarray(0, n) };
    }
    return views;
  }

  /** Index of the first bucket at or after `time`. */
  indexOf(time: Ms): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle]! < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Least and greatest value between two times, or undefined where nothing was measured. */
  extent(name: string, from: Ms, to: Ms): [number, number] | undefined {
    const column = this.columns.get(name);
    if (!column) return undefined;
    let [least, greatest] = [Infinity, -Infinity];
    for (let i = this.indexOf(from); i < this.length && this.time[i]! <= to; i++) {
      if (column.count[i] === 0) continue;
      if (column.min[i]! < least) least = column.min[i]!;
      if (column.max[i]! > greatest) greatest = column.max[i]!;
    }
    return least <= greatest ? [least, greatest] : undefined;
  }

  /** The last measured bucket at or before `time`: what was known then, never what came after. */
  at(name: string, time: Ms): Reading | undefined {
    const column = this.columns.get(name);
    if (!column) return undefined;
    let i = this.indexOf(time);
    if (i === this.length || this.time[i]! > time) i--;
    for (; i >= 0; i--) {
      const count = column.count[i]!;
      if (count > 0 && !Number.isNaN(column.min[i]!)) {
        return { time: this.time[i]!, min: column.min[i]!, max: column.max[i]!, count };
      }
    }
    return undefined;
  }
}
