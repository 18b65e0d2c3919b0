/**
 * Rows as CSV (RFC 4180): `time` to the ns, seconds since the run's origin, then every column as "name [unit]".
 */
import { formatTime, imageSize, isList, type Column, type Columns, type Schema } from "../runtime/index.ts";

export function csvHeader({ fields }: Schema): string {
  const names = Object.entries(fields).map(([name, { unit, kind, shape }]) => {
    const size = kind === "image" ? ` (${shape!.join(" × ")})` : "";
    return `${name}${unit ? ` [${unit}]` : ""}${size}`;
  });
  return `${["time", "seconds [s]", ...names].map(quoted).join(",")}\r\n`;
}

export function csvRows(columns: Columns, { fields }: Schema, origin: bigint): string {
  const cells = Object.entries(fields).map(([name, field]) => {
    const width = field.kind === "image" ? imageSize(name, field) : 1;
    return cellsOf(columns[name]!, width);
  });
  let text = "";
  columns.time.forEach((time, i) => {
    text += `${formatTime(time)},${Number(time - origin) / 1e9}`;
    for (const cell of cells) text += `,${cell(i)}`;
    text += "\r\n";
  });
  return text;
}

/** Numbers in the fewest digits that read back as the same; images and curves as one cell of numbers between blanks. */
function cellsOf(column: Column, width: number): (i: number) => string {
  if (isList(column))
    return (i) => column.values.subarray(column.offsets[i], column.offsets[i + 1]).join(" ");
  if (width > 1) return (i) => (column as Float64Array).subarray(i * width, (i + 1) * width).join(" ");
  if (Array.isArray(column)) return (i) => quoted((column as string[])[i]!);
  return (i) => String((column as Float64Array)[i]);
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
