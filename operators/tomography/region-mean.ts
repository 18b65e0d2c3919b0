import { WiringError } from "../../runtime/index.ts";
import { fanPassing, type Fan } from "./fan.ts";
import { passing, type Plane, type ViewGeometry } from "./planes.ts";
import type { Padding, RampWindow } from "./ramp-filter.ts";
import { throughRamp } from "./row-variance.ts";

/** Pixels of a slice whose mean is wanted: those with their middle within. */
export interface Region {
  readonly name: string;
  /** By line of the slice that it meets: which line, and its first pixel and the one after its last. */
  readonly lines: readonly { readonly row: number; readonly from: number; readonly to: number }[];
  readonly pixels: number;
}

/** A region as a person writes it, in pixels from the axis: a circle "x,y,r" or a rectangle "x0,y0,x1,y1". */
export function readRegion(written: string, { rows, cols, x, y, alongX, downY }: Plane, radius: number): Region {
  const numbers = written.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (numbers.some((n) => !Number.isFinite(n)) || (numbers.length !== 3 && numbers.length !== 4)) {
    throw new WiringError(`regions: ${written} is no region; wanted a circle as x,y,r or a rectangle as x0,y0,x1,y1, in pixels from the axis`);
  }
  const [a, b, c, d] = numbers as [number, number, number, number?];
  const inside = d === undefined
    ? (px: number, py: number) => (px - a) ** 2 + (py - b) ** 2 <= c * c
    : (px: number, py: number) => (px - a) * (px - c) <= 0 && (py - b) * (py - d) <= 0;
  const lines: { row: number; from: number; to: number }[] = [];
  let pixels = 0;
  for (let row = 0; row < rows; row++) {
    let [from, to] = [cols, 0];
    for (let col = 0; col < cols; col++) {
      const [px, py] = [x + col * alongX, y + row * downY];
      if (!inside(px, py)) continue;
      if (Math.hypot(px, py) > radius)
        throw new WiringError(`regions: ${written} reaches further than ${radius.toFixed(1)} px from the axis, where not all views see it`);
      [from, to] = [Math.min(from, col), col + 1];
    }
    if (to > from) {
      lines.push({ row, from, to });
      pixels += to - from;
    }
  }
  if (pixels === 0) throw new WiringError(`regions: ${written} holds no pixel of the slice`);
  return { name: written, lines, pixels };
} // prettier-ignore

/**
 * Mean of a region of a filtered back-projection, straight from the views:
 *
 *     mean = Σ_k w_k Σ_t g_k(t) p_k(t)        var = Σ_k w_k² Σ_t g_k(t)² v_k(t)        g_k = h * a_k
 *
 *     a  how much each column counts for the region's pixels, interpolation included, by their number  [1]     (col)
 *     h  ramp filter                                                                                   [1/px]
 *     v  variance of p                                                                                 [1]     (col)
 *
 * This is the slice's own mean, and its variance without further assumptions than that samples are independent.
 * The price is that of these pixels in a slice, and of filtering a row.
 */
export class RegionMean {
  readonly #plane: Plane;
  readonly #fan: Fan | undefined;
  readonly #weights: Float64Array | undefined;
  readonly #ramp: ReturnType<typeof throughRamp>;
  readonly #a: Float64Array;

  constructor(options: {
    plane: Plane; cols: number; filter: RampWindow; padding: Padding; fan: Fan | undefined; fanWeights: Float64Array | undefined;
  }) {
    this.#plane = options.plane;
    this.#fan = options.fan;
    this.#weights = options.fanWeights;
    this.#ramp = throughRamp(options.cols, options.filter, options.padding);
    this.#a = new Float64Array(options.cols + 1);
  } // prettier-ignore

  /** What one view of weight 1 adds to the mean, and to its variance. */
  of(
    region: Region,
    p: Float32Array,
    v: Float32Array,
    view: ViewGeometry,
  ): { mean: number; variance: number } {
    this.#spread(region, view);
    const cols = p.length;
    const g = this.#ramp(this.#a.subarray(0, cols));
    let [mean, variance] = [0, 0];
    for (let i = 0; i < cols; i++) {
      const one = g[i]! * (this.#weights ? this.#weights[i]! : 1);
      mean += one * p[i]!;
      variance += one * one * v[i]!;
    }
    return { mean: mean / region.pixels, variance: variance / region.pixels ** 2 };
  }

  /** Each pixel to the two columns that it lies between. */
  #spread({ lines }: Region, view: ViewGeometry): void {
    const a = this.#a.fill(0);
    const last = a.length - 2;
    const where = passing(this.#plane, view);
    const beam = this.#fan && fanPassing(this.#plane, view, this.#fan);
    for (const { row, from, to } of lines) {
      const t0 = where.start + row * where.down;
      for (let col = from; col < to; col++) {
        let t = t0 + col * where.along;
        let near = 1;
        if (beam) {
          near = 1 / (beam.u.start + row * beam.u.down + col * beam.u.along);
          t = beam.axis + (beam.a.start + row * beam.a.down + col * beam.a.along) * near;
        }
        if (!(t >= -1e-9 && t <= last + 1e-9)) continue;
        const i = t < 0 ? 0 : t | 0;
        const one = near * near;
        a[i]! += one * (1 - (t - i));
        a[i + 1]! += one * (t - i);
      }
    }
  }
}
