/**
 * A file that is being written, its rows as they come, and the files that follow it. Nothing is locked: each look opens, reads
 * and closes.
 */
import { dirname, resolve } from "node:path";
import { SourceError, type SourceContext, type SourceItem } from "../../runtime/index.ts";
import { Changes } from "../changes.ts";
import { filesOf, isPattern } from "../file-list.ts";
import { Cadence } from "./cadence.ts";
import { Rewritten, type EchemReader, type Look } from "./echem-file.ts";
import { fileReader, type FileReader, type FileState } from "./file-reader.ts";
import { openEchem, type OpenFile } from "./formats.ts";
import { isLinked, nextLinked } from "./linked-files.ts";
import type { RowStream } from "./row-stream.ts";
import { namedItems, waited } from "./whole.ts";

export interface Following {
  readonly path: string;
  /** Files that are there at the beginning, in their order. */
  readonly first: readonly string[];
  /** What messages call a file. */
  name(full: string): string;
  readonly columns: Readonly<Record<string, string>>;
  readonly poll_s: number;
  /** 0: never. */
  readonly endsAfter_s: number;
}

/** The file of the next technique is waited for so long once one has ended, where `ends_after` does not say otherwise. */
const NEXT_WITHIN_s = 60;
const now_s = (): number => performance.now() / 1000;

export async function* follow(about: Following, rows: RowStream, context: SourceContext): AsyncGenerator<SourceItem> {
  const { path, poll_s, endsAfter_s } = about;
  const changes = new Changes(dirname(resolve(context.directory, path)), context.signal);
  /** The file after this one; of none the first. */
  const after = async (full: string | undefined): Promise<string | undefined> => {
    if (!isPattern(path)) return full === undefined ? resolve(context.directory, path) : nextLinked(full);
    // A folder on a share that is away for a while is no reason to end.
    const there = await filesOf(path, context.directory).catch(() => []);
    return there.find((one) => full === undefined || one > full);
  };
  try {
    let full: string | undefined = about.first[0] ?? (await after(undefined));
    if (full === undefined) {
      const what = `${path}: no file of this name yet in ${context.directory}; one is waited for`;
      yield { faults: [{ time: context.now(), what }] };
    }
    let waitedSince_s = now_s();
    let before: string | undefined;
    while (!context.signal.aborted) {
      if (full === undefined) {
        const most_s = endsAfter_s > 0 ? endsAfter_s : before === undefined ? Infinity : NEXT_WITHIN_s;
        if (now_s() - waitedSince_s > most_s) return;
        await changes.wait(poll_s * 1000);
        full = await after(before);
        continue;
      }
      const ended = yield* followOne(full, about, changes, rows, context, after);
      if (ended === "for good") return;
      waitedSince_s = now_s();
      before = full;
      full = await after(before);
      if (full === undefined && !isPattern(path) && !isLinked(before)) return;
    }
  } finally {
    changes.close();
  }
} // prettier-ignore

/** "for good" where nothing will follow it: it stood still for `ends_after`, or the run was stopped. */
async function* followOne(
  full: string,
  about: Following,
  changes: Changes,
  rows: RowStream,
  context: SourceContext,
  after: (full: string) => Promise<string | undefined>,
): AsyncGenerator<SourceItem, "ended" | "for good"> {
  const { poll_s, endsAfter_s } = about;
  const followed = new FollowedFile(full, about, rows, context);
  const cadence = new Cadence();
  let seen: FileState | undefined;
  let changed_s = now_s();
  try {
    while (!context.signal.aborted) {
      const state = yield* followed.state();
      const same = state?.size === seen?.size && state?.modified === seen?.modified;
      seen = state;
      if (!same) changed_s = now_s();
      const still_s = now_s() - changed_s;
      const over = endsAfter_s > 0 && still_s > endsAfter_s;
      const settled = same && still_s >= poll_s;
      const look: Look =
        over || (settled && (await after(full)) !== undefined) ? "closing" : settled ? "settled" : "growing";
      const before = rows.rows;
      const ended = state ? yield* followed.read(state, look) : over;
      if (ended) return over ? "for good" : "ended";
      if (rows.rows > before) cadence.came(now_s());
      const { interval_s } = cadence;
      if (rows.rows > before && Number.isFinite(interval_s)) yield { due_s: 1.5 * interval_s + poll_s };
      await changes.wait(poll_s * 1000);
    }
    return "for good";
  } finally {
    await followed.close();
  }
}

