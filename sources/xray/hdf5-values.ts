/** What layouts of tomography in HDF5 have in common: datasets of frames, angles, single quantities with their units. */
import { convert, SourceError, type Numeric } from "../../runtime/index.ts";
import type { Dataset } from "h5wasm/node";
import { attribute, isDataset, numbers, textOf, type Hdf5 } from "../hdf5.ts";
import { PROJECTION } from "./scan.ts";

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

/** How a layout is to be read. */
export interface Reading {
  /** Where the file has no angles: range over which its projections are evenly spaced; 0: not said. */
  readonly angleRange_deg: number;
  /** Frames come without angles: another stream has them. */
  readonly withoutAngles?: boolean;
  readonly written_ns: bigint;
  /**
   * The file is still being written: what stands in several lists (frames, keys, angles) is there up to the shortest;
   * "ended": nothing more comes, though they may have stayed of unequal length.
   */
  readonly growing?: "yes" | "ended";
}

/** Size and type of a dataset of frames; throws where it is none. */
export function frameDataset(
  file: Hdf5,
  name: string,
): { shape: [number, number, number]; type: Numeric; chunk: number; extendible: boolean } {
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
  return {
    shape: shape as [number, number, number],
    type,
    chunk: dataset.metadata.chunks?.[0] ?? 1,
    extendible: isExtendible(dataset),
  };
}

const isExtendible = ({ metadata: { shape, maxshape } }: Dataset): boolean =>
  shape !== null && maxshape !== null && maxshape[0] !== shape[0];

/** How many frames there are of which all that is told of each is there: the fewest; throws where they must be as many. */
export function agreed(
  file: Hdf5,
  frames: readonly [name: string, count: number],
  others: readonly (readonly [what: string, count: number])[],
  { growing }: Reading,
): number {
  if (growing) return Math.min(frames[1], ...others.map(([, count]) => count));
  for (const [what, count] of others) {
    if (count !== frames[1]) throw new SourceError(`${file.path}: ${what.replace("#", String(count))}, ${frames[0]} has ${frames[1]} frames; wanted as many`);
  }
  return frames[1];
} // prettier-ignore

/**
 * How many of the angles are there, in a file that is still being written: a list of a fixed length was made before
 * the scan, full of zeros or NaN, and those at its end are still to come. Frames that are no projections need none.
 * Once the scan has ended one such angle at the end is taken for one: scans begin or end at 0.
 */
export function anglesThere(file: Hdf5, name: string, angles: Float64Array, keys: Int32Array | undefined, { growing }: Reading): number {
  const dataset = file.find(name);
  if (!growing || !isDataset(dataset) || isExtendible(dataset)) return angles.length;
  let there = angles.findLastIndex((angle) => angle !== 0 && !Number.isNaN(angle)) + (growing === "ended" ? 2 : 1);
  while (there < angles.length && keys !== undefined && (keys[there] ?? PROJECTION) !== PROJECTION) there++;
  return Math.min(there, angles.length);
} // prettier-ignore

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

/** All numbers of a list, in a unit; undefined where there is none or its own unit is unknown. */
export function quantitiesOf(file: Hdf5, name: string, unit: string): Float64Array | undefined {
  const dataset = file.find(name);
  const written = isDataset(dataset) ? textOf(attribute(dataset, "units")) : undefined;
  if (!isDataset(dataset) || !written) return undefined;
  try {
    const scale = convert(1, UNITS[written.toLowerCase()] ?? written, unit);
    return numbers(dataset).map((value) => value * scale);
  } catch {
    return undefined;
  }
}

/** One number without a unit, such as a column. */
export function numberAt(file: Hdf5, name: string): number | undefined {
  const dataset = file.find(name);
  if (!isDataset(dataset) || typeof dataset.dtype !== "string" || !/[bBhHiIqQfd]$/.test(dataset.dtype)) return undefined;
  const value = numbers(dataset)[0];
  return Number.isFinite(value) ? value : undefined;
} // prettier-ignore

const UNITS: Record<string, string> = {
  microns: "um", micron: "um", micrometer: "um", micrometre: "um", millimeter: "mm", meter: "m", metre: "m",
  kev: "keV", ev: "eV", seconds: "s", second: "s", sec: "s", milliseconds: "ms", ms: "ms",
}; // prettier-ignore

export function textAt(file: Hdf5, name: string): string | undefined {
  const dataset = file.find(name);
  return isDataset(dataset) ? textOf(dataset.value) : undefined;
}
