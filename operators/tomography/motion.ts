import {
  choice, code, defineOperator, flag, image, integer, list, quantity, scalar, WiringError,
  type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { beamOf } from "./geometry.ts";
import { lineIntegralsOf } from "./line-integrals.ts";
import { PER_VIEW, perViewAt, perViewFields, perViewNames, perViewOr } from "./per-view.ts";
import { horizontal } from "./planes.ts";
import { registrar } from "./registration.ts";
import { SampleTracker, type Found, type View } from "./sample-tracker.ts";
import { axisOf, checkKernel } from "./slice-setup.ts";
import { translationOf, type ShiftOf, type Translation } from "./translation.ts";
import { wrap } from "./view-window.ts";

const STILL = 0, MAYBE = 1, MOVED = 2; // prettier-ignore
const FOLLOWED = 0, FIRST = 1, UNMATCHED = 2, UNUSABLE = 3; // prettier-ignore

const MOTION = {
  shift_x: scalar("{px}", { uncertainty: "shift_x_se", doc: "of this view to the right, beyond the shift it came with; NaN where not found" }),
  shift_x_se: scalar("{px}"),
  shift_y: scalar("{px}", { uncertainty: "shift_y_se", doc: "downwards, against the first view; NaN without `vertical`" }),
  shift_y_se: scalar("{px}"),
  scale: scalar("1", { uncertainty: "scale_se", doc: "size of the sample now against the first window, from the last quarter-turn" }),
  scale_se: scalar("1"),
  dx: scalar("{px}", { uncertainty: "dx_se", doc: "the sample has moved to the right since the start, over the last quarter-turn" }),
  dx_se: scalar("{px}"),
  dy: scalar("{px}", { uncertainty: "dy_se", doc: "and upwards in a horizontal slice" }),
  dy_se: scalar("{px}"),
  axis_shift: scalar("{px}", { uncertainty: "axis_shift_se", doc: "and the rotation axis, or the detector, to the right" }),
  axis_shift_se: scalar("{px}"),
  moved: scalar("{px}", { doc: "root mean square of all this over the last quarter-turn, in a view" }),
  jitter: scalar("{px}", { doc: "what single views scatter by beyond their errors" }),
  statistic: scalar("1", { long_name: "movement since the start in standard errors" }),
  level: code({ codes: { [STILL]: "still", [MAYBE]: "may have moved", [MOVED]: "has moved" } }),
  view: code({
    codes: {
      [FOLLOWED]: "followed", [FIRST]: "of the first window, not compared yet", [UNMATCHED]: "does not match the picture",
      [UNUSABLE]: "no rotation angle, or not known",
    },
    doc: "what became of the view",
  }),
  correlation: scalar("1", { doc: "of the view with the picture's projection" }),
  rotation_angle: scalar("deg"),
}; // prettier-ignore

/** What the last quarter-turn tells, view by view. */
interface Recent extends ShiftOf {
  readonly turned_deg: number;
  readonly scale: number;
  readonly scaleVariance: number;
  readonly shift_y: number;
}

/** A view that is held back; all copied. */
interface HeldBack {
  readonly id: number;
  readonly row: Record<string, unknown> & { time: bigint; seconds: number; rotation_angle: number };
  readonly usable: boolean;
  readonly shift_y: number;
  readonly shift_y_se: number;
}

interface State {
  /** Views so far. */
  count: number;
  lastTime: bigint | undefined;
  previous_deg: number;
  turned_deg: number;
  /** Slow part of the shifts, where the next one is expected. */
  expected: number;
  scale: number;
  scale_se: number;
  recent: Recent[];
  /** Part of the views that matched, over the last angles. */
  matching: number;
  /** Column sums of line integrals of the first view, by row, and how far the views of the first window are from it. */
  profile: Float64Array | undefined;
  startY: { sum: number; squares: number; count: number };
  held: HeldBack[];
  holding: boolean;
  said: string[];
}

const QUARTER_deg = 90;
/** Of a first half-turn that ends early. */
const ENOUGH_deg = 120;
/** Of the quarter-turn, at most. */
const MOST_RECENT = 4096;
/** Part of a new shift that goes into where the next one is expected. */
const FOLLOW = 0.25;
/** Pictures of so many columns or more are made with pixels twice the detector's. */
const COARSE_FROM = 640;
/** Over this angle it is remembered how many views matched; fewer than `LOST`, and all begins anew. */
const MEMORY_deg = 30, LOST = 0.1; // prettier-ignore
/** Part of the threshold from which the sample may have moved. */
const NEAR = 2 / 3;
const LEAST_ROWS = 32, LEAST_RADIUS = 16; // prettier-ignore
/** Sizes are told from a quarter-turn of so many views or more. */
const FEWEST = 8;

/**
 * Where the sample is in every view, by its own picture: a new projection is compared with the projection of the slice made of
 * those before.
 *
 *     p_k(t) ≈ γ (A f)(θ_k, t - s_k),   sharpened by Gauss-Newton steps on s_k            registration.ts
 *     s_k = jitter_k + a + dx cos θ_k + dy sin θ_k                                         translation.ts
 *
 *     p  -ln T            [1]   (col)        f  slices of the views so far, where they were found   [1/px]
 *     s  shift of a view  [px]               A  forward projection (forward-projection.ts)
 *
 * The views of the first half-turn are aligned together (sample-tracker.ts) once it is full. A constant shift is an error of the
 * axis; one that goes with cos θ and sin θ is the sample's place in the picture, and zero over the first window, for nothing
 * tells it. Afterwards each view is compared with the present picture (`shift_x`) and with that of the first window
 * (`reference: start`), which tells whether the sample has moved (`dx`, `dy`, `axis_shift`) or swollen (`scale`) since.
 *
 * `projections` are handed on as they are, with what was found in columns: `shift_x` (found, and what the view came with),
 * `scale`, and `shift_y` where `vertical` asks for it. tomography/incremental puts them into the map from pixels to the
 * detector; nothing is resampled. Views of the first window leave before it is aligned, with no shift of ours, unless
 * `hold_views` holds them back: set it for a scan of a single half-turn.
 *
 * Alarm: a, dx and dy fitted to the last quarter-turn; `statistic` is the root of their joint χ² in standard errors, made
 * from how the shifts scatter, so that jitter from view to view raises none. `level` is "has moved" above `threshold` where
 * `moved` is above `least_move` too. Of normal noise a statistic above 6 comes once in 10⁷ quarter-turns of a still
 * sample; the first picture's own errors, some hundredths of a pixel, are not in it, and are what `least_move` is for.
 *
 * Vertical shifts come from the sums of -ln T over each detector row, which do not depend on the angle where the sample is
 * narrower than the detector; they need all rows.
 *
 * A view that does not match is handed on with the shift that was expected, and is not in the pictures; after some 70° of
 * views nearly without a match all begins anew with a first window, and a fault. Set `padding: edge` for samples wider
 * than the detector: only detail is compared then.
 *
 * A view costs two projections and two back-projections of a slice; where the first window is full, as many of all its
 * views for each of up to 12 passes, at once: some seconds for 1024 columns, so it runs in a worker.
 *
 * Needs a parallel beam. Holds views and pictures as sample-tracker.ts says, and `hold_views` frames.
 *
 * Reference: Gürsoy et al., Sci. Rep. 7, 11818 (2017), whose joint reprojection this makes incremental.
 */
export const motion = defineOperator({
  name: "tomography/motion",
  doc: "Shift of every view against the slices made so far; alarm where the sample has moved or swollen",
  place: "worker",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, config, { projections: metadata = {} }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    checkKernel(config.kernel);if (typeof rows === "number" && typeof cols === "number") setup(config, metadata, rows, cols);
    const { data, rotation_angle } = projections as Fields;
    const { shift_x, scale, shift_y } = PER_VIEW;
    return {
      projections: {
        data: data!, rotation_angle: rotation_angle!, ...perViewFields(projections), shift_x,
        ...(config.swelling && { scale }), ...(config.vertical && { shift_y }),
      },
      motion: MOTION,
    } as { projections: Fields; motion: typeof MOTION };
  },
  metadata: ({ projections }) => {
    const { metadata } = projections!;
    return { projections: metadata, motion: metadata };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector that are compared, such as 512 or z=512; default the middle one" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    pitch: integer(0, { min: 0, max: 4, doc: `detector pixels a pixel of the slices; 0: 1, or 2 from ${COARSE_FROM} columns on` }),
    padding: choice(["zero", "edge"], "zero", { doc: "edge, where the sample is wider than the detector" }),
    max_shift: quantity("{px}", 10, { min: 1, max: 64, doc: "looked for so far from where it is expected" }),
    reference: choice(["start", "present"], "start", { doc: "movement and swelling against the picture of the first window, or along the chain of pictures, where the sample itself changes a lot" }),
    swelling: flag(true, { doc: "follow the sample's size" }),
    vertical: flag(false, { doc: "shifts downwards too, from all rows of the detector" }),
    threshold: quantity("1", 6, { min: 2, doc: "of the statistic: the sample has moved above it" }),
    least_move: quantity("{px}", 0.1, { min: 0, doc: "less is no movement, however sure" }),
    hold_views: integer(0, { min: 0, doc: "views of the first half-turn that are held back until they are aligned; 4 bytes × frame each" }),
    max_gap: quantity("deg", 10, { min: 0.001, max: 90, doc: "a wider gap between angles counts as not measured, a longer step as a jump" }),
    max_views: integer(4096, { min: 16, doc: "views of a half-turn that are kept at most" }),
    kernel: choice(["wasm", "typescript"], "wasm", { doc: "WebAssembly SIMD, or plain TypeScript in double precision" }),
  },
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const { rows, options } = setup(config, metadata, detector, cols);
    const tracker = new SampleTracker(options);
    const read = lineIntegralsOf(data);
    const carried = perViewNames(fields);
    const p = new Float32Array(rows.length * cols);
    const above = new Float32Array(cols);
    const line = new Float32Array(cols);
    const profile = new Float64Array(detector);
    const lift = registrar(detector, false);
    const fromStart = config.reference === "start";

    const begin = (said: string[] = []): State => ({
      count: 0, lastTime: undefined, previous_deg: NaN, turned_deg: 0, expected: 0, scale: 1, scale_se: NaN, recent: [], matching: 1,
      profile: undefined, startY: { sum: 0, squares: 0, count: 0 }, held: [], holding: config.hold_views > 0, said,
    }); // prettier-ignore
    let state = begin();

    /** Line integrals where the slices are in a view, so far down and of that size; false where less than half is known. */
    function lineIntegrals(frame: Float32Array, down: number, scale: number): boolean {
      let unknown = 0;
      const middle = (detector - 1) / 2;
      rows.forEach((row, i) => {
        const at = Math.max(0, Math.min(detector - 1, middle + (row - middle) * scale + down));
        const lower = Math.min(detector - 1, Math.floor(at));
        const fraction = at - lower;
        const into = p.subarray(i * cols, (i + 1) * cols);
        unknown = Math.max(unknown, read.row(frame, lower * cols, into));
        if (fraction < 1e-9) return;
        unknown = Math.max(unknown, read.row(frame, (lower + 1) * cols, above));
        for (let t = 0; t < cols; t++) into[t] = into[t]! + fraction * (above[t]! - into[t]!);
      });
      return unknown <= cols / 2;
    }

    /** How far downwards the view lies against the first one. */
    function vertical(frame: Float32Array): { shift: number; se: number } {
      for (let row = 0; row < detector; row++) {
        const unknown = read.row(frame, row * cols, line);
        let sum = 0;
        for (let t = 0; t < cols; t++) sum += line[t]!;
        // A dead row is as its neighbour.
        profile[row] = unknown <= cols / 2 ? sum / cols : row > 0 ? profile[row - 1]! : 0;
      }
      state.profile ??= profile.slice();
      const middle = (detector - 1) / 2;
      const where = { middle, radius: middle - config.max_shift, reach: config.max_shift, growing: false };
      const { shift, shift_se } = lift(profile, undefined, state.profile, where);
      return { shift, se: shift_se };
    }

    const sayOnce = (out: Faults, time: bigint, key: string, what: string): void => {
      if (state.said.includes(key)) return;
      state.said.push(key);
      out.fault(time, what);
    };

    /** Size now: a line through what the views of the last quarter-turn tell, by their errors and how they scatter. */
    function measureScale(): void {
      const told = state.recent.filter(({ scaleVariance }) => scaleVariance > 0);
      if (told.length < FEWEST) return;
      const line = (extra: number): { now: number; variance: number; left: number } => {
        let [w, x, y, xx, xy] = [0, 0, 0, 0, 0];
        for (const { scale, scaleVariance, turned_deg } of told) {
          const [weight, ago] = [1 / (scaleVariance + extra), turned_deg - state.turned_deg];
          w += weight;
          x += weight * ago;
          y += weight * scale;
          xx += weight * ago * ago;
          xy += weight * ago * scale;
        }
        const determinant = w * xx - x * x;
        const [now, rate] = [(xx * y - x * xy) / determinant, (w * xy - x * y) / determinant];
        const left = told.reduce((sum, { scale, turned_deg }) => sum + (scale - now - rate * (turned_deg - state.turned_deg)) ** 2, 0);
        return { now, variance: xx / determinant, left: left / (told.length - 2) };
      };
      const noise = told.reduce((sum, { scaleVariance }) => sum + scaleVariance, 0) / told.length;
      const { now, variance } = line(Math.max(0, line(0).left - noise));
      if (!(variance > 0)) return;
      state.scale = now;
      state.scale_se = Math.sqrt(variance);
    }

    /** Movement in standard errors: of all that the last quarter-turn tells. */
    function judge(all: Translation | undefined): { statistic: number; moved: number; level: number } {
      if (!all) return { statistic: NaN, moved: NaN, level: STILL };
      const y = liftSinceStart();
      const statistic = Math.sqrt(all.chi2 + (y ? (y.mean / y.se) ** 2 : 0));
      const moved = Math.hypot(all.size, y?.mean ?? 0);
      const level = moved < config.least_move || statistic < NEAR * config.threshold ? STILL
        : statistic < config.threshold ? MAYBE : MOVED; // prettier-ignore
      return { statistic, moved, level };
    }

    /** Mean vertical shift of the last quarter-turn against that of the first window. */
    function liftSinceStart(): { mean: number; se: number } | undefined {
      const { sum, squares, count } = state.startY;
      const told = state.recent.filter(({ shift_y }) => !Number.isNaN(shift_y));
      if (count < FEWEST || told.length < FEWEST) return undefined;
      const mean = told.reduce((total, { shift_y }) => total + shift_y, 0) / told.length;
      const scatter = told.reduce((total, { shift_y }) => total + (shift_y - mean) ** 2, 0) / (told.length - 1);
      const start = squares / count - (sum / count) ** 2;
      return { mean: mean - sum / count, se: Math.sqrt(scatter / told.length + start / count + 1e-8) };
    }

    /** One row of either port. */
    function give(out: Results, row: HeldBack["row"], what: number, found: Found | undefined, y: { shift: number; se: number }): void {
      const following = what === FOLLOWED || what === UNMATCHED;
      const all = what === FOLLOWED ? translationOf(state.recent) : undefined;
      const { time, seconds: _, ...rest } = row;
      const given = (row["shift_x"] as number | undefined) ?? NaN;
      const ours = found && !Number.isNaN(found.shift) ? found.shift : following ? state.expected : NaN;
      out.projections.add({
        ...rest, time,
        shift_x: Number.isNaN(ours) ? given : ours + (Number.isNaN(given) ? 0 : given),
        ...(config.swelling && { scale: ((row["scale"] as number | undefined) ?? 1) * (following ? state.scale : 1) }),
        ...(config.vertical && { shift_y: y.shift }),
      });
      out.motion.add({
        time, rotation_angle: row.rotation_angle, view: what,
        shift_x: found?.shift ?? NaN, shift_x_se: found && found.variance < Infinity ? Math.sqrt(found.variance) : NaN,
        shift_y: y.shift, shift_y_se: y.se,
        scale: following && config.swelling ? state.scale : NaN, scale_se: following && config.swelling ? state.scale_se : NaN,
        dx: all?.dx ?? NaN, dx_se: all?.dx_se ?? NaN, dy: all?.dy ?? NaN, dy_se: all?.dy_se ?? NaN,
        axis_shift: all?.axis ?? NaN, axis_shift_se: all?.axis_se ?? NaN, jitter: all?.jitter ?? NaN, ...judge(all),
        correlation: found?.correlation ?? NaN,
      });
    }

    /** The first window is full, or as full as it will get. */
    function alignFirst(out: Results & Faults): void {
      const byTime = new Map(tracker.align().map(({ view, found }) => [view.id, found]));
      letGo(out, byTime);
      state.recent = [];
      state.matching = 1;
    }

    /** Hands on what was held back. */
    function letGo(out: Results, found: ReadonlyMap<number, Found>): void {
      for (const { id, row, usable, shift_y, shift_y_se } of state.held) {
        const one = found.get(id);
        const what = !usable ? UNUSABLE : !one ? FIRST : one.variance < Infinity ? FOLLOWED : UNMATCHED;
        give(out, row, what, one, { shift: shift_y, se: shift_y_se });
      }
      state.held = [];
      state.holding = false;
    }

    function follow(view: View, y: number): Found | undefined {
      const here = { ...view, shift_x: view.shift_x + state.expected, scale: view.scale * state.scale };
      const found = tracker.againstPresent(here, p, config.swelling && !fromStart);
      if (Number.isNaN(found.shift)) return undefined;
      found.shift += state.expected;
      const where = { ...here, shift_x: view.shift_x + found.shift };
      const since = fromStart ? tracker.againstStart(where, p, config.swelling) : found;
      if (!Number.isNaN(since.shift)) {
        state.recent.push({
          turned_deg: state.turned_deg, theta_rad: (view.angle_deg * Math.PI) / 180, shift_y: y,
          shift: fromStart ? found.shift + since.shift : found.shift, variance: since.variance,
          scale: since.scale / view.scale, scaleVariance: since.scaleVariance / view.scale ** 2,
        }); // prettier-ignore
      }
      let old = Math.max(0, state.recent.length - MOST_RECENT);
      while (old < state.recent.length && state.recent[old]!.turned_deg < state.turned_deg - QUARTER_deg) old++;
      state.recent.splice(0, old);
      if (config.swelling) measureScale();
      state.expected += FOLLOW * (found.shift - state.expected);
      tracker.take({ ...where, scale: view.scale * state.scale }, p);
      return found;
    }

    return {
      step({ projections }, out, upTo) {
        const results = out as unknown as Results & Faults;
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          const row = { time, seconds, data: frame, rotation_angle, ...perViewAt(projections.columns, carried, i) };
          state.lastTime = time;
          state.count++;
          const angled = Number.isFinite(rotation_angle);
          const down = perViewOr(projections.columns, "shift_y", i, 0);
          const scale = perViewOr(projections.columns, "scale", i, 1);
          const y = config.vertical && angled ? vertical(frame) : { shift: NaN, se: NaN };
          const usable = angled && lineIntegrals(frame, Number.isNaN(y.shift) ? down : y.shift, scale * state.scale);
          if (!angled) sayOnce(out, time, "angle", "a view without a rotation angle is handed on as it is, as are others like it; give the source its angles");
          else if (!usable) sayOnce(out, time, "unknown", "a view of which less than half is known is handed on as it is, as are others like it; look for a closed shutter or dead rows");
          if (usable && !tracker.following) {
            const { sum, squares, count } = state.startY;
            if (!Number.isNaN(y.shift)) state.startY = { sum: sum + y.shift, squares: squares + y.shift ** 2, count: count + 1 };
          }
          if (state.holding) {
            if (state.held.length === config.hold_views) {
              letGo(results, new Map());
              sayOnce(out, time, "held", `${config.hold_views} views are held back and the half-turn is not full; they go on without a shift. Set hold_views to the views of a half-turn, or 0`);
            } else state.held.push({ id: state.count, row: { ...row, data: frame.slice() }, usable, shift_y: y.shift, shift_y_se: y.se });
          }
          if (!usable) {
            if (!state.holding) give(results, row, UNUSABLE, undefined, y);
            continue;
          }
          const step_deg = Number.isNaN(state.previous_deg) ? 0 : wrap(rotation_angle - state.previous_deg + 180, 360) - 180;
          state.turned_deg += Math.abs(step_deg);
          state.previous_deg = rotation_angle;
          const view: View = {
            id: state.count, angle_deg: rotation_angle, seconds, axis: perViewOr(projections.columns, "axis", i, NaN),
            shift_x: perViewOr(projections.columns, "shift_x", i, 0), scale,
          };
          if (!tracker.following) {
            const full = tracker.collect(view, p);
            if (!state.holding) give(results, row, FIRST, undefined, y);
            if (full) alignFirst(results);
            continue;
          }
          const found = follow(view, y.shift);
          give(results, row, found ? FOLLOWED : UNMATCHED, found, y);
          const forget = Math.exp(-Math.abs(step_deg) / MEMORY_deg);
          state.matching = forget * state.matching + (found ? 1 - forget : 0);
          if (state.matching > LOST) continue;
          out.fault(time, "views do not match the slices any more, so a new first window begins, and movement counts from there; " +
            "look for a changed sample or axis, raise max_shift, or set reference: present");
          tracker.restart();
          state = { ...begin(state.said), count: state.count, lastTime: time, holding: false };
        }
        if (upTo === Infinity && !tracker.following) {
          const covered = tracker.covered_deg;
          if (state.holding && covered >= ENOUGH_deg) alignFirst(results);
          else letGo(results, new Map());
          if (!tracker.following && state.lastTime !== undefined)
            sayOnce(out, state.lastTime, "short", `no shift was found: the views cover ${covered.toFixed(0)} of 180 deg` +
              (config.hold_views === 0 && covered >= ENOUGH_deg ? "; set hold_views to their number to have them aligned all the same" : ""));
        }
      },
      holds: () => state.held[0]?.row.seconds ?? Infinity,
      save: () => ({ state: structuredClone(state), tracker: tracker.save() }),
      load: (saved: { state: State; tracker: ReturnType<SampleTracker["save"]> }) => {
        state = saved.state;
        tracker.load(saved.tracker);
      },
    };
  },
}); // prettier-ignore

