import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { heights, horizontal, plane, type Plane } from "../../../operators/tomography/planes.ts";
import { readPlane } from "../../../operators/tomography/read-plane.ts";
import {
  KERNELS,
  rowsFor,
  type KernelOptions,
  type Line,
} from "../../../operators/tomography/slice-kernel.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, psnr } from "./phantom.ts";

const place = (of: Plane, r: number, c: number): [x: number, y: number, z: number] => [
  of.x + c * of.alongX + r * of.downX,
  of.y + c * of.alongY + r * of.downY,
  of.z + r * of.downZ,
];
const near = (...numbers: number[]) => numbers.map((x) => expect.closeTo(x, 9));

test("a plane has its pixels where it says", () => {
  const level = horizontal(7, 5, { pitch: 2, x: 10, y: -3 });
  expect(place(level, 2, 2)).toEqual(near(10, -3, 7));
  expect(place(level, 0, 0)).toEqual(near(6, 1, 7));
  // seen from the front, x to the right and z downwards
  const front = plane([0, 4, 50], [0, -1, 0], { rows: 11, cols: 21 });
  expect(place(front, 5, 10)).toEqual(near(0, 4, 50));
  expect(place(front, 0, 20)).toEqual(near(10, 4, 45));
  // from the right: y to the right
  const side = plane([6, 0, 50], [1, 0, 0], { rows: 11, cols: 21 });
  expect(place(side, 10, 20)).toEqual(near(6, 10, 55));
  // looked at from above it is a slice
  const above = plane([0, 0, 50], [0, 0, -1], { rows: 3, cols: 3 });
  expect(place(above, 0, 0)).toEqual(near(-1, 1, 50));
});

test("all pixels of a plane lie in it, its lines at one height, its steps a pitch long", () => {
  const number = fc.double({ min: -50, max: 50, noNaN: true });
  const direction = fc.tuple(number, number, number).filter((n) => Math.hypot(...n) > 1);
  fc.assert(
    fc.property(fc.tuple(number, number, number), direction, fc.double({ min: 0.1, max: 4, noNaN: true }), (through, normal, pitch) => {
      const of = plane(through, normal, { rows: 7, cols: 9, pitch });
      for (const [r, c] of [[0, 0], [6, 8], [3, 4], [2, 7]] as const) {
        const apart = place(of, r, c).map((x, i) => x - through[i]!);
        const off = apart.reduce((sum, x, i) => sum + x * normal[i]!, 0) / Math.hypot(...normal);
        expect(off).toBeCloseTo(0, 6);
      }
      expect(Math.hypot(of.alongX, of.alongY)).toBeCloseTo(pitch, 9);
      expect(Math.hypot(of.downX, of.downY, of.downZ)).toBeCloseTo(pitch, 9);
      expect(of.downZ).toBeGreaterThanOrEqual(0);
    }),
    { seed: 2, numRuns: 200 },
  ); // prettier-ignore
});

test("planes as people write them", () => {
  const how = { detector: 40, size: 21, pitch: 1 };
  expect(place(readPlane("a", "y=4", how), 0, 10)).toEqual(near(0, 4, 0));
  expect(readPlane("a", " X = -2.5 ", how)).toMatchObject({ rows: 40, cols: 21, x: -2.5 });
  expect(heights(readPlane("a", "z=12.5", how))).toEqual([12.5, 12.5]);
  expect(place(readPlane("a", "through 1,2,20 normal 1, 1, 0.5", how), 10, 10)).toEqual(near(1, 2, 20));
  expect(() => readPlane("a", "w=4", how)).toThrow(/a: w=4 is no plane; wanted x=12, y=0, z=512, or through/);
  expect(() => readPlane("a", "z=40", how)).toThrow(/a lies at row 40; the detector has rows 0 to 39/);
  expect(() => readPlane("a", "through 0,0,3 normal 0,0,0", how)).toThrow(/its normal has no direction/);
});

/** Rows of noise for each detector row. */
const noise = (rows: number, cols: number, seed: number): Float32Array =>
  Float32Array.from({ length: rows * cols }, (_, i) => ((Math.imul((i + 1) * 2654435761, seed * 40503 + 1) >>> 0) / 2 ** 32) * 2 - 1); // prettier-ignore

