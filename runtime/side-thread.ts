/** The inside of a side thread: runs what the module exports as `run`, which may block for as long as it likes. */
import { workerData } from "node:worker_threads";

const { module, data } = workerData as { module: string; data: unknown };
const { run } = (await import(module)) as { run(data: unknown): void };
run(data);
