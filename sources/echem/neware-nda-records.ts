/** Where the records of an `.nda` begin, and what each of them is. */
import { SourceError } from "../../runtime/index.ts";
import { NDA_130_90, NDA_22, NDA_29, NDA_8, nda130of91, type RecordLayout } from "./neware-records.ts";

const BEGIN = 16;
export const DATA_130 = 1024;
const SHORTEST_91 = 52, LONGEST_91 = 512, INDEX_91 = 8, MOST_SKIPPED_91 = 1000; // prettier-ignore

/** `empty`: nothing was written there yet. `end`: from here on there are no records. */
export type Kind = "row" | "reading" | "log" | "empty" | "end" | "unknown";

export interface Records {
  readonly at: number;
  readonly layout: RecordLayout;
  kind(bytes: Uint8Array, at: number): Kind;
  /** Byte of a record from which an auxiliary reading counts. */
  readonly readingAt: number;
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Columns before the first record tells which there are. */
export const layoutOf = (version: number): RecordLayout =>
  version === 8 ? NDA_8
  : version === 22 ? NDA_22
  : version === 130 ? nda130of91(SHORTEST_91)
  : NDA_29; // prettier-ignore

/** Undefined where the file has no record yet. `isWhole`: nothing more will come. */
export const findRecords = (version: number, bytes: Uint8Array, isWhole: boolean): Records | undefined =>
  version === 130 ? records130(bytes, isWhole) : recordsOf(version, bytes, isWhole);

const ROW = 0x55, READING = 0x65, LOG = 0xaa, LOG_8 = 0xff; // prettier-ignore

/** Of versions 8 to 29: the first record has index 1, and another of a known kind follows it. */
function recordsOf(version: number, bytes: Uint8Array, isWhole: boolean): Records | undefined {
  const layout = layoutOf(version);
  const index = version === 8 ? 1 : 2;
  const first = version === 8 ? [0, LOG_8] : [ROW, READING, LOG];
  const view = viewOf(bytes);
  const kind = version === 8 ? kind8 : kind22;
  for (let at = BEGIN; at + layout.bytes <= bytes.length; at++) {
    if (bytes[at + index] !== 1 || !first.includes(bytes[at]!)) continue;
    if (view.getUint32(at + index, true) !== 1 || (index === 2 && bytes[at + 1] !== 0)) continue;
    if (!isPlausible(version, view, at)) continue;
    const next = at + layout.bytes;
    if (next + layout.bytes > bytes.length) {
      if (!isWhole) return undefined; // what follows will tell
    } else {
      const follows = kind(bytes, next);
      if (follows === "unknown") continue;
      if (follows === "empty" && !isWhole) return undefined; // half of the record may be there
      if (follows === "row" && view.getUint32(next + index, true) > 2) continue;
      if (follows === "row" && !isPlausible(version, view, next)) continue;
    }
    return { at, layout, kind, readingAt: 0 };
  }
  return undefined;
}

/** A record that has a step type, and a time that no test lasts beyond. */
function isPlausible(version: number, view: DataView, at: number): boolean {
  if (version === 8) {
    if (view.getUint8(at) !== 0) return true;
    const status = view.getUint8(at + 10);
    return status > 0 && status < 32 && view.getUint32(at + 51, true) === 0;
  }
  if (view.getUint8(at) !== ROW) return view.getUint32(at + 82, true) === 0;
  const status = view.getUint8(at + 12);
  return status > 0 && status < 32 && view.getUint16(at + 20, true) === 0 && view.getUint32(at + 82, true) === 0;
} // prettier-ignore

function kind8(bytes: Uint8Array, at: number): Kind {
  if (bytes[at] === LOG_8) return "log";
  if (bytes[at] !== 0) return "unknown";
  return bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3] === 0 && bytes[at + 4] === 0 ? "empty" : "row"; // prettier-ignore
}

function kind22(bytes: Uint8Array, at: number): Kind {
  switch (bytes[at]) {
    case ROW: return "row";
    case READING: return "reading";
    case LOG: return "log";
    case 0: return "empty";
    default: return "unknown";
  } // prettier-ignore
}

/** The footer of version 130 begins with 0x81; 0x06 begins the part of it that has the mass, which may be the first. */
const otherOf = (bytes: Uint8Array, at: number): Kind =>
  bytes[at] === 0x81 || (bytes[at] === 0x06 && bytes[at + 2] === 0xf0) ? "end" : "unknown";

function records130(bytes: Uint8Array, isWhole: boolean): Records | undefined {
  if (bytes.length <= DATA_130) return undefined;
  const [a, b] = [bytes[DATA_130]!, bytes[DATA_130 + 1]!];
  if (a === ROW) {
    // The next record begins by the same two bytes, which may stand in a number, too, and has a higher index; without one, the
    // length is not known yet.
    if (bytes.length < DATA_130 + SHORTEST_91) return undefined;
    const view = viewOf(bytes);
    const first = view.getUint32(DATA_130 + INDEX_91, true);
    const end = Math.min(bytes.length - INDEX_91 - 3, DATA_130 + LONGEST_91 + 1);
    for (let at = DATA_130 + SHORTEST_91; at < end; at++) {
      if (bytes[at] !== a || bytes[at + 1] !== b) continue;
      const skipped = view.getUint32(at + INDEX_91, true) - first;
      if (skipped < 1 || skipped > MOST_SKIPPED_91) continue;
      const layout = nda130of91(at - DATA_130);
      const kind = (all: Uint8Array, i: number): Kind =>
        all[i] === a && all[i + 1] === b ? "row" : all[i] === 0 && all[i + 1] === 0 ? "empty" : otherOf(all, i);
      return { at: DATA_130, layout, kind, readingAt: 0 };
    }
    return undefined;
  }
  if (a === 0 && !isWhole) return undefined;
  if (a === 0x12) {
    const next = DATA_130 + NDA_130_90.bytes;
    if (!isWhole && (bytes[next] !== a || bytes[next + 1] !== b)) {
      // Readings begin with zeros.
      if (bytes[next + 4] !== READING || b === 0) return undefined;
    }
    const kind = (all: Uint8Array, i: number): Kind => {
      const isRecord = all[i] === a && all[i + 1] === b;
      if (isRecord) return all[i + 4] === ROW ? "row" : all[i + 4] === READING ? "reading" : "log";
      if (all[i] !== 0) return otherOf(all, i);
      return all[i + 4] === READING ? "reading" : "empty";
    };
    return { at: DATA_130, layout: NDA_130_90, kind, readingAt: 4 };
  }
  throw new SourceError(`byte ${DATA_130}: begins its records with 0x${a.toString(16).padStart(2, "0")}; version 130 is known with 0x12 (BTS 9.0) and 0x55 (BTS 9.1): please send us such a file`); // prettier-ignore
} // prettier-ignore
