/**
 * Messages of an Arrow IPC stream, written from buffers and read back without a copy.
 *
 * apache-arrow's own stream writer keeps 60 bytes per batch for ever and copies every body; here only its encoder of
 * message headers is used. Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
 */
import { Schema as ArrowSchema } from "apache-arrow";
import {
  BufferRegion,
  FieldNode,
  Message,
  RecordBatch as BatchHeader,
} from "apache-arrow/ipc/metadata/message";
import { fromArrowSchema, toArrowSchema } from "../arrow.ts";
import type { StreamState } from "../batch.ts";
import type { Field, Schema } from "../wire/schema.ts";
import type { Flat, Layout } from "./layout.ts";

/** What a segment holds: the first message of each says so in its metadata, beside the stream's own. */
export interface SegmentHead {
  readonly stream: string;
  readonly epoch: number;
  /** Number of the segment's first row in stream and epoch. */
  readonly row: number;
  readonly derived: boolean;
  readonly schema: Schema;
  /** Of image columns that are recorded by reference: the field as it was, by column. */
  readonly references?: Readonly<Record<string, Field>>;
}

/** What a record batch says of itself: derived ones only their row, since nothing else may depend on how they came. */
export interface BatchHead {
  readonly epoch: number;
  readonly row: number;
  readonly watermark?: bigint;
  readonly state?: StreamState;
}

export const FORMAT_VERSION = "1";
const OURS = "operando.";
const PREFIX_BYTES = 8;
export const END_MARKER = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);
const PADDING = new Uint8Array(8);

export const padded = (length: number): number => (length + 7) & ~7;

function framed(header: Uint8Array): Uint8Array {
  const length = padded(header.length);
  const bytes = new Uint8Array(PREFIX_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, -1, true);
  view.setInt32(4, length, true);
  bytes.set(header, PREFIX_BYTES);
  return bytes;
}

export function schemaMessage(head: SegmentHead): Uint8Array {
  const { fields, metadata } = toArrowSchema(head.schema);
  const ours = new Map(metadata);
  ours.set(`${OURS}version`, FORMAT_VERSION);
  ours.set(`${OURS}stream`, head.stream);
  ours.set(`${OURS}epoch`, String(head.epoch));
  ours.set(`${OURS}row`, String(head.row));
  ours.set(`${OURS}derived`, String(head.derived));
  if (head.references) ours.set(`${OURS}references`, JSON.stringify(head.references));
  return framed(Message.encode(Message.from(new ArrowSchema(fields, ours))));
}

/** The parts of a record batch message, in the order in which they are written. Their lengths are multiples of 8 together. */
export function batchMessage({ rows, buffers }: Flat, layout: Layout, head: BatchHead): Uint8Array[] {
  const nodes: FieldNode[] = [];
  const regions: BufferRegion[] = [];
  const parts: Uint8Array[] = [];
  let at = 0;
  const none = (): void => void regions.push(new BufferRegion(at, 0));
  const add = (bytes: Uint8Array): void => {
    regions.push(new BufferRegion(at, bytes.length));
    if (bytes.length === 0) return;
    parts.push(bytes);
    const length = padded(bytes.length);
    if (length > bytes.length) parts.push(PADDING.subarray(0, length - bytes.length));
    at += length;
  };
  // No column has nulls, so each buffer of validity bits is empty.
  for (const { kind, width, bytes, buffer } of layout.columns) {
    nodes.push(new FieldNode(rows, 0));
    none();
    if (kind === "label" || kind === "curve") {
      add(buffers[buffer]!);
      const values = buffers[buffer + 1]!;
      if (kind === "curve") {
        nodes.push(new FieldNode(values.length / bytes, 0));
        none();
      }
      add(values);
    } else {
      if (kind === "image") {
        nodes.push(new FieldNode(rows * width, 0));
        none();
      }
      add(buffers[buffer]!);
    }
  }
  const metadata = new Map([["epoch", String(head.epoch)], ["row", String(head.row)]]); // prettier-ignore
  if (head.watermark !== undefined) metadata.set("watermark", String(head.watermark));
  if (head.state !== undefined) metadata.set("state", head.state);
  const header = new BatchHeader(rows, nodes, regions, null, [], metadata);
  return [framed(Message.encode(Message.from(header, at))), ...parts];
}

