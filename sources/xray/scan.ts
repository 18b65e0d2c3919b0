import type { Hdf5 } from "./hdf5.ts";
import { attribute, isDataset, numbers, textOf } from "./hdf5.ts";
import { convert, SourceError, type Numeric } from "../../runtime/index.ts";

export const PROJECTION = 0, FLAT = 1, DARK = 2, INVALID = 3; // prettier-ignore

/** Frames of one dataset (frame, row, col), in the order they are given out. */
export interface Part {
  readonly dataset: string;
  readonly frames: number;
  /** By frame. */
  readonly image_key: Int32Array;
  /** By frame [deg]; NaN where unknown. */
  readonly rotation_angle: Float64Array;
  /** Type of its values in memory. */
  readonly type: Numeric;
  /** Frames that were compressed together; 1 where they were not. */
  readonly chunk: number;
}

/** When the frames were taken, as far as the file tells. */
export interface Clock {
  /** Of the first frame, as written. */
  readonly start?: string;
  /** By frame [s], over all parts: since the start, or since 1970 where they are that large. */
  readonly times_s?: Float64Array;
  readonly exposure_s?: number;
}

/** What a file of tomography holds, whatever its layout. */
export interface Scan {
  readonly layout: "Data Exchange" | "NXtomo";
  readonly parts: readonly Part[];
  readonly rows: number;
  readonly cols: number;
  readonly clock: Clock;
  readonly metadata: Readonly<Record<string, string>>;
  /** What a person should know of. */
  readonly remarks: readonly string[];
}

const TYPES: Record<string, Numeric> = {
  b: "i8",
  B: "u8",
  h: "i16",
  H: "u16",
  i: "i32",
  I: "u32",
  f: "f32",
  d: "f32",
};

/** Size and type of a dataset of frames; throws where it is none. */
export function frameDataset(
  file: Hdf5,
  name: string,
): { shape: [number, number, number]; type: Numeric; chunk: number } {
  const dataset = file.find(name);
  if (!isDataset(dataset)) throw new SourceError(`${file.path}: has no dataset ${name}`);
  const shape = dataset.shape ?? [];
  if (shape.length !== 3) {
    throw new SourceError(
      `${file.path}: ${name} has the shape ${shape.join(" × ")}; wanted frames × rows × columns`,
    );
  }
  const type = typeof dataset.dtype === "string" ? TYPES[dataset.dtype.slice(1)] : undefined;
  if (!type) {
    throw new SourceError(`${file.path}: ${name} holds values of type ${JSON.stringify(dataset.dtype)}; wanted integers of 8 to 32 bit, or floats`); // prettier-ignore
  }
  return { shape: shape as [number, number, number], type, chunk: dataset.metadata.chunks?.[0] ?? 1 };
}

/** Rotation angles [deg], from degrees or radians. */
export function anglesOf(file: Hdf5, name: string): Float64Array | undefined {
  const dataset = file.find(name);
  if (!isDataset(dataset)) return undefined;
  const unit = textOf(attribute(dataset, "units"))?.toLowerCase() ?? "deg";
  if (/^deg|^°/.test(unit) || unit === "") return numbers(dataset);
  if (unit.startsWith("rad")) return numbers(dataset).map((angle_rad) => (angle_rad * 180) / Math.PI);
  throw new SourceError(`${file.path}: ${name} is in "${unit}"; wanted degrees or radians`);
}

/** One number of the file in metres, keV, …, as metadata has it; undefined where there is none or its unit is unknown. */
export function quantityAt(file: Hdf5, name: string, unit: string): number | undefined {
  const dataset = file.find(name);
  if (!isDataset(dataset) || typeof dataset.dtype !== "string") return undefined;
  if (!/[bBhHiIqQfd]$/.test(dataset.dtype)) return undefined;
  const value = numbers(dataset)[0];
  const written = textOf(attribute(dataset, "units"));
  if (value === undefined || !Number.isFinite(value) || !written) return undefined;
  try {
    return convert(value, UNITS[written.toLowerCase()] ?? written, unit);
  } catch {
    return undefined; // a unit that nobody knows: better no number than a wrong one
  }
}

const UNITS: Record<string, string> = {
  microns: "um", micron: "um", micrometer: "um", micrometre: "um", millimeter: "mm", meter: "m", metre: "m",
  kev: "keV", ev: "eV", seconds: "s", second: "s", sec: "s", milliseconds: "ms", ms: "ms",
}; // prettier-ignore

export function textAt(file: Hdf5, name: string): string | undefined {
  const dataset = file.find(name);
  return isDataset(dataset) ? textOf(dataset.value) : undefined;
}

/** Only what is known. */
export function known(values: Readonly<Record<string, string | number | undefined>>): Record<string, string> {
  const rest = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(rest.map(([name, value]) => [name, String(value)]));
}

/** Angles evenly spaced over a range, its end left out. */
export const evenly = (n: number, range_deg: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => (i * range_deg) / n);
