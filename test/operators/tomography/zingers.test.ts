import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noiseOf } from "../../../operators/tomography/spots.ts";
import { zingers } from "../../../operators/tomography/zingers.ts";
import { code, image, scalar, type Field, type Numeric } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project } from "./phantom.ts";

function random(seed: number): { uniform: () => number; normal: () => number } {
  let s = seed >>> 0;
  // mulberry32: in the tails of a plain congruential generator neighbours are not independent
  const uniform = (): number => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()) };
}

const FLUX = 20000, DARK = 100; // prettier-ignore

/** Line integrals of a square bar with sides parallel to x and y, half side `h`, at its place: sharp edges. */
function bar(
  x: number,
  y: number,
  h: number,
  mu: number,
  theta_deg: number,
  cols: number,
  into: Float64Array,
): void {
  const theta = (theta_deg * Math.PI) / 180;
  const [c, s] = [Math.abs(Math.cos(theta)), Math.abs(Math.sin(theta))];
  const middle = (cols - 1) / 2 + x * Math.cos(theta) + y * Math.sin(theta);
  const [outer, inner] = [h * (c + s), h * Math.abs(c - s)];
  const most = (2 * h) / Math.max(c, s);
  for (let i = 0; i < cols; i++) {
    const t = Math.abs(i - middle);
    if (t < inner) into[i]! += mu * most;
    else if (t < outer) into[i]! += (mu * most * (outer - t)) / (outer - inner);
  }
}

/** Counts of a turning cell with a bar, a wire and a crack in it; each row of the detector sees it a little larger. */
function turning({
  rows,
  cols,
  views,
  step_deg,
  seed,
}: {
  rows: number;
  cols: number;
  views: number;
  step_deg: number;
  seed: number;
}) {
  const { normal } = random(seed);
  const data = new Float32Array(views * rows * cols);
  for (let k = 0; k < views; k++) {
    for (let r = 0; r < rows; r++) {
      const size = 0.9 + (0.08 * r) / rows;
      const scaled = cell(cols).map((e) => ({
        ...e,
        x: e.x * size,
        y: e.y * size,
        a: e.a * size,
        b: e.b * size,
      }));
      const p = project(scaled, k * step_deg, cols, (cols - 1) / 2);
      const R = (cols / 2) * size;
      bar(0.4 * R, -0.3 * R, 0.1 * R, 6 / cols, k * step_deg, cols, p);
      bar(-0.5 * R, 0.35 * R, 0.8, 0.3, k * step_deg, cols, p);
      bar(0.1 * R, -0.6 * R, 1.2, -1 / cols, k * step_deg, cols, p);
      for (let c = 0; c < cols; c++) {
        const counts = FLUX * Math.exp(-p[c]!);
        data[(k * rows + r) * cols + c] = DARK + counts + Math.hypot(Math.sqrt(counts), 3) * normal();
      }
    }
  }
  return data;
}

const sigma = (value: number): number => Math.hypot(Math.sqrt(Math.max(0, value - DARK)), 3);

/** Columns of a stream, and its schema. */
function streamOf(
  data: Float32Array | Uint16Array,
  shape: [number, number],
  { step_deg = 0.5, unit = "{count}", image_key = undefined as readonly number[] | undefined } = {},
) {
  const n = data.length / (shape[0] * shape[1]);
  const type: Numeric = data instanceof Uint16Array ? "u16" : "f32";
  const schema: Record<string, Field> = {
    data: image(unit, { shape, type }),
    rotation_angle: scalar("deg"),
    shift_x: scalar("{px}"),
  };
  return {
    frames: {
      time: BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * 1_000_000_000n),
      data,
      rotation_angle: Float64Array.from({ length: n }, (_, i) =>
        image_key && image_key[i] !== 0 ? NaN : i * step_deg,
      ),
      shift_x: Float64Array.from({ length: n }, (_, i) => i / 8),
      ...(image_key && { image_key: Int32Array.from(image_key) }),
    },
    schema: { frames: image_key ? { ...schema, image_key: code() } : schema },
  };
}

const run = (
  { frames, schema }: ReturnType<typeof streamOf>,
  config: Record<string, unknown> = {},
  more = {},
) => feed(zingers, { frames }, { schema, with: config, ...more });

const changed = (a: ArrayLike<number>, b: ArrayLike<number>): number[] =>
  Array.from({ length: a.length }, (_, i) => i).filter((i) => a[i] !== b[i]);

