import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headingOf, mapColumns, toOurs } from "../../../sources/echem/column-map.ts";
import { anyCsv, basytec, novonix, pec } from "../../../sources/echem/csv.ts";
import { clockFace, decimalOf, duration_s, isEitherWay, zonedInstant } from "../../../sources/echem/text-reader.ts"; // prettier-ignore
import { claimsEchem } from "../../../sources/echem/formats.ts";
import { looksLike } from "../../../sources/echem/looks-like.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { FakeFile, readGrowing, readMore, readWhole } from "./read-all.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const face = (...at: [number, number, number, number, number, number]): { face: bigint } => ({ face: BigInt(Date.UTC(...at)) * 1_000_000n }); // prettier-ignore

describe("a heading's unit", () => {
  test.each([
    ["Test Time / s", "Test Time", "s"],
    ["Current (mA)", "Current", "mA"],
    ["U[V]", "U", "V"],
    ["I/mA", "I", "mA"],
    ["current_A", "current", "A"],
    ["voltage_volt", "voltage", "V"],
    ["Temperature (°C)", "Temperature", "Cel"],
    ["Aux_Temperature_1 (C)", "Aux_Temperature_1", "Cel"],
    ["mAh/g", "mAh/g", "mA.h/g"],
    ["dV/dQ (V/Ah)", "dV/dQ", "V/A/h"],
    ["dQm/dV(mAh/V.g)", "dQm/dV", "mA.h/V/g"],
    ["Energy Density (Wh/kg)", "Energy Density", "W.h/kg"],
    ["Capacity(mAs)", "Capacity", "mA.s"],
    ["DCIR(mΩ)", "DCIR", "mOhm"],
    ["R (mohm)", "R", "mOhm"],
    ["T1 (ºC)", "T1", "Cel"],
    ["Q (A·h)", "Q", "A.h"],
    [`T${" ".repeat(300_000)}(`, `T${" ".repeat(300_000)}(`, ""],
    ["dV/dt", "dV/dt", ""],
    ["Step_Index", "Step_Index", ""],
    ["half_cycle", "half_cycle", ""],
    ["T1(?)", "T1", ""],
    ["constructor", "constructor", ""],
    ["x_constructor", "x_constructor", ""],
    ["T1 (toString)", "T1", ""],
    ["T1 (constructor.s)", "T1", ""],
  ])("of %s", (vendor, quantity, unit) => {
    expect(headingOf(vendor)).toMatchObject({ vendor, quantity, unit });
  });
});

