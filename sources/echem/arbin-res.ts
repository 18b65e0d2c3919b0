/**
 * Arbin `.res`: an Access (Jet 4) database that MITS Pro writes, one row of `Channel_Normal_Table` a data point.
 *
 *     Global_Table           one row a test: name, channel, start (OLE days, local time), mass, schedule
 *     Channel_Normal_Table   test time [s], current [A] (positive on charge), voltage, capacities [A.h], energies [W.h]
 *     Auxiliary_Table        sensors: one row a data point and sensor
 *
 * A database has no order of its own: its pages come in the order in which they were allotted, and freed ones are used
 * again. `Data_Point` is the order in which the cycler measured, so rows are given in that. Capacities run on until the
 * schedule resets them.
 *
 * The file is held whole in memory, up to 1 GiB (some 9 million rows), beside 4 bytes a row and 4 for each sensor; 32 a row while it
 * is opened.
 */
import MDBReader from "mdb-reader";
import { code, own, scalar, SourceError, type Field, type Fields } from "../../runtime/index.ts";
import { Rewritten, ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type NumberArray, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader, FileState } from "./file-reader.ts";
import { ucumOf } from "./vendor-units.ts";
import { DQ, RunningCharge } from "./charge-passed.ts";

const MAGIC = "Standard Jet DB";
const MOST_BYTES = 2 ** 30;
/** Rows read at a time: the library goes through all pages before them each time. */
const PIECE = 65_536;
/** Rows that are read along, and left, where those wanted do not follow each other: cheaper than going through the pages again. */
const MOST_BETWEEN = 1024;
const NORMAL = "Channel_Normal_Table";

type Table = ReturnType<MDBReader["getTable"]>;
type Row = Record<string, unknown>;

interface Known {
  readonly name: string;
  readonly field: (type: "f64" | "f32" | "i32") => Field;
}
const ofUnit = (unit: string, doc?: string) => (type: "f64" | "f32" | "i32") => scalar(unit, { type, ...(doc && { doc }) }); // prettier-ignore
const known = (name: string, unit: string, doc?: string): Known => ({ name, field: ofUnit(unit, doc) });
const MISSING = { [-1]: "not in the file" };

// prettier-ignore
const COLUMNS: Readonly<Record<string, Known>> = {
  Test_Time: known("test_time_second", "s"),
  Voltage: known("voltage_volt", "V"),
  Current: known("current_ampere", "A", "positive on charge"),
  Cycle_Index: { name: "cycle_count", field: () => code({ codes: MISSING }) },
  Step_Index: { name: "step_index", field: () => code({ codes: MISSING, doc: "step of the schedule; comes again in each cycle" }) },
  Data_Point: { name: "data_point", field: () => code({ codes: MISSING }) },
  Step_Time: known("step_time", "s"),
  DateTime: known("date_time", "d", "the tester's clock, local time: days since 1899-12-30"),
  Charge_Capacity: known("charge_capacity", "A.h", "runs on until the schedule resets it"),
  Discharge_Capacity: known("discharge_capacity", "A.h", "runs on until the schedule resets it"),
  Charge_Energy: known("charge_energy", "W.h"),
  Discharge_Energy: known("discharge_energy", "W.h"),
  "dV/dt": known("dv_dt", "V/s"),
  Internal_Resistance: known("internal_resistance", "Ohm"),
  AC_Impedance: known("ac_impedance", "Ohm"),
  ACI_Phase_Angle: known("aci_phase_angle", "deg"),
  Is_FC_Data: { name: "is_fc_data", field: () => code({ codes: MISSING }) },
};
const BDF = new Set(["test_time_second", "voltage_volt", "current_ampere"]);

/** What `Data_Type` of a sensor says that it measures. */
const SENSORS: Readonly<Record<number, readonly [name: string, unit: string]>> = {
  0: ["voltage", "V"],
  1: ["temperature", "Cel"],
  2: ["pressure", ""],
  3: ["ph", "1"],
  4: ["flow_rate", ""],
  5: ["concentration", ""],
  6: ["digital_input", ""],
  7: ["digital_output", ""],
};

