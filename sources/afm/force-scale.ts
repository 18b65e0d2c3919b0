import { inForce, type Calibration } from "./afm-file.ts";

/** What a file gives its deflection in. */
export type DeflectionUnit = "V" | "m" | "N";

export interface ForceScale extends Calibration {
  /** Force in N of one unit of the deflection; NaN where a calibration is missing. */
  readonly force_N: number;
}

/**
 * Force of a deflection that the file gives in volts, metres or newtons.
 *
 *     F = V s k          F = d k (s / s_file)          F = F_file (k / k_file) (s / s_file)
 *
 *     s, k            in force: by hand before the file's
 *     s_file, k_file  those that the instrument computed with
 *
 * What the instrument computed stands without the file saying what with; a calibration by hand then has nothing
 * that it could be compared with, so force is NaN.
 */
export function forceScale(
  unit: DeflectionUnit,
  file: Calibration,
  byHand: Calibration,
  warnings: string[],
): ForceScale {
  const needed = (key: keyof Calibration, name: "spring_constant" | "deflection_sensitivity"): number =>
    inForce(byHand[key], file[key], name, warnings);
  const k = "springConstant_N_per_m", s = "deflectionSensitivity_m_per_V"; // prettier-ignore
  /** Of a calibration that is in the numbers already: how much it changes them. */
  const change = (
    key: keyof Calibration,
    name: "spring_constant" | "deflection_sensitivity",
  ): readonly [factor: number, value: number] => {
    const [own, given] = [file[key] > 0 && file[key] < Infinity ? file[key] : NaN, byHand[key]];
    if (Number.isNaN(given)) {
      if (Number.isNaN(own)) warnings.push(`${name} is not in the file; force stands as the instrument computed it`); // prettier-ignore
      return [1, own];
    }
    if (Number.isNaN(own)) warnings.push(`${name} is set by hand, but the file does not say the one that its deflection [${unit}] was computed with, so force is NaN`); // prettier-ignore
    return [given / own, given];
  };
  if (unit === "V") {
    const sensitivity = needed(s, "deflection_sensitivity");
    const spring = needed(k, "spring_constant");
    return { force_N: sensitivity * spring, [s]: sensitivity, [k]: spring };
  }
  const [bySensitivity, sensitivity] = change(s, "deflection_sensitivity");
  if (unit === "m") {
    const spring = needed(k, "spring_constant");
    return { force_N: bySensitivity * spring, [s]: sensitivity, [k]: spring };
  }
  const [bySpring, spring] = change(k, "spring_constant");
  return { force_N: bySensitivity * bySpring, [s]: sensitivity, [k]: spring };
}
