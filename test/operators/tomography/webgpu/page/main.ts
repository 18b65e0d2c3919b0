/** The slice kernel in WGSL on whatever device the browser has, for a test to play with. */
import { openDevice, type Gpu } from "../../../../../operators/tomography/webgpu/gpu.ts";
import { WebGpuSlices } from "../../../../../operators/tomography/webgpu/slices.ts";
import type { KernelOptions } from "../../../../../operators/tomography/slice-kernel.ts";
import { play, type Step } from "../play.ts";

export interface Page {
  readonly device: string;
  play(options: KernelOptions, steps: readonly Step[]): Promise<number[][]>;
}

const { gpu } = (globalThis as unknown as { navigator: { gpu?: Gpu } }).navigator;
const adapter = await gpu?.requestAdapter();
const device = adapter && (await openDevice(adapter));

(globalThis as { slices?: Page }).slices = {
  device: adapter
    ? `${adapter.info.vendor} ${adapter.info.architecture}`
    : gpu
      ? "no adapter"
      : "no navigator.gpu",
  async play(options, steps) {
    const played = await play((given) => new WebGpuSlices(device!, given), options, steps);
    return played.map((values) => [...values]);
  },
};
