import { median, quantile } from "./order-statistics.ts";

/** What the current of a pixel says. */
export const MEASURED = 0, BELOW_FLOOR = 1, SATURATED = 2, REVERSED = 3, MISSING = 255; // prettier-ignore

/** Side of the tiles that noise is looked for in. */
const TILE = 16;
/** The quietest tenth of the tiles: where nothing conducts. */
const QUIET = 0.1;

/**
 * Noise of a pixel [as the map]: of the quietest tiles the median difference between neighbours along the line,
 * × 1.4826 / √2. On a map that conducts everywhere it contains the structure of the sample, and is an upper estimate.
 */
export function noiseOf(map: ArrayLike<number>, rows: number, cols: number): number {
  const found: number[] = [];
  const work = new Float64Array(TILE * TILE);
  for (let top = 0; top < rows; top += TILE) {
    for (let left = 0; left < cols; left += TILE) {
      let n = 0;
      for (let r = top; r < Math.min(rows, top + TILE); r++) {
        for (let c = left; c + 1 < Math.min(cols, left + TILE); c++) {
          const step = map[r * cols + c + 1]! - map[r * cols + c]!;
          if (step - step === 0) work[n++] = Math.abs(step);
        }
      }
      if (n >= TILE) found.push((median(work.subarray(0, n)) * 1.4826) / Math.SQRT2);
    }
  }
  return quantile(Float64Array.from(found).sort(), QUIET);
}

/** Pixels that must lie exactly on the same extreme for an amplifier to be at its limit. */
const LEAST_AT_LIMIT = 16;

/**
 * Lower and upper limit that the amplifier ran into: the extreme value of the map, where many pixels have exactly it, and
 * four times as many as have the value next to it. Infinite where there is none.
 */
export function limitsOf(map: ArrayLike<number>, floor: number): { low: number; high: number } {
  const limit = (sign: 1 | -1): number => {
    let [most, next, atMost, atNext] = [-Infinity, -Infinity, 0, 0];
    for (let i = 0; i < map.length; i++) {
      const v = sign * map[i]!;
      if (v - v !== 0) continue;
      if (v > most) [next, atNext, most, atMost] = [most, atMost, v, 1];
      else if (v === most) atMost++;
      else if (v > next) [next, atNext] = [v, 1];
      else if (v === next) atNext++;
    }
    return most > floor && atMost >= LEAST_AT_LIMIT && atNext > 0 && atMost > 4 * atNext ? sign * most : sign * Infinity;
  };
  return { low: limit(-1), high: limit(1) };
} // prettier-ignore
