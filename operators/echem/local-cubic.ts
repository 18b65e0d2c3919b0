import { inverseOf4 } from "../symmetric-inverse.ts";

/**
 * Value and derivatives of noisy samples at a place: least squares with a cubic over a window, on samples spaced
 * anyhow. (Savitzky and Golay's filter is the same on even samples.)
 *
 *     y(x) = b0 + b1 t + b2 t² + b3 t³ + e,   t = (x - centre) / scale
 *     s²   = Σ w r² / (n - 4),                cov b = s² (Xᵀ W X)⁻¹
 *     value = b0, slope = b1 / scale, curvature = 2 b2 / scale²
 *
 * w is how many samples a row is the mean of. Where neighbouring residuals r are alike (noise that lasts, or a curve
 * that a cubic does not follow), errors are larger by √((1 + φ) / (1 - φ)), φ their correlation if it is beyond 2/√n.
 * Where all samples are alike to the last digit nobody knows how finely they were measured: errors are NaN.
 *
 * Reference: Fan & Gijbels, Local Polynomial Modelling and Its Applications, ch. 3.
 */
export interface LocalFit {
  readonly rows: number;
  readonly value: number;
  readonly value_se: number;
  readonly slope: number;
  readonly slope_se: number;
  readonly curvature: number;
  readonly curvature_se: number;
  /** Of one sample: s. */
  readonly noise: number;
  /** Standard deviation of y over the window, less the noise. */
  readonly spread: number;
}

/** Rows that a cubic and its noise are told from. */
export const LEAST_ROWS = 8;
const MOST_CORRELATION = 0.95;

interface Samples {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly weight?: ArrayLike<number>;
}

/** Over rows `from … to`; undefined where they are too few, or all at the same places. */
export function localCubic(
  { x, y, weight }: Samples, { from, to }: { from: number; to: number }, centre: number, scale: number,
): LocalFit | undefined {
  const rows = to - from;
  if (rows < LEAST_ROWS) return undefined;
  const y0 = y[from]!;
  const moments = new Float64Array(7);
  const right = new Float64Array(4);
  let yy = 0;
  for (let i = from; i < to; i++) {
    const t = (x[i]! - centre) / scale;
    const d = y[i]! - y0;
    let power = weight ? weight[i]! : 1;
    yy += power * d * d;
    for (let k = 0; k < 7; k++) {
      moments[k]! += power;
      if (k < 4) right[k]! += power * d;
      power *= t;
    }
  }
  const inverse = inverseOf4(Float64Array.from({ length: 16 }, (_, i) => moments[(i >> 2) + (i & 3)]!));
  if (!inverse) return undefined;
  const b = [0, 4, 8, 12].map((row) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += inverse[row + k]! * right[k]!;
    return sum;
  }) as [number, number, number, number];
  let squares = 0;
  let neighbours = 0;
  let before = 0;
  for (let i = from; i < to; i++) {
    const t = (x[i]! - centre) / scale;
    const r = (y[i]! - y0 - (b[0] + t * (b[1] + t * (b[2] + t * b[3])))) * Math.sqrt(weight ? weight[i]! : 1);
    squares += r * r;
    neighbours += r * before;
    before = r;
  }
  const noise2 = squares / (rows - 4);
  const told = squares > 0 ? neighbours / squares : 0;
  const alike = told > 2 / Math.sqrt(rows) ? Math.min(MOST_CORRELATION, told) : 0;
  const variance = squares > 0 ? (noise2 * (1 + alike)) / (1 - alike) : NaN;
  const mean = right[0]! / moments[0]!;
  return {
    rows,
    value: y0 + b[0],
    value_se: Math.sqrt(variance * inverse[0]!),
    slope: b[1] / scale,
    slope_se: Math.sqrt(variance * inverse[5]!) / scale,
    curvature: (2 * b[2]) / scale ** 2,
    curvature_se: (2 * Math.sqrt(variance * inverse[10]!)) / scale ** 2,
    noise: Math.sqrt(noise2),
    spread: Math.sqrt(Math.max(0, yy / moments[0]! - mean * mean - (noise2 * rows) / moments[0]!)),
  };
} // prettier-ignore

/** First of `from … to` in a rising list that is not below `value`. */
export function placeIn(rising: ArrayLike<number>, value: number, from: number, to: number): number {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (rising[middle]! < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
