import { SourceError } from "../../runtime/index.ts";
import { attribute, isDataset, numbers, textOf, type Hdf5 } from "./hdf5.ts";
import {
  anglesOf, DARK, evenly, FLAT, frameDataset, known, PROJECTION, quantityAt, textAt, type Part, type Scan,
} from "./scan.ts"; // prettier-ignore

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

export function readDataExchange(file: Hdf5, angleRange_deg: number): Scan {
  const axes = textOf(attribute(file.find("/exchange/data")!, "axes"));
  if (axes && /:/.test(axes) && !axes.startsWith("theta")) {
    throw new SourceError(`${file.path}: /exchange/data has its axes as ${axes}; wanted theta:y:x. Write it again with frames first`); // prettier-ignore
  }
  const data = frameDataset(file, "/exchange/data");
  const [frames, rows, cols] = data.shape;
  const parts: Part[] = [];
  for (const [dataset, key] of [
    ["/exchange/data_dark", DARK],
    ["/exchange/data_white", FLAT],
  ] as const) {
    if (!isDataset(file.find(dataset))) continue;
    const { shape: [n, r, c], type, chunk } = frameDataset(file, dataset); // prettier-ignore
    if (n === 0) continue;
    if (r !== rows || c !== cols) {
      throw new SourceError(`${file.path}: ${dataset} has frames of ${r} × ${c}, /exchange/data of ${rows} × ${cols}; record them at the same binning`); // prettier-ignore
    }
    parts.push({ dataset, frames: n, type, chunk, image_key: new Int32Array(n).fill(key), rotation_angle: new Float64Array(n).fill(NaN) }); // prettier-ignore
  }

  const remarks: string[] = [];
  const theta = anglesOf(file, "/exchange/theta");
  let angles: string | undefined;
  if (theta && theta.length !== frames) {
    throw new SourceError(`${file.path}: /exchange/theta has ${theta.length} angles, /exchange/data has ${frames} frames; wanted as many`); // prettier-ignore
  }
  if (!theta && angleRange_deg === 0) {
    throw new SourceError(`${file.path}: has no /exchange/theta; set angle_range, such as "180 deg", if its ${frames} frames are evenly spaced`); // prettier-ignore
  }
  if (!theta) angles = `assumed: evenly spaced over ${angleRange_deg} deg (option angle_range), end left out`;
  const before = parts.reduce((n, part) => n + part.frames, 0);
  parts.push({
    dataset: "/exchange/data", frames, type: data.type, chunk: data.chunk,
    image_key: new Int32Array(frames).fill(PROJECTION), rotation_angle: theta ?? evenly(frames, angleRange_deg),
  }); // prettier-ignore

  const detector = "/measurement/instrument/detector";
  const start = ["/process/acquisition/start_date", "/measurement/start_date", "/file_creation_datetime"]
    .map((name) => textAt(file, name))
    .find(Boolean);
  const exposure_s = quantityAt(file, `${detector}/exposure_time`, "s");
  const time = file.find("/exchange/time");
  const times_s = isDataset(time) ? numbers(time) : undefined;
  if (times_s && times_s.length !== frames) {
    remarks.push(`/exchange/time has ${times_s.length} times for ${frames} frames; they are not used`);
  }
  return {
    layout: "Data Exchange", parts, rows, cols, remarks,
    clock: {
      ...(start && { start }),
      ...(exposure_s && { exposure_s }),
      ...(times_s?.length === frames && { times_s: withFramesBefore(times_s, before) }),
    },
    metadata: known({
      sample: textAt(file, "/measurement/sample/name"),
      title: textAt(file, "/exchange/title"),
      rotation_angles: angles,
      pixel_size_x: quantityAt(file, `${detector}/pixel_size_x`, "m") ?? quantityAt(file, `${detector}/pixel_size`, "m"),
      pixel_size_y: quantityAt(file, `${detector}/pixel_size_y`, "m") ?? quantityAt(file, `${detector}/pixel_size`, "m"),
      energy_keV: quantityAt(file, "/measurement/instrument/monochromator/energy", "keV"),
      distance: quantityAt(file, `${detector}/distance`, "m"),
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
