/**
 * What the formats of cyclers' files have in common: rows in the file's order, some thousands at a time, from a file
 * that may be growing. One decoder a file beside this one; formats.ts finds the right one by content, and file.ts
 * makes streams of its rows, follows it and goes on with the next.
 */
import { SourceError, type Column, type Fields } from "../../runtime/index.ts";
import type { FileReader } from "./file-reader.ts";

export type NumberArray =
  | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array; // prettier-ignore

/** Something that is not as it should be, and where: "byte 405", "line 12", "entry data.ndc". */
export interface Problem {
  readonly where: string;
  readonly what: string;
  /** Something the file holds could not be read. */
  readonly unread?: boolean;
  /** How many rows it concerns. */
  readonly count?: number;
}

/**
 * When test time 0 was. `face`: what a clock showed, ns, read as if it were UTC: local time without its zone.
 * `instant`: ns since 1970, UTC. `day`: the face of the midnight that began the day, where no more is known.
 */
export type Start =
  { readonly face: bigint } | { readonly instant: bigint } | { readonly day: bigint; readonly from: string };

export interface Opening {
  /** Absolute; for what must be opened by its name, and for names that carry meaning. Messages do not repeat it. */
  readonly path: string;
  /** Of any CSV: our column by what the file calls it. */
  readonly columns: Readonly<Record<string, string>>;
}

export interface EchemFormat {
  /** For messages: "BioLogic .mpr". */
  readonly name: string;
  /** True where the file begins so: `head` is its first 4 KiB, or all of a shorter one. */
  looks(head: Uint8Array): boolean;
  /** True where such a file is to be opened without being told how; absent: as `looks`. */
  claims?(head: Uint8Array, path: string): boolean;
  /** Written whole each time: when it has settled again it is read again. Others grow at their end. */
  readonly snapshot?: true;
  /** Reads the headers. Throws SourceError where no rows could be read either, and then holds nothing open. */
  open(file: FileReader, opening: Opening): Promise<EchemReader>;
}

/**
 * What is known of the file at a look. `growing`: more may come at any moment. `settled`: it has not changed between two
 * looks, `poll_every` apart. `closing`: nothing will come any more, so nothing is held back.
 */
export type Look = "growing" | "settled" | "closing";

export interface EchemReader {
  readonly instrument: string;
  /** "mpr" */
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly start: Start | undefined;
  /** Columns of the rows that come first; `test_time_second`, `voltage_volt` and `current_ampere` are among them. */
  readonly fields: Fields;
  /** Found in the headers. */
  readonly problems: readonly Problem[];
  /**
   * The rows that were not given yet and that are safe to read now. Which rows and which bits does not depend on how often it was
   * called, nor on when. Throws Rewritten where the file is not the one any more that was opened.
   */
  more(look: Look): AsyncIterable<Chunk>;
  /** As of the last `more`: the file says that nothing will follow. */
  readonly finished: boolean;
  /** Test time of the last row that is there; NaN where there is none. For placing a file that does not say its start. */
  lastTestTime_s(): Promise<number>;
  close?(): Promise<void>;
}

export interface Chunk {
  /** From here on the rows have these columns. */
  readonly fields?: Fields;
  readonly columns: Readonly<Record<string, Exclude<Column, BigInt64Array>>>;
  readonly rows: number;
  /** ns since 1970, UTC, of each row, where the file says it row by row; else start and test time tell. */
  readonly time?: BigInt64Array;
  /** Of its first row, for messages: "record 0", "line 83". */
  readonly where: string;
  readonly problems?: readonly Problem[];
}

/** The file was written anew since it was opened: it must be opened again. */
export class Rewritten extends SourceError {}

/** Rows of a chunk: enough that a batch costs little, few enough to stay in the cache. */
export const ROWS_AT_A_TIME = 8192;

/** Columns that every reader has, and that no vendor's column may be called. */
export const TAKEN: ReadonlySet<string> = new Set([
  "time", "seconds", "length", "at", "columns", "test_time_second", "voltage_volt", "current_ampere", "cycle_count", "step_count",
]); // prettier-ignore

/** A vendor's column name as ours: "Charge Capacity (Ah)" to "charge_capacity"; never one of those that mean something else. */
export function plainName(vendor: string, taken: ReadonlySet<string> = TAKEN): string {
  const plain = vendor
    .replace(/[([/].*$/, "")
    .normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, ""); // prettier-ignore
  const name = /^[a-z]/.test(plain) ? plain : `column_${plain || "unnamed"}`;
  return taken.has(name) ? `vendor_${name}` : name;
}
