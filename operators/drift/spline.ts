const POLE = Math.sqrt(3) - 2;
/** The pole to this power is below the last bit. */
const REACH = 30;
const LAST = POLE / (POLE * POLE - 1);

/**
 * Coefficients of the cubic B-spline that goes through a picture, mirrored at its rim.
 *
 * Reference: Unser, IEEE Signal Process. Mag. 16(6), 22 (1999), box 2.
 */
export function splineOf(
  values: Float64Array,
  rows: number,
  cols: number,
  out: Float64Array = new Float64Array(rows * cols),
): Float64Array {
  for (let r = 0; r < rows; r++) alongRow(values, out, r * cols, cols);
  if (rows > 1) downColumns(out, rows, cols);
  return out;
}

function alongRow(from: Float64Array, to: Float64Array, at: number, n: number): void {
  if (n < 2) {
    to[at] = from[at]!;
    return;
  }
  let sum = 0;
  for (let i = 0, z = 6; i < Math.min(n, REACH); i++, z *= POLE) sum += z * from[at + i]!;
  to[at] = sum;
  for (let i = at + 1; i < at + n; i++) to[i] = sum = 6 * from[i]! + POLE * sum;
  const end = at + n - 1;
  to[end] = sum = LAST * (sum + POLE * to[end - 1]!);
  for (let i = end - 1; i >= at; i--) to[i] = sum = POLE * (sum - to[i]!);
}

/** All columns side by side, so that memory is read in its order. */
function downColumns(to: Float64Array, rows: number, cols: number): void {
  const first = new Float64Array(cols);
  for (let r = 0, z = 6; r < Math.min(rows, REACH); r++, z *= POLE) {
    for (let c = 0; c < cols; c++) first[c]! += z * to[r * cols + c]!;
  }
  to.set(first);
  for (let i = cols; i < rows * cols; i++) to[i] = 6 * to[i]! + POLE * to[i - cols]!;
  const end = (rows - 1) * cols;
  for (let i = end; i < end + cols; i++) to[i] = LAST * (to[i]! + POLE * to[i - cols]!);
  for (let i = end - 1; i >= 0; i--) to[i] = POLE * (to[i + cols]! - to[i]!);
}

/** A part of a picture, or of its reference: from (top, left), height × width pixels. */
export interface Part {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The spline at height × width points from (row, col), a pixel apart. */
export function shifted(
  spline: Float64Array, rows: number, cols: number, row: number, col: number, { height, width }: Part, out: Float64Array,
): void {
  const [r0, c0] = [Math.floor(row), Math.floor(col)];
  const [d0, d1, d2, d3] = bspline(row - r0);
  const [a0, a1, a2, a3] = bspline(col - c0);
  const line = new Float64Array(width + 3);
  const inside = c0 >= 1 && c0 + width + 2 <= cols;
  for (let r = 0; r < height; r++) {
    const i0 = mirrored(r0 + r - 1, rows) * cols, i1 = mirrored(r0 + r, rows) * cols;
    const i2 = mirrored(r0 + r + 1, rows) * cols, i3 = mirrored(r0 + r + 2, rows) * cols;
    for (let c = 0; c < width + 3; c++) {
      const at = inside ? c0 - 1 + c : mirrored(c0 - 1 + c, cols);
      line[c] = d0 * spline[i0 + at]! + d1 * spline[i1 + at]! + d2 * spline[i2 + at]! + d3 * spline[i3 + at]!;
    }
    const to = r * width;
    for (let c = 0; c < width; c++) {
      out[to + c] = a0 * line[c]! + a1 * line[c + 1]! + a2 * line[c + 2]! + a3 * line[c + 3]!;
    }
  }
} // prettier-ignore

/** A shift in pixels and a turn about the middle of the frame, from columns towards rows [rad]. */
export interface Move {
  readonly row: number;
  readonly col: number;
  readonly angle: number;
}

/** What a frame is turned about, in its pixels. */
export interface Middle {
  readonly row: number;
  readonly col: number;
}

export const middleOf = (rows: number, cols: number): Middle => ({
  row: (rows - 1) / 2,
  col: (cols - 1) / 2,
});

/** Where in a frame a point of the reference lies: the frame's x is the reference's middle + shift + R(angle) (x - middle). */
export function pointIn(
  middle: Middle,
  { row, col, angle }: Move,
): (r: number, c: number) => readonly [number, number] {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (r, c) => {
    const down = r - middle.row - row;
    const right = c - middle.col - col;
    return [middle.row + cos * down - sin * right, middle.col + cos * right + sin * down];
  };
}

/** The spline where the points of a part of the reference lie; NaN where that is outside of the frame. */
export function turned(
  spline: Float64Array, rows: number, cols: number, middle: Middle, move: Move, { top, left, height, width }: Part, out: Float64Array,
): void {
  // As pointIn has it, along a row in equal steps.
  const point = pointIn(middle, move);
  const [down, right] = [-Math.sin(move.angle), Math.cos(move.angle)];
  for (let r = 0, i = 0; r < height; r++) {
    const [row0, col0] = point(top + r, left);
    for (let c = 0; c < width; c++, i++) {
      const row = row0 + c * down;
      const col = col0 + c * right;
      if (!(row >= 0 && row <= rows - 1 && col >= 0 && col <= cols - 1)) {
        out[i] = NaN;
        continue;
      }
      const m = Math.floor(row), n = Math.floor(col);
      const f = row - m, g = col - n, f1 = 1 - f, g1 = 1 - g;
      const a0 = (g1 * g1 * g1) / 6, a3 = (g * g * g) / 6, a1 = 2 / 3 - g * g * (1 - g / 2), a2 = 1 - a0 - a1 - a3;
      const d0 = (f1 * f1 * f1) / 6, d3 = (f * f * f) / 6, d1 = 2 / 3 - f * f * (1 - f / 2), d2 = 1 - d0 - d1 - d3;
      const k0 = mirrored(n - 1, cols), k2 = mirrored(n + 1, cols), k3 = mirrored(n + 2, cols);
      const r0 = mirrored(m - 1, rows) * cols, r1 = m * cols, r2 = mirrored(m + 1, rows) * cols, r3 = mirrored(m + 2, rows) * cols;
      out[i] =
        d0 * (a0 * spline[r0 + k0]! + a1 * spline[r0 + n]! + a2 * spline[r0 + k2]! + a3 * spline[r0 + k3]!) +
        d1 * (a0 * spline[r1 + k0]! + a1 * spline[r1 + n]! + a2 * spline[r1 + k2]! + a3 * spline[r1 + k3]!) +
        d2 * (a0 * spline[r2 + k0]! + a1 * spline[r2 + n]! + a2 * spline[r2 + k2]! + a3 * spline[r2 + k3]!) +
        d3 * (a0 * spline[r3 + k0]! + a1 * spline[r3 + n]! + a2 * spline[r3 + k2]! + a3 * spline[r3 + k3]!);
    }
  }
} // prettier-ignore

function mirrored(i: number, n: number): number {
  const at = i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
  return at < 0 ? 0 : at >= n ? n - 1 : at;
}

/** Weights of the four coefficients around a point that lies f of the way from the second to the third. */
const bspline = (f: number): [number, number, number, number] => [
  (1 - f) ** 3 / 6,
  (3 * f ** 3 - 6 * f ** 2 + 4) / 6,
  (-3 * f ** 3 + 3 * f ** 2 + 3 * f + 1) / 6,
  f ** 3 / 6,
];
