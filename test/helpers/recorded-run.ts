/**
 * Writes a small run to the disk, as the recorder would.
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeBatch } from "../../runtime/batch.ts";
import type { Columns } from "../../runtime/columns.ts";
import { createRecorder, writeManifest } from "../../runtime/journal/index.ts";
import type { Schema } from "../../runtime/wire/schema.ts";

export interface RecordedPart {
  readonly stream: string;
  readonly epoch?: number;
  readonly derived?: boolean;
  readonly schema: Schema;
  readonly columns: Columns;
}

/** The run's directory. Parts of one stream in the order of their epochs. */
export async function recordedRun(
  parts: readonly RecordedPart[],
  manifest: { readonly origin: bigint; readonly [more: string]: unknown },
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "operando run "));
  await writeManifest(directory, {
    operando: "0.0.0",
    name: "test",
    started: "2026-11-22T10:15:00Z",
    ended: "2026-11-22T10:16:00Z",
    ending: "finished",
    ...manifest,
    origin: String(manifest.origin),
  });
  const recorder = await createRecorder({ directory, inThread: false });
  for (const { stream, epoch = 0, derived = false, schema, columns } of parts) {
    const watermark = (columns.time.at(-1) ?? 0n) + 1n;
    recorder.append(makeBatch({ stream, epoch, row: 0, columns, schema, watermark, state: "active" }), {
      derived,
    });
  }
  await recorder.close();
  return directory;
}
