import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SourceError } from "../../runtime/index.ts";
import type { Reading } from "./hdf5-values.ts";
import {
  checkFilters,
  cutShort,
  isDataset,
  numbers,
  readFrames,
  readHdf5,
  type Hdf5,
  type Numbers,
} from "../hdf5.ts";
import { commonType } from "./frame-rows.ts";
import { DARK, type FrameColumns, type Growth, type Part, type Scan, type ScanOptions } from "./scan.ts";

/**
 * A tomography file that is still being written: in SWMR mode, or plain and flushed now and then. It is opened anew
 * for each look, so each sees what is there by then, and no writer is ever locked out.
 *
 * A frame is given out once, when it is written and its key and angle are there too. Datasets are often made before
 * the scan, at their full length; what was not written yet reads as zeros there. Which frames are written is told by
 *
 *     a counter         the option `counter`, or areaDetector's NDArrayUniqueId: a number of frames, or a list with an
 *                       entry that is not 0 for each frame
 *     their values      otherwise: a frame counts when it, or a later one, holds more than one value. Of frames that
 *                       do not have a chunk each the last one waits for the next: it may be half there
 *
 * The scan ends when its SWMR writer has closed the file, or when nothing has come for `ends_after`. Frames that still
 * lack something are said then, and left out; dark frames at the end may be of one value.
 */
