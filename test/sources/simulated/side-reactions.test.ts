import { expect, test } from "vitest";
import { areaRatio, GRAPHITE } from "../../../sources/simulated/electrodes.ts";
import {
  bridgingRate_per_s, gasOf_mol, graphiteSwelling, limitingCurrent_A_per_m2, lithiumThickness_m, oxidationCurrent_A_per_m2,
  platingCurrent_A_per_m2, sandTime_s, SEI_INITIAL_m, seiAfter_m, seiCharge_C_per_m2, seiResistance_Ohm_m2,
} from "../../../sources/simulated/side-reactions.ts"; // prettier-ignore

const ratio = areaRatio(GRAPHITE);

test.each([[1, 5.05, 0.04], [10, 5.44, 0.4], [24, 5.99, 0.91], [100, 8.4, 3.1], [1000, 21.9, 15.5]])(
  "after %d h the SEI is %d nm thick and has cost %d µAh/cm²", (hours, nm, lost) => {
    const thickness = seiAfter_m(SEI_INITIAL_m, hours * 3600);
    expect(thickness * 1e9).toBeCloseTo(nm, hours === 1000 ? 1 : 2);
    const digits = lost < 1 ? 2 : 1;
    expect(seiCharge_C_per_m2(thickness - SEI_INITIAL_m, ratio) / 36).toBeCloseTo(lost, digits);
  },
); // prettier-ignore

test("steps of growth add up to the whole, whatever their length", () => {
  let grown = SEI_INITIAL_m;
  for (let i = 0; i < 3600; i++) grown = seiAfter_m(grown, 1);
  expect(grown / seiAfter_m(SEI_INITIAL_m, 3600)).toBeCloseTo(1, 12);
});

test("a film of 5 to 22 nm has 10 to 44 Ω·cm² of true area", () => {
  expect(seiResistance_Ohm_m2(5e-9, 1) * 1e4).toBeCloseTo(10, 6);
  expect(seiResistance_Ohm_m2(21.9e-9, 1) * 1e4).toBeCloseTo(44, 0);
});

test.each([[0.5, 159965], [1, 39991], [2, 9998], [5, 1600], [10, 400]])(
  "Sand's time at %d mA/cm² is %d s", (current, time) => expect(sandTime_s(current * 10)).toBeCloseTo(time, -0.3),
); // prettier-ignore

test("limiting current 313 mA/cm² over 25 µm, 7.8 over 1 mm", () => {
  expect(limitingCurrent_A_per_m2(25e-6) / 10).toBeCloseTo(313, 0);
  expect(limitingCurrent_A_per_m2(1e-3) / 10).toBeCloseTo(7.8, 1);
});

test.each([[4.3, 1.9, 1], [4.4, 13, 0], [4.5, 91, 0], [4.6, 640, -1]])(
  "at %d V each cm² gives %d nmol of gas per hour", (volt, nmol, digits) => {
    const gas = gasOf_mol(oxidationCurrent_A_per_m2(volt, 298.15) * 3600) * 1e9 / 1e4;
    expect(gas).toBeCloseTo(nmol, digits);
  },
); // prettier-ignore

test("plating: nothing at 0 V, no stripping of what is not there, F k c_e = 0.0965 A/m² of true area", () => {
  expect(platingCurrent_A_per_m2(0, 0, 298.15, 1)).toBe(0);
  expect(platingCurrent_A_per_m2(0.1, 0, 298.15, 1)).toBe(-0);
  expect(platingCurrent_A_per_m2(0.1, 100, 298.15, 1)).toBeLessThan(0);
  // far below 0 V only the first term counts, 0.65 F φ / RT
  expect(platingCurrent_A_per_m2(-0.2, 0, 298.15, 1) / Math.exp((0.65 * 0.2) / 0.025693)).toBeCloseTo(
    0.0965,
    3,
  );
});

test("1 mAh/cm² of lithium is 4.85 µm; graphite swells by about a tenth; filaments bridge from 0.8 of the gap on", () => {
  expect(lithiumThickness_m(36000) * 1e6).toBeCloseTo(4.85, 2);
  expect(graphiteSwelling(1)).toBeCloseTo(0.109, 3);
  expect(graphiteSwelling(0.9)).toBeCloseTo(0.0897, 2);
  expect(bridgingRate_per_s(9.5e-6, 12e-6)).toBe(0);
  expect(bridgingRate_per_s(9.6000001e-6, 12e-6)).toBeCloseTo(1 / 21600, 7);
});
