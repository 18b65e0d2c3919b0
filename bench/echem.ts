/**
 * Cyclers' files: rows per second of the decoders, through the source as a run would have them, and how long it takes from
 * bytes that can be seen to a row at its reader. Baseline of `.mpr`: a plain walk over the file's bytes in a Buffer, number by number.
 */
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Columns, SourceItem } from "../runtime/index.ts";
import { echemFile } from "../sources/index.ts";
import { measured, type Measured } from "./measure.ts";
import { cycledNdax, ndaxBytes } from "./ndax-file.ts";
import { mprHead, mprRecords, RECORD_BYTES, writeMpr } from "./mpr-file.ts";

const ROWS = 1_000_000;
const RUNS = 7;
const NDAX_ROWS = 700_000;
/** d-cogswell/NewareNDA takes 7.7 s for 699,677 rows, on its author's machine. */
const PEER_ROWS_PER_S = 699_677 / 7.7;

function open(path: string, rest: { follow?: boolean; signal?: AbortSignal } = {}): AsyncIterable<SourceItem> {
  const config = { path, follow: rest.follow ?? false, poll_every: 1, ends_after: 0, columns: {} };
  const signal = rest.signal ?? new AbortController().signal;
  return echemFile.open(config, { signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: "/" }) as AsyncIterable<SourceItem>;
} // prettier-ignore

async function rowsPerSecond(path: string): Promise<number> {
  const begin = performance.now();
  let rows = 0;
  for await (const item of open(path))
    rows += (item.rows?.["echem"] as Columns | undefined)?.time.length ?? 0;
  return rows / ((performance.now() - begin) / 1000);
}

/** What one would write first: each record in turn, each number by its own call. */
function plainWalk(path: string): number {
  const begin = performance.now();
  const bytes = readFileSync(path);
  const first = mprHead(ROWS).length;
  const columns = Array.from({ length: 10 }, () => new Float64Array(ROWS));
  for (let i = 0, at = first; i < ROWS; i++, at += RECORD_BYTES) {
    columns[0]![i] = bytes.readUInt8(at);
    columns[1]![i] = bytes.readUInt16LE(at + 1);
    columns[2]![i] = bytes.readDoubleLE(at + 3);
    columns[3]![i] = bytes.readDoubleLE(at + 11);
    columns[4]![i] = bytes.readDoubleLE(at + 19);
    columns[5]![i] = bytes.readFloatLE(at + 27);
    columns[6]![i] = bytes.readFloatLE(at + 31);
    columns[7]![i] = bytes.readUInt16LE(at + 35);
    columns[8]![i] = bytes.readDoubleLE(at + 37);
    columns[9]![i] = bytes.readUInt32LE(at + 45);
  }
  return ROWS / ((performance.now() - begin) / 1000);
}

/**
 * A file appended a thousand times a second: ms from the write of each record but the last to its row, by quantile.
 * It is followed by the name `through`.
 */
async function following(path: string, seconds: number, through = path): Promise<{ median: number; p99: number; rows: number; lost: number }> {
  const file = openSync(path, "w");
  const head = mprHead(0);
  writeSync(file, head);
  const stop = new AbortController();
  const written: number[] = [];
  const waits: number[] = [];
  const wanted = seconds * 1000;
  const count = Buffer.alloc(4);
  const countAt = head.length - 1007;
  const writer = setInterval(() => {
    const due = Math.min(wanted, Math.floor(performance.now() - begin));
    while (written.length < due) {
      writeSync(file, mprRecords(written.length, 1, 0.001), 0, RECORD_BYTES, head.length + written.length * RECORD_BYTES);
      written.push(performance.now());
      count.writeUInt32LE(written.length);
      writeSync(file, count, 0, 4, countAt);
    }
  }, 1);
  const begin = performance.now();
  let rows = 0;
  let wrong = 0;
  for await (const item of open(through, { follow: true, signal: stop.signal })) {
    const columns = item.rows?.["echem"] as Columns | undefined;
    const now = performance.now();
    for (const s of (columns?.["test_time_second"] as Float64Array | undefined) ?? []) {
      if (Math.round(s * 1000) !== ++rows) wrong++;
      // The last record is held back until the next is there.
      waits.push(now - (written[rows] ?? now));
    }
    if (rows >= wanted - 1) stop.abort();
  }
  clearInterval(writer);
  waits.sort((a, b) => a - b);
  return { median: waits[waits.length >> 1]!, p99: waits[Math.floor(0.99 * waits.length)]!, rows, lost: wrong };
} // prettier-ignore

export async function benchEchem(): Promise<Measured[]> {
  const folder = mkdtempSync(join(tmpdir(), "operando bench "));
  try {
    const mpr = join(folder, "long.mpr");
    writeMpr(mpr, ROWS);
    const [ours, plain]: [number[], number[]] = [[], []];
    await rowsPerSecond(mpr);
    for (let i = 0; i < RUNS; i++) {
      ours.push(await rowsPerSecond(mpr));
      plain.push(plainWalk(mpr));
    }
    const ndax = join(folder, "long.ndax");
    writeFileSync(ndax, ndaxBytes(cycledNdax(14, NDAX_ROWS)));
    const zipped: number[] = [];
    for (let i = 0; i < RUNS; i++) zipped.push(await rowsPerSecond(ndax));
    const seconds = Number(process.env["OPERANDO_BENCH_SECONDS"] ?? 5);
    const waits = await following(join(folder, "growing.mpr"), seconds);
    // The system tells of changes in a link's own folder alone: it is found out by looking, as on a network share.
    mkdirSync(join(folder, "share"));
    const linked = join(folder, "share", "growing.mpr");
    symlinkSync(join(folder, "again.mpr"), linked);
    const polled = await following(join(folder, "again.mpr"), seconds, linked);
    const lost = waits.lost + polled.lost;
    if (lost > 0) throw new Error(`${lost} rows were missed or came twice`);
    return [
      measured(".mpr, 16 columns, rows through the source", "1/s", ours, { baseline: plain, aim: 5e6 }),
      measured(".ndax version 14, rows through the source", "1/s", zipped, { aim: 1e6, beside: { "best public reader": PEER_ROWS_PER_S } }),
      measured(".mpr appended at 1 kHz, from bytes visible to row, p99", "ms", [waits.p99], { aim: 100, beside: { median: waits.median } }),
      measured("the same where no change is told, as on a share: looked at every second, p99", "ms", [polled.p99], { aim: 3000, beside: { median: polled.median } }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
} // prettier-ignore
