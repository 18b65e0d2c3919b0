import { expect, test } from "vitest";
import { connectedRuns, longestBridge } from "../../ui/gaps.ts";

/** Rows at these times in buckets of width 1. */
function buckets(rows: number[], length: number) {
  const time = Float64Array.from({ length }, (_, i) => i + 0.5);
  const count = new Uint32Array(length);
  const min = new Float64Array(length).fill(NaN);
  for (const row of rows) {
    count[Math.floor(row)]!++;
    min[Math.floor(row)] = row;
  }
  const bridge = longestBridge(time, count, length);
  return connectedRuns(time, { min, count }, { first: 0, end: length, bridge });
}

const every = (interval: number, from: number, to: number) => {
  const rows = [];
  for (let t = from; t < to; t += interval) rows.push(t);
  return rows;
};

test("a stream slower than the buckets is one line", () => {
  expect(buckets(every(7.3, 0, 100), 100)).toHaveLength(1);
  expect(buckets(every(0.3, 0, 100), 100)).toHaveLength(1);
});

test("three missing rows are a gap, in a fast stream as in a slow one", () => {
  expect(buckets([...every(1, 0, 40), ...every(1, 43.5, 100)], 100)).toHaveLength(2);
  expect(buckets([...every(7.3, 0, 40), ...every(7.3, 62, 100)], 100)).toHaveLength(2);
});

test("a row whose value is NaN is not drawn through", () => {
  const time = Float64Array.of(0, 1, 2, 3, 4, 5, 6);
  const column = { min: Float64Array.of(1, 1, 1, NaN, 1, 1, 1), count: Uint32Array.of(1, 1, 1, 1, 1, 1, 1) };
  const runs = connectedRuns(time, column, { first: 0, end: 7, bridge: 1.5 });
  expect(runs).toEqual([[0, 2], [4, 6]]); // prettier-ignore
});

test("nothing, and a single row", () => {
  expect(buckets([], 10)).toEqual([]);
  expect(buckets([4], 10)).toEqual([[4, 4]]);
});
