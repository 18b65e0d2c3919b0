import { rc } from "./kramers-kronig.ts";
import type { Spectrum } from "./spectrum.ts";
import { voigtElements, type Reactances } from "./voigt-elements.ts";

/**
 * Arcs of a spectrum, from RC elements whose resistances are not negative (voigt-elements.ts):
 *
 *     -Z"(ω) = Σ_k R_k ω τ_k / (1 + ω² τ_k²)      of the RC elements alone
 *
 * An arc is where this has a maximum within the measured frequencies; it has the elements up to the minima on either side.
 *
 *     resistance   R_ct = Σ R_k of these, the arc's diameter
 *     apex         frequency of the maximum of their -Z"; time constant τ = 1 / (2π apex), capacitance C = τ / R_ct
 *
 * So a Warburg tail or a blocking capacitance is no arc, nor raises R_ct; two processes within a factor of six in τ are
 * one arc. Of a single RC element C is its capacitance, of a depressed arc that which an RC element of the same apex has.
 * Standard errors are those of the elements, from the residual; they are widened by √((1 + r) / (1 - r)) where
 * neighbouring residuals correlate by r: then the model, and not noise, is what misses. They hold where the spectrum is
 * made of such elements; of a depressed arc (exponent 0.8) the resistance comes out 0.3 % too small besides, and the series
 * resistance too large by 0.1 to 0.3 % of it. Points above the real axis at the high-frequency end (inductive) and at the
 * low-frequency end (a loop) are left out.
 */
export interface Arc {
  readonly resistance_Ohm: number;
  readonly resistance_Ohm_se: number;
  readonly apex_Hz: number;
  readonly apex_Hz_se: number;
  readonly time_constant_s: number;
  readonly time_constant_s_se: number;
  readonly capacitance_F: number;
  readonly capacitance_F_se: number;
}

export interface Arcs {
  /** From high to low frequency. */
  readonly arcs: readonly Arc[];
  /** R: the limit at high frequency, without inductance. */
  readonly series_Ohm: number;
  readonly series_Ohm_se: number;
  /** Standard deviation of each part, relative to |Z|. */
  readonly noise: number;
  /** Lowest frequency that was fitted. */
  readonly lowest_Hz: number;
}

const SHOWN_PER_DECADE = 50;
/** Arcs below so many standard errors, or this share of all resistance, are noise. */
const TOLD = 3;
const SHARE = 0.01;
export const LEAST_POINTS = 6;

export function voigtArcs(spectrum: Spectrum, reactances: Reactances): Arcs | undefined {
  const { from, to } = belowTheAxis(spectrum);
  const n = to - from;
  if (n < LEAST_POINTS) return undefined;
  const omega = spectrum.frequency_Hz.subarray(from, to).map((f) => 2 * Math.PI * f);
  const voigt = voigtElements(omega, spectrum.real_Ohm.subarray(from, to), spectrum.imaginary_Ohm.subarray(from, to), reactances);
  if (!voigt) return undefined;
  const { tau_s, R_Ohm, covariance, unknowns, series } = voigt;
  const elements = [...R_Ohm.keys()];
  const widened = voigt.noise * widening(voigt.residual, n);
  /** Standard error of what changes by c_k with each unknown. */
  const error = (c: readonly number[]): number => {
    let sum = 0;
    for (let k = 0; k < unknowns; k++) for (let j = 0; j < unknowns; j++) sum += (c[k] ?? 0) * covariance[k * unknowns + j]! * (c[j] ?? 0);
    return widened * Math.sqrt(Math.max(0, sum));
  };
  const all = R_Ohm.reduce((sum, R) => sum + R, 0);
  const height = (w: number): number => elements.reduce((sum, k) => sum - R_Ohm[k]! * rc(w * tau_s[k]!)[1], 0);

  const arcs: Arc[] = [];
  for (const { near, high, low } of humps(omega[0]!, omega[n - 1]!, height)) {
    const inIt = tau_s.map((tau) => (1 / tau < high && 1 / tau >= low ? 1 : 0));
    const R = elements.reduce((sum, k) => sum + inIt[k]! * R_Ohm[k]!, 0);
    const R_se = error(inIt);
    if (!(R > TOLD * R_se) || !(R > SHARE * all)) continue;
    // With u = ln ωτ, -Z" of an element is R sech(u) / 2: the maximum moves by what tilts it, over its curvature.
    const apex = apexOf(near, tau_s, R_Ohm.map((value, k) => value * inIt[k]!));
    const tilts = tau_s.map((tau, k) => -inIt[k]! * sech(apex * tau) * tanh(apex * tau));
    const bends = tau_s.map((tau, k) => inIt[k]! * R_Ohm[k]! * bend(apex * tau));
    const curvature = bends.reduce((sum, value) => sum + value, 0);
    const moves = [...tilts, ...bends].map((value) => -value / curvature);
    const log_se = error(moves);
    arcs.push({
      resistance_Ohm: R,
      resistance_Ohm_se: R_se,
      apex_Hz: apex / (2 * Math.PI),
      apex_Hz_se: (apex / (2 * Math.PI)) * log_se,
      time_constant_s: 1 / apex,
      time_constant_s_se: log_se / apex,
      capacitance_F: 1 / (apex * R),
      capacitance_F_se: error(moves.map((move, k) => move + (inIt[k] ?? 0) / R)) / (apex * R),
    });
  }
  return {
    arcs,
    series_Ohm: voigt.series_Ohm,
    series_Ohm_se: series < 0 ? NaN : error(Array.from({ length: unknowns }, (_, k) => (k === series ? 1 : 0))),
    noise: voigt.noise,
    lowest_Hz: spectrum.frequency_Hz[to - 1]!,
  };
} // prettier-ignore

