import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { impedance } from "../../../operators/echem/impedance.ts";
import { concat } from "../../../runtime/index.ts";
import { IMPEDANCE, Spectra } from "../../../sources/echem/spectra.ts";
import { feed } from "../../helpers/feed.ts";
import { echemOf, sharedThere } from "./field-files.ts";
import { farad, frequencies, henry, normals, ohm, rc, rl, rowsOf, series, spectrum, warburg, zarc, type Element, type Made } from "./made-spectra.ts"; // prettier-ignore

const VALID = 0, FEW = 1, MANY = 2, NOT_MET = 3, LOOP = 4, NO_ELEMENTS = 5; // prettier-ignore
const UNKNOWN = -1, CROSSED = 0, EXTRAPOLATED = 1; // prettier-ignore
const NO_ARC = -1, WHOLE = 0, OPEN = 1; // prettier-ignore

const read = (spectra: readonly Made[], options: Record<string, unknown> = {}) =>
  feed(impedance, { impedance: rowsOf(spectra) }, { with: options });
const one = (made: Made, options?: Record<string, unknown>) => {
  const { spectra } = read([made], options);
  return Object.fromEntries(Object.entries(spectra).map(([name, values]) => [name, Number((values as Float64Array)[0])])) as Record<string, number>;
}; // prettier-ignore
const F = frequencies(1e5, 7);

describe("ground truth", () => {
  test("resistance, arc and diffusion", () => {
    const row = one(spectrum(F, series(ohm(10), rc(20, 1.3e-3), warburg(5))));
    expect(row).toMatchObject({
      valid: VALID,
      series_resistance_by: EXTRAPOLATED,
      arc: WHOLE,
      arcs: 1,
      points: 50,
    });
    expect(row["series_resistance"]).toBeCloseTo(10, 5);
    expect(row["charge_transfer_resistance"]).toBeCloseTo(20, 5);
    expect(row["time_constant"]).toBeCloseTo(1.3e-3, 9);
    expect(row["apex_frequency"]).toBeCloseTo(1 / (2 * Math.PI * 1.3e-3), 3);
    expect(row["capacitance"]! * 20).toBeCloseTo(1.3e-3, 9);
  });

  test("of two arcs the larger one, and how many; the intercept where inductance crosses the axis", () => {
    const of = series(ohm(10), henry(3e-6), rc(8, 2e-5), rc(20, 3e-3), farad(5));
    const row = one(spectrum(F, of));
    expect(row).toMatchObject({ valid: VALID, series_resistance_by: CROSSED, arcs: 2, arc: WHOLE });
    expect(row["charge_transfer_resistance"]).toBeCloseTo(20, 3);
    // where -Z" is zero, by bisection
    let [low, high] = [1e3, 1e6];
    for (let i = 0; i < 60; i++) {
      const middle = Math.sqrt(low * high);
      if (of(middle)[1] > 0) high = middle;
      else low = middle;
    }
    expect(Math.abs(row["series_resistance"]! - of(low)[0])).toBeLessThan(0.1);
  });

  test("a depressed arc: its diameter and its apex", () => {
    const row = one(spectrum(F, series(ohm(5), zarc(30, 1e-3, 0.8))));
    expect(Math.abs(row["charge_transfer_resistance"]! - 30)).toBeLessThan(0.6);
    expect(Math.abs(row["time_constant"]! / 1e-3 - 1)).toBeLessThan(0.05);
    expect(row["arcs"]).toBe(1);
  });

  test("an arc whose end was not reached says so; where there is none there is no number", () => {
    const open = one(spectrum(frequencies(1e5, 5.5), series(ohm(1), rc(20, 0.2))));
    expect(open).toMatchObject({ arc: OPEN });
    expect(open["charge_transfer_resistance"]).toBeCloseTo(20, 3);
    const none = one(spectrum(F, series(ohm(10), warburg(3)), 1e-3));
    expect(none).toMatchObject({ arc: NO_ARC, arcs: 0, charge_transfer_resistance: NaN, capacitance: NaN });
    expect(Math.abs(none["series_resistance"]! - 10)).toBeLessThan(0.05);
  });

  test("what RC elements cannot make up gives no arc, and no resistance beyond what was measured", () => {
    const row = one(spectrum(F, series(ohm(10), rc(20, 1e-3), rl(8, 0.3), rc(5, 3)), 1e-3));
    expect(row).toMatchObject({
      valid: NO_ELEMENTS,
      arc: NO_ARC,
      arcs: NaN,
      charge_transfer_resistance: NaN,
      series_resistance: NaN,
      series_resistance_by: UNKNOWN,
    });
    expect(row["residual"]).toBeLessThan(0.2);
  });

  test("an inductive loop at the end is told, and the arc before it found", () => {
    const row = one(spectrum(frequencies(1e4, 7), series(ohm(2), rc(20, 1e-3), rl(6, 5))));
    expect(row).toMatchObject({ valid: LOOP });
    expect(row["residual"]).toBeLessThan(0.2);
    expect(Math.abs(row["charge_transfer_resistance"]! - 20)).toBeLessThan(3);
  });
});