describe("a table without a heading", () => {
  const text = "# of my own making\n0;3,25;-5\n60;3,5;-10\n";
  const columns = { test_time_second: "#1 [min]", voltage_volt: "#2 [V]", current_ampere: "-#3 [mA]" };

  test("is read by the places of its columns", async () => {
    const { columns: read, rows, problems } = await readWhole(anyCsv, bytesOf(text), { columns });
    expect(problems).toEqual([]);
    expect(rows).toBe(2);
    expect(read).toEqual({ test_time_second: [0, 3600], voltage_volt: [3.25, 3.5], current_ampere: [0.005, 0.01] });
  });

  test("without a comment above it, and with columns that nobody names", async () => {
    const { columns: read, reader } = await readWhole(anyCsv, bytesOf("1,2,3,4\n2,3,4,5"), { columns: { test_time_second: "#4 [s]", frequency: "#1 [Hz]" } });
    expect(read["test_time_second"]).toEqual([4, 5]);
    expect(read["frequency"]).toEqual([1, 2]);
    expect(reader.fields["column_2"]).toMatchObject({ kind: "scalar", unit: "", vendor_name: "#2" });
  });

  test.each([
    [{}, /has no heading.*say by their places which is what: columns: \{ test_time_second: "#1 \[s\]"/],
    [{ test_time_second: "#1" }, /"#1" has no unit; write the one it is in behind it, as in \{ test_time_second: "#1 \[s\]" \}/],
    [{ test_time_second: "#9 [s]" }, /#9/],
  ])("with %j is refused", async (columns, message) => {
    await expect(readWhole(anyCsv, bytesOf(text), { columns })).rejects.toThrow(message);
  });
}); // prettier-ignore

test.each([
  ["01:30:00.5", 5400.5],
  ["144:02:18", 518_538],
  ["  2d 02:52:51.57", 183_171.57],
  ["  0d 00:00:5", 5],
  ["12:30", 45_000],
  ["12", NaN],
  ["a:b:c", NaN],
])("%s is so many seconds", (written, seconds) => {
  expect(duration_s(written)).toBe(seconds);
});

test.each([
  ["2025-07-19 15:26:20", "year first", [2025, 6, 19, 15, 26, 20]],
  ["2025-07-19T15:26:20", "day first", [2025, 6, 19, 15, 26, 20]],
  ["09/20/2024 08:32:34", "month first", [2024, 8, 20, 8, 32, 34]],
  ["20.09.2024 08:32:34", "day first", [2024, 8, 20, 8, 32, 34]],
  ["23-Nov-23 3:56:08 PM", "month first", [2023, 10, 23, 15, 56, 8]],
  ["11 December 2020, 12:22:12 AM", "month first", [2020, 11, 11, 0, 22, 12]],
] as const)("%s, %s, is what a clock showed", (written, order, at) => {
  expect(clockFace(written, order)).toBe(
    face(...(at as [number, number, number, number, number, number])).face,
  );
});
test.each(["31/02/2024 08:00:00", "yesterday", "2025-07-19T15:26:20+02:00", "01.02.2024 08:60:00", "2024-13-01 08:00:00", "09/20/2024", "01.02.2024 25:00:00"])("%s is no time", (written) => {
  expect(clockFace(written, "day first")).toBeUndefined();
}); // prettier-ignore

test.each([
  ["2025-07-19T15:26:20Z", Date.UTC(2025, 6, 19, 15, 26, 20)],
  ["2025-07-19 15:26:20.5+02:00", Date.UTC(2025, 6, 19, 13, 26, 20, 500)],
  ["2025-07-19T23:26:20-0330", Date.UTC(2025, 6, 20, 2, 56, 20)],
  ["2025-07-19 15:26:20", undefined],
  ["19.07.2025 15:26:20Z", undefined],
])("%s is an instant", (written, ms) => {
  expect(zonedInstant(written)).toBe(ms === undefined ? undefined : BigInt(ms) * 1_000_000n);
});

test("a date that has a day and a month up to 12 can be read in two ways", () => {
  const dates = ["03/10/2019", "10-2-20", "3/3/2019", "03.10.2019", "13/10/2019", "10/13/2019", "2019-03-10", "3-Oct-19"]; // prettier-ignore
  expect(dates.filter((date) => isEitherWay(`${date} 08:00:00`))).toEqual(["03/10/2019", "10-2-20"]);
});

test.each([
  [["1", "0.0", "3.7123"], { decimal: ".", thousands: "," }],
  [["1", "0,0", "3,7123", "x.y"], { decimal: ",", thousands: "." }],
  [["1,000", "0.5"], { decimal: ".", thousands: "," }],
  [["1,000", "2.125"], { decimal: "either" }],
  [["1", "2"], { decimal: "either" }],
  [["1.5", "2,5"], { decimal: "either" }],
])("the first row %j tells the decimal mark", (row, wanted) => {
  expect(decimalOf("\t", row)).toEqual(wanted);
});

test("units convert as the user would: exactly where it can be", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), (n) => {
      const { columns } = mapColumns(["Time (ms)", "Voltage (mV)", "Current (uA)"].map(headingOf), {});
      const values = columns.map((ours) => {
        const one = Float64Array.of(n);
        toOurs(one, ours);
        return one[0];
      });
      expect(values).toEqual([n / 1e3, n / 1e3, n / 1e6]);
    }),
    { seed: 1 },
  );
});

