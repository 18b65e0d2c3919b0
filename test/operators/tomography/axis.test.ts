import fc from "fast-check";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { axis } from "../../../operators/tomography/axis.ts";
import { image } from "../../../runtime/index.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { feed, type FeedOptions } from "../../helpers/feed.ts";
import { cell, project } from "./phantom.ts";

const SECOND = 1_000_000_000n;
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);

interface Scan {
  readonly angles: readonly number[];
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;
  readonly quantity?: string;
  readonly columns?: Record<string, Float64Array>;
}

/** Transmission of the phantom, `zoom` times as wide, with the axis at `at(k, row)`. */
function scan(
  angles: readonly number[], cols: number, at: (k: number, row: number) => number, { rows = 1, zoom = 1 } = {},
): Scan {
  const data = new Float32Array(angles.length * rows * cols);
  const sample = cell(cols).map((e) => ({ ...e, x: zoom * e.x, y: zoom * e.y, a: zoom * e.a, b: zoom * e.b }));
  angles.forEach((angle, k) => {
    for (let r = 0; r < rows; r++) {
      // a pixel is wider than a point: mean over four
      for (const part of [-0.375, -0.125, 0.125, 0.375]) {
        const p = project(sample, Number.isNaN(angle) ? 0 : angle, cols, at(k, r) + part);
        for (let c = 0; c < cols; c++) data[(k * rows + r) * cols + c]! += p[c]! / 4;
      }
    }
  });
  return { angles, data: data.map((p) => Math.exp(-p)), rows, cols };
} // prettier-ignore

/** Uniform on 0 … 1, from a seed (mulberry32). */
function uniform(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Counting noise, as a normal distribution of the same variance; good above some 20 counts. */
function counted(taken: Scan, flux: number, seed: number): Scan {
  const next = uniform(seed);
  const lines = taken.quantity === "line integral";
  const data = taken.data.map((x) => {
    const T = lines ? Math.exp(-x) : x;
    const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const noisy = Math.round(T * flux + Math.sqrt(Math.max(0, T) * flux) * normal) / flux;
    return lines ? -Math.log(noisy) : noisy;
  });
  return { ...taken, data };
}

function find(taken: Scan, options: Record<string, unknown> = {}, how: FeedOptions = {}) {
  const { angles, data, rows, cols, quantity, columns } = taken;
  const projections = {
    time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND),
    data, rotation_angle: Float64Array.from(angles), ...columns,
  };
  const field = image("1", { shape: [rows, cols], ...(quantity && { quantity }) });
  const schema = { projections: { ...axis.input.projections, data: field } };
  const fed = feed(axis, { projections }, { schema, with: { image_every: 0, ...options }, ...how });
  const last = fed.axis.time.length - 1;
  const at = (name: string): number => (last < 0 ? NaN : fed.axis[name][last]);
  return {
    fed, axis: at("axis"), se: at("axis_se"), tilt: at("tilt"), tilt_se: at("tilt_se"), pairs: at("pairs"),
    image: at("image_axis"), image_se: at("image_axis_se"), agreement: at("agreement"),
    said: fed.faults.map(({ what }: { what: string }) => what) as string[],
  };
} // prettier-ignore

const COLS = 96;
const AXIS = 44.3;
const fixed = (): number => AXIS;

