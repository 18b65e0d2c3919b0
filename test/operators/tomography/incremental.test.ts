import fc from "fast-check";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { flatField } from "../../../operators/tomography/flat-field.ts";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { fillGaps } from "../../../operators/tomography/line-integrals.ts";
import { image, type Schema, type SourceItem } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { concat, type Columns } from "../../../runtime/columns.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { tomography } from "../../../sources/xray/tomography.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, psnr, ramLak, rms, textbook } from "./phantom.ts";

const SECOND = 1_000_000_000n;

/** A scan of the phantom, one detector row unless `rows` says more; row r sees it (r + 1) times as dense. */
function scan(angles: readonly number[], cols: number, { axis = (cols - 1) / 2, rows = 1 } = {}) {
  const data = new Float32Array(angles.length * rows * cols);
  const lines: Float64Array[] = [];
  angles.forEach((angle, k) => {
    const p = project(cell(cols), angle, cols, axis);
    lines.push(p);
    for (let r = 0; r < rows; r++)
      data.set(p.map((x) => Math.exp(-(r + 1) * x)), (k * rows + r) * cols); // prettier-ignore
  });
  return {
    lines,
    axis,
    cols,
    projections: {
      time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND),
      data,
      rotation_angle: Float64Array.from(angles),
    },
    schema: {
      projections: { ...incremental.input.projections, data: image("1", { shape: [rows, cols] }) },
    },
  };
}

type Scan = ReturnType<typeof scan>;
const reconstruct = ({ projections, schema }: Scan, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(incremental, { projections }, { schema, with: { filter: "ram-lak", ...options }, ...how }); // prettier-ignore
const last = ({ slices }: { slices: { data: Float32Array; time: BigInt64Array } }): Float32Array =>
  slices.data.slice(-slices.data.length / slices.time.length);
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);

test("finds the attenuation that the phantom was made with", () => {
  const cols = 128;
  const fed = reconstruct(scan(steps(180, 1), cols), { every: 180 });
  const f = last(fed);
  const at = (x: number, y: number): number => {
    let sum = 0;
    for (let r = -2; r <= 2; r++) for (let c = -2; c <= 2; c++) sum += f[(64 - Math.round(y) + r) * cols + 64 + Math.round(x) + c]!; // prettier-ignore
    return sum / 25;
  };
  expect(at(0.2 * 64, 0.3 * 64)).toBeCloseTo(2 / cols, 3); // the ellipse up and to the right
  expect(at(-0.3 * 64, -0.2 * 64)).toBeCloseTo(0.2 / cols, 3); // the hole down and to the left
  expect(at(30, -30)).toBeCloseTo(1 / cols, 3);
  expect(at(0, 60)).toBeCloseTo(0, 3); // air
  expect(fed.faults).toEqual([]);
});

describe("against a textbook filtered back-projection in double precision", () => {
  test.each([
    ["axis in the middle", 64, 63 / 2, "wasm"],
    ["axis off the middle, between pixels", 64, 27.85, "wasm"],
    ["odd number of columns", 65, 33.25, "wasm"],
    ["axis off the middle, in plain TypeScript", 65, 27.85, "typescript"],
  ])("%s: single precision, 120 dB", (_, cols, axis, kernel) => {
    const angles = steps(90, 2);
    const taken = scan(angles, cols, { axis });
    const fed = reconstruct(taken, { axis, every: 90, kernel });
    expect(psnr(last(fed), textbook(taken.lines, angles, axis, cols))).toBeGreaterThan(120);
    expect(fed.slices.coverage.at(-1)).toBeCloseTo(180, 9);
    expect(fed.slices.axis.at(-1)).toBe(axis);
  });

  test.each([
    // Inverse transforms of ramp times window: Shepp & Logan (1974); the others are ram-lak and its neighbours.
    ["shepp-logan", (n: number) => -2 / (Math.PI ** 2 * (4 * n * n - 1)), 80],
    ["hann", (n: number) => ramLak(n) / 2 + (ramLak(Math.abs(n - 1)) + ramLak(n + 1)) / 4, 80],
    ["hamming", (n: number) => 0.54 * ramLak(n) + 0.23 * (ramLak(Math.abs(n - 1)) + ramLak(n + 1)), 80],
  ])("the window %s is that of its convolution kernel", (filter, kernel, least_dB) => {
    const angles = steps(60, 3);
    const taken = scan(angles, 64);
    const fed = reconstruct(taken, { filter, every: 60 });
    expect(psnr(last(fed), textbook(taken.lines, angles, taken.axis, 64, kernel))).toBeGreaterThan(least_dB);
  });
});

