import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backgroundOf, basisFor, METHODS, type How } from "../../../operators/image/background.ts";
import { level } from "../../../operators/image/level.ts";
import { basisOf, evaluateRow } from "../../../operators/image/plane-fit.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { gaussian, picture, random } from "./pictures.ts";
import { frames, grains, meanOf, rmsOf, roughness, scanned } from "./surfaces.ts";

const [ROWS, COLS] = [48, 40];
const PIXEL_m = 2e-9;
const METADATA = { pixel_size_x: String(PIXEL_m), pixel_size_y: String(PIXEL_m) };

function levelled(list: readonly ArrayLike<number>[], options: Record<string, unknown> = {}, { columns = {}, unit = "m", metadata = METADATA, shape = [ROWS, COLS] as [number, number], ...how }: {
  columns?: Record<string, unknown>; unit?: string; metadata?: Record<string, string>; shape?: [number, number]; rows?: number; reloadAfter?: number[];
} = {}) {
  return feed(level, { images: frames(list, columns) } as never, {
    schema: { images: scanned(unit, ...shape) }, metadata: { images: metadata }, with: options, ...how,
  });
} // prettier-ignore

/** Row i of a column of curves. */
const curveAt = (
  { values, offsets }: { values: Float64Array; offsets: Int32Array },
  i: number,
): Float64Array => values.subarray(offsets[i], offsets[i + 1]);

/** A tilted frame whose lines jump, of a flat sample. */
function made(seed: number, { noise = 0, jumps = 1 } = {}) {
  const next = random(seed);
  const [mean, x, y] = [4 + next(), 3 * next(), -2 * next()];
  const lines = Float64Array.from({ length: ROWS }, () => jumps * gaussian(next));
  const frame = picture(COLS, ROWS, (c, r) =>
    mean + (x * (2 * c - COLS + 1)) / 2 * 0.01 + (y * (2 * r - ROWS + 1)) / 2 * 0.01 + lines[r]! + noise * gaussian(next),
  );
  return { frame, mean, x: x * 0.01, y: y * 0.01, lines };
} // prettier-ignore

describe("gives back what the frame was made from", () => {
  test("a plane", () => {
    const { frame, mean, x, y } = made(1, { jumps: 0 });
    for (const mask of ["none", "above", "both"]) {
      const { levelled: flat, offsets, faults } = levelled([frame], { method: "plane", mask });
      expect(rmsOf(flat.data)).toBeLessThan(3e-7); // of the frame's 32 bits
      expect(offsets.mean_removed[0]).toBeCloseTo(mean, 6);
      expect(offsets.tilt_x[0] * PIXEL_m).toBeCloseTo(x, 7);
      expect(offsets.tilt_y[0] * PIXEL_m).toBeCloseTo(y, 7);
      expect([...curveAt(offsets.line_offsets, 0)]).toEqual(Array.from({ length: ROWS }, () => 0));
      expect(faults).toEqual([]);
    }
  });

  test.each(["lines-median-of-differences", "lines-median", "plane-and-lines"])("%s", (method) => {
    const { frame, mean, x, y, lines } = made(2);
    const { levelled: flat, offsets } = levelled([frame], { method });
    const v = Float64Array.from(lines, (_, r) => r - (ROWS - 1) / 2);
    const slope = v.reduce((sum, k, r) => sum + k * lines[r]!, 0) / v.reduce((sum, k) => sum + k * k, 0);
    const rest = lines.map((line, r) => line - meanOf(lines) - slope * v[r]!);
    curveAt(offsets.line_offsets, 0).forEach((line, r) => expect(line).toBeCloseTo(rest[r]!, 5));
    expect(offsets.mean_removed[0]).toBeCloseTo(mean + meanOf(lines), 5);
    expect(offsets.tilt_y[0] * PIXEL_m).toBeCloseTo(y + slope, 6);
    const left = method === "plane-and-lines" ? 0 : x;
    const off = Array.from(flat.data as Float32Array, (z, i) => z - left * ((i % COLS) - (COLS - 1) / 2));
    expect(rmsOf(off)).toBeLessThan(1e-5);
    expect(offsets.tilt_x[0] * PIXEL_m).toEqual(left === 0 ? expect.closeTo(x, 6) : NaN);
  });

  test("slope: keep leaves the slope along y in the frame, and says nothing of it", () => {
    const { frame, y } = made(3, { jumps: 0 });
    const { levelled: flat, offsets } = levelled([frame], { slope: "keep" });
    const column = Array.from({ length: ROWS }, (_, r) => flat.data[r * COLS]);
    expect((column.at(-1)! - column[0]!) / (ROWS - 1)).toBeCloseTo(y, 6);
    expect(offsets.tilt_y[0]).toBeNaN();
    expect(rmsOf(curveAt(offsets.line_offsets, 0))).toBeLessThan(1e-6);
  });

  test("a polynomial of its own order", () => {
    const next = random(4);
    const basis = basisOf(ROWS, COLS, 5, 5);
    const wanted = Float64Array.from(basis.terms, () => gaussian(next));
    const along = new Float64Array(COLS);
    const frame = new Float32Array(ROWS * COLS);
    for (let r = 0; r < ROWS; r++) {
      evaluateRow(basis, wanted, r, along);
      frame.set(along, r * COLS);
    }
    const { offsets } = levelled([frame], { method: "polynomial", order_x: 5, order_y: 5, mask: "none" });
    curveAt(offsets.coefficients, 0).forEach((a, s) => expect(a).toBeCloseTo(wanted[s]!, 5));
    expect(curveAt(offsets.coefficients, 0).length).toBe(21);
  });
});

