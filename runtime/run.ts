/**
 * A running graph: streams, sources, operators and what watches them, from a plan that has passed the wiring check.
 * The same for a live run and for a replay: there the recorded streams of the sources take the sources' place.
 */
import { filter, map, merge, Observable, Subject } from "rxjs";
import { Actions } from "./actions.ts";
import { BEGIN_OF_TIME, END_OF_TIME, type Batch } from "./batch.ts";
import type { Fault } from "./define.ts";
import { HealthMeter } from "./health.ts";
import { startOperator } from "./instance.ts";
import { ALARMS, FAULTS, MergedLog } from "./merged-log.ts";
import { addRows, emptyMinMax } from "./min-max.ts";
import { OperatorNode, type Engine, type Reporter, type StartEngine } from "./operator-node.ts";
import { Pacer } from "./pacer.ts";
import { ReplayPump, type RecordedStream } from "./replay-pump.ts";
import type { Acted, MinMax, ReadRange, RunHealth, RunView, StreamInfo } from "./run-view.ts";
import { SourcePump } from "./source-pump.ts";
import { Stream, type Store } from "./stream.ts";
import { columnsOf } from "./rows.ts";
import type { ChangeableNode } from "./wire/protocol.ts";
import { label, scalar, type Schema } from "./wire/schema.ts";
import type { Plan } from "./wiring.ts";

/** What records a run: see runtime/journal. */
export interface RunRecorder {
  append(batch: Batch, how: { derived: boolean; byReference?: boolean }): void;
  readonly pendingBytes: number;
  acknowledged(stream: string): { readonly epoch: number; readonly row: number } | undefined;
  onAcknowledged(listener: (stream: string, epoch: number, row: number) => void): () => void;
  read(stream: string, range: ReadRange): AsyncIterable<Batch>;
  minMax(
    stream: string,
    column: string,
    span: { from: bigint; to: bigint; buckets: number },
  ): Promise<MinMax>;
}

/** A recorded run whose sources are played back. */
export interface Recording {
  readonly streams: readonly (RecordedStream & { readonly derived: boolean })[];
  read(stream: string, range: ReadRange & { heartbeats?: boolean }): AsyncIterable<Batch>;
  minMax(
    stream: string,
    column: string,
    span: { from: bigint; to: bigint; buckets: number },
  ): Promise<MinMax>;
}

export interface RunOptions {
  readonly plan: Plan;
  readonly mode: RunView["mode"];
  /** Event time that is not paced: history for the page. */
  readonly history_s?: number;
  readonly manifest?: () => Readonly<Record<string, unknown>>;
  readonly recorder?: RunRecorder | undefined;
  readonly recording?: Recording | undefined;
  /** ns; in a replay that of the recorded run. */
  readonly origin?: bigint | undefined;
  /** Called once, before the first batch. */
  readonly onOrigin?: (origin: bigint) => Promise<void> | void;
  /** Starts operators whose place is not this thread; without it all run here. */
  readonly startElsewhere?: StartEngine | undefined;
  /** Directory that relative paths of sources are relative to. */
  readonly directory?: string;
  readonly creditBytes?: number;
  readonly ringBytes?: number;
}

export interface Outcome {
  /** Sources that failed and operators that stopped, with why; empty if all went well. */
  readonly failures: readonly { readonly node: string; readonly error: Error }[];
}

const CREDIT_bytes = 64 << 20;
const RECORDER_bytes = 64 << 20;
/** Sources that are always ready would starve sockets, timers and the recorder's answers. */
const BREATH_ms = 8;

type Pump = SourcePump | ReplayPump;