test("an end that only noise lifts above the real axis is no loop", () => {
  const normal = normals(5);
  const { spectra } = read(Array.from({ length: 30 }, () => spectrum(F, series(ohm(10), rc(20, 3e-3)), 3e-3, normal)));
  expect([...spectra.valid]).toEqual(Array(30).fill(VALID));
}); // prettier-ignore

test("values lie within their standard errors as often as they should", () => {
  const normal = normals(11);
  const truth = { series_resistance: 10, charge_transfer_resistance: 20, time_constant: 3e-3, capacitance: 3e-3 / 20 };
  const of = series(ohm(10), rc(8, 2e-5), rc(20, 3e-3), warburg(5));
  const runs = 60;
  const { spectra } = read(Array.from({ length: runs }, () => spectrum(F, of, 3e-3, normal)), { max_residual: "2 %" });
  for (const [name, value] of Object.entries(truth)) {
    const z = Array.from({ length: runs }, (_, i) => (spectra[name][i] - value) / spectra[`${name}_se`][i]);
    // 95 % of normal deviates; of 60, chance alone makes it 88 to 100 %.
    expect(z.filter((one) => Math.abs(one) < 1.96).length / runs).toBeGreaterThan(0.86);
    expect(Math.sqrt(z.reduce((sum, one) => sum + one * one, 0) / runs)).toBeGreaterThan(0.7);
    expect(Math.abs(z.reduce((sum, one) => sum + one, 0) / runs)).toBeLessThan(0.5);
  }
  const crossing = read(Array.from({ length: runs }, () => spectrum(F, series(ohm(10), henry(3e-6), rc(20, 3e-3)), 3e-3, normal)));
  const least = one(spectrum(F, series(ohm(10), henry(3e-6), rc(20, 3e-3))));
  const z = Array.from(crossing.spectra.series_resistance as Float64Array, (R, i) => (R - least["series_resistance"]!) / crossing.spectra.series_resistance_se[i]);
  expect(Math.sqrt(z.reduce((sum, one) => sum + one * one, 0) / runs)).toBeGreaterThan(0.6);
  expect(Math.sqrt(z.reduce((sum, one) => sum + one * one, 0) / runs)).toBeLessThan(1.5);
}); // prettier-ignore

