import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { gwyddion } from "../../../sources/afm/gwyddion.ts";
import { gwy, gwyField, gwyObject } from "./make-gwy.ts";
import { CASES, readMutants } from "./make-mutants.ts";

const field = (unit: string): Buffer => gwyField({ columns: 8, rows: 6, values: Array.from({ length: 48 }, (_, i) => i), unit }); // prettier-ignore
const made = gwy([
  ["/0/data", { o: field("m") }],
  ["/0/data/title", { s: "Height" }],
  ["/0/data/visible", { b: true }],
  ["/0/meta", { o: gwyObject("GwyContainer", [["Date", { s: "2021-10-11" }], ["Time", { s: "15:52:01" }]]) }],
  ["/3/data", { o: field("deg") }],
  ["/3/data/title", { s: "Phase" }],
  ["/3/data/log", { o: gwyObject("GwyStringList", [["strings", { S: ["one", "two", "three"] }]]) }],
  ["/3/numbers", { D: [1, 2, 3] }],
]); // prettier-ignore
const shared = fileURLToPath(new URL("../../../../shared/data/afm/gwy/test.gwy", import.meta.url));
const real = existsSync(shared) ? [readFileSync(shared)] : [];

test(
  `${CASES} damaged .gwy files are read or refused with a reason`,
  { timeout: 60_000 + 100 * CASES },
  async () => {
    const outcome = await readMutants(gwyddion, [made, ...real]);
    if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log("gwy", JSON.stringify(outcome));
    expect(outcome.crashes).toEqual([]);
    expect(outcome.read + outcome.refused).toBe(CASES);
    expect(outcome.longest_ms).toBeLessThan(2000);
    expect(outcome.most_MB).toBeLessThan(512);
  },
);
