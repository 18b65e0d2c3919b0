import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SourceError } from "../../runtime/index.ts";
import { Settled } from "../file-list.ts";
import { frameFormat, PAGES, seriesFiles, type Run } from "./frame-series.ts";
import type { Growth, ScanOptions } from "./scan.ts";
import { tiffPages, type FrameShape } from "../tiff.ts";

/** TIFF files of a folder or pattern that have come and are complete, in natural order. */
export interface Arrivals {
  readonly runs: readonly Run[];
  /** Of the first of them. */
  readonly shape: FrameShape;
  readonly faults: NonNullable<Growth["faults"]>;
}

/**
 * Looks for new TIFF files until it is told to stop, or nothing has come for `endsAfter_s`. A file is taken when it kept
 * its size and date from one look to the next and its directory is whole; until then it is left to whoever writes it.
 * What never became whole is a fault at the end. It remembers the names of the files that it took.
 */
export async function* arrivals(
  path: string,
  folder: string,
  { every_s, endsAfter_s }: NonNullable<ScanOptions["follow"]>,
  signal: AbortSignal,
): AsyncGenerator<Arrivals> {
  const settled = new Settled([]);
  const broken = new Map<string, string>();
  let shape: FrameShape | undefined;
  let names = await seriesFiles(path, folder);
  for (let waited_s = 0; ;) {
    const paths = await settled.among(names);
    const runs: Run[] = [];
    const failed: string[] = [];
    for (const file of paths) {
      if (signal.aborted) return;
      try {
        if ((await frameFormat(file)) !== "tiff") continue; // a log, a thumbnail, …
        const { count: frames, first } = await tiffPages(file);
        shape ??= first;
        const { mtimeNs: written_ns } = await stat(file, { bigint: true });
        runs.push({ file, dataset: PAGES, frames, type: shape.type, chunk: 1, written_ns });
        broken.delete(file);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        broken.set(file, error.message);
        failed.push(file);
      }
    }
    settled.again(failed);
    if (runs.length > 0) {
      waited_s = 0;
      yield { runs, shape: shape!, faults: [] };
    }
    if (waited_s >= endsAfter_s) break;
    await sleep(every_s * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    waited_s += every_s;
    // A folder on a share that is away for a while is no reason to end.
    names = await seriesFiles(path, folder).catch(() => []);
  }
  const faults = [...broken.values()].map((what) => ({ what, unread: true }));
  if (shape) yield { runs: [], shape, faults };
  else {
    throw new SourceError(
      `${path}: no TIFF image came within ${endsAfter_s} s${broken.size > 0 ? `; of ${broken.size} that cannot be read the first says: ${faults[0]!.what}` : ""}`,
    );
  }
}
