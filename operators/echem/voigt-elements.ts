import { cholesky, covarianceOf, gramOf, product, solve } from "./cholesky.ts";
import { rc } from "./kramers-kronig.ts";
import { nonNegative } from "./non-negative.ts";

/**
 * A spectrum as a few RC elements in series:
 *
 *     Z(ω) = R + jωL + 1 / (jωC) + A (1 - j) / √ω + Σ_k R_k / (1 + jω τ_k)      all ≥ 0
 *     minimise  χ² = Σ_i |Z_i - Z(ω_i)|² / |Z_i|²
 *
 * Elements are added one by one, each where on a grid of six a decade it makes χ² least, and then all values and τ_k are
 * fitted together (Levenberg-Marquardt), as long as 2n ln(χ² / 2n) + p ln 2n falls (Bayes' criterion, p unknowns). Then
 * what can be left out again, element or other term, is. A term that would be negative is left out.
 *
 * Reference: the measurement model of Agarwal, Orazem & García-Rubio, J. Electrochem. Soc. 139, 1917 (1992), from memory.
 */
export interface Voigt {
  readonly tau_s: readonly number[];
  readonly R_Ohm: readonly number[];
  readonly series_Ohm: number;
  /** Of R_k, then ln τ_k, then the series resistance, …: (JᵀJ)⁻¹ by rows, to be multiplied by the noise's variance. */
  readonly covariance: Float64Array;
  readonly unknowns: number;
  /** Place of the series resistance among the unknowns; -1 where there is none. */
  readonly series: number;
  /** Real parts, then imaginary parts, relative to |Z|. */
  readonly residual: Float64Array;
  /** Standard deviation of each part, relative to |Z|. */
  readonly noise: number;
}

const PER_DECADE = 6;
/** Decades by which time constants may go beyond the frequencies, to the short side and to the long. */
const SHORTER = 0.5, LONGER = 1; // prettier-ignore
const MOST_ELEMENTS = 16;
const MOST_STEPS = 40;
/** Of Bayes' criterion; two models as near as this are alike. */
const LEAST_GAIN = 0.01;
/** Elements that are tried to be left out at a time. */
const WORST = 3;

interface Problem {
  readonly omega: Float64Array;
  readonly size: Float64Array;
  readonly measured: Float64Array;
  readonly ln_tau: readonly [least: number, most: number];
}
type Term = (omega: number) => readonly [re: number, im: number];
const SERIES: Term = () => [1, 0];

interface Model {
  readonly R: number[];
  readonly ln_tau: number[];
  readonly terms: readonly Term[];
  readonly values: number[];
}

export interface Reactances {
  readonly inductance: boolean;
  readonly capacitance: boolean;
}

/** ω falling; at least six. */
export function voigtElements(
  omega: Float64Array, real_Ohm: Float64Array, imaginary_Ohm: Float64Array, { inductance, capacitance }: Reactances,
): Voigt | undefined {
  const n = omega.length;
  const size = real_Ohm.map((re, i) => Math.hypot(re, imaginary_Ohm[i]!));
  const [shortest, longest] = [1 / omega[0]!, 1 / omega[n - 1]!];
  const problem: Problem = {
    omega, size,
    measured: Float64Array.from({ length: 2 * n }, (_, i) => (i < n ? real_Ohm[i]! / size[i]! : imaginary_Ohm[i - n]! / size[i - n]!)),
    ln_tau: [Math.log(shortest) - SHORTER * Math.LN10, Math.log(longest) + LONGER * Math.LN10],
  };
  const terms: Term[] = [SERIES, (w) => [1 / Math.sqrt(w), -1 / Math.sqrt(w)]];
  if (inductance) terms.push((w) => [0, w]);
  if (capacitance) terms.push((w) => [0, -1 / w]);

  let best = fit(problem, positive(problem, [], terms));
  // One that is added may replace another, again and again, and gain next to nothing.
  for (let round = 0; round < MOST_ELEMENTS; round++) {
    const more = fit(problem, withOneMore(problem, best.model, terms));
    if (!(more.criterion < best.criterion - LEAST_GAIN)) break;
    best = more;
  }
  for (;;) {
    let next: Fitted | undefined;
    for (const simpler of without(best)) {
      const fitted = fit(problem, simpler);
      if (!next || fitted.criterion < next.criterion) next = fitted;
    }
    if (!next || !(next.criterion < best.criterion)) break;
    best = next;
  }
  const { model, covariance, residual } = best;
  if (!covariance) return undefined;
  const order = [...model.R.keys()].sort((i, j) => model.ln_tau[i]! - model.ln_tau[j]!);
  // A permutation of the elements, applied to both halves of their unknowns.
  const p = 2 * order.length + model.terms.length;
  const place = [...order, ...order.map((k) => order.length + k), ...model.terms.map((_, k) => 2 * order.length + k)];
  const at = model.terms.indexOf(SERIES);
  return {
    tau_s: order.map((k) => Math.exp(model.ln_tau[k]!)),
    R_Ohm: order.map((k) => model.R[k]!),
    series_Ohm: at < 0 ? NaN : model.values[at]!,
    series: at < 0 ? -1 : 2 * order.length + at,
    covariance: Float64Array.from({ length: p * p }, (_, i) => covariance[place[Math.floor(i / p)]! * p + place[i % p]!]!),
    unknowns: p,
    residual,
    noise: Math.sqrt(product(residual, residual) / Math.max(1, 2 * n - p)),
  };
} // prettier-ignore

