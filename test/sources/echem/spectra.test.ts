import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scalar, code, type Columns, type Fields, type ListColumn } from "../../../runtime/index.ts";
import { biologicMpr } from "../../../sources/echem/mpr-reader.ts";
import { hasImpedance, Spectra } from "../../../sources/echem/spectra.ts";
import { timesOf } from "../../../sources/echem/test-time.ts";
import { FakeFile } from "./read-all.ts";

const FIELDS: Fields = {
  voltage_volt: scalar("V"), current_ampere: scalar("A"), frequency: scalar("Hz"), z_real: scalar("Ohm"), z_minus_imaginary: scalar("Ohm"), z_cycle: code(),
}; // prettier-ignore
const falling = [1000, 100, 10, 1];

interface Made {
  frequency: number[];
  rest?: Partial<Record<string, number[]>>;
}
const columnsOf = ({ frequency, rest = {} }: Made): Record<string, Float64Array> => {
  const n = frequency.length;
  const of = (name: string, otherwise: (i: number) => number): Float64Array => Float64Array.from(rest[name] ?? frequency.map((_, i) => otherwise(i))); // prettier-ignore
  return {
    frequency: Float64Array.from(frequency), voltage_volt: of("voltage_volt", () => 3.5), current_ampere: of("current_ampere", (i) => i),
    z_real: of("z_real", (i) => 10 + i), z_minus_imaginary: of("z_minus_imaginary", (i) => i + 1), z_cycle: of("z_cycle", () => 0), n: new Float64Array(n),
  }; // prettier-ignore
};
const timesFor = (n: number): BigInt64Array => BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * 1_000_000_000n); // prettier-ignore

const lists = (rows: Columns | undefined, name: string): number[][] => {
  if (!rows) return [];
  const { values, offsets } = rows[name] as ListColumn<Float64Array>;
  return [...offsets.slice(1)].map((end, i) => [...values.slice(offsets[i], end)]);
};

function all(made: Made, cuts: readonly number[] = [], fields = FIELDS): { frequencies: number[][]; rows: Columns[] } {
  const spectra = new Spectra();
  spectra.begin(fields);
  const columns = columnsOf(made);
  const time = timesFor(made.frequency.length);
  const rows: Columns[] = [];
  const places = [0, ...cuts.toSorted((a, b) => a - b), made.frequency.length];
  for (let i = 1; i < places.length; i++) {
    const part = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.subarray(places[i - 1], places[i])])); // prettier-ignore
    const done = spectra.take(part, time.subarray(places[i - 1], places[i]));
    if (done) rows.push(done);
  }
  const last = spectra.end();
  if (last) rows.push(last);
  return { rows, frequencies: rows.flatMap((one) => lists(one, "frequency")) };
} // prettier-ignore

test("a spectrum is one row at the time of its last frequency, with when each was measured", () => {
  const { rows } = all({ frequency: falling });
  const [row] = rows as [Columns];
  expect([...row.time]).toEqual([3_000_000_000n]);
  expect(lists(row, "z_real")).toEqual([[10, 11, 12, 13]]);
  expect(lists(row, "z_imaginary")).toEqual([[-1, -2, -3, -4]]);
  expect(lists(row, "offset")).toEqual([[-3, -2, -1, 0]]);
  expect(row).toMatchObject({ voltage_volt: Float64Array.of(3.5), current_ampere: Float64Array.of(1.5) });
});

test.each([
  ["where the frequency jumps back", { frequency: [...falling, ...falling] }, [falling, falling]],
  ["where it turns round, upwards", { frequency: [1, 10, 100, 10] }, [[1, 10, 100], [10]]],
  ["where the cycler counts another", { frequency: [100, 10, 5, 1], rest: { z_cycle: [0, 0, 1, 1] } }, [[100, 10], [5, 1]]],
  ["where a row has no frequency", { frequency: [100, 10, 0, 5, 1] }, [[100, 10], [5, 1]]],
  ["where its impedance is missing", { frequency: [100, 10, 5, 1], rest: { z_real: [1, 1, NaN, 1] } }, [[100, 10], [1]]],
  ["and where none is, none begins", { frequency: [0, 0, 0] }, []],
])("it ends %s", (_, made, frequencies) => {
  expect(all(made).frequencies).toEqual(frequencies);
}); // prettier-ignore

