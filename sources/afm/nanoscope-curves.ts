/**
 * Force curves in Bruker NanoScope files: a single ramp, a force volume (a ramp a pixel), a PeakForce capture (a
 * period of the sine a pixel).
 *
 * A curve is a block of little-endian integers: the approach, stored from the contact outwards, then the retract,
 * also from the contact outwards. `Samps/line` counts them the other way round: retract, approach. Rows of a map
 * begin with the lowest line, of the smallest y; curves run along x.
 *
 *     V = raw × hard scale [V/LSB]        the scale in brackets, here, and not the hard value behind it
 *     F = V × Sens. DeflSens × Spring Constant
 *     height = i × ramp size / n          0 at the end of the approach; of the sensor, where it was recorded
 *
 * `Deflection Sensitivity Correction` (1.08 in our sample) is not applied: it turns the sensitivity of a pressed
 * lever into that of a free one in the thermal calibration of k, and a ramp presses.
 *
 * PeakForce capture: the approach turned round and the retract make one period of n + n samples, in which
 *
 *     z(t) = A sin(2π f (t - dt))         dt = sync / (2 f n) - 1 / (4 f)
 *
 * lowers the probe, so that z is greatest `sync` samples after the begin; height = A - z. It is cut into approach and
 * retract at the greatest force. `Sync Distance QNM` counts samples of the instrument, of which a period has
 * `Sample Points`: where more were taken than stored, it is scaled down. We had no such file; the layout is PyFMReader's.
 *
 * Whether the scale is right the file itself tells: an approach ends when the deflection has risen by the trigger's
 * threshold. Force volumes are about whose samples carry eight more bits behind the point while their scale is
 * written as in a single ramp: taken by the letter, forces are 256 times too large. Of up to 16 curves, more than half
 * must rise by the threshold within a factor of 2, by the one scale or by the other; else the file is refused. Where
 * there is no threshold, the converter's range of 16 bit decides.
 *
 * A sample of -32768 was never taken: at the ends of a segment it is cut off, within it is NaN.
 */
import { SourceError } from "../../runtime/index.ts";
import { APPROACH, RETRACT, type Calibration, type Curve, type CurveSet, type Grid, type When } from "./afm-file.ts"; // prettier-ignore
import type { Bytes } from "../bytes.ts";
import { forceScale } from "./force-scale.ts";
import {
  numbersOf, scaleOf, secondsAt, sensitivityOf, sizeOf, siOf, type Header, type HeaderSection,
} from "./nanoscope-header.ts"; // prettier-ignore

export interface Asked {
  readonly bytes: Bytes;
  readonly header: Header;
  /** Its sections "Ciao force image list". */
  readonly forces: readonly HeaderSection[];
  /** Bytes of a sample, by the version of the file. */
  readonly sampleBytes: 2 | 4;
  readonly captured: When | undefined;
  /** Of the file; what is found is added. */
  readonly warnings: string[];
}

/** A map of 2048 × 2048 pixels: more is a damaged header. */
const MOST_CURVES = 1 << 22;
const PROBED = 16;
const UNTAKEN = -(2 ** 15), LEAST = -(2 ** 31); // prettier-ignore
const STEPS = 2 ** 15;
const FRACTION = 1 / 256;

/** A block of samples, curve after curve. */
interface Block {
  readonly name: string;
  readonly at: number;
  readonly sampleBytes: 2 | 4;
  readonly approach: number;
  readonly retract: number;
  readonly curves: number;
}

/** What makes numbers of a block's samples. */
interface Channel extends Block {
  /** Volts of one step of the converter; of a sensor of height, metres. */
  readonly perStep: number;
  /** Of a step, what the last bit of a sample is worth: 1, or 1/256. */
  readonly fraction: number;
}

interface Samples {
  /** Both from the contact outwards. NaN where never taken. */
  readonly approach: Float64Array;
  readonly retract: Float64Array;
}

