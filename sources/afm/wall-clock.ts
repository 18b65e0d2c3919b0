import type { When, Zoned } from "./afm-file.ts";

/** A clock face of an instrument, such as "2021-10-11" and "15:52:01.871"; undefined where no clock shows that. */
export function whenOf(date: string, time: string, zoned: Zoned): When | undefined {
  if (!/^(19|20)\d\d-\d\d-\d\d$/.test(date) || !/^\d\d:\d\d:\d\d(\.\d{1,9})?$/.test(time)) return undefined;
  const face = `${date}T${time}`;
  const read = new Date(`${face.slice(0, 19)}Z`);
  if (Number.isNaN(read.getTime()) || read.toISOString().slice(0, 19) !== face.slice(0, 19)) return undefined;
  return { ns: zoned(face), zoned: false };
}

/** "6:18:49 PM", "18:18:49", "18:18:49.25" as a clock of 24 hours; undefined for anything else. */
export function clockOf(text: string): string | undefined {
  const match = /^(\d{1,2}):(\d\d):(\d\d(?:\.\d{1,9})?)\s*([AP]M)?$/i.exec(text.trim());
  if (!match) return undefined;
  const [, hours, minutes, seconds, half] = match;
  const twelve = half !== undefined;
  if (twelve && (Number(hours) < 1 || Number(hours) > 12)) return undefined;
  const hour = twelve ? (Number(hours) % 12) + (/pm/i.test(half) ? 12 : 0) : Number(hours);
  return `${String(hour).padStart(2, "0")}:${minutes}:${seconds}`;
}
