import { choice, code, curve, defineOperator, integer, quantity, scalar } from "../../runtime/index.ts";
import { peaksOf } from "./capacity-peaks.ts";
import { addRow, endStretch, freshStretch, type Point, type Stretch } from "./charge-windows.ts";
import { CHARGE, DISCHARGE } from "./current-state.ts";
import { addToLevels, endLevels, endRun, freshLevels, type Levels } from "./voltage-levels.ts";

/**
 * Incremental capacity dQ/dV and differential voltage dV/dQ of each half cycle, and the peaks of dQ/dV.
 *
 * Q is charge into the cell, so that dQ/dV of a charge and of a discharge are both positive; where the voltage falls
 * while charge goes in (a kink, a cell wired the other way round) it is negative. `capacity` counts from the start of the
 * half cycle in its direction. Points stand in the order in which they were passed.
 *
 * `polynomial`  V over Q by a local cubic in a window of so much voltage (charge-windows.ts). Points every `step` or so.
 *               Where dV/dQ cannot be told from zero, by two standard errors, dQ/dV is NaN.
 * `levels`      charge passed at each level of a grid of `step`, through a parabola in the same window (voltage-levels.ts).
 *               Where the voltage passes a level several times, as over a kink, this is the charge of all passes together.
 *
 * Only charge and discharge at changing voltage count: not rests, not constant voltage (nor, by `polynomial`, a window in which the
 * voltage moves by less than an eighth of its width: the first records of a constant-voltage step, before it shows). A rest within a half cycle, a gap
 * (which the change of a step is, too) or constant voltage ends a stretch, over whose end no window reaches. Records without voltage or charge are left out.
 *
 * Errors are those of the noise in V, told from the data; a peak narrower than the window is flattened beside: of a logistic
 * step of width w, by the window's half width h, with u = h / 2w, by 0.05 u⁴ or so (1 % at w = h / 1.3). Where
 * records are so sparse that the window would hold fewer than eight, it is wider; the column `window` says how wide. Then the
 * flanks of a sharp peak are too low by more than their errors: of w = 12 mV, with a record every 5 mV, by a fifth where dQ/dV
 * is below a third of the peak's, and by 2 % at its top.
 *
 * A curve is timed by the record that shows that its half cycle has ended; rows of `live` are the curve's points, each
 * timed by the record that settled it.
 *
 * Reference: Dubarry & Anseán, Front. Energy Res. 10, 1023555 (2022); Fan & Gijbels, Local Polynomial Modelling, ch. 3.
 */
const CODES = {
  cycle_index: code(),
  half_cycle_index: code(),
  kind: code({ codes: { 1: "charge", 2: "discharge" } }),
};

/** Of one half cycle. */
const MOST_POINTS = 20_000;

const POINT = {
  voltage: "V", capacity: "A.h", capacity_se: "A.h", dq_dv: "A.h/V", dq_dv_se: "A.h/V", dv_dq: "V/A/h", dv_dq_se: "V/A/h", window: "V",
} as const; // prettier-ignore
const NAMES = Object.keys(POINT) as (keyof typeof POINT)[];
const ABOUT: { [name in keyof typeof POINT]?: object } = {
  capacity: { uncertainty: "capacity_se", doc: "passed since the half cycle began" },
  dq_dv: { uncertainty: "dq_dv_se", doc: "incremental capacity" },
  dv_dq: { uncertainty: "dv_dq_se", doc: "differential voltage" },
  window: { doc: "voltage that the point was found from" },
};

/** A half cycle under way. */
interface HalfCycle {
  cycle: number;
  index: number;
  kind: number;
  start: bigint;
  end: bigint;
  records: number;
  from: number;
  to: number;
  last_V: number;
  stretch: Stretch;
  levels: Levels;
  points: Point[];
  /** What has been said of it. */
  said: string[];
}

