import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { nanoscope } from "../../../sources/afm/nanoscope.ts";
import { CASES, readMutants } from "./make-mutants.ts";
import { makeNanoscope, stored, type MadeForce, type MadeImage } from "./make-nanoscope.ts";

const points = { approach: 24, retract: 30 };
const image: MadeImage = { columns: 4, rows: 3, raw: Array.from({ length: 12 }, (_, i) => 300 * i) };
const curves = (n: number, times: number): MadeForce => ({
  ...points,
  curves: Array.from({ length: n }, () => stored(points, { times })),
});
const sensor: MadeForce = {
  ...points,
  name: '[ZSensor] "Height Sensor"',
  scale: "V [Sens. ZsensSens] (1e-5 V/LSB) 2.5 V",
  curves: [Array.from({ length: 54 }, (_, i) => 11 * (i % 24))],
};
const capture = {
  "Operating mode": "Image", "PeakForce Capture": "Allow", "PFT Freq": "2 kHz", "Peak Force Amplitude": 100, "Sync Distance QNM": 27,
}; // prettier-ignore
const headerBytes = 2560;
const made = [
  makeNanoscope({ headerBytes, images: [image, { ...image, name: '[Phase] "Phase"', scale: "V (0.005 º/LSB) 180 º" }] }),
  makeNanoscope({ headerBytes, version: "0x05310001", images: [image] }),
  makeNanoscope({ headerBytes, forces: [curves(1, 1), sensor] }),
  makeNanoscope({ headerBytes, scan: { "Operating mode": "Force Volume" }, force: { "force/line": 4 }, images: [image], forces: [curves(12, 256)] }),
  makeNanoscope({ headerBytes, scan: capture, images: [image], forces: [curves(12, 1)] }),
]; // prettier-ignore
const shared = fileURLToPath(new URL("../../../../shared/data/afm/nanoscope/", import.meta.url));
const real = ["20200904_Egel4-Z1.0_00025.spm", "Veeco_20160622.003", "old_bruker.002"].map((name) => `${shared}${name}`).filter(existsSync).map((path) => readFileSync(path)); // prettier-ignore

test(
  `${CASES} damaged NanoScope files are read or refused with a reason`,
  { timeout: 60_000 + 100 * CASES },
  async () => {
    const outcome = await readMutants(nanoscope, [...made, ...real]);
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log("nanoscope", JSON.stringify(outcome));
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.read).toBeGreaterThan(CASES / 10);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
