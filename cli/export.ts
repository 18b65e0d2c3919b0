import { existsSync, statSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { AsyncByteQueue, RecordBatchFileWriter, RecordBatchStreamWriter } from "apache-arrow";
import { Option, type Command } from "commander";
import {
  toArrow,
  toArrowSchema,
  unknownName,
  type Columns,
  type Fields,
  type Schema,
} from "../runtime/index.ts";
import { openRun, RunError, type RecordedRun } from "../runtime/journal/index.ts";
import { readFrame } from "../sources/index.ts";
import { CommandError, FAILED, MISTAKE } from "./command-error.ts";
import { csvHeader, csvRows } from "./csv.ts";
import { counted, print, tell } from "./print.ts";
import { withSpecific } from "./specific.ts";

interface Options {
  readonly format: "csv" | "arrow";
  readonly stream?: string;
  readonly columns?: string;
  readonly out?: string;
}

/** `operando export`: opens what was recorded to other tools. */
export function addExport(program: Command): void {
  program
    .command("export")
    .description("writes the streams of a run for other tools, and compares what it wrote with the journal")
    .argument("<run>", "the directory of a run")
    .option("--stream <name>", "only this stream, as cycler.echem")
    .option("--columns <names>", "only these columns, between commas; in CSV also images and curves")
    .addOption(
      new Option("--format <format>", "csv, or Arrow IPC").choices(["csv", "arrow"]).makeOptionMandatory(),
    )
    .option(
      "--out <path>",
      "a file; of several streams, the directory that gets a file each; without it, stdout",
    )
    .action(exportRun);
}

/** Rows of one stream that have the same columns: what one file holds. */
interface Part {
  readonly stream: string;
  /** Name of its file, without the ending. */
  readonly name: string;
  readonly schema: Schema;
  readonly epochs: readonly number[];
  /** As the journal's index counts them. */
  readonly rows: number;
}

async function exportRun(path: string, options: Options): Promise<void> {
  const run = await openRun(path, { resolve: readFrame }).catch((error: unknown) => {
    throw error instanceof RunError ? new CommandError(error.message, FAILED, { cause: error }) : error;
  });
  try {
    for (const said of run.recovered) await tell(said);
    const parts = partsOf(run, options.stream);
    const origin = BigInt(run.manifest.origin);
    const chosen = await Promise.all(
      parts.map(async (part) => ({ part, columns: await choose(part, options) })),
    );
    for (const { part, columns } of chosen) {
      const to = destination(part, parts.length, options);
      await writeTo(to, (write) =>
        writePart(run, part, columns, origin, options.format, to === undefined, write),
      );
      const basis = part.schema.metadata["time_basis"];
      const said = basis === undefined || basis === "absolute" ? "" : `; its times: ${basis}`;
      await tell(`${part.name}: ${counted(part.rows, "row")}${to === undefined ? "" : ` to ${to}`}${said}`);
    }
  } catch (error) {
    if (error instanceof RunError) throw new CommandError(error.message, FAILED, { cause: error });
    throw error;
  } finally {
    await run.close();
  }
}

function partsOf(run: RecordedRun, wanted: string | undefined): Part[] {
  const names = run.streams.map(({ stream }) => stream);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new CommandError(`--stream: ${unknownName(wanted, names)}`, MISTAKE);
  }
  return run.streams
    .filter(({ stream }) => wanted === undefined || stream === wanted)
    .flatMap(({ stream, epochs }) => {
      const parts: (Part & { epochs: number[]; rows: number })[] = [];
      for (const { epoch, schema, rows } of epochs) {
        const before = parts.at(-1);
        if (before && JSON.stringify(before.schema.fields) === JSON.stringify(schema.fields)) {
          before.epochs.push(epoch);
          before.rows += rows;
        } else parts.push({ stream, name: stream, schema, epochs: [epoch], rows });
      }
      return parts.map((part) =>
        parts.length > 1 ? { ...part, name: `${stream}-epoch${part.epochs[0]}` } : part,
      );
    });
}

