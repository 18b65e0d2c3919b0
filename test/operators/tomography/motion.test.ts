import fc from "fast-check";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { motion } from "../../../operators/tomography/motion.ts";
import { registrar } from "../../../operators/tomography/registration.ts";
import { translationOf, withoutTranslation } from "../../../operators/tomography/translation.ts";
import { image } from "../../../runtime/index.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, psnr, textbook } from "./phantom.ts";

const SECOND = 1_000_000_000n;
const COUNTS = 20_000;

function random(seed: number): { uniform(): number; normal(): number } {
  let s = seed;
  const uniform = (): number => (s = (s * 48271) % 2147483647) / 2147483647;
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** What happens to the sample in view k. */
interface Fate {
  readonly shift?: number;
  readonly dx?: number;
  readonly dy?: number;
  readonly scale?: number;
}

interface Made {
  readonly angles: readonly number[];
  readonly cols?: number;
  readonly fate?: (k: number) => Fate;
  readonly seed?: number;
  readonly counts?: number;
}

/** A scan of the cell in parallel light, one detector row, `shift` the detector's own and the rest the sample's. */
function scan({ angles, cols = 128, fate = () => ({}), seed = 11, counts = COUNTS }: Made) {
  const axis = (cols - 1) / 2;
  const noise = random(seed);
  const data = new Float32Array(angles.length * cols);
  const truth = new Float64Array(angles.length);
  angles.forEach((angle, k) => {
    const { shift = 0, dx = 0, dy = 0, scale = 1 } = fate(k);
    const theta = (angle * Math.PI) / 180;
    truth[k] = shift + dx * Math.cos(theta) + dy * Math.sin(theta);
    const swollen = cell(cols).map((e) => ({ ...e, x: scale * e.x, y: scale * e.y, a: scale * e.a, b: scale * e.b }));
    const p = project(swollen, angle, cols, axis + truth[k]!);
    for (let t = 0; t < cols; t++) {
      const N = counts * Math.exp(-p[t]!);
      data[k * cols + t] = (N + Math.sqrt(N) * noise.normal()) / counts;
    }
  });
  return {
    angles, cols, axis, truth,
    projections: { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles) },
    schema: { projections: { ...motion.input.projections, data: image("1", { shape: [1, cols] }) } },
  };
} // prettier-ignore