export async function openNanoscopeCurves(asked: Asked): Promise<CurveSet> {
  const { bytes, header, forces, captured, warnings } = asked;
  const { path } = bytes;
  const [scan, force] = [header.section(/^ciao scan list$/i), header.section(/^ciao force list$/i)];
  const named = (pattern: RegExp): HeaderSection | undefined =>
    forces.find((section) => {
      const { inner, shown } = section.selection("image data") ?? { inner: "", shown: "" };
      return [inner, shown].some((name) => pattern.test(name));
    });
  const own = named(/^deflection ?(error)?$/i);
  if (!own) {
    const names = forces.map((section) => section.get("image data") ?? "without a name").join(", ");
    throw new SourceError(
      `${path}: has no force curves of the channel Deflection Error; it has ${names}; record the deflection`,
    );
  }
  const blockOf = (section: HeaderSection, name: string): Block => readBlock(asked, section, force, name);
  const block = blockOf(own, "deflection");
  const { curves } = block;
  const isCapture = scan.get("operating mode") === "Image" && scan.get("peakforce capture") === "Allow";

  const z = own.value("z scale");
  const volt = siOf(z?.unit ?? "");
  if (!z || !(Math.abs(z.perStep) > 0 && Math.abs(z.perStep) < Infinity) || volt?.base !== "V") {
    throw new SourceError(
      `${path}: the Z scale of its deflection is "${own.get("z scale") ?? "missing"}", wanted a number of V/LSB; its header is damaged, copy it again`,
    );
  }
  const perStep_V = z.perStep * volt.factor;
  const sensitivity_m_per_V = sensitivityFrom(header, own, z.softScale, warnings);

  const image = header.sections(/^ciao image list$/i)[0];
  const field = sizeOf(image, scan);
  const shape = curves > 1 ? shapeOf(curves, image, force, scan) : undefined;
  if (curves > 1 && !shape)
    warnings.push(
      `its ${curves} curves fit no grid that its header speaks of, so they are given without one`,
    );
  const grid: Grid | undefined = shape && { ...shape, ...field };

  const here = Math.min(
    curves,
    Math.floor((bytes.size - block.at) / (block.sampleBytes * (block.approach + block.retract))),
  );
  if (here < 1) {
    const wanted = block.at + block.sampleBytes * (block.approach + block.retract);
    throw new SourceError(
      `${path}: its first force curve ends at byte ${wanted}, but the file ends at byte ${bytes.size}; it is cut short, copy it again`,
    );
  }
  if (here < curves)
    warnings.push(
      `is cut short at byte ${bytes.size}: it holds ${here} of its ${curves} force curves; copy it again`,
    );

  const trigger = isCapture ? peakForce(scan) : triggerOf(force);
  const byTheLetter: Channel = { ...block, perStep: perStep_V, fraction: 1 };
  const probes: Samples[] = [];
  for (const number of spread(here, PROBED)) probes.push(await samplesOf(bytes, byTheLetter, number));
  const fraction = fractionOf({ path, probes, channel: byTheLetter, trigger, isCapture, warnings });
  const deflection: Channel = { ...byTheLetter, fraction };

  const ramp_m = isCapture ? NaN : rampOf(header, own);
  if (!isCapture && Number.isNaN(ramp_m))
    warnings.push(`its Ramp Size "${own.get("ramp size") ?? "missing"}" is no length, so height is NaN`);
  const sine = isCapture ? sineOf(scan, block, warnings) : undefined;
  const sensorSection = isCapture ? undefined : named(/^(z ?sensor|height ?sensor)$/i);
  const sensor = sensorSection && (await sensorOf(asked, sensorSection, block, { blockOf, ramp_m, here }));

  const each_s = secondsAt(1, isCapture ? sine!.frequency_Hz : force.number("scan rate"));
  // Of a capture, lines follow one another as in an image; of a volume, ramps without a pause.
  const whole_s = isCapture && grid ? secondsAt(grid.rows, scan.number("scan rate")) : curves * each_s;
  const down = image?.get("frame direction")?.toLowerCase() === "down";
  const numbers = Array.from({ length: here }, (_, i) => i);
  if (grid && down) numbers.sort((a, b) => Math.floor(b / grid.columns) - Math.floor(a / grid.columns) || a - b); // prettier-ignore

  const timeOf = (number: number): When | undefined => {
    if (!captured || curves === 1) return captured;
    if (Number.isNaN(whole_s)) return undefined;
    const row = grid && down ? grid.rows - 1 - Math.floor(number / grid.columns) : 0;
    const order = grid && down ? row * grid.columns + (number % grid.columns) : number;
    const before_ns = whole_s * 1e9 * (1 - (order + 1) / curves);
    return { ...captured, ns: captured.ns - BigInt(Math.round(before_ns)) };
  };
  const centre = { x_m: scan.length_m("x offset"), y_m: scan.length_m("y offset") };
  const angle_rad = ((scan.number("rotate ang.") || 0) * Math.PI) / 180;
  const placeOf = (number: number): { x_m: number; y_m: number } => {
    if (!grid) return curves === 1 ? centre : { x_m: NaN, y_m: NaN };
    const along = (((number % grid.columns) + 0.5) / grid.columns - 0.5) * grid.sizeX_m;
    const up = ((Math.floor(number / grid.columns) + 0.5) / grid.rows - 0.5) * grid.sizeY_m;
    return {
      x_m: centre.x_m + along * Math.cos(angle_rad) - up * Math.sin(angle_rad),
      y_m: centre.y_m + along * Math.sin(angle_rad) + up * Math.cos(angle_rad),
    };
  };

  return {
    grid,
    numbers,
    expected: curves,
    ...(!sensor && { topography: false }),
    timeFrom:
      curves === 1
        ? "Date of the file, taken for the end of the ramp"
        : "Date of the file, taken for the end of the map, and the rate of its curves",
    timeOf: async (number) => timeOf(number),
    async read(number, calibration): Promise<Curve> {
      const said: string[] = [];
      const samples = await samplesOf(bytes, deflection, number);
      const height = sensor && (await samplesOf(bytes, sensor, number));
      const curve = sine ? period(samples, sine, said) : ramp(samples, height, ramp_m);
      checkCurve(samples, deflection, trigger, said);
      const spring = own.number("spring constant");
      const file: Calibration = {
        springConstant_N_per_m: spring,
        deflectionSensitivity_m_per_V: sensitivity_m_per_V,
      };
      const scale = forceScale("V", file, calibration, said);
      return {
        name: curves === 1 ? "curve" : `curve ${number}`,
        index: number,
        time: timeOf(number)?.ns,
        duration_s: each_s,
        ...placeOf(number),
        height_m: curve.height_m,
        force_N: curve.volts.map((volts) => volts * scale.force_N),
        segment: curve.segment,
        springConstant_N_per_m: scale.springConstant_N_per_m,
        deflectionSensitivity_m_per_V: scale.deflectionSensitivity_m_per_V,
        warnings: said,
      };
    },
  };
}

