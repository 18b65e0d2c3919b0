/**
 * Maccor's exports as text: tabs or commas, times as "  2d 02:52:51.57", in minutes or in seconds.
 *
 *     State   C charge, D discharge, R rest, P pause, S suspended, O off; the current has no sign there, and so takes that of
 *             its state; one that flows in another state has an unknown sign, and is missing
 *
 * Where an export has no State column the current is taken as it stands (Maccor writes it with its sign in those, as far as is
 * known), and both the metadata and a fault say so.
 */
import { label, own, SourceError } from "../../runtime/index.ts";
import {
  free,
  headingOf,
  inOrder,
  mapColumns,
  noCounts,
  toCounts,
  toOurs,
  type Heading,
  type Ours,
} from "./column-map.ts";
import { plainName, TAKEN, type EchemFormat, type NumberArray, type Opening, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import { cellsOf, clockFace, dateOrder, decimalOf, duration_s, isDuration, isEitherWay, isNumber, openText, topLines, type Derived, type Plan, type TextFormat } from "./text-reader.ts"; // prettier-ignore
import { numberOf, type TableRows, type TextColumn } from "./text-table.ts";

export const maccor: EchemFormat = {
  name: "Maccor text",
  looks: (head) => /^(ï»¿)?"?(Today.s Date|Rec#|Rec"?[\t,]"?Cyc)/.test(String.fromCharCode(...head.subarray(0, 64))),
  async open(file, opening) {
    const lines = await topLines(file);
    const above = lines.findIndex((line) => /^(\ufeff)?"?\s*Rec#?"?\s*[\t,]/.test(line));
    if (above < 0) throw new SourceError(`has no heading that begins with "Rec#" or "Rec" in its first ${lines.length} lines; export it from Maccor with the column names`);
    const separator = lines[above]!.includes("\t") ? "\t" : ",";
    return openText(file, above + 1, formatFor(lines.slice(0, above), cellsOf(lines[above]!, separator), separator, opening));
  },
}; // prettier-ignore

// prettier-ignore
/** Units of columns whose heading has none; currents and capacities of exports in mA say so in their names. */
const UNITS: Readonly<Record<string, string>> = {
  "Amp-hr": "A.h", "Watt-hr": "W.h", Amps: "A", Volts: "V", "mAmp-hr": "mA.h", "mWatt-hr": "mW.h", mAmps: "mA", mVolts: "mV", Capacity: "A.h", Energy: "W.h",
  Current: "A", Voltage: "V", "Temp 1": "Cel", "Temp 2": "Cel", "EV Temp": "Cel",
};
const OURS: Readonly<Record<string, readonly string[]>> = {
  test_time_second: ["testtime", "test time", "test"],
  voltage_volt: ["volts", "voltage", "mvolts"],
  current_ampere: ["amps", "current", "mamps"],
  cycle_count: ["cyc#", "cycle c", "cycle p", "cycle", "cycle c#"],
};

const KEYS = ["Today's Date", "Date of Test", "Filename", "Procedure", "Tester Channel", "Description", "Comment/Barcode"] as const; // prettier-ignore
const NAMES: Partial<Record<(typeof KEYS)[number], string>> = {
  Filename: "test_name", Procedure: "schedule", "Tester Channel": "channel", Description: "description", "Comment/Barcode": "comments",
}; // prettier-ignore

function formatFor(above: readonly string[], headings: readonly string[], separator: "\t" | ",", opening: Opening): TextFormat {
  const about = aboutOf(above, separator);
  const metadata: Record<string, string> = {};
  for (const [key, name] of Object.entries(NAMES)) if (about.get(key)) metadata[name] = about.get(key)!;
  const hasState = headings.includes("State");
  metadata["current_sign"] = hasState ? "by the State column: negative in D" : "as it stands in the file, which has no State column";
  const tested = about.get("Date of Test") ?? "";
  const face = clockFace(tested, dateOrder(tested) ?? "month first");
  const unsigned: Problem = { where: `line ${above.length + 1}`, what: "has no State column, by which Maccor's current has its sign; it is taken as it stands: see that it is negative in a discharge, or export the column State, too" };
  return {
    instrument: "Maccor", format: "maccor", metadata, separator,
    start: face === undefined ? undefined : { face },
    problems: hasState ? [] : [unsigned],
    plan: (row) => planFor(headings, row, separator, { tested, line: above.length + 2 }, opening.columns),
  };
} // prettier-ignore

/** What is longer is none of Maccor's lines, and takes long to look through. */
const MOST_OF_A_LINE = 4096;

/** What the lines above say, under the words that each of Maccor's dialects uses. */
function aboutOf(above: readonly string[], separator: string): Map<string, string> {
  const found = new Map<string, string>();
  const any = KEYS.map((key) => key.replace("/", "\\/")).join("|");
  for (const line of above.filter(({ length }) => length < MOST_OF_A_LINE))
    for (const [, key = "", value = ""] of line.matchAll(new RegExp(`(${any})\\s*:?[\\s${separator}]*(.*?)\\s*(?=(?:${any})\\s*:|$)`, "g")))
      if (value !== "" && !found.has(key)) found.set(key, value);
  return found;
} // prettier-ignore

function headingWith(cell: string, row: readonly string[], at: number, cells: readonly string[]): Heading {
  const heading = headingOf(cell);
  // "Aux #1" has its unit in the cell behind, which is called " Units".
  if (cells[at + 1] === "Units") return { ...heading, ...headingOf(`x [${row[at + 1] ?? ""}]`), vendor: cell, quantity: cell };
  const unit = own(UNITS, cell);
  return unit === undefined ? heading : { ...heading, unit };
} // prettier-ignore

function planFor(cells: readonly string[], row: readonly string[], separator: "\t" | ",", { tested, line }: { tested: string; line: number }, wanted: Opening["columns"]): Plan {
  const headings = cells.map((cell, at) => headingWith(cell, row, at, cells));
  const isUnits = (at: number): boolean => at > 0 && cells[at] === "Units";
  const isText = (at: number): boolean => cells[at] === "State" || !(row[at] === undefined || row[at] === "" || isNumber(row[at]!) || isDuration(row[at]!)); // prettier-ignore
  const numbers = [...cells.keys()].filter((at) => !isUnits(at) && !isText(at));
  const durations = new Set([...numbers.keys()].filter((k) => isDuration(row[numbers[k]!] ?? "")));
  const { columns, problems } = mapColumns(numbers.map((at) => headings[at]!), { ...mapOf(numbers.map((at) => headings[at]!)), ...wanted }, durations);
  const taken = new Set([...TAKEN, ...columns.map(({ name }) => name)]);
  const ours = new Map<number, Ours>();
  for (const at of cells.keys()) {
    const k = numbers.indexOf(at);
    if (k >= 0) ours.set(at, columns[k]!);
    else if (!isUnits(at)) {
      const name = free(cells[at] === "DPt Time" || cells[at] === "DPT Time" ? "date_time" : plainName(cells[at]!), taken);
      taken.add(name);
      ours.set(at, { name, from: "", negative: false, field: label({ vendor_name: cells[at]!, ...(name === "date_time" && { doc: "the cycler's clock, local time" }) }) });
    }
  }
  const parsed = cells.map((_, at): TextColumn => {
    const column = ours.get(at);
    if (!column) return { name: "", type: "skip" };
    if (column.field.kind === "label") return { name: column.name, type: "label" };
    return { name: column.name, type: "f64", ...(isDuration(row[at] ?? "") && { parse: duration_s }) };
  });
  const dateAt = [...ours].find(([, { name }]) => name === "date_time")?.[0];
  const timeAt = [...ours].find(([, { name }]) => name === "test_time_second")?.[0];
  const decimal = decimalOf(separator, row);
  const time = timeAt === undefined ? "" : (row[timeAt] ?? "");
  const values = Float64Array.of(isDuration(time) ? duration_s(time) : numberOf(decimal)(time));
  if (timeAt !== undefined) toOurs(values, ours.get(timeAt)!);
  const date = dateAt === undefined ? tested : row[dateAt]!;
  const start = dateAt === undefined ? undefined : startOf(date, values[0]!, tested);
  const isDoubtful = isEitherWay(date) && (dateAt === undefined || testedFace(tested) === undefined || isEitherWay(tested));
  const doubt: Problem = { where: `line ${line}`, what: `${JSON.stringify(date)} is read as month/day; nothing else in the file tells which comes first. If it is day/month, say when it began with start` };
  const list = [...ours.values()];
  return {
    dialect: { separator, ...decimal, quotes: true, ragged: true, columns: parsed },
    fields: inOrder(list),
    ...(start && { start }),
    problems: isDoubtful ? [...problems, doubt] : problems,
    derive: (table) => derive(table, list),
  };
} // prettier-ignore

/** The columns that are known by Maccor's words. */
function mapOf(headings: readonly Heading[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const [ours, words] of Object.entries(OURS)) {
    const found = words.map((word) => headings.find(({ quantity }) => quantity.toLowerCase() === word)).find(Boolean);
    if (found) map[ours] = found.vendor;
  }
  return map;
} // prettier-ignore

/** The date of the test, at noon where it has no time. */
const testedFace = (tested: string): bigint | undefined => {
  const order = dateOrder(tested) ?? "month first";
  return clockFace(tested, order) ?? clockFace(`${tested} 12:00:00`, order);
};

/** A row's date less its test time. Of days and months that may be either, the order that agrees with the date of the test. */
function startOf(date: string, test_s: number, tested: string): Start | undefined {
  if (!Number.isFinite(test_s)) return undefined;
  const faces = (["month first", "day first"] as const).map((order) => clockFace(date, order)).filter((face) => face !== undefined); // prettier-ignore
  const near = testedFace(tested);
  const apart = (face: bigint): bigint =>
    near === undefined || face - near < 0n ? (near ?? face) - face : face - near;
  const face = faces.sort((a, b) => (apart(a) < apart(b) ? -1 : apart(a) > apart(b) ? 1 : 0))[0];
  return face === undefined ? undefined : { face: face - BigInt(Math.round(test_s * 1e9)) };
}

function derive(table: TableRows, ours: readonly Ours[]): Derived {
  const columns: Record<string, NumberArray | string[]> = {};
  const problems: Problem[] = [];
  for (const column of ours) {
    const values = table.columns[column.name]!;
    columns[column.name] = values;
    if (!(values instanceof Float64Array)) continue;
    if (column.field.kind !== "code") {
      toOurs(values, column);
      continue;
    }
    const { counts, wrong } = toCounts(values);
    columns[column.name] = counts;
    if (wrong > 0) problems.push(noCounts(table, column, wrong));
  }
  for (const name of ["voltage_volt", "current_ampere"]) columns[name] ??= new Float64Array(table.rows).fill(NaN);
  const state = columns["state"];
  if (Array.isArray(state)) {
    const unknown = sign(columns["current_ampere"] as Float64Array, state);
    if (unknown > 0) problems.push({ where: `line ${table.lines[0]}`, what: `${unknown} rows from here on have a current in a state that is neither C nor D, so its sign is not known, and it is missing`, count: unknown });
  }
  return { columns, ...(problems.length > 0 && { problems }) };
} // prettier-ignore

/** Gives currents their sign, positive on charge. Returns how many have none that is known. */
function sign(current_A: Float64Array, state: readonly string[]): number {
  let unknown = 0;
  for (let i = 0; i < current_A.length; i++) {
    const I = current_A[i]!;
    if (I === 0 || Number.isNaN(I) || state[i] === "C") continue;
    if (state[i] === "D") current_A[i] = -Math.abs(I);
    else {
      current_A[i] = NaN;
      unknown++;
    }
  }
  return unknown;
}
