/**
 * The index beside each segment: one entry a message, the schema first, the end marker last.
 *
 *     0  offset      i64   of the message in the segment
 *     8  row         i64   number of its first row in stream and epoch
 *    16  first time  i64   ns; of a batch without rows, its watermark
 *    24  last time   i64
 *    32  length      u32   bytes, with prefix and padding
 *    36  rows        u32
 *    40  CRC-32            of the message's bytes
 *    44  CRC-32            of this entry's first 44 bytes
 *
 * Little-endian. Arrow has no checksum of its own: a flipped bit reads back as data, and a tail of zeros as a clean end.
 */
import { crc32 } from "node:zlib";

export const ENTRY_BYTES = 48;

export interface Entry {
  readonly offset: number;
  readonly row: number;
  readonly first: bigint;
  readonly last: bigint;
  readonly length: number;
  readonly rows: number;
  readonly crc: number;
}

export function entryBytes(entry: Entry): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(entry.offset), true);
  view.setBigInt64(8, BigInt(entry.row), true);
  view.setBigInt64(16, entry.first, true);
  view.setBigInt64(24, entry.last, true);
  view.setUint32(32, entry.length, true);
  view.setUint32(36, entry.rows, true);
  view.setUint32(40, entry.crc, true);
  view.setUint32(44, crc32(bytes.subarray(0, 44)), true);
  return bytes;
}

/** Entries as they lie in the file; read where they are, so that a long run costs 48 bytes a batch. */
export class Entries {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.count = Math.floor(bytes.length / ENTRY_BYTES);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  static of(entries: readonly Entry[]): Entries {
    return new Entries(Buffer.concat(entries.map(entryBytes)));
  }

  /** False where a bit of the entry itself has changed. */
  sound(i: number): boolean {
    const at = i * ENTRY_BYTES;
    return crc32(this.bytes.subarray(at, at + 44)) === this.#view.getUint32(at + 44, true);
  }

  offset = (i: number): number => Number(this.#view.getBigInt64(i * ENTRY_BYTES, true));
  row = (i: number): number => Number(this.#view.getBigInt64(i * ENTRY_BYTES + 8, true));
  first = (i: number): bigint => this.#view.getBigInt64(i * ENTRY_BYTES + 16, true);
  last = (i: number): bigint => this.#view.getBigInt64(i * ENTRY_BYTES + 24, true);
  length = (i: number): number => this.#view.getUint32(i * ENTRY_BYTES + 32, true);
  rows = (i: number): number => this.#view.getUint32(i * ENTRY_BYTES + 36, true);
  crc = (i: number): number => this.#view.getUint32(i * ENTRY_BYTES + 40, true);

  at(i: number): Entry {
    return {
      offset: this.offset(i), row: this.row(i), first: this.first(i), last: this.last(i),
      length: this.length(i), rows: this.rows(i), crc: this.crc(i),
    }; // prettier-ignore
  }
}
