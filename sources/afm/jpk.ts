/**
 * JPK force files: `.jpk-force` and `.jpk-qi-series` (one curve), `.jpk-force-map` and `.jpk-qi-data` (one curve a
 * pixel).
 *
 * A ZIP archive of Java properties and big-endian channels without a header. What a channel holds is reached by
 * a chain of linear steps, each `value × multiplier + offset` (jpk-slots.ts):
 *
 *     raw integer → volts → distance [m] → force [N]      vDeflection: s [m/V], then k [N/m]
 *     raw integer → volts or metres → … → height [m]      measured height (sensor), else height (piezo)
 *
 * Height decreases towards the sample, force increases on contact. A segment's `time-stamp` is when it *ended*: two
 * stamps lie one duration of the later segment apart (so in all our samples, whose segments differ in duration). A
 * curve's time is the end of its last segment. A curve is all its segments, whatever their number, order and style.
 *
 * Where the file says the same thing twice, both are compared, and a difference is a warning: bytes and points
 * of each channel, segments, the trigger's setpoint and the deflection reached, and its sign.
 *
 * Layout read from files of versions 0.12 and 2.0; see also afmformats (AFM-analysis, MIT), which once turned the
 * force of some of them round: as the file has it, it is right.
 */
import { SourceError } from "../../runtime/index.ts";
import {
  APPROACH, inForce, MODULATION, PAUSE, RETRACT, UNKNOWN_SEGMENT,
  type AfmFile, type Calibration, type Curve, type CurveSet, type Format, type Grid, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { openArchive, type Archive } from "../archive.ts";
import {
  parseProperties, pointed, section, shareable, type Properties, type Section, type Shared,
} from "./jpk-properties.ts"; // prettier-ignore
import { slotIn, slotsOf, stepsTo, type Slot } from "./jpk-slots.ts";
import { parseTime, timeOrMissing } from "./jpk-time.ts";

const STYLES: Record<string, number> = {
  extend: APPROACH,
  retract: RETRACT,
  pause: PAUSE,
  modulation: MODULATION,
};

/** Sensors first: what was measured counts, not what was asked for. */
const HEIGHTS = ["strainGaugeHeight", "capacitiveSensorHeight", "measuredHeight", "head-height", "height"];
const KINDS: Record<string, string> = {
  "force-scan-series": "JPK force curve",
  "force-scan-map": "JPK force map",
  "quantitative-imaging-series": "JPK QI curve",
  "quantitative-imaging-map": "JPK QI map",
};
const NEWEST_VERSION = 2;
/** Of a curve; an hour's pause at 2 kHz has 7 million. */
const MOST_POINTS = 1 << 23;
const MOST_HEADER_BYTES = 1 << 25;
const MOST_CURVES = 1 << 24;

export const jpkForce: Format = {
  name: "JPK force curves",
  looks: (head) => head[0] === 0x50 && head[1] === 0x4b, // any ZIP archive: whoever names one is told what it lacks
  claims: looksLikeJpk,
  async open(path, zoned) {
    const archive = await openArchive(path, "JPK file");
    try {
      return await readHeaders(archive, zoned);
    } catch (error) {
      await archive.close();
      throw error;
    }
  },
};

/** Names of entries that only JPK's archives have. */
const OURS =
  /^(header\.properties|shared-data\/header\.properties|segments\/\d+\/(segment-header\.properties|channels\/.+\.dat)|index\/\d+\/(header\.properties|segments\/.*)|data-image\.(force|jpk-qi-image))$/;

/** True where the first bytes of a ZIP archive list an entry that only JPK's force files have. */
function looksLikeJpk(head: Uint8Array): boolean {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < 30 || bytes.readUInt32LE(0) !== 0x04034b50) return false;
  const signature = Buffer.from([0x50, 0x4b, 3, 4]);
  for (let at = 0; at >= 0 && at + 30 < bytes.length; at = bytes.indexOf(signature, at + 4)) {
    const name = bytes.toString("latin1", at + 30, at + 30 + bytes.readUInt16LE(at + 26));
    if (OURS.test(name)) return true;
  }
  return false;
}

