/** Run and cell, the badge of truth, the state in words, four numbers, one chip a source, the recorder, the connection. */
import { css, html, LitElement } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { doing, doingByCurrent } from "./doing.ts";
import type { Page } from "./page.ts";
import type { Choice, Source, Trace } from "./panels.ts";
import { readableNumber, readableScale, shortNumber } from "./readable-numbers.ts";
import { duration } from "./readable-times.ts";
import { runName } from "./run-name.ts";
import { parts } from "./theme.ts";

export class OpHeader extends LitElement {
  static override properties = {
    page: { attribute: false },
    choice: { attribute: false },
    sources: { attribute: false },
  };
  declare page: Page;
  declare choice: Choice;
  declare sources: readonly Source[];

  static override styles = [
    parts,
    css`
      :host {
        display: flex;
        align-items: center;
        gap: 2px 22px;
        flex-wrap: wrap;
        min-height: 48px;
        padding: 2px 12px;
        background: var(--panel);
        border-bottom: 1px solid var(--line);
      }
      .who {
        display: grid;
        grid-template-columns: auto auto;
        justify-content: start;
        align-items: center;
        gap: 0 10px;
        min-width: 23em;
      }
      .who h1 {
        font-size: 14px;
        font-weight: 600;
        margin: 0;
      }
      .badge {
        border-radius: 4px;
        padding: 1px 8px;
        font-weight: 600;
        letter-spacing: 0.03em;
        border: 1px solid var(--line);
        white-space: nowrap;
      }
      .badge.live {
        border-color: var(--good);
        color: #b9f2de;
      }
      .badge.live::before {
        content: "●";
        color: var(--good);
        margin-right: 5px;
      }
      .badge.replay {
        border-color: #8cc8ff;
        color: #cfe7ff;
      }
      .badge.simulated {
        border-color: #8d95a0;
        background: repeating-linear-gradient(-45deg, #343a42 0 6px, #232830 6px 12px);
      }
      .badge.lost {
        border-color: var(--amber);
        color: var(--amber);
      }
      .state {
        grid-column: 1 / -1;
        min-height: 1.35em;
      }
      .numbers {
        display: flex;
        gap: 22px;
        margin: 0;
      }
      .numbers div {
        display: flex;
        flex-direction: column-reverse;
      }
      .numbers dt {
        font-size: 11px;
        line-height: 12px;
        color: var(--quiet);
      }
      .numbers dd {
        margin: 0;
        font-size: 20px;
        line-height: 23px;
        min-width: 4.2em;
        white-space: nowrap;
      }
      .numbers small {
        font-size: 13px;
        color: var(--quiet);
      }
      .sources {
        display: grid;
        flex: 1 1 380px;
        grid-template-columns: repeat(auto-fill, minmax(132px, 1fr));
        gap: 0 10px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .sources li {
        display: flex;
        gap: 5px;
        white-space: nowrap;
      }
      .sources .age {
        color: var(--quiet);
      }
      .sources .late .age,
      .sources .stale .age,
      .late .glyph,
      .stale .glyph {
        color: var(--amber);
      }
      .recorder {
        white-space: nowrap;
      }
      @media (max-width: 1280px) {
        .sources {
          flex-basis: calc(100% - 120px);
        }
      }
    `,
  ];

  #stop: (() => void) | undefined;
  #greatest_A = 0;

  override render() {
    const { voltage, current, modulus } = this.choice;
    const numbers: [string, Trace | undefined][] = [
      ["voltage", voltage],
      ["current", current],
      [this.choice.charge?.title ?? "", this.choice.charge],
      ["modulus", modulus],
    ];
    return html`
      <div class="who">
        <h1></h1>
        <span class="badge"></span><span class="state" role="status"></span>
      </div>
      <dl class="numbers">
        ${numbers
          .filter(([, trace]) => trace)
          .map(
            ([name]) =>
              html`<div>
                <dt>${name}</dt>
                <dd data-number=${name}>–</dd>
              </div>`,
          )}
      </dl>
      <ul class="sources" aria-label="Sources and the age of their newest row">
        ${repeat(
          this.sources,
          ({ stream }) => stream,
          ({ stream, name }) =>
            html`<li data-source=${stream}>
              <span class="glyph" aria-hidden="true">●</span><span>${name}</span><span class="age"></span>
            </li>`,
        )}
      </ul>
      <div class="recorder"></div>
    `;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#stop = this.page.onTick(() => this.#tell());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop?.();
  }

  protected override updated(): void {
    this.#tell();
  }

