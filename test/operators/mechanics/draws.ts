/** A seeded source of normal numbers (sfc32, whose neighbours are independent, and Box and Muller). */
export function normalDraws(seed: number): () => number {
  let [a, b, c, counter] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const uniform = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return ((t >>> 0) + 0.5) / 4294967296;
  };
  for (let i = 0; i < 16; i++) uniform();
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

export interface Spread {
  readonly mean: number;
  /** Standard deviation of the draws. */
  readonly sd: number;
  /** Root mean square of the standard errors that were claimed. */
  readonly se: number;
  /** Share of the draws whose truth lies within one standard error. */
  readonly coverage: number;
}

/** What many draws of [estimate, standard error] say of a known truth. */
export function spreadOf(truth: number, draws: readonly (readonly [number, number])[]): Spread {
  const n = draws.length;
  const mean = draws.reduce((sum, [x]) => sum + x, 0) / n;
  return {
    mean,
    sd: Math.sqrt(draws.reduce((sum, [x]) => sum + (x - mean) ** 2, 0) / (n - 1)),
    se: Math.sqrt(draws.reduce((sum, [, se]) => sum + se * se, 0) / n),
    coverage: draws.filter(([x, se]) => Math.abs(x - truth) <= se).length / n,
  };
}
