/**
 * Nanosurf `.nid`: images and force curves in one file. A text header (nanosurf-header.ts) lists groups ("Scan forward",
 * "Spec backward") and their channels, some of which may be missing; behind it one block of integers a channel, in the
 * order of the list.
 *
 *     value = (raw + 2^(b-1)) / 2^b × Dim2Range + Dim2Min      b bits, signed; unsigned without the 2^(b-1)
 *
 * Images: lines are stored by place, the one of the smallest y first, whichever way it was scanned (so in samples of both
 * ways: the line scanned last, CurLine, is the last one of a scan up and line 0 of a scan down). Backward lines are stored
 * by place, too: column 0 is the same place in both. Lines beyond CurLine were not scanned yet. `Time/Line` is for one way.
 * Date and Time are taken as the end of the scan: the file does not say what they are of.
 *
 * Force curves: one line a curve, of LineDim<n>Points samples where they differ. Z grows towards the sample, so
 * height = -Z. A line whose Z runs as the forward one's is stored by place and is turned round, since it was recorded
 * the other way. Maps are visited back and forth, from the first corner of `Map0` on.
 *
 * Read from samples of software 1.6 to 3.8; the spectroscopy part from its descriptions, see also NSFopen (Nanosurf, MIT).
 */
import { SourceError } from "../../runtime/index.ts";
import {
  APPROACH, DOWN, IMAGE_PORTS, PAUSE, RETRACE, RETRACT, TRACE, UNKNOWN_SCAN, UP,
  type AfmFile, type Calibration, type Curve, type CurveSet, type Format, type Grid, type ImageChannel, type ImagePort,
  type ImageSet, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { openBytes, type Bytes } from "../bytes.ts";
import { forceScale, type DeflectionUnit } from "./force-scale.ts";
import { numberIn, quantityIn, readNidHeader, typedNumbers, type NidHeader, type Section } from "./nanosurf-header.ts"; // prettier-ignore
import { clockOf, whenOf } from "./wall-clock.ts";

export const nanosurfNid: Format = {
  name: "Nanosurf .nid",
  looks: (head) => /^\[DataSet\]\r?\n/.test(Buffer.from(head.buffer, head.byteOffset, Math.min(16, head.length)).toString("latin1")), // prettier-ignore
  async open(path, zoned) {
    const bytes = await openBytes(path);
    try {
      return readFile(bytes, await readNidHeader(bytes), zoned);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  },
};

/** More than any microscope records at once; a damaged header might claim them. */
const MOST_VALUES = 2 ** 31, MOST_PIXELS = 1 << 25, MOST_SAMPLES = 1 << 21, MOST_GROUPS = 64, MOST_CHANNELS = 256; // prettier-ignore

interface Block {
  /** As the list names it: "DataSet-0:1". */
  readonly section: string;
  /** "Scan forward", "Spec backward". */
  readonly group: string;
  readonly channel: string;
  readonly unit: string;
  readonly points: number;
  readonly lines: number;
  readonly at: number;
  readonly header: Section;
  readonly code: { readonly bytes: 1 | 2 | 4; readonly signed: boolean; readonly little: boolean };
  readonly min: number;
  readonly range: number;
}

function readFile(bytes: Bytes, header: NidHeader, zoned: Zoned): AfmFile {
  const { path } = bytes;
  const warnings: string[] = [];
  const lost: string[] = [];
  const blocks = listBlocks(bytes, header, { warnings, lost });
  const info = infoOf(header);
  const end = endOf(info, zoned, warnings);
  const images = imagesOf(bytes, header, blocks, info, end, warnings);
  const curves = curvesOf(bytes, header, blocks, end);
  if (!images && !curves) {
    const groups = [...new Set(blocks.map(({ group }) => group))].join(", ");
    throw new SourceError(`${path}: holds neither images nor force curves, but ${groups || "no channel at all"}`); // prettier-ignore
  }
  return {
    path,
    format: `Nanosurf .nid, version ${header.sections.get("DataSet")?.values.get("Version") ?? "not said"}`,
    instrument: info("Head type") ?? "",
    software: info("Software ver.") ?? "",
    start: undefined,
    warnings,
    lost,
    ...(curves && { curves }),
    ...(images && { images }),
    close: () => bytes.close(),
  };
}

function listBlocks(
  bytes: Bytes,
  { sections, dataAt }: NidHeader,
  { warnings, lost }: { warnings: string[]; lost: string[] },
): Block[] {
  const { path } = bytes;
  const wrong = (what: string): SourceError => new SourceError(`${path}: ${what}; its header is damaged, copy the file again`); // prettier-ignore
  const list = sections.get("DataSet")?.values;
  const groups = Number(list?.get("GroupCount"));
  if (!list || !(groups >= 1 && groups <= MOST_GROUPS))
    throw wrong(`[DataSet] says GroupCount=${list?.get("GroupCount") ?? "nothing"}`);
  const blocks: Block[] = [];
  let at = dataAt;
  const listed: { group: number; number: number; section: string }[] = [];
  for (const [key, section] of list) {
    const match = /^Gr(\d{1,2})-Ch(\d{1,4})$/.exec(key);
    if (match) listed.push({ group: Number(match[1]), number: Number(match[2]), section });
  }
  listed.sort((a, b) => a.group - b.group || a.number - b.number);
  for (const { group: g, number, section } of listed) {
    if (g >= groups) continue;
    const header = sections.get(section);
    const value = (key: string): string | undefined => header?.values.get(key);
    if (!header) throw wrong(`[DataSet] lists Gr${g}-Ch${number}=${section}, but there is no [${section}], so nothing behind it can be found`); // prettier-ignore
    const [points, lines, bits] = [
      Number(value("Points")),
      Number(value("Lines")),
      Number(value("SaveBits")),
    ];
    if (!(
      Number.isInteger(points) &&
      points >= 0 &&
      Number.isInteger(lines) &&
      lines >= 0 &&
      points * lines <= MOST_VALUES
    ))
      throw wrong(`[${section}] says Points=${value("Points")} and Lines=${value("Lines")}`);
    if (bits !== 8 && bits !== 16 && bits !== 32) throw wrong(`[${section}] says SaveBits=${value("SaveBits")}; known are 8, 16 and 32`); // prettier-ignore
    const mode = value("SaveMode") ?? "Binary";
    if (mode !== "Binary") throw wrong(`[${section}] says SaveMode=${mode}; known is Binary`);
    blocks.push({
      section,
      group: value("Frame") ?? list.get(`Gr${g}-Name`) ?? "",
      channel: value("Dim2Name") ?? section,
      unit: value("Dim2Unit") ?? "",
      points,
      lines,
      at,
      header,
      code: { bytes: (bits / 8) as 1 | 2 | 4, signed: value("SaveSign") !== "Unsigned", little: value("SaveOrder") !== "Motorola" }, // prettier-ignore
      min: numberIn(value("Dim2Min")),
      range: numberIn(value("Dim2Range")),
    });
    at += (points * lines * bits) / 8;
    if (blocks.length > MOST_CHANNELS) throw wrong(`[DataSet] lists more than ${MOST_CHANNELS} channels`);
  }
  if (at !== bytes.size)
    (at > bytes.size ? lost : warnings).push(`its header says blocks up to byte ${at}, but it ends at byte ${bytes.size}${at > bytes.size ? ": it is cut short, copy it again" : ""}`); // prettier-ignore
  for (const { section, min, range } of blocks)
    if (!(Number.isFinite(min) && Number.isFinite(range) && range > 0))
      warnings.push(`[${section}] has no Dim2Min and Dim2Range above 0, so its values are NaN`);
  return blocks;
}

/** Values of `count` samples from `first` on. */
async function valuesOf(
  bytes: Bytes,
  { at, code, min, range, section, channel }: Block,
  first: number,
  count: number,
  saturated?: { samples: number },
): Promise<Float64Array> {
  const raw = await bytes.read(at + first * code.bytes, count * code.bytes, `[${section}] ${channel}`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const values = new Float64Array(count);
  const levels = 2 ** (8 * code.bytes);
  const lowest = code.signed ? -levels / 2 : 0;
  const known = range > 0 && range < Infinity;
  for (let i = 0; i < count; i++) {
    const p = i * code.bytes;
    const level =
      (code.bytes === 4 ? (code.signed ? view.getInt32(p, code.little) : view.getUint32(p, code.little))
      : code.bytes === 2 ? (code.signed ? view.getInt16(p, code.little) : view.getUint16(p, code.little))
      : code.signed ? view.getInt8(p) : view.getUint8(p)) - lowest; // prettier-ignore
    if (saturated && (level === 0 || level === levels - 1)) saturated.samples++;
    values[i] = known ? (level / levels) * range + min : NaN;
  }
  return values;
}

type Info = (key: string) => string | undefined;

/** What the operator saw beside the image: one flat list, and in newer files the same in sections. */
function infoOf({ sections }: NidHeader): Info {
  const places = ["DataSet-Info", "DataSet\\DataSetInfos\\Scan", "DataSet\\DataSetInfos\\Spec", "DataSet\\DataSetInfos\\Global"]; // prettier-ignore
  return (key) => {
    for (const place of places) {
      const value = sections.get(place)?.values.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  };
}

/** "18-09-2017" and "15:14:19". */
function endOf(info: Info, zoned: Zoned, warnings: string[]): When | undefined {
  const [said, time] = [info("Date"), clockOf(info("Time") ?? "")];
  const [, day, month, year] = /^(\d\d)[-./](\d\d)[-./](\d{4})$/.exec(said ?? "") ?? [];
  const when = time === undefined || year === undefined ? undefined : whenOf(`${year}-${month}-${day}`, time, zoned); // prettier-ignore
  if (said !== undefined && !when)
    warnings.push(`says Date=${said} and Time=${info("Time")}, which is no time such as 18-09-2017 and 15:14:19; it counts as unknown`); // prettier-ignore
  return when;
}

// Images

interface Known {
  readonly name: RegExp;
  readonly ports: { readonly [unit: string]: ImagePort };
  readonly rank?: number;
}
const HEIGHT = { m: "topography" } as const;
const CHANNELS: readonly Known[] = [
  { name: /^(Z-Axis Sensor|Z-Position( Sensor)?)$/i, ports: HEIGHT, rank: 1 },
  { name: /^(Z-Axis|Topography|Z-Controller out(put)?)$/i, ports: HEIGHT },
  { name: /^Amplitude$/i, ports: { V: "amplitude_volt", m: "amplitude" } },
  { name: /^Phase$/i, ports: { "°": "phase", deg: "phase" } },
  { name: /^(Deflection|Z-Controller in(put)?)$/i, ports: { m: "deflection", V: "deflection_volt" } },
  { name: /^(Friction force|Lateral( force| deflection)?)$/i, ports: { V: "friction" } },
  { name: /^Tip current$/i, ports: { A: "current" } },
  { name: /^(Frequency( shift)?|Delta f|Freq\. shift)$/i, ports: { Hz: "frequency" } },
  { name: /^(KPFM|CPD|(Contact|Surface|Tip)[ -]?potential( difference)?|Potential)$/i, ports: { V: "potential" } }, // prettier-ignore
];
/** What a second pass over the lifted line tells of the surface; its height is the first one's. */
const OF_SECOND = new Set<ImagePort>(["current", "potential"]);

function imagesOf(
  bytes: Bytes,
  { sections }: NidHeader,
  blocks: readonly Block[],
  info: Info,
  end: When | undefined,
  warnings: string[],
): ImageSet | undefined {
  const scans = blocks.filter(({ group, points, lines }) => /^(2nd )?scan (forward|backward)$/i.test(group) && points > 0 && lines > 0); // prettier-ignore
  const first = scans[0];
  if (!first) return undefined;
  const { path } = bytes;
  const said = info("Scan direction") ?? "";
  const slowScan = said === "Up" ? UP : said === "Down" ? DOWN : UNKNOWN_SCAN;
  /** Lines from `from` up to `to` were scanned. */
  const scanned = ({ header, lines }: Block): readonly [from: number, to: number] => {
    const last = numberIn(header.values.get("CurLine"));
    if (!(Number.isInteger(last) && last >= 0 && last < lines)) return [0, lines];
    return slowScan === UP ? [0, last + 1] : slowScan === DOWN ? [last, lines] : [0, lines];
  };
  const channels = scans.map((block): ImageChannel => {
    const { channel, unit, group, points, lines, header } = block;
    const known = CHANNELS.find(({ name }) => name.test(channel));
    let port = known && Object.hasOwn(known.ports, unit) ? known.ports[unit] : undefined;
    const second = /^2nd/i.test(group);
    if (port && second && !OF_SECOND.has(port)) port = undefined;
    const size = (d: number): number => numberIn(header.values.get(`Dim${d}Range`));
    if (
      points !== first.points ||
      lines !== first.lines ||
      !Object.is(size(0), numberIn(first.header.values.get("Dim0Range")))
    ) {
      // prettier-ignore
      if (port) warnings.push(`[${block.section}] ${channel} is of another size than [${first.section}]; it is left out`); // prettier-ignore
      port = undefined;
    }
    const direction = /backward$/i.test(group) ? RETRACE : TRACE;
    return { name: `${group}: ${channel}`, port, unit: port ? IMAGE_PORTS[port][0] : unit, direction, rank: (known?.rank ?? 0) + (second ? 10 : 0), rows: lines, columns: points }; // prettier-ignore
  });
  const [from, to] = scanned(first);
  if (to - from < first.lines) warnings.push(`its scan ${said.toLowerCase()} was not finished: ${to - from} of ${first.lines} lines; the others are NaN`); // prettier-ignore

  const parameters = sections.get("DataSet\\Parameters\\Imaging")?.values;
  const vector = (key: string, i: number, unit: string, fallback: number): number => {
    const found = typedNumbers(parameters?.get(key))[i];
    return found?.unit === unit || (unit === "°" && found) ? found.value : fallback;
  };
  const line_s = vector("ScanTime", 0, "s", quantityIn(info("Time/Line"), "s"));
  const frame = {
    end,
    duration_s: line_s > 0 ? 2 * line_s * first.lines : NaN,
    slowScan,
    centerX_m: vector("ScanOffset", 0, "m", quantityIn(info("X-Pos"), "m")),
    centerY_m: vector("ScanOffset", 1, "m", quantityIn(info("Y-Pos"), "m")),
    angle_deg: vector("ScanRotation", 2, "°", quantityIn(info("Rotation"), "°")),
  } as const;
  const edge = (d: 0 | 1): number => {
    const size = numberIn(first.header.values.get(`Dim${d}Range`));
    return first.header.values.get(`Dim${d}Unit`) === "m" && size > 0 ? size : NaN;
  };
  return {
    frames: 1,
    timeFrom: "Date and Time of the file, taken for the end of the frame",
    sizeX_m: edge(0),
    sizeY_m: edge(1),
    channels,
    frame: async () => frame,
    async read(channel) {
      const block = scans[channel]!;
      const { points, lines, section } = block;
      if (points * lines > MOST_PIXELS) throw new SourceError(`${path}: [${section}] says ${lines} × ${points} pixels; at most ${MOST_PIXELS} can be read`); // prettier-ignore
      if (block.at + points * lines * block.code.bytes > bytes.size) await valuesOf(bytes, block, 0, points * lines); // prettier-ignore
      const values = new Float32Array(points * lines).fill(NaN);
      const [begin, done] = scanned(block);
      const together = Math.max(1, Math.floor(PIXELS_AT_ONCE / points));
      for (let line = begin; line < done; line += together) {
        const count = Math.min(together, done - line) * points;
        values.set(await valuesOf(bytes, block, line * points, count), line * points);
      }
      return values;
    },
  };
}

const PIXELS_AT_ONCE = 1 << 16;

// Force curves

const SEGMENTS = ["Spec forward", "Spec fwd pause", "Spec backward", "Spec bwd pause"] as const;
const SENSOR = /^Z-(Axis|Position) Sensor$/i, PIEZO = /^Z-(Axis|Position)$/i, DEFLECTION = /^Deflection$/i; // prettier-ignore

function curvesOf(
  bytes: Bytes,
  header: NidHeader,
  blocks: readonly Block[],
  end: When | undefined,
): CurveSet | undefined {
  const { path } = bytes;
  const parts = SEGMENTS.map((name) => ({
    name,
    blocks: blocks.filter(({ group, lines, points }) => group.toLowerCase() === name.toLowerCase() && lines > 0 && points > 0), // prettier-ignore
  })).filter((part) => part.blocks.length > 0);
  if (parts.length === 0) return undefined;
  const everywhere = (name: RegExp): boolean => parts.every((part) => part.blocks.some(({ channel }) => name.test(channel))); // prettier-ignore
  // A pause may have fewer channels than its neighbours: one sensor must serve the whole curve, or it would jump.
  const height = everywhere(SENSOR) ? SENSOR : everywhere(PIEZO) ? PIEZO : undefined;
  const expected = Math.max(...parts.flatMap((part) => part.blocks.map(({ lines }) => lines)));
  const done = Math.min(...parts.flatMap((part) => part.blocks.map((block) => linesDone(block, bytes.size))));
  if (done === 0) throw new SourceError(`${path}: none of its ${expected} curves is whole: it ends at byte ${bytes.size}; copy it again`); // prettier-ignore
  const file = calibrationOf(header);
  const place = placesOf(header, expected);
  const saidOnce = new Set<string>();

  const durations = new Map<string, number>();
  const parameters = header.sections.get("DataSet\\Parameters\\Spectroscopy")?.values;
  for (const [name, key] of [
    ["Spec forward", "FwModTime"],
    ["Spec backward", "BwModTime"],
    ["Spec fwd pause", "FwPauseTime"],
    ["Spec bwd pause", "BwPauseTime"],
  ] as const)
    // prettier-ignore
    durations.set(name, typedNumbers(parameters?.get(key))[0]?.value ?? NaN);
  const duration_s = parts.reduce((sum, { name }) => sum + durations.get(name)!, 0);

  /** The file has one time, its end; how long the scanner took between two curves it does not say. */
  const timeOf = (number: number): When | undefined => {
    const before_s = number === done - 1 ? 0 : (done - 1 - number) * duration_s;
    return end && before_s < 1e8 ? { ...end, ns: end.ns - BigInt(Math.round(before_s * 1e9)) } : undefined;
  };

  return {
    grid: place.grid,
    numbers: Array.from({ length: done }, (_, i) => i),
    expected,
    timeFrom: "time of the file, less the durations of the curves behind it",
    timeOf: async (number) => timeOf(number),
    async read(number, byHand) {
      if (!(number >= 0 && number < expected)) throw new SourceError(`${path}: has no curve ${number}`);
      const warnings: string[] = [];
      const named = expected === 1 ? "curve" : `curve ${number}`;
      const read: Part[] = [];
      for (const { name, blocks: channels } of parts) {
        const saturated = { samples: 0 };
        const deflection = channels.find(({ channel }) => DEFLECTION.test(channel));
        const z = height && channels.find(({ channel }) => height.test(channel));
        const of = deflection ?? z ?? channels[0]!;
        if (number >= of.lines) continue;
        const samples = Math.min(pointsOf(of, number), z ? pointsOf(z, number) : Infinity);
        if (samples > MOST_SAMPLES) throw new SourceError(`${path}: ${named}: [${of.section}] says ${samples} samples; at most ${MOST_SAMPLES} can be read`); // prettier-ignore
        const line = (block: Block | undefined, count?: { samples: number }): Promise<Float64Array> =>
          block && number < block.lines
            ? valuesOf(bytes, block, number * block.points, samples, count)
            : Promise.resolve(new Float64Array(samples).fill(NaN));
        const heights = z ? await line(z) : height ? await line(undefined) : ramp(of, number, samples);
        const deflections = await line(deflection, saturated);
        if (saturated.samples > 0) warnings.push(`${saturated.samples} of ${samples} samples of Deflection in "${name}" are at the end of the range that can be stored`); // prettier-ignore
        read.push({ name, z: heights, deflection: deflections, unit: deflection?.unit });
      }
      if (read.every(({ z }) => z.length === 0)) throw new SourceError(`${path}: ${named} has no samples`);
      return { ...assemble(read, file, byHand, warnings, saidOnce), name: named, time: timeOf(number)?.ns, duration_s, ...place.of(number), warnings }; // prettier-ignore
    },
  };
}

interface Part {
  readonly name: (typeof SEGMENTS)[number];
  readonly z: Float64Array;
  readonly deflection: Float64Array;
  readonly unit: string | undefined;
}

/** Curves that are there: up to CurLine, where a map was ended early, or up to the end of the file. */
function linesDone({ header, lines, points, at, code }: Block, fileBytes: number): number {
  const last = numberIn(header.values.get("CurLine"));
  const recorded = Number.isInteger(last) && last >= 0 && last < lines ? last + 1 : lines;
  return Math.max(0, Math.min(recorded, Math.floor((fileBytes - at) / (points * code.bytes))));
}

/** Samples of one line; what its header says beyond the block is cut. */
function pointsOf({ header, points }: Block, line: number): number {
  const own = header.lines.points.get(line);
  return Number.isInteger(own) && own >= 0 && own < points ? own : points;
}

/** Z where no channel has it: the axis along which the line was recorded. */
function ramp({ header }: Block, line: number, samples: number): Float64Array {
  const z = new Float64Array(samples).fill(NaN);
  if (!/^Z-/i.test(header.values.get("Dim0Name") ?? "") || header.values.get("Dim0Unit") !== "m") return z;
  const own = (which: "min" | "range", key: string): number => {
    const value = header.lines[which].get(line);
    return Number.isNaN(value) ? numberIn(header.values.get(key)) : value;
  };
  const [min, range] = [own("min", "Dim0Min"), own("range", "Dim0Range")];
  for (let i = 0; i < samples; i++) z[i] = min + (range * i) / Math.max(1, samples - 1);
  return z;
}

function assemble(
  parts: readonly Part[],
  file: Calibration,
  byHand: Calibration,
  warnings: string[],
  saidOnce: Set<string>,
): Pick<Curve, "height_m" | "force_N" | "segment" | keyof Calibration> {
  const total = parts.reduce((sum, { z }) => sum + z.length, 0);
  const height_m = new Float64Array(total);
  const force_N = new Float64Array(total);
  const segment = new Uint8Array(total);
  const ofFile: string[] = [];
  const units = new Set(parts.map(({ unit }) => unit));
  const [unit] = units;
  const known = units.size === 1 && (unit === "V" || unit === "m" || unit === "N");
  if (!known) ofFile.push(`its deflection is in ${[...units].map((u) => u ?? "no channel").join(" and ")}; wanted V, m or N, so force is NaN`); // prettier-ignore
  const scale = forceScale(known ? (unit as DeflectionUnit) : "V", file, byHand, ofFile);
  if (parts.some(({ z }) => z.some(Number.isNaN))) ofFile.push("it has no height in all its segments, neither as a channel nor as their axis, so height is NaN there"); // prettier-ignore
  const forward = parts.find(({ name }) => name === "Spec forward");
  let at = 0;
  for (const { name, z, deflection } of parts) {
    const run = change(z);
    const pause = name.endsWith("pause");
    if (name === "Spec backward" && forward && run * change(forward.z) > 0) {
      z.reverse();
      deflection.reverse();
    }
    const down = change(z); // Z grows towards the sample
    const code = pause ? PAUSE : (down === 0 ? name === "Spec forward" : down > 0) ? APPROACH : RETRACT;
    for (let i = 0; i < z.length; i++) height_m[at + i] = -z[i]!;
    for (let i = 0; i < z.length; i++) force_N[at + i] = known ? deflection[i]! * scale.force_N : NaN;
    segment.fill(code, at, at + z.length);
    at += z.length;
  }
  for (const warning of ofFile) {
    if (saidOnce.has(warning)) continue;
    saidOnce.add(warning);
    warnings.push(warning);
  }
  return {
    height_m, force_N, segment,
    springConstant_N_per_m: scale.springConstant_N_per_m,
    deflectionSensitivity_m_per_V: scale.deflectionSensitivity_m_per_V,
  }; // prettier-ignore
}

/** From the first sample to the last; 0 where there is none. */
function change(z: Float64Array): number {
  const by = z.length < 2 ? 0 : z.at(-1)! - z[0]!;
  return Number.isNaN(by) ? 0 : by;
}

/** Prop0 of the lever, and what one volt of its signal is in metres: both ranges are of the same input. */
function calibrationOf({ sections }: NidHeader): Calibration {
  const spring = typedNumbers(sections.get("DataSet\\Calibration\\Cantilever")?.values.get("Prop0"))[0];
  const range = new Map<string, number>();
  for (const [key, value] of sections.get("DataSet\\Calibration\\Scanhead")?.values ?? []) {
    if (!/^In\d+$/.test(key)) continue;
    const [, input = "", , unit = "", most] = value.split(",");
    range.set(`${input} [${unit}]`, numberIn(most));
  }
  const perVolt = range.get("TipSignalDC [m]")! / (range.get("TipSignalDC1 [V]") ?? NaN);
  return {
    springConstant_N_per_m: spring?.unit === "N/m" ? spring.value : NaN,
    deflectionSensitivity_m_per_V: perVolt > 0 && perVolt < Infinity ? perVolt : NaN,
  };
}

interface Places {
  readonly grid: Grid | undefined;
  of(number: number): Pick<Curve, "index" | "x_m" | "y_m">;
}

/** Of `Map0=x0;x1;y0;y1;columns;rows;…`, or of one `Pos<n>=x;y` a curve. */
function placesOf({ sections }: NidHeader, curves: number): Places {
  const map = (sections.get("DataSet\\SpecInfos\\SpecMapTable")?.values.get("Map0") ?? "").split(";").map(numberIn); // prettier-ignore
  const [x0 = NaN, x1 = NaN, y0 = NaN, y1 = NaN, columns = NaN, rows = NaN] = map;
  const repeated = typedNumbers(sections.get("DataSet\\Parameters\\Spectroscopy")?.values.get("Repetition"))[0]?.value ?? 1; // prettier-ignore
  const fits = columns >= 1 && rows >= 1 && columns * rows <= MOST_PIXELS && Number.isInteger(columns * rows) && (repeated <= 1 ? curves <= columns * rows : curves === columns * rows); // prettier-ignore
  if (fits && curves > 1) {
    const pitch = (a: number, b: number, n: number): number => (n > 1 ? (b - a) / (n - 1) : NaN);
    const [dx, dy] = [pitch(x0, x1, columns), pitch(y0, y1, rows)];
    return {
      grid: { columns, rows, sizeX_m: Math.abs(dx) * columns, sizeY_m: Math.abs(dy) * rows },
      of(number) {
        const visitedRow = Math.floor(number / columns);
        const along = number % columns;
        const visitedColumn = visitedRow % 2 === 1 ? columns - 1 - along : along;
        const row = dy < 0 ? rows - 1 - visitedRow : visitedRow;
        const column = dx < 0 ? columns - 1 - visitedColumn : visitedColumn;
        const x_m = columns > 1 ? x0 + visitedColumn * dx : x0;
        const y_m = rows > 1 ? y0 + visitedRow * dy : y0;
        return { index: row * columns + column, x_m, y_m };
      },
    };
  }
  const table = sections.get("DataSet\\SpecInfos\\SpecPosTable")?.values;
  const axes = (table?.get("PosAxis") ?? "X;Y;Z").split(";");
  const units = (table?.get("PosUnits") ?? table?.get("PosUnit") ?? "m;m;m").split(";");
  return {
    grid: undefined,
    of(number) {
      const position = (table?.get(`Pos${number}`) ?? "").split(";").map(numberIn);
      const axis = (name: string): number => {
        const i = axes.indexOf(name);
        return units[i] === "m" ? (position[i] ?? NaN) : NaN;
      };
      return { index: number, x_m: axis("X"), y_m: axis("Y") };
    },
  };
}
