import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kramersKronig, voigtFit } from "../../../operators/echem/kramers-kronig.ts";
import { leastSquares } from "../../../operators/echem/least-squares.ts";
import { nonNegative } from "../../../operators/echem/non-negative.ts";
import { spectrumOf, type Spectrum } from "../../../operators/echem/spectrum.ts";
import { farad, frequencies, henry, normals, ohm, rc, rl, series, spectrum, warburg, zarc, type Made } from "./made-spectra.ts"; // prettier-ignore

const SETTINGS = { mu: 0.85, most_elements: 60, inductance: true, capacitance: true };

const prepared = ({ frequency, z }: Made): Spectrum =>
  spectrumOf(
    Float64Array.from(frequency),
    Float64Array.from(z, ([re]) => re),
    Float64Array.from(z, ([, im]) => im),
    new Float64Array(frequency.length),
  );

test.each([
  ["a resistor", ohm(3)],
  ["an arc", series(ohm(10), rc(20, 1e-3))],
  ["arcs with inductance and a blocking electrode", series(ohm(10), henry(1e-6), rc(8, 2e-5), zarc(20, 3e-3, 0.8), farad(2))],
  ["diffusion", series(ohm(10), rc(20, 1e-3), warburg(5))],
  ["an inductive loop", series(ohm(10), rc(20, 1e-3), rl(5, 1))],
])("what obeys Kramers-Kronig is met: %s", (_, of) => {
  const found = kramersKronig(prepared(spectrum(frequencies(1e5, 7), of)), { ...SETTINGS, mu: 0.5 });
  expect(found.noise).toBeLessThan(2e-3);
}); // prettier-ignore

test("the residual is the noise", () => {
  const of = series(ohm(10), rc(8, 2e-5), zarc(20, 3e-3, 0.85), warburg(2));
  const normal = normals(7);
  let [sum, runs] = [0, 30];
  for (let i = 0; i < runs; i++) sum += kramersKronig(prepared(spectrum(frequencies(1e5, 7), of, 5e-3, normal)), SETTINGS).noise;
  expect(sum / runs / 5e-3).toBeCloseTo(1, 1);
}); // prettier-ignore

test("what does not obey it is not met: the real part of one cell, the imaginary part of another", () => {
  const f = frequencies(1e5, 7);
  const a = spectrum(f, series(ohm(10), rc(20, 1e-3)));
  const b = spectrum(f, series(ohm(10), rc(20, 3e-3)));
  const mixed = { frequency: f, z: a.z.map(([re], i) => [re, b.z[i]![1]] as const) };
  expect(kramersKronig(prepared(mixed), SETTINGS).noise).toBeGreaterThan(0.05);
});

test("order of frequencies, repeats and what is missing change nothing", () => {
  const f = frequencies(1e4, 5);
  const of = series(ohm(1), rc(2, 1e-2));
  const whole = prepared(spectrum(f, of));
  const up = f.toReversed();
  expect(prepared(spectrum(up, of))).toEqual({ ...whole, time_s: whole.time_s });
  const twice = prepared(spectrum([...f, ...f], of));
  expect(twice.frequency_Hz).toEqual(whole.frequency_Hz);
  expect(twice.real_Ohm).toEqual(whole.real_Ohm);
  const { frequency, z } = spectrum([...f, 3, NaN, -1, 0], of);
  const broken = prepared({ frequency, z: z.map((one, i) => (i === f.length ? ([NaN, 1] as const) : one)) });
  expect(broken).toEqual(whole);
});

describe("solvers", () => {
  test("least squares of columns of any magnitude, and of two that are the same", () => {
    const normal = normals(3);
    const columns = [1e9, 1, 1e-12].map((size) => Float64Array.from({ length: 20 }, () => size * normal()));
    const b = new Float64Array(20).map((_, i) => columns[0]![i]! * 2e-9 - 3 * columns[1]![i]! + 4e12 * columns[2]![i]!);
    const { x, residual } = leastSquares(columns, b);
    expect(Math.abs(x[0]! / 2e-9 - 1) + Math.abs(x[1]! / -3 - 1) + Math.abs(x[2]! / 4e12 - 1)).toBeLessThan(1e-12);
    expect(Math.hypot(...residual)).toBeLessThan(1e-12);
    const same = leastSquares([columns[1]!, columns[1]!.slice()], b);
    expect(same.x.every(Number.isFinite)).toBe(true);
  }); // prettier-ignore

  test("non-negative least squares meets the conditions of Karush, Kuhn and Tucker", () => {
    const normal = normals(5);
    for (let run = 0; run < 20; run++) {
      const [n, p] = [15, 8];
      const A = Array.from({ length: p }, () => {
        const column = Array.from({ length: n }, normal);
        const norm = Math.hypot(...column);
        return column.map((value) => value / norm);
      });
      const b = Array.from({ length: n }, normal);
      const dot = (u: readonly number[], v: readonly number[]): number => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
      const gram = Float64Array.from(A.flatMap((u) => A.map((v) => dot(u, v))));
      const x = nonNegative(gram, Float64Array.from(A, (u) => dot(u, b)), Math.hypot(...b));
      const left = b.map((value, i) => value - A.reduce((sum, column, k) => sum + x[k]! * column[i]!, 0));
      for (let k = 0; k < p; k++) {
        expect(x[k]).toBeGreaterThanOrEqual(0);
        const gradient = dot(A[k]!, left);
        if (x[k]! > 0) expect(Math.abs(gradient)).toBeLessThan(1e-9);
        else expect(gradient).toBeLessThan(1e-8);
      }
    }
  }); // prettier-ignore
});

// Printed by impedance.py's example "Validation of EIS data" for the frequencies below 1 kHz, c = 0.5, with capacitance:
// at commit 0b302ca: µ at M = 10 and 20 and the root mean square of |Z - fit| there, then the M it stops at.
const example = new URL("../../../../shared/data/echem/gamry/exampleData.csv", import.meta.url);

describe.runIf(existsSync(example))("a peer's example", () => {
  const rows = existsSync(example)
    ? readFileSync(example, "utf8").trim().split("\n").map((line) => line.split(",").map(Number))
    : []; // prettier-ignore
  const low = rows.filter(([f]) => f! < 1000);
  const made = { frequency: low.map(([f]) => f!), z: low.map(([, re, im]) => [re!, im!] as const) };

  test.each([
    [10, 1.0, 8.144660459071784e-5],
    [20, 0.8929547569244768, 5.1002168389472366e-5],
  ])("with %i elements the same µ and residual", (M, mu, rms) => {
    const { mu: found, fit_real_Ohm, fit_imaginary_Ohm } = voigtFit(prepared(made), M, SETTINGS);
    const one = prepared(made);
    const misses = Math.hypot(
      ...fit_real_Ohm.map((re, i) => re - one.real_Ohm[i]!),
      ...fit_imaginary_Ohm.map((im, i) => im - one.imaginary_Ohm[i]!),
    );
    expect(Math.abs(found - mu)).toBeLessThan(2e-8);
    expect(Math.abs(misses / Math.sqrt(low.length) / rms - 1)).toBeLessThan(2e-9);
  });

  test("it stops where the peer does", () => {
    const { elements, mu } = kramersKronig(prepared(made), { ...SETTINGS, mu: 0.5 });
    expect([elements, mu.toFixed(2)]).toEqual([26, "0.31"]);
  });
});
