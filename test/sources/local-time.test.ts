import { expect, test } from "vitest";
import { faceText, instantOf, instantsOf, utcOffset, zoneOf } from "../../sources/local-time.ts";

const face = (text: string): bigint => BigInt(Date.parse(`${text}Z`)) * 1_000_000n;
const utc = (instant: bigint): string => new Date(Number(instant / 1_000_000n)).toISOString();
const berlin = zoneOf("Europe/Berlin");

test.each([
  ["Europe/Berlin", "2025-01-16 14:05:54.213", "2025-01-16T13:05:54.213Z"],
  ["Europe/Berlin", "2025-05-28 14:23:16.145", "2025-05-28T12:23:16.145Z"],
  ["Asia/Kolkata", "2025-05-28 14:23:16.145", "2025-05-28T08:53:16.145Z"],
  ["America/St_Johns", "2025-12-31 23:45:00.000", "2026-01-01T03:15:00.000Z"],
  ["Pacific/Kiritimati", "2025-01-01 00:10:00.000", "2024-12-31T10:10:00.000Z"],
  ["UTC", "2025-05-28 14:23:16.145", "2025-05-28T14:23:16.145Z"],
  ["Z", "2025-05-28 14:23:16.145", "2025-05-28T14:23:16.145Z"],
  ["UTC+02:00", "2025-10-26 02:30:00.000", "2025-10-26T00:30:00.000Z"],
  ["+0100", "2025-10-26 02:30:00.000", "2025-10-26T01:30:00.000Z"],
  ["UTC-3", "2025-10-26 02:30:00.000", "2025-10-26T05:30:00.000Z"],
])("%s showed %s at %s", (name, shown, at) => {
  const instant = instantOf(face(shown), zoneOf(name));
  expect(utc(instant)).toBe(at);
  expect(faceText(face(shown))).toBe(shown);
});

test("nanoseconds are handed on", () => {
  expect(instantOf(face("2025-01-16 14:05:54") + 123_456_789n, berlin) % 1_000_000_000n).toBe(123_456_789n);
});

test("the hour that comes twice has two instants, an hour apart", () => {
  const both = instantsOf(face("2025-10-26 02:30:00"), berlin);
  expect(both.map(utc)).toEqual(["2025-10-26T00:30:00.000Z", "2025-10-26T01:30:00.000Z"]);
  expect(instantsOf(face("2025-10-26 01:59:59.999"), berlin).map(utc)).toEqual(["2025-10-25T23:59:59.999Z"]);
  expect(instantsOf(face("2025-10-26 03:00:00"), berlin).map(utc)).toEqual(["2025-10-26T02:00:00.000Z"]);
  // half an hour, on the other side of the world, in the other autumn
  expect(instantsOf(face("2025-04-06 01:45:00"), zoneOf("Australia/Lord_Howe")).map(utc)).toEqual([
    "2025-04-05T14:45:00.000Z", "2025-04-05T15:15:00.000Z",
  ]); // prettier-ignore
});

test("of two instants the file's evidence chooses; without it the person is asked", () => {
  const twice = face("2025-10-26 02:30:00");
  expect(utc(instantOf(twice, berlin, (both) => both[1]))).toBe("2025-10-26T01:30:00.000Z");
  for (const among of [undefined, () => undefined]) {
    expect(() => instantOf(twice, berlin, among)).toThrow(
      'showed 2025-10-26 02:30:00.000 twice, and nothing in the file tells which it was; write "timezone: UTC+02:00" for the first time, or "timezone: UTC+01:00" for the second',
    );
  }
});

test("an hour that was skipped is refused, with the offset that the clock would have kept", () => {
  expect(instantsOf(face("2025-03-30 02:30:00"), berlin)).toEqual([]);
  expect(() => instantOf(face("2025-03-30 02:30:00"), berlin)).toThrow(
    /no clock in Europe\/Berlin showed .*UTC\+01:00/,
  );
});

test.each(["Europe/Atlantis", "UTC+99:00", "+02:75", ""])(
  "zone %j is refused with what may be written",
  (name) => {
    expect(() => zoneOf(name)).toThrow(
      /is not known; write an IANA name such as "Europe\/Berlin", or an offset such as "UTC\+02:00"/,
    );
  },
);

test("every hour of a year finds back its instant", () => {
  for (const name of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]) {
    const zone = zoneOf(name);
    for (let hour = 0; hour < 8760; hour += 7) {
      const at_ms = Date.UTC(2025, 0, 1, hour, 20);
      const shown = BigInt(at_ms + zone.offsetAt(at_ms)) * 1_000_000n;
      expect(instantsOf(shown, zone)).toContain(BigInt(at_ms) * 1_000_000n);
    }
  }
});

test("offsets as text", () => {
  expect([0, 3_600_000, -12_600_000, 20_700_000].map(utcOffset)).toEqual([
    "UTC+00:00",
    "UTC+01:00",
    "UTC-03:30",
    "UTC+05:45",
  ]);
});
