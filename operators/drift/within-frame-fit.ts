import { level, medianOf } from "./level.ts";
import { splineOf } from "./spline.ts";

/**
 * The course of the drift while two frames were scanned, from what both show.
 *
 *     frame(k, c) shows the sample at (k + s_row(t_k), c + s_col(t_k)),     s(t) = Σ_j θ_j B_j(t),   s(0) = 0
 *
 *     t_k   when line k was scanned, in frame durations since the older frame began
 *     B     t (drift), ln(1 + t/τ) (creep of the scanner after a move)
 *     θ     [px]; those beyond the first `free` are expected to be of the size `prior_px`
 *
 * A pixel (k, c) of the newer frame is met by the older one at row k' with k' + s_row(t'(k')) = k + s_row(t_k), column
 * c' = c + s_col(t_k) - s_col(t'(k')). θ makes both alike: Gauss-Newton on Σ ρ(older(k', c') - newer(k, c) - o_k), o_k the
 * offset of a line, ρ Tukey's biweight. Every pixel of a line has the same derivatives of (k', c') to θ, so of each line
 * only sums of gradient × gradient and gradient × residual are needed. The residual is multiplied with the smoothed
 * gradient of the newer frame, whose noise is at right angles to its own and not that of the older one.
 *
 * Standard errors are from sums over blocks of 16 lines × 16 columns, since residuals of neighbours are not independent.
 */
export interface Frame {
  /** Heights less tilt and line medians, 0 where unknown. */
  readonly values: Float64Array;
  readonly known: Uint8Array;
  readonly rms: number;
  readonly share: number;
}

export const prepare = (data: ArrayLike<number>, rows: number, cols: number): Frame =>
  level(data, rows, cols, "lines");

/** When the lines of a frame were scanned: line k at start + (k or rows - 1 - k) / rows × length. */
export interface Scan {
  readonly start: number;
  readonly length: number;
  readonly up: boolean;
}

export const lineTime = ({ start, length, up }: Scan, line: number, rows: number): number =>
  start + (length * ((up ? line : rows - 1 - line) + 0.5)) / rows;

/** Functions of time that the drift is made of, and their derivatives. */
export interface Course {
  readonly terms: number;
  /** Terms that may take any value. */
  readonly free: number;
  /** Size that the others are expected to be of, px. */
  readonly prior_px: number;
  value(term: number, t: number): number;
  slope(term: number, t: number): number;
}

export const evenDrift: Course = {
  terms: 1,
  free: 1,
  prior_px: Infinity,
  value: (_, t) => t,
  slope: () => 1,
};

/** Drift and the creep after a move that ended `since` before the older frame began; τ and since in frame durations. */
export function driftAndCreep(tau: number, since: number): Course {
  return {
    terms: 2,
    free: 2,
    prior_px: Infinity,
    value: (term, t) => (term === 0 ? t : Math.log((t + since + tau) / (since + tau))),
    slope: (term, t) => (term === 0 ? 1 : 1 / (t + since + tau)),
  };
}

/** Drift of one frame alone, 0 at its begin, with deviations: cubic B-splines that begin at 0 with slope 0. */
export function unevenDrift({ start, length }: Scan, deviations: number, prior_px: number): Course {
  const spacing = length / deviations;
  const place = (term: number, t: number): number => (t - start) / spacing - (term - 1);
  return {
    terms: 1 + deviations,
    free: 1,
    prior_px,
    value: (term, t) => (term === 0 ? t - start : bump(place(term, t))),
    slope: (term, t) => (term === 0 ? 1 : bumpSlope(place(term, t)) / spacing),
  };
}

/** The cubic B-spline on 0 … 4, 1 at its top, and its slope. */
const bump = (u: number): number => {
  const v = Math.abs(u - 2);
  return v >= 2 ? 0 : v >= 1 ? (2 - v) ** 3 / 4 : 1 - 1.5 * v * v + 0.75 * v ** 3;
};
const bumpSlope = (u: number): number => {
  const v = Math.abs(u - 2);
  const size = v >= 2 ? 0 : v >= 1 ? -0.75 * (2 - v) ** 2 : -3 * v + 2.25 * v * v;
  return u < 2 ? -size : size;
};

