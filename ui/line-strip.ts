/**
 * The potential of each scan line, drawn along the slow axis of an image: what the cell's voltage was when the line
 * was taken. Asks for the span of one frame at a time, in about as many buckets as the frame has lines.
 */
import type { Client, Subscription } from "./client/types.ts";
import { lineTime, type LineTimes } from "./line-times.ts";
import type { Trace } from "./panels.ts";
import { FONT, yOf, type Placement } from "./picture.ts";
import { readableNumber, readableScale } from "./readable-numbers.ts";
import { TraceBuffer } from "./trace-buffer.ts";

/** Buckets of a frame at the most. */
const MOST = 1024;
/** Room that it takes beside the image, CSS pixels. */
export const STRIP_px = 46;

export class LineStrip {
  readonly #client: Pick<Client, "subscribe">;
  readonly #of: Trace;
  readonly #onData: () => void;
  readonly #buffer = new TraceBuffer(2 * MOST);
  #times: LineTimes | undefined;
  #question: Subscription | undefined;

  constructor(client: Pick<Client, "subscribe">, of: Trace, onData: () => void) {
    this.#client = client;
    this.#of = of;
    this.#onData = onData;
  }

  /** The frame on show. */
  see(times: LineTimes): void {
    const known = this.#times;
    if (known?.first === times.first && known.last === times.last && known.rows === times.rows) return;
    this.#times = times;
    this.#buffer.clear();
    const [from, to] = [Math.min(times.first, times.last), Math.max(times.first, times.last)];
    const width = (to - from) / Math.max(1, times.rows - 1);
    const { stream, column } = this.#of;
    // One line more before it: the value as of the first line may be older.
    const request = { stream, columns: [column], from: from - width, to: to + width, maxPoints: Math.min(MOST, times.rows + 2) }; // prettier-ignore
    if (this.#question) this.#question.change(request);
    else
      this.#question = this.#client.subscribe(request, (frame) => {
        if (frame.kind !== "trace") return;
        this.#buffer.push(frame);
        this.#onData();
      });
  }

  close(): void {
    this.#question?.close();
    this.#question = this.#times = undefined;
  }

  /** Potential of each line, NaN where it was not measured, by row of the image. */
  get values(): Float64Array {
    const times = this.#times;
    if (!times) return new Float64Array(0);
    const { length, time } = this.#buffer;
    // A bucket is known by its middle: half of it may lie after the line.
    const half = length > 1 ? (time[1]! - time[0]!) / 2 : 0;
    return Float64Array.from({ length: times.rows }, (_, k) => {
      const at = this.#buffer.at(this.#of.column, lineTime(times, k) + half);
      return at ? (at.min + at.max) / 2 : NaN;
    });
  }

  /** "3.412 V … 3.532 V", in the order of time; empty while nothing is known. */
  get said(): string {
    const ends = this.#ends();
    return ends ? `${ends.begin} to ${ends.end}` : "";
  }

  #ends(): { begin: string; end: string; rowOrder: boolean } | undefined {
    const { values } = this;
    const rowOrder = this.#times !== undefined && this.#times.first <= this.#times.last;
    const inTime = rowOrder ? values : values.toReversed();
    const begin = inTime.find(Number.isFinite);
    const end = inTime.findLast(Number.isFinite);
    if (begin === undefined || end === undefined) return undefined;
    const scale = readableScale(this.#of.unit, Math.max(Math.abs(begin), Math.abs(end)));
    const text = (value: number) => `${readableNumber(value * scale.factor, 4)} ${scale.unit}`;
    return { begin: text(begin), end: text(end), rowOrder };
  }

  /** To the right of the image. */
  draw(c: CanvasRenderingContext2D, at: Placement): void {
    const ends = this.#ends();
    if (!ends) return;
    const { top, height, ratio } = at;
    const left = at.left + at.width + 5 * ratio;
    const right = left + (STRIP_px - 7) * ratio;
    const { values } = this;
    const known = values.filter(Number.isFinite);
    const [low, high] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
    c.fillStyle = "#1b1d21";
    c.fillRect(left, top, right - left, height);
    const x = (value: number) =>
      left + 3 * ratio + (high > low ? (value - low) / (high - low) : 0.5) * (right - left - 6 * ratio);
    c.strokeStyle = this.#of.hue;
    c.lineWidth = 1.3 * ratio;
    c.beginPath();
    let pen = false;
    values.forEach((value, row) => {
      if (!Number.isFinite(value)) return void (pen = false);
      if (pen) c.lineTo(x(value), yOf(at, row));
      else c.moveTo(x(value), yOf(at, row));
      pen = true;
    });
    c.stroke();
    // The values at the ends, that of row 0 where row 0 is.
    const size = Math.min(10.5, (10.5 * (right - left)) / (39 * ratio)) * ratio;
    c.font = `${size}px ${FONT}`;
    c.textAlign = "center";
    const [ofRow0, ofLast] = ends.rowOrder ? [ends.begin, ends.end] : [ends.end, ends.begin];
    const [above, below] = at.flipped ? [ofLast, ofRow0] : [ofRow0, ofLast];
    for (const [text, y] of [
      [above, top + size],
      [below, top + height - 3 * ratio],
    ] as const) {
      const wide = c.measureText(text).width;
      c.fillStyle = "#1b1d21d0";
      c.fillRect((left + right - wide) / 2 - ratio, y - size, wide + 2 * ratio, size + 3 * ratio);
      c.fillStyle = "#e4e6e9";
      c.fillText(text, (left + right) / 2, y);
    }
  }
}
