import {
  choice, code, defineOperator, image, integer, label, list, quantity, record, scalar, text, WiringError,
  type Field,
} from "../../runtime/index.ts"; // prettier-ignore
import { fanWeights } from "./fan.ts";
import { lineIntegralsOf } from "./line-integrals.ts";
import { PER_VIEW, perViewOr } from "./per-view.ts";
import type { Plane } from "./planes.ts";
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import { SliceEngine, type NewView } from "./slice-engine.ts";
import { KERNELS } from "./slice-kernel.ts";
import {
  axisOf, checkKernel, engineOptions, MOST_VIEWS, mostViews, pixels, radiusOf, setup, sliceCount, spanOf, windowMistake, written,
} from "./slice-setup.ts"; // prettier-ignore
import { tiledKernel } from "./tiled-kernel.ts";
import { webgpuKernel } from "./webgpu/kernel.ts";

/** What stands beside each picture: from what it was made. */
const STATE = {
  views: scalar("{frame}", { doc: "views in the picture" }),
  window: label({ doc: "how far back views count" }),
  coverage: scalar("deg", { doc: "angle covered, of 180 (of 360 in a fan beam)" }),
  largest_gap: scalar("deg", { doc: "widest angle between neighbouring views" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
  oldest_age: scalar("s", { doc: "time since the oldest view in the picture" }),
  axis: scalar("{px}", { doc: "column that the rotation axis fell on" }),
  filter: code({ codes: Object.fromEntries(RAMP_WINDOWS.entries()), doc: "window of the ramp filter" }),
  radius: scalar("{px}", { doc: "within it every view counts; beyond, the picture is incomplete" }),
  filled: scalar("{px}", { doc: "samples of all its views that were interpolated, dead or opaque" }),
  left_out: scalar("{frame}", { doc: "views that could not be used, since the start" }),
  rebuild: code({ codes: { 0: "none", 1: "pending", 2: "mixed" }, doc: "pending: a change was asked for, this is the picture from before; mixed: older views came through another filter" }),
}; // prettier-ignore
const SLICE = { slice: code({ doc: "row of the detector" }), ...STATE };

interface Rest {
  /** Views that came, and those that could not be used. */
  count: number;
  leftOut: number;
  newest_deg: number;
  /** Of a view that is in no picture given out yet. */
  pending: { time: bigint; seconds: number } | undefined;
  /** Faults that are said once. */
  said: string[];
}

/** A view that is read, but in no picture yet. */
interface ReadView {
  readonly time: bigint;
  readonly view: NewView;
  readonly filled: { readonly row: number; readonly count: number }[];
}

interface Results {
  readonly [port: string]: { add(row: Record<string, unknown> & { time: bigint }): void };
}
type Faults = { fault(time: bigint, what: string): void };

/** Rows whose dead samples are said one by one. */
const MOST_ROWS_SAID = 16;
/** So many views without two neighbours are more than a scan that has just begun. */
const VIEWS_TO_JUDGE = 24;
/** Detector rows of which a view is judged as a whole. */
const PROBES = 16;

/**
 * Filtered back-projection of a turning sample, one projection at a time: pictures that are up to date after every view.
 *
 *     f(x, y) = Σ w_k q_k(t),   t = axis + x cos θ_k + y sin θ_k,   q = ramp filter of p,   p = -ln T
 *
 *     T  transmission             [1]       (row, col)   rotation axis along the columns
 *     p  line integral            [1]       (slice, col)
 *     f  attenuation coefficient  [1/px]    (row, col), x to the right, y upwards
 *     w  weight of a view         [rad]     the arc between its neighbours, modulo 180°; they sum to π
 *
 * The views of the window are kept filtered. A new view takes the place of those measured before at the angles just
 * passed, and only what changes is back-projected: in steady rotation the new row less the one of the same angle,
 * which is mirrored after a half-turn. The first picture comes with the first view; while angles are missing, the sum is
 * scaled as if those present stood for all, and `coverage` and `largest_gap` say so. view-window.ts has the windows.
 *
 * `slices` are horizontal, `size` × `size` pixels `pitch` apart about (`centre_x`, `centre_y`); `planes` are any others,
 * each with a port of its own. Where pixels are further apart than the detector's they see the mean of a row.
 * What a stream knows of each view is put into the map from pixels to the detector, never into resampled rows: its
 * `axis`, what it was shifted (`shift_x`, `shift_y`), how much the sample has swollen (`scale`).
 *
 * Of a cone beam only the middle slice is a fan, and can be had: with full turns, and weights of a fan (fan.ts).
 *
 * Where T is NaN (dead pixel) or not above zero (nothing came through), p is not known: it is interpolated along the
 * row and counted in `filled`. A row of which less than half is known is taken from the view before. A view of which
 * less than half is known over all the detector is a fault and is left out.
 * Pixels further than `radius` from the axis are not seen by all views: what stands there is incomplete, or NaN
 * where `beyond_radius` is `missing`, which saves up to a fifth of the work.
 * The window holds `max_views` views of 4 bytes × columns × detector rows that the planes see; one more, and the
 * oldest leaves.
 *
 * `axis`, `filter` and `window` may be changed while it runs: the picture from before stands, with `rebuild` pending,
 * while the new one is made from the views that are kept. (Where these are more than 512 MB, those that are there keep
 * the filter that they came through: `rebuild` says mixed.)
 *
 * Filter and back-projection run in WebAssembly SIMD, in single precision and with positions of 26 bits after the
 * point: 120 dB from the same in double precision. `kernel: typescript` runs them in plain TypeScript instead. The
 * two differ in the last bits, so neither ever stands in for the other; the slices' metadata say which it was.
 * `kernel: webgpu` runs them on a graphics card (webgpu/kernel.ts).
 * `threads` share the lines of every picture; their number changes no bit.
 *
 * Reference: Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3.
 */
export const incremental = defineOperator({
  name: "tomography/incremental",
  doc: "Filtered back-projection, brought up to date with every projection",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, config, { projections: metadata = {} }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    checkKernel(config.kernel);
    const names = Object.keys(config.planes);
    for (const name of names) {
      if (!/^[a-z][a-z0-9_]*$/.test(name) || name === "slices")
        throw new WiringError(`planes: ${name} cannot name a stream; wanted small letters and digits, not slices`);
    }
    if (names.length > 0 && config.slices.length > 1)
      throw new WiringError("planes: they go with one horizontal slice at most; name the other slices in a second node");
    const known = typeof rows === "number" && typeof cols === "number";
    const made = known ? setup(config, metadata, rows, cols) : undefined;
    const sizeOf = (k: number): (number | string)[] => {
      const plane = made?.planes[k];
      return plane ? [plane.rows, plane.cols] : ["row", "col"];
    };
    const data = (shape: (number | string)[]): Field<"image", "f32"> =>
      image("1/{px}", { shape, quantity: "attenuation coefficient" });
    const level = sliceCount(config);
    return {
      ...(level > 0 && { slices: { data: data(known ? sizeOf(0) : [config.size || cols!, config.size || cols!]), ...SLICE } }),
      ...Object.fromEntries(names.map((name, i) => [name, { data: data(sizeOf(level + i)), ...STATE }])),
    } as { slices: typeof SLICE & { data: Field<"image", "f32"> } };
  },
  metadata: ({ projections }, { kernel, planes, pitch, centre_x, centre_y, slices }) => {
    const given = projections!.metadata;
    const common = { ...given, kernel, ...pixels(given, pitch) };
    const centred = centre_x !== 0 || centre_y !== 0 ? { centre_x: String(centre_x), centre_y: String(centre_y) } : {};
    return {
      ...((slices.length > 0 || Object.keys(planes).length === 0) && { slices: { ...common, ...centred } }),
      ...Object.fromEntries(Object.entries(planes).map(([name, plane]) => [name, { ...common, plane }])),
    };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one, or none where planes are named" }),
    planes: record({}, { doc: "other planes by name: x=12, y=0, z=512, or through x,y,z normal x,y,z; x and y in pixels from the axis, z a detector row" }),
    window: text("180 deg", { check: windowMistake, doc: "180 deg, 360 deg, so many views (300 views) or a time (90 s): how far back a view counts" }),
    taper: quantity("deg", 0, { min: 0, max: 180, doc: "of a window of 180 deg: views come in and leave by and by over this angle" }),
    forgetting: quantity("1", 0, { min: 0, max: 0.99, doc: "with a window of 360 deg: part of an angle's old row that stays when it comes round again" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    filter: choice(RAMP_WINDOWS, "shepp-logan", { doc: "window of the ramp filter" }),
    padding: choice(["zero", "edge"], "zero", { doc: "edge, where the sample is wider than the detector" }),
    every: integer(10, { min: 1, doc: "gives out each picture after so many views" }),
    size: integer(0, { min: 0, doc: "rows and columns of a slice; default the detector's columns" }),
    pitch: quantity("{px}", 1, { min: 0.01, max: 64, doc: "distance of neighbouring pixels, in the detector's" }),
    centre_x: quantity("{px}", 0, { doc: "middle of the slices, to the right of the axis" }),
    centre_y: quantity("{px}", 0, { doc: "middle of the slices, upwards of the axis" }),
    shift_rows: integer(0, { min: 0, max: 16, doc: "detector rows beside the planes' that are kept, for views that were shifted up or down" }),
    max_gap: quantity("deg", 10, {
      min: 0.001, max: 90,
      doc: "a wider gap between angles counts as not measured, a longer step as a jump; below the step for golden-angle and interlaced views",
    }),
    max_views: integer(0, { min: 0, doc: `views that the window holds; one more, and the oldest leaves; 0: ${MOST_VIEWS}, or what memory allows` }),
    rebuild_rate: quantity("Hz", 500, { min: 1, doc: "views a second (of the stream's time) that a changed picture is made from" }),
    beyond_radius: choice(["incomplete", "missing"], "incomplete", { doc: "pixels that not all views see: as they come out, or NaN" }),
    kernel: choice(["wasm", "typescript", "webgpu"], "wasm", { doc: "WebAssembly SIMD, plain TypeScript in double precision, or a graphics card (package webgpu)" }),
    threads: integer(1, { min: 1, max: 64, doc: "threads that share the lines of every picture (kernel: wasm)" }),
  },
  key: { list: "slices" },
  live: ["axis", "filter", "window"],
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const { planes, rows, slices, axis, beam, span, options } = setup(config, metadata, detector, cols);
    const threads = config.kernel === "wasm" ? config.threads : 1;
    const kernel = config.kernel === "webgpu" ? webgpuKernel(options)
      : threads > 1 ? tiledKernel(options, threads)
      : KERNELS[config.kernel](options);
    const fan = beam.fan && fanWeights(cols, axis, beam.fan);
    const most = mostViews(config, options);
    const engine = new SliceEngine(engineOptions(config, { kernel, cols, axis, span, beam, rows, most }));
    const read = lineIntegralsOf(data, kernel.minusLog);
    const whole = config.beyond_radius === "incomplete";
    const names = Object.keys(config.planes);

    let rest: Rest = { count: 0, leftOut: 0, newest_deg: NaN, pending: undefined, said: [] };
    /** Line integrals of the views that are read, and of the last one, for rows that are not known. */
    const p = Array.from({ length: kernel.viewsAtOnce }, () => new Float32Array(rows.length * cols));
    let last: Float32Array = new Float32Array(rows.length * cols);
    const reading: ReadView[] = [];

    /** Line integrals of all rows and what was filled; undefined where the view cannot be used. */
    function lineIntegrals(frame: Float32Array, into: Float32Array): ReadView["filled"] | undefined {
      if (!passable(frame, detector, cols, read.known)) return undefined;
      const filled: { row: number; count: number }[] = [];
      rows.forEach((row, i) => {
        const line = into.subarray(i * cols, (i + 1) * cols);
        const count = read.row(frame, row * cols, line);
        if (count > cols / 2) line.set(last.subarray(i * cols, (i + 1) * cols));
        if (count > 0) filled.push({ row, count: count > cols / 2 ? cols : count });
      });
      last.set(into);
      if (fan) for (let i = 0; i < into.length; i++) into[i]! *= fan[i % cols]!;
      return filled;
    }

    function give(out: Results): void {
      const { time, seconds } = rest.pending!;
      const { views, coverage_deg, largestGap_deg, oldest_seconds, axis, filter, span, filled } = engine.shown();
      const state = {
        time, views, window: written(span), coverage: coverage_deg, largest_gap: largestGap_deg,
        rotation_angle: rest.newest_deg, oldest_age: seconds - oldest_seconds,
        axis, filter: RAMP_WINDOWS.indexOf(filter), radius: radiusOf(axis, cols, beam), filled,
        left_out: rest.leftOut, rebuild: engine.pending ? 1 : engine.mixed ? 2 : 0,
      }; // prettier-ignore
      planes.forEach((plane, k) => {
        const picture = engine.picture(k);
        if (k < slices.length && !whole) beyond(picture, plane);
        if (k < slices.length) out["slices"]!.add({ ...state, data: picture, slice: slices[k]! });
        else out[names[k - slices.length]!]!.add({ ...state, data: picture });
      });
      rest.pending = undefined;
    }

    /** Brings the pictures up to date with the views that are read, one after another. */
    function takeIn(out: Results & Faults): void {
      if (reading.length === 0) return;
      const held = engine.filter(reading.map(({ view }) => view), p.slice(0, reading.length));
      reading.forEach(({ time, view, filled }, i) => {
        for (const { row, count } of filled) {
          if (rest.said.length > MOST_ROWS_SAID || rest.said.includes(`row ${row}`)) continue;
          rest.said.push(`row ${row}`);
          out.fault(time, `row ${row}: ${count} of ${cols} samples are dead or opaque (transmission NaN or not above 0); ` +
            `${count < cols ? "they are interpolated" : "the row is taken from the view before"} from here on, and counted in the column filled`);
        }
        const full = engine.views.length;
        engine.take(held[i]!);
        if (full === most && !rest.said.includes("full")) {
          const { largestGap_deg } = engine.shown();
          if (span.kind === "angle" && largestGap_deg > config.max_gap) {
            rest.said.push("full");
            out.fault(time, `the window is full with max_views = ${most} views before they cover ${beam.circle_deg} deg (largest gap ` +
              `${largestGap_deg.toFixed(2)} deg); the oldest leave, raise max_views`);
          }
        }
        if (engine.views.length === VIEWS_TO_JUDGE && !rest.said.includes("apart") && engine.shown().coverage_deg === 0) {
          rest.said.push("apart");
          out.fault(time, `no two of ${VIEWS_TO_JUDGE} views are within max_gap = ${config.max_gap} deg of each other, so nothing counts as covered; ` +
            "set max_gap above the step of the angles");
        }
        rest.count++;
        rest.newest_deg = view.angle_deg;
        rest.pending = { time, seconds: view.seconds };
        if (rest.count === 1 || rest.count % config.every === 0) give(out);
      });
      reading.length = 0;
    }

    return {
      step({ projections }, out, upTo) {
        const results = out as unknown as Results & Faults;
        const { columns } = projections;
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          const filled = Number.isFinite(rotation_angle) ? lineIntegrals(frame, p[reading.length]!) : undefined;
          if (!filled) {
            takeIn(results); // faults come in the order of their views
            rest.leftOut++;
            out.fault(time, Number.isFinite(rotation_angle)
              ? "less than half of the detector is known, the view is left out; look for a closed shutter, an opaque holder or a dead detector"
              : "projection without a rotation angle, left out; give the source its angles");
            continue;
          }
          const view = {
            angle_deg: rotation_angle, seconds, filled: filled.reduce((sum, { count }) => sum + count, 0),
            axis: perViewOr(columns, "axis", i, NaN), shift_x: perViewOr(columns, "shift_x", i, 0),
            shift_y: perViewOr(columns, "shift_y", i, 0), scale: perViewOr(columns, "scale", i, 1),
          };
          reading.push({ time, view, filled });
          if (reading.length === kernel.viewsAtOnce) takeIn(results);
        }
        takeIn(results);
        if (upTo === Infinity) {
          engine.finish();
          if (rest.pending) give(results);
          kernel.close();
        }
      },
      holds: () => rest.pending?.seconds ?? Infinity,
      act({ changes }) {
        const { filter, window } = changes;
        const to = changes.axis;
        engine.change({
          ...(to !== undefined && { axis: axisOf(to, metadata, cols) }),
          ...(filter !== undefined && { filter }),
          ...(window !== undefined && { span: spanOf({ ...config, window }, beam) }),
        });
      },
      save: () => ({ rest: { ...rest, said: [...rest.said] }, engine: engine.save(), last: last.slice() }),
      load: (saved: { rest: Rest; engine: ReturnType<SliceEngine["save"]>; last: Float32Array }) => {
        rest = saved.rest;
        last = saved.last;
        engine.load(saved.engine);
      },
    };
  },
}); // prettier-ignore

/** Whether at least half of a view is known, by pixels spread over the detector. */
function passable(frame: Float32Array, rows: number, cols: number, known: (x: number) => boolean): boolean {
  let [good, all] = [0, 0];
  for (let i = 0; i < Math.min(rows, PROBES); i++) {
    const row = Math.floor(((i + 0.5) * rows) / Math.min(rows, PROBES));
    for (let c = 0; c < cols; c++, all++) if (known(frame[row * cols + c]!)) good++;
  }
  return 2 * good >= all;
}

/** Marks pixels beyond the circle that all views see as missing. */
function beyond(image: Float32Array, { rows, cols, circle: { row, col, radius } }: Plane): void {
  for (let r = 0; r < rows; r++) {
    const half = Math.sqrt(radius * radius - (row - r) ** 2); // NaN where the whole line is beyond
    const from = Number.isNaN(half) ? cols : Math.min(cols, Math.max(0, Math.ceil(col - half)));
    const to = Number.isNaN(half) ? cols : Math.max(from, Math.min(cols, Math.floor(col + half) + 1));
    image.fill(NaN, r * cols, r * cols + from);
    image.fill(NaN, r * cols + to, (r + 1) * cols);
  }
}
