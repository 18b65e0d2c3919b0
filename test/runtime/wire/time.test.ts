import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTime, parseTime } from "../../../runtime/index.ts";

test.each([
  ["1970-01-01T00:00:00Z", 0n],
  ["1970-01-01T00:00:00.000000001Z", 1n],
  ["1969-12-31T23:59:59.999999999Z", -1n],
  ["2026-11-22T11:15:00.25+01:00", 1_795_342_500_250_000_000n],
  ["2026-11-22 05:45:00-0430", 1_795_342_500_000_000_000n],
  ["2026-11-22Z", 1_795_305_600_000_000_000n],
])("%s", (text, time) => {
  expect(parseTime(text)).toBe(time);
});

test.each([
  ["2026-11-22T10:15:00", /does not say its zone; write it as/],
  ["yesterday", /does not say its zone/],
  ["22.11.2026 10:15Z", /has another form/],
  ["2026-02-30T00:00:00Z", /no such day/],
  ["2026-13-01T00:00:00Z", /no such day/],
  ["2026-11-22T24:30:00Z", /no such (day|hour)/],
  ["2026-11-22T10:15:00.0000000001Z", /has another form/],
])("%s is refused", (text, message) => {
  expect(() => parseTime(text)).toThrow(message);
});

test("what is written is read back to the nanosecond", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), (time) => {
      expect(parseTime(formatTime(time))).toBe(time);
    }),
    { seed: 1 },
  );
});
