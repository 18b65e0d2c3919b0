/**
 * Arrow's encapsulated IPC messages one by one: the schema once, then record batches without it.
 * Also runs in the browser.
 */
import {
  DataType,
  RecordBatchReader,
  RecordBatchStreamWriter,
  type RecordBatch,
  type Schema,
} from "apache-arrow";
import type { NumericArray } from "./schema.ts";

/** A schema message and a record-batch message that follows it; `schema` is the same bytes for the same schema. */
export interface ArrowMessages {
  readonly schema: Uint8Array;
  readonly batch: Uint8Array;
}

const schemas = new WeakMap<Schema, Uint8Array>();

/** Writes batches without the schema before them, which is half of the work where batches are small. */
class BatchWriter extends RecordBatchStreamWriter {
  protected override _writeSchema(): this {
    return this;
  }
}

export function toArrowMessages(batch: RecordBatch): ArrowMessages {
  let schema = schemas.get(batch.schema);
  if (!schema) {
    const writer = new RecordBatchStreamWriter();
    writer.reset(undefined, batch.schema);
    schema = writer.toUint8Array(true);
    schemas.set(batch.schema, schema);
  }
  // A new writer each time: one that is kept holds 60 bytes a batch for ever.
  const writer = new BatchWriter();
  writer.write(batch);
  return { schema, batch: writer.toUint8Array(true) };
}

/** Reads a record-batch message; its columns are views on the message where that begins at a multiple of 8. */
export function fromArrowMessages(schema: Uint8Array, batch: Uint8Array): RecordBatch {
  for (const read of RecordBatchReader.from([schema, batch])) return read;
  throw new RangeError(`an Arrow message of ${batch.byteLength} bytes holds no record batch`);
}

/** What a record batch's columns are in typed arrays: numbers (n, or n × size of an image), lists, texts. */
export type WireColumn =
  NumericArray | { readonly values: NumericArray; readonly offsets: Int32Array } | readonly string[];

/** Columns by name, `time` among them, as views on the message. */
export function columnsOf(batch: RecordBatch): Record<string, WireColumn> {
  // Arrow rounds the length of each buffer up to 8 bytes, so that arrays of smaller numbers come out too long.
  const { numRows } = batch;
  const columns: Record<string, WireColumn> = {};
  batch.schema.fields.forEach(({ name, type }, i) => {
    const data = batch.data.children[i]!;
    const inner = data.children[0]?.values as Float64Array | undefined;
    if (DataType.isUtf8(type)) {
      const vector = batch.getChildAt(i)!;
      columns[name] = Array.from({ length: numRows }, (_, row) => vector.get(row) as string);
    } else if (DataType.isFixedSizeList(type)) columns[name] = inner!.subarray(0, numRows * type.listSize);
    else if (DataType.isList(type)) {
      const offsets = (data.valueOffsets as Int32Array).subarray(0, numRows + 1);
      columns[name] = { values: inner!.subarray(0, offsets[numRows]), offsets };
    } else columns[name] = (data.values as Float64Array).subarray(0, numRows);
  });
  return columns;
}
