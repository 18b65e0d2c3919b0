/**
 * Neware `.ndc`: one table of an `.ndax`, in pages of one size, the first of which is a header.
 *
 *     0   what it holds: 1 rows, 5 an auxiliary channel, 7 steps, 18 run information
 *     2   version
 *
 * From version 5 on a page has 4096 bytes: from byte 4 one bit a row that says whether it is there, least first, and rows
 * from byte 132. Which rows the vendor's own program shows, these bits say: a voltage of 0 is as good as any. In version
 * 2 a page has 512 bytes and rows from byte 5; those that are not there have index 0.
 */
import { SourceError } from "../../runtime/index.ts";

export const HOLDS = { rows: 1, channel: 5, steps: 7, information: 18 } as const;
export const VERSIONS: ReadonlySet<number> = new Set([2, 5, 11, 14, 16, 17]);

const PAGE = 4096, ROWS_AT = 132, BITS_AT = 4; // prettier-ignore
const PAGE_2 = 512, ROWS_AT_2 = 5, INDEX_2 = 8; // prettier-ignore

export interface Ndc {
  readonly bytes: Buffer;
  readonly version: number;
}

/** Checks the header. */
export function ndcOf(bytes: Buffer, holds: number): Ndc {
  const version = bytes[2];
  if (version === undefined) throw new SourceError(`ends after ${bytes.length} bytes, within its header`);
  if (bytes[0] !== holds) throw new SourceError(`byte 0: is of kind ${bytes[0]}, where ${holds} was expected`);
  if (!VERSIONS.has(version)) throw new SourceError(`byte 2: is of version ${version}; known are ${[...VERSIONS].join(", ")}: please send us such a file`); // prettier-ignore
  return { bytes, version };
} // prettier-ignore

/** Goes through the rows of a table that are there. */
export class NdcRows {
  readonly view: DataView;
  /** Byte where the present row begins. */
  at = -1;
  /** Its place among all rows, from 1, those that are missing counted too. */
  place = 0;
  readonly #bytes: Buffer;
  readonly #size: number;
  readonly #begin: number;
  readonly #length: number;
  readonly #most: number;
  readonly #isMarked: boolean;
  #page: number;
  #row = -1;

  constructor({ bytes, version }: Ndc, rowBytes: number) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#bytes = bytes;
    this.#isMarked = version > 2;
    this.#size = this.#isMarked ? PAGE : PAGE_2;
    this.#begin = this.#isMarked ? ROWS_AT : ROWS_AT_2;
    this.#length = rowBytes;
    this.#most = Math.floor((this.#size - this.#begin - 1) / rowBytes); // the last byte of a page is not used
    this.#page = this.#size;
  }

  /** To the next row that is there; false where there is none. */
  next(): boolean {
    for (;;) {
      if (++this.#row === this.#most) {
        this.#row = 0;
        this.#page += this.#size;
      }
      const at = this.#page + this.#begin + this.#row * this.#length;
      if (at + this.#length > this.#bytes.length) {
        this.#row--;
        return false;
      }
      this.place++;
      if (!this.#isThere(at)) continue;
      this.at = at;
      return true;
    }
  }

  #isThere(at: number): boolean {
    if (!this.#isMarked) return this.view.getUint32(at + INDEX_2, true) !== 0;
    return ((this.#bytes[this.#page + BITS_AT + (this.#row >> 3)]! >> (this.#row & 7)) & 1) === 1;
  }
}
