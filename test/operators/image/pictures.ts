/** Pictures of known shapes, random fields, and the plain ways to count that the operators are held against. */
import { image, type Fields } from "../../../runtime/index.ts";

export const SECOND = 1_000_000_000n;

/** A small generator of numbers in [0, 1), the same everywhere. */
export function random(seed: number): () => number {
  let s = seed | 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function gaussian(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** A picture from a function of column and row. */
export function picture(cols: number, rows: number, of: (x: number, y: number) => number): Float32Array {
  return Float32Array.from({ length: rows * cols }, (_, i) => of(i % cols, Math.floor(i / cols)));
}

/** Pictures as a stream, one a second; of a stack, `slice` says which is which. */
export function stream(cols: number, rows: number, pictures: readonly (Float32Array & { slice?: number })[], more: Record<string, unknown> = {}) {
  const data = new Float32Array(pictures.length * rows * cols);
  pictures.forEach((p, i) => data.set(p, i * rows * cols));
  return {
    slices: { time: BigInt64Array.from(pictures, (_, i) => BigInt(i) * SECOND), data, ...more },
    shape: { data: image("1/{px}", { shape: [rows, cols] }) } as Fields,
  };
} // prettier-ignore

/** Components by flood fill, the plain way: sizes in the order of their first pixels. */
export function floodFill(
  inside: (x: number, y: number, z: number) => boolean, [w, h, d]: readonly [number, number, number], corners: boolean,
): { size: number; pixels: number[] }[] {
  const seen = new Uint8Array(w * h * d);
  const found: { size: number; pixels: number[] }[] = [];
  for (let start = 0; start < seen.length; start++) {
    const at = (i: number): [number, number, number] => [i % w, Math.floor(i / w) % h, Math.floor(i / (w * h))];
    if (seen[start] || !inside(...at(start))) continue;
    const pixels = [start];
    seen[start] = 1;
    for (let k = 0; k < pixels.length; k++) {
      const [x, y, z] = at(pixels[k]!);
      for (let dz = -1; dz <= 1; dz++) for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) {
        if (!corners && Math.abs(dx) + Math.abs(dy) + Math.abs(dz) !== 1) continue;
        const [nx, ny, nz] = [x + dx, y + dy, z + dz];
        if (nx < 0 || ny < 0 || nz < 0 || nx >= w || ny >= h || nz >= d) continue;
        const i = (nz * h + ny) * w + nx;
        if (seen[i] || !inside(nx, ny, nz)) continue;
        seen[i] = 1;
        pixels.push(i);
      }
    }
    found.push({ size: pixels.length, pixels });
  }
  return found;
} // prettier-ignore
