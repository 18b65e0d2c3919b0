// What stands in a row beside the modulus: the layer, adhesion and work, flags, the lever's tilt, reasons; and odd input.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contactShape } from "../../../operators/mechanics/contact-shapes.ts";
import { MODELS, modulus } from "../../../operators/mechanics/modulus.ts";
import { WiringError } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws } from "./draws.ts";
import { columnsOf, makeCurve, type Curve } from "./make-curves.ts";
import { dmtBranches, jkrRetract, solve, withNoise, type Made } from "./make-retract.ts";

const K_N_per_m = 40;
const TIP = { tip_radius: "20 nm", half_angle: "25 deg", poisson_ratio: 0.3 };
const SEI = { model: "hertz-paraboloid", modulus_Pa: 2e9, k_N_per_m: K_N_per_m, tipRadius_m: 2e-8, poisson: 0.3, maxForce_N: 40e-9 } as const; // prettier-ignore
const PLANE = 1 - 0.3 ** 2;

const fit = (curves: readonly Curve[], given: Record<string, unknown> = {}, more = {}) =>
  feed(modulus, { curves: columnsOf(curves, K_N_per_m) }, { with: { ...TIP, ...given }, ...more });
const whole = (approach: Made, retract: Made): Curve => ({
  height: Float64Array.from([...approach.height_m, ...retract.height_m.toReversed()]),
  force: Float64Array.from([...approach.force_N, ...retract.force_N.toReversed()]),
  segment: Uint8Array.from([...new Uint8Array(approach.length), ...new Uint8Array(retract.length).fill(1)]),
});
const ADHESIVE = { reducedModulus_Pa: 1e8, adhesion_N: 5e-9, tipRadius_m: 2e-8, k_N_per_m: K_N_per_m, maxForce_N: 2e-8, samples: 512 }; // prettier-ignore

describe("models with adhesion, on the retract", () => {
  test("dmt: modulus, adhesion and lost work of the loop, with errors", () => {
    const made = dmtBranches(ADHESIVE);
    const normal = normalDraws(3);
    const curves = Array.from({ length: 40 }, () => whole(withNoise(made.approach, 1e-10, 3e-10, normal), withNoise(made.retract, 1e-10, 3e-10, normal))); // prettier-ignore
    const { modulus: rows } = fit(curves, { model: "dmt" });
    for (const [name, value] of [
      ["modulus", PLANE * 1e8],
      ["adhesion", 5e-9],
      ["dissipation", made.dissipation_J],
      ["baseline", 3e-10],
    ] as const) {
      const pulls = [...rows[name]].map((x, i) => (x - value) / rows[`${name}_se`][i]);
      expect(Math.abs(pulls.reduce((a, b) => a + b, 0) / 40)).toBeLessThan(0.8);
      expect(Math.sqrt(pulls.reduce((a, b) => a + b * b, 0) / 40)).toBeLessThan(1.5);
    }
    expect([...rows.valid].every((v) => v === 0)).toBe(true);
    expect(MODELS[rows.model[0]]).toBe("dmt");
  });

  test.each(["jkr", "jkr-two-point"])("%s", (model) => {
    const retract = jkrRetract({ ...ADHESIVE, samples: 2000 });
    const { modulus: row } = fit([whole(retract, retract)], { model });
    expect(row.valid[0]).toBe(0);
    expect(Math.abs(row.modulus[0] / (PLANE * 1e8) - 1)).toBeLessThan(model === "jkr" ? 1e-5 : 0.04);
  });

  test.each(["dmt", "jkr", "jkr-two-point"])(
    "%s: what an error of the sensitivity does, to a tenth",
    (model) => {
      const retract = model === "dmt" ? dmtBranches(ADHESIVE).retract : jkrRetract(ADHESIVE);
      const soft = { ...ADHESIVE, k_N_per_m: 4 };
      for (const [made, k] of [
        [retract, 40],
        [model === "dmt" ? dmtBranches(soft).retract : jkrRetract(soft), 4],
      ] as const) {
        const at = (factor: number) => {
          const scaled = { ...made, force_N: made.force_N.map((f) => f * factor) };
          return feed(modulus, { curves: columnsOf([whole(scaled, scaled)], k) }, { with: { ...TIP, model } }).modulus; // prettier-ignore
        };
        const seen = (at(1.02).modulus[0] / at(0.98).modulus[0] - 1) / 0.04;
        expect(Math.abs(seen / at(1).sensitivity_amplification[0] - 1)).toBeLessThan(0.1);
      }
    },
  );

  test("no adhesion, no contact", () => {
    const normal = normalDraws(4);
    const noise = Float64Array.from({ length: 512 }, () => 1e-10 * normal());
    const flat = whole({ ...dmtBranches(ADHESIVE).approach, force_N: noise }, { ...dmtBranches(ADHESIVE).retract, force_N: noise.toReversed() }); // prettier-ignore
    const pushed = makeCurve({ ...SEI, noise_N: 1e-10 }, normal);
    const both = whole({ height_m: pushed.height, force_N: pushed.force, length: 256 }, { height_m: pushed.height, force_N: pushed.force, length: 256 }); // prettier-ignore
    expect(fit([flat], { model: "dmt" }).modulus.valid[0]).toBe(1);
    expect(fit([both], { model: "jkr" }).modulus.valid[0]).toBe(8);
    expect(fit([makeCurve(SEI)], { model: "dmt" }).modulus.valid[0]).toBe(4); // there is no retract
  });
});

