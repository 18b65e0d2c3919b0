import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRecorder, openRun, type RecordedRun } from "../../../runtime/journal/index.ts";
import { ENTRY_BYTES, Entries } from "../../../runtime/journal/index-file.ts";
import { verifySegment } from "../../../runtime/journal/recovery.ts";
import {
  appendAll,
  batches,
  everyKind,
  EVERY_KIND,
  filesBelow,
  joined,
  manifest,
  newFolder,
  PLAIN,
  plainRows,
} from "./rows.ts";

/** A run of 100 rows in four batches of 25, as it lies on the disk after `kill -9`: nothing was closed. */
async function killed(): Promise<{ directory: string; data: string; index: string }> {
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false });
  appendAll(recorder, batches("xrm.frames", plainRows(0, 100), PLAIN, [25, 50, 75]), { derived: false });
  await recorder.drain();
  const left = filesBelow(directory);
  await recorder.close();
  rmSync(join(directory, "levels"), { recursive: true });
  for (const [name, bytes] of left)
    if (name.startsWith("streams")) writeFileSync(join(directory, name), bytes);
  const path = join(directory, "streams", "xrm.frames", "000000");
  return { directory, data: `${path}.arrows`, index: `${path}.idx` };
}

const rowsOf = async (run: RecordedRun): Promise<number> =>
  (await joined(run.read("xrm.frames"), PLAIN)).time.length;
const NAME = "streams/xrm.frames/000000.arrows";

/** Opens it three times: to read, to repair, and what was repaired. */
async function opened(directory: string, rows: number, said: string[]): Promise<void> {
  const before = filesBelow(directory);
  const read = await openRun(directory);
  expect(read.recovered).toEqual(said);
  expect(read.streams[0]?.epochs[0]?.rows).toBe(rows);
  expect(await joined(read.read("xrm.frames"), PLAIN)).toEqual(plainRows(0, rows));
  expect(filesBelow(directory)).toEqual(before);

  const repaired = await openRun(directory, { repair: true });
  expect(repaired.recovered).toEqual(said);
  expect(await joined(repaired.read("xrm.frames"), PLAIN)).toEqual(plainRows(0, rows));
  expect(await repaired.verify()).toEqual([]);

  const again = await openRun(directory);
  expect(again.recovered).toEqual([]);
  expect(again.manifest.recovered ?? []).toEqual(said);
  expect(await rowsOf(again)).toBe(rows);
}

const lastMessage = (index: string): { offset: number; length: number } => {
  const entries = new Entries(readFileSync(index));
  return entries.at(entries.count - 1);
};

test("a run that was killed has all its rows, and needs no sentence", async () => {
  const { directory } = await killed();
  await opened(directory, 100, []);
});

describe("drops what is torn, and says so", () => {
  test("the last message, cut off before its index entry was written", async () => {
    const { directory, data, index } = await killed();
    const { offset, length } = lastMessage(index);
    truncateSync(index, statSync(index).size - ENTRY_BYTES);
    truncateSync(data, offset + 600);
    await opened(directory, 75, [
      `${NAME}: the last message was cut off after 600 of ${length.toLocaleString("en-US")} bytes; dropped it; 75 rows remain`,
    ]);
  });

  test("the last message, cut off although the index lists it", async () => {
    const { directory, data, index } = await killed();
    const { offset, length } = lastMessage(index);
    truncateSync(data, offset + 3);
    await opened(directory, 75, [
      `${NAME}: the last message was cut off after 3 of ${length.toLocaleString("en-US")} bytes; dropped it; 75 rows remain`,
    ]);
  });

  test("the last message, gone although the index lists it", async () => {
    const { directory, data, index } = await killed();
    truncateSync(data, lastMessage(index).offset);
    await opened(directory, 75, [
      `${NAME}: the index lists 1 message that the data do not hold any more; 75 rows remain`,
    ]);
  });

  test("a tail of zeros, which reads as a clean end", async () => {
    const { directory, data } = await killed();
    appendFileSync(data, new Uint8Array(4096));
    await opened(directory, 100, [
      `${NAME}: the file ended in 4,096 bytes of zeros, as after a power failure; dropped them; 100 rows remain`,
    ]);
  });

  test("a last message of zeros, which the index lists", async () => {
    const { directory, data, index } = await killed();
    const { offset, length } = lastMessage(index);
    const bytes = readFileSync(data);
    writeFileSync(data, bytes.fill(0, offset, offset + length));
    await opened(directory, 75, [
      `${NAME}: the last message did not match its checksum; dropped it; 75 rows remain`,
    ]);
  });

  test("noise", async () => {
    const { directory, data } = await killed();
    appendFileSync(data, "not a message");
    await opened(directory, 100, [
      `${NAME}: the last 13 bytes are no message; dropped them; 100 rows remain`,
    ]);
  });
});

describe("makes an index again from the data", () => {
  const rebuilt = (n: number): string[] => [
    `${NAME}: ${n} message${n === 1 ? "" : "s"} had no sound entry in the index; made it again from the data, whose checksum was not known`,
  ];

  test("its last entry, torn", async () => {
    const { directory, index } = await killed();
    truncateSync(index, statSync(index).size - 5);
    await opened(directory, 100, rebuilt(1));
  });

  test("all of it", async () => {
    const { directory, index } = await killed();
    rmSync(index);
    await opened(directory, 100, rebuilt(5));
  });

  test("an entry in the middle", async () => {
    const { directory, index } = await killed();
    const bytes = readFileSync(index);
    bytes[2 * ENTRY_BYTES + 20]! ^= 4;
    writeFileSync(index, bytes);
    await opened(directory, 100, rebuilt(1));
  });
});

