/**
 * Cuts a derived stream by its rows alone: after a fixed number of them, by their size, and at each whole pane of
 * event time, counted from 1970, that has brought enough of them; what is slower waits for the end of the long pane. How the
 * rows came, and when, leaves no trace; so a replay writes the same bytes.
 */
import { join, timesOf, valuesOf, type Flat, type Layout, type Piece } from "./layout.ts";

export const MAX_ROWS = 8192;
export const MAX_BYTES = 4 * 1024 * 1024;

/** A message of its own costs some 500 bytes; a batch is worth it from so many on. */
const WORTH_BYTES = 4096;
/** Panes in a long pane, at the end of which a batch is cut whatever it holds. */
const LONG = 60n;

export interface CutRule {
  readonly rows?: number;
  readonly bytes?: number;
  /** ns; without it time does not cut. */
  readonly pane?: bigint;
}

export class Cutter {
  readonly #layout: Layout;
  readonly #maxRows: number;
  readonly #maxBytes: number;
  readonly #pane: bigint | undefined;
  #open: Piece[] = [];
  #rows = 0;
  #bytes = 0;
  #paneEnd = 0n;
  #longEnd = 0n;

  constructor(layout: Layout, { rows = MAX_ROWS, bytes = MAX_BYTES, pane }: CutRule) {
    this.#layout = layout;
    this.#maxBytes = bytes;
    this.#maxRows = Math.max(1, Math.min(rows, Math.floor(bytes / layout.fixedBytes)));
    this.#pane = pane;
  }

  /** Takes the next rows, in time order, and gives what has become complete. The bytes are kept, not copied. */
  take(flat: Flat): Flat[] {
    const done: Flat[] = [];
    const times = timesOf(flat);
    let from = 0;
    while (from < flat.rows) {
      if (this.#pane !== undefined) {
        const time = times[from]!;
        if (this.#isOver(time)) done.push(this.#close());
        if (this.#rows === 0) this.#longEnd = endOfPane(time, LONG * this.#pane);
        if (this.#rows === 0 || time >= this.#paneEnd) this.#paneEnd = endOfPane(time, this.#pane);
      }
      let to = Math.min(flat.rows, from + this.#maxRows - this.#rows);
      if (this.#pane !== undefined && times[to - 1]! >= this.#paneEnd)
        to = firstAtOrAfter(times, this.#paneEnd, from, to);
      let full = this.#rows + to - from === this.#maxRows;
      if (this.#layout.varies) {
        const fits = this.#fitting(flat, from, to);
        full = fits < to || full;
        to = fits;
      }
      if (to > from) this.#open.push({ flat, from, to });
      this.#rows += to - from;
      from = to;
      if (full) done.push(this.#close());
    }
    return done;
  }

  /** No later row is before the watermark: gives the open batch if its pane is over. */
  advance(watermark: bigint): Flat | undefined {
    return this.#pane !== undefined && this.#isOver(watermark) ? this.#close() : undefined;
  }

  /** Whether the open batch ends where all rows before this time have come. */
  #isOver(time: bigint): boolean {
    if (this.#rows === 0 || time < this.#paneEnd) return false;
    const bytes = this.#layout.varies ? this.#bytes : this.#rows * this.#layout.fixedBytes;
    return bytes >= WORTH_BYTES || time >= this.#longEnd;
  }

  /** Gives what is left: no row comes any more. */
  end(): Flat | undefined {
    return this.#rows > 0 ? this.#close() : undefined;
  }

  /** How far rows go before their bytes are too many; at least one row goes into a batch. */
  #fitting(flat: Flat, from: number, to: number): number {
    const lists = this.#layout.columns
      .filter(({ varies }) => varies)
      .map(({ buffer, bytes }) => ({ offsets: valuesOf(flat.buffers[buffer]!, "i32") as Int32Array, bytes }));
    for (let i = from; i < to; i++) {
      let size = this.#layout.fixedBytes;
      for (const { offsets, bytes } of lists) size += (offsets[i + 1]! - offsets[i]!) * bytes;
      if (this.#bytes + size > this.#maxBytes && this.#rows + i - from > 0) return i;
      this.#bytes += size;
    }
    return to;
  }

  #close(): Flat {
    const flat = join(this.#open, this.#layout);
    this.#open = [];
    this.#rows = 0;
    this.#bytes = 0;
    return flat;
  }
}

function endOfPane(time: bigint, pane: bigint): bigint {
  const into = time % pane;
  return time - (into < 0n ? into + pane : into) + pane;
}

function firstAtOrAfter(times: BigInt64Array, time: bigint, from: number, to: number): number {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (times[middle]! < time) from = middle + 1;
    else to = middle;
  }
  return from;
}
