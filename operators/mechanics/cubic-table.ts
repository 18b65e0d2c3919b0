/** A smooth function from its values and slopes at even steps from 0: cubic between two of them. */
export class CubicTable {
  readonly #perUnit: number;
  /** Value, then rise of the tangent over one step, knot by knot. */
  readonly #knots: Float64Array;

  constructor(stepsPerUnit: number, values: ArrayLike<number>, slopes: ArrayLike<number>) {
    this.#perUnit = stepsPerUnit;
    this.#knots = new Float64Array(2 * values.length);
    for (let i = 0; i < values.length; i++) {
      this.#knots[2 * i] = values[i]!;
      this.#knots[2 * i + 1] = slopes[i]! / stepsPerUnit;
    }
  }

  /** Within 0 … the last knot. */
  value(x: number): number {
    const knots = this.#knots;
    const step = Math.floor(x * this.#perUnit);
    const t = x * this.#perUnit - step;
    const i = 2 * step;
    const s0 = knots[i + 1]!;
    const s1 = knots[i + 3]!;
    const rise = knots[i + 2]! - knots[i]!;
    return knots[i]! + t * (s0 + t * (3 * rise - 2 * s0 - s1 + t * (s0 + s1 - 2 * rise)));
  }

  slope(x: number): number {
    const knots = this.#knots;
    const step = Math.floor(x * this.#perUnit);
    const t = x * this.#perUnit - step;
    const i = 2 * step;
    const s0 = knots[i + 1]!;
    const s1 = knots[i + 3]!;
    const rise = knots[i + 2]! - knots[i]!;
    return this.#perUnit * (s0 + t * (2 * (3 * rise - 2 * s0 - s1) + 3 * t * (s0 + s1 - 2 * rise)));
  }
}

/** Slopes at even steps, by the parabola of fourth degree through five neighbours. */
export function slopesOf(values: Float64Array, stepsPerUnit: number): Float64Array {
  const n = values.length;
  return values.map((_, i) => {
    const first = Math.max(0, Math.min(n - 5, i - 2));
    let sum = 0;
    for (let j = 0; j < 5; j++) sum += STENCILS[i - first]![j]! * values[first + j]!;
    return (sum * stepsPerUnit) / 12;
  });
}

const STENCILS = [
  [-25, 48, -36, 16, -3],
  [-3, -10, 18, -6, 1],
  [1, -8, 0, 8, -1],
  [-1, 6, -18, 10, 3],
  [3, -16, 36, -48, 25],
];