  #tell(): void {
    if (!this.hasUpdated) return;
    const { client } = this.page;
    const { run, cell, directory } = runName(client.manifest);
    this.#text("h1", cell ? `${run} / ${cell}` : run);
    this.#tellConnection(directory);
    this.#tellState();
    const { voltage, current, modulus } = this.choice;
    this.#number("voltage", voltage);
    this.#number("current", current, true);
    this.#number(this.choice.charge?.title ?? "", this.choice.charge);
    this.#number("modulus", modulus);
    for (const { stream } of this.sources) this.#tellSource(stream);
  }

  #tellConnection(directory: string): void {
    const { connection } = this.page.client;
    const badge = this.renderRoot.querySelector<HTMLElement>(".badge")!;
    const recorder = this.renderRoot.querySelector<HTMLElement>(".recorder")!;
    if (connection.state !== "open") {
      badge.className = "badge lost";
      setText(
        badge,
        connection.state === "connecting"
          ? "CONNECTING"
          : connection.state === "lost"
            ? "CONNECTION LOST"
            : "REFUSED",
      );
      return;
    }
    const { mode, speed, latency_ms } = connection;
    badge.className = `badge ${mode}`;
    const times =
      mode === "live" ? "" : Number.isFinite(speed) ? ` ${shortNumber(speed)}×` : " at full speed";
    setText(badge, `${mode.toUpperCase()}${times}`);
    badge.title = `connected, ${latency_ms.toFixed(0)} ms from the server`;
    setText(recorder, directory ? "● recorded" : "");
    recorder.title = directory && `recorded in ${directory}`;
  }

  #tellState(): void {
    const { latest, client } = this.page;
    const { state, cycle, step } = this.choice;
    const current = latest.of(this.choice.current);
    if (current && Number.isFinite(current.value))
      this.#greatest_A = Math.max(this.#greatest_A, Math.abs(current.value));
    const code = latest.of(state);
    const field = state && client.catalogue.get(state.stream)?.schema.fields[state.column];
    const words = [
      (code && doing(code.value, field)) || doingByCurrent(current?.value ?? NaN, this.#greatest_A),
      ...([["step", step], ["cycle", cycle]] as const).map(([name, place]) => {
        const value = latest.of(place)?.value;
        return value !== undefined && Number.isFinite(value) ? `${name} ${value}` : "";
      }),
    ]; // prettier-ignore
    this.#text(".state", words.filter(Boolean).join(", "));
  }

  #number(name: string, trace: Trace | undefined, signed = false): void {
    const place = this.renderRoot.querySelector<HTMLElement>(`[data-number="${name}"]`);
    if (!place || !trace) return;
    const latest = this.page.latest.of(trace);
    if (!latest) return;
    const percent = trace.quantity === "state of charge" && trace.unit === "1";
    const scale = percent ? { factor: 100, unit: "%" } : readableScale(trace.unit, Math.abs(latest.value));
    const number = readableNumber(latest.value * scale.factor, percent || scale.unit === "%" ? 3 : 4);
    const text = `${signed && latest.value > 0 ? "+" : ""}${number}`;
    if (place.dataset["shown"] === text + scale.unit) return;
    place.dataset["shown"] = text + scale.unit;
    const unit = document.createElement("small");
    unit.textContent = ` ${scale.unit}`;
    place.replaceChildren(text, unit);
  }

  #tellSource(stream: string): void {
    const place = this.renderRoot.querySelector<HTMLElement>(`[data-source="${stream}"]`);
    const entry = this.page.client.catalogue.get(stream);
    if (!place || !entry) return;
    const { state, age, interval } = this.page.ages.of(stream);
    place.className = state;
    const idle = entry.state === "idle" ? "idle, " : "";
    const words = {
      fresh: `${idle}${duration(age)}`,
      late: `late, ${duration(age)}`,
      stale: `no data for ${duration(age)}`,
      waiting: this.page.client.connection.state === "open" ? "waiting" : "–",
      ended: "ended",
    }[state];
    setText(place.querySelector<HTMLElement>(".age")!, words);
    setText(
      place.querySelector<HTMLElement>(".glyph")!,
      { fresh: "●", late: "◐", stale: "○", waiting: "○", ended: "■" }[state],
    );
    place.title = Number.isNaN(interval) ? "" : `usually every ${duration(interval)}`;
  }

  #text(selector: string, text: string): void {
    setText(this.renderRoot.querySelector<HTMLElement>(selector)!, text);
  }
}

function setText(place: HTMLElement, text: string): void {
  if (place.textContent !== text) place.textContent = text;
}

customElements.define("op-header", OpHeader);

declare global {
  interface HTMLElementTagNameMap {
    "op-header": OpHeader;
  }
}
