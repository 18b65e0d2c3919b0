import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SourceError } from "../../../runtime/index.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { biologicMpr } from "../../../sources/echem/mpr-reader.ts";
import { biologicMpt } from "../../../sources/echem/mpt.ts";
import { mptColumn } from "../../../sources/echem/mpt-columns.ts";
import { cp1252, ecLab, mptText, utf8 } from "./mpt-text.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { FakeFile, readGrowing, readMore, readWhole } from "./read-all.ts";

const HEADINGS = ["mode", "ox/red", "error", "Ns", "time/s", "control/V/mA", "Ewe/V", "I/mA", "Cs/µF", "(Q-Qo)/mA.h", "cycle number", "Rwe/Ohm"]; // prettier-ignore
const ABOUT = [
  "Run on channel : 3 (SN 35699)",
  "Ewe ctrl range : min = 0,00 V, max = 5,00 V",
  "Acquisition started on : 12/08/2022 14:36:53.355",
  "\tFile : cell_01_MB_C03.mpr",
  "Device : VSP (SN 1705)",
  "EC-Lab for windows v11.43 (software)",
  "Internet server v11.40 (firmware)",
  "Electrode material : NMC",
  "Comments : 25°C",
  "Comments : second line",
  "Mass of active material : 12,5 mg",
  "Molecular weight of active material (at x = 0) : 0,001 g/mol",
  "Battery capacity : 942,500 µA.h",
  "Electrode surface area : 1,130 cm²",
  "Ns                  0                   1                   ",
  "Is                  0,000               30,000              ",
  "unit Is                                 mA                  ",
  "Number of loops : 2",
  "Loop 0 from point number 0 to 1",
  "Loop 1 from point number 2 to 2",
];
const VALUES = [
  [3, 0, 0, 0, 0, 0, 3.4228721, 0, 1.5, 0, 0, 1000],
  [1, 1, 0, 1, 30.152999, 0.03, 3.4233973, 0.029, 2.5, 3.2832693e-9, 1, 2000],
  [2, 0, 1, 2, 31.25, 4.2, 4.2, -12.5, 2.5, 0.25, 2, NaN],
];
const rowsOf = (point: string): string[][] =>
  VALUES.map((row) => row.map((value, k) => (Number.isNaN(value) ? "1.#QNAN" : k < 4 ? String(value) : ecLab(value, [4, 9, 10].includes(k) ? 15 : 7, point)))); // prettier-ignore
const decimal = { about: ABOUT, headings: HEADINGS };

describe("the same rows from every dialect", () => {
  test.each([
    ["cp1252 with commas", cp1252(mptText({ ...decimal, rows: rowsOf(",") }))],
    ["UTF-8 with points", utf8(mptText({ ...decimal, rows: rowsOf("."), end: "\n" }))],
    ["UTF-8 with its mark", utf8(`\ufeff${mptText({ ...decimal, rows: rowsOf(".") })}`)],
    ["BT-Lab", cp1252(mptText({ ...decimal, rows: rowsOf("."), first: "BT-Lab ASCII FILE", ended: true }))],
    ["what was broken by others on the way", utf8(mptText({ ...decimal, rows: rowsOf(".") }).replaceAll("µ", "\ufffd"))],
    ["N = 3", cp1252(mptText({ headings: HEADINGS, rows: rowsOf(".") }))],
    ["no header at all", cp1252([`${HEADINGS.join("\t")}\t`, ...rowsOf(".").map((row) => row.join("\t"))].join("\n"))],
  ])("%s", async (_, bytes) => {
    expect(biologicMpt.looks(bytes.subarray(0, 4096))).toBe(true);
    const { columns, rows, problems, reader } = await readWhole(biologicMpt, bytes);
    expect(problems).toEqual([]);
    expect(rows).toBe(3);
    const [mode, ox_red, error, ns, t, control, ewe, current, cs, q, cycle_number, resistance] = VALUES[0]!.map((_value, k) => VALUES.map((row) => row[k]!));
    const f32 = (values: number[] | undefined): number[] => values!.map(Math.fround);
    expect(columns).toEqual({
      mode, ox_red, error, ns, test_time_second: t, control: f32(control), ewe: f32(ewe), current: f32(current), cs: f32(cs), q_minus_qo: q, dq: [NaN, q![1]! - q![0]!, q![2]! - q![1]!],
      cycle_number, resistance, voltage_volt: f32(ewe), current_ampere: f32(current).map((mA) => mA / 1000), cycle_count: [0, 1, 2],
    });
    const { fields } = reader;
    expect(Object.keys(fields).slice(0, 4)).toEqual(["test_time_second", "voltage_volt", "current_ampere", "cycle_count"]);
    expect(fields["mode"]).toMatchObject({ kind: "code", type: "u8", codes: { 1: "galvano", 2: "potentio", 3: "rest" } });
    expect(fields["cs"]).toMatchObject({ unit: "uF", type: "f32" });
    expect(fields["resistance"]).toMatchObject({ unit: "Ohm", type: "f64", vendor_name: "Rwe/Ohm" });
  });
}); // prettier-ignore

