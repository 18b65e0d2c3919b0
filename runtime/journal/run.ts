/**
 * A recorded run, opened for reading. After a crash, what was torn is dropped, and said.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Batch } from "../batch.ts";
import type { MinMax, ReadRange } from "../run-view.ts";
import type { Schema } from "../wire/schema.ts";
import { recordingProcess } from "./lock.ts";
import { readManifest, writeManifest, type Manifest } from "./manifest.ts";
import { minMax, type Span } from "./min-max.ts";
import { readRows } from "./reader.ts";
import type { Resolve } from "./reference.ts";
import { RunError } from "./run-error.ts";
import { StreamFiles } from "./stream-files.ts";

export interface RecordedEpoch {
  readonly epoch: number;
  readonly schema: Schema;
  readonly firstRow: number;
  readonly rows: number;
  /** Undefined where there is no row. */
  readonly firstTime: bigint | undefined;
  readonly lastTime: bigint | undefined;
  /** Record batches, those without rows too. */
  readonly batches: number;
  readonly bytes: number;
}

export interface RecordedStream {
  readonly stream: string;
  readonly derived: boolean;
  readonly epochs: readonly RecordedEpoch[];
}

export interface Damage {
  readonly stream: string;
  readonly segment: string;
  /** 0 is the schema. */
  readonly message: number;
  readonly offset: number;
  readonly what: string;
}

export interface RecordedRun {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly streams: readonly RecordedStream[];
  /** What had to be dropped or rebuilt, in sentences; empty for a run that was closed. */
  readonly recovered: readonly string[];
  /** Rows in order; of all epochs, one after the other, unless the range names one. */
  read(stream: string, range?: ReadRange & { readonly heartbeats?: boolean }): AsyncIterable<Batch>;
  minMax(stream: string, column: string, span: Span): Promise<MinMax>;
  /** Reads everything and says what is not as it was written. */
  verify(): Promise<readonly Damage[]>;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Makes the files whole again and records what was done; otherwise they are only read. */
  readonly repair?: boolean;
  /** Reads a frame that was recorded by reference. */
  readonly resolve?: Resolve;
}

interface Opened {
  readonly files: StreamFiles;
  readonly levels: Map<number, StreamFiles>;
}

export async function openRun(
  directory: string,
  { repair = false, resolve }: OpenOptions = {},
): Promise<RecordedRun> {
  let manifest = await readManifest(directory);
  const said: string[] = [];
  const owner = recordingProcess(directory);
  const live = owner !== undefined;
  if (live && repair) said.push(`process ${owner} is recording this run; opened it as it stands`);
  // Of files that are being written, a torn end says nothing.
  const how = { repair: repair && !live, said: live ? [] : said };
  const streams: RecordedStream[] = [];
  const opened = new Map<string, Opened>();
  for (const folder of foldersIn(join(directory, "streams"))) {
    const files = StreamFiles.recovered(join(directory, "streams", folder), `streams/${folder}`, how);
    const head = files.segments[0]?.head;
    if (!head) continue;
    const levels = new Map<number, StreamFiles>();
    for (const k of foldersIn(join(directory, "levels", folder))) {
      levels.set(
        Number(k),
        StreamFiles.recovered(join(directory, "levels", folder, k), `levels/${folder}/${k}`, how),
      );
    }
    opened.set(head.stream, { files, levels });
    streams.push({ stream: head.stream, derived: head.derived, epochs: epochsOf(files) });
  }
  if (how.repair && said.length > 0) {
    manifest = { ...manifest, recovered: [...(manifest.recovered ?? []), ...said] };
    await writeManifest(directory, manifest);
  }
  const named = (stream: string): Opened => {
    const found = opened.get(stream);
    if (!found)
      throw new RunError(
        `${directory} has no stream ${stream}; it has ${[...opened.keys()].join(", ") || "none"}`,
      );
    return found;
  };
  return {
    directory,
    manifest,
    streams,
    recovered: said,
    read: (stream, range = {}) =>
      readRows(named(stream).files, range, { heartbeats: range.heartbeats ?? false, resolve }),
    minMax: async (stream, column, span) => {
      const { files, levels } = named(stream);
      const fields = files.segments.flatMap(({ schema }) => Object.entries(schema.fields));
      const names = [
        ...new Set(
          fields.filter(([, { kind }]) => kind === "scalar" || kind === "code").map(([name]) => name),
        ),
      ];
      if (fields.length > 0 && !names.includes(column)) {
        throw new RunError(
          `${stream} has no column ${column} of one number a row; it has ${names.join(", ") || "none"}`,
        );
      }
      return minMax(files, levels, column, span);
    },
    async verify() {
      const found: Damage[] = [];
      for (const kind of ["streams", "levels"]) {
        for (const folder of foldersIn(join(directory, kind))) {
          const stream = decodeURIComponent(folder);
          const parts =
            kind === "streams"
              ? [folder]
              : foldersIn(join(directory, kind, folder)).map((k) => `${folder}/${k}`);
          for (const part of parts) {
            for (const { segment, problem } of StreamFiles.check(
              join(directory, kind, part),
              `${kind}/${part}`,
              { live },
            )) {
              found.push({ stream, segment, ...problem });
            }
          }
        }
      }
      return found;
    },
    close: async () => opened.clear(),
  };
}

function foldersIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => statSync(join(directory, name)).isDirectory())
    .sort();
}

function epochsOf(files: StreamFiles): RecordedEpoch[] {
  const epochs = new Map<number, { -readonly [K in keyof RecordedEpoch]: RecordedEpoch[K] }>();
  for (const { head, schema, entries, bytes, endRow } of files.segments) {
    let of = epochs.get(head.epoch);
    if (!of) {
      of = {
        epoch: head.epoch,
        schema,
        firstRow: head.row,
        rows: 0,
        firstTime: undefined,
        lastTime: undefined,
        batches: 0,
        bytes: 0,
      };
      epochs.set(head.epoch, of);
    }
    of.rows += endRow - head.row;
    of.batches += entries.count - 1;
    of.bytes += bytes;
    for (let i = 1; i < entries.count; i++) {
      if (entries.rows(i) === 0) continue;
      const first = entries.first(i);
      const last = entries.last(i);
      if (of.firstTime === undefined || first < of.firstTime) of.firstTime = first;
      if (of.lastTime === undefined || last > of.lastTime) of.lastTime = last;
    }
  }
  return [...epochs.values()];
}