describe("many half-turns", () => {
  // every frame shows another sample: denser by the frame, so a view that stays too long is seen
  const changing = (angles: readonly number[], cols: number, axis: number): Scan => {
    const taken = scan(angles, cols, { axis });
    taken.lines.forEach((line, k) => {
      for (let i = 0; i < cols; i++) line[i]! *= 1 + k / 100;
      taken.projections.data.set(line.map((x) => Math.exp(-x)), k * cols); // prettier-ignore
    });
    return taken;
  };
  const rebuilt = (taken: Scan, from: number, options: Record<string, unknown>): Float32Array => {
    const { time, data, rotation_angle } = taken.projections;
    const tail = { time: time.slice(from), data: data.slice(from * taken.cols), rotation_angle: rotation_angle.slice(from) };
    return last(feed(incremental, { projections: tail }, { schema: taken.schema, with: { filter: "ram-lak", ...options } }));
  }; // prettier-ignore

  test.each([
    ["half-turn window, axis in the middle: one difference row", 180, 31.5],
    ["half-turn window, axis between pixels: two rows", 180, 29.85],
    ["full-turn window", 360, 29.85],
  ])("%s: the image equals one made from the window alone", (_, window, axis) => {
    const angles = steps(60 * 40 + 17, 3);
    const taken = changing(angles, 64, axis);
    const options = { axis, window: `${window} deg`, every: 1000 };
    const live = last(reconstruct(taken, options));
    const fresh = rebuilt(taken, angles.length - window / 3, options);
    const peak = fresh.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(rms(live, fresh) / peak).toBeLessThan(1e-5);
  });

  test("back and forth: each angle's newest view counts", () => {
    const angles = [...steps(60, 3), ...steps(60, -3, 177), ...steps(31, 3)];
    const taken = changing(angles, 64, 31.5);
    const fed = reconstruct(taken, { every: 1000 });
    expect(fed.slices.views.at(-1)).toBe(60);
    expect(fed.slices.coverage.at(-1)).toBeCloseTo(180, 9);
    // 30 of the newest pass and 29 of the one before: the last pass has views 0 … 90, the one before 177 … 93
    const kept = [...Array(31).keys()].map((i) => 120 + i).concat([...Array(29).keys()].map((i) => 60 + i));
    const byHand = textbook(kept.map((k) => taken.lines[k]!), kept.map((k) => angles[k]!), 31.5, 64); // prettier-ignore
    expect(psnr(last(fed), byHand)).toBeGreaterThan(80);
  });

  test("an encoder's jitter leaves no old view behind", () => {
    const angles = steps(600, 3).map((a, i) => a + 0.4 * Math.sin(i * i));
    const fed = reconstruct(changing(angles, 32, 15.5), { every: 1 });
    const late = fed.slices.oldest_age.slice(70);
    expect(Math.max(...late)).toBeLessThanOrEqual(62);
    expect(Math.min(...fed.slices.views.slice(70))).toBeGreaterThanOrEqual(58);
    expect(Math.max(...fed.slices.largest_gap.slice(70))).toBeLessThan(5);
  });
});

