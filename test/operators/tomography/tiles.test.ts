import { describe, expect, test } from "vitest";
import { horizontal, plane } from "../../../operators/tomography/planes.ts";
import {
  rowsFor,
  type KernelOptions,
  type Line,
  type SliceKernel,
} from "../../../operators/tomography/slice-kernel.ts";
import { tiledKernel } from "../../../operators/tomography/tiled-kernel.ts";
import { wasmKernel } from "../../../operators/tomography/wasm/slice-kernel.ts";

const noise = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((Math.imul((i + 1) * 2654435761, seed * 40503 + 1) >>> 0) / 2 ** 32) * 2 - 1); // prettier-ignore

const cols = 61;
const planesOf = {
  "a slice": [horizontal(20, 50)],
  "three orthogonal planes": [
    horizontal(20, cols),
    plane([0, 3, 20], [0, -1, 0], { rows: 41, cols }),
    plane([-4, 0, 20], [1, 0, 0], { rows: 41, cols }),
  ],
  "tilted planes, coarse and fine": [
    plane([0, 0, 20], [1, 0.3, 1], { rows: 33, cols: 40, pitch: 1.3 }),
    plane([1, 2, 20], [0, -1, 0.1], { rows: 38, cols: 40, pitch: 0.7 }),
  ],
};

/** What a stream of views does with a kernel; gives all pictures, and the rows that are kept. */
function work(kernel: SliceKernel, { planes, detectorRows }: KernelOptions): Float32Array[] {
  const given: Float32Array[] = [];
  const lines = (slot: number): Line[] =>
    [0.3, 1.9].map((theta_rad, k) => ({
      theta_rad: theta_rad + slot, axis: 30.2, shift_y: 0.4 * k, scale: 1,
      terms: [{ slot, weight: 0.1, mirrored: false }, { slot: Math.max(0, slot - 1), weight: -0.07, mirrored: true }],
    })); // prettier-ignore
  for (let slot = 0; slot < 40; slot++) {
    if (slot === 20) kernel.setWindow("hann");
    kernel.filter([noise(detectorRows.length * cols, slot)], [slot % 30]);
    kernel.add(slot % 3 === 2 ? 1 : 0, lines(slot % 30));
    if (slot % 13 === 5) planes.forEach((_, k) => given.push(kernel.scaled(0, k, 0.5).slice()));
  }
  kernel.put(7, noise(detectorRows.length * cols, 99));
  kernel.add(1, lines(7));
  given.push(kernel.rows(7), kernel.rows(12), ...kernel.save(1));
  kernel.clear(1);
  kernel.load(0, kernel.save(1));
  kernel.load(1, given.slice(-planes.length));
  kernel.settle();
  given.push(...kernel.save(0), ...kernel.save(1));
  kernel.close();
  return given;
}

describe("the same bits from any number of threads", () => {
  test.each(Object.entries(planesOf))("%s", (_, planes) => {
    const options: KernelOptions = {
      planes, detectorRows: rowsFor(planes, 41, 2), cols, window: "shepp-logan", padding: "edge", middleRow: 20, images: 2, fan: undefined,
    }; // prettier-ignore
    const wanted = work(wasmKernel(options), options);
    for (const threads of [2, 3]) expect(work(tiledKernel(options, threads), options)).toEqual(wanted);
  });
});
