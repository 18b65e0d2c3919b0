/**
 * What the three kinds of subscription share, and the two that send whole rows: every one of them (`lossless`),
 * or the newest (`latest`), the others counted as dropped.
 */
import {
  BEGIN_OF_TIME, encodeHeader, ENCODING, firstAtOrAfter, FLAG, joinMessage, KIND, pack, plainHeader, slice, toArrow, toArrowMessages,
  type ArrowMessages, type Batch, type EpochMessage, type Field, type Gap, type Header, type KindCode, type RunView,
  type Schema, type StreamInfo, type SubscribeMessage, type WireError,
} from "../runtime/index.ts"; // prettier-ignore
import { follow, lastRow } from "./websocket-follow.ts";
import type { Outbox, Pulse } from "./websocket-outbox.ts";
import type { TraceViews } from "./websocket-views.ts";

/** Rows of one message take about so much, where there are more than one. */
const MESSAGE_BYTES = 1 << 20;

/** What all subscriptions of a server share. */
export interface Shared {
  readonly run: RunView;
  readonly pulse: Pulse<{ flush(): void }>;
  readonly views: TraceViews;
  readonly encoder: RowEncoder;
  /** Rows that views have left out, by stream. */
  readonly dropped: Map<string, number>;
  now_ms(): number;
  /** Resolves when the stream is known; rejects never, and at the signal stays unresolved. */
  known(stream: string, signal: AbortSignal): Promise<StreamInfo>;
}

export abstract class Subscription {
  readonly request: SubscribeMessage;
  protected readonly shared: Shared;
  protected readonly outbox: Outbox;
  protected readonly abort = new AbortController();
  /** Takes it off the client's list. */
  readonly #finished: () => void;
  #epochSent = -1;

  constructor(request: SubscribeMessage, shared: Shared, outbox: Outbox, finished: () => void) {
    this.request = request;
    this.shared = shared;
    this.outbox = outbox;
    this.#finished = finished;
  }

  /** Begins; what goes wrong is told to the client. */
  async start(): Promise<void> {
    try {
      const info = await this.shared.known(this.request.stream, this.abort.signal);
      if (!this.abort.signal.aborted) await this.run(info);
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.fail((error as Error).message);
    }
  }

  protected abstract run(info: StreamInfo): Promise<void>;

  /** There may be something to send, and room for it. */
  flush(): void {}

  protected fail(what: string): void {
    this.message(KIND.error, { what } satisfies WireError);
    this.close();
  }

  protected done(): void {
    this.message(KIND.done, {});
    this.close();
  }

  close(): void {
    this.abort.abort();
    this.shared.pulse.forget(this);
    this.#finished();
  }

  protected message(kind: KindCode, body: object, epoch = Math.max(0, this.#epochSent)): void {
    const header = plainHeader(kind, this.shared.now_ms(), { subscription: this.request.id, epoch });
    this.outbox.control(joinMessage(encodeHeader(header), pack(body)));
  }

  protected data(header: Omit<Header, "subscription" | "sent_ms">, body: Uint8Array): void {
    const { dropped } = this.shared;
    if (header.dropped > 0)
      dropped.set(this.request.stream, (dropped.get(this.request.stream) ?? 0) + header.dropped);
    this.outbox.data({ ...header, subscription: this.request.id, sent_ms: this.shared.now_ms() }, body);
  }

  protected beginEpoch(message: EpochMessage): void {
    this.#epochSent = message.epoch;
    this.message(KIND.epoch, message);
  }

  protected gap(gap: Gap): void {
    this.message(KIND.gap, gap, gap.epoch);
  }

  /** Sends rows `from … to` of a batch, after their schema where the client has not got it. */
  protected rows(batch: Batch, from: number, to: number, rest: { dropped: number; flags: number }): void {
    const { columns } = this.request;
    if (batch.epoch !== this.#epochSent) {
      const schema = selected(batch.schema, columns);
      this.beginEpoch({
        stream: batch.stream,
        epoch: batch.epoch,
        schema,
        columns: Object.keys(schema.fields),
      });
      const message = this.shared.encoder.encode(batch, from, to, columns).schema;
      const header = plainHeader(KIND.schema, this.shared.now_ms(), {
        subscription: this.request.id, epoch: batch.epoch, encoding: ENCODING.arrow,
      }); // prettier-ignore
      this.outbox.control(joinMessage(encodeHeader(header), message));
    }
    const { time } = batch.columns;
    this.data(
      {
        kind: KIND.rows, encoding: ENCODING.arrow, epoch: batch.epoch, row: BigInt(batch.row + from),
        firstTime: time[from]!, lastTime: time[to - 1]!,
        watermark: to < time.length ? time[to]! : batch.watermark, ...rest,
      },
      this.shared.encoder.encode(batch, from, to, columns).batch,
    ); // prettier-ignore
  }
}

const subSchemas = new WeakMap<Schema, Map<string, Schema>>();

/** The schema of some columns only; throws TypeError with those that there are where one is not known. */
export function selected(schema: Schema, columns: readonly string[] | undefined): Schema {
  if (!columns) return schema;
  const key = columns.join("\n");
  const known = subSchemas.get(schema)?.get(key);
  if (known) return known;
  const fields: Record<string, Field> = {};
  for (const name of columns) {
    const field = schema.fields[name];
    if (!field)
      throw new TypeError(`there is no column ${name}; there are ${Object.keys(schema.fields).join(", ")}`);
    fields[name] = field;
  }
  const made = { fields, metadata: schema.metadata };
  if (!subSchemas.has(schema)) subSchemas.set(schema, new Map());
  subSchemas.get(schema)!.set(key, made);
  return made;
}

/** Encodes rows once for all clients that want the same: of each view it remembers the last. */
export class RowEncoder {
  readonly #last = new Map<string, { batch: Batch; from: number; to: number; messages: ArrowMessages }>();

