import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import MDBReader from "mdb-reader";
import { describe, expect, test, vi } from "vitest";
import { RunningCharge } from "../../../sources/echem/charge-passed.ts";
import { arbinRes } from "../../../sources/echem/arbin-res.ts";
import { arbinCsv } from "../../../sources/echem/csv.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { jetBytes, type JetTable } from "./jet-bytes.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { FakeFile, readGrowing, readMore, readWhole } from "./read-all.ts";

const START_d = 45_000.5; // 2023-03-15 12:00
const face = BigInt(Date.UTC(2023, 2, 15, 12)) * 1_000_000n;

const GLOBAL: JetTable = {
  columns: { Test_ID: "long", Test_Name: "text", Channel_Index: "integer", Start_DateTime: "double", Comments: "text", MASS: "float" },
  rows: [[1, "cell é 7", 3, START_d, "", 0.00085]],
}; // prettier-ignore
const NORMAL = {
  Test_ID: "long", Data_Point: "long", Test_Time: "double", DateTime: "double", Step_Index: "integer", Cycle_Index: "integer", Is_FC_Data: "byte",
  Current: "float", Voltage: "float", Charge_Capacity: "double", "dV/dt": "float", Vendor_New: "double",
} as const; // prettier-ignore

type Cell = number | string | null;
const normalRow = (i: number, test = 1): Cell[] => [test, i + 1, i / 2, START_d + i / 2 / 86_400, 1 + (i >> 4), 1, 0, i % 2 ? -0.25 : 0.25, 3 + i / 64, i * 1e-6, i === 3 ? null : 0.5, i]; // prettier-ignore
const normal = (n: number, rest: Partial<JetTable> = {}): JetTable => ({ columns: NORMAL, rows: Array.from({ length: n }, (_, i) => normalRow(i)), ...rest }); // prettier-ignore
const made = (rest: Record<string, JetTable> = {}): Uint8Array => jetBytes({ Global_Table: GLOBAL, Channel_Normal_Table: normal(50), ...rest }); // prettier-ignore

