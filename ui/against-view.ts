/**
 * What the plots of one column against another have in common: the feeds of their streams over the span that the page
 * shows, points coloured by time, the point of the moment, and the cursor that follows the pointer to the nearest.
 */
import { css, type PropertyDeclarations, type PropertyValues } from "lit";
import { DrawnView } from "./drawn-view.ts";
import { colourAt } from "./colour-maps.ts";
import type { Ms } from "./client/types.ts";
import {
  equalSpans,
  marksBelow,
  hasRoom,
  marksLeft,
  plane,
  spanOf,
  write,
  type Box,
  type Plane,
  type Span,
} from "./plot-frame.ts";
import type { Column } from "./plot-panels.ts";
import { readableScale, type Scale } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { momentOf } from "./row-feed.ts";
import { cleared } from "./row-view.ts";
import { pointAt, pointsOf, type Points } from "./scatter.ts";
import { parts } from "./theme.ts";
import type { TraceBuffer } from "./trace-buffer.ts";
import { TraceFeed } from "./trace-feed.ts";

export const againstStyles = [
  parts,
  css`
    :host {
      display: flex;
      flex-direction: column;
      background: var(--panel);
      min-height: 0;
      padding: 4px 8px 4px;
      contain: strict;
    }
    header {
      display: flex;
      gap: 8px;
      align-items: baseline;
      white-space: nowrap;
      overflow: hidden;
    }
    h2,
    .said {
      overflow: hidden;
      text-overflow: ellipsis;
    }
    .said {
      flex: 1 1 0;
      min-width: 0;
      font-variant-numeric: tabular-nums;
    }
    header button {
      flex: none;
      padding: 0 5px;
      line-height: 15px;
      font-size: 12px;
    }
    .picture {
      flex: 1;
      min-height: 0;
      position: relative;
      margin-top: 2px;
    }
    :host(:not([large])) .picture {
      cursor: zoom-in;
    }
    canvas {
      position: absolute;
      inset: 0;
      width: 100%;
      height: 100%;
    }
  `,
];

/** What is drawn besides the points. */
export interface About {
  /** A unit of x is as long as one of y. */
  readonly equal: boolean;
  /** y grows downwards. */
  readonly downwards: boolean;
  /** Joins the points in the order of time. */
  readonly joined: boolean;
}

/** A pointer further than this from any point is at none, CSS pixels. */
const NEAR_px = 24;

export abstract class AgainstView extends DrawnView {
  static override properties: PropertyDeclarations = {
    ...DrawnView.properties,
    large: { type: Boolean, reflect: true },
  };
  /** Opened: as large as the page has room for. */
  declare large: boolean;

  readonly heavy = true;
  readonly #feeds = new Map<string, TraceFeed>();
  #feedKey = "";
  #plane: Plane | undefined;
  #hovered = false;
  protected points: Points | undefined;

  /** What is drawn against what; undefined while nothing is chosen. */
  protected abstract get pair(): { readonly x: Column; readonly y: Column } | undefined;
  /** Columns wanted beside them, by stream. */
  protected extra(): readonly { readonly stream: string; readonly column: string }[] {
    return [];
  }
  protected abstract get about(): About;
  /** On top of the points. */
  protected decorate(_c: CanvasRenderingContext2D, _plane: Plane, _at: number): void {}
  /** The values of the point of the moment, -1 where there is none. */
  protected abstract tell(at: number): void;

  constructor() {
    super();
    this.large = false;
  }

  /** After the columns have changed. */
  protected openFeeds(): void {
    const { pair, page } = this;
    const wanted = new Map<string, Set<string>>();
    const want = (stream: string, column: string | undefined): void => {
      if (column === undefined) return;
      wanted.set(stream, (wanted.get(stream) ?? new Set()).add(column));
    };
    for (const one of pair ? [pair.x, pair.y] : []) {
      want(one.stream, one.column);
      want(one.stream, one.error);
    }
    if (pair) for (const { stream, column } of this.extra()) want(stream, column);
    const key = [...wanted].map(([stream, columns]) => `${stream}:${[...columns].join()}`).join("\n");
    if (key === this.#feedKey) return;
    this.#close();
    this.#feedKey = key;
    const onData = (newest: Ms): void => {
      page.received(newest);
      this.invalidate();
    };
    for (const [stream, columns] of wanted)
      this.#feeds.set(stream, new TraceFeed({ client: page.client, axis: page.axis, stream, columns: [...columns], onData })); // prettier-ignore
    this.invalidate();
  }

  #close(): void {
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    this.#feedKey = "";
  }