export async function followHdf5Scan(
  path: string,
  scanOf: (file: Hdf5, reading: Reading) => Scan,
  options: ScanOptions & Required<Pick<ScanOptions, "follow">>,
  /** Waits until it is time to look again; false where there is to be no other look. */
  wait: () => Promise<boolean> = untilNext(options),
): Promise<Scan> {
  const { every_s, endsAfter_s } = options.follow;
  const given = new Map<string, number>();
  const checked = new Set<string>();
  let quiet_s = 0;
  let size = -1;

  /** Throws SourceError where the file cannot be read right now. */
  async function look(growing: "yes" | "ended"): Promise<Look> {
    const written_ns = (await stat(path, { bigint: true }).catch(() => undefined))?.mtimeNs ?? 0n;
    const seen = await readHdf5(path, (file): Look => {
      const { state } = file;
      if (state.stated !== undefined) throw new SourceError(`${path}: ${cutShort(state)}`); // in the middle of a flush
      const { angleRange_deg, withoutAngles, counter } = options;
      const scan = scanOf(file, { angleRange_deg, ...(withoutAngles && { withoutAngles }), written_ns, growing });
      const news = scan.parts.map((part) => {
        const from = given.get(part.dataset) ?? 0;
        return { part, from, to: Math.max(from, written(file, part, { from, growing, counter: counterOf(file, part, counter) })) };
      });
      const lengths = new Map(scan.parts.map(({ dataset }) => [dataset, lengthOf(file, dataset)]));
      return { scan, news, size: state.size, over: state.closed && !state.swmr, lengths, counter: counterOf(file, scan.parts.at(-1)!, counter) };
    });
    for (const { part: { dataset }, to } of seen.news) {
      if (to === 0 || checked.has(dataset)) continue;
      await checkFilters(path, dataset);
      checked.add(dataset);
    }
    quiet_s = seen.size === size && seen.news.every(({ from, to }) => from === to) ? quiet_s + every_s : 0;
    size = seen.size;
    return seen;
  } // prettier-ignore

  /** What a look has found that was not given out yet. */
  function taken({ news }: Look): Part[] {
    for (const { part, to } of news) given.set(part.dataset, to);
    return news.filter(({ from, to }) => to > from).map(({ part, from, to }) => frames(part, from, to));
  }

  const first = await firstFrames();
  const { scan } = first;
  const parts = taken(first);
  const type = commonType(scan.parts);
  const columns = scan.parts.find((part) => part.columns)?.columns;
  const timed = parts.every(({ times_s }) => times_s);
  let last_s = -Infinity;
  for (const { times_s = [] } of parts) for (const time_s of times_s) last_s = Math.max(last_s, time_s);

  return {
    ...scan,
    parts: [...parts, ...scan.parts.map((part) => frames(part, 0, 0))].map((part) => alike(part, columns)),
    growth: growth(),
    again: wait,
    metadata: {
      ...scan.metadata,
      frames_written: first.counter
        ? `by ${first.counter}`
        : "by their values: not all the same, in them or after them",
    },
  };

  /** Waits for a file with a frame in it. */
  async function firstFrames(): Promise<Look> {
    let refused = 0;
    let refusedSize = -1;
    for (;;) {
      let seen: Look | undefined;
      let why: SourceError | undefined;
      try {
        seen = await look("yes");
        if (seen.news.some(({ to }) => to > 0)) return seen;
        if (seen.over || quiet_s >= endsAfter_s) seen = await look("ended");
        if (seen.news.some(({ to }) => to > 0) || seen.over || quiet_s >= endsAfter_s) return seen;
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        why = error;
        quiet_s += every_s;
        const now = await sizeOf(path);
        refused = now !== undefined && now === refusedSize ? refused + 1 : 0;
        refusedSize = now ?? -1;
        // What was whole and not what was wanted, look after look, does not become it.
        if (quiet_s >= endsAfter_s || (refused >= PATIENCE && !/cut short|held open/.test(error.message))) throw error;
      }
      if (!(await wait())) throw why ?? new SourceError(`${path}: held no frame yet when the run was ended`);
    }
  } // prettier-ignore

  async function* growth(): AsyncGenerator<Growth> {
    let over = first.over;
    while (!over && quiet_s < endsAfter_s) {
      if (!(await wait())) return;
      let seen: Look;
      try {
        seen = await look("yes");
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        quiet_s += every_s; // in the middle of being written, most likely
        if (quiet_s >= endsAfter_s) yield { faults: [{ what: error.message, unread: true }] };
        continue;
      }
      over = seen.over;
      yield* fitting(taken(seen));
    }
    const end = await look("ended").catch((error: unknown) => {
      if (!(error instanceof SourceError)) throw error;
      return error;
    });
    if (end instanceof SourceError) return yield { faults: [{ what: end.message, unread: true }] };
    yield* fitting(taken(end));
    for (const [dataset, length] of end.lengths) {
      const done = given.get(dataset) ?? 0;
      if (done >= length) continue;
      const which = done === length - 1 ? `frame ${done}` : `frames ${done} to ${length - 1}`;
      yield { faults: [{ what: `${path}: ${which} of ${dataset} never came whole (not written, or without a key or an angle); left out` }] };
    }
  } // prettier-ignore

  /** Parts as those before: of one type, with the same columns, and never back in time. */
  function* fitting(parts: readonly Part[]): Generator<Growth> {
    for (const part of parts) {
      if (part.type !== type && type !== "f32") {
        yield { faults: [{ what: `${path}: ${part.dataset} holds ${part.type}, where the scan began with ${type}; its frames are left out`, unread: true }] };
        continue;
      }
      const { times_s: _, ...untimed } = alike(part, columns);
      if (!timed) {
        yield { part: untimed };
        continue;
      }
      let back = part.times_s ? 0 : part.frames;
      const times_s = Float64Array.from({ length: part.frames }, (__, i) => {
        const time_s = part.times_s?.[i] ?? NaN;
        if (!(time_s >= last_s) && part.times_s) back++;
        return (last_s = time_s > last_s ? time_s : last_s);
      });
      yield { part: { ...untimed, times_s } };
      if (back > 0) yield { faults: [{ what: `${path}: ${back} frames of ${part.dataset} have no time, or one before frames that came earlier; they are given that of the last one` }] };
    }
  } // prettier-ignore
}

const PATIENCE = 20;

interface Look {
  readonly scan: Scan;
  /** Of each part, the frames that are new. */
  readonly news: readonly { readonly part: Part; readonly from: number; readonly to: number }[];
  /** Of each dataset of frames, written or not. */
  readonly lengths: ReadonlyMap<string, number>;
  readonly size: number;
  readonly over: boolean;
  readonly counter: string | undefined;
}

