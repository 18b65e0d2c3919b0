import { describe, expect, test } from "vitest";
import { calibration } from "../../../operators/mechanics/calibration.ts";
import { hydrodynamic, reynolds } from "../../../operators/mechanics/sader.ts";
import { outputSchemas } from "../../../runtime/instance.ts";
import { readConfig } from "../../../runtime/config.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws, spreadOf } from "./draws.ts";

const KB = 1.380649e-23;
const T = 298.15;
const [K, S] = [0.3, 5e-8]; // N/m, m/V: what all spectra here are made of
const [F0, Q] = [24_000, 2.5];
const A2 = (0.817 * KB * T) / (K * S * S) / ((Math.PI / 2) * F0 * Q);

function spectra(count: number, { averages = 0, plateau = A2, seed = 5 } = {}) {
  const normal = normalDraws(seed);
  const bins = 1200;
  const frequency = new Float64Array(count * bins);
  const power = frequency.map((_, i) => {
    const f = (i % bins) * 50;
    const S = 1e-11 + (plateau * F0 ** 4) / ((f * f - F0 * F0) ** 2 + ((f * F0) / Q) ** 2);
    let sum = 0;
    for (let k = 0; k < 2 * averages; k++) sum += normal() ** 2;
    frequency[i] = f;
    return averages > 0 ? (S * sum) / (2 * averages) : S;
  });
  const offsets = Int32Array.from({ length: count + 1 }, (_, i) => i * bins);
  const time = BigInt64Array.from({ length: count }, (_, i) => BigInt(i + 1) * 60_000_000_000n);
  return { time, frequency: { values: frequency, offsets }, power: { values: power, offsets } };
}
const run = (given: Record<string, unknown>, rows: object = spectra(1), more = {}) =>
  feed(calibration, { spectra: rows as never }, { with: given, ...more });

test("thermal: the spring constant that the spectrum was made of, from the sensitivity", () => {
  const { calibration: out, faults } = run({ deflection_sensitivity: "50 nm/V" });
  expect(out.spring_constant[0] / K).toBeCloseTo(1, 6);
  expect(out.deflection_sensitivity[0]).toBe(5e-8);
  expect(out.deflection_sensitivity_se[0]).toBeNaN(); // nobody said
  expect(out.resonance_frequency[0] / F0).toBeCloseTo(1, 6);
  expect([out.valid[0], out.method[0], out.temperature[0]]).toEqual([0, 0, T]);
  expect(faults).toEqual([]);
});

test("contact-free: the sensitivity, from the spring constant", () => {
  const { calibration: out } = run({ method: "contact-free", spring_constant: "0.3 N/m" });
  expect(out.deflection_sensitivity[0] / S).toBeCloseTo(1, 6);
});

test("sader: both, from plan and fluid; what its theory says of such a lever in water", () => {
  // the plan for which this f₀ and Q mean 0.3 N/m, found by length, in which k is linear
  const width = 2e-5;
  const water = { density_kg_per_m3: 997, viscosity_Pa_s: 8.9e-4 };
  const omega = 2 * Math.PI * F0;
  const perLength =
    0.1906 * 997 * width ** 2 * Q * hydrodynamic(reynolds(width, water, omega)).im * omega ** 2;
  const given = { method: "sader", lever_width: "20 um", lever_length: `${K / perLength} m`, fluid_density: "997 kg/m3", fluid_viscosity: "890 uPa.s" }; // prettier-ignore
  const { calibration: out } = run(given);
  expect(out.spring_constant[0] / K).toBeCloseTo(1, 5);
  expect(out.deflection_sensitivity[0] / S).toBeCloseTo(1, 5);
});

test("gci: C Q f₀^1.3 with f₀ in kHz", () => {
  const { calibration: out } = run({ method: "gci", gci_coefficient: K / (Q * 24 ** 1.3) });
  expect(out.spring_constant[0] / K).toBeCloseTo(1, 5);
  expect(out.deflection_sensitivity[0] / S).toBeCloseTo(1, 5);
});

test("the convention counts, and stands in the metadata", () => {
  const of = (given: object): number => run({ deflection_sensitivity: "50 nm/V", ...given }).calibration.spring_constant[0]; // prettier-ignore
  expect(of({ convention: "v-shaped" }) / of({})).toBeCloseTo(0.764 / 0.817, 9);
  expect(of({ convention: "point-mass" }) / of({})).toBeCloseTo(1 / 0.817, 9);
  expect(of({ correction: 0.9 }) / of({})).toBeCloseTo(0.9 / 0.817, 9);
  const told = (given: object) => {
    const { config } = readConfig(calibration.config, { deflection_sensitivity: "50 nm/V", ...given });
    return calibration.metadata!({ spectra: { fields: {}, metadata: { instrument: "X" } } }, config)["calibration"]!; // prettier-ignore
  };
  expect(told({})).toMatchObject({ instrument: "X", method: "thermal", correction: "0.817 (rectangular)" });
  expect(told({ correction: 0.9 })["correction"]).toBe("0.9");
});