export interface CourseFit {
  /** Of the rows, then of the columns; px. */
  readonly theta: Float64Array;
  /** Row by row, as theta; px². */
  readonly covariance: Float64Array;
  /** Correlation of both frames after the fit, lines' offsets taken off. */
  readonly confidence: number;
  /** Share of the newer frame that the older one shows too. */
  readonly overlap: number;
}

const BLOCK = 16;
const TUKEY = 4.685;
/** Rows and columns at the rim that the smoothed gradient does not reach. */
const RIM = 2;

export function fitCourse(
  older: Frame, newer: Frame, rows: number, cols: number, scans: { older: Scan; newer: Scan }, course: Course, maxDrift_px: number,
): CourseFit | undefined {
  const found = coarse(older, newer, rows, cols, scans, maxDrift_px);
  if (!found) return undefined;
  const theta = new Float64Array(2 * course.terms);
  theta[0] = found.row;
  theta[course.terms] = found.col;
  let fit: CourseFit | undefined;
  for (const sigma of [4, 0]) {
    const [a, b] = sigma > 0 ? [smoothed(older, rows, cols, sigma), smoothed(newer, rows, cols, sigma)] : [older, newer];
    fit = refine(a, b, rows, cols, scans, course, theta, sigma === 0 ? 40 : 12);
    if (!fit) return undefined;
  }
  return fit;
} // prettier-ignore

/** Where each line of a frame looked, px. */
export interface Lines {
  readonly row: Float64Array;
  readonly col: Float64Array;
}

/**
 * The course of the newer frame alone, against lines of the older one that are known: counted from the begin of the
 * newer frame, as these must be. `start` is the drift to begin with, px per frame duration.
 */
export function fitNewer(
  older: Frame, newer: Frame, rows: number, cols: number, scans: { older: Scan; newer: Scan }, course: Course,
  known: Lines, start: { row: number; col: number },
): CourseFit | undefined {
  const theta = new Float64Array(2 * course.terms);
  theta[0] = start.row;
  theta[course.terms] = start.col;
  return refine(older, newer, rows, cols, scans, course, theta, 15, known);
} // prettier-ignore

/** Row of the older frame where its known lines meet the sample's row, and the shift and its slope per line there. */
function meetingKnown(w: number, known: Lines): { line: number; col: number; slopeRow: number; slopeCol: number } {
  const rows = known.row.length;
  let line = w;
  let [slopeRow, slopeCol, col] = [0, 0, 0];
  for (let pass = 0; pass < 20; pass++) {
    const k = Math.max(0, Math.min(rows - 2, Math.floor(line)));
    const f = Math.max(0, Math.min(1, line - k));
    slopeRow = known.row[k + 1]! - known.row[k]!;
    slopeCol = known.col[k + 1]! - known.col[k]!;
    col = known.col[k]! + f * slopeCol;
    const step = (w - line - known.row[k]! - f * slopeRow) / (1 + slopeRow);
    line += step;
    if (Math.abs(step) < 1e-9) break;
  }
  return { line, col, slopeRow, slopeCol };
} // prettier-ignore

/** Row of the older frame where it meets the sample's row, and the time of that: k' + s(t'(k')) = w. */
function meeting(
  w: number, scan: Scan, rows: number, course: Course, theta: Float64Array,
): { line: number; time: number } {
  const perLine = (scan.length / rows) * (scan.up ? 1 : -1);
  const first = lineTime(scan, 0, rows);
  let line = w;
  for (let pass = 0; pass < 20; pass++) {
    const t = Math.max(scan.start, Math.min(scan.start + scan.length, first + perLine * line));
    const [s, slope] = at(course, theta, 0, t);
    const step = (w - line - s) / (1 + slope * perLine);
    line += step;
    if (Math.abs(step) < 1e-9) break;
  }
  return { line, time: Math.max(scan.start, Math.min(scan.start + scan.length, first + perLine * line)) };
} // prettier-ignore

