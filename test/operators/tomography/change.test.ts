import fc from "fast-check";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { averageRunLength } from "../../../operators/onset/average-run-length.ts";
import { change } from "../../../operators/tomography/change.ts";
import { limitFor } from "../../../operators/tomography/change-search.ts";
import { image } from "../../../runtime/index.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, type Ellipse } from "./phantom.ts";
import { random } from "./random.ts";

const SECOND = 1_000_000_000n;
const FLUX = 10_000;
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);
const [CLEAR, ALARM] = [0, 2];
const [COMPARED, NO_ANGLE, UNKNOWN, NEW, DISTURBED] = [0, 1, 2, 3, 4];

interface How {
  readonly axis?: number;
  readonly seed?: number;
  /** What is added to the phantom at view k. */
  readonly event?: (k: number) => Ellipse[];
  /** Column that the axis falls on at view k, beside `axis`. */
  readonly moved?: (k: number) => number;
  readonly beam?: (k: number, c: number) => number;
}

/** Photons counted behind the phantom. */
function scan(angles: readonly number[], cols: number, how: How = {}) {
  const { axis = (cols - 1) / 2, seed = 1, event = () => [], moved = () => 0, beam = () => 1 } = how;
  const { poisson } = random(seed);
  const data = new Float32Array(angles.length * cols);
  angles.forEach((angle, k) => {
    const p = project([...cell(cols), ...event(k)], angle, cols, axis + moved(k));
    p.forEach((one, c) => (data[k * cols + c] = poisson(FLUX * beam(k, c) * Math.exp(-one)) / FLUX));
  });
  return {
    projections: {
      time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles),
    },
    flux: { time: BigInt64Array.of(0n), data: new Float32Array(cols).fill(FLUX) },
  };
} // prettier-ignore

