import type { Field } from "../../runtime/index.ts";

type Row = Float32Array | Float64Array;

/** -ln T of a row of transmissions, columns `from` on, NaN where T is NaN or not above zero; says how many those are. */
export function minusLog(transmission: ArrayLike<number>, from: number, into: Row): number {
  let unknown = 0;
  for (let i = 0; i < into.length; i++) {
    const T = transmission[from + i]!;
    const known = T > 0 && T < Infinity;
    into[i] = known ? -Math.log(T) : NaN;
    if (!known) unknown++;
  }
  return unknown;
}

/**
 * Line integrals of a detector row: p = -ln T, from transmission T [1], columns `from` on, into `into`.
 *
 * Where T is NaN (dead pixel) or not above zero (nothing came through), p is not known and is interpolated; returns
 * how many were. Of a row without any known value all stay NaN.
 */
export function lineIntegrals(transmission: ArrayLike<number>, from: number, into: Row): number {
  return minusLog(transmission, from, into) > 0 ? fillGaps(into) : 0;
}

/** Replaces NaN by linear interpolation between the nearest known values, at the ends by the last; says how many. */
export function fillGaps(row: Row): number {
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

/** How the rows of a stream become line integrals: it holds transmissions, or says that it holds -ln T already. */
export interface RowReader {
  /** Of one row, columns `from` on, into `into`; returns how many samples were filled in. */
  row(frame: Float32Array, from: number, into: Float32Array): number;
  /** Whether a value is a measurement. */
  known(value: number): boolean;
}

export function lineIntegralsOf(
  data: Field,
  log: (T: Float32Array, from: number, into: Float32Array) => number = minusLog,
): RowReader {
  if (data.quantity !== "line integral") {
    return {
      row: (frame, from, into) => (log(frame, from, into) > 0 ? fillGaps(into) : 0),
      known: (T) => T > 0 && T < Infinity,
    };
  }
  return {
    row(frame, from, into) {
      for (let i = 0; i < into.length; i++)
        into[i] = Number.isFinite(frame[from + i]) ? frame[from + i]! : NaN;
      return fillGaps(into);
    },
    known: Number.isFinite,
  };
}
