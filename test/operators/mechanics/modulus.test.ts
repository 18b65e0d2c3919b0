import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modulus } from "../../../operators/mechanics/modulus.ts";
import { WiringError } from "../../../runtime/index.ts";
import { jpkForce } from "../../../sources/afm/jpk.ts";
import { feed } from "../../helpers/feed.ts";
import { dmtBranches, jkrRetract, type Made } from "./make-retract.ts";
import { columnsOf, CONTACT_m, makeCurve, normals, type Curve, type Truth } from "./make-curves.ts";

const PARABOLOID = {
  model: "hertz-paraboloid",
  modulus_Pa: 5e3,
  k_N_per_m: 0.05,
  tipRadius_m: 1e-5,
  maxForce_N: 2e-9,
} as const;
const CONE = {
  model: "hertz-cone",
  modulus_Pa: 2e5,
  k_N_per_m: 0.05,
  halfAngle_deg: 25,
  maxForce_N: 2e-9,
} as const;
const PYRAMID = {
  model: "hertz-pyramid",
  modulus_Pa: 2e5,
  k_N_per_m: 0.05,
  halfAngle_deg: 17.5,
  maxForce_N: 2e-9,
} as const;
/** A stiff surface layer under a stiff lever. */
const LAYER = {
  model: "hertz-paraboloid",
  modulus_Pa: 3e9,
  k_N_per_m: 40,
  tipRadius_m: 8e-9,
  maxForce_N: 60e-9,
  poisson: 0.3,
} as const;

const options = ({ model, tipRadius_m, halfAngle_deg, poisson = 0.5 }: Truth) => ({
  model, poisson_ratio: poisson,
  ...(tipRadius_m && { tip_radius: `${tipRadius_m} m` }), ...(halfAngle_deg && { half_angle: `${halfAngle_deg} deg` }),
}); // prettier-ignore

const fit = (curves: readonly Curve[], truth: Truth, more: Record<string, unknown> = {}, rows = 1000) =>
  feed(
    modulus,
    { curves: columnsOf(curves, truth.k_N_per_m) },
    { with: { ...options(truth), ...more }, rows },
  );
/** A branch from far to deep, as the retract that it was. */
const backOf = ({ height_m, force_N }: Made): Curve => ({
  height: height_m.toReversed(), force: force_N.toReversed(), segment: new Uint8Array(height_m.length).fill(1),
}); // prettier-ignore
const relative = (a: number, b: number) => Math.abs(a / b - 1);

