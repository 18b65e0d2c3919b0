/**
 * Grey images in TIFF 6.0 and BigTIFF: pages of 8, 16 or 32 bit, whole numbers or floats (64 bit become single
 * precision), either byte order, strips or tiles; uncompressed, LZW, deflate or PackBits, with predictor or without.
 * A stack that ImageJ wrote above 4 GB names one page and its number of images; they lie one after the other.
 *
 * Our own reader, since the packaged one (geotiff 3.0.5) gives zeros for what a truncated file lacks, follows a loop of
 * pages for ever, takes a big-endian predictor the wrong way round, and needs 20 ms for 1024 × 1024 pixels (here 2).
 *
 * Reference: TIFF Revision 6.0 (Aldus, 1992); Supplement 2 (Adobe, 2002); Technical Note 3 (floating point predictor).
 */
import { open, type FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { inflateSync } from "node:zlib";
import { SourceError, type Numeric } from "../runtime/index.ts";
import { fill } from "./bytes.ts";
import type { Numbers } from "./hdf5.ts";

/** What all frames of a scan are like; another one is refused. */
export interface FrameShape {
  readonly rows: number;
  readonly cols: number;
  readonly type: Numeric;
}

export function isTiff(head: Uint8Array): boolean {
  const [a, b, c, d] = head;
  if (a === 0x49 && b === 0x49) return (c === 42 || c === 43) && d === 0;
  return a === 0x4d && b === 0x4d && c === 0 && (d === 42 || d === 43);
}

/** One look at a file: how many pages, and what the first is like. */
export async function tiffPages(path: string): Promise<{ count: number; first: FrameShape }> {
  return withTiff(path, async (tiff) => {
    const { pages } = await pagesOf(tiff);
    const page = await readPage(tiff, pages[0]!, 0);
    return { count: Math.max(pages.length, page.stack), first: page };
  });
}

/** Pages first … first + count. */
export async function readTiffFrames(
  path: string,
  first: number,
  count: number,
  wanted?: FrameShape,
): Promise<Numbers> {
  return withTiff(path, async (tiff) => {
    const { pages } = await pagesOf(tiff);
    let out: Numbers | undefined;
    for (let i = first; i < first + count; i++) {
      const at = pages[i] ?? pages[0]!;
      const page = await readPage(tiff, at, pages[i] === undefined ? 0 : i);
      if (i >= Math.max(pages.length, page.stack)) {
        throw new SourceError(`${path}: has ${Math.max(pages.length, page.stack)} pages; wanted page ${i + 1}`);
      }
      if (wanted && (page.rows !== wanted.rows || page.cols !== wanted.cols || page.type !== wanted.type)) {
        throw new SourceError(
          `${where(path, i)}: is ${page.rows} × ${page.cols} (${page.type}), the frames before it are ` +
            `${wanted.rows} × ${wanted.cols} (${wanted.type}); it is left out`,
        );
      }
      const values = await pixels(tiff, page, i, pages[i] === undefined ? i : 0);
      if (count === 1) return values;
      out ??= new (values.constructor as new (n: number) => Numbers)(values.length * count);
      if (values.length * count !== out.length || values.constructor !== out.constructor) {
        throw new SourceError(`${where(path, i)}: is ${page.rows} × ${page.cols} (${page.type}), unlike the page before it`);
      }
      out.set(values, (i - first) * values.length);
    }
    return out!;
  });
} // prettier-ignore

const where = (path: string, page: number): string => `${path}: page ${page + 1}`;

// --- the file ---

interface Tiff {
  readonly path: string;
  readonly file: FileHandle;
  readonly size: number;
  readonly written_ms: number;
  readonly little: boolean;
  readonly big: boolean;
  readonly firstPage: number;
  /** Bytes of the file, all there or thrown; lent until the next call. */
  bytes(at: number, length: number, what: string): Promise<Buffer>;
}

const WINDOW = 4096;

async function withTiff<T>(path: string, use: (tiff: Tiff) => Promise<T>): Promise<T> {
  const file = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: ${cause.code === "ENOENT" ? "there is no such file" : cause.message}`, {
      cause,
    });
  });
  try {
    const { size, mtimeMs } = await file.stat();
    let window = Buffer.alloc(0);
    let windowAt = 0;
    const bytes = async (at: number, length: number, what: string): Promise<Buffer> => {
      if (!(at >= 0 && length >= 0 && at + length <= size)) {
        throw new SourceError(
          `${path}: ${what} would lie at byte ${at} (${length} bytes), and the file ends at byte ${size}; ` +
            "it is cut short or damaged: copy it again",
        );
      }
      if (at < windowAt || at + length > windowAt + window.length) {
        const wanted = Math.min(Math.max(length, WINDOW), size - at);
        window = Buffer.allocUnsafe(wanted);
        windowAt = at;
        const { bytesRead } = await file.read(window, 0, wanted, at);
        if (bytesRead < length) throw new SourceError(`${path}: is shorter than a moment ago; copy it again`);
        window = window.subarray(0, bytesRead);
      }
      return window.subarray(at - windowAt, at - windowAt + length);
    };
    if (size < 8) throw new SourceError(`${path}: has ${size} bytes; a TIFF has at least 8. Has the copy finished?`); // prettier-ignore
    const head = await bytes(0, Math.min(16, size), "its header");
    if (!isTiff(head)) throw new SourceError(`${path}: is not TIFF: wanted II*. or MM.* at byte 0`);
    const little = head[0] === 0x49;
    const big = (little ? head[2] : head[3]) === 43;
    if (big && size < 16) throw new SourceError(`${path}: has ${size} bytes; a BigTIFF has at least 16`);
    const firstPage = big ? wide(head, 8, little) : word(head, 4, little);
    return await use({ path, file, size, written_ms: mtimeMs, little, big, firstPage, bytes });
  } finally {
    await file.close();
  }
}

const short = (b: Buffer, at: number, little: boolean): number => (little ? b.readUInt16LE(at) : b.readUInt16BE(at)); // prettier-ignore
const word = (b: Buffer, at: number, little: boolean): number => (little ? b.readUInt32LE(at) : b.readUInt32BE(at)); // prettier-ignore
const wide = (b: Buffer, at: number, little: boolean): number => Number(little ? b.readBigUInt64LE(at) : b.readBigUInt64BE(at)); // prettier-ignore

// --- its pages ---

interface Pages {
  readonly size: number;
  readonly written_ms: number;
  /** Byte that each page's directory begins at. */
  readonly pages: readonly number[];
}

/** The files that were walked last: replay asks for one frame at a time. */
const walked = new Map<string, Pages>();
const WALKED = 16;
const MOST_PAGES = 1 << 20;

async function pagesOf(tiff: Tiff): Promise<Pages> {
  const { path, size, written_ms, little, big } = tiff;
  const known = walked.get(path);
  if (known?.size === size && known.written_ms === written_ms) return known;
  const pages: number[] = [];
  const seen = new Set<number>();
  for (let at = tiff.firstPage; at !== 0;) {
    if (seen.has(at)) {
      throw new SourceError(`${path}: after page ${pages.length} comes the page at byte ${at} again; it is damaged: copy it again`); // prettier-ignore
    }
    if (pages.length === MOST_PAGES) throw new SourceError(`${path}: has over ${MOST_PAGES} pages`);
    const what = `the directory of page ${pages.length + 1}`;
    const entries = big
      ? wide(await tiff.bytes(at, 8, what), 0, little)
      : short(await tiff.bytes(at, 2, what), 0, little);
    const end = at + (big ? 8 + 20 * entries : 2 + 12 * entries);
    const next = await tiff.bytes(end, big ? 8 : 4, what);
    seen.add(at);
    pages.push(at);
    at = big ? wide(next, 0, little) : word(next, 0, little);
  }
  if (pages.length === 0)
    throw new SourceError(`${path}: has no pages (its first directory is at byte 0); has the program that writes it finished?`); // prettier-ignore
  const found = { size, written_ms, pages };
  if (walked.size === WALKED) walked.delete(walked.keys().next().value!);
  walked.delete(path);
  walked.set(path, found);
  return found;
}

const WIDTH = 256, LENGTH = 257, BITS = 258, COMPRESSION = 259, FILL_ORDER = 266, DESCRIPTION = 270, STRIP_AT = 273,
  SAMPLES = 277, STRIP_ROWS = 278, STRIP_BYTES = 279, PREDICTOR = 317, TILE_WIDTH = 322, TILE_LENGTH = 323,
  TILE_AT = 324, TILE_BYTES = 325, FORMAT = 339; // prettier-ignore
const WANTED = new Set([
  WIDTH, LENGTH, BITS, COMPRESSION, FILL_ORDER, DESCRIPTION, STRIP_AT, SAMPLES, STRIP_ROWS, STRIP_BYTES, PREDICTOR,
  TILE_WIDTH, TILE_LENGTH, TILE_AT, TILE_BYTES, FORMAT,
]); // prettier-ignore

const NONE = 1, LZW = 5, DEFLATE = 8, PACKBITS = 32773, OLD_DEFLATE = 32946; // prettier-ignore
const COMPRESSIONS: Record<number, string> = {
  2: "CCITT", 3: "fax group 3", 4: "fax group 4", 6: "old JPEG", 7: "JPEG", 34712: "JPEG 2000", 34887: "LERC",
  34892: "DNG JPEG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
}; // prettier-ignore
/** Bytes that one byte can stand for at most. */
const EXPANSION: Record<number, number> = { [NONE]: 1, [LZW]: 2731, [DEFLATE]: 1033, [OLD_DEFLATE]: 1033, [PACKBITS]: 64 }; // prettier-ignore
const MOST_BYTES = 2 ** 30;
const MOST_VALUES = 2 ** 22;
const PRIVATE = 0x8000;

interface Page extends FrameShape {
  /** Of a value as stored. */
  readonly bytes: number;
  readonly compression: number;
  readonly predictor: number;
  /** Strips are tiles as wide as the image. */
  readonly tileRows: number;
  readonly tileCols: number;
  readonly at: readonly number[];
  readonly lengths: readonly number[];
  /** Images that lie one after the other from this page on; 1 where it is not such a stack. */
  readonly stack: number;
}

/** What stands behind a tag: numbers, or (type 2) text without the zeros at its end. */
export type TagValue = string | readonly number[];

/** Where a type of tag is known: bytes of one value, and how it is read. */
const TYPES: Record<
  number,
  readonly [bytes: number, read: (b: Buffer, at: number, little: boolean) => number]
> = {
  1: [1, (b, at) => b[at]!],
  3: [2, short],
  4: [4, word],
  6: [1, (b, at) => b.readInt8(at)],
  8: [2, (b, at, little) => (little ? b.readInt16LE(at) : b.readInt16BE(at))],
  9: [4, (b, at, little) => (little ? b.readInt32LE(at) : b.readInt32BE(at))],
  11: [4, (b, at, little) => (little ? b.readFloatLE(at) : b.readFloatBE(at))],
  12: [8, (b, at, little) => (little ? b.readDoubleLE(at) : b.readDoubleBE(at))],
  13: [4, word],
  16: [8, wide],
  18: [8, wide],
};
const TEXT = 2;

function untilZeros(bytes: Buffer): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.toString("latin1", 0, end);
}

/** Tags of a page by number, those that are wanted and of a type that is known. */
async function readTags(tiff: Tiff, at: number, number: number, wanted: (tag: number) => boolean): Promise<Map<number, TagValue>> {
  const { little, big } = tiff;
  const what = `the directory of page ${number + 1}`;
  const [entrySize, countSize] = big ? [20, 8] : [12, 2];
  const head = await tiff.bytes(at, countSize, what);
  const entries = big ? wide(head, 0, little) : short(head, 0, little);
  const directory = Buffer.from(await tiff.bytes(at + countSize, entrySize * entries, what));
  const tags = new Map<number, TagValue>();
  let total = 0;
  for (let i = 0; i < entries; i++) {
    const entry = directory.subarray(entrySize * i, entrySize * (i + 1));
    const tag = short(entry, 0, little);
    const kind = short(entry, 2, little);
    const [size, read] = kind === TEXT ? [1] : (TYPES[kind] ?? []);
    if (!wanted(tag) || size === undefined) continue;
    const count = big ? wide(entry, 4, little) : word(entry, 4, little);
    total += count;
    if (total > MOST_VALUES) throw new SourceError(`${where(tiff.path, number)}: tag ${tag} has ${count} values; it is damaged: copy it again`);
    const room = big ? 8 : 4;
    const inline = entry.subarray(entrySize - room);
    const elsewhere = big ? wide(inline, 0, little) : word(inline, 0, little);
    const values =
      count * size <= room ? inline : await tiff.bytes(elsewhere, count * size, `tag ${tag} of page ${number + 1}`);
    if (!read) tags.set(tag, untilZeros(values.subarray(0, count)));
    else tags.set(tag, Array.from({ length: count }, (_, k) => read(values, size * k, little)));
  }
  return tags;
} // prettier-ignore

/** Private tags (32768 and above) of every page with its size (256, 257; of its tiles 322), for formats that keep their headers there. */
export async function tiffTags(path: string): Promise<ReadonlyMap<number, TagValue>[]> {
  return withTiff(path, async (tiff) => {
    const { pages } = await pagesOf(tiff);
    const found: ReadonlyMap<number, TagValue>[] = [];
    let values = 0;
    for (const [number, at] of pages.entries()) {
      const tags = await readTags(tiff, at, number, (tag) => tag >= PRIVATE || tag === WIDTH || tag === LENGTH || tag === TILE_WIDTH);
      for (const value of tags.values()) values += value.length;
      if (values > MOST_VALUES) throw new SourceError(`${path}: has over ${MOST_VALUES} values in its tags; it is damaged: copy it again`);
      found.push(tags);
    }
    return found;
  });
} // prettier-ignore

async function readPage(tiff: Tiff, at: number, number: number): Promise<Page> {
  const { path } = tiff;
  const all = await readTags(tiff, at, number, (tag) => WANTED.has(tag));
  const text = all.get(DESCRIPTION);
  const description = typeof text === "string" ? text.slice(0, 4096) : "";
  const tags = new Map<number, readonly number[]>();
  for (const [tag, value] of all) if (typeof value !== "string") tags.set(tag, value);
  const one = (tag: number, initial: number): number => tags.get(tag)?.[0] ?? initial;
  const page = where(path, number);

  const rows = one(LENGTH, 0);
  const cols = one(WIDTH, 0);
  if (rows === 0 || cols === 0) throw new SourceError(`${page}: is an image of ${rows} × ${cols} pixels`);
  const samples = one(SAMPLES, 1);
  if (samples !== 1) throw new SourceError(`${page}: has ${samples} values a pixel (colour); wanted one, a grey image`);
  const compression = one(COMPRESSION, NONE);
  if (!(compression in EXPANSION)) {
    const name = COMPRESSIONS[compression];
    throw new SourceError(
      `${page}: its compression ${compression}${name ? ` (${name})` : ""} is not read here; wanted none (1), LZW (5), ` +
        "deflate (8) or PackBits (32773); write it again, such as by tiffcp -c lzw",
    );
  }
  const bits = one(BITS, 1);
  const format = one(FORMAT, 1);
  const type = typeOf(bits, format);
  if (!type) {
    const kind = format === 2 ? "signed" : format === 3 ? "float" : format === 1 || format === 4 ? "unsigned" : `format ${format}`;
    throw new SourceError(`${page}: has ${bits} bit a pixel (${kind}); wanted 8, 16 or 32, or floats of 32 or 64`);
  }
  if (one(FILL_ORDER, 1) !== 1 && compression !== NONE)
    throw new SourceError(`${page}: has its bits in reverse order (FillOrder 2), which is not read here; write it again`);
  const predictor = one(PREDICTOR, 1);
  if (predictor < 1 || predictor > 3 || (predictor === 3 && format !== 3))
    throw new SourceError(`${page}: its predictor ${predictor} is not known for such pixels; wanted 1, 2 or 3`);

  const bytes = bits / 8;
  const total = rows * cols * bytes;
  const tiled = tags.has(TILE_AT);
  const tileRows = tiled ? one(TILE_LENGTH, 0) : Math.min(one(STRIP_ROWS, rows) || rows, rows);
  const tileCols = tiled ? one(TILE_WIDTH, 0) : cols;
  if (tileRows === 0 || tileCols === 0) throw new SourceError(`${page}: has tiles of ${tileRows} × ${tileCols} pixels`);
  const tiles = Math.ceil(rows / tileRows) * Math.ceil(cols / tileCols);
  const offsets = tags.get(tiled ? TILE_AT : STRIP_AT) ?? [];
  // The count may be missing where there is one uncompressed strip.
  const lengths = tags.get(tiled ? TILE_BYTES : STRIP_BYTES) ?? (tiles === 1 && compression === NONE ? [total] : []);
  if (offsets.length < tiles || lengths.length < tiles) {
    throw new SourceError(
      `${page}: ${rows} × ${cols} pixels need ${tiles} ${tiled ? "tiles" : "strips"}, and it names ${Math.min(offsets.length, lengths.length)}; ` +
        "it is damaged: copy it again",
    );
  }
  const stored = lengths.slice(0, tiles).reduce((sum, n) => sum + Math.min(n, tiff.size), 0);
  for (let i = 0; i < tiles; i++) {
    const length = compression === NONE ? Math.min(lengths[i]!, tileRows * tileCols * bytes) : lengths[i]!;
    if (offsets[i]! + length > tiff.size) {
      throw new SourceError(
        `${path}: ${tiled ? "tile" : "strip"} ${i + 1} of page ${number + 1} would lie at byte ${offsets[i]} (${length} bytes), ` +
          `and the file ends at byte ${tiff.size}; it is cut short or damaged: copy it again`,
      );
    }
  }
  const unpacked = tiled ? tiles * tileRows * tileCols * bytes : total;
  if (unpacked > Math.min(MOST_BYTES, stored * EXPANSION[compression]!)) {
    throw new SourceError(
      `${page}: ${rows} × ${cols} pixels would be ${total} bytes, and ${stored} bytes are stored; it is cut short or damaged: copy it again`,
    );
  }
  const images = /^ImageJ=.*(?:^|\n)images=(\d+)/s.exec(description)?.[1];
  const first = offsets[0]!;
  const stack = images && tiles === 1 && compression === NONE && first + Number(images) * total <= tiff.size ? Number(images) : 1;
  return { rows, cols, type, bytes, compression, predictor, tileRows, tileCols, at: offsets, lengths, stack };
} // prettier-ignore

function typeOf(bits: number, format: number): Numeric | undefined {
  if (format === 3) return bits === 32 || bits === 64 ? "f32" : undefined;
  if (bits !== 8 && bits !== 16 && bits !== 32) return undefined;
  return format === 2 ? `i${bits}` : format === 1 || format === 4 ? `u${bits}` : undefined;
}

// --- pixels ---

const HOST_LITTLE = endianness() === "LE";
const ARRAYS = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array,
} as const; // prettier-ignore

/** The pixels of a page, row by row; `further` images after it, in a stack. */
async function pixels(tiff: Tiff, page: Page, number: number, further: number): Promise<Numbers> {
  const { rows, cols, bytes, tileRows, tileCols, compression, predictor } = page;
  const out = Buffer.allocUnsafeSlow(rows * cols * bytes);
  const across = Math.ceil(cols / tileCols);
  const what = where(tiff.path, number);
  const swap = bytes > 1 && tiff.little !== HOST_LITTLE;

  const whole = compression === NONE && predictor === 1 && tileCols === cols && inOneRun(page);
  if (whole) {
    await readPixels(tiff, out, page.at[0]! + further * out.length, what);
    if (swap) swapBytes(out, bytes);
  } else {
    for (let i = 0; i < across * Math.ceil(rows / tileRows); i++) {
      const top = Math.floor(i / across) * tileRows;
      const left = (i % across) * tileCols;
      const height = Math.min(tileRows, rows - top);
      // A last strip holds only the rows that there are; a tile is always whole.
      const full = tileCols === cols && across === 1 ? height : tileRows;
      const part = `${tileCols === cols ? "strip" : "tile"} ${i + 1} of page ${number + 1}`;
      const packed = await tiff.bytes(page.at[i]!, page.lengths[i]!, part);
      const tile = unpack(packed, compression, full * tileCols * bytes, height * tileCols * bytes, `${tiff.path}: ${part}`);
      if (predictor === 3) fromFloatPredictor(tile, tileCols, bytes);
      else {
        if (swap) swapBytes(tile, bytes);
        if (predictor === 2) fromPredictor(tile, tileCols, bytes);
      }
      const width = Math.min(tileCols, cols - left);
      for (let row = 0; row < height; row++) {
        const from = row * tileCols * bytes;
        tile.copy(out, ((top + row) * cols + left) * bytes, from, from + width * bytes);
      }
    }
  }
  if (bytes === 8) return Float32Array.from(new Float64Array(out.buffer, out.byteOffset, rows * cols));
  return new ARRAYS[page.type as keyof typeof ARRAYS](out.buffer, out.byteOffset, rows * cols);
} // prettier-ignore

function inOneRun({ rows, cols, bytes, tileRows, at, lengths }: Page): boolean {
  const strips = Math.ceil(rows / tileRows);
  for (let i = 0; i < strips; i++) {
    const length = Math.min(tileRows, rows - i * tileRows) * cols * bytes;
    if (lengths[i]! < length || (i > 0 && at[i] !== at[i - 1]! + tileRows * cols * bytes)) return false;
  }
  return true;
}

async function readPixels(tiff: Tiff, out: Buffer, at: number, what: string): Promise<void> {
  if ((await fill(tiff.file, out, at)) < out.length)
    throw new SourceError(
      `${what}: its pixels would lie at bytes ${at} to ${at + out.length}, and the file ends at byte ${tiff.size}; it is cut short: copy it again`,
    );
}

/** A tile or strip of `full` bytes, of which at least `needed` must be there. */
function unpack(packed: Buffer, compression: number, full: number, needed: number, what: string): Buffer {
  let out: Buffer;
  switch (compression) {
    case NONE:
      out = Buffer.from(packed.subarray(0, full));
      break;
    case LZW:
      out = fromLzw(packed, full, what);
      break;
    case PACKBITS:
      out = fromPackBits(packed, full);
      break;
    default:
      try {
        out = inflateSync(packed, { maxOutputLength: full + 65536 });
      } catch (cause) {
        throw new SourceError(`${what}: cannot be unpacked (deflate: ${(cause as Error).message}); it is damaged: copy it again`, { cause }); // prettier-ignore
      }
  }
  if (out.length < needed) {
    throw new SourceError(`${what}: holds ${out.length} bytes of pixels, wanted ${needed}; it is cut short or damaged: copy it again`); // prettier-ignore
  }
  const whole = out.subarray(0, full);
  if (whole.length === full && whole.byteOffset % 8 === 0) return whole;
  const aligned = Buffer.alloc(full);
  whole.copy(aligned);
  return aligned;
}

const CLEAR = 256, END = 257, CODES = 4096; // prettier-ignore
const prefix = new Uint16Array(CODES);
const suffix = new Uint8Array(CODES);
const lengthOf = new Uint16Array(CODES);
for (let i = 0; i < 256; i++) {
  suffix[i] = i;
  lengthOf[i] = 1;
}

/** LZW of TIFF: codes of 9 to 12 bit, most significant bit first, one code early. */
function fromLzw(packed: Buffer, full: number, what: string): Buffer {
  if (packed[0] === 0 && (packed[1]! & 1) === 1) {
    throw new SourceError(`${what}: is in the LZW of before 1992, which is not read here; write it again, such as by tiffcp -c lzw`); // prettier-ignore
  }
  const out = Buffer.allocUnsafe(full);
  let filled = 0;
  let next = 258;
  let width = 9;
  let before = -1;
  let bits = 0;
  let have = 0;
  let at = 0;
  while (filled < full) {
    while (have < width && at < packed.length) {
      bits = ((bits << 8) | packed[at++]!) & 0xffffff;
      have += 8;
    }
    if (have < width) break; // ended without saying so
    const code = (bits >> (have - width)) & ((1 << width) - 1);
    have -= width;
    if (code === END) break;
    if (code === CLEAR) {
      next = 258;
      width = 9;
      before = -1;
      continue;
    }
    if (before < 0 ? code > 255 : code > next || (code === next && next >= CODES)) {
      throw new SourceError(`${what}: its LZW has the code ${code} where ${before < 0 ? 255 : next} is the greatest; it is damaged: copy it again`); // prettier-ignore
    }
    const length = code === next ? lengthOf[before]! + 1 : lengthOf[code]!;
    let c = code === next ? before : code;
    let to = filled + length - 1;
    if (code === next) to--;
    for (; c > 255; c = prefix[c]!) {
      if (to < full) out[to] = suffix[c]!;
      to--;
    }
    out[filled] = c;
    if (code === next && filled + length - 1 < full) out[filled + length - 1] = c;
    if (before >= 0 && next < CODES) {
      prefix[next] = before;
      suffix[next] = c;
      lengthOf[next] = lengthOf[before]! + 1;
      next++;
      if (next === (1 << width) - 1 && width < 12) width++;
    }
    filled += length;
    before = code;
  }
  return out.subarray(0, Math.min(filled, full));
}

function fromPackBits(packed: Buffer, full: number): Buffer {
  const out = Buffer.allocUnsafe(full);
  let filled = 0;
  for (let at = 0; at < packed.length && filled < full;) {
    const n = packed.readInt8(at++);
    if (n === -128) continue;
    if (n >= 0) {
      const end = Math.min(at + n + 1, packed.length);
      filled += packed.copy(out, filled, at, end);
      at = end;
    } else {
      if (at >= packed.length) break;
      const end = Math.min(filled + 1 - n, full);
      out.fill(packed[at++]!, filled, end);
      filled = end;
    }
  }
  return out.subarray(0, filled);
}

function swapBytes(buffer: Buffer, bytes: number): void {
  if (bytes === 2) buffer.swap16();
  else if (bytes === 4) buffer.swap32();
  else buffer.swap64();
}

/** Each value was stored as its difference from the one to its left; `tile` is in this machine's byte order. */
function fromPredictor(tile: Buffer, cols: number, bytes: number): void {
  const { buffer, byteOffset, length } = tile;
  const values = bytes === 1 ? new Uint8Array(buffer, byteOffset, length)
    : bytes === 2 ? new Uint16Array(buffer, byteOffset, length / 2)
    : bytes === 4 ? new Uint32Array(buffer, byteOffset, length / 4)
    : new BigUint64Array(buffer, byteOffset, length / 8);
  for (let row = 0; row < values.length; row += cols) {
    for (let i = row + 1; i < row + cols; i++) (values as Uint8Array)[i] = (values as Uint8Array)[i]! + (values as Uint8Array)[i - 1]!;
  }
} // prettier-ignore

/** Each row was stored as all first bytes of its values, most significant first, then all second, …, as differences. */
function fromFloatPredictor(tile: Buffer, cols: number, bytes: number): void {
  const width = cols * bytes;
  const planes = Buffer.allocUnsafe(width);
  for (let row = 0; row < tile.length; row += width) {
    tile.copy(planes, 0, row, row + width);
    for (let i = 1; i < width; i++) planes[i] = (planes[i]! + planes[i - 1]!) & 255;
    for (let i = 0; i < cols; i++) {
      for (let b = 0; b < bytes; b++) {
        tile[row + i * bytes + (HOST_LITTLE ? bytes - 1 - b : b)] = planes[b * cols + i]!;
      }
    }
  }
}
