/**
 * How far the efficiency of a cycle is known while the cycle is under way.
 *
 *     bound = Q_numerator so far / Q_denominator           the denominator passed first: a lower bound, it grows
 *           = Q_numerator / Q_denominator so far           the numerator passed first: an upper bound, it falls
 *
 * from the charge of each half cycle beside its records (echem/charge). Also sums up each half cycle, for the reservoir.
 */
import { signOf } from "./current-state.ts";

export interface ChargeRecord {
  readonly time: bigint;
  readonly kind: number;
  readonly cycle: number;
  readonly half: number;
  /** Since the half cycle began. */
  readonly charge_Ah: number;
  readonly voltage_V: number;
  /** Not integrated since the record before, for want of records or of current; and because a step begins. */
  readonly gap: boolean;
  readonly begins: boolean;
}

/** Of one direction in a cycle: what its finished half cycles came to. */
interface Direction {
  charge_Ah: number;
  measured_s: number;
}
const nothing = (): Direction => ({ charge_Ah: 0, measured_s: 0 });

/** Plain, so that it can be saved. */
export interface HalfSums {
  half: number;
  /** Sign of its current. */
  sign: number;
  charge_Ah: number;
  measured_s: number;
  gaps: number;
  /** Furthest voltage in the direction of its current. */
  peak_V: number;
  /** Last record of charge or discharge. */
  end: bigint;
}

export interface Running {
  cycle: number;
  before: bigint | undefined;
  half: HalfSums | undefined;
  charge: Direction;
  discharge: Direction;
  gaps: number;
  /** Level of the last bound that was given. */
  level: number;
}

export const freshRunning = (): Running => ({
  cycle: -1, before: undefined, half: undefined, charge: nothing(), discharge: nothing(), gaps: 0, level: 0,
}); // prettier-ignore

export interface Bound {
  readonly side: number;
  readonly value: number;
  readonly numerator_s: number;
  readonly denominator_s: number;
  readonly denominator_Ah: number;
  readonly gaps: number;
}

export const LOWER = 1, UPPER = 2; // prettier-ignore

/** Takes a record; `ended` is told of the half cycle that ended before it. */
export function addRecord(r: Running, record: ChargeRecord, ended: (half: HalfSums) => void): void {
  const { time, kind, cycle, half, charge_Ah, voltage_V, gap, begins } = record;
  const dt_s = r.before === undefined ? 0 : Number(time - r.before) / 1e9;
  r.before = time;
  if (half < 0) return;
  const turns = half !== r.half?.half;
  if (turns) {
    if (r.half) {
      ended(r.half);
      const side = r.half.sign > 0 ? r.charge : r.discharge;
      side.charge_Ah += r.half.charge_Ah;
      side.measured_s += r.half.measured_s;
    }
    r.half = { half, sign: signOf(kind), charge_Ah, measured_s: 0, gaps: 0, peak_V: NaN, end: time };
  }
  if (cycle !== r.cycle) {
    // A half cycle that goes on across a cycle's end (by the cycler's count) counts from there.
    Object.assign(r, { cycle, charge: nothing(), discharge: nothing(), gaps: 0, level: 0 });
    if (!turns) {
      const side = r.half!.sign > 0 ? r.charge : r.discharge;
      side.charge_Ah = -r.half!.charge_Ah;
      side.measured_s = -r.half!.measured_s;
    }
  }
  const open = r.half!;
  open.charge_Ah = charge_Ah;
  if (signOf(kind) === 0) return;
  open.end = time;
  if (!(open.sign * voltage_V <= open.sign * open.peak_V) && !Number.isNaN(voltage_V))
    open.peak_V = voltage_V;
  if (gap) {
    open.gaps++;
    r.gaps++;
  } else if (!begins) open.measured_s += dt_s;
}

/** The bound at the last record, if it is in the second half of its cycle. Sign of the denominator's current; 0: of the cycle's first. */
export function boundOf(r: Running, denominatorSign: number): Bound | undefined {
  const { half } = r;
  if (!half) return undefined;
  const [earlier, under] = half.sign > 0 ? [r.discharge, r.charge] : [r.charge, r.discharge];
  const now_Ah = under.charge_Ah + half.charge_Ah;
  const now_s = under.measured_s + half.measured_s;
  if (!(earlier.charge_Ah > 0) || !(now_Ah > 0)) return undefined;
  return half.sign === denominatorSign
    ? { side: UPPER, value: earlier.charge_Ah / now_Ah, numerator_s: earlier.measured_s, denominator_s: now_s, denominator_Ah: now_Ah, gaps: r.gaps }
    : { side: LOWER, value: now_Ah / earlier.charge_Ah, numerator_s: now_s, denominator_s: earlier.measured_s, denominator_Ah: earlier.charge_Ah, gaps: r.gaps };
} // prettier-ignore