export const incrementalCapacity = defineOperator({
  name: "echem/incremental-capacity",
  doc: "dQ/dV and dV/dQ of each half cycle with standard errors, live and as whole curves, and the peaks of dQ/dV",
  input: {
    charge: {
      voltage_volt: scalar("V"),
      kind: code(),
      cycle_index: code(),
      half_cycle_index: code(),
      half_cycle_charge_ampere_hour: scalar("A.h"),
      gap: code({ type: "u8", optional: true }),
    },
  },
  output: {
    curves: {
      ...CODES,
      start: scalar("ns", { type: "i64", doc: "time of the half cycle's first record" }),
      end: scalar("ns", { type: "i64", doc: "time of its last record that counts" }),
      records: scalar("1", { doc: "that count" }),
      charge_ampere_hour: scalar("A.h", { doc: "between the first and the last of them" }),
      ...(Object.fromEntries(NAMES.map((name) => [name, curve(POINT[name], ABOUT[name])])) as Record<keyof typeof POINT, ReturnType<typeof curve>>),
    },
    live: {
      ...CODES,
      ...(Object.fromEntries(NAMES.map((name) => [name, scalar(POINT[name], ABOUT[name])])) as Record<keyof typeof POINT, ReturnType<typeof scalar>>),
    },
    peaks: {
      ...CODES,
      number: code({ doc: "counts from 0, by voltage" }),
      voltage: scalar("V", { uncertainty: "voltage_se" }),
      voltage_se: scalar("V"),
      height: scalar("A.h/V", { uncertainty: "height_se" }),
      height_se: scalar("A.h/V"),
      width: scalar("V", { uncertainty: "width_se", doc: "at half of the prominence" }),
      width_se: scalar("V"),
      area: scalar("A.h", { uncertainty: "area_se", doc: "charge that passed within that width" }),
      area_se: scalar("A.h"),
      prominence: scalar("A.h/V", { doc: "height above the higher of the lowest places on either side" }),
    },
  },
  config: {
    method: choice(["polynomial", "levels"], "polynomial", {
      doc: "polynomial: V over Q by a local cubic; levels: charge passed at each level of voltage",
    }),
    window: quantity("V", 0.025, { min: 1e-4, max: 1, doc: "voltage that each point is found from; peaks narrower than half of it are flattened" }),
    step: quantity("V", 0.002, { min: 1e-4, max: 0.1, doc: "between points" }),
    min_prominence: quantity("1", 0.05, { min: 0, max: 1, doc: "of a peak, as a share of the highest" }),
    significance: quantity("1", 5, { min: 0, doc: "standard errors that a peak's prominence is beyond" }),
    max_rows: integer(200_000, { min: 100, doc: "records that a window holds at most; with more, windows are narrower and a fault says so" }),
  },
  start({ method, window, step, min_prominence, significance, max_rows }) {
    const settings = { half_V: window / 2, step_V: step, mostRows: max_rows };
    let half: HalfCycle | undefined;
    /** Of the last record, whatever it was. */
    let seen = { time: 0n, seconds: -Infinity };

    return {
      step({ charge: rows }, out, upTo) {
        let time = 0n;
        const signOf = (h: HalfCycle): number => (h.kind === CHARGE ? 1 : -1);
        const give = (point: Point): void => {
          const h = half!;
          if (h.points.length >= MOST_POINTS) {
            say(h, `half cycle ${h.index} has more than ${MOST_POINTS} points of dQ/dV; the rest is left out. A larger step makes fewer`);
            return;
          }
          h.points.push(point);
          out.live.add({ time, cycle_index: h.cycle, half_cycle_index: h.index, kind: h.kind, ...point });
        };
        const say = (h: HalfCycle, what: string): void => {
          if (h.said.includes(what)) return;
          h.said.push(what);
          out.fault(time, what);
        };
        /** No window reaches over what comes now. */
        const interrupt = (): void => {
          if (!half) return;
          if (method === "levels") endRun(half.levels, settings);
          else if (half.stretch.charge.length > 0) {
            endStretch(half.stretch, signOf(half), settings, give);
            half.stretch = freshStretch();
          }
        };
        const finish = (): void => {
          if (!half) return;
          interrupt();
          if (method === "levels") endLevels(half.levels, half.last_V, signOf(half), settings, give);
          const h = half;
          half = undefined;
          const codes = { cycle_index: h.cycle, half_cycle_index: h.index, kind: h.kind };
          const columns = Object.fromEntries(NAMES.map((name) => [name, Float64Array.from(h.points, (point) => point[name])]));
          out.curves.add({
            time, ...codes, start: h.start, end: h.end, records: h.records, charge_ampere_hour: h.to - h.from,
            ...(columns as Record<keyof typeof POINT, Float64Array>),
          });
          const found = peaksOf(h.points, { half_V: settings.half_V, share: min_prominence, significance });
          for (const [number, peak] of found.entries()) out.peaks.add({ time, ...codes, number, ...peak });
        };

        for (let i = 0; i < rows.length; i++) {
          time = rows.time[i]!;
          const index = rows.half_cycle_index[i]!;
          if (half && index !== half.index) finish();
          const kind = rows.kind[i]!;
          if (index < 0) continue;
          if (kind !== CHARGE && kind !== DISCHARGE) {
            interrupt();
            continue;
          }
          const voltage = rows.voltage_volt[i]!;
          const passed = rows.half_cycle_charge_ampere_hour[i]!;
          if (!Number.isFinite(voltage) || !Number.isFinite(passed)) continue;
          if (rows.gap && rows.gap[i] !== 0) interrupt();
          half ??= {
            cycle: rows.cycle_index[i]!, index, kind, start: time, end: time, records: 0, from: passed, to: passed, last_V: voltage,
            stretch: freshStretch(), levels: freshLevels(), points: [], said: [],
          };
          const h: HalfCycle = half;
          if (method === "levels") {
            addToLevels(h.levels, passed, voltage, signOf(h), settings, give);
            if (h.levels.lost) say(h, `half cycle ${index} spans more levels of voltage than are kept; the rest is left out. A larger step makes fewer`);
          } else {
            addRow(h.stretch, passed, voltage, signOf(h), settings, give);
            if (h.stretch.narrowed) say(h, `windows of half cycle ${index} held more than ${max_rows} records and were narrowed (max_rows)`);
          }
          h.records++;
          h.end = time;
          h.to = passed;
          h.last_V = voltage;
        }
        if (rows.length > 0) seen = { time: rows.time[rows.length - 1]!, seconds: rows.seconds[rows.length - 1]! };
        if (upTo === Infinity && half) {
          time = seen.time;
          finish();
        }
      },
      // A half cycle that the end of the stream ends is timed by the last record.
      holds: () => (half ? seen.seconds : Infinity),
      save: () => structuredClone({ half, seen }),
      load(saved: { half: HalfCycle | undefined; seen: typeof seen }) {
        ({ half, seen } = structuredClone(saved));
      },
    };
  },
}); // prettier-ignore
