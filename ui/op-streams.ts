/** One line a stream: what the server counts of it. */
import { css, html, LitElement } from "lit";
import type { Page } from "./page.ts";
import { readableCount, readableNumber } from "./readable-numbers.ts";
import { duration } from "./readable-times.ts";
import { parts } from "./theme.ts";

interface Line {
  readonly stream: string;
  readonly cells: readonly string[];
  readonly marked: readonly boolean[];
}

const HEADS = ["rows", "rows/s", "lag", "age", "gaps", "drops", "late", "state"];

export class OpStreams extends LitElement {
  static override properties = { page: { attribute: false }, lines: { state: true } };
  declare page: Page;
  declare lines: readonly Line[];

  static override styles = [
    parts,
    css`
      :host {
        display: block;
        background: var(--panel);
        overflow: auto;
        padding: 6px 10px;
      }
      table {
        border-collapse: collapse;
        width: 100%;
        margin-top: 4px;
      }
      th {
        text-align: right;
        font-weight: 400;
        color: var(--quiet);
        position: sticky;
        top: -6px;
        background: var(--panel);
      }
      th,
      td {
        padding: 2px 10px;
        text-align: right;
        border-bottom: 1px solid var(--grid);
        white-space: nowrap;
      }
      th:first-child,
      tbody th {
        text-align: left;
        color: var(--text);
        position: static;
      }
      td.marked {
        color: var(--amber);
      }
    `,
  ];

  #stop: (() => void) | undefined;

  constructor() {
    super();
    this.lines = [];
  }

  override render() {
    return html`
      <h2>Streams</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">stream</th>
            ${HEADS.map((head) => html`<th scope="col">${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${this.lines.map(
            ({ stream, cells, marked }) =>
              html`<tr>
                <th scope="row">${stream}</th>
                ${cells.map((cell, i) => html`<td class=${marked[i] ? "marked" : ""}>${cell}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
      <p class="quiet">
        Lag: how far its promise stays behind the newest of the run. Gaps: stretches without rows, well beyond
        the usual interval. Drops: rows left out of views, never of the record. Late: rows that came after
        their stream had promised there would be none.
      </p>
    `;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#count();
    this.#stop = this.page.onTick(() => this.#count());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop?.();
  }

  #count(): void {
    const { client, clock } = this.page;
    const health = new Map(client.health.map((line) => [line.stream, line]));
    this.lines = [...client.catalogue.values()].map((entry) => {
      const line = health.get(entry.stream);
      const state = line?.state ?? entry.state;
      const counts = [line?.gaps, line?.drops, line?.late];
      return {
        stream: entry.stream,
        cells: [
          readableCount(entry.rows),
          line ? readableNumber(line.rate_per_s, 3) : "–",
          line ? duration(line.lag_s * 1000) : "–",
          Number.isFinite(entry.lastTime) && state !== "ended"
            ? duration(Math.max(0, clock.now - entry.lastTime))
            : "–",
          ...counts.map((n) => (n === undefined ? "–" : readableCount(n))),
          entry.provisional ? `${state}, provisional` : state,
        ],
        marked: [
          false,
          false,
          false,
          false,
          (line?.gaps ?? 0) > 0,
          false,
          (line?.late ?? 0) > 0,
          state === "parked",
        ],
      };
    });
  }
}

customElements.define("op-streams", OpStreams);

declare global {
  interface HTMLElementTagNameMap {
    "op-streams": OpStreams;
  }
}
