/**
 * Gamry `.DTA`: text in tabs, keys a line each, tables between them, appended and flushed row by row while the run goes on.
 *
 *     EXPLAIN
 *     TAG      CV
 *     DATE     LABEL   3/6/2019       Date
 *     CURVE1   TABLE   4500                        how many rows; another number, or none, while it runs
 *              Pt      T      Vf           Im      names, behind a tab
 *              #       s      V vs. Ref.   A       units
 *              0       0.1    4.9E-001     7.8E-009
 *     EXPERIMENTABORTED   TOGGLE   T               where somebody stopped it
 *
 * Tables of other columns follow one another (OCVCURVE, then CURVE1 … or ZCURVE). Numbers have a point or a comma.
 *
 * CONVENTION was 1 in all of more than a hundred files seen; in the two that were looked at, a step upwards gives a positive current and
 * a falling sweep a negative one: anodic positive. None is taken as 1. The software knows two conventions, anodic and cathodic; that
 * 0 is cathodic is concluded from that, no file with it has been seen. Its currents are turned, and a fault says so; of any other
 * value the sign is not known, and they are missing.
 */
import { SourceError, type Fields } from "../../runtime/index.ts";
import { ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type Look, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader } from "./file-reader.ts";
import { gamryTable, type GamryTable } from "./gamry-columns.ts";
import { gamryHeader, headerLine, type GamryHeader, type HeaderLine } from "./gamry-header.ts";
import { GrowingLines, linesOf, type Lines } from "./growing-lines.ts";
import { textTable, type TextTable } from "./text-table.ts";

export const gamryDta: EchemFormat = {
  name: "Gamry .DTA",
  looks: (head) => /^(\xef\xbb\xbf)?EXPLAIN\s*\n/.test(latin1.decode(head.subarray(0, 64))),
  open: (file) => openDta(file),
};
const latin1 = new TextDecoder("latin1");

/** Bytes in which keys are looked for; those behind them are read as they come, but for metadata it is too late. */
const KEYS_WITHIN = 1 << 20;
/** Degrees Celsius; instruments without a sensor say -327. */
const ABSOLUTE_ZERO = -273.15;

async function openDta(file: FileReader): Promise<EchemReader> {
  const bytes = await file.read(0, KEYS_WITHIN);
  const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
  const reader = new DtaReader(new GrowingLines(file), gamryHeader(linesOf(whole)));
  await reader.toFirstTable();
  return reader;
}

type Row = Pick<Chunk, "columns" | "rows" | "where"> & { readonly problems: readonly Problem[] };

class DtaReader implements EchemReader {
  readonly instrument = "Gamry";
  readonly format = "dta";
  /** A table may always be followed by another. */
  readonly finished = false;
  readonly start: Start | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly problems: Problem[];
  fields: Fields = {};
  readonly #lines: GrowingLines;
  /** Read, and not looked at yet. */
  #pending: Lines = { text: [], first: 1 };
  #tables = 0;
  #table: (GamryTable & { readonly text: TextTable }) | undefined;
  /** Of the table that begins: its name, then the names of its columns. */
  #title: string | undefined;
  #names: readonly string[] | undefined;
  #notes = 0;
  /** That lines belong to no table was said since the last key. */
  #isStrayTold = false;
  /** By CONVENTION; NaN where that does not tell. */
  #sign = 1;
  /** Columns as last said. */
  #announced = "";
  /** Test time at which the table's own time is 0. */
  #offset_s = 0;
  #isOffsetKnown = false;
  #last_s = NaN;

  constructor(lines: GrowingLines, { start, metadata, problems }: GamryHeader) {
    this.#lines = lines;
    this.start = start;
    this.metadata = metadata;
    this.problems = [...problems];
  }

  /** Reads up to the headings of the first table, which say what columns there are. */
  async toFirstTable(): Promise<void> {
    while (!this.#table) {
      const { text, first } = await this.#lines.read(ROWS_AT_A_TIME, "growing");
      if (text.length === 0)
        throw new SourceError(
          this.#title === undefined
            ? `has no table of data: it ends within its header, after line ${first - 1}. If it is still being written, follow it; else the run ended before its first point`
            : `ends within the headings of its table ${this.#title}, after line ${first - 1}; it is not whole yet`,
        );
      let at = 0;
      while (at < text.length && !this.#table) {
        const where = `line ${first + at}`;
        const problem = this.#headerLine(text[at++]!);
        if (problem) this.problems.push({ where, ...problem });
      }
      this.#pending = { text: text.slice(at), first: first + at };
    }
    this.fields = this.#table.fields;
    this.#announced = JSON.stringify(this.fields);
  } // prettier-ignore

