import {
  choice, code, curve, defineOperator, flag, integer, quantity, scalar, WiringError, type ConfigOf, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import { ADHESIVE_MODELS, AdhesiveCurveFit } from "./adhesive-fit.ts";
import { APPROACH, RETRACT, SegmentSamples, type CurveLists } from "./branch.ts";
import { contactShape, TIP_MODELS, type ContactShape, type TipModel } from "./contact-shapes.ts";
import { BASELINES, ElasticFit, RESIDUALS, type CurveFit, type Estimate } from "./curve-fit.ts";
import { FitPoints } from "./fit-points.ts";
import { LAYER_THEORIES } from "./layers.ts";
import { loop } from "./loop.ts";
import { FEW_SAMPLES, FITTED, FLAGS, GAPS, LEAST_SAMPLES, MISSING, REASONS, SATURATED, SOFT_LEVER, STIFFER_THAN_TIP, SUBSTRATE, TOO_DEEP } from "./validity.ts"; // prettier-ignore

/**
 * Young's modulus, contact point and adhesion from force curves, one row a curve.
 *
 *     F = b + s (h - h̄) + E* g(δ),   δ = contact point - tip position > 0,   tip position = h + F/k
 *     1/E* = (1 - ν²)/E + (1 - ν_t²)/E_t
 *
 *     F    force                         [N]     E    Young's modulus of the sample        [Pa]
 *     h    piezo height                  [m]     ν    its Poisson ratio
 *     k    spring constant               [N/m]   E_t  Young's modulus of the tip           [Pa], infinite if not given
 *     b    baseline                      [N]     ν_t  its Poisson ratio
 *     s    its slope, where asked for    [N/m]   E*   reduced modulus                      [Pa]
 *     δ    indentation, into the sample  [m]     g    of the tip's shape (contact-shapes.ts) [m²]
 *
 * Elastic models fit the approach: the contact point at the lowest of all minima over the tip position
 * (contact-fit.ts), then, unless `residual: tip-position`, the force over the piezo height, where a stiff contact
 * comes out without bias (height-fit.ts). Models with adhesion fit the retract (dmt.ts, jkr.ts).
 * On a thin layer `modulus` is that of the layer (layers.ts), `apparent_modulus` what it would be without a substrate.
 *
 * `modulus_se` is of the curve's own noise (white). `modulus_scale_se` is of what all curves share, and no mean over
 * curves makes smaller:
 *
 *     scale_se/E = c √(κ² + (S ε)² + (∂ln(E*) / ∂ln R ρ)² + (∂ln(E*) / ∂α A)² + (∂ln(E*) / ∂ln t θ)²),   c = ∂ln(E) / ∂ln(E*)
 *
 *     κ, ε, ρ, θ  relative errors of k, of the deflection sensitivity, of the tip's radius R, of the layer's thickness t
 *     A           error of the half angle α     S  `sensitivity_amplification`, about 1 + 1.5 F/(k δ) for a paraboloid
 *
 * NaN unless every error that comes in is given: one not given is not zero. k's error is at a fixed sensitivity.
 * A lever that stands askew by θ meets the surface with the spring constant k/cos² θ (`tilt`).
 *
 * Holds for a homogeneous, elastic sample (or a layer of one) and a force that has come to rest at each sample.
 * A curve that cannot be fitted is a row with NaN, and `valid` says why; `flags` says what to beware of in one that was.
 *
 * Reference: Hertz, J. reine angew. Math. 92, 156 (1882); Sneddon, Int. J. Eng. Sci. 3, 47 (1965); tilt: Heim, Kappl &
 * Butt, Langmuir 20, 2760 (2004).
 */
export const MODELS = [...TIP_MODELS, ...ADHESIVE_MODELS] as const;
export type Model = (typeof MODELS)[number];

const isElastic = (model: Model): model is TipModel => (TIP_MODELS as readonly string[]).includes(model);
const hasRadius = (model: Model): boolean => !/cone|pyramid/.test(model);
/** Shapes that tips have near their apex only. */
const isParaboloid = (model: Model): boolean => model === "hertz-paraboloid" || !isElastic(model);

const CONFIG = {
  model: choice(MODELS, "hertz-paraboloid", {
    doc: "shape of the tip, or theory of adhesion for a paraboloid (dmt: stiff samples, small tips; jkr: soft, large)",
  }),
  tip_radius: quantity("m", NaN, {
    min: 1e-10,
    doc: "of a paraboloid: radius of curvature at the apex, such as 10 nm; also of a sphere, and of a flat punch",
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
  tilt: quantity("deg", 0, {
    min: 0,
    max: 45,
    doc: "of the lever against the surface, often 10 to 12 deg: the spring constant is divided by cos² of it. 0 where that has been done already",
  }),
  layer_thickness: quantity("m", NaN, {
    min: 1e-10,
    doc: "of a thin layer on a stiff substrate, such as 20 nm; without it the sample is taken to be thick",
  }),
  layer_bonded: flag(true, { doc: "the layer sticks to its substrate; else it slips on it" }),
  layer_theory: choice(LAYER_THEORIES, "integral", { doc: "how the substrate is allowed for" }),
  residual: choice(RESIDUALS, "weighted-height", {
    doc: "`weighted-height`: no bias where the contact is stiffer than the lever, and the weight of each sample is that which it has in other programs; `height`: least standard error; `tip-position`: as other programs do",
  }),
  baseline: choice(BASELINES, "constant", {
    doc: "`slope` fits its tilt too; `auto` does so where the baseline is shorter than 5 times the contact",
  }),
  segment: choice(["auto", "approach", "retract"], "auto", {
    doc: "part of the curve that is fitted; `auto`: the approach, with adhesion the retract",
  }),
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
  spring_constant_error: quantity("1", NaN, { min: 0, doc: "relative standard error of it, such as 0.1" }),
  sensitivity_error: quantity("1", NaN, { min: 0, doc: "relative standard error of the deflection sensitivity" }), // prettier-ignore
  tip_radius_error: quantity("1", NaN, { min: 0, doc: "relative standard error of it" }),
  half_angle_error: quantity("deg", NaN, { min: 0, doc: "standard error of it" }),
  layer_thickness_error: quantity("1", NaN, { min: 0, doc: "relative standard error of it" }),
  max_amplification: quantity("1", 10, {
    min: 1,
    doc: "sensitivity_amplification above which a curve is flagged: the lever is too soft for the sample",
  }),
  max_substrate_effect: quantity("1", 1, {
    min: 0,
    doc: "substrate_effect above which a curve is flagged",
  }),
  fit_points: integer(64, {
    min: 0,
    max: 4096,
    doc: "points of each curve and its fit that are kept for views; 0: none",
  }),
} as const;
type Config = ConfigOf<typeof CONFIG>;

export const modulus = defineOperator({
  name: "mechanics/modulus",
  doc: "Young's modulus, contact point and adhesion of each force curve, with their errors, by elastic contact with tips of six shapes, on thick samples or thin layers, or by DMT and JKR.",
  input: {
    curves: {
      height: curve("m"), force: curve("N"), segment: curve("", { type: "u8" }),
      index: code(), x: scalar("m"), y: scalar("m"), spring_constant: scalar("N/m"),
    },
  }, // prettier-ignore
  output: ({ curves }, config) => {
    check(config);
    return {
      modulus: {
        modulus: scalar("Pa", { uncertainty: "modulus_se", long_name: "Young's modulus" }),
        modulus_se: scalar("Pa", { doc: "of the noise of the curve" }),
        modulus_scale_se: scalar("Pa", {
          doc: "of the errors of spring constant, sensitivity, tip and layer, which all curves share; NaN unless all that come in are given",
        }),
        apparent_modulus: scalar("Pa", { doc: "of a thick sample with the same curve; NaN without a layer" }),
        contact_point: scalar("m", {
          uncertainty: "contact_point_se",
          doc: "tip position at which the contact begins",
        }),
        contact_point_se: scalar("m"),
        baseline: scalar("N", { uncertainty: "baseline_se", doc: "force far from the sample; where it is tilted, at the mean height" }), // prettier-ignore
        baseline_se: scalar("N"),
        slope: scalar("N/m", { uncertainty: "slope_se", doc: "of the baseline over the piezo height; NaN where not fitted" }), // prettier-ignore
        slope_se: scalar("N/m"),
        covariance_modulus_contact: scalar("Pa.m"),
        covariance_modulus_baseline: scalar("Pa.N"),
        adhesion: scalar("N", { uncertainty: "adhesion_se", doc: "largest pull on the retract; NaN without a retract" }), // prettier-ignore
        adhesion_se: scalar("N"),
        dissipation: scalar("J", { uncertainty: "dissipation_se", doc: "work that approach and retract have not given back" }), // prettier-ignore
        dissipation_se: scalar("J"),
        max_indentation: scalar("m", { doc: "of the fitted contact" }),
        max_force: scalar("N", { doc: "largest force above the baseline" }),
        sensitivity_amplification: scalar("1", {
          doc: "relative error of the modulus per relative error of the deflection sensitivity. Much above 2, the lever is too soft for the sample",
        }),
        substrate_effect: scalar("1", {
          doc: "χ: radius of the contact over the thickness of the layer, at the deepest; NaN without a layer",
        }),
        chi_square: scalar("N2", { doc: "sum of the squared residuals, as they were weighted" }),
        samples: scalar("1", { doc: "samples that were fitted" }),
        model: code({ codes: Object.fromEntries(MODELS.map((model, i) => [i, model])) }),
        valid: code({ codes: REASONS, doc: "0 where the curve was fitted, else why not" }),
        flags: code({ codes: FLAGS, doc: "what to beware of in a curve that was fitted" }),
        index: curves.index,
        x: curves.x,
        y: curves.y,
      },
      fits: {
        indentation: curve("m", { type: "f32", doc: "negative before contact" }),
        force: curve("N", { type: "f32", doc: "above the baseline" }),
        fit: curve("N", { type: "f32" }),
        modulus: scalar("Pa", { uncertainty: "modulus_se" }),
        modulus_se: scalar("Pa"),
        index: curves.index,
      },
    };
  },
  metadata: ({ curves }, config) => {
    const all = { ...curves?.metadata, ...described(config) };
    return { modulus: all, fits: all };
  },
  config: CONFIG,
  key: "row",
  start(config) {
    const { model } = config;
    const shape = isElastic(model) ? shapeOf(config, true) : undefined;
    const fit: CurveFit = isElastic(model)
      ? new ElasticFit(shape!, config.residual, config.baseline, config)
      : new AdhesiveCurveFit(model, config.tip_radius, config);
    const thick = hasLayer(config) ? new ElasticFit(shapeOf(config, false), config.residual, config.baseline, config) : undefined; // prettier-ignore
    const fitsRetract = segmentOf(config) === "retract";
    const forceScale = 1 / Math.cos((config.tilt * Math.PI) / 180) ** 2;
    const tipCompliance = (1 - config.tip_poisson_ratio ** 2) / config.tip_modulus;
    const plane = 1 - config.poisson_ratio ** 2;
    const deepest_m = Math.min(shape?.deepest_m ?? Infinity, isParaboloid(model) ? config.tip_radius : Infinity); // prettier-ignore
    const modelCode = MODELS.indexOf(model);

    const approach = new SegmentSamples();
    const retract = new SegmentSamples();
    const lists: CurveLists = { height_m: approach.height_m, force_N: approach.force_N, segment: new Uint8Array(0), heightAt: 0, forceAt: 0, segmentAt: 0, size: 0 }; // prettier-ignore

    /** NaN where the reduced modulus is at least that of the tip. */
    const young = (reduced: number): number => {
      const compliance = 1 / reduced - tipCompliance;
      return compliance > 0 ? plane / compliance : NaN;
    };

    return {
      step({ curves }, out) {
        const n = curves.length;
        if (n === 0) return;
        const column = (): Float64Array => new Float64Array(n).fill(NaN);
        const rows = {
          modulus: column(), modulus_se: column(), modulus_scale_se: column(), apparent_modulus: column(),
          contact_point: column(), contact_point_se: column(), baseline: column(), baseline_se: column(), slope: column(), slope_se: column(),
          covariance_modulus_contact: column(), covariance_modulus_baseline: column(),
          adhesion: column(), adhesion_se: column(), dissipation: column(), dissipation_se: column(),
          max_indentation: column(), max_force: column(), sensitivity_amplification: column(), substrate_effect: column(),
          chi_square: column(), samples: new Float64Array(n),
          model: new Int32Array(n).fill(modelCode), valid: new Int32Array(n), flags: new Int32Array(n),
        }; // prettier-ignore
        const points = config.fit_points > 0 ? new FitPoints(config.fit_points, n) : undefined;
        const { height, force, segment } = curves;
        lists.height_m = height.values;
        lists.force_N = force.values;
        lists.segment = segment.values;

        /** Why the curve has no modulus; else its row is filled in. */
        const take = (i: number): number => {
          const k = curves.spring_constant[i]! * forceScale;
          const size = segment.offsets[i + 1]! - segment.offsets[i]!;
          const whole = force.offsets[i + 1]! - force.offsets[i]! === size && height.offsets[i + 1]! - height.offsets[i]! === size; // prettier-ignore
          if (!(k > 0 && k < Infinity) || !whole) return MISSING;
          lists.heightAt = height.offsets[i]!;
          lists.forceAt = force.offsets[i]!;
          lists.segmentAt = segment.offsets[i]!;
          lists.size = size;
          approach.gather(lists, k, forceScale, APPROACH);
          retract.gather(lists, k, forceScale, RETRACT);
          const fitted = fitsRetract ? retract : approach;
          const whole_length = fitted.length;
          const length = fitted.lengthBelow(config.max_force_fraction);
          rows.samples[i] = length;
          if (length < LEAST_SAMPLES) return fitted.missing > 0 ? MISSING : FEW_SAMPLES;
          if (fitted.saturated()) return SATURATED;

          fitted.length = length;
          const valid = fit.fit(fitted, k);
          if (valid !== FITTED) return valid;
          const e = fit.estimate;
          const E = young(e.reducedModulus_Pa);
          if (Number.isNaN(E)) return STIFFER_THAN_TIP;

          const stretch = E / (plane * e.reducedModulus_Pa); // ∂ln E/∂ln E*
          const perReduced = (E / e.reducedModulus_Pa) * stretch;
          rows.modulus[i] = E;
          rows.modulus_se[i] = perReduced * e.reducedModulus_se_Pa;
          rows.modulus_scale_se[i] = E * stretch * scaleError(e, config);
          rows.contact_point[i] = e.contact_m;
          rows.contact_point_se[i] = e.contact_se_m;
          rows.baseline[i] = e.baseline_N;
          rows.baseline_se[i] = e.baseline_se_N;
          rows.slope[i] = e.slope_N_per_m;
          rows.slope_se[i] = e.slope_se_N_per_m;
          rows.covariance_modulus_contact[i] = perReduced * e.covarianceModulusContact_Pa_m;
          rows.covariance_modulus_baseline[i] = perReduced * e.covarianceModulusBaseline_Pa_N;
          rows.max_indentation[i] = e.deepest_m;
          rows.max_force[i] = largestForce(fitted, fit);
          rows.sensitivity_amplification[i] = stretch * e.perSensitivity;
          rows.chi_square[i] = e.chiSquare_N2;
          if (thick && shape) {
            rows.substrate_effect[i] = shape.substrateEffect(e.deepest_m);
            if (thick.fit(fitted, k) === FITTED) rows.apparent_modulus[i] = young(thick.estimate.reducedModulus_Pa); // prettier-ignore
          }
          rows.flags[i] =
            (rows.sensitivity_amplification[i]! > config.max_amplification ? SOFT_LEVER : 0) |
            (rows.substrate_effect[i]! > config.max_substrate_effect ? SUBSTRATE : 0) |
            (e.deepest_m > deepest_m ? TOO_DEEP : 0) |
            (fitted.missing > 0 ? GAPS : 0);
          points?.add(fitted, fit);

          fitted.length = whole_length;
          const { adhesion_N, adhesion_se_N, dissipation_J, dissipation_se_J } = loop(approach, retract);
          rows.adhesion[i] = adhesion_N;
          rows.adhesion_se[i] = adhesion_se_N;
          rows.dissipation[i] = dissipation_J;
          rows.dissipation_se[i] = dissipation_se_J;
          return FITTED;
        };
        for (let i = 0; i < n; i++) rows.valid[i] = take(i);

        const { time, index, x, y } = curves;
        out.modulus.put({ time, ...rows, index: index.slice(), x: x.slice(), y: y.slice() });
        if (!points) return;
        const good = Int32Array.from({ length: n }, (_, i) => i).filter((i) => rows.valid[i] === FITTED);
        if (good.length === 0) return;
        out.fits.put({
          ...points.columns(),
          time: good.length === n ? time : BigInt64Array.from(good, (i) => time[i]!),
          modulus: Float64Array.from(good, (i) => rows.modulus[i]!),
          modulus_se: Float64Array.from(good, (i) => rows.modulus_se[i]!),
          index: good.map((i) => index[i]!),
        });
      },
    };
  },
});

/** Throws where options do not go together, or one that is needed is not given. */
function check(config: Config): void {
  const { model } = config;
  const needed = hasRadius(model) ? "tip_radius" : "half_angle";
  if (Number.isNaN(config[needed])) throw new WiringError(`${needed} must be given for ${model}: ${CONFIG[needed].doc}`); // prettier-ignore
  if (isElastic(model)) return void shapeOf(config, true);
  if (hasLayer(config)) throw new WiringError(`layer_thickness: ${model} is for thick samples; take an elastic model, or leave it out`); // prettier-ignore
  if (config.segment === "approach") throw new WiringError(`segment: ${model} is fitted to the retract, where the tip sticks; leave segment out`); // prettier-ignore
}

const hasLayer = ({ layer_thickness }: Config): boolean => !Number.isNaN(layer_thickness);

function segmentOf({ segment, model }: Config): "approach" | "retract" {
  return segment === "auto" ? (isElastic(model) ? "approach" : "retract") : segment;
}

function shapeOf(config: Config, onLayer: boolean): ContactShape {
  const tip = {
    model: config.model as TipModel,
    radius_m: config.tip_radius,
    halfAngle_rad: (config.half_angle * Math.PI) / 180,
    poisson: config.poisson_ratio,
  };
  const layer = { thickness_m: config.layer_thickness, bonded: config.layer_bonded, theory: config.layer_theory }; // prettier-ignore
  try {
    return contactShape(tip, onLayer && hasLayer(config) ? layer : undefined);
  } catch (error) {
    if (error instanceof RangeError) throw new WiringError(`layer_theory: ${error.message}`);
    throw error;
  }
}

/** Relative error of the reduced modulus by what all curves share. */
function scaleError(estimate: Estimate, config: Config): number {
  const { model } = config;
  return Math.hypot(
    config.spring_constant_error,
    estimate.perSensitivity * config.sensitivity_error,
    hasRadius(model) ? estimate.perRadius * config.tip_radius_error : 0,
    hasRadius(model) ? 0 : (estimate.perAngle * config.half_angle_error * Math.PI) / 180,
    hasLayer(config) ? estimate.perThickness * config.layer_thickness_error : 0,
  );
}

function largestForce(samples: SegmentSamples, fit: CurveFit): number {
  let most = -Infinity;
  for (let i = 0; i < samples.length; i++) most = Math.max(most, samples.force_N[i]! - fit.baselineAt(i));
  return most;
}

/** What a modulus was computed with, as metadata of its stream. */
function described(config: Config): Schema["metadata"] {
  const { model, tip_modulus, tilt } = config;
  return {
    contact_model: model,
    ...(hasRadius(model) ? { tip_radius: `${config.tip_radius} m` } : { half_angle: `${config.half_angle} deg` }), // prettier-ignore
    poisson_ratio: String(config.poisson_ratio),
    ...(tip_modulus < Infinity && { tip_modulus: `${tip_modulus} Pa`, tip_poisson_ratio: String(config.tip_poisson_ratio) }), // prettier-ignore
    ...(tilt > 0 && { tilt: `${tilt} deg: spring constant divided by cos²` }),
    ...(hasLayer(config) && {
      layer: `${config.layer_thickness} m, ${config.layer_bonded ? "bonded" : "slipping"}, by ${config.layer_theory}`,
    }),
    ...(isElastic(model) && { residual: config.residual, baseline_shape: config.baseline }),
    segment: segmentOf(config),
  };
}
