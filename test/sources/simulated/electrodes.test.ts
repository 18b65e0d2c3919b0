import { expect, test } from "vitest";
import {
  areaRatio, atTemperature, CAPACITY_C_per_m2, capacity_C_per_m2, EMPTY, FULL, GRAPHITE, NMC811,
  openCircuitVoltage_V, overpotential_V, relax,
} from "../../../sources/simulated/electrodes.ts"; // prettier-ignore

const printed = (digits: number): number => 0.5 * 10 ** -digits + 1e-9;

test("the cell at rest, to the printed digits", () => {
  const table = [[0, 2.5], [0.1, 3.2959], [0.2, 3.4852], [0.3, 3.5814], [0.5, 3.7509], [0.7, 3.9479], [0.8, 4.0421], [0.9, 4.0967], [1, 4.2]]; // prettier-ignore
  for (const [soc, volt] of table)
    expect(Math.abs(openCircuitVoltage_V(soc!) - volt!)).toBeLessThan(printed(4));
});

test("both electrodes move the same charge, 50.18 Ah/m²; true area of graphite 32.7 times the sheet's", () => {
  expect(CAPACITY_C_per_m2 / 3600).toBeCloseTo(50.18, 2);
  expect((EMPTY.y - FULL.y) * capacity_C_per_m2(NMC811)).toBeCloseTo(CAPACITY_C_per_m2, 4);
  expect(areaRatio(GRAPHITE)).toBeCloseTo(32.7, 1);
});

// SOC, seconds and volts where the anode reaches 0 V against Li; SOC at 4.2 V. Charged from 2 % at constant current.
const NONE = [NaN, NaN, NaN];
const TABLE: [number, number, number[], number][] = [
  [25, 0.5, NONE, 0.869], [25, 1, [0.653, 2278, 4.152], 0.691], [25, 1.5, [0.355, 805, 3.953], 0.612], [25, 2, [0.261, 433, 3.89], 0.537], [25, 3, [0.133, 135, 3.83], 0.413],
  [10, 0.5, [0.704, 4924, NaN], 0.747], [10, 1, [0.361, 1229, NaN], 0.607], [10, 1.5, [0.238, 523, NaN], 0.513], [10, 2, [0.174, 277, NaN], 0.444], [10, 3, [0.09, 84, NaN], 0.345],
  [0, 0.5, [0.629, 4386, NaN], 0.671], [0, 1, [0.256, 848, NaN], 0.537], [0, 1.5, [0.179, 381, NaN], 0.453], [0, 2, [0.108, 159, NaN], 0.395], [0, 3, [0.08, 72, NaN], 0.313],
  [-10, 0.5, [0.362, 2464, NaN], 0.603], [-10, 1, [0.192, 618, NaN], 0.472], [-10, 1.5, [0.116, 230, NaN], 0.404], [-10, 2, [0.088, 122, NaN], 0.354], [-10, 3, [0.073, 64, NaN], 0.288],
  [25, 0.2, NONE, NaN], [10, 0.2, NONE, NaN], [0, 0.2, NONE, NaN], [-10, 0.2, [0.778, NaN, NaN], NaN],
]; // prettier-ignore

test.each(TABLE)("truth table at %d °C and %dC", (temperature_C, rate, plating, socAtFull) => {
  const T = temperature_C + 273.15;
  const [graphite, nmc] = [atTemperature(GRAPHITE, T), atTemperature(NMC811, T)];
  const i = (rate * CAPACITY_C_per_m2) / 3600;
  let soc = 0.02, dx = 0, dy = 0, voltage = 0; // prettier-ignore
  let found = NONE;
  for (let t = 0; ; t++) {
    const x = EMPTY.x + soc * (FULL.x - EMPTY.x) + dx;
    const y = EMPTY.y + soc * (FULL.y - EMPTY.y) - dy;
    const anode = GRAPHITE.potential_V(x) - overpotential_V(graphite, x, i, T);
    voltage = NMC811.potential_V(y) + overpotential_V(nmc, y, i, T) - anode + i * 10e-4;
    if (Number.isNaN(found[0]) && anode - i * 5e-4 < 0) found = [soc, t, voltage];
    if (voltage >= 4.2) break;
    soc += i / CAPACITY_C_per_m2;
    dx = relax(graphite, dx, i, 1);
    dy = relax(nmc, dy, i, 1);
  }
  if (!Number.isNaN(socAtFull)) expect(Math.abs(soc - socAtFull)).toBeLessThan(printed(3));
  expect(Number.isNaN(found[0])).toBe(Number.isNaN(plating[0]));
  plating.forEach((expected, n) => {
    if (!Number.isNaN(expected))
      expect(Math.abs(found[n]! - expected)).toBeLessThan(printed(n === 1 ? 0 : 3));
  });
});
