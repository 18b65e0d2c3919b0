/**
 * Tables of text separated by commas, semicolons or tabs, with a heading: BDF `.csv`, the exports of Arbin, Basytec, Novonix
 * and PEC, and any other where a map, or the words and units of its heading, tell what the columns are.
 *
 * The heading is the first line by which test time, voltage and current can be told, or that has what the map names. What stands
 * above it is kept as metadata where it is "name: value".
 */
import { label, own, SourceError } from "../../runtime/index.ts";
import { bdfColumn, canBeTold, free, headingOf, inOrder, isBdf, isTold, isTooLong, mapColumns, noCounts, toCounts, toOurs, UNIX_TIME, type Heading, type Ours } from "./column-map.ts"; // prettier-ignore
import { plainName, TAKEN, type EchemFormat, type NumberArray, type Opening, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader } from "./file-reader.ts";
import { linesOf } from "./growing-lines.ts";
import { cellsOf, clockFace, dateOrder, decimalOf, duration_s, isDuration, isEitherWay, isNumber, openText, topLines, zonedInstant, type DateOrder, type Derived, type Plan, type TextFormat } from "./text-reader.ts"; // prettier-ignore
import { numberOf, type TableRows, type TextColumn, type TextDialect } from "./text-table.ts";
import { startByRow, timesFromUnix } from "./unix-time.ts";

type Separator = TextDialect["separator"];
const SEPARATORS: readonly Separator[] = ["\t", ";", ",", "|"];

/** What one program's tables are known by, and what their headings leave out. */
interface CsvDialect {
  readonly name: string;
  readonly instrument: string;
  readonly format: string;
  /** By what stands above the heading; absent: by the heading alone. */
  readonly begins?: (head: string) => boolean;
  /** True where this is its heading. */
  heading(cells: readonly string[]): boolean;
  /** Units of columns whose heading has none. */
  readonly units?: Readonly<Record<string, string>>;
  /** Ours by theirs, where no word tells it. */
  readonly columns?: Readonly<Record<string, string>>;
  /** The column with each row's date and time, by the cycler's clock, and how it is written. */
  readonly date?: { readonly column: string; readonly order: DateOrder };
  /** What the lines above the heading say of the start. */
  readonly start?: RegExp;
  /** Names of metadata, by what the lines above call them. */
  readonly about?: Readonly<Record<string, string>>;
}

const has = (cells: readonly string[], ...names: readonly string[]): boolean => names.every((name) => cells.includes(name)); // prettier-ignore

// prettier-ignore
const ARBIN_UNITS = {
  Test_Time: "s", Step_Time: "s", Current: "A", Voltage: "V", Charge_Capacity: "A.h", Discharge_Capacity: "A.h", Charge_Energy: "W.h",
  Discharge_Energy: "W.h", "dV/dt": "V/s", Internal_Resistance: "Ohm", AC_Impedance: "Ohm", ACI_Phase_Angle: "deg", Temperature: "Cel", Aux_Temperature_1: "Cel",
};

const ARBIN_UNDERSCORES: CsvDialect = {
  name: "Arbin .csv", instrument: "Arbin", format: "csv", units: ARBIN_UNITS,
  heading: (cells) => has(cells, "Test_Time", "Current", "Voltage", "Step_Index", "Cycle_Index") && !cells.some((cell) => bdfColumn(headingOf(cell))),
  date: { column: "DateTime", order: "month first" },
}; // prettier-ignore

const ARBIN_SPACES: CsvDialect = {
  name: "Arbin .csv", instrument: "Arbin", format: "csv",
  heading: (cells) => has(cells, "Test Time (s)", "Current (A)", "Voltage (V)", "Step Index", "Cycle Index"),
  date: { column: "Date Time", order: "month first" },
}; // prettier-ignore

const BDF: CsvDialect = {
  name: "BDF .csv", instrument: "Battery Data Format", format: "bdf.csv",
  heading: (cells) => isBdf(cells.map(headingOf)),
}; // prettier-ignore

