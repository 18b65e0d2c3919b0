/** Coefficients of the cubic B-spline that goes through an image, mirrored at its rim. */
export function splineOf(values: Float64Array, rows: number, cols: number): Float64Array {
  const out = values.slice();
  const line = new Float64Array(Math.max(rows, cols));
  for (let r = 0; r < rows; r++) prefilter(out.subarray(r * cols, (r + 1) * cols));
  for (let c = 0; c < cols; c++) {
    for (let r = 0; r < rows; r++) line[r] = out[r * cols + c]!;
    prefilter(line.subarray(0, rows));
    for (let r = 0; r < rows; r++) out[r * cols + c] = line[r]!;
  }
  return out;
}

const POLE = Math.sqrt(3) - 2;

/** Unser, IEEE Signal Process. Mag. 16(6), 22 (1999), box 2. */
function prefilter(line: Float64Array): void {
  const n = line.length;
  if (n < 2) return;
  for (let i = 0; i < n; i++) line[i]! *= 6;
  let sum = line[0]!;
  for (let i = 1, z = POLE; i < Math.min(n, 40); i++, z *= POLE) sum += z * line[i]!;
  line[0] = sum;
  for (let i = 1; i < n; i++) line[i]! += POLE * line[i - 1]!;
  line[n - 1] = (POLE / (POLE * POLE - 1)) * (line[n - 1]! + POLE * line[n - 2]!);
  for (let i = n - 2; i >= 0; i--) line[i] = POLE * (line[i + 1]! - line[i]!);
}

/** The spline at height × width points from (row, col), a pixel apart. */
export function interpolated(
  spline: Float64Array, rows: number, cols: number, row: number, col: number, height: number, width: number,
): Float64Array {
  const [r0, c0] = [Math.floor(row), Math.floor(col)];
  const down = bspline(row - r0);
  const across = bspline(col - c0);
  const out = new Float64Array(height * width);
  const line = new Float64Array(width + 3);
  const mirror = (i: number, n: number): number => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);
  for (let r = 0; r < height; r++) {
    line.fill(0);
    for (let j = 0; j < 4; j++) {
      const from = mirror(r0 + r + j - 1, rows) * cols;
      const w = down[j]!;
      for (let c = 0; c < width + 3; c++) line[c]! += w * spline[from + mirror(c0 + c - 1, cols)]!;
    }
    for (let c = 0; c < width; c++) {
      out[r * width + c] =
        across[0]! * line[c]! + across[1]! * line[c + 1]! + across[2]! * line[c + 2]! + across[3]! * line[c + 3]!;
    }
  }
  return out;
} // prettier-ignore

/** Weights of the four coefficients around a point that lies f of the way from the second to the third. */
const bspline = (f: number): [number, number, number, number] => [
  (1 - f) ** 3 / 6,
  (3 * f ** 3 - 6 * f ** 2 + 4) / 6,
  (-3 * f ** 3 + 3 * f ** 2 + 3 * f + 1) / 6,
  f ** 3 / 6,
];
