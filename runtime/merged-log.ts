/**
 * Rows that several nodes report, as one stream in the order of event time, then of the node's name: the run's
 * faults, its alarms. A row is given out once every node has promised to report nothing before it. A node of which
 * `most` rows wait no longer waits for the others: half of them are given out, and what others report of that time
 * is timed after it. None is lost.
 */
import { BEGIN_OF_TIME, END_OF_TIME } from "./batch.ts";
import type { Stream } from "./stream.ts";
import type { Schema } from "./wire/schema.ts";
import { columnsOf } from "./rows.ts";

export type LogRow = Readonly<Record<string, unknown>> & { readonly time: bigint };

interface Reporting {
  promised: bigint;
  last: bigint;
  rows: LogRow[];
}

export class MergedLog {
  readonly #stream: Stream;
  readonly #schema: Schema;
  readonly #most: number;
  readonly #nodes = new Map<string, Reporting>();

  constructor(stream: Stream, schema: Schema, nodes: readonly string[], most = 10_000) {
    this.#stream = stream;
    this.#most = most;
    this.#schema = schema;
    for (const node of [...nodes].sort())
      this.#nodes.set(node, { promised: BEGIN_OF_TIME, last: BEGIN_OF_TIME, rows: [] });
    stream.open(schema);
    if (nodes.length === 0) stream.end();
  }

  /** A row of a node; one that breaks the node's own promise is timed by the promise. Returns it as it stands. */
  add(node: string, row: LogRow): LogRow {
    const reporting = this.#nodes.get(node)!;
    let { time } = row;
    for (const floor of [reporting.promised, reporting.last, this.#stream.watermark]) {
      if (time < floor && floor < END_OF_TIME) time = floor;
    }
    reporting.last = time;
    const timed = time === row.time ? row : { ...row, time };
    reporting.rows.push(timed);
    if (reporting.rows.length > this.#most) this.#give(reporting.rows[this.#most >> 1]!.time);
    return timed;
  }

  promise(node: string, watermark: bigint): void {
    const reporting = this.#nodes.get(node)!;
    if (watermark <= reporting.promised) return;
    reporting.promised = watermark;
    let upTo = END_OF_TIME;
    for (const { promised } of this.#nodes.values()) if (promised < upTo) upTo = promised;
    this.#give(upTo);
  }

  /** Gives out what lies before this time. */
  #give(upTo: bigint): void {
    if (upTo <= this.#stream.watermark) return;
    const ready: LogRow[] = [];
    for (const other of this.#nodes.values()) {
      let n = 0;
      while (n < other.rows.length && (other.rows[n]!.time < upTo || upTo === END_OF_TIME)) n++;
      if (n > 0) ready.push(...other.rows.splice(0, n));
    }
    // Nodes stand in the order of their names, so a stable sort by time keeps it.
    ready.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    if (ready.length > 0)
      this.#stream.append(
        columnsOf(ready, this.#schema.fields),
        upTo === END_OF_TIME ? this.#stream.watermark : upTo,
      );
    if (upTo === END_OF_TIME) this.#stream.end();
    else this.#stream.beat(upTo);
  }
}

/** What was wrong with the data or with an operator: where, what, and how many rows it concerns. */
export const FAULTS: Schema = {
  fields: {
    node: { kind: "label", type: "u8", unit: "", doc: "source or operator that reports it" },
    what: { kind: "label", type: "u8", unit: "", doc: "what was wrong, and what to do" },
    count: { kind: "code", type: "i32", unit: "", doc: "how many rows it concerns" },
  },
  metadata: {},
};

/** Each change of an alarm's level. */
export const ALARMS: Schema = {
  fields: {
    alarm: { kind: "label", type: "u8", unit: "", doc: "its name in the pipeline file" },
    stream: { kind: "label", type: "u8", unit: "", doc: "the stream whose level it watches" },
    priority: { kind: "label", type: "u8", unit: "" },
    level: { kind: "code", type: "i32", unit: "", codes: { 0: "clear", 1: "watch", 2: "alarm" } },
  },
  metadata: {},
};
