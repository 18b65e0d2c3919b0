import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SourceError } from "../../../runtime/index.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { gamryDta } from "../../../sources/echem/gamry.ts";
import { cp1252, utf8 } from "./mpt-text.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { FakeFile, readGrowing, readMore, readWhole } from "./read-all.ts";

const HEADER = [
  "EXPLAIN",
  "TAG\tEISPOT",
  "TITLE\tLABEL\tCell 7\tTest &Identifier",
  "DATE\tLABEL\t4/23/2018\tDate",
  "TIME\tLABEL\t16:43:15\tTime",
  "NOTES\tNOTES\t2\t&Notes...",
  "\tCURVE\tTABLE\t3",
  "\tNMC, 25 °C",
  "PSTAT\tPSTAT\tREF3000-34128\tPotentiostat",
  "VDC\tPOTEN\t-5,00000E-002\tT\tDC &Voltage (V)",
  "AREA\tQUANT\t1,50000E+000\tElectrode &Area (cm^2)",
  "CONDIT\tTWOPARAM\tF\t1,50000E+001\t0,00000E+000\tConditionin&g\tTime(s)\tE(V)",
  "FRAMEWORKVERSION\tQUANT\t7,07\tFramework Version",
];
const OCV = [
  "OCVCURVE\tTABLE\t2",
  "\tPt\tT\tVf\tVm\tOver\tTemp",
  "\t#\ts\tV vs. Ref.\tV\tbits\tdeg C",
  "\t0\t0.5\t-3,46699E-001\t-3.4E-001\t..........a\t-327.67",
  "\t1\t1\t-3.4E-001\t-3.3E-001\t...........\t25.5",
];
const Z = [
  "ZCURVE\tTABLE",
  "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange",
  "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#",
  "\t0\t0.25\t10000\t224.6\t-3.7\t1\t224.63\t-0.96\t2.4E-006\t1.299\t10",
  "\t1\t3\t1000\t225\t-5\t1\t225.05\t-1.2\t-1.8E-006\t1.298\t9",
];
const curve = (name: string, rows: readonly string[], current = "Im"): string[] => [
  `${name}\tTABLE\t99999`, `\tPt\tT\tVf\t${current}\tIERange`, "\t#\ts\tV vs. Ref.\tA\t#", ...rows,
]; // prettier-ignore
const dta = (...parts: readonly string[][]): Uint8Array => cp1252(`${parts.flat().join("\r\n")}\r\n`);

test("tables one after another, each with its columns", async () => {
  const bytes = dta(HEADER, OCV, ["EOC\tQUANT\t0.28\tOpen Circuit (V)"], Z.slice(0, 3), ["", "\t"], Z.slice(3));
  expect(gamryDta.looks(bytes)).toBe(true);
  const { columns, rows, fields, problems, reader } = await readWhole(gamryDta, bytes);
  expect(problems).toEqual([]);
  expect(rows).toBe(4);
  expect(columns).toEqual({
    test_time_second: [0.5, 1, 1.25, 4], voltage_volt: [-0.346699, -0.34, 1.299, 1.298], current_ampere: [NaN, NaN, 2.4e-6, -1.8e-6],
    curve: [1, 1, 2, 2], table: ["OCVCURVE", "OCVCURVE", "ZCURVE", "ZCURVE"], pt: [0, 1, 0, 1], table_time: [0.5, 1, 0.25, 3],
    vm: [-0.34, -0.33, NaN, NaN], over: ["..........a", "...........", NaN, NaN], temp: [NaN, 25.5, NaN, NaN],
    frequency: [NaN, NaN, 10000, 1000], z_real: [NaN, NaN, 224.6, 225], z_imaginary: [NaN, NaN, -3.7, -5], zsig: [NaN, NaN, 1, 1],
    z_modulus: [NaN, NaN, 224.63, 225.05], z_phase: [NaN, NaN, -0.96, -1.2], ierange: [NaN, NaN, 10, 9],
  });
  expect(fields).toHaveLength(2);
  expect(fields[0]).toMatchObject({ test_time_second: { unit: "s", vendor_name: "T" }, voltage_volt: { unit: "V", vendor_name: "Vf" }, current_ampere: { doc: "not measured in this table" }, over: { kind: "label" }, temp: { unit: "Cel" }, pt: { kind: "code" } });
  expect(fields[1]).toMatchObject({ current_ampere: { unit: "A", vendor_name: "Idc" }, z_phase: { unit: "deg" }, z_real: { unit: "Ohm" } });
  expect(reader.start).toEqual({ face: BigInt(Date.UTC(2018, 3, 23, 16, 43, 15)) * 1_000_000n });
  expect(reader.metadata).toEqual({
    technique: "EISPOT", test_name: "Cell 7", comments: "CURVE\tTABLE\t3\nNMC, 25 °C", device: "REF3000-34128", electrode_area: "1.5 cm2",
    software_version: "7.07", open_circuit_voltage: "0.28 V", setting_vdc: "-5.00000E-002 | T", setting_condit: "F | 1.50000E+001 | 0.00000E+000",
  });
}); // prettier-ignore