test("the header's settings and start", async () => {
  const { reader } = await readWhole(biologicMpt, cp1252(mptText({ ...decimal, rows: rowsOf(",") })));
  expect(reader.start).toEqual({ face: BigInt(Date.UTC(2022, 11, 8, 14, 36, 53, 355)) * 1_000_000n });
  expect(reader.metadata).toEqual({
    technique: "MB", channel: "3", channel_serial: "35699", device: "VSP", device_serial: "1705",
    original_file: "cell_01_MB_C03.mpr", software_version: "11.43", firmware_version: "11.40",
    electrode_material: "NMC", comments: "25°C\nsecond line", active_mass: "12.5 mg",
    nominal_capacity: "942.5 uA.h", electrode_area: "1.13 cm2",
    setting_ns: "0 | 1", setting_is: "0,000 | 30,000", setting_unit_is: " | mA", loops_from_row: "0, 2",
  }); // prettier-ignore
});

test.each([
  ["<Ewe/V>", { name: "ewe_mean", type: "f32", field: { unit: "V", vendor_name: "<Ewe/V>" } }],
  ["<Ecell>/V", { name: "ewe_mean", type: "f32", field: { vendor_name: "<Ecell>/V" } }],
  ["Ecell/V", { name: "ewe", field: { vendor_name: "Ecell/V" } }],
  ["Energy we charge/W.h", { name: "energy_charge", type: "f64" }],
  ["Re(Y)/Ohm-1", { name: "y_real", type: "f64", field: { unit: "Ohm-1" } }],
  ["-Im(Zstack)/Ohm", { name: "zstack_minus_imaginary", field: { unit: "Ohm" } }],
  ["|Conductivity|/mS/cm", { name: "conductivity_modulus", field: { unit: "mS/cm" } }],
  ["Phase(C)/deg", { name: "c_phase", field: { unit: "deg" } }],
  ["<Ewe-Ece>/V", { name: "ewe_minus_ece_mean", field: { unit: "V" } }],
  ["Ewe-Ece/V", { name: "ewe_minus_ece", type: "f32" }],
  ["Loss Angle(Delta)/deg", { name: "loss_angle_delta" }],
  ["Analog IN 1/V", { name: "analog_in_1", field: { unit: "" } }],
  ["Newest/µA", { name: "newest", field: { unit: "uA" } }],
  ["Newest/\ufffdA", { name: "newest_a", field: { unit: "" } }],
  ["Cs/F", { name: "cs", type: "f64", field: { unit: "F" } }],
  ["time", { name: "vendor_time" }],
  ["7", { name: "column_7" }],
  [" ", { type: "skip" }],
])("heading %j", (heading, wanted) => {
  expect(mptColumn(heading)).toMatchObject(wanted);
});

