import { existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import {
  formatTime, readConfig, SourceError,
  type AnySource, type Columns, type Field, type Schema, type SourceContext, type SourceItem,
} from "../runtime/index.ts"; // prettier-ignore
import { openRun, RunError, type Damage, type Manifest, type RecordedRun } from "../runtime/journal/index.ts";
import { readFrame } from "../sources/index.ts";
import { CommandError, FAILED } from "./command-error.ts";
import { counted, print, printJson, table } from "./print.ts";
import { registry } from "./registry.ts";

interface ColumnReport {
  readonly name: string;
  /** Of its numbers, as f32; of labels "text", of `time` "timestamp". */
  readonly type: string;
  readonly unit: string;
  /** Of one row: [] one number, [row, col] an image, [null] a curve, whose length varies. */
  readonly shape: readonly (number | string | null)[];
}

interface StreamReport {
  readonly name: string;
  /** Of a stream whose columns changed: which of its parts this is. */
  readonly epoch?: number;
  readonly rows: number;
  readonly columns: readonly ColumnReport[];
  /** ISO, to the ns; null where there is no row. */
  readonly first_time: string | null;
  readonly last_time: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Report {
  readonly format: string;
  readonly streams: readonly StreamReport[];
  readonly warnings: readonly string[];
  /** Of a run: its manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Of a run whose checksums were compared: what is not as it was written. */
  readonly damage?: readonly Damage[];
}

/** `operando inspect`: what an instrument's file or a run holds. */
export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description(
      "says what an instrument's file or a run holds: streams, columns, units, rows, times, calibration, warnings",
    )
    .argument("<file|run>", "a file of an instrument, or the directory of a run")
    .option("--json", "prints one JSON document")
    .option("--quick", "of a run: only what its indexes say, without comparing checksums")
    .addHelpText(
      "after",
      "\nOf a run every message is read and its checksum compared: at 0.7 GB/s or so, or as fast as the disk reads.",
    )
    .action(async (path: string, { json, quick = false }: { json?: true; quick?: boolean }) => {
      const { report, damaged } = await inspect(path, quick);
      if (json) await printJson(report);
      else await print(page(path, report));
      if (damaged) throw new CommandError(`${path}: ${damaged}`, FAILED);
    });
}

/** `damaged` says, in a sentence, that something in the file could not be read; what could be is in the report. */
async function inspect(path: string, quick: boolean): Promise<{ report: Report; damaged?: string }> {
  if (!existsSync(path)) throw new CommandError(`${path}: there is no such file or directory`, FAILED);
  if (!statSync(path).isDirectory()) return inspectFile(path);
  if (existsSync(join(path, "run.json"))) return inspectRun(path, quick);
  throw new CommandError(`${path} is a directory without a run.json, so not a run; name one file`, FAILED);
}

const HEAD = 4096;

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    const why =
      error.code === "EACCES"
        ? "may not be read"
        : error.code === "EBUSY"
          ? "is locked by another program"
          : error.message;
    throw new CommandError(`${path}: ${why}`, FAILED, { cause: error });
  });
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD), 0, HEAD, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The source that reads a file, told by its content. Throws a CommandError that shows how the file begins. */
export async function sourceFor(path: string): Promise<AnySource> {
  const head = await headOf(path);
  if (head.length === 0)
    throw new CommandError(`${path}: is empty (0 bytes); expected a file of an instrument`, FAILED);
  const source = registry.sources.find(({ claims }) => claims?.(head, path));
  if (source) return source;
  const shown = [...head.subarray(0, 16)];
  const bytes = shown.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = String.fromCharCode(...shown.map((byte) => (byte >= 32 && byte < 127 ? byte : 46)));
  const readers = registry.sources.filter(({ claims }) => claims).map(({ name }) => name);
  throw new CommandError(
    `${path}: no source knows this content. It begins, at byte 0, with ${bytes} "${text}"; ` +
      `expected what one of these reads: ${readers.join(", ")}`,
    FAILED,
  );
}

interface Part {
  readonly name: string;
  readonly schema: Schema;
  rows: number;
  first: bigint | undefined;
  last: bigint | undefined;
}

