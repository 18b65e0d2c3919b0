import {
  choice, code, defineOperator, image, integer, list, quantity, scalar, WiringError, type Field,
} from "../../runtime/index.ts"; // prettier-ignore
import { addBackProjection, addTwoBackProjections, segments, type View } from "./back-projection.ts";
import { fillGaps, lineIntegrals } from "./line-integrals.ts";
import { RAMP_WINDOWS, rampFilter } from "./ramp-filter.ts";
import { arcs, superseded, wrap, type Arcs } from "./view-window.ts";

interface HeldView {
  angle_deg: number;
  seconds: number;
  /** As it stands in the images now. */
  weight_rad: number;
  /** Filtered rows, one slice after another. */
  rows: Float32Array;
  /** Samples filled in, by slice. */
  filled: Int32Array;
}

interface State {
  /** By angle modulo 180. */
  views: HeldView[];
  images: Float32Array[];
  /** Views taken in so far. */
  count: number;
  previous_deg?: number;
  /** Of a view that is in no slice given out yet. */
  pending?: { time: bigint; seconds: number };
  /** Faults that are said once. */
  said: string[];
}

/** Part of a change to the images: views along one line, each with the change of its weight. */
type Change = { view: HeldView; change_rad: number }[];

/** What stands beside each slice: from what it was made. */
const STATE = {
  slice: code({ doc: "row of the detector" }),
  views: scalar("{frame}", { doc: "views in the image" }),
  coverage: scalar("deg", { doc: "angle covered, of 180" }),
  largest_gap: scalar("deg", { doc: "widest angle between neighbouring views" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
  oldest_age: scalar("s", { doc: "time since the oldest view in the image" }),
  axis: scalar("{px}", { doc: "column that the rotation axis fell on" }),
  radius: scalar("{px}", { doc: "within it every view counts; beyond, the image is incomplete" }),
  filled: scalar("{px}", { doc: "samples of all its views that were interpolated, dead or opaque" }),
};
type SliceRow = RowOf<typeof STATE> & { readonly time: bigint; readonly data: Float32Array };
type RowOf<F> = { readonly [N in keyof F]: number };

/**
 * Filtered back-projection of a turning sample, one projection at a time: slices that are up to date after every view.
 *
 *     f(x, y) = Σ w_k q_k(t),   t = axis + x cos θ_k + y sin θ_k,   q = ramp filter of p,   p = -ln T
 *
 *     T  transmission             [1]       (row, col)   parallel beam; rotation axis along the columns
 *     p  line integral            [1]       (slice, col)
 *     f  attenuation coefficient  [1/px]    (row, col), x to the right, y upwards, axis in the image's middle
 *     w  weight of a view         [rad]     the arc between its neighbours, modulo 180°; they sum to π
 *
 * The views of the last half-turn (or turn) are kept filtered. A new view takes the place of those measured before at
 * the angles just passed, and only what changes is back-projected: in steady rotation the new row less the one of the
 * same angle, which is mirrored after a half-turn. The first image comes with the first view; while angles are
 * missing, the sum is scaled as if those present stood for all, and `coverage` and `largest_gap` say so.
 *
 * Where T is NaN (dead pixel) or not above zero (nothing came through), p is not known: it is interpolated along the
 * row and counted in `filled`. A view with fewer than half of a row known is a fault and is left out.
 * Pixels further than `radius` from the middle are not seen by all views: what stands there is incomplete.
 * The window holds `max_views` views of 4 bytes × columns × slices each; one more, and the oldest leaves.
 *
 * Reference: Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3.
 */
export const incremental = defineOperator({
  name: "tomography/incremental",
  doc: "Filtered back-projection, brought up to date with every projection",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg") } },
  output: ({ projections }, { slices, window, size, axis }, { projections: metadata }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    if (window !== 180 && window !== 360)
      throw new WiringError(`window is ${window} deg; wanted 180 deg or 360 deg`);
    if (typeof rows === "number") detectorRows(slices, rows);
    if (typeof cols === "number") axisOf(axis, metadata, cols);
    const side = size || cols!;
    return {
      slices: {
        data: image("1/{px}", { shape: [side, side], quantity: "attenuation coefficient" }),
        ...STATE,
      },
    };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one" }),
    window: quantity("deg", 180, { doc: "180 deg, or 360 deg: how far back a view counts" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    filter: choice(RAMP_WINDOWS, "shepp-logan", { doc: "window of the ramp filter" }),
    padding: choice(["zero", "edge"], "zero", { doc: "edge, where the sample is wider than the detector" }),
    every: integer(10, { min: 1, doc: "gives out each slice after so many views" }),
    size: integer(0, { min: 0, doc: "rows and columns of a slice; default the detector's columns" }),
    max_gap: quantity("deg", 10, {
      min: 0.001, max: 90,
      doc: "a wider gap between angles counts as not measured, a longer step as a jump; below the step for golden-angle and interlaced views",
    }),
    max_views: integer(4096, { min: 1, doc: "views that the window holds; one more, and the oldest leaves" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const slices = detectorRows(config.slices, detector);
    const size = config.size || cols;
    const axis = axisOf(config.axis, metadata, cols);
    const filter = rampFilter(cols, config.filter, config.padding);
    const known = isLineIntegral(data);
    const mirrored = Math.abs(2 * axis - (cols - 1)) < 1e-9;

    let state: State = {
      views: [],
      images: slices.map(() => new Float32Array(size * size)),
      count: 0,
      said: [],
    };
    let now: Arcs = arcs([], config.max_gap);
    const spare: HeldView[] = [];
    const p = slices.map(() => new Float64Array(cols));
    const sum = new Float64Array(cols);
    const tables = [new Float64Array(2 * cols + 2), new Float64Array(2 * cols + 2)] as const;
    const shown = new Float32Array(size * size);

    /** Line integrals of all slices into p and what was filled; or why this view cannot be used. */
    function read(frame: Float32Array, filled: Int32Array): string | undefined {
      for (let s = 0; s < slices.length; s++) {
        const from = slices[s]! * cols;
        if (known) p[s]!.set(frame.subarray(from, from + cols));
        filled[s] = known ? fillGaps(p[s]!) : lineIntegrals(frame, from, p[s]!);
        if (filled[s]! > cols / 2) {
          return (
            `row ${slices[s]} has ${cols - filled[s]!} known samples of ${cols}, the view is left out; ` +
            "look for a closed shutter, an opaque holder or dead rows, or choose other slices"
          );
        }
      }
      return undefined;
    }

    function filterInto(rows: Float32Array): void {
      for (let s = 0; s < slices.length; s += 2) {
        const [one, other] = filter(p[s]!, p[s + 1]);
        rows.set(one, s * cols);
        if (s + 1 < slices.length) rows.set(other, (s + 1) * cols);
      }
    }

    /** Puts a view in the place of those it supersedes; returns what changes in the images. */
    function replace(view: HeldView): Change[] {
      const { views, previous_deg } = state;
      const gone = superseded(views.map((v) => v.angle_deg), previous_deg, view.angle_deg, config.window, config.max_gap); // prettier-ignore
      const leaving = views.filter((_, i) => gone[i]);
      const staying = views.filter((_, i) => !gone[i]);
      if (staying.length >= config.max_views) {
        const oldest = staying.reduce((i, v, k) => (v.seconds < staying[i]!.seconds ? k : i), 0);
        leaving.push(...staying.splice(oldest, 1));
      }
      const half = wrap(view.angle_deg, 180);
      const at = staying.findIndex((v) => wrap(v.angle_deg, 180) > half);
      staying.splice(at < 0 ? staying.length : at, 0, view);
      state.views = staying;
      now = arcs(staying.map((v) => wrap(v.angle_deg, 180)), config.max_gap); // prettier-ignore

      const changes: Change[] = [];
      const change = (changed: HeldView, weight_rad: number): void => {
        const change_rad = weight_rad - changed.weight_rad;
        // Neighbours' arcs come out the same to rounding; what is skipped is not lost, it is compared again.
        if (Math.abs(change_rad) <= 1e-9 * Math.max(weight_rad, changed.weight_rad)) return;
        const line = changes.find(([first]) => sameLine(first!.view, changed));
        if (line) line.push({ view: changed, change_rad });
        else changes.push([{ view: changed, change_rad }]);
        changed.weight_rad = weight_rad;
      };
      change(view, (now.weight_deg[staying.indexOf(view)]! * Math.PI) / 180);
      for (const old of leaving) change(old, 0);
      staying.forEach((v, i) => change(v, (now.weight_deg[i]! * Math.PI) / 180));
      spare.push(...leaving);
      return changes;
    }

    /** True where rows of both can be added before they are back-projected. */
    function sameLine(a: HeldView, b: HeldView): boolean {
      const apart = wrap(a.angle_deg - b.angle_deg + 90, mirrored ? 180 : 360) - 90;
      return Math.abs(apart) < 1e-9;
    }

    /** The line's row, each view times the change of its weight, ready for the kernel. */
    function lineView(change: Change, s: number, table: Float64Array): View {
      const { angle_deg } = change[0]!.view;
      sum.fill(0);
      for (const { view, change_rad } of change) {
        const from = s * cols;
        const opposite = Math.abs(wrap(view.angle_deg - angle_deg, 360) - 180) < 90;
        if (opposite) for (let i = 0; i < cols; i++) sum[i]! += change_rad * view.rows[from + cols - 1 - i]!;
        else for (let i = 0; i < cols; i++) sum[i]! += change_rad * view.rows[from + i]!;
      }
      segments(sum, table);
      const theta_rad = (angle_deg * Math.PI) / 180;
      return { table, cols, axis, cosTheta: Math.cos(theta_rad), sinTheta: Math.sin(theta_rad) };
    }

    function give(into: { add(row: SliceRow): void }): void {
      const { time, seconds } = state.pending!;
      const oldest = state.views.reduce((least, v) => Math.min(least, v.seconds), Infinity);
      const scale = 180 / now.total_deg;
      for (let s = 0; s < slices.length; s++) {
        const current = state.images[s]!;
        for (let k = 0; k < shown.length; k++) shown[k] = current[k]! * scale;
        into.add({
          time, data: shown, slice: slices[s]!,
          views: state.views.length, coverage: now.coverage_deg, largest_gap: now.largestGap_deg,
          rotation_angle: state.previous_deg!, oldest_age: seconds - oldest,
          axis, radius: Math.min(axis, cols - 1 - axis),
          filled: state.views.reduce((n, v) => n + v.filled[s]!, 0),
        }); // prettier-ignore
      }
      delete state.pending;
    }

    return {
      step({ projections }, out, upTo) {
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          if (!Number.isFinite(rotation_angle)) {
            out.fault(time, "projection without a rotation angle, left out; give the source its angles");
            continue;
          }
          const view: HeldView = spare.pop() ?? {
            angle_deg: 0, seconds: 0, weight_rad: 0,
            rows: new Float32Array(slices.length * cols), filled: new Int32Array(slices.length),
          }; // prettier-ignore
          const refused = read(frame, view.filled);
          if (refused) {
            out.fault(time, refused);
            spare.push(view);
            continue;
          }
          const filled = view.filled.reduce((most, n) => Math.max(most, n), 0);
          if (filled > 0 && !state.said.includes("filled")) {
            state.said.push("filled");
            out.fault(time, `up to ${filled} of ${cols} samples of a row are dead or opaque (transmission NaN or not above 0); ` +
              "they are interpolated from here on, and counted in the column `filled`"); // prettier-ignore
          }
          Object.assign(view, { angle_deg: rotation_angle, seconds, weight_rad: 0 });
          filterInto(view.rows);
          const full = state.views.length;
          const changes = replace(view);
          if (
            full === config.max_views &&
            now.largestGap_deg > config.max_gap &&
            !state.said.includes("full")
          ) {
            state.said.push("full");
            out.fault(time, `the window is full with max_views = ${full} views before they cover 180 deg (largest gap ` +
              `${now.largestGap_deg.toFixed(2)} deg); the oldest leave, raise max_views`); // prettier-ignore
          }
          for (let s = 0; s < slices.length; s++) {
            for (let k = 0; k < changes.length; k += 2) {
              const one = lineView(changes[k]!, s, tables[0]);
              const next = changes[k + 1];
              if (next) addTwoBackProjections(state.images[s]!, size, one, lineView(next, s, tables[1]));
              else addBackProjection(state.images[s]!, size, one);
            }
          }
          state.count++;
          state.previous_deg = rotation_angle;
          state.pending = { time, seconds };
          if (state.count === 1 || state.count % config.every === 0) give(out.slices);
        }
        if (upTo === Infinity && state.pending) give(out.slices);
      },
      holds: () => state.pending?.seconds ?? Infinity,
      save: () => ({
        ...state,
        views: state.views.map((v) => ({ ...v, rows: v.rows.slice(), filled: v.filled.slice() })),
        images: state.images.map((pixels) => pixels.slice()),
        said: [...state.said],
      }),
      load: (saved: State) => {
        state = saved;
        now = arcs(state.views.map((v) => wrap(v.angle_deg, 180)), config.max_gap); // prettier-ignore
      },
    };
  },
});

/** Rows of the detector that are named, `512` or `z=512`; the middle one where none is. */
function detectorRows(named: readonly (string | number)[], rows: number): number[] {
  if (named.length === 0) return [Math.floor(rows / 2)];
  return named.map((name) => {
    const row = typeof name === "number" ? name : Number(/^\s*(?:z\s*=)?\s*(\d+)\s*$/.exec(name)?.[1] ?? NaN);
    if (!Number.isInteger(row) || row < 0 || row >= rows) {
      throw new WiringError(
        `slices: ${name} is not a row of the detector; wanted 0 to ${rows - 1}, as 512 or z=512`,
      );
    }
    return row;
  });
}

function axisOf(given: number, metadata: Readonly<Record<string, string>> | undefined, cols: number): number {
  const stated = metadata?.["rotation_axis"];
  const axis = !Number.isNaN(given) ? given : stated === undefined ? (cols - 1) / 2 : Number(stated);
  if (!(axis >= 0 && axis <= cols - 1)) {
    throw new WiringError(`axis: ${Number.isNaN(given) ? `the stream's rotation_axis "${stated}"` : `${given} px`} is not on the detector, 0 to ${cols - 1} px`);
  }
  return axis;
} // prettier-ignore

/** A source whose file holds -ln T already says so in the column's schema. */
const isLineIntegral = (data: Field): boolean => data.quantity === "line integral";
