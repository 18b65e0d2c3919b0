import {
  choice,
  code,
  defineOperator,
  quantity,
  scalar,
  text,
  WiringError,
  type Field,
  type Fields,
} from "../../runtime/index.ts";
import { close, earliest, freshMonotone, take, type Knot, type Monotone } from "./monotone.ts";

/**
 * Another axis than time: capacity, voltage, state of charge or cycle number as a monotone function of time, segment by
 * segment (monotone.ts), as the knots of a line.
 *
 *     value(t) between two knots of a segment is the straight line through them; t(value) is its inverse
 *
 * So anything that has a time can be plotted and linked against it: an image taken at t stands at value(t), and a click at a value
 * leads to the times, one for each segment that reaches it.
 *
 *     capacity         A.h   half_cycle_charge_ampere_hour        a segment is a half cycle, at the longest
 *     voltage          V     voltage_volt
 *     state-of-charge  1     initial + charge_ampere_hour / capacity
 *     cycle            1     cycle_index
 *     column           any scalar of the stream, by its name
 *
 * `from` is the stream of echem/charge, or for voltage and column any other. Knots nearer to the one before than `resolution` (a share
 * of the range so far) are left out, but the first and last of a segment never. `value_se` is of the noise of the
 * quantity itself. A value that is missing is no part of the map.
 */
const COLUMNS = {
  capacity: "half_cycle_charge_ampere_hour", voltage: "voltage_volt", "state-of-charge": "charge_ampere_hour", cycle: "cycle_index",
} as const; // prettier-ignore

export const axis = defineOperator({
  name: "correlate/axis",
  doc: "Capacity, voltage, state of charge or cycle number as a monotone function of time, to plot and link everything against",
  input: { rows: { half_cycle_index: code({ optional: true }), step_index: code({ optional: true }) } },
  output: ({ rows }, { of, column, capacity }) => {
    const name = nameOf(of, column);
    const field = (rows as Fields)[name];
    if (!field) {
      const there = Object.keys(rows as Fields).join(", ");
      throw new WiringError(`the axis is made of ${name}, which its stream has not; it has ${there}${of === "voltage" || of === "column" ? "" : "; give it the stream of echem/charge"}`);
    }
    if (field.kind !== "scalar" && field.kind !== "code") throw new WiringError(`${name} is a ${field.kind}; an axis is made of a scalar`);
    if (of === "state-of-charge" && !(capacity > 0)) throw new WiringError("of: state-of-charge needs the cell's capacity, such as capacity: 5 A.h");
    return { axis: outputs(field, of, name) };
  },
  config: {
    of: choice(["capacity", "voltage", "state-of-charge", "cycle", "column"], "capacity", { doc: "what the axis is" }),
    column: text("", { doc: "of: column: its name" }),
    capacity: quantity("A.h", 0, { min: 0, doc: "of: state-of-charge: what the cell holds" }),
    initial: quantity("1", 0, { doc: "of: state-of-charge: where the stream begins" }),
    resolution: quantity("1", 0.001, { min: 0, max: 1, doc: "share of the range by which knots are apart" }),
  },
  start({ of, column, capacity, initial, resolution }, { inputs, origin }) {
    const name = nameOf(of, column);
    const bySegment = of !== "cycle" && ["half_cycle_index", "step_index"].find((one) => one in inputs.rows.fields);
    let s: { map: Monotone; key: number; last: Knot | undefined; skipped: Knot | undefined } = {
      map: freshMonotone(), key: -1, last: undefined, skipped: undefined,
    };

    return {
      step({ rows }, out, upTo) {
        const { length, time } = rows;
        const all = rows.columns as unknown as Record<string, ArrayLike<number>>;
        const values = all[name]!;
        const keys = bySegment ? all[bySegment]! : undefined;
        const put = (knot: Knot): void => {
          out.axis.add({ time: knot.time, value: knot.value, value_se: knot.se, segment: knot.segment, direction: knot.direction });
          s.last = knot;
          s.skipped = undefined;
        };
        const give = (knot: Knot): void => {
          const { last, skipped } = s;
          const apart = resolution * (s.map.most - s.map.least);
          if (last?.segment !== knot.segment) {
            if (skipped) put(skipped); // the last of its segment
            return put(knot);
          }
          if (Math.abs(knot.value - last.value) < apart) return void (s.skipped = knot);
          // Where the line would pass what was left out, as at the end of a plateau, that stays.
          if (skipped && Math.abs(between(last, knot, skipped.time) - skipped.value) > apart / 2) put(skipped);
          put(knot);
        };
        for (let i = 0; i < length; i++) {
          const measured = values[i]!;
          if (!Number.isFinite(measured)) continue;
          const key = keys ? keys[i]! : 0;
          if (key !== s.key) close(s.map, give);
          s.key = key;
          take(s.map, time[i]!, of === "state-of-charge" ? initial + measured / capacity : measured, give);
        }
        if (upTo === Infinity) {
          close(s.map, give);
          if (s.skipped) put(s.skipped);
        }
      },
      holds() {
        const waits = s.skipped?.time ?? earliest(s.map);
        return waits === undefined ? Infinity : Number(waits - origin) / 1e9;
      },
      save: () => structuredClone(s),
      load: (saved: typeof s) => void (s = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const nameOf = (of: string, column: string): string =>
  of === "column" ? column : COLUMNS[of as keyof typeof COLUMNS];

function between(a: Knot, b: Knot, time: bigint): number {
  return a.value + ((b.value - a.value) * Number(time - a.time)) / Number(b.time - a.time);
}

const outputs = (field: Field, of: string, name: string) => ({
  value: scalar(of === "state-of-charge" ? "1" : field.kind === "code" ? "1" : field.unit, { long_name: of === "column" ? name : of, uncertainty: "value_se" }),
  value_se: scalar(of === "state-of-charge" ? "1" : field.kind === "code" ? "1" : field.unit),
  segment: code({ doc: "counts from 0" }),
  direction: code({ codes: { [-1]: "falling", 0: "neither", 1: "rising" } }),
}); // prettier-ignore
