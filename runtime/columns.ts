/**
 * Columns: typed arrays by name, rows in time order. What flows between operators.
 */
import {
  imageSize,
  type ArrayOf,
  type Field,
  type Fields,
  type Numeric,
  type NumericArray,
} from "./wire/schema.ts";

/** A list a row: row i is values[offsets[i] … offsets[i + 1]]. */
export interface ListColumn<A extends NumericArray = NumericArray> {
  readonly values: A;
  readonly offsets: Int32Array;
}

export type Column = NumericArray | ListColumn | readonly string[];

/** `time` and every other column by name. */
export type Columns = { readonly time: BigInt64Array } & { readonly [name: string]: Column };

export type ColumnFor<F> =
  F extends Field<"label", Numeric> ? readonly string[]
  : F extends Field<"curve", infer T> ? ListColumn<ArrayOf[T]>
  : F extends Field<"scalar" | "code" | "image", infer T> ? ArrayOf[T]
  : never; // prettier-ignore

export type ValueFor<F> =
  F extends Field<"label", Numeric> ? string
  : F extends Field<"scalar" | "code", infer T> ? (T extends "i64" ? bigint : number)
  : F extends Field<"curve" | "image", infer T> ? ArrayOf[T]
  : never; // prettier-ignore

/** Columns with the types that `F` declares; of optional fields some may be absent. */
export type ColumnsFor<F extends Fields> = { readonly time: BigInt64Array } & {
  readonly [N in keyof F]: ColumnFor<F[N]>;
};

/** One row with the types that `F` declares. Images and curves are lent: who keeps one copies it. */
export type RowFor<F extends Fields> = { readonly time: bigint } & {
  readonly [N in keyof F]: ValueFor<F[N]>;
};

const ARRAYS: { [T in Numeric]: { new (length: number): ArrayOf[T]; readonly BYTES_PER_ELEMENT: number } } = {
  f64: Float64Array,
  f32: Float32Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
};

const TYPE_OF = new Map(
  Object.entries(ARRAYS).map(([type, constructor]) => [constructor as unknown, type as Numeric]),
);

export function makeArray<T extends Numeric>(type: T, length: number): ArrayOf[T] {
  return new ARRAYS[type](length) as ArrayOf[T];
}

export const bytesPerValue = (type: Numeric): number => ARRAYS[type].BYTES_PER_ELEMENT;

/** Storage type of a typed array. */
export function typeOf(array: NumericArray): Numeric {
  return TYPE_OF.get(array.constructor)!;
}

export const isList = (column: Column): column is ListColumn =>
  !ArrayBuffer.isView(column) && !Array.isArray(column);
const isText = (column: Column): column is readonly string[] => Array.isArray(column);

/** Values that one row of a column holds: 1, or the size of an image. */
export function widthOf(name: string, field: Field): number {
  return field.kind === "image" ? imageSize(name, field) : 1;
}

/** Rows `from … to` of a column, without a copy. */
export function sliceColumn(column: Column, width: number, from: number, to: number): Column {
  if (isText(column)) return column.slice(from, to);
  if (isList(column)) return { values: column.values, offsets: column.offsets.subarray(from, to + 1) };
  return column.subarray(from * width, to * width) as NumericArray;
}

/** Rows `from … to`, without a copy of numbers. */
export function slice(columns: Columns, fields: Fields, from: number, to: number): Columns {
  if (from === 0 && to === columns.time.length) return columns;
  const out: Record<string, Column> = { time: columns.time.subarray(from, to) };
  for (const name in fields) {
    const column = columns[name];
    if (column) out[name] = sliceColumn(column, widthOf(name, fields[name]!), from, to);
  }
  return out as Columns;
}

/** Bytes that these columns occupy: what credit is counted in. */
export function byteSize(columns: Columns): number {
  let bytes = 0;
  for (const name in columns) {
    const column = columns[name]!;
    if (ArrayBuffer.isView(column)) bytes += column.byteLength;
    else if (isText(column)) for (const text of column) bytes += 2 * text.length + 16;
    else if (isList(column)) {
      const n = column.offsets.length - 1;
      bytes +=
        column.offsets.byteLength +
        (column.offsets[n]! - column.offsets[0]!) * column.values.BYTES_PER_ELEMENT;
    }
  }
  return bytes;
}

/** One set of columns holding all rows of the parts, in their order, as copies. Parts share their fields. */
export function concat(parts: readonly Columns[], fields: Fields): Columns {
  if (parts.length === 1) return parts[0]!;
  const rows = parts.reduce((n, part) => n + part.time.length, 0);
  const out: Record<string, Column> = {};
  for (const name of ["time", ...Object.keys(fields)]) {
    const columns = parts.map((part) => part[name]).filter((column) => column !== undefined);
    if (columns.length === 0) continue;
    const first = columns[0]!;
    if (isText(first)) out[name] = (columns as (readonly string[])[]).flat();
    else if (isList(first)) out[name] = concatLists(columns as ListColumn[], rows);
    else {
      const arrays = columns as NumericArray[];
      const joined = makeArray(typeOf(first), arrays.reduce((n, a) => n + a.length, 0)); // prettier-ignore
      let at = 0;
      for (const array of arrays) {
        joined.set(array as never, at);
        at += array.length;
      }
      out[name] = joined;
    }
  }
  return out as Columns;
}

