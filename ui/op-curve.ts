/**
 * One force curve with its fit and what the fit leaves over: the newest, or the last before the cursor; or, until it is
 * let go, the one behind a pixel of a map.
 */
import { css, html, nothing, type PropertyValues } from "lit";
import type { CurvePanel } from "./curve-panels.ts";
import { PixelCurve, type PixelPick } from "./pixel-curve.ts";
import { marksBelow, marksLeft, plane, spanOf, stroke, write } from "./plot-frame.ts";
import { readableQuantity, readableScale } from "./readable-numbers.ts";
import { whenOf, type Row } from "./row-feed.ts";
import { RowView, rowViewStyles } from "./row-view.ts";

interface List {
  readonly values: ArrayLike<number>;
  readonly offsets: ArrayLike<number>;
}

const FORCE = "#cbb95c";
const FIT = "#f2f4f6";

export class OpCurve extends RowView<CurvePanel> {
  static override properties = { ...RowView.properties, pick: { attribute: false } };
  /** The pixel whose curve is wanted in place of the newest. */
  declare pick: PixelPick | undefined;

  static override styles = [
    ...rowViewStyles,
    css`
      :host {
        padding-bottom: 4px;
      }
      .picture {
        margin-top: 0;
      }
      .why {
        color: var(--quiet);
        overflow: hidden;
        text-overflow: ellipsis;
      }
      /* Of a pixel: its value, and below it why and when. */
      .pixel {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto auto;
        gap: 0 8px;
      }
      .pixel h2 {
        grid-column: 1 / -1;
      }
      header button {
        padding: 0 6px;
        line-height: 15px;
        font-size: 12px;
      }
    `,
  ];

  #pixel: PixelCurve | undefined;

  override render() {
    const { title } = this.panel;
    return html`
      <header class=${this.pick ? "pixel" : ""}>
        <h2 .textContent=${title}></h2>
        <span class="why"></span>
        <span class="age"></span>
        ${
          this.pick
            ? html`<button title="The newest curve again (Esc)" @click=${() => this.dispatchEvent(new CustomEvent("release"))}>live</button>`
            : nothing
        }
      </header>
      <div class="picture" role="img" aria-label="${title}">
        <canvas></canvas>
        <div class="empty">no curve yet</div>
      </div>
    `; // prettier-ignore
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (!changed.has("pick")) return;
    if (this.pick) {
      this.#pixel ??= new PixelCurve(this.page.client, () => this.invalidate());
      this.#pixel.want(this.pick);
    } else this.#let();
    this.invalidate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#let();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && this.pick) this.requestUpdate("pick");
  }

