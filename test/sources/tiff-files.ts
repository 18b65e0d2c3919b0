/** Writes TIFF files of our own making: every kind that the reader says it reads. */
import { deflateSync } from "node:zlib";

export type PixelType = "u8" | "u16" | "u32" | "i8" | "i16" | "i32" | "f32" | "f64";
export type Compression = "none" | "lzw" | "deflate" | "packbits";

export interface TiffOptions {
  type?: PixelType;
  big?: boolean;
  little?: boolean;
  compression?: Compression;
  predictor?: 1 | 2 | 3;
  /** Rows of a strip; or a tile's size. */
  strip?: number;
  tile?: readonly [rows: number, cols: number];
  /** Tags in place of those that are written, or beside them. */
  tags?: Record<number, readonly number[]>;
  description?: string;
  /** Where the last page's link leads; 0 is nowhere. */
  link?: (pageAt: readonly number[]) => number;
}

export interface Page {
  readonly rows: number;
  readonly cols: number;
  readonly values: ArrayLike<number>;
}

const BYTES: Record<PixelType, number> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, f64: 8 };
const CODES: Record<Compression, number> = { none: 1, lzw: 5, deflate: 8, packbits: 32773 };

function valueBytes(values: ArrayLike<number>, type: PixelType, little: boolean): Buffer {
  const size = BYTES[type];
  const out = Buffer.alloc(values.length * size);
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  const put = {
    u8: view.setUint8, i8: view.setInt8, u16: view.setUint16, i16: view.setInt16, u32: view.setUint32, i32: view.setInt32,
    f32: view.setFloat32, f64: view.setFloat64,
  }[type]; // prettier-ignore
  for (let i = 0; i < values.length; i++) put.call(view, i * size, values[i]!, little);
  return out;
}

/** Differences to the left, of values (2) or of the bytes' planes (3). */
function predicted(values: readonly number[], cols: number, { type = "u16", little = true, predictor = 1 }: TiffOptions): Buffer {
  const size = BYTES[type];
  if (predictor === 3) {
    const plain = valueBytes(values, type, false);
    const out = Buffer.alloc(plain.length);
    for (let row = 0; row < plain.length; row += cols * size) {
      const planes = Buffer.alloc(cols * size);
      for (let i = 0; i < cols; i++) for (let b = 0; b < size; b++) planes[b * cols + i] = plain[row + i * size + b]!;
      for (let i = cols * size - 1; i > 0; i--) planes[i] = planes[i]! - planes[i - 1]!;
      planes.copy(out, row);
    }
    return out;
  }
  const bytes = valueBytes(values, type, little);
  if (predictor === 1) return bytes;
  const bits = BigInt(8 * size);
  const get = (i: number): bigint => {
    const one = Buffer.from(bytes.subarray(i * size, (i + 1) * size));
    return BigInt(`0x${(little ? one.reverse() : one).toString("hex")}`);
  };
  const out = Buffer.alloc(bytes.length);
  for (let i = 0; i < values.length; i++) {
    const difference = BigInt.asUintN(Number(bits), get(i) - (i % cols === 0 ? 0n : get(i - 1)));
    const hex = Buffer.from(difference.toString(16).padStart(2 * size, "0"), "hex");
    (little ? hex.reverse() : hex).copy(out, i * size);
  }
  return out;
} // prettier-ignore

export function lzw(bytes: Uint8Array): Buffer {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  let width = 9;
  const put = (code: number): void => {
    held = (held << width) | code;
    bits += width;
    while (bits >= 8) {
      out.push((held >> (bits - 8)) & 255);
      bits -= 8;
    }
    held &= (1 << bits) - 1;
  };
  let table = new Map<string, number>();
  let next = 258;
  const clear = (): void => {
    put(256);
    table = new Map();
    next = 258;
    width = 9;
  };
  clear();
  const codeOf = (text: string): number => (text.length === 1 ? text.charCodeAt(0) : table.get(text)!);
  let run = "";
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (run === "" || table.has(run + char)) {
      run += char;
      continue;
    }
    put(codeOf(run));
    table.set(run + char, next++);
    if (next === 512 || next === 1024 || next === 2048) width++;
    if (next === 4094) clear();
    run = char;
  }
  if (run !== "") {
    put(codeOf(run));
    next++;
    if (next === 512 || next === 1024 || next === 2048) width++;
  }
  put(257);
  if (bits > 0) out.push((held << (8 - bits)) & 255);
  return Buffer.from(out);
}