export const arbinRes: EchemFormat = {
  name: "Arbin .res",
  looks: isRes,
  claims: (head, path) => isRes(head) && /\.res$/i.test(path),
  snapshot: true,
  async open(file) {
    await file.read(0, 0);
    const state = await file.state();
    if (state.size > MOST_BYTES)
      throw new SourceError(
        `has ${(state.size / 2 ** 30).toFixed(1)} GiB; an .res is held whole in memory, up to 1 GiB: export the test in parts, or as CSV`,
      );
    const bytes = await file.read(0, state.size);
    return new ResReader(file, state, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  },
};

function isRes(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(4, 4 + MAGIC.length)) === MAGIC;
}

class ResReader implements EchemReader {
  readonly instrument = "Arbin";
  readonly format = "res";
  readonly metadata: Readonly<Record<string, string>>;
  readonly start: Start | undefined;
  readonly fields: Fields;
  readonly problems: readonly Problem[];
  readonly finished: boolean;
  readonly #file: FileReader;
  readonly #state: FileState;
  readonly #table: Table;
  readonly #columns: readonly VendorColumn[];
  /** Places in the table of the rows that come, in the order of their data points. */
  readonly #order: Int32Array;
  readonly #sensors: Readonly<Record<string, Float32Array>>;
  /** What the tester measured between rows, where it has both capacities. */
  readonly #passed: RunningCharge | undefined;
  #done = 0;

