import {
  choice,
  code,
  defineOperator,
  integer,
  quantity,
  scalar,
  WiringError,
  type Fields,
} from "../../runtime/index.ts";
import {
  freshMemory, observe, REST, stateAt, STATES, UNKNOWN, WARM_UP, type Memory,
} from "./current-state.ts"; // prettier-ignore
import { COULOMB_PER_MAH, gapFactor, nothingBefore, type Before } from "./intervals.ts";
import {
  freshStep,
  kindCalled,
  kindOf,
  RESTING,
  summary,
  take as takeRow,
  type Row,
  type Step,
} from "./step-sums.ts";

/**
 * The steps of a cycling test: one row of `steps` for each that has finished, and one of `state` for every record.
 *
 *     Q = sum (I[k] + I[k-1]) / 2 * dt      [A.h]   over the intervals within the step
 *     E = sum (V I)[k, k-1] mean * dt       [W.h]
 *     V = sum (V[k] + V[k-1]) / 2 * dt / sum dt
 *
 * summed record by record. Where the file has the charge that the cycler itself measured between two records (`dq`),
 * that is summed in place of the first, and E = sum (V[k] + V[k-1]) / 2 * dq.
 *
 * The cycler's own counts (`step_count`, else `ns` and `half_cycle`, and with them `mode`) say where a step ends; a
 * file without them is cut by what current and voltage do (current-state.ts), where a new state must last for
 * `min_dwell` records. What a counted step is called is said by the cycler's step type (`status`, a code with names such as
 * CC_Chg) or `mode`, else by its records. `agreement` is the share of a step's records whose current says what the step is called.
 *
 * An interval longer than `gap_factor` times the longest of the last 64 of its step is a gap: nothing is integrated over
 * it, and it is counted. Nor is anything over a record without current or voltage, or over the change of a step
 * (intervals.ts).
 *
 * A step is timed by its last record; `start` is its first. What was not measured is NaN.
 */

/** No current was measured in so many records: it is not waited for any longer. */
const MOST_WAITING = 1024;

interface State {
  index: number;
  /** The cycler's counts at the open step. */
  counts: number[];
  step: Step | undefined;
  /** State of the open step as far as it is known. */
  kind: number;
  /** The noise is known, and the first records have been told by it. */
  told: boolean;
  /** State that the last record told. */
  toldLast: number;
  /** Records that wait: for that, or for a new state to last. */
  waiting: Row[];
  before: Before;
  memory: Memory;
}

const COUNTS = ["step_count", "ns", "half_cycle", "mode"] as const;

const outputs = (measured: boolean) => ({
  steps: {
    step_index: code({ doc: "counts from 0" }),
    kind: code({ codes: STATES }),
    start: scalar("ns", {
      type: "i64",
      doc: "time of the step's first record; its own time is that of its last",
    }),
    duration: scalar("s"),
    rows: scalar("{row}"),
    charge_ampere_hour: scalar("A.h", {
      doc: measured ? "positive on charge; from the cycler's own dq" : "positive on charge; trapezoidal",
    }),
    energy_watt_hour: scalar("W.h", { doc: "positive on charge" }),
    mean_voltage_volt: scalar("V", { doc: "over time" }),
    mean_current_ampere: scalar("A", { doc: "over time" }),
    start_voltage_volt: scalar("V"),
    end_voltage_volt: scalar("V"),
    gaps: scalar("1", { doc: "intervals that nothing was integrated over, for want of records" }),
    gap_duration: scalar("s", { doc: "their sum" }),
    agreement: scalar("1", { doc: "share of records whose current and voltage say the same as `kind`" }),
  },
  state: { step_index: code(), kind: code({ codes: STATES, doc: "what the cell is doing" }) },
});