/** Columns to write. Of CSV, images and curves only where they were asked for by name. */
async function choose({ stream, schema }: Part, { columns, format }: Options): Promise<Fields> {
  const all = Object.entries(schema.fields);
  if (columns !== undefined) {
    const names = columns.split(",").map((name) => name.trim());
    const known = all.map(([name]) => name);
    for (const name of names) {
      if (!known.includes(name))
        throw new CommandError(`--columns, of ${stream}: ${unknownName(name, known)}`, MISTAKE);
    }
    return Object.fromEntries(names.map((name) => [name, schema.fields[name]!]));
  }
  if (format === "arrow") return schema.fields;
  const wide = all.filter(([, { kind }]) => kind === "image" || kind === "curve").map(([name]) => name);
  if (wide.length > 0) {
    await tell(
      `${stream}: ${wide.join(", ")} left out, since a row of it is not one number; --columns ${wide.join(",")} writes it all the same`,
    );
  }
  return Object.fromEntries(all.filter(([name]) => !wide.includes(name)));
}

const ENDINGS = { csv: "csv", arrow: "arrow" };

/** A file, or undefined for stdout. */
function destination(part: Part, parts: number, { out, format }: Options): string | undefined {
  if (out === undefined) {
    if (parts === 1) return undefined;
    throw new CommandError(
      "the run has more than one stream; name one with --stream, or a directory with --out",
      MISTAKE,
    );
  }
  const directory = parts > 1 || /[\\/]$/.test(out) || (existsSync(out) && statSync(out).isDirectory());
  return directory ? join(out, `${part.name}.${ENDINGS[format]}`) : out;
}

type Write = (data: string | Uint8Array) => Promise<void>;

/** A file appears under its name once it is whole. */
async function writeTo(path: string | undefined, make: (write: Write) => Promise<void>): Promise<void> {
  if (path === undefined) return make(print);
  const partial = `${path}.partial`;
  try {
    await mkdir(join(path, ".."), { recursive: true });
    const file = await open(partial, "w");
    try {
      await make((data) => file.writeFile(data));
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== "string" || error instanceof CommandError) throw error;
    throw new CommandError(
      `${path} could not be written: ${code === "ENOSPC" ? "the disk is full" : message}`,
      FAILED,
      { cause: error },
    );
  }
}

async function writePart(
  run: RecordedRun,
  part: Part,
  chosen: Fields,
  origin: bigint,
  format: Options["format"],
  streaming: boolean,
  write: Write,
): Promise<void> {
  const { schema, add } = withSpecific({ ...part.schema, fields: chosen }, run.manifest.experiment);
  const encoder = format === "csv" ? csvEncoder(schema, origin) : arrowEncoder(schema, streaming);
  let rows = 0;
  for (const bytes of encoder.begin()) await write(bytes);
  for (const epoch of part.epochs) {
    for await (const { columns } of run.read(part.stream, { epoch })) {
      rows += columns.time.length;
      if (columns.time.length > 0) for (const bytes of encoder.encode(add(columns))) await write(bytes);
    }
  }
  for (const bytes of encoder.end()) await write(bytes);
  if (rows !== part.rows) {
    throw new CommandError(
      `${part.name}: ${rows} rows could be read, but the journal's index counts ${part.rows}; the export is not whole`,
      FAILED,
    );
  }
}

interface Encoder {
  begin(): (string | Uint8Array)[];
  encode(columns: Columns): (string | Uint8Array)[];
  end(): (string | Uint8Array)[];
}

const csvEncoder = (schema: Schema, origin: bigint): Encoder => ({
  begin: () => [csvHeader(schema)],
  encode: (columns) => [csvRows(columns, schema, origin)],
  end: () => [],
});

/** Takes what the writer writes as it is written, so that nothing piles up in a queue. */
class Taken extends AsyncByteQueue {
  #chunks: Uint8Array[] = [];

  override write(chunk: ArrayBufferView): void {
    this.#chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }
}

/** Into a file Arrow's file format, which tools map into memory; onto stdout its stream format, which needs no end. */
function arrowEncoder(schema: Schema, streaming: boolean): Encoder {
  const writer = streaming ? new RecordBatchStreamWriter() : new RecordBatchFileWriter();
  const taken = new Taken();
  return {
    begin() {
      writer.reset(taken, toArrowSchema(schema));
      return taken.take();
    },
    encode(columns) {
      writer.write(toArrow(columns, schema));
      return taken.take();
    },
    end() {
      writer.finish();
      return taken.take();
    },
  };
}
