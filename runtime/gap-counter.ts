/**
 * Counts the gaps of a stream: intervals well beyond the one that nine in ten of its own rows keep. For display
 * only, since what is missing was never measured; a source that knows of a lost row reports a fault.
 */
export class GapCounter {
  #last: bigint | undefined;
  /** Running 0.9 quantile of the interval, s: up by 4.5 % where one is longer, down by 0.5 % where it is not. */
  #usual_s = 0;
  #seen = 0;
  count = 0;

  add(time: BigInt64Array): void {
    const length = time.length;
    if (length === 0) return;
    const before = this.#last ?? time[0]!;
    const halves = new Int32Array(time.buffer, time.byteOffset, length * 2);
    let high = Number(before >> 32n);
    let low = Number(BigInt.asUintN(32, before));
    for (let i = this.#last === undefined ? 1 : 0; i < length; i++) {
      const interval_s = ((halves[2 * i + 1]! - high) * 4294967296 + ((halves[2 * i]! >>> 0) - low)) / 1e9;
      high = halves[2 * i + 1]!;
      low = halves[2 * i]! >>> 0;
      if (this.#seen++ === 0) this.#usual_s = interval_s;
      else if (this.#seen > ENOUGH && interval_s > BEYOND * this.#usual_s) this.count++;
      else this.#usual_s *= interval_s > this.#usual_s ? 1.045 : 0.995;
    }
    this.#last = time[length - 1]!;
  }
}

/** A single lost row doubles the interval. */
const BEYOND = 1.8;
const ENOUGH = 20;
