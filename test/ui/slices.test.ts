// Rows of slices: one of several, what stands beside them, greys that are shared, values at their first and last view.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { code, image, label, scalar } from "../../runtime/wire/schema.ts";
import { AsOf } from "../../ui/as-of.ts";
import type { RowsFrame } from "../../ui/client/types.ts";
import { GreyWindow } from "../../ui/grey-window.ts";
import type { PlanePanel } from "../../ui/image-panels.ts";
import { picking, rowOf } from "../../ui/picked-rows.ts";
import { marksOf } from "../../ui/plane-marks.ts";
import { RowFeed, type Row } from "../../ui/row-feed.ts";
import { stateLine, textAt } from "../../ui/slice-state.ts";
import { HOUR, TimeAxis } from "../../ui/time-axis.ts";
import { FakeClient, START } from "./fake-client.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());
const answered = () => vi.advanceTimersByTimeAsync(0);

const sliceOf = (feed: RowFeed, moment?: number) => {
  const row = feed.shown(moment);
  return row && { slice: Number((row.frame.columns["slice"] as Int32Array)[row.at]), time: row.time, size: (row.frame.columns["data"] as Float32Array).length }; // prettier-ignore
};

test("of a stream with several slices the one that is wanted comes, live and from history", async () => {
  const client = new FakeClient({ history: HOUR, tomography: true });
  const axis = new TimeAxis();
  const feed = new RowFeed({
    client: picking(client, { column: "slice", value: 16 }),
    axis, stream: "tomo.slices", columns: ["data", "slice", "coverage"], onData: () => {},
  }); // prettier-ignore
  await answered();
  expect(sliceOf(feed)).toEqual({ slice: 16, time: START + HOUR, size: 128 * 128 });
  client.advance(2000);
  await answered();
  expect(sliceOf(feed)).toMatchObject({ slice: 16, time: START + HOUR + 2000 });
  feed.shown(START + 61_000);
  await answered();
  expect(sliceOf(feed, START + 61_000)).toMatchObject({ slice: 16, time: START + 60_000 });
  feed.close();
  expect(client.subscriptions).toBe(0);
});

test("one question at a time: what comes meanwhile waits as the newest, and is counted; an answer that never comes is given up", async () => {
  const client = new FakeClient({ history: HOUR, tomography: true });
  const got: number[] = [];
  let dropped = 0;
  const picked = picking(client, { column: "slice", value: 16 }).subscribe(
    { stream: "tomo.slices", columns: ["data"], from: 0, to: "live" },
    (frame) => {
      if (frame.kind !== "rows") return;
      got.push(frame.time[0]!);
      dropped += frame.dropped;
    },
  );
  await answered();
  // Three emissions before an answer could come.
  for (let i = 0; i < 3; i++) client.advance(2000);
  await answered();
  expect(got).toEqual([START + HOUR, START + HOUR + 2000, START + HOUR + 6000]);
  expect(dropped).toBe(1);
  picked.close();

  const none = picking(client, { column: "slice", value: 999 }).subscribe(
    { stream: "tomo.slices", columns: ["data"], from: 0, to: "live" }, () => got.push(NaN),
  ); // prettier-ignore
  await answered();
  const asked = client.asked.length;
  for (let i = 0; i < 20; i++) client.advance(2000);
  await answered();
  expect(client.asked.length - asked).toBe(2);
  expect(client.subscriptions).toBe(2);
  none.close();
  expect(got).not.toContain(NaN);
});

const frame = (columns: Record<string, unknown>, metadata = {}): RowsFrame => ({
  kind: "rows", epoch: 0, row: 7, time: Float64Array.of(1, 2), dropped: 0, columns,
  schema: {
    fields: { axis: scalar("{px}"), filter: code({ codes: { 1: "hann" } }), window: label(), rebuild: code(), left_out: scalar("{frame}") },
    metadata,
  },
}); // prettier-ignore

test("one row of a frame stands alone", () => {
  const list = { values: Float64Array.of(1, 2, 3), offsets: Int32Array.of(0, 1, 3) };
  const row = rowOf(frame({ data: Float32Array.of(1, 2, 3, 4), window: ["a", "b"], list }), 1);
  expect(row.columns).toEqual({
    data: Float32Array.of(3, 4),
    window: ["b"],
    list: { values: Float64Array.of(2, 3), offsets: Int32Array.of(0, 2) },
  });
  expect([row.row, [...row.time]]).toEqual([8, [2]]);
});

