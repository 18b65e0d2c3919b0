/**
 * Efficiency of each cycle with its error, its capacities on a second axis, and how far the efficiency of the cycle that
 * is going on is known: an open mark that points to where it may still go.
 */
import { css, html, type PropertyDeclarations, type PropertyValues } from "lit";
import { againstStyles } from "./against-view.ts";
import type { Ms, Subscription } from "./client/types.ts";
import type { EfficiencyPanel, PerCycle } from "./cycle-panels.ts";
import { DrawnView } from "./drawn-view.ts";
import {
  hasRoom,
  marksBelow,
  marksLeft,
  marksRight,
  plane,
  spanOf,
  write,
  type Box,
  type Plane,
  type Span,
} from "./plot-frame.ts";
import { largerButton } from "./larger-button.ts";
import { HUES } from "./quantities.ts";
import { readableNumber, readableScale, readableWithError, type Scale } from "./readable-numbers.ts";
import { momentOf, RowFeed } from "./row-feed.ts";
import { cleared } from "./row-view.ts";
import { fromStart } from "./stream-start.ts";
import { TraceBuffer } from "./trace-buffer.ts";

/** Buckets of a whole run: up to so many cycles stand alone, beyond it several share a mark of least and greatest. */
const POINTS = 4096;
const NEAR_px = 24;
const EFFICIENCY = "#e4e6e9";
const PERCENT: Scale = { factor: 100, unit: "%" };

/** One cycle, or several that lie in one bucket. */
interface Point {
  readonly time: Ms;
  readonly cycle: number;
  readonly last: number;
  readonly low: number;
  readonly high: number;
  readonly error: number;
  /** It says that something is the matter with it: charge or discharge missing, the stream ended in it. */
  readonly marked: boolean;
}

interface Feed {
  readonly buffer: TraceBuffer;
  readonly stop: () => void;
}

export class OpEfficiency extends DrawnView {
  static override properties: PropertyDeclarations = {
    ...DrawnView.properties,
    panel: { attribute: false },
    large: { type: Boolean, reflect: true },
  };
  declare panel: EfficiencyPanel;
  declare large: boolean;

  static override styles = [
    ...againstStyles,
    css`
      h2 {
        flex: none;
      }
      .said {
        text-align: right;
        font-size: 12px;
      }
    `,
  ];

  readonly heavy = true;
  readonly #feeds = new Map<string, Feed>();
  #bound: RowFeed | undefined;
  /** Where cycles were drawn, device pixels. */
  #marks: { cycle: number; x: number; y: number }[] = [];
  #ratio = 1;
  #picked: number | undefined;

  constructor() {
    super();
    this.large = false;
  }

  override render() {
    const { title } = this.panel;
    return html`
      <header>
        <h2>${title}</h2>
        <span class="said"></span>
        ${largerButton(this, title)}
      </header>
      <div
        class="picture"
        role="img"
        tabindex=${this.large ? 0 : -1}
        @click=${() => this.large || this.dispatchEvent(new CustomEvent("open"))}
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
        @pointermove=${(event: PointerEvent) => this.#pointed(event)}
        @pointerleave=${() => this.#pick(undefined)}
      >
        <canvas></canvas>
      </div>
    `;
  }

  protected override get drawn(): Element {
    return this.renderRoot.querySelector(".picture")!;
  }

  protected open(): (() => void)[] {
    const { page, panel } = this;
    const wanted = new Map<string, Set<string>>();
    for (const { stream, column, error } of [...(panel.efficiency ? [panel.efficiency] : []), ...panel.capacities]) {
      const columns = wanted.get(stream) ?? new Set(["cycle_index"]);
      for (const name of [column, error, "status"]) if (name !== undefined && page.client.catalogue.get(stream)?.schema.fields[name]) columns.add(name);
      wanted.set(stream, columns);
    }
    for (const [stream, columns] of wanted) this.#feeds.set(stream, this.#feed(stream, [...columns]));
    const { bound } = panel;
    if (bound) {
      const columns = ["cycle_index", bound.column, ...(bound.error === undefined ? [] : [bound.error]), ...(bound.side ? ["side"] : [])];
      const onData = (newest: Ms): void => this.#received(newest);
      this.#bound = new RowFeed({ client: page.client, axis: page.axis, stream: bound.stream, columns, onData });
    }
    return [
      page.axis.onChange((change) => void (change !== "time" && this.invalidate())),
      () => {
        for (const { stop } of this.#feeds.values()) stop();
        this.#feeds.clear();
        this.#bound?.close();
        this.#bound = undefined;
      },
    ];
  } // prettier-ignore

  readonly #received = (newest: Ms): void => {
    this.page.received(newest);
    this.invalidate();
  };

