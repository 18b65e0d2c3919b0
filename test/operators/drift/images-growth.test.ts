/**
 * The recipe of scenes without interpolation: waves of 6 to 120 px and grains, rendered where the frame looks; noise
 * of 5 % of the relief, tilt, line offsets, and new grains in the second frame of a pair. Scenes and noise are other
 * ones than those that the method was made with.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { makeComparison, type Comparison } from "../../../operators/drift/compare.ts";
import { driftImages } from "../../../operators/drift/images.ts";
import { level } from "../../../operators/drift/level.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { addBumps, degraded, growthOver, random, rmsOf, scene, type Bump } from "./scene.ts";

const PROBE = { noise: 0.05, tilt: true, lines: true };

interface Measured {
  readonly rms_px: number;
  readonly max_px: number;
  /** Mean square of the standard errors, as a root. */
  readonly se_px: number;
  /** Share of errors, by axis, within two standard errors. */
  readonly covered: number;
  readonly changeShare: number;
}

/** `count` pairs of a size, of which the second has new grains on a share of it. */
function measure(size: number, share: number, { count, seed, sigma = 6 }: { count: number; seed: number; sigma?: number }): Measured {
  const { picture, compare } = makeComparison(size, size, { lineOffsets: true, turning: false, minOverlap: 0.25 });
  const render = scene(size, seed, { waves: 200, grains: 60 });
  const first = render(size, size, 0, 0);
  const rms = rmsOf(first);
  const uniform = random(seed + 5000);
  let [squares, variances, covered, max, changed] = [0, 0, 0, 0, 0];
  for (let k = 0; k < count; k++) {
    const [row, col] = [16 * uniform() - 8, 16 * uniform() - 8];
    const second = render(size, size, row, col);
    if (share > 0) addBumps(second, size, size, 0, 0, growthOver(size, share, uniform, { sigma, height: 1.5 * rms }));
    const [a, b] = [first, second].map((frame) => {
      const seen = degraded(frame, size, size, uniform, { ...PROBE, rms });
      return picture(level(seen, size, size, "means"));
    }) as [ReturnType<typeof picture>, ReturnType<typeof picture>];
    const found = compare(a, b, { row: 0, col: 0, angle: 0 }) as Comparison;
    const errors = [found.row - row, found.col - col];
    squares += errors[0]! ** 2 + errors[1]! ** 2;
    max = Math.max(max, Math.hypot(errors[0]!, errors[1]!));
    variances += found.covariance[0]![0]! + found.covariance[1]![1]!;
    errors.forEach((error, i) => (covered += Math.abs(error) <= 2 * Math.sqrt(found.covariance[i]![i]!) ? 1 : 0));
    changed += found.changeShare;
  }
  return {
    rms_px: Math.sqrt(squares / count), max_px: max, se_px: Math.sqrt(variances / count), covered: covered / (2 * count),
    changeShare: changed / count,
  };
} // prettier-ignore

describe("a pair of frames, 256²", () => {
  // Per cent of the frame that has grown, and what the error may be [px].
  const aims = [[0, 0.01], [10, 0.05], [30, 0.1], [50, 0.2]] as const; // prettier-ignore
  const found: Record<number, Measured> = {};
  beforeAll(() => {
    for (const [share] of aims) found[share] = measure(256, share / 100, { count: 10, seed: 9001 });
  }, 60_000);

  test.each(aims)("%i %% grown: within %d px rms", (share, most_px) => {
    expect(found[share]!.rms_px).toBeLessThan(most_px);
  });

  test("errors are within two standard errors in nine of ten cases, and more growth has larger ones", () => {
    const all = aims.map(([share]) => found[share]!);
    expect(all.reduce((sum, { covered }) => sum + covered, 0) / all.length).toBeGreaterThan(0.9);
    for (let i = 1; i < all.length; i++) expect(all[i]!.se_px).toBeGreaterThan(all[i - 1]!.se_px);
    // and they are not large for safety's sake
    for (const { rms_px, se_px } of all) expect(se_px).toBeLessThan(2 * rms_px);
  });

  test("what has grown is told: nothing of nothing, else what stands out of the noise", () => {
    expect(found[0]!.changeShare).toBeLessThan(0.01);
    for (const share of [10, 30, 50]) {
      expect(found[share]!.changeShare).toBeGreaterThan(share / 100);
      expect(found[share]!.changeShare).toBeLessThan((1.8 * share) / 100);
    }
  });

  test.each([
    ["small and steep", 3],
    ["broad", 15],
  ])("grains that are %s", (_, sigma) => {
    const { rms_px, covered } = measure(256, 0.3, { count: 8, seed: 9100 + sigma, sigma });
    expect(rms_px).toBeLessThan(0.1);
    expect(covered).toBeGreaterThan(0.8); // of 16
  });
});

