import { BlockError } from "./block-error.ts";
import type { PixelSpans } from "./pixel-spans.ts";

/** Height parameters of a surface about its mean plane, in the unit of its heights; each with a standard error. */
export interface SurfaceParameters {
  readonly sa: number;
  readonly sa_se: number;
  readonly sq: number;
  readonly sq_se: number;
  readonly sz: number;
  readonly sz_se: number;
  readonly ssk: number;
  readonly ssk_se: number;
  readonly sku: number;
  readonly sku_se: number;
  /** Per metre. */
  readonly sdq: number;
  readonly sdq_se: number;
  readonly pixels: number;
  /** So many independent pixels would know Sq as well. */
  readonly independent: number;
}

/** Values within the spans, NaN elsewhere; and how many of them are finite. */
export function cutOut(frame: ArrayLike<number>, cols: number, { first, end }: PixelSpans): { values: Float64Array; pixels: number; missing: number } {
  const values = new Float64Array(frame.length).fill(NaN);
  let [pixels, missing] = [0, 0];
  for (let r = 0; r < first.length; r++) {
    for (let i = r * cols + first[r]!, to = r * cols + end[r]!; i < to; i++) {
      const z = frame[i]!;
      if (z - z !== 0) missing++;
      else {
        values[i] = z;
        pixels++;
      }
    }
  }
  return { values, pixels, missing };
} // prettier-ignore

/** Of heights whose form was taken off; NaN where a pixel does not count. */
export function surfaceParameters(
  heights: Float64Array, rows: number, cols: number, pixels: number, { x_m, y_m }: { x_m: number; y_m: number },
): SurfaceParameters {
  let sum = 0;
  for (const z of heights) if (!Number.isNaN(z)) sum += z;
  const mean = sum / pixels;
  let [m1, signs, m2, m3, m4] = [0, 0, 0, 0, 0];
  for (const z of heights) {
    if (Number.isNaN(z)) continue;
    const e = z - mean;
    m1 += Math.abs(e);
    signs += Math.sign(e);
    m2 += e * e;
    m3 += e * e * e;
    m4 += e * e * e * e;
  }
  [m1, signs, m2, m3, m4] = [m1 / pixels, signs / pixels, m2 / pixels, m3 / pixels, m4 / pixels];
  const sq = Math.sqrt(m2);
  const [m2_15, m2_2] = [m2 ** 1.5, m2 * m2];
  const [ssk, sku] = [m3 / m2_15, m4 / m2_2];

  const error = new BlockError(rows, cols, pixels);
  const u = new Float64Array(heights.length);
  /** Standard error of an estimate from what a pixel at e adds to its deviation. */
  const errorOf = (adds: (e: number) => number): number => {
    for (let i = 0; i < u.length; i++) u[i] = Number.isNaN(heights[i]) ? 0 : adds(heights[i]! - mean) / pixels;
    return error.of(u);
  };
  const sa_se = errorOf((e) => Math.abs(e) - m1 - signs * e);
  const ssk_se = errorOf((e) => (e * e * e - m3 - 3 * m2 * e) / m2_15 - (1.5 * ssk * (e * e - m2)) / m2);
  const sku_se = errorOf((e) => (e * e * e * e - m4 - 4 * m3 * e) / m2_2 - (2 * sku * (e * e - m2)) / m2);
  const sq_se = errorOf((e) => (e * e - m2) / (2 * sq));
  const { sdq, sdq_se } = gradient(heights, rows, cols, x_m, y_m, error, u);
  const { low, high, spread } = extremes(heights, rows, cols, error.side);
  return {
    sa: m1, sa_se, sq, sq_se, sz: high - low, sz_se: spread, ssk, ssk_se, sku, sku_se, sdq, sdq_se, pixels,
    independent: Math.min(pixels, (m4 - m2 * m2) / (4 * m2) / sq_se ** 2),
  };
} // prettier-ignore

/** Root mean square slope, by central differences of pixels that have both neighbours along x and y. */
function gradient(
  z: Float64Array, rows: number, cols: number, x_m: number, y_m: number, error: BlockError, u: Float64Array,
): { sdq: number; sdq_se: number } {
  let [n, sum] = [0, 0];
  u.fill(NaN);
  for (let r = 1; r + 1 < rows; r++) {
    for (let c = 1, i = r * cols + 1; c + 1 < cols; c++, i++) {
      const x = (z[i + 1]! - z[i - 1]!) / (2 * x_m);
      const y = (z[i + cols]! - z[i - cols]!) / (2 * y_m);
      if (Number.isNaN(x + y + z[i]!)) continue;
      u[i] = x * x + y * y;
      n++;
      sum += u[i]!;
    }
  }
  if (n === 0) return { sdq: NaN, sdq_se: NaN };
  const sdq = Math.sqrt(sum / n);
  for (let i = 0; i < u.length; i++) u[i] = Number.isNaN(u[i]) ? 0 : (u[i]! - sdq * sdq) / (2 * sdq) / n;
  return { sdq, sdq_se: error.of(u) };
} // prettier-ignore

/**
 * Lowest and highest value, and the standard error of their distance.
 *
 * The extremes of n parts of a surface scatter like 1 / variance = a + b ln n (a Gumbel law on its way from a bell), so
 * from the scatter of the extremes of blocks, of two sizes, follows that of the whole.
 */
function extremes(z: Float64Array, rows: number, cols: number, side: number): { low: number; high: number; spread: number } {
  let [low, high] = [Infinity, -Infinity];
  for (const v of z) {
    if (Number.isNaN(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const small = scatter(z, rows, cols, side >> 1);
  const large = scatter(z, rows, cols, side);
  const ofWhole = (by: "lows" | "highs"): number => {
    const [a, b] = [1 / small[by], 1 / large[by]];
    const perLog = Math.max(0, (b - a) / Math.log(small.blocks / large.blocks));
    return 1 / (b + perLog * Math.log(large.blocks));
  };
  return { low, high, spread: large.blocks < 8 || small.blocks <= large.blocks ? NaN : Math.sqrt(ofWhole("lows") + ofWhole("highs")) };
} // prettier-ignore

/** Variance of the lowest and of the highest values of blocks that are at least three quarters full. */
function scatter(z: Float64Array, rows: number, cols: number, side: number): { lows: number; highs: number; blocks: number } {
  const [lows, highs]: [number[], number[]] = [[], []];
  for (let top = 0; top + side <= rows; top += side) {
    for (let left = 0; left + side <= cols; left += side) {
      let [low, high, n] = [Infinity, -Infinity, 0];
      for (let r = top; r < top + side; r++) {
        for (let i = r * cols + left; i < r * cols + left + side; i++) {
          const v = z[i]!;
          if (Number.isNaN(v)) continue;
          n++;
          if (v < low) low = v;
          if (v > high) high = v;
        }
      }
      if (4 * n < 3 * side * side) continue;
      lows.push(low);
      highs.push(high);
    }
  }
  return { lows: varianceOf(lows), highs: varianceOf(highs), blocks: lows.length };
} // prettier-ignore

function varianceOf(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
}
