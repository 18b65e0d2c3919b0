/**
 * What readers give, as items of a source: rows in time, late and unusable ones counted, spectra put together, schemas
 * announced where they change, and nothing given out twice when a file is read again.
 */
import {
  type Columns,
  type Fault,
  type Fields,
  type Schema,
  type SourceContext,
  type SourceItem,
} from "../../runtime/index.ts";
import { clockOf, isTime, type Clock, type Written } from "./clock.ts";
import type { Chunk, EchemReader, Problem, Start } from "./echem-file.ts";
import { GivenOut } from "./given-out.ts";
import { hasImpedance, IMPEDANCE, Spectra } from "./spectra.ts";
import { endOfRise, timesOf } from "./test-time.ts";

type Values = Exclude<Columns[string], BigInt64Array>;

export class RowStream {
  readonly #context: SourceContext;
  readonly #spectra = new Spectra();
  /** Schemas as last announced. */
  readonly #announced = new Map<string, string>();
  #given = new GivenOut();
  #path = "";
  #start: Start | undefined;
  #clock: Clock | undefined;
  #about: Schema["metadata"] = {};
  #fields: Fields = {};
  #version = 1;
  #written: Written = { modified: 0n, last_s: NaN };
  /** Highest time given out; nothing later is before it. */
  #latest: bigint | undefined;
  /** Highest test time of the files before, to whose clock a file without one may belong. */
  #reached_s = -Infinity;

  constructor(context: SourceContext) {
    this.#context = context;
  }

  /** Rows of this file that were given out. */
  get rows(): number {
    return this.#given.rows;
  }

