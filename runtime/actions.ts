/**
 * What people do while a run goes on: the stream `actions`, and what it changes. Each action gets a time that its
 * node has not yet passed, is recorded, and only then handed to the node; so a replay, which reads them beforehand,
 * does the same at the same place among the rows. Nobody waits for actions.
 */
import { Subject, type Observable } from "rxjs";
import { BEGIN_OF_TIME, END_OF_TIME, type Batch } from "./batch.ts";
import { readConfig, unknownName, type Options } from "./config.ts";
import type { OperatorNode } from "./operator-node.ts";
import { columnsOf } from "./rows.ts";
import type { Acted } from "./run-view.ts";
import type { Stream } from "./stream.ts";
import type { ChangeableNode } from "./wire/protocol.ts";
import { code, label, type Schema } from "./wire/schema.ts";
import type { PlannedOperator } from "./wiring.ts";

/** Why an action cannot be done: a sentence for the person who asked for it. Nothing was recorded or changed. */
export class ActionError extends Error {
  override readonly name = "ActionError";
}

export const ACTIONS: Schema = {
  fields: {
    number: code({ doc: "counts actions; rows of one number were done together" }),
    node: label({ doc: "what it was done to" }),
    action: label({ doc: "set: an option has another value from this time on" }),
    option: label(),
    value: label({ doc: "JSON, as it would stand in the pipeline file; null: what stands there" }),
    by: label({ doc: "who did it, as they call themselves" }),
  },
  metadata: {},
};
const SET = "set";
/** Changes that a node has not come to yet. */
const MOST_WAITING = 1000;

interface ActionRow {
  readonly time: bigint;
  readonly number: number;
  readonly node: string;
  readonly action: string;
  readonly option: string;
  readonly value: string;
  readonly by: string;
}

export interface ActionsOptions {
  readonly stream: Stream;
  readonly nodes: readonly OperatorNode[];
  /** undefined until it is fixed. */
  readonly origin: () => bigint | undefined;
}

export class Actions {
  readonly #options: ActionsOptions;
  readonly #nodes: ReadonlyMap<string, OperatorNode>;
  readonly #acted$ = new Subject<Acted>();
  readonly acted$: Observable<Acted> = this.#acted$;
  #number = 0;
  /** Of a replay: what was done in the recorded run and is still to come, or to be told. */
  #recorded: ActionRow[] = [];

  constructor(options: ActionsOptions) {
    this.#options = options;
    this.#nodes = new Map(options.nodes.map((node) => [node.name, node]));
  }