interface Results {
  readonly projections: { add(row: Record<string, unknown> & { time: bigint }): void };
  readonly motion: { add(row: Record<string, unknown> & { time: bigint }): void };
}
interface Faults {
  fault(time: bigint, what: string): void;
}

interface Config {
  readonly slices: readonly (string | number)[];
  readonly axis: number;
  readonly pitch: number;
  readonly padding: "zero" | "edge";
  readonly max_shift: number;
  readonly vertical: boolean;
  readonly max_gap: number;
  readonly max_views: number;
  readonly kernel: "wasm" | "typescript";
}

/** What config and stream determine; throws WiringError where they cannot be right. */
function setup(config: Config, metadata: Readonly<Record<string, string>>, detector: number, cols: number) {
  const { geometry } = beamOf(metadata);
  if (geometry !== "parallel")
    throw new WiringError(`a ${geometry} beam: shifts against the slice are found in a parallel beam only; leave this node out`);
  const axis = axisOf(config.axis, metadata, cols);
  const rows = detectorRows(config.slices, detector);
  if (config.vertical && detector < LEAST_ROWS)
    throw new WiringError(`vertical: ${detector} detector rows do not tell shifts downwards, wanted ${LEAST_ROWS} or more; set vertical: false`);
  const radius = Math.min(axis, cols - 1 - axis);
  if (radius < LEAST_RADIUS)
    throw new WiringError(`axis: ${axis} px is too near to the detector's end; wanted ${LEAST_RADIUS} columns or more on either side`);
  const pitch = config.pitch || (cols >= COARSE_FROM ? 2 : 1);
  const size = 2 * Math.ceil(radius / pitch) + 1;
  const plane = horizontal(0, size, { pitch, radius });
  const { kernel, padding, max_shift: reach, max_gap: maxGap_deg, max_views: maxViews } = config;
  const options = { kernel, plane, slices: rows.length, cols, axis, radius, padding, maxGap_deg, maxViews, reach };
  return { rows, options };
} // prettier-ignore
