/** What an export takes from a run: rows of one stream that have the same columns, between two times. */
import {
  convert,
  parseQuantity,
  parseTime,
  unknownName,
  type Columns,
  type Schema,
} from "../runtime/index.ts";
import type { RecordedRun } from "../runtime/journal/index.ts";
import { CommandError, FAILED, MISTAKE } from "./command-error.ts";

/** What one file holds, or one set of stacks. */
export interface Part {
  readonly stream: string;
  /** Name of its file, without the ending. */
  readonly name: string;
  readonly schema: Schema;
  readonly epochs: readonly number[];
  /** As the journal's index counts them. */
  readonly rows: number;
}

/** From the first of these times up to, and without, the second. */
export interface Between {
  readonly fromTime?: bigint;
  readonly toTime?: bigint;
}

export function partsOf(run: RecordedRun, wanted: string | undefined): Part[] {
  const names = run.streams.map(({ stream }) => stream);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new CommandError(`--stream: ${unknownName(wanted, names)}`, MISTAKE);
  }
  return run.streams
    .filter(({ stream }) => wanted === undefined || stream === wanted)
    .flatMap(({ stream, epochs }) => {
      const parts: (Part & { epochs: number[]; rows: number })[] = [];
      for (const { epoch, schema, rows } of epochs) {
        const before = parts.at(-1);
        if (before && JSON.stringify(before.schema.fields) === JSON.stringify(schema.fields)) {
          before.epochs.push(epoch);
          before.rows += rows;
        } else parts.push({ stream, name: stream, schema, epochs: [epoch], rows });
      }
      return parts.map((part) =>
        parts.length > 1 ? { ...part, name: `${stream}-epoch${part.epochs[0]}` } : part,
      );
    });
}

/** Rows of a batch, with the place of the first in the journal. */
export interface Stretch {
  readonly epoch: number;
  readonly row: number;
  readonly columns: Columns;
}

/** The part's rows in order; of the whole part, as many as the index counts. */
export async function* readPart(run: RecordedRun, part: Part, between: Between): AsyncGenerator<Stretch> {
  let rows = 0;
  for (const epoch of part.epochs) {
    for await (const { row, columns } of run.read(part.stream, { epoch, ...between })) {
      rows += columns.time.length;
      if (columns.time.length > 0) yield { epoch, row, columns };
    }
  }
  const whole = between.fromTime === undefined && between.toTime === undefined;
  if (whole && rows !== part.rows) {
    throw new CommandError(
      `${part.name}: ${rows} rows could be read, but the journal's index counts ${part.rows}; the export is not whole`,
      FAILED,
    );
  }
}

/** Times as people give them: of the clock with its zone, or since the run began, as "90 s" or "2 h". */
export function readBetween(
  { from, to }: { readonly from?: string; readonly to?: string },
  origin: bigint,
): Between {
  const [fromTime, toTime] = [readTime("--from", from, origin), readTime("--to", to, origin)];
  if (fromTime !== undefined && toTime !== undefined && fromTime >= toTime) {
    throw new CommandError(`--from ${from} is not before --to ${to}`, MISTAKE);
  }
  return { ...(fromTime !== undefined && { fromTime }), ...(toTime !== undefined && { toTime }) };
}

function readTime(option: string, text: string | undefined, origin: bigint): bigint | undefined {
  if (text === undefined) return undefined;
  try {
    if (/^\d{4}-/.test(text.trim())) return parseTime(text);
    return origin + BigInt(Math.round(convert(parseQuantity(text, "s"), "s", "ns")));
  } catch (error) {
    throw new CommandError(
      `${option}: ${(error as Error).message}; or say how long after the run's start, as "90 s" or "2 h"`,
      MISTAKE,
      { cause: error },
    );
  }
}
