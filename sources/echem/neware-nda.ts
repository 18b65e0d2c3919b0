/**
 * Neware `.nda`: records of one length behind a header; rows, auxiliary readings and entries of the log among each other.
 *
 *     0     "NEWARE" and a date, yyyymmdd
 *     14    version: 8 (59-byte records), 22, 26, 29 (86 bytes), 130 (BTS 9.0: 88 bytes, BTS 9.1: 52 and more, from byte 1024)
 *
 * Records are only ever appended, and the last one may be half there, so the file can be followed. A record is taken once another
 * follows it, once the file has stood still, or once what follows is no record any more: version 130 closes with a footer.
 */
import { SourceError, type Fields } from "../../runtime/index.ts";
import { Rewritten, ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type Look, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader } from "./file-reader.ts";
import { NdaAux } from "./neware-nda-aux.ts";
import { DATA_130, findRecords, layoutOf, viewOf, type Kind, type Records } from "./neware-nda-records.ts";
import { RecordRows } from "./neware-records.ts";

const MAGIC = "NEWARE";
const VERSION_AT = 14;
const HEAD_BYTES = VERSION_AT + 1;
/** Records begin behind the header and the schedule; no schedule is longer. */
const MOST_HEADER = 1 << 22;
const MASS_AT = 152;

const isNda = (head: Uint8Array): boolean => textOf(head.subarray(0, MAGIC.length)) === MAGIC;
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

export const newareNda: EchemFormat = {
  name: "Neware .nda",
  looks: isNda,
  async open(file) {
    const head = await file.read(0, DATA_130 + 1);
    const version = head[VERSION_AT];
    if (version === undefined)
      throw new SourceError(`ends after ${head.length} bytes, within its header; copy it again`);
    if (!VERSIONS.has(version))
      throw new SourceError(`byte ${VERSION_AT}: is a Neware file of version ${version}, which is not known; known are ${[...VERSIONS].join(", ")}: please send us such a file`); // prettier-ignore
    const reader = new NdaReader(file, version, head.slice(0, HEAD_BYTES));
    await reader.begin();
    return reader;
  },
};
const VERSIONS = new Set([8, 22, 26, 29, 130]);

class NdaReader implements EchemReader {
  readonly instrument = "Neware";
  readonly format = "nda";
  readonly problems: Problem[] = [];
  metadata: Readonly<Record<string, string>> = {};
  finished = false;
  readonly #file: FileReader;
  readonly #version: number;
  readonly #head: Uint8Array;
  #records: Records | undefined;
  #rows: RecordRows;
  #fields: Fields;
  /** Columns that have not been announced. */
  #news: Fields | undefined;
  /** Bytes of records that rows were given of. */
  #done = 0;
  /** The first and the last record that were taken. */
  #taken: readonly Uint8Array[] = [];
  #held: { readonly at: number; readonly bytes: Uint8Array } | undefined;
  readonly #aux = new NdaAux();
  #unknown = 0;

  constructor(file: FileReader, version: number, head: Uint8Array) {
    this.#file = file;
    this.#version = version;
    this.#head = head;
    this.#rows = new RecordRows(layoutOf(version));
    this.#fields = this.#rows.fields;
  } // prettier-ignore

  get fields(): Fields {
    return this.#fields;
  }

  get start(): Start | undefined {
    return this.#rows.start;
  }

