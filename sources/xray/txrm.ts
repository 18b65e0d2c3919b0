/**
 * Scans of Zeiss's X-ray microscopes (`.txrm`, and `.xrm` of single images): an OLE container with
 *
 *     ImageInfo/ImageWidth, ImageHeight, ImagesTaken (NoOfImages)   u32
 *              /DataType                    3 u8, 5 u16, 10 f32
 *              /Angles [deg], ExpTimes [s]  f32, by image             /Date  text, by image, month/day/year, local time
 *              /StoRADistance, DtoRADistance [mm]  f32, by image: rotation axis to source and to detector, of either sign
 *              /PixelSize [um]              f32, at the sample        /XrayGeometry  1: cone
 *     ImageData{n}/Image{k}                 k from 1, a hundred in each n
 *     ReferenceData/Image, DataType         a flat field              MultiReferenceData/Image{k}  several
 *     Alignment/X-Shifts, Y-Shifts [px]     f32, by image: so far an image is to be moved to the right and downwards
 *
 * The container holds no darks: they were taken off before it was written. Its shifts become `shift_x`, `shift_y`, which
 * say where the sample was recorded, so that their sign is the other one. Rows come as they are stored.
 *
 * There is no public description; the names are those that public readers agree on (dxchange, txrm2tiff, CIL). Tested
 * with containers of our own making, written after [MS-CFB], not with files of an instrument.
 */
import { endianness } from "node:os";
import { SourceError, type Numeric } from "../../runtime/index.ts";
import type { Numbers } from "../hdf5.ts";
import { withOle, type Ole, type ReadStream } from "./ole.ts";
import {
  assumedAngles,
  evenly,
  FLAT,
  known,
  PROJECTION,
  type Part,
  type Scan,
  type ScanOptions,
} from "./scan.ts";

const TYPES: Record<number, { type: Numeric; bytes: number }> = {
  3: { type: "u8", bytes: 1 }, 5: { type: "u16", bytes: 2 }, 10: { type: "f32", bytes: 4 },
}; // prettier-ignore

interface About {
  readonly rows: number;
  readonly cols: number;
  readonly type: Numeric;
  readonly bytes: number;
}

const SMALL = 64 << 20;
const MOST_PIXELS = 2 ** 28;

async function u32(read: ReadStream, name: string): Promise<number | undefined> {
  const bytes = await read(name, SMALL);
  return bytes && bytes.length >= 4 ? bytes.readUInt32LE(0) : undefined;
}

async function floats(read: ReadStream, name: string): Promise<Float64Array | undefined> {
  const bytes = await read(name, SMALL);
  return bytes && Float64Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i)); // prettier-ignore
}

async function about({ path }: Ole, read: ReadStream): Promise<About> {
  const [cols, rows, code] = [
    await u32(read, "ImageInfo/ImageWidth"), await u32(read, "ImageInfo/ImageHeight"), await u32(read, "ImageInfo/DataType"),
  ]; // prettier-ignore
  if (cols === undefined || rows === undefined || code === undefined) {
    throw new SourceError(`${path}: is an OLE container without ImageInfo/ImageWidth, ImageHeight and DataType, so no scan of a Zeiss microscope`); // prettier-ignore
  }
  const kind = TYPES[code];
  if (!kind) throw new SourceError(`${path}: ImageInfo/DataType is ${code}; 3 (u8), 5 (u16) and 10 (f32) are known`); // prettier-ignore
  if (rows === 0 || cols === 0 || rows * cols > MOST_PIXELS) throw new SourceError(`${path}: its images are said to be ${rows} × ${cols} pixels; it is damaged: copy it again`); // prettier-ignore
  return { rows, cols, ...kind };
}

const PROJECTIONS = "ImageData";
const REFERENCES = ["ReferenceData", "MultiReferenceData"] as const;

/** Where frame `i` of a dataset lies. */
const streamName = (dataset: string, i: number): string =>
  dataset === PROJECTIONS ? `ImageData${Math.floor(i / 100) + 1}/Image${i + 1}`
  : dataset === "ReferenceData" ? "ReferenceData/Image"
  : `MultiReferenceData/Image${i + 1}`; // prettier-ignore

