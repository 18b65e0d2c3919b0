/**
 * Columns as the bytes that Arrow writes: per column one buffer of values, or offsets and values where rows vary in
 * length. Text is held as UTF-8 from here on, so that cutting and joining rows never looks at what they mean.
 */
import { bytesPerValue, isList, makeArray, typeOf, widthOf, type Column, type Columns } from "../columns.ts";
import type { Field, Numeric, NumericArray, Schema } from "../wire/schema.ts";

export interface ColumnLayout {
  readonly name: string;
  readonly kind: Field["kind"];
  readonly type: Numeric;
  /** Values in one row; of curves and labels not read. */
  readonly width: number;
  /** Bytes of one row, or of one value where rows vary in length. */
  readonly bytes: number;
  readonly varies: boolean;
  /** Position of its first buffer in `Flat.buffers`. */
  readonly buffer: number;
}

export interface Layout {
  /** `time` first. */
  readonly columns: readonly ColumnLayout[];
  /** Bytes of one row, without what varies. */
  readonly fixedBytes: number;
  readonly varies: boolean;
  readonly buffers: number;
}

/** Rows as bytes: for each column its values, or its offsets (from 0, rows + 1 of them) and its values. */
export interface Flat {
  readonly rows: number;
  readonly buffers: readonly Uint8Array[];
}

const layouts = new WeakMap<Schema, Layout>();

export function layoutOf(schema: Schema): Layout {
  const known = layouts.get(schema);
  if (known) return known;
  let buffer = 0;
  const columns = [
    ["time", { kind: "scalar", type: "i64", unit: "ns" }] as [string, Field],
    ...Object.entries(schema.fields),
  ].map(([name, field]): ColumnLayout => {
    const varies = field.kind === "curve" || field.kind === "label";
    const type = field.kind === "label" ? "u8" : field.type;
    const width = widthOf(name, field);
    const column = {
      name,
      kind: field.kind,
      type,
      width,
      varies,
      buffer,
      bytes: bytesPerValue(type) * width,
    };
    buffer += varies ? 2 : 1;
    return column;
  });
  const fixedBytes = columns.reduce((sum, { varies, bytes }) => sum + (varies ? 4 : bytes), 0);
  const made = { columns, fixedBytes, varies: columns.some(({ varies }) => varies), buffers: buffer };
  layouts.set(schema, made);
  return made;
}

const bytesOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Columns as bytes, numbers without a copy. Throws TypeError or RangeError where they are not what the schema says. */
export function flatten(columns: Columns, layout: Layout, stream: string): Flat {
  const rows = columns.time.length;
  const buffers: Uint8Array[] = [];
  for (const { name, kind, type, width, varies } of layout.columns) {
    const column = columns[name];
    if (column === undefined) {
      if (rows > 0) throw new TypeError(`${stream}: column ${name} is missing`);
      if (varies) buffers.push(new Uint8Array(4), new Uint8Array(0));
      else buffers.push(new Uint8Array(0));
      continue;
    }
    if (kind === "label") {
      buffers.push(...utf8(column as readonly string[]));
    } else if (isList(column)) {
      if (typeOf(column.values) !== type)
        throw new TypeError(`${stream}: ${name} is ${typeOf(column.values)}, declared as ${type}`);
      const first = column.offsets[0] ?? 0;
      const last = column.offsets[rows] ?? first;
      const offsets = rows === 0 ? new Int32Array(1) : column.offsets.subarray(0, rows + 1);
      buffers.push(
        bytesOf(rows === 0 || first === 0 ? offsets : offsets.map((at) => at - first)),
        bytesOf(column.values.subarray(first, last)),
      );
    } else {
      const values = column as NumericArray;
      if (typeOf(values) !== type)
        throw new TypeError(`${stream}: ${name} is ${typeOf(values)}, declared as ${type}`);
      if (values.length !== rows * width) {
        throw new RangeError(
          `${stream}: ${name} holds ${values.length} values; ${rows} rows need ${rows * width}`,
        );
      }
      buffers.push(bytesOf(values));
    }
    const [offsets, values] = varies ? buffers.slice(-2) : [];
    if (offsets && (offsets.length / 4 !== rows + 1 || values === undefined)) {
      throw new RangeError(`${stream}: ${name} has ${offsets.length / 4 - 1} rows, time has ${rows}`);
    }
  }
  return { rows, buffers };
}

