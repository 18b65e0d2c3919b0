/** Files of other laboratories, held against what the vendor's own program exports of them. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { describe, expect, test } from "vitest";
import { convert } from "../../../runtime/index.ts";
import { fileReader } from "../../../sources/echem/file-reader.ts";
import { newareNda } from "../../../sources/echem/neware-nda.ts";
import { newareNdax } from "../../../sources/echem/neware-ndax.ts";
import { readMore, type AllRows } from "./read-all.ts";

const folder = fileURLToPath(new URL("../../../../shared/data/echem/neware/", import.meta.url));
const { signal } = new AbortController();

async function read(name: string) {
  const path = `${folder}${name}`;
  const reader = await (name.endsWith("x") ? newareNdax : newareNda).open(fileReader(path, signal), { path, columns: {} }); // prettier-ignore
  return { reader, ...(await readMore(reader, "closing")) };
}

type VendorRow = Readonly<Record<string, number | bigint | string | Date>>;
async function vendorRows(name: string): Promise<VendorRow[]> {
  const bytes = readFileSync(`${folder}${name.replace(/\.\w+$/, ".parquet")}`);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  return (await parquetReadObjects({ file, compressors: { BROTLI: (of: Uint8Array) => new Uint8Array(brotliDecompressSync(of)) } })) as VendorRow[]; // prettier-ignore
}

/**
 * Largest difference to the vendor's number, in units of what may be: half of the last printed digit, and what a f32 cannot
 * tell apart, which is how the export is kept.
 */
function worst(ours: readonly number[], theirs: readonly number[], digit: number): number {
  let most = 0;
  for (let i = 0; i < theirs.length; i++) {
    const allowed = digit / 2 + 3e-7 * Math.abs(theirs[i]!) + 1e-9;
    const off = Math.abs(ours[i]! - theirs[i]!) / allowed;
    if (!(off <= most)) most = off;
  }
  return most;
}

const single = (name: string, { columns, fields }: AllRows, unit: string): number[] => {
  const stored = fields[0]![name]!.unit;
  return (columns[name] as number[]).map((value) => convert(value, stored, unit));
};

/** Digits that are printed: of charge in mA.s, of energy in mW.s. */
const FILES: readonly [name: string, rows: number, charge: number, energy: number, aux?: Readonly<Record<string, string>>][] = [
  ["21_10_7_85.ndax", 141, 0.001, 0.001],
  ["46_1_5_60_bts16.ndax", 84, 1, 0.01, { "V1(mV)": "aux1_voltage", "T1(?)": "aux1_temperature" }],
  ["TESTCELL0001-B2-2025-M50T_NewareNDA_Investigation.ndax", 77_745, 0.1, 0.1, { "T1(?)": "aux1_temperature" }],
  ["TestFile.nda", 6670, 0.36, 0.36, { T1: "aux1_temperature" }],
  ["interp-test.ndax", 333, 0.001, 0.001],
  ["new_nda_file.nda", 439, 0.1, 0.001],
  ["nw4-120-1-6-53.ndax", 18_700, 0.001, 0.006],
  ["scrubbed_ndc2.ndax", 28, 0.001, 0.001, { "V1(mV)": "aux1_voltage", "T1(?)": "aux1_temperature", "t1(?)": "aux1_temperature_setpoint" }],
  ["test_2.ndax", 108_563, 0.001, 0.001],
]; // prettier-ignore

