/**
 * Force curves and maps of an atomic force microscope from its own files, found by their content.
 * Formats: JPK `.jpk-force`, `.jpk-force-map`, `.jpk-qi-data` (jpk.ts).
 */
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  code, curve, defineSource, flag, image, quantity, REQUIRED, scalar, SourceError, text,
  type Fault, type Schema, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import {
  APPROACH, looksLikeJpk, openJpk, timeOfHeader, UNKNOWN_SEGMENT, type Calibration, type JpkCurve, type JpkFile,
} from "./jpk.ts"; // prettier-ignore
import { filesOf, isPattern, Settled } from "../file-list.ts";
import { instantOf, readFace, zoneOf } from "../local-time.ts";

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
const TOPOGRAPHY = { data: image("m", { doc: "height at the end of the approach" }), index: code() } as const;

const KIND_NAMES = { curve: "JPK force curve", map: "JPK force map", qi: "JPK QI data" } as const;

export const afmFile = defineSource({
  name: "afm/file",
  doc:
    "Force curves and maps from an AFM's own files (JPK .jpk-force, .jpk-force-map, .jpk-qi-data), curve by curve. " +
    "A curve's time is the end of its last segment. A complete map also gives its topography. " +
    "Rows of a grid run from the smallest y up.",
  output: { curves: CURVES, topography: TOPOGRAPHY },
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
  },
  claims: (head) => looksLikeJpk(head),
  async *open(
    { path, follow, poll_every, spring_constant, deflection_sensitivity },
    context,
  ): AsyncIterable<SourceItem> {
    const calibration = {
      springConstant_N_per_m: spring_constant,
      deflectionSensitivity_m_per_V: deflection_sensitivity,
    };
    const reader = new Reader(calibration, context);
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
  readonly #context: SourceContext;
  #announced = "";
  #lastTime: bigint | undefined;
  #curves = 0;
  #maps = 0;

  constructor(calibration: Calibration, context: SourceContext) {
    this.#calibration = calibration;
    this.#context = context;
  }

  readonly #zoned = (local: string): bigint => instantOf(readFace(local), zoneOf(this.#context.timezone));

  /** In the order of their first curves' times. One file alone must be readable; of several, the others are read. */
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
      let file: JpkFile | undefined;
      try {
        file = await openJpk(path, this.#zoned);
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
    const file = await openJpk(path, this.#zoned);
    try {
      return (
        (await file.timeOf(file.curves[0]!)) ?? timeOfHeader(file, this.#zoned) ?? (await modified(path))
      );
    } finally {
      await file.close();
    }
  }

  /** What cannot be read has no time of its own: that of what came before it, or of the file. */
  async #timeFor(path: string): Promise<bigint> {
    return this.#lastTime ?? (await modified(path).catch(() => this.#context.now()));
  }

  async *#read(file: JpkFile): AsyncGenerator<SourceItem> {
    const { grid } = file;
    const schema = await this.#schema(file);
    const same = JSON.stringify(schema);
    if (same !== this.#announced) yield { schema };
    this.#announced = same;

    const surface_m = grid && new Float32Array(grid.columns * grid.rows).fill(NaN);
    // A file without time stamps: the durations of its segments, from when it says that it began.
    let clock = timeOfHeader(file, this.#zoned) ?? (await modified(file.path));
    let read = 0;
    for (const number of file.curves) {
      if (this.#context.signal.aborted) return;
      let row: JpkCurve;
      try {
        row = await file.read(number, this.#calibration);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        if (file.kind === "curve") throw error;
        yield {
          faults: [
            { time: this.#lastTime ?? clock, what: `${error.message}; this curve is left out`, unread: true },
          ],
        };
        continue;
      }
      const faults: Fault[] = [];
      clock += BigInt(Math.round((row.duration_s || 0) * 1e9));
      let time = row.time ?? clock;
      if (read > 0 && this.#lastTime !== undefined && time < this.#lastTime) {
        faults.push({
          time: this.#lastTime,
          what: `${file.path}: ${row.name} is timed ${Number(this.#lastTime - time) / 1e9} s before the curve that stands ahead of it; it is given that one's time`,
        });
        time = this.#lastTime;
      }
      for (const warning of row.warnings)
        faults.push({ time, what: `${file.path}: ${row.name}: ${warning}` });
      const index = grid ? row.index : this.#curves;
      yield {
        rows: { curves: { ...columnsOf(row), time: BigInt64Array.of(time), index: Int32Array.of(index) } },
        watermark: time, // so that whoever also reads the topography need not wait for the end of the map
        faults,
      };
      if (surface_m && index < surface_m.length) {
        const end = row.segment.lastIndexOf(APPROACH);
        if (end >= 0) surface_m[index] = row.height_m[end]!;
      }
      this.#lastTime = time;
      this.#curves++;
      read++;
    }
    if (!grid || !surface_m || this.#lastTime === undefined) return;
    if (read === file.expected) {
      yield {
        rows: {
          topography: {
            time: BigInt64Array.of(this.#lastTime),
            data: surface_m,
            index: Int32Array.of(this.#maps++),
          },
        },
      };
    } else {
      yield {
        faults: [
          {
            time: this.#lastTime,
            what: `${file.path}: holds ${read} of the ${file.expected} curves of its grid, so it gives no topography`,
          },
        ],
      };
    }
  }

  async #schema(file: JpkFile): Promise<{ [port: string]: Schema }> {
    const zoned = await file.zoned();
    const inHeader = file.start === undefined ? undefined : /[+-]\d{2}:?\d{2}$/.test(file.start);
    const assumed = this.#context.timezoneAssumed ? "zone assumed" : "absolute";
    const basis =
      (zoned ?? inHeader) === undefined ? "first seen" : (zoned ?? inHeader) ? "absolute" : assumed;
    const { springConstant_N_per_m: k, deflectionSensitivity_m_per_V: s } = this.#calibration;
    const common = {
      format: `${KIND_NAMES[file.kind]}${file.version && `, version ${file.version}`}`,
      ...(file.instrument && { instrument: file.instrument }),
      ...(file.software && { software: file.software }),
      time_basis: basis,
      time_from: zoned !== undefined ? "end of each curve's last segment"
        : inHeader !== undefined ? "start of the map and the durations of its segments"
        : "modification of the file and the durations of its segments",
      ...(zoned === false && { timezone: this.#context.timezone }),
    }; // prettier-ignore
    const byHand = {
      ...(!Number.isNaN(k) && { spring_constant: String(k), spring_constant_from: "set by hand" }),
      ...(!Number.isNaN(s) && {
        deflection_sensitivity: String(s),
        deflection_sensitivity_from: "set by hand",
      }),
    };
    const { grid } = file;
    if (!grid) return { curves: { fields: CURVES, metadata: { ...common, ...byHand } } };
    const ofGrid = {
      grid_columns: String(grid.columns),
      grid_rows: String(grid.rows),
      grid_size_x: String(grid.sizeX_m),
      grid_size_y: String(grid.sizeY_m),
      first_row: "smallest y",
    };
    const pixels = {
      pixel_size_x: String(grid.sizeX_m / grid.columns),
      pixel_size_y: String(grid.sizeY_m / grid.rows),
      first_row: "smallest y",
    };
    return {
      curves: { fields: CURVES, metadata: { ...common, ...byHand, ...ofGrid } },
      topography: {
        fields: {
          ...TOPOGRAPHY,
          data: image("m", { doc: TOPOGRAPHY.data.doc!, shape: [grid.rows, grid.columns] }),
        },
        metadata: { ...common, ...pixels },
      },
    };
  }
}

function columnsOf(row: JpkCurve) {
  const list = <A>(values: A & { length: number }) => ({ values, offsets: Int32Array.of(0, values.length) });
  return {
    height: list(row.height_m),
    force: list(row.force_N),
    segment: list(row.segment),
    x: Float64Array.of(row.x_m),
    y: Float64Array.of(row.y_m),
    spring_constant: Float64Array.of(row.springConstant_N_per_m),
    deflection_sensitivity: Float64Array.of(row.deflectionSensitivity_m_per_V),
  };
}

const modified = async (path: string): Promise<bigint> => (await stat(path, { bigint: true })).mtimeNs;
