/**
 * Arrays of NumPy's `.npy`, versions 1 to 3: whole numbers of 8 to 32 bit and floats, either byte order, C or Fortran
 * order; double precision becomes single. Frames are read where they lie, never the whole file: in Fortran order, where
 * a frame is strewn over it all, the file is passed through once for every `SLAB_BYTES` of frames.
 *
 * Reference: numpy.lib.format, NEP 1.
 */
import { open, type FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { SourceError, type Numeric } from "../../runtime/index.ts";
import { fill } from "../bytes.ts";
import type { Numbers } from "../hdf5.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

export const isNpy = (head: Uint8Array): boolean => MAGIC.every((byte, i) => head[i] === byte);

export interface Npy {
  readonly path: string;
  readonly shape: readonly number[];
  /** Type of its values in memory. */
  readonly type: Numeric;
  readonly fortran: boolean;
  /** Of a value as stored. */
  readonly bytes: number;
  readonly swap: boolean;
  readonly double: boolean;
  /** Byte that the values begin at. */
  readonly at: number;
  readonly written_ms: number;
}

/** How a two-dimensional array is meant: each row a frame of one detector row, or all of it one frame. */
export type NpyDataset = "array" | "lines" | "image";

const KINDS: Record<string, Numeric> = {
  u1: "u8", u2: "u16", u4: "u32", i1: "i8", i2: "i16", i4: "i32", f4: "f32", f8: "f32", b1: "u8",
}; // prettier-ignore
const ARRAYS = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array,
} as const; // prettier-ignore
const HOST = endianness() === "LE" ? "<" : ">";
const LONGEST_HEADER = 1 << 20;

