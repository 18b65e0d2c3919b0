/**
 * JPK force files: `.jpk-force` (one curve), `.jpk-force-map` and `.jpk-qi-data` (one curve a pixel).
 *
 * A ZIP archive of Java properties and big-endian channels without a header. What a channel holds is reached by
 * a chain of linear steps, each `value × multiplier + offset`:
 *
 *     raw integer → volts → distance [m] → force [N]      vDeflection: s [m/V], then k [N/m]
 *     raw integer → volts or metres → … → height [m]      measured height (sensor), else height (piezo)
 *
 * Height decreases towards the sample. A segment's `time-stamp` is when it *ended*: two stamps lie one duration
 * of the later segment apart (so in all our samples, whose segments differ in duration). A curve's time is the
 * end of its last segment.
 *
 * Where the file says the same thing twice, both are compared, and a difference is a warning: bytes and points
 * of each channel, the trigger's setpoint and the deflection reached, times that run backwards.
 *
 * Layout read from files of versions 0.12 and 2.0; see also afmformats (AFM-analysis, MIT).
 */
import { SourceError } from "../../runtime/index.ts";
import { openArchive, type Archive } from "./archive.ts";
import { parseProperties, section, shareable, type Section, type Shared } from "./jpk-properties.ts";

export const APPROACH = 0, RETRACT = 1, PAUSE = 2, MODULATION = 3, UNKNOWN_SEGMENT = 255; // prettier-ignore
const STYLES: Record<string, number> = {
  extend: APPROACH,
  retract: RETRACT,
  pause: PAUSE,
  modulation: MODULATION,
};

/** Sensors first: what was measured counts, not what was asked for. */
const HEIGHTS = ["strainGaugeHeight", "capacitiveSensorHeight", "measuredHeight", "head-height", "height"];
const KINDS: Record<string, JpkFile["kind"]> = {
  "force-scan-series": "curve",
  "force-scan-map": "map",
  "quantitative-imaging-map": "qi",
};
const NEWEST_VERSION = 2;

export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Edge lengths of the whole grid. */
  readonly sizeX_m: number;
  readonly sizeY_m: number;
  /** Every second line was scanned from its end. */
  readonly backAndForth: boolean;
}

/** Set by hand in place of what the file says, or NaN. */
export interface Calibration {
  readonly springConstant_N_per_m: number;
  readonly deflectionSensitivity_m_per_V: number;
}

export interface JpkCurve {
  /** What the file calls it, for messages: "index/17", or "curve" where there is one. */
  readonly name: string;
  /** Pixel of the grid, line by line from the one scanned first; without a grid, its number in the file. */
  readonly index: number;
  /** ns since 1970, UTC; undefined where the file has none. */
  readonly time: bigint | undefined;
  readonly duration_s: number;
  readonly x_m: number;
  readonly y_m: number;
  readonly height_m: Float64Array;
  readonly force_N: Float64Array;
  readonly segment: Uint8Array;
  readonly springConstant_N_per_m: number;
  readonly deflectionSensitivity_m_per_V: number;
  readonly warnings: readonly string[];
}

export interface JpkFile {
  readonly path: string;
  readonly kind: "curve" | "map" | "qi";
  readonly version: string;
  readonly instrument: string;
  readonly software: string;
  readonly grid: Grid | undefined;
  /** Numbers of the curves there are, in order. */
  readonly curves: readonly number[];
  /** How many the file says there are. */
  readonly expected: number;
  /** When the file says it began, without a zone if it says none. */
  readonly start: string | undefined;
  /** Reads one curve; a SourceError says why it cannot. */
  read(number: number, calibration: Calibration): Promise<JpkCurve>;
  /** When a curve ended, from its headers alone. */
  timeOf(number: number): Promise<bigint | undefined>;
  /** True where times are written with their zone. */
  zoned(): Promise<boolean | undefined>;
  close(): Promise<void>;
}

/** Names of entries that only JPK's archives have. */
const OURS =
  /^(header\.properties|shared-data\/header\.properties|segments\/\d+\/(segment-header\.properties|channels\/.+\.dat)|index\/\d+\/(header\.properties|segments\/.*)|data-image\.(force|jpk-qi-image))$/;

/** True where the first bytes of a ZIP archive list an entry that only JPK's force files have. */
export function looksLikeJpk(head: Uint8Array): boolean {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < 30 || bytes.readUInt32LE(0) !== 0x04034b50) return false;
  const signature = Buffer.from([0x50, 0x4b, 3, 4]);
  for (let at = 0; at >= 0 && at + 30 < bytes.length; at = bytes.indexOf(signature, at + 4)) {
    const name = bytes.toString("latin1", at + 30, at + 30 + bytes.readUInt16LE(at + 26));
    if (OURS.test(name)) return true;
  }
  return false;
}

