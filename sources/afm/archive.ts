/**
 * Random access to a ZIP archive: the directory is read once, an entry only when asked for.
 * yauzl reads the directory; entries are read here, whole and checked, since they are small and many.
 */
import { open, type FileHandle } from "node:fs/promises";
import { crc32, inflateRawSync } from "node:zlib";
import { fromRandomAccessReaderPromise, RandomAccessReader } from "yauzl";
import { SourceError } from "../../runtime/index.ts";

export interface Archive {
  readonly path: string;
  /** Names of all entries that are not folders, as the directory lists them. */
  readonly names: Iterable<string>;
  has(name: string): boolean;
  /** The bytes of an entry; a SourceError names the entry and what is wrong with it. */
  read(name: string): Promise<Buffer>;
  close(): Promise<void>;
}

interface Place {
  readonly at: number;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly crc: number;
}

const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
const LOCAL_HEADER_BYTES = 30;
/** An entry of a force file is a header or one channel of one segment: more is damage, not data. */
const MAX_ENTRY_BYTES = 1 << 30;

export async function openArchive(path: string): Promise<Archive> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    const { code = error.message } = error;
    const why = code === "ENOENT" ? "no such file" : /EBUSY|EACCES|EPERM/.test(code) ? `locked by another program, or not ours to read (${code})` : `cannot be opened (${code})`; // prettier-ignore
    throw new SourceError(`${path}: ${why}`, { cause: error });
  });
  try {
    const { size } = await file.stat();
    const blocks = new Blocks(file, size);
    const places = await readDirectory(path, blocks, size);
    return {
      path,
      names: { [Symbol.iterator]: () => places.keys() },
      has: (name) => places.has(name),
      read: async (name) => {
        const place = places.get(name);
        if (!place) throw new SourceError(`${path}: has no entry ${name}`);
        return readEntry(path, blocks, name, place);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readDirectory(path: string, blocks: Blocks, size: number): Promise<Map<string, Place>> {
  if (size === 0) throw new SourceError(`${path}: is empty (0 bytes); copy it again`);
  const places = new Map<string, Place>();
  try {
    const zip = await fromRandomAccessReaderPromise(new BlockReader(blocks), size, { autoClose: false });
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith("/")) continue;
      if (entry.generalPurposeBitFlag & ENCRYPTED)
        throw new SourceError(`${path}: entry ${entry.fileName} is encrypted; save it without a password`);
      places.set(entry.fileName, {
        at: entry.relativeOffsetOfLocalHeader, method: entry.compressionMethod,
        packed: entry.compressedSize, size: entry.uncompressedSize, crc: entry.crc32,
      }); // prettier-ignore
    }
  } catch (error) {
    if (error instanceof SourceError) throw error;
    const { message } = error as Error;
    const head = await blocks.read(0, Math.min(4, size));
    if (head.toString("latin1", 0, 2) !== "PK") {
      throw new SourceError(
        `${path}: is no JPK file, which is a ZIP archive and begins with "PK"; at byte 0 it has ${head.toString("hex").replaceAll(/(..)(?=.)/g, "$1 ")}`,
      );
    }
    if (/end of central directory/i.test(message)) {
      throw new SourceError(
        `${path}: is cut short or no ZIP archive: the directory that ends one is missing from its ${size} bytes; copy the file again`,
        { cause: error },
      );
    }
    throw new SourceError(`${path}: its directory of entries is damaged (${message}); copy the file again`, {
      cause: error,
    });
  }
  return places;
}

async function readEntry(path: string, blocks: Blocks, name: string, place: Place): Promise<Buffer> {
  const wrong = (what: string, cause?: unknown): SourceError =>
    new SourceError(`${path}: entry ${name} at byte ${place.at} ${what}`, { cause });
  if (place.size > MAX_ENTRY_BYTES)
    throw wrong(`says that it holds ${place.size} bytes, which no force curve has`);
  // One read takes the local header with the data behind it; only an unusually long header needs a second.
  let bytes = await blocks.read(place.at, LOCAL_HEADER_BYTES + name.length * 3 + 256 + place.packed);
  if (bytes.length < LOCAL_HEADER_BYTES || bytes.readUInt32LE(0) !== 0x04034b50)
    throw wrong("does not begin where the directory says");
  const start = LOCAL_HEADER_BYTES + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
  if (start + place.packed > bytes.length) bytes = await blocks.read(place.at, start + place.packed);
  if (start + place.packed > bytes.length)
    throw wrong(`ends after ${bytes.length - start} of ${place.packed} bytes`);
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
  readonly #file: FileHandle;
  readonly #fileSize: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle, fileSize: number) {
    this.#file = file;
    this.#fileSize = fileSize;
  }

  /** These bytes where the block has them. */
  held(position: number, length: number): Buffer | undefined {
    const at = position - this.#start;
    const end = Math.min(length, this.#fileSize - position);
    return at >= 0 && at + end <= this.#bytes.length ? this.#bytes.subarray(at, at + end) : undefined;
  }

  /** Fewer bytes than asked for only at the end of the file. */
  async read(position: number, length: number): Promise<Buffer> {
    const held = this.held(position, length);
    if (held) return held;
    const buffer = Buffer.allocUnsafe(
      Math.max(0, Math.min(this.#fileSize - position, Math.max(length, Blocks.#size))),
    );
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.#file.read(buffer, filled, buffer.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    this.#start = position;
    this.#bytes = buffer.subarray(0, filled);
    return this.#bytes.subarray(0, Math.min(filled, length));
  }
}

/** Serves yauzl's two small reads per entry out of a block. */
class BlockReader extends RandomAccessReader {
  readonly #blocks: Blocks;

  constructor(blocks: Blocks) {
    super();
    this.#blocks = blocks;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytes?: number) => void,
  ): void {
    const held = this.#blocks.held(position, length);
    if (held) callback(null, held.copy(buffer, offset));
    else {
      this.#blocks.read(position, length).then(
        (bytes) => callback(null, bytes.copy(buffer, offset)),
        (error: Error) => callback(error),
      );
    }
  }

  override close(callback: (error?: Error | null) => void): void {
    callback(); // the file is closed by who opened it
  }
}
