import type { Samples } from "./branch.ts";
import type { Contact } from "./contact-fit.ts";
import type { ContactShape } from "./contact-shapes.ts";
import { NormalEquations, product } from "./normal-equations.ts";

/**
 * The same contact fitted where the noise really is: in the force, at a piezo height that has none; and the errors.
 *
 *     F(h) = b + s (h - h̄) + f,   f = E* g(δ),   δ + f/k = z - h       (contact-fit.ts for the symbols)
 *
 *     z  piezo height at which the contact begins [m]; the contact point, a tip position, is z + F(z)/k
 *
 * The tip position x = h + F/k that other programs fit over holds the noise of F itself. Where a contact is stiffer
 * than the lever (F' = dF/dδ > k) samples that happen to be high seem less deep, and the modulus comes out too low:
 * by several standard errors at a noise of a tenth of the indentation. Here the bending of the lever is solved for,
 * sample by sample, and the estimate stays unbiased. Minimum of Σ W² (F - F(h))², by Gauss-Newton from the fit over
 * the tip position, with
 *
 *     weights "equal"         W = 1            the least standard error that the noise allows
 *     weights "tip-position"  W = 1 + F'/k     the minimum of the fit over the tip position, less the bias of noise:
 *                                              a residual there is W times as large as one here
 *
 * The second pays with a standard error larger by 2 % at F' = 0.8 k, 6 % at 2 k, 10 % at 4 k, 17 % at 8 k. In return a
 * contact that is not quite as the model has it, as most are, gives about the modulus that other programs find: within
 * 3.5 % on 16 real curves of cells and gels, where equal weights differ by up to 23 %.
 *
 * Errors. With J = ∂F/∂(ln E*, z, b, s): C = σ² N⁻¹ (Jᵀ W⁴ J) N⁻¹, N = Jᵀ W² J, σ² = Σ (F - F(h))² / (n - p), for white
 * noise; the error of the contact point holds that of F(z)/k. A relative change ε of the deflection sensitivity changes
 * all forces by ε F at the same heights, and the fit by N⁻¹ Jᵀ W² F ε: so to first order exactly what a new fit would give.
 * Relative changes of a tip's radius, its angle and a layer's thickness q change f by E* g ∂ln g/∂q / w likewise.
 */
export interface ContactErrors {
  reducedModulus_se_Pa: number;
  contact_se_m: number;
  baseline_se_N: number;
  /** NaN without a slope. */
  slope_se_N_per_m: number;
  covarianceModulusContact_Pa_m: number;
  covarianceModulusBaseline_Pa_N: number;
  /** Standard deviation of one sample. */
  noise_N: number;
  /** Relative change of E* by a relative change of each; of the angle by its change [1/rad]. */
  perSensitivity: number;
  perRadius: number;
  perAngle: number;
  perThickness: number;
  /** Of the fitted contact, at its deepest. */
  deepest_m: number;
  deepestForce_N: number;
}

/** "tip-position": where the fit over it stands, for its errors. */
export type Weights = "tip-position" | "equal";

const MOST_ROUNDS = 40;
/** Of a standard error: what comes after it is smaller still. */
const SMALL_STEP = 1e-3;

export class HeightFit {
  readonly #shape: ContactShape;
  /** 1, 1.5 or 2 where the shape is a power; moduli here are per `#unit`. */
  readonly #power: number;
  readonly #unit: number;

