/**
 * Linear least squares: x that makes |A x - b| least, by Householder's reflections. Columns of A may differ by any power
 * of ten; one that the others nearly make up (to 1e-13) counts for nothing, and its x is 0.
 */
export function leastSquares(columns: readonly Float64Array[], b: Float64Array): { x: Float64Array; residual: Float64Array } {
  const [m, p] = [b.length, columns.length];
  const scale = columns.map((column) => 1 / Math.sqrt(dot(column, column, 0)) || 1);
  const A = columns.map((column, k) => column.map((value) => value * scale[k]!));
  const y = b.slice();
  const diagonal = new Float64Array(p);
  for (let k = 0; k < p && k < m; k++) {
    const v = A[k]!;
    const norm = Math.sqrt(dot(v, v, k));
    if (norm < 1e-13) continue;
    diagonal[k] = v[k]! > 0 ? -norm : norm;
    v[k]! -= diagonal[k]!;
    const half = dot(v, v, k) / 2;
    for (let j = k + 1; j < p; j++) reflect(A[j]!, v, half, k);
    reflect(y, v, half, k);
  }
  const x = new Float64Array(p);
  for (let k = p - 1; k >= 0; k--) {
    if (diagonal[k] === 0) continue;
    let sum = y[k]!;
    for (let j = k + 1; j < p; j++) sum -= A[j]![k]! * x[j]!;
    x[k] = sum / diagonal[k]!;
  }
  for (let k = 0; k < p; k++) x[k]! *= scale[k]!;
  const residual = b.slice();
  for (let k = 0; k < p; k++) for (let i = 0; i < m; i++) residual[i]! -= x[k]! * columns[k]![i]!;
  return { x, residual };
} // prettier-ignore

function dot(u: Float64Array, v: Float64Array, from: number): number {
  let sum = 0;
  for (let i = from; i < u.length; i++) sum += u[i]! * v[i]!;
  return sum;
}

/** y - v (v·y) / half, of the entries from `from` on. */
function reflect(y: Float64Array, v: Float64Array, half: number, from: number): void {
  const part = dot(v, y, from) / half;
  for (let i = from; i < y.length; i++) y[i]! -= part * v[i]!;
}
