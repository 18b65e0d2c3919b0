/**
 * An auxiliary channel of an `.ndax`: a table of its own, whose rows belong to the rows of the test by their index, or
 * where they have none by their place.
 *
 * Which channel it is, the entry's name says: `data_AUX_225_3_1.ndc` is the device's channel 225, `data_1.ndc` the
 * test's channel 1. What that measures is in TestInfo.xml.
 */
import { SourceError, type Field, type Fields } from "../../runtime/index.ts";
import type { NumberArray } from "./echem-file.ts";
import { auxColumn, type AuxKind } from "./neware-codes.ts";
import { NdcRows, type Ndc } from "./neware-ndc.ts";
import type { Channel } from "./neware-xml.ts";

const MEASURES: Readonly<Record<number, AuxKind>> = {
  103: "temperature",
  335: "temperature_setpoint",
  345: "humidity",
};
const SHORT = 0x65, LONG = 0x74, ROWS_AT = 4096 + 132; // prettier-ignore

interface Value {
  readonly kind: AuxKind;
  readonly at: number;
  readonly as: "f32" | "i16" | "i32";
  /** What a value of 1 is divided by. */
  readonly per: number;
}
interface Layout {
  readonly bytes: number;
  /** Where a row's index is; -1: it has none, and its place is its index. */
  readonly index: number;
  readonly values: readonly Value[];
}

const record = (before: number): Layout => ({
  bytes: before + 86,
  index: before,
  values: [
    { kind: "voltage", at: before + 23, as: "i32", per: 10_000 },
    { kind: "temperature", at: before + 33, as: "i16", per: 10 },
    { kind: "temperature_setpoint", at: before + 35, as: "i16", per: 10 },
  ],
});

function layoutOf({ bytes, version }: Ndc, measures: AuxKind): Layout {
  if (version === 2) return record(8);
  if (version === 5) return record(1);
  if (version === 14 || version === 17) return { bytes: 4, index: -1, values: [{ kind: measures, at: 0, as: "f32", per: 1 }] }; // prettier-ignore
  const first = bytes[ROWS_AT];
  if (first === LONG) return { bytes: 88, index: 1, values: [{ kind: "temperature", at: 35, as: "i16", per: 10 }] }; // prettier-ignore
  if (first === SHORT || first === undefined || first === 0)
    return { bytes: 7, index: -1, values: [{ kind: "voltage", at: 1, as: "f32", per: 10_000 }, { kind: "temperature", at: 5, as: "i16", per: 10 }] }; // prettier-ignore
  throw new SourceError(`byte ${ROWS_AT}: begins its rows with 0x${first.toString(16)}; version ${version} is known with 0x65 and 0x74: please send us such a file`); // prettier-ignore
} // prettier-ignore

/** `taken`: what channels are called that have columns already; no two have the same. */
export function auxTable(entry: string, ndc: Ndc, channels: readonly Channel[], taken: Set<string>): AuxTable {
  const [, real, rest] = /^data_AUX_(\d+)((?:_\d+)*)\.ndc$/i.exec(entry) ?? [];
  const id = /_(\d+)\.ndc$/.exec(entry)?.[1];
  const channel = channels.find((one) => (real !== undefined ? one.real === Number(real) : one.id === Number(id))); // prettier-ignore
  const measures = MEASURES[channel?.measures ?? NaN] ?? "value";
  const names = [channel && !Number.isNaN(channel.id) ? String(channel.id) : "", real !== undefined ? `${real}${rest}` : (id ?? "0"), entry.replace(/\W+/g, "_")];
  const named = names.find((name) => name !== "" && !taken.has(name))!;
  taken.add(named);
  return new AuxTable(entry, ndc, layoutOf(ndc, measures), named, Number(channel?.id ?? real ?? id ?? 0));
} // prettier-ignore

export class AuxTable {
  readonly entry: string;
  readonly fields: Fields;
  /** For the order of its columns. */
  readonly order: number;
  /** It is known what it measures. */
  readonly isKnown: boolean;
  readonly #ndc: Ndc;
  readonly #layout: Layout;
  readonly #values: readonly (Value & { readonly name: string; readonly type: "f32" | "f64" })[];
  readonly #rows: NdcRows;
  /** Index of the row that comes next; Infinity where there is none. */
  #next = 0;
  #arrays: (Float32Array | Float64Array)[] = [];

  constructor(entry: string, ndc: Ndc, layout: Layout, channel: string, order: number) {
    this.entry = entry;
    this.order = order;
    this.#ndc = ndc;
    this.#layout = layout;
    this.isKnown = layout.values.every(({ kind }) => kind !== "value");
    const used = layout.values.filter((value) => value.kind === "value" || layout.values.length === 1 || this.#isUsed(value)); // prettier-ignore
    const fields: Record<string, Field> = {};
    this.#values = used.map((value) => {
      const type = value.as === "f32" && value.per === 1 ? "f32" : "f64";
      const [name, field] = auxColumn(channel, value.kind, type);
      fields[name] = field;
      return { ...value, name, type };
    });
    this.fields = fields;
    this.#rows = new NdcRows(ndc, layout.bytes);
  }

  /** A channel without a sensor stores zeros, in every row; they are no measurement. */
  #isUsed(value: Value): boolean {
    const rows = new NdcRows(this.#ndc, this.#layout.bytes);
    while (rows.next()) if (read(rows.view, rows.at, value) !== 0) return true;
    return false;
  }

  begin(rows: number): void {
    this.#arrays = this.#values.map(({ type }) => (type === "f32" ? new Float32Array(rows) : new Float64Array(rows)).fill(NaN)); // prettier-ignore
  }

  /** The reading of the test's row with that index, if there is one. Indices grow. */
  take(index: number, row: number): void {
    const rows = this.#rows;
    while (this.#next < index) {
      if (!rows.next()) this.#next = Infinity;
      else this.#next = this.#layout.index < 0 ? rows.place : rows.view.getUint32(rows.at + this.#layout.index, true); // prettier-ignore
    }
    if (this.#next !== index) return;
    for (let i = 0; i < this.#values.length; i++) {
      const value = this.#values[i]!;
      this.#arrays[i]![row] = read(rows.view, rows.at, value) / value.per;
    }
  }

  end(rows: number): Record<string, NumberArray> {
    return Object.fromEntries(this.#values.map(({ name }, i) => [name, this.#arrays[i]!.subarray(0, rows)]));
  }
} // prettier-ignore

const read = (view: DataView, row: number, { at, as }: Value): number =>
  as === "f32" ? view.getFloat32(row + at, true)
  : as === "i16" ? view.getInt16(row + at, true)
  : view.getInt32(row + at, true); // prettier-ignore
