/**
 * Headers of Bruker (Veeco, Digital Instruments) NanoScope files: lines of text up to a Ctrl-Z, in latin-1.
 *
 *     \*Ciao image list                                               begins a section; sections repeat
 *     \Samps/line: 512                                                plain
 *     \@2:Image Data: S [Height] "Height"                             a selection: inner name, shown name
 *     \@2:Z scale: V [Sens. Zscan] (0.006713867 V/LSB) 440.0000 V     a value: soft scale, hard scale, hard value
 *
 * A soft scale names another line, `\@Sens. Zscan: V 7.000000 nm/V`, by which a hard value is multiplied.
 * Keys are written in upper and lower case as versions went; here they are compared without it, and without `@2:`.
 */
import { SourceError } from "../../runtime/index.ts";
import type { Bytes } from "../bytes.ts";

export interface Header {
  /** As a number: 0x09200000 and later store 4 bytes a sample. NaN where there is none. */
  readonly version: number;
  readonly versionText: string;
  /** All sections of that name, in their order. */
  sections(name: RegExp): readonly HeaderSection[];
  /** The first section of that name; an empty one where there is none. */
  section(name: RegExp): HeaderSection;
}

export interface HeaderSection {
  readonly name: string;
  get(key: string): string | undefined;
  /** The number that a line begins with, NaN where there is none. */
  number(key: string): number;
  /** Length in metres: "1769.08 nm", "15 ~m"; NaN where there is none. */
  length_m(key: string): number;
  /** A line of type V. */
  value(key: string): HeaderValue | undefined;
  /** The inner and the shown name of a line of type S. */
  selection(key: string): { readonly inner: string; readonly shown: string } | undefined;
}

export interface HeaderValue {
  readonly softScale: string | undefined;
  /** Of one step of the converter; NaN where the line has none. */
  readonly perStep: number;
  readonly value: number;
  readonly unit: string;
}

/** No header that we know is longer than 80,960 bytes. */
const MOST_HEADER = 1 << 20;
const MOST_SECTIONS = 1000;
/** Longer lines are notes. */
const MOST_LINE = 500;
const END = 0x1a;
const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;
const VALUE = new RegExp(
  String.raw`^V\s*(?:\[([^\]]*)\])?\s*(?:\((${NUMBER})\s*.*?\/LSB\))?\s*(${NUMBER})\s*([^\s]*)`,
);
const SELECTION = /^S\s*(?:\[([^\]]*)\])?\s*(?:"([^"]*)")?/;

/** True where a file begins as NanoScope's do. */
export const looksLikeNanoscope = (head: Uint8Array): boolean =>
  /^\\\*(?:Force f|F)ile list/.test(Buffer.from(head.subarray(0, 32)).toString("latin1"));

export async function readHeader(bytes: Bytes): Promise<Header> {
  const { path, size } = bytes;
  const all = await bytes.read(0, Math.min(size, MOST_HEADER), "its header");
  const end = all.indexOf(END);
  if (end < 0) {
    const why = size < MOST_HEADER ? "it is cut short, copy it again" : "it is damaged, copy it again";
    throw new SourceError(
      `${path}: has no end of its header (byte 1a, Ctrl-Z) within ${all.length} bytes; ${why}, or it is an export as text: take the file as NanoScope wrote it`,
    );
  }
  const list: HeaderSection[] = [];
  let lines = new Map<string, string>();
  for (const line of all.toString("latin1", 0, end).split(/\r\n|\r|\n/)) {
    if (line.startsWith("\\*")) {
      lines = new Map();
      list.push(sectionOf(line.slice(2).trim(), lines));
      continue;
    }
    const match = /^\\(?:@(?:\d+:)?)?([^:]*):\s*(.*)$/.exec(line);
    if (!match) continue; // a text that goes over several lines
    const key = match[1]!.trim().toLowerCase();
    if (!lines.has(key)) lines.set(key, match[2]!.slice(0, MOST_LINE).trim());
  }
  if (list.length > MOST_SECTIONS)
    throw new SourceError(`${path}: its header has ${list.length} sections, known are up to ${MOST_SECTIONS}; it is damaged, copy it again`); // prettier-ignore
  const sections = (name: RegExp): HeaderSection[] => list.filter((section) => name.test(section.name));
  const versionText = list[0]?.get("version") ?? "";
  return {
    version: Number(/^0x[0-9a-f]{1,8}$/i.test(versionText) ? versionText : NaN),
    versionText,
    sections,
    section: (name) => sections(name)[0] ?? sectionOf("", new Map()),
  };
}

