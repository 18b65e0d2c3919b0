import { notFitted, type AdhesiveFit, type AdhesiveOptions } from "./dmt.ts";
import { farBaseline, leastForce, type Baseline, type Branch, type LeastForce } from "./loop.ts";
import { inverseOf4 } from "../symmetric-inverse.ts";

export { jkrTwoPoint } from "./jkr-two-point.ts";

/**
 * Reduced modulus and work of adhesion from the retract branch after Johnson, Kendall and Roberts.
 *
 *     F = 4 E* a³/(3 R) - √(8π W E* a³),   δ = a²/R - √(2π W a/E*),   F_adh = 1.5 π W R
 *
 *     a  contact radius  [m]   R  radius of the tip's apex  [m]   W  work of adhesion  [J/m2]   δ = c - x, x = z + F/k
 *
 * In units of the pull-off force P = F_adh and of D = a₀²/R, a₀ being the contact radius at no load, A = a/a₀:
 *
 *     F = 4 P (A³ - A^1.5),   δ = D (A² - 2/3 A^0.5),   E* = 3 P/(√R D^1.5),   W = P/(1.5 π R)
 *
 * By least squares over the stable branch, from just above pull-off (A = 0.63) to the deepest. As in height-fit.ts the
 * lever's bending is solved for, sample by sample, at a piezo height that has no noise: unbiased however stiff the
 * contact is. Parameters are ln P, ln D, contact point and baseline, which the far end holds too; Gauss and Newton
 * with damping (Levenberg and Marquardt); standard errors from σ² (JᵀJ)⁻¹, σ² from the residuals. On a hundred
 * samples those of W and of the contact come out a tenth too large.
 *
 * Holds for a paraboloid, a Tabor parameter above 5, and the branch that stays in contact.
 *
 * Reference: Johnson, Kendall & Roberts, Proc. R. Soc. Lond. A 324, 301 (1971); Carpick, Ogletree &
 * Salmeron, J. Colloid Interface Sci. 211, 395 (1999).
 */
export function jkr({ height_m: z, force_N: f, length: n }: Branch, options: AdhesiveOptions): AdhesiveFit {
  const branch = { height_m: z, force_N: f, length: n };
  const { springConstant_N_per_m: k, tipRadius_m: R } = options;
  const far = farBaseline(f, n);
  const least = leastForce(f, n, far);
  const none = notFitted(far, least);
  let model = firstGuess(branch, k, far, least);
  if (!model) return none;
  // From a tenth above pull-off: below, the minimum is too near to tell its sides. First by the force, above its
  // noise; then by the height at which the first fit has it, which no sample's own noise can move.
  const above = least.force_N + Math.max(0.1 * least.depth_N, 2 * far.noise_N);
  const lowest = Math.ceil(least.at);
  let first = lowest;
  while (first < n && !(f[first]! > above)) first++;
  const sums = new NormalSums();
  let chi = NaN;
  for (const round of [0, 1]) {
    if (round === 1) {
      const begin_m: number = model.contact_m - reachAt(radiusAt(-0.9), model, k);
      for (first = n; first > lowest && z[first - 1]! < begin_m;) first--;
    }
    if (n - first < LEAST_SAMPLES) return none;
    chi = improve(branch, first, far, k, model, sums);
  }
  const count = n - first;
  const inverse = sums.inverse();
  if (!inverse || !(model.D > 0)) return none;

  const variance = chi / (count + far.samples - 4);
  const at = (i: number, j: number): number => variance * inverse[4 * i + j]!;
  const modulus = (3 * model.P) / (Math.sqrt(R) * model.D ** 1.5);
  const work = model.P / (1.5 * Math.PI * R);
  const logP_se = Math.sqrt(at(0, 0));
  return {
    reducedModulus_Pa: modulus,
    reducedModulus_se_Pa: modulus * Math.sqrt(at(0, 0) - 3 * at(0, 1) + 2.25 * at(1, 1)), // ln P - 1.5 ln D
    adhesion_N: model.P,
    adhesion_se_N: model.P * logP_se,
    workOfAdhesion_J_per_m2: work,
    workOfAdhesion_se_J_per_m2: work * logP_se,
    contact_m: model.contact_m + model.baseline_N / k,
    contact_se_m: Math.sqrt(at(2, 2) + (2 * at(2, 3)) / k + at(3, 3) / (k * k)),
    baseline_N: model.baseline_N,
    baseline_se_N: Math.sqrt(at(3, 3)),
    noise_N: Math.sqrt(variance),
    samples: count,
  };
}

