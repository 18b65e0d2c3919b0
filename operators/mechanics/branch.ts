/**
 * The finite samples of one segment of a force curve, from far to deep, ready to be fitted. Holds its arrays, so that
 * thousands of curves share them.
 */
export const APPROACH = 0, RETRACT = 1; // prettier-ignore

/** What a fit reads of a curve; the first `length` samples count. */
export interface Samples {
  /** Of the piezo; decreases towards the sample. */
  readonly height_m: Float64Array;
  readonly force_N: Float64Array;
  /** Height + F/k. */
  readonly tip_m: Float64Array;
  readonly length: number;
}

/** One curve among the lists of a batch. */
export interface CurveLists {
  height_m: Float64Array;
  force_N: Float64Array;
  segment: Uint8Array;
  heightAt: number;
  forceAt: number;
  segmentAt: number;
  /** Samples of each. */
  size: number;
}

/** A detector at its end repeats one value; a rising force does not, and noise does so rarely. */
const SATURATED_RUN = 5;

export class SegmentSamples implements Samples {
  height_m = new Float64Array(0);
  force_N = new Float64Array(0);
  tip_m = new Float64Array(0);
  length = 0;
  /** Samples of the segment that are not finite. */
  missing = 0;

  /**
   * Reads samples `from … to` of a curve, whose lists begin at `from` of each. Where the segment has several stretches:
   * of approaches the first, of retracts the last. Forces are multiplied by `scale`, for levers that stand askew;
   * `k_N_per_m` is that of the multiplied force.
   */
  gather(
    curve: CurveLists,
    k_N_per_m: number,
    scale: number,
    wanted: typeof APPROACH | typeof RETRACT,
  ): void {
    const { height_m, force_N, segment, heightAt, forceAt, segmentAt, size: all } = curve;
    let [from, to] = [0, 0];
    if (wanted === APPROACH) {
      while (from < all && segment[segmentAt + from] !== wanted) from++;
      to = from;
      while (to < all && segment[segmentAt + to] === wanted) to++;
    } else {
      to = all;
      while (to > 0 && segment[segmentAt + to - 1] !== wanted) to--;
      from = to;
      while (from > 0 && segment[segmentAt + from - 1] === wanted) from--;
    }
    const size = to - from;
    if (this.tip_m.length < size) {
      this.height_m = new Float64Array(2 * size);
      this.force_N = new Float64Array(2 * size);
      this.tip_m = new Float64Array(2 * size);
    }
    const { height_m: h, force_N: f, tip_m: x } = this;
    const step = wanted === APPROACH ? 1 : -1;
    let n = 0;
    for (let i = 0, at = wanted === APPROACH ? from : to - 1; i < size; i++, at += step) {
      const height = height_m[heightAt + at]!;
      const force = force_N[forceAt + at]! * scale;
      const tip = height + force / k_N_per_m;
      if (tip - tip !== 0) continue; // not finite
      h[n] = height;
      f[n] = force;
      x[n++] = tip;
    }
    this.length = n;
    this.missing = size - n;
  }

  /** Without the deep end, where the force is above this share of its largest rise over the first tenth: the length. */
  lengthBelow(share: number): number {
    const { force_N: f, length: n } = this;
    if (share >= 1 || n < 10) return n;
    const far = Math.ceil(n / 10);
    let base = 0;
    for (let i = 0; i < far; i++) base += f[i]! / far;
    let most = -Infinity;
    for (let i = 0; i < n; i++) if (f[i]! > most) most = f[i]!;
    let length = n;
    while (length > 0 && f[length - 1]! > base + share * (most - base)) length--;
    return length;
  }

  saturated(): boolean {
    const { force_N: f, length: n } = this;
    let most = -Infinity;
    let run = 0;
    let longest = 0;
    for (let i = 0; i < n; i++) {
      const force = f[i]!;
      if (force > most) {
        most = force;
        run = longest = 1;
      } else {
        run = force === most ? run + 1 : 0;
        if (run > longest) longest = run;
      }
    }
    return longest >= SATURATED_RUN;
  }
}