describe("views that are not evenly spaced are weighed by the arc between their neighbours", () => {
  const arcsByHand = (angles: readonly number[]): number[] => {
    const sorted = [...angles].sort((a, b) => a - b);
    return angles.map((a) => {
      const i = sorted.indexOf(a);
      const before = i > 0 ? sorted[i - 1]! : sorted.at(-1)! - 180;
      const after = i + 1 < sorted.length ? sorted[i + 1]! : sorted[0]! + 180;
      return (((after - before) / 2) * Math.PI) / 180;
    });
  };

  test("dropped frames", () => {
    const angles = steps(90, 2).filter((_, k) => k % 7 !== 3 && k !== 40 && k !== 41);
    const taken = scan(angles, 64);
    const fed = reconstruct(taken, { every: 1000 });
    expect(psnr(last(fed), textbook(taken.lines, angles, taken.axis, 64, ramLak, arcsByHand(angles)))).toBeGreaterThan(80);
    expect(fed.slices.largest_gap.at(-1)).toBeCloseTo(6, 9);
    expect(fed.slices.coverage.at(-1)).toBeCloseTo(180, 9);
  }); // prettier-ignore

  test("golden angle: any number of views", () => {
    const golden = 180 / ((1 + Math.sqrt(5)) / 2);
    const angles = steps(89, golden);
    const folded = angles.map((a) => a % 180);
    const taken = scan(angles, 64);
    const fed = reconstruct(taken, { every: 1000, max_gap: "5 deg" });
    expect(psnr(last(fed), textbook(taken.lines, angles, taken.axis, 64, ramLak, arcsByHand(folded)))).toBeGreaterThan(80);
  }); // prettier-ignore

  test("reversed and shuffled scans give the image of the ordered one", () => {
    const angles = steps(60, 3);
    const ordered = last(reconstruct(scan(angles, 64), { every: 1000 }));
    const reversed = last(reconstruct(scan([...angles].reverse(), 64), { every: 1000 }));
    const shuffled = last(reconstruct(scan(angles.map((_, k) => angles[(k * 23) % 60]!), 64), { every: 1000, max_gap: "3.5 deg" })); // prettier-ignore
    expect(psnr(reversed, Float64Array.from(ordered))).toBeGreaterThan(110);
    expect(psnr(shuffled, Float64Array.from(ordered))).toBeGreaterThan(110);
  });

  test("a view taken twice counts once, the newer of both", () => {
    const angles = steps(60, 3);
    const twice = angles.flatMap((a) => [a, a]);
    const fed = reconstruct(scan(twice, 64), { every: 1000 });
    expect(fed.slices.views.at(-1)).toBe(60);
    expect(psnr(last(fed), Float64Array.from(last(reconstruct(scan(angles, 64), { every: 1000 }))))).toBeGreaterThan(110); // prettier-ignore
  });
});

test("the first image comes with the first view, and says what it lacks", () => {
  const angles = steps(60, 3);
  const taken = scan(angles, 64);
  const { slices } = reconstruct(taken, { every: 20 });
  expect([...slices.views]).toEqual([1, 20, 40, 60]);
  expect([...slices.coverage]).toEqual([0, 57, 117, 180].map((c) => expect.closeTo(c, 9)));
  expect([...slices.largest_gap]).toEqual([180, 123, 63, 3].map((c) => expect.closeTo(c, 9)));
  expect([...slices.oldest_age]).toEqual([0, 19, 39, 59]);
  const first = textbook(taken.lines.slice(0, 1), [0], 31.5, 64);
  expect(psnr(slices.data.slice(0, 64 * 64), first)).toBeGreaterThan(80);
  const third = textbook(taken.lines.slice(0, 20), angles.slice(0, 20), 31.5, 64);
  expect(psnr(slices.data.slice(64 * 64, 2 * 64 * 64), third)).toBeGreaterThan(80);
});

