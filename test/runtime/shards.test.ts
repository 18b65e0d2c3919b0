import { rmSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { BEGIN_OF_TIME, END_OF_TIME } from "../../runtime/batch.ts";
import { concat, type Columns } from "../../runtime/columns.ts";
import { defineOperator, defineSource, image, list, scalar, type Fault } from "../../runtime/index.ts";
import type { StepResult } from "../../runtime/instance.ts";
import { inOrder, ShardMerge, shares } from "../../runtime/shards.ts";
import { SharedCopies } from "../../runtime/shared-copies.ts";
import { startInThreads } from "../../runtime/workers.ts";
import { runToEnd } from "../helpers/graph.ts";
import { lopsided, repeated, tallied } from "../helpers/live-operators.ts";
import { item, played, script } from "../helpers/small-operators.ts";
import { threadRegistry } from "../helpers/thread-registry.ts";

const { url, directory } = threadRegistry("live-operators.ts");
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  [[], 4, [[]]],
  [["a"], 4, [["a"]]],
  [["a", "b", "c"], 1, [["a", "b", "c"]]],
  [["a", "b", "c"], 2, [["a"], ["b", "c"]]],
  [["a", "b", "c"], 8, [["a"], ["b"], ["c"]]],
])("%j in at most %i parts is %j", (all, most, parts) => {
  expect(shares(all, most)).toEqual(parts);
});

test("parts are contiguous, as even as can be, and lose nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 40 }), (all, most) => {
      const parts = shares(all, most);
      expect(parts.flat()).toEqual(all);
      const sizes = parts.map(({ length }) => length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(parts.length).toBe(Math.max(1, Math.min(most, all.length)));
    }),
    { seed: 3 },
  );
});

