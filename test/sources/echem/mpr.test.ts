import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseUnit, scalar } from "../../../runtime/index.ts";
import { bdfColumns, bdfOf, meanCurrent, nothingBefore } from "../../../sources/echem/bdf.ts";
import { decodeRecords, fieldsOf, readMpr, type Mpr } from "../../../sources/echem/mpr.ts";
import { looksLike } from "../../../sources/echem/looks-like.ts";
import { vendorColumn } from "../../../sources/echem/mpr-columns.ts";
import { timesOf } from "../../../sources/echem/test-time.ts";
import { ascii, f32, join, mprBytes, pascal, type MprParts } from "./mpr-bytes.ts";

const open = (bytes: Uint8Array): Promise<Mpr> =>
  readMpr(async (at, length) => bytes.subarray(at, at + length), bytes.length);
const decode = (mpr: Mpr, bytes: Uint8Array): ReturnType<typeof decodeRecords> =>
  decodeRecords(mpr, bytes.subarray(mpr.firstRecord, mpr.firstRecord + mpr.records * mpr.recordLength));

const parts: Omit<MprParts, "layout"> = {
  flags: [0b0001_0001, 0b1010_0110, 0b0100_1011],
  columns: [
    [1, "flag"], [2, "flag"], [3, "flag"], [21, "flag"], [31, "flag"], [65, "flag"],
    [131, "u16", [0, 1, 513]], [4, "f64", [0, 0.5, 1e6]], [6, "f32", [3.5, -0.25, 4.125]], [7, "f64", [0, 1e-6, -2e-6]],
    [39, "u16", [14, 41, 116]], [468, "u32", [0, 2, 70000]],
  ],
  start: "2025-05-28 14:23:16.145",
  loop: [0, 2],
}; // prettier-ignore

