/**
 * How fast event time runs: as the clock does, N times faster, or as fast as it goes. One clock for all sources
 * of a run, so that they stay together.
 */
export class Pacer {
  #speed: number;
  /** Event time (ns) and clock (ms) at which the pace began. */
  #from: { event: bigint; clock_ms: number } | undefined;
  /** Event time up to which nothing waits: history that a page wants at once. */
  readonly #history_s: number;
  readonly #sources = new Map<string, number>();
  readonly #signal: AbortSignal;

  constructor(options: { speed: number; history_s?: number; signal: AbortSignal }) {
    this.#speed = options.speed;
    this.#history_s = options.history_s ?? 0;
    this.#signal = options.signal;
  }

  get speed(): number {
    return this.#speed;
  }

  /** Fixes the event time from which it paces: the run's first row. */
  begin(event: bigint): void {
    this.#from ??= { event: event + BigInt(Math.round(this.#history_s * 1e9)), clock_ms: NaN };
  }

  /** Waits until this event time is due; undefined if it is already. */
  byTime(event: bigint): Promise<void> | undefined {
    if (this.#speed === Infinity || !this.#from || event < this.#from.event) return undefined;
    if (Number.isNaN(this.#from.clock_ms)) this.#from.clock_ms = performance.now();
    const due_ms = this.#from.clock_ms + Number(event - this.#from.event) / 1e6 / this.#speed;
    return this.#until(due_ms);
  }

  /** Waits until this many rows of a source are due at `rate_Hz`. */
  byRows(source: string, rows: number, rate_Hz: number): Promise<void> | undefined {
    const begun = this.#sources.get(source) ?? performance.now();
    this.#sources.set(source, begun);
    return this.#until(begun + (rows / rate_Hz) * 1000);
  }

  #until(due_ms: number): Promise<void> | undefined {
    const wait_ms = due_ms - performance.now();
    if (wait_ms < 1) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(done, Math.min(wait_ms, 2 ** 31 - 1));
      const signal = this.#signal;
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }
}
