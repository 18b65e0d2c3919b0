/**
 * A BioLogic `.mpr` as it grows. EC-Lab updates the count of records, the length of their module and the records
 * themselves at different moments, so the records that can be read are the least that any of them tells:
 *
 *     available = min(count, floor((size - first record) / record length)), up to the first record that is all zeros
 *
 * The last of them may be half written. It is held back until the `VMP LOG` module follows, it has kept its bytes while the file
 * stood still, or bit 0x40 of its flags marks the end of a segment and its last byte is there.
 */
import { setImmediate as turn } from "node:timers/promises";
import { SourceError } from "../../runtime/index.ts";
import { bdfColumns, bdfOf, nothingBefore } from "./bdf.ts";
import { Rewritten, ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type Look, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader, FileState } from "./file-reader.ts";
import {
  decodeRecords,
  fieldsOf,
  isMpr,
  readMpr,
  type Module,
  type Mpr,
  type Problem as MprProblem,
} from "./mpr.ts";

export const biologicMpr: EchemFormat = {
  name: "BioLogic .mpr",
  looks: isMpr,
  claims: (head, path) => isMpr(head) || (head.length === 0 && /\.mpr$/i.test(path)),
  async open(file) {
    const { size } = await file.state();
    return new MprReader(file, await readMpr(file.read, size));
  },
};

const COUNT_BYTES = 4;
/** A file is opened, read and closed each time, which costs as much as some thousand records. */
const BLOCK_BYTES = 4 * 2 ** 20;
const END_OF_SEGMENT = 0x40;
/** Loops whose first records the metadata name. */
const MOST_LOOPS = 1000;

class MprReader implements EchemReader {
  readonly instrument = "BioLogic";
  readonly format = "mpr";
  readonly fields;
  readonly problems: readonly Problem[];
  finished = false;
  readonly #file: FileReader;
  readonly #mpr: Mpr;
  readonly #data: Module;
  readonly #bdf;
  /** Of the byte with the flags within a record; -1 where there is none. */
  readonly #flags: number;
  #done = 0;
  readonly #before = nothingBefore();
  /** What must stay as it is: from behind the count to the end of the first record. */
  #head: Uint8Array | undefined;
  /** The record that was held back at the last look. */
  #held: { readonly record: number; readonly bytes: Uint8Array } | undefined;
  #seen: FileState | undefined;

