import { convert, SourceError } from "../../runtime/index.ts";
import { attribute, isDataset, isGroup, numbers, textOf, type Hdf5 } from "../hdf5.ts";
import {
  agreed,
  anglesOf,
  anglesThere,
  frameDataset,
  numberAt,
  quantitiesOf,
  quantityAt,
  textAt,
  type Reading,
} from "./hdf5-values.ts";
import { assumedAngles, evenly, INVALID, known, PROJECTION, type FrameColumns, type Scan } from "./scan.ts";
import type { Dataset, Group } from "h5wasm/node";

/**
 * NXtomo, the application definition of NeXus (ESRF, Diamond, MAX IV, …): an NXentry or NXsubentry with
 *
 *     definition                     "NXtomo"
 *     NXinstrument/NXdetector/data   all frames (frame, row, col) as they were taken
 *                        /image_key  of each: 0 projection, 1 flat, 2 dark, 3 invalid
 *     NXsample/rotation_angle        of each
 *
 * Groups are found by their NX_class, whatever they are called; links are followed.
 *
 * Reference: manual.nexusformat.org, NXtomo.
 */
export function nxtomoEntries(file: Hdf5): string[] {
  const entries: string[] = [];
  const search = (group: Group, path: string, depth: number): void => {
    for (const [name, child] of childrenOf(file, group, path)) {
      if (!isGroup(child)) continue;
      const at = `${path}/${name}`;
      const kind = classOf(child);
      if (kind !== "NXentry" && kind !== "NXsubentry") {
        if (depth < 3 && kind === undefined) search(child, at, depth + 1);
        continue;
      }
      if (textAt(file, `${at}/definition`) === "NXtomo" || detectorOf(file, at)?.hasKeys) entries.push(at);
      else search(child, at, depth + 1);
    }
  };
  search(file.root, "", 0);
  return entries;
}

const classOf = (group: Group): string | undefined => textOf(attribute(group, "NX_class"));

/** Members of a group; those behind links that lead nowhere are left out. */
function childrenOf(
  file: Hdf5,
  group: Group,
  path: string,
): [name: string, child: Dataset | Group | undefined][] {
  return group.keys().map((name) => {
    try {
      return [name, file.find(`${path}/${name}`)];
    } catch {
      return [name, undefined];
    }
  });
}

/** Paths of the groups of a class within one, or by the name it has by habit. */
function within(file: Hdf5, path: string, kind: string, habit: string): string[] {
  const group = file.find(path);
  if (!isGroup(group)) return [];
  const groups = childrenOf(file, group, path).filter(([, child]) => isGroup(child)) as [string, Group][];
  const ofKind = groups.filter(([, child]) => classOf(child) === kind);
  return (ofKind.length > 0 ? ofKind : groups.filter(([name]) => name === habit)).map(
    ([name]) => `${path}/${name}`,
  );
}

/** The detector with frames; the first that also has image keys, where there are several. */
function detectorOf(file: Hdf5, entry: string): { path: string; hasKeys: boolean } | undefined {
  const detectors = within(file, entry, "NXinstrument", "instrument")
    .flatMap((instrument) => within(file, instrument, "NXdetector", "detector"))
    .filter((path) => isDataset(file.find(`${path}/data`)))
    .map((path) => ({ path, hasKeys: isDataset(file.find(`${path}/image_key`)) }));
  return detectors.find(({ hasKeys }) => hasKeys) ?? detectors[0];
}

