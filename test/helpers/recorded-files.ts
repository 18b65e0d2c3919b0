/**
 * What a recorded run holds: rows by stream, and the very bytes of what was derived.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { concat, type Columns } from "../../runtime/columns.ts";
import { openRun } from "../../runtime/journal/index.ts";

// oxlint-disable-next-line no-explicit-any
type Row = any;

/** All rows of a stream, of all its epochs; undefined where there are none. */
export async function columnsOf(directory: string, stream: string): Promise<Columns | undefined> {
  const run = await openRun(directory);
  try {
    if (!run.streams.some((known) => known.stream === stream)) return undefined;
    const batches: { columns: Columns; schema: Row }[] = [];
    for await (const batch of run.read(stream)) if (batch.columns.time.length > 0) batches.push(batch);
    return batches[0] && concat(batches.map(({ columns }) => columns), batches[0].schema.fields); // prettier-ignore
  } finally {
    await run.close();
  }
}

/** Columns of labels and plain numbers as one object a row. */
export async function rowsOf(directory: string, stream: string): Promise<Row[]> {
  const columns = await columnsOf(directory, stream);
  if (!columns) return [];
  return Array.from(columns.time, (_, i) =>
    Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, (values as Row)[i]])),
  );
}

export async function rowCounts(directory: string): Promise<Record<string, number>> {
  const run = await openRun(directory);
  await run.close();
  return Object.fromEntries(
    run.streams.map(({ stream, epochs }) => [stream, epochs.reduce((n, { rows }) => n + rows, 0)]),
  );
}

/** A hash of each file of the streams that operators derived: segments, indexes, levels. */
export async function derivedFiles(directory: string): Promise<Record<string, string>> {
  const run = await openRun(directory);
  await run.close();
  const hashes: Record<string, string> = {};
  for (const { stream, derived } of run.streams) {
    if (!derived) continue;
    for (const folder of [join("streams", encodeURIComponent(stream)), join("levels", encodeURIComponent(stream))]) {
      if (!existsSync(join(directory, folder))) continue;
      for (const entry of readdirSync(join(directory, folder), { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = join(entry.parentPath, entry.name);
        const name = file.slice(directory.length + 1);
        hashes[name] = createHash("sha256").update(readFileSync(file)).digest("hex");
      }
    }
  }
  return hashes;
} // prettier-ignore
