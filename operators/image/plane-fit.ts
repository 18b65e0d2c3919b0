/**
 * Least-squares planes and polynomials through the pixels of a frame.
 *
 *     P(r, c) = Σ a_ij p_i(u) p_j(v)          i ≤ order x, j ≤ order y, i + j ≤ the larger of the two
 *
 *     u = 2c / (cols - 1) - 1,  v = 2r / (rows - 1) - 1          -1 … 1 from the first column (row) to the last
 *     p_0 = 1,  p_1 = u,  p_k+1 = u p_k - b_k p_k-1,  b_k = k² (n² - k²) / ((4k² - 1) (n - 1)²)
 *
 * These polynomials of Gram are orthogonal on the grid: a_00 is the mean of P over the frame, and a_10 (a_01) its
 * slope along x (y) from the middle to the edge, whatever the order.
 *
 * Reference: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 22.17, for discrete Chebyshev polynomials.
 */
export interface Basis {
  readonly rows: number;
  readonly cols: number;
  /** Degrees along x and y of each coefficient: a_00 first, then a_10, a_01, and so on. */
  readonly terms: readonly (readonly [x: number, y: number])[];
  /** By degree, then column. */
  readonly alongX: readonly Float64Array[];
  /** By degree, then row. */
  readonly alongY: readonly Float64Array[];
}

/** Orders are lowered where a frame has fewer columns or rows than coefficients. */
export function basisOf(rows: number, cols: number, orderX: number, orderY: number): Basis {
  const [highX, highY] = [Math.min(orderX, cols - 1), Math.min(orderY, rows - 1)];
  const most = Math.max(highX, highY);
  const terms: [number, number][] = [];
  for (let degree = 0; degree <= most; degree++)
    for (let y = 0; y <= degree; y++) if (degree - y <= highX && y <= highY) terms.push([degree - y, y]);
  return { rows, cols, terms, alongX: gram(cols, highX), alongY: gram(rows, highY) };
}

function gram(n: number, order: number): Float64Array[] {
  const u = Float64Array.from({ length: n }, (_, i) => (n > 1 ? (2 * i) / (n - 1) - 1 : 0));
  const made = [new Float64Array(n).fill(1)];
  if (order > 0) made.push(u);
  for (let k = 1; k < order; k++) {
    const b = (k * k * (n * n - k * k)) / ((4 * k * k - 1) * (n - 1) ** 2);
    made.push(u.map((x, i) => x * made[k]![i]! - b * made[k - 1]![i]!));
  }
  return made;
}

export interface Fit {
  readonly coefficients: Float64Array;
  /** Inverse of the normal matrix, row by row. */
  readonly inverse: Float64Array;
  readonly pixels: number;
}

/** Through the finite pixels that are not masked (1 in `masked`); undefined where they do not fix all coefficients. */
export function fit(values: Float64Array, basis: Basis, masked?: Uint8Array): Fit | undefined {
  const { rows, cols, terms, alongX, alongY } = basis;
  const n = terms.length;
  const degrees = alongX.length;
  const normal = new Float64Array(n * n);
  const right = new Float64Array(n);
  const products = new Float64Array(degrees * degrees); // of one line, by degrees along x
  const sums = new Float64Array(degrees);
  let pixels = 0;
  for (let r = 0; r < rows; r++) {
    products.fill(0);
    sums.fill(0);
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      const z = values[i]!;
      if (z - z !== 0 || masked?.[i]) continue; // NaN or infinite
      pixels++;
      for (let a = 0; a < degrees; a++) {
        const x = alongX[a]![c]!;
        sums[a]! += x * z;
        for (let b = 0; b <= a; b++) products[a * degrees + b]! += x * alongX[b]![c]!;
      }
    }
    for (let s = 0; s < n; s++) {
      const [xs, ys] = terms[s]!;
      const y = alongY[ys]![r]!;
      right[s]! += y * sums[xs]!;
      for (let t = 0; t <= s; t++) {
        const [xt, yt] = terms[t]!;
        const product = products[Math.max(xs, xt) * degrees + Math.min(xs, xt)]!;
        normal[s * n + t]! += y * alongY[yt]![r]! * product;
      }
    }
  }
  const inverse = inverseOf(normal, n);
  if (!inverse) return undefined;
  const coefficients = new Float64Array(n);
  for (let s = 0; s < n; s++) for (let t = 0; t < n; t++) coefficients[s]! += inverse[s * n + t]! * right[t]!;
  return { coefficients, inverse, pixels };
}

/** Below this share of a column's length a coefficient is not fixed by the pixels there are. */
const LEAST_PIVOT = 1e-9;

/** Of a symmetric matrix given by its lower triangle, through Cholesky; undefined where it has none. */
export function inverseOf(matrix: Float64Array, n: number): Float64Array | undefined {
  const l = matrix.slice();
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = l[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i > j) l[i * n + j] = sum / l[j * n + j]!;
      else if (sum > LEAST_PIVOT * matrix[j * n + j]!) l[j * n + j] = Math.sqrt(sum);
      else return undefined;
    }
  }
  const inverse = new Float64Array(n * n);
  for (let column = 0; column < n; column++) {
    const x = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = i === column ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= l[i * n + k]! * x[k]!;
      x[i] = sum / l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[i]!;
      for (let k = i + 1; k < n; k++) sum -= l[k * n + i]! * x[k]!;
      x[i] = sum / l[i * n + i]!;
    }
    for (let i = 0; i < n; i++) inverse[i * n + column] = x[i]!;
  }
  return inverse;
}

/** Values of the polynomial along row r. */
export function evaluateRow(basis: Basis, coefficients: Float64Array, r: number, into: Float64Array): void {
  const { terms, alongX, alongY } = basis;
  into.fill(0);
  for (let s = 0; s < terms.length; s++) {
    const [x, y] = terms[s]!;
    const a = coefficients[s]! * alongY[y]![r]!;
    if (a === 0) continue;
    const along = alongX[x]!;
    for (let c = 0; c < into.length; c++) into[c]! += a * along[c]!;
  }
}
