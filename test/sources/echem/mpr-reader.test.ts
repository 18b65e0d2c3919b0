import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Rewritten, type Chunk, type Look } from "../../../sources/echem/echem-file.ts";
import { fileReader, type FileReader } from "../../../sources/echem/file-reader.ts";
import { biologicMpr } from "../../../sources/echem/mpr-reader.ts";
import { SourceError } from "../../../runtime/index.ts";
import { CASES, mutate, random } from "../afm/make-mutants.ts";
import { mprBytes } from "./mpr-bytes.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { FakeFile, noRows, readGrowing, readMore, readWhole } from "./read-all.ts";

const opening = { path: "/made/cell.mpr", columns: {} };
const DATA = "VMP data";

/** Where a file's data module says how many records it has and how long it is, and where its records begin. */
interface Places {
  count: number;
  length: number;
  first: number;
  end: number;
  recordLength: number;
  records: number;
}
async function places(bytes: Uint8Array): Promise<Places> {
  const { readMpr } = await import("../../../sources/echem/mpr.ts");
  const mpr = await readMpr((at, length) => Promise.resolve(bytes.subarray(at, at + length)), bytes.length);
  const data = mpr.modules.find(({ name }) => name === DATA)!;
  return { count: data.start, length: data.start - (data.isNew ? 20 : 16), first: mpr.firstRecord, end: data.start + data.length, recordLength: mpr.recordLength, records: mpr.records };
} // prettier-ignore

interface Shown {
  bytes: number;
  count: number;
  length: number;
}

/**
 * A file as another program sees it while it is written: bytes, count of records and length of their module each as of a
 * moment of its own. What lies beyond the bytes that are there is missing, or zero.
 */
function shown(whole: Uint8Array, at: Places, { bytes, count, length }: Shown, padded: boolean): Uint8Array {
  const copy = whole.slice(0, padded ? Math.max(bytes, at.end) : bytes);
  copy.fill(0, bytes);
  const view = new DataView(copy.buffer);
  const least = at.first - at.count;
  if (copy.length >= at.count + 4) view.setUint32(at.count, count, true);
  if (copy.length >= at.length + 4) view.setUint32(at.length, least + length * at.recordLength, true);
  return copy;
} // prettier-ignore

/** Growing step by step, in any order of what is seen; the last is the whole file. */
interface Growth {
  steps: Shown[];
  padded: boolean;
}
const growth = (at: Places, size: number): fc.Arbitrary<Growth> =>
  fc.record({
    steps: fc
      .array(
        fc.record({
          bytes: fc.nat({ max: size }),
          count: fc.nat({ max: at.records }),
          length: fc.nat({ max: at.records }),
        }),
        { minLength: 1, maxLength: 12 },
      )
      .map((steps) => {
        const rising = (key: keyof Shown): number[] => steps.map((step) => step[key]).sort((a, b) => a - b);
        const [bytes, counts, lengths] = [rising("bytes"), rising("count"), rising("length")];
        return steps.map((_, i) => ({ bytes: bytes[i]!, count: counts[i]!, length: lengths[i]! }));
      }),
    padded: fc.boolean(),
  });

function* statesOf(whole: Uint8Array, at: Places, { steps, padded }: Growth): Generator<Uint8Array> {
  for (const step of steps) yield shown(whole, at, step, padded && step.bytes >= at.first);
  yield whole;
} // prettier-ignore

const ramp = (n: number, slope: number): number[] => Array.from({ length: n }, (_, i) => slope * i);
const made = (layout: "old2" | "old3" | "new11", { flags, start }: { flags?: boolean; start?: string } = {}): Uint8Array =>
  mprBytes({
    layout,
    columns: [...(flags ? [[1, "flag"] as const, [21, "flag"] as const] : []), [4, "f64", ramp(37, 0.5)], [6, "f32", ramp(37, 0.001)], [7, "f64", ramp(37, 1e-6)]],
    ...(flags && { flags: ramp(37, 0).map((_, i) => (i === 36 ? 0x41 : 1)) }),
    ...(start && { start }),
  }); // prettier-ignore

describe("a growing file gives the rows of the whole one, bit for bit, whatever is seen first", () => {
  test.each([
    ["version 2, with its end", made("old2", { start: "2025-05-28 14:23:16" })],
    ["version 3, never ended", made("old3")],
    ["version 11, with flags", made("new11", { flags: true })],
    ["version 11, with flags and its end", made("new11", { flags: true, start: "2025-05-28 14:23:16" })],
  ])("%s", async (_, bytes) => {
    const whole = await readWhole(biologicMpr, bytes);
    expect(whole.rows).toBe(37);
    const at = await places(bytes);
    await fc.assert(
      fc.asyncProperty(growth(at, bytes.length), async (grows) => {
        const grown = await readGrowing(biologicMpr, statesOf(bytes, at, grows));
        expect(grown.columns).toEqual(whole.columns);
      }),
      { numRuns: 200, seed: 5 },
    );
  });
});