  constructor(file: FileReader, mpr: Mpr) {
    this.#file = file;
    this.#mpr = mpr;
    this.#data = mpr.modules.find(({ name }) => name === "VMP data")!;
    const vendor = fieldsOf(mpr);
    this.#bdf = bdfOf(vendor);
    this.#flags = mpr.columns.find(({ name }) => name === "flags")?.offset ?? -1;
    const { test_time_second, ...others } = vendor;
    if (!test_time_second)
      throw new SourceError("has no column time/s, so its rows cannot be put in time; export it with the test's time");
    this.fields = { test_time_second, ...this.#bdf.fields, ...others };
    // What is not whole may only not be there yet: said once nothing more comes.
    this.problems = mpr.problems.filter(({ at, unread }) => !unread && at !== this.#data.start).map(said);
  } // prettier-ignore

  get metadata(): Readonly<Record<string, string>> {
    const { settings, log, loop } = this.#mpr;
    const loops = loop.length > 0 && { loop_records: [...loop.subarray(0, MOST_LOOPS)].join(" ") };
    return { ...settings, ...log?.metadata, ...loops };
  }

  get start(): Start | undefined {
    const { log, day } = this.#mpr;
    if (log) return { face: log.start };
    const [, month, date, year] = /^(\d\d)\D(\d\d)\D(\d\d)$/.exec(day) ?? [];
    if (!month) return undefined;
    const midnight = Date.UTC(2000 + Number(year), Number(month) - 1, Number(date));
    return { day: BigInt(midnight) * 1_000_000n, from: "the day of its settings" };
  }

  async lastTestTime_s(): Promise<number> {
    const { firstRecord, recordLength } = this.#mpr;
    const records = Math.max(this.#mpr.records, (await this.#glance()).count);
    if (records === 0) return NaN;
    const bytes = await this.#file.read(firstRecord + (records - 1) * recordLength, recordLength);
    return (decodeRecords(this.#mpr, bytes)["test_time_second"] as Float64Array | undefined)?.at(-1) ?? NaN;
  }

  async *more(look: Look): AsyncGenerator<Chunk> {
    const { firstRecord, recordLength } = this.#mpr;
    const { count, whole, ended } = await this.#glance();
    this.finished = ended;
    const wanted = look === "closing" ? Math.max(whole, this.#mpr.records) : count;
    const written = look === "closing" ? await this.#lastWritten(wanted) : wanted;
    for await (const { at, most, bytes } of this.#blocks(written)) {
      const there = Math.floor(bytes.length / recordLength);
      let rows = there;
      if (look !== "closing") {
        rows = this.#firstUnwritten(bytes, there);
        const isLast = this.#done + rows === written || rows < most;
        if (isLast && !ended) rows = this.#safe(bytes, rows, look);
      }
      const missing = written - this.#done - there;
      const cut = look === "closing" && there < most;
      const what = `the file was cut while it was read; ${missing} records are missing`;
      for (let from = 0; from < rows; from += ROWS_AT_A_TIME) {
        const to = Math.min(rows, from + ROWS_AT_A_TIME);
        // Opening, reading and closing each want a turn, or the next block would wait for the last of these rows.
        if (from > 0) await turn();
        yield this.#chunk(bytes.subarray(from * recordLength, to * recordLength), to - from, []);
      }
      const where = `byte ${at + bytes.length}`;
      if (cut) yield this.#chunk(new Uint8Array(0), 0, [{ where, what, unread: true }]);
      if (rows < most) break;
    }
    if (look !== "closing") return;
    await this.#file.read(0, 0); // as it is by now
    await this.#checkUnchanged();
    const { size } = await this.#file.state();
    const { problems } = await readMpr(this.#file.read, size);
    const unread = problems.filter(({ at, unread }) => unread || at === this.#data.start).map(said);
    if (unread.length > 0) yield this.#chunk(new Uint8Array(0), 0, unread);
    if (written < wanted) {
      const where = `byte ${firstRecord + written * recordLength}, record ${written}`;
      const what = `from here on all bytes are zero, as where nothing was written; ${wanted - written} records are missing`;
      yield this.#chunk(new Uint8Array(0), 0, [{ where, what, unread: true }]);
    }
  }

  /**
   * The records up to `end`, a block at a time; while one is decoded, the next one is read. Each is lent: two buffers take turns.
   */
  async *#blocks(end: number): AsyncGenerator<{ at: number; most: number; bytes: Uint8Array }> {
    const { firstRecord, recordLength } = this.#mpr;
    const chunks = Math.max(1, Math.floor(BLOCK_BYTES / (ROWS_AT_A_TIME * recordLength)));
    const rooms: Uint8Array[] = [];
    const block = (record: number) => {
      const at = firstRecord + record * recordLength;
      const most = Math.min(chunks * ROWS_AT_A_TIME, end - record);
      const room = rooms.length < 2 ? new Uint8Array(most * recordLength) : rooms.shift()!;
      rooms.push(room);
      return { at, most, next: record + most, bytes: this.#file.read(at, most * recordLength, room) };
    };
    // Looks at the file and takes its bytes at moments further apart, so it looks once more for the check of what it took.
    const blockAhead = (record: number) => {
      const { bytes, ...rest } = block(record);
      const checkable = bytes.then((taken) => this.#file.read(0, 0).then(() => taken));
      checkable.catch(() => undefined); // thrown where it is awaited
      return { ...rest, bytes: checkable };
    };
    let ahead = this.#done < end ? block(this.#done) : undefined;
    try {
      while (ahead) {
        const { at, most, next } = ahead;
        const bytes = await ahead.bytes;
        await this.#checkUnchanged();
        const isWhole = bytes.length === most * recordLength;
        ahead = isWhole && next < end ? blockAhead(next) : undefined;
        yield { at, most, bytes };
      }
    } finally {
      await ahead?.bytes.catch(() => undefined); // so that nothing is left open
    }
  }

  #chunk(bytes: Uint8Array, rows: number, problems: readonly Problem[]): Chunk {
    const columns = decodeRecords(this.#mpr, bytes);
    const bdf = bdfColumns(this.#bdf, columns, rows, this.#before);
    const where = `record ${this.#done}`;
    this.#done += rows;
    return { columns: { ...columns, ...bdf }, rows, where, problems };
  }

  /**
   * The first of these records that is nothing but zeros: what a share or a file system shows of what is not written yet. The very
   * first may be zero by nature: at 0 s.
   */
  #firstUnwritten(bytes: Uint8Array, records: number): number {
    for (let i = 0; i < records; i++) {
      const begins = this.#done + i === 0 && records > 1 && !this.#isZero(bytes, 1);
      if (!begins && this.#isZero(bytes, i)) return i;
    }
    return records;
  }

  /** Records without those at the end that are nothing but zeros. */
  async #lastWritten(records: number): Promise<number> {
    const { firstRecord, recordLength } = this.#mpr;
    for (let end = records; end > 1;) {
      const from = Math.max(1, end - ROWS_AT_A_TIME);
      const bytes = await this.#file.read(firstRecord + from * recordLength, (end - from) * recordLength);
      let there = Math.floor(bytes.length / recordLength);
      if (there < end - from) return records; // it has been cut: said where it is read
      while (there > 0 && this.#isZero(bytes, there - 1)) there--;
      if (there > 0) return from + there;
      end = from;
    }
    return Math.min(1, records);
  }

  #isZero(bytes: Uint8Array, record: number): boolean {
    const { recordLength } = this.#mpr;
    let at = record * recordLength;
    const end = at + recordLength;
    while (at < end && bytes[at] === 0) at++;
    return at === end;
  }

  /** Of the last records that are there, how many surely are whole. */
  #safe(bytes: Uint8Array, records: number, look: Look): number {
    if (records === 0) return 0;
    const { recordLength } = this.#mpr;
    const last = bytes.slice((records - 1) * recordLength, records * recordLength);
    const record = this.#done + records - 1;
    // Bytes come into sight one after the other, but a share may show zeros for those that have not come yet.
    const isEnd = this.#flags >= 0 && (last[this.#flags]! & END_OF_SEGMENT) !== 0;
    if (isEnd && last[last.length - 1] !== 0) return records;
    const before = this.#held;
    this.#held = { record, bytes: last };
    const kept = before?.record === record && Buffer.compare(before.bytes, last) === 0;
    return look === "settled" && kept ? records : records - 1;
  }

  /** How many records there are by now, and whether the run has ended. */
  async #glance(): Promise<{ count: number; whole: number; ended: boolean }> {
    const { firstRecord, recordLength } = this.#mpr;
    const { start, isNew } = this.#data;
    await this.#checkUnchanged();
    const { size } = await this.#file.state();
    const head = await this.#file.read(start, COUNT_BYTES);
    const lengths = await this.#file.read(start - (isNew ? 20 : 16), 4);
    if (head.length < COUNT_BYTES || lengths.length < 4) return { count: 0, whole: 0, ended: false };
    const stored = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    const end = start + new DataView(lengths.buffer, lengths.byteOffset).getUint32(0, true);
    const recordsTo = (byte: number): number => Math.max(0, Math.floor((byte - firstRecord) / recordLength));
    const count = Math.min(stored, recordsTo(size));
    // What stands behind the module's end is another module, once its length has come to be right.
    const next = String.fromCharCode(...(await this.#file.read(end, 16)));
    const lengthHolds = end >= size || next.startsWith("MODULE");
    return {
      count,
      whole: lengthHolds ? Math.min(count, recordsTo(end)) : count,
      ended: stored === recordsTo(end) && /^MODULEVMP (LOG|loop)/.test(next),
    };
  }

  /** EC-Lab writes the whole file anew when text is exported, and may add columns; rows must not be read across that. */
  async #checkUnchanged(): Promise<void> {
    const state = await this.#file.state();
    if (state.size === this.#seen?.size && state.modified === this.#seen.modified) return;
    this.#seen = state;
    const from = this.#data.start + COUNT_BYTES; // before it stands the count, which grows
    const now = await this.#file.read(from, this.#mpr.firstRecord - from + this.#mpr.recordLength);
    const before = this.#head;
    if (before) {
      // The first record may have been half there.
      const fixed = this.#done > 0 ? before.length : Math.min(before.length, this.#mpr.firstRecord - from);
      if (Buffer.compare(before.subarray(0, fixed), now.subarray(0, fixed)) !== 0)
        throw new Rewritten("another program wrote the file anew while it was read");
    }
    if (this.#done === 0) this.#head = now;
  }
}

const said = ({ at, what, unread }: MprProblem): Problem => ({
  where: `byte ${at}`,
  what,
  ...(unread && { unread }),
});
