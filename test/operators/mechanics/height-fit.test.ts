import { describe, expect, test } from "vitest";
import type { Samples } from "../../../operators/mechanics/branch.ts";
import { ContactSearch, type Contact } from "../../../operators/mechanics/contact-fit.ts";
import { contactShape, type Tip } from "../../../operators/mechanics/contact-shapes.ts";
import { HeightFit, type Weights } from "../../../operators/mechanics/height-fit.ts";
import type { Layer } from "../../../operators/mechanics/layers.ts";
import { normalDraws } from "./draws.ts";
import { solve } from "./make-retract.ts";

const TIP: Tip = { model: "hertz-paraboloid", radius_m: 1e-8, halfAngle_rad: 0.4, poisson: 0.4 };
const LAYER: Layer = { thickness_m: 2e-8, bonded: true, theory: "integral" };
const CONTACT_m = 2e-9;

interface Truth {
  tip: Tip;
  layer?: Layer;
  reducedModulus_Pa: number;
  k_N_per_m: number;
  maxForce_N: number;
  noise_N?: number;
  tilt_N_per_m?: number;
  samples?: number;
}

/** The lever's bending solved by bisection, apart from the code under test. */
function curveOf(truth: Truth, normal: () => number = () => 0): Samples {
  const {
    tip,
    layer,
    reducedModulus_Pa: E,
    k_N_per_m: k,
    maxForce_N,
    noise_N = 0,
    tilt_N_per_m = 0,
    samples: n = 200,
  } = truth;
  const { g } = contactShape(tip, layer);
  const deepest = solve((d) => E * g(d), maxForce_N, 0, 1e-6);
  const push = deepest + maxForce_N / k;
  const height_m = Float64Array.from({ length: n }, (_, i) => CONTACT_m + push * (1.2 - (2.2 * i) / (n - 1)));
  const force_N = height_m.map((h) => {
    const reach = CONTACT_m - h;
    const d = reach > 0 ? solve((x) => x + (E * g(x)) / k, reach, 0, reach) : 0;
    return E * g(d) + tilt_N_per_m * (h - CONTACT_m) + noise_N * normal();
  });
  return { height_m, force_N, tip_m: height_m.map((h, i) => h + force_N[i]! / k), length: n };
}

const fitted = (
  samples: Samples,
  { tip, layer, k_N_per_m: k }: Truth,
  weights: Weights = "tip-position",
  withSlope = false,
) => {
  const shape = contactShape(tip, layer);
  const fit = { ...new ContactSearch(shape).find(samples, withSlope) };
  const errors = { ...new HeightFit(shape).run(samples, k, fit, withSlope, weights, true) };
  return { fit, errors };
};
const scaled = (samples: Samples, factor: number, k: number): Samples => {
  const force_N = samples.force_N.map((f) => f * factor);
  return { ...samples, force_N, tip_m: samples.height_m.map((h, i) => h + force_N[i]! / k) };
};

const SOFT: Truth = { tip: TIP, reducedModulus_Pa: 1e9, k_N_per_m: 40, maxForce_N: 6e-8 };
const STIFF: Truth = { tip: TIP, reducedModulus_Pa: 3e10, k_N_per_m: 20, maxForce_N: 6e-8 };
const CASES: [string, Truth][] = [
  ["soft paraboloid", SOFT],
  ["stiff paraboloid", STIFF],
  ["cone", { ...STIFF, tip: { ...TIP, model: "hertz-cone" } }],
  ["three-sided pyramid", { ...SOFT, tip: { ...TIP, model: "pyramid-3" } }],
  ["sphere", { ...SOFT, tip: { ...TIP, model: "sphere" } }],
  ["punch", { ...STIFF, tip: { ...TIP, model: "punch" } }],
  ["layer", { ...SOFT, layer: LAYER }],
  ["layer under a cone", { ...SOFT, tip: { ...TIP, model: "hertz-cone" }, layer: LAYER }],
];

