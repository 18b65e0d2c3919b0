import { expect, test } from "vitest";
import { code, scalar } from "../../runtime/wire/schema.ts";
import { AlarmLog } from "../../ui/alarm-log.ts";
import type { RowsFrame } from "../../ui/client/types.ts";

const schema = { fields: { level: code(), value: scalar("%"), limit: scalar("%") }, metadata: {} };

function rows(levels: number[], row = 0, epoch = 0): RowsFrame {
  const time = Float64Array.from(levels, (_, i) => 1000 * (row + i));
  const value = Float64Array.from(levels, (level) => level * 3);
  const columns = { level: Int32Array.from(levels), value, limit: value.map(() => 5) };
  return { kind: "rows", epoch, row, time, schema, columns, dropped: 0 };
}

test("begins an onset where the level rises and ends it where it changes", () => {
  const log = new AlarmLog();
  expect(log.take("gas.onset", rows([0, 0, 1, 1, 2, 2, 0]))).toBe(true);
  expect(log.onsets).toMatchObject([
    { level: "watch", time: 2000, until: 4000 },
    { level: "alarm", time: 4000, until: 6000, value: 6, limit: 5, unit: "%" },
  ]);
  expect(log.standing).toEqual([]);
});

test("however the rows are cut, and rows seen twice change nothing", () => {
  const levels = [0, 1, 2, 2, 0, 2];
  const whole = new AlarmLog();
  whole.take("a", rows(levels));
  const cut = new AlarmLog();
  levels.forEach((_, i) => cut.take("a", rows(levels.slice(Math.max(0, i - 2), i + 1), Math.max(0, i - 2))));
  expect(cut.onsets).toEqual(whole.onsets);
  expect(cut.standing).toMatchObject([{ time: 5000 }]);
  expect(cut.take("a", rows(levels))).toBe(false);
});

test("a new epoch goes on; an old one that comes late is passed over; the log is bounded", () => {
  const log = new AlarmLog();
  log.take("a", rows([2], 0, 1));
  expect(log.take("a", rows([0], 5, 0))).toBe(false);
  log.take("a", rows([0], 0, 2));
  expect(log.standing).toEqual([]);
  log.take(
    "a",
    rows(
      Array.from({ length: 5000 }, (_, i) => (i % 2) * 2),
      1,
      2,
    ),
  );
  expect(log.onsets).toHaveLength(1000);
});
