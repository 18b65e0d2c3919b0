import { choice, code, curve, defineOperator, integer, quantity, scalar } from "../../runtime/index.ts";
import { CHARGE } from "./current-state.ts";
import {
  followRests,
  freshCourse,
  heldBy,
  restSettings,
  type Course,
  type Rate,
  type Rest,
} from "./rest-windows.ts";

/**
 * Self-discharge in a rest: what leaks from the cell, and the resistance of a short that would leak as much.
 *
 *     I = -C dV/dt                       [A]     C = dQ/dV of the cell at its voltage [A.s/V]
 *     I_se² = (C dV/dt_se)² + (C_se dV/dt)² + (C t d²V/dt²)²
 *     R = V / I,  R_se = R I_se / |I|    [Ohm]   R > |V| / (|I| + 2 I_se) at 95 %
 *
 * C comes from the last finished curve of dQ/dV, of the kind that `curve` names, that covers the voltage, between its points;
 * or from the option `capacitance`. dV/dt is that of a cubic through V(t) over [t / window, t window], t the time since the current was switched off.
 *
 * A leak moves the voltage evenly; relaxation slows down, at least like 1/t, so that its share of dV/dt is at most
 * |t d²V/dt²|. Where that is told from zero (by two standard errors) and more than `max_relaxation` of |dV/dt|, relaxation
 * rules and nothing is given; what remains of it is in the error. No error is counted for the difference between the voltage
 * at rest and that of the curve under current, which moves C along the curve: a slow curve, or `capacitance`, is better.
 *
 * A leak that cannot be told from zero has no resistance, only a least one.
 *
 * Reference: Roth et al., J. Electrochem. Soc. 170, 020502 (2023), on relaxation in such measurements.
 */
const TOLD = 0, RELAXING = 1, NO_CURVE = 2, NOT_FROM_ZERO = 3; // prettier-ignore
const REASONS = {
  [TOLD]: "told", [RELAXING]: "relaxation still rules", [NO_CURVE]: "no curve of dQ/dV covers this voltage",
  [NOT_FROM_ZERO]: "cannot be told from zero",
}; // prettier-ignore
const SECONDS_PER_HOUR = 3600;

/** dQ/dV over voltage, in rising order. */
interface Curve {
  readonly voltage: Float64Array;
  readonly capacitance_F: Float64Array;
  readonly capacitance_F_se: Float64Array;
}

interface Leak {
  readonly leak_current: number;
  readonly leak_current_se: number;
  readonly resistance: number;
  readonly resistance_se: number;
  readonly least_resistance: number;
  readonly reason: number;
}

export function leakOf(
  { voltage, dv_dt, dv_dt_se, bend, bend_se }: Rate, capacitance: { readonly value: number; readonly se: number }, mostRelaxation: number,
): Leak {
  const nothing = { leak_current: NaN, leak_current_se: NaN, resistance: NaN, resistance_se: NaN, least_resistance: NaN };
  if (!Number.isFinite(capacitance.value)) return { ...nothing, reason: NO_CURVE };
  if (Math.abs(bend) > Math.max(mostRelaxation * Math.abs(dv_dt), 2 * bend_se)) return { ...nothing, reason: RELAXING };
  const leak_current = -capacitance.value * dv_dt;
  const leak_current_se = Math.hypot(capacitance.value * dv_dt_se, capacitance.se * dv_dt, capacitance.value * bend);
  const told = Math.abs(leak_current) > 2 * leak_current_se;
  const resistance = told ? voltage / leak_current : NaN;
  return {
    leak_current,
    leak_current_se,
    resistance,
    resistance_se: Math.abs((resistance * leak_current_se) / leak_current),
    least_resistance: Math.abs(voltage) / (Math.abs(leak_current) + 2 * leak_current_se),
    reason: told ? TOLD : NOT_FROM_ZERO,
  };
} // prettier-ignore

/** dQ/dV between the two points beside a voltage; NaN where the curve does not reach, or has nothing there. */
function capacitanceAt({ voltage, capacitance_F, capacitance_F_se }: Curve, V: number) {
  let above = 0;
  while (above < voltage.length && voltage[above]! < V) above++;
  if (above === 0 || above === voltage.length) return { value: NaN, se: NaN };
  const part = (V - voltage[above - 1]!) / (voltage[above]! - voltage[above - 1]!);
  const between = (of: Float64Array): number => of[above - 1]! + part * (of[above]! - of[above - 1]!);
  return { value: between(capacitance_F), se: between(capacitance_F_se) };
}

function curveOf(voltage: Float64Array, dq_dv: Float64Array, dq_dv_se: Float64Array): Curve {
  const told = Array.from(voltage.keys()).filter((i) => Number.isFinite(dq_dv[i]));
  told.sort((i, k) => voltage[i]! - voltage[k]! || i - k);
  return {
    voltage: Float64Array.from(told, (i) => voltage[i]!),
    capacitance_F: Float64Array.from(told, (i) => dq_dv[i]! * SECONDS_PER_HOUR),
    capacitance_F_se: Float64Array.from(told, (i) => dq_dv_se[i]! * SECONDS_PER_HOUR),
  };
}

