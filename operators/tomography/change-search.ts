import { averageRunLength } from "../onset/average-run-length.ts";
import { horizontal, passing, type Plane, type ViewGeometry } from "./planes.ts";
import { fanPassing, type Fan } from "./fan.ts";

/** Evidence of one view counts no more than this [σ], up or down: one bad view, or a zinger, is no change. */
const MOST_PER_VIEW = 4;
/** Sums end at so many thresholds, all in proportion, so that they come down again when a change has become the rule. */
const FULL = 4;

/** A place that may have changed, and what speaks for it. */
export interface Suspicion {
  /** [σ] */
  readonly statistic: number;
  /** From the rotation axis [px]. */
  readonly x: number;
  readonly y: number;
  readonly size: number;
  /** 1: more attenuation, -1: less. */
  readonly sign: 1 | -1 | 0;
  /** When the sum was zero last [s]. */
  readonly since: number;
}

interface Grid {
  readonly size: number;
  readonly plane: Plane;
  readonly radius: number;
  /** Sums for more and for less attenuation, and when each was zero last. */
  readonly sums: [Float32Array, Float32Array];
  readonly since: [Float64Array, Float64Array];
}

export interface SearchOptions {
  readonly cols: number;
  /** Within it every view sees a place [px]. */
  readonly radius: number;
  /** Widths of what is looked for [px]. */
  readonly sizes: readonly number[];
  readonly k: number;
  /** Views between false alarms. */
  readonly runLength: number;
  readonly fan: Fan | undefined;
}

/**
 * Looks for a change of a few pixels' size anywhere in a slice, while views come: a one-sided CUSUM for each place of
 * a grid, for more and for less attenuation, of what the views say there.
 *
 *     z(t)  = Σ d / v / √Σ 1 / v                     over the columns within size / 2 of t
 *     S(x, y) = max(0, S ± z(t) - k)                 t = axis + x cos θ + y sin θ; |z| cut at 4
 *     alarm where any S exceeds h
 *
 *     d  new view less what it should look like   [1]    (col)
 *     v  variance of d                            [1]    (col)
 *     z  the same for a blob that wide            [σ]    (col)
 *     k  half of what a view is to see            [σ]
 *
 * A change stays at its place, so it moves along one sine wave through the views, and adds up in one S; noise
 * does not. For each size the grid's places are that size apart.
 *
 * h is such that L(k, h) = 2 × places × run length, L the average run length of one CUSUM: as if all places were
 * independent, which they are not quite, so false alarms are somewhat rarer than stated. It takes noise that is as v
 * says, and independent from view to view.
 *
 * Reference: Page, Biometrika 41, 100 (1954).
 */
export class ChangeSearch {
  readonly #options: SearchOptions;
  readonly #grids: readonly Grid[];
  readonly #z: Float64Array;
  readonly #sums: Float64Array;
  readonly threshold: number;

