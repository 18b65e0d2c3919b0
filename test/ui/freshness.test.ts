import { expect, test } from "vitest";
import type { StreamHealth } from "../../ui/client/types.ts";
import { Cadence, freshness, freshnessByDue, StreamAges } from "../../ui/freshness.ts";
import { EventClock } from "../../ui/event-clock.ts";

test("learns the interval that most arrivals kept, and is not misled by one pause", () => {
  const cadence = new Cadence();
  expect(cadence.interval).toBeNaN();
  let t = 0;
  for (let i = 0; i < 20; i++) cadence.see((t += i === 10 ? 9000 : 64));
  expect(cadence.interval).toBe(64);
  cadence.see(t);
  expect(cadence.interval).toBe(64);
});

test.each([
  [1.4, "fresh"],
  [1.6, "late"],
  [2.9, "late"],
  [3.1, "stale"],
])("at %f of its interval a stream is %s", (share, state) => {
  const at = { lastTime: 1000, interval: 100, now: 1000 + share * 100, slack: 0 };
  expect(freshness({ ...at, ended: false })).toBe(state);
  expect(freshness({ ...at, ended: true })).toBe("ended");
});

test("before the first row it waits; before the interval is learnt nothing is late", () => {
  expect(freshness({ lastTime: NaN, interval: NaN, now: 5, slack: 0, ended: false })).toBe("waiting");
  expect(freshness({ lastTime: 0, interval: NaN, now: 1e9, slack: 0, ended: false })).toBe("fresh");
});

test("event time goes on at the speed of the run, and stops with the connection", () => {
  let now = 0;
  const catalogue = new Map([["a.b", { state: "active", derived: false }]]) as never;
  const client = {
    connection: { state: "open", mode: "simulated", speed: 60, latency_ms: 1 } as never,
    catalogue,
  };
  const clock = new EventClock(client, () => now);
  clock.see(5000);
  now = 10;
  expect(clock.now).toBe(5600);
  client.connection = { state: "lost", since: 0, reason: "", recording: true } as never;
  expect(clock.now).toBe(5000);
});

test.each([
  [20, "fresh"],
  [-1, "fresh"],
  [-2, "late"],
  [-90, "late"],
  [-92, "stale"],
])("rows that are due in %f s, said 30 s ahead, are %s", (due_s, state) => {
  expect(freshnessByDue(due_s, 30, 1.5)).toBe(state);
});

test("a file that is written every half minute is not late between: what its source says counts, else its own interval", () => {
  const entry = { stream: "a.b", state: "active", derived: false, lastTime: 0 };
  const catalogue = new Map([["a.b", entry]]);
  const client = {
    connection: { state: "open", mode: "live", speed: 1, latency_ms: 1 } as never,
    catalogue: catalogue as never,
    health: [] as readonly StreamHealth[],
    manifest: { pipeline: { operators: { made: { from: "a.b" }, again: { from: { rows: "made.rows" } } } } },
  };
  const clock = { now: 0, speed: 1 };
  const ages = new StreamAges(client, clock);
  const health = (due_s?: number) => {
    client.health = [{ stream: "a.b", rate_per_s: 1, lag_s: 0, gaps: 0, drops: 0, spills: 0, late: 0, state: "active", ...(due_s !== undefined && { due_s }) }]; // prettier-ignore
    ages.look();
  };
  const seen: string[] = [];
  for (let second = 1; second <= 150; second++) {
    clock.now = 1000 * second;
    const written = Math.min(60, 30 * Math.floor(second / 30)); // then nothing more is written
    // Each write seen in pieces, so that rows seem to come each second.
    entry.lastTime = 1000 * written - (second % 30 < 4 ? 1000 * (3 - (second % 30)) : 0);
    health(written + 30 - second);
    seen.push(ages.of("a.b").state);
  }
  expect(seen.slice(0, 91).every((state) => state === "fresh")).toBe(true);
  expect(seen.slice(91).every((state) => state === "late")).toBe(true);
  expect(ages.of("a.b").interval).toBe(30_000);
  clock.now = 1000 * 200;
  health(-110);
  expect(ages.of("a.b").state).toBe("stale");
  // Since rows came last: that was when they were said to be due in 30 s.
  expect(ages.of("a.b").age).toBe(140_000);
  // Of a source that does not know it, its own interval.
  health(undefined);
  expect(ages.of("a.b").interval).not.toBe(30_000);
  // What is made of it waits for it, and no longer.
  const made = { ...entry, stream: "again.rows", derived: true, lastTime: 0 };
  catalogue.set("again.rows", made as never);
  const states = [20, -20].map((due_s) => {
    const watching = new StreamAges(client, clock);
    for (let second = 1; second < 5; second++) {
      made.lastTime = 1000 * second;
      health(due_s);
      watching.look();
    }
    return watching.of("again.rows").state;
  });
  expect(states).toEqual(["fresh", "stale"]);
  // It was overdue before the page was opened.
  const late = new StreamAges(client, clock);
  client.health = [{ ...client.health[0]!, due_s: -4000 }];
  late.look();
  expect(late.of("a.b").state).toBe("late");
  entry.state = "ended";
  expect(late.of("a.b").state).toBe("ended");
});
