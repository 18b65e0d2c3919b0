import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { checkPipeline, readPipeline } from "../../cli/pipeline.ts";
import { makeBatch } from "../../runtime/batch.ts";
import { code, defineSource, image, label, scalar, wire, type Columns, type Schema, type SourceItem } from "../../runtime/index.ts"; // prettier-ignore
import { createRecorder, recordedPorts, writeManifest } from "../../runtime/journal/index.ts";
import { FAULTS } from "../../runtime/merged-log.ts";
import { Run } from "../../runtime/run.ts";
import { replay } from "../../sources/index.ts";
import { plan, runToEnd, type TestPipeline } from "../helpers/graph.ts";
import { recordedRun } from "../helpers/recorded-run.ts";
import { doubled, interleaved, S, summed } from "../helpers/small-operators.ts";

const scratch = mkdtempSync(join(tmpdir(), "operando replay source "));
const runs: string[] = [];
afterAll(() => [scratch, ...runs].forEach((directory) => rmSync(directory, { recursive: true })));

const seconds = (...times: number[]): BigInt64Array => BigInt64Array.from(times, (t) => BigInt(t) * S);
const volts: Schema = { fields: { value: scalar("V") }, metadata: { vendor: "test" } };
const valuesAt = (...times: number[]): Columns => ({
  time: seconds(...times),
  value: Float64Array.from(times),
});
const frames = (rows: number, columns: number): Schema => ({
  fields: { data: image("{count}", { shape: [rows, columns] }), image_key: code() },
  metadata: {},
});

async function recorded(...parts: Parameters<typeof recordedRun>): Promise<string> {
  const directory = await recordedRun(...parts);
  runs.push(directory);
  return directory;
}

/** Two ports, one of which changes its size; a late row; a fault; an operator. */
const cell = (): Promise<string> =>
  recorded(
    [
      { stream: "cell.values", schema: volts, columns: valuesAt(1, 2, 5, 9) },
      { stream: "cell.values.late", schema: { fields: { of_time: scalar("ns", { type: "i64" }), ...volts.fields }, metadata: {} }, columns: { of_time: seconds(0), ...valuesAt(3) } },
      { stream: "cell.frames", schema: frames(1, 2), columns: { time: seconds(2, 4), data: Float32Array.of(1, 2, 3, 4), image_key: Int32Array.of(0, 1) } },
      { stream: "cell.frames", epoch: 1, schema: frames(1, 1), columns: { time: seconds(7), data: Float32Array.of(5), image_key: Int32Array.of(0) } },
      { stream: "cell.faults", schema: FAULTS, columns: { time: seconds(5), node: ["cell"], what: ["frame 3 is missing"], count: Int32Array.of(2) } },
      { stream: "afm.curves", schema: volts, columns: valuesAt(1) },
      { stream: "twice.values", derived: true, schema: volts, columns: valuesAt(1) },
      { stream: "health", schema: { fields: { stream: label() }, metadata: {} }, columns: { time: seconds(1), stream: ["x"] } },
    ],
    { origin: 0n },
  ); // prettier-ignore

test("what was recorded of a source are its ports, with the columns that all its epochs have", async () => {
  const directory = await cell();
  expect(recordedPorts(directory, "cell")).toEqual({
    values: volts.fields,
    frames: { ...frames(1, 2).fields, data: image("{count}", { shape: ["row", "col"] }) },
  });
});

test("plays rows, epochs and faults, and what reads them gets what it got then", async () => {
  const directory = await cell();
  const { run, rows, batches, failures } = await runToEnd(
    {
      sources: { again: { use: replay, path: directory, node: "cell" } },
      operators: { twice: { use: doubled, from: "again.values" }, sums: { use: summed, from: "again.values" } },
    },
    { origin: 0n },
  );
  expect(failures).toEqual([]);
  expect(rows["again.values"]).toEqual(valuesAt(1, 2, 5, 9));
  expect(batches["again.frames"]!.map(({ epoch, columns }) => [epoch, ...(columns["data"] as Float32Array)])).toEqual(
    [[0, 1, 2, 3, 4], [1, 5]],
  ); // prettier-ignore
  expect(run.stream("again.values").schema).toEqual(volts);
  expect(run.stream("again.values.late").totalRows).toBe(0);
  expect(rows["twice.values"]!["value"]).toEqual(Float64Array.of(2, 4, 10, 18));
  expect(rows["sums.sums"]).toEqual({ time: seconds(0), value: Float64Array.of(17), n: Float64Array.of(4) });
  expect(rows["faults"]).toEqual({ time: seconds(5), node: ["again"], what: ["frame 3 is missing"], count: Int32Array.of(2) });
}); // prettier-ignore