async function readProperties(archive: Archive, name: string): Promise<Map<string, string>> {
  const bytes = archive.size(name) ?? 0;
  if (bytes > MOST_HEADER_BYTES)
    throw new SourceError(`${archive.path}: entry ${name} has ${bytes} bytes, which no header has`);
  return parseProperties(await archive.read(name));
}

async function readHeaders(archive: Archive, zoned: Zoned): Promise<AfmFile> {
  const { path } = archive;
  if (!archive.has("header.properties"))
    throw new SourceError(`${path}: is a ZIP archive but not a JPK force file: it has no header.properties`);
  const header = await readProperties(archive, "header.properties");
  const type = header.get("type") ?? "";
  const kind = KINDS[type];
  if (!kind)
    throw new SourceError(
      `${path}: entry header.properties says type "${type}"; known are ${Object.keys(KINDS).join(", ")}`,
    );
  const version = header.get("file-format-version") ?? "";
  if (parseInt(version, 10) > NEWEST_VERSION) {
    throw new SourceError(
      `${path}: entry header.properties says format version ${version}; known are 0 to ${NEWEST_VERSION}; export it with an older setting, or send us the file`,
    );
  }
  const warnings: string[] = [];
  const shared: Shared = archive.has("shared-data/header.properties")
    ? shareable(await readProperties(archive, "shared-data/header.properties"))
    : new Map();
  const start = timeOrMissing(header.get(`${type}.start-time`), "entry header.properties", zoned, warnings); // prettier-ignore
  const curves = await readCurves(archive, header, type, shared, zoned, warnings);
  return {
    path,
    format: `${kind}${version && `, version ${version}`}`,
    instrument: header.get(`${type}.description.instrument`) ?? "",
    software: header.get(`${type}.description.source-software`) ?? "",
    start,
    warnings,
    curves,
    close: () => archive.close(),
  };
}

interface SegmentHeader {
  /** Folder of the segment, with its slash. */
  readonly at: string;
  readonly properties: Properties;
  readonly about: Section;
}

async function readCurves(
  archive: Archive,
  header: ReadonlyMap<string, string>,
  type: string,
  shared: Shared,
  zoned: Zoned,
  warnings: string[],
): Promise<CurveSet> {
  const { path } = archive;
  const single = type.endsWith("-series");
  const segmentsOf = curveSegments(archive, single);
  if (segmentsOf.size === 0)
    throw new SourceError(
      `${path}: holds no force curve: no entry ${single ? "" : "index/<n>/"}segments/<s>/segment-header.properties`,
    );
  const pattern = readGrid(header, type, warnings);
  const { grid } = pattern ?? {};
  const numbers = [...segmentsOf.keys()].sort((a, b) => a - b);
  const [low, high] = [Number(header.get(`${type}.indexes.min`)), Number(header.get(`${type}.indexes.max`))];
  const folderOf = (number: number): string => (single ? "" : `index/${number}/`);
  const channels = new ChannelFormats();

  const headersOf = async (number: number): Promise<SegmentHeader[]> => {
    const segments = segmentsOf.get(number);
    if (!segments) throw new SourceError(`${path}: has no curve ${number}`);
    const headers: SegmentHeader[] = [];
    for (const s of segments) {
      const at = `${folderOf(number)}segments/${s}/`;
      const own = await readProperties(archive, `${at}segment-header.properties`);
      const properties = pointed(own, shared);
      headers.push({ at, properties, about: section(properties, "force-segment-header") });
    }
    return headers;
  };
  const endOf = (headers: readonly SegmentHeader[]): When | undefined => {
    const { about, at } = headers.at(-1)!;
    const stamp = about.get("time-stamp");
    return stamp === undefined
      ? undefined
      : parseTime(stamp, `${path}: entry ${at}segment-header.properties`, zoned);
  };

  return {
    grid,
    numbers,
    expected: single ? 1 : grid ? grid.columns * grid.rows : high >= low ? high - low + 1 : numbers.length,
    timeFrom: "end of each curve's last segment",
    timeOf: async (number) => endOf(await headersOf(number)),
    async read(number, calibration) {
      const headers = await headersOf(number);
      const folder = folderOf(number);
      const series = pointed(
        single ? header
        : archive.has(`${folder}header.properties`) ? await readProperties(archive, `${folder}header.properties`)
        : new Map<string, string>(),
        shared,
      ); // prettier-ignore
      const about = section(series, series.own.get("type") ?? "");
      const decoded = await decode(archive, headers, channels, calibration);
      const said = about.number("force-segments.count");
      if (said >= 0 && said !== headers.length)
        decoded.warnings.push(`has ${headers.length} segments, its header says ${said}`);
      const place = position(about, headers[0]!);
      return {
        ...decoded,
        name: single ? "curve" : folder.slice(0, -1),
        index: pattern && Number.isInteger(place.index) ? pixelOf(pattern, place.index) : number,
        time: endOf(headers)?.ns,
        x_m: place.x_m,
        y_m: place.y_m,
      };
    },
  };
}

