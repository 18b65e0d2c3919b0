/**
 * What a sink may see of a running graph: its streams, their past and their next rows.
 */
import type { Observable } from "rxjs";
import type { Batch, StreamState } from "./batch.ts";
import type { ChangeableNode, StreamHealth } from "./wire/protocol.ts";
import type { Schema } from "./wire/schema.ts";

export interface StreamInfo {
  readonly stream: string;
  readonly epoch: number;
  readonly schema: Schema;
  readonly state: StreamState;
  /** True for what an operator made; false for what a source published. */
  readonly derived: boolean;
  /** Shown and not recorded. */
  readonly provisional: boolean;
  /** Rows so far in this epoch. */
  readonly rows: number;
  readonly firstTime: bigint | undefined;
  readonly lastTime: bigint | undefined;
  readonly watermark: bigint;
}

/** min, max and count of one scalar column in each of `count.length` equal buckets of time. */
export interface MinMax {
  readonly from: bigint;
  readonly to: bigint;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly count: Uint32Array;
}

export interface ReadRange {
  readonly epoch?: number;
  /** First row wanted; default 0, or the first at `fromTime`. */
  readonly fromRow?: number;
  readonly fromTime?: bigint;
  /** Rows before this time. */
  readonly toTime?: bigint;
  /** Stop before this row. */
  readonly toRow?: number;
}

/** What the run itself counts of a stream; what views leave out, only their server knows. */
export type RunHealth = Omit<StreamHealth, "drops">;

/** What a person has done, as it is recorded. */
export interface Acted {
  /** From where on it holds. */
  readonly time: bigint;
  readonly node: string;
  /** Options and what they are now. */
  readonly changes: Readonly<Record<string, unknown>>;
  /** Who did it, as they call themselves; empty where they do not. */
  readonly by: string;
}

export interface RunView {
  /** run.json as it stands: pipeline, experiment, origin. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** "live", "replay" or "simulated", and how many times faster than the clock (Infinity: as fast as it goes). */
  readonly mode: { readonly kind: "live" | "replay" | "simulated"; readonly speed: number };
  streams(): readonly StreamInfo[];
  /** Each new stream, epoch and end, as it happens. */
  readonly streams$: Observable<StreamInfo>;
  /** Every batch of a stream from now on, synchronously as it is appended. */
  tail(stream: string): Observable<Batch>;
  /** Rows already there, from memory or the journal, in order and without gap; ends at the newest acknowledged row. */
  read(stream: string, range: ReadRange): AsyncIterable<Batch>;
  /** What is counted of each stream: rate, lag, epochs, spills, late rows, state. */
  health(): readonly RunHealth[];
  /** min / max / count of a scalar column over a span of time in at most `buckets` buckets, from the levels and the newest rows. */
  minMax(
    stream: string,
    column: string,
    span: { from: bigint; to: bigint; buckets: number },
  ): Promise<MinMax>;
  /** Nodes with options that people may change while it runs, and how they are set now. */
  changeable(): readonly ChangeableNode[];
  /**
   * Sets options of a node, values as in a pipeline file (null: what stands there). Recorded, and done again by a
   * replay. Throws an ActionError with the reason where it cannot be; nothing is changed then.
   */
  act(node: string, changes: Readonly<Record<string, unknown>>, who?: { readonly by?: string }): Acted;
  /** Each that was done. */
  readonly acted$: Observable<Acted>;
}
