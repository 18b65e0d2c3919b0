import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unzipSync } from "fflate";
import { expect, test } from "vitest";
import { ndaxBytes, zipped } from "../../../bench/ndax-file.ts";
import { SourceError } from "../../../runtime/index.ts";
import { newareNda } from "../../../sources/echem/neware-nda.ts";
import { newareNdax } from "../../../sources/echem/neware-ndax.ts";
import { CASES, mutate, random } from "../afm/make-mutants.ts";
import { madeNda, madeOldNdax, madeRows, ndaBytes, type Layout } from "./make-neware.ts";
import { readGrowing, readWhole } from "./read-all.ts";

const shared = fileURLToPath(new URL("../../../../shared/data/echem/neware/", import.meta.url));
const real = (...names: string[]): Buffer[] => names.map((name) => join(shared, name)).filter(existsSync).map((one) => readFileSync(one)); // prettier-ignore

const limits = { timeout: 60_000 + 200 * CASES };

/** Reads damaged copies; what is thrown must be a SourceError, and nothing may take long or much. */
async function check(name: string, whole: readonly Uint8Array[], damage: (of: Uint8Array, next: () => number) => Uint8Array, read: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  const next = random(7);
  const crashes: string[] = [];
  let [good, refused, longest_ms, most_MB] = [0, 0, 0, 0];
  for (let i = 0; i < CASES; i++) {
    const bytes = damage(whole[i % whole.length]!, next);
    const before = process.cpuUsage();
    try {
      await read(bytes);
      good++;
    } catch (error) {
      if (error instanceof SourceError) refused++;
      else crashes.push(`case ${i}: ${(error as Error).stack ?? String(error)}`);
    }
    const used = process.cpuUsage(before);
    longest_ms = Math.max(longest_ms, (used.user + used.system) / 1000);
    most_MB = Math.max(most_MB, process.memoryUsage.rss() / 2 ** 20);
  }
  if (process.env["OPERANDO_TEST_MUTATIONS"]) console.log(name, JSON.stringify({ good, refused, longest_ms, most_MB }));
  expect(crashes).toEqual([]);
  expect(good + refused).toBe(CASES);
  expect(longest_ms).toBeLessThan(2000);
  expect(most_MB).toBeLessThan(512);
} // prettier-ignore

const rows = madeRows(5).map((row) => ({ ...row, readings: [{ channel: 1, voltage: 1, temperature: 250 }] }));
const ndas = ([8, 22, 26, 29, "9.0", "9.1"] as Layout[]).map((layout) => ndaBytes(madeNda(layout, rows)));

test(`${CASES} damaged .nda`, limits, () =>
  check("nda", [...ndas, ...real("new_nda_file.nda")], mutate, (bytes) => readWhole(newareNda, bytes)),
);

test(`${CASES} damaged .nda, as they grow`, limits, () =>
  check("nda growing", ndas, mutate, (bytes) =>
    readGrowing(newareNda, [0.4, 0.7, 1].map((part) => bytes.subarray(0, Math.floor(bytes.length * part)))),
  )); // prettier-ignore

const voltage_V = Float32Array.from({ length: 700 }, (_, i) => 3 + i / 1000);
const archives = [11, 14, 16, 17].map((version) =>
  ndaxBytes({
    version: version as 11,
    voltage_V,
    current_A: voltage_V,
    information: [1, 2, 100, 101, 300, 600].map((row) => ({ row, step: row < 101 ? 1 : 2, time_ms: (row % 101) * 1000, interval_ms: 1000, unix_ms: 1.7e12 + 1000 * row })),
    steps: [{ cycle: 1, index: 1, status: 1, first: 1 }, { cycle: 1, index: 2, status: 2, first: 101 }],
    temperatures: { "data_AUX_9_3_1.ndc": voltage_V },
    others: { "TestInfo.xml": `<TestInfo StartTime="2026-01-01 00:00:00"><Aux1 AuxID="1" RealChlID="9" ChlType="103"/></TestInfo>` },
  }),
); // prettier-ignore
const all = [...archives, madeOldNdax(2, rows), madeOldNdax(5, rows), ...real("46_1_5_60_bts16.ndax", "scrubbed_ndc2.ndax", "Unit27_Example_Corrupt.ndax")]; // prettier-ignore
const readArchive = (bytes: Uint8Array): Promise<unknown> => readWhole(newareNdax, bytes);

test(`${CASES} damaged .ndax`, limits, () => check("ndax", all, mutate, readArchive));

/** Checksums find most damages of an archive; here its entries are damaged, and it is put together after. */
test(`${CASES} .ndax of damaged entries`, limits, () => {
  const unpacked = new Map(all.map((one) => [one, unzipSync(one)]));
  const damage = (whole: Uint8Array, next: () => number): Uint8Array => {
    const entries = unpacked.get(whole)!;
    const names = Object.keys(entries).filter((name) => !/_(log|es)\.ndc$/.test(name));
    const name = names[Math.floor(next() * names.length)]!;
    const of = entries[name]!;
    // Most of a table is its header's page; damages are to meet the rows, too.
    const at = next() < 0.5 || of.length <= 4096 ? 0 : 4096;
    return zipped({ ...entries, [name]: Buffer.concat([of.subarray(0, at), mutate(of.subarray(at), next)]) }, 0); // prettier-ignore
  };
  return check("ndax entries", all, damage, readArchive);
});
