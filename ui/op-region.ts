/** The mean of a picked region over time, with its error band, under the traces and on their time axis. */
import { css, html, unsafeCSS } from "lit";
import { live } from "lit/directives/live.js";
import type { ChangeableNode } from "../runtime/wire/protocol.ts";
import { AXIS_px } from "./axis-width.ts";
import type { Ms } from "./client/types.ts";
import { drawTrace } from "./draw-trace.ts";
import { DrawnView } from "./drawn-view.ts";
import { FONT } from "./picture.ts";
import { readableNumber, readableScale, shortNumber } from "./readable-numbers.ts";
import { onImage, regionText, type Region } from "./region.ts";
import type { RegionTrace } from "./region-trace.ts";
import { momentOf } from "./row-feed.ts";
import { cleared } from "./row-view.ts";
import { roundMarks, SteadyRange } from "./steady-range.ts";
import { parts } from "./theme.ts";
import type { TraceBuffer } from "./trace-buffer.ts";
import { inputsOf } from "./wiring.ts";

const HUE = "#ffd75e";

export class OpRegion extends DrawnView {
  static override properties = {
    ...DrawnView.properties,
    trace: { attribute: false },
    said: { state: true },
  };
  declare trace: RegionTrace;
  /** What came of recording it. */
  declare said: string;

  static override styles = [
    parts,
    css`
      :host {
        display: flex;
        flex-direction: column;
        background: var(--panel);
        min-height: 0;
        contain: strict;
      }
      header {
        display: flex;
        gap: 8px;
        align-items: baseline;
        white-space: nowrap;
        overflow: hidden;
        padding: 3px 8px 0 ${AXIS_px}px;
      }
      header::before {
        content: "";
        flex: none;
        width: 12px;
        height: 3px;
        border-radius: 2px;
        align-self: center;
        background: ${unsafeCSS(HUE)};
      }
      .about,
      .said {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .fields {
        display: flex;
        gap: 6px;
        align-items: baseline;
        font-size: 12px;
        padding: 2px 8px 0 ${AXIS_px}px;
        white-space: nowrap;
        overflow: hidden;
      }
      canvas {
        flex: 1;
        min-height: 0;
        width: 100%;
      }
      .end {
        margin-left: auto;
      }
      input {
        width: 4.2em;
        font: inherit;
        color: var(--text);
        background: var(--ground);
        border: 1px solid var(--line);
        border-radius: 3px;
        padding: 0 3px;
      }
      button {
        padding: 0 6px;
        line-height: 16px;
      }
    `,
  ];

  readonly heavy = false;
  readonly #range = new SteadyRange();

  constructor() {
    super();
    this.said = "";
  }

