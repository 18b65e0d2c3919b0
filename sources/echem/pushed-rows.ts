/**
 * Rows that a program sends of its own accord, as JSON or MessagePack:
 *
 *     {"time": "2026-11-23T10:00:00.123Z", "voltage_volt": 3.71, "current_ampere": 0.1, "pressure": 1.2}     a row
 *     [{…}, {…}]                                                                                             several
 *     {"time": […], "voltage_volt": […], …}                                                                  their columns
 *     {"from": "rig 7", "seq": 12, "rows": …}        known again when it is sent twice, as after a lost connection
 *     {"end": true}                                                                                          no more come
 *
 * `time` is a text with its zone, or seconds since 1970 (also as `unix_time_second`). Rows without it are timed by
 * `test_time_second`, whose zero is then found from when the first came; rows with neither by when they came.
 */
import { unpack } from "msgpackr";
import {
  code,
  own,
  parseTime,
  scalar,
  type Fault,
  type Fields,
  type Schema,
  type SourceItem,
} from "../../runtime/index.ts";

/** More columns have no cycler: a sender that makes up names would fill the memory. */
const MOST_COLUMNS = 256;
const CODES = new Set(["cycle_count", "step_count"]);
const UNITS: Readonly<Record<string, string>> = {
  test_time_second: "s", voltage_volt: "V", current_ampere: "A", ambient_temperature_celsius: "Cel", step_time_second: "s",
}; // prettier-ignore

export interface Taken {
  readonly item?: SourceItem;
  readonly rows: number;
  /** Why none of it was taken, for the sender. */
  readonly refused?: string;
  readonly end?: true;
  readonly seq?: number;
}

type Row = Readonly<Record<string, unknown>>;

export class PushedRows {
  readonly #units: Readonly<Record<string, string>>;
  #fields: Fields | undefined;
  /** ns at test time 0, found from the first row that has no time of its own. */
  #start: bigint | undefined;
  #first: bigint | undefined;
  /** Of each sender the last number. */
  readonly #last = new Map<string, number>();
  #refused = 0;

  /** `units`: of columns that have none by their name. */
  constructor(units: Readonly<Record<string, string>>) {
    this.#units = units;
  }

