import fc from "fast-check";
import { expect, test } from "vitest";
import { timesToMs, toMs, toNs } from "../../../ui/client/decode.ts";

const time = fc.bigInt({ min: -(10n ** 18n), max: 9n * 10n ** 18n });

test("many times become the same ms as one by one, within a µs of the truth", () => {
  fc.assert(
    fc.property(fc.array(time), (times) => {
      const ms = timesToMs(BigInt64Array.from(times));
      times.forEach((t, i) => {
        expect(Math.abs(ms[i]! - toMs(t))).toBeLessThanOrEqual(0.002);
        const error_ns = toNs(ms[i]!) - t;
        expect(error_ns < 2500n && error_ns > -2500n).toBe(true);
      });
    }),
  );
});

test("whole ms come out exactly, both ways", () => {
  const ms = [0, 1, 1_790_000_000_002, 1_790_000_004_295, -5];
  expect([...timesToMs(BigInt64Array.from(ms, (t) => BigInt(t) * 1_000_000n))]).toEqual(ms);
  expect(ms.map((t) => toMs(toNs(t)))).toEqual(ms);
});

test("no time is NaN, and without end is without end", () => {
  expect(toMs(null)).toBeNaN();
  expect([toNs(Infinity), toNs(-Infinity)]).toEqual([2n ** 63n - 1n, 0n]);
});
