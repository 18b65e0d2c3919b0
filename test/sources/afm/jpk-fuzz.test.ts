import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unzipSync, zipSync } from "fflate";
import { afterAll, expect, test } from "vitest";
import type { Format } from "../../../sources/afm/afm-file.ts";
import { jpkImage } from "../../../sources/afm/jpk-image.ts";
import { jpkThermal } from "../../../sources/afm/jpk-thermal.ts";
import { jpkForce } from "../../../sources/afm/jpk.ts";
import { makeJpkImage, type MadeChannel } from "./make-jpk-image.ts";
import { makeJpk, type MadeCurve, type MadeFile } from "./make-jpk.ts";
import { CASES, readMutants, type Outcome } from "./make-mutants.ts";

const folder = mkdtempSync(join(tmpdir(), "operando-jpk-"));
afterAll(() => rmSync(folder, { recursive: true }));
const shared = fileURLToPath(new URL("../../../../shared/data/afm/jpk/", import.meta.url));
const real = (...names: string[]): Buffer[] => names.map((name) => join(shared, name)).filter(existsSync).map((path) => readFileSync(path)); // prettier-ignore

const limits = { timeout: 60_000 + 200 * CASES };
function check(name: string, outcome: Outcome, leastRead: number): void {
  if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log(name, JSON.stringify(outcome));
  expect(outcome.crashes).toEqual([]);
  expect(outcome.read + outcome.refused).toBe(CASES);
  expect(outcome.read).toBeGreaterThanOrEqual(CASES * leastRead);
  expect(outcome.longest_ms).toBeLessThan(2000);
  expect(outcome.most_MB).toBeLessThan(512);
}

const ramp = (n: number, step: number): number[] => Array.from({ length: n }, (_, i) => i * step);
const curve = (visit: number): MadeCurve => ({
  visit, x: 1e-6, y: 2e-6,
  segments: ["extend", "pause", "retract"].map((style) => ({
    style, deflection: ramp(20, 40), height: ramp(20, -50), ended: "2021-01-29 17:03:10.356 +0100", setpoint: 0.2,
  })),
}); // prettier-ignore
const file: MadeFile = { spring: 0.04, sensitivity: 7e-8, curves: [curve(0)] };
const map: MadeFile = { ...file, kind: "force-scan-map", grid: { columns: 2, rows: 2, size: 1e-6 }, curves: [0, 1, 2].map(curve), start: "2021-01-29 17:03:00" }; // prettier-ignore
const archives = [
  makeJpk({ ...file, level: 0 }),
  makeJpk({ ...map, shared: "nested", level: 0 }),
  makeJpk({ ...map, shared: true }),
];

test(`${CASES} damaged archives of JPK curves`, limits, async () => {
  const files = real("fmt-jpk-fd_spot3-0192.jpk-force", "fmt-jpk-fd_2020.02.07-16.29.05.036.jpk-qi-data");
  check("jpk archives", await readMutants(jpkForce, [...archives, ...files]), 0);
});

/** Checksums find most damages of an archive; here its entries are damaged, and it is put together after. */
const MARK = "\n%%%% ";
const plain = (archive: Uint8Array): Buffer =>
  Buffer.concat(Object.entries(unzipSync(archive)).map(([name, data]) => Buffer.concat([Buffer.from(`${MARK}${name}\n`), data]))); // prettier-ignore
const ofEntries: Format = {
  ...jpkForce,
  async open(path, zoned) {
    const entries: Record<string, Uint8Array> = {};
    for (const part of readFileSync(path).toString("latin1").split(MARK).slice(1)) {
      const cut = part.indexOf("\n");
      const name = part.slice(0, cut).replaceAll(/[^\w./-]/g, "x") || "x";
      if (name !== "__proto__") entries[name] = Buffer.from(part.slice(cut + 1), "latin1");
    }
    const archive = join(folder, "entries.jpk-force");
    writeFileSync(archive, zipSync(entries, { level: 0 }));
    return jpkForce.open(archive, zoned);
  },
};

test(`${CASES} archives of damaged entries of JPK curves`, limits, async () => {
  const files = real("fmt-jpk-fd_spot3-0192.jpk-force", "fmt-jpk-fd_2020.02.07-16.29.05.036.jpk-qi-data");
  check("jpk entries", await readMutants(ofEntries, [...archives, ...files].map(plain)), 0.02);
});

const channel: MadeChannel = {
  name: "height",
  raw: ramp(48, 1e6),
  slots: [
    { name: "volts", unit: "V", scale: [2e-9, 50] },
    { name: "nominal", unit: "m", scale: [-3e-9, 4e-6] },
  ],
};
const scan = { rows: 6, columns: 8, began: "2017-01-16 16:00:32.334 GMT", ended: "2017-01-16 16:00:38.264 GMT", lineRate_Hz: 1, motion: "topDown" }; // prettier-ignore
const images = [
  makeJpkImage({ ...scan, channels: [channel, { ...channel, retrace: true }, { ...channel, name: "vDeflection", algorithm: "Baseline" }] }),
  makeJpkImage({ ...scan, reflect: true, feedback: "contact", channels: [{ ...channel, name: "error" }] }),
]; // prettier-ignore

test(`${CASES} damaged JPK images`, limits, async () => {
  const outcome = await readMutants(jpkImage, [...images, ...real("sample_0.jpk-qi-image")]);
  check("jpk images", outcome, 0.02);
});

const spectrum = Buffer.from(
  "# thermal noise data\n# sensitivity: 10.0 nm/V\n# settings.temperature: 25.0 ℃\n# Channels: 'Frequency' 'Vertical Deflection' 'average'\n# Units: 'Hz' 'm²/Hz' 'V²/Hz'\n\n" +
    Array.from({ length: 60 }, (_, i) => `${i * 12.5} ${1e-9 / (i + 1)} 1E-9\n`).join(""),
);
const thermal: Format = {
  ...jpkThermal,
  async open(path, zoned) {
    const opened = await jpkThermal.open(path, zoned);
    await opened.thermal!.read(0);
    return opened;
  },
};

test(`${CASES} damaged JPK spectra`, limits, async () => {
  const [whole] = real("PFQNM-H2O-thermal-noise-data_vDeflection_2022.01.12-11.37.51.tnd");
  const cut = whole ? [whole.subarray(0, 20_000)] : [];
  check("jpk spectra", await readMutants(thermal, [spectrum, ...cut]), 0.02);
});
