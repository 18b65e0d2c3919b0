/**
 * BioLogic `.mpt`: what EC-Lab and BT-Lab export as text, also while the run goes on (appended, or written anew).
 *
 *     line 1       EC-Lab ASCII FILE   or   BT-Lab ASCII FILE
 *     line 2       Nb header lines : N             N counts all lines down to the headings, which are line N
 *     line 3 …     technique, settings, start      none where N = 3
 *     line N       headings, separated by tabs     (some exports have only this line, and no header)
 *     then         rows
 *
 * Numbers have a point or a comma, as the machine's language has it, and never group thousands. Text is cp1252, in newer
 * versions UTF-8. Test time counts from "Acquisition started on", also in linked techniques; it may be written as the clock's
 * face instead of seconds. Dates are month/day/year in every language.
 */
import { SourceError, type Fields } from "../../runtime/index.ts";
import { bdfColumns, bdfOf, nothingBefore, type Bdf } from "./bdf.ts";
import { Rewritten, ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type Look, type NumberArray, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader } from "./file-reader.ts";
import { GrowingLines, linesOf, type Lines } from "./growing-lines.ts";
import { isMptHeading, mptColumns } from "./mpt-columns.ts";
import { headerMetadata } from "./mpt-header.ts";
import { clockFace } from "./text-reader.ts";
import { textTable, type TextTable } from "./text-table.ts";

export const biologicMpt: EchemFormat = {
  name: "BioLogic .mpt",
  looks: (head) => isSigned(firstLine(head)) || isMptHeading(firstLine(head)),
  open: (file) => openMpt(file),
};

const isSigned = (line: string): boolean => /^(EC|BT)-Lab ASCII FILE\s*$/i.test(line);
const firstLine = (head: Uint8Array): string => linesOf(head)[0]!;

/** A header has a line for each setting; more than this is none. */
const MOST_HEADER_LINES = 20_000;

async function openMpt(file: FileReader): Promise<EchemReader> {
  const lines = new GrowingLines(file);
  const { header, ended } = await headerLines(lines);
  const reader = new MptReader(lines, header, ended);
  await reader.peek();
  return reader;
}

interface Header {
  /** All lines down to the headings. */
  readonly header: readonly string[];
  /** The line of the headings has its end. */
  readonly ended: boolean;
}

async function headerLines(lines: GrowingLines): Promise<Header> {
  const header = [...(await lines.read(1, "growing")).text];
  if (header.length === 0) throw new SourceError("ends within line 1; it is not whole yet");
  if (!isSigned(header[0]!)) return { header, ended: true };
  header.push(...(await lines.read(1, "growing")).text);
  if (header.length === 1) throw new SourceError("ends within its header, before line 2; it is not whole yet");
  const count = Number(/^Nb header lines\s*:\s*(\d+)\s*$/i.exec(header[1]!)?.[1] ?? NaN);
  if (!(count >= 3 && count <= MOST_HEADER_LINES))
    throw new SourceError(`line 2: says ${JSON.stringify(header[1]!.trim().slice(0, 60))} where "Nb header lines : N" should be, with N from 3 to ${MOST_HEADER_LINES}; export it anew`);
  while (header.length < count) {
    const { text } = await lines.read(count - header.length, "growing");
    header.push(...text);
    if (text.length > 0) continue;
    // Where there are no rows, nothing ends the last line; EC-Lab ends the headings by a tab.
    const last = header.length === count - 1 ? (await lines.read(1, "closing")).text[0] : undefined;
    if (!last?.endsWith("\t"))
      throw new SourceError(`ends within its header, at line ${header.length + 1} of ${count}; it is not whole yet`);
    return { header: [...header, last], ended: false };
  }
  return { header, ended: true };
} // prettier-ignore

class MptReader implements EchemReader {
  readonly instrument = "BioLogic";
  readonly format = "mpt";
  /** Text says nowhere that nothing will follow. */
  readonly finished = false;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: Fields;
  readonly problems: readonly Problem[];
  readonly #lines: GrowingLines;
  readonly #table: TextTable;
  readonly #bdf: Bdf;
  readonly #timeAt: number;
  /** The first row's line, once it has been looked at and until it is given. */
  #pending: Lines | undefined;
  #face: bigint | undefined;
  #headingsEnded: boolean;
  /** Lines below the headings were read. */
  #begun = false;
  readonly #before = nothingBefore();

