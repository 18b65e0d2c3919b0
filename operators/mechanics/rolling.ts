import { defineOperator, integer, quantity, scalar, type Schema } from "../../runtime/index.ts";

/**
 * Rolling estimate of a modulus: median and weighted mean of the rows in a window of event time.
 *
 *     M      median of E_i
 *     MAD    median of |E_i - M|;  1.4826 MAD is the standard deviation of a normal spread
 *     M_se   √(π/2) · 1.4826 MAD / √n
 *     mean   Σ w_i E_i / Σ w_i,  w_i = 1 / (se_i² + τ²)
 *     mean_se  1 / √(Σ w_i)
 *     τ²     max(0, (χ² - (n - 1)) / (Σ v_i - Σ v_i² / Σ v_i)),  v_i = 1 / se_i²,  χ² = Σ v_i (E_i - Σ v_i E_i / Σ v_i)²
 *
 *     E_i    modulus [Pa] of the curves with t - window ≤ time < t, se_i its standard error [Pa]
 *     t      whole multiples of `every` since the run's origin; the time of the row
 *
 * τ is what the curves differ by beyond their own noise: on a real surface most of it. Without it soft curves, whose
 * standard errors are small, would count for all. Rows with NaN are not counted; rows without a standard error count for the median alone.
 * A row is given where a curve came since the row before it: no new curve, no new estimate.
 *
 * Reference: DerSimonian & Laird, Control. Clin. Trials 7, 177 (1986), eq. 8; Rousseeuw & Croux, J. Am. Stat. Assoc. 88, 1273 (1993).
 */
export interface RollingEstimate {
  median: number;
  mad: number;
  median_se: number;
  mean: number;
  mean_se: number;
}

/** `values` are put in order in place; values and errors need not stay in step after it. */
export function rollingEstimate(values: Float64Array, errors: Float64Array): RollingEstimate {
  const n = values.length;
  const own = weighted(values, errors, 0);
  const beyond =
    own.count > 1 ? Math.max(0, (own.chi - (own.count - 1)) / (own.weight - own.squares / own.weight)) : 0;
  const { mean, weight, count } = weighted(values, errors, beyond);
  const median = medianOf(values);
  const mad = medianOf(values.map((value) => Math.abs(value - median)));
  return {
    median,
    mad,
    // One value says nothing of its spread.
    median_se: n > 1 ? (Math.sqrt(Math.PI / 2) * 1.4826 * mad) / Math.sqrt(n) : NaN,
    mean,
    mean_se: count > 0 ? 1 / Math.sqrt(weight) : NaN,
  };
}

/** Mean with weights 1 / (se² + variance) of the values that have a standard error, and the sums it is made of. */
function weighted(values: Float64Array, errors: Float64Array, variance: number) {
  let [weight, squares, sum, count, chi] = [0, 0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!(errors[i]! > 0)) continue;
    const w = 1 / (errors[i]! ** 2 + variance);
    weight += w;
    squares += w * w;
    sum += w * values[i]!;
    count++;
  }
  const mean = count > 0 ? sum / weight : NaN;
  for (let i = 0; i < values.length; i++)
    if (errors[i]! > 0) chi += (values[i]! - mean) ** 2 / (errors[i]! ** 2 + variance);
  return { mean, weight, squares, count, chi };
}

/** Sorts in place. */
function medianOf(values: Float64Array): number {
  values.sort();
  const n = values.length;
  return n === 0 ? NaN : (values[(n - 1) >> 1]! + values[n >> 1]!) / 2;
}

interface Saved {
  seconds: Float64Array;
  modulus: Float64Array;
  modulus_se: Float64Array;
  /** Number of the pane under way; where none is, -1. */
  pane: number;
  /** Rows that had no room in the pane under way. */
  dropped: number;
}