type Scan = ReturnType<typeof scan>;
const track = ({ projections, schema }: Scan, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(motion, { projections }, { schema, with: options, ...how }); // prettier-ignore
const turning = (n: number, step: number): number[] => Array.from({ length: n }, (_, k) => k * step);

/** Root mean square of found less true shifts, but for what nothing tells: a constant, and the sample's place. */
function errorOf(found: ArrayLike<number>, taken: Scan, from: number, to = taken.angles.length): number {
  const which = Array.from({ length: to - from }, (_, i) => from + i).filter((k) => !Number.isNaN(found[k]!));
  const off = Float64Array.from(which, (k) => found[k]! - taken.truth[k]!);
  withoutTranslation(off, which.map((k) => (taken.angles[k]! * Math.PI) / 180), which.map(() => true)); // prettier-ignore
  const mean = off.reduce((sum, x) => sum + x, 0) / off.length;
  off.forEach((_, i) => (off[i]! -= mean));
  return Math.sqrt(off.reduce((sum, x) => sum + x * x, 0) / off.length);
}

/** Peak signal to noise of the last slice, against a noise-free, still sample at the place where the slice has it [dB]. */
function quality(fed: { projections: Record<string, never> }, taken: Scan, corrected: boolean): number {
  const { cols, angles, axis } = taken;
  const { shift_x, scale, ...rest } = fed.projections as unknown as Record<string, Float64Array>;
  const input = corrected ? { ...rest, shift_x, ...(scale && { scale }) } : rest;
  const schema = { projections: { ...incremental.input.projections, data: image("1", { shape: [1, cols] }) } };
  const { slices } = feed(incremental, { projections: input as never }, { schema, with: { every: angles.length, beyond_radius: "missing" } });
  const picture = slices.data.slice(-cols * cols) as Float32Array;
  const still = turning(360, 0.5).map((angle) => project(cell(cols), angle, cols, axis));
  const truth = textbook(still, turning(360, 0.5), axis, cols, (n) => -2 / (Math.PI ** 2 * (4 * n * n - 1)));
  // The sample's place is not known beforehand: the best of places within two pixels, a tenth apart.
  let best = -Infinity;
  const at = (r: number, c: number): number => {
    const [i, j] = [Math.floor(r), Math.floor(c)];
    const [f, g] = [r - i, c - j];
    const of = (a: number, b: number): number => truth[a * cols + b]!;
    return (1 - f) * ((1 - g) * of(i, j) + g * of(i, j + 1)) + f * ((1 - g) * of(i + 1, j) + g * of(i + 1, j + 1));
  };
  const compare = (x: number, y: number): number => {
    const [a, b]: [number[], number[]] = [[], []];
    for (let r = 6; r < cols - 6; r++) {
      for (let c = 6; c < cols - 6; c++) {
        if (Math.hypot(r - axis, c - axis) > axis - 4) continue;
        a.push(picture[r * cols + c]!);
        b.push(at(r + y, c - x));
      }
    }
    return psnr(a, Float64Array.from(b));
  };
  let place: [number, number] = [0, 0];
  for (const step of [1, 0.3, 0.1]) {
    const [x0, y0] = place;
    for (let i = -3; i <= 3; i++) {
      for (let j = -3; j <= 3; j++) {
        const dB = compare(x0 + i * step, y0 + j * step);
        if (dB > best) [best, place] = [dB, [x0 + i * step, y0 + j * step]];
      }
    }
  }
  return best;
} // prettier-ignore

describe("the shift of a row", () => {
  test.each([false, true])("and its growth, as they were made; errors as stated (fine: %s)", (fine) => {
    const cols = 256;
    const draw = random(5);
    const register = registrar(cols, fine);
    const predicted = project(cell(cols), 20, cols, 127.5);
    const off: number[][] = [];
    for (let k = 0; k < 60; k++) {
      const [shift, growth] = [6 * draw.uniform() - 3, 0.02 * draw.uniform() - 0.01];
      const grown = cell(cols).map((e) => ({ ...e, x: (1 + growth) * e.x, y: (1 + growth) * e.y, a: (1 + growth) * e.a, b: (1 + growth) * e.b }));
      const p = project(grown, 20, cols, 127.5 + shift).map((x) => 1.1 * x + 0.05 + 0.01 * draw.normal());
      const found = register(p, undefined, predicted, { middle: 127.5, radius: 120, reach: 6, growing: true });
      off.push([(found.shift - shift) / found.shift_se, (found.growth - growth) / found.growth_se]);
      expect(Math.abs(found.shift - shift)).toBeLessThan(0.3);
    }
    for (const i of [0, 1]) {
      const scatter = Math.sqrt(off.reduce((sum, x) => sum + x[i]! ** 2, 0) / off.length);
      expect(scatter).toBeGreaterThan(0.6);
      expect(scatter).toBeLessThan(1.5);
    }
  }); // prettier-ignore
});

describe("a sample that", () => {
  test("jitters by 1 px: every view's shift, and a slice as sharp as of a still one", () => {
    const draw = random(3);
    const taken = scan({ angles: turning(540, 1), fate: () => ({ shift: draw.normal() }) });
    const fed = track(taken);
    expect(errorOf(fed.motion.shift_x, taken, 180)).toBeLessThan(0.1);
    expect(quality(fed, taken, true)).toBeGreaterThan(quality(fed, taken, false) + 6);
    expect(fed.motion.level.every((level: number) => level === 0)).toBe(true);
    expect(fed.faults).toEqual([]);
  });

  test("drifts by 5 px a turn", () => {
    const taken = scan({ angles: turning(540, 1), fate: (k) => ({ shift: (5 * k) / 360 }) });
    const fed = track(taken);
    expect(errorOf(fed.motion.shift_x, taken, 180)).toBeLessThan(0.1);
    expect(quality(fed, taken, true)).toBeGreaterThan(quality(fed, taken, false) + 6);
    expect([...fed.motion.level].indexOf(2)).toBeLessThan(360);
  });

  test("jumps by 3 px", () => {
    const taken = scan({ angles: turning(490, 1), fate: (k) => (k < 400 ? {} : { dx: 2.4, dy: -1.8 }) });
    const fed = track(taken);
    const first = [...fed.motion.level].indexOf(2);
    expect(errorOf(fed.motion.shift_x, taken, 180)).toBeLessThan(0.1);
    expect(first).toBeGreaterThanOrEqual(400);
    expect(first).toBeLessThan(420);
    expect(Math.abs(fed.motion.dx.at(-1) - 2.4)).toBeLessThan(Math.max(0.1, 3 * fed.motion.dx_se.at(-1)));
    expect(Math.abs(fed.motion.dy.at(-1) + 1.8)).toBeLessThan(Math.max(0.1, 3 * fed.motion.dy_se.at(-1)));
  });

  test("swells by 3 %", () => {
    const fate = (k: number): Fate => ({ scale: 1 + 0.03 * Math.max(0, Math.min(1, (k - 200) / 1000)) });
    const taken = scan({ angles: turning(1440, 1), fate });
    const fed = track(taken);
    expect(fed.motion.scale.at(-1)).toBeCloseTo(1.03, 3);
    expect(errorOf(fed.motion.shift_x, taken, 180)).toBeLessThan(0.1);
  });

  test("lies still: no alarm in 2,000 noisy views", () => {
    const taken = scan({ angles: turning(2180, 1), cols: 96 });
    const fed = track(taken);
    expect(fed.motion.level.every((level: number) => level === 0)).toBe(true);
  });

  test("is taken once round only: its views are held back and aligned", () => {
    const draw = random(8);
    const taken = scan({ angles: turning(180, 1), fate: () => ({ shift: 1.5 * draw.normal() }) });
    const fed = track(taken, { hold_views: 200 });
    expect(errorOf(fed.motion.shift_x, taken, 0)).toBeLessThan(0.1);
    expect(quality(fed, taken, true)).toBeGreaterThan(quality(fed, taken, false) + 6);
    expect([...fed.projections.data]).toEqual([...taken.projections.data]);
    const short = track(taken, { hold_views: 100 });
    expect(short.faults[0].what).toMatch(/100 views are held back and the half-turn is not full/);
    expect(short.motion.time.length).toBe(180);
  });
});

describe("a sample with height", () => {
  /** Slices of the cell that differ from row to row, seen `lift` rows further down and shifted. */
  function tall(angles: readonly number[], rows: number, cols: number, fate: (k: number) => { shift: number; lift: number }) {
    const data = new Float32Array(angles.length * rows * cols);
    const noise = random(21);
    const density = (z: number): number => 1 + 0.5 * Math.sin(z / 3) + 0.3 * Math.cos(z / 1.7);
    const lifts = new Float64Array(angles.length);
    const truth = new Float64Array(angles.length);
    angles.forEach((angle, k) => {
      const { shift, lift } = fate(k);
      [truth[k], lifts[k]] = [shift, lift];
      const p = project(cell(cols), angle, cols, (cols - 1) / 2 + shift);
      for (let r = 0; r < rows; r++) {
        for (let t = 0; t < cols; t++) {
          const N = COUNTS * Math.exp(-p[t]! * density(r - lift));
          data[(k * rows + r) * cols + t] = (N + Math.sqrt(N) * noise.normal()) / COUNTS;
        }
      }
    });
    return {
      angles, cols, axis: (cols - 1) / 2, truth, lifts,
      projections: { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles) },
      schema: { projections: { ...motion.input.projections, data: image("1", { shape: [rows, cols] }) } },
    };
  } // prettier-ignore

  test("that goes up and down: by its column sums; several slices together tell the shift better", () => {
    const draw = random(2);
    const taken = tall(turning(150, 2), 48, 64, (k) => ({ shift: 0.7 * draw.normal(), lift: k === 0 ? 0 : 0.8 * draw.normal() }));
    const fed = track(taken, { vertical: true, slices: [16, 24, 32], max_shift: 6 });
    const lift = Math.sqrt(taken.lifts.reduce((sum, y, k) => sum + (fed.motion.shift_y[k] - y) ** 2, 0) / 150);
    expect(lift).toBeLessThan(0.05);
    expect(errorOf(fed.motion.shift_x, taken, 90)).toBeLessThan(0.06);
    expect([...fed.projections.shift_y]).toEqual([...fed.motion.shift_y]);
    const one = track(taken, { vertical: true, slices: [24], max_shift: 6 });
    const mean = (x: Float64Array): number => x.slice(95).reduce((a, b) => a + b, 0) / 55;
    expect(mean(fed.motion.shift_x_se)).toBeLessThan(0.75 * mean(one.motion.shift_x_se));
    expect(errorOf(one.motion.shift_x, taken, 90)).toBeLessThan(0.1);
  });

  test("too few rows for that are refused", () => {
    expect(() => track(scan({ angles: turning(3, 60) }), { vertical: true })).toThrow(/vertical: 1 detector rows do not tell/);
  });
}); // prettier-ignore

