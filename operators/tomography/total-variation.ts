/**
 * A picture freed of noise with its edges kept: of all pictures the one nearest to v that varies little.
 *
 *     minimise ½ Σ (u - v)² + w Σ |∇u|,   u = v - w div q,   q ← P(q + τ ∇(div q - v / w)),   P: |q| <= 1 in every pixel
 *
 *     v, u  pictures  [1/px]  (row, col)       w  weight [1/px]       ∇  differences to the next pixel, zero at the ends
 *
 * Reference: Chambolle, J. Math. Imaging Vision 20, 89 (2004), with the projection of the later gradient method.
 */
export function smoothed(v: Float32Array, cols: number, weight: number, steps: number, room: Float32Array): void {
  const rows = v.length / cols;
  const n = v.length;
  const [qx, qy, g] = [room.subarray(0, n), room.subarray(n, 2 * n), room.subarray(2 * n, 3 * n)];
  room.fill(0);
  const divergence = (i: number, r: number, c: number): number =>
    (c < cols - 1 ? qx[i]! : 0) - (c > 0 ? qx[i - 1]! : 0) + (r < rows - 1 ? qy[i]! : 0) - (r > 0 ? qy[i - cols]! : 0);
  for (let step = 0; step < steps; step++) {
    for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++) g[i] = divergence(i, r, c) - v[i]! / weight;
    for (let r = 0, i = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++, i++) {
        const x = qx[i]! + TAU * (c < cols - 1 ? g[i + 1]! - g[i]! : 0);
        const y = qy[i]! + TAU * (r < rows - 1 ? g[i + cols]! - g[i]! : 0);
        const size = Math.max(1, Math.sqrt(x * x + y * y));
        qx[i] = x / size;
        qy[i] = y / size;
      }
    }
  }
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++) v[i]! -= weight * divergence(i, r, c);
} // prettier-ignore

/** A quarter is the longest step that is known to converge. */
const TAU = 0.25;
