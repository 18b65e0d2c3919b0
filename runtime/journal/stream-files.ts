/**
 * The segments of one stream (or of one level of it) on the disk: which there are, what their indexes list, and the
 * bytes of their messages. The same for a run that is over and for one that is being recorded.
 */
import {
  closeSync, existsSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, read, readdirSync, readFileSync, readSync, renameSync,
  unlinkSync, writeFileSync, writeSync,
} from "node:fs"; // prettier-ignore
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { BEGIN_OF_TIME, END_OF_TIME } from "../batch.ts";
import type { Field, Schema } from "../wire/schema.ts";
import { Entries, ENTRY_BYTES, entryBytes } from "./index-file.ts";
import { layoutOf, type Layout } from "./layout.ts";
import { END_MARKER, messageAt, segmentHead, type ReadBytes, type SegmentHead } from "./message.ts";
import { examine, isEnd, verifySegment, type Problem } from "./recovery.ts";
import { originalSchema } from "./reference.ts";
import { grouped, inWords, RunError } from "./run-error.ts";
import { DATA, INDEX } from "./segment.ts";

export interface Segment {
  /** For sentences: streams/xrm.frames/000003.arrows */
  readonly name: string;
  readonly path: string;
  readonly head: SegmentHead;
  /** Schema that readers see; one object for all segments of an epoch. */
  readonly schema: Schema;
  readonly layout: Layout;
  readonly references: Readonly<Record<string, Field>> | undefined;
  /** The schema first; without the end marker. */
  entries: Entries;
  /** Bytes that the entries cover. */
  bytes: number;
  closed: boolean;
  /** Row after its last. */
  endRow: number;
}

const spans = new WeakMap<Entries, { first: bigint; last: bigint }>();

/** Earliest and latest time in a segment, of its heartbeats too; kept, since a search by time looks at every segment. */
export function spanOf({ entries }: Segment): { first: bigint; last: bigint } {
  let span = spans.get(entries);
  if (!span) {
    let first = END_OF_TIME;
    let last = BEGIN_OF_TIME;
    for (let i = 1; i < entries.count; i++) {
      if (entries.first(i) < first) first = entries.first(i);
      if (entries.last(i) > last) last = entries.last(i);
    }
    spans.set(entries, (span = { first, last }));
  }
  return span;
}

/** Reads a file by position; a short answer at its end. */
export function readerOf(file: number): ReadBytes {
  return (offset, length) => {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const n = readSync(file, bytes, done, length - done, offset + done);
      if (n === 0) break;
      done += n;
    }
    return bytes.subarray(0, done);
  };
}

export class StreamFiles {
  readonly #directory: string;
  readonly #name: string;
  readonly #segments: Segment[] = [];
  readonly #schemas = new Map<number, Schema>();
  /** Number of the first segment file not looked at yet. */
  #next = 0;

  private constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** A stream that this process records: all that stands in its indexes is whole. */
  static live(directory: string, name: string): StreamFiles {
    const files = new StreamFiles(directory, name);
    files.refresh();
    return files;
  }

  /** A stream as a crash may have left it; `said` takes what had to be dropped. */
  static recovered(
    directory: string,
    name: string,
    { repair, said }: { repair: boolean; said: string[] },
  ): StreamFiles {
    const files = new StreamFiles(directory, name);
    let before: Segment | undefined;
    let expected = 0;
    for (const number of numbersIn(directory)) {
      const path = join(directory, number);
      const label = `${name}/${number}${DATA}`;
      const segment = recover(path, label, { repair, said }, (head) => files.#schemaOf(head));
      const gone = Number(number) - expected;
      expected = Number(number) + 1;
      if (!segment) continue;
      const { epoch, row } = segment.head;
      const next = before?.head.epoch === epoch ? before.endRow : 0;
      if (row !== next)
        said.push(
          `${label}: rows ${grouped(next)} to ${grouped(row - 1)} before it are missing; the segment that held them is gone`,
        );
      else if (gone > 0) said.push(`${label}: the segment before it is gone`);
      files.#segments.push((before = segment));
    }
    return files;
  }

  /** What in these files is not as it was written; the last segment of a run that is being recorded is left out. */
  static check(
    directory: string,
    name: string,
    { live }: { live: boolean },
  ): { segment: string; problem: Problem }[] {
    const found: { segment: string; problem: Problem }[] = [];
    const numbers = numbersIn(directory);
    for (const number of live ? numbers.slice(0, -1) : numbers) {
      const segment = `${name}/${number}${DATA}`;
      const path = join(directory, number);
      try {
        const index = existsSync(path + INDEX) ? readFileSync(path + INDEX) : new Uint8Array(0);
        const file = openSync(path + DATA, "r");
        try {
          const data = { read: readerOf(file), size: fstatSync(file).size };
          for (const problem of verifySegment(data, index)) found.push({ segment, problem });
        } finally {
          closeSync(file);
        }
      } catch (error) {
        found.push({
          segment,
          problem: { message: 0, offset: 0, what: `cannot be read: ${inWords(error)}` },
        });
      }
    }
    return found;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Takes in what has been written since. */
  refresh(): void {
    for (;;) {
      const last = this.#segments.at(-1);
      if (last && !last.closed) this.#extend(last);
      if (last && !last.closed) return;
      const number = String(this.#next).padStart(6, "0");
      const path = join(this.#directory, number);
      if (!existsSync(path + INDEX)) return;
      const index = readFileSync(path + INDEX);
      if (index.length < ENTRY_BYTES) return;
      this.#segments.push(
        this.#begin(path, `${this.#name}/${number}${DATA}`, new Entries(index.subarray(0, ENTRY_BYTES))),
      );
      this.#next++;
    }
  }

  #begin(path: string, name: string, schemaEntry: Entries): Segment {
    const file = openSync(path + DATA, "r");
    try {
      const head = readHead(readerOf(file), schemaEntry, name);
      return {
        name,
        path,
        head,
        ...this.#schemaOf(head),
        entries: schemaEntry,
        bytes: schemaEntry.length(0),
        closed: false,
        endRow: head.row,
      };
    } finally {
      closeSync(file);
    }
  }

  #extend(segment: Segment): void {
    const file = openSync(segment.path + INDEX, "r");
    try {
      const from = segment.entries.count * ENTRY_BYTES;
      const size = fstatSync(file).size;
      let more = new Entries(readerOf(file)(from, Math.max(0, size - from - (size % ENTRY_BYTES))));
      if (more.count === 0) return;
      const last = more.count - 1;
      segment.endRow = more.row(last) + more.rows(last);
      if (isEnd(more.at(last))) {
        segment.closed = true;
        more = new Entries(more.bytes.subarray(0, last * ENTRY_BYTES));
      }
      segment.entries = new Entries(Buffer.concat([segment.entries.bytes, more.bytes]));
      const end = segment.entries.count - 1;
      segment.bytes = segment.entries.offset(end) + segment.entries.length(end);
    } finally {
      closeSync(file);
    }
  }

  #schemaOf(head: SegmentHead): Pick<Segment, "schema" | "layout" | "references"> {
    let schema = this.#schemas.get(head.epoch);
    if (!schema) {
      schema = head.references ? originalSchema(head.schema, head.references) : head.schema;
      this.#schemas.set(head.epoch, schema);
    }
    return { schema, layout: layoutOf(head.schema), references: head.references };
  }
}

