import { inverseOf4 } from "../symmetric-inverse.ts";
import { firstCell, CELLS_PER_E, type Rest } from "./rest-windows.ts";

/**
 * The voltage that a rest tends to, from its last part.
 *
 *     V(t) = V∞ + A exp(-(t - t_a) / τ)        t_a ≤ t ≤ t_e, least squares
 *     V∞_se² = (that of the fit)² + (V∞ of the last half - V∞ of the last three quarters)²
 *
 * τ lies between t_e / 30 and 2 t_e, else V∞ is NaN: what is still a straight line, as with a leak, tends to nothing that
 * could be told. What slower processes have left is told by how the result depends on the part that is fitted. A voltage that does not move any more by more than its error is V∞ itself.
 * A tail like 1/√t, as of diffusion into a thick electrode, goes further than any exponential: that is not in the error.
 */
export interface RelaxedVoltage {
  readonly value: number;
  readonly se: number;
}

const UNTOLD: RelaxedVoltage = { value: NaN, se: NaN };
const LEAST_CELLS = 12;

export function relaxedVoltage(rest: Rest): RelaxedVoltage {
  const last = rest.V.length;
  const end = rest.t[last - 1]!;
  const part = (share: number): RelaxedVoltage =>
    tail(rest, firstCell(rest, Math.floor(Math.log(end * share) * CELLS_PER_E)), last);
  if (!(last >= LEAST_CELLS)) return UNTOLD;
  const [half, most] = [part(0.5), part(0.25)];
  const se = Math.hypot(half.se, half.value - most.value);
  return Number.isNaN(most.value) ? UNTOLD : { value: half.value, se };
}

function tail(rest: Rest, from: number, to: number): RelaxedVoltage {
  const { t, V, n } = rest;
  if (to - from < LEAST_CELLS) return UNTOLD;
  const [begin, end] = [t[from]!, t[to - 1]!];
  /** Least squares in V∞ and A at a given τ. */
  const at = (tau: number) => {
    let [w, e, ee, v, ev] = [0, 0, 0, 0, 0];
    for (let i = from; i < to; i++) {
      const E = Math.exp(-(t[i]! - begin) / tau);
      const y = V[i]! - V[to - 1]!;
      w += n[i]!;
      e += n[i]! * E;
      ee += n[i]! * E * E;
      v += n[i]! * y;
      ev += n[i]! * E * y;
    }
    const A = (w * ev - e * v) / (w * ee - e * e);
    const limit = (v - A * e) / w;
    let squares = 0;
    for (let i = from; i < to; i++)
      squares += n[i]! * (V[i]! - V[to - 1]! - limit - A * Math.exp(-(t[i]! - begin) / tau)) ** 2;
    return { tau, A, limit, squares };
  };
  const [shortest, longest] = [end / 30, 2 * end];
  const STEPS = 24;
  const ratio = (longest / shortest) ** (1 / STEPS);
  const tried = Array.from({ length: STEPS + 1 }, (_, i) => at(shortest * ratio ** i));
  let least = 0;
  tried.forEach(({ squares }, i) => (least = squares < tried[least]!.squares ? i : least));
  let best = tried[least]!;
  let [low, high] = [best.tau / ratio, best.tau * ratio];
  for (let k = 0; k < 40; k++) {
    // Golden section
    const [a, b] = [at(high / (high / low) ** 0.618), at(low * (high / low) ** 0.618)];
    if (a.squares < b.squares) high = b.tau;
    else low = a.tau;
    best = a.squares < b.squares ? a : b;
  }
  const { tau, A, limit, squares } = best;
  const variance = squares / (to - from - 3);
  const still = stillness(rest, from, to);
  if (still) return still;
  if (tau <= shortest || tau >= longest * 0.99) return UNTOLD;
  const matrix = new Float64Array(16);
  for (let i = from; i < to; i++) {
    const E = Math.exp(-(t[i]! - begin) / tau);
    const row = [1, E, (A * E * (t[i]! - begin)) / tau, 0];
    for (let p = 0; p < 3; p++) for (let q = 0; q < 3; q++) matrix[4 * p + q]! += n[i]! * row[p]! * row[q]!;
  }
  matrix[15] = 1;
  const inverse = inverseOf4(matrix);
  return inverse ? { value: V[to - 1]! + limit, se: Math.sqrt(variance * inverse[0]!) } : UNTOLD;
}

/** The mean, where neither a line nor a bend can be told from it. */
function stillness({ t, V, n }: Rest, from: number, to: number): RelaxedVoltage | undefined {
  let [w, x, xx, y, xy, yy] = [0, 0, 0, 0, 0, 0];
  const [t0, V0] = [t[from]!, V[from]!];
  for (let i = from; i < to; i++) {
    const [dt, dV, weight] = [t[i]! - t0, V[i]! - V0, n[i]!];
    w += weight;
    x += weight * dt;
    xx += weight * dt * dt;
    y += weight * dV;
    xy += weight * dt * dV;
    yy += weight * dV * dV;
  }
  const variance = (yy - (y * y) / w) / (to - from - 1);
  const slope = (w * xy - x * y) / (w * xx - x * x);
  const slope_se = Math.sqrt((variance * w) / (w * xx - x * x));
  if (Math.abs(slope) > 2 * slope_se) return undefined;
  // Alike to the last digit: nobody knows how finely it was measured.
  return { value: V0 + y / w, se: variance > 0 ? Math.sqrt(variance / w) : NaN };
}
