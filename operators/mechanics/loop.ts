/**
 * Adhesion force and dissipated energy from both branches of a force curve.
 *
 *     F_adh = b - min F on retract             W = ∮ F dδ = ∫ (F - b) dδ on approach - ∫ (F - b') dδ on retract
 *
 *     F   force                       [N]      b, b'  baseline of the same branch, from its far end  [N]
 *     dδ  = -dz, z the piezo height   [m]      W      work that the sample did not give back         [J]
 *
 * Over the height z or over the tip position z + F/k the loop has the same area, since F dF/k closes upon itself;
 * z carries no noise. Each branch has its own baseline: an offset that drifts between them is no work.
 *
 * The least of n noisy samples lies below the least force. So half of the samples (each second one) choose where the
 * minimum is, the other half say how deep it is there, by a parabola through the samples around it; then the other way
 * round, and the mean of both. Where there is no adhesion the result is zero on average, and may come out negative
 * within its error. The parabola's samples end where the force has risen by a fifth of the adhesion or by 3 times the
 * noise: at a snap that is the next sample. A minimum sharper than the samples are spaced is seen at the deepest
 * sample, and an adhesion below five times the noise of one sample comes out too small, by about one standard error.
 *
 * Holds for white noise, a baseline without tilt, a far end out of reach of the surface. The standard errors are of
 * the noise alone; spring constant and sensitivity are not in them.
 */
export interface Branch {
  /** From far to deep, finite; the first `length` samples count. */
  readonly height_m: Float64Array;
  readonly force_N: Float64Array;
  readonly length: number;
}

export interface Loop {
  /** Positive for attraction. */
  adhesion_N: number;
  adhesion_se_N: number;
  dissipation_J: number;
  dissipation_se_J: number;
}

/** NaN what could not be estimated: a branch under 16 samples. */
export function loop(approach: Branch, retract: Branch): Loop {
  const far = farBaseline(retract.force_N, retract.length);
  const { depth_N, depth_se_N } = leastForce(retract.force_N, retract.length, far);
  const { work, work_se } = dissipation(approach, farBaseline(approach.force_N, approach.length), retract, far); // prettier-ignore
  return { adhesion_N: depth_N, adhesion_se_N: depth_se_N, dissipation_J: work, dissipation_se_J: work_se };
}

const LEAST_SAMPLES = 16;

export interface Baseline {
  readonly mean_N: number;
  readonly se_N: number;
  /** Standard deviation of one sample. */
  readonly noise_N: number;
  /** The first so many samples lie on it. */
  readonly samples: number;
}

/** Level of the far end: block by block, until one stands out of the noise by four standard errors. */
export function farBaseline(force_N: Float64Array, length: number): Baseline {
  if (length < LEAST_SAMPLES) return { mean_N: NaN, se_N: NaN, noise_N: NaN, samples: 0 };
  const block = Math.max(8, Math.ceil(length / 16));
  const zero = force_N[0]!; // sums are of what is above it: forces may be small beside their offset
  let n = 0;
  let sum = 0;
  let squares = 0;
  let steps = 0; // Σ of squared differences of neighbours: noise that no slow drift gets into
  let last = { n, sum, squares };
  for (let from = 0; from + block <= length; from += block) {
    let s = 0;
    let ss = 0;
    let dd = 0;
    for (let i = from; i < from + block; i++) {
      const f = force_N[i]! - zero;
      s += f;
      ss += f * f;
      if (i > 0) dd += (force_N[i]! - force_N[i - 1]!) ** 2;
    }
    if (n > 0) {
      const variance = steps / (2 * (n - 1));
      if ((s / block - sum / n) ** 2 > 16 * variance * (1 / block + 1 / n)) {
        if (n > 2 * block) ({ n, sum, squares } = last); // contact may have begun in the block before
        break;
      }
    }
    last = { n, sum, squares };
    n += block;
    sum += s;
    squares += ss;
    steps += dd;
  }
  const noise_N = Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1));
  return { mean_N: zero + sum / n, se_N: noise_N / Math.sqrt(n), noise_N, samples: n };
}