describe("what three parts say together", () => {
  test("axis, dx and dy come back, with errors as stated; jitter is told", () => {
    const draw = random(4);
    const off: number[][] = [];
    for (let k = 0; k < 200; k++) {
      const shifts = Array.from({ length: 60 }, (_, i) => {
        const theta_rad = (i * 3 * Math.PI) / 180;
        return { theta_rad, variance: 0.01, shift: 0.4 + 2 * Math.cos(theta_rad) - Math.sin(theta_rad) + 0.5 * draw.normal() };
      });
      const { axis, axis_se, dx, dx_se, dy, dy_se, jitter } = translationOf(shifts)!;
      off.push([(axis - 0.4) / axis_se, (dx - 2) / dx_se, (dy + 1) / dy_se, jitter]);
    }
    for (const i of [0, 1, 2]) expect(Math.abs(Math.sqrt(off.reduce((sum, x) => sum + x[i]! ** 2, 0) / 200) - 1)).toBeLessThan(0.15);
    expect(off.reduce((sum, x) => sum + x[3]!, 0) / 200).toBeCloseTo(0.49, 1);
  });

  test("angles that do not tell them from each other say nothing", () => {
    expect(translationOf(Array.from({ length: 9 }, () => ({ theta_rad: 1, variance: 1, shift: 2 })))).toBeUndefined();
    expect(translationOf([])).toBeUndefined();
  });
}); // prettier-ignore