  fault(what: string, rest: Partial<Fault> = {}): Fault {
    return { time: this.#latest ?? this.#clock?.start ?? this.#context.now(), what: `${this.#path}: ${what}`, ...rest };
  }

  /** The rows of this reader come next. `again`: it is the file that was read before, written anew since. */
  *begin(path: string, reader: EchemReader, written: Written, again = false): Generator<SourceItem> {
    const { start, fields, problems } = reader;
    this.#path = path;
    this.#written = written;
    const doubts: string[] = [];
    if (again && this.#clock && !isAnotherRun(this.#start, start)) {
      this.#given.again();
      doubts.push(...this.#laterStart(start, written));
    } else {
      this.#given = new GivenOut();
      const goesOn = !isExact(start) && this.#clock !== undefined && written.last_s >= this.#reached_s;
      if (!goesOn) {
        this.#clock = clockOf(start, written, this.#context);
        this.#start = start;
        doubts.push(...this.#clock.doubts);
      }
      this.#version = 1;
    }
    this.#about = { instrument: reader.instrument, format: reader.format, ...reader.metadata, ...this.#clock!.metadata };
    const ended = this.#spectra.begin(fields);
    if (ended) yield { rows: { impedance: ended } };
    this.#fields = fields;
    const faults = [...problems.map((problem) => this.#faultOf(problem)), ...doubts.map((doubt) => this.fault(doubt))];
    const schema = this.#news();
    if (schema || faults.length) yield { ...(schema && { schema }), ...(faults.length && { faults }) };
  }

  /** What a file that did not say its start, and does now, says of where its rows were placed. */
  *foundStart(start: Start | undefined, written: Written): Generator<SourceItem> {
    const said = this.#laterStart(start, written);
    if (said.length) yield { faults: said.map((what) => this.fault(what)) };
  }

  #laterStart(start: Start | undefined, written: Written): string[] {
    if (isExact(this.#start) || !isExact(start) || this.#context.placed) return [];
    const found = clockOf(start, written, this.#context);
    const apart_s = Number(found.start - this.#clock!.start) / 1e9;
    this.#start = start;
    const later = `${Math.abs(apart_s).toFixed(3)} s ${apart_s < 0 ? "earlier" : "later"}`;
    return [`says its start now: ${found.metadata["acquisition_start"]}, ${later} than where its rows were placed; they stay there. Read it again when it has ended, and they stand right`];
  }

  *take(chunk: Chunk): Generator<SourceItem> {
    if (chunk.fields) {
      const ended = this.#spectra.begin(chunk.fields);
      if (ended) yield { rows: { impedance: ended } };
      this.#fields = chunk.fields;
      const schema = this.#news();
      if (schema) yield { schema };
    }
    const faults = (chunk.problems ?? []).map((problem) => this.#faultOf(problem));
    const test_s = chunk.columns["test_time_second"] as Float64Array;
    const voltage_V = chunk.columns["voltage_volt"] as Float64Array;
    if (chunk.rows === 0) {
      if (faults.length) yield { faults };
      return;
    }
    const { skip, changed } = this.#given.skip(test_s, voltage_V);
    if (changed) {
      const row = this.#given.rows;
      this.#version++;
      // Nothing in common: it is another run, and where it does not say its start it begins when it was written.
      if (row === 0 && !isExact(this.#start)) this.#renewClock();
      const schema = this.#news();
      faults.push(this.fault(`was written anew, and from its row ${row} on it holds other values than were given out; these follow as a new epoch`));
      if (schema) yield { schema, faults: faults.splice(0) };
    }
    this.#given.add(test_s.subarray(skip), voltage_V.subarray(skip));
    yield* this.#place(chunk, skip, faults);
  }

  #renewClock(): void {
    this.#clock = clockOf(this.#start, this.#written, this.#context);
    this.#about = { ...this.#about, ...this.#clock.metadata };
  }

  /** The file has no more rows. */
  *end(): Generator<SourceItem> {
    const impedance = this.#spectra.end();
    if (impedance) yield { rows: { impedance } };
    this.#reached_s = Math.max(this.#reached_s, this.#given.latest_s);
  }

  *#place(chunk: Chunk, skip: number, faults: Fault[]): Generator<SourceItem> {
    const test_s = chunk.columns["test_time_second"] as Float64Array;
    const time = chunk.time ?? timesOf(this.#clock!.start, test_s);
    let unplaced = 0;
    if (!chunk.time) for (let i = skip; i < chunk.rows; i++) if (!isTime(test_s[i]!)) unplaced++;
    // Mostly all of them, and then nothing is copied.
    const all = { ...chunk.columns, time } as Columns;
    const columns =
      unplaced > 0 ? picked(all, range(skip, chunk.rows).filter((i) => isTime(test_s[i]!)))
      : skip > 0 ? part(all, skip, chunk.rows)
      : all; // prettier-ignore
    const times = columns.time;

    const pieces: { from: number; to: number; promise: bigint }[] = [];
    let [late, first] = [0, 0];
    for (let from = 0; from < times.length;) {
      const to = endOfRise(times, from);
      const latest = this.#latest;
      for (let i = from; latest !== undefined && i < to && times[i]! < latest; i++) if (late++ === 0) first = i;
      if (latest === undefined || times[to - 1]! > latest) this.#latest = times[to - 1]!;
      pieces.push({ from, to, promise: this.#latest! });
      from = to;
    }

    if (late > 0)
      faults.push(this.fault(`time runs backwards ${first > 0 ? `${first} rows after` : "at"} ${chunk.where}: ${late} rows lie before one that came earlier`, { count: late }));
    if (unplaced > 0)
      faults.push(this.fault(`${unplaced} of the ${chunk.rows} rows from ${chunk.where} on have no usable test time and are left out`, { count: unplaced }));
    if (pieces.length === 0 && faults.length > 0) yield { faults };
    for (const [i, { from, to, promise }] of pieces.entries()) {
      const echem = pieces.length === 1 ? columns : part(columns, from, to);
      const impedance = this.#spectra.take(echem as Chunk["columns"], echem.time);
      yield { rows: { echem, ...(impedance && { impedance }) }, watermark: promise, ...(i === 0 && faults.length > 0 && { faults }) };
    }
  }

  #faultOf({ where, what, unread, count }: Problem): Fault {
    return this.fault(`${where}: ${what}`, { ...(unread && { unread }), ...(count !== undefined && { count }) });
  }

  /** The schemas that differ from those announced. */
  #news(): Record<string, Schema> | undefined {
    const metadata = this.#version > 1 ? { ...this.#about, file_version: String(this.#version) } : this.#about;
    const now: Record<string, Schema> = {
      echem: { fields: this.#fields, metadata },
      ...(hasImpedance(this.#fields) && { impedance: { fields: IMPEDANCE, metadata } }),
    };
    const changed: Record<string, Schema> = {};
    for (const [port, schema] of Object.entries(now)) {
      const same = JSON.stringify(schema);
      if (this.#announced.get(port) !== same) changed[port] = schema;
      this.#announced.set(port, same);
    }
    return Object.keys(changed).length > 0 ? changed : undefined;
  }
} // prettier-ignore

const isExact = (start: Start | undefined): boolean => start !== undefined && !("day" in start);

/** Two files of one name that say different starts are two runs. */
function isAnotherRun(before: Start | undefined, now: Start | undefined): boolean {
  if (!isExact(before) || !isExact(now)) return false;
  const ns = (start: Start): bigint =>
    "face" in start ? start.face : (start as { instant: bigint }).instant;
  return ns(before!) !== ns(now!);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const isNumbers = (values: Values): values is Float64Array => ArrayBuffer.isView(values);

const mapped = (columns: Columns, of: (values: Values) => Values): Columns =>
  Object.fromEntries(
    Object.entries(columns).map(([name, values]) => [name, of(values as Values)]),
  ) as unknown as Columns;

const part = (columns: Columns, from: number, to: number): Columns =>
  mapped(columns, (values) =>
    isNumbers(values) ? values.subarray(from, to) : (values as string[]).slice(from, to),
  );

const picked = (columns: Columns, rows: readonly number[]): Columns =>
  mapped(columns, (values) => {
    if (!isNumbers(values)) return rows.map((i) => (values as string[])[i]!);
    const taken = values.slice(0, rows.length);
    rows.forEach((from, i) => (taken[i] = values[from]!));
    return taken;
  });
