/**
 * Random access to a ZIP archive: the directory is read once, an entry only when asked for.
 *
 * A map of 65,536 curves has 590,000 entries. Its directory stays the bytes that it is (90 of them an entry), with a
 * table of where each entry stands in it; as objects it would take three times the memory and ten times the time.
 *
 * Layout: PKWARE's APPNOTE 6.3, sections 4.3 (headers), 4.3.14 and 4.5.3 (64 bit).
 */
import { crc32, inflateRawSync } from "node:zlib";
import { SourceError } from "../runtime/index.ts";
import { fill, openToRead } from "./bytes.ts";

export interface Archive {
  readonly path: string;
  /** Names of all entries that are not folders, as the directory lists them. */
  readonly names: Iterable<string>;
  has(name: string): boolean;
  /** Bytes of an entry once it is unpacked, by the directory; undefined where there is none of that name. */
  size(name: string): number | undefined;
  /** The bytes of an entry; a SourceError names the entry and what is wrong with it. */
  read(name: string): Promise<Buffer>;
  close(): Promise<void>;
}

/** Where an archive's bytes come from, if not from a file that stays open. */
export interface ArchiveBytes {
  size(): Promise<number>;
  /** Fewer bytes than asked for only at the end. */
  read(at: number, length: number): Promise<Uint8Array>;
  close?(): Promise<void>;
}

const STORED = 0, DEFLATED = 8, ENCRYPTED = 1; // prettier-ignore
const LOCAL_HEADER = 0x04034b50, DIRECTORY_ENTRY = 0x02014b50, DIRECTORY_END = 0x06054b50; // prettier-ignore
const WIDE_LOCATOR = 0x07064b50, WIDE_END = 0x06064b50, WIDE_FIELD = 1; // prettier-ignore
const LOCAL_HEADER_BYTES = 30, ENTRY_BYTES = 46, END_BYTES = 22, WIDE_LOCATOR_BYTES = 20, WIDE_END_BYTES = 56; // prettier-ignore
const MAX_COMMENT_BYTES = 0xffff;
const SLASH = 0x2f;
/** No instrument writes a larger entry: more is damage, not data. */
const MAX_ENTRY_BYTES = 1 << 29;
const MAX_DIRECTORY_BYTES = 1 << 28;

/** `kind` is what such a file is called, for messages: "JPK file". */
export async function openArchive(path: string, kind: string, from?: ArchiveBytes): Promise<Archive> {
  const file = from ?? (await bytesOf(path));
  try {
    const size = await file.size();
    const blocks = new Blocks(file, size);
    const directory = await readDirectory(path, kind, blocks, size);
    return {
      path,
      names: { [Symbol.iterator]: () => directory.names() },
      has: (name) => directory.find(name) !== undefined,
      size: (name) => directory.find(name)?.size,
      read: async (name) => {
        const place = directory.find(name);
        if (!place) throw new SourceError(`${path}: has no entry ${name}`);
        return readEntry(path, blocks, name, place);
      },
      close: async () => file.close?.(),
    };
  } catch (error) {
    await file.close?.();
    throw error;
  }
}

async function bytesOf(path: string): Promise<ArchiveBytes> {
  const file = await openToRead(path);
  return {
    size: async () => (await file.stat()).size,
    async read(at, length) {
      const bytes = Buffer.allocUnsafe(length);
      return bytes.subarray(0, await fill(file, bytes, at));
    },
    close: () => file.close(),
  };
}

// --- the directory ---

interface Place {
  readonly at: number;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly crc: number;
}