/** Two ports, each with its own times; a row that goes back is late. */
let script: SourceItem[] = [];
const instrument = defineSource({
  name: "test/instrument",
  output: { left: { value: scalar("V") }, right: { value: scalar("V") } },
  config: {},
  async *open() {
    yield { schema: { left: volts, right: volts } };
    yield* script;
  },
});
const graph = (use: TestPipeline["sources"][string]): TestPipeline => ({
  sources: { cell: use },
  operators: {
    twice: { use: doubled, from: "cell.left" },
    sums: { use: summed, from: "cell.right" },
    both: { use: interleaved, from: { left: "twice.values", right: "cell.right" } },
  },
});

let count = 0;
async function record(pipeline: TestPipeline): Promise<string> {
  const directory = join(scratch, String(count++));
  const recorder = await createRecorder({ directory, inThread: false });
  const run = new Run({ plan: plan(pipeline), mode: { kind: "live", speed: Infinity }, origin: 0n, recorder, ringBytes: 256 }); // prettier-ignore
  await writeManifest(directory, {
    operando: "test",
    name: "test",
    origin: "0",
    started: "2026-11-22T10:15:00Z",
  });
  expect((await run.start()).failures).toEqual([]);
  await recorder.close();
  return directory;
}

/** Every byte of what operators made, and of faults. */
function derived(directory: string): Record<string, string> {
  const streams = ["twice.values", "sums.sums", "both.rows", "faults"];
  const files = streams.flatMap((stream) =>
    readdirSync(join(directory, "streams", stream)).map((file) => join("streams", stream, file)),
  );
  return Object.fromEntries(
    files.map((file) => [file, readFileSync(join(directory, file)).toString("base64")]),
  );
}

test("derived streams are the same bytes as in the run that is played, late and faulty rows included", async () => {
  const port = fc.constantFrom("left", "right");
  let withLate = 0;
  const piece = fc.record({
    port,
    times: fc.array(fc.nat(15), { minLength: 1, maxLength: 12 }),
    fault: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), fc.nat(30), async (pieces, late) => {
      // Each piece begins 8 s after the one before it and is up to 15 s long, so that some rows go back.
      script = pieces.map(({ port, times, fault }, i) => ({
        rows: { [port]: valuesAt(...times.map((t) => t + 8 * i)) },
        ...(fault && { faults: [{ time: BigInt(8 * i) * S, what: `piece ${i}` }] }),
      }));
      script.push({ rows: { left: valuesAt(Math.max(0, 8 * pieces.length - late)) } });
      const then = await record(graph({ use: instrument }));
      withLate += Number(existsSync(join(then, "streams", "cell.left.late")));
      const again = await record(graph({ use: replay, path: then, node: "cell" }));
      expect(derived(again)).toEqual(derived(then));
      // A run that was played is a run like any other.
      const oncemore = await record(graph({ use: replay, path: again, node: "cell" }));
      expect(derived(oncemore)).toEqual(derived(then));
    }),
    { seed: 5, numRuns: 25 },
  );
  expect(withLate).toBeGreaterThan(0);
});

test("a stream that promised more than its rows say lets the others go on", async () => {
  const directory = mkdtempSync(join(scratch, "silent-"));
  await writeManifest(directory, { operando: "test", name: "test", origin: "0", started: "2026-11-22T10:15:00Z" });
  const recorder = await createRecorder({ directory, inThread: false });
  const common = { epoch: 0, schema: volts, state: "active" } as const;
  const append = (stream: string, row: number, columns: Columns, watermark: number) =>
    recorder.append(makeBatch({ ...common, stream, row, columns, watermark: BigInt(watermark) * S }), { derived: false }); // prettier-ignore
  append("cell.left", 0, valuesAt(1), 2);
  append("cell.left", 1, valuesAt(), 50);
  for (let i = 0; i < 4; i++) append("cell.right", i, valuesAt(10 * i), 10 * i + 1);
  append("cell.left", 1, valuesAt(60), 61);
  await recorder.close();
  const opened = replay.open({ path: directory, node: "cell" }, { directory: "/" } as never);
  const heard: [string, number | undefined][] = [];
  for await (const { rows = {}, watermark } of opened as AsyncIterable<SourceItem>) {
    for (const [port, columns] of Object.entries(rows))
      heard.push([`${port} ${(columns as Columns).time.map((t) => t / S).join()}`, watermark === undefined ? undefined : Number(watermark / S)]);
  }
  expect(heard).toEqual([["left 1", undefined], ["right 0", 1], ["right 10", 2], ["right 20", 21], ["right 30", 31], ["left 60", 61]]);
}); // prettier-ignore

