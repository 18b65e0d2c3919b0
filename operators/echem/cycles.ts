import { choice, code, defineOperator, scalar, WiringError, type Fields } from "../../runtime/index.ts";
import { currentError, currentGainError } from "./current-error.ts";
import { signOf, STATES, UNKNOWN } from "./current-state.ts";
import {
  agreement,
  count,
  disagreements,
  freshNumbers,
  type Convention,
  type Numbers,
} from "./cycle-numbers.ts";
import {
  addRecord,
  addToSide,
  cycleSummary,
  freshCycle,
  freshSide,
  type Cycle,
  type Side,
} from "./cycle-sums.ts";
import { COULOMB_PER_MAH, gapFactor, nothingBefore, pass, type Before } from "./intervals.ts";
import { noneAlone, pairsOf, tellAlone, type Alone } from "./record-pairs.ts";

/**
 * The cycles of a test: one row of `cycles` for each that has finished, and one of `state` for every record.
 *
 *     Q = |sum q|             [A.h]    over the records of charge, and over those of discharge
 *     E = ± sum e             [W.h]    positive if the cell took it up on charge, gave it out on discharge
 *     V = E / Q               [V]      over charge, as a voltage efficiency needs it
 *     Q_se² = (current_error T)² + (current_gain_error Q)²
 *
 * with q and e of the intervals between records (intervals.ts). What passes at rest is in neither, nor what would have
 * passed in a gap: `gaps` counts the intervals of charge and discharge that nothing was integrated over, for want of
 * records or of current.
 *
 * Where a cycle begins is said by `by` (cycle-numbers.ts). A row is timed by its cycle's last record. The last cycle, in
 * which the stream ends, is given too, and says so in `complete`: nobody knows whether it would have gone on.
 *
 * `agreement`: of the records of charge and discharge in this cycle, and in that cycle which has most of them by the
 * other way to count (the vendor's, or by current), the share that is in both. 1: they agree; NaN: the cycler does not count.
 */
const outputs = {
  cycles: {
    cycle_index: code({ doc: "counts from 0" }),
    vendor_cycle: scalar("1", { doc: "the cycler's own number at the end; NaN where it has none" }),
    start: scalar("ns", { type: "i64", doc: "time of the cycle's first record; its own time is that of its last" }),
    duration: scalar("s"),
    rows: scalar("{row}"),
    begins_with: code({ codes: { 1: "charge", 2: "discharge" } }),
    complete: code({
      codes: { 0: "the stream ended in it", 1: "complete", 2: "charge or discharge alone" },
    }),
    charge_capacity_ampere_hour: scalar("A.h", { uncertainty: "charge_capacity_ampere_hour_se" }),
    charge_capacity_ampere_hour_se: scalar("A.h", { doc: "of the ammeter's zero and gain; NaN unless these are given" }),
    discharge_capacity_ampere_hour: scalar("A.h", { uncertainty: "discharge_capacity_ampere_hour_se" }),
    discharge_capacity_ampere_hour_se: scalar("A.h"),
    constant_voltage_charge_capacity_ampere_hour: scalar("A.h", { doc: "of the charge, what passed at constant voltage" }),
    charge_energy_watt_hour: scalar("W.h", { doc: "taken up" }),
    discharge_energy_watt_hour: scalar("W.h", { doc: "given out" }),
    charge_mean_voltage_volt: scalar("V", { doc: "over charge: energy by capacity" }),
    discharge_mean_voltage_volt: scalar("V", { doc: "over charge: energy by capacity" }),
    charge_end_voltage_volt: scalar("V"),
    discharge_end_voltage_volt: scalar("V"),
    charge_duration: scalar("s"),
    discharge_duration: scalar("s"),
    rest_duration: scalar("s"),
    charge_measured_duration: scalar("s", { doc: "of the charge, over which its capacity was measured" }),
    discharge_measured_duration: scalar("s", { doc: "of the discharge, over which its capacity was measured" }),
    gaps: scalar("1", { doc: "intervals of charge and discharge that nothing was integrated over" }),
    gap_duration: scalar("s", { doc: "their sum" }),
    agreement: scalar("1", { doc: "between the cycler's number and the count by current" }),
  },
  state: {
    cycle_index: code({ doc: "counts from 0; -1 before the first charge or discharge" }),
    half_cycle_index: code({ doc: "counts from 0; -1 before the first charge or discharge" }),
    step_index: code(),
    kind: code({ codes: STATES }),
  },
} as const; // prettier-ignore

const ENDED_IN_IT = 0, COMPLETE = 1, ALONE = 2; // prettier-ignore

interface State {
  numbers: Numbers;
  before: Before;
  step: number;
  cycle: Cycle | undefined;
  /** Before the first charge or discharge: what the open step had while nobody could tell what it was, and since when. */
  early: Side;
  earlyStart: bigint | undefined;
  earlyRows: number;
  alone: Alone;
}

