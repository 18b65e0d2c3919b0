import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { END_OF_TIME, makeBatch, NO_TIME, type Batch } from "../../../runtime/batch.ts";
import { byteSize, type Columns } from "../../../runtime/columns.ts";
import {
  createRecorder,
  openRun,
  writeManifest,
  type RecorderOptions,
} from "../../../runtime/journal/index.ts";
import { scalar, type Schema } from "../../../runtime/wire/schema.ts";
import {
  all, appendAll, batches, everyKind, EVERY_KIND, filesBelow, joined, manifest, newFolder, PLAIN, plainRows, SECOND, timeOf,
} from "./rows.ts"; // prettier-ignore

async function record(
  recorded: readonly Batch[],
  derived: boolean,
  options: Partial<RecorderOptions> = {},
): Promise<string> {
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false, ...options });
  recorder.onFailure((error) => {
    throw error;
  });
  appendAll(recorder, recorded, { derived });
  await recorder.close();
  return directory;
}

describe.each([false, true])("in a thread of its own: %s", (inThread) => {
  test.each([false, true])("rows of every kind come back as they went in; derived: %s", async (derived) => {
    const rows = everyKind(0, 60);
    const directory = await record(batches("afm.curves", rows, EVERY_KIND, [0, 1, 20, 20, 45]), derived, {
      inThread,
    });
    const run = await openRun(directory);
    expect(run.recovered).toEqual([]);
    expect(run.streams).toMatchObject([
      {
        stream: "afm.curves",
        derived,
        epochs: [{ epoch: 0, rows: 60, firstTime: timeOf(0), lastTime: timeOf(59), schema: EVERY_KIND }],
      },
    ]);
    expect(await joined(run.read("afm.curves"), EVERY_KIND)).toEqual(rows);
    expect(await run.verify()).toEqual([]);
    await run.close();
  });
});

test("a source's batches come back as they were cut, with what they promised; heartbeats where asked for", async () => {
  const columns = plainRows(0, 10);
  const [first, second] = batches("cycler.echem", columns, PLAIN, [4]);
  const nothing = { time: NO_TIME, voltage: new Float64Array(0), current: new Float64Array(0) };
  const idle = makeBatch({
    stream: "cycler.echem",
    epoch: 0,
    row: 4,
    columns: nothing,
    schema: PLAIN,
    watermark: timeOf(3) + 1n,
    state: "idle",
  });
  const ended = makeBatch({
    stream: "cycler.echem",
    epoch: 0,
    row: 10,
    columns: nothing,
    schema: PLAIN,
    watermark: END_OF_TIME,
    state: "ended",
  });
  const run = await openRun(await record([first!, idle, second!, ended], false));
  const seen = (read: Batch[]): unknown[] =>
    read.map(({ row, columns, watermark, state, epoch }) => [
      row,
      columns.time.length,
      watermark,
      state,
      epoch,
    ]);
  expect(seen(await all(run.read("cycler.echem")))).toEqual([[0, 4, timeOf(3), "active", 0], [4, 6, timeOf(9), "active", 0]]); // prettier-ignore
  expect(seen(await all(run.read("cycler.echem", { heartbeats: true })))).toEqual([
    [0, 4, timeOf(3), "active", 0],
    [4, 0, timeOf(3) + 1n, "idle", 0],
    [4, 6, timeOf(9), "active", 0],
    [10, 0, END_OF_TIME, "ended", 0],
  ]);
});

test("reads any range of rows or time; a part of a batch promises only the row after it", async () => {
  const run = await openRun(
    await record(batches("cycler.echem", plainRows(0, 100), PLAIN, [13, 50, 51]), false),
  );
  const rows = async (range: object): Promise<unknown[]> => (await all(run.read("cycler.echem", range))).map(({ row, columns: { time } }) => [row, row + time.length]); // prettier-ignore
  expect(await rows({ fromRow: 10, toRow: 20 })).toEqual([[10, 13], [13, 20]]); // prettier-ignore
  expect(await rows({ fromTime: timeOf(50), toTime: timeOf(52) })).toEqual([[50, 51], [51, 52]]); // prettier-ignore
  expect(await rows({ fromTime: timeOf(12) + 1n, toTime: timeOf(13) + 1n })).toEqual([[13, 14]]);
  expect(await rows({ fromRow: 100 })).toEqual([]);
  expect(await rows({ epoch: 1 })).toEqual([]);
  const [part] = await all(run.read("cycler.echem", { fromRow: 15, toRow: 20 }));
  expect(part!.watermark).toBe(timeOf(20));
  await expect(all(run.read("cycler.echem", { fromRow: 99 }))).resolves.toMatchObject([
    { columns: { current: Float64Array.of(99) } },
  ]);
  expect(() => run.read("cycler.eis")).toThrow(/has no stream cycler.eis; it has cycler.echem/);
});

