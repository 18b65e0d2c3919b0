import fc from "fast-check";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { segment } from "../../../operators/image/segment.ts";
import { code, image, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { floodFill, gaussian, picture, random, SECOND } from "./pictures.ts";

const SOLID = 0.03;

interface Taken {
  readonly cols: number;
  readonly rows: number;
  readonly pictures: readonly Float32Array[];
  /** Detector row of each picture; of those of one time, `times` says which. */
  readonly slice?: readonly number[];
  readonly times?: readonly number[];
  readonly columns?: Record<string, Float64Array | Float32Array>;
  readonly variance?: Float32Array;
}

function segmented({ cols, rows, pictures, slice, times, columns = {}, variance }: Taken, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) {
  const data = new Float32Array(pictures.length * rows * cols);
  pictures.forEach((p, i) => data.set(p, i * rows * cols));
  const time = BigInt64Array.from(pictures, (_, i) => BigInt(times?.[i] ?? i) * SECOND);
  const shape = { shape: [rows, cols] };
  const fields = {
    ...segment.input.slices, data: image("1/{px}", shape), variance: image("1/{px}.1/{px}", shape), slice: code(),
  };
  const slices = { time, data, ...(slice && { slice: Int32Array.from(slice) }), ...columns };
  const inputs = { slices, ...(variance && { variance: { time: time.slice(0, 1), variance } }) };
  return feed(segment, inputs, {
    schema: { slices: fields, variance: { variance: image("1/{px}.1/{px}", shape) } }, with: { min_size: 1, ...options }, ...how,
  });
} // prettier-ignore

/** Solid with round holes. */
const holes = (cols: number, rows: number, ...discs: [x: number, y: number, r: number][]): Float32Array =>
  picture(cols, rows, (x, y) => (discs.some(([cx, cy, r]) => Math.hypot(x - cx, y - cy) <= r) ? 0 : SOLID));
const inDisc = (r: number): number =>
  picture(2 * r + 1, 2 * r + 1, (x, y) => (Math.hypot(x - r, y - r) <= r ? 1 : 0)).reduce((a, b) => a + b);

describe("porosity", () => {
  test("counts the pixels, exactly", () => {
    const fed = segmented({
      cols: 64,
      rows: 48,
      pictures: [holes(64, 48, [20, 20, 6], [45.5, 30, 9], [3, 3, 0])],
    });
    const n = inDisc(6) + 1 + picture(64, 48, (x, y) => (Math.hypot(x - 45.5, y - 30) <= 9 ? 1 : 0)).reduce((a, b) => a + b); // prettier-ignore
    const { porosity, bubbles, objects } = fed;
    expect(porosity.area_px[0]).toBe(n);
    expect(porosity.fraction[0]).toBe(n / (64 * 48));
    expect([porosity.fraction_low[0], porosity.fraction_high[0]]).toEqual([n / 3072, n / 3072]);
    expect(porosity.threshold[0]).toBeCloseTo(SOLID / 2, 3);
    expect(porosity.pixels[0]).toBe(3072);
    expect(bubbles.number[0]).toBe(3);
    expect(bubbles.volume_px[0]).toBe(n);
    expect([bubbles.largest_x[0], bubbles.largest_y[0], bubbles.largest_z[0]]).toEqual([45.5, 30, 0]);
    expect([...objects.x]).toEqual([3, 20, 45.5].map((x) => expect.closeTo(x, 9)));
    expect([...objects.id]).toEqual([0, 1, 2]);
    expect(fed.faults).toEqual([]);
  });

  test("the phase above the threshold is the rest", () => {
    const pictures = [holes(40, 40, [20, 20, 6])];
    const below = segmented({ cols: 40, rows: 40, pictures }).porosity;
    const above = segmented({ cols: 40, rows: 40, pictures }, { select: "above" }).porosity;
    expect(below.area_px[0] + above.area_px[0]).toBe(1600);
    // at the threshold a pixel is above it
    const at = segmented(
      { cols: 2, rows: 1, pictures: [Float32Array.of(0.5, 0.25)] },
      { threshold: "0.5 1/{px}" },
    );
    expect([...at.mask.data]).toEqual([0, 1]);
  });

  test("pixels without a value, beyond the radius, or not within the place never count", () => {
    const p = holes(41, 41, [20, 20, 6], [4, 4, 4]);
    p[20 * 41 + 20] = NaN;
    p[20 * 41 + 21] = Infinity;
    const columns = { radius: Float64Array.of(15) };
    const round = segmented({ cols: 41, rows: 41, pictures: [p], columns });
    expect(round.porosity.area_px[0]).toBe(inDisc(6) - 2);
    expect(round.porosity.pixels[0]).toBe(inDisc(15) - 2);
    expect(round.porosity.missing[0]).toBe(2);
    expect(round.mask.data.filter((m: number) => m === 255).length).toBe(41 * 41 - inDisc(15) + 2);
    expect(segmented({ cols: 41, rows: 41, pictures: [p], columns }, { radius: Infinity }).bubbles.number[0]).toBe(2);
    const place = segmented({ cols: 41, rows: 41, pictures: [p], columns }, { within: "14,14,21,30" }).porosity;
    expect(place.pixels[0]).toBe(7 * 16 - 1);
    expect(segmented({ cols: 41, rows: 41, pictures: [p] }, { within: "circle 4,4,4" , threshold: "0.01 1/{px}"}).porosity.area_px[0]).toBe(inDisc(4));
  }); // prettier-ignore

  test("the radius is about the axis of rotation, in the detector's pixels", () => {
    const columns = { radius: Float64Array.of(8) };
    const count = (metadata: Record<string, string>): [number, number] => {
      const fed = segmented({ cols: 41, rows: 31, pictures: [holes(41, 31, [24, 13, 1])], columns }, { threshold: "0.01 1/{px}" }, { metadata: { slices: metadata } });
      return [fed.porosity.pixels[0], fed.porosity.area_px[0]];
    };
    expect(count({})).toEqual([inDisc(8), 5]);
    // pixels twice as far apart; the middle 8 px to the left and 4 px below the axis: 4 columns and 2 rows of the picture
    expect(count({ pitch: "2", centre_x: "-8", centre_y: "4" })).toEqual([inDisc(4), 2]);
    expect(count({ pitch: "2", centre_x: "-8", centre_y: "-4" })).toEqual([inDisc(4), 5]);
    expect(count({ plane: "y=0" })[0]).toBe(41 * 31);
  }); // prettier-ignore

  test("in m² and m³ where the pixel size at the sample is known", () => {
    const taken = { cols: 40, rows: 40, pictures: [holes(40, 40, [20, 20, 6])] };
    const area = (metadata: Record<string, string>): number[] => {
      const fed = segmented(taken, {}, { metadata: { slices: metadata } });
      return [fed.porosity.area[0] / inDisc(6), fed.bubbles.volume[0] / inDisc(6), fed.objects.volume[0] / inDisc(6)];
    };
    const close = (...x: number[]): unknown[] => x.map((v) => expect.closeTo(v, 24));
    expect(area({ sample_pixel_size_x: "2e-6", sample_pixel_size_y: "3e-6" })).toEqual(close(4e-12, 12e-18, 12e-18));
    expect(area({ pixel_size_x: "2e-5", pixel_size_y: "2e-5", magnification: "10" })).toEqual(close(4e-12, 8e-18, 8e-18));
    // what tomography/incremental says of pixels three times as far apart; slices stay one row apart
    expect(area({ sample_pixel_size_x: "6e-6", sample_pixel_size_y: "9e-6", pitch: "3" })).toEqual(close(36e-12, 108e-18, 108e-18));
    expect(area({ pixel_size_x: "2e-6", pixel_size_y: "2e-6", geometry: "cone" })).toEqual([NaN, NaN, NaN]);
    expect(area({})).toEqual([NaN, NaN, NaN]);
  }); // prettier-ignore
});

describe("its error", () => {
  // Edges as a detector sees them: pixels that both share; noise of 0.005 against a step of 0.03.
  const soft = (next: () => number, sd: number): Float32Array =>
    picture(96, 96, (x, y) => {
      const inside = Math.min(1, Math.max(0, 0.5 + (25 - Math.hypot(x - 48, y - 47)) / 4));
      return SOLID * (1 - inside) + sd * gaussian(next);
    });

  test.each([0.003, 0.006, 0.009])("is that of many draws of the noise (%d 1/px)", (sd) => {
    const next = random(7);
    const pictures = Array.from({ length: 60 }, () => soft(next, sd));
    const { porosity } = segmented({ cols: 96, rows: 96, pictures }, { threshold: "0.015 1/{px}" });
    const mean = porosity.fraction.reduce((a: number, b: number) => a + b) / 60;
    const spread = Math.sqrt(porosity.fraction.reduce((a: number, b: number) => a + (b - mean) ** 2, 0) / 59);
    const se = porosity.fraction_se.reduce((a: number, b: number) => a + b) / 60;
    expect(se / spread).toBeGreaterThan(0.8); // 60 draws know the spread to 9 %
    expect(se / spread).toBeLessThan(1.9); // it also allows for how the edge falls on the pixels
    const noise = porosity.noise.reduce((a: number, b: number) => a + b) / 60;
    expect(noise / sd).toBeGreaterThan(0.85);
    expect(noise / sd).toBeLessThan(1.15);
    expect([...new Set(porosity.noise_of)]).toEqual([2]);
  });

  test("the band is the share at the threshold moved by so many times the noise", () => {
    const pictures = [soft(random(3), 0.004)];
    const variance = new Float32Array(96 * 96).fill(0.004 ** 2);
    const { porosity } = segmented({ cols: 96, rows: 96, pictures, variance }, { threshold: "0.015 1/{px}", band: 2 });
    const below = (t: number): number => pictures[0]!.filter((v) => v < t).length / 96 ** 2;
    expect(porosity.fraction_low[0]).toBe(below(0.015 - 2 * Math.fround(0.004)));
    expect(porosity.fraction_high[0]).toBe(below(0.015 + 2 * Math.fround(0.004)));
    expect(porosity.noise[0]).toBeCloseTo(0.004, 8);
    expect(porosity.noise_of[0]).toBe(1);
    const above = segmented({ cols: 96, rows: 96, pictures, variance }, { threshold: "0.015 1/{px}", band: 2, select: "above" }).porosity;
    expect(above.fraction_low[0]).toBeCloseTo(1 - porosity.fraction_high[0], 12);
    expect(above.fraction_se[0]).toBe(porosity.fraction_se[0]);
  }); // prettier-ignore

  test("the variance beside the slices, or of a port, is used from when it is there", () => {
    const pictures = [soft(random(3), 0.004), soft(random(4), 0.004)];
    const one = new Float32Array(96 * 96).fill(0.004 ** 2);
    const columns = { variance: Float32Array.of(...one, ...one.map((v) => v * 4)) };
    const beside = segmented({ cols: 96, rows: 96, pictures, columns });
    expect([...beside.porosity.noise]).toEqual([expect.closeTo(0.004, 8), expect.closeTo(0.008, 8)]);
    const port = segmented({ cols: 96, rows: 96, pictures, variance: one });
    expect([...port.porosity.noise]).toEqual([expect.closeTo(0.004, 8), expect.closeTo(0.004, 8)]);
    const later = segmented({ cols: 96, rows: 96, pictures: [...pictures].reverse(), times: [-1, 0], variance: one.map(() => 1e-6) });
    expect(later.porosity.noise_of[0]).toBe(1); // the port's only row is at the first one's time
  }); // prettier-ignore
});

describe("the threshold", () => {
  const two = (seed: number, share: number, sd = 0.004, shift = 0): Float32Array => {
    const next = random(seed);
    return picture(80, 80, (x) => (x < 80 * share ? 0 : SOLID) + shift + sd * gaussian(next));
  };

  test.each([["otsu", 0.5], ["otsu", 0.2], ["minimum-error", 0.5], ["minimum-error", 0.03]])(
    "of %s parts two classes, one of %d", (method, share) => {
      const { porosity } = segmented({ cols: 80, rows: 80, pictures: [two(1, share)] }, { method });
      expect(porosity.threshold[0]).toBeGreaterThan(0.011);
      expect(porosity.threshold[0]).toBeLessThan(0.019);
      expect(porosity.fraction[0]).toBeCloseTo(Math.round(80 * share) / 80, 1);
    },
  ); // prettier-ignore

  test("is the mean of the first slices, and held from then on", () => {
    const pictures = [two(1, 0.5), two(2, 0.5), two(3, 0.5, 0.004, 0.01), two(4, 0.5, 0.004, 0.02)];
    const alone = pictures.map((p) => segmented({ cols: 80, rows: 80, pictures: [p] }).porosity.threshold[0]);
    const { porosity } = segmented({ cols: 80, rows: 80, pictures }, { threshold_from: 2 });
    const mean = (alone[0] + alone[1]) / 2;
    expect([...porosity.threshold]).toEqual([alone[0], mean, mean, mean]);
    expect([...porosity.held]).toEqual([0, 1, 1, 1]);
    const own = segmented({ cols: 80, rows: 80, pictures }, { threshold_from: 0 }).porosity;
    expect([...own.threshold]).toEqual(alone);
    expect([...own.held]).toEqual([0, 0, 0, 0]);
    const given = segmented({ cols: 80, rows: 80, pictures }, { threshold: "0.02 1/{px}" }).porosity;
    expect([...given.threshold]).toEqual([0.02, 0.02, 0.02, 0.02]);
  });

  test("is not made up where there is one class only: no porosity, said once", () => {
    for (const method of ["otsu", "minimum-error"]) {
      for (let seed = 0; seed < 10; seed++) {
        const pictures = [two(seed, 0), two(seed + 100, 0), two(seed + 200, 0.4)];
        const fed = segmented({ cols: 80, rows: 80, pictures }, { method });
        expect([...fed.porosity.fraction]).toEqual([NaN, NaN, expect.closeTo(0.4, 1)]);
        expect(fed.faults.map((f: { what: string }) => f.what)).toEqual([
          expect.stringMatching(/slice 0 does not show two classes .* give a threshold/),
        ]);
        expect(fed.bubbles.time.length).toBe(1);
      }
    }
    const flat = segmented({ cols: 4, rows: 4, pictures: [new Float32Array(16).fill(0.02)] });
    expect([...flat.porosity.fraction]).toEqual([NaN]);
  });

  test("does not come from slices of too few angles", () => {
    const columns = { coverage: Float64Array.of(30, 149, 180) };
    const pictures = [two(1, 0.5, 0.004, 0.01), two(2, 0.5, 0.004, 0.01), two(3, 0.5)];
    const fed = segmented({ cols: 80, rows: 80, pictures, columns });
    expect([...fed.porosity.fraction]).toEqual([NaN, NaN, expect.closeTo(0.5, 2)]);
    expect(fed.porosity.threshold[2]).toBeCloseTo(0.015, 2);
    expect(fed.faults).toEqual([]);
    expect(segmented({ cols: 80, rows: 80, pictures, columns }, { min_coverage: 0 }).porosity.fraction[0]).toBeCloseTo(0.5, 2); // prettier-ignore
  });

  test("a coverage that stays too low is said, once", () => {
    const columns = { coverage: Float64Array.of(30, 60, 90, 90, 90, 150) };
    const fed = segmented({ cols: 80, rows: 80, pictures: Array.from({ length: 6 }, (_, i) => two(i, 0.5)), columns });
    expect(fed.faults.map((f: { time: bigint; what: string }) => [f.time, f.what])).toEqual([
      [3n * SECOND, expect.stringMatching(/made from 90.0 deg of angles, which does not grow, .* below 150 deg; set min_coverage/)],
    ]);
    expect([...fed.porosity.fraction].map(Number.isNaN)).toEqual([true, true, true, true, true, false]);
    const fan = segmented({ cols: 80, rows: 80, pictures: [two(1, 0.5), two(2, 0.5)], columns: { coverage: Float64Array.of(180, 310) } }, {}, { metadata: { slices: { geometry: "fan" } } });
    expect([...fan.porosity.fraction].map(Number.isNaN)).toEqual([true, false]);
  }); // prettier-ignore
});

describe("bubbles over time", () => {
  test("a pocket grows, another comes, they merge", () => {
    const pictures = [
      holes(60, 40, [20, 20, 4]),
      holes(60, 40, [20, 20, 6], [40, 20, 3]),
      holes(60, 40, [21, 20, 9], [40, 20, 6]),
      holes(60, 40, [21, 20, 12], [40, 20, 10]),
    ];
    const { objects, events, bubbles } = segmented({ cols: 60, rows: 40, pictures });
    expect([...objects.id]).toEqual([0, 0, 1, 0, 1, 0]);
    expect([...objects.time].map(Number)).toEqual([0, 1, 1, 2, 2, 3].map((s) => s * 1e9));
    expect([...objects.age]).toEqual([0, 1, 0, 2, 1, 3]);
    expect(objects.dx[3]).toBeCloseTo(1, 9);
    expect(objects.dx[0]).toBeNaN();
    expect([...events.event]).toEqual([0, 0, 2]);
    expect([...events.id]).toEqual([0, 1, 1]);
    expect([...events.other]).toEqual([-1, -1, 0]);
    expect(events.volume_px[2]).toBe(inDisc(6));
    expect([...bubbles.number]).toEqual([1, 2, 2, 1]);
    expect([...bubbles.largest_id]).toEqual([0, 0, 0, 0]);
  });

  test("the standard error of a volume is that of many draws", () => {
    const next = random(5);
    const noisy = (): Float32Array =>
      picture(50, 50, (x, y) => SOLID * (1 - Math.min(1, Math.max(0, 0.5 + (9 - Math.hypot(x - 25, y - 24)) / 5))) + 0.005 * gaussian(next));
    const pictures = Array.from({ length: 80 }, noisy);
    const { bubbles } = segmented({ cols: 50, rows: 50, pictures }, { threshold: "0.015 1/{px}", min_size: 20 });
    expect([...bubbles.number]).toEqual(pictures.map(() => 1));
    const mean = bubbles.volume_px.reduce((a: number, b: number) => a + b) / 80;
    const spread = Math.sqrt(bubbles.volume_px.reduce((a: number, b: number) => a + (b - mean) ** 2, 0) / 79);
    const se = bubbles.volume_px_se.reduce((a: number, b: number) => a + b) / 80;
    expect(se / spread).toBeGreaterThan(0.8);
    expect(se / spread).toBeLessThan(1.9);
  }); // prettier-ignore

  test("specks are counted apart, and only the largest are given out where there are many", () => {
    const pictures = [holes(60, 40, [5, 5, 0], [20, 20, 4], [30, 30, 0], [45, 10, 3], [45, 30, 2])];
    const fed = segmented({ cols: 60, rows: 40, pictures: [...pictures, ...pictures] }, { min_size: 3, max_objects: 2 });
    expect([...fed.bubbles.number]).toEqual([3, 3]);
    expect([...fed.bubbles.specks]).toEqual([2, 2]);
    expect([...fed.bubbles.volume_px]).toEqual([0, 0].map(() => inDisc(4) + inDisc(3) + inDisc(2)));
    expect([...fed.objects.volume_px]).toEqual([inDisc(3), inDisc(4), inDisc(3), inDisc(4)]);
    expect(fed.faults.map((f: { what: string }) => f.what)).toEqual([
      expect.stringMatching(/^3 bubbles of min_size 3 px and more; the 2 largest/),
    ]);
  }); // prettier-ignore

  test("none at all is a count of 0, the largest is missing", () => {
    const { bubbles, porosity } = segmented({ cols: 8, rows: 8, pictures: [holes(8, 8)] }, { threshold: "0.01 1/{px}" });
    expect([bubbles.number[0], bubbles.volume_px[0], bubbles.largest_px[0], bubbles.largest_id[0]]).toEqual([0, 0, NaN, -1]);
    expect(porosity.fraction[0]).toBe(0);
  }); // prettier-ignore
});

describe("slices of neighbouring detector rows are one volume", () => {
  const ball = (z: number): Float32Array => {
    const r = Math.sqrt(Math.max(0, 25 - z * z));
    return Math.abs(z) > 5 ? holes(32, 32) : holes(32, 32, [14, 17, r]);
  };
  const stack = (rows: readonly number[], times?: readonly number[]): Taken => ({
    cols: 32, rows: 32, pictures: rows.map((z) => ball(z - 106)), slice: rows, times: times ?? rows.map(() => 0),
  }); // prettier-ignore
  const given = { threshold: "0.01 1/{px}" };
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);

  test("a ball is one bubble, with all its pixels and its middle", () => {
    const { bubbles, objects, porosity, events } = segmented(stack(range(100, 112)), given);
    let n = 0;
    for (let z = -5; z <= 5; z++) for (let y = -5; y <= 5; y++) for (let x = -5; x <= 5; x++) if (x * x + y * y + z * z <= 25) n++;
    expect(bubbles.time.length).toBe(1);
    expect([bubbles.slice[0], bubbles.slices[0], bubbles.number[0], bubbles.volume_px[0]]).toEqual([100, 13, 1, n]);
    expect([objects.x[0], objects.y[0], objects.z[0]]).toEqual([14, 17, 106].map((x) => expect.closeTo(x, 9)));
    expect(events.z[0]).toBeCloseTo(106, 9);
    expect([...porosity.slice]).toEqual(range(100, 112));
    expect(porosity.area_px.reduce((a: number, b: number) => a + b)).toBe(n);
    expect([bubbles.spanning_x[0], bubbles.spanning_z[0], bubbles.spanning[0]]).toEqual([0, 0, 0]);
  }); // prettier-ignore

  test("it joins the first slice and the last where it reaches both", () => {
    const { bubbles, objects } = segmented(stack(range(104, 108)), { ...given, channels: "width" });
    expect([bubbles.spanning_z[0], bubbles.spanning[0], objects.spanning[0]]).toEqual([1, 4, 4]);
    expect(bubbles.channel_width[0]).toBe(5); // the stack is 5 slices high
  });

  test("rows that are not next to each other stay apart, in any order; so they do where asked", () => {
    const apart = segmented(stack([107, 101, 106, 120]), given);
    expect([...apart.bubbles.slice]).toEqual([101, 106, 120]);
    expect([...apart.bubbles.slices]).toEqual([1, 2, 1]);
    expect([...apart.porosity.slice]).toEqual([101, 106, 107, 120]);
    expect([...segmented(stack([106, 107]), { ...given, stacks: "never" }).bubbles.slices]).toEqual([1, 1]);
    expect([...segmented(stack([106, 107], [0, 1]), given).bubbles.slices]).toEqual([1, 1]);
  });

  test("a slice without a value leaves its neighbours one volume, and their bubbles their numbers", () => {
    const taken = stack([105, 106, 107, 105, 106, 107, 105, 106, 107], [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    taken.pictures[4]!.fill(NaN);
    const { bubbles, objects, porosity, faults } = segmented(taken, given);
    expect([...bubbles.slices]).toEqual([3, 3, 3]);
    expect([...bubbles.number]).toEqual([1, 2, 1]); // cut in two where nothing is known
    expect(objects.id[0]).toBe(0);
    expect(objects.id.at(-1)).toBe(0);
    expect([...porosity.area_px].map(Number.isNaN).indexOf(true)).toBe(4);
    expect(faults.length).toBe(1);
  });

  test("a slice that comes twice at one time is said, and counts once", () => {
    const fed = segmented(stack([106, 107, 106]), given);
    expect([...fed.bubbles.slices]).toEqual([2]);
    expect(fed.faults.map((f: { what: string }) => f.what)).toEqual([expect.stringMatching(/two pictures of slice 106/)]);
  }); // prettier-ignore

  test("each volume keeps its own bubbles over time; one of other slices begins anew", () => {
    const rows = [105, 106, 110, 105, 106, 110, 105, 106, 107, 110];
    const { objects } = segmented(stack(rows, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]), given);
    expect([...objects.slice]).toEqual([105, 110, 105, 110, 105, 110]);
    expect([...objects.id]).toEqual([0, 1, 0, 1, 2, 1]);
  });
});

describe("channels", () => {
  const wall = (gap: (x: number) => [number, number]): Float32Array =>
    picture(30, 20, (x, y) => (y >= gap(x)[0] && y < gap(x)[1] ? 0 : SOLID));

  test("one that joins left and right, and how wide it is", () => {
    const pictures = [wall((x) => (x < 10 ? [5, 12] : x < 14 ? [8, 11] : [8, 15])), wall((x) => (x === 12 ? [0, 0] : [5, 9]))];
    const { bubbles, objects } = segmented({ cols: 30, rows: 20, pictures }, { channels: "width" });
    pictures[0]![19 * 30 + 15] = 0; // a bubble that is no channel
    const more = segmented({ cols: 30, rows: 20, pictures }, { channels: "width" });
    expect([...more.objects.channel_width]).toEqual([3, NaN, NaN, NaN]);
    expect(more.bubbles.channel_width[0]).toBe(3);
    expect([...bubbles.spanning_x]).toEqual([1, 0]);
    expect([...bubbles.spanning_y]).toEqual([0, 0]);
    expect([...bubbles.spanning_z]).toEqual([NaN, NaN]);
    expect([...bubbles.spanning]).toEqual([1, 0]);
    expect([...bubbles.channel_width]).toEqual([3, NaN]);
    expect([...objects.spanning]).toEqual([1, 0, 0]);
    expect(segmented({ cols: 30, rows: 20, pictures }).bubbles.channel_width[0]).toBeNaN();
  }); // prettier-ignore

  test("faces are those of the place looked at; beyond the radius nobody knows", () => {
    const pictures = [wall(() => [5, 12])];
    const half = segmented({ cols: 30, rows: 20, pictures }, { within: "5,4,25,13" }).bubbles;
    expect([half.spanning_x[0], half.spanning_y[0]]).toEqual([1, 0]);
    const column = segmented({ cols: 30, rows: 20, pictures }, { within: "5,6,25,10", threshold: "0.01 1/{px}" }).bubbles;
    expect([column.spanning_x[0], column.spanning_y[0]]).toEqual([1, 1]);
    const columns = { radius: Float64Array.of(9) };
    const round = segmented({ cols: 30, rows: 20, pictures, columns }).bubbles;
    expect([round.spanning_x[0], round.spanning_y[0], round.spanning[0]]).toEqual([NaN, NaN, 0]);
  }); // prettier-ignore

  test.each(["faces", "corners"] as const)("percolation equals a flood fill on random fields (%s)", (connectivity) => {
    let both = [0, 0];
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 14 }), fc.integer({ min: 2, max: 14 }), fc.integer({ min: 1, max: 4 }), fc.double({ min: 0.3, max: 0.7, noNaN: true }), fc.integer(), (w, h, d, share, seed) => {
        const next = random(seed);
        const pictures = Array.from({ length: d }, () => picture(w, h, () => (next() < share ? 0 : 1)));
        const plain = floodFill((x, y, z) => pictures[z]![y * w + x] === 0, [w, h, d], connectivity === "corners");
        const joins = (from: (i: number) => boolean, to: (i: number) => boolean): number =>
          plain.filter(({ pixels }) => pixels.some(from) && pixels.some(to)).length;
        const { bubbles } = segmented(
          { cols: w, rows: h, pictures, slice: pictures.map((_, z) => z + 7), times: pictures.map(() => 0) },
          { threshold: "0.5 1/{px}", connectivity, min_size: 1 },
        );
        const x = joins((i) => i % w === 0, (i) => i % w === w - 1);
        expect(bubbles.number[0]).toBe(plain.length);
        expect(bubbles.spanning_x[0]).toBe(x);
        expect(bubbles.spanning_y[0]).toBe(joins((i) => Math.floor(i / w) % h === 0, (i) => Math.floor(i / w) % h === h - 1));
        expect(bubbles.spanning_z[0]).toBe(d === 1 ? NaN : joins((i) => i < w * h, (i) => i >= (d - 1) * w * h));
        both[x > 0 ? 1 : 0]!++;
      }),
      { seed: 9, numRuns: 120 },
    );
    expect(Math.min(...both)).toBeGreaterThan(10);
  }); // prettier-ignore
});

