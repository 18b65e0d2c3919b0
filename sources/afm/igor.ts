/**
 * Force curves and images of Asylum Research's microscopes (MFP-3D, Cypher): Igor binary waves (igor-wave.ts) with a
 * note of `key: value` lines, each ended by a carriage return.
 *
 * Force: a wave [sample, column] or [sample, column, curve] with columns named Raw, Defl, ZSnsr (all in m).
 *
 *     F = Defl × SpringConstant      Defl was computed by InvOLS, which an override therefore rescales
 *     height = -ZSnsr                the sensor grows towards the sample; without one LVDT, then Raw (the piezo)
 *
 * `Indexes: 0,5057,10096` and `Direction: NaN,1,-1` cut it: segment j holds the samples from Indexes[j-1] up to
 * before Indexes[j], the last one its end as well, and goes up (1, approach), down (-1, retract) or rests (0).
 *
 * Image: a wave [x, y, layer]. Dimension 1 grows with y, as an Igor graph shows it, so the first row that is stored is
 * that of the smallest y, and `ScanDown: 0` means that it was scanned first (in our sample the creep after the start
 * decays from there on). A retrace is stored by place, as the trace is: column 0 is the same place in both.
 *
 * `Seconds` (since 1904, by the machine's clock) is when the note was closed: with the last line of an image (behind
 * its entry `@Line: 124` of 128), and with the end of a curve (5.05 s of samples after `StartTempSeconds`).
 */
