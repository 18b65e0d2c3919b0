import type { PixelSpans } from "./pixel-spans.ts";

/**
 * Thresholds between two classes of pixels, from a histogram.
 *
 *     Otsu            greatest   P₀ P₁ (μ₀ - μ₁)²
 *     minimum error   least      P₀ ln(σ₀²/P₀²) + P₁ ln(σ₁²/P₁²)
 *
 *     P  share of a class    μ, σ  its mean and standard deviation [as the image]
 *
 * Otsu's holds for classes of like size and width; the other also for a small class beside a large one, where both
 * are bell-shaped.
 *
 * Reference: Otsu, IEEE Trans. SMC 9, 62 (1979), eq. 14; Kittler & Illingworth, Pattern Recognition 19, 41 (1986), eq. 15.
 */
export interface Histogram {
  readonly counts: Int32Array;
  /** Lower edge of the first bin. */
  from: number;
  /** Of a bin; 0 where all pixels are the same, or none has a value. */
  width: number;
  /** Pixels that were counted. */
  pixels: number;
}

const BINS = 1024;
/** Values further from the mean, in standard deviations, are put into the first and the last bin. */
const REACH = 20;

export const emptyHistogram = (): Histogram => ({
  counts: new Int32Array(BINS),
  from: NaN,
  width: 0,
  pixels: 0,
});

/** Of a larger picture every second, third … row is counted: a quarter of a million pixels say as much. */
const ENOUGH = 2 ** 18;

/** Counts the finite pixels of an image within the spans. */
export function fillHistogram(into: Histogram, data: Float32Array, cols: number, spans: PixelSpans): void {
  let room = 0;
  for (let y = 0; y < spans.first.length; y++) room += spans.end[y]! - spans.first[y]!;
  const every = Math.ceil(room / ENOUGH) || 1;
  fill(into, data, cols, spans, every);
  if (into.pixels === 0 && every > 1) fill(into, data, cols, spans, 1);
}

function fill(into: Histogram, data: Float32Array, cols: number, { first, end }: PixelSpans, every: number): void {
  const { counts } = into;
  counts.fill(0);
  let [pixels, sum, squares, least, most] = [0, 0, 0, Infinity, -Infinity];
  for (let y = 0; y < first.length; y += every) {
    for (let i = y * cols + first[y]!, to = y * cols + end[y]!; i < to; i++) {
      const v = data[i]!;
      if (v - v !== 0) continue; // NaN or infinite
      pixels++;
      sum += v;
      squares += v * v;
      if (v < least) least = v;
      if (v > most) most = v;
    }
  }
  const mean = sum / pixels;
  const sd = Math.sqrt(Math.max(0, squares / pixels - mean * mean));
  const from = Math.max(least, mean - REACH * sd);
  const width = (Math.min(most, mean + REACH * sd) - from) / BINS;
  into.from = from;
  into.width = width > 0 ? width : 0;
  into.pixels = pixels;
  if (!(width > 0)) {
    counts[0] = pixels;
    return;
  }
  const perBin = 1 / width;
  for (let y = 0; y < first.length; y += every) {
    for (let i = y * cols + first[y]!, to = y * cols + end[y]!; i < to; i++) {
      const v = data[i]!;
      if (v - v !== 0) continue;
      const bin = (v - from) * perBin;
      counts[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin | 0]!++;
    }
  }
} // prettier-ignore

export const METHODS = ["otsu", "minimum-error"] as const;
export type Method = (typeof METHODS)[number];