/** Where the samples of a channel lie, from the section that describes it. */
function readBlock(
  { bytes: { path, size }, header, sampleBytes: usual }: Asked,
  section: HeaderSection,
  force: HeaderSection,
  name: string,
): Block {
  const counts = numbersOf(section.get("samps/line") ?? force.get("samps/line"));
  const [retract = NaN, approach = retract] = counts;
  const points = approach + retract;
  const [at, length] = [section.number("data offset"), section.number("data length")];
  const whole = [approach, retract].every((n) => Number.isInteger(n) && n >= 0) && points > 0;
  const fits = (sampleBytes: number): boolean => length > 0 && length % (sampleBytes * points) === 0;
  const sampleBytes = fits(usual) ? usual : usual === 4 && fits(2) ? 2 : undefined;
  if (!whole || !(Number.isInteger(at) && at > 0 && at < size) || sampleBytes === undefined) {
    const held = force.number("hold samples") > 0 ? `; ramps that hold (Hold Samples ${force.get("hold samples")}) are not known` : ""; // prettier-ignore
    throw new SourceError(
      `${path}: its ${name} lies at byte ${at} and has ${length} bytes, which are no whole number of curves of ${approach} + ${retract} samples of ${usual} bytes (version ${header.versionText || "unknown"})${held}; its header is damaged, copy it again`,
    );
  }
  const curves = length / (sampleBytes * points);
  if (curves > MOST_CURVES) {
    throw new SourceError(
      `${path}: its ${name} would hold ${curves} curves; known are up to ${MOST_CURVES}; its header is damaged, copy it again`,
    );
  }
  return { name, at, sampleBytes, approach, retract, curves };
}