export function readNxtomo(file: Hdf5, entries: readonly string[], reading: Reading): Scan {
  const { angleRange_deg, withoutAngles, written_ns, growing } = reading;
  const entry = entries[0]!;
  const remarks: string[] = [];
  if (entries.length > 1)
    remarks.push(`holds ${entries.length} NXtomo entries (${entries.join(", ")}); ${entry} is read`);
  const detector = detectorOf(file, entry);
  if (!detector) {
    throw new SourceError(`${file.path}: ${entry} is an NXtomo entry without frames; wanted a dataset instrument/detector/data in it`); // prettier-ignore
  }
  const dataset = `${detector.path}/data`;
  const { shape: [length, rows, cols], type, chunk, extendible } = frameDataset(file, dataset); // prettier-ignore

  const keyPath = [`${detector.path}/image_key`, `${entry}/data/image_key`].find((path) =>
    isDataset(file.find(path)),
  );
  if (!keyPath) {
    throw new SourceError(`${file.path}: has no ${detector.path}/image_key, so flats and darks cannot be told from projections`); // prettier-ignore
  }
  const keys = Int32Array.from(numbers(file.find(keyPath) as Dataset));
  const means = (key: number | undefined): boolean => key !== undefined && key >= 0 && key <= 3;
  // A list that was made before the scan may hold what is no key where none was written yet.
  const keysThere = growing ? keys.findLastIndex(means) + 1 : keys.length;

  const samples = within(file, entry, "NXsample", "sample");
  const anglePaths = [...samples, `${entry}/data`].map((path) => `${path}/rotation_angle`);
  const anglePath = withoutAngles ? undefined : anglePaths.find((path) => isDataset(file.find(path)));
  const stored = anglePath ? anglesOf(file, anglePath) : undefined;
  const assumed = !stored && !withoutAngles && angleRange_deg !== 0;
  if (assumed && growing && extendible) {
    throw new SourceError(`${file.path}: nobody knows how many frames will come, so their angles cannot be spaced over angle_range; have ${anglePaths[0]} written along, or wait for the end`); // prettier-ignore
  }
  if (!stored && !withoutAngles && !assumed && !growing) {
    const projections = keys.filter((key) => key === PROJECTION).length;
    throw new SourceError(`${file.path}: has no ${anglePaths[0]}; set angle_range, such as "180 deg", if its ${projections} projections are evenly spaced, or without_angles if another stream has them`); // prettier-ignore
  }

  const times = ["time", "timestamp"].map((name) => file.find(`${detector.path}/${name}`)).find(isDataset);
  const stored_s = times && secondsOf(times);
  const frames = agreed(
    file,
    [dataset, length],
    [
      [`${keyPath} has # entries`, keysThere],
      ...(stored ? [[`${anglePath} has # angles`, anglesThere(file, anglePath!, stored, keys, reading)] as const] : []),
      ...(!stored && !withoutAngles && !assumed ? [[`${anglePaths[0]} has # angles`, 0] as const] : []),
      ...(growing && stored_s?.length ? [[`${times!.path} has # times`, stored_s.length] as const] : []),
    ],
    reading,
  ); // prettier-ignore

  const image_key = keys.slice(0, frames);
  const unknown = image_key.filter((key) => !means(key));
  if (unknown.length > 0) {
    remarks.push(`${keyPath} has ${unknown.length} entries that mean nothing, such as ${unknown[0]}; these frames count as invalid (3)`); // prettier-ignore
    image_key.forEach((key, i) => (image_key[i] = means(key) ? key : INVALID));
  }
  const evenly_deg = assumed
    ? evenly(keys.filter((key) => key === PROJECTION).length, angleRange_deg)
    : undefined;
  let k = 0;
  const rotation_angle =
    stored?.slice(0, frames) ??
    Float64Array.from(image_key, (key) => (key === PROJECTION ? (evenly_deg?.[k++] ?? NaN) : NaN));
  const times_s = growing && stored_s?.length ? stored_s.slice(0, frames) : stored_s;
  if (times && times_s?.length !== frames) {
    remarks.push(`${times.path} has ${times_s ? times_s.length : "no"} times in a known unit for ${frames} frames; they are not used`); // prettier-ignore
  }

  const count = file.find(`${detector.path}/count_time`);
  const exposure_s = isDataset(count) ? secondsOf(count)?.[0] : undefined;
  const start = (times && textOf(attribute(times, "start"))) ?? textAt(file, `${entry}/start_time`);
  const instrument = detector.path.slice(0, detector.path.lastIndexOf("/"));
  const beam = within(file, instrument, "NXbeam", "beam").concat(`${entry}/beam`);
  const sources = within(file, instrument, "NXsource", "source").concat(`${entry}/source`);
  const first = <T>(of: readonly string[], at: (path: string) => T | undefined): T | undefined =>
    of.map(at).find((value) => value !== undefined);
  const source_m = first(sources, (path) => quantityAt(file, `${path}/distance`, "m"));
  const magnification = numberAt(file, `${detector.path}/magnification`);
  const pixel = (axis: "x" | "y") => quantityAt(file, `${detector.path}/${axis}_pixel_size`, "m");
  const samplePixel = (axis: "x" | "y") =>
    first(samples, (path) => quantityAt(file, `${path}/${axis}_pixel_size`, "m")) ??
    (pixel(axis) && magnification && pixel(axis)! / magnification);
  const pixels_m = { x: samplePixel("x") ?? pixel("x"), y: samplePixel("y") ?? pixel("y") };
  const columns = {
    ...shifts(file, samples, image_key, { pixels_m, growing: growing !== undefined, remarks }),
    ...beamMonitor(file, `${entry}/control/data`, frames),
  };
  return {
    layout: "NXtomo", rows, cols, remarks,
    parts: [{
      file: file.path, dataset, first: 0, frames, type, chunk, image_key, rotation_angle,
      ...(times_s && times_s.length === frames && { times_s }),
      ...(Object.keys(columns).length > 0 && { columns }),
    }],
    clock: { ...(start && { start }), ...(exposure_s && { exposure_s }), written_ns },
    metadata: known({
      sample: first(samples, (path) => textAt(file, `${path}/name`)),
      title: textAt(file, `${entry}/title`),
      end_time: textAt(file, `${entry}/end_time`),
      rotation_angles: withoutAngles ? "elsewhere" : assumed ? assumedAngles(angleRange_deg) : undefined,
      pixel_size_x: pixel("x"),
      pixel_size_y: pixel("y"),
      sample_pixel_size_x: samplePixel("x"),
      sample_pixel_size_y: samplePixel("y"),
      magnification,
      rotation_axis: rotationAxis(file, `${detector.path}/x_rotation_axis_pixel_position`, cols, remarks),
      // Upstream of the sample it stands with its sign in some files.
      source_distance: source_m === undefined || source_m === 0 ? undefined : Math.abs(source_m),
      detector_distance: quantityAt(file, `${detector.path}/distance`, "m"),
      energy_keV: first(beam, (path) => quantityAt(file, `${path}/incident_energy`, "keV")),
    }),
  }; // prettier-ignore
}

