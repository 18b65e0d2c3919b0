import { code, defineOperator, integer, quantity, scalar } from "../../runtime/index.ts";
import { correlatedError } from "./correlated-error.ts";
import { CHARGE, DISCHARGE, signOf } from "./current-state.ts";
import { freshRecords, keep, resistanceAt, type HalfCycleRecords } from "./half-cycle-records.ts";
import { halfCycleShape } from "./half-cycle-shape.ts";
import { addToFalling, freshFalling, type Falling } from "./resistance-falls.ts";

/**
 * Polarisation of a symmetric cell, half cycle by half cycle, and block of time by block of time.
 *
 *     η = V sign(I)          [V]     overpotential of both electrodes together, at constant current
 *     R = V / I              [Ohm]   apparent resistance
 *     asymmetry = |η+| - |η-|        means of this half cycle and of the one before
 *     residual = R(t) - R'(t)        R'  the last half cycle of the same sign without a fall, at the same time t since its start
 *
 * Mean, end, slope, noise and arc height as in half-cycle-shape.ts. The residual is what detectors should look at: the
 * course that every half cycle repeats is not in it. A block has the records of so much time since the half cycle began; its
 * error knows that noise lasts (correlated-error.ts).
 *
 * A drop in polarisation is no improvement: a short takes current past the electrodes. `fall` is told where R falls within
 * `fall_window` (resistance-falls.ts) by more than `fall_margin` times the fastest fall of all half cycles before it, which
 * is what activation (nucleation, a film that breaks) does, and by more than four times their noise. Half cycles in which it was told teach nothing, and no residual
 * is taken against them: `against` says which one it is.
 *
 * Records within `settle` of a current's start, at rest, at constant voltage, or without voltage or current do not count. A
 * row is timed by the last record before the half cycle, or the block, was over.
 *
 * Reference: Menkin et al., Faraday Discuss. (2024), 10.1039/D3FD00101F; Counihan et al., Joule (2023), 10.1016/j.joule.2023.11.007.
 */
const LEARNING = -1, NO_FALL = 0, FALL = 1; // prettier-ignore
const FALLS = {
  [LEARNING]: "not told: too few half cycles before it",
  [NO_FALL]: "none that is faster than those before",
  [FALL]: "resistance falls faster than any activation before: a short is possible",
};
const LEAST_IN_BLOCK = 3;
/** Where resistance only rose before, noise alone is the fastest fall that there was. */
const FALL_NOISES = 4;

const outputs = {
  half_cycles: {
    half_cycle_index: code({ doc: "counts from 0" }),
    kind: code({ codes: { [CHARGE]: "charge", [DISCHARGE]: "discharge" } }),
    complete: code({ codes: { 0: "the stream ended in it", 1: "complete" } }),
    start: scalar("ns", { type: "i64", doc: "time of its first record at constant current" }),
    duration: scalar("s", { doc: "from there to its last" }),
    records: scalar("1", { doc: "that count" }),
    current_ampere: scalar("A", { doc: "mean" }),
    overpotential: scalar("V", { uncertainty: "overpotential_se", doc: "mean over time" }),
    overpotential_se: scalar("V"),
    end_overpotential: scalar("V", { uncertainty: "end_overpotential_se" }),
    end_overpotential_se: scalar("V"),
    slope: scalar("V/h", { uncertainty: "slope_se", doc: "over its second half" }),
    slope_se: scalar("V/h"),
    noise: scalar("V", { doc: "standard deviation, from second differences" }),
    arc_height: scalar("V", { uncertainty: "arc_height_se", doc: "early peak above the second half" }),
    arc_height_se: scalar("V"),
    asymmetry: scalar("V", { uncertainty: "asymmetry_se", doc: "overpotential on charge less that on discharge" }),
    asymmetry_se: scalar("V"),
    resistance: scalar("Ohm", { uncertainty: "resistance_se", doc: "apparent" }),
    resistance_se: scalar("Ohm"),
    fastest_fall: scalar("Ohm", { doc: "within the window" }),
    fastest_fall_before: scalar("Ohm", { doc: "in the half cycles before" }),
    fall: code({ codes: FALLS }),
  },
  blocks: {
    half_cycle_index: code(),
    kind: code({ codes: { [CHARGE]: "charge", [DISCHARGE]: "discharge" } }),
    phase: scalar("s", { doc: "from the half cycle's start to the middle of the block's records" }),
    records: scalar("1"),
    resistance: scalar("Ohm", { uncertainty: "resistance_se", doc: "apparent, mean" }),
    resistance_se: scalar("Ohm"),
    residual: scalar("Ohm", { uncertainty: "residual_se", doc: "against an earlier half cycle of the same sign; NaN where there is none as long" }),
    residual_se: scalar("Ohm"),
    against: code({ doc: "index of the half cycle that the residual is against; -1 without one" }),
    fastest_fall: scalar("Ohm", { doc: "that was seen in it" }),
    fall: code({ codes: FALLS }),
  },
} as const; // prettier-ignore

