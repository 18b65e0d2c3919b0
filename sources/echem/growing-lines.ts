/**
 * A text file that may be growing at its end: whole lines, in the order that they stand, each once. A line counts once
 * its end is there; what was read is looked at again before going on, so that a file written anew is noticed.
 */
import { Rewritten, type Look } from "./echem-file.ts";
import type { FileReader } from "./file-reader.ts";

export interface Lines {
  /** Without their ends (LF or CR LF). */
  readonly text: readonly string[];
  /** Number of the first, from 1. */
  readonly first: number;
}

/** Bytes read at a time. */
const BLOCK = 1 << 20;
/** A line is not longer: more is no text file. */
const LONGEST = 1 << 20;
/** Bytes of the head, and before the place reached, that must stay as they were. */
const WATCHED = 512;
const LF = 10, CR = 13; // prettier-ignore

export class GrowingLines {
  readonly #file: FileReader;
  readonly #decoder: InstanceType<typeof TextDecoder>;
  /** Bytes that lines were given of. */
  #done = 0;
  #lines = 0;
  #head: Uint8Array = new Uint8Array(0);
  #tail: Uint8Array = new Uint8Array(0);

  constructor(file: FileReader, encoding: "utf-8" | "windows-1252") {
    this.#file = file;
    this.#decoder = new TextDecoder(encoding, { ignoreBOM: false });
  }

  /** Number of the next line, from 1. */
  get next(): number {
    return this.#lines + 1;
  }

  /**
   * Up to `most` lines; none where there is no whole one yet. `closing`: also the last one, if nothing ends it.
   * Throws Rewritten where what was read before is not there any more.
   */
  async read(most: number, look: Look): Promise<Lines> {
    await this.#checkUnchanged();
    const first = this.next;
    let length = BLOCK;
    let bytes = await this.#file.read(this.#done, length);
    let end = endOfLines(bytes, most);
    while (end.lines === 0 && bytes.length === length) {
      if (length > LONGEST)
        throw new Rewritten(`line ${first}: is longer than ${LONGEST} bytes; it is no text file`);
      bytes = await this.#file.read(this.#done, (length *= 2));
      end = endOfLines(bytes, most);
    }
    const isLast = look === "closing" && end.lines < most && bytes.length < length;
    if (isLast && end.at < bytes.length) end = { at: bytes.length, lines: end.lines + 1 };
    if (end.lines === 0) return { text: [], first };
    const taken = bytes.subarray(0, end.at);
    this.#keep(taken);
    const text = this.#decoder.decode(taken).split("\n");
    if (taken[taken.length - 1] === LF) text.pop();
    for (let i = 0; i < text.length; i++) if (text[i]!.endsWith("\r")) text[i] = text[i]!.slice(0, -1);
    return { text, first };
  }

  #keep(taken: Uint8Array): void {
    if (this.#head.length < WATCHED) this.#head = joined(this.#head, taken.subarray(0, WATCHED - this.#head.length));
    this.#tail = joined(this.#tail, taken).slice(-WATCHED);
    this.#done += taken.length;
    for (const byte of taken) if (byte === LF) this.#lines++;
    if (taken[taken.length - 1] !== LF) this.#lines++;
  } // prettier-ignore

  async #checkUnchanged(): Promise<void> {
    const { size } = await this.#file.state();
    if (size < this.#done)
      throw new Rewritten(`has become shorter than what was read of it, ${size} of ${this.#done} bytes`);
    const head = await this.#file.read(0, this.#head.length);
    const tail = await this.#file.read(this.#done - this.#tail.length, this.#tail.length);
    if (Buffer.compare(head, this.#head) !== 0 || Buffer.compare(tail, this.#tail) !== 0)
      throw new Rewritten("has been written anew since it was opened");
  }

  /** The last whole line of the file, without moving on; undefined where nothing but the head is there. */
  async last(): Promise<string | undefined> {
    const { size } = await this.#file.state();
    for (let length = 4096; ; length *= 4) {
      const from = Math.max(this.#done, size - length);
      const bytes = await this.#file.read(from, size - from);
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] !== LF) end--;
      while (end > 0 && (bytes[end - 1] === LF || bytes[end - 1] === CR)) end--;
      const begin = bytes.lastIndexOf(LF, end - 1) + 1;
      if (end > 0 && (begin > 0 || from === this.#done))
        return this.#decoder.decode(bytes.subarray(begin, end));
      if (from === this.#done || length > LONGEST) return undefined;
    }
  }
}

/** Where the last of the first `most` lines ends, and how many there are. */
function endOfLines(bytes: Uint8Array, most: number): { at: number; lines: number } {
  let [at, lines] = [0, 0];
  while (lines < most) {
    const end = bytes.indexOf(LF, at);
    if (end < 0) break;
    at = end + 1;
    lines++;
  }
  return { at, lines };
}

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};
