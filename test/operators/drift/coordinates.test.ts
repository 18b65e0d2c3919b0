import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { code, curve, scalar } from "../../../runtime/index.ts";
import { coordinates } from "../../../operators/drift/coordinates.ts";
import { feed } from "../../helpers/feed.ts";

const at = (seconds: readonly number[]): BigInt64Array =>
  BigInt64Array.from(seconds, (s) => BigInt(Math.round(s * 1e9)));

const SCALARS = { x: scalar("m"), y: scalar("m") };

const curvesAt = (seconds: readonly number[]) => ({
  time: at(seconds),
  x: Float64Array.from(seconds, () => 1e-6),
  y: Float64Array.from(seconds, () => -2e-6),
});
/** A sample that drifts by (3, -1) nm/s and jumped by 20 nm before the first frame; frames of 100 s. */
const truth = (t: number) => ({ x: 20e-9 + 3e-9 * (t - 50), y: -1e-9 * (t - 50) });
const driftAt = (seconds: readonly number[]) => ({
  time: at(seconds),
  shift_x: Float64Array.from(seconds, (s) => truth(s - 50).x),
  shift_y: Float64Array.from(seconds, (s) => truth(s - 50).y),
  shift_x_se: Float64Array.from(seconds, () => 1e-10),
  shift_y_se: Float64Array.from(seconds, () => 2e-10),
  duration: Float64Array.from(seconds, () => 100),
});
const withVelocity = (seconds: readonly number[]) => ({
  ...driftAt(seconds),
  velocity_x: Float64Array.from(seconds, () => 3e-9),
  velocity_y: Float64Array.from(seconds, () => -1e-9),
  velocity_x_se: Float64Array.from(seconds, () => 1e-11),
  velocity_y_se: Float64Array.from(seconds, () => 0),
});

describe("a sample that drifts evenly", () => {
  const frames = [100, 200, 300];
  const measured = [20, 100, 120, 250, 299, 420];

  test("extrapolated by its velocity: exact from the first frame on, unknown before", () => {
    const { corrected } = feed(coordinates, { rows: curvesAt(measured), drift: withVelocity(frames) });
    measured.forEach((t, i) => {
      if (t < 100) return expect(corrected.x[i]).toBeNaN();
      expect(corrected.x[i]).toBeCloseTo(1e-6 + truth(t).x, 15);
      expect(corrected.y[i]).toBeCloseTo(-2e-6 + truth(t).y, 15);
      expect(corrected.x_scanner[i]).toBe(1e-6);
      // The middle of the newest frame that was done.
      const age = t - (Math.min(300, Math.floor(t / 100) * 100) - 50);
      expect(corrected.drift_age[i]).toBeCloseTo(age, 9);
      expect(corrected.x_se[i]).toBeCloseTo(Math.hypot(1e-10, 1e-11 * age), 18);
    });
  });

  test("interpolated: exact between two frames, held beyond the last where there is no velocity", () => {
    const { corrected } = feed(
      coordinates,
      { rows: curvesAt(measured), drift: driftAt(frames) },
      { with: { method: "interpolate" } },
    );
    expect(corrected.x[0]).toBeCloseTo(1e-6 + truth(50).x, 15); // before the middle of the first
    for (const i of [1, 2]) expect(corrected.x[i]).toBeCloseTo(1e-6 + truth(measured[i]!).x, 15);
    expect(corrected.x[3]).toBeCloseTo(1e-6 + truth(250).x, 15);
    for (const i of [4, 5]) expect(corrected.x[i]).toBeCloseTo(1e-6 + truth(250).x, 15);
    expect(corrected.x_se[2]).toBeCloseTo(Math.hypot(0.3, 0.7) * 1e-10, 18);
  });

  test("without velocity the newest shift holds", () => {
    const { corrected } = feed(coordinates, { rows: curvesAt([150, 180]), drift: driftAt(frames) });
    expect([...corrected.x]).toEqual([1e-6 + truth(50).x, 1e-6 + truth(50).x]);
  });
});

test("a frame that was not placed does not count", () => {
  const drift = withVelocity([100, 200]);
  drift.shift_x[1] = NaN;
  const { corrected } = feed(coordinates, { rows: curvesAt([250]), drift });
  expect(corrected.drift_age[0]).toBe(200);
});

test("a shift older than max_age is none", () => {
  const { corrected } = feed(
    coordinates,
    { rows: curvesAt([200, 260]), drift: withVelocity([100]) },
    { with: { max_age: "3 min" } },
  );
  expect(corrected.x[0]).not.toBeNaN();
  expect(corrected.x[1]).toBeNaN();
  expect(corrected.x_scanner[1]).toBe(1e-6);
});

test("no drift stream rows at all: nothing is known, nothing is lost", () => {
  const { corrected } = feed(
    coordinates,
    { rows: curvesAt([1, 2]), drift: withVelocity([]) },
    { with: { method: "interpolate" } },
  );
  expect(corrected.time).toEqual(at([1, 2]));
  expect([...corrected.x]).toEqual([NaN, NaN]);
});

test("curves and codes go along with their row", () => {
  const rows = {
    ...curvesAt([110, 120]),
    index: Int32Array.of(4, 5),
    force: { values: Float64Array.of(1, 2, 3), offsets: Int32Array.of(0, 1, 3) },
  };
  const { corrected } = feed(
    coordinates,
    { rows, drift: withVelocity([100, 200]) },
    { with: { method: "interpolate" }, rows: 1, schema: { rows: { ...SCALARS, index: code(), force: curve("N") } } },
  ); // prettier-ignore
  expect([...corrected.index]).toEqual([4, 5]);
  expect([...corrected.force.values]).toEqual([1, 2, 3]);
});

test("rows that were corrected before are refused", () => {
  const rows = { ...curvesAt([1]), x_scanner: Float64Array.of(1) };
  const schema = { rows: { ...SCALARS, x_scanner: scalar("m") } };
  expect(() => feed(coordinates, { rows, drift: withVelocity([]) }, { schema })).toThrow(/corrected before/);
});

test("the same bits however rows and frames are cut, saved and loaded", () => {
  const times = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      times,
      times,
      fc.constantFrom("extrapolate", "interpolate"),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 20, max: 300 }),
      fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
      (curveTimes, frameTimes, method, rows, wait, reloadAfter) => {
        const sorted = (of: number[]): number[] => of.toSorted((a, b) => a - b);
        const input = { rows: curvesAt(sorted(curveTimes)), drift: withVelocity(sorted(frameTimes)) };
        const how = { method, max_wait: `${wait} s` };
        const whole = feed(coordinates, input, { with: how });
        const cut = feed(coordinates, input, { with: how, rows, reloadAfter });
        expect(cut).toEqual(whole);
      },
    ),
    { seed: 11, numRuns: 200 },
  );
});

test("interpolated rows wait no longer than max_wait", () => {
  const drift = withVelocity([100, 900]);
  const { corrected } = feed(
    coordinates,
    { rows: curvesAt([150]), drift },
    { with: { method: "interpolate", max_wait: "60 s" } },
  );
  expect(corrected.drift_age[0]).toBe(100); // extrapolated from the first, not between both
});
