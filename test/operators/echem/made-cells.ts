/** Cycling tests that are made from what is known of them, and the chain of operators that finds it back. */
import { charge } from "../../../operators/echem/charge.ts";
import { cycles } from "../../../operators/echem/cycles.ts";
import { steps } from "../../../operators/echem/steps.ts";
import type { Fields } from "../../../runtime/index.ts";
import { feed, type FeedOptions } from "../../helpers/feed.ts";

export interface Echem {
  time: BigInt64Array;
  voltage_volt: Float64Array;
  current_ampere: Float64Array;
  [more: string]: BigInt64Array | Float64Array | Float32Array | Int32Array | Uint16Array | Uint32Array | Uint8Array; // prettier-ignore
}

/** Records of one step of the cycler's; current and voltage by the second since its first record. */
export interface Part {
  readonly records: number;
  readonly current: (s: number) => number;
  readonly voltage: (s: number) => number;
  /** The cycler's number. */
  readonly cycle?: number;
}

export const rest = (records: number, volt = 3, cycle = 1): Part => ({
  records, cycle, current: () => 0, voltage: () => volt,
}); // prettier-ignore

/** Constant current; the voltage goes from one to the other, linearly. */
export const constant = (records: number, ampere: number, [from, to]: readonly number[] = [3, 4], cycle = 1, dt_s = 10): Part => ({
  records, cycle, current: () => ampere, voltage: (s) => from! + ((to! - from!) * s) / ((records - 1) * dt_s || 1),
}); // prettier-ignore

/** `time` begins at `start`; records of a step lie `dt_s` apart, and steps follow each other within a millisecond. */
export function cell(
  parts: readonly Part[],
  { dt_s = 10, start = 0n }: { dt_s?: number; start?: bigint } = {},
): Echem {
  const [time, current, voltage, steps, counts] = [[] as bigint[], [] as number[], [] as number[], [] as number[], [] as number[]]; // prettier-ignore
  let at_ms = 0;
  parts.forEach((part, step) => {
    for (let i = 0; i < part.records; i++) {
      time.push(start + BigInt(at_ms + i * dt_s * 1000) * 1_000_000n);
      current.push(part.current(i * dt_s));
      voltage.push(part.voltage(i * dt_s));
      steps.push(step + 1);
      counts.push(part.cycle ?? 1);
    }
    at_ms += (part.records - 1) * dt_s * 1000 + 1;
  });
  return {
    time: BigInt64Array.from(time), current_ampere: Float64Array.from(current), voltage_volt: Float64Array.from(voltage),
    step_count: Int32Array.from(steps), cycle_count: Int32Array.from(counts),
  }; // prettier-ignore
}

export const without = (echem: Echem, ...names: string[]): Echem =>
  Object.fromEntries(Object.entries(echem).filter(([name]) => !names.includes(name))) as Echem;

export interface Chain {
  rows?: number;
  reloadAfter?: readonly number[];
  /** Of the stream, where they are not those that the operators declare. */
  fields?: Fields;
  steps?: Record<string, unknown>;
  cycles?: Record<string, unknown>;
  charge?: Record<string, unknown>;
}

/** echem → steps → cycles → charge, as a pipeline wires them. */
// oxlint-disable-next-line no-explicit-any
export function chain(echem: Echem, options: Chain = {}): any {
  const how = ({ rows, reloadAfter }: Chain): FeedOptions => ({
    ...(rows !== undefined && { rows }),
    ...(reloadAfter && { reloadAfter }),
  });
  const { fields } = options;
  // A stream without a row has no columns but its time.
  const whole = (rows: { time: BigInt64Array }, wanted: Fields): { time: BigInt64Array } => ({
    ...Object.fromEntries(Object.keys(wanted).map((name) => [name, new Int32Array(0)])),
    ...rows,
  });
  const found = feed(steps, { echem }, {
    ...how(options), with: options.steps ?? {}, ...(fields && { schema: { echem: fields } }),
  }); // prettier-ignore
  const schema = fields && { echem: fields, state: cycles.input.state };
  const numbered = feed(cycles, { echem, state: whole(found.state, cycles.input.state) }, {
    ...how(options), with: options.cycles ?? {}, ...(schema && { schema }),
  }); // prettier-ignore
  const charged = feed(charge, { echem, state: whole(numbered.state, charge.input.state) }, {
    ...how(options), with: options.charge ?? {}, ...(fields && { schema: { echem: fields, state: charge.input.state } }),
  }); // prettier-ignore
  return {
    steps: found.steps, stepState: found.state, cycles: numbered.cycles, state: numbered.state, charge: charged.charge,
    faults: [...found.faults, ...numbered.faults, ...charged.faults],
  }; // prettier-ignore
}
