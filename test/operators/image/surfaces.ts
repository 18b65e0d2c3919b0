/** Surfaces whose statistics are known, and frames of them as a scanned stream. */
import { code, image, scalar, type Fields } from "../../../runtime/index.ts";
import { gaussian, SECOND } from "./pictures.ts";

/** Gaussian roughness of standard deviation 1 whose autocorrelation falls to 1/e within 2 × `smooth` px; white for 0. */
export function roughness(rows: number, cols: number, smooth: number, next: () => number): Float64Array {
  const reach = Math.ceil(4 * smooth);
  const [high, wide] = [rows + 2 * reach, cols + 2 * reach];
  const white = Float64Array.from({ length: high * wide }, () => gaussian(next));
  if (smooth === 0) return white;
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * smooth ** 2)),
  );
  const norm = Math.sqrt(kernel.reduce((sum, k) => sum + k * k, 0));
  const across = new Float64Array(high * cols);
  for (let r = 0; r < high; r++)
    for (let c = 0; c < cols; c++)
      for (let k = 0; k < kernel.length; k++)
        across[r * cols + c]! += (kernel[k]! / norm) * white[r * wide + c + k]!;
  const made = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++)
      for (let k = 0; k < kernel.length; k++)
        made[r * cols + c]! += (kernel[k]! / norm) * across[(r + k) * cols + c]!;
  return made;
}

/** Round grains of a height of some `height`, half of it to one and a half; where they lie, `covered` is 1. */
export function grains(
  rows: number,
  cols: number,
  { count, height, next }: { count: number; height: number; next: () => number },
): { heights: Float64Array; covered: Uint8Array } {
  const heights = new Float64Array(rows * cols);
  const covered = new Uint8Array(rows * cols);
  for (let g = 0; g < count; g++) {
    const [x, y, radius, top] = [cols * next(), rows * next(), 4 + 12 * next(), height * (0.5 + next())];
    for (let r = 0, i = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++, i++) {
        const away = ((c - x) ** 2 + (r - y) ** 2) / radius ** 2;
        if (away >= 1) continue;
        covered[i] = 1;
        heights[i] = Math.max(heights[i]!, top * Math.sqrt(1 - away));
      }
    }
  }
  return { heights, covered };
}

/** Frames as a stream, one a second. */
export function frames(list: readonly ArrayLike<number>[], more: Record<string, unknown> = {}) {
  const size = list[0]?.length ?? 0;
  const data = new Float32Array(list.length * size);
  list.forEach((frame, i) => data.set(Float32Array.from(frame), i * size));
  return { time: BigInt64Array.from(list, (_, i) => BigInt(i + 1) * SECOND), data, ...more };
}

export const scanned = (unit: string, rows: number, cols: number): Fields => ({
  data: image(unit, { shape: [rows, cols] }),
  index: code(),
  direction: code({ codes: { 0: "trace", 1: "retrace" } }),
  slow_scan: code(),
  duration: scalar("s"),
});

export const meanOf = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((a, b) => a + b, 0) / values.length;
export const rmsOf = (values: ArrayLike<number>, about = 0): number =>
  Math.sqrt(Array.from(values).reduce((sum, v) => sum + (v - about) ** 2, 0) / values.length);
