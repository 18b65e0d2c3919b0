/**
 * Impedance spectra: Nyquist, a unit as long on both axes and capacitive upwards, or Bode. The newest bright with its fit
 * as a line, earlier ones as ghosts.
 */
import { html } from "lit";
import type { Ms, RowsFrame } from "./client/types.ts";
import { FIT_COLUMNS, SPECTRUM_COLUMNS, type ImpedancePanel } from "./cycle-panels.ts";
import { FamilyView, type Family, type Member } from "./family-view.ts";
import { write, type Plane } from "./plot-frame.ts";
import { decadeName, readableQuantity, readableScale, readableWithError } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import { listOf, numberOf, RowHistory } from "./row-history.ts";
import { fromStart } from "./stream-start.ts";

const GHOSTS = 10;
/** A cell has itself, its two electrodes, and what lies between. */
const ELECTRODES = 3;
const CAPACITIVE = "#b8c4d0";
const FIT = "#8fd6c3";

interface Spectrum {
  /** Of a stream that does not count them, the time. */
  readonly index: number;
  readonly counted: boolean;
  readonly electrode: number;
  readonly frequency_Hz: Float64Array;
  readonly real_Ohm: Float64Array;
  readonly imaginary_Ohm: Float64Array;
}

interface Values {
  readonly index: number;
  readonly electrode: number;
  /** Why not to believe them; empty where one may. */
  readonly doubt: string;
  /** As the panel lists them. */
  readonly values: readonly { readonly value: number; readonly error: number }[];
}

const idOf = ({ index, electrode }: { index: number; electrode: number }): number => index * 16 + electrode;

export class OpImpedance extends FamilyView {
  static override properties = {
    ...FamilyView.properties,
    panel: { attribute: false },
    bode: { state: true },
    electrode: { state: true },
    electrodes: { state: true },
  };
  declare panel: ImpedancePanel;
  /** |Z| and phase against frequency in place of Nyquist. */
  declare bode: boolean;
  declare electrode: number;
  /** Those that there are spectra of. */
  declare electrodes: readonly number[];

  #spectra: RowHistory<Spectrum> | undefined;
  #fits: RowHistory<Spectrum> | undefined;
  #values: RowHistory<Values> | undefined;
  /** By number of the member. */
  #shown: ReadonlyMap<number, Spectrum> = new Map();

  constructor() {
    super();
    this.bode = false;
    this.electrode = 0;
    this.electrodes = [];
  }

  protected get heading(): string {
    return this.panel.title;
  }

  protected get stream(): string {
    return this.panel.stream;
  }

  protected override get nothingYet(): string {
    return "no spectrum yet";
  }

  protected override tools() {
    const { electrodes, electrode } = this;
    const codes = this.page.client.catalogue.get(this.panel.stream)?.schema.fields["electrode"]?.codes;
    return html`
      ${
        electrodes.length > 1
          ? html`<select
              aria-label="Electrode"
              @change=${(event: Event) => (this.electrode = Number((event.target as HTMLSelectElement).value))}
            >
              ${electrodes.map((one) => html`<option value=${one} ?selected=${one === electrode}>${codes?.[one] ?? `electrode ${one}`}</option>`)}
            </select>`
          : ""
      }
      <button
        aria-pressed=${this.bode}
        aria-label="Bode: modulus and phase against frequency"
        title="Bode, and back to Nyquist"
        @click=${() => (this.bode = !this.bode)}
      >
        Bode
      </button>
      ${this.pinButton("first")}
    `;
  } // prettier-ignore

  protected override get asking(): boolean {
    return this.#spectra?.asking ?? true;
  }

