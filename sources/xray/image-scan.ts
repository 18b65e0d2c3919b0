import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { SourceError } from "../../runtime/index.ts";
import { isPattern } from "../file-list.ts";
import { arrivals } from "./frame-files-follow.ts";
import { isMany, numberOf, openSeries, type Run } from "./frame-series.ts";
import { readAngles, readGeometryFile, type GeometryFile } from "./geometry-file.ts";
import {
  assumedAngles,
  evenly,
  PROJECTION,
  type Growth,
  type Part,
  type Scan,
  type ScanOptions,
} from "./scan.ts";

/**
 * A scan that lies as plain images, TIFF or `.npy`: all of them projections, in natural order. Their angles come from a
 * list, else from a step and the number in each file's name (so that a missing file moves no other), else evenly over a
 * range. When they were taken is when their files were written.
 */
export async function openImageScan(path: string, folder: string, options: ScanOptions): Promise<Scan> {
  const beside = await besideOf(path, folder);
  const geometryFile = options.geometryFile ?? beside.geometry;
  const geometry: GeometryFile = geometryFile
    ? await readGeometryFile(resolve(folder, geometryFile))
    : { metadata: {}, remarks: [] };
  // What lies beside the images stands back behind what the pipeline says.
  const said = options.angleStep_deg !== 0 || options.angleRange_deg !== 0 || options.withoutAngles;
  const anglesFile = options.anglesFile ?? (said ? undefined : beside.angles);
  const list = anglesFile === undefined ? undefined : { file: anglesFile, angles: await readAngles(resolve(folder, anglesFile)) }; // prettier-ignore
  const step_deg = options.angleStep_deg || (options.angleRange_deg ? 0 : (geometry.angle_step_deg ?? 0));
  const known = {
    list, withoutAngles: options.withoutAngles ?? false, step_deg, start_deg: geometry.angle_start_deg ?? 0, range_deg: options.angleRange_deg,
    stepFrom: options.angleStep_deg ? "option angle_step" : basename(geometryFile ?? ""),
  }; // prettier-ignore
  const common = {
    ...(geometry.exposure_s !== undefined && { exposure_s: geometry.exposure_s }),
  };
  const remarks = [...geometry.remarks];
  if (geometry.metadata["flat_field_correction"] === "on") {
    remarks.push(`${geometryFile}: says that flat fields were corrected already (Flat Field Correction=ON); give no flats, and set already: transmission if the images are scaled to 1`);
  }

  if (options.follow && (await isMany(path, folder))) {
    return followed(path, folder, options, known, { ...geometry, remarks }, common);
  }
  if (options.follow) throw new SourceError(`${path}: is one file of images; follow is for a folder or pattern of them, or for HDF5`);
  const series = await openSeries(path, folder, { flat: "lines" });
  if (series.format === "hdf5" || series.format === "ole") {
    throw new SourceError(`${path}: holds a scan in ${series.runs[0]!.file}; name that file`);
  }
  remarks.push(...series.remarks);
  const { runs } = series;
  const frames = runs.reduce((n, run) => n + run.frames, 0);
  const { angles, says } = anglesOf(runs, frames, known, path, remarks);
  const single = runs.length > 1 && runs.every((run) => run.frames === 1);
  let at = 0;
  const parts = runs.map((run) => partOf(run, angles.slice(at, (at += run.frames)), single));
  return {
    layout: series.format === "tiff" ? (runs.length > 1 ? "TIFF images" : "TIFF stack") : "npy array",
    parts, rows: series.rows, cols: series.cols, remarks,
    clock: { ...common, written_ns: latest(runs), ...(single && { times_of: "files" }) },
    metadata: { ...geometry.metadata, rotation_angles: says },
  };
} // prettier-ignore

interface KnownAngles {
  readonly list: { readonly file: string; readonly angles: Float64Array } | undefined;
  readonly step_deg: number;
  readonly start_deg: number;
  readonly stepFrom: string;
  readonly range_deg: number;
  readonly withoutAngles: boolean;
}

/** The angle of each frame [deg], and in words where it is from. */
function anglesOf(runs: readonly Run[], frames: number, known: KnownAngles, path: string, remarks: string[]): { angles: Float64Array; says: string } {
  const { list, step_deg, start_deg, range_deg, stepFrom } = known;
  if (known.withoutAngles) return { angles: new Float64Array(frames).fill(NaN), says: "of another stream" };
  const missing = missingIn(runs);
  if (list) {
    if (list.angles.length !== frames) {
      throw new SourceError(
        `${list.file}: has ${list.angles.length} angles, and ${path} has ${frames} projections; wanted as many` +
          (missing ? `. ${missing}` : ""),
      );
    }
    return { angles: list.angles, says: `from ${basename(list.file)}` };
  }
  if (step_deg !== 0) {
    const numbers = runs.map(({ file }) => numberOf(file));
    const counted = runs.length === frames && new Set(numbers).size === frames && !numbers.includes(undefined);
    const first = counted ? Math.min(...(numbers as number[])) : 0;
    // Numbers far apart count something else, such as the time.
    const byName = counted && Math.max(...(numbers as number[])) - first < 2 * frames;
    if (missing) remarks.push(`${missing}; the others keep the angles of their numbers`);
    return {
      angles: Float64Array.from({ length: frames }, (_, i) => start_deg + (byName ? numbers[i]! - first : i) * step_deg),
      says: `every ${step_deg} deg (${stepFrom}), by ${byName ? "the numbers in the files' names" : "order"}`,
    };
  }
  if (range_deg !== 0) {
    return { angles: evenly(frames, range_deg), says: assumedAngles(range_deg) };
  }
  throw new SourceError(
    `${path}: its ${frames === 1 ? "only frame has no angle" : `${frames} frames have no angles`}; set angles (a list, one a line), angle_step, or angle_range such as "180 deg", ` +
      "or read it as a plain series with xray/radiographs",
  );
} // prettier-ignore

