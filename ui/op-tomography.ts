/**
 * Planes through one sample that fill as it turns: side by side in one span of greys, with the lines where they cut
 * each other, what of the turn they hold, what they were made from, and how the cell stood at their first and last view.
 */
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { AsOf } from "./as-of.ts";
import type { Limits } from "./colour-maps.ts";
import type { Ms, Subscription } from "./client/types.ts";
import { AnglesSeen } from "./coverage.ts";
import { dial } from "./dial.ts";
import { GreyWindow } from "./grey-window.ts";
import type { PlanePanel, TomographyPanel } from "./image-panels.ts";
import { colourBar, scaleOf, type OpImage } from "./op-image.ts";
import type { Page } from "./page.ts";
import type { Trace } from "./panels.ts";
import { marksOf } from "./plane-marks.ts";
import { readableNumber, readableQuantity } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import type { Row } from "./row-feed.ts";
import { runOrigin } from "./run-name.ts";
import { parts } from "./theme.ts";
import { placeOf, stateLine, valueAt } from "./slice-state.ts";
import "./op-image.ts";
import "./op-options.ts";

export class OpTomography extends LitElement {
  static override properties = {
    page: { attribute: false },
    panel: { attribute: false },
    charge: { attribute: false },
    voltage: { attribute: false },
    slices: { state: true },
    slice: { state: true },
    setting: { state: true },
  };
  declare page: Page;
  declare panel: TomographyPanel;
  /** State of charge or charge, and voltage, of the cell; undefined where nobody measures them. */
  declare charge: Trace | undefined;
  declare voltage: Trace | undefined;
  /** Slices that the horizontal stream carries, where there are several. */
  declare slices: readonly number[];
  declare slice: number | undefined;
  /** The form of options is open. */
  declare setting: boolean;

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
      .planes {
        flex: 1;
        min-height: 0;
        display: grid;
        grid-template-columns: minmax(0, 1fr) 104px;
        grid-template-rows: minmax(0, 1fr);
        gap: 4px 8px;
      }
      .two {
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) 104px;
      }
      /* The horizontal one large, the upright ones above one another beside it. */
      .three {
        grid-template-columns: minmax(0, 1.6fr) minmax(0, 1fr) 104px;
        grid-template-rows: minmax(0, 1fr) minmax(0, 1fr);
      }
      .three op-image:first-child,
      .three .about {
        grid-row: 1 / -1;
      }
      .three .about {
        grid-column: 3;
        grid-row: 1 / -1;
      }
      op-image {
        padding: 0;
        min-height: 90px;
      }
      .about {
        display: flex;
        flex-direction: column;
        gap: 2px;
        font-size: 12px;
        overflow: hidden;
      }
      .about button {
        align-self: start;
        margin-top: 4px;
      }
      .about svg {
        width: 100%;
        max-height: 96px;
      }
      .big {
        font-size: 15px;
        font-weight: 600;
      }
      .state {
        font-size: 12px;
        color: var(--quiet);
        margin-top: 3px;
        display: flex;
        flex-wrap: wrap;
        gap: 0 12px;
      }
      .pending {
        color: var(--amber);
      }
      .tools {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 12px;
        align-items: center;
        font-size: 12px;
        margin-top: 3px;
      }
      .tools label {
        display: flex;
        gap: 5px;
        align-items: center;
        white-space: nowrap;
      }
      input[type="range"] {
        width: 74px;
        height: 14px;
        accent-color: #8cc8ff;
      }
      .greys {
        flex: 1 1 220px;
        display: flex;
        gap: 6px;
        align-items: center;
      }
      .greys footer {
        flex: 1;
        display: grid;
        grid-template-columns: auto 1fr auto auto;
        gap: 5px;
        align-items: center;
        white-space: nowrap;
      }
      .bar {
        height: 8px;
        border-radius: 2px;
        min-width: 30px;
      }
      .tools button {
        padding: 0 7px;
        line-height: 17px;
      }
      @media (max-width: 480px) {
        .three {
          grid-template-columns: minmax(0, 1.6fr) minmax(0, 1fr) 84px;
        }
      }
    `,
  ];

  readonly greys = new GreyWindow();
  readonly #angles = new AnglesSeen();
  #seen: Row | undefined;
  #asOf: { readonly first: AsOf; readonly last: AsOf } | undefined;
  #asOfKey = "";
  #listing: Subscription | undefined;
  #stops: (() => void)[] = [];

  constructor() {
    super();
    this.slices = [];
    this.setting = false;
  }

  override render() {
    const { page, panel, greys, slices, slice } = this;
    const node = page.client.nodes.find((one) => one.node === panel.node);
    const [first] = panel.planes;
    return html`
      <div class="planes ${["", "one", "two", "three"][panel.planes.length]!}">
        ${panel.planes.map(
          (plane, i) =>
            html`<op-image
              .page=${page}
              .panel=${this.#titled(plane)}
              .greys=${greys}
              .slice=${i === 0 ? slice : undefined}
              ?tile=${i > 0}
            ></op-image>`,
        )}
        <div class="about">
          ${this.#about()}
          ${
            node
              ? html`<button aria-expanded=${this.setting} @click=${() => (this.setting = !this.setting)}>Options</button>`
              : nothing
          }
        </div>
      </div>
      <div class="state">
        ${this.#state().map(({ text, pending }) => html`<span class=${pending ? "pending" : ""}>${text}</span>`)}
      </div>
      <div class="tools">
        ${
          slices.length > 1
            ? html`<label
                >slice
                <input
                  type="range"
                  min="0"
                  max=${slices.length - 1}
                  step="1"
                  aria-label="Slice shown, a row of the detector"
                  aria-valuetext="z = ${slice}"
                  .value=${String(Math.max(0, slices.indexOf(slice ?? NaN)))}
                  @input=${(event: Event) => this.#pick((event.target as HTMLInputElement).valueAsNumber)}
                />
                z = ${slice}</label
              >`
            : nothing
        }
        <span class="greys">
          <input
            type="range"
            min="0"
            max="1000"
            aria-label="Value that is black"
            title="Value that is black"
            .value=${String(this.#notch("low"))}
            @input=${(event: Event) => this.#setGrey("low", event)}
          />
          ${colourBar(first!.map)}
          <input
            type="range"
            min="0"
            max="1000"
            aria-label="Value that is white"
            title="Value that is white"
            .value=${String(this.#notch("high"))}
            @input=${(event: Event) => this.#setGrey("high", event)}
          />
          <button aria-pressed=${greys.set === undefined} title="Greys follow the images" @click=${() => greys.choose(undefined)}>auto</button>
        </span>
      </div>
      ${node && this.setting ? html`<op-options .page=${page} .node=${node}></op-options>` : nothing}
    `; // prettier-ignore
  }

  /** What the horizontal one shows stands in its title. */
  #titles = new Map<string, PlanePanel>();
  #titled(plane: PlanePanel): PlanePanel {
    const at = placeOf(plane, plane.id === this.panel.planes[0]!.id ? this.#row(0) : undefined);
    const place = at
      ? `${at.axis} = ${String(at.at).replace("-", "−")}`
      : plane.plane && "words" in plane.plane
        ? plane.plane.words
        : "";
    const name = plane.port === "slices" ? "slice" : plane.port;
    const title = place ? `${name}, ${place}` : name;
    const known = this.#titles.get(plane.id);
    if (known?.title === title && known.stream === plane.stream) return known;
    const titled = { ...plane, title };
    this.#titles.set(plane.id, titled);
    return titled;
  }

  override firstUpdated(_changed: PropertyValues<this>): void {
    this.#open();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.#stops.splice(0)) stop();
    this.#listing?.close();
    this.#listing = undefined;
    this.#closeAsOf();
  }

  #open(): void {
    this.#stops = [
      this.page.onTick(() => this.#look()),
      this.greys.onChange(() => {
        for (const image of this.#images) image.invalidate();
        this.requestUpdate();
      }),
    ];
  }

  get #images(): OpImage[] {
    return [...this.renderRoot.querySelectorAll("op-image")];
  }

  #row(i: number): Row | undefined {
    return this.hasUpdated ? this.#images[i]?.row : undefined;
  }

  /** Five times a second: what came with the pictures that are shown. */
  #look(): void {
    const row = this.#row(0) ?? this.#row(1);
    if (!row) return;
    if (row !== this.#seen) {
      this.#seen = row;
      this.#angles.see(valueAt(row, "rotation_angle"));
      this.#list(row);
      this.requestUpdate();
    }
    this.#print();
    this.#sayGreys();
  }

  // Slices

  /** Asks once which slices there are at one time, and again when one comes that is not among them. */
  #list(row: Row): void {
    const which = valueAt(row, "slice");
    const { stream } = this.panel.planes[0]!;
    if (Number.isNaN(which) || this.slices.includes(which) || this.#listing) return;
    const found = new Set<number>();
    const near = { from: row.time - 1e-3, to: row.time + 2e-3 };
    this.#listing = this.page.client.subscribe({ stream, columns: ["slice"], ...near, lossless: true }, (frame) => {
      if (frame.kind !== "rows") return;
      for (const one of frame.columns["slice"] as Int32Array) found.add(one);
      this.slices = [...new Set([...this.slices, ...found])].sort((a, b) => a - b);
      if (this.slices.length > 1) this.slice ??= this.slices[Math.floor(this.slices.length / 2)]!;
      this.#listing?.close();
      this.#listing = undefined;
    });
  } // prettier-ignore

  #pick(i: number): void {
    this.slice = this.slices[i];
  }

  // What is printed on the pictures

  #print(): void {
    const rows = this.panel.planes.map((_, i) => this.#row(i));
    const lines = this.#views(rows[0] ?? rows[1]);
    this.#images.forEach((image, i) => {
      const marks = marksOf(this.panel.planes, rows, i);
      const mine = i === 0 ? lines : [];
      if (String(image.lines) === String(mine) && JSON.stringify(image.marks) === JSON.stringify(marks))
        return;
      image.lines = mine;
      image.marks = marks;
      image.invalidate();
    });
  }

  /** "first view 14:02:07  43.1 %" and the same of the last. */
  #views(row: Row | undefined): string[] {
    if (!row) return [];
    const first = firstViewOf(row, runOrigin(this.page.client.manifest));
    const of = this.charge ?? this.voltage;
    const key = of ? `${of.stream}/${of.column}` : "";
    if (key !== this.#asOfKey) {
      this.#closeAsOf();
      if (of) this.#asOf = { first: new AsOf(this.page.client, of), last: new AsOf(this.page.client, of) };
      this.#asOfKey = key;
    }
    // A time never stands beside the value of another.
    const line = (which: "first" | "last", time: Ms) => {
      const answer = this.#asOf?.[which].at(time);
      return of && answer
        ? `${which} view ${timeOfDay(answer.at)}  ${reads(of, answer.value)}`
        : `${which} view ${timeOfDay(time)}`;
    };
    return [...(Number.isFinite(first) ? [line("first", first)] : []), line("last", row.time)];
  }

  #closeAsOf(): void {
    this.#asOf?.first.close();
    this.#asOf?.last.close();
    this.#asOf = undefined;
    this.#asOfKey = "";
  }

  // What stands beside them

  #about() {
    const row = this.#seen;
    if (!row) return html`<span class="quiet">no view yet</span>`;
    const coverage = valueAt(row, "coverage");
    const gap = valueAt(row, "largest_gap");
    const angle = valueAt(row, "rotation_angle");
    const views = valueAt(row, "views");
    const { metadata } = row.frame.schema;
    // In a parallel beam a view and its mirror are one.
    const turn = coverage > 180.5 || /^(fan|cone)$/.test(metadata["geometry"] ?? "");
    const covered = {
      angle,
      coverage,
      largestGap: gap,
      span: turn ? 360 : 180,
      direction: this.#angles.direction,
    } as const;
    const said = `${readableNumber(coverage, 3)}° covered, largest gap ${readableNumber(gap, 3)}°, newest angle ${readableNumber(angle, 4)}°, ${views} views`;
    return html`
      ${dial(covered, this.#angles.newest(views), said)}
      <span><span class="big">${readableNumber(coverage, 3)}°</span> covered</span>
      <span class="quiet">largest gap ${readableNumber(gap, 3)}°</span>
      <span class="quiet">at ${angleText(angle)}</span>
      <span class="quiet">${views} views</span>
    `;
  }

  #state() {
    const row = this.#seen;
    return row ? stateLine(row) : [];
  }

  // Greys

  /** The sliders run over what the images cover and half of that to either side. */
  get #reach(): Limits {
    const { low, high } = this.greys.covered ?? { low: 0, high: 1 };
    const room = (high - low) / 2 || 1;
    return { low: low - room, high: high + room };
  }

  #notch(end: keyof Limits): number {
    const { low, high } = this.#reach;
    const { limits } = this.greys;
    return limits ? Math.round(((limits[end] - low) / (high - low)) * 1000) : end === "low" ? 250 : 750;
  }

  #setGrey(end: keyof Limits, event: Event): void {
    const { low, high } = this.#reach;
    const { limits } = this.greys;
    if (!limits) return;
    const value = low + ((event.target as HTMLInputElement).valueAsNumber / 1000) * (high - low);
    const least = (high - low) / 1000;
    const set = end === "low" ? { low: Math.min(value, limits.high - least), high: limits.high } : { low: limits.low, high: Math.max(value, limits.low + least) }; // prettier-ignore
    this.greys.choose(set);
  }

  #sayGreys(): void {
    const shown = scaleOf(this.panel.planes[0]!, this.greys.limits);
    for (const name of ["low", "high", "unit"] as const) {
      const place = this.renderRoot.querySelector(`.greys .${name}`)!;
      if (place.textContent !== shown[name]) place.textContent = shown[name];
    }
  }
}

/** When the first view of a picture was taken: it says how long ago, or when since the run's origin. NaN where it says neither. */
function firstViewOf(row: Row, origin: Ms): Ms {
  const age = valueAt(row, "oldest_age");
  if (Number.isFinite(age)) return row.time - age * 1000;
  return origin + valueAt(row, "first_time") * 1000;
}

/** Of many turns the angle within the last, and how many there were. */
function angleText(angle: number): string {
  const turns = Math.floor(angle / 360);
  const within = readableNumber(angle - turns * 360, 4);
  return turns === 0 || !Number.isFinite(turns) ? `${within}°` : `${within}° of turn ${turns + 1}`;
}

function reads({ unit, quantity }: Trace, value: number): string {
  if (quantity === "state of charge" && unit === "1") return `${readableNumber(100 * value, 3)} %`;
  return readableQuantity(value, unit);
}

customElements.define("op-tomography", OpTomography);

declare global {
  interface HTMLElementTagNameMap {
    "op-tomography": OpTomography;
  }
}
