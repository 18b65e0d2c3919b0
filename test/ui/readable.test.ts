import { describe, expect, test } from "vitest";
import {
  metres,
  readableNumber,
  readableQuantity,
  readableUnit,
  roundLength,
  shortNumber,
} from "../../ui/readable-numbers.ts";
import { duration, timeLabels, timeOfDay } from "../../ui/readable-times.ts";

describe("numbers", () => {
  test.each([
    [0.00125, "A", "1.250 mA"],
    [3.9124, "V", "3.912 V"],
    [0.4512, "V", "0.4512 V"],
    [1.168e9, "Pa", "1.168 GPa"],
    [62.4, "um", "62.40 µm"],
    [2.3e-9, "m", "2.300 nm"],
    [0.032, "1/{px}", "0.03200 1/px"],
    [0, "A", "0 A"],
    [41, "%", "41.00 %"],
    [NaN, "V", "– V"],
    [-0.5, "N", "−500.0 mN"],
  ])("%f %s reads %s", (value, unit, text) => expect(readableQuantity(value, unit)).toBe(text));

  test("units are written for the eye", () => {
    expect(["Cel", "deg", "Ohm", "A.h", "um", "m2", "s-1", "1", "{count}"].map(readableUnit)).toEqual(
      ["°C", "°", "Ω", "Ah", "µm", "m²", "s⁻¹", "", "count"],
    ); // prettier-ignore
  });

  test("marks and speeds lose the zeros behind the point and no others", () => {
    expect([240, 100, -20, 0.5, 1.25, 60].map((n) => shortNumber(n))).toEqual([
      "240",
      "100",
      "−20",
      "0.5",
      "1.25",
      "60",
    ]);
  });

  test("very large and very small numbers keep their digits", () => {
    expect(readableNumber(1.23e-7)).toBe("1.23e−7");
    expect(readableNumber(5.6789e8)).toBe("5.68e8");
  });

  test("pixel sizes are read with and without a unit; an unknown one gives none", () => {
    expect(metres("6.5e-7")).toBe(6.5e-7);
    expect(metres("0.65 um")).toBeCloseTo(6.5e-7, 15);
    expect(metres("12 parsec")).toBeNaN();
    expect(metres(undefined)).toBeNaN();
  });

  test("a scale bar is a round length", () => {
    expect([0.9e-6, 4.9e-8, 5.1e-8, 1e-3].map((n) => roundLength(n).toPrecision(1))).toEqual([
      "5e-7",
      "2e-8",
      "5e-8",
      "0.001",
    ]);
  });
});

describe("times", () => {
  test.each([
    [0, "0 s"],
    [42, "42 ms"],
    [830, "0.8 s"],
    [12_400, "12 s"],
    [59_700, "1 min"],
    [250_000, "4 min 10 s"],
    [12_000_000, "3 h 20 min"],
    [187_200_000, "2 d 4 h"],
    [NaN, "–"],
  ])("%f ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

  const noon = new Date(2026, 10, 22, 12, 0, 0).getTime();

  test("a time of day has as many decimals as asked for", () => {
    expect(timeOfDay(noon + 7120, 0)).toBe("12:00:07");
    expect(timeOfDay(noon + 7120, 2)).toBe("12:00:07.12");
  });

  test("an axis names the day where it changes", () => {
    const labels = timeLabels([noon + 11 * 3.6e6, noon + 12 * 3.6e6, noon + 13 * 3.6e6], 3.6e6);
    expect(labels).toEqual(["23:00", "23 Nov 00:00", "01:00"]);
  });
});