describe.each(CASES)("%s", (_, truth) => {
  test("without noise: the truth, with and without a tilted baseline", () => {
    for (const withSlope of [false, true]) {
      const tilt_N_per_m = withSlope ? 0.002 * truth.k_N_per_m : 0;
      const { fit } = fitted(curveOf({ ...truth, tilt_N_per_m }), truth, "equal", withSlope);
      // A punch begins with a kink, and its sum of squares says little of where, between two samples.
      expect(fit.reducedModulus_Pa / truth.reducedModulus_Pa).toBeCloseTo(1, 6);
      expect(Math.abs(fit.contact_m - CONTACT_m)).toBeLessThan(1e-15);
      if (withSlope) expect(fit.slope_N_per_m / tilt_N_per_m).toBeCloseTo(1, 5);
    }
  });

  test("errors of sensitivity, radius, angle and thickness change the fit as is said", () => {
    const samples = curveOf({ ...truth, noise_N: 2e-10 }, normalDraws(5));
    const small = 1e-5;
    for (const weights of ["equal", "tip-position"] as const) {
      const { fit, errors } = fitted(samples, truth, weights);
      const change = (other: { fit: Contact }) =>
        Math.log(other.fit.reducedModulus_Pa / fit.reducedModulus_Pa) / small;
      const tip = (part: Partial<Tip>) =>
        change(fitted(samples, { ...truth, tip: { ...truth.tip, ...part } }, weights));
      const near = (seen: number, said: number) =>
        expect(Math.abs(seen - said)).toBeLessThan(0.02 * (1 + Math.abs(said)));
      near(
        change(fitted(scaled(samples, 1 + small, truth.k_N_per_m), truth, weights)),
        errors.perSensitivity,
      );
      near(tip({ radius_m: TIP.radius_m * (1 + small) }), errors.perRadius);
      near(tip({ halfAngle_rad: TIP.halfAngle_rad + small }), errors.perAngle);
      if (truth.layer) {
        const layer = { ...LAYER, thickness_m: LAYER.thickness_m * (1 + small) };
        near(change(fitted(samples, { ...truth, layer }, weights)), errors.perThickness);
      } else expect(errors.perThickness).toBeCloseTo(0, 12);
    }
  });

  test("no other start leads lower", () => {
    const shape = contactShape(truth.tip, truth.layer);
    const normal = normalDraws(8);
    for (const noise of [0.002, 0.02, 0.07]) {
      for (let draw = 0; draw < 4; draw++) {
        const samples = curveOf({ ...truth, noise_N: noise * truth.maxForce_N }, normal);
        const { fit } = fitted(samples, truth, "equal");
        for (const factor of [0.2, 1, 5]) {
          for (const shift of [-0.3, 0, 0.3]) {
            const contact_m = CONTACT_m + shift * (CONTACT_m - samples.height_m.at(-1)!);
            const other: Contact = {
              ...fit,
              reducedModulus_Pa: truth.reducedModulus_Pa * factor,
              contact_m,
              baseline_N: 0,
            };
            new HeightFit(shape).run(samples, truth.k_N_per_m, other, false, "equal", true);
            expect(fit.chiSquare_N2 / other.chiSquare_N2).toBeLessThan(1 + 1e-6);
          }
        }
      }
    }
  });
});

test("standard errors at equal weights are the bound of Cramér and Rao, from numerical derivatives of F(h)", () => {
  for (const truth of [SOFT, STIFF]) {
    const samples = curveOf({ ...truth, noise_N: 1e-12 }, normalDraws(3));
    const { fit, errors } = fitted(samples, truth, "equal");
    // Height of contact and baseline shift the curve; only the modulus needs a new one, at the same heights.
    const { g } = contactShape(truth.tip);
    const at = (logE: number, z: number, b: number) =>
      samples.height_m.map((h) => {
        const E = truth.reducedModulus_Pa * Math.exp(logE);
        const reach = z - h;
        return b + (reach > 0 ? E * g(solve((d) => d + (E * g(d)) / truth.k_N_per_m, reach, 0, reach)) : 0);
      });
    const steps = [[1e-5, 0, 0], [0, 1e-14, 0], [0, 0, 1e-12]] as const; // prettier-ignore
    const J = steps.map(([e, z, b]) => {
      const [up, down] = [at(e, CONTACT_m + z, b), at(-e, CONTACT_m - z, -b)];
      return up.map((f, i) => (f - down[i]!) / 2);
    });
    const dot = (i: number, j: number) => J[i]!.reduce((sum, v, k) => sum + v * J[j]![k]!, 0);
    const [aa, ab, ac, bb, bc, cc] = [dot(0, 0), dot(0, 1), dot(0, 2), dot(1, 1), dot(1, 2), dot(2, 2)];
    const det = aa * (bb * cc - bc * bc) - ab * (ab * cc - bc * ac) + ac * (ab * bc - bb * ac);
    const bound = errors.noise_N * Math.sqrt((bb * cc - bc * bc) / det) * 1e-5;
    expect(errors.reducedModulus_se_Pa / fit.reducedModulus_Pa / bound).toBeCloseTo(1, 3);
  }
});