/** Which numbers are left out in files' names, in words. */
function missingIn(runs: readonly Run[]): string | undefined {
  const numbers = runs.map(({ file }) => numberOf(file));
  if (runs.length < 2 || numbers.includes(undefined)) return undefined;
  const there = new Set(numbers as number[]);
  const from = Math.min(...there);
  const to = Math.max(...there);
  const lacking = to - from + 1 - there.size;
  // Names that count something else, such as the angle in hundredths, leave out more than they have.
  if (there.size < runs.length || lacking === 0 || lacking > there.size) return undefined;
  const which: number[] = [];
  for (let n = from; n <= to && which.length < 5; n++) if (!there.has(n)) which.push(n);
  return `of the files numbered ${from} to ${to}, ${lacking} ${lacking === 1 ? "is" : "are"} missing (${which.join(", ")}${lacking > 5 ? ", …" : ""})`;
}

function partOf(
  { file, dataset, frames, type, chunk, written_ns }: Run,
  rotation_angle: Float64Array,
  timed: boolean,
): Part {
  const times_s = timed ? new Float64Array(frames).fill(Number(written_ns) / 1e9) : undefined;
  return {
    file, dataset, first: 0, frames, type, chunk, rotation_angle,
    image_key: new Int32Array(frames).fill(PROJECTION), ...(times_s && { times_s }),
  }; // prettier-ignore
}

export const latest = (runs: readonly Run[]): bigint =>
  runs.reduce((last, { written_ns }) => (written_ns > last ? written_ns : last), 0n);

/** So many files may be missing at the beginning of a folder that is followed. */
const FAR = 100;

/** A folder that is still being filled: opens when the first images are complete. */
async function followed(
  path: string,
  folder: string,
  options: ScanOptions,
  { list, step_deg, start_deg, stepFrom, withoutAngles }: KnownAngles,
  geometry: GeometryFile,
  common: { exposure_s?: number },
): Promise<Scan> {
  if (!list && step_deg === 0 && !withoutAngles) {
    throw new SourceError(
      `${path}: how many frames will come is not known, so that their angles must be: set angles (a list, one a line) or angle_step`,
    );
  }
  const arriving = arrivals(path, folder, options.follow!, options.signal);
  const opening = await arriving.next();
  if (opening.done) throw new SourceError(`${path}: the run ended before the first image came`);
  const { runs, shape } = opening.value;
  const first = Math.min(...runs.map(({ file }) => numberOf(file) ?? 0));
  let order = 0;
  let short = false;
  const place = (run: Run): { part: Part; lacks: boolean } => {
    const number = run.frames === 1 ? numberOf(run.file) : undefined;
    // A number far from the others counts something else, such as the time.
    const index = number === undefined || Math.abs(number - first) > 2 * order + FAR ? order : number - first;
    order += run.frames;
    const angles = Float64Array.from({ length: run.frames }, (_, i) =>
      withoutAngles ? NaN : list ? (list.angles[index + i] ?? NaN) : start_deg + (index + i) * step_deg,
    );
    return { part: partOf(run, angles, true), lacks: !withoutAngles && list !== undefined && !(index >= 0 && index + run.frames <= list.angles.length) };
  }; // prettier-ignore
  const lacking = (run: Run): Growth["faults"] => {
    if (short) return undefined;
    short = true;
    return [{ what: `${list!.file}: has ${list!.angles.length} angles, and none for ${basename(run.file)}: it and those like it have the angle NaN` }]; // prettier-ignore
  };
  const remarks = [...geometry.remarks];
  const parts = runs.map((run) => {
    const { part, lacks } = place(run);
    if (lacks) remarks.push(...(lacking(run) ?? []).map(({ what }) => what));
    return part;
  });
  async function* growth(): AsyncGenerator<Growth> {
    for await (const { runs, faults } of arriving) {
      if (faults.length > 0) yield { faults };
      for (const run of runs) {
        const { part, lacks } = place(run);
        const faults = lacks ? lacking(run) : undefined;
        yield { part, ...(faults && { faults }) };
      }
    }
  }
  return {
    layout: "TIFF images", rows: shape.rows, cols: shape.cols, parts, remarks, growth: growth(),
    clock: { ...common, written_ns: latest(runs), times_of: "files" },
    metadata: {
      ...geometry.metadata,
      rotation_angles: withoutAngles ? "of another stream" : list ? `from ${basename(list.file)}, by the numbers in the files' names` : `every ${step_deg} deg (${stepFrom}), by the numbers in the files' names`,
    },
  };
} // prettier-ignore

/** What lies beside the images: in their folder, or in that of the file. */
async function besideOf(path: string, folder: string): Promise<{ angles?: string; geometry?: string }> {
  const full = resolve(folder, path);
  const parent = isPattern(path) || !(await isMany(path, folder)) ? dirname(full) : full;
  const names = (await readdir(parent).catch(() => [] as string[])).sort();
  const only = (pattern: RegExp): string | undefined => {
    const found = names.filter((name) => pattern.test(name));
    return found.length === 1 ? join(parent, found[0]!) : undefined;
  };
  const angles = only(/^angles\.(txt|csv|npy)$|\.rot$/i);
  const geometry = only(/^geometry\.txt$|\.geo$/i) ?? only(/(?<!_rec)\.log$/i);
  return { ...(angles && { angles }), ...(geometry && { geometry }) };
}