/** Columns and rows of a map of so many curves, by what the header says of lines and of curves a line. */
function shapeOf(
  curves: number,
  image: HeaderSection | undefined,
  force: HeaderSection,
  scan: HeaderSection,
): { columns: number; rows: number } | undefined {
  const line = force.number("force/line");
  const candidates = [
    [numbersOf(image?.get("samps/line"))[0], image?.number("number of lines")],
    [line, line],
    [scan.number("samps/line"), scan.number("lines")],
    [line, curves / line],
  ] as const;
  for (const [columns = NaN, rows = NaN] of candidates)
    if (columns * rows === curves && Number.isInteger(columns) && Number.isInteger(rows))
      return { columns, rows };
  return undefined;
}

function sensitivityFrom(
  header: Header,
  section: HeaderSection,
  softScale: string | undefined,
  warnings: string[],
): number {
  const written = sensitivityOf(header, section, softScale);
  if (!written || (written.unit === "" && written.value === 1)) return NaN; // nobody has calibrated
  if (written.unit === "") {
    warnings.push(
      `[${softScale}] is ${written.value} without a unit; it is taken in nm/V, as NanoScope means it`,
    );
    return written.value * 1e-9;
  }
  const { factor, base } = scaleOf("V", written);
  return base === "m" ? factor : NaN;
}

interface Trigger {
  readonly volts: number;
  /** Of the deflection above its baseline; else of the deflection. */
  readonly relative: boolean;
  readonly what: "trigger" | "peak force setpoint";
}

/** Where an approach ends; undefined where the file does not say, or the ramps had no trigger. */
function triggerOf(force: HeaderSection): Trigger | undefined {
  const mode = force.get("trigger mode")?.toLowerCase() ?? "";
  const threshold = force.value("trig threshold deflection");
  const unit = siOf(threshold?.unit ?? "");
  if (!threshold || unit?.base !== "V" || !(threshold.value > 0) || !/^(relative|absolute)$/.test(mode))
    return undefined;
  return { volts: threshold.value * unit.factor, relative: mode === "relative", what: "trigger" };
}

/** The force at which PeakForce turns round. */
function peakForce(scan: HeaderSection): Trigger | undefined {
  const setpoint = scan.value("softharmonixsetpoint");
  const unit = siOf(setpoint?.unit ?? "");
  if (!setpoint || unit?.base !== "V" || !(setpoint.value > 0)) return undefined;
  return { volts: setpoint.value * unit.factor, relative: true, what: "peak force setpoint" };
}

/** Up to `most` whole numbers below `count`, evenly spread. */
const spread = (count: number, most: number): number[] =>
  Array.from({ length: Math.min(count, most) }, (_, i) => Math.floor((i * count) / Math.min(count, most)));

async function samplesOf(bytes: Bytes, channel: Channel, number: number): Promise<Samples> {
  const { at, sampleBytes, approach, retract, name, fraction } = channel;
  const length = sampleBytes * (approach + retract);
  const raw = await bytes.read(at + number * length, length, `the ${name} of curve ${number}`);
  const [untaken, perSample] = [UNTAKEN / fraction, channel.perStep * fraction];
  const part = (from: number, count: number): Float64Array => {
    const values = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const sample = sampleBytes === 2 ? raw.readInt16LE((from + i) * 2) : raw.readInt32LE((from + i) * 4);
      values[i] = sample === untaken || sample === LEAST ? NaN : sample * perSample;
    }
    return values;
  };
  return { approach: part(0, approach), retract: part(approach, retract) };
}

