import {
  choice, code, curve, defineOperator, quantity, scalar, WiringError, type ConfigOf, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import { ContactFitter, type ContactFit } from "./contact-fit.ts";
import { indentationOf, refineAtHeight } from "./height-fit.ts";

/**
 * Young's modulus and contact point from force curves, by the Hertz family of contact models.
 *
 *     F = b + a δ^p,   δ = contact point - tip position > 0,   tip position = height + F/k
 *
 *     hertz-paraboloid  p = 1.5   a = 4/3 √R E*          R  radius of the tip at its apex   [m]
 *     hertz-cone        p = 2     a = 2/π tan(α) E*      α  angle between axis and flank    [rad]
 *     hertz-pyramid     p = 2     a = 1/√2 tan(α) E*     α  angle between axis and the middle of a face
 *
 *     1/E* = (1 - ν²)/E + (1 - ν_t²)/E_t
 *
 *     F    force                          [N]     E    Young's modulus of the sample  [Pa]
 *     b    baseline                       [N]     ν    its Poisson ratio
 *     k    spring constant                [N/m]   E_t  Young's modulus of the tip     [Pa], infinite if not given
 *     δ    indentation, into the sample   [m]     ν_t  its Poisson ratio
 *
 * The pyramid has four sides, in the form of Rico et al.; Bilodeau's own factor is 0.7453 in place of 1/√2, and of
 * his three-sided pyramid 0.8887: multiply the modulus by 1/√2 and divide by 0.8887 to have that. A larger angle is a
 * blunter tip, and needs more force for the same indentation.
 *
 * Fitted is the force over the tip position, as other programs do (contact-fit.ts). Where the contact is stiffer than
 * the lever this comes out too soft, and `residual: height` is the right choice (height-fit.ts).
 *
 * Holds for a homogeneous, elastic sample without adhesion, much thicker than the contact is wide, a baseline
 * without tilt, and for the paraboloid δ well below R. The standard errors are of the curve's own noise (white):
 * spring constant, sensitivity and tip radius are not in them.
 * A curve that cannot be fitted is a row with NaN, and `valid` says why.
 *
 * Reference: Hertz, J. reine angew. Math. 92, 156 (1882); Sneddon, Int. J. Eng. Sci. 3, 47 (1965);
 * Bilodeau, J. Appl. Mech. 59, 519 (1992); Rico et al., Phys. Rev. E 72, 021914 (2005), eq. 3.
 */
export function amplitudePerModulus(model: Model, tipRadius_m: number, halfAngle_rad: number): number {
  switch (model) {
    case "hertz-paraboloid":
      return (4 / 3) * Math.sqrt(tipRadius_m);
    case "hertz-cone":
      return (2 / Math.PI) * Math.tan(halfAngle_rad);
    case "hertz-pyramid":
      return Math.SQRT1_2 * Math.tan(halfAngle_rad);
  }
}

export const MODELS = ["hertz-paraboloid", "hertz-cone", "hertz-pyramid"] as const;
export type Model = (typeof MODELS)[number];
const POWER = { "hertz-paraboloid": 1.5, "hertz-cone": 2, "hertz-pyramid": 2 } as const;

const FITTED = 0, NO_CONTACT = 1, SHORT_BASELINE = 2, SATURATED = 3, FEW_SAMPLES = 4, MISSING = 5, SHORT_CONTACT = 6, STIFFER_THAN_TIP = 7; // prettier-ignore
const REASONS = {
  [FITTED]: "fitted",
  [NO_CONTACT]: "no contact that stands out of the noise",
  [SHORT_BASELINE]: "baseline too short: in contact from the start",
  [SATURATED]: "force saturated",
  [FEW_SAMPLES]: "too few samples in the segment",
  [MISSING]: "force, height or spring constant missing",
  [SHORT_CONTACT]: "too few samples in contact",
  [STIFFER_THAN_TIP]: "at least as stiff as the tip",
};
const APPROACH = 0, RETRACT = 1; // prettier-ignore
const LEAST_SAMPLES = 16;
const LEAST_IN_CONTACT = 5;
/** A detector at its end repeats one value; a rising force does not, and noise does so rarely. */
const SATURATED_RUN = 5;

const CONFIG = {
  model: choice(MODELS, "hertz-paraboloid", { doc: "shape of the tip" }),
  tip_radius: quantity("m", NaN, {
    min: 1e-10,
    doc: "of a paraboloid: radius of curvature at the apex, such as 10 nm",
  }),
  half_angle: quantity("deg", NaN, {
    min: 0.1,
    max: 89.9,
    doc: "of a cone: between its axis and its flank; of a pyramid: between its axis and the middle of a face. A larger angle is a blunter tip",
  }),
  poisson_ratio: quantity("1", 0.5, { min: -0.99, max: 0.5, doc: "of the sample; 0.5 is incompressible" }),
  tip_modulus: quantity("Pa", Infinity, {
    min: 1,
    doc: "Young's modulus of the tip, such as 165 GPa (silicon); matters above some GPa",
  }),
  tip_poisson_ratio: quantity("1", 0.27, { min: -0.99, max: 0.5, doc: "of the tip" }),
  residual: choice(["tip-position", "height"], "tip-position", {
    doc: "what the force is fitted over: `tip-position` as other programs do; `height` where the contact is stiffer than the lever, and slower",
  }),
  segment: choice(["approach", "retract"], "approach", { doc: "part of the curve that is fitted" }),
  max_force_fraction: quantity("1", 1, {
    min: 0.1,
    max: 1,
    doc: "fits the part below this share of the largest force above the baseline",
  }),
  min_baseline: quantity("1", 0.05, {
    min: 0,
    max: 0.9,
    doc: "share of the samples that must lie before contact",
  }),
  min_significance: quantity("1", 6, {
    min: 0,
    doc: "standard deviations by which the contact must stand out of the noise",
  }),
} as const;
type Config = ConfigOf<typeof CONFIG>;

/** The finite samples of one segment, from far to deep, ready to be fitted. */
class Approach {
  tip_m = new Float64Array(0);
  force_N = new Float64Array(0);
  length = 0;
  /** The segment has samples that are not finite, or there is no spring constant. */
  missing = 0;

  /** Where the segment has several stretches: of approaches the first, of retracts the last. */
  gather(
    height_m: Float64Array,
    force_N: Float64Array,
    segment: Uint8Array,
    k_N_per_m: number,
    wanted: number,
  ): void {
    let [from, to] = [0, 0];
    if (wanted === APPROACH) {
      from = segment.indexOf(wanted);
      to = from;
      while (from >= 0 && segment[to] === wanted) to++;
    } else {
      to = segment.lastIndexOf(wanted) + 1;
      from = to;
      while (from > 0 && segment[from - 1] === wanted) from--;
    }
    const size = Math.max(0, to - from);
    if (this.tip_m.length < size) {
      this.tip_m = new Float64Array(2 * size);
      this.force_N = new Float64Array(2 * size);
    }
    let n = 0;
    for (let i = 0; i < size; i++) {
      const at = wanted === APPROACH ? from + i : to - 1 - i;
      const x = height_m[at]! + force_N[at]! / k_N_per_m;
      if (!Number.isFinite(x)) continue;
      this.tip_m[n] = x;
      this.force_N[n++] = force_N[at]!;
    }
    this.length = n;
    this.missing = size - n;
  }

  /** Leaves out the deep end, where the force is above this share of its largest rise over the first tenth. */
  keepBelow(share: number): void {
    const { force_N: f, length: n } = this;
    if (share >= 1 || n < LEAST_SAMPLES) return;
    const far = Math.ceil(n / 10);
    let base = 0;
    for (let i = 0; i < far; i++) base += f[i]! / far;
    let most = -Infinity;
    for (let i = 0; i < n; i++) if (f[i]! > most) most = f[i]!;
    while (this.length > 0 && f[this.length - 1]! > base + share * (most - base)) this.length--;
  }

  saturated(): boolean {
    const { force_N: f, length: n } = this;
    let most = -Infinity;
    for (let i = 0; i < n; i++) if (f[i]! > most) most = f[i]!;
    let run = 0;
    for (let i = 0; i < n; i++) {
      run = f[i] === most ? run + 1 : 0;
      if (run === SATURATED_RUN) return true;
    }
    return false;
  }
}

function verdict(approach: Approach, fit: ContactFit, { min_baseline, min_significance }: Config): number {
  const n = approach.length;
  const explained = fit.chiSquareFlat_N2 - fit.chiSquare_N2;
  if (!(fit.amplitude > 0) || explained * (n - 3) < min_significance ** 2 * fit.chiSquare_N2)
    return NO_CONTACT;
  if (fit.samplesInContact < LEAST_IN_CONTACT) return SHORT_CONTACT;
  if (n - fit.samplesInContact < Math.max(3, min_baseline * n)) return SHORT_BASELINE;
  return FITTED;
}

export const modulus = defineOperator({
  name: "mechanics/modulus",
  doc: "Young's modulus and contact point of each force curve, by Hertz contact with a paraboloid, cone or four-sided pyramid.",
  input: {
    curves: {
      height: curve("m"), force: curve("N"), segment: curve("", { type: "u8" }),
      index: code(), x: scalar("m"), y: scalar("m"), spring_constant: scalar("N/m"),
    },
  }, // prettier-ignore
  output: ({ curves }, { model, tip_radius, half_angle }) => {
    const needed = model === "hertz-paraboloid" ? "tip_radius" : "half_angle";
    if (Number.isNaN(needed === "tip_radius" ? tip_radius : half_angle)) {
      throw new WiringError(`${needed} must be given for ${model}: ${CONFIG[needed].doc}`);
    }
    return {
      modulus: {
        modulus: scalar("Pa", { uncertainty: "modulus_se", long_name: "Young's modulus" }),
        modulus_se: scalar("Pa"),
        contact_point: scalar("m", {
          uncertainty: "contact_point_se",
          doc: "tip position at which the contact begins",
        }),
        contact_point_se: scalar("m"),
        baseline: scalar("N", { doc: "force far from the sample" }),
        max_indentation: scalar("m"),
        max_force: scalar("N", { doc: "largest force above the baseline" }),
        sensitivity_amplification: scalar("1", {
          doc: "relative error of the modulus per relative error of the deflection sensitivity, at the largest load: 1 + p F/(k δ). Much above 2, the lever is too soft for the sample",
        }),
        chi_square: scalar("N2", { doc: "sum of the squared residuals" }),
        samples: scalar("1", { doc: "samples that were fitted" }),
        valid: code({ codes: REASONS, doc: "0 where the curve was fitted, else why not" }),
        index: curves.index,
        x: curves.x,
        y: curves.y,
      },
      fits: {
        indentation: curve("m", { doc: "negative before contact" }),
        force: curve("N", { doc: "above the baseline" }),
        fit: curve("N"),
        modulus: scalar("Pa", { uncertainty: "modulus_se" }),
        modulus_se: scalar("Pa"),
      },
    };
  },
  metadata: ({ curves }, config) => {
    const all = { ...curves?.metadata, ...described(config) };
    return { modulus: all, fits: all };
  },
  provisional: ["fits"],
  config: CONFIG,
  key: "row",
  start(config) {
    const { model } = config;
    const power = POWER[model];
    const perModulus = amplitudePerModulus(model, config.tip_radius, (config.half_angle * Math.PI) / 180);
    const tipCompliance = (1 - config.tip_poisson_ratio ** 2) / config.tip_modulus;
    const plane = 1 - config.poisson_ratio ** 2;
    const wanted = config.segment === "approach" ? APPROACH : RETRACT;
    const overHeight = config.residual === "height";
    const approach = new Approach();
    const fitter = new ContactFitter();

    return {
      step({ curves }, out) {
        const n = curves.length;
        if (n === 0) return;
        const column = (): Float64Array => new Float64Array(n).fill(NaN);
        const rows = {
          modulus: column(), modulus_se: column(), contact_point: column(), contact_point_se: column(), baseline: column(),
          max_indentation: column(), max_force: column(), sensitivity_amplification: column(), chi_square: column(), samples: new Float64Array(n),
          valid: new Int32Array(n),
        }; // prettier-ignore
        const { height, force, segment } = curves;
        const most = force.offsets[n]! - force.offsets[0]!;
        const fits = {
          indentation: new Float64Array(most),
          force: new Float64Array(most),
          fit: new Float64Array(most),
        };
        const offsets = new Int32Array(n + 1);
        let fitted = 0;

        for (let i = 0; i < n; i++) {
          const [from, to] = [force.offsets[i]!, force.offsets[i + 1]!];
          const k = curves.spring_constant[i]!;
          approach.gather(
            height.values.subarray(height.offsets[i], height.offsets[i + 1]), force.values.subarray(from, to),
            segment.values.subarray(segment.offsets[i], segment.offsets[i + 1]), k, wanted,
          ); // prettier-ignore
          approach.keepBelow(config.max_force_fraction);
          rows.samples[i] = approach.length;
          if (approach.length < LEAST_SAMPLES) {
            rows.valid[i] = approach.missing > 0 ? MISSING : FEW_SAMPLES;
            continue;
          }
          if (approach.saturated()) {
            rows.valid[i] = SATURATED;
            continue;
          }
          const tip_m = approach.tip_m.subarray(0, approach.length);
          const force_N = approach.force_N.subarray(0, approach.length);
          const fit = fitter.fit(tip_m, force_N, power, k);
          rows.valid[i] = verdict(approach, fit, config);
          if (rows.valid[i] !== FITTED) continue;
          if (overHeight) refineAtHeight(tip_m, force_N, power, k, fit);

          const reduced = fit.amplitude / perModulus;
          const compliance = 1 / reduced - tipCompliance;
          if (!(compliance > 0)) {
            rows.valid[i] = STIFFER_THAN_TIP;
            continue;
          }
          const E = plane / compliance;
          // dE/dE* = E² / ((1 - ν²) E*²)
          const E_se = (fit.amplitude_se / perModulus) * (E / reduced) ** 2 / plane; // prettier-ignore
          const at = offsets[fitted]!;
          let deepest = -Infinity;
          let strongest = -Infinity;
          for (let j = 0; j < tip_m.length; j++) {
            const d = fit.contact_m - tip_m[j]!;
            const f = force_N[j]! - fit.baseline_N;
            if (d > deepest) deepest = d;
            if (f > strongest) strongest = f;
            fits.indentation[at + j] = d;
            fits.force[at + j] = f;
            const reach = d + f / k;
            const deep = overHeight && reach > 0 ? indentationOf(reach, fit.amplitude / k, power) : d;
            fits.fit[at + j] =
              deep > 0 ? fit.amplitude * (power === 2 ? deep * deep : deep * Math.sqrt(deep)) : 0;
          }
          rows.modulus[i] = E;
          rows.modulus_se[i] = E_se;
          rows.contact_point[i] = fit.contact_m;
          rows.contact_point_se[i] = fit.contact_se_m;
          rows.baseline[i] = fit.baseline_N;
          rows.max_indentation[i] = deepest;
          rows.max_force[i] = strongest;
          rows.sensitivity_amplification[i] = 1 + (power * strongest) / (k * deepest);
          rows.chi_square[i] = fit.chiSquare_N2;
          offsets[++fitted] = at + tip_m.length;
        }

        const { time, index, x, y } = curves;
        out.modulus.put({ time, ...rows, index: index.slice(), x: x.slice(), y: y.slice() });
        if (fitted === 0) return;
        const good = [...rows.valid.keys()].filter((i) => rows.valid[i] === FITTED);
        const lists = offsets.subarray(0, fitted + 1);
        const used = lists[fitted]!;
        out.fits.put({
          time: BigInt64Array.from(good, (i) => time[i]!),
          indentation: { values: fits.indentation.subarray(0, used), offsets: lists },
          force: { values: fits.force.subarray(0, used), offsets: lists },
          fit: { values: fits.fit.subarray(0, used), offsets: lists },
          modulus: Float64Array.from(good, (i) => rows.modulus[i]!),
          modulus_se: Float64Array.from(good, (i) => rows.modulus_se[i]!),
        });
      },
    };
  },
});

/** What a modulus was computed with, as metadata of its stream. */
function described(config: Config): Schema["metadata"] {
  const { model, tip_radius, half_angle, poisson_ratio, tip_modulus, residual, segment } = config;
  return {
    contact_model: model,
    ...(model === "hertz-paraboloid"
      ? { tip_radius: `${tip_radius} m` }
      : { half_angle: `${half_angle} deg` }),
    poisson_ratio: String(poisson_ratio),
    ...(tip_modulus < Infinity && { tip_modulus: `${tip_modulus} Pa` }),
    residual,
    segment,
  };
}