describe("standard errors over draws of the spectrum", () => {
  const DRAWS = Math.min(1000, Number(process.env["OPERANDO_TEST_DRAWS"] ?? 80));
  const band = 4 * Math.sqrt(0.217 / DRAWS);
  const rows = spectra(DRAWS, { averages: 6 });
  test.each([
    [{ deflection_sensitivity: "50 nm/V" }, "spring_constant", K],
    [{ method: "contact-free", spring_constant: "0.3 N/m" }, "deflection_sensitivity", S],
    [{ method: "gci", gci_coefficient: K / (Q * 24 ** 1.3) }, "spring_constant", K],
    [{ method: "gci", gci_coefficient: K / (Q * 24 ** 1.3) }, "deflection_sensitivity", S],
  ] as const)("%o: those of %s hold", (given, name, truth) => {
    const { calibration: out } = run(given, rows);
    const all = Array.from({ length: DRAWS }, (_, i): [number, number] => [
      out[name][i],
      out[`${name}_se`][i],
    ]);
    const { mean, sd, coverage } = spreadOf(truth, all);
    expect(Math.abs(coverage - 0.683)).toBeLessThan(band);
    expect(Math.abs(mean - truth)).toBeLessThan((4 * sd) / Math.sqrt(DRAWS));
  });
  test("an error of the sensitivity counts twice in k, of k half in the sensitivity", () => {
    const k = run({ deflection_sensitivity: "50 nm/V", sensitivity_error: 0.1 }).calibration;
    expect(k.spring_constant_se[0] / k.spring_constant[0]).toBeCloseTo(0.2, 2);
    expect(k.deflection_sensitivity_se[0]).toBeCloseTo(5e-9, 15);
    const s = run({ method: "contact-free", spring_constant: "0.3 N/m", spring_constant_error: 0.1 }).calibration; // prettier-ignore
    expect(s.deflection_sensitivity_se[0] / s.deflection_sensitivity[0]).toBeCloseTo(0.05, 2);
  });
});

test("the spectrum's own temperature goes before the option's", () => {
  const rows = { ...spectra(2), temperature: Float64Array.of(310, NaN) };
  const { calibration: out } = run({ deflection_sensitivity: "50 nm/V", temperature: "5 Cel" }, rows);
  expect([...out.temperature]).toEqual([310, 278.15]);
  expect(out.spring_constant[0] / out.spring_constant[1]).toBeCloseTo(310 / 278.15, 9);
});

test("what is needed and not given stops the start, with its name", () => {
  const start = (given: object) => () => outputSchemas(calibration, readConfig(calibration.config, given as never).config, {}); // prettier-ignore
  expect(start({})).toThrow("deflection_sensitivity must be given for thermal");
  expect(start({ method: "sader", lever_width: "20 um" })).toThrow("lever_length must be given for sader");
  expect(start({ method: "gci" })).toThrow("gci_coefficient must be given for gci");
  expect(start({ deflection_sensitivity: "50 nm/V", from: "3 kHz", to: "2 kHz" })).toThrow("must be below");
});

describe("the stream", () => {
  const given = { deflection_sensitivity: "50 nm/V" };
  test("bad spectra are rows with NaN and a reason; the good go on", () => {
    const rows = spectra(4, { averages: 6 });
    rows.power.values.subarray(0, 1200).fill(NaN);
    rows.power.values.subarray(1200, 2400).fill(0);
    rows.power.values
      .subarray(2400, 3600)
      .forEach((_, i, all) => (all[i] = 1e-11 * (1 + 0.3 * Math.sin(i * i))));
    const { calibration: out, faults } = run(given, rows);
    expect([...out.valid]).toEqual([1, 1, 2, 0]);
    expect([...out.spring_constant].map(Number.isNaN)).toEqual([true, true, true, false]);
    expect(out.spring_constant[3] / K).toBeCloseTo(1, 0);
    expect(faults).toEqual([]);
  });
  test("none, and lists of no length", () => {
    expect(run(given, spectra(0)).calibration.time.length).toBe(0);
    const empty = { values: new Float64Array(0), offsets: new Int32Array(2) };
    const { calibration: out } = run(given, { time: BigInt64Array.of(1n), frequency: empty, power: empty });
    expect([out.valid[0], out.samples[0]]).toEqual([1, 0]);
  });
  test("the same bits however it is cut, and loaded in the middle", () => {
    const rows = spectra(5, { averages: 3 });
    const whole = run(given, rows);
    for (const size of [1, 2, 3])
      expect(run(given, rows, { rows: size, reloadAfter: [1, 2] })).toEqual(whole);
  });
});
