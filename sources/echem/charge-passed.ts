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
