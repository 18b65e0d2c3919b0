import { SourceError, type SourceContext, type SourceItem } from "../../runtime/index.ts";
import { Rewritten } from "./echem-file.ts";
import { fileReader, type FileReader } from "./file-reader.ts";
import { openEchem } from "./formats.ts";
import type { RowStream } from "./row-stream.ts";

/** A file as it stands now, from its first row to its last. `name` is what messages call it. */
export async function* readWhole(
  full: string,
  name: string,
  rows: RowStream,
  columns: Readonly<Record<string, string>>,
  context: SourceContext,
): AsyncGenerator<SourceItem> {
  const file = fileReader(full, context.signal);
  const { reader } = await named(name, () => openEchem(file, { path: full, columns }));
  try {
    const last_s = await reader.lastTestTime_s();
    const { modified } = await file.state();
    yield* namedItems(name, rows.begin(name, reader, { modified, last_s }));
    for await (const chunk of reader.more("closing")) {
      if (context.signal.aborted) return;
      yield* rows.take(chunk);
      yield* waited(file, rows);
    }
  } catch (error) {
    if (!(error instanceof Rewritten)) throw error;
    yield { faults: [rows.fault(`${error.message}; open it again for the rest`, { unread: true })] };
  } finally {
    await reader.close?.();
  }
  yield* rows.end();
}

/** Says for how long another program kept the file from being read. */
export function* waited(file: FileReader, rows: RowStream): Generator<SourceItem> {
  const waited_s = file.waited_s();
  if (waited_s > 0)
    yield { faults: [rows.fault(`was locked by another program for ${waited_s} s; nothing is lost`)] };
}

/** Puts the file's name before a SourceError's message. */
export async function named<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw withName(path, cause);
  }
}

export function* namedItems(path: string, items: Iterable<SourceItem>): Generator<SourceItem> {
  try {
    yield* items;
  } catch (cause) {
    throw withName(path, cause);
  }
}

function withName(path: string, cause: unknown): unknown {
  if (!(cause instanceof SourceError) || cause.message.startsWith(`${path}: `)) return cause;
  return new SourceError(`${path}: ${cause.message}`, { cause });
}