describe("finds the modulus that the curve was made from", () => {
  test.each<Truth>([
    PARABOLOID,
    CONE,
    PYRAMID,
    LAYER,
    { ...CONE, model: "pyramid-3" },
    { ...PARABOLOID, model: "sphere", tipRadius_m: 1e-6 },
    { ...PARABOLOID, model: "punch", tipRadius_m: 1e-7 },
  ])("$model of $modulus_Pa Pa, without noise", (truth) => {
    const baseline_N = 3e-10;
    const { modulus: row, faults } = fit([makeCurve({ ...truth, baseline_N })], truth);
    expect(row.valid[0]).toBe(0);
    expect(relative(row.modulus[0], truth.modulus_Pa)).toBeLessThan(1e-7);
    expect(Math.abs(row.contact_point[0] - CONTACT_m - baseline_N / truth.k_N_per_m)).toBeLessThan(
      1e-7 * row.max_indentation[0],
    );
    expect(relative(row.baseline[0], baseline_N)).toBeLessThan(1e-6);
    expect(relative(row.max_force[0], truth.maxForce_N)).toBeLessThan(1e-6);
    expect(row.samples[0]).toBe(256);
    expect(faults).toEqual([]);
  });

  test.each([
    { truth: PARABOLOID, noise: 1e-3 },
    { truth: PARABOLOID, noise: 1e-2 },
    { truth: CONE, noise: 1e-3 },
    { truth: PYRAMID, noise: 1e-2 },
    { truth: LAYER, noise: 1e-3 },
  ])(
    "$truth.model of $truth.modulus_Pa Pa, noise $noise of the load: unbiased, and as far off as its errors say",
    ({ truth, noise }) => {
      const normal = normals(7);
      const draws = 300;
      const curves = Array.from({ length: draws }, (_, i) => makeCurve({ ...truth, noise_N: noise * truth.maxForce_N, inContact: 0.2 + (0.4 * i) / draws }, normal)); // prettier-ignore
      for (const residual of ["tip-position", "height", "weighted-height"]) {
        const { modulus: rows } = fit(curves, truth, { residual });
        for (const pulls of [
          [...rows.modulus].map((E, i) => (E - truth.modulus_Pa) / rows.modulus_se[i]),
          [...rows.contact_point].map((c, i) => (c - CONTACT_m) / rows.contact_point_se[i]),
        ]) {
          const mean = pulls.reduce((sum, pull) => sum + pull, 0) / draws;
          const spread = Math.sqrt(pulls.reduce((sum, pull) => sum + (pull - mean) ** 2, 0) / (draws - 1));
          // Three standard errors of mean and spread; over the tip position a bias of second order in the noise comes on top.
          expect(Math.abs(mean)).toBeLessThan(
            3 / Math.sqrt(draws) + (residual === "tip-position" ? 20 * noise : 0),
          );
          expect(Math.abs(spread - 1)).toBeLessThan(3 / Math.sqrt(2 * draws));
          const within = pulls.filter((pull) => Math.abs(pull) < 1).length / draws;
          expect(within).toBeGreaterThan(0.6);
          expect(within).toBeLessThan(0.76);
        }
      }
    },
  );

  test("also where the contact is far stiffer than the lever, if fitted over the height", () => {
    const truth = { ...LAYER, modulus_Pa: 3e10, k_N_per_m: 4, noise_N: 0.6e-9 };
    const normal = normals(11);
    const curves = Array.from({ length: 200 }, () => makeCurve(truth, normal));
    const mean = (residual: string) => {
      const { modulus: rows } = fit(curves, truth, { residual });
      const pulls = [...rows.modulus].map((E, i) => (E - truth.modulus_Pa) / rows.modulus_se[i]);
      return pulls.reduce((sum, pull) => sum + pull, 0) / pulls.length;
    };
    expect(Math.abs(mean("height"))).toBeLessThan(0.3);
    expect(Math.abs(mean("weighted-height"))).toBeLessThan(0.3);
    expect(mean("tip-position")).toBeLessThan(-5); // as every program that fits over the tip position
  });

  test("of the sample alone, where the tip gives way too", () => {
    const [sample, tip] = [30e9, 165e9];
    const reduced = 1 / ((1 - 0.3 ** 2) / sample + (1 - 0.27 ** 2) / tip);
    const curve = makeCurve({ ...LAYER, poisson: 0, modulus_Pa: reduced });
    const { modulus: row } = fit([curve], LAYER, { tip_modulus: "165 GPa" });
    expect(relative(row.modulus[0], sample)).toBeLessThan(1e-6);
    const rigid = fit([curve], LAYER).modulus;
    expect(relative(rigid.modulus[0], sample)).toBeGreaterThan(0.1);
    const soft = fit([curve], LAYER, { tip_modulus: "20 GPa" }).modulus;
    expect([soft.valid[0], soft.modulus[0]]).toEqual([7, NaN]);
  });

  test("from the retract, from part of the load, and with samples missing", () => {
    const curve = makeCurve(PARABOLOID);
    const back: Curve = {
      height: curve.height.toReversed(),
      force: curve.force.toReversed(),
      segment: new Uint8Array(256).fill(1),
    };
    expect(relative(fit([back], PARABOLOID, { segment: "retract" }).modulus.modulus[0], 5e3)).toBeLessThan(
      1e-7,
    );
    expect(fit([back], PARABOLOID).modulus.valid[0]).toBe(4);
    const half = fit([curve], PARABOLOID, { max_force_fraction: 0.5 }).modulus;
    expect(relative(half.modulus[0], 5e3)).toBeLessThan(1e-7);
    expect(half.max_force[0]).toBeLessThanOrEqual(1e-9);
    const holes = { ...curve, force: curve.force.map((f, i) => (i % 17 ? f : NaN)) };
    const { modulus: row } = fit([holes], PARABOLOID);
    expect(relative(row.modulus[0], 5e3)).toBeLessThan(1e-7);
    expect(row.samples[0]).toBe(256 - 16);
  });

  test("and how much an error of the deflection sensitivity would change it", () => {
    for (const [modulus_Pa, k_N_per_m] of [
      [1e9, 40],
      [30e9, 40],
      [10e9, 4],
    ] as const) {
      const truth = { ...LAYER, modulus_Pa, k_N_per_m };
      const curve = makeCurve(truth);
      const more = { ...curve, force: curve.force.map((f) => f * (1 + 1e-6)) };
      for (const given of [{}, { tip_modulus: "165 GPa" }, { residual: "tip-position" }]) {
        const [one, other] = [fit([curve], truth, given).modulus, fit([more], truth, given).modulus];
        const seen = (other.modulus[0] / one.modulus[0] - 1) / 1e-6;
        expect(seen / one.sensitivity_amplification[0]).toBeCloseTo(1, 2);
      }
      // about that of the largest load
      const { sensitivity_amplification, max_force, max_indentation } = fit([curve], truth).modulus;
      const roughly = 1 + (1.5 * max_force[0]) / (k_N_per_m * max_indentation[0]);
      expect(relative(sensitivity_amplification[0], roughly)).toBeLessThan(0.2);
    }
  });

  test("at the lowest of all minima", () => {
    const normal = normals(5);
    const curves = Array.from({ length: 30 }, (_, i) =>
      makeCurve(
        { ...PARABOLOID, samples: 64 + 7 * i, noise_N: 2e-9 / (3 + 8 * i), inContact: 0.03 + i / 40 },
        normal,
      ),
    );
    const { modulus: rows } = fit(curves, PARABOLOID, {
      min_baseline: 0,
      min_significance: 0,
      residual: "tip-position",
    });
    curves.forEach((curve, i) => {
      if (rows.valid[i] !== 0) return;
      expect(rows.chi_square[i] / lowestByScan(curve, PARABOLOID.k_N_per_m)).toBeLessThan(1.00001);
    });
    expect([...rows.valid].filter((reason) => reason === 0).length).toBeGreaterThan(25);
  });
});