const BASYTEC: CsvDialect = {
  // Its table begins with "~Time[s]" or another unit, which headingWith reads.
  name: "Basytec .txt", instrument: "Basytec", format: "basytec",
  begins: (head) => head.startsWith("~Resultfile from Basytec"),
  heading: (cells) => has(cells, "~Time[s]") || has(cells, "~Time[h]") || has(cells, "~Time[min]"),
  columns: { voltage_volt: "U[V]", current_ampere: "I[A]", cycle_count: "Cyc-Count" },
  units: {
    "Ah-Cyc-Charge": "A.h", "Ah-Cyc-Discharge": "A.h", "Ah-Cyc-Charge-0": "A.h", "Ah-Cyc-Discharge-0": "A.h", "Ah-Step": "A.h",
    "Wh-Cyc-Charge": "W.h", "Wh-Cyc-Discharge": "W.h", "Wh-Cyc-Charge-0": "W.h", "Wh-Cyc-Discharge-0": "W.h", "Wh-Step": "W.h", "R-AC": "Ohm", "R-DC": "Ohm",
  },
  start: /^~Start of Test: (.*)$/,
  about: { "Name of Test": "test_name", Battery: "cell", Testplan: "schedule", Testchannel: "channel", "Operator (Test)": "user" },
}; // prettier-ignore

const NOVONIX: CsvDialect = {
  name: "Novonix .csv", instrument: "Novonix", format: "novonix",
  begins: (head) => head.startsWith("[Summary]\nNovonix"),
  heading: (cells) => has(cells, "Run Time (h)", "Potential (V)", "Current (A)"),
  columns: { test_time_second: "Run Time (h)", cycle_count: "Cycle Number" },
  units: { "dVdt (V/h)": "V/h", "dIdt (A/h)": "A/h" },
  date: { column: "Date and Time", order: "year first" },
  start: /^Started: (.*)$/,
  about: { Channel: "channel", Cell: "cell", Description: "description", "Serial Number": "device_serial", Version: "software_version", "Mass (g)": "active_mass g", "Capacity (Ah)": "capacity Ah", "Area (cm2)": "electrode_area cm2" },
}; // prettier-ignore

const PEC: CsvDialect = {
  name: "PEC .csv", instrument: "PEC", format: "pec",
  heading: (cells) => has(cells, "Test", "Cell", "Instruction Name", "Voltage (V)") && cells.some((cell) => cell.startsWith("Total Time")),
  columns: { test_time_second: "Total Time (Hours in hh:mm:ss.xxx)", cycle_count: "Cycle" },
  date: { column: "Real Time", order: "month first" },
  about: { Test: "test_number", "TestRegime Name": "schedule", "TestRegime CellSize": "capacity", "Cell ID": "cell", "Part Name": "cell_type", "Product ID": "cell_model", Requestor: "user" },
}; // prettier-ignore

const DIALECTS: readonly CsvDialect[] = [BASYTEC, NOVONIX, PEC, ARBIN_SPACES, BDF, ARBIN_UNDERSCORES];

const ANY: CsvDialect = { name: "CSV with a heading", instrument: "", format: "csv", heading: () => false };

interface Found {
  readonly dialect: CsvDialect;
  readonly separator: Separator;
  readonly headings: readonly Heading[];
  /** Lines above the first row. */
  readonly above: number;
}

/** "#3 [V]": the third column, in a file without a heading. */
const NUMBERED = /^\s*-?\s*#[1-9]\d*(?!\d)/;

/** The first row of numbers, whose columns are called by their places; where the user's map does so. */
function withoutHeading(lines: readonly string[], wanted: Opening["columns"]): Found | undefined {
  const theirs = Object.values(wanted);
  if (theirs.length === 0 || !theirs.every((name) => NUMBERED.test(name))) return undefined;
  for (const [i, line] of lines.slice(0, MOST_ABOVE).entries())
    for (const separator of SEPARATORS) {
      const cells = withoutEmptyEnd(cellsOf(line, separator));
      if (cells.length < 2 || !cells.every((cell) => isNumber(cell) || isDuration(cell))) continue;
      return { dialect: ANY, separator, headings: cells.map((_, k) => headingOf(`#${k + 1}`)), above: i };
    }
  return undefined;
} // prettier-ignore

/** The heading in these lines by which the columns can be told; `wanted` are theirs by the user's map. */
function findHeading(lines: readonly string[], dialects: readonly CsvDialect[], wanted: Opening["columns"]): Found | undefined {
  const theirs = Object.values(wanted);
  for (const [i, line] of lines.slice(0, MOST_ABOVE).entries())
    for (const separator of SEPARATORS) {
      if (!line.includes(separator)) continue;
      const cells = withoutEmptyEnd(cellsOf(line, separator));
      if (cells.length < 2 || cells.some(isTooLong) || cells.filter(isNumber).length > cells.length / 2) continue;
      const dialect = dialects.find((dialect) => dialect.heading(cells));
      const headings = cells.map((cell) => headingWith(cell, dialect?.units));
      if (dialect) return { dialect, separator, headings, above: i + 1 };
      if (theirs.length > 0 && theirs.every((name) => headings.some((heading) => isNamed(heading, name)))) return { dialect: ANY, separator, headings, above: i + 1 };
      if (dialects !== DIALECTS) continue;
      const row = lines[i + 1] === undefined ? [] : cellsOf(lines[i + 1]!, separator);
      const durations = new Set([...row.keys()].filter((k) => isDuration(row[k]!)));
      if (canBeTold(headings, durations)) return { dialect: ANY, separator, headings, above: i + 1 };
      const under = unitsUnder(cells, row);
      if (under && canBeTold(under)) return { dialect: ANY, separator, headings: under, above: i + 2 };
    }
  return undefined;
} // prettier-ignore

