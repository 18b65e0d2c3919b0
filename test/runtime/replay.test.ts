import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { scalar } from "../../runtime/index.ts";
import { createRecorder, openRun, writeManifest } from "../../runtime/journal/index.ts";
import { Run } from "../../runtime/run.ts";
import { plan } from "../helpers/graph.ts";
import { doubled, interleaved, item, picky, played, S, script, summed } from "../helpers/small-operators.ts";

const scratch = mkdtempSync(join(tmpdir(), "operando-replay-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const graph = (record: boolean) =>
  plan({
    sources: { one: { use: played, script: "one" }, two: { use: played, script: "two" } },
    operators: {
      twice: { use: doubled, from: "one.values", record },
      picky: { use: picky, from: "two.values" },
      choosy: { use: picky, from: "twice.values" },
      sum: { use: summed, from: "twice.values" },
      both: { use: interleaved, from: { left: "sum.sums", right: "two.values" } },
    },
  });
const DERIVED = [
  "twice.values",
  "picky.values",
  "choosy.values",
  "sum.sums",
  "both.rows",
  "faults",
  "alarms",
];

let count = 0;
async function record(from?: string, pipeline = graph(true)): Promise<string> {
  const directory = join(scratch, String(count++));
  const recorder = await createRecorder({ directory, inThread: false });
  const recording = from === undefined ? undefined : await openRun(from);
  const origin = recording ? BigInt(recording.manifest.origin) : 0n;
  const run = new Run({
    plan: pipeline,
    mode: { kind: "live", speed: Infinity },
    origin,
    recorder,
    recording,
    creditBytes: 64,
    ringBytes: 256,
  });
  await writeManifest(directory, {
    operando: "test",
    name: "test",
    origin: String(origin),
    started: "2026-01-01T00:00:00Z",
  });
  const { failures } = await run.start();
  expect(failures).toEqual([]);
  await recorder.close();
  await recording?.close();
  return directory;
}

/** Every byte of the segments, indexes and levels of the derived streams. */
function derived(directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const part of ["streams", "levels"].filter((part) => existsSync(join(directory, part)))) {
    for (const path of readdirSync(join(directory, part), { recursive: true, encoding: "utf8" }).sort()) {
      if (!DERIVED.includes(path.split("/")[0]!) || !/\.(arrows|idx)$/.test(path)) continue;
      files[`${part}/${path}`] = readFileSync(join(directory, part, path)).toString("base64");
    }
  }
  return files;
}

const times = fc
  .array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 160 })
  .map((list) => list.sort((a, b) => a - b));
const cuts = (n: number) =>
  fc.array(fc.nat(n), { maxLength: 8 }).map((at) => [...new Set([0, ...at, n])].sort((a, b) => a - b));
const header = { schema: { values: { fields: { value: scalar("V") }, metadata: {} } } };

test("segments and indexes of a replay, and of a run that was cut otherwise, are the same bytes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .tuple(times, times)
        .chain(([a, b]) => fc.tuple(fc.constant(a), fc.constant(b), cuts(a.length), cuts(b.length))),
      async ([a, b, cutsA, cutsB]) => {
        const pieces = (list: number[], at: number[]) => [
          header,
          ...at.slice(1).map((to, i) => item(list.slice(at[i], to), list.slice(at[i], to))),
        ];
        const broken = { faults: [{ time: BigInt(a.at(-1)! + 10) * S, what: "the file is cut short" }] };
        Object.assign(script, { one: [...pieces(a, cutsA), broken], two: pieces(b, cutsB) });
        const live = await record();
        Object.assign(script, { one: [...pieces(a, [0, a.length]), broken], two: pieces(b, [0, b.length]) });
        const whole = await record();
        const files = derived(live);
        expect(Object.keys(files).length).toBeGreaterThan(8);
        expect(derived(whole)).toEqual(files);
        expect(derived(await record(live))).toEqual(files);
      },
    ),
    { seed: 11, numRuns: 25 },
  );
});

test("a stream that is not recorded is made again: all others are the same bytes, live and in replay", async () => {
  const list = Array.from({ length: 150 }, (_, i) => 2 * i);
  Object.assign(script, { one: [header, item(list, list)], two: [header, item(list, list)] });
  const all = derived(await record());
  const live = await record(undefined, graph(false));
  const others = Object.fromEntries(Object.entries(all).filter(([path]) => !path.includes("/twice.values/")));
  expect(Object.keys(others).length).toBeLessThan(Object.keys(all).length);
  expect(derived(live)).toEqual(others);
  expect(derived(await record(live, graph(false)))).toEqual(others);
});
