import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { grains } from "../../../operators/image/grains.ts";
import { watershed } from "../../../operators/image/watershed.ts";
import { code, image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { normal, random } from "../drift/scene.ts";

const [ROWS, COLS] = [80, 100];
const PIXEL_M = 5e-9;
interface Grain {
  x: number;
  y: number;
  /** Radius of its foot, px, and height, m: a paraboloid. */
  r: number;
  h: number;
}
const NOISE_M = 0.1e-9;

function frame(list: readonly Grain[], seed: number, noise = NOISE_M): Float32Array {
  const uniform = random(seed);
  const data = new Float32Array(ROWS * COLS);
  for (let y = 0; y < ROWS; y++) {
    for (let x = 0; x < COLS; x++) {
      let z = 0;
      for (const g of list) z = Math.max(z, g.h * (1 - ((x - g.x) ** 2 + (y - g.y) ** 2) / g.r ** 2));
      data[y * COLS + x] = z + noise * normal(uniform);
    }
  }
  return data;
}

function framesOf(...frames: Float32Array[]) {
  const data = new Float32Array(frames.length * ROWS * COLS);
  frames.forEach((one, i) => data.set(one, i * ROWS * COLS));
  return { time: BigInt64Array.from(frames, (_, i) => BigInt(i) * 60_000_000_000n), data };
}
const FIELDS = { images: { data: image("m", { shape: [ROWS, COLS] }), direction: code() } };
const METADATA = { images: { pixel_size_x: String(PIXEL_M), pixel_size_y: String(PIXEL_M) } };
// oxlint-disable-next-line no-explicit-any
const run = (images: any, more: Record<string, unknown> = {}) =>
  feed(grains, { images }, { schema: FIELDS, metadata: METADATA, with: { threshold: "1 nm" }, ...more });

const A: Grain = { x: 25, y: 30, r: 12, h: 20e-9 };
const B: Grain = { x: 70, y: 50, r: 8, h: 10e-9 };
/** Above the threshold t: a cap of the paraboloid. */
const areaAbove = ({ r, h }: Grain, t = 1e-9): number => Math.PI * r * r * (1 - t / h) * PIXEL_M ** 2;
const volumeAbove = ({ r, h }: Grain, t = 1e-9): number =>
  ((Math.PI * r * r * h) / 2) * (1 - (t / h) ** 2) * PIXEL_M ** 2;

describe("grains that are known", () => {
  test("area, height, volume and place, each within its errors", () => {
    const { grains: found, frames } = run(framesOf(frame([A, B], 1)));
    expect([...found.id]).toEqual([0, 1]);
    for (const [i, g] of [A, B].entries()) {
      expect(Math.abs(found.area[i] - areaAbove(g))).toBeLessThan(4 * found.area_se[i]);
      expect(found.area_se[i]).toBeLessThan(0.03 * found.area[i]);
      // Smoothing by a pixel lowers the summit by h σ²·2/r².
      expect(Math.abs(found.height[i] - (g.h - (2 * g.h) / g.r ** 2))).toBeLessThan(5 * found.height_se[i]);
      expect(Math.abs(found.volume[i] / volumeAbove(g) - 1)).toBeLessThan(0.01);
      expect(found.x_px[i]).toBeCloseTo(g.x, 0);
      expect(found.y[i] / PIXEL_M).toBeCloseTo(g.y, 0);
    }
    expect(frames.coverage[0]).toBeCloseTo((areaAbove(A) + areaAbove(B)) / (ROWS * COLS * PIXEL_M ** 2), 2);
    expect(frames.noise[0] / NOISE_M).toBeCloseTo(1, 0);
    expect(Math.abs(frames.ground[0])).toBeLessThan(5e-12);
  });

  test("their errors of the area cover over places between pixels", () => {
    let [within, n] = [0, 0];
    const uniform = random(9);
    for (let draw = 0; draw < 60; draw++) {
      const g = { ...A, x: 40 + uniform(), y: 40 + uniform(), r: 9 + 4 * uniform() };
      const { grains: found } = run(framesOf(frame([g], 500 + draw)));
      if (Math.abs(found.area[0] - areaAbove(g)) < 2 * found.area_se[0]) within++;
      n++;
    }
    expect(within / n).toBeGreaterThan(0.9);
  });

  test("the threshold is found where two classes are seen, and held", () => {
    // A fifth of the frame at 20 nm, all of it by 10 nm higher afterwards.
    const plateau = (lift: number): Float32Array => frame([], 3).map((z, i) => z + lift + (i % COLS < 20 ? 20e-9 : 0));
    const { frames } = run(framesOf(plateau(0), plateau(5e-9)), { with: {} });
    expect(frames.threshold[0]).toBeGreaterThan(2e-9);
    expect(frames.threshold[0]).toBeLessThan(18e-9);
    expect(frames.threshold[1]).toBe(frames.threshold[0]);
  }); // prettier-ignore
});

describe("grains that touch", () => {
  const pair = [{ ...A, x: 40 }, { ...A, x: 56, h: 15e-9 }]; // prettier-ignore

  test("are parted along their valley, and are one where their summits need more prominence", () => {
    expect([...run(framesOf(frame(pair, 2))).grains.id]).toHaveLength(2);
    const one = run(framesOf(frame(pair, 2)), { with: { threshold: "1 nm", min_prominence: "14 nm" } });
    expect([...one.grains.id]).toHaveLength(1);
  });

  test("noise does not split a grain", () => {
    expect([...run(framesOf(frame([A, B], 4, 0.5e-9))).grains.id]).toHaveLength(2);
  });

  test("every pixel of the mask belongs to one summit, whatever the picture", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 48, maxLength: 48 }),
        fc.integer({ min: 0, max: 5 }),
        (values, prominence) => {
          const heights = Float64Array.from(values);
          const mask = Uint8Array.from(values, (z) => (z > 2 ? 1 : 0));
          const { labels, count } = watershed(heights, mask, 6, 8, prominence);
          expect([...labels].every((label, i) => label >= 0 === (mask[i] === 1))).toBe(true);
          expect(new Set([...labels].filter((label) => label >= 0)).size).toBe(count);
        },
      ),
      { seed: 2, numRuns: 300 },
    );
  });
});

