/**
 * Header of a Nanosurf `.nid` file: sections of `key=value` lines up to `#!` at the begin of a line, where the
 * binary blocks follow at once. Text is UTF-8 in newer files, Latin-1 in older ones.
 */
import { SourceError } from "../../runtime/index.ts";
import type { Bytes } from "../bytes.ts";

export interface Section {
  readonly values: ReadonlyMap<string, string>;
  /** `LineDim<n>Points`, `…Min`, `…Range` of each line n, NaN where not said: a map has them by the ten thousand. */
  readonly lines: { readonly points: Lines; readonly min: Lines; readonly range: Lines };
}

export interface NidHeader {
  readonly sections: ReadonlyMap<string, Section>;
  /** First byte of the binary blocks. */
  readonly dataAt: number;
}

/** Numbers by line; NaN where none was set. */
export class Lines {
  #numbers = new Float64Array(0);

  get(line: number): number {
    return this.#numbers[line] ?? NaN;
  }

  /** False where the line is far from those before it: a damaged number, or room would be made for millions. */
  set(line: number, value: number): boolean {
    if (line > this.#numbers.length + MOST_GAP) return false;
    if (line >= this.#numbers.length) {
      const grown = new Float64Array(Math.max(line + 1, 2 * this.#numbers.length, 64)).fill(NaN);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[line] = value;
    return true;
  }
}

const BLOCK = 1 << 16;
/** A map of 65,536 curves has some 40 MB of header. */
const MOST_HEADER = 1 << 27, MOST_SECTIONS = 1 << 12, MOST_KEYS = 1 << 18, MOST_LINE = 1 << 20; // prettier-ignore
const MOST_GAP = 256;
const MARKER = "#!";
const OF_LINE = /^LineDim(\d{1,7})(Points|Min|Range)$/;

export async function readNidHeader(bytes: Bytes): Promise<NidHeader> {
  const { path } = bytes;
  const sections = new Map<string, { values: Map<string, string>; lines: Section["lines"] }>();
  let section: { values: Map<string, string>; lines: Section["lines"] } | undefined;
  let keys = 0;
  const take = (line: string, at: number): void => {
    const name = /^\[(.*)\]$/.exec(line)?.[1];
    if (name !== undefined) {
      section = sections.get(name);
      if (!section) sections.set(name, (section = { values: new Map(), lines: { points: new Lines(), min: new Lines(), range: new Lines() } })); // prettier-ignore
      return;
    }
    const equals = line.indexOf("=");
    if (equals <= 0 || !section) return;
    const key = line.slice(0, equals);
    const ofLine = OF_LINE.exec(key);
    const damaged = (what: string): SourceError => new SourceError(`${path}: its header has ${what}, at byte ${at}; it is damaged, copy the file again`); // prettier-ignore
    if (ofLine) {
      const which = ofLine[2] === "Points" ? "points" : ofLine[2] === "Min" ? "min" : "range";
      if (!section.lines[which].set(Number(ofLine[1]), numberIn(line.slice(equals + 1)))) throw damaged(`an entry ${key} far behind the line before it`); // prettier-ignore
      return;
    }
    if (++keys > MOST_KEYS || sections.size > MOST_SECTIONS) throw damaged(`more than ${MOST_KEYS} entries or ${MOST_SECTIONS} sections`); // prettier-ignore
    if (!section.values.has(key)) section.values.set(key, line.slice(equals + 1).trim());
  };

  let carry = "";
  for (let at = 0; at < Math.min(bytes.size, MOST_HEADER); at += BLOCK) {
    const block = await bytes.read(at, Math.min(BLOCK, bytes.size - at), "its header");
    const text = carry + block.toString("latin1");
    const begin = at - carry.length;
    let from = 0;
    for (;;) {
      if (text.startsWith(MARKER, from)) return { sections, dataAt: begin + from + MARKER.length };
      const end = text.indexOf("\n", from);
      if (end < 0) break;
      take(decode(text.slice(from, end).trimEnd()), begin + from);
      from = end + 1;
    }
    carry = text.slice(from);
    if (carry.length > MOST_LINE) throw new SourceError(`${path}: its header has a line of more than ${MOST_LINE} bytes, from byte ${begin + from} on; it is damaged, copy the file again`); // prettier-ignore
  }
  throw new SourceError(`${path}: its header does not end: there is no ${MARKER} at the begin of a line in its first ${Math.min(bytes.size, MOST_HEADER)} bytes; it is cut short or damaged, copy it again`); // prettier-ignore
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  try {
    return utf8.decode(Buffer.from(latin1, "latin1"));
  } catch {
    return latin1;
  }
}

/** The leading number of a text; NaN where there is none. */
export function numberIn(text: string | undefined): number {
  const match = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text ?? "");
  return match ? Number(match[0]) : NaN;
}

/** Numbers and units of "D[48]*[N/m]" and "V[1e-005,1e-005,0]*[m,m,m]"; empty where it is none of these. */
export function typedNumbers(text: string | undefined): { value: number; unit: string }[] {
  const match = /^[A-Z]\[([^\]]*)\]\*\[([^\]]*)\]/.exec(text ?? "");
  if (!match) return [];
  const units = match[2]!.split(",");
  return match[1]!.split(",").map((value, i) => ({ value: numberIn(value), unit: units[i] ?? "" }));
}

const PREFIXES: Record<string, number> = { "": 1, f: 1e-15, p: 1e-12, n: 1e-9, "µ": 1e-6, "μ": 1e-6, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6 }; // prettier-ignore

/** "7.41µm", "803ms", "1 s" in the unit asked for; NaN where it is not in that unit. */
export function quantityIn(text: string | undefined, unit: string): number {
  const match = /^\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*(\D*?)\s*$/i.exec(text ?? "");
  if (!match || !match[2]!.endsWith(unit)) return NaN;
  const prefix = match[2]!.slice(0, match[2]!.length - unit.length);
  return Object.hasOwn(PREFIXES, prefix) ? Number(match[1]) * PREFIXES[prefix]! : NaN;
}