/** Curves by number, each with the numbers of its segments in order. */
function curveSegments(archive: Archive, single: boolean): Map<number, readonly number[]> {
  const pattern = single
    ? /^()segments\/(\d{1,9})\/segment-header\.properties$/
    : /^index\/(\d{1,9})\/segments\/(\d{1,9})\/segment-header\.properties$/;
  const found = new Map<number, number[]>();
  for (const name of archive.names) {
    const match = pattern.exec(name);
    if (!match) continue;
    const number = Number(match[1] || 0);
    const segments = found.get(number);
    if (segments) segments.push(Number(match[2]));
    else found.set(number, [Number(match[2])]);
  }
  for (const segments of found.values()) segments.sort((a, b) => a - b);
  return found;
}

interface Pattern {
  readonly grid: Grid;
  /** Every second line was scanned from its end. */
  readonly backAndForth: boolean;
  /** Lines are numbered from the largest y down. */
  readonly reflected: boolean;
}

function readGrid(
  header: ReadonlyMap<string, string>,
  type: string,
  warnings: string[],
): Pattern | undefined {
  const at = (name: string): string | undefined => header.get(`${type}.position-pattern.grid.${name}`);
  const [columns, rows] = [Number(at("ilength")), Number(at("jlength"))];
  if (!(Number.isInteger(columns) && Number.isInteger(rows) && columns > 0 && rows > 0)) return undefined;
  if (columns * rows > MOST_CURVES) {
    warnings.push(
      `its grid would have ${columns} × ${rows} pixels, and ${MOST_CURVES} are the most; its curves come without a grid`,
    );
    return undefined;
  }
  const size = (name: string): number => {
    const length = Number(at(name) || NaN);
    return length > 0 ? length : NaN;
  };
  return {
    grid: { columns, rows, sizeX_m: size("ulength"), sizeY_m: size("vlength") },
    backAndForth: header.get(`${type}.position-pattern.back-and-forth`) === "true",
    reflected: at("reflect") === "true",
  };
}

/** Pixel of the grid, of the position that was visited as number `visit`. */
function pixelOf({ grid: { columns, rows }, backAndForth, reflected }: Pattern, visit: number): number {
  const line = Math.floor(visit / columns);
  const along = visit % columns;
  const column = backAndForth && line % 2 === 1 ? columns - 1 - along : along;
  return (reflected ? rows - 1 - line : line) * columns + column;
}

function position(series: Section, { about }: SegmentHeader): { x_m: number; y_m: number; index: number } {
  const scanners = "environment.xy-scanner-position-map";
  const active = about.get(`${scanners}.xy-scanners.active-xy-scanner.name`);
  const first = (...values: (string | undefined)[]): number =>
    Number(values.find((value) => value !== undefined) || NaN);
  const axis = (name: "x" | "y"): number =>
    first(
      series.get(`header.position.${name}`),
      about.get(`position.${name}`),
      active && about.get(`${scanners}.xy-scanner.${active}.position.${name}`),
      active && about.get(`${scanners}.xy-scanner.${active}.start-position.${name}`),
    );
  const index = first(
    series.get("header.position-index"),
    about.get(`${scanners}.xy-scanners.position-index`),
  );
  return { x_m: axis("x"), y_m: axis("y"), index };
}