test("each segment opens alone in another Arrow reader, units and shapes in its schema", async () => {
  const directory = await record(batches("xrm.frames", everyKind(0, 300), EVERY_KIND, [100, 200]), false, {
    segmentBytes: 10_000,
  });
  const folder = join(directory, "streams", "xrm.frames");
  const segments = readdirSync(folder).filter((name) => name.endsWith(".arrows"));
  expect(segments).toEqual(["000000.arrows", "000001.arrows", "000002.arrows"]);
  const tables = segments.map((name) => tableFromIPC(readFileSync(join(folder, name))));
  expect(tables.map(({ numRows }) => numRows)).toEqual([100, 100, 100]);
  const [, second] = tables;
  expect(second!.schema.fields.find(({ name }) => name === "voltage")!.metadata.get("unit")).toBe("V");
  expect(second!.schema.metadata.get("spring_constant")).toBe("0.1");
  expect(second!.schema.metadata.get("operando.stream")).toBe("xrm.frames");
  expect(second!.schema.metadata.get("operando.row")).toBe("100");
  expect(second!.batches[0]!.metadata.get("row")).toBe("100");
  expect(second!.getChild("note")!.get(2)).toBe("σ-Phase 🔋");
  expect([...second!.getChild("frame")!.get(1)]).toEqual([606, 607, 608, 609, 610, 611]);
  expect([...second!.getChild("force")!.get(1)]).toEqual([101]);
  expect(second!.getChild("i64")!.get(99)).toBe(2n ** 60n + 199n);
  expect(String(second!.schema.fields[0])).toBe("time: Timestamp<NANOSECOND, UTC>");
});

describe("what is derived is cut by its rows alone", () => {
  const wide: Schema = { fields: { ...EVERY_KIND.fields }, metadata: {} };
  const rows = everyKind(0, 500);

  async function bytes(cuts: readonly number[], watermarks: readonly bigint[]): Promise<Map<string, Buffer>> {
    const cutRows = batches("flat.projections", rows, wide, cuts);
    const nothing = batches("flat.projections", everyKind(0, 0), wide, [])[0]!;
    const recorded = cutRows.flatMap((batch, i) => {
      const promised =
        (watermarks[i] ?? 0n) % 2n === 0n ? batch.watermark : batch.row > 0 ? timeOf(batch.row - 1) : 0n;
      const heartbeat = makeBatch({
        ...nothing,
        row: batch.row + batch.columns.time.length,
        watermark: batch.watermark,
      });
      return [makeBatch({ ...batch, watermark: promised }), ...(promised === 0n ? [heartbeat] : [])];
    });
    const directory = await record(recorded, true, { segmentSpan_s: 2, segmentBytesLeast: 0 });
    const files = filesBelow(directory);
    files.delete("run.json");
    return files;
  }

  test("segments, indexes and levels are the same bytes however rows came", async () => {
    const wanted = await bytes([], []);
    expect([...wanted.keys()]).toEqual([
      ...["000000.arrows", "000000.idx"].map((name) => join("levels", "flat.projections", "06", name)),
      ...["000000.arrows", "000000.idx", "000001.arrows", "000001.idx", "000002.arrows", "000002.idx"].map(
        (name) => join("streams", "flat.projections", name),
      ),
    ]);
    const cut = fc
      .uniqueArray(fc.integer({ min: 0, max: 500 }), { maxLength: 40 })
      .map((cuts) => cuts.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(
        cut,
        fc.array(fc.bigInt({ min: 0n, max: 3n }), { maxLength: 41 }),
        async (cuts, promises) => {
          const got = await bytes(cuts, promises);
          expect([...got.keys()]).toEqual([...wanted.keys()]);
          for (const [name, content] of wanted) expect(got.get(name)!.equals(content), name).toBe(true);
        },
      ),
      { numRuns: 40, seed: 1 },
    );
  });

  test("a batch ends with a pane, counted from 1970, that brought 4 KiB, or its size", async () => {
    const run = await openRun(
      await record(batches("flat.projections", plainRows(0, 1000), PLAIN, [333]), true),
    );
    const found = await all(run.read("flat.projections"));
    expect(found.map(({ columns }) => columns.time.length)).toEqual([
      188,
      200,
      200,
      200,
      200,
      12, // of 24 bytes; a second has a hundred
    ]);
    for (const { columns } of found) expect(columns.time.at(-1)! / SECOND - columns.time[0]! / SECOND).toBeLessThan(2n); // prettier-ignore
    const slow = { ...plainRows(0, 20), time: BigInt64Array.from({ length: 20 }, (_, i) => BigInt(i) * 10n * SECOND) }; // prettier-ignore
    const gathered = await openRun(await record(batches("a.b", slow, PLAIN, [7]), true));
    expect((await all(gathered.read("a.b"))).map(({ columns }) => columns.time.length)).toEqual([6, 6, 6, 2]); // by the minute
    const dense = { ...plainRows(0, 20_000), time: new BigInt64Array(20_000) };
    const packed = await openRun(await record(batches("a.b", dense, PLAIN, [7]), true));
    expect((await all(packed.read("a.b"))).map(({ columns }) => columns.time.length)).toEqual([
      8192, 8192, 3616,
    ]);
  });

  test("a pane is written as soon as nothing can come into it any more", async () => {
    const recorder = await createRecorder({ directory: newFolder(), inThread: false });
    const [batch] = batches("a.b", plainRows(0, 50), PLAIN, []);
    recorder.append(batch!, { derived: true });
    await recorder.drain();
    expect(recorder.acknowledged("a.b")).toMatchObject({ epoch: 0, row: 0 });
    const end = (timeOf(0) / (60n * SECOND) + 1n) * 60n * SECOND;
    recorder.append(makeBatch({ ...batch!, row: 50, columns: plainRows(50, 50), watermark: end - 1n }), {
      derived: true,
    });
    await recorder.drain();
    expect(recorder.acknowledged("a.b")!.row).toBe(0);
    recorder.append(makeBatch({ ...batch!, row: 50, columns: plainRows(50, 50), watermark: end }), {
      derived: true,
    });
    await recorder.drain();
    expect(recorder.acknowledged("a.b")!.row).toBe(50);
    await recorder.close();
  });
});

