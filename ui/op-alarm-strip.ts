/** The alarms that stand, in a strip under the header that pushes the page down; absent while all is quiet. */
import { css, html, LitElement } from "lit";
import type { Onset } from "./alarm-log.ts";
import type { Page } from "./page.ts";
import { readableQuantity } from "./readable-numbers.ts";
import { dateAndTime, duration } from "./readable-times.ts";
import { parts } from "./theme.ts";

export class OpAlarmStrip extends LitElement {
  static override properties = { page: { attribute: false }, standing: { attribute: false } };
  declare page: Page;
  /** Alarms that stand, newest first. */
  declare standing: readonly Onset[];

  static override styles = [
    parts,
    css`
      :host {
        display: block;
      }
      .strip {
        display: flex;
        align-items: center;
        gap: 18px;
        min-height: 40px;
        padding: 4px 12px;
        background: #5a1714;
        border-bottom: 2px solid var(--alarm);
        color: #fff;
      }
      strong {
        font-size: 15px;
        white-space: nowrap;
      }
      .shape {
        color: #ff8f86;
      }
      button {
        background: #7b231e;
        border-color: #d8736b;
        color: #fff;
        margin-left: auto;
        padding: 4px 12px;
        white-space: nowrap;
      }
      .strip > span {
        white-space: nowrap;
      }
      @media (max-width: 700px) {
        .strip {
          flex-wrap: wrap;
          gap: 2px 14px;
        }
      }
    `,
  ];

  override render() {
    const [first, ...others] = this.standing;
    // The region is always there, so that a screen reader hears when it fills.
    return html`<div role="alert">
      ${
        first
          ? html`<div class="strip">
              <strong><span class="shape" aria-hidden="true">▲</span> ALARM</strong>
              <strong>${first.name}</strong>
              <span>${dateAndTime(first.began)}</span>
              <span>${reasonOf(first)}</span>
              ${others.length > 0 ? html`<span>+${others.length}</span>` : ""}
              <button @click=${() => this.dispatchEvent(new CustomEvent("evidence"))}>
                Evidence <kbd>A</kbd>
              </button>
            </div>`
          : ""
      }
    </div>`;
  }
}

function reasonOf({ title, value, unit, statistic, limit, limitUnit, time, began }: Onset): string {
  const over = `${statistic === value ? `${title} ` : ""}${readableQuantity(statistic, limitUnit)} over the limit of ${readableQuantity(limit, limitUnit)}`;
  const raised = time === began ? "" : `, raised ${duration(time - began)} later`;
  return statistic === value
    ? `${over}${raised}`
    : `${title} ${readableQuantity(value, unit)}, statistic ${over}${raised}`;
}

customElements.define("op-alarm-strip", OpAlarmStrip);

declare global {
  interface HTMLElementTagNameMap {
    "op-alarm-strip": OpAlarmStrip;
  }
}
