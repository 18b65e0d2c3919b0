import { resolve } from "node:path";
import {
  defineSource, REQUIRED, scalar, SourceError, text, type Columns, type Fault, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { faceText, instantOf, instantsOf, utcOffset, zoneOf, type Zone } from "../local-time.ts";
import { bdfColumns, bdfOf } from "./bdf.ts";
import { fileReader, type FileReader } from "./file-reader.ts";
import { decodeRecords, fieldsOf, isMpr, readMpr, type Mpr, type NumberArray } from "./mpr.ts";
import { timesOf } from "./test-time.ts";

/**
 * A cycler's file: BioLogic `.mpr` of EC-Lab and BT-Lab, all versions, whole as it stands at the start of the run.
 *
 * `echem` has BDF's columns (test_time_second [s], voltage_volt [V], current_ampere [A], positive on charge) and
 * beside them all that the file holds, under names of its own with their units. Where the file has no current but
 * the charge passed since the row before, current is that over the time since then, as EC-Lab itself exports it.
 *
 * Time: the file says when acquisition began, as local time without its zone; `timezone` says which. A file without
 * it (its LOG module is written when the run ends) says the day: there the modification time stands in if it agrees
 * with that day, else midnight does. `time_basis` says which it was, and a fault what may be wrong with it.
 *
 * Rows stand in the file's order. One whose test time lies before that of an earlier row comes too late for its
 * stream (`echem.late`), with a fault that counts them; nothing is sorted, since that would move measured rows
 * past each other without a sign. A row whose test time is no number is left out, with a fault.
 */
export const echemFile = defineSource({
  name: "echem/file",
  doc: "Reads a cycler's file, BioLogic .mpr (EC-Lab, BT-Lab)",
  output: {
    echem: { test_time_second: scalar("s"), voltage_volt: scalar("V"), current_ampere: scalar("A") },
  },
  config: {
    path: text(REQUIRED, { doc: "the file, relative to the pipeline file" }),
  },
  claims: (head, path) => isMpr(head) || (head.length === 0 && /\.mpr$/i.test(path)),
  open: ({ path }, context) => rowsOf(path, context),
});

const ROWS_AT_A_TIME = 8192;

async function* rowsOf(path: string, context: SourceContext): AsyncGenerator<SourceItem> {
  const file = fileReader(resolve(context.directory, path), context.signal);
  const { size, modified } = await file.state();
  const mpr = await named(path, () => readMpr(file.read, size));
  const vendor = fieldsOf(mpr);
  if (!("test_time_second" in vendor)) {
    throw new SourceError(
      `${path}: has no column time/s, so its rows cannot be put in time; export it with its time`,
    );
  }
  const last_s = await lastTestTime(mpr, file);
  const clock = await named(path, () => startOf(mpr, { modified, last_s }, context));
  const bdf = bdfOf(vendor);
  const { test_time_second, ...others } = vendor;
  const fault = (what: string, time = clock.start, count?: number): Fault =>
    ({ time, what: `${path}: ${what}`, ...(count !== undefined && { count }) }); // prettier-ignore

  yield {
    schema: {
      echem: {
        fields: { test_time_second: test_time_second!, ...bdf.fields, ...others },
        metadata: {
          instrument: "BioLogic",
          format: "mpr",
          ...mpr.settings,
          ...mpr.log?.metadata,
          ...clock.metadata,
        },
      },
    },
    faults: [
      ...mpr.problems.map(({ at, what, unread }) => ({
        ...fault(`byte ${at}: ${what}`),
        ...(unread && { unread }),
      })),
      ...clock.doubts.map((doubt) => fault(doubt)),
    ],
  };

  const unchanged = await tableGuard(mpr, file);
  let before_s = NaN;
  let latest_s = -Infinity;
  for (let done = 0; done < mpr.records; done += ROWS_AT_A_TIME) {
    if (context.signal.aborted) return;
    const at = mpr.firstRecord + done * mpr.recordLength;
    const wanted = Math.min(ROWS_AT_A_TIME, mpr.records - done);
    const bytes = await file.read(at, wanted * mpr.recordLength);
    const problem = await unchanged();
    const columns = problem ? {} : decodeRecords(mpr, bytes);
    const test_s = (columns["test_time_second"] ?? new Float64Array(0)) as Float64Array;
    const rows = test_s.length;
    const bdfs = bdfColumns(bdf, columns, rows, before_s);
    const ordered = inOrder({ time: timesOf(clock.start, test_s), ...columns, ...bdfs }, test_s, latest_s);
    if (rows) before_s = test_s[rows - 1]!;
    latest_s = ordered.latest_s;

    const faults: Fault[] = [];
    const report = (what: string, count?: number): void =>
      void faults.push(fault(what, clock.start + nanoseconds(latest_s), count));
    const { pieces, late, unplaced } = ordered;
    const waited_s = file.waited_s();
    if (waited_s) report(`was locked by another program for ${waited_s} s; nothing is lost`);
    if (late)
      report(
        `test time runs backwards near record ${done + ordered.first}: ${late} rows lie before one that came earlier`,
        late,
      );
    if (unplaced)
      report(
        `${unplaced} of the records ${done} to ${done + rows - 1} have no usable test time and are left out`,
        unplaced,
      );
    const lose = (what: string): void =>
      void faults.push({ ...fault(what, clock.start + nanoseconds(latest_s)), unread: true });
    if (problem) lose(`byte ${at}, record ${done}: ${problem}`);
    else if (rows < wanted) {
      const missing = mpr.records - done - rows;
      lose(`byte ${at + bytes.length}: the file was cut while it was read; ${missing} records are missing`);
    }
    if (pieces.length === 0 && faults.length) yield { faults };
    for (const [i, { columns: echem, promise_s }] of pieces.entries()) {
      const watermark = clock.start + nanoseconds(promise_s);
      yield { rows: { echem }, watermark, ...(i === 0 && faults.length && { faults }) };
    }
    if (rows < wanted) return;
  }
}

/** Puts the file's name before a SourceError's message. */
async function named<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof SourceError)) throw cause;
    throw new SourceError(`${path}: ${cause.message}`, { cause });
  }
}

