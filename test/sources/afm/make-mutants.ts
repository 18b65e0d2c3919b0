/** Damaged copies of files, seeded, and a reader that goes through everything a decoder gives out. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SourceError } from "../../../runtime/index.ts";
import type { Format } from "../../../sources/afm/afm-file.ts";

/** Cases a format: few always, many where the environment asks for them. */
export const CASES = Number(process.env["OPERANDO_TEST_MUTATIONS"] ?? 200);

/** Numbers from 0 to below 1 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const EXTREMES = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 16, 2 ** 24, 2 ** 30, 255, 65535];

/** One to four damages; most of them near the begin, where the headers are. */
export function mutate(whole: Uint8Array, next: () => number): Buffer {
  let bytes = Buffer.from(whole);
  const below = (n: number): number => Math.floor(next() * n);
  const place = (): number => {
    const among = next() < 0.7 ? Math.min(bytes.length, 1 << (4 + below(13))) : bytes.length;
    return below(Math.max(1, among));
  };
  for (let left = 1 + below(4); left > 0 && bytes.length > 8; left--) {
    const at = place();
    const length = Math.min(bytes.length - at, 1 + below(64));
    switch (below(7)) {
      case 0: bytes[at]! ^= 1 << below(8); break;
      case 1: bytes = bytes.subarray(0, at); break;
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length }, () => below(256))), bytes.subarray(at)]); break;
      case 3: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]); break;
      case 4: if (at + 4 <= bytes.length) { const value = EXTREMES[below(EXTREMES.length)]!; bytes[next() < 0.5 ? "writeInt32LE" : "writeInt32BE"](value | 0, at); } break;
      case 5: bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at, at + length), bytes.subarray(at + length)]); break;
      default: { // a number of a text header becomes another
        let digit = at;
        while (digit < bytes.length && !(bytes[digit]! >= 48 && bytes[digit]! <= 57)) digit++;
        const text = ["0", "-1", "9999999999", "1e308", "NaN", "", "7", "65536"][below(8)]!;
        bytes = Buffer.concat([bytes.subarray(0, digit), Buffer.from(text), bytes.subarray(digit + 1)]);
      }
    } // prettier-ignore
  }
  return bytes;
}

export interface Outcome {
  readonly read: number;
  readonly refused: number;
  /** What was thrown that is no SourceError. */
  readonly crashes: readonly string[];
  readonly longest_ms: number;
  readonly most_MB: number;
}

/** Reads all that `cases` damaged copies have. */
export async function readMutants(
  format: Format,
  whole: readonly Uint8Array[],
  { cases = CASES, seed = 1, repair = (bytes: Buffer): Buffer => bytes } = {},
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "operando-mutants-"));
  const path = join(folder, "mutant");
  const next = random(seed);
  const crashes: string[] = [];
  let [read, refused, longest_ms, most_MB] = [0, 0, 0, 0];
  try {
    for (let i = 0; i < cases; i++) {
      const mutant = mutate(whole[i % whole.length]!, next);
      writeFileSync(path, next() < 0.5 ? repair(mutant) : mutant);
      const before = process.cpuUsage();
      try {
        await readAll(format, path);
        read++;
      } catch (error) {
        if (error instanceof SourceError) refused++;
        else crashes.push(`case ${i} of seed ${seed}: ${(error as Error).stack ?? String(error)}`);
      }
      const used = process.cpuUsage(before);
      longest_ms = Math.max(longest_ms, (used.user + used.system) / 1000);
      most_MB = Math.max(most_MB, process.memoryUsage.rss() / 2 ** 20);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return { read, refused, crashes, longest_ms, most_MB };
}

const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
const OWN = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };

async function readAll(format: Format, path: string): Promise<void> {
  const file = await format.open(path, zoned);
  let refusal: unknown;
  const trying = async (read: () => Promise<unknown>): Promise<void> => {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      refusal ??= error;
    }
  };
  try {
    const { curves, images } = file;
    if (curves) {
      if (curves.grid && !(curves.grid.columns * curves.grid.rows <= 1 << 26)) throw new Error(`a grid of ${curves.grid.columns} × ${curves.grid.rows}`); // prettier-ignore
      for (const number of curves.numbers)
        await trying(async () => {
          const curve = await curves.read(number, OWN);
          const { length } = curve.height_m;
          if (curve.force_N.length !== length || curve.segment.length !== length) throw new Error("columns of unequal length"); // prettier-ignore
          await curves.timeOf(number);
        });
    }
    if (images)
      for (let frame = 0; frame < images.frames; frame++) {
        await trying(() => images.frame(frame));
        for (const [i, { rows, columns }] of images.channels.entries())
          await trying(async () => {
            const data = await images.read(i, frame);
            if (data.length !== rows * columns) throw new Error("an image of another size than said");
          });
      }
  } finally {
    await file.close();
  }
  if (refusal) throw refusal;
}