/** Least sum of squares over contact points four times as dense as the samples, by brute force. */
function lowestByScan({ height, force }: Curve, k: number): number {
  const n = force.length;
  const tip = height.map((h, i) => h + force[i]! / k);
  const sorted = tip.toSorted();
  const mean = force.reduce((a, b) => a + b) / n;
  let lowest = Infinity;
  for (let j = 4; j < 4 * (n - 1); j++) {
    const [low, high] = [sorted[Math.floor(j / 4)]!, sorted[Math.floor(j / 4) + 1]!];
    const c = low + ((high - low) * (j % 4)) / 4;
    const g = tip.map((x) => Math.max(0, c - x) ** 1.5);
    const mg = g.reduce((a, b) => a + b) / n;
    const gg = g.reduce((a, b) => a + (b - mg) ** 2, 0);
    const gf = g.reduce((a, b, i) => a + (b - mg) * (force[i]! - mean), 0);
    const a = Math.max(0, gf / gg);
    lowest = Math.min(lowest, g.reduce((sum, b, i) => sum + (force[i]! - mean - a * (b - mg)) ** 2, 0)); // prettier-ignore
  }
  return lowest;
}

describe("properties", () => {
  test("twice the force and twice the spring constant give twice the modulus", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        (seed, factor) => {
          const curve = makeCurve({ ...PARABOLOID, noise_N: 2e-11 }, normals(seed));
          const more = { ...curve, force: curve.force.map((f) => f * factor) };
          const k = PARABOLOID.k_N_per_m;
          const one = fit([curve], PARABOLOID).modulus;
          const other = fit([more], { ...PARABOLOID, k_N_per_m: k * factor }).modulus;
          expect(relative(other.modulus[0], one.modulus[0] * factor)).toBeLessThan(1e-6);
          expect(relative(other.modulus_se[0], one.modulus_se[0] * factor)).toBeLessThan(1e-6);
        },
      ),
      { seed: 1, numRuns: 30 },
    );
  });

  test("cutting a stream into other batches changes no bit", () => {
    const normal = normals(3);
    const curves = Array.from({ length: 12 }, (_, i) =>
      makeCurve({ ...CONE, samples: 100 + 13 * i, noise_N: 2e-11 }, normal),
    );
    const whole = fit(curves, CONE);
    for (const rows of [1, 2, 5]) expect(fit(curves, CONE, {}, rows)).toEqual(whole);
  });
});

