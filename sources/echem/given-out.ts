/**
 * Which rows were given out, so that they are not given out again when a file is written anew: EC-Lab does so when text
 * is exported, servers when they make another snapshot. A row is known by its place in the file and a hash of its test
 * time and voltage; columns that were added, and currents that were computed otherwise, do not make it another row.
 */

/** Rows known one by one: 4 bytes each. Those after them are known by their test time alone. */
const MOST = 1 << 24;

export class GivenOut {
  #hashes = new Uint32Array(1024);
  rows = 0;
  /** Rows of the file that is being read: of those given out before, as many were seen again. */
  #seen = 0;
  latest_s = -Infinity;

  /** The file is read from its beginning again. */
  again(): void {
    this.#seen = 0;
  }

  /** Whether rows given out before are still to come. */
  get known(): boolean {
    return this.#seen < this.rows;
  }

  /**
   * How many of these rows, from the first on, were given out before. `changed`: the row after them stands where another
   * one was given out; from there on nothing is known any more, and all rows count as new.
   */
  skip(test_s: ArrayLike<number>, voltage_V: ArrayLike<number>): { skip: number; changed: boolean } {
    let i = 0;
    for (; i < test_s.length && this.#seen < this.rows; i++) {
      const row = this.#seen;
      const same = row < MOST ? this.#hashes[row] === hash(test_s[i]!, voltage_V[i]!) : test_s[i]! <= this.latest_s; // prettier-ignore
      if (!same) {
        this.rows = this.#seen;
        return { skip: i, changed: true };
      }
      this.#seen++;
    }
    return { skip: i, changed: false };
  }

  add(test_s: ArrayLike<number>, voltage_V: ArrayLike<number>): void {
    const rows = this.rows + test_s.length;
    if (Math.min(rows, MOST) > this.#hashes.length) {
      const more = new Uint32Array(Math.min(MOST, Math.max(rows, 2 * this.#hashes.length)));
      more.set(this.#hashes);
      this.#hashes = more;
    }
    for (let i = 0; i < test_s.length; i++) {
      if (this.rows + i < MOST) this.#hashes[this.rows + i] = hash(test_s[i]!, voltage_V[i]!);
      if (test_s[i]! > this.latest_s) this.latest_s = test_s[i]!;
    }
    this.rows = this.#seen = rows;
  }
}

const numbers = new Float64Array(2);
const words = new Uint32Array(numbers.buffer);

/** Of the bits of two numbers: each word mixed in and spread (the finaliser of MurmurHash3). */
function hash(a: number, b: number): number {
  numbers[0] = a;
  numbers[1] = b;
  let h = 0;
  for (let i = 0; i < 4; i++) {
    h = Math.imul(h ^ words[i]!, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}
