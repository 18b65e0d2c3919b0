// The benchmarks by name: what `operando bench` runs.
import type { Measured } from "./measure.ts";
import { benchRecorder } from "./recorder.ts";
import { benchRuntime } from "./runtime.ts";

export const benchmarks: Readonly<Record<string, { readonly about: string; run(): Promise<Measured[]> }>> = {
  runtime: { about: "rows per second through a graph of five operators, and onto the disk", run: async () => [...(await benchRuntime()), ...(await benchRecorder())] },
};
export type { Measured };