describe("any table with a heading", () => {
  test.each([
    ["commas", "time_s,current_A,voltage_V,half_cycle\n0,-1e-05,-0.5,0\n1.5,1e-05,0.5,1\n"],
    ["semicolons and decimal commas", "Zeit;x\nTime [s];Current [mA];Voltage [mV];half_cycle\n0;-0,01;-500;0\n1,5;0,01;500;1\n"],
    ["tabs, units in a line of their own", "# made by hand\nTime\tCurrent\tVoltage\thalf_cycle\ns\tuA\tV\t\n0\t-10\t-0.5\t0\n1.5\t10\t0.5\t1\n"],
    ["times of hours, minutes, seconds", "Time,Current (mA),Voltage (V),half_cycle\n00:00:00,-0.01,-0.5,0\n00:00:01.5,0.01,0.5,1\n"],
    ["quotes", '"Time (s)","Current (A)","Voltage (V)","half_cycle"\n"0","-1e-05","-0.5","0"\n"1.5","1e-05","0.5","1"\n'],
  ])("by words and units: %s", async (_, text) => {
    const { columns, problems, reader } = await readWhole(anyCsv, bytesOf(text));
    expect(problems).toEqual([]);
    expect(columns["test_time_second"]).toEqual([0, 1.5]);
    expect((columns["current_ampere"] as number[]).map((I) => I.toPrecision(12))).toEqual(["-0.0000100000000000", "0.0000100000000000"]);
    expect(columns["voltage_volt"]).toEqual([-0.5, 0.5]);
    expect(columns["half_cycle"]).toEqual([0, 1]);
    expect(reader.metadata["columns_told_by"]).toBe("words and units of the heading");
  }); // prettier-ignore

  test("by a map: units from the heading or from the map, current that counts the other way", async () => {
    const { columns, reader } = await readWhole(anyCsv, bytesOf("t,E,I (mA),T,what\n1,3.5,250,300,x\n2,3.25,-250,301,y\n"), {
      columns: { test_time_second: "t [h]", voltage_volt: "E [V]", current_ampere: "- I", ambient_temperature_celsius: "T [K]" },
    });
    expect(columns["test_time_second"]).toEqual([3600, 7200]);
    expect(columns["voltage_volt"]).toEqual([3.5, 3.25]);
    expect(columns["current_ampere"]).toEqual([-0.25, 0.25]);
    expect((columns["ambient_temperature_celsius"] as number[])[0]).toBeCloseTo(26.85, 10);
    expect(columns["what"]).toEqual(["x", "y"]);
    expect(reader.metadata["columns_told_by"]).toBe("the columns option");
    expect(reader.fields["current_ampere"]).toMatchObject({ unit: "A", vendor_name: "I (mA)" });
  }); // prettier-ignore

  test("a map without current: it is missing, and told", async () => {
    const { columns, problems } = await readWhole(anyCsv, bytesOf("t;E\n1;3,5\n"), { columns: { test_time_second: "t [s]", voltage_volt: "E [V]" } }); // prettier-ignore
    expect(columns["current_ampere"]).toEqual([NaN]);
    expect(problems).toMatchObject([{ what: 'none is current_ampere, so it is missing in all rows; if one is, name it: { current_ampere: "I [mA]" }' }]); // prettier-ignore
  });

  test("knows the last row's test time before it is read", async () => {
    const file = new FakeFile(bytesOf("Time (h),Voltage (V),Current (A)\n0,3,1\n0.5,3,1\n"));
    const reader = await anyCsv.open(file, { path: "/made/a.csv", columns: {} });
    expect(await reader.lastTestTime_s()).toBe(1800);
    expect((await readMore(reader, "growing")).rows).toBe(2);
  });

  test("says at which line its rows stand, and what could not be read there", async () => {
    const { chunks, problems } = await readWhole(anyCsv, bytesOf("made by hand\n\nTime (s),Voltage (V),Current (A)\n\n0,3,1\n1,3,1,9,9\n2,?,1\n")); // prettier-ignore
    expect(chunks.map(({ where, rows }) => [where, rows])).toEqual([["line 5", 2]]);
    expect(problems.map(({ where, count }) => [where, count])).toEqual([["line 6", 1], ["line 7", 1]]); // prettier-ignore
  });

  test("letters of Windows, and an ISO date that says the start", async () => {
    const { columns, reader } = await readWhole(anyCsv, latin("Cell: K\xe4the\nDate,Time (s),Voltage (V),Current (\xb5A),T (\xb0C)\n2025-07-19 15:26:20,10,3,5,25\n")); // prettier-ignore
    expect(columns["current_ampere"]![0]).toBeCloseTo(5e-6, 15);
    expect(reader.fields["t"]).toMatchObject({ unit: "Cel" });
    expect(reader.metadata["cell"]).toBe("Käthe");
    expect(reader.start).toEqual(face(2025, 6, 19, 15, 26, 10));
  });

  test("a date with its zone, or one that its heading calls UTC, says the instant", async () => {
    const at = (date: string, heading = "Date") => readWhole(anyCsv, bytesOf(`${heading},Time (s),Voltage (V),Current (A)\n${date},10,3,1\n`)); // prettier-ignore
    const instant = BigInt(Date.UTC(2025, 6, 19, 13, 26, 10)) * 1_000_000n;
    expect((await at("2025-07-19 15:26:20+02:00")).reader.start).toEqual({ instant });
    expect((await at("2025-07-19T13:26:20Z")).reader.start).toEqual({ instant });
    expect((await at("2025-07-19 13:26:20", "Date (UTC)")).reader.start).toEqual({ instant });
    expect((await at("2025-07-19 13:26:20")).reader.start).toEqual({ face: instant });
  });

  test("a last line that was cut is left out, since its last number may be half of one", async () => {
    const { columns, problems } = await readWhole(anyCsv, bytesOf("Time (s),Voltage (V),Current (A),T (C)\n0,3,0.0123,25\n1,3,0.0")); // prettier-ignore
    expect(columns["current_ampere"]).toEqual([0.0123]);
    expect(problems).toMatchObject([{ where: "line 3", what: expect.stringMatching(/ends after 3 of 4 cells/), unread: true, count: 1 }]); // prettier-ignore
    const empty = await readWhole(anyCsv, bytesOf("Time (s),Voltage (V),Current (A),Note\n0,3,1,a\n1,3,1,"));
    expect(empty.rows).toBe(2);
    expect(
      (await readWhole(anyCsv, bytesOf("Time (s),Voltage (V),Current (A)\n0,3,1\n  "))).problems,
    ).toEqual([]);
  });

  test("a voltage whose first cell is no number is a voltage all the same; a test time is refused", async () => {
    const { columns, problems } = await readWhole(
      anyCsv,
      bytesOf("Time (s),Voltage (V),Current (A)\n0,#N/A,1\n1,3.5,1\n"),
    );
    expect(columns["voltage_volt"]).toEqual([NaN, 3.5]);
    expect(problems).toMatchObject([{ where: "line 2", what: expect.stringMatching(/says "#N\/A", which is no number/) }]); // prettier-ignore
    const mapped = await readWhole(anyCsv, bytesOf("t [s],E [V],I [A]\n0,OVL,1\n1,3.5,1\n"), { columns: { test_time_second: "t [s]", voltage_volt: "E [V]" } }); // prettier-ignore
    expect(mapped.columns["voltage_volt"]).toEqual([NaN, 3.5]);
    await expect(readWhole(anyCsv, bytesOf("Time (s),Voltage (V),Current (A)\nstart,3,1\n"))).rejects.toThrow('line 2: "Time (s)", which is to be test_time_second, says "start"; that is no number'); // prettier-ignore
  });

  test("thousands in groups, where the first row shows the decimal mark", async () => {
    const points = await readWhole(anyCsv, bytesOf("n\tTime (s)\tVoltage (V)\tCurrent (A)\n999\t0.5\t3.5\t0.1\n1,000\t1,234.5\t3.5\t0.1\n")); // prettier-ignore
    expect(points.columns).toMatchObject({ n: [999, 1000], test_time_second: [0.5, 1234.5] });
    const commas = await readWhole(anyCsv, bytesOf("n;Time (s);Voltage (V);Current (A)\n999;0,5;3,5;0,1\n1.000;1.234,5;3,5;0,1\n")); // prettier-ignore
    expect(commas.columns).toMatchObject({ n: [999, 1000], test_time_second: [0.5, 1234.5] });
  });

  test("text of Windows under a heading of plain letters", async () => {
    const { columns } = await readWhole(
      anyCsv,
      latin("Time (s),Voltage (V),Current (A),Step\n0,3,1,R\xfchren\n"),
    );
    expect(columns["step"]).toEqual(["Rühren"]);
  });

  test("a file that is cut short between two looks is not waited for", async () => {
    const file = new FakeFile(bytesOf("made by hand\nTime (s),Voltage (V),Current (A)\n0,3,1\n"));
    const read = file.read;
    let reads = 0;
    file.read = async (at, length) => (reads++ === 0 ? read(at, length) : new Uint8Array(0));
    await expect(anyCsv.open(file, { path: "/made/a.csv", columns: {} })).rejects.toThrow("line 1: its heading is not whole yet"); // prettier-ignore
  });

  test("lines of a million characters are gone through once", async () => {
    const long = "1".repeat(200_000);
    const spaces = `a: b${" ".repeat(200_000)}c`;
    const { rows } = await readWhole(
      anyCsv,
      bytesOf(`${long}x,2\n${spaces},2\nTime (s),Voltage (V),Current (A)\n0,3,1\n`),
    );
    expect(rows).toBe(1);
  });

  test.each([
    ["no words that are known", "a,b,c\n1,2,3\n", {}, 'none of its columns says by its heading, with a unit, that it is test_time_second: "a", "b", "c"; write which it is, with the unit it is in: columns: { test_time_second: "Time [h]" }'],
    ["units left out", "Time,Voltage,Current\n1,2,3\n", {}, 'that it is test_time_second: "Time", "Voltage", "Current"'],
    ["a name that is not there", "Tme (s),U (V),I (A)\n1,2,3\n", { test_time_second: "Time (s)" }, 'columns: test_time_second is to be "Time (s)", which is none of the file\'s columns: "Tme (s)", "U (V)", "I (A)"; did you mean "Tme (s)"?'],
    ["a unit of something else", "t (V),U (V),I (A)\n1,2,3\n", { test_time_second: "t (V)" }, 'columns: test_time_second is in s, and "t (V)" in V, which measures something else'],
    ["no unit at all", "t,U (V),I (A)\n1,2,3\n", { test_time_second: "t" }, 'columns: "t" has no unit; write the one it is in behind it, as in { test_time_second: "t [s]" }'],
    ["a unit that nobody knows", "t,U (V),I (A)\n1,2,3\n", { test_time_second: "t [fortnight]" }, 'nobody knows the unit "fortnight"'],
    ["units that contradict", "t (s),U (V),I (A)\n1,2,3\n", { test_time_second: "t [h]" }, 'columns: test_time_second is to be in h, but the file says that "t (s)" is in s; leave the unit away'],
    ["one for two", "t (s),U (V),I (A)\n1,2,3\n", { voltage_volt: "U (V)", x: "U (V)" }, 'columns: x and voltage_volt are both to be "U (V)"'],
    ["no heading", "1,2,3\n4,5,6\n", {}, "has no heading, in its first 2 lines, over rows of numbers"],
  ])("says what to do: %s", async (_, text, columns, message) => {
    await expect(readWhole(anyCsv, bytesOf(text), { columns: columns as Record<string, string> })).rejects.toThrow(message);
  }); // prettier-ignore

  test.each([
    [new Uint8Array(Buffer.from("\ufeffTime (s)\tVoltage (V)\n", "utf16le")), 'it is text in UTF-16 ("Unicode text"); save it as UTF-8'],
    [latin("PK\x03\x04 a workbook"), "it is a zip archive, as .xlsx and JPK files are; a table in Excel must be saved as CSV"],
    [latin("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "it is an OLE file, as .xls is; a table in Excel must be saved as CSV"],
  ])("what Excel saves and is no CSV: %#", (bytes, message) => {
    expect(looksLike(bytes)).toBe(message);
  }); // prettier-ignore

  test("takes no file unasked of which it cannot tell the columns", () => {
    const told = bytesOf("Time (s),Voltage (V),Current (A)\n0,3,1\n");
    const untold = bytesOf("x,y\n1,2\n");
    expect(claimsEchem(told, "cell.csv")).toBe(true);
    expect(claimsEchem(untold, "cell.csv")).toBe(false);
    expect(claimsEchem(told, "cell.dat")).toBe(false);
    expect(claimsEchem(bytesOf("Height (nm),Force (nN),Deflection (V)\n0,3,1\n"), "curve.txt")).toBe(false);
    expect(claimsEchem(bytesOf("PAR1"), "table.parquet")).toBe(false);
  });

  test("grows: the same rows, whatever is seen when", async () => {
    const rows = Array.from({ length: 60 }, (_, i) => `${i / 2};3,${i};${i % 2 ? "-" : ""}0,5;Step é ${i}\n`).join(""); // prettier-ignore
    const bytes = bytesOf(`Cell: a\nTime [s];Voltage [V];Current [mA];Step\n${rows}99;3;1;end`);
    const { columns } = await readWhole(anyCsv, bytes);
    expect(columns["step"]!.at(-1)).toBe("end");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        expect((await readGrowing(anyCsv, states)).columns).toEqual(columns);
      }),
      { numRuns: 200, seed: 13 },
    );
  });
});

