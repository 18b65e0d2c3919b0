import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stepHeight } from "../../../operators/image/step-height.ts";
import { feed } from "../../helpers/feed.ts";
import { gaussian, random, SECOND } from "./pictures.ts";
import { frames, meanOf, rmsOf, roughness, scanned } from "./surfaces.ts";

const [ROWS, COLS] = [128, 160];

function measured(list: readonly ArrayLike<number>[], options: Record<string, unknown> = {}, { columns = {}, unit = "m", shape = [ROWS, COLS] as [number, number], ...how }: {
  columns?: Record<string, unknown>; unit?: string; shape?: [number, number]; rows?: number; reloadAfter?: number[];
  actions?: { at: bigint; changes: Record<string, unknown> }[];
} = {}) {
  return feed(stepHeight, { images: frames(list, columns) } as never, { schema: { images: scanned(unit, ...shape) }, with: options, ...how });
} // prettier-ignore

interface Scratch {
  readonly height: number;
  readonly noise?: number;
  readonly rough?: number;
  readonly jumps?: number;
  readonly tilt?: number;
  /** Edge length over which the wall falls, in px. */
  readonly rounding?: number;
  readonly shape?: "box" | "stripe" | "terrace";
}

/** Columns 50 to 110 of rows 30 to 100 (a stripe: of all rows) stand by `height` over the rest; of a terrace all from 60 on. */
function scratch(seed: number, { height, noise = 0, rough = 0, jumps = 0, tilt = 0, rounding = 0, shape = "stripe" }: Scratch): Float32Array {
  const next = random(seed);
  const surface = rough > 0 ? roughness(ROWS, COLS, 2, next) : new Float64Array(ROWS * COLS);
  const [x, y] = [tilt * (2 * next() - 1), tilt * (2 * next() - 1)];
  const wall = (d: number): number => (rounding > 0 ? 1 / (1 + Math.exp((-4 * d) / rounding)) : d >= 0 ? 1 : 0);
  const made = new Float32Array(ROWS * COLS);
  for (let r = 0, i = 0; r < ROWS; r++) {
    const offset = jumps * gaussian(next);
    for (let c = 0; c < COLS; c++, i++) {
      const across = shape === "terrace" ? wall(c + 0.5 - 60) : wall(c + 0.5 - 50) * wall(110 - c - 0.5);
      const along = shape === "box" ? wall(r + 0.5 - 30) * wall(100 - r - 0.5) : 1;
      made[i] = height * across * along + rough * surface[i]! + x * (c / COLS) + y * (r / ROWS) + offset + noise * gaussian(next) + 7;
    }
  }
  return made;
} // prettier-ignore

const transposed = (frame: Float32Array): Float32Array =>
  Float32Array.from(frame, (_, i) => frame[(i % ROWS) * COLS + Math.floor(i / ROWS)]!);

