/**
 * A source in the running graph: opens it, sorts and checks its rows, decides once which are late, gathers fine
 * rows into batches of a good size, paces by event time or by rows, and declares it idle when it falls silent.
 * The only place where a clock enters; what it decides is recorded like data.
 */
import { fromArrow, fromArrowSchema } from "./arrow.ts";
import { BEGIN_OF_TIME, END_OF_TIME } from "./batch.ts";
import { byteSize, concat, isList, slice, timeOrder, typeOf, type Columns } from "./columns.ts";
import {
  SourceError,
  type Fault,
  type FrameReference,
  type SourceColumns,
  type SourceItem,
} from "./define.ts";
import type { Reporter } from "./operator-node.ts";
import type { Pacer } from "./pacer.ts";
import { firstAtOrAfter, type Stream } from "./stream.ts";
import type { Fields, NumericArray, Schema } from "./wire/schema.ts";
import type { PlannedSource } from "./wiring.ts";

export interface PumpOptions {
  readonly planned: PlannedSource;
  readonly streams: Readonly<Record<string, Stream>>;
  /** Rows that came after their time had been given up, by port. */
  readonly late: Readonly<Record<string, Stream>>;
  readonly faults: Reporter;
  readonly pacer: Pacer;
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Resolves when this pulled source may go on: its readers and the recorder have room, or it is furthest behind. */
  readonly turn: (pump: SourcePump) => Promise<void>;
  /** The earliest time of its first item, for the run's origin; undefined if it ended or was silent. */
  readonly first: (time: bigint | undefined) => Promise<void>;
  /** The run's origin is fixed. */
  readonly decided: Promise<void>;
}

const ITEM_KEYS = new Set(["rows", "schema", "watermark", "faults", "references", "due_s"]);
const GOOD_ROWS = 1024;
const GOOD_BYTES = 1 << 20;
/** Fine rows wait this long at most for company. */
const GATHER_MS = 20;

interface PortState {
  readonly stream: Stream;
  readonly late: Stream;
  schema: Schema | undefined;
  parts: Columns[];
  rows: number;
  bytes: number;
  lastTime: bigint;
  /** Promised to readers once what is gathered has been handed on. */
  promised: bigint;
  increases: boolean;
  reference: FrameReference | undefined;
}

export class SourcePump {
  readonly name: string;
  readonly #options: PumpOptions;
  readonly #ports = new Map<string, PortState>();
  readonly #disorder: bigint;
  /** When something was last handed on: what comes well after it does not wait. */
  #handedOnAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #lastHeard = performance.now();
  /** By the clock, ms: when the source said that its next rows are due. */
  #due: number | undefined;
  #lastEvent = BEGIN_OF_TIME;
  #rowsPaced = 0;
  #shift = 0n;
  #shifted = false;
  state: "open" | "ended" | "failed" = "open";
  error: Error | undefined;

