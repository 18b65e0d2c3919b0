/**
 * The wire: one WebSocket, sub-protocol operando.v1. Described for people, with an example client, in docs/protocol.md.
 *
 * A message of the server is a header of 64 bytes and a body. The header is a MessagePack array whose numbers are
 * written in their full width, so that it always has the same length: any MessagePack library reads the first
 * 64 bytes, each field has a fixed place, and the body begins at a multiple of 8. A message of the client is one
 * MessagePack map. This file also runs in the browser.
 */
import { Packr, Unpackr } from "msgpackr";
import type { Schema } from "./schema.ts";

export const SUB_PROTOCOL = "operando.v1";
export const PROTOCOL_VERSION = 1;
export const HEADER_BYTES = 64;

/** What a message of the server is. */
export const KIND = {
  welcome: 1,
  catalogue: 2,
  health: 3,
  pong: 4,
  error: 5,
  /** Begins an epoch of a subscription: what its messages hold from here on. */
  epoch: 6,
  schema: 7,
  rows: 8,
  minmax: 9,
  gap: 10,
  /** All that was asked for has been sent. */
  done: 11,
  /** Options that may be changed while the run goes on. */
  nodes: 12,
  /** The answer to an act. */
  acted: 13,
} as const;
export type KindName = keyof typeof KIND;
export type KindCode = (typeof KIND)[KindName];

/** How a body is written. */
export const ENCODING = { messagepack: 1, arrow: 2, minmax: 3 } as const;
export type EncodingCode = (typeof ENCODING)[keyof typeof ENCODING];

export const FLAG = {
  /** These rows were there before the subscription. */
  history: 1,
  /** This replaces all that was sent before. */
  reset: 2,
} as const;

export interface Header {
  readonly kind: KindCode;
  /** The client's number for it; 0 where the message belongs to none. */
  readonly subscription: number;
  readonly epoch: number;
  /** Of rows: number of the first. Of min/max: number of the first row not yet counted. */
  readonly row: bigint;
  /** ns; 0 where there are no rows. */
  readonly firstTime: bigint;
  readonly lastTime: bigint;
  readonly watermark: bigint;
  /** Rows of this subscription since its last message that will not be sent in any form. */
  readonly dropped: number;
  readonly encoding: EncodingCode;
  /** The server's clock, ms since 1970. */
  readonly sent_ms: number;
  readonly flags: number;
}

const [INT64, UINT32, FLOAT64] = [0xd3, 0xce, 0xcb]; // MessagePack's marks

export function encodeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const small = (value: number): void => view.setUint8(at++, value);
  const uint32 = (value: number): void => (
    small(UINT32),
    view.setUint32(at, Math.min(value, 0xffffffff)),
    void (at += 4)
  );
  const int64 = (value: bigint): void => (small(INT64), view.setBigInt64(at, value), void (at += 8));
  small(0x9b); // an array of eleven
  small(header.kind);
  uint32(header.subscription);
  uint32(header.epoch);
  int64(header.row);
  int64(header.firstTime);
  int64(header.lastTime);
  int64(header.watermark);
  uint32(header.dropped);
  small(header.encoding);
  small(FLOAT64);
  view.setFloat64(at, header.sent_ms);
  at += 8;
  small(header.flags);
  return bytes;
}

/** Reads the header at the start of a message. Throws RangeError where there is none. */
export function decodeHeader(message: Uint8Array): Header {
  if (
    message.byteLength < HEADER_BYTES ||
    message[0] !== 0x9b ||
    message[2] !== UINT32 ||
    message[54] !== FLOAT64
  ) {
    throw new RangeError(
      `a message of ${message.byteLength} bytes that does not begin with a header of ${SUB_PROTOCOL}`,
    );
  }
  const view = new DataView(message.buffer, message.byteOffset, HEADER_BYTES);
  return {
    kind: view.getUint8(1) as KindCode,
    subscription: view.getUint32(3),
    epoch: view.getUint32(8),
    row: view.getBigInt64(13),
    firstTime: view.getBigInt64(22),
    lastTime: view.getBigInt64(31),
    watermark: view.getBigInt64(40),
    dropped: view.getUint32(49),
    encoding: view.getUint8(53) as EncodingCode,
    sent_ms: view.getFloat64(55),
    flags: view.getUint8(63),
  };
}

/** A header for a message that belongs to no rows. */
export function plainHeader(kind: KindCode, sent_ms: number, rest: Partial<Header> = {}): Header {
  return {
    kind, subscription: 0, epoch: 0, row: 0n, firstTime: 0n, lastTime: 0n, watermark: 0n, dropped: 0,
    encoding: ENCODING.messagepack, sent_ms, flags: 0, ...rest,
  }; // prettier-ignore
}

export const bodyOf = (message: Uint8Array): Uint8Array => message.subarray(HEADER_BYTES);

/** Header and body as one message. */
export function joinMessage(header: Uint8Array, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(header.length + body.length);
  message.set(header);
  message.set(body, header.length);
  return message;
}

