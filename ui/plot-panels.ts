/** What can be drawn against what: the path of a drift, and any column against any other. */
import type { StreamEntry } from "./client/types.ts";
import { isLength, quantityOf, titleOf, type Quantity } from "./quantities.ts";
import type { Field, Fields } from "../runtime/wire/schema.ts";

/** A column of a stream, as a person chooses it from a list. */
export interface Column {
  readonly stream: string;
  readonly column: string;
  readonly title: string;
  readonly unit: string;
  /** Standard error, of the same stream. */
  readonly error?: string;
}

export interface DriftPanel {
  readonly id: string;
  readonly title: string;
  readonly x: Column;
  readonly y: Column;
  /** Column with the covariance of the two, in the square of their unit. */
  readonly covariance?: string;
  /** Values of y grow towards the lower edge, as rows of an image do. */
  readonly downwards: boolean;
}

export interface Pair {
  readonly x: Column;
  readonly y: Column;
}

export const columnId = ({ stream, column }: Column): string => `${stream}/${column}`;

function columnOf(stream: string, fields: Fields, column: string): Column {
  const field = fields[column]!;
  const error = [field.uncertainty, `${column}_se`].find(
    (name) => name !== undefined && fields[name]?.kind === "scalar",
  );
  const { unit } = field;
  return { stream, column, title: titleOf(column, field), unit, ...(error !== undefined && { error }) };
}

/** Shifts on the sample before those in pixels. */
const SHIFTS: readonly { readonly x: string; readonly y: string; readonly downwards: boolean }[] = [
  { x: "shift_x", y: "shift_y", downwards: false },
  { x: "shift_col", y: "shift_row", downwards: true },
];

/** Streams that say by how much an image has moved; the path is that of the sample over the frames. */
export function driftsOf(entries: readonly StreamEntry[]): DriftPanel[] {
  const found = entries.flatMap(({ stream, schema: { fields, metadata } }): { panel: DriftPanel; worth: number }[] => {
    const shift = SHIFTS.find(({ x, y }) => fields[x]?.kind === "scalar" && fields[y]?.kind === "scalar" && fields[x].unit === fields[y].unit);
    // Views of a scan that turns have shifts of their own, which are no path.
    if (!shift || "rotation_angle" in fields) return [];
    const square = `${fields[shift.x]!.unit}2`;
    const covariance = Object.keys(fields).find((name) => /covariance/.test(name) && fields[name]!.kind === "scalar" && fields[name]!.unit === square && pairs(name, shift));
    const image = Object.values(fields).some(({ kind }) => kind === "image");
    const panel: DriftPanel = {
      id: `${stream}/path`,
      title: "drift path",
      x: columnOf(stream, fields, shift.x),
      y: columnOf(stream, fields, shift.y),
      ...(covariance !== undefined && { covariance }),
      downwards: shift.downwards && metadata["first_row"] !== "smallest y",
    };
    // Of two streams of one operator the one in metres, and then the one that is about the shift alone.
    return [{ panel, worth: (isLength(fields[shift.x]!.unit) ? 2 : 0) + (image ? 0 : 1) }];
  });
  return found.sort((a, b) => b.worth - a.worth).map(({ panel }) => panel);
} // prettier-ignore

/** `covariance_x_y`, `shift_covariance`, `covariance_row_col` …: of these two, whatever stands around it. */
function pairs(name: string, { x, y }: { readonly x: string; readonly y: string }): boolean {
  const of = (column: string) => column.replace("shift_", "");
  const parts = name
    .replace(/covariance|shift/g, "")
    .split("_")
    .filter(Boolean);
  const both = [of(x), of(y)];
  return parts.length === 0 || (parts.length === 2 && both.every((one) => parts.includes(one))) || both.join("") === parts.join(""); // prettier-ignore
}

const chosen = (field: Field): boolean => field.kind === "scalar" || field.kind === "code";

/** All columns of numbers, by stream. */
export const columnsOf = (entries: readonly StreamEntry[]): Column[] =>
  entries.flatMap(({ stream, schema: { fields } }) =>
    Object.keys(fields)
      .filter((name) => chosen(fields[name]!))
      .map((name) => columnOf(stream, fields, name)),
  );

/**
 * The modulus against the potential, where both are there: of a stream that holds them joined row by row, before the
 * two that the page shows as traces. A stream of single curves, which have an `index`, is too scattered to begin with.
 */
export function modulusAgainstPotential(
  entries: readonly StreamEntry[],
  shown: { readonly modulus: Shown; readonly voltage: Shown },
): Pair | undefined {
  const ofStream = ({ stream, schema: { fields } }: StreamEntry): Pair | undefined => {
    const of = (quantity: Quantity): Column[] =>
      Object.entries(fields)
        .filter(([name, field]) => field.kind === "scalar" && quantityOf(name, field) === quantity && !ACCESSORY.test(name))
        .map(([name]) => columnOf(stream, fields, name));
    const [y] = of("modulus").sort((a, b) => rank(b) - rank(a));
    const [x] = of("voltage").sort((a, b) => Number(isCell(b)) - Number(isCell(a)));
    return x && y && { x, y };
  };
  const joined = entries.flatMap((entry) => ofStream(entry) ?? []).sort((a, b) => rank(b.y) - rank(a.y));
  if (joined[0]) return joined[0];
  const column = (of: Shown): Column | undefined => {
    const entry = of && entries.find(({ stream }) => stream === of.stream);
    return entry && columnOf(entry.stream, entry.schema.fields, of.column);
  };
  const [x, y] = [column(shown.voltage), column(shown.modulus)];
  const single = entries.some(({ stream, schema }) => stream === y?.stream && "index" in schema.fields);
  return x && y && !single ? { x, y } : undefined;
} // prettier-ignore

type Shown = { readonly stream: string; readonly column: string } | undefined;

/** Columns that say how sure another is, and no value of their own. */
const ACCESSORY = /(^|_)(se|mad|sd|std|low|high|lower|upper|p\d+|age)$/;

/** The cell's, rather than a sensor's. */
const isCell = ({ column }: Column): boolean => /voltage(_volt)?$/.test(column);

/** A median over many curves before a mean before a single value; with an error before without. */
const rank = ({ column, error }: Column): number =>
  (column.endsWith("median") ? 4 : column.endsWith("mean") ? 2 : 0) + (error === undefined ? 0 : 1);