describe("finds the axis that the projections were made with", () => {
  test.each<[string, readonly number[], number, number]>([
    ["a turn", steps(361, 1), COLS, 0.004],
    ["three turns in steps that no two half-turns share", steps(700, 1.54), COLS, 0.004],
    ["backwards", steps(300, -1.3, 77), COLS, 0.004],
    ["back and forth over a turn and a bit", [...steps(200, 2), ...steps(200, -2, 397)], COLS, 0.006],
    ["golden angle", steps(500, 111.246117975), COLS, 0.006],
    ["each angle twice", steps(360, 1).flatMap((a) => [a, a]), COLS, 0.004],
    ["a half-turn whose last view is one step short", steps(180, 1), COLS, 0.05],
    ["a half-turn with both ends", steps(181, 1), COLS, 0.03],
  ])("%s", (_, angles, cols, within) => {
    const found = find(scan(angles, cols, fixed));
    expect(Math.abs(found.axis - AXIS)).toBeLessThan(within);
    expect(Math.abs(found.axis - AXIS)).toBeLessThan(4 * found.se);
    expect(found.said).toEqual([]);
  });

  test("line integrals as well as transmission", () => {
    const taken = scan(steps(300, 1.2), COLS, fixed);
    const lines = { ...taken, data: taken.data.map((T) => -Math.log(T)), quantity: "line integral" };
    expect(Math.abs(find(lines).axis - AXIS)).toBeLessThan(0.005);
  });

  test("a sample wider than the detector, with the axis off its middle", () => {
    const found = find(scan(steps(400, 1), COLS, fixed, { zoom: 1.6 }), { image_every: 720 });
    expect(Math.abs(found.axis - AXIS)).toBeLessThan(0.01);
    expect(Math.abs(found.image - AXIS)).toBeLessThan(0.5); // by total variation
    expect(found.agreement).toBe(1);
  });

  test("the tilt, from rows far apart; the axis is that of the middle row", () => {
    const lean = Math.tan((0.8 * Math.PI) / 180);
    const rows = 41;
    const found = find(scan(steps(200, 2), 64, (_, r) => 30.2 + lean * (r - 20), { rows }));
    expect(found.tilt).toBeCloseTo(0.8, 1);
    expect(Math.abs(found.tilt - 0.8)).toBeLessThan(4 * found.tilt_se + 0.02);
    expect(found.axis).toBeCloseTo(30.2, 1);
  });

  test("samples shifted from view to view, by whole and broken columns", () => {
    const next = uniform(3);
    const angles = steps(400, 1);
    for (const step of [1, 0.25]) {
      const shifts = Float64Array.from(angles, () => step * Math.floor((next() * 12) / step) - 6);
      const taken = { ...scan(angles, COLS, (k) => AXIS + shifts[k]!), columns: { shift_x: shifts } };
      expect(Math.abs(find(taken).axis - AXIS)).toBeLessThan(0.02);
    }
  });
});

test("the standard error is what the axis errs by", () => {
  for (const [angles, flux, seed] of [[steps(360, 1), 2000, 100], [steps(450, 0.9), 1000, 200]] as const) {
    const clean = [44.3, 45.05, 46.6, 47.9].map((at) => ({ at, taken: scan(angles, 48, () => at - 24) }));
    let inside = 0;
    const draws = 100;
    for (let d = 0; d < draws; d++) {
      const { at, taken } = clean[d % 4]!;
      const { axis, se } = find(counted(taken, flux, seed + d));
      if (Math.abs(axis - at + 24) < se) inside++;
    }
    // 68 of 100 expected; three standard deviations of the count
    expect(inside / draws).toBeGreaterThan(0.54);
    expect(inside / draws).toBeLessThan(0.82);
  }
}); // prettier-ignore

test("a drifting axis is followed, and handed on beside each view", () => {
  const drift = (k: number): number => 44 + k / 400;
  const found = find(scan(steps(1200, 1), COLS, drift), { window: "60 s" });
  const { axis: beside } = found.fed.projections;
  expect(Number.isNaN(beside[0])).toBe(true);
  // pairs of the last 60 views, each with one half a turn older: 30 + 90 views behind
  for (const k of [400, 800, 1199]) expect(Math.abs(beside[k] - drift(k - 120))).toBeLessThan(0.05);
  expect(found.fed.projections.time.length).toBe(1200);
});

test("after a jump of many columns it begins anew there", () => {
  const found = find(scan(steps(1100, 2), COLS, (k) => (k < 400 ? 40 : 52.5)));
  expect(Math.abs(found.axis - 52.5)).toBeLessThan(0.02);
});

describe("the image measure", () => {
  test("confirms the pairs", () => {
    const found = find(scan(steps(400, 1), COLS, fixed), { image_every: 720 });
    expect(Math.abs(found.image - AXIS)).toBeLessThan(0.3);
    expect(found.agreement).toBe(1);
    expect(found.said).toEqual([]);
  });

  test("contradicts them, with both figures, where the sample moves steadily through the turn", () => {
    // It is back for the mirrored view; in between the views are not of one axis.
    const found = find(
      scan(steps(181, 1), COLS, (k) => 46 + 6 * Math.sin((k * Math.PI) / 180)),
      { image_every: 720 },
    );
    expect(found.agreement).toBe(2);
    expect(found.said).toEqual([
      expect.stringMatching(
        /mirrored pairs put the axis at 4\d\.\d\d px, the sharpest slice at \d\d\.\d\d px/,
      ),
    ]);
  });
});