test("levelled and what was removed make the frame again, whatever the method and the frame", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom(...METHODS),
      fc.constantFrom("above", "below", "both", "none"),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
      (seed, method, mask, order_x, order_y) => {
        const next = random(seed);
        const frame = picture(COLS, ROWS, (c, r) => (next() < 0.05 ? NaN : 20 + next() + (next() < 0.2 ? 9 : 0) + 0.1 * r + 0.01 * c)); // prettier-ignore
        const { levelled: flat, offsets } = levelled([frame], { method, mask, order_x, order_y });
        const basis = basisFor(ROWS, COLS, { method, orderX: order_x, orderY: order_y } as How);
        const lines = curveAt(offsets.line_offsets, 0);
        const along = new Float64Array(COLS);
        for (let r = 0, i = 0; r < ROWS; r++) {
          evaluateRow(basis, curveAt(offsets.coefficients, 0), r, along);
          for (let c = 0; c < COLS; c++, i++) {
            const again = flat.data[i] + along[c]! + lines[r]!;
            if (Number.isNaN(frame[i])) expect(flat.data[i]).toBeNaN();
            else expect(Math.abs(again - frame[i]!)).toBeLessThan(2e-6); // the rounding of 32 bits at 20
          }
        }
      },
    ),
    { seed: 5, numRuns: 30 },
  );
});

