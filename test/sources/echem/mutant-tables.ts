/** Damaged copies of a cycler's files, seeded, read through whole. */
import { SourceError } from "../../../runtime/index.ts";
import type { EchemFormat, Opening } from "../../../sources/echem/echem-file.ts";
import { CASES, mutate, random } from "../afm/make-mutants.ts";
import { readWhole } from "./read-all.ts";

export interface MutantsRead {
  readonly read: number;
  readonly refused: number;
  /** What was thrown that is no SourceError. */
  readonly crashes: readonly string[];
  readonly longest_ms: number;
  readonly most_MB: number;
}

/** Reads damaged copies of these files from their first row to their last. */
export async function readMutantTables(
  format: EchemFormat,
  whole: readonly Uint8Array[],
  { cases = CASES, seed = 1, columns = {} }: { cases?: number; seed?: number } & Partial<Opening> = {},
): Promise<MutantsRead> {
  const next = random(seed);
  const crashes: string[] = [];
  let [read, refused, longest_ms, most_MB] = [0, 0, 0, 0];
  for (let i = 0; i < cases; i++) {
    const mutant = new Uint8Array(mutate(whole[i % whole.length]!, next));
    const before = process.cpuUsage();
    try {
      await readWhole(format, mutant, { columns });
      read++;
    } catch (error) {
      if (error instanceof SourceError) refused++;
      else crashes.push(`case ${i} of seed ${seed}: ${(error as Error).stack ?? String(error)}`);
    }
    const used = process.cpuUsage(before);
    longest_ms = Math.max(longest_ms, (used.user + used.system) / 1000);
    most_MB = Math.max(most_MB, process.memoryUsage.rss() / 2 ** 20);
  }
  return { read, refused, crashes, longest_ms, most_MB };
}
