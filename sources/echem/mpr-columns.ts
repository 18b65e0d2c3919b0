/**
 * Columns of BioLogic's `.mpr` by their 16-bit id: what EC-Lab's text export calls each, our name, the unit, and
 * how it is stored. Names and widths were checked against the vendor's own exports.
 */
import { code, scalar, type Field } from "../../runtime/index.ts";

export type Storage = "u8" | "u16" | "u32" | "f32" | "f64";
export const BYTES: Readonly<Record<Storage, number>> = { u8: 1, u16: 2, u32: 4, f32: 4, f64: 8 };

export interface VendorColumn {
  readonly name: string;
  readonly type: Storage;
  readonly field: Field;
}

type Row = readonly [id: number, vendor: string, name: string, unit: string, type?: Storage];

// prettier-ignore
const SCALARS: readonly Row[] = [
  [4, "time/s", "test_time_second", "s", "f64"],
  [5, "control/V/mA", "control", ""],                          // V or mA, by `mode`
  [6, "Ewe/V", "ewe", "V"],
  [7, "dq/mA.h", "dq", "mA.h", "f64"],
  [8, "I/mA", "current", "mA"],
  [9, "Ece/V", "ece", "V"],
  [11, "<I>/mA", "current_mean", "mA", "f64"],
  [13, "(Q-Qo)/mA.h", "q_minus_qo", "mA.h", "f64"],
  [16, "Analog IN 1/V", "analog_in_1", "V"],
  [17, "Analog IN 2/V", "analog_in_2", "V"],
  [19, "control/V", "control_voltage", "V"],
  [20, "control/mA", "control_current", "mA"],
  [23, "dQ/mA.h", "delta_q", "mA.h", "f64"],
  [24, "cycle number", "cycle_number", "1", "f64"],
  [26, "Rapp/Ohm", "rapp", "Ohm"],
  [27, "Ewe-Ece/V", "ewe_minus_ece", "V"],
  [32, "freq/Hz", "frequency", "Hz"],
  [33, "|Ewe|/V", "ewe_modulus", "V"],
  [34, "|I|/A", "current_modulus", "A"],
  [35, "Phase(Z)/deg", "z_phase", "deg"],
  [36, "|Z|/Ohm", "z_modulus", "Ohm"],
  [37, "Re(Z)/Ohm", "z_real", "Ohm"],
  [38, "-Im(Z)/Ohm", "z_minus_imaginary", "Ohm"],
  [70, "P/W", "power", "W"],
  [74, "|Energy|/W.h", "energy_modulus", "W.h", "f64"],
  [75, "Analog OUT/V", "analog_out", "V"],
  [76, "<I>/mA", "current_mean", "mA"],
  [77, "<Ewe>/V", "ewe_mean", "V"],
  [78, "Cs-2/µF-2", "cs_power_minus_2", "uF-2"],
  [96, "|Ece|/V", "ece_modulus", "V"],
  [98, "Phase(Zce)/deg", "zce_phase", "deg"],
  [99, "|Zce|/Ohm", "zce_modulus", "Ohm"],
  [100, "Re(Zce)/Ohm", "zce_real", "Ohm"],
  [101, "-Im(Zce)/Ohm", "zce_minus_imaginary", "Ohm"],
  [123, "Energy charge/W.h", "energy_charge", "W.h", "f64"],
  [124, "Energy discharge/W.h", "energy_discharge", "W.h", "f64"],
  [125, "Capacitance charge/µF", "capacitance_charge", "uF", "f64"],
  [126, "Capacitance discharge/µF", "capacitance_discharge", "uF", "f64"],
  [163, "|Estack|/V", "estack_modulus", "V"],
  [168, "Rcmp/Ohm", "rcmp", "Ohm"],
  [169, "Cs/µF", "cs", "uF"],
  [172, "Cp/µF", "cp", "uF"],
  [173, "Cp-2/µF-2", "cp_power_minus_2", "uF-2"],
  [174, "<Ewe>/V", "ewe_mean", "V"],
  [430, "Phase(Zwe-ce)/deg", "zwe_ce_phase", "deg"],
  [431, "|Zwe-ce|/Ohm", "zwe_ce_modulus", "Ohm"],
  [432, "Re(Zwe-ce)/Ohm", "zwe_ce_real", "Ohm"],
  [433, "-Im(Zwe-ce)/Ohm", "zwe_ce_minus_imaginary", "Ohm"],
  [434, "(Q-Qo)/C", "q_minus_qo_coulomb", "C"],
  [435, "dQ/C", "delta_q_coulomb", "C"],
  [438, "step time/s", "step_time", "s", "f64"],
  [441, "<Ece>/V", "ece_mean", "V"],
  [462, "Temperature/°C", "temperature", "Cel"],
  [467, "Q charge/discharge/mA.h", "q_charge_discharge", "mA.h", "f64"],
  [471, "<Ece>/V", "ece_mean", "V"],
  [473, "THD Ewe/%", "ewe_thd", "%"],
  [474, "THD I/%", "current_thd", "%"],
  [476, "NSD Ewe/%", "ewe_nsd", "%"],
  [477, "NSD I/%", "current_nsd", "%"],
  [479, "NSR Ewe/%", "ewe_nsr", "%"],
  [480, "NSR I/%", "current_nsr", "%"],
  ...[2, 3, 4, 5, 6, 7].map((h): Row => [484 + h, `|Ewe h${h}|/V`, `ewe_h${h}_modulus`, "V"]),
  ...[2, 3, 4, 5, 6, 7].map((h): Row => [490 + h, `|I h${h}|/A`, `current_h${h}_modulus`, "A"]),
  [498, "Q charge/mA.h", "q_charge", "mA.h", "f64"],
  [499, "Q discharge/mA.h", "q_discharge", "mA.h", "f64"],
  [500, "step time/s", "step_time", "s", "f64"],
  [501, "Efficiency/%", "efficiency", "%", "f64"],
  [502, "Capacity/mA.h", "capacity", "mA.h", "f64"],
  [505, "Rdc/Ohm", "rdc", "Ohm"],
  [880, "Energy we/W.h", "energy_we", "W.h", "f64"],
  [883, "Energy ce charge/W.h", "energy_ce_charge", "W.h", "f64"],
  [884, "Energy ce discharge/W.h", "energy_ce_discharge", "W.h", "f64"],
];