describe("drift between frequencies", () => {
  /** Measured one after the other, while the arc grows by `rate_Ohm_per_s`. */
  const drifting = (rate_Ohm_per_s: number, noise = 0, grid = F): Made[] => {
    const normal = normals(2);
    const each_s = 1200 / grid.length;
    return [0, 1, 2].map((k): Made => {
      const end_s = 2000 + k * 1500;
      const offset = grid.map((_, i) => (i - grid.length + 1) * each_s);
      const shifted = k === 1 ? grid : grid.map((f) => f * 1.07);
      const z = shifted.map((f, i) => spectrum([f], at(rate_Ohm_per_s, end_s + offset[i]!), noise, normal).z[0]!);
      return { frequency: shifted, z, offset, time_s: end_s };
    });
  };
  const at = (rate: number, t_s: number): Element => series(ohm(10 + 0.2 * rate * t_s), rc(20 + rate * t_s, 0.2), rc(5 + rate * t_s, 4));

  test("fails the test as measured, and passes as of one instant", () => {
    const made = drifting(0.02);
    const asMeasured = read(made).spectra;
    expect([...asMeasured.valid]).toEqual([NOT_MET, NOT_MET, NOT_MET]);
    const { spectra, corrected, fit } = read(made, { drift_correction: "interpolate" });
    expect([...spectra.valid]).toEqual([NOT_MET, VALID, VALID]);
    expect([...spectra.corrected]).toEqual([0, 1, 1]);
    expect([...spectra.residual_measured]).toEqual([...asMeasured.residual]);
    for (const i of [1, 2]) expect(spectra.residual[i]).toBeLessThan(spectra.residual_measured[i] / 5);
    expect(spectra.drift[0]).toBeNaN();
    expect(spectra.drift[2]).toBeGreaterThan(3);
    expect([...corrected.index]).toEqual([1, 2]);
    // The truth at that instant, but for what interpolating between frequencies costs.
    for (const row of [0, 1]) {
      const truth = at(0.02, Number(corrected.instant[row]) / 1e9);
      for (let i = corrected.frequency.offsets[row]; i < corrected.frequency.offsets[row + 1]; i++) {
        const [re, im] = truth(2 * Math.PI * corrected.frequency.values[i]);
        const size = Math.hypot(re, im);
        expect(Math.abs(corrected.z_real.values[i] - re) / size).toBeLessThan(2e-3);
        expect(Math.abs(corrected.z_imaginary.values[i] - im) / size).toBeLessThan(2e-3);
      }
    }
    expect(fit.frequency.offsets[1]).toBe(F.length);
  });

  test("without drift nothing changes but the noise; nothing is interpolated over a long time, or between electrodes", () => {
    const still = read(drifting(0, 1e-3), { drift_correction: "interpolate" }).spectra;
    expect([...still.valid]).toEqual([VALID, VALID, VALID]);
    expect(still.drift[1]).toBeLessThan(0.1);
    const far = read(drifting(0.02), { drift_correction: "interpolate", longest_interval: "20 min" });
    expect([...far.spectra.corrected]).toEqual([0, 0, 0]);
    expect(far.corrected.time.length).toBe(0);
    const other = read(drifting(0.02).map((made, i) => ({ ...made, electrode: i % 2 })), { drift_correction: "interpolate" });
    expect([...other.spectra.corrected]).toEqual([0, 0, 1]);
  });

  test("without the time of each frequency there is no correction", () => {
    const { offset: _, ...rows } = rowsOf(drifting(0.02));
    const { spectra } = feed(impedance, { impedance: rows }, { with: { drift_correction: "interpolate" } });
    expect([...spectra.corrected]).toEqual([0, 0, 0]);
    expect(spectra.duration[0]).toBeNaN();
  });
}); // prettier-ignore