describe("protrusions from a plane", () => {
  // metal below row 30; a needle 12 high and 4 wide, a mound 5 high and 11 wide, a speck that floats
  const metal = picture(60, 40, (x, y) => {
    const needle = x >= 10 && x < 14 && y >= 18;
    const mound = x >= 30 && x < 41 && y >= 25;
    const floats = x === 50 && y === 10;
    return y >= 30 || needle || mound || floats ? 0.09 : 0.01;
  });
  const options = { select: "above", plane: "y<30", threshold: "0.05 1/{px}" };

  test("height, base and their ratio of the highest, and how many", () => {
    const { protrusions } = segmented({ cols: 60, rows: 40, pictures: [metal] }, options);
    expect(protrusions.number[0]).toBe(2);
    expect(protrusions.height[0]).toBeCloseTo(12, 6);
    expect(protrusions.height_se[0]).toBeCloseTo(Math.sqrt(1 / 12), 2);
    expect([protrusions.height_x[0], protrusions.height_y[0]]).toEqual([10, 18]);
    expect(protrusions.base_width[0]).toBe(4);
    expect(protrusions.ratio[0]).toBeCloseTo(3, 6);
    expect(protrusions.reach[0]).toBe(12 / 30);
    expect(protrusions.area_px[0]).toBe(12 * 4 + 5 * 11);
    const { values, offsets } = protrusions.profile;
    expect([...offsets]).toEqual([0, 60]);
    expect([...values]).toEqual(Array.from({ length: 60 }, (_, x) => (x >= 10 && x < 14 ? 12 : x >= 30 && x < 41 ? 5 : 0)));
    expect(segmented({ cols: 60, rows: 40, pictures: [metal] }, { ...options, min_height: "6 px" }).protrusions.number[0]).toBe(1);
  }); // prettier-ignore

  test.each([
    ["y>9", (p: Float32Array, x: number, y: number) => p[(39 - y) * 60 + x]!, 60, 40],
    ["x<30", (p: Float32Array, x: number, y: number) => p[x * 60 + y]!, 40, 60],
    ["x>9", (p: Float32Array, x: number, y: number) => p[(39 - x) * 60 + y]!, 40, 60],
  ])("in whichever way it grows: %s", (plane, turn, cols, rows) => {
    const turned = picture(cols, rows, (x, y) => turn(metal, x, y));
    const { protrusions } = segmented({ cols, rows, pictures: [turned] }, { ...options, plane });
    expect([protrusions.number[0], protrusions.base_width[0], protrusions.reach[0]]).toEqual([2, 4, 12 / 30]);
    expect(protrusions.height[0]).toBeCloseTo(12, 6);
  });

  test("from an edge of the place looked at", () => {
    const { protrusions } = segmented({ cols: 60, rows: 40, pictures: [metal] }, { ...options, plane: "bottom", within: "0,5,25,30" }); // prettier-ignore
    expect([protrusions.number[0], protrusions.height_x[0], protrusions.base_width[0]]).toEqual([1, 10, 4]);
    expect(protrusions.reach[0]).toBe(12 / 25);
    expect(protrusions.profile.values.length).toBe(25);
  });

  test("the tip is placed between pixels, as the grey values have it", () => {
    const soft = metal.slice();
    for (let x = 10; x < 14; x++) soft[17 * 60 + x] = 0.03; // a quarter full
    const { protrusions } = segmented({ cols: 60, rows: 40, pictures: [soft] }, options);
    // from 0.09 to 0.03 the threshold 0.05 lies two thirds of a pixel beyond the middle of the last one
    expect(protrusions.height[0]).toBeCloseTo(12 - 0.5 + 2 / 3, 5);
  });

  test("one that touches the other side has an open height; none at all has the height 0", () => {
    const through = picture(20, 20, (x, y) => (x === 4 || y >= 15 ? 1 : 0));
    const { protrusions } = segmented({ cols: 20, rows: 20, pictures: [through, picture(20, 20, (_, y) => (y >= 15 ? 1 : 0))] }, { ...options, plane: "y<15", threshold: "0.5 1/{px}" });
    expect([...protrusions.reach]).toEqual([1, 0]);
    expect([...protrusions.height_se]).toEqual([NaN, expect.closeTo(0.2887, 3)]);
    expect([...protrusions.height]).toEqual([15, 0]);
    expect([...protrusions.number]).toEqual([1, 0]);
    expect([...protrusions.base_width]).toEqual([1, NaN]);
  }); // prettier-ignore
});

