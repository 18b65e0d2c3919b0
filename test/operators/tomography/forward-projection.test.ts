import { describe, expect, test } from "vitest";
import { FORWARD_KERNELS } from "../../../operators/tomography/forward-projection.ts";
import { horizontal, type Plane } from "../../../operators/tomography/planes.ts";
import { KERNELS } from "../../../operators/tomography/slice-kernel.ts";
import { cell, project, type Ellipse } from "./phantom.ts";

/** The ellipses as a picture: each pixel the mean over 8 × 8 places of it. */
function drawn(ellipses: readonly Ellipse[], plane: Plane): Float32Array {
  const { rows, cols, x: x0, y: y0, alongX, downY } = plane;
  const picture = new Float32Array(rows * cols);
  for (let i = 0; i < picture.length; i++) {
    for (let k = 0; k < 64; k++) {
      const x = x0 + ((i % cols) + ((k & 7) - 3.5) / 8) * alongX;
      const y = y0 + (Math.floor(i / cols) + ((k >> 3) - 3.5) / 8) * downY;
      for (const e of ellipses) {
        const turn = (e.angle_deg * Math.PI) / 180;
        const [dx, dy] = [x - e.x, y - e.y];
        const u = (dx * Math.cos(turn) + dy * Math.sin(turn)) / e.a;
        const v = (dy * Math.cos(turn) - dx * Math.sin(turn)) / e.b;
        if (u * u + v * v < 1) picture[i]! += e.attenuation / 64;
      }
    }
  }
  return picture;
}

const view = (theta_deg: number, axis: number, scale = 1) => ({
  theta_rad: (theta_deg * Math.PI) / 180, axis, shift_y: 0, scale,
}); // prettier-ignore
const peakOf = (row: ArrayLike<number>): number => Math.max(...Array.from(row, Math.abs));
const noise = (n: number): Float32Array => {
  let seed = 7;
  return Float32Array.from({ length: n }, () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.3);
};
const ANGLES = [0, 0.3, 17, 44.999, 45, 45.001, 73, 90, 91.7, 135, 179.9, 180, 201, 270, 303.3, -12, 725];

describe("the line integrals of the phantom", () => {
  test.each(["wasm", "typescript"] as const)("as its ellipses have them (%s)", (name) => {
    const cols = 128;
    const axis = 61.3;
    const plane = horizontal(0, 128);
    const kernel = FORWARD_KERNELS[name]({ plane, cols });
    kernel.load(drawn(cell(cols), plane));
    const p = new Float32Array(cols);
    for (const angle of ANGLES) {
      kernel.project(view(angle, axis), p);
      const exact = project(cell(cols), angle, cols, axis);
      let sum = 0;
      for (let t = 0; t < cols; t++) sum += (p[t]! - exact[t]!) ** 2;
      // pixels are squares, and the can's wall is five of them thick
      expect(Math.sqrt(sum / cols) / peakOf(exact)).toBeLessThan(0.02);
      const mass = p.reduce((a, b) => a + b, 0) / exact.reduce((a, b) => a + b, 0);
      expect(mass).toBeCloseTo(1, 2.5);
    }
  });

  test("of a disc that has swollen: rays are longer with it", () => {
    const plane = horizontal(0, 100);
    const kernel = FORWARD_KERNELS.wasm({ plane, cols: 120 });
    const disc = { x: 3, y: 5, a: 30, b: 30, angle_deg: 0, attenuation: 0.01 };
    kernel.load(drawn([disc], plane));
    const p = new Float32Array(120);
    kernel.project(view(25, 59.5, 1.1), p);
    const exact = project([{ ...disc, x: 3.3, y: 5.5, a: 33, b: 33 }], 25, 120, 59.5);
    expect(Math.max(...p.map((x, t) => Math.abs(x - exact[t]!)))).toBeLessThan(0.06 * peakOf(exact)); // at its edge;
  });
});