const median = (values: Float64Array): number => {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  return sorted.length > 0 ? sorted[sorted.length >> 1]! : NaN;
};

/** By how much a curve rises from the far tenth of its approach to the contact; NaN where it is too short to say. */
function riseOf({ approach, retract }: Samples, { relative, what }: Trigger): number {
  const taken = approach.filter((value) => !Number.isNaN(value));
  if (taken.length < 16) return NaN;
  const far = relative ? median(taken.subarray(-Math.max(4, Math.floor(taken.length / 10)))) : 0;
  if (what === "trigger") return median(taken.subarray(0, 3)) - far;
  const both = [...taken, ...retract.filter((value) => !Number.isNaN(value))];
  return both.reduce((most, value) => Math.max(most, value), -Infinity) - far;
}

interface ScaleAsked {
  readonly path: string;
  readonly probes: readonly Samples[];
  readonly channel: Channel;
  readonly trigger: Trigger | undefined;
  readonly isCapture: boolean;
  readonly warnings: string[];
}

/** 1 where samples mean what the header says, 1/256 where they have eight bits behind the point. */
function fractionOf({ path, probes, channel, trigger, isCapture, warnings }: ScaleAsked): number {
  const { perStep, sampleBytes, curves } = channel;
  const range_V = Math.abs(perStep) * STEPS;
  const beyond = probes.some(({ approach, retract }) =>
    [approach, retract].some((values) => values.some((value) => Math.abs(value) > range_V)),
  );
  const taken = (fraction: number, why: string): number => {
    if (fraction !== 1)
      warnings.push(`its samples carry eight more bits than its scale says (${why}), so deflection is taken as 1/256 of that`); // prettier-ignore
    return fraction;
  };
  const byRange = (): number => taken(beyond ? FRACTION : 1, `some are beyond the ${range_V.toPrecision(4)} V that 16 bit of ${perStep} V reach`); // prettier-ignore
  const rises = trigger
    ? probes.map((probe) => riseOf(probe, trigger)).filter((rise) => !Number.isNaN(rise))
    : [];
  if (!trigger || rises.length === 0) {
    const why = trigger ? "its approaches are too short" : `it has no ${isCapture ? "peak force setpoint" : "trigger threshold"}`; // prettier-ignore
    warnings.push(`the scale of its deflection could not be checked: ${why}`);
    return byRange();
  }
  const { what, volts } = trigger;
  const typical = median(Float64Array.from(rises));
  const why = `the ${what} is ${volts} V, and by the letter the deflection rises by ${typical.toPrecision(4)} V`;
  const fractions = sampleBytes === 4 ? [1, FRACTION] : [1];
  for (const fraction of fractions) {
    const near = rises.filter((rise) => rise * fraction >= volts / 2 && rise * fraction <= volts * 2);
    if (near.length > rises.length / 2) return taken(fraction, why);
  }
  // A single ramp may end before it reaches the sample; reading it says so.
  if (curves === 1 && typical * (beyond ? FRACTION : 1) < volts / 2) return byRange();
  if (isCapture) {
    warnings.push(`the scale of its deflection could not be checked: ${why}`);
    return byRange();
  }
  const orElse = sampleBytes === 4 ? `, or by ${(typical * FRACTION).toPrecision(4)} V with eight bits behind the point` : ""; // prettier-ignore
  throw new SourceError(
    `${path}: the scale of its deflection is not known: ${why}${orElse}; wanted within a factor of 2 in more than half of ${rises.length} curves; export its curves from NanoScope Analysis, or send us the file`,
  );
}

