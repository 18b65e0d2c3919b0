/**
 * Impedance spectra put together from a file's rows, one frequency a row. A spectrum ends where the frequency turns round or
 * jumps back, where the cycler counts a new cycle of it, and where a row has no impedance.
 */
import { code, curve, scalar, type Columns, type Fields } from "../../runtime/index.ts";
import type { Chunk } from "./echem-file.ts";

export const IMPEDANCE = {
  index: code({ doc: "number of the spectrum" }),
  electrode: code({ codes: { 0: "cell or working electrode", 1: "counter electrode", 2: "between both" } }),
  frequency: curve("Hz", { doc: "in the order measured" }),
  z_real: curve("Ohm"),
  z_imaginary: curve("Ohm", { doc: "negative where the cell is capacitive" }),
  offset: curve("s", { doc: "when each frequency was measured, from the time of the row, which is that of the last" }),
  voltage_volt: scalar("V", { doc: "mean over the spectrum" }),
  current_ampere: scalar("A", { doc: "mean over the spectrum" }),
} as const; // prettier-ignore

/** More frequencies have no spectrum: the cycler went on at one. */
const MOST = 4096;
const DEGREE = Math.PI / 180;

/** Where a row's impedance stands, by electrode. */
interface Parts {
  readonly electrode: number;
  readonly real: string;
  readonly imaginary: string;
  readonly sign: 1 | -1;
  readonly polar: boolean;
}

function partsOf(fields: Fields): Parts[] {
  if (!("frequency" in fields)) return [];
  return ["z", "zce", "zwe_ce"].flatMap((z, electrode): Parts[] => {
    const has = (...names: string[]): boolean => names.every((name) => `${z}_${name}` in fields);
    if (has("real", "minus_imaginary")) return [{ electrode, real: `${z}_real`, imaginary: `${z}_minus_imaginary`, sign: -1, polar: false }];
    if (has("real", "imaginary")) return [{ electrode, real: `${z}_real`, imaginary: `${z}_imaginary`, sign: 1, polar: false }];
    if (has("modulus", "phase")) return [{ electrode, real: `${z}_modulus`, imaginary: `${z}_phase`, sign: 1, polar: true }];
    return [];
  });
} // prettier-ignore

/** True where rows with these columns may hold impedances. */
export const hasImpedance = (fields: Fields): boolean => partsOf(fields).length > 0;

interface Spectrum {
  readonly times: bigint[];
  readonly frequency: number[];
  /** By electrode, real and imaginary one after the other. */
  readonly z: number[][];
  readonly cycle: number;
  voltage: number;
  current: number;
}

/** Rows by rows, whatever their cuts. */
export class Spectra {
  #parts: Parts[] = [];
  #open: Spectrum | undefined;
  #index = 0;
  /** Frequencies fall from row to row (-1), or rise; 0 before the second. */
  #direction = 0;

  /** Rows have these columns from here on. What is open ends. */
  begin(fields: Fields): Columns | undefined {
    const ended = this.end();
    this.#parts = partsOf(fields);
    return ended;
  }

  /** Rows of `impedance` for the spectra that these rows end. */
  take(columns: Chunk["columns"], time: BigInt64Array): Columns | undefined {
    if (this.#parts.length === 0) return undefined;
    const done: Spectrum[] = [];
    const column = (name: string): ArrayLike<number> | undefined => columns[name] as ArrayLike<number> | undefined;
    const frequency = column("frequency")!;
    const cycle = column("z_cycle") ?? column("cycle_number") ?? column("curve");
    const close = (): void => {
      if (this.#open) done.push(this.#open);
      this.#open = undefined;
      this.#direction = 0;
    };
    for (let i = 0; i < time.length; i++) {
      const f = frequency[i]!;
      const values = this.#parts.map((parts) => impedanceOf(parts, column, i));
      if (!(f > 0) || !values.some(([real, imaginary]) => Number.isFinite(real! + imaginary!) && (real !== 0 || imaginary !== 0))) {
        close();
        continue;
      }
      const last = this.#open?.frequency.at(-1);
      const direction = last === undefined ? 0 : Math.sign(f - last);
      const turned = direction !== 0 && this.#direction !== 0 && direction !== this.#direction;
      const counted = cycle !== undefined && this.#open !== undefined && cycle[i] !== this.#open.cycle;
      if (turned || counted || (this.#open?.frequency.length ?? 0) >= MOST) close();
      else if (direction !== 0) this.#direction = direction;
      this.#open ??= { times: [], frequency: [], z: this.#parts.map(() => []), cycle: cycle?.[i] ?? NaN, voltage: 0, current: 0 };
      const open = this.#open;
      open.times.push(time[i]!);
      open.frequency.push(f);
      values.forEach((z, k) => open.z[k]!.push(...z));
      open.voltage += column("voltage_volt")![i]!;
      open.current += column("current_ampere")![i]!;
    }
    return this.#rowsOf(done);
  }

  /** The spectrum that is open, as nothing will follow. */
  end(): Columns | undefined {
    const last = this.#open;
    this.#open = undefined;
    this.#direction = 0;
    return last && this.#rowsOf([last]);
  }

  #rowsOf(done: readonly Spectrum[]): Columns | undefined {
    if (done.length === 0) return undefined;
    const rows = done.flatMap((spectrum) => this.#parts.map(({ electrode }, k) => ({ spectrum, electrode, z: spectrum.z[k]!, index: this.#index + done.indexOf(spectrum) })));
    this.#index += done.length;
    const offsets = Int32Array.from([0, ...rows.map(({ spectrum }) => spectrum.frequency.length)]);
    for (let i = 1; i < offsets.length; i++) offsets[i]! += offsets[i - 1]!;
    const list = (of: (row: (typeof rows)[number]) => number[]) => ({ values: Float64Array.from(rows.flatMap(of)), offsets });
    const mean = (key: "voltage" | "current"): Float64Array => Float64Array.from(rows, ({ spectrum }) => spectrum[key] / spectrum.frequency.length);
    return {
      time: BigInt64Array.from(rows, ({ spectrum }) => spectrum.times.at(-1)!),
      index: Int32Array.from(rows, ({ index }) => index),
      electrode: Int32Array.from(rows, ({ electrode }) => electrode),
      frequency: list(({ spectrum }) => spectrum.frequency),
      z_real: list(({ z }) => z.filter((_, i) => i % 2 === 0)),
      z_imaginary: list(({ z }) => z.filter((_, i) => i % 2 === 1)),
      offset: list(({ spectrum }) => spectrum.times.map((time) => Number(time - spectrum.times.at(-1)!) / 1e9)),
      voltage_volt: mean("voltage"),
      current_ampere: mean("current"),
    };
  }
} // prettier-ignore

function impedanceOf({ real, imaginary, sign, polar }: Parts, column: (name: string) => ArrayLike<number> | undefined, i: number): [number, number] {
  const [a, b] = [column(real)![i]!, column(imaginary)![i]!];
  return polar ? [a * Math.cos(b * DEGREE), a * Math.sin(b * DEGREE)] : [a, sign * b];
} // prettier-ignore