export const cycles = defineOperator({
  name: "echem/cycles",
  doc: "Cycles of a test: their capacities, energies, voltages and durations, and the cycle that each record belongs to",
  input: {
    echem: {
      voltage_volt: scalar("V"),
      current_ampere: scalar("A"),
      dq: scalar("mA.h", { optional: true }),
      cycle_count: code({ optional: true }),
    },
    state: { step_index: code(), kind: code() },
  },
  output({ echem }: { echem: Fields }, { by }) {
    if (by === "vendor" && !("cycle_count" in echem))
      throw new WiringError("by: vendor needs cycle_count, which its stream has not; write by: auto");
    return outputs;
  },
  config: {
    by: choice(["auto", "vendor", "charge-first", "discharge-first", "derived"], "auto", {
      doc: "where a cycle begins. vendor: where the cycler's cycle_count changes; charge-first: at a charge after a discharge; discharge-first: the other way round; derived: whichever the stream begins with; auto: vendor where the cycler counts, else derived",
    }),
    gap_factor: gapFactor,
    current_error: currentError,
    current_gain_error: currentGainError,
  },
  start({ by, gap_factor, ...errors }, { inputs }) {
    const given = inputs.echem.fields;
    const counted = "cycle_count" in given;
    const convention: Convention = by === "auto" ? (counted ? "vendor" : "derived") : by;
    let s: State = {
      numbers: freshNumbers(convention), before: nothingBefore(), step: -1, cycle: undefined,
      early: freshSide(), earlyStart: undefined, earlyRows: 0, alone: noneAlone(),
    }; // prettier-ignore

    return {
      step({ echem, state }, out, upTo) {
        const pairs = pairsOf(echem.time, state.time);
        const { length, a, b } = pairs;
        const fault = (time: bigint, what: string): void => out.fault(time, what);
        tellAlone(s.alone, pairs, { from: "echem/steps", ended: upTo === Infinity, fault });
        const told = {
          time: new BigInt64Array(length), cycle_index: new Int32Array(length), half_cycle_index: new Int32Array(length),
          step_index: new Int32Array(length), kind: new Int32Array(length),
        }; // prettier-ignore

        const give = (goesOn: boolean): void => {
          const { cycle } = s;
          if (!cycle) return;
          const both = cycle.charge.records > 0 && cycle.discharge.records > 0;
          out.cycles.add({
            time: cycle.end,
            cycle_index: s.numbers.cycle,
            vendor_cycle: s.numbers.vendor,
            complete: !goesOn ? ENDED_IN_IT : both ? COMPLETE : ALONE,
            ...cycleSummary(cycle, errors),
            agreement: agreement(s.numbers),
          });
          s.cycle = undefined;
        };
        const ended = (): void => give(true);

        for (let k = 0; k < length; k++) {
          const [i, j] = [a[k]!, b[k]!];
          const time = echem.time[i]!;
          const voltage_V = echem.voltage_volt[i]!;
          const kind = state.kind[j]!;
          const step = state.step_index[j]!;
          const record = {
            time, voltage_V, current_A: echem.current_ampere[i]!,
            dq_C: given["dq"] ? echem.dq[i]! * COULOMB_PER_MAH : NaN,
          }; // prettier-ignore
          const begins = step !== s.step;
          s.step = step;
          const passed = pass(s.before, record, begins, gap_factor);
          const vendor = counted && echem.cycle_count[i]! >= 0 ? echem.cycle_count[i]! : NaN; // -1: not in the file
          count(s.numbers, kind, vendor, convention, ended);
          const { cycle: index, half } = s.numbers;
          if (index < 0) {
            if (begins) [s.early, s.earlyStart, s.earlyRows] = [freshSide(), undefined, 0];
            if (kind === UNKNOWN) {
              addToSide(s.early, kind, passed, voltage_V);
              s.earlyStart ??= time;
              s.earlyRows++;
            }
          } else {
            s.cycle ??= firstOf(index, time, begins, kind);
            addRecord(s.cycle, kind, passed, voltage_V);
            s.cycle.end = time;
            s.cycle.end_s = echem.seconds[i]!;
          }
          told.time[k] = time;
          told.cycle_index[k] = index;
          told.half_cycle_index[k] = half;
          told.step_index[k] = step;
          told.kind[k] = kind;
        }
        out.state.put(told);
        if (upTo < Infinity) return;
        const last = s.before.time;
        give(false);
        if (last === undefined) return;
        for (const text of disagreements(s.numbers)) out.fault(last, text);
      },
      // A cycle is timed by its last record, which is the last taken or a later one.
      holds: () => ({ cycles: s.cycle?.end_s ?? Infinity }),
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };

    /** The first cycle has the records of its step that came before anyone could tell what it was. */
    function firstOf(index: number, time: bigint, begins: boolean, kind: number): Cycle {
      if (index > 0 || begins || s.earlyStart === undefined) return freshCycle(time);
      const cycle = freshCycle(s.earlyStart);
      cycle.rows = s.earlyRows;
      if (signOf(kind) > 0) cycle.charge = s.early;
      else cycle.discharge = s.early;
      cycle.first = signOf(kind);
      return cycle;
    }
  },
});