describe("a layer", () => {
  const layer = { thickness_m: 2e-8, bonded: true, theory: "integral" } as const;
  const { g } = contactShape(
    { model: "hertz-paraboloid", radius_m: 2e-8, halfAngle_rad: 1, poisson: 0.3 },
    layer,
  );
  const heights = Float64Array.from({ length: 256 }, (_, i) => 6e-9 * (1 - i / 140));
  const E = 1e9 / PLANE;
  const curve: Curve = {
    height: heights,
    force: heights.map((h) => (h < 0 ? E * g(solve((d) => d + (E * g(d)) / K_N_per_m, -h, 0, -h)) : 0)),
    segment: new Uint8Array(256),
  };

  test("has its own modulus, and what it would be without the substrate beside it", () => {
    const { modulus: row } = fit([curve], { layer_thickness: "20 nm" });
    expect(row.modulus[0] / 1e9).toBeCloseTo(1, 5);
    expect(row.apparent_modulus[0] / 1e9).toBeGreaterThan(1.2);
    expect(row.apparent_modulus[0]).toBe(fit([curve]).modulus.modulus[0]);
    expect(row.substrate_effect[0]).toBeCloseTo(Math.sqrt(2e-8 * row.max_indentation[0]) / 2e-8, 9);
    expect(row.flags[0]).toBe(0);
    expect(fit([curve], { layer_thickness: "20 nm", max_substrate_effect: 0.2 }).modulus.flags[0]).toBe(2);
    const without = fit([curve]).modulus;
    expect([without.apparent_modulus[0], without.substrate_effect[0]]).toEqual([NaN, NaN]);
  });
});

