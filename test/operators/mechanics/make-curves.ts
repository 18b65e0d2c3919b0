/**
 * Force curves made from a known contact: the piezo goes down evenly, the lever bends until its force is the
 * contact's, and noise is added to the force alone, as in an instrument.
 */
export interface Truth {
  model: "hertz-paraboloid" | "sphere" | "hertz-cone" | "hertz-pyramid" | "pyramid-3" | "punch";
  modulus_Pa: number;
  k_N_per_m: number;
  tipRadius_m?: number;
  halfAngle_deg?: number;
  poisson?: number;
  samples?: number;
  maxForce_N: number;
  noise_N?: number;
  /** Share of the piezo's way that is in contact. */
  inContact?: number;
  baseline_N?: number;
}

export interface Curve {
  height: Float64Array;
  force: Float64Array;
  segment: Uint8Array;
}

/** A seeded source of normal numbers. */
export function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 0.5) / 4294967296;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** The contact point of every curve made here, as tip position less the baseline's bending. */
export const CONTACT_m = 3e-6;

/** Force at an indentation, written out for each tip, apart from the code under test. */
function contactForce(truth: Truth, indentation_m: number): number {
  const { model, modulus_Pa, tipRadius_m = NaN, halfAngle_deg = NaN, poisson = 0.5 } = truth;
  const reduced = modulus_Pa / (1 - poisson * poisson);
  const tan = Math.tan((halfAngle_deg / 180) * Math.PI);
  if (model === "hertz-paraboloid") return (4 * reduced * Math.sqrt(tipRadius_m * indentation_m ** 3)) / 3;
  if (model === "hertz-cone") return (2 * tan * reduced * indentation_m ** 2) / Math.PI;
  if (model === "pyramid-3") return 0.8887 * tan * reduced * indentation_m ** 2;
  if (model === "punch") return 2 * tipRadius_m * reduced * indentation_m;
  if (model === "sphere") {
    const R = tipRadius_m;
    const log = (a: number): number => Math.log((R + a) / (R - a));
    const a = solve((x) => (x / 2) * log(x), indentation_m, 0.999 * R);
    return reduced * (((R * R + a * a) / 2) * log(a) - a * R);
  }
  return (tan * reduced * indentation_m ** 2) / Math.sqrt(2);
}

/** Where an increasing function of [0, most] reaches a value. */
function solve(of: (x: number) => number, value: number, most: number): number {
  let [low, high] = [0, most];
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (of(middle) < value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

export function makeCurve(truth: Truth, normal: () => number = () => 0): Curve {
  const { k_N_per_m: k, maxForce_N, noise_N = 0, samples = 256, inContact = 0.3, baseline_N = 0 } = truth;
  const deepest = solve((d) => contactForce(truth, d), maxForce_N, 1e-4);
  const push = deepest + maxForce_N / k;
  const height = new Float64Array(samples);
  const force = new Float64Array(samples);
  for (let i = 0; i < samples; i++) {
    const reach = push - ((samples - 1 - i) / (samples - 1)) * (push / inContact);
    const d = reach <= 0 ? 0 : solve((x) => x + contactForce(truth, x) / k, reach, reach);
    height[i] = CONTACT_m - reach;
    force[i] = baseline_N + contactForce(truth, d) + noise_N * normal();
  }
  return { height, force, segment: new Uint8Array(samples) };
}

/** Curves as the columns of a stream, one a second. */
export function columnsOf(curves: readonly Curve[], k_N_per_m: number) {
  const list = <A extends Float64Array | Uint8Array>(name: keyof Curve, into: A) => {
    const offsets = Int32Array.of(
      0,
      ...curves.map((_, i) => curves.slice(0, i + 1).reduce((n, c) => n + c.force.length, 0)),
    );
    curves.forEach((c, i) => into.set(c[name], offsets[i]));
    return { values: into, offsets };
  };
  const total = curves.reduce((n, c) => n + c.force.length, 0);
  const n = curves.length;
  return {
    time: BigInt64Array.from({ length: n }, (_, i) => BigInt(i + 1) * 1_000_000_000n),
    height: list("height", new Float64Array(total)),
    force: list("force", new Float64Array(total)),
    segment: list("segment", new Uint8Array(total)),
    index: Int32Array.from({ length: n }, (_, i) => i),
    x: Float64Array.from({ length: n }, (_, i) => i * 1e-7),
    y: new Float64Array(n),
    spring_constant: new Float64Array(n).fill(k_N_per_m),
  };
}