  constructor(file: FileReader, state: FileState, bytes: Buffer) {
    this.#file = file;
    this.#state = state;
    checkDefinitions(bytes);
    const database = named("the database", () => new MDBReader(bytes));
    const names = new Set(named("its list of tables", () => database.getTableNames()));
    if (!names.has(NORMAL))
      throw new SourceError(
        `is an Access database without ${NORMAL}, so it is none of Arbin's results; its tables are ${[...names].join(", ") || "none"}`,
      );
    const table = named(NORMAL, () => database.getTable(NORMAL));
    const problems: Problem[] = [];
    this.#table = table;
    this.#columns = columnsOf(table, problems);
    const all = (name: string, columns?: readonly string[]): Row[] =>
      names.has(name) ? rowsOf(database, name, problems, columns) : [];

    const { points, tests } = pointsOf(table, problems);
    const global = all("Global_Table").filter((row) => typeof row["Test_ID"] === "number");
    const test = onlyTest(tests, global);
    this.#order = orderOf(points, tests, test);
    const repeated = countRepeated(points, this.#order);
    if (repeated > 0)
      problems.push({ where: NORMAL, what: `${repeated} data points have a number that another has, too`, count: repeated }); // prettier-ignore

    const about = global.find((row) => row["Test_ID"] === test) ?? {};
    this.metadata = metadataOf(about, all("Version_Table")[0]);
    this.start = startOf(about);
    const last = all("Event_Table").findLast((row) => row["Test_ID"] === test);
    this.finished = last?.["Event_Type"] === 1;
    const sensors = names.has("Auxiliary_Table")
      ? sensorsOf(database, test, points, this.#order, problems)
      : { fields: {}, values: {} };
    this.#sensors = sensors.values;
    for (const [name, what] of Object.entries(UNREAD)) {
      const count = names.has(name) ? named(name, () => database.getTable(name)).rowCount : 0;
      if (count > 0) problems.push({ where: name, what: `${what} are not read`, unread: true, count });
    }
    const { current_ampere, ...rest } = Object.fromEntries(this.#columns.map(({ name, field }) => [name, field]));
    const { test_time_second, voltage_volt, ...others } = rest;
    if ("charge_capacity" in others && "discharge_capacity" in others) this.#passed = new RunningCharge();
    this.fields = {
      ...(test_time_second && { test_time_second }),
      voltage_volt: voltage_volt ?? scalar("V", { doc: "not measured in this file" }),
      current_ampere: current_ampere ?? scalar("A", { doc: "not measured in this file" }),
      ...others,
      ...(this.#passed && { dq: DQ }),
      ...sensors.fields,
    };
    this.problems = [...problems, ...this.#pauses(about)];
  } // prettier-ignore

  lastTestTime_s(): Promise<number> {
    const at = this.#order.at(-1);
    const rows = at === undefined ? [] : readRows(this.#table, ["Test_Time"], at, 1);
    return Promise.resolve(number(rows[0]?.["Test_Time"]));
  }

  async *more(): AsyncGenerator<Chunk> {
    const { size, modified } = await this.#file.read(0, 0).then(() => this.#file.state());
    if (size !== this.#state.size || modified !== this.#state.modified)
      throw new Rewritten("another program wrote the file anew while it was read");
    while (this.#done < this.#order.length) {
      const rows = Math.min(PIECE, this.#order.length - this.#done);
      const columns = this.#read(this.#done, rows);
      for (let at = 0; at < rows; at += ROWS_AT_A_TIME) {
        const to = Math.min(rows, at + ROWS_AT_A_TIME);
        const part = Object.entries(columns).map(([name, values]) => [name, values.slice(at, to)]);
        const where = `${NORMAL}, row ${this.#done} in the order of data points`;
        this.#done += to - at;
        yield { columns: Object.fromEntries(part), rows: to - at, where };
      }
    }
  }

  /** Columns of so many rows, in order. They are read as they stand in the table, where neighbours in the order mostly are near. */
  #read(from: number, rows: number): Record<string, NumberArray> {
    const columns = Object.fromEntries(this.#columns.map(({ name, field, make }) => [name, { values: make(rows), field }]));
    const vendor = this.#columns.map(({ vendor }) => vendor);
    // Places in the table, rising, each with its place in the order behind it.
    const places = Float64Array.from(this.#order.subarray(from, from + rows), (place, i) => place * PIECE + i).sort();
    const placeAt = (i: number): number => Math.floor(places[i]! / PIECE);
    for (let i = 0; i < rows;) {
      const first = placeAt(i);
      let next = i + 1;
      while (next < rows && placeAt(next) - placeAt(next - 1) <= MOST_BETWEEN && placeAt(next) - first < 2 * PIECE) next++;
      const read = named(NORMAL, () => readRows(this.#table, vendor, first, placeAt(next - 1) - first + 1));
      for (const { name, vendor, field } of this.#columns) {
        const { values } = columns[name]!;
        const missing = field.kind === "code" ? -1 : NaN;
        for (let k = i; k < next; k++) values[places[k]! % PIECE] = number(read[placeAt(k) - first]![vendor], missing);
      }
      i = next;
    }
    const given = Object.entries(columns).map(([name, { values }]) => [name, values]);
    for (const name of BDF) if (!(name in columns)) given.push([name, new Float64Array(rows).fill(NaN)]);
    for (const [name, values] of Object.entries(this.#sensors)) given.push([name, values.slice(from, from + rows)]);
    if (this.#passed) given.push(["dq", this.#passed.take(columns["charge_capacity"]!.values, columns["discharge_capacity"]!.values)]);
    return Object.fromEntries(given);
  } // prettier-ignore

  /** Test time stands still while a test is paused; the tester's clock does not. Rows are placed by the one, and the other says where. */
  #pauses(about: Row): Problem[] {
    const start = number(about["Start_DateTime"]);
    if (!this.#columns.some(({ vendor }) => vendor === "DateTime") || !(start > 0)) return [];
    const ends = [this.#order[0], this.#order.at(-1)].flatMap((at) => (at === undefined ? [] : [at]));
    for (const at of ends) {
      const [row] = readRows(this.#table, ["Test_Time", "DateTime", "Data_Point"], at, 1);
      const apart_s = (number(row?.["DateTime"]) - start) * 86_400 - number(row?.["Test_Time"]);
      if (Math.abs(apart_s) > APART_s)
        return [{ where: `${NORMAL}, data point ${String(row?.["Data_Point"])}`, what: `the tester's clock is ${Math.round(Math.abs(apart_s))} s ${apart_s > 0 ? "ahead of" : "behind"} start + test time, as where a test was paused or resumed, or where summer time began or ended; rows are placed by test time, date_time has the clock` }];
    }
    return [];
  } // prettier-ignore
}

/** The clock has whole seconds, and it and test time may drift apart a little in a year. */
const APART_s = 60;

/** Tables whose rows belong to no data point's row. */
const UNREAD: Readonly<Record<string, string>> = {
  MCell_Aci_Data_Table: "impedances of single cells in a pack",
  Smart_Battery_Data_Table: "values that a battery's own controller sent",
  Can_BMS_Data_Table: "values that came over CAN",
};

interface VendorColumn {
  readonly vendor: string;
  readonly name: string;
  readonly field: Field;
  make(rows: number): NumberArray;
}

function columnsOf(table: Table, problems: Problem[]): VendorColumn[] {
  const columns: VendorColumn[] = [];
  for (const { name: vendor, type } of named(NORMAL, () => table.getColumns())) {
    if (vendor === "Test_ID") continue;
    const stored = { double: "f64", float: "f32", integer: "i32", long: "i32", byte: "i32" }[type as string] as "f64" | "f32" | "i32" | undefined;
    if (!stored) {
      problems.push({ where: NORMAL, what: `column ${vendor} is of type ${type}, which holds no numbers, and is not read`, unread: true });
      continue;
    }
    const given = own(COLUMNS, vendor) ?? { name: vendor.toLowerCase().replace(/[^a-z0-9]+/g, "_"), field: ofUnit("") };
    if (columns.some(({ name }) => name === given.name)) continue;
    // Integers can be missing, too; of those without known codes, a float says so.
    const wide = BDF.has(given.name) || (stored === "i32" && given.field("i32").kind !== "code") ? "f64" : stored;
    const field: Field = { ...given.field(wide), vendor_name: vendor };
    const make = { f64: Float64Array, f32: Float32Array, i32: Int32Array }[field.type as "f64" | "f32" | "i32"];
    columns.push({ vendor, name: given.name, field, make: (rows) => new make(rows) });
  }
  return columns;
} // prettier-ignore

/** Numbers of data points and tests, as the table has them; what cannot be read is a problem. */
function pointsOf(table: Table, problems: Problem[]): { points: Int32Array; tests: Int32Array } {
  const [points, tests]: [number[], number[]] = [[], []];
  for (const rows of pieces(table, NORMAL, ["Data_Point", "Test_ID"], problems))
    for (const row of rows) {
      points.push(number(row["Data_Point"], -1));
      tests.push(number(row["Test_ID"], -1));
    }
  return { points: Int32Array.from(points), tests: Int32Array.from(tests) };
}

/** Rows some at a time. Where a page is damaged, those up to it; the library reads none behind it. */
function* pieces(table: Table, name: string, columns: readonly string[], problems: Problem[]): Generator<Row[]> {
  for (let from = 0; ; from += PIECE) {
    let rows: Row[];
    try {
      rows = readRows(table, columns, from, PIECE);
    } catch (error) {
      const readable = mostReadable(table, columns, from);
      const left = Math.max(1, table.rowCount - from - readable);
      problems.push({ where: `${name}, row ${from + readable}`, what: `a page is damaged (${(error as Error).message}); the rows from here on cannot be read`, unread: true, count: left });
      if (readable > 0) yield readRows(table, columns, from, readable);
      return;
    }
    if (rows.length > 0) yield rows;
    if (rows.length < PIECE) return;
  }
} // prettier-ignore

function mostReadable(table: Table, columns: readonly string[], from: number): number {
  let [good, bad] = [0, PIECE];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      readRows(table, columns, from, middle);
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return good;
}

const readRows = (table: Table, columns: readonly string[], from: number, rows: number): Row[] =>
  table.getData({ columns, rowOffset: from, rowLimit: rows });

/** The test whose rows are there. A file of several is refused, since their rows belong to different cells. */
function onlyTest(tests: Int32Array, global: readonly Row[]): number {
  const counts = new Map<number, number>();
  for (const test of tests) counts.set(test, (counts.get(test) ?? 0) + 1);
  if (counts.size > 1) {
    const about = (test: number): string => {
      const row = global.find((row) => row["Test_ID"] === test);
      return `${test}${row ? ` "${String(row["Test_Name"])}" (channel ${String(row["Channel_Index"])})` : ""} with ${counts.get(test)} rows`;
    };
    const tests = [...counts.keys()];
    throw new SourceError(
      `holds ${counts.size} tests: ${tests.slice(0, 8).map(about).join(", ")}${tests.length > 8 ? ` and ${tests.length - 8} more` : ""}; export each of them to a file of its own`,
    );
  }
  return [...counts.keys()][0] ?? number(global[0]?.["Test_ID"], -1);
}

function orderOf(points: Int32Array, tests: Int32Array, test: number): Int32Array {
  const rows = Int32Array.from(points.keys()).filter((i) => tests[i] === test);
  const rises = rows.every((row, i) => i === 0 || points[row]! >= points[rows[i - 1]!]!);
  return rises ? rows : rows.sort((a, b) => points[a]! - points[b]! || a - b);
}

function countRepeated(points: Int32Array, order: Int32Array): number {
  let repeated = 0;
  for (let i = 1; i < order.length; i++) if (points[order[i]!] === points[order[i - 1]!]) repeated++;
  return repeated;
}

interface Sensors {
  readonly fields: Record<string, Field>;
  readonly values: Record<string, Float32Array>;
}

/** No tester has more sensors on a channel. */
const MOST_SENSORS = 256;

/** What sensors measured, beside the data point that it belongs to; NaN where a sensor has none. */
function sensorsOf(database: MDBReader, test: number, points: Int32Array, order: Int32Array, problems: Problem[]): Sensors {
  const [fields, values]: [Sensors["fields"], Sensors["values"]] = [{}, {}];
  const called = new Map(
    rowsOf(database, "Aux_Global_Data_Table", problems).map((row) => [`${String(row["Data_Type"])} ${String(row["Auxiliary_Index"])}`, row]),
  );
  const ordered = order.map((at) => points[at]!);
  let homeless = 0;
  const table = named("Auxiliary_Table", () => database.getTable("Auxiliary_Table"));
  for (const rows of pieces(table, "Auxiliary_Table", ["Test_ID", "Data_Point", "Auxiliary_Index", "Data_Type", "X"], problems))
    for (const row of rows) {
      if (row["Test_ID"] !== test) continue;
      const [type, index] = [number(row["Data_Type"], -1), number(row["Auxiliary_Index"], -1)];
      const [what, usual] = SENSORS[type] ?? [`type_${type}`, ""];
      const name = `aux_${what}_${index}`.replace("-", "minus_");
      if (!(name in values)) {
        if (Object.keys(values).length === MOST_SENSORS) throw new SourceError(`Auxiliary_Table: has more than ${MOST_SENSORS} sensors; it is damaged`);
        const about = called.get(`${type} ${index}`);
        const unit = ucumOf(text(about?.["Unit"])) || usual;
        const nickname = text(about?.["Nickname"]);
        fields[name] = scalar(unit, { type: "f32", vendor_name: nickname || `Aux ${what} ${index}` });
        values[name] = new Float32Array(order.length).fill(NaN);
      }
      const at = placeOf(ordered, number(row["Data_Point"], -1));
      if (at < 0) homeless++;
      else values[name]![at] = number(row["X"]);
    }
  if (homeless > 0) problems.push({ where: "Auxiliary_Table", what: `${homeless} values belong to data points that are not there, and are left out`, unread: true, count: homeless });
  return { fields, values };
} // prettier-ignore

/** The first place of a number among rising ones; -1 where it is not there. */
function placeOf(rising: Int32Array, wanted: number): number {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return rising[low] === wanted ? low : -1;
}

/** All rows of a small table, columns of numbers and text only. */
function rowsOf(database: MDBReader, name: string, problems: Problem[], only?: readonly string[]): Row[] {
  if (!database.getTableNames().includes(name)) return [];
  try {
    const table = database.getTable(name);
    const columns = table.getColumns().filter(({ type }) => type !== "memo" && type !== "ole" && type !== "complex");
    const wanted = columns.map((column) => column.name).filter((column) => !only || only.includes(column));
    return [...pieces(table, name, wanted, problems)].flat();
  } catch (error) {
    problems.push({ where: name, what: `cannot be read (${(error as Error).message})`, unread: true });
    return [];
  }
} // prettier-ignore

const number = (value: unknown, missing = NaN): number => (typeof value === "number" ? value : missing);
const text = (value: unknown): string => (typeof value === "string" ? value.trim() : "");

const UNIX_EPOCH_d = 25_569; // 1970-01-01 in days since 1899-12-30

function startOf(about: Row): Start | undefined {
  const days = number(about["Start_DateTime"]);
  if (!(days > UNIX_EPOCH_d && days < 100_000)) return undefined;
  return { face: BigInt(Math.round((days - UNIX_EPOCH_d) * 86_400_000)) * 1_000_000n };
}

/** Shortest decimal of a number that was stored in 32 bits. */
const short = (value: number): string => String(Number(value.toPrecision(7)));

function metadataOf(about: Row, version: Row | undefined): Record<string, string> {
  const metadata: Record<string, string> = {};
  const say = (name: string, value: string): void => {
    if (value !== "") metadata[name] = value;
  };
  for (const [name, column] of Object.entries({
    test_name: "Test_Name", schedule: "Schedule_File_Name", schedule_version: "Schedule_Version", user: "Creator", comments: "Comments",
    software_version: "Software_Version", device_serial: "Serial_Number", item_id: "Item_ID",
  })) say(name, text(about[column]));
  const channel = number(about["Channel_Index"]);
  if (!Number.isNaN(channel)) say("channel", String(channel));
  const positive = (name: string, column: string, unit: string): void => {
    const value = number(about[column]);
    if (value > 0) say(name, `${short(value)} ${unit}`);
  };
  positive("active_mass", "MASS", "g");
  positive("specific_capacity", "Specific_Capacity", "Ah/g");
  positive("capacity", "Capacity", "Ah");
  say("results_version", text(version?.["Version_Schema_Field"]));
  return metadata;
} // prettier-ignore

/** What the library throws, as an error for who owns the file. */
function named<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`${what} cannot be read (${(cause as Error).message}); copy the file again, with the tester's software closed`, { cause });
  }
} // prettier-ignore

const TABLE_DEFINITION = 2;
/** A definition of 255 columns, the most there can be, fills a dozen. */
const MOST_DEFINITION_PAGES = 64;

/** Definitions that go on over pages in a circle would keep the library for ever. */
function checkDefinitions(bytes: Buffer): void {
  const pageSize = bytes[0x14] === 0 ? 2048 : 4096;
  for (let page = 1; (page + 1) * pageSize <= bytes.length; page++) {
    if (bytes[page * pageSize] !== TABLE_DEFINITION) continue;
    let [next, length] = [page, 0];
    while (next > 0 && (next + 1) * pageSize <= bytes.length && bytes[next * pageSize] === TABLE_DEFINITION) {
      if (++length > MOST_DEFINITION_PAGES)
        throw new SourceError(`byte ${page * pageSize}: a table's definition goes on over more than ${MOST_DEFINITION_PAGES} pages; the file is damaged: copy it again`);
      next = bytes.readUInt32LE(next * pageSize + 4);
    }
  }
} // prettier-ignore