describe.each(["old2", "old3", "new11"] as const)("layout %s", (layout) => {
  test("gives back the columns that it was made from", async () => {
    const bytes = mprBytes({ layout, ...parts });
    const mpr = await open(bytes);
    const columns = decode(mpr, bytes);
    expect(mpr.problems).toEqual([]);
    expect(Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [...values]]))).toEqual({
      flags: [0b0001_0001, 0b1010_0110, 0b0100_1011],
      mode: [1, 2, 3], ox_red: [0, 1, 0], error: [0, 0, 1], control_changes: [1, 0, 0], ns_changes: [0, 1, 0],
      counter_inc: [0, 1, 0], end_of_segment: [0, 0, 1],
      ns: [0, 1, 513], test_time_second: [0, 0.5, 1e6], ewe: [3.5, -0.25, 4.125], dq: [0, 1e-6, -2e-6],
      i_range: [14, 41, 116], half_cycle: [0, 2, 70000],
    }); // prettier-ignore
    expect([columns["ewe"], columns["half_cycle"], columns["ns"], columns["flags"]].map((a) => a!.constructor)).toEqual([
      Float32Array, Uint32Array, Uint16Array, Uint8Array,
    ]); // prettier-ignore
    expect(fieldsOf(mpr)["dq"]).toMatchObject({
      kind: "scalar",
      type: "f64",
      unit: "mA.h",
      vendor_name: "dq/mA.h",
    });
    expect([...mpr.loop]).toEqual([0, 2]);
    expect(mpr.log?.start).toBe(BigInt(Date.UTC(2025, 4, 28, 14, 23, 16, 145)) * 1_000_000n);
    expect(mpr.log?.metadata).toEqual({
      channel: "8",
      channel_serial: "21637",
      device_serial: "0858",
      software_version: "11.61",
    });
  });

  test("the word MODULE within data does not end them", async () => {
    const word = new DataView(ascii("MODULE\0\0").buffer).getFloat64(0, true);
    const bytes = mprBytes({ layout, columns: [[4, "f64", [0, word, 2]]] });
    const mpr = await open(bytes);
    expect([...decode(mpr, bytes)["test_time_second"]!]).toEqual([0, word, 2]);
  });

  test.each([
    ["u8", [1, 2, 255]],
    ["u16", [1, 2, 65535]],
    ["f32", [1, 2.5, -3]],
    ["f64", [1, 2.5, Math.PI]],
  ] as const)("one unknown id takes the width that is left over: %s", async (width, values) => {
    const bytes = mprBytes({ layout, columns: [[4, "f64", [0, 1, 2]], [9999, width, values], [6, "f32", [1, 2, 3]]] }); // prettier-ignore
    const mpr = await open(bytes);
    const columns = decode(mpr, bytes);
    expect([...columns["column_9999"]!]).toEqual(values);
    expect([...columns["ewe"]!]).toEqual([1, 2, 3]);
    expect(mpr.problems.map(({ what }) => what)).toEqual([
      expect.stringMatching(`nobody knows what column 9999 is; kept as column_9999, read as ${width}`),
    ]);
  });

  test("several unknown ids are four-byte floats where the length says so", async () => {
    const bytes = mprBytes({ layout, columns: [[4, "f64", [0, 1]], [9998, "f32", [7, 8]], [9999, "f32", [9, 10]]] }); // prettier-ignore
    const mpr = await open(bytes);
    expect([...decode(mpr, bytes)["column_9999"]!]).toEqual([9, 10]);
  });

  test("where widths stay in doubt, the columns around them are still read", async () => {
    const bytes = mprBytes({
      layout, columns: [[4, "f64", [0, 1]], [9998, "f64", [7, 8]], [8, "f32", [5, 6]], [9999, "f64", [9, 10]], [6, "f32", [1, 2]]],
    }); // prettier-ignore
    const mpr = await open(bytes);
    const columns = decode(mpr, bytes);
    expect(Object.keys(columns)).toEqual(["test_time_second", "ewe"]);
    expect([...columns["ewe"]!]).toEqual([1, 2]);
    expect(mpr.problems[0]!.what).toBe(
      "the widths of columns 9998, 9999 are not known, so column 9998, 8, 9999 could not be found within the record and is left out",
    );
  });

  test("no rows, and one", async () => {
    const none = mprBytes({ layout, columns: [[1, "flag"], [4, "f64", []], [6, "f32", []]] }); // prettier-ignore
    expect(await open(none)).toMatchObject({ records: 0, problems: [] });
    expect(decode(await open(none), none)["ewe"]).toEqual(new Float32Array(0));
    const one = mprBytes({ layout, columns: [[4, "f64", [43202.9887]]] }); // prettier-ignore
    expect([...decode(await open(one), one)["test_time_second"]!]).toEqual([43202.9887]);
  });

  test("cut at any byte: rows that are whole are the same, or it says at which byte it ends", async () => {
    const bytes = mprBytes({ layout, ...parts });
    const whole = await open(bytes);
    const columns = decode(whole, bytes);
    for (
      let length = 0;
      length < bytes.length;
      length += length > whole.firstRecord - 5 && length < whole.firstRecord + 90 ? 1 : 83
    ) {
      const piece = bytes.subarray(0, length);
      const mpr = await open(piece).catch((error: Error) => error);
      if (mpr instanceof Error) {
        expect(mpr.name).toBe("SourceError");
        expect(mpr.message).toMatch(/ends|empty|no "VMP data"/);
        expect(length).toBeLessThan(whole.firstRecord);
        continue;
      }
      const rows = Math.min(3, Math.floor((length - whole.firstRecord) / whole.recordLength));
      expect(mpr.records).toBe(Math.max(0, rows));
      const read = decode(mpr, piece);
      for (const name in columns) expect(read[name]).toEqual(columns[name]!.subarray(0, mpr.records));
      // Between two modules a cut looks like the end of a file that is still being written.
      if (mpr.log?.start !== whole.log?.start && mpr.modules.every((one) => one.available === one.length))
        continue;
      if (mpr.modules.length === whole.modules.length && mpr.loop.length === 2) continue;
      if (mpr.problems.length === 0)
        expect(mpr.modules.at(-1)!.start + mpr.modules.at(-1)!.length).toBe(length);
    }
  });
});

