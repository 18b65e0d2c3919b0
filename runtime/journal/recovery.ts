/**
 * What a segment holds after a crash: the index says what was written, the data say what is there.
 *
 * Kept: every message whose bytes are whole. Dropped: a torn last message, a tail of zeros, messages at the end whose
 * checksum is wrong. Index entries that are missing or damaged are made again from the message headers.
 */
import { crc32 } from "node:zlib";
import { BEGIN_OF_TIME } from "../batch.ts";
import { Entries, ENTRY_BYTES, type Entry } from "./index-file.ts";
import { layoutOf } from "./layout.ts";
import {
  batchHead,
  bodyRegions,
  END_MARKER,
  messageAt,
  segmentHead,
  type Found,
  type ReadBytes,
  type SegmentHead,
} from "./message.ts";
import { grouped } from "./run-error.ts";

export interface Source {
  readonly read: ReadBytes;
  readonly size: number;
}

export interface Examined {
  /** What can be read, the schema first, without the end marker. */
  readonly entries: Entries;
  /** Undefined where not even the schema can be read. */
  readonly head: SegmentHead | undefined;
  /** Bytes of the data up to the end of the last whole message. */
  readonly size: number;
  /** Its end marker is there: nothing was lost after it. */
  readonly closed: boolean;
  /** True where data or index on the disk hold anything else. */
  readonly differs: boolean;
  readonly sentences: readonly string[];
}

/** `name` is what sentences call it: streams/xrm.frames/000003.arrows */
export function examine(data: Source, index: Uint8Array, name: string): Examined {
  const sentences: string[] = [];
  const listed = new Entries(index);
  const kept: Entry[] = [];
  let at = 0;
  let row = 0;
  let head: SegmentHead | undefined;
  let closed = false;
  let rebuilt = 0;
  let cut: { of: number | undefined } | undefined;

  const rebuild = (): boolean => {
    const found = messageAt(data.read, at, data.size);
    const entry = entryOf(found, data, at, row, head);
    if (!entry) return false;
    if (found.what === "end") closed = true;
    else rebuilt++;
    keep(entry, found);
    return true;
  };
  const keep = (entry: Entry, found?: Found): void => {
    if (kept.length === 0) head = headOf(found ?? messageAt(data.read, 0, data.size));
    at += entry.length;
    row = entry.row + entry.rows;
    if (!closed) kept.push(entry);
  };

  for (let i = 0; i < listed.count && !closed; i++) {
    const entry = listed.at(i);
    if (!listed.sound(i) || entry.offset !== at) {
      if (!rebuild()) break;
    } else if (at + entry.length > data.size) {
      cut = { of: entry.length };
      break;
    } else {
      closed = isEnd(entry);
      keep(entry);
    }
    if (i === 0 && !head) break;
  }
  while (!closed && (kept.length === 0 || head) && !cut && at < data.size && rebuild()) {
    // goes on behind the index
  }
  if (!head)
    return {
      entries: new Entries(new Uint8Array(0)),
      head,
      size: 0,
      closed: false,
      differs: true,
      sentences: [`${name} was begun and holds nothing yet; ignored it`],
    };

  // A power failure may leave pages of a file that was still open unwritten; one that was closed had been flushed.
  let damaged = 0;
  if (!closed) {
    const wrong = kept.map(({ offset, length, crc }) => crc32(data.read(offset, length)) !== crc);
    while (kept.length > 1 && wrong[kept.length - 1]) {
      const dropped = kept.pop()!;
      at = dropped.offset;
      row = dropped.row;
      damaged++;
    }
    for (const [i, entry] of kept.entries())
      if (wrong[i])
        sentences.push(`${name}: ${what(i, entry)} does not match its checksum and cannot be read`);
  }
  const remain = `${counted(row - head.row, "row")} remain${row - head.row === 1 ? "s" : ""}`;
  if (rebuilt > 0) {
    sentences.push(
      `${name}: ${counted(rebuilt, "message")} had no sound entry in the index; made it again from the data, whose checksum was not known`,
    );
  }
  if (damaged === 1)
    sentences.push(`${name}: the last message did not match its checksum; dropped it; ${remain}`);
  if (damaged > 1)
    sentences.push(
      `${name}: the last ${grouped(damaged)} messages did not match their checksums; dropped them; ${remain}`,
    );
  const rest = data.size - at;
  if (rest > 0 && damaged === 0) {
    const bytes = data.read(at, Math.min(rest, 65536));
    const found = messageAt(data.read, at, data.size);
    const of = cut?.of ?? (found.what === "torn" ? found.length : undefined);
    if (bytes.every((byte) => byte === 0))
      sentences.push(
        `${name}: the file ended in ${grouped(rest)} bytes of zeros, as after a power failure; dropped them; ${remain}`,
      );
    else if (of !== undefined || found.what === "torn") {
      sentences.push(
        `${name}: the last message was cut off after ${grouped(rest)}${of === undefined ? "" : ` of ${grouped(of)}`} bytes; dropped it; ${remain}`,
      );
    } else sentences.push(`${name}: the last ${grouped(rest)} bytes are no message; dropped them; ${remain}`);
  } else if (cut && rest === 0) {
    sentences.push(
      `${name}: the index lists ${counted(listed.count - kept.length, "message")} that the data do not hold any more; ${remain}`,
    );
  }
  const differs =
    sentences.length > 0 || !closed || index.length % ENTRY_BYTES !== 0 || listed.count !== kept.length + 1;
  return { entries: Entries.of(kept), head, size: at, closed, differs, sentences };
}