test("what was damaged in the middle is named and kept; the rows around it are read", async () => {
  const { directory, data, index } = await killed();
  const { offset } = new Entries(readFileSync(index)).at(2);
  const bytes = readFileSync(data);
  bytes[offset + 700]! ^= 1;
  writeFileSync(data, bytes);
  const run = await openRun(directory, { repair: true });
  expect(run.recovered).toEqual([
    `${NAME}: message 2 (rows 25 to 49) does not match its checksum and cannot be read`,
  ]);
  await expect(joined(run.read("xrm.frames"), PLAIN)).rejects.toThrow(
    `${NAME}: message 2 (rows 25 to 49, at byte ${offset.toLocaleString("en-US")}) has changed since it was written`,
  );
  expect(await joined(run.read("xrm.frames", { fromRow: 50 }), PLAIN)).toEqual(plainRows(50, 100));
  expect(await run.verify()).toMatchObject([{ stream: "xrm.frames", segment: NAME, message: 2, offset }]);
});

test("a segment that was only begun is left out, one that is gone is missed", async () => {
  const { directory, data, index } = await killed();
  truncateSync(data, 100);
  truncateSync(index, 0);
  const run = await openRun(directory, { repair: true });
  expect(run.recovered).toEqual([`${NAME} was begun and holds nothing yet; ignored it`]);
  expect(run.streams).toEqual([]);
  expect([...filesBelow(directory).keys()]).toEqual(["run.json"]);

  const folder = newFolder();
  await manifest(folder);
  const recorder = await createRecorder({ directory: folder, inThread: false, segmentBytes: 100 });
  appendAll(recorder, batches("xrm.frames", plainRows(0, 100), PLAIN, [25, 50, 75]), { derived: false });
  await recorder.close();
  for (const ending of ["arrows", "idx"]) rmSync(join(folder, "streams", "xrm.frames", `000001.${ending}`));
  const rest = await openRun(folder);
  expect(rest.recovered).toEqual([
    "streams/xrm.frames/000002.arrows: rows 25 to 49 before it are missing; the segment that held them is gone",
  ]);
  expect(await rowsOf(rest)).toBe(75);
});

test("nothing is repaired under a recorder that lives", async () => {
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false });
  appendAll(recorder, batches("xrm.frames", plainRows(0, 100), PLAIN, [50]), { derived: false });
  await recorder.drain();
  const before = filesBelow(directory);
  const run = await openRun(directory, { repair: true });
  expect(run.recovered).toEqual([`process ${process.pid} is recording this run; opened it as it stands`]);
  expect(await rowsOf(run)).toBe(100);
  expect(await run.verify()).toEqual([]);
  expect(filesBelow(directory)).toEqual(before);
  await recorder.close();
  expect((await openRun(directory, { repair: true })).recovered).toEqual([]);
});

// The long form, 10,000 flips: OPERANDO_TEST_FLIPS=10000
test("every flipped bit is found, and located to its message", async () => {
  const flips = Number(process.env["OPERANDO_TEST_FLIPS"] ?? 300);
  const directory = newFolder();
  const recorder = await createRecorder({ directory, inThread: false });
  appendAll(recorder, batches("afm.curves", everyKind(0, 80), EVERY_KIND, [1, 20, 20, 50]), {
    derived: false,
  });
  await recorder.close();
  const path = join(directory, "streams", "afm.curves", "000000");
  const data = readFileSync(`${path}.arrows`);
  const index = readFileSync(`${path}.idx`);
  const source = {
    read: (offset: number, length: number) => data.subarray(offset, offset + length),
    size: data.length,
  };
  const entries = new Entries(index);
  expect(entries.count).toBe(7);
  expect(data.length).toBeGreaterThan(10_000);
  expect(verifySegment(source, index)).toEqual([]);

  let seed = 42;
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
  const hit = new Set<string>();
  for (let i = 0; i < flips; i++) {
    // Half of them in the index and in the schema, which are small.
    const inIndex = i % 4 === 0;
    const bytes = inIndex ? index : data;
    const at = random(i % 4 === 1 ? entries.length(0) : bytes.length);
    let message = Math.floor(at / ENTRY_BYTES);
    if (!inIndex) for (message = 0; entries.offset(message) + entries.length(message) <= at;) message++;
    const bit = 1 << random(8);
    bytes[at]! ^= bit;
    const found = verifySegment(source, index);
    bytes[at]! ^= bit;
    expect(
      found.map(({ message }) => message),
      `byte ${at} of the ${inIndex ? "index" : "data"}`,
    ).toEqual([message]);
    if (!inIndex) expect(found[0]!.offset).toBe(entries.offset(message));
    hit.add(`${inIndex ? "index" : "data"} ${message}`);
  }
  expect(hit.size).toBeGreaterThanOrEqual(12);
  expect(verifySegment(source, index)).toEqual([]);
});