class FollowedFile {
  readonly #full: string;
  readonly #columns: Following["columns"];
  readonly #name: string;
  readonly #rows: RowStream;
  readonly #context: SourceContext;
  readonly #file: FileReader;
  #open: OpenFile | undefined;
  /** Its rows have a place in time, and their schema is announced. */
  #begun = false;
  /** It is read from its beginning since rows of it were given out. */
  #again = false;
  /** Of a snapshot: as it was when it was read. */
  #readAt: FileState | undefined;
  /** Why it could not be read, as was said. */
  #refused = "";

  constructor(full: string, { columns, name }: Following, rows: RowStream, context: SourceContext) {
    this.#full = full;
    this.#columns = columns;
    this.#name = name(full);
    this.#rows = rows;
    this.#context = context;
    this.#file = fileReader(full, context.signal);
  }

  /** As it is now, for `read`; undefined where there is nothing to read yet, said once. */
  async *state(): AsyncGenerator<SourceItem, FileState | undefined> {
    let why = "there is no such file yet; it is waited for";
    try {
      const state = await this.#file.look();
      if (state) return state;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      why = error.message;
    }
    if (why !== this.#refused && !this.#begun)
      yield { faults: [{ time: this.#context.now(), what: `${this.#name}: ${why}` }] };
    this.#refused = why;
    return undefined;
  }

  /** What can be read of it now. True where nothing more will come. */
  async *read(state: FileState, look: Look): AsyncGenerator<SourceItem, boolean> {
    for (;;) {
      try {
        return yield* this.#readOn(state, look);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        const { rewritten } = await this.#letGo(error);
        if (rewritten) {
          const what = `${error.message}; it is read anew, and what was given out is not given out again`;
          yield { faults: [this.#rows.fault(what)] };
        }
        if (error instanceof Rewritten) continue;
        // While it is being written a file may be anything; once it stands still, it is what it is.
        if (look !== "growing" && error.message !== this.#refused) {
          this.#refused = error.message;
          const what = `${this.#name}: ${error.message}`;
          yield { faults: [{ time: this.#context.now(), what, unread: true }] };
        }
        return look === "closing";
      }
    }
  }

  async *#readOn(state: FileState, look: Look): AsyncGenerator<SourceItem, boolean> {
    const isSnapshot = this.#open?.format.snapshot === true;
    if (isSnapshot && this.#readAt && !sameState(this.#readAt, state)) {
      await this.close();
      [this.#open, this.#begun, this.#again, this.#readAt] = [undefined, false, true, undefined];
    }
    this.#open ??= await openEchem(this.#file, { path: this.#full, columns: this.#columns });
    const { reader, format } = this.#open;
    // A snapshot is read once it is whole, and then all of it.
    if (format.snapshot && (look === "growing" || this.#readAt)) return look === "closing";
    if (!this.#begun && !(yield* this.#begin(state, look))) return false;
    yield* this.#take(reader, format.snapshot ? "closing" : look);
    if (format.snapshot) this.#readAt = state;
    this.#refused = "";
    if (look !== "closing" && !reader.finished) return false;
    if (look !== "closing") yield* this.#take(reader, "closing");
    yield* this.#end(state);
    return true;
  }

  /** False while it is not known when its rows were measured: it does not say its start, and has no row yet. */
  async *#begin(state: FileState, look: Look): AsyncGenerator<SourceItem, boolean> {
    const { reader } = this.#open!;
    const last_s = await reader.lastTestTime_s();
    const says = reader.start !== undefined && !("day" in reader.start);
    if (!says && Number.isNaN(last_s) && look !== "closing") return false;
    const written = { modified: state.modified, last_s };
    yield* namedItems(this.#name, this.#rows.begin(this.#name, reader, written, this.#again));
    this.#begun = true;
    return true;
  }

  async *#take(reader: EchemReader, look: Look): AsyncGenerator<SourceItem> {
    for await (const chunk of reader.more(look)) yield* this.#rows.take(chunk);
    yield* waited(this.#file, this.#rows);
  }

  /** By now it may say when it began. */
  async *#end(state: FileState): AsyncGenerator<SourceItem> {
    const { reader } = await openEchem(this.#file, { path: this.#full, columns: this.#columns });
    yield* this.#rows.foundStart(reader.start, { modified: state.modified, last_s: NaN });
    await reader.close?.();
    yield* this.#rows.end();
  }

  /** Whether it was written anew after rows of it were given out. It is read from its beginning again, whatever it was. */
  async #letGo(error: SourceError): Promise<{ rewritten: boolean }> {
    await this.close();
    this.#open = undefined;
    const rewritten = error instanceof Rewritten && this.#begun;
    [this.#again, this.#begun] = [this.#again || this.#begun, false];
    return { rewritten };
  }

  async close(): Promise<void> {
    await this.#open?.reader.close?.();
  }
}

const sameState = (a: FileState, b: FileState): boolean => a.size === b.size && a.modified === b.modified;
