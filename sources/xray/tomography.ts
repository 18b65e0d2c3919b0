import { resolve } from "node:path";
import {
  choice, code, defineSource, flag, image, quantity, REQUIRED, scalar, SourceError, text,
  type Columns, type ConfigOf, type Fault, type Field, type Fields, type Numeric, type Schema, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { anglesFor, withFields, withGeometryFile } from "./scan-additions.ts";
import { clockOf, type FrameClock } from "./frame-clock.ts";
import { formatOf } from "./frame-files.ts";
import { commonType, rowsOf } from "./frame-rows.ts";
import { frameFormat, isMany } from "./frame-series.ts";
import { withGeometry } from "./geometry.ts";
import { openHdf5Scan } from "./hdf5-scan.ts";
import { hdf5At } from "../hdf5.ts";
import { openImageScan } from "./image-scan.ts";
import { DARK, FLAT, PROJECTION, type Part, type Scan, type ScanOptions } from "./scan.ts";
import { openTxrmScan } from "./txrm.ts";

export { readFrame } from "./frame-files.ts";

const CONFIG = {
  path: text(REQUIRED, {
    doc:
      "a file (HDF5, TIFF stack, .npy, Zeiss .txrm), or a folder of TIFF images, or several by * and ? in their name; " +
      "relative to the pipeline file",
  }),
  already: choice(["counts", "transmission", "line-integral"], "counts", {
    doc: "what the file holds: detector counts, or projections that were flat-fielded (transmission) and logged (line-integral)",
  }),
  rate: quantity("Hz", 0, { min: 0, doc: "frames a second, where the file has no times; 0: one an exposure, or one a second" }),
  angles: text("", {
    doc: "list of the projections' angles, in place of the file's: text, one a line, in degrees, or an .npy; by default angles.txt, .csv, .npy or a .rot beside the images",
  }),
  angle_step: quantity("deg", 0, { doc: "of images: between neighbouring projections, by the numbers in their names" }),
  angle_range: quantity("deg", 0, { doc: "where the file has no angles: its projections are evenly spaced over this range, end left out" }),
  without_angles: flag(false, { doc: "another stream has the angles: frames come with the angle NaN" }),
  darks: text("", { doc: "dark fields that were taken before: a file, a folder or a pattern" }),
  flats: text("", { doc: "flat fields that were taken before" }),
  flats_after: text("", { doc: "flat fields that were taken after the projections" }),
  geometry_file: text("", {
    doc: "text of key = value lines, such as SkyScan's .log; by default geometry.txt, a .geo or a .log beside the images",
  }),
  geometry: choice(["as-recorded", "parallel", "fan", "cone"], "as-recorded", { doc: "of the beam, in place of what the file says; a file that says nothing is parallel" }),
  source_distance: quantity("m", NaN, { min: 1e-9, doc: "source to rotation axis, in place of the file's" }),
  detector_distance: quantity("m", NaN, { min: 0, doc: "rotation axis to detector, in place of the file's" }),
  pixel_size: quantity("m", NaN, { min: 1e-12, doc: "of the detector, in place of the file's; such as 6.5 um" }),
  magnification: quantity("1", NaN, { min: 1e-6, doc: "pixel of the detector over pixel at the sample, in place of what the distances make" }),
  counter: text("", { doc: "of a growing HDF5 file: dataset that counts the frames that are written" }),
  follow: flag(false, { doc: "goes on waiting for frames that are still being taken: a growing HDF5 file, new TIFF files of a folder" }),
  poll_every: quantity("s", 1, { min: 0.001, doc: "how often `follow` looks; an image file is read once it has stopped growing" }),
  ends_after: quantity("s", Infinity, { min: 0, doc: "`follow` ends when nothing has come for so long" }),
} as const; // prettier-ignore
type Config = ConfigOf<typeof CONFIG>;

/**
 * A tomography scan: one frame a row, in the type it is stored in (double precision becomes single), with its angle
 * and what kind of frame it is. Formats, told by content: HDF5 as Data Exchange or NeXus NXtomo, TIFF images (a folder,
 * a pattern, or one file of many pages), NumPy's `.npy` (frames × rows × columns, or × columns of one row), Zeiss
 * `.txrm`. Data Exchange comes as darks, flats, projections; NXtomo in the order that it was taken in; the others as
 * `darks`, `flats`, projections, `flats_after`.
 *
 * Time: the file's times of frames, where it has any; of a folder of images when each was written; else its start and
 * one frame after the other, every 1 / `rate`, else every exposure, else every second (a fault says so). A file without
 * a start was written when it was written: its last frame is put there, and `time_basis` says "first seen".
 *
 * A file that was corrected already has no counts: `already` says what it holds, and the projections come out of
 * `projections` then, with no frames beside them. Its values are handed on as stored; of line integrals the column's
 * `quantity` tells readers not to take the logarithm again.
 *
 * What the pipeline says of the geometry stands over what the file says, and `overridden` in the metadata names it.
 */
export const tomography = defineSource({
  name: "xray/tomography",
  doc: "Reads a tomography scan: HDF5 (Data Exchange, NeXus NXtomo), TIFF images, .npy, Zeiss .txrm",
  output: {
    frames: {
      data: image("{count}"),
      rotation_angle: scalar("deg"),
      image_key: code({ codes: { 0: "projection", 1: "flat", 2: "dark", 3: "invalid" } }),
    },
    projections: { data: image("1"), rotation_angle: scalar("deg") },
  },
  gives: ({ already }) => [already === "counts" ? "frames" : "projections"],
  config: CONFIG,
  claims: (head) => hdf5At(head) !== undefined || formatOf(head) !== "hdf5",
  open: (config, context) => framesOf(config, context),
});

const PER_FRAME = {
  shift_x: scalar("{px}", {
    doc: "so far to the right the sample was recorded, against its place in the scan",
  }),
  shift_y: scalar("{px}", { doc: "so far downwards" }),
  beam_monitor: scalar("1", { doc: "counts of the beam while the frame was taken" }),
} as const;

async function* framesOf(config: Config, context: SourceContext): AsyncGenerator<SourceItem> {
  const scan = await openScan(config, context);
  const clock = clockOf(scan, config.rate, context);
  const counts = config.already === "counts";
  const port = counts ? "frames" : "projections";
  const type = commonType(scan.parts);

  const faults = [...scan.remarks, ...clock.remarks, ...remarksOn(scan, counts)];
  yield {
    schema: { [port]: schemaOf(scan, clock, config, type) },
    faults: faults.map((what): Fault => ({ time: clock.start, what: `${config.path}: ${what}` })),
  };

  const columnsOf = (part: Part, from: number, to: number): Omit<Columns, "time"> => ({
    rotation_angle: part.rotation_angle.slice(from, to),
    ...(counts && { image_key: part.image_key.slice(from, to) }),
    ...Object.fromEntries(
      Object.entries(part.columns ?? {}).map(([name, values]) => [name, values.slice(from, to)]),
    ),
  });
  const wanted = (part: Part, i: number): boolean => counts || part.image_key[i] === PROJECTION;
  yield* rowsOf(scan, clock, { port, type, columnsOf, wanted, signal: context.signal });
}

async function openScan(config: Config, { directory, signal }: SourceContext): Promise<Scan> {
  const { follow, poll_every, ends_after, angles, counter, geometry_file } = config;
  const path = resolve(directory, config.path);
  const format = (await isMany(config.path, directory)) ? undefined : ((await frameFormat(path)) ?? "hdf5");
  // Angles from a list replace the file's, so that the file need not have any.
  const listed = angles !== "" && format !== undefined && format !== "tiff" && format !== "npy";
  if (format === "ole" && follow) {
    throw new SourceError(
      `${config.path}: is whole when it is written, so there is nothing to follow; leave follow out`,
    );
  }
  if ((format === "ole" || format === "hdf5") && config.angle_step !== 0) {
    throw new SourceError(
      `${config.path}: angle_step is for plain images; give a list (angles), or angle_range where the file has no angles`,
    );
  }
  const options: ScanOptions = {
    angleRange_deg: config.angle_range, angleStep_deg: config.angle_step, signal,
    ...(angles !== "" && { anglesFile: angles }),
    ...(geometry_file !== "" && { geometryFile: geometry_file }),
    ...((config.without_angles || listed) && { withoutAngles: true }),
    ...(counter !== "" && { counter }),
    ...(follow && { follow: { every_s: poll_every, endsAfter_s: ends_after } }),
  }; // prettier-ignore
  let scan = format === "hdf5" ? await openHdf5Scan(path, options)
    : format === "ole" ? await openTxrmScan(path, options)
    : await openImageScan(config.path, directory, options); // prettier-ignore
  if (listed) scan = await anglesFor(scan, resolve(directory, angles));
  if (geometry_file !== "" && (format === "ole" || format === "hdf5")) {
    scan = await withGeometryFile(scan, resolve(directory, geometry_file));
  }
  scan = await withFields(scan, config, directory);
  const { metadata, remarks } = withGeometry(scan.metadata, config);
  return { ...scan, metadata, remarks: [...scan.remarks, ...remarks] };
}

function schemaOf(scan: Scan, clock: FrameClock, { already }: Config, type: Numeric): Schema {
  const { frames, projections } = tomography.output;
  const shape = [scan.rows, scan.cols];
  const data: Field =
    already === "counts" ? { ...frames.data, type, shape }
    : { ...projections.data, type, shape, quantity: already === "transmission" ? "transmission" : "line integral" }; // prettier-ignore
  const perFrame: Fields = Object.fromEntries(
    Object.keys(scan.parts[0]?.columns ?? {}).map((name) => [
      name,
      PER_FRAME[name as keyof typeof PER_FRAME],
    ]),
  );
  const count = (key: number): number =>
    scan.parts.reduce((n, { image_key }) => n + image_key.filter((k) => k === key).length, 0);
  const metadata: Record<string, string> = {
    layout: scan.layout,
    ...scan.metadata,
    // Of a scan that is still being taken nobody knows how many there will be.
    ...(!scan.growth && {
      projections: String(count(PROJECTION)),
      flats: String(count(FLAT)),
      darks: String(count(DARK)),
    }),
    time_basis: clock.basis,
    frame_times: clock.spacing,
    ...(clock.written && { start_time: clock.written }),
  };
  return already === "counts"
    ? { fields: { ...frames, data, ...perFrame }, metadata }
    : { fields: { ...projections, data, ...perFrame }, metadata };
}

function remarksOn(scan: Scan, counts: boolean): string[] {
  const has = (key: number): boolean => scan.parts.some(({ image_key }) => image_key.includes(key));
  const remarks: string[] = [];
  if (scan.growth) return remarks;
  if (!has(PROJECTION)) remarks.push("has no projections, only flats and darks");
  if (counts && has(PROJECTION)) {
    // Where the instrument took them off, there are no darks to have.
    const offset = scan.metadata["dark_field"];
    if (offset && has(FLAT) && !has(DARK)) {
      remarks.push(`its dark field was ${offset}, so give tomography/flat-field the option dark: 0`);
    }
    const missing = [!has(FLAT) && "flat", !has(DARK) && !offset && "dark"].filter(Boolean).join(" and no ");
    if (missing) {
      remarks.push(
        `has no ${missing} field, so its counts cannot become transmission; if it was corrected already, set already: ` +
          "transmission (or line-integral, where -log was taken too) and read `projections` in place of `frames`",
      );
    }
  }
  if (!counts && (has(FLAT) || has(DARK))) {
    remarks.push(
      "has flats or darks, though its projections are said to be corrected already; they are left out",
    );
  }
  return remarks;
}
