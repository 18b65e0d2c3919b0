/**
 * Charge since the row before, from a cycler's own capacities of the step so far:
 *
 *     dq[k] = (Qc[k] - Qd[k]) - (Qc[k-1] - Qd[k-1])      within a step;  Qc[k] - Qd[k] at its first row
 *
 * so that over a step it adds up to what the cycler measured between the rows, which it does far more often than it writes one.
 * NaN where the capacity is missing, and at the next row, whose share of what passed is not known.
 */
import { scalar, type Field, type Fields } from "../../runtime/index.ts";
import type { NumberArray } from "./echem-file.ts";

const MILLIAMPERE_HOURS: Readonly<Record<string, number>> = { "A.h": 1000, "mA.s": 1 / 3600 }; // prettier-ignore

export const DQ: Field = scalar("mA.h", { doc: "charge since the row before, from the cycler's own capacities" }); // prettier-ignore

export class ChargePassed {
  readonly #factor: number;
  #step = NaN;
  #before = 0;

  /** Fields with `charge_capacity` and `discharge_capacity`. */
  constructor(fields: Fields) {
    this.#factor = MILLIAMPERE_HOURS[fields["charge_capacity"]?.unit ?? ""] ?? NaN;
  }

  /** True where these fields tell it. */
  static of(fields: Fields): boolean {
    return "discharge_capacity" in fields && (fields["charge_capacity"]?.unit ?? "") in MILLIAMPERE_HOURS;
  }

  /** Of the next rows [mA.h]. */
  take({ charge_capacity, discharge_capacity, step_count }: Readonly<Record<string, NumberArray>>): Float64Array {
    const dq = new Float64Array(step_count!.length);
    for (let i = 0; i < dq.length; i++) {
      const charge = charge_capacity![i]! - discharge_capacity![i]!;
      const begins = step_count![i] !== this.#step;
      dq[i] = (begins ? charge : charge - this.#before) * this.#factor;
      this.#step = step_count![i]!;
      this.#before = charge;
    }
    return dq;
  } // prettier-ignore
}

/**
 * The same from capacities that run on from step to step until a schedule resets them (Arbin):
 *
 *     dq[k] = (Qc[k] - Qc[k-1]) - (Qd[k] - Qd[k-1])
 *
 * Each of the two only grows: one that has fallen was reset, and holds what has passed since. NaN at the first row.
 */
export class RunningCharge {
  #charge = NaN;
  #discharge = NaN;

  /** Of the next rows [mA.h], of capacities in A.h. */
  take(charge_Ah: ArrayLike<number>, discharge_Ah: ArrayLike<number>): Float64Array {
    const dq = new Float64Array(charge_Ah.length);
    const grown = (now: number, before: number): number => (now < before ? now : now - before);
    for (let i = 0; i < dq.length; i++) {
      dq[i] = 1000 * (grown(charge_Ah[i]!, this.#charge) - grown(discharge_Ah[i]!, this.#discharge));
      this.#charge = charge_Ah[i]!;
      this.#discharge = discharge_Ah[i]!;
    }
    return dq;
  }
}
