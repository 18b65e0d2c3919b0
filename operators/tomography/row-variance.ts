import { fft, powerOfTwo } from "../fft.ts";
import { smooth } from "./back-projection.ts";
import { rampGain, type Padding, type RampWindow } from "./ramp-filter.ts";

/** Rows through a fixed filter; what it returns is lent until the next call. */
type RowFilter = (row: ArrayLike<number>) => Float64Array;

/**
 * Variance of filtered rows where pixels see them: between two samples, interpolated linearly.
 *
 *     q(i + f) = (1 - f) q_i + f q_{i+1},   q = h * p        var q(i + f) = Σ_s ((1 - f) h(i - s) + f h(i + 1 - s))² v(s)
 *
 *     v  variance of p, whose samples are independent   [1]       (col)
 *     h  ramp filter, `width` columns averaged          [1/px]
 *
 * Neighbouring q are correlated, mostly negatively, so the variance falls between samples: for ram-lak from 1/12 v to
 * 0.016 v half-way. Over many views pixels fall between samples evenly, and what they see on average is
 *
 *     Σ_s b(i - s) v(s),    b(n) = (h(n)² + h(n + 1)² + h(n) h(n + 1)) / 3,    which is taken at i + 1/2
 *
 * This returns it at the columns. A pixel that falls on a sample in every view, such as the one on an axis that lies
 * in the middle of a column, has more: up to 1.5 times the standard error.
 */
export function rowVariance(cols: number, window: RampWindow, width: number): RowFilter {
  const n = powerOfTwo(2 * cols);
  const { forward, inverse } = fft(n);
  // h, n points round a circle
  const gain = rampGain(n, window);
  const h = gain.slice();
  inverse(h, new Float64Array(n));
  if (width > 1) {
    // The mean over `width` of a row, by its response to one sample.
    const reach = Math.ceil(width / 2) + 1;
    const one = new Float64Array(2 * reach + 1);
    one[reach] = 1;
    const box = new Float64Array(2 * reach + 1);
    smooth(one, 2 * reach + 1, width, box);
    const sharp = h.slice();
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = -reach; j <= reach; j++) sum += box[j + reach]! * sharp[(i - j + n) % n]!;
      h[i] = sum;
    }
  }
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  const halfWay = (i: number): number => {
    const [one, next] = [h[i]!, h[(i + 1) % n]!];
    return (one * one + next * next + one * next) / 3;
  };
  for (let i = 0; i < n; i++) re[i] = (halfWay(i) + halfWay((i + n - 1) % n)) / 2;
  forward(re, im);
  const spectrum = re.map((x) => x / n); // b is even, so its transform is real
  const convolve = convolution(n, spectrum);
  return (row) => convolve(row).subarray(0, cols);
}

/**
 * Weights of the samples p in Σ_t a(t) q(t), q = h * p: g = h * a, since h is even. With `edge`, where rows go on with
 * their end values, what falls beyond the ends counts for these.
 */
export function throughRamp(cols: number, window: RampWindow, padding: Padding): RowFilter {
  const n = powerOfTwo(2 * cols);
  const convolve = convolution(n, rampGain(n, window));
  return (row) => {
    const re = convolve(row);
    if (padding === "edge") {
      const half = cols + ((n - cols) >> 1);
      for (let i = cols; i < half; i++) re[cols - 1]! += re[i]!;
      for (let i = half; i < n; i++) re[0]! += re[i]!;
    }
    return re.subarray(0, cols);
  };
}

/** A row round a circle of n points, convolved with what has this spectrum (over n); lent until the next call. */
function convolution(n: number, spectrum: Float64Array): (row: ArrayLike<number>) => Float64Array {
  const { forward, inverse } = fft(n);
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  return (row) => {
    re.fill(0);
    re.set(row);
    im.fill(0);
    forward(re, im);
    for (let p = 0; p < n; p++) {
      re[p]! *= spectrum[p]!;
      im[p]! *= spectrum[p]!;
    }
    inverse(re, im);
    return re;
  };
}
