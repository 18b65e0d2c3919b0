import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { region } from "../../../operators/image/region.ts";
import { code, image, type Fields } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { gaussian, picture, random, SECOND } from "./pictures.ts";

const [COLS, ROWS] = [12, 9];
const shape = { shape: [ROWS, COLS] };

function measured(pictures: readonly Float32Array[], regions: readonly string[], { columns = {}, variance, options = {}, ...how }: {
  columns?: Record<string, unknown>; variance?: { time: BigInt64Array; data: Float32Array; slice?: Int32Array };
  options?: Record<string, unknown>; rows?: number; reloadAfter?: number[];
  actions?: { at: bigint; changes: Record<string, unknown> }[];
} = {}) {
  const data = new Float32Array(pictures.length * ROWS * COLS);
  pictures.forEach((p, i) => data.set(p, i * ROWS * COLS));
  const images = { time: BigInt64Array.from(pictures, (_, i) => BigInt(i) * SECOND), data, ...columns };
  const fields: Fields = { data: image("V", shape), slice: code(), variance: image("V2", shape), other: image("nm", shape) };
  const schema: Record<string, Fields> = { images: fields, variance: { data: image("V2", shape), slice: code() } };
  return feed(region, { images, ...(variance && { variance }) } as never, { schema, with: { regions, ...options }, ...how });
} // prettier-ignore

const ramp = picture(COLS, ROWS, (x, y) => x + 100 * y);

test("mean and spread of a rectangle and a circle, by hand", () => {
  const { regions, faults } = measured([ramp], ["0,0,2,2", "dot = circle 5,4,1", "11,8,12,9"]);
  // 0, 1, 100, 101; the cross around 405
  expect([...regions.name]).toEqual(["r0", "dot", "r2"]);
  expect([...regions.region]).toEqual([0, 1, 2]);
  expect([...regions.mean]).toEqual([50.5, 405, 811]);
  expect([...regions.pixels]).toEqual([4, 5, 1]);
  const sd = [Math.sqrt((4 * 50 ** 2 + 4 * 0.25) / 3), Math.sqrt((2 + 2 * 100 ** 2) / 4)];
  expect([...regions.sd]).toEqual([...sd.map((s) => expect.closeTo(s, 9)), NaN]);
  expect([...regions.mean_se]).toEqual([expect.closeTo(sd[0]! / 2, 9), expect.closeTo(sd[1]! / Math.sqrt(5), 9), NaN]); // prettier-ignore
  expect([...regions.se_of]).toEqual([1, 1, 1]);
  expect(faults).toEqual([]);
});

test("pixels without a value are left out and counted", () => {
  const p = ramp.slice();
  p[1] = NaN;
  p[COLS] = -Infinity;
  const { regions } = measured([p, new Float32Array(ROWS * COLS).fill(NaN)], ["0,0,2,2"]);
  expect([...regions.mean]).toEqual([50.5, NaN]);
  expect([...regions.pixels]).toEqual([2, 0]);
  expect([...regions.missing]).toEqual([2, 4]);
  expect([...regions.mean_se]).toEqual([expect.closeTo(50.5, 9), NaN]);
});

describe("the error of the mean", () => {
  test("is that of many draws of white noise, from the spread and from the variance", () => {
    const next = random(4);
    const pictures = Array.from({ length: 300 }, () => picture(COLS, ROWS, () => 5 + 0.3 * gaussian(next)));
    const variance = new Float32Array(ROWS * COLS).fill(0.09);
    const spread = measured(pictures, ["1,1,7,8"]).regions;
    const known = measured(pictures, ["1,1,7,8"], {
      variance: { time: BigInt64Array.of(0n), data: variance },
    }).regions;
    const mean = spread.mean.reduce((a: number, b: number) => a + b) / 300;
    const sd = Math.sqrt(spread.mean.reduce((a: number, b: number) => a + (b - mean) ** 2, 0) / 299);
    expect(known.mean_se[0]).toBeCloseTo(0.3 / Math.sqrt(42), 6);
    expect(sd / known.mean_se[0]).toBeCloseTo(1, 0.9); // 300 draws know it to 4 %
    expect(spread.mean_se.reduce((a: number, b: number) => a + b) / 300 / known.mean_se[0]).toBeCloseTo(1, 1);
    expect([...new Set(known.se_of)]).toEqual([0]);
    expect(known.sd).toEqual(spread.sd);
  });

  test("from the newest variance of the same slice, that is not later; before it from the spread", () => {
    const one = (v: number): Float32Array => new Float32Array(ROWS * COLS).fill(v);
    const { regions } = measured([ramp, ramp, ramp, ramp, ramp], ["0,0,2,2"], {
      columns: { slice: Int32Array.of(7, 7, 8, 7, 8) },
      variance: {
        time: BigInt64Array.of(SECOND, 2n * SECOND + 1n, 3n * SECOND), slice: Int32Array.of(7, 8, 7),
        data: Float32Array.of(...one(4), ...one(9), ...one(16)),
      },
    }); // prettier-ignore
    expect([...regions.se_of]).toEqual([1, 0, 1, 0, 0]);
    expect([...regions.slice]).toEqual([7, 7, 8, 7, 8]);
    expect([regions.mean_se[1], regions.mean_se[3], regions.mean_se[4]]).toEqual([1, 2, 1.5]);
  });

  test("a port in the images' own unit holds standard errors; one in another unit is refused", () => {
    const port = (unit: string, value: number) =>
      feed(region, {
        images: { time: BigInt64Array.of(0n), data: ramp },
        variance: { time: BigInt64Array.of(0n), data: new Float32Array(ROWS * COLS).fill(value) },
      } as never, { schema: { images: { data: image("V", shape) }, variance: { data: image(unit, shape) } }, with: { regions: ["0,0,2,2"] } }).regions;
    expect(port("V", 0.5)).toEqual(port("V2", 0.25));
    expect(() => port("V3", 1)).toThrow("variance is in V3, data in V; wanted its square, or as a standard error the same");
  }); // prettier-ignore

  test("a pixel whose variance is missing makes it missing", () => {
    const variance = new Float32Array(ROWS * COLS).fill(1);
    variance[0] = NaN;
    const { regions } = measured([ramp], ["0,0,2,2", "2,2,4,4"], { columns: { variance } });
    expect([...regions.mean_se]).toEqual([NaN, 0.5]);
  });
});