/** Models that have one part less: one of the terms, or of the elements whose resistance is told worst. */
function* without({ model: { R, ln_tau, terms, values }, covariance }: Fitted): Generator<Model> {
  const p = 2 * R.length + terms.length;
  const doubt = (k: number): number => (covariance ? Math.sqrt(covariance[k * p + k]!) / R[k]! : 1 / R[k]!);
  for (const k of [...R.keys()].sort((i, j) => doubt(j) - doubt(i)).slice(0, WORST))
    yield { R: R.toSpliced(k, 1), ln_tau: ln_tau.toSpliced(k, 1), terms, values: values.slice() };
  for (const [k, term] of terms.entries())
    if (term !== SERIES)
      yield {
        R: R.slice(),
        ln_tau: ln_tau.slice(),
        terms: terms.toSpliced(k, 1),
        values: values.toSpliced(k, 1),
      };
}

/** With time constants as they are: the values, and of elements and terms those that are above zero. */
function positive(problem: Problem, ln_tau: readonly number[], terms: readonly Term[]): Model {
  return chosen(
    prepare(problem, [...ln_tau.map(element), ...terms]),
    [...ln_tau, ...terms].map((_, k) => k),
    ln_tau,
    terms,
  ).model;
}

function withOneMore(problem: Problem, { ln_tau }: Model, terms: readonly Term[]): Model {
  const [least, most] = problem.ln_tau;
  const step = Math.LN10 / PER_DECADE;
  const grid = Array.from({ length: Math.ceil((most - least) / step) }, (_, k) => least + k * step);
  const prepared = prepare(problem, [...ln_tau.map(element), ...terms, ...grid.map(element)]);
  const old = ln_tau.map((_, k) => k);
  const rest = terms.map((_, k) => ln_tau.length + k);
  let best: ReturnType<typeof chosen> | undefined;
  for (const [k, added] of grid.entries()) {
    const tried = chosen(
      prepared,
      [...old, ln_tau.length + terms.length + k, ...rest],
      [...ln_tau, added],
      terms,
    );
    if (!best || tried.explained > best.explained) best = tried;
  }
  return best!.model;
}

const element =
  (ln_tau: number): Term =>
  (w) =>
    rc(w * Math.exp(ln_tau));

/** Columns of length 1, and what is needed of them. */
function prepare(problem: Problem, parts: readonly Term[]) {
  const columns = parts.map((term) => columnOf(problem, term));
  const scale = columns.map((column) => 1 / Math.sqrt(product(column, column)));
  const unit = columns.map((column, k) => column.map((value) => value * scale[k]!));
  return { scale, gram: gramOf(unit), right: unit.map((column) => product(column, problem.measured)), length: Math.sqrt(product(problem.measured, problem.measured)) };
} // prettier-ignore

/** Non-negative values of some of the columns: first the elements', then the terms'. */
function chosen({ scale, gram, right, length }: ReturnType<typeof prepare>, columns: readonly number[], ln_tau: readonly number[], terms: readonly Term[]) {
  const all = right.length;
  const size = columns.length;
  const x = nonNegative(
    Float64Array.from({ length: size * size }, (_, i) => gram[columns[Math.floor(i / size)]! * all + columns[i % size]!]!),
    Float64Array.from(columns, (k) => right[k]!),
    length,
  );
  const values = columns.map((k, i) => x[i]! * scale[k]!);
  const kept = (i: number): boolean => x[i]! > 0;
  const model: Model = {
    R: values.slice(0, ln_tau.length).filter((_, i) => kept(i)),
    ln_tau: ln_tau.filter((_, i) => kept(i)),
    terms: terms.filter((_, i) => kept(ln_tau.length + i)),
    values: values.slice(ln_tau.length).filter((_, i) => kept(ln_tau.length + i)),
  };
  // At the optimum x is at right angles to what is left, so this is how much of |b|² it explains.
  return { model, explained: columns.reduce((sum, k, i) => sum + x[i]! * right[k]!, 0) };
} // prettier-ignore

