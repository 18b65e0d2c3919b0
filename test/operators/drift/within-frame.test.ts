import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withinFrame } from "../../../operators/drift/within-frame.ts";
import { code, image, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { normal, random, scene } from "./scene.ts";

const SECOND = 1_000_000_000n;
const FRAME_S = 256;
type Path = (t: number) => readonly [row: number, col: number];

interface Made {
  size: number;
  frames: number;
  seed: number;
  path: Path;
  /** Noise, in shares of the scene's rms; also line offsets and tilt where given. */
  noise?: number;
  lines?: number;
}

/** Frames scanned up, down, up, …: line k shows the scene at (k + s_row(t), c + s_col(t)), t in frame durations. */
function make({ size, frames, seed, path, noise = 0.02, lines = 0 }: Made) {
  const show = scene(size, seed);
  const uniform = random(seed + 1000);
  const data = new Float32Array(frames * size * size);
  let rms = 0;
  for (let i = 0; i < frames; i++) {
    for (let k = 0; k < size; k++) {
      const t = i + ((i % 2 ? size - 1 - k : k) + 0.5) / size;
      const [row, col] = path(t);
      data.set(show(1, size, k + row, col), (i * size + k) * size);
    }
    if (i === 0) rms = Math.sqrt(data.subarray(0, size * size).reduce((sum, z) => sum + z * z, 0) / size ** 2);
    for (let k = 0; k < size; k++) {
      const offset = lines * rms * normal(uniform);
      for (let c = 0; c < size; c++)
        data[(i * size + k) * size + c]! += noise * rms * normal(uniform) + offset + (lines * rms * (k + 2 * c)) / size;
    }
  }
  return {
    time: BigInt64Array.from({ length: frames }, (_, i) => BigInt(i + 1) * BigInt(FRAME_S) * SECOND),
    data,
    slow_scan: Int32Array.from({ length: frames }, (_, i) => i % 2),
    duration: new Float64Array(frames).fill(FRAME_S),
  };
} // prettier-ignore

const fieldsOf = (rows: number, cols = rows) => ({
  images: { data: image("m", { shape: [rows, cols] }), slow_scan: code(), duration: scalar("s"), direction: code() },
}); // prettier-ignore
const PIXELS = { images: { pixel_size_x: "2e-9", pixel_size_y: "2e-9" } };
const run = (images: ReturnType<typeof make>, size: number, more: Record<string, unknown> = {}) =>
  feed(withinFrame, { images }, { schema: fieldsOf(size), metadata: PIXELS, ...more });

/** Root mean square of what the lines' shifts are off by, in px, over the frames from the second on. */
function pathError(lines: { [column: string]: { values: Float64Array } }, size: number, path: Path): number {
  const { shift_row, shift_col, before_end } = lines as never as Record<string, { values: Float64Array }>;
  let sum = 0;
  const n = shift_row!.values.length;
  for (let i = 0; i < n; i++) {
    const t = Math.floor(i / size) + 2 - before_end!.values[i]! / FRAME_S;
    const [row, col] = path(t);
    sum += (shift_row!.values[i]! - row) ** 2 + (shift_col!.values[i]! - col) ** 2;
  }
  return Math.sqrt(sum / n);
}

describe("an even drift", () => {
  test("to 0.02 px per frame with noise, tilt and line offsets, its errors as they say", () => {
    const uniform = random(77);
    const off: number[] = [];
    const inErrors: number[] = [];
    for (let draw = 0; draw < 4; draw++) {
      const [row, col] = [8 * uniform() - 4, 8 * uniform() - 4];
      const images = make({ size: 256, frames: 2, seed: 300 + draw, path: (t) => [row * t, col * t], noise: 0.05, lines: 0.3 }); // prettier-ignore
      const { drift } = run(images, 256, { with: { deviation: "0 {px}" } });
      expect([...drift.valid]).toEqual([0]);
      off.push(drift.velocity_row[0] - row, drift.velocity_col[0] - col);
      inErrors.push((drift.velocity_row[0] - row) / drift.velocity_row_se[0], (drift.velocity_col[0] - col) / drift.velocity_col_se[0]); // prettier-ignore
    }
    const rms = (values: number[]): number => Math.hypot(...values) / Math.sqrt(values.length);
    expect(rms(off)).toBeLessThan(0.02);
    expect(rms(inErrors)).toBeGreaterThan(0.6);
    expect(rms(inErrors)).toBeLessThan(1.5);
  });

  test("in m/s, by the frame's duration and pixel size", () => {
    const { drift } = run(make({ size: 96, frames: 2, seed: 5, path: (t) => [2 * t, -3 * t] }), 96);
    expect(drift.velocity_x[0]).toBeCloseTo((-3 * 2e-9) / FRAME_S, 12);
    expect(drift.velocity_y[0] / ((2 * 2e-9) / FRAME_S)).toBeCloseTo(1, 1);
    expect(drift.velocity_x_se[0]).toBeGreaterThan(0);
  });

  test("the straight frame shows the scene as it was at the begin", () => {
    const size = 128;
    const path: Path = (t) => [3 * t, -2 * t];
    const { straight } = run(make({ size, frames: 2, seed: 9, path, noise: 0 }), size);
    const still = scene(size, 9)(size, size, 0, 0);
    let [n, off, all] = [0, 0, 0];
    for (let r = 12; r < size - 12; r++) {
      for (let c = 12; c < size - 12; c++) {
        const z = straight.data[r * size + c];
        if (Number.isNaN(z)) continue;
        n++;
        off += (z - still[r * size + c]!) ** 2;
        all += still[r * size + c]! ** 2;
      }
    }
    expect(n).toBeGreaterThan(0.9 * (size - 24) ** 2);
    expect(Math.sqrt(off / all)).toBeLessThan(0.03); // of bilinear interpolation at waves of 6 px
  });
});

test("creep after a move: the course of every line to 0.05 px", () => {
  const path: Path = (t) => [-2.4 * t + 1.5 * Math.log(1 + t / 0.2), 1.7 * t];
  const images = make({ size: 192, frames: 2, seed: 21, path });
  const { lines, drift } = run(images, 192, {
    with: { creep_time: `${0.2 * FRAME_S} s`, deviation: "0 {px}" },
  });
  expect(pathError(lines, 192, path)).toBeLessThan(0.05);
  expect(Math.abs(drift.creep_row[0] - 1.5)).toBeLessThan(4 * drift.creep_row_se[0]);
});

test("what is not even is found line by line, and less is left than without", () => {
  // Even in the first two frames, so that they are known; the third swings by 1.2 px.
  const path: Path = (t) => [t, 0.5 * t + (t > 2 ? 1.2 * Math.sin(Math.PI * (t - 2)) ** 2 : 0)];
  const images = make({ size: 160, frames: 3, seed: 33, path });
  const error = (deviation: string): number => {
    const { lines } = run(images, 160, { with: { deviation } });
    const off = [...lines.shift_col.values.subarray(160)].map(
      (col, k) => col - path(3 - lines.before_end.values[160 + k] / FRAME_S)[1],
    );
    return Math.hypot(...off) / Math.sqrt(160);
  };
  expect(error("0 {px}")).toBeGreaterThan(0.3);
  expect(error("1 {px}")).toBeLessThan(0.1);
});

test("frames of a series are chained, and errors add up", () => {
  const path: Path = (t) => [1.5 * t, -0.8 * t];
  const { lines, drift } = run(make({ size: 128, frames: 4, seed: 40, path }), 128);
  expect(drift.time.length).toBe(3);
  expect(pathError(lines, 128, path)).toBeLessThan(0.08);
  expect(lines.shift_row_se.values[2 * 128 + 5]).toBeGreaterThan(lines.shift_row_se.values[5]);
});

describe("what gives no drift says why", () => {
  const good = () => make({ size: 96, frames: 3, seed: 50, path: (t) => [t, t] });

  test.each([
    ["a flat frame", (d: Float32Array) => d.fill(7, 96 * 96, 2 * 96 * 96), 1],
    ["a frame that is mostly NaN", (d: Float32Array) => d.fill(NaN, 96 * 96, 1.7 * 96 * 96), 2],
    ["another place", (d: Float32Array) => d.set(make({ size: 96, frames: 1, seed: 99, path: () => [0, 0] }).data, 96 * 96), 5],
  ] as const)("%s", (_, spoil, why) => {
    const images = good();
    spoil(images.data);
    const { drift, lines, straight, faults } = run(images, 96);
    expect([...drift.valid]).toEqual([why, why]);
    expect(drift.velocity_row[0]).toBeNaN();
    expect(lines.shift_row.values[0]).toBeNaN();
    expect(straight.data[0]).toBeNaN();
    expect(faults[0].what).toMatch(/not known.*counted from this frame on/);
  }); // prettier-ignore

  test("a scan direction that the file does not say", () => {
    const images = good();
    images.slow_scan.fill(255);
    expect([...run(images, 96).drift.valid]).toEqual([3, 3]);
    expect([...run(images, 96, { with: { scan: "alternating" } }).drift.valid]).toEqual([0, 0]);
  });

  test("no column for it at all is told before the start", () => {
    const { slow_scan: _, ...images } = good();
    const without = { images: { data: image("m", { shape: [96, 96] }) } };
    expect(() => feed(withinFrame, { images }, { schema: without })).toThrow(/set scan to alternating/);
  });
});

test("lines of NaN do not count, and stay NaN", () => {
  const images = make({ size: 128, frames: 2, seed: 60, path: (t) => [t, -t] });
  images.data.fill(NaN, 128 * 128 + 40 * 128, 128 * 128 + 44 * 128);
  const { drift, straight } = run(images, 128);
  expect(Math.abs(drift.velocity_row[0] - 1)).toBeLessThan(0.05);
  expect(Number.isNaN(straight.data[43 * 128 + 60])).toBe(true);
});

test("of both directions only the first's frames are compared", () => {
  const images = make({ size: 96, frames: 2, seed: 61, path: (t) => [t, -t] });
  const both = {
    time: BigInt64Array.of(images.time[0]!, images.time[0]!, images.time[1]!, images.time[1]!),
    data: Float32Array.from([...images.data.subarray(0, 9216), ...images.data.subarray(0, 9216).toReversed(), ...images.data.subarray(9216), ...images.data.subarray(9216).toReversed()]),
    slow_scan: Int32Array.of(0, 0, 1, 1),
    duration: new Float64Array(4).fill(FRAME_S),
    direction: Int32Array.of(0, 1, 0, 1),
  }; // prettier-ignore
  expect(run(both, 96).drift).toEqual(run(images, 96).drift);
});

test("no frames, one frame: nothing; cut and reloaded anywhere: the same bits", () => {
  const images = make({ size: 64, frames: 4, seed: 70, path: (t) => [t, 0.5 * t] });
  expect(run(make({ size: 64, frames: 1, seed: 70, path: (t) => [t, t] }), 64).drift.time).toHaveLength(0);
  const whole = run(images, 64);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.subarray([1, 2, 3]), (rows, reloadAfter) => {
      expect(run(images, 64, { rows, reloadAfter })).toEqual(whole);
    }),
    { seed: 3, numRuns: 5 },
  );
});