describe("what shards give", () => {
  const schema = { fields: { value: scalar("V") }, metadata: {} };
  const columns = (rows: readonly { time: number; value: number }[]): Columns => ({
    time: BigInt64Array.from(rows, ({ time }) => BigInt(time)),
    value: Float64Array.from(rows, ({ value }) => value),
  });

  test("comes out in order of time, then of the shards, however long one of them holds rows back", () => {
    const shard = fc.array(fc.nat(20), { maxLength: 12 }).map((times) => times.sort((a, b) => a - b));
    fc.assert(
      fc.property(
        fc.array(shard, { minLength: 1, maxLength: 4 }),
        fc.array(fc.array(fc.nat(12), { minLength: 4, maxLength: 4 }), { maxLength: 6 }),
        (times, steps) => {
          // One row of a time: of several, the order would depend on the steps.
          const shards = times.map((list, shard) =>
            [...new Set(list)].map((time, i) => ({ time: 4 * time + shard, value: 100 * shard + i })),
          );
          const merge = new ShardMerge(
            shards.map(() => 1),
            { values: schema },
          );
          const taken: Columns[] = [];
          let promised = BEGIN_OF_TIME;
          const done = shards.map(() => 0);
          for (const step of [...steps, [99, 99, 99, 99]]) {
            const last = step[0] === 99;
            const results = shards.map((rows, k): StepResult => {
              const to = Math.min(rows.length, done[k]! + step[k]!);
              const given = rows.slice(done[k], to);
              done[k] = to;
              const watermark = last ? END_OF_TIME : BigInt(rows[to]?.time ?? 100);
              return { rows: given.length > 0 ? { values: columns(given) } : {}, faults: [], watermark };
            });
            const { rows, watermark } = merge.take(results);
            if (rows["values"]) {
              expect(rows["values"].time[0]! >= promised).toBe(true);
              taken.push(rows["values"]);
            }
            promised = watermark;
          }
          const expected = shards.flat().sort((a, b) => a.time - b.time || a.value - b.value);
          if (expected.length === 0) expect(taken).toEqual([]);
          else expect(concat(taken, schema.fields)).toEqual(columns(expected));
        },
      ),
      { seed: 5, numRuns: 300 },
    );
  });

  test("of a port that no shard holds comes at once, while another port waits", () => {
    const merge = new ShardMerge([1, 1], { kept: schema, free: schema });
    const result = (value: number, kept: bigint): StepResult => ({
      rows: { kept: columns([{ time: 5, value }]), free: columns([{ time: 5, value }]) },
      faults: [],
      watermark: kept,
      watermarks: { kept, free: 9n },
    });
    const first = merge.take([result(1, 9n), result(2, 4n)]);
    expect(Object.keys(first.rows)).toEqual(["free"]);
    expect(first.watermarks).toEqual({ kept: 4n, free: 9n });
    expect(first.watermark).toBe(4n);
    const then = merge.take([
      { rows: {}, faults: [], watermark: 20n },
      { rows: {}, faults: [], watermark: 20n },
    ]);
    expect([...(then.rows["kept"]!["value"] as Float64Array)]).toEqual([1, 2]);
  });

  test("comes out in rounds of the whole list where several rows came in at one time, and step after step", () => {
    const merge = new ShardMerge([1, 2], { values: schema });
    const take = (watermark: number, ...given: [time: number, value: number][][]) => {
      const { rows } = merge.take(
        given.map((list) => ({
          rows: list.length > 0 ? { values: columns(list.map(([time, value]) => ({ time, value }))) } : {},
          faults: [],
          watermark: BigInt(watermark),
        })),
      );
      return [...((rows["values"]?.["value"] as Float64Array | undefined) ?? [])];
    };
    expect(take(9, [[5, 10], [5, 20]], [[5, 11], [5, 12], [5, 21], [5, 22]])).toEqual([10, 11, 12, 20, 21, 22]); // prettier-ignore
    // Not the same number of rounds: in the order of the shards.
    expect(take(19, [[15, 10], [15, 20]], [[15, 11], [15, 12], [16, 21], [16, 22]])).toEqual([10, 20, 11, 12, 21, 22]); // prettier-ignore
    // As when an action gives out rows at its time, and a row of that time comes after it.
    expect(
      take(
        20,
        [[20, 1]],
        [
          [20, 2],
          [20, 3],
        ],
      ),
    ).toEqual([]);
    expect(take(30, [[20, 4], [21, 7]], [[20, 5], [20, 6], [21, 8], [21, 9]])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]); // prettier-ignore
  });

  const faults = (...reported: string[][]): string[] => {
    const of = (text: string): Fault => ({ time: BigInt(/\d+/.exec(text)![0]), what: text });
    const results = reported.map((texts) => ({ rows: {}, faults: texts.map(of), watermark: 0n }));
    return inOrder(
      new ShardMerge(
        reported.map(() => 1),
        {},
      ).take(results).faults,
    ).map(({ what }) => what);
  };
  test("what all report alike comes once", () => {
    expect(faults(["all 1"], ["all 1"], ["all 1"])).toEqual(["all 1"]);
    expect(faults(["all 1", "a 1"], ["all 1", "b 1"])).toEqual(["a 1", "all 1", "b 1"]);
    expect(faults(["a 1", "a 5", "all 7"], ["b 2", "all 7", "b 8"])).toEqual([
      "a 1",
      "b 2",
      "a 5",
      "all 7",
      "b 8",
    ]);
    expect(faults(["all 1", "all 1"], ["all 1", "all 1"])).toEqual(["all 1", "all 1"]);
    expect(faults(["all 1", "all 1"], ["all 1"])).toEqual(["all 1", "all 1"]);
    expect(faults(["all 1"], ["all 1", "all 1"])).toEqual(["all 1", "all 1"]);
    expect(faults(["some 1"], ["some 1"], [])).toEqual(["some 1", "some 1"]);
  });
});

