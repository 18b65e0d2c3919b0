/** Branches of force curves with adhesion, made by bisection, apart from the code under test; from far to deep. */
export interface Made {
  readonly height_m: Float64Array;
  readonly force_N: Float64Array;
  readonly length: number;
}

export interface AdhesiveTruth {
  readonly reducedModulus_Pa: number;
  /** Largest attraction. */
  readonly adhesion_N: number;
  readonly tipRadius_m: number;
  readonly k_N_per_m: number;
  readonly maxForce_N: number;
  readonly samples: number;
  /** Share of the piezo's way before the height at which δ = 0 without load. */
  readonly away?: number;
}

/** Where an increasing function of [low, high] reaches a value. */
export function solve(of: (x: number) => number, value: number, low: number, high: number): number {
  for (let k = 0; k < 100; k++) {
    const middle = (low + high) / 2;
    if (of(middle) < value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Piezo heights fall evenly; contact (tip at δ = 0 without load) is at height 0. */
function sampled(
  truth: AdhesiveTruth,
  deepest_m: number,
  snap_m: number,
  forceAt: (reach_m: number) => number,
): Made {
  const { samples, away = 0.5 } = truth;
  const way = deepest_m / (1 - away);
  const height_m = Float64Array.from(
    { length: samples },
    (_, i) => -(deepest_m - way * (1 - i / (samples - 1))),
  );
  return {
    height_m,
    force_N: height_m.map((z) => (-z < snap_m ? 0 : forceAt(-z))),
    length: samples,
  };
}

/** Retract after DMT: contact until the lever pulls with the whole adhesion; approach: contact from δ = 0 on. */
export function dmtBranches(truth: AdhesiveTruth): { approach: Made; retract: Made; dissipation_J: number } {
  const { reducedModulus_Pa, adhesion_N: P, tipRadius_m, k_N_per_m: k, maxForce_N } = truth;
  const scale = (4 / 3) * reducedModulus_Pa * Math.sqrt(tipRadius_m);
  const force = (d: number): number => scale * d ** 1.5 - P;
  const deepest = ((maxForce_N + P) / scale) ** (2 / 3);
  const forceAt = (reach: number): number => force(solve((d) => d + force(d) / k, reach, 0, 1.01 * deepest));
  // The loop: lifted along the contact from where it jumped in (δ at height 0) to δ = 0, at a load of -P.
  const jump = solve((d) => d + force(d) / k, 0, 0, 1.01 * deepest);
  const lost = P * jump - 0.4 * scale * jump ** 2.5;
  return {
    approach: sampled(truth, deepest + maxForce_N / k, 0, forceAt),
    retract: sampled(truth, deepest + maxForce_N / k, -P / k, forceAt),
    dissipation_J: lost + (P * P - force(jump) ** 2) / (2 * k),
  };
}

/** Retract after JKR, until the lever snaps off. */
export function jkrRetract(truth: AdhesiveTruth): Made {
  const { reducedModulus_Pa: E, adhesion_N: P, tipRadius_m: R, k_N_per_m: k, maxForce_N } = truth;
  const W = P / (1.5 * Math.PI * R);
  const force = (a: number): number => (4 * E * a ** 3) / (3 * R) - Math.sqrt(8 * Math.PI * W * E * a ** 3);
  const depth = (a: number): number => (a * a) / R - Math.sqrt((2 * Math.PI * W * a) / E);
  const reach = (a: number): number => depth(a) + force(a) / k;
  const unloaded = ((9 * Math.PI * W * R * R) / (2 * E)) ** (1 / 3);
  let [low, high] = [1e-3 * unloaded, unloaded]; // reach has one minimum: there the lever snaps
  for (let i = 0; i < 200; i++) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (reach(a) < reach(b)) high = b;
    else low = a;
  }
  const widest = solve(force, maxForce_N, unloaded, 100 * unloaded);
  return sampled(truth, reach(widest), reach(low), (z) => force(solve(reach, z, low, 1.01 * widest)));
}

export function withNoise(made: Made, noise_N: number, offset_N: number, normal: () => number): Made {
  return { ...made, force_N: made.force_N.map((f) => f + offset_N + noise_N * normal()) };
}