test("several slices, named as rows or heights, each its own", () => {
  const taken = scan(steps(30, 6), 32, { rows: 4 });
  const { slices } = reconstruct(taken, { slices: [3, "z=0", "1"], every: 30 });
  expect([...slices.slice]).toEqual([3, 0, 1, 3, 0, 1]);
  const [four, one, two] = [3, 4, 5].map((k) => slices.data.slice(k * 1024, (k + 1) * 1024));
  expect(psnr(four.map((x: number) => x / 4), Float64Array.from(one))).toBeGreaterThan(90); // prettier-ignore
  expect(psnr(two.map((x: number) => x / 2), Float64Array.from(one))).toBeGreaterThan(90); // prettier-ignore
  expect([...reconstruct(taken).slices.slice]).toEqual([2, 2, 2, 2]);
});

test("a slice has the same bits whichever other slices are made with it", () => {
  const taken = scan(steps(37, 6), 32, { rows: 11, axis: 14.3 });
  const all = reconstruct(taken, { slices: Array.from({ length: 11 }, (_, r) => r), every: 37, axis: 14.3 });
  for (const some of [[0], [3, 4], [10, 0, 7]]) {
    const { slices } = reconstruct(taken, { slices: some, every: 37, axis: 14.3 });
    some.forEach((row, k) => {
      const from = (some.length + k) * 1024; // after those of the first view
      expect(slices.data.slice(from, from + 1024)).toEqual(
        all.slices.data.slice((11 + row) * 1024, (12 + row) * 1024),
      );
    });
  }
});

describe("pixels without a measurement", () => {
  test("fillGaps goes straight from one neighbour to the other and says how many it filled", () => {
    const row = Float64Array.of(NaN, 1, NaN, NaN, 4, NaN);
    expect(fillGaps(row)).toBe(4);
    expect([...row]).toEqual([1, 1, 2, 3, 4, 4]);
    expect(fillGaps(new Float64Array(3).fill(NaN))).toBe(3);
  });

  test("a dead column is interpolated, counted, and said once", () => {
    const taken = scan(steps(60, 3), 64);
    for (let k = 0; k < 60; k++) taken.projections.data[k * 64 + 20] = k % 2 ? NaN : 0;
    const fed = reconstruct(taken, { every: 30 });
    expect(fed.faults.length).toBe(1);
    expect(fed.faults[0].what).toMatch(/row 0: 1 of 64 samples are dead or opaque/);
    expect([...fed.slices.filled]).toEqual([1, 30, 60]);
    expect(psnr(last(fed), textbook(taken.lines, steps(60, 3), taken.axis, 64))).toBeGreaterThan(25);
  });

  test("a view of a closed shutter, or without an angle, is left out and said", () => {
    const taken = scan(steps(60, 3), 64);
    taken.projections.data.fill(0, 7 * 64, 8 * 64);
    taken.projections.rotation_angle[9] = NaN;
    const fed = reconstruct(taken, { every: 1000 });
    expect(fed.faults.map((f: { time: bigint; what: string }) => [f.time, f.what])).toEqual([
      [7n * SECOND, expect.stringMatching(/less than half of the detector is known, the view is left out/)],
      [9n * SECOND, expect.stringMatching(/without a rotation angle/)],
    ]);
    expect(fed.slices.views.at(-1)).toBe(58);
    expect(fed.slices.data.every(Number.isFinite)).toBe(true);
  });
});

test("a full window lets the oldest view go, and says so where angles are missing", () => {
  const fed = reconstruct(scan(steps(60, 3), 32), { max_views: 40, every: 1 });
  expect(Math.max(...fed.slices.views)).toBe(40);
  expect(fed.slices.oldest_age.at(-1)).toBe(39);
  expect(fed.faults.length).toBe(1);
  expect(fed.faults[0].what).toMatch(/full with max_views = 40 .* raise max_views/);
});

test("views that are further apart than max_gap cover nothing, and that is said once", () => {
  const fed = reconstruct(scan(steps(60, 3), 32), { max_gap: "1 deg", every: 60 });
  expect(fed.slices.coverage.at(-1)).toBe(0);
  expect(fed.faults.map(({ what }: { what: string }) => what)).toEqual([
    expect.stringMatching(/no two of 24 views are within max_gap = 1 deg .* set max_gap above the step/),
  ]);
  expect(reconstruct(scan(steps(60, 3), 32), { every: 60 }).faults).toEqual([]);
});