function at(course: Course, theta: Float64Array, axis: 0 | 1, t: number): [value: number, slope: number] {
  let [value, slope] = [0, 0];
  for (let j = 0; j < course.terms; j++) {
    value += theta[axis * course.terms + j]! * course.value(j, t);
    slope += theta[axis * course.terms + j]! * course.slope(j, t);
  }
  return [value, slope];
}

/** s at a time: rows, columns; px. */
export const shiftAt = (course: Course, theta: Float64Array, t: number): [row: number, col: number] => [
  at(course, theta, 0, t)[0],
  at(course, theta, 1, t)[0],
];

/** Variance of s at a time, of what depends on θ: rows, columns; px². */
export function varianceAt(course: Course, { covariance, theta }: CourseFit, t: number): [number, number] {
  const n = theta.length;
  const of = (axis: 0 | 1): number => {
    let sum = 0;
    for (let i = 0; i < course.terms; i++)
      for (let j = 0; j < course.terms; j++)
        sum +=
          course.value(i, t) * course.value(j, t) * covariance[(axis * course.terms + i) * n + axis * course.terms + j]!;
    return sum;
  }; // prettier-ignore
  return [of(0), of(1)];
}

/** An even drift to about a pixel: of all within reach the one that leaves least, on every third pixel of smoothed frames. */
function coarse(
  older: Frame, newer: Frame, rows: number, cols: number, scans: { older: Scan; newer: Scan }, reach: number,
): { row: number; col: number } | undefined {
  const [a, b] = [smoothed(older, rows, cols, 3), smoothed(newer, rows, cols, 3)];
  const theta = new Float64Array(2);
  let best: { row: number; col: number } | undefined;
  let least = Infinity;
  const look = (row: number, col: number): void => {
    theta.set([row, col]);
    const left = misfit(a, b, rows, cols, scans, theta);
    if (left < least) [least, best] = [left, { row, col }];
  };
  for (let row = -reach; row <= reach; row += 1.5) for (let col = -reach; col <= reach; col += 1.5) look(row, col);
  return best;
} // prettier-ignore

/** Mean square of what an even drift leaves, in shares of the newer frame's; infinite where too little is in common. */
function misfit(
  a: Frame, b: Frame, rows: number, cols: number, scans: { older: Scan; newer: Scan }, theta: Float64Array,
): number {
  let [n, left, all, looked] = [0, 0, 0, 0];
  for (let k = 0; k < rows; k += 3) {
    const t = lineTime(scans.newer, k, rows);
    const [sRow, sCol] = shiftAt(evenDrift, theta, t);
    const met = meeting(k + sRow, scans.older, rows, evenDrift, theta);
    const line = Math.round(met.line);
    const shift = Math.round(sCol - shiftAt(evenDrift, theta, met.time)[1]);
    looked += cols;
    if (line < 0 || line >= rows) continue;
    let [m, e, ee, v, vv] = [0, 0, 0, 0, 0];
    for (let c = Math.max(0, -shift); c < Math.min(cols, cols - shift); c += 3) {
      const [i, j] = [line * cols + c + shift, k * cols + c];
      if (!a.known[i] || !b.known[j]) continue;
      const r = a.values[i]! - b.values[j]!;
      m++;
      e += r;
      ee += r * r;
      v += b.values[j]!;
      vv += b.values[j]! ** 2;
    }
    if (m < 8) continue;
    n += m;
    left += ee - (e * e) / m;
    all += vv - (v * v) / m;
  }
  return n * 3 < 0.3 * looked || !(all > 0) ? Infinity : left / all;
} // prettier-ignore

