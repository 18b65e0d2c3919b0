import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Subject } from "rxjs";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ActionError } from "../../runtime/actions.ts";
import {
  defineOperator, defineSource, image, integer, list, quantity, scalar, WiringError, type AnyOperator, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { createRecorder, openRun, writeManifest } from "../../runtime/journal/index.ts";
import { Run, type RunOptions } from "../../runtime/run.ts";
import { startInThreads } from "../../runtime/workers.ts";
import { feed } from "../helpers/feed.ts";
import { plan, type TestPipeline } from "../helpers/graph.ts";
import { clipped, tallied } from "../helpers/live-operators.ts";
import { interleaved, item, S } from "../helpers/small-operators.ts";
import { threadRegistry } from "../helpers/thread-registry.ts";

const scratch = mkdtempSync(join(tmpdir(), "operando-actions-"));
const { url, directory } = threadRegistry("live-operators.ts");
afterAll(() => {
  rmSync(scratch, { recursive: true });
  rmSync(directory, { recursive: true });
});

// By this clock 25 ms pass whenever somebody looks: what is read is handed on at once, and does not wait for company.
let clock_ms = 0;
beforeEach(() => void vi.spyOn(performance, "now").mockImplementation(() => (clock_ms += 25)));
afterEach(() => void vi.restoreAllMocks());

/** Items of a source, and between them what is done meanwhile. */
const moments: Record<string, (SourceItem | (() => Promise<void> | void))[]> = {};
const steered = defineSource({
  name: "test/steered",
  output: { values: { value: scalar("V") } },
  config: { script: list<string>(["one"]) },
  async *open({ script: [name] }) {
    for (const moment of moments[name as string] ?? []) {
      if (typeof moment === "function") await moment();
      else yield moment;
    }
  },
});
const header = { schema: { values: { fields: { value: scalar("V") }, metadata: {} } } };

/** One that is pushed: rows when the test says so, handed on as soon as they come. */
function pushed() {
  const items$ = new Subject<SourceItem>();
  const source = defineSource({
    name: "test/pushed",
    output: { values: { value: scalar("V") } },
    config: {},
    open: () => items$,
  });
  return { source, items$ };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Tells each call that it gets. */
const calls: string[] = [];
const spied = defineOperator({
  name: "test/spied",
  input: { values: { value: scalar("V") } },
  output: { values: { value: scalar("V"), level: scalar("V") } },
  config: { level: quantity("V", 1, { min: 0 }), name: integer(0) },
  live: ["level"],
  start(config) {
    let { level } = config;
    calls.push(`start at ${level}`);
    return {
      step({ values }, out, upTo) {
        calls.push(`[${[...values.seconds].join(" ")}] up to ${upTo}`);
        if (values.length > 0)
          out.values.put({
            time: values.time,
            value: values.value,
            level: new Float64Array(values.length).fill(level),
          });
      },
      act({ time, seconds, changes }, out) {
        level = changes.level!;
        calls.push(`level ${level} at ${seconds}`);
        out.values.add({ time, value: NaN, level });
      },
    };
  },
});

function start(pipeline: TestPipeline, options: Partial<RunOptions> = {}) {
  calls.length = 0;
  const run = new Run({
    plan: plan(pipeline),
    mode: { kind: "live", speed: Infinity },
    origin: 0n,
    ...options,
  });
  const told: Record<string, unknown>[] = [];
  run.tail("actions").subscribe(({ columns }) => {
    columns.time.forEach((time, i) =>
      told.push({ s: Number(time) / 1e9, ...Object.fromEntries(["number", "node", "option", "value", "by"].map((name) => [name, (columns[name] as unknown[])[i]])) }),
    ); // prettier-ignore
  });
  const faults: string[] = [];
  run.fault$.subscribe(({ time, node, what }) => faults.push(`${Number(time) / 1e9} ${node}: ${what}`));
  return { run, told, faults };
}
const simple = (use: AnyOperator, config = {}): TestPipeline => ({
  sources: { cell: { use: steered, script: "one" } },
  operators: { spy: { use, from: "cell.values", with: config } },
});
/** Until a stream has had a row of this second, or after it. */
function reached(run: Run, stream: string, second: number): Promise<void> {
  return new Promise((resolve) => {
    run.tail(stream).subscribe(({ columns: { time } }) => {
      if (time.length > 0 && time.at(-1)! >= BigInt(second) * S) resolve();
    });
  });
}

describe("an action", () => {
  test("falls between the rows before its time and those from it on", async () => {
    const { run, told } = start(simple(spied));
    moments["one"] = [
      item([1, 2]),
      async () => {
        await turn();
        run.act("spy", { level: "2000 mV" }, { by: "Ada" });
      },
      item([3, 4]),
    ];
    await run.start();
    // The source's times increase: what it reads next comes after 2 s.
    expect(calls).toEqual([
      "start at 1", "[1 2] up to 2.000000001", "level 2 at 2.000000001", "[3 4] up to 4.000000001", "[] up to Infinity",
    ]); // prettier-ignore
    expect(told).toEqual([
      { s: 2.000000001, number: 0, node: "spy", option: "level", value: '"2000 mV"', by: "Ada" },
    ]);
  });

  test("takes effect at once where the source is silent", async () => {
    const { source, items$ } = pushed();
    const { run } = start({
      sources: { cell: { use: source } },
      operators: { spy: { use: spied, from: "cell.values" } },
    });
    const done = run.start();
    const both = reached(run, "spy.values", 2);
    await turn();
    items$.next(item([1, 2]));
    await both;
    run.act("spy", { level: "3 V" });
    run.act("spy", { level: "4 V" });
    expect(calls.slice(2)).toEqual(["level 3 at 2.000000001", "level 4 at 2.000000001"]);
    items$.complete();
    expect((await done).failures).toEqual([]);
  });

  test("waits for rows that its node waits for, and holds nobody back", async () => {
    const fast = pushed();
    const slow = pushed();
    const { run } = start({
      sources: { fast: { use: fast.source }, slow: { use: { ...slow.source, name: "test/slow" } } },
      operators: {
        both: { use: interleaved, from: { left: "fast.values", right: "slow.values" } },
        alone: { use: spied, from: "fast.values" },
        spy: { use: paired, from: { left: "fast.values", right: "slow.values" } },
      },
    });
    const done = run.start();
    const alone = reached(run, "alone.values", 100);
    await turn();
    slow.items$.next(item([1]));
    fast.items$.next(item([1, 50, 100]));
    await alone;
    calls.length = 0;
    // One second is where the slower of its two sources stands.
    expect(run.act("spy", { level: "3 V" }).time).toBe(S + 1n);
    expect(calls).toEqual(["level 3 at 1.000000001"]);
    // Where the other node stands. In one stream times do not go back: the next is not before it.
    expect(run.act("alone", { level: "7 V" }).time).toBe(100n * S + 1n);
    expect(run.act("spy", { level: "4 V" }).time).toBe(100n * S + 1n);
    expect(calls).toEqual(["level 3 at 1.000000001", "level 7 at 100.000000001"]);
    expect(run.changeable().find(({ node }) => node === "spy")!.options[0]!.value).toBe(4);
    const ends = reached(run, "slow.values", 200);
    slow.items$.next(item([200]));
    slow.items$.complete();
    await ends;
    fast.items$.complete();
    expect((await done).failures).toEqual([]);
    // All before its time has been stepped over by then, and time has gone as far as that.
    const told = calls.indexOf("level 4 at 100.000000001");
    expect(calls[told - 1]).toMatch(/^\[\d 0\] up to 100\.000000001$/);
    expect(calls.slice(told + 1).every((call) => call.startsWith("["))).toBe(true);
  });

  test("that comes before the first row holds from the run's beginning", async () => {
    const { run, told } = start(simple(spied));
    moments["one"] = [item([-3, 5])];
    expect(run.act("spy", { level: 0 })).toEqual({ time: 0n, node: "spy", changes: { level: 0 }, by: "" });
    await run.start();
    expect(calls).toEqual([
      "start at 1", "[-3] up to 0", "level 0 at 0", "[5] up to 5.000000001", "[] up to Infinity",
    ]); // prettier-ignore
    expect(told.map(({ value }) => value)).toEqual(["0"]);
  });

  test("after the last row comes before the end", async () => {
    const { run } = start(simple(spied));
    moments["one"] = [item([1]), turn, () => void run.act("spy", { level: "9 V" })];
    await run.start();
    expect(calls.slice(-2)).toEqual(["level 9 at 1.000000001", "[] up to Infinity"]);
  });

  test("lasts into the next epoch; null takes it back", async () => {
    const { run } = start(simple(spied, { level: "5 V" }));
    const longer = {
      schema: { values: { fields: { value: scalar("V"), more: scalar("A") }, metadata: {} } },
    };
    const rows = (s: number): SourceItem => ({
      rows: {
        values: {
          time: BigInt64Array.of(BigInt(s) * S),
          value: Float64Array.of(s),
          more: Float64Array.of(s),
        },
      },
    });
    const act = (level: unknown) => async () => {
      await turn();
      run.act("spy", { level });
    };
    moments["one"] = [header, item([1]), act("2 V"), longer, rows(4), act("3 V"), act(null), rows(6)];
    await run.start();
    expect(calls.filter((call) => !call.startsWith("["))).toEqual([
      "start at 5", "level 2 at 1.000000001", "start at 2", "level 3 at 4.000000001", "level 5 at 4.000000001",
    ]); // prettier-ignore
    expect(calls).toContain("[4] up to 4.000000001");
  });

  test("several options of one action are one change", async () => {
    const { run, told, faults } = start({
      sources: { cell: { use: steered, script: "one" } },
      operators: { tally: { use: tallied, from: "cell.values", with: { entries: ["a", "b"] } } },
    });
    moments["one"] = [
      item([1, 2]),
      turn,
      () => void run.act("tally", { gain: 2, every: 2 }),
      () => void run.act("tally", { gain: 4 }),
      item([4]),
    ];
    await run.start();
    expect(faults).toEqual([
      "2.000000001 tally: at 2.000000001 s: every,2 gain,2",
      "2.000000001 tally: at 2.000000001 s: gain,4",
    ]);
    expect(told.map(({ number, option, value }) => [number, option, value])).toEqual([
      [0, "gain", "2"], [0, "every", "2"], [1, "gain", "4"],
    ]); // prettier-ignore
  });
});

/** As `spied`, of two ports. */
const paired = defineOperator({
  name: "test/paired",
  input: { left: { value: scalar("V") }, right: { value: scalar("V") } },
  output: { values: { value: scalar("V") } },
  config: { level: quantity("V", 1) },
  live: ["level"],
  start: () => ({
    step: ({ left, right }, _, upTo) => void calls.push(`[${left.length} ${right.length}] up to ${upTo}`),
    act: ({ seconds, changes }) => void calls.push(`level ${changes.level} at ${seconds}`),
  }),
});

/** One row of a picture. */
const picked = defineOperator({
  name: "test/picked",
  input: { frames: { data: image("1") } },
  output: ({ frames }, { row }) => {
    const [rows] = (frames.data.shape ?? []) as number[];
    if (rows !== undefined && row >= rows)
      throw new WiringError(`row ${row} is not on a picture of ${rows} rows`);
    return { rows: { mean: scalar("1"), row: scalar("1") } };
  },
  config: { row: integer(0, { min: 0 }) },
  live: ["row"],
  start({ row }) {
    let at = row;
    return {
      step({ frames }, out) {
        for (let i = 0; i < frames.length; i++)
          out.rows.add({ time: frames.time[i]!, mean: frames.at(i).data[at]!, row: at });
      },
      act: ({ changes }) => void (at = changes.row!),
    };
  },
});
const pictures = defineSource({
  name: "test/pictures",
  output: { frames: { data: image("1", { shape: [4, 1] }) } },
  config: {},
  async *open() {
    for (let i = 0; i < 4; i++) {
      yield { rows: { frames: { time: BigInt64Array.of(BigInt(i)), data: Float32Array.of(0, 10, 20, 30) } } };
      await turn();
    }
  },
});

describe("what cannot be", () => {
  const refusal = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(ActionError);
      return (error as Error).message;
    }
    throw new Error("it was accepted");
  };

  test("is refused with the reason, and leaves no trace", async () => {
    const { run, told, faults } = start({
      sources: { cell: { use: steered, script: "one" } },
      operators: {
        tally: { use: tallied, from: "cell.values", with: { entries: ["a", "b"] } },
        both: { use: interleaved, from: { left: "cell.values", right: "cell.values" } },
      },
    });
    const said: string[] = [];
    moments["one"] = [
      item([1]),
      turn,
      () => {
        for (const [node, changes] of [
          ["taly", { gain: 1 }], ["both", { gain: 1 }], ["tally", { gian: 1 }], ["tally", { entries: ["c"] }], ["tally", {}],
          ["tally", { every: 0 }], ["tally", { every: 1.5, gain: "2 V" }], ["tally", { gain: NaN }], ["tally", { gain: undefined }],
          ["tally", { gain: 13 }], ["tally", { gain: 2000 }],
        ] as const) said.push(refusal(() => run.act(node, changes))); // prettier-ignore
      },
      item([2]),
    ];
    await run.start();
    expect(said).toEqual([
      "node taly is not known; did you mean tally? Allowed: tally",
      "both has no options that can change while it runs; those of tally can",
      "tally.gian is not known; did you mean gain? Allowed: gain, every",
      "tally.entries cannot change while it runs; gain, every can",
      "tally: nothing to set was named",
      "tally.every: 0 is below 1",
      expect.stringMatching(/^tally\.every: wanted a whole number; tally\.gain: .*V/),
      "gain: NaN cannot be a value; null gives that of the pipeline file",
      "gain: no value; null gives that of the pipeline file",
      "tally: gain: 13 brings bad luck",
      "tally: tally.tallies would have other columns or metadata, which cannot change while it runs; set it in the pipeline file and start a new run",
    ]);
    expect(told).toEqual([]);
    expect(faults).toEqual([]);
    expect(run.streams().map(({ stream }) => stream)).not.toContain("actions");
    expect(refusal(() => run.act("tally", { gain: 2 }))).toMatch(/^tally has come to its end/);
  });

  test("is refused before anything is measured, where the run has no beginning yet", () => {
    const { run } = start(simple(spied), { origin: undefined });
    expect(refusal(() => run.act("spy", { level: "2 V" }))).toMatch(/^spy: nothing has been measured yet/);
  });

  test("shows only when the data come: then it is a fault, and the rest goes on", async () => {
    const { run, faults } = start({
      sources: { camera: { use: pictures } },
      operators: { spy: { use: picked, from: "camera.frames" } },
    });
    const means: number[] = [];
    run.tail("spy.rows").subscribe(({ columns }) => means.push(...((columns["mean"] as Float64Array) ?? [])));
    run.act("spy", { row: 9 });
    const { failures } = await run.start();
    expect(failures).toEqual([]);
    expect(faults).toEqual(["0 spy: row not changed: row 9 is not on a picture of 4 rows"]);
    expect(means).toEqual([0, 0, 0, 0]);
    expect(run.changeable()[0]!.options[0]!.value).toBe(0);
  });

  test("an operator that lists what may change, but cannot", async () => {
    const deaf = defineOperator({
      name: "test/deaf", input: { values: { value: scalar("V") } }, output: {}, config: { level: integer(1) }, live: ["level"],
      start: () => ({ step: () => {} }),
    }); // prettier-ignore
    const { run } = start(simple(deaf));
    moments["one"] = [item([1])];
    const { failures } = await run.start();
    expect(failures.map(({ error }) => error.message)).toEqual([
      "test/deaf has live options (level), but no act",
    ]);
  });

  test("more than a thousand that wait", async () => {
    const { run } = start(simple(spied));
    moments["one"] = [item([1])];
    for (let i = 0; i < 1000; i++) run.act("spy", { level: `${i} V` });
    expect(refusal(() => run.act("spy", { level: "1 V" }))).toMatch(/1000 changes wait/);
    await run.start();
    expect(calls.filter((call) => call.startsWith("level"))).toHaveLength(1000);
  });
});

