/**
 * What goes wrong in a cell, each as a rate: plated lithium, growing SEI, dendrites, oxidised electrolyte.
 */
import { areaRatio, FARADAY_C_PER_mol as F, GAS_CONSTANT_J_PER_mol_K as R, GRAPHITE } from "./electrodes.ts";

const PLATING_RATE_m_per_s = 1e-9;
const ELECTROLYTE_mol_per_m3 = 1000;
/** A monolayer of lithium on all of the particles' surface: with less than that, stripping starves. */
const MONOLAYER_C_per_m2 = 2.1 * areaRatio(GRAPHITE);

/**
 * Plating (positive) and stripping of lithium on graphite, per area of the sheet [A/m²].
 *
 *     i = s a F k c_e (e^(−0.65 Fφ/RT) − e^(0.35 Fφ/RT))
 *
 *     φ  potential of the anode against Li/Li⁺ [V]
 *     a  true area over that of the sheet [1]
 *     s  1 below 0 V; above, the share of the surface that still has lithium to strip [1]
 *
 * Metallic lithium has unit activity, so the net current is zero at φ = 0; above it only what is there can leave.
 *
 * Reference: O'Kane et al., J. Electrochem. Soc. 167, 090540 (2020), doi:10.1149/1945-7111/ab90ac.
 */
export function platingCurrent_A_per_m2(
  potential_V: number,
  plated_C_per_m2: number,
  temperature_K: number,
  ratio: number,
): number {
  const f = (F * potential_V) / (R * temperature_K);
  const exchange = ratio * F * PLATING_RATE_m_per_s * ELECTROLYTE_mol_per_m3;
  const supply = potential_V < 0 ? 1 : plated_C_per_m2 / (plated_C_per_m2 + MONOLAYER_C_per_m2);
  return supply * exchange * (Math.exp(-0.65 * f) - Math.exp(0.35 * f));
}

/** Share of the plated lithium that loses contact each second; a thick SEI protects it. */
export const deadLithiumRate_per_s = (sei_m: number): number => 1e-6 * (SEI_INITIAL_m / sei_m);

export const SEI_INITIAL_m = 5e-9;
const SEI_MOLAR_VOLUME_m3_per_mol = 9.585e-5;
const SEI_GROWTH_m2_per_s = 2 * SEI_MOLAR_VOLUME_m3_per_mol * 2.5e-22 * 2636;

/** L after a time: solvent diffuses through the film, L² = L0² + 2 V D c t. */
export const seiAfter_m = (sei_m: number, time_s: number): number =>
  Math.sqrt(sei_m * sei_m + SEI_GROWTH_m2_per_s * time_s);

/** Lithium that a growth of the film has cost, per area of the sheet. */
export const seiCharge_C_per_m2 = (growth_m: number, ratio: number): number =>
  (growth_m / SEI_MOLAR_VOLUME_m3_per_mol) * F * ratio;

/** Resistance of the film per area of the sheet [Ω·m²]. */
export const seiResistance_Ohm_m2 = (sei_m: number, ratio: number): number => (2e5 * sei_m) / ratio;

const LITHIUM_MOLAR_VOLUME_m3_per_mol = 1.3e-5;
/** Thickness of dense lithium: 4.85 µm per mAh/cm². */
export const lithiumThickness_m = (plated_C_per_m2: number): number =>
  (plated_C_per_m2 * LITHIUM_MOLAR_VOLUME_m3_per_mol) / F;

const DIFFUSIVITY_m2_per_s = 3e-10;
const ANION_TRANSFERENCE = 0.7406;

/** Time until the electrolyte at a lithium surface runs out of salt and dendrites must grow (Sand). */
export const sandTime_s = (current_A_per_m2: number): number =>
  Math.PI *
  DIFFUSIVITY_m2_per_s *
  ((F * ELECTROLYTE_mol_per_m3) / (2 * current_A_per_m2 * ANION_TRANSFERENCE)) ** 2;

/** Current that diffusion across a gap can just feed. Reference: Bai et al., doi:10.1039/C6EE01674J. */
export const limitingCurrent_A_per_m2 = (gap_m: number): number =>
  (2 * F * ELECTROLYTE_mol_per_m3 * DIFFUSIVITY_m2_per_s) / (ANION_TRANSFERENCE * gap_m);

/** Chances per second that a filament bridges the separator, by the height of the longest tip. */
export const bridgingRate_per_s = (height_m: number, separator_m: number): number =>
  height_m < 0.8 * separator_m
    ? 0
    : Math.min(1 / 60, Math.exp((height_m / separator_m - 0.8) / 0.05) / (6 * 3600));

/** Oxidation of the electrolyte [A/m² of oxidising area]: i0 e^(0.5 F (φ − E0) / RT), E0 4.3 V. Plausible, not fitted. */
export const oxidationCurrent_A_per_m2 = (potential_V: number, temperature_K: number): number =>
  1e-3 * Math.exp((0.5 * F * (potential_V - 4.3)) / (R * temperature_K));

/** Gas from a charge that oxidises electrolyte, 2 F per mole. */
export const gasOf_mol = (charge_C: number): number => charge_C / (2 * F);

const swelling = [145.907, -681.229, 1334.442, -1415.71, 873.906, -312.528, 60.641, -5.706, 0.386, -4.966e-5];
/** Volume that graphite has gained at a stoichiometry [1]. Reference: Ai et al., doi:10.1149/2.0122001JES. */
export const graphiteSwelling = (x: number): number => swelling.reduce((sum, p) => sum * x + p, 0);
