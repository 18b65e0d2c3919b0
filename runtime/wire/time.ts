/**
 * Times as people write them, and as the system keeps them: ns since 1970, UTC. Also runs in the browser.
 */

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)$/;

/** Reads "2026-11-22T10:15:00Z" or "2026-11-22 11:15:00.5+01:00". Throws RangeError that says what is allowed. */
export function parseTime(text: string): bigint {
  const wrong = (why: string): RangeError =>
    new RangeError(
      `"${text}" is not a time: ${why}; write it as 2026-11-22T10:15:00Z or 2026-11-22T11:15:00+01:00`,
    );
  const match = ISO.exec(text.trim());
  if (!match)
    throw wrong(/Z$|[+-]\d\d:?\d\d$/.test(text.trim()) ? "it has another form" : "it does not say its zone");
  const [year, month, day, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const ms = Date.UTC(year!, month! - 1, day, hour, minute, second);
  const read = new Date(ms);
  if (read.getUTCMonth() !== month! - 1 || read.getUTCDate() !== day) throw wrong("there is no such day");
  if (read.getUTCHours() !== hour || read.getUTCMinutes() !== minute || read.getUTCSeconds() !== second)
    throw wrong("there is no such hour");
  const zone = match[8]!;
  const offset_min =
    zone === "Z" ? 0 : Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2)));
  return BigInt(ms - offset_min * 60_000) * 1_000_000n + BigInt((match[7] ?? "").padEnd(9, "0"));
}

/** The same time to the nanosecond: "2026-11-22T10:15:00.000000000Z". */
export function formatTime(time: bigint): string {
  const ns = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (time - ns) / 1_000_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, -5)}.${String(ns).padStart(9, "0")}Z`;
}
