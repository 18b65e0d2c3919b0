/**
 * An operator in the running graph: merges its ports by watermark, steps over panes of complete rows, hands what
 * comes out to its streams. The same for an instance in this thread, in a worker thread, or in several.
 */
import { BEGIN_OF_TIME, END_OF_TIME } from "./batch.ts";
import type { Columns } from "./columns.ts";
import type { Fault } from "./define.ts";
import { misfits, outputSchemas, usable, wantedBy, type Running, type StepResult } from "./instance.ts";
import { Port } from "./port.ts";
import { inOrder } from "./shards.ts";
import type { Stream } from "./stream.ts";
import type { Schema } from "./wire/schema.ts";
import type { PlannedOperator } from "./wiring.ts";

/** A running instance, wherever it runs. */
export interface Engine extends Pick<Running, "outputs"> {
  step(rows: Readonly<Record<string, Columns>>, upTo: bigint): StepResult | Promise<StepResult>;
  act(time: bigint, changes: Readonly<Record<string, unknown>>): StepResult | Promise<StepResult>;
  save(): unknown;
  /** Steps that may be under way at once. */
  readonly inFlight: number;
  close?(): void;
}

export type StartEngine = (
  planned: PlannedOperator,
  inputs: Readonly<Record<string, Schema>>,
  origin: bigint,
) => Engine | Promise<Engine>;

export interface NodeOptions {
  readonly planned: PlannedOperator;
  readonly inputs: Readonly<Record<string, Stream>>;
  /** Its output streams by port; those that somebody reads are there from the start. */
  readonly outputs: Map<string, Stream>;
  readonly output: (port: string) => Stream;
  readonly faults: Reporter;
  readonly creditBytes: number;
  readonly origin: () => bigint;
  readonly start: StartEngine;
  /** There is room in its ports again, or it has come to an end: whoever waits may look again. */
  readonly changed: () => void;
}

/** Takes what a node has to report, in event time. */
export interface Reporter {
  add(fault: Fault): void;
  /** No report before this time will come any more. */
  promise(watermark: bigint): void;
}

/** Options to be changed at a time. */
export interface Change {
  readonly time: bigint;
  readonly changes: Readonly<Record<string, unknown>>;
}

type State = "waiting" | "running" | "parked" | "ended";