test("options that may change are told with unit, choices and how they are set", () => {
  const { run } = start(simple(spied, { level: "200 mV" }));
  const acted: unknown[] = [];
  run.acted$.subscribe((one) => acted.push(one));
  const nodes = (value: number) => [
    {
      node: "spy",
      use: "test/spied",
      options: [{ option: "level", kind: "quantity", unit: "V", doc: "", value }],
    },
  ];
  expect(run.changeable()).toEqual(nodes(0.2));
  run.act("spy", { level: "3 V" }, { by: "Ada" });
  expect(run.changeable()).toEqual(nodes(3));
  expect(acted).toEqual([{ time: 0n, node: "spy", changes: { level: 3 }, by: "Ada" }]);
});

test("the name of the stream is no node's", () => {
  expect(() => plan({ sources: { actions: { use: steered } } })).toThrow(
    "sources.actions: the name actions is the run's own",
  );
});

test.each([1, 2, 7])("feed, in steps of %i rows, does to an operator what the runtime does", (rows) => {
  const seconds = [1, 2, 3, 4, 5, 6, 7];
  const { values } = item(seconds).rows! as { values: { time: BigInt64Array } };
  const actions = [
    { at: 3n * S, changes: { gain: 5 } },
    { at: 3n * S, changes: { gain: 13 } },
    { at: 6n * S, changes: { every: 2, gain: 0 } },
    { at: 99n * S, changes: { gain: 1 } },
  ];
  const options = { with: { entries: ["a"] }, actions, rows, reloadAfter: [2] };
  const { tallies, faults } = feed(tallied, { values }, options) as {
    tallies: Record<string, Float64Array>;
    faults: { time: bigint; what: string }[];
  };
  expect([...tallies["gain"]!]).toEqual([1, 1, 5, 5, 5, 0, 1]);
  expect([...tallies["sum"]!]).toEqual([1, 3, 18, 38, 63, 63, 63]);
  expect(faults.map(({ time, what }) => `${time / S} ${what}`).filter((what) => !/multiple|suit/.test(what))).toEqual([
    "3 at 3 s: gain,5", "3 gain not changed: gain: 13 brings bad luck", "6 at 6 s: every,2 gain,0", "99 at 99 s: gain,1",
  ]); // prettier-ignore
});