describe("gives back the height that the frame was made with", () => {
  const box = { method: "regions", feature: "50,30,110,100" };

  test.each([
    ["profile", "stripe", {}],
    ["profile", "terrace", { edges: "one" }],
    ["profile", "box", { within: "0,35,160,95" }],
    ["regions", "stripe", box],
    ["regions", "box", box],
    ["regions", "box", { ...box, feature: "55,40,105,90", reference: ["5,40,40,90", "120,40,150,90"] }],
    ["regions", "terrace", { method: "regions", feature: "90,0,150,128", reference: "2,0,40,128" }],
    ["histogram", "stripe", {}],
    ["histogram", "box", {}],
    ["histogram", "terrace", {}],
  ] as const)("%s, %s, noiseless: with tilt and jumps, up and down", (method, shape, options) => {
    for (const height of [3, -3]) {
      const frame = scratch(1, { height, tilt: 4, jumps: 1, shape });
      const { steps, faults } = measured([frame], { method, ...options });
      // Of two levels the higher is the feature.
      expect(steps.step_height[0]).toBeCloseTo(method === "histogram" ? 3 : height, 5);
      expect([steps.lines[0], steps.reason[0], faults.length]).toEqual([1, 0, 0]);
    }
  });

  test("along the lines the jumps cannot be told from the step: none are fitted, and the error says so", () => {
    const options = { method: "regions", feature: "0,50,128,110", across: "y" };
    const at = { shape: [COLS, ROWS] as [number, number] };
    const clean = measured([transposed(scratch(2, { height: 3, tilt: 4 }))], options, at).steps;
    expect([clean.step_height[0], clean.lines[0]]).toEqual([expect.closeTo(3, 5), 0]);
    const errors: number[] = [];
    const said: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      const next = random(500 + seed);
      const frame = transposed(scratch(seed, { height: 3, tilt: 4 }));
      for (let r = 0; r < COLS; r++) {
        const jump = 0.5 * gaussian(next);
        for (let c = 0; c < ROWS; c++) frame[r * ROWS + c]! += jump;
      }
      const { steps } = measured([frame], options, at);
      errors.push(steps.step_height[0] - 3);
      said.push(steps.step_height_se[0]);
    }
    expect(meanOf(said) / rmsOf(errors)).toSatisfy((ratio: number) => ratio > 0.75 && ratio < 1.4); // 40 know it to 11 %
    const forced = measured([scratch(2, { height: 3 })], { method: "regions", feature: "50,0,110,128", line_offsets: "none" });
    expect([forced.steps.lines[0], forced.steps.step_height[0]]).toEqual([0, expect.closeTo(3, 5)]);
    const cannot = measured([transposed(scratch(2, { height: 3 }))], { ...options, line_offsets: "fitted" }, at);
    expect([cannot.steps.step_height[0], cannot.steps.reason[0]]).toEqual([NaN, 1]);
  }); // prettier-ignore

  test("a round scratch: two thirds of its radius, and the ring beyond four thirds", () => {
    const frame = new Float32Array(ROWS * COLS).map((_, i) => {
      const away = Math.hypot((i % COLS) - 80, Math.floor(i / COLS) - 60);
      return away < 20 ? -12 : away < 24 ? -12 + 3 * (away - 20) : 0.01 * (i % COLS);
    });
    const { steps, used } = measured([frame], { method: "regions", feature: "circle 80,60,24" });
    expect(steps.step_height[0]).toBeCloseTo(-12.8, 0);
    expect([60 * COLS + 80, 60 * COLS + 102, 60 * COLS + 80 + 40].map((i) => used.data[i])).toEqual([
      2, 0, 1,
    ]);
  });

  test("edges are found to the pixel, and rounded ones do not lower the step", () => {
    const sharp = measured([scratch(3, { height: 2, noise: 0.1 })]).steps;
    expect([sharp.edge_first[0], sharp.edge_end[0]]).toEqual([50, 110]);
    const one = measured([scratch(3, { height: 2, noise: 0.1, shape: "terrace" })], { edges: "one" }).steps;
    expect([one.edge_first[0], one.edge_end[0]]).toEqual([60, NaN]);
    const round = measured([scratch(4, { height: 2, rounding: 8 })]).steps;
    expect(round.step_height[0]).toBeCloseTo(2, 3);
  });
});

describe("its error", () => {
  // 80 scratches each of 12 nm in films of 1.5 nm roughness, tilted, jumping by 2 nm a line, rounded edges, noise.
  test.each([
    ["profile", {}],
    ["regions", { method: "regions", feature: "50,0,110,128" }],
    ["histogram", { method: "histogram", guard: 8 }],
  ] as const)("covers the truth two times of three: %s", (method, options) => {
    const heights: number[] = [];
    const errors: number[] = [];
    let within = 0;
    for (let seed = 0; seed < 80; seed++) {
      const frame = scratch(7000 + seed, {
        height: -12,
        noise: 0.3,
        rough: 1.5,
        jumps: 2,
        tilt: 30,
        rounding: 5,
      });
      const { steps } = measured([frame], { method, ...options });
      const error = Math.abs(steps.step_height[0]) - 12;
      heights.push(error);
      errors.push(steps.step_height_se[0]);
      if (Math.abs(error) < steps.step_height_se[0]) within++;
    }
    expect(Math.abs(meanOf(heights))).toBeLessThan((3 * rmsOf(heights)) / Math.sqrt(80)); // no bias
    expect(rmsOf(heights) / rmsOf(errors)).toSatisfy((ratio: number) => ratio > 0.75 && ratio < 1.3);
    expect(within / 80).toSatisfy((share: number) => share > 0.53 && share < 0.82); // known to 5 %
  });

  test("a step that is not there is not found: of 20 rough surfaces none", () => {
    const flat = Array.from({ length: 20 }, (_, seed) => scratch(900 + seed, { height: 0, rough: 1, noise: 0.2, jumps: 1, tilt: 5 }));
    for (const method of ["profile", "histogram"]) {
      const { steps } = measured(flat, { method });
      expect([...steps.reason].filter((reason) => reason === 0).length).toBe(0);
      expect([...steps.step_height].every(Number.isNaN)).toBe(true);
    }
  }); // prettier-ignore
});

