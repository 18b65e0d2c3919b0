import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { baseline } from "../../../operators/drift/baseline.ts";
import { code, curve, scalar, type SourceItem } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { afmFile } from "../../../sources/index.ts";
import { feed } from "../../helpers/feed.ts";
import { normal, random } from "./scene.ts";

const SAMPLES = 400;
const NOISE_N = 50e-12;

interface Made {
  curves: number;
  seed: number;
  /** N/m over curve number. */
  slope?: (i: number) => number;
  noise?: number;
}
/** Approach and retract over 1 µm, contact (quadratic) in the last fifth, a baseline that tilts with height. */
function make({ curves, seed, slope = () => 2e-3, noise = NOISE_N }: Made) {
  const uniform = random(seed);
  const [height, force, pure, segment]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let i = 0; i < curves; i++) {
    const offset = 1e-9 * normal(uniform);
    for (let k = 0; k < 2 * SAMPLES; k++) {
      const x = k < SAMPLES ? k : 2 * SAMPLES - 1 - k;
      const h = 1e-6 * (1 - x / (SAMPLES - 1));
      const contact = 20e-9 * Math.max(0, (x - 0.8 * SAMPLES) / (0.2 * SAMPLES)) ** 2;
      height.push(h);
      pure.push(contact);
      force.push(contact + offset + slope(i) * h + noise * normal(uniform));
      segment.push(k < SAMPLES ? 0 : 1);
    }
  }
  const offsets = Int32Array.from({ length: curves + 1 }, (_, i) => i * 2 * SAMPLES);
  return {
    curves: {
      time: BigInt64Array.from({ length: curves }, (_, i) => BigInt(i + 1) * 1_000_000_000n),
      height: { values: Float64Array.from(height), offsets },
      force: { values: Float64Array.from(force), offsets },
      segment: { values: Uint8Array.from(segment), offsets },
      index: Int32Array.from({ length: curves }, (_, i) => i),
    },
    pure,
  };
}
const FIELDS = { curves: { ...baseline.input.curves, index: code(), x: scalar("m"), more: curve("V") } };
const run = (curves: ReturnType<typeof make>["curves"], more: Record<string, unknown> = {}) =>
  feed(baseline, { curves }, { schema: FIELDS, ...more });

describe("a baseline that tilts alike", () => {
  test("is taken off to the noise of one sample's mean, and the slope is known better than by one curve", () => {
    const { curves, pure } = make({ curves: 60, seed: 1 });
    const { curves: out, baseline: state } = run(curves);
    const last = 59;
    expect(state.baseline_slope[last]).toBeCloseTo(2e-3, 5);
    expect(state.baseline_slope_se[last]).toBeLessThan(state.own_slope_se[last] / 5);
    let off = 0;
    for (let k = last * 800; k < (last + 1) * 800; k++) off += (out.force.values[k] - pure[k]!) / 800;
    expect(Math.abs(off)).toBeLessThan(4 * state.baseline_offset_se[last]);
    expect([...out.index]).toEqual([...curves.index]);
  });

  test("its errors cover: 1 sigma in 60 to 82 % of 300 draws, of one curve and of the state", () => {
    let [own, all] = [0, 0];
    for (let draw = 0; draw < 300; draw++) {
      const { baseline: state } = run(make({ curves: 6, seed: 100 + draw }).curves);
      if (Math.abs(state.own_slope[5] - 2e-3) < state.own_slope_se[5]) own++;
      if (Math.abs(state.baseline_slope[5] - 2e-3) < state.baseline_slope_se[5]) all++;
    }
    for (const share of [own / 300, all / 300]) {
      expect(share).toBeGreaterThan(0.6);
      expect(share).toBeLessThan(0.82); // the larger of white and block error counts, so that it may cover more
    }
  });

  test("a slope that drifts is followed within its memory", () => {
    const { curves } = make({ curves: 200, seed: 5, slope: (i) => 2e-3 + 1e-5 * i });
    const { baseline: state } = run(curves, { with: { memory: "10 s" } });
    expect(Math.abs(state.baseline_slope[199] - (2e-3 + 199e-5))).toBeLessThan(1.5e-4); // lags by its memory: 10 curves
  });

  test("without memory each curve stands alone", () => {
    const { baseline: state } = run(make({ curves: 5, seed: 6 }).curves, { with: { memory: "0 s" } });
    state.own_slope.forEach((own: number, i: number) => expect(state.baseline_slope[i]).toBeCloseTo(own, 15));
  });
});

