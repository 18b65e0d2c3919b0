import type { NumericArray } from "../../runtime/index.ts";

/**
 * Spots that stand in one frame and in none beside it in time: the noise that they must exceed, and their removal
 * from a frame. What counts as a spot is told in zingers.ts.
 */
export interface Noise {
  /** Variance of a pixel: a + b v, and never under `least`. */
  a: number;
  b: number;
  least: number;
}

/** Working memory for `noiseOf`, of this many sampled pixels. */
const SAMPLES = 4096, BINS = 16; // prettier-ignore
const sampled = {
  level: new Float64Array(SAMPLES),
  off: new Float64Array(SAMPLES),
  sorted: new Float64Array(SAMPLES),
  ends: new Int32Array(BINS),
  mean: new Float64Array(BINS),
};

/**
 * Noise of a frame from its difference to the mean of the frames before and after, over sampled pixels: of each level
 * of brightness the median absolute deviation, and through these a line. Steps of the numbers (whole counts) count too.
 */
export function noiseOf(before: NumericArray, now: NumericArray, after: NumericArray): Noise {
  const { level, off, sorted, ends, mean } = sampled;
  const [A, V, B] = [before, now, after] as [Float32Array, Float32Array, Float32Array];
  // Odd steps, so that samples come from all columns.
  const stride = Math.max(1, Math.floor(V.length / SAMPLES)) | 1;
  let n = 0;
  let [low, high, step] = [Infinity, -Infinity, Infinity];
  for (let i = 0; i < V.length && n < SAMPLES; i += stride) {
    const [a, v, b] = [A[i]!, V[i]!, B[i]!];
    const d = v - (a + b) / 2;
    if (!Number.isFinite(d)) continue;
    const middle = a > b ? (v > a ? a : v < b ? b : v) : v > b ? b : v < a ? a : v;
    if (middle < low) low = middle;
    if (middle > high) high = middle;
    const change = Math.abs(v - a);
    if (change > 0 && change < step) step = change;
    level[n] = middle;
    off[n++] = Math.abs(d);
  }
  const least = step < Infinity ? (step / 2) ** 2 : 0;
  const deviation = (from: number, to: number): number =>
    1.4826 * (sorted.subarray(from, to).sort()[(to - from) >> 1] ?? 0) * Math.sqrt(2 / 3);
  // Levels further apart than noise alone puts them.
  sorted.set(off.subarray(0, n));
  const overall = Math.max(Math.sqrt(least), deviation(0, n));
  const bins = Math.max(1, Math.min(BINS, Math.floor((high - low) / (8 * overall)) || 1));
  const binOf = (i: number): number =>
    Math.min(bins - 1, Math.floor(((level[i]! - low) / (high - low)) * bins) || 0);
  ends.fill(0);
  mean.fill(0);
  for (let i = 0; i < n; i++) {
    const bin = binOf(i);
    ends[bin]!++;
    mean[bin]! += level[i]!;
  }
  for (let k = 1; k < bins; k++) ends[k]! += ends[k - 1]!;
  for (let i = 0; i < n; i++) sorted[--ends[binOf(i)]!] = off[i]!; // and so they have become starts
  let [w, wx, wxx, wy, wxy] = [0, 0, 0, 0, 0];
  let smallest = Infinity;
  for (let k = 0; k < bins; k++) {
    const from = ends[k]!;
    const to = k + 1 < bins ? ends[k + 1]! : n;
    if (to - from < 32 && bins > 1) continue;
    const variance = Math.max(least, deviation(from, to) ** 2);
    if (!(variance > 0)) continue;
    const x = mean[k]! / (to - from);
    const weight = (to - from) / (variance * variance);
    smallest = Math.min(smallest, variance);
    w += weight;
    wx += weight * x;
    wxx += weight * x * x;
    wy += weight * variance;
    wxy += weight * x * variance;
  }
  if (w === 0) return { a: overall * overall, b: 0, least };
  const spread = w * wxx - wx * wx;
  const b = spread > 1e-12 * w * wxx ? Math.max(0, (w * wxy - wx * wy) / spread) : 0;
  return { a: (wy - b * wx) / w, b, least: Math.max(least, smallest / 4) };
}

export interface SpotOptions {
  readonly rows: number;
  readonly cols: number;
  /** Of e, in σ. */
  readonly threshold: number;
  /** 1 for spots that are brighter, -1 for darker ones. */
  readonly sign: 1 | -1;
  readonly maxSize: number;
}

