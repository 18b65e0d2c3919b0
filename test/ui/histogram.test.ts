import fc from "fast-check";
import { expect, test } from "vitest";
import { histogram, placeOf, valueAtPlace } from "../../ui/histogram.ts";

const sum = (counts: Uint32Array) => counts.reduce((a, b) => a + b, 0);

test("an even spread is even, and what was not measured is not counted", () => {
  const values = Float32Array.from({ length: 10_000 }, (_, i) => (i % 10 === 0 ? NaN : i / 10_000));
  const { counts, n, low, high } = histogram(values, false)!;
  expect(n).toBe(9000);
  expect(sum(counts)).toBe(9000);
  expect([low, high]).toEqual([expect.closeTo(0, 3), expect.closeTo(1, 3)]);
  for (const count of counts) expect(count / (9000 / counts.length)).toBeCloseTo(1, 0);
});

test("on a logarithmic scale equal ratios are equal steps; what is not positive is not counted", () => {
  const values = Float64Array.from({ length: 4000 }, (_, i) => (i < 1000 ? -1 : 10 ** (((i % 3000) / 3000) * 4)));
  const { counts, n, low, high, log } = histogram(values, true)!;
  expect([n, log]).toEqual([3000, true]);
  expect(Math.log10(high / low)).toBeCloseTo(4, 1);
  for (const count of counts) expect(count / (3000 / counts.length)).toBeCloseTo(1, 0);
  expect(histogram([-1, 0, NaN], true)).toBeUndefined();
}); // prettier-ignore

test("a few hot pixels do not press the rest into one bin: they are counted in the last", () => {
  const values = Float32Array.from({ length: 5000 }, (_, i) => (i % 1000 === 7 ? 1e9 : i / 5000));
  const { counts, high, n } = histogram(values, false)!;
  expect(high).toBeLessThan(2);
  expect(n).toBe(5000);
  expect(counts.at(-1)!).toBeGreaterThanOrEqual(5);
});

test("a window that was set lies in reach, and values that are all the same stand in the middle", () => {
  const values = Float32Array.from({ length: 100 }, (_, i) => i);
  expect(histogram(values, false, { low: -300, high: 500 })).toMatchObject({ low: -300, high: 500 });
  const same = histogram(new Float32Array(50).fill(3), false)!;
  expect(placeOf(3, same, false)).toBeCloseTo(0.5, 6);
  expect(histogram(new Float32Array(50).fill(3), true)!.n).toBe(50);
  expect(histogram([NaN, NaN], false)).toBeUndefined();
  expect(histogram([], false)).toBeUndefined();
});

test("every finite value is counted once, and places lead back to values", () => {
  const value = fc.oneof(fc.integer({ min: -1e9, max: 1e9 }).map((n) => n / 1e3), fc.constant(NaN));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), (values, log, place) => {
      const counted = values.filter((v) => Number.isFinite(v) && (!log || v > 0)).length;
      const found = histogram(values, log);
      expect(found?.n ?? 0).toBe(counted);
      if (!found) return;
      expect(sum(found.counts)).toBe(counted);
      expect(found.high).toBeGreaterThan(found.low);
      expect(placeOf(valueAtPlace(place, found, log), found, log)).toBeCloseTo(place, 5);
    }),
    { seed: 11 },
  );
}); // prettier-ignore