describe("a replay", () => {
  const PLACES = ["main", "worker", "workers"] as const;
  const pipeline = (places: readonly string[]): TestPipeline => ({
    sources: { one: { use: steered, script: "one" }, two: { use: steered, script: "two" } },
    operators: {
      clip: { use: clipped, from: "one.values", place: places[0]! },
      tally: {
        use: tallied,
        from: "clip.values",
        with: { entries: ["a", "bb", "ccc"], every: 3 },
        place: places[1]!,
      },
      other: { use: tallied, from: "two.values", with: { entries: ["a"] }, place: places[2]! },
      both: { use: interleaved, from: { left: "clip.values", right: "two.values" } },
    },
  });
  const DERIVED = /^(streams|levels)\/(clip|tally|other|both|faults|alarms)/;

  let count = 0;
  const startElsewhere = startInThreads(url, 2);
  let running: Run | undefined;
  async function record(
    graph: TestPipeline,
    from?: string,
  ): Promise<{ directory: string; done: Record<string, unknown>[] }> {
    const directory = join(scratch, String(count++));
    const recorder = await createRecorder({ directory, inThread: false });
    const recording = from === undefined ? undefined : await openRun(from);
    const { run, told } = start(graph, {
      recorder,
      recording,
      startElsewhere,
      creditBytes: 256,
      ringBytes: 256,
    });
    running = run;
    await writeManifest(directory, {
      operando: "test",
      name: "test",
      origin: "0",
      started: "2026-01-01T00:00:00Z",
    });
    const { failures } = await run.start();
    expect(failures).toEqual([]);
    await recorder.close();
    await recording?.close();
    return { directory, done: told };
  }
  /** Every byte of what is derived. */
  function derived(directory: string): Record<string, string> {
    const files: Record<string, string> = {};
    for (const part of ["streams", "levels"].filter((part) => existsSync(join(directory, part)))) {
      for (const path of readdirSync(join(directory, part), { recursive: true, encoding: "utf8" }).sort()) {
        const name = `${part}/${path}`;
        if (DERIVED.test(name) && /\.(arrows|idx)$/.test(name))
          files[name] = readFileSync(join(directory, name)).toString("base64");
      }
    }
    return files;
  }

  const deeds = fc.oneof(
    fc.record({ node: fc.constant("clip"), changes: fc.record({ limit: fc.integer({ min: -20, max: 200 }).map((v) => `${v} V`) }) }),
    fc.record({
      node: fc.constantFrom("tally", "other"),
      changes: fc.record(
        { gain: fc.constantFrom(0, 2, 5, 13, 2000, null), every: fc.integer({ min: 0, max: 5 }) },
        { requiredKeys: [] },
      ),
    }),
  ); // prettier-ignore
  /** Times a few rows each, and between them what is done after so many turns of the event loop. */
  const course = (epochs: 0 | 1) =>
    fc
      .array(
        fc.oneof(
          { weight: 3, arbitrary: fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }) },
          { weight: 2, arbitrary: fc.record({ deed: deeds, turns: fc.nat(6) }) },
          { weight: epochs, arbitrary: fc.constant("epoch" as const) },
        ),
        { minLength: 1, maxLength: 16 },
      )
      .map((moments) => {
        let t = 0;
        return moments.map((one) => (Array.isArray(one) ? one.map((step) => (t += step)) : one));
      });
  type Course = ReturnType<typeof course> extends fc.Arbitrary<infer T> ? T : never;
  const played = (course: Course): (SourceItem | (() => Promise<void>))[] => {
    let wide = false;
    const rows = (times: number[]): SourceItem => {
      const { values } = item(times).rows!;
      return { rows: { values: wide ? ({ ...values, more: Float64Array.from(times) } as never) : values! } };
    };
    const deed =
      (one: { deed: { node: string; changes: Record<string, unknown> }; turns: number }) => async () => {
        for (let i = 0; i < one.turns; i++) await turn();
        try {
          running!.act(one.deed.node, one.deed.changes);
        } catch (error) {
          if (!(error instanceof ActionError)) throw error;
        }
      };
    const epoch = (): SourceItem => {
      wide = !wide;
      const fields = { value: scalar("V"), ...(wide && { more: scalar("A") }) };
      return { schema: { values: { fields, metadata: {} } } };
    };
    return [
      header,
      ...course.map((one) => (one === "epoch" ? epoch() : Array.isArray(one) ? rows(one) : deed(one))),
      // Whatever was put off comes to pass.
      rows([10_000]),
    ];
  };

  const MAIN = ["main", "main", "main"];
  const repeats = (
    numRuns: number,
    seed: number,
    courses: fc.Arbitrary<Course>,
    places: fc.Arbitrary<readonly string[]>,
    examples: [Course, Course, readonly string[], readonly string[]][] = [],
  ) =>
    fc.assert(
      fc.asyncProperty(courses, courses, places, places, async (one, two, live, again) => {
        Object.assign(moments, { one: played(one), two: played(two) });
        const first = await record(pipeline(live));
        const files = derived(first.directory);
        expect(Object.keys(files).length).toBeGreaterThan(8);
        for (const { s } of first.done) if ((s as number) > 0) moved++;
        const second = await record(pipeline(again), first.directory);
        expect(second.done).toEqual(first.done);
        expect(derived(second.directory)).toEqual(files);
      }),
      { seed, numRuns, examples },
    );
  /** Actions that fell among rows. */
  let moved = 0;

  test("does the same at the same places: every byte of what is derived", async () => {
    await repeats(30, 21, course(1), fc.constant(MAIN), [
      // Both inputs of a node begin an epoch at one time: as one, whichever is heard first.
      [[[0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 3], "epoch"], ["epoch"], MAIN, MAIN],
    ]);
    expect(moved).toBeGreaterThan(20);
  });

  // An epoch starts threads anew, which takes long; what it does to actions does not depend on the place.
  test("also where steps are under way in threads, live or in the replay", () =>
    repeats(4, 22, course(0), fc.tuple(...[0, 1, 2].map(() => fc.constantFrom(...PLACES)))));

  test("through another graph does what it can, and tells the rest", async () => {
    Object.assign(moments, {
      one: [
        header,
        item([1]),
        turn,
        () => void running!.act("clip", { limit: "0 V" }),
        () => void running!.act("tally", { gain: 5, every: 1 }),
        item([2]),
      ],
      two: [header, item([1])],
    });
    const { directory } = await record(pipeline(["main", "main", "main"]));
    const recording = await openRun(directory);
    const stiff = defineOperator({ ...clipped, name: "test/stiff", live: [] });
    const { run, faults } = start(
      {
        sources: { one: { use: steered, script: "one" }, two: { use: steered, script: "two" } },
        operators: { clip: { use: stiff, from: "one.values" }, tally2: { use: tallied, from: "one.values" } },
      },
      { recording },
    );
    await run.start();
    expect(faults).toEqual([
      "1.000000001 actions: what was done at this time in the recorded run is left out: clip.limit cannot change while it runs; none of its options can",
      "1.000000001 actions: what was done at this time in the recorded run is left out: node tally is not known; did you mean tally2? Allowed: clip, tally2",
    ]);
    await recording.close();
  });

  test("may be steered in its turn, and records both", async () => {
    Object.assign(moments, {
      one: [
        header,
        item([1, 2]),
        turn,
        () => void running!.act("clip", { limit: "7 V" }, { by: "live" }),
        item([5, 9]),
      ],
      two: [header, item([1])],
    });
    const { directory } = await record(pipeline(["main", "main", "main"]));
    const recording = await openRun(directory);
    const { run, told } = start(pipeline(["main", "main", "main"]), { recording });
    const rows: [number, number][] = [];
    run.tail("clip.values").subscribe(({ columns }) => {
      columns.time.forEach((time, i) =>
        rows.push([Number(time / S), (columns["value"] as Float64Array)[i]!]),
      );
      if (rows.length === 1 || rows.length === 2) run.act("clip", { limit: "0.5 V" }, { by: "now" });
    });
    await run.start();
    expect(told.map(({ s, by }) => [s, by])).toEqual([[2.000000001, "live"], [2.000000001, "now"]]); // prettier-ignore
    expect(rows).toEqual([[1, 1], [2, 2], [5, 0.5], [9, 0.5]]); // prettier-ignore
    await recording.close();
  });
});
