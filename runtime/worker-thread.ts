/** The inside of an operator's thread: starts the instance, steps as it is asked, answers in order. */
import { parentPort, workerData } from "node:worker_threads";
import type { Columns } from "./columns.ts";
import type { Registry } from "./define.ts";
import { startOperator } from "./instance.ts";
import { packed, type ActRequest, type StepRequest, type WorkerReply, type WorkerStart } from "./workers.ts";

const { registry: url, operator, config, inputs, origin } = workerData as WorkerStart;

function reply(message: WorkerReply, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

function failed(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  reply({ kind: "failed", message, stack });
}

try {
  const { registry } = (await import(url)) as { registry: Registry };
  const definition = registry.operators.find(({ name }) => name === operator);
  if (!definition) throw new Error(`${operator} is not in the registry ${url}`);
  const running = startOperator(definition, config, inputs, origin);
  parentPort!.on("message", (request: StepRequest | ActRequest) => {
    try {
      const result =
        request.kind === "step"
          ? running.step(request.rows, request.upTo)
          : running.act(request.time, request.changes);
      const lent = request.kind === "step" ? request.lent : [];
      const transfer: ArrayBuffer[] = [];
      const moved = Object.fromEntries(
        Object.entries(result.rows).map(([port, columns]): [string, Columns] => [
          port,
          packed(columns, transfer, lent),
        ]),
      );
      reply({ kind: "done", result: { ...result, rows: moved } }, transfer);
    } catch (error) {
      failed(error);
    }
  });
  reply({ kind: "started", outputs: running.outputs });
} catch (error) {
  failed(error);
}