test("a new epoch begins a new segment, with its own schema and rows from 0", async () => {
  const other: Schema = { fields: { thickness: scalar("um") }, metadata: { probe: "2" } };
  const columns = { time: BigInt64Array.of(timeOf(300)), thickness: Float64Array.of(7) };
  const run = await openRun(
    await record(
      [
        ...batches("gauge.out", plainRows(0, 200), PLAIN, [64]),
        ...batches("gauge.out", columns, other, [], 1),
      ],
      false,
    ),
  );
  expect(run.streams[0]!.epochs).toMatchObject([{ epoch: 0, rows: 200, batches: 2, schema: PLAIN }, { epoch: 1, rows: 1, schema: other }]); // prettier-ignore
  expect(await joined(run.read("gauge.out", { epoch: 1 }), other)).toEqual(columns);
  expect((await all(run.read("gauge.out"))).map(({ epoch, row }) => [epoch, row])).toEqual([[0, 0], [0, 64], [1, 0]]); // prettier-ignore
});

test("a stream without rows is there, with its schema", async () => {
  const run = await openRun(await record(batches("alarms", plainRows(0, 0), PLAIN, []), true));
  expect(run.streams).toMatchObject([
    { stream: "alarms", epochs: [{ rows: 0, firstTime: undefined, schema: PLAIN }] },
  ]);
  expect(await all(run.read("alarms", { heartbeats: true }))).toEqual([]);
  expect((await run.minMax("alarms", "voltage", { from: 0n, to: 10n, buckets: 2 })).count).toEqual(
    Uint32Array.of(0, 0),
  );
});

test("is read while it records", async () => {
  const recorder = await createRecorder({ directory: newFolder(), inThread: false, segmentBytes: 4000 });
  const acknowledged: number[] = [];
  recorder.onAcknowledged((_, __, row) => acknowledged.push(row));
  expect(await all(recorder.read("a.b"))).toEqual([]);
  for (const batch of batches("a.b", plainRows(0, 900), PLAIN, [1, 100, 300, 500, 700])) {
    recorder.append(batch, { derived: false });
    await recorder.drain();
    const end = batch.row + batch.columns.time.length;
    expect(await joined(recorder.read("a.b"), PLAIN)).toEqual(plainRows(0, end));
    expect(await joined(recorder.read("a.b", { fromRow: batch.row }), PLAIN)).toEqual(
      plainRows(batch.row, end),
    );
    const { count } = await recorder.minMax("a.b", "current", {
      from: timeOf(0),
      to: timeOf(900),
      buckets: 1,
    });
    expect(count[0]).toBe(end);
  }
  expect(acknowledged.at(-1)).toBe(900);
  expect(recorder.pendingBytes).toBe(0);
  await recorder.close();
  expect(recorder.positions()).toMatchObject([{ stream: "a.b", epoch: 0, row: 900, durableRow: 900 }]);
});