  protected override get drawn(): Element {
    return this.renderRoot.querySelector(".picture")!;
  }

  protected open(): (() => void)[] {
    const { page } = this;
    this.openFeeds();
    const picture = this.renderRoot.querySelector<HTMLElement>(".picture")!;
    const move = (event: PointerEvent): void => this.#pointed(event);
    const leave = (): void => {
      if (this.#hovered) page.axis.point(undefined);
      this.#hovered = false;
    };
    picture.addEventListener("pointermove", move);
    picture.addEventListener("pointerleave", leave);
    return [
      () => picture.removeEventListener("pointermove", move),
      () => picture.removeEventListener("pointerleave", leave),
      page.axis.onChange(() => this.invalidate()),
      () => this.#close(),
    ];
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("large") && this.hasUpdated) {
      this.invalidate();
      void this.updateComplete.then(() => this.scrollIntoView({ block: "nearest" }));
    }
  }

  protected buffer(stream: string): TraceBuffer | undefined {
    return this.#feeds.get(stream)?.shown;
  }

  draw(): void {
    const { c, width, height, ratio } = cleared(this.renderRoot.querySelector("canvas")!);
    const { pair, page } = this;
    const [x, y] = [pair && this.buffer(pair.x.stream), pair && this.buffer(pair.y.stream)];
    this.#plane = undefined;
    if (!pair || !x || !y) return this.tell(-1);
    const { from, to } = page.axis.range;
    const points = pointsOf(
      { buffer: x, column: pair.x.column },
      { buffer: y, column: pair.y.column },
      from,
      to,
    );
    this.points = points;
    const n = points.time.length;
    const at = pointAt(points, momentOf(page.axis) ?? Infinity);
    const xs = spanOf([points.xLow, points.xHigh], 0.08);
    const ys = spanOf([points.yLow, points.yHigh], 0.08);
    if (!xs || !ys) {
      write(c, "no points in the span on show", width / 2, height / 2, "center", ratio);
      return this.tell(-1);
    }
    const marked = hasRoom(width, height, ratio);
    const box: Box = marked
      ? { left: 46 * ratio, right: width - 6 * ratio, top: 4 * ratio, bottom: height - 30 * ratio }
      : { left: ratio, right: width - ratio, top: ratio, bottom: height - ratio };
    const [xsEqual, ysEqual] = this.about.equal ? equalSpans(box, xs, ys) : [xs, ys];
    const ysDrawn: Span = this.about.downwards ? [ysEqual[1], ysEqual[0]] : ysEqual;
    const on = plane(c, box, xsEqual, ysDrawn, ratio);
    this.#plane = on;
    const xScale = scaleOf(pair.x.unit, xsEqual);
    const yScale = this.about.equal ? xScale : scaleOf(pair.y.unit, ysEqual);
    if (marked) {
      const rows = Math.max(2, Math.floor((box.bottom - box.top) / (26 * ratio)));
      marksLeft(c, { ...on, ys: ysEqual }, yScale.factor, rows);
      marksBelow(c, on, xScale.factor, { wanted: Math.max(2, Math.floor((box.right - box.left) / (60 * ratio))), lines: true }); // prettier-ignore
    }
    c.save();
    c.beginPath();
    c.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    c.clip();
    this.#drawPoints(c, on, points, Math.max(0, at));
    if (at >= 0) dot(c, on.x(points.x[at]!), on.y(points.y[at]!), ratio);
    this.decorate(c, on, at);
    c.restore();
    this.tell(at);
    if (!marked) return;
    write(c, axisName(pair.x, xScale), (box.left + box.right) / 2, height - 3 * ratio, "center", ratio);
    const name = axisName(pair.y, yScale);
    write(c, name, box.left + 5 * ratio, box.top + 11 * ratio, "left", ratio);
    const nameEnds = box.left + 5 * ratio + c.measureText(name).width;
    if (n > 1) timeBar(c, box, [points.time[0]!, points.time[n - 1]!], nameEnds, ratio);
  } // prettier-ignore