test("what already is a line integral is not logged again, and what is not finite is not known", () => {
  const taken = scan(steps(60, 3), 64);
  const data = new Float32Array(60 * 64);
  taken.lines.forEach((line, k) => data.set(line, k * 64));
  const schema = { projections: { ...taken.schema.projections, data: image("1", { shape: [1, 64], quantity: "line integral" }) } };
  const fed = reconstruct({ ...taken, projections: { ...taken.projections, data }, schema } as Scan, { every: 60 });
  expect(psnr(last(fed), textbook(taken.lines, steps(60, 3), 31.5, 64))).toBeGreaterThan(80);
  data[5 * 64 + 7] = Infinity;
  const some = reconstruct({ ...taken, projections: { ...taken.projections, data }, schema } as Scan, { every: 60 });
  expect(some.slices.filled.at(-1)).toBe(1);
  expect(last(some).every(Number.isFinite)).toBe(true);
}); // prettier-ignore

test("pixels that not all views see are missing, where that is asked for", () => {
  const taken = scan(steps(60, 3), 64, { axis: 27.85 });
  const options = { axis: 27.85, every: 30 };
  const all = reconstruct(taken, options).slices.data;
  for (const kernel of ["wasm", "typescript"]) {
    const some = reconstruct(taken, { ...options, beyond_radius: "missing", kernel }).slices.data;
    for (let i = 0; i < all.length; i++) {
      const inside = Math.hypot((i % 64) - 31.5, (Math.floor(i / 64) % 64) - 31.5) <= 27.85;
      if (Number.isNaN(some[i]) === inside) throw new Error(`${kernel}: pixel ${i} is ${some[i]}`);
      if (inside && kernel === "wasm" && some[i] !== all[i]) throw new Error(`pixel ${i} changed`);
    }
  }
});

