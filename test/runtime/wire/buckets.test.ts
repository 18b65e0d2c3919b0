import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bucketOf,
  BucketRing,
  bucketWidth,
  decodeBlock,
  encodeBlock,
} from "../../../runtime/wire/buckets.ts";

// Buckets of 100 ns; the base is bucket 10, so 1000 ns
const ring = (capacity = 8): BucketRing => new BucketRing(1, 100n, capacity, 10n);
const shown = (r: BucketRing, from = r.first, to = r.end): unknown[] => {
  const { min, max, count } = r.block(from, to).columns[0]!;
  return [...count].map((n, i) => (n === 0 ? 0 : [min[i], max[i], n]));
};

test("a spike of one row in a bucket is in its max, and an empty bucket says so", () => {
  const r = ring();
  r.add(BigInt64Array.of(1000n, 1001n, 1099n, 1100n, 1300n), [Float64Array.of(1, 9, 1, 2, 3)]);
  expect(shown(r)).toEqual([[1, 9, 3], [2, 2, 1], 0, [3, 3, 1]]);
});

test("NaN is not counted", () => {
  const r = ring(2);
  r.add(BigInt64Array.of(1000n, 1001n), [Float64Array.of(NaN, 4)]);
  expect(shown(r)).toEqual([[4, 4, 1]]);
});

test("cutting rows into other batches changes no bucket", () => {
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.double({ noNaN: true })), {
    minLength: 1,
    maxLength: 50,
  });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 7 }), (unsorted, size) => {
      const sorted = unsorted.toSorted(([a], [b]) => a - b);
      const whole = ring(32);
      const parts = ring(32);
      const add = (r: BucketRing, some: typeof sorted): void => {
        const time = BigInt64Array.from(some, ([t]) => 1000n + BigInt(t));
        r.add(time, [Float64Array.from(some, ([, v]) => v)]);
      };
      add(whole, sorted);
      for (let i = 0; i < sorted.length; i += size) add(parts, sorted.slice(i, i + size));
      expect(shown(parts)).toEqual(shown(whole));
    }),
  );
});

test("the halves of a time find the same bucket as big integers, at any real time", () => {
  const width = fc.constantFrom(100n, 125n, 16_000n, 5_000_000n, 8_000_000_000n);
  fc.assert(
    fc.property(
      width,
      fc.bigInt({ min: 0n, max: 2n ** 62n }),
      fc.bigInt({ min: 0n, max: 10n ** 15n }),
      (w, start, later) => {
        const base = bucketOf(start, w);
        const r = new BucketRing(1, w, 4, base);
        r.add(BigInt64Array.of(base * w + later), [Float64Array.of(1)]);
        expect(r.base + BigInt(r.end - 1)).toBe(bucketOf(base * w + later, w));
      },
    ),
  );
});

test("the oldest leave the ring, and what comes too late changes nothing", () => {
  const r = ring(4);
  const add = (...times: bigint[]): number =>
    r.add(BigInt64Array.from(times), [new Float64Array(times.length)]);
  expect(add(1000n, 1001n, 1100n)).toBe(0);
  expect(add(1500n)).toBe(5);
  expect([r.first, r.end]).toEqual([2, 6]);
  expect(add(1000n, 1501n)).toBe(0);
  expect(shown(r)).toEqual([0, 0, 0, [0, 0, 2]]);
  add(10n ** 15n);
  expect(r.end - r.first).toBe(4);
  expect(shown(r)).toEqual([0, 0, 0, [0, 0, 1]]);
});

test("a block comes back from its bytes, odd lengths too, and goes into another ring", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 20 }), (times) => {
      const r = ring(16);
      const sorted = times.toSorted((a, b) => a - b);
      r.add(
        BigInt64Array.from(sorted, (t) => 1000n + BigInt(t)),
        [Float64Array.from(sorted)],
      );
      const block = r.block(r.first, r.end);
      const bytes = encodeBlock(block);
      expect(bytes.length % 8).toBe(0);
      expect(decodeBlock(bytes)).toEqual(block);
      const other = new BucketRing(1, 100n, 16, 8n);
      expect(other.put(decodeBlock(bytes))).toBe(2);
      expect(shown(other, 2)).toEqual(shown(r));
    }),
  );
});

test("a block that is cut short is refused", () => {
  const r = ring();
  r.add(BigInt64Array.of(1000n), [Float64Array.of(1)]);
  const bytes = encodeBlock(r.block(0, 1));
  for (let n = 0; n < bytes.length; n++) expect(() => decodeBlock(bytes.slice(0, n))).toThrow(/cut short/);
});

test("a span fits into the points, and buckets are at most a quarter wider than they need be", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: 10n ** 18n }),
      fc.integer({ min: 2, max: 16_384 }),
      (span, points) => {
        const width = bucketWidth(span, points);
        expect((span + width - 1n) / width + 1n <= BigInt(points)).toBe(true);
        if (width > 100n)
          expect(Number(width)).toBeLessThanOrEqual((1.2801 * Number(span)) / (points - 1) + 1.28);
      },
    ),
  );
});

test("times before 1970 have buckets too", () => {
  expect([-1n, -100n, -101n, 0n, 99n].map((t) => bucketOf(t, 100n))).toEqual([-1n, -1n, -2n, 0n, 0n]);
});
