import { bend, cubic } from "./earlier-views.ts";

/**
 * What a view shows that was not to be expected: its line integrals less those expected, less what is no change of the
 * sample's inside.
 *
 *     d = p - r(t - s) - a - b u        u from -1 to 1 over the columns
 *
 *     a, b  the beam: brighter or darker, more on one side         [1]
 *     s     the sample or stage has moved to the right by so much  [px], where `shift` is wanted
 *
 * by weighted least squares, r'(t) standing for a small shift, and again from where that led.
 */
export class ViewDifference {
  readonly #cols: number;
  readonly #moved: Float64Array;
  readonly #slope: Float64Array;
  readonly d: Float64Array;
  /** By how much the view is shifted to the right [px], and its standard error; NaN where a view does not tell. */
  shift = NaN;
  shift_se = NaN;

  constructor(cols: number) {
    this.#cols = cols;
    this.d = new Float64Array(cols);
    this.#moved = new Float64Array(cols);
    this.#slope = new Float64Array(cols);
  }

  /**
   * Of p against r, v the variance of their difference: Infinity where there is none, and d is 0. Where r is put
   * elsewhere between its columns, v grows by the square of how far that may be off, as in earlier-views.ts.
   */
  take(p: ArrayLike<number>, r: Float64Array, v: Float64Array, remove: "trend" | "trend+shift"): void {
    const { d } = this;
    const cols = this.#cols;
    const moved = this.#moved;
    const slope = this.#slope;
    let total = 0;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      shifted(r, total, cols, moved);
      for (let i = 0; i < cols; i++) {
        slope[i] = (moved[Math.min(cols - 1, i + 1)]! - moved[Math.max(0, i - 1)]!) / 2;
        d[i] = v[i]! < Infinity ? p[i]! - moved[i]! : 0;
      }
      // The shift is told first from what the trend leaves; without one to remove it is only said.
      const fit = this.#fit(v, true);
      this.shift = total + fit.shift;
      this.shift_se = fit.se;
      const known = Number.isFinite(fit.shift) && Number.isFinite(fit.se);
      if (remove === "trend+shift" && known && Math.abs(fit.shift) > SMALL_px && round + 1 < MOST_ROUNDS && Math.abs(this.shift) < cols / 8) {
        total += fit.shift;
        continue;
      }
      const own = remove === "trend+shift" && known ? fit : { ...this.#fit(v, false), shift: 0 };
      const u = 2 / (cols - 1);
      for (let i = 0; i < cols; i++)
        if (v[i]! < Infinity) d[i]! -= own.level + own.tilt * (i * u - 1) - own.shift * slope[i]!;
      if (total !== 0) addBends(r, total, moved, v, d);
      return;
    }
  } // prettier-ignore

  #fit(v: Float64Array, withShift: boolean): { level: number; tilt: number; shift: number; se: number } {
    const cols = this.#cols;
    const { d } = this;
    const slope = this.#slope;
    let [n, nu, nuu, ns, nus, nss, y, yu, ys] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < cols; i++) {
      if (!(v[i]! < Infinity)) continue;
      const w = 1 / v[i]!;
      const u = (2 * i) / (cols - 1) - 1;
      const s = -slope[i]!;
      n += w;
      nu += w * u;
      nuu += w * u * u;
      ns += w * s;
      nus += w * u * s;
      nss += w * s * s;
      y += w * d[i]!;
      yu += w * u * d[i]!;
      ys += w * s * d[i]!;
    }
    // Elimination, symmetrical 3 × 3.
    const uu = nuu - (nu * nu) / n;
    const us = nus - (nu * ns) / n;
    const ss = nss - (ns * ns) / n - (us * us) / uu;
    const right = yu - (nu * y) / n;
    const last = ys - (ns * y) / n - (us * right) / uu;
    // A row without features does not tell a shift.
    const told = ss > 1e-9 * nss;
    const shift = withShift && told ? last / ss : 0;
    const tilt = (right - us * shift) / uu;
    return {
      level: (y - nu * tilt - ns * shift) / n,
      tilt,
      shift: told ? shift : NaN,
      se: told ? 1 / Math.sqrt(ss) : NaN,
    };
  }
}

