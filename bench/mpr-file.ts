/** A BioLogic `.mpr` as large as a long test's, on disk: galvanostatic cycling, EC-Lab 11.50's layout. */
import { closeSync, openSync, writeSync } from "node:fs";

/** GCPL's columns: flags, Ns, time, dq, (Q-Qo), control, Ewe, I Range, Q charge/discharge, half cycle, P. */
const IDS = [1, 2, 3, 21, 31, 65, 131, 4, 7, 13, 5, 6, 39, 467, 468, 70];
export const RECORD_BYTES = 1 + 2 + 8 + 8 + 8 + 4 + 4 + 2 + 8 + 4 + 4;
const FIRST = 1007, BLOCK = 4096; // prettier-ignore

/** The bytes before the first record, for that many of them. */
export function mprHead(rows: number): Buffer {
  const head = Buffer.alloc(52 + 65 + 0x600 + 65 + FIRST);
  head.write("BIO-LOGIC MODULAR FILE\x1a".padEnd(48), 0, "latin1");
  const module = (at: number, name: string, length: number, version: number): void => {
    head.write(`MODULE${name.padEnd(10)}${name.padEnd(25)}`, at, "latin1");
    for (const [i, word] of [0xffffffff, length, 0, version].entries())
      head.writeUInt32LE(word, at + 41 + 4 * i);
    head.write("05/28/25", at + 57, "latin1");
  };
  module(52, "VMP Set", 0x600, 10);
  head[52 + 65] = 4;
  const data = 52 + 65 + 0x600;
  module(data, "VMP data", FIRST + rows * RECORD_BYTES, 11);
  head.writeUInt32LE(rows, data + 65);
  head.writeUInt16LE(IDS.length, data + 65 + 4);
  IDS.forEach((id, i) => head.writeUInt16LE(id, data + 65 + 6 + 2 * i));
  return head;
}

/** Records `from` … `from + count`, `interval_s` apart. */
export function mprRecords(from: number, count: number, interval_s: number): Buffer {
  const bytes = Buffer.alloc(count * RECORD_BYTES);
  for (let i = 0, at = 0; i < count; i++, at += RECORD_BYTES) {
    const n = from + i;
    const charging = n % 20_000 < 10_000 ? 1 : -1;
    bytes[at] = 1;
    bytes.writeUInt16LE(n % 3, at + 1);
    bytes.writeDoubleLE((n + 1) * interval_s, at + 3);
    bytes.writeDoubleLE(charging * 1e-5, at + 11);
    bytes.writeDoubleLE(1e-5 * (n % 10_000), at + 19);
    bytes.writeFloatLE(charging, at + 27);
    bytes.writeFloatLE(3 + (n % 10_000) / 1e4, at + 31);
    bytes.writeUInt16LE(37, at + 35);
    bytes.writeDoubleLE(charging * 1e-5 * (n % 10_000), at + 37);
    bytes.writeUInt32LE(Math.floor(n / 10_000), at + 45);
    bytes.writeFloatLE(charging * 3e-3, at + 49);
  }
  return bytes;
}

export function writeMpr(path: string, rows: number): void {
  const file = openSync(path, "w");
  writeSync(file, mprHead(rows));
  for (let from = 0; from < rows; from += BLOCK) writeSync(file, mprRecords(from, Math.min(BLOCK, rows - from), 1)); // prettier-ignore
  closeSync(file);
}
