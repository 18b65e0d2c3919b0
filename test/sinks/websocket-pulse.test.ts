import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pulse } from "../../sinks/websocket-outbox.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** When it was flushed, ms, for rows that come every `period` ms. */
function flushedAt(pulse: Pulse<{ flush(): void }>, period: number, rows: number, phase = 0): number[] {
  const at: number[] = [];
  const member = { flush: () => void at.push(performance.now()) };
  for (let i = 0; i < rows; i++) setTimeout(() => pulse.mark(member), phase + i * period);
  return at;
}

test("rows a little slower than the pulse never wait, and instruments do not wait for one another", () => {
  const pulse = new Pulse(30);
  const began = performance.now();
  const [one, two] = [flushedAt(pulse, 33, 40), flushedAt(pulse, 33, 40, 11)];
  vi.advanceTimersByTime(2000);
  // A timer takes a millisecond at least.
  expect(one).toEqual(Array.from({ length: 40 }, (_, i) => began + 33 * i + 1));
  expect(two).toEqual(Array.from({ length: 40 }, (_, i) => began + 33 * i + 12));
});

test("faster rows come together at the pulse, the last of them too", () => {
  const pulse = new Pulse(30);
  const began = performance.now();
  const at = flushedAt(pulse, 4, 40);
  vi.advanceTimersByTime(2000);
  expect(at.length).toBe(7);
  at.slice(1).forEach((t, i) => expect(t - at[i]!).toBeGreaterThanOrEqual(29));
  expect(at.at(-1)! - began).toBeGreaterThanOrEqual(39 * 4);
});

test("who is forgotten is not called any more, nor is anybody after the end", () => {
  const pulse = new Pulse(30);
  const calls: string[] = [];
  const [one, two] = ["one", "two"].map((name) => ({ flush: () => void calls.push(name) }));
  pulse.mark(one!);
  pulse.mark(two!);
  pulse.forget(one!);
  vi.advanceTimersByTime(100);
  expect(calls).toEqual(["two"]);
  pulse.mark(two!);
  pulse.close();
  vi.advanceTimersByTime(100);
  expect(calls).toEqual(["two"]);
});
