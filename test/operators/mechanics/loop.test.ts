import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { farBaseline, loop } from "../../../operators/mechanics/loop.ts";
import { normalDraws, spreadOf } from "./draws.ts";
import { dmtBranches, withNoise, type Made } from "./make-retract.ts";

const DRAWS = Number(process.env["OPERANDO_TEST_DRAWS"] ?? 400);
const TRUTH = {
  reducedModulus_Pa: 1e9, adhesion_N: 5e-9, tipRadius_m: 1e-8, k_N_per_m: 1, maxForce_N: 2e-8, samples: 1000, away: 0.6,
}; // prettier-ignore
const made = dmtBranches(TRUTH);

test("adhesion and dissipation of a curve without noise", () => {
  const found = loop(made.approach, made.retract);
  // what the samples show: one more of them is 0.06 nN
  expect(Math.abs(found.adhesion_N + Math.min(...made.retract.force_N))).toBeLessThan(0.03e-9);
  expect(Math.abs(found.dissipation_J / made.dissipation_J - 1)).toBeLessThan(0.005);
  expect(found.adhesion_se_N).toBe(0);
});

describe("over draws of noise", () => {
  const drawn = (approach: Made, retract: Made, noise_N: number) => {
    const normal = normalDraws(11);
    return Array.from({ length: DRAWS }, () =>
      loop(withNoise(approach, noise_N, 1e-9, normal), withNoise(retract, noise_N, 4e-9, normal)),
    );
  };
  // 1 σ holds 68 %; the spread of that share over so many draws, four times
  const band = 4 * Math.sqrt(0.217 / DRAWS);

  test("of adhesion, at 50 and 10 times the noise: unbiased, with errors that hold", () => {
    for (const noise_N of [1e-10, 5e-10]) {
      const all = drawn(made.approach, made.retract, noise_N);
      const shown = -Math.min(...made.retract.force_N);
      const adhesion = spreadOf(shown, all.map(({ adhesion_N, adhesion_se_N }) => [adhesion_N, adhesion_se_N])); // prettier-ignore
      expect(Math.abs(adhesion.mean / shown - 1)).toBeLessThan(0.01);
      expect(Math.abs(adhesion.se / adhesion.sd - 1)).toBeLessThan(0.15);
      const lost = spreadOf(made.dissipation_J, all.map(({ dissipation_J, dissipation_se_J }) => [dissipation_J, dissipation_se_J])); // prettier-ignore
      expect(Math.abs(lost.mean / made.dissipation_J - 1)).toBeLessThan(0.01);
      expect(Math.abs(lost.coverage - 0.683)).toBeLessThan(band);
    }
  });

  test.each([64, 128, 1000])("where there is no adhesion it is zero on average, of %i samples", (samples) => {
    const none = dmtBranches({ ...TRUTH, adhesion_N: 0, samples });
    const all = drawn(none.approach, none.retract, 1e-10);
    const adhesion = spreadOf(0, all.map(({ adhesion_N, adhesion_se_N }) => [adhesion_N, adhesion_se_N])); // prettier-ignore
    expect(Math.abs(adhesion.mean)).toBeLessThan((4 * adhesion.sd) / Math.sqrt(DRAWS));
    expect(Math.abs(adhesion.coverage - 0.683)).toBeLessThan(band);
    const lost = spreadOf(0, all.map(({ dissipation_J, dissipation_se_J }) => [dissipation_J, dissipation_se_J])); // prettier-ignore
    expect(Math.abs(lost.mean)).toBeLessThan((4 * lost.sd) / Math.sqrt(DRAWS));
    expect(Math.abs(lost.coverage - 0.683)).toBeLessThan(band);
  });

  test("near the noise it is too small, as its comment says, and never too large", () => {
    const adhesion = spreadOf(5e-9, drawn(made.approach, made.retract, 2e-9).map(({ adhesion_N, adhesion_se_N }) => [adhesion_N, adhesion_se_N])); // prettier-ignore
    expect(adhesion.mean / 5e-9).toBeGreaterThan(0.7);
    expect(adhesion.mean / 5e-9).toBeLessThan(1);
  });
});

test("an offset of either branch changes nothing, a gain all by the same factor", () => {
  const bits = fc.double({ min: -1e-7, max: 1e-7, noNaN: true });
  const normal = normalDraws(5);
  const [approach, retract] = [withNoise(made.approach, 1e-10, 0, normal), withNoise(made.retract, 1e-10, 0, normal)]; // prettier-ignore
  const plain = loop(approach, retract);
  const close = (a: number, b: number): boolean => Math.abs(a / b - 1) < 1e-5;
  fc.assert(
    fc.property(bits, bits, fc.double({ min: 0.1, max: 10, noNaN: true }), (a, b, gain) => {
      const { adhesion_N, adhesion_se_N, dissipation_J, dissipation_se_J } = loop(
        { ...approach, force_N: approach.force_N.map((f) => gain * f + a) },
        { ...retract, force_N: retract.force_N.map((f) => gain * f + b) },
      );
      return close(adhesion_N, gain * plain.adhesion_N) && close(adhesion_se_N, gain * plain.adhesion_se_N) &&
        close(dissipation_J, gain * plain.dissipation_J) && close(dissipation_se_J, gain * plain.dissipation_se_J); // prettier-ignore
    }),
    { seed: 8, numRuns: 50 },
  );
});

test("the loop over tip positions is the loop over heights", () => {
  const tip = ({ height_m, force_N, length }: Made): Made => ({ height_m: height_m.map((z, i) => z + force_N[i]!), force_N, length }); // prettier-ignore
  const over = loop(tip(made.approach), tip(made.retract)).dissipation_J;
  expect(over / loop(made.approach, made.retract).dissipation_J).toBeCloseTo(1, 2);
});

describe("bad input", () => {
  const of = (made: Made, length: number): Made => ({ ...made, length });
  test("short branches give NaN, each what it would say", () => {
    const none = loop(of(made.approach, 15), of(made.retract, 15));
    expect(Object.values(none).every(Number.isNaN)).toBe(true);
    const noApproach = loop(of(made.approach, 0), made.retract);
    expect(noApproach.dissipation_J).toBeNaN();
    expect(noApproach.adhesion_N).toBeGreaterThan(4.9e-9);
  });
  test("a constant force has no adhesion and no loop", () => {
    const flat = { ...made.retract, force_N: new Float64Array(1000).fill(3e-9) };
    expect(loop(flat, flat)).toEqual({ adhesion_N: 0, adhesion_se_N: 0, dissipation_J: 0, dissipation_se_J: 0 }); // prettier-ignore
  });
  test("in contact from the start: what there is, finite", () => {
    const steep = { ...made.retract, force_N: made.retract.height_m.map((z) => -z) };
    expect(Object.values(loop(steep, steep)).every(Number.isFinite)).toBe(true);
  });
});

test("the baseline ends where the contact begins, and forgets its last block", () => {
  const normal = normalDraws(3);
  for (let k = 0; k < 20; k++) {
    const { force_N } = withNoise(made.approach, 2e-10, 7e-9, normal);
    const { samples, mean_N, se_N } = farBaseline(force_N, 1000);
    expect(samples).toBeGreaterThan(350);
    expect(samples).toBeLessThan(680);
    expect(Math.abs(mean_N - 7e-9)).toBeLessThan(4.5 * se_N);
  }
});
