/**
 * Levels: min, max, mean and count of each scalar column per 2^k rows, k = 6, 9, 12 …, so that any zoom costs as much
 * as it has pixels. Each level is a stream like any other, its row number the block's: block n covers the rows
 * n · 2^k up to (n + 1) · 2^k of its epoch. NaN rows do not count; a block of them has count 0 and NaN elsewhere.
 */
import { makeArray, type Columns } from "../columns.ts";
import { scalar, type Fields, type NumericArray, type Schema } from "../wire/schema.ts";
import { timesOf, valuesOf, type Flat, type Layout } from "./layout.ts";

export const LEVELS = [6, 9, 12, 15, 18, 21] as const;
/** Blocks in a record batch of a level. */
export const LEVEL_ROWS = 256;

const BLOCK = 1 << LEVELS[0];
const FAN = 8;
/** Numbers kept per column of an open block: min, max, sum, count. */
const KEPT = 4;

/** Columns that have levels. */
export const levelColumns = (schema: Schema): string[] =>
  Object.keys(schema.fields).filter((name) => schema.fields[name]!.kind === "scalar");

/** Of one column, in this order and beside each other, so that a view reads them at once. */
export const levelNames = (name: string): string[] => [
  `${name}_min`,
  `${name}_max`,
  `${name}_count`,
  `${name}_mean`,
];

/** `time` is the earliest of a block, `last_time` its latest. */
export function levelSchema(schema: Schema, k: number): Schema {
  const fields: Record<string, Fields[string]> = { last_time: scalar("ns", { type: "i64" }) };
  for (const name of levelColumns(schema)) {
    const { unit } = schema.fields[name]!;
    for (const of of levelNames(name))
      fields[of] = of.endsWith("_count") ? scalar("1", { type: "u32" }) : scalar(unit);
  }
  return { fields, metadata: { rows_per_block: String(2 ** k) } };
}

interface Level {
  /** Of the block that is open: earliest and latest time, and per column min, max, sum, count. */
  first: bigint;
  last: bigint;
  readonly open: Float64Array;
  /** Rows (of the lowest level) or blocks (of the level below) in the open block. */
  filled: number;
  /** False in a block whose first rows are not there: it is not given out. */
  whole: boolean;
  readonly done: { first: bigint[]; last: bigint[]; values: number[] };
  /** Number of the first block in `done`, and of the open one. */
  doneFrom: number;
  block: number;
}

/** Blocks of one level that are complete. */
export interface LevelRows {
  readonly k: number;
  readonly row: number;
  readonly columns: Columns;
}

/** Sums up the rows of one epoch as they are written. */
export class LevelBuilder {
  readonly #names: string[];
  readonly #levels: Level[];

  constructor(schema: Schema, row: number) {
    this.#names = levelColumns(schema);
    this.#levels = LEVELS.map((k) => this.#start(Math.floor(row / 2 ** k), row % 2 ** k));
  }

  #start(block: number, into: number): Level {
    const level: Level = {
      first: 0n, last: 0n, open: new Float64Array(this.#names.length * KEPT), filled: 0, whole: into === 0,
      done: { first: [], last: [], values: [] }, doneFrom: into === 0 ? block : block + 1, block,
    }; // prettier-ignore
    this.#clear(level);
    return level;
  }