/**
 * Opens a file and reads its headers.
 * `zonedTime` makes nanoseconds of a time that is written without its zone.
 */
export async function openJpk(path: string, zonedTime: (text: string) => bigint): Promise<JpkFile> {
  const archive = await openArchive(path);
  try {
    return await readHeaders(archive, zonedTime);
  } catch (error) {
    await archive.close();
    throw error;
  }
}

async function readHeaders(archive: Archive, zonedTime: (text: string) => bigint): Promise<JpkFile> {
  const { path } = archive;
  if (!archive.has("header.properties"))
    throw new SourceError(`${path}: is a ZIP archive but not a JPK force file: it has no header.properties`);
  const header = parseProperties(await archive.read("header.properties"));
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
  const shared: Shared = archive.has("shared-data/header.properties")
    ? shareable(parseProperties(await archive.read("shared-data/header.properties")))
    : new Map();
  const folders = curveFolders(archive, kind);
  if (folders.size === 0)
    throw new SourceError(
      `${path}: holds no force curve: no entry ${kind === "curve" ? "" : "index/<n>/"}segments/<s>/segment-header.properties`,
    );
  const grid = readGrid(header, type);
  const [low, high] = [Number(header.get(`${type}.indexes.min`)), Number(header.get(`${type}.indexes.max`))];
  const expected =
    kind === "curve" ? 1 : grid ? grid.columns * grid.rows : high >= low ? high - low + 1 : folders.size;
  const channels = new ChannelFormats();

  const headersOf = async (number: number): Promise<SegmentHeader[]> => {
    const folder = folders.get(number);
    if (!folder) throw new SourceError(`${path}: has no curve ${number}`);
    const headers: SegmentHeader[] = [];
    for (const s of folder.segments) {
      const at = `${folder.path}segments/${s}/`;
      const own = parseProperties(await archive.read(`${at}segment-header.properties`));
      headers.push({
        at,
        own,
        about: section(own, shared, "force-segment-header", "force-segment-header-info"),
      });
    }
    return headers;
  };

  const timeIn = (headers: readonly SegmentHeader[]): bigint | undefined => {
    const stamp = headers.at(-1)!.about.get("time-stamp");
    return stamp === undefined
      ? undefined
      : parseTime(stamp, `${path}: entry ${headers.at(-1)!.at}segment-header.properties`, zonedTime);
  };

  return {
    path, kind, version, grid, expected,
    instrument: header.get(`${type}.description.instrument`) ?? "",
    software: header.get(`${type}.description.source-software`) ?? "",
    start: header.get(`${type}.start-time`),
    curves: [...folders.keys()].sort((a, b) => a - b),
    close: () => archive.close(),
    timeOf: async (number) => timeIn(await headersOf(number)),
    async zoned() {
      for (const number of folders.keys()) {
        const stamp = (await headersOf(number)).at(-1)!.about.get("time-stamp");
        return stamp === undefined ? undefined : ZONED.test(stamp);
      }
      return undefined;
    },
    async read(number, calibration) {
      const headers = await headersOf(number);
      const folder = folders.get(number)!;
      const series = folder.path === "" ? header
        : archive.has(`${folder.path}header.properties`) ? parseProperties(await archive.read(`${folder.path}header.properties`))
        : new Map<string, string>(); // prettier-ignore
      const decoded = await decode(archive, headers, shared, channels, calibration);
      const place = position(series, headers[0]!);
      return {
        ...decoded,
        name: folder.path === "" ? "curve" : folder.path.slice(0, -1),
        index: grid && Number.isInteger(place.index) ? pixelOf(grid, place.index) : number,
        time: timeIn(headers),
        x_m: place.x_m,
        y_m: place.y_m,
      };
    },
  }; // prettier-ignore
}

interface SegmentHeader {
  /** Folder of the segment, with its slash. */
  readonly at: string;
  readonly own: ReadonlyMap<string, string>;
  readonly about: Section;
}

/** Folders of the curves by number, each with the numbers of its segments in order. */
function curveFolders(
  archive: Archive,
  kind: JpkFile["kind"],
): Map<number, { path: string; segments: number[] }> {
  const pattern =
    kind === "curve"
      ? /^()segments\/(\d+)\/segment-header\.properties$/
      : /^index\/(\d+)\/segments\/(\d+)\/segment-header\.properties$/;
  const folders = new Map<number, { path: string; segments: number[] }>();
  for (const name of archive.names) {
    const match = pattern.exec(name);
    if (!match) continue;
    const number = Number(match[1] || 0);
    let folder = folders.get(number);
    if (!folder)
      folders.set(number, (folder = { path: kind === "curve" ? "" : `index/${match[1]}/`, segments: [] }));
    folder.segments.push(Number(match[2]));
  }
  for (const { segments } of folders.values()) segments.sort((a, b) => a - b);
  return folders;
}

