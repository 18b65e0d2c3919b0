import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readShape, spansOf } from "../../operators/image/pixel-spans.ts";
import { onImage, regionBetween, regionMean, regionText, type Region } from "../../ui/region.ts";

// value = 10 row + column
const size = [4, 5] as const;
const ramp = Float32Array.from({ length: 20 }, (_, i) => 10 * Math.floor(i / 5) + (i % 5));

test("mean, and error from the scatter of the pixels", () => {
  const region: Region = { kind: "rectangle", x0: 1, y0: 1, x1: 3, y1: 3 };
  const { mean, se, n } = regionMean(ramp, size, region);
  expect([mean, n]).toEqual([16.5, 4]); // 11, 12, 21, 22
  expect(se).toBeCloseTo(Math.sqrt((30.25 + 20.25 + 20.25 + 30.25) / 3 / 4), 12);
});

test("the error image is taken where there is one; its pixels as independent", () => {
  const region: Region = { kind: "rectangle", x0: 1, y0: 1, x1: 3, y1: 3 };
  const { se } = regionMean(ramp, size, region, new Float32Array(20).fill(0.5));
  expect(se).toBe(0.25); // √(4 × 0.25) / 4
});

test("what was not measured does not count; where nothing was, nothing is said", () => {
  const holes = ramp.map((value, i) => (i === 6 ? NaN : value));
  const region: Region = { kind: "circle", x: 1, y: 1, r: 0 };
  expect(regionMean(holes, size, region)).toEqual({ mean: NaN, se: NaN, n: 0 });
  expect(regionMean(holes, size, { kind: "circle", x: 1, y: 1, r: 1 })).toMatchObject({ mean: 11, n: 4 });
});

test("far from zero the scatter stays exact", () => {
  const far = ramp.map((value) => (value % 2) + 2 ** 23);
  const region: Region = { kind: "rectangle", x0: 0, y0: 0, x1: 5, y1: 4 };
  expect(regionMean(far, size, region).se).toBeCloseTo(Math.sqrt((20 * 0.24) / 19 / 20), 12);
});

describe("picked with a pointer", () => {
  test("a rectangle takes the pixels under both corners, in any order", () => {
    expect(regionBetween("rectangle", [3.2, 2.4], [0.9, -3], size)).toEqual({ kind: "rectangle", x0: 1, y0: 0, x1: 4, y1: 3 });
  }); // prettier-ignore
  test("a circle is about the first point, and shrinks to what lies on the image", () => {
    expect(regionBetween("circle", [2, 1.5], [2, 2.5], size)).toEqual({ kind: "circle", x: 2, y: 1.5, r: 1 });
    expect(regionBetween("circle", [2, 1.5], [2, 40], size)).toEqual({ kind: "circle", x: 2, y: 1.5, r: 2 });
    expect(onImage({ kind: "circle", x: 9, y: 1, r: 1 }, size)).toBeUndefined();
  });
});

test("the same pixels as image/region takes of the same text", () => {
  const shape = fc.record({ x: fc.double({ min: -2, max: 12, noNaN: true }), y: fc.double({ min: -2, max: 9, noNaN: true }), dx: fc.double({ min: -6, max: 6, noNaN: true }), dy: fc.double({ min: -6, max: 6, noNaN: true }), kind: fc.constantFrom("rectangle" as const, "circle" as const) });
  fc.assert(
    fc.property(shape, ({ x, y, dx, dy, kind }) => {
      const [rows, cols] = [8, 11];
      const region = regionBetween(kind, [x, y], [x + dx, y + dy], [rows, cols]);
      if (!region) return;
      const { first, end } = spansOf(rows, cols, [readShape("regions", regionText(region), rows, cols)]);
      const taken = new Float32Array(rows * cols);
      first.forEach((from, row) => taken.fill(1, row * cols + from, row * cols + end[row]!));
      const here = Array.from({ length: rows * cols }, (_, i) => regionMean(Float32Array.from({ length: rows * cols }, (_, k) => (k === i ? 1 : NaN)), [rows, cols], region).n);
      expect(here).toEqual([...taken]);
    }),
    { seed: 7, numRuns: 300 },
  );
}); // prettier-ignore
