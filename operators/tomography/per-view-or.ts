import type { Columns } from "../../runtime/index.ts";
import type { PerView } from "./per-view.ts";

/** What a stream knows of a view, or a number where it does not. */
export function perViewOr(columns: Columns, name: PerView, i: number, otherwise: number): number {
  const value = (columns[name] as Float64Array | undefined)?.[i];
  return value === undefined || Number.isNaN(value) ? otherwise : value;
}