const anyPlane = (detector: number) =>
  fc.record({
    x: fc.double({ min: -20, max: 20, noNaN: true }), y: fc.double({ min: -20, max: 20, noNaN: true }),
    z: fc.double({ min: 0, max: detector - 1, noNaN: true }),
    normal: fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: -3, max: 3 }))).filter((n) => n.some((x) => x !== 0)),
    rows: fc.integer({ min: 1, max: 40 }), cols: fc.integer({ min: 1, max: 40 }),
    pitch: fc.constantFrom(0.4, 1, 1, 1.7, 3),
  }).map(({ x, y, z, normal, ...size }) => plane([x, y, z], normal as [number, number, number], size)); // prettier-ignore

const anyLine = (cols: number) =>
  fc.record({
    theta_rad: fc.oneof(
      fc.double({ min: -7, max: 7, noNaN: true }),
      fc.integer({ min: -8, max: 8 }).map((k) => (k * Math.PI) / 4),
    ),
    axis: fc.double({ min: 0, max: cols - 1, noNaN: true }),
    shift_y: fc.constantFrom(0, 0, 0.3, -1.6),
    scale: fc.constantFrom(1, 1, 1.03, 0.9),
    terms: fc.array(
      fc.record({
        slot: fc.integer({ min: 0, max: 2 }),
        weight: fc.double({ min: -1, max: 1, noNaN: true }),
        mirrored: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  });

describe("WebAssembly and TypeScript agree", () => {
  test.each([
    ["a parallel beam", undefined],
    ["a fan beam", { distance_px: 90 }],
  ])("on any planes of %s, of a few detector rows or many", (_, fan) => {
    const setups = fc.integer({ min: 2, max: 20 }).chain((detector) =>
      fc.record({
        detector: fc.constant(detector),
        planes: fc.array(anyPlane(detector), { minLength: 1, maxLength: 3 }),
        lines: fc.array(anyLine(33), { minLength: 1, maxLength: 4 }),
      }),
    );
    fc.assert(
      fc.property(setups, ({ detector, planes, lines }) => {
        const detectorRows = rowsFor(planes, detector, 2);
        const given: KernelOptions = {
            planes, detectorRows, cols: 33, window: "ram-lak", padding: "zero", images: 2, middleRow: (detector - 1) / 2, fan,
          }; // prettier-ignore
        const [wasm, twin] = [KERNELS.wasm(given), KERNELS.typescript(given)];
        for (const kernel of [wasm, twin]) {
          for (const slot of [0, 1, 2]) kernel.put(slot, noise(detectorRows.length, 33, slot));
          kernel.add(1, lines as Line[]);
        }
        planes.forEach((_, k) => {
          const other = twin.scaled(1, k, 1).slice();
          const one = wasm.scaled(1, k, 1);
          for (let i = 0; i < other.length; i++) expect(Math.abs(one[i]! - other[i]!)).toBeLessThan(4e-6);
          expect(wasm.scaled(0, k, 1).every((x) => x === 0)).toBe(true);
        });
      }),
      { seed: 4, numRuns: 150 },
    );
  });
});

/** A sample that is another at each height: the phantom, (row + 1) times as dense. */
function scan(rows: number, cols: number, views: number) {
  const data = new Float32Array(views * rows * cols);
  const angles = Array.from({ length: views }, (_, k) => (k * 180) / views);
  angles.forEach((angle, k) => {
    const p = project(cell(cols), angle, cols, (cols - 1) / 2);
    for (let r = 0; r < rows; r++) data.set(p.map((x) => Math.exp(-(r + 1) * 0.2 * x)), (k * rows + r) * cols); // prettier-ignore
  });
  const schema = {
    projections: { ...incremental.input.projections, data: image("1", { shape: [rows, cols] }) },
  };
  const projections = {
    time: BigInt64Array.from(angles, (_, k) => BigInt(k) * 1_000_000_000n),
    data,
    rotation_angle: Float64Array.from(angles),
  };
  return (options: Record<string, unknown>) => feed(incremental, { projections }, { schema, with: { every: views, ...options } }); // prettier-ignore
}

describe("pictures of a sample", () => {
  const [rows, cols] = [12, 41];
  const made = scan(rows, cols, 60);
  const whole = made({ slices: Array.from({ length: rows }, (_, r) => r) });
  const first = whole.slices.data.length - rows * cols * cols;
  /** The attenuation of a pixel of the slices. */
  const at = (x: number, y: number, z: number): number =>
    whole.slices.data[first + (z * cols + 20 - y) * cols + 20 + x]!;

  test("three orthogonal planes cut the slices where they say", () => {
    const fed = made({ slices: ["z=5"], planes: { front: "y=3", side: "x=-7" } });
    const [front, side] = [fed.front.data.slice(-rows * cols), fed.side.data.slice(-rows * cols)];
    const peak = Math.max(...fed.slices.data);
    for (let z = 0; z < rows; z++) {
      for (let c = 0; c < cols; c++) {
        expect(Math.abs(front[z * cols + c] - at(c - 20, 3, z))).toBeLessThan(2e-6 * peak);
        expect(Math.abs(side[z * cols + c] - at(-7, c - 20, z))).toBeLessThan(2e-6 * peak);
      }
    }
    expect(fed.front.coverage.at(-1)).toBeCloseTo(180, 9);
    expect(Object.keys(fed.front)).not.toContain("slice");
  });

  test("a tilted plane lies between the slices", () => {
    const fed = made({ planes: { cut: "through 0,0,5.5 normal 0,-1,-1" }, size: 11 });
    const cut = fed.cut.data.slice(-121);
    const [of, peak] = [plane([0, 0, 5.5], [0, -1, -1], { rows: 11, cols: 11 }), Math.max(...cut)];
    for (let r = 0; r < 11; r++) {
      const [, y, z] = place(of, r, 0);
      const [low, part] = [Math.floor(z), z - Math.floor(z)];
      for (let c = 0; c < 11; c++) {
        // between heights straight; between pixels the slices are only sampled, so a coarse bound
        const [y0, y1] = [Math.floor(y), Math.ceil(y)];
        const mix = (z: number): number => (at(c - 5, y0, z) * (y1 - y || 1) + at(c - 5, y1, z) * (y - y0 || 0)) / 1;
        const wanted = (1 - part) * mix(low) + part * mix(Math.min(rows - 1, low + 1));
        expect(Math.abs(cut[r * 11 + c] - wanted) / peak).toBeLessThan(0.15);
      }
    }
  }); // prettier-ignore

  test("a region of interest, finer or at the same pitch, shows the same pixels", () => {
    const same = made({ slices: [5], size: 9, centre_x: 6, centre_y: -4 }).slices.data.slice(-81);
    for (let r = 0; r < 9; r++) for (let c = 0; c < 9; c++) expect(same[r * 9 + c]).toBeCloseTo(at(6 + c - 4, -4 + 4 - r, 5), 6); // prettier-ignore
    const fine = made({ slices: [5], size: 17, pitch: 0.5, centre_x: 6, centre_y: -4 }).slices.data.slice(-289); // prettier-ignore
    for (let r = 0; r < 9; r++) for (let c = 0; c < 9; c++) expect(fine[2 * r * 17 + 2 * c]).toBeCloseTo(same[r * 9 + c], 6); // prettier-ignore
  });

  test("coarse pixels see what lies between them", () => {
    const coarse = made({ slices: [5], size: 13, pitch: 3 }).slices.data.slice(-169);
    const means = Float64Array.from({ length: 169 }, (_, i) => {
      const [x, y] = [3 * ((i % 13) - 6), 3 * (6 - Math.floor(i / 13))];
      let sum = 0;
      for (const dx of [-1, 0, 1]) for (const dy of [-1, 0, 1]) sum += at(x + dx, y + dy, 5);
      return sum / 9;
    });
    expect(psnr(coarse, means)).toBeGreaterThan(28);
  });

  test("what cannot be made is refused", () => {
    expect(() => made({ planes: { Front: "y=0" } })).toThrow(/Front cannot name a stream/);
    expect(() => made({ planes: { front: "y=0" }, slices: [1, 2] })).toThrow(/one horizontal slice at most/);
    expect(() => made({ planes: { front: "z=12" } })).toThrow(/row 12; the detector has rows 0 to 11/);
  });
});