describe("a .res gives what it was made from", () => {
  test("rows, units, start and metadata", async () => {
    const { columns, reader, problems, rows } = await readWhole(arbinRes, made());
    expect(rows).toBe(50);
    expect(problems).toEqual([]);
    expect(reader.start).toEqual({ face });
    expect(reader.metadata).toEqual({ test_name: "cell é 7", channel: "3", active_mass: "0.00085 g" });
    expect(columns["test_time_second"]).toEqual(Array.from({ length: 50 }, (_, i) => i / 2));
    expect(columns["voltage_volt"]).toEqual(Array.from({ length: 50 }, (_, i) => 3 + i / 64));
    expect(columns["current_ampere"]!.slice(0, 3)).toEqual([0.25, -0.25, 0.25]);
    expect(columns["cycle_count"]!.at(-1)).toBe(1);
    expect(columns["step_index"]!.at(-1)).toBe(4);
    expect(columns["dv_dt"]!.slice(2, 5)).toEqual([0.5, NaN, 0.5]); // what is null is missing
    expect(columns["vendor_new"]!.at(-1)).toBe(49); // a column that nobody knows
    expect(reader.fields["charge_capacity"]).toMatchObject({ unit: "A.h", vendor_name: "Charge_Capacity" });
    expect(reader.fields["dv_dt"]).toMatchObject({ unit: "V/s", type: "f32" });
    expect(Object.keys(reader.fields).slice(0, 3)).toEqual([
      "test_time_second",
      "voltage_volt",
      "current_ampere",
    ]);
    expect(await reader.lastTestTime_s()).toBe(24.5);
  });

  test("rows come by data point, whatever the order of the pages", async () => {
    const whole = await readWhole(arbinRes, made());
    const shuffled = await readWhole(
      arbinRes,
      made({ Channel_Normal_Table: normal(50, { pages: [2, 0, 1] }) }),
    );
    expect(shuffled.columns["data_point"]).toEqual(whole.columns["data_point"]);
    expect(shuffled.columns).toEqual(whole.columns);
  });

  test("rows whose pages lie in another order are read in few goes, not in one a page", async () => {
    const bytes = made({ Channel_Normal_Table: normal(600, { pages: Array.from({ length: 30 }, (_, i) => 29 - i) }) }); // prettier-ignore
    const table = new MDBReader(Buffer.from(bytes)).getTable("Channel_Normal_Table");
    const reads = vi.spyOn(Object.getPrototypeOf(table) as typeof table, "getData");
    const { columns } = await readWhole(arbinRes, bytes);
    const whole = reads.mock.calls.filter(([options]) => options?.columns?.includes("Voltage"));
    reads.mockRestore();
    expect(columns["data_point"]).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
    expect(columns["voltage_volt"]).toEqual(Array.from({ length: 600 }, (_, i) => 3 + i / 64));
    expect(whole.length).toBe(1);
  });

  test("a data point that is there twice comes twice, and is told", async () => {
    const rows = [normalRow(0), normalRow(1), normalRow(1), normalRow(2)];
    const { columns, problems } = await readWhole(arbinRes, made({ Channel_Normal_Table: normal(0, { rows }) })); // prettier-ignore
    expect(columns["data_point"]).toEqual([1, 2, 2, 3]);
    expect(problems).toMatchObject([{ what: expect.stringMatching(/^1 data points have a number/), count: 1 }]); // prettier-ignore
  });

  test("sensors stand beside the data point that they were read at", async () => {
    const aux = { columns: { Test_ID: "long", Data_Point: "long", Auxiliary_Index: "integer", Data_Type: "integer", X: "float" } as const, rows: [[1, 3, 0, 1, 25.5], [1, 5, 0, 1, 26.5], [1, 5, 2, 0, 0.25], [1, 999, 0, 1, 1]] }; // prettier-ignore
    const names = { columns: { Auxiliary_Index: "integer", Data_Type: "integer", Nickname: "text", Unit: "text" } as const, rows: [[0, 1, "skin of cell", "°C"]] }; // prettier-ignore
    const { columns, reader, problems } = await readWhole(arbinRes, made({ Auxiliary_Table: aux, Aux_Global_Data_Table: names })); // prettier-ignore
    expect(columns["aux_temperature_0"]!.slice(0, 6)).toEqual([NaN, NaN, 25.5, NaN, 26.5, NaN]);
    expect(columns["aux_voltage_2"]!.slice(3, 6)).toEqual([NaN, 0.25, NaN]);
    expect(reader.fields["aux_temperature_0"]).toMatchObject({ unit: "Cel", vendor_name: "skin of cell" }); // prettier-ignore
    expect(problems).toMatchObject([{ where: "Auxiliary_Table", unread: true, count: 1 }]);
  });

  test("a test that was paused says that its clock is ahead of test time", async () => {
    const rows = [0, 1, 2].map((i) => normalRow(i));
    rows[2]![3] = START_d + 0.5;
    const { problems } = await readWhole(arbinRes, made({ Channel_Normal_Table: normal(0, { rows }) }));
    expect(problems).toMatchObject([{ where: "Channel_Normal_Table, data point 3", what: expect.stringContaining("43199 s ahead") }]); // prettier-ignore
  });

  test("it has ended where its events say so", async () => {
    const events = (type: number): JetTable => ({ columns: { Test_ID: "long", Event_Type: "integer" }, rows: [[1, 0], [1, type]] }); // prettier-ignore
    expect((await readWhole(arbinRes, made({ Event_Table: events(1) }))).reader.finished).toBe(true);
    expect((await readWhole(arbinRes, made({ Event_Table: events(0) }))).reader.finished).toBe(false);
  });

  test("without a row, without a table of sensors", async () => {
    const { rows, reader } = await readWhole(arbinRes, made({ Channel_Normal_Table: normal(0) }));
    expect(rows).toBe(0);
    expect(await reader.lastTestTime_s()).toBeNaN();
  });

  test("one that is written anew while it is read", async () => {
    const file = new FakeFile(made());
    const reader = await arbinRes.open(file, { path: "/made/cell.res", columns: {} });
    file.show(made({ Channel_Normal_Table: normal(60) }));
    await expect(readMore(reader, "settled")).rejects.toThrow(Rewritten);
  });
});

