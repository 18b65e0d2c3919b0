import { choice, code, defineOperator, flag, integer, quantity, scalar } from "../../runtime/index.ts";
import { currentError, gainMismatch, ratioError } from "./current-error.ts";
import { CHARGE, signOf } from "./current-state.ts";
import { addHalfCycle, closed, noSequence, RESERVOIR_STATUS, type Efficiency, type Sequence } from "./reservoir.ts"; // prettier-ignore
import { addRecord, boundOf, freshRunning, LOWER, UPPER, type HalfSums, type Running } from "./running-bound.ts"; // prettier-ignore

/**
 * What a cycle gives back of what it took.
 *
 *     CE = Q_numerator / Q_denominator      `ratio`: discharge/charge in a full cell, strip/plate in Li|Cu
 *     EE = E_discharge / E_charge           energy; NaN unless both are positive (not in a symmetric cell)
 *     VE = V_discharge / V_charge           mean voltages over charge, so that EE = CE VE in a full cell
 *     retention = Q_numerator / that of the reference cycle
 *     slippage  = Q_charge - Q_discharge    by which the discharged end of the cell moved on in this cycle
 *
 *     CE_se² = (i0 (T_num + CE T_den) / Q_den)² + (m CE)²      current-error.ts
 *
 * `bound` tells while a cycle is under way how far CE is known: in its second half the charge so far gives a lower bound
 * that grows (an upper one that falls, where the denominator comes second). A row is given whenever the bound has moved
 * by `bound_step` since the row before, so a cycle has some 1 / bound_step of them at most, at places that depend on
 * the records alone.
 *
 * `reservoir`, where asked for, gives the efficiency of plating and stripping by the reservoir method (reservoir.ts): a
 * row for each sequence, at the end of its final strip; what plates is the denominator's direction.
 */
const FINE = 0, MISSING = 1, WITH_GAPS = 2, ENDED = 3; // prettier-ignore
const STATUS = {
  [FINE]: "fine",
  [MISSING]: "charge or discharge is missing",
  [WITH_GAPS]: "charge is missing: gaps in the records",
  [ENDED]: "the stream ended in this cycle: as far as it came",
};

const outputs = {
  efficiency: {
    cycle_index: code(),
    vendor_cycle: scalar("1", { doc: "the cycler's own number; NaN where it has none" }),
    status: code({ codes: STATUS }),
    coulombic_efficiency: scalar("1", { uncertainty: "coulombic_efficiency_se" }),
    coulombic_efficiency_se: scalar("1", { doc: "of the ammeter's zero and of its gain in one direction against the other; NaN unless these are given" }),
    energy_efficiency: scalar("1"),
    voltage_efficiency: scalar("1"),
    capacity_ampere_hour: scalar("A.h", { doc: "the numerator of the Coulombic efficiency" }),
    capacity_retention: scalar("1", { doc: "of it, against the reference cycle's; NaN before that" }),
    slippage_ampere_hour: scalar("A.h", { doc: "charge less discharge" }),
  },
  bound: {
    cycle_index: code(),
    side: code({ codes: { [LOWER]: "lower bound", [UPPER]: "upper bound" } }),
    status: code({ codes: { [FINE]: STATUS[FINE], [WITH_GAPS]: STATUS[WITH_GAPS] } }),
    coulombic_efficiency_bound: scalar("1", { uncertainty: "coulombic_efficiency_bound_se" }),
    coulombic_efficiency_bound_se: scalar("1"),
  },
} as const; // prettier-ignore

const reservoirOutput = {
  reservoir: {
    cycles: scalar("1", { doc: "n, how often charge was stripped and deposited again" }),
    status: code({ codes: RESERVOIR_STATUS }),
    coulombic_efficiency: scalar("1", {
      uncertainty: "coulombic_efficiency_se",
      doc: "mean over the cycles",
    }),
    coulombic_efficiency_se: scalar("1"),
    first_deposit_ampere_hour: scalar("A.h", { doc: "Q_T" }),
    cycled_ampere_hour: scalar("A.h", { doc: "Q_C, mean of the strips" }),
    final_strip_ampere_hour: scalar("A.h", { doc: "Q_S" }),
  },
} as const;

