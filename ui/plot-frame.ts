/** Frame, grid and marks of a small plot of one quantity against another, on a canvas. */
import { FONT } from "./picture.ts";
import { shortNumber } from "./readable-numbers.ts";
import { roundMarks } from "./steady-range.ts";

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export type Span = readonly [low: number, high: number];

/** A smaller plot shows the shape alone: marks at its axes would take the room of what they are for. Device pixels. */
export const hasRoom = (width: number, height: number, ratio: number): boolean =>
  width >= 200 * ratio && height >= 130 * ratio;

/** The plot's frame, and where values lie in it. */
export interface Plane {
  readonly box: Box;
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly ratio: number;
  readonly xs: Span;
  readonly ys: Span;
}

export function plane(c: CanvasRenderingContext2D, box: Box, xs: Span, ys: Span, ratio: number): Plane {
  const x = (v: number) => box.left + ((v - xs[0]) / (xs[1] - xs[0])) * (box.right - box.left);
  const y = (v: number) => box.bottom - ((v - ys[0]) / (ys[1] - ys[0])) * (box.bottom - box.top);
  c.strokeStyle = "#3a4048";
  c.lineWidth = ratio;
  c.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  return { box, x, y, ratio, xs, ys };
}

/** Round numbers on the left, with their lines; `factor` makes of a value what is read. */
export function marksLeft(
  c: CanvasRenderingContext2D,
  { box, y, ratio, ys }: Plane,
  factor: number,
  wanted = 4,
): void {
  const marks = roundMarks(ys[0] * factor, ys[1] * factor, wanted);
  const digits = digitsOf(marks);
  for (const mark of marks) {
    c.fillStyle = "#2f343b";
    c.fillRect(box.left, y(mark / factor), box.right - box.left, ratio);
    write(c, shortNumber(mark, digits), box.left - 5 * ratio, y(mark / factor) + 4 * ratio, "right", ratio);
  }
}

/** The same on the right, without lines: those are the left axis'. */
export function marksRight(
  c: CanvasRenderingContext2D,
  { box, y, ratio, ys }: Plane,
  factor: number,
  wanted = 4,
): void {
  const marks = roundMarks(ys[0] * factor, ys[1] * factor, wanted);
  const digits = digitsOf(marks);
  for (const mark of marks)
    write(c, shortNumber(mark, digits), box.right + 5 * ratio, y(mark / factor) + 4 * ratio, "left", ratio);
}

/** The same below. */
export function marksBelow(
  c: CanvasRenderingContext2D,
  { box, x, ratio, xs }: Plane,
  factor: number,
  { wanted = 5, lines = false } = {},
): void {
  const marks = roundMarks(xs[0] * factor, xs[1] * factor, wanted);
  const digits = digitsOf(marks);
  for (const mark of marks) {
    if (lines) {
      c.fillStyle = "#2f343b";
      c.fillRect(x(mark / factor), box.top, ratio, box.bottom - box.top);
    }
    write(c, shortNumber(mark, digits), x(mark / factor), box.bottom + 13 * ratio, "center", ratio);
  }
}

/** Neighbours that are close to each other and far from zero need more figures to be told apart. */
function digitsOf(marks: readonly number[]): number {
  if (marks.length < 2) return 3;
  const greatest = Math.max(...marks.map(Math.abs));
  return Math.min(9, Math.max(3, Math.ceil(Math.log10(greatest / (marks[1]! - marks[0]!)) + 1)));
}

export function write(
  c: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  align: CanvasTextAlign,
  ratio: number,
): void {
  c.font = `${11 * ratio}px ${FONT}`;
  c.fillStyle = "#a3abb5";
  c.textAlign = align;
  c.fillText(text, x, y);
}

/** Least and greatest of all that is finite, with a little room; undefined where nothing is. */
export function spanOf(lists: readonly ArrayLike<number>[], share = 0.05): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) {
      const value = list[i]!;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low <= high)) return undefined;
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/** A line through points; where one is missing, the pen is lifted. */
export function stroke(
  c: CanvasRenderingContext2D,
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  { x, y }: Pick<Plane, "x" | "y">,
  hue: string,
  width: number,
): void {
  c.strokeStyle = hue;
  c.lineWidth = width;
  c.beginPath();
  let pen = false;
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i]) || !Number.isFinite(xs[i])) {
      pen = false;
      continue;
    }
    if (pen) c.lineTo(x(xs[i]!), y(ys[i]!));
    else c.moveTo(x(xs[i]!), y(ys[i]!));
    pen = true;
  }
  c.stroke();
}

/** The shorter of the two grows until a unit is as long on both axes. */
export function equalSpans(box: Box, xs: Span, ys: Span): [Span, Span] {
  const [wide, high] = [box.right - box.left, box.bottom - box.top];
  const perPixel = Math.max((xs[1] - xs[0]) / wide, (ys[1] - ys[0]) / high);
  const about = ([low, high_]: Span, pixels: number): Span => {
    const [middle, half] = [(low + high_) / 2, (perPixel * pixels) / 2];
    return [middle - half, middle + half];
  };
  return [about(xs, wide), about(ys, high)];
}
