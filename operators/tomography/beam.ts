/**
 * How bright the beam is at a projection, against its flats: b = beam now / beam then.
 *
 * From air, columns that the sample never covers: b is the mean of the transmission there.
 *
 * From the zeroth moment: what a beam loses in all of an untruncated slice is the same at every angle,
 *
 *     S = Σ -ln T = M - n ln b,   so   ln b = (M - S) / n
 *
 *     S  moment of a row as measured   [1]   over its n columns
 *     M  moment of the slice           [1]   a mean of S + n ln b, with b from the edges of those views
 *
 * S is measured by all columns, the edges by a few; b is the mean of both, each counting by its variance. S holds b
 * and the sample's absorption apart only as far as M is that of the sample now. Where M is a mean over the recent
 * views, gas that leaves is followed after so many views, and meanwhile b lags; where it is that of the start, S alone
 * counts from then on, and all change of absorption goes into b: 14 px of gas in a cell of 400 px look like 1.3 % of
 * beam. Where there are dozens of columns of air, they alone (`air`) are as good and need no such care.
 *
 * Reference: Natterer, The Mathematics of Computerized Tomography (1986), section II.4 (consistency of moments).
 */
import { WiringError } from "../../runtime/index.ts";

/** Columns by range, `0-20` (both included) or a single one. */
export function namedColumns(named: readonly (string | number)[], cols: number): number[] {
  const columns = new Set<number>();
  for (const name of named) {
    const [, first, last = first] = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(String(name)) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from <= to && to < cols)) {
      throw new WiringError(
        `air: ${name} are no columns of the detector; wanted such as "0-20", of 0 to ${cols - 1}`,
      );
    }
    for (let c = from; c <= to; c++) columns.add(c);
  }
  return [...columns].sort((a, b) => a - b);
}

/** The outermost columns left and right, where nothing else is named: a 32nd of the detector each, 4 at least. */
export function edgeColumns(cols: number): number[] {
  const n = Math.min(Math.floor(cols / 2), Math.max(4, Math.floor(cols / 32)));
  return Array.from({ length: 2 * n }, (_, i) => (i < n ? i : cols - 2 * n + i));
}

export interface Estimate {
  readonly value: number;
  readonly se: number;
}
export const UNKNOWN: Estimate = { value: NaN, se: NaN };

/**
 * Mean transmission over columns, all rows, without what lies further than 4 standard deviations from it (zingers).
 * The standard error comes from the scatter of the pixels, so it needs no gain of the detector.
 */
export function airLevel(T: Float32Array, rows: number, cols: number, columns: readonly number[]): Estimate {
  let [low, high, before] = [-Infinity, Infinity, -1];
  for (;;) {
    let [n, sum, squares] = [0, 0, 0];
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < columns.length; k++) {
        const t = T[r * cols + columns[k]!]!;
        if (t > low && t < high) {
          n++;
          sum += t - 1;
          squares += (t - 1) * (t - 1);
        }
      }
    }
    if (n < 2) return UNKNOWN;
    const mean = sum / n;
    const sd = Math.sqrt(Math.max(0, squares / n - mean * mean) * (n / (n - 1)));
    if (n === before || sd === 0) return { value: 1 + mean, se: sd / Math.sqrt(n) };
    [low, high, before] = [1 + mean - 4 * sd, 1 + mean + 4 * sd, n];
  }
}

/**
 * Σ -ln T of a row; unknown samples count as if interpolated between their neighbours. NaN where half of it or more
 * is unknown. Transmissions are multiplied before one logarithm is taken of many.
 */
export function rowMoment(T: Float32Array, from: number, cols: number): number {
  const to = from + cols;
  let sum = 0, product = 1, last = NaN, gap = 0, unknown = 0; // prettier-ignore
  for (let i = from; i < to; i++) {
    if (gap === 0) {
      for (; i + 4 <= to; i += 4) {
        const t0 = T[i]!, t1 = T[i + 1]!, t2 = T[i + 2]!, t3 = T[i + 3]!; // prettier-ignore
        const four = t0 * t1 * (t2 * t3);
        if (!(t0 > 0 && t1 > 0 && t2 > 0 && t3 > 0 && four < Infinity)) break;
        product *= four;
        last = t3;
        if (product < 1e-100 || product > 1e100) {
          sum += Math.log(product);
          product = 1;
        }
      }
      if (i === to) break;
    }
    const t = T[i]!;
    if (!(t > 0 && t < Infinity)) {
      gap++;
      continue;
    }
    if (gap > 0) {
      sum += gap * (last > 0 ? (Math.log(last) + Math.log(t)) / 2 : Math.log(t));
      unknown += gap;
      gap = 0;
    }
    last = t;
    sum += Math.log(t);
  }
  if (2 * (unknown + gap) >= cols) return NaN;
  return -(sum + Math.log(product) + gap * Math.log(last));
}

/** Of the moment of a row over its columns: variance by photon noise, from every eighth column. */
function momentVariance(T: Float32Array, g: Float32Array, from: number, cols: number, photons: number): number {
  let [sum, n] = [0, 0];
  for (let i = from; i < from + cols; i += 8) {
    const variance = g[i]! / (T[i]! * photons);
    if (variance > 0 && variance < Infinity) {
      sum += variance;
      n++;
    }
  }
  return sum / n / cols;
} // prettier-ignore