describe("the last record", () => {
  const at = async (bytes: Uint8Array) => ({ bytes, ...(await places(bytes)) });
  test("is held back until it has stood still", async () => {
    const { bytes } = await at(made("old3"));
    const file = new FakeFile(bytes);
    const reader = await biologicMpr.open(file, opening);
    const all = await readMore(reader, "growing");
    expect(all.rows).toBe(36);
    expect((await readMore(reader, "growing", all)).rows).toBe(36);
    expect((await readMore(reader, "settled", all)).rows).toBe(37);
    expect(reader.finished).toBe(false);
  });

  test("is given at once where its flags end the segment, or the log follows", async () => {
    for (const bytes of [made("new11", { flags: true }), made("old2", { start: "2025-05-28 14:23:16" })]) {
      const reader = await biologicMpr.open(new FakeFile(bytes), opening);
      expect((await readMore(reader, "growing")).rows).toBe(37);
    }
    const ended = await biologicMpr.open(
      new FakeFile(made("old3", { start: "2025-05-28 14:23:16" })),
      opening,
    );
    await readMore(ended, "growing");
    expect(ended.finished).toBe(true);
  });

  test("that changes while it is held back is given as it is in the end", async () => {
    const { bytes, first, recordLength, records } = await at(made("old3"));
    const half = bytes.slice();
    half.fill(0, first + (records - 1) * recordLength + 9);
    const file = new FakeFile(half);
    const reader = await biologicMpr.open(file, opening);
    const all = await readMore(reader, "growing");
    file.show(bytes);
    await readMore(reader, "settled", all);
    await readMore(reader, "settled", all);
    expect(all.columns).toEqual((await readWhole(biologicMpr, bytes)).columns);
  });
});

test("records of zeros at the end are missing, not measured", async () => {
  const bytes = made("old3", { start: "2025-05-28 14:23:16" });
  const { first, recordLength } = await places(bytes);
  bytes.fill(0, first + 30 * recordLength, first + 37 * recordLength);
  const { rows, problems } = await readWhole(biologicMpr, bytes);
  expect(rows).toBe(30);
  expect(problems).toMatchObject([{ what: expect.stringMatching(/all bytes are zero.*7 records are missing/), unread: true }]); // prettier-ignore
});

test("a file that is written anew says so", async () => {
  const file = new FakeFile(made("old3"));
  const reader = await biologicMpr.open(file, opening);
  const all = await readMore(reader, "growing");
  file.show(mprBytes({ layout: "old3", columns: [[4, "f64", ramp(40, 0.5)], [6, "f32", ramp(40, 0.001)]] })); // prettier-ignore
  await expect(readMore(reader, "growing", all)).rejects.toThrow(Rewritten);
  expect(noRows().rows).toBe(0);
});

test("the records at which loops begin stand in the metadata", async () => {
  const bytes = mprBytes({ layout: "old3", columns: [[4, "f64", ramp(9, 0.5)]], loop: [0, 4, 8] });
  expect((await readWhole(biologicMpr, bytes)).reader.metadata).toMatchObject({ loop_records: "0 4 8" });
});

