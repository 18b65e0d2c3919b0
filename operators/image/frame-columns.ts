import { parseQuantity, WiringError, type Field, type Fields } from "../../runtime/index.ts";
import { readShape, spansOf, type PixelSpans } from "./pixel-spans.ts";

/** The column `data` of a stream of frames of any unit. */
export function frameField(port: string, fields: Fields): Field {
  const field = fields["data"];
  if (field?.kind !== "image" || field.type === "i64") {
    throw new WiringError(
      `${port} needs a column data of images; it has ${Object.keys(fields).join(", ") || "no columns"}`,
    );
  }
  return field;
}

/** Columns that go along with a row of results: whose frame it is, in which direction it was scanned, and so on. */
export function carriedBeside(fields: Fields, own: readonly string[]): [string, Field][] {
  return Object.entries(fields).filter(
    ([name, { kind }]) => kind !== "image" && kind !== "curve" && name !== "data" && !own.includes(name),
  );
}

/** Trace and retrace are two series; frames without a direction are one. */
export const seriesOf = (row: { readonly direction?: number }): number => row.direction ?? 0;

/** What is wrong with a written place; "" stands for the whole frame. */
export const placeMistake =
  (option: string) =>
  (place: string): string | undefined => {
    try {
      if (place !== "") readShape(option, place);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };

/** Pixels of a place, all for "". Throws WiringError where it reaches beyond the frame. */
export function pixelsWithin(option: string, place: string, shape: Field["shape"] = []): PixelSpans | undefined {
  const [rows, cols] = shape;
  const read = place === "" ? undefined : readShape(option, place, rows, cols);
  return typeof rows === "number" && typeof cols === "number" ? spansOf(rows, cols, read ? [read] : []) : undefined;
} // prettier-ignore

/** Metres from pixel to pixel along x and y, by hand or as the stream's metadata say; NaN where nobody does. */
export function pixelSize(byHand_m: number, metadata: Readonly<Record<string, string>>): { x_m: number; y_m: number } {
  const read = (name: string): number => {
    const size = Number(metadata[name]);
    return Number.isNaN(byHand_m) ? (size > 0 && size < Infinity ? size : NaN) : byHand_m;
  };
  return { x_m: read("pixel_size_x"), y_m: read("pixel_size_y") };
} // prettier-ignore

/** An option with a unit that must be that of the frames, which only their stream tells; NaN for "". */
export function numberIn(option: string, said: string, unit: string): number {
  if (said === "") return NaN;
  try {
    return parseQuantity(said, unit);
  } catch (error) {
    throw new WiringError(`${option}: ${(error as Error).message}; wanted a number in ${unit}`);
  }
}

export const numberMistake =
  (such: string) =>
  (said: string): string | undefined =>
    said === "" || /^\s*[+-]?\.?\d/.test(said)
      ? undefined
      : `"${said}" is not a number with a unit, such as "${such}"`;