describe("the stream", () => {
  const angles = [...turning(100, 2), ...turning(20, -2).map((angle) => angle + 196)];

  test.each([
    ["wasm", 0],
    ["wasm", 95],
    ["typescript", 0],
  ])("cut anywhere, saved and loaded anywhere: the same bits (%s, %i held back)", (kernel, hold_views) => {
    const draw = random(9);
    const taken = scan({ angles, cols: 48, fate: () => ({ shift: draw.normal() }) });
    taken.projections.data.fill(NaN, 7 * 48, 7 * 48 + 40);
    taken.projections.data[110 * 48 + 5] = NaN;
    const options = { kernel, hold_views };
    const whole = track(taken, options);
    expect(whole.motion.time.length).toBe(120);
    expect(whole.motion.view[7]).toBe(3);
    expect(whole.faults[0].what).toMatch(/less than half is known/);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 3 }), (rows, reloadAfter) => {
        expect(track(taken, options, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 4, numRuns: kernel === "wasm" ? 4 : 2 },
    );
  }); // prettier-ignore

  test("what is known of a view before is kept, and ours put on top", () => {
    const draw = random(13);
    const dither = turning(270, 1).map(() => 4 * draw.uniform());
    const taken = scan({ angles: turning(270, 1), fate: (k) => ({ shift: dither[k]! }) });
    const projections = { ...taken.projections, shift_x: Float64Array.from(dither), axis: new Float64Array(270).fill(63.5) };
    const fed = track({ ...taken, projections } as Scan);
    expect(errorOf(fed.projections.shift_x, taken, 0)).toBeLessThan(0.06);
    expect(Math.max(...fed.motion.shift_x.slice(180).map(Math.abs))).toBeLessThan(0.3);
    expect([...fed.projections.axis]).toEqual([...projections.axis]);
  }); // prettier-ignore

  test("views without an angle and views that do not match are handed on, and said", () => {
    const taken = scan({ angles: turning(240, 1) });
    taken.projections.rotation_angle[200] = NaN;
    const other = random(30);
    for (let t = 0; t < 128; t++) taken.projections.data[210 * 128 + t] = 0.2 + 0.8 * other.uniform();
    const fed = track(taken);
    expect(fed.projections.time.length).toBe(240);
    expect([fed.motion.view[199], fed.motion.view[200], fed.motion.view[210], fed.motion.view[211]]).toEqual([0, 3, 2, 0]);
    expect(fed.motion.shift_x[210]).toBeNaN();
    expect(Math.abs(fed.projections.shift_x[210])).toBeLessThan(0.2);
    expect(fed.faults.map(({ what }: { what: string }) => what)).toEqual([expect.stringMatching(/without a rotation angle/)]);
  }); // prettier-ignore

  test("a sample that is gone is said, and all begins anew", () => {
    const taken = scan({ angles: turning(600, 1), cols: 64 });
    const other = random(31);
    for (let i = 250 * 64; i < 350 * 64; i++) taken.projections.data[i] = 0.2 + 0.8 * other.uniform();
    const fed = track(taken);
    expect(fed.faults.map(({ what }: { what: string }) => what)).toEqual([expect.stringMatching(/views do not match the slices any more/)]);
    expect(fed.motion.view[599]).toBe(0);
  }); // prettier-ignore

  test("none, one, and a scan that ends early", () => {
    expect(track(scan({ angles: [] })).motion.time.length).toBe(0);
    const one = track(scan({ angles: [12] }));
    expect([...one.motion.view]).toEqual([1]);
    expect(one.faults[0].what).toMatch(/no shift was found: the views cover 0 of 180 deg/);
    const part = track(scan({ angles: turning(140, 1) }), { hold_views: 180 });
    expect(part.motion.view.every((view: number) => view === 0)).toBe(true);
    expect(part.projections.time.length).toBe(140);
  });

  test("what cannot be right stops the start", () => {
    const taken = scan({ angles: turning(3, 60) });
    const metadata = { projections: { geometry: "cone", source_distance: "0.1", sample_pixel_size_x: "1e-6" } };
    expect(() => track(taken, {}, { metadata })).toThrow(/a cone beam: shifts against the slice are found in a parallel beam only/);
    expect(() => track(taken, { axis: 4 })).toThrow(/axis: 4 px is too near to the detector's end/);
    expect(() => track(taken, { slices: [1] })).toThrow(/slices: 1 is not a row/);
  }); // prettier-ignore
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(shared))("npg_p05_nanoct, wider than the detector, with real jitter", () => {
  test("slices of the odd and of the even views agree better, and are sharper", async () => {
    const [rows, cols, row, views] = [79, 83, 30, 451];
    const { data, angles } = await readHdf5(`${shared}npg_p05_nanoct.h5`, (file) => {
      const of = (path: string): ArrayLike<number> => (file.find(path) as { value: ArrayLike<number> }).value;
      const all = of("/exchange/data") as Float32Array;
      const data = new Float32Array(views * cols);
      for (let k = 0; k < views; k++) data.set(all.subarray((k * rows + row) * cols, (k * rows + row + 1) * cols), k * cols);
      return { data, angles: Float64Array.from(of("/exchange/theta")) };
    });
    const field = image("1", { shape: [1, cols], quantity: "line integral" });
    const projections = { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: angles };
    const schema = { projections: { ...motion.input.projections, data: field } };
    const fed = feed(motion, { projections }, { schema, with: { hold_views: views, axis: 41, padding: "edge" } });
    expect(fed.motion.view.every((view: number) => view === 0)).toBe(true);

    const slice = (columns: Record<string, Float64Array>, keep: (k: number) => boolean): Float32Array => {
      const which = [...angles.keys()].filter(keep);
      const some = (of: ArrayLike<number>): Float64Array => Float64Array.from(which, (k) => of[k]!);
      const rowsOf = new Float32Array(which.length * cols);
      which.forEach((k, i) => rowsOf.set(data.subarray(k * cols, (k + 1) * cols), i * cols));
      const input = { time: BigInt64Array.from(which, (k) => BigInt(k) * SECOND), data: rowsOf, rotation_angle: some(angles) };
      for (const name in columns) Object.assign(input, { [name]: some(columns[name]!) });
      const { slices } = feed(incremental, { projections: input }, {
        schema: { projections: { ...incremental.input.projections, data: field } },
        with: { axis: 41, every: 1000, filter: "hann", padding: "edge" },
      });
      return slices.data.slice(-cols * cols);
    };
    const details = (f: Float32Array): number[] => {
      const found: number[] = [];
      for (let r = 2; r < cols - 2; r++) for (let c = 2; c < cols - 2; c++) {
        const i = r * cols + c;
        if (Math.hypot(r - 41, c - 41) < 34) found.push(4 * f[i]! - f[i - 2]! - f[i + 2]! - f[i - 2 * cols]! - f[i + 2 * cols]!);
      }
      return found;
    };
    const judge = (columns: Record<string, Float64Array>): { disagreement: number; sharpness: number } => {
      const [odd, even] = [1, 0].map((part) => details(slice(columns, (k) => k % 2 === part))) as [number[], number[]];
      const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
      return { disagreement: 1 - dot(odd, even) / Math.sqrt(dot(odd, odd) * dot(even, even)), sharpness: dot(odd, even) };
    };
    const [before, after] = [judge({}), judge({ shift_x: fed.projections.shift_x })];
    expect(after.disagreement).toBeLessThan(0.85 * before.disagreement);
    expect(after.sharpness).toBeGreaterThan(before.sharpness);
  });
}); // prettier-ignore
