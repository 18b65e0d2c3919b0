/**
 * Standard error of a charge, from what is known of the ammeter's errors: its offset i0 [A] and its gain g [1].
 *
 *     Q_se² = (i0 T)² + (g Q)²          T  time over which Q was integrated [s]
 *
 * Both are the same for all records, so they do not average out. The noise of single records does: of n it leaves
 * some 1/√n, far below these two, and it is not counted. NaN where neither is given; where one is, the other is 0.
 */
import { quantity } from "../../runtime/index.ts";
import { COULOMB_PER_AH } from "./intervals.ts";

export const currentError = quantity("A", NaN, {
  min: 0,
  doc: "standard error of the current's zero, as the cycler's data sheet or a measurement at open circuit says it; without it no standard errors",
});

export const currentGainError = quantity("1", NaN, {
  min: 0,
  doc: "relative standard error of the current's gain",
});

export function chargeError_Ah(
  charge_Ah: number,
  time_s: number,
  current_error: number,
  current_gain_error: number,
): number {
  if (Number.isNaN(current_error) && Number.isNaN(current_gain_error)) return NaN;
  const offset_Ah = ((current_error || 0) * time_s) / COULOMB_PER_AH;
  return Math.hypot(offset_Ah, (current_gain_error || 0) * charge_Ah);
}

/**
 * Standard error of a ratio of two charges, R = |Q1| / |Q0|, that one ammeter measured in opposite directions.
 *
 *     R_se = √( (i0 (T1 + R T0) / |Q0|)² + (m R)² )
 *
 * An offset adds to the one charge and takes from the other, so both terms add up; a gain that is the same in both
 * directions cancels, and m is by how much the two gains may differ.
 */
export function ratioError(
  ratio: number,
  { denominator_Ah, numerator_s, denominator_s }: { denominator_Ah: number; numerator_s: number; denominator_s: number }, // prettier-ignore
  current_error: number,
  gain_mismatch: number,
): number {
  if (Number.isNaN(current_error) && Number.isNaN(gain_mismatch)) return NaN;
  const offset_Ah = ((current_error || 0) * (numerator_s + ratio * denominator_s)) / COULOMB_PER_AH;
  return Math.hypot(offset_Ah / denominator_Ah, (gain_mismatch || 0) * ratio);
}

export const gainMismatch = quantity("1", NaN, {
  min: 0,
  doc: "relative standard error of the gain on charge against that on discharge, as where they use different ranges",
});
