import { detail } from "./axis-pair.ts";

/**
 * How a measured row lies against a predicted one: shifted, and stretched about a place.
 *
 *     p(t) ≈ γ a(t - d(t)),   d(t) = s + g (t - middle)
 *
 *     minimise Σ (p - γ a_d)²:   (s, g) ← (s, g) + H⁻¹ b,  b = -Σ (p - γ a_d) h φ,   H = Σ p' a_d' φ φᵀ,
 *     φ = (1, t - middle),   h = (p' + a_d') / 2
 *     cov(s, g) = H⁻¹ V H⁻¹,   V = Σ_l C(l) Σ_t (h φ)(t) (h φ)(t + l)ᵀ,   C(l) = mean of rest(t) rest(t + l),  |l| <= LAGS
 *
 *     p  measured row   [1]    a  predicted row  [1]    s  shift [px], positive to the right    g  growth [1]
 *
 * Both rows are smoothed (1 4 6 4 1). γ and an offset are fitted along: what they could take up is taken off h φ, which
 * says something of the growth no more. What is broad in the rows is worth keeping: by it alone the shifts of many views
 * agree with one sample. Where the sample is wider than the detector the picture lacks just that, and both rows are freed
 * of it (`detail`). Noise of p is not in a, so H is not biased by it, nor by a picture less sharp than the row, as Σ a'²
 * would be. The variance is made from what is left over: it holds noise that is correlated over some columns, and what
 * the prediction lacks, but no error of the picture that goes on from view to view.
 */
export interface Registration {
  /** [px]; NaN where the two do not match. */
  shift: number;
  shift_se: number;
  /** 0.01: the measured row is 1 % wider; NaN where it was not asked for or cannot be told. */
  growth: number;
  growth_se: number;
  /** Of the two where they meet, -1 … 1. */
  correlation: number;
}

export interface Where {
  /** Place that the row stretches from, and as far from it columns count [px]. */
  readonly middle: number;
  readonly radius: number;
  /** Shifts to be looked at: so far to either side [px]. */
  readonly reach: number;
  readonly growing: boolean;
}

/** `known` marks the samples of p that were measured. What is returned is lent until the next call. */
export type Registrar = (
  p: ArrayLike<number>,
  known: Uint8Array | undefined,
  a: ArrayLike<number>,
  where: Where,
) => Registration;

const LAGS = 4;
const ITERATIONS = 10;
const ENDS_px = 1e-3;
/** Below it two rows are not of one sample; noise alone, smoothed, reaches 4 / √columns. */
const least = (columns: number): number => Math.max(0.15, 4.5 / Math.sqrt(columns));