type Scan = ReturnType<typeof scan>;
const shapes = (cols: number) => ({
  projections: { ...change.input.projections, data: image("1", { shape: [1, cols] }) },
  flux: { data: image("{count}", { shape: [1, cols] }) },
});
const watch = ({ projections, flux }: Scan, cols: number, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(change, { projections, flux }, { schema: shapes(cols), with: options, ...how }); // prettier-ignore
const firstAlarm = ({ onset }: { onset: { level: Int32Array } }): number => [...onset.level].indexOf(ALARM);
const countOf = (list: Int32Array, value: number): number => list.filter((x) => x === value).length;

/** A pocket of gas in the cell, from a view on, growing in area. */
const COLS = 128;
const pocket = (from: number, radius = 5, over = 60) => (k: number): Ellipse[] => {
  const r = k < from ? 0 : radius * Math.sqrt(Math.min(1, (k - from) / over));
  return r > 0 ? [{ x: 20, y: -15, a: r, b: r, angle_deg: 0, attenuation: -1 / COLS }] : [];
}; // prettier-ignore

describe("a pocket of gas grows, 20 px to the right of the axis and 15 below", () => {
  const onset = 250;
  const angles = steps(370, 2);
  const taken = scan(angles, COLS, { axis: 61.3, event: pocket(onset, 6, 60) });
  const options = { axis: 61.3, run_length: 10_000 };
  const fed = watch(taken, COLS, options);
  const alarm = firstAlarm(fed);

  test("alarms once it is there, with place, sign and time", () => {
    expect(alarm).toBeGreaterThan(onset);
    expect(alarm).toBeLessThan(onset + 40);
    expect(fed.onset.sign[alarm]).toBe(-1);
    expect(Math.abs(fed.onset.onset_seconds[alarm] - onset)).toBeLessThan(25);
    const later = alarm + 45; // a quarter-turn fixes the place
    expect(Math.hypot(fed.onset.x[later] - 20, fed.onset.y[later] + 15)).toBeLessThan(6);
    expect(fed.faults).toEqual([]);
  });

  test("nothing to compare with in the first half-turn, then one visit more each half-turn", () => {
    expect([...fed.onset.view.slice(0, 90)].every((view) => view === NEW)).toBe(true);
    expect([...fed.onset.view.slice(90)].every((view) => view === COMPARED)).toBe(true);
    expect([90, 180, 270, 360].map((k) => fed.onset.visits[k])).toEqual([1, 2, 3, 4]);
    expect(fed.onset.left_out.at(-1)).toBe(90);
  });

  test("the map shows it where it is, the rest is noise of spread 1", () => {
    const shape = 33;
    const z = fed.map.data.slice(-shape * shape);
    const at = (x: number, y: number): number => z[Math.round(16 - y / 4) * shape + Math.round(16 + x / 4)]!;
    expect(at(20, -15)).toBeLessThan(-8);
    const quiet = fed.map.data.slice(23 * shape * shape, 24 * shape * shape) as Float32Array; // view 240
    const inside = [...quiet].filter((one, i) => !Number.isNaN(one) && Math.hypot((i % shape) - 16, Math.floor(i / shape) - 16) < 14);
    const spread = Math.sqrt(inside.reduce((sum, one) => sum + one * one, 0) / inside.length);
    expect(spread).toBeGreaterThan(0.8);
    expect(spread).toBeLessThan(1.15);
    const first = fed.first_change.data.slice(-shape * shape);
    const when = first[Math.round(16 + 15 / 4) * shape + 21]!;
    expect(when).toBeGreaterThan(onset);
    expect(when).toBeLessThan(onset + 60);
    expect(Number.isNaN(first[16 * shape + 4]!)).toBe(true);
  }); // prettier-ignore

  test("something that grows in is more attenuation", () => {
    const denser = (k: number): Ellipse[] =>
      pocket(onset)(k).map((one) => ({ ...one, attenuation: 1 / COLS }));
    const grown = watch(scan(angles, COLS, { axis: 61.3, event: denser }), COLS, options);
    expect(grown.onset.sign[firstAlarm(grown)]).toBe(1);
  });

  test("without a flux the noise is learnt, and the alarm comes all the same", () => {
    const { projections } = taken;
    const schema = { projections: shapes(COLS).projections };
    const blind = feed(change, { projections }, { schema, with: options });
    expect(firstAlarm(blind)).toBeGreaterThan(onset);
    expect(firstAlarm(blind)).toBeLessThan(onset + 45);
  });

  test("line integrals in place of transmission: the same", () => {
    const projections = { ...taken.projections, data: taken.projections.data.map((T) => -Math.log(T)) };
    const schema = shapes(COLS);
    schema.projections.data = { ...schema.projections.data, quantity: "line integral" } as never;
    const { onset: found } = feed(change, { projections, flux: taken.flux }, { schema, with: options });
    expect([...found.level].indexOf(ALARM)).toBe(alarm);
  });

  test("cut anywhere, saved and loaded: the same bits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 150 }), fc.integer({ min: 1, max: 5 }), (rows, after) => {
        expect(watch(taken, COLS, options, { rows, reloadAfter: [after] })).toEqual(fed);
      }),
      { seed: 1, numRuns: 2 },
    );
  });

  test("plain TypeScript shows the same map to single precision; slices stand in the order of their list", () => {
    const plain = watch(taken, COLS, { ...options, kernel: "typescript", slices: [0, 0] });
    expect([...plain.onset.slice.slice(0, 2)]).toEqual([0, 0]);
    expect(plain.onset.value.filter((_: number, i: number) => i % 2 === 1)).toEqual(fed.onset.value);
    const [one, other] = [plain.map.data.slice(-33 * 33), fed.map.data.slice(-33 * 33)];
    for (let i = 0; i < one.length; i++)
      if (Math.abs(other[i]!) > 1) expect(one[i]! / other[i]!).toBeCloseTo(1, 3);
  });
});

