import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { code, defineOperator, defineSource, label, scalar, type SourceItem } from "../../runtime/index.ts";
import { runToEnd } from "../helpers/graph.ts";
import { doubled, interleaved, item, played, S, script, summed } from "../helpers/small-operators.ts";

test("a row goes from source through operators to a stream", async () => {
  Object.assign(script, { a: [item([1, 2]), item([3])] });
  const { rows } = await runToEnd({
    sources: { cell: { use: played } },
    operators: {
      twice: { use: doubled, from: "cell.values" },
      again: { use: doubled, from: "twice.values" },
    },
  });
  expect([...(rows["again.values"]!["value"] as Float64Array)]).toEqual([4, 8, 12]);
  expect([...rows["again.values"]!.time]).toEqual([1n * S, 2n * S, 3n * S]);
});

test("windows close when the watermark passes their end, and at the end", async () => {
  Object.assign(script, { a: [item([10, 11, 12]), item([19, 25]), item([41])] });
  const { rows } = await runToEnd(
    { sources: { cell: { use: played } }, operators: { sum: { use: summed, from: "cell.values" } } },
    { origin: 0n },
  );
  expect([...(rows["sum.sums"]!["value"] as Float64Array)]).toEqual([52, 25, 41]);
});

test("the end is told once, by itself, after the last rows: also of those that waited for it", async () => {
  const steps: string[] = [];
  const heard = defineOperator({
    ...doubled,
    name: "test/heard",
    start: () => ({
      step: ({ values }, _, upTo) => void steps.push(`${[...values.value].join(" ")} before ${upTo}`),
    }),
  });
  // Of equal times nobody knows whether another follows.
  Object.assign(script, { a: [item([10, 11, 11])] });
  await runToEnd(
    { sources: { cell: { use: played } }, operators: { hears: { use: heard, from: "cell.values" } } },
    { origin: 0n },
  );
  expect(steps).toHaveLength(3);
  expect(steps[0]).toMatch(/^10 before (10\.9|11)/);
  expect(steps[1]).toMatch(/^11 11 before 11\.00000000/);
  expect(steps[2]).toBe(" before Infinity");
});

test("an optional column that a file means otherwise is left out, which is said; it stops nobody", async () => {
  const seen: unknown[] = [];
  const optional = defineOperator({
    ...doubled,
    name: "test/optional",
    input: { values: { value: scalar("V"), mode: code({ optional: true }), dq: scalar("A.h", { optional: true }) } },
    start: (_, { inputs }) => ({
      step: ({ values }) => void seen.push(Object.keys(inputs.values.fields), values.mode, values.at(0)),
    }),
  });
  Object.assign(script, {
    a: [
      {
        schema: { values: { fields: { value: scalar("V"), mode: label(), dq: scalar("mA.h") }, metadata: {} } },
        rows: { values: { time: BigInt64Array.of(S), value: Float64Array.of(3), mode: ["CC"], dq: Float64Array.of(1) } },
      },
    ],
  });
  const { failures, rows } = await runToEnd(
    { sources: { cell: { use: played } }, operators: { one: { use: optional, from: "cell.values" } } },
    { origin: 0n },
  );
  expect(failures).toEqual([]);
  expect(rows["faults"]!["what"]).toEqual([
    "does not use cell.values.mode: values.mode must be a code; cell.values.mode is a label",
    "does not use cell.values.dq: values.dq must be in A.h; cell.values.dq is in mA.h",
  ]);
  expect(seen[0]).toEqual(["value"]);
  expect(seen[1]).toBeUndefined();
  expect(seen[2]).toEqual({ time: S, seconds: 1, value: 3 });
}); // prettier-ignore

test("rows that come after the promise are late: counted, shown, and given to nobody else", async () => {
  Object.assign(script, { a: [{ ...item([10]), watermark: 12n * S }, item([11, 13]), item([12, 14])] });
  const { rows } = await runToEnd({
    sources: { cell: { use: played } },
    operators: { twice: { use: doubled, from: "cell.values" } },
  });
  expect([...(rows["twice.values"]!["value"] as Float64Array)]).toEqual([20, 26, 28]);
  expect([...(rows["cell.values.late"]!["of_time"] as BigInt64Array)]).toEqual([11n * S, 12n * S]);
});

const times = fc
  .array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 })
  .map((list) => list.sort((a, b) => a - b));
const cuts = (list: number[]) =>
  fc
    .array(fc.nat(list.length), { maxLength: 6 })
    .map((at) => [...new Set([0, ...at, list.length])].sort((a, b) => a - b));

test("a result does not depend on cuts or on the order of arrival between streams", async () => {
  const pipeline = {
    sources: { one: { use: played, script: "one" }, two: { use: played, script: "two" } },
    operators: {
      both: { use: interleaved, from: { left: "one.values", right: "two.values" } },
      sum: { use: summed, from: "one.values" },
      behind: { use: interleaved, from: { left: "sum.sums", right: "two.values" } },
    },
  };
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(times, times).chain(([a, b]) => fc.tuple(fc.constant(a), fc.constant(b), cuts(a), cuts(b))),
      async ([a, b, cutsA, cutsB]) => {
        const pieces = (list: number[], at: number[]) =>
          at.slice(1).map((to, i) => item(list.slice(at[i], to)));
        const only = async (one: SourceItem[], two: SourceItem[]) => {
          const header = { schema: { values: { fields: { value: scalar("V") }, metadata: {} } } };
          Object.assign(script, { one: [header, ...one], two: [header, ...two] });
          const { rows, failures } = await runToEnd(pipeline, { origin: 0n, creditBytes: 64 });
          expect(failures).toEqual([]);
          return ["both.rows", "sum.sums", "behind.rows"].map((name) => rows[name]);
        };
        expect(await only(pieces(a, cutsA), pieces(b, cutsB))).toEqual(await only([item(a)], [item(b)]));
      },
    ),
    { seed: 7, numRuns: 60 },
  );
});

