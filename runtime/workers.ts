/**
 * Operators in worker threads. `worker` runs one instance in a thread of its own; `workers` runs several, by the
 * definition's `key`: "row" gives each row to one of them, `{ list }` all rows to each, with its part of that list.
 * What comes back is handed on in the order of what went out, so a result does not depend on the place.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isList, type Column, type Columns } from "./columns.ts";
import type { ListKey } from "./define.ts";
import { outputSchemas, type StepResult } from "./instance.ts";
import type { Engine, StartEngine } from "./operator-node.ts";
import { ShardMerge, shares } from "./shards.ts";
import { SharedCopies } from "./shared-copies.ts";
import { threadUrl } from "./thread-url.ts";
import type { NumericArray, Schema } from "./wire/schema.ts";
import type { PlannedOperator } from "./wiring.ts";

export interface WorkerStart {
  /** Module that exports `registry`. */
  readonly registry: string;
  readonly operator: string;
  readonly config: unknown;
  readonly inputs: Readonly<Record<string, Schema>>;
  readonly origin: bigint;
}

export interface StepRequest {
  readonly kind: "step";
  readonly rows: Readonly<Record<string, Columns>>;
  readonly upTo: bigint;
  /** Shared memory that is lent for this step only: what comes out must not lie in it. */
  readonly lent: readonly SharedArrayBuffer[];
}

export interface ActRequest {
  readonly kind: "act";
  readonly time: bigint;
  readonly changes: Readonly<Record<string, unknown>>;
}

export type WorkerReply =
  | { readonly kind: "started"; readonly outputs: Engine["outputs"] }
  | { readonly kind: "done"; readonly result: StepResult }
  | { readonly kind: "failed"; readonly message: string; readonly stack: string | undefined };

/** Steps given to a thread before its first answer is back: one under way, one ready for it. */
const IN_FLIGHT = 2;

/** Starts operators in threads, whose definitions stand in the module `registry` (compiled JavaScript). */
export function startInThreads(
  registry: URL,
  threads = Math.max(2, availableParallelism() - 1),
): StartEngine {
  return async (planned, inputs, origin) => {
    const { definition, config, place } = planned;
    const key = place === "workers" ? definition.key : undefined;
    const start = (of: PlannedOperator["config"]): Promise<OperatorThread> =>
      OperatorThread.start(planned.name, {
        registry: registry.href, operator: definition.name, config: of, inputs, origin,
      }); // prettier-ignore
    if (typeof key === "object") {
      const parts = shares(config[key.list] as readonly unknown[], threads);
      if (parts.length > 1)
        return shardedEngine(
          await all(parts.map((part) => start({ ...config, [key.list]: part }))),
          outputSchemas(definition, config, inputs),
          { operator: definition.name, key, sizes: parts.map(({ length }) => length) },
        );
    }
    return spreadEngine(await all(Array.from({ length: key === "row" ? threads : 1 }, () => start(config))));
  };
}

/** All threads, or none: where one does not start, the others end. */
async function all(starting: readonly Promise<OperatorThread>[]): Promise<OperatorThread[]> {
  const settled = await Promise.allSettled(starting);
  const failed = settled.find((one) => one.status === "rejected");
  const threads = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (!failed) return threads;
  for (const thread of threads) thread.close();
  throw failed.reason;
}

/** Steps go round; what changes, all are told, before the next step. */
function spreadEngine(workers: readonly OperatorThread[]): Engine {
  let next = 0;
  return {
    outputs: workers[0]!.outputs,
    inFlight: IN_FLIGHT * workers.length,
    step: (rows, upTo) => workers[next++ % workers.length]!.step(rows, upTo),
    act: async (time, changes) => {
      // Each says the same, since none has anything that the others do not.
      const [result] = await Promise.all(workers.map((worker) => worker.act(time, changes)));
      return result!;
    },
    save: () => undefined,
    close: () => workers.forEach((worker) => worker.close()),
  };
}

