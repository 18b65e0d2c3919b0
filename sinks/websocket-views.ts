/**
 * What several clients see of one stream in one bucket width is counted and encoded once.
 */
import {
  BEGIN_OF_TIME, bucketOf, BucketRing, encodeBlock, type NumericArray, type RunView, type Schema, type StreamInfo,
} from "../runtime/index.ts"; // prettier-ignore
import { follow, type Start } from "./websocket-follow.ts";

/** One client's subscription to a view. */
export interface Viewer {
  /** Rows that it will not get in any form. */
  dropped: number;
  /** The view has counted rows into buckets from `index` on; Infinity where only its watermark has moved. */
  changed(index: number): void;
  newEpoch(epoch: number, schema: Schema): void;
  broke(error: Error): void;
}

/** The newest buckets of some columns in one width, kept up to date while somebody looks. */
export class TraceView {
  readonly columns: readonly string[];
  readonly width: bigint;
  /** Counted here; all buckets before its first are complete. */
  readonly ring: BucketRing;
  readonly viewers = new Set<Viewer>();
  epoch: number;
  nextRow = 0;
  /** Of the newest row counted. */
  lastTime = 0n;
  watermark = BEGIN_OF_TIME;
  readonly #abort = new AbortController();
  #version = 0;
  #encoded: { from: number; to: number; version: number; body: Uint8Array } | undefined;

  constructor(
    run: RunView,
    { stream, epoch, lastTime, watermark }: StreamInfo,
    columns: readonly string[],
    width: bigint,
    capacity: number,
  ) {
    this.columns = columns;
    this.width = width;
    this.epoch = epoch;
    // No row to come is before the watermark, and so before this bucket.
    const first = bucketOf(lastTime !== undefined && lastTime < watermark ? lastTime : watermark, width);
    this.ring = new BucketRing(columns.length, width, capacity, first);
    // The bucket may hold rows of epochs before this one.
    void this.#count(run, stream, { epoch: 0, row: 0, fromTime: first * width });
  }

  async #count(run: RunView, stream: string, start: Start): Promise<void> {
    try {
      for await (const item of follow(run, stream, start, this.#abort.signal)) {
        if (item.is === "missing") for (const viewer of this.viewers) viewer.dropped += item.to - item.from;
        if (item.is !== "batch") continue;
        const { columns, epoch, row, watermark, schema } = item.batch;
        if (epoch > this.epoch) {
          this.epoch = epoch;
          for (const viewer of this.viewers) viewer.newEpoch(epoch, schema);
        }
        this.nextRow = row + columns.time.length;
        this.watermark = watermark;
        if (columns.time.length > 0) {
          this.#version++;
          this.lastTime = columns.time.at(-1)!;
          const values = this.columns.map((name) => columns[name] as NumericArray | undefined);
          const changed = this.ring.add(columns.time, values);
          for (const viewer of this.viewers) viewer.changed(changed);
        } else for (const viewer of this.viewers) viewer.changed(Infinity);
      }
    } catch (error) {
      for (const viewer of this.viewers) viewer.broke(error as Error);
    }
  }

  encode(from: number, to: number): Uint8Array {
    const last = this.#encoded;
    if (last && last.from === from && last.to === to && last.version === this.#version) return last.body;
    const body = encodeBlock(this.ring.block(from, to));
    this.#encoded = { from, to, version: this.#version, body };
    return body;
  }

  close(): void {
    this.#abort.abort();
  }
}

/** The views that somebody looks at. */
export class TraceViews {
  readonly #run: RunView;
  readonly #views = new Map<string, TraceView>();

  constructor(run: RunView) {
    this.#run = run;
  }

  join(
    viewer: Viewer,
    info: StreamInfo,
    columns: readonly string[],
    width: bigint,
    maxPoints: number,
  ): TraceView {
    const capacity = 2 ** Math.ceil(Math.log2(maxPoints + 1));
    const key = [info.stream, width, capacity, ...columns].join("\n");
    let view = this.#views.get(key);
    if (!view) {
      view = new TraceView(this.#run, info, columns, width, capacity);
      this.#views.set(key, view);
    }
    view.viewers.add(viewer);
    return view;
  }

  leave(viewer: Viewer, view: TraceView): void {
    view.viewers.delete(viewer);
    if (view.viewers.size > 0) return;
    view.close();
    for (const [key, candidate] of this.#views) if (candidate === view) this.#views.delete(key);
  }

  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
  }
}