export type Found =
  | {
      readonly what: "schema" | "batch";
      readonly message: Message;
      readonly headerLength: number;
      readonly length: number;
    }
  | { readonly what: "end" }
  /** `length`: bytes that the message should have, where its header is whole. */
  | { readonly what: "torn"; readonly length?: number }
  | { readonly what: "nothing" };

/** Reads bytes of a file; fewer than asked for at its end. */
export type ReadBytes = (offset: number, length: number) => Uint8Array;

/** What stands at a position of a segment. Only the header of a message is read. */
export function messageAt(read: ReadBytes, offset: number, size: number): Found {
  const prefix = read(offset, PREFIX_BYTES);
  if (prefix.length < PREFIX_BYTES) return { what: prefix.some((byte) => byte !== 0) ? "torn" : "nothing" };
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  if (view.getInt32(0, true) !== -1) return { what: "nothing" };
  const length = view.getInt32(4, true);
  if (length === 0) return { what: "end" };
  if (length < 0 || length % 8 !== 0) return { what: "nothing" };
  const headerLength = PREFIX_BYTES + length;
  if (offset + headerLength > size) return { what: "torn" };
  try {
    const message = Message.decode(read(offset + PREFIX_BYTES, length).slice());
    const whole = headerLength + message.bodyLength;
    if (!(message.bodyLength >= 0) || message.bodyLength % 8 !== 0) return { what: "nothing" };
    if (offset + whole > size) return { what: "torn", length: whole };
    if (message.isSchema()) return { what: "schema", message, headerLength, length: whole };
    if (message.isRecordBatch()) return { what: "batch", message, headerLength, length: whole };
  } catch {
    // not a message: noise, or a header that was never written
  }
  return { what: "nothing" };
}

export function segmentHead(message: Message): SegmentHead {
  const arrow = message.header() as ArrowSchema;
  const metadata = new Map(arrow.metadata);
  const own = (key: string): string | undefined => {
    const value = metadata.get(OURS + key);
    metadata.delete(OURS + key);
    return value;
  };
  const version = own("version");
  if (version !== FORMAT_VERSION)
    throw new TypeError(`format version is ${version ?? "missing"}; this program reads ${FORMAT_VERSION}`);
  const head = {
    stream: own("stream") ?? "",
    epoch: Number(own("epoch")),
    row: Number(own("row")),
    derived: own("derived") === "true",
  };
  const references = own("references");
  const restored = fromArrowSchema(new ArrowSchema(arrow.fields, metadata));
  return references
    ? { ...head, schema: restored, references: JSON.parse(references) }
    : { ...head, schema: restored };
}

export function batchHead(message: Message): BatchHead & { rows: number } {
  const { metadata } = message;
  const watermark = metadata.get("watermark");
  const state = metadata.get("state") as StreamState | undefined;
  const rows = (message.header() as unknown as BatchHeader).length;
  return {
    rows,
    epoch: Number(metadata.get("epoch")),
    row: Number(metadata.get("row")),
    ...(watermark !== undefined && { watermark: BigInt(watermark) }),
    ...(state !== undefined && { state }),
  };
}

/** Where each buffer of `Flat` lies in the body. */
export function bodyRegions(message: Message, layout: Layout): BufferRegion[] {
  const all = (message.header() as unknown as BatchHeader).buffers;
  const regions: BufferRegion[] = [];
  let i = 0;
  for (const { kind } of layout.columns) {
    if (kind === "label") regions.push(all[i + 1]!, all[i + 2]!);
    else if (kind === "curve") regions.push(all[i + 1]!, all[i + 3]!);
    else regions.push(all[i + (kind === "image" ? 2 : 1)]!);
    i += { label: 3, curve: 4, image: 3, scalar: 2, code: 2 }[kind];
  }
  return regions;
}

/** The rows of a whole message. Values are views of `bytes`, which begins at a multiple of 8. */
export function decodeBatch(bytes: Uint8Array, layout: Layout): { head: BatchHead; flat: Flat } {
  const headerLength = PREFIX_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
  const message = Message.decode(bytes.subarray(PREFIX_BYTES, headerLength));
  const { rows, ...head } = batchHead(message);
  const body = bytes.subarray(headerLength);
  const buffers = bodyRegions(message, layout).map(({ offset, length }) =>
    body.subarray(offset, offset + length),
  );
  return { head, flat: { rows, buffers } };
}
