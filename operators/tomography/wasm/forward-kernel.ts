/**
 * Forward projection in WebAssembly SIMD: lays out the memory of forward-projection.as.ts. An instance holds one
 * picture and, once a view asks for it, the picture turned; 8 bytes a pixel, and nothing more is allocated.
 */
import {
  CLOSEST,
  crossing,
  withinCircle,
  type ForwardKernel,
  type ForwardOptions,
} from "../forward-projection.ts";
import { KERNELS_BASE64 } from "./kernels.wasm.ts";

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly heap: { readonly value: number };
  forwardProject(
    picture: number, apart: number, lines: number, long: number, centre: number, centreLine: number, radius: number,
    row: number, cols: number, start: number, step: number, down: number, length: number,
  ): void; // prettier-ignore
  transpose(
    picture: number,
    apart: number,
    rows: number,
    cols: number,
    into: number,
    intoApart: number,
  ): void;
}

/** What we use of it; TypeScript has its types only with those of a browser. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
const engine = (globalThis as { WebAssembly?: Engine }).WebAssembly;
let compiled: object | undefined;

const PAGE = 65_536;
/** Floats before and after a line that a vector may reach into. */
const MARGIN = 16;

/** Floats from a line to the next, and lines with those of zeros after the last. */
const apartOf = (pixels: number): number => 4 * Math.ceil(pixels / 4) + 2 * MARGIN;
const linesOf = (lines: number): number => 4 * Math.ceil((lines + 2) / 4);

export function wasmForwardKernel({ plane, cols }: ForwardOptions): ForwardKernel {
  if (Math.hypot(plane.alongX, plane.alongY) < CLOSEST)
    throw new RangeError(`pixels ${Math.hypot(plane.alongX, plane.alongY)} px apart; the kernel takes ${CLOSEST} px and more`);
  compiled ??= new engine!.Module(Uint8Array.from(atob(KERNELS_BASE64), (c) => c.charCodeAt(0)));
  const wasm = new engine!.Instance(compiled).exports as Exports;
  let next = wasm.heap.value;
  /** Address of so many floats, at a multiple of 64. */
  function take(floats: number): number {
    const at = Math.ceil(next / 64) * 64;
    next = at + 4 * floats;
    return at;
  }

  const { rows, cols: width, circle } = plane;
  const apart = apartOf(width);
  const turnedApart = apartOf(rows);
  const upright = take(apart * linesOf(rows)) + 4 * MARGIN;
  const turned = take(turnedApart * linesOf(width)) + 4 * MARGIN;
  const row = take(apartOf(cols)) + 4 * MARGIN;
  wasm.memory.grow(Math.max(0, Math.ceil(next / PAGE) - wasm.memory.buffer.byteLength / PAGE));
  const f32 = new Float32Array(wasm.memory.buffer);
  let hasTurned = false;

  return {
    load(picture) {
      for (let r = 0; r < rows; r++) {
        const at = upright / 4 + r * apart;
        const [from, to] = withinCircle(plane, r);
        f32.fill(0, at, at + from);
        f32.set(picture.subarray(r * width + from, r * width + to), at + from);
        f32.fill(0, at + to, at + width);
      }
      hasTurned = false;
    },
    project(view, into) {
      const across = crossing(plane, view);
      if (across.turned && !hasTurned) {
        wasm.transpose(upright, 4 * apart, rows, width, turned, 4 * turnedApart);
        hasTurned = true;
      }
      const [picture, from, lines, long] = across.turned ? [turned, turnedApart, width, rows] : [upright, apart, rows, width];
      // Beyond the picture's edges all is zero, so a circle around it all will do where none is set.
      const whole = circle.radius === Infinity;
      const at = whole ? { row: (rows - 1) / 2, col: (width - 1) / 2, radius: Math.hypot(rows, width) } : circle;
      const [centre, centreLine] = across.turned ? [at.row, at.col] : [at.col, at.row];
      wasm.forwardProject(
        picture, 4 * from, lines, long, centre, centreLine, at.radius,
        row, into.length, across.start, across.step, across.down, across.length,
      ); // prettier-ignore
      into.set(f32.subarray(row / 4, row / 4 + into.length));
    },
  };
} // prettier-ignore