test("the same from UTF-8", async () => {
  const text = `${[...HEADER, ...OCV, ...Z].join("\n")}\n`;
  const { columns, fields, reader } = await readWhole(gamryDta, utf8(text));
  expect(columns).toEqual((await readWhole(gamryDta, dta(HEADER, OCV, Z))).columns);
  expect(fields[1]!["z_phase"]!.unit).toBe("deg");
  expect(reader.metadata["comments"]).toMatch(/25 °C/);
});

test("tables of the same columns are one set of columns; time goes on where its own begins anew", async () => {
  const first = curve("CURVE1", ["\t0\t0.1\t0.5\t1E-3\t5", "\t1\t0.2\t0.6\t2E-3\t5"]);
  const on = curve("CURVE2", ["\t2\t0.5\t0.7\t3E-3\t5"]);
  const anew = curve("CURVE3", ["\t0\t0.1\t0.8\t-4E-3\t6", "\t1\t0.3\t0.9\t-5E-3\t6"]);
  const { columns, fields } = await readWhole(gamryDta, dta(HEADER, first, on, anew));
  expect(fields).toHaveLength(1);
  expect(columns).toEqual({
    test_time_second: [0.1, 0.2, 0.5, 0.6, 0.8], table_time: [0.1, 0.2, 0.5, 0.1, 0.3],
    voltage_volt: [0.5, 0.6, 0.7, 0.8, 0.9], current_ampere: [0.001, 0.002, 0.003, -0.004, -0.005],
    curve: [1, 1, 2, 3, 3], table: ["CURVE1", "CURVE1", "CURVE2", "CURVE3", "CURVE3"], pt: [0, 1, 2, 0, 1], ierange: [5, 5, 5, 6, 6],
  }); // prettier-ignore
});

test("current is anodic positive, whatever the instrument was told", async () => {
  const rows = ["\t0\t0.1\t0.5\t-1E-3\t5"];
  const [anodic, cathodic] = ["1", "0"].map((to) => [...HEADER, `CONVENTION\tIQUANT\t${to}\tCurrent Convention`]); // prettier-ignore
  const plain = await readWhole(gamryDta, dta(anodic!, curve("CURVE", rows)));
  expect(plain.columns["current_ampere"]).toEqual([-0.001]);
  expect("im" in plain.columns).toBe(false);
  const turned = await readWhole(gamryDta, dta(cathodic!, curve("CURVE", rows)));
  expect(turned.columns["current_ampere"]).toEqual([0.001]);
  expect(turned.columns["im"]).toEqual([-0.001]);
  expect([plain.problems, turned.problems]).toEqual([
    [],
    [
      {
        where: "line 14",
        what: expect.stringMatching(
          /CONVENTION 0 is taken for cathodic positive, which no file has confirmed/,
        ),
      },
    ],
  ]);
  const unknown = await readWhole(
    gamryDta,
    dta([...HEADER, "CONVENTION\tIQUANT\t2\tCurrent Convention"], curve("CURVE", rows)),
  );
  expect(unknown.columns).toMatchObject({ current_ampere: [NaN], im: [-0.001] });
  expect(unknown.problems).toMatchObject([
    { where: "line 14", what: expect.stringMatching(/"2" is neither 0 nor 1/), unread: true },
  ]);
  const density = await readWhole(gamryDta, dta(HEADER, ["CURVE\tTABLE", "\tPt\tT\tIm", "\t#\ts\tA/cm^2", "\t0\t1\t5"])); // prettier-ignore
  expect(density.columns).toMatchObject({ im: [5], current_ampere: [NaN], voltage_volt: [NaN] });
  expect(density.fields[0]!["im"]!.unit).toBe("A/cm2");
});