/** Threshold between two classes; NaN where the histogram shows no two of them, with a valley in between. */
export function thresholdOf(histogram: Histogram, method: Method): number {
  const { counts, from, width, pixels } = histogram;
  if (width === 0) return NaN;
  let [sum, squares] = [0, 0];
  for (let b = 0; b < BINS; b++) {
    sum += b * counts[b]!;
    squares += b * b * counts[b]!;
  }
  // Over a gap between the classes all cuts are as good: the middle one is taken.
  let [best, bestFrom, bestTo] = [-Infinity, -1, -1];
  let [n0, sum0, squares0] = [0, 0, 0];
  for (let b = 0; b + 1 < BINS; b++) {
    n0 += counts[b]!;
    sum0 += b * counts[b]!;
    squares0 += b * b * counts[b]!;
    const n1 = pixels - n0;
    const score = method === "otsu"
      ? betweenClasses(n0, sum0, n1, sum - sum0)
      : -error(n0, sum0, squares0, pixels) - error(n1, sum - sum0, squares - squares0, pixels); // prettier-ignore
    if (score === -Infinity) continue;
    if (bestTo < 0 || score > best + 1e-12 * Math.abs(best)) [best, bestFrom, bestTo] = [score, b, b];
    else if (bestTo === b - 1 && score > best - 1e-12 * Math.abs(best)) bestTo = b;
  }
  const cut = (bestFrom + bestTo) / 2 + 1;
  return bestTo >= 0 && parted(counts, cut) ? from + width * cut : NaN;
}

const betweenClasses = (n0: number, sum0: number, n1: number, sum1: number): number =>
  n0 === 0 || n1 === 0 ? -Infinity : n0 * n1 * (sum0 / n0 - sum1 / n1) ** 2;

/** Fewer pixels are no class: their width says nothing. */
const LEAST_CLASS = 16;

function error(n: number, sum: number, squares: number, pixels: number): number {
  if (n < LEAST_CLASS) return Infinity;
  const share = n / pixels;
  const variance = Math.max(0, squares / n - (sum / n) ** 2) + 1 / 12; // a bin has a width of its own
  return share * Math.log(variance / share ** 2);
}

/** Half the width, in bins, over which the histogram is smoothed. */
const SMOOTH = 12;

/** Pixels in the bins around a place. */
function around(counts: Int32Array, bin: number): number {
  let n = 0;
  for (let b = Math.max(0, bin - SMOOTH); b <= Math.min(BINS - 1, bin + SMOOTH); b++) n += counts[b]!;
  return n;
}

/** The fullest place of a class. */
function peak(counts: Int32Array, from: number, to: number): { bin: number; pixels: number } {
  let best = { bin: from, pixels: -1 };
  for (let bin = from; bin < to; bin++) {
    const pixels = around(counts, bin);
    if (pixels > best.pixels) best = { bin, pixels };
  }
  return best;
}

/** True where the cut lies in a valley: clearly lower than the peaks on both sides, by more than counting explains. */
function parted(counts: Int32Array, cut: number): boolean {
  const at = Math.round(cut);
  const valley = around(counts, at);
  return [peak(counts, 0, at), peak(counts, at, BINS)].every(
    ({ pixels }) => valley <= 0.8 * pixels && pixels - valley > 3 * Math.sqrt(pixels + valley),
  );
}

/**
 * Noise of a pixel, from the width of the narrower class: the median distance from its peak on the side away from the
 * threshold, where no pixel is shared with the other class, / 0.6745. A material that is not uniform widens it.
 * NaN where neither class has 64 pixels there.
 */
export function noiseOf({ counts, from, width }: Histogram, threshold: number): number {
  if (width === 0 || Number.isNaN(threshold)) return NaN;
  const cut = Math.min(BINS, Math.max(0, Math.round((threshold - from) / width)));
  const classes = [
    { side: -1, from: 0, to: cut },
    { side: 1, from: cut, to: BINS },
  ];
  const widths = classes.map(({ side, from: low, to: high }) => {
    if (high <= low) return NaN;
    const { bin } = peak(counts, low, high);
    let pixels = counts[bin]! / 2;
    for (let b = bin + side; b >= low && b < high; b += side) pixels += counts[b]!;
    if (pixels < 64) return NaN;
    let [seen, distance] = [counts[bin]! / 2, 0.5];
    if (seen >= pixels / 2) return (pixels / 2 / seen) * 0.5;
    for (let b = bin + side; ; b += side, distance++) {
      if (seen + counts[b]! >= pixels / 2) return distance + (pixels / 2 - seen) / counts[b]!;
      seen += counts[b]!;
    }
  });
  const known = widths.filter((w) => !Number.isNaN(w));
  return known.length ? (Math.min(...known) * width) / 0.6745 : NaN;
}
