/**
 * The slice kernel in WebAssembly SIMD: lays out the memory of back-projection.as.ts and ramp-filter.as.ts.
 *
 * An instance has a memory of its own, of a size that is known at the start: a queue of lines for each slice, the
 * filter's rows and tables, the slices. Lines wait in the queue until it is full or a slice is asked for, and go
 * into the image in one pass; that spares memory traffic and changes no bit.
 */
import { powerOfTwo } from "../../fft.ts";
import { rampGain } from "../ramp-filter.ts";
import type { SliceKernel, SliceOptions } from "../slice-kernel.ts";
import { KERNELS_BASE64 } from "./kernels.wasm.ts";

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly heap: { readonly value: number };
  backProject(
    image: number, size: number, radius: number, firstLine: number, lastLine: number,
    slopes: number, views: number, count: number,
  ): void; // prettier-ignore
  rampFilter(
    rows: number, apart: number, cols: number, n: number, turns: number, gain: number, work: number, edge: number,
  ): void; // prettier-ignore
  scaled(image: number, into: number, count: number, factor: number): void;
}

/** What we use of it; TypeScript has its types only with those of a browser. */
interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
const engine = (globalThis as { WebAssembly?: Engine }).WebAssembly;

const bytes = (): Uint8Array => Uint8Array.from(atob(KERNELS_BASE64), (c) => c.charCodeAt(0));
let compiled: object | undefined;

/** Whether this JavaScript engine runs the kernels: WebAssembly with SIMD. */
export const runsWasm = (): boolean => compiled !== undefined || (engine?.validate(bytes()) ?? false);

const PAGE = 65_536;
/** Lines in the queue of a slice. */
const QUEUE = 16;
/** Floats before and after a row that a vector may reach into. */
const MARGIN = 8;
const VIEW_BYTES = 32;
/** Of the slopes: the fraction of a position has so many bits. */
const FRACTION = 2 ** 26;
/** Pairs of rows that the filter takes in one call. */
const LANES = 4;

/** Addresses of everything, in bytes. */
function layout(heap: number, { slices, size, cols }: Pick<SliceOptions, "slices" | "size" | "cols">) {
  const n = powerOfTwo(2 * cols);
  const apart = 4 * 4 * Math.ceil(cols / 4);
  const table = 4 * (cols + 2 * MARGIN);
  const pixels = 4 * Math.ceil((size * size) / 4);
  let next = heap;
  const take = (bytes: number): number => {
    const at = Math.ceil(next / 64) * 64;
    next = at + bytes;
    return at;
  };
  return {
    n,
    apart,
    table,
    pixels,
    turns: take(8 * n),
    gain: take(4 * n),
    work: take(32 * Math.max(n, 4)),
    rows: take(2 * LANES * apart),
    /** Of slice s: QUEUE views, then a row and its slopes for each. */
    views: take(slices * QUEUE * VIEW_BYTES),
    tables: take(slices * QUEUE * 2 * table),
    shown: take(4 * pixels),
    // Four more than there are pixels: the kernel reads past the last line.
    images: Array.from({ length: slices }, () => take(4 * pixels + 16)),
    pages: Math.ceil(next / PAGE),
  };
}

/** What these slices need; a WebAssembly memory has addresses of 32 bits, and so holds 4 GiB. */
export function wasmMemory_GiB(options: Pick<SliceOptions, "slices" | "size" | "cols">): number {
  return (layout(PAGE, options).pages * PAGE) / 2 ** 30;
}

