/** A surface that is gone from one frame to the next, as when lithium plates: shifts begin anew where the drift led. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { driftImages } from "../../../operators/drift/images.ts";
import { readConfig } from "../../../runtime/config.ts";
import { code, image, scalar, type Fields, type SourceItem } from "../../../runtime/index.ts";
import { simulatedCell } from "../../../sources/simulated/cell.ts";
import { feed } from "../../helpers/feed.ts";
import { degraded, normal, random, scene, sceneAt, type Scene } from "./scene.ts";

type Offset = readonly [row: number, col: number];
const MINUTE = 60_000_000_000n;

/** Frames at these offsets, each of the scene that there is by then: another one from each of `gone` on. */
function watched(size: number, offsets: readonly Offset[], gone: readonly number[], seed = 1) {
  const scenes: Scene[] = [seed, ...gone.map((_, i) => seed + 1000 * (i + 1))].map((n) => scene(size, n));
  const uniform = random(40 + seed);
  const data = new Float32Array(offsets.length * size * size);
  offsets.forEach(([row, col], k) => {
    const now = scenes[gone.filter((at) => at <= k).length]!;
    data.set(degraded(now(size, size, row, col), size, size, uniform, { noise: 0.04, tilt: true, lines: true }), k * size * size);
  });
  return { time: BigInt64Array.from(offsets, (_, k) => BigInt(k) * MINUTE), data };
} // prettier-ignore

const evenly = (n: number): Offset[] => Array.from({ length: n }, (_, k) => [0.6 * k, -0.35 * k]);
/** A drift that wanders: its velocity changes a little all the time. */
function wandering(n: number, seed: number): Offset[] {
  const uniform = random(seed);
  let [row, col, down, right] = [0, 0, 0.8 * uniform() - 0.4, 0.8 * uniform() - 0.4];
  return Array.from({ length: n }, (): Offset => {
    const at = [row, col] as const;
    [down, right] = [down + 0.06 * normal(uniform), right + 0.06 * normal(uniform)];
    [row, col] = [row + down, col + right];
    return at;
  });
}

const track = (images: ReturnType<typeof watched>, size: number, options: object = {}, how: object = {}) =>
  feed(driftImages, { images }, { schema: { images: { data: image("nm", { shape: [size, size] }) } }, with: { ...options }, ...how }); // prettier-ignore
const said = (faults: readonly { time: bigint; what: string }[]) =>
  faults.map(({ time, what }) => [Number(time / MINUTE), what]);

