/**
 * Line integrals of a detector row: p = -ln T, from transmission T [1], columns `from` on, into `into`.
 *
 * Where T is NaN (dead pixel) or not above zero (nothing came through), p is not known and is interpolated; returns
 * how many were. Of a row without any known value all stay NaN.
 */
export function lineIntegrals(transmission: ArrayLike<number>, from: number, into: Float64Array): number {
  for (let i = 0; i < into.length; i++) {
    const T = transmission[from + i]!;
    into[i] = T > 0 && T < Infinity ? -Math.log(T) : NaN;
  }
  return fillGaps(into);
}

/** Replaces NaN by linear interpolation between the nearest known values, at the ends by the last; says how many. */
export function fillGaps(row: Float64Array): number {
  let filled = 0;
  let before = -1;
  for (let i = 0; i <= row.length; i++) {
    if (i < row.length && Number.isNaN(row[i])) {
      filled++;
      continue;
    }
    if (i - before > 1 && filled < row.length) {
      const left = before >= 0 ? row[before]! : row[i]!;
      const right = i < row.length ? row[i]! : left;
      for (let k = before + 1; k < i; k++) row[k] = left + ((right - left) * (k - before)) / (i - before);
    }
    before = i;
  }
  return filled;
}
