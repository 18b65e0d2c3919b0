/** The newest image of a stream, or the last complete one before the cursor, with colour bar, scale bar and age. */
import { css, html, LitElement } from "lit";
import { limits, paint, table, type Limits } from "./colour-maps.ts";
import { pixelRatio } from "./device-pixels.ts";
import { NEARBY, type Drawable } from "./frame-loop.ts";
import type { Page } from "./page.ts";
import type { ImagePanel } from "./panels.ts";
import { metres, readableNumber, readableQuantity, readableScale, roundLength } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { momentOf, RowFeed, whenOf, type Row } from "./row-feed.ts";
import { parts } from "./theme.ts";

export class OpImage extends LitElement implements Drawable {
  static override properties = { page: { attribute: false }, panel: { attribute: false } };
  declare page: Page;
  declare panel: ImagePanel;

  static override styles = [
    parts,
    css`
      :host {
        display: flex;
        flex-direction: column;
        background: var(--panel);
        min-height: 0;
        padding: 4px 8px 6px;
        contain: strict;
      }
      header {
        display: flex;
        justify-content: space-between;
        gap: 8px;
        white-space: nowrap;
        overflow: hidden;
      }
      .picture {
        flex: 1;
        min-height: 0;
        position: relative;
        margin-top: 3px;
      }
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
      }
      :host([stale]) .picture {
        filter: saturate(40%) brightness(75%);
      }
      .age {
        color: var(--quiet);
      }
      .age.late {
        color: var(--amber);
      }
      footer {
        display: grid;
        grid-template-columns: auto 1fr auto auto;
        gap: 6px;
        align-items: center;
        margin-top: 4px;
        font-size: 12px;
        white-space: nowrap;
      }
      .bar {
        height: 8px;
        border-radius: 2px;
      }
      .empty {
        position: absolute;
        inset: 0;
        display: grid;
        place-items: center;
        color: var(--quiet);
      }
      .empty[hidden] {
        display: none;
      }
    `,
  ];

  visible = false;
  readonly heavy = true;
  #feed: RowFeed | undefined;
  #stops: (() => void)[] = [];
  /** The image at its own size, painted once and stretched as often as needed. */
  readonly #own = document.createElement("canvas");
  #painted: Row | undefined;
  #shown: Row | undefined;
  #limits: Limits | undefined;
  #shape: readonly [rows: number, columns: number] = [0, 0];

  override render() {
    const { title, map } = this.panel;
    const colours = [...table(map)]
      .filter((_, i) => i % 15 === 0)
      .map((c) => `rgb(${c & 255} ${(c >> 8) & 255} ${(c >> 16) & 255})`);
    return html`
      <header>
        <h2>${title}</h2>
        <span class="age"></span>
      </header>
      <div class="picture" role="img" aria-label="${title}">
        <canvas></canvas>
        <div class="empty">no image yet</div>
      </div>
      <footer>
        <span class="low"></span>
        <span class="bar" style="background: linear-gradient(90deg, ${colours.join()})"></span>
        <span class="high"></span><span class="unit quiet"></span>
      </footer>
    `;
  }

