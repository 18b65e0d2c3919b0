// The benchmarks by name: what `operando bench` runs.
import { benchAfm } from "./afm.ts";
import { benchEchem } from "./echem.ts";
import type { Measured } from "./measure.ts";
import { benchPaint } from "./paint.ts";
import { benchRecorder } from "./recorder.ts";
import { benchRuntime } from "./runtime.ts";
import { benchTomography } from "./tomography.ts";

export const benchmarks: Readonly<Record<string, { readonly about: string; run(): Promise<Measured[]> }>> = {
  afm: {
    about: "force curves fitted, images registered, a whole map read",
    run: async () => benchAfm(),
  },
  echem: {
    about: "rows per second out of cyclers' files, and ms from a growing file to its rows",
    run: async () => benchEchem(),
  },
  runtime: {
    about:
      "rows per second through a graph of five operators, and onto the disk; ms from acquisition to paint",
    run: async () => [...(await benchRuntime()), ...(await benchRecorder()), ...(await benchPaint())],
  },
  tomography: {
    about: "views per second into slices, and the ramp filter",
    run: async () => benchTomography(),
  },
};
export type { Measured };