  constructor(options: SearchOptions) {
    const { cols, radius, sizes, k, runLength } = options;
    this.#options = options;
    this.#grids = sizes.map((size) => {
      const across = 2 * Math.floor(radius / size) + 1;
      const n = across * across;
      return {
        size, plane: horizontal(0, across, { pitch: size }), radius,
        sums: [new Float32Array(n), new Float32Array(n)],
        since: [new Float64Array(n).fill(NaN), new Float64Array(n).fill(NaN)],
      };
    }); // prettier-ignore
    this.#z = new Float64Array(cols);
    this.#sums = new Float64Array(2 * (cols + 1));
    const places = sizes.reduce((sum, size) => sum + Math.PI * (radius / size) ** 2, 0);
    this.threshold = limitFor(k, 2 * places * runLength);
  }

  /** Takes in what one view says: difference d with variance v, Infinity where it says nothing. */
  take(d: Float64Array, v: Float64Array, view: ViewGeometry, seconds: number): Suspicion {
    const { cols } = this.#options;
    const [sums, z] = [this.#sums, this.#z];
    for (let i = 0; i < cols; i++) {
      const w = v[i]! < Infinity ? 1 / v[i]! : 0;
      sums[2 * i + 2] = sums[2 * i]! + w * d[i]!;
      sums[2 * i + 3] = sums[2 * i + 1]! + w;
    }
    let best: Suspicion = { statistic: -1, x: NaN, y: NaN, size: NaN, sign: 0, since: NaN };
    for (const grid of this.#grids) {
      const below = (grid.size - 1) >> 1;
      for (let i = 0; i < cols; i++) {
        const [from, to] = [Math.max(0, i - below), Math.min(cols, i - below + grid.size)];
        const information = sums[2 * to + 1]! - sums[2 * from + 1]!;
        const evidence = sums[2 * to]! - sums[2 * from]!;
        const one = information > 0 ? evidence / Math.sqrt(information) : 0;
        z[i] = Math.max(-MOST_PER_VIEW, Math.min(MOST_PER_VIEW, one));
      }
      // Even sizes have their middle between two columns.
      const found = this.#advance(grid, { ...view, axis: view.axis + below - (grid.size - 1) / 2 }, seconds);
      if (found.statistic > best.statistic) best = found;
    }
    return best.statistic > 0 ? best : { ...best, statistic: 0, x: NaN, y: NaN, size: NaN, sign: 0 };
  }

  clear(): void {
    for (const { sums } of this.#grids) for (const side of sums) side.fill(0);
  }

  save() {
    return this.#grids.map(({ sums, since }) => ({ sums: sums.map((s) => s.slice()), since: since.map((s) => s.slice()) })); // prettier-ignore
  }

  load(saved: ReturnType<ChangeSearch["save"]>): void {
    this.#grids.forEach(({ sums, since }, g) => {
      for (const side of [0, 1] as const) {
        sums[side].set(saved[g]!.sums[side]!);
        since[side].set(saved[g]!.since[side]!);
      }
    });
  }

  #advance({ plane, radius, sums, since, size }: Grid, view: ViewGeometry, seconds: number): Suspicion {
    const { k, fan, cols } = this.#options;
    const [more, less] = sums;
    const [moreSince, lessSince] = since;
    const full = FULL * this.threshold;
    const n = plane.rows;
    const middle = (n - 1) / 2;
    const where = passing(plane, view);
    const beam = fan && fanPassing(plane, view, fan);
    const z = this.#z;
    let [most, at, sign]: [number, number, 1 | -1] = [-1, 0, 1];
    for (let r = 0; r < n; r++) {
      const half = Math.floor(Math.sqrt(Math.max(0, (radius / size) ** 2 - (r - middle) ** 2)));
      const t0 = where.start + r * where.down + 0.5;
      for (let c = middle - half, o = r * n + c; c <= middle + half; c++, o++) {
        const t = beam
          ? beam.axis + 0.5 + (beam.a.start + r * beam.a.down + c * beam.a.along) /
            (beam.u.start + r * beam.u.down + c * beam.u.along)
          : t0 + c * where.along; // prettier-ignore
        if (!(t >= 0 && t < cols)) continue;
        const seen = z[t | 0]!;
        const up = more[o]! + seen - k;
        const down = less[o]! - seen - k;
        if (up > 0) {
          more[o] = up;
          if (up > most) [most, at, sign] = [up, o, 1];
        } else {
          more[o] = 0;
          moreSince[o] = seconds;
        }
        if (down > 0) {
          less[o] = down;
          if (down > most) [most, at, sign] = [down, o, -1];
        } else {
          less[o] = 0;
          lessSince[o] = seconds;
        }
      }
    }
    if (most > full) {
      for (let o = 0; o < n * n; o++) {
        more[o]! *= full / most;
        less[o]! *= full / most;
      }
    }
    const [row, col] = [Math.floor(at / n), at % n];
    return {
      statistic: Math.min(most, full), x: (col - middle) * size, y: (middle - row) * size, size, sign,
      since: (sign > 0 ? moreSince : lessSince)[at]!,
    }; // prettier-ignore
  }
}

/** Above so long a run its logarithm grows evenly with the limit, and the equations would lose their digits. */
const LONG = 1e6;

/** Limit h at which a one-sided CUSUM alarms once in so many samples on average. */
export function limitFor(k: number, runLength: number): number {
  const wanted = Math.min(runLength, LONG);
  const run = (h: number): number => averageRunLength({ k, h, sides: "up" });
  let [low, high] = [0, 0.5 / k];
  while (run(high) < wanted) [low, high] = [high, 1.5 * high];
  for (let step = 0; step < 40; step++) {
    const h = (low + high) / 2;
    if (run(h) < wanted) low = h;
    else high = h;
  }
  return high + Math.log(runLength / wanted) / (2 * k);
}
