/**
 * Bruker (Veeco, Digital Instruments) NanoScope files: images, single ramps, force volumes, PeakForce captures.
 *
 * A header of text (nanoscope-header.ts), padded, then blocks of little-endian integers. Of an image:
 *
 *     value = raw × hard value / 2^(8 × Bytes/pixel) × sensitivity
 *
 * by the hard *value* behind the brackets, not by the hard scale in them, which may be ten times larger. From
 * version 0x09200000 on a sample takes 4 bytes, and `Bytes/pixel` is for the formula alone.
 *
 * The lowest line, of the smallest y, is stored first, whichever way the frame was scanned; lines run along x from the
 * smallest x in retrace as in trace, as NanoScope shows them (no sample of ours holds both directions of one line).
 * `Date` is taken for the end of the frame, when the file was captured; a frame takes its lines / scan rate.
 * Lines of a frame that was captured before its end hold one value all along: they are NaN.
 *
 * What is in a logarithmic or an arbitrary unit has no stream.
 */
import { SourceError } from "../../runtime/index.ts";
import {
  DOWN, IMAGE_PORTS, RETRACE, TRACE, UNKNOWN_SCAN, UP,
  type AfmFile, type CurveSet, type Format, type ImageChannel, type ImageFrame, type ImagePort, type ImageSet, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { openBytes, type Bytes } from "../bytes.ts";
import { openNanoscopeCurves } from "./nanoscope-curves.ts";
import {
  looksLikeNanoscope, numbersOf, readHeader, scaleOf, secondsAt, sensitivityOf, sizeOf,
  type Header, type HeaderSection,
} from "./nanoscope-header.ts"; // prettier-ignore
import { clockOf, whenOf } from "./wall-clock.ts";

const FOUR_BYTES_FROM = 0x09200000;

export const nanoscope: Format = {
  name: "Bruker NanoScope files",
  looks: looksLikeNanoscope,
  async open(path, zoned) {
    const bytes = await openBytes(path);
    try {
      return await read(bytes, zoned);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  },
};

async function read(bytes: Bytes, zoned: Zoned): Promise<AfmFile> {
  const { path } = bytes;
  const header = await readHeader(bytes);
  const warnings: string[] = [];
  const captured = timeOf(header, zoned, warnings);
  const sampleBytes = header.version >= FOUR_BYTES_FROM ? 4 : 2;
  const images = readImages(bytes, header, sampleBytes, captured, warnings);
  const forces = header.sections(/^ciao force image list$/i);
  let curves: CurveSet | undefined;
  if (forces.length > 0) {
    try {
      curves = await openNanoscopeCurves({ bytes, header, forces, sampleBytes, captured, warnings });
    } catch (error) {
      if (!(error instanceof SourceError) || !images) throw error;
      warnings.push(`${error.message.replace(`${path}: `, "")}; its curves are left out`);
    }
  }
  if (!images && !curves) {
    const why = warnings.length > 0 ? `; ${warnings.join("; ")}` : "";
    const old = header.sections(/^(ncafm )?image list$/i).length > 0;
    throw new SourceError(
      old
        ? `${path}: was written by NanoScope ${header.versionText}, whose header has no scale with its unit; known is 4.3 and later: save it anew by a newer program`
        : `${path}: holds no image and no force curve (no section "Ciao image list" or "Ciao force image list" that can be read)${why}`,
    );
  }
  const { section } = header;
  const kind = !curves ? "image" : curves.expected === 1 ? "force curve" : section(/^ciao scan list$/i).get("operating mode") === "Image" ? "PeakForce capture" : "force volume"; // prettier-ignore
  const equipment = section(/^equipment list$/i);
  return {
    path,
    format: `NanoScope ${kind}, version ${header.versionText || "unknown"}`,
    instrument: equipment.get("description") || equipment.get("microscope") || "",
    software: header.versionText && `NanoScope ${header.versionText}`,
    start: await startOf(captured, curves, images),
    warnings,
    ...(curves && { curves }),
    ...(images && { images }),
    close: () => bytes.close(),
  };
}

/** `Date` less what the frame or the map took, where that is known. */
async function startOf(
  captured: When | undefined,
  curves: CurveSet | undefined,
  images: Images | undefined,
): Promise<When | undefined> {
  const first = curves && (await curves.timeOf(curves.numbers[0]!));
  if (curves || !captured) return first ?? captured;
  const duration_s = images?.duration_s ?? NaN;
  return duration_s > 0 ? { ...captured, ns: captured.ns - BigInt(Math.round(duration_s * 1e9)) } : captured;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** "10:05:18 AM Fri Sep 04 2020". */
function timeOf(header: Header, zoned: Zoned, warnings: string[]): When | undefined {
  const text = header.section(/./).get("date") ?? "";
  const match = /^([\d:]+ [AP]M) (?:[A-Za-z]{3} )?([A-Za-z]{3}) (\d{1,2}) (\d{4})$/.exec(text);
  const month = MONTHS.indexOf(match?.[2]?.toLowerCase() ?? "") + 1;
  const date = match && `${match[4]}-${String(month).padStart(2, "0")}-${match[3]!.padStart(2, "0")}`;
  const when = date && whenOf(date, clockOf(match[1]!) ?? "", zoned);
  if (!when)
    warnings.push(
      `Date "${text}" is not a time such as 10:05:18 AM Fri Sep 04 2020, so that of the file on disk counts`,
    );
  return when || undefined;
}

interface Image extends ImageChannel {
  readonly at: number;
  readonly sampleBytes: 2 | 4;
  readonly scale: number;
  readonly missingLines: boolean;
}

interface Images extends ImageSet {
  readonly duration_s: number;
}

function readImages(
  bytes: Bytes,
  header: Header,
  usualBytes: 2 | 4,
  captured: When | undefined,
  warnings: string[],
): Images | undefined {
  const sections = header.sections(/^ciao image list$/i);
  const channels: Image[] = [];
  let first: HeaderSection | undefined;
  for (const [i, section] of sections.entries()) {
    const channel = imageOf(section, header, usualBytes, `image ${i + 1} of ${sections.length}`, warnings);
    if (!channel) continue;
    channels.push(channel);
    first ??= section;
  }
  if (!first) return undefined;
  const scan = header.section(/^ciao scan list$/i);
  const { sizeX_m, sizeY_m } = sizeOf(first, scan);
  // Of a force volume the scan rate says nothing: its lines wait for the ramps.
  const isVolume = scan.get("operating mode") === "Force Volume";
  const duration_s = isVolume ? NaN : secondsAt(channels[0]!.rows, scan.number("scan rate"));
  const direction = first.get("frame direction")?.toLowerCase();
  const frame: ImageFrame = {
    end: captured,
    duration_s,
    slowScan: direction === "up" ? UP : direction === "down" ? DOWN : UNKNOWN_SCAN,
    centerX_m: scan.length_m("x offset"),
    centerY_m: scan.length_m("y offset"),
    angle_deg: scan.number("rotate ang."),
  };
  return {
    frames: 1,
    sizeX_m,
    sizeY_m,
    duration_s,
    channels,
    frame: async () => frame,
    async read(number) {
      const channel = channels[number]!;
      const { rows, columns, at, sampleBytes, scale } = channel;
      const raw = await bytes.read(at, rows * columns * sampleBytes, `image ${channel.name}`);
      const data = new Float32Array(rows * columns);
      for (let i = 0; i < data.length; i++)
        data[i] = (sampleBytes === 2 ? raw.readInt16LE(i * 2) : raw.readInt32LE(i * 4)) * scale;
      if (channel.missingLines) blankFlatLines(data, columns);
      return data;
    },
  };
}

function blankFlatLines(data: Float32Array, columns: number): void {
  for (let at = 0; at < data.length; at += columns) {
    const line = data.subarray(at, at + columns);
    if (line.every((value) => value === line[0])) line.fill(NaN);
  }
}

/** What is said of one image, or a warning why it cannot be read. */
function imageOf(
  section: HeaderSection,
  header: Header,
  usualBytes: 2 | 4,
  where: string,
  warnings: string[],
): Image | undefined {
  const { inner, shown } = section.selection("image data") ?? { inner: "", shown: "" };
  const name = shown || inner;
  const label = `${where}${name && ` (${name})`}`;
  const [columns = NaN] = numbersOf(section.get("samps/line"));
  const rows = section.number("number of lines");
  const [at, length, nominalBytes] = ["data offset", "data length", "bytes/pixel"].map((key) => section.number(key)) as [number, number, number]; // prettier-ignore
  const sampleBytes = length / (rows * columns);
  const sized = [rows, columns].every((n) => Number.isInteger(n) && n > 0) && at > 0 && Number.isInteger(at);
  if (!sized || (sampleBytes !== 2 && sampleBytes !== 4)) {
    warnings.push(`${label} is left out: ${columns} × ${rows} samples in ${length} bytes from byte ${at} are not 2 or 4 bytes each; its header is damaged`); // prettier-ignore
    return undefined;
  }
  if (nominalBytes !== 2 && nominalBytes !== 4) {
    warnings.push(`${label} is left out: Bytes/pixel is ${section.get("bytes/pixel") ?? "missing"}, wanted 2 or 4; its header is damaged`); // prettier-ignore
    return undefined;
  }
  if (sampleBytes !== usualBytes)
    warnings.push(`${label} has ${sampleBytes} bytes a sample, where version ${header.versionText} has ${usualBytes}; its own length counts`); // prettier-ignore
  const z = section.value("z scale");
  if (!z || !Number.isFinite(z.value) || z.value === 0) {
    warnings.push(`${label} is left out: its Z scale "${section.get("z scale") ?? "missing"}" is none`);
    return undefined;
  }
  const sensitivity = sensitivityOf(header, section, z.softScale);
  if (z.softScale && !sensitivity) {
    warnings.push(`${label} is left out: its scale is by [${z.softScale}], which the header does not have`);
    return undefined;
  }
  const { factor, base } = scaleOf(z.unit, sensitivity);
  const [port, rank] = portOf(inner, shown, base);
  const valid = section.number("valid data len y");
  const missingLines = valid > 0 && valid < rows;
  if (missingLines)
    warnings.push(`${label} has ${valid} lines of ${rows}: lines that are flat to the last digit are NaN`);
  return {
    name,
    port,
    unit: port ? IMAGE_PORTS[port][0] : base || sensitivity?.unit || z.unit,
    direction: /^retrace$/i.test(section.get("line direction") ?? "") ? RETRACE : TRACE,
    // What was measured on the surface goes before what was measured above it.
    rank: rank - (/^(interleave|lift)/i.test(section.get("scan line") ?? "") ? 10 : 0),
    rows,
    columns,
    at,
    sampleBytes,
    scale: (z.value / 2 ** (8 * nominalBytes)) * factor,
    missingLines,
  };
}

/** Channels by their names without spaces; of two for one stream the higher rank is taken. */
const CHANNELS: readonly (readonly [name: RegExp, port: ImagePort, rank: number])[] = [
  [/^(zsensor|heightsensor)$/, "topography", 1],
  [/^height$/, "topography", 0],
  [/^amplitude1?$/, "amplitude", 0],
  [/^amplitude1?$/, "amplitude_volt", 0],
  [/^phase1?$/, "phase", 0],
  [/^(frequency|freq\.?1?)$/, "frequency", 0],
  [/^deflection(error)?$/, "deflection", 0],
  [/^deflection(error)?$/, "deflection_volt", 0],
  [/^friction$/, "friction", 0],
  [/^(tuna|c-?afm)?current$/, "current", 2],
  [/^contactcurrent$/, "current", 1],
  [/^peakcurrent$/, "current", 0],
  [/^potential(\(hv\))?$/, "potential", 0],
  [/^(dmt|sneddon|youngs?)?modulus$/, "modulus", 0],
  [/^adhesion$/, "adhesion", 0],
  [/^deformation$/, "deformation", 0],
  [/^dissipation$/, "dissipation", 0],
  [/^stiffness$/, "stiffness", 0],
];

function portOf(inner: string, shown: string, base: string): readonly [ImagePort | undefined, number] {
  const names = [shown, inner].map((name) => name.toLowerCase().replace(/\s/g, ""));
  for (const [pattern, port, rank] of CHANNELS)
    if (IMAGE_PORTS[port][0] === base && names.some((name) => pattern.test(name))) return [port, rank];
  return [undefined, 0];
}
