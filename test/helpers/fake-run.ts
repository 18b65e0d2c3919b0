/**
 * A run without a graph, as a sink sees it: streams in memory, appended to by the test.
 */
import { Subject, type Observable } from "rxjs";
import type { Batch } from "../../runtime/batch.ts";
import type { Columns } from "../../runtime/columns.ts";
import { ActionError } from "../../runtime/actions.ts";
import type { Acted, MinMax, ReadRange, RunHealth, RunView, StreamInfo } from "../../runtime/run-view.ts";
import { cut, Stream } from "../../runtime/stream.ts";
import type { ChangeableNode } from "../../runtime/wire/protocol.ts";
import type { Schema } from "../../runtime/wire/schema.ts";

export interface FakeRunOptions {
  /** Bytes of each stream that stay in memory; nothing is recorded. */
  readonly ringBytes?: number;
  /** Cuts what is read into batches of at most so many rows. */
  readonly readRows?: () => number;
  readonly manifest?: Record<string, unknown>;
}

export class FakeRun implements RunView {
  readonly manifest: Record<string, unknown>;
  readonly mode = { kind: "simulated", speed: 60 } as const;
  readonly streams$ = new Subject<StreamInfo>();
  readonly acted$ = new Subject<Acted>();
  readonly #options: FakeRunOptions;
  readonly #streams = new Map<string, Stream>();
  readonly #all = new Map<string, Batch[]>();

  constructor(options: FakeRunOptions = {}) {
    this.#options = options;
    this.manifest = options.manifest ?? { name: "fake", directory: "/runs/fake", origin: "0" };
  }

  #stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (!stream) {
      stream = new Stream({ name, derived: false, ringBytes: this.#options.ringBytes ?? Infinity });
      stream.changed$.subscribe((info) => this.streams$.next(info));
      stream.appended$.subscribe((batch) => void this.#kept(name).push(batch));
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #kept(name: string): Batch[] {
    const kept = this.#all.get(name) ?? [];
    this.#all.set(name, kept);
    return kept;
  }

  /** Begins a stream, or its next epoch. */
  open(name: string, schema: Schema): void {
    this.#stream(name).open(schema);
  }

  /** Appends rows; the watermark is one ns past the last, if none is given. */
  append(
    name: string,
    columns: Record<string, unknown> & { time: BigInt64Array },
    watermark = columns.time.at(-1)! + 1n,
  ): void {
    this.#stream(name).append(columns as Columns, watermark);
  }

  beat(name: string, watermark: bigint): void {
    this.#stream(name).beat(watermark);
  }

  end(name: string): void {
    this.#stream(name).end();
  }

  streams(): readonly StreamInfo[] {
    return [...this.#streams.values()].map((stream) => stream.info()).filter((info) => info !== undefined);
  }

  tail(name: string): Observable<Batch> {
    return this.#stream(name).appended$;
  }

  async *read(name: string, range: ReadRange): AsyncGenerator<Batch> {
    for await (const batch of this.#stream(name).read(range)) {
      const { length } = batch.columns.time;
      for (let from = 0, to: number; from < length; from = to) {
        to = Math.min(length, from + (this.#options.readRows?.() ?? length));
        // As from a disk: other readers run meanwhile.
        await new Promise((resolve) => setImmediate(resolve));
        yield cut(batch, from, to);
      }
    }
  }

  async minMax(
    name: string,
    column: string,
    { from, to, buckets }: { from: bigint; to: bigint; buckets: number },
  ): Promise<MinMax> {
    const min = new Float64Array(buckets).fill(NaN);
    const max = new Float64Array(buckets).fill(NaN);
    const count = new Uint32Array(buckets);
    await new Promise((resolve) => setImmediate(resolve));
    for (const { columns } of this.#kept(name)) {
      const values = columns[column] as Float64Array | undefined;
      columns.time.forEach((time, i) => {
        const value = Number(values?.[i] ?? NaN);
        if (time < from || time >= to || Number.isNaN(value)) return;
        const k = Number(((time - from) * BigInt(buckets)) / (to - from));
        min[k] = count[k] ? Math.min(min[k]!, value) : value;
        max[k] = count[k] ? Math.max(max[k]!, value) : value;
        count[k]!++;
      });
    }
    return { from, to, min, max, count };
  }

  health(): readonly RunHealth[] {
    return this.streams().map(({ stream, state }) => ({
      stream,
      rate_per_s: 0,
      lag_s: 0,
      gaps: 0,
      spills: 0,
      late: 0,
      state,
    }));
  }

  changeable(): readonly ChangeableNode[] {
    return [];
  }

  act(node: string): Acted {
    throw new ActionError(`node ${node} is not known`);
  }
}
