import { fft, fft2, powerOfTwo } from "../fft.ts";
import type { Levelled } from "./level.ts";

/** A shift in pixels; frame(row, col) shows what the reference shows at (row + shift.row, col + shift.col). */
export interface Shift {
  readonly row: number;
  readonly col: number;
}

/** The part of two frames that shows the same, for a shift: rows and columns of the frame, and how large it is. */
interface Overlap {
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
}

function overlapOf(rows: number, cols: number, row: number, col: number): Overlap {
  return {
    row: Math.max(0, -row),
    col: Math.max(0, -col),
    rows: Math.max(0, rows - Math.abs(row)),
    cols: Math.max(0, cols - Math.abs(col)),
  };
}

/**
 * The shift to about a tenth of a pixel: the maximum of the cross-correlation
 *
 *     C(d) = Σ w(x) reference(x + d) w(x) frame(x)          w  Hann window
 *
 * without dividing by the amplitudes (as phase correlation does, which on frames that are not periodic finds their
 * edges: 4 to 7 px off). The window draws the maximum towards no shift, so both frames are cut to what they show in
 * common and correlated again, until less than a pixel is left. Undefined where the common part becomes too small.
 *
 * Reference: Guizar-Sicairos, Thurman & Fienup, Opt. Lett. 33, 156 (2008), for the correlation by FFT.
 */
export function coarseShift(
  reference: Levelled, frame: Levelled, rows: number, cols: number, start: Shift, minOverlap: number,
): Shift | undefined {
  let [row, col] = [Math.round(start.row), Math.round(start.col)];
  for (let pass = 0; pass < 12; pass++) {
    const common = overlapOf(rows, cols, row, col);
    if (common.rows * common.cols < minOverlap * rows * cols || common.rows < 8 || common.cols < 8) return undefined;
    const peak = correlationPeak(reference, frame, cols, common, row, col);
    if (Math.abs(peak.row) < 1 && Math.abs(peak.col) < 1) return { row: row + peak.row, col: col + peak.col };
    row += Math.round(peak.row);
    col += Math.round(peak.col);
  }
  return undefined;
} // prettier-ignore

function correlationPeak(
  reference: Levelled, frame: Levelled, cols: number, common: Overlap, row: number, col: number,
): Shift {
  const height = powerOfTwo(common.rows);
  const width = powerOfTwo(common.cols);
  const re = new Float64Array(height * width);
  const im = new Float64Array(height * width);
  const windowRow = hann(common.rows);
  const windowCol = hann(common.cols);
  for (let r = 0; r < common.rows; r++) {
    const inFrame = (common.row + r) * cols + common.col;
    const inReference = inFrame + row * cols + col;
    for (let c = 0; c < common.cols; c++) {
      const w = windowRow[r]! * windowCol[c]!;
      re[r * width + c] = w * reference.values[inReference + c]!;
      im[r * width + c] = w * frame.values[inFrame + c]!;
    }
  }
  // Both frames ride in one transform Z: R = (Z(k) + Z*(-k)) / 2, F = (Z(k) - Z*(-k)) / 2i; wanted is R F*.
  fft2(re, im, height, width);
  const [rowsAt, colsAt] = [fft(height), fft(width)];
  const crossRe = new Float64Array(height * width);
  const crossIm = new Float64Array(height * width);
  for (let p = 0; p < height; p++) {
    const q = rowsAt.place[(height - rowsAt.frequency[p]!) % height]!;
    for (let s = 0; s < width; s++) {
      const here = p * width + s;
      const there = q * width + colsAt.place[(width - colsAt.frequency[s]!) % width]!;
      const rr = re[here]! + re[there]!, ri = im[here]! - im[there]!; // prettier-ignore
      const fr = im[here]! + im[there]!, fi = re[there]! - re[here]!; // prettier-ignore
      crossRe[here] = rr * fr + ri * fi;
      crossIm[here] = ri * fr - rr * fi;
    }
  }
  fft2(crossRe, crossIm, height, width, true);
  let best = 0;
  for (let i = 1; i < crossRe.length; i++) if (crossRe[i]! > crossRe[best]!) best = i;
  const [peakRow, peakCol] = [Math.floor(best / width), best % width];
  const at = (r: number, c: number): number => crossRe[((r + height) % height) * width + ((c + width) % width)]!;
  const centre = at(peakRow, peakCol);
  return {
    row: signed(peakRow, height) + vertex(at(peakRow - 1, peakCol), centre, at(peakRow + 1, peakCol)),
    col: signed(peakCol, width) + vertex(at(peakRow, peakCol - 1), centre, at(peakRow, peakCol + 1)),
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
