/** Marks over the traces: a filled triangle where an alarm began, an open diamond where a watch did. */
import { css, html, LitElement } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { Onset } from "./alarm-log.ts";
import type { Drawable } from "./frame-loop.ts";
import type { Page } from "./page.ts";
import { AXIS_px } from "./axis-width.ts";
import { dateAndTime, timeOfDay } from "./readable-times.ts";
import { parts } from "./theme.ts";

export class OpEventLane extends LitElement implements Drawable {
  static override properties = { page: { attribute: false }, onsets: { attribute: false } };
  declare page: Page;
  declare onsets: readonly Onset[];

  static override styles = [
    parts,
    css`
      :host {
        display: block;
        position: relative;
        height: 18px;
        background: var(--panel);
        overflow: hidden;
      }
      .lane {
        position: absolute;
        inset: 0 ${AXIS_px}px;
      }
      .name {
        position: absolute;
        left: 8px;
        font-size: 11px;
        line-height: 18px;
        color: var(--quiet);
      }
      .lane button {
        position: absolute;
        top: 0;
        height: 18px;
        width: 18px;
        padding: 0;
        line-height: 17px;
        border: 0;
        background: none;
        transform: translateX(-50%);
      }
      .alarm {
        color: var(--alarm);
      }
      .watch {
        color: var(--amber);
      }
      .now {
        position: absolute;
        font-size: 11px;
        line-height: 18px;
        transform: translateX(-50%);
        background: var(--raised);
        padding: 0 6px;
        border-radius: 3px;
        white-space: nowrap;
        pointer-events: none;
      }
      .now:empty {
        display: none;
      }
    `,
  ];

  readonly visible = true;
  readonly heavy = false;
  #stop: (() => void) | undefined;

  override render() {
    return html`
      <span class="name">events</span>
      <div class="lane" role="group" aria-label="Alarms and watches on the time axis">
        ${repeat(
          this.onsets,
          (onset) => `${onset.stream}/${onset.time}/${onset.level}`,
          (onset) =>
            html`<button
              class=${onset.level}
              data-time=${onset.began}
              title="${onset.level}: ${onset.name}, ${dateAndTime(onset.began)}"
              aria-label="${onset.level}: ${onset.name}, ${dateAndTime(onset.began)}"
              @click=${() => this.dispatchEvent(new CustomEvent<Onset>("evidence", { detail: onset }))}
            >
              ${onset.level === "alarm" ? "▲" : "◇"}
            </button>`,
        )}
        <span class="now"></span>
      </div>
    `;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#stop = this.page.axis.onChange(() => this.page.loop.invalidate(this));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop?.();
    this.page.loop.remove(this);
  }

  protected override updated(): void {
    this.page.loop.invalidate(this);
  }

  draw(): void {
    const { axis } = this.page;
    const { from, to } = axis.range;
    const share = (time: number) => (time - from) / (to - from);
    for (const mark of this.renderRoot.querySelectorAll<HTMLElement>(".lane button")) {
      const at = share(Number(mark.dataset["time"]));
      mark.hidden = !(at >= 0 && at <= 1);
      mark.style.left = `${at * 100}%`;
    }
    const now = this.renderRoot.querySelector<HTMLElement>(".now")!;
    const { cursor } = axis;
    const text =
      cursor === undefined || cursor < from || cursor > to ? "" : timeWithOffset(cursor, to - from);
    if (now.textContent !== text) now.textContent = text;
    if (cursor !== undefined) now.style.left = `${Math.min(0.94, Math.max(0.06, share(cursor))) * 100}%`;
  }
}

function timeWithOffset(time: number, span: number): string {
  return span < 60_000 ? `${timeOfDay(time, 2)} ${dateAndTime(time).split(" ").at(-1)}` : dateAndTime(time);
}

customElements.define("op-event-lane", OpEventLane);

declare global {
  interface HTMLElementTagNameMap {
    "op-event-lane": OpEventLane;
  }
}