describe.runIf(existsSync(folder))("the vendor's export", () => {
  test.each(FILES)(
    "%s has the same rows",
    async (name, rows, charge, energy, aux = {}) => {
      const all = await read(name);
      const { columns, time, problems, reader } = all;
      const vendor = await vendorRows(name);
      const of = (column: string): number[] => vendor.map((row) => Number(row[column]));
      expect(problems).toEqual([]);
      expect(all.rows).toBe(rows);
      expect(vendor.length).toBe(rows);

      expect(columns["cycle_count"]).toEqual(of("Cycle Index"));
      expect(columns["step_count"]).toEqual(of("Step Count"));
      expect(columns["step_index"]).toEqual(of("Step Index"));
      const codes = reader.fields["status"]!.codes!;
      const written = (text: string): string => text.replace("_", " ").toLowerCase();
      expect((columns["status"] as number[]).map((code) => written(codes[code]!))).toEqual(vendor.map((row) => written(String(row["Step Type"])))); // prettier-ignore
      if (columns["step_time"])
        expect(worst(columns["step_time"] as number[], of("Time"), 0)).toBeLessThan(1);
      // Hours that have passed are printed with fewer digits of seconds.
      expect(worst(columns["test_time_second"] as number[], of("Total Time"), 0.01)).toBeLessThan(1);
      expect(worst(single("voltage_volt", all, "mV"), of("Voltage(mV)"), 0.1)).toBeLessThan(1);
      expect(worst(single("current_ampere", all, "uA"), of("Current(uA)"), 1)).toBeLessThan(1);

      const sum = (what: string, unit: string): number[] => {
        const one = `${what}` in reader.fields ? single(what, all, unit) : undefined;
        if (one) return one.map(Math.abs);
        const [charged, discharged] = ["charge", "discharge"].map((way) =>
          single(`${way}_${what}`, all, unit),
        );
        return charged!.map((value, i) => Math.max(value, discharged![i]!));
      };
      const absolute = (column: string): number[] => of(column).map(Math.abs);
      expect(worst(sum("capacity", "mA.s"), absolute("Capacity(mAs)"), charge)).toBeLessThan(1);
      expect(worst(sum("energy", "mW.s"), absolute("Energy(mWs)"), energy)).toBeLessThan(1);

      // The export has local time, so it is some whole hours ahead of UTC.
      const dates = vendor.map((row) => (row["Date"] as Date).getTime());
      if (time.length > 0) {
        const ahead_ms = dates[0]! - Number(time[0]! / 1_000_000n);
        expect(ahead_ms % 3_600_000).toBe(0);
        expect(time.map((ns) => Number(ns / 1_000_000n) + ahead_ms)).toEqual(dates);
      } else expect(columns["local_time"]).toEqual(dates.map((ms) => ms / 1000));

      for (const [column, ours] of Object.entries(aux))
        expect(worst(single(ours, all, column.includes("mV") ? "mV" : "Cel"), of(column), 0.1)).toBeLessThan(
          1,
        );
      expect(await reader.lastTestTime_s()).toBe(columns["test_time_second"]!.at(-1));
    },
    60_000,
  );

  test("empty.ndax has none", async () => {
    const { rows, problems, reader } = await read("empty.ndax");
    expect([rows, problems]).toEqual([0, []]);
    expect(reader.metadata).toMatchObject({ remark: "Hello there", active_mass: "40 mg" });
  });

  test("Unit27_Example_Corrupt.ndax, whose channels are not described", async () => {
    const { rows, columns, problems } = await read("Unit27_Example_Corrupt.ndax");
    expect(rows).toBe(301);
    expect(columns["voltage_volt"]!.at(-1)).toBeCloseTo(2.98287535, 7);
    expect(columns["aux9_3_1_value"]!.at(-1)).toBeCloseTo(25.4139977, 5);
    expect(columns["aux10_3_1_value"]!.at(-1)).toBeCloseTo(25.4869995, 5);
    expect(problems.map(({ where }) => where)).toEqual(["entry TestInfo.xml"]);
  });
});

interface Expected {
  readonly file: string;
  readonly rows?: number;
  readonly peer?: string;
  readonly first: Readonly<Record<string, number | string>>;
  readonly last: Readonly<Record<string, number | string>>;
}
const list = fileURLToPath(new URL("../../../../shared/data/echem/expected.json", import.meta.url));
const expected = (existsSync(list) ? (JSON.parse(readFileSync(list, "utf8").replace(/\bNaN\b/g, "null")) as Expected[]) : [])
  .filter(({ file, rows }) => /^neware\/.*\.ndax?$/.test(file) && rows !== undefined); // prettier-ignore

describe.runIf(expected.length > 0)("a peer's numbers", () => {
  test.each(expected.map((one) => [one.file.replace("neware/", ""), one] as const))("%s", async (name, one) => {
    const all = await read(name);
    const { columns, reader } = all;
    // It takes a row of exactly 0 V for one that is missing; the vendor does not.
    expect(all.rows).toBe(name === "21_10_7_85.ndax" ? 141 : one.rows);
    const compare = (row: number, with_: Expected["first"]): void => {
      const number = (name_: string): number => Number(with_[name_]);
      const of = (column: string): number => Number(columns[column]!.at(row));
      expect(of("record_index")).toBe(number("Index"));
      expect(of("voltage_volt")).toBeCloseTo(number("Voltage"), 6);
      expect(of("current_ampere") * 1000).toBeCloseTo(number("Current(mA)"), 6);
      expect(of("step_count")).toBe(number("Step"));
      expect(of("step_index")).toBe(number("Step_Index"));
      if (!("charge_capacity" in reader.fields)) return;
      for (const way of ["Charge", "Discharge"]) {
        const ours = single(`${way.toLowerCase()}_capacity`, all, "mA.h").at(row)!;
        expect(Math.abs(ours - number(`${way}_Capacity(mAh)`))).toBeLessThan(1e-6 * Math.max(1, Math.abs(ours)));
      }
    };
    compare(0, one.first);
    compare(-1, one.last);
  }, 60_000); // prettier-ignore
});
