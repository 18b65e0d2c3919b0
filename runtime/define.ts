/**
 * Definitions are data: a name, the schemas in and out, the options, and a factory. From them come the wiring
 * check before the start, the reference page, the command's help and the form in the ui.
 */
import type { RecordBatch } from "apache-arrow";
import type { Observable } from "rxjs";
import type { ColumnsFor, Columns, RowFor } from "./columns.ts";
import type { ConfigOf, Options } from "./config.ts";
import type { Fields, Schema } from "./wire/schema.ts";
import type { RunView } from "./run-view.ts";

/** Ports by name, each with the columns that it must have. */
export type Ports = Readonly<Record<string, Fields>>;

/** The complete rows of one port, sorted by time. Rows are lent: who keeps some copies them. */
export type Rows<F extends Fields> = ColumnsFor<F> & {
  readonly length: number;
  /** Seconds since the run's origin, for arithmetic; never a key. */
  readonly seconds: Float64Array;
  /** One row; for images and curves. Scalars are read column by column, some fifty times faster. */
  at(i: number): RowFor<F> & { readonly seconds: number };
  /** All columns of the stream, declared or not, as they came. */
  readonly columns: Columns;
};

export type Inputs<I extends Ports> = { readonly [P in keyof I]: Rows<I[P]> };

export interface PortWriter<F extends Fields> {
  /** One row, copied. */
  add(row: RowFor<F>): void;
  /** Whole columns, handed over: the caller does not touch them again. */
  put(columns: ColumnsFor<F>): void;
}

export type Out<O extends Ports> = { readonly [P in keyof O]: PortWriter<O[P]> } & {
  /** A row of the run's `faults`: what was wrong with the data and what to do, at a time (ns) or at seconds since the origin. */
  fault(when: bigint | number, what: string): void;
};

export type Saved = unknown;

/** What a person has changed while the run goes on: some of the options that the definition lists as `live`. */
export interface Action<C extends Options = Options> {
  /** Every row before it has been stepped over, and none at it or after it. */
  readonly time: bigint;
  /** The same in seconds since the origin. */
  readonly seconds: number;
  /** The options that have changed, checked and converted as those of the pipeline file. */
  readonly changes: Partial<ConfigOf<C>>;
}

export interface OperatorInstance<I extends Ports, O extends Ports, C extends Options = Options> {
  /**
   * Takes the rows that have become complete: of every port all with time < upTo (seconds since the origin).
   * Called once more with upTo = Infinity when all inputs have ended.
   */
  step(inputs: Inputs<I>, out: Out<O>, upTo: number): void;
  /**
   * Seconds since the origin of the earliest row that may still come out before upTo; Infinity if none. By port where
   * they differ, so that rows of a port that waits for nothing are not held by one that does; a port that is not named holds none.
   */
  holds?(): number | { readonly [P in keyof O]?: number };
  /**
   * Options have changed, between two steps: the one before had upTo = the action's time. Rows that it puts out are
   * at that time or later. Needed where the definition has `live` options; what these would make impossible
   * (`output` throws, or schemas would change) does not come here. `save` need not hold options: who loads what was
   * saved is started with those in force, as is an instance that a new epoch of an input begins.
   */
  act?(action: Action<C>, out: Out<O>): void;
  /** Plain numbers, text and typed arrays, copied. */
  save?(): Saved;
  load?(saved: never): void;
}

export interface StartContext<I extends Ports = Ports> {
  /** What really comes in: schema and metadata of each port, sizes known. */
  readonly inputs: { readonly [P in keyof I]: Schema };
  /** ns; seconds count from here. */
  readonly origin: bigint;
  /** The nanosecond nearest to a number of seconds since the origin. */
  timeAt(seconds: number): bigint;
}

/** Thrown by an `output` function where wiring or config cannot be right; stops the start with all others found. */
export class WiringError extends Error {
  override readonly name = "WiringError";
}

export type Place = "main" | "worker" | "workers";

