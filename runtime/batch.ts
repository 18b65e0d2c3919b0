/**
 * The one item type of the whole system: rows of one stream in an envelope.
 */
import type { RecordBatch } from "apache-arrow";
import { toArrow } from "./arrow.ts";
import { byteSize, type Columns } from "./columns.ts";
import type { FrameReference } from "./define.ts";
import type { Schema } from "./wire/schema.ts";

export type StreamState = "active" | "idle" | "ended";

export interface Batch {
  /** node.port, as in the pipeline file: "xrm.projections". */
  readonly stream: string;
  /** A new one when a source starts over or its schema changes. */
  readonly epoch: number;
  /** Number of its first row in stream and epoch: positions count rows, not batches. */
  readonly row: number;
  /** Rows in time order; none = a heartbeat that only moves the watermark. */
  readonly columns: Columns;
  /** Fixed within an epoch. */
  readonly schema: Schema;
  /** ns; the producer's promise: no later batch holds a row before it. */
  readonly watermark: bigint;
  readonly state: StreamState;
  /** Bytes of its columns, counted once. */
  readonly bytes: number;
  /** Where its images lie in a file of the instrument's, if they do. */
  readonly reference?: FrameReference;
  /** The same as an Arrow record batch: what a source published, or built once when asked for. */
  arrow(): RecordBatch;
}

export function makeBatch(
  of: Omit<Batch, "arrow" | "bytes"> & { bytes?: number; published?: RecordBatch | undefined },
): Batch {
  let record = of.published;
  return {
    stream: of.stream,
    epoch: of.epoch,
    row: of.row,
    columns: of.columns,
    schema: of.schema,
    watermark: of.watermark,
    state: of.state,
    bytes: of.bytes ?? byteSize(of.columns),
    ...(of.reference && { reference: of.reference }),
    arrow: () => (record ??= toArrow(of.columns, of.schema)),
  };
}

export const NO_TIME = new BigInt64Array(0);
/** The watermark of a stream that has ended or says nothing more: after every time that Arrow can hold. */
export const END_OF_TIME = 2n ** 63n - 1n;
export const BEGIN_OF_TIME = -(2n ** 63n);
