/**
 * Standard error of a linear statistic S = Σ c_i x_i of successive records whose noise lasts from one to the next, AR(1):
 *
 *     φ̂ = Σ r_i r_{i-1} / Σ r_i²,   φ = φ̂ + (1 + 3 φ̂ + (p - 1)(1 + φ̂)) / n     r  residuals of p fitted unknowns, p > 1
 *     s² = Σ r_i² / (n - p (1 + φ) / (1 - φ))
 *     S_se² = s² Σ_i Σ_j c_i c_j φ^|i-j|
 *
 * φ̂ of few or fitted records is too small, which the second term mends to first order (Kendall, Biometrika 41, 403 (1954);
 * for p > 1 by its likeness). Of a mean this is s² (1 + φ) / (1 - φ) / n. Where noise lasts as long as the records do, the
 * denominator of s² is kept at a tenth of n: the error is then large, and uncertain itself. Of records that are alike to
 * the last digit it is NaN: nobody knows how finely they were measured.
 */
export function correlatedError(c: Float64Array, residual: Float64Array, unknowns: number): number {
  const n = residual.length;
  if (n <= unknowns + 1) return NaN;
  let [square, pairs] = [0, 0];
  for (let i = 0; i < n; i++) {
    square += residual[i]! ** 2;
    if (i > 0) pairs += residual[i]! * residual[i - 1]!;
  }
  if (square === 0) return NaN;
  const measured = pairs / square;
  const phi = Math.min(
    0.99,
    Math.max(0, measured + (1 + 3 * measured + (unknowns - 1) * (1 + measured)) / n),
  );
  const free = Math.max(n / 10, n - (unknowns * (1 + phi)) / (1 - phi));
  let [own, cross, earlier] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    own += c[i]! ** 2;
    cross += c[i]! * earlier;
    earlier = phi * (earlier + c[i]!);
  }
  // Where c sums to zero, all but nothing may be left.
  return Math.sqrt((square / free) * Math.max(0, own + 2 * cross));
}
