/** One image at its own size, painted once and stretched as often as needed; its buffers are used again. */
import { limits, paint, type ColourMap, type Limits } from "./colour-maps.ts";
import { readableQuantity, roundLength } from "./readable-numbers.ts";
import type { Region } from "./region.ts";

export interface Colours {
  readonly map: ColourMap;
  readonly scale: "linear" | "log" | "centred";
}

/** Where an image lies on a canvas, in device pixels. */
export interface Placement {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly rows: number;
  readonly columns: number;
  readonly ratio: number;
  /** Row 0 lies at the bottom: its y is the smallest. */
  readonly flipped: boolean;
}

/** Where the middle of a column, or of a row, lies on the canvas; fractions lie between. */
export const xOf = ({ left, width, columns }: Placement, column: number): number =>
  left + ((column + 0.5) / columns) * width;
export function yOf({ top, height, rows, flipped }: Placement, row: number): number {
  const down = (row + 0.5) / rows;
  return top + (flipped ? 1 - down : down) * height;
}

/** The place in the image, [column, row], of a place on the canvas. */
export function pixelAt({ left, top, width, height, rows, columns, flipped }: Placement, x: number, y: number): readonly [number, number] {
  const down = (y - top) / height;
  return [((x - left) / width) * columns - 0.5, (flipped ? 1 - down : down) * rows - 0.5];
} // prettier-ignore

export class Picture {
  readonly #own = document.createElement("canvas");
  readonly #context = this.#own.getContext("2d")!;
  #pixels: ImageData | undefined;
  #words = new Uint32Array(0);
  rows = 0;
  columns = 0;
  /** Of its own values; undefined where nothing was measured. */
  limits: Limits | undefined;