describe("bad .res files say what is wrong", () => {
  test("two tests in one file", async () => {
    const rows = [normalRow(0), normalRow(1, 2), normalRow(2, 2)];
    const bytes = made({ Channel_Normal_Table: normal(0, { rows }) });
    await expect(readWhole(arbinRes, bytes)).rejects.toThrow(
      'holds 2 tests: 1 "cell é 7" (channel 3) with 1 rows, 2 with 2 rows; export each of them to a file of its own',
    );
  });

  test("more tests than can be listed", async () => {
    const rows = Array.from({ length: 10 }, (_, i) => normalRow(i, i + 1));
    const bytes = made({ Channel_Normal_Table: normal(0, { rows }) });
    await expect(readWhole(arbinRes, bytes)).rejects.toThrow(/8 with 1 rows and 2 more; export each/);
  });

  test("an Access database of something else", async () => {
    await expect(readWhole(arbinRes, jetBytes({ Prices: { columns: { Price: "double" }, rows: [] } }))).rejects.toThrow(
      "is an Access database without Channel_Normal_Table, so it is none of Arbin's results; its tables are Prices",
    );
  }); // prettier-ignore

  test("cut in the middle: the rows up to there, then what is missing", async () => {
    const bytes = made({ Channel_Normal_Table: normal(200) });
    // The last table's pages of rows come one after the other, then its map: the map would be lost with the end.
    const damaged = bytes.slice();
    const pages = [...Array.from({ length: bytes.length / 4096 }).keys()].filter(
      (i) => bytes[i * 4096] === 1,
    );
    damaged[pages.at(-4)! * 4096] = 9;
    const { rows, problems } = await readWhole(arbinRes, damaged);
    expect(rows).toBe(140);
    expect(problems).toMatchObject([{ where: "Channel_Normal_Table, row 140", unread: true, count: 60 }]);
    await expect(readWhole(arbinRes, bytes.slice(0, 9000))).rejects.toThrow(/cannot be read \(.*copy the file again/); // prettier-ignore
  });

  test("a definition that goes round in a circle", async () => {
    const bytes = made();
    new DataView(bytes.buffer).setUint32(2 * 4096 + 4, 2, true);
    await expect(readWhole(arbinRes, bytes)).rejects.toThrow(/byte 8192: a table's definition goes on over more than 64 pages/); // prettier-ignore
  });

  test("too large a file is not begun with", async () => {
    const state = () => Promise.resolve({ size: 2 ** 31, modified: 0n });
    const huge = { read: () => Promise.resolve(new Uint8Array(0)), state, look: state, waited_s: () => 0 };
    await expect(arbinRes.open(huge, { path: "/made/a.res", columns: {} })).rejects.toThrow(/^has 2.0 GiB; an .res is held whole/); // prettier-ignore
  });

  test("damaged copies are read or refused", async () => {
    const outcome = await readMutantTables(arbinRes, [made()]);
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read).toBeGreaterThan(0);
  });
});

const UNDERSCORES = `Data_Point,Test_Time,DateTime,Step_Time,Step_Index,Cycle_Index,Current,Voltage,Charge_Capacity,dV/dt,Temperature
0,0.0,1494377253.17,,,,6.6,3.25,0.5,0.25,25.5
1,0.6929,1494377253.8629,,,,-6.5,3.5,0.5,0.25,25.75
`;
const SPACES = `\ufeffData Point,Date Time,Test Time (s),Step Time (s),Cycle Index,Step Index,Current (A),Voltage (V),mAh/g,dV/dt (V/s),dV/dQ (V/Ah),Aux_Temperature_1 (C)
1,\t09/20/2024 08:32:34.558,30.0005,30.0005,1,1,-0.5,3.534595,0,1.98217E-05,,24.66422
2,\t09/20/2024 08:33:04.559,60.0008,60.0008,1,2,0.25,3.534597,0,2.71962E-05,,24.73967
`;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("Arbin's .csv", () => {
  test("with underscores: units that its heading leaves out, and a time in UTC for each row", async () => {
    const { columns, reader, time, problems } = await readWhole(arbinCsv, bytesOf(UNDERSCORES));
    expect(problems).toMatchObject([]);
    expect(columns["current_ampere"]).toEqual([6.6, -6.5]);
    expect(columns["cycle_count"]).toEqual([-1, -1]); // it has none
    expect(reader.fields["temperature"]).toMatchObject({ unit: "Cel" });
    expect(reader.fields["charge_capacity"]).toMatchObject({ unit: "A.h" });
    expect(reader.start).toEqual({ instant: 1494377253_170_000_000n });
    expect(time).toEqual([1494377253_170_000_000n, 1494377253_862_900_000n]);
  });

  test("with spaces: the start is the first row's date less its test time", async () => {
    const { columns, reader } = await readWhole(arbinCsv, bytesOf(SPACES));
    expect(columns["test_time_second"]).toEqual([30.0005, 60.0008]);
    expect(columns["current_ampere"]).toEqual([-0.5, 0.25]);
    expect(columns["date_time"]![0]).toBe("09/20/2024 08:32:34.558");
    expect(columns["cycle_count"]).toEqual([1, 1]);
    expect(reader.start).toEqual({ face: BigInt(Date.UTC(2024, 8, 20, 8, 32, 4)) * 1_000_000n + 557_500_000n }); // prettier-ignore
    expect(reader.fields["dv_dq"]).toMatchObject({ unit: "V/A/h" });
    expect(reader.fields["mah_g"]).toMatchObject({ unit: "mA.h/g" });
    expect(reader.fields["aux_temperature_1"]).toMatchObject({ unit: "Cel" });
  });

  test("grows: the same rows, whatever is seen when", async () => {
    const bytes = bytesOf(SPACES + Array.from({ length: 40 }, (_, i) => `${i + 3},\t09/20/2024 08:34:04.559,${90 + i},1,1,2,0.25,3.${i},0,1,,24\n`).join("")); // prettier-ignore
    const { columns } = await readWhole(arbinCsv, bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        expect((await readGrowing(arbinCsv, states)).columns).toEqual(columns);
      }),
      { numRuns: 200, seed: 3 },
    );
  });
});