describe.each([
  { rows: 32, cols: 256, views: 60, step_deg: 0.5, share: 0.99 },
  { rows: 1, cols: 512, views: 720, step_deg: 0.5, share: 0.99 },
  { rows: 1, cols: 512, views: 360, step_deg: 1, share: 0.97 },
  { rows: 24, cols: 256, views: 60, step_deg: 2, share: 0.9 },
])("a turning sample, $rows × $cols, every $step_deg deg", ({ rows, cols, views, step_deg, share }) => {
  const clean = turning({ rows, cols, views, step_deg, seed: 3 });

  test.each(["brighter", "both"])("nothing of it is taken for a zinger (%s)", (spots) => {
    const fed = run(streamOf(clean, [rows, cols], { step_deg }), { spots });
    expect(fed.faults).toEqual([]);
    expect(changed(fed.frames.data, clean).length).toBeLessThan(1e-4 * clean.length);
  });

  test("zingers of 20 σ are found, and replaced to within the noise", () => {
    const { uniform } = random(7);
    const dirty = clean.slice();
    const hit: number[] = [];
    // One in each 16 × 16 px of every third frame.
    for (let k = 1; k < views - 1; k += 3) {
      for (let top = 0; top < rows; top += 16) {
        for (let left = 0; left < cols; left += 16) {
          const r = top + Math.floor(uniform() * Math.min(8, rows - top));
          const i = (k * rows + r) * cols + left + Math.floor(uniform() * 8);
          hit.push(i);
          dirty[i] = clean[i]! + 20 * sigma(clean[i]!);
        }
      }
    }
    const { frames } = run(streamOf(dirty, [rows, cols], { step_deg }));
    const found = hit.filter((i) => frames.data[i] !== dirty[i]);
    expect(found.length / hit.length).toBeGreaterThan(share);
    expect(changed(frames.data, dirty).length - found.length).toBeLessThan(1e-4 * clean.length);
    // Air does not move: there the median of three is right to within the noise.
    const off = found.filter((i) => clean[i]! > 19000).map((i) => (frames.data[i]! - clean[i]!) / sigma(clean[i]!));
    expect(off.length).toBeGreaterThan(50);
    const rms = Math.sqrt(off.reduce((sum, x) => sum + x * x, 0) / off.length);
    expect(rms).toBeLessThan(1.5);
    const counted = frames.zingers.filter((n: number) => !Number.isNaN(n)).reduce((sum: number, n: number) => sum + n, 0);
    expect(counted).toBe(changed(frames.data, dirty).length);
  });
}); // prettier-ignore

test("the noise is found from the frames: gain, read noise, and none at all", () => {
  const { uniform, normal } = random(11);
  const frame = (gain: number, read: number): Float32Array => {
    const { uniform: level } = random(5);
    return Float32Array.from({ length: 100_000 }, () => {
      const photons = 200 + 5000 * level();
      return gain * (photons + Math.sqrt(photons) * normal()) + read * normal();
    });
  };
  for (const [gain, read] of [
    [1, 0],
    [0.25, 5],
    [4, 100],
  ] as const) {
    const { a, b } = noiseOf(frame(gain, read), frame(gain, read), frame(gain, read));
    for (const photons of [300, 2000, 5000]) {
      const found = Math.sqrt(a + b * gain * photons);
      expect(found / Math.hypot(gain * Math.sqrt(photons), read)).toBeGreaterThan(0.87);
      expect(found / Math.hypot(gain * Math.sqrt(photons), read)).toBeLessThan(1.13);
    }
  }
  // Whole counts that hardly ever change: half a step is noise enough.
  const dark = (): Uint16Array => Uint16Array.from({ length: 10_000 }, () => (uniform() < 0.1 ? 101 : 100));
  expect(noiseOf(dark(), dark(), dark())).toEqual({ a: 0.25, b: 0, least: 0.25 });
  const same = new Float32Array(100).fill(7);
  expect(noiseOf(same, same, same)).toEqual({ a: 0, b: 0, least: 0 });
});

test("in noise alone less than one pixel in a million is replaced", () => {
  const { normal } = random(13);
  const data = Float32Array.from({ length: 20 * 256 * 256 }, () => 1000 + 30 * normal());
  const image_key = Array.from({ length: 20 }, () => 1);
  const { frames } = run(streamOf(data, [256, 256], { image_key }), { spots: "both" });
  expect(changed(frames.data, data).length).toBeLessThan(3);
});