function sectionOf(name: string, lines: ReadonlyMap<string, string>): HeaderSection {
  const get = (key: string): string | undefined => lines.get(key.toLowerCase());
  return {
    name,
    get,
    number: (key) => numbersOf(get(key))[0] ?? NaN,
    length_m(key) {
      const text = get(key) ?? "";
      const unit = siOf(/[^\d\s.+-]*$/.exec(text)?.[0] ?? "");
      return unit?.base === "m" ? (numbersOf(text)[0] ?? NaN) * unit.factor : NaN;
    },
    value(key) {
      const match = VALUE.exec(get(key) ?? "");
      if (!match) return undefined;
      const [, softScale, perStep, value, unit] = match;
      return { softScale, perStep: Number(perStep ?? NaN), value: Number(value), unit: unit ?? "" };
    },
    selection(key) {
      const match = SELECTION.exec(get(key) ?? "");
      return match ? { inner: match[1] ?? "", shown: match[2] ?? "" } : undefined;
    },
  };
}

/** Numbers that a line begins with, parted by spaces: "1024 1024", "1.76908 1.76908 ~m". */
export function numbersOf(text: string | undefined): number[] {
  const numbers: number[] = [];
  for (const word of (text ?? "").split(/\s+/, 8)) {
    if (!new RegExp(`^${NUMBER}$`).test(word)) break;
    numbers.push(Number(word));
  }
  return numbers;
}

/** The line that a soft scale names: of the section itself before those of the scanner and the scan. */
export function sensitivityOf(
  header: Header,
  own: HeaderSection,
  softScale: string | undefined,
): HeaderValue | undefined {
  if (!softScale) return undefined;
  return (
    own.value(softScale) ??
    header
      .sections(/./)
      .find((section) => section.value(softScale) !== undefined)
      ?.value(softScale)
  );
}

const PREFIXES: Record<string, number> = {
  f: 1e-15, p: 1e-12, n: 1e-9, u: 1e-6, "~": 1e-6, "µ": 1e-6, m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12,
}; // prettier-ignore
const ELEMENTARY_CHARGE_C = 1.602176634e-19;

/** "nm" as { 1e-9, "m" }; `~` stands for µ. undefined where the unit is not known. */
export function siOf(unit: string): { readonly factor: number; readonly base: string } | undefined {
  if (/^(º|°|deg)$/.test(unit)) return { factor: 1, base: "deg" };
  const match = /^([fpnu~µmkMGT]?)(N\/m|Pa|Hz|eV|[mVANJs])$/.exec(unit);
  if (!match) return undefined;
  const factor = PREFIXES[match[1]!]!;
  return match[2] === "eV"
    ? { factor: factor * ELEMENTARY_CHARGE_C, base: "J" }
    : { factor, base: match[2]! };
}

/**
 * What one hard unit comes to by a sensitivity, in units of SI: 1 V by 7 nm/V is 7e-9 m.
 * `base` is "" where that cannot be told, as with a sensitivity in "Pa/Arb" for a value in V.
 */
export function scaleOf(
  hardUnit: string,
  sensitivity: HeaderValue | undefined,
): { readonly factor: number; readonly base: string } {
  const hard = siOf(hardUnit);
  const unknown = { factor: NaN, base: "" };
  // A sensitivity of 1 without a unit is what the program writes where nobody has calibrated.
  if (!sensitivity || (sensitivity.unit === "" && sensitivity.value === 1)) return hard ?? unknown;
  const { value, unit } = sensitivity;
  for (let slash = unit.lastIndexOf("/"); slash > 0; slash = unit.lastIndexOf("/", slash - 1)) {
    const [over, under] = [siOf(unit.slice(0, slash)), unit.slice(slash + 1)];
    const below = siOf(under);
    if (over && below && hard && below.base === hard.base)
      return { factor: (hard.factor / below.factor) * value * over.factor, base: over.base };
    if (over && !below && under === hardUnit) return { factor: value * over.factor, base: over.base };
  }
  return unknown;
}

/** Edge lengths of the scanned field, as the image has them ("1.76908 1.76908 ~m"), or else the scan. */
export function sizeOf(
  image: HeaderSection | undefined,
  scan: HeaderSection,
): { readonly sizeX_m: number; readonly sizeY_m: number } {
  const text = image?.get("scan size") ?? "";
  const unit = siOf(/[^\d\s.+-]*$/.exec(text)?.[0] ?? "");
  const [x, y] = numbersOf(text);
  if (unit?.base === "m" && x !== undefined && y !== undefined)
    return { sizeX_m: x * unit.factor, sizeY_m: y * unit.factor };
  const sizeX_m = unit?.base === "m" && x !== undefined ? x * unit.factor : scan.length_m("scan size");
  const [wide, high] = (image?.get("aspect ratio") ?? scan.get("aspect ratio") ?? "1:1").split(":").map(Number); // prettier-ignore
  const aspect = wide! / high!;
  return { sizeX_m, sizeY_m: aspect > 0 && aspect < Infinity ? sizeX_m / aspect : sizeX_m };
}

/** Seconds of so many lines or ramps at a rate; NaN where the rate is none that an instrument has. */
export const secondsAt = (count: number, rate_Hz: number): number =>
  rate_Hz > 1e-6 && rate_Hz < 1e9 ? count / rate_Hz : NaN;
