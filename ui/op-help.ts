/** The keys, and how to open one's own file. */
import { css, html, LitElement } from "lit";
import { parts } from "./theme.ts";

const KEYS: readonly [string, string][] = [
  ["drag", "zoom to a span of time, on any trace or on the overview"],
  ["Space", "pause, and go on; the data go on arriving"],
  ["L  End  double click", "live, as wide as now"],
  ["1  2  3  4", "the newest 10 min, 1 h, 8 h; the whole run"],
  ["←  →", "earlier, later"],
  ["Shift ←  Shift →", "move the cursor"],
  ["I  O", "closer, wider"],
  ["Alt ←", "undo a zoom (the browser's own back)"],
  ["drag on an image", "the mean of a region over time, with its error; with Shift of a circle"],
  ["click on a map", "the curve behind the pixel, with its fit; or arrows and Enter"],
  ["drag on its colours", "what the colours are spread over; or arrows on either end"],
  ["↑  ↓ on a plot", "of one that is opened: earlier cycles and spectra by name"],
  ["A", "evidence of the newest alarm"],
  ["+", "choose panels"],
  ["H", "health of the streams"],
  ["?", "this sheet"],
  ["Esc", "close it; let go of a pixel; take the cursor away"],
];

export class OpHelp extends LitElement {
  static override styles = [
    parts,
    css`
      :host {
        display: block;
        position: fixed;
        right: 16px;
        bottom: 80px;
        z-index: 5;
        max-width: 30rem;
        max-height: 80vh;
        overflow: auto;
        background: var(--raised);
        border: 1px solid #5a636e;
        border-radius: 8px;
        padding: 12px 18px;
        box-shadow: 0 8px 30px #000a;
      }
      dl {
        display: grid;
        grid-template-columns: max-content 1fr;
        gap: 5px 16px;
        margin: 8px 0;
      }
      dt {
        text-align: right;
        white-space: pre;
      }
      dd {
        margin: 0;
      }
    `,
  ];

  override render() {
    return html`<section aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        ${KEYS.map(
          ([key, does]) =>
            html`<dt>${key}</dt>
              <dd>${does}</dd>`,
        )}
      </dl>
      <p class="quiet">
        A band is the least and the greatest of several rows; where nothing was measured, nothing is drawn.
        Times are this computer's local time.
      </p>
    </section>`;
  }
}

customElements.define("op-help", OpHelp);

declare global {
  interface HTMLElementTagNameMap {
    "op-help": OpHelp;
  }
}