describe("what is a zinger", () => {
  const [rows, cols] = [24, 24];
  /** Frames of noise at 1000 with σ 10, and what `draw` adds. */
  const frames = (n: number, draw: (k: number, r: number, c: number) => number): Float32Array => {
    const { normal } = random(17);
    return Float32Array.from({ length: n * rows * cols }, (_, i) => {
      const [k, r, c] = [Math.floor(i / (rows * cols)), Math.floor(i / cols) % rows, i % cols];
      return 1000 + 10 * normal() + draw(k, r, c);
    });
  };
  const replaced = (data: Float32Array, config = {}, more = {}): number[] => {
    const fed = run(streamOf(data, [rows, cols], more), config);
    return changed(fed.frames.data, data).map((i) => Math.floor(i / (rows * cols)));
  };
  const spot = (size: number) => frames(5, (k, r, c) => (k === 2 && r >= 8 && r < 8 + size && c >= 9 && c < 9 + size ? 400 : 0));

  test.each([1, 2, 3])("a spot of %i px is replaced whole", (size) => {
    expect(replaced(spot(size))).toEqual(Array.from({ length: size * size }, () => 2));
  });

  test("a larger one is not, unless max_size says so", () => {
    expect(replaced(spot(4))).toEqual([]);
    expect(replaced(spot(4), { max_size: 4 })).toHaveLength(16);
  });

  test("a dark spot is, where asked for", () => {
    const data = frames(5, (k, r, c) => (k === 2 && r === 8 && c === 9 ? -400 : 0));
    expect(replaced(data)).toEqual([]);
    expect(replaced(data, { spots: "darker" })).toEqual([2]);
    expect(replaced(data, { spots: "both" })).toEqual([2]);
  });

  test("its flanks go with it", () => {
    const data = frames(5, (k, r, c) => (k === 2 && r === 8 && Math.abs(c - 9) < 2 ? 2000 / (1 + 30 * (c - 9) ** 2) : 0));
    expect(replaced(data)).toEqual([2, 2, 2]);
  });

  test("what stays for two frames, and an edge that passes, are left alone", () => {
    expect(replaced(frames(6, (k, r, c) => ((k === 2 || k === 3) && r === 8 && c === 9 ? 400 : 0)))).toEqual([]);
    expect(replaced(frames(6, (k, _, c) => (c < 4 * k ? 800 : 0)))).toEqual([]);
  });

  test("a slit that jumps by more than its width is left alone, also on a detector of one row", () => {
    const data = frames(12, (k, _, c) => (Math.abs(c - 2 * k) < 1 ? 400 : 0));
    expect(replaced(data, {}, { step_deg: 4 })).toEqual([]);
    const { normal } = random(19);
    const row = Float32Array.from({ length: 100 * 400 }, (_, i) => 1000 + 10 * normal() + (Math.abs((i % 400) - 4 * Math.floor(i / 400)) < 2 ? 400 : 0));
    const fed = run(streamOf(row, [1, 400]));
    expect(changed(fed.frames.data, row)).toEqual([]);
  });

  test("flats and darks are compared among themselves, first and last too", () => {
    const image_key = [2, 2, 2, 1, 1, 1, 0, 0, 0];
    const level = [100, 100, 100, 5000, 5000, 5000, 1000, 1000, 1000];
    const data = frames(9, (k, r, c) => level[k]! - 1000 + (r === k + 5 && c === 9 ? 400 : 0));
    const fed = run(streamOf(data, [rows, cols], { image_key }));
    expect(changed(fed.frames.data, data).map((i) => Math.floor(i / (rows * cols)))).toEqual([0, 1, 2, 3, 4, 5, 7]);
    expect([...fed.frames.zingers]).toEqual([1, 1, 1, 1, 1, 1, NaN, 1, NaN]);
    expect([...fed.frames.image_key]).toEqual(image_key);
    expect([...fed.frames.shift_x]).toEqual(image_key.map((_, i) => i / 8));
  });

  test("whole counts stay whole counts", () => {
    const data = Uint16Array.from(frames(5, (k, r, c) => (k === 2 && r === 8 && c === 9 ? 400 : 0)));
    const fed = run(streamOf(data, [rows, cols]));
    expect(fed.frames.data).toBeInstanceOf(Uint16Array);
    expect([...fed.frames.zingers]).toEqual([NaN, 0, 1, 0, NaN]);
  });

  test("transmission is as good as counts", () => {
    const data = frames(5, (k, r, c) => (k === 2 && r === 8 && c === 9 ? 400 : 0)).map((x) => x / 2000);
    const fed = run(streamOf(data, [rows, cols], { unit: "1" }));
    expect([...fed.frames.zingers]).toEqual([NaN, 0, 1, 0, NaN]);
  });
}); // prettier-ignore