test("a column that is there twice, and headings past an empty one", async () => {
  const headings = ["time/s", "Ewe/V", "Ewe/V", "new thing", "", "Ewe-Ece/V"];
  const { columns, problems } = await readWhole(biologicMpt, cp1252(mptText({ headings, rows: [["0", "1", "2", "3"], ["1", "4", "5", "6", "", "7"]] }))); // prettier-ignore
  expect(columns).toMatchObject({ ewe: [1, 4], ewe_2: [2, 5], new_thing: [3, 6], ewe_minus_ece: [NaN, 7] });
  expect(problems).toMatchObject([{ where: "line 3", what: expect.stringMatching(/heading 5 is empty.*"Ewe-Ece\/V"/) }]); // prettier-ignore
});

describe("time by the clock", () => {
  const rows = [["11/20/2024 11:38:41.707", "4"], ["11/20/2024 11:38:48.171", "5"], ["11/21/2024 00:00:00.000", "6"]]; // prettier-ignore
  const face = BigInt(Date.UTC(2024, 10, 20, 11, 38, 41, 707)) * 1_000_000n;
  test("counts from the start that the header says", async () => {
    const about = ["Acquisition started on : 11/20/2024 11:38:40.000"];
    const bytes = cp1252(mptText({ about, headings: ["time/s", "Ewe/V"], rows }));
    const { columns, reader } = await readWhole(biologicMpt, bytes);
    expect(reader.start).toEqual({ face: face - 1_707_000_000n });
    expect(columns["test_time_second"]).toEqual([1.707, 8.171, 44480]);
  });
  test("else from the first row's", async () => {
    const bytes = cp1252(mptText({ headings: ["time/s", "Ewe/V"], rows, ended: true }));
    const { columns, reader } = await readWhole(biologicMpt, bytes);
    expect(reader.start).toEqual({ face });
    expect(columns["test_time_second"]).toEqual([0, 6.464, 44478.293]);
    expect(await reader.lastTestTime_s()).toBe(44478.293);
    for (let n = 0; n <= bytes.length; n += 3)
      expect((await readGrowing(biologicMpt, [bytes.slice(0, n), bytes])).columns).toEqual(columns);
  });
});

test("columns whose names would be one have names of their own", async () => {
  const { columns } = await readWhole(biologicMpt, cp1252(mptText({ headings: ["time/s", "Ewe/V", "Ewe/V", "Ewe 2/V"], rows: [["0", "1", "2", "3"]] }))); // prettier-ignore
  expect(columns).toMatchObject({ ewe: [1], ewe_2: [2], ewe_2_2: [3] });
});

test("a cycle number that is not there is missing, and not cycle 0", async () => {
  const rows = [["0", "4", "1.000"], ["1", "4", ""], ["2", "4", "1.#QNAN"], ["3", "4", "2.000"]]; // prettier-ignore
  const { columns } = await readWhole(biologicMpt, cp1252(mptText({ headings: ["time/s", "Ewe/V", "cycle number"], rows }))); // prettier-ignore
  expect(columns["cycle_count"]).toEqual([1, -1, -1, 2]);
});

test("current from charge where none was exported", async () => {
  const rows = [
    ["0", "4", "0"],
    ["1", "4", "0.001"],
    ["3", "4", "-0.002"],
  ];
  const { columns } = await readWhole(biologicMpt, cp1252(mptText({ headings: ["time/s", "Ewe/V", "dq/mA.h"], rows }))); // prettier-ignore
  expect(columns["current_ampere"]).toEqual([NaN, 0.001 * 3.6, (-0.002 * 3.6) / 2]);
});

test.each([
  ["EC-Lab ASCII FI", "ends within line 1; it is not whole yet"],
  ["EC-Lab ASCII FILE\nNb header", "ends within its header, before line 2; it is not whole yet"],
  ["EC-Lab ASCII FILE\nNb header lines : many\n", 'line 2: says "Nb header lines : many" where "Nb header lines : N" should be, with N from 3 to 20000; export it anew'],
  ["EC-Lab ASCII FILE\nNb header lines : 2\n", 'line 2: says "Nb header lines : 2" where "Nb header lines : N" should be, with N from 3 to 20000; export it anew'],
  ["EC-Lab ASCII FILE\nNb header lines : 7\nModulo Bat\n\nRun", "ends within its header, at line 5 of 7; it is not whole yet"],
  ["EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe", "ends within its header, at line 3 of 3; it is not whole yet"],
  ["EC-Lab ASCII FILE\nNb header lines : 3\nfreq/Hz\tRe(Z)/Ohm\t\n1\t2\n", 'has no column "time/s", so its rows cannot be put in time; export it with its time'],
])("%j is refused", async (text, message) => {
  await expect(readWhole(biologicMpt, cp1252(text))).rejects.toThrow(new SourceError(message));
}); // prettier-ignore

