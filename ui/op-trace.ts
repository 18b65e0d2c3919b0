/** One panel of traces on the shared time axis. The only element that knows uPlot. */
import { css, html, LitElement, unsafeCSS, type PropertyValues } from "lit";
import { AXIS_px, MOST_IN_AXIS } from "./axis-width.ts";
import { pixelRatio } from "./device-pixels.ts";
import uPlot from "uplot";
import uplotStyle from "uplot/dist/uPlot.min.css?inline";
import type { Ms } from "./client/types.ts";
import { drawTrace } from "./draw-trace.ts";
import { NEARBY, type Drawable } from "./frame-loop.ts";
import type { Page } from "./page.ts";
import type { Panel, Trace } from "./panels.ts";
import { readableNumber, readableScale, type Scale } from "./readable-numbers.ts";
import { duration, timeLabels } from "./readable-times.ts";
import { SteadyRange } from "./steady-range.ts";
import { parts } from "./theme.ts";
import { TraceFeed } from "./trace-feed.ts";

type Side = "left" | "right";
const SIDES: readonly Side[] = ["left", "right"];

export class OpTrace extends LitElement implements Drawable {
  static override properties = {
    page: { attribute: false },
    panel: { attribute: false },
    showTime: { type: Boolean, attribute: "show-time" },
    removable: { type: Boolean },
  };
  declare page: Page;
  declare panel: Panel;
  declare showTime: boolean;
  declare removable: boolean;