function concatLists(lists: readonly ListColumn[], rows: number): ListColumn {
  const offsets = new Int32Array(rows + 1);
  let row = 0;
  for (const list of lists) {
    for (let i = 0; i + 1 < list.offsets.length; i++, row++) {
      offsets[row + 1] = offsets[row]! + list.offsets[i + 1]! - list.offsets[i]!;
    }
  }
  const values = makeArray(typeOf(lists[0]!.values), offsets[rows]!);
  let at = 0;
  for (const list of lists) {
    const part = list.values.subarray(list.offsets[0], list.offsets.at(-1));
    values.set(part as never, at);
    at += part.length;
  }
  return { values, offsets };
}

/** The same rows in the storage type that a field asks for; without a copy where it has it already. */
export function widen(column: Column, type: Numeric): Column {
  if (isText(column)) return column;
  if (isList(column)) {
    return typeOf(column.values) === type ? column : { ...column, values: widenArray(column.values, type) };
  }
  return typeOf(column) === type ? column : widenArray(column, type);
}

function widenArray(from: NumericArray, type: Numeric): NumericArray {
  const to = makeArray(type, from.length);
  if (typeOf(from) === "i64" && type !== "i64") {
    for (let i = 0; i < from.length; i++) (to as Float64Array)[i] = Number(from[i]);
  } else if (type === "i64" && typeOf(from) !== "i64") {
    for (let i = 0; i < from.length; i++) (to as BigInt64Array)[i] = BigInt(from[i]!);
  } else (to as Float64Array).set(from as Float64Array);
  return to;
}

/** True where every value of type `from` is also a value of type `to`. */
export function fits(from: Numeric, to: Numeric): boolean {
  if (from === to || to === "f64") return from !== "i64" || to === "i64";
  const bits = { i8: [1, 7], u8: [0, 8], i16: [1, 15], u16: [0, 16], i32: [1, 31], u32: [0, 32] } as const;
  if (!(from in bits)) return false;
  const [signed, size] = bits[from as keyof typeof bits];
  if (to === "f32") return size <= 24;
  if (to === "i64") return true;
  if (!(to in bits)) return false;
  const [signedTo, sizeTo] = bits[to as keyof typeof bits];
  return size <= sizeTo && signedTo >= signed;
}

/**
 * How times follow each other: 2 each after the one before, 1 none before the one before, 0 out of order.
 * Compares the two 32-bit halves (1 ns a row; BigInts take 20).
 */
export function timeOrder(time: BigInt64Array): 0 | 1 | 2 {
  const halves = new Int32Array(time.buffer, time.byteOffset, time.length * 2);
  let order: 1 | 2 = 2;
  for (let i = 2; i < halves.length; i += 2) {
    const high = halves[i + 1]! - halves[i - 1]!;
    if (high > 0) continue;
    if (high < 0) return 0;
    const low = (halves[i]! >>> 0) - (halves[i - 2]! >>> 0);
    if (low < 0) return 0;
    if (low === 0) order = 1;
  }
  return order;
}

/**
 * Seconds from `origin` to each time, through the two 32-bit halves (10 ns a row; through BigInt 260).
 * Finds back its nanosecond for 60 days around the origin.
 */
export function secondsSince(origin: bigint, time: BigInt64Array): Float64Array {
  const halves = new Int32Array(time.buffer, time.byteOffset, time.length * 2);
  const low0 = Number(BigInt.asUintN(32, origin));
  const high0 = Number(origin >> 32n);
  const seconds = new Float64Array(time.length);
  for (let i = 0; i < time.length; i++) {
    const high = halves[2 * i + 1]! - high0;
    const low = (halves[2 * i]! >>> 0) - low0;
    seconds[i] = (high * 4294967296 + low) / 1e9;
  }
  return seconds;
}

/** The largest double not after `time`, in seconds since `origin`: what is promised is never promised early. */
export function secondsBefore(origin: bigint, time: bigint): number {
  const ns = time - origin;
  let seconds = Number(ns) / 1e9;
  // One ulp is enough: the quotient of two exact numbers is rounded once or twice.
  while (BigInt(Math.round(Math.abs(seconds) * 1e9)) * (seconds < 0 ? -1n : 1n) > ns)
    seconds = below(seconds);
  return seconds;
}

const scratch = new DataView(new ArrayBuffer(8));
function below(x: number): number {
  if (x === 0) return -Number.MIN_VALUE;
  scratch.setFloat64(0, x);
  scratch.setBigInt64(0, scratch.getBigInt64(0) + (x > 0 ? -1n : 1n));
  return scratch.getFloat64(0);
}

/** The nanosecond nearest to `seconds` after `origin`. */
export function timeAt(origin: bigint, seconds: number): bigint {
  const whole = Math.floor(seconds);
  return origin + BigInt(whole) * 1_000_000_000n + BigInt(Math.round((seconds - whole) * 1e9));
}
