import {
  choice, defineOperator, image, integer, list, quantity, scalar, WiringError, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { fillGaps } from "./line-integrals.ts";
import { PER_VIEW, perViewAt, perViewFields, perViewNames } from "./per-view.ts";
import { wrap } from "./view-window.ts";

/** A filter that tells what stands out of a row; made once for rows of `cols` columns. */
export type StandingOut = (row: Float64Array, into: Float64Array) => void;

/**
 * What stands out of a row from one column to the next: the row less its own course,
 *
 *     d = m - mean(median(m))      m, d  (col)
 *
 * both over `width` columns, an odd number; near the ends over those there are. A single column that is off by g
 * comes out as g and its neighbours as 0, as they would not after a mean alone.
 */
export function standingOut(cols: number, width: number): StandingOut {
  const half = width >> 1;
  const sorted = new Float64Array(width + 1);
  const course = new Float64Array(cols);
  return (row, into) => {
    let n = 0;
    for (let i = -half; i < cols; i++) {
      if (i > half) {
        const leaving = row[i - half - 1]!;
        let k = 0;
        while (sorted[k] !== leaving) k++;
        for (n--; k < n; k++) sorted[k] = sorted[k + 1]!;
      }
      if (i + half < cols) {
        const entering = row[i + half]!;
        let k = n++;
        for (; k > 0 && sorted[k - 1]! > entering; k--) sorted[k] = sorted[k - 1]!;
        sorted[k] = entering;
      }
      if (i >= 0) course[i] = (sorted[(n - 1) >> 1]! + sorted[n >> 1]!) / 2;
    }
    for (let i = 0; i < cols; i++) {
      const from = Math.max(0, i - half);
      const to = Math.min(cols - 1, i + half);
      let sum = 0;
      for (let k = from; k <= to; k++) sum += course[k]!;
      into[i] = row[i]! - sum / (to - from + 1);
    }
  };
}

/** Median of the first n values, which it sorts; of an even number the mean of the middle two. */
function medianOf(values: Float64Array, n: number): number {
  for (let i = 1; i < n; i++) {
    const x = values[i]!;
    let k = i;
    for (; k > 0 && values[k - 1]! > x; k--) values[k] = values[k - 1]!;
    values[k] = x;
  }
  return (values[(n - 1) >> 1]! + values[n >> 1]!) / 2;
}

/** Parts of the window, each an estimate of its own. */
const BLOCKS = 16;
/** Steps of the angle in which it is noted what was seen: 0.25 deg. */
const BINS = 720;
const MAX_GAP_deg = 10;
/** A column that moves from view to view so much less than those on either side of it stands still. */
const STILL = 0.1;

interface Block {
  /** What stands out of the mean line integral, by row and column; NaN where the row was not known. */
  readonly standing: Float32Array;
  readonly seen: Uint8Array;
  views: number;
}

interface State {
  /** Closed, oldest first; at most BLOCKS. */
  blocks: Block[];
  /** The block that is being filled. */
  views: number;
  travel_deg: number;
  seen: Uint8Array;
  /** By row: views in which it was known. */
  known: Int32Array;
  /** By row and column: sum of line integrals; of their steps from view to view; the last one. */
  sum: Float64Array;
  steps: Float32Array;
  last: Float32Array;
  /** By row and column: in which of the last closed blocks it stood still, the newest in the lowest bit. */
  still: Uint16Array;
  previous_deg?: number;
  /** What is subtracted; NaN marks a dead column. None until enough is covered. */
  correction?: Float32Array;
  dead: number;
  rms: number;
  coverage_deg: number;
}

/** Angle between neighbouring views no further apart than MAX_GAP_deg, on the half-circle. */
function covered_deg(parts: readonly Uint8Array[]): number {
  const seen: number[] = [];
  for (let k = 0; k < BINS; k++) if (parts.some((part) => part[k])) seen.push(k);
  let bins = 0;
  seen.forEach((k, i) => {
    const after = (i + 1 < seen.length ? seen[i + 1]! : seen[0]! + BINS) - k;
    if (after <= (MAX_GAP_deg * BINS) / 180) bins += after;
  });
  return (bins * 180) / BINS;
}

/** What stands beside each view. */
const STATE = {
  stripe_rms: scalar("1", { doc: "rms of what was subtracted, as a line integral; NaN while nothing is" }),
  views: scalar("{frame}", { doc: "views that the correction was made from" }),
  coverage: scalar("deg", { doc: "angle that they cover, of 180" }),
  dead: scalar("{px}", { doc: "columns that stand still or are far off, over all rows" }),
};

/**
 * Stripes of a sinogram, which are rings in a slice, taken off view by view: what each detector column adds to its
 * line integrals in every view, by its own gain, by a scratch or by a flat field that does not fit any more.
 *
 *     p' = p - d,   d = median over the blocks of (m_b - mean(median(m_b)))      or   T' = T exp d
 *
 *     p    line integral, -ln T  [1]  (row, col)
 *     m_b  mean of p over the views of block b; mean and median over `width` columns
 *     d    correction            [1]  (row, col), at most `max`
 *
 * The window is the last half-turn in sixteen blocks of 11 degrees (or, where views are few, in as many as make
 * `min_views`). The sample passes a column in some of the blocks, a stripe is in all: so the median over the blocks
 * keeps stripes and drops what the mean over the whole window would keep of the sample. Each closed block replaces
 * the oldest; what changes suddenly, as with new flat fields, is followed after half a window. Until the closed blocks
 * cover `min_coverage` the sample itself would be most of d: views are handed on as they came.
 *
 * A column that keeps its value, in every block, while those on either side of it change, or that is further than `dead_beyond` from
 * them, measures nothing: it becomes NaN, and is counted in `dead`.
 *
 * Holds for stripes narrower than half of `width`. What is round about the axis of rotation, the wall of a can that
 * turns about its own axis or a pin on it, stands in the same columns in every view, and no method of this kind can
 * tell it from a stripe: its edges lose up to `max`. Where that matters, choose a smaller `max` or `width`, or put the
 * sample off the axis.
 *
 * Keeps 90 bytes a pixel of the rows named, 95 MB for all of 1024 × 1024.
 *
 * Reference: column means and their smoothing, Boin & Haibel, Opt. Express 14, 12071 (2006); median of means,
 * Nemirovsky & Yudin, Problem Complexity and Method Efficiency in Optimization (1983).
 */
export const stripes = defineOperator({
  name: "tomography/stripes",
  doc: "Takes stripes off the views, which are rings in the slices, and marks dead columns",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, { slices, width }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    if (width % 2 === 0) throw new WiringError(`width is ${width} columns; wanted an odd number, such as ${width + 1}`);
    if (typeof rows === "number") rowsNamed(slices, rows);
    if (typeof cols === "number" && cols < width) {
      throw new WiringError(`width is ${width} columns; the detector has ${cols}`);
    }
    return {
      projections: {
        data: { ...projections.data, type: "f32" as const },
        rotation_angle: projections.rotation_angle,
        ...STATE,
        ...(perViewFields(projections) as object),
      },
    };
  }, // prettier-ignore
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default all" }),
    window: quantity("deg", 180, { min: 1, doc: "angle turned, back from the newest view, that counts" }),
    min_views: integer(128, { min: BLOCKS, doc: "views that count at least, however far the sample has turned" }),
    min_coverage: quantity("deg", 90, { min: 0, max: 175, doc: "until so much of 180 deg is covered nothing is corrected" }),
    width: integer(9, { min: 3, doc: "columns, an odd number: a stripe is narrower than half of them" }),
    max: quantity("1", 0.1, { min: 0, doc: "largest correction, as a line integral" }),
    dead: choice(["missing", "interpolate", "keep"], "missing", { doc: "dead columns: NaN, from their neighbours, or as they come" }),
    dead_beyond: quantity("1", 2, { min: 0, doc: "a column further from its neighbours, as a line integral, is dead" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const rows = rowsNamed(config.slices, detector);
    const integrals = data.quantity === "line integral";
    const others = perViewNames(fields as Fields);
    const pixels = rows.length * cols;
    const blockViews = Math.ceil(config.min_views / BLOCKS);
    const standOut = standingOut(cols, config.width);

    const p = new Float64Array(cols);
    const d = new Float64Array(cols);
    const estimates = new Float64Array(BLOCKS);
    const sides = new Float64Array(4);
    const corrected = new Float32Array(detector * cols);
    const gain = new Float32Array(pixels); // exp of the correction, made from it
    let state: State = {
      blocks: [], views: 0, travel_deg: 0, seen: new Uint8Array(BINS), known: new Int32Array(rows.length),
      sum: new Float64Array(pixels), steps: new Float32Array(pixels), last: new Float32Array(pixels),
      still: new Uint16Array(pixels), dead: 0, rms: NaN, coverage_deg: 0,
    }; // prettier-ignore

    /** Line integrals of a row, gaps filled; false where fewer than half of it are known. */
    function read(frame: Float32Array, from: number): boolean {
      for (let c = 0; c < cols; c++) {
        const x = frame[from + c]!;
        p[c] = integrals ? (Number.isFinite(x) ? x : NaN) : x > 0 && x < Infinity ? -Math.log(x) : NaN;
      }
      return fillGaps(p) <= cols / 2;
    }

    /** Takes a view into the block that is being filled; says how many rows are not known. */
    function takeIn(frame: Float32Array, angle_deg: number): number {
      const { sum, steps, last, known, previous_deg } = state;
      let unknown = 0;
      rows.forEach((row, r) => {
        if (!read(frame, row * cols)) return void unknown++;
        const first = known[r]!++ === 0;
        for (let c = 0, i = r * cols; c < cols; c++, i++) {
          sum[i]! += p[c]!;
          if (!first) steps[i]! += Math.abs(p[c]! - last[i]!);
          last[i] = p[c]!;
        }
      });
      state.views++;
      if (previous_deg !== undefined) {
        state.travel_deg += Math.abs(wrap(angle_deg - previous_deg + 180, 360) - 180);
      }
      state.previous_deg = angle_deg;
      state.seen[Math.floor((wrap(angle_deg, 180) * BINS) / 180)] = 1;
      return unknown;
    }

    /** Columns that kept still in this block, while those on either side did not. */
    function stoodStill(r: number, c: number): boolean {
      const { steps } = state;
      const at = (k: number): number => (k >= 0 && k < cols ? steps[r * cols + k]! : 0);
      const own = steps[r * cols + c]!;
      // Nearly all columns go no further than this.
      if (own >= STILL * Math.max(at(c - 1), at(c - 2), at(c - 3))) return false;
      const of = (direction: number): number => {
        for (let k = 1; k <= 4; k++) sides[k - 1] = at(c + direction * k);
        return medianOf(sides, 4);
      };
      return own < STILL * of(-1) && own < STILL * of(1);
    }

    /** The block is full: it counts from here on, the oldest does not. */
    function close(): void {
      const { blocks, sum, known, still } = state;
      const oldest = blocks.length === BLOCKS ? blocks.shift() : undefined;
      const standing = oldest?.standing ?? new Float32Array(pixels);
      rows.forEach((_, r) => {
        const from = r * cols;
        if (known[r] === 0) return void standing.fill(NaN, from, from + cols); // and whether it stood still
        for (let c = 0; c < cols; c++) p[c] = sum[from + c]! / known[r]!;
        standOut(p, d);
        standing.set(d, from);
        for (let c = 0; c < cols; c++) still[from + c] = (still[from + c]! << 1) | (stoodStill(r, c) ? 1 : 0);
      });
      blocks.push({ standing, seen: state.seen.slice(), views: state.views });
      state.coverage_deg = covered_deg(blocks.map((block) => block.seen));
      if (state.coverage_deg >= config.min_coverage) estimate();
      state.views = state.travel_deg = 0;
      for (const array of [state.seen, known, sum, state.steps]) array.fill(0);
    }

    /** The correction from the closed blocks. */
    function estimate(): void {
      const { blocks, still } = state;
      const always = 2 ** blocks.length - 1;
      const correction = (state.correction ??= new Float32Array(pixels));
      let squares = 0;
      state.dead = 0;
      for (let r = 0, i = 0; r < rows.length; r++) {
        for (let c = 0; c < cols; c++, i++) {
          let n = 0;
          for (const { standing } of blocks) if (standing[i]! === standing[i]!) estimates[n++] = standing[i]!;
          // A row that was dark in most blocks is not known well enough to be corrected.
          const off = 2 * n >= blocks.length ? medianOf(estimates, n) : 0;
          const isDead =
            config.dead !== "keep" && (Math.abs(off) > config.dead_beyond || (still[i]! & always) === always);
          correction[i] = isDead ? NaN : Math.max(-config.max, Math.min(config.max, off));
          if (isDead) state.dead++;
          else squares += correction[i]! ** 2;
        }
      }
      state.rms = Math.sqrt(squares / Math.max(1, pixels - state.dead));
      gains();
    }

    function gains(): void {
      if (state.correction) for (let i = 0; i < pixels; i++) gain[i] = Math.exp(state.correction[i]!);
    }

    /** The view without its stripes; lent until the next call. */
    function correctedView(frame: Float32Array): Float32Array {
      const { correction } = state;
      if (!correction) return frame;
      if (rows.length < detector) corrected.set(frame);
      rows.forEach((row, r) => {
        for (let c = 0, i = r * cols, k = row * cols; c < cols; c++, i++, k++) {
          corrected[k] = integrals ? frame[k]! - correction[i]! : frame[k]! * gain[i]!;
        }
        if (config.dead === "interpolate" && state.dead > 0) fillDead(r, row * cols);
      });
      return corrected;
    }

    /** Dead columns from their neighbours; other gaps stay gaps. */
    function fillDead(r: number, from: number): void {
      const dead = (c: number): boolean => Number.isNaN(state.correction![r * cols + c]!);
      read(corrected, from);
      for (let c = 0; c < cols; c++) if (dead(c)) corrected[from + c] = integrals ? p[c]! : Math.exp(-p[c]!);
    }

    return {
      step({ projections }, out) {
        const writer = out.projections as { add(row: object): void };
        for (let i = 0; i < projections.length; i++) {
          const { time, data: frame, rotation_angle } = projections.at(i);
          if (!Number.isFinite(rotation_angle)) {
            out.fault(time, "projection without a rotation angle: corrected, but not counted; give the source its angles"); // prettier-ignore
          } else {
            const unknown = takeIn(frame, rotation_angle);
            if (unknown > 0) {
              out.fault(time, `fewer than half of the columns are known in ${unknown} of ${rows.length} rows, which are not counted; ` +
                "look for a closed shutter, an opaque holder or dead rows"); // prettier-ignore
            }
            if (state.travel_deg >= config.window / BLOCKS - 1e-9 && state.views >= blockViews) close();
          }
          const { rms, dead, coverage_deg, correction, blocks } = state;
          writer.add({
            time, data: correctedView(frame), rotation_angle,
            ...perViewAt(projections.columns, others, i),
            stripe_rms: rms, dead, coverage: coverage_deg,
            views: correction ? blocks.reduce((n, block) => n + block.views, 0) : 0,
          }); // prettier-ignore
        }
      },
      save: () => structuredClone(state),
      load: (saved: State) => {
        state = saved;
        gains();
      },
    };
  },
});

/** Rows that are named, or all. */
function rowsNamed(named: readonly (string | number)[], rows: number): number[] {
  return named.length > 0
    ? [...new Set(detectorRows(named, rows))]
    : Array.from({ length: rows }, (_, r) => r);
}
