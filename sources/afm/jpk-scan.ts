/** How a scan of JPK's ran, and its numbers: what images in TIFF and in HDF5 have in common. */
import { DOWN, UNKNOWN_SCAN, UP, type ImageFrame, type When } from "./afm-file.ts";
import type { Scale } from "./jpk-slots.ts";

/** Of a frame: 5,792 × 5,792. */
export const MOST_PIXELS = 1 << 25;

/** Whether the line of the smallest y was the first; lines are given out from there on. */
export function slowScan(motion: string, reflected: boolean): ImageFrame["slowScan"] {
  if (motion !== "topDown" && motion !== "bottomUp") return UNKNOWN_SCAN;
  return (motion === "topDown") === reflected ? DOWN : UP;
}

/**
 * A frame lasts as long as its lines do; begin and end tell the same, give or take the way back to the first line.
 * Where they tell something else it was halted, or is not whole: then they count.
 */
export function timing(
  began: When | undefined,
  ended: When | undefined,
  linesPerSecond: number,
  rows: number,
  where: string,
  warnings: string[],
): Pick<ImageFrame, "end" | "duration_s"> {
  const byRate_s = linesPerSecond > 0 && linesPerSecond < Infinity ? rows / linesPerSecond : NaN;
  if (!began || !ended) return { end: ended, duration_s: byRate_s };
  if (ended.ns <= began.ns) return { end: undefined, duration_s: byRate_s };
  const between_s = Number(ended.ns - began.ns) / 1e9;
  if (Number.isNaN(byRate_s)) return { end: ended, duration_s: between_s };
  if (Math.abs(between_s - byRate_s) <= TOLERANCE * byRate_s) return { end: ended, duration_s: byRate_s };
  warnings.push(
    `${where}: lasted ${between_s} s from begin to end, its ${rows} lines at ${linesPerSecond} a second take ${byRate_s} s; the former counts`,
  );
  return { end: ended, duration_s: between_s };
}
const TOLERANCE = 0.1;

/** Stored numbers in the unit of their stream, line by line from the smallest y up. */
export function scaled(
  stored: ArrayLike<number>,
  { multiplier, offset }: Scale,
  { rows, columns, reflected }: { rows: number; columns: number; reflected: boolean },
): Float32Array {
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = (reflected ? rows - 1 - row : row) * columns;
    for (let i = 0; i < columns; i++) values[row * columns + i] = stored[from + i]! * multiplier + offset;
  }
  return values;
}