test("twice the image is twice the mean, its error and its spread", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 11 }),
      fc.integer({ min: 1, max: 8 }),
      (seed, x, y) => {
        const next = random(seed);
        const p = picture(COLS, ROWS, () => next());
        const { regions } = measured([p, p.map((v) => 2 * v)], [`${x - 1},${y - 1},${x + 1},${y + 1}`]);
        expect(regions.mean[1]).toBe(2 * regions.mean[0]);
        expect(regions.mean_se[1]).toBe(2 * regions.mean_se[0]);
        expect(regions.sd[1]).toBe(2 * regions.sd[0]);
      },
    ),
    { seed: 1, numRuns: 40 },
  );
});

test("other columns, in their own unit", () => {
  const other = ramp.map((v) => v * 3);
  const { regions } = measured([ramp], ["0,0,2,2"], { columns: { other }, options: { column: "other" } });
  expect([...regions.mean]).toEqual([151.5]);
  const made = (region.output as (i: unknown, c: unknown) => Record<string, Fields>)(
    { images: { other: image("nm", shape) } }, { regions: ["0,0,1,1"], column: "other" },
  ); // prettier-ignore
  expect(made["regions"]!["mean"]!.unit).toBe("nm");
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const next = random(8);
  const pictures = Array.from({ length: 12 }, () => picture(COLS, ROWS, () => next()));
  const columns = { slice: Int32Array.from(pictures, (_, i) => i % 2) };
  const variance = {
    time: BigInt64Array.from({ length: 5 }, (_, i) => BigInt(2 * i + 1) * SECOND), slice: Int32Array.of(0, 1, 1, 0, 1),
    data: Float32Array.from({ length: 5 * ROWS * COLS }, () => next()),
  }; // prettier-ignore
  const whole = measured(pictures, ["1,1,5,5", "circle 6,4,3"], { columns, variance });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
      (rows, reloadAfter) => {
 expect(measured(pictures, ["1,1,5,5", "circle 6,4,3"], { columns, variance, rows, reloadAfter })).toEqual(whole);
 },
    ),
    { seed: 3, numRuns: 20 },
  ); // prettier-ignore
});

test("wrong options stop the start and say what is allowed", () => {
  const run =
    (regions: readonly string[], options = {}) =>
    () =>
      measured([ramp], regions, { options });
  expect(run(["0,0,13,2"])).toThrow(/regions: "0,0,13,2" reaches beyond the image, which has 12 columns \(x\) and 9 rows \(y\)/); // prettier-ignore
  expect(run(["-1,0,3,2"])).toThrow(/reaches beyond/);
  expect(run(["circle 0,0,1"])).toThrow(/reaches beyond/);
  expect(run(["circle 5,5,-1"])).toThrow(/radius below 0/);
  expect(run(["0,0,1.5,2"])).toThrow(/whole pixels/);
  expect(run(["3,3,3,4"])).toThrow(/is empty/);
  expect(run(["a"])).toThrow(/wanted "x0,y0,x1,y1" or "circle x,y,r" in px/);
  expect(run(["a=0,0,1,1", "a=1,1,2,2"])).toThrow(/two are called a/);
  expect(run([])().regions.time.length).toBe(0);
  expect(run(["0,0,1,1"], { column: "height" })).toThrow(/column: height is not a column of images; there is data/); // prettier-ignore
});

test("a region that is picked while it runs is measured from the next picture on", () => {
  const actions = [{ at: SECOND, changes: { regions: ["spot = 0,0,2,2"] } }, { at: 2n * SECOND, changes: { regions: ["0,0,13,2"] } }]; // prettier-ignore
  const { regions, faults } = measured([ramp, ramp, ramp], [], { actions });
  expect([...regions.name]).toEqual(["spot", "spot"]);
  expect([...regions.time]).toEqual([SECOND, 2n * SECOND]);
  expect(faults.map(({ what }: { what: string }) => what)).toEqual([
    expect.stringMatching(/reaches beyond the image/),
  ]);
});
