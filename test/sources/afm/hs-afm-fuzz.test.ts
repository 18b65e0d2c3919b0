import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { hsAfm } from "../../../sources/afm/hs-afm.ts";
import { makeAsd, type MadeAsd } from "./make-asd.ts";
import { CASES, readMutants } from "./make-mutants.ts";

const levels = [0, 1, 2048, 4095, 700, 3000];
const frames = [levels, levels, levels];
const both: MadeAsd = { columns: 3, rows: 2, channels: [{ kind: "TP", frames }, { kind: "PH", frames }] }; // prettier-ignore
const made = [
  makeAsd(both),
  makeAsd({ ...both, version: 2, rangeCode: 0x20000 }),
  makeAsd({ ...both, version: 0 }),
  makeAsd({ ...both, version: 0, pixelBytes: 4, channels: [{ kind: "ER", frames }] }),
];
const shared = fileURLToPath(
  new URL("../../../../shared/data/afm/asd/asd_sample_0_first12frames.asd", import.meta.url),
);
const real = [shared].filter(existsSync).map((path) => readFileSync(path));

test(
  `${CASES} damaged .asd files are read or refused with a reason`,
  { timeout: 60_000 + 100 * CASES },
  async () => {
    const outcome = await readMutants(hsAfm, [...made, ...real]);
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log("hs-afm", JSON.stringify(outcome));
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.read).toBeGreaterThan(CASES / 10);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