export const rolling = defineOperator({
  name: "mechanics/rolling",
  doc: "Median and weighted mean of the modulus over a window of time, given at whole multiples of `every`.",
  input: { modulus: { modulus: scalar("Pa"), modulus_se: scalar("Pa") } },
  output: {
    rolling: {
      median: scalar("Pa", { uncertainty: "median_se" }),
      median_se: scalar("Pa"),
      mad: scalar("Pa", { doc: "median absolute deviation from the median" }),
      mean: scalar("Pa", {
        uncertainty: "mean_se",
        doc: "weighted by 1 / (modulus_se² + the variance that the curves have beyond it)",
      }),
      mean_se: scalar("Pa"),
      count: scalar("1", { doc: "curves with a modulus in the window" }),
    },
  },
  metadata: ({ modulus }, { window, every }) => ({
    rolling: {
      ...modulus?.metadata,
      window: `${window} s`,
      every: `${every} s`,
    } satisfies Schema["metadata"],
  }),
  config: {
    window: quantity("s", 60, { min: 1e-6, doc: "length of time that each estimate looks back on" }),
    every: quantity("s", 10, { min: 1e-6, doc: "time between estimates" }),
    max_rows: integer(100_000, {
      min: 1,
      doc: "curves that a window holds at most; of more, the newest count and a fault says so",
    }),
  },
  start({ window, every, max_rows }, { timeAt }) {
    let state: Saved = {
      seconds: new Float64Array(64),
      modulus: new Float64Array(64),
      modulus_se: new Float64Array(64),
      pane: -1,
      dropped: 0,
    };
    let first = 0; // rows first … end of the state's arrays are in the window
    let end = 0;

    /** Pane k ends at (k + 1) × every, by the very product that the output is timed with. */
    const paneOf = (seconds: number): number => {
      let k = Math.floor(seconds / every);
      while (seconds >= (k + 1) * every) k++;
      while (seconds < k * every) k--;
      return k;
    };

    const keep = (seconds: number, modulus: number, modulus_se: number): void => {
      const t = (state.pane + 1) * every;
      while (first < end && state.seconds[first]! < t - window) first++;
      if (end - first === max_rows) {
        first++;
        state.dropped++;
      }
      if (end === state.seconds.length) {
        const held = end - first;
        const size = Math.max(64, 2 * held);
        const moved = (from: Float64Array): Float64Array => {
          const to = new Float64Array(size);
          to.set(from.subarray(first, end));
          return to;
        };
        state = {
          ...state,
          seconds: moved(state.seconds),
          modulus: moved(state.modulus),
          modulus_se: moved(state.modulus_se),
        };
        [first, end] = [0, held];
      }
      state.seconds[end] = seconds;
      state.modulus[end] = modulus;
      state.modulus_se[end++] = modulus_se;
    };

    return {
      step({ modulus: rows }, out, upTo) {
        const give = (): void => {
          const t = (state.pane + 1) * every;
          while (first < end && state.seconds[first]! < t - window) first++;
          state.pane = -1;
          if (state.dropped > 0)
            out.fault(
              t,
              `${state.dropped} curves had no room in a window of ${window} s; the newest ${max_rows} count (max_rows)`,
            );
          state.dropped = 0;
          if (first === end) return; // only where the window is shorter than `every`
          const { mad, ...rest } = rollingEstimate(
            state.modulus.slice(first, end),
            state.modulus_se.subarray(first, end),
          );
          out.rolling.add({ time: timeAt(t), ...rest, mad, count: end - first });
        };
        for (let i = 0; i < rows.length; i++) {
          const E = rows.modulus[i]!;
          if (!Number.isFinite(E)) continue;
          const seconds = rows.seconds[i]!;
          const pane = paneOf(seconds);
          if (state.pane >= 0 && pane > state.pane) give();
          state.pane = pane;
          keep(seconds, E, rows.modulus_se[i]!);
        }
        if (state.pane >= 0 && (state.pane + 1) * every <= upTo) give();
      },
      save: (): Saved => ({
        seconds: state.seconds.slice(first, end), modulus: state.modulus.slice(first, end),
        modulus_se: state.modulus_se.slice(first, end), pane: state.pane, dropped: state.dropped,
      }), // prettier-ignore
      load(saved: Saved) {
        state = {
          ...saved,
          seconds: saved.seconds.slice(),
          modulus: saved.modulus.slice(),
          modulus_se: saved.modulus_se.slice(),
        };
        [first, end] = [0, saved.seconds.length];
      },
    };
  },
});