export function readTxrmFrames(path: string, dataset: string, first: number, count: number): Promise<Numbers> {
  return withOle(path, async (ole, read) => {
    const image = await about(ole, read);
    const kind = dataset === PROJECTIONS ? image : { ...image, ...(await referenceKind(read, dataset, image)) };
    const size = kind.rows * kind.cols * kind.bytes;
    const out = Buffer.allocUnsafeSlow(count === 1 ? 0 : size * count);
    for (let i = first; i < first + count; i++) {
      const name = streamName(dataset, i);
      // More than the image may follow in its stream.
      const bytes = await read(name, size + 65536);
      if (!bytes) throw new SourceError(`${path}: has no ${name}; it is cut short, or the scan was ended early`);
      if (bytes.length < size) throw new SourceError(`${path}: ${name} has ${bytes.length} bytes, wanted ${size} (${kind.rows} × ${kind.cols} ${kind.type})`);
      if (count === 1) return valuesOf(bytes.subarray(0, size), kind.type);
      bytes.copy(out, (i - first) * size, 0, size);
    }
    return valuesOf(out, kind.type);
  });
} // prettier-ignore

function valuesOf(bytes: Buffer, type: Numeric): Numbers {
  const { buffer, byteOffset, length } = bytes;
  if (endianness() === "BE") {
    if (type === "u16") bytes.swap16();
    if (type === "f32") bytes.swap32();
  }
  return type === "u8" ? new Uint8Array(buffer, byteOffset, length)
    : type === "u16" ? new Uint16Array(buffer, byteOffset, length / 2)
    : new Float32Array(buffer, byteOffset, length / 4); // prettier-ignore
}

/** Type of a flat field, which may be another than the images'; single precision where it does not say. */
async function referenceKind(
  read: ReadStream,
  dataset: string,
  { rows, cols }: About,
): Promise<{ type: Numeric; bytes: number }> {
  const said = TYPES[(await u32(read, `${dataset}/DataType`)) ?? -1];
  if (said) return said;
  const length = (await read(streamName(dataset, 0), 8 * rows * cols + 65536))?.length ?? 0;
  return (length >= 4 * rows * cols ? TYPES[10] : TYPES[5])!;
}