async function inspectFile(path: string): Promise<{ report: Report; damaged?: string }> {
  const source = await sourceFor(path);
  const { config, problems } = readConfig(source.config, { path: resolve(path) });
  if (problems.length > 0) {
    const missing = problems.map(({ key, message }) => `${key}: ${message}`).join("; ");
    throw new CommandError(
      `${path} is for ${source.name}, which needs to be told more, in a pipeline file: ${missing}`,
      FAILED,
    );
  }
  const parts: Part[] = [];
  const warnings: string[] = [];
  const lost: string[] = [];
  let broken: Error | undefined;
  const take = (item: SourceItem): void => {
    for (const [port, schema] of Object.entries(item.schema ?? {})) {
      const before = parts.findLast(({ name }) => name === port);
      if (!before || JSON.stringify(before.schema) !== JSON.stringify(schema))
        parts.push({ name: port, schema, rows: 0, first: undefined, last: undefined });
    }
    for (const [port, rows] of Object.entries(item.rows ?? {})) {
      let part = parts.findLast(({ name }) => name === port);
      if (!part)
        parts.push(
          (part = {
            name: port,
            schema: {
              fields: typeof source.output === "function" ? {} : source.output[port],
              metadata: {},
            },
            rows: 0,
            first: undefined,
            last: undefined,
          }),
        );
      for (const time of timesOf(rows)) {
        part.rows++;
        if (part.first === undefined || time < part.first) part.first = time;
        if (part.last === undefined || time > part.last) part.last = time;
      }
    }
    for (const { time, what, count = 1, unread } of item.faults ?? []) {
      const times = count > 1 ? ` (${count} times)` : "";
      const said = `${what}${times}${time > 0n ? `, at ${formatTime(time)}` : ""}`;
      warnings.push(said);
      if (unread) lost.push(said);
    }
  };
  try {
    await drain(source, config, take);
  } catch (error) {
    if (!(error instanceof SourceError) || parts.length === 0) throw asCommandError(path, error);
    broken = error;
    warnings.push(error.message);
  }
  for (const { name, schema } of parts) {
    const basis = schema.metadata["time_basis"];
    if (basis === "zone assumed")
      warnings.push(
        `${name}: times name no zone; they were read as ${schema.metadata["timezone"] ?? "this machine's"}`,
      );
    if (basis === "first seen")
      warnings.push(
        `${name}: the file does not say when it was measured; its time is ${schema.metadata["time_note"] ?? "when it was first seen"}`,
      );
  }
  const formats = new Set(
    parts
      .map(({ schema }) => schema.metadata["format"] ?? schema.metadata["layout"])
      .filter((format) => format !== undefined),
  );
  const report: Report = {
    format: formats.size === 1 ? [...formats][0]! : source.name,
    streams: parts.map((part) => describe(part, parts)),
    warnings: [...new Set(warnings)],
  };
  if (broken) return { report, damaged: broken.message };
  if (lost.length > 0)
    return { report, damaged: `not all of it could be read: ${lost.slice(0, 3).join("; ")}` };
  return { report };
}

async function drain(source: AnySource, config: object, take: (item: SourceItem) => void): Promise<void> {
  const ended = new AbortController();
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const context: SourceContext = {
    signal: ended.signal,
    now: () => BigInt(Date.now()) * 1_000_000n,
    timezone: timeZone,
    timezoneAssumed: true,
    directory: process.cwd(),
  };
  const opened = source.open(config as never, context);
  try {
    if (Symbol.asyncIterator in opened) for await (const item of opened) take(item);
    else await new Promise<void>((complete, error) => void opened.subscribe({ next: take, error, complete }));
  } finally {
    ended.abort();
  }
}

function timesOf(rows: NonNullable<SourceItem["rows"]>[string]): BigInt64Array {
  if (!("numRows" in rows)) return (rows as Columns).time;
  const batch = rows as import("apache-arrow").RecordBatch;
  const time = batch.schema.fields.findIndex(({ name }) => name === "time");
  return batch.data.children[time]!.values as BigInt64Array;
}

/** Mistakes in the data carry their own words; anything else is ours, and keeps its stack. */
function asCommandError(path: string, error: unknown): unknown {
  if (!(error instanceof SourceError) && !(error instanceof RunError)) return error;
  const { message } = error;
  return new CommandError(message.includes(basename(path)) ? message : `${path}: ${message}`, FAILED, {
    cause: error,
  });
}

