import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newareNda } from "../../../sources/echem/neware-nda.ts";
import { FakeFile, readGrowing, readMore, readWhole, type AllRows } from "./read-all.ts";
import { madeNda, madeRows, ndaBytes, type Layout, type MadeRow } from "./make-neware.ts";

const LAYOUTS: readonly Layout[] = [8, 22, 26, 29, "9.0", "9.1"];
const rows = madeRows(4);
const withReadings = rows.map((row, i): MadeRow => ({ ...row, readings: [{ channel: 1, voltage: 10 * i, temperature: 250 + i }, { channel: 2, voltage: 0, temperature: 200 }] })); // prettier-ignore
const times = rows.map(({ unix_s }) => BigInt(unix_s) * 1_000_000_000n);
// Steps last 30 s, and begin where the one before ended.
const testTimes = rows.map(({ counter, time_ms }) => (counter - 1) * 30 + time_ms / 1000);
const said = ({ problems }: AllRows): string[] => problems.map(({ where, what }) => `${where}: ${what}`);

test.each(LAYOUTS)("layout %s gives back what it was made from", async (layout) => {
  const { columns, time, problems, reader, ...all } = await readWhole(
    newareNda,
    ndaBytes(madeNda(layout, rows)),
  );
  expect(problems).toEqual([]);
  expect(all.rows).toBe(rows.length);
  expect(columns["test_time_second"]).toEqual(testTimes);
  const perVolt = 10_000;
  const isSingle = layout === "9.0" || layout === "9.1";
  const single = (value: number): number => (isSingle ? Math.fround(value) : value);
  expect(columns["voltage_volt"]).toEqual(rows.map(({ voltage }) => single(voltage / perVolt)));
  const perMilli = layout === 8 ? 1000 : 100;
  expect(columns["current_ampere"]).toEqual(
    rows.map(({ current }) => single(current / perMilli) / 1000).map((value, i) => (layout === 8 || !isSingle ? rows[i]!.current / perMilli / 1000 : value)),
  ); // prettier-ignore
  expect(columns["step_count"]).toEqual(rows.map(({ counter }) => counter));
  expect(columns["step_index"]).toEqual(rows.map(({ step }) => step));
  expect(columns["status"]).toEqual(rows.map(({ status }) => status));
  expect(columns["record_index"]).toEqual(rows.map(({ index }) => index));
  if (layout === "9.0") expect(reader.fields["cycle_count"]).toBeUndefined();
  else expect(columns["cycle_count"]).toEqual(rows.map(({ cycle }) => cycle));
  if (layout !== "9.1") expect(columns["step_time"]).toEqual(rows.map(({ time_ms }) => time_ms / 1000));

  const sums = ["charge_capacity", "discharge_capacity", "charge_energy", "discharge_energy"];
  if (layout === 8) {
    expect(columns["capacity"]).toEqual(rows.map(({ sums: [a, b] }) => a + b));
    expect(reader.fields["capacity"]!.unit).toBe("uA.s");
  } else if (layout === "9.1") {
    expect(columns["capacity"]).toEqual(rows.map(({ sums: [a, b] }) => single((a - b) / 100)));
    expect(columns["aux1_temperature"]).toEqual(rows.map(({ index }) => 25 + index / 64));
  } else
    sums.forEach((name, i) => expect(columns[name]).toEqual(rows.map((row) => single(row.sums[i]! / 100))));

  if (layout === 26 || layout === 29) {
    expect(time).toEqual([]);
    expect(reader.start).toEqual({ face: times[0] });
    expect(columns["local_time"]).toEqual(rows.map(({ unix_s }) => unix_s));
  } else {
    const ns = isSingle ? 250_000n : 0n;
    expect(time).toEqual(times.map((one) => one + ns));
    expect(reader.start).toEqual({ instant: times[0]! + ns });
  }
  expect(reader.finished).toBe(isSingle);
  expect(await reader.lastTestTime_s()).toBe(testTimes.at(-1));
});

test("says what the header and the footer hold", async () => {
  const of = async (layout: Layout) => (await readWhole(newareNda, ndaBytes(madeNda(layout, rows)))).reader.metadata; // prettier-ignore
  expect(await of(29)).toEqual({
    file_format_version: "29",
    server_version: "BTSServer(R3)-7.6.0.301 (2018.07.30)",
    active_mass: "12.5 mg",
  });
  expect(await of("9.1")).toEqual({
    file_format_version: "130",
    software_version: "9.1.5.7.20240403.R5",
    active_mass: "12.5 mg",
    remark: "test",
  });
});

