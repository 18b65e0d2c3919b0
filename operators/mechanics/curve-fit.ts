import type { Samples } from "./branch.ts";
import { ContactSearch, type Contact } from "./contact-fit.ts";
import type { ContactShape } from "./contact-shapes.ts";
import { HeightFit, type ContactErrors } from "./height-fit.ts";
import { FITTED, verdict, type Demands } from "./validity.ts";

/** What a model says of one curve, with NaN for what it does not know. */
export interface Estimate extends Omit<Contact, "chiSquareFlat_N2" | "samplesInContact" | "meanHeight_m">, Omit<ContactErrors, "noise_N"> {} // prettier-ignore

/** A model of the contact, fitted to one curve after another. */
export interface CurveFit {
  readonly estimate: Estimate;
  /** Why there is none, of validity.ts; with FITTED `estimate` holds that of this curve, until the next. */
  fit(samples: Samples, k_N_per_m: number): number;
  /** Of the curve that was fitted last. */
  baselineAt(i: number): number;
  /** Force of the model above its baseline, where the piezo was at sample i. */
  forceAt(i: number): number;
}

export const RESIDUALS = ["weighted-height", "height", "tip-position"] as const;
export type Residual = (typeof RESIDUALS)[number];
export const BASELINES = ["constant", "slope", "auto"] as const;
export type BaselineShape = (typeof BASELINES)[number];

/** A baseline shorter than so many times the contact is fitted with its slope, where that is left to the curve. */
const LONG_BASELINE = 5;

/** Elastic contact on the approach: the search over tip positions, then the fit over heights. */
export class ElasticFit implements CurveFit {
  readonly #search: ContactSearch;
  readonly #fine: HeightFit;
  readonly #residual: Residual;
  readonly #baseline: BaselineShape;
  readonly #demands: Demands;
  #samples: Samples | undefined;
  #found: Contact | undefined;
  readonly estimate: Estimate = {
    reducedModulus_Pa: NaN, reducedModulus_se_Pa: NaN, contact_m: NaN, contact_se_m: NaN, baseline_N: NaN, baseline_se_N: NaN,
    slope_N_per_m: NaN, slope_se_N_per_m: NaN, covarianceModulusContact_Pa_m: NaN, covarianceModulusBaseline_Pa_N: NaN,
    chiSquare_N2: NaN, perSensitivity: NaN, perRadius: NaN, perAngle: NaN, perThickness: NaN, deepest_m: NaN, deepestForce_N: NaN,
  }; // prettier-ignore

  constructor(shape: ContactShape, residual: Residual, baseline: BaselineShape, demands: Demands) {
    this.#search = new ContactSearch(shape);
    this.#fine = new HeightFit(shape);
    this.#residual = residual;
    this.#baseline = baseline;
    this.#demands = demands;
  }

  fit(samples: Samples, k_N_per_m: number): number {
    let withSlope = this.#baseline === "slope";
    let found = this.#search.find(samples, withSlope);
    let valid = verdict(samples.length, found, this.#demands);
    if (this.#baseline === "auto" && valid === FITTED && isShort(samples, found)) {
      withSlope = true;
      found = this.#search.find(samples, true);
      valid = verdict(samples.length, found, this.#demands);
    }
    if (valid !== FITTED) return valid;
    const weights = this.#residual === "height" ? "equal" : "tip-position";
    const errors = this.#fine.run(samples, k_N_per_m, found, withSlope, weights, this.#residual !== "tip-position"); // prettier-ignore
    this.#samples = samples;
    this.#found = found;
    const e = this.estimate;
    e.reducedModulus_Pa = found.reducedModulus_Pa;
    e.reducedModulus_se_Pa = errors.reducedModulus_se_Pa;
    e.contact_m = found.contact_m;
    e.contact_se_m = errors.contact_se_m;
    e.baseline_N = found.baseline_N;
    e.baseline_se_N = errors.baseline_se_N;
    e.slope_N_per_m = withSlope ? found.slope_N_per_m : NaN;
    e.slope_se_N_per_m = errors.slope_se_N_per_m;
    e.covarianceModulusContact_Pa_m = errors.covarianceModulusContact_Pa_m;
    e.covarianceModulusBaseline_Pa_N = errors.covarianceModulusBaseline_Pa_N;
    e.chiSquare_N2 = found.chiSquare_N2;
    e.perSensitivity = errors.perSensitivity;
    e.perRadius = errors.perRadius;
    e.perAngle = errors.perAngle;
    e.perThickness = errors.perThickness;
    e.deepest_m = errors.deepest_m;
    e.deepestForce_N = errors.deepestForce_N;
    return FITTED;
  }

  baselineAt(i: number): number {
    const { baseline_N, slope_N_per_m, meanHeight_m } = this.#found!;
    return baseline_N + slope_N_per_m * (this.#samples!.height_m[i]! - meanHeight_m);
  }

  forceAt(i: number): number {
    return this.#fine.forceAt(i);
  }
}

function isShort({ height_m: h, tip_m: x, length: n }: Samples, { contact_m: c }: Contact): boolean {
  let first = 0;
  while (first < n && x[first]! >= c) first++;
  return h[0]! - h[first]! < LONG_BASELINE * (h[first]! - h[n - 1]!);
}
