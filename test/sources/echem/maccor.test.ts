import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maccor } from "../../../sources/echem/maccor.ts";
import { readMutantTables } from "./mutant-tables.ts";
import { readGrowing, readWhole } from "./read-all.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const face = (...at: [number, number, number, number, number, number]): { face: bigint } => ({ face: BigInt(Date.UTC(...at)) * 1_000_000n }); // prettier-ignore

const TABS = `Today's Date:\t14 December 2020\tDate of Test:\t11 December 2020, 12:22:12 PM
    Filename:\tcell_7\tTester Channel:\t1
Procedure:\tformation.000\tDescription:
Rec#\tCyc#\tStep\tTestTime\tStepTime\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time\tDCIR/Ohms\tAux #1\t Units\tVAR1
1\t0\t1\t  0d 00:00:0\t  0d 00:00:0\t0.0\t0.0\t0.0\t3.5\tR\t0\t12/11/2020 12:22:12\t0.5\t25.5\t C  \t0
2\t0\t2\t  0d 00:00:5.25\t  0d 00:00:5\t0.1\t0.2\t0.25\t3.625\tC\t1\t12/11/2020 12:22:17\t0.5\t25.5\t C  \t0
3\t1\t3\t  2d 02:52:51.5\t  0d 01:00:0\t0.1\t0.2\t0.25\t3.25\tD\t1\t12/13/2020 15:15:04\t0.5\t25.5\t C  \t0
4\t1\t4\t  2d 02:53:0\t  0d 00:00:0\t0.1\t0.2\t0.0\t3.25\tO\t193\t12/13/2020 15:15:12\t0.5\t25.5\t C  \t0
`;

