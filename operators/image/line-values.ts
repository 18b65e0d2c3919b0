/**
 * What a slow signal (a bias) was while each line of a frame was scanned.
 *
 * Line k, of order j = k where the first row was scanned first, rows - 1 - k where the last was, ends at
 * time - duration × (rows - 1 - j) / rows. It has the newest value that is not later than its end.
 *
 * Changes alone are kept, the newest 4,096 of them.
 */
export class LineValues {
  #times: bigint[] = [];
  #values: number[] = [];
  #forgotten = false;

  /** In the order of their times. */
  add(time: bigint, value: number): void {
    const last = this.#values.length - 1;
    if (last >= 0 && (Object.is(this.#values[last], value) || this.#values[last] === value)) return;
    if (last >= 0 && this.#times[last] === time) this.#values[last] = value;
    else {
      this.#times.push(time);
      this.#values.push(value);
    }
    if (this.#times.length <= MOST) return;
    this.#times.shift();
    this.#values.shift();
    this.#forgotten = true;
  }

  /** Of each row; NaN where it is not known. `up` undefined: nobody knows which row was first. */
  ofLines(rows: number, frame: { time: bigint; duration_s: number; up: boolean | undefined }): Float64Array {
    const { time, duration_s, up } = frame;
    if (!(duration_s > 0)) return new Float64Array(rows).fill(this.#at(time));
    const lines = new Float64Array(rows);
    for (let j = 0; j < rows; j++) {
      const before_ns = Math.round((1e9 * duration_s * (rows - 1 - j)) / rows);
      lines[up === false ? rows - 1 - j : j] = this.#at(time - BigInt(before_ns));
    }
    // Whichever way round, where all are the same.
    return up === undefined && lines.some((value) => !Object.is(value, lines[0])) ? lines.fill(NaN) : lines;
  }

  #at(time: bigint): number {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#times[middle]! <= time) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? NaN : this.#values[low - 1]!;
  }

  /** True once values were dropped for want of room. */
  get forgotten(): boolean {
    return this.#forgotten;
  }

  save(): SavedLineValues {
    return { times: BigInt64Array.from(this.#times), values: Float64Array.from(this.#values), forgotten: this.#forgotten };
  }
  load({ times, values, forgotten }: SavedLineValues): void {
    this.#times = [...times];
    this.#values = [...values];
    this.#forgotten = forgotten;
  }
} // prettier-ignore

export interface SavedLineValues {
  readonly times: BigInt64Array;
  readonly values: Float64Array;
  readonly forgotten: boolean;
}

const MOST = 4096;
