import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { meanSquare, thermalResonance } from "../../../operators/mechanics/thermal.ts";
import { normalDraws, spreadOf } from "./draws.ts";

const DRAWS = Math.min(1000, Number(process.env["OPERANDO_TEST_DRAWS"] ?? 60));
const band = 4 * Math.sqrt(0.217 / DRAWS);

interface Truth {
  w: number;
  A2: number;
  f0: number;
  Q: number;
}
export function spectrum({ w, A2, f0, Q }: Truth, step_Hz: number, count: number) {
  const frequency = Float64Array.from({ length: count }, (_, i) => i * step_Hz);
  const power = frequency.map((f) => w + (A2 * f0 ** 4) / ((f * f - f0 * f0) ** 2 + ((f * f0) / Q) ** 2));
  return { frequency, power };
}

/** As the average of so many periodograms: a sum of 2 m squared normal numbers. */
const noisy = (power: Float64Array, averages: number, normal: () => number): Float64Array =>
  power.map((S) => {
    let sum = 0;
    for (let i = 0; i < 2 * averages; i++) sum += normal() ** 2;
    return (S * sum) / (2 * averages);
  });

const CASES = [
  ["in liquid", { w: 4.5e-10, A2: 8.5e-9, f0: 24_000, Q: 2.05 }, 50, 2000],
  ["in air", { w: 1e-12, A2: 1e-14, f0: 75_000, Q: 180 }, 40, 4000],
  ["stiff, in air", { w: 2e-13, A2: 2e-17, f0: 310_000, Q: 450 }, 122, 4000],
] as const;

describe.each(CASES)("a lever %s", (_, truth, step, count) => {
  const { frequency, power } = spectrum(truth, step, count);

  test("without noise is found back", () => {
    const found = thermalResonance(frequency, power)!;
    expect(found.frequency_Hz / truth.f0).toBeCloseTo(1, 7);
    expect(found.qualityFactor / truth.Q).toBeCloseTo(1, 6);
    expect(found.plateau_V2_per_Hz / truth.A2).toBeCloseTo(1, 6);
    expect(found.whiteNoise_V2_per_Hz / truth.w).toBeCloseTo(1, 4);
    expect(meanSquare(found).power_V2 / ((Math.PI / 2) * truth.f0 * truth.Q * truth.A2)).toBeCloseTo(1, 6);
  });

  test("over draws of averaged periodograms: unbiased, and errors that hold, told the averages or not", () => {
    const normal = normalDraws(12);
    const all = Array.from({ length: DRAWS }, (_draw, i) =>
      thermalResonance(frequency, noisy(power, 8, normal), i % 2 ? { averages: 8 } : {})!,
    );
    const checked = [
      spreadOf(Math.log(truth.f0), all.map((f) => [Math.log(f.frequency_Hz), Math.sqrt(f.covariance[10]!)])),
      spreadOf(Math.log(truth.Q), all.map((f) => [Math.log(f.qualityFactor), Math.sqrt(f.covariance[15]!)])),
      spreadOf(Math.log((Math.PI / 2) * truth.f0 * truth.Q * truth.A2), all.map((f) => [Math.log(meanSquare(f).power_V2), meanSquare(f).relative_se])),
    ]; // prettier-ignore
    [Math.log(truth.f0), Math.log(truth.Q), Math.log((Math.PI / 2) * truth.f0 * truth.Q * truth.A2)].forEach((value, i) => {
      const { mean, sd, coverage } = checked[i]!;
      expect(Math.abs(mean - value)).toBeLessThan((4 * sd) / Math.sqrt(DRAWS));
      expect(Math.abs(coverage - 0.683)).toBeLessThan(band);
    }); // prettier-ignore
    expect(all[0]!.dispersion).toBeCloseTo(1 / 8, 1);
  });
});

