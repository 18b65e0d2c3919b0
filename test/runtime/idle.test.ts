import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { defineSource, scalar } from "../../runtime/index.ts";
import { createRecorder, openRun, writeManifest } from "../../runtime/journal/index.ts";
import { Run } from "../../runtime/run.ts";
import { plan } from "../helpers/graph.ts";
import { interleaved, item, played, script } from "../helpers/small-operators.ts";

const scratch = mkdtempSync(join(tmpdir(), "operando-idle-"));
afterEach(() => {
  vi.useRealTimers();
  rmSync(scratch, { recursive: true, force: true });
});

/** One row, and then nothing until the run ends. */
const silent = defineSource({
  name: "test/silent",
  output: { values: { value: scalar("V") } },
  config: {},
  async *open(_, { signal }) {
    yield item([1]);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
});

const pipeline = plan({
  sources: { busy: { use: played, script: "busy" }, quiet: { use: silent, idle_after: "5 s" } },
  operators: { both: { use: interleaved, from: { left: "busy.values", right: "quiet.values" } } },
});

test("a silent source is declared idle by the clock, the others go on, and a replay reads it instead of a clock", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  Object.assign(script, { busy: [item([1, 2, 3, 10, 100])] });
  const recorder = await createRecorder({ directory: scratch, inThread: false });
  const run = new Run({ plan: pipeline, mode: { kind: "live", speed: Infinity }, origin: 0n, recorder });
  await writeManifest(scratch, {
    operando: "test",
    name: "test",
    origin: "0",
    started: "2026-01-01T00:00:00Z",
  });
  const rows: number[] = [];
  let waiter: { n: number; resolve: () => void } | undefined;
  const seen = (n: number) => new Promise<void>((resolve) => (waiter = { n, resolve }));
  const first = seen(2);
  run.stream("both.rows").appended$.subscribe(({ columns }) => {
    rows.push(...[...columns.time].map((time) => Number(time / 1_000_000_000n)));
    if (waiter && rows.length >= waiter.n) waiter.resolve();
  });
  const done = run.start();
  await first;
  expect(rows).toEqual([1, 1]);
  // 5 s of silence are allowed; after 16 s it has promised everything before second 12.
  const more = seen(5);
  vi.advanceTimersByTime(16_000);
  await more;
  expect(rows).toEqual([1, 1, 2, 3, 10]);
  expect(run.streams().find(({ stream }) => stream === "quiet.values")!.state).toBe("idle");
  run.stop();
  await done;
  await recorder.close();
  vi.useRealTimers();

  const recording = await openRun(scratch);
  const states: string[] = [];
  for await (const { state } of recording.read("quiet.values", { heartbeats: true })) states.push(state);
  expect(states).toContain("idle");
  const again = new Run({ plan: pipeline, mode: { kind: "replay", speed: Infinity }, origin: 0n, recording });
  const replayed: number[] = [];
  again
    .stream("both.rows")
    .appended$.subscribe(({ columns }) =>
      replayed.push(...[...columns.time].map((time) => Number(time / 1_000_000_000n))),
    );
  await again.start();
  await recording.close();
  expect(replayed).toEqual([1, 1, 2, 3, 10, 100]);
});
