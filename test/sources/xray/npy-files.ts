/** Writes `.npy` files of our own making. */
export interface NpyOptions {
  version?: 1 | 2 | 3;
  fortran?: boolean;
  /** Bytes turned round. */
  big?: boolean;
}

const DESCR = {
  u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i1: Int8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array,
} as const; // prettier-ignore
export type NpyType = keyof typeof DESCR;
export const NPY_TYPES = Object.keys(DESCR) as NpyType[];
export const arrayOf = (type: NpyType, values: ArrayLike<number>) => DESCR[type].from(values);

/** `values` in C order, whatever the file's order. */
export function npy(type: NpyType, shape: readonly number[], values: ArrayLike<number>, { version = 1, fortran = false, big = false }: NpyOptions = {}): Buffer {
  let ordered = Array.from(values);
  if (fortran) {
    const n = ordered.length;
    const out = ordered.slice();
    for (let i = 0; i < n; i++) {
      let rest = i;
      let at = 0;
      // the last index is the fastest in C order, the first in Fortran's
      const index = shape.map(() => 0);
      for (let d = shape.length - 1; d >= 0; d--) { index[d] = rest % shape[d]!; rest = Math.floor(rest / shape[d]!); }
      for (let d = shape.length - 1; d >= 0; d--) at = at * shape[d]! + index[d]!;
      out[at] = ordered[i]!;
    }
    ordered = out;
  }
  const data = arrayOf(type, ordered);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const size = Number(type[1]);
  if (big && size === 2) bytes.swap16();
  if (big && size === 4) bytes.swap32();
  if (big && size === 8) bytes.swap64();
  const mark = size === 1 ? "|" : big ? ">" : "<";
  const dictionary = `{'descr': '${mark}${type}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const before = version === 1 ? 10 : 12;
  const length = Math.ceil((before + dictionary.length + 1) / 64) * 64 - before;
  const head = Buffer.alloc(before);
  head.write("\x93NUMPY", "latin1");
  head[6] = version;
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${dictionary.padEnd(length - 1)}\n`, "latin1"), bytes]);
} // prettier-ignore