const MOST_ROUNDS = 6;
/** A smaller step is left to the slope. */
const SMALL_px = 0.05;

/** r(t - by), cubic between its samples; its ends go on. */
function shifted(r: Float64Array, by: number, cols: number, into: Float64Array): void {
  if (by === 0) return void into.set(r);
  const first = Math.floor(-by);
  const [c0, c1, c2, c3] = cubic(-by - first);
  const at = (i: number): number => r[i < 0 ? 0 : i < cols ? i : cols - 1]!;
  for (let i = 0; i < cols; i++) {
    const j = i + first;
    into[i] = c0 * at(j - 1) + c1 * at(j) + c2 * at(j + 1) + c3 * at(j + 2);
  }
}

/** What linear interpolation would have given instead is off by so much: its square, onto the variance. */
function addBends(
  r: Float64Array,
  by: number,
  moved: Float64Array,
  variance: Float64Array,
  d: Float64Array,
): void {
  const first = Math.floor(-by);
  const f = -by - first;
  for (let i = 0; i < r.length; i++) {
    const j = i + first;
    if (j < 0 || j + 1 >= r.length) {
      variance[i] = Infinity;
      d[i] = 0;
    } else variance[i]! += bend(moved[i]! - (1 - f) * r[j]! - f * r[j + 1]!, f, variance[i]!);
  }
}

/** How far differences scatter, against what was expected of them. */
export class Scatter {
  /** By column: mean square of past differences [σ²]; 1 before there are any. */
  readonly columns: Float64Array;
  /** Of whole rows: root of it, by the median, smoothed over views. */
  rows = NaN;
  views = 0;
  readonly #bins = new Int32Array(BINS);

  constructor(cols: number) {
    this.columns = new Float64Array(cols).fill(1);
  }

  /** Of one row: 1.4826 × the median of |d| / √v; NaN where nothing is known. */
  of(d: Float64Array, v: Float64Array): number {
    const bins = this.#bins.fill(0);
    const unit = Number.isNaN(this.rows) ? 1 : this.rows;
    // Without a flux the first rows may be anything: by powers there, evenly where it is known.
    let count = 0;
    for (let i = 0; i < d.length; i++) {
      if (!(v[i]! < Infinity)) continue;
      const z = Math.abs(d[i]!) / Math.sqrt(v[i]!) / unit;
      const bin = Math.floor(BINS / 2 + PER_OCTAVE * Math.log2(z));
      bins[Math.max(0, Math.min(BINS - 1, bin))]!++;
      count++;
    }
    if (count === 0) return NaN;
    let bin = 0;
    for (let sum = bins[0]!; sum < count / 2; sum += bins[bin]!) bin++;
    return 1.4826 * unit * 2 ** ((bin + 0.5 - BINS / 2) / PER_OCTAVE);
  }

  save() {
    return { columns: this.columns.slice(), rows: this.rows, views: this.views };
  }

  load({ columns, rows, views }: ReturnType<Scatter["save"]>): void {
    this.columns.set(columns);
    this.rows = rows;
    this.views = views;
  }

  /** Learns from a row that nothing was wrong with. */
  take(row: number, d: Float64Array, v: Float64Array): void {
    this.views++;
    this.rows = Number.isNaN(this.rows) ? row : this.rows + (row - this.rows) / Math.min(this.views, ROWS_LEARN);
    const scale = this.rows ** 2;
    for (let i = 0; i < d.length; i++) {
      if (!(v[i]! < Infinity)) continue;
      const share = 1 / Math.min(this.views + COLUMNS_KNOWN, COLUMNS_LEARN);
      const square = Math.min(MOST_SQUARE, (d[i]! * d[i]!) / (v[i]! * scale));
      this.columns[i]! += share * (square - this.columns[i]!);
    }
  } // prettier-ignore
}

const BINS = 1024;
const PER_OCTAVE = 32;
const ROWS_LEARN = 64;
/** The first guess counts as so many views. */
const COLUMNS_KNOWN = 32;
const COLUMNS_LEARN = 256;
const MOST_SQUARE = 16;