  /** Takes the values in; `within` are the limits to paint with, if not its own. */
  paint(
    values: ArrayLike<number>,
    [rows, columns]: readonly [number, number],
    { map, scale }: Colours,
    within?: (own: Limits | undefined) => Limits | undefined,
  ): Limits | undefined {
    if (!this.#pixels || rows !== this.rows || columns !== this.columns) {
      [this.rows, this.columns] = [rows, columns];
      Object.assign(this.#own, { width: columns, height: rows });
      this.#pixels = this.#context.createImageData(columns, rows);
      this.#words = new Uint32Array(this.#pixels.data.buffer);
    }
    this.limits = limits(values, scale);
    const used = within ? within(this.limits) : this.limits;
    if (used) paint(values, this.#words, { map, limits: used, log: scale === "log" });
    else this.#words.fill(0);
    this.#context.putImageData(this.#pixels, 0, 0);
    return used;
  }

  /**
   * Stretches it over a canvas, its pixels as wide and high as on the sample, or, where its sides are not both lengths,
   * as it fits; what was not measured is hatched.
   */
  stretch(
    c: CanvasRenderingContext2D,
    { width, height, ratio }: { width: number; height: number; ratio: number },
    pixel_m: { readonly x: number; readonly y: number },
    { fit = "middle", flipped = false }: { fit?: "top" | "middle" | "fill"; flipped?: boolean } = {},
  ): Placement {
    const { rows, columns } = this;
    const own = (columns * (pixel_m.x || 1)) / (rows * (pixel_m.y || pixel_m.x || 1));
    const aspect = fit === "fill" ? width / height : own;
    const wide = Math.min(width, height * aspect);
    const [w, h] = [Math.round(wide), Math.round(wide / aspect)];
    const [left, top] = [Math.round((width - w) / 2), fit === "top" ? 0 : Math.round((height - h) / 2)];
    hatch(c, { left, top, width: w, height: h, ratio });
    c.imageSmoothingEnabled = false;
    c.save();
    if (flipped) c.transform(1, 0, 0, -1, 0, 2 * top + h);
    c.drawImage(this.#own, left, top, w, h);
    c.restore();
    return { left, top, width: w, height: h, rows, columns, ratio, flipped };
  }
}

type Box = Pick<Placement, "left" | "top" | "width" | "height" | "ratio">;

/** The ground under an image: what was not measured shows as hatching. */
function hatch(c: CanvasRenderingContext2D, { left, top, width, height, ratio }: Box): void {
  c.save();
  c.beginPath();
  c.rect(left, top, width, height);
  c.clip();
  c.fillStyle = "#2b2f35";
  c.fillRect(left, top, width, height);
  c.strokeStyle = "#4a515b";
  c.lineWidth = ratio;
  c.beginPath();
  for (let at = -height; at < width; at += 7 * ratio) {
    c.moveTo(left + at, top + height);
    c.lineTo(left + at + height, top);
  }
  c.stroke();
  c.restore();
}

export const FONT = "Inter, 'Noto Sans', 'Liberation Sans', Arial, sans-serif";

/** A round length on the sample, in the lower left corner. */
export function scaleBar(c: CanvasRenderingContext2D, at: Placement, pixel_m: number): void {
  const { left, top, width, height, columns, ratio } = at;
  const span_m = columns * pixel_m;
  const length_m = roundLength(span_m * 0.35);
  const length = (length_m / span_m) * width;
  const text = readableQuantity(length_m, "m", 1);
  const [x, y] = [left + 9 * ratio, top + height - 9 * ratio];
  c.font = `${11 * ratio}px ${FONT}`;
  c.textAlign = "left";
  const wide = Math.max(length, c.measureText(text).width);
  c.fillStyle = "#000a";
  c.fillRect(x - 5 * ratio, y - 17 * ratio, wide + 10 * ratio, 22 * ratio);
  c.fillStyle = "#fff";
  c.fillRect(x, y - 2 * ratio, length, 3 * ratio);
  c.fillText(text, x, y - 5 * ratio);
}

/** Lines of text in the upper left corner. */
export function caption(c: CanvasRenderingContext2D, at: Placement, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const { left, top, width, ratio } = at;
  const size = Math.min(11, (11 * width) / (190 * ratio)) * ratio;
  c.font = `${size}px ${FONT}`;
  c.textAlign = "left";
  const wide = Math.max(...lines.map((line) => c.measureText(line).width));
  c.fillStyle = "#000a";
  c.fillRect(left, top, wide + 10 * ratio, (lines.length * 1.3 + 0.4) * size);
  c.fillStyle = "#fff";
  lines.forEach((line, i) => c.fillText(line, left + 5 * ratio, top + (1.1 + i * 1.3) * size));
}

export interface Mark {
  /** Place in the image, in its pixels; one of the two. */
  readonly column?: number;
  readonly row?: number;
  readonly hue: string;
}

/** Lines where other planes cut the image. */
export function crosshair(c: CanvasRenderingContext2D, at: Placement, marks: readonly Mark[]): void {
  const { left, top, width, height, rows, columns, ratio } = at;
  c.globalAlpha = 0.75;
  for (const { column, row, hue } of marks) {
    c.fillStyle = hue;
    if (column !== undefined && column > -0.5 && column < columns - 0.5)
      c.fillRect(xOf(at, column) - ratio / 2, top, ratio, height);
    if (row !== undefined && row > -0.5 && row < rows - 0.5)
      c.fillRect(left, yOf(at, row) - ratio / 2, width, ratio);
  }
  c.globalAlpha = 1;
}

/** The edge of a region. */
export function outline(c: CanvasRenderingContext2D, at: Placement, region: Region): void {
  const { width, height, rows, columns, ratio } = at;
  c.beginPath();
  if (region.kind === "circle") {
    const { x, y, r } = region;
    c.ellipse(xOf(at, x), yOf(at, y), (r / columns) * width, (r / rows) * height, 0, 0, 2 * Math.PI);
  } else {
    const [x0, x1] = [xOf(at, region.x0 - 0.5), xOf(at, region.x1 - 0.5)];
    const [y0, y1] = [yOf(at, region.y0 - 0.5), yOf(at, region.y1 - 0.5)];
    c.rect(x0, Math.min(y0, y1), x1 - x0, Math.abs(y1 - y0));
  }
  outlined(c, ratio);
}

/** One pixel of the image, framed; never too small to be seen. */
export function framePixel(
  c: CanvasRenderingContext2D,
  at: Placement,
  [column, row]: readonly [number, number],
  hue: string,
): void {
  const { width, height, rows, columns, ratio } = at;
  const wide = Math.max(width / columns, 5 * ratio);
  const high = Math.max(height / rows, 5 * ratio);
  c.beginPath();
  c.rect(xOf(at, column) - wide / 2, yOf(at, row) - high / 2, wide, high);
  outlined(c, ratio, hue);
}

/** Dark under light, so that it stands out on any ground. */
function outlined(c: CanvasRenderingContext2D, ratio: number, hue = "#ffd75e"): void {
  c.lineWidth = 3 * ratio;
  c.strokeStyle = "#000a";
  c.stroke();
  c.lineWidth = 1.5 * ratio;
  c.strokeStyle = hue;
  c.stroke();
}
