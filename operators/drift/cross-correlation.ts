import { fft, fft2, powerOfTwo } from "../fft.ts";

/** A shift in pixels; frame(row, col) shows what the reference shows at (row + shift.row, col + shift.col). */
export interface Shift {
  readonly row: number;
  readonly col: number;
}

export interface CoarseShift extends Shift {
  /** Height of the correlation's peak above all that is not near it, in their standard deviations. */
  readonly distinct: number;
}

/**
 * The shift to about a tenth of a pixel: the maximum of the cross-correlation
 *
 *     C(d) = Σ_k |k|³ R(k) F(k)* exp(2πi k d)      R, F  transforms of the two frames under a Hann window
 *
 * with spatial frequencies weighted by |k|³: what grows is smooth and the relief is steepest in its long waves, while
 * the texture that tells where one is lies in the short ones (|k|⁰, as usual, errs by pixels where a surface grows).
 * Not divided by the amplitudes either, as in phase correlation, which on frames that are not periodic finds their
 * edges: 4 to 7 px off. The window draws the maximum towards no shift, so after a far one both frames are cut to what
 * they show in common and correlated again. Undefined where that becomes too small.
 *
 * Reference: Guizar-Sicairos, Thurman & Fienup, Opt. Lett. 33, 156 (2008), for the correlation by FFT.
 */
export function makeCoarseShift(rows: number, cols: number, minOverlap: number) {
  const room = Array.from({ length: 4 }, () => new Float64Array(powerOfTwo(rows) * powerOfTwo(cols)));
  return function coarseShift(reference: Float64Array, frame: Float64Array, start: Shift): CoarseShift | undefined {
    let [row, col] = [Math.round(start.row), Math.round(start.col)];
    for (let pass = 0; pass < 12; pass++) {
      const height = rows - Math.abs(row);
      const width = cols - Math.abs(col);
      if (height < 4 || width < 4 || height * width < minOverlap * rows * cols) return undefined;
      const peak = correlationPeak(reference, frame, cols, { row, col }, height, width, room);
      if (Math.abs(peak.row) < Math.max(1, NEAR * rows) && Math.abs(peak.col) < Math.max(1, NEAR * cols)) {
        return { row: row + peak.row, col: col + peak.col, distinct: peak.distinct };
      }
      row += Math.round(peak.row);
      col += Math.round(peak.col);
    }
    return undefined;
  };
} // prettier-ignore

/** Share of the frame up to which the window's pull is left to the refinement. */
const NEAR = 0.04;

/** Of the parts in common, height × width, where the frame is already shifted by whole pixels. */
function correlationPeak(
  reference: Float64Array, frame: Float64Array, cols: number, shift: Shift, height: number, width: number, room: readonly Float64Array[],
): CoarseShift {
  const [rowsAt, colsAt] = [fft(powerOfTwo(height)), fft(powerOfTwo(width))];
  const [down, across] = [rowsAt.n, colsAt.n];
  const [re, im, crossRe, crossIm] = room.map((whole) => whole.subarray(0, down * across)) as [Float64Array, Float64Array, Float64Array, Float64Array];
  re.fill(0);
  im.fill(0);
  const [windowRow, windowCol] = [hann(height), hann(width)];
  const first = Math.max(0, -shift.row) * cols + Math.max(0, -shift.col);
  for (let r = 0; r < height; r++) {
    const inFrame = first + r * cols;
    const inReference = inFrame + shift.row * cols + shift.col;
    // Offsets of lines are not to be found again as a pattern that is the same in all columns.
    let meanReference = 0, meanFrame = 0; // prettier-ignore
    for (let c = 0; c < width; c++) {
      meanReference += (windowCol[c]! * reference[inReference + c]!) / (width / 2);
      meanFrame += (windowCol[c]! * frame[inFrame + c]!) / (width / 2);
    }
    for (let c = 0; c < width; c++) {
      const w = windowRow[r]! * windowCol[c]!;
      re[r * across + c] = w * (reference[inReference + c]! - meanReference);
      im[r * across + c] = w * (frame[inFrame + c]! - meanFrame);
    }
  }
  // Both frames ride in one transform Z: R = (Z(k) + Z*(-k)) / 2, F = (Z(k) - Z*(-k)) / 2i; wanted is |k|³ R F*.
  fft2(re, im, down, across);
  for (let p = 0; p < down; p++) {
    const f = rowsAt.frequency[p]!;
    const q = rowsAt.place[(down - f) % down]!;
    const kr = Math.min(f, down - f) / down;
    for (let s = 0; s < across; s++) {
      const g = colsAt.frequency[s]!;
      const kc = Math.min(g, across - g) / across;
      const here = p * across + s;
      const there = q * across + colsAt.place[(across - g) % across]!;
      const rr = re[here]! + re[there]!, ri = im[here]! - im[there]!; // prettier-ignore
      const fr = im[here]! + im[there]!, fi = re[there]! - re[here]!; // prettier-ignore
      const k2 = kr * kr + kc * kc;
      const weight = k2 * Math.sqrt(k2);
      crossRe[here] = weight * (rr * fr + ri * fi);
      crossIm[here] = weight * (ri * fr - rr * fi);
    }
  }
  fft2(crossRe, crossIm, down, across, true);
  let best = 0;
  let squares = 0; // the mean is 0, since |k|³ is
  for (let i = 0; i < crossRe.length; i++) {
    if (crossRe[i]! > crossRe[best]!) best = i;
    squares += crossRe[i]! ** 2;
  }
  const [peakRow, peakCol] = [Math.floor(best / across), best % across];
  const at = (r: number, c: number): number => crossRe[((r + down) % down) * across + ((c + across) % across)]!;
  let near = 0;
  for (let r = -3; r <= 3; r++) for (let c = -3; c <= 3; c++) near += at(peakRow + r, peakCol + c) ** 2;
  const centre = at(peakRow, peakCol);
  return {
    row: signed(peakRow, down) + vertex(at(peakRow - 1, peakCol), centre, at(peakRow + 1, peakCol)),
    col: signed(peakCol, across) + vertex(at(peakRow, peakCol - 1), centre, at(peakRow, peakCol + 1)),
    distinct: centre / Math.sqrt(Math.max(Number.MIN_VALUE, squares - near) / crossRe.length),
  };
} // prettier-ignore

const hann = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / n) ** 2);
const signed = (k: number, n: number): number => (k > n / 2 ? k - n : k);

/** Where the parabola through three values at -1, 0, 1 has its maximum. */
function vertex(before: number, centre: number, after: number): number {
  const curvature = before - 2 * centre + after;
  return curvature < 0 ? Math.max(-0.5, Math.min(0.5, (before - after) / (2 * curvature))) : 0;
} // prettier-ignore
