import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bdfCsv } from "../../../sources/echem/csv.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { bdfParquet } from "../../../sources/echem/parquet.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { parquetBytes, type ParquetColumn } from "./parquet-bytes.ts";
import { FakeFile, readGrowing, readMore, readWhole } from "./read-all.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("BDF .csv", () => {
  test("by its names", async () => {
    const { columns, reader, time } = await readWhole(bdfCsv, bytesOf("test_time_second,voltage_volt,current_ampere,cycle_count,step_index,ambient_temperature_celsius,power_watt\n0,3.5,0.25,1,7,25.5,0.875\n1.5,3.25,-0.25,2,8,,-0.8\n")); // prettier-ignore
    expect(columns).toEqual({
      test_time_second: [0, 1.5], voltage_volt: [3.5, 3.25], current_ampere: [0.25, -0.25], cycle_count: [1, 2], step_index: [7, 8],
      ambient_temperature_celsius: [25.5, NaN], power_watt: [0.875, -0.8],
    }); // prettier-ignore
    expect(reader.fields["power_watt"]).toMatchObject({ unit: "W" });
    expect(reader.fields["ambient_temperature_celsius"]).toMatchObject({ unit: "Cel" });
    expect(reader.start).toBeUndefined();
    expect(time).toEqual([]);
  });

  test("by its labels, in other units", async () => {
    const { columns, reader } = await readWhole(bdfCsv, bytesOf("Test Time / min,Voltage / mV,Current / mA,Charging Capacity / Ah,Step Count / 1\r\n0,3500,250,1.5,4\r\n1.5,3250,-250,1.5,5\r\n")); // prettier-ignore
    expect(columns).toEqual({
      test_time_second: [0, 90], voltage_volt: [3.5, 3.25], current_ampere: [0.25, -0.25], charging_capacity_ah: [1.5, 1.5], step_count: [4, 5],
    }); // prettier-ignore
    expect(reader.fields["current_ampere"]).toMatchObject({ unit: "A", vendor_name: "Current / mA" });
    expect(reader.fields["charging_capacity_ah"]).toMatchObject({ unit: "A.h" });
  });

  test("a vendor's column beside BDF's keeps a name of its own", async () => {
    const { columns } = await readWhole(bdfCsv, bytesOf("Test_Time,Current,Step_Index,Step Index / 1,Test Time / s,Voltage / V,Current / A\n9,8,7,1,0,3.5,0.5\n")); // prettier-ignore
    expect(columns).toEqual({ test_time: [9], current: [8], step_index_2: [7], step_index: [1], test_time_second: [0], voltage_volt: [3.5], current_ampere: [0.5] }); // prettier-ignore
  });

  test("each row's own time, in seconds and milliseconds since 1970", async () => {
    const { time, reader } = await readWhole(bdfCsv, bytesOf("test_time_second,voltage_volt,current_ampere,unix_time_second\n10,3.5,0,1719933538.046\n11,3.5,0,1719933545.5\n12,3.5,0,\n")); // prettier-ignore
    expect(reader.start).toEqual({ instant: 1719933528_046_000_000n });
    // The last has none, and so is placed by its test time.
    expect(time).toEqual([1719933538_046_000_000n, 1719933545_500_000_000n, 1719933540_046_000_000n]);
    const old = await readWhole(bdfCsv, bytesOf("test_time_millisecond,voltage_volt,current_ampere,unix_time_millisecond\n10000,3.5,0,1719933538046\n")); // prettier-ignore
    expect(old.columns["test_time_second"]).toEqual([10]);
    expect(old.time).toEqual([1719933538_046_000_000n]);
  });

  test("impedance has the names by which spectra are put together", async () => {
    const { reader } = await readWhole(bdfCsv, bytesOf("Test Time / s,Voltage / V,Current / A,Frequency / Hz,Real Impedance / ohm,Imaginary Impedance / ohm\n0,3,0,1000,0.5,-0.25\n")); // prettier-ignore
    expect(Object.keys(reader.fields)).toEqual(["test_time_second", "voltage_volt", "current_ampere", "frequency", "z_real", "z_imaginary"]); // prettier-ignore
  });

  test("more cells than names: they are kept, and told", async () => {
    const { columns, problems } = await readWhole(bdfCsv, bytesOf("test_time_second,voltage_volt,current_ampere\n0,3,1,77\n1,3,1,78\n")); // prettier-ignore
    expect(columns["column_4"]).toEqual([77, 78]);
    expect(problems).toMatchObject([{ where: "line 1", what: expect.stringContaining("names 3 columns, and the rows have 4") }]); // prettier-ignore
  });

  test("what is no number is missing and told; time that runs backwards is given as it stands", async () => {
    const { columns, problems } = await readWhole(bdfCsv, bytesOf("test_time_second,voltage_volt,current_ampere,cycle_count\n5,3,1,1\n4,x,nan,1.5\n")); // prettier-ignore
    expect(columns).toEqual({ test_time_second: [5, 4], voltage_volt: [3, NaN], current_ampere: [1, NaN], cycle_count: [1, -1] }); // prettier-ignore
    expect(problems.map(({ where }) => where)).toEqual(["line 3", "line 2"]);
    expect(problems[0]!.what).toContain('"x", which is no number');
    expect(problems[1]!.what).toContain("1 values from here on that are no whole numbers");
  });

  test("grows: the same rows, whatever is seen when", async () => {
    const rows = Array.from(
      { length: 60 },
      (_, i) => `${i},3.${i},${i % 2 ? "-" : ""}0.5,${1719933538 + i}\n`,
    );
    const bytes = bytesOf(
      `Test Time / s,Voltage / V,Current / A,Unix Time / s\n${rows.join("")}60,3.5,0.5,1719933598`,
    ); // the last is not ended
    const { columns, time } = await readWhole(bdfCsv, bytes);
    expect(columns["test_time_second"]).toHaveLength(61);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        const grown = await readGrowing(bdfCsv, states);
        expect(grown.columns).toEqual(columns);
        expect(grown.time).toEqual(time);
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  test("is claimed by its heading, and no other table is", () => {
    expect(bdfCsv.looks(bytesOf("Test Time / s,Voltage / V,Current / A\n"))).toBe(true);
    expect(bdfCsv.looks(bytesOf("x,y,z\n1,2,3\n"))).toBe(false);
    expect(bdfCsv.looks(new Uint8Array(64))).toBe(false);
  });
});

