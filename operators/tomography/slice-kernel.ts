import { minusLog } from "./line-integrals.ts";
import { addFanLine, addLine, segments, smooth } from "./back-projection.ts";
import { fanPassing, type Fan } from "./fan.ts";
import { heights, isLevel, passing, rowAt, type Plane, type ViewGeometry } from "./planes.ts";
import { rampFilter, type Padding, type RampWindow } from "./ramp-filter.ts";
import { wasmKernel } from "./wasm/slice-kernel.ts";

/**
 * Planes in the making, and what takes the time: rows are filtered, kept, and back-projected into the planes.
 * Once in WebAssembly SIMD, single precision (`wasm`), and once in plain TypeScript, double precision (`typescript`):
 * some five times slower, for engines without WebAssembly and to hold the other against. Each gives the same bits
 * wherever its input was cut; the two agree to single precision (120 dB), not in bits, so which one ran is said.
 *
 * Filtered rows are kept in numbered slots, one slot a view. Of each plane there are several images, so that one may
 * be made anew while another stands.
 */
export interface SliceKernel {
  /** So many views at most in one call of `filter`, where that is faster; it changes no bit. */
  readonly viewsAtOnce: number;
  /** -ln T of a row of transmissions from a place on, NaN where T is not above zero; says how many those are. */
  minusLog(T: Float32Array, from: number, into: Float32Array): number;
  /** Filters the line integrals of views, (detector row, col) each, into a slot for each. */
  filter(p: readonly Float32Array[], slots: readonly number[]): void;
  /** Changes the window of the ramp filter, for rows that are filtered from here on. */
  setWindow(window: RampWindow): void;
  /** Rows that are not to be filtered, (detector row, col), into a slot. */
  put(slot: number, rows: Float32Array): void;
  /** A copy of a slot's rows. */
  rows(slot: number): Float32Array;
  /** Adds to the images of that number, line after line. */
  add(image: number, lines: readonly Line[]): void;
  /** Does at once what `add` may put off until a picture is asked for. */
  settle(): void;
  /** An image of a plane times a factor, (row, col); lent until the next call. */
  scaled(image: number, plane: number, factor: number): Float32Array;
  clear(image: number): void;
  /** Copies of the images of that number, of all planes. */
  save(image: number): Float32Array[];
  /** Of all planes, or from plane `first` on. */
  load(image: number, planes: readonly Float32Array[], first?: number): void;
  close(): void;
}

/** What is added along one line: stored rows, each times its weight, from a view's place. */
export interface Line extends ViewGeometry {
  readonly terms: readonly Term[];
}

export interface Term {
  readonly slot: number;
  readonly weight: number;
  /** Turned round: seen from the other side. */
  readonly mirrored: boolean;
}

export interface KernelOptions {
  readonly planes: readonly Plane[];
  /** Rows of the detector that are filtered and kept, ascending; what the planes lie at, or next to. */
  readonly detectorRows: readonly number[];
  readonly cols: number;
  readonly window: RampWindow;
  readonly padding: Padding;
  /** Row that the sample swells from. */
  readonly middleRow: number;
  /** Sets of images. */
  readonly images: number;
  /** Absent where the beam is parallel. */
  readonly fan?: Fan | undefined;
}

export const KERNELS = { wasm: wasmKernel, typescript: plainKernel } as const;

/** Rows of the detector that planes need: those at their heights, and `reach` more on either side. */
export function rowsFor(planes: readonly Plane[], detector: number, reach = 0): number[] {
  const wanted = new Set<number>();
  for (const plane of planes) {
    const [least, most] = heights(plane);
    const from = Math.max(0, Math.floor(least + 1e-9) - reach);
    const to = Math.min(detector - 1, Math.ceil(most - 1e-9) + reach);
    for (let row = from; row <= to; row++) wanted.add(row);
  }
  return [...wanted].toSorted((a, b) => a - b);
}

/** Which two stored rows a height lies between, as places in `detectorRows`, and how far it is from the first. */
export function between(
  detectorRows: readonly number[],
  places: ReadonlyMap<number, number>,
  row: number,
): [first: number, second: number, fraction: number] {
  const least = detectorRows[0]!;
  const most = detectorRows.at(-1)!;
  // Beyond the rows that there are, the last one stands for what was not seen.
  const within = Math.min(most, Math.max(least, row));
  const lower = Math.floor(within + 1e-9);
  const fraction = within - lower;
  const first = places.get(lower)!;
  return fraction < 1e-9 ? [first, first, 0] : [first, places.get(lower + 1)!, fraction];
}