// Records and extensions are msgpackr's own; other languages read neither.
const packr = new Packr({ useRecords: false, variableMapSize: true });
// Numbers where they are exact, else bigints. (The types of msgpackr do not know "auto".)
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "auto" as "bigint" });

/** Plain MessagePack: nil, booleans, numbers, text, arrays, maps; bigints as int64. */
export function pack(value: unknown): Uint8Array {
  return packr.pack(plain(value));
}

export function unpack(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes);
}

function plain(value: unknown): unknown {
  if (value === undefined || typeof value === "function" || typeof value === "symbol") return null;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array, plain);
  if (Symbol.iterator in value && !(value instanceof Map))
    return Array.from(value as Iterable<unknown>, plain);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.filter(([, v]) => v !== undefined).map(([k, v]) => [k, plain(v)]));
}

/** A time or row number that came as an integer of any size, or as a float. */
export function toInt64(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isFinite(value) ? BigInt(Math.round(value)) : undefined;
}

// What the server says

export type Mode = "live" | "replay" | "simulated";

export interface Welcome {
  readonly version: number;
  /** Tells one run from another: positions of one mean nothing in the other. */
  readonly run: string;
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly mode: { readonly kind: Mode; readonly speed: number };
  /** True where what is measured is being written to disk. */
  readonly recording: boolean;
}

export type WireState = "active" | "idle" | "ended";

export interface StreamPosition {
  readonly stream: string;
  readonly epoch: number;
  readonly state: WireState;
  readonly rows: number;
  readonly firstTime: bigint | number | null;
  readonly lastTime: bigint | number | null;
  readonly watermark: bigint | number;
}

export interface CatalogueEntry extends StreamPosition {
  readonly schema: Schema;
  readonly derived: boolean;
  readonly provisional: boolean;
}

export interface Catalogue {
  /** True for the whole list, false for what is new or has changed. */
  readonly complete: boolean;
  readonly streams: readonly CatalogueEntry[];
}

/** What is counted for each stream. */
export interface StreamHealth {
  readonly stream: string;
  readonly rate_per_s: number;
  /** Event-time lag of the watermark behind the newest watermark of the run, s. */
  readonly lag_s: number;
  /** Stretches without rows, well beyond the interval that the stream keeps. */
  readonly gaps: number;
  /** Rows that were left out of views, over all clients; the record has them. */
  readonly drops: number;
  /** Times that an operator fell so far behind that it read on from the journal; no row is lost by it. */
  readonly spills: number;
  /** Rows that came after their time had been given up. */
  readonly late: number;
  /** Seconds from now until its next rows are due, as the source has learnt; negative when they are overdue. */
  readonly due_s?: number;
  readonly state: WireState | "parked";
}

export interface Health {
  readonly streams: readonly StreamHealth[];
  readonly positions: readonly StreamPosition[];
}

export interface Pong {
  readonly id: number;
  /** The server's clock when the ping came, ms since 1970. */
  readonly received_ms: number;
}

export interface WireError {
  /** For people. */
  readonly what: string;
}

/** An option that may be changed while the run goes on. */
export interface ChangeableOption {
  readonly option: string;
  readonly kind: "quantity" | "integer" | "text" | "flag" | "choice" | "list" | "record";
  /** Of a quantity: the unit of `value`. */
  readonly unit?: string;
  readonly choices?: readonly string[];
  readonly doc: string;
  /** How it is set now; NaN where it is not. */
  readonly value: unknown;
}

export interface ChangeableNode {
  readonly node: string;
  /** Name of its definition. */
  readonly use: string;
  readonly options: readonly ChangeableOption[];
}

/** All nodes that have such options; again each time that one has changed. */
export interface Nodes {
  readonly nodes: readonly ChangeableNode[];
}

/** Either of `time` and `refused` is there. */
export interface ActedMessage {
  /** The client's number for it. */
  readonly id: number;
  /** ns; from where on it holds. */
  readonly time?: bigint | number;
  /** Why it was not done, for people. */
  readonly refused?: string;
}

/** Begins an epoch of a subscription. */
export interface EpochMessage {
  readonly stream: string;
  readonly epoch: number;
  /** Of the columns that are sent. */
  readonly schema: Schema;
  /** Their names in the order of the min/max blocks. */
  readonly columns: readonly string[];
  /** Of min/max: width of a bucket, ns. */
  readonly width?: bigint | number;
}

export interface Gap {
  readonly reason: string;
  readonly epoch: number;
  /** Rows from … to - 1 are missing; both 0 where that is not known. */
  readonly from: number;
  readonly to: number;
}

// What the client says

export interface Position {
  readonly epoch: number;
  readonly row: number;
}