type Decoded = Pick<
  Curve,
  | "height_m"
  | "force_N"
  | "segment"
  | "springConstant_N_per_m"
  | "deflectionSensitivity_m_per_V"
  | "duration_s"
> & { readonly warnings: string[] };

/** Of what the segment is, by its style or, where that is not said, by its type: "constant-force-pause". */
function codeOf(about: Section, at: string, warnings: string[]): number {
  const style = about.get("settings.style") ?? about.get("settings.segment-settings.style");
  const type = about.get("settings.segment-settings.type") ?? "";
  const named = style ?? Object.keys(STYLES).find((known) => type.includes(known)) ?? "";
  const code = STYLES[named] ?? UNKNOWN_SEGMENT;
  if (code !== UNKNOWN_SEGMENT) return code;
  const lost = about.missing.length > 0 ? `; it points to ${about.missing.join(", ")} of shared-data/header.properties, which is not there` : ""; // prettier-ignore
  warnings.push(`${at} is of style "${named}"; known are ${Object.keys(STYLES).join(", ")}${lost}`);
  return code;
}

async function decode(
  archive: Archive,
  headers: readonly SegmentHeader[],
  channels: ChannelFormats,
  calibration: Calibration,
): Promise<Decoded> {
  const warnings: string[] = [];
  const lists = headers.map(({ properties }) =>
    (properties.own.get("channels.list") ?? "").split(/\s+/).filter(Boolean),
  );
  const everywhere = (name: string): boolean => lists.every((list) => list.includes(name));
  // A pause may have fewer channels than its neighbours: one sensor must serve the whole curve, or it would jump.
  const heightChannel = HEIGHTS.find(everywhere);
  if (!heightChannel)
    warnings.push(
      `no height channel is in all segments (${lists.map((list) => list.join(" ")).join("; ")}), so height is NaN`,
    );
  if (!everywhere("vDeflection"))
    warnings.push("not every segment has a vDeflection channel, so force is NaN there");

  const parts: {
    height?: Float64Array;
    volts?: Float64Array;
    format?: ChannelFormat;
    code: number;
    points: number;
  }[] = [];
  let duration_s = 0;
  let sum = 0;
  for (const [s, { at, properties, about }] of headers.entries()) {
    const code = codeOf(about, at, warnings);
    const read = async (channel: string): Promise<{ values: Float64Array; format: ChannelFormat }> => {
      const of = section(properties, `channel.${channel}`);
      const name = `${at}${of.get("data.file.name") ?? `channels/${channel}.dat`}`;
      const format = channels.of(of, `${archive.path}: entry ${at}segment-header.properties: channel ${channel}`); // prettier-ignore
      const stored = (archive.size(name) ?? 0) / format.bytes;
      if (sum + stored > MOST_POINTS)
        throw new SourceError(`${archive.path}: entry ${name} brings the curve to ${sum + stored} points; ${MOST_POINTS} are the most`); // prettier-ignore
      const values = format.raw(await archive.read(name), `${archive.path}: entry ${name}`);
      for (const [key, points] of [
        [`channel.${channel}.data.num-points`, of.number("data.num-points")],
        ["num-points", about.number("num-points")],
      ] as const) {
        if (points >= 0 && points !== values.length)
          warnings.push(`${name} holds ${values.length} points, its header says ${points} (${key})`);
      }
      return { values, format };
    };
    const height = heightChannel ? await read(heightChannel) : undefined;
    const deflection = lists[s]!.includes("vDeflection") ? await read("vDeflection") : undefined;
    const points = Math.min(height?.values.length ?? Infinity, deflection?.values.length ?? Infinity);
    if (points === Infinity)
      throw new SourceError(`${archive.path}: ${at} has neither height nor deflection`);
    if (height && deflection && height.values.length !== deflection.values.length) {
      warnings.push(
        `${at}: ${heightChannel} has ${height.values.length} points, vDeflection ${deflection.values.length}; the shorter counts`,
      );
    }
    if (points === 0) warnings.push(`${at} has no points`);
    if (height) height.format.toMetres(height.values);
    if (deflection) checkTrigger(about, code, deflection.values, at, warnings);
    duration_s += about.number("duration");
    sum += points;
    parts.push({ ...(height && { height: height.values }), ...(deflection && { volts: deflection.values, format: deflection.format }), code, points }); // prettier-ignore
  }
  if (sum === 0) throw new SourceError(`${archive.path}: ${headers[0]!.at.replace(/segments\/\d+\/$/, "") || "the curve "}has no points in any of its ${headers.length} segments`); // prettier-ignore

  const height_m = new Float64Array(sum).fill(NaN);
  const force_N = new Float64Array(sum).fill(NaN);
  const segment = new Uint8Array(sum);
  const own = parts.find((part) => part.format)?.format;
  const spring = inForce(calibration.springConstant_N_per_m, own?.spring, "spring_constant", warnings);
  const sensitivity = inForce(
    calibration.deflectionSensitivity_m_per_V,
    own?.sensitivity,
    "deflection_sensitivity",
    warnings,
  );
  let at = 0;
  for (const { height, volts, format, code, points } of parts) {
    if (height) height_m.set(height.subarray(0, points), at);
    if (volts)
      for (let i = 0; i < points; i++)
        force_N[at + i] = (volts[i]! * sensitivity + format!.distanceOffset) * spring + format!.forceOffset;
    segment.fill(code, at, at + points);
    at += points;
  }
  return {
    height_m,
    force_N,
    segment,
    duration_s,
    warnings,
    springConstant_N_per_m: spring,
    deflectionSensitivity_m_per_V: sensitivity,
  };
}