function readGrid(header: ReadonlyMap<string, string>, type: string): Grid | undefined {
  const at = (name: string): number => Number(header.get(`${type}.position-pattern.grid.${name}`));
  const [columns, rows] = [at("ilength"), at("jlength")];
  if (!(columns > 0 && rows > 0)) return undefined;
  const backAndForth = header.get(`${type}.position-pattern.back-and-forth`) === "true";
  return { columns, rows, sizeX_m: at("ulength"), sizeY_m: at("vlength"), backAndForth };
}

/** Pixel of the grid, of the position that was visited as number `visit`. */
function pixelOf({ columns, backAndForth }: Grid, visit: number): number {
  const row = Math.floor(visit / columns);
  const column = visit % columns;
  return row * columns + (backAndForth && row % 2 === 1 ? columns - 1 - column : column);
}

function position(
  series: ReadonlyMap<string, string>,
  { about }: SegmentHeader,
): { x_m: number; y_m: number; index: number } {
  const type = series.get("type") ?? "";
  const scanners = "environment.xy-scanner-position-map";
  const active = about.get(`${scanners}.xy-scanners.active-xy-scanner.name`);
  const first = (...values: (string | undefined)[]): number =>
    Number(values.find((value) => value !== undefined) || NaN);
  const axis = (name: "x" | "y"): number =>
    first(
      series.get(`${type}.header.position.${name}`),
      about.get(`position.${name}`),
      active && about.get(`${scanners}.xy-scanner.${active}.position.${name}`),
      active && about.get(`${scanners}.xy-scanner.${active}.start-position.${name}`),
    );
  const index = Number(
    series.get(`${type}.header.position-index`) ?? about.get(`${scanners}.xy-scanners.position-index`) ?? NaN,
  );
  return { x_m: axis("x"), y_m: axis("y"), index };
}

const ZONED = /[+-]\d{2}:?\d{2}$|Z$/;

/** "2013-05-27 13:57:03.320 +0200" in ns since 1970, UTC. */
function parseTime(text: string, where: string, zonedTime: (text: string) => bigint): bigint {
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?)\s*(Z|[+-]\d{2}:?\d{2})?$/.exec(
    text.trim(),
  );
  if (!match)
    throw new SourceError(`${where}: "${text}" is not a time such as 2013-05-27 13:57:03.320 +0200`);
  const [, date, clock, zone] = match;
  if (!zone) return zonedTime(`${date}T${clock!.replace(",", ".")}`);
  const ms = Date.parse(`${date}T${clock!.slice(0, 8)}${zone.replace(/(\d{2})(\d{2})$/, "$1:$2")}`);
  if (Number.isNaN(ms))
    throw new SourceError(`${where}: "${text}" is not a time such as 2013-05-27 13:57:03.320 +0200`);
  return BigInt(ms) * 1_000_000n + BigInt(clock!.slice(9).padEnd(9, "0"));
}

/** Time from the file's own header, such as the start of a map. */
export function timeOfHeader(file: JpkFile, zonedTime: (text: string) => bigint): bigint | undefined {
  return file.start === undefined
    ? undefined
    : parseTime(file.start, `${file.path}: entry header.properties`, zonedTime);
}

type Decoded = Pick<
  JpkCurve,
  | "height_m"
  | "force_N"
  | "segment"
  | "springConstant_N_per_m"
  | "deflectionSensitivity_m_per_V"
  | "warnings"
  | "duration_s"
>;

