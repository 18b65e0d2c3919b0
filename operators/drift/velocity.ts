/**
 * Position and velocity of what drifts evenly, from positions of which older ones count less: a Kalman filter of constant
 * velocity with fading memory, as weighted sums.
 *
 *     x(t) = x₀ + v t  →  min Σ_i γ^(n-i) (x_i - x(t_i))² / (se_i² + se_0²)        γ = 1 - 1 / memory
 *
 * Standard errors are those of the positions, or larger where the positions scatter by more. Of one position there is no
 * velocity. Reference: Sorenson & Sacks, Inform. Sci. 3, 101 (1971).
 */
export interface Even {
  /** ns; of the newest position. */
  readonly time: bigint;
  /** Σ w, Σ w t, Σ w t²; t in seconds since the newest position. */
  readonly weights: readonly [number, number, number];
  readonly positions: number;
  /** Σ γ^k and Σ γ^2k. */
  readonly counts: readonly [number, number];
  /** Of each axis Σ w x, Σ w t x, Σ w x². */
  readonly axes: readonly (readonly [number, number, number])[];
  /** What x is counted from, so that squares stay small. */
  readonly zero: readonly number[];
}

/** Whether it is of three positions at least, so that how they scatter is known too. */
export const settled = (even: Even): boolean => even.positions > 2;

export interface Predicted {
  readonly position: number;
  readonly position_se: number;
  readonly velocity: number;
  readonly velocity_se: number;
}

export function following(even: Even | undefined, time: bigint, x: readonly number[], se: number, memory: number, least_se: number): Even {
  const w = 1 / (se * se + least_se * least_se);
  if (!even) {
    return { time, positions: 1, weights: [w, 0, 0], counts: [1, 1], axes: x.map(() => [0, 0, 0] as const), zero: x };
  }
  const { weights: [w0, w1, w2], counts: [n1, n2], axes, zero } = even; // prettier-ignore
  const dt = Number(time - even.time) / 1e9;
  const fade = 1 - 1 / memory;
  return {
    time,
    zero,
    positions: even.positions + 1,
    weights: [fade * w0 + w, fade * (w1 - dt * w0), fade * (w2 - 2 * dt * w1 + dt * dt * w0)],
    counts: [fade * n1 + 1, fade * fade * n2 + 1],
    axes: axes.map(([x0, x1, xx], i) => {
      const apart = x[i]! - zero[i]!;
      return [fade * x0 + w * apart, fade * (x1 - dt * x0), fade * xx + w * apart * apart] as const;
    }),
  };
} // prettier-ignore

/** Of each axis, where it is at a time; NaN for a velocity that cannot be known yet. */
export function predicted({ time, weights: [w0, w1, w2], counts: [n1, n2], axes, zero }: Even, at: bigint): Predicted[] {
  const dt = Number(at - time) / 1e9;
  const det = w0 * w2 - w1 * w1;
  const known = det > 1e-9 * w0 * w2;
  const count = (n1 * n1) / n2;
  return axes.map(([x0, x1, xx], i) => {
    if (!known) return { position: zero[i]! + x0 / w0, position_se: 1 / Math.sqrt(w0), velocity: NaN, velocity_se: NaN };
    const velocity = (w0 * x1 - w1 * x0) / det;
    const now = (x0 - velocity * w1) / w0;
    const chi2 = xx - now * x0 - velocity * x1;
    const scatter = count > 2.5 ? Math.max(1, chi2 / (n1 * (1 - 2 / count))) : 1;
    const variance = (a: number, b: number): number => (a * a * w2 - 2 * a * b * w1 + b * b * w0) / det;
    const of = (a: number, b: number): number => Math.sqrt((variance(a, b) * scatter * n2) / n1);
    return { position: zero[i]! + now + velocity * dt, position_se: of(1, dt), velocity, velocity_se: of(0, 1) };
  });
} // prettier-ignore