  #h: Float64Array = new Float64Array(0);
  #f: Float64Array = new Float64Array(0);
  #n = 0;
  #k = NaN;
  #meanHeight = 0;
  #withSlope = false;
  /** √δ where the power is 1.5, else δ; 0 before contact. */
  #depth = new Float64Array(0);
  /** W². */
  #weight = new Float64Array(0);
  /** Jᵀ W² J, upper half by rows (ln E*, z, b, s), and Jᵀ W² r. */
  readonly #normal = new Float64Array(10);
  readonly #gradient = new Float64Array(4);
  readonly #spread = new Float64Array(10);
  readonly #causes = [new Float64Array(4), new Float64Array(4), new Float64Array(4), new Float64Array(4)] as const; // prettier-ignore
  readonly #rows = [new Float64Array(4), new Float64Array(4), new Float64Array(4), new Float64Array(4)] as const; // prettier-ignore
  readonly #solver = new NormalEquations();
  readonly #change = new Float64Array(4);
  #modulus = 0;
  #squares = 0;
  readonly #errors: ContactErrors = {
    reducedModulus_se_Pa: NaN, contact_se_m: NaN, baseline_se_N: NaN, slope_se_N_per_m: NaN,
    covarianceModulusContact_Pa_m: NaN, covarianceModulusBaseline_Pa_N: NaN, noise_N: NaN,
    perSensitivity: NaN, perRadius: NaN, perAngle: NaN, perThickness: NaN, deepest_m: NaN, deepestForce_N: NaN,
  }; // prettier-ignore

  constructor(shape: ContactShape) {
    this.#shape = shape;
    const { power } = shape;
    this.#power = power === 1 || power === 1.5 || power === 2 ? power : 0;
    this.#unit = this.#power === 0 ? 1 : shape.scale;
  }

  /**
   * Moves `fit` to the minimum over the height, where `refine` says so, and gives its errors, which are lent. `fit` is
   * of the same samples, with an E* above 0.
   */
  run(
    samples: Samples,
    k_N_per_m: number,
    fit: Contact,
    withSlope: boolean,
    weights: Weights,
    refine: boolean,
  ): ContactErrors {
    const n = samples.length;
    if (this.#depth.length < n) {
      this.#depth = new Float64Array(2 * n);
      this.#weight = new Float64Array(2 * n);
    }
    this.#h = samples.height_m;
    this.#f = samples.force_N;
    this.#n = n;
    this.#k = k_N_per_m;
    this.#meanHeight = fit.meanHeight_m;
    this.#withSlope = withSlope;

    let a = fit.reducedModulus_Pa * this.#unit;
    let b = fit.baseline_N;
    let s = withSlope ? fit.slope_N_per_m : 0;
    let z = (fit.contact_m * k_N_per_m - b + s * this.#meanHeight) / (k_N_per_m + s);
    for (let i = 0; i < n; i++) this.#depth[i] = 0;
    this.#weigh(a, z, weights);
    let chi = this.#sum(a, z, b, s);
    if (refine) {
      const size = withSlope ? 4 : 3;
      const step = this.#change;
      const G = this.#gradient;
      for (let round = 0; round < MOST_ROUNDS && this.#solver.factor(this.#normal, size); round++) {
        this.#solver.solve(G, step);
        const [da, dz, db, ds] = [step[0]!, step[1]!, step[2]!, step[3]!];
        // Gd² is the square of the step in standard errors, times σ².
        const last = dot(G, step) <= (SMALL_STEP ** 2 * chi) / n || Math.abs(da) < 1e-12;
        let share = 1;
        let here = Infinity;
        let [nextA, nextZ, nextB, nextS] = [a, z, b, s];
        for (; share > 1e-5; share /= 4) {
          // The modulus steps by its logarithm: it is positive and may be wrong by orders of magnitude at first.
          nextA = a * Math.exp(Math.max(-1, Math.min(1, share * da)));
          nextZ = z + share * dz;
          nextB = b + share * db;
          nextS = s + share * ds;
          here = last ? chi - dot(G, step) : this.#sum(nextA, nextZ, nextB, nextS);
          if (here <= chi) break;
        }
        if (!(here <= chi)) {
          this.#sum(a, z, b, s);
          break;
        }
        [a, z, b, s, chi] = [nextA, nextZ, nextB, nextS, here];
        if (last) break;
      }
      fit.chiSquare_N2 = chi;
      fit.reducedModulus_Pa = a / this.#unit;
      fit.baseline_N = b;
      if (withSlope) fit.slope_N_per_m = s;
      fit.contact_m = z + (b + s * (z - this.#meanHeight)) / k_N_per_m;
    }
    return this.#describe(a, z, b, s);
  }

  /** Force of the model above its baseline, at sample i of the curve that was fitted last. */
  forceAt(i: number): number {
    return this.#depth[i]! > 0 ? this.#force(i, this.#modulus) : 0;
  }

  /** Weights for the contact as it stands. */
  #weigh(a: number, z: number, weights: Weights): void {
    const weight = this.#weight;
    for (let i = 0; i < this.#n; i++) {
      const reach = z - this.#h[i]!;
      if (!(reach > 0) || weights === "equal") {
        weight[i] = 1;
        continue;
      }
      this.#sink(i, reach, a);
      weight[i] = (1 + this.#stiffness(i, a) / this.#k) ** 2;
    }
  }

  /** Solves δ + f/k = reach, into `#depth`: Newton, on a convex side from the second step on. */
  #sink(i: number, reach: number, a: number): number {
    const q = a / this.#k;
    const power = this.#power;
    if (power === 1.5) {
      const most = Math.sqrt(reach);
      let u = this.#depth[i]!;
      if (!(u > 0 && u < most)) u = q * most > 1 ? Math.cbrt(reach / q) : most;
      for (let round = 0; round < 60; round++) {
        const change = (u * u * (1 + q * u) - reach) / (u * (2 + 3 * q * u));
        u -= change;
        if (Math.abs(change) <= 1e-9 * u) break; // the next would be its square
      }
      return (this.#depth[i] = u);
    }
    if (power === 2) return (this.#depth[i] = (2 * reach) / (1 + Math.sqrt(1 + 4 * q * reach)));
    if (power === 1) return (this.#depth[i] = reach / (1 + q));
    const shape = this.#shape;
    let d = this.#depth[i]!;
    if (!(d > 0 && d < reach)) d = reach / (1 + q * shape.dg(reach));
    for (let round = 0; round < 60; round++) {
      const change = (d + q * shape.g(d) - reach) / (1 + q * shape.dg(d));
      d = change < d ? d - change : d / 2;
      if (Math.abs(change) <= 1e-9 * d) break;
    }
    return (this.#depth[i] = d);
  }

  #stiffness(i: number, a: number): number {
    const d = this.#depth[i]!;
    const power = this.#power;
    return a * (power === 1.5 ? 1.5 * d : power === 2 ? 2 * d : power === 1 ? 1 : this.#shape.dg(d));
  }

  #force(i: number, a: number): number {
    const d = this.#depth[i]!;
    const power = this.#power;
    return a * (power === 1.5 ? d * d * d : power === 2 ? d * d : power === 1 ? d : this.#shape.g(d));
  }

  /** Σ W² r², and the normal equations. */
  #sum(a: number, z: number, b: number, s: number): number {
    const h = this.#h, force = this.#f, weight = this.#weight, n = this.#n; // prettier-ignore
    const perK = 1 / this.#k;
    const power = this.#power;
    let aa = 0, az = 0, ab = 0, as = 0, zz = 0, zb = 0, zs = 0, bb = 0, bs = 0, ss = 0; // prettier-ignore
    let ra = 0, rz = 0, rb = 0, rs = 0, chi = 0, squares = 0; // prettier-ignore
    for (let i = 0; i < n; i++) {
      const reach = z - h[i]!;
      const height = h[i]! - this.#meanHeight;
      let r = force[i]! - b - s * height;
      const W2 = weight[i]!;
      let Wr = W2 * r;
      if (reach > 0) {
        const d = this.#sink(i, reach, a);
        const f = power === 1.5 ? a * d * d * d : this.#force(i, a);
        const slope = power === 1.5 ? 1.5 * a * d : this.#stiffness(i, a);
        const w = 1 / (1 + slope * perK);
        r -= f;
        Wr = W2 * r;
        const ja = f * w;
        const jz = slope * w;
        const Wa = W2 * ja;
        const Wz = W2 * jz;
        aa += Wa * ja;
        az += Wa * jz;
        ab += Wa;
        as += Wa * height;
        zz += Wz * jz;
        zb += Wz;
        zs += Wz * height;
        ra += ja * Wr;
        rz += jz * Wr;
      } else this.#depth[i] = 0;
      bb += W2;
      bs += W2 * height;
      ss += W2 * height * height;
      rb += Wr;
      rs += Wr * height;
      chi += Wr * r;
      squares += r * r;
    }
    this.#normal.set([aa, az, ab, as, zz, zb, zs, bb, bs, ss]);
    this.#gradient.set([ra, rz, rb, rs]);
    this.#squares = squares;
    return chi;
  }

  #describe(a: number, z: number, b: number, s: number): ContactErrors {
    this.#modulus = a;
    const h = this.#h, force = this.#f, weight = this.#weight, n = this.#n; // prettier-ignore
    const errors = this.#errors;
    const perK = 1 / this.#k;
    const general = this.#power === 0;
    const S = this.#spread;
    const [sensitivity, radius, angle, thickness] = this.#causes;
    for (const cause of this.#causes) cause.fill(0);
    let aa = 0, az = 0, ab = 0, as = 0, zz = 0, zb = 0, zs = 0, bb = 0, bs = 0, ss = 0; // prettier-ignore
    let va = 0, vz = 0, vb = 0, vs = 0, deepest = 0, most = 0; // prettier-ignore
    for (let i = 0; i < n; i++) {
      const W2 = weight[i]!;
      const W4 = W2 * W2;
      const height = h[i]! - this.#meanHeight;
      const F = W2 * force[i]!;
      if (this.#depth[i]! > 0) {
        const f = this.#force(i, a);
        const slope = this.#stiffness(i, a);
        const w = 1 / (1 + slope * perK);
        if (f > most) {
          most = f;
          deepest = this.#depth[i]!;
        }
        const ja = f * w;
        const jz = slope * w;
        aa += W4 * ja * ja;
        az += W4 * ja * jz;
        ab += W4 * ja;
        as += W4 * ja * height;
        zz += W4 * jz * jz;
        zb += W4 * jz;
        zs += W4 * jz * height;
        va += F * ja;
        vz += F * jz;
        if (general) this.#blame(i, W2 * ja, ja, jz, height);
      }
      bb += W4;
      bs += W4 * height;
      ss += W4 * height * height;
      vb += F;
      vs += F * height;
    }
    S.set([aa, az, ab, as, zz, zb, zs, bb, bs, ss]);
    sensitivity.set([va, vz, vb, vs]);

    const size = this.#withSlope ? 4 : 3;
    const solver = this.#solver;
    const variance = this.#squares / Math.max(1, n - size);
    const E = a / this.#unit;
    errors.deepest_m = this.#power === 1.5 ? deepest * deepest : deepest;
    errors.deepestForce_N = most;
    errors.noise_N = Math.sqrt(variance);
    if (!solver.factor(this.#normal, size)) {
      errors.reducedModulus_se_Pa =
        errors.contact_se_m =
        errors.baseline_se_N =
        errors.slope_se_N_per_m =
          NaN;
      errors.covarianceModulusContact_Pa_m = errors.covarianceModulusBaseline_Pa_N = NaN;
      errors.perSensitivity = errors.perRadius = errors.perAngle = errors.perThickness = NaN;
      return errors;
    }
    // What each result is of (ln E*, z, b, s), through N⁻¹.
    const byModulus = this.#rowOf(this.#rows[0], 1, 0, 0, 0);
    const byContact = this.#rowOf(this.#rows[1], 0, 1 + s * perK, perK, (z - this.#meanHeight) * perK);
    const byBaseline = this.#rowOf(this.#rows[2], 0, 0, 1, 0);
    const bySlope = this.#rowOf(this.#rows[3], 0, 0, 0, 1);
    errors.reducedModulus_se_Pa = E * Math.sqrt(variance * product(S, byModulus, byModulus));
    errors.contact_se_m = Math.sqrt(variance * product(S, byContact, byContact));
    errors.baseline_se_N = Math.sqrt(variance * product(S, byBaseline, byBaseline));
    errors.slope_se_N_per_m = this.#withSlope ? Math.sqrt(variance * product(S, bySlope, bySlope)) : NaN;
    errors.covarianceModulusContact_Pa_m = E * variance * product(S, byModulus, byContact);
    errors.covarianceModulusBaseline_Pa_N = E * variance * product(S, byModulus, byBaseline);
    errors.perSensitivity = dot(byModulus, sensitivity);
    errors.perRadius = general ? -dot(byModulus, radius) : -this.#shape.radiusSensitivity(errors.deepest_m);
    errors.perAngle = general ? -dot(byModulus, angle) : -this.#shape.angleSensitivity(errors.deepest_m);
    errors.perThickness = general ? -dot(byModulus, thickness) : 0;
    return errors;
  }

  /** N⁻¹ times a row of the Jacobian of a result. */
  #rowOf(into: Float64Array, byModulus: number, byZ: number, byB: number, byS: number): Float64Array {
    into[0] = byModulus;
    into[1] = byZ;
    into[2] = byB;
    into[3] = byS;
    this.#solver.solve(into, into);
    return into;
  }

  /** What errors of the tip and the layer would do to one sample. */
  #blame(i: number, Wa: number, ja: number, jz: number, height: number): void {
    const d = this.#depth[i]!;
    const [, radius, angle, thickness] = this.#causes;
    for (const [cause, by] of [
      [radius, this.#shape.radiusSensitivity(d)],
      [angle, this.#shape.angleSensitivity(d)],
      [thickness, this.#shape.thicknessSensitivity(d)],
    ] as const) {
      cause[0]! += Wa * by * ja;
      cause[1]! += Wa * by * jz;
      cause[2]! += Wa * by;
      cause[3]! += Wa * by * height;
    }
  }
}

const dot = (u: Float64Array, v: Float64Array): number =>
  u[0]! * v[0]! + u[1]! * v[1]! + u[2]! * v[2]! + u[3]! * v[3]!;
