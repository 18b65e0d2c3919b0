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
    if (length >= MANY && this.#seen > ENOUGH && longest_s(halves) <= BEYOND * this.#usual_s) {
      // Nothing stands out: one step towards the mean in place of one for each row.
      const mean_s = Number(time[length - 1]! - before) / 1e9 / length;
      if (mean_s <= BEYOND * this.#usual_s) {
        this.#usual_s *= mean_s > this.#usual_s ? 1.045 : 0.995;
        this.#last = time[length - 1]!;
        return;
      }
    }
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

function longest_s(halves: Int32Array): number {
  let longest = 0;
  for (let i = 2; i < halves.length; i += 2) {
    const interval =
      (halves[i + 1]! - halves[i - 1]!) * 4294967296 + ((halves[i]! >>> 0) - (halves[i - 2]! >>> 0));
    if (interval > longest) longest = interval;
  }
  return longest / 1e9;
}

const MANY = 64;
/** A single lost row doubles the interval. */
const BEYOND = 1.8;
const ENOUGH = 20;