test("an operator that throws is parked, its outputs end, and the rest goes on", async () => {
  const failing = defineOperator({
    ...doubled,
    name: "test/failing",
    start: () => ({
      step({ values }) {
        if (values.value.includes(3)) throw new Error("three is too much");
      },
    }),
  });
  Object.assign(script, { a: [item([1]), item([2]), item([3]), item([4])] });
  const { rows, failures, run } = await runToEnd({
    sources: { cell: { use: played } },
    operators: { bad: { use: failing, from: "cell.values" }, good: { use: doubled, from: "cell.values" } },
  });
  expect(failures.map(({ node, error }) => `${node}: ${error.message}`)).toEqual(["bad: three is too much"]);
  expect(rows["good.values"]!.time.length).toBe(4);
  expect(rows["faults"]!["what"]).toEqual(["bad stopped: three is too much"]);
  expect(run.nodes().find(({ name }) => name === "bad")!.state).toBe("parked");
});

test("a source that fails ends its streams; what it gave is worked on, and the run says so", async () => {
  const broken = defineSource({
    ...played,
    name: "test/broken",
    async *open() {
      yield item([1, 2]);
      throw new Error("cell7.mpr: ends after 3 of 9 bytes");
    },
  });
  const { rows, failures } = await runToEnd({
    sources: { cell: { use: broken } },
    operators: { twice: { use: doubled, from: "cell.values" } },
  });
  expect(rows["twice.values"]!.time.length).toBe(2);
  expect(failures[0]!.node).toBe("cell");
  expect(rows["faults"]!["what"]).toEqual(["cell7.mpr: ends after 3 of 9 bytes"]);
});

test("rows that may come out of order are sorted before anybody sees them, whenever they came", async () => {
  const unruly = defineSource({ ...played, name: "test/unruly", disorder: () => 5n * S });
  // Each lies less than 5 s before the newest before it, but for the 1, which is late.
  Object.assign(script, {
    a: [item([4]), item([2]), item([9]), item([6]), item([1]), item([12]), item([8])],
  });
  for (const [name, clock] of [
    ["frozen", () => 0],
    [
      "racing",
      (
        (t) => () =>
          (t += 1000)
      )(0),
    ],
  ] as const) {
    const spy = vi.spyOn(performance, "now").mockImplementation(clock);
    const { rows, failures } = await runToEnd({
      sources: { cell: { use: unruly } },
      operators: { twice: { use: doubled, from: "cell.values" } },
    });
    spy.mockRestore();
    expect(failures, name).toEqual([]);
    expect([...(rows["twice.values"]!["value"] as Float64Array)], name).toEqual([4, 8, 12, 16, 18, 24]);
    expect([...(rows["cell.values.late"]!["of_time"] as BigInt64Array)], name).toEqual([1n * S]);
  }
});

test("what a source could not read is a fault at its time; where it says so, the run has failed", async () => {
  Object.assign(script, {
    a: [
      { ...item([1, 2]), faults: [{ time: 1n * S, what: "byte 9: nobody knows what this is" }] },
      { ...item([5]), faults: [{ time: 4n * S, what: "byte 20: cut short", unread: true }] },
    ],
  });
  const { rows, failures } = await runToEnd({ sources: { cell: { use: played } } });
  expect([...rows["faults"]!.time]).toEqual([1n * S, 4n * S]);
  expect(rows["faults"]!["what"]).toEqual(["byte 9: nobody knows what this is", "byte 20: cut short"]);
  expect([...rows["cell.faults"]!.time]).toEqual([1n * S, 4n * S]);
  expect(failures.map(({ error }) => error.message)).toEqual(["byte 20: cut short"]);
});

test("a new schema begins a new epoch: operators finish and start anew", async () => {
  const wider = { fields: { value: scalar("V"), other: scalar("A") }, metadata: {} };
  Object.assign(script, {
    a: [
      item([1, 12]),
      {
        schema: { values: wider },
        rows: {
          values: {
            time: BigInt64Array.of(13n * S, 14n * S),
            value: Float64Array.of(5, 6),
            other: Float64Array.of(0, 0),
          },
        },
      },
    ],
  });
  const { rows, batches } = await runToEnd(
    { sources: { cell: { use: played } }, operators: { sum: { use: summed, from: "cell.values" } } },
    { origin: 0n },
  );
  expect([...(rows["sum.sums"]!["value"] as Float64Array)]).toEqual([1, 12, 11]);
  expect(batches["sum.sums"]!.map(({ epoch }) => epoch)).toEqual([0, 0, 1]);
  expect(batches["cell.values"]!.map(({ epoch, row }) => [epoch, row])).toEqual([[0, 0], [1, 0]]); // prettier-ignore
});

test("sources of which one alone moves the graph on do not wait for each other", async () => {
  // Far more than the credit of 64 bytes on one side before the other says anything.
  Object.assign(script, { one: Array.from({ length: 200 }, (_, i) => item([i])), two: [item([500])] });
  const { rows } = await runToEnd(
    {
      sources: { one: { use: played, script: "one" }, two: { use: played, script: "two" } },
      operators: { both: { use: interleaved, from: { left: "one.values", right: "two.values" } } },
    },
    { origin: 0n, creditBytes: 64 },
  );
  expect(rows["both.rows"]!.time.length).toBe(201);
});