/** What is known of the slices' own moments. */
export interface MomentReference {
  /** By row, over the columns: mean of S / n + ln b. */
  readonly mean: Float64Array;
  /** Views in it, up to `baseline`. */
  views: number;
  /** Of the mean, from the edges' noise. */
  variance: number;
}

export const noReference = (rows: number): MomentReference => ({
  mean: new Float64Array(rows),
  views: 0,
  variance: 0,
});

export interface MomentOptions {
  readonly rows: number;
  readonly cols: number;
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly baseline: number;
  /** Views that the moments are compared with: the first ones, or those that went before. */
  readonly reference: "start" | "recent";
  readonly photonsPerCount: number;
}

/** Estimates b from the moments, one projection after another; its working memory is made once. */
export function momentBeam(options: MomentOptions) {
  const { rows, cols, left, right, baseline, photonsPerCount } = options;
  const S = new Float64Array(rows);
  const variance = new Float64Array(rows);
  const off = new Float64Array(rows);

  /** b of a projection with transmissions T and g = 1 / (F - D), or why there is none. Learns the reference. */
  return function estimate(T: Float32Array, g: Float32Array, known: MomentReference): Estimate | string {
    const l = airLevel(T, rows, cols, left);
    const r = airLevel(T, rows, cols, right);
    if (!(l.value > 0 && r.value > 0)) return "the columns at the edges have no transmission";
    const edge = Math.log(l.value) / 2 + Math.log(r.value) / 2;
    const edge_var = ((l.se / l.value) ** 2 + (r.se / r.value) ** 2) / 4;
    for (let row = 0; row < rows; row++) {
      S[row] = rowMoment(T, row * cols, cols) / cols;
      variance[row] = momentVariance(T, g, row * cols, cols, photonsPerCount);
    }
    // Rows agree on b; one that does not has seen something else, or is half dead.
    const moment = known.views === 0 ? undefined : agreed(S, variance, known.mean, off);
    const before = moment ? moment.value : 0;
    if (Math.abs(Math.log(l.value) - before) > 0.1 || Math.abs(Math.log(r.value) - before) > 0.1) {
      return (
        `transmission is ${l.value.toFixed(3)} at the left edge and ${r.value.toFixed(3)} at the right, the moment says ` +
        `${Math.exp(before).toFixed(3)}: the sample reaches the edge, or it or the beam has changed by more than a tenth; ` +
        "beam: moment needs air on both sides, use beam: monitor or air, or take flats"
      );
    }
    // The moment of those before and the edges now know nothing of each other: by their variances they make one.
    const learns = known.views < baseline || options.reference === "recent";
    const ln_var = (moment?.variance ?? Infinity) + known.variance;
    const w = !moment ? 1 : learns ? ln_var / (ln_var + edge_var) : 0;
    const ln = moment ? moment.value + w * (edge - moment.value) : edge;
    const se = Math.sqrt(moment ? w * w * edge_var + (1 - w) * (1 - w) * ln_var : edge_var);
    if (learns) {
      known.views = Math.min(known.views + 1, baseline);
      const share = 1 / known.views;
      const own_var = moment?.variance ?? 0;
      known.variance = (1 - share) ** 2 * known.variance + share ** 2 * (edge_var + own_var);
      for (let row = 0; row < rows; row++) {
        const mean = known.mean[row]!;
        const now = S[row]! + edge;
        if (Number.isNaN(mean) || share === 1) known.mean[row] = now;
        else if (!Number.isNaN(now)) known.mean[row] = mean + share * (now - mean);
      }
    }
    const value = Math.exp(ln);
    return { value, se: value * se };
  };
}

/** Weighted mean of M - S over the rows that agree with their median; its variance grows where they scatter more than they should. */
function agreed(S: Float64Array, variance: Float64Array, M: Float64Array, off: Float64Array): { value: number; variance: number } | undefined {
  let n = 0;
  for (let r = 0; r < S.length; r++) {
    const d = M[r]! - S[r]!;
    if (!Number.isNaN(d) && variance[r]! > 0) off[n++] = d;
  }
  if (n === 0) return undefined;
  const middle = median(off.subarray(0, n));
  for (let i = 0; i < n; i++) off[i] = Math.abs(off[i]! - middle);
  const spread = 1.4826 * median(off.subarray(0, n));
  let [weight, sum, chi2, used] = [0, 0, 0, 0];
  for (let r = 0; r < S.length; r++) {
    const d = M[r]! - S[r]! - middle;
    const v = variance[r]!;
    if (!(v > 0) || !(Math.abs(d) <= 4 * Math.max(spread, Math.sqrt(v)))) continue;
    weight += 1 / v;
    sum += d / v;
    chi2 += (d * d) / v;
    used++;
  }
  if (used === 0) return undefined;
  const scatter = used > 1 ? Math.max(1, (chi2 - (sum * sum) / weight) / (used - 1)) : 1;
  return { value: middle + sum / weight, variance: scatter / weight };
} // prettier-ignore

/** Sorts its argument. */
function median(values: Float64Array): number {
  const half = values.sort().length >> 1;
  return values.length % 2 ? values[half]! : (values[half - 1]! + values[half]!) / 2;
}
