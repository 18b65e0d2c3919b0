import { SourceError } from "../../runtime/index.ts";

/**
 * Nanoseconds since 1970, UTC, of a time written without its zone, "2024-10-27T02:30:00.5".
 * The hour that comes twice in autumn is refused, and so is the one that spring leaves out: both would be guesses.
 */
export function zonedTime(local: string, timezone: string): bigint {
  const asUtc_ms = Date.parse(`${local.slice(0, 19)}Z`);
  const day_ms = 86_400_000;
  const candidates = new Set([-day_ms, day_ms].map((ms) => asUtc_ms - offset_ms(asUtc_ms + ms, timezone)));
  const valid = [...candidates].filter((utc) => utc + offset_ms(utc, timezone) === asUtc_ms);
  if (valid.length !== 1) {
    const why = valid.length ? "comes twice" : "does not exist";
    throw new SourceError(
      `${local} ${why} in ${timezone}: the clocks were changed then; set \`timezone\` to a fixed offset such as Etc/GMT-1`,
    );
  }
  return BigInt(valid[0]!) * 1_000_000n + BigInt(local.slice(20, 29).padEnd(9, "0"));
}

function offset_ms(utc_ms: number, timezone: string): number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  }); // prettier-ignore
  const part = Object.fromEntries(
    format.formatToParts(utc_ms).map(({ type, value }) => [type, Number(value)]),
  );
  return (
    Date.UTC(part["year"]!, part["month"]! - 1, part["day"], part["hour"], part["minute"], part["second"]) -
    utc_ms
  );
}
