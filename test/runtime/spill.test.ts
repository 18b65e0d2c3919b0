import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Observable } from "rxjs";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { defineSource, scalar, type SourceItem } from "../../runtime/index.ts";
import { createRecorder } from "../../runtime/journal/index.ts";
import type { StartEngine } from "../../runtime/operator-node.ts";
import { startHere } from "../../runtime/run.ts";
import { runToEnd } from "../helpers/graph.ts";
import { doubled, interleaved, item, played, script, summed } from "../helpers/small-operators.ts";

const scratch = mkdtempSync(join(tmpdir(), "operando-spill-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const [BATCHES, ROWS] = [30, 1024];
const CREDIT_bytes = 20_000; // little more than one batch

let allPushed: Promise<void>;
let pushedAll: () => void;
beforeEach(() => void (allPushed = new Promise((resolve) => (pushedAll = resolve))));

/** Pushes all its rows in one turn and waits for nobody. */
const pushed = defineSource({
  name: "test/pushed",
  output: { values: { value: scalar("V") } },
  config: {},
  open: () =>
    new Observable<SourceItem>((subscriber) => {
      setImmediate(() => {
        for (let n = 0; n < BATCHES; n++)
          subscriber.next(item(Array.from({ length: ROWS }, (_, i) => n * ROWS + i)));
        subscriber.complete();
        pushedAll();
      });
    }),
});

/** Says nothing between its first row and its last until the other has pushed all. */
const slow = defineSource({
  name: "test/slow",
  output: { values: { value: scalar("V") } },
  config: {},
  async *open() {
    yield item([0]);
    await allPushed;
    yield item([15_000]);
    yield item([40_000]);
  },
});

const pipeline = {
  sources: { fast: { use: pushed }, slow: { use: slow } },
  operators: { both: { use: interleaved, from: { left: "fast.values", right: "slow.values" } } },
};

test("a reader that falls behind a pushed source reads on from the journal, and misses nothing", async () => {
  const recorder = await createRecorder({ directory: join(scratch, "run"), inThread: false });
  const { rows, run, failures } = await runToEnd(pipeline, {
    origin: 0n,
    creditBytes: CREDIT_bytes,
    ringBytes: CREDIT_bytes,
    recorder,
  });
  await recorder.close();
  expect(failures).toEqual([]);
  const [left] = run.nodes()[0]!.edges;
  expect(left!.spills).toBeGreaterThan(0);
  expect(left!.highWaterBytes).toBeLessThan(3 * CREDIT_bytes);
  const seen = [...(rows["both.rows"]!["left"] as Float64Array)].filter((value) => !Number.isNaN(value));
  expect(seen).toEqual(Array.from({ length: BATCHES * ROWS }, (_, i) => i));
});

test("with nothing recorded to fall back on, the operator is stopped before memory is full, and says why", async () => {
  const { failures } = await runToEnd(pipeline, { origin: 0n, creditBytes: CREDIT_bytes });
  expect(failures.map(({ node }) => node)).toEqual(["both"]);
  expect(failures[0]!.error.message).toMatch(/nothing is recorded to fall back on/);
});

test("the last rows, where they alone fill what their reader has room for, do not keep it from its end", async () => {
  const recorder = await createRecorder({ directory: join(scratch, "large"), inThread: false });
  // What is read is handed on at once.
  let clock_ms = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => (clock_ms += 25));
  // Steps of a thread that are under way when its reader is full.
  const startElsewhere: StartEngine = async (planned, ...given) => {
    const engine = await startHere(planned, ...given);
    return {
      ...engine,
      inFlight: planned.name === "sum" ? 1 : 8,
      step: async (rows, upTo) => {
        for (let i = 0; i < (planned.name === "sum" ? 9 : 1); i++)
          await new Promise((resolve) => setImmediate(resolve));
        return engine.step(rows, upTo);
      },
    };
  };
  const times = Array.from({ length: 60 }, (_, i) => 3 * i);
  script["large"] = times.flatMap((time, i) => (i % 3 === 0 ? [item([time, time + 3, time + 6])] : []));
  const { rows, run, failures } = await runToEnd(
    {
      sources: { one: { use: played, script: "large" } },
      operators: {
        twice: { use: doubled, from: "one.values", place: "worker" },
        sum: { use: summed, from: "twice.values", with: { width: 1000 }, place: "worker" },
      },
    },
    { origin: 0n, creditBytes: 40, ringBytes: 40, recorder, startElsewhere },
  );
  clock.mockRestore();
  await recorder.close();
  expect(failures).toEqual([]);
  expect(run.nodes()[1]!.edges[0]!.spills).toBeGreaterThan(0);
  expect(rows["sum.sums"]!["n"]).toEqual(Float64Array.of(60));
});

test("rows of one time on both sides of every cut do not keep a reader from reading on", async () => {
  const items = Array.from({ length: 40 }, (_, i) => item([i, i + 1, i + 1]));
  const cut = defineSource({
    name: "test/cut",
    output: { values: { value: scalar("V") } },
    config: {},
    open: () =>
      new Observable<SourceItem>((subscriber) => {
        setImmediate(() => {
          // By this clock what comes is handed on at once.
          let clock_ms = 0;
          const clock = vi.spyOn(performance, "now").mockImplementation(() => (clock_ms += 25));
          for (const one of items) subscriber.next(one);
          clock.mockRestore();
          subscriber.complete();
          pushedAll();
        });
      }),
  });
  const recorder = await createRecorder({ directory: join(scratch, "cut"), inThread: false });
  const { rows, run, failures } = await runToEnd(
    { ...pipeline, sources: { fast: { use: cut }, slow: { use: slow } } },
    { origin: 0n, creditBytes: 96, ringBytes: 96, recorder },
  );
  await recorder.close();
  expect(failures).toEqual([]);
  expect(run.nodes()[0]!.edges[0]!.spills).toBeGreaterThan(0);
  expect(
    [...(rows["both.rows"]!["left"] as Float64Array)].filter((value) => !Number.isNaN(value)),
  ).toHaveLength(120);
});
