/** The button in a panel's head that opens the panel large, and closes it again. */
import { html, type LitElement, type TemplateResult } from "lit";

export function largerButton(host: LitElement & { readonly large: boolean }, name: string): TemplateResult {
  return html`
    <button
      aria-expanded=${host.large}
      aria-label="${name}, large"
      title="Larger, and back"
      @click=${() => host.dispatchEvent(new CustomEvent("open"))}
    >
      ⤢
    </button>
  `;
}
