/**
 * A text file that may be growing at its end: whole lines, in the order that they stand, each once. A line counts once
 * its end is there; what was read is looked at again before going on, so that a file written anew is noticed.
 */
import { isUtf8 } from "node:buffer";
import { Rewritten, type Look } from "./echem-file.ts";
import type { FileReader } from "./file-reader.ts";

export interface Lines {
  /** Without their ends (LF or CR LF). */
  readonly text: readonly string[];
  /** Number of the first, from 1. */
  readonly first: number;
  /** Nothing ends the last of them: it may have been cut while it was written. */
  readonly unended?: true;
}

/** Bytes read at a time. A line that is longer, such as the zeros that a crash leaves, comes in pieces as long as this. */
const BLOCK = 1 << 20;
/** Bytes of the head, and before the place reached, that must stay as they were. */
const WATCHED = 512;
const LF = 10, CR = 13; // prettier-ignore

export class GrowingLines {
  readonly #file: FileReader;
  /** Bytes that lines were given of. */
  #done = 0;
  #lines = 0;
  #head: Uint8Array = new Uint8Array(0);
  #tail: Uint8Array = new Uint8Array(0);

  constructor(file: FileReader) {
    this.#file = file;
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
    const bytes = await this.#file.read(this.#done, BLOCK);
    let end = endOfLines(bytes, most);
    if (end.lines === 0 && bytes.length === BLOCK) end = { at: BLOCK, lines: 1 };
    const isLast = look === "closing" && end.lines < most && bytes.length < BLOCK;
    const unended = isLast && end.at < bytes.length;
    if (unended) end = { at: bytes.length, lines: end.lines + 1 };
    if (end.lines === 0) return { text: [], first };
    const taken = bytes.subarray(0, end.at);
    const text = linesOf(taken, this.#done === 0);
    this.#keep(taken, end.lines);
    return { text, first, ...(unended && { unended }) };
  }

  #keep(taken: Uint8Array, lines: number): void {
    if (this.#head.length < WATCHED) this.#head = joined(this.#head, taken.subarray(0, WATCHED - this.#head.length));
    this.#tail = joined(this.#tail, taken.subarray(-WATCHED)).slice(-WATCHED);
    this.#done += taken.length;
    this.#lines += lines;
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
        return linesOf(bytes.subarray(begin, end), from === 0 && begin === 0)[0];
      if (from === this.#done || length > BLOCK) return undefined;
    }
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const cp1252 = new TextDecoder("windows-1252");

/**
 * Lines without their ends. A line is UTF-8 if it can be, else cp1252: told line by line, so that it does not depend on what
 * else the file holds, nor on how much of it is there. `isBegin`: of the file, where the mark of UTF-8 may stand.
 */
export function linesOf(bytes: Uint8Array, isBegin = true): string[] {
  const text = isUtf8(bytes) ? utf8.decode(bytes).split("\n") : mixed(bytes);
  if (text.length > 1 && text.at(-1) === "") text.pop();
  if (isBegin && text[0]!.startsWith("\ufeff")) text[0] = text[0]!.slice(1);
  if (bytes.includes(CR)) for (let i = 0; i < text.length; i++) if (text[i]!.endsWith("\r")) text[i] = text[i]!.slice(0, -1);
  return text;
} // prettier-ignore

function mixed(bytes: Uint8Array): string[] {
  const text: string[] = [];
  for (let at = 0, end = 0; end >= 0; at = end + 1) {
    end = bytes.indexOf(LF, at);
    const line = bytes.subarray(at, end < 0 ? undefined : end);
    text.push((isUtf8(line) ? utf8 : cp1252).decode(line));
  }
  return text;
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
