import { startSideThread } from "../../runtime/index.ts";
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import type { KernelOptions, Line, SliceKernel } from "./slice-kernel.ts";
import { linesOf, wasmKernel } from "./wasm/slice-kernel.ts";

/**
 * One slice kernel in several threads: each makes its tile, some lines of every plane, in a memory of its own. This
 * thread makes the first tile and writes down for the others what is to be done, in memory that all share; it waits
 * for them when a picture is asked for, or when they are `COMMANDS` behind. A tile's lines come out with the same bits
 * whatever the number of tiles.
 */
export interface TileStart {
  readonly options: KernelOptions;
  readonly index: number;
  readonly count: number;
  readonly shared: Shared;
}

/** Commands that the threads may be behind, and for each: op and integers, lines, rows of a view. */
export interface Shared {
  readonly commands: number;
  /** Int32: how many were written; then of each thread how many are done, -1 where it failed. */
  readonly progress: SharedArrayBuffer;
  readonly heads: SharedArrayBuffer;
  readonly lines: SharedArrayBuffer;
  readonly rows: SharedArrayBuffer;
  /** A picture, as large as the largest plane. */
  readonly picture: SharedArrayBuffer;
}

export const OP = {
  filter: 1, put: 2, add: 3, setWindow: 4, clear: 5, scaled: 6, load: 7, rows: 8, settle: 9, close: 10,
} as const; // prettier-ignore
export const HEAD = 4;
/** Numbers in one command's lines. */
export const LINE_NUMBERS = 1024;
const MOST_COMMANDS = 16;
const ROWS_BYTES = 32 << 20;
/** A thread that has not answered for so long is lost. */
const PATIENCE_ms = 60_000;

export function tiledKernel(options: KernelOptions, count: number): SliceKernel {
  const { planes, detectorRows, cols } = options;
  const own = wasmKernel(options, { index: 0, count });
  const rowNumbers = detectorRows.length * cols;
  const commands = Math.max(2, Math.min(MOST_COMMANDS, Math.floor(ROWS_BYTES / (4 * rowNumbers))));
  const shared: Shared = {
    commands,
    progress: new SharedArrayBuffer(4 * (1 + count)),
    heads: new SharedArrayBuffer(4 * HEAD * commands),
    lines: new SharedArrayBuffer(8 * LINE_NUMBERS * commands),
    rows: new SharedArrayBuffer(4 * rowNumbers * commands),
    picture: new SharedArrayBuffer(4 * Math.max(...planes.map(({ rows, cols }) => rows * cols))),
  };
  const progress = new Int32Array(shared.progress);
  const heads = new Int32Array(shared.heads);
  const numbers = new Float64Array(shared.lines);
  const rows = new Float32Array(shared.rows);
  const picture = new Float32Array(shared.picture);
  const threads = Array.from({ length: count - 1 }, (_, i) => {
    const start: TileStart = { options, index: i + 1, count, shared };
    return startSideThread("operators/tomography/tile-thread.js", start);
  });
  let written = 0;

  /** Waits until all threads have done as many commands. */
  function wait(wanted: number): void {
    for (let k = 1; k < count; k++) {
      for (;;) {
        const done = Atomics.load(progress, k);
        if (done < 0) throw new Error(`tile ${k} of ${count}: its thread failed`);
        if (done >= wanted) break;
        if (Atomics.wait(progress, k, done, PATIENCE_ms) === "timed-out")
          throw new Error(`tile ${k} of ${count}: its thread did not answer in ${PATIENCE_ms / 1000} s`);
      }
    }
  }

  /** Writes a command down for the others; `fill` gets the places of its lines and rows. */
  function post(
    op: number,
    [a = 0, b = 0, c = 0]: readonly number[],
    fill?: (lines: number, rows: number) => void,
  ): void {
    wait(written + 1 - commands);
    const place = written % commands;
    heads.set([op, a, b, c], place * HEAD);
    fill?.(place * LINE_NUMBERS, place * rowNumbers);
    written++;
    Atomics.store(progress, 0, written);
    Atomics.notify(progress, 0);
  }

  return {
    viewsAtOnce: own.viewsAtOnce,
    minusLog: own.minusLog,
    filter(p, slots) {
      slots.forEach((slot, i) =>
        post(OP.filter, [slot], (_, at) => rows.set(p[i]!.subarray(0, rowNumbers), at)),
      );
      own.filter(p, slots);
    },
    setWindow(window) {
      post(OP.setWindow, [RAMP_WINDOWS.indexOf(window)]);
      own.setWindow(window);
    },
    put(slot, from) {
      post(OP.put, [slot], (_, at) => rows.set(from, at));
      own.put(slot, from);
    },
    rows(slot) {
      const all = own.rows(slot);
      const place = written % commands;
      // What no tile has of it stays as it is; what several have is the same.
      post(OP.rows, [slot], (_, at) => rows.set(all, at));
      wait(written);
      return rows.slice(place * rowNumbers, (place + 1) * rowNumbers);
    },
    add(image, lines) {
      for (let from = 0; from < lines.length;) {
        let to = from;
        let size = 0;
        while (to < lines.length && size + numbersOf(lines[to]!) <= LINE_NUMBERS) size += numbersOf(lines[to++]!);
        post(OP.add, [image, to - from], (at) => writeLines(lines.slice(from, to), numbers, at));
        from = to;
      }
      own.add(image, lines);
    }, // prettier-ignore
    settle() {
      post(OP.settle, []);
      own.settle();
      wait(written);
    },
    scaled(image, plane, factor) {
      post(OP.scaled, [image, plane], (at) => void (numbers[at] = factor));
      const { rows, cols } = planes[plane]!;
      picture.set(own.scaled(image, plane, factor), linesOf(rows, { index: 0, count })[0] * cols);
      wait(written);
      return picture.subarray(0, rows * cols);
    },
    clear(image) {
      post(OP.clear, [image]);
      own.clear(image);
    },
    save(image) {
      return planes.map((_, plane) => this.scaled(image, plane, 1).slice());
    },
    load(image, saved) {
      const first = saved.map((values, plane) => {
        wait(written);
        picture.set(values);
        post(OP.load, [image, plane]);
        const { rows, cols } = planes[plane]!;
        const [from, to] = linesOf(rows, { index: 0, count });
        return values.subarray(from * cols, to * cols);
      });
      own.load(image, first);
      wait(written);
    },
    close() {
      post(OP.close, []);
      for (const thread of threads) thread.close();
    },
  };
}

const numbersOf = ({ terms }: Line): number => 5 + 3 * terms.length;

function writeLines(lines: readonly Line[], into: Float64Array, at: number): void {
  for (const { theta_rad, axis, shift_y, scale, terms } of lines) {
    into.set([theta_rad, axis, shift_y, scale, terms.length], at);
    at += 5;
    for (const { slot, weight, mirrored } of terms) {
      into.set([slot, weight, mirrored ? 1 : 0], at);
      at += 3;
    }
  }
}

export function readLines(from: Float64Array, at: number, count: number): Line[] {
  return Array.from({ length: count }, () => {
    const [theta_rad, axis, shift_y, scale, terms] = from.subarray(at, at + 5) as unknown as [number, number, number, number, number]; // prettier-ignore
    at += 5;
    return {
      theta_rad, axis, shift_y, scale,
      terms: Array.from({ length: terms }, () => {
        const [slot, weight, mirrored] = from.subarray(at, at + 3) as unknown as [number, number, number];
        at += 3;
        return { slot, weight, mirrored: mirrored === 1 };
      }),
    };
  }); // prettier-ignore
}