describe("what comes in", () => {
  const of = series(ohm(1), rc(2, 1e-2));

  test("the order of frequencies does not matter, nor do points that are missing", () => {
    const made = spectrum(F, of, 1e-3);
    const reversed = { frequency: made.frequency.toReversed(), z: made.z.toReversed() };
    const broken = { frequency: [5, ...made.frequency, NaN], z: [[NaN, 0] as const, ...made.z, [1, 1] as const] };
    const row = one(made);
    expect(one(reversed)).toMatchObject({ ...row, duration: 49 });
    const { duration: _d, ...rest } = row;
    expect(one(broken)).toMatchObject(rest);
  });

  test("too few, too many, none: a row that says so", () => {
    const few = one(spectrum(frequencies(1e3, 4, 1), of));
    expect(few).toMatchObject({ valid: FEW, points: 5, residual: NaN, series_resistance: NaN, highest_frequency: 1e3 });
    const five = spectrum(frequencies(1e3, 4, 1), of);
    expect(one({ frequency: [...five.frequency, ...five.frequency], z: [...five.z, ...five.z] })).toMatchObject({ valid: FEW });
    expect(one({ frequency: [], z: [] })).toMatchObject({ valid: FEW, points: 0, highest_frequency: NaN });
    expect(one(spectrum(frequencies(1e5, 1.025, 1000), of))).toMatchObject({ valid: MANY, points: 1026 });
    expect(one(spectrum(frequencies(1e3, 5, 1), of))["points"]).toBe(6);
  });

  test("pure resistance, pure inductance, pure capacitance", () => {
    for (const noise of [0, 1e-3]) {
      expect(one(spectrum(F, ohm(2), noise))["arcs"]).not.toBeGreaterThan(0);
      expect(one(spectrum(F, series(ohm(2), henry(1e-3)), noise))).toMatchObject({ arc: NO_ARC });
      const blocking = one(spectrum(F, series(ohm(2), farad(1e-4)), noise));
      expect(blocking).toMatchObject({ arc: NO_ARC, valid: VALID });
      expect(blocking["series_resistance"]).toBeCloseTo(2, 2);
    }
  });

  test("curves of unequal length are a fault, and the rest goes on", () => {
    const rows = rowsOf([spectrum(F, of), spectrum(F, of)]);
    const bad = { ...rows, z_real: { values: rows.z_real.values.slice(1), offsets: Int32Array.of(0, F.length - 1, 2 * F.length - 1) } };
    const { spectra, faults } = feed(impedance, { impedance: bad });
    expect([...spectra.index]).toEqual([1]);
    expect(faults.map(({ what }: { what: string }) => what)).toEqual([
      "spectrum 0 has curves of 50, 49, 50, 50 values; frequency, z_real, z_imaginary and offset must have one for each frequency",
    ]);
  });

  test("no rows", () => {
    expect(read([]).spectra.time.length).toBe(0);
  });
}); // prettier-ignore

test("cut, saved and loaded anywhere, not one bit changes; a larger cell has the same spectrum, larger", () => {
  const short = frequencies(1e4, 5, 5);
  const part = fc.record({ R: fc.double({ min: 1, max: 50, noNaN: true }), tau: fc.double({ min: 1e-4, max: 1e-1, noNaN: true }), electrode: fc.integer({ min: 0, max: 2 }) });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.integer({ min: 1, max: 3 }), fc.array(fc.integer({ min: 1, max: 4 })), (parts, rows, reloadAfter) => {
      const normal = normals(parts.length);
      const made = parts.map(({ R, tau, electrode }) => ({ ...spectrum(short, series(ohm(5), rc(R, tau), warburg(1)), 2e-3, normal), electrode }));
      const input = { impedance: rowsOf(made) };
      const options = { with: { drift_correction: "interpolate" } };
      const whole = feed(impedance, input, options);
      expect(feed(impedance, input, { ...options, rows, reloadAfter })).toEqual(whole);
      const larger = rowsOf(made);
      for (const values of [larger.z_real.values, larger.z_imaginary.values]) values.forEach((value, i) => (values[i] = value * 4));
      const again = feed(impedance, { impedance: larger }, options);
      for (const i of made.keys()) {
        expect(again.spectra.residual[i]).toBeCloseTo(whole.spectra.residual[i], 6);
        expect(again.spectra.series_resistance[i] / whole.spectra.series_resistance[i]).toBeCloseTo(4, 4);
      }
    }),
    { numRuns: 12, seed: 3 },
  );
}); // prettier-ignore

