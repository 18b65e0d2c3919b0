/**
 * What is summed of one cycle, record by record, and what it comes to. The formulas stand in cycles.ts.
 */
import { chargeError_Ah } from "./current-error.ts";
import { CHARGE, CV_CHARGE, CV_DISCHARGE, DISCHARGE, REST, signOf } from "./current-state.ts";
import { addTo, COULOMB_PER_AH, STEP_BEGINS, totalOf, zero, type Passed, type Sum } from "./intervals.ts";

/** Of charge or of discharge; signed, positive on charge. */
export interface Side {
  charge_C: Sum;
  energy_J: Sum;
  /** Of the charge, that of which the energy is known. */
  charge_with_energy_C: Sum;
  /** At constant voltage: of the steps before; and of the open step, which is at constant voltage or not. */
  held_C: Sum;
  step_C: Sum;
  held: boolean;
  charges: number;
  records: number;
  duration_s: number;
  charged_s: number;
  gaps: number;
  gap_s: number;
  endVoltage_V: number;
}

/** Plain, so that it can be saved. */
export interface Cycle {
  start: bigint;
  end: bigint;
  end_s: number;
  rows: number;
  /** Sign of the current it began with. */
  first: number;
  rest_s: number;
  charge: Side;
  discharge: Side;
}

export const freshSide = (): Side => ({
  charge_C: zero(), energy_J: zero(), charge_with_energy_C: zero(), held_C: zero(), step_C: zero(), held: false,
  charges: 0, records: 0, duration_s: 0, charged_s: 0, gaps: 0, gap_s: 0, endVoltage_V: NaN,
}); // prettier-ignore

export const freshCycle = (start: bigint): Cycle => ({
  start, end: start, end_s: NaN, rows: 0, first: 0, rest_s: 0, charge: freshSide(), discharge: freshSide(),
}); // prettier-ignore

export function addRecord(cycle: Cycle, kind: number, passed: Passed, voltage_V: number): void {
  const sign = signOf(kind);
  cycle.rows++;
  if (sign === 0) {
    if (kind === REST && passed.what !== STEP_BEGINS) cycle.rest_s += passed.dt_s;
    return;
  }
  if (cycle.first === 0) cycle.first = sign;
  addToSide(sign > 0 ? cycle.charge : cycle.discharge, kind, passed, voltage_V);
}

export function addToSide(side: Side, kind: number, passed: Passed, voltage_V: number): void {
  const { what, dt_s, charge_C, energy_J } = passed;
  if (what === STEP_BEGINS) {
    if (side.held) addTo(side.held_C, totalOf(side.step_C));
    side.step_C = zero();
  }
  // Of a step that the cycler counts this is known only after some records; then it holds for all of them.
  side.held = kind === CV_CHARGE || kind === CV_DISCHARGE;
  side.records++;
  if (Number.isFinite(voltage_V)) side.endVoltage_V = voltage_V;
  if (what !== STEP_BEGINS) side.duration_s += dt_s;
  if (!Number.isFinite(charge_C)) {
    // Over the change of a step nothing is integrated, by rule: see intervals.ts for what that costs.
    if (what === STEP_BEGINS) return;
    side.gaps++;
    side.gap_s += dt_s;
    return;
  }
  addTo(side.charge_C, charge_C);
  addTo(side.step_C, charge_C);
  side.charges++;
  side.charged_s += dt_s;
  if (!Number.isFinite(energy_J)) return;
  addTo(side.energy_J, energy_J);
  addTo(side.charge_with_energy_C, charge_C);
}

export interface Errors {
  readonly current_error: number;
  readonly current_gain_error: number;
}

function sideSummary(side: Side, sign: number, { current_error, current_gain_error }: Errors) {
  const capacity = side.charges > 0 ? (sign * totalOf(side.charge_C)) / COULOMB_PER_AH : NaN;
  const energy_J = totalOf(side.energy_J);
  const known_C = totalOf(side.charge_with_energy_C);
  return {
    capacity,
    capacity_se: chargeError_Ah(capacity, side.charged_s, current_error, current_gain_error),
    energy: known_C !== 0 ? (sign * energy_J) / COULOMB_PER_AH : NaN,
    voltage: known_C !== 0 ? energy_J / known_C : NaN,
    held: (sign * (totalOf(side.held_C) + (side.held ? totalOf(side.step_C) : 0))) / COULOMB_PER_AH,
  };
}

export function cycleSummary(cycle: Cycle, errors: Errors) {
  const charge = sideSummary(cycle.charge, 1, errors);
  const discharge = sideSummary(cycle.discharge, -1, errors);
  return {
    start: cycle.start,
    duration: Number(cycle.end - cycle.start) / 1e9,
    rows: cycle.rows,
    begins_with: cycle.first > 0 ? CHARGE : DISCHARGE,
    charge_capacity_ampere_hour: charge.capacity,
    charge_capacity_ampere_hour_se: charge.capacity_se,
    discharge_capacity_ampere_hour: discharge.capacity,
    discharge_capacity_ampere_hour_se: discharge.capacity_se,
    constant_voltage_charge_capacity_ampere_hour: Number.isNaN(charge.capacity) ? NaN : charge.held,
    charge_energy_watt_hour: charge.energy,
    discharge_energy_watt_hour: discharge.energy,
    charge_mean_voltage_volt: charge.voltage,
    discharge_mean_voltage_volt: discharge.voltage,
    charge_end_voltage_volt: cycle.charge.endVoltage_V,
    discharge_end_voltage_volt: cycle.discharge.endVoltage_V,
    charge_duration: cycle.charge.duration_s,
    discharge_duration: cycle.discharge.duration_s,
    rest_duration: cycle.rest_s,
    charge_measured_duration: cycle.charge.charged_s,
    discharge_measured_duration: cycle.discharge.charged_s,
    gaps: cycle.charge.gaps + cycle.discharge.gaps,
    gap_duration: cycle.charge.gap_s + cycle.discharge.gap_s,
  };
}
