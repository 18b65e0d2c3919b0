/**
 * How the values of an image are spread: counts in bins of equal width, of the logarithm where the scale is one. The
 * bins reach as far as the values, but no further than half their usual span beyond it: what lies further is counted in
 * the first and the last.
 */
import { limits, type Limits } from "./colour-maps.ts";

export interface Histogram extends Limits {
  readonly counts: Uint32Array;
  readonly log: boolean;
  /** Values that were counted. */
  readonly n: number;
}

const MOST_BINS = 96, FEWEST_BINS = 16; // prettier-ignore
/** Values that are looked at. */
const SAMPLE = 65_536;

/** Undefined where nothing was measured, or where nothing is positive and the scale is a logarithm. */
export function histogram(values: ArrayLike<number>, log: boolean, window?: Limits): Histogram | undefined {
  const own = limits(values, log ? "log" : "linear");
  if (!own) return undefined;
  const stride = Math.max(1, Math.ceil(values.length / SAMPLE));
  let [least, most, n] = [Infinity, -Infinity, 0];
  for (let i = 0; i < values.length; i += stride) {
    const value = values[i]!;
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    n++;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const { low, high } = reach(own, { low: least, high: most }, log, window);
  // Few pixels in many bins are a comb.
  const bins = Math.min(MOST_BINS, Math.max(FEWEST_BINS, Math.round(1.25 * Math.sqrt(n))));
  const counts = new Uint32Array(bins);
  for (let i = 0; i < values.length; i += stride) {
    const at = placeOf(values[i]!, { low, high }, log);
    if (!Number.isFinite(at)) continue;
    counts[Math.min(bins - 1, Math.max(0, Math.floor(at * bins)))]!++;
  }
  return { counts, low, high, log, n };
}

function reach(own: Limits, all: Limits, log: boolean, window: Limits | undefined): Limits {
  const [to, from] = log ? [Math.log, Math.exp] : [(v: number) => v, (v: number) => v];
  const shown = window ?? own; // a window that was set always lies in reach
  const room = (to(own.high) - to(own.low)) / 2;
  let low = Math.min(to(shown.low), Math.max(to(all.low), to(own.low) - room));
  let high = Math.max(to(shown.high), Math.min(to(all.high), to(own.high) + room));
  if (high - low <= Math.abs(high) * 1e-9) {
    // All the same: a bar in the middle.
    const half = log ? 0.1 : Math.abs(high) * 0.1 || 1;
    [low, high] = [low - half, high + half];
  }
  return { low: from(low), high: from(high) };
}

/** Where a value stands between two others, 0 to 1 and beyond; NaN where it has no place. */
export function placeOf(value: number, { low, high }: Limits, log: boolean): number {
  if (!log) return (value - low) / (high - low);
  return value > 0 ? Math.log(value / low) / Math.log(high / low) : NaN;
}

/** The value at a place. */
export const valueAtPlace = (place: number, { low, high }: Limits, log: boolean): number =>
  log ? low * (high / low) ** place : low + place * (high - low);