async function lastTestTime(mpr: Mpr, file: FileReader): Promise<number> {
  if (mpr.records === 0) return NaN;
  const bytes = await file.read(mpr.firstRecord + (mpr.records - 1) * mpr.recordLength, mpr.recordLength);
  return (decodeRecords(mpr, bytes)["test_time_second"] as Float64Array).at(-1) ?? NaN;
}

/** EC-Lab writes the whole file anew when text is exported, and may add columns; rows must not be read across that. */
async function tableGuard(mpr: Mpr, file: FileReader): Promise<() => Promise<string | undefined>> {
  const from = mpr.modules.find(({ name }) => name === "VMP data")!.start + 4; // before it stands the count, which grows
  const length = mpr.firstRecord - from + (mpr.records ? mpr.recordLength : 0);
  const atFirst = await file.read(from, length);
  let seen = await file.state();
  return async () => {
    const now = await file.state();
    if (now.size === seen.size && now.modified === seen.modified) return undefined;
    seen = now;
    const same = Buffer.compare(atFirst, await file.read(from, length)) === 0;
    return same
      ? undefined
      : "another program wrote the file anew while it was read; open it again for the rest";
  };
}

interface Clock {
  /** ns, UTC, at test time 0. */
  readonly start: bigint;
  readonly metadata: Readonly<Record<string, string>>;
  readonly doubts: readonly string[];
}

const NS_PER_S = 1_000_000_000n;
const nanoseconds = (s: number): bigint => (isTime(s) ? BigInt(Math.round(s * 1e9)) : 0n);

function startOf(
  mpr: Mpr,
  { modified, last_s }: { modified: bigint; last_s: number },
  context: SourceContext,
): Clock {
  const zone = zoneOf(context.timezone);
  if (!mpr.log) return startWithoutLog(mpr.day, modified - nanoseconds(last_s), zone);
  const start = instantOf(mpr.log.start, zone, (instants) => byWriting(instants, modified, last_s));
  return {
    start,
    metadata: {
      time_basis: context.timezoneAssumed ? "zone assumed" : "absolute",
      acquisition_start: withOffset(start, zone),
      timezone: zone.name,
    },
    doubts: [],
  };
}

/**
 * Which of the two instants that a clock showed twice a run began at. The rows cannot end after the file was
 * written; and where they end just before it was, EC-Lab closed it then. undefined where both remain possible.
 */
