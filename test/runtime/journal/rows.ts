/**
 * Rows to record: of each kind of column one, all made from the row's number, so that what is read back can be known.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { BEGIN_OF_TIME, makeBatch, type Batch } from "../../../runtime/batch.ts";
import { concat, slice, type Columns } from "../../../runtime/columns.ts";
import { writeManifest, type Recorder } from "../../../runtime/journal/index.ts";
import { code, curve, image, label, scalar, type Fields, type Schema } from "../../../runtime/wire/schema.ts";

export const SECOND = 1_000_000_000n;
export const ORIGIN = 1_700_000_000n * SECOND + 123_456_789n;

export const FIELDS: Fields = {
  voltage: scalar("V", { long_name: "cell voltage", uncertainty: "voltage_se" }),
  small: scalar("K", { type: "f32" }),
  i8: scalar("1", { type: "i8" }),
  u8: scalar("1", { type: "u8" }),
  i16: scalar("1", { type: "i16" }),
  u16: scalar("1", { type: "u16" }),
  u32: scalar("1", { type: "u32" }),
  i64: scalar("ns", { type: "i64" }),
  step: code({ codes: { 0: "rest", 1: "charge" } }),
  frame: image("{count}", { type: "u16", shape: [2, 3] }),
  force: curve("nN"),
  segment: curve("", { type: "u8" }),
  note: label({ doc: "what was said" }),
};
export const EVERY_KIND: Schema = { fields: FIELDS, metadata: { spring_constant: "0.1", zone: "assumed" } };
export const PLAIN: Schema = { fields: { voltage: scalar("V"), current: scalar("A") }, metadata: {} };

/** One row every 10 ms; every seventh voltage is missing. */
export const timeOf = (row: number): bigint => ORIGIN + BigInt(row) * 10_000_000n;
const voltage = (row: number): number => (row % 7 === 3 ? NaN : Math.sin(row) * 4);

export function plainRows(from: number, to: number): Columns {
  const row = (_: unknown, i: number): number => from + i;
  const rows = Array.from({ length: to - from }, row);
  return {
    time: BigInt64Array.from(rows, timeOf),
    voltage: Float64Array.from(rows, voltage),
    current: Float64Array.from(rows, (r) => r),
  };
}

export function everyKind(from: number, to: number): Columns {
  const rows = Array.from({ length: to - from }, (_, i) => from + i);
  const lengths = rows.map((r) => (r * 5) % 4);
  const offsets = Int32Array.from([
    0,
    ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0)),
  ]);
  const points = rows.flatMap((r, i) => Array.from({ length: lengths[i]! }, (_, j) => r + j / 8));
  return {
    time: BigInt64Array.from(rows, timeOf),
    voltage: Float64Array.from(rows, voltage),
    small: Float32Array.from(rows, (r) => r / 3),
    i8: Int8Array.from(rows, (r) => -r),
    u8: Uint8Array.from(rows),
    i16: Int16Array.from(rows, (r) => -r),
    u16: Uint16Array.from(rows),
    u32: Uint32Array.from(rows, (r) => 4_000_000_000 + r),
    i64: BigInt64Array.from(rows, (r) => 2n ** 60n + BigInt(r)),
    step: Int32Array.from(rows, (r) => r % 2),
    frame: Uint16Array.from({ length: 6 * rows.length }, (_, i) => from * 6 + i),
    force: { values: Float64Array.from(points), offsets },
    segment: { values: Uint8Array.from(points), offsets },
    note: rows.map((r) => ["", "größer", "σ-Phase 🔋", `row ${r}`][r % 4]!),
  };
}

/** Cuts rows into batches of a stream; each promises the time of its last row. */
export function batches(
  stream: string,
  columns: Columns,
  schema: Schema,
  cuts: readonly number[],
  epoch = 0,
): Batch[] {
  const edges = [0, ...cuts, columns.time.length];
  return edges.slice(1).map((to, i) => {
    const rows = slice(columns, schema.fields, edges[i]!, to);
    const watermark = to > 0 ? columns.time[to - 1]! : BEGIN_OF_TIME;
    return makeBatch({ stream, epoch, row: edges[i]!, columns: rows, schema, watermark, state: "active" });
  });
}

export function appendAll(recorder: Recorder, all: readonly Batch[], how: { derived: boolean }): void {
  for (const batch of all) recorder.append(batch, how);
}

export async function all(read: AsyncIterable<Batch>): Promise<Batch[]> {
  const found: Batch[] = [];
  for await (const batch of read) found.push(batch);
  return found;
}

/** All rows as one set of columns, without what a slice of a larger buffer would show beside them. */
export async function joined(read: AsyncIterable<Batch>, schema: Schema): Promise<Columns> {
  const found = (await all(read))
    .filter(({ columns }) => columns.time.length > 0)
    .map(({ columns }) => columns);
  return found.length === 1
    ? concat([found[0]!, slice(found[0]!, schema.fields, 0, 0)], schema.fields)
    : concat(found, schema.fields);
}

/** Every file below a folder, by its path in it. */
export function filesBelow(folder: string, below = ""): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(join(folder, below)).sort()) {
    const path = join(below, name);
    if (statSync(join(folder, path)).isDirectory())
      for (const [inner, bytes] of filesBelow(folder, path)) files.set(inner, bytes);
    else files.set(path, readFileSync(join(folder, path)));
  }
  return files;
}

const folders: string[] = [];
export function newFolder(): string {
  // A space and an umlaut: paths are what users have.
  const folder = mkdtempSync(join(tmpdir(), "operando läuft "));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export const manifest = (directory: string): Promise<void> =>
  writeManifest(directory, {
    operando: "0.1.0",
    name: "test",
    origin: String(ORIGIN),
    started: "2026-11-22T10:15:00Z",
  });
