import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import {
  choice, code, defineSource, image, parseTime, quantity, REQUIRED, scalar, SourceError, text,
  type Fault, type Field, type FrameReference, type Numeric, type Schema, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { instantOf, zoneOf } from "../local-time.ts";
import { isDataExchange, readDataExchange } from "./data-exchange.ts";
import { checkFilters, hdf5At, readFrames, readHdf5, type Numbers } from "./hdf5.ts";
import { nxtomoEntries, readNxtomo } from "./nxtomo.ts";
import { FLAT, DARK, PROJECTION, type Part, type Scan } from "./scan.ts";

/**
 * A tomography file, HDF5 as Data Exchange or NeXus NXtomo: one frame a row, in the type it is stored in (double
 * precision becomes single), with its angle and what kind of frame it is. Data Exchange comes as darks, flats,
 * projections; NXtomo in the order that it was taken in.
 *
 * Time: the file's times of frames, where it has any; else its start and one frame after the other, every 1 / `rate`,
 * else every exposure, else every second (a fault says so). A file without a start was written when it was written:
 * its last frame is put there, and `time_basis` says "first seen".
 *
 * A file that was corrected already has no counts: `already` says what it holds, and the projections come out of
 * `projections` then, with no frames beside them. Its values are handed on as stored; of line integrals the column's
 * `quantity` tells readers not to take the logarithm again.
 */
export const tomography = defineSource({
  name: "xray/tomography",
  doc: "Reads a tomography file, HDF5 as Data Exchange or NeXus NXtomo",
  output: {
    frames: {
      data: image("{count}"),
      rotation_angle: scalar("deg"),
      image_key: code({ codes: { 0: "projection", 1: "flat", 2: "dark", 3: "invalid" } }),
    },
    projections: { data: image("1"), rotation_angle: scalar("deg") },
  },
  config: {
    path: text(REQUIRED, { doc: "the file, relative to the pipeline file" }),
    already: choice(["counts", "transmission", "line-integral"], "counts", {
      doc: "what the file holds: detector counts, or projections that were flat-fielded (transmission) and logged (line-integral)",
    }),
    rate: quantity("Hz", 0, { min: 0, doc: "frames a second, where the file has no times; 0: one an exposure, or one a second" }),
    angle_range: quantity("deg", 0, { doc: "where the file has no angles: its projections are evenly spaced over this range, end left out" }),
  }, // prettier-ignore
  claims: (head) => hdf5At(head) !== undefined,
  open: (config, context) => framesOf(config, context),
});

/** One frame that was recorded by reference, `reference.first` of its dataset, as the source gave it out. */
export function readFrame({ file, dataset, first }: FrameReference): Promise<Numbers> {
  return readHdf5(file, (opened) => readFrames(opened, dataset, first, 1));
}

interface Config {
  path: string;
  already: "counts" | "transmission" | "line-integral";
  rate: number;
  angle_range: number;
}

const ITEM_BYTES = 4 << 20;
const ITEM_FRAMES = 32;

async function* framesOf(config: Config, context: SourceContext): AsyncGenerator<SourceItem> {
  const path = resolve(context.directory, config.path);
  const scan = await readHdf5(path, (file) => scanOf(file, config));
  for (const { dataset } of scan.parts) await checkFilters(path, dataset);
  const clock = clockOf(scan, config, (await stat(path, { bigint: true })).mtimeNs, context);
  const counts = config.already === "counts";
  const port = counts ? "frames" : "projections";
  const type = commonType(scan.parts);

  const first = clock.time[0] ?? clock.start;
  const faults = [...scan.remarks, ...clock.remarks, ...remarksOn(scan, counts)];
  yield {
    schema: { [port]: schemaOf(scan, clock, config, type) },
    faults: faults.map((what): Fault => ({ time: first, what: `${config.path}: ${what}` })),
  };

  let row = 0;
  for (const part of scan.parts) {
    for (const [from, to] of pieces(part, scan.rows * scan.cols, counts)) {
      if (context.signal.aborted) return;
      const rowsFrom = row + from;
      try {
        yield await item(from, to);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        // Somewhere in this piece is a broken chunk: what can be read around it is read.
        for (let i = from; i < to; i++) {
          yield await item(i, i + 1).catch((cause: SourceError) => ({
            faults: [{ time: clock.time[row + i]!, what: cause.message, unread: true }],
          }));
        }
      }

      async function item(a: number, b: number): Promise<SourceItem> {
        const stored = await readHdf5(path, (file) => readFrames(file, part.dataset, a, b - a));
        const columns = {
          time: clock.time.slice(rowsFrom - from + a, rowsFrom - from + b),
          data: part.type === type ? stored : Float32Array.from(stored),
          rotation_angle: part.rotation_angle.slice(a, b),
          ...(counts && { image_key: part.image_key.slice(a, b) }),
        };
        return {
          rows: { [port]: columns },
          // Frames that were converted are not what lies in the file: they are recorded whole.
          ...(part.type === type && { references: { [port]: { column: "data", file: path, dataset: part.dataset, first: a } } }),
        }; // prettier-ignore
      }
    }
    row += part.frames;
  }
}

function scanOf(file: Parameters<typeof isDataExchange>[0], { angle_range }: Config): Scan {
  if (isDataExchange(file)) return readDataExchange(file, angle_range);
  const entries = nxtomoEntries(file);
  if (entries.length > 0) return readNxtomo(file, entries, angle_range);
  throw new SourceError(
    `${file.path}: is HDF5, but neither Data Exchange (no /exchange/data) nor NeXus NXtomo (no NXentry with instrument/detector/data ` +
      `and image_key); at its top are ${file.root.keys().join(", ") || "no groups"}`,
  );
}

/** Type that all frames of the stream come in: the one they are stored in, or single precision where they differ. */
function commonType(parts: readonly Part[]): Numeric {
  const types = new Set(parts.map(({ type }) => type));
  return types.size === 1 ? [...types][0]! : "f32";
}

/** Frames from … to that are read at once: few enough for memory, whole chunks, of one kind where only some are wanted. */
function* pieces(part: Part, pixels: number, all: boolean): Generator<[from: number, to: number]> {
  let size = Math.max(1, Math.min(ITEM_FRAMES, Math.floor(ITEM_BYTES / (4 * pixels))));
  if (size > part.chunk) size -= size % part.chunk;
  const wanted = (i: number): boolean => all || part.image_key[i] === PROJECTION;
  for (let from = 0; from < part.frames;) {
    if (!wanted(from)) {
      from++;
      continue;
    }
    let to = from;
    // Pieces end where chunks do, so that no chunk is unpacked twice.
    const end = Math.min(part.frames, from + size - (from % size));
    while (to < end && wanted(to)) to++;
    yield [from, to];
    from = to;
  }
}

function schemaOf(scan: Scan, clock: FrameClock, { already }: Config, type: Numeric): Schema {
  const { frames, projections } = tomography.output;
  const shape = [scan.rows, scan.cols];
  const data: Field =
    already === "counts" ? { ...frames.data, type, shape }
    : { ...projections.data, type, shape, quantity: already === "transmission" ? "transmission" : "line integral" }; // prettier-ignore
  const count = (key: number): number =>
    scan.parts.reduce((n, { image_key }) => n + image_key.filter((k) => k === key).length, 0);
  const metadata: Record<string, string> = {
    layout: scan.layout,
    ...scan.metadata,
    projections: String(count(PROJECTION)),
    flats: String(count(FLAT)),
    darks: String(count(DARK)),
    time_basis: clock.basis,
    frame_times: clock.spacing,
    ...(clock.written && { start_time: clock.written }),
  };
  return already === "counts"
    ? { fields: { ...frames, data }, metadata }
    : { fields: { ...projections, data }, metadata };
}

function remarksOn(scan: Scan, counts: boolean): string[] {
  const has = (key: number): boolean => scan.parts.some(({ image_key }) => image_key.includes(key));
  const remarks: string[] = [];
  if (!has(PROJECTION)) remarks.push("has no projections, only flats and darks");
  if (counts && has(PROJECTION)) {
    const missing = [!has(FLAT) && "flat", !has(DARK) && "dark"].filter(Boolean).join(" and no ");
    if (missing) {
      remarks.push(
        `has no ${missing} field, so its counts cannot become transmission; if it was corrected already, set already: ` +
          "transmission (or line-integral, where -log was taken too) and read `projections` in place of `frames`",
      );
    }
  }
  if (!counts && (has(FLAT) || has(DARK))) {
    remarks.push(
      "has flats or darks, though its projections are said to be corrected already; they are left out",
    );
  }
  return remarks;
}

interface FrameClock {
  /** ns, by frame over all parts. */
  readonly time: BigInt64Array;
  readonly start: bigint;
  readonly basis: "absolute" | "zone assumed" | "first seen";
  /** How the times of frames were obtained, in words. */
  readonly spacing: string;
  /** The start as the file has it. */
  readonly written?: string;
  readonly remarks: readonly string[];
}

function clockOf(scan: Scan, { rate }: Config, written_ns: bigint, context: SourceContext): FrameClock {
  const { start: written, times_s, exposure_s } = scan.clock;
  const frames = scan.parts.reduce((n, part) => n + part.frames, 0);
  const remarks: string[] = [];
  const back = times_s ? times_s.findIndex((t, i) => !(t >= (i > 0 ? times_s[i - 1]! : -Infinity))) : -1;
  if (back >= 0) remarks.push(`its times of frames go back at frame ${back} (or are no numbers); they are not used`);
  const stored = times_s && back < 0;

  let seconds: Float64Array;
  let spacing: string;
  if (stored) {
    seconds = times_s;
    spacing = "from the file";
  } else {
    const spacing_s = rate > 0 ? 1 / rate : (exposure_s ?? 1);
    seconds = Float64Array.from({ length: frames }, (_, i) => i * spacing_s);
    spacing =
      rate > 0 ? `every 1/${rate} s (option rate)`
      : exposure_s ? `every ${exposure_s} s, the exposure time, without pause`
      : "assumed: one a second"; // prettier-ignore
    if (rate === 0 && !exposure_s) {
      remarks.push("does not say when its frames were taken, nor how long they were exposed: one a second is assumed; set rate");
    }
  }

  const ns = (s: number): bigint => BigInt(Math.round(s * 1e9));
  const timed = (start: bigint, rest: Pick<FrameClock, "basis" | "written">): FrameClock => ({
    time: BigInt64Array.from(seconds, (s) => start + ns(s)), start, spacing, remarks, ...rest,
  }); // prettier-ignore
  // Counted from 1970 such times are above 10^8 s; no scan lasts three years.
  if (stored && seconds.length > 0 && seconds[0]! > 1e8) return timed(0n, { basis: "absolute" });
  const at = written === undefined ? undefined : startOf(written, context);
  if (at) return timed(at.start, { basis: at.basis, written: written! });
  if (written !== undefined) remarks.push(`its start "${written}" is not a time; wanted such as 2026-11-22T10:15:00+01:00`);
  return timed(written_ns - ns(seconds.at(-1) ?? 0), { basis: "first seen" });
} // prettier-ignore

/** When a start as written was: with a zone as it says, without one by the clocks of `timezone`; undefined if no time. */
function startOf(written: string, context: SourceContext): { start: bigint; basis: FrameClock["basis"] } | undefined {
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(written);
  let face: bigint;
  try {
    face = parseTime(zoned ? written : `${written}Z`);
  } catch {
    return undefined;
  }
  if (zoned) return { start: face, basis: "absolute" };
  const start = instantOf(face, zoneOf(context.timezone));
  return { start, basis: context.timezoneAssumed ? "zone assumed" : "absolute" };
} // prettier-ignore
