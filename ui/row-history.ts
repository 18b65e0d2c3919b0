/**
 * The last rows of a stream before a moment, and its first: curves of half cycles, spectra. Where rows lie is known from
 * one coarse view of the whole run; the newest come as they are measured, older ones are asked for.
 */
import type { Client, Ms, RowsFrame, Subscription } from "./client/types.ts";
import { TraceBuffer } from "./trace-buffer.ts";

/** Buckets of the coarse view. */
const COARSE = 4096;
/** Times in ms may lie a µs beside those in ns. */
const NEAR: Ms = 1e-3;

export interface Kept<T> {
  readonly time: Ms;
  readonly value: T;
}

export interface RowHistoryOptions<T> {
  readonly client: Pick<Client, "subscribe">;
  readonly stream: string;
  readonly columns: readonly string[];
  /** A column of numbers: its buckets say where rows are. */
  readonly count: string;
  /** First time of the stream. */
  readonly first: Ms;
  /** Rows wanted before a moment, and as many of the first. */
  readonly wanted: number;
  /** Makes of a row what is kept of it; undefined leaves it out. */
  readonly take: (frame: RowsFrame, at: number) => T | undefined;
  readonly onData: (newest: Ms) => void;
}

type Which = "live" | "past" | "first";

interface Window<T> {
  /** Later than it was asked for where older rows have left. */
  from: Ms;
  readonly to: Ms;
  readonly subscription: Subscription;
  readonly rows: Kept<T>[];
}

export class RowHistory<T> {
  readonly #options: RowHistoryOptions<T>;
  readonly #coarse = new TraceBuffer(2 * COARSE);
  readonly #index: Subscription;
  #live: Window<T> | undefined;
  #past: Window<T> | undefined;
  #first: Window<T> | undefined;
  /** What was drawn of another moment, until an answer is there. */
  #stale: readonly Kept<T>[] = [];

  constructor(options: RowHistoryOptions<T>) {
    this.#options = options;
    const { client, stream, count, first } = options;
    this.#index = client.subscribe(
      { stream, columns: [count], from: first, to: "live", maxPoints: COARSE },
      (frame) => {
        if (frame.kind !== "trace") return;
        this.#coarse.push(frame);
        this.#live ??= this.#open("live", this.#spanBefore(Infinity).from, Infinity);
        options.onData(NaN);
      },
    );
  }

  close(): void {
    this.#index.close();
    for (const window of [this.#live, this.#past, this.#first]) window?.subscription.close();
    this.#live = this.#past = this.#first = undefined;
  }

  /** Rows that there are have not come yet. */
  get asking(): boolean {
    return this.#live === undefined || this.#live.rows.length === 0;
  }

  /** Oldest first, at most so many as are wanted; what is not here yet is asked for. */
  before(moment: Ms | undefined): readonly Kept<T>[] {
    const { wanted } = this.#options;
    const live = this.#live;
    if (!live) return [];
    if (moment === undefined) return live.rows.slice(-wanted);
    const known = live.rows.filter(({ time }) => time <= moment);
    const span = this.#spanBefore(moment);
    if (known.length >= wanted || span.from >= live.from) return known.slice(-wanted);
    const past = this.#past;
    if (!past || past.from > span.from || past.to < span.to) {
      past?.subscription.close();
      if (past && past.rows.length > 0) this.#stale = past.rows;
      this.#past = this.#open("past", span.from, span.to);
    }
    const rows = this.#past!.rows.length > 0 ? this.#past!.rows : this.#stale;
    return rows.filter(({ time }) => time <= moment).slice(-wanted);
  }

  /** The first that there are. */
  first(): readonly Kept<T>[] {
    const { first, wanted } = this.#options;
    if (!this.#live) return [];
    if (this.#live.from <= first) return this.#live.rows.slice(0, wanted); // prettier-ignore
    if (!this.#first) {
      const { time, length } = this.#coarse;
      const [count] = [...this.#coarse.columns.values()];
      let [rows, end] = [0, 0];
      for (; end < length && rows < wanted; end++) rows += count!.count[end]!;
      this.#first = this.#open("first", first - NEAR, (time[end - 1] ?? first) + this.#width / 2 + NEAR);
    }
    return this.#first.rows.slice(0, wanted);
  }

  get #width(): Ms {
    const { time, length } = this.#coarse;
    return length > 1 ? time[1]! - time[0]! : 1;
  }

  /** The stretch of time that holds the rows wanted before a moment. */
  #spanBefore(moment: Ms): { from: Ms; to: Ms } {
    const { time, length } = this.#coarse;
    const [column] = [...this.#coarse.columns.values()];
    const { wanted, first } = this.#options;
    const half = this.#width / 2;
    let i = length - 1;
    while (i >= 0 && time[i]! - half > moment) i--;
    const to = i >= 0 ? time[i]! + half + NEAR : first;
    // One more than wanted: of the last bucket some may be later than the moment.
    for (let rows = 0; i >= 0; i--) {
      rows += column?.count[i] ?? 0;
      if (rows > wanted) return { from: time[i]! - half - NEAR, to };
    }
    return { from: first - NEAR, to };
  }

  #open(which: Which, from: Ms, to: Ms): Window<T> {
    const { client, stream, columns, wanted, take, onData } = this.#options;
    const rows: Kept<T>[] = [];
    const request = { stream, columns, from, to: which === "live" ? which : to, lossless: true } as const;
    const subscription = client.subscribe(request, (frame) => {
      if (frame.kind !== "rows") return;
      for (let i = 0; i < frame.time.length; i++) {
        if (which === "first" && rows.length >= wanted) break;
        const value = take(frame, i);
        if (value !== undefined) rows.push({ time: frame.time[i]!, value });
      }
      // Of the newest some more, so that a moment shortly before now needs no question.
      if (rows.length > 4 * wanted) {
        rows.splice(0, rows.length - 4 * wanted);
        window.from = rows[0]!.time;
      }
      onData(which === "live" ? (rows.at(-1)?.time ?? NaN) : NaN);
    });
    const window: Window<T> = { from, to, subscription, rows };
    return window;
  }
}

/** One row's list of a frame's column. */
export function listOf(frame: RowsFrame, at: number, name: string): Float64Array {
  const list = frame.columns[name] as { values: ArrayLike<number>; offsets: ArrayLike<number> } | undefined;
  if (!list) return new Float64Array(0);
  return Float64Array.from({ length: list.offsets[at + 1]! - list.offsets[at]! }, (_, i) => list.values[list.offsets[at]! + i]!); // prettier-ignore
}

export const numberOf = (frame: RowsFrame, at: number, name: string): number =>
  Number((frame.columns[name] as ArrayLike<number> | undefined)?.[at] ?? NaN);