describe("Maccor's dialects give what they were made from", () => {
  test("tabs, days and times, the sign by the state", async () => {
    const { columns, reader, problems } = await readWhole(maccor, bytesOf(TABS));
    expect(problems).toEqual([]);
    expect(columns["test_time_second"]).toEqual([0, 5.25, 2 * 86_400 + 2 * 3600 + 52 * 60 + 51.5, 2 * 86_400 + 2 * 3600 + 53 * 60]); // prettier-ignore
    expect(columns["current_ampere"]).toEqual([0, 0.25, -0.25, 0]);
    expect(columns["voltage_volt"]).toEqual([3.5, 3.625, 3.25, 3.25]);
    expect(columns["cycle_count"]).toEqual([0, 0, 1, 1]);
    expect(columns["state"]).toEqual(["R", "C", "D", "O"]);
    expect(reader.fields["aux_1"]).toMatchObject({ unit: "Cel", vendor_name: "Aux #1" });
    expect(reader.fields["amp_hr"]).toMatchObject({ unit: "A.h" });
    expect(reader.fields["dcir"]).toMatchObject({ unit: "Ohm" });
    expect(reader.start).toEqual(face(2020, 11, 11, 12, 22, 12));
    expect(reader.metadata).toEqual({ test_name: "cell_7", channel: "1", schedule: "formation.000", current_sign: "by the State column: negative in D" }); // prettier-ignore
  });

  test("minutes, lines that end as in Windows, and all that is known in one line", async () => {
    const { columns, reader } = await readWhole(maccor, bytesOf("Today's Date 04/04/2016  Date of Test:\t03/31/2016\t Filename:\tC:\\Data\\a.001 Procedure: form.000 at 0.1C\tComment/Barcode: SET-104, NCM811\r\nRec#\tCyc#\tStep\tTest (Min)\tStep (Min)\tAmps\tVolts\tState\tDPt Time\r\n1\t0\t1\t0.5000\t0.5\t2\t3.25\tD\t03/31/2016 16:05:31\r\n")); // prettier-ignore
    expect(columns["test_time_second"]).toEqual([30]);
    expect(columns["current_ampere"]).toEqual([-2]);
    expect(reader.start).toEqual(face(2016, 2, 31, 16, 5, 1));
    expect(reader.metadata).toMatchObject({ test_name: "C:\\Data\\a.001", schedule: "form.000 at 0.1C", comments: "SET-104, NCM811" }); // prettier-ignore
  });

  test("commas without a state: the current stays as it stands, and both metadata and a fault say so", async () => {
    const { columns, reader, problems } = await readWhole(maccor, bytesOf("Today's Date ,28-Nov-23\nDate of Test:,23-Nov-23 3:56:08 PM\nRec,Cycle C,Step,Test Time (sec),Step Time (sec),Capacity,Energy,Current,Voltage,DPT Time,Temp 1\n1,1,1,2.0,0,0,0,-1.5,3.668,23-Nov-23 3:56:13 PM,22.25\n")); // prettier-ignore
    expect(columns["current_ampere"]).toEqual([-1.5]);
    expect(reader.start).toEqual(face(2023, 10, 23, 15, 56, 11));
    expect(reader.metadata["current_sign"]).toBe("as it stands in the file, which has no State column");
    expect(problems).toMatchObject([{ where: "line 3", what: expect.stringContaining("has no State column") }]); // prettier-ignore
    expect(reader.fields["temp_1"]).toMatchObject({ unit: "Cel" });
  });

  test.each([
    ["the day first, as the date of the test has it", "Date of Test:\t11 December 2020, 12:22:12 PM", "11/12/2020 12:22:12"],
    ["the month first, as the date of the test has it", "Date of Test:\t11 December 2020, 12:22:12 PM", "12/11/2020 12:22:12"],
    ["the day first, since there is no 13th month", "Date of Test:\t13 December 2020, 12:22:12 PM", "13/12/2020 12:22:12"],
  ])("a date with %s", async (_, tested, date) => {
    const { reader } = await readWhole(maccor, bytesOf(`Today's Date:\t14 December 2020\t${tested}\nRec#\tTestTime\tAmps\tVolts\tState\tDPt Time\n1\t  0d 00:00:0\t0\t3\tR\t${date}\n`)); // prettier-ignore
    expect(reader.start).toEqual(face(2020, 11, Number(/\d+/.exec(tested)![0]), 12, 22, 12));
  }); // prettier-ignore

  test("a current whose sign no state tells is missing; one with a sign of its own keeps it", async () => {
    const row = (amps: number, state: string): string => `1\t0.5\t${amps}\t3\t${state}\n`;
    const { columns, problems } = await readWhole(maccor, bytesOf(`Rec#\tTest (Min)\tAmps\tVolts\tState\n${row(1, "P")}${row(-1, "D")}${row(-1, "C")}${row(0, "S")}`)); // prettier-ignore
    expect(columns["current_ampere"]).toEqual([NaN, -1, -1, 0]);
    expect(problems).toMatchObject([{ where: "line 2", what: expect.stringContaining("1 rows from here on have a current in a state that is neither C nor D"), count: 1 }]); // prettier-ignore
  });

  test("a date that can be read in two ways is told, where the date of the test does not tell", async () => {
    const read = (above: string) => readWhole(maccor, bytesOf(`${above}Rec#\tTest (Min)\tAmps\tVolts\tState\tDPt Time\n1\t0.5\t2\t3.25\tD\t03/10/2016 16:05:30\n`)); // prettier-ignore
    const alone = await read("");
    expect(alone.reader.start).toEqual(face(2016, 2, 10, 16, 5, 0));
    expect(alone.problems).toMatchObject([{ where: "line 2", what: expect.stringMatching(/"03\/10\/2016 16:05:30" is read as month\/day/) }]); // prettier-ignore
    expect((await read("Date of Test:\t3 October 2016, 12:00:00 PM\n")).problems).toEqual([]);
    const tested = await read("Date of Test:\t30/09/2016\n");
    expect(tested.reader.start).toEqual(face(2016, 9, 3, 16, 5, 0));
    expect(tested.problems).toEqual([]);
    expect((await read("Date of Test:\t03/10/2016\n")).problems).toHaveLength(1);
  });

  test("thousands in groups, and counts that are none", async () => {
    const { columns, problems } = await readWhole(maccor, bytesOf("Rec#\tCyc#\tTest (Min)\tAmps\tVolts\tState\n999\t1\t0.5\t2\t3.25\tC\n1,000\t1.5\t1.5\t2\t3.25\tC\n")); // prettier-ignore
    expect(columns).toMatchObject({ rec: [999, 1000], cycle_count: [1, -1] });
    expect(problems).toMatchObject([{ where: "line 2", what: expect.stringMatching(/"Cyc#" has 1 values .* no whole numbers/), unread: true }]); // prettier-ignore
  });

  test("mA, with decimal commas", async () => {
    const { columns } = await readWhole(
      maccor,
      bytesOf("Rec#\tTest (Hr)\tmAmps\tVolts\tState\n1\t0,5\t250,5\t3,25\tD\n"),
    );
    expect(columns["test_time_second"]).toEqual([1800]);
    expect(columns["current_ampere"]).toEqual([-0.2505]);
    expect(columns["voltage_volt"]).toEqual([3.25]);
  });

  test("lines that are no rows are left out and told", async () => {
    const { rows, problems } = await readWhole(maccor, bytesOf("Rec#\tTest (Min)\tAmps\tVolts\tState\n1\t0\t0\t3\tR\nx\ty\tz\t1\t2\t3\t4\n2\t1\t0\t3\tR\n")); // prettier-ignore
    expect(rows).toBe(2);
    expect(problems).toMatchObject([{ where: "line 3", unread: true, count: 1 }]);
  });

  test("the heading alone has no rows; no heading is refused", async () => {
    expect((await readWhole(maccor, bytesOf("Rec#\tTest (Min)\tAmps\tVolts\tState\n"))).rows).toBe(0);
    await expect(readWhole(maccor, bytesOf("Today's Date:\t1 May 2020\n1\t2\t3\n"))).rejects.toThrow('has no heading that begins with "Rec#" or "Rec" in its first 2 lines'); // prettier-ignore
  });
});

