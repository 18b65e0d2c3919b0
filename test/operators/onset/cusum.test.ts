import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { advance, cusum, freshCusum, robustBaseline } from "../../../operators/onset/cusum.ts";
import { image, scalar, WiringError } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { feed } from "../../helpers/feed.ts";

/** Numbers of a normal law, the same each time (mulberry32 and Box–Muller). */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

const SECOND = 1_000_000_000n;
const FIELDS = { feature: { strain: scalar("um"), count: scalar("1", { type: "f32" }) } };
const series = (strain: ArrayLike<number>, step: bigint = SECOND) => ({
  feature: {
    time: BigInt64Array.from({ length: strain.length }, (_, i) => BigInt(i) * step),
    strain: Float64Array.from(strain),
  },
});
const run = (
  strain: ArrayLike<number>,
  options: Record<string, unknown> = {},
  rest: Parameters<typeof feed>[2] = {},
) =>
  feed(cusum, series(strain), {
    schema: FIELDS,
    with: { column: "strain", baseline_rows: 50, ...options },
    ...rest,
  });

/** 200 clean samples around 7, then a step of `shift` standard deviations of 0.1. */
function stepped(shift: number, seed = 1, length = 300): Float64Array {
  const normal = normals(seed);
  return Float64Array.from({ length }, (_, i) => 7 + 0.1 * (normal() + (i >= 200 ? shift : 0)));
}

describe("ground truth", () => {
  test.each([
    [3, "upper"],
    [-3, "lower"],
  ] as const)("a step of %d σ at sample 200 is found, with its time", (shift, side) => {
    const { onset, faults } = run(stepped(shift), { h: 8 });
    const first = onset.level.indexOf(2);
    expect(first).toBeGreaterThanOrEqual(200);
    expect(first).toBeLessThan(206);
    expect(onset[side][first]).toBeGreaterThan(8);
    // before the step the statistic may have been on its way up by chance
    expect(Math.abs(onset.onset_seconds[first] - 200)).toBeLessThanOrEqual(5);
    expect(onset.level.slice(0, 200).every((level: number) => level < 2)).toBe(true);
    expect(onset.level.at(-1)).toBe(2);
    expect(faults).toEqual([]);
  });

  test("one side alone does not see the other", () => {
    expect(run(stepped(3), { direction: "down", h: 8 }).onset.level).not.toContain(2);
    expect(run(stepped(-3), { direction: "up", h: 8 }).onset.level).not.toContain(2);
    expect(run(stepped(-3), { direction: "down", h: 8 }).onset.level).toContain(2);
  });

  test("watch comes before alarm, and onset_seconds is NaN while clear", () => {
    const { onset } = run(stepped(1), { h: 10 });
    expect(onset.level.indexOf(1)).toBeGreaterThan(0);
    expect(onset.level.indexOf(1)).toBeLessThan(onset.level.indexOf(2));
    onset.level.forEach((level: number, i: number) => {
      expect(Number.isNaN(onset.onset_seconds[i])).toBe(level === 0);
    });
  });

  test("with reset, the statistic begins again from 0 after each alarm", () => {
    const { onset } = run(new Float64Array(10).fill(2), { center: 0, scale: 1, k: 0.5, h: 4, reset: true });
    expect([...onset.upper]).toEqual([1.5, 3, 4.5, 1.5, 3, 4.5, 1.5, 3, 4.5, 1.5]);
    expect([...onset.level]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    expect([...onset.onset_seconds]).toEqual([NaN, 0, 0, NaN, 3, 3, NaN, 6, 6, NaN]);
  });
});

describe("the baseline", () => {
  test("is the median and 1.4826 MAD of the first samples; outliers do not move it", () => {
    const { onset } = run([1, 2, 3, 4, 5, 6, 7, 8, 9, 1e9, 5], { baseline_rows: 10 });
    expect(onset.z.slice(0, 10).every(Number.isNaN)).toBe(true);
    expect(onset.baseline_center[10]).toBe(5.5);
    expect(onset.baseline_scale[10]).toBeCloseTo(1.4826 * 2.5, 12);
    expect(onset.z[10]).toBeCloseTo(-0.5 / (1.4826 * 2.5), 12);
  });

  test("may be a window of time that begins after a warm-up", () => {
    const values = Float64Array.from({ length: 60 }, (_, i) => (i < 20 ? 100 : i % 3));
    const { onset } = run(values, { baseline_rows: 0, baseline_from: "20 s", baseline: "30 s" });
    expect(onset.z.findIndex((z: number) => !Number.isNaN(z))).toBe(50);
    expect(onset.baseline_center[50]).toBe(1);
  });

  test("without spread it is made longer, and said so once", () => {
    const values = Float64Array.from({ length: 200 }, (_, i) => (i < 30 ? 4 : i % 5));
    const { onset, faults } = run(values, { baseline_rows: 20 });
    expect(faults.length).toBe(1);
    expect(faults[0].what).toMatch(/strain does not vary over its baseline.*20 samples are 4/);
    expect(onset.z.findIndex((z: number) => !Number.isNaN(z))).toBe(80);
  });

  test("robust center and scale of a normal law are its mean and deviation", () => {
    const normal = normals(3);
    const { center, scale } = robustBaseline(Float64Array.from({ length: 20001 }, () => 3 + 2 * normal()));
    expect(center).toBeCloseTo(3, 1);
    expect(scale).toBeCloseTo(2, 1);
  });
});

// 4000 runs each, from a known baseline; the published lengths within three standard errors.
test.each([
  [4, 0, 167.68, 4000],
  [4, 1, 8.38, 4000],
  [5, 0, 465.44, 4000],
  [5, 1, 10.38, 4000],
])("average run length at h = %d and a shift of %d σ is %d", (h, shift, expected, runs) => {
  const normal = normals(1000 * h + shift);
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < runs; i++) {
    let n = 0;
    for (let c = freshCusum(); c.upper <= h && c.lower <= h; n++) c = advance(c, normal() + shift, 0.5, n);
    sum += n;
    squares += n * n;
  }
  const mean = sum / runs;
  const standardError = Math.sqrt((squares / runs - mean * mean) / runs);
  expect(Math.abs(mean - expected)).toBeLessThan(3 * standardError);
});

