/** Times as JPK's programs write them: with an offset, with the name of a zone, or bare. */
import { SourceError } from "../../runtime/index.ts";
import type { When, Zoned } from "./afm-file.ts";

/** Names of zones that mean one thing everywhere [h ahead of UTC]; CST, IST, BST and their like do not. */
const ZONES: Record<string, number> = {
  Z: 0, UTC: 0, GMT: 0, WET: 0, WEST: 1, CET: 1, CEST: 2, EET: 2, EEST: 3, MSK: 3, JST: 9, KST: 9,
  EDT: -4, MDT: -6, PDT: -7, PST: -8,
}; // prettier-ignore

/** "2013-05-27 13:57:03.320 +0200", "2017-01-16 16:01:36.264 GMT"; a name that means several zones counts as none. */
export function parseTime(text: string, where: string, zoned: Zoned): When {
  const match =
    /^((?:19|20)\d{2}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s*(?:([+-])(\d{2}):?(\d{2})|([A-Z]{1,5}))?$/.exec(
      text.trim(),
    );
  const face_ms = match ? Date.parse(`${match[1]}T${match[2]}Z`) : NaN;
  if (!match || Number.isNaN(face_ms))
    throw new SourceError(`${where}: "${text}" is not a time such as 2013-05-27 13:57:03.320 +0200`);
  const [, date, clock, fraction = "", sign, hours, minutes, name] = match;
  const named = ZONES[name ?? ""];
  const ahead_min = sign ? Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) : named && named * 60;
  if (ahead_min === undefined) {
    try {
      return { ns: zoned(`${date}T${clock}${fraction && `.${fraction}`}`), zoned: false };
    } catch (cause) {
      if (!(cause instanceof SourceError)) throw cause;
      throw new SourceError(`${where}: ${cause.message}`, { cause });
    }
  }
  return {
    ns: BigInt(face_ms - ahead_min * 60_000) * 1_000_000n + BigInt(fraction.padEnd(9, "0")),
    zoned: true,
  };
}

/** What cannot be read as a time is missing, and a warning says so. */
export function timeOrMissing(
  text: string | undefined,
  where: string,
  zoned: Zoned,
  warnings: string[],
): When | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTime(text, where, zoned);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    warnings.push(`${error.message}; it counts as missing`);
    return undefined;
  }
}
