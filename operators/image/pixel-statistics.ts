import type { BlockError } from "./block-error.ts";
import { quantile } from "./order-statistics.ts";

/** Statistics of pixels that go together with their neighbours; errors by blocks (block-error.ts). NaN is left out. */

export interface Mean {
  readonly mean: number;
  readonly mean_se: number;
  readonly sd: number;
  readonly pixels: number;
}

export function meanOf(values: Float64Array, error: BlockError): Mean {
  let [n, sum, squares] = [0, 0, 0];
  for (const v of values) {
    if (Number.isNaN(v)) continue;
    n++;
    sum += v;
  }
  const mean = sum / n;
  const u = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    const away = values[i]! - mean;
    squares += away * away;
    u[i] = away / n;
  }
  return { mean, mean_se: error.of(u), sd: Math.sqrt(squares / (n - 1)), pixels: n };
}

/** Share of the pixels (true, false; undefined where one does not count) that are true. */
export function shareOf(size: number, is: (i: number) => boolean | undefined, error: BlockError): { share: number; share_se: number } {
  let [n, hits] = [0, 0];
  for (let i = 0; i < size; i++) {
    const hit = is(i);
    if (hit === undefined) continue;
    n++;
    if (hit) hits++;
  }
  const share = hits / n;
  const u = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const hit = is(i);
    if (hit !== undefined) u[i] = ((hit ? 1 : 0) - share) / n;
  }
  // A share of nothing or of all has no spread to read an error from.
  return { share, share_se: hits === 0 || hits === n ? NaN : error.of(u) };
} // prettier-ignore

/** Beside the median the shares between which its density is read. */
const NEAR = 0.1;

export interface Median {
  readonly median: number;
  readonly median_se: number;
  /** Half of what lies between the shares of 15.87 and 84.13 %: the standard deviation of a bell. */
  readonly spread: number;
}

/**
 * Median; -Infinity and Infinity count as what is known to lie below and above everything. NaN where what is asked for
 * lies among them.
 */
export function medianOf(values: Float64Array, error: BlockError): Median {
  const sorted = values.filter((v) => !Number.isNaN(v)).sort();
  const n = sorted.length;
  const finite = (v: number): number => (Number.isFinite(v) ? v : NaN);
  const median = finite(quantile(sorted, 0.5));
  const spread = (quantile(sorted, 0.8413) - quantile(sorted, 0.1587)) / 2;
  const near = quantile(sorted, 0.5 + NEAR) - quantile(sorted, 0.5 - NEAR);
  const u = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++)
    if (!Number.isNaN(values[i])) u[i] = (Math.sign(values[i]! - median) / (2 * n)) * (near / (2 * NEAR));
  return { median, median_se: Number.isFinite(near) && !Number.isNaN(median) ? error.of(u) : NaN, spread: finite(spread) };
} // prettier-ignore