describe("the stream", () => {
  const next = random(12);
  const pictures = Array.from({ length: 24 }, (_, i) => {
    const p = holes(24, 20, [8 + i / 12, 9, 2 + i / 10], [17, 12, 1 + i / 9]);
    for (let k = 0; k < p.length; k++) p[k]! += 0.003 * gaussian(next);
    return p;
  });
  pictures[4]!.fill(NaN);
  const taken: Taken = {
    cols: 24, rows: 20, pictures, slice: pictures.map((_, i) => [5, 6, 9][i % 3]!), times: pictures.map((_, i) => Math.floor(i / 3)),
    variance: new Float32Array(24 * 20).fill(4e-5),
  }; // prettier-ignore

  test.each([false, true])("cut anywhere, saved and loaded anywhere: the same bits (variance from a port: %s)", (withPort) => {
    const { variance, ...rest } = taken;
    const given = withPort ? { ...rest, variance: variance! } : rest;
    const options = { plane: "top", min_height: "1 px", channels: "width", threshold_from: 7, select: "below", min_size: 2 };
    const whole = segmented(given, options);
    expect(whole.objects.time.length).toBeGreaterThan(20);
    expect(whole.faults.map((f: { what: string }) => f.what)).toEqual([
      expect.stringMatching(/slice 5 does not show two classes/), // its pocket is 13 pixels at first
      expect.stringMatching(/slice 6 has no pixel with a value/),
    ]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }), (rows, reloadAfter) => {
        expect(segmented(given, options, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 3, numRuns: 8 },
    );
  }); // prettier-ignore

  test("none, and one", () => {
    const none = segmented({ cols: 4, rows: 4, pictures: [] });
    for (const port of ["porosity", "bubbles", "objects", "events", "mask"])
      expect(none[port].time.length).toBe(0);
    expect(segmented({ cols: 20, rows: 20, pictures: [holes(20, 20, [9, 9, 3])] }).bubbles.number[0]).toBe(1);
  });

  test("a picture in which nothing has a value is a fault, and its porosity missing", () => {
    const fed = segmented({ cols: 4, rows: 4, pictures: [new Float32Array(16).fill(NaN)] }, { threshold: "0.1 1/{px}" });
    expect([...fed.porosity.fraction]).toEqual([NaN]);
    expect([...fed.porosity.pixels]).toEqual([0]);
    expect(fed.bubbles.time.length).toBe(0);
    expect(fed.faults.length).toBe(1);
  }); // prettier-ignore

  test("wrong options stop the start and say what is allowed", () => {
    const run = (options: Record<string, unknown>) => () =>
      segmented({ cols: 30, rows: 20, pictures: [holes(30, 20)] }, options);
    expect(run({ within: "0,0,31,20" })).toThrow(/within: "0,0,31,20" reaches beyond the image, which has 30 columns \(x\) and 20 rows \(y\)/);
    expect(run({ within: "circle 5,5,6" })).toThrow(/reaches beyond the image/);
    expect(run({ within: "1,2,3" })).toThrow(/wanted "x0,y0,x1,y1" or "circle x,y,r"/);
    expect(run({ within: "5,5,5,9" })).toThrow(/is empty/);
    expect(run({ plane: "z<5" })).toThrow(/"z<5" is not a plane; wanted such as "y<400"/);
    expect(run({ plane: "y>19" })).toThrow(/beyond "y>19" there is nothing; x is 0 to 29, y 0 to 19/);
    expect(run({ threshold: 0.01 })).toThrow(/0.01 has no unit/);
    expect(run({ method: "kmeans" })).toThrow(/not one of otsu, minimum-error/);
    const extra = () => feed(segment, { slices: { time: new BigInt64Array(0), data: new Float32Array(0) }, noise: { time: new BigInt64Array(0) } }, { schema: { slices: { data: image("1/{px}", { shape: [2, 2] }) } } });
    expect(extra).toThrow(/port noise is not known; there are slices and variance/);
    const other = () => feed(segment, { slices: { time: new BigInt64Array(0), data: new Float32Array(0) }, variance: { time: new BigInt64Array(0), data: new Float32Array(0) } }, { schema: { slices: { data: image("1/{px}", { shape: [2, 2] }) }, variance: { data: image("1", { shape: [2, 3] }) } } });
    expect(other).toThrow(/variance is 2 × 3 px, data is 2 × 2 px/);
    const unit = () => feed(segment, { slices: { time: new BigInt64Array(0), data: new Float32Array(0) } }, { schema: { slices: { data: image("V", { shape: [2, 2] }) } } });
    expect(unit).toThrow(/slices.data must be in 1\/\{px\}/);
    expect(scalar("1").unit).toBe("1");
  }); // prettier-ignore
});

