import { addLine, segments } from "./back-projection.ts";
import { horizontal } from "./planes.ts";
import { rampFilter } from "./ramp-filter.ts";
import { wrap } from "./view-window.ts";

/**
 * The axis by what a slice looks like: with a wrong one, edges come out doubled and streaks go below zero.
 *
 *     M(a) = Σ |min(f, 0)|   where the row ends in air: least negative mass
 *     M(a) = Σ |∇f|          where the sample is wider than the detector: least total variation
 *
 * over a coarse slice f (at most 128 px across, from at most 192 views of the last half-turn) reconstructed with the
 * axis at 7 places around the one to be confirmed; the least is found by a parabola. It goes by all views, the mirrored
 * pairs by two at a time: they can agree only if angles, direction and geometry are right too.
 *
 * Even and odd views are kept apart: half of what they differ by is the standard error, coarse as such a one must be.
 * The work is done in small portions, `PORTION` back-projections a view (some 0.2 ms).
 *
 * Reference: Donath et al., J. Opt. Soc. Am. A 23, 1048 (2006).
 */
export interface ImageView {
  readonly angle_deg: number;
  /** Line integrals of one detector row. */
  readonly row: Float64Array;
  /** Axis of this view less that of the others: where the sample was shifted. */
  readonly shift: number;
}

export interface ImageAxis {
  readonly axis: number;
  readonly axis_se: number;
  /** What it was to confirm. */
  readonly expected: number;
}

export interface ImageJob {
  readonly expected: number;
  readonly bin: number;
  readonly cols: number;
  readonly size: number;
  readonly wide: boolean;
  readonly angles_deg: Float64Array;
  readonly shifts: Float64Array;
  /** Filtered and weighted rows, one view after another. */
  readonly rows: Float32Array;
  /** Of each candidate the images of even and odd views. */
  readonly images: Float32Array[];
  done: number;
}

const ACROSS = 128;
export const IMAGE_VIEWS = 192;
const CANDIDATES = 7;
const PORTION = 4;

/** Step between candidates [px]. */
const stepOf = (bin: number): number => Math.max(1, bin / 4);

/** Prepares a measurement; undefined where the axis is too near the detector's end for a slice. */
export function imageJob(views: readonly ImageView[], expected: number): ImageJob | undefined {
  const full = views[0]!.row.length;
  const bin = Math.ceil(full / ACROSS);
  const cols = Math.floor(full / bin);
  const farthest = (stepOf(bin) * (CANDIDATES - 1)) / 2;
  const reach = Math.min(expected - farthest, full - 1 - expected - farthest) / bin;
  if (!(reach >= 8)) return undefined;
  const sorted = views.map((view) => ({ ...view, half_deg: wrap(view.angle_deg, 180) }))
    .sort((a, b) => a.half_deg - b.half_deg); // prettier-ignore
  const n = sorted.length;
  const half = (k: number): number => sorted[wrap(k, n)]!.half_deg + 180 * Math.floor(k / n);
  const binned = sorted.map(({ row }) =>
    Float64Array.from({ length: cols }, (_, j) => {
      let sum = 0;
      for (let k = 0; k < bin; k++) sum += row[j * bin + k]!;
      return sum / bin;
    }),
  );
  const wide = isWide(binned);
  const filter = rampFilter(cols, "shepp-logan", wide ? "edge" : "zero");
  const rows = new Float32Array(sorted.length * cols);
  binned.forEach((row, v) => {
    const [filtered] = filter(row);
    const weight_rad = ((half(v + 1) - half(v - 1)) / 2) * (Math.PI / 180);
    for (let j = 0; j < cols; j++) rows[v * cols + j] = weight_rad * filtered[j]!;
  });
  const size = 2 * Math.floor(reach);
  return {
    expected, bin, cols, size, wide, rows, done: 0,
    angles_deg: Float64Array.from(sorted, (view) => view.angle_deg),
    shifts: Float64Array.from(sorted, (view) => view.shift),
    images: Array.from({ length: 2 * CANDIDATES }, () => new Float32Array(size * size)),
  }; // prettier-ignore
}

/** True where rows do not end in air: their ends are over a tenth of their greatest. */
function isWide(rows: readonly Float64Array[]): boolean {
  const ends = rows.reduce((sum, row) => sum + Math.max(row[0]!, row.at(-1)!), 0);
  const most = rows.reduce((sum, row) => sum + row.reduce((a, b) => Math.max(a, b)), 0);
  return ends > most / 10;
}

const candidate = (job: ImageJob, c: number): number =>
  job.expected + (c - (CANDIDATES - 1) / 2) * stepOf(job.bin);

/** Does a portion of the work, or all that is left; gives the axis when it is done. */
export function advance(job: ImageJob, portion = PORTION): ImageAxis | undefined {
  const { cols, bin, size } = job;
  const total = job.angles_deg.length * CANDIDATES;
  const table = new Float64Array(2 * cols);
  const end = Math.min(total, job.done + portion);
  let prepared = -1;
  const middle = (size - 1) / 2;
  const plane = horizontal(0, size, { radius: middle });
  for (; job.done < end; job.done++) {
    const v = Math.floor(job.done / CANDIDATES);
    const c = job.done % CANDIDATES;
    if (prepared !== v) segments(job.rows.subarray(v * cols, (v + 1) * cols), cols, table);
    prepared = v;
    const theta = (job.angles_deg[v]! * Math.PI) / 180;
    const axis = (candidate(job, c) + job.shifts[v]! - (bin - 1) / 2) / bin;
    const [along, down] = [Math.cos(theta), -Math.sin(theta)];
    const passing = { start: axis - middle * (along + down), along, down };
    const image = job.images[2 * c + (v & 1)]!;
    for (let r = 0; r < size; r++) addLine(image, plane, r, table, cols, passing);
  }
  if (job.done < total) return undefined;

  const sum = new Float64Array(size * size);
  const measure = (of: (c: number) => ArrayLike<number>): number => {
    const values = Float64Array.from({ length: CANDIDATES }, (_, c) => badness(of(c), size, job.wide));
    return lowest(values);
  };
  const image = (c: number, part: number): Float32Array => job.images[2 * c + part]!;
  const whole = measure((c) => sum.map((_, i) => image(c, 0)[i]! + image(c, 1)[i]!));
  const apart = measure((c) => image(c, 0)) - measure((c) => image(c, 1));
  const step = stepOf(bin);
  return {
    axis: candidate(job, 0) + whole * step,
    axis_se: Math.hypot(apart / 2, 0.1) * step,
    expected: job.expected,
  };
}

function badness(image: ArrayLike<number>, size: number, wide: boolean): number {
  const middle = (size - 1) / 2;
  const radius = middle - 1;
  let sum = 0;
  for (let r = 1; r < size - 1; r++) {
    const half = Math.sqrt(Math.max(0, radius ** 2 - (r - middle) ** 2));
    for (let c = Math.ceil(middle - half), i = r * size + c; c <= middle + half; c++, i++) {
      if (wide) sum += Math.hypot(image[i + 1]! - image[i]!, image[i + size]! - image[i]!);
      else if (image[i]! < 0) sum -= image[i]!;
    }
  }
  return sum;
}

/** Place of the least value, between the places. */
function lowest(values: Float64Array): number {
  let least = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[least]!) least = i;
  if (least === 0 || least === values.length - 1) return least;
  const [a, b, c] = [values[least - 1]!, values[least]!, values[least + 1]!];
  const bend = a - 2 * b + c;
  return least + (bend > 0 ? (a - c) / (2 * bend) : 0);
}