async function readDirectory(path: string, kind: string, blocks: Blocks, size: number): Promise<Directory> {
  if (size === 0) throw new SourceError(`${path}: is empty (0 bytes); copy it again`);
  const head = await blocks.read(0, Math.min(4, size));
  if (head.toString("latin1", 0, 2) !== "PK") {
    throw new SourceError(
      `${path}: is no ${kind}, which is a ZIP archive and begins with "PK"; at byte 0 it has ${head.toString("hex").replaceAll(/(..)(?=.)/g, "$1 ")}`,
    );
  }
  const damaged = (why: string): SourceError =>
    new SourceError(`${path}: its directory of entries is damaged (${why}); copy the file again`);

  const tailAt = Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = await blocks.read(tailAt, size - tailAt);
  let end = tail.length - END_BYTES;
  while (end >= 0 && tail.readUInt32LE(end) !== DIRECTORY_END) end--;
  if (end < 0) {
    throw new SourceError(
      `${path}: is cut short or no ZIP archive: the directory that ends one is missing from its ${size} bytes; copy the file again`,
    );
  }
  let entries = tail.readUInt16LE(end + 10);
  let bytes = tail.readUInt32LE(end + 12);
  let at = tail.readUInt32LE(end + 16);
  if (entries === 0xffff || bytes === 0xffffffff || at === 0xffffffff) {
    const locator = tail.subarray(Math.max(0, end - WIDE_LOCATOR_BYTES), end);
    if (locator.length === WIDE_LOCATOR_BYTES && locator.readUInt32LE(0) === WIDE_LOCATOR) {
      const wideAt = Number(locator.readBigUInt64LE(8));
      const wide = wideAt + WIDE_END_BYTES <= size ? Buffer.from(await blocks.read(wideAt, WIDE_END_BYTES)) : Buffer.alloc(4); // prettier-ignore
      if (wide.readUInt32LE(0) !== WIDE_END) throw damaged(`its 64 bit end would lie at byte ${wideAt}`);
      entries = Number(wide.readBigUInt64LE(32));
      bytes = Number(wide.readBigUInt64LE(40));
      at = Number(wide.readBigUInt64LE(48));
    }
  }
  if (at + bytes > size) throw damaged(`${bytes} bytes from byte ${at}, and the file has ${size}`);
  if (bytes > MAX_DIRECTORY_BYTES) throw damaged(`it would have ${bytes} bytes`);
  return new Directory(await blocks.read(at, bytes), entries, path, damaged);
}

/** The directory as it is stored, found by a table of hashes with open addressing. */
class Directory {
  readonly #bytes: Buffer;
  /** Where an entry begins, plus 1; 0 is a free place. */
  readonly #table: Uint32Array;

  constructor(bytes: Buffer, entries: number, path: string, damaged: (why: string) => SourceError) {
    this.#bytes = bytes;
    let count = 0;
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at = this.#next(at)) {
      if (bytes.readUInt32LE(at) !== DIRECTORY_ENTRY) throw damaged(`no entry at its byte ${at}`);
      if (this.#next(at) > bytes.length) throw damaged(`entry ${count + 1} is cut short`);
      count++;
    }
    // Older programs let the number of entries run over its 16 bits.
    if (count !== entries && count % 0x10000 !== entries)
      throw damaged(`it holds ${count} entries and says ${entries}`);
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * count + 2)));
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at = this.#next(at)) {
      const length = bytes.readUInt16LE(at + 28);
      if (bytes[at + ENTRY_BYTES + length - 1] === SLASH) continue; // a folder
      if (bytes.readUInt16LE(at + 8) & ENCRYPTED)
        throw new SourceError(`${path}: entry ${this.#name(at)} is encrypted; save it without a password`);
      this.#table[this.#slotOf(bytes, at + ENTRY_BYTES, length)] = at + 1;
    }
  }

  *names(): Generator<string> {
    const bytes = this.#bytes;
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at = this.#next(at)) {
      if (bytes[at + ENTRY_BYTES + bytes.readUInt16LE(at + 28) - 1] !== SLASH) yield this.#name(at);
    }
  }

  find(name: string): Place | undefined {
    const wanted = Buffer.from(name);
    const at = this.#table[this.#slotOf(wanted, 0, wanted.length)]! - 1;
    if (at < 0) return undefined;
    const bytes = this.#bytes;
    const place = {
      at: bytes.readUInt32LE(at + 42),
      method: bytes.readUInt16LE(at + 10),
      packed: bytes.readUInt32LE(at + 20),
      size: bytes.readUInt32LE(at + 24),
      crc: bytes.readUInt32LE(at + 16),
    };
    // What does not fit into 32 bit stands behind the name, in this order.
    let wide = this.#wideField(at);
    for (const key of ["size", "packed", "at"] as const) {
      if (place[key] !== 0xffffffff || wide.length < 8) continue;
      place[key] = Number(wide.readBigUInt64LE(0));
      wide = wide.subarray(8);
    }
    return place;
  }

  #wideField(entry: number): Buffer {
    const bytes = this.#bytes;
    const from = entry + ENTRY_BYTES + bytes.readUInt16LE(entry + 28);
    const end = from + bytes.readUInt16LE(entry + 30);
    for (let at = from; at + 4 <= end; at += 4 + bytes.readUInt16LE(at + 2)) {
      if (bytes.readUInt16LE(at) === WIDE_FIELD)
        return bytes.subarray(at + 4, Math.min(end, at + 4 + bytes.readUInt16LE(at + 2)));
    }
    return Buffer.alloc(0);
  }

  #next(at: number): number {
    const bytes = this.#bytes;
    return (
      at +
      ENTRY_BYTES +
      bytes.readUInt16LE(at + 28) +
      bytes.readUInt16LE(at + 30) +
      bytes.readUInt16LE(at + 32)
    );
  }

  #name(at: number): string {
    const from = at + ENTRY_BYTES;
    return this.#bytes.toString("utf8", from, from + this.#bytes.readUInt16LE(at + 28));
  }

  /** Where a name stands in the table, or the free place where it would. */
  #slotOf(name: Buffer, from: number, length: number): number {
    let hash = 0x811c9dc5; // FNV-1a
    for (let i = from; i < from + length; i++) hash = Math.imul(hash ^ name[i]!, 0x01000193);
    const last = this.#table.length - 1;
    let slot = (hash ^ (hash >>> 15)) & last;
    for (; this.#table[slot] !== 0; slot = (slot + 1) & last) {
      const at = this.#table[slot]! - 1;
      if (
        this.#bytes.readUInt16LE(at + 28) === length &&
        this.#bytes.compare(name, from, from + length, at + ENTRY_BYTES, at + ENTRY_BYTES + length) === 0
      )
        break;
    }
    return slot;
  }
}