const file = fileURLToPath(
  new URL("../../../../shared/data/xrm/battery_21700_segmented.tif", import.meta.url),
);
describe.runIf(existsSync(file))("a real cell, segmented by others into seven classes", () => {
  /** Pixels of a little-endian TIFF of 8 bits that is not compressed and lies in one piece. */
  function pixels(): { cols: number; rows: number; data: Uint8Array } {
    const bytes = readFileSync(file);
    const directory = bytes.readUInt32LE(4);
    const tags = new Map<number, number>();
    for (let i = 0; i < bytes.readUInt16LE(directory); i++) {
      const at = directory + 2 + 12 * i;
      const short = bytes.readUInt16LE(at + 2) === 3;
      tags.set(bytes.readUInt16LE(at), short ? bytes.readUInt16LE(at + 8) : bytes.readUInt32LE(at + 8));
    }
    expect([tags.get(259), tags.get(258)]).toEqual([1, 8]);
    const [cols, rows] = [tags.get(256)!, tags.get(257)!];
    return { cols, rows, data: bytes.subarray(tags.get(273), tags.get(273)! + cols * rows) };
  }

  test("each class: as many pixels, and as many parts, as a flood fill finds", () => {
    const { cols, rows, data } = pixels();
    for (const level of [1, 3]) {
      const inside = (i: number): boolean => data[i]! >= level;
      const { porosity, bubbles } = segmented(
        { cols, rows, pictures: [Float32Array.from(data)] },
        { select: "above", threshold: `${level} 1/{px}` },
      );
      const parts = floodFill((x, y) => inside(y * cols + x), [cols, rows, 1], false);
      expect(porosity.area_px[0]).toBe(data.filter((v) => v >= level).length);
      expect(bubbles.number[0]).toBe(parts.length);
      expect(bubbles.largest_px[0]).toBe(parts.reduce((most, { size }) => Math.max(most, size), 0));
    }
  });
});
