import { inverseOf4 } from "../symmetric-inverse.ts";

/**
 * Resonance of a free lever from the power spectrum of its thermal motion.
 *
 *     S(f) = w + A² f₀⁴ / ((f² - f₀²)² + (f f₀/Q)²)        <d²> = π/2 f₀ Q A²
 *
 *     w   white noise of the detector  [V2/Hz]    f₀  resonance frequency   [Hz]
 *     A²  its value far below f₀       [V2/Hz]    Q   quality factor        [1]
 *     <d²>  mean square of the first mode  [V2]
 *
 * An averaged periodogram P of m spectra goes as a gamma distribution about S with relative variance 1/m, so a plain
 * least squares would let the few high values rule. Most likely is the least Σ (ln S + P/S) (Whittle), which does not
 * depend on m; found by Fisher's scoring in the logarithms of the four. Their covariance is φ (Σ ∂lnS ∂lnSᵀ)⁻¹, φ
 * being 1/m, or what P/S really scatters by where that is more, or where m is not known.
 *
 * Without limits it fits from max(0.2, 1 - 20/Q) f₀ to min(2.5, 1 + 20/Q) f₀: below lies slow noise, above the second mode.
 *
 * Holds for one damped oscillator in its range and for frequencies whose values are independent (no overlap of the
 * spectra that were averaged, no strong window).
 *
 * Reference: Whittle, J. R. Stat. Soc. B 15, 125 (1953); Nørrelykke & Flyvbjerg, Rev. Sci. Instrum. 81, 075103 (2010);
 * Hutter & Bechhoefer, Rev. Sci. Instrum. 64, 1868 (1993).
 */
export interface Resonance {
  whiteNoise_V2_per_Hz: number;
  /** A². */
  plateau_V2_per_Hz: number;
  frequency_Hz: number;
  qualityFactor: number;
  /** Covariance of ln w, ln A², ln f₀, ln Q, row by row. */
  covariance: Float64Array;
  /** Variance of P/S: 1/m where the model is right. */
  dispersion: number;
  /** Frequencies that were fitted. */
  samples: number;
}

export interface ThermalOptions {
  /** Periodograms that were averaged; NaN where not known. */
  readonly averages?: number;
  /** Limits of the fit [Hz]; NaN: found from the resonance. */
  readonly from_Hz?: number;
  readonly to_Hz?: number;
}

/** `undefined` where no resonance stands out. Frequencies ascend; powers that are not above zero do not count. */
export function thermalResonance(
  frequency_Hz: Float64Array,
  power_V2_per_Hz: Float64Array,
  { averages = NaN, from_Hz = NaN, to_Hz = NaN }: ThermalOptions = {},
): Resonance | undefined {
  const all = usable(frequency_Hz, power_V2_per_Hz, from_Hz, to_Hz);
  const peak_Hz = peakOf(all);
  if (Number.isNaN(peak_Hz)) return undefined;
  const ranged = (low: number, high: number): Spectrum =>
    within(all, Number.isNaN(from_Hz) ? low : from_Hz, Number.isNaN(to_Hz) ? high : to_Hz);

  const wide = ranged(peak_Hz / 5, 3 * peak_Hz);
  if (wide.f.length < LEAST_SAMPLES) return undefined;
  const starts = [1, 3, 10, 30, 100, 300, 1000].map((Q) => guess(wide, peak_Hz, Q));
  const costs = new Map(starts.map((start) => [start, slopes(wide, start).cost]));
  starts.sort((a, b) => costs.get(a)! - costs.get(b)!);
  let best: Fit | undefined;
  for (const start of starts.slice(0, 2)) {
    const fit = score(wide, start, 30);
    if (!best || fit.cost < best.cost) best = fit;
  }
  const { f0, Q } = named(best!.logs);
  const near = ranged(f0 * Math.max(0.2, 1 - 20 / Q), f0 * Math.min(2.5, 1 + 20 / Q));
  if (near.f.length < LEAST_SAMPLES) return undefined;
  const fit = score(near, best!.logs, 200);
  const inverse = inverseOf4(fit.information);
  if (!inverse) return undefined;

  const n = near.f.length;
  const scatter = fit.squares / (n - 4);
  const dispersion = averages > 0 ? Math.max(1 / averages, scatter) : scatter;
  const found = named(fit.logs);
  const mean = near.p.reduce((sum, p) => sum + p, 0) / n;
  const gain = n * (Math.log(mean) + 1) - fit.cost; // over a flat spectrum
  const inside = found.f0 > near.f[0]! && found.f0 < near.f[n - 1]!;
  if (!(gain > LEAST_GAIN * dispersion && inside && found.Q > 0.3)) return undefined;
  return {
    whiteNoise_V2_per_Hz: found.w, plateau_V2_per_Hz: found.A2, frequency_Hz: found.f0, qualityFactor: found.Q,
    covariance: inverse.map((value) => value * dispersion), dispersion: scatter, samples: n,
  }; // prettier-ignore
}