  #feed(stream: string, columns: readonly string[]): Feed {
    const { client } = this.page;
    const buffer = new TraceBuffer(2 * POINTS);
    const stop = fromStart(client, stream, (first) => {
      buffer.clear();
      const request = { stream, columns, from: first, to: "live", maxPoints: POINTS } as const;
      const subscription: Subscription = client.subscribe(request, (frame) => {
        if (frame.kind !== "trace") return;
        buffer.push(frame);
        this.#received(frame.lastTime ?? NaN);
      });
      return subscription;
    });
    return { buffer, stop };
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!this.hasUpdated) return;
    this.invalidate();
    if (changed.has("large")) void this.updateComplete.then(() => this.scrollIntoView({ block: "nearest" }));
  }

  /** Cycles that had ended at a moment. */
  #points({ stream, column, error }: PerCycle, moment: Ms): Point[] {
    const buffer = this.#feeds.get(stream)?.buffer;
    const [values, cycles] = [buffer?.columns.get(column), buffer?.columns.get("cycle_index")];
    if (!buffer || !values || !cycles) return [];
    const errors = error === undefined ? undefined : buffer.columns.get(error);
    const status = buffer.columns.get("status");
    const found: Point[] = [];
    for (let i = 0; i < buffer.length && buffer.time[i]! <= moment; i++) {
      if (cycles.count[i] === 0 || values.count[i] === 0 || Number.isNaN(values.min[i]!)) continue;
      found.push({
        time: buffer.time[i]!, cycle: cycles.min[i]!, last: cycles.max[i]!, low: values.min[i]!, high: values.max[i]!,
        error: errors && errors.count[i]! > 0 ? errors.max[i]! : NaN, marked: status !== undefined && status.max[i]! > 0,
      }); // prettier-ignore
    }
    return found;
  }

  /** How far the efficiency of a cycle later than these is known. */
  #boundAt(moment: Ms | undefined, after: number): { cycle: number; value: number; error: number; lower: boolean } | undefined {
    const { bound } = this.panel;
    const row = this.#bound?.shown(moment);
    if (!bound || !row) return undefined;
    const of = (name: string | undefined): number => (name === undefined ? NaN : Number((row.frame.columns[name] as ArrayLike<number> | undefined)?.[row.at] ?? NaN));
    const [cycle, value] = [of("cycle_index"), of(bound.column)];
    if (!(cycle > after) || !Number.isFinite(value)) return undefined;
    const side = row.frame.schema.fields["side"]?.codes?.[of("side")] ?? "";
    return { cycle, value, error: of(bound.error), lower: !/upper/.test(side) };
  } // prettier-ignore

  draw(): void {
    const { c, width, height, ratio } = cleared(this.renderRoot.querySelector("canvas")!);
    const { panel } = this;
    const moment = momentOf(this.page.axis);
    this.#ratio = ratio;
    this.#marks = [];
    const until = moment ?? Infinity;
    const efficiencies = panel.efficiency ? this.#points(panel.efficiency, until) : [];
    const capacities = panel.capacities.map((one) => ({ one, points: this.#points(one, until) }));
    const all = [...efficiencies, ...capacities.flatMap(({ points }) => points)];
    const ended = all.reduce((most, { last }) => Math.max(most, last), -Infinity);
    const bound = this.#boundAt(moment, efficiencies.reduce((most, { last }) => Math.max(most, last), -Infinity)); // prettier-ignore
    const newest = Math.max(ended, bound?.cycle ?? -Infinity);
    if (!Number.isFinite(newest)) {
      write(c, "no cycle yet", width / 2, height / 2, "center", ratio);
      return this.#tell("");
    }
    const first = Math.min(...[...all.map(({ cycle }) => cycle), newest]);
    const both = capacities.some(({ points }) => points.length > 0);
    const marked = hasRoom(width, height, ratio);
    const box: Box = marked
      ? { left: 52 * ratio, right: width - (both ? 52 : 8) * ratio, top: 4 * ratio, bottom: height - 30 * ratio }
      : { left: ratio, right: width - ratio, top: ratio, bottom: height - ratio };
    const xs = [first - 0.5, newest + 0.5] as const;
    // A cycle that is not whole says little of the others: it may lie outside.
    const whole = efficiencies.filter(({ marked }) => !marked);
    const spread = inliers(whole.length > 0 ? whole : efficiencies).flatMap(({ low, high, error }) =>
      Number.isFinite(error) ? [low - error, high + error] : [low, high],
    );
    const ys = atLeast(spanOf([spread.length > 0 ? spread : [bound?.value ?? NaN]], 0.12), 0.001);
    const most = spanOf([[0, ...capacities.flatMap(({ points }) => points.map(({ high }) => high))]], 0);
    const right = most && plane(c, box, xs, [0, most[1] * 1.12 || 1], ratio);
    const left = ys && plane(c, box, xs, ys, ratio);
    const scale = readableScale("A.h", most?.[1] ?? 0);
    const rows = Math.max(2, Math.floor((box.bottom - box.top) / (30 * ratio)));
    const base = left ?? right!;
    if (marked) {
      if (left) marksLeft(c, left, PERCENT.factor, rows);
      if (both && right) {
        if (left) marksRight(c, right, scale.factor, rows);
        else marksLeft(c, right, scale.factor, rows);
      }
      marksBelow(c, base, 1, { wanted: Math.min(newest - first + 1, Math.floor((box.right - box.left) / (60 * ratio))) });
    }
    c.save();
    c.beginPath();
    c.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    c.clip();
    if (right) {
      capacities.forEach(({ points, one }, i) => {
        for (const point of points) this.#mark(c, right, point, { hue: HUES.charge, open: i > 0, size: 3, shape: one.name === "charge" ? "up" : one.name === "discharge" ? "down" : "square" });
      });
    }
    if (left) {
      for (const point of efficiencies) this.#mark(c, left, point, { hue: EFFICIENCY, open: point.marked, size: 4, shape: "square" });
      if (bound) arrow(c, left, bound);
    }
    c.restore();
    const names = [
      ...(left && panel.efficiency ? [`■ ${panel.efficiency.name}, %`] : []),
      ...capacities.filter(({ points }) => points.length > 0).map(({ one }, i) => `${one.name === "charge" ? "▲" : one.name === "discharge" ? "▽" : "■"} ${one.name}${i === capacities.length - 1 ? `, ${scale.unit}` : ""}`),
    ];
    if (marked) {
      write(c, "cycle", (box.left + box.right) / 2, height - 3 * ratio, "center", ratio);
      c.font = `${11 * ratio}px sans-serif`;
      c.fillStyle = "#22252ad0";
      c.fillRect(box.left + 2 * ratio, box.top + ratio, c.measureText(names.join("   ")).width + 10 * ratio, 14 * ratio);
      write(c, names.join("   "), box.left + 5 * ratio, box.top + 11 * ratio, "left", ratio);
    }
    const cycle = this.#picked ?? newest;
    const said = [
      ...efficiencies.filter((point) => covers(point, cycle)).map((point) => valueOf(point, PERCENT)),
      ...(bound?.cycle === cycle ? [`${bound.lower ? "at least" : "at most"} ${readableWithError(bound.value, bound.error, PERCENT)}`] : []),
      ...capacities.flatMap(({ one, points }) => points.filter((point) => covers(point, cycle)).map((point) => `${one.name} ${valueOf(point, scale)}`)),
    ];
    this.#tell(said.length > 0 ? `cycle ${cycle}: ${said.join(", ")}` : "");
  } // prettier-ignore

  #mark(c: CanvasRenderingContext2D, on: Plane, point: Point, how: { hue: string; open: boolean; size: number; shape: "up" | "down" | "square" }): void {
    const { cycle, last, low, high, error } = point;
    const { ratio } = on;
    const x = on.x((cycle + last) / 2);
    // What lies outside stands open at the edge.
    const place = on.y((low + high) / 2);
    const y = Math.min(on.box.bottom - 6 * ratio, Math.max(on.box.top + 6 * ratio, place));
    if (how.hue === EFFICIENCY) this.#marks.push({ cycle, x, y });
    else if (!this.panel.efficiency) this.#marks.push({ cycle, x, y });
    c.strokeStyle = c.fillStyle = cycle === this.#picked ? "#fff" : how.hue;
    c.lineWidth = ratio;
    // The error; of several cycles in one place the least and the greatest.
    const reach = Number.isFinite(error) ? error : 0;
    if (high + reach > low - reach) {
      c.beginPath();
      c.moveTo(x, on.y(low - reach));
      c.lineTo(x, on.y(high + reach));
      c.stroke();
    }
    const size = (this.large || cycle === this.#picked ? how.size : how.size * 0.7) * ratio;
    c.beginPath();
    if (how.shape === "square") c.rect(x - size, y - size, 2 * size, 2 * size);
    else triangle(c, x, y, how.shape === "up" ? -size : size);
    if (how.open || how.shape === "down" || Math.abs(place - y) > 6 * ratio) c.stroke();
    else c.fill();
  } // prettier-ignore

  #tell(text: string): void {
    const said = this.renderRoot.querySelector<HTMLElement>(".said")!;
    if (said.textContent !== text) said.textContent = said.title = text;
    const { title } = this.panel;
    const label = text === "" ? title : `${title}, ${text}`;
    const picture = this.renderRoot.querySelector(".picture")!;
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
  }

  #pick(cycle: number | undefined): void {
    if (cycle === this.#picked) return;
    this.#picked = cycle;
    this.invalidate();
  }

  #pointed({ clientX, clientY }: PointerEvent): void {
    const { left, top } = this.drawn.getBoundingClientRect();
    const [px, py] = [(clientX - left) * this.#ratio, (clientY - top) * this.#ratio];
    let best = NEAR_px * this.#ratio;
    let found: number | undefined;
    for (const { cycle, x, y } of this.#marks) {
      const distance = Math.hypot(x - px, y - py);
      if (distance < best) [best, found] = [distance, cycle];
    }
    this.#pick(found);
  }

  #key(event: KeyboardEvent): void {
    if (!this.large || event.ctrlKey || event.metaKey || event.altKey) return;
    const cycles = this.#marks.map(({ cycle }) => cycle);
    const at = this.#picked === undefined ? cycles.length : cycles.indexOf(this.#picked);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: cycles.length - 1 }[event.key];
    if (event.key === "Escape" && this.#picked !== undefined) this.#pick(undefined);
    else if (next !== undefined && cycles.length > 0)
      this.#pick(cycles[Math.min(cycles.length - 1, Math.max(0, next))]); // prettier-ignore
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Without those that lie so far from all others that nobody could tell these apart: formation, a cycle cut short. */
function inliers(points: readonly Point[]): readonly Point[] {
  const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!; // prettier-ignore
  if (points.length < 4) return points;
  const centre = middle(points.map(({ low, high }) => (low + high) / 2));
  const usual = middle(points.map(({ low, high }) => Math.abs((low + high) / 2 - centre)));
  const reach = Math.max(10 * usual, 0.01);
  return points.filter(({ low, high }) => low > centre - reach && high < centre + reach);
}

/** One cycle alone does not fill the plot with its error. */
function atLeast(span: Span | undefined, width: number): Span | undefined {
  if (!span || span[1] - span[0] >= width) return span;
  const middle = (span[0] + span[1]) / 2;
  return [middle - width / 2, middle + width / 2];
}

const covers = ({ cycle, last }: Point, wanted: number): boolean => cycle <= wanted && wanted <= last;

const valueOf = ({ low, high, error }: Point, scale: Scale): string =>
  low === high
    ? readableWithError(low, error, scale)
    : `${readableNumber(low * scale.factor)} to ${readableNumber(high * scale.factor)} ${scale.unit}`;

/** Its point lies upwards where the height is negative. */
function triangle(c: CanvasRenderingContext2D, x: number, y: number, size: number): void {
  c.moveTo(x, y + 1.2 * size);
  c.lineTo(x - 1.2 * size, y - size);
  c.lineTo(x + 1.2 * size, y - size);
  c.closePath();
}

/** A bound that has left the span of the others stands at its edge. */
function arrow(c: CanvasRenderingContext2D, on: Plane, { cycle, value, lower }: { cycle: number; value: number; lower: boolean }): void {
  const { ratio, box } = on;
  const x = on.x(cycle);
  const y = Math.min(box.bottom - 9 * ratio, Math.max(box.top + 9 * ratio, on.y(value)));
  c.strokeStyle = EFFICIENCY;
  c.lineWidth = 1.4 * ratio;
  c.beginPath();
  triangle(c, x, y, (lower ? -5 : 5) * ratio);
  c.stroke();
} // prettier-ignore

customElements.define("op-efficiency", OpEfficiency);

declare global {
  interface HTMLElementTagNameMap {
    "op-efficiency": OpEfficiency;
  }
}