interface Open {
  course: Course;
  /** The last of each kind, 1 charge, 2 discharge, and which of them is newer. */
  curves: { 1?: Curve; 2?: Curve };
  newest: 1 | 2;
}

export const selfDischarge = defineOperator({
  name: "echem/self-discharge",
  doc: "Leak current of a resting cell, from how its voltage falls and dQ/dV, and the resistance of a soft short that leaks as much",
  input: {
    echem: { voltage_volt: scalar("V") },
    state: { step_index: code(), kind: code() },
    capacity: { kind: code(), voltage: curve("V"), dq_dv: curve("A.h/V"), dq_dv_se: curve("A.h/V") },
  },
  output: {
    leak: {
      rest_index: code({ doc: "counts from 0" }),
      step_index: code(),
      elapsed: scalar("s", { doc: "since the current was switched off" }),
      voltage: scalar("V"),
      dv_dt: scalar("V/s", { uncertainty: "dv_dt_se" }),
      dv_dt_se: scalar("V/s"),
      relaxation: scalar("V/s", { uncertainty: "relaxation_se", doc: "t d²V/dt²: the most that relaxation has in dV/dt" }),
      relaxation_se: scalar("V/s"),
      capacitance: scalar("F", { uncertainty: "capacitance_se", doc: "dQ/dV at this voltage" }),
      capacitance_se: scalar("F"),
      leak_current: scalar("A", { uncertainty: "leak_current_se", doc: "positive where the cell loses charge" }),
      leak_current_se: scalar("A"),
      resistance: scalar("Ohm", { uncertainty: "resistance_se", doc: "of a short that leaks as much" }),
      resistance_se: scalar("Ohm"),
      least_resistance: scalar("Ohm", { doc: "that a short has, at 95 %" }),
      reason: code({ codes: REASONS }),
    },
  },
  config: {
    window: quantity("1", 2, { min: 1.05, max: 10, doc: "dV/dt at t is told from the records between t / window and t × window" }),
    points_per_decade: integer(10, { min: 1, max: 200, doc: "rows per factor ten of elapsed time" }),
    after: quantity("s", 600, { min: 0, doc: "no row earlier in a rest" }),
    max_relaxation: quantity("1", 0.25, { min: 0, doc: "share of dV/dt that relaxation may have at most" }),
    curve: choice(["same", "charge", "discharge", "newest"], "same", {
      doc: "whose dQ/dV: that of the last charge for a rest after a charge, and so on; of the last charge, discharge, or either",
    }),
    capacitance: quantity("F", 0, { min: 0, doc: "dQ/dV, in place of that of a curve; 0: from the curves" }),
  },
  start({ window, points_per_decade, after, max_relaxation, curve: wanted, capacitance: given }) {
    const settings = restSettings(window, points_per_decade, "t");
    let s: Open = { course: freshCourse(), curves: {}, newest: 1 };

    const curveFor = (rest: Rest): Curve | undefined => {
      if (wanted === "charge") return s.curves[1];
      if (wanted === "discharge") return s.curves[2];
      return s.curves[wanted === "newest" || rest.after === 0 ? s.newest : rest.after > 0 ? 1 : 2];
    };

    return {
      step({ echem, state, capacity }, out, upTo) {
        let taken = 0;
        /** Curves count from the record after their time: what ends a rest may be what ends the half cycle before it. */
        const takeCurves = (before: bigint): void => {
          for (; taken < capacity.length && capacity.time[taken]! < before; taken++) {
            const { kind, voltage, dq_dv, dq_dv_se } = capacity.at(taken);
            if (!dq_dv.some(Number.isFinite)) continue;
            s.newest = kind === CHARGE ? 1 : 2;
            s.curves[s.newest] = curveOf(voltage, dq_dv, dq_dv_se);
          }
        };
        const give = (rate: Rate, rest: Rest, time: bigint): void => {
          if (rate.elapsed < after) return;
          const { elapsed, voltage, dv_dt, dv_dt_se, bend, bend_se } = rate;
          const curve = curveFor(rest);
          const capacitance = given > 0 ? { value: given, se: 0 } : curve ? capacitanceAt(curve, voltage) : { value: NaN, se: NaN };
          out.leak.add({
            time, rest_index: s.course.rests, step_index: rest.step, elapsed, voltage, dv_dt, dv_dt_se, relaxation: bend, relaxation_se: bend_se,
            capacitance: capacitance.value, capacitance_se: capacitance.se, ...leakOf(rate, capacitance, max_relaxation),
          });
        };
        followRests(s.course, { echem, state }, upTo, settings, { before: takeCurves, give, fault: out.fault });
        takeCurves((capacity.time[capacity.length - 1] ?? 0n) + 1n);
      },
      holds: () => heldBy(s.course),
      save: () => structuredClone(s),
      load: (saved: Open) => void (s = structuredClone(saved)),
    };
  },
}); // prettier-ignore
