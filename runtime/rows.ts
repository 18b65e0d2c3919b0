/** Rows, as an operator puts them out one by one, to columns. */
import { makeArray, widthOf, type Column, type Columns } from "./columns.ts";
import type { Field, Fields, NumericArray } from "./wire/schema.ts";

/** Columns of these rows, numbers copied. Throws RangeError where an image has another size than declared. */
export function columnsOf(
  rows: readonly Readonly<Record<string, unknown>>[],
  fields: Fields,
  where = "rows",
): Columns {
  const columns: Record<string, Column> = { time: BigInt64Array.from(rows, (row) => row["time"] as bigint) };
  for (const name in fields) columns[name] = columnOf(`${where}.${name}`, rows.map((row) => row[name]), fields[name]!); // prettier-ignore
  return columns as Columns;
}

function columnOf(name: string, values: unknown[], field: Field): Column {
  if (field.kind === "label") return values.map(String);
  if (field.kind === "curve") {
    const arrays = values as NumericArray[];
    const offsets = new Int32Array(values.length + 1);
    arrays.forEach((array, i) => (offsets[i + 1] = offsets[i]! + array.length));
    const joined = makeArray(field.type, offsets[values.length]!);
    arrays.forEach((array, i) => joined.set(array as never, offsets[i]));
    return { values: joined, offsets };
  }
  if (field.kind === "image") {
    const width = widthOf(name, field);
    const joined = makeArray(field.type, width * values.length);
    (values as NumericArray[]).forEach((array, i) => {
      if (array.length !== width)
        throw new RangeError(`${name}: an image of ${array.length} values, declared with ${width}`);
      joined.set(array as never, i * width);
    });
    return joined;
  }
  const column = makeArray(field.type, values.length);
  values.forEach((value, i) => (column[i] = value as never));
  return column;
}
