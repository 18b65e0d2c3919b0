import {
  code, defineOperator, image, integer, list, quantity, scalar, WiringError,
} from "../../runtime/index.ts"; // prettier-ignore
import { mirrorCorrelation, type SavedCorrelation } from "./axis-correlation.ts";
import { axisOfPairs, type AxisEstimate, type Pair } from "./axis-estimate.ts";
import { advance, imageJob, IMAGE_VIEWS, type ImageAxis, type ImageJob } from "./axis-image.ts";
import { detail, mirrorMatcher } from "./axis-pair.ts";
import { detectorRows } from "./detector-rows.ts";
import { fillGaps, lineIntegrals } from "./line-integrals.ts";
import { PER_VIEW, perViewAt, perViewFields, perViewNames } from "./per-view.ts";
import { ViewWindow, wrap, type Held } from "./view-window.ts";

interface HeldView extends Held {
  /** Its number in the stream. */
  id: number;
  angle_deg: number;
  seconds: number;
  shift_x: number;
  /** Rows as they came, one detector row after another; NaN where dead. */
  rows: Float32Array;
}

interface State {
  /** Of the window, by time. */
  pairs: Pair[];
  count: number;
  /** Pairs tried so far, and those of them whose rows did not match. */
  tried: number;
  /** Share of the last hundred or so that did match. */
  matching: number;
  /** Pairs since the estimate was last renewed. */
  fresh: number;
  rejected: number;
  lastTime?: bigint;
  estimate?: AxisEstimate;
  image?: ImageAxis;
  job?: ImageJob;
  /** `count` when the image measure was last begun. */
  imageAt?: number;
  agreement: number;
  said: string[];
}
type Saved = State & {
  views: HeldView[];
  turned: ReturnType<ViewWindow<HeldView>["save"]>;
  correlation: SavedCorrelation;
};

const NOT_MEASURED = 0, AGREE = 1, DISAGREE = 2; // prettier-ignore
/** A pair that misses the half-turn is tried with so many of the nearest old views. */
const NEAREST = 4;
/** Where fewer pairs than that match, those that do may do so by chance. */
const LEAST_MATCHING = 0.2;
/** The estimate is renewed when one in so many of its pairs is new. */
const RENEW = 32;
/** While there are fewer pairs than this, each is told of at once. */
const EARLY = 16;

