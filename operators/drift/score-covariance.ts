/**
 * Covariance of the sum of scores (residual × slope) over a picture, where scores near each other are not independent:
 *
 *     S = Σ_u (Σ_{x in window u} s(x)) (Σ_{x in window u} s(x))ᵀ / windows that a pixel is in
 *
 * over all windows of WINDOW × WINDOW blocks, a quarter of the frame wide: products of scores count by how much of
 * their windows they share (Bartlett's weights).
 *
 * Reference: Conley, J. Econometrics 92, 1 (1999), eq. 3.
 */
export interface ScoreBlocks {
  /** log2 of a block's side in pixels. */
  readonly bits: number;
  readonly across: number;
  readonly down: number;
  /** Sums by block, one array for each unknown. */
  readonly sums: readonly Float64Array[];
}

const WINDOW = 4;

export function scoreBlocks(height: number, width: number, unknowns: number): ScoreBlocks {
  const bits = Math.max(1, Math.min(4, Math.round(Math.log2(Math.min(height, width) / 14))));
  const across = ((width - 1) >> bits) + 1;
  const down = ((height - 1) >> bits) + 1;
  return {
    bits,
    across,
    down,
    sums: Array.from({ length: unknowns }, () => new Float64Array(across * down)),
  };
}

export function scoreCovariance({ across, down, sums }: ScoreBlocks): number[][] {
  const covariance = sums.map(() => sums.map(() => 0));
  for (let top = 1 - WINDOW; top < down; top++) {
    for (let left = 1 - WINDOW; left < across; left++) {
      const inWindow = sums.map((blocks) => {
        let sum = 0;
        for (let r = Math.max(0, top); r < Math.min(down, top + WINDOW); r++) {
          for (let c = Math.max(0, left); c < Math.min(across, left + WINDOW); c++) sum += blocks[r * across + c]!;
        }
        return sum;
      });
      for (let i = 0; i < sums.length; i++) {
        for (let k = 0; k < sums.length; k++) covariance[i]![k]! += (inWindow[i]! * inWindow[k]!) / WINDOW ** 2;
      }
    }
  }
  return covariance;
} // prettier-ignore

/** Inverse of a symmetric matrix of 2 × 2 or 3 × 3; undefined where it has none that means something. */
export function inverseOf(m: readonly (readonly number[])[]): number[][] | undefined {
  const [[a, b, c = 0], [, d, e = 0]] = m as [number[], number[]] as [[number, number, number?], [number, number, number?]];
  const f = m[2]?.[2] ?? 1;
  const [A, B, C] = [d * f - e * e, c * e - b * f, b * e - c * d];
  const det = a * A + b * B + c * C;
  if (!(a > 0 && d > 0 && f > 0 && det > 1e-6 * a * d * f)) return undefined;
  const inverse = [[A, B, C], [B, a * f - c * c, b * c - a * e], [C, b * c - a * e, a * d - b * b]]; // prettier-ignore
  return inverse.slice(0, m.length).map((row) => row.slice(0, m.length).map((x) => x / det));
} // prettier-ignore

/** A B A for symmetric A. */
export function sandwich(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[][] {
  const times = (x: readonly (readonly number[])[], y: readonly (readonly number[])[]): number[][] =>
    x.map((row) => row.map((_, k) => row.reduce((sum, value, i) => sum + value * y[i]![k]!, 0)));
  return times(times(a, b), a);
} // prettier-ignore
