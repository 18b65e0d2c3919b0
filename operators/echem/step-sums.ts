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

const GALVANO = 1,
  POTENTIO = 2; // BioLogic's mode
export const RESTING = 3;
const LAST_INTERVALS = 64;
const ENOUGH_INTERVALS = 8;
const COULOMB_PER_AH = 3600;

/** Plain numbers, so that it can be saved. */
export interface Step {
  start: bigint;
  end: bigint;
  end_s: number;
  duration_s: number;
  rows: number;
  charge_C: number;
  energy_J: number;
  voltage_Vs: number;
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
  /** Records by the state that their current and voltage tell, from UNKNOWN on. */
  told: number[];
}

export interface Row {
  time: bigint;
  seconds: number;
  current_A: number;
  voltage_V: number;
  /** Charge since the record before, as the cycler measured it; NaN where it says none. */
  dq_C: number;
  /** The cycler says so. */
  resting: boolean;
  state: number;
}

export const freshStep = (mode: number): Step => ({
  start: 0n, end: 0n, end_s: NaN, duration_s: 0, rows: 0, charge_C: 0, energy_J: 0, voltage_Vs: 0, integrated_s: 0,
  charged_s: 0, untimed_C: 0, charges: 0, energies: 0, gaps: 0, gap_s: 0, least_V: Infinity, most_V: -Infinity, firstVoltage_V: NaN, lastVoltage_V: NaN, lastCurrent_A: NaN, mode, told: [0, 0, 0, 0, 0, 0],
}); // prettier-ignore

export function addTo(step: Step, row: Row, intervals_s: number[], gapFactor: number): void {
  const { current_A, voltage_V, dq_C, seconds, state } = row;
  if (state !== UNKNOWN) step.told[state - UNKNOWN]!++;
  if (step.rows === 0) {
    step.start = row.time;
    step.firstVoltage_V = voltage_V;
    // The cycler's dq of the first record passed since the record before, when the step had begun.
    addUntimed(step, dq_C);
    addEnergy(step, voltage_V * dq_C);
  } else {
    const dt_s = seconds - step.end_s;
    step.duration_s += dt_s;
    const gap = dt_s > gapFactor * intervals_s.at(-1)! && dt_s > gapFactor * longest(intervals_s);
    intervals_s.push(dt_s);
    if (intervals_s.length > LAST_INTERVALS) intervals_s.shift();
    if (gap) {
      step.gaps++;
      step.gap_s += dt_s;
    } else integrate(step, row, dt_s);
    // Over a gap the cycler went on measuring charge, even if it recorded nothing.
    if (gap) addUntimed(step, dq_C);
  }
  step.rows++;
  if (voltage_V < step.least_V) step.least_V = voltage_V;
  if (voltage_V > step.most_V) step.most_V = voltage_V;
  step.end = row.time;
  step.end_s = seconds;
  step.lastVoltage_V = voltage_V;
  step.lastCurrent_A = current_A;
}

function longest(intervals_s: readonly number[]): number {
  return intervals_s.length < ENOUGH_INTERVALS ? Infinity : Math.max(...intervals_s);
}

function addUntimed(step: Step, charge_C: number): void {
  if (!Number.isFinite(charge_C)) return;
  step.charge_C += charge_C;
  step.untimed_C += charge_C;
  step.charges++;
}

function addEnergy(step: Step, energy_J: number): void {
  if (!Number.isFinite(energy_J)) return;
  step.energy_J += energy_J;
  step.energies++;
}

function integrate(step: Step, { current_A, voltage_V, dq_C }: Row, dt_s: number): void {
  const mean_V = (voltage_V + step.lastVoltage_V) / 2;
  if (Number.isFinite(mean_V)) {
    step.voltage_Vs += mean_V * dt_s;
    step.integrated_s += dt_s;
  }
  const measured = Number.isFinite(dq_C);
  const charge_C = measured ? dq_C : ((current_A + step.lastCurrent_A) / 2) * dt_s;
  if (!Number.isFinite(charge_C)) return;
  step.charge_C += charge_C;
  step.charges++;
  step.charged_s += dt_s;
  const energy_J = measured
    ? mean_V * dq_C
    : ((current_A * voltage_V + step.lastCurrent_A * step.lastVoltage_V) / 2) * dt_s;
  addEnergy(step, energy_J);
}

/** What a step of the cycler's is: by its mode where it says one, else by most of its records. */
export function kindOf(
  { mode, charge_C, told, least_V, most_V }: Step,
  { cvVoltage_V }: StateSettings,
): number {
  if (mode === RESTING) return REST;
  let most = UNKNOWN;
  for (let kind = REST; kind <= CV_DISCHARGE; kind++)
    if (told[kind - UNKNOWN]! > told[most - UNKNOWN]!) most = kind;
  if ((mode !== GALVANO && mode !== POTENTIO) || charge_C === 0) return most;
  // Potentiostatic is also what sweeps the voltage.
  const held = mode === POTENTIO && most_V - least_V <= 5 * cvVoltage_V;
  return charge_C > 0 ? (held ? CV_CHARGE : CHARGE) : held ? CV_DISCHARGE : DISCHARGE;
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
  return {
    kind,
    start: step.start,
    duration: step.duration_s,
    rows: step.rows,
    charge_ampere_hour: step.charges > 0 ? step.charge_C / COULOMB_PER_AH : NaN,
    energy_watt_hour: step.energies > 0 ? step.energy_J / COULOMB_PER_AH : NaN,
    mean_voltage_volt: integrated_s > 0 ? step.voltage_Vs / integrated_s : step.lastVoltage_V,
    mean_current_ampere: charged_s > 0 ? (step.charge_C - step.untimed_C) / charged_s : step.lastCurrent_A,
    start_voltage_volt: step.firstVoltage_V,
    end_voltage_volt: step.lastVoltage_V,
    gaps: step.gaps,
    gap_duration: step.gap_s,
    agreement: told > 0 ? agreeing / told : NaN,
  };
}