const CODES: readonly Row[] = [
  [39, "I Range", "i_range", "", "u16"],
  [131, "Ns", "ns", "", "u16"],
  [468, "half cycle", "half_cycle", "", "u32"],
  [469, "z cycle", "z_cycle", "", "u32"],
];

const TABLE = new Map<number, VendorColumn>([
  ...SCALARS.map(([id, vendor_name, name, unit, type = "f32"]): [number, VendorColumn] => [
    id,
    { name, type, field: scalar(unit, { type, vendor_name }) },
  ]),
  ...CODES.map(([id, vendor_name, name, , type = "u32"]): [number, VendorColumn] => [
    id,
    { name, type, field: code({ type, vendor_name }) },
  ]),
]);

/** Ids of which only the width is known. */
const WIDTHS = new Map<number, Storage>([[110, "f64"], [112, "f64"], [509, "u8"]]); // prettier-ignore

export function vendorColumn(id: number): VendorColumn | undefined {
  const width = WIDTHS.get(id);
  return TABLE.get(id) ?? (width && nameless(id, width));
}

/** A column whose meaning nobody has found yet: kept, under its id. */
export function nameless(id: number, type: Storage): VendorColumn {
  return { name: `column_${id}`, type, field: scalar("", { type, vendor_name: `column id ${id}` }) };
}

/** Meaning is not known, whatever the width. */
export const isNameless = (id: number): boolean => !TABLE.has(id) && !FLAGS.has(id);

export interface Flag {
  readonly name: string;
  readonly shift: number;
  readonly mask: number;
  readonly field: Field;
}

const flagField = (vendor_name: string, no: string, yes: string): Field =>
  code({ type: "u8", vendor_name, codes: { 0: no, 1: yes } });

/** Ids that share one byte of the record, each with its bits of it. */
// prettier-ignore
export const FLAGS: ReadonlyMap<number, Flag> = new Map<number, Flag>([
  [1, { name: "mode", shift: 0, mask: 3, field: code({ type: "u8", vendor_name: "mode", codes: { 1: "galvano", 2: "potentio", 3: "rest" } }) }],
  [2, { name: "ox_red", shift: 2, mask: 1, field: flagField("ox/red", "reduction", "oxidation") }],
  [3, { name: "error", shift: 3, mask: 1, field: flagField("error", "none", "error") }],
  [21, { name: "control_changes", shift: 4, mask: 1, field: flagField("control changes", "no", "yes") }],
  [31, { name: "ns_changes", shift: 5, mask: 1, field: flagField("Ns changes", "no", "yes") }],
  [65, { name: "counter_inc", shift: 7, mask: 1, field: flagField("counter inc.", "no", "yes") }],
]);

/** In no id, but in every file with flags. */
export const END_OF_SEGMENT: Flag = {
  name: "end_of_segment", shift: 6, mask: 1, field: code({ type: "u8", codes: { 0: "no", 1: "yes" } }),
}; // prettier-ignore

export const FLAG_BYTE: Field = code({
  type: "u8",
  vendor_name: "flags",
  doc: "mode, ox/red, error and the rest in one byte, as stored",
});