  encode(batch: Batch, from: number, to: number, columns: readonly string[] | undefined): ArrowMessages {
    const view = `${batch.stream}\n${columns?.join("\n") ?? ""}`;
    const last = this.#last.get(view);
    if (last && last.batch === batch && last.from === from && last.to === to) return last.messages;
    const { fields } = batch.schema;
    const rows = toArrow(slice(batch.columns, fields, from, to), selected(batch.schema, columns));
    const messages = toArrowMessages(rows);
    this.#last.delete(view);
    this.#last.set(view, { batch, from, to, messages });
    if (this.#last.size > 64) this.#last.delete(this.#last.keys().next().value!);
    return messages;
  }
}

/** Time that a negative `from` stands for: so much before the newest row. */
function fromOf(request: SubscribeMessage, info: StreamInfo): bigint {
  const from = BigInt(request.from);
  return from < 0n && info.lastTime !== undefined ? info.lastTime + from : from;
}

export class LosslessSubscription extends Subscription {
  protected async run(info: StreamInfo): Promise<void> {
    const { request } = this;
    selected(info.schema, request.columns);
    const start = { epoch: 0, row: 0, fromTime: fromOf(request, info) };
    const position = request.after && this.#resume(request.after, info);
    const end = request.to === "live" ? undefined : BigInt(request.to);
    for await (const item of follow(this.shared.run, request.stream, position ?? start, this.abort.signal)) {
      await this.outbox.ready();
      if (this.abort.signal.aborted) return;
      if (item.is === "missing") {
        const { epoch, from, to } = item;
        this.gap({
          reason: `rows ${from} to ${to - 1} have left memory and were not recorded`,
          epoch,
          from,
          to,
        });
        continue;
      }
      if (item.is === "newest") {
        if (end !== undefined && this.#watermark() >= end) return this.done();
        continue;
      }
      const { batch, history } = item;
      const { time } = batch.columns;
      const last = end === undefined ? time.length : firstAtOrAfter(time, end);
      await this.#send(batch, last, history);
      if (this.abort.signal.aborted) return;
      if (last < time.length) return this.done();
    }
    if (!this.abort.signal.aborted) this.done();
  }

  #watermark(): bigint {
    const epochs = this.shared.run.streams().filter(({ stream }) => stream === this.request.stream);
    return epochs.reduce((newest, { watermark }) => (watermark > newest ? watermark : newest), BEGIN_OF_TIME);
  }

  async #send(batch: Batch, end: number, history: boolean): Promise<void> {
    const { length } = batch.columns.time;
    const step =
      length === 0 ? 1 : Math.max(1, Math.floor((MESSAGE_BYTES * length) / Math.max(1, batch.bytes)));
    for (let from = 0; from < end; from += step) {
      await this.outbox.ready();
      if (this.abort.signal.aborted) return;
      this.rows(batch, from, Math.min(end, from + step), { dropped: 0, flags: history ? FLAG.history : 0 });
    }
  }

  /** Where to go on; undefined, after saying why, where the position means nothing here. */
  #resume(
    after: { epoch: number; row: number },
    info: StreamInfo,
  ): { epoch: number; row: number } | undefined {
    const { epoch, row } = after;
    if (epoch < info.epoch || (epoch === info.epoch && row < info.rows)) return { epoch, row: row + 1 };
    const reason =
      epoch > info.epoch
        ? `epoch ${epoch} is not known here, the newest is ${info.epoch}; this is another run, and begins anew`
        : `row ${row} of epoch ${epoch} is not known here, there are ${info.rows} rows; this is another run, and begins anew`;
    this.gap({ reason, epoch: info.epoch, from: 0, to: 0 });
    return undefined;
  }
}

export class LatestSubscription extends Subscription {
  #newest: Batch | undefined;
  #sent: { epoch: number; row: number } | undefined;
  #dropped = 0;

  protected async run(info: StreamInfo): Promise<void> {
    const { run } = this.shared;
    const { stream, columns, to } = this.request;
    selected(info.schema, columns);
    if (to !== "live") {
      const found = await lastRow(run, stream, info.epoch, BigInt(to));
      if (this.abort.signal.aborted) return;
      await this.outbox.ready();
      if (found && found.columns.time[0]! >= fromOf(this.request, info))
        this.rows(found, 0, 1, { dropped: 0, flags: FLAG.history });
      return this.done();
    }
    const tail = run.tail(stream).subscribe((batch) => {
      if (batch.columns.time.length === 0) return;
      this.#count(batch);
      this.#newest = batch;
      this.shared.pulse.mark(this);
    });
    this.abort.signal.addEventListener("abort", () => tail.unsubscribe());
    const found = await lastRow(run, stream, info.epoch);
    if (this.abort.signal.aborted || !found || this.#newest || this.#sent) return;
    this.#newest = found;
    this.flush();
  }

  /** Rows that another batch will be shown in place of. */
  #count(batch: Batch): void {
    if (this.#newest) this.#dropped++;
    this.#dropped += batch.columns.time.length - 1;
  }

  override flush(): void {
    const batch = this.#newest;
    if (!batch || !this.outbox.open) return;
    const last = batch.columns.time.length - 1;
    this.#newest = undefined;
    try {
      this.rows(batch, last, last + 1, { dropped: this.#dropped, flags: 0 });
    } catch (error) {
      return this.fail((error as Error).message);
    }
    this.#sent = { epoch: batch.epoch, row: batch.row + last };
    this.#dropped = 0;
  }
}
