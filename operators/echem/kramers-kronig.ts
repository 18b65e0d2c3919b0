import { leastSquares } from "./least-squares.ts";
import type { Spectrum } from "./spectrum.ts";

/**
 * Linear Kramers-Kronig test: is this the impedance of something linear, causal and unchanging?
 *
 *     Z(ω) = R + jωL + 1 / (jωC) + Σ_k R_k / (1 + jω τ_k),   k = 1 … M
 *     τ_k  evenly in log τ from 1 / ω_max to 1 / ω_min
 *     minimise  Σ_i |Z_i - Z(ω_i)|² / |Z_i|²                  real and imaginary parts together
 *     Δ' = (Z'_i - Z'(ω_i)) / |Z_i|,  Δ" likewise             [%]
 *     µ = 1 - Σ |R_k < 0| / Σ |R_k ≥ 0|
 *
 * Every term obeys the Kramers-Kronig relations, so what the sum cannot follow does not. M grows until µ falls below
 * `mu`: then resistances alternate in sign, as they do once noise is fitted. The test starts at three elements a decade,
 * since an inductive loop has negative R_k that mean no such thing. Holds for the frequencies that were measured;
 * says nothing of a drift that is slow in all of them.
 *
 * Reference: Schönleber, Klotz & Ivers-Tiffée, Electrochim. Acta 131, 20 (2014), eq. 5 (µ); Boukamp, J. Electrochem. Soc. 142, 1885 (1995).
 */
export interface KramersKronig {
  /** Number M of RC elements. */
  readonly elements: number;
  readonly mu: number;
  readonly fit_real_Ohm: Float64Array;
  readonly fit_imaginary_Ohm: Float64Array;
  /** Relative to |Z|. */
  readonly residual_real: Float64Array;
  readonly residual_imaginary: Float64Array;
  /** Standard deviation of each part, relative to |Z|, as the residual has it. */
  readonly noise: number;
}

export interface KramersKronigSettings {
  readonly mu: number;
  readonly most_elements: number;
  readonly inductance: boolean;
  readonly capacitance: boolean;
}

const LEAST_PER_DECADE = 3;

export function kramersKronig(spectrum: Spectrum, settings: KramersKronigSettings): KramersKronig {
  const { frequency_Hz: f } = spectrum;
  const decades = Math.log10(f[0]! / f.at(-1)!);
  const most = Math.max(1, Math.min(settings.most_elements, f.length - 1));
  let elements = Math.min(most, Math.max(2, Math.ceil(LEAST_PER_DECADE * decades)));
  for (;;) {
    const fitted = voigtFit(spectrum, elements, settings);
    if (fitted.mu < settings.mu || elements >= most) return fitted;
    elements++;
  }
}

/** With so many RC elements. */
export function voigtFit(
  { frequency_Hz, real_Ohm, imaginary_Ohm }: Spectrum,
  elements: number,
  { inductance, capacitance }: Pick<KramersKronigSettings, "inductance" | "capacitance">,
): KramersKronig {
  const n = frequency_Hz.length;
  const size = real_Ohm.map((re, i) => Math.hypot(re, imaginary_Ohm[i]!));
  const omega = frequency_Hz.map((f) => 2 * Math.PI * f);
  const [shortest, longest] = [1 / omega[0]!, 1 / omega[n - 1]!];
  const columns: Float64Array[] = [];
  const column = (of: (omega: number) => readonly [re: number, im: number]): void => {
    const values = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) {
      const [re, im] = of(omega[i]!);
      values[i] = re / size[i]!;
      values[n + i] = im / size[i]!;
    }
    columns.push(values);
  };
  for (let k = 0; k < elements; k++) {
    const tau = elements === 1 ? Math.sqrt(shortest * longest) : shortest * (longest / shortest) ** (k / (elements - 1));
    column((w) => rc(w * tau));
  }
  column(() => [1, 0]);
  if (inductance) column((w) => [0, w]);
  if (capacitance) column((w) => [0, -1 / w]);
  const measured = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    measured[i] = real_Ohm[i]! / size[i]!;
    measured[n + i] = imaginary_Ohm[i]! / size[i]!;
  }
  const { x, residual } = leastSquares(columns, measured);
  let [positive, negative, squares] = [0, 0, 0];
  for (const R of x.subarray(0, elements)) {
    if (R < 0) negative -= R;
    else positive += R;
  }
  for (const r of residual) squares += r * r;
  const [residual_real, residual_imaginary] = [residual.slice(0, n), residual.slice(n)];
  return {
    elements,
    mu: positive > 0 ? 1 - negative / positive : -Infinity,
    fit_real_Ohm: real_Ohm.map((re, i) => re - residual_real[i]! * size[i]!),
    fit_imaginary_Ohm: imaginary_Ohm.map((im, i) => im - residual_imaginary[i]! * size[i]!),
    residual_real,
    residual_imaginary,
    noise: Math.sqrt(squares / Math.max(1, 2 * n - columns.length)),
  };
} // prettier-ignore

/** 1 / (1 + jx) */
export function rc(x: number): readonly [re: number, im: number] {
  const part = 1 / (1 + x * x);
  return [part, -x * part];
}