/** Levenberg's and Marquardt's search; changes the model, leaves the normal equations there in `sums`. */
function improve(
  branch: Branch,
  first: number,
  far: Baseline,
  k: number,
  model: Model,
  sums: NormalSums,
): number {
  let chi = residuals(branch, first, far, k, model, sums);
  const tried = new NormalSums();
  for (let round = 0, damping = 1e-3; round < 60 && damping < 1e10; round++) {
    const step = sums.step(damping);
    if (!step) break;
    const next: Model = {
      P: model.P * Math.exp(limit(step[0]!)),
      D: model.D * Math.exp(limit(step[1]!)),
      contact_m: model.contact_m + step[2]!,
      baseline_N: model.baseline_N + step[3]!,
    };
    const after = residuals(branch, first, far, k, next, tried);
    if (!(after <= chi)) {
      damping *= 10;
      continue;
    }
    const done = chi - after <= 1e-10 * chi;
    Object.assign(model, next);
    sums.copy(tried);
    chi = after;
    damping = Math.max(1e-12, damping / 10);
    if (done) break;
  }
  return chi;
}

/** From the adhesion, the deepest sample, and where half of the adhesion is overcome. */
function firstGuess(
  { height_m: z, force_N: f, length: n }: Branch,
  k: number,
  far: Baseline,
  least: LeastForce,
): Model | undefined {
  const P = least.depth_N;
  if (!(P > 4 * least.depth_se_N)) return undefined; // nothing that pulls, nothing to tell
  let half = Math.ceil(least.at);
  while (half < n && !(f[half]! - far.mean_N > -0.5 * P)) half++;
  const deep = n - 1;
  if (half >= deep) return undefined;
  const [F1, F2] = [f[half]! - far.mean_N, f[deep]! - far.mean_N];
  const [A1, A2] = [radiusAt(F1 / P), radiusAt(F2 / P)];
  const D = (z[half]! - z[deep]! - (F2 - F1) / k) / (indentationAt(A2) - indentationAt(A1));
  if (!(D > 0)) return undefined;
  return { P, D, contact_m: z[deep]! + D * indentationAt(A2) + F2 / k, baseline_N: far.mean_N };
}

/** A at a force in units of the pull-off force: F/P = 4 (A³ - A^1.5). */
const radiusAt = (force: number): number => ((1 + Math.sqrt(Math.max(0, 1 + force))) / 2) ** (2 / 3);
/** δ/D */
const indentationAt = (A: number): number => A * A - (2 / 3) * Math.sqrt(A);
/** How far the piezo is beyond the height of contact. */
const reachAt = (A: number, { P, D }: Model, k: number): number =>
  D * indentationAt(A) + ((4 * P) / k) * (A ** 3 - A ** 1.5);

/**
 * Tabor's parameter: how far adhesion bends the sample over how far it reaches.
 *
 *     μ = (R W²/(E*² z₀³))^(1/3),   z₀ = 0.2 nm, the range of the attraction
 */
export function taborParameter(
  tipRadius_m: number,
  workOfAdhesion_J_per_m2: number,
  reducedModulus_Pa: number,
): number {
  return Math.cbrt(
    (tipRadius_m * workOfAdhesion_J_per_m2 ** 2) / (reducedModulus_Pa ** 2 * ATTRACTION_RANGE_m ** 3),
  );
}

const ATTRACTION_RANGE_m = 0.2e-9;

/** Which theory Tabor's parameter allows; between 0.1 and 5 neither: the truth lies between the two moduli. */
export function adhesionRegime(tabor: number): "dmt" | "between" | "jkr" | "unknown" {
  return tabor < 0.1 ? "dmt" : tabor > 5 ? "jkr" : Number.isFinite(tabor) ? "between" : "unknown";
}

const LEAST_SAMPLES = 8;
/** A at pull-off under load control: 4 (A³ - A^1.5) = -1. */
const A_PULL_OFF = 0.5 ** (2 / 3);
const limit = (step: number): number => Math.max(-1, Math.min(1, step));

interface Model {
  P: number;
  D: number;
  /** Piezo height at which δ + (F - b)/k = 0; the baseline bends the lever everywhere, and does not come in. */
  contact_m: number;
  baseline_N: number;
}

