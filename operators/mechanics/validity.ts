import type { Contact } from "./contact-fit.ts";

/** Why a force curve has no modulus, and what to beware of where it has one. */
export const FITTED = 0, NO_CONTACT = 1, SHORT_BASELINE = 2, SATURATED = 3, FEW_SAMPLES = 4, MISSING = 5, SHORT_CONTACT = 6, STIFFER_THAN_TIP = 7, NO_ADHESION = 8; // prettier-ignore
export const REASONS = {
  [FITTED]: "fitted",
  [NO_CONTACT]: "no contact that stands out of the noise",
  [SHORT_BASELINE]: "baseline too short: in contact from the start",
  [SATURATED]: "force saturated",
  [FEW_SAMPLES]: "too few samples in the segment",
  [MISSING]: "force, height or spring constant missing, or no spring constant above zero",
  [SHORT_CONTACT]: "too few samples in contact",
  [STIFFER_THAN_TIP]: "at least as stiff as the tip",
  [NO_ADHESION]: "no adhesion that stands out of the noise",
};

/** Bits: a curve may have several. */
export const SOFT_LEVER = 1, SUBSTRATE = 2, TOO_DEEP = 4, GAPS = 8; // prettier-ignore
const WARNINGS = [
  [SOFT_LEVER, "lever too soft for this sample"],
  [SUBSTRATE, "substrate felt"],
  [TOO_DEEP, "deeper than the model holds"],
  [GAPS, "samples missing"],
] as const;

/** Every sum of bits by its words. */
export const FLAGS: Readonly<Record<number, string>> = Object.fromEntries(
  Array.from({ length: 2 ** WARNINGS.length }, (_, bits) => {
    const said = WARNINGS.filter(([bit]) => bits & bit).map(([, text]) => text);
    return [bits, said.length > 0 ? said.join(", ") : "none"];
  }),
);

export const LEAST_SAMPLES = 16;
const LEAST_IN_CONTACT = 5;

export interface Demands {
  readonly min_baseline: number;
  readonly min_significance: number;
}

export function verdict(samples: number, fit: Contact, { min_baseline, min_significance }: Demands): number {
  const explained = fit.chiSquareFlat_N2 - fit.chiSquare_N2;
  if (
    !(fit.reducedModulus_Pa > 0) ||
    !(explained * (samples - 3) >= min_significance ** 2 * fit.chiSquare_N2)
  )
    return NO_CONTACT;
  if (fit.samplesInContact < LEAST_IN_CONTACT) return SHORT_CONTACT;
  if (samples - fit.samplesInContact < Math.max(3, min_baseline * samples)) return SHORT_BASELINE;
  return FITTED;
}
