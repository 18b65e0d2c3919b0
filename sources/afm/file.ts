/**
 * Force curves, images and thermal spectra of an atomic force microscope from its own files, found by their content
 * (formats.ts). Curves and frames come one by one; a file is never held whole.
 */
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  choice, code, curve, defineSource, flag, image, quantity, REQUIRED, scalar, SourceError, text,
  type Fault, type Schema, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { filesOf, isPattern, Settled } from "../file-list.ts";
import { instantOf, readFace, zoneOf } from "../local-time.ts";
import {
  APPROACH, DOWN, IMAGE_PORTS, RETRACE, TRACE, UNKNOWN_SCAN, UNKNOWN_SEGMENT, UP,
  type AfmFile, type Calibration, type Curve, type CurveSet, type ImageChannel, type ImagePort, type ImageSet, type When,
} from "./afm-file.ts"; // prettier-ignore
import { claimsAfm, openAfm } from "./formats.ts";

const CURVES = {
  height: curve("m", {
    doc: "piezo height, as measured where there is a sensor; decreases towards the sample",
  }),
  force: curve("N", { doc: "deflection × sensitivity × spring constant" }),
  segment: curve("", {
    type: "u8",
    codes: { 0: "approach", 1: "retract", 2: "pause", 3: "modulation", [UNKNOWN_SEGMENT]: "other" },
  }),
  index: code({ doc: "pixel of the grid, line by line from the first; without a grid, number of the curve" }),
  x: scalar("m"),
  y: scalar("m"),
  spring_constant: scalar("N/m"),
  deflection_sensitivity: scalar("m/V"),
} as const;

const OF_FRAME = {
  index: code({ doc: "number of the frame, from 0" }),
  direction: code({ codes: { [TRACE]: "trace", [RETRACE]: "retrace" } }),
  slow_scan: code({
    codes: { [UP]: "up", [DOWN]: "down", [UNKNOWN_SCAN]: "unknown" },
    doc: "up: the line of the smallest y, row 0, was scanned first",
  }),
  duration: scalar("s", { doc: "from the begin of the first line to the end of the last" }),
  center_x: scalar("m", { doc: "scanner position of the frame's middle" }),
  center_y: scalar("m"),
  angle: scalar("deg", { doc: "of the fast axis" }),
} as const;
const IMAGES = Object.fromEntries(
  Object.entries(IMAGE_PORTS).map(([port, [unit, doc]]) => [
    port,
    { data: image(unit, { doc }), ...OF_FRAME },
  ]),
) as Record<ImagePort, { readonly data: ReturnType<typeof image> } & typeof OF_FRAME>;

const THERMAL = {
  frequency: curve("Hz"),
  power: curve("V2/Hz", { doc: "power spectral density of the free lever's deflection" }),
  temperature: scalar("K"),
  averages: scalar("1", { doc: "periodograms that were averaged" }),
} as const;

const DIRECTIONS = ["trace", "retrace", "both"] as const;

export const afmFile = defineSource({
  name: "afm/file",
  doc:
    "Force curves, images and thermal spectra from an AFM's own files, one by one. A curve's time is the end of its last " +
    "segment, a frame's the end of its last line. Each kind of image has a stream of its own, named by what it shows; channels " +
    "that have none are named in the metadata. A complete force map also gives its topography. Rows run from the smallest y up.",
  output: { curves: CURVES, thermal: THERMAL, ...IMAGES },
  config: {
    path: text(REQUIRED, {
      doc: "a file, or several by * and ? in its name, such as incoming/*.jpk-force; read in order of their times",
    }),
    follow: flag(false, { doc: "goes on watching for new files that match" }),
    poll_every: quantity("s", 1, {
      min: 0.001,
      doc: "how often `follow` looks; a file is read once it has stopped growing",
    }),
    spring_constant: quantity("N/m", NaN, {
      min: 1e-6,
      doc: "in place of the file's, where that is missing or wrong",
    }),
    deflection_sensitivity: quantity("m/V", NaN, {
      min: 1e-12,
      doc: "in place of the file's, where that is missing or wrong; such as 70 nm/V",
    }),
    direction: choice(DIRECTIONS, "trace", {
      doc: "of images: which way along the fast axis; what was recorded one way only is given that way",
    }),
  },
  claims: claimsAfm,
  async *open(
    { path, follow, poll_every, spring_constant, deflection_sensitivity, direction },
    context,
  ): AsyncIterable<SourceItem> {
    const calibration = {
      springConstant_N_per_m: spring_constant,
      deflectionSensitivity_m_per_V: deflection_sensitivity,
    };
    const reader = new Reader(calibration, direction, context);
    let paths = await filesOf(path, context.directory);
    if (paths.length === 0 && !follow) throw new SourceError(`${path}: no such file in ${context.directory}`);
    yield* reader.readAll(paths, { alone: !isPattern(path) && !follow });
    if (!follow) {
      if (reader.filesRead === 0 && !context.signal.aborted)
        throw new SourceError(
          `${path}: none of ${paths.length} files can be read; the first says: ${[...reader.failed.values()][0]}`,
        );
      return;
    }
    const settled = new Settled(paths);
    settled.again(reader.failed.keys());
    while (!context.signal.aborted) {
      await sleep(poll_every * 1000, undefined, { signal: context.signal }).catch(() => undefined);
      // A folder on a share that is away for a while is no reason to end.
      paths = context.signal.aborted
        ? []
        : await settled.among(await filesOf(path, context.directory).catch(() => []));
      if (paths.length === 0) continue;
      yield* reader.readAll(paths, { alone: false });
      settled.again(reader.failed.keys());
    }
  },
});

