import { choice, code, defineOperator, integer, quantity, scalar, type Fields } from "../../runtime/index.ts";
import {
  CHARGE, CV_CHARGE, CV_DISCHARGE, DISCHARGE, freshMemory, observe, REST, stateAt, UNKNOWN, WARM_UP, type Memory, type StateSettings,
} from "./current-state.ts"; // prettier-ignore

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
 * `min_dwell` records. `agreement` is the share of a step's records whose current says what the step is called.
 *
 * An interval longer than `gap_factor` times the longest of the last 64 is a gap: nothing is integrated over it, and it
 * is counted. (Of five times their median, as is often used, records taken every so many millivolt would lose up to
 * 42 % of their charge.) Nor is anything over a record without current or voltage, or over the change of a step.
 *
 * A step is timed by its last record; `start` is its first. What was not measured is NaN.
 */
const STATES = {
  [UNKNOWN]: "unknown", [REST]: "rest", [CHARGE]: "charge", [DISCHARGE]: "discharge",
  [CV_CHARGE]: "charge at constant voltage", [CV_DISCHARGE]: "discharge at constant voltage",
}; // prettier-ignore

const GALVANO = 1,
  POTENTIO = 2,
  RESTING = 3; // BioLogic's mode
const LAST_INTERVALS = 64;
const ENOUGH_INTERVALS = 8;
const MOST_WAITING = 1024;
const COULOMB_PER_AH = 3600;

/** What has been summed of a step; plain, so that it can be saved. */
interface Step {
  start: bigint;
  end: bigint;
  end_s: number;
  duration_s: number;
  rows: number;
  charge_C: number;
  energy_J: number;
  voltage_Vs: number;
  integrated_s: number;
  charged_s: number;
  /** Of `charge_C`, what passed over no time that is in `charged_s`; and how many charges were summed. */
  untimed_C: number;
  charges: number;
  gaps: number;
  gap_s: number;
  least_V: number;
  most_V: number;
  firstVoltage_V: number;
  lastVoltage_V: number;
  lastCurrent_A: number;
  mode: number;
  /** Records by the state that their current and voltage tell, from UNKNOWN on. */
  told: number[];
}

interface Row {
  time: bigint;
  seconds: number;
  current_A: number;
  voltage_V: number;
  /** Charge since the record before, as the cycler measured it; NaN where it says none. */
  dq_C: number;
  /** The cycler says so. */
  resting: boolean;
  state: number;
}

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
  intervals_s: number[];
  memory: Memory;
}

const COUNTS = ["step_count", "ns", "half_cycle", "mode"] as const;

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
    },
  },
  output: ({ echem }: { echem: Fields }) => ({
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
        doc: echem["dq"] ? "positive on charge; from the cycler's own dq" : "positive on charge; trapezoidal",
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
  }),
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
    gap_factor: quantity("1", 5, {
      min: 1,
      doc: "an interval so many times longer than the longest of late is a gap",
    }),
  },
  start({ by, rest_current, cv_voltage, min_dwell, gap_factor }, { inputs }) {
    const given = inputs.echem.fields;
    const counts =
      by === "current"
        ? []
        : COUNTS.filter((name) => name in given && !(name === "ns" && "step_count" in given));
    const modes = counts.includes("mode");
    const counted = counts.some((name) => name !== "mode");
    const settings = { restCurrent_A: rest_current, cvVoltage_V: cv_voltage };
    let s: State = {
      index: -1, counts: [], told: false, toldLast: UNKNOWN, step: undefined, kind: UNKNOWN, waiting: [], intervals_s: [], memory: freshMemory(),
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
        const open = (kind: number, mode: number): void => {
          close();
          s.index++;
          s.kind = kind;
          s.step = freshStep(mode);
        };
        /** A record that surely belongs to the open step. */
        const take = (row: Row): void => {
          addTo(s.step!, row, s.intervals_s, gap_factor);
          told.time.push(row.time);
          told.step_index.push(s.index);
          told.kind.push(counted ? kindOf(s.step!, settings) : s.kind);
        };
        const settle = (): void => {
          if (!s.step) open(s.waiting.find(({ state }) => state !== UNKNOWN)?.state ?? UNKNOWN, 0);
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
          else open(row.state, 0);
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
            dq_C: given["dq"] ? echem.dq[i]! * 3.6 : NaN, resting, state: resting ? REST : UNKNOWN,
          }; // prettier-ignore
          observe(s.memory, row.current_A);
          const known = s.memory.rows >= WARM_UP; // else its noise cannot be told yet
          if (counted) {
            const now = counts.map((name) => echem[name][i]!);
            if (!s.step || now.some((value, k) => value !== s.counts[k])) {
              open(UNKNOWN, modes ? echem.mode[i]! : 0);
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
      // A step is timed by its last record, which is the last taken or a later one.
      holds() {
        const earliest = s.step?.rows ? s.step.end_s : s.waiting[0]?.seconds;
        return earliest === undefined ? Infinity : earliest - Math.abs(earliest) * 2 ** -52;
      },
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };
  },
});