const MOST_ABOVE = 500;

const withoutEmptyEnd = (cells: readonly string[]): string[] => cells.slice(0, cells.findLastIndex((cell) => cell !== "") + 1); // prettier-ignore

function headingWith(cell: string, units: CsvDialect["units"]): Heading {
  const heading = { ...headingOf(cell.replace(/^~/, "")), vendor: cell };
  const unit = own(units, cell);
  return unit === undefined ? heading : { ...heading, unit };
}

const same = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();
const isNamed = (heading: Heading, theirs: string): boolean =>
  [theirs, theirs.replace(/^\s*-\s*/, "")].some(
    (name) => same(heading.vendor, name) || same(heading.quantity, headingOf(name).quantity),
  );

/** A line of units under the names. */
function unitsUnder(names: readonly string[], units: readonly string[]): Heading[] | undefined {
  if (units.length < names.length || units.some((cell) => isNumber(cell))) return undefined;
  return names.map((name, i) => headingOf(units[i] ? `${name} [${units[i]!.replace(/^[[(]|[\])]$/g, "")}]` : name)); // prettier-ignore
}

/** The first line that a row of as many cells follows, mostly numbers: a heading that tells nothing. */
function likelyHeading(lines: readonly string[]): string[] | undefined {
  for (const [i, line] of lines.slice(0, MOST_ABOVE).entries())
    for (const separator of SEPARATORS) {
      const cells = cellsOf(line, separator);
      if (cells.length < 2 || cells.some(isTooLong) || cells.every(isNumber) || lines[i + 1] === undefined) continue;
      const row = cellsOf(lines[i + 1]!, separator);
      if (row.length >= cells.length - 1 && row.filter((cell) => isNumber(cell) || isDuration(cell)).length * 2 >= row.length) return cells;
    }
  return undefined;
} // prettier-ignore

/** Lines of a head that may be text; the last may be cut. */
const textLines = (head: Uint8Array): string[] =>
  head.length === 0 || head.includes(0) ? [] : linesOf(head);

function formatOf(dialects: readonly CsvDialect[]): EchemFormat {
  const looks = (head: Uint8Array): boolean => {
    const lines = textLines(head);
    if (dialects.some(({ begins }) => begins?.(lines.slice(0, 2).join("\n")))) return true;
    return findHeading(lines, dialects.filter(({ begins }) => !begins), {}) !== undefined;
  };
  return { name: dialects[0]!.name, looks, open: (file, opening) => openCsv(file, dialects, opening) };
} // prettier-ignore

export const bdfCsv = formatOf([BDF]);
export const arbinCsv = formatOf([ARBIN_SPACES, ARBIN_UNDERSCORES]);
export const basytec = formatOf([BASYTEC]);
export const novonix = formatOf([NOVONIX]);
export const pec = formatOf([PEC]);

/** The last that is asked: any text with a table in it. Taken without being told only where the heading tells all. */
export const anyCsv: EchemFormat = {
  name: "any CSV by the columns option",
  looks(head) {
    return textLines(head).some((line) => SEPARATORS.some((separator) => line.includes(separator)));
  },
  claims(head, path) {
    return /\.(csv|tsv|txt)$/i.test(path) && findHeading(textLines(head), DIALECTS, {}) !== undefined;
  },
  open: (file, opening) => openCsv(file, DIALECTS, opening),
}; // prettier-ignore

