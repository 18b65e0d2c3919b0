import { correlatedError } from "./correlated-error.ts";
import { covarianceOf } from "./cholesky.ts";
import { leastSquares } from "./least-squares.ts";

/**
 * What the voltage of a symmetric cell does over one half cycle at constant current; η = V sign(I) [V], t since its start.
 *
 *     mean      Σ w η / Σ w                       w  half the time between the neighbours
 *     end, slope  of the straight line through the plateau, the second half of the time
 *     noise     1.4826 median |η[k+1] - 2 η[k] + η[k-1]| / √6: of white noise its standard deviation; drift does not count
 *     arc height  the largest of five records' medians in the first half, less the mean of the plateau
 *     resistance  Σ w η / Σ w |I|
 *
 * Standard errors know that noise lasts (correlated-error.ts): of the mean it is what a cubic leaves, else what the line
 * leaves. They hold for what the cell did, as measured; not for the voltmeter's offset.
 */
export interface HalfCycleShape {
  readonly mean_V: number;
  readonly mean_V_se: number;
  readonly end_V: number;
  readonly end_V_se: number;
  readonly slope_V_per_h: number;
  readonly slope_V_per_h_se: number;
  readonly noise_V: number;
  readonly arcHeight_V: number;
  readonly arcHeight_V_se: number;
  readonly current_A: number;
  readonly resistance_Ohm: number;
  readonly resistance_Ohm_se: number;
}

const NOT_TOLD: HalfCycleShape = {
  mean_V: NaN, mean_V_se: NaN, end_V: NaN, end_V_se: NaN, slope_V_per_h: NaN, slope_V_per_h_se: NaN, noise_V: NaN,
  arcHeight_V: NaN, arcHeight_V_se: NaN, current_A: NaN, resistance_Ohm: NaN, resistance_Ohm_se: NaN,
}; // prettier-ignore

const LEAST_RECORDS = 16;
const HOUR_S = 3600;

export function halfCycleShape(
  t_s: Float64Array,
  eta_V: Float64Array,
  current_A: Float64Array,
): HalfCycleShape {
  const n = t_s.length;
  if (n < LEAST_RECORDS || !(t_s[n - 1]! > t_s[0]!)) return NOT_TOLD;
  const weights = weightsOf(t_s);
  const half = (t_s[0]! + t_s[n - 1]!) / 2;
  const from = t_s.findIndex((t) => t >= half);

  const mean_V = dot(weights, eta_V);
  const size_A = dot(weights, current_A.map(Math.abs));
  const whole = polynomial(t_s, eta_V, weights, 3);
  const mean_V_se = correlatedError(weights, whole.residual, whole.unknowns);

  const late_t = t_s.subarray(from);
  const late_V = eta_V.subarray(from);
  const lateWeights = weightsOf(late_t);
  const line = polynomial(late_t, late_V, lateWeights, 1);
  const plateau_V = dot(lateWeights, late_V);
  const peak = earlyPeak(eta_V.subarray(0, from));
  const noise_V = noiseOf(eta_V);
  const plateau_se = correlatedError(lateWeights, line.residual, line.unknowns);
  // Five records' median has 1.2 times the noise of their mean.
  const arcHeight_V_se = Math.hypot((1.2 * noise_V) / Math.sqrt(5), plateau_se);
  return {
    mean_V,
    mean_V_se,
    end_V: line.end,
    end_V_se: correlatedError(line.endBy, line.residual, line.unknowns),
    slope_V_per_h: line.slope * HOUR_S,
    slope_V_per_h_se: correlatedError(line.slopeBy, line.residual, line.unknowns) * HOUR_S,
    noise_V,
    arcHeight_V: peak - plateau_V,
    arcHeight_V_se,
    current_A: dot(weights, current_A),
    resistance_Ohm: mean_V / size_A,
    resistance_Ohm_se: mean_V_se / size_A,
  };
}

/** Shares of the time, which sum to 1. */
function weightsOf(t_s: Float64Array): Float64Array {
  const last = t_s.length - 1;
  const whole = 2 * (t_s[last]! - t_s[0]!);
  return t_s.map((_, i) => (t_s[Math.min(last, i + 1)]! - t_s[Math.max(0, i - 1)]!) / whole);
}

/** A polynomial through all records, each with its weight; of its end and its mean slope, how much each record adds. */
function polynomial(t_s: Float64Array, y: Float64Array, weights: Float64Array, degree: number) {
  const n = t_s.length;
  const [first, span] = [t_s[0]!, t_s[n - 1]! - t_s[0]!];
  const root = weights.map(Math.sqrt);
  const powers = Array.from({ length: degree + 1 }, (_, k) => t_s.map((t) => ((t - first) / span) ** k));
  const columns = powers.map((power) => power.map((value, i) => value * root[i]!));
  const { x } = leastSquares(columns, y.map((value, i) => value * root[i]!));
  const residual = y.map((value, i) => value - powers.reduce((sum, power, k) => sum + x[k]! * power[i]!, 0));
  const p = degree + 1;
  const inverse = covarianceOf(columns) ?? new Float64Array(p * p).fill(NaN);
  /** Σ_k g_k x_k is Σ_i of these times y_i. */
  const by = (g: (k: number) => number): Float64Array =>
    y.map((_, i) => {
      let sum = 0;
      for (let k = 0; k < p; k++) for (let j = 0; j < p; j++) sum += g(k) * inverse[k * p + j]! * powers[j]![i]! * weights[i]!;
      return sum;
    });
  return {
    residual, unknowns: p,
    end: x.reduce((sum, value) => sum + value, 0),
    endBy: by(() => 1),
    slope: x.subarray(1).reduce((sum, value) => sum + value, 0) / span,
    slopeBy: by((k) => (k > 0 ? 1 / span : 0)),
  };
} // prettier-ignore

function earlyPeak(eta_V: Float64Array): number {
  let peak = -Infinity;
  for (let i = 2; i + 2 < eta_V.length; i++) peak = Math.max(peak, eta_V.slice(i - 2, i + 3).sort()[2]!);
  return Number.isFinite(peak) ? peak : NaN;
}

function noiseOf(y: Float64Array): number {
  const second = new Float64Array(y.length - 2);
  for (let i = 0; i < second.length; i++) second[i] = Math.abs(y[i + 2]! - 2 * y[i + 1]! + y[i]!);
  second.sort();
  const m = second.length;
  return (1.4826 * ((second[(m - 1) >> 1]! + second[m >> 1]!) / 2)) / Math.sqrt(6);
}

function dot(u: Float64Array, v: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < u.length; i++) sum += u[i]! * v[i]!;
  return sum;
}