export const isEnd = ({ length, rows }: Pick<Entry, "length" | "rows">): boolean =>
  length === END_MARKER.length && rows === 0;
const counted = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;

/** "message 12 (rows 100 to 199)" */
export function what(i: number, { row, rows, length }: Pick<Entry, "row" | "rows" | "length">): string {
  if (i === 0) return "the schema";
  if (isEnd({ length, rows })) return "the end marker";
  return `message ${i} (${rows === 0 ? "without rows" : rows === 1 ? `row ${row}` : `rows ${row} to ${row + rows - 1}`})`;
}

function headOf(found: Found): SegmentHead | undefined {
  if (found.what !== "schema") return undefined;
  try {
    return segmentHead(found.message);
  } catch {
    return undefined;
  }
}

/** The index entry of a message whose own is lost. Its checksum is that of what is there. */
function entryOf(
  found: Found,
  data: Source,
  offset: number,
  row: number,
  head: SegmentHead | undefined,
): Entry | undefined {
  if (found.what === "end")
    return { offset, row, rows: 0, first: 0n, last: 0n, length: END_MARKER.length, crc: crc32(END_MARKER) };
  if (found.what !== "schema" && found.what !== "batch") return undefined;
  const { length, message } = found;
  const crc = crc32(data.read(offset, length));
  if (found.what === "schema")
    return { offset, row: headOf(found)?.row ?? 0, rows: 0, first: 0n, last: 0n, length, crc };
  if (!head) return undefined;
  const { rows, row: own, watermark = BEGIN_OF_TIME } = batchHead(message);
  let first = watermark;
  let last = watermark;
  if (rows > 0) {
    const body = offset + found.headerLength + bodyRegions(message, layoutOf(head.schema))[0]!.offset;
    first = timeAt(data.read, body);
    last = timeAt(data.read, body + 8 * (rows - 1));
  }
  return { offset, row: own, rows, first, last, length, crc };
}

function timeAt(read: ReadBytes, offset: number): bigint {
  const bytes = read(offset, 8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
}

export interface Problem {
  /** 0 is the schema. */
  readonly message: number;
  /** Byte in the segment where that message begins. */
  readonly offset: number;
  readonly what: string;
}

/** Everything in a segment or its index that is not as it was written. */
export function verifySegment(data: Source, index: Uint8Array): Problem[] {
  const problems: Problem[] = [];
  const listed = new Entries(index);
  const say = (message: number, offset: number, what: string): void =>
    void problems.push({ message, offset, what });
  if (listed.count === 0) say(0, 0, `the index holds ${grouped(index.length)} bytes, less than one entry`);
  let at = 0;
  let closed = false;
  for (let i = 0; i < listed.count; i++) {
    const entry = listed.at(i);
    if (!listed.sound(i)) {
      say(i, at, "its entry in the index has changed since it was written");
      // Goes on with the next entry that is sound; the data say where, if there is none.
      const next = i + 1;
      if (next < listed.count && listed.sound(next)) at = listed.offset(next);
      else {
        const found = messageAt(data.read, at, data.size);
        if (found.what === "end") at += END_MARKER.length;
        else if (found.what === "schema" || found.what === "batch") at += found.length;
      }
      closed = next === listed.count && at === data.size;
      continue;
    }
    closed = isEnd(entry);
    if (entry.offset !== at) say(i, at, `the index has it at byte ${grouped(entry.offset)}`);
    at = entry.offset;
    if (at + entry.length > data.size) {
      say(
        i,
        at,
        `${what(i, entry)} ends after ${grouped(Math.max(0, data.size - at))} of ${grouped(entry.length)} bytes`,
      );
      return problems;
    }
    if (crc32(data.read(at, entry.length)) !== entry.crc)
      say(i, at, `${what(i, entry)} has changed since it was written: its checksum differs`);
    at += entry.length;
  }
  if (index.length % ENTRY_BYTES !== 0) say(listed.count, at, "its entry in the index was cut off");
  if (at < data.size && problems.length === 0) {
    say(listed.count, at, `${grouped(data.size - at)} bytes follow that the index does not list`);
  } else if (!closed && problems.length === 0)
    say(listed.count, at, "the segment was not closed: it has no end marker");
  return problems;
}
