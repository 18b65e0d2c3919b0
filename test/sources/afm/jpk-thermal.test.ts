import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { SourceError } from "../../../runtime/index.ts";
import { jpkThermal } from "../../../sources/afm/jpk-thermal.ts";

const folder = mkdtempSync(join(tmpdir(), "operando thermal ä-"));
afterAll(() => rmSync(folder, { recursive: true }));

const zoned = (local: string): bigint => {
  if (local.startsWith("2022-03-27T02")) throw new SourceError("no clock showed that");
  return BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
};
interface Made {
  name?: string;
  channels?: string;
  units?: string;
  header?: string;
  rows?: string[];
}
function place({ name = "a.tnd", channels = "'Frequency' 'Vertical Deflection' 'average'", units = "'Hz' 'V²/Hz' 'V²/Hz'", header = "", rows = ["0.0 1.5E-9 1", "12.5 2.5E-9 1", "25.0 4E-9 1"] }: Made = {}): string {
  const path = join(folder, name);
  writeFileSync(path, `# thermal noise data\n# sensitivity: 10.0 nm/V\n${header}# Channels: ${channels} \n# Units: ${units}\n\n${rows.join("\n")}\n`);
  return path;
} // prettier-ignore
const read = async (made: Made = {}) => (await jpkThermal.open(place(made), zoned)).thermal!.read(0);

test("a spectrum is what was written", async () => {
  const { thermal, warnings } = await jpkThermal.open(place({ header: "# settings.temperature: 25.0 ℃\n" }), zoned); // prettier-ignore
  expect(thermal!.count).toBe(1);
  expect(await thermal!.read(0)).toEqual({
    end: undefined,
    frequency_Hz: Float64Array.of(0, 12.5, 25),
    power: Float64Array.of(1.5e-9, 2.5e-9, 4e-9),
    temperature_K: 298.15,
    averages: NaN,
  });
  expect(warnings).toEqual([]);
});

test.each([
  ["V²/Hz", 1],
  ["mV^2/Hz", 1e-6],
  ["m²/Hz", 1e16],
  ["pm²/Hz", 1e-8],
])("power in %s becomes V²/Hz", async (unit, factor) => {
  const { power } = await read({ units: `'Hz' '${unit}' ''` });
  [1.5e-9, 2.5e-9, 4e-9].forEach((value, i) => expect(Math.abs(Number(power[i]) / (value * factor) - 1)).toBeLessThan(1e-12)); // prettier-ignore
});

test.each([
  ["V/√Hz", 1],
  ["µV/√Hz", 1e-12],
  ["nm/√Hz", 1e-2],
])("amplitudes in %s are squared", async (unit, factor) => {
  const { power } = await read({ units: `'Hz' '${unit}' ''` });
  [1.5e-9, 2.5e-9, 4e-9].forEach((value, i) => expect(Math.abs(Number(power[i]) / (value * value * factor) - 1)).toBeLessThan(1e-12)); // prettier-ignore
});

test("any numbers are found again", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 1e-30, max: 1, noNaN: true }), { minLength: 1, maxLength: 50 }),
      async (values) => {
        const rows = values.map((value, i) => `${i * 12.20703125} ${String(value).toUpperCase()} NaN`);
        const { power, frequency_Hz } = await read({ rows });
        expect([...power]).toEqual(values);
        expect([...frequency_Hz]).toEqual(values.map((_, i) => i * 12.20703125));
      },
    ),
    { seed: 3, numRuns: 30 },
  );
});

test.each([
  ["# settings.temperature: 77 K\n", 77, 0],
  ["# settings.temperature: warm\n", NaN, 1],
  ["# settings.temperature: -300 °C\n", NaN, 1],
  ["", NaN, 0],
])("temperature from %j", async (header, temperature_K, warnings) => {
  const file = await jpkThermal.open(place({ header }), zoned);
  expect((await file.thermal!.read(0)).temperature_K).toBe(temperature_K);
  expect(file.warnings).toHaveLength(warnings);
});