export class Run implements RunView {
  readonly #options: RunOptions;
  readonly plan: Plan;
  readonly #streams = new Map<string, Stream>();
  readonly #nodes: OperatorNode[] = [];
  readonly #pumps: Pump[] = [];
  readonly #stop = new AbortController();
  readonly #pacer: Pacer;
  readonly #meter = new HealthMeter();
  readonly #opened$ = new Subject<Stream>();
  readonly #faults: MergedLog;
  readonly #alarms: MergedLog;
  readonly #actions: Actions;
  readonly #store: Store | undefined;
  #origin: bigint | undefined;
  #waiting: (() => void)[] = [];
  readonly #firsts: ReturnType<typeof firstTimes>;
  #breathedAt = performance.now();
  #recorderFailed = false;
  /** Each fault as it is reported; in the stream `faults` they stand in event time. */
  readonly fault$ = new Subject<{ readonly node: string } & Fault>();
  /** Each change of an alarm's level, as it is found. */
  readonly alarm$ = new Subject<{
    readonly alarm: string;
    readonly level: number;
    readonly time: bigint;
    readonly priority: string;
    readonly deliver: readonly string[];
  }>();
  readonly mode: RunView["mode"];
  readonly streams$: Observable<StreamInfo>;

  constructor(options: RunOptions) {
    this.#options = options;
    const { plan, recorder, recording, mode } = options;
    this.mode = mode;
    this.plan = plan;
    this.#origin = options.origin ?? plan.run.origin;
    this.#pacer = new Pacer({
      speed: mode.speed,
      history_s: options.history_s ?? 0,
      signal: this.#stop.signal,
    });
    this.#store = recorder && this.#recordingStore(recorder);
    this.streams$ = new Observable<StreamInfo>((subscriber) => {
      const every = merge(...[...this.#streams.values()].map(({ changed$ }) => changed$)).subscribe(
        subscriber,
      );
      const later = this.#opened$.subscribe((stream) => every.add(stream.changed$.subscribe(subscriber)));
      return () => (every.unsubscribe(), later.unsubscribe());
    });

    const sources = recording ? recordedNodes(recording) : plan.sources.map(({ name }) => name);
    const redone = recording?.streams.some(({ stream }) => stream === "actions") ? ["actions"] : [];
    const reporting = [...sources, ...plan.operators.map(({ name }) => name), ...redone];
    // A replay reads the faults of its sources before all else; there they wait as long as they waited live.
    this.#faults = new MergedLog(this.stream("faults"), FAULTS, reporting, recording ? Infinity : undefined);
    this.#alarms = new MergedLog(this.stream("alarms"), ALARMS, plan.alarms.map(({ name }) => name)); // prettier-ignore
    this.#firsts = firstTimes(recording ? 0 : plan.sources.length);

    for (const planned of plan.operators) this.#addOperator(planned);
    this.#actions = new Actions({
      stream: this.stream("actions"),
      nodes: this.#nodes,
      origin: () => this.#origin,
    });
    for (const { name, when, priority, deliver } of plan.alarms)
      this.#addAlarm(name, when, priority, deliver);
    if (recording) this.#addRecording(recording);
    else for (const planned of plan.sources) this.#addSource(planned);
    recorder?.onAcknowledged(() => this.#changed());
  }

  /** Opens the sources and runs until all have ended and the graph is empty. Never rejects. */
  start(): Promise<Outcome> {
    return this.#run();
  }

  #recordingStore(recorder: RunRecorder): Store {
    const byReference = new Set(
      this.#options.plan.sources
        .filter(({ common }) => common.record === "reference")
        .map(({ name }) => name),
    );
    return {
      append: (batch) => {
        if (this.#recorderFailed) return;
        const derived = this.#streams.get(batch.stream)!.derived;
        recorder.append(batch, { derived, byReference: byReference.has(batch.stream.split(".")[0]!) });
      },
      acknowledged: (stream) => recorder.acknowledged(stream),
      read: (stream, range) => recorder.read(stream, range),
      get pendingBytes() {
        return recorder.pendingBytes;
      },
    };
  }

  /** The stream of this name, made when it is first named. */
  stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (!stream) {
      const { plan, recording, ringBytes } = this.#options;
      const [node = "", port = ""] = name.split(".");
      const operator = plan.operators.find((planned) => planned.name === node);
      const source = !operator && name !== "faults" && name !== "alarms";
      stream = new Stream({
        name, derived: !source,
        provisional: operator?.definition.provisional?.includes(port) ?? false,
        store: operator?.record === false ? undefined : recording && isPlayed(name, !source) ? replayedStore(recording) : this.#store,
        ...(ringBytes !== undefined && { ringBytes }),
      }); // prettier-ignore
      this.#streams.set(name, stream);
      this.#opened$.next(stream);
    }
    return stream;
  }

  #reporter(node: string, record?: (fault: Fault) => void): Reporter {
    return {
      add: ({ time, what, count = 1 }) => {
        const row = this.#faults.add(node, { time, node, what, count });
        const fault = { node, time: row.time, what, count };
        record?.(fault);
        this.fault$.next(fault);
      },
      promise: (watermark) => this.#faults.promise(node, watermark),
    };
  }

  #addOperator(planned: Plan["operators"][number]): void {
    const { startElsewhere, creditBytes = CREDIT_bytes } = this.#options;
    const outputs = new Map<string, Stream>();
    const output = (port: string): Stream => {
      const stream = this.stream(`${planned.name}.${port}`);
      outputs.set(port, stream);
      return stream;
    };
    const inputs = Object.fromEntries(
      Object.entries(planned.inputs).map(([port, name]) => [port, this.stream(name)]),
    );
    for (const other of [
      ...this.#options.plan.operators.flatMap((o) => Object.values(o.inputs)),
      ...this.#options.plan.alarms.map(({ when }) => when),
    ]) {
      const [node, port] = other.split(".");
      if (node === planned.name) output(port!);
    }
    this.#nodes.push(
      new OperatorNode({
        planned, inputs, outputs, output, creditBytes,
        faults: this.#reporter(planned.name),
        origin: () => this.#origin!,
        start: planned.place !== "main" && startElsewhere ? startElsewhere : startHere,
        changed: () => this.#changed(),
      }), // prettier-ignore
    );
  }

  /** Changes of a stream's level become rows of `alarms`. */
  #addAlarm(name: string, when: string, priority: string, deliver: readonly string[]): void {
    let last = 0;
    this.stream(when).appended$.subscribe(({ columns, watermark, state }) => {
      const levels = columns["level"] as Int32Array | undefined;
      for (let i = 0; i < columns.time.length; i++) {
        const level = levels![i]!;
        if (level === last) continue;
        last = level;
        const row = this.#alarms.add(name, {
          time: columns.time[i]!,
          alarm: name,
          stream: when,
          priority,
          level,
        });
        this.alarm$.next({ alarm: name, level, time: row.time, priority, deliver });
      }
      this.#alarms.promise(name, state === "ended" ? END_OF_TIME : watermark);
    });
  }

  #addSource(planned: Plan["sources"][number]): void {
    const ports = Object.keys(planned.ports);
    const streams = Object.fromEntries(ports.map((port) => [port, this.stream(`${planned.name}.${port}`)]));
    const late = Object.fromEntries(ports.map((port) => [port, this.stream(`${planned.name}.${port}.late`)]));
    const recorded = this.stream(`${planned.name}.faults`);
    this.#pumps.push(
      new SourcePump({
        planned, streams, late,
        faults: this.#reporter(planned.name, ({ time, what, count = 1 }) => {
          if (recorded.epoch < 0) recorded.open(FAULTS);
          recorded.append({ time: BigInt64Array.of(time), node: [planned.name], what: [what], count: Int32Array.of(count) }, time);
        }),
        pacer: this.#pacer,
        directory: this.#options.directory ?? process.cwd(),
        signal: this.#stop.signal,
        turn: (pump) => this.#turn(pump),
        decided: this.#firsts.decided,
        first: async (time) => {
          this.#firsts.awaited--;
          if (time !== undefined) this.#firsts.times.push(time);
          if (this.#firsts.awaited <= 0) this.#firsts.decide();
          await this.#firsts.decided;
        },
      }), // prettier-ignore
    );
  }

  #addRecording(recording: Recording): void {
    const own = recording.streams.filter(({ derived, stream }) => !derived && stream !== "health");
    for (const node of recordedNodes(recording)) {
      const streams = own.filter(
        ({ stream }) => stream.split(".")[0] === node && !stream.endsWith(".faults"),
      );
      const watermarks = new Map(streams.map(({ stream }) => [stream, BEGIN_OF_TIME]));
      for (const recorded of streams) {
        this.#pumps.push(
          new ReplayPump({
            recorded,
            stream: this.stream(recorded.stream),
            read: (range) => recording.read(recorded.stream, range),
            pacer: this.#pacer,
            signal: this.#stop.signal,
            turn: (pump) => this.#turn(pump),
            promised: (watermark) => {
              if (!recorded.stream.endsWith(".late")) watermarks.set(recorded.stream, watermark);
              else watermarks.delete(recorded.stream);
              let least = END_OF_TIME;
              for (const time of watermarks.values()) if (time < least) least = time;
              this.#faults.promise(node, least);
              this.#actions.passed(this.#passed());
            },
          }),
        );
      }
      if (streams.length === 0) this.#faults.promise(node, END_OF_TIME);
    }
  }

  /** Faults of the sources were found live; a replay reads them before anything else, since they are few. */
  async #replayFaults(recording: Recording): Promise<void> {
    for (const { stream, epochs } of recording.streams.filter(({ stream }) => stream.endsWith(".faults"))) {
      const node = stream.split(".")[0]!;
      for (const { epoch } of epochs) {
        for await (const { columns } of recording.read(stream, { epoch })) {
          const what = columns["what"] as string[];
          const count = columns["count"] as Int32Array;
          columns.time.forEach((time, i) =>
            this.#faults.add(node, { time, node, what: what[i], count: count[i] }),
          );
        }
      }
    }
  }

  /** What was done live is known before anything flows, so that no node passes its time. */
  async #replayActions(recording: Recording): Promise<void> {
    const recorded = recording.streams.find(({ stream }) => stream === "actions");
    if (!recorded) return;
    await this.#actions.replay(recording.read("actions", {}), (time, what) => {
      const row = this.#faults.add("actions", { time, node: "actions", what, count: 1 });
      this.fault$.next({ node: "actions", time: row.time, what, count: 1 });
    });
    this.#faults.promise("actions", END_OF_TIME);
  }

  /** Event time that all sources have passed. */
  #passed(): bigint {
    return this.#pumps.reduce((least, { watermark }) => (watermark < least ? watermark : least), END_OF_TIME);
  }

  async #run(): Promise<Outcome> {
    const { recording, onOrigin } = this.#options;
    if (recording) {
      await this.#replayFaults(recording);
      await this.#replayActions(recording);
    }
    const decided = (async () => {
      // A source that is silent at the start does not keep the others waiting.
      if (this.#firsts.awaited > 0) await Promise.race([this.#firsts.ready, delay(FIRST_ITEMS_ms)]);
      const first = this.#firsts.times.reduce<bigint | undefined>(
        (a, t) => (a === undefined || t < a ? t : a),
        undefined,
      );
      // A whole second, so that panes and seconds are round.
      this.#origin ??=
        first === undefined
          ? BigInt(Date.now()) * 1_000_000n
          : first - (((first % SECOND) + SECOND) % SECOND);
      this.#pacer.begin(first ?? this.#origin);
      await onOrigin?.(this.#origin);
      this.#firsts.go();
    })();
    await Promise.all([
      decided,
      ...this.#pumps.map((pump) =>
        (recording ? decided.then(() => pump.run()) : pump.run()).then(() => this.#changed()),
      ),
    ]);
    // What workers still hold comes back without further input.
    while (this.#nodes.some((node) => node.state === "running" || node.busy)) {
      for (const node of this.#nodes) node.advance();
      if (!this.#nodes.some((node) => node.state === "running" || node.busy)) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    for (const node of this.#nodes) node.stop();
    this.#actions.end();
    return { failures: this.#failures() };
  }

  #failures(): Outcome["failures"] {
    return [...this.#pumps, ...this.#nodes].flatMap(({ name, error }) =>
      error ? [{ node: name, error }] : [],
    );
  }

  /** Holds a pulled source while its readers or the disk have no room. */
  async #turn(pump: Pump): Promise<void> {
    this.#changed();
    if (performance.now() - this.#breathedAt > BREATH_ms) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#breathedAt = performance.now();
    }
    while (!this.#stop.signal.aborted && this.#mustWait(pump)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #mustWait(pump: Pump): boolean {
    if (this.#store && this.#store.pendingBytes > RECORDER_bytes && !this.#recorderFailed) return true;
    let full = false;
    for (const stream of pump.streams) full ||= stream.full;
    if (!full) return false;
    if (this.#nodes.some((node) => node.busy)) return true;
    // Its readers wait for others: the source furthest behind in event time is the one that can move them on.
    return this.#pumps.some(
      (other) => other !== pump && other.state === "open" && other.watermark < pump.watermark,
    );
  }

  #changed(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Ends the sources; the graph drains and the run resolves. */
  stop(): void {
    this.#stop.abort();
    this.#firsts.decide();
    this.#changed();
  }

  /** The recorder cannot write any more: the run ends, and what was recorded stays. */
  recorderFailed(): void {
    this.#recorderFailed = true;
    this.stop();
  }

  get origin(): bigint | undefined {
    return this.#origin;
  }

  get manifest(): Readonly<Record<string, unknown>> {
    return this.#options.manifest?.() ?? {};
  }

  streams(): readonly StreamInfo[] {
    return [...this.#streams.values()].flatMap((stream) => stream.info() ?? []);
  }

  tail(name: string): Observable<Batch> {
    const known = this.#streams.get(name);
    if (known) return known.appended$;
    // One may ask for a stream before it exists.
    return new Observable((subscriber) => {
      const opened = this.#opened$.pipe(filter((stream) => stream.name === name), map((stream) => stream.appended$)).subscribe((appended$) => opened.add(appended$.subscribe(subscriber))); // prettier-ignore
      return opened;
    });
  }

  async *read(name: string, range: ReadRange): AsyncGenerator<Batch> {
    const stream = this.#streams.get(name);
    if (stream) yield* stream.read(range);
  }

  async minMax(
    name: string,
    column: string,
    span: { from: bigint; to: bigint; buckets: number },
  ): Promise<MinMax> {
    const stream = this.#streams.get(name);
    const { recorder, recording } = this.#options;
    if (!stream) return emptyMinMax(span);
    const played = recording && isPlayed(name, stream.derived);
    const keeper = played ? recording : stream.store ? recorder : undefined;
    const written = keeper === recording ? undefined : recorder?.acknowledged(name);
    // Rows newer than what is written are still in memory; taken before the levels are asked, so that none is missed.
    const recent =
      keeper === recording && recording
        ? []
        : stream
            .recent()
            .filter(
              (batch) =>
                !written ||
                batch.epoch > written.epoch ||
                (batch.epoch === written.epoch && batch.row + batch.columns.time.length > written.row),
            );
    const result = keeper ? await keeper.minMax(name, column, span) : emptyMinMax(span);
    for (const batch of recent) {
      const skip = written && batch.epoch === written.epoch ? Math.max(0, written.row - batch.row) : 0;
      addRows(result, batch.columns, column, skip);
    }
    return result;
  }

  health(): readonly RunHealth[] {
    return this.#meter.measure(
      // People are never behind.
      [...this.#streams.values()].filter(({ name }) => name !== "actions"),
      this.#nodes,
      (name) => this.#streams.get(`${name}.late`)?.totalRows ?? 0,
      (name) => {
        const pump = this.#pumps.find((one) => name.startsWith(`${one.name}.`));
        return pump && "due_s" in pump ? pump.due_s : undefined;
      },
    );
  }

  /** A row for each stream and edge in the stream `health`: what somebody asks after a bad night. */
  recordHealth(
    positions: readonly { readonly stream: string; readonly row: number; readonly durableRow: number }[],
  ): void {
    const stream = this.stream("health");
    if (!stream.schema) stream.open(HEALTH);
    const written = new Map(positions.map((position) => [position.stream, position]));
    const edges = this.nodes().flatMap((node) => node.edges);
    const time = BigInt(Date.now()) * 1_000_000n;
    const rows = this.health().map(({ stream: name, rate_per_s, lag_s, spills, late, due_s = NaN }) => {
      const readers = edges.filter((edge) => edge.stream === name);
      return {
        time, stream: name, rate: rate_per_s, lag: lag_s, spills, late, due: due_s,
        depth: readers.reduce((n, edge) => Math.max(n, edge.depthBytes), 0),
        high_water: readers.reduce((n, edge) => Math.max(n, edge.highWaterBytes), 0),
        acknowledged: written.get(name)?.row ?? NaN,
        durable: written.get(name)?.durableRow ?? NaN,
      };
    }); // prettier-ignore
    if (rows.length > 0) stream.append(columnsOf(rows, HEALTH.fields), time);
  }

  changeable(): readonly ChangeableNode[] {
    return this.#actions.nodes();
  }

  act(
    node: string,
    changes: Readonly<Record<string, unknown>>,
    { by = "" }: { readonly by?: string } = {},
  ): Acted {
    return this.#actions.set(node, changes, by);
  }

  get acted$(): Observable<Acted> {
    return this.#actions.acted$;
  }

  /** What holds the graph back, one sentence a node; for people. */
  nodes(): readonly {
    readonly name: string;
    readonly state: string;
    readonly error: Error | undefined;
    readonly edges: readonly {
      readonly port: string;
      readonly stream: string;
      readonly depthBytes: number;
      readonly highWaterBytes: number;
      readonly spills: number;
    }[];
  }[] {
    return this.#nodes.map(({ name, state, error, ports }) => ({
      name, state, error,
      edges: ports.map(({ name: port, stream, depthBytes, highWaterBytes, spills }) => ({ port, stream: stream.name, depthBytes, highWaterBytes, spills })),
    })); // prettier-ignore
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
const FIRST_ITEMS_ms = 2000;
const SECOND = 1_000_000_000n;

/** What is counted of each stream, by the clock: the one stream that a replay does not repeat. */
const HEALTH: Schema = {
  fields: {
    stream: label(),
    rate: scalar("Hz", { doc: "rows per second of the clock" }),
    lag: scalar("s", { doc: "event time by which it is behind the furthest" }),
    spills: scalar("1", { doc: "times that a reader had to fall back on the journal" }),
    late: scalar("1", { doc: "rows that came after their time had been given up" }),
    due: scalar("s", { doc: "until its next rows are due, as the source has learnt; negative when overdue" }),
    depth: scalar("By", { doc: "bytes that wait at its fullest edge" }),
    high_water: scalar("By", { doc: "most bytes that ever waited at one of its edges" }),
    acknowledged: scalar("1", { doc: "rows written" }),
    durable: scalar("1", { doc: "rows flushed to the disk" }),
  },
  metadata: {},
};

/** An operator in this thread. */
export const startHere: StartEngine = (planned, inputs, origin): Engine => {
  const running = startOperator(planned.definition, planned.config, inputs, origin);
  return {
    outputs: running.outputs,
    step: (rows, upTo) => running.step(rows, upTo),
    act: (time, changes) => running.act(time, changes),
    save: () => running.save(),
    inFlight: 1,
  };
};

/** In a replay: what sources gave is read from the recording. What the run itself says (health, actions) is its own. */
const isPlayed = (stream: string, derived: boolean): boolean => !derived && stream.includes(".");

function recordedNodes(recording: Recording): string[] {
  return [
    ...new Set(
      recording.streams
        .filter(({ derived, stream }) => !derived && stream.includes("."))
        .map(({ stream }) => stream.split(".")[0]!),
    ),
  ];
}

function replayedStore(recording: Recording): Store {
  return {
    append: () => {},
    acknowledged: () => ({ epoch: Infinity, row: Infinity }),
    read: (stream, range) => recording.read(stream, range),
    pendingBytes: 0,
  };
}

/** The first times of all sources, gathered before anything flows, so that the origin is fixed before the first batch. */
function firstTimes(awaited: number) {
  let decide!: () => void;
  let go!: () => void;
  const ready = new Promise<void>((resolve) => (decide = resolve));
  const decided = new Promise<void>((resolve) => (go = resolve));
  return { times: [] as bigint[], awaited, ready, decide, decided, go };
}
