import fc from "fast-check";
import { expect, test } from "vitest";
import { makeBatch, type Batch } from "../../../runtime/batch.ts";
import type { Columns } from "../../../runtime/columns.ts";
import { createRecorder, openRun, type RecordedRun } from "../../../runtime/journal/index.ts";
import type { MinMax } from "../../../runtime/run-view.ts";
import { curve, scalar, type Schema } from "../../../runtime/wire/schema.ts";
import { appendAll, batches, manifest, newFolder, SECOND } from "./rows.ts";

const SCHEMA: Schema = {
  fields: {
    value: scalar("V"),
    shape: curve("nN"),
    count: scalar("1", { type: "u16" }),
    ticks: scalar("1", { type: "i64" }),
  },
  metadata: {},
};
const FROM = 1_700_000_000n * SECOND;
const ROWS = 40_000;

/** Noise with gaps, one spike, and rows that lie closer together and farther apart. */
function noise(): Columns {
  let seed = 7;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  let time = FROM;
  const times = Array.from({ length: ROWS }, () => (time += BigInt(Math.floor(random() ** 3 * 1e7))));
  return {
    time: BigInt64Array.from(times),
    value: Float64Array.from(times, (_, i) => (i === 33_333 ? 1e6 : i > 5000 && i < 5200 ? NaN : random())),
    shape: { values: new Float64Array(ROWS), offsets: Int32Array.from({ length: ROWS + 1 }, (_, i) => i) },
    count: Uint16Array.from(times, (_, i) => i % 1000),
    ticks: BigInt64Array.from(times, (_, i) => BigInt(i)),
  };
}

function bruteForce(
  { time }: Columns,
  values: ArrayLike<number>,
  { from, to, buckets }: { from: bigint; to: bigint; buckets: number },
): Omit<MinMax, "from" | "to"> {
  const min = new Float64Array(buckets).fill(NaN);
  const max = new Float64Array(buckets).fill(NaN);
  const count = new Uint32Array(buckets);
  for (let i = 0; i < time.length; i++) {
    if (time[i]! < from || time[i]! >= to || Number.isNaN(values[i])) continue;
    const b = Math.min(buckets - 1, Number(((time[i]! - from) * BigInt(buckets)) / (to - from)));
    min[b] = count[b] ? Math.min(min[b]!, values[i]!) : values[i]!;
    max[b] = count[b] ? Math.max(max[b]!, values[i]!) : values[i]!;
    count[b]!++;
  }
  return { min, max, count };
}

async function recorded(all: readonly Batch[], derived: boolean): Promise<RecordedRun> {
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false, segmentBytes: 400_000 });
  appendAll(recorder, all, { derived });
  await recorder.close();
  return openRun(directory);
}

const columns = noise();
const end = columns.time.at(-1)! + 1n;

test.each([true, false])(
  "finds what a walk over all rows finds, for any span and number of buckets; derived: %s",
  async (derived) => {
    const cuts = Array.from({ length: 90 }, (_, i) => 444 * (i + 1));
    const run = await recorded(batches("a.b", columns, SCHEMA, cuts), derived);
    const span = fc.record({
      from: fc.bigInt({ min: FROM - SECOND, max: end }),
      length: fc.bigInt({ min: 1n, max: end - FROM }),
      buckets: fc.integer({ min: 1, max: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(span, async ({ from, length, buckets }) => {
        const wanted = { from, to: from + length, buckets };
        expect(await run.minMax("a.b", "value", wanted)).toEqual({
          from,
          to: from + length,
          ...bruteForce(columns, columns["value"] as Float64Array, wanted),
        });
      }),
      { numRuns: 60, seed: 3 },
    );
    const whole = { from: FROM, to: end, buckets: 17 };
    expect(await run.minMax("a.b", "count", whole)).toMatchObject(
      bruteForce(columns, columns["count"] as Uint16Array, whole),
    );
    expect(await run.minMax("a.b", "ticks", whole)).toMatchObject(
      bruteForce(columns, Float64Array.from(columns["ticks"] as BigInt64Array, Number), whole),
    );
    const { max } = await run.minMax("a.b", "value", whole);
    expect(Math.max(...max)).toBe(1e6);
    await expect(run.minMax("a.b", "shape", whole)).rejects.toThrow(
      "a.b has no column shape of one number a row; it has value, count, ticks",
    );
  },
);

test("batches of a source that overlap in time are counted where their rows lie", async () => {
  // Each batch begins 50 ms before the one before it ended.
  const all = Array.from({ length: 60 }, (_, i) => {
    const time = BigInt64Array.from({ length: 100 }, (_, j) => FROM + BigInt(i * 50 + j) * 1_000_000n);
    const value = Float64Array.from(time, (_, j) => i + j / 100);
    return makeBatch({
      stream: "a.b",
      epoch: 0,
      row: i * 100,
      columns: { time, value },
      schema: { fields: { value: scalar("V") }, metadata: {} },
      watermark: time[50]!,
      state: "active",
    });
  });
  const time = BigInt64Array.from(all.flatMap(({ columns }) => [...columns.time]));
  const value = Float64Array.from(all.flatMap(({ columns }) => [...(columns["value"] as Float64Array)]));
  const run = await recorded(all, false);
  for (const buckets of [1, 7, 100]) {
    const span = { from: FROM + 1_000_000n, to: FROM + 2n * SECOND, buckets };
    expect(await run.minMax("a.b", "value", span)).toMatchObject(bruteForce({ time }, value, span));
  }
});

test("every epoch counts", async () => {
  const half = { ...columns, time: columns.time.map((t) => t + SECOND) };
  const run = await recorded(
    [...batches("a.b", columns, SCHEMA, []), ...batches("a.b", half, SCHEMA, [], 1)],
    false,
  );
  const { count } = await run.minMax("a.b", "ticks", { from: 0n, to: 2n ** 62n, buckets: 1 });
  expect(count[0]).toBe(2 * ROWS);
});

test("levels are Arrow streams whose blocks are known", async () => {
  const run = await recorded(batches("a.b", columns, SCHEMA, []), true);
  const { tableFromIPC } = await import("apache-arrow");
  const { readFileSync } = await import("node:fs");
  const table = tableFromIPC(readFileSync(`${run.directory}/levels/a.b/09/000000.arrows`));
  expect(table.numRows).toBe(Math.floor(ROWS / 512));
  const values = (columns["value"] as Float64Array).subarray(10 * 512, 11 * 512); // its first rows are missing
  const known = values.filter((v) => !Number.isNaN(v));
  const block = table.get(10)!;
  expect([block["value_min"], block["value_max"], block["value_count"]]).toEqual([
    Math.min(...known),
    Math.max(...known),
    known.length,
  ]);
  expect(block["value_mean"]).toBeCloseTo(known.reduce((a, b) => a + b) / known.length, 12);
  expect(table.getChild("last_time")!.get(10)).toBe(columns.time[11 * 512 - 1]);
});
