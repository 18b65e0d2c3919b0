/**
 * A table of text that may be growing, under a heading that is whole: the part that Maccor, Arbin, BDF and any CSV have in
 * common. What its columns are is told by the heading and the first row (a cell's kind by what stands in it), so it is
 * decided once both are there, however the file grows.
 */
import { scalar, SourceError, type Column, type Fields } from "../../runtime/index.ts";
import {
  ROWS_AT_A_TIME,
  type Chunk,
  type EchemReader,
  type Look,
  type Problem,
  type Start,
} from "./echem-file.ts";
import type { FileReader } from "./file-reader.ts";
import { GrowingLines, linesOf } from "./growing-lines.ts";
import { textTable, unquoted, type TableRows, type TextDialect, type TextTable } from "./text-table.ts";

/** Bytes in which a heading is looked for. */
export const HEADING_WITHIN = 1 << 20;

/** What the rows are, once the first is there. */
export interface Plan {
  readonly dialect: TextDialect;
  readonly fields: Fields;
  readonly start?: Start | undefined;
  readonly problems?: readonly Problem[];
  /** Our columns from those of the table. */
  derive(table: TableRows): Derived;
}

export interface Derived {
  readonly columns: Readonly<Record<string, Exclude<Column, BigInt64Array>>>;
  readonly time?: BigInt64Array;
  readonly problems?: readonly Problem[];
}

export interface TextFormat {
  readonly instrument: string;
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly start?: Start | undefined;
  readonly problems?: readonly Problem[];
  /** How the table's cells are told apart, for the first row. */
  readonly separator: TextDialect["separator"];
  /** Throws SourceError where nothing tells what the columns are. */
  plan(firstRow: readonly string[]): Plan;
}

/** Before the first row is there. */
const PROVISIONAL: Fields = {
  test_time_second: scalar("s"),
  voltage_volt: scalar("V"),
  current_ampere: scalar("A"),
};

/** Whole lines at the begin of a file. */
export async function topLines(file: FileReader): Promise<string[]> {
  const bytes = await file.read(0, HEADING_WITHIN);
  const end = bytes.lastIndexOf(10) + 1;
  // Without any end of line it may be a whole file of one line, or one that is just beginning.
  return linesOf(bytes.subarray(0, end > 0 ? end : bytes.length));
}

/** `above`: lines up to the first row, the heading the last of them. */
export async function openText(file: FileReader, above: number, format: TextFormat): Promise<EchemReader> {
  const lines = new GrowingLines(file);
  for (let left = above; left > 0;) {
    const { text, first } = await lines.read(left, "growing");
    if (text.length === 0) throw new SourceError(`line ${first}: its heading is not whole yet`);
    left -= text.length;
  }
  const reader = new TextReader(lines, format);
  await reader.look(file, above);
  return reader;
} // prettier-ignore

/** Cells of a line, without the spaces around them. */
export const cellsOf = (line: string, separator: string): string[] =>
  unquoted(line, separator).map((cell) => cell.trim());

class TextReader implements EchemReader {
  readonly instrument: string;
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly finished = false;
  problems: readonly Problem[];
  start: Start | undefined;
  fields: Fields = PROVISIONAL;
  readonly #lines: GrowingLines;
  readonly #format: TextFormat;
  #plan: { readonly plan: Plan; readonly parse: TextTable["parse"]; readonly cells: number } | undefined;

  constructor(lines: GrowingLines, format: TextFormat) {
    this.#lines = lines;
    this.#format = format;
    this.instrument = format.instrument;
    this.format = format.format;
    this.metadata = format.metadata;
    this.start = format.start;
    this.problems = format.problems ?? [];
  }

  /** Decides by the first row, if it is there. */
  async look(file: FileReader, above: number): Promise<void> {
    const row = (await topLines(file)).slice(above).find((line) => line.trim() !== "");
    if (row === undefined) return;
    const plan = this.#decide(row);
    this.fields = plan.fields;
    this.problems = [...this.problems, ...(plan.problems ?? [])];
  }

  #decide(row: string): Plan {
    const cells = cellsOf(row, this.#format.separator);
    const plan = this.#format.plan(cells);
    this.#plan = { plan, parse: textTable(plan.dialect).parse, cells: cells.length };
    this.start = plan.start ?? this.start;
    return plan;
  }

