/**
 * Force curves as afmformats (AFM-analysis) exports them to HDF5: one group a curve, named by its number.
 *
 *     /          software "afmformats", software version
 *       <n>      imaging mode, spring constant [N/m], sensitivity [m/V], position x, y [m], duration [s], date, time,
 *                grid shape, grid size [m], grid index, instrument, …
 *         force [N], height (measured) [m], height (piezo) [m], segment, time [s]
 *
 * `segment` counts: 0 approach, 1 retract; with a pause between them (creep compliance, stress relaxation) 1 is the
 * pause and 2 the retract. Force is in newtons already, so a calibration by hand scales it by its ratio to the file's.
 * Height decreases towards the sample. Files differ in whether date and time are those of begin or end.
 */
import type { Dataset } from "h5wasm/node";
import { SourceError } from "../../runtime/index.ts";
import { attribute, checkFilters, isDataset, isGroup, numbers, textOf, type Hdf5 } from "../hdf5.ts"; // prettier-ignore
import {
  APPROACH, PAUSE, RETRACT, UNKNOWN_SEGMENT,
  type AfmFile, type Calibration, type Curve, type Grid, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { forceScale } from "./force-scale.ts";
import { readCarefully } from "./hdf5-care.ts";
import { parseTime } from "./jpk-time.ts";

const HEIGHTS = ["height (measured)", "height (piezo)"];
const COLUMNS = ["force", ...HEIGHTS, "segment"];
/** Of a curve; an hour's pause at 2 kHz has 7 million. */
const MOST_POINTS = 1 << 23;
const MOST_CURVES = 1 << 24;
const TWO_SEGMENTS = [APPROACH, RETRACT], THREE_SEGMENTS = [APPROACH, PAUSE, RETRACT]; // prettier-ignore

export const isAfmformats = ({ root }: Hdf5): boolean => textOf(attribute(root, "software")) === "afmformats";

type Attributes = (name: string) => string | number | undefined;

/** Only names that a group lists are looked for: in a damaged file the library may look for others without end. */
function datasetsAt(file: Hdf5, number: number): ReadonlyMap<string, Dataset> {
  const group = file.find(String(number));
  const found = new Map<string, Dataset>();
  if (!isGroup(group)) return found;
  const listed = group.keys();
  for (const name of COLUMNS) {
    const dataset = listed.includes(name) ? file.find(`${number}/${name}`) : undefined;
    if (isDataset(dataset)) found.set(name, dataset);
  }
  return found;
}

function attributesAt(file: Hdf5, name: string): Attributes {
  const group = file.find(name);
  if (!isGroup(group)) throw new SourceError(`${file.path}: has no group ${name}`);
  const { attrs } = group;
  return (key) => {
    const value: unknown = attrs[key]?.value;
    if (typeof value === "number") return value;
    if (typeof value === "bigint") return Number(value);
    return textOf(value);
  };
}
const numberOf = (get: Attributes, name: string): number => Number(get(name) ?? NaN);

export async function openAfmformats(path: string, zoned: Zoned): Promise<AfmFile> {
  const { names, first, version } = await readCarefully(path, (file) => {
    const names = file.root.keys().filter((name) => /^\d{1,9}$/.test(name)).map(Number).sort((a, b) => a - b); // prettier-ignore
    if (names.length === 0) throw new SourceError(`${path}: holds no force curve: its groups are ${file.root.keys().join(", ") || "none"}, wanted 0, 1, …`); // prettier-ignore
    const get = attributesAt(file, String(names[0]));
    return {
      names,
      version: textOf(attribute(file.root, "software version")) ?? "",
      first: {
        grid: gridOf(get),
        instrument: String(get("instrument") ?? ""),
        software: [get("software"), get("software version")].filter(Boolean).join(" "),
        columns: [...datasetsAt(file, names[0]!).keys()],
      },
    };
  });
  for (const column of first.columns) await checkFilters(path, `${names[0]}/${column}`);
  return {
    path,
    format: `afmformats HDF5${version && `, version ${version}`}`,
    instrument: first.instrument,
    software: first.software,
    start: undefined,
    warnings: [],
    curves: {
      grid: first.grid,
      numbers: names,
      expected: first.grid ? first.grid.columns * first.grid.rows : names.length,
      timeFrom: "recording time that afmformats wrote",
      timeOf: (number) => readCarefully(path, (file) => timeOf(attributesAt(file, String(number)), `${path}: ${number}`, zoned)), // prettier-ignore
      read: (number, calibration) => readCarefully(path, (file) => readCurve(file, number, first.grid, calibration, zoned)), // prettier-ignore
    },
    close: async () => undefined,
  };
} // prettier-ignore

function gridOf(get: Attributes): Grid | undefined {
  const [columns, rows] = [numberOf(get, "grid shape x"), numberOf(get, "grid shape y")];
  if (!(
    Number.isInteger(columns) &&
    Number.isInteger(rows) &&
    columns > 0 &&
    rows > 0 &&
    columns * rows <= MOST_CURVES
  ))
    return undefined;
  return { columns, rows, sizeX_m: numberOf(get, "grid size x"), sizeY_m: numberOf(get, "grid size y") };
}

/** Pixel of the grid, by its indices or else by its position; NaN where neither says. */
function pixelOf(get: Attributes, { columns, rows, sizeX_m, sizeY_m }: Grid): number {
  const along = (axis: "x" | "y", count: number, size_m: number): number => {
    const index = numberOf(get, `grid index ${axis}`);
    const place = ((numberOf(get, `position ${axis}`) - numberOf(get, `grid center ${axis}`)) / size_m + 0.5) * count; // prettier-ignore
    const at = Number.isNaN(index) ? Math.floor(place) : index;
    return Number.isInteger(at) && at >= 0 && at < count ? at : NaN;
  };
  return along("y", rows, sizeY_m) * columns + along("x", columns, sizeX_m);
}

function timeOf(get: Attributes, where: string, zoned: Zoned): When | undefined {
  const [date, time] = [get("date"), get("time")];
  if (typeof date !== "string" || typeof time !== "string") return undefined;
  return parseTime(`${date} ${time}`, where, zoned);
}

function readCurve(
  file: Hdf5,
  number: number,
  grid: Grid | undefined,
  calibration: Calibration,
  zoned: Zoned,
): Curve {
  const { path } = file;
  const get = attributesAt(file, String(number));
  const datasets = datasetsAt(file, number);
  const warnings: string[] = [];
  const column = (name: string, unit: string): Float64Array | undefined => {
    const dataset = datasets.get(name);
    return dataset && valuesOf(dataset, unit, `${path}: ${number}/${name}`);
  };
  const heightName = HEIGHTS.find((name) => datasets.has(name));
  const height = heightName === undefined ? undefined : column(heightName, "m");
  const force = column("force", "N");
  const segment = column("segment", "");
  const there = [height, force, segment].filter((values) => values !== undefined);
  if (!height && !force) throw new SourceError(`${path}: ${number} has neither force nor height`);
  const points = Math.min(...there.map(({ length }) => length));
  if (points === 0) throw new SourceError(`${path}: ${number} has no points`);
  if (there.some(({ length }) => length !== points)) {
    const lengths = [heightName && `${heightName} ${height!.length}`, force && `force ${force.length}`, segment && `segment ${segment.length}`]; // prettier-ignore
    warnings.push(`its columns have unequal lengths (${lengths.filter(Boolean).join(", ")}); the shortest counts`);
  }
  const said = numberOf(get, "point count");
  if (said >= 0 && said !== points) warnings.push(`holds ${points} points, its point count says ${said}`);
  if (!height) warnings.push(`has no ${HEIGHTS.join(" or ")}, so height is NaN`);
  if (!force) warnings.push("has no force, so force is NaN");
  const own = { springConstant_N_per_m: numberOf(get, "spring constant"), deflectionSensitivity_m_per_V: numberOf(get, "sensitivity") }; // prettier-ignore
  const scale = forceScale("N", own, calibration, warnings);
  const missing = (): Float64Array => new Float64Array(points).fill(NaN);
  const pixel = grid && pixelOf(get, grid);
  return {
    name: String(number),
    index: pixel === undefined || Number.isNaN(pixel) ? number : pixel,
    time: timeOf(get, `${path}: ${number}`, zoned)?.ns,
    duration_s: numberOf(get, "duration"),
    x_m: numberOf(get, "position x"),
    y_m: numberOf(get, "position y"),
    height_m: height ? height.subarray(0, points) : missing(),
    force_N: force ? force.subarray(0, points).map((value) => value * scale.force_N) : missing(),
    segment: codesOf(segment, points, get, warnings),
    springConstant_N_per_m: scale.springConstant_N_per_m,
    deflectionSensitivity_m_per_V: scale.deflectionSensitivity_m_per_V,
    warnings,
  };
} // prettier-ignore

function codesOf(
  segment: Float64Array | undefined,
  points: number,
  get: Attributes,
  warnings: string[],
): Uint8Array {
  const mode = String(get("imaging mode") ?? "");
  const codes = /creep|relaxation/.test(mode) ? THREE_SEGMENTS : TWO_SEGMENTS;
  const out = new Uint8Array(points).fill(UNKNOWN_SEGMENT);
  if (!segment) {
    warnings.push("has no column segment, so its segments are unknown");
    return out;
  }
  const strange = new Set<number>();
  for (let i = 0; i < points; i++) {
    const code = codes[segment[i]!];
    if (code === undefined) strange.add(segment[i]!);
    else out[i] = code;
  }
  if (strange.size > 0)
    warnings.push(`column segment holds ${[...strange].slice(0, 5).join(", ")}; known are 0 to ${codes.length - 1} (imaging mode "${mode}")`); // prettier-ignore
  return out;
}

function valuesOf(dataset: Dataset, wanted: string, where: string): Float64Array {
  const { shape, dtype, metadata } = dataset;
  const length = shape?.[0] ?? 0;
  if (shape?.length !== 1) throw new SourceError(`${where}: has the shape ${shape?.join(" × ") || "of nothing"}; wanted one list`);
  const chunk = metadata.chunks?.[0] ?? 1;
  if (Math.max(length, chunk) > MOST_POINTS) throw new SourceError(`${where}: would have ${length} points in pieces of ${chunk}; ${MOST_POINTS} are the most`);
  const known = typeof dtype === "string" ? /[bBhHiIqQfd]$/.test(dtype) : JSON.stringify(dtype).includes("FALSE");
  if (!known) throw new SourceError(`${where}: holds values of type ${JSON.stringify(dtype)}; wanted numbers`);
  const unit = textOf(attribute(dataset, "unit"));
  if (unit !== undefined && unit !== wanted) throw new SourceError(`${where}: is in "${unit}"; wanted "${wanted}"`);
  return numbers(dataset);
} // prettier-ignore