/** Pixels further apart than the detector's see the mean of a row over so many samples; 1 where they are not. */
export const pixelWidth = ({ alongX, alongY }: Plane, scale: number): number => {
  const pitch = Math.hypot(alongX, alongY);
  return pitch > 1 + 1e-9 ? pitch * scale : 1;
};

function plainKernel(options: KernelOptions): SliceKernel {
  const { planes, detectorRows, cols, padding, middleRow, fan } = options;
  const images = Array.from({ length: options.images }, () =>
    planes.map(({ rows, cols }) => new Float32Array(rows * cols)),
  );
  const places = new Map(detectorRows.map((row, i) => [row, i]));
  // Rows of level planes are filtered alone: bits do not depend on which other slices are made with them.
  const alone = planes.every(isLevel);
  const slots: Float32Array[] = [];
  let rampOf = rampFilter(cols, options.window, padding);
  const sum = new Float64Array(cols);
  const smoothed = new Float64Array(cols);
  const table = new Float64Array(2 * cols + 2);
  const shown = new Float32Array(Math.max(...planes.map(({ rows, cols }) => rows * cols)));
  const slotOf = (slot: number): Float32Array =>
    (slots[slot] ??= new Float32Array(detectorRows.length * cols));

  /** The row that a height sees, terms summed up. */
  function combine(line: Line, row: number): void {
    const [first, second, fraction] = between(detectorRows, places, row);
    sum.fill(0);
    for (const { slot, weight, mirrored } of line.terms) {
      for (const [place, share] of [[first, 1 - fraction], [second, fraction]] as const) {
        if (share === 0) continue;
        const from = place * cols;
        const rows = slots[slot]!;
        const w = weight * share;
        if (mirrored) for (let i = 0; i < cols; i++) sum[i]! += w * rows[from + cols - 1 - i]!;
        else for (let i = 0; i < cols; i++) sum[i]! += w * rows[from + i]!;
      }
    } // prettier-ignore
  }

  function addTo(image: Float32Array, plane: Plane, line: Line): void {
    const where = passing(plane, line);
    const width = pixelWidth(plane, line.scale);
    const beam = fan && fanPassing(plane, line, fan);
    let at = NaN;
    for (let r = 0; r < plane.rows; r++) {
      const row = rowAt(plane.z + r * plane.downZ, middleRow, line);
      if (row !== at) {
        combine(line, row);
        if (width > 1) smooth(sum, cols, width, smoothed);
        segments(width > 1 ? smoothed : sum, cols, table);
        at = row;
      }
      if (beam) addFanLine(image, plane, r, table, cols, beam);
      else addLine(image, plane, r, table, cols, where);
    }
  }

  return {
    viewsAtOnce: 1,
    minusLog,
    filter(p, into) {
      into.forEach((slot, view) => {
        const rows = slotOf(slot);
        for (let s = 0; s < detectorRows.length; s += alone ? 1 : 2) {
          const of = (place: number): Float32Array => p[view]!.subarray(place * cols, (place + 1) * cols);
          const paired = !alone && s + 1 < detectorRows.length;
          const [one, other] = rampOf(of(s), paired ? of(s + 1) : undefined);
          rows.set(one, s * cols);
          if (paired) rows.set(other, (s + 1) * cols);
        }
      });
    },
    setWindow: (window) => void (rampOf = rampFilter(cols, window, padding)),
    put: (slot, rows) => slotOf(slot).set(rows),
    rows: (slot) => slots[slot]!.slice(),
    add(image, lines) {
      for (const line of lines) planes.forEach((plane, k) => addTo(images[image]![k]!, plane, line));
    },
    settle: () => undefined,
    scaled(image, plane, factor) {
      const from = images[image]![plane]!;
      for (let k = 0; k < from.length; k++) shown[k] = from[k]! * factor;
      return shown.subarray(0, from.length);
    },
    clear: (image) => images[image]!.forEach((plane) => plane.fill(0)),
    save: (image) => images[image]!.map((plane) => plane.slice()),
    load: (image, saved, first = 0) => saved.forEach((plane, k) => images[image]![first + k]!.set(plane)),
    close: () => undefined,
  };
}