export interface LeastForce {
  /** How far it lies below the baseline, and its error with that of the baseline. */
  depth_N: number;
  depth_se_N: number;
  /** The force there and its own error. */
  force_N: number;
  force_se_N: number;
  /** Which sample it is near. */
  at: number;
}

export function leastForce(force_N: Float64Array, length: number, far: Baseline): LeastForce {
  if (length < LEAST_SAMPLES)
    return { depth_N: NaN, depth_se_N: NaN, force_N: NaN, force_se_N: NaN, at: NaN };
  const even = depthBySplit(force_N, length, 0, far);
  const odd = depthBySplit(force_N, length, 1, far);
  const depth_N = (even.depth_N + odd.depth_N) / 2;
  const gain = (even.gain + odd.gain) / 4;
  // The baseline is of all its samples: where the minimum lies among them, their errors are in part the same.
  const baselineGain = (1 - Math.min(1, even.onBaseline + odd.onBaseline)) / far.samples;
  return {
    depth_N,
    depth_se_N: far.noise_N * Math.sqrt(Math.max(0, gain + baselineGain)),
    force_N: far.mean_N - depth_N,
    force_se_N: far.noise_N * Math.sqrt(gain),
    at: (even.at + odd.at) / 2,
  };
}

/** Least squares by a parabola u₀ + u₁ t + u₂ t², below five samples a line, below three a constant. */
class Parabola {
  count = 0;
  #u0 = 0;
  #u1 = 0;
  #u2 = 0;
  /** Upper half of the inverse of the normal matrix: the variance per variance of a sample. */
  #inverse = new Float64Array(6);

  /** Samples start, start + 2, … up to `to`; t goes from -1 at `from` to 1 at `to`. */
  fit(force_N: Float64Array, from: number, to: number, start: number, baseline_N: number): void {
    let n = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, y0 = 0, y1 = 0, y2 = 0; // prettier-ignore
    const half = Math.max(1, (to - from) / 2);
    for (let i = start; i <= to; i += 2) {
      const t = (i - from) / half - 1;
      const f = force_N[i]! - baseline_N;
      n++;
      s1 += t;
      s2 += t * t;
      s3 += t * t * t;
      s4 += t * t * t * t;
      y0 += f;
      y1 += t * f;
      y2 += t * t * f;
    }
    this.count = n;
    const inverse = this.#inverse;
    if (n < 5) {
      const det = n < 3 ? Infinity : n * s2 - s1 * s1;
      this.#u1 = (n * y1 - s1 * y0) / det;
      this.#u0 = (y0 - this.#u1 * s1) / n;
      this.#u2 = 0;
      inverse.fill(0);
      inverse[0] = n < 3 ? 1 / n : s2 / det;
      inverse[1] = -s1 / det;
      inverse[3] = n / det;
      return;
    }
    const c00 = s2 * s4 - s3 * s3, c01 = s2 * s3 - s1 * s4, c02 = s1 * s3 - s2 * s2; // prettier-ignore
    const c11 = n * s4 - s2 * s2, c12 = s1 * s2 - n * s3, c22 = n * s2 - s1 * s1; // prettier-ignore
    const det = n * c00 + s1 * c01 + s2 * c02;
    this.#u0 = (c00 * y0 + c01 * y1 + c02 * y2) / det;
    this.#u1 = (c01 * y0 + c11 * y1 + c12 * y2) / det;
    this.#u2 = (c02 * y0 + c12 * y1 + c22 * y2) / det;
    inverse[0] = c00 / det;
    inverse[1] = c01 / det;
    inverse[2] = c02 / det;
    inverse[3] = c11 / det;
    inverse[4] = c12 / det;
    inverse[5] = c22 / det;
  }

  at(t: number): number {
    return this.#u0 + t * (this.#u1 + t * this.#u2);
  }

  gain(t: number): number {
    const c = this.#inverse;
    return c[0]! + t * (2 * c[1]! + t * (2 * c[2]! + c[3]! + t * (2 * c[4]! + t * c[5]!)));
  }

