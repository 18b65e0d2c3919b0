/**
 * One segment being written: an Arrow IPC stream and the index beside it. Data first, then index.
 */
import { crc32 } from "node:zlib";
import type { Disk } from "./disk.ts";
import { entryBytes, ENTRY_BYTES, type Entry } from "./index-file.ts";
import { END_MARKER } from "./message.ts";

export const DATA = ".arrows";
export const INDEX = ".idx";

export const segmentName = (number: number): string => String(number).padStart(6, "0");

/** A stream's name as a folder's: what some file system does not take is written as %XX. */
export const folderOf = (stream: string): string =>
  encodeURIComponent(stream).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export class SegmentWriter {
  readonly #disk: Disk;
  readonly #data: number;
  readonly #index: number;
  #parts: Uint8Array[] = [];
  #entries: Uint8Array[] = [];
  /** Bytes on the disk, and with what waits for `write`. */
  #written = 0;
  #size = 0;
  #indexWritten = 0;
  #dirty = false;
  #flushing: Promise<void> = Promise.resolve();

  constructor(path: string, disk: Disk) {
    this.#disk = disk;
    this.#data = disk.create(path + DATA);
    this.#index = disk.create(path + INDEX);
  }

  get size(): number {
    return this.#size;
  }

  append(parts: readonly Uint8Array[], about: Pick<Entry, "row" | "rows" | "first" | "last">): void {
    let crc = 0;
    let length = 0;
    for (const part of parts) {
      crc = crc32(part, crc);
      length += part.length;
      this.#parts.push(part);
    }
    this.#entries.push(entryBytes({ ...about, offset: this.#size, length, crc }));
    this.#size += length;
  }

  /** Hands what was appended to the operating system. On failure the file ends with its last whole message, as before. */
  write(): void {
    if (this.#parts.length === 0) return;
    try {
      this.#disk.write(this.#data, this.#parts, this.#written);
      this.#disk.write(this.#index, this.#entries, this.#indexWritten);
    } catch (error) {
      try {
        this.#disk.truncate(this.#data, this.#written);
        this.#disk.truncate(this.#index, this.#indexWritten);
      } catch {
        // A disk that is gone takes no truncation either; reading drops the torn message.
      }
      throw error;
    }
    this.#written = this.#size;
    this.#indexWritten += this.#entries.length * ENTRY_BYTES;
    this.#parts = [];
    this.#entries = [];
    this.#dirty = true;
  }

  /** Until all that is written lies on the disk. One after the other, so that no file is closed under a flush. */
  flush(): Promise<void> {
    const before = this.#flushing;
    const run = async (): Promise<void> => {
      await before.catch(() => undefined);
      if (!this.#dirty) return;
      this.#dirty = false;
      await this.#disk.flush(this.#data);
      await this.#disk.flush(this.#index);
    };
    return (this.#flushing = run());
  }

  /** Ends the Arrow stream: what is missing after this was lost, not never written. */
  end(row: number): void {
    this.append([END_MARKER], { row, rows: 0, first: 0n, last: 0n });
    this.write();
  }

  close(): void {
    this.#disk.close(this.#data);
    this.#disk.close(this.#index);
  }
}