function checkCurve(
  samples: Samples,
  { perStep }: Channel,
  trigger: Trigger | undefined,
  warnings: string[],
): void {
  const limit = Math.abs(perStep) * (STEPS - 1) * (1 - 1e-9);
  let atLimit = 0;
  let untaken = 0;
  for (const values of [samples.approach, samples.retract]) {
    for (const value of values) {
      if (Math.abs(value) >= limit) atLimit++;
      else if (Number.isNaN(value)) untaken++;
    }
  }
  if (atLimit > 0) warnings.push(`deflection is at the end of the converter's range in ${atLimit} samples`);
  if (untaken > 0) warnings.push(`${untaken} samples were never taken (${UNTAKEN})`);
  if (!trigger || trigger.what !== "trigger") return;
  const rise = riseOf(samples, trigger);
  if (rise < trigger.volts / 2 || rise > trigger.volts * 2) {
    warnings.push(
      `deflection rises by ${rise.toPrecision(3)} V, the trigger is set to ${trigger.volts.toPrecision(3)} V: the approach ended early, or the scale is wrong`,
    );
  }
}

function rampOf(header: Header, section: HeaderSection): number {
  const size = section.value("ramp size");
  if (!size) return NaN;
  const { factor, base } = scaleOf(size.unit, sensitivityOf(header, section, size.softScale));
  const ramp_m = size.value * factor;
  return base === "m" && ramp_m > 0 && ramp_m < Infinity ? ramp_m : NaN;
}

/** The sensor of height; undefined, and a warning, where what it says and the ramp's size do not agree. */
async function sensorOf(
  { bytes, header, warnings }: Asked,
  section: HeaderSection,
  deflection: Block,
  about: {
    readonly blockOf: (section: HeaderSection, name: string) => Block;
    readonly ramp_m: number;
    readonly here: number;
  },
): Promise<Channel | undefined> {
  const { blockOf, ramp_m, here } = about;
  const leftOut = (why: string): undefined => {
    warnings.push(`its height sensor is left out, height is the ramp's: ${why}`);
  };
  let block: Block;
  try {
    block = blockOf(section, "height sensor");
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return leftOut(error.message.replace(`${bytes.path}: `, ""));
  }
  const z = section.value("z scale");
  const { factor, base } = scaleOf(z?.unit ?? "", z && sensitivityOf(header, section, z.softScale));
  const perStep = (z?.perStep ?? NaN) * factor;
  if (base !== "m" || !(Math.abs(perStep) > 0))
    return leftOut(`its scale "${section.get("z scale") ?? "missing"}" is no length`);
  if ((["curves", "approach", "retract"] as const).some((key) => block[key] !== deflection[key]))
    return leftOut(`it has ${block.curves} curves of ${block.approach} + ${block.retract} samples, the deflection ${deflection.curves} of ${deflection.approach} + ${deflection.retract}`); // prettier-ignore
  if (here * block.sampleBytes * (block.approach + block.retract) > bytes.size - block.at)
    return leftOut("it is cut short");
  const travels: number[] = [];
  for (const number of spread(here, PROBED)) {
    const { approach } = await samplesOf(bytes, { ...block, perStep, fraction: 1 }, number);
    const taken = approach.filter((value) => !Number.isNaN(value));
    if (taken.length > 1) travels.push(taken.at(-1)! - taken[0]!);
  }
  const travel = median(Float64Array.from(travels));
  for (const fraction of block.sampleBytes === 4 ? [1, FRACTION] : [1]) {
    const ratio = (Math.abs(travel) * fraction) / ramp_m;
    // It is to grow away from the sample, and an approach is stored from the contact outwards.
    if (ratio >= 0.5 && ratio <= 2) return { ...block, perStep: perStep * Math.sign(travel), fraction };
  }
  return leftOut(`it travels ${travel.toPrecision(3)} m in a ramp of ${ramp_m.toPrecision(3)} m`);
}

interface Curved {
  readonly height_m: Float64Array;
  readonly volts: Float64Array;
  readonly segment: Uint8Array;
}