describe("both kernels", () => {
  test.each([
    ["square", horizontal(0, 64), 64, 31.5, 1],
    ["odd, off the middle, shifted", horizontal(0, 61, { x: 5, y: -9 }), 66, 30.2, 1],
    ["a circle", horizontal(0, 64, { radius: 27.3 }), 64, 29.9, 1],
    ["a circle about the axis of a region", horizontal(0, 33, { x: 12, y: 4, radius: 24 }), 64, 33, 1],
    ["coarse", horizontal(0, 33, { pitch: 2 }), 67, 33.3, 1],
    ["fine and small", horizontal(0, 65, { pitch: 0.7 }), 48, 20, 0.95],
    ["wider than the detector", horizontal(0, 90), 40, 19.5, 1.03],
    ["not square", { ...horizontal(0, 64), rows: 37 }, 70, 34, 1],
  ])("agree to 2e-6 of the peak: %s", (_, plane, cols, axis, scale) => {
    const picture = noise(plane.rows * plane.cols);
    const [wasm, plain] = (["wasm", "typescript"] as const).map((name) => FORWARD_KERNELS[name]({ plane, cols }));
    wasm!.load(picture);
    plain!.load(picture);
    const [a, b] = [new Float32Array(cols), new Float32Array(cols)];
    for (const angle of ANGLES) {
      wasm!.project(view(angle, axis, scale), a);
      plain!.project(view(angle, axis, scale), b);
      const off = Math.max(...a.map((x, t) => Math.abs(x - b[t]!)));
      expect(off / peakOf(b)).toBeLessThan(2e-6);
    }
  }); // prettier-ignore

  test("agree at 1024 columns, and a view's bits do not depend on those before it", () => {
    const plane = horizontal(0, 1024, { radius: 511 });
    const picture = noise(1024 * 1024);
    const [wasm, plain] = (["wasm", "typescript"] as const).map((name) => FORWARD_KERNELS[name]({ plane, cols: 1024 }));
    wasm!.load(picture);
    plain!.load(picture);
    const [a, b] = [new Float32Array(1024), new Float32Array(1024)];
    for (const angle of [30, 61]) {
      wasm!.project(view(angle, 511.5), a);
      plain!.project(view(angle, 511.5), b);
      expect(Math.max(...a.map((x, t) => Math.abs(x - b[t]!))) / peakOf(b)).toBeLessThan(2e-6);
    }
    wasm!.project(view(10, 511.5), b);
    wasm!.project(view(61, 511.5), b);
    expect(b).toEqual(a);
  }); // prettier-ignore
});

test("is the transpose of back-projection, but for how either interpolates", () => {
  const cols = 96;
  const plane = horizontal(0, 96, { radius: 44 });
  const picture = noise(cols * cols).map((x, i) => x * Math.exp(-((((i % cols) - 50) / 20) ** 2 + ((i / cols - 44) / 18) ** 2)));
  const row = Float32Array.from({ length: cols }, (_, t) => Math.exp(-(((t - 52) / 11) ** 2)) * Math.cos(t / 9));
  const forward = FORWARD_KERNELS.wasm({ plane, cols });
  const back = KERNELS.wasm({ planes: [plane], detectorRows: [0], cols, window: "ram-lak", padding: "zero", middleRow: 0, images: 1 });
  forward.load(picture);
  back.put(0, row);
  const p = new Float32Array(cols);
  for (const angle of ANGLES) {
    forward.project(view(angle, 46.8), p);
    back.clear(0);
    back.add(0, [{ ...view(angle, 46.8), terms: [{ slot: 0, weight: 1, mirrored: false }] }]);
    const image = back.scaled(0, 0, 1);
    const [one, other] = [p.reduce((sum, x, t) => sum + x * row[t]!, 0), picture.reduce((sum, f, i) => sum + f * image[i]!, 0)];
    expect(one / other).toBeCloseTo(1, 1.7);
  }
}); // prettier-ignore
