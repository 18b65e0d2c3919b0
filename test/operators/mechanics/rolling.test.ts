import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rolling } from "../../../operators/mechanics/rolling.ts";
import { feed } from "../../helpers/feed.ts";
import { normals } from "./make-curves.ts";

const ns = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));
const rows = (list: readonly (readonly [number, number, number])[]) => ({
  time: BigInt64Array.from(list, ([t]) => ns(t)),
  modulus: Float64Array.from(list, ([, E]) => E),
  modulus_se: Float64Array.from(list, ([, , se]) => se),
});
const roll = (
  list: readonly (readonly [number, number, number])[],
  given: Record<string, unknown>,
  more = {},
) => feed(rolling, { modulus: rows(list) }, { with: given, ...more });
const seconds = (fed: { time: BigInt64Array }) => [...fed.time].map((t) => Number(t) / 1e9);

const LIST = [[1, 5, 1], [2, 1, 1], [3, 3, 1], [12, 9, 1], [14, NaN, 1], [31, 2, 0.5]] as const; // prettier-ignore

test("median, spread and mean of known values, at whole multiples of `every`", () => {
  const { rolling: out, faults } = roll(LIST, { window: "20 s", every: "10 s" });
  expect(seconds(out)).toEqual([10, 20, 40]);
  expect([...out.count]).toEqual([3, 4, 1]);
  expect([...out.median]).toEqual([3, 4, 2]);
  expect([...out.mad]).toEqual([2, 2, 0]);
  expect([...out.mean]).toEqual([3, 4.5, 2]);
  // χ² is 8, then 35: τ² is 3, then 32/3; of one value its own error
  expect(out.mean_se[0]).toBeCloseTo(Math.sqrt(4 / 3), 14);
  expect(out.mean_se[1]).toBeCloseTo(Math.sqrt(35 / 3 / 4), 14);
  expect(out.mean_se[2]).toBe(0.5);
  expect(out.median_se[2]).toBeNaN();
  expect(faults).toEqual([]);
});

test("a mean is weighted by its errors; without one a row counts for the median alone", () => {
  const { rolling: out } = roll([[1, 1, 1], [2, 2, 2], [3, 100, NaN], [4, 100, 0]], { window: "10 s", every: "10 s" }); // prettier-ignore
  expect(out.mean[0]).toBeCloseTo((1 + 2 / 4) / (1 + 1 / 4), 14);
  expect(out.median[0]).toBe(51);
  expect(out.count[0]).toBe(4);
  const none = roll([[1, 1, NaN]], { window: "10 s", every: "10 s" }).rolling;
  expect([none.mean[0], none.mean_se[0], none.median[0]]).toEqual([NaN, NaN, 1]);
});

test("errors of mean and median are those of many draws", () => {
  const normal = normals(4);
  const draws = 1000;
  const list = Array.from({ length: 25 * draws }, (_, i) => [i * 0.04 + 0.01, 10 + normal(), 1] as const);
  const { rolling: out } = roll(list, { window: "1 s", every: "1 s" });
  const rms = (values: Float64Array, of: (x: number) => number) => Math.sqrt(values.reduce((sum, x) => sum + of(x) ** 2, 0) / draws); // prettier-ignore
  expect(rms(out.mean, (x) => x - 10) / 0.2).toBeCloseTo(1, 1);
  expect(rms(out.median, (x) => x - 10) / rms(out.median_se, (x) => x)).toBeCloseTo(1, 0);
  // τ² is never below zero, so that white noise widens it, by a tenth
  expect(rms(out.mean_se, (x) => x) / 0.2).toBeLessThan(1.15);
  expect(rms(out.mean_se, (x) => x) / 0.2).toBeGreaterThan(1);
});

test("on an uneven sample soft curves do not count for all, though their errors are small", () => {
  const normal = normals(5);
  // 3 GPa with a spread of a third, each with an error that grows as its square
  const list = Array.from({ length: 2000 }, (_, i) => {
    const modulus = 3 * Math.exp(0.33 * normal());
    return [i * 0.01 + 0.005, modulus, 0.01 * modulus ** 2] as const;
  });
  const { rolling: out } = roll(list, { window: "20 s", every: "20 s" });
  const truth = 3 * Math.exp(0.33 ** 2 / 2);
  expect(Math.abs(out.mean[0] - truth) / truth).toBeLessThan(0.03);
});

