/**
 * Feeds columns to one operator in batches of `rows` rows, as the runtime would, and collects what it puts out.
 */
import { END_OF_TIME } from "../../runtime/batch.ts";
import { concat, slice, type Columns } from "../../runtime/columns.ts";
import { readConfig } from "../../runtime/config.ts";
import type { AnyOperator, Fault } from "../../runtime/define.ts";
import {
  misfits,
  outputSchemas,
  startOperator,
  usable,
  wantedBy,
  type StepResult,
} from "../../runtime/instance.ts";
import type { Fields, Schema } from "../../runtime/wire/schema.ts";

export interface FeedOptions {
  /** Fields by port, where they are not those that the definition declares (shapes, extra columns). */
  schema?: Record<string, Fields>;
  metadata?: Record<string, Record<string, string>>;
  /** Written as in a pipeline file: quantities with their unit. */
  with?: Record<string, unknown>;
  /** Rows per step, over all ports together in time order; default all at once. */
  rows?: number;
  origin?: bigint;
  /** Options that a person changes at these times, written as in a pipeline file. */
  actions?: readonly { readonly at: bigint; readonly changes: Record<string, unknown> }[];
  /** Saves, starts a new instance and loads after these steps. */
  reloadAfter?: readonly number[];
}

export type Fed = { readonly faults: readonly Fault[] } & { readonly [port: string]: never } & Record<
    string,
    Columns
  >;

// oxlint-disable-next-line no-explicit-any
export function feed(
  definition: AnyOperator,
  inputs: Record<string, Record<string, unknown> & { time: BigInt64Array }>,
  options: FeedOptions = {},
): any {
  const origin = options.origin ?? 0n;
  const schemas: Record<string, Schema> = {};
  const faults: Fault[] = [];
  for (const port in inputs) {
    const wanted = wantedBy(definition.input, port)!;
    const fields = options.schema?.[port] ?? wanted;
    const given = {
      fields: Object.fromEntries(Object.entries(fields).filter(([name]) => name in inputs[port]!)),
      metadata: options.metadata?.[port] ?? {},
    };
    const { schema, leftOut } = usable(port, wanted, port, given);
    schemas[port] = schema;
    faults.push(...leftOut.map((what) => ({ time: inputs[port]!.time[0] ?? origin, what })));
    const problems = misfits(port, wanted, port, schema);
    if (problems.length) throw new TypeError(problems.join("\n"));
  }
  const { config: given, problems } = readConfig(definition.config, options.with ?? {});
  if (problems.length)
    throw new TypeError(problems.map(({ key, message }) => `${key}: ${message}`).join("\n"));
  let config = given as Record<string, unknown>;
  let running = startOperator(definition, config, schemas, origin);
  const taken: Record<string, Columns[]> = {};
  const promised: Record<string, bigint> = {};
  const step = (rows: Record<string, Columns>, upTo: bigint): void => collect(running.step(rows, upTo));
  const collect = (result: StepResult): void => {
    for (const port in result.rows) {
      const columns = result.rows[port]!;
      if (columns.time[0]! < promised[port]!)
        throw new Error(
          `${port}: a row at ${columns.time[0]} breaks the promise ${promised[port]}; say so with holds()`,
        );
      (taken[port] ??= []).push(columns);
    }
    for (const port in running.outputs) promised[port] = result.watermarks?.[port] ?? result.watermark;
    faults.push(...result.faults);
  };
  const times = Object.values(inputs)
    .flatMap(({ time }) => [...time])
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const size = options.rows ?? Math.max(1, times.length);
  const done: Record<string, number> = Object.fromEntries(Object.keys(inputs).map((port) => [port, 0]));
  let count = 0;
  /** All rows before a time that have not been stepped over. */
  const stepUpTo = (upTo: bigint): void => {
    const rows: Record<string, Columns> = {};
    for (const port in inputs) {
      const columns = inputs[port]! as unknown as Columns;
      let end = done[port]!;
      while (end < columns.time.length && columns.time[end]! < upTo) end++;
      if (end > done[port]!) rows[port] = slice(columns, schemas[port]!.fields, done[port]!, end);
      done[port] = end;
    }
    step(rows, upTo);
  };
  const actions = [...(options.actions ?? [])].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  /** As runtime/operator-node.ts has it: cut at its time, then refused, or done. */
  const actBefore = (upTo: bigint): void => {
    while (actions.length > 0 && actions[0]!.at <= upTo) {
      const { at, changes } = actions.shift()!;
      stepUpTo(at);
      const wanted = Object.fromEntries(Object.keys(changes).map((key) => [key, definition.config[key]]));
      const read = readConfig(wanted, changes);
      if (read.problems.length > 0)
        throw new TypeError(read.problems.map(({ message }) => message).join("\n"));
      const changed = { ...config, ...(read.config as object) };
      try {
        const after = outputSchemas(definition, changed, schemas);
        if (JSON.stringify(after) !== JSON.stringify(outputSchemas(definition, config, schemas)))
          throw new TypeError("its outputs would have other columns or metadata");
      } catch (error) {
        faults.push({
          time: at,
          what: `${Object.keys(changes).join(", ")} not changed: ${(error as Error).message}`,
        });
        continue;
      }
      config = changed;
      collect(running.act(at, read.config as Record<string, unknown>));
    }
  };
  for (let i = size; i - size < times.length; i += size) {
    const upTo = i < times.length ? times[i]! : times.at(-1)! + 1n;
    actBefore(upTo);
    stepUpTo(upTo);
    if (options.reloadAfter?.includes(++count)) {
      const saved = structuredClone(running.save());
      running = startOperator(definition, config, schemas, origin);
      running.load(saved);
    }
  }
  actBefore(END_OF_TIME);
  step({}, END_OF_TIME);
  const result: Record<string, unknown> = { faults };
  for (const [port, schema] of Object.entries(running.outputs)) {
    result[port] = taken[port] ? concat(taken[port], schema.fields) : { time: new BigInt64Array(0) };
  }
  return result;
}
