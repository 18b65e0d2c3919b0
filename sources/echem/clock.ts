/**
 * When a cycler's file began, in UTC. Files say it as local time without its zone, as an instant, to the day only, or
 * not at all; what stands in for it is said.
 */
import type { SourceContext } from "../../runtime/index.ts";
import { faceText, instantOf, instantsOf, utcOffset, zoneOf, type Zone } from "../local-time.ts";
import type { Start } from "./echem-file.ts";

export interface Clock {
  /** ns, UTC, at test time 0. */
  readonly start: bigint;
  readonly metadata: Readonly<Record<string, string>>;
  readonly doubts: readonly string[];
}

const NS_PER_S = 1_000_000_000n;

/** Test times reach from a linked technique's days to a cell's years; what is further off is no time. */
export const isTime = (s: number): boolean => Math.abs(s) < 1e10;

export const nanoseconds = (s: number): bigint => (isTime(s) ? BigInt(Math.round(s * 1e9)) : 0n);

export interface Written {
  /** When the file was last written, ns, UTC. */
  readonly modified: bigint;
  /** Test time of its last row; NaN where it has none. */
  readonly last_s: number;
}

/** Throws SourceError where a clock face was shown twice, or never, and nothing tells which it was. */
export function clockOf(start: Start | undefined, written: Written, context: SourceContext): Clock {
  const zone = zoneOf(context.timezone);
  const known = (instant: bigint, basis: string): Clock => ({
    start: instant,
    metadata: { time_basis: basis, acquisition_start: withOffset(instant, zone), timezone: zone.name },
    doubts: [],
  });
  if (start && "instant" in start) return known(start.instant, "absolute");
  if (start && "face" in start) {
    const instant = instantOf(start.face, zone, (instants) => byWriting(instants, written));
    return known(instant, context.timezoneAssumed ? "zone assumed" : "absolute");
  }
  const clock = withoutStart(start, written.modified - nanoseconds(written.last_s), zone);
  return context.placed ? { ...clock, doubts: [] } : clock;
}

/**
 * Which of the two instants that a clock showed twice a run began at. The rows cannot end after the file was
 * written; and where they end just before it was, the program closed it then. undefined where both remain possible.
 */
function byWriting(instants: readonly bigint[], { modified, last_s }: Written): bigint | undefined {
  const end = (instant: bigint): bigint => instant + nanoseconds(last_s);
  const possible = instants.filter((instant) => end(instant) <= modified + 60n * NS_PER_S);
  if (possible.length === 1) return possible[0];
  return possible.find((instant) => end(instant) >= modified - 600n * NS_PER_S);
}

/** The day that a file's settings were written on is the day of the start in every file that has both. */
function withoutStart(day: Extract<Start, { day: bigint }> | undefined, byModification: bigint, zone: Zone): Clock {
  const midnight = day?.day;
  const face = byModification + BigInt(zone.offsetAt(Number(byModification / 1_000_000n))) * 1_000_000n;
  const agrees = midnight === undefined || faceText(face).slice(0, 10) === faceText(midnight).slice(0, 10);
  const start = agrees ? byModification : (instantsOf(midnight, zone)[0] ?? midnight);
  const how = agrees
    ? `taken from when the file was last written, less its last test time${midnight === undefined ? "" : `; the day agrees with ${day!.from}`}`
    : `taken as the midnight that began ${faceText(midnight).slice(0, 10)}, ${day!.from}: known to the day only`;
  return {
    start,
    metadata: {
      time_basis: "first seen",
      time_note: how,
      acquisition_start: withOffset(start, zone),
      timezone: zone.name,
    },
    doubts: [
      `has no start time${day ? " (as BioLogic's .mpr before its run has ended)" : ""}; it is ${how}; if you know better, say when it began with start`,
    ],
  };
} // prettier-ignore

/** "2025-10-26T02:30:00.000+02:00" */
function withOffset(instant: bigint, zone: Zone): string {
  const offset_ms = zone.offsetAt(Number(instant / 1_000_000n));
  return faceText(instant + BigInt(offset_ms) * 1_000_000n).replace(" ", "T") + utcOffset(offset_ms).slice(3);
}