async function inspectRun(path: string, quick: boolean): Promise<{ report: Report; damaged?: string }> {
  const run = await openRun(path, { resolve: readFrame }).catch((error: unknown) => {
    throw asCommandError(path, error);
  });
  try {
    const parts = run.streams.flatMap(({ stream, epochs }) =>
      epochs.map(({ schema, rows, firstTime, lastTime }) => ({
        name: stream,
        schema,
        rows,
        first: firstTime,
        last: lastTime,
      })),
    );
    const damage = quick ? undefined : await run.verify();
    const report: Report = {
      format: "operando run",
      streams: parts.map((part) => describe(part, parts)),
      warnings: [...(run.manifest.recovered ?? []), ...run.recovered, ...unfinished(run.manifest)],
      manifest: run.manifest,
      ...(damage && { damage }),
    };
    const lost = damage && (run.manifest.ended === undefined ? await unreadable(run, damage) : damage.length);
    if (!lost) return { report };
    return {
      report,
      damaged: `${counted(damage.length, "place")} ${damage.length === 1 ? "is" : "are"} not as written; what lies around them can be read. Restore the files named above from a copy`,
    };
  } finally {
    await run.close();
  }
}

/**
 * Of a run that was broken off the files end as the crash left them, and what that cost is said in `recovered`: that
 * alone is no damage. It is where rows that the run still offers cannot be read.
 */
async function unreadable(run: RecordedRun, damage: readonly Damage[]): Promise<number> {
  let streams = 0;
  const damaged = new Set(damage.map(({ stream }) => stream));
  for (const { stream } of run.streams.filter(({ stream }) => damaged.has(stream))) {
    try {
      for await (const batch of run.read(stream)) void batch;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      streams++;
    }
  }
  return streams;
}

const unfinished = ({ ended }: Manifest): string[] =>
  ended === undefined ? ["run.json names no end: the run is still going on, or it was broken off"] : [];

function describe(part: Part, all: readonly Part[]): StreamReport {
  const { name, schema, rows, first, last } = part;
  const same = all.filter((other) => other.name === name);
  return {
    name,
    ...(same.length > 1 && { epoch: same.indexOf(part) }),
    rows,
    columns: [TIME, ...Object.entries(schema.fields).map(([column, field]) => columnReport(column, field))],
    first_time: first === undefined ? null : formatTime(first),
    last_time: last === undefined ? null : formatTime(last),
    metadata: schema.metadata,
  };
}

const TIME: ColumnReport = { name: "time", type: "timestamp", unit: "ns", shape: [] };

function columnReport(name: string, { kind, type, unit, shape = [] }: Field): ColumnReport {
  return {
    name,
    type: kind === "label" ? "text" : type,
    unit,
    shape: kind === "image" ? shape : kind === "curve" ? [null] : [],
  };
}

function page(path: string, { format, streams, warnings, manifest, damage }: Report): string {
  const lines = [`${basename(path)}: ${format}`];
  for (const key of ["name", "started", "ended", "ending"]) {
    if (typeof manifest?.[key] === "string") lines.push(`  ${key}: ${manifest[key]}`);
  }
  for (const { name, epoch, rows, columns, first_time, last_time, metadata } of streams) {
    lines.push("", `${name}${epoch === undefined ? "" : `, part ${epoch + 1}`}: ${counted(rows, "row")}`);
    if (first_time) lines.push(`  from ${first_time} to ${last_time}`);
    lines.push(table(columns.map(columnRow), "    "));
    const known = Object.entries(metadata).map(([key, value]) => [
      key,
      value.length > 100 ? `${value.slice(0, 100)}…` : value,
    ]);
    if (known.length > 0) lines.push("  metadata", table(known, "    "));
  }
  if (damage?.length === 0) lines.push("", "Every message is as it was written.");
  if (warnings.length > 0) lines.push("", "Warnings", ...warnings.map((warning) => `  ${warning}`));
  if (damage && damage.length > 0) {
    lines.push(
      "",
      manifest?.["ended"] === undefined ? "As it was broken off, or damaged since" : "Not as written",
    );
    for (const { segment, message, offset, what } of damage)
      lines.push(`  ${segment}, message ${message}, at byte ${offset.toLocaleString("en")}: ${what}`);
  }
  return `${lines.join("\n")}\n`;
}

function columnRow({ name, type, unit, shape }: ColumnReport): string[] {
  const size = shape.length === 0 ? "" : shape[0] === null ? "curve" : shape.join(" × ");
  return [name, type, unit ? `[${unit}]` : "", size];
}
