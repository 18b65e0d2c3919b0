import { FORWARD_KERNELS, type ForwardKernel } from "./forward-projection.ts";
import type { Plane, ViewGeometry } from "./planes.ts";
import { KERNELS, type Line, type SliceKernel } from "./slice-kernel.ts";
import { smoothed } from "./total-variation.ts";

export interface RefinementOptions {
  readonly kernel: keyof typeof KERNELS;
  /** The whole slice, with pixels a detector pixel apart. */
  readonly plane: Plane;
  readonly cols: number;
  readonly region: Region;
}

/** Part of a slice: a circle, and the box around it. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
}

/** A view with its line integrals. */
export interface MeasuredView extends ViewGeometry {
  readonly p: Float32Array;
}

export interface Steps {
  readonly iterations: number;
  readonly subsets: number;
  readonly relaxation: number;
  readonly nonNegative: boolean;
  /** [1/px]; 0: none. */
  readonly tvWeight: number;
  readonly tvSteps: number;
}

/** Rays that cross less of the region [px] count as if they crossed so much: all else there is noise. */
const LEAST_CHORD = 4;
/** Next subset: this part of all on, so that neighbours in time are far apart in angle. */
const GOLDEN = 0.382;

/** The circle's box in a slice of so many rows and columns about the axis. */
export function regionOf(plane: Plane, x: number, y: number, radius: number): Region {
  const [middleCol, middleRow] = [x - plane.x, plane.y - y];
  const from = (middle: number): number => Math.max(0, Math.ceil(middle - radius));
  const to = (middle: number, end: number): number => Math.min(end, Math.floor(middle + radius) + 1);
  const [row, col] = [from(middleRow), from(middleCol)];
  return {
    x,
    y,
    radius,
    row,
    col,
    rows: to(middleRow, plane.rows) - row,
    cols: to(middleCol, plane.cols) - col,
  };
}

/**
 * A slice brought nearer to what was measured, within a region: ordered subsets of SIRT.
 *
 *     f ← max(0, f + λ / |S| Σ_S B_k (p_k - A_k f) / l_k)          S: every so many-th view, one subset after another
 *
 *     f  slice [1/px]   p  line integrals [1]   A_k, B_k  projection and back-projection of view k
 *     l  length of a ray within the region [px]   λ  relaxation
 *
 * Pixels outside of the region stay as they are, and A_k f holds their part.
 *
 * Reference: Andersen & Kak, Ultrason. Imaging 6, 81 (1984).
 */
export class SliceRefinement {
  readonly #options: RefinementOptions;
  readonly #forward: ForwardKernel;
  readonly #back: SliceKernel;
  readonly #a: Float32Array;
  readonly #box: Float32Array;
  readonly #room: Float32Array;

