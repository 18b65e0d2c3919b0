/**
 * What is summed of one step of a cycling test, record by record, and what it comes to. The formulas stand in steps.ts.
 */
import {
  CHARGE,
  CV_CHARGE,
  CV_DISCHARGE,
  DISCHARGE,
  REST,
  UNKNOWN,
  type StateSettings,
} from "./current-state.ts";
import { addTo, COULOMB_PER_AH, GAP, pass, totalOf, WITHIN, zero, type Before, type Measured, type Sum } from "./intervals.ts"; // prettier-ignore

const GALVANO = 1,
  POTENTIO = 2; // BioLogic's mode
export const RESTING = 3;

/** Plain numbers, so that it can be saved. */
export interface Step {
  start: bigint;
  end: bigint;
  end_s: number;
  duration_s: number;
  rows: number;
  charge_C: Sum;
  energy_J: Sum;
  voltage_Vs: Sum;
  integrated_s: number;
  charged_s: number;
  /** Of `charge_C`, what passed over no time that is in `charged_s`; and how many charges and energies were summed. */
  untimed_C: number;
  charges: number;
  energies: number;
  gaps: number;
  gap_s: number;
  least_V: number;
  most_V: number;
  firstVoltage_V: number;
  lastVoltage_V: number;
  lastCurrent_A: number;
  mode: number;
  /** What the cycler calls it, as a kind; UNKNOWN where it says nothing. */
  called: number;
  /** The cell was at rest in it; and how many records in a row it has been active since. */
  rested: boolean;
  activeSince: number;
  /** It became active after a rest, for more than a single record. */
  woke: boolean;
  /** Records by the state that their current and voltage tell, from UNKNOWN on. */
  told: number[];
}

export interface Row extends Measured {
  seconds: number;
  /** The cycler says so. */
  resting: boolean;
  state: number;
}

export const freshStep = (mode: number, called: number): Step => ({
  start: 0n, end: 0n, end_s: NaN, duration_s: 0, rows: 0, charge_C: zero(), energy_J: zero(), voltage_Vs: zero(), integrated_s: 0,
  charged_s: 0, untimed_C: 0, charges: 0, energies: 0, gaps: 0, gap_s: 0, least_V: Infinity, most_V: -Infinity, firstVoltage_V: NaN, lastVoltage_V: NaN, lastCurrent_A: NaN, mode, called, rested: false, activeSince: 0, woke: false, told: [0, 0, 0, 0, 0, 0],
}); // prettier-ignore

export function take(step: Step, row: Row, before: Before, gapFactor: number): void {
  const { current_A, voltage_V, seconds, state } = row;
  if (state !== UNKNOWN) {
    step.told[state - UNKNOWN]!++;
    if (state === REST) step.rested = true;
    step.activeSince = state !== REST && step.rested ? step.activeSince + 1 : 0;
    if (step.activeSince > 1) step.woke = true;
  }
  const begins = step.rows === 0;
  const { what, dt_s, charge_C, energy_J, voltage_Vs } = pass(before, row, begins, gapFactor);
  if (begins) {
    step.start = row.time;
    step.firstVoltage_V = voltage_V;
  } else step.duration_s += dt_s;
  if (what === GAP) {
    step.gaps++;
    step.gap_s += dt_s;
  }
  if (Number.isFinite(voltage_Vs)) {
    addTo(step.voltage_Vs, voltage_Vs);
    step.integrated_s += dt_s;
  }
  if (Number.isFinite(charge_C)) {
    addTo(step.charge_C, charge_C);
    step.charges++;
    if (what === WITHIN) step.charged_s += dt_s;
    else step.untimed_C += charge_C;
  }
  if (Number.isFinite(energy_J)) {
    addTo(step.energy_J, energy_J);
    step.energies++;
  }
  step.rows++;
  if (voltage_V < step.least_V) step.least_V = voltage_V;
  if (voltage_V > step.most_V) step.most_V = voltage_V;
  step.end = row.time;
  step.end_s = seconds;
  step.lastVoltage_V = voltage_V;
  step.lastCurrent_A = current_A;
}

/**
 * What a step of the cycler's is: as the cycler calls it or by its mode, where it says so, else by most of its records.
 * One in which the cell became active after a rest is no rest, however long that was; one that only begins with a
 * current left over from before is.
 */
export function kindOf(
  { mode, called, charge_C: charge, told, woke, least_V, most_V }: Step,
  { cvVoltage_V }: StateSettings,
): number {
  if (called !== UNKNOWN) return called;
  if (mode === RESTING) return REST;
  const charge_C = totalOf(charge);
  let most = UNKNOWN;
  for (let kind = woke ? CHARGE : REST; kind <= CV_DISCHARGE; kind++)
    if (told[kind - UNKNOWN]! > told[most - UNKNOWN]!) most = kind;
  if ((mode !== GALVANO && mode !== POTENTIO) || charge_C === 0) return most;
  // Potentiostatic is also what sweeps the voltage.
  const held = mode === POTENTIO && most_V - least_V <= 5 * cvVoltage_V;
  return charge_C > 0 ? (held ? CV_CHARGE : CHARGE) : held ? CV_DISCHARGE : DISCHARGE;
} // prettier-ignore

/**
 * What a cycler calls a step ("CC_Chg", "CV DChg", "Rest"), as a kind; UNKNOWN where it could be anything (a pulse, a
 * simulation) or more than one (CCCV, CPCV: what the cell does tells which).
 */
export function kindCalled(name: string): number {
  if (/^(rest|ocv|pause|wait)/i.test(name)) return REST;
  const held = /cv/i.test(name);
  if (/c[cp][-_ ]?cv/i.test(name)) return UNKNOWN;
  if (/d(is)?[-_ ]?ch(ar)?g/i.test(name)) return held ? CV_DISCHARGE : DISCHARGE;
  return /ch(ar)?g/i.test(name) ? (held ? CV_CHARGE : CHARGE) : UNKNOWN;
}

/** Charge, discharge or neither, whether at constant voltage or not. */
const directionOf = (kind: number): number =>
  kind === CV_CHARGE ? CHARGE : kind === CV_DISCHARGE ? DISCHARGE : kind;

export function summary(step: Step, kind: number) {
  let [told, agreeing] = [0, 0];
  step.told.forEach((n, i) => {
    told += n;
    if (directionOf(i + UNKNOWN) === directionOf(kind)) agreeing += n;
  });
  const { charged_s, integrated_s } = step;
  const charge_C = totalOf(step.charge_C);
  return {
    kind,
    start: step.start,
    duration: step.duration_s,
    rows: step.rows,
    charge_ampere_hour: step.charges > 0 ? charge_C / COULOMB_PER_AH : NaN,
    energy_watt_hour: step.energies > 0 ? totalOf(step.energy_J) / COULOMB_PER_AH : NaN,
    mean_voltage_volt: integrated_s > 0 ? totalOf(step.voltage_Vs) / integrated_s : step.lastVoltage_V,
    mean_current_ampere: charged_s > 0 ? (charge_C - step.untimed_C) / charged_s : step.lastCurrent_A,
    start_voltage_volt: step.firstVoltage_V,
    end_voltage_volt: step.lastVoltage_V,
    gaps: step.gaps,
    gap_duration: step.gap_s,
    agreement: told > 0 ? agreeing / told : NaN,
  };
}
