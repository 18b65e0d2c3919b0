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
import { openRun, RunError } from "../runtime/journal/index.ts";
import { readFrame } from "../sources/index.ts";
import { CommandError, couldNotWrite, FAILED, MISTAKE } from "./command-error.ts";
import { csvHeader, csvRows } from "./csv.ts";
import { exportStacks } from "./image-stacks.ts";
import { counted, print, tell } from "./print.ts";
import { partsOf, readBetween, readPart, type Part, type Stretch } from "./recorded-part.ts";
import { withSpecific } from "./specific.ts";

interface Options {
  readonly format: "csv" | "arrow" | "tiff";
  readonly stream?: string;
  readonly columns?: string;
  readonly from?: string;
  readonly to?: string;
  readonly volume?: boolean;
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
      new Option("--format <format>", "csv, Arrow IPC, or TIFF stacks of images")
        .choices(["csv", "arrow", "tiff"])
        .makeOptionMandatory(),
    )
    .option("--from <time>", "rows from this time on: 2026-11-22T10:15:00Z, or since the run's start, 90 s")
    .option("--to <time>", "rows before this time")
    .option(
      "--volume",
      "of TIFF: the newest image of each slice as one stack; otherwise a stack over time of each",
    )
    .option(
      "--out <path>",
      "a file; of several streams, the directory that gets a file each; without it, stdout",
    )
    .action(exportRun);
}

async function exportRun(path: string, options: Options): Promise<void> {
  const run = await openRun(path, { resolve: readFrame }).catch((error: unknown) => {
    throw error instanceof RunError ? new CommandError(error.message, FAILED, { cause: error }) : error;
  });
  try {
    for (const said of run.recovered) await tell(said);
    const parts = partsOf(run, options.stream);
    const origin = BigInt(run.manifest.origin);
    const between = readBetween(options, origin);
    if (options.format === "tiff") return await exportStacks(run, parts, { ...options, between });
    if (options.volume) throw new CommandError("--volume is for --format tiff", MISTAKE);
    const chosen = await Promise.all(
      parts.map(async (part) => ({ part, columns: await choose(part, options) })),
    );
    for (const { part, columns } of chosen) {
      const to = destination(part, parts.length, options);
      const rows = await writeTo(to, (write) => {
        const { schema, add } = withSpecific({ ...part.schema, fields: columns }, run.manifest.experiment);
        const encoder =
          options.format === "csv" ? csvEncoder(schema, origin) : arrowEncoder(schema, to === undefined);
        return writePart(readPart(run, part, between), add, encoder, write);
      });
      const basis = part.schema.metadata["time_basis"];
      const said = basis === undefined || basis === "absolute" ? "" : `; its times: ${basis}`;
      await tell(`${part.name}: ${counted(rows, "row")}${to === undefined ? "" : ` to ${to}`}${said}`);
    }
  } catch (error) {
    if (error instanceof RunError) throw new CommandError(error.message, FAILED, { cause: error });
    throw error;
  } finally {
    await run.close();
  }
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
  return directory ? join(out, `${part.name}.${format}`) : out;
}

type Write = (data: string | Uint8Array) => Promise<void>;

/** A file appears under its name once it is whole. */
async function writeTo<T>(path: string | undefined, make: (write: Write) => Promise<T>): Promise<T> {
  if (path === undefined) return make(print);
  const partial = `${path}.partial`;
  try {
    await mkdir(join(path, ".."), { recursive: true });
    const file = await open(partial, "w");
    const made = await make((data) => file.writeFile(data)).finally(() => file.close());
    await rename(partial, path);
    return made;
  } catch (error) {
    await rm(partial, { force: true });
    throw couldNotWrite(path, error);
  }
}

/** Returns how many rows it wrote. */
async function writePart(
  stretches: AsyncIterable<Stretch>,
  add: (columns: Columns) => Columns,
  encoder: Encoder,
  write: Write,
): Promise<number> {
  let rows = 0;
  for (const bytes of encoder.begin()) await write(bytes);
  for await (const { columns } of stretches) {
    rows += columns.time.length;
    for (const bytes of encoder.encode(add(columns))) await write(bytes);
  }
  for (const bytes of encoder.end()) await write(bytes);
  return rows;
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