const with_ = (date: string, ...more: string[]) => [...HEADER.slice(0, 3), `DATE\tLABEL\t${date}\tDate`, "TIME\tLABEL\t1:02:03 PM\tTime", ...more]; // prettier-ignore
const point = curve("CURVE", ["\t0\t0.1\t0.5\t1E-3\t5"]);
test.each([
  ["8/19/2019", [], [2019, 7, 19], undefined],
  ["19/8/2019", [], [2019, 7, 19], undefined],
  ["3.10.2019", [], [2019, 9, 3], undefined],
  ["2019-10-03", [], [2019, 9, 3], undefined],
  ["10-2-2020", ["ACCALDATE\tLABEL\t8/19/2019\tAC Calibration Date"], [2020, 9, 2], undefined],
  ["10/2/2020", ["ACCALDATE\tLABEL\t19/8/2019\tAC Calibration Date"], [2020, 1, 10], undefined],
  ["3/10/2019", [], [2019, 2, 10], /is read as month\/day; nothing else/],
  ["3/10/2019", ["AREA\tQUANT\t1,5\tArea"], [2019, 9, 3], /is read as day\/month, since its numbers have decimal commas/],
  ["3/3/2019", [], [2019, 2, 3], undefined],
  ["yesterday", [], undefined, /is no date; the start is not known/],
] as const)("DATE %s beside %j", async (date, more, wanted, problem) => {
  const { reader, problems } = await readWhole(gamryDta, dta(with_(date, ...more), point));
  expect(reader.start).toEqual(wanted && { face: BigInt(Date.UTC(wanted[0], wanted[1], wanted[2], 13, 2, 3)) * 1_000_000n }); // prettier-ignore
  expect(problems).toEqual(problem ? [{ where: "line 4", what: expect.stringMatching(problem) }] : []);
}); // prettier-ignore

test("a run that was stopped, and what belongs to no table", async () => {
  const stop = ["EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted", "\t9\t9\t9\t9\t9", "\t9\t9\t9\t9\t9"];
  const { columns, problems } = await readWhole(gamryDta, dta(HEADER, point, stop, curve("CURVE2", ["\t0\t0.1\t0.5\t1E-3\t5"]))); // prettier-ignore
  expect(columns["test_time_second"]).toEqual([0.1, 0.1]);
  expect(problems).toEqual([
    { where: "line 18", what: "the run was stopped by hand here" },
    {
      where: "line 19",
      what: "belongs to no table; such lines are left out up to the next one",
      unread: true,
    },
  ]);
});

test("a header that is longer than what is read at once", async () => {
  const notes = Array.from({ length: 9000 }, (_, i) => `note ${i}`);
  const { rows, problems } = await readWhole(gamryDta, dta(["EXPLAIN", "NOTES\tNOTES\t9000\t&Notes...", ...notes], OCV)); // prettier-ignore
  expect([rows, problems]).toEqual([2, []]);
});

test("rows that cannot be read are told, and the rest goes on", async () => {
  const rows = [
    "\t0\t0.1\t0.5\t1E-3\t5",
    "  1 0.2 0.6\t2E-3\t5",
    "\t2\tx\t0.7\t3E-3\t",
    "\t3\t0.4\t0.8\t4E-3\t5",
  ];
  const { columns, problems } = await readWhole(gamryDta, dta(HEADER, curve("CURVE", rows), ["CURVE2\tTABLE", "CURVE3\tTABLE"])); // prettier-ignore
  expect(columns).toMatchObject({ test_time_second: [0.1, NaN, 0.4], voltage_volt: [0.5, 0.7, 0.8], ierange: [5, -1, 5] }); // prettier-ignore
  expect(problems).toMatchObject([
    { where: "line 18", what: expect.stringMatching(/has 3 cells where the columns are 6/), unread: true },
    { where: "line 19", what: expect.stringMatching(/column "table_time" says "x"/) },
    { where: "line 19", what: expect.stringMatching(/column "ierange" says nothing/) },
    { where: "line 22", what: "stands where the headings of table CURVE2 should be, which has none", unread: true }, // prettier-ignore
  ]);
});

test.each([
  [dta(HEADER), "has no table of data: it ends within its header, after line 13. If it is still being written, follow it; else the run ended before its first point"],
  [dta(HEADER, OCV.slice(0, 2)), "ends within the headings of its table OCVCURVE, after line 15; it is not whole yet"],
])("%# is refused", async (bytes, message) => {
  await expect(readWhole(gamryDta, bytes)).rejects.toThrow(new SourceError(message));
}); // prettier-ignore

test("a table without a row yet", async () => {
  const { rows, problems, reader } = await readWhole(gamryDta, dta(HEADER, OCV.slice(0, 3)));
  expect([rows, problems]).toEqual([0, []]);
  expect(await reader.lastTestTime_s()).toBeNaN();
  const some = await gamryDta.open(new FakeFile(dta(HEADER, OCV)), { path: "/made/a.dta", columns: {} });
  expect(await some.lastTestTime_s()).toBe(1);
});