test("numbers of any kind come back, whatever the columns and their order", async () => {
  const kinds = [[4, "f64", "test_time_second"], [6, "f32", "ewe"], [131, "u16", "ns"], [468, "u32", "half_cycle"], [509, "u8", "column_509"], [883, "f64", "energy_ce_charge"]] as const; // prettier-ignore
  const column = fc.tuple(fc.constantFrom(...kinds), fc.array(fc.double(), { minLength: 9, maxLength: 9 }));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("old2" as const, "old3" as const, "new11" as const),
      fc.uniqueArray(column, { minLength: 1, selector: ([[id]]) => id }),
      fc.integer({ min: 0, max: 9 }),
      async (layout, given, rows) => {
        const stored = given.map(
          ([[id, width], values]) => [id, width, asStored(width, values.slice(0, rows))] as const,
        );
        const bytes = mprBytes({ layout, columns: stored });
        const columns = decode(await open(bytes), bytes);
        for (const [i, [[, , name]]] of given.entries()) expect([...columns[name]!]).toEqual(stored[i]![2]);
      },
    ),
    { numRuns: 60, seed: 2 },
  );
});

function asStored(width: string, values: number[]): number[] {
  const arrays = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
  return [...new arrays[width as "u8"](values)];
}

test("settings, without what nobody entered", async () => {
  const settings = {
    0x07: pascal("25\xb0C\r\nthird try"), 0x107: f32(0.79), 0x10f: f32(0.001), 0x11e: pascal("LiFePO4"), 0x1c0: pascal("LP30"),
    0x211: f32(1.13), 0x215: pascal("(unspecified)"), 0x24c: f32(0.001), 0x250: Uint8Array.of(2, 2), 0x25c: f32(0.068), 0x260: Uint8Array.of(1),
  }; // prettier-ignore
  const { settings: said } = await open(mprBytes({ layout: "new11", ...parts, settings, technique: 0x1d }));
  expect(said).toEqual({
    technique: "PEIS", comments: "25°C\r\nthird try", electrode_material: "LiFePO4", electrolyte: "LP30",
    active_mass: "0.79 mg", electrode_area: "1.13 cm2", nominal_capacity: "0.068 mA.h",
  }); // prettier-ignore
});

test("analog inputs carry the names and units that people gave them", async () => {
  const columns: MprParts["columns"] = [[4, "f64", [0]], [16, "f32", [160]], [17, "f32", [25]]]; // prettier-ignore
  const extDev = { 0x36: pascal("Force/N"), 0x63: pascal("Temperatur/\xb0C") };
  const named = fieldsOf(await open(mprBytes({ layout: "old3", columns, extDev })));
  expect(named["force"]).toMatchObject({
    unit: "N",
    vendor_name: "Analog IN 1",
    long_name: "Force/N",
    type: "f32",
  });
  expect(named["temperatur"]).toMatchObject({ unit: "Cel", long_name: "Temperatur/°C" });
  const odd = fieldsOf(
    await open(mprBytes({ layout: "old3", columns, extDev: { 0x36: pascal("time/furlong") } })),
  );
  expect(odd["analog_in_1"]).toMatchObject({ unit: "", long_name: "time/furlong" });
  expect(odd["analog_in_2"]).toMatchObject({ unit: "V" });
});

