/**
 * Traces: min, max and count per bucket of time, history and live on one grid. A client that is slow gets fewer and
 * longer messages, with every spike in them.
 */
import {
  BEGIN_OF_TIME, bucketOf, bucketWidth, encodeBlock, END_OF_TIME, ENCODING, FLAG, KIND,
  type BucketColumn, type MinMax, type RunView, type Schema, type StreamInfo,
} from "../runtime/index.ts"; // prettier-ignore
import { selected, Subscription } from "./websocket-subscription.ts";
import type { TraceView, Viewer } from "./websocket-views.ts";

/** The least span over which a growing view is laid out, so that its first rows do not make it start over and over. */
const LEAST_SPAN = 10_000_000_000n;

/** A stream's scalars and codes, or those of them that are asked for. */
function traceColumns(schema: Schema, wanted: readonly string[] | undefined): string[] {
  const { fields } = selected(schema, wanted);
  const traces = Object.keys(fields).filter(
    (name) => fields[name]!.kind === "scalar" || fields[name]!.kind === "code",
  );
  const other = wanted?.find((name) => !traces.includes(name));
  if (other !== undefined)
    throw new TypeError(`${other} is ${fields[other]!.kind}; only scalars and codes have min and max`);
  return traces;
}

export class TraceSubscription extends Subscription implements Viewer {
  /** Index of the first bucket that the client has not got as it stands now. */
  since = Infinity;
  dropped = 0;
  #view: TraceView | undefined;
  #columns: readonly string[] = [];
  #width = 0n;
  /** Buckets before it lie before the span that was asked for. */
  #first = 0n;
  /** Bucket after the last wanted. */
  #end: bigint | undefined;
  /** Counts the layouts, so that what belongs to an earlier one is not sent. */
  #turn = 0;
  /** True once history has been sent, and live buckets may follow. */
  #joined = false;

  protected async run(info: StreamInfo): Promise<void> {
    this.#columns = traceColumns(info.schema, this.request.columns);
    if (this.#columns.length === 0)
      throw new TypeError(`${info.stream} has no scalars or codes, and so no min and max`);
    await this.#layOut(info);
  }

  /** Chooses the buckets, sends those that are complete, and goes on with the view's. */
  async #layOut(known: StreamInfo): Promise<void> {
    const { request, shared } = this;
    const turn = ++this.#turn;
    const current = (): boolean => !this.abort.signal.aborted && turn === this.#turn;
    this.#leave();
    const [from_, to] = [BigInt(request.from), request.to === "live" ? undefined : BigInt(request.to)];
    const isPast = to !== undefined && to <= known.watermark;
    const info = isPast || newestTime(known) !== undefined ? known : await this.#firstRows(known);
    if (!current()) return;
    const newest = newestTime(info) ?? 0n;
    let from = from_ < 0n ? newest + from_ : from_;
    if (info.firstTime === undefined || from < info.firstTime) {
      const first = await firstTime(shared.run, info);
      if (!current()) return;
      if (first !== undefined && from < first && (to === undefined || first < to)) from = first;
    }
    let span = to !== undefined ? to - from : from_ < 0n ? -from_ : newest - from;
    // A view that grows gets room to grow into.
    if (to === undefined && from_ >= 0n) span = span * 2n > LEAST_SPAN ? span * 2n : LEAST_SPAN;
    if (span < 1n) throw new TypeError(`from (${from}) must lie before to (${to})`);
    const maxPoints = request.maxPoints!;
    this.#width = bucketWidth(span, maxPoints);
    this.#first = bucketOf(from, this.#width);
    this.#end = to === undefined ? undefined : bucketOf(to - 1n, this.#width) + 1n;
    this.#announce(info.epoch, info.schema);
    if (isPast) {
      await this.#history(info, this.#end!);
      if (current()) this.done();
      return;
    }
    const view = shared.views.join(this, info, this.#columns, this.#width, maxPoints);
    this.#view = view;
    // What the view counts itself begins here; all before it is complete, and does not change while we ask for it.
    this.since = view.ring.first;
    await this.#history(info, view.ring.base + BigInt(this.since));
    if (!current()) return;
    this.#joined = true;
    this.flush();
  }

  #announce(epoch: number, schema: Schema): void {
    const { stream } = this.request;
    this.beginEpoch({
      stream,
      epoch,
      schema: selected(schema, this.#columns),
      columns: this.#columns,
      width: this.#width,
    });
  }

  /** Waits for rows, since without them there is no telling where buckets should lie. */
  async #firstRows({ stream }: StreamInfo): Promise<StreamInfo> {
    const { run } = this.shared;
    let rowsCame!: () => void;
    const came = new Promise<void>((resolve) => (rowsCame = resolve));
    const tail = run.tail(stream).subscribe(({ columns }) => columns.time.length > 0 && rowsCame());
    this.abort.signal.addEventListener("abort", rowsCame);
    await came;
    tail.unsubscribe();
    return newestInfo(run, stream);
  }

