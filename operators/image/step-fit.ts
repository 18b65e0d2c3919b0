import { BlockError } from "./block-error.ts";
import { inverseOf } from "./plane-fit.ts";

/** What a pixel is to a step: left out, of the reference, or of what stands over it (under it). */
export const LEFT_OUT = 0, REFERENCE = 1, FEATURE = 2; // prettier-ignore

export interface StepFit {
  readonly height: number;
  readonly height_se: number;
  /** Of the pixels about the two planes. */
  readonly rms: number;
  readonly feature: number;
  readonly reference: number;
  /** By row, then along x: what the fit says of the reference there; for telling the two apart once more. */
  readonly ground: Float64Array;
}

/**
 * Height of one plane over a parallel one, by least squares.
 *
 *     z(r, c) = a + b x + c y + h δ       δ = 1 on the feature, 0 on the reference
 *     z(r, c) = a_r + b x + h δ           with `lines`: of each line an offset of its own
 *
 * Undefined where the pixels do not fix h.
 */
export function stepFit(
  z: Float64Array, role: Uint8Array, rows: number, cols: number, lines: boolean,
): StepFit | undefined {
  let [feature, reference] = [0, 0];
  for (let i = 0; i < z.length; i++) {
    if (Number.isNaN(z[i])) continue;
    if (role[i] === FEATURE) feature++;
    else if (role[i] === REFERENCE) reference++;
  }
  const pixels = feature + reference;
  if (feature < LEAST || reference < LEAST) return undefined;
  const solved = lines ? byLines(z, role, rows, cols) : byPlane(z, role, rows, cols);
  if (!solved) return undefined;
  const { height, ground, weight } = solved;
  let squares = 0;
  const u = weight; // in place: what each pixel adds to the height's deviation
  for (let i = 0; i < z.length; i++) {
    if (role[i] === LEFT_OUT || Number.isNaN(z[i])) continue;
    const left = z[i]! - ground[i]! - (role[i] === FEATURE ? height : 0);
    squares += left * left;
    u[i]! *= left;
  }
  // By whole lines: they see both planes, so of each line nothing but its own height comes in, and jumps as they are.
  const sums = new Float64Array(rows);
  let lined = 0;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) sums[r]! += u[r * cols + c]!;
    if (sums[r] !== 0) lined++;
  }
  const byBlocks = new BlockError(rows, cols, pixels).of(u);
  const byRows = new BlockError(rows, 1, lined).of(sums);
  const se = byRows > byBlocks ? byRows : byBlocks;
  return { height, height_se: se, rms: Math.sqrt(squares / pixels), feature, reference, ground };
} // prettier-ignore

const LEAST = 16;
/** Share of the spread of δ that lines and slope must leave of it. */
const LEAST_SPREAD = 1e-6;

interface Solved {
  readonly height: number;
  /** Of each pixel, the reference plane there. */
  readonly ground: Float64Array;
  /** Of each pixel, dh/dz; 0 where it is left out. */
  readonly weight: Float64Array;
}

function byLines(z: Float64Array, role: Uint8Array, rows: number, cols: number): Solved | undefined {
  // Of each line, number and means of its pixels.
  const n = new Float64Array(rows);
  const [mx, md, mz] = [new Float64Array(rows), new Float64Array(rows), new Float64Array(rows)];
  const used = (i: number): boolean => role[i] !== LEFT_OUT && !Number.isNaN(z[i]);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (!used(i)) continue;
      n[r]!++;
      mx[r]! += c;
      md[r]! += role[i] === FEATURE ? 1 : 0;
      mz[r]! += z[i]!;
    }
    if (n[r] === 0) continue;
    mx[r]! /= n[r]!;
    md[r]! /= n[r]!;
    mz[r]! /= n[r]!;
  }
  let [xx, xd, dd, xz, dz] = [0, 0, 0, 0, 0];
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (!used(i)) continue;
      const [x, d, v] = [c - mx[r]!, (role[i] === FEATURE ? 1 : 0) - md[r]!, z[i]! - mz[r]!];
      xx += x * x;
      xd += x * d;
      dd += d * d;
      xz += x * v;
      dz += d * v;
    }
  }
  const own = dd - (xd * xd) / xx; // what δ has that a slope has not
  if (!(own > LEAST_SPREAD * n.reduce((a, b) => a + b))) return undefined;
  const height = (dz - (xd * xz) / xx) / own;
  const slope = (xz - height * xd) / xx;
  const ground = new Float64Array(z.length).fill(NaN);
  const weight = new Float64Array(z.length);
  for (let r = 0, i = 0; r < rows; r++) {
    const offset = mz[r]! - height * md[r]!;
    for (let c = 0; c < cols; c++, i++) {
      if (n[r]! > 0) ground[i] = offset + slope * (c - mx[r]!);
      if (used(i)) weight[i] = ((role[i] === FEATURE ? 1 : 0) - md[r]! - ((c - mx[r]!) * xd) / xx) / own;
    }
  }
  return { height, ground, weight };
}

function byPlane(z: Float64Array, role: Uint8Array, rows: number, cols: number): Solved | undefined {
  // Along an axis that has one pixel alone there is no slope.
  const [wide, high] = [Math.max(1, cols - 1), Math.max(1, rows - 1)];
  const columns = [0, 3, ...(cols > 1 ? [1] : []), ...(rows > 1 ? [2] : [])];
  const k = columns.length;
  const v = new Float64Array(4);
  const at = (i: number, r: number, c: number): void => {
    v[0] = 1;
    v[1] = (2 * c) / wide - 1;
    v[2] = (2 * r) / high - 1;
    v[3] = role[i] === FEATURE ? 1 : 0;
  };
  const normal = new Float64Array(k * k);
  const right = new Float64Array(k);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (role[i] === LEFT_OUT || Number.isNaN(z[i])) continue;
      at(i, r, c);
      for (let a = 0; a < k; a++) {
        right[a]! += v[columns[a]!]! * z[i]!;
        for (let b = 0; b <= a; b++) normal[a * k + b]! += v[columns[a]!]! * v[columns[b]!]!;
      }
    }
  }
  const inverse = inverseOf(normal, k);
  if (!inverse) return undefined;
  const solution = new Float64Array(4);
  for (let a = 0; a < k; a++) for (let b = 0; b < k; b++) solution[columns[a]!]! += inverse[a * k + b]! * right[b]!;
  const ground = new Float64Array(z.length);
  const weight = new Float64Array(z.length);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      at(i, r, c);
      ground[i] = solution[0]! + solution[1]! * v[1]! + solution[2]! * v[2]!;
      if (role[i] === LEFT_OUT || Number.isNaN(z[i])) continue;
      for (let b = 0; b < k; b++) weight[i]! += inverse[k + b]! * v[columns[b]!]!; // δ stands second
    }
  }
  return { height: solution[3]!, ground, weight };
} // prettier-ignore
