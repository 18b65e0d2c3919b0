import { cholesky, solve } from "./cholesky.ts";

/** A gradient below this share of |b| is none. */
const FLAT = 1e-9;

/**
 * Least squares with x ≥ 0 (Lawson & Hanson 1974, ch. 23), on the normal equations (Bro & de Jong, J. Chemometrics 11, 393 (1997)).
 *
 * Columns must be scaled to a length of 1: `gram` is AᵀA by rows, `right` Aᵀb, `length` |b|. Few x come out above zero.
 */
export function nonNegative(gram: Float64Array, right: Float64Array, length: number): Float64Array {
  const p = right.length;
  const x = new Float64Array(p);
  const barred = new Set<number>();
  let active: number[] = [];
  for (let round = 0; round < 3 * p; round++) {
    let [best, steepest] = [-1, FLAT * length];
    for (let k = 0; k < p; k++) {
      if (x[k]! > 0 || barred.has(k)) continue;
      let gradient = right[k]!;
      for (const j of active) gradient -= gram[k * p + j]! * x[j]!;
      if (gradient > steepest) [best, steepest] = [k, gradient];
    }
    if (best < 0) break;
    active = [...active, best].sort((a, b) => a - b);
    for (let first = true; ; first = false) {
      const L = cholesky(gram, p, active);
      const wanted = L && solve(L, active.map((k) => right[k]!));
      if (!wanted || (first && wanted[active.indexOf(best)]! <= 0)) {
        // Rounding alone made it look as if it helped.
        barred.add(best);
        active = active.filter((k) => k !== best);
        break;
      }
      let share = 1;
      for (const [i, k] of active.entries()) if (wanted[i]! <= 0) share = Math.min(share, x[k]! / (x[k]! - wanted[i]!));
      for (const [i, k] of active.entries()) x[k] = share === 1 ? wanted[i]! : x[k]! + share * (wanted[i]! - x[k]!);
      if (share === 1) {
        barred.clear();
        break;
      }
      const least = 1e-14 * Math.max(...active.map((k) => x[k]!));
      for (const k of active) if (x[k]! <= least) x[k] = 0;
      active = active.filter((k) => x[k]! > 0);
    }
  }
  return x;
} // prettier-ignore