describe("over frames", () => {
  test("a grain that grows and moves keeps its number; what moved is said", () => {
    const grown = (i: number): Grain => ({ x: 25 + 2 * i, y: 30 - i, r: 8 + i, h: 10e-9 + i * 2e-9 });
    const { grains: found, events } = run(framesOf(...[0, 1, 2, 3].map((i) => frame([grown(i), B], 20 + i))));
    const own = [...found.id.keys()].filter((i) => found.id[i] === found.id[0]);
    expect(own).toHaveLength(4);
    expect(found.dx[own[0]!]).toBeNaN();
    for (const i of own.slice(1)) {
      expect(found.dx_px[i]).toBeCloseTo(2, 0);
      expect(found.dy[i] / PIXEL_M).toBeCloseTo(-1, 0);
    }
    expect(found.volume[own[3]!]).toBeGreaterThan(2 * found.volume[own[0]!]);
    expect([...events.event]).toEqual([0, 0]);
  });

  test("two that merge, one that vanishes, one that appears", () => {
    const both = [{ ...A, x: 40 }, { ...A, x: 62 }]; // prettier-ignore
    const far = { ...B, x: 85, y: 65 };
    const one = [{ x: 51, y: 30, r: 24, h: 30e-9 }];
    const { events, frames } = run(
      framesOf(frame([...both, far], 30), frame(one, 31), frame([...one, far], 32)),
    );
    expect([...events.event].sort()).toEqual([0, 0, 0, 0, 2, 3]);
    expect([...frames.number]).toEqual([3, 1, 2]);
  });

  test("trace and retrace are two series", () => {
    const images = { ...framesOf(frame([A], 1), frame([B], 2), frame([A], 3)), direction: Int32Array.of(0, 1, 0) };
    const { grains: found, events } = run(images);
    expect([...found.id]).toEqual([0, 1, 0]);
    expect([...events.direction]).toEqual([0, 1]);
  }); // prettier-ignore
});

test("a grain at the rim, or at the edge of where one looks, is cut", () => {
  const rim = { ...A, x: 3 };
  expect([...run(framesOf(frame([rim, B], 6))).grains.cut]).toEqual([1, 0]);
  const within = { threshold: "1 nm", within: "65,0,100,80" };
  expect([...run(framesOf(frame([rim, B], 6)), { with: within }).grains.cut]).toEqual([1]);
});

describe("frames without grains say why", () => {
  test.each([
    ["NaN all over", new Float32Array(ROWS * COLS).fill(NaN), 1],
    ["flat, so that no threshold is found", frame([], 7), 2],
  ])("%s", (_, data, why) => {
    const { frames, faults, grains: found } = run(framesOf(data), { with: {} });
    expect([...frames.valid]).toEqual([why]);
    expect(frames.coverage[0]).toBeNaN();
    expect(found.time).toHaveLength(0);
    expect(faults).toHaveLength(1);
  });

  test("a given threshold that nothing reaches is a count of 0", () => {
    const { frames } = run(framesOf(frame([], 7)), { with: { threshold: "1 um" } });
    expect([frames.number[0], frames.coverage[0], frames.valid[0]]).toEqual([0, 0, 0]);
  });
});

test("pixels of NaN are not grains, and lines of it do not spread", () => {
  const data = frame([A, B], 8);
  data.fill(NaN, 28 * COLS, 30 * COLS);
  const { grains: found, frames } = run(framesOf(data));
  expect(frames.pixels[0]).toBe((ROWS - 2) * COLS);
  expect(found.area[0] + (found.id.length > 2 ? found.area[1] : 0)).toBeLessThan(areaAbove(A));
});

test("without a pixel size there are pixels, and no metres", () => {
  const { grains: found } = run(framesOf(frame([A], 1)), { metadata: {} });
  expect(found.area[0]).toBeNaN();
  expect(found.area_px[0] * PIXEL_M ** 2).toBeCloseTo(areaAbove(A), 15);
});

test("the same bits however frames are cut, saved and loaded; no frames, nothing", () => {
  const images = framesOf(...[0, 1, 2, 3, 4].map((i) => frame([{ ...A, x: 25 + i }, B], 40 + i)));
  const whole = run(images);
  for (const rows of [1, 2]) expect(run(images, { rows, reloadAfter: [1, 2] })).toEqual(whole);
  expect(run({ time: new BigInt64Array(0), data: new Float32Array(0) }).frames.time).toHaveLength(0);
});
