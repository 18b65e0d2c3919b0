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

/** A stretch of rows of one shard. */
interface Run {
  readonly columns: Columns;
  from: number;
}

/**
 * Rows of all shards in order of time, then of the shards. A row waits until every shard has promised nothing before
 * it, since one may still hold an earlier row back.
 */
export class ShardMerge {
  readonly #outputs: Readonly<Record<string, Schema>>;
  /** By port and shard: rows that wait, oldest first. */
  readonly #waiting: Readonly<Record<string, Run[][]>>;

  constructor(shards: number, outputs: Readonly<Record<string, Schema>>) {
    this.#outputs = outputs;
    this.#waiting = Object.fromEntries(
      Object.keys(outputs).map((port) => [port, Array.from({ length: shards }, () => [])]),
    );
  }

  /** Takes what each shard gave for the same step, in the shards' order. */
  take(results: readonly StepResult[]): StepResult {
    const watermark = results.reduce<bigint>(
      (least, r) => (r.watermark < least ? r.watermark : least),
      END_OF_TIME,
    );
    const rows: Record<string, Columns> = {};
    for (const [port, waiting] of Object.entries(this.#waiting)) {
      results.forEach((result, shard) => {
        const columns = result.rows[port];
        if (columns) waiting[shard]!.push({ columns, from: 0 });
      });
      const ready = merged(waiting, watermark, this.#outputs[port]!);
      if (ready) rows[port] = ready;
    }
    return { rows, faults: mergedFaults(results.map(({ faults }) => faults)), watermark };
  }
}

/** Takes the rows before `upTo`. */
function merged(waiting: readonly Run[][], upTo: bigint, { fields }: Schema): Columns | undefined {
  const parts: Columns[] = [];
  for (;;) {
    let next = -1;
    waiting.forEach((runs, shard) => {
      if (runs.length > 0 && head(runs) < upTo && (next < 0 || head(runs) < head(waiting[next]!)))
        next = shard;
    });
    if (next < 0) break;
    // It goes on as far as no other shard's rows come between; at one time the shards come in their order.
    let until = upTo;
    waiting.forEach((runs, shard) => {
      if (shard === next || runs.length === 0) return;
      const bound = head(runs) + (shard < next ? 0n : 1n);
      if (bound < until) until = bound;
    });
    const runs = waiting[next]!;
    const { columns, from } = runs[0]!;
    const to = firstAtOrAfter(columns.time, until);
    parts.push(slice(columns, fields, from, to));
    if (to === columns.time.length) runs.shift();
    else runs[0]!.from = to;
  }
  return parts.length > 0 ? concat(parts, fields) : undefined;
}

const head = (runs: readonly Run[]): bigint => runs[0]!.columns.time[runs[0]!.from]!;

/**
 * What all shards report comes once, and keeps its place among what each of them reports alone. (What is wrong with
 * a row itself, every shard finds; what is wrong with an entry of the list, one.)
 */
function mergedFaults(reported: readonly (readonly Fault[])[]): readonly Fault[] {
  if (reported.length === 1 || reported.every((faults) => faults.length === 0)) return reported[0]!;
  const left = reported.map((faults) => faults.map((fault) => ({ fault, key: keyOf(fault) })));
  // How many of each kind every shard has.
  const counts = left.map((faults) => {
    const count = new Map<string, number>();
    for (const { key } of faults) count.set(key, (count.get(key) ?? 0) + 1);
    return count;
  });
  const shared = new Map<string, number>();
  for (const key of counts[0]!.keys()) {
    const n = Math.min(...counts.map((count) => count.get(key) ?? 0));
    if (n > 0) shared.set(key, n);
  }
  const all: Fault[] = [];
  for (;;) {
    const heads = left.flatMap((faults) => faults[0] ?? []);
    if (heads.length === 0) return all;
    const alone = heads.filter(({ key }) => !shared.has(key));
    const next = (alone.length > 0 ? alone : heads).reduce((a, b) => (b.fault.time < a.fault.time ? b : a));
    all.push(next.fault);
    if (alone.length > 0) {
      left.find(([first]) => first === next)!.shift();
      continue;
    }
    for (const faults of left)
      faults.splice(
        faults.findIndex(({ key }) => key === next.key),
        1,
      );
    const n = shared.get(next.key)! - 1;
    if (n > 0) shared.set(next.key, n);
    else shared.delete(next.key);
  }
}

const keyOf = ({ time, what, count = 1 }: Fault): string => `${time} ${count} ${what}`;
