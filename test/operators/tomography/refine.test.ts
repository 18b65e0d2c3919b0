import fc from "fast-check";
import { expect, describe, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { refine } from "../../../operators/tomography/refine.ts";
import { smoothed } from "../../../operators/tomography/total-variation.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project } from "./phantom.ts";

const SECOND = 1_000_000_000n;

function scan(angles: readonly number[], cols: number, { counts = Infinity, axis = (cols - 1) / 2, rows = 1, seed = 5 } = {}) {
  let s = seed;
  const uniform = (): number => (s = (s * 48271) % 2147483647) / 2147483647;
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const data = new Float32Array(angles.length * rows * cols);
  angles.forEach((angle, k) => {
    const p = project(cell(cols), angle, cols, axis);
    for (let r = 0; r < rows; r++) {
      for (let t = 0; t < cols; t++) {
        const T = Math.exp(-p[t]! * (1 + 0.1 * r));
        data[(k * rows + r) * cols + t] = T + (counts < Infinity ? Math.sqrt(T / counts) * normal() : 0);
      }
    }
  });
  return {
    cols, axis,
    projections: { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles) },
    schema: { projections: { ...refine.input.projections, data: image("1", { shape: [rows, cols] }) } },
  };
} // prettier-ignore

type Scan = ReturnType<typeof scan>;
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);
const run = ({ projections, schema }: Scan, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(refine, { projections }, { schema, with: options, ...how }); // prettier-ignore

/** The phantom as a slice of cols × cols: each pixel the mean over 8 × 8 places of it. */
function drawn(cols: number): Float32Array {
  const picture = new Float32Array(cols * cols);
  const middle = (cols - 1) / 2;
  for (let i = 0; i < picture.length; i++) {
    for (let k = 0; k < 64; k++) {
      const x = (i % cols) - middle + ((k & 7) - 3.5) / 8;
      const y = middle - Math.floor(i / cols) + ((k >> 3) - 3.5) / 8;
      for (const e of cell(cols)) {
        const turn = (e.angle_deg * Math.PI) / 180;
        const [dx, dy] = [x - e.x, y - e.y];
        const u = (dx * Math.cos(turn) + dy * Math.sin(turn)) / e.a;
        const v = (dy * Math.cos(turn) - dx * Math.sin(turn)) / e.b;
        if (u * u + v * v < 1) picture[i]! += e.attenuation / 64;
      }
    }
  }
  return picture;
}

/** Root mean square within the circle that all views see; both cols × cols. */
function off(a: Float32Array, b: Float32Array, cols: number): number {
  let [sum, n] = [0, 0];
  const middle = (cols - 1) / 2;
  for (let i = 0; i < a.length; i++) {
    if (Math.hypot((i % cols) - middle, Math.floor(i / cols) - middle) > middle - 1) continue;
    sum += (a[i]! - b[i]!) ** 2;
    n++;
  }
  return Math.sqrt(sum / n);
}

describe("40 noisy views of the phantom", () => {
  const cols = 128;
  const taken = scan(steps(40, 4.5), cols, { counts: 20_000 });
  const truth = drawn(cols);
  const fbp = (): number => {
    const { slices } = feed(incremental, { projections: taken.projections }, { schema: taken.schema, with: { every: 40, beyond_radius: "missing" } });
    return off(slices.data.slice(-cols * cols), truth, cols);
  }; // prettier-ignore

  test("come nearer to the truth by SIRT than by filtered back-projection, and nearer still by total variation", () => {
    const [sirt, tv] = ["sirt", "tv"].map(
      (method) => run(taken, { every: 40, iterations: 10, method }).refined,
    );
    expect(sirt.data.length).toBe(cols * cols);
    expect(off(sirt.data, truth, cols)).toBeLessThan(0.7 * fbp());
    expect(off(tv.data, truth, cols)).toBeLessThan(0.7 * off(sirt.data, truth, cols));
    expect(sirt.residual[0]).toBeLessThan(sirt.residual_before[0]);
    expect([...tv.method, ...sirt.method]).toEqual([1, 0]);
  });

  test("in a region alone: nearer there, and around it as it was", () => {
    const whole = run(taken, { every: 40, iterations: 10 }).refined.data;
    const before = run(taken, {
      every: 40,
      iterations: 1,
      method: "sirt",
      relaxation: 0.001,
      non_negative: false,
    }).refined.data;
    const [x, y, radius] = [12.5, 18.5, 24];
    const part = run(taken, { every: 40, iterations: 10, centre_x: x, centre_y: y, radius }).refined.data;
    const size = 2 * radius + 1; // 63.5 + 12.5 is a pixel's middle
    expect(part.length).toBe(size * size);
    const sums = { part: 0, before: 0, whole: 0 };
    for (let r = 0; r < size; r++) {
      for (let c = 0; c < size; c++) {
        const at = (63.5 - y - radius + r) * cols + 63.5 + x - radius + c;
        const f = part[r * size + c]!;
        if (Math.hypot(r - radius, c - radius) > radius) expect(f).toBeCloseTo(before[at]!, 5);
        sums.part += (f - truth[at]!) ** 2;
        sums.before += (before[at]! - truth[at]!) ** 2;
        sums.whole += (whole[at]! - truth[at]!) ** 2;
      }
    }
    expect(Math.sqrt(sums.part / sums.before)).toBeLessThan(0.9);
    expect(Math.sqrt(sums.whole / sums.before)).toBeLessThan(0.8);
  });
});

test("without noise the residual falls with every pass, and from one time to the next", () => {
  const taken = scan(steps(180, 2), 96);
  const once = [1, 2, 4, 8, 16].map(
    (iterations) =>
      run(taken, { every: 180, method: "sirt", iterations, window: "180 deg" }).refined.residual[0],
  );
  for (let k = 1; k < once.length; k++) expect(once[k]).toBeLessThan(once[k - 1]);
  const on = run(taken, { every: 30, method: "sirt", iterations: 2 }).refined;
  expect([...on.version]).toEqual([30, 60, 90, 120, 150, 180]);
  expect([...on.iterations]).toEqual([2, 4, 6, 8, 10, 12]);
  // From the fourth on the window is full, and what comes is what was there
  for (let k = 3; k < 6; k++) expect(on.residual[k]).toBeLessThan(on.residual_before[k]);
  expect(on.residual[5]).toBeLessThan(on.residual[3]);
});

test("what is new in the views shows at once in a slice that was refined before", () => {
  const still = scan(steps(120, 3), 64);
  const denser = {
    ...still.projections,
    data: still.projections.data.map((T, i) => (i < 60 * 64 ? T : T ** 1.5)),
  };
  const { refined } = run({ ...still, projections: denser }, { every: 60, iterations: 4 });
  const [first, second] = [refined.data.slice(0, 4096), refined.data.slice(4096)];
  const sum = (f: Float32Array): number => f.reduce((a, b) => a + b, 0);
  expect(sum(second) / sum(first)).toBeCloseTo(1.5, 2);
});

test("total variation keeps an edge and takes noise away", () => {
  const [cols, edge] = [40, 20];
  const picture = Float32Array.from(
    { length: cols * cols },
    (_, i) => (i % cols < edge ? 0 : 1) + 0.1 * Math.sin(i * i),
  );
  const rough = picture.slice();
  smoothed(picture, cols, 0.2, 200, new Float32Array(3 * picture.length));
  const spread = (f: Float32Array, from: number, to: number): number => {
    const part = f.filter((_, i) => i % cols >= from && i % cols < to);
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    return Math.sqrt(part.reduce((a, b) => a + (b - mean) ** 2, 0) / part.length);
  };
  expect(spread(picture, 0, edge)).toBeLessThan(0.2 * spread(rough, 0, edge));
  for (let r = 5; r < 35; r++)
    expect(picture[r * cols + edge]! - picture[r * cols + edge - 1]!).toBeGreaterThan(0.8);
  expect(picture.reduce((a, b) => a + b, 0)).toBeCloseTo(
    rough.reduce((a, b) => a + b, 0),
    2,
  );
});

describe("the stream", () => {
  test.each(["wasm", "typescript"])("cut anywhere, saved and loaded anywhere: the same bits (%s)", (kernel) => {
    const taken = scan([...steps(25, 7.3), ...steps(12, -7.1, 170)], 40, { rows: 3, axis: 18.2, counts: 1e4 });
    taken.projections.data.fill(NaN, 17 * 120, 17 * 120 + 80); // two of three rows unknown
    const options = { slices: [0, 1, 2], every: 6, iterations: 2, axis: 18.2, subsets: 3, kernel, method: "tv", tv_steps: 3 };
    const whole = run(taken, options);
    expect([...whole.refined.slice.slice(-3)]).toEqual([0, 1, 2]);
    expect([...whole.refined.left_out.slice(-3)]).toEqual([1, 1, 0]);
    expect(whole.faults.length).toBe(2);
    // each slice is as it is alone
    const alone = run(taken, { ...options, slices: [2] }).refined.data;
    expect(alone.slice(-35 * 35)).toEqual(whole.refined.data.slice(-35 * 35));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 3 }), (rows, reloadAfter) => {
        expect(run(taken, options, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 4, numRuns: kernel === "wasm" ? 8 : 3 },
    );
  }); // prettier-ignore

  test("both kernels come to the same", () => {
    const taken = scan(steps(30, 6), 48);
    const [a, b] = ["wasm", "typescript"].map((kernel) => run(taken, { every: 30, kernel }).refined.data);
    const peak = Math.max(...a!);
    expect(Math.max(...a!.map((x: number, i: number) => Math.abs(x - b![i]!))) / peak).toBeLessThan(1e-4);
  });

  test("none, one, and one without an angle", () => {
    expect(run(scan([], 32)).refined.time.length).toBe(0);
    expect([...run(scan([12], 32)).refined.views]).toEqual([1]);
    const blind = run(scan([NaN], 32));
    expect(blind.refined.time.length).toBe(0);
    expect(blind.faults[0].what).toMatch(/without a rotation angle/);
  });

  test("a person may ask for more passes while it runs", () => {
    const taken = scan(steps(40, 4.5), 32);
    const actions = [{ at: 15n * SECOND, changes: { iterations: 7 } }];
    expect([...run(taken, { every: 10, iterations: 1 }, { actions }).refined.iterations]).toEqual([
      1, 8, 15, 22,
    ]);
  });

  test("what cannot be right stops the start", () => {
    const taken = scan(steps(3, 60), 32);
    expect(() => run(taken, { radius: 20 })).toThrow(/radius: the region reaches 20.0 px from the axis; every view sees 15.5 px/);
    expect(() => run(taken, { slices: [1] })).toThrow(/slices: 1 is not a row/);
    const metadata = { projections: { geometry: "fan", source_distance: "0.1", sample_pixel_size_x: "1e-6" } };
    expect(() => run(taken, { window: "360 deg" }, { metadata })).toThrow(/a fan beam: slices are refined in a parallel beam only/);
  }); // prettier-ignore
});
