/** The path that a sample drifts along under the instrument: time as colour, the last place with its error. */
import { html } from "lit";
import { AgainstView, againstStyles, type About } from "./against-view.ts";
import { largerButton } from "./larger-button.ts";
import type { Plane } from "./plot-frame.ts";
import type { Column, DriftPanel } from "./plot-panels.ts";
import { readableScale, readableWithError } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { errorEllipse } from "./scatter.ts";

export class OpDrift extends AgainstView {
  static override properties = { ...AgainstView.properties, panel: { attribute: false } };
  declare panel: DriftPanel;

  static override styles = againstStyles;

  override render() {
    const { title } = this.panel;
    return html`
      <header>
        <h2>${title}</h2>
        <span class="said"></span>
        ${largerButton(this, title)}
      </header>
      <div class="picture" role="img" aria-label=${title} @click=${() => this.large || this.dispatchEvent(new CustomEvent("open"))}>
        <canvas></canvas>
      </div>
    `;
  } // prettier-ignore

  protected get pair(): { x: Column; y: Column } {
    return this.panel;
  }

  protected override extra() {
    const { covariance, x } = this.panel;
    return covariance === undefined ? [] : [{ stream: x.stream, column: covariance }];
  }

  protected get about(): About {
    return { equal: true, downwards: this.panel.downwards, joined: true };
  }

  /** Standard errors and covariance of a point. */
  #errors(at: number): { x: number; y: number; covariance: number } {
    const { x, y, covariance } = this.panel;
    const buffer = this.buffer(x.stream);
    const time = this.points!.time[at]!;
    const of = (column: string | undefined): number => {
      const found = column === undefined ? undefined : buffer?.at(column, time);
      return found?.time === time ? (found.min + found.max) / 2 : NaN;
    };
    return { x: of(x.error), y: of(y.error), covariance: of(covariance) };
  }

  protected override decorate(c: CanvasRenderingContext2D, on: Plane, at: number): void {
    if (at < 0) return;
    const errors = this.#errors(at);
    const ellipse = errorEllipse(errors.x, errors.y, errors.covariance);
    if (!ellipse) return;
    const { a, b, angle_rad } = ellipse;
    c.save();
    c.translate(on.x(this.points!.x[at]!), on.y(this.points!.y[at]!));
    // In the units of the axes, so that the ellipse turns as they do; the line is as wide on both.
    const [kx, ky] = [on.x(1) - on.x(0), on.y(1) - on.y(0)];
    c.transform(kx, 0, 0, ky, 0, 0);
    c.beginPath();
    c.ellipse(0, 0, a, b, angle_rad, 0, 2 * Math.PI);
    c.restore();
    c.fillStyle = "#ffffff30";
    c.fill();
    c.lineWidth = on.ratio;
    c.strokeStyle = "#fff";
    c.stroke();
  }

  protected tell(at: number): void {
    const { x, y, title } = this.panel;
    const { points } = this;
    let text = "";
    let label = title;
    if (at >= 0 && points) {
      const errors = this.#errors(at);
      const scale = readableScale(x.unit, Math.max(Math.abs(points.x[at]!), Math.abs(points.y[at]!)));
      const plain = { ...scale, unit: "" };
      text = `${readableWithError(points.x[at]!, errors.x, plain)}, ${readableWithError(points.y[at]!, errors.y, scale)}`;
      label = `${title}, ${timeOfDay(points.time[at]!)}: ${x.title}, ${y.title} ${text}`;
    }
    const said = this.renderRoot.querySelector(".said")!;
    if (said.textContent !== text) said.textContent = text;
    const picture = this.renderRoot.querySelector(".picture")!;
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
  }
}

customElements.define("op-drift", OpDrift);

declare global {
  interface HTMLElementTagNameMap {
    "op-drift": OpDrift;
  }
}
