import { expect, test } from "vitest";
import { Cadence, freshness } from "../../ui/freshness.ts";
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
