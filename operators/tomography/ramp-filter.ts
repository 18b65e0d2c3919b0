import { fft, powerOfTwo } from "../fft.ts";

export const RAMP_WINDOWS = ["ram-lak", "shepp-logan", "cosine", "hamming", "hann", "parzen"] as const;
export type RampWindow = (typeof RAMP_WINDOWS)[number];
export type Padding = "zero" | "edge";

/**
 * The ramp filter of filtered back-projection, for rows of `cols` detector columns.
 *
 *     q(t) = Σ p(s) h(t - s)      p  line integral [1], q  filtered [1/px], both (col)
 *     h(0) = 1/4,  h(odd n) = -1 / (π n)²,  h(even n) = 0
 *
 * h is the band-limited ramp |f| as sampled in space: sampled in frequency instead, it would lose the mean. `window`
 * tapers its spectrum at frequency f, in cycles per pixel up to 1/2:
 *
 *     ram-lak 1    shepp-logan sin(πf)/(πf)    cosine cos(πf)    hamming 0.54 + 0.46 cos(2πf)    hann (1 + cos(2πf))/2
 *     parzen 1 - 24 f² (1 - 2f) up to 1/4, 2 (1 - 2f)³ above
 *
 * Rows are lengthened to at least twice their length, with zeros (exact where the sample is narrower than the
 * detector) or with their end values (where it is wider: takes off the bright rim).
 *
 * Reference: Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), eq. 3.61 to 3.64.
 */
export function rampFilter(cols: number, window: RampWindow, padding: Padding): RampFilter {
  const length = powerOfTwo(2 * cols);
  const { forward, inverse } = fft(length);
  const gain = rampGain(length, window);
  const re = new Float64Array(length);
  const im = new Float64Array(length);
  const lengthen = (row: ArrayLike<number>, into: Float64Array): void => {
    into.set(row);
    if (padding === "zero") into.fill(0, cols);
    else {
      // The transform is a circle: the right end's value goes on, then the left end's comes before.
      const half = cols + ((length - cols) >> 1);
      into.fill(row[cols - 1]!, cols, half);
      into.fill(row[0]!, half);
    }
  };
  return (one, other) => {
    lengthen(one, re);
    if (other) lengthen(other, im);
    else im.fill(0);
    forward(re, im);
    for (let p = 0; p < length; p++) {
      re[p]! *= gain[p]!;
      im[p]! *= gain[p]!;
    }
    inverse(re, im);
    return [re.subarray(0, cols), im.subarray(0, cols)];
  };
}

/** Filters one row, or two at the price of one. What it returns is lent until the next call. */
export type RampFilter = (one: ArrayLike<number>, other?: ArrayLike<number>) => [Float64Array, Float64Array];

/** What each place of the transform of `length` points is multiplied by before it is turned back: gain / length. */
export function rampGain(length: number, window: RampWindow): Float64Array {
  const { forward, frequency } = fft(length);
  const h = new Float64Array(length);
  h[0] = 1 / 4;
  for (let n = 1; n < length; n += 2) h[n] = -1 / (Math.PI * Math.min(n, length - n)) ** 2;
  forward(h, new Float64Array(length));
  return Float64Array.from(
    frequency,
    (k, p) => (h[p]! * taper(window, Math.min(k, length - k) / length)) / length,
  );
}

function taper(window: RampWindow, f: number): number {
  switch (window) {
    case "ram-lak": return 1;
    case "shepp-logan": return f === 0 ? 1 : Math.sin(Math.PI * f) / (Math.PI * f);
    case "cosine": return Math.cos(Math.PI * f);
    case "hamming": return 0.54 + 0.46 * Math.cos(2 * Math.PI * f);
    case "hann": return 0.5 + 0.5 * Math.cos(2 * Math.PI * f);
    case "parzen": return f <= 0.25 ? 1 - 24 * f * f * (1 - 2 * f) : 2 * (1 - 2 * f) ** 3;
  } // prettier-ignore
}
