import type { Samples } from "./branch.ts";
import type { CurveFit, Estimate } from "./curve-fit.ts";
import { dmt, type AdhesiveFit } from "./dmt.ts";
import { jkr, jkrTwoPoint } from "./jkr.ts";
import { FITTED, NO_ADHESION, NO_CONTACT, type Demands } from "./validity.ts";

export const ADHESIVE_MODELS = ["dmt", "jkr-two-point", "jkr"] as const;
export type AdhesiveModel = (typeof ADHESIVE_MODELS)[number];

const THEORY = { dmt, "jkr-two-point": jkrTwoPoint, jkr } as const;
/** Contact with adhesion, on the retract (dmt.ts, jkr.ts). */
export class AdhesiveCurveFit implements CurveFit {
  readonly #model: AdhesiveModel;
  readonly #tipRadius_m: number;
  readonly #demands: Demands;
  #samples: Samples | undefined;
  #adhesion_N = 0;
  readonly estimate: Estimate = {
    reducedModulus_Pa: NaN, reducedModulus_se_Pa: NaN, contact_m: NaN, contact_se_m: NaN, baseline_N: NaN, baseline_se_N: NaN,
    slope_N_per_m: NaN, slope_se_N_per_m: NaN, covarianceModulusContact_Pa_m: NaN, covarianceModulusBaseline_Pa_N: NaN,
    chiSquare_N2: NaN, perSensitivity: NaN, perRadius: -0.5, perAngle: 0, perThickness: 0, deepest_m: NaN, deepestForce_N: NaN,
  }; // prettier-ignore

  constructor(model: AdhesiveModel, tipRadius_m: number, demands: Demands) {
    this.#model = model;
    this.#tipRadius_m = tipRadius_m;
    this.#demands = demands;
  }

  fit(samples: Samples, k_N_per_m: number): number {
    const { tip_m: x, force_N: f, length: n } = samples;
    const theory = THEORY[this.#model];
    const options = { springConstant_N_per_m: k_N_per_m, tipRadius_m: this.#tipRadius_m };
    const found: AdhesiveFit = theory(samples, options);
    const { adhesion_N, adhesion_se_N, baseline_N, contact_m, noise_N } = found;
    let most = -Infinity;
    let least_m = Infinity;
    for (let i = 0; i < n; i++) {
      if (f[i]! > most) most = f[i]!;
      if (x[i]! < least_m) least_m = x[i]!;
    }
    const load = most - baseline_N + adhesion_N;
    if (this.#model !== "dmt" && !(adhesion_N > 4 * adhesion_se_N)) return NO_ADHESION;
    // The largest and the least of some hundred samples of noise lie about 6 of its standard deviations apart.
    if (!(found.reducedModulus_Pa > 0) || !(load > 2 * this.#demands.min_significance * noise_N)) return NO_CONTACT; // prettier-ignore

    this.#samples = samples;
    this.#adhesion_N = adhesion_N;
    const e = this.estimate;
    e.reducedModulus_Pa = found.reducedModulus_Pa;
    e.reducedModulus_se_Pa = found.reducedModulus_se_Pa;
    e.contact_m = contact_m;
    e.contact_se_m = found.contact_se_m;
    e.baseline_N = baseline_N;
    e.baseline_se_N = found.baseline_se_N;
    e.chiSquare_N2 = this.#model === "jkr-two-point" ? NaN : noise_N ** 2 * (found.samples - 2);
    e.perSensitivity = this.#perSensitivity(most - baseline_N, adhesion_N, k_N_per_m);
    e.deepest_m = contact_m - least_m;
    e.deepestForce_N = most - baseline_N;
    return FITTED;
  }

  /**
   * All three theories find a force over an indentation to the power 1.5, both between two loads. A relative error ε of
   * the sensitivity changes the force by ε of it, and the indentation by ε of what the lever bent meanwhile. Good to
   * some percent: the loads stand for all samples of the fit.
   */
  #perSensitivity(most_N: number, adhesion_N: number, k_N_per_m: number): number {
    const loads = {
      dmt: [0.3 * (most_N + adhesion_N) - adhesion_N, 0.9 * (most_N + adhesion_N) - adhesion_N],
      "jkr-two-point": [-adhesion_N, 0],
      jkr: [most_N / 3, most_N], // where most of the weight is; to 2 % by trial, for loads of 2 to 10 times the adhesion
    } as const;
    const [from_N, to_N] = loads[this.#model];
    return 1 + (1.5 * (to_N - from_N)) / (k_N_per_m * (this.#depthAt(to_N) - this.#depthAt(from_N)));
  }

  /** Indentation at which the tip bears this force. */
  #depthAt(force_N: number): number {
    const E = this.estimate.reducedModulus_Pa;
    const P = this.#adhesion_N;
    const R = this.#tipRadius_m;
    if (this.#model === "dmt") return ((0.75 * (force_N + P)) / (E * Math.sqrt(R))) ** (2 / 3);
    const A = ((1 + Math.sqrt(1 + force_N / P)) / 2) ** (2 / 3); // jkr.ts
    return ((3 * P) / (Math.sqrt(R) * E)) ** (2 / 3) * (A * A - (2 / 3) * Math.sqrt(A));
  }

  baselineAt(): number {
    return this.estimate.baseline_N;
  }

  forceAt(i: number): number {
    const { contact_m, reducedModulus_Pa: E } = this.estimate;
    const d = contact_m - this.#samples!.tip_m[i]!;
    const P = this.#adhesion_N;
    const R = this.#tipRadius_m;
    if (this.#model === "dmt") return d > 0 ? (4 / 3) * E * Math.sqrt(R * d) * d - P : 0;
    const D = ((3 * P) / (Math.sqrt(R) * E)) ** (2 / 3);
    const A = radiusAt(d / D);
    return A > 0 ? 4 * P * (A ** 3 - A ** 1.5) : 0;
  }
}

/** The A with A² - 2/3 √A = depth (jkr.ts), on the branch from pull-off inwards; 0 beyond it. */
function radiusAt(depth: number): number {
  const pullOff = 0.5 ** (2 / 3);
  if (!(depth > pullOff * pullOff - (2 / 3) * Math.sqrt(pullOff))) return 0;
  let A = Math.sqrt(Math.max(depth, 0)) + 1; // above the root, where it rises and is convex
  for (let round = 0; round < 50; round++) {
    const step = (A * A - (2 / 3) * Math.sqrt(A) - depth) / (2 * A - 1 / (3 * Math.sqrt(A)));
    A -= step;
    if (!(step > 1e-12 * A)) break;
  }
  return A;
}