/** First and one behind the last sample that was taken. */
function takenOf(values: Float64Array): readonly [from: number, to: number] {
  let [from, to] = [0, values.length];
  while (from < to && Number.isNaN(values[from]!)) from++;
  while (to > from && Number.isNaN(values[to - 1]!)) to--;
  return [from, to];
}

function ramp(samples: Samples, sensor: Samples | undefined, ramp_m: number): Curved {
  const [a, b] = takenOf(samples.approach);
  const [c, d] = takenOf(samples.retract);
  const length = b - a + d - c;
  const curve: Curved = {
    height_m: new Float64Array(length),
    volts: new Float64Array(length),
    segment: new Uint8Array(length),
  };
  const put = (to: number, part: "approach" | "retract", i: number, code: number): void => {
    const n = samples[part].length;
    const measured = sensor?.[part];
    curve.volts[to] = samples[part][i]!;
    curve.height_m[to] = measured?.length === n ? measured[i]! : (i * ramp_m) / n;
    curve.segment[to] = code;
  };
  let to = 0;
  for (let i = b - 1; i >= a; i--) put(to++, "approach", i, APPROACH);
  for (let i = c; i < d; i++) put(to++, "retract", i, RETRACT);
  return curve;
}

interface Sine {
  readonly amplitude_m: number;
  readonly frequency_Hz: number;
  /** Samples, as stored, from the begin to the lowest point; NaN where unknown. */
  readonly sync: number;
}

function sineOf(scan: HeaderSection, { approach, retract }: Block, warnings: string[]): Sine {
  const frequency = /^([\d.eE+-]+)\s*(k?Hz)$/.exec(scan.get("pft freq") ?? "");
  const frequency_Hz = Number(frequency?.[1] ?? NaN) * (frequency?.[2] === "kHz" ? 1e3 : 1);
  const amplitude_m = scan.number("peak force amplitude") * 1e-9;
  if (!(frequency_Hz > 0 && frequency_Hz < Infinity) || !(amplitude_m > 0 && amplitude_m < Infinity)) {
    warnings.push(
      `its PFT Freq "${scan.get("pft freq") ?? "missing"}" and Peak Force Amplitude "${scan.get("peak force amplitude") ?? "missing"}" are no frequency and no length above zero, so height is NaN`,
    );
    return { amplitude_m: NaN, frequency_Hz: NaN, sync: NaN };
  }
  const written = ["sync distance qnm", "sync distance new"].map((key) => scan.number(key)).find((n) => n > 0); // prettier-ignore
  const taken = scan.number("sample points");
  const stored = approach + retract;
  // Where Sample Points is what half a period has, the distance is taken to count stored samples, as PyFMReader does.
  const share = taken > 0 && taken !== approach ? stored / taken : 1;
  if (written === undefined)
    warnings.push("its Sync Distance QNM is missing, so the greatest force is taken for the lowest point");
  return { amplitude_m, frequency_Hz, sync: written === undefined ? NaN : written * share };
}

/** One period of the sine, cut at the greatest force. */
function period({ approach, retract }: Samples, { amplitude_m, sync }: Sine, warnings: string[]): Curved {
  const volts = new Float64Array(approach.length + retract.length);
  volts.set(approach.slice().reverse());
  volts.set(retract, approach.length);
  let peak = 0;
  for (let i = 1; i < volts.length; i++) if (volts[i]! > volts[peak]! || Number.isNaN(volts[peak]!)) peak = i;
  if (peak === 0 || peak === volts.length - 1)
    warnings.push("the greatest force is at the end of the period, so one of the segments is empty");
  const lowest = Number.isNaN(sync) ? peak : sync;
  // A sin(2π f (t - dt)) with t = i / (2 f n): greatest at i = sync.
  const height_m = volts.map((_, i) => amplitude_m * (1 - Math.cos((2 * Math.PI * (i - lowest)) / volts.length))); // prettier-ignore
  return {
    height_m,
    volts,
    segment: new Uint8Array(volts.length).fill(RETRACT, peak).fill(APPROACH, 0, peak),
  };
}
