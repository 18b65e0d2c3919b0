import { WiringError } from "../../runtime/index.ts";

/**
 * Places of an image, in pixels: x is the column, y the row, both from 0 at the middle of the first pixel.
 *
 *     x0,y0,x1,y1     columns x0 ≤ x < x1 of rows y0 ≤ y < y1
 *     circle x,y,r    pixels whose middle is no further than r from (x, y)
 */
export type Shape =
  | { readonly kind: "rectangle"; readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number }
  | { readonly kind: "circle"; readonly x: number; readonly y: number; readonly r: number }; // prettier-ignore

/** Of each row of an image the columns first ≤ x < end; none where first = end. */
export interface PixelSpans {
  readonly first: Int32Array;
  readonly end: Int32Array;
}

/** Reads a shape, and checks that it lies on the image where the image's size is known. */
export function readShape(option: string, text: string, rows?: unknown, cols?: unknown): Shape {
  const [, round, list] = /^\s*(circle\s)?(.*)$/s.exec(text)!;
  const numbers = list!.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  const wanted = `${option}: "${text}" is not a place; wanted "x0,y0,x1,y1" or "circle x,y,r" in px`;
  if (numbers.length !== (round ? 3 : 4) || !numbers.every(Number.isFinite)) throw new WiringError(wanted);
  const known = typeof rows === "number" && typeof cols === "number";
  const off = (): WiringError =>
    new WiringError(
      `${option}: "${text}" reaches beyond the image, which has ${cols} columns (x) and ${rows} rows (y)`,
    );
  if (round) {
    const [x, y, r] = numbers as [number, number, number];
    if (!(r >= 0)) throw new WiringError(`${option}: "${text}" has a radius below 0`);
    if (known && (x - r < -0.5 || y - r < -0.5 || x + r > cols - 0.5 || y + r > rows - 0.5)) throw off();
    return { kind: "circle", x, y, r };
  }
  const [x0, y0, x1, y1] = numbers as [number, number, number, number];
  if (!numbers.every(Number.isInteger))
    throw new WiringError(`${option}: "${text}" must be whole pixels, x0 ≤ x < x1 and y0 ≤ y < y1`);
  if (x1 <= x0 || y1 <= y0)
    throw new WiringError(`${option}: "${text}" is empty; x1 and y1 are the first column and row beyond it`);
  if (known && (x0 < 0 || y0 < 0 || x1 > cols || y1 > rows)) throw off();
  return { kind: "rectangle", x0, y0, x1, y1 };
}

/** Pixels of an image that lie in all of the shapes. */
export function spansOf(rows: number, cols: number, shapes: readonly Shape[]): PixelSpans {
  const first = new Int32Array(rows);
  const end = new Int32Array(rows).fill(cols);
  for (const shape of shapes) {
    for (let y = 0; y < rows; y++) {
      let [from, to] = [0, 0];
      if (shape.kind === "rectangle") {
        if (y >= shape.y0 && y < shape.y1) [from, to] = [shape.x0, shape.x1];
      } else {
        const half = Math.sqrt(shape.r ** 2 - (shape.y - y) ** 2); // NaN where the whole row is beyond
        if (half >= 0) [from, to] = [Math.ceil(shape.x - half), Math.floor(shape.x + half) + 1];
      }
      first[y] = Math.max(first[y]!, from);
      end[y] = Math.max(first[y]!, Math.min(end[y]!, to));
    }
  }
  return { first, end };
}
