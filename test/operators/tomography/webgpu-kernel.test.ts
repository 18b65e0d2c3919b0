// The slice kernel that waits for a device in a thread of its own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { horizontal, plane } from "../../../operators/tomography/planes.ts";
import {
  KERNELS,
  rowsFor,
  type KernelOptions,
  type Line,
} from "../../../operators/tomography/slice-kernel.ts";
import { webgpuDevice, webgpuKernel } from "../../../operators/tomography/webgpu/kernel.ts";
import { WiringError } from "../../../runtime/index.ts";
import { play, type Step } from "./webgpu/play.ts";

const planes = [horizontal(5, 40), plane([0, 0, 5], [0.2, -1, 0.1], { rows: 9, cols: 30, pitch: 1.2 })];
const options: KernelOptions = {
  planes, detectorRows: rowsFor(planes, 12, 1), cols: 43, window: "shepp-logan", padding: "edge", middleRow: 5, images: 2,
}; // prettier-ignore
const line = (view: number): Line => ({
  theta_rad: 0.7 * view, axis: 20.3, shift_y: 0, scale: view % 3 ? 1 : 1.01,
  terms: [{ slot: view % 20, weight: 0.1, mirrored: false }, { slot: 0, weight: -0.1, mirrored: true }],
}); // prettier-ignore
/** More of each than there is room for at once. */
const steps: Step[] = [
  { op: "put", slot: 0, seed: 99 },
  ...Array.from({ length: 50 }, (_, view): Step[] => [
    { op: "filter", slot: view % 20, seed: view },
    { op: "add", image: view % 7 === 3 ? 1 : 0, lines: [line(view)] },
  ]).flat(),
  { op: "add", image: 1, lines: Array.from({ length: 40 }, (_, view) => line(view)) },
  { op: "reload", slots: 20 },
  { op: "setWindow", window: "hann" },
  { op: "filter", slot: 3, seed: 5 },
  { op: "rows", slot: 3 },
  { op: "settle" },
  { op: "scaled", image: 1, plane: 1, factor: 0.5 },
  { op: "clear", image: 1 },
  ...[0, 1].flatMap((image) => [0, 1].map((plane): Step => ({ op: "scaled", image, plane, factor: 1 }))),
];

describe("what is to be done goes through shared memory", () => {
  // In place of Dawn: the kernel in TypeScript, of the same build as the thread.
  let folder: string;
  const stand = (name: string, code: string): string => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, code);
    return pathToFileURL(file).href;
  };
  const built = new URL("../../../dist/operators/tomography/slice-kernel.js", import.meta.url).href;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "operando-device-"))));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("with the same bits as without", async () => {
    const driver = stand("twin", `export { KERNELS } from "${built}"; import { KERNELS } from "${built}"; export const open = KERNELS.typescript;`); // prettier-ignore
    const wanted = await play(KERNELS.typescript, options, steps);
    expect(await play((given) => webgpuKernel(given, { driver }), options, steps)).toEqual(wanted);
  });

  test("what goes wrong on the device is thrown where the kernel is waited for", () => {
    const lost = stand("lost", `export const open = () => ({ add: async () => {}, settle: async () => { throw new Error("the device was lost"); } });`); // prettier-ignore
    const kernel = webgpuKernel(options, { driver: lost });
    kernel.add(0, [line(1)]);
    expect(() => kernel.settle()).toThrow("kernel: webgpu: the device was lost");
    const none = stand("none", `throw new Error("no such thing");`);
    expect(() => webgpuKernel(options, { driver: none })).toThrow("kernel: webgpu: no such thing");
  });

  test("a line of more rows than a command holds is refused", () => {
    const idle = stand("idle", `export const open = () => ({ add: async () => {} });`);
    const kernel = webgpuKernel(options, { driver: idle });
    const terms = Array.from({ length: 10_000 }, () => ({ slot: 0, weight: 0.1, mirrored: false }));
    expect(() => kernel.add(0, [{ ...line(1), terms }])).toThrow(RangeError);
  });

  test("-ln T is that of WebAssembly", () => {
    const idle = stand("idle", `export const open = () => ({});`);
    const [into, wanted] = [new Float32Array(4), new Float32Array(4)];
    const T = Float32Array.of(9, 1, 0.3, NaN, 0);
    expect(webgpuKernel(options, { driver: idle }).minusLog(T, 1, into)).toBe(2);
    KERNELS.wasm(options).minusLog(T, 1, wanted);
    expect(into).toEqual(wanted);
  });
});

/** The package is optional: what holds depends on whether it is there. */
function installed(): boolean {
  try {
    return createRequire(import.meta.url).resolve("webgpu") !== "";
  } catch {
    return false;
  }
}

test("without the package or a device the start is refused, and says what to do", async () => {
  let refused: unknown;
  try {
    const { name, buffer_bytes } = webgpuDevice();
    expect(name).not.toBe("");
    expect(buffer_bytes).toBeGreaterThanOrEqual(2 ** 27);
  } catch (error) {
    refused = error;
  }
  if (!installed()) {
    expect(refused).toBeInstanceOf(WiringError);
    expect((refused as Error).message).toBe(
      `kernel: webgpu needs the package webgpu, which is not installed; "npm install webgpu@0.6.2" (134 MB), or set kernel: wasm, which needs neither`,
    );
    expect(() => webgpuKernel(options)).toThrow(WiringError);
    return;
  }
  if (refused) {
    expect(refused).toBeInstanceOf(WiringError);
    expect((refused as Error).message).toMatch(/no WebGPU device here|the only device here is software/);
    if (/no WebGPU device/.test((refused as Error).message)) return;
  }
  // A device is here, be it in software: the kernel agrees with its twin.
  const [got, wanted] = [
    await play((given) => webgpuKernel(given, { software: true }), options, steps),
    await play(KERNELS.typescript, options, steps),
  ];
  got.forEach((values, k) => {
    const peak = Math.max(1, ...wanted[k]!.map(Math.abs));
    values.forEach((x, i) => expect(Math.abs(x - wanted[k]![i]!)).toBeLessThan(4e-6 * peak));
  });
});
