import { freshNoise, noiseOf, observe as observeNoise, type RunningNoise } from "../running-noise.ts";

/**
 * What a cell is doing, from its current and voltage alone, row by row.
 *
 *     |I| <= b                                     rest
 *     I > b, I < -b                                charge, discharge
 *     and V stands still while |I| falls           the same at constant voltage (CV)
 *
 *     b = max(3 s, 0.2 % of the largest |I| so far, `restCurrent_A`)
 *
 * s is the current's noise over the last rows (running-noise.ts), which neither a constant current nor a ramp disturbs. Hysteresis: a cell at rest becomes active only above 2 b.
 * Constant voltage begins where, from one row to the next, the voltage moves by no more than `cvVoltage_V`, the
 * current falls by more than its noise, and by more, relatively, than the voltage moves; it ends where the voltage has
 * left the place where it began by twice that.
 */
export const UNKNOWN = -1, REST = 0, CHARGE = 1, DISCHARGE = 2, CV_CHARGE = 3, CV_DISCHARGE = 4; // prettier-ignore

/** Names of the codes, for schemas. */
export const STATES = {
  [UNKNOWN]: "unknown", [REST]: "rest", [CHARGE]: "charge", [DISCHARGE]: "discharge",
  [CV_CHARGE]: "charge at constant voltage", [CV_DISCHARGE]: "discharge at constant voltage",
}; // prettier-ignore

export interface StateSettings {
  readonly restCurrent_A: number;
  readonly cvVoltage_V: number;
}

/** Rows with a current that are needed before the noise can be told: so many that one jump among them is not taken for it. */
export const WARM_UP = 7;
const RANGE_SHARE = 0.002;
/** Share of the current it fell from by which it must have fallen. */
const CV_FALL = 0.02;

/** Plain numbers, so that it can be saved. */
export interface Memory {
  noise: RunningNoise;
  rows: number;
  largest_A: number;
  /** Noise, as of the last row. */
  noise_A: number;
  /** Of the last row that was told: its current and voltage, the largest current since its sign changed, and where constant
   * voltage began. */
  last_A: number;
  last_V: number;
  level_A: number;
  hold_V: number;
}

export const freshMemory = (): Memory => ({
  noise: freshNoise(), rows: 0, largest_A: 0, noise_A: 0, last_A: NaN, last_V: NaN, level_A: 0, hold_V: NaN,
}); // prettier-ignore

/** Takes note of a row's current: its noise, its range. */
export function observe(memory: Memory, current_A: number): void {
  if (!Number.isFinite(current_A)) return;
  memory.rows++;
  memory.largest_A = Math.max(memory.largest_A, Math.abs(current_A));
  observeNoise(memory.noise, current_A);
  memory.noise_A = noiseOf(memory.noise);
}

/** What the cell does at a row, given what it did `before`; remembers the row. NaN current tells nothing. */
export function stateAt(
  memory: Memory,
  { current_A, voltage_V }: { readonly current_A: number; readonly voltage_V: number },
  before: number,
  settings: StateSettings,
): number {
  if (!Number.isFinite(current_A)) return UNKNOWN;
  const { noise_A, largest_A, last_A, last_V } = memory;
  const band_A = Math.max(3 * noise_A, RANGE_SHARE * largest_A, settings.restCurrent_A);
  const size_A = Math.abs(current_A);
  let state = REST;
  if (size_A > (before === REST ? 2 * band_A : band_A)) {
    const [constant, held] = current_A > 0 ? [CHARGE, CV_CHARGE] : [DISCHARGE, CV_DISCHARGE];
    const goesOn = before === constant || before === held;
    if (!goesOn) memory.level_A = size_A;
    const moved_V = Math.abs(voltage_V - last_V);
    const fell_A = Math.abs(last_A) - size_A;
    const begins =
      before === constant && moved_V <= settings.cvVoltage_V && size_A < (1 - CV_FALL) * memory.level_A &&
      fell_A > 3 * noise_A && fell_A * Math.abs(voltage_V) > 4 * moved_V * size_A; // prettier-ignore
    const stays = before === held && Math.abs(voltage_V - memory.hold_V) <= 2 * settings.cvVoltage_V;
    state = begins || stays ? held : constant;
    if (begins) memory.hold_V = voltage_V;
    if (before === held && state === constant) memory.level_A = size_A;
    memory.level_A = Math.max(memory.level_A, size_A);
  }
  memory.last_A = current_A;
  memory.last_V = voltage_V;
  return state;
}

/** 1 where the cell charges, -1 where it discharges, at constant voltage or not; 0 where it does neither. */
export function signOf(kind: number): -1 | 0 | 1 {
  return kind === CHARGE || kind === CV_CHARGE ? 1 : kind === DISCHARGE || kind === CV_DISCHARGE ? -1 : 0;
}
