// What the modulus of an SEI-like layer is worth: 0.3 to 30 GPa under a lever of 40 N/m and a tip of 8 nm, at a peak of
// 60 nN, 512 samples. OPERANDO_TEST_DRAWS=1000 draws the noise as often as the aims say; in short there are fewer draws.
import { describe, expect, test } from "vitest";
import { modulus } from "../../../operators/mechanics/modulus.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws, spreadOf } from "./draws.ts";
import { columnsOf, CONTACT_m, makeCurve, type Curve, type Truth } from "./make-curves.ts";

const DRAWS = Math.min(1000, Number(process.env["OPERANDO_TEST_DRAWS"] ?? 120));
/** 64 to 73 % of 1000 draws: three standard errors of a share of 0.683. */
const BAND = 0.045 * Math.sqrt(1000 / DRAWS);
const LEVER_N_per_m = 40;

const sei = (modulus_Pa: number, model: Truth["model"] = "hertz-paraboloid"): Truth => ({
  model, modulus_Pa, k_N_per_m: LEVER_N_per_m, tipRadius_m: 8e-9, halfAngle_deg: 20, poisson: 0.3,
  maxForce_N: 60e-9, samples: 512, inContact: 0.45,
}); // prettier-ignore
const options = ({ model, tipRadius_m, halfAngle_deg, poisson }: Truth) => ({
  model, tip_radius: `${tipRadius_m} m`, half_angle: `${halfAngle_deg} deg`, poisson_ratio: poisson, fit_points: 0,
}); // prettier-ignore
const fit = (curves: readonly Curve[], given: Record<string, unknown>) =>
  feed(modulus, { curves: columnsOf(curves, LEVER_N_per_m) }, { with: given }).modulus;
const noisy = (clean: Curve, noise_m: number, normal: () => number): Curve => ({
  ...clean, force: clean.force.map((f) => f + LEVER_N_per_m * noise_m * normal()),
}); // prettier-ignore

/**
 * The bound of Cramér and Rao for ln E and the contact point, per noise: the inverse of Σ ∂F/∂p ∂F/∂q over ln E, contact
 * and baseline, F(h) at the curve's own heights. There δ + f/k = c - h, so that with w = 1 + f'/k
 * ∂F/∂ln E = f/w, ∂F/∂c = f'/w, ∂F/∂b = 1 at a fixed height of contact; its tip position adds b/k.
 */
function bound(truth: Truth, clean: Curve): { logModulus: number; contact_m: number } {
  const p = truth.model === "hertz-cone" ? 2 : 1.5;
  const sums = new Float64Array(6);
  clean.height.forEach((h, i) => {
    const f = clean.force[i]!;
    const d = CONTACT_m - h - f / LEVER_N_per_m;
    const slope = f > 0 && d > 0 ? (p * f) / d : 0;
    const w = 1 + slope / LEVER_N_per_m;
    const [a, c] = [f / w, slope / w];
    for (const [j, v] of [a * a, a * c, a, c * c, c, 1].entries()) sums[j]! += v;
  });
  const [aa, ac, ab, cc, cb, bb] = sums as unknown as [number, number, number, number, number, number];
  const det = aa * (cc * bb - cb * cb) - ac * (ac * bb - cb * ab) + ab * (ac * cb - cc * ab);
  const contact = aa * bb - ab * ab + 2 * (ac * ab - aa * cb) / LEVER_N_per_m + (aa * cc - ac * ac) / LEVER_N_per_m ** 2; // prettier-ignore
  return { logModulus: Math.sqrt((cc * bb - cb * cb) / det), contact_m: Math.sqrt(contact / det) };
}

describe.each<Truth["model"]>(["hertz-paraboloid", "hertz-cone"])("%s", (model) => {
  describe.each([0.3e9, 1e9, 3e9, 10e9, 30e9])("of %d Pa", (modulus_Pa) => {
    const truth = sei(modulus_Pa, model);
    const clean = makeCurve(truth);

    test.each([20e-12, 50e-12, 100e-12])(
      "at a noise of %d m: unbiased, at the bound, with errors that hold",
      (noise_m) => {
        const normal = normalDraws(1e12 * noise_m + modulus_Pa / 1e7);
        const rows = fit(Array.from({ length: DRAWS }, () => noisy(clean, noise_m, normal)), options(truth)); // prettier-ignore
        expect([...rows.valid].every((v) => v === 0)).toBe(true);
        const perNoise = bound(truth, clean);
        const sigma = LEVER_N_per_m * noise_m;
        const draws = [...rows.modulus].map(
          (E, i) => [E / modulus_Pa, rows.modulus_se[i] / modulus_Pa] as const,
        );
        const contacts = [...rows.contact_point].map(
          (c, i) => [c - CONTACT_m, rows.contact_point_se[i]] as const,
        );
        for (const [all, truthHere, allowed, least] of [
          [draws, 1, 0.005, perNoise.logModulus * sigma],
          [contacts, 0, 0.05e-9, perNoise.contact_m * sigma],
        ] as const) {
          const { mean, sd, coverage } = spreadOf(truthHere, all);
          const rms = Math.sqrt(all.reduce((sum, [x]) => sum + (x - truthHere) ** 2, 0) / DRAWS);
          expect(Math.abs(mean - truthHere)).toBeLessThan(allowed + (3 * sd) / Math.sqrt(DRAWS));
          expect(rms / least).toBeLessThan(1.2 * (1 + 2 / Math.sqrt(2 * DRAWS)));
          expect(Math.abs(coverage - 0.683)).toBeLessThan(BAND);
        }
        // both errors go together as the covariance says
        const pulls = draws.map(([E, se], i) => ((E - 1) / se) * (contacts[i]![0] / contacts[i]![1]));
        const together = pulls.reduce((sum, v) => sum + v, 0) / DRAWS;
        const said = [...rows.covariance_modulus_contact].reduce((sum, v, i) => sum + v / rows.modulus_se[i] / rows.contact_point_se[i], 0) / DRAWS; // prettier-ignore
        expect(said).toBeLessThan(-0.5);
        expect(Math.abs(together - said)).toBeLessThan(6 / Math.sqrt(DRAWS));
      },
    );
  });
});

