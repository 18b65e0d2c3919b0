import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { igorWave } from "../../../sources/afm/igor.ts";
import { FORCE_NOTE, forceColumns, igor, withChecksum } from "./make-igor.ts";
import { CASES, readMutants } from "./make-mutants.ts";

const { z, deflection, raw } = forceColumns(60, 20, 40);
const note = [...FORCE_NOTE, "ScanSize: 3e-06", "ScanRate: 2", "ScanDown: 0", "Indexes: 0,60,80,119", "Direction: NaN,1,0,-1,", "Seconds:3608043530.25"]; // prettier-ignore
const made = [true, false].flatMap((little) => [
  igor({ little, shape: [120, 3], values: [...raw, ...deflection, ...z], labels: [[], ["Raw", "Defl", "ZSnsr"]], units: ["s"], scale: [0.001], note }),
  igor({ little, type: "i16", shape: [9, 7, 2], values: Array.from({ length: 126 }, (_, i) => i), labels: [[], [], ["HeightTrace", "PhaseRetrace"]], units: ["m", "m"], note }),
  igor({ little, version: 2, values: [5, 4, 3, 2, 1], note }),
  igor({ little, version: 3, values: [5, 4, 3, 2, 1], formula: "k0" }),
]); // prettier-ignore
const shared = fileURLToPath(new URL("../../../../shared/data/afm/ibw/", import.meta.url));
const real = ["fmt-igor-fd_U3_3_p10004.ibw", "AR_20211011.ibw"].map((name) => `${shared}${name}`).filter(existsSync).map((path) => readFileSync(path)); // prettier-ignore

test(
  `${CASES} damaged waves are read or refused with a reason`,
  { timeout: 60_000 + 100 * CASES },
  async () => {
    const outcome = await readMutants(igorWave, [...made, ...real], { repair: withChecksum });
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log("igor", JSON.stringify(outcome));
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