export function openTxrmScan(path: string, options: ScanOptions): Promise<Scan> {
  return withOle(path, async (ole, read) => {
    const { rows, cols, type, bytes } = await about(ole, read);
    if ((await u32(read, "ImageInfo/AcquisitionMode")) === 10) {
      throw new SourceError(`${path}: is a reconstruction (.txm), not projections; name the .txrm that it was made from`);
    }
    const taken = await u32(read, "ImageInfo/ImagesTaken");
    const stated = await u32(read, "ImageInfo/NoOfImages");
    const said = taken || stated || 0;
    const remarks: string[] = [];
    // What is stated is believed only as far as there are images.
    let frames = 0;
    for (const name of ole.streams.keys()) {
      const k = Number(/^imagedata\d+\/image(\d+)$/.exec(name)?.[1] ?? 0);
      if (k <= said) frames = Math.max(frames, k);
    }
    if (frames === 0) throw new SourceError(`${path}: has no ImageData1/Image1; it holds no images, or is cut short`);
    if (frames < said) remarks.push(`states ${said} images, and the last there is is ${frames}`);
    else if (stated !== undefined && stated > frames) remarks.push(`was planned with ${stated} images, and ${frames} were taken`);

    const byImage = async (name: string): Promise<Float64Array | undefined> => {
      const values = await floats(read, name);
      return values && values.length >= frames ? values.slice(0, frames) : undefined;
    };
    const angles = await byImage("ImageInfo/Angles");
    if (!angles && options.angleRange_deg === 0 && !options.withoutAngles) {
      throw new SourceError(`${path}: has no angles (ImageInfo/Angles) for its ${frames} images; set angles, or angle_range such as "360 deg"`);
    }
    const dates = datesOf(await read("ImageInfo/Date", SMALL), stated ?? frames)?.slice(0, frames);
    if (dates && dates.length < frames) remarks.push(`ImageInfo/Date has ${dates.length} dates that can be read for ${frames} images; they are not used`);
    const timed = dates?.length === frames ? Float64Array.from(dates, (ms) => (ms - dates[0]!) / 1000) : undefined;
    const spacing_s = timed && frames > 1 ? timed.at(-1)! / (frames - 1) : 1;

    const shifts = {
      shift_x: (await byImage("Alignment/X-Shifts"))?.map((x) => -x || 0),
      shift_y: (await byImage("Alignment/Y-Shifts"))?.map((y) => -y || 0),
    };
    const shifted = [shifts.shift_x, shifts.shift_y].some((values) => values?.some((x) => x !== 0));
    // A flat field is where it is.
    const columnsOf = (n: number, values?: typeof shifts): Pick<Part, "columns"> =>
      shifted ? { columns: { shift_x: values?.shift_x ?? new Float64Array(n), shift_y: values?.shift_y ?? new Float64Array(n) } } : {};

    const parts: Part[] = [];
    for (const dataset of REFERENCES) {
      let n = 0;
      while (n < 10_000 && ole.streams.has(streamName(dataset, n).toLowerCase())) {
        n++;
        if (dataset === "ReferenceData") break;
      }
      if (n === 0 || parts.length > 0) continue;
      const kind = await referenceKind(read, dataset, { rows, cols, type, bytes });
      const length = ole.streams.get(streamName(dataset, 0).toLowerCase())!.size;
      if (length < rows * cols * kind.bytes) {
        remarks.push(`${streamName(dataset, 0)} has ${length} bytes, too few for ${rows} × ${cols} pixels as the images have; the flat field is left out`);
        continue;
      }
      parts.push({
        file: path, dataset, first: 0, frames: n, type: kind.type, chunk: 1,
        image_key: new Int32Array(n).fill(FLAT), rotation_angle: new Float64Array(n).fill(NaN), ...columnsOf(n),
        ...(timed && { times_s: Float64Array.from({ length: n }, (_, i) => (i - n) * spacing_s) }),
      });
    }
    const exposures = await byImage("ImageInfo/ExpTimes") ?? await floats(read, "ImageInfo/ExpTime");
    const reference_s = (await floats(read, "ReferenceData/ExpTime"))?.[0];
    if (parts.length > 0 && reference_s && exposures?.[0] && Math.abs(reference_s / exposures[0] - 1) > 0.01) {
      remarks.push(`its flat field was exposed ${reference_s} s, its images ${exposures[0]} s; the flat is handed on as it is stored`);
    }
    parts.push({
      file: path, dataset: PROJECTIONS, first: 0, frames, type, chunk: 1, image_key: new Int32Array(frames).fill(PROJECTION),
      rotation_angle: angles ?? (options.withoutAngles ? new Float64Array(frames).fill(NaN) : evenly(frames, options.angleRange_deg)), ...(timed && { times_s: timed }), ...columnsOf(frames, shifts),
    });

    const one = async (name: string): Promise<number> => (await floats(read, name))?.[0] ?? NaN;
    const source_m = Math.abs(await one("ImageInfo/StoRADistance")) / 1000;
    const detector_m = Math.abs(await one("ImageInfo/DtoRADistance")) / 1000;
    const cone = (await u32(read, "ImageInfo/XrayGeometry")) !== 0 && source_m > 0 && detector_m > 0;
    const pixel_m = (await one("ImageInfo/PixelSize")) * 1e-6;
    const energy = await one("ImageInfo/Energy");
    const positive = (x: number | undefined): number | undefined => (x !== undefined && x > 0 && x < Infinity ? Number(x.toPrecision(7)) : undefined);
    return {
      layout: "Zeiss txrm", parts, rows, cols, remarks,
      clock: {
        ...(timed && { start: new Date(dates![0]!).toISOString().slice(0, -1) }),
        ...(exposures?.[0] && exposures[0] > 0 && { exposure_s: Number(exposures[0].toPrecision(7)) }),
        written_ns: ole.written_ns,
      },
      metadata: known({
        geometry: cone ? "cone" : "parallel",
        source_distance: cone ? positive(source_m) : undefined,
        detector_distance: cone ? positive(detector_m) : undefined,
        sample_pixel_size_x: positive(pixel_m),
        sample_pixel_size_y: positive(pixel_m),
        energy_keV: positive(energy),
        source_voltage_kV: positive(await one("ImageInfo/Voltage")),
        dark_field: "taken off by the instrument",
        rotation_angles: angles || options.withoutAngles ? undefined : assumedAngles(options.angleRange_deg),
      }),
    };
  });
} // prettier-ignore

/** Dates of images, ms as if they were UTC: fields of equal length, month/day/year, a year of two digits or four. */
function datesOf(bytes: Buffer | undefined, images: number): number[] | undefined {
  if (!bytes || images === 0) return undefined;
  const length = Math.floor(bytes.length / images);
  if (length < 17) return undefined;
  const dates: number[] = [];
  for (let at = 0; at + length <= bytes.length && dates.length < images; at += length) {
    const text = bytes.toString("latin1", at, at + length);
    const [, month, day, year, hour, minute, second, fraction = "0"] =
      /^(\d\d)\/(\d\d)\/(\d{4}|\d\d)\s+(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?/.exec(text) ?? [];
    if (month === undefined) break;
    const full = year!.length === 2 ? 2000 + Number(year) : Number(year);
    const ms = Date.UTC(full, Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) + Number(`0.${fraction}`) * 1000; // prettier-ignore
    dates.push(ms);
  }
  return dates;
}