  constructor(options: PumpOptions) {
    this.#options = options;
    const { planned } = options;
    this.name = planned.name;
    this.#disorder = planned.definition.disorder?.(planned.config as never) ?? 0n;
    for (const [port, stream] of Object.entries(options.streams)) {
      this.#ports.set(port, {
        stream, late: options.late[port]!, schema: undefined, parts: [], rows: 0, bytes: 0, lastTime: BEGIN_OF_TIME,
        promised: BEGIN_OF_TIME, increases: true, reference: undefined,
      }); // prettier-ignore
    }
  }

  /** What all its streams have promised: the least of them. */
  get watermark(): bigint {
    let least = END_OF_TIME;
    for (const { stream } of this.#ports.values()) if (stream.watermark < least) least = stream.watermark;
    return least;
  }
  /** What the items so far have promised, on all ports. */
  #promised(): bigint {
    let least = END_OF_TIME;
    for (const { promised } of this.#ports.values()) if (promised < least) least = promised;
    return least;
  }
  /** Seconds until the next rows are due; undefined where the source does not know. */
  get due_s(): number | undefined {
    return this.#due === undefined ? undefined : (this.#due - performance.now()) / 1000;
  }
  get streams(): Iterable<Stream> {
    return Object.values(this.#options.streams);
  }

  /** Runs to the end of the source. Never rejects: what goes wrong becomes a fault and the source's `error`. */
  async run(): Promise<void> {
    const { planned, signal, directory, faults } = this.#options;
    const { timezone, start } = planned.common;
    const assumed = timezone === "";
    this.#watchIdle();
    try {
      const opened = planned.definition.open(planned.config as never, {
        signal, directory,
        now: () => BigInt(Date.now()) * 1_000_000n,
        timezone: assumed ? Intl.DateTimeFormat().resolvedOptions().timeZone : timezone,
        timezoneAssumed: assumed,
        placed: start !== undefined,
      }); // prettier-ignore
      if (Symbol.asyncIterator in opened) await this.#pull(opened);
      else await this.#listen(opened);
      this.state = "ended";
    } catch (error) {
      this.state = "failed";
      this.error = error as Error;
      this.#flush();
      this.#faults([{ time: this.#now(), what: (error as Error).message }]);
      await this.#first(undefined);
    }
    clearTimeout(this.#timer);
    clearInterval(this.#idleTimer);
    this.#flush({ last: true });
    for (const { stream, late } of this.#ports.values()) {
      stream.end();
      late.end();
    }
    faults.promise(END_OF_TIME);
  }

  async #pull(items: AsyncIterable<SourceItem>): Promise<void> {
    const { signal, pacer, turn } = this.#options;
    const iterator = items[Symbol.asyncIterator]();
    const stopped = new Promise<"stopped">((resolve) => {
      if (signal.aborted) resolve("stopped");
      signal.addEventListener("abort", () => resolve("stopped"), { once: true });
    });
    let first = true;
    try {
      for (;;) {
        if (!first) await turn(this);
        if (signal.aborted) break;
        const next = await Promise.race([iterator.next(), stopped]);
        if (next === "stopped" || next.done) break;
        const item = this.#place(next.value);
        const time = firstTime(item);
        if (first && time !== undefined) {
          first = false;
          await this.#first(time);
          await turn(this);
        }
        const { pace } = this.#options.planned.common;
        if (time !== undefined) {
          const wait = pace > 0 ? pacer.byRows(this.name, this.#rowsPaced, pace) : pacer.byTime(time);
          if (wait) {
            this.#flush();
            if ((await Promise.race([wait, stopped])) === "stopped") break;
          }
          for (const columns of Object.values(item.rows ?? {})) this.#rowsPaced += lengthOf(columns);
        }
        this.#accept(item);
      }
      if (first) await this.#first(undefined);
    } finally {
      await iterator.return?.();
    }
  }

  #firstSaid = false;
  /** Items that came before the run's origin was fixed; nothing flows until then, not even a schema. */
  #early: SourceItem[] | undefined = [];
  async #first(time: bigint | undefined): Promise<void> {
    if (this.#firstSaid) return;
    this.#firstSaid = true;
    await this.#options.first(time);
    this.#release();
  }
  #release(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const item of early) this.#accept(item);
  }

  #listen(items: import("rxjs").Observable<SourceItem>): Promise<void> {
    const { signal } = this.#options;
    // A pushed source is live: its first item may be hours away, so the origin does not wait for it.
    void this.#first(undefined);
    return new Promise((resolve, reject) => {
      const subscription = items.subscribe({
        next: (item) => {
          try {
            this.#accept(this.#place(item));
          } catch (error) {
            subscription.unsubscribe();
            reject(error as Error);
          }
        },
        error: reject,
        complete: resolve,
      });
      signal.addEventListener("abort", () => (subscription.unsubscribe(), resolve()), { once: true });
    });
  }

  /** Moves a source that was placed by hand: its first row to the time that was given. */
  #place(item: SourceItem): SourceItem {
    const { start } = this.#options.planned.common;
    if (start === undefined) return item;
    const first = firstTime(item);
    if (!this.#shifted && first !== undefined) {
      this.#shift = start - first;
      this.#shifted = true;
    }
    const rows = item.rows && Object.fromEntries(
      Object.entries(item.rows).map(([port, given]) => {
        const columns = this.#columnsOf(given);
        return [port, { ...columns, time: columns.time.map((t) => t + this.#shift) } as Columns];
      }),
    ); // prettier-ignore
    const schema = item.schema && Object.fromEntries(
      Object.entries(item.schema).map(([port, { fields, metadata }]) => [port, { fields, metadata: { ...metadata, time_basis: "placed by hand" } }]),
    ); // prettier-ignore
    return {
      ...item,
      ...(rows && { rows }),
      ...(schema && { schema }),
      ...(item.watermark !== undefined && { watermark: item.watermark + this.#shift }),
      ...(item.faults && {
        // What is said before the first row has no better time than the start.
        faults: item.faults.map((fault) => ({
          ...fault,
          time: this.#shifted ? fault.time + this.#shift : start,
        })),
      }),
    };
  }

  #columnsOf(given: SourceColumns): Columns {
    return "numRows" in given ? fromArrow(given as import("apache-arrow").RecordBatch) : (given as Columns);
  }

  #accept(item: SourceItem): void {
    for (const key in item) {
      if (!ITEM_KEYS.has(key))
        throw new TypeError(
          `${this.name}: an item has ${[...ITEM_KEYS].join(", ")}, not ${key}; rows stand as { rows: { port: columns } }`,
        );
    }
    if (this.#early) {
      if (this.#early.length === 0) void this.#options.decided.then(() => this.#release());
      this.#early.push(item);
      return;
    }
    this.#lastHeard = performance.now();
    if (item.due_s !== undefined) this.#due = this.#lastHeard + item.due_s * 1000;
    for (const port of Object.keys({ ...item.schema, ...item.rows })) {
      if (!this.#ports.has(port)) throw new TypeError(`${this.name}: its definition has no port ${port}`);
    }
    // Before the rows, whose times would move what was found among them.
    if (item.faults?.length) this.#faults(item.faults);
    for (const [port, schema] of Object.entries(item.schema ?? {}))
      this.#renew(this.#ports.get(port)!, schema);
    for (const [port, given] of Object.entries(item.rows ?? {})) {
      const state = this.#ports.get(port)!;
      const columns = this.#columnsOf(given);
      if (columns.time.length === 0) continue;
      if (!state.schema) this.#renew(state, this.#inferred(port, columns, given));
      const reference = item.references?.[port];
      if (reference) this.#flush();
      this.#gather(state, columns, reference);
      if (reference) this.#flush();
    }
    if (item.watermark !== undefined) {
      for (const state of this.#ports.values())
        if (item.watermark > state.promised) state.promised = item.watermark;
    }
    const now = performance.now();
    let due = now - this.#handedOnAt >= GATHER_MS;
    for (const { rows, bytes } of this.#ports.values()) due ||= rows >= GOOD_ROWS || bytes >= GOOD_BYTES;
    if (due) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS - (now - this.#handedOnAt));
  }

  #renew(state: PortState, schema: Schema): void {
    if (state.schema && sameSchema(state.schema, schema)) return;
    if (state.schema) {
      this.#flush({ last: true });
      state.stream.beat(state.lastTime + 1n);
      state.promised = state.stream.watermark;
    }
    state.schema = schema;
    state.stream.open(schema);
  }

  /** The schema of rows that came without one: the declared fields, in the types that came. */
  #inferred(port: string, columns: Columns, given: SourceColumns): Schema {
    if ("numRows" in given) return fromArrowSchema((given as import("apache-arrow").RecordBatch).schema);
    const declared = this.#options.planned.ports[port]!;
    const fields: Record<string, Fields[string]> = {};
    for (const [name, field] of Object.entries(declared)) {
      const column = columns[name];
      if (column === undefined) continue;
      const values = isList(column) ? column.values : column;
      fields[name] = Array.isArray(values) ? field : { ...field, type: typeOf(values as NumericArray) };
    }
    return { fields, metadata: { time_basis: this.#shifted ? "placed by hand" : "first seen" } };
  }

  #gather(state: PortState, given: Columns, reference: FrameReference | undefined): void {
    const fields = state.schema!.fields;
    for (const name in fields) {
      if (given[name] === undefined)
        throw new TypeError(`${state.stream.name}: rows came without their column ${name}`);
    }
    const order = timeOrder(given.time);
    let columns = order > 0 ? given : sortByTime(given, fields);
    const { time } = columns;
    const promised = state.promised > state.stream.watermark ? state.promised : state.stream.watermark;
    const early = firstAtOrAfter(time, promised);
    if (early > 0) {
      this.#late(state, slice(columns, fields, 0, early));
      columns = slice(columns, fields, early, time.length);
    }
    const length = columns.time.length;
    if (length === 0) return;
    if (state.increases && (order < 2 || columns.time[0]! <= state.lastTime)) state.increases = false;
    const last = columns.time[length - 1]!;
    if (last > state.lastTime) state.lastTime = last;
    if (last - this.#disorder > state.promised) state.promised = last - this.#disorder;
    if (last > this.#lastEvent) this.#lastEvent = last;
    state.parts.push(columns);
    state.rows += length;
    state.bytes += byteSize(columns);
    state.reference = reference;
  }

  /** Late rows are timed by the promise that they came after; when they were measured stands in `of_time`. */
  #late(state: PortState, columns: Columns): void {
    const { late, stream } = state;
    if (late.epoch < stream.epoch) {
      const fields = {
        of_time: { kind: "scalar", type: "i64", unit: "ns", doc: "when it was measured" } as const,
        ...state.schema!.fields,
      };
      late.open({ fields, metadata: state.schema!.metadata });
    }
    const at = state.promised > stream.watermark ? state.promised : stream.watermark;
    late.append({ ...columns, of_time: columns.time, time: columns.time.map(() => at) } as Columns, at);
  }

  #faults(faults: readonly Fault[]): void {
    const promised = this.#promised();
    for (const fault of faults) {
      // Timed by what the items before it have promised, whenever they were handed on.
      this.#options.faults.add(fault.time < promised ? { ...fault, time: promised } : fault);
      if (fault.unread) this.error ??= new SourceError(fault.what);
    }
  }

  #now(): bigint {
    const { watermark } = this;
    if (this.#lastEvent > BEGIN_OF_TIME) return this.#lastEvent;
    return watermark > BEGIN_OF_TIME && watermark < END_OF_TIME ? watermark : BigInt(Date.now()) * 1_000_000n;
  }

  /** Hands on what has been gathered, ports in their order, with the watermarks that are now true. */
  #flush({ last = false } = {}): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#handedOnAt = performance.now();
    for (const state of this.#ports.values()) {
      const { stream } = state;
      if (state.rows > 0) {
        const { fields } = state.schema!;
        const joined = concat(state.parts, fields);
        const { reference } = state;
        state.parts = [];
        state.rows = state.bytes = 0;
        state.reference = undefined;
        if (this.#disorder > 0n) this.#handOnSorted(state, sortByTime(joined, fields), last);
        else {
          // Each part begins where the one before it ended: what does not is late.
          const natural = state.increases ? state.lastTime + 1n : state.lastTime;
          stream.append(joined, natural > state.promised ? natural : state.promised, reference);
        }
      } else stream.beat(state.promised);
    }
    this.#options.faults.promise(this.#promised());
    for (const { late, stream } of this.#ports.values()) late.beat(stream.watermark);
  }

  /** Of a stream whose rows may come late: those that nothing can come before any more; the others wait for company. */
  #handOnSorted(state: PortState, columns: Columns, last: boolean): void {
    const { fields } = state.schema!;
    const { length } = columns.time;
    const ready = last ? length : firstAtOrAfter(columns.time, state.promised);
    if (ready > 0) state.stream.append(slice(columns, fields, 0, ready), state.promised);
    else state.stream.beat(state.promised);
    if (ready === length) return;
    const rest = slice(columns, fields, ready, length);
    state.parts = [rest];
    state.rows = length - ready;
    state.bytes = byteSize(rest);
  }

  /** After `idle_after` of silence it goes on promising, as the clock runs. */
  #watchIdle(): void {
    const { idle_after } = this.#options.planned.common;
    if (!(idle_after > 0)) return;
    this.#idleTimer = setInterval(
      () => {
        const silent_s = (performance.now() - this.#lastHeard) / 1000;
        if (silent_s < idle_after || this.#lastEvent === BEGIN_OF_TIME) return;
        const speed = this.#options.pacer.speed;
        const ahead_s = (silent_s - idle_after) * (Number.isFinite(speed) ? speed : 1);
        const watermark = this.#lastEvent + BigInt(Math.round(ahead_s * 1e9));
        this.#flush();
        for (const state of this.#ports.values()) {
          if (watermark > state.promised) state.promised = watermark;
          state.stream.beat(state.promised, "idle");
        }
      },
      Math.min(1000, idle_after * 250),
    );
  }
}

function lengthOf(columns: SourceColumns): number {
  return "numRows" in columns ? (columns as { numRows: number }).numRows : (columns as Columns).time.length;
}

function firstTime(item: SourceItem): bigint | undefined {
  let first: bigint | undefined;
  for (const columns of Object.values(item.rows ?? {})) {
    const time = "numRows" in columns
      ? ((columns as import("apache-arrow").RecordBatch).data.children[0]!.values as BigInt64Array)
      : (columns as Columns).time; // prettier-ignore
    if (time.length > 0 && (first === undefined || time[0]! < first)) first = time[0]!;
  }
  return first;
}

const sameSchema = (a: Schema, b: Schema): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

/** The same rows in time order; equal times stay as they came. */
function sortByTime(columns: Columns, fields: Fields): Columns {
  const { time } = columns;
  if (timeOrder(time) > 0) return columns;
  const order = Array.from(time.keys()).sort((a, b) =>
    time[a]! < time[b]! ? -1 : time[a]! > time[b]! ? 1 : a - b,
  );
  return concat(order.map((i) => slice(columns, fields, i, i + 1)), fields); // prettier-ignore
}