describe("no axis, and why", () => {
  test("less than a half-turn: unknown, said once at the end; views are handed on", () => {
    const taken = scan(steps(150, 1), COLS, fixed);
    const { fed, said } = find(taken);
    expect([...fed.axis.axis].every(Number.isNaN)).toBe(true);
    expect([...fed.projections.axis].every(Number.isNaN)).toBe(true);
    expect(fed.projections.data).toEqual(taken.data);
    expect(said).toEqual([expect.stringMatching(/no two views are a half-turn apart .* it takes 180 deg/)]);
  });

  test("only the same angles again, a turn later: said when they come, not as a zero", () => {
    const { fed, said } = find(scan([...steps(100, 1), ...steps(100, 1, 360)], COLS, fixed));
    expect([...fed.projections.axis].every(Number.isNaN)).toBe(true);
    expect(said).toEqual([expect.stringMatching(/views a whole turn apart do not tell it/)]);
    expect(fed.faults[0].time).toBe(100n * SECOND);
  });

  test("empty and opaque frames", () => {
    for (const level of [1, 0]) {
      const taken = counted(scan(steps(600, 1.5), COLS, fixed), 1000, 5);
      const noise = counted({ ...taken, data: new Float32Array(taken.data.length).fill(level) }, 1000, 6);
      const found = find(noise, { image_every: 720 });
      expect(found.axis).toBeNaN();
      expect(found.said).toEqual([expect.stringMatching(/mirrored pairs \d+ matched.*empty or opaque rows/)]);
    }
  });

  test("fan and cone beams are refused at the start", () => {
    for (const geometry of ["fan", "cone"]) {
      expect(() => find(scan([0], COLS, fixed), {}, { metadata: { projections: { geometry } } })).toThrow(
        new RegExp(`geometry is ${geometry}: views a half-turn apart mirror each other only in a parallel`),
      );
    }
  });

  test("a row that the detector does not have", () => {
    expect(() => find(scan([0], COLS, fixed), { slices: ["z=3"] })).toThrow(
      /z=3 is not a row of the detector/,
    );
  });
});

test("single bad views do no harm: no angle, dead, opaque, empty, glitched", () => {
  const angles = steps(500, 1);
  const taken = counted(scan(angles, COLS, fixed), 5000, 8);
  const put = (k: number, value: (i: number) => number): void => {
    for (let i = 0; i < COLS; i++) taken.data[k * COLS + i] = value(i);
  };
  for (const k of [40, 230, 231, 400]) put(k, () => NaN);
  for (const k of [60, 250]) put(k, () => 0);
  for (const k of [70, 260]) put(k, () => 1);
  for (const k of [80, 270, 420]) put(k, (i) => 1e6 * Math.sin(i * i));
  for (const k of angles.keys()) taken.data[k * COLS + 30] = NaN; // a dead column
  const {
    axis: found,
    se,
    said,
    fed,
  } = find({ ...taken, angles: angles.map((a, k) => (k % 50 === 7 ? NaN : a)) });
  expect(Math.abs(found - AXIS)).toBeLessThan(4 * se);
  expect(se).toBeLessThan(0.01);
  expect(said).toEqual([
    expect.stringMatching(/without a rotation angle/),
    expect.stringMatching(/view with 0 known samples of 96 tells nothing/),
  ]);
  expect(fed.projections.time.length).toBe(500);
});

test("nothing in, nothing out", () => {
  const { fed, said } = find(scan([], COLS, fixed));
  expect(fed.axis.time.length + fed.projections.time.length).toBe(0);
  expect(said).toEqual([]);
});

