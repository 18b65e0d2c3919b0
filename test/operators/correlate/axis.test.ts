import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { correlateAxis } from "../../../operators/index.ts";
import { code, scalar } from "../../../runtime/index.ts";
import { feed, type FeedOptions } from "../../helpers/feed.ts";

const SECOND = 1_000_000_000n;
const times = (n: number): BigInt64Array => BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * SECOND);

function random(seed: number): () => number {
  let state = seed;
  const uniform = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

interface Made {
  time: number[];
  value: number[];
  se: number[];
  segment: number[];
  direction: number[];
}

function axisOf(value: ArrayLike<number>, rest: Partial<FeedOptions> & { half?: ArrayLike<number> } = {}): Made {
  const rows = {
    time: times(value.length), voltage_volt: Float64Array.from(value),
    ...(rest.half && { half_cycle_index: Int32Array.from(rest.half) }),
  };
  const schema = { rows: { voltage_volt: scalar("V"), half_cycle_index: code() } };
  const { axis } = feed(correlateAxis, { rows }, { schema, with: { of: "voltage", resolution: 0 }, ...rest });
  if (!axis?.value) return { time: [], value: [], se: [], segment: [], direction: [] };
  return {
    time: [...axis.time].map((t: bigint) => Number(t / SECOND)), value: [...axis.value], se: [...axis.value_se],
    segment: [...axis.segment], direction: [...axis.direction],
  };
} // prettier-ignore

const triangle = (i: number, half: number): number => (i % (2 * half) < half ? i % half : half - (i % half));
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** What the axis says at a time, as a reader would take it. */
function at({ time, value, segment }: Made, t: number): number {
  const i = time.findLastIndex((knot) => knot <= t);
  const j = Math.min(i + 1, time.length - 1);
  if (segment[j] !== segment[i] || time[j] === time[i]) return value[i]!;
  return value[i]! + ((value[j]! - value[i]!) * (t - time[i]!)) / (time[j]! - time[i]!);
}

test("up and down: a segment each way, cut at the extremes, each value where it was", () => {
  const made = axisOf(range(400).map((i) => 3 + triangle(i, 100) / 100));
  expect([...new Set(made.segment)]).toEqual([0, 1, 2, 3]);
  expect([...new Set(made.direction)]).toEqual([1, -1]);
  expect(made.time[made.segment.indexOf(1)]).toBe(101);
  for (const t of [0, 37, 99, 150, 250, 333]) expect(at(made, t)).toBeCloseTo(3 + triangle(t, 100) / 100, 12);
});

test("every segment is monotone, whatever the noise, and nearer to the truth than what was measured", () => {
  const normal = random(7);
  const truth = range(4000).map((i) => 3 + triangle(i, 1000) / 1000);
  const measured = truth.map((v) => v + 0.002 * normal());
  const made = axisOf(measured);
  expect(made.segment.at(-1)).toBe(3);
  for (let i = 1; i < made.time.length; i++) {
    expect(made.time[i]!).toBeGreaterThanOrEqual(made.time[i - 1]!);
    if (made.segment[i] === made.segment[i - 1])
      expect(made.direction[i]! * (made.value[i]! - made.value[i - 1]!)).toBeGreaterThanOrEqual(0);
  }
  const rms = (of: (t: number) => number): number => Math.sqrt(truth.reduce((sum, v, t) => sum + (of(t) - v) ** 2, 0) / 4000); // prettier-ignore
  expect(rms((t) => at(made, t))).toBeLessThan(0.7 * rms((t) => measured[t]!));
  const middle = made.se.toSorted((a, b) => a - b)[made.se.length >> 1]!;
  expect(middle).toBeGreaterThan(0.0005);
  expect(middle).toBeLessThan(0.0025); // of 0.002 for one row
});

test("a plateau is one value from its begin to its end; what stands still is a segment that goes neither way", () => {
  const held = axisOf(range(100).map((i) => Math.min(i, 50) / 50));
  expect(held.time.slice(-2)).toEqual([50, 99]);
  expect(held.value.slice(-2)).toEqual([1, 1]);
  expect(axisOf(range(20).map(() => 3.7))).toMatchObject({
    time: [0, 19],
    value: [3.7, 3.7],
    direction: [0, 0],
  });
});

test("a rest is one segment, however long its noise has time to turn back", () => {
  const normal = random(21);
  const made = axisOf(range(60_000).map(() => 3.7 + 1e-4 * normal()));
  expect(new Set(made.segment)).toEqual(new Set([0]));
});

test("a half cycle ends a segment where the quantity does not turn", () => {
  const made = axisOf(range(100).map((i) => i / 100), { half: range(100).map((i) => (i < 40 ? 0 : 1)) }); // prettier-ignore
  expect(made.time[made.segment.indexOf(1)]).toBe(40);
});

test("a step_index that is only a number, as of a CSV, ends none", () => {
  const rows = { time: times(100), voltage_volt: Float64Array.from(range(100)), step_index: Float64Array.from(range(100)) };
  const schema = { rows: { voltage_volt: scalar("V"), step_index: scalar("") } };
  const { axis } = feed(correlateAxis, { rows }, { schema, with: { of: "voltage" } });
  expect(new Set(axis.segment)).toEqual(new Set([0]));
}); // prettier-ignore

test("knots no nearer than the resolution, the first and the last of a segment always", () => {
  const made = axisOf(range(10_001).map((i) => i / 10_000), { with: { of: "voltage", resolution: 0.01 } }); // prettier-ignore
  expect(made.time.length).toBeLessThan(600); // of 10,001; a range that grows begins finer
  expect([made.time[0], made.time.at(-1)]).toEqual([0, 10_000]);
  for (const t of [123, 4567, 9999]) expect(at(made, t)).toBeCloseTo(t / 10_000, 6);
});

test("state of charge and cycle number", () => {
  const n = 50;
  const rows = { time: times(n), charge_ampere_hour: Float64Array.from(range(n), (i) => i / 10), cycle_index: Int32Array.from(range(n), (i) => Math.floor(i / 20)) }; // prettier-ignore
  const schema = { rows: { charge_ampere_hour: scalar("A.h"), cycle_index: code() } };
  const soc = feed(correlateAxis, { rows }, { schema, with: { of: "state-of-charge", capacity: "5 A.h", initial: 0.2, resolution: 0 } }).axis; // prettier-ignore
  expect([soc.value[0], soc.value.at(-1)]).toEqual([0.2, 0.2 + 4.9 / 5]);
  const cycle = feed(correlateAxis, { rows }, { schema, with: { of: "cycle" } }).axis;
  expect([[...cycle.value], [...cycle.time].map((t: bigint) => Number(t / SECOND))]).toEqual([[0, 0, 1, 1, 2, 2], [0, 19, 20, 39, 40, 49]]); // prettier-ignore
});

describe("stream", () => {
  const normal = random(3);
  const measured = range(600).map((i) => 3 + triangle(i, 90) / 100 + 0.003 * normal());
  const all = axisOf(measured);
  test("the same bits wherever batches are cut and state is saved", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.array(fc.nat({ max: 40 }), { maxLength: 4 }), (rows, reloadAfter) => {
        expect(axisOf(measured, { rows, reloadAfter })).toEqual(all);
      }),
      { seed: 2, numRuns: 40 },
    );
  }); // prettier-ignore
  test("nothing, one row, missing values", () => {
    expect(axisOf([]).time).toEqual([]);
    expect(axisOf([3])).toMatchObject({ time: [0], value: [3] });
    expect(axisOf([NaN, 1, NaN, 2, NaN])).toMatchObject({ time: [1, 3], value: [1, 2] });
  });
  test("a long noisy plateau is kept in bounded memory", () => {
    const noisy = random(11);
    const long = axisOf(range(30_000).map((i) => (i < 100 ? i / 100 : 1 + 1e-4 * noisy())));
    expect(at(long, 20_000)).toBeCloseTo(1, 3);
    expect(new Set(long.segment).size).toBeLessThan(3);
  });
});

test.each([
  [{ of: "capacity" }, /made of half_cycle_charge_ampere_hour, which its stream has not.*give it the stream of echem\/charge/],
  [{ of: "column", column: "force" }, /made of force, which its stream has not; it has .*voltage_volt/],
])("%j is refused before the start", (given, says) => {
  expect(() => axisOf([1, 2], { with: given })).toThrow(says);
}); // prettier-ignore
