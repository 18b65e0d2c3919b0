import type { Shift } from "./cross-correlation.ts";
import { medianOf, type Levelled } from "./level.ts";
import { interpolated } from "./spline.ts";

export interface Registration extends Shift {
  readonly row_se: number;
  readonly col_se: number;
  /** Correlation of frame and reference where they overlap, lines' offsets taken off; 1 for the same picture. */
  readonly confidence: number;
}

/**
 * The shift to a hundredth of a pixel and better, from one that is right to about a pixel: Gauss-Newton on
 *
 *     Σ ρ( reference(x + s) - frame(x) - o(row) - k col )
 *
 *     s     shift                              o, k   offset of each line and one slope, of no interest
 *     ρ     Tukey's biweight, scale from the median residual: what grew or moved in one frame only does not count
 *
 * The reference is interpolated by cubic splines. What the residual is multiplied with is the gradient of the frame,
 * smoothed, not of the reference: its noise is not that of the reference, and at right angles to its own, so the
 * shift is drawn neither to whole nor to half pixels. Standard errors are from the sums of residual × gradient
 * over blocks of 16 × 16 pixels, since residuals of neighbouring pixels are not independent.
 *
 * Undefined where it does not settle. Reference: Baker & Matthews, Int. J. Comput. Vis. 56, 221 (2004), section 3.2.
 */
export function refineShift(
  spline: Float64Array, reference: Levelled, frame: Levelled, rows: number, cols: number, start: Shift,
): Registration | undefined {
  let { row, col } = start;
  const gradient = smoothGradient(frame.values, rows, cols);
  // The pixels compared stay the same while the shift settles: else it could go to and fro where one comes in.
  let near = { row: Math.round(row), col: Math.round(col) };
  for (let pass = 0; pass < 60; pass++) {
    if (Math.abs(row - near.row) > 1 || Math.abs(col - near.col) > 1) near = { row: Math.round(row), col: Math.round(col) };
    const system = normalEquations(spline, reference, frame, gradient, rows, cols, near, { row, col });
    if (!system) return undefined;
    const { stepRow, stepCol, row_se, col_se, confidence } = system;
    if (!Number.isFinite(stepRow) || !Number.isFinite(stepCol)) return undefined;
    const longest = Math.max(1, Math.abs(stepRow), Math.abs(stepCol));
    row += stepRow / longest;
    col += stepCol / longest;
    if (Math.abs(row - start.row) > 4 || Math.abs(col - start.col) > 4) return undefined;
    const step = Math.hypot(stepRow, stepCol);
    if (step < Math.max(1e-6, 1e-3 * Math.hypot(row_se, col_se))) return { row, col, row_se, col_se, confidence };
  }
  return undefined;
} // prettier-ignore

interface Step {
  readonly stepRow: number;
  readonly stepCol: number;
  readonly row_se: number;
  readonly col_se: number;
  readonly confidence: number;
}

const BLOCK = 16;
/** Of the biweight: 95 % efficient where residuals are Gaussian. */
const TUKEY = 4.685;