export interface OperatorDefinition<
  I extends Ports = Ports,
  O extends Ports = Ports,
  C extends Options = Options,
> {
  readonly kind: "operator";
  readonly name: string;
  readonly doc?: string;
  /** A port named "*" stands for any number of further ports, named in the pipeline file. */
  readonly input: I;
  readonly output:
    | O
    | ((
        inputs: { [P in keyof I]: I[P] & Fields },
        config: ConfigOf<C>,
        metadata: Record<string, Schema["metadata"]>,
      ) => O);
  /** Metadata of each output stream; by default that of the first input. */
  readonly metadata?: (
    inputs: Record<string, Schema>,
    config: ConfigOf<C>,
  ) => Record<string, Schema["metadata"]>;
  /** Outputs that views show and nobody records. */
  readonly provisional?: readonly string[];
  readonly config: C;
  readonly place?: Place;
  /**
   * How `workers` share the work. "row": each row goes to one of them, where there is no state between rows.
   * `{ list: "slices" }`: the entries of this option are dealt out in their order, in equal parts; each instance has
   * its part for the whole list and gets all rows. What comes out is put in order of time, then of the list, and
   * what all of them report alike is one fault. So the bits are those of one instance, where that treats the entries
   * independently, gives out one row for each entry in the order of the list, and schemas do not depend on the list.
   */
  readonly key?: "row" | ListKey<C>;
  /** Options that people may change while it runs: see `act`. Neither schemas nor metadata of outputs may tell their values. */
  readonly live?: readonly (keyof C & string)[];
  start(config: ConfigOf<C>, context: StartContext<I>): OperatorInstance<I, O, C>;
}

export interface ListKey<C extends Options = Options> {
  readonly list: keyof C & string;
}

/** Checks types and hands the definition on. Throws TypeError where it contradicts itself. */
export function defineOperator<const I extends Ports, const O extends Ports, const C extends Options>(
  definition: Omit<OperatorDefinition<I, O, C>, "kind">,
): OperatorDefinition<I, O, C> {
  const { name, config, key, live = [] } = definition;
  for (const option of live)
    if (!(option in config))
      throw new TypeError(`${name}: its live option ${option} is not among its options`);
  if (typeof key === "object") {
    if (config[key.list]?.kind !== "list")
      throw new TypeError(`${name}: its key ${key.list} is not an option that is a list`);
    if (live.includes(key.list))
      throw new TypeError(`${name}: ${key.list} deals the work out, and so cannot be changed while it runs`);
  }
  return { ...definition, kind: "operator" };
}

/** Something that was wrong with the data: a row of `faults`. */
export interface Fault {
  readonly time: bigint;
  readonly what: string;
  readonly count?: number;
  /** The instrument's file holds something here that could not be read: the rest goes on, and the run ends as failed. */
  readonly unread?: boolean;
}

/** Columns as a source has them; of a file's columns the wrapper takes those that the schema names. */
export type SourceColumns = Columns | RecordBatch;

/**
 * What a source yields: rows by port, and beside them, where it knows more,
 * `schema`     begins a new epoch of these ports (a file with other columns, frames of another size)
 * `watermark`  a promise (ns): no later item holds a row before it, on any port
 * `faults`     what could not be read
 * `due_s`      when the next rows are due, so that what is called late is late
 */
export interface SourceItem {
  readonly rows?: { readonly [port: string]: SourceColumns };
  readonly schema?: { readonly [port: string]: Schema };
  readonly watermark?: bigint;
  readonly faults?: readonly Fault[];
  /** Of images that already lie in a file of the instrument's: where, so that they may be recorded by reference. */
  readonly references?: { readonly [port: string]: FrameReference };
  /** Seconds within which rows are to come again, as the source has learnt: what takes longer is late. */
  readonly due_s?: number;
}

/** Where the images of an item's rows lie: row i is frame `first + i × stride` of the dataset. */
export interface FrameReference {
  readonly column: string;
  /** Absolute path. */
  readonly file: string;
  /** Path of the dataset within the file. */
  readonly dataset: string;
  readonly first: number;
  readonly stride?: number;
}

