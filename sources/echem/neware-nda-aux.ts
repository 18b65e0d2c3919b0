/** Auxiliary channels of an `.nda`: readings among the records, each of which belongs to the row of its index. */
import type { Fields } from "../../runtime/index.ts";
import type { NumberArray } from "./echem-file.ts";
import { auxColumn } from "./neware-codes.ts";

/** Readings that came before their row, at most. */
const MOST_EARLY = 4096;

/** Voltage and temperature of auxiliary channels, each to the row of its index. Channel u8 at 1, index u32 at 2, V at 22, T at 34. */
export class NdaAux {
  readonly #channels = new Map<number, { voltage_V: Float64Array; temperature_C: Float64Array }>();
  readonly #early = new Map<number, { channel: number; voltage_V: number; temperature_C: number }[]>();
  #lost = 0;

  /** Readings that belong to no row that came, as far as is known. */
  get lost(): number {
    return [...this.#early.values()].reduce((sum, { length }) => sum + length, this.#lost);
  }

  get isEmpty(): boolean {
    return this.#channels.size === 0;
  }

  has(bytes: Uint8Array, at: number): boolean {
    return this.#channels.has(bytes[at + 1]!);
  }

  /** A channel's columns. */
  begin(bytes: Uint8Array, at: number): Fields {
    const channel = bytes[at + 1]!;
    this.#channels.set(channel, { voltage_V: new Float64Array(0), temperature_C: new Float64Array(0) });
    return Object.fromEntries([auxColumn(channel, "temperature", "f64"), auxColumn(channel, "voltage", "f64")]);
  }

  room(rows: number): void {
    const missing = (): Float64Array => new Float64Array(rows).fill(NaN);
    for (const channel of this.#channels.keys())
      this.#channels.set(channel, { voltage_V: missing(), temperature_C: missing() });
  }

  row(index: number, row: number): void {
    if (this.#early.size === 0) return;
    for (const { channel, voltage_V, temperature_C } of this.#early.get(index) ?? [])
      this.#set(channel, row, voltage_V, temperature_C);
    this.#early.delete(index);
  }

  add(view: DataView, at: number, index: number, row: number): void {
    const channel = view.getUint8(at + 1);
    const of = view.getUint32(at + 2, true);
    const voltage_V = view.getInt32(at + 22, true) / 10_000;
    const temperature_C = view.getInt16(at + 34, true) / 10;
    if (of === index && row >= 0) this.#set(channel, row, voltage_V, temperature_C);
    else if (of > index && this.#early.size < MOST_EARLY) {
      const waiting = this.#early.get(of) ?? [];
      if (waiting.length < 256) waiting.push({ channel, voltage_V, temperature_C });
      else this.#lost++;
      this.#early.set(of, waiting);
    } else this.#lost++;
  }

  #set(channel: number, row: number, voltage_V: number, temperature_C: number): void {
    const of = this.#channels.get(channel);
    if (!of) return;
    of.voltage_V[row] = voltage_V;
    of.temperature_C[row] = temperature_C;
  }

  columns(rows: number): Record<string, NumberArray> {
    const columns: Record<string, NumberArray> = {};
    for (const [channel, { voltage_V, temperature_C }] of this.#channels) {
      columns[`aux${channel}_temperature`] = temperature_C.subarray(0, rows);
      columns[`aux${channel}_voltage`] = voltage_V.subarray(0, rows);
    }
    return columns;
  }
} // prettier-ignore