const RESULT = {
  axis: scalar("{px}", { doc: "column that the rotation axis falls on, in the middle row of the detector", uncertainty: "axis_se" }),
  axis_se: scalar("{px}"),
  tilt: scalar("deg", { doc: "lean of the axis: positive where it moves right from one row to the next; NaN from one row", uncertainty: "tilt_se" }),
  tilt_se: scalar("deg"),
  pairs: scalar("1", { doc: "mirrored pairs that it stands on" }),
  rejected: scalar("1", { doc: "pairs so far whose rows did not match: empty, opaque, moved" }),
  image_axis: scalar("{px}", { doc: "the same by the image measure, when it was last taken", uncertainty: "image_axis_se" }),
  image_axis_se: scalar("{px}"),
  agreement: code({ codes: { [NOT_MEASURED]: "not measured", [AGREE]: "agree", [DISAGREE]: "disagree" } }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
} as const; // prettier-ignore

/**
 * Where the rotation axis falls on the detector, from the projections, while they come.
 *
 *     p(θ + 180°, axis + u) = p(θ, axis - u)          parallel beam
 *
 * Each view is compared with the one a half-turn before, interpolated between its two neighbours in angle: the shift
 * that brings the mirrored one upon it is twice the axis. All pairs of `window` are combined, robustly and by what each
 * knows; their scatter is in `axis_se`. Views a whole turn apart tell of motion, not of the axis, and are not used. Views of a
 * scan that ends just before the half-turn are compared too, and the step that they miss is taken off by regression.
 * With several detector rows the tilt follows as the slope over them.
 *
 * A coarse slice confirms it: least negative mass among candidates around it, once at the first estimate (some 0.1 s),
 * then in small portions. Where the two differ by more than `agree`, a fault says so with both.
 *
 * `projections` are handed on with a column `axis`: the estimate as it stood when the view passed, NaN before the first.
 * It is the mean over the window, so it lags a drifting axis by half of that and a quarter turn.
 *
 * Memory: `max_views` views of 4 bytes × columns × rows each, as many pairs, and 2 MB. Work per view does not depend
 * on the window: the estimate is renewed when one pair in 32 is new.
 */
export const axis = defineOperator({
  name: "tomography/axis",
  doc: "Rotation axis from mirrored views, live, confirmed by a coarse slice",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, { slices }, { projections: metadata }) => {
    const geometry = metadata?.["geometry"] ?? "parallel";
    if (geometry !== "parallel") {
      throw new WiringError(
        `the stream's geometry is ${geometry}: views a half-turn apart mirror each other only in a parallel beam; ` +
          "leave this node out, and give tomography/incremental the axis that the instrument's calibration knows",
      );
    }
    const [rows] = projections.data.shape as (number | string)[];
    if (typeof rows === "number") rowsOf(slices, rows);
    return {
      axis: RESULT,
      projections: {
        data: projections.data,
        rotation_angle: projections.rotation_angle,
        ...perViewFields(projections),
        axis: PER_VIEW.axis,
      },
    };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one and one in each half" }),
    window: quantity("s", Infinity, { min: 0, doc: "pairs so far back count; shorter follows a drifting axis" }),
    every: integer(10, { min: 1, doc: "gives out the axis after so many views" }),
    min_pairs: integer(3, { min: 1, doc: "no axis from fewer pairs" }),
    max_gap: quantity("deg", 5, { min: 0.001, max: 45, doc: "old views further apart are not interpolated between; wider than a step of the scan" }),
    max_views: integer(2048, { min: 8, doc: "views of the last turn that are kept; one more, and the oldest leaves" }),
    agree: quantity("{px}", 1, { min: 0, doc: "the image measure may differ by so much" }),
    image_every: integer(720, { min: 0, doc: "views from one image measure to the next; 0 for none" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields } = inputs.projections;
    const known = fields["data"]!.quantity === "line integral";
    const [detector, cols] = fields["data"]!.shape as [number, number];
    const rows = rowsOf(config.slices, detector);
    const middle = (detector - 1) / 2;
    const heights = rows.map((row) => row - middle);
    const central = heights.reduce((best, h, r) => (Math.abs(h) < Math.abs(heights[best]!) ? r : best), 0);
    const carried = perViewNames(fields).filter((name) => name !== "axis");
    const match = mirrorMatcher(cols);
    const correlation = mirrorCorrelation(cols);
    const far = 1.5 * correlation.coarseness + 2;

    let state: State = {
      pairs: [],
      count: 0,
      tried: 0,
      matching: 1,
      fresh: 0,
      rejected: 0,
      agreement: 0,
      said: [],
    };
    const turn = new ViewWindow<HeldView>({
      span: { kind: "angle", period_deg: 360 }, circle_deg: 360, maxGap_deg: config.max_gap, maxViews: config.max_views,
    }); // prettier-ignore
    const spare: HeldView[] = [];
    const raw = new Float64Array(cols);
    const rowsP = rows.map(() => new Float64Array(cols));
    const rowsQ = rows.map(() => new Float64Array(cols));
    const shifted = rows.map(() => new Float64Array(cols));
    const knownP = rows.map(() => new Uint8Array(cols));
    const knownQ = rows.map(() => new Uint8Array(cols));

    /** Rows of a view between two old ones, (1 - f) one + f other, freed of what is broad. */
    function read(one: HeldView, other: HeldView, f: number, into: Float64Array[], mask: Uint8Array[]): void {
      const apart = other.shift_x - one.shift_x;
      for (let r = 0; r < rows.length; r++) {
        const from = r * cols;
        for (let i = 0; i < cols; i++) {
          const there = f === 0 ? 0 : apart === 0 ? other.rows[from + i]! : between(other.rows, from, i + apart, cols);
          raw[i] = (1 - f) * one.rows[from + i]! + f * there;
          mask[r]![i] = Number.isFinite(raw[i]) ? 1 : 0;
          if (!mask[r]![i]) raw[i] = NaN;
        }
        fillGaps(raw);
        detail(raw, into[r]!);
      }
    } // prettier-ignore

    /** First view of the last turn whose angle is greater. */
    function above(circle_deg: number): number {
      let [from, to] = [0, turn.views.length];
      while (from < to) {
        const half = (from + to) >> 1;
        if (turn.views[half]!.circle_deg > circle_deg) to = half;
        else from = half + 1;
      }
      return from;
    }

    /** Compares a view, its rows in rowsP, with old ones. */
    function tryPair(view: HeldView, one: HeldView, other: HeldView, f: number, delta_deg: number, closing: boolean): void {
      read(one, other, f, rowsQ, knownQ);
      const shift = view.shift_x + one.shift_x;
      // The axis is where pairs that meet at a half-turn match together; those that miss it help until there are some.
      if (Math.abs(delta_deg) < 1e-6 || !state.pairs.some((pair) => pair.delta_deg === 0)) {
        correlation.add(shift === 0 ? rowsP : rowsP.map((row, r) => moved(row, -Math.round(shift), shifted[r]!)), rowsQ);
      }
      state.tried++;
      if (!state.estimate || state.tried <= 32 || state.tried % 16 === 0) lookAround();
      const { estimate } = state;
      const start = estimate ? 2 * estimate.axis : correlation.peak().s;
      const slope = estimate && estimate.slope_se * middle < 1 ? estimate.slope : 0;
      const axisOfRow = new Float64Array(rows.length);
      const variance = new Float64Array(rows.length).fill(Infinity);
      let matched = 0;
      for (let r = 0; r < rows.length; r++) {
        const reach = 2 * far + 4;
        const { s, var_s } = match(rowsP[r]!, knownP[r]!, rowsQ[r]!, knownQ[r]!, start + 2 * slope * heights[r]! + shift, reach);
        if (Number.isNaN(s)) continue;
        axisOfRow[r] = (s - shift) / 2;
        variance[r] = var_s / 4;
        matched++;
      }
      state.matching += ((matched > 0 ? 1 : 0) - state.matching) / Math.min(state.tried, 100);
      if (matched === 0) return void state.rejected++;
      if (state.pairs.length >= config.max_views) state.pairs.shift();
      state.fresh++;
      state.pairs.push({
        seconds: view.seconds, angle_deg: view.angle_deg, delta_deg, axis: axisOfRow, variance, closing,
        views: f === 0 ? [view.id, one.id] : [view.id, one.id, other.id],
        shares: f === 0 ? [1, 1] : [1, 1 - f, f],
      });
    } // prettier-ignore

    /** Where all pairs together match far better elsewhere, begins anew there. */
    function lookAround(): void {
      const { estimate } = state;
      if (!estimate) return;
      const peak = correlation.peak(2 * estimate.axis);
      if (Math.abs(peak.s / 2 - estimate.axis) < far || peak.correlation < 1.2 * peak.correlationAt) return;
      state.pairs = state.pairs.filter(({ axis }) => axis.some((a) => Math.abs(a - peak.s / 2) < far));
      delete state.estimate;
    }

    /** All pairs of a new view with old ones. */
    function pairUp(view: HeldView): void {
      const { views } = turn;
      const n = views.length;
      if (n < 2) return;
      const target = wrap(view.angle_deg + 180, 360);
      const at = above(target);
      const after = (k: number): HeldView => views[(at + k) % n]!;
      const before = (k: number): HeldView => views[wrap(at - 1 - k, n)]!;
      const ahead = (k: number): number => wrap(after(k).circle_deg - target, 360);
      const behind = (k: number): number => wrap(target - before(k).circle_deg, 360);
      read(view, view, 0, rowsP, knownP);
      if (behind(0) < 1e-6) return tryPair(view, before(0), before(0), 0, 0, false);
      if (ahead(0) < 1e-6) return tryPair(view, after(0), after(0), 0, 0, false);
      const gap_deg = behind(0) + ahead(0);
      if (gap_deg <= config.max_gap) return tryPair(view, before(0), after(0), behind(0) / gap_deg, 0, false);
      for (const [side, distance, sign] of [[after, ahead, 1], [before, behind, -1]] as const) {
        const step_deg = distance(1) - distance(0);
        if (distance(0) > Math.min(config.max_gap, NEAREST * step_deg)) continue;
        const closing = step_deg > 0 && step_deg <= config.max_gap && distance(0) <= 1.5 * step_deg;
        for (let k = 0; k < Math.min(NEAREST, n) && distance(k) <= config.max_gap; k++)
          tryPair(view, side(k), side(k), 0, sign * distance(k), closing && k === 0);
      }
    } // prettier-ignore

    function estimate(seconds: number): void {
      const { pairs } = state;
      // Renewed when a few of a hundred pairs are new: so the work per view does not grow with the window.
      if (state.fresh * RENEW < pairs.length || state.matching < LEAST_MATCHING) return;
      state.fresh = 0;
      let old = 0;
      while (old < pairs.length && pairs[old]!.seconds < seconds - config.window) old++;
      if (old > 0) pairs.splice(0, old);
      const found = axisOfPairs(pairs, heights, cols, config.min_pairs);
      if (found) state.estimate = found;
    }

    /** Goes on with the image measure, or begins one where it is due and the last half-turn is covered. */
    function measureImage(): ImageAxis | undefined {
      const { estimate, imageAt, count } = state;
      if (state.job) return advance(state.job);
      if (!estimate || config.image_every === 0) return undefined;
      if (imageAt !== undefined && count - imageAt < config.image_every) return undefined;
      // the newest in each of so many parts of the half-turn
      const newest = new Map<number, HeldView>();
      for (const view of turn.views) {
        const part = Math.floor((wrap(view.angle_deg, 180) / 180) * IMAGE_VIEWS);
        const other = newest.get(part);
        if (!other || other.id < view.id) newest.set(part, view);
      }
      const chosen = [...newest.values()].flatMap((view) => {
        const line = view.rows.subarray(central * cols, (central + 1) * cols);
        const row = known ? Float64Array.from(line) : new Float64Array(cols);
        const filled = known ? fillGaps(row) : lineIntegrals(line, 0, row);
        return filled > cols / 2 ? [] : [{ angle_deg: view.angle_deg, row, shift: view.shift_x }];
      });
      const halves = chosen.map(({ angle_deg }) => wrap(angle_deg, 180)).sort((a, b) => a - b);
      const covered = halves.every((half, k) => (halves[k + 1] ?? halves[0]! + 180) - half <= config.max_gap);
      if (halves.length < 8 || !covered) return undefined;
      const job = imageJob(chosen, estimate.axis + leanAt(central));
      state.imageAt = count;
      if (!job) return undefined;
      state.job = job;
      return imageAt === undefined ? advance(job, Infinity) : undefined;
    }

    /** How far the axis is from that in the middle row, by its tilt. */
    const leanAt = (r: number): number =>
      state.estimate && !Number.isNaN(state.estimate.slope) ? state.estimate.slope * heights[r]! : 0;

    /** Sets the image measure beside the pairs; what to say where they have come to differ. */
    function compare({ axis, axis_se, expected }: ImageAxis): string | undefined {
      delete state.job;
      const lean = leanAt(central);
      state.image = { axis: axis - lean, axis_se, expected: expected - lean };
      const before = state.agreement;
      const limit = Math.max(config.agree, 3 * Math.hypot(state.estimate!.axis_se, axis_se));
      state.agreement = Math.abs(axis - expected) <= limit ? AGREE : DISAGREE;
      if (state.agreement === AGREE || before === DISAGREE) return undefined;
      return (
        `mirrored pairs put the axis at ${(expected - lean).toFixed(2)} px, the sharpest slice at ${(axis - lean).toFixed(2)} px; ` +
        "check the angles' direction and the beam's geometry, and whether the sample moved during the half-turn"
      );
    }

    /** Why there is no axis yet. */
    function reason(): string {
      if (state.tried === 0) {
        return (
          "no axis: no two views are a half-turn apart within max_gap; it takes 180 deg of rotation, " +
          "and views a whole turn apart do not tell it"
        );
      }
      const told = state.pairs.length;
      return (
        `no axis: of ${state.tried} mirrored pairs ${told} matched, wanted ${config.min_pairs} that meet at a half-turn; ` +
        "look for empty or opaque rows, a sample that moves, or wrong angles, or go on to a full half-turn"
      );
    }

    return {
      step({ projections }, out, upTo) {
        const sayOnce = (time: bigint, key: string, what: string): void => {
          if (state.said.includes(key)) return;
          state.said.push(key);
          out.fault(time, what);
        };
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data, rotation_angle } = projections.at(i);
          state.lastTime = time;
          const refused = Number.isFinite(rotation_angle)
            ? undefined
            : "a view without a rotation angle tells nothing of the axis; it and others like it are handed on as they are";
          const view: HeldView = spare.pop() ?? {
            id: 0, angle_deg: 0, seconds: 0, circle_deg: 0, turned_deg: 0, weight_rad: 0, shift_x: 0,
            rows: new Float32Array(rows.length * cols),
          }; // prettier-ignore
          const unknown = refused ? 0 : take(view, data, perViewAt(projections.columns, carried, i));
          if (refused) sayOnce(time, "angle", refused);
          else if (unknown > cols / 2) {
            sayOnce(
              time,
              "unknown",
              `a view with ${cols - unknown} known samples of ${cols} tells nothing of the axis; it and others like it are ` +
                "handed on as they are; look for dead rows, or choose other slices",
            );
          }
          const usable = !refused && unknown <= cols / 2;
          if (!usable) spare.push(view);
          else {
            Object.assign(view, { id: state.count, angle_deg: rotation_angle, seconds });
            const pairsBefore = state.pairs.at(-1);
            pairUp(view);
            const { leaving } = turn.take(view);
            const again = leaving.some((old) => view.turned_deg - old.turned_deg >= 180);
            if (again && state.tried === 0) sayOnce(time, "reason", reason());
            spare.push(...leaving);
            state.count++;
            const early = state.pairs.at(-1) !== pairsBefore && state.pairs.length < EARLY;
            const due = state.count % config.every === 0;
            if (due || early) estimate(seconds);
            const image = measureImage();
            const differ = image && compare(image);
            if (differ) out.fault(time, differ);
            if (due || (early && state.estimate)) out.axis.add({ time, ...resultNow(), rotation_angle });
          }
          const handedOn = { time, data, rotation_angle, ...perViewAt(projections.columns, carried, i) };
          out.projections.add({ ...handedOn, axis: state.estimate?.axis ?? NaN });
        }
        if (upTo === Infinity && !state.estimate && state.lastTime !== undefined)
          sayOnce(state.lastTime, "reason", reason());
      },
      save: (): Saved => ({
        ...state,
        views: turn.views.map((view) => ({ ...view, rows: view.rows.slice() })),
        pairs: [...state.pairs],
        said: [...state.said],
        ...(state.job && { job: { ...state.job, images: state.job.images.map((one) => one.slice()) } }),
        turned: turn.save(),
        correlation: correlation.save(),
      }),
      load: ({ correlation: saved, views, turned, ...rest }: Saved) => {
        correlation.load(saved);
        turn.load(views, turned);
        state = rest;
      },
    };

    /** Copies the rows of a frame; returns the most samples of one that are not known. */
    function take(view: HeldView, frame: Float32Array, { shift_x = 0, shift_y = 0 }: Record<string, number>): number {
      view.shift_x = Number.isFinite(shift_x) ? shift_x : 0;
      const down = Number.isFinite(shift_y) ? Math.round(shift_y) : 0;
      let most = 0;
      for (let r = 0; r < rows.length; r++) {
        const row = Math.max(0, Math.min(detector - 1, rows[r]! + down));
        let unknown = 0;
        for (let i = 0; i < cols; i++) {
          const value = frame[row * cols + i]!;
          if (!Number.isFinite(value)) unknown++;
          view.rows[r * cols + i] = Number.isFinite(value) ? value : NaN;
        }
        most = Math.max(most, unknown);
      }
      return most;
    } // prettier-ignore

    function resultNow() {
      const { estimate, image, agreement, rejected } = state;
      const slope = estimate?.slope ?? NaN;
      return {
        axis: estimate?.axis ?? NaN,
        axis_se: estimate?.axis_se ?? NaN,
        tilt: (Math.atan(slope) * 180) / Math.PI,
        tilt_se: ((estimate?.slope_se ?? NaN) * 180) / Math.PI / (1 + slope * slope),
        pairs: estimate?.pairs ?? 0,
        rejected,
        image_axis: image?.axis ?? NaN,
        image_axis_se: image?.axis_se ?? NaN,
        agreement,
      };
    }
  },
});

/** The rows that are named; else the middle one, and with three or more one in each half, far enough apart to tell a tilt. */
function rowsOf(named: readonly (string | number)[], rows: number): number[] {
  if (named.length > 0) return [...new Set(detectorRows(named, rows))];
  if (rows < 3) return Array.from({ length: rows }, (_, r) => r);
  const quarter = Math.floor(rows / 4);
  return [quarter, Math.floor(rows / 2), rows - 1 - quarter];
}

/** Row `from` … `from + cols` at a column between two; NaN beyond its ends. */
function between(rows: Float32Array, from: number, column: number, cols: number): number {
  const i = Math.floor(column);
  const f = column - i;
  if (i < 0 || i + (f > 0 ? 1 : 0) >= cols) return NaN;
  return f === 0 ? rows[from + i]! : (1 - f) * rows[from + i]! + f * rows[from + i + 1]!;
}

/** The row, `by` columns to the right; zero where nothing comes from. */
function moved(row: Float64Array, by: number, into: Float64Array): Float64Array {
  for (let i = 0; i < row.length; i++) into[i] = row[i - by] ?? 0;
  return into;
}
