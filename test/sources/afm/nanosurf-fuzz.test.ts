import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { nanosurfNid } from "../../../sources/afm/nanosurf.ts";
import { CASES, readMutants } from "./make-mutants.ts";
import { LEVER, nid, SCAN, type MadeBlock } from "./make-nid.ts";

const lines = Array.from({ length: 6 }, (_, y) => Array.from({ length: 8 }, (_, x) => 100 * y - 10 * x));
const block = (channel: string, unit: string, more: Partial<MadeBlock> = {}): MadeBlock => ({ channel, unit, lines, ...more }); // prettier-ignore
const map = { ...LEVER, ...SCAN, "DataSet\\SpecInfos\\SpecMapTable": { Map0: "0;2e-6;1e-6;2e-6;3;2;0;1" }, "DataSet\\Parameters\\Spectroscopy": { FwModTime: "D[1]*[s]", BwModTime: "D[1]*[s]" } }; // prettier-ignore
const made = [
  nid({ groups: [["Scan forward", [block("Z-Axis", "m"), undefined, block("Phase", "°", { bits: 32 })]], ["Scan backward", [block("Z-Axis", "m", { signed: false, lines: lines.map((line) => line.map(Math.abs)) })]]], sections: SCAN }),
  nid({ groups: [["Spec forward", [block("Deflection", "N", { ragged: true }), block("Z-Axis", "m", { ragged: true })]], ["Spec backward", [block("Deflection", "N"), block("Z-Axis", "m")]]], sections: map }),
]; // prettier-ignore
const shared = fileURLToPath(new URL("../../../../shared/data/afm/nid/", import.meta.url));
const real = ["NanoSurf_20160301.nid", "image.nid"].map((name) => `${shared}${name}`).filter(existsSync).map((path) => readFileSync(path)); // prettier-ignore

test(
  `${CASES} damaged .nid files are read or refused with a reason`,
  { timeout: 60_000 + 100 * CASES },
  async () => {
    const outcome = await readMutants(nanosurfNid, [...made, ...real]);
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log("nid", JSON.stringify(outcome));
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