/** Mean square of the first mode, π/2 f₀ Q A² [V2], and its relative standard error. */
export function meanSquare(resonance: Resonance): { power_V2: number; relative_se: number } {
  const { plateau_V2_per_Hz, frequency_Hz, qualityFactor } = resonance;
  return {
    power_V2: (Math.PI / 2) * frequency_Hz * qualityFactor * plateau_V2_per_Hz,
    relative_se: relativeError(resonance, [0, 1, 1, 1]),
  };
}

/** Standard error of the logarithm of w^a (A²)^b f₀^c Q^d. */
export function relativeError(
  { covariance }: Resonance,
  powers: readonly [number, number, number, number],
): number {
  let sum = 0;
  for (let p = 0; p < 4; p++)
    for (let q = 0; q < 4; q++) sum += powers[p]! * powers[q]! * covariance[4 * p + q]!;
  return Math.sqrt(sum);
}

const LEAST_SAMPLES = 16;
/** Of the log likelihood: chance alone gains some 4 by four parameters. */
const LEAST_GAIN = 15;

interface Spectrum {
  readonly f: Float64Array;
  readonly p: Float64Array;
}

function usable(f: Float64Array, p: Float64Array, from_Hz: number, to_Hz: number): Spectrum {
  const good = (i: number): boolean => f[i]! > 0 && p[i]! > 0 && p[i]! < Infinity && !(f[i]! < from_Hz) && !(f[i]! > to_Hz); // prettier-ignore
  const kept = [...f.keys()].filter(good);
  return { f: Float64Array.from(kept, (i) => f[i]!), p: Float64Array.from(kept, (i) => p[i]!) };
}

function within({ f, p }: Spectrum, low: number, high: number): Spectrum {
  let from = 0;
  while (from < f.length && f[from]! < low) from++;
  let to = f.length;
  while (to > from && f[to - 1]! > high) to--;
  return { f: f.subarray(from, to), p: p.subarray(from, to) };
}

/**
 * Where the smoothed spectrum stands out most of the straight line, in double logarithms, from a third to three times
 * the frequency: white noise and noise that falls by any power are such lines.
 */
function peakOf({ f, p }: Spectrum): number {
  const n = f.length;
  if (n < LEAST_SAMPLES) return NaN;
  const half = Math.max(2, Math.round(n / 400));
  const sums = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) sums[i + 1] = sums[i]! + p[i]!;
  const smooth = (i: number): number => {
    const [from, to] = [Math.max(0, i - half), Math.min(n, i + half + 1)];
    return (sums[to]! - sums[from]!) / (to - from);
  };
  let [third, triple] = [0, 0];
  let [best, at] = [0, NaN];
  for (let i = 2 * half; i < n - half; i++) {
    while (f[third]! < f[i]! / 3) third++;
    while (triple < n - 1 && f[triple]! < 3 * f[i]!) triple++;
    const [below, above] = [Math.log(f[i]! / f[third]!), Math.log(f[triple]! / f[i]!)];
    if (!(below > 0 && above > 0)) continue;
    const line = (Math.log(smooth(third)) * above + Math.log(smooth(triple)) * below) / (below + above);
    const over = Math.log(smooth(i)) - line;
    if (over > best) [best, at] = [over, f[i]!];
  }
  return at;
}