  protected feed(): () => void {
    const { client } = this.page;
    const { stream, fit, resistances } = this.panel;
    const fields = client.catalogue.get(stream)?.schema.fields ?? {};
    // Where nobody counts them, the time tells one from another.
    const codes = ["index", "electrode"].filter((name) => name in fields);
    const wanted = (GHOSTS + 1) * ELECTRODES;
    const history = <T>(of: string, columns: readonly string[], count: string, take: (frame: RowsFrame, at: number) => T, keep: (made: RowHistory<T>) => void) =>
      fromStart(client, of, (first) => {
        const made = new RowHistory<T>({ client, stream: of, columns, count, first, wanted, take, onData: this.received });
        keep(made);
        return made;
      });
    const count = codes[0] ?? "voltage_volt";
    const stops = [
      history(stream, [...codes, ...SPECTRUM_COLUMNS], count, (frame, at) => this.#seen(spectrumOf(frame, at, SPECTRUM_COLUMNS)), (made) => (this.#spectra = made)),
    ];
    if (fit !== undefined)
      stops.push(history(fit, ["index", "electrode", ...FIT_COLUMNS], "index", (frame, at) => spectrumOf(frame, at, FIT_COLUMNS), (made) => (this.#fits = made)));
    if (resistances) {
      const { values, valid } = resistances;
      const columns = [...values.flatMap(({ column, error }) => [column, ...(error === undefined ? [] : [error])]), ...(valid === undefined ? [] : [valid])];
      stops.push(
        history(resistances.stream, ["index", "electrode", ...columns], "index", (frame, at): Values => ({
          index: numberOf(frame, at, "index"), electrode: numberOf(frame, at, "electrode"),
          doubt: doubtOf(frame, at, valid),
          values: values.map(({ column, error }) => ({ value: numberOf(frame, at, column), error: error === undefined ? NaN : numberOf(frame, at, error) })),
        }), (made) => (this.#values = made)),
      );
    }
    return () => stops.forEach((stop) => stop());
  } // prettier-ignore

  #seen(spectrum: Spectrum): Spectrum {
    const { electrodes } = this;
    if (!electrodes.includes(spectrum.electrode)) {
      this.electrodes = [...electrodes, spectrum.electrode].sort((a, b) => a - b);
      if (!this.electrodes.includes(this.electrode)) this.electrode = this.electrodes[0]!;
    }
    return spectrum;
  }

  protected families(moment: Ms | undefined): Family[] {
    const of = <T extends { electrode: number }>(rows: readonly { value: T }[]): T[] =>
      rows.map(({ value }) => value).filter(({ electrode }) => electrode === this.electrode);
    const all = of(this.#spectra?.before(moment) ?? []).slice(-(GHOSTS + 1));
    const [first] = this.pinned ? of(this.#spectra?.first() ?? []) : [];
    const fits = new Map([...of(this.#fits?.before(moment) ?? []), ...(this.pinned ? of(this.#fits?.first() ?? []) : [])].map((fit) => [idOf(fit), fit])); // prettier-ignore
    const values = new Map([...of(this.#values?.before(moment) ?? []), ...(this.pinned ? of(this.#values?.first() ?? []) : [])].map((one) => [idOf(one), one])); // prettier-ignore
    this.#shown = new Map([...all, ...(first ? [first] : [])].map((one) => [idOf(one), one]));
    const apart = first && !all.some((one) => idOf(one) === idOf(first)) ? [first] : [];
    const shown = [...apart, ...all];
    const members = (xy: (of: Spectrum) => { x: Float64Array; y: Float64Array }): Member[] =>
      shown.flatMap((one): Member[] => {
        const key = idOf(one);
        const age = all.length - 1 - all.indexOf(one);
        const pinned = first !== undefined && key === idOf(first);
        const fit = fits.get(key);
        const short = `spectrum ${one.counted ? one.index : timeOfDay(one.index)}`;
        const name = `${short}${this.#said(values.get(key))}`;
        const measured = { key, age: pinned && apart.length > 0 ? GHOSTS : age, name, short, hue: CAPACITIVE, dots: true, pinned, ...xy(one) };
        // Of a ghost what was measured is enough, joined by a line.
        if (!fit || age > 0) return [{ ...measured, dots: age === 0 }];
        return [{ ...measured, line: false }, { ...measured, dots: false, hue: FIT, ...xy(fit) }];
      }); // prettier-ignore
    if (this.bode) {
      const log = (list: Float64Array) => list.map((value) => Math.log10(value));
      const frequency = { name: "frequency", unit: "Hz", log: true } as const;
      return [
        {
          members: members(({ frequency_Hz, real_Ohm, imaginary_Ohm }) => ({
            x: log(frequency_Hz), y: log(real_Ohm.map((re, i) => Math.hypot(re, imaginary_Ohm[i]!))),
          })),
          x: frequency, y: { name: "|Z|", unit: "Ohm", log: true },
        },
        {
          members: members(({ frequency_Hz, real_Ohm, imaginary_Ohm }) => ({
            x: log(frequency_Hz), y: real_Ohm.map((re, i) => (Math.atan2(imaginary_Ohm[i]!, re) * 180) / Math.PI),
          })),
          x: frequency, y: { name: "phase", unit: "deg" },
        },
      ]; // prettier-ignore
    }
    const newest = all.at(-1);
    return [
      {
        members: members(({ real_Ohm, imaginary_Ohm }) => ({ x: real_Ohm, y: imaginary_Ohm.map((im) => -im) })),
        x: { name: "Re Z", unit: "Ohm" }, y: { name: "−Im Z", unit: "Ohm" }, equal: true, zero: true,
        decorate: (c, on, picked) => {
          const marked = shown.find((one) => idOf(one) === picked?.key) ?? newest;
          if (marked && this.large) markDecades(c, on, marked);
        },
      },
    ]; // prettier-ignore
  }

  /** Of a point of Nyquist, which says nothing of it, the frequency too. */
  protected override readPoint(family: Family, member: Member, at: number): string {
    const read = super.readPoint(family, member, at);
    const spectrum = this.#shown.get(member.key);
    if (this.bode || !spectrum || spectrum.frequency_Hz.length !== member.x.length) return read;
    return `${read}, ${readableQuantity(spectrum.frequency_Hz[at]!, "Hz", 3)}`;
  }

  #said(found: Values | undefined): string {
    const texts = (this.panel.resistances?.values ?? []).flatMap(({ name }, i) => {
      const { value, error } = found?.values[i] ?? { value: NaN, error: NaN };
      return Number.isFinite(value) ? [`${name} ${readableWithError(value, error, readableScale("Ohm", Math.abs(value)))}`] : []; // prettier-ignore
    });
    const all = [...texts, ...(found && found.doubt !== "" ? [found.doubt] : [])];
    return all.length > 0 ? `: ${all.join(", ")}` : "";
  }

  protected said([family]: readonly Family[]): string {
    return family?.members.at(-1)?.name ?? "";
  }
}

function doubtOf(frame: RowsFrame, at: number, valid: string | undefined): string {
  const found = valid === undefined ? 0 : numberOf(frame, at, valid);
  return found === 0 ? "" : (frame.schema.fields[valid!]?.codes?.[found] ?? "not valid");
}

function spectrumOf(frame: RowsFrame, at: number, columns: readonly [string, string, string]): Spectrum {
  const [frequency, real, imaginary] = columns;
  const counted = "index" in frame.columns;
  const index = counted ? numberOf(frame, at, "index") : frame.time[at]!;
  return {
    index, counted, electrode: "electrode" in frame.columns ? numberOf(frame, at, "electrode") : 0,
    frequency_Hz: listOf(frame, at, frequency), real_Ohm: listOf(frame, at, real), imaginary_Ohm: listOf(frame, at, imaginary),
  }; // prettier-ignore
}

const least = (list: Float64Array): number => list.reduce((low, value) => Math.min(low, value), Infinity);

/** A ring and its frequency at the point nearest to each decade that was measured. */
function markDecades(c: CanvasRenderingContext2D, on: Plane, { frequency_Hz, real_Ohm, imaginary_Ohm }: Spectrum): void {
  const logs = frequency_Hz.map((f) => Math.log10(f));
  const known = logs.filter(Number.isFinite);
  if (known.length === 0) return;
  // Names stand outside of the curve, away from the middle of its foot.
  const foot = { x: on.x((least(real_Ohm) - least(real_Ohm.map((re) => -re))) / 2), y: on.y(0) };
  const taken: { x: number; y: number }[] = [];
  for (let n = Math.floor(Math.max(...known)); n >= Math.ceil(Math.min(...known)); n--) {
    let best = 0;
    logs.forEach((log, i) => void (Math.abs(log - n) < Math.abs(logs[best]! - n) && (best = i)));
    if (Math.abs(logs[best]! - n) > 0.15) continue;
    const [x, y] = [on.x(real_Ohm[best]!), on.y(-imaginary_Ohm[best]!)];
    if (!Number.isFinite(x + y)) continue;
    c.strokeStyle = "#fff";
    c.lineWidth = on.ratio;
    c.beginPath();
    c.arc(x, y, 4 * on.ratio, 0, 2 * Math.PI);
    c.stroke();
    // Where decades lie upon each other, the first is named.
    if (taken.some((one) => Math.hypot((one.x - x) / 2, one.y - y) < 16 * on.ratio)) continue;
    taken.push({ x, y });
    const away = Math.hypot(x - foot.x, y - foot.y) || 1;
    const [dx, dy] = [(x - foot.x) / away, (y - foot.y) / away];
    const [left, right] = [on.box.left + 24 * on.ratio, on.box.right - 24 * on.ratio];
    write(c, decadeName(n, "Hz"), Math.min(right, Math.max(left, x + 24 * dx * on.ratio)), y + (13 * dy + 4) * on.ratio, "center", on.ratio);
  }
} // prettier-ignore

customElements.define("op-impedance", OpImpedance);

declare global {
  interface HTMLElementTagNameMap {
    "op-impedance": OpImpedance;
  }
}