test("shared memory is used again once it is given back, and no sooner", () => {
  const copies = new SharedCopies();
  const rows = (value: number) => ({
    frames: { time: BigInt64Array.of(1n), data: new Float32Array(1 << 15).fill(value) },
  });
  const first = copies.of(rows(1));
  const second = copies.of(rows(2));
  const data = ({ columns }: typeof first) => columns["frames"]!["data"] as Float32Array;
  expect(first.columns["frames"]!.time).toEqual(BigInt64Array.of(1n));
  expect(data(first).buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(data(second).buffer).not.toBe(data(first).buffer);
  first.giveBack();
  const third = copies.of(rows(3));
  expect(data(third).buffer).toBe(data(first).buffer);
  expect(third.lent).toEqual([data(first).buffer]);
  expect(data(second)[0]).toBe(2);
  expect(data(third).every((v) => v === 3)).toBe(true);
  // What is shared already is read where it lies.
  const shared = new Float32Array(new SharedArrayBuffer(1 << 17));
  expect(data(copies.of({ frames: { time: BigInt64Array.of(1n), data: shared } }))).toBe(shared);
});

describe("in threads", () => {
  const ENTRIES = ["a", "bb", "cc", "dddd", "e"];
  const at = async (entries: string[], place: string, threads: number, every = 1) => {
    const { rows, failures } = await runToEnd(
      {
        sources: { cell: { use: played, script: "shards" } },
        operators: { tally: { use: tallied, from: "cell.values", with: { entries, every }, place } },
      },
      { startElsewhere: startInThreads(url, threads), origin: 0n },
    );
    expect(failures).toEqual([]);
    return { tallies: rows["tally.tallies"], faults: rows["faults"] };
  };

  test("any number of them gives the bits of one instance, faults too", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(20), { minLength: 8, maxLength: 40 }),
        fc.integer({ min: 2, max: 7 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 6 }),
        async (times, threads, every, piece) => {
          times.sort((a, b) => a - b);
          const header = { schema: { values: { fields: { value: scalar("V") }, metadata: {} } } };
          script["shards"] = [header];
          for (let i = 0; i < times.length; i += piece)
            script["shards"].push(
              item(
                times.slice(i, i + piece),
                times.slice(i, i + piece).map((t, k) => t + k),
              ),
            );
          const one = await at(ENTRIES, "main", 1, every);
          expect(one.tallies!.time.length).toBeGreaterThan(0);
          expect(await at(ENTRIES, "workers", threads, every)).toEqual(one);
        },
      ),
      { seed: 8, numRuns: 6, endOnFailure: true },
    );
  });

  test.each([[[]], [["only"]]])("a list of %j has one instance", async (entries) => {
    script["shards"] = [item([1, 2, 3, 5])];
    const one = await at(entries, "main", 1);
    expect(await at(entries, "workers", 3)).toEqual(one);
  });

  test("an operator whose columns depend on the list stops, and says why", async () => {
    script["shards"] = [item([1, 2])];
    const { failures } = await runToEnd(
      {
        sources: { cell: { use: played, script: "shards" } },
        operators: {
          odd: { use: lopsided, from: "cell.values", with: { entries: ["a", "b"] }, place: "workers" },
        },
      },
      { startElsewhere: startInThreads(url, 2) },
    );
    expect(failures.map(({ error }) => error.message)).toEqual([
      "test/lopsided: what it gives out depends on entries, by which its work is dealt out; set place: worker",
    ]);
  });

  test("frames are read where they lie, and what is handed on from them is not overwritten", async () => {
    const size = 160;
    const frames = defineSource({
      name: "test/large-frames",
      output: { frames: { data: image("{count}", { shape: [size, size] }) } },
      config: {},
      async *open() {
        for (let i = 0; i < 12; i++)
          yield {
            rows: {
              frames: { time: BigInt64Array.of(BigInt(i)), data: new Float32Array(size * size).fill(i) },
            },
          };
      },
    });
    const images = async (place: string) => {
      const { rows, failures } = await runToEnd(
        {
          sources: { xrm: { use: frames } },
          operators: {
            again: { use: repeated, from: "xrm.frames", with: { entries: ["a", "b", "c"] }, place },
          },
        },
        { startElsewhere: startInThreads(url, 3) },
      );
      expect(failures).toEqual([]);
      const { time, data } = rows["again.images"]!;
      return { times: [...time], bytes: Buffer.from((data as Float32Array).buffer) };
    };
    const one = await images("main");
    const many = await images("workers");
    expect(one.times.length).toBe(36);
    expect(many.times).toEqual(one.times);
    expect(many.bytes.equals(one.bytes)).toBe(true);
  });
});

test("a definition that contradicts itself is refused", () => {
  const define = (rest: object): unknown =>
    defineOperator({
      name: "test/odd", input: {}, output: {}, config: { list: list<string>([]), gain: scalarOption }, start: () => ({ step: () => {} }), ...rest,
    } as never); // prettier-ignore
  expect(() => define({ live: ["speed"] })).toThrow(
    "test/odd: its live option speed is not among its options",
  );
  expect(() => define({ key: { list: "gain" } })).toThrow("its key gain is not an option that is a list");
  expect(() => define({ key: { list: "list" }, live: ["list"] })).toThrow(/deals the work out/);
});
const scalarOption = tallied.config.gain;
