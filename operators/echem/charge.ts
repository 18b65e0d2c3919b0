import { code, defineOperator, scalar } from "../../runtime/index.ts";
import { chargeError_Ah, currentError, currentGainError } from "./current-error.ts";
import { signOf, STATES, UNKNOWN } from "./current-state.ts";
import { addTo, COULOMB_PER_AH, COULOMB_PER_MAH, gapFactor, nothingBefore, pass, STEP_BEGINS, totalOf, zero, type Before, type Sum } from "./intervals.ts"; // prettier-ignore
import { noneAlone, pairsOf, tellAlone, type Alone } from "./record-pairs.ts";

/**
 * Charge beside every record: since the start of the stream, and since its half cycle began.
 *
 *     Q[k] = Q[k-1] + q[k]       q  what passed since the record before (intervals.ts)     [A.h]
 *
 * Summed record by record with Neumaier's compensation, so that a million records lose nothing and no bit depends on
 * how they were cut into batches. Where nothing was integrated Q stays as it was, and `gap` says why; over the change of
 * a step no more than the current of one interval is left out. Q is NaN until something was measured.
 *
 * `charge_ampere_hour` is positive on charge. `half_cycle_charge_ampere_hour` counts in the direction of its half
 * cycle, so that it grows in both, and V against it is the usual plot; before the first half cycle it is NaN. What
 * passes at rest counts in both.
 *
 *     Q_se² = (current_error T)² + (current_gain_error Q)²      T  time that was integrated over
 */
const NONE = 0, NOT_MEASURED = 1, STEP_CHANGED = 2; // prettier-ignore

interface Total {
  charge_C: Sum;
  charged_s: number;
  /** Something was measured. */
  known: boolean;
}
const nothing = (): Total => ({ charge_C: zero(), charged_s: 0, known: false });

interface State {
  before: Before;
  step: number;
  half: number;
  /** Sign of the current in the half cycle; 0 before the first. */
  sign: number;
  net: Total;
  inHalf: Total;
  /** Before the first half cycle: of the open step, while nobody can tell what it is. */
  early: Total;
  alone: Alone;
}