describe("tall grains do not bend it", () => {
  // Noise 1, grains of 5 to 15, tilt of up to 20 over the frame, jumps of 3 from line to line; fresh seeds.
  const [rows, cols] = [256, 256];
  function error(method: How["method"], count: number, seeds: readonly number[]): { covered: number; rms: number } {
    const how: How = { method, slope: "remove", mask: "above", orderX: 1, orderY: 1 };
    const basis = basisFor(rows, cols, how);
    const along = new Float64Array(cols);
    let [square, covered] = [0, 0];
    for (const seed of seeds) {
      const next = random(seed);
      const [x, y] = [20 * (2 * next() - 1), 20 * (2 * next() - 1)];
      const jumps = Float64Array.from({ length: rows }, () => (method === "plane" ? 0 : 3 * gaussian(next)));
      const { heights, covered: where } = grains(rows, cols, { count, height: 10, next });
      covered += meanOf(where) / seeds.length;
      const truth = Float64Array.from(heights, (_, i) =>
        5 + x * ((i % cols) / cols - 0.5) * (method.startsWith("lines") ? 0 : 1) + y * (Math.floor(i / cols) / rows - 0.5) + jumps[Math.floor(i / cols)]!);
      const frame = heights.map((h, i) => h + truth[i]! + gaussian(next) + (method.startsWith("lines") ? x * ((i % cols) / cols - 0.5) : 0));
      const found = backgroundOf(frame, basis, how)!;
      const off = new Float64Array(rows * cols);
      for (let r = 0, i = 0; r < rows; r++) {
        evaluateRow(basis, found.coefficients, r, along);
        for (let c = 0; c < cols; c++, i++) off[i] = along[c]! + found.lines[r]! - truth[i]!;
      }
      square += rmsOf(off, meanOf(off)) ** 2 / seeds.length;
    }
    return { covered, rms: Math.sqrt(square) };
  } // prettier-ignore

  // Measured: 0.018 where a plane is all there is; else lines-median-of-differences 0.42, lines-median 0.11,
  // plane-and-lines 0.11, of which each line's own noise makes 0.09.
  test.each([
    ["plane", 0.04],
    ["lines-median-of-differences", 0.6],
    ["lines-median", 0.15],
    ["plane-and-lines", 0.15],
  ] as const)(
    "%s, a quarter of the frame covered: the background is right to %f of the noise",
    (method, most) => {
      const { covered, rms } = error(method, 55, [301, 302, 303]);
      expect(covered).toBeGreaterThan(0.2);
      expect(rms).toBeLessThan(most);
    },
  );

  test("half of the frame covered: a plane still", () => {
    const { covered, rms } = error("plane", 140, [501, 502, 503]);
    expect(covered).toBeGreaterThan(0.45);
    expect(rms).toBeLessThan(0.12); // measured over ten frames 0.05, the worst 0.10
  });

  test("what grows between the frames is found in mean_removed, less what the grains' feet hide", () => {
    const next = random(11);
    const { heights } = grains(ROWS, COLS, { count: 6, height: 10, next });
    const grown = [0, 1.5, 4].map((film) => heights.map((h) => h + film + 0.2 * gaussian(next)));
    const { offsets } = levelled(grown, { method: "plane" });
    expect(offsets.mean_removed[1] - offsets.mean_removed[0]).toBeCloseTo(1.5, 1);
    expect(offsets.mean_removed[2] - offsets.mean_removed[0]).toBeCloseTo(4, 1);
    expect(offsets.masked[0]).toBeGreaterThan(15);
  });
});

test.each(["none", "above"] as const)("standard errors of the plane hold for correlated roughness, mask %s: 150 surfaces of 96 × 96 px", (mask) => {
  const how: How = { method: "plane", slope: "remove", mask, orderX: 1, orderY: 1 };
  const basis = basisFor(96, 96, how);
  const next = random(21);
  const within = { mean: 0, x: 0, y: 0 };
  for (let n = 0; n < 150; n++) {
    const { mean, mean_se, riseX, riseX_se, riseY, riseY_se } = backgroundOf(roughness(96, 96, 2, next), basis, how)!;
    if (Math.abs(mean) < mean_se) within.mean++;
    if (Math.abs(riseX) < riseX_se) within.x++;
    if (Math.abs(riseY) < riseY_se) within.y++;
  }
  // 68 % wanted, known to 3.8 % from 150; measured over 300 without a mask 0.66 to 0.69, over 200 with one 0.59 to 0.64.
  for (const count of Object.values(within)) expect(count / 150).toSatisfy((p: number) => p > 0.54 && p < 0.78);
}); // prettier-ignore

test("units and columns go along: potentials, the direction of the scan, its number", () => {
  const { frame } = made(6);
  const columns = { index: Int32Array.of(4), direction: Int32Array.of(1), duration: Float64Array.of(240) };
  const { levelled: flat, offsets } = levelled([frame], {}, { unit: "V", columns });
  expect([flat.index[0], flat.direction[0], flat.duration[0]]).toEqual([4, 1, 240]);
  expect([offsets.index[0], offsets.direction[0], offsets.duration[0]]).toEqual([4, 1, 240]);
  const output = level.output as unknown as (i: unknown, c: unknown) => Record<string, Record<string, { unit: string; type: string }>>; // prettier-ignore
  const fields = output({ images: { data: image("V", { type: "f64" }) } }, {});
  expect([fields["levelled"]!["data"]!.unit, fields["levelled"]!["data"]!.type, fields["offsets"]!["tilt_x"]!.unit]).toEqual(["V", "f64", "V/m"]); // prettier-ignore
  expect(output({ images: { data: image("m") } }, {})["offsets"]!["tilt_x"]!.unit).toBe("1");
  expect(levelled([frame], { method: "plane" }, { metadata: {} }).offsets.tilt_x[0]).toBeNaN();
  expect(levelled([frame], { method: "plane", pixel_size: "2 nm" }, { metadata: {} }).offsets.tilt_x[0]).toBeCloseTo(
    levelled([frame], { method: "plane" }).offsets.tilt_x[0], 6); // prettier-ignore
});