test.each([
  ["nothing", new Uint8Array(0), /it is empty \(0 bytes\)/],
  [
    "a text export",
    ascii("EC-Lab ASCII FILE\r\nNb header lines : 3\r\n"),
    /it is text and begins with "EC-Lab ASCII FILE/,
  ],
  ["a zip", ascii("PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), /zip archive/],
  ["zeros", new Uint8Array(200), /all zero, as after a copy that did not finish/],
  ["text", ascii("voltage,current\n1,2\n"), /it is text and begins with "voltage,current/],
  ["HDF5", ascii("\x89HDF\r\n\x1a\n"), /an HDF5 file/],
  ["half the magic", ascii("BIO-LOGIC MODULAR FILE\x1a  "), /ends after 25 bytes, within the first 52/],
])("%s is refused, with what it looks like", async (_, bytes, message) => {
  await expect(open(bytes)).rejects.toThrow(message);
  expect(looksLike(bytes)).toMatch(message);
});

test("an unknown version is refused with the versions that are known", async () => {
  const bytes = mprBytes({ layout: "new11", ...parts, version: 12 });
  await expect(open(bytes)).rejects.toThrow(
    /"VMP data" module \(byte \d+\) has version 12 of EC-Lab 11.50 and later; known are 2 and 3, and 11/,
  );
});

test("a count and a length that disagree give the rows that both have", async () => {
  for (const [count, rows] of [
    [2, 2],
    [9, 3],
  ] as const) {
    // prettier-ignore
    const mpr = await open(mprBytes({ layout: "old3", ...parts, count }));
    expect(mpr.records).toBe(rows);
    expect(mpr.problems[0]!.what).toMatch(
      `says ${count} records, its length holds 3; read are the ${rows} that both have`,
    );
  }
});

test("records that the known widths cannot fill are refused", async () => {
  const bytes = mprBytes({ layout: "old3", columns: [[4, "f64", [0, 1, 2]], [6, "f64", [1, 2, 3]]], start: "2025-05-28 14:23:16" }); // prettier-ignore
  await expect(open(bytes)).rejects.toThrow(
    /its records take 16 bytes by the length of "VMP data", its 2 columns \(table at byte \d+\) take 12/,
  );
});

test("every unit is one, and every name is a column's", () => {
  for (let id = 0; id < 1000; id++) {
    const column = vendorColumn(id);
    if (!column) continue;
    expect(column.name).toMatch(/^[a-z][a-z0-9_]*$/);
    if (column.field.unit) expect(() => parseUnit(column.field.unit)).not.toThrow();
  }
});

test("bytes after the last module are said", async () => {
  const bytes = mprBytes({ layout: "old3", ...parts });
  const { problems } = await open(join(bytes, ascii("rubbish")));
  expect(problems).toEqual([
    {
      at: bytes.length,
      what: "the 7 bytes from here on are not a module: expected the word MODULE",
      unread: true,
    },
  ]);
});

test("times are those of BigInt arithmetic, to the nanosecond", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 4_000_000_000n * 1_000_000_000n }),
      fc.array(fc.double({ min: -1e7, max: 1e9, noNaN: true }), { maxLength: 20 }),
      (start, seconds) => {
        const exact = seconds.map(
          (s) =>
            start + BigInt(Math.floor(s)) * 1_000_000_000n + BigInt(Math.round((s - Math.floor(s)) * 1e9)),
        );
        expect([...timesOf(start, Float64Array.from(seconds))]).toEqual(exact);
      },
    ),
    { seed: 3 },
  );
});

test("mean current is the charge since the row before over the time since then", () => {
  // 11 µA for 60 s are 11e-3 mA × 60/3600 h
  const dq = [0, (11e-3 * 60) / 3600, (-11e-3 * 30) / 3600, 1e-9];
  const [first, charge, discharge, stopped] = meanCurrent(dq, [100, 160, 190, 190], NaN);
  expect(first).toBeNaN();
  expect(charge).toBeCloseTo(11e-6, 15);
  expect(discharge).toBeCloseTo(-11e-6, 15);
  expect(stopped).toBeNaN();
});

test("where only its sum is in the file, the charge since the row before is its difference, in any pieces; not where it begins again", () => {
  const sum_C = [0, 3.6, 9, 5.4, 0, 1.8, 0];
  const fields = { test_time_second: scalar("s"), q_minus_qo_coulomb: scalar("C", { vendor_name: "(Q-Qo)/C" }) };
  const bdf = bdfOf(fields);
  expect(bdf.fields["dq"]).toMatchObject({ unit: "mA.h", vendor_name: "(Q-Qo)/C" });
  for (const size of [1, 2, 7]) {
    const before = nothingBefore();
    const dq: number[] = [];
    for (let i = 0; i < sum_C.length; i += size) {
      const q_minus_qo_coulomb = Float64Array.from(sum_C.slice(i, i + size));
      const { length } = q_minus_qo_coulomb;
      dq.push(...bdfColumns(bdf, { q_minus_qo_coulomb, test_time_second: new Float64Array(length) }, length, before)["dq"]!);
    }
    expect(dq.map((value) => Math.round(1e9 * value) / 1e9)).toEqual([NaN, 1, 1.5, -1, NaN, 0.5, NaN]);
  }
  expect(bdfOf({ ...fields, dq: scalar("mA.h") }).sum).toBeUndefined();
}); // prettier-ignore