export const charge = defineOperator({
  name: "echem/charge",
  doc: "Charge beside every record: net since the start, and since its half cycle began",
  input: {
    echem: {
      voltage_volt: scalar("V"),
      current_ampere: scalar("A"),
      dq: scalar("mA.h", { optional: true }),
    },
    state: { cycle_index: code(), half_cycle_index: code(), step_index: code(), kind: code() },
  },
  output: {
    charge: {
      voltage_volt: scalar("V"),
      current_ampere: scalar("A", { doc: "positive on charge" }),
      kind: code({ codes: STATES, doc: "what the cell is doing" }),
      step_index: code(),
      cycle_index: code({ doc: "-1 before the first charge or discharge" }),
      half_cycle_index: code({ doc: "-1 before the first charge or discharge" }),
      charge_ampere_hour: scalar("A.h", {
        uncertainty: "charge_ampere_hour_se",
        doc: "net since the start of the stream, positive on charge",
      }),
      charge_ampere_hour_se: scalar("A.h", {
        doc: "of the ammeter's zero and gain; NaN unless these are given",
      }),
      half_cycle_charge_ampere_hour: scalar("A.h", {
        uncertainty: "half_cycle_charge_ampere_hour_se",
        doc: "since the half cycle began, in its direction",
      }),
      half_cycle_charge_ampere_hour_se: scalar("A.h"),
      gap: code({
        type: "u8",
        codes: {
          [NONE]: "integrated since the record before",
          [NOT_MEASURED]: "not integrated: a gap in the records, or no current",
          [STEP_CHANGED]: "not integrated: a step begins",
        },
      }),
    },
  },
  config: { gap_factor: gapFactor, current_error: currentError, current_gain_error: currentGainError },
  start({ gap_factor, current_error, current_gain_error }, { inputs }) {
    const measured = "dq" in inputs.echem.fields;
    let s: State = {
      before: nothingBefore(), step: -1, half: -1, sign: 0, net: nothing(), inHalf: nothing(), early: nothing(), alone: noneAlone(),
    }; // prettier-ignore
    const error = (charge_Ah: number, { charged_s }: Total): number =>
      chargeError_Ah(charge_Ah, charged_s, current_error, current_gain_error);

    return {
      step({ echem, state }, out, upTo) {
        const pairs = pairsOf(echem.time, state.time);
        const { length, a, b } = pairs;
        const fault = (time: bigint, what: string): void => out.fault(time, what);
        tellAlone(s.alone, pairs, { from: "echem/cycles", ended: upTo === Infinity, fault });
        const floats = (): Float64Array => new Float64Array(length);
        const codes = (): Int32Array => new Int32Array(length);
        const rows = {
          time: new BigInt64Array(length),
          voltage_volt: floats(), current_ampere: floats(),
          kind: codes(), step_index: codes(), cycle_index: codes(), half_cycle_index: codes(),
          charge_ampere_hour: floats(), charge_ampere_hour_se: floats(),
          half_cycle_charge_ampere_hour: floats(), half_cycle_charge_ampere_hour_se: floats(),
          gap: new Uint8Array(length),
        }; // prettier-ignore

        for (let k = 0; k < length; k++) {
          const [i, j] = [a[k]!, b[k]!];
          const time = echem.time[i]!;
          const voltage_V = echem.voltage_volt[i]!;
          const current_A = echem.current_ampere[i]!;
          const dq_C = measured ? echem.dq[i]! * COULOMB_PER_MAH : NaN;
          const kind = state.kind[j]!;
          const step = state.step_index[j]!;
          const half = state.half_cycle_index[j]!;
          const begins = step !== s.step;
          s.step = step;
          const { what, dt_s, charge_C } = pass(
            s.before,
            { time, current_A, voltage_V, dq_C },
            begins,
            gap_factor,
          );
          if (begins) s.early = nothing();
          if (half !== s.half) {
            // What passed in its step before anyone could tell what that was belongs to the first half cycle.
            s.inHalf = s.half < 0 ? s.early : nothing();
            s.half = half;
            s.sign = signOf(kind);
          }
          add(s.net, charge_C, dt_s, current_A);
          if (half >= 0) add(s.inHalf, charge_C, dt_s, current_A);
          else if (kind === UNKNOWN) add(s.early, charge_C, dt_s, current_A);

          const net_Ah = chargeOf(s.net);
          const half_Ah = half < 0 ? NaN : s.sign * chargeOf(s.inHalf) + 0; // never -0
          rows.time[k] = time;
          rows.voltage_volt[k] = voltage_V;
          rows.current_ampere[k] = current_A;
          rows.kind[k] = kind;
          rows.step_index[k] = step;
          rows.cycle_index[k] = state.cycle_index[j]!;
          rows.half_cycle_index[k] = half;
          rows.charge_ampere_hour[k] = net_Ah;
          rows.charge_ampere_hour_se[k] = error(net_Ah, s.net);
          rows.half_cycle_charge_ampere_hour[k] = half_Ah;
          rows.half_cycle_charge_ampere_hour_se[k] = error(half_Ah, s.inHalf);
          rows.gap[k] =
            Number.isFinite(charge_C) ? NONE
            : what === STEP_BEGINS ? STEP_CHANGED
            : NOT_MEASURED; // prettier-ignore
        }
        out.charge.put(rows);
      },
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };
  },
});

function add(total: Total, charge_C: number, dt_s: number, current_A: number): void {
  if (Number.isFinite(charge_C)) {
    addTo(total.charge_C, charge_C);
    total.charged_s += dt_s;
    total.known = true;
  } else if (Number.isFinite(current_A)) total.known = true;
}

const chargeOf = ({ charge_C, known }: Total): number => (known ? totalOf(charge_C) / COULOMB_PER_AH : NaN);