  async lastTestTime_s(): Promise<number> {
    const line = (await this.#lines.last()) ?? this.#pending.text.at(-1);
    const { text, time } = this.#table!;
    if (line === undefined || time === undefined) return NaN;
    const { columns, rows } = text.parse([line], 1);
    return rows > 0 ? this.#offset_s + (columns[time] as Float64Array)[0]! : NaN;
  }

  async *more(look: Look): AsyncGenerator<Chunk> {
    for (;;) {
      const lines = this.#pending.text.length > 0 ? this.#pending : await this.#lines.read(ROWS_AT_A_TIME, look);
      this.#pending = { text: [], first: 1 };
      if (lines.text.length === 0) return;
      yield* this.#chunks(lines);
    }
  } // prettier-ignore

  *#chunks({ text, first }: Lines): Generator<Chunk> {
    for (let at = 0; at < text.length;) {
      let end = at;
      if (this.#table) while (end < text.length && isRow(text[end]!)) end++;
      if (end > at) {
        const { problems, ...chunk } = this.#rows(text.slice(at, end), first + at);
        if (chunk.rows > 0 || problems.length > 0)
          yield { ...chunk, ...this.#newFields(), ...(problems.length > 0 && { problems }) };
        at = end;
        continue;
      }
      const where = `line ${first + at}`;
      const problem = this.#headerLine(text[at++]!);
      if (problem) yield { columns: {}, rows: 0, where, problems: [{ where, ...problem }] };
    }
  }

  /** The columns of the table, where they are others than those said last. */
  #newFields(): Pick<Chunk, "fields"> {
    const { fields } = this.#table!;
    const said = JSON.stringify(fields);
    if (said === this.#announced) return {};
    this.#announced = said;
    return { fields };
  }

  #rows(text: readonly string[], first: number): Row {
    const { name, number, time, voltage, current, cycles, temperatures, fields, text: table } = this.#table!;
    const { columns, rows, lines, problems } = table.parse(text, first);
    const none = (): Float64Array => new Float64Array(rows).fill(NaN);
    const numbers = (key: string | undefined): Float64Array => (key === undefined ? none() : (columns[key] as Float64Array).slice());
    const current_A = numbers(current);
    if (this.#sign !== 1) for (let i = 0; i < rows; i++) current_A[i]! *= this.#sign;
    for (const key of temperatures) {
      const values = columns[key] as Float64Array;
      for (let i = 0; i < rows; i++) if (values[i]! < ABSOLUTE_ZERO) values[i] = NaN;
    }
    const all: Record<string, Chunk["columns"][string]> = {
      ...columns,
      test_time_second: this.#testTimes(numbers(time)),
      voltage_volt: numbers(voltage),
      current_ampere: current_A,
      ...(cycles !== undefined && { cycle_count: columns[cycles]! }),
      curve: new Int32Array(rows).fill(number),
      table: Array.from({ length: rows }, () => name),
    };
    const kept = Object.fromEntries(Object.entries(all).filter(([key]) => key in fields));
    return { columns: kept, rows, where: `line ${lines[0] ?? first}`, problems };
  } // prettier-ignore

  #testTimes(time_s: Float64Array): Float64Array {
    for (let i = 0; i < time_s.length; i++) {
      const own_s = time_s[i]!;
      if (!this.#isOffsetKnown && Number.isFinite(own_s)) {
        if (own_s + this.#offset_s < this.#last_s) this.#offset_s = this.#last_s;
        this.#isOffsetKnown = true;
      }
      const test_s = own_s + this.#offset_s;
      time_s[i] = test_s;
      if (!(test_s <= this.#last_s) && Number.isFinite(test_s)) this.#last_s = test_s;
    }
    return time_s;
  }

  /** A line that is no row. Returns what there is to say of it. */
  #headerLine(line: string): Omit<Problem, "where"> | undefined {
    if (this.#notes > 0) {
      this.#notes--;
      return undefined;
    }
    const said = headerLine(line);
    if (said) return this.#key(said);
    if (line.trim() === "") return undefined;
    if (this.#title === undefined) {
      if (this.#isStrayTold) return undefined;
      this.#isStrayTold = true;
      return { what: "belongs to no table; such lines are left out up to the next one", unread: true };
    }
    if (!this.#names) this.#names = cellsOf(line);
    else this.#begin(this.#title, this.#names, cellsOf(line));
    return undefined;
  }

  #key({ key, type, values, notes }: HeaderLine): Omit<Problem, "where"> | undefined {
    const cut = this.#title;
    this.#table = this.#title = this.#names = undefined;
    this.#isStrayTold = false;
    this.#notes = notes;
    if (type === "TABLE") this.#title = key;
    if (cut !== undefined) return { what: `stands where the headings of table ${cut} should be, which has none`, unread: true };
    if (key === "EXPERIMENTABORTED") return { what: "the run was stopped by hand here" };
    return key === "CONVENTION" ? this.#convention(values[0] ?? "") : undefined;
  }

  #convention(said: string): Omit<Problem, "where"> | undefined {
    this.#sign = said === "1" ? 1 : said === "0" ? -1 : NaN;
    if (this.#sign === 1) return undefined;
    const column = 'see the column "im", which has them as they stand in the file';
    if (this.#sign === -1) return { what: `CONVENTION 0 is taken for cathodic positive, which no file has confirmed; current_ampere is turned to anodic positive: ${column}` };
    return { what: `CONVENTION ${JSON.stringify(said)} is neither 0 nor 1, so the sign of the currents is not known, and current_ampere is missing: ${column}`, unread: true };
  }

  #begin(title: string, names: readonly string[], units: readonly string[]): void {
    const table = gamryTable(title, ++this.#tables, names, units, this.#sign);
    this.#table = { ...table, text: textTable({ separator: "\t", decimal: "either", columns: table.columns }) };
    this.#isOffsetKnown = false;
    this.#title = this.#names = undefined;
  }
} // prettier-ignore

/** Rows begin with a tab; what begins otherwise, but with no key, is one that was spoilt. */
const isRow = (line: string): boolean => line === "" || /^\s/.test(line);

/** The first is that before the tab; empty ones at the end are none. */
function cellsOf(line: string): string[] {
  const cells = line.split("\t").map((cell) => cell.trim());
  return cells.slice(0, cells.findLastIndex((cell) => cell !== "") + 1);
}