function utf8(texts: readonly string[]): [Uint8Array, Uint8Array] {
  const offsets = new Int32Array(texts.length + 1);
  for (let i = 0; i < texts.length; i++) offsets[i + 1] = offsets[i]! + Buffer.byteLength(texts[i]!);
  const values = Buffer.allocUnsafeSlow(offsets[texts.length]!);
  for (let i = 0; i < texts.length; i++) values.write(texts[i]!, offsets[i]);
  return [bytesOf(offsets), bytesOf(values)];
}

type View = new (buffer: ArrayBufferLike, offset: number, length: number) => NumericArray;
const views = new Map<Numeric, View>();

/** A view of bytes as values of a type; copies only what does not lie where such values may. */
export function valuesOf(bytes: Uint8Array, type: Numeric): NumericArray {
  let made = views.get(type);
  if (!made) views.set(type, (made = makeArray(type, 0).constructor as View));
  const size = bytesPerValue(type);
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new made(buffer, byteOffset, byteLength / size);
}

/** Times of all rows. */
export const timesOf = (flat: Flat): BigInt64Array => valuesOf(flat.buffers[0]!, "i64") as BigInt64Array;

/** Bytes back as columns, numbers without a copy. */
export function unflatten({ rows, buffers }: Flat, layout: Layout): Columns {
  const columns: Record<string, Column> = {};
  for (const { name, kind, type, varies, buffer } of layout.columns) {
    if (!varies) {
      columns[name] = valuesOf(buffers[buffer]!, type);
      continue;
    }
    const offsets = valuesOf(buffers[buffer]!, "i32") as Int32Array;
    const bytes = buffers[buffer + 1]!;
    if (kind === "curve") columns[name] = { values: valuesOf(bytes, type), offsets };
    else {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      columns[name] = Array.from({ length: rows }, (_, i) =>
        text.toString("utf8", offsets[i], offsets[i + 1]),
      );
    }
  }
  return columns as Columns;
}

/** Some rows of several pieces, joined: what a cutter hands on. A single whole piece is not copied. */
export interface Piece {
  readonly flat: Flat;
  readonly from: number;
  readonly to: number;
}

export function join(pieces: readonly Piece[], layout: Layout): Flat {
  const [only] = pieces;
  if (pieces.length === 1 && only!.from === 0 && only!.to === only!.flat.rows) return only!.flat;
  const rows = pieces.reduce((sum, { from, to }) => sum + to - from, 0);
  const buffers: Uint8Array[] = [];
  for (const { varies, bytes, buffer } of layout.columns) {
    if (!varies) {
      const parts = pieces.map(({ flat, from, to }) =>
        flat.buffers[buffer]!.subarray(from * bytes, to * bytes),
      );
      buffers.push(joinBytes(parts, rows * bytes));
      continue;
    }
    const offsets = new Int32Array(rows + 1);
    let row = 0;
    const parts = pieces.map(({ flat, from, to }) => {
      const theirs = valuesOf(flat.buffers[buffer]!, "i32") as Int32Array;
      for (let i = from; i < to; i++, row++) offsets[row + 1] = offsets[row]! + theirs[i + 1]! - theirs[i]!;
      return flat.buffers[buffer + 1]!.subarray(theirs[from]! * bytes, theirs[to]! * bytes);
    });
    buffers.push(bytesOf(offsets), joinBytes(parts, offsets[rows]! * bytes));
  }
  return { rows, buffers };
}

function joinBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const joined = bytesOf(Buffer.allocUnsafeSlow(length));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
