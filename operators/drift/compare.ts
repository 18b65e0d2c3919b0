import { coarseShift } from "./cross-correlation.ts";
import { filled } from "./fill.ts";
import type { Levelled } from "./level.ts";
import { halve, octaveRoom, octavesOf, slopesOf } from "./octaves.ts";
import { makeRefiner, type Frame, type Reference, type RefineOptions, type Registration } from "./refine.ts";
import { middleOf, splineOf, turned, type Move } from "./spline.ts";

/** A frame made ready to be compared: as a reference, or with one. */
export interface Picture {
  readonly levelled: Levelled;
  asReference(): Reference;
  asFrame(): Frame;
  half(angle: number): Float64Array;
}

export interface Comparison extends Registration {
  /** How far the coarse correlation's peak stands out, in standard deviations of the rest: 3 to 10 for pictures of other places. */
  readonly distinct: number;
}

/** Compares frames of one size; buffers are reused from one comparison to the next. */
export function makeComparison(rows: number, cols: number, { minOverlap, ...how }: RefineOptions & { minOverlap: number }) {
  const refine = makeRefiner(rows, cols, how);
  const room = octaveRoom(rows, cols);
  const [halfRows, halfCols] = [(rows + 1) >> 1, (cols + 1) >> 1];
  const lines = new Float64Array(rows * halfCols);
  const straight = new Float64Array(rows * cols);

  function picture(levelled: Levelled): Picture {
    const { known, share } = levelled;
    const values = share < 1 ? filled(levelled.values, known, rows, cols) : levelled.values;
    const once = <T>(make: () => T): (() => T) => {
      let made: T | undefined;
      return () => (made ??= make());
    };
    const halved = (of: Float64Array): Float64Array => {
      const half = new Float64Array(halfRows * halfCols);
      halve(of, rows, cols, lines, half);
      return half;
    };
    const asFrame = once<Frame>(() => ({
      spline: splineOf(values, rows, cols),
      halfSpline: splineOf(half(), halfRows, halfCols),
      known: share < 1 ? wellInside(known, rows, cols) : undefined,
    }));
    const half = once(() => halved(values));
    return {
      levelled,
      asFrame,
      asReference: once(() => ({
        values,
        half: half(),
        known: share < 1 ? known : undefined,
        slopes: octavesOf(values, half(), rows, cols, room).map(slopesOf),
      })),
      half(angle) {
        if (angle === 0) return half();
        turned(asFrame().spline, rows, cols, middleOf(rows, cols), { row: 0, col: 0, angle }, { top: 0, left: 0, height: rows, width: cols }, straight);
        return halved(straight.map((z) => (Number.isNaN(z) ? 0 : z)));
      },
    };
  } // prettier-ignore

  /** The move of a frame against a reference, near a guess; or why there is none. */
  function compare(reference: Picture, frame: Picture, guess: Move): Comparison | string {
    const start = { row: guess.row / 2, col: guess.col / 2 };
    const coarse = coarseShift(reference.half(0), frame.half(guess.angle), halfRows, halfCols, start, minOverlap);
    if (!coarse) return `no shift that leaves ${minOverlap} of the frame in common makes it agree`;
    const at = { row: 2 * coarse.row, col: 2 * coarse.col, angle: guess.angle };
    const found = refine(reference.asReference(), frame.asFrame(), at);
    if (!found) return "its shift cannot be known: nothing that both show, beyond noise and what has changed, tells it along both axes";
    if (found.overlap < minOverlap) return `only ${found.overlap.toFixed(2)} of it is in common, ${minOverlap} are wanted`;
    return { ...found, distinct: coarse.distinct };
  } // prettier-ignore

  return { picture, compare };
} // prettier-ignore

/** How far a filled pixel is felt by the spline. */
const REACH = 1;

/** 1 where nothing is missing within REACH pixels. */
function wellInside(known: Uint8Array, rows: number, cols: number): Uint8Array {
  const out = known.slice();
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      if (known[r * cols + c]) continue;
      for (let y = Math.max(0, r - REACH); y <= Math.min(rows - 1, r + REACH); y++) {
        out.fill(0, y * cols + Math.max(0, c - REACH), y * cols + Math.min(cols, c + REACH + 1));
      }
    }
  }
  return out;
}
