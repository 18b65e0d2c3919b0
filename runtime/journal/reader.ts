/**
 * Reads the rows of one recorded stream, whole batches where it can, views of the bytes that were read.
 */
import { closeSync, openSync } from "node:fs";
import { makeBatch, type Batch } from "../batch.ts";
import { slice } from "../columns.ts";
import type { ReadRange } from "../run-view.ts";
import { unflatten } from "./layout.ts";
import { decodeBatch } from "./message.ts";
import { resolveFrames, type Resolve } from "./reference.ts";
import { DATA } from "./segment.ts";
import { readMessages, spanOf, type Segment, type StreamFiles } from "./stream-files.ts";

/** Messages are read together up to this many bytes. */
const READ_BYTES = 1024 * 1024;

export interface ReadOptions {
  /** Also what a source said without rows. */
  readonly heartbeats?: boolean;
  readonly resolve?: Resolve | undefined;
}

/** Rows of a stream in order; without an epoch in the range, those of all epochs, one after the other. */
export async function* readRows(
  files: StreamFiles,
  range: ReadRange,
  options: ReadOptions = {},
): AsyncGenerator<Batch> {
  for (const segment of files.segments) {
    if (range.epoch !== undefined && segment.head.epoch !== range.epoch) continue;
    if (range.fromRow !== undefined && segment.closed && segment.endRow < range.fromRow) continue;
    if (range.toRow !== undefined && segment.head.row > range.toRow) continue;
    if (!overlaps(segment, range)) continue;
    const { entries } = segment;
    const count =
      range.toRow === undefined ? entries.count : firstWith(entries, (i) => entries.row(i) > range.toRow!);
    let file: number | undefined;
    try {
      for (
        let from = firstWith(entries, (i) => entries.row(i) + entries.rows(i) >= (range.fromRow ?? 0));
        from < count;
      ) {
        if (!wanted(segment, from, range, options)) {
          from++;
          continue;
        }
        let to = from + 1;
        let bytes = segment.entries.length(from);
        while (
          to < count &&
          wanted(segment, to, range, options) &&
          (bytes += segment.entries.length(to)) <= READ_BYTES
        )
          to++;
        file ??= openSync(segment.path + DATA, "r");
        for (const message of await readMessages(file, segment, from, to)) {
          const batch = await batchOf(message, segment, range, options.resolve);
          if (batch) yield batch;
        }
        from = to;
      }
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }
}

/** First message behind the schema for which it is so; it is so for all after it. */
function firstWith({ count }: Segment["entries"], so: (i: number) => boolean): number {
  let low = 1;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (so(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** False where all rows of the segment lie outside the wanted span of time. */
function overlaps(segment: Segment, { fromTime, toTime }: ReadRange): boolean {
  if (fromTime === undefined && toTime === undefined) return true;
  const { first, last } = spanOf(segment);
  return (fromTime === undefined || last >= fromTime) && (toTime === undefined || first < toTime);
}

function wanted(
  { entries }: Segment,
  i: number,
  range: ReadRange,
  { heartbeats = false }: ReadOptions,
): boolean {
  const rows = entries.rows(i);
  if (rows === 0 && !heartbeats) return false;
  const row = entries.row(i);
  const { fromRow = 0, toRow = Infinity, fromTime, toTime } = range;
  return (
    row + rows >= fromRow + (rows > 0 ? 1 : 0) &&
    (row < toRow || (rows === 0 && row <= toRow)) &&
    (fromTime === undefined || entries.last(i) >= fromTime) &&
    (toTime === undefined || entries.first(i) < toTime)
  );
}

async function batchOf(
  message: Uint8Array,
  segment: Segment,
  range: ReadRange,
  resolve: Resolve | undefined,
): Promise<Batch | undefined> {
  const { head, flat } = decodeBatch(message, segment.layout);
  const { stream, epoch } = segment.head;
  let columns = unflatten(flat, segment.layout);
  const { time } = columns;
  const { fromRow = 0, toRow = Infinity, fromTime, toTime } = range;
  let from = Math.max(0, fromRow - head.row);
  let to = Math.min(flat.rows, toRow - head.row);
  while (fromTime !== undefined && from < to && time[from]! < fromTime) from++;
  while (toTime !== undefined && to > from && time[to - 1]! >= toTime) to--;
  if (flat.rows > 0 && from >= to) return undefined;
  columns = slice(columns, segment.head.schema.fields, from, to);
  const row = head.row + from;
  if (segment.references)
    columns = await resolveFrames(columns, segment.references, { stream, row }, resolve);
  // A derived stream is in order; a part of a batch promises no more than the row after it.
  let watermark = head.watermark ?? time[to - 1]!;
  if (to < flat.rows && time[to]! < watermark) watermark = time[to]!;
  return makeBatch({
    stream,
    epoch,
    row,
    columns,
    schema: segment.schema,
    watermark,
    state: head.state ?? "active",
  });
}