describe("bad input", () => {
  const shape: [number, number] = [8, 8];
  const noisy = (n: number): Float32Array => {
    const { normal } = random(23);
    return Float32Array.from({ length: n * 64 }, () => 1000 + 10 * normal());
  };
  const whats = (fed: { faults: { what: string }[] }): string[] => fed.faults.map(({ what }) => what);

  test("fewer than three frames are handed on as they came", () => {
    for (const n of [0, 1, 2]) {
      const data = noisy(n);
      const fed = run(streamOf(data, shape));
      expect(fed.frames.time.length).toBe(n);
      if (n > 0) expect([...fed.frames.zingers].every(Number.isNaN)).toBe(true);
      expect(fed.faults).toEqual([]);
    }
  });

  test("projections far apart in angle are not compared, and a fault says so once", () => {
    const data = noisy(9);
    data[4 * 64 + 20] = 3000;
    const fed = run(streamOf(data, shape, { step_deg: 137.5 }));
    expect(fed.frames.data).toEqual(data);
    expect([...fed.frames.zingers].every(Number.isNaN)).toBe(true);
    expect(whats(fed)).toEqual([expect.stringMatching(/^the angle steps from 0.00 to 137.50 deg, more than max_step = 5 deg/)]);
    const repeated = run(streamOf(data, shape, { step_deg: 359 }));
    expect(repeated.frames.zingers[4]).toBe(1);
  });

  test("angles that are no numbers do not hinder", () => {
    const data = noisy(5);
    data[2 * 64 + 20] = 3000;
    const stream = streamOf(data, shape);
    stream.frames.rotation_angle.fill(NaN);
    expect([...run(stream).frames.zingers]).toEqual([NaN, 0, 1, 0, NaN]);
  });

  test("a jump is no zinger: such a frame is handed on, and a fault says so", () => {
    const { normal } = random(31);
    const large = Float32Array.from({ length: 5 * 1024 }, (_, i) => 1000 + 10 * normal() + (i >> 10 === 2 && i % 1024 < 300 ? 500 : 0));
    const fed = run(streamOf(large, [32, 32]));
    expect(fed.frames.data).toEqual(large);
    expect([...fed.frames.zingers]).toEqual([NaN, 0, NaN, 0, NaN]);
    expect(whats(fed)).toEqual([expect.stringMatching(/^more than one pixel in 16 stands out .* a flash or a jump/)]);
  });

  test("missing pixels stay missing, and do not hide a zinger", () => {
    const data = noisy(5);
    data[2 * 64 + 20] = 3000;
    data[1 * 64 + 20] = NaN;
    data[2 * 64 + 40] = NaN;
    const fed = run(streamOf(data, shape));
    expect([...fed.frames.zingers]).toEqual([NaN, 0, 1, 0, NaN]);
    expect(fed.frames.data[2 * 64 + 20]).toBe(data[3 * 64 + 20]);
    expect(fed.frames.data[2 * 64 + 40]).toBeNaN();
  });

  test("a stream without images is refused", () => {
    const frames = { time: BigInt64Array.of(0n), voltage_volt: Float64Array.of(1) };
    expect(() => feed(zingers, { frames }, { schema: { frames: { voltage_volt: scalar("V") } } })).toThrow(
      /frames needs a column data of images; it has voltage_volt/,
    );
  });
}); // prettier-ignore

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const { normal, uniform } = random(29);
  const image_key = Array.from({ length: 30 }, (_, i) => [2, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 3][i % 12]!);
  const data = Float32Array.from(
    { length: 30 * 64 },
    () => 1000 + 10 * normal() + (uniform() < 0.01 ? 500 : 0),
  );
  const { frames, schema } = streamOf(data, [8, 8], { image_key });
  const whole = feed(zingers, { frames }, { schema });
  expect(whole.frames.zingers.filter((n: number) => n > 0).length).toBeGreaterThan(3);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (rows, reloadAfter) => {
        expect(feed(zingers, { frames }, { schema, rows, reloadAfter })).toEqual(whole);
      },
    ),
    { seed: 6, numRuns: 30 },
  );
});