const BASYTEC = "~Resultfile from Basytec Battery Test System\n~Name of Test: t7\n~Start of Test: 19.06.2023 17:56:53\n~\n~Time[s]\tLine\tCommand\tU[V]\tI[A]\tAh-Step\tT1[\xb0C]\tCyc-Count\n0\t3\tPause\t3.5\t0\t0\t25.5\t0\n1.5\t4\tCharge\t3.6\t0.25\t0.1\t25.5\t1\n"; // prettier-ignore
const NOVONIX = "[Summary]\nNovonix UHPC data file\nNovonix\nChannel: 01\nMass (g): 1.5\nStarted: 2025-07-19 15:26:20\n[End Summary]\n[Data]\nDate and Time,Cycle Number,Step Type,Run Time (h),Current (A),Potential (V),dVdt (V/h)\n2025-07-19 15:26:20,1,7,0.0,0.0,3.84,0\n2025-07-19 15:26:21,1,7,0.5,-0.5,3.85,0\n"; // prettier-ignore
const PEC = "Test:,25205\nTestRegime Name:,OCV\nTest,Cell,Instruction Name,Cycle,Total Time (Hours in hh:mm:ss.xxx),Step Time (Seconds),Real Time,Voltage (V),Current (A),Charge Capacity (mAh),\n25205,1,Idle,0,00:00:00.500,0.5,01/08/2026 17:45:08,3.68,0,0,\n25205,1,Charge,1,30:00:10.000,10,01/09/2026 23:45:18,3.69,0.5,1.5,\n"; // prettier-ignore