  constructor(options: RefinementOptions) {
    this.#options = options;
    const { kernel, plane, cols, region } = options;
    this.#forward = FORWARD_KERNELS[kernel]({ plane, cols });
    const box: Plane = {
      ...plane, rows: region.rows, cols: region.cols, x: plane.x + region.col, y: plane.y - region.row,
      circle: { row: plane.y - region.y - region.row, col: region.x - plane.x - region.col, radius: region.radius },
    }; // prettier-ignore
    this.#back = KERNELS[kernel]({
      planes: [box], detectorRows: [0], cols, window: "ram-lak", padding: "zero", middleRow: 0, images: 1,
    }); // prettier-ignore
    this.#a = new Float32Array(cols);
    this.#box = new Float32Array(region.rows * region.cols);
    this.#room = new Float32Array(3 * region.rows * region.cols);
  }

  /** Refines a picture in place; root mean square of p - A f over the rays through the region, before and after. */
  refine(picture: Float32Array, views: readonly MeasuredView[], steps: Steps): { before: number; after: number } {
    const subsets = Math.min(steps.subsets, views.length);
    const order = spread(subsets);
    this.#forward.load(picture);
    const before = this.#residual(views);
    for (let pass = 0; pass < steps.iterations; pass++) {
      for (const first of order) {
        this.#step(picture, views.filter((_, k) => k % subsets === first), steps);
        this.#forward.load(picture);
      }
      if (steps.tvWeight > 0) this.#smooth(picture, steps);
    }
    return { before, after: steps.iterations > 0 ? this.#residual(views) : before };
  } // prettier-ignore

  #step(picture: Float32Array, views: readonly MeasuredView[], { relaxation, nonNegative }: Steps): void {
    this.#back.clear(0);
    const lines = views.map((view, slot): Line => {
      this.#compare(view);
      this.#back.put(slot, this.#a);
      const { theta_rad, axis, shift_y, scale } = view;
      return { theta_rad, axis, shift_y, scale, terms: [{ slot, weight: 1, mirrored: false }] };
    });
    this.#back.add(0, lines);
    const change = this.#back.scaled(0, 0, relaxation / views.length);
    this.#inside((at, i) => {
      const f = picture[at]! + change[i]!;
      picture[at] = nonNegative && f < 0 ? 0 : f;
    });
  }

  /** (p - A f) / l into #a, zero where a ray passes the region by; the sum of (p - A f)² and how many rays there were. */
  #compare(view: MeasuredView): { squares: number; rays: number } {
    const { region } = this.#options;
    const { theta_rad, axis, scale, p } = view;
    this.#forward.project(view, this.#a);
    const middle = axis + scale * (region.x * Math.cos(theta_rad) + region.y * Math.sin(theta_rad));
    let [squares, rays] = [0, 0];
    for (let t = 0; t < p.length; t++) {
      const chord2 = (region.radius * scale) ** 2 - (t - middle) ** 2;
      if (chord2 <= 0) {
        this.#a[t] = 0;
        continue;
      }
      const left = p[t]! - this.#a[t]!;
      squares += left * left;
      rays++;
      this.#a[t] = left / Math.max(LEAST_CHORD, 2 * Math.sqrt(chord2));
    }
    return { squares, rays };
  }

  #residual(views: readonly MeasuredView[]): number {
    let [squares, rays] = [0, 0];
    for (const view of views) {
      const one = this.#compare(view);
      squares += one.squares;
      rays += one.rays;
    }
    return Math.sqrt(squares / rays);
  }

  #smooth(picture: Float32Array, { tvWeight, tvSteps }: Steps): void {
    const { plane, region } = this.#options;
    for (let r = 0; r < region.rows; r++) {
      const from = (region.row + r) * plane.cols + region.col;
      this.#box.set(picture.subarray(from, from + region.cols), r * region.cols);
    }
    smoothed(this.#box, region.cols, tvWeight, tvSteps, this.#room);
    this.#inside((at, i) => (picture[at] = this.#box[i]!));
    this.#forward.load(picture);
  }

  /** Every pixel of the region, as a place in the slice and in the box. */
  #inside(each: (at: number, i: number) => void): void {
    const { plane, region } = this.#options;
    const middle = region.x - plane.x - region.col;
    for (let r = 0; r < region.rows; r++) {
      const half = Math.sqrt(region.radius ** 2 - (plane.y - region.y - region.row - r) ** 2);
      if (Number.isNaN(half)) continue;
      const to = Math.min(region.cols, Math.floor(middle + half) + 1);
      for (let c = Math.max(0, Math.ceil(middle - half)); c < to; c++)
        each((region.row + r) * plane.cols + region.col + c, r * region.cols + c);
    }
  }
}

/** 0 … n - 1, each far from those before it. */
function spread(n: number): number[] {
  const rest = Array.from({ length: n }, (_, k) => k);
  const order: number[] = [];
  let at = 0;
  while (rest.length > 0) {
    order.push(...rest.splice(at % rest.length, 1));
    at = Math.floor(at + GOLDEN * n);
  }
  return order;
}
