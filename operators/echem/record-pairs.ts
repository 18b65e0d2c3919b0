/**
 * The records of two streams that belong together: row by row of equal times, in their order.
 *
 * A step has all rows before `upTo` of both, so what finds no partner in it will find none later; `alone` counts these.
 */
export interface Pairs {
  readonly length: number;
  /** Rows of the one and of the other. */
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly alone: number;
  /** Times of the first and the last of them. */
  readonly firstAlone: bigint | undefined;
  readonly lastAlone: bigint | undefined;
}

export function pairsOf(a: BigInt64Array, b: BigInt64Array): Pairs {
  if (sameTimes(a, b)) {
    const all = Int32Array.from({ length: a.length }, (_, i) => i);
    return { length: a.length, a: all, b: all, alone: 0, firstAlone: undefined, lastAlone: undefined };
  }
  const most = Math.min(a.length, b.length);
  const [inA, inB] = [new Int32Array(most), new Int32Array(most)];
  let [i, j, length, alone] = [0, 0, 0, 0];
  let [firstAlone, lastAlone] = [undefined, undefined] as (bigint | undefined)[];
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    if (left === right) {
      inA[length] = i++;
      inB[length++] = j++;
      continue;
    }
    alone++;
    lastAlone = right === undefined || (left !== undefined && left < right) ? a[i++] : b[j++];
    firstAlone ??= lastAlone;
  }
  return { length, a: inA.subarray(0, length), b: inB.subarray(0, length), alone, firstAlone, lastAlone };
}

/** Compares the two 32-bit halves (BigInts take twenty times as long). */
function sameTimes(a: BigInt64Array, b: BigInt64Array): boolean {
  if (a.length !== b.length) return false;
  const [left, right] = [a, b].map(
    (times) => new Int32Array(times.buffer, times.byteOffset, times.length * 2),
  );
  return left!.every((half, i) => half === right![i]);
}

/** Tells of records that are alone: at the first of them, and at the end how many there were. Plain, so that it can be saved. */
export interface Alone {
  count: number;
  last: bigint;
}
export const noneAlone = (): Alone => ({ count: 0, last: 0n });

export function tellAlone(
  known: Alone,
  { alone, firstAlone, lastAlone }: Pairs,
  { from, ended, fault }: { from: string; ended: boolean; fault: (time: bigint, what: string) => void },
): void {
  const what = `records of echem without a row of state, or the other way round, do not count; both must come from one cycler: state from ${from} of the same echem`;
  if (firstAlone !== undefined && known.count === 0) fault(firstAlone, what);
  known.count += alone;
  known.last = lastAlone ?? known.last;
  if (ended && known.count > 1) fault(known.last, `${known.count} ${what}`);
}