/**
 * An approach ends when the deflection has risen by its setpoint above the baseline measured before it.
 * A factor of more than 4 between what was asked for and what was decoded means that scale or encoder is wrong;
 * a fall as deep as the setpoint is high, that the sign is.
 */
function checkTrigger(
  about: Section,
  code: number,
  volts: Float64Array,
  at: string,
  warnings: string[],
): void {
  const setpoint = about.number("settings.segment-settings.setpoint");
  if (code !== APPROACH || !(setpoint > 0) || volts.length < 16) return;
  // The first tenth is far from the sample; `baseline.baseline` may be older than the curve.
  const far = volts.slice(0, Math.max(4, volts.length / 10)).sort();
  const risen = volts.at(-1)! - far[far.length >> 1]!;
  const reached = risen / setpoint;
  const outOfRange =
    about.get("force-scan-flags.setpoint-out-of-range") === "true" ||
    about.get("force-scan-flags.z-end-out-of-range") === "true";
  const said = `${at}: deflection ${risen < 0 ? "falls" : "rises"} by ${Math.abs(risen).toPrecision(3)} V, the trigger is set to ${setpoint.toPrecision(3)} V`;
  if (reached < -0.5 && reached > -4)
    warnings.push(`${said}: its sign is the other way round than a trigger wants; check the force's`);
  else if (reached > 4 || (reached < 0.25 && !outOfRange))
    warnings.push(`${said}: the approach ended early, or the scale is wrong`);
}

/** What is needed to make numbers of a channel's bytes. */
interface ChannelFormat {
  /** Of one value as stored. */
  readonly bytes: number;
  /** Bytes to the base slot (volts, or metres of a digital sensor). */
  raw(bytes: Buffer, where: string): Float64Array;
  /** From the base slot to metres, in place. */
  toMetres(values: Float64Array): void;
  /** Of a deflection: undefined where the file has no such step. */
  readonly sensitivity: number | undefined;
  readonly spring: number | undefined;
  readonly distanceOffset: number;
  readonly forceOffset: number;
}

