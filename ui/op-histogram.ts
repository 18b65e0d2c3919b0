/**
 * The colours of an image from low to high, with how many of its pixels have each: the window of values that the
 * colours are spread over is dragged on it, or moved by key, and `auto` lets it follow the image again.
 */
import { css, html, LitElement, nothing } from "lit";
import { colourAt, type ColourMap, type Limits } from "./colour-maps.ts";
import { placeOf, valueAtPlace, type Histogram } from "./histogram.ts";
import { cleared } from "./row-view.ts";
import { parts } from "./theme.ts";

/** What is drawn; texts as they are read, their unit apart. */
export interface Shown {
  readonly histogram: Histogram | undefined;
  readonly window: Limits | undefined;
  readonly map: ColourMap;
  readonly low: string;
  readonly high: string;
  readonly unit: string;
}

type End = keyof Limits;
const ENDS: readonly End[] = ["low", "high"];

/** Of what the bar reaches: the least width of a window, a step by key, and one with Shift. */
const LEAST = 0.004, STEP = 0.01, LEAP = 0.1; // prettier-ignore

export class OpHistogram extends LitElement {
  static override properties = {
    name: { attribute: false },
    automatic: { type: Boolean },
    log: { attribute: false },
  };
  /** What the image is called. */
  declare name: string;
  /** The window follows the image. */
  declare automatic: boolean;
  /** The scale is logarithmic; undefined where there is no choice. */
  declare log: boolean | undefined;

  static override styles = [
    parts,
    css`
      :host {
        display: grid;
        grid-template-columns: auto minmax(40px, 1fr) auto auto auto;
        gap: 0 6px;
        align-items: end;
        font-size: 12px;
        line-height: 1.2;
        white-space: nowrap;
        margin-top: 3px;
      }
      .plot {
        position: relative;
        height: 26px;
        touch-action: none;
        cursor: ew-resize;
      }
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
      }
      .handle {
        position: absolute;
        top: 0;
        bottom: 0;
        width: 9px;
        margin-left: -4.5px;
        border-radius: 2px;
      }
      .handle::before {
        content: "";
        position: absolute;
        inset: 0 4px;
        background: #fff;
      }
      .tools {
        display: flex;
        gap: 4px;
      }
      button {
        padding: 0 5px;
        line-height: 15px;
        font-size: 12px;
      }
    `,
  ];

  #shown: Shown | undefined;
  /** What is being dragged, and how the bar lay when that began. */
  #drag: { readonly part: End | "both"; readonly from: number; readonly reach: Histogram; readonly window: Limits } | undefined; // prettier-ignore

  constructor() {
    super();
    this.automatic = true;
    this.name = "";
  }