test("modulus and phase are taken where real and imaginary parts are not there", () => {
  const { z_real, z_minus_imaginary, ...rest } = FIELDS;
  const spectra = new Spectra();
  spectra.begin({ ...rest, z_modulus: z_real!, z_phase: z_minus_imaginary! });
  const columns = { ...columnsOf({ frequency: [10, 1] }), z_modulus: Float64Array.of(2, 4), z_phase: Float64Array.of(-90, -60) }; // prettier-ignore
  spectra.take(columns, timesFor(2));
  const row = spectra.end();
  expect(lists(row, "z_real")[0]![1]).toBeCloseTo(2);
  expect(lists(row, "z_imaginary")[0]![0]).toBeCloseTo(-2);
  expect(hasImpedance(rest)).toBe(false);
});

test("three electrodes give a row each, of one number", () => {
  const spectra = new Spectra();
  spectra.begin({ ...FIELDS, zce_real: scalar("Ohm"), zce_minus_imaginary: scalar("Ohm") });
  const columns = columnsOf({ frequency: falling });
  spectra.take({ ...columns, zce_real: Float64Array.of(1, 2, 3, 4), zce_minus_imaginary: Float64Array.of(5, 6, 7, 8) }, timesFor(4)); // prettier-ignore
  const row = spectra.end()!;
  expect(row).toMatchObject({ electrode: Int32Array.of(0, 1), index: Int32Array.of(0, 0) });
  expect(lists(row, "z_imaginary")[1]).toEqual([-5, -6, -7, -8]);
});

test("the same spectra wherever rows are cut", () => {
  const frequency = [...falling, ...falling, 0, 0, 1, 2, 3, 2, 1];
  const { frequencies } = all({ frequency });
  fc.assert(
    fc.property(fc.array(fc.nat({ max: frequency.length }), { maxLength: 8 }), (cuts) => {
      expect(all({ frequency }, cuts).frequencies).toEqual(frequencies);
    }),
    { seed: 1 },
  );
});

const folder = fileURLToPath(new URL("../../../../shared/data/echem/biologic/", import.meta.url));
describe.runIf(existsSync(folder))("files of instruments", () => {
  test.each([
    ["peis.mpr", 1], ["geis.issue_149.mpr", 2], ["PEIS-0.mpr", 1], ["zir.mpr", 1], ["gcpl.issue_149.mpr", 0],
  ])("%s: %i spectra at the least, of falling frequencies, with every point", async (name, least) => {
    const reader = await biologicMpr.open(new FakeFile(new Uint8Array(readFileSync(folder + name))), { path: name, columns: {} });
    const spectra = new Spectra();
    spectra.begin(reader.fields);
    const rows: Columns[] = [];
    let points = 0;
    for await (const chunk of reader.more("closing")) {
      points += [...((chunk.columns["frequency"] as Float32Array | undefined) ?? [])].filter((f) => f > 0).length;
      const time = timesOf(0n, chunk.columns["test_time_second"] as Float64Array);
      rows.push(...[spectra.take(chunk.columns, time)].filter((one) => one !== undefined));
    }
    const last = spectra.end();
    if (last) rows.push(last);
    const own = rows.flatMap((one) => lists(one, "frequency").filter((_, i) => (one["electrode"] as Int32Array)[i] === 0));
    expect(own.length).toBeGreaterThanOrEqual(least);
    expect(own.flat().length).toBe(points);
  });
}); // prettier-ignore