export class OperatorNode {
  readonly name: string;
  readonly planned: PlannedOperator;
  readonly ports: readonly Port[];
  readonly #options: NodeOptions;
  #engine: Engine | undefined;
  #starting = false;
  #state: State = "waiting";
  #upTo = BEGIN_OF_TIME;
  /** What it was started with last, and the options in force. */
  #inputs: Readonly<Record<string, Schema>> | undefined;
  #config: PlannedOperator["config"];
  /** To come, in the order of their times. */
  #changes: Change[] = [];
  /** The earliest time at which options can still change; undefined once it steps for the last time. */
  #open: bigint | undefined = BEGIN_OF_TIME;
  #flying = 0;
  #order: Promise<void> = Promise.resolve();
  #advancing = false;
  #again = false;
  /** Why it was parked. */
  error: Error | undefined;
  steps = 0;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.name = options.planned.name;
    this.planned = options.planned;
    this.#config = options.planned.config;
    this.ports = Object.entries(options.inputs).map(
      ([name, stream]) =>
        new Port({
          name: `${this.name}.${name}`, stream, creditBytes: options.creditBytes,
          wake: () => this.advance(),
          relieved: () => options.changed(),
          failed: (error) => this.#park(error),
        }), // prettier-ignore
    );
  }

  get state(): State {
    return this.#state;
  }
  /** Something is under way that will end without further input. */
  get busy(): boolean {
    return this.#flying > 0 || this.#starting;
  }

  #portName(port: Port): string {
    return port.name.slice(this.name.length + 1);
  }

  /** The options in force, with those that are still to change as they will be. */
  get config(): PlannedOperator["config"] {
    return Object.assign(
      {},
      this.#config,
      ...this.#changes.map(({ changes }) => changes),
    ) as PlannedOperator["config"];
  }
  /** The earliest time at which its options can still change: it has not passed it. Undefined where it has come to its end. */
  get openFrom(): bigint | undefined {
    return this.#state === "parked" || this.#state === "ended" ? undefined : this.#open;
  }

  /** Changes that it has not come to yet. */
  get waiting(): number {
    return this.#changes.length;
  }

  /** Why its options cannot be so, given what comes in; undefined where they can, or where nothing is known yet. */
  objection(changes: Change["changes"], before = this.config): string | undefined {
    const { definition } = this.#options.planned;
    if (!this.#inputs) return undefined;
    let after: Record<string, Schema>;
    try {
      after = outputSchemas(definition, { ...before, ...changes }, this.#inputs);
    } catch (error) {
      return (error as Error).message;
    }
    const now = outputSchemas(definition, this.#config, this.#inputs);
    const other = Object.keys({ ...now, ...after }).find((port) => JSON.stringify(now[port]) !== JSON.stringify(after[port])); // prettier-ignore
    return (
      other &&
      `${this.name}.${other} would have other columns or metadata, which cannot change while it runs; set it in the pipeline file and start a new run`
    );
  }

  /** Changes options at a time that it has not passed. */
  change(change: Change): void {
    const after = this.#changes.findIndex(({ time }) => time > change.time);
    this.#changes.splice(after < 0 ? this.#changes.length : after, 0, change);
    this.advance();
  }

  /** Steps as far as the inputs allow. */
  advance(): void {
    if (this.#advancing) {
      this.#again = true;
      return;
    }
    this.#advancing = true;
    try {
      do {
        this.#again = false;
        while (this.#advanceOnce());
      } while (this.#again);
    } catch (error) {
      this.#park(error as Error);
    } finally {
      this.#advancing = false;
    }
  }

  #advanceOnce(): boolean {
    if (this.#state === "parked" || this.#state === "ended" || this.#starting) return false;
    if (!this.#engine) return this.#start();
    if (this.#flying >= this.#engine.inFlight) return false;
    let upTo = END_OF_TIME;
    let ended = true;
    let renewal: bigint | undefined;
    for (const port of this.ports) {
      if (!port.ended) ended = false;
      const next = port.nextEpochFrom;
      if (next !== undefined && (renewal === undefined || next < renewal)) renewal = next;
      // Of a port that has ended all rows are here; its queue still orders the others.
      if (port.watermark < upTo) upTo = port.watermark;
    }
    // Beyond its time: then every input that begins an epoch at that time has said so, and they begin as one.
    const renews = renewal !== undefined && renewal < upTo;
    if (renewal !== undefined && renewal < upTo) upTo = renewal;
    // Options change before the first row at their time or after it, and before an epoch that begins then.
    const [change] = this.#changes;
    const due = change !== undefined && change.time <= upTo;
    if (due) upTo = change.time;
    // Its promises go on: those who have no room may wait for them.
    if (this.#held() && this.ports.some((port) => port.has(upTo))) return false;
    const pane = this.#pane(upTo);
    if (pane) {
      this.#step(pane.rows, pane.upTo);
      return true;
    }
    if (due) {
      if (this.#upTo < upTo) this.#step({}, upTo);
      else this.#change(this.#changes.shift()!);
      return true;
    }
    if (ended) {
      if (this.#flying > 0) return false;
      this.#finish();
      return false;
    }
    if (renews) {
      if (this.#flying > 0) return false;
      this.#upTo = upTo;
      // What is changed from now on, the new instance hears, in a replay too.
      this.#open = upTo + 1n;
      this.#renew();
      return true;
    }
    if (upTo > this.#upTo) {
      this.#step({}, upTo);
      return true;
    }
    return false;
  }

  /** An output whose readers have no room holds the operator, so that nothing piles up behind it. */
  #held(): boolean {
    for (const stream of this.#options.outputs.values()) if (stream.full) return true;
    return false;
  }

  #start(): boolean {
    const { planned } = this.#options;
    const inputs: Record<string, Schema> = {};
    const problems: string[] = [];
    const left: string[] = [];
    for (const port of this.ports) {
      const schema = port.schemaAt(this.#upTo);
      if (!schema) {
        if (!port.ended && port.stream.state !== "ended") return false;
        // Of what an operator gives that has stopped, or had nothing itself, that one has said so.
        if (!port.stream.derived) {
          this.#options.faults.add({
            time: this.#now(),
            what: `${port.stream.name} ended without anything in it; ${this.name} has nothing to work on`,
          });
        }
        this.#close("ended");
        return false;
      }
      const name = this.#portName(port);
      const wanted = wantedBy(planned.definition.input, name) ?? {};
      const { schema: used, leftOut } = usable(name, wanted, port.stream.name, schema);
      inputs[name] = used;
      problems.push(...misfits(name, wanted, port.stream.name, used));
      left.push(...leftOut);
    }
    if (problems.length > 0) throw new TypeError(problems.join("; "));
    for (const what of left) this.#options.faults.add({ time: this.#now(), what });
    this.#inputs = inputs;
    const engine = this.#options.start({ ...planned, config: this.#config }, inputs, this.#options.origin());
    if (!(engine instanceof Promise)) {
      this.#started(engine);
      return true;
    }
    this.#starting = true;
    engine.then(
      (started) => {
        this.#starting = false;
        if (this.#state === "parked") return started.close?.();
        this.#started(started);
        this.advance();
        this.#options.changed();
      },
      (error: Error) => {
        this.#starting = false;
        this.#park(error);
      },
    );
    return false;
  }

  #started(engine: Engine): void {
    for (const port of this.ports) port.beginEpoch(this.#upTo);
    this.#engine = engine;
    this.#state = "running";
    const { outputs, output } = this.#options;
    for (const name in engine.outputs) output(name).open(engine.outputs[name]!);
    for (const [name, stream] of outputs) if (!(name in engine.outputs)) stream.end();
  }

  /** Rows of every port before `upTo`, cut so that of each port they lie in one batch. */
  #pane(upTo: bigint): { rows: Record<string, Columns>; upTo: bigint } | undefined {
    const { ports } = this;
    for (;;) {
      let to = upTo;
      let waiting = false;
      for (const port of ports) {
        if (!port.has(upTo)) continue;
        waiting = true;
        const boundary = port.boundary;
        if (boundary !== undefined && boundary < to) to = boundary;
      }
      if (!waiting) return undefined;
      const rows: Record<string, Columns> = {};
      let any = false;
      for (const port of ports) {
        const taken = port.take(to);
        if (!taken) continue;
        rows[this.#portName(port)] = taken;
        any = true;
      }
      // The end itself is a step of its own, once.
      if (any) return { rows, upTo: to === END_OF_TIME ? justAfter(rows) : to };
      for (const port of ports) if (port.boundary === to) port.joinHead();
    }
  }

  #step(rows: Record<string, Columns>, upTo: bigint): void {
    this.#upTo = upTo;
    this.#open = upTo === END_OF_TIME ? undefined : upTo;
    this.steps++;
    this.#give(this.#engine!.step(rows, upTo));
  }

  /** What does not fit what comes in now, such as a row that frames of a new size do not have, is not done. */
  #change({ time, changes }: Change): void {
    const objection = this.objection(changes, this.#config);
    if (objection !== undefined) {
      const what = `${Object.keys(changes).join(", ")} not changed: ${objection}`;
      const refused: StepResult = { rows: {}, faults: [{ time, what }], watermark: BEGIN_OF_TIME };
      // Behind what threads have yet to report of earlier rows.
      return this.#give(this.#flying > 0 ? Promise.resolve(refused) : refused);
    }
    this.#config = { ...this.#config, ...changes };
    this.#give(this.#engine!.act(time, changes));
  }

  /** Hands on what an engine answers, in the order in which it was asked. */
  #give(result: StepResult | Promise<StepResult>): void {
    if (!(result instanceof Promise)) return this.#emit(result);
    this.#flying++;
    // What workers send back is handed on in the order of what they were given.
    this.#order = this.#order.then(async () => {
      try {
        this.#emit(await result);
      } catch (error) {
        this.#park(error as Error);
      }
      this.#flying--;
      this.advance();
      this.#options.changed();
    });
    result.catch(() => {});
  }

  #emit({ rows, faults, watermark: ofAll, watermarks }: StepResult): void {
    if (this.#state === "parked") return;
    const dealtOut = typeof this.planned.definition.key === "object";
    for (const fault of dealtOut ? inOrder(faults) : faults) this.#options.faults.add(fault);
    for (const [name, stream] of this.#options.outputs) {
      const columns = rows[name];
      const watermark = watermarks?.[name] ?? ofAll;
      if (columns) stream.append(columns, watermark === END_OF_TIME ? stream.watermark : watermark);
      else if (watermark < END_OF_TIME && stream.state !== "ended") stream.beat(watermark);
    }
    if (ofAll < END_OF_TIME) this.#options.faults.promise(ofAll);
  }

  /** All inputs have ended: what is open closes by the same lines. */
  #finish(): void {
    this.#open = undefined;
    const result = this.#engine!.step({}, END_OF_TIME);
    const done = (last: StepResult): void => {
      this.#emit(last);
      this.#close("ended");
    };
    if (!(result instanceof Promise)) return done(result);
    this.#flying++;
    this.#starting = true;
    result
      .then(done, (error: Error) => this.#park(error))
      .finally(() => {
        this.#flying--;
        this.#starting = false;
        this.#options.changed();
      });
  }

  /** A new epoch of an input: finish as at the end and start anew, outputs in a new epoch too. */
  #renew(): void {
    const result = this.#engine!.step({}, END_OF_TIME);
    const done = (last: StepResult): void => {
      this.#emit(last);
      this.#engine?.close?.();
      this.#engine = undefined;
    };
    if (!(result instanceof Promise)) return done(result);
    this.#starting = true;
    result
      .then(done, (error: Error) => this.#park(error))
      .finally(() => {
        this.#starting = false;
        this.advance();
      });
  }

  /** Event time that it has reached; the run's origin before its first step. */
  #now(): bigint {
    return this.#upTo === BEGIN_OF_TIME ? this.#options.origin() : this.#upTo;
  }

  #park(error: Error): void {
    if (this.#state === "parked" || this.#state === "ended") return;
    this.error = error;
    this.#options.faults.add({
      time: this.#now(),
      what: `${this.name} stopped: ${error.message}`,
    });
    this.#close("parked");
  }

  #close(state: "parked" | "ended"): void {
    this.#state = state;
    for (const port of this.ports) port.close();
    this.#engine?.close?.();
    for (const stream of this.#options.outputs.values()) stream.end();
    this.#options.faults.promise(END_OF_TIME);
    this.#options.changed();
  }

  save(): unknown {
    return this.#engine?.save();
  }

  /** Ends it where it stands, without its last step. */
  stop(): void {
    if (this.#state !== "parked" && this.#state !== "ended") this.#close("ended");
  }
}

/** One nanosecond after the last of these rows. */
function justAfter(rows: Readonly<Record<string, Columns>>): bigint {
  const last = Object.values(rows).map(({ time }) => time.at(-1) ?? BEGIN_OF_TIME);
  return last.reduce((most, time) => (time > most ? time : most), BEGIN_OF_TIME) + 1n;
}
