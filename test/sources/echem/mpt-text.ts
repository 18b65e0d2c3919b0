/** Small `.mpt` files of our own making. */

export interface MptParts {
  /** Lines between the technique and the headings; undefined: N = 3. */
  about?: readonly string[];
  headings: readonly string[];
  rows: readonly (readonly string[])[];
  first?: string;
  end?: string;
  /** The last line has its end, too. */
  ended?: boolean;
}

export function mptText({ about, headings, rows, first = "EC-Lab ASCII FILE", end = "\r\n", ended = false }: MptParts): string {
  const top = about ? ["", "Modulo Bat", "", ...about, ""] : [];
  const all = [first, `Nb header lines : ${top.length + 3}                          `, ...top, `${headings.join("\t")}\t`, ...rows.map((row) => row.join("\t"))];
  return all.join(end) + (ended ? end : "");
} // prettier-ignore

const high: Readonly<Record<string, number>> = { "€": 0x80, "–": 0x96 };
export const cp1252 = (text: string): Uint8Array => Uint8Array.from(text, (c) => high[c] ?? c.charCodeAt(0));
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** 1.5 as EC-Lab writes it, with so many digits behind the point. */
export const ecLab = (value: number, digits: number, point = "."): string =>
  value
    .toExponential(digits)
    .replace(/e([-+])(\d+)$/, (_all, sign: string, power: string) => `E${sign}${power.padStart(3, "0")}`)
    .replace(".", point);
