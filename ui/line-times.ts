/**
 * When each line of a scanned image was taken, from the end of its frame:
 *
 *     t(k) = time - duration × (rows - 1 - j) / rows,   j = k (scanned from row 0) or rows - 1 - k
 */
import type { Ms } from "./client/types.ts";
import type { Row } from "./row-feed.ts";
import { valueAt } from "./slice-state.ts";

export interface LineTimes {
  readonly rows: number;
  /** When row 0 and the last row ended. */
  readonly first: Ms;
  readonly last: Ms;
}

const UP = 0, DOWN = 1; // prettier-ignore

/** Undefined where the row does not say how long it took, or from which side it was scanned. */
export function lineTimes(row: Row, rows: number): LineTimes | undefined {
  const duration: Ms = 1000 * valueAt(row, "duration");
  const slow = valueAt(row, "slow_scan");
  if (!(duration > 0) || rows < 1 || (slow !== UP && slow !== DOWN)) return undefined;
  const begun = row.time - (duration * (rows - 1)) / rows;
  return slow === UP ? { rows, first: begun, last: row.time } : { rows, first: row.time, last: begun };
}

export const lineTime = ({ rows, first, last }: LineTimes, k: number): Ms =>
  rows > 1 ? first + ((last - first) * k) / (rows - 1) : last;