  /** What lies after the moment on show is not known at that moment: it stays pale. */
  #drawPoints(c: CanvasRenderingContext2D, on: Plane, points: Points, at: number): void {
    const { time, x, y, xLow, xHigh, yLow, yHigh } = points;
    const { ratio } = on;
    const n = time.length;
    const [first, last] = [time[0]!, time[n - 1]!];
    const colour = (i: number): string => {
      const [r, g, b] = colourAt("viridis", last > first ? (time[i]! - first) / (last - first) : 1);
      return `rgb(${r} ${g} ${b})`;
    };
    const size = (this.large ? 4 : 2.4) * ratio;
    for (let i = 0; i < n; i++) {
      const [px, py] = [on.x(x[i]!), on.y(y[i]!)];
      c.globalAlpha = i <= at ? 1 : 0.25;
      c.fillStyle = c.strokeStyle = colour(i);
      if (this.about.joined && i > 0) {
        c.lineWidth = ratio;
        c.beginPath();
        c.moveTo(on.x(x[i - 1]!), on.y(y[i - 1]!));
        c.lineTo(px, py);
        c.stroke();
      }
      if (xHigh[i]! > xLow[i]!) c.fillRect(on.x(xLow[i]!), py - ratio / 2, on.x(xHigh[i]!) - on.x(xLow[i]!), ratio); // prettier-ignore
      if (yHigh[i]! > yLow[i]!) c.fillRect(px - ratio / 2, on.y(yHigh[i]!), ratio, on.y(yLow[i]!) - on.y(yHigh[i]!)); // prettier-ignore
      c.fillRect(px - size / 2, py - size / 2, size, size);
    }
    c.globalAlpha = 1;
  }

  /** The moment of the nearest point becomes that of the whole page. */
  #pointed({ clientX, clientY }: PointerEvent): void {
    const { points } = this;
    const on = this.#plane;
    if (!on || !points) return;
    const { left, top } = this.renderRoot.querySelector(".picture")!.getBoundingClientRect();
    const [px, py] = [(clientX - left) * on.ratio, (clientY - top) * on.ratio];
    let nearest = -1;
    let best = NEAR_px * on.ratio;
    for (let i = 0; i < points.time.length; i++) {
      const distance = Math.hypot(on.x(points.x[i]!) - px, on.y(points.y[i]!) - py);
      if (distance >= best) continue;
      best = distance;
      nearest = i;
    }
    if (nearest < 0 && !this.#hovered) return;
    this.#hovered = nearest >= 0;
    this.page.axis.point(nearest < 0 ? undefined : points.time[nearest]!);
  }
}

const scaleOf = (unit: string, [low, high]: Span): Scale =>
  readableScale(unit, Math.max(Math.abs(low), Math.abs(high)));

const axisName = ({ title }: Column, { unit }: Scale): string => `${title}${unit && `, ${unit}`}`;

/** The point of the moment: not a ring, which would look like an error. */
function dot(c: CanvasRenderingContext2D, x: number, y: number, ratio: number): void {
  c.fillStyle = "#000";
  c.fillRect(x - 4 * ratio, y - 4 * ratio, 8 * ratio, 8 * ratio);
  c.fillStyle = "#fff";
  c.fillRect(x - 2.5 * ratio, y - 2.5 * ratio, 5 * ratio, 5 * ratio);
}

/** Which colour is which time, in the upper right corner; a line lower where the axis' name reaches so far. */
function timeBar(
  c: CanvasRenderingContext2D,
  box: Box,
  [first, last]: Span,
  nameEnds: number,
  ratio: number,
): void {
  const [wide, high] = [40 * ratio, 5 * ratio];
  const [from, to] = [timeOfDay(first).slice(0, 5), timeOfDay(last).slice(0, 5)];
  c.font = `${11 * ratio}px sans-serif`;
  const toWide = c.measureText(to).width + 4 * ratio;
  const left = box.right - toWide - wide - 6 * ratio;
  const begins = left - 5 * ratio - c.measureText(from).width;
  const y = box.top + (begins > nameEnds + 8 * ratio ? 11 : 25) * ratio;
  write(c, to, box.right - 4 * ratio, y, "right", ratio);
  write(c, from, left - 5 * ratio, y, "right", ratio);
  for (let i = 0; i < wide; i++) {
    const [r, g, b] = colourAt("viridis", i / wide);
    c.fillStyle = `rgb(${r} ${g} ${b})`;
    c.fillRect(left + i, y - high - ratio, 1, high);
  }
}