describe("growing", () => {
  const rows = (from: number, n: number) => Array.from({ length: n }, (_, i) => `\t${i}\t${from + i / 4}\t0.5${i}\t-1.${i}E-3\t5`); // prettier-ignore
  const parts = [HEADER, OCV, ["CONVENTION\tIQUANT\t0\tCurrent Convention", "LATER\tNOTES\t1\tNotes", "\tx"], curve("CURVE1", rows(0, 20)), curve("CURVE2", rows(5, 9)), Z]; // prettier-ignore
  test("the same rows, whatever is seen when", async () => {
    const bytes = dta(...parts);
    const whole = await readWhole(gamryDta, bytes);
    expect(whole.rows).toBe(33);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        const grown = await readGrowing(gamryDta, states);
        expect(grown.columns).toEqual(whole.columns);
        expect(grown.fields).toEqual(whole.fields);
      }),
      { numRuns: 200, seed: 6 },
    );
  });

  test("a file written anew says so", async () => {
    const file = new FakeFile(dta(HEADER, OCV));
    const reader = await gamryDta.open(file, { path: "/made/a.dta", columns: {} });
    const all = await readMore(reader, "growing");
    file.show(dta(with_("8/19/2019"), OCV, Z));
    await expect(readMore(reader, "growing", all)).rejects.toThrow(Rewritten);
  });
});

test("damaged copies are read or refused", async () => {
  const outcome = await readMutantTables(gamryDta, [dta(HEADER, OCV, Z), dta(HEADER, point, OCV)]);
  expect(outcome.crashes).toEqual([]);
  expect(outcome.read).toBeGreaterThan(0);
  expect(outcome.longest_ms).toBeLessThan(2000);
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/gamry/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  interface Table { name: string; rows: number; columns: string[]; first: string[]; last: string[] } // prettier-ignore
  const expected = existsSync(folder)
    ? (JSON.parse(readFileSync(`${folder}../expected.json`, "utf8").replaceAll(/: NaN\b/g, ": null")) as { file: string; tables?: Table[] }[])
    : []; // prettier-ignore
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => /\.dta$/i.test(name)) : [];

  test.each(files)("%s", async (name) => {
    const bytes = new Uint8Array(readFileSync(folder + name));
    expect(gamryDta.looks(bytes.subarray(0, 4096))).toBe(true);
    const { tables } = expected.find(({ file }) => file === `gamry/${name}`)!;
    if (tables!.length === 0) {
      await expect(readWhole(gamryDta, bytes)).rejects.toThrow(/has no table of data/);
      return;
    }
    const { columns, rows, fields } = await readWhole(gamryDta, bytes);
    expect(rows).toBe(tables!.reduce((sum, table) => sum + table.rows, 0));
    const ours = new Map(fields.flatMap((set) => Object.entries(set).map(([key, { vendor_name = "" }]) => [vendor_name, key] as const))); // prettier-ignore
    let row = 0;
    let compared = 0;
    for (const [i, table] of tables!.entries()) {
      expect(columns["table"]![row]).toBe(table.name);
      expect(columns["curve"]![row]).toBe(i + 1);
      for (const [cells, at] of [[table.first, row], [table.last, row + table.rows - 1]] as const)
        cells.forEach((cell, k) => {
          const vendor = table.columns[k]!;
          const value = columns[{ T: "table_time", Time: "table_time", Vf: "voltage_volt", Im: "current_ampere", Vdc: "voltage_volt", Idc: "current_ampere" }[vendor] ?? ours.get(vendor)!]![at];
          if (vendor === "Over") expect(value).toBe(cell);
          else if (vendor === "Temp") expect(value).toBeNaN();
          else expect(value, `${vendor} of row ${at}`).toBe(Number(cell.replace(",", ".")));
          compared++;
        });
      row += table.rows;
    }
    expect(compared).toBeGreaterThan(10);
    const t = columns["test_time_second"] as number[];
    expect(t.every((s, i) => i === 0 || s > t[i - 1]!)).toBe(true);
  }); // prettier-ignore

  test("the spoilt rows of eispot_data.dta are told", async () => {
    const { problems } = await readWhole(gamryDta, new Uint8Array(readFileSync(`${folder}eispot_data.dta`)));
    expect(problems.at(-1)).toMatchObject({ where: "line 28", unread: true, count: 4 });
  });

  test.each(files.filter((name) => !name.includes("incomplete")))("%s grows as it is", async (name) => {
    const bytes = new Uint8Array(readFileSync(folder + name));
    const { columns } = await readWhole(gamryDta, bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        expect((await readGrowing(gamryDta, states)).columns).toEqual(columns);
      }),
      { numRuns: 200, seed: 12 },
    );
  });
});