describe("what is no change", () => {
  const angles = steps(400, 2);
  const quiet = (how: How, options: Record<string, unknown> = {}) =>
    watch(scan(angles, COLS, how), COLS, { run_length: 1e5, ...options });

  test("noise alone", () => {
    for (const seed of [2, 3, 4]) expect(firstAlarm(quiet({ seed }))).toBe(-1);
  });

  test("a beam that flickers, decays and tilts", () => {
    const fed = quiet({ beam: (k, c) => (1 + 0.05 * Math.sin(k * k)) * (1 - k / 4000) * (1 + 0.0002 * (c - 64) * Math.cos(k)) });
    expect(firstAlarm(fed)).toBe(-1);
    expect(countOf(fed.onset.view, COMPARED)).toBe(310);
  }); // prettier-ignore

  test("a stage that steps by 0.8 px: shift says so, motion is flagged, no alarm", () => {
    const fed = quiet({ moved: (k) => (k >= 250 ? 0.8 : 0) });
    expect(firstAlarm(fed)).toBe(-1);
    expect(countOf(fed.onset.motion.slice(0, 250), 1)).toBe(0);
    for (const k of [250, 270, 300]) {
      expect(fed.onset.motion[k]).toBe(1);
      expect(Math.abs(fed.onset.shift[k] - 0.8)).toBeLessThan(0.1);
    }
    // kept in, it is seen, and reported
    const trend = quiet({ moved: (k) => (k >= 250 ? 0.8 : 0) }, { remove: "trend" });
    expect(countOf(trend.onset.motion.slice(250), 1)).toBeGreaterThan(80);
  });

  test("a slow drift", () => {
    const fed = quiet({ moved: (k) => 0.002 * k });
    expect(firstAlarm(fed)).toBe(-1);
    expect(Math.abs(fed.onset.shift[350])).toBeGreaterThan(0.1);
  });

  test("one bad view, and a zinger that stays in what others are compared with", () => {
    const taken = scan(angles, COLS);
    for (let c = 50; c < 56; c++) taken.projections.data[200 * COLS + c] = 5;
    taken.projections.data.fill(0.5, 210 * COLS, 211 * COLS);
    const fed = watch(taken, COLS, { run_length: 1e5 });
    expect(firstAlarm(fed)).toBe(-1);
    expect(fed.onset.view[210]).toBe(DISTURBED);
  });

  test("a dead column", () => {
    const taken = scan(angles, COLS);
    for (let k = 0; k < 400; k++) taken.projections.data[k * COLS + 70] = NaN;
    const fed = watch(taken, COLS, { run_length: 1e5 });
    expect(firstAlarm(fed)).toBe(-1);
    expect(countOf(fed.onset.view, COMPARED)).toBe(310);
  });
});

describe("angles", () => {
  const event = pocket(300, 6, 60);
  const found = (angles: readonly number[], options: Record<string, unknown> = {}) =>
    watch(scan(angles, COLS, { event }), COLS, options);

  test.each([
    ["dropped views: neighbours stand in", steps(480, 2).filter((_, k) => k % 7 !== 3), { max_gap: "5 deg" }],
    ["an encoder's jitter", steps(420, 2).map((a, k) => a + 0.3 * Math.sin(k * k)), { max_gap: "5 deg" }],
    ["a half-turn that is no whole number of views", steps(420, 1.7), { max_gap: "4 deg" }],
    ["back and forth", steps(420, 2).map((a) => Math.abs((a % 360) - 180)), {}],
    ["backwards", steps(420, -2), {}],
  ])("%s", (_, angles, options) => {
    const fed = found(angles, options);
    expect(firstAlarm(fed)).toBeGreaterThan(300);
    expect(firstAlarm(fed)).toBeLessThan(365);
  }); // prettier-ignore

  test("golden angle: views from all around stand in", () => {
    const golden = 180 / ((1 + Math.sqrt(5)) / 2);
    const fed = watch(scan(steps(700, golden), COLS, { event: pocket(500, 6, 60) }), COLS, { max_gap: "2 deg", reference: "100000 deg" });
    expect(countOf(fed.onset.view.slice(300), COMPARED)).toBe(400);
    expect(firstAlarm(fed)).toBeGreaterThan(500);
    expect(firstAlarm(fed)).toBeLessThan(600);
  }); // prettier-ignore

  test("too far apart: no evidence, and counted", () => {
    const fed = found(steps(200, 7), { max_gap: "0.5 deg" });
    expect(fed.onset.left_out.at(-1)).toBeGreaterThan(100);
    expect(firstAlarm(fed)).toBe(-1);
  });

  test("a fan beam: the same angle one turn before", () => {
    const metadata = {
      projections: { geometry: "fan", source_distance: "100000", sample_pixel_size_x: "1" },
    };
    const fed = watch(scan(steps(500, 2), COLS, { event: pocket(400, 6, 60) }), COLS, {}, { metadata });
    expect(countOf(fed.onset.view, NEW)).toBe(180);
    expect(firstAlarm(fed)).toBeGreaterThan(400);
    expect(firstAlarm(fed)).toBeLessThan(450);
    const later = firstAlarm(fed) + 40;
    expect(Math.hypot(fed.onset.x[later] - 20, fed.onset.y[later] + 15)).toBeLessThan(8);
  });

  test("an axis that the stream finds by and by, and shifts that it knows", () => {
    const taken = scan(steps(400, 2), COLS, { moved: (k) => (k % 5) - 2, event });
    const n = 400;
    const columns = { axis: new Float64Array(n).fill(63.5), shift_x: Float64Array.from({ length: n }, (_, k) => (k % 5) - 2) };
    columns.axis.fill(NaN, 0, 95);
    const fed = watch({ ...taken, projections: { ...taken.projections, ...columns } }, COLS, {});
    expect([...fed.onset.view.slice(0, 95)].every((view) => view === NEW)).toBe(true);
    expect(Math.abs(fed.onset.shift[250])).toBeLessThan(0.1);
    expect(firstAlarm(fed)).toBeGreaterThan(300);
    expect(firstAlarm(fed)).toBeLessThan(365);
  }); // prettier-ignore
});

