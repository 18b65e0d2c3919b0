/**
 * Min, max and count in buckets of time on one fixed grid: bucket k holds the times from k × width up to
 * (k + 1) × width, counted from 1970. So history and live rows, and two clients of one view, fall into the same
 * buckets, and no spike is lost however few points are drawn. Also runs in the browser.
 */
import type { NumericArray } from "./schema.ts";

export interface BucketColumn {
  /** NaN where count is 0. */
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly count: Uint32Array;
}

/** Neighbouring buckets, by column. */
export interface BucketBlock {
  /** Number of the first bucket on the grid. */
  readonly first: bigint;
  /** ns */
  readonly width: bigint;
  readonly columns: readonly BucketColumn[];
}

const STEPS = [100n, 125n, 160n, 200n, 250n, 320n, 400n, 500n, 640n, 800n];

/** The least width (ns) of a fixed ladder, ten steps a decade, at which a span fits into so many buckets. */
export function bucketWidth(span: bigint, maxPoints: number): bigint {
  // Both ends of the span may lie within a bucket.
  const points = BigInt(Math.max(1, maxPoints - 1));
  const least = (span + points - 1n) / points;
  if (least <= 100n) return 100n;
  for (let decade = 1n; ; decade *= 10n) {
    for (const step of STEPS) if (step * decade >= least) return step * decade;
  }
}

export const bucketOf = (time: bigint, width: bigint): bigint => {
  const quotient = time / width;
  return time < 0n && quotient * width !== time ? quotient - 1n : quotient;
};

const BLOCK_HEADER = 24;

/** int64 first bucket, int64 width, uint32 buckets n, uint32 columns; then by column n × f64 min, n × f64 max, n × u32 count, padded to 8. */
export function encodeBlock({ first, width, columns }: BucketBlock): Uint8Array {
  const n = columns[0]?.count.length ?? 0;
  const columnBytes = 16 * n + 8 * Math.ceil(n / 2);
  const bytes = new Uint8Array(BLOCK_HEADER + columns.length * columnBytes);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, first, true);
  view.setBigInt64(8, width, true);
  view.setUint32(16, n, true);
  view.setUint32(20, columns.length, true);
  columns.forEach(({ min, max, count }, i) => {
    const at = BLOCK_HEADER + i * columnBytes;
    new Float64Array(bytes.buffer, at, n).set(min);
    new Float64Array(bytes.buffer, at + 8 * n, n).set(max);
    new Uint32Array(bytes.buffer, at + 16 * n, n).set(count);
  });
  return bytes;
}

/** Views on the bytes, which must begin at a multiple of 8. Throws RangeError where they are cut short. */
export function decodeBlock(bytes: Uint8Array): BucketBlock {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cutShort = (wanted: number): void => {
    if (bytes.byteLength < wanted)
      throw new RangeError(
        `a min/max block of ${bytes.byteLength} bytes is cut short: it should have ${wanted}`,
      );
  };
  cutShort(BLOCK_HEADER);
  const n = view.getUint32(16, true);
  const m = view.getUint32(20, true);
  const columnBytes = 16 * n + 8 * Math.ceil(n / 2);
  cutShort(BLOCK_HEADER + m * columnBytes);
  const columns = Array.from({ length: m }, (_, i) => {
    const at = bytes.byteOffset + BLOCK_HEADER + i * columnBytes;
    return {
      min: new Float64Array(bytes.buffer, at, n),
      max: new Float64Array(bytes.buffer, at + 8 * n, n),
      count: new Uint32Array(bytes.buffer, at + 16 * n, n),
    };
  });
  return { first: view.getBigInt64(0, true), width: view.getBigInt64(8, true), columns };
}

/** The newest buckets of a view, at most `capacity`; the oldest leave first. Indexes count from `base`. */
export class BucketRing {
  readonly base: bigint;
  readonly width: bigint;
  readonly capacity: number;
  /** Index of the oldest bucket held, and of the one after the newest. */
  first = 0;
  end = 0;
  readonly #columns: readonly BucketColumn[];
  #indexes = new Float64Array(0);