test("the state line says what it was made from, and what is odd", () => {
  const columns = {
    axis: Float64Array.of(0, 63.25), filter: Int32Array.of(0, 1), window: ["", "180 deg"],
    oldest_age: Float64Array.of(0, 90), rebuild: Int32Array.of(0, 1), left_out: Float64Array.of(0, 3), filled: Float64Array.of(1, 0),
  }; // prettier-ignore
  const row = { time: 2, frame: frame(columns), at: 1, bytes: 0 };
  expect(stateLine(row).map(({ text }) => text)).toEqual([
    "rebuild pending: this is the picture from before",
    "window 180 deg",
    "axis 63.25 px",
    "filter hann",
    "oldest view 1 min 30 s before the newest",
    "3 views left out",
  ]);
  expect(textAt({ ...row, frame: frame({}, { filter: "ramp" }) }, "filter")).toBe("ramp");
});

test("planes cut each other where they lie in the sample, whatever part of it a picture shows", () => {
  const plane = (where: PlanePanel["plane"]) => ({ column: "data", plane: where }) as unknown as PlanePanel;
  const row = (shape: [number, number], metadata: Record<string, string> = {}, slice?: number): Row => ({
    time: 1, at: 0, bytes: 0,
    frame: {
      kind: "rows", epoch: 0, row: 0, time: Float64Array.of(1), dropped: 0,
      columns: slice === undefined ? {} : { slice: Int32Array.of(slice) },
      schema: { fields: { data: image("1/{px}", { shape }) }, metadata },
    },
  }); // prettier-ignore
  const planes = [plane(undefined), plane({ axis: "y", at: 10 }), plane({ axis: "x", at: -4 })];
  const [y, x, z] = ["#7fe0a0", "#ff9d76", "#7cc4ff"];
  const rows = [row([101, 101], {}, 30), row([64, 101]), row([64, 101])];
  expect(marksOf(planes, rows, 0)).toEqual([{ row: 40, hue: y }, { column: 46, hue: x }]); // y is upwards
  expect(marksOf(planes, rows, 1)).toEqual([{ row: 30, hue: z }, { column: 46, hue: x }]);
  expect(marksOf(planes, rows, 2)).toEqual([{ row: 30, hue: z }, { column: 60, hue: y }]);
  // Half as many pixels, about another place.
  const near = [row([51, 51], { pitch: "2", centre_x: "-20", centre_y: "6" }, 30), rows[1], rows[2]];
  expect(marksOf(planes, near, 0)).toEqual([{ row: 23, hue: y }, { column: 33, hue: x }]);
  expect(marksOf(planes, [undefined, rows[1]], 0)).toEqual([]);
  expect(marksOf([plane({ words: "through 0,0,0 normal 1,1,0" }), planes[1]!], [rows[1], rows[2]], 0)).toEqual([]);
}); // prettier-ignore

test("greys are shared, give way at once and close in late; what is set stays", () => {
  const greys = new GreyWindow();
  let changes = 0;
  greys.onChange(() => changes++);
  expect(greys.take("a", { low: 0, high: 10 })).toEqual({ low: 0, high: 10 });
  expect(greys.take("b", { low: -5, high: 4 })).toEqual({ low: -5, high: 10 });
  expect(greys.take("b", { low: -5.2, high: 4 })).toEqual({ low: -5, high: 10 });
  expect(greys.take("b", { low: -4, high: 4 })).toEqual({ low: -5, high: 10 });
  expect(greys.take("b", { low: 0, high: 4 })).toEqual({ low: 0, high: 10 });
  expect(changes).toBe(3);
  greys.choose({ low: 1, high: 2 });
  expect(greys.take("a", { low: 0, high: 100 })).toEqual({ low: 1, high: 2 });
  greys.choose(undefined);
  expect(greys.limits).toEqual({ low: 0, high: 100 });
  expect(greys.take("a", undefined)).toEqual({ low: 0, high: 4 });
});

test("a value is that of the last row before a time; until it is known, the last answer stands with its own time", async () => {
  const client = new FakeClient({ history: HOUR });
  const asOf = new AsOf(client, { stream: "cycler.echem", column: "test_time_second" });
  expect(asOf.at(START + 60_500)).toBeUndefined();
  await answered();
  expect(asOf.at(START + 60_500)).toEqual({ at: START + 60_500, value: 60 });
  // While one question is open, newer times wait as one.
  for (let t = 61; t <= 90; t++) asOf.at(START + t * 1000);
  expect(asOf.at(START + 120_000)).toEqual({ at: START + 60_500, value: 60 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(asOf.at(START + 120_000)).toEqual({ at: START + 120_000, value: 120 });
  expect(client.asked.length).toBe(2);
  // Before the first row there is nothing, and that does not hold up what follows for ever.
  asOf.at(START - 5000);
  await vi.advanceTimersByTimeAsync(1000);
  asOf.at(START + 240_000);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asOf.at(START + 240_000)?.value).toBe(240);
  asOf.close();
  expect(client.subscriptions).toBe(0);
});
