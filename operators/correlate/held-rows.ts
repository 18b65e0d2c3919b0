import { concat, isList, type Column, type Columns, type Fields } from "../../runtime/index.ts";

/** What was held and what came, of the columns that are wanted. */
export function withHeld(held: Columns | undefined, given: Columns, fields: Fields): Columns {
  const wanted: Record<string, Column> = { time: given.time };
  for (const name in fields) wanted[name] = given[name]!;
  if (!held) return wanted as Columns;
  return given.time.length === 0 ? held : concat([held, wanted as Columns], fields);
}

/** Rows that are kept past the step that lent them. */
export function copyRows(columns: Columns): Columns {
  const copyOf = (column: Column): Column => {
    if (Array.isArray(column)) return column;
    if (!isList(column)) return (column as Float64Array).slice();
    const first = column.offsets[0] ?? 0;
    return {
      values: column.values.slice(first, column.offsets.at(-1)),
      offsets: column.offsets.map((at) => at - first),
    } as Column;
  };
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, copyOf(column)]),
  ) as unknown as Columns;
}
