/**
 * The columns that every electrochemistry stream has, in BDF's names (Battery Data Format, ontology 1.3.0), beside
 * the vendor's own: `test_time_second`, `voltage_volt`, `current_ampere` (positive on charge), `cycle_count`.
 */
import { code, scalar, type Fields } from "../../runtime/index.ts";
import { toCounts } from "./column-map.ts";
import type { NumberArray } from "./echem-file.ts";

/** What current is made from. */
export type CurrentBasis =
  | { readonly column: string; readonly kind: "measured" }
  | { readonly column: "dq"; readonly kind: "charge" }
  | undefined;

export interface Bdf {
  readonly fields: Fields;
  readonly voltage: string | undefined;
  readonly current: CurrentBasis;
  readonly cycles: boolean;
}

const VOLTAGES = ["ewe", "ewe_mean"];
const CURRENTS = ["current_mean", "current"];

/** Which of the vendor's columns the BDF columns are made from. */
export function bdfOf(vendor: Fields): Bdf {
  const voltage = VOLTAGES.find((name) => name in vendor);
  const measured = CURRENTS.find((name) => name in vendor);
  const current: CurrentBasis =
    measured ? { column: measured, kind: "measured" }
    : "dq" in vendor ? { column: "dq", kind: "charge" }
    : undefined; // prettier-ignore
  const cycles = "cycle_number" in vendor;
  const called = (name: string | undefined): { vendor_name?: string } => {
    const vendor_name = name === undefined ? undefined : vendor[name]?.vendor_name;
    return vendor_name === undefined ? {} : { vendor_name };
  };
  const doc =
    !current ? "not measured in this file"
    : current.kind === "charge" ? "mean over the time since the row before: dq / dt, as EC-Lab's own text export has it"
    : "positive on charge"; // prettier-ignore
  return {
    voltage, current, cycles,
    fields: {
      voltage_volt: scalar("V", { ...called(voltage), ...(voltage ? {} : { doc: "not measured in this file" }) }),
      current_ampere: scalar("A", { ...called(current?.column), doc }),
      ...(cycles && { cycle_count: code(called("cycle_number")) }),
    },
  }; // prettier-ignore
}

const COULOMB_PER_MAH = 3.6;

/**
 * Mean current over the time since the row before [A], from the charge passed in it [mA.h] and test time [s].
 * NaN where no time passed, and at the first row of a file.
 */
export function meanCurrent(
  dq_mAh: ArrayLike<number>,
  time_s: ArrayLike<number>,
  before_s: number,
): Float64Array {
  const current_A = new Float64Array(dq_mAh.length);
  for (let i = 0; i < current_A.length; i++) {
    const dt_s = time_s[i]! - (i === 0 ? before_s : time_s[i - 1]!);
    current_A[i] = dt_s > 0 ? (dq_mAh[i]! * COULOMB_PER_MAH) / dt_s : NaN;
  }
  return current_A;
}

function amperes(current_mA: ArrayLike<number>): Float64Array {
  const current_A = new Float64Array(current_mA);
  for (let i = 0; i < current_A.length; i++) current_A[i]! /= 1000;
  return current_A;
}

/** The BDF columns of some rows; `before_s` is the test time of the row before them, NaN at the start of a file. */
export function bdfColumns(
  bdf: Bdf,
  vendor: Readonly<Record<string, NumberArray>>,
  rows: number,
  before_s: number,
): Record<string, Float64Array | Int32Array> {
  const { voltage, current, cycles } = bdf;
  if (rows === 0) return {};
  const missing = (): Float64Array => new Float64Array(rows).fill(NaN);
  return {
    voltage_volt: voltage ? new Float64Array(vendor[voltage]!) : missing(),
    current_ampere:
      !current ? missing()
      : current.kind === "charge" ? meanCurrent(vendor["dq"]!, vendor["test_time_second"]!, before_s)
      : amperes(vendor[current.column]!), // prettier-ignore
    ...(cycles && { cycle_count: toCounts(vendor["cycle_number"]!).counts }),
  };
}