export interface SourceContext {
  /** Aborts when the run ends: close files and stop. */
  readonly signal: AbortSignal;
  /** Wall clock, ns since 1970. */
  now(): bigint;
  /** The zone that times without one are read in, an IANA name; from the option `timezone`, else the machine's. */
  readonly timezone: string;
  readonly timezoneAssumed: boolean;
  /** A person has said when its first row was measured: what the data say of that is not asked for. */
  readonly placed?: boolean;
  /** Directory that relative paths of the pipeline file are relative to. */
  readonly directory: string;
}

export interface SourceDefinition<O extends Ports = Ports, C extends Options = Options> {
  readonly kind: "source";
  readonly name: string;
  readonly doc?: string;
  /**
   * The columns that every stream of it has; a file may bring more. As a function where they depend on the options:
   * it looks, reads no rows, and throws an Error with a sentence where there is nothing to look at. Relative paths
   * are relative to `directory`, as when it is opened.
   */
  readonly output: O | ((config: ConfigOf<C>, directory: string) => O);
  /** Which of its ports it gives with these options; all, where this is absent. */
  readonly gives?: (config: ConfigOf<C>) => readonly string[];
  /** True where its streams hold just the declared columns. */
  readonly closed?: boolean;
  readonly config: C;
  /** True where this source reads such a file, told by its first bytes (up to 4 KiB); `path` only breaks ties. */
  readonly claims?: (head: Uint8Array, path: string) => boolean;
  /** ns by which a row may be older than one that came before it, by port; default 0. */
  readonly disorder?: (config: ConfigOf<C>) => bigint;
  /**
   * An async iterable is pulled and waits for its readers; an Observable is pushed and never waits.
   * The first item of a file names the schema of each of its streams, even where no row follows.
   * What cannot be read at all throws a SourceError; what can be read is yielded first, the rest as `faults`.
   * Unsubscribing, or returning from the iterable, closes what it holds.
   */
  open(config: ConfigOf<C>, context: SourceContext): AsyncIterable<SourceItem> | Observable<SourceItem>;
}

type Fixed<O extends Ports> = { readonly output: O };

export function defineSource<const O extends Ports, const C extends Options>(
  definition: Omit<SourceDefinition<O, C>, "kind" | "output"> & Fixed<O>,
): SourceDefinition<O, C> & Fixed<O>;
export function defineSource<const O extends Ports, const C extends Options>(
  definition: Omit<SourceDefinition<O, C>, "kind">,
): SourceDefinition<O, C>;
export function defineSource<const O extends Ports, const C extends Options>(
  definition: Omit<SourceDefinition<O, C>, "kind">,
): SourceDefinition<O, C> {
  return { ...definition, kind: "source" };
}

/** A file or device that cannot be read: says which, where in it, what was expected, and what to do. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

export interface SinkHandle {
  /** One line for the person who started it, such as the address it listens on. */
  readonly says?: string;
  close(): Promise<void>;
}

export interface SinkDefinition<C extends Options = Options> {
  readonly kind: "sink";
  readonly name: string;
  readonly doc?: string;
  readonly config: C;
  open(config: ConfigOf<C>, run: RunView): Promise<SinkHandle>;
}

export function defineSink<const C extends Options>(
  definition: Omit<SinkDefinition<C>, "kind">,
): SinkDefinition<C> {
  return { ...definition, kind: "sink" };
}

// Variance: a registry holds definitions of all kinds of ports and options.
// oxlint-disable-next-line no-explicit-any
export type AnyOperator = OperatorDefinition<any, any, any>;
// oxlint-disable-next-line no-explicit-any
export type AnySource = SourceDefinition<any, any>;
// oxlint-disable-next-line no-explicit-any
export type AnySink = SinkDefinition<any>;

export interface Registry {
  readonly sources: readonly AnySource[];
  readonly operators: readonly AnyOperator[];
  readonly sinks: readonly AnySink[];
}
