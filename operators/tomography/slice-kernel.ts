import { addBackProjection, addTwoBackProjections, segments, type View } from "./back-projection.ts";
import { rampFilter, type Padding, type RampWindow } from "./ramp-filter.ts";
import { wasmKernel } from "./wasm/slice-kernel.ts";

/**
 * Slices in the making, and the two things that take the time: rows are filtered, and back-projected into them.
 * Once in WebAssembly SIMD, single precision (`wasm`), and once in plain TypeScript, double precision (`typescript`):
 * some five times slower, for engines without WebAssembly and to hold the other against. Each gives the same bits
 * wherever its input was cut; the two agree to single precision (120 dB), not in bits, so which one ran is said.
 */
export interface SliceKernel {
  /** So many views at most in one call of `filter`, where that is faster; it changes no bit. */
  readonly viewsAtOnce: number;
  /** Filters the line integrals of views, each view's slices in turn, into a row of all slices for each view. */
  filter(p: readonly Float64Array[], into: readonly Float32Array[]): void;
  /** Adds what has changed to all slices, line after line. */
  add(lines: readonly Line[]): void;
  /** Does at once what `add` may put off until a slice is asked for. */
  settle(): void;
  /** One slice times a factor, size × size; lent until the next call. */
  scaled(slice: number, factor: number): Float32Array;
  /** Copies of all slices. */
  save(): Float32Array[];
  load(images: readonly Float32Array[]): void;
}

/** A filtered row to be back-projected at an angle, of every slice. */
export interface Line {
  readonly theta_rad: number;
  /** The row of one slice, times its weight. */
  row(slice: number, into: Float64Array): void;
}

export interface SliceOptions {
  readonly slices: number;
  /** Pixels along a side. */
  readonly size: number;
  readonly cols: number;
  readonly axis: number;
  readonly window: RampWindow;
  readonly padding: Padding;
  /** Pixels beyond it need not be kept; Infinity where all are wanted. */
  readonly radius: number;
}

export const KERNELS = { wasm: wasmKernel, typescript: plainKernel } as const;

function plainKernel({ slices, size, cols, axis, window, padding }: SliceOptions): SliceKernel {
  const images = Array.from({ length: slices }, () => new Float32Array(size * size));
  const rampOf = rampFilter(cols, window, padding);
  const sum = new Float64Array(cols);
  const tables = [new Float64Array(2 * cols + 2), new Float64Array(2 * cols + 2)] as const;
  const shown = new Float32Array(size * size);

  const viewOf = (line: Line, slice: number, table: Float64Array): View => {
    line.row(slice, sum);
    segments(sum, table);
    return { table, cols, axis, cosTheta: Math.cos(line.theta_rad), sinTheta: Math.sin(line.theta_rad) };
  };

  return {
    viewsAtOnce: 1,
    filter(p, into) {
      into.forEach((rows, view) => {
        for (let s = 0; s < slices; s += 2) {
          const paired = s + 1 < slices;
          const [one, other] = rampOf(p[view * slices + s]!, paired ? p[view * slices + s + 1] : undefined);
          rows.set(one, s * cols);
          if (paired) rows.set(other, (s + 1) * cols);
        }
      });
    },
    add(lines) {
      for (let s = 0; s < slices; s++) {
        for (let k = 0; k < lines.length; k += 2) {
          const one = viewOf(lines[k]!, s, tables[0]);
          const next = lines[k + 1];
          if (next) addTwoBackProjections(images[s]!, size, one, viewOf(next, s, tables[1]));
          else addBackProjection(images[s]!, size, one);
        }
      }
    },
    settle: () => undefined,
    scaled(slice, factor) {
      const image = images[slice]!;
      for (let k = 0; k < shown.length; k++) shown[k] = image[k]! * factor;
      return shown;
    },
    save: () => images.map((image) => image.slice()),
    load: (saved) => saved.forEach((image, s) => images[s]!.set(image)),
  };
}
