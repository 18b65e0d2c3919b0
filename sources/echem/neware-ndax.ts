/**
 * Neware `.ndax`: a ZIP archive of tables (`.ndc`) and of XML that says what was tested.
 *
 *     data.ndc           rows: voltage and current (versions 2 and 5: everything)
 *     data_runInfo.ndc   times, charge and energy, only of some rows
 *     data_step.ndc      steps: cycle, number in the schedule, type, first row
 *     data_AUX_….ndc     auxiliary channels, one each
 *
 * The directory of an archive is at its end, so a test that still runs is written whole each time. It is read whole when it is
 * opened, at most 1 GiB of tables once they are unpacked (and 512 MiB each), through the reader that waits for a busy file and keeps none open. Rows come in pieces.
 */
import { SourceError, type Fields } from "../../runtime/index.ts";
import { openArchive, type Archive } from "../archive.ts";
import { Rewritten, ROWS_AT_A_TIME, type Chunk, type EchemFormat, type EchemReader, type Look, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import { AuxTable, auxTable } from "./neware-aux.ts";
import { HOLDS, NdcRows, ndcOf, type Ndc } from "./neware-ndc.ts";
import { ndcRecord, RecordRows } from "./neware-records.ts";
import { SparseRows, stepTable } from "./neware-sparse.ts";
import { aboutTest, xmlText, type AboutTest, type XmlEntry } from "./neware-xml.ts";

const MOST_BYTES = 2 ** 30;
const MOST_XML_BYTES = 2 ** 24;
const DATA = "data.ndc", INFORMATION = "data_runInfo.ndc", STEPS = "data_step.ndc"; // prettier-ignore
const XML = ["TestInfo.xml", "Step.xml", "VersionInfo.xml", "NdaxConfig.xml"];
const NOT_CHANNELS = /^data(_(runInfo|step|log|es|Aux))?\.ndc$/;
const LOCAL_HEADER = [0x50, 0x4b, 3, 4];

export const newareNdax: EchemFormat = {
  name: "Neware .ndax",
  looks: isNdax,
  snapshot: true,
  async open(file, { path }) {
    await file.read(0, 0);
    const before = await file.state();
    const unchanged = async (because = ""): Promise<void> => {
      await file.read(0, 0);
      const { size, modified } = await file.state();
      if (size !== before.size || modified !== before.modified)
        throw new Rewritten(`was written anew while it was read${because}; open it again`);
    };
    const bytes = { read: file.read, size: () => Promise.resolve(before.size) };
    const read = async (): Promise<EchemReader> =>
      NdaxReader.of(await openArchive(path, "Neware .ndax", bytes));
    const reader = await named(path, read()).catch(async (error: unknown) => {
      if (error instanceof SourceError) await unchanged(` (${error.message})`);
      throw error;
    });
    await unchanged();
    return reader;
  },
};

/** An archive with an entry by which Neware calls its own among those in the head. */
function isNdax(head: Uint8Array): boolean {
  if (!LOCAL_HEADER.every((byte, i) => head[i] === byte)) return false;
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  for (let at = 0; at >= 0 && at + 30 < bytes.length; at = bytes.indexOf(Buffer.from(LOCAL_HEADER), at + 30)) {
    const name = bytes.toString("latin1", at + 30, at + 30 + bytes.readUInt16LE(at + 26));
    if (/^(.*\.ndc|(EditStep|Step|TestInfo|VersionInfo|NdaxConfig)\d*\.xml)$/.test(name)) return true;
  }
  return false;
} // prettier-ignore

/** What the archive says is wrong, without the path that stands before it. */
async function named<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    const { message } = error;
    throw new SourceError(message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message, { cause: error }); // prettier-ignore
  }
}

/** Rows of either kind of table. */
interface Rows {
  readonly fields: Fields;
  readonly start: Start | undefined;
  chunks(): Generator<Chunk>;
  lastTestTime_s(): number;
}

class NdaxReader implements EchemReader {
  readonly instrument = "Neware";
  readonly format = "ndax";
  readonly metadata: Readonly<Record<string, string>>;
  readonly start: Start | undefined;
  readonly fields: Fields;
  readonly finished: boolean;
  readonly problems: readonly Problem[];
  readonly #rows: Rows;
  #isGiven = false;

  constructor(rows: Rows, version: number, about: AboutTest, problems: readonly Problem[]) {
    this.#rows = rows;
    this.fields = rows.fields;
    this.metadata = { file_format_version: String(version), ...about.metadata };
    this.start = rows.start ?? about.start;
    this.finished = about.ended;
    this.problems = problems;
  }

