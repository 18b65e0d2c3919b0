import { horizontal, type Plane, type ViewGeometry } from "./planes.ts";
import { rowVariance } from "./row-variance.ts";
import { KERNELS, pixelWidth, type Line, type SliceKernel } from "./slice-kernel.ts";
import type { Fan } from "./fan.ts";

const DIFFERENCE = 0,
  VARIANCE = 1; // images of the kernel
const WINDOW = "hann";
/** The images are made afresh when each place was taken so often: roundings add up. */
const FRESH_AFTER = 64;

export interface MapOptions {
  readonly cols: number;
  readonly views: number;
  readonly size: number;
  readonly pitch: number;
  readonly z: number;
  readonly hold: number;
  readonly kernel: keyof typeof KERNELS;
  readonly fan: Fan | undefined;
}

/**
 * Where a slice has changed: the differences of the last views, back-projected and divided by their standard error.
 *
 *     z(x, y) = Σ q / √Σ var q,   q = h * d        over the last `views`
 *
 *     d  difference of a view from what it should look like   [1]
 *     h  ramp filter, window hann, the mean over a pixel of the map
 *
 * A change is drawn out along the directions that it was seen in until these cover a half-turn. In a fan beam the
 * variance is weighed by 1 / u² in place of 1 / u⁴; z is off by some r / D, r a pixel's distance from the axis.
 */
export class ChangeMap {
  readonly #options: MapOptions;
  readonly #kernel: SliceKernel;
  readonly #variance: ReturnType<typeof rowVariance>;
  readonly #plane: Plane;
  #lines: ViewGeometry[] = [];
  #taken = 0;
  readonly #row: Float32Array;
  readonly #known: Float64Array;
  readonly #z: Float32Array;
  readonly #held: Uint8Array;
  readonly #began: Float64Array;
  /** When a pixel changed first [s]; NaN where it has not. */
  readonly first: Float32Array;

  constructor(options: MapOptions) {
    const { cols, size, pitch, fan } = options;
    this.#options = options;
    this.#plane = horizontal(0, size, { pitch });
    this.#kernel = KERNELS[options.kernel]({
      planes: [this.#plane], detectorRows: [0], cols, window: WINDOW, padding: "zero", middleRow: 0, images: 2, fan,
    }); // prettier-ignore
    this.#variance = rowVariance(cols, WINDOW, pixelWidth(this.#plane, 1));
    this.#row = new Float32Array(cols);
    this.#known = new Float64Array(cols);
    const n = size * size;
    this.#z = new Float32Array(n);
    this.#held = new Uint8Array(n);
    this.#began = new Float64Array(n);
    this.first = new Float32Array(n).fill(NaN);
  }

  /** Takes in a difference d with its variance v, Infinity where there is none and d is 0. */
  take(d: Float64Array, v: Float64Array, view: ViewGeometry): void {
    const { views } = this.#options;
    // One place more than there are views: the one that leaves is still there when the new one comes.
    const place = this.#taken % (views + 1);
    const leaving = (this.#taken + 1) % (views + 1);
    this.#taken++;
    this.#lines[place] = { ...view };
    this.#fill(place, d, v);
    if (this.#taken % (FRESH_AFTER * views) === 0) {
      for (const image of [DIFFERENCE, VARIANCE]) this.#kernel.clear(image);
      this.#lines.forEach((_, i) => i !== leaving && this.#add([[i, 1]]));
    } else if (this.#taken > views) {
      this.#add([[place, 1], [leaving, -1]]); // prettier-ignore
    } else this.#add([[place, 1]]);
  }

  /** Changes in standard deviations; lent until the next call. Pixels that no view has seen are NaN. */
  picture(seconds: number): Float32Array {
    const { z, hold } = this.#options;
    const sums = this.#kernel.scaled(DIFFERENCE, 0, 1).slice();
    const variances = this.#kernel.scaled(VARIANCE, 0, 1);
    for (let i = 0; i < sums.length; i++) {
      const one = variances[i]! > 0 ? sums[i]! / Math.sqrt(variances[i]!) : NaN;
      this.#z[i] = one;
      if (!(Math.abs(one) >= z)) {
        this.#held[i] = 0;
        continue;
      }
      if (this.#held[i] === 0) this.#began[i] = seconds;
      if (this.#held[i]! < 255) this.#held[i]!++;
      if (this.#held[i] === hold && Number.isNaN(this.first[i])) this.first[i] = this.#began[i]!;
    }
    return this.#z;
  }

  get views(): number {
    return Math.min(this.#taken, this.#options.views);
  }

  save() {
    return {
      taken: this.#taken,
      lines: this.#lines.map((line) => ({ ...line })),
      rows: this.#lines.flatMap((_, i) => [DIFFERENCE, VARIANCE].map((image) => this.#kernel.rows(this.#slot(image, i)))),
      images: [DIFFERENCE, VARIANCE].map((image) => this.#kernel.save(image)),
      held: this.#held.slice(), began: this.#began.slice(), first: this.first.slice(),
    }; // prettier-ignore
  }

  load(saved: ReturnType<ChangeMap["save"]>): void {
    this.#taken = saved.taken;
    this.#lines = saved.lines;
    this.#lines.forEach((_, i) => {
      this.#kernel.put(this.#slot(DIFFERENCE, i), saved.rows[2 * i]!);
      this.#kernel.put(this.#slot(VARIANCE, i), saved.rows[2 * i + 1]!);
    });
    saved.images.forEach((image, k) => this.#kernel.load(k, image));
    this.#held.set(saved.held);
    this.#began.set(saved.began);
    this.first.set(saved.first);
  }

  close(): void {
    this.#kernel.close();
  }

  #fill(place: number, d: Float64Array, v: Float64Array): void {
    for (let i = 0; i < d.length; i++) {
      this.#row[i] = d[i]!;
      this.#known[i] = v[i]! < Infinity ? v[i]! : 0;
    }
    this.#kernel.filter([this.#row], [this.#slot(DIFFERENCE, place)]);
    const variance = this.#variance(this.#known);
    for (let i = 0; i < d.length; i++) this.#row[i] = Math.max(0, variance[i]!);
    this.#kernel.put(this.#slot(VARIANCE, place), this.#row);
  }

  #add(views: readonly (readonly [place: number, weight: number])[]): void {
    for (const image of [DIFFERENCE, VARIANCE]) {
      const lines = views.map(([place, weight]): Line => ({
        ...this.#lines[place]!,
        terms: [{ slot: this.#slot(image, place), weight, mirrored: false }],
      }));
      this.#kernel.add(image, lines);
    }
  }

  #slot(image: number, place: number): number {
    return image * (this.#options.views + 1) + place;
  }
}
