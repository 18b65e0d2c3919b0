import { SourceError } from "../../runtime/index.ts";
import { attribute, isDataset, numbers, textOf, type Hdf5 } from "../hdf5.ts";
import {
  agreed,
  anglesOf,
  anglesThere,
  frameDataset,
  numberAt,
  quantityAt,
  textAt,
  type Reading,
} from "./hdf5-values.ts";
import { assumedAngles, DARK, evenly, FLAT, known, PROJECTION, type Part, type Scan } from "./scan.ts";

/**
 * Data Exchange, the layout of the Advanced Photon Source and of TomoBank:
 *
 *     /exchange/data         projections (theta, y, x)     /exchange/theta   rotation angles
 *     /exchange/data_white   flat fields                   /exchange/time    times of the projections, rarely there
 *     /exchange/data_dark    dark fields
 *
 * Frames are given out as they are needed: darks, flats, then projections.
 *
 * Reference: De Carlo et al., J. Synchrotron Rad. 21, 1224 (2014).
 */
export function isDataExchange(file: Hdf5): boolean {
  return isDataset(file.find("/exchange/data"));
}

export function readDataExchange(file: Hdf5, reading: Reading): Scan {
  const { angleRange_deg, withoutAngles, written_ns, growing } = reading;
  const axes = textOf(attribute(file.find("/exchange/data")!, "axes"));
  if (axes && /:/.test(axes) && !axes.startsWith("theta")) {
    throw new SourceError(`${file.path}: /exchange/data has its axes as ${axes}; wanted theta:y:x. Write it again with frames first`); // prettier-ignore
  }
  const data = frameDataset(file, "/exchange/data");
  const [length, rows, cols] = data.shape;
  const time = file.find("/exchange/time");
  const stored_s = isDataset(time) && time.shape?.[0] !== 0 ? numbers(time) : undefined;

  const remarks: string[] = [];
  const theta = withoutAngles ? undefined : anglesOf(file, "/exchange/theta");
  const thetaThere = theta && anglesThere(file, "/exchange/theta", theta, undefined, reading);
  const assumed = !theta && !withoutAngles && angleRange_deg !== 0;
  if (assumed && growing && data.extendible) {
    throw new SourceError(`${file.path}: nobody knows how many frames will come, so their angles cannot be spaced over angle_range; have /exchange/theta written along, or wait for the end`); // prettier-ignore
  }
  if (!theta && !withoutAngles && !assumed && !growing) {
    throw new SourceError(`${file.path}: has no /exchange/theta; set angle_range, such as "180 deg", if its ${length} frames are evenly spaced, or without_angles if another stream has them`); // prettier-ignore
  }
  const frames = agreed(
    file,
    ["/exchange/data", length],
    [
      ...(theta ? [["/exchange/theta has # angles", thetaThere!] as const] : []),
      ...(!theta && !withoutAngles && !assumed ? [["/exchange/theta has # angles", 0] as const] : []),
      ...(growing && stored_s ? [["/exchange/time has # times", stored_s.length] as const] : []),
    ],
    reading,
  );

  const parts: Part[] = [];
  for (const [dataset, key] of [
    ["/exchange/data_dark", DARK],
    ["/exchange/data_white", FLAT],
  ] as const) {
    if (!isDataset(file.find(dataset))) continue;
    const { shape: [n, r, c], type, chunk } = frameDataset(file, dataset); // prettier-ignore
    if (n === 0) continue;
    // With times of their own the projections come first: darks and flats are placed before them.
    if (growing && stored_s && frames === 0) continue;
    if (r !== rows || c !== cols) {
      throw new SourceError(`${file.path}: ${dataset} has frames of ${r} × ${c}, /exchange/data of ${rows} × ${cols}; record them at the same binning`); // prettier-ignore
    }
    parts.push({ file: file.path, dataset, first: 0, frames: n, type, chunk, image_key: new Int32Array(n).fill(key), rotation_angle: new Float64Array(n).fill(NaN) }); // prettier-ignore
  }
  const before = parts.reduce((n, part) => n + part.frames, 0);
  parts.push({
    file: file.path, dataset: "/exchange/data", first: 0, frames, type: data.type, chunk: data.chunk,
    image_key: new Int32Array(frames).fill(PROJECTION),
    rotation_angle: theta?.slice(0, frames) ?? (assumed ? evenly(length, angleRange_deg).slice(0, frames) : new Float64Array(frames).fill(NaN)),
  }); // prettier-ignore

  const detector = "/measurement/instrument/detector";
  const start = ["/process/acquisition/start_date", "/measurement/start_date", "/file_creation_datetime"]
    .map((name) => textAt(file, name))
    .find(Boolean);
  const exposure_s = quantityAt(file, `${detector}/exposure_time`, "s");
  const times_s = growing ? stored_s?.slice(0, frames) : stored_s;
  if (times_s && times_s.length !== frames) {
    remarks.push(`/exchange/time has ${times_s.length} times for ${frames} frames; they are not used`);
  }
  const objectives = [`${detector}/objective`, "/measurement/instrument/detection_system/objective"];
  const magnification = objectives.map((path) => numberAt(file, `${path}/magnification`)).find(Boolean);
  const pixel = (name: string, axis: "x" | "y") =>
    quantityAt(file, `${detector}/${name}_${axis}`, "m") ?? quantityAt(file, `${detector}/${name}`, "m");
  const samplePixel = (axis: "x" | "y") =>
    pixel("actual_pixel_size", axis) ??
    (magnification && pixel("pixel_size", axis) && pixel("pixel_size", axis)! / magnification);
  return {
    layout: "Data Exchange", rows, cols, remarks,
    parts: times_s && frames > 0 && times_s.length === frames ? timed(parts, withFramesBefore(times_s, before)) : parts,
    clock: { ...(start && { start }), ...(exposure_s && { exposure_s }), written_ns },
    metadata: known({
      sample: textAt(file, "/measurement/sample/name"),
      title: textAt(file, "/exchange/title"),
      rotation_angles: withoutAngles ? "elsewhere" : assumed ? assumedAngles(angleRange_deg) : undefined,
      pixel_size_x: pixel("pixel_size", "x"),
      pixel_size_y: pixel("pixel_size", "y"),
      sample_pixel_size_x: samplePixel("x"),
      sample_pixel_size_y: samplePixel("y"),
      magnification,
      energy_keV: quantityAt(file, "/measurement/instrument/monochromator/energy", "keV"),
      source_distance: quantityAt(file, "/measurement/instrument/source/distance", "m"),
      detector_distance: quantityAt(file, `${detector}/distance`, "m") ?? quantityAt(file, "/measurement/instrument/detector_motor_stack/setup/z", "m"),
    }),
  }; // prettier-ignore
}

/** Darks and flats have no times: they are put before the first projection, at the projections' spacing. */
function withFramesBefore(times_s: Float64Array, before: number): Float64Array {
  const n = times_s.length;
  const spacing_s = n > 1 ? (times_s[n - 1]! - times_s[0]!) / (n - 1) : 1;
  const early = Array.from({ length: before }, (_, i) => times_s[0]! - (before - i) * spacing_s);
  return Float64Array.from([...early, ...times_s]);
}

/** The parts with their times, of all frames one after the other. */
function timed(parts: readonly Part[], times_s: Float64Array): Part[] {
  let at = 0;
  return parts.map((part) => ({ ...part, times_s: times_s.slice(at, (at += part.frames)) }));
}