test("its time is in its name, where that is a time", async () => {
  const at = async (name: string) => (await read({ name })).end;
  expect(await at("noise_2022.01.12-11.37.51.tnd")).toEqual({ ns: zoned("2022-01-12T11:37:51"), zoned: false }); // prettier-ignore
  expect(await at("noise_2022.13.12-11.37.51.tnd")).toBeUndefined();
  const skipped = await jpkThermal.open(place({ name: "2022.03.27-02.30.00.tnd" }), zoned);
  expect(skipped.start).toBeUndefined();
  expect(skipped.warnings).toEqual([expect.stringMatching(/its name says 2022-03-27T02:30:00, but no clock/)]); // prettier-ignore
});

describe("bad input", () => {
  test.each<[string, Made, RegExp]>([
    ["no table", { rows: [] }, /has a header and no rows; it is cut short/],
    ["a torn last row", { rows: ["0.0 1 1", "12.5 2"] }, /line 7: "12\.5 2" is no row of 3 numbers; it is cut short, copy it again/],
    ["a word", { rows: ["0.0 much 1", "12.5 2 1"] }, /line 6: "0\.0 much 1" is no row of 3 numbers; copy it again/],
    ["frequencies that go back", { rows: ["0 1 1", "25 2 1", "12 3 1"] }, /line 8: frequency 12 Hz does not go on from 25 Hz/],
    ["an unknown unit", { units: "'Hz' 'A²/Hz' ''" }, /channel Vertical Deflection is in "A²\/Hz"; wanted V²\/Hz, V\/√Hz/],
    ["metres without a sensitivity", { units: "'Hz' 'm²/Hz' ''", header: "# sensitivity: none\n" }, /the sensitivity that would make volts of it is "none"/],
    ["no channels", { channels: "" }, /its header names the channels not in Hz, .*; wanted Frequency in Hz/],
    ["nothing measured", { channels: "'Frequency' 'average' 'fit-data'" }, /wanted Frequency in Hz, then a power density/],
  ])("%s", async (_, made, says) => {
    await expect(read(made)).rejects.toThrow(says);
  }); // prettier-ignore

  test("no such file", async () => {
    await expect(jpkThermal.open(join(folder, "none.tnd"), zoned)).rejects.toThrow(/none\.tnd: no such file/);
  });

  test("a NaN stays one", async () => {
    expect([...(await read({ rows: ["0 NaN 1", "1 2 1"] })).power]).toEqual([NaN, 2]);
  });
});

test("known by its first line", () => {
  expect(jpkThermal.looks(Buffer.from("# thermal noise data\n# sens"))).toBe(true);
  expect(jpkThermal.looks(Buffer.from("# thermal noise\n"))).toBe(false);
  expect(jpkThermal.looks(new Uint8Array(0))).toBe(false);
});

const real = fileURLToPath(new URL("../../../../shared/data/afm/jpk/PFQNM-H2O-thermal-noise-data_vDeflection_2022.01.12-11.37.51.tnd", import.meta.url)); // prettier-ignore
test.runIf(existsSync(real))("a real spectrum, in the V²/Hz that its own fit is in", async () => {
  const file = await jpkThermal.open(real, zoned);
  const { frequency_Hz, power, temperature_K, end } = await file.thermal!.read(0);
  expect([frequency_Hz.length, temperature_K]).toEqual([31131, 298.15]);
  expect(end!.ns).toBe(zoned("2022-01-12T11:37:51"));
  const lines = readFileSync(real, "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const fit = lines.map((line) => Number(line.split(" ")[3]));
  // Below the resonance the fit is the square of the header's amplitude, of four digits, and its noise.
  expect(Math.abs(fit[0]! / (92.12e-6 ** 2 + 4.501e-10) - 1)).toBeLessThan(2e-4);
  // 8,110 frequencies, each with an error of its own size
  const sum = (of: ArrayLike<number>): number =>
    lines.reduce((total, _, i) => (frequency_Hz[i]! >= 1e3 && frequency_Hz[i]! < 1e5 ? total + of[i]! : total), 0);
  expect(Math.abs(sum(power as Float64Array) / sum(fit) - 1)).toBeLessThan(0.05);
}); // prettier-ignore