/** What a file says of itself. Throws SourceError where it is no `.npy`, or is cut short. */
export async function npyHeader(path: string): Promise<Npy> {
  return withFile(path, (file) => headerOf(path, file));
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: ${cause.code === "ENOENT" ? "there is no such file" : cause.message}`, { cause }); // prettier-ignore
  });
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function headerOf(path: string, file: FileHandle): Promise<Npy> {
  const { size, mtimeMs } = await file.stat();
  const start = Buffer.alloc(12);
  const { bytesRead } = await file.read(start, 0, 12, 0);
  if (!isNpy(start) || bytesRead < 10) {
    throw new SourceError(`${path}: is not an .npy array: wanted 93 4e 55 4d 50 59 at byte 0 and its header after that`); // prettier-ignore
  }
  const version = start[6]!;
  if (version < 1 || version > 3)
    throw new SourceError(`${path}: byte 6: version ${version} of .npy; 1 to 3 are known`);
  const [length, from] = version === 1 ? [start.readUInt16LE(8), 10] : [start.readUInt32LE(8), 12];
  const at = from + length;
  if (at > size || length > LONGEST_HEADER) {
    throw new SourceError(`${path}: its header would end at byte ${at}, and the file ends at byte ${size}; it is cut short or damaged: copy it again`); // prettier-ignore
  }
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, from);
  const header = bytes.toString(version === 3 ? "utf8" : "latin1");
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const dimensions = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || dimensions === undefined) {
    const shown = header.trim().slice(0, 120);
    throw new SourceError(`${path}: its header says ${JSON.stringify(shown)}; wanted a plain array with descr, fortran_order and shape`); // prettier-ignore
  }
  const [, mark, kind] = /^([<>|=])?(\w+)$/.exec(descr) ?? [];
  const type = kind === undefined ? undefined : KINDS[kind];
  if (!type) {
    throw new SourceError(`${path}: holds values of type ${descr}; wanted whole numbers of 8 to 32 bit, or floats of 32 or 64 (numpy: a.astype("float32"))`); // prettier-ignore
  }
  const shape = dimensions.split(",").map((n) => n.trim().replace(/L$/, "")).filter(Boolean).map(Number); // prettier-ignore
  const values = shape.reduce((product, n) => product * n, 1);
  const width = Number(kind!.slice(1));
  if (at + values * width > size) {
    throw new SourceError(
      `${path}: ${shape.join(" × ")} values of ${width} bytes would end at byte ${at + values * width}, and the file ends at byte ${size}; ` +
        "it is cut short: copy it again",
    );
  }
  return {
    path, shape, type, at, bytes: width, fortran: order === "True", double: kind === "f8", written_ms: mtimeMs,
    swap: width > 1 && (mark === "<" || mark === ">") && mark !== HOST,
  }; // prettier-ignore
}

/** Frames of an array: how many, and of what size. */
export function framesOfNpy(
  { path, shape }: Npy,
  dataset: NpyDataset,
): { frames: number; rows: number; cols: number } {
  const [a = 1, b = 1, c = 1] = shape;
  if (dataset === "array" && shape.length === 3) return { frames: a, rows: b, cols: c };
  if (dataset === "lines" && shape.length === 2) return { frames: a, rows: 1, cols: b };
  if (dataset === "image" && shape.length === 2) return { frames: 1, rows: a, cols: b };
  throw new SourceError(`${path}: has the shape ${shape.join(" × ") || "of a single number"}; wanted frames × rows × columns, or frames × columns`); // prettier-ignore
}

export async function readNpyFrames(
  path: string,
  dataset: string,
  first: number,
  count: number,
): Promise<Numbers> {
  return withFile(path, async (file) => {
    const npy = await headerOf(path, file);
    const { frames, rows, cols } = framesOfNpy(npy, dataset as NpyDataset);
    if (first + count > frames) throw new SourceError(`${path}: has ${frames} frames; wanted frame ${first + count - 1}`); // prettier-ignore
    if (npy.fortran && frames > 1) return strewn(npy, file, { frames, rows, cols }, first, count);
    const size = rows * cols * npy.bytes;
    const stored = Buffer.allocUnsafeSlow(size * count);
    await readAll(npy, file, stored, npy.at + first * size);
    const values = valuesOf(npy, stored);
    return npy.fortran ? transposed(values, rows, cols) : values;
  });
}

/** All values of a small array, such as one of angles. */
export async function npyNumbers(path: string): Promise<{ shape: readonly number[]; values: Float64Array }> {
  return withFile(path, async (file) => {
    const npy = await headerOf(path, file);
    const stored = Buffer.allocUnsafeSlow(npy.shape.reduce((product, n) => product * n, npy.bytes));
    await readAll(npy, file, stored, npy.at);
    if (npy.double && npy.swap) stored.swap64();
    const values = npy.double
      ? new Float64Array(stored.buffer, stored.byteOffset, stored.length / 8)
      : Float64Array.from(valuesOf(npy, stored));
    return { shape: npy.shape, values };
  });
}

async function readAll({ path }: Npy, file: FileHandle, out: Buffer, at: number): Promise<void> {
  const filled = await fill(file, out, at);
  if (filled < out.length)
    throw new SourceError(`${path}: ends at byte ${at + filled}, before its last value; copy it again`);
}

function valuesOf({ type, bytes, swap, double }: Npy, stored: Buffer): Numbers {
  if (swap) {
    if (bytes === 2) stored.swap16();
    else if (bytes === 4) stored.swap32();
    else stored.swap64();
  }
  const { byteOffset, length } = stored;
  const buffer = stored.buffer as ArrayBuffer;
  if (double) return Float32Array.from(new Float64Array(buffer, byteOffset, length / 8));
  return new ARRAYS[type as keyof typeof ARRAYS](buffer, byteOffset, length / bytes);
}

/** One frame that lies column by column. */
function transposed(values: Numbers, rows: number, cols: number): Numbers {
  const out = values.slice();
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) out[row * cols + col] = values[col * rows + row]!;
  }
  return out;
}

const SLAB_BYTES = 64 << 20;
const BLOCK_BYTES = 8 << 20;

/** Frames that were gathered last from a file in Fortran order. */
let slab: { key: string; first: number; values: Numbers; count: number } | undefined;

/** Frames first … first + count where the frame is the fastest index: (frame, row, col) lies at frame + frames × (row + rows × col). */
async function strewn(
  npy: Npy,
  file: FileHandle,
  { frames, rows, cols }: { frames: number; rows: number; cols: number },
  first: number,
  count: number,
): Promise<Numbers> {
  const key = `${npy.path} ${npy.written_ms} ${npy.shape.join()}`;
  const size = rows * cols;
  if (slab?.key !== key || first < slab.first || first + count > slab.first + slab.count) {
    slab = undefined;
    const gathered = Math.min(frames - first, Math.max(count, Math.floor(SLAB_BYTES / (4 * size))));
    const values = new ARRAYS[npy.type as keyof typeof ARRAYS](gathered * size);
    const runs = Math.max(1, Math.floor(BLOCK_BYTES / (frames * npy.bytes))); // pixels in a block
    for (let pixel = 0; pixel < size; pixel += runs) {
      const n = Math.min(runs, size - pixel);
      const stored = Buffer.allocUnsafeSlow(n * frames * npy.bytes);
      await readAll(npy, file, stored, npy.at + pixel * frames * npy.bytes);
      const block = valuesOf(npy, stored);
      for (let p = 0; p < n; p++) {
        const row = (pixel + p) % rows;
        const at = row * cols + (pixel + p - row) / rows;
        for (let i = 0; i < gathered; i++) values[i * size + at] = block[p * frames + first + i]!;
      }
    }
    slab = { key, first, count: gathered, values };
  }
  const from = (first - slab.first) * size;
  const values = slab.values.slice(from, from + count * size);
  if (first + count === frames) slab = undefined; // the last of it: its memory goes back
  return values;
}