test("with the baseline's slope fitted too, of a tilted one", () => {
  const truth = sei(1e9);
  const clean = makeCurve(truth);
  const tilt_N_per_m = 0.005;
  const tilted = {
    ...clean,
    force: clean.force.map((f, i) => f + tilt_N_per_m * (clean.height[i]! - CONTACT_m)),
  };
  const normal = normalDraws(12);
  const curves = Array.from({ length: DRAWS }, () => noisy(tilted, 20e-12, normal));
  const rows = fit(curves, { ...options(truth), baseline: "slope" });
  for (const [name, value] of [
    ["modulus", 1e9],
    ["slope", tilt_N_per_m],
    ["contact_point", CONTACT_m],
  ] as const) {
    const { mean, sd, coverage } = spreadOf(value, [...rows[name]].map((x, i) => [x, rows[`${name}_se`][i]])); // prettier-ignore
    expect(Math.abs(mean - value)).toBeLessThan((3.5 * sd) / Math.sqrt(DRAWS));
    expect(Math.abs(coverage - 0.683)).toBeLessThan(BAND);
  }
});

describe("over draws of the calibration the truth lies within the total error in 64 to 73 %", () => {
  const errors = { spring_constant_error: 0.05, sensitivity_error: 0.03, tip_radius_error: 0.08, half_angle_error: "1.5 deg" } as const; // prettier-ignore
  const kinds: [string, Truth, Record<string, unknown>][] = [
    ...[1e9, 3e9, 10e9].map((E): [string, Truth, Record<string, unknown>] => [
      `paraboloid of ${E} Pa`,
      sei(E),
      {},
    ]),
    ["cone of 3e9 Pa", sei(3e9, "hertz-cone"), {}],
    ["sphere of 1e9 Pa", sei(1e9, "sphere"), {}],
    ["paraboloid of 3e9 Pa, tip of 165 GPa", sei(3e9), { tip_modulus: "165 GPa" }],
  ];
  test.each(kinds)("%s", (_, truth, more) => {
    const normal = normalDraws(truth.modulus_Pa / 1e7 + 7);
    const tip = more["tip_modulus"] ? (1 - 0.27 ** 2) / 165e9 : 0;
    const poisson = truth.poisson!;
    const reduced = 1 / ((1 - poisson ** 2) / truth.modulus_Pa + tip);
    const clean = makeCurve({ ...truth, modulus_Pa: reduced * (1 - poisson ** 2) });
    const draws = Array.from({ length: DRAWS }, (): [number, number] => {
      // What the calibration says is off; the deflection that is read is off with the sensitivity, the force with both.
      const [byLever, bySensitivity] = [1 + 0.05 * normal(), 1 + 0.03 * normal()];
      const seen = noisy(clean, 20e-12, normal);
      const k = LEVER_N_per_m * byLever;
      const curve = { ...seen, force: seen.force.map((f) => f * byLever * bySensitivity) };
      const given = {
        ...options(truth), ...errors, ...more,
        tip_radius: `${truth.tipRadius_m! * (1 + 0.08 * normal())} m`, half_angle: `${truth.halfAngle_deg! + 1.5 * normal()} deg`,
      }; // prettier-ignore
      const row = feed(modulus, { curves: columnsOf([curve], k) }, { with: given }).modulus;
      return [row.modulus[0], Math.hypot(row.modulus_se[0], row.modulus_scale_se[0])];
    });
    const { coverage, sd, se } = spreadOf(truth.modulus_Pa, draws);
    expect(Math.abs(coverage - 0.683)).toBeLessThan(BAND);
    expect(Math.abs(sd / se - 1)).toBeLessThan(0.05 + 3 / Math.sqrt(2 * DRAWS));
  });

  test("an error that is not given is not zero", () => {
    const truth = sei(1e9);
    const curve = makeCurve(truth);
    const given = { ...options(truth), ...errors };
    expect(fit([curve], given).modulus_scale_se[0] / 1e9).toBeGreaterThan(0.05);
    for (const missing of ["spring_constant_error", "sensitivity_error", "tip_radius_error"])
      expect(fit([curve], { ...given, [missing]: undefined }).modulus_scale_se[0]).toBeNaN();
    expect(fit([curve], { ...given, half_angle_error: undefined }).modulus_scale_se[0]).toBeGreaterThan(0); // has none
    const exact = { ...given, spring_constant_error: 0, sensitivity_error: 0, tip_radius_error: 0 };
    expect(fit([curve], exact).modulus_scale_se[0]).toBe(0);
    expect(fit([curve], { ...given, layer_thickness: "20 nm" }).modulus_scale_se[0]).toBeNaN();
    const layer = { ...given, layer_thickness: "20 nm", layer_thickness_error: "20 %" };
    expect(fit([curve], layer).modulus_scale_se[0]).toBeGreaterThan(0);
  });
});
