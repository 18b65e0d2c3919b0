import { wrap } from "./view-window.ts";

/**
 * One axis out of many mirrored pairs, with its tilt and an error that can be believed.
 *
 *     a_kr = axis + slope (row_r - middle) + c δ_k + noise     pair k, detector row r
 *
 *     δ  angle by which a pair misses the half-turn [deg]; 0 where the old view was interpolated to it
 *     c  how far the features that a pair goes by move per degree; needed where a scan of just a half-turn has few pairs
 *
 * Pairs are weighted by their information and combined after Huber (1964), so single ones may be wrong (a bubble, a
 * beam trip). The error is that of the views, not of the pairs: a view that stands in two pairs errs the same way in
 * both. It is then scaled to the scatter of the pairs, which has in it what no noise model knows (jitter, motion).
 */
export interface Pair {
  readonly seconds: number;
  /** Angle of its new view. */
  readonly angle_deg: number;
  readonly delta_deg: number;
  /** Of each detector row; NaN where it does not match. */
  readonly axis: Float64Array;
  readonly variance: Float64Array;
  /** Numbers of its views, the new one first, and how much each counts. */
  readonly views: readonly number[];
  readonly shares: readonly number[];
  /** True where the ends of the scan so far are no further apart than its views. */
  readonly closing: boolean;
}

export interface AxisEstimate {
  /** In the middle row of the detector [px]. */
  readonly axis: number;
  readonly axis_se: number;
  /** [px/row]; NaN where only one row tells. */
  readonly slope: number;
  readonly slope_se: number;
  readonly pairs: number;
}

/** From so many pairs that meet at a half-turn on, those that miss it are not needed. */
const ENOUGH = 8;
const HUBER = 1.345;
/**
 * What edges sharper than a column do to one pair [px × columns], and over how many degrees they do the same: it does
 * not show in the scatter of pairs that follow each other. Found with ellipses of hard edges, 48 to 128 columns wide.
 */
const SAMPLING = 0.6;
const ALIKE_deg = 10;
/** Pairs that the noise model is worth against their scatter. */
const PRIOR = 4;

/** `rows` are the detector rows that the pairs give, from the detector's middle, of `cols` columns each. */
export function axisOfPairs(
  pairs: readonly Pair[], rows: readonly number[], cols: number, fewest: number,
): AxisEstimate | undefined {
  const meeting = pairs.filter((pair) => pair.delta_deg === 0);
  const open = meeting.length < ENOUGH && pairs.some((pair) => pair.closing);
  const used = meeting.length >= ENOUGH || !open ? meeting : pairs;
  if (used.length < Math.max(1, fewest)) return undefined;

  const slopes = fit(used.map((pair) => slopeOf(pair, rows)), used, false); // prettier-ignore
  const slope = slopes?.value ?? NaN;
  const along = Number.isNaN(slope) ? 0 : slope;
  const levels = used.map((pair) => levelOf(pair, rows, along));
  const level = fit(levels, used, open);
  if (!level) return undefined;
  const parts = new Set(used.map(({ angle_deg }) => Math.floor(wrap(angle_deg, 180) / ALIKE_deg))).size;
  const lever = levels.reduce((sum, { lever, variance }) => sum + (variance < Infinity ? lever : 0), 0) / level.count;
  return {
    axis: level.value,
    axis_se: Math.hypot(level.se, lever * (slopes?.se ?? 0), SAMPLING / cols / Math.sqrt(parts)),
    slope,
    slope_se: slopes?.se ?? NaN,
    pairs: level.count,
  };
} // prettier-ignore

interface Measured {
  readonly value: number;
  /** Infinity where it tells nothing. */
  readonly variance: number;
}

/** Axis of one pair in the middle row, from all its rows; `lever` is how far from it they stand on average. */
function levelOf(pair: Pair, rows: readonly number[], slope: number): Measured & { lever: number } {
  let sum = 0, weights = 0, lever = 0; // prettier-ignore
  for (let r = 0; r < rows.length; r++) {
    const weight = 1 / pair.variance[r]!;
    if (!(weight > 0)) continue;
    sum += weight * (pair.axis[r]! - slope * rows[r]!);
    weights += weight;
    lever += weight * rows[r]!;
  }
  return weights > 0
    ? { value: sum / weights, variance: 1 / weights, lever: lever / weights }
    : { value: 0, variance: Infinity, lever: 0 };
}

/** Slope of the axis over the rows of one pair, by weighted least squares. */
function slopeOf(pair: Pair, rows: readonly number[]): Measured {
  let w = 0, x = 0, y = 0, xx = 0, xy = 0; // prettier-ignore
  for (let r = 0; r < rows.length; r++) {
    const weight = 1 / pair.variance[r]!;
    if (!(weight > 0)) continue;
    w += weight;
    x += weight * rows[r]!;
    y += weight * pair.axis[r]!;
    xx += weight * rows[r]! ** 2;
    xy += weight * rows[r]! * pair.axis[r]!;
  }
  const spread = xx - (x * x) / w;
  if (!(spread > 1e-9 * xx)) return { value: 0, variance: Infinity };
  return { value: (xy - (x * y) / w) / spread, variance: 1 / spread };
}

