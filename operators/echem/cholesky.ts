/** Lower half by rows of the chosen rows and columns of a symmetric p × p matrix; undefined where these are singular. */
export function cholesky(matrix: Float64Array, p: number, chosen: readonly number[]): number[][] | undefined {
  const L: number[][] = [];
  for (const [i, row] of chosen.entries()) {
    const line: number[] = [];
    for (let j = 0; j <= i; j++) {
      let sum = matrix[row * p + chosen[j]!]!;
      const other = j === i ? line : L[j]!;
      for (let m = 0; m < j; m++) sum -= line[m]! * other[m]!;
      // Of a matrix with a diagonal of 1; NaN fails too.
      if (j === i && !(sum > 1e-12)) return undefined;
      line.push(j === i ? Math.sqrt(sum) : sum / other[j]!);
    }
    L.push(line);
  }
  return L;
}

export function solve(L: readonly number[][], right: readonly number[]): number[] {
  const n = right.length;
  const x = right.slice();
  for (let i = 0; i < n; i++) {
    for (let m = 0; m < i; m++) x[i]! -= L[i]![m]! * x[m]!;
    x[i]! /= L[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let m = i + 1; m < n; m++) x[i]! -= L[m]![i]! * x[m]!;
    x[i]! /= L[i]![i]!;
  }
  return x;
}

/** (JᵀJ)⁻¹ by rows, of a matrix J given by its columns; undefined where it is singular. */
export function covarianceOf(columns: readonly Float64Array[]): Float64Array | undefined {
  const p = columns.length;
  const scale = columns.map((column) => 1 / Math.sqrt(product(column, column)));
  const gram = gramOf(columns).map((value, i) => value * scale[Math.floor(i / p)]! * scale[i % p]!);
  const L = cholesky(gram, p, [...columns.keys()]);
  if (!L) return undefined;
  const covariance = new Float64Array(p * p);
  for (let k = 0; k < p; k++) {
    const unit = Array<number>(p).fill(0);
    unit[k] = 1;
    for (const [j, value] of solve(L, unit).entries()) covariance[k * p + j] = value * scale[k]! * scale[j]!;
  }
  return covariance;
}

export function gramOf(columns: readonly Float64Array[]): Float64Array {
  const p = columns.length;
  const gram = new Float64Array(p * p);
  for (let k = 0; k < p; k++)
    for (let j = 0; j <= k; j++) gram[k * p + j] = gram[j * p + k] = product(columns[k]!, columns[j]!);
  return gram;
}

export function product(u: Float64Array, v: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < u.length; i++) sum += u[i]! * v[i]!;
  return sum;
}