test("slow noise and the second mode do not lead it astray", () => {
  const { frequency, power } = spectrum(CASES[0][1], 50, 4000);
  const normal = normalDraws(7);
  const disturbed = noisy(power, 10, normal).map((p, i) => {
    const f = frequency[i]!;
    const second = 3e-11 / (((f / 150_000) ** 2 - 1) ** 2 + (f / 150_000 / 4) ** 2);
    return p + second + (f > 0 && f < 3000 ? 1e-3 / f ** 1.5 : 0);
  });
  const found = thermalResonance(frequency, disturbed)!;
  expect(Math.abs(found.frequency_Hz / 24_000 - 1)).toBeLessThan(0.03);
  expect(Math.abs(found.qualityFactor / 2.05 - 1)).toBeLessThan(0.1);
});

describe("what has no resonance", () => {
  const normal = normalDraws(3);
  const frequency = Float64Array.from({ length: 2000 }, (_, i) => i * 50);
  test.each([
    ["white noise", frequency.map(() => 1e-10)],
    ["noise that falls as 1/f", frequency.map((f) => 1e-6 / (f + 1))],
  ])("%s", (_, power) => {
    for (let i = 0; i < 5; i++) expect(thermalResonance(frequency, noisy(power, 10, normal))).toBeUndefined();
  });
  test("nothing, zeros, NaN, a few", () => {
    expect(thermalResonance(new Float64Array(0), new Float64Array(0))).toBeUndefined();
    expect(thermalResonance(frequency, new Float64Array(2000))).toBeUndefined();
    expect(thermalResonance(frequency, new Float64Array(2000).fill(NaN))).toBeUndefined();
    expect(thermalResonance(frequency.slice(0, 10), new Float64Array(10).fill(1))).toBeUndefined();
    expect(thermalResonance(frequency, new Float64Array(2000).fill(3))).toBeUndefined();
  });
});

const sample = new URL("../../../../shared/data/afm/jpk/PFQNM-H2O-thermal-noise-data_vDeflection_2022.01.12-11.37.51.tnd", import.meta.url); // prettier-ignore
describe.runIf(existsSync(sample))("JPK's spectrum of a PF-QNM lever in water", () => {
  const rows = existsSync(sample)
    ? readFileSync(sample, "utf8").split("\n").filter((line) => /^\d/.test(line)).map((line) => line.split(/\s+/).map(Number)) // prettier-ignore
    : [];
  const column = (k: number): Float64Array => Float64Array.from(rows, (row) => row[k]!);

  test("its own fit curve gives back the parameters in its header: f 24.25 kHz, Q 2.050, A 92.12 µV/√Hz, noise 4.501e-10", () => {
    const found = thermalResonance(column(0), column(3), { from_Hz: 1000, to_Hz: 300_000 })!;
    expect(found.frequency_Hz).toBeCloseTo(24_250, -1);
    expect(found.qualityFactor).toBeCloseTo(2.05, 3);
    expect(Math.sqrt(found.plateau_V2_per_Hz) * 1e6).toBeCloseTo(92.12, 2);
    expect(found.whiteNoise_V2_per_Hz * 1e10).toBeCloseTo(4.501, 2);
    // "Corrected Vertical K: 5.592×10⁻¹⁸ N/m", with correction factor 0.9 at 25 ℃
    expect((0.9 * 1.380649e-23 * 298.15 * 1e18) / meanSquare(found).power_V2).toBeCloseTo(5.592, 2);
  });

  test("the measured spectrum itself: within 6 % of what JPK's fit says, whose range and weights the file does not tell", () => {
    const found = thermalResonance(column(0), column(1))!;
    expect(Math.abs(found.frequency_Hz / 24_250 - 1)).toBeLessThan(0.06);
    expect(Math.abs(found.qualityFactor / 2.05 - 1)).toBeLessThan(0.06);
    expect(Math.abs((0.9 * 1.380649e-23 * 298.15) / meanSquare(found).power_V2 / 5.592e-18 - 1)).toBeLessThan(
      0.06,
    );
    expect(found.dispersion).toBeGreaterThan(0.9); // one periodogram
    expect(found.dispersion).toBeLessThan(1.2);
  });
});