// Files of the field, where the shared data lie beside the checkout.

const shared = new URL("../../../../shared/data/echem/", import.meta.url);

interface Expected {
  file: string;
  rows: number;
  record_bytes: number;
  data_offset: number;
  column_ids: number[];
  columns: string[];
  first: Record<string, number>;
  last: Record<string, number>;
}

describe.runIf(existsSync(shared))("files of the field", () => {
  const expected = existsSync(shared)
    ? (JSON.parse(
        readFileSync(new URL("expected.json", shared), "utf8").replaceAll(/: NaN\b/g, ": null"),
      ) as Expected[])
    : [];
  const files = expected.filter(({ file }) => file.endsWith(".mpr"));
  const bytesOf = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, shared)));

  test.each(files)("$file", async (known) => {
    const bytes = bytesOf(known.file);
    const mpr = await open(bytes);
    const columns = decode(mpr, bytes);
    expect(mpr.problems).toEqual([]);
    expect([...mpr.ids]).toEqual(known.column_ids);
    expect(mpr.records).toBe(known.rows);
    if (known.rows === 0) return;
    expect(mpr.recordLength).toBe(known.record_bytes);
    const stored = mpr.columns.filter(({ bits }) => !bits);
    expect(stored.length).toBe(known.columns.length);
    for (const [i, { name, type, field }] of stored.entries()) {
      const vendor = known.columns[i]!;
      const [first, last] = [columns[name]!.at(0)!, columns[name]!.at(-1)!];
      // Printed to nine digits: enough for every f32, and eight of an f64.
      const printed = (value: number): number => (type === "f32" ? Math.fround(value) : value);
      if (type === "f64") {
        expect(Math.abs(first - known.first[vendor]!)).toBeLessThanOrEqual(5e-9 * Math.abs(first));
        expect(Math.abs(last - known.last[vendor]!)).toBeLessThanOrEqual(5e-9 * Math.abs(last));
      } else expect([first, last]).toEqual([printed(known.first[vendor]!), printed(known.last[vendor]!)]);
      // Names as in the vendor's exports; the list that was used for the expected values spells some otherwise.
      const spelled =
        {
          "<Ecv>/V": "<Ece>/V",
          "Energy we": "Energy we/W.h",
          "Energy ce charge": "Energy ce charge/W.h",
          "Energy ce discharge": "Energy ce discharge/W.h",
        }[vendor] ?? vendor;
      expect(field.vendor_name).toMatch(
        /^Analog|Ecell/.test(field.vendor_name!) ? /^Analog IN|^Ecell\/V$/ : spelled,
      );
    }
  });

  // EC-Lab's own text export, whose <I> was made by EC-Lab from the same records: printed to 7 digits and more.
  test.each(["gcpl.issue_211", "gcpl.issue_149", "gcpl.pr_182.1"])(
    "current from charge is EC-Lab's own <I>: %s",
    async (name) => {
      const bytes = bytesOf(`biologic/${name}.mpr`);
      const mpr = await open(bytes);
      const vendor = decode(mpr, bytes);
      const bdf = bdfOf(fieldsOf(mpr));
      expect(bdf.current).toEqual({ column: "dq", kind: "charge" });
      const ours = bdfColumns(bdf, vendor, mpr.records, nothingBefore())["current_ampere"]!;
      const theirs = textColumn(`biologic/${name}.mpt`, "<I>/mA");
      expect(theirs.length).toBe(mpr.records);
      for (let i = 1; i < ours.length; i++) {
        expect(Math.abs(ours[i]! * 1000 - theirs[i]!), `row ${i}`).toBeLessThanOrEqual(
          1e-6 * Math.abs(theirs[i]!) + 1e-12,
        );
      }
    },
  );

  function textColumn(file: string, name: string): number[] {
    const lines = new TextDecoder("windows-1252").decode(bytesOf(file)).split(/\r?\n/);
    const header = Number(/\d+/.exec(lines[1]!)![0]);
    const column = lines[header - 1]!.split("\t").indexOf(name);
    return lines.slice(header).filter((line) => line.includes("\t")).map((line) => Number(line.split("\t")[column]!.replace(",", "."))); // prettier-ignore
  }
});
