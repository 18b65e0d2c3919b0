import { expect, test } from "vitest";
import { code, scalar } from "../../runtime/wire/schema.ts";
import { AlarmLog } from "../../ui/alarm-log.ts";
import type { RowsFrame } from "../../ui/client/types.ts";

const schema = { fields: { level: code(), value: scalar("%"), limit: scalar("%") }, metadata: {} };

const HERE = { origin: NaN, name: "gas" };

function rows(levels: number[], row = 0, epoch = 0): RowsFrame {
  const time = Float64Array.from(levels, (_, i) => 1000 * (row + i));
  const value = Float64Array.from(levels, (level) => level * 3);
  const columns = { level: Int32Array.from(levels), value, limit: value.map(() => 5) };
  return { kind: "rows", epoch, row, time, schema, columns, dropped: 0 };
}

test("begins an onset where the level rises and ends it where it changes", () => {
  const log = new AlarmLog();
  expect(log.take("gas.onset", rows([0, 0, 1, 1, 2, 2, 0]), HERE)).toBe(true);
  expect(log.onsets).toMatchObject([
    { level: "watch", time: 2000, until: 4000 },
    { level: "alarm", time: 4000, until: 6000, value: 6, limit: 5, unit: "%" },
  ]);
  expect(log.standing).toEqual([]);
});

test("says when it began, where the operator estimates that, and what went over the limit", () => {
  const log = new AlarmLog();
  const fields = {
    level: code(),
    value: scalar("kPa", { long_name: "pressure" }),
    limit: scalar("1"),
    upper: scalar("1"),
    lower: scalar("1"),
    onset_seconds: scalar("s"),
  };
  expect(AlarmLog.columnsOf(fields)).toEqual(["level", "value", "limit", "onset_seconds", "upper", "lower"]);
  const frame = rows([2]);
  const columns = { ...frame.columns, limit: [8], upper: [9], lower: [0.5], onset_seconds: [-4] };
  log.take(
    "onset.onset",
    { ...frame, schema: { fields, metadata: {} }, columns },
    { origin: 1_000_000, name: "gas" },
  );
  expect(log.standing).toMatchObject([
    { time: 0, began: 996_000, title: "pressure", value: 6, statistic: 9, limit: 8 },
  ]);
});

test("however the rows are cut, and rows seen twice change nothing", () => {
  const levels = [0, 1, 2, 2, 0, 2];
  const whole = new AlarmLog();
  whole.take("a", rows(levels), HERE);
  const cut = new AlarmLog();
  levels.forEach((_, i) =>
    cut.take("a", rows(levels.slice(Math.max(0, i - 2), i + 1), Math.max(0, i - 2)), HERE),
  );
  expect(cut.onsets).toEqual(whole.onsets);
  expect(cut.standing).toMatchObject([{ time: 5000 }]);
  expect(cut.take("a", rows(levels), HERE)).toBe(false);
});

test("a new epoch goes on; an old one that comes late is passed over; the log is bounded", () => {
  const log = new AlarmLog();
  log.take("a", rows([2], 0, 1), HERE);
  expect(log.take("a", rows([0], 5, 0), HERE)).toBe(false);
  log.take("a", rows([0], 0, 2), HERE);
  expect(log.standing).toEqual([]);
  const chattering = Array.from({ length: 5000 }, (_, i) => (i % 2) * 2);
  log.take("a", rows(chattering, 1, 2), HERE);
  expect(log.onsets).toHaveLength(1000);
});