test.each([22, 29, "9.0"] as const)("layout %s gives readings of auxiliary channels to their rows", async (layout) => {
  const { columns, reader, problems } = await readWhole(newareNda, ndaBytes(madeNda(layout, withReadings)));
  expect(problems).toEqual([]);
  expect(columns["aux1_temperature"]).toEqual(rows.map((_, i) => (250 + i) / 10));
  expect(columns["aux1_voltage"]).toEqual(rows.map((_, i) => (10 * i) / 10_000));
  expect(columns["aux2_temperature"]).toEqual(rows.map(() => 20));
  expect(reader.fields["aux1_temperature"]).toMatchObject({ unit: "Cel", vendor_name: "T1" });
}); // prettier-ignore

test("a channel that is first read later has columns from there on; a reading of another row is said", async () => {
  const some = rows.map((row, i): MadeRow => ({
    ...row,
    readings: i < 5 ? [] : i === 7 ? [{ channel: 3, voltage: 1, temperature: 251, index: 2 }] : [{ channel: 3, voltage: 1, temperature: 250 }],
  })); // prettier-ignore
  const all = await readWhole(newareNda, ndaBytes(madeNda(29, some)));
  expect(all.chunks.map(({ rows: n, fields }) => [n, fields && "aux3_temperature" in fields])).toEqual([
    [5, undefined],
    [31, true],
    [0, undefined],
  ]);
  expect(all.columns["aux3_temperature"]!.slice(4, 9)).toEqual([NaN, 25, 25, NaN, 25]);
  expect(said(all)[0]).toMatch(/1 readings of auxiliary channels that belong to no row near them/);
});

test.each([
  [[1, 2, 5], 1e-4], [[-1, -5], 1e-5], [[10, 50], 1e-3], [[-10, -50], 1e-4], [[100, 500], 1e-2], [[-100, -500], 1e-3], [[1000, 200_000], 0.1], [[-1000, -200_000], 0.01], [[-100_000_000], 10],
])("a current at range %j counts %d mA", async (ranges, step_mA) => {
  const some = ranges.map((range, i) => ({ ...rows[0]!, index: i + 1, range }));
  const { columns } = await readWhole(newareNda, ndaBytes(madeNda(29, [...some, { ...some[0]!, index: 9 }])));
  ranges.forEach((range, i) => {
    expect(columns["current_range"]![i]).toBe(range);
    expect(columns["current_ampere"]![i]).toBeCloseTo((1234 * step_mA) / 1000, 12);
  });
}); // prettier-ignore

test("a current at range 0 is missing, and 0 is 0", async () => {
  const some = [1234, 0, 1234].map((current, i) => ({ ...rows[0]!, index: i + 1, range: 0, current }));
  const all = await readWhole(newareNda, ndaBytes(madeNda(29, some)));
  expect(all.columns["current_ampere"]).toEqual([NaN, 0, NaN]);
  expect(all.problems).toMatchObject([{ count: 2, unread: true }]);
});

test("a step that begins anew is another, though it has the same number", async () => {
  const some = [0, 10, 20, 0, 10].map((s, i) => ({ ...rows[0]!, index: i + 1, time_ms: 1000 * s }));
  const { columns } = await readWhole(newareNda, ndaBytes(madeNda(8, some)));
  expect(columns["step_count"]).toEqual([1, 1, 1, 2, 2]);
  expect(columns["test_time_second"]).toEqual([0, 10, 20, 20, 30]);
});

test("sums of BTS 9.0 count by their sign, wherever they stand", async () => {
  const { header, records, footer } = madeNda("9.0", rows);
  const net = records.map((bytes, i) => {
    const { sums } = rows[i]!;
    const view = new DataView(bytes.slice().buffer);
    [0, 0, (sums[0] - sums[1]) / 100, (sums[2] - sums[3]) / 100].forEach((sum, n) => view.setFloat32(52 + 4 * n, sum, true));
    return new Uint8Array(view.buffer);
  }); // prettier-ignore
  const { columns } = await readWhole(newareNda, ndaBytes({ header, records: net, footer }));
  const whole = await readWhole(newareNda, ndaBytes(madeNda("9.0", rows)));
  expect(columns).toEqual(whole.columns);
  expect(Math.max(...(columns["dq"] as number[]))).toBeGreaterThan(0);
});

