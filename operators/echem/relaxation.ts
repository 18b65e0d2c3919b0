import { code, defineOperator, integer, quantity, scalar } from "../../runtime/index.ts";
import { relaxedVoltage } from "./relaxed-voltage.ts";
import {
  endVoltage,
  followRests,
  freshCourse,
  heldBy,
  restSettings,
  type Course,
  type Rate,
  type Rest,
} from "./rest-windows.ts";
import { plateauOf, PLATEAU_CODES } from "./stripping-plateau.ts";

/**
 * Relaxation of the voltage in each rest: dV/dt and dV/d ln t, the plateau that stripping of plated lithium leaves, and
 * the voltage that the rest tends to. Formulas: rest-windows.ts, stripping-plateau.ts, relaxed-voltage.ts.
 *
 * t counts from the last record with current. In a rest that the stream begins with, or that follows records of unknown
 * state, that is not known: t counts from the rest's first record, `known` is 0, and no plateau is looked for.
 *
 * A row of `rates` is timed by the record that completed its window; a row of `rests` by the record that ended the rest.
 * Records without a voltage are left out. Steps of rest that follow each other are one rest.
 *
 * Reference: Konz, McShane & McCloskey, ACS Energy Lett. 5, 1750 (2020); Schindler et al., J. Power Sources 304, 170 (2016).
 */
interface Open {
  course: Course;
  rates: Rate[];
}

const RATE = {
  elapsed: scalar("s", { doc: "since the current was switched off" }),
  voltage: scalar("V", { uncertainty: "voltage_se" }),
  voltage_se: scalar("V"),
  dv_dt: scalar("V/s", { uncertainty: "dv_dt_se" }),
  dv_dt_se: scalar("V/s"),
  dv_dlnt: scalar("V", { uncertainty: "dv_dlnt_se", doc: "per factor e of elapsed time" }),
  dv_dlnt_se: scalar("V"),
};

export const relaxation = defineOperator({
  name: "echem/relaxation",
  doc: "How the voltage relaxes in each rest: its rates, the plateau of lithium stripping, and the value that it tends to",
  input: {
    echem: { voltage_volt: scalar("V") },
    state: { step_index: code(), kind: code() },
  },
  output: {
    rates: { rest_index: code({ doc: "counts from 0" }), step_index: code(), ...RATE },
    rests: {
      rest_index: code(),
      step_index: code({ doc: "of its first record" }),
      after: code({ codes: { 1: "charge", 2: "discharge", "-1": "unknown" } }),
      known: code({ codes: { 0: "time counts from the rest's first record", 1: "time counts from the last record with current" } }),
      start: scalar("ns", { type: "i64", doc: "time of its first record" }),
      duration: scalar("s", { doc: "from there to its last record" }),
      records: scalar("1"),
      start_voltage_volt: scalar("V"),
      end_voltage_volt: scalar("V", { uncertainty: "end_voltage_volt_se", doc: "through the records of the last window" }),
      end_voltage_volt_se: scalar("V"),
      relaxed_voltage_volt: scalar("V", { uncertainty: "relaxed_voltage_volt_se", doc: "that it tends to; NaN where that cannot be told" }),
      relaxed_voltage_volt_se: scalar("V"),
      plateau: code({ codes: PLATEAU_CODES, doc: "of lithium stripping" }),
      plateau_time: scalar("s", { uncertainty: "plateau_time_se", doc: "from the end of the current to where |dV/d ln t| is largest: the end of stripping" }),
      plateau_time_se: scalar("s"),
      plateau_voltage: scalar("V", { doc: "there" }),
      excess: scalar("1", { uncertainty: "excess_se", doc: "ln of the rate of relaxation, above what exponentials before and after it allow" }),
      excess_se: scalar("1"),
      significance: scalar("1", { doc: "standard errors that the excess is above zero" }),
    },
  },
  config: {
    window: quantity("1", 1.5, { min: 1.05, max: 10, doc: "a rate at t is told from the records between t / window and t × window" }),
    points_per_decade: integer(20, { min: 1, max: 200, doc: "rates per factor ten of elapsed time" }),
    significance: quantity("1", 5, { min: 1, doc: "standard errors that the excess is beyond where there is a plateau" }),
    min_excess: quantity("1", 0.03, { min: 0, doc: "of a plateau, in ln of the rate" }),
  },
  start({ window, points_per_decade, significance, min_excess }) {
    const settings = restSettings(window, points_per_decade, "ln t");
    const apart = Math.max(1, Math.round(settings.half / 2 / settings.spacing));
    let s: Open = { course: freshCourse(), rates: [] };

    return {
      step({ echem, state }, out, upTo) {
        const give = (rate: Rate, { step }: Rest, time: bigint): void => {
          s.rates.push(rate);
          out.rates.add({ time, rest_index: s.course.rests, step_index: step, ...columnsOf(rate) });
        };
        const ended = (rest: Rest, time: bigint): void => {
          const end = endVoltage(rest, settings);
          const relaxed = relaxedVoltage(rest);
          out.rests.add({
            time,
            rest_index: s.course.rests,
            step_index: rest.step,
            after: rest.after > 0 ? 1 : rest.after < 0 ? 2 : -1,
            known: rest.known ? 1 : 0,
            start: rest.start,
            duration: Number(rest.end - rest.start) / 1e9,
            records: rest.records,
            start_voltage_volt: rest.first_V,
            end_voltage_volt: end.value,
            end_voltage_volt_se: end.se,
            relaxed_voltage_volt: relaxed.value,
            relaxed_voltage_volt_se: relaxed.se,
            ...plateauOf(s.rates, rest.known ? rest.after : 0, { apart, significance, leastExcess: min_excess }),
          });
          s.rates = [];
        };
        followRests(s.course, { echem, state }, upTo, settings, { give, ended, fault: out.fault });
      },
      holds: () => heldBy(s.course),
      save: () => structuredClone(s),
      load: (saved: Open) => void (s = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const columnsOf = ({ elapsed, voltage, voltage_se, dv_dt, dv_dt_se, dv_dlnt, dv_dlnt_se }: Rate) => ({
  elapsed, voltage, voltage_se, dv_dt, dv_dt_se, dv_dlnt, dv_dlnt_se,
}); // prettier-ignore
