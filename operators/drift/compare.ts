import { makeCoarseShift } from "./cross-correlation.ts";
import { filled } from "./fill.ts";
import type { Levelled } from "./level.ts";
import { halve, octaveRoom, octavesOf, slopesOf, slopesRoom } from "./octaves.ts";
import { makeRefiner, type Frame, type Reference, type RefineOptions, type Registration } from "./refine.ts";
import { middleOf, splineOf, turned, type Move } from "./spline.ts";

/** A frame made ready to be compared: as a reference, or with one. Its arrays are lent until it is given back. */
export interface Picture {
  readonly levelled: Levelled;
  asReference(): Reference;
  asFrame(): Frame;
  half(angle: number): Float64Array;
}

/** What a picture is made in. */
interface Arrays {
  half?: Float64Array;
  spline?: Float64Array;
  halfSpline?: Float64Array;
  slopes?: ReturnType<typeof slopesRoom>;
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
  const lines = new Float64Array(16 * halfCols);
  const straight = new Float64Array(rows * cols);
  const coarseShift = makeCoarseShift(halfRows, halfCols, minOverlap);
  const free: Arrays[] = [];
  const lent = new WeakMap<Picture, () => Arrays>();

  /** Whoever gives a picture back does not use it any more, nor what it gave out. */
  function giveBack(picture: Picture): void {
    const own = lent.get(picture);
    if (own && free.length < MOST_FREE) free.push(own());
    lent.delete(picture);
  }

  function picture(levelled: Levelled): Picture {
    const { known, share } = levelled;
    const values = share < 1 ? filled(levelled.values, known, rows, cols) : levelled.values;
    const once = <T>(make: () => T): (() => T) => {
      let made: T | undefined;
      return () => (made ??= make());
    };
    const own = once((): Arrays => free.pop() ?? {});
    const halved = (of: Float64Array, into: Float64Array): Float64Array => {
      halve(of, rows, cols, lines, into);
      return into;
    };
    const asFrame = once<Frame>(() => ({
      spline: splineOf(values, rows, cols, (own().spline ??= new Float64Array(rows * cols))),
      halfSpline: splineOf(half(), halfRows, halfCols, (own().halfSpline ??= new Float64Array(halfRows * halfCols))),
      known: share < 1 ? wellInside(known, rows, cols) : undefined,
    }));
    const half = once(() => halved(values, (own().half ??= new Float64Array(halfRows * halfCols))));
    const made: Picture = {
      levelled,
      asFrame,
      asReference: once(() => {
        const into = (own().slopes ??= slopesRoom(rows, cols));
        const slopes = octavesOf(values, half(), rows, cols, room).map((octave, j) => slopesOf(octave, into[j]!));
        return { values, half: half(), known: share < 1 ? known : undefined, slopes };
      }),
      half(angle) {
        if (angle === 0) return half();
        turned(asFrame().spline, rows, cols, middleOf(rows, cols), { row: 0, col: 0, angle }, { top: 0, left: 0, height: rows, width: cols }, straight);
        for (let i = 0; i < straight.length; i++) if (Number.isNaN(straight[i]!)) straight[i] = 0;
        return halved(straight, new Float64Array(halfRows * halfCols));
      },
    };
    lent.set(made, own);
    return made;
  } // prettier-ignore

  /** As `compare`, from a start that is right to a few hundredths of a pixel, where nothing else is looked for; undefined where it does not hold. */
  function compareNear(reference: Picture, frame: Picture, start: Move): Registration | undefined {
    const found = refine(reference.asReference(), frame.asFrame(), start, true);
    return found && found.overlap >= minOverlap ? found : undefined;
  } // prettier-ignore

  /** The move of a frame against a reference, near a guess; or why there is none. */
  function compare(reference: Picture, frame: Picture, guess: Move): Comparison | string {
    const start = { row: guess.row / 2, col: guess.col / 2 };
    const coarse = coarseShift(reference.half(0), frame.half(guess.angle), start);
    if (!coarse) return `no shift that leaves ${minOverlap} of the frame in common makes it agree`;
    const at = { row: 2 * coarse.row, col: 2 * coarse.col, angle: guess.angle };
    const found = refine(reference.asReference(), frame.asFrame(), at);
    if (!found) return "its shift cannot be known: nothing that both show, beyond noise and what has changed, tells it along both axes";
    if (found.overlap < minOverlap) return `only ${found.overlap.toFixed(2)} of it is in common, ${minOverlap} are wanted`;
    return { ...found, distinct: coarse.distinct };
  } // prettier-ignore

  return { picture, giveBack, compare, compareNear };
} // prettier-ignore

/** Arrays of so many pictures are kept for the next ones. */
const MOST_FREE = 4;
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
