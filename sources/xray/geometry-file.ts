/**
 * What lies beside the images of a laboratory instrument: a list of angles, and a text file of `key = value` lines with
 * its geometry, such as the `.log` that SkyScan writes. Lengths become metres.
 */
import { readFile } from "node:fs/promises";
import { convert, parseQuantity, SourceError } from "../../runtime/index.ts";
import { isNpy, npyNumbers } from "./npy.ts";

const LARGEST = 16 << 20;

async function textFile(path: string, what: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: the ${what} cannot be read: ${cause.code === "ENOENT" ? "there is no such file" : cause.message}`, { cause }); // prettier-ignore
  });
  if (bytes.length > LARGEST) throw new SourceError(`${path}: has ${bytes.length} bytes; a ${what} has less than ${LARGEST}`); // prettier-ignore
  return bytes;
}

/**
 * Angles [deg], one a line; `#` begins a comment. In radians where a comment or heading says "rad". With several
 * columns the one is taken whose heading says angle, theta or rotation. Or a one-dimensional `.npy`, in degrees.
 */
export async function readAngles(path: string): Promise<Float64Array> {
  const bytes = await textFile(path, "list of angles");
  if (isNpy(bytes)) {
    const { shape, values } = await npyNumbers(path);
    if (shape.filter((n) => n !== 1).length > 1) throw new SourceError(`${path}: has the shape ${shape.join(" × ")}; wanted a list of angles`); // prettier-ignore
    return values;
  }
  const angles: number[] = [];
  let radians = false;
  let column = -1;
  for (const [i, line] of bytes.toString("utf8").replace(/^\uFEFF/, "").split(/\r\n|\r|\n/).entries()) {
    const [said = "", ...comment] = line.split("#");
    radians ||= comment.some(sayRadians);
    const cells = said.trim().split(/\s*[,;\t]\s*|\s+/);
    if (said.trim() === "") continue;
    const numbers = cells.map(numberFrom);
    if (angles.length === 0 && numbers.every(Number.isNaN) && !/^nan$/i.test(cells[0]!)) {
      // A heading.
      radians ||= sayRadians(said);
      const named = said.trim().split(/\s*[,;\t]\s*/);
      column = named.length > 1 ? named.findIndex((name) => /angle|theta|rotation/i.test(name)) : -1;
      continue;
    }
    const at = cells.length === 1 ? 0 : column;
    if (at < 0 || at >= cells.length || (Number.isNaN(numbers[at]) && !/^nan$/i.test(cells[at]!))) {
      throw new SourceError(
        `${path}: line ${i + 1} is "${line.trim().slice(0, 60)}"; wanted one angle, such as 0.25` +
          (cells.length > 1 ? ", or a heading that says which column is the angle" : ""),
      );
    }
    angles.push(numbers[at]!);
  }
  if (angles.length === 0) throw new SourceError(`${path}: holds no angles; wanted one a line, in degrees`);
  return Float64Array.from(angles, (angle) => (radians ? (angle * 180) / Math.PI : angle));
} // prettier-ignore

const sayRadians = (text: string): boolean => /\brad(ians?)?\b|_rad\b/i.test(text);
const numberFrom = (cell: string): number => (cell === "" ? NaN : Number(cell));

/** What a geometry file says, as far as it is known here. */
export interface GeometryFile {
  /** As stream metadata name it. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly angle_step_deg?: number;
  readonly angle_start_deg?: number;
  readonly exposure_s?: number;
  readonly remarks: readonly string[];
}

type Meaning =
  | "source_distance" | "detector_distance" | "source_to_detector" | "sample_pixel_size" | "sample_pixel_size_x"
  | "sample_pixel_size_y" | "pixel_size" | "pixel_size_x" | "pixel_size_y" | "camera_pixel_size" | "angle_step"
  | "angle_start" | "exposure" | "energy_keV" | "source_voltage_kV" | "source_current_uA"; // prettier-ignore

const UNITS: Record<Meaning, string> = {
  source_distance: "m", detector_distance: "m", source_to_detector: "m", sample_pixel_size: "m", sample_pixel_size_x: "m",
  sample_pixel_size_y: "m", pixel_size: "m", pixel_size_x: "m", pixel_size_y: "m", camera_pixel_size: "m",
  angle_step: "deg", angle_start: "deg", exposure: "s", energy_keV: "keV", source_voltage_kV: "kV", source_current_uA: "uA",
}; // prettier-ignore

/** Names by which instruments call it, in snake_case and without their unit. */
const NAMES: Record<string, Meaning> = {
  object_to_source: "source_distance", source_to_object: "source_distance", sod: "source_distance",
  source_object_distance: "source_distance", source_sample_distance: "source_distance",
  object_to_detector: "detector_distance", object_detector_distance: "detector_distance", odd: "detector_distance",
  sample_detector_distance: "detector_distance", camera_to_source: "source_to_detector",
  source_to_detector: "source_to_detector", source_detector_distance: "source_to_detector", sdd: "source_to_detector",
  image_pixel_size: "sample_pixel_size", voxel_size: "sample_pixel_size", rotation_step: "angle_step",
  scanning_start_angle: "angle_start", start_angle: "angle_start", exposure_time: "exposure", energy: "energy_keV",
  source_voltage: "source_voltage_kV", voltage: "source_voltage_kV", source_current: "source_current_uA",
  ...Object.fromEntries(Object.keys(UNITS).map((name) => [name, name as Meaning])),
}; // prettier-ignore

/** Names of plain numbers and texts. */
const PLAIN: Record<string, string> = {
  geometry: "geometry", magnification: "magnification", optical_axis: "optical_axis_row", rotation_axis: "rotation_axis",
  scanner: "instrument", instrument: "instrument", sample: "sample", filter: "filter",
}; // prettier-ignore

/** Reads `key = value` and `key: value` lines; `[sections]`, comments and keys that nobody knows are passed over. */
export async function readGeometryFile(path: string): Promise<GeometryFile> {
  const bytes = await textFile(path, "geometry file");
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  const known = new Map<Meaning, number>();
  const metadata: Record<string, string> = {};
  const remarks: string[] = [];
  for (const [i, line] of bytes.toString(utf16 ? "utf16le" : "latin1").split(/\r\n|\r|\n/).entries()) {
    const [, written, value] = /^\s*([^#;[=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (written === undefined || value === undefined || value === "") continue;
    const [, key, inKey] = /^(.*?)\s*(?:[([]([^)\]]*)[)\]])?$/.exec(written)!;
    const name = key!.trim().toLowerCase().replace(/[\s-]+/g, "_");
    const suffixed = /^(.*)_(mm|um|m|cm|nm|deg|rad|ms|s|kev)$/.exec(name);
    const meaning = NAMES[name] ?? (suffixed ? NAMES[suffixed[1]!] : undefined);
    const plain = PLAIN[name];
    if (meaning) {
      const unit = inKey ?? (NAMES[name] ? undefined : suffixed?.[2]);
      const number = quantityOf(value, unit, UNITS[meaning]);
      if (number === undefined) {
        remarks.push(`${path}: line ${i + 1}, ${written} = ${value}: wanted a number with its unit, such as ${written.replace(/\s*\(.*/, "")} (mm) = 54.3; it is not used`);
      } else known.set(meaning, number);
    } else if (plain === "geometry") {
      const geometry = /parallel|fan|cone/i.exec(value)?.[0].toLowerCase();
      if (geometry) metadata["geometry"] = geometry;
      else remarks.push(`${path}: line ${i + 1}, geometry = ${value}: wanted parallel, fan or cone; it is not used`);
    } else if (plain) metadata[plain] = value;
    else if (name === "flat_field_correction" && /^on/i.test(value)) {
      metadata["flat_field_correction"] = "on";
    }
  }
  const put = (name: string, number: number | undefined): void => {
    if (number !== undefined) metadata[name] = String(number);
  };
  const source = known.get("source_distance");
  const whole = known.get("source_to_detector");
  put("source_distance", source);
  if (known.has("detector_distance")) put("detector_distance", known.get("detector_distance"));
  else if (source !== undefined && whole !== undefined) {
    if (whole > source) put("detector_distance", Number((whole - source).toPrecision(12)));
    else remarks.push(`${path}: the detector is ${whole} m from the source, and the sample ${source} m; wanted it between them`);
  }
  // A source that close makes a cone, whatever else is said of it.
  if (source !== undefined && whole !== undefined && !metadata["geometry"]) metadata["geometry"] = "cone";
  for (const axis of ["x", "y"] as const) {
    put(`sample_pixel_size_${axis}`, known.get(`sample_pixel_size_${axis}`) ?? known.get("sample_pixel_size"));
    put(`pixel_size_${axis}`, known.get(`pixel_size_${axis}`) ?? known.get("pixel_size"));
  }
  for (const name of ["camera_pixel_size", "energy_keV", "source_voltage_kV", "source_current_uA"] as const) put(name, known.get(name));
  const [step, start, exposure_s] = [known.get("angle_step"), known.get("angle_start"), known.get("exposure")];
  return {
    metadata, remarks,
    ...(step !== undefined && { angle_step_deg: step }),
    ...(start !== undefined && { angle_start_deg: start }),
    ...(exposure_s !== undefined && { exposure_s }),
  };
} // prettier-ignore

function quantityOf(value: string, unit: string | undefined, wanted: string): number | undefined {
  const bare = Number(value);
  try {
    if (Number.isFinite(bare)) return unit === undefined ? undefined : Number(convert(bare, unit.replace("µ", "u"), wanted).toPrecision(12)); // prettier-ignore
    return parseQuantity(value.replace("µ", "u"), wanted);
  } catch {
    return undefined;
  }
}