test("grows: the same rows, whatever is seen when", async () => {
  const more = Array.from({ length: 40 }, (_, i) => `${i + 5}\t1\t4\t  2d 03:00:${i}\t  0d 00:00:0\t0.1\t0.2\t0.${i}\t3.25\t${"CD"[i % 2]}\t1\t12/13/2020 15:16:12\t0.5\t25.5\t C  \t0\n`); // prettier-ignore
  const bytes = bytesOf((TABS + more.join("")).trimEnd());
  const { columns } = await readWhole(maccor, bytes);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), async (cuts) => {
      const states = [...cuts.sort((a, b) => a - b), bytes.length].map((n) => bytes.slice(0, n));
      expect((await readGrowing(maccor, states)).columns).toEqual(columns);
    }),
    { numRuns: 200, seed: 9 },
  );
});

test("damaged copies are read or refused", async () => {
  const outcome = await readMutantTables(maccor, [bytesOf(TABS)]);
  expect(outcome.crashes).toEqual([]);
  expect(outcome.read).toBeGreaterThan(0);
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/maccor/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(folder + name));

  test("maccor_001.txt", async () => {
    const bytes = read("maccor_001.txt");
    const { columns, rows, reader, problems } = await readWhole(maccor, bytes);
    expect(problems).toEqual([]);
    const lines = new TextDecoder().decode(bytes).trimEnd().split("\n").slice(4).map((line) => line.split("\t")); // prettier-ignore
    expect(rows).toBe(lines.length);
    expect(rows).toBe(6704);
    expect(columns["voltage_volt"]).toEqual(lines.map((cells) => Number(cells[8])));
    expect((columns["current_ampere"] as number[]).map(Math.abs)).toEqual(
      lines.map((cells) => Number(cells[7])),
    );
    expect((columns["current_ampere"] as number[]).filter((I) => I < 0).length).toBeLessThanOrEqual(2082);
    expect((columns["current_ampere"] as number[]).every((I, i) => I === 0 || I < 0 === (lines[i]![9] === "D"))).toBe(true); // prettier-ignore
    expect(columns["test_time_second"]!.at(-1)).toBe(2 * 86_400 + 2 * 3600 + 52 * 60 + 51.5699996948242);
    expect(Object.keys(reader.fields)).toHaveLength(14 + 16 + 15);
    // Charge by the trapezoid is that of the file's own counter, in each step of one state.
    const [t, I, Q, step] = ["test_time_second", "current_ampere", "amp_hr", "step"].map((name) => columns[name] as number[]); // prettier-ignore
    let sum_As = 0;
    for (let i = 1; i < rows; i++) {
      if (step![i] !== step![i - 1]) sum_As = 0;
      else sum_As += ((Math.abs(I![i]!) + Math.abs(I![i - 1]!)) / 2) * (t![i]! - t![i - 1]!);
      if (step![i + 1] !== step![i] && Q![i]! > 0.5)
        expect(Math.abs(sum_As / 3600 / Q![i]! - 1)).toBeLessThan(0.02);
    }
  });

  test.each([
    ["maccor_example.001", 8, 1.1667 * 60, 3.30617227, 0],
    ["sample_data_maccor.csv", 15, 13.06, 3.716, 28.798],
  ])("%s", async (name, wanted, time_s, voltage_V, current_A) => {
    const { columns, rows } = await readWhole(maccor, read(name));
    expect(rows).toBe(wanted);
    expect(columns["test_time_second"]!.at(-1)).toBe(time_s);
    expect(columns["voltage_volt"]!.at(-1)).toBe(voltage_V);
    expect(columns["current_ampere"]!.at(-1)).toBe(current_A);
  });
});
