import { describe, expect, test } from "vitest";
import { adhesionRegime, jkr, jkrTwoPoint, taborParameter } from "../../../operators/mechanics/jkr.ts";
import { normalDraws, spreadOf } from "./draws.ts";
import { jkrRetract, withNoise } from "./make-retract.ts";

const DRAWS = Math.min(1000, Number(process.env["OPERANDO_TEST_DRAWS"] ?? 200));
const band = 4 * Math.sqrt(0.217 / DRAWS);

const CASES = [
  { reducedModulus_Pa: 1e5, adhesion_N: 1e-7, tipRadius_m: 1e-6, k_N_per_m: 0.1, samples: 1000 },
  { reducedModulus_Pa: 1e8, adhesion_N: 5e-9, tipRadius_m: 2e-8, k_N_per_m: 40, samples: 256 },
  { reducedModulus_Pa: 1e9, adhesion_N: 1e-8, tipRadius_m: 2e-8, k_N_per_m: 4, samples: 512 },
  { reducedModulus_Pa: 1e9, adhesion_N: 1e-8, tipRadius_m: 2e-8, k_N_per_m: 4, samples: 128 },
].map((given) => ({ ...given, maxForce_N: 3 * given.adhesion_N }));

describe.each(CASES)("$reducedModulus_Pa Pa, $k_N_per_m N/m, $samples samples", (truth) => {
  const made = jkrRetract(truth);
  const { reducedModulus_Pa: E, adhesion_N: P, tipRadius_m: R, k_N_per_m: k } = truth;
  const options = { springConstant_N_per_m: k, tipRadius_m: R };
  const W = P / (1.5 * Math.PI * R);

  test("without noise all is found back", () => {
    const found = jkr(made, options);
    expect(found.reducedModulus_Pa / E).toBeCloseTo(1, 6);
    expect(found.workOfAdhesion_J_per_m2 / W).toBeCloseTo(1, 6);
    expect(found.adhesion_N / P).toBeCloseTo(1, 6);
    expect(Math.abs(found.contact_m)).toBeLessThan(1e-5 * Math.abs(made.height_m.at(-1)!));
  });

  test("over draws of noise, 2 and 5 % of the adhesion: hardly biased, with errors that hold", () => {
    for (const share of [0.02, 0.05]) {
      const normal = normalDraws(77);
      const offset_N = 0.3 * P;
      const all = Array.from({ length: DRAWS }, () => jkr(withNoise(made, share * P, offset_N, normal), options)); // prettier-ignore
      const modulus = spreadOf(E, all.map((f) => [f.reducedModulus_Pa, f.reducedModulus_se_Pa])); // prettier-ignore
      const work = spreadOf(W, all.map((f) => [f.workOfAdhesion_J_per_m2, f.workOfAdhesion_se_J_per_m2])); // prettier-ignore
      const contact = spreadOf(offset_N / k, all.map((f) => [f.contact_m, f.contact_se_m])); // prettier-ignore
      const baseline = spreadOf(offset_N, all.map((f) => [f.baseline_N, f.baseline_se_N])); // prettier-ignore
      // Of a hundred samples some five lie near pull-off; the errors of W and contact then come out a tenth too large.
      const few = truth.samples < 200 ? 0.06 : 0;
      for (const { coverage } of [work, contact]) expect(Math.abs(coverage - 0.683)).toBeLessThan(band + few);
      for (const { coverage } of [modulus, baseline]) expect(Math.abs(coverage - 0.683)).toBeLessThan(band);
      expect(Math.abs(modulus.mean - E)).toBeLessThan(0.4 * modulus.sd);
      expect(Math.abs(work.mean - W)).toBeLessThan(0.4 * work.sd);
    }
  });
});

test("two points alone: 1.2709 is what the equations say, and some percent what parabolas find", () => {
  expect(((1 + 16 ** (1 / 3)) / 3) ** 1.5).toBeCloseTo(1.2709, 4);
  const truth = { ...CASES[1]!, samples: 4000 };
  const options = { springConstant_N_per_m: 40, tipRadius_m: 2e-8 };
  const found = jkrTwoPoint(jkrRetract(truth), options);
  expect(Math.abs(found.reducedModulus_Pa / 1e8 - 1)).toBeLessThan(0.03);
  expect(Math.abs(found.adhesion_N / 5e-9 - 1)).toBeLessThan(0.02);
  // against the formula, at the two points themselves
  const made = jkrRetract(truth);
  const lowest = made.force_N.indexOf(Math.min(...made.force_N));
  const zero = made.force_N.findIndex((f, i) => i > lowest && f >= 0);
  const tip = (i: number): number => made.height_m[i]! + made.force_N[i]! / 40;
  const formula = (0.75 * 1.2709 * 5e-9) / Math.sqrt(2e-8 * (tip(lowest) - tip(zero)) ** 3);
  expect(formula / 1e8).toBeCloseTo(1, 2);
});

test("Tabor's parameter of an SEI (10 nm, 0.05 J/m², 3 GPa) is 0.7: neither theory", () => {
  const tabor = taborParameter(1e-8, 0.05, 3e9);
  expect(tabor).toBeCloseTo(0.7, 1);
  expect([tabor, 0.05, 12, NaN].map(adhesionRegime)).toEqual(["between", "dmt", "jkr", "unknown"]);
});

test("nothing that pulls, too few samples, no lever: NaN", () => {
  const options = { springConstant_N_per_m: 4, tipRadius_m: 2e-8 };
  const made = jkrRetract(CASES[2]!);
  const normal = normalDraws(9);
  for (const fit of [jkr, jkrTwoPoint]) {
    const rising = { ...made, force_N: made.height_m.map((z) => Math.max(0, -z) + 1e-12 * normal()) };
    expect(fit(rising, options).reducedModulus_Pa).toBeNaN();
    expect(fit({ ...made, length: 15 }, options).reducedModulus_Pa).toBeNaN();
    expect(fit({ ...made, force_N: new Float64Array(512) }, options).reducedModulus_Pa).toBeNaN();
    expect(fit(made, { ...options, springConstant_N_per_m: NaN }).reducedModulus_Pa).toBeNaN();
  }
});