async function openCsv(file: FileReader, dialects: readonly CsvDialect[], { columns: wanted }: Opening): ReturnType<EchemFormat["open"]> {
  const lines = await topLines(file);
  const found = withoutHeading(lines, wanted) ?? findHeading(lines, dialects, wanted);
  if (!found) {
    const likely = likelyHeading(lines);
    if (likely) {
      mapColumns(likely.map(headingOf), wanted); // says what is missing
      throw new SourceError(`the heading ${likely.join(", ")} does not tell what the columns are`);
    }
    throw new SourceError(`has no heading, in its first ${Math.min(lines.length, MOST_ABOVE)} lines, over rows of numbers; export it with the names of its columns and their units in one line, or say by their places which is what: columns: { test_time_second: "#1 [s]", voltage_volt: "#2 [V]", current_ampere: "#3 [mA]" }`);
  }
  return openText(file, found.above, formatFor(found, lines.slice(0, Math.max(0, found.above - 1)), wanted));
} // prettier-ignore

function formatFor(found: Found, above: readonly string[], wanted: Opening["columns"]): TextFormat {
  const { dialect, separator, headings } = found;
  const { metadata, start } = aboutOf(dialect, above, separator);
  const map = { ...(Object.keys(wanted).length > 0 ? wanted : (dialect.columns ?? {})) };
  return {
    instrument: dialect.instrument || "CSV",
    format: dialect.format,
    metadata: { ...metadata, columns_told_by: toldBy(dialect, headings, wanted) },
    start,
    separator,
    plan: (row) => planFor(found, map, row, start),
  };
} // prettier-ignore

function toldBy(dialect: CsvDialect, headings: readonly Heading[], wanted: Opening["columns"]): string {
  if (Object.keys(wanted).length > 0) return "the columns option";
  if (dialect !== ANY) return dialect.name;
  return isBdf(headings) ? "BDF" : "words and units of the heading";
}

/** What the lines above the heading say. */
function aboutOf(dialect: CsvDialect, above: readonly string[], separator: Separator): { metadata: Record<string, string>; start: Start | undefined } {
  const metadata: Record<string, string> = {};
  let start: Start | undefined;
  for (const line of above.filter((line) => !isTooLong(line))) {
    const written = dialect.start?.exec(line)?.[1];
    const face = written === undefined ? undefined : clockFace(written, "day first");
    if (face !== undefined) start = { face };
    const [, name = "", value = ""] = /^~?\s*([^:]{1,60}):\s*[,;\t]?\s*(.*?)\s*$/.exec(line) ?? [];
    const [ours, unit] = (own(dialect.about, name.trim()) ?? (dialect === ANY && name !== "" ? plainName(name) : "")).split(" ");
    const plain = value.split(separator)[0]!.trim();
    if (ours && plain !== "" && Object.keys(metadata).length < 64) metadata[ours] = unit ? `${plain} ${unit}` : plain;
  }
  return { metadata, start };
} // prettier-ignore

/** A day by which Excel's and Arbin's days differ from Unix seconds. */
const UNIX_AFTER = 1e8;