  static override styles = [
    unsafeCSS(uplotStyle),
    parts,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        background: var(--panel);
        position: relative;
        contain: strict;
      }
      header {
        display: flex;
        gap: 4px 18px;
        align-items: baseline;
        padding: 3px 8px 0 ${AXIS_px}px;
        height: 21px;
        overflow: hidden;
        white-space: nowrap;
      }
      .reading {
        display: inline-flex;
        gap: 6px;
        align-items: baseline;
      }
      .reading::before {
        content: "";
        width: 12px;
        height: 3px;
        border-radius: 2px;
        align-self: center;
        background: var(--hue);
      }
      .reading.dashed::before {
        background: linear-gradient(90deg, var(--hue) 40%, transparent 40% 60%, var(--hue) 60%);
      }
      .reading span:last-child {
        min-width: 8ch;
      }
      .note {
        margin-left: auto;
        color: var(--quiet);
      }
      .note.late {
        color: var(--amber);
      }
      header button {
        padding: 0 6px;
        line-height: 15px;
      }
      .plot {
        flex: 1;
        min-height: 0;
        position: relative;
      }
      :host([stale]) .plot {
        filter: saturate(40%) brightness(80%);
      }
      :host([stale]) .plot::after {
        content: "";
        position: absolute;
        inset: 6px ${AXIS_px}px 0 auto;
        width: 46px;
        pointer-events: none;
        background: repeating-linear-gradient(-45deg, #a3abb538 0 3px, transparent 3px 9px);
      }
      .uplot .u-select {
        background: #8cc8ff2e;
        border-inline: 1px solid var(--focus);
      }
      .uplot .u-cursor-x {
        border-right: 1px solid #d7dbe0;
      }
    `,
  ];

  visible = false;
  readonly heavy = true;
  #plot: uPlot | undefined;
  #feeds = new Map<string, TraceFeed>();
  #stops: (() => void)[] = [];
  #scales = new Map<Trace, Scale>();
  readonly #ranges = { left: new SteadyRange(), right: new SteadyRange() };
  #resized = true;
  #hovered = false;

  constructor() {
    super();
    this.showTime = false;
    this.removable = false;
  }

  override render() {
    const { traces, title } = this.panel;
    return html`
      <header>
        ${traces.map(
          (trace) =>
            html`<span
              class="reading ${trace.limit || trace.provisional ? "dashed" : ""}"
              style="--hue: ${trace.hue}"
            >
              <span>${trace.title}</span><span class="value"></span>
            </span>`,
        )}
        <span class="note"></span>
        ${
          this.removable
            ? html`<button
                aria-label="Remove ${title}"
                @click=${() => this.dispatchEvent(new CustomEvent("remove"))}
              >
                ×
              </button>`
            : ""
        }
      </header>
      <div class="plot" role="img" aria-label="${title} over time"></div>
    `;
  }

  override firstUpdated(): void {
    this.#open();
  }

  /** Taken out and put back elsewhere: the chart is made anew. */
  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && !this.#plot) this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.page.loop.remove(this);
    for (const stop of this.#stops.splice(0)) stop();
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    this.#plot?.destroy();
    this.#plot = undefined;
    this.visible = false;
  }

  protected override updated(changed: PropertyValues<this>): void {
    // The panel's identity is its key in the page's list, so only what surrounds the chart changes here.
    if (changed.has("showTime") && this.#plot && changed.get("showTime") !== undefined) {
      this.#plot.destroy();
      this.#plot = this.#make();
      this.#resized = true;
      this.#invalidate();
    }
  }

  /** First and last time on the chart as it was last drawn, ms. */
  get span(): [Ms, Ms] {
    const { min, max } = this.#plot?.scales["x"] ?? {};
    return [min ?? NaN, max ?? NaN];
  }

  /** Time under the chart's cursor, ms; NaN where it has none. */
  get cursorTime(): Ms {
    const left = this.#plot?.cursor.left ?? -1;
    return left < 0 ? NaN : this.#plot!.posToVal(left, "x");
  }

  /** Longest distance between two buckets that are drawn, ms. */
  longestStep(): Ms {
    let longest = 0;
    for (const { shown } of this.#feeds.values()) {
      for (let i = 1; i < shown.length; i++) longest = Math.max(longest, shown.time[i]! - shown.time[i - 1]!);
    }
    return longest;
  }

  get #place(): HTMLElement {
    return this.renderRoot.querySelector<HTMLElement>(".plot")!;
  }

  #open(): void {
    const { page, panel } = this;
    this.#plot = this.#make();
    for (const stream of new Set(panel.traces.map((t) => t.stream))) {
      const columns = panel.traces
        .filter((t) => t.stream === stream)
        .flatMap((t) => [
          t.column,
          ...[t.error, t.spread].filter((name) => name !== undefined),
          ...(t.band ?? []),
        ]);
      this.#feeds.set(
        stream,
        new TraceFeed({
          client: page.client,
          axis: page.axis,
          stream,
          columns: [...new Set(columns)],
          onData: (newest) => {
            page.received(newest);
            this.#invalidate();
          },
        }),
      );
    }
    const sizes = new ResizeObserver(() => {
      this.#resized = true;
      this.#invalidate();
    });
    sizes.observe(this.#place);
    const sights = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)!.isIntersecting;
      if (this.visible) this.#invalidate();
    }, NEARBY);
    sights.observe(this);
    this.#stops = [
      () => sizes.disconnect(),
      () => sights.disconnect(),
      page.axis.onChange((change) => (change === "cursor" ? this.#moveCursor() : this.#invalidate())),
      page.onAlarms(() => this.#invalidate()),
      page.onTick(() => this.#read()),
    ];
  }

  #make(): uPlot {
    const { panel, showTime } = this;
    const two = panel.traces.some(({ side }) => side === "right");
    const hueOf = (side: Side) => panel.traces.find((t) => t.side === side)?.hue ?? "#a3abb5";
    const font = "11px Inter, 'Noto Sans', 'Segoe UI', 'Liberation Sans', Arial, sans-serif";
    const axis = (side: Side): uPlot.Axis => ({
      scale: side,
      side: side === "left" ? 3 : 1,
      size: AXIS_px,
      font,
      gap: 4,
      stroke: hueOf(side),
      grid: { show: side === "left", stroke: "#2f343b", width: 1 },
      ticks: { show: false },
      space: 26,
      values: (_, splits) => {
        const scale = this.#scaleOf(side);
        const steps = splits.map((v) => v * scale.factor);
        const step = Math.abs((steps[1] ?? 1) - (steps[0] ?? 0));
        const decimals = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
        return steps.map((v, i) => {
          const text = v.toFixed(decimals).replace("-", "−");
          if (i < steps.length - 1 || scale.unit === "") return text;
          // Where there is no room for both, the unit stands in the number's place.
          return text.length + scale.unit.length > MOST_IN_AXIS ? scale.unit : `${scale.unit}  ${text}`;
        });
      },
      splits: (_, __, low, high) => this.#splits(side, low, high),
    });
    const plot = new uPlot(
      {
        width: 300,
        height: 100,
        ms: 1,
        pxAlign: 0,
        legend: { show: false },
        padding: [6, two ? 0 : AXIS_px, showTime ? 0 : 6, 0],
        series: [{}, { scale: "left", show: true, paths: () => null, points: { show: false } }],
        scales: { x: { time: true, auto: false }, left: { auto: false }, right: { auto: false } },
        axes: [
          {
            show: true,
            size: showTime ? 24 : 0,
            font,
            stroke: "#a3abb5",
            grid: { stroke: "#2f343b", width: 1 },
            ticks: { show: showTime, stroke: "#4a515b", size: 4 },
            gap: 3,
            space: 90,
            values: (_, splits, __, ___, step) =>
              showTime ? timeLabels(splits, step) : splits.map(() => ""),
          },
          axis("left"),
          ...(two ? [axis("right")] : []),
        ],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false },
          bind: { dblclick: () => () => (this.page.axis.goLive(), null) },
        },
        hooks: {
          draw: [(u) => this.#paint(u)],
          setCursor: [(u) => this.#pointed(u)],
          setSelect: [(u) => this.#selected(u)],
        },
      },
      [
        [0, 1],
        [null, null],
      ], // what is drawn stands in the feeds; uPlot has the axes, the grid and the pointer
      this.#place,
    );
    return plot;
  }

  #scaleOf(side: Side): Scale {
    const trace = this.panel.traces.find((t) => t.side === side)!;
    return this.#scales.get(trace) ?? readableScale(trace.unit, NaN);
  }

  /** Round numbers in the unit that is read, not in the one that is stored. */
  #splits(side: Side, low: number, high: number): number[] {
    const { factor } = this.#scaleOf(side);
    const height = this.#plot ? this.#plot.bbox.height / pixelRatio() : 100;
    const wanted = Math.max(2, Math.floor(height / 28));
    const [a, b] = [low * factor, high * factor];
    const raw = (b - a) / wanted;
    if (!(raw > 0)) return [low];
    const exponent = Math.floor(Math.log10(raw));
    const steps = [10, 5, 2, 1, 0.5, 0.2, 0.1].map((n) => n * 10 ** exponent);
    // The widest step that is about as wanted, or else the widest that still shows two numbers.
    const from = steps.findLastIndex((step) => step >= raw * 0.75);
    const step = steps.slice(Math.max(0, from)).find((s) => Math.floor(b / s) - Math.ceil(a / s) >= 1) ?? raw;
    const splits: number[] = [];
    for (let n = Math.ceil(a / step - 1e-9); n * step <= b + step * 1e-9; n++)
      splits.push((n * step) / factor);
    return splits;
  }

  #invalidate(): void {
    this.page.loop.invalidate(this);
  }

  /** Called by the frame loop alone. */
  draw(): void {
    const plot = this.#plot;
    if (!plot) return;
    if (this.#resized) {
      this.#resized = false;
      const { clientWidth, clientHeight } = this.#place;
      if (clientWidth > 0 && clientHeight > 0) plot.setSize({ width: clientWidth, height: clientHeight });
    }
    const { from, to } = this.page.axis.range;
    for (const side of SIDES) this.#ranges[side].fit(this.#extent(side, from, to));
    for (const trace of this.panel.traces) this.#rescale(trace, from, to);
    plot.batch(() => {
      plot.setScale("x", { min: from, max: to });
      for (const side of SIDES)
        plot.setScale(side, { min: this.#ranges[side].low, max: this.#ranges[side].high });
    });
    // The pointer rests on its pixel while time runs under it.
    if (this.#hovered && plot.cursor.left! >= 0) this.page.axis.point(plot.posToVal(plot.cursor.left!, "x"));
    this.#moveCursor();
  }

  #extent(side: Side, from: Ms, to: Ms): [number, number] | undefined {
    let all: [number, number] | undefined;
    for (const trace of this.panel.traces) {
      if (trace.side !== side) continue;
      const buffer = this.#feeds.get(trace.stream)!.shown;
      for (const column of [trace.column, ...(trace.band ?? [])]) {
        const one = buffer.extent(column, from, to);
        if (!one) continue;
        const reach = [trace.error, trace.spread].map((about) =>
          about === undefined ? 0 : (buffer.extent(about, from, to)?.[1] ?? 0),
        );
        const [low, high] = [one[0] - Math.max(...reach), one[1] + Math.max(...reach)];
        all = all ? [Math.min(all[0], low), Math.max(all[1], high)] : [low, high];
      }
    }
    return all;
  }

  /** A prefix, once chosen, stays until the numbers have left it far behind. */
  #rescale(trace: Trace, from: Ms, to: Ms): void {
    const extent = this.#feeds.get(trace.stream)!.shown.extent(trace.column, from, to);
    if (!extent) return;
    const greatest = Math.max(Math.abs(extent[0]), Math.abs(extent[1]));
    const current = this.#scales.get(trace);
    const read = current ? greatest * current.factor : NaN;
    if (!(read >= 0.3 && read < 3000)) this.#scales.set(trace, readableScale(trace.unit, greatest));
  }

  #paint(u: uPlot): void {
    const { from, to } = this.page.axis.range;
    const { left, top, width, height } = u.bbox;
    const c = u.ctx;
    c.save();
    c.beginPath();
    c.rect(left, top, width, height);
    c.clip();
    const ratio = pixelRatio();
    const x = (time: Ms) => left + ((time - from) / (to - from)) * width;
    this.#paintOnsets(c, x, top, height, ratio);
    for (const trace of this.panel.traces) {
      const { low, high } = this.#ranges[trace.side];
      const y = (value: number) => top + (1 - (value - low) / (high - low)) * height;
      drawTrace(
        { context: c, x, y, from, to, ratio, top, bottom: top + height },
        this.#feeds.get(trace.stream)!.shown,
        {
          column: trace.column,
          hue: trace.hue,
          dashed: trace.limit === true || trace.provisional === true,
          error: trace.error,
          spread: trace.spread,
          band: trace.band,
        },
      );
    }
    c.restore();
  }

  #paintOnsets(
    c: CanvasRenderingContext2D,
    x: (time: Ms) => number,
    top: number,
    height: number,
    ratio: number,
  ): void {
    for (const { began, level } of this.page.alarms.onsets) {
      c.globalAlpha = level === "alarm" ? 0.85 : 0.55;
      c.strokeStyle = level === "alarm" ? "#ff5c50" : "#ffc247";
      c.lineWidth = ratio;
      c.setLineDash(level === "alarm" ? [] : [3 * ratio, 3 * ratio]);
      c.beginPath();
      c.moveTo(x(began), top);
      c.lineTo(x(began), top + height);
      c.stroke();
    }
    c.globalAlpha = 1;
    c.setLineDash([]);
  }

  #pointed(u: uPlot): void {
    const left = u.cursor.left!;
    if (left < 0) {
      if (this.#hovered) this.page.axis.point(undefined);
      this.#hovered = false;
    } else if (u.cursor.event) {
      this.#hovered = true;
      this.page.axis.point(u.posToVal(left, "x"));
    }
  }

  #selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 4) return;
    const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.page.axis.zoom(from, to);
  }

  #moveCursor(): void {
    const plot = this.#plot;
    if (!plot) return;
    const { cursor } = this.page.axis;
    if (!this.#hovered) {
      const { from, to } = this.page.axis.range;
      const inside = cursor !== undefined && cursor >= from && cursor <= to;
      plot.setCursor({ left: inside ? plot.valToPos(cursor, "x") : -10, top: inside ? 1 : -10 }, false);
    }
    if (cursor !== this.#readAt) this.#read();
  }

  #readAt: Ms | undefined;

  /** Writes the values under the cursor, or the newest, as text. */
  #read(): void {
    const { axis } = this.page;
    this.#readAt = axis.cursor;
    const places = this.renderRoot.querySelectorAll<HTMLElement>(".value");
    this.panel.traces.forEach((trace, i) => {
      const feed = this.#feeds.get(trace.stream);
      const scale = this.#scales.get(trace);
      const buffer = feed?.shown;
      const reading = buffer?.at(trace.column, axis.cursor ?? axis.range.to);
      let text = "–";
      if (buffer && reading && scale) {
        const show = (value: number) => readableNumber(value * scale.factor);
        text =
          reading.max > reading.min && show(reading.max) !== show(reading.min)
            ? `${show(reading.min)} … ${show(reading.max)}`
            : show(reading.min);
        const error = trace.error === undefined ? undefined : buffer.at(trace.error, reading.time);
        if (error && error.time === reading.time) text += ` ± ${readableNumber(error.max * scale.factor, 2)}`;
        if (scale.unit) text += ` ${scale.unit}`;
      }
      setText(places[i], text);
    });
    const feeds = [...this.#feeds.values()];
    const dropped = feeds.reduce((sum, feed) => sum + feed.shown.dropped, 0);
    const gap = feeds.find((feed) => feed.gap)?.gap;
    const ages = [...this.#feeds.keys()].map((stream) => this.page.ages.of(stream));
    const late = ages.find(({ state }) => state === "late" || state === "stale");
    this.toggleAttribute("stale", axis.live && ages.some(({ state }) => state === "stale"));
    const note = this.renderRoot.querySelector<HTMLElement>(".note");
    note?.classList.toggle("late", late !== undefined);
    if (late)
      setText(
        note,
        late.state === "late" ? `late, ${duration(late.age)}` : `no data for ${duration(late.age)}`,
      );
    else setText(note, gap ? `gap: ${gap}` : dropped > 0 ? `${dropped} rows left out` : "");
  }
}

function setText(place: HTMLElement | undefined | null, text: string): void {
  if (place && place.textContent !== text) place.textContent = text;
}

customElements.define("op-trace", OpTrace);

declare global {
  interface HTMLElementTagNameMap {
    "op-trace": OpTrace;
  }
}