function untilNext({ follow, signal }: ScanOptions): () => Promise<boolean> {
  return async () => {
    await sleep(follow!.every_s * 1000, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  };
}

const lengthOf = (file: Hdf5, dataset: string): number => {
  const found = file.find(dataset);
  return isDataset(found) ? (found.shape?.[0] ?? 0) : 0;
};

/** How many frames of a part are written, as far as anybody can tell. */
function written(
  file: Hdf5, part: Part, { from, growing, counter }: { from: number; growing: "yes" | "ended"; counter: string | undefined },
): number {
  const { dataset, frames, image_key } = part;
  if (counter !== undefined) return Math.min(frames, counted(file, counter));
  const last = lastOf(from, lengthOf(file, dataset), (i) => !isConstant(readFrames(file, dataset, i, 1)));
  if (growing === "yes") return Math.min(frames, chunkEach(file, dataset) ? last + 1 : last);
  const dark = image_key.subarray(last + 1, frames).every((key) => key === DARK);
  return dark ? frames : Math.min(frames, last + 1);
} // prettier-ignore

/**
 * The last of `from` … `to` - 1 of which `holds` is true, where it is true up to it; `from` - 1 if of none. Looks at
 * some 2 log2(n) of them; where `holds` is false of some in between it may find an earlier one.
 */
export function lastOf(from: number, to: number, holds: (i: number) => boolean): number {
  if (to <= from) return from - 1;
  if (holds(to - 1)) return to - 1;
  let found = from - 1;
  let above = to - 1;
  for (let step = 1; from - 1 + step < to - 1; step *= 2) {
    const i = from - 1 + step;
    if (holds(i)) [found, above] = [i, to - 1];
    else if (above === to - 1) above = i;
  }
  while (above - found > 1) {
    const middle = (found + above) >> 1;
    if (holds(middle)) found = middle;
    else above = middle;
  }
  return found;
}

/** True of a frame of one value: what was never written, or a dark frame of a counting detector. */
function isConstant(values: Numbers): boolean {
  const [first] = values;
  return Number.isNaN(first) ? values.every((x) => Number.isNaN(x)) : values.every((x) => x === first);
}

/** True where each frame is one chunk: it is there whole, or not at all. */
function chunkEach(file: Hdf5, dataset: string): boolean {
  const found = file.find(dataset);
  if (!isDataset(found)) return false;
  const { chunks, shape } = found.metadata;
  return chunks !== null && chunks[0] === 1 && chunks.every((size, k) => k === 0 || size === shape?.[k]);
}

/** Where the file counts its frames: as the options say, else where areaDetector does. */
function counterOf(file: Hdf5, { dataset }: Part, named: string | undefined): string | undefined {
  // Darks and flats of Data Exchange are in datasets of their own, of which no counter tells.
  if (dataset.startsWith("/exchange/data_")) return undefined;
  if (named !== undefined) {
    if (!isDataset(file.find(named))) throw new SourceError(`${file.path}: has no dataset ${named}, which the option counter names`);
    return named;
  }
  const detector = dataset.slice(0, dataset.lastIndexOf("/"));
  const instrument = detector.slice(0, detector.lastIndexOf("/"));
  if (dataset.startsWith("/exchange/")) return undefined; // where such a list counts all three of them
  return [detector, instrument].map((at) => `${at}/NDAttributes/NDArrayUniqueId`).find((name) => isDataset(file.find(name)));
} // prettier-ignore

function counted(file: Hdf5, counter: string): number {
  const dataset = file.find(counter);
  if (!isDataset(dataset)) return 0;
  const values = numbers(dataset);
  const list = values.length > 1 || (dataset.metadata.maxshape?.[0] ?? 1) !== (dataset.shape?.[0] ?? 1);
  return list ? values.findLastIndex((x) => x !== 0 && !Number.isNaN(x)) + 1 : Math.trunc(values[0] ?? 0);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(({ size }) => size, () => undefined);
} // prettier-ignore

/** Frames from … to of a part. */
function frames(part: Part, from: number, to: number): Part {
  const { times_s, columns } = part;
  return {
    ...part,
    first: part.first + from,
    frames: to - from,
    image_key: part.image_key.slice(from, to),
    rotation_angle: part.rotation_angle.slice(from, to),
    ...(times_s && { times_s: times_s.slice(from, to) }),
    ...(columns && { columns: columnsOf(columns, (name) => columns[name]!.slice(from, to)) }),
  };
}

/** A part with the columns that the scan began with, NaN where it lacks them. */
function alike(part: Part, wanted: FrameColumns | undefined): Part {
  const { columns = {}, ...rest } = part;
  const missing = new Float64Array(part.frames).fill(NaN);
  return wanted ? { ...rest, columns: columnsOf(wanted, (name) => columns[name] ?? missing) } : rest;
}

const columnsOf = (columns: FrameColumns, get: (name: keyof FrameColumns) => Float64Array): FrameColumns =>
  Object.fromEntries((Object.keys(columns) as (keyof FrameColumns)[]).map((name) => [name, get(name)]));
