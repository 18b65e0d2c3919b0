import { notFitted, type AdhesiveFit, type AdhesiveOptions } from "./dmt.ts";
import { farBaseline, leastForce, type Baseline, type Branch, type LeastForce } from "./loop.ts";

/**
 * Reduced modulus after Johnson, Kendall and Roberts from two points of the retract branch: where the force is none and
 * where it is least.
 *
 *     E* = 0.75 · 1.2709 F_adh/√(R (δ₀ - δ₁)³),   1.2709 = ((1 + 16^(1/3))/3)^1.5
 *
 *     δ₀, δ₁  indentation at no force and at pull-off [m]      F_adh  adhesion [N]      R  radius of the tip's apex [m]
 *
 * Each point is by a parabola through the samples around it. The minimum is flat, so its place is the weak part: expect
 * some percent of bias, with a noise of some percent of the adhesion ten and more, and several times the error of `jkr`
 * (jkr.ts), which uses all samples. Where the place cannot be told at all, NaN.
 *
 * Holds as jkr.ts, for a lever that stays in contact down to the least force.
 *
 * Reference: Sun, Akhremitchev & Walker, Langmuir 20, 5837 (2004).
 */
export function jkrTwoPoint(branch: Branch, options: AdhesiveOptions): AdhesiveFit {
  const { tipRadius_m: R } = options;
  const far = farBaseline(branch.force_N, branch.length);
  const least = leastForce(branch.force_N, branch.length, far);
  const points = twoPoints(branch, options, far, least);
  const none = notFitted(far, least);
  if (!points) return none;
  const { apart_m, apart_se_m, zero_m, zero_se_m } = points;
  const modulus = (3 * least.depth_N) / Math.sqrt(R * (apart_m / APART) ** 3);
  const relative = Math.hypot(least.depth_se_N / least.depth_N, (1.5 * apart_se_m) / apart_m);
  const third = 1 / (3 * APART);
  return {
    ...none,
    reducedModulus_Pa: modulus,
    reducedModulus_se_Pa: modulus * relative,
    workOfAdhesion_J_per_m2: least.depth_N / (1.5 * Math.PI * R),
    workOfAdhesion_se_J_per_m2: least.depth_se_N / (1.5 * Math.PI * R),
    contact_m: zero_m + third * apart_m + far.mean_N / options.springConstant_N_per_m,
    contact_se_m: Math.hypot(zero_se_m, third * apart_se_m),
    noise_N: far.noise_N,
    samples: points.samples,
  };
}

/** a/a₀ at pull-off under load control (jkr.ts): 4 (A³ - A^1.5) = -1. */
const A_PULL_OFF = 0.5 ** (2 / 3);
/** (δ₀ - δ₁)/D: indentation at no force less that at pull-off. 3 × this^1.5 is 0.75 × 1.2709. */
const APART = 1 / 3 - (A_PULL_OFF ** 2 - (2 / 3) * Math.sqrt(A_PULL_OFF));

interface TwoPoints {
  /** Piezo height at which the force is that of the baseline; δ is D/3 there. */
  zero_m: number;
  zero_se_m: number;
  /** Indentation there less that at the least force. */
  apart_m: number;
  apart_se_m: number;
  samples: number;
}

/** Both by least squares in the piezo height, through the samples around. */
function twoPoints(
  { height_m: z, force_N: f, length: n }: Branch,
  { springConstant_N_per_m: k }: AdhesiveOptions,
  far: Baseline,
  least: LeastForce,
): TwoPoints | undefined {
  const { depth_N, at } = least;
  if (!(depth_N > 4 * least.depth_se_N)) return undefined; // nothing that pulls, nothing to tell
  const b = far.mean_N;
  // Around the minimum: up to a tenth of the adhesion, or three times the noise.
  const ceiling = least.force_N + Math.max(0.1 * depth_N, 3 * far.noise_N);
  const middle = Math.min(n - 1, Math.round(at));
  let from = middle;
  let to = middle;
  while (from > 0 && f[from - 1]! <= ceiling) from--;
  while (to + 1 < n && f[to + 1]! <= ceiling) to++;
  while (to - from < 4 && to + 1 < n) to++;
  const dip = polynomial(z, f, from, to, b, true);
  // Around no force: between half of the adhesion below and above it, on the deep side.
  let low = to;
  while (low < n && f[low]! < b - 0.5 * depth_N) low++;
  let high = low;
  while (high + 1 < n && f[high + 1]! < b + 0.5 * depth_N) high++;
  while (high - low < 4 && high + 1 < n) high++;
  if (!dip || high - low < 2) return undefined;
  const rise = polynomial(z, f, low, high, b, high - low >= 5);
  if (!rise) return undefined;

  const lowest = dip.least(z[to]!, z[from]!);
  const crossing = rise.root(0);
  if (!lowest || crossing === undefined) return undefined;
  const slope = rise.slope(crossing);
  const noise = far.noise_N;
  const crossing_se = Math.hypot(noise * Math.sqrt(rise.gain(crossing)), far.se_N) / Math.abs(slope);
  const apart_m = lowest.z_m - depth_N / k - crossing; // of tip positions, less the common baseline's bending
  if (!(apart_m > 0 && noise * lowest.seGain < apart_m / 3)) return undefined; // or the minimum is anywhere
  return {
    zero_m: crossing,
    zero_se_m: crossing_se,
    apart_m,
    apart_se_m: Math.hypot(crossing_se, noise * lowest.seGain, least.depth_se_N / k),
    samples: to - from + high - low + 2,
  };
}

