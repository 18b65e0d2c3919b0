/**
 * Parquet tables of a cycler's data: BDF `.parquet`, and others whose headings say what they are ("Voltage(mV)").
 *
 * One row group is decoded at a time, up to 64 million numbers of it. Unpacked are snappy, gzip and brotli, and zstd where this
 * Node.js has it. Integers of 64 bits and decimals become doubles: exact up to 2^53, far more than any count of a cycler.
 */
import { parquetMetadataAsync, type AsyncBuffer, type FileMetaData, type RowGroup, type SchemaElement } from "hyparquet"; // prettier-ignore
import { parquetReadColumn } from "hyparquet/src/read.js";
import { label, SourceError, type Fields } from "../../runtime/index.ts";
import {
  free,
  headingOf,
  inOrder,
  mapColumns,
  toCounts,
  toOurs,
  UNIX_TIME,
  type Heading,
  type Ours,
} from "./column-map.ts";
import { Rewritten, ROWS_AT_A_TIME, TAKEN, type Chunk, type EchemFormat, type EchemReader, type NumberArray, type Opening, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { FileReader, FileState } from "./file-reader.ts";
import { checkPages, COMPRESSORS, UNPACKED } from "./parquet-pages.ts";
import { startByRow, timesFromUnix } from "./unix-time.ts";

const MAGIC = "PAR1";
/** Numbers of a row group, over all columns. */
const MOST_NUMBERS = 2 ** 26;

const isParquet = (head: Uint8Array): boolean => String.fromCharCode(...head.subarray(0, 4)) === MAGIC;

export const bdfParquet: EchemFormat = {
  name: "BDF .parquet",
  looks: isParquet,
  claims: (head, path) => isParquet(head) && /\.bdf\.(parquet|pq)$/i.test(path),
  snapshot: true,
  async open(file, opening) {
    await file.read(0, 0);
    const state = await file.state();
    const metadata = await readMetadata(file, state.size);
    const reader = new ParquetReader(file, state, metadata, opening);
    await reader.look();
    return reader;
  },
};

const bufferOf = (file: FileReader, byteLength: number): AsyncBuffer => ({
  byteLength,
  async slice(start, end = byteLength) {
    const bytes = await file.read(start, end - start);
    if (bytes.length < end - start) throw new Error(`the file ends at byte ${start + bytes.length}, where bytes up to ${end} are to be`); // prettier-ignore
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  },
});

async function readMetadata(file: FileReader, size: number): Promise<FileMetaData> {
  if (size < 12) throw new SourceError(`ends after ${size} bytes; a Parquet file has its directory at its end: copy it again`);
  const tail = await file.read(size - 8, 8);
  if (String.fromCharCode(...tail.subarray(4)) !== MAGIC)
    throw new SourceError(`byte ${size - 4}: does not end with "${MAGIC}", so its directory is missing: it is still being written, or was cut`);
  try {
    return await parquetMetadataAsync(bufferOf(file, size), { geoparquet: false });
  } catch (cause) {
    throw new SourceError(`its directory, before byte ${size - 8}, cannot be read (${(cause as Error).message}); write the file again`, { cause });
  }
} // prettier-ignore

interface Leaf {
  readonly element: SchemaElement;
  readonly heading: Heading;
  /** Text, or numbers. */
  readonly isText: boolean;
  /** A timestamp's ticks a second, which the type says. */
  readonly ticks: number;
}

class ParquetReader implements EchemReader {
  readonly instrument = "Battery Data Format";
  readonly format = "parquet";
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: Fields;
  readonly problems: readonly Problem[];
  readonly finished = true;
  start: Start | undefined;
  readonly #file: FileReader;
  readonly #state: FileState;
  readonly #parquet: FileMetaData;
  readonly #leaves: readonly Leaf[];
  readonly #columns: readonly Ours[];
  /** Of the column with each row's own time; -1 where there is none. */
  #unix: number;
  #last_s = NaN;
  #group = 0;

  constructor(file: FileReader, state: FileState, parquet: FileMetaData, { columns: wanted }: Opening) {
    this.#file = file;
    this.#state = state;
    this.#parquet = parquet;
    const problems: Problem[] = [];
    this.#leaves = leavesOf(parquet.schema, state.size, problems);
    const numbers = this.#leaves.filter(({ isText }) => !isText);
    const { columns, by, problems: missing } = mapColumns(numbers.map(({ heading }) => heading), wanted);
    problems.push(...missing);
    const taken = new Set([...TAKEN, ...columns.map(({ name }) => name)]);
    this.#columns = this.#leaves.map((leaf): Ours => {
      const at = numbers.indexOf(leaf);
      if (at >= 0) return asStored(columns[at]!, leaf);
      const name = free(headingOf(leaf.heading.vendor).quantity.toLowerCase().replace(/[^a-z0-9]+/g, "_"), taken);
      taken.add(name);
      return { name, from: "", negative: false, field: label({ vendor_name: leaf.heading.vendor }) };
    });
    this.#unix = this.#columns.findIndex(({ name }) => name === UNIX_TIME);
    this.problems = problems;
    this.fields = inOrder(this.#columns);
    this.metadata = {
      columns_told_by: by,
      ...(parquet.created_by && { created_by: parquet.created_by }),
    };
  } // prettier-ignore

  /** The first row with a time of its own tells the start; the last row's test time is for placing files without. */
  async look(): Promise<void> {
    for (const group of this.#parquet.row_groups) this.#check(group);
    const rows = Number(this.#parquet.num_rows);
    const told = this.#parquet.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (told !== rows) throw new SourceError(`its directory says ${rows} rows, and its row groups say ${told}; write the file again`);
    const time = this.#columns.findIndex(({ name }) => name === "test_time_second");
    const group = this.#parquet.row_groups.findLast(({ num_rows }) => num_rows > 0n);
    if (time < 0 || !group) return;
    const last = Number(group.num_rows);
    const from = told - last;
    this.#last_s = (await this.#read(time, from, last)).at(-1) as number;
    if (this.#unix < 0) return;
    const first = Number(this.#parquet.row_groups.find(({ num_rows }) => num_rows > 0n)!.num_rows);
    const unix = (await this.#read(this.#unix, 0, first)) as Float64Array;
    const test = (await this.#read(time, 0, first)) as Float64Array;
    for (let i = 0; i < first && !this.start; i++) {
      const instant = startByRow(unix[i]!, test[i]!);
      if (instant !== undefined) this.start = { instant };
    }
    if (!this.start) this.#unix = -1;
  } // prettier-ignore

  lastTestTime_s(): Promise<number> {
    return Promise.resolve(this.#last_s);
  }

  async *more(): AsyncGenerator<Chunk> {
    await this.#file.read(0, 0);
    const { size, modified } = await this.#file.state();
    if (size !== this.#state.size || modified !== this.#state.modified)
      throw new Rewritten("another program wrote the file anew while it was read");
    for (; this.#group < this.#parquet.row_groups.length; this.#group++) {
      const from = this.#parquet.row_groups.slice(0, this.#group).reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
      const rows = Number(this.#parquet.row_groups[this.#group]!.num_rows);
      let columns: Record<string, NumberArray | string[]>;
      const problems: Problem[] = [];
      try {
        columns = await this.#columnsOf(from, rows, problems);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        yield { columns: {}, rows: 0, where: "", problems: [{ where: `row group ${this.#group}`, what: error.message, unread: true, count: rows }] };
        continue;
      }
      for (let at = 0; at < rows; at += ROWS_AT_A_TIME) {
        const to = Math.min(rows, at + ROWS_AT_A_TIME);
        const part = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(at, to)])) as Record<string, Float64Array>;
        const time = this.#unix < 0 ? undefined : timesFromUnix(part[UNIX_TIME]!, part["test_time_second"]!, this.start as { instant: bigint });
        yield { columns: part, rows: to - at, where: `row ${from + at}`, ...(time && { time }), ...(at === 0 && problems.length > 0 && { problems }) };
      }
    }
  } // prettier-ignore

  async #columnsOf(from: number, rows: number, problems: Problem[]): Promise<Record<string, NumberArray | string[]>> {
    const given: Record<string, NumberArray | string[]> = {};
    for (const [at, ours] of this.#columns.entries()) {
      const values = await this.#read(at, from, rows);
      if (ours.field.kind === "code") {
        const { counts, wrong } = toCounts(values as Float64Array);
        if (wrong > 0) problems.push({ where: `column "${ours.field.vendor_name}"`, what: `${wrong} values from row ${from} on are no whole numbers, and are missing`, unread: true, count: wrong });
        given[ours.name] = counts;
      } else if (ours.field.type === "f32" && values instanceof Float64Array) given[ours.name] = Float32Array.from(values);
      else given[ours.name] = values;
    }
    for (const name of ["voltage_volt", "current_ampere"]) given[name] ??= new Float64Array(rows).fill(NaN);
    return given;
  } // prettier-ignore

  /** A column of a row group, in our unit. */
  async #read(at: number, from: number, rows: number): Promise<Float64Array | string[]> {
    const { element, isText, ticks } = this.#leaves[at]!;
    const ours = this.#columns[at]!;
    let read: ArrayLike<unknown>;
    try {
      await this.#checkPages(at, from);
      read = await parquetReadColumn({
        file: bufferOf(this.#file, this.#state.size), metadata: this.#parquet, columns: [element.name], rowStart: from, rowEnd: from + rows,
        compressors: COMPRESSORS, parsers: RAW, geoparquet: false,
      });
    } catch (cause) {
      throw new SourceError(`column "${element.name}" cannot be read (${(cause as Error).message}); write the file again`, { cause });
    }
    if (read.length !== rows) throw new SourceError(`column "${element.name}" has ${read.length} of ${rows} rows; write the file again`);
    if (isText) return Array.from(read, (value) => (typeof value === "string" ? value : ""));
    const values = new Float64Array(rows);
    for (let i = 0; i < rows; i++) {
      const value = read[i];
      values[i] = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : typeof value === "boolean" ? Number(value) : NaN;
    }
    if (ticks > 1) for (let i = 0; i < rows; i++) values[i]! /= ticks;
    toOurs(values, ours);
    return values;
  } // prettier-ignore

  #check(group: RowGroup): void {
    const rows = Number(group.num_rows);
    if (!(rows >= 0) || rows * this.#leaves.length > MOST_NUMBERS)
      throw new SourceError(`a row group has ${rows} rows of ${this.#leaves.length} columns; read are up to ${MOST_NUMBERS} numbers at a time: write it with a smaller row_group_size`);
    for (const { meta_data } of group.columns) {
      if (!meta_data) throw new SourceError("its columns stand in other files; write it as one");
      if (!UNPACKED.has(meta_data.codec))
        throw new SourceError(`column "${meta_data.path_in_schema.join(".")}" is packed by ${meta_data.codec}, which Node.js ${process.versions.node} cannot unpack; write it by snappy, gzip or brotli`);
    }
  } // prettier-ignore

  /**
   * Counts and sizes in the pages themselves are believed only where they agree with the directory's: the library trusts
   * them, and a damaged one would have it fill all memory.
   */
  async #checkPages(at: number, from: number): Promise<void> {
    const { element, isText } = this.#leaves[at]!;
    let begin = 0;
    const group = this.#parquet.row_groups.find(({ num_rows }) => (begin += Number(num_rows)) > from);
    const about = group?.columns.find(
      ({ meta_data }) => meta_data!.path_in_schema[0] === element.name,
    )?.meta_data;
    if (!group || !about) throw new Error("the row group has no such column");
    const start = Number(about.dictionary_page_offset || about.data_page_offset);
    const bytes = await bufferOf(this.#file, this.#state.size).slice(
      start,
      start + Number(about.total_compressed_size),
    );
    checkPages(new Uint8Array(bytes), Number(group.num_rows), about.codec, element, isText);
  }
}

/** Timestamps as the integers that they are stored as. */
const RAW = {
  timestampFromMilliseconds: (ticks: bigint) => ticks,
  timestampFromMicroseconds: (ticks: bigint) => ticks,
  timestampFromNanoseconds: (ticks: bigint) => ticks,
  dateFromDays: (days: number) => days,
};

/** A vendor's column stays in 32 bits if it was; a timestamp says its unit by its type, and so needs none in its heading. */
function asStored(ours: Ours, { ticks, heading, element }: Leaf): Ours {
  const { field, name } = ours;
  if (ticks > 0 && name === UNIX_TIME) return { ...ours, from: "s" };
  if (ticks > 0)
    return {
      ...ours,
      from: "s",
      field: { ...field, unit: "s", doc: `s since 1970-01-01, as in the file's column "${heading.vendor}"` },
    };
  const isVendors = ours.from === "" && field.kind === "scalar" && !TAKEN.has(name);
  return isVendors && element.type === "FLOAT" ? { ...ours, field: { ...field, type: "f32" } } : ours;
}

/** The columns that hold one number or text a row. */
function leavesOf(schema: readonly SchemaElement[], size: number, problems: Problem[]): Leaf[] {
  const leaves: Leaf[] = [];
  for (let i = 1; i < schema.length; i++) {
    const element = schema[i]!;
    const { name, type, converted_type, logical_type, num_children, repetition_type } = element;
    if (typeof name !== "string" || (!type && !num_children))
      throw new SourceError(`its directory, before byte ${size - 8}, describes a column without a name or type; write the file again`);
    if (num_children || repetition_type === "REPEATED") {
      problems.push({ where: `column "${name}"`, what: "has more than one value a row, and is not read", unread: true });
      i += descendants(schema, i);
      continue;
    }
    const isText = type === "BYTE_ARRAY" && (converted_type !== "DECIMAL");
    const unit = logical_type?.type === "TIMESTAMP" ? logical_type.unit : converted_type === "TIMESTAMP_MILLIS" ? "MILLIS" : converted_type === "TIMESTAMP_MICROS" ? "MICROS" : undefined;
    const ticks = unit ? { MILLIS: 1e3, MICROS: 1e6, NANOS: 1e9 }[unit] : type === "INT96" ? 1e9 : 0;
    leaves.push({ element, heading: headingOf(name), isText, ticks });
  }
  return leaves;
} // prettier-ignore

function descendants(schema: readonly SchemaElement[], at: number): number {
  let [left, count] = [schema[at]!.num_children ?? 0, 0];
  while (left > 0 && at + count + 1 < schema.length) {
    count++;
    left += (schema[at + count]!.num_children ?? 0) - 1;
  }
  return count;
}
