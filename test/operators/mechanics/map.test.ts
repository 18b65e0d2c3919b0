import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modulusMap } from "../../../operators/mechanics/map.ts";
import { feed } from "../../helpers/feed.ts";

const GRID = { modulus: { grid_columns: "3", grid_rows: "2", grid_size_x: "3e-6", grid_size_y: "1e-6" } };
const rows = (indexes: readonly number[], values = indexes.map((_, i) => i + 1)) => ({
  time: BigInt64Array.from(indexes, (_, i) => BigInt(i + 1) * 1_000_000_000n),
  modulus: Float64Array.from(values),
  index: Int32Array.from(indexes),
});
const map = (indexes: readonly number[], more: Record<string, unknown> = {}) =>
  feed(modulusMap, { modulus: rows(indexes) }, { metadata: GRID, ...more });

test("curves stand at their pixels, whatever the order of the scan", () => {
  const { maps, faults } = map([0, 1, 2, 5, 4, 3]);
  expect([...maps.data]).toEqual([1, 2, 3, 6, 5, 4]);
  expect([...maps.filled]).toEqual([100]);
  expect([...maps.time]).toEqual([6_000_000_000n]);
  expect(faults).toEqual([]);
});

test("what was not measured or not fitted is NaN and not filled", () => {
  const { maps } = feed(modulusMap, { modulus: rows([0, 1, 2], [7, NaN, 9]) }, { metadata: GRID });
  expect([...maps.data]).toEqual([7, NaN, 9, NaN, NaN, NaN]);
  expect(maps.filled[0]).toBeCloseTo(100 / 3, 12);
});

test("a pixel visited a second time begins the next map; at once, it is a retry", () => {
  const { maps } = map([0, 1, 2, 0, 1, 1, 4]);
  expect([...maps.data]).toEqual([1, 2, 3, NaN, NaN, NaN, 4, 6, NaN, NaN, 7, NaN]);
  expect([...maps.time]).toEqual([3_000_000_000n, 7_000_000_000n]);
  const last = map([0, 1, 2, 3, 4, 5, 5, 0, 1, 2, 3, 4, 5]);
  expect([...last.maps.filled]).toEqual([100, 100]);
  expect(last.faults[0].what).toMatch(/pixel 5 was measured again after its map was complete/);
});

test("the map under way is shown line by line", () => {
  const { filling } = map([0, 1, 2, 3, 4]);
  expect([...filling.data]).toEqual([1, 2, 3, NaN, NaN, NaN]);
  expect([...filling.filled]).toEqual([50]);
});

test("a map with too little in it is left out on request", () => {
  const { maps, faults } = map([0, 1], { with: { least_filled: "50 %" } });
  expect(maps.time.length).toBe(0);
  expect(faults[0].what).toMatch(/ended with 33\.3 % of its pixels filled/);
});

describe("the grid", () => {
  test("of the options goes before that of the stream", () => {
    const { maps } = map([0, 1, 2, 3], { with: { columns: 2, rows: 2 } });
    expect([...maps.data]).toEqual([1, 2, 3, 4]);
  });
  test("that is missing or too small is one fault, with what to do", () => {
    const none = feed(modulusMap, { modulus: rows([0, 1]) });
    expect(none.faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/have no grid; set columns and rows/),
    ]);
    const small = map([0, 9, 10, 1]);
    expect(small.faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/curve 9 lies outside the grid of 3 × 2 pixels/),
    ]);
    expect([...small.maps.data]).toEqual([1, 4, NaN, NaN, NaN, NaN]);
  });
});

test("nothing gives nothing", () => expect(map([]).maps.time.length).toBe(0));

test("cut anywhere, saved and loaded anywhere, gives the same bits", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9 }),
      (indexes, size, cut) => {
        expect(map(indexes, { rows: size, reloadAfter: [cut, cut + 3] })).toEqual(map(indexes));
      },
    ),
    { seed: 6, numRuns: 200 },
  ); // prettier-ignore
});

describe("by position", () => {
  /** Pixels of 1 µm × 0.5 µm from (10, 20) µm; the sample moves by `drift` pixels to the right from map to map. */
  const placed = (indexes: readonly number[], drift: (i: number) => number) => ({
    ...rows(indexes),
    x: Float64Array.from(indexes, (index, i) => 10e-6 + ((index % 3) + drift(i)) * 1e-6),
    y: Float64Array.from(indexes, (index) => 20e-6 + Math.floor(index / 3) * 0.5e-6),
  });
  const twice = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5];

  test("a curve stands where it looked: what drifted out is NaN, what came in stands beside", () => {
    const modulus = placed(twice, (i) => (i < 6 ? 0 : 1));
    const { maps } = feed(modulusMap, { modulus }, { metadata: GRID, with: { place: "position" } });
    expect([...maps.data]).toEqual([1, 2, 3, 4, 5, 6, NaN, 7, 8, NaN, 10, 11]);
    expect(maps.filled[1]).toBeCloseTo(400 / 6, 10);
  });

  test("a curve that does not know where it is stands nowhere; the grid is laid by the first that knows", () => {
    const modulus = placed(twice, () => 0);
    modulus.x.fill(NaN, 0, 2);
    const whole = feed(modulusMap, { modulus }, { metadata: GRID, with: { place: "position" } });
    expect([...whole.maps.data]).toEqual([NaN, NaN, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    const cut = feed(
      modulusMap,
      { modulus },
      { metadata: GRID, with: { place: "position" }, rows: 1, reloadAfter: [1, 4] },
    );
    expect(cut).toEqual(whole);
  });

  test("curves without places, or without the size of their grid, are refused", () => {
    const how = { metadata: GRID, with: { place: "position" } };
    expect(() => feed(modulusMap, { modulus: rows([0]) }, how)).toThrow(/columns x and y/);
    const sizeless = { modulus: { grid_columns: "3", grid_rows: "2" } };
    expect(() => feed(modulusMap, { modulus: placed([0], () => 0) }, { ...how, metadata: sizeless })).toThrow(
      /grid_size_x/,
    );
  });
});