const freshStep = (mode: number): Step => ({
  start: 0n, end: 0n, end_s: NaN, duration_s: 0, rows: 0, charge_C: 0, energy_J: 0, voltage_Vs: 0, integrated_s: 0,
  charged_s: 0, untimed_C: 0, charges: 0, gaps: 0, gap_s: 0, least_V: Infinity, most_V: -Infinity, firstVoltage_V: NaN, lastVoltage_V: NaN, lastCurrent_A: NaN, mode, told: [0, 0, 0, 0, 0, 0],
}); // prettier-ignore

function addTo(step: Step, row: Row, intervals_s: number[], gapFactor: number): void {
  const { current_A, voltage_V, dq_C, seconds, state } = row;
  if (state !== UNKNOWN) step.told[state - UNKNOWN]!++;
  if (step.rows === 0) {
    step.start = row.time;
    step.firstVoltage_V = voltage_V;
    // The cycler's dq of the first record passed since the record before, when the step had begun.
    addUntimed(step, dq_C);
    if (Number.isFinite(voltage_V * dq_C)) step.energy_J += voltage_V * dq_C;
  } else {
    const dt_s = seconds - step.end_s;
    step.duration_s += dt_s;
    const gap = dt_s > gapFactor * intervals_s.at(-1)! && dt_s > gapFactor * longest(intervals_s);
    intervals_s.push(dt_s);
    if (intervals_s.length > LAST_INTERVALS) intervals_s.shift();
    if (gap) {
      step.gaps++;
      step.gap_s += dt_s;
    } else integrate(step, row, dt_s);
    // Over a gap the cycler went on measuring charge, even if it recorded nothing.
    if (gap) addUntimed(step, dq_C);
  }
  step.rows++;
  if (voltage_V < step.least_V) step.least_V = voltage_V;
  if (voltage_V > step.most_V) step.most_V = voltage_V;
  step.end = row.time;
  step.end_s = seconds;
  step.lastVoltage_V = voltage_V;
  step.lastCurrent_A = current_A;
}

function longest(intervals_s: readonly number[]): number {
  return intervals_s.length < ENOUGH_INTERVALS ? Infinity : Math.max(...intervals_s);
}

function addUntimed(step: Step, charge_C: number): void {
  if (!Number.isFinite(charge_C)) return;
  step.charge_C += charge_C;
  step.untimed_C += charge_C;
  step.charges++;
}

function integrate(step: Step, { current_A, voltage_V, dq_C }: Row, dt_s: number): void {
  const mean_V = (voltage_V + step.lastVoltage_V) / 2;
  if (Number.isFinite(mean_V)) {
    step.voltage_Vs += mean_V * dt_s;
    step.integrated_s += dt_s;
  }
  const measured = Number.isFinite(dq_C);
  const charge_C = measured ? dq_C : ((current_A + step.lastCurrent_A) / 2) * dt_s;
  if (!Number.isFinite(charge_C)) return;
  step.charge_C += charge_C;
  step.charges++;
  step.charged_s += dt_s;
  const energy_J = measured
    ? mean_V * dq_C
    : ((current_A * voltage_V + step.lastCurrent_A * step.lastVoltage_V) / 2) * dt_s;
  if (Number.isFinite(energy_J)) step.energy_J += energy_J;
}

/** What a step of the cycler's is: by its mode where it says one, else by most of its records. */
function kindOf({ mode, charge_C, told, least_V, most_V }: Step, { cvVoltage_V }: StateSettings): number {
  if (mode === RESTING) return REST;
  let most = UNKNOWN;
  for (let kind = REST; kind <= CV_DISCHARGE; kind++)
    if (told[kind - UNKNOWN]! > told[most - UNKNOWN]!) most = kind;
  if ((mode !== GALVANO && mode !== POTENTIO) || charge_C === 0) return most;
  // Potentiostatic is also what sweeps the voltage.
  const held = mode === POTENTIO && most_V - least_V <= 5 * cvVoltage_V;
  return charge_C > 0 ? (held ? CV_CHARGE : CHARGE) : held ? CV_DISCHARGE : DISCHARGE;
}

/** Charge, discharge or neither, whether at constant voltage or not. */
const directionOf = (kind: number): number =>
  kind === CV_CHARGE ? CHARGE : kind === CV_DISCHARGE ? DISCHARGE : kind;

function summary(step: Step, kind: number) {
  let [told, agreeing] = [0, 0];
  step.told.forEach((n, i) => {
    told += n;
    if (directionOf(i + UNKNOWN) === directionOf(kind)) agreeing += n;
  });
  const { charged_s, integrated_s } = step;
  return {
    kind,
    start: step.start,
    duration: step.duration_s,
    rows: step.rows,
    charge_ampere_hour: step.charges > 0 ? step.charge_C / COULOMB_PER_AH : NaN,
    energy_watt_hour: step.charges > 0 ? step.energy_J / COULOMB_PER_AH : NaN,
    mean_voltage_volt: integrated_s > 0 ? step.voltage_Vs / integrated_s : step.lastVoltage_V,
    mean_current_ampere: charged_s > 0 ? (step.charge_C - step.untimed_C) / charged_s : step.lastCurrent_A,
    start_voltage_volt: step.firstVoltage_V,
    end_voltage_volt: step.lastVoltage_V,
    gaps: step.gaps,
    gap_duration: step.gap_s,
    agreement: told > 0 ? agreeing / told : NaN,
  };
}
