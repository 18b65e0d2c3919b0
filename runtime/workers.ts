/**
 * Operators in worker threads. `worker` runs one instance in a thread of its own; `workers` runs one in each of
 * several threads where the definition says that rows need not know each other (`key: "row"`). What comes back is
 * handed on in the order of what went out, so a result does not depend on the place.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isList, type Column, type Columns } from "./columns.ts";
import type { StepResult } from "./instance.ts";
import type { Engine, StartEngine } from "./operator-node.ts";
import { threadUrl } from "./thread-url.ts";
import type { NumericArray, Schema } from "./wire/schema.ts";

export interface WorkerStart {
  /** Module that exports `registry`. */
  readonly registry: string;
  readonly operator: string;
  readonly config: unknown;
  readonly inputs: Readonly<Record<string, Schema>>;
  readonly origin: bigint;
}

export interface StepRequest {
  readonly rows: Readonly<Record<string, Columns>>;
  readonly upTo: bigint;
}

export type WorkerReply =
  | { readonly kind: "started"; readonly outputs: Engine["outputs"] }
  | { readonly kind: "stepped"; readonly result: StepResult }
  | { readonly kind: "failed"; readonly message: string; readonly stack: string | undefined };

/** Steps given to a thread before its first answer is back: one under way, one ready for it. */
const IN_FLIGHT = 2;

/** Starts operators in threads, whose definitions stand in the module `registry` (compiled JavaScript). */
export function startInThreads(
  registry: URL,
  threads = Math.max(1, availableParallelism() - 1),
): StartEngine {
  return async (planned, inputs, origin) => {
    const { definition, config, place } = planned;
    const spread = place === "workers" && definition.key === "row" ? threads : 1;
    const start: WorkerStart = { registry: registry.href, operator: definition.name, config, inputs, origin };
    const workers = await Promise.all(
      Array.from({ length: spread }, () => OperatorThread.start(planned.name, start)),
    );
    let next = 0;
    return {
      outputs: workers[0]!.outputs,
      inFlight: IN_FLIGHT * spread,
      step: (rows, upTo) => workers[next++ % spread]!.step({ rows, upTo }),
      save: () => undefined,
      close: () => workers.forEach((worker) => worker.close()),
    };
  };
}

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

  async step({ rows, upTo }: StepRequest): Promise<StepResult> {
    const transfer: ArrayBuffer[] = [];
    const sent = Object.fromEntries(
      Object.entries(rows).map(([port, columns]) => [port, packed(columns, transfer)]),
    );
    if (!this.#lost) this.#worker.postMessage({ rows: sent, upTo } satisfies StepRequest, transfer);
    const reply = await this.#reply();
    return (reply as Extract<WorkerReply, { kind: "stepped" }>).result;
  }

  #lose(why: string): void {
    this.#lost ??= new Error(`${this.#name}: ${why}`);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#lost);
  }

  close(): void {
    void this.#worker.terminate();
  }
}

/** Columns that may move to another thread: shared bytes as they are, others as copies, since a batch has several readers. */
export function packed(columns: Columns, transfer: ArrayBuffer[]): Columns {
  const moved = (array: NumericArray): NumericArray => {
    if (array.buffer instanceof SharedArrayBuffer) return array;
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
