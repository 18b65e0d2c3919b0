import { wrap } from "./view-window.ts";

/** A view that others are compared with. */
export interface EarlierView {
  /** Turned through since the first view, with its sign. */
  readonly turned_deg: number;
  /** Views that were taken in one go: a jump or the other way round begins another. */
  readonly leg: number;
  /** Column that the axis fell on; NaN: that of the view that asks. */
  readonly axis: number;
  readonly p: Float32Array;
  /** Variance of p; Infinity where p is not known. */
  readonly v: Float32Array;
}

export interface Comparison {
  readonly cols: number;
  /** 180: a view from the other side shows the same, mirrored (parallel beam); 360: only the same angle does. */
  readonly period_deg: 180 | 360;
  /** Views count that were taken within so much of turning. */
  readonly reach_deg: number;
  readonly maxGap_deg: number;
  readonly maxViews: number;
}

interface Neighbours {
  below?: EarlierView;
  above?: EarlierView;
  below_deg: number;
  above_deg: number;
}

/** The pattern is the mean of so many views; none at all counts as so many. */
const PATTERN_LEARN = 256, PATTERN_KNOWN = 32; // prettier-ignore
/** Share of a sample's variance above which it is bent. */
const BENT = 0.2;

/** Angles are the same where a point at the detector's edge moves by no more [px]. */
const SAME_px = 0.05;

/**
 * What a view should look like, from those of the same angle before it: of a parallel beam the mirrored ones too,
 * t → axis' - (t - axis). Between two angles, and between two columns, it is interpolated.
 *
 *     r(t) = Σ r_j / v_j / Σ 1 / v_j      var r = 1 / Σ 1 / v_j
 *
 * Columns are interpolated by cubic convolution (Keys, IEEE Trans. ASSP 29, 1153 (1981)). What linear interpolation
 * would have given instead says how far either may be off: their difference, squared, is added to the variance (four
 * times, as it is alike in neighbouring columns and views; less what noise alone makes of it). So
 * sharp edges, which no interpolation gets right, raise no alarm. Between angles the same is done with the difference
 * of the two views. Variances of interpolated samples are not made smaller: what is averaged afterwards over several
 * columns has the noise of as many, not more.
 */
export class EarlierViews {
  readonly #options: Comparison;
  #views: EarlierView[] = [];
  #previous_deg: number | undefined;
  #turned_deg = 0;
  #leg = 0;
  #direction = 0;
  readonly #free: EarlierView[] = [];
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly #rows: readonly [Row, Row];
  /** Sums over the mirrored ones alone, as `mean` and `variance` are made of. */
  readonly #mirrored: Row;
  /** What views differ by from mirrored ones in the same columns all the time: flats have noise, and do not turn. */
  readonly #pattern: Float64Array;
  #learnt = 0;

  constructor(options: Comparison) {
    this.#options = options;
    this.mean = new Float64Array(options.cols);
    this.variance = new Float64Array(options.cols);
    this.#rows = [rowOf(options.cols), rowOf(options.cols)];
    this.#mirrored = rowOf(options.cols);
    this.#pattern = new Float64Array(options.cols);
  }

  get length(): number {
    return this.#views.length;
  }