test("batches that overlap come in the order of time, and nothing in them is late", async () => {
  const directory = mkdtempSync(join(scratch, "overlapping-"));
  await writeManifest(directory, { operando: "test", name: "test", origin: "0", started: "2026-11-22T10:15:00Z" });
  const recorder = await createRecorder({ directory, inThread: false });
  const batches: [times: number[], watermark: number][] = [[[1, 4, 9], 3], [[3, 5, 9], 5], [[6, 7], 5], [[8, 12], 9]];
  let row = 0;
  for (const [times, watermark] of batches) {
    const batch = { stream: "cell.values", epoch: 0, row, columns: valuesAt(...times), schema: volts, watermark: BigInt(watermark) * S, state: "active" } as const;
    recorder.append(makeBatch(batch), { derived: false });
    row += times.length;
  }
  await recorder.close();
  const { run, rows } = await runToEnd(
    { sources: { again: { use: replay, path: directory, node: "cell" } }, operators: { sums: { use: summed, from: "again.values" } } },
    { origin: 0n },
  );
  expect(rows["again.values"]).toEqual(valuesAt(1, 3, 4, 5, 6, 7, 8, 9, 9, 12));
  expect(run.stream("again.values.late").totalRows).toBe(0);
  expect(rows["sums.sums"]!["value"]).toEqual(Float64Array.of(52, 12));
}); // prettier-ignore

test("a torn run is played as far as it is whole, and says what is missing", async () => {
  const directory = await cell();
  const segment = join(directory, "streams", "cell.values", "000000.arrows");
  const index = join(directory, "streams", "cell.values", "000000.idx");
  truncateSync(segment, readFileSync(segment).length - 40);
  truncateSync(index, 48);
  const { rows, failures } = await runToEnd({ sources: { again: { use: replay, path: directory, node: "cell" } } });
  expect(failures).toEqual([]);
  expect(rows["again.values"]).toBeUndefined();
  expect((rows["again.frames"]!["image_key"] as Int32Array).length).toBe(3);
  expect(rows["faults"]!["what"]).toEqual(["frame 3 is missing", expect.stringMatching(/cell\.values.*000000\.arrows/)]);
  // Beside the newest row.
  expect(rows["faults"]!.time.at(-1)! - 7n * S).toBeLessThan(2n);
}); // prettier-ignore

test("rows whose checksum differs end the source, after those before them", async () => {
  const directory = await cell();
  const segment = join(directory, "streams", "cell.values", "000000.arrows");
  const bytes = readFileSync(segment);
  bytes[bytes.length - 20]! ^= 1;
  writeFileSync(segment, bytes);
  const { failures } = await runToEnd({ sources: { again: { use: replay, path: directory, node: "cell" } } });
  expect(failures).toMatchObject([{ node: "again", error: { message: expect.stringMatching(/checksum/) } }]);
});

test("the wiring check finds a run or a node that is not there, and a wrong column", async () => {
  const directory = await cell();
  const problems = (path: string, node: string, from = "again.values"): string[] =>
    checkPipeline(
      readPipeline({ name: "p.yaml", text: `sources:\n  again: { use: replay, path: '${path}', node: ${node} }\noperators:\n  twice: { use: test/doubled, from: ${from} }\n` }),
      { sources: [replay], operators: [doubled], sinks: [] },
      { directory: dirname(directory) },
    ).map(({ text }) => text.replaceAll(dirname(directory), "")); // prettier-ignore
  const name = basename(directory);
  expect(problems(name, "cell")).toEqual([]);
  expect(problems(directory, "cell")).toEqual([]);
  expect(problems("nowhere", "cell")).toEqual(["p.yaml:2: sources.again: /nowhere: there is no such directory"]);
  expect(problems(`${name}/streams`, "cell")).toEqual([`p.yaml:2: sources.again: /${name}/streams is not a recorded run: it has no run.json`]);
  expect(problems(name, "cel")).toEqual([`p.yaml:2: sources.again: /${name}: source cel is not known; did you mean cell? Allowed: afm, cell`]);
  expect(problems(name, "twice")[0]).toMatch(/source twice is not known.*afm, cell/);
  expect(problems(name, "cell", "again.value")).toEqual([expect.stringMatching(/again has no port value; did you mean values\?/)]);
  expect(problems(name, "cell", "again.frames")).toEqual(["p.yaml:4: operators.twice.from: values needs a column value [V]; again.frames has data, image_key"]);
}); // prettier-ignore

test("a recording that is replayed answers in place of the run that it was played from", async () => {
  const spec = (path: string) => ({
    run: { name: "test", directory: "runs" },
    experiment: {},
    sources: { cell: { use: "replay", with: { path, node: "cell" } } },
    operators: { twice: { use: "test/doubled", from: "cell.values", with: {} } },
    alarms: {},
    sinks: {},
  });
  const registry = { sources: [replay], operators: [doubled], sinks: [] };
  const directory = await cell();
  expect(wire(spec("gone"), registry).problems).toHaveLength(1);
  const recorded = (source: string) => recordedPorts(directory, source);
  expect(wire(spec("gone"), registry, { recorded }).problems).toEqual([]);
});
