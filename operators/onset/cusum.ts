import { choice, code, defineOperator, flag, integer, quantity, REQUIRED, scalar, text, WiringError, type Fields } from "../../runtime/index.ts"; // prettier-ignore

/**
 * Two-sided CUSUM: finds when the mean of one feature has left its baseline, up or down.
 *
 *     z  = (x − μ0) / σ0
 *     C⁺ = max(0, C⁺ + z − k)      C⁻ = max(0, C⁻ − z − k)      alarm where one exceeds h
 *
 *     x   feature, or its mean over a block     [its own]
 *     μ0  median of the baseline                [its own]
 *     σ0  1.4826 · median |x − μ0| of it        [its own]
 *     k   half of the shift to be found         [σ0]
 *     h   limit                                 [σ0]
 *
 * The onset is taken to be at the last sample whose statistic was 0. k 0.5 and h 5 alarm falsely once in 465
 * samples, and find a shift of 1 σ0 after 10.4 (see average-run-length.ts) — where samples are normal, independent
 * and the baseline is known. Samples of a battery are correlated: take block means of a feature, and raise h until
 * your own clean data stay quiet.
 *
 * Reference: Page, Biometrika 41, 100 (1954); Montgomery, Introduction to Statistical Quality Control, ch. 9.
 */
export interface Cusum {
  upper: number;
  lower: number;
  /** When each side was 0 last, or the first sample. */
  upperSince: number;
  lowerSince: number;
}

export const freshCusum = (): Cusum => ({ upper: 0, lower: 0, upperSince: NaN, lowerSince: NaN });

/** One more standardised sample, taken at some time. */
export function advance(c: Cusum, z: number, k: number, when: number): Cusum {
  const upper = Math.max(0, c.upper + z - k);
  const lower = Math.max(0, c.lower - z - k);
  return {
    upper,
    lower,
    upperSince: upper === 0 || Number.isNaN(c.upperSince) ? when : c.upperSince,
    lowerSince: lower === 0 || Number.isNaN(c.lowerSince) ? when : c.lowerSince,
  };
}

/** Median and 1.4826 · MAD: what half of the samples agree on, whatever the others are. */
export function robustBaseline(values: Float64Array): { center: number; scale: number } {
  const center = median(values.slice());
  return { center, scale: 1.4826 * median(values.map((x) => Math.abs(x - center))) };
}