test("takes shared memory by reference, and views of large buffers without the rest of them", async () => {
  const shared = new Float64Array(new SharedArrayBuffer(8 * 10_000)).map((_, i) => i);
  const memory = new Float64Array(new SharedArrayBuffer(8 * 10_000));
  memory.set(shared);
  const current = new Float64Array(1_000_000).subarray(500_000, 510_000).fill(2);
  const columns: Columns = { ...plainRows(0, 10_000), voltage: memory, current };
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory });
  recorder.append(batches("a.b", columns, PLAIN, [])[0]!, { derived: false });
  expect(recorder.pendingBytes).toBe(byteSize(columns));
  await recorder.drain();
  await recorder.close();
  expect(await joined((await openRun(directory)).read("a.b"), PLAIN)).toEqual({
    ...columns,
    voltage: shared,
  });
});

test("an appended batch may be reused at once", async () => {
  const columns = plainRows(0, 10);
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false });
  recorder.append(batches("a.b", columns, PLAIN, [])[0]!, { derived: true });
  (columns["voltage"] as Float64Array).fill(0);
  await recorder.close();
  expect(await joined((await openRun(directory)).read("a.b"), PLAIN)).toEqual(plainRows(0, 10));
});

describe("bad input", () => {
  test("columns that are not what the schema says", async () => {
    const recorder = await createRecorder({ directory: newFolder(), inThread: false });
    const [batch] = batches("a.b", plainRows(0, 3), PLAIN, []);
    const given = (columns: object): Batch =>
      makeBatch({ ...batch!, columns: { ...batch!.columns, ...columns } as Columns });
    const append = (columns: object) => () => recorder.append(given(columns), { derived: false });
    expect(append({ voltage: undefined })).toThrow("a.b: column voltage is missing");
    expect(append({ voltage: new Float32Array(3) })).toThrow("a.b: voltage is f32, declared as f64");
    expect(append({ voltage: new Float64Array(4) })).toThrow("a.b: voltage holds 4 values; 3 rows need 3");
    await recorder.close();
  });

  test("rows out of order stop the recorder, with what was expected", async () => {
    const recorder = await createRecorder({ directory: newFolder(), inThread: false });
    const [first, , third] = batches("a.b", plainRows(0, 9), PLAIN, [3, 6]);
    const said: string[] = [];
    recorder.onFailure(({ message }) => said.push(message));
    appendAll(recorder, [first!, third!], { derived: false });
    await expect(recorder.drain()).rejects.toThrow(
      "recording stopped: a.b, epoch 0: row 6 came where row 3 was expected",
    );
    await recorder.close();
    expect(said).toEqual(["recording stopped: a.b, epoch 0: row 6 came where row 3 was expected"]);
  });

  test("a directory that cannot be written, or that holds a recording", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "file"), "");
    const inFile = join(folder, "file", "run");
    await expect(createRecorder({ directory: inFile })).rejects.toThrow(
      `cannot record into ${inFile}: part of its path is a file, not a directory`,
    );
    const directory = await record(batches("a.b", plainRows(0, 3), PLAIN, []), false);
    await expect(createRecorder({ directory })).rejects.toThrow(
      `${directory} holds a recording already; give another directory`,
    );
  });

  test("what is no run", async () => {
    const folder = newFolder();
    await expect(openRun(folder)).rejects.toThrow(`${folder} is not a recorded run: it has no run.json`);
    writeFileSync(join(folder, "run.json"), "{");
    await expect(openRun(folder)).rejects.toThrow(/run.json is not valid JSON/);
    writeFileSync(join(folder, "run.json"), "{}");
    await expect(openRun(folder)).rejects.toThrow(/has no "origin"/);
    await expect(
      writeManifest(join(folder, "run.json"), { operando: "", name: "", origin: "0", started: "" }),
    ).rejects.toThrow(/cannot write .*: part of its path is a file|it holds a recording/);
  });
});