describe("a surface that is another one from frame 12 on, while the drift goes on", () => {
  const offsets = evenly(20);
  const images = watched(64, offsets, [12]);

  test.each(["renewed", "previous"])("reference %s: from the second frame that agrees on it is followed again", (reference) => {
    const { drift, aligned, faults } = track(images, 64, { reference });
    expect(said(faults)).toEqual([
      [12, expect.stringMatching(/^frame is not placed/)],
      [13, expect.stringMatching(/^shifts begin anew at this frame: 2 frames in a row agree with each other but with none before \(.+\); it is taken to be where the drift led, 7\.\d\d ± 0\.\d\d px down and -4\.\d\d ± 0\.\d\d px to the right/)],
    ]);
    expect([...drift.valid].map((valid) => valid === 0)).toEqual(offsets.map((_, k) => k !== 12));
    expect([...drift.anchor]).toEqual(offsets.map((_, k) => (k < 13 ? 0 : 1)));
    expect([...aligned.anchor]).toEqual([...drift.anchor]);
    const error = { row: drift.shift_row[13] - offsets[13]![0], col: drift.shift_col[13] - offsets[13]![1] };
    expect(Math.abs(error.row)).toBeLessThan(2 * drift.shift_row_se[13]);
    expect(Math.abs(error.col)).toBeLessThan(2 * drift.shift_col_se[13]);
    // the drift is even: two frames ahead it is known to a small part of a pixel, and said to be known a little less well
    expect(Math.hypot(error.row, error.col)).toBeLessThan(0.1);
    expect(drift.shift_row_se[13]).toBeLessThan(0.3);
    for (let k = 14; k < 20; k++) {
      expect(Math.abs(drift.shift_row[k] - offsets[k]![0] - error.row)).toBeLessThan(0.08);
      expect(Math.abs(drift.shift_col[k] - offsets[k]![1] - error.col)).toBeLessThan(0.08);
      expect(drift.shift_row_se[k]).toBeGreaterThanOrEqual(drift.shift_row_se[13]);
      expect(aligned.shift_row_se[k]).toBe(drift.shift_row_se[k]);
    }
    const inside = aligned.data.subarray(19 * 4096 + 20 * 64 + 20, 19 * 4096 + 20 * 64 + 40);
    expect(inside.some(Number.isNaN)).toBe(false);
  });

  test("the velocity goes on with what was known of it, and is not better known for the gap", () => {
    const minutes = { metadata: { images: { pixel_size_x: "60", pixel_size_y: "60" } } }; // m: so that px per minute are m/s
    const { drift } = track(images, 64, {}, minutes);
    expect(drift.velocity_y[13]).toBeCloseTo(0.6, 1);
    expect(drift.velocity_x[13]).toBeCloseTo(-0.35, 1);
    expect(drift.velocity_y_se[13]).toBeGreaterThan(drift.velocity_y_se[11]);
    expect(Math.abs(drift.velocity_y[19] - 0.6)).toBeLessThan(3 * drift.velocity_y_se[19]);
    expect(drift.velocity_y_se[19]).toBeLessThan(drift.velocity_y_se[13]);
  });

  test("reference first: it is said once that shifts could begin anew, and how", () => {
    const { drift, faults } = track(images, 64, { reference: "first" });
    expect(faults.length).toBe(8);
    const hints = said(faults).filter(([, what]) => /with `reference: renewed` they would be followed/.test(String(what)));
    expect(hints.map(([k]) => k)).toEqual([13]);
    expect([...drift.anchor]).toEqual(Array(20).fill(0));
    expect(drift.shift_row[19]).toBeNaN();
  });

  test("reanchor_after 4 waits for four frames that agree, Infinity forever", () => {
    const late = track(images, 64, { reanchor_after: 4 });
    expect([...late.drift.anchor].indexOf(1)).toBe(15);
    expect(late.faults.length).toBe(4);
    expect(late.faults[3].what).toMatch(/4 frames in a row agree/);
    const never = track(images, 64, { reanchor_after: Infinity });
    expect(never.faults.length).toBe(8);
    expect([...never.drift.anchor]).toEqual(Array(20).fill(0));
  });

  test("cut anywhere, saved and loaded anywhere: the same bits", () => {
    const small = watched(32, evenly(9), [4, 7], 3);
    const whole = track(small, 32);
    expect(whole.drift.anchor.at(-1)).toBeGreaterThan(0);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }), (rows, reloadAfter) => {
        expect(track(small, 32, {}, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 6, numRuns: 8 },
    );
  });
}); // prettier-ignore

test("the error of the new beginning is what the drift may have done meanwhile", () => {
  // Four frames that show nothing lie between: five from the last one placed to the one that begins anew.
  let [chi2, within, n, late, early] = [0, 0, 0, 0, 0];
  for (let seed = 1; seed <= 24; seed++) {
    const offsets = wandering(20, seed);
    const images = watched(48, offsets, [12], seed);
    const blind = seed % 2 === 0;
    if (blind) images.data.fill(0, 12 * 48 * 48, 15 * 48 * 48);
    const { drift } = track(images, 48);
    const at = [...drift.anchor].indexOf(1);
    expect(at, `seed ${seed}`).toBe(blind ? 16 : 13);
    for (const [axis, name] of ["row", "col"].entries()) {
      const z = (drift[`shift_${name}`][at] - offsets[at]![axis]!) / drift[`shift_${name}_se`][at];
      chi2 += z * z;
      within += Math.abs(z) < 2 ? 1 : 0;
      n++;
      if (blind) late += drift[`shift_${name}_se`][at];
      else early += drift[`shift_${name}_se`][at];
    }
  }
  expect(within / n).toBeGreaterThan(0.9);
  expect(chi2 / n).toBeLessThan(1.5);
  expect(chi2 / n).toBeGreaterThan(0.15); // nor is it large for safety's sake
  expect(late).toBeGreaterThan(2 * early);
});

describe("where the drift is not known yet", () => {
  test("the frame is where the last one was, within what a frame can have moved and still be found", () => {
    const offsets = evenly(6);
    const { drift, faults } = track(watched(64, offsets, [1]), 64);
    expect(said(faults).map(([k]) => k)).toEqual([1, 2]);
    expect([drift.shift_row[2], drift.shift_col[2]]).toEqual([0, 0]);
    expect(drift.shift_row_se[2]).toBeCloseTo((2 * 64) / Math.sqrt(12), 9);
    for (let k = 3; k < 6; k++) {
      expect(drift.shift_row[k] - drift.shift_row[2]).toBeCloseTo(0.6 * (k - 2), 1);
      expect(drift.shift_row_se[k]).toBeGreaterThan(30);
    }
    expect(drift.velocity_x[2]).toBeNaN();
  });
});