  constructor(columns: number, width: bigint, capacity: number, base: bigint) {
    this.width = width;
    this.capacity = capacity;
    this.base = base;
    this.#columns = Array.from({ length: columns }, () => ({
      min: new Float64Array(capacity).fill(NaN),
      max: new Float64Array(capacity).fill(NaN),
      count: new Uint32Array(capacity),
    }));
  }

  timeOf(index: number): bigint {
    return (this.base + BigInt(index)) * this.width;
  }

  /**
   * Counts rows in; a column that is undefined has no values. Returns the least bucket with such a row, which may
   * have left already; Infinity if there are no rows.
   */
  add(time: BigInt64Array, columns: readonly (NumericArray | undefined)[]): number {
    const n = time.length;
    if (this.#indexes.length < n) this.#indexes = new Float64Array(n);
    const indexes = this.#indexes;
    // Through the two 32-bit halves: exact for 104 days around the base, and forty times faster than bigints.
    const origin = this.base * this.width;
    const [low0, high0] = [Number(BigInt.asUintN(32, origin)), Number(origin >> 32n)];
    const halves = new Int32Array(time.buffer, time.byteOffset, 2 * n);
    const width = Number(this.width);
    let [least, greatest] = [Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const since = (halves[2 * i + 1]! - high0) * 4294967296 + ((halves[2 * i]! >>> 0) - low0);
      let index = Math.floor(since / width);
      if (index * width > since) index--;
      indexes[i] = index;
      if (index < least) least = index;
      if (index > greatest) greatest = index;
    }
    if (n > 0) this.extend(greatest + 1);
    columns.forEach((values, c) => {
      if (values === undefined) return;
      const { min, max, count } = this.#columns[c]!;
      for (let i = 0; i < n; i++) {
        const value = Number(values[i]);
        if (value !== value || indexes[i]! < this.first) continue;
        const slot = indexes[i]! % this.capacity;
        if (count[slot]!++ === 0) min[slot] = max[slot] = value;
        else if (value < min[slot]!) min[slot] = value;
        else if (value > max[slot]!) max[slot] = value;
      }
    });
    return least;
  }

  /** Makes room up to `end`, exclusive. */
  extend(end: number): void {
    if (end <= this.end) return;
    const first = Math.max(this.first, end - this.capacity);
    for (let index = Math.max(this.end, first); index < end; index++) this.#clear(index % this.capacity);
    this.first = first;
    this.end = end;
  }

  #clear(slot: number): void {
    for (const { min, max, count } of this.#columns) {
      min[slot] = max[slot] = NaN;
      count[slot] = 0;
    }
  }

  /** Takes over the buckets of a block of the same width; returns the index of its first. */
  put(block: BucketBlock): number {
    const from = Number(block.first - this.base);
    const n = block.columns[0]?.count.length ?? 0;
    this.extend(from + n);
    for (let i = Math.max(0, this.first - from); i < n; i++) {
      const slot = (from + i) % this.capacity;
      block.columns.forEach(({ min, max, count }, c) => {
        const column = this.#columns[c]!;
        column.min[slot] = min[i]!;
        column.max[slot] = max[i]!;
        column.count[slot] = count[i]!;
      });
    }
    return from;
  }

  /** Buckets from … to, oldest first, as copies. */
  block(from: number, to: number): BucketBlock {
    const n = Math.max(0, to - from);
    const columns = this.#columns.map((ring) => {
      const column = { min: new Float64Array(n), max: new Float64Array(n), count: new Uint32Array(n) };
      for (let done = 0; done < n;) {
        const slot = (from + done) % this.capacity;
        const size = Math.min(n - done, this.capacity - slot);
        column.min.set(ring.min.subarray(slot, slot + size), done);
        column.max.set(ring.max.subarray(slot, slot + size), done);
        column.count.set(ring.count.subarray(slot, slot + size), done);
        done += size;
      }
      return column;
    });
    return { first: this.base + BigInt(from), width: this.width, columns };
  }
}