function normalEquations(
  spline: Float64Array, reference: Levelled, frame: Levelled, gradient: Gradient,
  rows: number, cols: number, near: Shift, { row, col }: Shift,
): Step | undefined {
  // A pixel of the reference's rim is left to spare, since the shift may be up to one off `near`.
  const top = Math.max(RIM, 1 - near.row);
  const left = Math.max(RIM, 1 - near.col);
  const height = Math.min(rows - RIM, rows - 1 - near.row) - top;
  const width = Math.min(cols - RIM, cols - 1 - near.col) - left;
  if (height < 8 || width < 8) return undefined;
  const seen = interpolated(spline, rows, cols, top + row, left + col, height, width);

  const n = height * width;
  const residual = new Float64Array(n);
  const usable = new Uint8Array(n);
  for (let r = 0, i = 0; r < height; r++) {
    for (let c = 0; c < width; c++, i++) {
      const here = (top + r) * cols + left + c;
      residual[i] = seen[i]! - frame.values[here]!;
      const there = here + near.row * cols + near.col;
      if (frame.known[here] && reference.known[there]) usable[i] = 1;
    }
  }
  const offsets = lineMedians(residual, usable, height, width);
  const scale = spread(residual, usable, offsets, height, width);
  const weight = new Float64Array(n);
  let weights = 0;
  let responses = 0;
  for (let r = 0, i = 0; r < height; r++) {
    for (let c = 0; c < width; c++, i++) {
      if (!usable[i]) continue;
      const u2 = scale > 0 ? ((residual[i]! - offsets[r]!) / (TUKEY * scale)) ** 2 : 0;
      if (u2 >= 1) continue;
      weight[i] = (1 - u2) ** 2;
      weights += weight[i]!;
      responses += (1 - u2) * (1 - 5 * u2);
    }
  }
  // By how much less the sum of w e answers to a shift than the weights say, since they answer too: d(w e)/de < w.
  const response = Math.max(0.1, responses / weights);

  // Residual e, gradient of the frame a (row) and b (col), column number k: each less its weighted mean over the line.
  const e = new Float64Array(n);
  const a = new Float64Array(n);
  const b = new Float64Array(n);
  const k = new Float64Array(n);
  let kk = 0, ke = 0, ka = 0, kb = 0; // prettier-ignore
  for (let r = 0; r < height; r++) {
    const line = r * width;
    const inFrame = (top + r) * cols + left;
    let sw = 0, se = 0, sa = 0, sb = 0, sk = 0; // prettier-ignore
    for (let c = 0; c < width; c++) {
      const w = weight[line + c]!;
      sw += w;
      se += w * residual[line + c]!;
      sa += w * gradient.row[inFrame + c]!;
      sb += w * gradient.col[inFrame + c]!;
      sk += w * c;
    }
    if (sw === 0) continue;
    for (let c = 0; c < width; c++) {
      const i = line + c;
      e[i] = residual[i]! - se / sw;
      a[i] = gradient.row[inFrame + c]! - sa / sw;
      b[i] = gradient.col[inFrame + c]! - sb / sw;
      k[i] = c - sk / sw;
      const w = weight[i]! * k[i]!;
      kk += w * k[i]!;
      ke += w * e[i]!;
      ka += w * a[i]!;
      kb += w * b[i]!;
    }
  }
  if (!(kk > 0)) return undefined;
  // The slope is taken out as well, so that 2 × 2 equations are left: A step = -(Σ w a e, Σ w b e), A not symmetric.
  let aR = 0, aC = 0, bR = 0, bC = 0, ae = 0, be = 0; // prettier-ignore
  const blocksAcross = Math.ceil(width / BLOCK);
  const blocks = new Float64Array(2 * blocksAcross * Math.ceil(height / BLOCK));
  for (let r = 1; r + 1 < height; r++) {
    const blockLine = Math.floor(r / BLOCK) * blocksAcross;
    for (let c = 1; c + 1 < width; c++) {
      const i = r * width + c;
      const w = weight[i]!;
      if (w === 0) continue;
      const misfit = e[i]! - (ke / kk) * k[i]!;
      const alongRow = w * (a[i]! - (ka / kk) * k[i]!);
      const alongCol = w * (b[i]! - (kb / kk) * k[i]!);
      const downwards = (seen[i + width]! - seen[i - width]!) / 2;
      const rightwards = (seen[i + 1]! - seen[i - 1]!) / 2;
      aR += alongRow * downwards;
      aC += alongRow * rightwards;
      bR += alongCol * downwards;
      bC += alongCol * rightwards;
      ae += alongRow * misfit;
      be += alongCol * misfit;
      const block = 2 * (blockLine + Math.floor(c / BLOCK));
      blocks[block]! += alongRow * misfit;
      blocks[block + 1]! += alongCol * misfit;
    }
  }
  const det = aR * bC - aC * bR;
  if (!(det > 1e-6 * Math.abs(aR * bC))) return undefined;
  let raa = 0, rab = 0, rbb = 0; // prettier-ignore
  for (let i = 0; i < blocks.length; i += 2) {
    raa += blocks[i]! ** 2;
    rab += blocks[i]! * blocks[i + 1]!;
    rbb += blocks[i + 1]! ** 2;
  }
  const se = (x: number, y: number): number => Math.sqrt(x * x * raa + 2 * x * y * rab + y * y * rbb) / (det * response);
  return {
    stepRow: -(bC * ae - aC * be) / det,
    stepCol: -(aR * be - bR * ae) / det,
    row_se: se(bC, -aC),
    col_se: se(-bR, aR),
    confidence: correlation(seen, frame, usable, top, left, height, width, cols),
  };
} // prettier-ignore

