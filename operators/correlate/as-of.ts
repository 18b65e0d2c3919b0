/**
 * As-of matching of two sorted time axes: for each reference time the newest row of the other axis at or before it,
 * or the nearest on either side, never further away than a tolerance.
 */

export type Direction = "backward" | "nearest";

/** A sorted time axis with its halves, through which differences cost no BigInt. */
export interface Axis {
  readonly length: number;
  readonly halves: Int32Array;
}

export function axisOf(time: BigInt64Array): Axis {
  return { length: time.length, halves: new Int32Array(time.buffer, time.byteOffset, 2 * time.length) };
}

/** Time i of `a` less time j of `b`, ns; exact to 104 days, beyond that to one part in 2^53, its sign always. */
export function nsBetween(a: Axis, i: number, b: Axis, j: number): number {
  const high = a.halves[2 * i + 1]! - b.halves[2 * j + 1]!;
  return high * 4294967296 + ((a.halves[2 * i]! >>> 0) - (b.halves[2 * j]! >>> 0));
}

/**
 * Row of `other` for each of the first `count` reference times; -1 where none lies within `tolerance_ns`.
 * Of rows at the same time the last counts; of two equally near the earlier.
 */
export function asOf(
  reference: Axis,
  other: Axis,
  {
    tolerance_ns,
    direction,
    count = reference.length,
  }: { tolerance_ns: number; direction: Direction; count?: number },
): Int32Array {
  const rows = new Int32Array(count).fill(-1);
  let before = -1; // last row at or before the reference time
  let after = 0; // last of the rows at the next time after it
  for (let i = 0; i < count; i++) {
    while (before + 1 < other.length && nsBetween(other, before + 1, reference, i) <= 0) before++;
    const age_ns = before < 0 ? Infinity : nsBetween(reference, i, other, before);
    if (age_ns <= tolerance_ns) rows[i] = before;
    if (direction === "backward" || before + 1 >= other.length) continue;
    if (after <= before) after = before + 1;
    while (after + 1 < other.length && nsBetween(other, after + 1, other, after) === 0) after++;
    const ahead_ns = nsBetween(other, after, reference, i);
    if (ahead_ns <= tolerance_ns && ahead_ns < age_ns) rows[i] = after;
  }
  return rows;
}

/**
 * How many of the first reference times are settled: whatever rows of `other` come later, all at or after `upTo`,
 * they cannot be nearer than what is there.
 */
export function settled(reference: Axis, other: Axis, tolerance_ns: number, upTo: Axis): number {
  let before = -1;
  for (let i = 0; i < reference.length; i++) {
    while (before + 1 < other.length && nsBetween(other, before + 1, reference, i) <= 0) before++;
    if (before + 1 < other.length) continue;
    const unseen_ns = nsBetween(upTo, 0, reference, i);
    const age_ns = before < 0 ? Infinity : nsBetween(reference, i, other, before);
    if (unseen_ns <= tolerance_ns && unseen_ns < age_ns) return i;
  }
  return reference.length;
}