describe("a file of several blocks, the next one read while one is given out", () => {
  const ROWS = 1_100_000;
  const BLOCK = (4 * 2 ** 20) / 8;
  const folder = mkdtempSync(join(tmpdir(), "operando mpr "));
  const path = join(folder, "long.mpr");
  const bytes = mprBytes({ layout: "old3", columns: [[4, "f64", ramp(ROWS, 0.5)]] });
  let second = 0;
  beforeAll(async () => {
    writeFileSync(path, bytes);
    const { first, recordLength } = await places(bytes);
    second = first + BLOCK * recordLength;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** `before` comes before each read from the disk, with the byte it begins at. */
  function watched(before: (at: number) => unknown = () => 0, name = path): { file: FileReader; seen: { open: number; rooms: Set<unknown> } } {
    const seen = { open: 0, rooms: new Set<unknown>() };
    const opens = async (...how: Parameters<typeof open>) => {
      const handle = await open(...how);
      seen.open++;
      return {
        stat: handle.stat.bind(handle),
        async read(into: Uint8Array, offset: number, length: number, at: number) {
          if (length > 1e6) seen.rooms.add(into.buffer);
          await before(at);
          return handle.read(into, offset, length, at);
        },
        close: () => handle.close().finally(() => seen.open--),
      };
    };
    return { file: fileReader(name, new AbortController().signal, opens as unknown as typeof open), seen };
  } // prettier-ignore

  async function read(file: FileReader, look: Look, into: Chunk[]): Promise<void> {
    for await (const chunk of (await biologicMpr.open(file, opening)).more(look)) into.push(chunk);
  }
  const testTimes = (chunks: readonly Chunk[]): number[] =>
    chunks.flatMap(({ columns }) => [...(columns["test_time_second"] as Float64Array)]);

  test("gives each row once, as columns of its own, out of two buffers", async () => {
    for (const look of ["growing", "closing"] as const) {
      const { file, seen } = watched();
      const chunks: Chunk[] = [];
      await read(file, look, chunks);
      const times = testTimes(chunks);
      expect(times).toHaveLength(look === "closing" ? ROWS : ROWS - 1);
      expect(times.findIndex((time, i) => time !== 0.5 * i)).toBe(-1);
      expect([seen.rooms.size, seen.open]).toEqual([2, 0]);
    }
  });

  test("that is returned early waits for the read under way, and leaves nothing open and no failure behind", async () => {
    let begin!: () => void;
    let refuse!: (error: Error) => void;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const refused = new Promise<never>((_, reject) => (refuse = reject));
    const { file, seen } = watched((at) => at >= second && (begin(), refused));
    const rows = (await biologicMpr.open(file, opening)).more("growing")[Symbol.asyncIterator]();
    await rows.next();
    await Promise.all([rows.next(), begun]);
    const returned = rows.return!();
    expect(seen.open).toBe(1);
    refuse(new Error("the disk is gone"));
    expect(await returned).toEqual({ done: true, value: undefined });
    expect(seen.open).toBe(0);
  });

  test("fails where the rows that could not be read would come", async () => {
    const { file, seen } = watched((at) => at >= second && Promise.reject(new Error("the disk is gone")));
    const chunks: Chunk[] = [];
    await expect(read(file, "growing", chunks)).rejects.toThrow("the disk is gone");
    expect(testTimes(chunks)).toHaveLength(BLOCK);
    expect(seen.open).toBe(0);
  });

  test("that is written anew while a block is read ahead gives none of its rows", async () => {
    const own = join(folder, "anew.mpr");
    writeFileSync(own, bytes);
    const other = mprBytes({ layout: "old3", columns: [[4, "f64", ramp(9, 1)], [6, "f32", ramp(9, 1)]] });
    const { file } = watched((at) => at >= second && writeFileSync(own, other), own);
    const chunks: Chunk[] = [];
    await expect(read(file, "growing", chunks)).rejects.toThrow(Rewritten);
    expect(testTimes(chunks)).toHaveLength(BLOCK);
  }); // prettier-ignore
});

describe("damaged files", () => {
  const files = [made("old2", { start: "2025-05-28 14:23:16" }), made("old3"), made("new11", { flags: true, start: "2025-05-28 14:23:16" })]; // prettier-ignore
  const limits = 60_000 + 5 * CASES;
  test(`${CASES} of them give rows or a reason`, { timeout: limits }, async () => {
    const { read, refused, crashes, longest_ms, most_MB } = await readMutantTables(biologicMpr, files);
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log({ read, refused, longest_ms, most_MB });
    expect(crashes).toEqual([]);
    expect([read > 0, refused > 0]).toEqual([true, true]);
  });
  test(
    `${CASES} of them, followed while they become whole: rows or a reason`,
    { timeout: limits },
    async () => {
      const next = random(8);
      let [read, refused] = [0, 0];
      for (let i = 0; i < CASES; i++) {
        const whole = new Uint8Array(mutate(files[i % files.length]!, next));
        const states = [whole.subarray(0, Math.floor(next() * whole.length)), whole, new Uint8Array(mutate(whole, next))]; // prettier-ignore
        await readGrowing(biologicMpr, states).then(
          () => read++,
          (error: unknown) => (expect(error).toBeInstanceOf(SourceError), refused++),
        );
      }
      expect([read > 0, refused > 0]).toEqual([true, true]);
    },
  );
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/biologic/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  const files = readdirSync(folder).filter(
    (name) => name.endsWith(".mpr") && readFileSync(folder + name).length < 300_000,
  );
  test.each(files)("%s grows as it is, in any order", async (name) => {
    const bytes = new Uint8Array(readFileSync(folder + name));
    const whole = await readWhole(biologicMpr, bytes);
    const at = await places(bytes);
    const runs = Math.max(3, Math.min(200, Math.round(2e7 / bytes.length / Math.max(1, whole.rows))));
    await fc.assert(
      fc.asyncProperty(growth(at, bytes.length), async (grows) => {
        expect((await readGrowing(biologicMpr, statesOf(bytes, at, grows))).columns).toEqual(whole.columns);
      }),
      { numRuns: Number(process.env["OPERANDO_TEST_SPLITS"] ?? runs), seed: 11 },
    );
  }, 60_000); // prettier-ignore
});
