/** min, max and count of a scalar column in equal buckets of time: no spike is lost at any zoom. */
import { firstAtOrAfter } from "./stream.ts";
import type { Columns } from "./columns.ts";
import type { MinMax } from "./run-view.ts";

export function emptyMinMax({ from, to, buckets }: { from: bigint; to: bigint; buckets: number }): MinMax {
  return {
    from, to,
    min: new Float64Array(buckets).fill(NaN),
    max: new Float64Array(buckets).fill(NaN),
    count: new Uint32Array(buckets),
  }; // prettier-ignore
}

/** Which of the buckets of `width_ns` a time lies in, `ns` after the first begins: exact where both are whole numbers. */
export function bucketAt(ns: number, width_ns: number): number {
  const bucket = Math.floor(ns / width_ns);
  return bucket * width_ns > ns ? bucket - 1 : bucket;
}

/** Adds rows from `skip` on. NaN does not count: a bucket without a value stays NaN. */
export function addRows(into: MinMax, columns: Columns, column: string, skip = 0): void {
  const values = columns[column] as Float64Array | undefined;
  if (!values) return;
  const { time } = columns;
  const buckets = into.count.length;
  const width_ns = Number(into.to - into.from) / buckets;
  const end = firstAtOrAfter(time, into.to);
  for (let i = Math.max(skip, firstAtOrAfter(time, into.from)); i < end; i++) {
    const value = Number(values[i]);
    if (value !== value) continue;
    const at = Math.min(buckets - 1, bucketAt(Number(time[i]! - into.from), width_ns));
    if (into.count[at]!++ === 0) into.min[at] = into.max[at] = value;
    else if (value < into.min[at]!) into.min[at] = value;
    else if (value > into.max[at]!) into.max[at] = value;
  }
}
