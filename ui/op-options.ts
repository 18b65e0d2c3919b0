/** Options of a node that may be changed while the run goes on: a form, what was answered, and the way back. */
import { css, html, LitElement, type TemplateResult } from "lit";
import type { ChangeableNode, ChangeableOption } from "../runtime/wire/protocol.ts";
import type { Page } from "./page.ts";
import { readableUnit } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { parts } from "./theme.ts";

export class OpOptions extends LitElement {
  static override properties = {
    page: { attribute: false },
    node: { attribute: false },
    said: { state: true },
    refused: { state: true },
    edited: { state: true },
  };
  declare page: Page;
  declare node: ChangeableNode;
  /** What came of the last change. */
  declare said: string;
  declare refused: boolean;
  /** What was typed and is not applied yet, by option. */
  declare edited: ReadonlyMap<string, string | boolean>;

  static override styles = [
    parts,
    css`
      :host {
        display: block;
        font-size: 12px;
      }
      form {
        display: flex;
        flex-wrap: wrap;
        gap: 3px 12px;
        align-items: baseline;
      }
      input,
      select {
        font: inherit;
        color: var(--text);
        background: var(--ground);
        border: 1px solid var(--line);
        border-radius: 3px;
        padding: 1px 4px;
      }
      input:not([type="checkbox"]) {
        width: 6.5em;
      }
      .edited {
        border-color: var(--focus);
      }
      .refused {
        color: var(--amber);
      }
    `,
  ];

  constructor() {
    super();
    this.said = "";
    this.refused = false;
    this.edited = new Map();
  }

  override render() {
    const { node, said, refused, edited } = this;
    return html`<form
      aria-label="Options of ${node.node}"
      @submit=${(event: Event) => {
        event.preventDefault();
        void this.#apply();
      }}
    >
      ${node.options.filter(({ kind }) => kind !== "record").map((option) => this.#field(option))}
      <button ?disabled=${edited.size === 0}>Apply</button>
      <button type="button" title="As they stand in the pipeline file" @click=${() => void this.#reset()}>
        Reset
      </button>
      <span role="status" class=${refused ? "refused" : "quiet"}>${said}</span>
    </form>`;
  }

  #field(option: ChangeableOption): TemplateResult {
    const { option: name, kind, choices, unit, doc } = option;
    const value = this.edited.get(name) ?? written(option);
    const mark = this.edited.has(name) ? "edited" : "";
    const edit = (event: Event) => this.#edit(option, event.target as HTMLInputElement);
    const field =
      kind === "choice"
        ? html`<select class=${mark} .value=${String(value)} @change=${edit}>
            ${choices?.map((one) => html`<option value=${one} ?selected=${one === value}>${one}</option>`)}
          </select>`
        : kind === "flag"
          ? html`<input class=${mark} type="checkbox" .checked=${value === true} @change=${edit} />`
          : html`<input class=${mark} .value=${String(value)} placeholder="by itself" spellcheck="false" @input=${edit} />`; // prettier-ignore
    return html`<label title=${doc}
      >${name.replaceAll("_", " ")} ${field} ${readableUnit(unit ?? "")}</label
    >`;
  }

  #edit(option: ChangeableOption, input: HTMLInputElement): void {
    const edited = new Map(this.edited);
    const value = option.kind === "flag" ? input.checked : input.value.trim();
    if (value === written(option)) edited.delete(option.option);
    else edited.set(option.option, value);
    this.edited = edited;
  }

  #apply(): Promise<void> {
    const changes = Object.fromEntries(
      this.node.options
        .filter(({ option }) => this.edited.has(option))
        .map((option) => [option.option, asInFile(option, this.edited.get(option.option)!)]),
    );
    return this.#act(changes);
  }

  #reset(): Promise<void> {
    return this.#act(Object.fromEntries(this.node.options.map(({ option }) => [option, null])));
  }

  async #act(changes: Readonly<Record<string, unknown>>): Promise<void> {
    if (Object.keys(changes).length === 0) return;
    this.said = "…";
    const answer = await this.page.client.act(this.node.node, changes);
    this.refused = "refused" in answer;
    this.said = "refused" in answer ? answer.refused : `from ${timeOfDay(answer.time)} on`;
    if (!this.refused) this.edited = new Map();
  }
}

/** As it stands in the field. */
function written({ kind, value }: ChangeableOption): string | boolean {
  if (kind === "flag") return value === true;
  if (Array.isArray(value)) return value.join("; ");
  return value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
}

/** As a pipeline file has it; null, where the field is empty, is what stands there. */
function asInFile({ kind, unit }: ChangeableOption, text: string | boolean): unknown {
  if (typeof text === "boolean") return text;
  if (text === "") return null;
  if (kind === "integer") return Number(text);
  if (kind === "list") return text.split(";").map((part) => part.trim()).filter((part) => part !== ""); // prettier-ignore
  // A number alone is in the unit that stands beside the field.
  if (kind === "quantity" && unit && Number.isFinite(Number(text)))
    return unit === "1" ? Number(text) : `${text} ${unit}`;
  return text;
}

customElements.define("op-options", OpOptions);

declare global {
  interface HTMLElementTagNameMap {
    "op-options": OpOptions;
  }
}
