/**
 * One running operator: gives its step typed rows, collects what it puts out, and keeps the promises that the
 * runtime makes for it (order, schema, watermark). Knows nothing of graphs, threads or RxJS.
 */
import { noRows } from "./arrow.ts";
import { BEGIN_OF_TIME, END_OF_TIME } from "./batch.ts";
import {
  concat, fits, isList, secondsBefore, secondsSince, timeAt, timeOrder, typeOf, widen, widthOf,
  type Columns, type ListColumn,
} from "./columns.ts"; // prettier-ignore
import type { AnyOperator, Fault, Inputs, OperatorInstance, Out, Ports } from "./define.ts";
import type { Field, Fields, NumericArray, Schema } from "./wire/schema.ts";
import { columnsOf } from "./rows.ts";
import { sameUnit } from "./wire/units.ts";

export interface StepResult {
  /** Rows by output port, in time order. */
  readonly rows: Readonly<Record<string, Columns>>;
  readonly faults: readonly Fault[];
  /** ns; no row before it will come out any more, of any port. */
  readonly watermark: bigint;
  /** The same by output port, where some promise more. */
  readonly watermarks?: Readonly<Record<string, bigint>>;
}

export interface Running {
  readonly outputs: Readonly<Record<string, Schema>>;
  step(rows: Readonly<Record<string, Columns>>, upTo: bigint): StepResult;
  /** Options have changed at a time, up to which it has stepped. */
  act(time: bigint, changes: Readonly<Record<string, unknown>>): StepResult;
  save(): unknown;
  load(saved: unknown): void;
}

/** What an input port asks of a stream and does not get; empty where it fits. */
export function misfits(port: string, wanted: Fields, stream: string, offered: Schema): string[] {
  const problems: string[] = [];
  for (const [name, field] of Object.entries(wanted)) {
    const given = offered.fields[name];
    if (!given) {
      if (!field.optional)
        problems.push(
          `${port} needs a column ${name} [${field.unit || field.kind}]; ${stream} has ${Object.keys(offered.fields).join(", ") || "none"}`,
        );
      continue;
    }
    if (given.kind !== field.kind)
      problems.push(
        `${port}.${name} must be ${article(field.kind)}; ${stream}.${name} is ${article(given.kind)}`,
      );
    else if (field.kind !== "label" && field.kind !== "code" && !sameUnit(given.unit, field.unit)) {
      problems.push(
        `${port}.${name} must be in ${field.unit}; ${stream}.${name} is in ${given.unit || "no unit"}`,
      );
    } else if (
      field.kind !== "label" &&
      !fits(given.type, field.type) &&
      // Pictures and curves in single precision: what a kernel works in.
      field.type !== "f32"
    ) {
      problems.push(
        `${port}.${name} holds ${field.type}; ${stream}.${name} is ${given.type}, which does not fit`,
      );
    }
  }
  return problems;
}

/**
 * What a port can use of a stream: without those of its optional columns that bear the name and are something else, as an
 * instrument's file may bring, and a sentence for each of these.
 */
export function usable(
  port: string,
  wanted: Fields,
  stream: string,
  offered: Schema,
): { schema: Schema; leftOut: string[] } {
  const leftOut: string[] = [];
  const fields = Object.fromEntries(
    Object.entries(offered.fields).filter(([name]) => {
      const field = wanted[name];
      const why = field?.optional ? misfits(port, { [name]: field }, stream, offered) : [];
      leftOut.push(...why.map((one) => `does not use ${stream}.${name}: ${one}`));
      return why.length === 0;
    }),
  );
  return { schema: leftOut.length > 0 ? { ...offered, fields } : offered, leftOut };
}

