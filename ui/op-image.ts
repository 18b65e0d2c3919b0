/**
 * The newest image of a stream, or the last complete one before the cursor, with colour bar, scale bar and age; of maps
 * and scanned images also how their values are spread, and the potential of each line.
 */
import { css, html, nothing, type PropertyValues } from "lit";
import { table, type ColourMap, type Limits } from "./colour-maps.ts";
import type { GreyWindow } from "./grey-window.ts";
import { histogram, type Histogram } from "./histogram.ts";
import { isSpread, type ImagePanel, type ImageSort } from "./image-panels.ts";
import { LineStrip, STRIP_px } from "./line-strip.ts";
import { lineTimes } from "./line-times.ts";
import type { Trace } from "./panels.ts";
import { picking } from "./picked-rows.ts";
import {
  caption, crosshair, framePixel, outline, Picture, pixelAt, scaleBar, type Mark, type Placement,
} from "./picture.ts"; // prettier-ignore
import type { PixelPick } from "./pixel-curve.ts";
import { pixelSize_m } from "./pixel-size.ts";
import { readableNumber, readableQuantity, readableScale } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { onImage, regionBetween, regionMean, type Region, type RegionMean } from "./region.ts";
import { RegionTrace } from "./region-trace.ts";
import { RowFeed, sizeOf, type Row } from "./row-feed.ts";
import { RowView, rowViewStyles } from "./row-view.ts";
import { valueAt } from "./slice-state.ts";
import type { Behind } from "./wiring.ts";
import "./op-histogram.ts";

/** A pointer that moves less than this, in CSS pixels, draws no region. */
const CLICK_px = 4;

/** Limits that are not an image's own. Of changes in units of their noise: where there is nothing else, it stays pale. */
const FIXED: Partial<Record<ImageSort, (own: Limits | undefined) => Limits | undefined>> = {
  change: (own) => own && { low: Math.min(own.low, -5), high: Math.max(own.high, 5) },
  mask: () => ({ low: 0, high: 1 }),
};

export class OpImage extends RowView<ImagePanel> {
  static override properties = {
    ...RowView.properties,
    greys: { attribute: false },
    slice: { attribute: false },
    voltage: { attribute: false },
    behind: { attribute: false },
    picked: { attribute: false },
    region: { state: true },
    shape: { state: true },
    window: { state: true },
    log: { state: true },
  };
  /** Shared with other images, which then have one colour bar together. */
  declare greys: GreyWindow | undefined;
  /** The slice wanted, where the stream carries several. */
  declare slice: number | undefined;
  /** The cell's voltage, for the potential of each scan line. */
  declare voltage: Trace | undefined;
  /** The curves that its pixels stand for: then a pixel can be picked, and `pick` says which. */
  declare behind: Behind | undefined;
  declare picked: PixelPick | undefined;
  declare region: Region | undefined;
  declare shape: Region["kind"];
  /** Values that the colours are spread over, set by hand; undefined while they follow the image. */
  declare window: Limits | undefined;
  /** Its colours are logarithmic. */
  declare log: boolean;

  static override styles = [
    ...rowViewStyles,
    css`
      .picture {
        touch-action: pan-y;
        cursor: crosshair;
      }
      :host([stale]) .picture {
        filter: saturate(40%) brightness(75%);
      }
      header button {
        flex: none;
        padding: 0 5px;
        line-height: 15px;
        font-size: 12px;
      }
      /* One of several that are as old as their first. */
      :host([tile]) .age:not(.late) {
        display: none;
      }
      .right {
        display: flex;
        gap: 8px;
        min-width: 32px;
        overflow: hidden;
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
    `,
  ];

  /** Where other planes cut this one, and what is printed on it; set by whoever shows several. */
  marks: readonly Mark[] = [];
  lines: readonly string[] = [];
  readonly #picture = new Picture();
  #painted: Row | undefined;
  #version = -1;
  #limits: Limits | undefined;
  #place: Placement | undefined;
  /** Where a pointer went down, in pixels of the image and of the page. */
  #drag:
    | { readonly from: readonly [number, number]; readonly page: readonly [number, number]; moved: boolean }
    | undefined;
  #draft: Region | undefined;
  #errors: RowFeed | undefined;
  #trace: RegionTrace | undefined;
  /** The slice that came first. */
  #first: number | undefined;
  #spread: Histogram | undefined;
  #strip: LineStrip | undefined;
  /** The pixel that the arrow keys are at. */
  #at: readonly [column: number, row: number] | undefined;