test("flags: a soft lever, a tip pressed in beyond its apex, samples missing; all of them in words", () => {
  const stiff = makeCurve({ ...SEI, modulus_Pa: 3e10, k_N_per_m: 1 });
  const flags = (curve: Curve, k: number, given = {}) =>
    feed(modulus, { curves: columnsOf([curve], k) }, { with: { ...TIP, ...given } }).modulus;
  const row = flags(stiff, 1);
  expect([row.valid[0], row.flags[0]]).toEqual([0, 1]);
  expect(row.sensitivity_amplification[0]).toBeGreaterThan(10);
  expect(flags(stiff, 1, { max_amplification: "inf" in row ? 1 : 1e6 }).flags[0]).toBe(0);
  const deep = makeCurve({ ...SEI, modulus_Pa: 5e7 });
  expect(flags(deep, K_N_per_m).flags[0]).toBe(4);
  expect(flags(deep, K_N_per_m, { model: "sphere" }).flags[0]).toBe(0);
  const holes = { ...deep, force: deep.force.map((f, i) => (i % 9 ? f : NaN)) };
  expect(flags(holes, K_N_per_m).flags[0]).toBe(4 + 8);
  const output = modulus.output as unknown as (inputs: unknown, config: unknown, metadata: unknown) => { modulus: { flags: { codes: Record<number, string> } } }; // prettier-ignore
  const { codes } = output({ curves: modulus.input.curves }, { model: "hertz-paraboloid", tip_radius: 1e-8, layer_thickness: NaN }, {}).modulus.flags; // prettier-ignore
  expect(codes[12]).toBe("deeper than the model holds, samples missing");
  expect(codes[0]).toBe("none");
});

test("a lever that stands askew: its spring constant over cos² of the tilt", () => {
  const curve = makeCurve({ ...SEI, noise_N: 1e-10 }, normalDraws(6));
  const [level, askew] = [fit([curve]).modulus, fit([curve], { tilt: "11 deg" }).modulus];
  const factor = 1 / Math.cos((11 * Math.PI) / 180) ** 2;
  for (const name of ["modulus", "modulus_se", "baseline", "max_force"])
    expect(askew[name][0] / level[name][0] / factor).toBeCloseTo(1, 9);
  expect(askew.contact_point[0]).toBeCloseTo(level.contact_point[0], 15);
});

test("the slope is fitted where it is asked for, or the baseline short", () => {
  const [long, short] = [makeCurve({ ...SEI, inContact: 0.1 }), makeCurve({ ...SEI, inContact: 0.5 })];
  const slopes = (given: Record<string, unknown>) => [...fit([long, short], given).modulus.slope].map((s) => !Number.isNaN(s)); // prettier-ignore
  expect(slopes({})).toEqual([false, false]);
  expect(slopes({ baseline: "auto" })).toEqual([false, true]);
  expect(slopes({ baseline: "slope" })).toEqual([true, true]);
});