interface Polynomial {
  /** Where it is least, kept between two heights, and how its place goes with the noise. */
  least(deep_m: number, far_m: number): { z_m: number; seGain: number } | undefined;
  root(value: number): number | undefined;
  slope(z_m: number): number;
  /** Variance of its value per variance of a sample. */
  gain(z_m: number): number;
}

/** Parabola, or line, through samples from … to of F - b over the height. */
function polynomial(
  z: Float64Array,
  f: Float64Array,
  from: number,
  to: number,
  b: number,
  curved: boolean,
): Polynomial | undefined {
  const n = to - from + 1;
  let mean = 0;
  for (let i = from; i <= to; i++) mean += z[i]! / n;
  const half = Math.max(Math.abs(z[from]! - mean), Math.abs(z[to]! - mean));
  if (!(half > 0)) return undefined;
  let s1 = 0, s2 = 0, s3 = 0, s4 = 0, y0 = 0, y1 = 0, y2 = 0; // prettier-ignore
  for (let i = from; i <= to; i++) {
    const t = (z[i]! - mean) / half;
    const y = f[i]! - b;
    s1 += t;
    s2 += t * t;
    s3 += t * t * t;
    s4 += t * t * t * t;
    y0 += y;
    y1 += t * y;
    y2 += t * t * y; // prettier-ignore
  }
  if (!curved) [s3, s4, y2] = [0, 1, 0]; // u2 = 0, and no part in the rest
  const q2 = curved ? s2 : 0;
  const c00 = s2 * s4 - s3 * s3, c01 = q2 * s3 - s1 * s4, c02 = s1 * s3 - s2 * q2; // prettier-ignore
  const c11 = n * s4 - q2 * q2, c12 = s1 * q2 - n * s3, c22 = n * s2 - s1 * s1; // prettier-ignore
  const det = n * c00 + s1 * c01 + q2 * c02;
  if (!(det > 0)) return undefined;
  const u0 = (c00 * y0 + c01 * y1 + (curved ? c02 * y2 : 0)) / det;
  const u1 = (c01 * y0 + c11 * y1 + (curved ? c12 * y2 : 0)) / det;
  const u2 = curved ? (c02 * y0 + c12 * y1 + c22 * y2) / det : 0;
  const gainOf = (a: number, p: number, q: number): number =>
    (a * a * c00 + p * p * c11 + (curved ? q * q * c22 + 2 * (a * q * c02 + p * q * c12) : 0) + 2 * a * p * c01) / det; // prettier-ignore
  return {
    least(deep_m, far_m) {
      if (!(u2 > 0)) return undefined;
      const t = -u1 / (2 * u2);
      const z_m = Math.max(deep_m, Math.min(far_m, mean + half * t));
      return { z_m, seGain: (half * Math.sqrt(gainOf(0, 1, 2 * t))) / (2 * u2) };
    },
    root(value) {
      const c = u0 - value;
      const under = u1 * u1 - 4 * u2 * c;
      // F falls with the height here: the root with a negative slope.
      return under >= 0 && u1 < 0 ? mean + half * ((-2 * c) / (u1 - Math.sqrt(under))) : undefined;
    },
    slope: (at) => (u1 + (2 * u2 * (at - mean)) / half) / half,
    gain: (at) => gainOf(1, (at - mean) / half, ((at - mean) / half) ** 2),
  };
}