describe("a curve that cannot be fitted is a row that says why", () => {
  const normal = normals(2);
  const flat = makeCurve({ ...PARABOLOID, maxForce_N: 1e-16, noise_N: 1e-11 }, normal);
  const good = makeCurve({ ...PARABOLOID, noise_N: 2e-12 }, normal);
  const part = (from: number, to?: number): Curve => ({
    height: good.height.slice(from, to),
    force: good.force.slice(from, to),
    segment: good.segment.slice(from, to),
  });
  test.each<[string, number, Curve, Record<string, unknown>]>([
    ["no contact", 1, flat, {}],
    ["repulsion that is none", 1, { ...good, force: good.force.map((f) => -f) }, {}],
    ["in contact from the start", 2, part(190), {}],
    ["baseline shorter than wanted", 2, good, { min_baseline: 0.9 }],
    ["saturated", 3, { ...good, force: good.force.map((f) => Math.min(f, 1.5e-9)) }, {}],
    ["one sample", 4, part(0, 1), {}],
    ["no samples", 4, part(0, 0), {}],
    ["force missing", 5, { ...good, force: good.force.map(() => NaN) }, {}],
    ["contact of few samples", 6, part(0, 182), { min_significance: 0 }],
  ])("%s", (_, reason, curve, more) => {
    const { modulus: row, fits } = fit([curve], PARABOLOID, more);
    expect(row.valid[0]).toBe(reason);
    for (const name of [
      "modulus",
      "modulus_se",
      "contact_point",
      "contact_point_se",
      "baseline",
      "max_indentation",
      "max_force",
      "sensitivity_amplification",
      "chi_square",
    ]) {
      expect(row[name][0]).toBeNaN();
    }
    expect(fits.time.length).toBe(0);
  });

  test("pure noise is never taken for a contact", () => {
    const noise = Array.from({ length: 200 }, () =>
      makeCurve({ ...PARABOLOID, maxForce_N: 1e-18, noise_N: 1e-11 }, normal),
    );
    expect([...fit(noise, PARABOLOID).modulus.valid].every((reason) => reason !== 0)).toBe(true);
  });

  test("without a spring constant, and beside good ones", () => {
    const columns = columnsOf([good, good, good], 0.05);
    columns.spring_constant[1] = NaN;
    const { modulus: rows, fits } = feed(modulus, { curves: columns }, { with: options(PARABOLOID) });
    expect([...rows.valid]).toEqual([0, 5, 0]);
    expect([...fits.time]).toEqual([columns.time[0], columns.time[2]]);
  });
});

describe("fits", () => {
  const curves = [makeCurve(PARABOLOID), makeCurve({ ...PARABOLOID, samples: 100 })];

  test("hold the curve and the model over the same samples", () => {
    const { fits, modulus: row } = fit(curves, PARABOLOID, { fit_points: 1000 });
    expect([...fits.indentation.offsets]).toEqual([0, 256, 356]);
    expect([...fits.force.offsets]).toEqual([...fits.fit.offsets]);
    for (let i = 0; i < 356; i++)
      expect(Math.abs(fits.force.values[i] - fits.fit.values[i])).toBeLessThan(1e-6 * 2e-9);
    expect([...fits.modulus]).toEqual([...row.modulus]);
    expect([...fits.index]).toEqual([0, 1]);
  });

  test("or means of neighbouring samples, at most so many a curve; or none", () => {
    const { fits } = fit(curves, PARABOLOID);
    expect([...fits.force.offsets]).toEqual([0, 64, 128]);
    const mean = curves[0]!.force.subarray(252).reduce((a, b) => a + b) / 4;
    expect(relative(fits.force.values[63], mean)).toBeLessThan(1e-6);
    expect(fit(curves, PARABOLOID, { fit_points: 0 }).fits.time.length).toBe(0);
  });

  test("follow the model of adhesion too", () => {
    for (const model of ["dmt", "jkr"]) {
      const truth = {
        reducedModulus_Pa: 1e8,
        adhesion_N: 5e-9,
        tipRadius_m: 2e-8,
        k_N_per_m: 40,
        maxForce_N: 2e-8,
        samples: 256,
      };
      const made = model === "dmt" ? dmtBranches(truth).retract : jkrRetract(truth);
      const { fits } = fit(
        [backOf(made)],
        { ...PARABOLOID, tipRadius_m: 2e-8, k_N_per_m: 40 },
        { model, fit_points: 256, poisson_ratio: 0.3 },
      );
      for (let i = 0; i < 256; i++)
        if (fits.force.values[i] > 0)
          expect(Math.abs(fits.force.values[i] - fits.fit.values[i])).toBeLessThan(0.01 * truth.maxForce_N);
    }
  });
});