  #clear(level: Level): void {
    for (let i = 0; i < level.open.length; i += KEPT) {
      level.open[i] = Infinity;
      level.open[i + 1] = -Infinity;
      level.open[i + 2] = level.open[i + 3] = 0;
    }
    level.filled = 0;
  }

  add(flat: Flat, layout: Layout, row: number): void {
    if (this.#names.length === 0) return;
    const times = timesOf(flat);
    const columns = layout.columns.filter(({ name, kind }) => kind === "scalar" && name !== "time");
    const values = columns.map(({ buffer, type }) => numbers(valuesOf(flat.buffers[buffer]!, type)));
    const level = this.#levels[0]!;
    for (let from = 0; from < flat.rows;) {
      const to = Math.min(flat.rows, from + BLOCK - ((row + from) % BLOCK));
      // Rows are sorted within a batch, so its ends are its extremes.
      if (level.filled === 0 || times[from]! < level.first) level.first = times[from]!;
      if (level.filled === 0 || times[to - 1]! > level.last) level.last = times[to - 1]!;
      level.filled += to - from;
      for (let column = 0; column < values.length; column++)
        sumUp(values[column]!, from, to, level.open, column * KEPT);
      if ((row + to) % BLOCK === 0) this.#close(0);
      from = to;
    }
  }

  #close(i: number): void {
    const level = this.#levels[i]!;
    if (level.whole) {
      level.done.first.push(level.first);
      level.done.last.push(level.last);
      for (const value of level.open) level.done.values.push(value);
    }
    const above = this.#levels[i + 1];
    if (above) {
      if (above.filled === 0 || level.first < above.first) above.first = level.first;
      if (above.filled === 0 || level.last > above.last) above.last = level.last;
      above.filled++;
      for (let at = 0; at < level.open.length; at += KEPT) {
        above.open[at] = Math.min(above.open[at]!, level.open[at]!);
        above.open[at + 1] = Math.max(above.open[at + 1]!, level.open[at + 1]!);
        above.open[at + 2]! += level.open[at + 2]!;
        above.open[at + 3]! += level.open[at + 3]!;
      }
      if (level.block % FAN === FAN - 1) this.#close(i + 1);
    }
    level.block++;
    level.whole = true;
    this.#clear(level);
  }

  /** Gives out blocks in full batches; at the end, all that are whole. */
  take({ all = false } = {}): LevelRows[] {
    const taken: LevelRows[] = [];
    for (const [i, level] of this.#levels.entries()) {
      const { done } = level;
      while (done.first.length >= (all ? 1 : LEVEL_ROWS)) {
        const n = Math.min(LEVEL_ROWS, done.first.length);
        const values = done.values.splice(0, n * level.open.length);
        const columns = this.#columnsOf({
          first: done.first.splice(0, n),
          last: done.last.splice(0, n),
          values,
        });
        taken.push({ k: LEVELS[i]!, row: level.doneFrom, columns });
        level.doneFrom += n;
      }
    }
    return taken;
  }

  #columnsOf({ first, last, values }: Level["done"]): Columns {
    const stride = this.#names.length * KEPT;
    const columns: Record<string, NumericArray> = {
      time: BigInt64Array.from(first),
      last_time: BigInt64Array.from(last),
    };
    for (const [column, name] of this.#names.entries()) {
      const [min, max, count, mean] = (["f64", "f64", "u32", "f64"] as const).map((type) =>
        makeArray(type, first.length),
      );
      for (let i = 0; i < first.length; i++) {
        const at = i * stride + column * KEPT;
        const n = values[at + 3]!;
        min![i] = n > 0 ? values[at]! : NaN;
        max![i] = n > 0 ? values[at + 1]! : NaN;
        count![i] = n;
        mean![i] = values[at + 2]! / n; // 0 / 0 is NaN
      }
      for (const [i, of] of levelNames(name).entries()) columns[of] = [min!, max!, count!, mean!][i]!;
    }
    return columns as unknown as Columns;
  }
}

/** Integers of 64 bits become the nearest double: a view needs no more. */
export const numbers = (values: NumericArray): Exclude<NumericArray, BigInt64Array> =>
  values instanceof BigInt64Array ? Float64Array.from(values, Number) : values;

function sumUp(
  values: Exclude<NumericArray, BigInt64Array>,
  from: number,
  to: number,
  into: Float64Array,
  at: number,
): void {
  let min = into[at]!;
  let max = into[at + 1]!;
  let sum = into[at + 2]!;
  let count = into[at + 3]!;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    if (value !== value) continue; // NaN: not measured
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count++;
  }
  into[at] = min;
  into[at + 1] = max;
  into[at + 2] = sum;
  into[at + 3] = count;
}
