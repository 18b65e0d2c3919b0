/** Times and durations as people read them. A time of day never stands without its offset from UTC. */
import type { Ms } from "./client/types.ts";

const two = (n: number) => String(Math.floor(n)).padStart(2, "0");

/** "14:32:07", with as many decimals as the span on show can tell apart. */
export function timeOfDay(time: Ms, decimals = 0): string {
  if (!Number.isFinite(time)) return "–";
  const date = new Date(time);
  const seconds = date.getSeconds() + (((time % 1000) + 1000) % 1000) / 1000;
  const unit = 10 ** decimals;
  const text = (Math.floor(seconds * unit) / unit).toFixed(decimals);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${text.padStart(decimals ? decimals + 3 : 2, "0")}`;
}

/** "22 Nov 14:32:07 +01:00". */
export function dateAndTime(time: Ms, decimals = 0): string {
  if (!Number.isFinite(time)) return "–";
  const date = new Date(time);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day} ${timeOfDay(time, decimals)} ${offset(date)}`;
}

export function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  return `${minutes < 0 ? "−" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

/** "0.8 s", "12 s", "4 min 10 s", "3 h 20 min", "2 d 4 h". */
export function duration(ms: Ms): string {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return "0 s";
  const seconds = ms / 1000;
  if (seconds < 1e-3) return `${(ms * 1000).toFixed(0)} µs`;
  if (seconds < 0.1) return `${ms.toFixed(0)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

/** Decimals of a second that one pixel of the span can tell apart. */
export function decimalsFor(span: Ms, pixels: number): number {
  const perPixel = span / Math.max(pixels, 1);
  return perPixel >= 1000 ? 0 : perPixel >= 100 ? 1 : perPixel >= 10 ? 2 : 3;
}

/** Labels of a time axis: the hour and minute, seconds where the step needs them, the day where it changes. */
export function timeLabels(splits: readonly Ms[], step: Ms): string[] {
  const decimals = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  let day = "";
  return splits.map((time, i) => {
    const date = new Date(time);
    const today = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    const clock = step >= 60_000 ? timeOfDay(time).slice(0, 5) : timeOfDay(time, decimals);
    // Only a change of day is said: the first label's day stands under the cursor.
    const changed = i > 0 && today !== day;
    day = today;
    if (step >= 86_400_000) return today;
    return changed ? `${today} ${clock}` : clock;
  });
}