function columnOf({ omega, size }: Problem, term: Term): Float64Array {
  const n = omega.length;
  const column = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const [re, im] = term(omega[i]!);
    column[i] = re / size[i]!;
    column[n + i] = im / size[i]!;
  }
  return column;
}

interface Fitted {
  readonly model: Model;
  readonly residual: Float64Array;
  readonly criterion: number;
  readonly covariance: Float64Array | undefined;
}

/** Levenberg-Marquardt; no value goes below a tenth of what it was in one step, so all stay positive. */
function fit(problem: Problem, start: Model): Fitted {
  const n = problem.omega.length;
  const p = 2 * start.R.length + start.terms.length;
  const fixed = start.terms.map((term) => columnOf(problem, term));
  let model = start;
  let { residual, columns } = linearise(problem, model, fixed);
  let chi = product(residual, residual);
  let damping = 1e-3;
  for (let step = 0; step < MOST_STEPS && damping < 1e6; step++) {
    // Each unknown scaled to a column of length 1, so that one damping suits all.
    const scale = columns.map((column) => 1 / Math.sqrt(product(column, column)));
    const gram = gramOf(columns);
    for (let k = 0; k < p; k++) for (let j = 0; j < p; j++) gram[k * p + j]! *= scale[k]! * scale[j]!;
    for (let k = 0; k < p; k++) gram[k * p + k]! += damping;
    const L = cholesky(gram, p, [...columns.keys()]);
    if (!L) {
      damping *= 10;
      continue;
    }
    const x = solve(L, columns.map((column, k) => product(column, residual) * scale[k]!)).map((value, k) => value * scale[k]!);
    const next = moved(model, x, problem);
    const after = linearise(problem, next, fixed);
    const chiAfter = product(after.residual, after.residual);
    if (chiAfter <= chi) {
      const small = chi - chiAfter <= 1e-9 * chi;
      [model, residual, columns, chi] = [next, after.residual, after.columns, chiAfter];
      damping = Math.max(1e-12, damping / 10);
      if (small) break;
    } else damping *= 10;
  }
  const covariance = p < 2 * n ? covarianceOf(columns) : undefined;
  // Of unknowns that cannot be told apart there are too many.
  const criterion = covariance ? 2 * n * Math.log(chi / (2 * n)) + p * Math.log(2 * n) : Infinity;
  return { model, residual, criterion, covariance };
} // prettier-ignore

function moved({ R, ln_tau, terms, values }: Model, x: readonly number[], { ln_tau: [least, most] }: Problem): Model {
  const n = R.length;
  return {
    R: R.map((value, k) => Math.max(value / 10, value + x[k]!)),
    ln_tau: ln_tau.map((value, k) => Math.min(most, Math.max(least, value + Math.max(-1, Math.min(1, x[n + k]!))))),
    terms,
    values: values.map((value, k) => Math.max(value / 10, value + x[2 * n + k]!)),
  };
} // prettier-ignore

/** What is left of the measured, and the derivatives of the model. */
function linearise(problem: Problem, { R, ln_tau, values }: Model, fixed: readonly Float64Array[]) {
  const { omega, size, measured } = problem;
  const n = omega.length;
  const residual = measured.slice();
  const byR: Float64Array[] = [];
  const byTau: Float64Array[] = [];
  for (let k = 0; k < R.length; k++) {
    const [own, slope] = [new Float64Array(2 * n), new Float64Array(2 * n)];
    const tau = Math.exp(ln_tau[k]!);
    for (let i = 0; i < n; i++) {
      const x = omega[i]! * tau;
      const part = 1 / (1 + x * x);
      own[i] = part / size[i]!;
      own[n + i] = (-x * part) / size[i]!;
      slope[i] = (-2 * x * x * part * part * R[k]!) / size[i]!;
      slope[n + i] = ((x * x - 1) * x * part * part * R[k]!) / size[i]!;
    }
    for (let i = 0; i < 2 * n; i++) residual[i]! -= R[k]! * own[i]!;
    byR.push(own);
    byTau.push(slope);
  }
  for (const [k, column] of fixed.entries())
    for (let i = 0; i < 2 * n; i++) residual[i]! -= values[k]! * column[i]!;
  return { residual, columns: [...byR, ...byTau, ...fixed] };
}
