/**
 * What passes between two records of a cycling test, and how it is summed: one rule for all that integrates current.
 *
 *     q = (I[k] + I[k-1]) / 2 * dt                [C]    or the cycler's own dq, where the stream has it
 *     e = (V[k] I[k] + V[k-1] I[k-1]) / 2 * dt    [J]    or (V[k] + V[k-1]) / 2 * dq
 *
 * Nothing is integrated over the change of a step, over a record without current, and over a gap: an interval longer
 * than `gapFactor` times the one before it and than `gapFactor` times the longest of the last 64 of its step. (Of five
 * times their median, as is often used, records taken every so many millivolt would lose up to 42 % of their charge.
 * Only of its step, because each step of a cycler has a cadence of its own.) The cycler's dq counts there all the same:
 * it went on measuring, even if it recorded nothing; and that of a step's first record passed since the step began.
 * Without dq, of a cycler that takes a step's first record an interval after it began (Arbin's text), that interval's charge is lost.
 *
 * dt is the difference of two whole nanoseconds, so it does not depend on where seconds are counted from.
 */
import { quantity } from "../../runtime/index.ts";

export const COULOMB_PER_AH = 3600;
export const COULOMB_PER_MAH = 3.6;
const LAST_INTERVALS = 64;
const ENOUGH_INTERVALS = 8;

/** What an interval is: within a step, a gap in it, or not within one. */
export const WITHIN = 0, GAP = 1, STEP_BEGINS = 2; // prettier-ignore

export const gapFactor = quantity("1", 5, {
  min: 1,
  doc: "an interval so many times longer than the longest of late in its step is a gap",
});

/** A sum whose rounding errors are kept beside it (Neumaier 1974), record by record: no bit depends on batches. */
export interface Sum {
  value: number;
  lost: number;
}

export const zero = (): Sum => ({ value: 0, lost: 0 });
export const totalOf = ({ value, lost }: Sum): number => value + lost;

export function addTo(sum: Sum, x: number): void {
  const { value } = sum;
  const next = value + x;
  sum.lost += Math.abs(value) >= Math.abs(x) ? value - next + x : x - next + value;
  sum.value = next;
}

export interface Measured {
  readonly time: bigint;
  readonly current_A: number;
  readonly voltage_V: number;
  /** Charge since the record before, as the cycler measured it; NaN where it says none. */
  readonly dq_C: number;
}

/** What has to be known of the records before; plain, so that it can be saved. */
export interface Before {
  time: bigint | undefined;
  current_A: number;
  voltage_V: number;
  /** Of the open step, the last of them. */
  intervals_s: number[];
}

export const nothingBefore = (): Before => ({ time: undefined, current_A: NaN, voltage_V: NaN, intervals_s: [] }); // prettier-ignore

export interface Passed {
  readonly what: number;
  /** Since the record before; 0 at the first of all. */
  readonly dt_s: number;
  /** NaN where it is not known. */
  readonly charge_C: number;
  readonly energy_J: number;
  /** Integral of the voltage; NaN where it was not integrated. */
  readonly voltage_Vs: number;
}

/** What passed since the record before, which from now on is this one. */
export function pass(before: Before, record: Measured, begins: boolean, factor: number): Passed {
  const { current_A, voltage_V, dq_C } = record;
  const dt_s = before.time === undefined ? 0 : Number(record.time - before.time) / 1e9;
  let what = WITHIN;
  if (begins || before.time === undefined) {
    what = STEP_BEGINS;
    before.intervals_s = [];
  } else {
    const { intervals_s } = before;
    if (dt_s > factor * intervals_s.at(-1)! && dt_s > factor * longest(intervals_s)) what = GAP;
    intervals_s.push(dt_s);
    if (intervals_s.length > LAST_INTERVALS) intervals_s.shift();
  }
  const mean_V = (voltage_V + before.voltage_V) / 2;
  const cycler = Number.isFinite(dq_C);
  const passed = {
    what,
    dt_s,
    charge_C: cycler ? dq_C : what === WITHIN ? ((current_A + before.current_A) / 2) * dt_s : NaN,
    energy_J:
      what === GAP ? NaN
      : what === STEP_BEGINS ? voltage_V * dq_C
      : cycler ? mean_V * dq_C
      : ((current_A * voltage_V + before.current_A * before.voltage_V) / 2) * dt_s,
    voltage_Vs: what === WITHIN ? mean_V * dt_s : NaN,
  }; // prettier-ignore
  before.time = record.time;
  before.current_A = current_A;
  before.voltage_V = voltage_V;
  return passed;
}

function longest(intervals_s: readonly number[]): number {
  return intervals_s.length < ENOUGH_INTERVALS ? Infinity : Math.max(...intervals_s);
}
