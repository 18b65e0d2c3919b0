import { describe, expect, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, psnr, type Ellipse } from "./phantom.ts";

const COLS = 64;
/** Source to axis, in pixels of the detector at the sample: a wide fan, 17 deg to either side. */
const D = 100;

/** Line integrals of ellipses along the rays of a fan, exact; the source stands at (D sin θ, -D cos θ). */
function fan(ellipses: readonly Ellipse[], theta_deg: number, axis: number): Float64Array {
  const theta = (theta_deg * Math.PI) / 180;
  const [sx, sy] = [D * Math.sin(theta), -D * Math.cos(theta)];
  return Float64Array.from({ length: COLS }, (_, c) => {
    // through the point of the virtual detector at the axis
    const t = c - axis;
    let [dx, dy] = [t * Math.cos(theta) - sx, t * Math.sin(theta) - sy];
    const length = Math.hypot(dx, dy);
    [dx, dy] = [dx / length, dy / length];
    let p = 0;
    for (const { x, y, a, b, angle_deg, attenuation } of ellipses) {
      const phi = (angle_deg * Math.PI) / 180;
      const turn = (u: number, v: number) => [(u * Math.cos(phi) + v * Math.sin(phi)) / a, (v * Math.cos(phi) - u * Math.sin(phi)) / b] as const; // prettier-ignore
      const [ox, oy] = turn(sx - x, sy - y);
      const [ex, ey] = turn(dx, dy);
      const [A, B, C] = [ex * ex + ey * ey, ox * ex + oy * ey, ox * ox + oy * oy - 1];
      if (B * B > A * C) p += (2 * Math.sqrt(B * B - A * C) * attenuation) / A;
    }
    return p;
  });
}

const truth = (): Float64Array =>
  Float64Array.from({ length: COLS * COLS }, (_, i) => {
    const [x, y] = [(i % COLS) - 31.5, 31.5 - Math.floor(i / COLS)];
    let f = 0;
    for (const e of cell(COLS)) {
      const phi = (e.angle_deg * Math.PI) / 180;
      const [u, v] = [(x - e.x) * Math.cos(phi) + (y - e.y) * Math.sin(phi), (y - e.y) * Math.cos(phi) - (x - e.x) * Math.sin(phi)]; // prettier-ignore
      if ((u / e.a) ** 2 + (v / e.b) ** 2 <= 1) f += e.attenuation;
    }
    return f;
  });

const metadata = { geometry: "fan", source_distance: String(D * 5e-6), sample_pixel_size_x: "5e-6" };
function reconstruct(angles: readonly number[], axis: number, options: Record<string, unknown> = {}, said: Record<string, string> = metadata, rows = 1) {
  const one = angles.map((angle) => fan(cell(COLS), angle, axis));
  const projections = {
    time: BigInt64Array.from(angles, (_, k) => BigInt(k) * 1_000_000_000n),
    data: Float32Array.from(one.flatMap((line) => Array.from({ length: rows }, () => [...line.map((x) => Math.exp(-x))]).flat())),
    rotation_angle: Float64Array.from(angles),
  };
  const schema = { projections: { ...incremental.input.projections, data: image("1", { shape: [rows, COLS] }) } };
  return feed(incremental, { projections }, {
    schema, metadata: { projections: said },
    with: { axis, filter: "ram-lak", window: "360 deg", every: 1000, max_gap: "12 deg", ...options },
  });
} // prettier-ignore
const turn = (n: number, step = 360 / n): number[] => Array.from({ length: n }, (_, k) => k * step);

describe("a fan beam, a full turn", () => {
  test.each(["wasm", "typescript"])("finds the attenuation that the phantom was made with (%s)", (kernel) => {
    const fed = reconstruct(turn(180), 31.5, { kernel });
    const picture = fed.slices.data.slice(-COLS * COLS);
    const wanted = truth();
    const mean = (of: ArrayLike<number>, x: number, y: number): number => {
      let sum = 0;
      for (let r = -2; r <= 2; r++)
        for (let c = -2; c <= 2; c++)
          sum += of[(Math.round(31.5 - y) + r) * COLS + Math.round(31.5 + x) + c]!;
      return sum / 25;
    };
    for (const [x, y] of [[6.4, 9.6], [-9.6, -6.4], [16, -14]] as const)
      expect(mean(picture, x, y)).toBeCloseTo(mean(wanted, x, y), 2.9); // prettier-ignore
    expect(psnr(picture, Float64Array.from(wanted))).toBeGreaterThan(19);
    expect(fed.slices.coverage.at(-1)).toBeCloseTo(360, 9);
    expect(fed.slices.radius.at(-1)).toBeCloseTo((D * 31.5) / Math.hypot(D, 31.5), 6);
  });

  test("parallel formulas would blur it", () => {
    const fan = reconstruct(turn(180), 31.5).slices.data.slice(-COLS * COLS);
    const parallel = reconstruct(turn(180), 31.5, {}, {}).slices.data.slice(-COLS * COLS);
    const wanted = Float64Array.from(truth());
    expect(psnr(fan, wanted)).toBeGreaterThan(psnr(parallel, wanted) + 3);
  });

  test("off the middle, and any number of turns: the view of the same angle is replaced", () => {
    const once = reconstruct(turn(60), 29.3).slices.data.slice(-COLS * COLS);
    const fed = reconstruct(turn(200, 6), 29.3);
    expect(fed.slices.views.at(-1)).toBe(60);
    expect(psnr(fed.slices.data.slice(-COLS * COLS), Float64Array.from(once))).toBeGreaterThan(100);
  });

  test("a half-turn is not enough", () => {
    expect(() => reconstruct(turn(10), 31.5, { window: "180 deg" })).toThrow(/a half-turn shows all only in a parallel beam; set window: 360 deg/); // prettier-ignore
    expect(() => reconstruct(turn(10), 31.5, {}, { geometry: "fan" })).toThrow(/needs the distance of its source and the size of a pixel/); // prettier-ignore
    expect(() => reconstruct(turn(10), 31.5, {}, { geometry: "spiral" })).toThrow(/geometry "spiral" of the stream is not known/); // prettier-ignore
  });
});

describe("a cone beam", () => {
  const cone = { ...metadata, geometry: "cone" };
  test("its middle slice is a fan, others are refused", () => {
    const middle = reconstruct(turn(60), 31.5, { slices: [4] }, cone, 9).slices.data.slice(-COLS * COLS);
    expect(middle).toEqual(reconstruct(turn(60), 31.5).slices.data.slice(-COLS * COLS));
    expect(() => reconstruct(turn(10), 31.5, { slices: [0] }, cone, 9)).toThrow(/only the middle slice of a cone beam, row 4, .* points move by 1\.3 rows/); // prettier-ignore
    expect(() => reconstruct(turn(10), 31.5, { planes: { front: "y=0" } }, cone, 9)).toThrow(/only the middle slice/); // prettier-ignore
  });
});
