/**
 * Random numbers that are the same each time: sfc32 (Chris Doty-Humphrey), seeded by a number and a name, so that
 * each instrument has a stream of its own and the cadence of one changes nothing in another.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;
  #spare = NaN;

  constructor(seed: number, name: string) {
    // FNV-1a of seed and name; twelve rounds carry every seed bit into every word.
    let hash = 0x811c9dc5;
    for (const character of `${seed}/${name}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
    this.#a = hash | 0;
    this.#b = Math.imul(hash ^ 0x9e3779b9, 0x85ebca6b);
    this.#c = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    for (let i = 0; i < 12; i++) this.#next();
  }

  #next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** Even over [0, 1). */
  uniform(from = 0, to = 1): number {
    return from + ((to - from) * this.#next()) / 4294967296;
  }

  /** Mean 0, standard deviation 1 (polar method; the second of each pair is kept). */
  normal(): number {
    if (this.#spare === this.#spare) {
      const spare = this.#spare;
      this.#spare = NaN;
      return spare;
    }
    for (;;) {
      const u = this.#next() / 2147483648 - 1;
      const v = this.#next() / 2147483648 - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(s)) / s);
      this.#spare = v * scale;
      return u * scale;
    }
  }

  lognormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  /** Counts around a mean; from 50 up the normal law, whose error there is below a tenth of a count. */
  poisson(mean: number): number {
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const limit = Math.exp(-mean);
    let k = 0;
    for (let p = this.uniform(); p > limit; p *= this.uniform()) k++;
    return k;
  }
}
