/** Over the whole page while the server is out of reach: a frozen screen must not look healthy. */
import { css, html, LitElement } from "lit";
import type { Page } from "./page.ts";
import { duration } from "./readable-times.ts";
import { parts } from "./theme.ts";

export class OpVeil extends LitElement {
  static override properties = { page: { attribute: false }, words: { state: true } };
  declare page: Page;
  declare words: readonly string[];

  static override styles = [
    parts,
    css`
      :host {
        display: block;
      }
      .veil {
        position: fixed;
        inset: 0;
        z-index: 10;
        display: grid;
        place-items: center;
        background: repeating-linear-gradient(-45deg, #15171bb8 0 14px, #22252ab8 14px 28px);
        backdrop-filter: grayscale(0.85);
      }
      .card {
        background: var(--raised);
        border: 1px solid var(--amber);
        border-radius: 8px;
        padding: 14px 26px;
        text-align: center;
        max-width: 40rem;
        box-shadow: 0 8px 30px #000a;
      }
      strong {
        font-size: 20px;
        font-weight: 600;
      }
      p {
        margin: 4px 0 0;
      }
    `,
  ];

  #stops: (() => void)[] = [];

  constructor() {
    super();
    this.words = [];
  }

  override render() {
    const [title, ...rest] = this.words;
    // The region is always there, so that a screen reader hears when it fills.
    return html`<div role="alert" aria-atomic="true">
      ${
        title
          ? html`<div class="veil">
              <div class="card">
                <strong aria-hidden=${this.page.client.connection.state === "lost"}>${title}</strong
                >${rest.map((line) => html`<p>${line}</p>`)}
              </div>
            </div>`
          : ""
      }
    </div>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#tell();
    this.#stops = [this.page.onTick(() => this.#tell()), this.page.client.onChange(() => this.#tell())];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.#stops.splice(0)) stop();
  }

  #tell(): void {
    const words = this.#words();
    if (words.join() !== this.words.join()) this.words = words;
  }

  #words(): string[] {
    const { connection } = this.page.client;
    switch (connection.state) {
      case "open":
        return [];
      case "connecting":
        return connection.attempt > 1 ? ["Connecting", `attempt ${connection.attempt}`] : ["Connecting"];
      case "refused":
        return ["The server refused", connection.reason];
      case "lost": {
        const ago = duration(Math.max(0, Math.round((Date.now() - connection.since) / 1000) * 1000));
        const going = connection.recording
          ? "the recording goes on, as far as is known"
          : "nothing was being recorded";
        return [
          `Connection lost ${ago} ago`,
          `The connection is lost; ${going}. What you see is from before.`,
          connection.reason,
          "Trying again by itself.",
        ].filter(Boolean);
      }
    }
  }
}

customElements.define("op-veil", OpVeil);

declare global {
  interface HTMLElementTagNameMap {
    "op-veil": OpVeil;
  }
}
