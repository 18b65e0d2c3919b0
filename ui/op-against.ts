/** One column against another, as of the same time, chosen from lists; time as colour. */
import { css, html, type PropertyValues } from "lit";
import { AgainstView, againstStyles, type About } from "./against-view.ts";
import { largerButton } from "./larger-button.ts";
import type { Plane } from "./plot-frame.ts";
import { columnId, type Column, type Pair } from "./plot-panels.ts";
import { readableScale, readableWithError } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";

type Axis = keyof Pair;

export class OpAgainst extends AgainstView {
  static override properties = {
    ...AgainstView.properties,
    offered: { attribute: false },
    first: { attribute: false },
    chosen: { state: true },
  };
  /** Columns to choose from. */
  declare offered: readonly Column[];
  /** What is shown until something else is chosen. */
  declare first: Pair | undefined;
  declare chosen: Partial<Pair>;

  static override styles = [
    ...againstStyles,
    css`
      select {
        font: inherit;
        font-size: 12px;
        color: var(--text);
        background: var(--ground);
        border: 1px solid var(--line);
        border-radius: 3px;
        min-width: 40px;
        flex: 0 1 12em;
      }
      .said {
        text-align: right;
      }
    `,
  ];

  constructor() {
    super();
    this.offered = [];
    this.chosen = {};
  }

  override render() {
    return html`
      <header>
        ${
          this.large || !this.pair
            ? html`${this.#list("y", "Drawn upwards")}<span class="quiet">against</span>${this.#list("x", "Drawn to the right")}`
            : html`<h2>${this.#name}</h2>`
        }
        <span class="said"></span>
        ${largerButton(this, "One column against another")}
      </header>
      <div class="picture" role="img" aria-label=${this.#name} @click=${() => this.large || this.dispatchEvent(new CustomEvent("open"))}>
        <canvas></canvas>
      </div>
    `;
  } // prettier-ignore

  get #name(): string {
    const { pair } = this;
    return pair ? `${pair.y.title} against ${pair.x.title}` : "one column against another";
  }

  #list(axis: Axis, label: string) {
    const { offered } = this;
    const now = this.#column(axis);
    const streams = [...new Set(offered.map(({ stream }) => stream))];
    return html`<select
      aria-label=${label}
      title=${now ? `${columnId(now)}` : label}
      @change=${(event: Event) => this.#choose(axis, (event.target as HTMLSelectElement).value)}
    >
      ${now ? "" : html`<option value="" selected>choose</option>`}
      ${streams.map(
        (stream) =>
          html`<optgroup label=${stream}>
            ${offered
              .filter((one) => one.stream === stream)
              .map(
                (one) =>
                  html`<option value=${columnId(one)} ?selected=${now !== undefined && columnId(one) === columnId(now)}>
                    ${one.title}
                  </option>`,
              )}
          </optgroup>`,
      )}
    </select>`;
  } // prettier-ignore

  #choose(axis: Axis, id: string): void {
    const column = this.offered.find((one) => columnId(one) === id);
    this.chosen = { ...this.chosen, [axis]: column };
  }

  #column(axis: Axis): Column | undefined {
    return this.chosen[axis] ?? this.first?.[axis];
  }

  protected get pair(): Pair | undefined {
    const [x, y] = [this.#column("x"), this.#column("y")];
    return x && y && { x, y };
  }

  protected get about(): About {
    return { equal: false, downwards: false, joined: false };
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("chosen") || changed.has("first")) this.openFeeds();
  }

  /** The errors of the last point. */
  protected override decorate(c: CanvasRenderingContext2D, on: Plane, at: number): void {
    const { points, pair } = this;
    if (at < 0 || !points || !pair) return;
    const [x, y] = [points.x[at]!, points.y[at]!];
    const [dx, dy] = [this.#error("x", at), this.#error("y", at)];
    c.fillStyle = "#fff";
    if (dx > 0) c.fillRect(on.x(x - dx), on.y(y) - on.ratio / 2, on.x(x + dx) - on.x(x - dx), on.ratio);
    if (dy > 0) c.fillRect(on.x(x) - on.ratio / 2, on.y(y + dy), on.ratio, on.y(y - dy) - on.y(y + dy));
  }

  #error(axis: Axis, at: number): number {
    const column = this.#column(axis);
    if (!column?.error) return NaN;
    const found = this.buffer(column.stream)?.at(column.error, this.points!.time[at]!);
    return found ? (found.min + found.max) / 2 : NaN;
  }

  protected tell(at: number): void {
    const { points, pair } = this;
    let text = "";
    if (at >= 0 && points && pair) {
      const one = (axis: Axis): string => {
        const { unit } = pair[axis];
        const value = points[axis][at]!;
        return readableWithError(value, this.#error(axis, at), readableScale(unit, Math.abs(value)));
      };
      text = `${one("y")} at ${one("x")}`;
    }
    const said = this.renderRoot.querySelector(".said")!;
    if (said.textContent !== text) said.textContent = text;
    const label = text === "" ? this.#name : `${this.#name}, ${timeOfDay(points!.time[at]!)}: ${text}`;
    const picture = this.renderRoot.querySelector(".picture")!;
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
  }
}

customElements.define("op-against", OpAgainst);

declare global {
  interface HTMLElementTagNameMap {
    "op-against": OpAgainst;
  }
}
