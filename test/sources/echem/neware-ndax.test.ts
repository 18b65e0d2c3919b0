import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ndaxBytes, ndcBytes, zipped, type MadeInformation, type MadeNdax } from "../../../bench/ndax-file.ts"; // prettier-ignore
import { openEchem } from "../../../sources/echem/formats.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { newareNdax } from "../../../sources/echem/neware-ndax.ts";
import { madeOldNdax, madeRows } from "./make-neware.ts";
import { FakeFile, readWhole, type AllRows } from "./read-all.ts";

const open = (bytes: Uint8Array) => readWhole(newareNdax, bytes);
const said = ({ problems }: AllRows): string[] => problems.map(({ where, what }) => `${where}: ${what}`);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

// 3 V and 2 mA for 7 rows each 2 s, then a rest of 3 rows each 1 s, by 10 s before 2026
const BEGIN = Date.UTC(2026, 0, 1) - 10_123;
const info = (row: number, step: number, time_ms: number, interval_ms: number, unix_ms: number, charge = 0): MadeInformation =>
  ({ row, step, time_ms, interval_ms, unix_ms: BEGIN + unix_ms, sums: [charge, 0, 3 * charge, 0] }); // prettier-ignore
const made = (version: MadeNdax["version"]): MadeNdax => {
  const unit = version === 14 || version === 17 ? 1 / 3.6e6 : 1; // A.h or mA.s, of mA.s
  return {
    version,
    voltage_V: upTo(10).map(() => 3),
    current_A: upTo(10).map((i) => (i < 7 ? 2e-3 : 0)),
    information: [
      info(1, 1, 0, 0, 0), info(2, 1, 2000, 2000, 2000, 4 * unit), info(5, 1, 8000, 2000, 8000, 16 * unit),
      info(8, 2, 0, 0, 12_000), info(9, 2, 1000, 1000, 13_000),
    ],
    steps: [{ cycle: 1, index: 1, status: 1, first: 1 }, { cycle: 2, index: 4, status: 4, first: 8 }],
  }; // prettier-ignore
};