const article = (kind: string): string => (/^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`);

/** Columns that a port wants for one of its streams: those declared for it, or for any port ("*"). */
export function wantedBy(input: Ports, port: string): Fields | undefined {
  return input[port] ?? input["*"];
}

/** Schemas of the outputs, for these inputs; throws what the definition's `output` throws. */
export function outputSchemas(
  definition: AnyOperator,
  config: unknown,
  inputs: Readonly<Record<string, Schema>>,
): Record<string, Schema> {
  const fields = Object.fromEntries(Object.entries(inputs).map(([port, schema]) => [port, schema.fields]));
  const metadata = Object.fromEntries(
    Object.entries(inputs).map(([port, schema]) => [port, schema.metadata]),
  );
  const outputs: Ports =
    typeof definition.output === "function"
      ? definition.output(fields, config as never, metadata)
      : definition.output;
  const own = definition.metadata?.(inputs as Record<string, Schema>, config as never) ?? {};
  const inherited = Object.values(inputs)[0]?.metadata ?? {};
  return Object.fromEntries(
    Object.entries(outputs).map(([port, out]) => [port, { fields: out, metadata: own[port] ?? inherited }]),
  );
}

export function startOperator(
  definition: AnyOperator,
  config: unknown,
  inputs: Readonly<Record<string, Schema>>,
  origin: bigint,
): Running {
  const outputs = outputSchemas(definition, config, inputs);
  const context = { inputs, origin, timeAt: (seconds: number) => timeAt(origin, seconds) };
  const instance = definition.start(config as never, context) as OperatorInstance<Ports, Ports>;
  if (definition.live?.length && !instance.act)
    throw new TypeError(`${definition.name} has live options (${definition.live.join(", ")}), but no act`);
  const views: Record<string, RowView> = {};
  for (const port in inputs)
    views[port] = new RowView(inputs[port]!, wantedBy(definition.input, port) ?? {}, origin);
  const writers: Record<string, Writer> = {};
  for (const port in outputs) writers[port] = new Writer(port, outputs[port]!.fields);
  let faults: Fault[] = [];
  const out = {
    ...writers,
    fault: (when: bigint | number, what: string) =>
      void faults.push({ time: typeof when === "bigint" ? when : timeAt(origin, when), what }),
  } as unknown as Out<Ports>;

  /** What has been put out since the last time. */
  const taken = (upTo: bigint): StepResult => {
    const rows: Record<string, Columns> = {};
    for (const port in writers) {
      const columns = writers[port]!.take();
      if (columns) rows[port] = columns;
    }
    const held = upTo === END_OF_TIME ? Infinity : (instance.holds?.() ?? Infinity);
    const promise = (seconds: number): bigint => {
      if (seconds === Infinity) return upTo;
      // Seconds are rounded: a promise may be early, never late.
      const time =
        seconds === -Infinity ? BEGIN_OF_TIME : timeAt(origin, seconds - Math.abs(seconds) * 2 ** -51);
      return time < upTo ? time : upTo;
    };
    const byPort = typeof held !== "number";
    const result = {
      rows,
      faults,
      watermark: promise(byPort ? Math.min(...Object.values(held as Record<string, number>)) : held),
      ...(byPort && {
        watermarks: Object.fromEntries(
          Object.keys(writers).map((port) => [port, promise(held[port] ?? Infinity)]),
        ),
      }),
    };
    faults = [];
    return result;
  };

  return {
    outputs,
    step(rows, upTo) {
      const given: Record<string, unknown> = {};
      for (const port in views) given[port] = views[port]!.of(rows[port]);
      for (const port in rows) for (const name in writers) writers[name]!.ordered = rows[port]!.time;
      instance.step(
        given as Inputs<Ports>,
        out,
        upTo === END_OF_TIME ? Infinity : secondsBefore(origin, upTo),
      );
      return taken(upTo);
    },
    act(time, changes) {
      const [seconds] = secondsSince(origin, BigInt64Array.of(time));
      instance.act!({ time, seconds: seconds!, changes }, out);
      return taken(time);
    },
    save: () => instance.save?.(),
    load: (saved) => instance.load?.(saved as never),
  };
}

/** Rows of one port as a step sees them: columns by name in the types it asked for, `at(i)`, `seconds` made if read. */
class RowView {
  readonly #none: object;
  readonly #conversions: [name: string, type: Field["type"]][] = [];
  readonly #prototype: object;
  /** Columns of these names are something else than the port means by them. */
  readonly #leftOut: ReadonlySet<string>;

  constructor(schema: Schema, wanted: Fields, origin: bigint) {
    this.#leftOut = new Set(Object.keys(wanted).filter((name) => !(name in schema.fields)));
    for (const name in wanted) {
      const given = schema.fields[name];
      const type = wanted[name]!.type;
      if (given && given.kind !== "label" && given.type !== type) this.#conversions.push([name, type]);
    }
    this.#prototype = rowsPrototype(schema.fields, origin);
    this.#none = this.#build(noRows(schema.fields));
  }

  of(columns: Columns | undefined): object {
    return columns ? this.#build(columns) : this.#none;
  }

  #build(columns: Columns): object {
    const rows = Object.create(this.#prototype) as Record<string, unknown>;
    for (const name in columns) if (!this.#leftOut.has(name)) rows[name] = columns[name];
    for (const [name, type] of this.#conversions) rows[name] = widen(columns[name]!, type);
    rows["columns"] = columns;
    return rows;
  }
}

interface RowsLike {
  time: BigInt64Array;
  [name: string]: unknown;
}

/** What all rows of a port share: length, at(i), and `seconds`, computed once per batch where it is read. */
function rowsPrototype(fields: Fields, origin: bigint): object {
  const names = Object.keys(fields);
  const getters = names.map((name): [string, (rows: RowsLike, i: number) => unknown] => {
    const field = fields[name]!;
    if (field.kind === "curve") {
      return [name, (rows, i) => {
        const { values, offsets } = rows[name] as ListColumn;
        return values.subarray(offsets[i], offsets[i + 1]);
      }]; // prettier-ignore
    }
    if (field.kind === "image") {
      const width = widthOf(name, field);
      return [name, (rows, i) => (rows[name] as NumericArray).subarray(i * width, (i + 1) * width)];
    }
    return [name, (rows, i) => (rows[name] as NumericArray)[i]];
  });
  return {
    get length() {
      return (this as unknown as RowsLike).time.length;
    },
    get seconds() {
      const seconds = secondsSince(origin, (this as unknown as RowsLike).time);
      Object.defineProperty(this, "seconds", { value: seconds });
      return seconds;
    },
    at(this: RowsLike, i: number) {
      const row: Record<string, unknown> = {
        time: this.time[i],
        seconds: (this["seconds"] as Float64Array)[i],
      };
      for (const [name, get] of getters) row[name] = get(this, i);
      return row;
    },
  };
}

/** Collects the rows of one output port during a step; checks names, sizes and order. */
class Writer {
  readonly #port: string;
  readonly #fields: Fields;
  readonly #names: string[];
  #parts: Columns[] = [];
  #rows: Record<string, unknown>[] = [];
  #last = -(2n ** 63n);
  /** Times of an input of this step. */
  ordered: BigInt64Array | undefined;

  constructor(port: string, fields: Fields) {
    this.#port = port;
    this.#fields = fields;
    this.#names = Object.keys(fields);
  }

  add(row: Record<string, unknown>): void {
    const kept: Record<string, unknown> = { time: row["time"] };
    this.#order(row["time"] as bigint, row["time"] as bigint);
    for (const name of this.#names) {
      const value = row[name];
      if (value === undefined) throw new TypeError(`${this.#port}: row has no ${name}`);
      kept[name] = ArrayBuffer.isView(value) ? (value as Float64Array).slice() : value;
    }
    this.#rows.push(kept);
  }

  put(columns: Columns): void {
    const length = columns.time.length;
    if (length === 0) return;
    this.#flush();
    for (const name of this.#names) {
      const column = columns[name];
      const field = this.#fields[name]!;
      // Nearly all columns, nearly always: numbers of the declared type, one a row.
      if (
        field.kind !== "image" &&
        ArrayBuffer.isView(column) &&
        column.length === length &&
        typeOf(column) === field.type
      )
        continue;
      if (column === undefined) throw new TypeError(`${this.#port}: no column ${name}`);
      const rows = Array.isArray(column) ? column.length
        : isList(column) ? column.offsets.length - 1
        : (column as NumericArray).length / widthOf(name, field); // prettier-ignore
      if (rows !== length) throw new RangeError(`${this.#port}.${name} has ${rows} rows, time has ${length}`);
      const type = Array.isArray(column)
        ? field.type
        : typeOf(isList(column) ? column.values : (column as NumericArray));
      if (type !== field.type)
        throw new TypeError(`${this.#port}.${name} is ${type}, declared as ${field.type}`);
    }
    const { time } = columns;
    // Times handed on from the input are in order already.
    if (time !== this.ordered && timeOrder(time) === 0)
      throw new RangeError(`${this.#port}: rows must be put out in time order`);
    this.#order(time[0]!, time[length - 1]!);
    this.#parts.push(columns);
  }

  #order(first: bigint, last: bigint): void {
    if (first < this.#last || last < first)
      throw new RangeError(
        `${this.#port}: rows must be put out in time order; ${first} came after ${this.#last}`,
      );
    this.#last = last;
  }

  #flush(): void {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#parts.push(columnsOf(rows, this.#fields, this.#port));
  }

  take(): Columns | undefined {
    this.#flush();
    if (this.#parts.length === 0) return undefined;
    const taken = concat(this.#parts, this.#fields);
    this.#parts = [];
    return taken;
  }
}