const shared = new URL("../../../../shared/data/afm/drift/", import.meta.url);
describe.runIf(existsSync(shared))("the shared pair, scanned up and down", () => {
  const { vx_px_per_frame: vx, vy_px_per_frame: vy, log_creep_px: creep, creep_tau_frames: tau } = JSON.parse(
    readFileSync(new URL("truth.json", shared), "utf8"),
  )[2] as Record<string, number>; // prettier-ignore
  const bytes = readFileSync(new URL("updown_2x256x256_f32le.bin", shared));

  test("velocity to 0.02 px per frame, every line to 0.06 px", () => {
    const images = {
      time: BigInt64Array.of(BigInt(FRAME_S) * SECOND, BigInt(2 * FRAME_S) * SECOND),
      data: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
      slow_scan: Int32Array.of(0, 1),
      duration: Float64Array.of(FRAME_S, FRAME_S),
    };
    const { drift, lines } = run(images, 256, {
      with: { creep_time: `${tau! * FRAME_S} s`, deviation: "0 {px}" },
    });
    const path: Path = (t) => [vy! * t + creep! * Math.log(1 + t / tau!), vx! * t];
    expect(Math.abs(drift.velocity_row[0] - (path(2)[0] - path(1)[0]))).toBeLessThan(0.02);
    expect(Math.abs(drift.velocity_col[0] - vx!)).toBeLessThan(0.02);
    // 0.050 measured; its own standard errors say 0.03, and lines count from half a line later than the truth's.
    expect(pathError(lines, 256, path)).toBeLessThan(0.06);
  });
});