describe("bad input", () => {
  test("is said once, counted, and is no evidence", () => {
    const taken = scan(steps(200, 2), COLS);
    taken.projections.rotation_angle.fill(NaN, 100, 103);
    taken.projections.data.fill(NaN, 120 * COLS, 122 * COLS);
    taken.projections.data.fill(0, 130 * COLS, 131 * COLS);
    const fed = watch(taken, COLS);
    expect(fed.faults.map(({ what }: { what: string }) => what.slice(0, 33))).toEqual([
      "projection without a rotation ang", "less than half of a detector row ",
    ]);
    expect(countOf(fed.onset.view, NO_ANGLE)).toBe(3);
    expect(countOf(fed.onset.view, UNKNOWN)).toBe(3);
    expect(fed.onset.time.length).toBe(200);
    expect(firstAlarm(fed)).toBe(-1);
  }); // prettier-ignore

  test("no views, one view", () => {
    const one = watch(scan([0], COLS), COLS);
    expect([...one.onset.level]).toEqual([CLEAR]);
    expect(one.map.time.length).toBe(0);
    expect(watch(scan([], COLS), COLS).onset.time.length).toBe(0);
  });

  test.each([
    [{ axis: 500 }, {}, /axis: 500 px is not on the detector/],
    [{ slices: [1] }, {}, /slices: 1 is not a row/],
    [{ sizes: [] }, {}, /sizes: none are given/],
    [{ sizes: [0.5] }, {}, /0.5 is no width/],
    [{}, { geometry: "helix" }, /geometry "helix"/],
  ])("refused at the start: %j %j", (options, metadata, why) => {
    const how = { metadata: { projections: metadata } };
    expect(() => watch(scan([0], COLS), COLS, options, how)).toThrow(why);
  });

  test("an input that is no flux", () => {
    const { projections, flux } = scan([0], COLS);
    const { projections: wanted, flux: field } = shapes(COLS);
    expect(() =>
      feed(change, { projections, dark: flux }, { schema: { projections: wanted, dark: field } }),
    ).toThrow(/input dark is not known; wanted projections and flux/);
  });
});

test("the threshold is the one that stands for so long a run", () => {
  for (const [k, run] of [[0.5, 465], [1, 1e4], [1, 5e5]] as const)
    expect(averageRunLength({ k, h: limitFor(k, run), sides: "up" }) / run).toBeCloseTo(1, 3);
  // what cannot be solved any more goes on as the logarithm does
  expect(averageRunLength({ k: 1, h: limitFor(1, 1e8), sides: "up" }) / 1e8).toBeCloseTo(1, 1);
}); // prettier-ignore