function refine(
  older: Frame, newer: Frame, rows: number, cols: number, scans: { older: Scan; newer: Scan }, course: Course,
  theta: Float64Array, passes: number, known?: Lines,
): CourseFit | undefined {
  const spline = splineOf(older.values, rows, cols);
  const gradient = smoothGradient(newer.values, rows, cols);
  const n = theta.length;
  for (let pass = 0; ; pass++) {
    const system = normalEquations(older, newer, spline, gradient, rows, cols, scans, course, theta, known);
    if (!system) return undefined;
    const prior = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      if (i % course.terms < course.free) continue;
      prior[i] = (system.noise / course.prior_px) ** 2;
      system.matrix[i * n + i]! += prior[i]!;
      system.right[i]! += prior[i]! * theta[i]!;
    }
    const inverse = inverted(system.matrix, n);
    if (!inverse) return undefined;
    const step = new Float64Array(n);
    let largest = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) step[i]! -= inverse[i * n + j]! * system.right[j]!;
    for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(step[i]!));
    const covariance = sandwich(inverse, system.blocks, n, system.response, prior, system.noise);
    if (largest < 1e-4 || pass === passes - 1) return { theta: theta.slice(), covariance, confidence: system.confidence, overlap: system.overlap };
    for (let i = 0; i < n; i++) theta[i]! += step[i]! * Math.min(1, 2 / largest);
  }
} // prettier-ignore

interface System {
  readonly matrix: Float64Array;
  readonly right: Float64Array;
  /** Of each block its part of `right`. */
  readonly blocks: Float64Array;
  readonly response: number;
  /** Of a residual. */
  readonly noise: number;
  readonly confidence: number;
  readonly overlap: number;
}