  override render() {
    const { region, panel } = this.trace;
    const circle = region.kind === "circle";
    const fields: readonly [name: string, label: string, value: number][] = circle
      ? [["x", "column of the middle", region.x], ["y", "row of the middle", region.y], ["r", "radius", region.r]]
      : [["x0", "first column", region.x0], ["y0", "first row", region.y0], ["x1", "first column beyond", region.x1], ["y1", "first row beyond", region.y1]]; // prettier-ignore
    const recorder = this.#recorder();
    return html`
      <header>
        <span>region of ${panel.title}</span><span class="value"></span><span class="quiet about"></span>
        <button class="end" aria-label="Remove the region of ${panel.title}" @click=${() => this.trace.choose(undefined)}>×</button>
      </header>
      <div class="fields">
        ${fields.map(
          ([name, label, value]) =>
            html`<label title=${`${label}, px`}
              >${name}
              <input
                type="number"
                step=${circle ? "0.1" : "1"}
                aria-label=${`${label} of the region, px`}
                .value=${live(String(value))}
                @change=${(event: Event) => this.#edit(name, (event.target as HTMLInputElement).valueAsNumber)}
              /></label>`,
        )}
        <button aria-label=${circle ? "Make it a rectangle" : "Make it a circle"} @click=${() => this.#turn()}>
          ${circle ? "▭" : "◯"}
        </button>
        ${
          recorder
            ? html`<button title="Adds it to the regions of ${recorder.node}" @click=${() => void this.#record(recorder)}>Record</button>`
            : html`<button title="For a pipeline file: image/region records its mean" @click=${() => void this.#copy()}>Copy</button>`
        }
        <span class="quiet said" role="status">${this.said || `"${regionText(region)}"`}</span>
      </div>
      <canvas role="img" aria-label="Mean of the region of ${panel.title} over time"></canvas>
    `;
  } // prettier-ignore

  protected open(): (() => void)[] {
    this.invalidate();
    return [
      this.page.axis.onChange(() => this.invalidate()),
      this.trace.onChange(() => {
        this.requestUpdate();
        this.invalidate();
      }),
    ];
  }

  // Recording

  /** A node that takes regions of this stream while the run goes on. */
  #recorder(): ChangeableNode | undefined {
    const { client } = this.page;
    const { stream } = this.trace.panel;
    return client.nodes.find(
      ({ node, options }) =>
        options.some(({ option }) => option === "regions") &&
        inputsOf(client.manifest, node).includes(stream),
    );
  }

  async #record({ node, options }: ChangeableNode): Promise<void> {
    const now = options.find(({ option }) => option === "regions")!.value;
    const regions = [...(Array.isArray(now) ? (now as unknown[]) : []), regionText(this.trace.region)];
    const answer = await this.page.client.act(node, { regions });
    this.said = "refused" in answer ? answer.refused : `${node} records it`;
  }

  async #copy(): Promise<void> {
    const text = `regions: ["${regionText(this.trace.region)}"]`;
    try {
      await navigator.clipboard.writeText(text);
      this.said = "copied, for a node that uses image/region";
    } catch {
      this.said = text; // the browser does not let us; there it stands
    }
  }

  /** What would leave nothing of it is taken back. */
  #edit(name: string, value: number): void {
    const edited = { ...this.trace.region, [name]: value } as Region;
    if (Number.isFinite(value) && onImage(edited, this.trace.size)) this.trace.choose(edited);
    this.requestUpdate();
  }
  #turn(): void {
    const { region } = this.trace;
    if (region.kind === "rectangle") {
      const { x0, y0, x1, y1 } = region;
      this.trace.choose({
        kind: "circle",
        x: (x0 + x1 - 1) / 2,
        y: (y0 + y1 - 1) / 2,
        r: Math.min(x1 - x0, y1 - y0) / 2,
      });
    } else {
      const { x, y, r } = region;
      this.trace.choose({ kind: "rectangle", x0: Math.round(x - r), y0: Math.round(y - r), x1: Math.round(x + r) + 1, y1: Math.round(y + r) + 1 }); // prettier-ignore
    }
  }

  draw(): void {
    const { c, width, height, ratio } = cleared(this.renderRoot.querySelector("canvas")!);
    const { from, to } = this.page.axis.range;
    const { buffer, panel } = this.trace;
    this.#tell();
    this.#range.fit(extent(buffer, from, to));
    const { low, high } = this.#range;
    const box = { left: AXIS_px * ratio, right: width - AXIS_px * ratio, top: 4 * ratio, bottom: height - 6 * ratio };
    const scale = readableScale(panel.unit, Math.max(Math.abs(low), Math.abs(high)));
    const y = (value: number) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
    c.font = `${10 * ratio}px ${FONT}`;
    c.textAlign = "right";
    for (const mark of roundMarks(low * scale.factor, high * scale.factor, 3)) {
      const at = y(mark / scale.factor);
      c.fillStyle = "#2f343b";
      c.fillRect(box.left, at, box.right - box.left, ratio);
      c.fillStyle = "#a3abb5";
      c.fillText(shortNumber(mark), box.left - 4 * ratio, Math.min(at + 3 * ratio, height - 2 * ratio));
    }
    c.save();
    c.beginPath();
    c.rect(box.left, 0, box.right - box.left, height);
    c.clip();
    const x = (time: Ms) => box.left + ((time - from) / (to - from)) * (box.right - box.left);
    drawTrace(
      { context: c, x, y, from, to, ratio, top: box.top, bottom: box.bottom },
      buffer,
      { column: "mean", hue: HUE, dashed: false, error: "se" },
    );
    const { cursor } = this.page.axis;
    if (cursor !== undefined) {
      c.fillStyle = "#d7dbe0";
      c.fillRect(x(cursor), 0, ratio, height);
    }
    c.restore();
  } // prettier-ignore

  /** The mean that belongs to the image on show. */
  #tell(): void {
    const moment = momentOf(this.page.axis);
    const { newest, buffer, panel } = this.trace;
    const at = moment ?? newest?.time ?? NaN;
    const mean = buffer.at("mean", at)?.min ?? NaN;
    const se = buffer.at("se", at)?.min ?? NaN;
    const scale = readableScale(panel.unit, Math.abs(mean));
    const digits = se > 0 ? Math.max(2, Math.ceil(Math.log10(Math.abs(mean) / se)) + 2) : 4;
    const text = `${readableNumber(mean * scale.factor, Math.min(7, digits))} ± ${readableNumber(se * scale.factor, 2)} ${scale.unit}`;
    this.#say(".value", newest ? text : "");
    const error = newest?.known ? "error from the error image" : "error: sd/√n of its pixels";
    this.#say(".about", newest ? `mean of ${newest.n} px, ${error}` : "no image yet");
  }

  #say(selector: string, text: string): void {
    const place = this.renderRoot.querySelector<HTMLElement>(selector)!;
    if (place.textContent !== text) place.textContent = text;
  }
}

function extent(buffer: TraceBuffer, from: Ms, to: Ms): [number, number] | undefined {
  const mean = buffer.extent("mean", from, to);
  const se = buffer.extent("se", from, to);
  return mean && [mean[0] - (se?.[1] ?? 0), mean[1] + (se?.[1] ?? 0)];
}

customElements.define("op-region", OpRegion);

declare global {
  interface HTMLElementTagNameMap {
    "op-region": OpRegion;
  }
}
