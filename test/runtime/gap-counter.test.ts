import { expect, test } from "vitest";
import { GapCounter } from "../../runtime/gap-counter.ts";

const every_ns = 250_000_000n;
const times = (rows: readonly number[]) =>
  BigInt64Array.from(rows, (row) => 1_767_600_000_000_000_000n + BigInt(row) * every_ns);
const rows = Array.from({ length: 400 }, (_, i) => i);

test.each([1, 7, 400])("counts single rows that are missing, in batches of %i", (size) => {
  const kept = rows.filter((row) => ![100, 101, 250, 399].includes(row));
  const gaps = new GapCounter();
  for (let i = 0; i < kept.length; i += size) gaps.add(times(kept.slice(i, i + size)));
  // The last row is missing too, but nothing came after it.
  expect(gaps.count).toBe(2);
});

test("a stream that keeps its interval has none, and neither has a jittered one", () => {
  const gaps = new GapCounter();
  gaps.add(times(rows).map((time, i) => time + (i % 3 === 0 ? 40_000_000n : 0n)));
  expect(gaps.count).toBe(0);
});
