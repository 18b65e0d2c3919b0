import { parseTime, type SourceContext } from "../../runtime/index.ts";
import { instantOf, zoneOf } from "../local-time.ts";
import type { Part, Scan } from "./scan.ts";

/**
 * When each frame of a scan was taken: as its parts say, else its start and one frame after the other, every
 * 1 / `rate`, else every exposure, else every second, which a remark says. A scan without a start was written when it
 * was written: its last frame is put there, and `basis` says "first seen".
 *
 * A time is a frame's identity: of frames that say the same time each is put 1 ns after the one before it, and so are
 * files that were written before the ones that came ahead of them.
 */
export interface FrameClock {
  /** Of the first frame [ns]. */
  readonly start: bigint;
  /** Of the last frame that `timesOf` has timed [ns]. */
  readonly last: bigint;
  readonly basis: "absolute" | "zone assumed" | "first seen";
  /** How the times of frames were obtained, in words. */
  readonly spacing: string;
  /** The start as the file has it. */
  readonly written?: string;
  readonly remarks: readonly string[];
  /** By frame of a part [ns]; parts are timed once, in their order. */
  timesOf(part: Part): BigInt64Array;
}

export function clockOf(scan: Scan, rate_Hz: number, context: SourceContext): FrameClock {
  const { start: written, exposure_s, times_of, written_ns } = scan.clock;
  const frames = scan.parts.reduce((n, part) => n + part.frames, 0);
  const remarks: string[] = [];
  const has = scan.parts.every(({ times_s }) => times_s) && !(times_of === "files" && rate_Hz > 0);
  const times_s = has ? scan.parts.flatMap((part) => [...part.times_s!]) : [];
  const back = times_s.findIndex((t, i) => !(t >= (i > 0 ? times_s[i - 1]! : -Infinity)));
  if (back >= 0) remarks.push(`its times of frames go back at frame ${back} (or are no numbers); they are not used`);
  const stored = has && frames > 0 && back < 0;

  const spacing_s = rate_Hz > 0 ? 1 / rate_Hz : (exposure_s ?? 1);
  const spacing =
    stored ? times_of === "files" ? "when the files were written" : "from the file"
    : rate_Hz > 0 ? `every 1/${rate_Hz} s (option rate)`
    : exposure_s ? `every ${exposure_s} s, the exposure time, without pause`
    : "assumed: one a second"; // prettier-ignore
  if (!stored && rate_Hz === 0 && !exposure_s) {
    remarks.push("does not say when its frames were taken, nor how long they were exposed: one a second is assumed; set rate");
  }

  const ns = (s: number): bigint => BigInt(Math.round(s * 1e9));
  const first_s = stored ? times_s[0]! : 0;
  const timed = (zero: bigint, rest: Pick<FrameClock, "basis" | "written">): FrameClock => {
    let frame = 0;
    const start = zero + ns(first_s);
    let lastSaid = start;
    const clock = {
      start, last: start, spacing, remarks, ...rest,
      timesOf(part: Part): BigInt64Array {
        const time = new BigInt64Array(part.frames);
        for (let i = 0; i < part.frames; i++, frame++) {
          const said_s = stored ? (part.times_s?.[i] ?? NaN) : frame * spacing_s;
          const said = Number.isFinite(said_s) ? zero + ns(said_s) : lastSaid;
          const again = frame > 0 && said <= clock.last && (said >= lastSaid || times_of === "files");
          clock.last = time[i] = again ? clock.last + 1n : said;
          lastSaid = said;
        }
        return time;
      },
    };
    return clock;
  }; // prettier-ignore
  if (stored && times_of === "files") return timed(0n, { basis: "first seen" });
  // Counted from 1970 such times are above 10^8 s; no scan lasts three years.
  if (stored && first_s > 1e8) return timed(0n, { basis: "absolute" });
  const at = written === undefined ? undefined : startOf(written, context);
  if (at) return timed(at.start, { basis: at.basis, written: written! });
  if (written !== undefined) remarks.push(`its start "${written}" is not a time; wanted such as 2026-11-22T10:15:00+01:00`);
  const length_s = stored ? times_s.at(-1)! : Math.max(0, frames - 1) * spacing_s;
  return timed(written_ns - ns(length_s), { basis: "first seen" });
} // prettier-ignore

/** When a start as written was: with a zone as it says, without one by the clocks of `timezone`; undefined if no time. */
function startOf(written: string, context: SourceContext): { start: bigint; basis: FrameClock["basis"] } | undefined {
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(written);
  let face: bigint;
  try {
    face = parseTime(zoned ? written : `${written}Z`);
  } catch {
    return undefined;
  }
  if (zoned) return { start: face, basis: "absolute" };
  const start = instantOf(face, zoneOf(context.timezone));
  return { start, basis: context.timezoneAssumed ? "zone assumed" : "absolute" };
} // prettier-ignore