import { SourceError } from "../../runtime/index.ts";
import {
  APPROACH, DOWN, IMAGE_PORTS, PAUSE, RETRACE, RETRACT, TRACE, UNKNOWN_SCAN, UNKNOWN_SEGMENT, UP,
  type AfmFile, type CurveSet, type Format, type ImageChannel, type ImagePort, type ImageSet, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { forceScale } from "./force-scale.ts";
import { looksLikeIgorWave, openIgorWave, type IgorWave } from "./igor-wave.ts";
import { clockOf, whenOf } from "./wall-clock.ts";

export const igorWave: Format = {
  name: "Igor binary waves of Asylum Research",
  looks: looksLikeIgorWave,
  async open(path, zoned) {
    const wave = await openIgorWave(path);
    try {
      return readHeaders(wave, zoned);
    } catch (error) {
      await wave.close();
      throw error;
    }
  },
};

/** More samples or pixels than any microscope records at once; a damaged header might claim them. */
const MOST_SAMPLES = 1 << 23, MOST_PIXELS = 1 << 25; // prettier-ignore

function readHeaders(wave: IgorWave, zoned: Zoned): AfmFile {
  const { path } = wave;
  const note = parseNote(wave.note);
  const warnings: string[] = [];
  const columns = wave.labels[1] ?? [];
  const deflection = DEFLECTIONS.find(({ name }) => columns.includes(name));
  const isForce = wave.shape.length >= 2 && deflection !== undefined;
  const isImage = !isForce && wave.shape.length >= 2 && wave.shape[0]! > 1 && wave.shape[1]! > 1 && note.has("ScanSize"); // prettier-ignore
  if (!isForce && !isImage) {
    const shape = wave.shape.join(" × ") || "no";
    throw new SourceError(`${path}: is an Igor wave "${wave.name}" of ${shape} values, but neither a force curve (columns Defl and ZSnsr) nor an image (two dimensions and a ScanSize in its note)`); // prettier-ignore
  }
  const end = endOf(wave, note, zoned, warnings);
  const curves = isForce ? curvesOf(wave, note, deflection, end) : undefined;
  const images = isImage ? imagesOf(wave, note, end, warnings) : undefined;
  return {
    path,
    format: `Igor binary wave, version ${wave.version}, ${isForce ? "force curve" : "image"}`,
    instrument: note.text("MicroscopeModel"),
    software: note.text("Version"),
    start: undefined,
    warnings,
    ...(curves && { curves }),
    ...(images && { images }),
    close: () => wave.close(),
  };
}

interface Note {
  has(key: string): boolean;
  /** The first entry of that key; "" where there is none. */
  text(key: string): string;
  /** Its leading number: of "2.0032@Line: 124" 2.0032; NaN where there is none. */
  number(key: string): number;
  /** Numbers of all entries of that key: a setting changed during the scan stands there again. */
  numbers(key: string): readonly number[];
}

function parseNote(note: string): Note {
  const entries = new Map<string, string[]>();
  for (const line of note.split(/[\r\n]+/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const key = line.slice(0, colon).trim();
    const list = entries.get(key);
    const value = line.slice(colon + 1).trim();
    if (list) list.push(value);
    else entries.set(key, [value]);
  }
  const text = (key: string): string => entries.get(key)?.[0] ?? "";
  return {
    has: (key) => entries.has(key),
    text,
    number: (key) => leadingNumber(text(key)),
    numbers: (key) => (entries.get(key) ?? []).map(leadingNumber),
  };
}

function leadingNumber(text: string): number {
  const match = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text);
  return match ? Number(match[0]) : NaN;
}

const SECONDS_1904_TO_1970 = 2_082_844_800;

/** When the note was closed, else when the wave was last changed. */
function endOf(wave: IgorWave, note: Note, zoned: Zoned, warnings: string[]): When | undefined {
  const seconds = /^(\d{9,10})(\.\d{1,9})?\d*$/.exec(note.text("Seconds"));
  const whole = seconds ? Number(seconds[1]) : wave.modified_s;
  const date = new Date((whole - SECONDS_1904_TO_1970) * 1000).toISOString();
  const time = date.slice(11, 19) + (seconds?.[2] ?? "");
  const bySeconds = whole > 0 ? whenOf(date.slice(0, 10), time, zoned) : undefined;
  const clock = clockOf(note.text("Time"));
  const byClock = clock === undefined ? undefined : whenOf(note.text("Date"), clock, zoned);
  if (!seconds && byClock) return byClock;
  if (bySeconds && byClock) {
    const apart_s = Number(bySeconds.ns - byClock.ns) / 1e9;
    if (Math.abs(apart_s) > 2)
      warnings.push(`its note says Seconds ${note.text("Seconds")}, which is ${apart_s} s from Date ${note.text("Date")} and Time ${note.text("Time")}; Seconds counts`); // prettier-ignore
  }
  return bySeconds ?? byClock;
}

// Force curves

const DEFLECTIONS = [
  { name: "Defl", unit: "m" },
  { name: "DeflV", unit: "V" },
  { name: "DeflVolts", unit: "V" },
] as const;
/** Sensors first: what was measured counts, not what was asked for. */
const HEIGHTS = ["ZSnsr", "LVDT", "Raw"];
const DIRECTIONS = new Map([["1", APPROACH], ["-1", RETRACT], ["0", PAUSE]]); // prettier-ignore

function curvesOf(
  wave: IgorWave,
  note: Note,
  deflection: (typeof DEFLECTIONS)[number],
  end: When | undefined,
): CurveSet {
  const { path } = wave;
  const [samples = 0, columns = 0, curves = 1] = wave.shape;
  const labels = wave.labels[1]!;
  if (samples < 2) throw new SourceError(`${path}: its curve has ${samples} samples; wanted an approach`);
  if (samples > MOST_SAMPLES)
    throw new SourceError(`${path}: its header says ${samples} samples a curve; at most ${MOST_SAMPLES} can be read`); // prettier-ignore
  if (wave.shape.length > 3) throw new SourceError(`${path}: has ${wave.shape.length} dimensions; wanted samples, columns and curves`); // prettier-ignore
  const heightName = HEIGHTS.find((name) => labels.includes(name));
  const file = {
    springConstant_N_per_m: note.number("SpringConstant"),
    deflectionSensitivity_m_per_V: note.number("InvOLS"),
  };
  const interval_s = wave.dimensionUnits[0] === "s" ? wave.scale[0]! : 1 / note.number("NumPtsPerSec");
  const duration_s = interval_s > 0 && interval_s < 1e4 ? samples * interval_s : NaN;

  const nameOf = (number: number): string => (curves === 1 ? "curve" : `curve ${number}`);
  const column = (number: number, name: string): Promise<Float64Array> =>
    wave.read((number * columns + labels.indexOf(name)) * samples, samples, `column ${name} of ${nameOf(number)}`); // prettier-ignore

  return {
    grid: undefined,
    numbers: Array.from({ length: Math.min(curves, MOST_SAMPLES) }, (_, i) => i),
    expected: curves,
    timeFrom: "when its note was closed, at the end of the curve",
    timeOf: async () => end,
    async read(number, byHand) {
      if (!(number >= 0 && number < curves)) throw new SourceError(`${path}: has no curve ${number}`);
      const warnings: string[] = [];
      if (!heightName) warnings.push(`has no column ${HEIGHTS.join(", ")} (it has ${labels.join(", ")}), so height is NaN`); // prettier-ignore
      const height_m = heightName ? await column(number, heightName) : new Float64Array(samples).fill(NaN);
      const force_N = await column(number, deflection.name);
      const segment = segmentsOf(note, height_m, warnings);
      checkTrigger(note, deflection.unit, file.springConstant_N_per_m, force_N, segment, warnings);
      for (let i = 0; i < samples; i++) height_m[i] = -height_m[i]!;
      const scale = forceScale(deflection.unit, file, byHand, warnings);
      for (let i = 0; i < samples; i++) force_N[i]! *= scale.force_N;
      return {
        name: nameOf(number),
        index: number,
        time: end?.ns,
        duration_s,
        x_m: note.number("XLVDT"),
        y_m: note.number("YLVDT"),
        height_m,
        force_N,
        segment,
        springConstant_N_per_m: scale.springConstant_N_per_m,
        deflectionSensitivity_m_per_V: scale.deflectionSensitivity_m_per_V,
        warnings,
      };
    },
  };
}

/** Segment of each sample; `z` grows towards the sample. */
function segmentsOf(note: Note, z: Float64Array, warnings: string[]): Uint8Array {
  const samples = z.length;
  const segment = new Uint8Array(samples).fill(UNKNOWN_SEGMENT);
  const list = (key: string): string[] => note.text(key).split(/[,;\s]+/).filter((part) => part !== ""); // prettier-ignore
  const indexes = list("Indexes").map(Number);
  const directions = list("Direction");
  const rising = indexes.every((index, j) => Number.isInteger(index) && index >= (j === 0 ? 0 : indexes[j - 1]!)); // prettier-ignore
  if (indexes.length >= 2 && rising && indexes.at(-1)! <= samples && directions.length >= indexes.length) {
    for (let j = 1; j < indexes.length; j++) {
      const end = j === indexes.length - 1 ? indexes[j]! + 1 : indexes[j]!;
      const code = DIRECTIONS.get(directions[j]!) ?? UNKNOWN_SEGMENT;
      if (code === UNKNOWN_SEGMENT) warnings.push(`its note says Direction ${directions[j]}; known are 1, -1 and 0`); // prettier-ignore
      segment.fill(code, indexes[j - 1], Math.min(end, samples));
    }
    const rest = samples - Math.min(indexes.at(-1)! + 1, samples);
    if (rest > 0) warnings.push(`its note says Indexes up to ${indexes.at(-1)}, but it has ${rest} samples more; they are of no segment`); // prettier-ignore
    return segment;
  }
  let turn = -1;
  for (let i = 0; i < samples; i++) if (!Number.isNaN(z[i]!) && !(turn >= 0 && z[i]! <= z[turn]!)) turn = i;
  const said = note.has("Indexes") ? `its note says Indexes ${note.text("Indexes")} and Direction ${note.text("Direction")}, which do not fit its ${samples} samples` : "its note has no Indexes"; // prettier-ignore
  if (turn < 0)
    warnings.push(`${said}, and it has no height that could be cut at its turn; it is of no segment`); // prettier-ignore
  else {
    warnings.push(`${said}; it is cut where its height turns, at sample ${turn}`);
    segment.fill(APPROACH, 0, turn + 1).fill(RETRACT, turn + 1);
  }
  return segment;
}

/**
 * An approach ends when what was triggered on has risen by TriggerPoint above the baseline before it. A factor of more
 * than 4 between what was asked for and what was decoded means that the scale is wrong, or that it ended otherwise.
 */
function checkTrigger(
  note: Note,
  unit: "m" | "V",
  spring_N_per_m: number,
  deflection: Float64Array,
  segment: Uint8Array,
  warnings: string[],
): void {
  const channel = note.text("TriggerChannel");
  const scale = unit === "m"
    ? { Deflection: 1, Force: spring_N_per_m }[channel]
    : { DeflVolts: 1 }[channel]; // prettier-ignore
  const trigger = note.number("TriggerPoint") * (note.number("TriggerSlope") < 0 ? -1 : 1);
  const last = segment.lastIndexOf(APPROACH);
  if (!(scale! > 0) || !(trigger > 0) || last < 16 || note.number("IsTriggered") === 0) return;
  const first = segment.indexOf(APPROACH);
  const far = deflection.slice(first, first + Math.max(4, (last - first) / 10)).filter((d) => !Number.isNaN(d)).sort(); // prettier-ignore
  const near = deflection
    .slice(Math.max(first, last - 3), last + 1)
    .filter((d) => !Number.isNaN(d))
    .sort();
  const risen = (near.at(-1)! - far[far.length >> 1]!) * scale!;
  if (!(risen > 4 * trigger || risen < trigger / 4)) return;
  const of = { Force: "N", Deflection: "m", DeflVolts: "V" }[channel]!;
  warnings.push(`its ${channel} rises by ${risen.toExponential(2)} ${of} in the approach, the trigger is set to ${trigger.toExponential(2)} ${of}: the approach ended otherwise, or the scale is wrong`); // prettier-ignore
}

// Images

/** Channels by their label without Trace or Retrace; numbers are in the port's unit. */
const CHANNELS = new Map<string, readonly [port: ImagePort, rank: number]>([
  ["ZSensor", ["topography", 1]],
  ["Height", ["topography", 0]],
  ["Amplitude", ["amplitude", 0]],
  ["Amplitude1", ["amplitude", 0]],
  ["AmplitudeVolts", ["amplitude_volt", 0]],
  ["AmpVolts", ["amplitude_volt", 0]],
  ["Phase", ["phase", 0]],
  ["Phase1", ["phase", 0]],
  ["Frequency", ["frequency", 0]],
  ["Deflection", ["deflection", 0]],
  ["DeflVolts", ["deflection_volt", 0]],
  ["Lateral", ["friction", 0]],
  ["Current", ["current", 0]],
  ["Current2", ["current", -1]],
  ["Potential", ["potential", 0]],
]);
/** What a second pass over the lifted line ("Nap") tells of the surface; its height is the first one's. */
const OF_NAP = new Set<ImagePort>(["current", "potential"]);

/** "HeightTrace", "NapPotentialRetrace"; a copy that was worked on afterwards ends on "Mod0" or the like. */
function channelOf(label: string, rows: number, columns: number): ImageChannel {
  const parts = /^(Nap)?(.+?)(Retrace|Trace)(.*)$/.exec(label);
  const [, before, name = label, way = "", after = ""] = parts ?? [];
  const nap = before !== undefined || after.startsWith("Nap");
  const known = CHANNELS.get(name);
  const port = known && nap && !OF_NAP.has(known[0]) ? undefined : known?.[0];
  return {
    name: label,
    port,
    unit: port ? IMAGE_PORTS[port][0] : "",
    direction: way === "Retrace" ? RETRACE : TRACE,
    rank: (known?.[1] ?? 0) + (nap ? 10 : 0) - (after === "" || nap ? 0 : 20),
    rows,
    columns,
  };
}

function imagesOf(wave: IgorWave, note: Note, end: When | undefined, warnings: string[]): ImageSet {
  const { path } = wave;
  const [columns = 0, rows = 0, layers = 1] = wave.shape;
  if (wave.shape.length > 3) throw new SourceError(`${path}: has ${wave.shape.length} dimensions; wanted x, y and layers`); // prettier-ignore
  if (columns * rows > MOST_PIXELS)
    throw new SourceError(`${path}: its header says frames of ${rows} × ${columns} pixels; at most ${MOST_PIXELS} pixels can be read`); // prettier-ignore
  const labels = wave.labels[2] ?? [];
  if (labels.length < layers || labels.includes(""))
    warnings.push(`only ${labels.filter((label) => label !== "").length} of its ${layers} layers have a label; the others are of no stream`); // prettier-ignore
  const channels = Array.from({ length: layers }, (_, i) => channelOf(labels[i] || `layer ${i + 1}`, rows, columns)); // prettier-ignore

  /** The scaling says how far two pixels are apart, the note how far the first from the last. */
  const size = (d: 0 | 1, key: string): number => {
    const [pixels, step, said] = [wave.shape[d]!, wave.scale[d]!, note.has(key) ? note.number(key) : note.number("ScanSize")]; // prettier-ignore
    const scaled = wave.dimensionUnits[d] === "m" && step > 0 ? step * pixels : NaN;
    const apart = Math.abs(scaled / said - 1);
    if (apart > 1.5 / (pixels - 1)) warnings.push(`its scaling says ${scaled} m along dimension ${d}, its note ${key} ${said} m; its scaling counts`); // prettier-ignore
    return Number.isNaN(scaled) ? (said > 0 ? (said / (pixels - 1)) * pixels : NaN) : scaled;
  };
  const rates = new Set(note.numbers("ScanRate"));
  const rate_Hz = note.number("ScanRate");
  if (rates.size > 1) warnings.push(`its scan rate was changed during the scan (${[...rates].join(", ")} Hz), so its duration is unknown`); // prettier-ignore
  const ways = new Set(note.numbers("ScanDown"));
  const way = ways.size === 1 ? note.number("ScanDown") : NaN;
  const frame = {
    end,
    duration_s: rates.size === 1 && rate_Hz > 0 ? rows / rate_Hz : NaN,
    slowScan: way === 0 ? UP : way === 1 ? DOWN : UNKNOWN_SCAN,
    centerX_m: note.number("XOffset"),
    centerY_m: note.number("YOffset"),
    angle_deg: note.number("ScanAngle"),
  } as const;
  return {
    frames: 1,
    sizeX_m: size(0, "FastScanSize"),
    sizeY_m: size(1, "SlowScanSize"),
    channels,
    frame: async () => frame,
    async read(channel) {
      const { name } = channels[channel]!;
      const values = new Float32Array(rows * columns);
      const lines = Math.max(1, Math.floor(BLOCK / columns));
      for (let row = 0; row < rows; row += lines) {
        const count = Math.min(lines, rows - row) * columns;
        values.set(await wave.read((channel * rows + row) * columns, count, `channel ${name}`), row * columns); // prettier-ignore
      }
      return values;
    },
  };
}

/** Values read at once. */
const BLOCK = 1 << 16;