/** Column of the rotation axis. Some programs write it from the middle of the detector: what may be that is not used. */
function rotationAxis(file: Hdf5, path: string, cols: number, remarks: string[]): number | undefined {
  const axis = numberAt(file, path);
  if (axis === undefined || axis === 0) return undefined;
  if (axis >= cols / 4 && axis < cols) return axis;
  remarks.push(`${path} is ${axis}, of ${cols} columns; it may be counted from the middle, so it is not used as the column of the axis`); // prettier-ignore
  return undefined;
}

/**
 * Recorded dither: where the sample stood in each projection, against the first one, in pixels at the sample.
 *
 *     shift_x =  (x - x_0) / pixel_x        x_translation: across the beam
 *     shift_y = -(y - y_0) / pixel_y        y_translation: upwards (NeXus); where it rests, z_translation (ESRF)
 *
 * The detector is taken to count its columns along x, its rows downwards.
 */
function shifts(
  file: Hdf5, samples: readonly string[], image_key: Int32Array,
  { pixels_m, growing, remarks }: { pixels_m: { x?: number | undefined; y?: number | undefined }; growing: boolean; remarks: string[] },
): FrameColumns {
  const frames = image_key.length;
  const moved_m = (axis: "x" | "y" | "z"): Float64Array | undefined => {
    const path = samples.map((sample) => `${sample}/${axis}_translation`).find((name) => isDataset(file.find(name)));
    const positions_m = path && quantitiesOf(file, path, "m");
    if (!positions_m || positions_m.length < frames) return undefined;
    const zero_m = positions_m.find((_, i) => image_key[i] === PROJECTION);
    const moved = positions_m.slice(0, frames).map((at, i) => (image_key[i] === PROJECTION ? at - zero_m! : NaN));
    return growing || moved.some((by) => Math.abs(by) > 0) ? moved : undefined; // of what grows nobody knows yet
  };
  const x_m = moved_m("x");
  const y_m = moved_m("y");
  const z_m = y_m ? undefined : moved_m("z");
  const up_m = y_m ?? z_m;
  const missing = [x_m && !pixels_m.x && "x", up_m && !pixels_m.y && "y"].filter(Boolean).join(" and ");
  if (missing) remarks.push(`the sample was moved during the scan, but the pixel size in ${missing} is not known, so the shift in pixels is not either`);
  if (z_m && pixels_m.y) remarks.push("z_translation moved and y_translation did not: z is taken as upwards, as the ESRF writes it");
  return {
    ...(x_m && pixels_m.x && { shift_x: x_m.map((by) => by / pixels_m.x!) }),
    ...(up_m && pixels_m.y && { shift_y: up_m.map((by) => -by / pixels_m.y!) }),
  };
} // prettier-ignore

function beamMonitor(file: Hdf5, path: string, frames: number): FrameColumns {
  const monitor = file.find(path);
  if (!isDataset(monitor) || monitor.shape?.length !== 1 || monitor.shape[0]! < frames) return {};
  return { beam_monitor: numbers(monitor).slice(0, frames) };
}

/** Seconds, from whatever unit of time it is written in; without one, seconds. */
function secondsOf(dataset: Dataset): Float64Array | undefined {
  const unit = textOf(attribute(dataset, "units")) || "s";
  try {
    const scale = convert(1, { seconds: "s", milliseconds: "ms", nanoseconds: "ns" }[unit] ?? unit, "s");
    return numbers(dataset).map((time) => time * scale);
  } catch {
    return undefined;
  }
}
