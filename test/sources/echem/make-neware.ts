/** Neware's files with a known answer, byte by byte: every layout of `.nda`, and `.ndc` of versions 2 and 5. */
import { ndcBytes, zipped } from "../../../bench/ndax-file.ts";

export type Layout = 8 | 22 | 26 | 29 | "9.0" | "9.1";

/** Numbers as they stand in the file: counts of 0.1 mV, and of the current at its range. */
export interface MadeRow {
  readonly index: number;
  /** From 1. */
  readonly cycle: number;
  readonly step: number;
  /** Counter of steps, of those layouts that have one. */
  readonly counter: number;
  readonly status: number;
  readonly time_ms: number;
  readonly voltage: number;
  readonly current: number;
  readonly range: number;
  readonly sums: readonly [charge: number, discharge: number, chargeEnergy: number, dischargeEnergy: number];
  readonly unix_s: number;
  /** Readings that follow the row. */
  readonly readings?: readonly { channel: number; voltage: number; temperature: number; index?: number }[];
}

/** A charge, a rest and a discharge, three times, with so many rows each. */
export function madeRows(each: number): MadeRow[] {
  const rows: MadeRow[] = [];
  for (let step = 0; step < 9; step++)
    for (let i = 0; i < each; i++) {
      const status = [1, 4, 2][step % 3]!;
      const current = status === 4 ? 0 : status === 1 ? 1234 : -1234;
      const moved = Math.abs(current) * 10 * i;
      rows.push({
        index: rows.length + 1, cycle: 1 + Math.floor(step / 3), step: 1 + (step % 3), counter: 1 + step, status,
        time_ms: 10_000 * i, voltage: 32_000 + 100 * step + i, current, range: 100,
        sums: status === 1 ? [moved, 0, 3 * moved, 0] : [0, moved, 0, 3 * moved],
        unix_s: 1_760_000_000 + 10 * (step * (each - 1) + i),
      }); // prettier-ignore
    }
  return rows;
}

const date = (view: DataView, at: number, unix_s: number): void => {
  const face = new Date(unix_s * 1000);
  view.setUint16(at, face.getUTCFullYear(), true);
  [face.getUTCMonth() + 1, face.getUTCDate(), face.getUTCHours(), face.getUTCMinutes(), face.getUTCSeconds()].forEach((of, i) => view.setUint8(at + 2 + i, of)); // prettier-ignore
};
const i64 = (view: DataView, at: number, value: number): void => view.setBigInt64(at, BigInt(Math.round(value)), true); // prettier-ignore

const record = (length: number, write: (view: DataView) => void): Uint8Array => {
  const view = new DataView(new ArrayBuffer(length));
  write(view);
  return new Uint8Array(view.buffer);
};

const RECORD_91 = 64;
const HEAD_91 = [0x55, 0x06];

function rowOf(layout: Layout, row: MadeRow, total_ms: number): Uint8Array {
  const { index, cycle, step, counter, status, time_ms, voltage, current, range, sums, unix_s } = row;
  if (layout === 8)
    return record(59, (view) => {
      view.setUint32(1, index, true);
      view.setUint32(5, cycle, true);
      view.setUint8(9, step);
      view.setUint8(10, status);
      view.setUint32(11, time_ms / 1000, true);
      view.setInt32(15, voltage, true);
      view.setInt32(19, current, true);
      i64(view, 31, sums[0] + sums[1]);
      i64(view, 39, sums[2] + sums[3]);
      i64(view, 47, unix_s);
      view.setUint32(55, 0xdeadbeef, true);
    });
  if (layout === "9.0")
    return record(88, (view) => {
      [0x12, 0x50, 0, 7, 0x55, 0x81, 1, 6].forEach((byte, i) => view.setUint8(i, byte));
      view.setUint8(9, step);
      view.setUint8(10, status);
      view.setUint32(16, index, true);
      i64(view, 28, time_ms * 1000);
      view.setFloat32(36, voltage / 10_000, true);
      view.setFloat32(40, current / 100, true);
      view.setFloat32(52, sums[0] / 100, true);
      view.setFloat32(56, sums[2] / 100, true);
      view.setFloat32(60, -sums[1] / 100, true);
      view.setFloat32(64, -sums[3] / 100, true);
      i64(view, 68, unix_s * 1e6 + 250);
    });
  if (layout === "9.1")
    return record(RECORD_91, (view) => {
      HEAD_91.forEach((byte, i) => view.setUint8(i, byte));
      view.setUint8(2, step);
      view.setUint8(3, status);
      view.setUint32(8, index, true);
      view.setUint32(12, Math.floor(total_ms / 1000), true);
      view.setUint32(16, (total_ms % 1000) * 1e6, true);
      view.setFloat32(20, current / 100, true);
      view.setFloat32(24, voltage / 10_000, true);
      view.setFloat32(28, (sums[0] - sums[1]) / 100, true);
      view.setFloat32(32, (sums[2] - sums[3]) / 100, true);
      view.setUint32(36, cycle - 1, true);
      view.setUint32(44, unix_s, true);
      view.setUint32(48, 250_000, true);
      view.setFloat32(52, 25 + index / 64, true);
    });
  return record(86, (view) => {
    view.setUint8(0, 0x55);
    view.setUint32(2, index, true);
    view.setUint32(6, cycle - 1, true);
    view.setUint16(10, step, true);
    view.setUint8(12, status);
    view.setUint8(13, counter & 255);
    i64(view, 14, time_ms);
    view.setInt32(22, voltage, true);
    view.setInt32(26, current, true);
    sums.forEach((sum, i) => i64(view, 38 + 8 * i, sum));
    if (layout === 22) i64(view, 70, unix_s);
    else date(view, 70, unix_s);
    view.setInt32(78, range, true);
  });
}