  /** Where it is least, within -1 … 1. */
  least(): number {
    if (this.#u2 > 0) return Math.max(-1, Math.min(1, -this.#u1 / (2 * this.#u2)));
    return this.at(-1) < this.at(1) ? -1 : 1;
  }
}

const chooser = new Parabola();
const judge = new Parabola();

/** Samples begin, begin + 2, … choose the place, those between them say the force there. */
function depthBySplit(
  force_N: Float64Array,
  length: number,
  begin: number,
  { mean_N: b, noise_N, samples }: Baseline,
): { depth_N: number; gain: number; at: number; onBaseline: number } {
  const count = (length - begin) >> 1; // each has a judge after it
  const end = begin + 2 * count;
  // The width of the moving average whose least stands out most of its noise.
  let best = -Infinity;
  let middle = begin;
  let level = 0;
  for (let width = 3; width <= 81 && width <= count; width *= 3) {
    let sum = 0;
    for (let j = 0; j < count; j++) {
      sum += force_N[begin + 2 * j]! - b;
      if (j >= width) sum -= force_N[begin + 2 * (j - width)]! - b;
      if (j < width - 1) continue;
      const standsOut = -sum / Math.sqrt(width);
      if (standsOut <= best) continue;
      best = standsOut;
      middle = begin + 2 * (j - (width >> 1));
      level = sum / width;
    }
  }
  // As far as the force is about the least; a steep minimum has few such samples, and is nearly straight up to half.
  const ceiling = b + level + Math.max(-0.2 * level, 3 * noise_N);
  const atHalf = Math.max(ceiling, b + level / 2);
  let from = middle;
  let to = middle;
  while (to + 2 < end && force_N[to + 2]! <= (to - from < 10 ? atHalf : ceiling)) to += 2;
  while (from - 2 >= begin && force_N[from - 2]! <= (to - from < 10 ? atHalf : ceiling)) from -= 2;
  if (from === to) to += 2;
  chooser.fit(force_N, from, to, from, b);
  const t = chooser.least();
  judge.fit(force_N, from, to, from + 1, b);
  return {
    depth_N: 0 - judge.at(t),
    gain: judge.gain(t),
    at: from + ((t + 1) * (to - from)) / 2,
    onBaseline: to < samples ? 1 : from >= samples ? 0 : (samples - from) / (to - from),
  };
}

function dissipation(
  approach: Branch,
  near: Baseline,
  retract: Branch,
  far: Baseline,
): { work: number; work_se: number } {
  if (!(near.samples > 0 && far.samples > 0)) return { work: NaN, work_se: NaN };
  // From the middle of the baselines: they may reach a little into what is to be measured.
  const begin_m = Math.max(approach.height_m[near.samples >> 1]!, retract.height_m[far.samples >> 1]!);
  const there = area(approach, near, begin_m);
  const back = area(retract, far, begin_m);
  const i = approach.length - 1;
  const j = retract.length - 1;
  const forces = approach.force_N[i]! - near.mean_N + retract.force_N[j]! - far.mean_N;
  const turn = (forces / 2) * (approach.height_m[i]! - retract.height_m[j]!);
  return { work: there.area - back.area + turn, work_se: Math.sqrt(there.variance + back.variance) };
}

/** ∫ (F - b) dδ from a height down to the deepest, by trapezoids. */
function area(
  { height_m: z, force_N: f, length: n }: Branch,
  { mean_N: b, noise_N, samples }: Baseline,
  begin_m: number,
): { area: number; variance: number } {
  let first = 0;
  while (first < n - 1 && z[first]! > begin_m) first++;
  const share = (z[first]! - z[n - 1]!) / samples; // what each sample of the baseline takes away
  let sum = 0;
  let squares = 0;
  let onBaseline = 0;
  let before = 0;
  for (let i = first; i < n; i++) {
    const after = i + 1 < n ? z[i]! - z[i + 1]! : 0;
    const weight = (before + after) / 2;
    sum += weight * (f[i]! - b);
    squares += weight * weight;
    if (i < samples) onBaseline += weight;
    before = after;
  }
  return { area: sum, variance: noise_N ** 2 * (squares + share * (share * samples - 2 * onBaseline)) };
}