test.each([11, 14, 16, 17] as const)("version %i gives back what it was made from", async (version) => {
  const { columns, time, problems, reader } = await open(ndaxBytes(made(version)));
  const inAmpere = version === 14 || version === 17;
  expect(problems).toEqual([]);
  expect(columns["test_time_second"]).toEqual([0, 2, 4, 6, 8, 10, 12, 12, 13, 14]);
  expect(columns["step_time"]).toEqual([0, 2, 4, 6, 8, 10, 12, 0, 1, 2]);
  expect(columns["interpolated"]).toEqual([0, 0, 1, 1, 0, 1, 1, 0, 0, 1]);
  expect(columns["voltage_volt"]).toEqual(upTo(10).map(() => 3));
  const current_A = inAmpere ? Math.fround(2e-3) : 2e-3;
  expect(columns["current_ampere"]).toEqual(upTo(10).map((i) => (i < 7 ? current_A : 0)));
  expect(columns["step_count"]).toEqual([1, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
  expect(columns["cycle_count"]).toEqual([1, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
  expect(columns["step_index"]).toEqual([1, 1, 1, 1, 1, 1, 1, 4, 4, 4]);
  expect(columns["status"]).toEqual([1, 1, 1, 1, 1, 1, 1, 4, 4, 4]);
  expect(columns["record_index"]).toEqual(upTo(10).map((i) => i + 1));
  expect(reader.fields["charge_capacity"]!.unit).toBe(inAmpere ? "A.h" : "mA.s");
  const per = inAmpere ? 3.6e6 : 1;
  const charge = (columns["charge_capacity"] as number[]).map((value) => value * per);
  const energy = (columns["charge_energy"] as number[]).map((value) => value * per);
  [0, 4, 8, 12, 16, 20, 24, 0, 0, 0].forEach((expected, i) => {
    expect(charge[i]).toBeCloseTo(expected, 5);
    expect(energy[i]).toBeCloseTo(3 * expected, 4);
  });
  expect(columns["discharge_capacity"]).toEqual(upTo(10).map(() => 0));
  [0, 4, 4, 4, 4, 4, 4, 0, 0, 0].forEach((mAs, i) => expect(columns["dq"]![i]).toBeCloseTo(mAs / 3600, 8));
  const seconds = [0, 2, 4, 6, 8, 10, 12, 12, 13, 14];
  expect(time).toEqual(seconds.map((s) => BigInt(BEGIN + 1000 * s) * 1_000_000n));
  expect(reader.start).toEqual({ instant: BigInt(BEGIN) * 1_000_000n });
  expect(await reader.lastTestTime_s()).toBe(14);
  expect("current" in reader.fields).toBe(!inAmpere);
});

test.each([2, 5] as const)("version %i, whose rows hold everything", async (version) => {
  const rows = madeRows(20);
  const { columns, time, problems, reader } = await open(madeOldNdax(version, rows, { "TestInfo.xml": `<TestInfo StartTime="2026-01-01 00:00:00"><Aux1 AuxID="1" ChlType="26"/></TestInfo>` })); // prettier-ignore
  expect(problems).toEqual([]);
  expect(time).toEqual([]);
  expect(columns["test_time_second"]).toEqual(rows.map(({ counter, time_ms }) => (counter - 1) * 190 + time_ms / 1000)); // prettier-ignore
  expect(columns["voltage_volt"]).toEqual(rows.map(({ voltage }) => voltage / 10_000));
  expect(columns["current_ampere"]).toEqual(rows.map(({ current }) => current / 100 / 1000));
  expect(columns["cycle_count"]).toEqual(rows.map(({ cycle }) => cycle));
  expect(columns["charge_energy"]).toEqual(rows.map(({ sums }) => sums[2] / 100));
  expect(columns["aux1_temperature"]).toEqual(rows.map((_, i) => (250 + i) / 10));
  expect("aux1_voltage" in reader.fields).toBe(false); // zero throughout: no sensor
  expect(reader.start).toEqual({ face: BigInt(rows[0]!.unix_s) * 1_000_000_000n });
  expect(await reader.lastTestTime_s()).toBe(columns["test_time_second"]!.at(-1));
});

test("whatever the intervals, times come out as they were made", async () => {
  // Intervals stay for a while and change; run information stands where they do, and elsewhere at will.
  const run = fc.record({ interval_ms: fc.constantFrom(100, 500, 1000, 1500), length: fc.integer({ min: 1, max: 30 }) }); // prettier-ignore
  const steps = fc.array(fc.array(run, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), fc.constantFrom(11, 14, 16, 17), async (all, also, version) => {
      const information: MadeInformation[] = [];
      const table: NonNullable<MadeNdax["steps"]>[number][] = [];
      const expected_ms: number[] = [];
      let base_ms = 0;
      all.forEach((runs, s) => {
        let [time_ms, before] = [0, NaN];
        table.push({ cycle: 1, index: s + 1, status: 4, first: expected_ms.length + 1 });
        for (const { interval_ms, length } of [{ interval_ms: 0, length: 1 }, ...runs])
          for (let i = 0; i < length; i++) {
            time_ms += interval_ms;
            expected_ms.push(base_ms + time_ms);
            const row = expected_ms.length;
            if (interval_ms !== before || also[row % 8]) information.push({ row, step: s + 1, time_ms, interval_ms, unix_ms: BEGIN + base_ms + time_ms }); // prettier-ignore
            before = interval_ms;
          }
        base_ms += time_ms;
      });
      const zeros = expected_ms.map(() => 0);
      const { columns, time, problems, reader } = await open(ndaxBytes({ version, voltage_V: zeros, current_A: zeros, information, steps: table })); // prettier-ignore
      expect(problems).toEqual([]);
      expect(columns["test_time_second"]).toEqual(expected_ms.map((ms) => ms / 1000));
      expect(time.map((ns) => Number(ns / 1_000_000n) - BEGIN)).toEqual(expected_ms);
      expect(await reader.lastTestTime_s()).toBe(base_ms / 1000);
    }),
    { numRuns: 60, seed: 6 },
  );
}); // prettier-ignore

describe("what the rest of the archive says", () => {
  const xml = (channels: string): string =>
    `<?xml version="1.0" encoding="GB2312"?><root><TestInfo StepName="a&amp;b.xml" StartTime="2026-01-01 10:00:00" EndTime="2026-01-01 11:00:00" Barcode="cell 7">${channels}</TestInfo></root>`;
  const temperatures = { "data_AUX_10_3_1.ndc": upTo(10).map((i) => 20 + i), "data_AUX_9_3_1.ndc": upTo(10).map(() => 25) }; // prettier-ignore

  test("auxiliary channels are found by the number that the device has for them", async () => {
    const channels = `<Aux1 AuxID="1" RealChlID="10" ChlType="103"/><Aux2 AuxID="2" RealChlID="9" ChlType="345"/>`;
    const { columns, reader, problems } = await open(ndaxBytes({ ...made(17), temperatures, others: { "TestInfo.xml": xml(channels) } })); // prettier-ignore
    expect(problems).toEqual([]);
    expect(columns["aux1_temperature"]).toEqual(temperatures["data_AUX_10_3_1.ndc"]);
    expect(columns["aux2_humidity"]).toEqual(temperatures["data_AUX_9_3_1.ndc"]);
    expect(reader.fields["aux2_humidity"]).toMatchObject({ unit: "%", vendor_name: "H2" });
    expect(reader.metadata).toMatchObject({ test_name: "a&b.xml", barcode: "cell 7", started: "2026-01-01 10:00:00" }); // prettier-ignore
    expect(reader.finished).toBe(true);
  });

  test("a channel goes on over pages, whose last byte is not used", async () => {
    const many = upTo(1000);
    const { columns } = await open(ndaxBytes({ version: 17, voltage_V: many, current_A: many, temperatures: { "data_AUX_9_3_1.ndc": many } })); // prettier-ignore
    expect(columns["aux9_3_1_value"]).toEqual(many);
  });

  test("what a channel measures is not guessed", async () => {
    const all = await open(ndaxBytes({ ...made(14), temperatures, others: { "TestInfo.xml": xml("") } }));
    expect(all.columns["aux9_3_1_value"]).toEqual(temperatures["data_AUX_9_3_1.ndc"]);
    expect(said(all)).toEqual(["entry TestInfo.xml: does not say what data_AUX_9_3_1.ndc, data_AUX_10_3_1.ndc measure; the columns have no unit"]); // prettier-ignore
  });

  test("two tables of one channel have columns of their own", async () => {
    const two = {
      "data_AUX_9_3_1.ndc": upTo(10).map(() => 25),
      "data_AUX_9_3_2.ndc": upTo(10).map(() => 30),
    };
    const { columns } = await open(ndaxBytes({ ...made(14), temperatures: two, others: { "TestInfo.xml": xml(`<Aux1 AuxID="1" RealChlID="9" ChlType="103"/>`) } })); // prettier-ignore
    expect(columns["aux1_temperature"]).toEqual(two["data_AUX_9_3_1.ndc"]);
    expect(columns["aux9_3_2_temperature"]).toEqual(two["data_AUX_9_3_2.ndc"]);
  });

  test("text that is far too long is left out, and said", async () => {
    const all = await open(ndaxBytes({ ...made(14), others: { "Step.xml": " ".repeat(17_000_000) } }));
    expect(all.rows).toBe(10);
    expect(said(all)).toEqual(["entry Step.xml: has 17000000 bytes, far more than any is known to have, and is not read"]); // prettier-ignore
  });

  test("in versions 11 and 16 a channel has a voltage, too", async () => {
    const { columns, reader } = await open(ndaxBytes({ ...made(16), temperatures: { "data_1.ndc": upTo(10).map((i) => 20 + i / 10) }, others: { "TestInfo.xml": xml(`<Aux1 AuxID="1" RealChlID="12" ChlType="6"/>`) } })); // prettier-ignore
    expect(columns["aux1_temperature"]).toEqual(upTo(10).map((i) => (200 + i) / 10));
    expect("aux1_voltage" in reader.fields).toBe(false);
  });

  test("text that is not in its encoding is read as Latin text, and said", async () => {
    const bytes = Buffer.from(xml("").replace("cell 7", "Zelle Ä7\xff\xff"), "latin1");
    const all = await open(ndaxBytes({ ...made(14), others: { "TestInfo.xml": bytes } }));
    expect(all.reader.metadata["barcode"]).toBe("Zelle Ä7ÿÿ");
    expect(said(all)).toEqual(["entry TestInfo.xml: is not in the gb2312 that it says; it is read as Latin text, and some names may be wrong"]); // prettier-ignore
  });

  test("mass and how the person counts cycles", async () => {
    const config = `<root><config type="x"><config IsReseted="0" CycleMode="1" BatteryMass="6E-06" /></config></root>`;
    const steps = [2, 4, 1, 3, 2, 1].map((status, i) => ({ cycle: 1, index: i + 1, status, first: i + 1 }));
    const information = steps.map(({ first }, i) => info(first, i + 1, 0, 0, 1000 * i));
    const { columns, reader } = await open(ndaxBytes({ ...made(17), steps, information, others: { "NdaxConfig.xml": config, "Step.xml": `<root><SCQ_F Value="1E-06"/></root>` } })); // prettier-ignore
    expect(reader.metadata["active_mass"]).toBe("6 mg");
    expect(columns["cycle_count"]!.slice(0, 6)).toEqual([1, 1, 2, 2, 2, 3]);
    expect(columns["stored_cycle"]!.slice(0, 6)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe("gaps and damage", () => {
  test("rows that are marked as missing are counted, those of 0 V are not missing", async () => {
    const all = await open(ndaxBytes({ ...made(14), voltage_V: upTo(10).map(() => 0), missing: new Set([3, 4]) })); // prettier-ignore
    expect(all.columns["record_index"]).toEqual([1, 2, 5, 6, 7, 8, 9, 10]);
    expect(all.columns["test_time_second"]).toEqual([0, 2, 8, 10, 12, 12, 13, 14]);
    expect(all.problems).toMatchObject([{ where: "entry data.ndc, row 1", count: 2, unread: true }]);
  });

  test("charge goes on over rows that are missing", async () => {
    const { columns } = await open(ndaxBytes({ ...made(11), missing: new Set([3]) }));
    expect(columns["record_index"]!.slice(0, 4)).toEqual([1, 2, 4, 5]);
    [0, 4, 12, 16].forEach((charge, i) => expect(columns["charge_capacity"]![i]).toBeCloseTo(charge, 5));
  });

  test("a step that the table has not yet is one by the run information", async () => {
    const all = made(11);
    const { columns, problems } = await open(ndaxBytes({ ...all, steps: all.steps!.slice(0, 1) }));
    expect(problems).toEqual([]);
    expect(columns["step_count"]).toEqual([1, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
    expect(columns["status"]!.slice(6)).toEqual([1, -1, -1, -1]);
    expect(Math.min(...(columns["dq"] as number[]))).toBe(0); // the sums of a step begin anew, and no charge flows back
  });

  test("of two entries for a row the first counts; one that goes back is said", async () => {
    const { information = [] } = made(17);
    const twice = [...information.slice(0, 1), info(1, 1, 100, 0, 100), ...information.slice(1), info(3, 1, 0, 0, 0)]; // prettier-ignore
    const all = await open(ndaxBytes({ ...made(17), information: twice }));
    expect(all.columns["test_time_second"]).toEqual([0, 2, 4, 6, 8, 10, 12, 12, 13, 14]);
    expect(said(all)).toEqual([expect.stringMatching(/1 entries belong to rows before/)]);
  });

  test("times that do not come out are said", async () => {
    const information = made(14).information!.map((one) => (one.row === 5 ? { ...one, time_ms: 9000 } : one));
    const all = await open(ndaxBytes({ ...made(14), information }));
    expect(said(all)).toEqual(["entry data_runInfo.ndc: the times of 2 rows, the first of them row 3, do not come out as the next one that is stored: rows were lost there, or the clock was set"]); // prettier-ignore
  });

  test("of a step without run information only the time that goes on is known", async () => {
    const information = made(14).information!.filter(({ row }) => row < 8);
    const { columns } = await open(ndaxBytes({ ...made(14), information }));
    expect(columns["test_time_second"]).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    expect(columns["step_time"]!.slice(6)).toEqual([12, NaN, NaN, NaN]);
    expect(columns["charge_capacity"]!.slice(7)).toEqual([NaN, NaN, NaN]);
  });

  test("rows before the first run information have no time", async () => {
    const information = made(14).information!.slice(2);
    const { chunks, columns } = await open(ndaxBytes({ ...made(14), information }));
    expect(chunks.map(({ rows, time }) => [rows, time?.length])).toEqual([
      [4, undefined],
      [6, 6],
    ]);
    expect(columns["test_time_second"]).toEqual([NaN, NaN, NaN, NaN, 8, 10, 12, 12, 13, 14]);
    expect(columns["step_count"]!.slice(0, 4)).toEqual([1, 1, 1, 1]);
  });

  test("without run information, without steps", async () => {
    const { version, voltage_V, current_A } = made(17);
    const all = await open(ndaxBytes({ version, voltage_V, current_A }));
    expect(all.rows).toBe(10);
    expect(all.columns["test_time_second"]).toEqual(upTo(10).map(() => NaN));
    expect(all.columns["cycle_count"]).toEqual(upTo(10).map(() => -1));
    expect(said(all)).toEqual([
      "entry data_runInfo.ndc: is missing, or cannot be read: no row has a time, a charge or an energy",
      "entry data_step.ndc: is missing, or cannot be read: no row has a cycle, nor a type of step",
    ]);
    expect(await all.reader.lastTestTime_s()).toBeNaN();
  });

  test("a test that has not begun", async () => {
    const empty = { version: 14, voltage_V: [], current_A: [], information: [], steps: [] } as const;
    const all = await open(ndaxBytes({ ...empty, others: { "TestInfo.xml": `<TestInfo StartTime="2026-01-01 00:00:10"/>` } })); // prettier-ignore
    expect([all.rows, all.problems]).toEqual([0, []]);
    expect(all.reader.start).toEqual({ face: BigInt(Date.UTC(2026, 0, 1, 0, 0, 10)) * 1_000_000n });
    expect(await all.reader.lastTestTime_s()).toBeNaN();
  });

  test("what cannot be opened says why, without its path", async () => {
    const rejects = (bytes: Uint8Array, message: RegExp) => expect(open(bytes)).rejects.toThrow(message);
    await rejects(zipped({ "Step.xml": "<root/>" }), /^has no entry data\.ndc, which holds the rows; its entries are Step\.xml$/); // prettier-ignore
    await rejects(zipped({ "data.ndc": ndcBytes(9, 1, 8, 0, () => {}) }), /^entry data\.ndc: byte 2: is of version 9; known are 2, 5, 11, 14, 16, 17/); // prettier-ignore
    await rejects(zipped({ "data.ndc": ndcBytes(14, 7, 8, 0, () => {}) }), /^entry data\.ndc: byte 0: is of kind 7, where 1 was expected$/); // prettier-ignore
    const whole = ndaxBytes(made(14));
    await rejects(whole.subarray(0, whole.length / 2), /^is cut short or no ZIP archive/);
    const wrong = Buffer.from(whole);
    wrong[60]! ^= 0xff; // within the first entry, which is data.ndc
    await rejects(wrong, /^entry data\.ndc at byte 0 (cannot be unpacked|does not have the checksum)/);
  });

  test.each([
    ["read", 10, /^was written anew while it was read; open it again$/],
    ["its directory is looked for", 90_000, /^was written anew while it was read \(is cut short.*\); open it again$/],
  ])("one that is written anew while it is %s says so", async (_, rows, message) => {
    // One block is read, or more.
    const voltage_V = Float32Array.from({ length: rows }, (_, i) => Math.sin(i * i));
    const whole = Buffer.from(ndaxBytes({ version: 14, voltage_V, current_A: voltage_V }));
    const file = new FakeFile(whole);
    const { read } = file;
    let reads = 0;
    file.read = (at, length) => {
      if (++reads === 3) file.show(Buffer.alloc(whole.length, "x"));
      return read(at, length);
    };
    const error = (await newareNdax.open(file, { path: "/made/a.ndax", columns: {} }).catch((thrown: unknown) => thrown)) as Error;
    // So that who follows it reads it again, and no run fails for it.
    expect(error).toBeInstanceOf(Rewritten);
    expect(error.message).toMatch(message);
  }); // prettier-ignore

  test("an entry that is damaged leaves the others", async () => {
    const others = { "data_AUX_9_3_1.ndc": Buffer.from("xx"), "data_AUX_8_3_1.ndc": new Uint8Array([5, 0, 99, 0]) }; // prettier-ignore
    const all = await open(ndaxBytes({ ...made(14), others }));
    expect(all.rows).toBe(10);
    expect(said(all)).toEqual(["entry data_AUX_8_3_1.ndc: byte 2: is of version 99; known are 2, 5, 11, 14, 16, 17: please send us such a file"]); // prettier-ignore
  });
});

test("is found by the names in the archive, others are not", async () => {
  const bytes = ndaxBytes({ ...made(14), others: { "readme.txt": "x" } });
  const { format } = await openEchem(new FakeFile(bytes), { path: "/made/found.ndax", columns: {} });
  expect(format.name).toBe("Neware .ndax");
  expect(newareNdax.looks(zipped({ "header.properties": "jpk" }))).toBe(false);
  expect(newareNdax.looks(Buffer.from("PK\x03\x04"))).toBe(false);
});