export interface SubscribeMessage {
  readonly verb: "subscribe";
  /** Any number that no open subscription of this connection has; 1 to 2³² - 1. */
  readonly id: number;
  readonly stream: string;
  /** Default: all; with maxPoints, all scalars and codes. */
  readonly columns?: readonly string[];
  /** ns since 1970; negative: so much before the newest row. */
  readonly from: bigint | number;
  /** ns, exclusive. */
  readonly to: bigint | number | "live";
  /** Min, max and count in at most so many buckets. */
  readonly maxPoints?: number;
  /** Every row. Without it and maxPoints: the newest row, others left out when they come too fast. */
  readonly lossless?: boolean;
  /** The last row that one has: goes on with the one after it. Lossless only. */
  readonly after?: Position;
}

export type ClientMessage =
  | { readonly verb: "hello"; readonly version: number; readonly token?: string }
  | SubscribeMessage
  | { readonly verb: "unsubscribe"; readonly id: number }
  | ActMessage
  | { readonly verb: "ping"; readonly id: number };

/** Sets options of a node. */
export interface ActMessage {
  readonly verb: "act";
  readonly id: number;
  readonly node: string;
  /** Values as in a pipeline file; null: what stands there. */
  readonly changes: Readonly<Record<string, unknown>>;
  /** Who does it, as they call themselves. */
  readonly by?: string;
}

/** Close codes of the WebSocket, beside those of RFC 6455. */
export const CLOSE = {
  /** The client said something that the protocol does not have. */
  protocol: 1002,
  /** The token is missing or wrong, or no hello came. */
  refused: 1008,
  /** The client takes less than it asks for; it may come back. */
  tooSlow: 1013,
  /** The run has ended here. */
  goingAway: 1001,
} as const;

/** Checks what a client sent. Throws TypeError with a sentence for the person who wrote the client. */
export function readClientMessage(bytes: Uint8Array): ClientMessage {
  let value: unknown;
  try {
    value = unpack(bytes);
  } catch (error) {
    throw new TypeError(`the message is not MessagePack: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("a message must be one MessagePack map with a key verb");
  }
  const given = value as Record<string, unknown>;
  const wrong = (key: string, wanted: string): never => {
    throw new TypeError(`${String(given["verb"])}: ${key} must be ${wanted}; got ${show(given[key])}`);
  };
  const whole = (key: string, least: number, most: number): number => {
    const number = given[key];
    return Number.isInteger(number) && (number as number) >= least && (number as number) <= most
      ? (number as number)
      : wrong(key, `a whole number from ${least} to ${most}`);
  };
  const has = (key: string): boolean => given[key] !== undefined && given[key] !== null;
  switch (given["verb"]) {
    case "hello":
      if (has("token") && typeof given["token"] !== "string") wrong("token", "text");
      return {
        verb: "hello",
        version: whole("version", 0, 1000),
        ...(has("token") && { token: given["token"] as string }),
      };
    case "unsubscribe":
    case "ping":
      return { verb: given["verb"], id: whole("id", 0, 0xffffffff) };
    case "subscribe": {
      const { stream, columns, lossless, after } = given;
      if (typeof stream !== "string" || stream === "")
        wrong("stream", "the name of a stream, such as cycler.echem");
      if (
        has("columns") &&
        !(Array.isArray(columns) && columns.length > 0 && columns.every((name) => typeof name === "string"))
      ) {
        wrong("columns", "a list of column names");
      }
      if (has("lossless") && typeof lossless !== "boolean") wrong("lossless", "true or false");
      if (lossless && has("maxPoints")) wrong("maxPoints", "left out where lossless is true");
      const from =
        toInt64(given["from"]) ??
        wrong("from", "a time in ns since 1970, or so many ns before the newest, negative");
      const to =
        given["to"] === "live"
          ? "live"
          : (toInt64(given["to"]) ?? wrong("to", 'a time in ns since 1970, or "live"'));
      const { epoch, row } = (after ?? {}) as Partial<Record<keyof Position, unknown>>;
      if (has("after") && !(Number.isInteger(epoch) && Number.isInteger(row) && lossless)) {
        wrong("after", "{ epoch, row }, with lossless");
      }
      return {
        verb: "subscribe", id: whole("id", 1, 0xffffffff), stream: stream as string, from: from as bigint, to: to as bigint | "live",
        ...(has("columns") && { columns: columns as string[] }),
        ...(has("maxPoints") && { maxPoints: whole("maxPoints", 2, 16_384) }),
        ...(has("lossless") && { lossless: lossless as boolean }),
        ...(has("after") && { after: { epoch: epoch as number, row: row as number } }),
      }; // prettier-ignore
    }
    case "act": {
      const { node, changes, by } = given;
      if (typeof node !== "string" || node === "") wrong("node", "the name of a node, such as slices");
      if (typeof changes !== "object" || changes === null || Array.isArray(changes))
        wrong("changes", "a map of options and their values");
      if (has("by") && typeof by !== "string") wrong("by", "text");
      return {
        verb: "act",
        id: whole("id", 0, 0xffffffff),
        node: node as string,
        changes: changes as Record<string, unknown>,
        ...(has("by") && { by: by as string }),
      };
    }
    default:
      throw new TypeError(
        `verb ${show(given["verb"])} is not known; there are hello, subscribe, unsubscribe, act and ping`,
      );
  }
}

function show(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  const text = JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v)) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