function median(values: Float64Array): number {
  const sorted = values.sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

const CLEAR = 0, WATCH = 1, ALARM = 2; // prettier-ignore
export const LEVELS = { [CLEAR]: "clear", [WATCH]: "watch", [ALARM]: "alarm" } as const;

/** Fewer samples than this are no baseline, more are not kept. */
const FEWEST = 8, MOST = 65536; // prettier-ignore

interface State {
  cusum: Cusum;
  center: number;
  scale: number;
  /** Samples of the baseline so far; no longer grows once there is a center. */
  baseline: number[];
  /** Samples at which a baseline without spread is tried again. */
  retryAt: number;
  /** Values that were no numbers, so far; and whether the last one was. */
  skipped: number;
  skipping: boolean;
  /** The open block: its number, and sum and count of what fell into it. */
  block: number;
  sum: number;
  count: number;
}

export const cusum = defineOperator({
  name: "onset/cusum",
  doc: "Alarms when the mean of one column has left its baseline",
  input: { feature: {} },
  output: ({ feature }, { column, center, scale }) => {
    if (Number.isNaN(center) !== Number.isNaN(scale)) {
      throw new WiringError(
        `${Number.isNaN(center) ? "center" : "scale"}: must be given too; a known baseline is both center and scale`,
      );
    }
    const field = (feature as Fields)[column];
    const numbers = Object.entries(feature as Fields).filter(
      ([, { kind }]) => kind === "scalar" || kind === "code",
    );
    const names = numbers.map(([name]) => name).join(", ") || "none";
    if (!field)
      throw new WiringError(`column: the stream has no ${column}; its columns of numbers are ${names}`);
    if (field.kind !== "scalar" && field.kind !== "code") {
      throw new WiringError(
        `column: ${column} is of kind ${field.kind}, not one number a row; columns of numbers are ${names}`,
      );
    }
    const own = scalar(field.unit === "" ? "1" : field.unit);
    return {
      onset: {
        level: code({ codes: LEVELS }),
        upper: scalar("1", { long_name: "statistic for a rise" }),
        lower: scalar("1", { long_name: "statistic for a fall" }),
        limit: scalar("1"),
        value: { ...own, long_name: column },
        z: scalar("1", { long_name: "value, standardised" }),
        onset_seconds: scalar("s", { long_name: "estimated onset, since the run's origin" }),
        baseline_center: own,
        baseline_scale: own,
        skipped: scalar("{count}", { long_name: "values that were no numbers, so far" }),
      },
    };
  },
  config: {
    column: text(REQUIRED, { doc: "which column of the stream to watch" }),
    k: quantity("1", 0.5, { min: 0, doc: "half of the shift that matters, in scales of the baseline" }),
    h: quantity("1", 5, { min: 0, doc: "limit of the statistic: alarm above it" }),
    watch: quantity("1", 0.7, { min: 0, max: 1, doc: "share of h above which the level is watch" }),
    direction: choice(["both", "up", "down"], "both"),
    block: quantity("s", 0, {
      min: 0,
      doc: "means over blocks of this length are what is watched; 0: each row",
    }),
    baseline_from: quantity("s", 0, { min: 0, doc: "the clean window begins so long after the run" }),
    baseline: quantity("s", 600, {
      min: 0,
      doc: "length of the clean window that center and scale come from",
    }),
    baseline_rows: integer(0, {
      min: 0,
      max: MOST,
      doc: "the window as a number of samples (blocks) in place of its length",
    }),
    center: quantity("1", NaN, {
      doc: "known center, in the column's unit, in place of a baseline; needs scale",
    }),
    scale: quantity("1", NaN, { min: Number.MIN_VALUE, doc: "known scale, in the column's unit" }),
    reset: flag(false, { doc: "begin again from 0 after each alarm" }),
  },
  start(
    { column, k, h, watch, direction, block, baseline_from, baseline, baseline_rows, center, scale, reset },
    { timeAt },
  ) {
    const known = !Number.isNaN(center) && !Number.isNaN(scale);
    let state: State = {
      cusum: freshCusum(), center: known ? center : NaN, scale: known ? scale : NaN,
      baseline: [], retryAt: 0, skipped: 0, skipping: false, block: -Infinity, sum: 0, count: 0,
    }; // prettier-ignore

    /** Takes a sample into the baseline, and closes it when the window is full. */
    const learn = (value: number, seconds: number, fault: (what: string) => void): void => {
      if (seconds < baseline_from) return;
      const n = state.baseline.length;
      const full = baseline_rows > 0 ? n >= baseline_rows : seconds >= baseline_from + baseline;
      if (full && n >= FEWEST && n >= state.retryAt) {
        const found = robustBaseline(Float64Array.from(state.baseline));
        if (found.scale > 0) {
          state = { ...state, ...found, baseline: [] };
          return;
        }
        if (state.retryAt === 0)
          fault(
            `${column} does not vary over its baseline: more than half of ${n} samples are ${found.center}; the window is made longer, or give center and scale`,
          );
        state.retryAt = 2 * n;
      }
      if (n < MOST) state.baseline.push(value);
    };

    return {
      step({ feature }, out, upTo) {
        const fault = (when: number) => (what: string) => out.fault(when, what);
        const evaluate = (value: number, time: bigint, seconds: number): void => {
          if (Number.isNaN(state.center)) learn(value, seconds, fault(seconds));
          const z = (value - state.center) / state.scale;
          let level = CLEAR;
          let onset = NaN;
          if (!Number.isNaN(z)) state.cusum = advance(state.cusum, z, k, seconds);
          const { upper, lower, upperSince, lowerSince } = state.cusum;
          const up = direction === "down" ? 0 : upper;
          const down = direction === "up" ? 0 : lower;
          const statistic = Math.max(up, down);
          if (statistic > h) level = ALARM;
          else if (statistic > watch * h) level = WATCH;
          if (level !== CLEAR) onset = up >= down ? upperSince : lowerSince;
          out.onset.add({
            time, level, upper, lower, limit: h, value, z, onset_seconds: onset,
            baseline_center: state.center, baseline_scale: state.scale, skipped: state.skipped,
          }); // prettier-ignore
          if (reset && level === ALARM) state.cusum = freshCusum();
        };
        const close = (): void => {
          const end = (state.block + 1) * block;
          if (state.count > 0) evaluate(state.sum / state.count, timeAt(end), end);
          state = { ...state, sum: 0, count: 0 };
        };

        const values = feature.columns[column] as ArrayLike<number | bigint>;
        for (let i = 0; i < feature.length; i++) {
          const value = Number(values[i]);
          const seconds = feature.seconds[i]!;
          if (block > 0) {
            const number = Math.floor(seconds / block);
            if (number > state.block) close();
            state.block = Math.max(state.block, number);
          }
          if (!Number.isFinite(value)) {
            if (!state.skipping)
              out.fault(
                feature.time[i]!,
                `${column} is ${value}; skipped, with all that follow until a number comes`,
              );
            state.skipping = true;
            state.skipped++;
            continue;
          }
          state.skipping = false;
          if (block > 0) {
            state.sum += value;
            state.count++;
          } else evaluate(value, feature.time[i]!, seconds);
        }
        // A block is over when no row of it can come any more; its row lies at its end, so nothing is held back.
        if (block > 0 && state.block > -Infinity && Math.floor(upTo / block) > state.block) close();
      },
      save: () => ({ ...state, cusum: { ...state.cusum }, baseline: Float64Array.from(state.baseline) }),
      load: (saved: Omit<State, "baseline"> & { baseline: Float64Array }) =>
        void (state = { ...saved, baseline: [...saved.baseline] }),
    };
  },
});
