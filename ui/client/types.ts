/**
 * What the elements know of the server: a client that lives in the page, while the WebSocket, the decoding and
 * the decimation live in a web worker. Usable without the elements.
 */
import type { ChangeableNode, StreamHealth } from "../../runtime/wire/protocol.ts";
import type { Schema } from "../../runtime/wire/schema.ts";

/** One line of the health table: what the server counts for each stream. */
export type { StreamHealth };

/** Times on this side are milliseconds since 1970 as doubles (µs resolution); exact ns stand in `row`-numbered data. */
export type Ms = number;

export interface StreamEntry {
  readonly stream: string;
  readonly epoch: number;
  readonly schema: Schema;
  readonly state: "active" | "idle" | "ended";
  readonly derived: boolean;
  readonly provisional: boolean;
  readonly rows: number;
  readonly firstTime: Ms;
  readonly lastTime: Ms;
  readonly watermark: Ms;
}

export type Connection =
  | { readonly state: "connecting"; readonly attempt: number }
  | {
      readonly state: "open";
      readonly mode: "live" | "replay" | "simulated";
      readonly speed: number;
      readonly latency_ms: number;
    }
  | { readonly state: "lost"; readonly since: Ms; readonly reason: string; readonly recording: boolean }
  | { readonly state: "refused"; readonly reason: string };

/** Scalar columns of one stream in equal buckets of time, oldest first: what a trace draws. */
export interface TraceFrame {
  readonly kind: "trace";
  /** Centres of the buckets. */
  readonly time: Float64Array;
  readonly columns: Readonly<
    Record<string, { readonly min: Float64Array; readonly max: Float64Array; readonly count: Uint32Array }>
  >;
  /** True where this replaces all that was sent before; false where it goes on after it. */
  readonly reset: boolean;
  readonly dropped: number;
  /** Time of the newest row in it; absent of history, where only the buckets' own times are known. */
  readonly lastTime?: Ms;
}

/** Whole rows with typed arrays: images, curves, tables. */
export interface RowsFrame {
  readonly kind: "rows";
  readonly epoch: number;
  readonly row: number;
  readonly time: Float64Array;
  /** The same times, exactly, in ns. */
  readonly time_ns?: BigInt64Array;
  readonly schema: Schema;
  /** By column: numbers (n), images (n × size), lists {values, offsets}, texts. */
  readonly columns: Readonly<Record<string, unknown>>;
  readonly dropped: number;
}

export type Frame =
  | TraceFrame
  | RowsFrame
  | { readonly kind: "gap"; readonly reason: string }
  /** Of rows up to a time: all that was asked for has come. */
  | { readonly kind: "done" };

export interface Request {
  readonly stream: string;
  readonly columns?: readonly string[];
  /** Span of time wanted; `to: "live"` follows the newest. `from` negative: that many ms before the newest. */
  readonly from: Ms;
  readonly to: Ms | "live";
  /** Traces: at most this many buckets over the span. Without it: whole rows, newest first wins (latest) unless lossless. */
  readonly maxPoints?: number;
  readonly lossless?: boolean;
}

export interface Subscription {
  change(request: Request): void;
  close(): void;
}

/** From when on a change holds, or why it was not made. */
export type Answer = { readonly time: Ms } | { readonly refused: string };

export interface Client {
  readonly connection: Connection;
  readonly catalogue: ReadonlyMap<string, StreamEntry>;
  readonly health: readonly StreamHealth[];
  /** The run's manifest: name, experiment, origin, directory. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** Nodes with options that may be changed while the run goes on, and how they are set now. */
  readonly nodes: readonly ChangeableNode[];
  /** Sets options of a node, values as in a pipeline file (null: what stands there); resolves with what came of it. */
  act(node: string, changes: Readonly<Record<string, unknown>>): Promise<Answer>;
  /** Calls back on each change of connection, catalogue, health, nodes or manifest; returns how to stop. */
  onChange(listener: () => void): () => void;
  /** One may subscribe to a name before it exists. */
  subscribe(request: Request, receive: (frame: Frame) => void): Subscription;
  close(): void;
}