/** Finds spots and replaces them; its working memory is made once. */
export function spotRemover({ rows, cols, threshold, sign, maxSize: d }: SpotOptions) {
  const size = rows * cols;
  const found = new Int32Array(Math.max(64, size >> 4));
  const box = { top: 0, bottom: 0, left: 0, right: 0 };

  /** How far i stands out from both neighbours. */
  const standing = (A: Float32Array, V: Float32Array, B: Float32Array, i: number): number =>
    sign > 0 ? V[i]! - greater(A[i]!, B[i]!) : lesser(A[i]!, B[i]!) - V[i]!;

  /** Nothing in the square around it, d away, stands out half as much. */
  function alone(A: Float32Array, V: Float32Array, B: Float32Array, i: number, half: number): boolean {
    const [r, c] = [Math.floor(i / cols), i % cols];
    for (let y = Math.max(0, r - d); y <= Math.min(rows - 1, r + d); y++) {
      const by = Math.abs(y - r) === d ? 1 : 2 * d;
      for (let x = c - d; x <= c + d; x += by) {
        if (x >= 0 && x < cols && standing(A, V, B, y * cols + x) >= half) return false;
      }
    }
    return true;
  }

  /** The pixels that hang together with it and stand out by at least so much fit into d × d; where they lie, in `box`. */
  function small(A: Float32Array, V: Float32Array, B: Float32Array, i: number, least: number): boolean {
    const [r, c] = [Math.floor(i / cols), i % cols];
    Object.assign(box, { top: r, bottom: r, left: c, right: c });
    for (let grown = true; grown;) {
      grown = false;
      for (let y = Math.max(0, box.top - 1); y <= Math.min(rows - 1, box.bottom + 1); y++) {
        for (let x = Math.max(0, box.left - 1); x <= Math.min(cols - 1, box.right + 1); x++) {
          const inside = y >= box.top && y <= box.bottom && x >= box.left && x <= box.right;
          if (inside || !(standing(A, V, B, y * cols + x) >= least)) continue;
          box.top = Math.min(box.top, y);
          box.bottom = Math.max(box.bottom, y);
          box.left = Math.min(box.left, x);
          box.right = Math.max(box.right, x);
          if (box.bottom - box.top >= d || box.right - box.left >= d) return false;
          grown = true;
        }
      }
    }
    return true;
  }

  /** Mean of what stands out above and below it, in its column: what turns is mostly as high as it is wide. */
  function aboveAndBelow(A: Float32Array, V: Float32Array, B: Float32Array, i: number): number {
    let [n, sum] = [0, 0];
    for (let k = d; k < d + 6; k++) {
      for (const j of [i - k * cols, i + k * cols]) {
        if (j < 0 || j >= size) continue;
        const u = sign * (V[j]! - (A[j]! + B[j]!) / 2);
        if (u !== u) continue;
        sum += u;
        n++;
      }
    }
    return n < 4 ? 0 : sum / n;
  }

  /** What a spot would be in this frame, now gone: it stands out from the columns d away on the mean, and from now. */
  function near(W: Float32Array, V: Float32Array, i: number, half: number, reach: number): boolean {
    const c = i % cols;
    const from = i - c;
    for (let x = Math.max(0, c - reach); x <= Math.min(cols - 1, c + reach); x++) {
      const w = W[from + x]!;
      if (!(sign * (w - V[from + x]!) >= half)) continue;
      const left = W[from + (x >= d ? x - d : Math.min(cols - 1, x + d))]!;
      const right = W[from + (x + d < cols ? x + d : Math.max(0, x - d))]!;
      if (sign * (w - (left + right) / 2) >= half) return true;
    }
    return false;
  }

  /**
   * Number of pixels replaced in `into`, which holds a copy of `now`; NaN where too many stand out. `reach`: columns
   * that the sample can have moved by, -1 where nothing moves. `outer`: both neighbours lie on one side in time.
   */
  return function remove(
    before: NumericArray, now: NumericArray, after: NumericArray, into: NumericArray, noise: Noise, reach: number, outer: boolean,
  ): number {
    const [A, V, B, out] = [before, now, after, into] as [Float32Array, Float32Array, Float32Array, Float32Array];
    const square = threshold * threshold;
    const [a, b, least] = [square * noise.a, square * noise.b, square * noise.least];
    const n = candidates(A, V, B, sign, a, b, found);
    if (n < 0) return NaN;
    let replaced = 0;
    for (let k = 0; k < n; k++) {
      const i = found[k]!;
      const e = standing(A, V, B, i);
      const limit = Math.max(least, a + b * sign * greater(sign * A[i]!, sign * B[i]!));
      if (!(e > 0 && e * e > limit && out[i] === V[i])) continue;
      if (outer && (A[i]! - B[i]!) ** 2 > limit) continue;
      if (!alone(A, V, B, i, e / 2)) continue;
      if (reach >= 0 && aboveAndBelow(A, V, B, i) > e / 4) continue;
      if (reach >= 0 && near(A, V, i, e / 2, reach + d) && near(B, V, i, e / 2, reach + d)) continue;
      if (!small(A, V, B, i, e / 4)) continue;
      // Its flanks too, from half the threshold on.
      for (let y = Math.max(0, box.top - 1); y <= Math.min(rows - 1, box.bottom + 1); y++) {
        for (let x = Math.max(0, box.left - 1); x <= Math.min(cols - 1, box.right + 1); x++) {
          const j = y * cols + x;
          const f = standing(A, V, B, j);
          if (!(f > 0 && 4 * f * f > limit) || out[j] !== V[j]) continue;
          out[j] = sign > 0 ? greater(A[j]!, B[j]!) : lesser(A[j]!, B[j]!);
          replaced++;
        }
      }
    }
    return replaced;
  };
} // prettier-ignore

/** The greater of two, or the one that is a number. */
const greater = (a: number, b: number): number => (a > b || b !== b ? a : b);
const lesser = (a: number, b: number): number => (a < b || b !== b ? a : b);

/**
 * Pixels that may stand out: e |e| > a + b v, v the nearer neighbour; -1 where there is no room for them all. Two
 * neighbours are told apart without a branch, which would go the wrong way half of the time.
 */
function candidates(A: Float32Array, V: Float32Array, B: Float32Array, sign: 1 | -1, a: number, b: number, found: Int32Array): number {
  let n = 0;
  const [a4, b2] = [4 * a * 0.999, 2 * b * 0.999]; // rounding loses none, and who stands out is looked at again
  for (let i = 0; i < V.length; i++) {
    const before = A[i]!;
    const after = B[i]!;
    const nearer2 = before + after + sign * Math.abs(before - after);
    const e2 = sign * (2 * V[i]! - nearer2);
    if (e2 * Math.abs(e2) > a4 + b2 * nearer2 || (nearer2 !== nearer2 && V[i] === V[i])) {
      if (n === found.length) return -1;
      found[n++] = i;
    }
  }
  return n;
} // prettier-ignore
