import { expect, test } from "vitest";
import { averageRunLength } from "../../../operators/onset/average-run-length.ts";

// Two-sided CUSUM, k = 0.5, started at 0; Lucas & Crosier (1982) have 168 / 8.38 and 465 / 10.4.
// The table is of a Markov chain with 400 states, whose own error reaches 0.014 at 465.4435.
const SHIFTS = [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3];
test.each([
  [4, [167.68, 74.22, 26.63, 13.29, 8.38, 4.75, 3.34, 2.19]],
  [4.77, [368.6, 121.3, 35.21, 16.17, 9.92, 5.52, 3.86, 2.48]],
  [5, [465.43, 139.49, 38.0, 17.05, 10.38, 5.75, 4.01, 2.57]],
])("the published table at h = %d, to its printed digits", (h, lengths) => {
  for (const [i, shift] of SHIFTS.entries()) {
    const lastDigit = h === 4.77 && i < 2 ? 0.1 : 0.01;
    const chain = 3e-5 * lengths[i]!;
    expect(Math.abs(averageRunLength({ k: 0.5, h, shift }) - lengths[i]!)).toBeLessThan(
      lastDigit / 2 + chain,
    );
  }
});

test("large limits", () => {
  expect(averageRunLength({ k: 0.5, h: 8 })).toBeCloseTo(9481, -1);
  expect(averageRunLength({ k: 0.5, h: 8, shift: 1 })).toBeCloseTo(16.4, 1);
  expect(averageRunLength({ k: 0.5, h: 10 }) / 70104).toBeCloseTo(1, 3);
});

test.each([
  [0.25, 8.01],
  [0.5, 4.77],
  [0.75, 3.34],
  [1, 2.52],
  [1.5, 1.61],
])("k = %d with h = %d alarms falsely once in 370", (k, h) => {
  expect(averageRunLength({ k, h }) / 370.4).toBeCloseTo(1, 1.39); // h is rounded to 0.01: 2 % of the length
});

test("one side alone alarms half as often as both", () => {
  const both = averageRunLength({ k: 0.5, h: 5 });
  expect(averageRunLength({ k: 0.5, h: 5, sides: "up" })).toBeCloseTo(2 * both, 6);
  expect(averageRunLength({ k: 0.5, h: 5, shift: -1, sides: "down" })).toBe(
    averageRunLength({ k: 0.5, h: 5, shift: 1, sides: "up" }),
  );
});
