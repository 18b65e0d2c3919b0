/** One line that says how far a run is, on a terminal; nothing where stderr is a file. */
import type { Run } from "../runtime/index.ts";

export class Progress {
  readonly #run: Run;
  readonly #timer: NodeJS.Timeout | undefined;
  #shown = false;

  constructor(run: Run) {
    this.#run = run;
    if (process.stderr.isTTY) {
      this.#timer = setInterval(() => this.#show(), 500);
      this.#timer.unref();
    }
  }

  #show(): void {
    const health = this.#run.health();
    if (health.length === 0) return;
    const rows = this.#run.streams().reduce((n, { rows: of }) => n + of, 0);
    const rate = health.reduce((n, { rate_per_s }) => n + rate_per_s, 0);
    const newest = this.#run
      .streams()
      .reduce((t, { lastTime }) => (lastTime !== undefined && lastTime > t ? lastTime : t), 0n);
    const at = newest > 0n ? new Date(Number(newest / 1_000_000n)).toISOString().slice(0, 19) : "";
    process.stderr.write(
      `\r\x1b[K${at}  ${rows.toLocaleString("en")} rows, ${Math.round(rate).toLocaleString("en")} rows/s`,
    );
    this.#shown = true;
  }

  /** A line for the person; the progress goes on below it. */
  say(line: string): void {
    process.stderr.write(`${this.#shown ? "\r\x1b[K" : ""}${line}\n`);
    this.#shown = false;
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}