  /** Reads the header, and where there are records the first. */
  async begin(look: Look = "growing"): Promise<void> {
    this.metadata = await metadataOf(this.#file, this.#version);
    const bytes = await this.#file.read(0, MOST_HEADER);
    const records = findRecords(this.#version, bytes, look === "closing");
    if (!records) {
      if (bytes.length === MOST_HEADER) throw new SourceError(`its first record is not within its first ${MOST_HEADER} bytes; it is damaged, export it again`); // prettier-ignore
      return;
    }
    const { at, layout, kind } = records;
    // When the test began, the first row says; until something follows it, it may be half there.
    let row = at;
    while (row + layout.bytes <= bytes.length && kind(bytes, row) !== "row") row += layout.bytes;
    const next = row + layout.bytes;
    const isFollowed = next + layout.bytes <= bytes.length && kind(bytes, next) !== "empty";
    if (!isFollowed && look !== "closing" && bytes.length < MOST_HEADER) return;
    this.#records = records;
    this.#rows = new RecordRows(layout);
    this.#fields = this.#rows.fields;
    if (next > bytes.length) return;
    const first = new RecordRows(layout);
    first.begin(1);
    first.add(viewOf(bytes), row);
    this.#rows.start = first.start;
  }

  async lastTestTime_s(): Promise<number> {
    if (!this.#records) await this.begin();
    if (!this.#records) return NaN; // it cannot say its start either yet
    // Steps add up from the first record on.
    const again = new NdaReader(this.#file, this.#version, this.#head);
    await again.begin();
    let last_s = NaN;
    for await (const { columns, rows } of again.more("closing"))
      if (rows > 0) last_s = (columns["test_time_second"] as Float64Array)[rows - 1]!;
    return last_s;
  }

  async *more(look: Look): AsyncGenerator<Chunk> {
    await this.#checkUnchanged();
    const hadRecords = this.#records !== undefined;
    if (!hadRecords) await this.begin(look);
    if (!this.#records) {
      const { size } = await this.#file.state();
      if (look === "closing") yield problem(size, "no record was found: the test has not begun, it has one only, or the file is damaged"); // prettier-ignore
      return;
    }
    if (!hadRecords) this.#news = this.#fields;
    const { at: begin, layout } = this.#records;
    const most = layout.bytes * ROWS_AT_A_TIME;
    while (!this.finished) {
      const at = begin + this.#done;
      const bytes = await this.#file.read(at, most + layout.bytes);
      await this.#checkUnchanged();
      const limit = this.#limit(bytes, Math.min(bytes.length, most), bytes.length > most, look);
      this.finished = limit.finished;
      this.#done += limit.end;
      if (limit.end > 0) {
        const chunk = this.#decode(bytes, limit.end, at);
        const fields = this.#news;
        this.#news = undefined;
        yield fields ? { ...chunk, fields } : chunk;
      }
      const isAll = bytes.length <= most && !limit.again;
      if (this.finished || (look === "closing" && (isAll || limit.end === 0))) yield* this.#close(this.finished ? 0 : bytes.length - limit.end, at + limit.end); // prettier-ignore
      if (isAll || limit.end === 0) return;
    }
  }

  /**
   * How far these bytes can be read now: whole records, and a row only together with the readings that follow it. A
   * channel that was not seen before begins a chunk of its own.
   */
  #limit(bytes: Uint8Array, length: number, goesOn: boolean, look: Look): { end: number; finished: boolean; again?: boolean } {
    const { layout, kind, readingAt } = this.#records!;
    const step = layout.bytes;
    let end = 0;
    let is: Kind = "empty";
    for (; end + step <= length; end += step) {
      is = kind(bytes, end);
      // Zeros are what a share shows of that which is not written yet.
      if (is === "end" || (is === "empty" && look !== "closing")) break;
    }
    const isSure = look === "closing" || goesOn;
    const finished = is === "end" && end + step <= length && (isSure || look === "settled" || !isZero(bytes, end + step));
    // The last record may be half there; it, or what it is, is told by the next one, or by its standing still.
    let followed = isSure || is === "end";
    const stood = !followed && end > 0 && this.#hasStood(bytes.subarray(end - step, end), this.#done + end, look);
    if (!followed && end > 0 && !stood) {
      end -= step;
      followed = kind(bytes, end) === "row";
    }
    let [rows, lastRow] = [0, -1];
    for (let at = 0; at < end; at += step) {
      is = kind(bytes, at);
      if (is === "row") [rows, lastRow] = [rows + 1, at];
      if (is === "reading" && !this.#aux.has(bytes, at + readingAt)) {
        if (lastRow > 0) return { end: lastRow, finished: false, again: true };
        this.#news = this.#fields = { ...this.#fields, ...this.#aux.begin(bytes, at + readingAt) };
      }
    }
    if (goesOn && !finished) return { end: lastRow > 0 ? lastRow : end, finished };
    // Readings may follow the last row, but not where none ever did.
    const hasNone = stood && this.#aux.isEmpty && (rows > 1 || this.#rows.index > 0);
    return { end: followed || finished || hasNone || lastRow < 0 ? end : lastRow, finished };
  } // prettier-ignore

  #hasStood(last: Uint8Array, at: number, look: Look): boolean {
    const before = this.#held;
    this.#held = { at, bytes: last.slice() };
    return look === "settled" && before?.at === at && Buffer.compare(before.bytes, last) === 0;
  }

  #decode(bytes: Uint8Array, end: number, where: number): Chunk {
    const { layout, kind, readingAt } = this.#records!;
    const view = viewOf(bytes);
    const rows = this.#rows;
    const problems: Problem[] = [];
    let [empty, firstEmpty] = [0, 0];
    rows.begin(end / layout.bytes);
    this.#aux.room(end / layout.bytes);
    const last = bytes.slice(end - layout.bytes, end);
    this.#taken = [this.#taken[0] ?? bytes.slice(0, layout.bytes), last];
    for (let at = 0; at < end; at += layout.bytes) {
      const is = kind(bytes, at);
      if (is === "row") {
        rows.add(view, at);
        this.#aux.row(rows.index, rows.rows - 1);
      } else if (is === "reading") this.#aux.add(view, at + readingAt, rows.index, rows.rows - 1);
      else if (is === "unknown") this.#unknown++;
      else if (is === "empty" && empty++ === 0) firstEmpty = where + at;
    }
    const said = (count: number, what: string, unread = true, place = `byte ${where}`): void => {
      if (count > 0) problems.push({ where: place, what, count, ...(unread && { unread }) });
    };
    said(empty, `${empty} records are nothing but zeros, as where nothing was written`, true, `byte ${firstEmpty}`); // prettier-ignore
    said(rows.unscaled, "the range of the current is 0, which does not say how large the stored number is; the current is NaN"); // prettier-ignore
    said(rows.untimed, "rows have no time of their own and are placed by their test time", false);
    [rows.unscaled, rows.untimed] = [0, 0];
    problems.push(...rows.problems());
    const { columns, ...chunk } = rows.end();
    const all = { ...columns, ...this.#aux.columns(chunk.rows) };
    return { ...chunk, columns: all, where: `byte ${where}`, ...(problems.length > 0 && { problems }) };
  } // prettier-ignore

  /** What is to be said at the end. */
  *#close(left: number, at: number): Generator<Chunk> {
    if (this.#version === 130 && !this.finished) {
      const what =
        "the footer that closes such a file is missing; the test still runs, or the file is cut short";
      yield problem(at, what, 0, false);
    }
    if (left > 0) yield problem(at, `the last record is cut off after ${left} of ${this.#records!.layout.bytes} bytes`, 1); // prettier-ignore
    if (this.#unknown > 0) yield problem(at, `before it stand ${this.#unknown} records of a kind that is not known`, this.#unknown); // prettier-ignore
    for (const said of this.#rows.problems(true))
      yield { columns: {}, rows: 0, where: said.where, problems: [said] };
    if (this.#aux.lost > 0) yield problem(at, `before it stand ${this.#aux.lost} readings of auxiliary channels that belong to no row near them`, this.#aux.lost); // prettier-ignore
  }

  /** The header, and the first and the last record that were taken, must be as they were. */
  async #checkUnchanged(): Promise<void> {
    const head = await this.#file.read(0, HEAD_BYTES);
    const { size } = await this.#file.state();
    let isSame = Buffer.compare(head, this.#head) === 0;
    if (this.#records && this.#taken.length > 0) {
      const { at, layout } = this.#records;
      const end = at + this.#done;
      if (size < end) throw new Rewritten(`has become shorter than what was read of it, ${size} of ${end} bytes`); // prettier-ignore
      const now = [
        await this.#file.read(at, layout.bytes),
        await this.#file.read(end - layout.bytes, layout.bytes),
      ];
      isSame &&= this.#taken.every((bytes, i) => Buffer.compare(bytes, now[i]!) === 0);
    }
    if (!isSame) throw new Rewritten("has been written anew since it was opened");
  }
}

/** Before the footer of version 130 stands this; 491 bytes behind it the mass in mg, f64. */
const FOOTER = Buffer.from("0600f01d8100030061907190027fff00", "hex");
const FOOTER_MASS = 16 + 491, FOOTER_REMARK = 16 + 363, REMARK_BYTES = 128; // prettier-ignore

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let i = from; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function problem(at: number, what: string, count = 0, unread = true): Chunk {
  const where = `byte ${at}`;
  return { columns: {}, rows: 0, where, problems: [{ where, what, ...(unread && { unread }), ...(count > 0 && { count }) }] };
} // prettier-ignore

async function metadataOf(file: FileReader, version: number): Promise<Record<string, string>> {
  const { size } = await file.state();
  const head = Buffer.from(await file.read(0, 8192));
  const all = head.toString("latin1");
  const found = (pattern: RegExp): string | undefined => pattern.exec(all)?.[0]?.trim();
  // prettier-ignore
  const about: Record<string, string | undefined> = {
    file_format_version: String(version),
    server_version: found(/BTSServer[\x20-\x7e]+/) ?? found(/BTS_XWJ[\x20-\x7e]+/),
    client_version: found(/BTS \d[\x20-\x7e]+/),
    software_version: version === 130 ? found(/9\.\d\.[\x20-\x7e]+/) : undefined,
  };
  let mass_mg = NaN;
  if (version === 29 && head.length >= MASS_AT + 4) mass_mg = head.readUInt32LE(MASS_AT) / 1000;
  if (version === 130) {
    const length = Math.min(size, 1 << 16);
    const tail = Buffer.from(await file.read(size - length, length));
    const at = tail.lastIndexOf(FOOTER);
    if (at >= 0 && at + FOOTER_MASS + 8 <= tail.length) {
      mass_mg = tail.readDoubleLE(at + FOOTER_MASS);
      const remark = tail.subarray(at + FOOTER_REMARK, at + FOOTER_REMARK + REMARK_BYTES);
      const end = remark.indexOf(0);
      about["remark"] = gb(remark.subarray(0, end < 0 ? undefined : end)).trim();
    }
  }
  if (mass_mg > 0 && mass_mg < 1e9) about["active_mass"] = `${mass_mg} mg`;
  return Object.fromEntries(Object.entries(about).filter((entry): entry is [string, string] => !!entry[1]));
}

const gb = (bytes: Uint8Array): string => new TextDecoder("gb18030").decode(bytes);
