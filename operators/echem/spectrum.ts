/** One impedance spectrum as the kernels take it: from high to low frequency, each frequency once, nothing missing. */
export interface Spectrum {
  readonly frequency_Hz: Float64Array;
  readonly real_Ohm: Float64Array;
  /** Signed: negative where the cell is capacitive. */
  readonly imaginary_Ohm: Float64Array;
  /** When each was measured. */
  readonly time_s: Float64Array;
}

/** Frequencies nearer than this share are the same. */
const SAME = 1e-6;

/** Puts points in order, leaves out those that are not finite, and takes the mean of those at the same frequency. */
export function spectrumOf(
  frequency_Hz: Float64Array, real_Ohm: Float64Array, imaginary_Ohm: Float64Array, time_s: Float64Array,
): Spectrum {
  const order = [...frequency_Hz.keys()].filter(
    (i) => frequency_Hz[i]! > 0 && Number.isFinite(frequency_Hz[i]! + real_Ohm[i]! + imaginary_Ohm[i]!) && (real_Ohm[i] !== 0 || imaginary_Ohm[i] !== 0),
  );
  order.sort((i, j) => frequency_Hz[j]! - frequency_Hz[i]! || i - j);
  const rows: [f: number, re: number, im: number, t: number][] = [];
  for (let from = 0, to = 0; from < order.length; from = to) {
    const f = frequency_Hz[order[from]!]!;
    while (to < order.length && frequency_Hz[order[to]!]! >= f * (1 - SAME)) to++;
    const same = order.slice(from, to);
    const mean = (of: Float64Array): number => same.reduce((sum, i) => sum + of[i]!, 0) / same.length;
    rows.push([f, mean(real_Ohm), mean(imaginary_Ohm), mean(time_s)]);
  }
  const column = (k: 0 | 1 | 2 | 3): Float64Array => Float64Array.from(rows, (row) => row[k]);
  return { frequency_Hz: column(0), real_Ohm: column(1), imaginary_Ohm: column(2), time_s: column(3) };
} // prettier-ignore

/**
 * Where the spectrum crosses the real axis, from above it (inductive) to below, at the highest frequency where it does:
 *
 *     R = (1 - t) Z'a + t Z'b,   t = Z"a / (Z"a - Z"b)      a, b  the neighbours of the crossing
 *     R_se² = s² |Z|² ((1 - t)² + t²) (1 + ((Z'b - Z'a) / (Z"b - Z"a))²)
 *
 * s is the noise of each part, relative to |Z|. Undefined where there is no crossing.
 */
export function highFrequencyIntercept(spectrum: Spectrum, noise: number): { value: number; se: number } | undefined {
  const { real_Ohm: re, imaginary_Ohm: im } = spectrum;
  // Above it nothing lies below the axis, but for noise: a loop at low frequency crosses it too.
  const below = im.findIndex((value, i) => value < -3 * noise * Math.hypot(re[i]!, value));
  const a = im.findIndex((_, i) => im[i]! >= 0 && im[i + 1]! < 0);
  if (a < 0 || (below >= 0 && below < a)) return undefined;
  const t = im[a]! / (im[a]! - im[a + 1]!);
  const value = (1 - t) * re[a]! + t * re[a + 1]!;
  const lean = (re[a + 1]! - re[a]!) / (im[a + 1]! - im[a]!);
  return { value, se: noise * Math.abs(value) * Math.hypot(1 - t, t) * Math.hypot(1, lean) };
} // prettier-ignore

/**
 * The spectrum as it was at one instant. Each frequency was measured at a time of its own; between two spectra every
 * impedance is taken to change evenly in time:
 *
 *     Z(f, T) = Z2(f) + (Z2(f) - Z1(f)) (T - t2(f)) / (t2(f) - t1(f))
 *
 *     1, 2  the spectrum before and this one, t1 < t2 when each measured f; Z1 and t1 between its frequencies by a cubic
 *           through four neighbours in log f
 *     T     the middle of this spectrum: what was measured after it is interpolated, what was measured before it is
 *           carried on by at most half the spectrum's duration
 *
 * Holds while the cell drifts evenly over two spectra; not across a step of charge. Noise grows by 1 + (T - t2) / (t2 - t1)
 * at most. Frequencies that the spectrum before does not cover are left out.
 */
export function atOneInstant(before: Spectrum, now: Spectrum): Spectrum & { readonly change: number } {
  const instant = middleOf(now);
  const rows: [f: number, re: number, im: number][] = [];
  let [squares, count] = [0, 0];
  for (let i = 0; i < now.frequency_Hz.length; i++) {
    const f = now.frequency_Hz[i]!;
    const weights = between(before.frequency_Hz, f);
    if (!weights) continue;
    const of = (column: Float64Array): number => weights.reduce((sum, [k, w]) => sum + w * column[k]!, 0);
    const [re, im] = [now.real_Ohm[i]!, now.imaginary_Ohm[i]!];
    const part = (instant - now.time_s[i]!) / (now.time_s[i]! - of(before.time_s));
    if (!Number.isFinite(part)) continue;
    const [dre, dim] = [part * (re - of(before.real_Ohm)), part * (im - of(before.imaginary_Ohm))];
    rows.push([f, re + dre, im + dim]);
    squares += (dre * dre + dim * dim) / (re * re + im * im);
    count++;
  }
  const column = (k: 0 | 1 | 2): Float64Array => Float64Array.from(rows, (row) => row[k]);
  return {
    frequency_Hz: column(0), real_Ohm: column(1), imaginary_Ohm: column(2),
    time_s: new Float64Array(rows.length).fill(instant), change: Math.sqrt(squares / count),
  };
} // prettier-ignore

/** Half way between the first and the last that was measured. */
export function middleOf({ time_s }: Spectrum): number {
  let [first, last] = [Infinity, -Infinity];
  for (const t of time_s) [first, last] = [Math.min(first, t), Math.max(last, t)];
  return (first + last) / 2;
}

/** Weights of the neighbours from which a value at f is found (Lagrange in log f); undefined outside of the range. */
function between(falling_Hz: Float64Array, f: number): [index: number, weight: number][] | undefined {
  const n = falling_Hz.length;
  if (n === 0 || f > falling_Hz[0]! * (1 + SAME) || f < falling_Hz[n - 1]! * (1 - SAME)) return undefined;
  const exact = falling_Hz.findIndex((other) => Math.abs(other - f) <= SAME * f);
  if (exact >= 0) return [[exact, 1]];
  const below = falling_Hz.findIndex((other) => other < f);
  const from = Math.max(0, Math.min(below - 2, n - 4));
  const near = Array.from({ length: Math.min(4, n) }, (_, k) => from + k);
  const x = near.map((k) => Math.log(falling_Hz[k]! / f));
  return near.map((k, i) => [k, x.reduce((w, xj, j) => (j === i ? w : (w * -xj) / (x[i]! - xj)), 1)]);
}