test("the two bytes that begin a record of BTS 9.1 may stand within one", async () => {
  const { header, records, footer } = madeNda("9.1", rows);
  records[0]!.set([0x55, 0x06, 0xc8, 0x41], 52); // 25.003 °C
  const all = await readWhole(newareNda, ndaBytes({ header, records, footer }));
  expect([all.rows, all.problems]).toEqual([rows.length, []]);
  expect(all.columns["record_index"]).toEqual(rows.map(({ index }) => index));
});

test.each(["9.0", "9.1"] as const)("layout %s goes on behind a record that is damaged", async (layout) => {
  const { header, records, footer } = madeNda(layout, rows);
  records[4]![0] = 0x77;
  const all = await readWhole(newareNda, ndaBytes({ header, records, footer }));
  expect([all.rows, all.reader.finished]).toEqual([rows.length - 1, true]);
  expect(all.problems).toMatchObject([{ what: expect.stringContaining("1 records of a kind that is not known"), count: 1, unread: true }]); // prettier-ignore
});

test("a clock that runs on while test time stands still is said, and how far it has come", async () => {
  const some = rows.map((row, i) => ({ ...row, unix_s: row.unix_s + (i < 10 ? 0 : i < 30 ? 3600 : 5400) }));
  const all = await readWhole(newareNda, ndaBytes(madeNda(29, some)));
  expect(said(all)).toEqual([
    expect.stringMatching(/^record 11: its clock is 3600 s ahead of start \+ test time, .*; rows are placed by test time, local_time has the clock$/),
    expect.stringMatching(/^record 36: its clock is 5400 s ahead of start/),
  ]); // prettier-ignore
  const last = some.map((row, i) => ({ ...row, unix_s: row.unix_s - (i < 35 ? 0 : 60) }));
  expect(said(await readWhole(newareNda, ndaBytes(madeNda(22, last))))).toEqual([]); // it has each row's time in UTC
});

test("readings of a row that never comes are said", async () => {
  const some = rows.map((row, i): MadeRow => ({ ...row, readings: i === 3 ? [{ channel: 1, voltage: 1, temperature: 250, index: 77 }] : [] })); // prettier-ignore
  const all = await readWhole(newareNda, ndaBytes(madeNda(29, some)));
  expect(said(all)).toEqual([expect.stringMatching(/1 readings of auxiliary channels that belong to no row/)]); // prettier-ignore
});

test.each([8190, 8191, 8192, 8193, 16_384])("%i rows and a footer are read in pieces", async (count) => {
  const many = Array.from({ length: count }, (_, i) => ({ ...rows[0]!, index: i + 1, time_ms: 1000 * i }));
  const all = await readWhole(newareNda, ndaBytes(madeNda("9.0", many)));
  expect([all.rows, all.problems, all.reader.finished]).toEqual([count, [], true]);
  expect(all.columns["test_time_second"]!.at(-1)).toBe(count - 1);
});