/** Names of the segments in a folder, without their endings. */
function numbersIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const numbers = new Set(
    readdirSync(directory).flatMap((file) => /^(\d{6,})\.(?:arrows|idx)$/.exec(file)?.[1] ?? []),
  );
  return [...numbers].sort((a, b) => Number(a) - Number(b));
}

function readHead(read: ReadBytes, entries: Entries, name: string): SegmentHead {
  const bytes = read(0, entries.length(0));
  if (crc32(bytes) !== entries.crc(0)) {
    throw new RunError(
      `${name}: the schema has changed since it was written: its checksum differs; restore the file from a copy`,
    );
  }
  const found = messageAt((offset, length) => bytes.subarray(offset, offset + length), 0, bytes.length);
  if (found.what !== "schema")
    throw new RunError(`${name} does not begin with a schema; restore the file from a copy`);
  try {
    return segmentHead(found.message);
  } catch (error) {
    throw new RunError(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

function recover(
  path: string,
  name: string,
  { repair, said }: { repair: boolean; said: string[] },
  schemaOf: (head: SegmentHead) => Pick<Segment, "schema" | "layout" | "references">,
): Segment | undefined {
  if (!existsSync(path + DATA)) {
    said.push(`${name} is gone; only its index is left`);
    return undefined;
  }
  const index = existsSync(path + INDEX) ? readFileSync(path + INDEX) : new Uint8Array(0);
  const file = openSync(path + DATA, repair ? "r+" : "r");
  try {
    const examined = examine({ read: readerOf(file), size: fstatSync(file).size }, index, name);
    said.push(...examined.sentences);
    const { head, entries } = examined;
    if (!head) {
      if (repair)
        for (const ending of [DATA, INDEX]) if (existsSync(path + ending)) unlinkSync(path + ending);
      return undefined;
    }
    const last = entries.at(entries.count - 1);
    const endRow = last.row + last.rows;
    if (repair && examined.differs) {
      ftruncateSync(file, examined.size);
      writeSync(file, END_MARKER, 0, END_MARKER.length, examined.size);
      fdatasyncSync(file);
      const end = entryBytes({
        offset: examined.size,
        row: endRow,
        rows: 0,
        first: 0n,
        last: 0n,
        length: END_MARKER.length,
        crc: crc32(END_MARKER),
      });
      writeFileSync(`${path}${INDEX}.new`, Buffer.concat([entries.bytes, end]), { flush: true });
      renameSync(`${path}${INDEX}.new`, path + INDEX);
    }
    return {
      name,
      path,
      head,
      ...schemaOf(head),
      entries,
      bytes: examined.size,
      closed: repair || examined.closed,
      endRow,
    };
  } finally {
    closeSync(file);
  }
}

/** The bytes of neighbouring messages, as they lie in the file, without holding up this thread. */
export async function readMessages(
  file: number,
  segment: Segment,
  from: number,
  to: number,
): Promise<Uint8Array[]> {
  const { entries, name } = segment;
  const offset = entries.offset(from);
  const length = entries.offset(to - 1) + entries.length(to - 1) - offset;
  const bytes = await readAt(file, offset, length);
  const messages: Uint8Array[] = [];
  for (let i = from; i < to; i++) {
    const at = entries.offset(i) - offset;
    const message = bytes.subarray(at, at + entries.length(i));
    if (message.length < entries.length(i) || crc32(message) !== entries.crc(i)) {
      const first = entries.row(i);
      const last = first + entries.rows(i) - 1;
      throw new RunError(
        `${name}: message ${i} (rows ${grouped(first)} to ${grouped(last)}, at byte ${grouped(entries.offset(i))}) has changed since it was ` +
          "written: its checksum differs; the rows before and after it can be read",
      );
    }
    messages.push(message);
  }
  return messages;
}

async function readAt(file: number, offset: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const n = await new Promise<number>((resolve, reject) =>
      read(file, bytes, done, length - done, offset + done, (error, n) =>
        error ? reject(error) : resolve(n),
      ),
    );
    if (n === 0) break;
    done += n;
  }
  return bytes.subarray(0, done);
}