type Reader = { readonly bytes: number; readonly read: (view: DataView, at: number) => number };
const READERS: Record<string, Reader> = {
  signedshort: { bytes: 2, read: (view, at) => view.getInt16(at) },
  unsignedshort: { bytes: 2, read: (view, at) => view.getUint16(at) },
  signedinteger: { bytes: 4, read: (view, at) => view.getInt32(at) },
  unsignedinteger: { bytes: 4, read: (view, at) => view.getUint32(at) },
  signedlong: { bytes: 8, read: (view, at) => Number(view.getBigInt64(at)) },
  unsignedlong: { bytes: 8, read: (view, at) => Number(view.getBigUint64(at)) },
  float: { bytes: 4, read: (view, at) => view.getFloat32(at) },
  double: { bytes: 8, read: (view, at) => view.getFloat64(at) },
};

/** Formats by the shared section that they come from: a map has thousands of curves and a handful of these. */
class ChannelFormats {
  readonly #known = new WeakMap<object, ChannelFormat>();

  of(channel: Section, where: string): ChannelFormat {
    if (channel.missing.length > 0)
      throw new SourceError(
        `${where} points to ${channel.missing.join(", ")} of shared-data/header.properties, which is not there; copy the file again`,
      );
    const { shared } = channel;
    const own = ["encoder.type", "data.encoder.type", "conversion-set.conversions.base"].some((key) =>
      channel.has(key),
    );
    const known = shared && !own ? this.#known.get(shared) : undefined;
    if (known) return known;
    const format = readFormat(channel, where);
    if (shared && !own) this.#known.set(shared, format);
    return format;
  }
}

function readFormat(channel: Section, where: string): ChannelFormat {
  // Older files write `data.encoder.…`, those with shared headers `encoder.…`.
  const encoding = (rest: string): string | undefined =>
    channel.get(`encoder.${rest}`) ?? channel.get(`data.encoder.${rest}`);
  const type =
    encoding("type") ?? (channel.get("data.type") ?? channel.get("type") ?? "").replace(/-data$/, "");
  const reader = READERS[type];
  if (!reader)
    throw new SourceError(`${where} is encoded as "${type}"; known are ${Object.keys(READERS).join(", ")}`);
  const multiplier = Number(encoding("scaling.multiplier") ?? 1);
  const offset = Number(encoding("scaling.offset") ?? 0);
  const style = encoding("scaling.style") ?? "offsetmultiplier";
  if (style !== "offsetmultiplier" || Number.isNaN(multiplier + offset)) {
    throw new SourceError(
      `${where} is scaled by "${style}", ${encoding("scaling.multiplier")}, ${encoding("scaling.offset")}; wanted offsetmultiplier with two numbers`,
    );
  }
  const slots = slotsOf(
    (key) => channel.get(`conversion-set.${key}`),
    encoding("scaling.unit.unit") ?? channel.get("unit.unit") ?? "",
  );
  const distance = inUnit(slots.slot("distance"), "m");
  const force = inUnit(slots.slot("force"), "N");
  const onDistance = force?.base === "distance" ? force : undefined;
  return {
    bytes: reader.bytes,
    raw(bytes, at) {
      if (bytes.length % reader.bytes !== 0)
        throw new SourceError(
          `${at} has ${bytes.length} bytes, which is no whole number of ${type} (${reader.bytes} bytes each)`,
        );
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const values = new Float64Array(bytes.length / reader.bytes);
      for (let i = 0; i < values.length; i++)
        values[i] = reader.read(view, i * reader.bytes) * multiplier + offset;
      return values;
    },
    toMetres(values) {
      const wanted = slotIn("m", slots);
      if (wanted === undefined)
        throw new SourceError(`${where} has no conversion to metres; it has ${slots.names.join(", ") || "none"}`); // prettier-ignore
      for (const { multiplier: m, offset: b } of stepsTo(wanted, slots, where)) {
        for (let i = 0; i < values.length; i++) values[i] = values[i]! * m + b;
      }
    },
    sensitivity: distance?.multiplier,
    spring: onDistance?.multiplier,
    distanceOffset: distance?.offset || 0,
    forceOffset: onDistance?.offset || 0,
  };
}

const inUnit = (slot: Slot | undefined, unit: string): Slot | undefined =>
  slot?.unit === unit ? slot : undefined;