/** Stream A: a real cell's cross-section turned before a detector, gas from frame 600 on. */
const folder = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(folder))("operando_21700_sim_A", () => {
  const cols = 512;
  const axis = 262.75;
  const npy = (name: string): Float32Array<ArrayBuffer> => {
    const bytes = readFileSync(`${folder}npy/operando_A_${name}.npy`);
    const start = 10 + bytes.readUInt16LE(8);
    const kind = bytes.toString("latin1", 10, start).includes("<u2") ? Uint16Array : Float32Array;
    return Float32Array.from(
      new kind(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length)),
    );
  };
  const [white, dark] = ["white", "dark"].map((name) => {
    const all = npy(name);
    return Float32Array.from({ length: cols }, (_, c) =>
      steps(20, cols, c).reduce((sum, i) => sum + all[i]! / 20, 0),
    );
  }) as [Float32Array, Float32Array];
  const flux = white.map((one, c) => one - dark[c]!);
  const alarmOf = (data: Float32Array<ArrayBuffer>, options: Record<string, unknown> = {}) => {
    const n = data.length / cols;
    const projections = { time: BigInt64Array.from({ length: n }, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(steps(n, 1)) };
    const given = { projections, flux: { time: BigInt64Array.of(0n), data: flux } };
    return watch(given, cols, { axis, read_noise: "3 {count}", every: 10_000, ...options });
  }; // prettier-ignore

  test("the stream itself: alarm within 30 frames of the onset, no earlier one", () => {
    const data = npy("data").slice(0, 660 * cols);
    const fed = alarmOf(data.map((count, i) => (count - dark[i % cols]!) / flux[i % cols]!));
    expect(firstAlarm(fed)).toBeGreaterThanOrEqual(600);
    expect(firstAlarm(fed)).toBeLessThanOrEqual(630);
    expect(fed.onset.sign[firstAlarm(fed)]).toBe(-1);
    expect(Math.hypot(fed.onset.x[655] - 60, fed.onset.y[655] + 35)).toBeLessThan(8);
  });

  test("other draws of its noise: within 30 frames each; none in frames without gas", async () => {
    const truth = await readHdf5(`${folder}operando_21700_sim_A_truth.h5`, (file) => {
      return (file.find("/base_slice") as { value: unknown }).value as Float32Array;
    });
    /** Each pixel to the two columns it lies between; `share` of a pixel. */
    const projected = (angle: number, share: (x: number, y: number) => number, from: number, to: number): Float64Array => {
      const p = new Float64Array(cols);
      const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
      for (let r = from; r < to; r++) {
        for (let c = 0; c < cols; c++) {
          const f = truth[r * cols + c]!;
          if (f === 0) continue;
          const [x, y] = [c - 255.5, 255.5 - r];
          const t = axis + x * cos + y * sin;
          const i = t | 0;
          const part = f * share(x, y);
          p[i]! += part * (1 - (t - i));
          p[i + 1]! += part * (t - i);
        }
      }
      return p;
    };
    const clear = steps(360, 1).map((angle) => projected(angle, () => 1, 0, cols));
    const gas = steps(35, 1).map((n) => {
      const radius = 14 * Math.sqrt(n / 360);
      const within = (x: number, y: number): number => Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(x - 60, y + 35)));
      return n === 0 ? new Float64Array(cols) : projected(600 + n, within, 270, 310);
    });
    for (const seed of [1, 2]) {
      const { normal, poisson } = random(seed);
      // frames 240 to 634: a turn to compare with
      const data = new Float32Array(395 * cols);
      for (let k = 0; k < 395; k++) {
        const frame = 240 + k;
        const beam = (1 - (0.02 * frame) / 1440) * (1 + 0.002 * normal());
        for (let c = 0; c < cols; c++) {
          const p = clear[frame % 360]![c]! - (frame > 600 ? gas[frame - 600]![c]! : 0);
          data[k * cols + c] = (poisson(flux[c]! * beam * Math.exp(-p)) + 3 * normal()) / flux[c]!;
        }
      }
      const fed = alarmOf(data);
      expect(firstAlarm(fed)).toBeGreaterThan(360);
      expect(firstAlarm(fed)).toBeLessThanOrEqual(390);
    }
  }, 60_000); // prettier-ignore
});
