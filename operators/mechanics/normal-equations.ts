/**
 * Up to four unknowns by Cholesky, scaled to a diagonal of 1, so that unknowns may be of any magnitude. A symmetric
 * matrix is its upper half by rows of four: 00 01 02 03 11 12 13 22 23 33.
 */
export class NormalEquations {
  readonly #L = new Float64Array(16);
  readonly #scale = new Float64Array(4);
  #size = 0;

  /** False where the matrix is singular. */
  factor(upper: Float64Array, size: number): boolean {
    const L = this.#L;
    const scale = this.#scale;
    this.#size = size;
    for (let i = 0; i < size; i++) scale[i] = 1 / Math.sqrt(upper[place(i, i)]!);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = upper[place(j, i)]! * scale[i]! * scale[j]!;
        for (let m = 0; m < j; m++) sum -= L[4 * i + m]! * L[4 * j + m]!;
        if (i > j) L[4 * i + j] = sum / L[4 * j + j]!;
        else if (sum > 1e-14) L[4 * i + i] = Math.sqrt(sum);
        else return false;
      }
    }
    return true;
  }

  /** `x` may be `right`; unknowns beyond the size come out 0. */
  solve(right: Float64Array, x: Float64Array): void {
    const L = this.#L;
    const n = this.#size;
    for (let i = 0; i < n; i++) {
      let sum = right[i]! * this.#scale[i]!;
      for (let m = 0; m < i; m++) sum -= L[4 * i + m]! * x[m]!;
      x[i] = sum / L[4 * i + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[i]!;
      for (let m = i + 1; m < n; m++) sum -= L[4 * m + i]! * x[m]!;
      x[i] = sum / L[4 * i + i]!;
    }
    for (let i = 0; i < n; i++) x[i]! *= this.#scale[i]!;
    x.fill(0, n);
  }
}

/** uᵀ M v */
export function product(upper: Float64Array, u: Float64Array, v: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < 4; i++)
    for (let j = 0; j < 4; j++) sum += upper[i < j ? place(i, j) : place(j, i)]! * u[i]! * v[j]!;
  return sum;
}

/** Where row i, column j ≥ i stands. */
const place = (i: number, j: number): number => (i === 0 ? j : i === 1 ? 3 + j : i === 2 ? 5 + j : 9);
