import { expect, test } from "vitest";
import { END_OF_TIME } from "../../runtime/batch.ts";
import { FAULTS, MergedLog } from "../../runtime/merged-log.ts";
import { Stream } from "../../runtime/stream.ts";

const fault = (node: string, time: number) => ({
  time: BigInt(time),
  node,
  what: `${node} at ${time}`,
  count: 1,
});

function logged(most?: number) {
  const stream = new Stream({ name: "faults", derived: true });
  const rows: string[] = [];
  stream.appended$.subscribe(({ columns }) => rows.push(...((columns["what"] ?? []) as string[])));
  const log = new MergedLog(stream, FAULTS, ["b", "a"], most);
  return { log, rows, stream };
}

test("rows come by event time, then by the node's name, once every node has promised", () => {
  const { log, rows, stream } = logged();
  log.add("b", fault("b", 5));
  log.add("b", fault("b", 9));
  log.promise("b", 10n);
  expect(rows).toEqual([]);
  log.add("a", fault("a", 5));
  log.promise("a", 6n);
  expect(rows).toEqual(["a at 5", "b at 5"]);
  log.promise("a", END_OF_TIME);
  log.promise("b", END_OF_TIME);
  expect(rows).toEqual(["a at 5", "b at 5", "b at 9"]);
  expect(stream.state).toBe("ended");
});

test("a row that breaks its node's promise is timed by the promise", () => {
  const { log } = logged();
  log.promise("a", 20n);
  expect(log.add("a", fault("a", 3)).time).toBe(20n);
});

test("a node that reports without end does not wait for a silent one, and loses nothing", () => {
  const { log, rows } = logged(10);
  for (let i = 0; i < 100; i++) log.add("b", fault("b", i));
  expect(rows.length).toBeGreaterThanOrEqual(90);
  // What the silent one says of that time is timed after it.
  const late = log.add("a", fault("a", 1)).time;
  expect(late).toBeGreaterThan(80n);
  log.promise("a", END_OF_TIME);
  log.promise("b", END_OF_TIME);
  expect(rows.length).toBe(101);
});