function guess({ f, p }: Spectrum, peak_Hz: number, Q: number): Float64Array {
  const sorted = p.slice().sort();
  const low =
    sorted.subarray(0, Math.ceil(p.length / 4)).reduce((sum, x) => sum + x, 0) / Math.ceil(p.length / 4);
  // The mean of the model over the range is that of the data, whatever Q.
  let [shape, mean] = [0, 0];
  for (let i = 0; i < f.length; i++) {
    const u = (f[i]! / peak_Hz) ** 2;
    shape += 1 / ((u - 1) ** 2 + u / (Q * Q));
    mean += p[i]!;
  }
  return Float64Array.of(Math.log(low), Math.log(mean / shape), Math.log(peak_Hz), Math.log(Q));
}

const named = (logs: Float64Array) => ({ w: Math.exp(logs[0]!), A2: Math.exp(logs[1]!), f0: Math.exp(logs[2]!), Q: Math.exp(logs[3]!) }); // prettier-ignore

interface Fit {
  logs: Float64Array;
  /** Σ ln S + P/S */
  cost: number;
  /** Σ ∂lnS ∂lnSᵀ, row by row. */
  information: Float64Array;
  /** Σ (P/S - 1)² */
  squares: number;
}

/** Fisher's scoring with damping. */
function score(spectrum: Spectrum, start: Float64Array, rounds: number): Fit {
  let logs = start;
  let here = slopes(spectrum, logs);
  let damping = 1e-2;
  for (let round = 0; round < rounds && damping < 1e8; round++) {
    const damped = here.information.map((value, i) => (i % 5 === 0 ? value * (1 + damping) + 1e-300 : value));
    const inverse = inverseOf4(damped);
    if (!inverse) {
      damping *= 10;
      continue;
    }
    const next = logs.map((value, p) => {
      let step = 0;
      for (let q = 0; q < 4; q++) step += inverse[4 * p + q]! * here.gradient[q]!;
      return value + Math.max(-1, Math.min(1, step));
    });
    const there = slopes(spectrum, next);
    if (!(there.cost <= here.cost)) {
      damping *= 10;
      continue;
    }
    const done = here.cost - there.cost < 1e-11 * Math.abs(here.cost);
    [logs, here, damping] = [next, there, Math.max(1e-10, damping / 10)];
    if (done) break;
  }
  return { logs, cost: here.cost, information: here.information, squares: here.squares };
}

/** Of ln w, ln A², ln f₀, ln Q. */
function slopes({ f, p }: Spectrum, logs: Float64Array) {
  const { w, A2, f0, Q } = named(logs);
  const information = new Float64Array(16);
  const gradient = new Float64Array(4);
  const d = new Float64Array(4);
  let cost = 0;
  let squares = 0;
  for (let i = 0; i < f.length; i++) {
    const u = (f[i]! / f0) ** 2;
    const damped = u / (Q * Q);
    const denominator = (u - 1) ** 2 + damped;
    const mode = A2 / denominator;
    const S = w + mode;
    const ratio = p[i]! / S;
    d[0] = w / S;
    d[1] = mode / S;
    d[2] = (d[1] * (4 * u * (u - 1) + 2 * damped)) / denominator;
    d[3] = (d[1] * 2 * damped) / denominator;
    cost += Math.log(S) + ratio;
    squares += (ratio - 1) ** 2;
    for (let a = 0; a < 4; a++) {
      gradient[a]! += (ratio - 1) * d[a]!;
      for (let b = 0; b < 4; b++) information[4 * a + b]! += d[a]! * d[b]!;
    }
  }
  return { cost, squares, gradient, information };
}
