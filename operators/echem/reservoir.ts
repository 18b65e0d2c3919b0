/**
 * Coulombic efficiency of a metal electrode by the reservoir method, from the sequence of half cycles.
 *
 *     CE = (n Q_C + Q_S) / (n Q_C + Q_T)
 *
 *     Q_T  first deposit                                         [A.h]
 *     Q_C  charge that is stripped and deposited again, n times  [A.h]
 *     Q_S  final strip, until the voltage says that nothing is left
 *
 * as CE = Σ strips / Σ deposits, which is the same where all Q_C are alike, and needs no nominal charge. A sequence is
 * what lies between two strips that reach the cut-off; with n = 0 it is one deposit and its strip, as the conditioning
 * before. It holds while a reservoir is left throughout: a strip that reaches the cut-off earlier ends the sequence there.
 *
 * Reference: Adams, Zheng, Ren, Xu & Zhang, Adv. Energy Mater. 8, 1702097 (2018); after Aurbach, Gofer &
 * Langzam, J. Electrochem. Soc. 136, 3198 (1989).
 */
export interface HalfCycle {
  readonly deposits: boolean;
  readonly charge_Ah: number;
  /** Over which it was measured. */
  readonly measured_s: number;
  /** Its voltage reached the cut-off in the direction of the strip. */
  readonly reachesCutoff: boolean;
  readonly gaps: number;
}

/** A sequence that has not come to its end. Plain, so that it can be saved. */
export interface Sequence {
  first_Ah: number;
  deposited_Ah: number;
  stripped_Ah: number;
  deposit_s: number;
  strip_s: number;
  deposits: number;
  strips: number;
  least_Ah: number;
  most_Ah: number;
  gaps: number;
}

export const FOUND = 0, ONE_DEPOSIT = 1, UNEQUAL = 2, GAPS = 3, NOT_FINISHED = 4, NO_DEPOSIT = 5; // prettier-ignore
export const RESERVOIR_STATUS = {
  [FOUND]: "found",
  [ONE_DEPOSIT]: "nothing was cycled between: efficiency of one deposit and its strip",
  [UNEQUAL]: "no reservoir sequence: the cycled charges differ",
  [GAPS]: "charge is missing: gaps in the records",
  [NOT_FINISHED]: "the stream ended before a strip reached the cut-off",
  [NO_DEPOSIT]: "stripped without a deposit before it",
};

export interface Efficiency {
  readonly status: number;
  readonly cycles: number;
  readonly efficiency: number;
  readonly first_Ah: number;
  /** Mean of the cycled charges; NaN where nothing was cycled. */
  readonly cycled_Ah: number;
  readonly final_Ah: number;
  readonly deposited_Ah: number;
  readonly strip_s: number;
  readonly deposit_s: number;
}

export const noSequence = (): Sequence => ({
  first_Ah: NaN, deposited_Ah: 0, stripped_Ah: 0, deposit_s: 0, strip_s: 0, deposits: 0, strips: 0,
  least_Ah: Infinity, most_Ah: -Infinity, gaps: 0,
}); // prettier-ignore

/** Takes a finished half cycle; what the sequence came to, if this was its final strip, or one with nothing before it. */
export function addHalfCycle(
  sequence: Sequence,
  half: HalfCycle,
  sameCharge: number,
): Efficiency | undefined {
  sequence.gaps += half.gaps;
  if (half.deposits) {
    if (sequence.deposits === 0) sequence.first_Ah = half.charge_Ah;
    else widen(sequence, half.charge_Ah);
    sequence.deposits++;
    sequence.deposited_Ah += half.charge_Ah;
    sequence.deposit_s += half.measured_s;
    return undefined;
  }
  sequence.stripped_Ah += half.charge_Ah;
  sequence.strip_s += half.measured_s;
  if (half.reachesCutoff || sequence.deposits === 0) return closed(sequence, half.charge_Ah, sameCharge);
  widen(sequence, half.charge_Ah);
  sequence.strips++;
  return undefined;
}

function widen(sequence: Sequence, charge_Ah: number): void {
  sequence.least_Ah = Math.min(sequence.least_Ah, charge_Ah);
  sequence.most_Ah = Math.max(sequence.most_Ah, charge_Ah);
}

/** What a sequence came to. `final_Ah` is NaN where no strip reached the cut-off. */
export function closed(sequence: Sequence, final_Ah: number, sameCharge: number): Efficiency {
  const { first_Ah, deposited_Ah, stripped_Ah, deposits, strips, least_Ah, most_Ah } = sequence;
  const status =
    deposits === 0 ? NO_DEPOSIT
    : Number.isNaN(final_Ah) ? NOT_FINISHED
    : sequence.gaps > 0 || Number.isNaN(stripped_Ah / deposited_Ah) ? GAPS
    : strips === 0 && deposits === 1 ? ONE_DEPOSIT
    : strips !== deposits - 1 || most_Ah - least_Ah > sameCharge * most_Ah ? UNEQUAL
    : FOUND; // prettier-ignore
  return {
    status,
    cycles: strips,
    efficiency: status === FOUND || status === ONE_DEPOSIT ? stripped_Ah / deposited_Ah : NaN,
    first_Ah,
    cycled_Ah: strips > 0 ? (stripped_Ah - (Number.isNaN(final_Ah) ? 0 : final_Ah)) / strips : NaN,
    final_Ah,
    deposited_Ah,
    strip_s: sequence.strip_s,
    deposit_s: sequence.deposit_s,
  };
}
