import type { Random } from "./random.ts";

/**
 * Drift of one axis: a wandering that forgets, a steady creep, and a settling after the start.
 *
 *     x(t) = u(t) + v t + a (1 − e^(−t/τ_s)),   u(t+Δ) = u e^(−Δ/τ) + σ √(1 − e^(−2Δ/τ)) N(0, 1)
 */
export interface DriftSize {
  readonly velocity_per_s: number;
  readonly wander: number;
  readonly wanderTime_s: number;
  readonly settling: number;
  readonly settlingTime_s: number;
}

export class Drift {
  readonly #size: DriftSize;
  readonly #random: Random;
  #wander = 0;
  #time_s = 0;

  constructor(size: DriftSize, random: Random) {
    this.#size = size;
    this.#random = random;
  }

  step(step_s: number): void {
    const { wander, wanderTime_s } = this.#size;
    const keep = Math.exp(-step_s / wanderTime_s);
    this.#wander = this.#wander * keep + wander * Math.sqrt(1 - keep * keep) * this.#random.normal();
    this.#time_s += step_s;
  }

  get value(): number {
    const { velocity_per_s, settling, settlingTime_s } = this.#size;
    return (
      this.#wander + velocity_per_s * this.#time_s + settling * (1 - Math.exp(-this.#time_s / settlingTime_s))
    );
  }
}