function byWriting(instants: readonly bigint[], modified: bigint, last_s: number): bigint | undefined {
  const end = (instant: bigint): bigint => instant + nanoseconds(last_s);
  const possible = instants.filter((instant) => end(instant) <= modified + 60n * NS_PER_S);
  if (possible.length === 1) return possible[0];
  return possible.find((instant) => end(instant) >= modified - 600n * NS_PER_S);
}

/** The day that the settings were written on is the day of the start in every file that has both. */
function startWithoutLog(day: string, byModification: bigint, zone: Zone): Clock {
  const [, month, date, year] = /^(\d\d)\D(\d\d)\D(\d\d)$/.exec(day) ?? [];
  const midnight = month
    ? BigInt(Date.UTC(2000 + Number(year), Number(month) - 1, Number(date))) * 1_000_000n
    : undefined;
  const face = byModification + BigInt(zone.offsetAt(Number(byModification / 1_000_000n))) * 1_000_000n;
  const agrees = midnight === undefined || faceText(face).slice(0, 10) === faceText(midnight).slice(0, 10);
  const none = "has no start time (its LOG module is not there, as in a run that goes on or was broken off)";
  const place = "; if you know better, place the source by hand";
  const start = agrees ? byModification : (instantsOf(midnight, zone)[0] ?? midnight);
  const how = agrees
    ? `taken from when the file was last written, less its last test time${midnight === undefined ? "" : "; the day agrees with its settings"}`
    : `taken as the midnight that began ${faceText(midnight).slice(0, 10)}, the day of its settings: known to the day only`;
  return {
    start,
    metadata: {
      time_basis: "first seen",
      time_note: how,
      acquisition_start: withOffset(start, zone),
      timezone: zone.name,
    },
    doubts: [`${none}; it is ${how}${place}`],
  };
}

/** "2025-10-26T02:30:00.000+02:00" */
function withOffset(instant: bigint, zone: Zone): string {
  const offset_ms = zone.offsetAt(Number(instant / 1_000_000n));
  return faceText(instant + BigInt(offset_ms) * 1_000_000n).replace(" ", "T") + utcOffset(offset_ms).slice(3);
}

interface Piece {
  readonly columns: Columns;
  /** No later row on time lies before it. */
  readonly promise_s: number;
}

interface Ordered {
  /** The rows that have a time, cut wherever it runs backwards. */
  readonly pieces: Piece[];
  /** Rows before `latest_s`, or before an earlier row of these; and the first of them. */
  readonly late: number;
  readonly first: number;
  /** Rows whose time is none. */
  readonly unplaced: number;
  /** Highest test time up to here. */
  readonly latest_s: number;
}

/** Test times reach from a linked technique's days to a cell's years; what is further off is no time. */
const isTime = (s: number): boolean => Math.abs(s) < 1e10;

function inOrder(columns: Columns, test_s: Float64Array, latest_s: number): Ordered {
  const unplaced = test_s.reduce((n, s) => (isTime(s) ? n : n + 1), 0);
  const all = unplaced ? where(columns, (i) => isTime(test_s[i]!)) : columns;
  const placed_s = unplaced ? test_s.filter(isTime) : test_s;
  const pieces: Piece[] = [];
  let [late, first, from, highest_s] = [0, 0, 0, latest_s];
  for (let i = 0; i < placed_s.length; i++) {
    if (i > 0 && placed_s[i]! < placed_s[i - 1]!) {
      pieces.push({ columns: cut(all, from, i), promise_s: highest_s });
      from = i;
    }
    if (placed_s[i]! >= highest_s) highest_s = placed_s[i]!;
    else if (late++ === 0) first = i;
  }
  if (placed_s.length > from) pieces.push({ columns: cut(all, from, placed_s.length), promise_s: highest_s });
  return { pieces, late, unplaced, first, latest_s: highest_s };
}

const where = (columns: Columns, keep: (row: number) => boolean): Columns =>
  Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      (column as NumberArray).filter((_, i) => keep(i)),
    ]),
  ) as unknown as Columns;

const cut = (columns: Columns, from: number, to: number): Columns =>
  Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, (column as NumberArray).subarray(from, to)]),
  ) as unknown as Columns;