function normalEquations(
  older: Frame, newer: Frame, spline: Float64Array, gradient: Gradient, rows: number, cols: number,
  scans: { older: Scan; newer: Scan }, course: Course, theta: Float64Array, known: Lines | undefined,
): System | undefined {
  const m = course.terms;
  const n = 2 * m;
  const seen = new Float64Array(rows * cols);
  const usable = new Uint8Array(rows * cols);
  // Of each line: d k'/dθ_row (m), d c'/dθ_row (m), d c'/dθ_col (m).
  const down = new Float64Array(rows * m), across = new Float64Array(rows * m), sideways = new Float64Array(rows * m); // prettier-ignore
  const perLine = (scans.older.length / rows) * (scans.older.up ? 1 : -1);
  const joint = (w: number) => {
    const { line, time } = meeting(w, scans.older, rows, course, theta);
    const [col, slopeCol] = at(course, theta, 1, time);
    return { line, time, col, slopeRow: at(course, theta, 0, time)[1] * perLine, slopeCol: slopeCol * perLine };
  };
  for (let k = RIM; k < rows - RIM; k++) {
    const t = lineTime(scans.newer, k, rows);
    const [sRow, sCol] = shiftAt(course, theta, t);
    const there = known ? { ...meetingKnown(k + sRow, known), time: undefined } : joint(k + sRow);
    for (let j = 0; j < m; j++) {
      const apart = course.value(j, t) - (there.time === undefined ? 0 : course.value(j, there.time));
      down[k * m + j] = apart / (1 + there.slopeRow);
      across[k * m + j] = -there.slopeCol * down[k * m + j]!;
      sideways[k * m + j] = apart;
    }
    interpolateLine(spline, older, newer, rows, cols, k, there.line, sCol - there.col, seen, usable);
  }

  const residual = new Float64Array(rows * cols);
  let used = 0;
  const line = new Float64Array(cols);
  const sizes: number[] = [];
  for (let k = RIM; k < rows - RIM; k++) {
    let count = 0;
    for (let i = k * cols; i < (k + 1) * cols; i++) {
      if (!usable[i]) continue;
      residual[i] = seen[i]! - newer.values[i]!;
      line[count++] = residual[i]!;
    }
    const middle = medianOf(line.subarray(0, count));
    used += count;
    for (let i = k * cols; i < (k + 1) * cols; i++) {
      if (!usable[i]) continue;
      residual[i]! -= middle;
      if (i % 7 === 0) sizes.push(Math.abs(residual[i]!));
    }
  }
  if (used < 0.2 * rows * cols) return undefined;
  const scale = 1.4826 * medianOf(Float64Array.from(sizes));

  const matrix = new Float64Array(n * n);
  const right = new Float64Array(n);
  const blocksAcross = Math.ceil(cols / BLOCK);
  const blocks = new Float64Array(n * blocksAcross * Math.ceil(rows / BLOCK));
  const weight = new Float64Array(cols);
  let [weights, responses, pp, pq, qq] = [0, 0, 0, 0, 0];
  for (let k = RIM + 1; k < rows - RIM - 1; k++) {
    const start = k * cols;
    let [sw, se, sa, sb] = [0, 0, 0, 0];
    let [count, sp, sq] = [0, 0, 0];
    for (let c = RIM; c < cols - RIM; c++) {
      weight[c] = 0;
      const i = start + c;
      if (!usable[i] || !usable[i - cols] || !usable[i + cols] || !usable[i - 1] || !usable[i + 1]) continue;
      count++;
      sp += seen[i]!;
      sq += newer.values[i]!;
      const u2 = scale > 0 ? (residual[i]! / (TUKEY * scale)) ** 2 : 0;
      if (u2 >= 1) continue;
      const w = (1 - u2) ** 2;
      weight[c] = w;
      weights += w;
      responses += (1 - u2) * (1 - 5 * u2);
      sw += w;
      se += w * residual[i]!;
      sa += w * gradient.row[i]!;
      sb += w * gradient.col[i]!;
    }
    if (!(sw > 0)) continue;
    // Gradients of the newer frame a (row), b (col), of the older one where they meet g, h.
    let [ag, ah, bg, bh, ae, be] = [0, 0, 0, 0, 0, 0];
    const block = (c: number): number => n * (Math.floor(k / BLOCK) * blocksAcross + Math.floor(c / BLOCK));
    for (let c = RIM; c < cols - RIM; c++) {
      const i = start + c;
      if (usable[i]) {
        const [p, q] = [seen[i]! - sp / count, newer.values[i]! - sq / count];
        pp += p * p;
        pq += p * q;
        qq += q * q;
      }
      const w = weight[c]!;
      if (w === 0) continue;
      const [a, b, e] = [gradient.row[i]! - sa / sw, gradient.col[i]! - sb / sw, residual[i]! - se / sw];
      const [g, h] = [(seen[i + cols]! - seen[i - cols]!) / 2, (seen[i + 1]! - seen[i - 1]!) / 2];
      ag += w * a * g;
      ah += w * a * h;
      bg += w * b * g;
      bh += w * b * h;
      ae += w * a * e;
      be += w * b * e;
      const at = block(c);
      for (let j = 0; j < m; j++) {
        blocks[at + j]! += w * e * (down[k * m + j]! * a + across[k * m + j]! * b);
        blocks[at + m + j]! += w * e * sideways[k * m + j]! * b;
      }
    }
    for (let i = 0; i < m; i++) {
      const [d, x, y] = [down[k * m + i]!, across[k * m + i]!, sideways[k * m + i]!];
      right[i]! += d * ae + x * be;
      right[m + i]! += y * be;
      for (let j = 0; j < m; j++) {
        const [dj, xj, yj] = [down[k * m + j]!, across[k * m + j]!, sideways[k * m + j]!];
        matrix[i * n + j]! += d * dj * ag + d * xj * ah + x * dj * bg + x * xj * bh;
        matrix[i * n + m + j]! += d * yj * ah + x * yj * bh;
        matrix[(m + i) * n + j]! += y * dj * bg + y * xj * bh;
        matrix[(m + i) * n + m + j]! += y * yj * bh;
      }
    }
  }
  return {
    matrix, right, blocks, response: Math.max(0.1, responses / weights), noise: scale,
    confidence: pp > 0 && qq > 0 ? pq / Math.sqrt(pp * qq) : 0, overlap: used / (rows * cols),
  };
} // prettier-ignore

