/**
 * Whole rows of one stream (images, curves) for the moment that the page shows: the newest while live, the last
 * complete one before the cursor otherwise. Keeps what came lately, up to a bound in bytes; asks for what is older.
 */
import type { Client, Ms, RowsFrame, Subscription } from "./client/types.ts";
import type { Freshness } from "./freshness.ts";
import type { Page } from "./page.ts";
import { dateAndTime, duration, timeOfDay } from "./readable-times.ts";
import type { TimeAxis } from "./time-axis.ts";

export interface Row {
  readonly time: Ms;
  readonly frame: RowsFrame;
  /** Which row of the frame. */
  readonly at: number;
  readonly bytes: number;
}

/** Bytes kept of one stream; beyond it the oldest leaves. */
const KEPT_bytes = 32 * 2 ** 20;

export interface RowFeedOptions {
  readonly client: Pick<Client, "subscribe">;
  readonly axis: TimeAxis;
  readonly stream: string;
  readonly columns: readonly string[];
  readonly onData: (newest: Ms) => void;
}

export class RowFeed {
  readonly #options: RowFeedOptions;
  readonly #rows: Row[] = [];
  #bytes = 0;
  readonly #live: Subscription;
  #past: Subscription | undefined;
  /** The last answer from history, and the moment it was asked for. */
  #answer: { readonly asked: Ms; readonly row: Row } | undefined;
  #asked: Ms | undefined;
  dropped = 0;

  constructor(options: RowFeedOptions) {
    this.#options = options;
    const { client, stream, columns, onData } = options;
    this.#live = client.subscribe({ stream, columns, from: 0, to: "live" }, (frame) => {
      if (frame.kind !== "rows" || frame.time.length === 0) return;
      this.dropped += frame.dropped;
      this.#keep(lastRow(frame));
      onData(this.newest!.time);
    });
  }

  get newest(): Row | undefined {
    return this.#rows.at(-1);
  }

  /** What is kept, oldest first. */
  get kept(): readonly Row[] {
    return this.#rows;
  }

  /** The row to draw; `moment` is what the page shows, undefined while it is live. */
  shown(moment: Ms | undefined): Row | undefined {
    if (moment === undefined) return this.newest;
    const known = this.#rows.findLast(({ time }) => time <= moment);
    if (known) return known;
    if (this.#answer && this.#answer.row.time <= moment && moment <= this.#answer.asked)
      return this.#answer.row;
    this.#ask(moment);
    return this.#answer && this.#answer.row.time <= moment ? this.#answer.row : undefined;
  }

  close(): void {
    this.#live.close();
    this.#past?.close();
  }

  #keep(row: Row): void {
    const newest = this.newest;
    if (newest && row.time <= newest.time) return;
    this.#rows.push(row);
    this.#bytes += row.bytes;
    while (this.#bytes > KEPT_bytes && this.#rows.length > 1) this.#bytes -= this.#rows.shift()!.bytes;
  }

  #ask(moment: Ms): void {
    if (this.#asked === moment) return;
    this.#asked = moment;
    const { client, stream, columns, onData } = this.#options;
    // The newest row of all up to the moment; `to` itself is left out.
    const request = { stream, columns, from: 0, to: moment + 1e-3 };
    if (this.#past) {
      this.#past.change(request);
      return;
    }
    this.#past = client.subscribe(request, (frame) => {
      if (frame.kind !== "rows" || frame.time.length === 0 || this.#asked === undefined) return;
      this.#answer = { asked: this.#asked, row: lastRow(frame) };
      onData(NaN);
    });
  }
}

function lastRow(frame: RowsFrame): Row {
  const at = frame.time.length - 1;
  const bytes = Object.values(frame.columns).reduce<number>((sum, column) => {
    if (ArrayBuffer.isView(column)) return sum + column.byteLength;
    const { values } = column as { values?: ArrayBufferView };
    return sum + (values?.byteLength ?? 0);
  }, 256);
  return { time: frame.time[at]!, frame, at, bytes };
}

/** Rows and columns of a row's image; undefined where there is none. */
export function sizeOf({ frame }: Row, column: string): readonly [rows: number, columns: number] | undefined {
  const [rows = 0, columns = 0] = (frame.schema.fields[column]?.shape ?? []).map(Number);
  return rows * columns > 0 ? [rows, columns] : undefined;
}

/** The moment that images and curves show: the cursor's, else the end of a view that stands still, else none. */
export function momentOf(axis: TimeAxis): Ms | undefined {
  return axis.cursor ?? (axis.view.kind === "held" ? axis.view.to : undefined);
}

export interface When {
  /** "14:32:07, 2 s before" of the moment on show; "4 s ago" while live; the time alone where nothing moves on. */
  readonly text: string;
  readonly state: Freshness;
}

/** When the row that is shown was measured, for whoever looks at it now. */
export function whenOf({ axis, clock, ages, client }: Page, stream: string, time: Ms): When {
  const moment = momentOf(axis);
  const { state } = ages.of(stream);
  if (moment !== undefined) {
    return { text: `${timeOfDay(time)}, ${duration(Math.max(0, moment - time))} before`, state: "fresh" };
  }
  if (client.connection.state !== "open" || state === "ended")
    return { text: dateAndTime(time), state: "ended" };
  const overdue = state === "late" || state === "stale" ? `, ${state}` : "";
  return { text: `${duration(Math.max(0, clock.now - time))} ago${overdue}`, state };
}