test("frames that agree with nothing, not even each other, begin nothing", () => {
  const images = watched(48, evenly(12), [8]);
  const uniform = random(77);
  for (let i = 8 * 48 * 48; i < images.data.length; i++) images.data[i] = normal(uniform);
  const { drift, faults } = track(images, 48);
  expect(faults.length).toBe(4);
  expect([...drift.anchor]).toEqual(Array(12).fill(0));
});

test("a flat frame between two that agree is no matter", () => {
  const images = watched(64, evenly(12), [7]);
  images.data.fill(0, 8 * 4096, 9 * 4096);
  const { drift } = track(images, 64);
  expect([...drift.valid]).toEqual([0, 0, 0, 0, 0, 0, 0, expect.toBeOneOf([2, 3, 4]), 1, 0, 0, 0]);
  expect(drift.anchor[9]).toBe(1);
});

test("a scanner that was moved meanwhile is reckoned with, and retrace frames go along", () => {
  const offsets = evenly(16);
  const moved = (k: number): Offset => (k < 11 ? [0, 0] : [7, -5]);
  const seen = watched(64, offsets.map(([row, col], k): Offset => [row + moved(k)[0], col + moved(k)[1]]), [10]);
  const n = 2 * offsets.length;
  const images = {
    time: BigInt64Array.from({ length: n }, (_, i) => seen.time[i >> 1]!),
    direction: Int32Array.from({ length: n }, (_, i) => i % 2),
    center_x: Float64Array.from({ length: n }, (_, i) => moved(i >> 1)[1] * 1e-9),
    center_y: Float64Array.from({ length: n }, (_, i) => moved(i >> 1)[0] * 1e-9),
    data: Float32Array.from({ length: n * 4096 }, (_, i) => seen.data[(i >> 13) * 4096 + (i & 4095)]!),
  };
  const fields: Fields = { data: image("nm", { shape: [64, 64] }), direction: code(), center_x: scalar("m"), center_y: scalar("m") };
  const { drift, aligned } = feed(driftImages, { images }, { schema: { images: fields }, metadata: { images: { pixel_size_x: "1e-9", pixel_size_y: "1e-9" } } });
  const at = [...drift.anchor].indexOf(1);
  expect(at).toBe(11);
  for (let k = at; k < 16; k++) {
    expect(Math.abs(drift.shift_y[k] - 0.6e-9 * k)).toBeLessThan(3 * drift.shift_y_se[k]);
    expect(drift.shift_y_se[k]).toBeLessThan(0.4e-9);
    expect(aligned.shift_row[2 * k + 1]).toBe(drift.shift_row[k]);
    expect(aligned.anchor[2 * k + 1]).toBe(1);
  }
  expect(aligned.anchor[2 * at - 1]).toBe(0);
}); // prettier-ignore

test("with rotation: turns from the new beginning on add to where it was turned, with an error for what is not known", () => {
  const [size, step, gone] = [64, (0.3 * Math.PI) / 180, 5];
  const scenes = [sceneAt(17), sceneAt(18)];
  const uniform = random(3);
  const data = new Float32Array(9 * size * size);
  const middle = (size - 1) / 2;
  for (let k = 0, i = 0; k < 9; k++) {
    const [cos, sin] = [Math.cos(k * step), Math.sin(k * step)];
    for (let r = -middle; r <= middle; r++) {
      for (let c = -middle; c <= middle; c++, i++) {
        data[i] = scenes[k < gone ? 0 : 1]!(0.8 * k + cos * r + sin * c, -0.5 * k + cos * c - sin * r) + 0.05 * normal(uniform);
      }
    }
  }
  const images = { time: BigInt64Array.from({ length: 9 }, (_, k) => BigInt(k) * MINUTE), data };
  const { drift } = track(images, size, { rotation: true });
  expect([...drift.anchor]).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1]);
  expect(drift.angle[6]).toBe(drift.angle[4]);
  for (let k = 6; k < 9; k++) {
    expect(Math.abs(drift.angle[k] - 0.3 * k)).toBeLessThan(2 * drift.angle_se[k]);
    expect(drift.angle[k] - drift.angle[6]).toBeCloseTo(0.3 * (k - 6), 1);
    expect(drift.shift_row[k] - drift.shift_row[6]).toBeCloseTo(0.8 * (k - 6), 0);
    expect(Math.abs(drift.shift_row[k] - 0.8 * k)).toBeLessThan(3 * drift.shift_row_se[k]);
  }
}); // prettier-ignore