const table: Record<string, ParquetColumn> = {
  test_time_second: { type: "double", values: [0, 1, 2, 3, 4] },
  voltage_volt: { type: "double", values: [3, null, 3.5, 3.25, 3.125] },
  current_ampere: { type: "double", values: [1, -2, 3, null, 5] },
  cycle_count: { type: "int64", values: [1, 1, 2, null, 2] },
  unix_time_second: { type: "double", values: [1719933538.5, 1719933540, 1719933541, 1719933542, null] },
  charging_capacity_ah: { type: "float", values: [0, 0.1, 0.2, 0.3, 0.4] },
  note: { type: "text", values: ["a", "ü", null, "", "z"] },
};

describe("BDF .parquet", () => {
  test.each([
    ["one row group", Infinity, undefined],
    ["groups of two", 2, undefined],
    ["gzip", 2, { codec: 2, pack: (bytes: Uint8Array) => gzipSync(bytes) }],
    ["brotli", 3, { codec: 4, pack: (bytes: Uint8Array) => brotliCompressSync(bytes) }],
  ])("gives what it was made from: %s", async (_, rows, packing) => {
    const { columns, time, reader, problems } = await readWhole(
      bdfParquet,
      parquetBytes(table, rows, packing),
    );
    expect(columns).toEqual({
      test_time_second: [0, 1, 2, 3, 4], voltage_volt: [3, NaN, 3.5, 3.25, 3.125], current_ampere: [1, -2, 3, NaN, 5], cycle_count: [1, 1, 2, -1, 2],
      unix_time_second: [1719933538.5, 1719933540, 1719933541, 1719933542, NaN], charging_capacity_ah: [0, 0.1, 0.2, 0.3, 0.4].map(Math.fround),
      note: ["a", "ü", "", "", "z"],
    }); // prettier-ignore
    expect(problems).toEqual([]);
    expect(time).toEqual([1719933538_500_000_000n, 1719933540_000_000_000n, 1719933541_000_000_000n, 1719933542_000_000_000n, 1719933542_500_000_000n]); // prettier-ignore
    expect(reader.start).toEqual({ instant: 1719933538_500_000_000n });
    expect(reader.fields["charging_capacity_ah"]).toMatchObject({ unit: "A.h", type: "f32" });
    expect(await reader.lastTestTime_s()).toBe(4);
  });

  test("older names in milliseconds, timestamps, and headings with units", async () => {
    const { columns, time } = await readWhole(bdfParquet, parquetBytes({ test_time_millisecond: { type: "int64", values: [1500] }, voltage_volt: { type: "double", values: [3] }, current_ampere: { type: "double", values: [1] }, date_time_millisecond: { type: "int64", values: [1719933538046] } })); // prettier-ignore
    expect(columns["test_time_second"]).toEqual([1.5]);
    expect(time).toEqual([1719933538_046_000_000n]);
    const vendors = await readWhole(bdfParquet, parquetBytes({ "Total Time(h)": { type: "double", values: [0.5] }, "Voltage(mV)": { type: "float", values: [3500] }, "Current(uA)": { type: "int32", values: [-500] }, Date: { type: "int64", values: [1719933538046], timestamp: "ms" } })); // prettier-ignore
    expect(vendors.columns).toEqual({ test_time_second: [1800], voltage_volt: [3.5], current_ampere: [-0.0005], date: [1719933538.046] }); // prettier-ignore
    expect(vendors.reader.fields["date"]).toMatchObject({ unit: "s" });
  });

  test("without a row", async () => {
    const none = parquetBytes({ test_time_second: { type: "double", values: [] }, voltage_volt: { type: "double", values: [] }, current_ampere: { type: "double", values: [] } }); // prettier-ignore
    expect((await readWhole(bdfParquet, none)).rows).toBe(0);
  });

  test.each([
    ["cut", parquetBytes(table).slice(0, -20), /^byte \d+: does not end with "PAR1", so its directory is missing: it is still being written, or was cut$/],
    ["of 8 bytes", bytesOf("PAR1PAR1"), /^ends after 8 bytes; a Parquet file has its directory at its end/],
    ["packed otherwise", parquetBytes(table, 2, { codec: 5, pack: (bytes) => bytes }), /^column "test_time_second" is packed by LZ4, which Node.js .* cannot unpack; write it by snappy, gzip or brotli$/],
    ["without a heading that tells", parquetBytes({ a: { type: "double", values: [1] }, b: { type: "double", values: [1] } }), /^none of its columns says by its heading, with a unit, that it is test_time_second: "a", "b"; write which it is/],
  ])("one that is %s is refused", async (_, bytes, message) => {
    await expect(readWhole(bdfParquet, bytes)).rejects.toThrow(message);
  }); // prettier-ignore

  test("a page that is damaged: its row group is missing, the others come", async () => {
    const bytes = parquetBytes(table, 2, { codec: 2, pack: (page) => gzipSync(page) });
    const at = Buffer.from(bytes).indexOf(Buffer.from([0x1f, 0x8b]), 600);
    bytes[at] = 0;
    const { rows, problems } = await readWhole(bdfParquet, bytes);
    expect(rows).toBe(3);
    expect(problems).toMatchObject([{ where: "row group 1", unread: true, count: 2 }]);
  });

  test("a run that says it has far more values than there are rows is not believed", async () => {
    const bytes = parquetBytes(table);
    const levels = Buffer.from(bytes).indexOf(Buffer.from([2, 0, 0, 0, 3])); // their length, then one group of eight
    bytes.set([0xfe, 0x7f], levels + 4); // one run of 8191
    await expect(readWhole(bdfParquet, bytes)).rejects.toThrow(
      'column "test_time_second" cannot be read (a run says that it has 8191 of 5 values); write the file again',
    );
  });

  test("one that is written anew while it is read", async () => {
    const file = new FakeFile(parquetBytes(table));
    const reader = await bdfParquet.open(file, { path: "/made/a.parquet", columns: {} });
    file.show(parquetBytes(table, 2));
    await expect(readMore(reader, "settled")).rejects.toThrow(Rewritten);
  });

  test("damaged copies are read or refused", async () => {
    const outcome = await readMutantTables(bdfParquet, [parquetBytes(table), parquetBytes(table, 2)]);
    expect(outcome.crashes).toEqual([]);
    expect(outcome.refused).toBeGreaterThan(0);
  });
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/", import.meta.url));
describe.runIf(existsSync(folder))("files of others", () => {
  const expected = existsSync(folder)
    ? (JSON.parse(readFileSync(`${folder}expected.json`, "utf8").replace(/: NaN\b/g, ": null")) as { file: string; rows: number; columns: string[]; first: Record<string, number | string>; last: Record<string, number | string>; nonmonotonic_time_steps?: number; trapz_charge_Ah?: number }[])
    : []; // prettier-ignore
  const files = expected.filter(({ file }) => file.endsWith(".bdf.csv"));

  test.each(files)("$file", async ({ file, rows, columns: names, first, last, nonmonotonic_time_steps, trapz_charge_Ah }) => {
    const { columns, problems, ...read } = await readWhole(bdfCsv, new Uint8Array(readFileSync(folder + file)));
    expect(read.rows).toBe(rows);
    expect(problems).toEqual([]);
    expect(Object.keys(columns)).toHaveLength(names.length);
    const { fields } = read.reader;
    for (const [name, field] of Object.entries(fields)) {
      const [begin, end] = [first[field.vendor_name!]!, last[field.vendor_name!]!];
      for (const [given, wanted] of [[columns[name]![0]!, begin], [columns[name]!.at(-1)!, end]] as const)
        if (typeof wanted === "string") expect(given).toBe(wanted);
        else expect(Math.abs((given as number) - wanted)).toBeLessThanOrEqual(Math.abs(wanted) * 1e-8); // as printed, with 9 digits
    }
    const [t, I] = [columns["test_time_second"] as number[], columns["current_ampere"] as number[]];
    expect(t.filter((value, i) => i > 0 && value < t[i - 1]!)).toHaveLength(nonmonotonic_time_steps!);
    let charge_Ah = 0;
    for (let i = 1; i < t.length; i++) charge_Ah += Math.max(0, (I[i]! + I[i - 1]!) / 2 * (t[i]! - t[i - 1]!) / 3600);
    expect(Math.abs(charge_Ah / trapz_charge_Ah! - 1)).toBeLessThan(1e-8); // as printed
  }); // prettier-ignore

  test("bdf/legacy.bdf.parquet", async () => {
    const { rows, first, last } = expected.find(({ file }) => file === "bdf/legacy.bdf.parquet")!;
    const { columns, time, ...read } = await readWhole(bdfParquet, new Uint8Array(readFileSync(`${folder}bdf/legacy.bdf.parquet`))); // prettier-ignore
    expect(read.rows).toBe(rows);
    for (const [row, at] of [[first, 0], [last, rows - 1]] as const) {
      expect(columns["test_time_second"]![at]).toBe((row["test_time_millisecond"] as number) / 1000);
      expect(columns["voltage_volt"]![at]).toBe(row["voltage_volt"]);
      expect(columns["current_ampere"]![at]).toBeCloseTo(row["current_ampere"] as number, 20);
      expect(columns["cycle_count"]![at]).toBe(row["cycle_dimensionless"]);
      expect(columns["ambient_temperature_celsius"]![at]).toBe(row["ambient_temperature_celsius"]);
      expect(time[at]).toBe(BigInt(row["date_time_millisecond"]!) * 1_000_000n);
    } // prettier-ignore
  });

  test("Parquet of a vendor's export, with a map for the time that has no unit", async () => {
    const { first, last, rows } = expected.find(({ file }) => file === "neware/TestFile.parquet")!;
    const { columns, ...read } = await readWhole(bdfParquet, new Uint8Array(readFileSync(`${folder}neware/TestFile.parquet`)), { columns: { test_time_second: "Total Time [s]" } }); // prettier-ignore
    expect(read.rows).toBe(rows);
    for (const [row, at] of [[first, 0], [last, rows - 1]] as const) {
      expect(columns["test_time_second"]![at]).toBe(row["Total Time"]);
      expect(columns["voltage_volt"]![at]).toBe((row["Voltage(mV)"] as number) / 1000);
      expect(columns["step_type"]![at]).toBe(row["Step Type"]);
      expect(columns["date"]![at]).toBe(Date.parse(row["Date"] as string) / 1000);
    } // prettier-ignore
  });
});