  /** Turns to the angle of a new view: says how many visits before it `mean` and `variance` are made of; 0 is none. */
  turnTo(angle_deg: number, axis: number): number {
    this.#turn(angle_deg);
    const { period_deg, maxGap_deg, cols } = this.#options;
    const same_deg = ((SAME_px / (cols / 2)) * 180) / Math.PI;
    const weights = this.variance.fill(0);
    this.mean.fill(0);
    this.#mirrored.p.fill(0);
    this.#mirrored.v.fill(0);
    this.#mirrored.bends.fill(0);
    const passes = new Map<number, Neighbours | "same">();
    let visits = 0;
    for (const view of this.#views) {
      const apart = view.turned_deg - this.#turned_deg;
      const pass = Math.round(apart / period_deg);
      if (pass === 0 && view.leg === this.#leg) continue; // of the very pass that goes on
      const off_deg = apart - pass * period_deg;
      if (Math.abs(off_deg) > maxGap_deg) continue;
      const key = view.leg * 65_536 + pass;
      const near = passes.get(key);
      if (Math.abs(off_deg) <= same_deg) {
        if (near !== "same") this.#add(this.#seen(view, axis, 0), this.#isMirrored(view));
        if (near !== "same") visits++;
        passes.set(key, "same");
      } else if (near !== "same") {
        passes.set(key, nearer(near ?? { below_deg: -Infinity, above_deg: Infinity }, view, off_deg));
      }
    }
    for (const near of passes.values()) if (near !== "same" && this.#between(near, axis)) visits++;
    // Golden-angle and interlaced views: each is a pass of its own, neighbours come from several.
    if (visits === 0) {
      let near: Neighbours = { below_deg: -Infinity, above_deg: Infinity };
      for (const other of passes.values()) {
        if (other === "same") continue;
        if (other.below) near = nearer(near, other.below, other.below_deg);
        if (other.above) near = nearer(near, other.above, other.above_deg);
      }
      if (this.#between(near, axis)) visits++;
    }
    for (let i = 0; i < cols; i++) {
      this.mean[i] = weights[i]! > 0 ? this.mean[i]! / weights[i]! : 0;
      this.variance[i] = 1 / weights[i]!;
    }
    return visits;
  }

  /** Learns what lasts in a column, from the difference d that the view was left with, of that variance. */
  learn(d: Float64Array, variance: Float64Array): void {
    this.#learnt++;
    const share = 1 / Math.min(this.#learnt + PATTERN_KNOWN, PATTERN_LEARN);
    const { p, v, bends } = this.#mirrored;
    for (let i = 0; i < d.length; i++) {
      // At an edge of the sample what differs is no pattern: it comes and goes as the edge falls between columns.
      if (!(v[i]! > 0 && variance[i]! < Infinity) || bends[i]! > BENT) continue;
      const most = 4 * Math.sqrt(variance[i]!);
      // What it would have been against the mirrored views alone.
      const own = d[i]! + this.mean[i]! - p[i]! / v[i]!;
      this.#pattern[i]! += share * Math.max(-most, Math.min(most, own));
    }
  }

  /** Keeps the view that was turned to, for those to come. */
  keep(axis: number, p: Float32Array, v: Float32Array): void {
    const { reach_deg, maxGap_deg, maxViews, cols } = this.#options;
    while (
      this.#views.length >= maxViews ||
      (this.#views.length > 0 && Math.abs(this.#turned_deg - this.#views[0]!.turned_deg) > reach_deg + maxGap_deg)
    )
      this.#free.push(this.#views.shift()!);
    const { p: ownP, v: ownV } = this.#free.pop() ?? { p: new Float32Array(cols), v: new Float32Array(cols) };
    ownP.set(p);
    ownV.set(v);
    this.#views.push({ turned_deg: this.#turned_deg, leg: this.#leg, axis, p: ownP, v: ownV });
  } // prettier-ignore

  save() {
    return {
      views: this.#views.map((view) => ({ ...view, p: view.p.slice(), v: view.v.slice() })),
      previous_deg: this.#previous_deg, turned_deg: this.#turned_deg, leg: this.#leg, direction: this.#direction,
      pattern: this.#pattern.slice(), learnt: this.#learnt,
    }; // prettier-ignore
  }

  load(saved: ReturnType<EarlierViews["save"]>): void {
    this.#views = [...saved.views];
    this.#previous_deg = saved.previous_deg;
    this.#turned_deg = saved.turned_deg;
    this.#leg = saved.leg;
    this.#direction = saved.direction;
    this.#pattern.set(saved.pattern);
    this.#learnt = saved.learnt;
  }

  #turn(angle_deg: number): void {
    const step = this.#previous_deg === undefined ? 0 : wrap(angle_deg - this.#previous_deg + 180, 360) - 180;
    const jumped = Math.abs(step) > this.#options.maxGap_deg;
    const direction = Math.sign(step);
    if (jumped || this.#direction * direction < 0) this.#leg++;
    this.#direction = jumped ? 0 : direction || this.#direction;
    this.#turned_deg += step;
    this.#previous_deg = angle_deg;
  }

  /** A view between two neighbours; false where there are not both, or too far apart. */
  #between(near: Neighbours, axis: number): boolean {
    const { below, above, below_deg, above_deg } = near;
    if (!below || !above || above_deg - below_deg > this.#options.maxGap_deg) return false;
    const share = -below_deg / (above_deg - below_deg);
    const one = this.#seen(below, axis, 0);
    const other = this.#seen(above, axis, 1);
    for (let i = 0; i < one.p.length; i++) {
      const apart = other.p[i]! - one.p[i]!;
      one.p[i]! += share * apart;
      one.v[i] = (1 - share) * one.v[i]! + share * other.v[i]! + (share * (1 - share) * apart) ** 2;
    }
    this.#add(one, this.#isMirrored(below));
    return true;
  }

  #add({ p, v, bends }: Row, mirrored: boolean): void {
    for (let i = 0; i < p.length; i++) {
      if (!(v[i]! < Infinity)) continue;
      const w = 1 / v[i]!;
      const one = w * (mirrored ? p[i]! + this.#pattern[i]! : p[i]!);
      this.mean[i]! += one;
      this.variance[i]! += w;
      if (!mirrored) continue;
      this.#mirrored.p[i]! += one;
      this.#mirrored.v[i]! += w;
      this.#mirrored.bends[i] = Math.max(this.#mirrored.bends[i]!, bends[i]! / v[i]!);
    }
  }

  #isMirrored(view: EarlierView): boolean {
    const turns = Math.round((view.turned_deg - this.#turned_deg) / 180);
    return this.#options.period_deg === 180 && turns % 2 !== 0;
  }

  /** A view on the columns of the one that asks. */
  #seen(view: EarlierView, axis: number, place: 0 | 1): Row {
    const { cols } = this.#options;
    const mirrored = this.#isMirrored(view);
    const own = Number.isNaN(view.axis) ? axis : view.axis;
    const into = this.#rows[place];
    resample(view, mirrored ? own + axis : own - axis, mirrored ? -1 : 1, cols, into);
    return into;
  }
}

interface Row {
  readonly p: Float64Array;
  readonly v: Float64Array;
  /** Part of v that is for bends. */
  readonly bends: Float64Array;
}
const rowOf = (cols: number): Row => ({
  p: new Float64Array(cols),
  v: new Float64Array(cols),
  bends: new Float64Array(cols),
});

/** Neighbours of an angle, with one more that may be nearer. */
function nearer(near: Neighbours, view: EarlierView, off_deg: number): Neighbours {
  // Of two at the same angle the newer, which comes later.
  if (off_deg <= 0 && off_deg >= near.below_deg) return { ...near, below: view, below_deg: off_deg };
  if (off_deg > 0 && off_deg <= near.above_deg) return { ...near, above: view, above_deg: off_deg };
  return near;
}

/** The row at start ± c, with its variance; not known (Infinity) beyond its ends. */
export function resample(
  { p, v }: { p: ArrayLike<number>; v: ArrayLike<number> },
  start: number,
  step: 1 | -1,
  cols: number,
  into: Row,
): void {
  const nearest = Math.round(start);
  const whole = Math.abs(start - nearest) < 1e-6;
  const first = whole ? nearest : Math.floor(start);
  const f = whole ? 0 : start - first;
  const [c0, c1, c2, c3] = cubic(f);
  for (let c = 0; c < cols; c++) {
    const i = first + step * c;
    if (i < 0 || i >= cols || (!whole && i + 1 >= cols)) {
      into.p[c] = 0;
      into.v[c] = Infinity;
      into.bends[c] = 0;
    } else if (whole) {
      into.p[c] = p[i]!;
      into.v[c] = v[i]!;
      into.bends[c] = 0;
    } else {
      const [one, two] = [p[i]!, p[i + 1]!];
      const smooth = c0 * p[i > 0 ? i - 1 : 0]! + c1 * one + c2 * two + c3 * p[i + 2 < cols ? i + 2 : cols - 1]!;
      const straight = one + f * (two - one);
      into.p[c] = smooth;
      const noise = (1 - f) * v[i]! + f * v[i + 1]!;
      into.bends[c] = bend(smooth - straight, f, noise);
      into.v[c] = noise + into.bends[c]!;
    }
  }
} // prettier-ignore

/** Times that what a bend may be off is counted: it stays the same over several columns and views, as noise does not. */
const LASTING = 4;

/** What a bend of the row adds to the variance: cubic less linear, squared, less what noise alone makes of it. */
export function bend(difference: number, f: number, noise: number): number {
  const [c0, c1, c2, c3] = cubic(f);
  const own = c0 * c0 + (c1 - 1 + f) ** 2 + (c2 - f) ** 2 + c3 * c3;
  return LASTING * Math.max(0, difference * difference - own * noise);
}

/** Weights of four neighbours, the place being f after the second. */
export const cubic = (f: number): [number, number, number, number] => [
  -0.5 * f * (1 - f) ** 2,
  1 + f * f * (1.5 * f - 2.5),
  0.5 * f * (1 + f * (4 - 3 * f)),
  -0.5 * f * f * (1 - f),
];