/** Pixels of the rim that the gradient does not reach. */
const RIM = 2;

interface Gradient {
  readonly row: Float64Array;
  readonly col: Float64Array;
}

/** Derivatives over five pixels, smoothed over five across; not at the rim. */
function smoothGradient(values: Float64Array, rows: number, cols: number): Gradient {
  const smooth = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16];
  const derive = [-1 / 8, -2 / 8, 0, 2 / 8, 1 / 8];
  const both = (down: readonly number[], across: readonly number[]): Float64Array => {
    const lines = new Float64Array(rows * cols);
    const out = new Float64Array(rows * cols);
    for (let r = RIM; r < rows - RIM; r++) {
      for (let c = 0; c < cols; c++) {
        const i = r * cols + c;
        lines[i] =
          down[0]! * values[i - 2 * cols]! + down[1]! * values[i - cols]! + down[2]! * values[i]! +
          down[3]! * values[i + cols]! + down[4]! * values[i + 2 * cols]!;
      }
      for (let c = RIM; c < cols - RIM; c++) {
        const i = r * cols + c;
        out[i] =
          across[0]! * lines[i - 2]! + across[1]! * lines[i - 1]! + across[2]! * lines[i]! +
          across[3]! * lines[i + 1]! + across[4]! * lines[i + 2]!;
      }
    }
    return out;
  };
  return { row: both(derive, smooth), col: both(smooth, derive) };
} // prettier-ignore

/** Correlation of the reference, as interpolated, with the frame, each less its mean over the line. */
function correlation(
  seen: Float64Array, frame: Levelled, usable: Uint8Array,
  top: number, left: number, height: number, width: number, cols: number,
): number {
  let pp = 0, pq = 0, qq = 0; // prettier-ignore
  for (let r = 0; r < height; r++) {
    const at = (top + r) * cols + left;
    let n = 0, sp = 0, sq = 0; // prettier-ignore
    for (let c = 0; c < width; c++) {
      if (!usable[r * width + c]) continue;
      n++;
      sp += seen[r * width + c]!;
      sq += frame.values[at + c]!;
    }
    for (let c = 0; c < width; c++) {
      if (!usable[r * width + c]) continue;
      const p = seen[r * width + c]! - sp / n;
      const q = frame.values[at + c]! - sq / n;
      pp += p * p;
      pq += p * q;
      qq += q * q;
    }
  }
  return pp > 0 && qq > 0 ? pq / Math.sqrt(pp * qq) : 0;
} // prettier-ignore

function lineMedians(
  residual: Float64Array,
  usable: Uint8Array,
  height: number,
  width: number,
): Float64Array {
  const medians = new Float64Array(height);
  const line = new Float64Array(width);
  for (let r = 0; r < height; r++) {
    let n = 0;
    for (let i = r * width; i < (r + 1) * width; i++) if (usable[i]) line[n++] = residual[i]!;
    medians[r] = medianOf(line.subarray(0, n));
  }
  return medians;
}

/** Standard deviation from the median size of the residuals, on every seventh pixel. */
function spread(residual: Float64Array, usable: Uint8Array, offsets: Float64Array, height: number, width: number): number {
  const sizes = new Float64Array(Math.ceil((height * width) / 7));
  let n = 0;
  for (let i = 0; i < height * width; i += 7) {
    if (usable[i]) sizes[n++] = Math.abs(residual[i]! - offsets[Math.floor(i / width)]!);
  }
  return 1.4826 * medianOf(sizes.subarray(0, n));
} // prettier-ignore