describe("what is missing", () => {
  test("lines without a value are NaN, and the ones behind them are levelled to the last that has any", () => {
    const { frame, lines } = made(7);
    frame.fill(NaN, 0, 2 * COLS);
    frame.fill(NaN, 20 * COLS, 22 * COLS);
    for (let r = 22; r < ROWS; r++) frame[r * COLS + 3] = NaN;
    const { levelled: flat, offsets } = levelled([frame], { method: "plane-and-lines" });
    const found = curveAt(offsets.line_offsets, 0);
    expect([0, 1, 20, 21].map((r) => found[r])).toEqual([NaN, NaN, NaN, NaN]);
    expect(rmsOf(flat.data.filter((z: number) => !Number.isNaN(z)))).toBeLessThan(1e-6);
    expect(flat.data.filter(Number.isNaN).length).toBe(4 * COLS + ROWS - 22);
    const step = (line: ArrayLike<number>): number => line[22]! - line[19]!;
    expect(step(found)).toBeCloseTo(step(lines), 1); // but for the slope of the others
  });

  test("a frame of NaN, or of one pixel, is a row of NaN and a fault; the others stay", () => {
    const { frame } = made(8);
    const nothing = frame.map(() => NaN);
    for (const method of METHODS) {
      const { levelled: flat, offsets, faults } = levelled([frame, nothing, frame], { method });
      expect(flat.time.length).toBe(3);
      expect(Number.isNaN(offsets.mean_removed[1])).toBe(true);
      expect(flat.data.slice(ROWS * COLS, 2 * ROWS * COLS).every(Number.isNaN)).toBe(true);
      expect(flat.data.slice(2 * ROWS * COLS)).toEqual(flat.data.slice(0, ROWS * COLS));
      expect(faults.map(({ what }: { what: string }) => what)).toEqual([
        `frame is not levelled: the pixels with a value are too few for method ${method}`,
      ]);
    }
    const speck = nothing.slice();
    speck[77] = 3;
    expect(levelled([speck], { method: "plane" }).faults.length).toBe(1);
  });

  test("frames of one line or one column", () => {
    const row = Float32Array.from({ length: COLS }, (_, c) => 3 + 0.1 * c);
    const one = levelled([row], { method: "plane" }, { shape: [1, COLS] });
    expect(rmsOf(one.levelled.data)).toBeLessThan(1e-6);
    expect([one.offsets.tilt_x[0] * PIXEL_m, one.offsets.tilt_y[0]]).toEqual([expect.closeTo(0.1, 6), NaN]);
    const column = levelled([row], {}, { shape: [COLS, 1] });
    expect(rmsOf(column.levelled.data)).toBeLessThan(1e-6);
    expect(column.faults).toEqual([]);
  });
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const list = Array.from({ length: 6 }, (_, i) => made(30 + i, { noise: 0.3 }).frame);
  list[2]!.fill(NaN, 0, 500);
  const columns = { index: Int32Array.from(list, (_, i) => i) };
  const whole = levelled(list, { method: "plane-and-lines" }, { columns });
  for (const rows of [1, 2, 4])
    expect(levelled(list, { method: "plane-and-lines" }, { columns, rows, reloadAfter: [1, 2] })).toEqual(
      whole,
    );
  expect(levelled([]).levelled.time.length).toBe(0);
});

test("wrong wiring and options stop the start", () => {
  const { frame } = made(9);
  expect(() => levelled([frame], { method: "plane", slope: "keep" })).toThrow("slope: keep is of methods with lines; plane has none"); // prettier-ignore
  expect(() => levelled([frame], { order_x: 6 })).toThrow(/order_x/);
  expect(() =>
    feed(level, { images: { time: BigInt64Array.of(0n), height: frame } } as never, {
      schema: { images: { height: image("m", { shape: [ROWS, COLS] }) } },
    }),
  ).toThrow("images needs a column data of images; it has height");
});
