/** What a stream does with a slice kernel, as plain data: the same in Node, in a thread and in a page. */
import type { DeviceKernel } from "../../../../operators/tomography/webgpu/device-thread.ts";
import type { RampWindow } from "../../../../operators/tomography/ramp-filter.ts";
import type { KernelOptions, Line } from "../../../../operators/tomography/slice-kernel.ts";

export type Step =
  /** Rows of noise, or of zeros with one sample of 1. */
  | { readonly op: "filter" | "put"; readonly slot: number; readonly seed?: number; readonly spike?: number }
  | { readonly op: "add"; readonly image: number; readonly lines: readonly Line[] }
  | { readonly op: "setWindow"; readonly window: RampWindow }
  | { readonly op: "clear"; readonly image: number }
  /** Gives out a slot's rows, or a picture. */
  | { readonly op: "rows"; readonly slot: number }
  | { readonly op: "scaled"; readonly image: number; readonly plane: number; readonly factor: number }
  | { readonly op: "settle" }
  /** Saves all, goes on with another kernel. */
  | { readonly op: "reload"; readonly slots: number };

export type Open = (options: KernelOptions) => DeviceKernel | Promise<DeviceKernel>;

/** Numbers in -1 … 1: every frequency, each another. */
export const noise = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((Math.imul((i + 1) * 2654435761, seed * 40503 + 1) >>> 0) / 2 ** 32) * 2 - 1); // prettier-ignore

export async function play(open: Open, options: KernelOptions, steps: readonly Step[]): Promise<Float32Array[]> {
  const numbers = options.detectorRows.length * options.cols;
  const given = ({ seed, spike }: { seed?: number; spike?: number }): Float32Array =>
    seed === undefined
      ? Float32Array.from({ length: numbers }, (_, i) => (i % options.cols === spike ? 1 : 0))
      : noise(numbers, seed);
  const out: Float32Array[] = [];
  let kernel = await open(options);
  for (const step of steps) {
    switch (step.op) {
      case "filter": await kernel.filter([given(step)], [step.slot]); break;
      case "put": await kernel.put(step.slot, given(step)); break;
      case "add": await kernel.add(step.image, step.lines); break;
      case "setWindow": await kernel.setWindow(step.window); break;
      case "clear": await kernel.clear(step.image); break;
      case "rows": out.push((await kernel.rows(step.slot)).slice()); break;
      case "scaled": out.push((await kernel.scaled(step.image, step.plane, step.factor)).slice()); break;
      case "settle": await kernel.settle(); break;
      case "reload": {
        const next = await open(options);
        for (let slot = 0; slot < step.slots; slot++) await next.put(slot, (await kernel.rows(slot)).slice());
        for (let image = 0; image < options.images; image++) await next.load(image, await kernel.save(image));
        await kernel.close();
        kernel = next;
      }
    }
  }
  await kernel.close();
  return out;
} // prettier-ignore
