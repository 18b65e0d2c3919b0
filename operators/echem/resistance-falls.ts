/**
 * How fast a resistance falls, record by record, within one half cycle:
 *
 *     fall[k] = mean of R over the time `window_s` before record k, less the larger of R[k] and R[k+1]
 *
 * Two records must agree, so one that is odd is no fall. Known one record late.
 */
export interface Falling {
  /** The records before the last, from oldest to newest, as far as they may count. */
  t_s: number[];
  R_Ohm: number[];
  /** Mean before the last record, if that can be told. */
  mean_Ohm: number;
  /** The largest since it was asked for last; NaN while none can be told. */
  largest_Ohm: number;
}

const LEAST_RECORDS = 3;
const MOST_RECORDS = 1024;

export const freshFalling = (): Falling => ({ t_s: [], R_Ohm: [], mean_Ohm: NaN, largest_Ohm: NaN });

export function addToFalling(falling: Falling, t_s: number, R_Ohm: number, window_s: number): void {
  const { t_s: times, R_Ohm: values } = falling;
  const last = values.at(-1);
  if (last !== undefined) {
    const fall = falling.mean_Ohm - Math.max(last, R_Ohm);
    if (Number.isFinite(fall) && !(falling.largest_Ohm >= fall)) falling.largest_Ohm = fall;
  }
  while (times.length > 0 && (times[0]! < t_s - window_s || times.length >= MOST_RECORDS)) {
    times.shift();
    values.shift();
  }
  let sum = 0;
  for (const value of values) sum += value;
  falling.mean_Ohm = values.length >= LEAST_RECORDS ? sum / values.length : NaN;
  times.push(t_s);
  values.push(R_Ohm);
}
