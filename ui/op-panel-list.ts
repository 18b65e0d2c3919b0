/** What else can be shown: traces and images, to tick. */
import { css, html, LitElement } from "lit";
import { parts } from "./theme.ts";

export class OpPanelList extends LitElement {
  static override properties = { offered: { attribute: false }, chosen: { attribute: false } };
  declare offered: readonly { readonly id: string; readonly title: string }[];
  declare chosen: ReadonlySet<string>;

  static override styles = [
    parts,
    css`
      :host {
        display: block;
        background: var(--panel);
        padding: 6px 10px;
        overflow: auto;
      }
      ul {
        list-style: none;
        margin: 4px 0;
        padding: 0;
        columns: 18rem;
      }
      label {
        display: flex;
        gap: 8px;
        align-items: baseline;
        padding: 1px 0;
        break-inside: avoid;
      }
    `,
  ];

  override render() {
    return html`<h2>Panels</h2>
      ${this.offered.length === 0 ? html`<p class="quiet">All that there is stands on the page.</p>` : ""}
      <ul>
        ${this.offered.map(
          ({ id, title }) =>
            html`<li>
              <label>
                <input type="checkbox" .checked=${this.chosen.has(id)} @change=${() => this.#choose(id)} />
                <span>${title}</span><span class="quiet">${id.split("/")[0]}</span>
              </label>
            </li>`,
        )}
      </ul>`;
  }

  #choose(id: string): void {
    this.dispatchEvent(new CustomEvent<string>("choose", { detail: id }));
  }
}

customElements.define("op-panel-list", OpPanelList);

declare global {
  interface HTMLElementTagNameMap {
    "op-panel-list": OpPanelList;
  }
}