test("what passed between rows, from capacities that run on until they are reset, in any pieces", () => {
  const charge_Ah = [0, 1, 2, 2, 2, 0.5, 0.5, NaN, 1, 2];
  const discharge_Ah = [0, 0, 0, 1, 2, 0, 0.25, 0.25, 0.25, 0.25];
  for (const size of [1, 3, 10]) {
    const passed = new RunningCharge();
    const dq: number[] = [];
    for (let i = 0; i < 10; i += size) dq.push(...passed.take(charge_Ah.slice(i, i + size), discharge_Ah.slice(i, i + size)));
    expect(dq).toEqual([NaN, 1000, 1000, -1000, -1000, 500, -250, NaN, NaN, 1000]);
  }
}); // prettier-ignore

const folder = fileURLToPath(new URL("../../../../shared/data/echem/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  const expected = existsSync(folder)
    ? (JSON.parse(readFileSync(`${folder}expected.json`, "utf8").replace(/: NaN\b/g, ": null")) as { file: string; rows: number; first: Record<string, number>; last: Record<string, number>; cycles: Record<string, [number, number]> }[])
    : []; // prettier-ignore
  const of = (name: string) => expected.find(({ file }) => file === `arbin/${name}`)!;
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}arbin/${name}`));
  const OURS: Record<string, string> = { Test_Time: "test_time_second", Voltage: "voltage_volt", Current: "current_ampere", Cycle_Index: "cycle_count", DateTime: "date_time", "dV/dt": "dv_dt" }; // prettier-ignore

  test.each(["20160805_test001_45_cc_01.res", "arbin_example.res"])("%s", async (name) => {
    const { columns, rows, reader, problems } = await readWhole(arbinRes, read(name));
    const { first, last, cycles, ...rest } = of(name);
    expect(rows).toBe(rest.rows);
    expect(problems).toEqual([]);
    expect(reader.finished).toBe(true);
    const point = columns["data_point"] as number[];
    expect(point).toEqual(Array.from({ length: rows }, (_, i) => i + 1));
    // Over each cycle, what passed between rows comes to what the tester summed.
    const net = new Map<number, number>();
    (columns["dq"] as number[]).forEach((dq, i) => {
      const cycle = (columns["cycle_count"] as number[])[i]!;
      if (Number.isFinite(dq)) net.set(cycle, (net.get(cycle) ?? 0) + dq / 1000);
    });
    for (const [cycle, [charged, discharged]] of Object.entries(cycles)) expect(net.get(Number(cycle))!).toBeCloseTo(charged - discharged, 10); // prettier-ignore
    // mdbtools prints the rows in the order of their pages, so its last is found by its number.
    for (const row of [first, last])
      for (const [vendor, value] of Object.entries(row)) {
        if (vendor === "Test_ID") continue;
        const ours = columns[OURS[vendor] ?? vendor.toLowerCase()] as number[];
        const given = ours[row["Data_Point"]! - 1]!;
        expect(Math.abs(given - value), vendor).toBeLessThanOrEqual(Math.abs(value) * 5e-8); // floats are printed with 8 digits
      }
    const [cycle, charge, discharge] = ["cycle_count", "charge_capacity", "discharge_capacity"].map((key) => columns[key] as number[]); // prettier-ignore
    for (const [number, [wantedCharge, wantedDischarge]] of Object.entries(cycles)) {
      const among = cycle!.map((value, i) => (value === Number(number) ? i : -1)).filter((i) => i >= 0);
      expect(Math.max(...among.map((i) => charge![i]!))).toBeCloseTo(wantedCharge, 11);
      expect(Math.max(...among.map((i) => discharge![i]!))).toBeCloseTo(wantedDischarge, 11);
    }
  });

  test("the .res and the .bdf.csv that was made of it are the same rows, to the last printed digit", async () => {
    const { bdfCsv } = await import("../../../sources/echem/csv.ts");
    const res = await readWhole(arbinRes, read("arbin_example.res"));
    const csv = await readWhole(bdfCsv, read("arbin_example.bdf.csv"));
    // Its "Current / A" is a thousandth of its "Current", which is the .res file's: whoever made it converted twice.
    for (const [name, theirs] of [
      ["test_time_second", "test_time_second"],
      ["voltage_volt", "voltage_volt"],
      ["current_ampere", "current"],
      ["charge_capacity", "charge_capacity"],
    ] as const)
      for (let i = 0; i < res.rows; i++) {
        const [a, b] = [res.columns[name]![i] as number, csv.columns[theirs]![i] as number];
        expect(Math.abs(a - b)).toBeLessThanOrEqual(Math.abs(b) * 1e-7); // floats are printed with 8 digits
      }
  });

  test.each([
    ["sample_data_arbin.csv", 13, { test_time_second: 301.214, voltage_volt: 3.599601, current_ampere: 2.650138, charge_capacity: 0.000400839, aux_temperature_1: 24.68785 }],
    ["2017-05-09_test-TC-contact_CH33.csv", 287, { test_time_second: 1022.8913, voltage_volt: 3.4119858741760254, current_ampere: 1.1000289916992188, temperature: 25.446468353271484 }],
  ])("%s", async (name, wanted, last) => {
    const { rows, columns, problems } = await readWhole(arbinCsv, read(name));
    expect(rows).toBe(wanted);
    expect(problems).toEqual([]);
    for (const [column, value] of Object.entries(last)) expect(columns[column]!.at(-1)).toBe(value);
  }); // prettier-ignore

  test("damaged copies are read or refused", async () => {
    const outcome = await readMutantTables(arbinCsv, [read("sample_data_arbin.csv")]);
    expect(outcome.crashes).toEqual([]);
  });
});