// --- entries ---

async function readEntry(path: string, blocks: Blocks, name: string, place: Place): Promise<Buffer> {
  const wrong = (what: string, cause?: unknown): SourceError =>
    new SourceError(`${path}: entry ${name} at byte ${place.at} ${what}`, { cause });
  if (Math.max(place.size, place.packed) > MAX_ENTRY_BYTES)
    throw wrong(`says that it holds ${Math.max(place.size, place.packed)} bytes, which is more than any has`);
  // One read takes the local header with the data behind it; only an unusually long header needs a second.
  let bytes = await blocks.read(place.at, LOCAL_HEADER_BYTES + name.length * 3 + 256 + place.packed);
  if (bytes.length < LOCAL_HEADER_BYTES || bytes.readUInt32LE(0) !== LOCAL_HEADER)
    throw wrong("does not begin where the directory says");
  const start = LOCAL_HEADER_BYTES + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
  if (start + place.packed > bytes.length) bytes = await blocks.read(place.at, start + place.packed);
  if (start + place.packed > bytes.length)
    throw wrong(`ends after ${Math.max(0, bytes.length - start)} of ${place.packed} bytes`);
  const packed = bytes.subarray(start, start + place.packed);
  if (place.method !== STORED && place.method !== DEFLATED)
    throw wrong(`is compressed by method ${place.method}; only 0 (stored) and 8 (deflate) are known`);
  let data = packed;
  if (place.method === DEFLATED) {
    try {
      data = inflateRawSync(packed, { maxOutputLength: Math.max(1, place.size) });
    } catch (error) {
      throw wrong(`cannot be unpacked (${(error as Error).message})`, error);
    }
  }
  if (data.length !== place.size) throw wrong(`holds ${data.length} bytes, the directory says ${place.size}`);
  if (crc32(data) !== place.crc) throw wrong("does not have the checksum that the directory says");
  return data;
}

/**
 * Reads through one block of 256 KiB: a map has hundreds of thousands of small entries, one behind the other.
 */
class Blocks {
  static readonly #size = 1 << 18;
  readonly #file: ArchiveBytes;
  readonly #fileSize: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(file: ArchiveBytes, fileSize: number) {
    this.#file = file;
    this.#fileSize = fileSize;
  }

  /** Fewer bytes than asked for only at the end of the file; lent until the next call. */
  async read(position: number, length: number): Promise<Buffer> {
    const at = position - this.#start;
    const there = Math.max(0, Math.min(length, this.#fileSize - position));
    if (at >= 0 && at + there <= this.#bytes.length) return this.#bytes.subarray(at, at + there);
    const wanted = Math.max(0, Math.min(this.#fileSize - position, Math.max(length, Blocks.#size)));
    const bytes = wanted > 0 ? await this.#file.read(position, wanted) : new Uint8Array(0);
    this.#start = position;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.#bytes.subarray(0, length);
  }
}