/** Σ residual² over the contact and the far end; in `sums` JᵀJ and Jᵀr over ln P, ln D, contact, baseline. */
function residuals(
  { height_m: z, force_N: f, length: n }: Branch,
  first: number,
  far: Baseline,
  k: number,
  { P, D, contact_m, baseline_N: b }: Model,
  sums: NormalSums,
): number {
  let chi = 0;
  sums.clear();
  for (let i = 0; i < far.samples; i++) {
    const r = f[i]! - b;
    chi += r * r;
    sums.add(0, 0, 0, 1, r);
  }
  let A = 4;
  for (let i = n - 1; i >= first; i--) {
    const reach = contact_m - z[i]!;
    A = contactRadius(reach, P, D, k, A);
    const root = Math.sqrt(A);
    const force = 4 * A * root * (A * root - 1);
    const depth = A * A - (2 / 3) * root;
    const forceSlope = A > A_PULL_OFF ? 12 * A * A - 6 * root : 0;
    const depthSlope = 2 * A - 1 / (3 * root);
    const r = f[i]! - b - P * force;
    // At a fixed height: dF = F_p dp + F_A dA, 0 = δ_p dp + δ_A dA + (F_p dp + F_A dA)/k
    const reachSlope = D * depthSlope + (P * forceSlope) / k;
    const perReach = (P * forceSlope) / reachSlope;
    const byP = P * force * (1 - perReach / k);
    const byD = -perReach * D * depth;
    chi += r * r;
    sums.add(byP, byD, perReach, 1, r);
  }
  return chi;
}

/** The A with D (A² - 2/3 √A) + 4 P/k (A³ - A^1.5) = reach, on the branch from pull-off inwards. */
function contactRadius(reach: number, P: number, D: number, k: number, guess: number): number {
  const of = (A: number): number => {
    const root = Math.sqrt(A);
    return D * (A * A - (2 / 3) * root) + ((4 * P) / k) * A * root * (A * root - 1);
  };
  if (!(reach > of(A_PULL_OFF))) return A_PULL_OFF;
  let A = Math.max(guess, A_PULL_OFF);
  while (of(A) < reach) A *= 2;
  // It rises and is convex there, so Newton from above comes down to the root.
  for (let i = 0; i < 60; i++) {
    const root = Math.sqrt(A);
    const slope = D * (2 * A - 1 / (3 * root)) + ((4 * P) / k) * (3 * A * A - 1.5 * root);
    const step = (of(A) - reach) / slope;
    A -= step;
    if (!(step > 1e-14 * A)) break;
  }
  return Math.max(A, A_PULL_OFF);
}

/** Normal equations of four parameters. */
class NormalSums {
  readonly #m = new Float64Array(16);
  readonly #v = new Float64Array(4);
  readonly #j = new Float64Array(4);

  add(j0: number, j1: number, j2: number, j3: number, r: number): void {
    const j = this.#j;
    j[0] = j0;
    j[1] = j1;
    j[2] = j2;
    j[3] = j3; // prettier-ignore
    for (let p = 0; p < 4; p++) {
      this.#v[p]! += j[p]! * r;
      for (let q = p; q < 4; q++) this.#m[4 * p + q]! += j[p]! * j[q]!;
    }
  }

  clear(): void {
    this.#m.fill(0);
    this.#v.fill(0);
  }

  copy(from: NormalSums): void {
    this.#m.set(from.#m);
    this.#v.set(from.#v);
  }

  /** (JᵀJ + damping diag JᵀJ)⁻¹ Jᵀr; undefined where it has no inverse. */
  step(damping: number): Float64Array | undefined {
    const inverse = this.inverse(damping);
    return inverse && Float64Array.from([0, 1, 2, 3], (p) => {
      let sum = 0;
      for (let q = 0; q < 4; q++) sum += inverse[4 * p + q]! * this.#v[q]!;
      return sum;
    }); // prettier-ignore
  }

  /** Row by row. */
  inverse(damping = 0): Float64Array | undefined {
    const whole = this.#m.map((value, i) => {
      const [row, col] = [i >> 2, i & 3];
      return row === col ? value * (1 + damping) : row < col ? value : this.#m[4 * col + row]!;
    });
    return inverseOf4(whole);
  }
}