/** Every step goes to all, over the same memory. */
function shardedEngine(
  workers: readonly OperatorThread[],
  outputs: Engine["outputs"],
  {
    operator,
    key,
    sizes,
  }: { readonly operator: string; readonly key: ListKey; readonly sizes: readonly number[] },
): Engine {
  const close = (): void => workers.forEach((worker) => worker.close());
  const whole = fieldsOf(outputs);
  if (workers.some((worker) => fieldsOf(worker.outputs) !== whole)) {
    close();
    throw new TypeError(
      `${operator}: what it gives out depends on ${key.list}, by which its work is dealt out; set place: worker`,
    );
  }
  const merge = new ShardMerge(sizes, outputs);
  const copies = new SharedCopies();
  return {
    outputs,
    inFlight: IN_FLIGHT,
    async step(rows, upTo) {
      const { columns, lent, giveBack } = copies.of(rows);
      const results = await Promise.all(workers.map((worker) => worker.step(columns, upTo, lent)));
      giveBack();
      return merge.take(results);
    },
    act: async (time, changes) =>
      merge.take(await Promise.all(workers.map((worker) => worker.act(time, changes)))),
    save: () => undefined,
    close,
  };
}

const fieldsOf = (outputs: Engine["outputs"]): string =>
  JSON.stringify(Object.entries(outputs).map(([port, { fields }]) => [port, fields]));

class OperatorThread {
  readonly #name: string;
  readonly #worker: Worker;
  readonly #waiting: { resolve: (reply: WorkerReply) => void; reject: (error: Error) => void }[] = [];
  #lost: Error | undefined;
  outputs: Engine["outputs"] = {};

  constructor(name: string, worker: Worker) {
    this.#name = name;
    this.#worker = worker;
    worker.on("message", (reply: WorkerReply) => this.#waiting.shift()?.resolve(reply));
    worker.on("error", (error) => this.#lose(`its thread was lost: ${error.message}`));
    worker.on("exit", () => this.#lose("its thread ended"));
  }

  static async start(name: string, start: WorkerStart): Promise<OperatorThread> {
    const thread = new OperatorThread(
      name,
      new Worker(threadUrl(import.meta.url, "runtime/worker-thread.js"), { workerData: start }),
    );
    const reply = await thread.#reply();
    if (reply.kind === "started") thread.outputs = reply.outputs;
    return thread;
  }

  async #reply(): Promise<WorkerReply> {
    if (this.#lost) throw this.#lost;
    const reply = await new Promise<WorkerReply>((resolve, reject) =>
      this.#waiting.push({ resolve, reject }),
    );
    if (reply.kind === "failed") throw Object.assign(new Error(reply.message), { stack: reply.stack });
    return reply;
  }

  step(
    rows: Readonly<Record<string, Columns>>,
    upTo: bigint,
    lent: readonly SharedArrayBuffer[] = [],
  ): Promise<StepResult> {
    const transfer: ArrayBuffer[] = [];
    const sent = Object.fromEntries(
      Object.entries(rows).map(([port, columns]) => [port, packed(columns, transfer)]),
    );
    return this.#ask({ kind: "step", rows: sent, upTo, lent }, transfer);
  }

  act(time: bigint, changes: ActRequest["changes"]): Promise<StepResult> {
    return this.#ask({ kind: "act", time, changes });
  }

  async #ask(request: StepRequest | ActRequest, transfer: ArrayBuffer[] = []): Promise<StepResult> {
    if (!this.#lost) this.#worker.postMessage(request, transfer);
    const reply = await this.#reply();
    return (reply as Extract<WorkerReply, { kind: "done" }>).result;
  }

  #lose(why: string): void {
    this.#lost ??= new Error(`${this.#name}: ${why}`);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#lost);
  }

  close(): void {
    void this.#worker.terminate();
  }
}

/**
 * Columns that may move to another thread: shared bytes as they are, others as copies, since a batch has several
 * readers. Shared bytes that are only lent are copied too.
 */
export function packed(
  columns: Columns,
  transfer: ArrayBuffer[],
  lent: readonly SharedArrayBuffer[] = [],
): Columns {
  const moved = (array: NumericArray): NumericArray => {
    if (array.buffer instanceof SharedArrayBuffer && !lent.includes(array.buffer)) return array;
    const copy = array.slice();
    transfer.push(copy.buffer as ArrayBuffer);
    return copy;
  };
  const out: Record<string, Column> = {};
  for (const name in columns) {
    const column = columns[name]!;
    if (Array.isArray(column)) out[name] = column;
    else if (isList(column)) {
      const first = column.offsets[0] ?? 0;
      out[name] = {
        values: moved(column.values.subarray(first, column.offsets.at(-1)) as NumericArray),
        offsets: first === 0 ? column.offsets.slice() : column.offsets.map((at) => at - first),
      };
    } else out[name] = moved(column as NumericArray);
  }
  return out as Columns;
}