/** Robust mean of what pairs say, or, where pairs miss the half-turn, what they would say if they did not. */
function fit(
  all: readonly Measured[], pairs: readonly Pair[], missing: boolean,
): { value: number; se: number; count: number } | undefined {
  const kept = all.flatMap((m, k) => (m.variance < Infinity ? [k] : []));
  const n = kept.length;
  if (n === 0) return undefined;
  const y = Float64Array.from(kept, (k) => all[k]!.value);
  const sigma = Float64Array.from(kept, (k) => Math.sqrt(all[k]!.variance));
  const x = Float64Array.from(kept, (k) => (missing ? pairs[k]!.delta_deg : 0));
  const distinct = x.some((d) => Math.abs(d - x[0]!) > 1e-6);
  if (missing && (n < 3 || !distinct)) return undefined;
  const unknowns = missing ? 2 : 1;

  const trust = new Float64Array(n).fill(1);
  const z = new Float64Array(n);
  let value = missing ? NaN : median(y);
  let tilt = 0;
  let scale = 1;
  /** Least squares: how much each counts in the value, and in the rise per degree. */
  const share = new Float64Array(n);
  const climb = new Float64Array(n);
  const solve = (): void => {
    let w = 0, wx = 0, wxx = 0; // prettier-ignore
    for (let i = 0; i < n; i++) {
      const weight = trust[i]! / sigma[i]! ** 2;
      w += weight;
      wx += weight * x[i]!;
      wxx += weight * x[i]! ** 2;
    }
    const spread = wxx - (wx * wx) / w;
    for (let i = 0; i < n; i++) {
      const weight = trust[i]! / sigma[i]! ** 2;
      climb[i] = missing ? (weight * (x[i]! - wx / w)) / spread : 0;
      share[i] = weight / w - (climb[i]! * wx) / w;
    }
  };
  for (let round = 0; round < 10; round++) {
    if (!Number.isNaN(value)) {
      for (let i = 0; i < n; i++) z[i] = Math.abs(y[i]! - value - tilt * x[i]!) / sigma[i]!;
      // Few pairs scatter little by chance: they are then not called wrong for it.
      if (round < 3) scale = Math.max(n < 10 ? 1 : 0, 1.4826 * median(z), 1e-9);
      for (let i = 0; i < n; i++) trust[i] = Math.min(1, (HUBER * scale) / z[i]!);
    }
    solve();
    let next = 0;
    let rise = 0;
    for (let i = 0; i < n; i++) {
      next += share[i]! * y[i]!;
      rise += climb[i]! * y[i]!;
    }
    const moved = Math.abs(next - value);
    value = next;
    tilt = rise;
    if (moved < 1e-6) break;
  }

  // Huber's asymptotic variance in units of the noise model, drawn towards 1 where there are few pairs.
  // Each counts as it does in the variance itself: a pair that was trusted too much by chance errs the more for it.
  trust.fill(1);
  solve();
  let squares = 0;
  let modelled = 0;
  let inside = 0;
  for (let i = 0; i < n; i++) {
    const apart = Math.abs(y[i]! - value - tilt * x[i]!) / sigma[i]!;
    const part = (share[i]! * sigma[i]!) ** 2;
    squares += part * Math.min(apart, HUBER * scale) ** 2;
    modelled += part;
    if (apart < HUBER * scale) inside += missing ? 1 / n : share[i]!;
  }
  const scatter = inside > 0 ? squares / modelled / inside ** 2 : 1;
  const observed = n > unknowns ? (PRIOR + scatter * n * (n / (n - unknowns))) / (PRIOR + n) : 1;
  // Pairs that miss the half-turn have their views in common, and so scatter less than they err.
  const inflation = missing ? Math.max(1, observed) : observed;
  return { value, se: Math.sqrt(inflation * varianceByViews(kept, share, sigma, pairs)), count: n };
} // prettier-ignore

/** Variance of Σ share y, where views that pairs have in common err alike in them. */
function varianceByViews(
  kept: readonly number[], share: Float64Array, sigma: Float64Array, pairs: readonly Pair[],
): number {
  const errors = new Map<number, number>();
  kept.forEach((k, i) => {
    const { views, shares } = pairs[k]!;
    const alone = Math.sqrt(shares.reduce((sum, s) => sum + s * s, 0));
    views.forEach((view, v) =>
      errors.set(view, (errors.get(view) ?? 0) + (share[i]! * sigma[i]! * shares[v]!) / alone),
    );
  });
  let sum = 0;
  for (const error of errors.values()) sum += error * error;
  return sum;
} // prettier-ignore

function median(values: Float64Array): number {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
