/** Columns of Gamry's tables, by what their two headings (name and unit) say. */
import { code, label, own, scalar, type Field, type Fields } from "../../runtime/index.ts";
import { free } from "./column-map.ts";
import { plainName } from "./echem-file.ts";
import type { CellType, TextColumn } from "./text-table.ts";
import { ucumOf } from "./vendor-units.ts";

export interface GamryTable {
  /** "CURVE1" */
  readonly name: string;
  /** Counted from 1 through the file. */
  readonly number: number;
  /** Of the text table; the first is the empty cell that rows begin with. */
  readonly columns: readonly TextColumn[];
  /** Which of them give the columns that every reader has; the vendor's name of each. */
  readonly time: string | undefined;
  readonly voltage: string | undefined;
  readonly current: string | undefined;
  readonly cycles: string | undefined;
  /** Columns in degrees Celsius. */
  readonly temperatures: readonly string[];
  readonly fields: Fields;
}

const IMPEDANCE: Readonly<Record<string, string>> = {
  Freq: "frequency",
  Zreal: "z_real",
  Zimag: "z_imaginary",
  Zmod: "z_modulus",
  Zphz: "z_phase",
};
/** Within a table, whose time may begin anew. */
const TABLE_TIME = "table_time";
const TIMES = ["T", "Time"];
const VOLTAGES = ["Vf", "Vdc", "V"];
const CURRENTS = ["Im", "Idc", "I"];

/** "V vs. Ref." is volts, "deg C" degrees Celsius. */
const unitOf = (written: string): string =>
  /^deg ?C$/i.test(written) ? "Cel" : ucumOf(written.replace(/ vs\..*$/, "").replace("^", ""));

/** `sign`: of the file's currents to those that are anodic positive; NaN where it is not known. */
export function gamryTable(
  name: string,
  number: number,
  names: readonly string[],
  units: readonly string[],
  sign: number,
): GamryTable {
  const find = (among: readonly string[], unit: string): string | undefined =>
    among.find((one) => names.includes(one) && unitOf(units[names.indexOf(one)] ?? "") === unit);
  const [time, voltage, current] = [find(TIMES, "s"), find(VOLTAGES, "V"), find(CURRENTS, "A")];
  const cycles = names.includes("Cycle") ? "Cycle" : undefined;
  // What stands in a column of ours unchanged need not stand twice.
  const once = new Set([voltage, sign === 1 ? current : undefined, cycles]);
  const taken = new Set<string>();
  const fields: Record<string, Field> = {};
  const temperatures: string[] = [];
  const columns = names.map((vendor_name, i): TextColumn => {
    if (vendor_name === "") return { name: "", type: "skip" };
    const said = units[i] ?? "";
    const plain = vendor_name === time ? TABLE_TIME : (own(IMPEDANCE, vendor_name) ?? plainName(vendor_name, MADE));
    const ours = free(plain, taken);
    taken.add(ours);
    const type: CellType = said === "bits" ? "label" : said === "#" ? "i32" : "f64";
    if (!(once.has(vendor_name) && ours === plain))
      fields[ours] =
        type === "label" ? label({ vendor_name })
        : type === "i32" ? code({ vendor_name })
        : scalar(unitOf(said), { vendor_name }); // prettier-ignore
    if (type === "f64" && unitOf(said) === "Cel") temperatures.push(ours);
    return { name: ours, type };
  });
  const called = (vendor_name: string | undefined) =>
    vendor_name === undefined ? { doc: "not measured in this table" } : { vendor_name };
  const ourName = (vendor: string | undefined): string | undefined =>
    vendor === undefined ? undefined : columns[names.indexOf(vendor)]!.name;
  return {
    name, number, columns, temperatures,
    time: ourName(time), voltage: ourName(voltage), current: ourName(current), cycles: ourName(cycles),
    fields: {
      test_time_second: scalar("s", {
        ...(time !== undefined && { vendor_name: time }),
        doc: "of all tables: one whose time begins anew goes on where the table before it ended, since the file does not say when it began",
      }),
      voltage_volt: scalar("V", called(voltage)),
      current_ampere: scalar("A", {
        ...called(current),
        ...(current !== undefined && { doc: `anodic positive, which charges a cell whose positive electrode is the working electrode${sign === 1 ? "" : sign === -1 ? "; the file has it cathodic positive" : "; missing, since the file does not say its sign"}` }),
      }),
      ...(cycles !== undefined && { cycle_count: code({ vendor_name: cycles }) }),
      curve: code({ doc: "number of the table within the file, from 1" }),
      table: label({ doc: "what the file calls the table" }),
      ...fields,
    },
  };
} // prettier-ignore

/** Names that the tables' own columns may not have. */
const MADE: ReadonlySet<string> = new Set([
  "time", "seconds", "length", "at", "columns", "test_time_second", "voltage_volt", "current_ampere", "cycle_count",
  "step_count", "curve", "table", TABLE_TIME, ...Object.values(IMPEDANCE),
]); // prettier-ignore