  static async of(archive: Archive): Promise<NdaxReader> {
    const problems: Problem[] = [];
    const names = [...archive.names];
    const data = [DATA, INFORMATION, STEPS].filter((name) => archive.has(name));
    const channels = names.filter((name) => name.endsWith(".ndc") && !NOT_CHANNELS.test(name));
    if (!archive.has(DATA))
      throw new SourceError(`has no entry ${DATA}, which holds the rows; its entries are ${names.slice(0, 20).join(", ") || "none"}`); // prettier-ignore
    const bytes = [...data, ...channels].reduce((sum, name) => sum + (archive.size(name) ?? 0), 0);
    if (bytes > MOST_BYTES)
      throw new SourceError(`has ${(bytes / 2 ** 30).toFixed(1)} GiB of tables; they are held in memory, up to 1 GiB: export the test in parts`); // prettier-ignore

    const texts: XmlEntry[] = [];
    for (const name of XML) {
      const size = archive.size(name) ?? 0;
      if (size > MOST_XML_BYTES) problems.push({ where: `entry ${name}`, what: `has ${size} bytes, far more than any is known to have, and is not read`, unread: true }); // prettier-ignore
      const text = size > 0 && size <= MOST_XML_BYTES && (await tried(archive, name, problems));
      if (!text) continue;
      const entry = xmlText(name, text);
      if (entry.problem) problems.push(entry.problem);
      texts.push(entry);
    }
    const about = aboutTest(texts);

    const table = async (name: string, holds: number): Promise<Ndc | undefined> => {
      const found = archive.has(name) ? await tried(archive, name, problems) : undefined;
      return found && triedTo(name, problems, () => ndcOf(found, holds));
    };
    const rows = await named(archive.path, archive.read(DATA).then((found) => inEntry(DATA, () => ndcOf(found, HOLDS.rows)))); // prettier-ignore
    const aux: AuxTable[] = [];
    const taken = new Set<string>();
    for (const name of channels) {
      const found = await tried(archive, name, problems);
      if (!found || found[0] !== HOLDS.channel) continue;
      const one = triedTo(name, problems, () =>
        auxTable(name, ndcOf(found, HOLDS.channel), about.channels, taken),
      );
      if (one) aux.push(one);
    }
    aux.sort((a, b) => a.order - b.order);
    const unnamed = aux.filter(({ isKnown }) => !isKnown).map(({ entry }) => entry);
    if (unnamed.length > 0)
      problems.push({ where: "entry TestInfo.xml", what: `does not say what ${unnamed.join(", ")} ${unnamed.length > 1 ? "measure" : "measures"}; the columns have no unit` }); // prettier-ignore

    const { version } = rows;
    if (version <= 5) return new NdaxReader(new FullRows(rows, aux), version, about, problems);
    const information = await table(INFORMATION, HOLDS.information);
    const steps = await table(STEPS, HOLDS.steps);
    const missing = (name: string, without: string): void =>
      void problems.push({ where: `entry ${name}`, what: `is missing, or cannot be read: ${without}`, unread: true }); // prettier-ignore
    if (!information) missing(INFORMATION, "no row has a time, a charge or an energy");
    if (!steps) missing(STEPS, "no row has a cycle, nor a type of step");
    const sparse = new SparseRows(rows, information, steps && stepTable(steps, about.chargeFirst), aux);
    return new NdaxReader(sparse, version, about, problems);
  }

  lastTestTime_s(): Promise<number> {
    return Promise.resolve(this.#rows.lastTestTime_s());
  }

  async *more(_look: Look): AsyncGenerator<Chunk> {
    if (this.#isGiven) return;
    this.#isGiven = true;
    yield* this.#rows.chunks();
  }
}

const inEntry = <T>(name: string, read: () => T): T => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new SourceError(`entry ${name}: ${error.message}`, { cause: error });
  }
};

/** What else can be read is, where this cannot. */
async function tried(archive: Archive, name: string, problems: Problem[]): Promise<Buffer | undefined> {
  try {
    return await named(archive.path, archive.read(name));
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    problems.push({ where: `entry ${name}`, what: error.message, unread: true });
    return undefined;
  }
}

function triedTo<T>(name: string, problems: Problem[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    problems.push({ where: `entry ${name}`, what: error.message, unread: true });
    return undefined;
  }
}

/** Versions 2 and 5: each row has everything. */
class FullRows implements Rows {
  readonly fields: Fields;
  readonly start: Start | undefined;
  readonly #data: Ndc;
  readonly #aux: readonly AuxTable[];

  constructor(data: Ndc, aux: readonly AuxTable[]) {
    this.#data = data;
    this.#aux = aux;
    const rows = this.#records();
    const all = this.#table();
    rows.begin(1);
    if (all.next()) rows.add(all.view, all.at);
    this.start = rows.start;
    this.fields = Object.assign({}, rows.fields, ...aux.map(({ fields }) => fields)) as Fields;
  }

  #records(): RecordRows {
    return new RecordRows(ndcRecord(this.#data.version === 2 ? 8 : 1));
  }
  #table(): NdcRows {
    return new NdcRows(this.#data, this.#data.version === 2 ? 94 : 87);
  }

  *chunks(): Generator<Chunk> {
    const rows = this.#records();
    const table = this.#table();
    for (let goesOn = table.next(); goesOn;) {
      const where = `entry ${DATA}, row ${table.place}`;
      rows.begin(ROWS_AT_A_TIME);
      for (const aux of this.#aux) aux.begin(ROWS_AT_A_TIME);
      for (; goesOn && rows.rows < ROWS_AT_A_TIME; goesOn = table.next()) {
        rows.add(table.view, table.at);
        for (const aux of this.#aux) aux.take(rows.index, rows.rows - 1);
      }
      const { columns, ...chunk } = rows.end();
      const problems: Problem[] = [];
      if (rows.unscaled > 0) problems.push({ where, what: "the range of the current is 0, which does not say how large the stored number is; the current is NaN", count: rows.unscaled, unread: true }); // prettier-ignore
      rows.unscaled = 0;
      problems.push(...rows.problems(!goesOn));
      const all = Object.assign({}, columns, ...this.#aux.map((aux) => aux.end(chunk.rows))) as Chunk["columns"];
      yield { ...chunk, columns: all, where, ...(problems.length > 0 && { problems }) };
    }
  }

  lastTestTime_s(): number {
    const rows = this.#records();
    const table = this.#table();
    while (table.next()) {
      if (rows.rows % ROWS_AT_A_TIME === 0) rows.begin(ROWS_AT_A_TIME);
      rows.add(table.view, table.at);
    }
    return rows.testTime_s;
  }
} // prettier-ignore
