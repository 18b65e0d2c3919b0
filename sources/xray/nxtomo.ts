import { convert, SourceError } from "../../runtime/index.ts";
import { attribute, isDataset, isGroup, numbers, textOf, type Hdf5 } from "./hdf5.ts";
import {
  anglesOf,
  evenly,
  frameDataset,
  INVALID,
  known,
  PROJECTION,
  quantityAt,
  textAt,
  type Scan,
} from "./scan.ts";
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

export function readNxtomo(file: Hdf5, entries: readonly string[], angleRange_deg: number): Scan {
  const entry = entries[0]!;
  const remarks: string[] = [];
  if (entries.length > 1)
    remarks.push(`holds ${entries.length} NXtomo entries (${entries.join(", ")}); ${entry} is read`);
  const detector = detectorOf(file, entry);
  if (!detector) {
    throw new SourceError(`${file.path}: ${entry} is an NXtomo entry without frames; wanted a dataset instrument/detector/data in it`); // prettier-ignore
  }
  const dataset = `${detector.path}/data`;
  const { shape: [frames, rows, cols], type, chunk } = frameDataset(file, dataset); // prettier-ignore

  const keyPath = [`${detector.path}/image_key`, `${entry}/data/image_key`].find((path) =>
    isDataset(file.find(path)),
  );
  if (!keyPath) {
    throw new SourceError(`${file.path}: has no ${detector.path}/image_key, so flats and darks cannot be told from projections`); // prettier-ignore
  }
  const image_key = Int32Array.from(numbers(file.find(keyPath) as Dataset));
  if (image_key.length !== frames) {
    throw new SourceError(`${file.path}: ${keyPath} has ${image_key.length} entries, ${dataset} has ${frames} frames; wanted as many`); // prettier-ignore
  }
  const unknown = image_key.filter((key) => key < 0 || key > 3);
  if (unknown.length > 0) {
    remarks.push(`${keyPath} has ${unknown.length} entries that mean nothing, such as ${unknown[0]}; these frames count as invalid (3)`); // prettier-ignore
    image_key.forEach((key, i) => (image_key[i] = key < 0 || key > 3 ? INVALID : key));
  }

  const samples = within(file, entry, "NXsample", "sample");
  const anglePaths = [...samples, `${entry}/data`].map((path) => `${path}/rotation_angle`);
  const anglePath = anglePaths.find((path) => isDataset(file.find(path)));
  const stored = anglePath ? anglesOf(file, anglePath) : undefined;
  if (stored && stored.length !== frames) {
    throw new SourceError(`${file.path}: ${anglePath} has ${stored.length} angles, ${dataset} has ${frames} frames; wanted as many`); // prettier-ignore
  }
  const projections = image_key.filter((key) => key === PROJECTION).length;
  if (!stored && angleRange_deg === 0) {
    throw new SourceError(`${file.path}: has no ${anglePaths[0]}; set angle_range, such as "180 deg", if its ${projections} projections are evenly spaced`); // prettier-ignore
  }
  const assumed = evenly(projections, angleRange_deg);
  let k = 0;
  const rotation_angle =
    stored ?? Float64Array.from(image_key, (key) => (key === PROJECTION ? assumed[k++]! : NaN));

  const times = ["time", "timestamp"].map((name) => file.find(`${detector.path}/${name}`)).find(isDataset);
  const times_s = times && secondsOf(times);
  if (times && times_s?.length !== frames) {
    remarks.push(`${times.path} has ${times_s ? times_s.length : "no"} times in a known unit for ${frames} frames; they are not used`); // prettier-ignore
  }
  const count = file.find(`${detector.path}/count_time`);
  const exposure_s = isDataset(count) ? secondsOf(count)?.[0] : undefined;
  const start = (times && textOf(attribute(times, "start"))) ?? textAt(file, `${entry}/start_time`);
  const beam = within(file, `${entry}/instrument`, "NXbeam", "beam").concat(`${entry}/beam`);
  return {
    layout: "NXtomo", rows, cols, remarks,
    parts: [{ dataset, frames, type, chunk, image_key, rotation_angle }],
    clock: {
      ...(start && { start }),
      ...(exposure_s && { exposure_s }),
      ...(times_s?.length === frames && { times_s }),
    },
    metadata: known({
      sample: samples.map((path) => textAt(file, `${path}/name`)).find(Boolean),
      title: textAt(file, `${entry}/title`),
      end_time: textAt(file, `${entry}/end_time`),
      rotation_angles: stored ? undefined : `assumed: evenly spaced over ${angleRange_deg} deg (option angle_range), end left out`,
      pixel_size_x: quantityAt(file, `${detector.path}/x_pixel_size`, "m"),
      pixel_size_y: quantityAt(file, `${detector.path}/y_pixel_size`, "m"),
      distance: quantityAt(file, `${detector.path}/distance`, "m"),
      energy_keV: beam.map((path) => quantityAt(file, `${path}/incident_energy`, "keV")).find((x) => x !== undefined),
    }),
  }; // prettier-ignore
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
