/**
 * Back-projection of one filtered row into one slice, parallel beam, linear interpolation.
 *
 *     image(x, y) += q(t),   t = axis + x cos θ + y sin θ
 *
 *     q      filtered row, already times its weight  (col)       zero beyond the detector's ends
 *     axis   column that the rotation axis falls on  [px]
 *     x, y   from the image's middle, (size - 1) / 2  [px]       x to the right, y upwards
 *     image  (row, col), size × size, row 0 at the top
 *
 * Along a line of the image t grows by cos θ a pixel. With line segments kept as q = a[i] + t b[i] a pixel costs one
 * multiplication and needs no fraction of t. Sums are made in double and kept in single precision.
 */
export interface View {
  /** a and b of each segment in turn; of `segments()`. */
  readonly table: Float64Array;
  readonly cols: number;
  readonly axis: number;
  readonly cosTheta: number;
  readonly sinTheta: number;
}

/** a[i], b[i] with q(t) = a[i] + t b[i] for i <= t <= i + 1, one after another, into `table` (2 cols + 2 numbers). */
export function segments(row: ArrayLike<number>, table: Float64Array): void {
  const last = row.length - 1;
  for (let i = 0; i < last; i++) {
    const slope = row[i + 1]! - row[i]!;
    table[2 * i] = row[i]! - i * slope;
    table[2 * i + 1] = slope;
  }
  table[2 * last] = row[last]!;
  table[2 * last + 1] = 0;
}

export function addBackProjection(image: Float32Array, size: number, view: View): void {
  const { table, cosTheta } = view;
  const range = [0, 0];
  for (let r = 0; r < size; r++) {
    const start = positionAt(view, size, r);
    measured(start, cosTheta, view.cols - 1, size, range);
    const [from, to] = range as [number, number];
    if (from >= to) continue;
    let t = start + from * cosTheta;
    let o = r * size + from;
    const end = r * size + to;
    do {
      const i = (t | 0) << 1;
      image[o]! += table[i]! + t * table[i + 1]!;
      t += cosTheta;
    } while (++o < end);
  }
}

/** The same for two views in one pass over the image. */
export function addTwoBackProjections(image: Float32Array, size: number, one: View, other: View): void {
  const { table: table1, cosTheta: cos1 } = one;
  const { table: table2, cosTheta: cos2 } = other;
  const range = [0, 0];
  for (let r = 0; r < size; r++) {
    const start1 = positionAt(one, size, r);
    const start2 = positionAt(other, size, r);
    measured(start1, cos1, one.cols - 1, size, range);
    const [from1, to1] = range as [number, number];
    measured(start2, cos2, other.cols - 1, size, range);
    const [from2, to2] = range as [number, number];
    const from = Math.max(from1, from2);
    const to = Math.min(to1, to2);
    if (from >= to) {
      addSpan(image, r * size, from1, to1, start1, cos1, table1);
      addSpan(image, r * size, from2, to2, start2, cos2, table2);
      continue;
    }
    addSpan(image, r * size, from1, from, start1, cos1, table1);
    addSpan(image, r * size, from2, from, start2, cos2, table2);
    addSpan(image, r * size, to, to1, start1, cos1, table1);
    addSpan(image, r * size, to, to2, start2, cos2, table2);
    let t1 = start1 + from * cos1;
    let t2 = start2 + from * cos2;
    let o = r * size + from;
    const end = r * size + to;
    do {
      const i = (t1 | 0) << 1;
      const j = (t2 | 0) << 1;
      image[o]! += table1[i]! + t1 * table1[i + 1]! + (table2[j]! + t2 * table2[j + 1]!);
      t1 += cos1;
      t2 += cos2;
    } while (++o < end);
  }
}

/** Pixels from … to of one line, where only one of two views was measured. */
function addSpan(
  image: Float32Array, line: number, from: number, to: number, start: number, cosTheta: number, table: Float64Array,
): void {
  for (let c = from, t = start + from * cosTheta; c < to; c++, t += cosTheta) {
    const i = (t | 0) << 1;
    image[line + c]! += table[i]! + t * table[i + 1]!;
  }
} // prettier-ignore

/** t at the first pixel of line r. */
function positionAt({ axis, cosTheta, sinTheta }: View, size: number, r: number): number {
  const middle = (size - 1) / 2;
  return axis - middle * cosTheta + (middle - r) * sinTheta;
}

/** Pixels from … to of a line whose t lies on the detector, 0 … last. */
function measured(start: number, step: number, last: number, size: number, range: number[]): void {
  // A pixel that lies on the detector's end is taken in, also where rounding puts it just beyond.
  const [least, most] = [-1e-9 - start, last + 1e-9 - start];
  if (Math.abs(step) < 1e-12) {
    range[0] = 0;
    range[1] = least <= 0 && most >= 0 ? size : 0;
    return;
  }
  const from = Math.max(0, Math.ceil(Math.min(least / step, most / step)));
  range[0] = from;
  range[1] = Math.max(from, Math.min(size, Math.floor(Math.max(least / step, most / step)) + 1));
}