export const steps = defineOperator({
  name: "echem/steps",
  doc: "Steps of a cycling test: charge, discharge, rest and constant voltage, with their charge and mean voltage",
  input: {
    echem: {
      voltage_volt: scalar("V"),
      current_ampere: scalar("A"),
      dq: scalar("mA.h", { optional: true }),
      step_count: code({ optional: true }),
      ns: code({ optional: true, type: "u16" }),
      half_cycle: code({ optional: true, type: "u32" }),
      mode: code({ optional: true, type: "u8" }),
      status: code({ optional: true }),
    },
  },
  output({ echem }: { echem: Fields }, { by }) {
    if (by === "cycler" && !COUNTS.some((name) => name !== "mode" && name in echem)) {
      throw new WiringError(
        "by: cycler needs step_count, ns or half_cycle, of which its stream has none; write by: current",
      );
    }
    return outputs("dq" in echem);
  },
  config: {
    by: choice(["auto", "cycler", "current"], "auto", {
      doc: "auto: the cycler's own counts where the file has them; current: by current and voltage in any case",
    }),
    rest_current: quantity("A", 0, {
      min: 0,
      doc: "below this the cell rests; 0: by the current's noise and range",
    }),
    cv_voltage: quantity("V", 0.002, {
      min: 0,
      doc: "voltage stands still if it moves by less from record to record",
    }),
    min_dwell: integer(2, { min: 1, doc: "records that a new state must last" }),
    gap_factor: gapFactor,
  },
  start({ by, rest_current, cv_voltage, min_dwell, gap_factor }, { inputs }) {
    const given = inputs.echem.fields;
    const counts =
      by === "current"
        ? []
        : COUNTS.filter((name) => name in given && !(name === "ns" && "step_count" in given));
    const modes = counts.includes("mode");
    const counted = counts.some((name) => name !== "mode");
    const status = counted ? given["status"]?.codes : undefined;
    const called = Object.fromEntries(
      Object.entries(status ?? {}).map(([value, name]) => [value, kindCalled(name)]),
    );
    const settings = { restCurrent_A: rest_current, cvVoltage_V: cv_voltage };
    let s: State = {
      index: -1, counts: [], told: false, toldLast: UNKNOWN, step: undefined, kind: UNKNOWN, waiting: [], before: nothingBefore(), memory: freshMemory(),
    }; // prettier-ignore

    return {
      step({ echem }, out, upTo) {
        const { length, time, seconds, voltage_volt, current_ampere } = echem;
        const told = { time: [] as bigint[], step_index: [] as number[], kind: [] as number[] };

        const close = (): void => {
          if (s.step)
            out.steps.add({
              time: s.step.end,
              step_index: s.index,
              ...summary(s.step, counted ? kindOf(s.step, settings) : s.kind),
            });
          s.step = undefined;
        };
        const open = (kind: number, mode: number, called: number): void => {
          close();
          s.index++;
          s.kind = kind;
          s.step = freshStep(mode, called);
        };
        /** A record that surely belongs to the open step. */
        const take = (row: Row): void => {
          takeRow(s.step!, row, s.before, gap_factor);
          told.time.push(row.time);
          told.step_index.push(s.index);
          told.kind.push(counted ? kindOf(s.step!, settings) : s.kind);
        };
        const settle = (): void => {
          if (!s.step) open(s.waiting.find(({ state }) => state !== UNKNOWN)?.state ?? UNKNOWN, 0, UNKNOWN);
          for (const row of s.waiting.splice(0)) take(row);
        };
        /** Cuts by state: a new one counts once it has lasted. */
        const judge = (row: Row): void => {
          const candidate = s.waiting.find(({ state }) => state !== UNKNOWN)?.state;
          if (
            row.state === UNKNOWN ||
            row.state === s.kind ||
            (candidate !== undefined && row.state !== candidate)
          ) {
            // What waited did not last: it belongs to what went before.
            if (s.waiting.length) settle();
            if (s.step && (row.state === UNKNOWN || row.state === s.kind)) return take(row);
          }
          s.waiting.push(row);
          if (s.waiting.filter(({ state }) => state === row.state).length < min_dwell) return;
          if (s.step && s.kind === UNKNOWN && s.step.rows <= WARM_UP) s.kind = row.state;
          else open(row.state, 0, UNKNOWN);
          settle();
        };
        const tell = (row: Row): void => {
          const before = counted ? s.toldLast : s.kind;
          row.state = row.resting ? REST : stateAt(s.memory, row, before, settings);
          if (row.state !== UNKNOWN) s.toldLast = row.state;
        };

        for (let i = 0; i < length; i++) {
          const resting = modes && echem.mode[i] === RESTING;
          const row: Row = {
            time: time[i]!, seconds: seconds[i]!, current_A: current_ampere[i]!, voltage_V: voltage_volt[i]!,
            dq_C: given["dq"] ? echem.dq[i]! * COULOMB_PER_MAH : NaN, resting, state: resting ? REST : UNKNOWN,
          }; // prettier-ignore
          observe(s.memory, row.current_A);
          const known = s.memory.rows >= WARM_UP; // else its noise cannot be told yet
          if (counted) {
            const now = counts.map((name) => echem[name][i]!);
            if (!s.step || now.some((value, k) => value !== s.counts[k])) {
              open(UNKNOWN, modes ? echem.mode[i]! : 0, (status && called[echem.status[i]!]) ?? UNKNOWN);
              s.counts = now;
            }
            if (known) tell(row);
            take(row);
          } else if (!known && !s.step) {
            s.waiting.push(row);
            if (s.waiting.length >= MOST_WAITING) settle(); // no current was measured in all of them
          } else if (!s.step && !s.told) {
            s.told = true;
            for (const early of [...s.waiting.splice(0), row]) {
              tell(early);
              judge(early);
            }
          } else {
            if (known) tell(row);
            judge(row);
          }
        }
        if (upTo === Infinity) {
          if (!counted && !s.told) s.waiting.forEach(tell);
          if (s.waiting.length) settle();
          close();
        }
        if (told.time.length) {
          out.state.put({
            time: BigInt64Array.from(told.time), step_index: Int32Array.from(told.step_index), kind: Int32Array.from(told.kind),
          }); // prettier-ignore
        }
      },
      // A step is timed by its last record, which is the last taken or a later one; a record waits until it can be told.
      holds() {
        const waiting = s.waiting[0]?.seconds ?? Infinity;
        return { steps: s.step?.rows ? s.step.end_s : waiting, state: waiting };
      },
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };
  },
});
