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
  /** Of each axis Σ γ^k (e / dt)², e what a position was off by from where those before led, and Σ γ^k of these. */
  readonly astray: readonly number[];
  readonly forecasts: number;
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
    return { time, positions: 1, weights: [w, 0, 0], counts: [1, 1], axes: x.map(() => [0, 0, 0] as const), zero: x, astray: x.map(() => 0), forecasts: 0 };
  }
  const { weights: [w0, w1, w2], counts: [n1, n2], axes, zero } = even; // prettier-ignore
  const dt = Number(time - even.time) / 1e9;
  const fade = 1 - 1 / memory;
  const led = predicted(even, time);
  const forecast = dt > 0 && led.every(({ velocity }) => Number.isFinite(velocity));
  return {
    time,
    zero,
    astray: forecast ? even.astray.map((sum, i) => fade * sum + ((x[i]! - led[i]!.position) / dt) ** 2) : even.astray,
    forecasts: forecast ? fade * even.forecasts + 1 : even.forecasts,
    positions: even.positions + 1,
    weights: [fade * w0 + w, fade * (w1 - dt * w0), fade * (w2 - 2 * dt * w1 + dt * dt * w0)],
    counts: [fade * n1 + 1, fade * fade * n2 + 1],
    axes: axes.map(([x0, x1, xx], i) => {
      const apart = x[i]! - zero[i]!;
      return [fade * x0 + w * apart, fade * (x1 - dt * x0), fade * xx + w * apart * apart] as const;
    }),
  };
} // prettier-ignore

/**
 * Where it leads, with errors for what the drift may do meanwhile: it may go astray all the time as it did on average from
 * one position to the next. (The errors of `predicted` are those of a drift that is even: where it wanders or creeps, positions are off by 3
 * to 8 times as much; by these, two positions ahead or more, by 0.6 to 1.1 times.) Undefined where it is not settled.
 */
export function forecast(even: Even | undefined, at: bigint): Predicted[] | undefined {
  if (!even || !settled(even) || even.forecasts === 0) return undefined;
  const dt = Number(at - even.time) / 1e9;
  return predicted(even, at).map((axis, i) => {
    const astray = Math.sqrt(even.astray[i]! / even.forecasts);
    return { ...axis, position_se: Math.hypot(axis.position_se, astray * dt), velocity_se: Math.hypot(axis.velocity_se, astray) };
  });
} // prettier-ignore

/** Begun again at a position that was not measured against those before; what is known of the velocity goes on. */
export function restarted(even: Even | undefined, time: bigint, x: readonly number[], least_se: number): Even {
  const begun = following(undefined, time, x, 0, 1, least_se);
  const known = forecast(even, time);
  if (!even || !known) return begun;
  const [w] = begun.weights;
  const p = 1 / Math.max(...known.map(({ velocity_se }) => velocity_se)) ** 2;
  // The velocity counts as one more measurement, of v alone.
  const axes = known.map(({ velocity }) => [0, p * velocity, p * velocity * velocity] as const);
  return { ...begun, weights: [w, 0, p], axes, positions: even.positions, astray: even.astray, forecasts: even.forecasts };
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