export function wasmKernel(options: SliceOptions): SliceKernel {
  const { slices, size, cols, axis, window, padding, radius } = options;
  compiled ??= new engine!.Module(bytes());
  const wasm = new engine!.Instance(compiled).exports as Exports;
  const at = layout(wasm.heap.value, options);
  const more = at.pages - wasm.memory.buffer.byteLength / PAGE;
  if (more > 0) wasm.memory.grow(more);
  const { buffer } = wasm.memory;
  const f32 = new Float32Array(buffer);
  const memory = new DataView(buffer);
  const images = at.images.map((address) => new Float32Array(buffer, address, size * size));
  const shown = new Float32Array(buffer, at.shown, size * size);
  for (let k = 0; k < at.n; k++) {
    f32[at.turns / 4 + 2 * k] = Math.cos((2 * Math.PI * k) / at.n);
    f32[at.turns / 4 + 2 * k + 1] = -Math.sin((2 * Math.PI * k) / at.n);
  }
  f32.set(rampGain(at.n, window), at.gain / 4);
  const rowAddress = (s: number, place: number): number =>
    at.tables + (s * QUEUE + place) * 2 * at.table + 4 * MARGIN;
  for (let s = 0; s < slices; s++) {
    for (let place = 0; place < QUEUE; place++) {
      const view = at.views + (s * QUEUE + place) * VIEW_BYTES;
      memory.setUint32(view + 24, rowAddress(s, place), true);
      memory.setInt32(view + 28, cols, true);
    }
  }
  const sum = new Float64Array(cols);
  let waiting = 0;

  function settle(): void {
    for (let s = 0; waiting > 0 && s < slices; s++) {
      const views = at.views + s * QUEUE * VIEW_BYTES;
      wasm.backProject(at.images[s]!, size, radius, 0, size, at.table, views, waiting);
    }
    waiting = 0;
  }

  /** Writes a line's row, turned round where t would fall along a line of the image. */
  function put(s: number, place: number, theta_rad: number): void {
    const cosTheta = Math.cos(theta_rad);
    const sinTheta = Math.sin(theta_rad);
    const round = cosTheta < 0;
    if (round) sum.reverse();
    const view = at.views + (s * QUEUE + place) * VIEW_BYTES;
    memory.setFloat64(view, round ? cols - 1 - axis : axis, true);
    memory.setFloat64(view + 8, round ? -cosTheta : cosTheta, true);
    memory.setFloat64(view + 16, round ? -sinTheta : sinTheta, true);
    const row = rowAddress(s, place) / 4;
    const slopes = row + at.table / 4;
    f32.set(sum, row);
    for (let i = 0; i < cols - 1; i++) f32[slopes + i] = (sum[i + 1]! - sum[i]!) / FRACTION;
    f32[slopes - 1] = sum[0]! / FRACTION;
  }

  return {
    // Two rows of a view always ride together, and never with another view's: the lanes beside them take those.
    viewsAtOnce: Math.max(1, Math.floor(LANES / Math.ceil(slices / 2))),
    filter(p, into) {
      const pairs = Math.ceil(slices / 2);
      const wanted = pairs * into.length;
      for (let first = 0; first < wanted; first += LANES) {
        const count = Math.min(LANES, wanted - first);
        const each = (of: (address: number, view: number, slice: number) => void): void => {
          for (let lane = 0; lane < count; lane++) {
            const view = Math.floor((first + lane) / pairs);
            const slice = 2 * ((first + lane) % pairs);
            of(at.rows + lane * at.apart, view, slice);
            if (slice + 1 < slices) of(at.rows + (LANES + lane) * at.apart, view, slice + 1);
          }
        };
        // Nothing of earlier views may ride with an odd slice, or be filtered again and again until it is denormal.
        if (slices % 2 === 1 || count < LANES) f32.fill(0, at.rows / 4, (at.rows + 2 * LANES * at.apart) / 4);
        each((address, view, slice) => f32.set(p[view * slices + slice]!, address / 4));
        wasm.rampFilter(
          at.rows,
          at.apart,
          cols,
          at.n,
          at.turns,
          at.gain,
          at.work,
          padding === "edge" ? 1 : 0,
        );
        each((address, view, slice) =>
          into[view]!.set(f32.subarray(address / 4, address / 4 + cols), slice * cols),
        );
      }
    },
    add(lines) {
      for (const line of lines) {
        for (let s = 0; s < slices; s++) {
          line.row(s, sum);
          put(s, waiting, line.theta_rad);
        }
        if (++waiting === QUEUE) settle();
      }
    },
    settle,
    scaled(slice, factor) {
      settle();
      wasm.scaled(at.images[slice]!, at.shown, at.pixels, factor);
      return shown;
    },
    save() {
      settle();
      return images.map((image) => image.slice());
    },
    load(saved) {
      waiting = 0;
      saved.forEach((image, s) => images[s]!.set(image));
    },
  };
}