interface State {
  running: Running;
  /** Capacity of the reference cycle; NaN before it. */
  reference_Ah: number;
  /** Sign of the first half cycle's current; 0 before. */
  firstSign: number;
  sequence: Sequence;
}

export const efficiency = defineOperator({
  name: "echem/efficiency",
  doc: "Coulombic, energy and voltage efficiency of each cycle, how far it is known while the cycle runs, and the reservoir method",
  input: {
    cycles: {
      cycle_index: code(),
      vendor_cycle: scalar("1", { optional: true }),
      complete: code(),
      begins_with: code(),
      charge_capacity_ampere_hour: scalar("A.h"),
      discharge_capacity_ampere_hour: scalar("A.h"),
      charge_energy_watt_hour: scalar("W.h"),
      discharge_energy_watt_hour: scalar("W.h"),
      charge_mean_voltage_volt: scalar("V"),
      discharge_mean_voltage_volt: scalar("V"),
      charge_measured_duration: scalar("s"),
      discharge_measured_duration: scalar("s"),
      gaps: scalar("1"),
      gap_duration: scalar("s"),
    },
    charge: {
      voltage_volt: scalar("V"),
      kind: code(),
      cycle_index: code(),
      half_cycle_index: code(),
      half_cycle_charge_ampere_hour: scalar("A.h"),
      gap: code({ type: "u8" }),
    },
  },
  output: (_inputs, { reservoir }) => ({ ...outputs, ...((reservoir ? reservoirOutput : {}) as typeof reservoirOutput) }),
  config: {
    ratio: choice(["discharge/charge", "charge/discharge", "second/first"], "discharge/charge", {
      doc: "of which charges the Coulombic efficiency is: discharge/charge in a full cell; strip/plate in Li|Cu, which is charge/discharge where copper is the working electrode; second/first: whatever the stream begins with is the denominator",
    }),
    reference_cycle: integer(0, { min: 0, doc: "cycle_index of the cycle that retention counts from, as after formation; the first complete one from there on" }),
    bound_step: quantity("1", 0.001, { min: 1e-6, max: 1, doc: "by which the running bound must have moved for another row" }),
    current_error: currentError,
    gain_mismatch: gainMismatch,
    reservoir: flag(false, { doc: "also find the efficiency by the reservoir method (Li|Cu)" }),
    strip_cutoff: quantity("V", 0.5, { min: 0, doc: "reservoir: a strip whose voltage comes within 5 % of this has stripped all there was" }),
    same_charge: quantity("1", 0.01, { min: 0, max: 1, doc: "reservoir: relative difference that cycled charges may have" }),
  },
  start({ ratio, reference_cycle, bound_step, current_error, gain_mismatch, reservoir, strip_cutoff, same_charge }, { inputs, origin }) {
    const vendor = "vendor_cycle" in inputs.cycles.fields;
    let s: State = { running: freshRunning(), reference_Ah: NaN, firstSign: 0, sequence: noSequence() };
    /** Sign of the denominator's current; 0: that of the first half cycle. */
    const denominatorSign = ratio === "discharge/charge" ? 1 : ratio === "charge/discharge" ? -1 : 0;

    return {
      step({ cycles, charge }, out, upTo) {
        const giveReservoir = (time: bigint, found: Efficiency): void => {
          const { status, cycles: n, efficiency: value, deposited_Ah, strip_s, deposit_s } = found;
          const amounts = { denominator_Ah: deposited_Ah, numerator_s: strip_s, denominator_s: deposit_s };
          out.reservoir.add({
            time, cycles: n, status,
            coulombic_efficiency: value,
            coulombic_efficiency_se: ratioError(value, amounts, current_error, gain_mismatch),
            first_deposit_ampere_hour: found.first_Ah,
            cycled_ampere_hour: found.cycled_Ah,
            final_strip_ampere_hour: found.final_Ah,
          });
          if (Number.isNaN(value)) out.fault(time, `no efficiency by the reservoir method: ${RESERVOIR_STATUS[status as keyof typeof RESERVOIR_STATUS]}`);
          s.sequence = noSequence();
        };
        const halfEnded = (half: HalfSums): void => {
          if (!reservoir) return;
          const stripSign = -(denominatorSign || s.firstSign);
          const found = addHalfCycle(s.sequence, {
            deposits: half.sign !== stripSign,
            charge_Ah: half.charge_Ah,
            measured_s: half.measured_s,
            reachesCutoff: stripSign * half.peak_V >= 0.95 * strip_cutoff,
            gaps: half.gaps,
          }, same_charge);
          if (found) giveReservoir(half.end, found);
        };

        for (let i = 0; i < charge.length; i++) {
          const kind = charge.kind[i]!;
          if (s.firstSign === 0) s.firstSign = signOf(kind);
          const { running } = s;
          const gap = charge.gap[i]!;
          const cycle = charge.cycle_index[i]!;
          addRecord(running, {
            time: charge.time[i]!, kind, cycle, half: charge.half_cycle_index[i]!,
            charge_Ah: charge.half_cycle_charge_ampere_hour[i]!, voltage_V: charge.voltage_volt[i]!,
            gap: gap === 1, begins: gap > 1,
          }, halfEnded);
          if (signOf(kind) === 0) continue;
          const bound = boundOf(running, denominatorSign);
          if (!bound) continue;
          const { side, value, gaps } = bound;
          const level = side === LOWER ? value : 1 / value;
          if (!(level - running.level >= bound_step)) continue;
          running.level = level;
          out.bound.add({
            time: charge.time[i]!, cycle_index: cycle, side,
            status: gaps > 0 ? WITH_GAPS : FINE,
            coulombic_efficiency_bound: value,
            coulombic_efficiency_bound_se: ratioError(value, bound, current_error, gain_mismatch),
          });
        }
        if (upTo === Infinity && reservoir && s.running.half) {
          const { half } = s.running;
          halfEnded(half);
          if (s.sequence.deposits + s.sequence.strips > 0) giveReservoir(half.end, closed(s.sequence, NaN, same_charge));
        }

        for (let i = 0; i < cycles.length; i++) {
          const time = cycles.time[i]!;
          const row = cycles.at(i);
          const [q1, q0] = [row.charge_capacity_ampere_hour, row.discharge_capacity_ampere_hour];
          const onCharge = ratio === "second/first" ? row.begins_with === CHARGE : ratio === "discharge/charge";
          const [numerator_Ah, denominator_Ah] = onCharge ? [q0, q1] : [q1, q0];
          const [t1, t0] = [row.charge_measured_duration, row.discharge_measured_duration];
          const [numerator_s, denominator_s] = onCharge ? [t0, t1] : [t1, t0];
          const whole = numerator_Ah >= 0 && denominator_Ah > 0;
          const value = whole ? numerator_Ah / denominator_Ah : NaN;
          const status = !whole ? MISSING : row.gaps > 0 ? WITH_GAPS : row.complete === 0 ? ENDED : FINE;
          const index = row.cycle_index;
          if (Number.isNaN(s.reference_Ah) && index >= reference_cycle && row.complete === 1 && status === FINE && numerator_Ah > 0)
            s.reference_Ah = numerator_Ah;
          out.efficiency.add({
            time, cycle_index: index, vendor_cycle: vendor ? cycles.vendor_cycle[i]! : NaN, status,
            coulombic_efficiency: value,
            coulombic_efficiency_se: ratioError(value, { denominator_Ah, numerator_s, denominator_s }, current_error, gain_mismatch),
            energy_efficiency: ratioOfPositives(row.discharge_energy_watt_hour, row.charge_energy_watt_hour),
            voltage_efficiency: ratioOfPositives(row.discharge_mean_voltage_volt, row.charge_mean_voltage_volt),
            capacity_ampere_hour: numerator_Ah,
            capacity_retention: numerator_Ah / s.reference_Ah,
            slippage_ampere_hour: q1 - q0,
          });
          if (status === WITH_GAPS)
            out.fault(time, `cycle ${index}: ${row.gaps} gaps, ${Math.round(row.gap_duration)} s together, in which charge passed that nobody measured; its efficiency lacks it`);
        }
      },
      // A sequence is timed by its final strip, whose last record may have been taken already.
      holds() {
        const { half } = s.running;
        return { reservoir: reservoir && half ? Number(half.end - origin) / 1e9 : Infinity };
      },
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const ratioOfPositives = (a: number, b: number): number => (a > 0 && b > 0 ? a / b : NaN);