async function decode(
  archive: Archive,
  headers: readonly SegmentHeader[],
  shared: Shared,
  channels: ChannelFormats,
  calibration: Calibration,
): Promise<Decoded> {
  const warnings: string[] = [];
  const lists = headers.map(({ own }) => (own.get("channels.list") ?? "").split(/\s+/));
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
  for (const [s, { at, own, about }] of headers.entries()) {
    const style = about.get("settings.style") ?? about.get("settings.segment-settings.style") ?? "";
    const code = STYLES[style] ?? UNKNOWN_SEGMENT;
    if (code === UNKNOWN_SEGMENT)
      warnings.push(`${at} is of style "${style}"; known are ${Object.keys(STYLES).join(", ")}`);
    const read = async (channel: string): Promise<{ values: Float64Array; format: ChannelFormat }> => {
      const of = section(own, shared, `channel.${channel}`, "lcd-info");
      const name = `${at}${of.get("data.file.name") ?? `channels/${channel}.dat`}`;
      const format = channels.of(
        of,
        `${archive.path}: entry ${at}segment-header.properties: channel ${channel}`,
      );
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
    if (height) height.format.toMetres(height.values);
    if (deflection) checkTrigger(about, code, deflection.values, at, warnings);
    duration_s += about.number("duration");
    parts.push({ ...(height && { height: height.values }), ...(deflection && { volts: deflection.values, format: deflection.format }), code, points }); // prettier-ignore
  }

  const total = parts.reduce((n, part) => n + part.points, 0);
  const height_m = new Float64Array(total).fill(NaN);
  const force_N = new Float64Array(total).fill(NaN);
  const segment = new Uint8Array(total);
  const own = parts.find((part) => part.format)?.format;
  const sensitivity = given(calibration.deflectionSensitivity_m_per_V, own?.sensitivity);
  const spring = given(calibration.springConstant_N_per_m, own?.spring);
  let at = 0;
  for (const { height, volts, format, code, points } of parts) {
    if (height) height_m.set(height.subarray(0, points), at);
    if (volts)
      for (let i = 0; i < points; i++)
        force_N[at + i] = (volts[i]! * sensitivity + format!.distanceOffset) * spring + format!.forceOffset;
    segment.fill(code, at, at + points);
    at += points;
  }
  const missing = [
    Number.isNaN(spring) && "spring_constant",
    Number.isNaN(sensitivity) && "deflection_sensitivity",
  ].filter(Boolean);
  if (missing.length)
    warnings.push(
      `${missing.join(" and ")} not in the file, so force is NaN; give ${missing.length > 1 ? "them" : "it"} as an option of the source`,
    );
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

const given = (byHand: number, fromFile = NaN): number => (Number.isNaN(byHand) ? fromFile : byHand);

/**
 * An approach ends when the deflection has risen by its setpoint above the baseline measured before it.
 * A factor of more than 4 between what was asked for and what was decoded means that scale or encoder is wrong.
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
  if (reached > 4 || (reached < 0.25 && !outOfRange)) {
    warnings.push(
      `${at}: deflection rises by ${risen.toPrecision(3)} V, the trigger is set to ${setpoint.toPrecision(3)} V: the approach ended early, or the scale is wrong`,
    );
  }
}

interface Step {
  readonly base: string;
  readonly multiplier: number;
  readonly offset: number;
  readonly unit: string;
}

/** What is needed to make numbers of a channel's bytes. */
interface ChannelFormat {
  /** Bytes to the base slot (volts, or metres of a digital sensor). */
  raw(bytes: Buffer, where: string): Float64Array;
  /** From the base slot to metres, in place. */
  toMetres(values: Float64Array): void;
  /** Of a deflection: NaN where the file has no such step. */
  readonly sensitivity: number;
  readonly spring: number;
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

  const step = (slot: string): Step | undefined => {
    const of = (rest: string): string | undefined => channel.get(`conversion-set.conversion.${slot}.${rest}`);
    if (of("defined") !== "true") return undefined;
    return {
      base: of("base-calibration-slot") ?? "", multiplier: Number(of("scaling.multiplier") ?? NaN),
      offset: Number(of("scaling.offset") ?? NaN), unit: of("scaling.unit.unit") ?? "",
    }; // prettier-ignore
  };
  const distance = step("distance");
  const force = step("force");
  const onDistance = force?.base === "distance" ? force : undefined;

  return {
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
      for (const { multiplier: m, offset: b } of metreChain(channel, step, where)) {
        for (let i = 0; i < values.length; i++) values[i] = values[i]! * m + b;
      }
    },
    sensitivity: distance?.multiplier ?? NaN,
    spring: onDistance?.multiplier ?? NaN,
    distanceOffset: distance?.offset ?? 0,
    forceOffset: onDistance?.offset ?? 0,
  };
}

/** The steps from the base slot to the slot that the file reads by default, or else to the last one in metres. */
function metreChain(channel: Section, step: (slot: string) => Step | undefined, where: string): Step[] {
  const slots = (channel.get("conversion-set.conversions.list") ?? "").split(/\s+/).filter(Boolean);
  const base = channel.get("conversion-set.conversions.base") ?? "";
  const preferred = channel.get("conversion-set.conversions.default") ?? "";
  const wanted = [preferred, ...slots.reverse()].find((slot) => step(slot)?.unit === "m");
  if (!wanted) {
    // A digital sensor may be in metres as it comes.
    if ((channel.get("encoder.scaling.unit.unit") ?? channel.get("unit.unit")) === "m") return [];
    throw new SourceError(`${where} has no conversion to metres; it has ${slots.join(", ") || "none"}`);
  }
  const chain: Step[] = [];
  for (let slot = wanted; slot !== base;) {
    const next = step(slot);
    if (!next || Number.isNaN(next.multiplier + next.offset) || chain.length > slots.length) {
      throw new SourceError(
        `${where}: its conversion "${wanted}" does not lead back to "${base}" (stops at "${slot}")`,
      );
    }
    chain.unshift(next);
    slot = next.base;
  }
  return chain;
}