test("a comparison begun where it will end says what one says that looks for its place, by a fifth of its error", () => {
  const size = 128;
  const { picture, compare, compareNear } = makeComparison(size, size, { lineOffsets: true, turning: false, minOverlap: 0.25 });
  const render = scene(size, 61, { waves: 100 });
  const first = render(size, size, 0, 0);
  const rms = rmsOf(first);
  const uniform = random(62);
  for (let k = 0; k < 8; k++) {
    const [row, col] = [6 * uniform() - 3, 6 * uniform() - 3];
    const second = render(size, size, row, col);
    addBumps(second, size, size, 0, 0, growthOver(size, 0.05 * k, uniform, { height: 1.5 * rms }));
    const [a, b] = [first, second].map((frame) => picture(level(degraded(frame, size, size, uniform, { ...PROBE, rms }), size, size, "means"))) as [ReturnType<typeof picture>, ReturnType<typeof picture>];
    const whole = compare(a, b, { row: 0, col: 0, angle: 0 }) as Comparison;
    const near = compareNear(a, b, { row: whole.row + 0.03, col: whole.col - 0.03, angle: 0 })!;
    const error = Math.sqrt(whole.covariance[0]![0]! + whole.covariance[1]![1]!);
    expect(Math.hypot(near.row - whole.row, near.col - whole.col), `pair ${k}`).toBeLessThan(0.2 * error);
    const ratio = near.covariance[0]![0]! / whole.covariance[0]![0]!;
    expect(Math.abs(Math.log(ratio)), `pair ${k}`).toBeLessThan(0.25);
  }
}); // prettier-ignore

test("512²: within 0.005 px, with growth within 0.05 px", { timeout: 60_000 }, () => {
  expect(measure(512, 0, { count: 5, seed: 9201 }).rms_px).toBeLessThan(0.005);
  expect(measure(512, 0.3, { count: 4, seed: 9202 }).rms_px).toBeLessThan(0.05);
});

describe("a surface that is replaced while it is watched", { timeout: 60_000 }, () => {
  // 60 frames, each with new grains on 15 % of it: at the end the frame is covered nine times over.
  const [size, frames] = [96, 60];
  const course = (k: number): readonly [number, number] => [0.31 * k + 0.4 * Math.sin(k / 5), -0.17 * k + 0.3 * (Math.cos(k / 7) - 1)];
  const watched = (seed: number) => {
    const render = scene(size, seed, { grains: 40 });
    const rms = rmsOf(render(size, size, 0, 0));
    const uniform = random(seed + 600);
    const grown: Bump[] = [];
    const data = new Float32Array(frames * size * size);
    for (let k = 0; k < frames; k++) {
      const [row, col] = course(k);
      if (k > 0) {
        const fresh = growthOver(size, 0.15, uniform, { sigma: 2 + 4 * uniform(), height: rms });
        grown.push(...fresh.map((bump) => ({ ...bump, row: bump.row + row, col: bump.col + col })));
      }
      const frame = render(size, size, row, col);
      addBumps(frame, size, size, row, col, grown);
      data.set(degraded(frame, size, size, uniform, { ...PROBE, rms }), k * size * size);
    }
    return { time: BigInt64Array.from({ length: frames }, (_, k) => BigInt(k) * 60_000_000_000n), data };
  };
  const fed = (images: ReturnType<typeof watched>, options: object) =>
    feed(driftImages, { images }, { schema: { images: { data: image("nm", { shape: [size, size] }) } }, with: { ...options } });
  const errorAt = (drift: { shift_row: Float64Array; shift_col: Float64Array }, k: number): number =>
    Math.hypot(drift.shift_row[k]! - course(k)[0], drift.shift_col[k]! - course(k)[1]);

  test("is followed by a reference that is renewed, and lost by one that stays", () => {
    const images = watched(31);
    const { drift, faults } = fed(images, {});
    expect(faults).toEqual([]);
    expect(errorAt(drift, frames - 1)).toBeLessThan(0.3);
    let covered = 0;
    for (let k = 1; k < frames; k++) {
      if (errorAt(drift, k) <= 2 * Math.hypot(drift.shift_row_se[k], drift.shift_col_se[k])) covered++;
    }
    expect(covered / (frames - 1)).toBeGreaterThan(0.9);

    const fixed = fed(images, { reference: "first" });
    expect(fixed.faults.length).toBeGreaterThan(5);
    expect(fixed.drift.shift_row.at(-1)).toBeNaN();
  });
}); // prettier-ignore
