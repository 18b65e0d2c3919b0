/** What stands beside a slice and says from what it was made, in words. */
import type { PlanePanel } from "./image-panels.ts";
import { readableQuantity } from "./readable-numbers.ts";
import { duration } from "./readable-times.ts";
import type { Row } from "./row-feed.ts";

/** A number of a row; NaN where there is no such column. */
export function valueAt(row: Row, column: string): number {
  const values = row.frame.columns[column] as ArrayLike<number | bigint> | undefined;
  return values === undefined || Array.isArray(values) ? NaN : Number(values[row.at]);
}

/** A text of a row, the name of a code, or what the stream's metadata say; undefined where nobody says. */
export function textAt(row: Row, column: string): string | undefined {
  const { columns, schema } = row.frame;
  const values = columns[column];
  if (Array.isArray(values)) return String(values[row.at]);
  if (values !== undefined) {
    const value = valueAt(row, column);
    const field = schema.fields[column];
    if (field?.kind === "code") return field.codes?.[value] ?? String(value);
    return readableQuantity(value, field?.unit ?? "");
  }
  return schema.metadata[column];
}

/** The axis that a plane stands across, and where: a horizontal one says by its slice. */
export function placeOf(
  { plane }: PlanePanel,
  row: Row | undefined,
): { axis: "x" | "y" | "z"; at: number } | undefined {
  if (plane) return "axis" in plane ? plane : undefined;
  const at = row ? valueAt(row, "slice") : NaN;
  return Number.isNaN(at) ? undefined : { axis: "z", at };
}

/** From the window to whatever is odd about it. */
export function stateLine(row: Row): { readonly text: string; readonly pending: boolean }[] {
  const said: { text: string; pending: boolean }[] = [];
  const say = (text: string, pending = false): void => void said.push({ text, pending });
  if (valueAt(row, "rebuild") > 0) say("rebuild pending: this is the picture from before", true);
  for (const name of ["window", "axis", "filter"]) {
    const text = textAt(row, name);
    if (text !== undefined) say(`${name} ${text}`);
  }
  const age = valueAt(row, "oldest_age");
  if (Number.isFinite(age)) say(`oldest view ${duration(age * 1000)} before the newest`);
  for (const [name, words] of COUNTS) {
    const count = valueAt(row, name);
    if (count > 0) say(`${count.toLocaleString("en-GB")} ${words}`);
  }
  return said;
}

/** Said where they are not zero. */
const COUNTS: readonly [column: string, words: string][] = [
  ["filled", "samples filled in"],
  ["left_out", "views left out"],
  ["dropped", "views dropped"],
];