interface Block {
  number: number;
  t_s: number[];
  R_Ohm: number[];
  residual_Ohm: number[];
  fastest_Ohm: number;
  /** More came than have room. */
  full: boolean;
}
const freshBlock = (number: number): Block => ({
  number, t_s: [], R_Ohm: [], residual_Ohm: [], fastest_Ohm: NaN, full: false,
}); // prettier-ignore

interface HalfCycle {
  readonly index: number;
  readonly records: HalfCycleRecords;
  block: Block;
  falling: Falling;
  fastest_Ohm: number;
  counted: number;
  end_s: number;
  /** Where in the reference the last record stands. */
  place: number;
}

/** Half cycle of one sign that residuals are taken against. */
interface Reference {
  readonly index: number;
  readonly records: HalfCycleRecords;
}

interface State {
  open: HalfCycle | undefined;
  /** Half cycle index of the last record; rests have one too. */
  index: number;
  last: { time: bigint; seconds: number };
  /** The last half cycle. */
  before: { readonly sign: number; readonly mean_V: number; readonly mean_V_se: number } | undefined;
  /** At most one of each sign. */
  references: Reference[];
  /** Half cycles that the fastest fall is of. */
  learnt: number;
  fastest_Ohm: number;
  noise_Ohm: number;
}

export const polarisation = defineOperator({
  name: "echem/polarisation",
  doc: "Polarisation of symmetric cells by half cycle and by block of time, against the half cycle before",
  input: {
    charge: { voltage_volt: scalar("V"), current_ampere: scalar("A"), kind: code(), half_cycle_index: code() },
  },
  output: outputs,
  config: {
    block: quantity("s", 3600, { min: 1e-3, doc: "time that a row of blocks stands for" }),
    settle: quantity("s", 300, { min: 0, doc: "from the start of a half cycle, what does not count" }),
    fall_window: quantity("s", 600, { min: 0, doc: "time before a record whose mean resistance it is held against" }),
    fall_margin: quantity("1", 2, { min: 1, doc: "times the fastest fall before, beyond which a fall is told" }),
    learn: integer(2, { min: 1, doc: "half cycles that a fall is held against at least" }),
    max_records: integer(100_000, {
      min: 100,
      doc: "records of a half cycle that are kept at most; of more, every second is left out",
    }),
  },
  start({ block, settle, fall_window, fall_margin, learn, max_records }) {
    let s: State = { open: undefined, index: -1, last: { time: 0n, seconds: Infinity }, before: undefined, references: [], learnt: 0, fastest_Ohm: -Infinity, noise_Ohm: 0 }; // prettier-ignore
    const told = (fastest_Ohm: number): number =>
      s.learnt < learn ? LEARNING
      : fastest_Ohm > Math.max(fall_margin * s.fastest_Ohm, FALL_NOISES * s.noise_Ohm) ? FALL
      : NO_FALL; // prettier-ignore
    const referenceOf = (sign: number): Reference | undefined => s.references.find(({ records }) => records.sign === sign);

    return {
      step({ charge: rows }, out, upTo) {
        const giveBlock = (open: HalfCycle): void => {
          const { t_s, R_Ohm, residual_Ohm, fastest_Ohm } = open.block;
          if (t_s.length < LEAST_IN_BLOCK) return;
          const R = meanOf(R_Ohm);
          const matched = residual_Ohm.filter(Number.isFinite);
          const residual = meanOf(matched.length > t_s.length / 2 ? matched : []);
          out.blocks.add({
            time: s.last.time,
            half_cycle_index: open.index,
            kind: open.records.sign > 0 ? CHARGE : DISCHARGE,
            phase: (t_s[0]! + t_s.at(-1)!) / 2,
            records: t_s.length,
            resistance: R.mean, resistance_se: R.se,
            residual: residual.mean, residual_se: residual.se,
            against: referenceOf(open.records.sign)?.index ?? -1,
            fastest_fall: fastest_Ohm,
            fall: told(fastest_Ohm),
          });
        };
        const end = (complete: number): void => {
          const { open } = s;
          if (!open) return;
          s.open = undefined;
          giveBlock(open);
          const { records, fastest_Ohm } = open;
          const { sign } = records;
          const shape = halfCycleShape(Float64Array.from(records.t_s), Float64Array.from(records.eta_V), Float64Array.from(records.current_A));
          const { before } = s;
          const opposite = before?.sign === -sign;
          out.half_cycles.add({
            time: s.last.time,
            half_cycle_index: open.index,
            kind: sign > 0 ? CHARGE : DISCHARGE,
            complete,
            start: records.start,
            duration: open.end_s,
            records: open.counted,
            current_ampere: shape.current_A,
            overpotential: shape.mean_V, overpotential_se: shape.mean_V_se,
            end_overpotential: shape.end_V, end_overpotential_se: shape.end_V_se,
            slope: shape.slope_V_per_h, slope_se: shape.slope_V_per_h_se,
            noise: shape.noise_V,
            arc_height: shape.arcHeight_V, arc_height_se: shape.arcHeight_V_se,
            asymmetry: opposite ? sign * (Math.abs(shape.mean_V) - Math.abs(before!.mean_V)) : NaN,
            asymmetry_se: opposite ? Math.hypot(shape.mean_V_se, before!.mean_V_se) : NaN,
            resistance: shape.resistance_Ohm, resistance_se: shape.resistance_Ohm_se,
            fastest_fall: fastest_Ohm,
            fastest_fall_before: s.learnt > 0 ? s.fastest_Ohm : NaN,
            fall: told(fastest_Ohm),
          });
          const clean = told(fastest_Ohm) !== FALL;
          if (clean) s.references = [{ index: open.index, records }, ...s.references.filter((one) => one.records.sign !== sign)];
          if (clean && Number.isFinite(fastest_Ohm)) {
            s.fastest_Ohm = Math.max(s.fastest_Ohm, fastest_Ohm);
            s.noise_Ohm = Math.max(s.noise_Ohm, shape.noise_V / Math.abs(shape.current_A) || 0);
            s.learnt++;
          }
          s.before = { sign, mean_V: shape.mean_V, mean_V_se: shape.mean_V_se };
        };
        const take = (open: HalfCycle, time: bigint, voltage_V: number, current_A: number): void => {
          const { records } = open;
          const t = Number(time - records.start) / 1e9;
          open.end_s = t;
          if (t < settle) return;
          const eta_V = voltage_V * records.sign;
          const R = voltage_V / current_A;
          const number = Math.floor((t - settle) / block);
          if (number !== open.block.number) {
            giveBlock(open);
            open.block = freshBlock(number);
          }
          addToFalling(open.falling, t, R, fall_window);
          const { largest_Ohm } = open.falling;
          if (!(open.fastest_Ohm >= largest_Ohm)) open.fastest_Ohm = largest_Ohm;
          if (!(open.block.fastest_Ohm >= largest_Ohm)) open.block.fastest_Ohm = largest_Ohm;
          open.falling.largest_Ohm = NaN;
          const reference = referenceOf(records.sign);
          const { R_Ohm: R_before, place } = reference ? resistanceAt(reference.records, t, open.place) : { R_Ohm: NaN, place: 0 };
          open.place = place;
          open.counted++;
          const held = open.block;
          if (held.t_s.length < max_records) {
            held.t_s.push(t);
            held.R_Ohm.push(R);
            held.residual_Ohm.push(R - R_before);
          } else if (!held.full) {
            held.full = true;
            out.fault(time, `a block of half cycle ${open.index} has more than ${max_records} records; those before count (max_records, or a shorter block)`);
          }
          if (keep(records, t, eta_V, current_A, max_records) && records.stride === 2)
            out.fault(time, `half cycle ${open.index} has more than ${max_records} records; of these every second counts, or fewer (max_records)`);
        };

        for (let i = 0; i < rows.length; i++) {
          const index = rows.half_cycle_index[i]!;
          const kind = rows.kind[i]!;
          const [voltage_V, current_A] = [rows.voltage_volt[i]!, rows.current_ampere[i]!];
          const time = rows.time[i]!;
          if (index !== s.index) end(1);
          s.index = index;
          const counts = index >= 0 && (kind === CHARGE || kind === DISCHARGE) && Number.isFinite(voltage_V + current_A) && current_A !== 0;
          if (counts) {
            s.open ??= {
              index, records: freshRecords(signOf(kind), time), block: freshBlock(0), falling: freshFalling(),
              fastest_Ohm: NaN, counted: 0, end_s: 0, place: 1,
            };
            take(s.open, time, voltage_V, current_A);
          }
          s.last = { time, seconds: rows.seconds[i]! };
        }
        if (upTo === Infinity) end(0);
      },
      // Both kinds of rows are timed by the last record there is when they end.
      holds: () => (s.open ? s.last.seconds : Infinity),
      save: () => structuredClone(s),
      load: (saved: State) => void (s = structuredClone(saved)),
    };
  },
}); // prettier-ignore

/** With its standard error, of successive records. */
function meanOf(values: readonly number[]): { mean: number; se: number } {
  const n = values.length;
  if (n < LEAST_IN_BLOCK) return { mean: NaN, se: NaN };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  return { mean, se: correlatedError(new Float64Array(n).fill(1 / n), Float64Array.from(values, (value) => value - mean), 1) };
} // prettier-ignore
