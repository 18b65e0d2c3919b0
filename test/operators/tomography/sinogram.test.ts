import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { placeOf, sinogram } from "../../../operators/tomography/sinogram.ts";
import { image, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, rms } from "./phantom.ts";

const SECOND = 1_000_000_000n;
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);

/** Line integrals of the phantom; of several detector rows, row r is (r + 1) times as dense. */
function scan(angles: readonly number[], { cols = 32, rows = 1, axis = (cols - 1) / 2 }: { cols?: number; rows?: number; axis?: number } = {}) {
  const data = new Float32Array(angles.length * rows * cols);
  angles.forEach((angle, k) => {
    const p = project(cell(cols), angle, cols, axis);
    for (let r = 0; r < rows; r++) data.set(p.map((x) => (r + 1) * x), (k * rows + r) * cols);
  });
  const data_ = image("1", { shape: [rows, cols], quantity: "line integral" });
  return {
    projections: { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles) } as Record<string, Float64Array | Float32Array> & { time: BigInt64Array; data: Float32Array; rotation_angle: Float64Array },
    schema: { projections: { data: data_, rotation_angle: scalar("deg"), shift_x: scalar("{px}"), shift_y: scalar("{px}"), axis: scalar("{px}") } },
  };
} // prettier-ignore

type Scan = ReturnType<typeof scan>;
const show = ({ projections, schema }: Scan, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(sinogram, { projections }, { schema, with: options, ...how }); // prettier-ignore

test("the sinogram of the phantom, in the bins of its angles, whatever the order and the turn", () => {
  const expected = Float32Array.from(steps(60, 3).flatMap((a) => [...project(cell(32), a, 32, 15.5)]));
  const shuffled = steps(60, 3).map((_, k) => 3 * ((k * 23) % 60) + 360 * (k % 3) - 720);
  for (const angles of [steps(60, 3), shuffled]) {
    const { sinograms, faults } = show(scan(angles), { bins: 60, every: 60 });
    expect(rms(sinograms.data.slice(-60 * 32), expected)).toBeLessThan(1e-6);
    expect(sinograms.views.at(-1)).toBe(60);
    expect(sinograms.coverage.at(-1)).toBe(180);
    expect(faults).toEqual([]);
  }
});

test("views from behind are mirrored about the axis, also between two columns", () => {
  for (const axis of [15.5, 14]) {
    const front = show(scan(steps(60, 3), { axis }), { bins: 60, every: 60, axis }).sinograms;
    const back = show(scan(steps(60, 3, 180), { axis }), { bins: 60, every: 60, axis }).sinograms;
    const known = [...back.data].flatMap((x, i) => (Number.isNaN(x) ? [] : [i])).filter((i) => i >= 60 * 32);
    expect(known.length).toBeGreaterThan(60 * 28);
    for (const i of known) expect(back.data[i]).toBeCloseTo(front.data[i], 5);
  }
  const between = show(scan([180], { axis: 15.25 }), { axis: 15.25 }).sinograms.data;
  const exact = project(cell(32), 0, 32, 15.25);
  expect(between[10]).toBeCloseTo(exact[10]!, 1);
  // over a full turn they are views of their own
  const full = show(scan([180]), { window: "360 deg" }).sinograms;
  expect(full.data.length).toBe(360 * 32);
  expect([...full.data.slice(180 * 32, 181 * 32)]).toEqual([
    ...Float32Array.from(project(cell(32), 180, 32, 15.5)),
  ]);
});

test("a stage's jitter changes no bin, not even at the end of the half-turn", () => {
  expect(placeOf(0.2, 180, 180)).toEqual({ bin: 0, mirrored: false });
  expect(placeOf(-0.2, 180, 180)).toEqual({ bin: 0, mirrored: false });
  expect(placeOf(179.8, 180, 180)).toEqual({ bin: 0, mirrored: true });
  expect(placeOf(-180.2, 180, 180)).toEqual({ bin: 0, mirrored: true });
  expect(placeOf(-1, 180, 180)).toEqual({ bin: 179, mirrored: true });
  expect(placeOf(359.9, 360, 360)).toEqual({ bin: 0, mirrored: false });
  expect(placeOf(725, 72, 360)).toEqual({ bin: 1, mirrored: false });
});

test("it fills up: missing is missing, the newest view of an angle stands, and it says how old it is", () => {
  const taken = scan([0, 3, 6, 3]);
  taken.projections.data.fill(9, 3 * 32);
  const { sinograms } = show(taken, { bins: 60, every: 2 });
  expect([...sinograms.time]).toEqual([0n, SECOND, 3n * SECOND]);
  expect([...sinograms.views]).toEqual([1, 2, 3]);
  expect([...sinograms.coverage]).toEqual([3, 6, 9]);
  expect([...sinograms.oldest_age]).toEqual([0, 1, 3]);
  expect([...sinograms.rotation_angle]).toEqual([0, 3, 3]);
  const last = sinograms.data.slice(-60 * 32);
  expect([...last.slice(32, 64)]).toEqual(Array(32).fill(9));
  expect(last.slice(96).every(Number.isNaN)).toBe(true);
  expect(last.slice(0, 96).some(Number.isNaN)).toBe(false);
});

test("several rows, each its own; line integrals stay line integrals", () => {
  const { sinograms } = show(scan(steps(4, 45), { rows: 3 }), { slices: [2, "z=0"], bins: 4, every: 4 });
  expect([...sinograms.slice]).toEqual([2, 0, 2, 0]);
  const [three, one] = [sinograms.data.slice(-256, -128), sinograms.data.slice(-128)];
  expect(
    rms(
      three,
      one.map((x: number) => 3 * x),
    ),
  ).toBeLessThan(1e-6);
  const input = { projections: scan([]).schema.projections };
  const { data } = (sinogram.output as unknown as (i: unknown, c: unknown, m: unknown) => { sinograms: { data: { quantity: string } } })(
    input, { slices: [], window: 180, bins: 0, axis: NaN }, {},
  ).sinograms; // prettier-ignore
  expect(data.quantity).toBe("line integral");
});

test("shifts and a moving axis are taken back", () => {
  const still = scan(steps(8, 22.5), { rows: 2 });
  const moved = scan(steps(8, 22.5), { rows: 2 });
  // recorded two columns to the right and a row down, one of them through the axis
  for (let k = 0; k < 8; k++) {
    const p = project(cell(32), 22.5 * k, 32, 17.5);
    moved.projections.data.set(p, (k * 2 + 1) * 32);
  }
  moved.projections["shift_x"] = Float64Array.from(steps(8, 0), (_, k) => (k % 2 ? 2 : NaN));
  moved.projections["axis"] = Float64Array.from(steps(8, 0), (_, k) => (k % 2 ? 15.5 : 17.5));
  moved.projections["shift_y"] = new Float64Array(8).fill(1.2);
  const options = { slices: [0], bins: 8, every: 8 };
  const expected = show(still, options).sinograms.data.slice(-256);
  const found = show(moved, options).sinograms.data.slice(-256);
  found.forEach((x: number, i: number) => {
    if (i % 32 >= 30) expect(x).toBeNaN();
    else expect(x).toBeCloseTo(expected[i], 5);
  });
  const gone = show(moved, { ...options, slices: [1] }).sinograms.data;
  expect(gone.every(Number.isNaN)).toBe(true); // the row below the last
});

describe("the stream", () => {
  test("cut anywhere, saved and loaded anywhere: the same bits", () => {
    const taken = scan([...steps(40, 7.3), NaN, ...steps(20, -11)], { rows: 2, cols: 8, axis: 3.2 });
    const options = { slices: [0, 1], every: 9, axis: 3.2, bins: 30 };
    const whole = show(taken, options);
    expect(whole.faults.map((f: { what: string }) => f.what)).toEqual([expect.stringMatching(/without a rotation angle, left out/)]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 4 }), (rows, reloadAfter) => {
        expect(show(taken, options, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 3, numRuns: 10 },
    );
  }); // prettier-ignore

  test("the axis may come with the stream; none, and one", () => {
    const taken = scan(steps(3, 100), { axis: 14 });
    const said = show(taken, {}, { metadata: { projections: { rotation_axis: "14" } } });
    expect(said).toEqual(show(taken, { axis: 14 }));
    expect(show(scan([])).sinograms.time.length).toBe(0);
    expect([...show(scan([12])).sinograms.views]).toEqual([1]);
  });

  test("wrong options stop the start and say what is allowed", () => {
    const taken = scan(steps(3, 60));
    expect(() => show(taken, { slices: [1] })).toThrow(
      /slices: 1 is not a row of the detector; wanted 0 to 0/,
    );
    expect(() => show(taken, { window: "90 deg" })).toThrow(/window is 90 deg; wanted 180 deg or 360 deg/);
    expect(() => show(taken, {}, { metadata: { projections: { rotation_axis: "?" } } })).toThrow(
      /axis: the stream's rotation_axis "\?" is not a column; give axis in px/,
    );
    const fan = { metadata: { projections: { geometry: "fan" } } };
    expect(() => show(taken, {}, fan)).toThrow(
      /window is 180 deg, but the beam is a fan.*set window: 360 deg/,
    );
    expect(show(taken, { window: "360 deg" }, fan).sinograms.views.at(-1)).toBe(3);
  });
});