test("in time: what bends with the samples, whatever the height does", () => {
  const { curves, pure } = make({ curves: 3, seed: 8, slope: () => 0 });
  for (let i = 0; i < 2400; i++) curves.force.values[i]! += (5e-9 * (i % 800)) / SAMPLES;
  const { curves: out, baseline: state } = run(curves, { with: { along: "time" } });
  expect(state.baseline_slope[2]).toBeCloseTo(5e-9, 10);
  const off = Float64Array.from({ length: 800 }, (_, k) => out.force.values[1600 + k] - pure[1600 + k]!);
  const mean = (values: Float64Array): number => values.reduce((a, b) => a + b, 0) / values.length;
  expect(Math.abs(mean(off.subarray(700)) - mean(off.subarray(0, 100)))).toBeLessThan(40e-12);
});

describe("curves that have no baseline", () => {
  const spoilt = (): ReturnType<typeof make>["curves"] => {
    const { curves } = make({ curves: 3, seed: 9 });
    // The second is in contact from the start.
    for (let k = 0; k < 800; k++) {
      const x = k < SAMPLES ? k : 2 * SAMPLES - 1 - k;
      curves.force.values[800 + k]! += 200e-9 * (x / SAMPLES) ** 2;
    }
    return curves;
  };

  test("are corrected by those before, and say so", () => {
    const { baseline: state } = run(spoilt());
    expect([...state.baseline_valid]).toEqual([0, 4, 0]);
    expect(state.own_slope[1]).toBeNaN();
    expect(state.baseline_slope[1]).toBe(state.baseline_slope[0]);
  });

  test("are left as they are where there is nothing before them", () => {
    const curves = spoilt();
    curves.force.values.copyWithin(0, 800, 1600);
    const { curves: out, baseline: state } = run(curves);
    expect(state.baseline_valid[0]).toBe(2);
    expect(state.baseline_slope[0]).toBeNaN();
    expect(out.force.values.slice(0, 800)).toEqual(curves.force.values.slice(0, 800));
  });

  test("NaN, one sample, no approach, none at all", () => {
    const { curves } = make({ curves: 1, seed: 10 });
    curves.force.values.fill(NaN);
    expect(run(curves).baseline.baseline_valid[0]).toBe(1);
    const one = { ...curves, height: { values: Float64Array.of(1), offsets: Int32Array.of(0, 1) }, force: { values: Float64Array.of(1), offsets: Int32Array.of(0, 1) }, segment: { values: Uint8Array.of(0), offsets: Int32Array.of(0, 1) } }; // prettier-ignore
    expect(run(one).baseline.baseline_valid[0]).toBe(1);
    const retract = make({ curves: 1, seed: 10 }).curves;
    retract.segment.values.fill(1);
    expect(run(retract).baseline.baseline_valid[0]).toBe(1);
    expect(run(make({ curves: 0, seed: 1 }).curves).baseline.time).toHaveLength(0);
  });
});

test("what was corrected before is refused", () => {
  const schema = { curves: { ...FIELDS.curves, baseline_slope: scalar("N/m") } };
  const curves = { ...make({ curves: 1, seed: 1 }).curves, baseline_slope: Float64Array.of(1) };
  expect(() => feed(baseline, { curves }, { schema })).toThrow(/taken off before/);
});

test("the same bits however curves are cut, saved and loaded", () => {
  const { curves } = make({ curves: 12, seed: 12, slope: (i) => 1e-3 * Math.sin(i) });
  const whole = run(curves, { with: { offset: "state" } });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.subarray([1, 2, 3, 4]), (rows, reloadAfter) => {
      expect(run(curves, { with: { offset: "state" }, rows, reloadAfter })).toEqual(whole);
    }),
    { seed: 4, numRuns: 20 },
  );
});

const file = new URL("../../../../shared/data/afm/jpk/fmt-jpk-fd_single_tilted-baseline-drift-mitotic_2021-01-29.jpk-force", import.meta.url); // prettier-ignore
describe.runIf(existsSync(file))("a real curve between parallel plates, bent in time", () => {
  test("is flat to 0.094 nN over its first 15,000 samples, as nanite's own test asks", async () => {
    const { config } = readConfig(afmFile.config, { path: fileURLToPath(file) });
    const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: true, directory: "/" }; // prettier-ignore
    let curves: Record<string, unknown> | undefined;
    for await (const { rows } of afmFile.open(config, context) as AsyncIterable<SourceItem>)
      if (rows?.["curves"]) curves = rows["curves"] as never;
    const raw = (curves as { force: { values: Float64Array } }).force.values.subarray(0, 15_000);
    expect(Math.max(...raw) - Math.min(...raw)).toBeGreaterThan(0.35e-9);
    const { curves: out } = feed(baseline, { curves: curves as never }, { schema: { curves: { ...baseline.input.curves } }, with: { along: "time", share: 0.9 } }); // prettier-ignore
    const flat = out.force.values.subarray(0, 15_000);
    expect(Math.max(...flat) - Math.min(...flat)).toBeLessThan(0.094e-9);
  });
});