describe("exports that labs have", () => {
  test("Basytec", async () => {
    const { columns, reader, problems } = await readWhole(basytec, latin(BASYTEC));
    expect(problems).toEqual([]);
    expect(columns).toMatchObject({ test_time_second: [0, 1.5], voltage_volt: [3.5, 3.6], current_ampere: [0, 0.25], cycle_count: [0, 1], command: ["Pause", "Charge"], t1: [25.5, 25.5] }); // prettier-ignore
    expect(reader.fields["ah_step"]).toMatchObject({ unit: "A.h" });
    expect(reader.fields["t1"]).toMatchObject({ unit: "Cel" });
    expect(reader.start).toEqual(face(2023, 5, 19, 17, 56, 53));
    expect(reader.metadata).toMatchObject({ test_name: "t7" });
  });

  test("Novonix", async () => {
    const { columns, reader, problems } = await readWhole(novonix, bytesOf(NOVONIX));
    expect(problems).toEqual([]);
    expect(columns).toMatchObject({ test_time_second: [0, 1800], voltage_volt: [3.84, 3.85], current_ampere: [0, -0.5], cycle_count: [1, 1] }); // prettier-ignore
    expect(reader.start).toEqual(face(2025, 6, 19, 15, 26, 20));
    expect(reader.metadata).toMatchObject({ channel: "01", active_mass: "1.5 g" });
    expect(reader.fields["dvdt"]).toMatchObject({ unit: "V/h" });
  });

  test("PEC", async () => {
    const { columns, reader, problems } = await readWhole(pec, bytesOf(PEC));
    expect(problems).toMatchObject([{ where: "line 4", what: expect.stringMatching(/"01\/08\/2026 17:45:08" is read as month\/day/) }]); // prettier-ignore
    const dayFirst = await readWhole(pec, bytesOf(PEC.replace("01/08", "28/01")));
    expect([dayFirst.problems, dayFirst.reader.start]).toEqual([[], { face: face(2026, 0, 28, 17, 45, 8).face - 500_000_000n }]); // prettier-ignore
    expect(columns).toMatchObject({ test_time_second: [0.5, 108_010], voltage_volt: [3.68, 3.69], current_ampere: [0, 0.5], cycle_count: [0, 1], charge_capacity: [0, 1.5] }); // prettier-ignore
    expect(reader.start).toEqual({ face: face(2026, 0, 8, 17, 45, 8).face - 500_000_000n });
    expect(reader.metadata).toMatchObject({ test_number: "25205", schedule: "OCV" });
  });

  test("damaged copies are read or refused", async () => {
    const files = [latin(BASYTEC), bytesOf(NOVONIX), bytesOf(PEC)];
    const outcome = await readMutantTables(anyCsv, files);
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read).toBeGreaterThan(0);
  });
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  test.each([
    ["other/sample_data_basytec.txt", basytec, 74, { test_time_second: 70.2358036666668, voltage_volt: 3.53285012323902, current_ampere: 0.449601734416934, t1: 25.47953 }],
    ["other/sample_data_novonix.csv", novonix, 207, { test_time_second: 3.4131889 * 3600, voltage_volt: 4.12864581, current_ampere: 0.49999387, temperature: 24.792 }],
    ["other/Test25205.csv", pec, 489, { test_time_second: 70_918.98, voltage_volt: 0.0639655, current_ampere: 0, discharge_capacity: 0.021 }],
    ["derived/symmetric_softshort_a.csv", anyCsv, 12_057, { test_time_second: 1_385_603.734, voltage_volt: 0.0853458, current_ampere: 1.1e-5, half_cycle: 32 }],
    ["neware/neware_uio.csv", anyCsv, 9065, { test_time_second: 518_538, voltage_volt: 0.4251, current_ampere: 0.00099171, cycle_count: 4, step_type: "CC Chg" }],
  ])("%s", async (name, format, wanted, last) => {
    const bytes = new Uint8Array(readFileSync(folder + name));
    expect(format.looks(bytes.subarray(0, 4096))).toBe(true);
    expect(claimsEchem(bytes.subarray(0, 4096), name)).toBe(true);
    const { columns, rows, problems } = await readWhole(format, bytes);
    expect(problems.filter(({ what }) => !what.includes("month/day"))).toEqual([]);
    expect(rows).toBe(wanted);
    for (const [column, value] of Object.entries(last)) expect(columns[column]!.at(-1)).toBe(value);
  }); // prettier-ignore
});
