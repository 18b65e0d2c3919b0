/**
 * Standard error of a sum over pixels whose values are correlated, from the spread of blocks.
 *
 *     se²  = max(V(B/2), 2 V(B) - V(B/2))          V(B) = n/(n - 1) Σ_blocks (Σ_pixels u)²
 *
 *     u    what each pixel adds to the estimate's deviation; 0 where a pixel is not used. For a mean (f - mean) / N
 *     B    side of a block [px]: an eighth of the side of the area looked at, so that there are some 64 of them;
 *          a quarter where V(B) > 1.6 V(B/2)
 *
 * A surface changes slowly from pixel to pixel, so its N pixels count for fewer. V(B) grows with B towards the
 * variance of the sum, and lacks a share ∝ correlation length / B, which the two sizes together take off. Blocks at
 * the edge of an area, or with holes, count by what is in them.
 *
 * Holds while the surface's correlation length (its autocorrelation at 1/e) is under a tenth of the side; with longer
 * waves there are too few independent places for an error to be read from them, and it comes out too small. Itself it
 * is known to 10 to 25 %.
 *
 * Reference: Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989), for V(B); Liang & Zeger, Biometrika 73, 13 (1986), for sums of unequal blocks.
 */
export class BlockError {
  readonly #rows: number;
  readonly #cols: number;
  readonly #half: number;
  readonly #across: number;
  readonly #sums: Float64Array;
  readonly #used: Uint8Array;

  /** `pixels` of the frame are looked at, or about so many. */
  constructor(rows: number, cols: number, pixels: number) {
    this.#rows = rows;
    this.#cols = cols;
    const side = rows === 1 || cols === 1 ? pixels / LINE_BLOCKS : Math.sqrt(pixels / BLOCKS);
    this.#half = Math.max(1, Math.round(side / 2));
    this.#across = 4 * Math.ceil(cols / (4 * this.#half));
    const down = 4 * Math.ceil(rows / (4 * this.#half));
    this.#sums = new Float64Array(this.#across * down);
    this.#used = new Uint8Array(this.#across * down);
  }

  /** Side of a block. */
  get side(): number {
    return 2 * this.#half;
  }

  /** Standard error of Σ u; NaN where fewer than four blocks have pixels. Pixels with 0 are not used. */
  of(u: Float64Array): number {
    const [sums, used, half, across] = [this.#sums, this.#used, this.#half, this.#across];
    sums.fill(0);
    used.fill(0);
    for (let r = 0, i = 0; r < this.#rows; r++) {
      const line = Math.floor(r / half) * across;
      for (let c = 0, b = line, next = half; c < this.#cols; c++, i++) {
        if (c === next) {
          b++;
          next += half;
        }
        const value = u[i]!;
        if (value === 0) continue;
        sums[b]! += value;
        used[b] = 1;
      }
    }
    const [small, middle, large] = [1, 2, 4].map((size) => this.#variance(size)) as [number, number, number];
    const [below, above] = middle > LONG * small ? [middle, large] : [small, middle];
    return Math.sqrt(Math.max(below, 2 * above - below));
  }

  /** V of blocks of size × size half blocks; NaN where fewer than four have pixels. */
  #variance(size: number): number {
    const [sums, used, across] = [this.#sums, this.#used, this.#across];
    let [squares, blocks] = [0, 0];
    for (let top = 0; top < sums.length; top += across * size) {
      for (let left = top; left < top + across; left += size) {
        let [sum, any] = [0, false];
        for (let b = left; b < left + size * across; b += across) {
          for (let k = b; k < b + size; k++) {
            sum += sums[k]!;
            any ||= used[k] === 1;
          }
        }
        if (!any) continue;
        squares += sum * sum;
        blocks++;
      }
    }
    return blocks < 4 ? NaN : (squares * blocks) / (blocks - 1);
  }
}

const BLOCKS = 64;
/** Of numbers in a line: fewer, so that they are long enough. */
const LINE_BLOCKS = 16;
const LONG = 1.6;
