import type { Comparison } from "./compare.ts";
import type { Move } from "./spline.ts";

/** Moves of frames with their errors: as they are found, chained, and two of one frame as one. */

/** Pixels. */
export interface Offset {
  readonly row: number;
  readonly col: number;
}

export type Matrix = readonly (readonly number[])[];

/** A frame's move against the first, by one comparison. */
export interface Candidate extends Move {
  readonly seen: Comparison;
  /** Against the reference. */
  readonly covariance: Matrix;
}

export interface Placed extends Move {
  /** Covariance of row, col [px] and angle [rad] against the reference, and against the first frame. */
  readonly own: Matrix;
  readonly covariance: Matrix;
  readonly confidence: number;
  readonly changeShare: number;
  readonly overlap: number;
  readonly jump: boolean;
}

export const NONE: Matrix = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]; // prettier-ignore
export const diagonal = (variances: readonly number[]): Matrix =>
  variances.map((variance, i) => variances.map((_, k) => (i === k ? variance : 0)));
/** A vector turned from columns towards rows. */
export const turnedBy = (angle: number, { row, col }: Offset): Offset => ({
  row: Math.cos(angle) * row + Math.sin(angle) * col,
  col: Math.cos(angle) * col - Math.sin(angle) * row,
});

/** A move against the frame before, as one against the first. */
export function chained(last: { readonly move: Move; readonly own: Matrix }, seen: Comparison): Candidate {
  const { row, col } = turnedBy(last.move.angle, seen);
  return {
    seen,
    row: last.move.row + row,
    col: last.move.col + col,
    angle: last.move.angle + seen.angle,
    covariance: plus(last.own, padded(seen.covariance)),
  };
}

/** A move against the first frame, as one against another that was moved so. */
export const relativeTo = (from: Move, move: Move): Move => ({
  ...turnedBy(-from.angle, { row: move.row - from.row, col: move.col - from.col }),
  angle: move.angle - from.angle,
});

/** Two moves of a frame that are no further apart do not contradict each other, however precise they are. */
export const CONTRADICTION_px = 0.5;

/** Two moves as one, by their variances; where they contradict each other, the one that is expected, or stands out more. */
export function combined(
  found: readonly (Candidate & { readonly jump: boolean })[],
  expected: Move | undefined,
): Placed {
  const [one, other] = found as [(typeof found)[0], (typeof found)[0]?];
  const alone = ({ seen, covariance, ...move }: (typeof found)[0]): Placed => {
    const { confidence, changeShare, overlap } = seen;
    return { ...move, own: covariance, covariance, confidence, changeShare, overlap };
  };
  if (!other) return alone(one);
  const apart = Math.hypot(one.row - other.row, one.col - other.col);
  if (
    apart >
    Math.max(CONTRADICTION_px, 5 * Math.hypot(largestError(one.covariance), largestError(other.covariance)))
  ) {
    const away = (from: Move): number => Math.hypot(from.row - expected!.row, from.col - expected!.col);
    const first = expected ? away(one) <= away(other) : one.seen.distinct >= other.seen.distinct;
    return alone(first ? one : other);
  }
  const variance = ({ covariance }: Candidate): number => covariance[0]![0]! + covariance[1]![1]!;
  const w = variance(other) / (variance(one) + variance(other));
  const mean = (a: number, b: number): number => w * a + (1 - w) * b;
  // As large as it would be were the errors of both the same: the frame's noise is in both.
  const own = one.covariance.map((line, i) => line.map((x, k) => mean(x, other.covariance[i]![k]!)));
  return {
    ...alone(w >= 0.5 ? one : other),
    row: mean(one.row, other.row),
    col: mean(one.col, other.col),
    angle: mean(one.angle, other.angle),
    own,
  };
}

export const largestError = (covariance: Matrix): number =>
  Math.sqrt(Math.max(covariance[0]![0]!, covariance[1]![1]!));
export const padded = (covariance: Matrix): Matrix =>
  NONE.map((line, i) => line.map((_, k) => covariance[i]?.[k] ?? 0));
export const plus = (a: Matrix, b: Matrix, factor = 1): Matrix =>
  a.map((line, i) => line.map((x, k) => x + factor * b[i]![k]!));