describe("blocks", () => {
  test("the mean of each pane of event time, at its end", () => {
    const { onset } = run([1, 3, 5, 7, 9, 11, 13], { block: "2 s", center: 0, scale: 1 });
    expect([...onset.value]).toEqual([2, 6, 10, 13]);
    expect([...onset.time]).toEqual([2n, 4n, 6n, 8n].map((s) => s * SECOND));
  });

  test("a pane without numbers gives no row", () => {
    const { onset, faults } = run([1, 3, NaN, NaN, 9, 11], { block: "2 s", center: 0, scale: 1 });
    expect([...onset.value]).toEqual([2, 10]);
    expect([...onset.skipped]).toEqual([0, 2]);
    expect(faults.length).toBe(1);
  });
});

test("values that are no numbers are skipped and counted, with one fault for each run of them", () => {
  const { onset, faults } = run([1, NaN, NaN, 2, Infinity, 3], { center: 0, scale: 1 });
  expect([...onset.value]).toEqual([1, 2, 3]);
  expect([...onset.skipped]).toEqual([0, 2, 3]);
  expect(faults.map(({ time }: { time: bigint }) => time)).toEqual([SECOND, 4n * SECOND]);
  expect(faults[0].what).toMatch(/strain is NaN; skipped/);
});

test("reads a column of another storage type", () => {
  const { time } = series([1, 2, 3]).feature;
  const { onset } = feed(cusum, { feature: { time, count: Float32Array.of(1, 2, 3) } }, { schema: FIELDS, with: { column: "count", center: 0, scale: 1 } }); // prettier-ignore
  expect([...onset.z]).toEqual([1, 2, 3]);
});

test("an empty stream gives nothing", () => {
  const { onset, faults } = run([]);
  expect(onset.time.length).toBe(0);
  expect(faults).toEqual([]);
});

describe("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const ways = [
    {},
    { block: "7 s" },
    { block: "0.3 s", reset: true },
    { baseline_rows: 0, baseline: "60 s" },
  ];
  test.each(ways)("with %j", (options) => {
    const cuts = fc.record({
      rows: fc.integer({ min: 1, max: 90 }),
      reload: fc.array(fc.nat(40), { maxLength: 4 }),
    });
    const property = fc.property(fc.integer(), cuts, (seed, { rows, reload }) => {
      const values = stepped(2, seed, 260).map((x, i) => (i % 41 === 3 ? NaN : x));
      const whole = run(values, options);
      const cut = run(values, options, { rows, reloadAfter: reload });
      expect(cut.faults).toEqual(whole.faults);
      for (const name of Object.keys(whole.onset)) expect(cut.onset[name]).toEqual(whole.onset[name]);
    });
    fc.assert(property, { numRuns: 25, seed: 5 });
  });
});

describe("wiring", () => {
  const outputOf = (given: Record<string, unknown>) => {
    const { config } = readConfig(cusum.config, given);
    const feature = { ...FIELDS.feature, data: image("m") };
    return (cusum.output as (inputs: object, config: object) => object)({ feature }, config);
  };
  test.each([
    [{ column: "stran" }, "the stream has no stran; its columns of numbers are strain, count"],
    [{ column: "data" }, "data is of kind image, not one number a row"],
    [{ column: "strain", center: 1 }, "scale: must be given too"],
  ])("%j", (given, says) => {
    expect(() => outputOf(given)).toThrow(WiringError);
    expect(() => outputOf(given)).toThrow(says);
  });

  test("value and baseline carry the column's unit", () => {
    expect(outputOf({ column: "strain" })).toMatchObject({
      onset: {
        value: { unit: "um" },
        baseline_center: { unit: "um" },
        baseline_scale: { unit: "um" },
        z: { unit: "1" },
      },
    });
  });

  test("column must be given", () => {
    expect(readConfig(cusum.config, {}).problems[0]!.message).toMatch(/must be given/);
  });
});