test("no more views are kept than max_views", () => {
  const taken = scan(steps(900, 0.5), COLS, fixed);
  // 300 views are 150 degrees: the mirrored ones have left before they are wanted
  expect(find(taken, { max_views: 300 }).axis).toBeNaN();
  expect(Math.abs(find(taken, { max_views: 400 }).axis - AXIS)).toBeLessThan(0.01);
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const taken = counted(
    scan(steps(330, 1.7), 64, () => 30.3, { rows: 3 }),
    500,
    4,
  );
  const whole = find(taken, { image_every: 170, every: 7 }).fed;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3 }),
      (rows, reloadAfter) => {
        expect(find(taken, { image_every: 170, every: 7 }, { rows, reloadAfter }).fed).toEqual(whole);
      },
    ),
    { seed: 9, numRuns: 4 },
  );
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(shared))("real and simulated scans", () => {
  /** Transmission by the mean of flats and darks, or the line integrals that the file holds. */
  const read = (name: string, known: boolean): Promise<Scan> =>
    readHdf5(shared + name, (file) => {
      const get = (path: string) => file.find(`/exchange/${path}`) as unknown as { value: ArrayLike<number>; shape: number[] };
      const { value, shape } = get("data");
      const [views, rows, cols] = shape as [number, number, number];
      const size = rows * cols;
      const angles = [...(get("theta").value as Float64Array)].slice(0, views);
      if (known) return { angles, data: Float32Array.from(value), rows, cols, quantity: "line integral" };
      const mean = (path: string): Float64Array => {
        const frames = get(path).value;
        const sum = new Float64Array(size);
        for (let i = 0; i < frames.length; i++) sum[i % size]! += frames[i]! / (frames.length / size);
        return sum;
      };
      const [flat, dark] = [mean("data_white"), mean("data_dark")];
      const data = Float32Array.from(value, (x, i) => (x - dark[i % size]!) / (flat[i % size]! - dark[i % size]!));
      return { angles, data, rows, cols };
    }); // prettier-ignore

  /** With 20 draws of noise added, the farthest from a column. */
  const farthest = (taken: Scan, flux: number, from: number): number =>
    Math.max(...steps(20, 1).map((seed) => Math.abs(find(counted(taken, flux, seed)).axis - from)));

  test("tooth: 295.85, from a half-turn that ends one step short", async () => {
    const tooth = await read("tooth.h5", false);
    const found = find(tooth, { image_every: 720 });
    expect(Math.abs(found.axis - 295.85)).toBeLessThan(0.1);
    expect(Math.abs(found.image - 295.85)).toBeLessThan(0.3);
    expect(found.agreement).toBe(1);
    expect(found.said).toEqual([]);
    expect(farthest(tooth, 20_000, 295.85)).toBeLessThan(0.1);
  });

  test("operando_21700_sim_A: 262.75, while gas grows", async () => {
    const stream = await read("operando_21700_sim_A.h5", false);
    const found = find(stream, { image_every: 720 });
    expect(Math.abs(found.axis - 262.75)).toBeLessThan(0.01);
    expect(found.agreement).toBe(1);
    // the first estimate, at the first half-turn, and all after it
    const first = [...found.fed.axis.axis].filter((a) => !Number.isNaN(a));
    expect(Math.max(...first.map((a) => Math.abs(a - 262.75)))).toBeLessThan(0.1);
    const turn = {
      ...stream,
      angles: stream.angles.slice(0, 400),
      data: stream.data.slice(0, 400 * stream.cols),
    };
    expect(farthest(turn, 20_000, 262.75)).toBeLessThan(0.1);
  });

  // No truth here: 38.82 is what this operator found when the test was written, kept so that a change shows. Others give
  // 38.0 (sinusoid of the first moment), 38.0 (negative mass), 38.5 (total variation), 38.9 (greatest square sum).
  test("nanoporous gold: what both ends of the scan agree on, though the sample wanders by half a column", async () => {
    const all = await read("npg_p05_nanoct.h5", true);
    const { axis: found, se } = find(all);
    expect(Math.abs(found - 38.82)).toBeLessThan(0.1);
    // of its 79 rows those three that are looked at, in their distance or next to each other
    const { cols, rows } = all;
    const parts = all.angles.flatMap((_, k) =>
      [19, 39, 59].map((r) => all.data.subarray((k * rows + r) * cols, (k * rows + r + 1) * cols)),
    );
    const gold = { ...all, rows: 3, data: Float32Array.from(parts.flatMap((part) => [...part])) };
    expect(farthest(gold, 20_000, 38.82)).toBeLessThan(0.1);
    expect(se).toBeLessThan(0.1);
  });
});
