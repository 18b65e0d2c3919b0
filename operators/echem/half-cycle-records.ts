/**
 * The records of one half cycle, at most so many: of more, every second is forgotten, and from then on every second,
 * fourth, … is kept. So they reach over all of it, however long it is.
 */
export interface HalfCycleRecords {
  readonly sign: number;
  readonly start: bigint;
  /** Since the start. */
  t_s: number[];
  /** Positive where the voltage has the current's sign. */
  eta_V: number[];
  current_A: number[];
  /** Records to one that is kept, and how many came since the last that was. */
  stride: number;
  since: number;
}

export const freshRecords = (sign: number, start: bigint): HalfCycleRecords => ({
  sign, start, t_s: [], eta_V: [], current_A: [], stride: 1, since: 0,
}); // prettier-ignore

/** True where records were forgotten just now. */
export function keep(
  records: HalfCycleRecords,
  t_s: number,
  eta_V: number,
  current_A: number,
  most: number,
): boolean {
  if (records.t_s.length > 0 && ++records.since < records.stride) return false;
  records.since = 0;
  records.t_s.push(t_s);
  records.eta_V.push(eta_V);
  records.current_A.push(current_A);
  if (records.t_s.length < most) return false;
  const everySecond = (values: number[]): number[] => values.filter((_, i) => i % 2 === 0);
  records.t_s = everySecond(records.t_s);
  records.eta_V = everySecond(records.eta_V);
  records.current_A = everySecond(records.current_A);
  // The last one stands where it did: one was forgotten after it, or none.
  records.since = most % 2 === 0 ? records.stride : 0;
  records.stride *= 2;
  return true;
}

/** V / I at a time, between two records; NaN before the first and after the last. `near` is a place to begin with. */
export function resistanceAt({ t_s, eta_V, current_A }: HalfCycleRecords, t: number, near: number): { R_Ohm: number; place: number } {
  let place = Math.max(1, Math.min(near, t_s.length - 1));
  while (place < t_s.length - 1 && t_s[place]! < t) place++;
  while (place > 1 && t_s[place - 1]! > t) place--;
  const [a, b] = [t_s[place - 1], t_s[place]];
  if (a === undefined || b === undefined || !(t >= a && t <= b)) return { R_Ohm: NaN, place };
  const of = (k: number): number => eta_V[k]! / Math.abs(current_A[k]!);
  const part = b > a ? (t - a) / (b - a) : 0;
  return { R_Ohm: of(place - 1) + part * (of(place) - of(place - 1)), place };
} // prettier-ignore
