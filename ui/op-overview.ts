/** The whole run in one strip, with a brush for the span on show; beside it the presets, pause and live. */
import { css, html, LitElement } from "lit";
import type { Ms, Subscription } from "./client/types.ts";
import { pixelRatio } from "./device-pixels.ts";
import { drawTrace } from "./draw-trace.ts";
import type { Drawable } from "./frame-loop.ts";
import type { Page } from "./page.ts";
import type { Trace } from "./panels.ts";
import { duration, timeOfDay } from "./readable-times.ts";
import { SteadyRange } from "./steady-range.ts";
import { parts } from "./theme.ts";
import { HOUR, MINUTE } from "./time-axis.ts";
import { TraceBuffer } from "./trace-buffer.ts";

const POINTS = 600;

const PRESETS: readonly [key: string, name: string, width: Ms | "all"][] = [
  ["1", "10 min", 10 * MINUTE],
  ["2", "1 h", HOUR],
  ["3", "8 h", 8 * HOUR],
  ["4", "all", "all"],
];

export const PRESET_KEYS: Readonly<Record<string, Ms | "all">> = Object.fromEntries(
  PRESETS.map(([key, , width]) => [key, width]),
);

export class OpOverview extends LitElement implements Drawable {
  static override properties = {
    page: { attribute: false },
    trace: { attribute: false },
    width: { state: true },
    mode: { state: true },
  };
  declare page: Page;
  declare trace: Trace | undefined;
  /** What the buttons show as pressed. */
  declare width: Ms | "all" | undefined;
  declare mode: "live" | "paused" | "zoomed";

  static override styles = [
    parts,
    css`
      :host {
        display: flex;
        align-items: stretch;
        gap: 14px;
        height: 64px;
        background: var(--panel);
        border-top: 1px solid var(--line);
        padding: 6px 12px 6px 8px;
      }
      .strip {
        position: relative;
        flex: 1;
        min-width: 0;
        cursor: crosshair;
        touch-action: none;
      }
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
      }
      .controls {
        display: grid;
        grid-template-columns: auto auto;
        gap: 4px 14px;
        align-content: center;
      }
      .row {
        display: flex;
        gap: 5px;
        align-items: center;
      }
      .live[aria-pressed="true"] {
        background: #17483a;
        border-color: var(--good);
      }
      .span {
        grid-column: 1 / -1;
        font-size: 12px;
        min-width: 34ch;
      }
      @media (max-width: 900px) {
        :host {
          height: auto;
          flex-wrap: wrap;
        }
        .strip {
          flex-basis: 100%;
          height: 44px;
        }
      }
    `,
  ];

  visible = false;
  readonly heavy = true;
  #stops: (() => void)[] = [];
  #buffer = new TraceBuffer(4 * POINTS);
  readonly #range = new SteadyRange();
  #subscription: Subscription | undefined;
  #followed = "";
  #drag: { readonly at: Ms; readonly moves: { from: Ms; to: Ms } | undefined } | undefined;

  constructor() {
    super();
    this.mode = "live";
  }

  override render() {
    const { axis } = this.page;
    return html`
      <div
        class="strip"
        role="img"
        aria-label="The whole run; drag to choose a span, or use the arrow keys and I and O"
        @pointerdown=${this.#down}
        @pointermove=${this.#move}
        @pointerup=${this.#up}
        @dblclick=${() => axis.goLive()}
      >
        <canvas></canvas>
      </div>
      <div class="controls">
        <div class="row">
          <button @click=${() => axis.pan(-0.5)} aria-label="Earlier" title="earlier (←)">◀</button>
          <button
            aria-pressed=${this.mode === "paused"}
            @click=${() => (axis.live ? axis.pause() : axis.resume())}
            title="stand still, the data go on arriving (Space)"
          >
            ${this.mode === "live" ? "Pause" : "Go on"}
          </button>
          <button @click=${() => axis.pan(0.5)} aria-label="Later" title="later (→)">▶</button>
          <button
            class="live"
            aria-pressed=${this.mode === "live"}
            @click=${() => axis.goLive()}
            title="follow the newest rows, as wide as now (L)"
          >
            LIVE
          </button>
        </div>
        <div class="row" role="group" aria-label="Width of the time axis">
          ${PRESETS.map(
            ([key, name, width]) =>
              html`<button
                aria-pressed=${this.width === width}
                title="the newest ${name} (${key})"
                @click=${() => axis.follow(width)}
              >
                ${name}
              </button>`,
          )}
        </div>
        <div class="span quiet"></div>
      </div>
    `;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#open();
  }

  override firstUpdated(): void {
    this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.#stops.splice(0)) stop();
    this.#subscription?.close();
    this.#subscription = undefined;
    this.#followed = "";
    this.page.loop.remove(this);
  }

  protected override updated(): void {
    this.#follow();
  }

