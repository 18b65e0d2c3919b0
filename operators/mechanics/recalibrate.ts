import {
  choice, code, curve, defineOperator, quantity, scalar, WiringError, type Columns, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { asOf, axisOf, nsBetween } from "../correlate/as-of.ts";
import { copyRows } from "../correlate/held-rows.ts";

/**
 * Force curves by the newest calibration of their lever: sensitivity and spring constant as streams, for a laser path or
 * a liquid that changes while the cell works.
 *
 *     F' = F k' s'/(k s)
 *
 *     k, s    spring constant [N/m] and deflection sensitivity [m/V] that the curve came with
 *     k', s'  of the last calibration at or before the curve's time, not older than `max_age`; one that failed is none
 *
 * The piezo's height is what it was. All other columns pass through. `calibration` says of each curve what was done. One that
 * cannot be rescaled (no calibration yet, or its own k or s missing) stays as it was recorded, or, with
 * `uncalibrated: missing`, has no spring constant and is not fitted downstream.
 */
export const recalibrate = defineOperator({
  name: "mechanics/recalibrate",
  doc: "Force curves rescaled by the newest spring constant and deflection sensitivity before them.",
  input: {
    curves: {
      force: curve("N"),
      spring_constant: scalar("N/m"),
      deflection_sensitivity: scalar("m/V"),
    },
    calibration: {
      spring_constant: scalar("N/m"),
      spring_constant_se: scalar("N/m", { optional: true }),
      deflection_sensitivity: scalar("m/V"),
      deflection_sensitivity_se: scalar("m/V", { optional: true }),
    },
  },
  output: ({ curves }) => {
    if ("calibration_age" in curves)
      throw new WiringError("these curves are recalibrated already; wire what came before that");
    return {
      curves: {
        ...curves,
        ...CHANGED,
      } as Fields,
    };
  },
  metadata: ({ curves, calibration }) => ({
    curves: {
      ...curves?.metadata,
      ...Object.fromEntries(
        ["method", "correction"].flatMap((key) => {
          const value = calibration?.metadata[key];
          return value === undefined ? [] : [[`calibration_${key}`, value]];
        }),
      ),
    },
  }),
  config: {
    max_age: quantity("s", Infinity, { min: 0, doc: "an older calibration is none" }),
    uncalibrated: choice(["keep", "missing"], "keep", {
      doc: "a curve that cannot be rescaled: `keep` as recorded, or `missing`: without a spring constant",
    }),
  },
  start({ max_age, uncalibrated }, { inputs }) {
    const passing = Object.keys(inputs.curves.fields).filter((name) => !(name in CHANGED));
    let known: Known[] = []; // the newest, and in a step those that have come

    return {
      step({ curves, calibration }, out) {
        for (let i = 0; i < calibration.length; i++) {
          const [k, s] = [calibration.spring_constant[i]!, calibration.deflection_sensitivity[i]!];
          if (!(k > 0 && s > 0)) continue; // it failed, and says so itself
          const k_se = calibration.spring_constant_se?.[i] ?? NaN;
          const s_se = calibration.deflection_sensitivity_se?.[i] ?? NaN;
          known.push({ time: calibration.time[i]!, k, k_se, s, s_se });
        }
        if (curves.length > 0) {
          const of = axisOf(curves.time);
          const axis = axisOf(BigInt64Array.from(known, ({ time }) => time));
          const matches = asOf(of, axis, { tolerance_ns: max_age * 1e9, direction: "backward" });
          const column = (value: (i: number, found: Known | undefined) => number): Float64Array =>
            Float64Array.from(matches, (row, i) => value(i, known[row]));
          const { spring_constant: k, deflection_sensitivity: s } = curves;
          const states = Int32Array.from(matches, (row, i) =>
            row < 0 ? NONE_YET : k[i]! > 0 && s[i]! > 0 ? RESCALED : UNKNOWN,
          );
          const one = (i: number, before: number, after: number | undefined): number =>
            states[i] === RESCALED ? after! : uncalibrated === "missing" ? NaN : before;
          const kept = Object.fromEntries(passing.map((name) => [name, curves.columns[name]!]));
          const passed = copyRows({ time: curves.time, ...kept } as unknown as Columns);
          (out.curves as { put(columns: unknown): void }).put({
            ...passed,
            force: scaled(curves.force, column((i, found) => states[i] === RESCALED ? (found!.k * found!.s) / (k[i]! * s[i]!) : 1)), // prettier-ignore
            spring_constant: column((i, found) => one(i, k[i]!, found?.k)),
            spring_constant_se: column((i, found) => one(i, NaN, found?.k_se)),
            deflection_sensitivity: column((i, found) => one(i, s[i]!, found?.s)),
            deflection_sensitivity_se: column((i, found) => one(i, NaN, found?.s_se)),
            calibration_age: column((i) =>
              matches[i]! < 0 ? NaN : nsBetween(of, i, axis, matches[i]!) / 1e9,
            ),
            calibration: states,
          });
        }
        known = known.slice(-1); // none that comes later can match an earlier one
      },
      save: (): Saved => ({
        time: BigInt64Array.from(known, ({ time }) => time),
        values: Float64Array.from(known.flatMap(({ k, k_se, s, s_se }) => [k, k_se, s, s_se])),
      }),
      load({ time, values }: Saved) {
        known = Array.from(time, (at, i) => {
          const [k, k_se, s, s_se] = values.subarray(4 * i) as unknown as [number, number, number, number];
          return { time: at, k, k_se, s, s_se };
        });
      },
    };
  },
});

const RESCALED = 0, NONE_YET = 1, UNKNOWN = 2; // prettier-ignore

const CHANGED = {
  force: curve("N", { doc: "by the calibration as of the curve's time" }),
  spring_constant: scalar("N/m", { uncertainty: "spring_constant_se" }),
  deflection_sensitivity: scalar("m/V", { uncertainty: "deflection_sensitivity_se" }),
  spring_constant_se: scalar("N/m"),
  deflection_sensitivity_se: scalar("m/V"),
  calibration_age: scalar("s", { doc: "of the calibration at the curve's time" }),
  calibration: code({
    codes: {
      [RESCALED]: "rescaled",
      [NONE_YET]: "as recorded: no calibration before it",
      [UNKNOWN]: "as recorded: its own spring constant or sensitivity is missing",
    },
  }),
} as const;

interface Known {
  readonly time: bigint;
  readonly k: number;
  readonly k_se: number;
  readonly s: number;
  readonly s_se: number;
}

interface Saved {
  readonly time: BigInt64Array;
  readonly values: Float64Array;
}

/** Each list times its factor, as new lists. */
function scaled({ values, offsets }: { values: Float64Array; offsets: Int32Array }, factors: Float64Array) {
  const first = offsets[0]!;
  const out = values.slice(first, offsets[factors.length]);
  for (let row = 0; row < factors.length; row++)
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) out[i - first]! *= factors[row]!;
  return { values: out, offsets: offsets.map((at) => at - first) };
}
