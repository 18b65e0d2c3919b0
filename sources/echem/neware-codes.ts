/** What Neware's files of all kinds have in common: step types, current ranges, names and units of columns. */
import { code, scalar, type Field } from "../../runtime/index.ts";

export const MISSING_CODE = -1;
const MISSING = { [MISSING_CODE]: "not in the file" };

/** Step types, as the vendor's own export writes them. */
// prettier-ignore
const STATUS: Readonly<Record<number, string>> = {
  ...MISSING,
  1: "CC Chg", 2: "CC DChg", 3: "CV Chg", 4: "Rest", 5: "Cycle", 6: "End", 7: "CCCV Chg", 8: "CP DChg", 9: "CP Chg", 10: "CR DChg", 13: "Pause",
  16: "Pulse Step", 17: "SIM", 18: "PCCCV Chg", 19: "CV DChg", 20: "CCCV DChg", 21: "Control", 22: "OCV", 25: "Ramp", 26: "CPCV DChg", 27: "CPCV Chg",
};

// prettier-ignore
export const FIELDS = {
  test_time_second: scalar("s", { doc: "sum of the step times, as the vendor's own export counts it" }),
  voltage_volt: scalar("V"),
  current_ampere: scalar("A", { doc: "positive on charge" }),
  cycle_count: code({ vendor_name: "Cycle Index", codes: MISSING, doc: "as the vendor's own program shows it, from 1" }),
  step_count: code({ vendor_name: "Step Count", codes: MISSING, doc: "steps that were run so far, from 1" }),
  step_index: code({ vendor_name: "Step Index", codes: MISSING, doc: "step of the schedule; comes again in each cycle" }),
  status: code({ vendor_name: "Step Type", codes: STATUS }),
  record_index: code({ vendor_name: "Index" }),
  step_time: scalar("s", { vendor_name: "Time" }),
} as const satisfies Readonly<Record<string, Field>>;

/** Columns of capacity and energy in the unit in which the file stores them. */
export function sumFields(capacity: string, energy: string, type: "f32" | "f64"): Readonly<Record<string, Field>> {
  const field = (unit: string, of: string): Field =>
    scalar(unit, { type, vendor_name: of, doc: "of the step so far" });
  return {
    charge_capacity: field(capacity, "Chg. Cap."),
    discharge_capacity: field(capacity, "DChg. Cap."),
    charge_energy: field(energy, "Chg. Energy"),
    discharge_energy: field(energy, "DChg. Energy"),
  };
} // prettier-ignore

/**
 * What a stored current of 1 is in mA, as a fraction's denominator: from the current range in mA. Ranges written as
 * negative numbers are those of the devices with ten times the resolution. NaN for range 0, which says nothing.
 */
export function currentDivisor(range_mA: number): number {
  if (range_mA === 0) return NaN;
  if (range_mA === -100_000_000) return 0.1;
  const size = Math.abs(range_mA);
  const fine = range_mA < 0 ? 10 : 1;
  return fine * (size < 10 ? 10_000 : size < 100 ? 1000 : size < 1000 ? 100 : 10);
}

export type AuxKind = "temperature" | "temperature_setpoint" | "humidity" | "voltage" | "value";
const AUX: Readonly<Record<AuxKind, readonly [letter: string, unit: string]>> = {
  temperature: ["T", "Cel"],
  temperature_setpoint: ["t", "Cel"],
  humidity: ["H", "%"],
  voltage: ["V", "V"],
  value: ["?", ""],
};

/** Column of an auxiliary channel, and its field: "aux1_temperature", which the vendor calls T1. */
export function auxColumn(channel: number | string, kind: AuxKind, type: "f32" | "f64"): [name: string, field: Field] {
  const [letter, unit] = AUX[kind];
  return [`aux${channel}_${kind}`, scalar(unit, { type, vendor_name: `${letter}${channel}` })];
} // prettier-ignore
