/**
 * Inverse of a symmetric, positive matrix of four by four, row by row; undefined where it is singular. Scaled to a
 * diagonal of 1 first, since unknowns differ by many powers of ten; then by Gauss and Jordan.
 */
export function inverseOf4(matrix: Float64Array): Float64Array | undefined {
  const scale = [0, 5, 10, 15].map((i) => 1 / Math.sqrt(matrix[i]!));
  const a = matrix.map((value, i) => value * scale[i >> 2]! * scale[i & 3]!);
  const inverse = Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));
  for (let p = 0; p < 4; p++) {
    const pivot = a[5 * p]!;
    if (!(pivot > 1e-14)) return undefined;
    for (let q = 0; q < 4; q++) {
      a[4 * p + q]! /= pivot;
      inverse[4 * p + q]! /= pivot;
    }
    for (let r = 0; r < 4; r++) {
      const share = a[4 * r + p]!;
      if (r === p) continue;
      for (let q = 0; q < 4; q++) {
        a[4 * r + q]! -= share * a[4 * p + q]!;
        inverse[4 * r + q]! -= share * inverse[4 * p + q]!;
      }
    }
  }
  return inverse.map((value, i) => value * scale[i >> 2]! * scale[i & 3]!);
}