  async #history(info: StreamInfo, end: bigint): Promise<void> {
    const first = this.#first < end ? this.#first : end;
    const width = this.#width;
    const buckets = Number(end - first);
    const span = { from: first * width, to: end * width, buckets };
    const columns = this.#columns.map(async (column) =>
      buckets === 0
        ? EMPTY
        : onGrid(await this.shared.run.minMax(this.request.stream, column, span), first, width, buckets),
    );
    const body = encodeBlock({ first, width, columns: await Promise.all(columns) });
    await this.outbox.ready();
    if (this.abort.signal.aborted) return;
    this.data(
      {
        kind: KIND.minmax, encoding: ENCODING.minmax, epoch: info.epoch, row: BigInt(info.rows),
        firstTime: span.from, lastTime: span.to, watermark: info.watermark, dropped: 0, flags: FLAG.history | FLAG.reset,
      },
      body,
    ); // prettier-ignore
  }

  /** The view has counted rows into buckets from `index` on; Infinity where only its watermark has moved. */
  changed(index: number): void {
    if (index < this.since) this.since = index;
    if (index !== Infinity || this.#end !== undefined) this.shared.pulse.mark(this);
  }

  override flush(): void {
    const view = this.#view;
    if (!view || !this.#joined || !this.outbox.open) return;
    const { ring } = view;
    const first = Number(this.#first - ring.base);
    // What has left the view before it could be sent has left a sliding span too; any other is sent anew.
    if (this.since < ring.first && BigInt(this.request.from) >= 0n) return this.#again();
    const end = this.#end === undefined ? ring.end : Math.min(ring.end, Number(this.#end - ring.base));
    const from = Math.max(this.since, ring.first, first);
    if (from < end) {
      this.data(
        {
          kind: KIND.minmax, encoding: ENCODING.minmax, epoch: view.epoch, row: BigInt(view.nextRow),
          firstTime: ring.timeOf(from), lastTime: view.lastTime, watermark: view.watermark,
          dropped: this.dropped, flags: 0,
        },
        view.encode(from, end),
      ); // prettier-ignore
      this.dropped = 0;
    }
    this.since = Infinity;
    if (this.#end !== undefined && view.watermark >= this.#end * this.#width) return this.done();
    // A view that grows gets wider buckets before it has too many.
    if (
      this.request.to === "live" &&
      BigInt(this.request.from) >= 0n &&
      end - first > this.request.maxPoints!
    )
      this.#again();
  }

  /** Columns or units may have changed. */
  newEpoch(epoch: number, schema: Schema): void {
    try {
      const columns = traceColumns(schema, this.request.columns);
      if (columns.join("\n") === this.#columns.join("\n")) return this.#announce(epoch, schema);
      this.#columns = columns;
    } catch (error) {
      return this.broke(error as Error);
    }
    this.#again();
  }

  #again(): void {
    const info = newestInfo(this.shared.run, this.request.stream);
    this.#layOut(info).catch((error: Error) => this.broke(error));
  }

  broke(error: Error): void {
    if (!this.abort.signal.aborted) this.fail(error.message);
  }

  #leave(): void {
    if (this.#view) this.shared.views.leave(this, this.#view);
    this.#view = undefined;
    this.#joined = false;
    this.since = Infinity;
  }

  override close(): void {
    this.#leave();
    super.close();
  }
}

const EMPTY: BucketColumn = { min: new Float64Array(0), max: new Float64Array(0), count: new Uint32Array(0) };

/** Time of the newest row, or up to which there certainly is none. */
function newestTime({ lastTime, watermark }: StreamInfo): bigint | undefined {
  return lastTime ?? (watermark === BEGIN_OF_TIME || watermark === END_OF_TIME ? undefined : watermark);
}

function newestInfo(run: RunView, stream: string): StreamInfo {
  const epochs = run.streams().filter((info) => info.stream === stream);
  return epochs.reduce((a, b) => (b.epoch > a.epoch ? b : a));
}

/** Time of the very first row, of whatever epoch. */
async function firstTime(run: RunView, { stream, epoch }: StreamInfo): Promise<bigint | undefined> {
  for (let e = 0; e <= epoch; e++) {
    for await (const { columns } of run.read(stream, { epoch: e, fromRow: 0, toRow: 1 }))
      return columns.time[0];
  }
  return undefined;
}

/** The same buckets on the grid of the view: as they are where they lie on it, else each where its middle lies. */
function onGrid(given: MinMax, first: bigint, width: bigint, buckets: number): BucketColumn {
  const n = given.count.length;
  const start = first * width;
  if (n === buckets && given.from === start && given.to === start + BigInt(buckets) * width) return given;
  const column = {
    min: new Float64Array(buckets).fill(NaN),
    max: new Float64Array(buckets).fill(NaN),
    count: new Uint32Array(buckets),
  };
  const step = Number(given.to - given.from) / n;
  for (let i = 0; i < n; i++) {
    const k = Math.floor((Number(given.from - start) + (i + 0.5) * step) / Number(width));
    if (given.count[i] === 0 || k < 0 || k >= buckets) continue;
    column.min[k] = column.count[k] ? Math.min(column.min[k]!, given.min[i]!) : given.min[i]!;
    column.max[k] = column.count[k] ? Math.max(column.max[k]!, given.max[i]!) : given.max[i]!;
    column.count[k]! += given.count[i]!;
  }
  return column;
}
