/**
 * What came over the wire, as the page wants it: typed arrays over the bytes of the message, times in ms.
 */
import { columnsOf, fromArrowMessages } from "../../runtime/wire/arrow-messages.ts";
import type { BucketBlock } from "../../runtime/wire/buckets.ts";
import {
  toInt64,
  type CatalogueEntry,
  type Header,
  type StreamPosition,
} from "../../runtime/wire/protocol.ts";
import type { Schema } from "../../runtime/wire/schema.ts";
import type { Ms, RowsFrame, StreamEntry, TraceFrame } from "./types.ts";

/** ns to ms; a double keeps a quarter of a µs, and whole ms exactly. NaN where there is no time. */
export function toMs(time_ns: bigint | number | null | undefined): Ms {
  const exact = toInt64(time_ns);
  return exact === undefined ? NaN : Number(exact / 1_000_000n) + Number(exact % 1_000_000n) / 1e6;
}

/** ms to ns, by whole µs. Not finite: as far back, or as far on, as there is. */
export function toNs(time_ms: Ms): bigint {
  if (Number.isFinite(time_ms)) return BigInt(Math.round(time_ms * 1000)) * 1000n;
  return time_ms > 0 ? 2n ** 63n - 1n : 0n;
}

/** The same for many times, through their two 32-bit halves; the upper changes every four seconds. */
export function timesToMs(time: BigInt64Array): Float64Array {
  const halves = new Int32Array(time.buffer, time.byteOffset, time.length * 2);
  const ms = new Float64Array(time.length);
  let [high, whole_ms, rest_ns] = [NaN, 0, 0];
  for (let i = 0; i < time.length; i++) {
    if (halves[2 * i + 1] !== high) {
      high = halves[2 * i + 1]!;
      rest_ns = (high * 4294967296) % 1e6;
      whole_ms = Math.round((high * 4294967296 - rest_ns) / 1e6);
    }
    ms[i] = whole_ms + (rest_ns + (halves[2 * i]! >>> 0)) / 1e6;
  }
  return ms;
}

/** Rows as a frame of views on the message. */
export function rowsFrame(
  header: Header,
  arrowSchema: Uint8Array,
  body: Uint8Array,
  schema: Schema,
): RowsFrame {
  const { time, ...columns } = columnsOf(fromArrowMessages(arrowSchema, body));
  const time_ns = time as BigInt64Array;
  const { epoch, row, dropped } = header;
  return {
    kind: "rows",
    epoch,
    row: Number(row),
    time: timesToMs(time_ns),
    time_ns,
    schema,
    columns,
    dropped,
  };
}

/** Buckets as a frame; their times are their centres. */
export function traceFrame(
  block: BucketBlock,
  names: readonly string[],
  reset: boolean,
  dropped: number,
  lastTime?: Ms,
): TraceFrame {
  const n = block.columns[0]?.count.length ?? 0;
  const first = toMs(block.first * block.width);
  const width = Number(block.width) / 1e6;
  const time = Float64Array.from({ length: n }, (_, i) => first + (i + 0.5) * width);
  const columns = Object.fromEntries(names.map((name, c) => [name, block.columns[c]!]));
  return { kind: "trace", time, columns, reset, dropped, ...(lastTime !== undefined && { lastTime }) };
}

/** Buffers that a frame may take along to the page. */
export function buffersOf(frame: RowsFrame | TraceFrame): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const collect = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) buffers.add(value.buffer as ArrayBuffer);
    else if (typeof value === "object" && value !== null && !Array.isArray(value))
      Object.values(value).forEach(collect);
  };
  collect(frame.time);
  if (frame.kind === "rows") collect(frame.time_ns);
  Object.values(frame.columns).forEach(collect);
  return [...buffers];
}

export function streamEntry(entry: CatalogueEntry): StreamEntry {
  const { stream, schema, derived, provisional } = entry;
  return { stream, schema, derived, provisional, ...positionIn(entry) };
}

/** What changes of an entry from moment to moment. */
export function positionIn({
  epoch,
  state,
  rows,
  firstTime,
  lastTime,
  watermark,
}: StreamPosition): Pick<StreamEntry, "epoch" | "state" | "rows" | "firstTime" | "lastTime" | "watermark"> {
  return {
    epoch,
    state,
    rows,
    firstTime: toMs(firstTime),
    lastTime: toMs(lastTime),
    watermark: toMs(watermark),
  };
}
