/**
 * One operator as several instances, each with its part of a list: how the list is dealt out, and how what they give
 * is put together again, so that it is what one instance would have given.
 */
import { END_OF_TIME } from "./batch.ts";
import { concat, slice, type Columns } from "./columns.ts";
import type { Fault } from "./define.ts";
import type { StepResult } from "./instance.ts";
import { firstAtOrAfter } from "./stream.ts";
import type { Schema } from "./wire/schema.ts";

/** Contiguous parts, as even as can be: at most `most`, at least one, none empty unless the list is. */
export function shares<T>(list: readonly T[], most: number): (readonly T[])[] {
  const n = Math.max(1, Math.min(most, list.length));
  return Array.from({ length: n }, (_, i) =>
    list.slice(Math.floor((i * list.length) / n), Math.floor(((i + 1) * list.length) / n)),
  );
}

/** Rows of which some may be taken already. */
interface Part {
  readonly columns: Columns;
  from: number;
}

/**
 * What all shards give, as one instance would have given it: in order of time, at one time what an earlier step gave
 * first, and of one step the list's order. Where every shard gave several rows an entry at one time (as many rows came
 * in at that time), each round of the whole list comes after the one before. A row waits until every shard has
 * promised nothing before it, since one may still hold an earlier row back.
 */
export class ShardMerge {
  /** How many entries of the list each shard has. */
  readonly #sizes: readonly number[];
  readonly #outputs: Readonly<Record<string, Schema>>;
  /** By port: what steps gave that waits, oldest first. */
  readonly #waiting: Readonly<Record<string, Part[]>>;

  constructor(sizes: readonly number[], outputs: Readonly<Record<string, Schema>>) {
    this.#sizes = sizes;
    this.#outputs = outputs;
    this.#waiting = Object.fromEntries(Object.keys(outputs).map((port) => [port, []]));
  }

  /** Takes what each shard gave for the same step, in the shards' order. */
  take(results: readonly StepResult[]): StepResult {
    const leastOf = (promised: (result: StepResult) => bigint): bigint =>
      results.map(promised).reduce((least, time) => (time < least ? time : least), END_OF_TIME);
    const rows: Record<string, Columns> = {};
    const watermarks: Record<string, bigint> = {};
    for (const [port, waiting] of Object.entries(this.#waiting)) {
      const schema = this.#outputs[port]!;
      const step = ofOneStep(results.map((result) => result.rows[port]), this.#sizes, schema); // prettier-ignore
      if (step) waiting.push({ columns: step, from: 0 });
      watermarks[port] = leastOf((result) => result.watermarks?.[port] ?? result.watermark);
      const ready = before(watermarks[port], waiting, schema);
      if (ready) rows[port] = ready;
    }
    return {
      rows,
      faults: mergedFaults(results.map(({ faults }) => faults)),
      watermark: leastOf(({ watermark }) => watermark),
      watermarks,
    };
  }
}

/** Rows that shards gave in one step. */
function ofOneStep(
  shards: readonly (Columns | undefined)[],
  sizes: readonly number[],
  { fields }: Schema,
): Columns | undefined {
  const given = shards.flatMap((columns, shard) =>
    columns ? [{ columns, size: sizes[shard]!, from: 0 }] : [],
  );
  if (given.length < 2) return given[0]?.columns;
  const parts: Columns[] = [];
  for (;;) {
    const left = given.filter(({ columns, from }) => from < columns.time.length);
    if (left.length === 0) return concat(parts, fields);
    const time = left.reduce<bigint>(
      (least, part) => (head(part) < least ? head(part) : least),
      head(left[0]!),
    );
    const here = left
      .filter((part) => head(part) === time)
      .map((part) => ({ part, to: firstAtOrAfter(part.columns.time, time + 1n) }));
    const rounds = here.map(({ part, to }) => (to - part.from) / part.size);
    const even = here.length === shards.length && rounds.every((n) => n === rounds[0] && Number.isInteger(n));
    for (let round = even ? rounds[0]! : 1; round > 0; round--) {
      for (const { part, to } of here) {
        const until = even ? part.from + part.size : to;
        parts.push(slice(part.columns, fields, part.from, until));
        part.from = until;
      }
    }
  }
}

/** Takes the rows before `upTo` out of what waits: by time, at one time by step. */
function before(upTo: bigint, waiting: Part[], { fields }: Schema): Columns | undefined {
  const parts: Columns[] = [];
  for (;;) {
    let next = -1;
    waiting.forEach((part, step) => {
      if (head(part) < upTo && (next < 0 || head(part) < head(waiting[next]!))) next = step;
    });
    if (next < 0) return parts.length > 0 ? concat(parts, fields) : undefined;
    // It goes on as far as no other step's rows come between.
    let until = upTo;
    waiting.forEach((part, step) => {
      const bound = head(part) + (step < next ? 0n : 1n);
      if (step !== next && bound < until) until = bound;
    });
    const { columns, from } = waiting[next]!;
    const to = firstAtOrAfter(columns.time, until);
    parts.push(slice(columns, fields, from, to));
    if (to === columns.time.length) waiting.splice(next, 1);
    else waiting[next]!.from = to;
  }
}

const head = ({ columns, from }: Part): bigint => columns.time[from]!;

/** What all shards report alike comes once: what is wrong with a row itself each finds, with an entry of the list one. */
function mergedFaults(reported: readonly (readonly Fault[])[]): readonly Fault[] {
  if (reported.every((faults) => faults.length === 0)) return [];
  const counts = reported.map((faults) => {
    const count = new Map<string, number>();
    for (const fault of faults) count.set(keyOf(fault), (count.get(keyOf(fault)) ?? 0) + 1);
    return count;
  });
  return reported.flatMap((faults, shard) => {
    if (shard === 0) return faults;
    const said = new Map<string, number>();
    return faults.filter((fault) => {
      const key = keyOf(fault);
      const n = (said.get(key) ?? 0) + 1;
      said.set(key, n);
      return counts.some((count) => n > (count.get(key) ?? 0));
    });
  });
}

const keyOf = ({ time, what, count = 1 }: Fault): string => `${time} ${count} ${what}`;

/** Faults of one step by time, then by what they say: so that their order does not tell how the work was dealt out. */
export const inOrder = (faults: readonly Fault[]): readonly Fault[] =>
  faults.toSorted((a, b) =>
    a.time !== b.time ? (a.time < b.time ? -1 : 1) : a.what < b.what ? -1 : a.what > b.what ? 1 : 0,
  );