/** `fine` takes off what is broad: where the picture lacks what lies beyond the detector. */
export function registrar(cols: number, fine: boolean): Registrar {
  const raw = new Float64Array(cols);
  const p = new Float64Array(cols);
  const a = new Float64Array(cols);
  const moved = new Float64Array(cols);
  const rest = new Float64Array(cols);
  const slope = new Float64Array(cols);
  const stretch = new Float64Array(cols);
  const sums = new Float64Array(13);
  const found: Registration = { shift: NaN, shift_se: NaN, growth: NaN, growth_se: NaN, correlation: NaN };
  const fewest = Math.max(12, cols >> 4);

  function prepare(row: ArrayLike<number>, into: Float64Array): void {
    for (let t = 0; t < cols; t++) raw[t] = row[t]!;
    if (fine) return detail(raw, into);
    for (let t = 0; t < cols; t++) {
      const [b, c, d, e] = [raw[Math.max(0, t - 2)]!, raw[Math.max(0, t - 1)]!, raw[Math.min(cols - 1, t + 1)]!, raw[Math.min(cols - 1, t + 2)]!];
      into[t] = (b + 4 * c + 6 * raw[t]! + 4 * d + e) / 16;
    }
  } // prettier-ignore

  /** a at place t, cubic. */
  function at(t: number): number {
    const i = Math.max(1, Math.min(cols - 3, Math.floor(t)));
    const f = t - i;
    const [b, c, d, e] = [a[i - 1]!, a[i]!, a[i + 1]!, a[i + 2]!];
    return (
      (-b * f * (f - 1) * (f - 2)) / 6 + (c * (f + 1) * (f - 1) * (f - 2)) / 2 -
      (d * (f + 1) * f * (f - 2)) / 2 + (e * (f + 1) * f * (f - 1)) / 6
    ); // prettier-ignore
  }

  /** The whole shift at which the two are most alike. */
  function nearest(from: number, to: number, reach: number): number {
    let [best, most] = [0, -Infinity];
    for (let s = -reach; s <= reach; s++) {
      let [sum, size] = [0, 1e-300];
      for (let t = Math.max(from, s); t <= Math.min(to, cols - 1 + s); t++) {
        const x = a[t - s]!;
        sum += p[t]! * x;
        size += x * x;
      }
      const alike = sum / Math.sqrt(size);
      if (alike > most) [best, most] = [s, alike];
    }
    return best;
  }

  return (measured, known, predicted, { middle, radius, reach, growing }) => {
    found.shift = found.shift_se = found.growth = found.growth_se = found.correlation = NaN;
    prepare(measured, p);
    prepare(predicted, a);
    const from = Math.max(3, Math.ceil(middle - radius));
    const to = Math.min(cols - 4, Math.floor(middle + radius));
    if (to - from < fewest) return found;
    let s = nearest(from, to, Math.floor(reach));
    let g = 0;
    let stretching = growing;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      for (let t = from - 1; t <= to + 1; t++) moved[t] = at(t - s - g * (t - middle));
      let [n, meanP, meanA, pa, pp, aa] = [0, 0, 0, 0, 0, 0];
      for (let t = from; t <= to; t++) {
        if (known && !known[t]!) continue;
        n++;
        meanP += p[t]!;
        meanA += moved[t]!;
        pa += p[t]! * moved[t]!;
        pp += p[t]! * p[t]!;
        aa += moved[t]! * moved[t]!;
      }
      meanP /= n;
      meanA /= n;
      pa -= n * meanP * meanA;
      pp -= n * meanP * meanP;
      aa -= n * meanA * meanA;
      const correlation = pa / Math.sqrt(pp * aa);
      if (n < fewest || !(correlation > 0)) return found;
      const gain = pa / aa;
      sums.fill(0);
      for (let t = from; t <= to; t++) {
        if (known && !known[t]!) {
          rest[t] = slope[t] = 0;
          continue;
        }
        const slopeP = (p[t + 1]! - p[t - 1]!) / 2;
        const slopeA = (gain * (moved[t + 1]! - moved[t - 1]!)) / 2;
        const off = (t - middle) / radius;
        const level = moved[t]! - meanA;
        rest[t] = p[t]! - meanP - gain * level;
        slope[t] = (slopeP + slopeA) / 2;
        const [push, hold] = [-rest[t]! * slope[t]!, slopeP * slopeA];
        sums[0]! += push;
        sums[1]! += push * off;
        sums[2]! += hold;
        sums[3]! += hold * off;
        sums[4]! += hold * off * off;
        // what an offset and a gain take away
        sums[5]! += slopeP;
        sums[6]! += slopeP * off;
        sums[7]! += slopeA;
        sums[8]! += slopeA * off;
        sums[9]! += slopeP * level;
        sums[10]! += slopeP * off * level;
        sums[11]! += slopeA * level;
        sums[12]! += slopeA * off * level;
      }
      const [b0, b1] = [sums[0]!, sums[1]!];
      const taken = (i: number, j: number): number =>
        (sums[5 + i]! * sums[7 + j]! + sums[7 + i]! * sums[5 + j]!) / 2 / n +
        (sums[9 + i]! * sums[11 + j]! + sums[11 + i]! * sums[9 + j]!) / 2 / aa;
      const h00 = sums[2]! - taken(0, 0);
      const h01 = sums[3]! - taken(0, 1);
      const h11 = sums[4]! - taken(1, 1);
      if (!(h00 > 0)) return found;
      const determinant = h00 * h11 - h01 * h01;
      stretching &&= h11 > 0 && determinant > 1e-3 * h00 * h11;
      const ds = stretching ? (h11 * b0 - h01 * b1) / determinant : b0 / h00;
      const dg = stretching ? (h00 * b1 - h01 * b0) / determinant / radius : 0;
      s += Math.max(-1, Math.min(1, ds));
      g += Math.max(-0.02, Math.min(0.02, dg));
      if (Math.abs(s) > reach + 1 || Math.abs(g) > 0.2) return found;
      const step = Math.abs(ds) + Math.abs(dg) * radius;
      if (step > ENDS_px && iteration < ITERATIONS - 1) continue;
      found.correlation = correlation;
      if (!(correlation >= least(n)) || step > 0.1) return found;
      for (let t = from; t <= to; t++) {
        const off = (t - middle) / radius;
        const left = known && !known[t]! ? 0 : 1;
        const level = moved[t]! - meanA;
        const [ones, levels] = [
          (i: number) => (sums[5 + i]! + sums[7 + i]!) / 2 / n,
          (i: number) => (sums[9 + i]! + sums[11 + i]!) / 2 / aa,
        ];
        stretch[t] = left * (slope[t]! * off - ones(1) - levels(1) * level);
        slope[t] = left * (slope[t]! - ones(0) - levels(0) * level);
      }
      const [v00, v01, v11] = varianceOfScore(n, from, to);
      found.shift = s;
      if (!stretching) {
        found.shift_se = Math.sqrt(v00) / h00;
        return found;
      }
      const [i00, i01, i11] = [h11 / determinant, -h01 / determinant, h00 / determinant];
      found.shift_se = Math.sqrt(i00 * i00 * v00 + 2 * i00 * i01 * v01 + i01 * i01 * v11);
      found.growth = g;
      found.growth_se = Math.sqrt(i01 * i01 * v00 + 2 * i01 * i11 * v01 + i11 * i11 * v11) / radius;
      return found;
    }
    return found;
  };

  /** Of noise like `rest`, correlated over some columns; both zero where not known. */
  function varianceOfScore(known: number, from: number, to: number): [v00: number, v01: number, v11: number] {
    let [v00, v01, v11] = [0, 0, 0];
    let alone: [number, number, number] = [0, 0, 0];
    for (let l = 0; l <= LAGS; l++) {
      let [noise, s00, s01, s11] = [0, 0, 0, 0];
      for (let t = from; t <= to - l; t++) {
        noise += rest[t]! * rest[t + l]!;
        s00 += slope[t]! * slope[t + l]!;
        s01 += (slope[t]! * stretch[t + l]! + stretch[t]! * slope[t + l]!) / 2;
        s11 += stretch[t]! * stretch[t + l]!;
      }
      const weight = ((l === 0 ? 1 : 2) * noise) / known;
      v00 += weight * s00;
      v01 += weight * s01;
      v11 += weight * s11;
      if (l === 0) alone = [v00, v01, v11];
    }
    // Estimated correlations may well be too negative; a quarter of the variance without them is the least.
    return v00 < alone[0] / 4 || v11 < alone[2] / 4 ? (alone.map((v) => v / 4) as [number, number, number]) : [v00, v01, v11];
  } // prettier-ignore
}