  override firstUpdated(): void {
    this.#open();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && !this.#feed) this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.page.loop.remove(this);
    for (const stop of this.#stops.splice(0)) stop();
    this.#feed?.close();
    this.#feed = undefined;
    this.visible = false;
  }

  #open(): void {
    const { page, panel } = this;
    const invalidate = () => page.loop.invalidate(this);
    this.#feed = new RowFeed({
      client: page.client,
      axis: page.axis,
      stream: panel.stream,
      columns: [panel.column],
      onData: (newest) => {
        page.received(newest);
        invalidate();
      },
    });
    const sizes = new ResizeObserver(invalidate);
    sizes.observe(this.renderRoot.querySelector(".picture")!);
    const sights = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)!.isIntersecting;
      if (this.visible) invalidate();
    }, NEARBY);
    sights.observe(this);
    this.#stops = [
      () => sizes.disconnect(),
      () => sights.disconnect(),
      page.axis.onChange((change) => void (change !== "time" && invalidate())),
      page.onTick(() => this.#tell()),
    ];
  }

  draw(): void {
    const row = this.#feed?.shown(momentOf(this.page.axis));
    this.#shown = row;
    this.renderRoot.querySelector<HTMLElement>(".empty")!.hidden = row !== undefined;
    if (row && row !== this.#painted) this.#paint(row);
    this.#stretch(row);
    this.#tell();
  }

  #paint(row: Row): void {
    const { panel } = this;
    const { schema, columns } = row.frame;
    const [rows = 0, across = 0] = (schema.fields[panel.column]?.shape ?? []).map(Number);
    const all = columns[panel.column] as Float32Array;
    const size = rows * across;
    if (!(size > 0) || all.length < (row.at + 1) * size) return;
    const values = all.subarray(row.at * size, (row.at + 1) * size);
    this.#limits = limits(values, panel.log ? "log" : panel.map === "diverging" ? "centred" : "linear");
    this.#shape = [rows, across];
    this.#own.width = across;
    this.#own.height = rows;
    const context = this.#own.getContext("2d")!;
    const pixels = context.createImageData(across, rows);
    if (this.#limits) {
      paint(values, new Uint32Array(pixels.data.buffer), {
        map: panel.map,
        limits: this.#limits,
        log: panel.log,
      });
    }
    context.putImageData(pixels, 0, 0);
    this.#painted = row;
    const scale =
      this.#limits &&
      readableScale(panel.unit, Math.max(Math.abs(this.#limits.low), Math.abs(this.#limits.high)));
    const show = (value: number | undefined) =>
      value === undefined ? "" : readableNumber(value * scale!.factor, 3);
    this.#text(".low", show(this.#limits?.low));
    this.#text(".high", show(this.#limits?.high));
    this.#text(".unit", `${scale?.unit ?? ""}${panel.log ? " log" : ""}`);
  }

  #stretch(row: Row | undefined): void {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>("canvas")!;
    const ratio = pixelRatio();
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const c = canvas.getContext("2d")!;
    c.clearRect(0, 0, width, height);
    const [rows, across] = this.#shape;
    if (!row || rows === 0) return;
    const { x: pixelX_m, y: pixelY_m } = this.#pixel_m(row);
    // Pixels that are not square are drawn as they lie on the sample.
    const aspect = (across * (pixelX_m || 1)) / (rows * (pixelY_m || pixelX_m || 1));
    const wide = Math.min(width, height * aspect);
    const [w, h] = [Math.round(wide), Math.round(wide / aspect)];
    const [left, top] = [Math.round((width - w) / 2), Math.round((height - h) / 2)];
    hatch(c, left, top, w, h, ratio);
    c.imageSmoothingEnabled = false;
    c.drawImage(this.#own, left, top, w, h);
    if (pixelX_m > 0) scaleBar(c, { left, bottom: top + h, width: w, span_m: across * pixelX_m, ratio });
  }

  /** Size of a pixel on the sample, m, by the names in use; NaN where nobody says. */
  #pixel_m({ frame: { schema } }: Row): { x: number; y: number } {
    const { metadata } = schema;
    const of = (axis: "x" | "y") =>
      metres(metadata[`pixel_size_${axis}`] ?? metadata[`${axis}_pixel_size`] ?? metadata["pixel_size"]);
    return { x: of("x"), y: of("y") };
  }

  #tell(): void {
    const row = this.#shown;
    if (!row) {
      this.#text(".age", "");
      return;
    }
    const { text, state } = whenOf(this.page, this.panel.stream, row.time);
    const dropped = this.#feed?.dropped ?? 0;
    const skipped = dropped > 0 && state === "fresh" && text.endsWith("ago") ? `, ${dropped} skipped` : "";
    this.renderRoot.querySelector(".age")!.classList.toggle("late", state === "late" || state === "stale");
    this.toggleAttribute("stale", state === "stale");
    this.#text(".age", text + skipped);
    const { low, high } = this.#limits ?? { low: NaN, high: NaN };
    const unit = this.panel.unit;
    this.renderRoot
      .querySelector(".picture")!
      .setAttribute(
        "aria-label",
        `${this.panel.title}, ${timeOfDay(row.time)}, from ${readableQuantity(low, unit)} to ${readableQuantity(high, unit)}`,
      );
  }

  #text(selector: string, text: string): void {
    const place = this.renderRoot.querySelector<HTMLElement>(selector)!;
    if (place.textContent !== text) place.textContent = text;
  }
}

/** The ground under an image: what was not measured shows as hatching. */
function hatch(
  c: CanvasRenderingContext2D,
  left: number,
  top: number,
  width: number,
  height: number,
  ratio: number,
): void {
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

interface Bar {
  readonly left: number;
  readonly bottom: number;
  readonly width: number;
  readonly span_m: number;
  readonly ratio: number;
}

function scaleBar(c: CanvasRenderingContext2D, { left, bottom, width, span_m, ratio }: Bar): void {
  const length_m = roundLength(span_m * 0.35);
  const length = (length_m / span_m) * width;
  const text = readableQuantity(length_m, "m", 1);
  const [x, y] = [left + 9 * ratio, bottom - 9 * ratio];
  c.font = `${11 * ratio}px Inter, 'Noto Sans', 'Liberation Sans', Arial, sans-serif`;
  const wide = Math.max(length, c.measureText(text).width);
  c.fillStyle = "#000a";
  c.fillRect(x - 5 * ratio, y - 17 * ratio, wide + 10 * ratio, 22 * ratio);
  c.fillStyle = "#fff";
  c.fillRect(x, y - 2 * ratio, length, 3 * ratio);
  c.fillText(text, x, y - 5 * ratio);
}

customElements.define("op-image", OpImage);

declare global {
  interface HTMLElementTagNameMap {
    "op-image": OpImage;
  }
}
