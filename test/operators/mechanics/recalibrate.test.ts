import { describe, expect, test } from "vitest";
import { recalibrate } from "../../../operators/mechanics/recalibrate.ts";
import { code, curve, label, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";

const FIELDS = {
  curves: {
    height: curve("m"), force: curve("N"), segment: curve("", { type: "u8" }), index: code(), x: scalar("m"), note: label(),
    spring_constant: scalar("N/m"), deflection_sensitivity: scalar("m/V"),
  },
  calibration: {
    spring_constant: scalar("N/m"), spring_constant_se: scalar("N/m"), deflection_sensitivity: scalar("m/V"), deflection_sensitivity_se: scalar("m/V"),
    valid: code(),
  },
}; // prettier-ignore
const s = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));

/** Curves at 1, 2, … s of one to three samples, k 2 N/m, s 10 nm/V. */
function curves(n: number) {
  const offsets = Int32Array.from({ length: n + 1 }, (_, i) => i + Math.floor((i * i) / 3));
  const total = offsets[n]!;
  return {
    time: BigInt64Array.from({ length: n }, (_, i) => s(i + 1)),
    height: { values: Float64Array.from({ length: total }, (_, i) => -i * 1e-9), offsets },
    force: { values: Float64Array.from({ length: total }, (_, i) => (i + 1) * 1e-9), offsets },
    segment: { values: Uint8Array.from({ length: total }, (_, i) => i % 2), offsets },
    index: Int32Array.from({ length: n }, (_, i) => i),
    x: Float64Array.from({ length: n }, (_, i) => i * 1e-6),
    note: Array.from({ length: n }, (_, i) => `curve ${i}`),
    spring_constant: new Float64Array(n).fill(2),
    deflection_sensitivity: new Float64Array(n).fill(1e-8),
  };
}
const calibrations = (list: readonly (readonly [number, number, number])[]) => ({
  time: BigInt64Array.from(list, ([t]) => s(t)),
  spring_constant: Float64Array.from(list, ([, k]) => k),
  spring_constant_se: Float64Array.from(list, ([, k]) => k / 10),
  deflection_sensitivity: Float64Array.from(list, ([, , of]) => of),
  deflection_sensitivity_se: Float64Array.from(list, ([, , of]) => of / 20),
  valid: new Int32Array(list.length),
});
const run = (
  of: ReturnType<typeof curves>,
  list: readonly (readonly [number, number, number])[],
  given = {},
  more = {},
) =>
  // prettier-ignore
  feed(recalibrate, { curves: of, calibration: calibrations(list) }, { with: given, schema: FIELDS, ...more });

const LIST = [[2, 3, 1e-8], [3.5, 2, 3e-8], [4.2, NaN, NaN]] as const; // prettier-ignore

test("each curve's force by the calibration as of its time; all else as it was", () => {
  const given = curves(6);
  const { curves: out, faults } = run(given, LIST);
  expect([...out.spring_constant]).toEqual([2, 3, 3, 2, 2, 2]);
  expect([...out.deflection_sensitivity]).toEqual([1e-8, 1e-8, 1e-8, 3e-8, 3e-8, 3e-8]);
  expect([...out.calibration]).toEqual([1, 0, 0, 0, 0, 0]);
  expect([...out.calibration_age]).toEqual([NaN, 0, 1, 0.5, 1.5, 2.5]);
  expect([...out.spring_constant_se].slice(1, 4)).toEqual([3 / 10, 3 / 10, 2 / 10]);
  const factor = [1, 1.5, 1.5, 3, 3, 3];
  for (let i = 0; i < 6; i++)
    for (let j = given.force.offsets[i]!; j < given.force.offsets[i + 1]!; j++)
      expect(out.force.values[j] / given.force.values[j]!).toBeCloseTo(factor[i]!, 12);
  expect(out.height).toEqual(given.height);
  expect(out.segment).toEqual(given.segment);
  expect([out.index, out.x, out.note]).toEqual([given.index, given.x, given.note]);
  expect(faults).toEqual([]);
});

test("back to the first calibration gives back the first forces", () => {
  const given = curves(4);
  const there = run(given, [[0.5, 3.7, 2.3e-8]]).curves;
  const back = run({ ...given, force: there.force, spring_constant: there.spring_constant, deflection_sensitivity: there.deflection_sensitivity }, [[0.5, 2, 1e-8]]).curves; // prettier-ignore
  back.force.values.forEach((f: number, i: number) => expect(f / given.force.values[i]!).toBeCloseTo(1, 14));
});

test("an old calibration is none; what cannot be rescaled stays, or has no spring constant", () => {
  const given = curves(6);
  given.deflection_sensitivity[2] = NaN;
  const kept = run(given, LIST, { max_age: "1 s" }).curves;
  expect([...kept.calibration]).toEqual([1, 0, 2, 0, 1, 1]);
  expect([...kept.spring_constant]).toEqual([2, 3, 2, 2, 2, 2]);
  expect(kept.force.values[given.force.offsets[5]!]).toBe(given.force.values[given.force.offsets[5]!]);
  const missing = run(given, LIST, { max_age: "1 s", uncalibrated: "missing" }).curves;
  expect([...missing.spring_constant]).toEqual([NaN, 3, NaN, 2, NaN, NaN]);
});

describe("the stream", () => {
  test("no calibration, no curves", () => {
    const { curves: out } = run(curves(3), []);
    expect([...out.calibration]).toEqual([1, 1, 1]);
    expect(run(curves(0), LIST).curves.time.length).toBe(0);
  });
  test("the same bits however it is cut, and loaded in the middle", () => {
    const given = curves(40);
    const list = Array.from({ length: 15 }, (_, i) => [i * 2.6 + 0.3, i % 4 === 3 ? NaN : 1 + i / 7, 1e-8 * (1 + i / 11)] as const); // prettier-ignore
    const whole = run(given, list, { max_age: "4 s" });
    for (const rows of [1, 2, 3, 7, 20])
      expect(run(given, list, { max_age: "4 s" }, { rows, reloadAfter: [1, 2, 5, 9] })).toEqual(whole);
  });
  test("curves that were recalibrated are refused", () => {
    const twice = { ...FIELDS.curves, calibration_age: scalar("s") };
    const given = { ...curves(1), calibration_age: Float64Array.of(1) };
    expect(() => feed(recalibrate, { curves: given, calibration: calibrations([]) }, { schema: { ...FIELDS, curves: twice } })).toThrow("recalibrated already"); // prettier-ignore
  });
});
