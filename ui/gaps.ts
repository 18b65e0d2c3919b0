/**
 * Which buckets belong together. Where a stream is slower than the buckets, most of them are empty without
 * anything missing; where it has fallen silent, the line must break. What tells them apart is the interval
 * that the stream itself keeps.
 */
import type { Ms } from "./client/types.ts";

/** Bridged up to this many of the stream's own intervals; more is a gap. */
const PATIENCE = 1.5;

/**
 * The longest distance between two measured buckets that is still no gap, ms: 1.5 times the interval that
 * nine in ten of the last 256 stay within, and one bucket more, since each end may lie anywhere in its bucket.
 */
export function longestBridge(time: Float64Array, count: Uint32Array, length: number): Ms {
  const intervals: number[] = [];
  let after = NaN;
  let bucket = Infinity;
  for (let i = length - 1; i >= 0 && intervals.length < 256; i--) {
    if (i > 0) bucket = Math.min(bucket, time[i]! - time[i - 1]!);
    if (count[i] === 0) continue;
    if (!Number.isNaN(after)) intervals.push(after - time[i]!);
    after = time[i]!;
  }
  if (intervals.length === 0) return 0;
  intervals.sort((a, b) => a - b);
  return (
    PATIENCE * intervals[Math.floor((intervals.length - 1) * 0.9)]! + (Number.isFinite(bucket) ? bucket : 0)
  );
}

/**
 * Runs of measured buckets that a line may join, as [first, last] index pairs, between two indices.
 * A bucket without a row, or whose rows are NaN, never lies under a line longer than `bridge`.
 */
export function connectedRuns(
  time: Float64Array,
  column: { readonly min: Float64Array; readonly count: Uint32Array },
  span: { readonly first: number; readonly end: number; readonly bridge: Ms },
): [number, number][] {
  const runs: [number, number][] = [];
  let current: [number, number] | undefined;
  for (let i = span.first; i < span.end; i++) {
    if (column.count[i] === 0 || Number.isNaN(column.min[i]!)) continue;
    if (current && time[i]! - time[current[1]]! <= span.bridge) current[1] = i;
    else runs.push((current = [i, i]));
  }
  return runs;
}
