/**
 * Threads beside an operator's own, for kernels that share their work through shared memory: the operator waits for
 * them within its step, so that it stays a synchronous function of its input.
 */
import { Worker } from "node:worker_threads";
import { threadUrl } from "./thread-url.ts";

/**
 * Starts a thread that calls `run(data)` of a module: its place in the build, such as "operators/tomography/tile.js".
 * It holds no process open. What it throws is for `run` to hand on; a thread that fails to start never answers.
 */
export function startSideThread(module: string, data: unknown): { close(): void } {
  const worker = new Worker(threadUrl(import.meta.url, "runtime/side-thread.js"), {
    workerData: { module: threadUrl(import.meta.url, module).href, data },
  });
  worker.unref();
  // It says itself, in shared memory, that it failed: nobody reads events while a step waits.
  worker.on("error", () => undefined);
  return { close: () => void worker.terminate() };
}
