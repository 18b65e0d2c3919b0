/**
 * How often a file is written, from when its rows were seen to come: programs write every few rows, every few seconds, or
 * when a buffer is full. From it follows when the next rows are due, so that what is called late is late.
 */
const REMEMBERED = 32;
const ENOUGH = 4;

export class Cadence {
  readonly #intervals_s: number[] = [];
  #last_s = NaN;

  /** Rows came into sight at this moment (any monotonic clock, s). */
  came(at_s: number): void {
    const interval = at_s - this.#last_s;
    this.#last_s = at_s;
    if (!(interval > 0)) return;
    this.#intervals_s.push(interval);
    if (this.#intervals_s.length > REMEMBERED) this.#intervals_s.shift();
  }

  /** The interval that nineteen of twenty did not exceed; NaN before four were seen. */
  get interval_s(): number {
    if (this.#intervals_s.length < ENOUGH) return NaN;
    const sorted = this.#intervals_s.toSorted((a, b) => a - b);
    return sorted[Math.ceil(0.95 * sorted.length) - 1]!;
  }
}
