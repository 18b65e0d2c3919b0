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
  /** The cycler's sum of charge, which tells what passed since the row before where no column does. */
  readonly sum: { readonly column: string; readonly mAh: number } | undefined;
}

/** The row before, of which the next ones need this; NaN at the start of a file. */
export interface Before {
  time_s: number;
  /** As the file has it. */
  sum: number;
}
export const nothingBefore = (): Before => ({ time_s: NaN, sum: NaN });

const VOLTAGES = ["ewe", "ewe_mean"];
const CURRENTS = ["current_mean", "current"];
/** (Q-Qo), by its unit: its differences are dq to the last digit in files that have both. */
const SUMS = [
  { column: "q_minus_qo", mAh: 1 },
  { column: "q_minus_qo_coulomb", mAh: 1 / 3.6 },
] as const;

/** Which of the vendor's columns the BDF columns are made from. */
export function bdfOf(vendor: Fields): Bdf {
  const voltage = VOLTAGES.find((name) => name in vendor);
  const measured = CURRENTS.find((name) => name in vendor);
  const current: CurrentBasis =
    measured ? { column: measured, kind: "measured" }
    : "dq" in vendor ? { column: "dq", kind: "charge" }
    : undefined; // prettier-ignore
  const cycles = "cycle_number" in vendor;
  const sum = "dq" in vendor ? undefined : SUMS.find(({ column }) => column in vendor);
  const called = (name: string | undefined): { vendor_name?: string } => {
    const vendor_name = name === undefined ? undefined : vendor[name]?.vendor_name;
    return vendor_name === undefined ? {} : { vendor_name };
  };
  const doc =
    !current ? "not measured in this file"
    : current.kind === "charge" ? "mean over the time since the row before: dq / dt, as EC-Lab's own text export has it"
    : "positive on charge"; // prettier-ignore
  return {
    voltage, current, cycles, sum,
    fields: {
      voltage_volt: scalar("V", { ...called(voltage), ...(voltage ? {} : { doc: "not measured in this file" }) }),
      current_ampere: scalar("A", { ...called(current?.column), doc }),
      ...(cycles && { cycle_count: code(called("cycle_number")) }),
      ...(sum && { dq: scalar("mA.h", { ...called(sum.column), doc: "charge since the row before, from the cycler's sum" }) }),
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
  let last_s = before_s;
  for (let i = 0; i < current_A.length; i++) {
    const dt_s = time_s[i]! - last_s;
    last_s = time_s[i]!;
    if (dt_s > 0) current_A[i] = (dq_mAh[i]! * COULOMB_PER_MAH) / dt_s;
    else current_A[i] = NaN;
  }
  return current_A;
}

function amperes(current_mA: ArrayLike<number>): Float64Array {
  const current_A = new Float64Array(current_mA);
  for (let i = 0; i < current_A.length; i++) current_A[i]! /= 1000;
  return current_A;
}

/** What passed between rows [mA.h]. Where the cycler begins its sum again, at nought, nobody knows. */
function differences(sum: ArrayLike<number>, factor: number, before: number): Float64Array {
  return Float64Array.from(sum, (value, i) => {
    const last = i === 0 ? before : sum[i - 1]!;
    return value === 0 && last !== 0 ? NaN : (value - last) * factor;
  });
}

/** The columns of ours for some rows. `before` is the row before them, and from then on the last of them. */
export function bdfColumns(
  bdf: Bdf,
  vendor: Readonly<Record<string, NumberArray>>,
  rows: number,
  before: Before,
): Record<string, Float64Array | Int32Array> {
  const { voltage, current, cycles, sum } = bdf;
  if (rows === 0) return {};
  const missing = (): Float64Array => new Float64Array(rows).fill(NaN);
  const { time_s, sum: summed } = before;
  before.time_s = vendor["test_time_second"]?.[rows - 1] ?? NaN;
  if (sum) before.sum = vendor[sum.column]![rows - 1]!;
  return {
    voltage_volt: voltage ? new Float64Array(vendor[voltage]!) : missing(),
    current_ampere:
      !current ? missing()
      : current.kind === "charge" ? meanCurrent(vendor["dq"]!, vendor["test_time_second"]!, time_s)
      : amperes(vendor[current.column]!), // prettier-ignore
    ...(cycles && { cycle_count: toCounts(vendor["cycle_number"]!).counts }),
    ...(sum && { dq: differences(vendor[sum.column]!, sum.mAh, summed) }),
  };
}
