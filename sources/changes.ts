/**
 * Waits for something to change in a folder: told by the system at once where it can (local disks), else found out by
 * looking again (network shares tell nothing).
 */
import { watch, type FSWatcher } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** A file that is written a thousand times a second is looked at fifty times a second. */
const LEAST_ms = 20;

export class Changes {
  readonly #signal: AbortSignal;
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    try {
      this.#watcher = watch(folder, { persistent: false }, () => {
        this.#changed = true;
        this.#wake?.();
      });
      // A folder that goes away, or a system that has no more watchers to give: looking again finds out as well.
      this.#watcher.on("error", () => this.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  /** Resolves at the next change, at the latest after `most_ms`, or when the signal aborts. */
  async wait(most_ms: number): Promise<void> {
    const least_ms = Math.min(LEAST_ms, most_ms);
    await pause(least_ms, undefined, { signal: this.#signal }).catch(() => undefined);
    if (this.#changed || this.#signal.aborted || most_ms <= least_ms) return void (this.#changed = false);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#signal.removeEventListener("abort", done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, most_ms - least_ms);
      this.#signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
    this.#changed = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}
