import {
  SourceError, type Columns, type Fault, type Numeric, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import type { FrameClock } from "./frame-clock.ts";
import { readFrames } from "./frame-files.ts";
import type { Growth, Part, Scan } from "./scan.ts";

const ITEM_BYTES = 4 << 20;
const ITEM_FRAMES = 32;
const TRIES = 5;

export interface RowsOptions {
  readonly port: string;
  /** Type that the stream's frames have. */
  readonly type: Numeric;
  /** What stands beside time and image, for frames from … to of a part. */
  readonly columnsOf: (part: Part, from: number, to: number) => Omit<Columns, "time">;
  /** Frames that are not are left out without a word. */
  readonly wanted?: (part: Part, i: number) => boolean;
  readonly signal: AbortSignal;
}

/**
 * The frames of a scan, piece by piece, and what comes while it is followed. What cannot be read is a fault, and the
 * rest goes on. Frames in the type they lie in are given out with where they lie, so that they may be recorded so.
 */
export async function* rowsOf(
  scan: Scan,
  clock: FrameClock,
  options: RowsOptions,
): AsyncGenerator<SourceItem> {
  const { port, type, columnsOf, wanted = () => true, signal } = options;
  for await (const { part, faults } of growthOf(scan)) {
    if (signal.aborted) return;
    if (faults) yield { faults: faults.map((fault): Fault => ({ ...fault, time: clock.last })) };
    if (part) yield* rowsOfPart(part, clock.timesOf(part));
  }

  async function* rowsOfPart(part: Part, time: BigInt64Array): AsyncGenerator<SourceItem> {
    for (const [from, to] of pieces(part, scan.rows * scan.cols, (i) => wanted(part, i))) {
      if (signal.aborted) return;
      try {
        yield await patiently(() => item(from, to));
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        // Somewhere in this piece is a broken frame: what can be read around it is read.
        for (let i = from; i < to; i++) {
          yield await item(i, i + 1).catch((cause: SourceError) => ({
            faults: [{ time: time[i]!, what: cause.message, unread: true }],
          }));
        }
      }
    }

    /** What is being written may not be readable at this moment. */
    async function patiently(read: () => Promise<SourceItem>): Promise<SourceItem> {
      for (let tries = 1; ; tries++) {
        try {
          return await read();
        } catch (error) {
          if (!(error instanceof SourceError) || tries === TRIES || !(await scan.again?.())) throw error;
        }
      }
    }

    async function item(from: number, to: number): Promise<SourceItem> {
      const { file, dataset } = part;
      const first = part.first + from;
      const { rows, cols } = scan;
      const stored = await readFrames({ file, dataset, first }, to - from, { rows, cols, type: part.type });
      const columns = {
        time: time.slice(from, to),
        data: part.type === type ? stored : Float32Array.from(stored),
        ...columnsOf(part, from, to),
      };
      return {
        rows: { [port]: columns },
        // Frames that were converted are not what lies in the file: they are recorded whole.
        ...(part.type === type && { references: { [port]: { column: "data", file, dataset, first } } }),
      };
    }
  }
}

async function* growthOf({ parts, growth }: Scan): AsyncGenerator<Growth> {
  for (const part of parts) yield { part };
  if (growth) yield* growth;
}

/** Type that all frames of the stream come in: the one they are stored in, or single precision where they differ. */
export function commonType(parts: readonly Part[]): Numeric {
  const types = new Set(parts.map(({ type }) => type));
  return types.size === 1 ? [...types][0]! : "f32";
}

/** Frames from … to that are read at once: few enough for memory, whole chunks, of one kind where only some are wanted. */
function* pieces(
  part: Part,
  pixels: number,
  wanted: (i: number) => boolean,
): Generator<[from: number, to: number]> {
  let size = Math.max(1, Math.min(ITEM_FRAMES, Math.floor(ITEM_BYTES / (4 * pixels))));
  if (size > part.chunk) size -= size % part.chunk;
  for (let from = 0; from < part.frames;) {
    if (!wanted(from)) {
      from++;
      continue;
    }
    let to = from;
    // Pieces end where chunks do, so that no chunk is unpacked twice.
    const end = Math.min(part.frames, from + size - (from % size));
    while (to < end && wanted(to)) to++;
    yield [from, to];
    from = to;
  }
}