function packBits(bytes: Uint8Array): Buffer {
  const out: number[] = [];
  for (let i = 0; i < bytes.length;) {
    let same = 1;
    while (i + same < bytes.length && bytes[i + same] === bytes[i] && same < 128) same++;
    if (same > 1) {
      out.push(257 - same, bytes[i]!);
      i += same;
      continue;
    }
    let n = 1;
    while (i + n < bytes.length && bytes[i + n] !== bytes[i + n - 1] && n < 128) n++;
    out.push(n - 1, ...bytes.subarray(i, i + n));
    i += n;
  }
  out.push(128); // no operation
  return Buffer.from(out);
}

const compress = (bytes: Buffer, how: Compression): Buffer =>
  how === "lzw"
    ? lzw(bytes)
    : how === "deflate"
      ? deflateSync(bytes)
      : how === "packbits"
        ? packBits(bytes)
        : bytes;

export function tiff(pages: readonly Page[], options: TiffOptions = {}): Buffer {
  const { type = "u16", big = false, little = true, compression = "none", predictor = 1, tile, description, link } = options;
  const u16 = (v: number): Buffer => valueBytes([v], "u16", little);
  const u32 = (v: number): Buffer => valueBytes([v], "u32", little);
  const u64 = (v: number): Buffer => Buffer.concat(little ? [u32(v), u32(0)] : [u32(0), u32(v)]);
  const offset = big ? u64 : u32;
  const mark = Buffer.from(little ? "II" : "MM");
  const parts: Buffer[] = [big ? Buffer.concat([mark, u16(43), u16(8), u16(0), u64(0)]) : Buffer.concat([mark, u16(42), u32(0)])];
  let at = parts[0]!.length;
  const add = (bytes: Buffer): number => {
    const from = at;
    parts.push(bytes);
    at += bytes.length;
    return from;
  };
  let links: [part: Buffer, at: number] = [parts[0]!, big ? 8 : 4];
  const pageAt: number[] = [];
  for (const { rows, cols, values } of pages) {
    const offsets: number[] = [];
    const lengths: number[] = [];
    const [tileRows, tileCols] = tile ?? [Math.min(options.strip ?? rows, rows), cols];
    for (let top = 0; top < rows; top += tileRows) {
      for (let left = 0; left < cols; left += tileCols) {
        const height = tile ? tileRows : Math.min(tileRows, rows - top);
        const block = Array.from({ length: height * tileCols }, (_, i) => {
          const [r, c] = [top + Math.floor(i / tileCols), left + (i % tileCols)];
          return r < rows && c < cols ? values[r * cols + c]! : 0;
        });
        const bytes = compress(predicted(block, tileCols, options), compression);
        offsets.push(add(bytes));
        lengths.push(bytes.length);
        if (at % 2) add(Buffer.alloc(1));
      }
    }
    const format = type.startsWith("u") ? 1 : type.startsWith("i") ? 2 : 3;
    const tags: Record<number, readonly number[]> = {
      256: [cols], 257: [rows], 258: [8 * BYTES[type]], 259: [CODES[compression]], 262: [1], 277: [1], 339: [format],
      ...(predictor !== 1 && { 317: [predictor] }),
      ...(tile ? { 322: [tileCols], 323: [tileRows], 324: offsets, 325: lengths } : { 273: offsets, 278: [tileRows], 279: lengths }),
      ...options.tags,
    };
    const entries: Buffer[] = [];
    const names = Object.keys(tags).map(Number);
    if (description !== undefined) names.push(270);
    for (const tag of names.sort((a, b) => a - b)) {
      const long = [256, 257, 273, 278, 279, 322, 323, 324, 325].includes(tag);
      const given = tag === 270 ? [...Buffer.from(`${description}\0`, "latin1")] : tags[tag]!;
      const kind = tag === 270 ? 2 : long ? (big ? 16 : 4) : 3;
      const one = kind === 2 ? (v: number): Buffer => Buffer.of(v) : long ? offset : u16;
      const bytes = Buffer.concat(given.map(one));
      const room = big ? 8 : 4;
      const inline = bytes.length <= room ? Buffer.concat([bytes, Buffer.alloc(room - bytes.length)]) : offset(add(bytes));
      entries.push(Buffer.concat([u16(tag), u16(kind), offset(given.length), inline]));
    }
    if (at % 2) add(Buffer.alloc(1));
    const directory = Buffer.concat([(big ? u64 : u16)(entries.length), ...entries, offset(0)]);
    offset(at).copy(links[0], links[1]);
    pageAt.push(add(directory));
    links = [directory, directory.length - (big ? 8 : 4)];
    if (at % 2) add(Buffer.alloc(1));
  }
  if (link) offset(link(pageAt)).copy(links[0], links[1]);
  return Buffer.concat(parts);
} // prettier-ignore

/** A page whose values tell where they stand. */
export function ramp(rows: number, cols: number, from = 0, scale = 1): Page {
  return { rows, cols, values: Array.from({ length: rows * cols }, (_, i) => (from + i) * scale) };
}