/** Reads files one after another; knows what was last announced, so that like files make one epoch. */
class Reader {
  /** Files that could not be read, and why. */
  readonly failed = new Map<string, string>();
  filesRead = 0;
  readonly #calibration: Calibration;
  readonly #direction: (typeof DIRECTIONS)[number];
  readonly #context: SourceContext;
  /** Schema of each stream, as last announced. */
  readonly #announced = new Map<string, string>();
  readonly #frames = new Map<ImagePort, number>();
  #lastTime: bigint | undefined;
  #curves = 0;

  constructor(calibration: Calibration, direction: (typeof DIRECTIONS)[number], context: SourceContext) {
    this.#calibration = calibration;
    this.#direction = direction;
    this.#context = context;
  }

  readonly #zoned = (local: string): bigint => instantOf(readFace(local), zoneOf(this.#context.timezone));

  /** In the order of their first rows' times. One file alone must be readable; of several, the others are read. */
  async *readAll(paths: readonly string[], { alone }: { alone: boolean }): AsyncGenerator<SourceItem> {
    const timed: { path: string; time: bigint }[] = [];
    for (const path of paths) {
      if (this.#context.signal.aborted) return;
      try {
        timed.push({ path, time: paths.length === 1 ? 0n : await this.#startOf(path) });
      } catch (error) {
        yield* this.#unreadable(path, error, alone);
      }
    }
    timed.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    for (const { path } of timed) {
      if (this.#context.signal.aborted) return;
      let file: AfmFile | undefined;
      try {
        file = await openAfm(path, this.#zoned);
        yield* this.#read(file);
        this.filesRead++;
        this.failed.delete(path);
      } catch (error) {
        yield* this.#unreadable(path, error, alone);
      } finally {
        await file?.close();
      }
    }
  }

  async *#unreadable(path: string, error: unknown, alone: boolean): AsyncGenerator<SourceItem> {
    if (alone || !(error instanceof SourceError)) throw error;
    const known = this.failed.get(path) === error.message;
    this.failed.set(path, error.message);
    if (known) return; // said once, however often it is tried
    yield { faults: [{ time: await this.#timeFor(path), what: error.message, unread: true }] };
  }

  async #startOf(path: string): Promise<bigint> {
    const file = await openAfm(path, this.#zoned);
    try {
      const first = file.curves?.numbers[0];
      return (
        (first === undefined ? undefined : (await file.curves!.timeOf(first))?.ns) ??
        (file.images && (await file.images.frame(0)).end?.ns) ??
        file.start?.ns ??
        (await modified(path))
      );
    } finally {
      await file.close();
    }
  }

  /** What cannot be read has no time of its own: that of what came before it, or of the file. */
  async #timeFor(path: string): Promise<bigint> {
    return this.#lastTime ?? (await modified(path).catch(() => this.#context.now()));
  }

  async *#read(file: AfmFile): AsyncGenerator<SourceItem> {
    const start = file.start?.ns ?? (await modified(file.path));
    const { warnings, lost = [] } = file;
    if (warnings.length + lost.length > 0) {
      const time = this.#lastTime ?? start;
      const said = (what: string): Fault => ({ time, what: `${file.path}: ${what}` });
      yield { faults: [...warnings.map(said), ...lost.map((what) => ({ ...said(what), unread: true }))] };
    }
    if (file.curves) yield* this.#readCurves(file, file.curves, start);
    if (file.images) yield* this.#readImages(file, file.images, start);
    if (file.thermal) yield* this.#readThermal(file, start);
  }

  /** Begins an epoch of those streams that differ from what was announced. */
  *#announce(schemas: { readonly [port: string]: Schema }): Generator<SourceItem> {
    const changed: Record<string, Schema> = {};
    for (const [port, schema] of Object.entries(schemas)) {
      const same = JSON.stringify(schema);
      if (this.#announced.get(port) !== same) changed[port] = schema;
      this.#announced.set(port, same);
    }
    if (Object.keys(changed).length > 0) yield { schema: changed };
  }

  /** Never before what was given out: what would be is given that time, and a fault says so. */
  #inOrder(time: bigint, what: string, faults: Fault[]): bigint {
    const last = this.#lastTime;
    if (last === undefined || time >= last) return time;
    faults.push({
      time: last,
      what: `${what} is timed ${Number(last - time) / 1e9} s before what stands ahead of it; it is given that one's time`,
    });
    return last;
  }

  async *#readCurves(file: AfmFile, curves: CurveSet, start: bigint): AsyncGenerator<SourceItem> {
    const { grid } = curves;
    const mapped =
      grid && curves.topography !== false && !file.images?.channels.some(({ port }) => port === "topography");
    yield* this.#announce(await this.#curveSchemas(file, curves, mapped === true));

    const surface_m = mapped ? new Float32Array(grid.columns * grid.rows).fill(NaN) : undefined;
    // A file without time stamps: the durations of its segments, from when it says that it began.
    let clock = start;
    let read = 0;
    let began: bigint | undefined;
    let [firstIndex, lastIndex] = [0, 0];
    for (const number of curves.numbers) {
      if (this.#context.signal.aborted) return;
      let row: Curve;
      try {
        row = await curves.read(number, this.#calibration);
      } catch (error) {
        if (!(error instanceof SourceError) || curves.numbers.length === 1) throw error;
        yield {
          faults: [
            { time: this.#lastTime ?? clock, what: `${error.message}; this curve is left out`, unread: true },
          ],
        };
        continue;
      }
      const faults: Fault[] = [];
      const duration = BigInt(Math.round((row.duration_s || 0) * 1e9));
      clock += duration;
      let time = row.time ?? clock;
      if (read > 0) time = this.#inOrder(time, `${file.path}: ${row.name}`, faults);
      for (const warning of row.warnings)
        faults.push({ time, what: `${file.path}: ${row.name}: ${warning}` });
      const index = grid ? row.index : this.#curves;
      yield {
        rows: { curves: { ...columnsOf(row), time: BigInt64Array.of(time), index: Int32Array.of(index) } },
        watermark: time, // so that whoever also reads the topography need not wait for the end of the map
        faults,
      };
      if (surface_m && index >= 0 && index < surface_m.length) {
        const end = row.segment.lastIndexOf(APPROACH);
        if (end >= 0) surface_m[index] = row.height_m[end]!;
      }
      if (began === undefined) [began, firstIndex] = [time - duration, index];
      lastIndex = index;
      this.#lastTime = time;
      this.#curves++;
      read++;
    }
    if (!surface_m || began === undefined || this.#lastTime === undefined) return;
    const time = this.#lastTime;
    if (read === curves.expected) {
      const row = {
        time: BigInt64Array.of(time),
        data: surface_m,
        index: Int32Array.of(this.#frameNumber("topography")),
        direction: Int32Array.of(TRACE),
        slow_scan: Int32Array.of(firstIndex < lastIndex ? UP : firstIndex > lastIndex ? DOWN : UNKNOWN_SCAN),
        duration: Float64Array.of(Number(time - began) / 1e9),
        ...noPlace(1),
      };
      yield { rows: { topography: row } };
    } else {
      const what = `${file.path}: holds ${read} of the ${curves.expected} curves of its grid, so it gives no topography`;
      yield { faults: [{ time, what }] };
    }
  }

  #frameNumber(port: ImagePort): number {
    const number = this.#frames.get(port) ?? 0;
    this.#frames.set(port, number + 1);
    return number;
  }

  /** Of each stream the channels to read: one a direction, the best that the file has. */
  #chosen(images: ImageSet): Map<ImagePort, number[]> {
    const chosen = new Map<ImagePort, number[]>();
    const best = (port: ImagePort, direction: number): number | undefined =>
      images.channels
        .map((channel, i) => ({ ...channel, i }))
        .filter((channel) => channel.port === port && channel.direction === direction)
        .sort((a, b) => b.rank - a.rank)[0]?.i;
    for (const port of Object.keys(IMAGE_PORTS) as ImagePort[]) {
      const [trace, retrace] = [best(port, TRACE), best(port, RETRACE)];
      const wanted =
        this.#direction === "both" ? [trace, retrace]
        : this.#direction === "trace" ? [trace ?? retrace]
        : [retrace ?? trace]; // prettier-ignore
      const there = wanted.filter((i) => i !== undefined);
      if (there.length > 0) chosen.set(port, there);
    }
    return chosen;
  }

  async *#readImages(file: AfmFile, images: ImageSet, start: bigint): AsyncGenerator<SourceItem> {
    const chosen = this.#chosen(images);
    if (chosen.size === 0) {
      const names = images.channels.map(({ name, unit }) => `${name} [${unit || "no unit"}]`).join(", ");
      const what = `${file.path}: has no channel that a stream is for; it has ${names || "none"}`;
      yield { faults: [{ time: this.#lastTime ?? start, what }] };
      return;
    }
    const first = await images.frame(0);
    yield* this.#announce(this.#imageSchemas(file, images, chosen, first.end));
    let clock = start;
    for (let number = 0; number < images.frames; number++) {
      if (this.#context.signal.aborted) return;
      const faults: Fault[] = [];
      let frame: Awaited<ReturnType<ImageSet["frame"]>>;
      try {
        frame = await images.frame(number);
      } catch (error) {
        if (!(error instanceof SourceError) || images.frames === 1) throw error;
        yield {
          faults: [
            { time: this.#lastTime ?? clock, what: `${error.message}; this frame is left out`, unread: true },
          ],
        };
        continue;
      }
      clock += BigInt(Math.round((frame.duration_s || 0) * 1e9));
      let time = frame.end?.ns ?? clock;
      if (number > 0 || file.curves) time = this.#inOrder(time, `${file.path}: frame ${number + 1}`, faults);
      const rows: Record<string, NonNullable<SourceItem["rows"]>[string]> = {};
      for (const [port, channels] of chosen) {
        const index = this.#frameNumber(port);
        const read: { direction: number; data: Float32Array }[] = [];
        for (const i of channels) {
          const { direction, name } = images.channels[i]!;
          try {
            read.push({ direction, data: await images.read(i, number) });
          } catch (error) {
            if (!(error instanceof SourceError)) throw error;
            const what = `${error.message}; ${images.frames > 1 ? `frame ${number + 1} of ` : ""}channel ${name} is left out`;
            faults.push({ time, what, unread: true });
          }
        }
        const n = read.length;
        if (n === 0) continue;
        const size = read[0]!.data.length;
        const data = n === 1 ? read[0]!.data : new Float32Array(n * size);
        if (n > 1) for (const [i, one] of read.entries()) data.set(one.data, i * size);
        rows[port] = {
          time: new BigInt64Array(n).fill(time),
          data,
          index: new Int32Array(n).fill(index),
          direction: Int32Array.from(read, ({ direction }) => direction),
          slow_scan: new Int32Array(n).fill(frame.slowScan),
          duration: new Float64Array(n).fill(frame.duration_s),
          center_x: new Float64Array(n).fill(frame.centerX_m),
          center_y: new Float64Array(n).fill(frame.centerY_m),
          angle: new Float64Array(n).fill(frame.angle_deg),
        };
      }
      this.#lastTime = time;
      yield { rows, watermark: time, faults };
    }
  }

  async *#readThermal(file: AfmFile, start: bigint): AsyncGenerator<SourceItem> {
    const thermal = file.thermal!;
    yield* this.#announce({
      thermal: {
        fields: THERMAL,
        metadata: { ...this.#common(file, file.start), time_from: "the file's own time" },
      },
    });
    for (let number = 0; number < thermal.count; number++) {
      const { end, frequency_Hz, power, temperature_K, averages } = await thermal.read(number);
      const faults: Fault[] = [];
      const time = this.#inOrder(end?.ns ?? start, `${file.path}: spectrum ${number + 1}`, faults);
      this.#lastTime = time;
      yield {
        rows: {
          thermal: {
            time: BigInt64Array.of(time),
            frequency: listOf(frequency_Hz),
            power: listOf(power),
            temperature: Float64Array.of(temperature_K),
            averages: Float64Array.of(averages),
          },
        },
        watermark: time,
        faults,
      };
    }
  }

  #common(file: AfmFile, when: When | undefined): Schema["metadata"] {
    const assumed = this.#context.timezoneAssumed ? "zone assumed" : "absolute";
    return {
      format: file.format,
      ...(file.instrument && { instrument: file.instrument }),
      ...(file.software && { software: file.software }),
      time_basis: when === undefined ? "first seen" : when.zoned ? "absolute" : assumed,
      ...(when?.zoned === false && { timezone: this.#context.timezone }),
    };
  }

  async #curveSchemas(
    file: AfmFile,
    curves: CurveSet,
    withTopography: boolean,
  ): Promise<{ [port: string]: Schema }> {
    const { grid, numbers } = curves;
    const own = numbers.length > 0 ? await curves.timeOf(numbers[0]!) : undefined;
    const { springConstant_N_per_m: k, deflectionSensitivity_m_per_V: s } = this.#calibration;
    const common = {
      ...this.#common(file, own ?? file.start),
      time_from: own ? curves.timeFrom
        : file.start ? "start of the file and the durations of its segments"
        : "modification of the file and the durations of its segments",
    }; // prettier-ignore
    const byHand = {
      ...(!Number.isNaN(k) && { spring_constant: String(k), spring_constant_from: "set by hand" }),
      ...(!Number.isNaN(s) && {
        deflection_sensitivity: String(s),
        deflection_sensitivity_from: "set by hand",
      }),
    };
    if (!grid) return { curves: { fields: CURVES, metadata: { ...common, ...byHand } } };
    const ofGrid = {
      grid_columns: String(grid.columns),
      grid_rows: String(grid.rows),
      grid_size_x: String(grid.sizeX_m),
      grid_size_y: String(grid.sizeY_m),
      first_row: "smallest y",
    };
    return {
      curves: { fields: CURVES, metadata: { ...common, ...byHand, ...ofGrid } },
      ...(withTopography && {
        topography: {
          fields: {
            ...IMAGES.topography,
            data: image("m", { doc: "height at the end of the approach", shape: [grid.rows, grid.columns] }),
          },
          metadata: { ...common, ...pixels(grid.sizeX_m, grid.columns, grid.sizeY_m, grid.rows) },
        },
      }),
    };
  }

  #imageSchemas(
    file: AfmFile,
    images: ImageSet,
    chosen: ReadonlyMap<ImagePort, readonly number[]>,
    end: When | undefined,
  ): { [port: string]: Schema } {
    const taken = new Set([...chosen.values()].flat());
    const leftOut = images.channels.filter((_, i) => !taken.has(i)).map(nameOf);
    const common = {
      ...this.#common(file, end ?? file.start),
      time_from: end ? (images.timeFrom ?? "end of the frame")
        : file.start ? "start of the file and the durations of its frames"
        : "modification of the file",
      ...(leftOut.length > 0 && { channels_left_out: leftOut.join(", ") }),
    }; // prettier-ignore
    return Object.fromEntries(
      [...chosen].map(([port, channels]) => {
        const [unit, doc] = IMAGE_PORTS[port];
        const { rows, columns } = images.channels[channels[0]!]!;
        const shape = [rows, columns];
        return [
          port,
          {
            fields: { data: image(unit, { doc, shape }), ...OF_FRAME },
            metadata: {
              ...common,
              channel: channels.map((i) => nameOf(images.channels[i]!)).join(", "),
              ...pixels(images.sizeX_m, columns, images.sizeY_m, rows),
              ...(images.rowsUp === false && { first_row: "as stored" }),
            },
          },
        ];
      }),
    );
  }
}

const nameOf = ({ name, direction }: ImageChannel): string =>
  /trace/i.test(name) ? name : `${name} (${direction === TRACE ? "trace" : "retrace"})`;

const pixels = (sizeX_m: number, columns: number, sizeY_m: number, rows: number): Schema["metadata"] => ({
  ...(sizeX_m > 0 && { pixel_size_x: String(sizeX_m / columns) }),
  ...(sizeY_m > 0 && { pixel_size_y: String(sizeY_m / rows) }),
  first_row: "smallest y",
});

const noPlace = (n: number) => {
  const unknown = (): Float64Array => new Float64Array(n).fill(NaN);
  return { center_x: unknown(), center_y: unknown(), angle: unknown() };
};

const listOf = <A>(values: A & { length: number }) => ({
  values,
  offsets: Int32Array.of(0, values.length),
});

function columnsOf(row: Curve) {
  return {
    height: listOf(row.height_m),
    force: listOf(row.force_N),
    segment: listOf(row.segment),
    x: Float64Array.of(row.x_m),
    y: Float64Array.of(row.y_m),
    spring_constant: Float64Array.of(row.springConstant_N_per_m),
    deflection_sensitivity: Float64Array.of(row.deflectionSensitivity_m_per_V),
  };
}

const modified = async (path: string): Promise<bigint> => (await stat(path, { bigint: true })).mtimeNs;