function planFor(found: Found, map: Record<string, string>, row: readonly string[], start: Start | undefined): Plan {
  const { dialect, separator } = found;
  const count = Math.max(found.headings.length, withoutEmptyEnd(row).length);
  const problems: Problem[] = [];
  const headings = [...found.headings];
  for (let i = headings.length; i < count; i++) headings.push({ vendor: "", quantity: `column ${i + 1}`, unit: "", written: "" });
  if (count > found.headings.length)
    problems.push({ where: `line ${found.above}`, what: `names ${found.headings.length} columns, and the rows have ${count}; those behind are column_${found.headings.length + 1} and so on` });

  const dateAt = dialect.date ? headings.findIndex(({ vendor }) => vendor.trim() === dialect.date!.column) : isoDate(row);
  const dateCell = dateAt < 0 ? "" : (row[dateAt] ?? "");
  if (dateAt >= 0 && Number(dateCell) > UNIX_AFTER) headings[dateAt] = { ...headings[dateAt]!, quantity: "unix time", unit: "s" };

  const durations = new Set([...headings.keys()].filter((i) => isDuration(row[i] ?? "")));
  const texts = new Set([...headings.keys()].filter((i) => !durations.has(i) && isText(row[i] ?? "") && !isOfOurs(headings[i]!, map)));
  const numbers = [...headings.keys()].filter((i) => !texts.has(i));
  const durationsAmongNumbers = new Set([...numbers.keys()].filter((k) => durations.has(numbers[k]!)));
  const { columns, problems: missing } = mapColumns(numbers.map((i) => headings[i]!), map, durationsAmongNumbers);
  problems.push(...missing);
  const taken = new Set([...TAKEN, ...columns.map(({ name }) => name)]);
  const ours = headings.map((heading, i): Ours => {
    const at = numbers.indexOf(i);
    if (at >= 0) return columns[at]!;
    const name = free(plainName(heading.quantity.replace(/\//g, " ")), taken);
    taken.add(name);
    return { name, from: "", negative: false, field: label({ vendor_name: heading.vendor }) };
  });
  const cells = ours.map((column, i): TextColumn => {
    if (column.field.kind === "label") return { name: column.name, type: "label" };
    return { name: column.name, type: "f64", ...(durations.has(i) && { parse: duration_s }) };
  });

  const decimal = decimalOf(separator, row);
  const inOurs = (at: number): number => {
    const values = Float64Array.of((durations.has(at) ? duration_s : numberOf(decimal))(row[at] ?? ""));
    toOurs(values, ours[at]!);
    return values[0]!;
  };
  const testAt = ours.findIndex(({ name }) => name === "test_time_second");
  const testCell = row[testAt] ?? "";
  if (!durations.has(testAt) && isText(testCell))
    throw new SourceError(`line ${found.above + 1}: "${headings[testAt]!.vendor}", which is to be test_time_second, says ${JSON.stringify(testCell.slice(0, 40))}; that is no number, nor a time such as 01:30:00. Name another column, or export the time since the start`);
  const test_s = inOurs(testAt);
  const unixAt = ours.findIndex(({ name }) => name === UNIX_TIME);
  const instant = unixAt < 0 ? undefined : startByRow(inOurs(unixAt), test_s);
  const dated = instant === undefined && start === undefined ? startByDate(dateCell, headings[dateAt]?.vendor ?? "", dialect, test_s) : {};
  if (dated.doubt) problems.push({ where: `line ${found.above + 1}`, what: dated.doubt });

  return {
    dialect: { separator, ...decimal, quotes: true, ragged: true, columns: cells },
    fields: inOrder(ours),
    start: instant === undefined ? (start ?? dated.start) : { instant },
    problems,
    derive: (table) => derive(table, ours, instant),
  };
} // prettier-ignore

/** A row's date less its test time. */
function startByDate(date: string, heading: string, dialect: CsvDialect, test_s: number): { start?: Start; doubt?: string } {
  if (date === "" || !Number.isFinite(test_s)) return {};
  const test_ns = BigInt(Math.round(test_s * 1e9));
  const zoned = zonedInstant(date);
  if (zoned !== undefined) return { start: { instant: zoned - test_ns } };
  const written = dialect.date?.order ?? "year first";
  const face = clockFace(date, dateOrder(date) ?? written);
  if (face === undefined) return {};
  const start: Start = /\bUTC\b(?![-+])/.test(heading) ? { instant: face - test_ns } : { face: face - test_ns };
  if (!isEitherWay(date)) return { start };
  return { start, doubt: `${heading} ${JSON.stringify(date)} is read as month/day; nothing tells which comes first. If it is day/month, say when it began with start` };
} // prettier-ignore

/** A column by what its heading says, whatever its first cell does: one that reads "OVL" there is still a voltage. */
const isOfOurs = (heading: Heading, map: Readonly<Record<string, string>>): boolean =>
  isTold(heading) || Object.values(map).some((theirs) => isNamed(heading, theirs));

/** Text, that is, and not a number that is missing. */
const isText = (cell: string): boolean => cell.trim() !== "" && !isNumber(cell) && !/^[-+]?(nan|inf(inity)?|null|none|n\/a|-+)$/i.test(cell.trim()); // prettier-ignore

/** A date that can be read in one way only. */
const isoDate = (row: readonly string[]): number => row.findIndex((cell) => /^\d{4}-\d\d-\d\d[T ]\d\d?:\d\d:\d\d/.test(cell)); // prettier-ignore

function derive(table: TableRows, ours: readonly Ours[], instant: bigint | undefined): Derived {
  const columns: Record<string, NumberArray | string[]> = {};
  const problems: Problem[] = [];
  for (const column of ours) {
    const { name, field } = column;
    const values = table.columns[name]!;
    if (!(values instanceof Float64Array)) {
      columns[name] = values;
      continue;
    }
    if (field.kind !== "code") {
      toOurs(values, column);
      columns[name] = values;
      continue;
    }
    const { counts, wrong } = toCounts(values);
    columns[name] = counts;
    if (wrong > 0) problems.push(noCounts(table, column, wrong));
  }
  for (const name of ["voltage_volt", "current_ampere"]) columns[name] ??= new Float64Array(table.rows).fill(NaN);
  const time = instant === undefined ? undefined : timesFromUnix(columns[UNIX_TIME] as Float64Array, columns["test_time_second"] as Float64Array, { instant });
  return { columns, ...(time && { time }), ...(problems.length > 0 && { problems }) };
} // prettier-ignore