  override render() {
    const { name, automatic, log } = this;
    return html`
      <span class="low"></span>
      <div
        class="plot"
        @pointerdown=${(event: PointerEvent) => this.#down(event)}
        @pointermove=${(event: PointerEvent) => this.#move(event)}
        @pointerup=${() => (this.#drag = undefined)}
        @pointercancel=${() => (this.#drag = undefined)}
        @dblclick=${() => this.#choose(undefined)}
      >
        <canvas></canvas>
        ${ENDS.map(
          (end) =>
            html`<div
              class="handle"
              role="slider"
              tabindex="0"
              data-end=${end}
              aria-label="${end === "low" ? "Lowest" : "Highest"} value of the colours of ${name}"
              title="Drag, or ← →; Home and End: as far as it goes; double click: automatic"
              @keydown=${(event: KeyboardEvent) => this.#key(end, event)}
            ></div>`,
        )}
      </div>
      <span class="high"></span><span class="unit quiet"></span>
      <span class="tools">
        ${
          log === undefined
            ? nothing
            : html`<button
                aria-pressed=${log}
                aria-label="Logarithmic colours of ${name}"
                title="Equal ratios, equal steps of colour"
                @click=${() => this.dispatchEvent(new CustomEvent<boolean>("scale", { detail: !log }))}
              >
                log
              </button>`
        }
        ${
          automatic
            ? nothing
            : html`<button
                aria-label="Automatic colours of ${name}"
                title="The colours follow the image again"
                @click=${() => this.#choose(undefined)}
              >
                auto
              </button>`
        }
      </span>
    `;
  } // prettier-ignore

  readonly #sizes = new ResizeObserver(() => void (this.#shown && this.#draw()));

  override connectedCallback(): void {
    super.connectedCallback();
    this.#sizes.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sizes.disconnect();
  }

  show(shown: Shown): void {
    this.#shown = shown;
    if (this.hasUpdated) this.#draw();
  }

  protected override updated(): void {
    if (this.#shown) this.#draw();
  }

  #draw(): void {
    const { histogram, window, map, low, high, unit } = this.#shown!;
    const say = (selector: string, text: string): void => {
      const place = this.renderRoot.querySelector(selector)!;
      if (place.textContent !== text) place.textContent = text;
    };
    say(".low", low);
    say(".high", high);
    say(".unit", unit);
    const { c, width, height, ratio } = cleared(this.renderRoot.querySelector("canvas")!);
    const handles = this.renderRoot.querySelectorAll<HTMLElement>(".handle");
    for (const handle of handles) handle.hidden = !histogram || !window;
    if (!histogram || !window || width === 0) return;
    const { log, counts } = histogram;
    const [from, to] = [placeOf(window.low, histogram, log), placeOf(window.high, histogram, log)];
    const bar = 6 * ratio;
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    const colour = (place: number): string => {
      const [r, g, b] = colourAt(map, to > from ? (place - from) / (to - from) : 0.5);
      return `rgb(${r} ${g} ${b})`;
    };
    for (let x = 0; x < width; x++) {
      c.fillStyle = colour((x + 0.5) / width);
      c.fillRect(x, height - bar, 1, bar);
    }
    const wide = width / counts.length;
    counts.forEach((count, i) => {
      if (count === 0) return;
      // The root of the count: few pixels of another kind show beside the many.
      const tall = Math.max(ratio, Math.sqrt(count / most) * (height - bar - 2 * ratio));
      const middle = (i + 0.5) / counts.length;
      c.fillStyle = middle >= from && middle <= to ? "#b4bcc6" : "#5a626c";
      c.fillRect(Math.round(i * wide), height - bar - ratio - tall, Math.max(1, Math.round(wide)), tall);
    });
    const texts = { low: `${low} ${unit}`, high: `${high} ${unit}` };
    handles.forEach((handle) => {
      const end = handle.dataset["end"] as End;
      const place = end === "low" ? from : to;
      handle.style.left = `${100 * Math.min(1, Math.max(0, place))}%`;
      handle.setAttribute("aria-valuemin", String(histogram.low));
      handle.setAttribute("aria-valuemax", String(histogram.high));
      handle.setAttribute("aria-valuenow", String(window[end]));
      handle.setAttribute("aria-valuetext", texts[end]);
    });
  }

  #place({ clientX }: PointerEvent): number {
    const { left, width } = this.renderRoot.querySelector(".plot")!.getBoundingClientRect();
    return (clientX - left) / width;
  }

  #down(event: PointerEvent): void {
    const { histogram, window } = this.#shown ?? {};
    if (event.button !== 0 || !histogram || !window) return;
    const at = this.#place(event);
    const [low, high] = ENDS.map((end) => placeOf(window[end], histogram, histogram.log)) as [number, number];
    const near = 6 / this.renderRoot.querySelector(".plot")!.clientWidth;
    const inside = at > low + near && at < high - near;
    const part = inside ? "both" : Math.abs(at - low) < Math.abs(at - high) ? "low" : "high";
    this.#drag = { part, from: at, reach: histogram, window };
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    if (part !== "both") this.renderRoot.querySelector<HTMLElement>(`[data-end=${part}]`)!.focus();
    event.preventDefault();
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag) this.#shift(drag.part, this.#place(event) - drag.from, drag.reach, drag.window);
  }

  /** Moves an end, or both, by a share of what the bar reaches; never out of its reach, never past each other. */
  #shift(part: End | "both", by: number, reach: Histogram, window: Limits): void {
    const { log } = reach;
    let low = placeOf(window.low, reach, log);
    let high = placeOf(window.high, reach, log);
    if (part === "both") {
      const step = Math.min(1 - high, Math.max(-low, by));
      [low, high] = [low + step, high + step];
    } else if (part === "low") low = Math.min(high - LEAST, Math.max(0, low + by));
    else high = Math.max(low + LEAST, Math.min(1, high + by));
    const chosen = { low: valueAtPlace(low, reach, log), high: valueAtPlace(high, reach, log) };
    // A key that comes before the next picture goes on from here.
    if (this.#shown) this.#shown = { ...this.#shown, window: chosen };
    this.#choose(chosen);
  }

  #key(end: End, event: KeyboardEvent): void {
    const { histogram, window } = this.#shown ?? {};
    const { key, shiftKey } = event;
    if (!histogram || !window) return;
    const step = shiftKey ? LEAP : STEP;
    if (key === "ArrowLeft" || key === "ArrowDown") this.#shift(end, -step, histogram, window);
    else if (key === "ArrowRight" || key === "ArrowUp") this.#shift(end, step, histogram, window);
    else if (key === "Home") this.#shift(end, -1, histogram, window);
    else if (key === "End") this.#shift(end, 1, histogram, window);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page has these keys too
  }

  #choose(window: Limits | undefined): void {
    this.dispatchEvent(new CustomEvent<Limits | undefined>("window", { detail: window }));
  }
}

customElements.define("op-histogram", OpHistogram);

declare global {
  interface HTMLElementTagNameMap {
    "op-histogram": OpHistogram;
  }
}