describe("swelling", () => {
  const film = [10, 11.7, 10.3].map((height) => scratch(5, { height: -height, noise: 0.05, jumps: 1 }));

  test("against the first frame that has a height, by direction of the scan", () => {
    const { steps } = measured([scratch(5, { height: 0 }), ...film]);
    expect([...steps.reason]).toEqual([2, 0, 0, 0]);
    expect([...steps.swelling]).toEqual([NaN, 0, expect.closeTo(17, 0), expect.closeTo(3, 0)]);
    expect([...steps.swelling_se]).toEqual([NaN, 0, expect.any(Number), expect.any(Number)]);
    expect(steps.swelling_se[2]).toBeGreaterThan(100 * (steps.step_height_se[2] / 10));
    const both = measured([film[0]!, film[1]!, film[1]!, film[2]!], {}, { columns: { direction: Int32Array.of(0, 1, 0, 1) } }).steps;
    expect([...both.swelling]).toEqual([0, 0, expect.closeTo(17, 0), expect.closeTo((100 * 10.3) / 11.7 - 100, 0)]);
  }); // prettier-ignore

  test("against a given height, whose error counts", () => {
    const { steps } = measured(film, { reference_height: "-1e10 nm", reference_height_se: "5e8 nm" });
    expect([...steps.swelling]).toEqual([expect.closeTo(0, 0), expect.closeTo(17, 0), expect.closeTo(3, 0)]);
    expect(steps.swelling_se[0]).toBeCloseTo(5, 0);
    expect([...steps.reference_height_se]).toEqual([0.5, 0.5, 0.5]);
  });

  test("another place, picked while it runs, begins anew", () => {
    const options = { method: "regions", feature: "50,0,110,128" };
    const actions = [{ at: 2n * SECOND, changes: { feature: "52,0,108,128" } }];
    const { steps } = measured(film, options, { actions });
    expect([...steps.swelling]).toEqual([0, 0, expect.closeTo((100 * 10.3) / 11.7 - 100, 0)]);
    expect([...steps.feature_pixels]).toEqual([20 * ROWS, 18 * ROWS, 18 * ROWS]);
  });
});

test("tilt, height and scale: a property over many frames", () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(0.5, 2, 16), (seed, scale) => {
      const frame = scratch(seed, { height: 4, noise: 0.2, jumps: 1 });
      const one = measured([frame]).steps;
      const other = measured([frame.map((z) => scale * z)]).steps;
      expect(other.step_height[0] / one.step_height[0] / scale).toBeCloseTo(1, 9);
      expect(other.step_height_se[0] / one.step_height_se[0] / scale).toBeCloseTo(1, 9);
      const tilted = measured([frame.map((z, i) => z + 0.02 * (i % COLS) + 5 * Math.floor(i / COLS))]).steps;
      expect(tilted.step_height[0]).toBeCloseTo(one.step_height[0], 4);
    }),
    { seed: 6, numRuns: 15 },
  );
});

test("pixels without a value are left out; a frame of them has no height", () => {
  const next = random(8);
  const frame = scratch(8, { height: 3, jumps: 1 });
  const holed = frame.map((z) => (next() < 0.3 ? NaN : z));
  holed.fill(NaN, 0, 20 * COLS);
  const nothing = frame.map(() => NaN);
  const beside = frame.map((z, i) => (i % COLS > 48 && i % COLS < 112 ? z : NaN));
  for (const options of [{}, { method: "regions", feature: "50,0,110,128" }, { method: "histogram" }]) {
    const { steps } = measured([holed, nothing, frame], options);
    expect([...steps.step_height]).toEqual([expect.closeTo(3, 5), NaN, expect.closeTo(3, 5)]);
    expect(steps.reason[1]).toBe(1);
    expect(steps.feature_pixels[0]).toBeLessThan(0.7 * steps.feature_pixels[2]);
    expect(measured([beside], options).steps.step_height[0]).toBeNaN();
  }
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const list = Array.from({ length: 6 }, (_, i) => scratch(60 + i, { height: 5 + i, noise: 0.2, jumps: 1 }));
  list[1]!.fill(NaN);
  const columns = { direction: Int32Array.of(0, 1, 0, 1, 0, 1), index: Int32Array.of(0, 0, 1, 1, 2, 2) };
  const whole = measured(list, {}, { columns });
  expect([...whole.steps.index]).toEqual([0, 0, 1, 1, 2, 2]);
  for (const rows of [1, 2, 5]) {
    const { steps, used } = measured(list, {}, { columns, rows, reloadAfter: [1, 2, 3] });
    expect(steps).toEqual(whole.steps);
    expect(Buffer.compare(Buffer.from(used.data), Buffer.from(whole.used.data))).toBe(0);
  }
  expect(measured([]).steps.time.length).toBe(0);
});

test("wrong options stop the start and say what is allowed", () => {
  const frame = scratch(1, { height: 1 });
  const wrong = (options: Record<string, unknown>) => () => measured([frame], options);
  expect(wrong({ method: "regions" })).toThrow(/feature: method regions needs the place of the step/);
  expect(wrong({ method: "regions", feature: "0,0,161,2" })).toThrow(/feature: "0,0,161,2" reaches beyond the image/);
  expect(wrong({ method: "regions", feature: "0,0,16,2", reference: ["here"] })).toThrow(/reference: "here" is not a place/);
  expect(wrong({ feature: "round" })).toThrow(/feature: "round" is not a place/);
  expect(wrong({ reference_height: "0 nm" })).toThrow(/swelling against a height of 0 has no meaning/);
  expect(wrong({ reference_height: "3 V" })).toThrow(/reference_height: V cannot be converted to m; wanted a number in m/);
  expect(wrong({ reference_height_se: "3 nm" })).toThrow(/is of a reference_height, which is not given/);
}); // prettier-ignore
