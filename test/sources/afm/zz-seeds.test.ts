import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Format } from "../../../sources/afm/afm-file.ts";
import { afmHdf5 } from "../../../sources/afm/afm-hdf5.ts";
import { HEIGHT, makeExport, makeJpkSeries } from "./make-jpk-hdf5.ts";
import { CASES, readMutants } from "./make-mutants.ts";

const folder = mkdtempSync(join(tmpdir(), "operando-hdf5-"));
afterAll(() => rmSync(folder, { recursive: true }));
const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));

/** The library knows a file that it could not close again, so each case is a file of its own. */
let count = 0;
const ofOwnName: Format = {
  ...afmHdf5,
  async open(path, zoned) {
    const own = join(folder, `case ${count++}`);
    copyFileSync(path, own);
    try {
      const file = await afmHdf5.open(own, zoned);
      return { ...file, close: () => rm(own) };
    } catch (error) {
      await rm(own);
      throw error;
    }
  },
};

test(
  `${CASES} damaged HDF5 files are read or refused with a reason`,
  { timeout: 60_000 + 200 * CASES },
  async () => {
    const frames = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]; // prettier-ignore
    const made = [
      await makeJpkSeries(join(folder, "series"), {
        channels: [{ name: "height", frames, slots: HEIGHT }, { name: "phase", frames, baseUnit: "deg" }],
        starts: [1748439718548, 1748439719548], ends: [1748439719548, 1748439720548],
      }),
      await makeExport(join(folder, "curves"), {
        0: { columns: { force: [1, 2, 3], "height (piezo)": [3, 2, 1], segment: [0, 0, 1] } },
        1: { columns: { force: [1, 2, 3], "height (measured)": [3, 2, 1], segment: [0, 0, 1] } },
      }),
    ]; // prettier-ignore
    const real = ["jpk/sample_0.h5-jpk", "afmformats-h5/fmt-hdf5-fd_version_0.13.3.h5"].map((name) => join(shared, name)); // prettier-ignore
    const whole = [...made, ...real].filter(existsSync).map((path) => readFileSync(path));
    const outcome = await readMutants(ofOwnName, whole, { cases: 200, seed: Number(process.env.SEED) });
    (await import("node:fs")).appendFileSync("/tmp/h5seeds.log", JSON.stringify(outcome) + "\n");
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.read).toBeGreaterThan(0);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
