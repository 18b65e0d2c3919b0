import { scalar, type Columns, type Fields } from "../../runtime/index.ts";

/**
 * What a stream may know of each view beside its angle. An operator on views takes these columns where they are
 * there, and hands them on unchanged.
 */
export const PER_VIEW = {
  shift_x: scalar("{px}", { optional: true, doc: "so far to the right the sample was recorded, against its place in the scan" }),
  shift_y: scalar("{px}", { optional: true, doc: "so far downwards" }),
  axis: scalar("{px}", { optional: true, doc: "column that the rotation axis falls on, where nothing is shifted" }),
  scale: scalar("1", { optional: true, doc: "size of the sample against the start: 1.02 has swollen by 2 %" }),
} as const; // prettier-ignore

export type PerView = keyof typeof PER_VIEW;

/** Those of them that a stream has. */
export function perViewNames(fields: Fields): PerView[] {
  return (Object.keys(PER_VIEW) as PerView[]).filter((name) => name in fields);
}

/** Those of them that a stream has, as fields of an output. */
export function perViewFields(fields: Fields): Fields {
  return Object.fromEntries(perViewNames(fields).map((name) => [name, fields[name]!]));
}

/** Row i of them, to be put out beside the rest of a row. */
export function perViewAt(columns: Columns, names: readonly PerView[], i: number): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, (columns[name] as Float64Array)[i]!]));
}

/** What a stream knows of a view, or a number where it does not. */
export function perViewOr(columns: Columns, name: PerView, i: number, otherwise: number): number {
  const value = (columns[name] as Float64Array | undefined)?.[i];
  return value === undefined || Number.isNaN(value) ? otherwise : value;
}
