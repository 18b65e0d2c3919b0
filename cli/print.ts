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

/** Rows of texts as columns of equal width, two blanks between them. */
export function table(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ");
  return rows.map((row) => `${indent}${line(row)}`.trimEnd()).join("\n");
}

/** "1 row", "12,345 rows" */
export const counted = (n: number, what: string): string =>
  `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