  #open(): void {
    const { axis, loop } = this.page;
    const invalidate = () => loop.invalidate(this);
    const strip = this.renderRoot.querySelector(".strip")!;
    const sizes = new ResizeObserver(invalidate);
    sizes.observe(strip);
    const sights = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)!.isIntersecting;
      if (this.visible) invalidate();
    });
    sights.observe(this);
    const see = () => {
      const { view } = axis;
      this.width = view.kind === "follow" ? view.width : undefined;
      this.mode = view.kind === "follow" ? "live" : view.why;
    };
    see();
    this.#stops = [
      () => sizes.disconnect(),
      () => sights.disconnect(),
      axis.onChange((change) => {
        if (change === "cursor") return;
        if (change === "view") see();
        this.#follow();
        invalidate();
      }),
      this.page.onAlarms(invalidate),
      this.page.onTick(() => this.#tell()),
    ];
  }

  /** Asks for the whole run once its beginning is known. */
  #follow(): void {
    const { trace, page } = this;
    const { first } = page.axis;
    if (!trace || !Number.isFinite(first)) return;
    const key = `${trace.stream}/${trace.column}/${first}`;
    if (key === this.#followed) return;
    this.#followed = key;
    const request = {
      stream: trace.stream,
      columns: [trace.column],
      from: first,
      to: "live",
      maxPoints: POINTS,
    } as const;
    this.#subscription?.close();
    this.#buffer.clear();
    this.#subscription = page.client.subscribe(request, (frame) => {
      if (frame.kind !== "trace") return;
      this.#buffer.push(frame);
      // The run has doubled: asked for again, it comes in buckets twice as wide.
      if (this.#buffer.length > 2 * POINTS) this.#subscription?.change(request);
      page.loop.invalidate(this);
    });
  }

  get #span(): { from: Ms; to: Ms } {
    const { first, newest } = this.page.axis;
    return newest > first ? { from: first, to: newest } : { from: newest - MINUTE, to: newest };
  }

  draw(): void {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>("canvas")!;
    const ratio = pixelRatio();
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const c = canvas.getContext("2d")!;
    c.fillStyle = "#1b1d21";
    c.fillRect(0, 0, width, height);
    const { axis, alarms } = this.page;
    const { from, to } = this.#span;
    if (!(to > from)) return;
    const x = (time: Ms) => ((time - from) / (to - from)) * width;
    if (this.trace) {
      this.#range.fit(this.#buffer.extent(this.trace.column, from, to));
      const { low, high } = this.#range;
      const y = (value: number) => height - 3 * ratio - ((value - low) / (high - low)) * (height - 6 * ratio);
      drawTrace({ context: c, x, y, from, to, ratio, top: 0, bottom: height }, this.#buffer, {
        column: this.trace.column,
        hue: this.trace.hue,
        dashed: false,
      });
    }
    for (const { level, began } of alarms.onsets) {
      if (level !== "alarm") continue;
      c.fillStyle = "#ff5c50";
      const at = x(began);
      c.beginPath();
      c.moveTo(at - 5 * ratio, 9 * ratio);
      c.lineTo(at + 5 * ratio, 9 * ratio);
      c.lineTo(at, 0);
      c.fill();
    }
    const shown = axis.range;
    const [a, b] = [Math.max(0, x(shown.from)), Math.min(width, x(shown.to))];
    c.fillStyle = "#0e101499";
    c.fillRect(0, 0, a, height);
    c.fillRect(b, 0, width - b, height);
    c.strokeStyle = axis.live ? "#35c497" : "#8cc8ff";
    c.lineWidth = 1.5 * ratio;
    c.strokeRect(a + ratio, ratio, Math.max(b - a - 2 * ratio, 2 * ratio), height - 2 * ratio);
  }

  #tell(): void {
    const { axis, client } = this.page;
    const { from, to } = axis.range;
    const place = this.renderRoot.querySelector<HTMLElement>(".span")!;
    const words = Number.isNaN(axis.newest)
      ? ""
      : this.mode === "live"
        ? `${duration(to - from)} up to ${timeOfDay(to)}`
        : `${this.mode === "paused" ? "paused" : "zoomed"}: ${timeOfDay(from)} – ${timeOfDay(to)}, ${duration(axis.newest - to)} behind`;
    const rows = client.catalogue.size === 0 ? "waiting for streams" : words;
    if (place.textContent !== rows) place.textContent = rows;
  }

  #timeAt(event: PointerEvent): Ms {
    const box = this.renderRoot.querySelector(".strip")!.getBoundingClientRect();
    const { from, to } = this.#span;
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return from + share * (to - from);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const at = this.#timeAt(event);
    const { from, to } = this.page.axis.range;
    const whole = this.#span;
    // Inside the brush one moves it; outside, or where it covers all, one draws a new one.
    const inside = at > from && at < to && to - from < 0.9 * (whole.to - whole.from);
    this.#drag = { at, moves: inside ? { from, to } : undefined };
  }

  #move(event: PointerEvent): void {
    if (!this.#drag?.moves) return;
    const { axis } = this.page;
    const { from, to } = this.#drag.moves;
    const by = this.#timeAt(event) - this.#drag.at;
    if (by !== 0) axis.show({ kind: "held", why: "zoomed", from: from + by, to: to + by });
  }

  #up(event: PointerEvent): void {
    if (!this.#drag) return;
    const { at, moves } = this.#drag;
    this.#drag = undefined;
    const { axis } = this.page;
    const to = this.#timeAt(event);
    if (moves) {
      if (to !== at) axis.zoom(moves.from + to - at, moves.to + to - at);
      return;
    }
    const { from: a, to: b } = axis.range;
    const span = this.#span;
    if (Math.abs(to - at) > (span.to - span.from) / 200) axis.zoom(at, to);
    else if (b - a < span.to - span.from) axis.zoom(at - (b - a) / 2, at + (b - a) / 2);
  }
}

customElements.define("op-overview", OpOverview);

declare global {
  interface HTMLElementTagNameMap {
    "op-overview": OpOverview;
  }
}