describe("odd input has a defined outcome", () => {
  const good = makeCurve({ ...SEI, noise_N: 1e-10 }, normalDraws(5));
  const valid = (curve: Curve, k = K_N_per_m, given = {}) =>
    feed(modulus, { curves: columnsOf([curve], k) }, { with: { ...TIP, ...given } }).modulus;

  test.each([NaN, 0, -40, Infinity])("spring constant %d", (k) => {
    const row = valid(good, k);
    expect([row.valid[0], row.modulus[0]]).toEqual([5, NaN]);
  });

  test("lists of unequal length, all forces equal, all heights equal, heights in disorder, forces upside down", () => {
    const columns = columnsOf([good, good], K_N_per_m);
    columns.force.offsets[1]! -= 3;
    const uneven = feed(modulus, { curves: columns }, { with: TIP }).modulus;
    expect([...uneven.valid]).toEqual([5, 5]);
    expect(valid({ ...good, force: good.force.map(() => 1e-9) }).valid[0]).toBe(3); // as a detector at its end
    const flat = valid({ ...good, height: good.height.map(() => 1e-6) });
    expect(flat.valid[0]).not.toBe(0);
    expect(flat.modulus[0]).toBeNaN();
    expect(valid({ ...good, force: good.force.map((f) => -f) }).valid[0]).toBe(1);
    // every second sample a little late: the same contact
    const jitter = { ...good, height: good.height.map((h, i) => h + (i % 2) * 3e-10) };
    const clean = makeCurve(SEI);
    const late = makeCurve(SEI).height.map((h, i) => h + (i % 2) * 3e-10);
    expect(jitter.height[1]! - jitter.height[0]!).toBeGreaterThan(good.height[1]! - good.height[0]!);
    expect(Math.abs(valid({ ...clean, height: late }).modulus[0] / 2e9 - 1)).toBeLessThan(0.5);
    expect(valid({ ...good, segment: good.segment.map(() => 255) }).valid[0]).toBe(4);
  });

  test("what a tip may be is said before the start", () => {
    const start = (given: Record<string, unknown>) => () =>
      feed(modulus, { curves: columnsOf([], 1) }, { with: given });
    expect(start({ model: "dmt" })).toThrow(/tip_radius must be given for dmt/);
    expect(start({ model: "pyramid-3", tip_radius: "1 nm" })).toThrow(
      /half_angle must be given for pyramid-3/,
    );
    expect(start({ ...TIP, model: "jkr", segment: "approach" })).toThrow(/jkr is fitted to the retract/);
    expect(start({ ...TIP, model: "dmt", layer_thickness: "20 nm" })).toThrow(
      /layer_thickness: dmt is for thick samples/,
    );
    expect(start({ ...TIP, layer_thickness: "20 nm", layer_theory: "managuli" })).toThrow(WiringError);
    expect(start({ ...TIP, layer_thickness: "20 nm", layer_theory: "managuli" })).toThrow(/layer_theory: /);
  });

  test("whatever comes: a row for each curve, NaN or a number with its error", () => {
    const number = fc.oneof(fc.constantFrom(NaN, 0, 1e-9, -1e-9, 1e300, Infinity), fc.integer({ min: -50, max: 50 }).map((i) => i * 1e-10)); // prettier-ignore
    const curve = fc.integer({ min: 0, max: 60 }).chain((n) => fc.tuple(
      fc.array(number, { minLength: n, maxLength: n }), fc.array(number, { minLength: n, maxLength: n }),
      fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 255), { minLength: n, maxLength: n }),
    )); // prettier-ignore
    fc.assert(
      fc.property(
        fc.array(curve, { maxLength: 4 }),
        fc.constantFrom(...MODELS),
        fc.boolean(),
        (made, model, flat) => {
          const curves = made.map(([height, force, segment]) => ({
          height: Float64Array.from(height), force: Float64Array.from(force),
          segment: Uint8Array.from(flat ? segment.map(() => (model === "dmt" || model.startsWith("jkr") ? 1 : 0)) : segment),
        })); // prettier-ignore
          const { modulus: rows, faults } = fit(curves, { model, min_significance: 0, min_baseline: 0 });
          expect(faults).toEqual([]);
          expect(rows.time.length).toBe(curves.length);
          for (let i = 0; i < curves.length; i++) {
            expect(Number.isNaN(rows.modulus[i])).toBe(rows.valid[i] !== 0);
            if (rows.valid[i] === 0) expect(rows.modulus[i]).toBeGreaterThan(0);
          }
        },
      ),
      { seed: 9, numRuns: 300 },
    );
  });
});

test("cut anywhere, saved and loaded, in any company: the same bits", () => {
  const normal = normalDraws(15);
  const made = dmtBranches(ADHESIVE);
  const curves = Array.from({ length: 9 }, (_, i) =>
    i % 3 === 0
      ? whole(withNoise(made.approach, 1e-10, 0, normal), withNoise(made.retract, 1e-10, 0, normal))
      : makeCurve({ ...SEI, samples: 64 + 100 * (i % 4), noise_N: 2e-10 * i }, normal),
  );
  for (const given of [{}, { baseline: "auto" }, { model: "sphere" }, { model: "dmt" }]) {
    const all = fit(curves, given);
    for (const rows of [1, 2, 4]) expect(fit(curves, given, { rows, reloadAfter: [1, 3] })).toEqual(all);
    const alone = fit([curves[4]!], given).modulus;
    expect(alone.modulus[0]).toBe(all.modulus.modulus[4]);
    expect(alone.contact_point_se[0]).toBe(all.modulus.contact_point_se[4]);
  }
});
