/**
 * Data to stdout, words for people to stderr; both wait for their reader.
 */
import { once } from "node:events";
import type { Writable } from "node:stream";

export async function print(data: string | Uint8Array, to: Writable = process.stdout): Promise<void> {
  if (!to.write(data)) await once(to, "drain");
}

export const printJson = (value: unknown): Promise<void> => print(`${JSON.stringify(value, undefined, 2)}\n`);

export const tell = (words: string): Promise<void> => print(`${words}\n`, process.stderr);

/** Rows of texts as columns of equal width, two blanks between them; the last column goes on below itself from `wrapAt` on. */
export function table(rows: readonly (readonly string[])[], indent = "", wrapAt = Infinity): string {
  const last = Math.max(...rows.map((row) => row.length)) - 1;
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const before = widths.slice(0, last).reduce((n, width) => n + width + 2, indent.length);
  const line = (row: readonly string[]): string => {
    const [text = "", ...more] = row.length > last ? wrapped(row[last]!, wrapAt - before) : [];
    const cells = [...row.slice(0, last).map((cell, i) => cell.padEnd(widths[i]!)), text];
    return [`${indent}${cells.join("  ")}`, ...more.map((part) => " ".repeat(before) + part)]
      .map((part) => part.trimEnd())
      .join("\n");
  };
  return rows.map(line).join("\n");
}

/** Lines of at most `width` characters, or of one word where that is longer; never narrower than a short sentence. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line && line.length + 1 + word.length > Math.max(width, 40)) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines;
}

/** "1 row", "12,345 rows" */
export const counted = (n: number, what: string): string =>
  `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