test("no rows: headings only, with or without the end of their line", async () => {
  for (const ended of [true, false]) {
    const { rows, problems, reader } = await readWhole(biologicMpt, cp1252(mptText({ ...decimal, rows: [], ended }))); // prettier-ignore
    expect([rows, problems]).toEqual([0, []]);
    expect(await reader.lastTestTime_s()).toBeNaN();
    expect("voltage_volt" in reader.fields).toBe(true);
  }
});

test("rows that cannot be read are told, and the rest goes on", async () => {
  const rows = [["0", "4"], ["1", "4", "5", "6"], ["x", "y"], ["3"], ["4", "4.5"]]; // prettier-ignore
  const { columns, problems } = await readWhole(biologicMpt, cp1252(mptText({ headings: ["time/s", "Ewe/V"], rows }))); // prettier-ignore
  expect(columns["voltage_volt"]).toEqual([4, NaN, 4.5]);
  expect(problems).toMatchObject([
    { where: "line 5", unread: true, count: 2 },
    { where: "line 6", what: expect.stringMatching(/column "test_time_second" says "x"/) },
    { where: "line 6", what: expect.stringMatching(/column "ewe" says "y"/) },
  ]);
});

describe("growing", () => {
  const many = { ...decimal, rows: Array.from({ length: 60 }, (_, i) => rowsOf(",")[i % 3]!.map((cell, k) => (k === 4 ? `${i},5` : cell))) }; // prettier-ignore
  test.each([
    ["with its header", mptText(many)],
    ["with the last line ended", mptText({ ...many, ended: true })],
    ["without", mptText({ headings: HEADINGS, rows: many.rows })],
  ])("the same rows, whatever is seen when: %s", async (_, text) => {
    const bytes = cp1252(text);
    const { columns, rows } = await readWhole(biologicMpt, bytes);
    expect(rows).toBe(60);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
        expect((await readGrowing(biologicMpt, states)).columns).toEqual(columns);
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  test("headings that nothing ended, and rows that come between two reads", async () => {
    const text = mptText({
      headings: ["time/s", "Ewe/V"],
      rows: [
        ["0", "4"],
        ["1", "5"],
      ],
      ended: true,
    });
    const bytes = cp1252(text);
    const headings = text.indexOf("Ewe/V\t") + 6;
    const file = new FakeFile(bytes.slice(0, headings));
    const reader = await biologicMpt.open(file, { path: "/made/a.mpt", columns: {} });
    const read = file.read;
    // The first row is there only from the second look at the rest on.
    let looks = 0;
    file.read = (at, length) => {
      if (at === headings && looks++ === 1) file.show(bytes.slice(0, text.indexOf("1\t5")));
      return read(at, length);
    };
    const all = await readMore(reader, "growing");
    await readMore(reader, "growing", all);
    file.show(bytes);
    await readMore(reader, "closing", all);
    expect(all.columns["voltage_volt"]).toEqual([4, 5]);
  });

  test("headings that go on after they seemed to have ended", async () => {
    const text = mptText({ headings: ["time/s", "Ewe/V", "I/mA"], rows: [["0", "4", "1"]] });
    const bytes = cp1252(text);
    const cut = text.indexOf("I/mA");
    const file = new FakeFile(bytes.slice(0, cut));
    const reader = await biologicMpt.open(file, { path: "/made/a.mpt", columns: {} });
    file.show(bytes);
    await expect(readMore(reader, "closing")).rejects.toThrow(Rewritten);
  });

  test("an export written anew says so; one that only became longer goes on", async () => {
    const part = (rows: number, about = ABOUT) => cp1252(mptText({ ...decimal, about, rows: many.rows.slice(0, rows), ended: true })); // prettier-ignore
    const file = new FakeFile(part(10));
    const reader = await biologicMpt.open(file, { path: "/made/a.mpt", columns: {} });
    const all = await readMore(reader, "growing");
    file.show(part(30));
    expect((await readMore(reader, "growing", all)).rows).toBe(30);
    file.show(part(60, ["Acquisition started on : 12/08/2022 14:36:53.355"]));
    await expect(readMore(reader, "growing", all)).rejects.toThrow(Rewritten);
  });
});

test("damaged copies are read or refused", async () => {
  const whole = [
    cp1252(mptText({ ...decimal, rows: rowsOf(",") })),
    utf8(mptText({ headings: HEADINGS, rows: rowsOf(".") })),
  ];
  const outcome = await readMutantTables(biologicMpt, whole);
  expect(outcome.crashes).toEqual([]);
  expect(outcome.read).toBeGreaterThan(0);
  expect(outcome.longest_ms).toBeLessThan(2000);
});

const shared = fileURLToPath(new URL("../../../../shared/data/echem/", import.meta.url));
describe.runIf(existsSync(shared))("files of instruments", () => {
  interface Expected { file: string; rows?: number; columns?: string[]; header_lines?: number; last: string | Record<string, number | null>; first: Record<string, number | null> } // prettier-ignore
  const expected = existsSync(shared)
    ? (JSON.parse(
        readFileSync(`${shared}expected.json`, "utf8").replaceAll(/: NaN\b/g, ": null"),
      ) as Expected[])
    : [];
  const wanted = new Map(expected.map((entry) => [entry.file, entry]));
  const files = existsSync(shared)
    ? ["gamry/exampleDataBioLogic.mpt", ...readdirSync(`${shared}biologic`).filter((name) => /\.(mpt|txt)$/.test(name)).map((name) => `biologic/${name}`)]
    : []; // prettier-ignore

  test.each(files)("%s, every cell to its last printed digit", async (name) => {
    const bytes = new Uint8Array(readFileSync(shared + name));
    expect(biologicMpt.looks(bytes.subarray(0, 4096))).toBe(true);
    const { columns, rows, problems, reader } = await readWhole(biologicMpt, bytes);
    expect(problems.filter(({ unread }) => unread)).toEqual([]);
    const lines = new TextDecoder("windows-1252").decode(bytes).split(/\r?\n/);
    const headingAt = Number(/: (\d+)/.exec(lines[1]!)?.[1] ?? 1) - 1;
    const cells = lines.slice(lines[1]!.startsWith("Nb") ? headingAt + 1 : 1).filter((line) => line.trim() !== "").map((line) => line.split("\t")); // prettier-ignore
    expect(rows).toBe(cells.length);
    const headings = lines[lines[1]!.startsWith("Nb") ? headingAt : 0]!.split("\t");
    let compared = 0;
    headings.forEach((heading, k) => {
      const { name: ours, type } = mptColumn(heading);
      if (type === "skip" || cells[0]?.[k] === undefined) return;
      expect(ours in columns, heading).toBe(true);
      const wrong = cells.findIndex((row, i) => {
        if (row[k]!.includes(":")) return false; // times by the clock: tested above
        compared++;
        return !sayTheSame(row[k]!, columns[ours]![i] as number);
      });
      expect(wrong, `${heading}: ${cells[wrong]?.[k]} is ${columns[ours]?.[wrong]}`).toBe(-1);
    });
    const entry = wanted.get(name)!;
    if (entry.columns && !name.includes("no_header")) {
      expect(rows).toBe(entry.rows);
      expect(Object.keys(reader.fields).length).toBeGreaterThanOrEqual(new Set(entry.columns.filter(Boolean)).size); // prettier-ignore
      for (const [where, i] of [["first", 0], ["last", rows - 1]] as const)
        for (const [heading, value] of Object.entries(entry[where] ?? {}))
          if (value !== null) {
            const got = columns[mptColumn(heading).name]![i] as number;
            expect(Math.abs(got - value), heading).toBeLessThanOrEqual(6e-8 * Math.abs(value));
          }
    }
    if (rows > 0) expect(compared).toBeGreaterThan(rows);
  }); // prettier-ignore

  /** What EC-Lab wrote anew on the way out, other than it stands in the .mpr. */
  const OTHERWISE: Readonly<Record<string, RegExp>> = {
    "cp.mpt": /^q_charge_discharge$/,
    "geis.issue_149.mpt": /^(ewe|current)_(thd|nsd|nsr|h\d_modulus)$/, // -1 and 0 past some frequency
  };
  const pairs = files.filter(
    (name) => name.endsWith(".mpt") && existsSync(shared + name.replace(/mpt$/, "mpr")),
  );
  test.each(pairs)("%s is its .mpr, to the digits that are printed", async (name) => {
    const bytes = new Uint8Array(readFileSync(shared + name));
    const text = await readWhole(biologicMpt, bytes);
    const binary = await readWhole(biologicMpr, new Uint8Array(readFileSync(shared + name.replace(/mpt$/, "mpr")))); // prettier-ignore
    expect(text.rows).toBe(binary.rows);
    if ("face" in (binary.reader.start ?? {}) && text.reader.start) {
      // From EC-Lab of before 11 the text has whole seconds.
      const apart =
        (text.reader.start as { face: bigint }).face - (binary.reader.start as { face: bigint }).face;
      expect(Math.abs(Number(apart))).toBeLessThan(1e9);
    }
    const missing: string[] = [];
    for (const [column, field] of Object.entries(binary.reader.fields)) {
      const [a, b] = [text.columns[column] as number[] | undefined, binary.columns[column] as number[]];
      if (!(column in text.reader.fields)) missing.push(column);
      if (!a || OTHERWISE[name.slice(9)]?.test(column)) continue;
      // Of a difference fewer digits are right than of the sums that are printed.
      if (column === "dq" && /sum/.test(field.doc ?? "")) continue;
      // Derived on the way out from the values before them: EC-Lab's own mean current has no gap at the first row.
      const wrong = a.findIndex((value, i) => !(Number.isNaN(b[i]) || near(value, b[i]!, field.type === "f64" && column !== "voltage_volt" && column !== "current_ampere" ? 15 : 7))); // prettier-ignore
      expect(wrong, `${column}: ${a[wrong]} is ${b[wrong]}`).toBe(-1);
    }
    expect(missing.filter((column) => !["flags", "end_of_segment", "force", "temperatur"].includes(column))).toEqual([]); // prettier-ignore
  });

  test("a file grows as it is, in any order", async () => {
    for (const name of ["biologic/ocv.mpt", "biologic/mb.issue_95.de.mpt", "biologic/zir.mpt", "biologic/wait.mpt", "biologic/Sample_data_biologic_timestamped.txt"]) {
      const bytes = new Uint8Array(readFileSync(shared + name));
      const { columns } = await readWhole(biologicMpt, bytes);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }), async (cuts) => {
          const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
          expect((await readGrowing(biologicMpt, states)).columns).toEqual(columns);
        }),
        { numRuns: 200, seed: 8 },
      );
    }
  }, 60_000); // prettier-ignore
});

/** A number and its text, to the last digit that is printed. */
function sayTheSame(cell: string, value: number): boolean {
  const written = cell.trim().replace(",", ".");
  const digits = /^-?\d\.(\d+)E/.exec(written)?.[1]!.length;
  return digits === undefined ? Number(written) === value : Number(value.toExponential(digits)) === Number(written);
} // prettier-ignore

/** Within one of the last of so many digits behind the point. */
const near = (a: number, b: number, digits: number): boolean =>
  Math.abs(a - b) <= 2 * 10 ** (Math.floor(Math.log10(Math.abs(b) || 1e-300)) - digits);
