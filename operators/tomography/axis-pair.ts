/**
 * Where a row and its mirrored opposite meet: for a parallel beam p(θ + 180°, t) = p(θ, 2 axis - t), so the sum of the
 * columns of one feature in both is twice the axis.
 *
 *     maximise c(s) = Σ p(t) q(s - t)   over s = 2 axis     p, q  rows a half-turn apart, freed of what is broad
 *
 *     s ← s - Σ (p - q_s) g / Σ p' q_s',     q_s(t) = q(s - t),  g = (p' + q_s') / 2
 *     var s = Σ_l C(l) Σ_t g(t) g(t + l) / (Σ p' q_s')²,   C(l) = mean of (p - q_s)(t) (p - q_s)(t + l),  |l| <= LAGS
 *
 * Noise of p and of q is independent, so neither the maximum nor its curvature Σ p' q_s' is moved by it, as that of
 * Σ g² would be; the variance is made from what was left over, so noise may be correlated over some columns
 * (by a scintillator, or by the smoothing here). Transmission and line integrals serve
 * alike. Only columns that both rows measured count, so the sample may be wider than the detector.
 *
 * q_s is interpolated through six columns, and rows are smoothed with 1 4 6 4 1 before: together the error is that of
 * the detector's own sampling of sharp edges.
 */
export interface Match {
  /** p's column plus q's [px]: twice the axis. NaN where the two do not match. */
  s: number;
  var_s: number;
  /** Correlation of the two where they meet, -1 … 1. */
  correlation: number;
}

const LAGS = 4;
const ITERATIONS = 12;
/** A step so small [px] is the last: what is left is a tenth of it. */
const ENDS = 1e-3;
/** Below it two rows are not of one sample; noise alone, smoothed, reaches 4 / √columns. */
const least = (columns: number): number => Math.max(0.15, 4.5 / Math.sqrt(columns));

/** Half the width that `detail` takes the mean over. */
const halfWidth = (cols: number): number => Math.max(3, cols >> 5);

/**
 * Takes off what is broader than a sixteenth of the row (flats that age, scatter, a beam that decays) and smooths over
 * five columns; even, so that mirroring before or after is the same. NaN is not allowed in `row`.
 */
export function detail(row: Float64Array, into: Float64Array): void {
  const n = row.length;
  const half = halfWidth(n);
  const at = (i: number): number => row[i < 0 ? 0 : i >= n ? n - 1 : i]!;
  let sum = 0;
  for (let i = -half; i <= half; i++) sum += at(i);
  // 1 4 6 4 1 over what is left, five of them in turn
  let a = 0, b = 0, c = 0, d = 0, e = 0; // prettier-ignore
  a = b = c = d = row[0]! - sum / (2 * half + 1);
  for (let i = -1; i < n + 1; i++) {
    const next = i + 1;
    if (i >= 0 && next < n) sum += at(next + half) - at(next - half - 1);
    e = next < n ? row[next]! - sum / (2 * half + 1) : d;
    if (i >= 1) into[i - 1] = (a + 4 * b + 6 * c + 4 * d + e) / 16;
    [a, b, c, d] = [b, c, d, e];
  }
}

export type Matcher = (
  p: Float64Array, knownP: Uint8Array, q: Float64Array, knownQ: Uint8Array, start: number, reach: number,
) => Match; // prettier-ignore

/** Matches rows of `cols` columns near s = `start`, within `reach`. What it returns is lent until the next call. */
export function mirrorMatcher(cols: number): Matcher {
  const turned = new Float64Array(cols);
  const rest = new Float64Array(cols);
  const slope = new Float64Array(cols);
  const match: Match = { s: NaN, var_s: NaN, correlation: NaN };
  const fewest = Math.max(12, cols >> 4);
  // Nearer to an end `detail` saw less than on the other side of the axis.
  const end = Math.min(halfWidth(cols) + 2, cols >> 3);

  return (p, knownP, q, knownQ, start, reach) => {
    match.s = match.var_s = match.correlation = NaN;
    let s = start;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      const whole = Math.floor(s);
      const f = s - whole;
      // Lagrange through columns whole - t - 2 … whole - t + 3 of q
      const [a2, a1, b1, b2, b3] = [f + 2, f + 1, f - 1, f - 2, f - 3];
      const w0 = (-a1 * f * b1 * b2 * b3) / 120;
      const w1 = (a2 * f * b1 * b2 * b3) / 24;
      const w2 = (-a2 * a1 * b1 * b2 * b3) / 12;
      const w3 = (a2 * a1 * f * b2 * b3) / 12;
      const w4 = (-a2 * a1 * f * b1 * b3) / 24;
      const w5 = (a2 * a1 * f * b1 * b2) / 120;
      const from = Math.max(end, whole + 3 + end - cols);
      const to = Math.min(cols - 1 - end, whole - 1 - end);
      if (to - from + 1 < fewest) return match;
      for (let t = from - 1, i = whole - from + 1; t <= to + 1; t++, i--)
        turned[t] =
          w0 * q[i - 2]! + w1 * q[i - 1]! + w2 * q[i]! + w3 * q[i + 1]! + w4 * q[i + 2]! + w5 * q[i + 3]!;
      let n = 0, sum = 0, curvature = 0, pq = 0, pp = 0, qq = 0; // prettier-ignore
      for (let t = from; t <= to; t++) {
        if (!(knownP[t]! & knownQ[whole - t]! & knownQ[whole - t + 1]!)) {
          rest[t] = slope[t] = 0;
          continue;
        }
        const slopeP = (p[t + 1]! - p[t - 1]!) / 2;
        const slopeQ = (turned[t + 1]! - turned[t - 1]!) / 2;
        const a = p[t]!;
        const b = turned[t]!;
        n++;
        rest[t] = a - b;
        slope[t] = (slopeP + slopeQ) / 2;
        sum += rest[t]! * slope[t]!;
        curvature += slopeP * slopeQ;
        pq += a * b;
        pp += a * a;
        qq += b * b;
      }
      const correlation = pq / Math.sqrt(pp * qq);
      if (n < fewest || !(curvature > 0)) return match;
      const step = Math.max(-1, Math.min(1, -sum / curvature));
      s += step;
      if (Math.abs(s - start) > reach) return match;
      if (Math.abs(step) > ENDS && iteration < ITERATIONS - 1) continue;
      match.correlation = correlation;
      if (!(correlation >= least(n)) || Math.abs(step) > 0.05) return match;
      match.s = s;
      match.var_s = Math.max(varianceOfScore(rest, slope, from, to, n), 1e-12) / curvature ** 2;
      return match;
    }
    return match;
  };
}

/** Variance of Σ rest slope, of noise like `rest`, correlated over some columns; both zero where not known. */
function varianceOfScore(
  rest: Float64Array, slope: Float64Array, from: number, to: number, known: number,
): number {
  let variance = 0;
  let alone = 0;
  for (let l = 0; l <= LAGS; l++) {
    let noise = 0;
    let slopes = 0;
    for (let t = from; t <= to - l; t++) {
      noise += rest[t]! * rest[t + l]!;
      slopes += slope[t]! * slope[t + l]!;
    }
    variance += ((l === 0 ? 1 : 2) * noise * slopes) / known;
    if (l === 0) alone = variance;
  }
  return Math.max(variance, alone / 4);
} // prettier-ignore