  #let(): void {
    this.#pixel?.close();
    this.#pixel = undefined;
  }

  protected columns(): readonly string[] {
    const { x, y, fit } = this.panel;
    return [x, y, ...(fit === undefined ? [] : [fit])];
  }

  #list(row: Row, name: string | undefined): ArrayLike<number> | undefined {
    const list = name === undefined ? undefined : (row.frame.columns[name] as List | undefined);
    if (!list) return undefined;
    const [from, to] = [list.offsets[row.at]!, list.offsets[row.at + 1]!];
    return Array.prototype.slice.call(list.values, from, to) as number[];
  }

  protected override paint(row: Row | undefined): void {
    const pixel = this.#pixel?.answer;
    if (!pixel) return this.#draw(row, this.panel);
    this.#draw(pixel.curve?.row, pixel.curve?.panel ?? this.panel);
    const empty = this.renderRoot.querySelector<HTMLElement>(".empty")!;
    empty.hidden = pixel.curve !== undefined;
    this.say(".empty", pixel.searching ? "looking for its curve" : pixel.why);
  }

  protected override tell(): void {
    const pixel = this.#pixel?.answer;
    const picture = this.renderRoot.querySelector(".picture")!;
    if (!pixel) {
      super.tell();
      this.say("h2", this.panel.title);
      this.say(".why", "");
      this.say(".empty", "no curve yet");
      if (picture.getAttribute("aria-label") !== this.panel.title) picture.setAttribute("aria-label", this.panel.title); // prettier-ignore
      return;
    }
    const { pick, curve, value, why } = pixel;
    const name = [`pixel ${pick.column}, ${pick.row}`, value].filter((text) => text !== "").join(" · ");
    const fit = curve && curve.panel !== pick.behind.fits && value !== "" && pick.behind.fits;
    const raw = curve && curve.panel !== pick.behind.fits ? (fit ? "as measured, its fit was not kept" : "as measured") : ""; // prettier-ignore
    const about = [why, raw].filter((text) => text !== "").join(", ");
    this.say("h2", name);
    // Without a curve the reason stands where the curve would.
    this.say(".why", curve ? about : "");
    this.removeAttribute("stale");
    const age = this.renderRoot.querySelector(".age")!;
    age.classList.remove("late");
    // When it was taken matters here, and not whether newer ones come.
    this.say(".age", curve ? whenOf(this.page, curve.panel.stream, curve.row.time).text.replace(/, (late|stale)$/, "") : ""); // prettier-ignore
    const label = [name, about].filter((text) => text !== "").join(", ");
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
  }

  #draw(row: Row | undefined, panel: CurvePanel): void {
    const { c, width, height, ratio } = this.canvas();
    if (!row) return;
    const { fields } = row.frame.schema;
    const x = this.#list(row, panel.x);
    const y = this.#list(row, panel.y);
    const fit = this.#list(row, panel.fit);
    if (!x || !y || x.length === 0) return;
    const xs = spanOf([x]);
    const ys = spanOf(fit ? [y, fit] : [y]);
    if (!xs || !ys) return;
    const xScale = readableScale(fields[panel.x]?.unit ?? "", Math.max(Math.abs(xs[0]), Math.abs(xs[1])));
    const yScale = readableScale(fields[panel.y]?.unit ?? "", Math.max(Math.abs(ys[0]), Math.abs(ys[1])));

    const box = { left: 44 * ratio, right: width - 6 * ratio, top: 6 * ratio, bottom: height - 30 * ratio };
    const below = fit ? box.bottom - 0.24 * (box.bottom - box.top) : box.bottom;
    const main = plane(c, { ...box, bottom: below }, xs, ys, ratio);
    marksLeft(c, main, yScale.factor);
    c.fillStyle = FORCE;
    const size = 1.9 * ratio;
    for (let i = 0; i < x.length; i++)
      c.fillRect(main.x(x[i]!) - size / 2, main.y(y[i]!) - size / 2, size, size);
    if (fit) {
      stroke(c, x, fit, main, FIT, 1.4 * ratio);
      const left = Array.from(y, (v, i) => v - fit[i]!);
      const most = Math.max(...left.filter(Number.isFinite).map(Math.abs), Number.MIN_VALUE * 2 ** 60);
      const rest = plane(c, { ...box, top: below + 8 * ratio }, xs, [-most, most], ratio);
      c.fillStyle = "#3a4048";
      c.fillRect(box.left, rest.y(0), box.right - box.left, ratio);
      c.fillStyle = FORCE;
      for (let i = 0; i < x.length; i++) {
        if (Number.isFinite(left[i]))
          c.fillRect(main.x(x[i]!) - size / 2, rest.y(left[i]!) - size / 2, size, size);
      }
      c.fillStyle = "#22252ad0";
      c.fillRect(box.left + 2 * ratio, below + 9 * ratio, 108 * ratio, 13 * ratio);
      write(
        c,
        `residual ±${readableQuantity(most, fields[panel.y]?.unit ?? "", 2)}`,
        box.left + 5 * ratio,
        below + 18 * ratio,
        "left",
        ratio,
      );
    }
    marksBelow(c, { ...main, box }, xScale.factor);
    const name = `${panel.x.replaceAll("_", " ")}, ${xScale.unit}`;
    write(c, name, (box.left + box.right) / 2, height - 3 * ratio, "center", ratio);
    write(c, `force, ${yScale.unit}`, box.left + 5 * ratio, box.top + 11 * ratio, "left", ratio);
  }
}

customElements.define("op-curve", OpCurve);

declare global {
  interface HTMLElementTagNameMap {
    "op-curve": OpCurve;
  }
}