/** Line k of the newer frame as the older one shows it, at its row `line` and `shift` columns to the right. */
function interpolateLine(
  spline: Float64Array, older: Frame, newer: Frame, rows: number, cols: number, k: number, line: number, shift: number,
  seen: Float64Array, usable: Uint8Array,
): void {
  const r0 = Math.floor(line);
  const s0 = Math.floor(shift);
  if (r0 < 1 || r0 + 2 >= rows) return;
  const v = bspline(line - r0);
  const u = bspline(shift - s0);
  const nearest = Math.round(line);
  for (let c = Math.max(0, 1 - s0); c < Math.min(cols, cols - 2 - s0); c++) {
    const at = nearest * cols + c + Math.round(shift);
    if (!newer.known[k * cols + c] || !older.known[at]) continue;
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      const from = (r0 + i - 1) * cols + c + s0 - 1;
      sum += v[i]! * (u[0] * spline[from]! + u[1] * spline[from + 1]! + u[2] * spline[from + 2]! + u[3] * spline[from + 3]!);
    }
    seen[k * cols + c] = sum;
    usable[k * cols + c] = 1;
  }
} // prettier-ignore

/** Weights of the four coefficients around a point that lies f of the way from the second to the third. */
const bspline = (f: number): [number, number, number, number] => [
  (1 - f) ** 3 / 6, (3 * f ** 3 - 6 * f ** 2 + 4) / 6, (-3 * f ** 3 + 3 * f ** 2 + 3 * f + 1) / 6, f ** 3 / 6,
]; // prettier-ignore

/**
 * A frame on the sample's grid, bilinear: out(w, u) = frame(k, c) with w = k + s_row(t_k) + before.row,
 * u = c + s_col(t_k) + before.col. NaN where it did not look, and next to its own NaN.
 */
export function straightened(
  data: ArrayLike<number>, rows: number, cols: number, scan: Scan, course: Course, theta: Float64Array,
  before: { row: number; col: number }, into: Float32Array,
): void {
  into.fill(NaN);
  for (let w = 0; w < rows; w++) {
    const { line, time } = meeting(w - before.row, scan, rows, course, theta);
    const shift = -shiftAt(course, theta, time)[1] - before.col;
    if (line < 0 || line > rows - 1) continue;
    const r0 = Math.min(rows - 2, Math.floor(line));
    const f = line - r0;
    for (let u = 0; u < cols; u++) {
      const c = u + shift;
      if (c < 0 || c > cols - 1) continue;
      const c0 = Math.min(cols - 2, Math.floor(c));
      const g = c - c0;
      const from = r0 * cols + c0;
      // A weight of 0 must not spread what is missing.
      const across = (i: number): number =>
        g === 0 ? data[i]! : g === 1 ? data[i + 1]! : (1 - g) * data[i]! + g * data[i + 1]!;
      into[w * cols + u] = f === 0 ? across(from) : f === 1 ? across(from + cols) : (1 - f) * across(from) + f * across(from + cols);
    }
  }
} // prettier-ignore

interface Gradient {
  readonly row: Float64Array;
  readonly col: Float64Array;
}

const SMOOTH = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16];
const DERIVE = [-1 / 8, -2 / 8, 0, 2 / 8, 1 / 8];

function smoothGradient(values: Float64Array, rows: number, cols: number): Gradient {
  return {
    row: separable(values, rows, cols, DERIVE, SMOOTH),
    col: separable(values, rows, cols, SMOOTH, DERIVE),
  };
}