describe.runIf(sharedThere)("files of the field", () => {
  async function spectraOf(name: string) {
    const { columns, fields } = await echemOf(name);
    const spectra = new Spectra();
    spectra.begin(fields);
    const parts = [spectra.take(columns as never, columns.time), spectra.end()].filter((part) => part !== undefined);
    return concat(parts, IMPEDANCE) as never;
  }

  // A symmetric cell under a stack force that falls: 32 spectra from 1 MHz, where the cable still bends them.
  test("vsp_peis_with.mpr: resistance grows as the force falls", async () => {
    const { spectra, faults } = feed(impedance, { impedance: await spectraOf("vsp_peis_with.mpr") }, { with: { max_residual: "1.5 %" } });
    expect(faults).toEqual([]);
    expect(spectra.time.length).toBe(32);
    expect([...spectra.valid]).toEqual(Array(32).fill(VALID));
    expect([...spectra.series_resistance_by]).toEqual(Array(32).fill(CROSSED));
    // Read off the vendor's export: Z" passes zero between 11.8 and 9.35 kHz, at 14.58 to 14.60 Ohm.
    expect(spectra.series_resistance[0]).toBeGreaterThan(14.58);
    expect(spectra.series_resistance[0]).toBeLessThan(14.61);
    expect(spectra.series_resistance[31]).toBeGreaterThan(25);
    expect(spectra.series_resistance[31]).toBeLessThan(28);
    for (let i = 0; i < 32; i++) expect(spectra.arc[i]).toBe(OPEN);
  });

  test("peis.mpr, PEIS-0.mpr, geis.issue_149.mpr: three electrodes, one, and one that is mostly noise", async () => {
    const three = feed(impedance, { impedance: await spectraOf("peis.mpr") });
    expect([[...three.spectra.electrode], [...three.spectra.points]]).toEqual([[0, 1, 2], [32, 32, 32]]);
    expect([...three.spectra.valid]).toEqual([NOT_MET, NOT_MET, NOT_MET]);
    const clean = feed(impedance, { impedance: await spectraOf("PEIS-0.mpr") }).spectra;
    expect([clean.valid[0], clean.arc[0]]).toEqual([VALID, WHOLE]);
    expect(clean.residual[0]).toBeLessThan(0.5);
    expect(Math.abs(clean.charge_transfer_resistance[0] - 66)).toBeLessThan(3);
    expect(feed(impedance, { impedance: await spectraOf("geis.issue_149.mpr") }).spectra.time.length).toBe(4);
  });

  test("exampleData.csv: the peer's textbook cell, its intercept and its arc", () => {
    const rows = readFileSync(new URL("../../../../shared/data/echem/gamry/exampleData.csv", import.meta.url), "utf8")
      .trim().split("\n").map((line) => line.split(",").map(Number));
    const row = one({ frequency: rows.map(([f]) => f!), z: rows.map(([, re, im]) => [re!, im!] as const) });
    expect(row).toMatchObject({ valid: VALID, series_resistance_by: CROSSED, points: 66 });
    // Z" changes its sign between 1259 Hz (15.81 mOhm) and 1585 Hz (15.58 mOhm).
    expect(row["series_resistance"]).toBeGreaterThan(15.58e-3);
    expect(row["series_resistance"]).toBeLessThan(15.81e-3);
    expect(Math.abs(row["charge_transfer_resistance"]! - 16.9e-3)).toBeLessThan(1e-3);
    expect(Math.abs(row["apex_frequency"]! - 6.3)).toBeLessThan(1);
  });

  test.runIf(existsSync(new URL("../../../../shared/data/echem/gamry/exampleDataGamry.DTA", import.meta.url)))("exampleDataGamry.DTA: an arc that has not ended at either side", () => {
    const lines = readFileSync(new URL("../../../../shared/data/echem/gamry/exampleDataGamry.DTA", import.meta.url), "latin1").split(/\r?\n/);
    const from = lines.findIndex((line) => line.startsWith("ZCURVE")) + 3;
    const rows = lines.slice(from).filter((line) => line.startsWith("\t")).map((line) => line.split("\t").map(Number));
    const row = one({ frequency: rows.map((cells) => cells[3]!), z: rows.map((cells) => [cells[4]!, cells[5]!] as const) });
    expect(row["points"]).toBe(72);
    expect(row["series_resistance_by"]).not.toBe(CROSSED);
    expect(row["highest_frequency"]).toBe(200015.6);
    expect(row["valid"]).toBe(NOT_MET);
  });
}); // prettier-ignore
