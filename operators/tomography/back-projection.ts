import type { Passing, Plane } from "./planes.ts";

/**
 * Back-projection of filtered rows into the lines of a plane, linear interpolation.
 *
 *     parallel   image(r, c) += q(t),         t = start + c along + r down
 *     fan        image(r, c) += q(t) / u²,    t = axis + a / u,   a and u linear in r and c
 *
 *     q      filtered row, already times its weight  (col)       zero beyond the detector's ends
 *     start  place of pixel (0, 0) on the detector   [px]        of `passing()`
 *     image  (row, col)                                          of a `Plane`
 *
 * Along a line of the image t grows by the same each pixel. With line segments kept as q = a[i] + t b[i] a pixel costs
 * one multiplication and needs no fraction of t. Sums are made in double and kept in single precision.
 */

/** a[i], b[i] with q(t) = a[i] + t b[i] for i <= t <= i + 1, one after another, into `table` (2 cols + 2 numbers). */
export function segments(row: ArrayLike<number>, cols: number, table: Float64Array): void {
  const last = cols - 1;
  for (let i = 0; i < last; i++) {
    const slope = row[i + 1]! - row[i]!;
    table[2 * i] = row[i]! - i * slope;
    table[2 * i + 1] = slope;
  }
  table[2 * last] = row[last]!;
  table[2 * last + 1] = 0;
}

/** Adds one row, of `segments()`, to line r of an image. */
export function addLine(
  image: Float32Array, { cols: width, circle }: Plane, r: number, table: Float64Array, cols: number, { start, along, down }: Passing,
): void {
  const t0 = start + r * down;
  const half = Math.sqrt(circle.radius ** 2 - (circle.row - r) ** 2);
  if (Number.isNaN(half)) return;
  const [first, last] = measured(t0, along, cols - 1, width);
  const from = Math.max(first, Math.ceil(circle.col - half));
  const end = r * width + Math.min(last, Math.floor(circle.col + half) + 1);
  let o = r * width + from;
  if (o >= end) return;
  let c = from;
  do {
    const t = t0 + c++ * along;
    const i = (t < 0 ? 0 : t | 0) << 1;
    image[o]! += table[i]! + t * table[i + 1]!;
  } while (++o < end);
} // prettier-ignore

/** Where a fan beam's view sees the pixels of a plane: t = axis + a / u, with a and u at pixel (0, 0) and how they grow. */
export interface FanPassing {
  readonly axis: number;
  readonly a: Passing;
  readonly u: Passing;
}

/** The same for a fan beam. */
export function addFanLine(
  image: Float32Array, { cols: width, circle }: Plane, r: number, table: Float64Array, cols: number, { axis, a, u }: FanPassing,
): void {
  const half = Math.sqrt(circle.radius ** 2 - (circle.row - r) ** 2);
  if (Number.isNaN(half)) return;
  const [a0, u0] = [a.start + r * a.down, u.start + r * u.down];
  const end = Math.min(width, Math.floor(circle.col + half) + 1);
  for (let c = Math.max(0, Math.ceil(circle.col - half)); c < end; c++) {
    const nearness = 1 / (u0 + c * u.along);
    const t = axis + (a0 + c * a.along) * nearness;
    if (!(t >= -1e-9 && t <= cols - 1 + 1e-9)) continue;
    const i = (t < 0 ? 0 : t | 0) << 1;
    image[r * width + c]! += nearness * nearness * (table[i]! + t * table[i + 1]!);
  }
} // prettier-ignore

/** Pixels from … to of a line whose t lies on the detector, 0 … last. */
function measured(start: number, step: number, last: number, width: number): [from: number, to: number] {
  // A pixel that lies on the detector's end is taken in, also where rounding puts it just beyond.
  const [least, most] = [-1e-9 - start, last + 1e-9 - start];
  if (Math.abs(step) < 1e-12) return [0, least <= 0 && most >= 0 ? width : 0];
  const from = Math.max(0, Math.ceil(Math.min(least / step, most / step)));
  return [from, Math.max(from, Math.min(width, Math.floor(Math.max(least / step, most / step)) + 1))];
}

/**
 * Means of a row over `width` samples about each, of the row as it is interpolated, zero beyond its ends: what pixels
 * see that are further apart than the detector's.
 */
export function smooth(row: ArrayLike<number>, cols: number, width: number, into: Float64Array): void {
  const sums = new Float64Array(cols);
  for (let i = 1; i < cols; i++) sums[i] = sums[i - 1]! + 0.5 * (row[i - 1]! + row[i]!);
  const upTo = (t: number): number => {
    if (t <= 0) return 0;
    if (t >= cols - 1) return sums[cols - 1]!;
    const i = Math.floor(t);
    return sums[i]! + (t - i) * (row[i]! + 0.5 * (t - i) * (row[i + 1]! - row[i]!));
  };
  for (let i = 0; i < cols; i++) into[i] = (upTo(i + width / 2) - upTo(i - width / 2)) / width;
}