  /** `arrived`: ns. */
  take(message: Uint8Array, isBinary: boolean, arrived: bigint): Taken {
    try {
      return this.#take(decode(message, isBinary), arrived);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // A sender that is wrong is wrong a thousand times a second.
      const said = /^10*$/.test(String(++this.#refused));
      const what = `a message was refused: ${error.message}${this.#refused > 1 ? ` (the ${this.#refused}th)` : ""}`;
      return { rows: 0, refused: error.message, ...(said && { item: { faults: [{ time: arrived, what }] } }) };
    }
  }

  #take(said: unknown, arrived: bigint): Taken {
    if (isRow(said) && said["end"] === true) return { rows: 0, end: true };
    const envelope = isRow(said) && "rows" in said ? said : undefined;
    const faults: Fault[] = [];
    let seq: number | undefined;
    if (envelope && "seq" in envelope) {
      if (!Number.isSafeInteger(envelope["seq"])) throw new Refused(`seq is a whole number, not ${show(envelope["seq"])}`);
      seq = envelope["seq"] as number;
      const from = String(envelope["from"] ?? "");
      const last = this.#last.get(from);
      if (last !== undefined && seq <= last) return { rows: 0, seq };
      if (last !== undefined && seq > last + 1)
        faults.push({ time: arrived, what: `${from || "the sender"} left out ${seq - last - 1} messages before its number ${seq}`, count: seq - last - 1 });
      if (this.#last.size >= MOST_COLUMNS && !this.#last.has(from)) throw new Refused(`more than ${MOST_COLUMNS} senders`);
      this.#last.set(from, seq);
    }
    const rows = rowsOf(envelope ? envelope["rows"] : said);
    if (rows.length === 0) return { rows: 0, ...(seq !== undefined && { seq }) };
    const names = new Set<string>();
    for (const row of rows) for (const name in row) if (name !== "time" && name !== "unix_time_second") names.add(name);
    const schema = this.#schemaFor(names);
    const time = BigInt64Array.from(rows, (row) => this.#timeOf(row, arrived));
    this.#first ??= time[0]!;
    const columns: Record<string, Float64Array | Int32Array> = {};
    for (const [name, { kind }] of Object.entries(this.#fields!)) {
      const values = kind === "code" ? new Int32Array(rows.length).fill(-1) : new Float64Array(rows.length).fill(NaN);
      rows.forEach((row, i) => {
        if (Object.hasOwn(row, name) && row[name] !== null) values[i] = numberOf(name, row[name]);
        else if (name === "test_time_second") values[i] = Number(time[i]! - (this.#start ?? this.#first!)) / 1e9;
      });
      columns[name] = values;
    }
    const item: SourceItem = { ...(schema && { schema: { echem: schema } }), rows: { echem: { time, ...columns } }, ...(faults.length && { faults }) };
    return { item, rows: rows.length, ...(seq !== undefined && { seq }) };
  }

  #timeOf(row: Row, arrived: bigint): bigint {
    const said = row["time"] ?? row["unix_time_second"];
    if (typeof said === "string") {
      try {
        return parseTime(said);
      } catch (error) {
        throw new Refused((error as Error).message);
      }
    }
    if (said !== undefined && said !== null) {
      const seconds = numberOf("time", said);
      if (!(Math.abs(seconds) < 9e9)) throw new Refused(`time ${seconds} is not in seconds since 1970`);
      return BigInt(Math.floor(seconds)) * 1_000_000_000n + BigInt(Math.round((seconds - Math.floor(seconds)) * 1e9));
    }
    if (row["test_time_second"] === undefined) return arrived;
    const test_ns = BigInt(Math.round(numberOf("test_time_second", row["test_time_second"]) * 1e9));
    this.#start ??= arrived - test_ns;
    return this.#start + test_ns;
  }

  /** A schema where these columns need a new one. */
  #schemaFor(names: ReadonlySet<string>): Schema | undefined {
    const before = this.#fields;
    const wanted = ["test_time_second", "voltage_volt", "current_ampere", ...Object.keys(before ?? {}), ...names];
    const all = [...new Set(wanted)];
    if (before && all.length === Object.keys(before).length) return undefined;
    if (all.length > MOST_COLUMNS) throw new Refused(`more than ${MOST_COLUMNS} columns`);
    for (const name of names)
      if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Refused(`a column is called in small letters, digits and _, such as voltage_volt; not ${show(name)}`);
    this.#fields = Object.fromEntries(all.map((name) => [name, CODES.has(name) ? code() : scalar(own(this.#units, name) ?? own(UNITS, name) ?? "")]));
    return { fields: this.#fields, metadata: { format: "push", time_basis: "absolute where the rows say it, else first seen" } };
  }
} // prettier-ignore

class Refused extends Error {}

function decode(message: Uint8Array, isBinary: boolean): unknown {
  try {
    // JSON begins with { or [; as MessagePack these would be the numbers 123 and 91.
    const isText = !isBinary || message[0] === 0x7b || message[0] === 0x5b;
    return isText ? JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(message)) : unpack(message);
  } catch (error) {
    throw new Refused(`it is neither JSON nor MessagePack (${(error as Error).message})`);
  }
}

const isRow = (said: unknown): said is Row =>
  typeof said === "object" && said !== null && !Array.isArray(said);

function rowsOf(said: unknown): readonly Row[] {
  if (Array.isArray(said)) {
    for (const row of said)
      if (!isRow(row)) throw new Refused(`each row is an object of columns, not ${show(row)}`);
    return said as Row[];
  }
  if (!isRow(said))
    throw new Refused(`a message is a row, a list of rows, or their columns, not ${show(said)}`);
  const lists = Object.entries(said).filter(([, values]) => Array.isArray(values));
  if (lists.length === 0) return [said];
  if (lists.length < Object.keys(said).length)
    throw new Refused("columns are lists, all of them; these hold lists and single values");
  const lengths = new Set(lists.map(([, values]) => (values as unknown[]).length));
  if (lengths.size > 1) throw new Refused(`columns have one length; these have ${[...lengths].join(", ")}`);
  return Array.from({ length: [...lengths][0]! }, (_, i) =>
    Object.fromEntries(lists.map(([name, values]) => [name, (values as unknown[])[i]])),
  );
}

function numberOf(name: string, value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number") throw new Refused(`${name} is a number, not ${show(value)}`);
  return number;
}

const show = (value: unknown): string => {
  const text = JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? String(value); // prettier-ignore
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};