  async lastTestTime_s(): Promise<number> {
    const line = await this.#lines.last();
    if (line === undefined || !this.#plan) return NaN;
    const table = this.#plan.parse([line], 1);
    const { columns } = this.#plan.plan.derive(table);
    return (columns["test_time_second"] as Float64Array)[0] ?? NaN;
  }

  async *more(look: Look): AsyncGenerator<Chunk> {
    for (;;) {
      const { text, first, unended } = await this.#lines.read(ROWS_AT_A_TIME, look);
      if (text.length === 0) return;
      let decided: Plan | undefined;
      if (!this.#plan) {
        const row = text.find((line) => line.trim() !== "");
        if (row === undefined) continue;
        decided = this.#decide(row);
      }
      const { plan, parse } = this.#plan!;
      const cut = unended && this.#cut(text.at(-1)!, first + text.length - 1);
      const table = parse(cut ? text.slice(0, -1) : text, first);
      const { columns, time, problems = [] } = plan.derive(table);
      const told = [...(decided?.problems ?? []), ...table.problems, ...problems, ...(cut ? [cut] : [])];
      if (table.rows === 0 && told.length === 0) continue;
      yield {
        ...(decided && { fields: decided.fields }),
        columns, rows: table.rows, where: `line ${table.lines[0] ?? first}`,
        ...(time && { time }), ...(told.length > 0 && { problems: told }),
      }; // prettier-ignore
    }
  }

  /** Of a last line that nothing ends, and that has fewer cells than the first row: its last one may be half a number. */
  #cut(line: string, number: number): Problem | undefined {
    const cells = cellsOf(line, this.#format.separator).length;
    if (cells >= this.#plan!.cells || line.trim() === "") return undefined;
    return { where: `line ${number}`, what: `ends after ${cells} of ${this.#plan!.cells} cells, and nothing ends the line: it was cut while it was written, and is left out`, unread: true, count: 1 };
  } // prettier-ignore
}

const DURATION = /^\s*(?:(\d+)\s*d\s+)?(\d+):(\d{1,2})(?::(\d{1,2}(?:[.,]\d*)?))?\s*$/;

/** "01:30:00.5", "  2d 02:52:51.57" in seconds; NaN where it is no such time. */
export function duration_s(cell: string): number {
  const [, days = "0", hours, minutes, seconds = "0"] = DURATION.exec(cell) ?? [];
  if (hours === undefined) return NaN;
  const whole = (Number(days) * 24 + Number(hours)) * 3600 + Number(minutes) * 60;
  return whole + Number(seconds.replace(",", "."));
}

export const isDuration = (cell: string): boolean => DURATION.test(cell);
export const isNumber = (cell: string): boolean =>
  /^[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?$/.test(cell.trim());

/**
 * The decimal mark by the numbers of the first row; the other one then groups thousands. Either, where the row has none, or both.
 * "1,234" alone does not say which it has.
 */
export function decimalOf(separator: TextDialect["separator"], row: readonly string[]): Pick<TextDialect, "decimal" | "thousands"> {
  if (separator === ",") return { decimal: "." };
  const telling = row.filter((cell) => isNumber(cell) && !/^[-+]?[1-9]\d{0,2}[.,]\d{3}$/.test(cell));
  const [points, commas] = [".", ","].map((mark) => telling.some((cell) => cell.includes(mark)));
  if (points === commas) return { decimal: "either" };
  return points ? { decimal: ".", thousands: "," } : { decimal: ",", thousands: "." };
} // prettier-ignore

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

export type DateOrder = "month first" | "day first" | "year first";

const DATE = /^\s*(\d{1,4})[-/. ]\s*(\d{1,2}|[A-Za-z]{3,9})[-/. ]\s*(\d{2,4})(?=[,T\s])/;
const TIME = /^[,T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?(?:\s*([AaPp])\.?[Mm]\.?)?\s*$/;

/**
 * What a clock showed, ns, as if it were UTC: "2025-07-19 15:26:20", "09/20/2024 08:32:34.558" (`order` says what comes first),
 * "23-Nov-23 3:56:08 PM", "11 December 2020, 12:22:12 PM"; undefined where it is no such time, or one with its zone.
 */
export function clockFace(written: string, order: DateOrder): bigint | undefined {
  const date = DATE.exec(written);
  const time = date && TIME.exec(written.slice(date[0].length));
  if (!date || !time) return undefined;
  const [, a = "", b = "", c = ""] = date;
  const named = MONTHS.indexOf(b.slice(0, 3).toLowerCase());
  let [year, month, day] = [Number(c), Number(b), Number(a)]; // day first
  if (a.length === 4) [year, month, day] = [Number(a), named >= 0 ? named + 1 : Number(b), Number(c)];
  else if (named >= 0) month = named + 1;
  else if (order === "month first") [month, day] = [Number(a), Number(b)];
  else if (order === "year first") return undefined;
  if (year < 100) year += year < 70 ? 2000 : 1900;
  const [, h = "0", minute = "0", second = "0", fraction = "", half] = time;
  let hour = Number(h);
  if (half) hour = (hour % 12) + (half.toLowerCase() === "p" ? 12 : 0);
  const ms = Date.UTC(year, month - 1, day, hour, Number(minute), Number(second));
  const back = new Date(ms);
  if (back.getUTCMonth() !== month - 1 || back.getUTCDate() !== day) return undefined;
  if (hour > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
} // prettier-ignore

/** ns since 1970, UTC, of "2025-07-19T15:26:20Z" and "2025-07-19 15:26:20.5+02:00"; undefined where no zone is said. */
export function zonedInstant(written: string): bigint | undefined {
  const [, face = "", sign, hours = "0", minutes = "0"] =
    /^(\d{4}-\d\d-\d\d[T ][\d:.]+?) ?(?:Z|UTC|([-+])(\d\d):?(\d\d)?)$/.exec(written) ?? [];
  const shown = clockFace(face, "year first");
  if (shown === undefined) return undefined;
  const ahead = BigInt(Number(hours) * 60 + Number(minutes)) * 60_000_000_000n;
  return sign === "-" ? shown + ahead : shown - ahead;
}

/** What a date of numbers itself says of its order; undefined where it says nothing. */
export function dateOrder(date: string): "month first" | "day first" | undefined {
  const [, first = "", between, second = ""] = /^\s*(\d{1,4})(\D)(\d{1,2})\D\d{2,4}/.exec(date) ?? [];
  if (between === undefined) return undefined;
  if (between === "." || first.length === 4 || Number(first) > 12) return "day first";
  return Number(second) > 12 ? "month first" : undefined;
}

/** True of a date that is another one with day and month the other way round. */
export function isEitherWay(date: string): boolean {
  const [, first, second] = /^\s*(\d{1,2})\D(\d{1,2})\D\d{2,4}/.exec(date) ?? [];
  return first !== undefined && dateOrder(date) === undefined && Number(first) !== Number(second);
}
