import {
  choice, code, curve, defineOperator, quantity, scalar, WiringError, type Columns, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { copyRows } from "../correlate/held-rows.ts";

/**
 * Baseline of force curves as a state that changes slowly from curve to curve: virtual deflection, or thermal bending.
 *
 *     F(u) = F_true(u) + b + m (u - ū)        u  height [m] (virtual deflection, interference)
 *                                                or share of the approach's samples, 1 at its end (bending in time)
 *
 *     m̂ = Σ λ_i w_i m_i / Σ λ_i w_i,   λ_i = exp(-(t - t_i)/memory),   w_i = 1 / se_i²
 *     m̂_se² = max(1, χ²/ν) Σ λ_i² w_i / (Σ λ_i w_i)²,   χ² = Σ λ_i w_i (m_i - m̂)²
 *
 *     m_i  slope of one curve, a straight line through the first `share` of its approach (far from the sample)
 *     b    force in the middle ū of that stretch: the curve's own with slope m̂, or a state like m̂ (`offset: state`)
 *
 * At the same place the slope is the same: the mean over many curves has far less noise than one curve's own, which bends
 * soft contacts. χ²/ν widens the error where curves differ by more than their noise. The error of one curve's slope counts
 * noise over neighbouring samples (eight blocks). A curve whose stretch is not straight does not count (the last eighth
 * lies above the line through the first three quarters by `max_rise` of the curve's largest force: contact, or a step); it
 * is corrected by the state, and `baseline_valid` says so.
 *
 * Gives the curves with F less its baseline, all segments alike, and the course of the state.
 *
 * Reference: the two corrections are those of nanite ("shift" and "drift"); the state over curves is ours.
 */
export const baseline = defineOperator({
  name: "drift/baseline",
  doc: "Slope and offset of force curves' baselines, followed from curve to curve, and the curves without them",
  input: {
    curves: { height: curve("m"), force: curve("N"), segment: curve("", { type: "u8" }) },
  },
  output: ({ curves }, { along }) => {
    const own = stateFields(along);
    for (const name in own)
      if (name in curves) throw new WiringError(`curves have a column ${name} already: their baseline was taken off before`); // prettier-ignore
    return {
      curves: { ...(curves as Fields), force: { ...(curves as Fields)["force"]!, type: "f64" }, ...own } as Fields,
      baseline: {
        ...own,
        own_slope: scalar(UNIT[along], { uncertainty: "own_slope_se", doc: "of this curve alone" }),
        own_slope_se: scalar(UNIT[along]),
      },
    };
  },
  config: {
    along: choice(["height", "time"], "height", {
      doc: "what the baseline is straight in: height (virtual deflection), time (thermal bending, by samples of even rate)",
    }),
    share: quantity("1", 0.5, {
      min: 0.05,
      max: 0.95,
      doc: "of the approach's samples, from its begin, that are baseline",
    }),
    memory: quantity("s", 300, { min: 0, doc: "time after which a curve counts for 1/e; 0: each curve alone" }),
    offset: choice(["own", "state"], "own", { doc: "each curve's own, or followed like the slope" }),
    max_rise: quantity("1", 0.02, {
      min: 0,
      doc: "by how much of the curve's largest force the end of the stretch may leave its line",
    }),
  },
  start({ along, share, memory, offset, max_rise }) {
    let slope = none();
    let level = none();
    const line = new Line();

    return {
      step({ curves }, out) {
        const n = curves.length;
        if (n === 0) return;
        const { height, force, segment } = curves;
        const first = force.offsets[0]!;
        const corrected = force.values.slice(first, force.offsets[n]!);
        const column = (): Float64Array => new Float64Array(n);
        const rows = { baseline_slope: column(), baseline_slope_se: column(), baseline_offset: column(), baseline_offset_se: column(), baseline_valid: new Int32Array(n) };
        const own = { own_slope: column(), own_slope_se: column() };
        for (let i = 0; i < n; i++) {
          const [from, to] = [force.offsets[i]!, force.offsets[i + 1]!];
          const count = to - from;
          const h = height.values.subarray(height.offsets[i], height.offsets[i + 1]);
          const f = force.values.subarray(from, to);
          const approach = approachOf(segment.values.subarray(segment.offsets[i], segment.offsets[i + 1]));
          const u = (k: number): number => (along === "height" ? h[k]! : (k - approach.from) / (approach.to - approach.from));
          const valid = line.fit(u, f, approach.from, approach.from + Math.floor(share * (approach.to - approach.from)), max_rise);
          own.own_slope[i] = valid === USED ? line.slope : NaN;
          own.own_slope_se[i] = valid === USED ? line.slope_se : NaN;
          const seconds = curves.seconds[i]!;
          if (valid === USED) slope = updated(slope, line.slope, line.slope_se, seconds, memory);
          const m = valueOf(slope);
          // With another slope than its own a line through the same points still passes their mean.
          if (valid === USED) level = updated(level, line.mean, line.mean_se, seconds, memory);
          const b = valid === USED && offset === "own" ? { value: line.mean, se: line.mean_se } : valueOf(level);
          rows.baseline_slope[i] = m.value;
          rows.baseline_slope_se[i] = m.se;
          rows.baseline_offset[i] = b.value;
          rows.baseline_offset_se[i] = b.se;
          rows.baseline_valid[i] = valid === USED || Number.isNaN(m.value) ? valid : valid + BY_STATE;
          if (Number.isNaN(m.value)) continue;
          const middle = Number.isNaN(line.middle) ? u(approach.from + Math.floor((share / 2) * (approach.to - approach.from))) : line.middle;
          for (let k = 0; k < count; k++) corrected[from - first + k] = f[k]! - b.value - m.value * (u(k) - middle);
        }
        const { time } = curves;
        const offsets = force.offsets.map((at) => at - first);
        (out.curves as { put(columns: unknown): void }).put({ ...copyRows(curves.columns), force: { values: corrected, offsets }, ...rows });
        (out.baseline as { put(columns: unknown): void }).put(copyRows({ time, ...rows, ...own } as Columns));
      },
      save: () => structuredClone({ slope, level }),
      load: (saved: { slope: State; level: State }) => void ({ slope, level } = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const UNIT = { height: "N/m", time: "N" } as const;
const USED = 0, FEW_SAMPLES = 1, NOT_STRAIGHT = 2, BY_STATE = 2; // prettier-ignore
const REASONS = {
  [USED]: "its own baseline counts",
  [FEW_SAMPLES]: "not corrected: too few finite samples before contact, and no curve before it had more",
  [NOT_STRAIGHT]:
    "not corrected: what should be its baseline is not straight, and no curve before it had a straight one",
  [FEW_SAMPLES + BY_STATE]: "corrected by the curves before it: too few finite samples before contact",
  [NOT_STRAIGHT + BY_STATE]: "corrected by the curves before it: what should be its baseline is not straight",
};

function stateFields(along: "height" | "time") {
  return {
    baseline_slope: scalar(UNIT[along], {
      uncertainty: "baseline_slope_se",
      doc: along === "height" ? "force per height" : "force over the time of an approach",
    }),
    baseline_slope_se: scalar(UNIT[along]),
    baseline_offset: scalar("N", {
      uncertainty: "baseline_offset_se",
      doc: "in the middle of the baseline's stretch",
    }),
    baseline_offset_se: scalar("N"),
    baseline_valid: code({ codes: REASONS }),
  } as const;
}

/** Sums over the curves so far, faded to the time of the last. */
interface State {
  /** Σ λ w, Σ λ w x, Σ λ w x², Σ λ² w, Σ λ. */
  readonly sums: readonly [w: number, wx: number, wxx: number, ww: number, n: number];
  readonly seconds: number;
}
const none = (): State => ({ sums: [0, 0, 0, 0, 0], seconds: 0 });

function updated({ sums, seconds }: State, x: number, se: number, now: number, memory: number): State {
  const fade = memory > 0 ? Math.exp(-(now - seconds) / memory) : 0;
  const w = 1 / se ** 2;
  const [sw, sx, sxx, sww, n] = sums;
  return {
    sums: [fade * sw + w, fade * sx + w * x, fade * sxx + w * x * x, fade ** 2 * sww + w, fade * n + 1],
    seconds: now,
  };
}

function valueOf({ sums: [w, wx, wxx, ww, n] }: State): { value: number; se: number } {
  if (!(w > 0)) return { value: NaN, se: NaN };
  const chi = Math.max(0, wxx - wx ** 2 / w);
  return { value: wx / w, se: (Math.sqrt(ww) / w) * Math.sqrt(Math.max(1, n > 2 ? chi / (n - 1) : 1)) };
}

/** The first stretch of approach. */
function approachOf(segment: Uint8Array): { from: number; to: number } {
  const from = Math.max(0, segment.indexOf(0));
  let to = from;
  while (to < segment.length && segment[to] === 0) to++;
  return { from, to };
}

const BLOCKS = 8;
const LEAST = 4 * BLOCKS;

/** Straight line through a stretch of a curve. */
class Line {
  slope = NaN;
  slope_se = NaN;
  /** Of the force, and of what it is fitted against. */
  mean = NaN;
  mean_se = NaN;
  middle = NaN;

  /** Whether it is a baseline; else why not. */
  fit(u: (k: number) => number, f: Float64Array, from: number, to: number, max_rise: number): number {
    this.slope = this.slope_se = this.mean = this.mean_se = this.middle = NaN;
    const { n, u0, f0, uu, slope } = straight(u, f, from, to);
    if (n < LEAST || !(uu > 0)) return FEW_SAMPLES;
    // Residuals, and what blocks of neighbours sum to: noise that lasts over many samples makes these larger.
    let [rr, blocksU, blocksM] = [0, 0, 0];
    const size = (to - from) / BLOCKS;
    for (let block = 0; block < BLOCKS; block++) {
      let [ru, rm] = [0, 0];
      for (let k = from + Math.ceil(block * size); k < from + Math.ceil((block + 1) * size); k++) {
        const x = u(k) - u0;
        const r = f[k]! - f0 - slope * x;
        if (!Number.isFinite(r)) continue;
        rr += r * r;
        ru += r * x;
        rm += r;
      }
      blocksU += ru * ru;
      blocksM += rm * rm;
    }
    const noise = Math.sqrt(rr / (n - 2));
    if (!(noise > 0)) return FEW_SAMPLES;
    if (bent(u, f, from, to, noise, max_rise)) return NOT_STRAIGHT;
    this.slope = slope;
    this.slope_se = Math.max(noise / Math.sqrt(uu), Math.sqrt((blocksU * BLOCKS) / (BLOCKS - 2)) / uu);
    this.mean = f0;
    this.mean_se = Math.max(noise / Math.sqrt(n), Math.sqrt((blocksM * BLOCKS) / (BLOCKS - 2)) / n);
    this.middle = u0;
    return USED;
  }
}

/** Least squares over the finite samples. */
function straight(u: (k: number) => number, f: Float64Array, from: number, to: number) {
  let [n, su, sf] = [0, 0, 0];
  for (let k = from; k < to; k++) {
    if (!Number.isFinite(f[k]! + u(k))) continue;
    n++;
    su += u(k);
    sf += f[k]!;
  }
  const [u0, f0] = [su / n, sf / n];
  let [uu, uf] = [0, 0];
  for (let k = from; k < to; k++) {
    const [x, y] = [u(k) - u0, f[k]! - f0];
    if (!Number.isFinite(x + y)) continue;
    uu += x * x;
    uf += x * y;
  }
  return { n, u0, f0, uu, slope: uf / uu };
}

/** Whether the last eighth leaves the line through the first three quarters by more than noise and a share of the curve. */
function bent(
  u: (k: number) => number, f: Float64Array, from: number, to: number, noise: number, share: number,
): boolean {
  const length = to - from;
  const { u0, f0, uu, slope } = straight(u, f, from, from + Math.floor(0.75 * length));
  let [rise, n, largest] = [0, 0, 0];
  for (let k = to - Math.floor(length / 8); k < to; k++) {
    const r = f[k]! - f0 - slope * (u(k) - u0);
    if (!Number.isFinite(r)) continue;
    rise += r;
    n++;
  }
  for (let k = from; k < f.length; k++) if (f[k]! - f0 > largest) largest = f[k]! - f0;
  if (n === 0) return false;
  const se = noise * Math.sqrt(1 / n + (u(to - 1) - u0) ** 2 / uu);
  return Math.abs(rise / n) > Math.max(4 * se, share * largest);
} // prettier-ignore