describe("growing", () => {
  const simple = (all: AllRows) => ({ columns: all.columns, time: all.time, rows: all.rows, fields: all.fields.at(-1) }); // prettier-ignore
  const late = withReadings.map((row, i) => (i < 20 ? rows[i]! : row));
  test.each([
    ...LAYOUTS.map((layout) => [layout, "", withReadings] as const),
    [29, ", read by a channel that begins later,", late] as const,
    ["9.0", ", read by a channel that begins later,", late] as const,
  ])("layout %s%s cut anywhere gives the same rows", async (layout, _, some) => {
    const bytes = ndaBytes(madeNda(layout, some));
    const whole = await readWhole(newareNda, bytes);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(bytes.length), { maxLength: 8 }),
        fc.boolean(),
        async (cuts, zeros) => {
          const states = cuts.toSorted((a, b) => a - b).map((cut) => {
          // A share may show zeros for what was not written yet.
          const seen = zeros ? new Uint8Array(Math.min(bytes.length, cut + 300)) : new Uint8Array(cut);
          seen.set(bytes.subarray(0, cut));
          return seen;
        }); // prettier-ignore
          const grown = await readGrowing(newareNda, [...states, bytes]);
          expect(simple(grown)).toEqual(simple(whole));
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });

  test.each(LAYOUTS)("layout %s with one record says nothing yet, and then its start with the first row", async (layout) => {
    const { header, records, footer } = madeNda(layout, rows);
    const one = records.findIndex((record) => record[layout === "9.0" ? 4 : 0] !== 0xaa && record[0] !== 0xff) + 1;
    const fake = new FakeFile(ndaBytes({ header, records: records.slice(0, one), footer: new Uint8Array(0) }));
    const reader = await newareNda.open(fake, { path: "/made/file", columns: {} });
    expect([(await readMore(reader, "settled")).rows, reader.start]).toEqual([0, undefined]);
    expect(await reader.lastTestTime_s()).toBeNaN();
    fake.show(ndaBytes({ header, records, footer }));
    expect(await reader.lastTestTime_s()).toBe(testTimes.at(-1));
    expect(reader.start).toBeDefined();
  }); // prettier-ignore

  test("says its start once the first record is whole", async () => {
    const bytes = ndaBytes(madeNda(29, rows));
    const half = new Uint8Array(bytes.length);
    half.set(bytes.subarray(0, 3001 + 86 + 72)); // the first row's year is there, the rest of its date is not
    const fake = new FakeFile(half);
    const reader = await newareNda.open(fake, { path: "/made/file", columns: {} });
    expect((await readMore(reader, "settled")).rows).toBe(0);
    fake.show(bytes);
    await readMore(reader, "growing");
    expect(reader.start).toEqual({ face: times[0] });
  });

  test("is noticed when it was written anew", async () => {
    const fake = new FakeFile(ndaBytes(madeNda(29, rows)));
    const again = await newareNda.open(fake, { path: "/made/file", columns: {} });
    await readMore(again, "growing");
    fake.show(ndaBytes(madeNda(29, rows.map((row) => ({ ...row, voltage: 1 }))))); // prettier-ignore
    await expect(readMore(again, "growing")).rejects.toThrow("has been written anew");
    fake.show(ndaBytes(madeNda(29, rows.slice(0, 3))));
    await expect(readMore(again, "growing")).rejects.toThrow("has become shorter than what was read of it"); // prettier-ignore
  });
});

describe("bad input", () => {
  const open = (bytes: Uint8Array) => readWhole(newareNda, bytes);
  const made = (layout: Layout): Buffer => ndaBytes(madeNda(layout, rows));

  test("a version that is not known, and a header that is cut off", async () => {
    const bytes = made(29);
    bytes[14] = 31;
    await expect(open(bytes)).rejects.toThrow("byte 14: is a Neware file of version 31, which is not known; known are 8, 22, 26, 29, 130"); // prettier-ignore
    await expect(open(bytes.subarray(0, 10))).rejects.toThrow("ends after 10 bytes, within its header");
  });

  test("a version 130 of another layout", async () => {
    const bytes = made("9.0");
    bytes[1024] = 0x33;
    await expect(open(bytes)).rejects.toThrow("byte 1024: begins its records with 0x33; version 130 is known with 0x12 (BTS 9.0) and 0x55 (BTS 9.1)"); // prettier-ignore
  });

  test("no record", async () => {
    const all = await open(madeNda(29, rows).header);
    expect(all.rows).toBe(0);
    expect(said(all)).toEqual(["byte 3001: no record was found: the test has not begun, it has one only, or the file is damaged"]); // prettier-ignore
  });

  test("a last record that is cut off", async () => {
    const bytes = made(8);
    const all = await open(bytes.subarray(0, bytes.length - 47));
    expect(all.rows).toBe(rows.length - 1);
    expect(said(all)).toEqual([`byte ${bytes.length - 59}: the last record is cut off after 12 of 59 bytes`]);
    const all130 = await open(made("9.1").subarray(0, 1024 + 64 * 10));
    expect(all130.rows).toBe(10);
    expect(said(all130)[0]).toMatch(/the footer that closes such a file is missing/);
  });

  test("records of zeros and of no known kind", async () => {
    const { header, records, footer } = madeNda(29, rows);
    const strange = records.map((bytes, i) => (i === 9 ? bytes.with(0, 0x77) : bytes));
    const all = await open(ndaBytes({ header, records: [...strange.slice(0, 20), new Uint8Array(86), ...strange.slice(20)], footer })); // prettier-ignore
    expect(all.rows).toBe(rows.length - 1);
    expect(said(all)).toEqual([
      expect.stringMatching(/1 records are nothing but zeros/),
      expect.stringMatching(/1 records of a kind that is not known/),
    ]);
  });
});