describe("the stream", () => {
  test("of nothing, and of NaN alone, gives nothing", () => {
    expect(roll([], {}).rolling.time.length).toBe(0);
    expect(roll([[1, NaN, NaN], [2, NaN, 1]], {}).rolling.time.length).toBe(0); // prettier-ignore
  });

  test("a window is open at its end: a row on the line belongs to the next", () => {
    const { rolling: out } = roll([[0, 1, 1], [10, 2, 1], [20, 3, 1]], { window: "10 s", every: "10 s" }); // prettier-ignore
    expect(seconds(out)).toEqual([10, 20, 30]);
    expect([...out.median]).toEqual([1, 2, 3]);
  });

  test("a full window says how many it left out", () => {
    const list = Array.from({ length: 9 }, (_, i) => [i, i, 1] as const);
    const { rolling: out, faults } = roll(list, { window: "10 s", every: "10 s", max_rows: 4 });
    expect([out.count[0], out.median[0]]).toEqual([4, 6.5]);
    expect(faults[0].what).toMatch(
      /5 curves had no room in a window of 10 s; the newest 4 count \(max_rows\)/,
    );
  });

  test("cut anywhere, saved and loaded anywhere, gives the same bits", () => {
    const row = fc.tuple(
      fc.integer({ min: 0, max: 20_000 }),
      fc.double({ min: 1, max: 1e10, noNaN: false }),
      fc.double({ min: 1, max: 1e9, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 8 }),
        fc.constantFrom("0.1 s", "3 s", "25 s"), fc.constantFrom("0.3 s", "7 s"),
        (list, size, cut, window, every) => {
          const sorted = list.map(([t, E, se]) => [t * 1e-3, E, se] as const).sort(([a], [b]) => a - b);
          const whole = roll(sorted, { window, every, max_rows: 9 });
          expect(roll(sorted, { window, every, max_rows: 9 }, { rows: size, reloadAfter: [cut, cut + 2] })).toEqual(whole);
        },
      ),
      { seed: 2, numRuns: 200 },
    ); // prettier-ignore
  });
});

describe("by region", () => {
  const list = Array.from({ length: 40 }, (_, i) => ({
    t: i + 0.5,
    x: (i % 4) * 1e-7,
    y: 5e-8,
    E: 10 ** (1 + (i % 4)),
  }));
  const modulus = {
    time: BigInt64Array.from(list, ({ t }) => ns(t)),
    modulus: Float64Array.from(list, ({ E }) => E),
    modulus_se: Float64Array.from(list, ({ E }) => E / 10),
    modulus_scale_se: Float64Array.from(list, ({ E }) => E / 20),
    x: Float64Array.from(list, ({ x }) => x),
    y: Float64Array.from(list, ({ y }) => y),
  };
  const given = {
    window: "20 s",
    every: "10 s",
    regions: ["-0.05,0,0.15,0.1 um", "circle 300,50,10 nm", "5,5,6,6 um"],
  };
  const by = (more: Record<string, unknown> = {}, extra = {}) =>
    feed(rolling, { modulus }, { with: { ...given, ...more }, ...extra });

  test("each is a window of its own; one without curves gives no row", () => {
    const { rolling: out } = by();
    expect([...out.region]).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect([...out.count].slice(4)).toEqual([10, 5, 10, 5]);
    expect(out.mean[1]).toBeCloseTo(1e4, 8);
    expect(out.median[0]).toBe(55); // between 10 and 100
    // What all share is not reduced by the number of curves.
    expect(out.mean_scale_se[1]).toBeCloseTo(500, 8);
    expect(out.mean_se[3]).toBeCloseTo(1e3 / Math.sqrt(5), 6);
  });

  test("the same bits however rows are cut, saved and loaded", () => {
    for (const rows of [1, 7]) expect(by({}, { rows, reloadAfter: [2, 3] })).toEqual(by());
  });

  test.each([
    ["1,2,3 um", /not a place; wanted "x0,y0,x1,y1 um"/],
    ["1,2,3,4", /not a place/],
    ["1,2,3,4 kg", /not a place/],
    ["3,2,1,4 um", /is empty; x1 and y1/],
    ["circle 1,2,0 um", /is empty/],
  ])("%s is refused", (region, message) => {
    expect(() => by({ regions: [region] })).toThrow(message);
  });

  test("curves that do not say where they are have none", () => {
    expect(() => roll([[1, 1, 1]], { regions: ["0,0,1,1 um"] })).toThrow(/columns x and y/);
  });
});
