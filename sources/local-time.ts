/**
 * Clock faces to UTC. Instruments mostly write local time without its zone; the pipeline file's `timezone`, else
 * the machine's, says which it was: an IANA name ("Europe/Berlin") or an offset ("UTC+02:00", "+02:00", "UTC").
 *
 * A clock face that was shown twice (autumn) has two instants, one that was skipped (spring) has none. Neither
 * is guessed: what else is known of the file decides, or the person is asked for an offset.
 */
import { SourceError } from "../runtime/index.ts";

export interface Zone {
  readonly name: string;
  /** ms that its clocks are ahead of UTC at an instant (ms since 1970, UTC). */
  offsetAt(utc_ms: number): number;
}

/** The zone of that name; throws SourceError saying what may be written. */
export function zoneOf(name: string): Zone {
  const fixed = /^(?:UTC|GMT|Z)?(?:([+-])(\d{1,2})(?::?(\d{2}))?)?$/i.exec(name.trim());
  if (fixed && name.trim() !== "") {
    const [, sign = "+", hours = "0", minutes = "0"] = fixed;
    const offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -60_000 : 60_000);
    if (Number(minutes) < 60 && Math.abs(offset) <= 14 * 3_600_000) return { name, offsetAt: () => offset };
  }
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name, hourCycle: "h23", era: "short", year: "numeric", month: "numeric", day: "numeric",
      hour: "numeric", minute: "numeric", second: "numeric",
    }); // prettier-ignore
  } catch (cause) {
    const wanted = `an IANA name such as "Europe/Berlin", or an offset such as "UTC+02:00"`;
    throw new SourceError(`timezone "${name}" is not known; write ${wanted}`, { cause });
  }
  return {
    name,
    offsetAt(utc_ms) {
      const part: Record<string, number> = {};
      for (const { type, value } of format.formatToParts(utc_ms)) part[type] = Number(value);
      const shown = Date.UTC(
        part["year"]!,
        part["month"]! - 1,
        part["day"],
        part["hour"],
        part["minute"],
        part["second"],
      );
      return shown - Math.floor(utc_ms / 1000) * 1000;
    },
  };
}

const HOUR_MS = 3_600_000;

/** Every instant (ns, UTC) at which clocks of the zone showed this face (ns, read as if it were UTC), earliest first. */
export function instantsOf(face: bigint, zone: Zone): bigint[] {
  const face_ms = Number(face / 1_000_000n);
  // No zone is further than 15 h from UTC, and none changes twice within two days.
  const offsets = new Set([zone.offsetAt(face_ms - 16 * HOUR_MS), zone.offsetAt(face_ms + 16 * HOUR_MS)]);
  return [...offsets]
    .filter((offset) => zone.offsetAt(face_ms - offset) === offset)
    .map((offset) => face - BigInt(offset) * 1_000_000n)
    .sort((a, b) => (a < b ? -1 : 1));
}

/**
 * The one instant (ns, UTC) of a clock face. Where it was shown twice, `among` may choose one of the two by what
 * else the file tells (test times that must end before the file was written, say); undefined leaves it open.
 * Throws SourceError where it stays open, and where no clock of the zone ever showed it.
 */
export function instantOf(
  face: bigint,
  zone: Zone,
  among?: (instants: readonly bigint[]) => bigint | undefined,
): bigint {
  const instants = instantsOf(face, zone);
  if (instants.length === 1) return instants[0]!;
  const shown = faceText(face);
  if (instants.length === 0) {
    throw new SourceError(
      `no clock in ${zone.name} showed ${shown} (it was put forward over this time); ` +
        `say what the instrument's clock kept, such as "timezone: ${offsetText(zone, face)}"`,
    );
  }
  const chosen = among?.(instants);
  if (chosen !== undefined) return chosen;
  const [first, second] = instants.map(
    (instant) => `"timezone: ${utcOffset(Number((face - instant) / 1_000_000n))}"`,
  );
  throw new SourceError(
    `clocks in ${zone.name} showed ${shown} twice, and nothing in the file tells which it was; ` +
      `write ${first} for the first time, or ${second} for the second`,
  );
}

/** The clock face (ns, read as if it were UTC) that a text such as "2025-10-26T02:30:00.25" shows. */
export function readFace(text: string): bigint {
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1_000_000n + BigInt(text.slice(20, 29).padEnd(9, "0"));
}

/** A clock face (ns, read as if it were UTC) as text, to the millisecond: "2025-10-26 02:30:00.000". */
export function faceText(face: bigint): string {
  return new Date(Number(face / 1_000_000n)).toISOString().slice(0, -1).replace("T", " ");
}

/** "UTC+02:00" */
export function utcOffset(offset_ms: number): string {
  const minutes = Math.round(Math.abs(offset_ms) / 60_000);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `UTC${offset_ms < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

const offsetText = (zone: Zone, face: bigint): string =>
  utcOffset(zone.offsetAt(Number(face / 1_000_000n) - 16 * HOUR_MS));
