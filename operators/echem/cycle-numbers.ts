/**
 * Which cycle and half cycle a record belongs to.
 *
 * A half cycle begins where the direction of the current turns; rests belong to the half cycle before. By current
 *
 *     charge-first       a cycle begins at a charge after a discharge
 *     discharge-first    a cycle begins at a discharge after a charge
 *     derived            whichever of the two the stream begins with
 *
 * and by `vendor` where the cycler's own number changes. All count from 0 at the first charge or discharge. These are
 * the conventions of NewareNDA's cycle_mode (chg, dchg, auto), which compares with what BTSDA shows.
 *
 * Where there is a vendor's number, the two ways to count are held against each other by the records of charge and
 * discharge: whether a rest goes to the one cycle or the next is no disagreement.
 */
import { signOf } from "./current-state.ts";

export type Convention = "vendor" | "charge-first" | "discharge-first" | "derived";

/** Plain, so that it can be saved. */
export interface Numbers {
  /** -1 before the first charge or discharge. */
  cycle: number;
  half: number;
  /** Sign of the current in the half cycle; 0 before the first. */
  sign: number;
  /** Sign of the current that a cycle by current begins with. */
  opening: number;
  byCurrent: number;
  /** The vendor's, of the last record that had one, and of the last one of charge or discharge; NaN where there is none. */
  vendor: number;
  vendorActive: number;
  /** How often, by current and vendor, a cycle began where by the other none did, and the vendor's number did not go up by one. */
  vendorAlone: number;
  currentAlone: number;
  skipped: number;
  match: Match;
}

/** Records of charge and discharge of the open cycle and of the open one by the other count. */
interface Match {
  records: number;
  /** In both; and in the other, since it began. */
  shared: number;
  other: number;
  /** Of the other count's cycle that shared most with the open one, if it ended in it. */
  bestShared: number;
  bestOther: number;
}

const freshMatch = (): Match => ({ records: 0, shared: 0, other: 0, bestShared: 0, bestOther: 0 });

export function freshNumbers(by: Convention): Numbers {
  const opening = by === "charge-first" ? 1 : by === "discharge-first" ? -1 : 0;
  return {
    cycle: -1, half: -1, sign: 0, opening, byCurrent: -1, vendor: NaN, vendorActive: NaN,
    vendorAlone: 0, currentAlone: 0, skipped: 0, match: freshMatch(),
  }; // prettier-ignore
}

/** True where a cycle begins at this record; `ended` is called before, while the numbers are still those of the last. */
export function count(n: Numbers, kind: number, vendor: number, by: Convention, ended: () => void): void {
  const sign = signOf(kind);
  const turns = sign !== 0 && sign !== n.sign;
  const first = turns && n.sign === 0;
  const begun = turns && !first && sign === n.opening; // by current
  const changed = !first && n.cycle >= 0 && vendor !== n.vendor && !Number.isNaN(vendor);
  const begins = by === "vendor" ? changed : begun;
  if (begins) ended();
  if (!Number.isNaN(vendor)) n.vendor = vendor;
  if (turns) {
    n.half++;
    n.sign = sign;
    if (n.opening === 0) n.opening = sign;
    if (first || begun) n.byCurrent++;
  }
  if (first || begins) {
    n.cycle++;
    n.match = { ...freshMatch(), other: n.match.other };
  }
  if (sign === 0 || Number.isNaN(vendor)) return;

  const stepped = !Number.isNaN(n.vendorActive) && vendor !== n.vendorActive;
  if (stepped && !begun) n.vendorAlone++;
  if (begun && !stepped) n.currentAlone++;
  if (stepped && vendor !== n.vendorActive + 1) n.skipped++;
  n.vendorActive = vendor;
  const { match } = n;
  if (by === "vendor" ? begun : stepped) {
    keepBest(match);
    match.shared = match.other = 0;
  }
  match.records++;
  match.shared++;
  match.other++;
}

function keepBest(match: Match): void {
  if (match.shared <= match.bestShared) return;
  match.bestShared = match.shared;
  match.bestOther = match.other;
}

/** Of the records in the open cycle and in the other count's cycle that has most of them, the share that is in both. */
export function agreement({ match }: Numbers): number {
  const best = { ...match };
  keepBest(best);
  return best.records > 0 ? best.bestShared / (best.records + best.bestOther - best.bestShared) : NaN;
}

/** What there is to say at the end, if the two ways to count disagree: one sentence for each kind. */
export function disagreements({ vendorAlone, currentAlone, skipped, opening }: Numbers): string[] {
  const begin = opening > 0 ? "a charge after a discharge" : "a discharge after a charge";
  const times = (n: number): string => (n === 1 ? "once" : `${n} times`);
  return [
    vendorAlone > 0 && `the cycler's cycle_count changed ${times(vendorAlone)} where no cycle began by current (${begin})`,
    currentAlone > 0 && `a cycle began by current (${begin}) ${times(currentAlone)} where the cycler's cycle_count did not change`,
    skipped > 0 && `the cycler's cycle_count went on by other than one ${times(skipped)}`,
  ].filter((text) => text !== false); // prettier-ignore
}