  constructor(lines: GrowingLines, header: readonly string[], ended: boolean) {
    const { start, metadata } = headerMetadata(header);
    this.#lines = lines;
    this.metadata = metadata;
    this.#face = start;
    this.#headingsEnded = ended;
    const headings = header.at(-1)!.split("\t");
    const columns = mptColumns(headings.slice(0, headings.findLastIndex((heading) => heading.trim() !== "") + 1));
    this.#timeAt = columns.findIndex(({ name }) => name === "test_time_second");
    if (this.#timeAt < 0)
      throw new SourceError('has no column "time/s", so its rows cannot be put in time; export it with its time');
    // Past an empty heading others may stand that have no cells.
    const empty = columns.findIndex(({ type }) => type === "skip");
    const isRagged = empty > this.#timeAt;
    this.problems = isRagged
      ? [{ where: `line ${header.length}`, what: `heading ${empty + 1} is empty, and past it stands ${columns.slice(empty + 1).map(({ field }) => `"${field.vendor_name}"`).join(", ")}; rows that end there have none of it, which reads as NaN` }]
      : [];
    this.#table = textTable({
      separator: "\t",
      decimal: "either",
      ragged: isRagged && empty,
      columns: columns.map((column, i) => (i === this.#timeAt ? { ...column, otherwise: (cell) => this.#sinceStart(cell) } : column)),
    });
    const vendor: Fields = Object.fromEntries(columns.flatMap(({ name, type, field }) => (type === "skip" ? [] : [[name, field]])));
    this.#bdf = bdfOf(vendor);
    const { test_time_second, ...others } = vendor;
    this.fields = { test_time_second: test_time_second!, ...this.#bdf.fields, ...others };
  }

  get start(): Start | undefined {
    return this.#face === undefined ? undefined : { face: this.#face };
  }

  /** Where the header does not say the start, but rows give their time by the clock, the first of them does. */
  async peek(): Promise<void> {
    if (this.#face !== undefined || this.#begun || !this.#headingsEnded) return;
    const first = await this.#lines.read(1, "growing");
    this.#begun = first.text.length > 0;
    if (!this.#begun) return;
    this.#pending = first;
    this.#face = clockFace(first.text[0]!.split("\t")[this.#timeAt] ?? "", "month first");
  }

  /** Of a time that is written as the clock's face. */
  #sinceStart(cell: string): number {
    const face = clockFace(cell, "month first");
    if (face === undefined) return NaN;
    this.#face ??= face;
    return Number(face - this.#face) / 1e9;
  }

  async lastTestTime_s(): Promise<number> {
    await this.peek();
    const line = (await this.#lines.last()) ?? this.#pending?.text[0];
    if (line === undefined) return this.#before.time_s;
    const face = this.#face;
    const { columns, rows } = this.#table.parse([line], 1);
    this.#face = face;
    return rows > 0 ? (columns["test_time_second"] as Float64Array)[0]! : NaN;
  }

  async *more(look: Look): AsyncGenerator<Chunk> {
    if (!this.#headingsEnded) await this.#endHeadings();
    if (!this.#headingsEnded) return;
    for (;;) {
      const lines = this.#pending ?? (await this.#lines.read(ROWS_AT_A_TIME, look));
      this.#pending = undefined;
      if (lines.text.length === 0) return;
      this.#begun = true;
      yield this.#chunk(lines);
    }
  }

  /** What follows headings that nothing ended is their end, or they were not whole. */
  async #endHeadings(): Promise<void> {
    const [rest] = (await this.#lines.read(1, "closing")).text;
    if (rest) throw new Rewritten("the line of its headings has gone on since it was opened");
    this.#headingsEnded = rest !== undefined;
  }

  #chunk({ text, first }: Lines): Chunk {
    const { columns, rows, lines, problems } = this.#table.parse(text, first);
    const vendor = columns as Record<string, NumberArray>;
    const bdf = bdfColumns(this.#bdf, vendor, rows, this.#before);
    return { columns: { ...vendor, ...bdf }, rows, where: `line ${lines[0] ?? first}`, ...(problems.length > 0 && { problems }) };
  }
} // prettier-ignore
