/**
 * How fast the recorder writes, beside the disk's own sequential speed in the same run.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeBatch } from "../runtime/batch.ts";
import type { Columns } from "../runtime/columns.ts";
import { createRecorder } from "../runtime/journal/index.ts";
import { scalar, type Schema } from "../runtime/wire/schema.ts";
import { measured, type Measured } from "./measure.ts";

const COLUMNS = 9;
const ROWS = 1024;
/** Bytes of one row: its time and nine doubles. */
const ROW_BYTES = 8 * (1 + COLUMNS);
const BATCHES = 5000;
const RUNS = 5;
/** Rows handed over and not yet written, at most, as the graph's credit would have it. */
const CREDIT_BYTES = 32 * 1024 * 1024;

const names = Array.from({ length: COLUMNS }, (_, i) => `channel_${i}`);
const schema: Schema = { fields: Object.fromEntries(names.map((name) => [name, scalar("V")])), metadata: {} };

/** Rows at 100 kHz, made before the clock runs: BigInts are slow. The batches differ in their times alone. */
function batchesOf(): Columns[] {
  const values: Record<string, Float64Array> = {};
  for (const [i, name] of names.entries())
    values[name] = Float64Array.from({ length: ROWS }, (_, row) => Math.sin(row * (i + 1)) * 1e-3);
  const first = BigInt64Array.from({ length: ROWS }, (_, row) => BigInt(row) * 10_000n);
  return Array.from({ length: BATCHES }, (_, i) => ({
    ...values,
    time: first.map((t) => t + BigInt(i * ROWS) * 10_000n),
  }));
}

async function recordOnce(directory: string, derived: boolean, batches: readonly Columns[]): Promise<number> {
  const recorder = await createRecorder({ directory });
  let room: (() => void) | undefined;
  recorder.onAcknowledged(() => room?.());
  const began = performance.now();
  for (const [i, columns] of batches.entries()) {
    const watermark = columns.time[ROWS - 1]! + 1n;
    const batch = makeBatch({
      stream: "bench.traces",
      epoch: 0,
      row: i * ROWS,
      columns,
      schema,
      watermark,
      state: "active",
    });
    recorder.append(batch, { derived });
    while (recorder.pendingBytes > CREDIT_BYTES) await new Promise<void>((resolve) => (room = resolve));
  }
  await recorder.close();
  return (performance.now() - began) / 1000;
}

/** The same bytes, written one after the other and flushed at the end. */
function writeOnce(path: string): number {
  const block = Buffer.alloc(1024 * 1024, 1);
  const blocks = Math.ceil((BATCHES * ROWS * ROW_BYTES) / block.length);
  const began = performance.now();
  const file = openSync(path, "w");
  for (let i = 0; i < blocks; i++) writeSync(file, block);
  fdatasyncSync(file);
  closeSync(file);
  return (performance.now() - began) / 1000;
}

export async function benchRecorder(): Promise<Measured[]> {
  const folder = mkdtempSync(join(tmpdir(), "operando-bench-"));
  const batches = batchesOf();
  const seconds: Record<"source" | "derived" | "disk", number[]> = { source: [], derived: [], disk: [] };
  try {
    for (let run = 0; run < RUNS; run++) {
      for (const kind of ["source", "derived"] as const) {
        const directory = join(folder, `${kind}-${run}`);
        seconds[kind].push(await recordOnce(directory, kind === "derived", batches));
        rmSync(directory, { recursive: true });
      }
      const path = join(folder, `disk-${run}`);
      seconds.disk.push(writeOnce(path));
      rmSync(path);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const rows = BATCHES * ROWS;
  const megabytes = (rows * ROW_BYTES) / 1e6;
  const speeds = (kind: keyof typeof seconds, amount: number): number[] =>
    seconds[kind].map((s) => amount / s);
  const disk = speeds("disk", megabytes);
  return [
    measured("recorder, source stream, 9 columns x 1,024 rows", "rows/s", speeds("source", rows), {
      aim: 2e6,
    }),
    measured("recorder, source stream, beside the disk", "MB/s", speeds("source", megabytes), {
      baseline: disk,
      aim: 150,
    }),
    measured("recorder, derived stream, cut anew", "rows/s", speeds("derived", rows), { aim: 2e6 }),
    measured("recorder, derived stream, beside the disk", "MB/s", speeds("derived", megabytes), {
      baseline: disk,
      aim: 150,
    }),
    measured("disk, sequential write and fdatasync", "MB/s", disk),
  ];
}