describe("the stream", () => {
  test.each([
    ["wasm", [0]],
    ["wasm", [0, 1, 2]],
    ["typescript", [0, 1]],
  ])("cut anywhere, saved and loaded anywhere: the same bits (%s, rows %j)", (kernel, slices) => {
    const angles = [...steps(25, 7.3), ...steps(12, -7.1, 170), ...steps(14, 111.25)];
    const taken = scan(angles, 16, { rows: 3, axis: 7.2 });
    taken.projections.data.fill(NaN, 30 * 48, 30 * 48 + 40); // one view is refused, one has a dead sample
    taken.projections.data[35 * 48 + 5] = NaN;
    const options = { slices, every: 4, axis: 7.2, max_views: 30, kernel };
    const whole = reconstruct(taken, options);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 4 }), (rows, reloadAfter) => {
        const cut = reconstruct(taken, options, { rows, reloadAfter });
        expect(cut).toEqual(whole);
      }),
      { seed: 3, numRuns: 15 },
    );
  }); // prettier-ignore

  test("the axis may come with the stream", () => {
    const taken = scan(steps(3, 60), 16, { axis: 6.25 });
    const said = reconstruct(taken, {}, { metadata: { projections: { rotation_axis: "6.25" } } });
    expect(said).toEqual(reconstruct(taken, { axis: 6.25 }));
  });

  test("none, and one", () => {
    const none = reconstruct(scan([], 16));
    expect(none.slices.time.length).toBe(0);
    const one = reconstruct(scan([12], 16));
    expect([...one.slices.views]).toEqual([1]);
    expect(one.faults).toEqual([]);
  });

  test("wrong options stop the start and say what is allowed", () => {
    const taken = scan(steps(3, 60), 16);
    expect(() => reconstruct(taken, { slices: [1] })).toThrow(
      /slices: 1 is not a row of the detector; wanted 0 to 0/,
    );
    expect(() => reconstruct(taken, { slices: ["y=3"] })).toThrow(/y=3 is not a row/);
    expect(() => reconstruct(taken, { window: "90 deg" })).toThrow(
      /window: 90 deg is no window; wanted 180 deg, 360 deg, so many views/,
    );
    expect(() => reconstruct(taken, { axis: 16 })).toThrow(/axis: 16 px is not on the detector, 0 to 15 px/);
    expect(() => reconstruct(taken, {}, { metadata: { projections: { rotation_axis: "?" } } })).toThrow(
      /axis: the stream's rotation_axis "\?" is not on the detector/,
    );
    expect(() => reconstruct(taken, { window: 180 })).toThrow(/window: wanted text, such as "180 deg"/);
    expect(() => reconstruct(taken, { window: "360 deg", taper: "20 deg" })).toThrow(
      /taper: only a window of 180 deg/,
    );
    expect(() => reconstruct(taken, { planes: { front: "y=40" } })).toThrow(
      /front lies 40 px from the axis; the detector is 16 px wide/,
    );
    expect(() => reconstruct(taken, { filter: "welch" })).toThrow(/not one of ram-lak/);
  });
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(shared))("real files, from counts to a slice", () => {
  /** Transmission of a file's projections, through source and flat-field. */
  async function transmissionOf(name: string, count: number) {
    const { config } = readConfig(tomography.config, { path: shared + name, rate: "1 Hz" });
    const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: "/" };
    const parts: Columns[] = [];
    let schema: Schema | undefined;
    for await (const item of tomography.open(config, context) as AsyncIterable<SourceItem>) {
      schema ??= item.schema!["frames"]!;
      if (item.rows) parts.push(item.rows["frames"] as Columns);
    }
    const frames = concat(parts, schema!.fields);
    const { projections } = feed(flatField, { frames }, { schema: { frames: schema!.fields } });
    const [rows, cols] = schema!.fields["data"]!.shape as [number, number];
    return {
      cols,
      projections: {
        time: projections.time.slice(0, count),
        data: projections.data.slice(0, count * rows * cols) as Float32Array,
        rotation_angle: projections.rotation_angle.slice(0, count) as Float64Array,
      },
      schema: { projections: { ...incremental.input.projections, data: image("1", { shape: [rows, cols] }) } },
    };
  } // prettier-ignore

  test("operando_21700_sim_A: as near to the truth as the plain method comes, 1.52e-3", async () => {
    const { projections, schema } = await transmissionOf("operando_21700_sim_A.h5", 180);
    const fed = feed(
      incremental,
      { projections },
      { schema, with: { axis: 262.75, filter: "shepp-logan", every: 180 } },
    );
    const truth = await readHdf5(`${shared}operando_21700_sim_A_truth.h5`, (file) => {
      return (file.find("/base_slice") as { value: unknown }).value as Float32Array;
    });
    expect(fed.slices.coverage.at(-1)).toBeCloseTo(180, 6);
    expect(rms(last(fed), truth) / 1.52e-3).toBeCloseTo(1, 1);
  });

  test("tooth: as the textbook has it", async () => {
    const { projections, schema, cols } = await transmissionOf("tooth.h5", 181);
    const options = { axis: 295.85, slices: [0], every: 181, filter: "ram-lak" };
    const fed = feed(incremental, { projections }, { schema, with: options });
    // a window of the slice is enough for the comparison; the book's way takes a second for all of it
    const lines = [...projections.rotation_angle].map((_, k) =>
      Float64Array.from(projections.data.subarray(k * 2 * cols, k * 2 * cols + cols), (T) => -Math.log(T)),
    );
    const book = textbook(lines, [...projections.rotation_angle], 295.85, 640);
    expect(psnr(last(fed), book)).toBeGreaterThan(80);
    expect(fed.slices.radius.at(-1)).toBe(295.85);
    expect(fed.faults).toEqual([]);
  });
});