test("a tip that is not described stops the start", () => {
  const start = (given: Record<string, unknown>) =>
    feed(modulus, { curves: columnsOf([], 1) }, { with: given });
  expect(() => start({})).toThrow(WiringError);
  expect(() => start({})).toThrow(/tip_radius must be given for hertz-paraboloid: .* such as 10 nm/);
  expect(() => start({ model: "hertz-cone", tip_radius: "10 nm" })).toThrow(
    /half_angle must be given for hertz-cone: .*between its axis and its flank/,
  );
  expect(start({ tip_radius: "10 nm" }).modulus.time.length).toBe(0);
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("agrees with nanite 4.2.0", () => {
  // oxlint-disable-next-line no-explicit-any
  const read = (name: string): any =>
    existsSync(shared) ? JSON.parse(readFileSync(`${shared}${name}`, "utf8")) : { files: {} };
  const { files } = read("expected_shared.json");
  const names = Object.keys(files).filter((name) => files[name].curves?.[0]?.fits);
  const byHand = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };

  test.each(names)("%s", async (name) => {
    const file = await jpkForce.open(`${shared}${name}`, () => 0n);
    const { numbers, read } = file.curves!;
    for (const [i, peer] of files[name].curves.entries()) {
      const { height_m: height, force_N: force, segment, springConstant_N_per_m: k } = await read.call(file.curves, numbers[i]!, byHand); // prettier-ignore
      for (const [key, given] of [
        ["A_para_R10um_nu0.5_w0", { model: "hertz-paraboloid", tip_radius: "10 um" }],
        ["C_cone_a25_nu0.5_w0", { model: "hertz-cone", half_angle: "25 deg" }],
        ["D_pyr3s_a5_nu0.5_w0", { model: "pyramid-3", half_angle: "5 deg" }],
        ["E_snedsphere_R10um_nu0.5_w0", { model: "sphere", tip_radius: "10 um" }],
      ] as const) {
        const curves = columnsOf([{ height, force, segment }], k);
        const peers = feed(modulus, { curves }, { with: { ...given, residual: "tip-position" } }).modulus;
        const { E_Pa, chi_sqr, contact_point_m } = peer.fits[key];
        expect(peers.valid[0]).toBe(0);
        expect(relative(peers.modulus[0], E_Pa)).toBeLessThan(1e-3);
        expect(peers.chi_square[0] / chi_sqr).toBeLessThan(1.00001);
        const shift = height[0]! + force[0]! / k - peer.tip_position0_m; // nanite counts from the contact point that it guessed
        expect(Math.abs(peers.contact_point[0] - shift - contact_point_m)).toBeLessThan(5e-10);
        // By default the noise in the tip position makes no modulus lower: 3.5 % of it at most on these curves.
        const { modulus: ours } = feed(modulus, { curves }, { with: given });
        expect(relative(ours.modulus[0], E_Pa)).toBeLessThan(0.04);
      }
    }
    await file.close();
  });

  test("and with the truth of analytic curves of 0.3 to 30 GPa", () => {
    for (const { truth, height_m, force_N } of read("synthetic/sei_like_curves.json")) {
      const model = ({ hertz: "hertz-paraboloid", cone: "hertz-cone", sphere: "sphere", layer: "hertz-paraboloid" } as Record<string, Truth["model"]>)[truth.kind]; // prettier-ignore
      if (!model) continue; // of DMT there is no retract here
      const curve = {
        height: Float64Array.from(height_m),
        force: Float64Array.from(force_N),
        segment: new Uint8Array(height_m.length),
      };
      const known = { model, modulus_Pa: truth.E_Pa, k_N_per_m: truth.k_N_per_m, tipRadius_m: truth.R_m, halfAngle_deg: truth.alpha_deg, poisson: truth.nu, maxForce_N: 0 }; // prettier-ignore
      const layer = truth.kind === "layer" ? { layer_thickness: `${truth.layer_thickness_m} m`, layer_theory: "dimitriadis" } : {}; // prettier-ignore
      const { modulus: row } = fit([curve], known, layer);
      expect(relative(row.modulus[0], truth.E_Pa)).toBeLessThan(5e-3);
      expect(Math.abs(row.contact_point[0])).toBeLessThan(5e-11);
    }
  });
});