/** Both kernels of odd length; the rim that they do not reach is 0. */
function separable(values: Float64Array, rows: number, cols: number, down: readonly number[], across: readonly number[]): Float64Array {
  const [h, g] = [(down.length - 1) / 2, (across.length - 1) / 2];
  const lines = new Float64Array(rows * cols);
  const out = new Float64Array(rows * cols);
  for (let r = h; r < rows - h; r++) {
    for (const [j, weight] of down.entries()) {
      if (weight === 0) continue;
      const from = (r + j - h) * cols;
      for (let c = 0; c < cols; c++) lines[r * cols + c]! += weight * values[from + c]!;
    }
    for (let c = g; c < cols - g; c++) {
      let sum = 0;
      for (let j = 0; j < across.length; j++) sum += across[j]! * lines[r * cols + c + j - g]!;
      out[r * cols + c] = sum;
    }
  }
  return out;
} // prettier-ignore

/** Gaussian of `sigma` px over the known pixels. */
function smoothed({ values, known, share }: Frame, rows: number, cols: number, sigma: number): Frame {
  const reach = Math.ceil(2.5 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-(((i - reach) / sigma) ** 2) / 2));
  const over = (from: Float64Array): Float64Array => separable(padded(from, rows, cols, reach), rows + 2 * reach, cols + 2 * reach, kernel, kernel);
  const [sum, weight] = [over(values), over(Float64Array.from(known))];
  const out = new Float64Array(rows * cols);
  let squares = 0;
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const at = (r + reach) * (cols + 2 * reach) + c + reach;
      out[i] = weight[at]! > 0 ? sum[at]! / weight[at]! : 0;
      squares += out[i]! ** 2;
    }
  }
  return { values: out, known, rms: Math.sqrt(squares / (rows * cols)), share };
} // prettier-ignore

function padded(values: Float64Array, rows: number, cols: number, by: number): Float64Array {
  const width = cols + 2 * by;
  const out = new Float64Array(width * (rows + 2 * by));
  for (let r = 0; r < rows; r++) out.set(values.subarray(r * cols, (r + 1) * cols), (r + by) * width + by);
  return out;
}

/** Gauss-Jordan with pivots; undefined where it is singular. */
function inverted(matrix: Float64Array, n: number): Float64Array | undefined {
  const a = matrix.slice();
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) out[i * n + i] = 1;
  let most = 0;
  for (const value of a) most = Math.max(most, Math.abs(value));
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(a[r * n + i]!) > Math.abs(a[pivot * n + i]!)) pivot = r;
    if (!(Math.abs(a[pivot * n + i]!) > 1e-12 * most)) return undefined;
    for (const m of [a, out]) {
      for (let c = 0; c < n; c++) {
        const swapped = m[i * n + c]!;
        m[i * n + c] = m[pivot * n + c]!;
        m[pivot * n + c] = swapped;
      }
    }
    const by = a[i * n + i]!;
    for (const m of [a, out]) for (let c = 0; c < n; c++) m[i * n + c]! /= by;
    for (let r = 0; r < n; r++) {
      if (r === i) continue;
      const factor = a[r * n + i]!;
      for (const m of [a, out]) for (let c = 0; c < n; c++) m[r * n + c]! -= factor * m[i * n + c]!;
    }
  }
  return out;
}

/** M⁻¹ (Σ b bᵀ / response² + σ² prior) M⁻ᵀ. */
function sandwich(
  inverse: Float64Array, blocks: Float64Array, n: number, response: number, prior: Float64Array, noise: number,
): Float64Array {
  const middle = new Float64Array(n * n);
  for (let at = 0; at < blocks.length; at += n)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) middle[i * n + j]! += (blocks[at + i]! * blocks[at + j]!) / response ** 2;
  for (let i = 0; i < n; i++) middle[i * n + i]! += noise ** 2 * prior[i]!;
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      for (let k = 0; k < n; k++)
        for (let l = 0; l < n; l++)
          out[i * n + j]! += inverse[i * n + k]! * middle[k * n + l]! * inverse[j * n + l]!;
  return out;
} // prettier-ignore