const readingOf = (layout: Layout, { channel, voltage, temperature, index }: { channel: number; voltage: number; temperature: number; index: number }): Uint8Array => {
  const before = layout === "9.0" ? 4 : 0;
  return record(before ? 88 : 86, (view) => {
    view.setUint8(before, 0x65);
    view.setUint8(before + 1, channel);
    view.setUint32(before + 2, index, true);
    view.setInt32(before + 22, voltage, true);
    view.setInt16(before + 34, temperature, true);
  });
}; // prettier-ignore

const logOf = (layout: Layout, index: number): Uint8Array[] => {
  if (layout === "9.0" || layout === "9.1") return [];
  return [record(layout === 8 ? 59 : 86, (view) => {
    view.setUint8(0, layout === 8 ? 0xff : 0xaa);
    view.setUint32(layout === 8 ? 1 : 2, index, true);
  })]; // prettier-ignore
};

const VERSION: Readonly<Record<Layout, number>> = { 8: 8, 22: 22, 26: 26, 29: 29, "9.0": 130, "9.1": 130 };

export interface MadeNda {
  readonly header: Uint8Array;
  /** Of rows, readings and log. */
  readonly records: readonly Uint8Array[];
  readonly footer: Uint8Array;
}

export function madeNda(layout: Layout, rows: readonly MadeRow[]): MadeNda {
  const is130 = VERSION[layout] === 130;
  const header = new Uint8Array(is130 ? 1024 : 3001);
  header.set(Buffer.from("NEWARE20260101"));
  header[14] = VERSION[layout];
  const text = (at: number, what: string): void => header.set(Buffer.from(what), at);
  if (is130) text(258, "9.1.5.7.20240403.R5");
  else text(2000, "BTSServer(R3)-7.6.0.301 (2018.07.30)");
  if (layout === 29) new DataView(header.buffer).setUint32(152, 12_500, true);
  const records: Uint8Array[] = [...logOf(layout, 1)];
  let [base_ms, last_ms] = [0, 0];
  rows.forEach((row, i) => {
    if (row.time_ms < last_ms) base_ms += last_ms;
    last_ms = row.time_ms;
    if (i === Math.floor(rows.length / 2)) records.push(...logOf(layout, 2));
    records.push(rowOf(layout, row, base_ms + row.time_ms));
    if (layout !== "9.1" && layout !== 8)
      for (const reading of row.readings ?? [])
        records.push(readingOf(layout, { index: row.index, ...reading }));
  });
  const about = Buffer.concat([
    Buffer.from("0600f01d8100030061907190027fff00", "hex"),
    Buffer.alloc(491 + 8),
  ]);
  about.writeDoubleLE(12.5, 16 + 491);
  about.write("test", 16 + 363);
  // As in a file of an instrument; then 200 bytes of which nothing is known here.
  const footer = is130 ? Buffer.concat([Buffer.from("81000807130010939712129793100100", "hex"), Buffer.alloc(200), about]) : Buffer.alloc(0); // prettier-ignore
  return { header, records, footer };
}

export const ndaBytes = ({ header, records, footer }: MadeNda): Buffer => Buffer.concat([header, ...records, footer]); // prettier-ignore

/** An archive of version 2 or 5, with an auxiliary channel 1. */
export function madeOldNdax(version: 2 | 5, rows: readonly MadeRow[], others: Readonly<Record<string, string>> = {}): Uint8Array {
  const before = version === 2 ? 8 : 1;
  const write = (view: DataView, at: number, i: number): void => {
    const { index, cycle, step, status, time_ms, voltage, current, range, sums, unix_s } = rows[i]!;
    const from = at + before;
    view.setUint32(from, index, true);
    view.setUint32(from + 4, cycle - 1, true);
    view.setUint8(from + 8, step);
    view.setUint8(from + 9, status);
    i64(view, from + 15, time_ms);
    view.setInt32(from + 23, voltage, true);
    view.setInt32(from + 27, current, true);
    sums.forEach((sum, n) => i64(view, from + 35 + 8 * n, sum));
    date(view, from + 67, unix_s);
    view.setInt32(from + 74, range, true);
  };
  const reading = (view: DataView, at: number, i: number): void => {
    view.setUint32(at + before, rows[i]!.index, true);
    view.setInt16(at + before + 33, 250 + i, true);
  };
  return zipped({
    "data.ndc": ndcBytes(version, 1, before + 86, rows.length, write),
    "20260101_1.ndc": ndcBytes(version, 5, before + 86, rows.length, reading),
    ...others,
  });
} // prettier-ignore
