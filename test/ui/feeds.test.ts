import { expect, test } from "vitest";
import type { Ms } from "../../ui/client/types.ts";
import { momentOf, RowFeed } from "../../ui/row-feed.ts";
import { HOUR, MINUTE, TimeAxis } from "../../ui/time-axis.ts";
import { POINTS, TraceFeed } from "../../ui/trace-feed.ts";
import { FakeClient, START } from "./fake-client.ts";

function setUp(only: string) {
  const client = new FakeClient({ history: 3 * HOUR, only: [only] });
  const axis = new TimeAxis();
  axis.begin(START);
  axis.advance(client.now);
  const onData = (newest: Ms) => void (Number.isNaN(newest) || axis.advance(newest));
  return { client, axis, onData };
}

/** The made-up client answers in the next microtask. */
const answered = () => Promise.resolve();

test("a trace has what is on show, and a pause keeps it while the live buffer fills", async () => {
  const { client, axis, onData } = setUp("cycler.echem");
  const feed = new TraceFeed({ client, axis, stream: "cycler.echem", columns: ["voltage_volt"], onData });
  await answered();
  expect(feed.shown.length).toBeGreaterThan(0.9 * POINTS);
  axis.pause();
  const { length } = feed.shown;
  const { to } = axis.range;
  const asked = client.asked.length;
  client.advance(2 * MINUTE);
  expect(feed.shown.length).toBe(length);
  expect(axis.range.to).toBe(to);
  expect(feed.arrived.time[feed.arrived.length - 1]).toBeGreaterThan(to + MINUTE);
  axis.resume();
  expect(feed.shown).toBe(feed.arrived);
  expect(client.asked.length).toBe(asked); // nothing had to be asked for again
  feed.close();
});

test("a zoom asks for its own span in full resolution; going live needs nothing but the new width", async () => {
  const { client, axis, onData } = setUp("cycler.echem");
  axis.follow("all");
  const feed = new TraceFeed({ client, axis, stream: "cycler.echem", columns: ["voltage_volt"], onData });
  await answered();
  expect(client.asked.at(-1)).toMatchObject({ from: START, to: "live", maxPoints: POINTS });
  const [from, to] = [START + HOUR, START + HOUR + 5 * MINUTE];
  axis.zoom(from, to);
  await answered();
  expect(client.asked.at(-1)).toMatchObject({ from, to, maxPoints: POINTS });
  const { time, length } = feed.shown;
  expect(time[1]! - time[0]!).toBeLessThan(1000);
  expect(length).toBeLessThanOrEqual(POINTS + 1);
  axis.goLive();
  await answered();
  expect(client.asked.at(-1)).toMatchObject({ from: -5.5 * MINUTE, to: "live" });
  expect(feed.shown).toBe(feed.arrived);
  feed.close();
});

test("the whole run is asked for anew in wider buckets as it grows, so that memory stays what it is", async () => {
  const { client, axis, onData } = setUp("rolling.modulus");
  axis.follow("all");
  const feed = new TraceFeed({ client, axis, stream: "rolling.modulus", columns: ["modulus"], onData });
  await answered();
  for (let i = 0; i < 60; i++) {
    client.advance(12 * MINUTE);
    await answered();
  }
  expect(feed.shown.length).toBeLessThanOrEqual(2 * POINTS);
  expect(feed.shown.time[0]).toBeLessThan(START + MINUTE);
  feed.close();
});

test("images: the newest while live, the last complete one before the cursor, from memory or from the run", async () => {
  const { client, axis, onData } = setUp("afm.topography");
  const feed = new RowFeed({ client, axis, stream: "afm.topography", columns: ["data"], onData });
  await answered();
  const newest = feed.shown(momentOf(axis))!;
  expect(newest.time).toBe(START + Math.floor((3 * HOUR) / 64_000) * 64_000);
  client.advance(64_000);
  expect(feed.shown(undefined)!.time).toBe(newest.time + 64_000);

  axis.point(newest.time + 1000);
  expect(feed.shown(momentOf(axis))).toBe(newest);

  axis.point(START + 64_500);
  expect(feed.shown(momentOf(axis))).toBeUndefined();
  await answered();
  expect(feed.shown(momentOf(axis))!.time).toBe(START + 64_000);

  axis.point(undefined);
  axis.pause();
  const paused = feed.shown(momentOf(axis))!;
  client.advance(64_000);
  expect(feed.shown(momentOf(axis))!.time).toBeLessThanOrEqual(paused.time + 64_000);
  expect(feed.newest!.time).toBe(newest.time + 128_000);
  feed.close();
});