/** sech(u), tanh(u) and d/du of -sech(u) tanh(u), of u = ln x. */
const sech = (x: number): number => 2 / (x + 1 / x);
const tanh = (x: number): number => (x - 1 / x) / (x + 1 / x);
const bend = (x: number): number => sech(x) * (tanh(x) ** 2 - sech(x) ** 2);

/** Maximum of -Z" of these elements alone, by Newton's steps; `near` it, where those beside the arc add to it. */
function apexOf(near: number, tau_s: readonly number[], R_Ohm: readonly number[]): number {
  let omega = near;
  for (let step = 0; step < 20; step++) {
    const tilt = tau_s.reduce((sum, tau, k) => sum - R_Ohm[k]! * sech(omega * tau) * tanh(omega * tau), 0);
    const curvature = tau_s.reduce((sum, tau, k) => sum + R_Ohm[k]! * bend(omega * tau), 0);
    const move = -tilt / curvature;
    if (!(curvature < 0) || Math.abs(move) > 1) return near;
    omega *= Math.exp(move);
    if (Math.abs(move) < 1e-12) break;
  }
  return omega;
} // prettier-ignore

/** From the first to the last point that is not above the real axis. */
function belowTheAxis({ imaginary_Ohm: im }: Spectrum): { from: number; to: number } {
  let [from, to] = [0, im.length];
  while (from < to && im[from]! > 0) from++;
  while (to > from && im[to - 1]! > 0) to--;
  return { from, to };
}

/** Maxima of a curve over log ω, from high to low, and the minima on either side; without one, no bound. */
function humps(highest: number, lowest: number, height: (omega: number) => number): { near: number; high: number; low: number }[] {
  const count = Math.max(3, Math.ceil(Math.log10(highest / lowest) * SHOWN_PER_DECADE) + 1);
  const omega = Array.from({ length: count }, (_, i) => highest * (lowest / highest) ** (i / (count - 1)));
  const y = omega.map(height);
  const found: { near: number; high: number; low: number }[] = [];
  let valley = Infinity;
  for (let i = 1; i + 1 < count; i++) {
    const [a, b, c] = [y[i - 1]!, y[i]!, y[i + 1]!];
    // Where a parabola through three points turns.
    const turn = omega[i]! * (lowest / highest) ** ((a - c) / (2 * (a - 2 * b + c)) / (count - 1));
    if (b > a && b >= c) found.push({ near: turn, high: valley, low: 0 });
    if (b < a && b <= c) {
      valley = turn;
      const open = found.at(-1);
      if (open) open.low = Math.max(open.low, turn);
    }
  }
  return found;
} // prettier-ignore

/** Neighbouring residuals that are alike count as fewer. */
function widening(residual: Float64Array, n: number): number {
  let [square, pairs] = [0, 0];
  for (const from of [0, n])
    for (let i = from; i < from + n; i++) {
      square += residual[i]! ** 2;
      if (i > from) pairs += residual[i]! * residual[i - 1]!;
    }
  const r = square > 0 ? Math.min(0.9, Math.max(0, pairs / square)) : 0;
  return Math.sqrt((1 + r) / (1 - r));
}