  constructor() {
    super();
    this.shape = "rectangle";
    this.log = true;
  }

  override render() {
    const { title } = this.panel;
    return html`
      <header>
        <h2>${title}</h2>
        <span class="right">
          <span class="which quiet"></span>
          <span class="age"></span>
          <button
            aria-pressed=${this.region !== undefined}
            aria-label="Region of ${title}: its mean over time"
            title="Mean of a region over time: drag on the image; with Shift a circle"
            @click=${() => this.#toggleRegion()}
          >
            ▭
          </button>
        </span>
      </header>
      <div
        class="picture"
        role="img"
        tabindex=${this.behind ? 0 : nothing}
        aria-label="${title}"
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
        @blur=${() => this.#point(undefined)}
        @pointerdown=${(event: PointerEvent) => this.#down(event)}
        @pointermove=${(event: PointerEvent) => this.#move(event)}
        @pointerup=${(event: PointerEvent) => this.#up(event)}
        @pointercancel=${() => this.#cancel()}
      >
        <canvas></canvas>
        <div class="empty">no image yet</div>
      </div>
      ${this.greys ? nothing : this.#spreads ? this.#histogram() : colourBar(this.panel.map)}
    `;
  }

  get #spreads(): boolean {
    return !this.greys && isSpread(this.panel);
  }

  #histogram() {
    const { title, scale } = this.panel;
    return html`<op-histogram
      .name=${title}
      .log=${scale === "log" ? this.log : undefined}
      ?automatic=${this.window === undefined}
      @window=${({ detail }: CustomEvent<Limits | undefined>) => (this.window = detail)}
      @scale=${({ detail }: CustomEvent<boolean>) => (this.log = detail)}
    ></op-histogram>`;
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("window") || changed.has("log")) {
      // What is not positive has no place on a logarithmic scale.
      if (this.log && this.panel.scale === "log" && this.window && !(this.window.low > 0))
        this.window = undefined;
      if (changed.has("log")) this.#spread = undefined;
      this.#painted = undefined;
      this.invalidate();
    }
    if (changed.has("picked")) this.invalidate();
    if (changed.has("voltage")) {
      this.#strip?.close();
      this.#strip = undefined;
      this.invalidate();
    }
    // Its title says which slice it shows.
    if (changed.has("panel") && this.#trace) this.#trace.panel = this.panel;
    if (changed.has("slice") && this.feed && this.slice !== changed.get("slice")) {
      this.openRows();
      this.#measureKept();
    }
  }

  protected columns(): readonly string[] {
    const { stream, column, state, error } = this.panel;
    return [column, ...state, ...(error?.stream === stream ? [error.column] : [])];
  }

  protected override openFeed(onData: (newest: number) => void): RowFeed {
    const { page, panel, slice } = this;
    const client =
      slice === undefined ? page.client : picking(page.client, { column: "slice", value: slice });
    return new RowFeed({
      client, axis: page.axis, stream: panel.stream, columns: this.columns(),
      onData: (newest) => {
        this.#settle();
        this.#measureNewest();
        onData(newest);
      },
    }); // prettier-ignore
  }

  /** Of a stream that turns out to carry several slices, one is kept to, so that the picture does not jump. */
  #settle(): void {
    const row = this.feed?.newest;
    const which = row ? valueAt(row, "slice") : NaN;
    if (this.slice !== undefined || Number.isNaN(which)) return;
    if (this.#first === undefined) this.#first = which;
    else if (which !== this.#first) this.slice = this.#first;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#choose(undefined);
    this.#strip?.close();
    this.#strip = undefined;
  }

  /** What stands beside the image that is shown. */
  get row(): Row | undefined {
    return this.shown;
  }

  protected paint(row: Row | undefined): void {
    const version = this.greys?.version ?? 0;
    if (row && (row !== this.#painted || version !== this.#version)) this.#take(row, version);
    const { c, width, height, ratio } = this.canvas();
    if (!row || this.#picture.rows === 0) return;
    const { metadata } = row.frame.schema;
    const pixel_m = pixelSize_m(metadata, liesLevel(this.panel));
    const fit = this.panel.sort === "sinogram" ? "fill" : this.greys ? "top" : "middle";
    const flipped = metadata["first_row"] === "smallest y";
    const strip = this.#lines(row);
    const room = width - (strip ? STRIP_px * ratio : 0);
    const place = this.#picture.stretch(c, { width: room, height, ratio }, pixel_m, { fit, flipped });
    this.#place = place;
    crosshair(c, place, this.marks);
    caption(c, place, this.lines);
    if (pixel_m.x > 0 && fit !== "fill") scaleBar(c, place, pixel_m.x);
    strip?.draw(c, place);
    const region = this.#draft ?? this.region;
    if (region) outline(c, place, region);
    if (this.picked) framePixel(c, place, [this.picked.column, this.picked.row], "#ff9d76");
    if (this.#at) framePixel(c, place, this.#at, "#fff");
    // The same pixel of the map that is shown now.
    if (this.picked && this.picked.time !== row.time) this.#pick([this.picked.column, this.picked.row]);
  }

  /** The potential of each line of a scanned image that says when its lines were taken. */
  #lines(row: Row): LineStrip | undefined {
    const { voltage, page } = this;
    const times = voltage && lineTimes(row, this.#picture.rows);
    if (!times) return undefined;
    this.#strip ??= new LineStrip(page.client, voltage, () => this.invalidate());
    this.#strip.see(times);
    return this.#strip;
  }

  #take(row: Row, version: number): void {
    const { panel, greys } = this;
    const image = imageOf(row, panel.column);
    if (!image) return;
    // Of a mask 255 is what nobody knows.
    const values = panel.sort === "mask" ? Float32Array.from(image, (v) => (v === 255 ? NaN : v)) : image;
    const size = sizeOf(row, panel.column)!;
    const { window } = this;
    const within = greys
      ? (own: Limits | undefined) => greys.take(panel.id, own)
      : window
        ? () => window
        : FIXED[panel.sort];
    const colours = this.#colours;
    this.#limits = this.#picture.paint(values, size, colours, within);
    const another = row !== this.#painted;
    this.#painted = row;
    this.#version = greys ? greys.version : version;
    if (greys) return;
    const said = scaleOf(colours, this.#limits);
    if (!this.#spreads) {
      this.say(".low", said.low);
      this.say(".high", said.high);
      this.say(".unit", said.unit);
      return;
    }
    if (another || !this.#spread) this.#spread = histogram(values, colours.scale === "log", window);
    const bar = this.renderRoot.querySelector("op-histogram")!;
    const { unit } = scaleOf({ ...colours, scale: "linear" }, this.#limits); // its button says that it is logarithmic
    bar.show({ histogram: this.#spread, window: this.#limits, map: panel.map, ...said, unit });
  }

  /** As the panel has them, but for what was chosen here. */
  get #colours(): ImagePanel {
    const { panel } = this;
    return panel.scale === "log" && !this.log ? { ...panel, scale: "linear" } : panel;
  }

  protected override tell(): void {
    super.tell();
    const row = this.shown;
    if (!row) return;
    const { low, high } = this.#limits ?? { low: NaN, high: NaN };
    const { title, unit } = this.panel;
    const which = valueAt(row, "slice");
    const at = this.#at && `${this.#at.join(", ")}: ${readableQuantity(this.#valueOf(this.#at), unit, 3)}`;
    this.say(".which", at ?? (this.greys || Number.isNaN(which) ? "" : `z = ${which}`));
    const said = `${title}, ${timeOfDay(row.time)}, from ${readableQuantity(low, unit)} to ${readableQuantity(high, unit)}`;
    const strip = this.#strip?.said ? [`voltage while it was scanned ${this.#strip.said}`] : [];
    const label = [said, ...this.lines, ...strip, ...(at ? [`pixel ${at}`] : [])].join("; ");
    const picture = this.renderRoot.querySelector(".picture")!;
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
  }

  // Regions

  get #size(): readonly [number, number] {
    return [this.#picture.rows, this.#picture.columns];
  }

  /** Place of a pointer in pixels of the image. */
  #placeOf({ clientX, clientY }: PointerEvent): readonly [number, number] | undefined {
    const place = this.#place;
    if (!place) return undefined;
    const box = this.renderRoot.querySelector(".picture")!.getBoundingClientRect();
    return pixelAt(place, (clientX - box.left) * place.ratio, (clientY - box.top) * place.ratio);
  }

  #down(event: PointerEvent): void {
    const from = this.#placeOf(event);
    if (event.button !== 0 || !from || from.some((at, i) => at < -0.5 || at > this.#size[1 - i]! - 0.5))
      return;
    this.#drag = { from, page: [event.clientX, event.clientY], moved: false };
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    const to = this.#placeOf(event);
    if (!drag || !to) return;
    drag.moved ||= Math.hypot(event.clientX - drag.page[0], event.clientY - drag.page[1]) >= CLICK_px;
    if (!drag.moved) return;
    this.shape = event.shiftKey ? "circle" : "rectangle";
    this.#draft = regionBetween(this.shape, drag.from, to, this.#size);
    this.invalidate();
  }

  #up(_event: PointerEvent): void {
    const draft = this.#draft;
    const drag = this.#drag;
    this.#cancel();
    if (draft) this.#choose(draft);
    else if (drag && !drag.moved) this.#pick([Math.round(drag.from[0]), Math.round(drag.from[1])]);
  }

  #cancel(): void {
    this.#drag = undefined;
    this.#draft = undefined;
    this.invalidate();
  }

  /** By key: the middle ninth, to be moved with the numbers below the trace. */
  #toggleRegion(): void {
    if (this.region) return this.#choose(undefined);
    const [rows, columns] = this.#size;
    if (rows === 0) return;
    this.#choose(
      regionBetween("rectangle", [columns / 3, rows / 3], [(2 * columns) / 3, (2 * rows) / 3], this.#size),
    );
  }

  #choose(wanted: Region | undefined): void {
    const region = wanted && onImage(wanted, this.#size);
    const { page, panel } = this;
    const { error, stream } = panel;
    this.region = region;
    if (!region) {
      if (this.#trace) page.regions.remove(this.#trace);
      this.#trace = undefined;
      this.#errors?.close();
      this.#errors = undefined;
    } else {
      if (error && error.stream !== stream)
        this.#errors ??= new RowFeed({
          client: page.client,
          axis: page.axis,
          stream: error.stream,
          columns: [error.column],
          onData: () => {},
        });
      if (!this.#trace) {
        this.#trace = new RegionTrace(panel, region, this.#size, (other) => this.#choose(other));
        page.regions.add(this.#trace);
      }
      this.#trace.region = region;
      this.#measureKept();
    }
    this.invalidate();
  }

  // Pixels

  #valueOf([column, row]: readonly [number, number]): number {
    const values = this.shown && imageOf(this.shown, this.panel.column);
    return values?.[row * this.#picture.columns + column] ?? NaN;
  }

  /** Says which pixel was picked, for whoever shows its curve. */
  #pick([column, row]: readonly [number, number]): void {
    const { panel, behind, shown } = this;
    const [rows, columns] = this.#size;
    if (!behind || !shown || column < 0 || row < 0 || column >= columns || row >= rows) return;
    const pick: PixelPick = { panel, behind, column, row, columns, rows, time: shown.time, value: this.#valueOf([column, row]) }; // prettier-ignore
    this.dispatchEvent(new CustomEvent<PixelPick>("pick", { detail: pick }));
  }

  #point(at: readonly [number, number] | undefined): void {
    this.#at = at;
    this.invalidate();
    this.tell();
  }

  /** Arrows go from pixel to pixel (with Shift ten), Enter picks. Up is up on the screen. */
  #key(event: KeyboardEvent): void {
    const [rows, columns] = this.#size;
    const { key, shiftKey } = event;
    if (!this.behind || rows === 0) return;
    const by = shiftKey ? 10 : 1;
    const up = this.#place?.flipped ? by : -by;
    const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, up], ArrowDown: [0, -up] }[key] ?? [0, 0]; // prettier-ignore
    const { picked } = this;
    const from = this.#at ?? (picked && ([picked.column, picked.row] as const));
    if (key === "Enter" || key === " ") {
      if (!this.#at) return;
      this.#pick(this.#at);
    } else if (dx === 0 && dy === 0) return;
    else if (!from) this.#point([Math.floor(columns / 2), Math.floor(rows / 2)]);
    else
      this.#point([
        Math.min(columns - 1, Math.max(0, from[0] + dx!)),
        Math.min(rows - 1, Math.max(0, from[1] + dy!)),
      ]);
    event.preventDefault();
    event.stopPropagation(); // the page has these keys too
  }

  #measure(row: Row): (RegionMean & { known: boolean }) | undefined {
    const { region, panel } = this;
    const values = region && imageOf(row, panel.column);
    if (!region || !values) return undefined;
    const { error, stream } = panel;
    const errorRow = error && (error.stream === stream ? row : this.#errors?.shown(row.time));
    const errors = errorRow && imageOf(errorRow, error!.column);
    const fitting = errors?.length === values.length ? errors : undefined;
    return {
      ...regionMean(values, sizeOf(row, panel.column)!, region, fitting),
      known: fitting !== undefined,
    };
  }

  #measureNewest(): void {
    const row = this.feed?.newest;
    const mean = row && this.#measure(row);
    if (mean) this.#trace?.take([{ time: row.time, ...mean }], false);
  }

  /** Of the images that are still here, so that a new region begins with some history. */
  #measureKept(): void {
    const means = (this.feed?.kept ?? []).flatMap((row) => {
      const mean = this.#measure(row);
      return mean ? [{ time: row.time, ...mean }] : [];
    });
    this.#trace?.take(means, true);
  }
}

