import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Observable } from "rxjs";
import { afterAll, beforeEach, expect, test } from "vitest";
import { defineSource, scalar, type SourceItem } from "../../runtime/index.ts";
import { createRecorder } from "../../runtime/journal/index.ts";
import { runToEnd } from "../helpers/graph.ts";
import { interleaved, item } from "../helpers/small-operators.ts";

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