  /** Nodes with options that may change, and how they are set now. */
  nodes(): ChangeableNode[] {
    return [...this.#nodes.values()].flatMap(({ name, planned, config }) => {
      const live = planned.definition.live ?? [];
      const options = live.map((option) => {
        const { kind, unit, choices, doc } = (planned.definition.config as Options)[option]!;
        return { option, kind, ...(unit !== undefined && { unit }), ...(choices && { choices }), doc, value: config[option] }; // prettier-ignore
      });
      return options.length > 0 ? [{ node: name, use: planned.definition.name, options }] : [];
    });
  }

  /** Sets options of a node, values as in a pipeline file. Throws ActionError. */
  set(name: string, values: Readonly<Record<string, unknown>>, by: string): Acted {
    const node = this.#nodes.get(name);
    if (!node?.planned.definition.live?.length) {
      const names = this.nodes().map((one) => one.node);
      throw new ActionError(
        node
          ? `${name} has no options that can change while it runs; those of ${names.join(", ") || "no node"} can`
          : `node ${unknownName(name, names)}`,
      );
    }
    const written = Object.entries(values).map(([option, value]) => [option, asText(option, value)] as const);
    if (written.length === 0) throw new ActionError(`${name}: nothing to set was named`);
    const { changes, problems } = readChanges(node.planned, written);
    if (problems.length > 0) throw new ActionError(problems.map((why) => `${name}.${why}`).join("; "));
    const open = node.openFrom;
    if (open === undefined) {
      throw new ActionError(
        `${name} has come to its end and gives out nothing more; replay the run with a pipeline file that has these values`,
      );
    }
    if (node.waiting >= MOST_WAITING)
      throw new ActionError(
        `${name}: ${MOST_WAITING} changes wait for it already; it goes on once rows come`,
      );
    const objection = node.objection(changes);
    if (objection !== undefined) throw new ActionError(`${name}: ${objection}`);
    // Where the node stands; before its first row, where the run begins.
    const from = open === BEGIN_OF_TIME ? this.#options.origin() : open;
    if (from === undefined) {
      throw new ActionError(
        `${name}: nothing has been measured yet; try again once rows have come, or set it in the pipeline file`,
      );
    }
    this.passed(from);
    const last = this.#options.stream.watermark;
    const time = from > last ? from : last;
    this.#tell(written.map(([option, value]) => ({ time, number: this.#number, node: name, action: SET, option, value, by }))); // prettier-ignore
    this.#number++;
    node.change({ time, changes });
    const acted = { time, node: name, changes, by };
    this.#acted$.next(acted);
    return acted;
  }

  /** Does again what was done in a recorded run; calls `fault` for what this graph has no place for. */
  async replay(recorded: AsyncIterable<Batch>, fault: (time: bigint, what: string) => void): Promise<void> {
    for await (const { columns } of recorded) {
      const text = (name: string): readonly string[] => columns[name] as readonly string[];
      columns.time.forEach((time, i) =>
        this.#recorded.push({
          time, number: (columns["number"] as Int32Array)[i]!, node: text("node")[i]!, action: text("action")[i]!,
          option: text("option")[i]!, value: text("value")[i]!, by: text("by")[i]!,
        }),
      ); // prettier-ignore
    }
    const together = new Map<number, ActionRow[]>();
    for (const row of this.#recorded) {
      this.#number = row.number + 1;
      if (row.action === SET) together.set(row.number, [...(together.get(row.number) ?? []), row]);
    }
    for (const rows of together.values()) {
      const { time, node: name } = rows[0]!;
      const node = this.#nodes.get(name);
      const why = (what: string): void =>
        fault(time, `what was done at this time in the recorded run is left out: ${what}`);
      if (!node) {
        why(`node ${unknownName(name, [...this.#nodes.keys()])}`);
        continue;
      }
      const { changes, problems } = readChanges(node.planned, rows.map(({ option, value }) => [option, value])); // prettier-ignore
      for (const problem of problems) why(`${name}.${problem}`);
      if (Object.keys(changes).length > 0) node.change({ time, changes });
    }
  }

  /** Rows up to this time have passed: what was done until then in a recorded run is told again. */
  passed(time: bigint): void {
    const after = this.#recorded.findIndex((row) => row.time > time);
    const past = this.#recorded.splice(0, after < 0 ? this.#recorded.length : after);
    if (past.length > 0) this.#tell(past);
  }

  end(): void {
    this.passed(END_OF_TIME);
    if (this.#options.stream.schema) this.#options.stream.end();
  }

  #tell(rows: readonly ActionRow[]): void {
    const { stream } = this.#options;
    if (!stream.schema) stream.open(ACTIONS);
    stream.append(columnsOf(rows as never, ACTIONS.fields), rows.at(-1)!.time);
  }
}

/** Values that options are set to, by the options' own rules; one that is null, to what the pipeline file says. */
function readChanges(
  { definition, config }: PlannedOperator,
  written: readonly (readonly [option: string, value: string])[],
): { changes: Record<string, unknown>; problems: string[] } {
  const changes: Record<string, unknown> = {};
  const problems: string[] = [];
  const options = definition.config as Options;
  const live = definition.live ?? [];
  for (const [name, text] of written) {
    const option = options[name];
    if (!option || !live.includes(name)) {
      problems.push(option ? `${name} cannot change while it runs; ${live.join(", ") || "none of its options"} can` : unknownName(name, live)); // prettier-ignore
      continue;
    }
    const value = fromText(text);
    if (value === null) {
      changes[name] = config[name];
      continue;
    }
    const read = readConfig({ [name]: option }, { [name]: value });
    for (const { message } of read.problems) problems.push(`${name}: ${message}`);
    if (read.problems.length === 0) changes[name] = read.config[name];
  }
  return { changes, problems };
}

/** JSON, and Infinity, which quantities may be and JSON has no word for. */
function asText(option: string, value: unknown): string {
  if (value === Infinity || value === -Infinity) return String(value);
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint" || (typeof part === "number" && !Number.isFinite(part)))
      throw new ActionError(
        `${option}: ${String(part)} cannot be a value; null gives that of the pipeline file`,
      );
    return part;
  }) as string | undefined;
  if (text === undefined) throw new ActionError(`${option}: no value; null gives that of the pipeline file`);
  return text;
}

const fromText = (text: string): unknown =>
  /^-?Infinity$/.test(text) ? Number(text) : (JSON.parse(text) as unknown);
