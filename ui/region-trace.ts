/** Regions that were picked on images, and their means over time: from the images that this page was given. */
import type { Ms } from "./client/types.ts";
import type { ImagePanel } from "./image-panels.ts";
import type { Region, RegionMean, Size } from "./region.ts";
import { TraceBuffer } from "./trace-buffer.ts";

/** Means that are kept of a region; over it the oldest quarter leaves. */
const KEPT = 8192;

export type Measured = RegionMean & {
  readonly time: Ms;
  /** The error is from an image of standard errors; otherwise from how the pixels scatter. */
  readonly known: boolean;
};

export class RegionTrace {
  panel: ImagePanel;
  /** Picks another region of the same image, or, with undefined, none. */
  readonly choose: (region: Region | undefined) => void;
  region: Region;
  size: Size;
  /** Columns `mean` and `se`. */
  readonly buffer = new TraceBuffer(KEPT);
  newest: Measured | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(panel: ImagePanel, region: Region, size: Size, choose: RegionTrace["choose"]) {
    this.panel = panel;
    this.region = region;
    this.size = size;
    this.choose = choose;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** More means, or, with `anew`, others in place of those there were. */
  take(means: readonly Measured[], anew: boolean): void {
    const column = (of: (mean: Measured) => number) => {
      const values = Float64Array.from(means, of);
      return { min: values, max: values, count: new Uint32Array(means.length).fill(1) };
    };
    if (anew) this.buffer.clear();
    this.buffer.push({
      kind: "trace",
      time: Float64Array.from(means, ({ time }) => time),
      columns: { mean: column(({ mean }) => mean), se: column(({ se }) => se) },
      reset: anew,
      dropped: 0,
    });
    this.newest = means.at(-1) ?? (anew ? undefined : this.newest);
    for (const listener of this.#listeners) listener();
  }
}

/** Those of the page. */
export class RegionList {
  readonly #all = new Set<RegionTrace>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get all(): readonly RegionTrace[] {
    return [...this.#all];
  }

  add(trace: RegionTrace): void {
    this.#all.add(trace);
    this.#onChange();
  }

  remove(trace: RegionTrace): void {
    if (this.#all.delete(trace)) this.#onChange();
  }
}