/** Across the rotation axis: slices, and what is mapped onto them. */
const liesLevel = ({ sort, state, upright }: ImagePanel): boolean =>
  !upright && (state.includes("slice") || sort === "slice" || sort === "change" || sort === "first change");

function imageOf(row: Row, column: string): ArrayLike<number> | undefined {
  const size = sizeOf(row, column);
  const all = row.frame.columns[column] as Float32Array | undefined;
  if (!size || !all) return undefined;
  const n = size[0] * size[1];
  return all.length < (row.at + 1) * n ? undefined : all.subarray(row.at * n, (row.at + 1) * n);
}

/** The colours from low to high, and the values at both ends. */
export function colourBar(map: ColourMap) {
  const colours = [...table(map)]
    .filter((_, i) => i % 15 === 0)
    .map((c) => `rgb(${c & 255} ${(c >> 8) & 255} ${(c >> 16) & 255})`);
  return html`<footer>
    <span class="low"></span>
    <span class="bar" style="background: linear-gradient(90deg, ${colours.join()})"></span>
    <span class="high"></span><span class="unit quiet"></span>
  </footer>`;
}

/** Limits as they are written beside a colour bar. */
export function scaleOf(
  { unit, scale, sort }: Pick<ImagePanel, "unit" | "scale" | "sort">,
  limits: Limits | undefined,
): { low: string; high: string; unit: string } {
  if (!limits) return { low: "", high: "", unit: "" };
  const { low, high } = limits;
  // Of the change in standard deviations the symbol is what is read.
  if (sort === "change")
    return { low: readableNumber(low, 3), high: `+${readableNumber(high, 3)}`, unit: "σ" };
  const readable =
    sort === "first change" && high >= 7200
      ? { factor: 1 / 3600, unit: "h into the run" }
      : sort === "first change"
        ? { factor: 1, unit: "s into the run" }
        : readableScale(unit, Math.max(Math.abs(low), Math.abs(high)));
  return {
    low: readableNumber(low * readable.factor, 3),
    high: readableNumber(high * readable.factor, 3),
    unit: `${readable.unit}${scale === "log" ? " log" : ""}`,
  };
}

customElements.define("op-image", OpImage);

declare global {
  interface HTMLElementTagNameMap {
    "op-image": OpImage;
  }
}
