/** Readers of cyclers' files without a source around them: whole, or as the file grows. */
import type { Column, Fields } from "../../../runtime/index.ts";
import { Rewritten, type Chunk, type EchemFormat, type EchemReader, type Look, type Opening, type Problem } from "../../../sources/echem/echem-file.ts"; // prettier-ignore
import type { FileReader } from "../../../sources/echem/file-reader.ts";

/** A file in memory, which a test may change between two looks. */
export class FakeFile implements FileReader {
  #bytes: Uint8Array;
  #changes = 0n;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  show(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#changes++;
  }
  read = (at: number, length: number): Promise<Uint8Array> =>
    Promise.resolve(this.#bytes.slice(Math.max(0, at), Math.max(0, at) + Math.max(0, length)));
  state = () => Promise.resolve({ size: this.#bytes.length, modified: this.#changes });
  look = () => this.state();
  waited_s = () => 0;
}

export interface AllRows {
  /** One array a column; text columns as arrays of strings. */
  columns: Record<string, (number | string)[]>;
  time: bigint[];
  rows: number;
  /** Each set of columns that came, in order. */
  fields: Fields[];
  problems: Problem[];
  chunks: Chunk[];
}

export const noRows = (): AllRows => ({ columns: {}, time: [], rows: 0, fields: [], problems: [], chunks: [] }); // prettier-ignore

/** Adds what a reader gives now to what it gave before. */
export async function readMore(reader: EchemReader, look: Look, into: AllRows = noRows()): Promise<AllRows> {
  if (into.fields.length === 0) {
    into.fields.push(reader.fields);
    into.problems.push(...reader.problems);
  }
  for await (const chunk of reader.more(look)) {
    if (chunk.fields) into.fields.push(chunk.fields);
    for (const [name, column] of Object.entries(chunk.columns)) {
      const values = column as Exclude<Column, BigInt64Array> & ArrayLike<number | string>;
      if (values.length !== chunk.rows)
        throw new Error(`column ${name} has ${values.length} values for ${chunk.rows} rows`);
      const all = (into.columns[name] ??= Array.from<number>({ length: into.rows }).fill(NaN));
      for (let i = 0; i < chunk.rows; i++) all.push(values[i]!);
    }
    if (chunk.time) into.time.push(...chunk.time);
    into.rows += chunk.rows;
    for (const all of Object.values(into.columns)) while (all.length < into.rows) all.push(NaN);
    into.problems.push(...(chunk.problems ?? []));
    into.chunks.push(chunk);
  }
  return into;
}

const opened = (rest: Partial<Opening>): Opening => ({ path: "/made/file", columns: {}, ...rest });

export async function readWhole(format: EchemFormat, bytes: Uint8Array, rest: Partial<Opening> = {}): Promise<AllRows & { reader: EchemReader }> {
  const reader = await format.open(new FakeFile(bytes), opened(rest));
  return { ...(await readMore(reader, "closing")), reader };
} // prettier-ignore

/**
 * Reads a file while it grows through these states of its bytes; the last is the whole file, looked at twice and closed.
 * A state that cannot be opened yet is passed over, as the source does; one that was rewritten is opened anew.
 */
export async function readGrowing(format: EchemFormat, states: Iterable<Uint8Array>, rest: Partial<Opening> = {}): Promise<AllRows> {
  let file: FakeFile | undefined;
  let reader: EchemReader | undefined;
  let all = noRows();
  const look = async (how: Look): Promise<void> => {
    try {
      reader ??= await format.open(file!, opened(rest));
      await readMore(reader, how, all);
    } catch (error) {
      if (how === "closing") throw error;
      if (error instanceof Rewritten) all = noRows();
      reader = undefined;
    }
  };
  for (const bytes of states) {
    if (file) file.show(bytes);
    else file = new FakeFile(bytes);
    await look("growing");
  }
  await look("settled");
  await look("settled");
  await look("closing");
  return all;
} // prettier-ignore