test("a surface that comes back is placed on what was seen of it before", () => {
  const offsets = wandering(24, 4);
  const bare = watched(64, offsets, []);
  const covered = watched(64, offsets, [0], 5);
  bare.data.set(covered.data.subarray(8 * 4096, 16 * 4096), 8 * 4096);
  const { drift, faults } = track(bare, 64);
  expect([...drift.anchor]).toEqual(offsets.map((_, k) => (k < 9 ? 0 : k < 17 ? 1 : 2)));
  expect(said(faults).map(([k]) => k)).toEqual([8, 9, 16, 17]);
  expect(faults[3].what).toMatch(/it agrees with one of long before, -?\d+\.\d\d ± 0\.0\d px down/);
  expect(drift.shift_row_se[12]).toBeGreaterThan(0.1);
  for (let k = 17; k < 24; k++) {
    expect(Math.hypot(drift.shift_row[k] - offsets[k]![0], drift.shift_col[k] - offsets[k]![1])).toBeLessThan(
      0.1,
    );
    expect(drift.shift_row_se[k]).toBeLessThan(0.06);
  }
});

describe("the simulated cell, charged too fast: lithium covers the surface between two frames, and is stripped again", () => {
  const size = 96;
  const seen = (async () => {
    const { config, problems } = readConfig(simulatedCell.config, {
      scenario: "plating", onset_cycle: 1, c_rate: 2, duration: "0.6 h", drops: 0,
      instruments: ["topography", "truth"], topography_size: size, topography_interval: "180 s", truth_interval: "2 s",
    });
    expect(problems).toEqual([]);
    const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: "" };
    const [time, data, x_px, y_px, at] = [[], [], [], [], []] as [bigint[], number[], number[], number[], bigint[]];
    const pixel_nm = 500 / size;
    for await (const { rows = {} } of simulatedCell.open(config, context) as AsyncIterable<SourceItem>) {
      const { topography, truth } = rows as unknown as Record<string, Record<string, Float64Array> & { time: BigInt64Array }>;
      if (topography) for (const z of topography["data"]!) data.push(z);
      time.push(...(topography?.time ?? []));
      at.push(...(truth?.time ?? []));
      x_px.push(...(truth?.["microscope_drift_x"] ?? []).map((nm) => nm / pixel_nm));
      y_px.push(...(truth?.["microscope_drift_y"] ?? []).map((nm) => nm / pixel_nm));
    }
    // What a frame's shift is: the mean over the time that it took
    const mean = (of: number[], end: bigint): number => {
      const during = of.filter((_, i) => at[i]! <= end && at[i]! > end - 180n * 1_000_000_000n);
      return during.reduce((a, b) => a + b) / during.length;
    };
    const truth = time.map((end): Offset => [mean(y_px, end) - mean(y_px, time[0]!), mean(x_px, end) - mean(x_px, time[0]!)]);
    return { images: { time: BigInt64Array.from(time), data: Float32Array.from(data) }, truth };
  })();

  test("what is covered begins anew, what is bare again is where it is", async () => {
    const { images, truth } = await seen;
    expect(images.time.length).toBe(12);
    const { drift, faults } = track(images, size);
    expect([...drift.anchor]).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
    expect([...drift.valid].flatMap((valid, k) => (valid === 0 ? [] : [k]))).toEqual([2, 9]);
    expect(faults.length).toBe(4);
    for (const k of [10, 11]) {
      // Drift within a frame shears it, so that its shift is not quite the mean.
      expect(Math.hypot(drift.shift_row[k] - truth[k]![0], drift.shift_col[k] - truth[k]![1]), `frame ${k}`).toBeLessThan(1);
      expect(drift.shift_row_se[k]).toBeLessThan(0.3);
    }
  });

  test("without it, nothing is placed any more", async () => {
    const { drift } = track((await seen).images, size, { reanchor_after: Infinity });
    expect([...drift.valid].slice(2, 9).every((valid) => valid !== 0)).toBe(true);
  });
}); // prettier-ignore
