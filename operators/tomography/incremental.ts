import {
  choice, code, defineOperator, image, integer, list, quantity, scalar, WiringError, type Field,
} from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { fillGaps, lineIntegrals } from "./line-integrals.ts";
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import { KERNELS, type Line } from "./slice-kernel.ts";
import { arc, arcs, gap, passage, wrap, type Arcs } from "./view-window.ts";
import { runsWasm, wasmMemory_GiB } from "./wasm/slice-kernel.ts";

interface HeldView {
  angle_deg: number;
  /** The same modulo 180. */
  half_deg: number;
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
  /** Views taken in so far. */
  count: number;
  previous_deg?: number;
  /** Of a view that is in no slice given out yet. */
  pending?: { time: bigint; seconds: number };
  /** Faults that are said once. */
  said: string[];
}
type Saved = State & { images: Float32Array[] };

/** A view that is read, but in no image yet. */
interface ReadView {
  time: bigint;
  view: HeldView;
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
interface Results {
  readonly slices: { add(row: SliceRow): void };
  fault(time: bigint, what: string): void;
}
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
 * Pixels further than `radius` from the middle are not seen by all views: what stands there is incomplete, or NaN
 * where `beyond_radius` is `missing`, which saves up to a fifth of the work.
 * The window holds `max_views` views of 4 bytes × columns × slices each; one more, and the oldest leaves.
 *
 * Filter and back-projection run in WebAssembly SIMD, in single precision and with positions of 26 bits after the
 * point: 120 dB from the same in double precision. `kernel: typescript` runs them in plain TypeScript instead. The
 * two differ in the last bits, so neither ever stands in for the other; the slices' metadata say which it was.
 *
 * Reference: Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3.
 */
export const incremental = defineOperator({
  name: "tomography/incremental",
  doc: "Filtered back-projection, brought up to date with every projection",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg") } },
  output: ({ projections }, { slices, window, size, axis, kernel }, { projections: metadata }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    if (kernel === "wasm" && !runsWasm()) {
      throw new WiringError(
        "kernel: this JavaScript engine has no WebAssembly SIMD; set kernel: typescript, which is some five times slower",
      );
    }
    if (window !== 180 && window !== 360)
      throw new WiringError(`window is ${window} deg; wanted 180 deg or 360 deg`);
    const named = typeof rows === "number" ? detectorRows(slices, rows) : slices;
    if (typeof cols === "number") axisOf(axis, metadata, cols);
    const side = size || cols!;
    if (kernel === "wasm" && typeof cols === "number") {
      const count = named.length || 1;
      const needed_GiB = wasmMemory_GiB({ slices: count, size: side as number, cols });
      if (needed_GiB > 4) {
        throw new WiringError(
          `slices: ${count} of ${side} × ${side} pixels need ${needed_GiB.toFixed(1)} GiB, more than the 4 GiB ` +
            "that a kernel's memory holds; name fewer slices here and the others in a second node, or set a smaller size",
        );
      }
    }
    return {
      slices: {
        data: image("1/{px}", { shape: [side, side], quantity: "attenuation coefficient" }),
        ...STATE,
      },
    };
  },
  metadata: ({ projections }, { kernel }) => ({ slices: { ...projections!.metadata, kernel } }),
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
    beyond_radius: choice(["incomplete", "missing"], "incomplete", { doc: "pixels that not all views see: as they come out, or NaN" }),
    kernel: choice(["wasm", "typescript"], "wasm", { doc: "WebAssembly SIMD, or plain TypeScript in double precision" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const slices = detectorRows(config.slices, detector);
    const size = config.size || cols;
    const axis = axisOf(config.axis, metadata, cols);
    const radius = Math.min(axis, cols - 1 - axis);
    const whole = config.beyond_radius === "incomplete";
    const kernel = KERNELS[config.kernel]({
      slices: slices.length, size, cols, axis, window: config.filter, padding: config.padding,
      radius: whole ? Infinity : radius,
    }); // prettier-ignore
    const known = isLineIntegral(data);
    const mirrored = Math.abs(2 * axis - (cols - 1)) < 1e-9;

    let state: State = { views: [], count: 0, said: [] };
    const arcsNow = (): Arcs => arcs(state.views.map((v) => v.half_deg), config.max_gap); // prettier-ignore
    const spare: HeldView[] = [];
    /** Line integrals of the views that are read, each view's slices in turn. */
    const p = Array.from({ length: kernel.viewsAtOnce * slices.length }, () => new Float64Array(cols));
    const reading: ReadView[] = [];

    /** Line integrals of all slices and what was filled; or why this view cannot be used. */
    function read(frame: Float32Array, filled: Int32Array): string | undefined {
      for (let s = 0; s < slices.length; s++) {
        const row = p[reading.length * slices.length + s]!;
        const from = slices[s]! * cols;
        if (known)
          for (let i = 0; i < cols; i++) row[i] = Number.isFinite(frame[from + i]) ? frame[from + i]! : NaN;
        filled[s] = known ? fillGaps(row) : lineIntegrals(frame, from, row);
        if (filled[s]! > cols / 2) {
          return (
            `row ${slices[s]} has ${cols - filled[s]!} known samples of ${cols}, the view is left out; ` +
            "look for a closed shutter, an opaque holder or dead rows, or choose other slices"
          );
        }
      }
      return undefined;
    }

    /** First view whose angle is greater. */
    function above(half_deg: number): number {
      let [from, to] = [0, state.views.length];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (state.views[middle]!.half_deg > half_deg) to = middle;
        else from = middle + 1;
      }
      return from;
    }

    /** Views that a new one takes the place of, or makes room for itself from; looks at its neighbours alone. */
    function leavingFor(view: HeldView): HeldView[] {
      const { views, previous_deg } = state;
      const { reach_deg, supersedes } = passage(previous_deg, view.angle_deg, config.window, config.max_gap); // prettier-ignore
      const leaving: HeldView[] = [];
      const start = above(view.half_deg);
      for (const direction of [1, -1]) {
        for (
          let k = direction > 0 ? start : start - 1, seen = 0;
          seen < views.length;
          k += direction, seen++
        ) {
          const old = views[wrap(k, views.length)]!;
          if (Math.abs(wrap(old.half_deg - view.half_deg + 90, 180) - 90) > reach_deg) break;
          if (supersedes(old.angle_deg) && !leaving.includes(old)) leaving.push(old);
        }
      }
      if (leaving.length === 0 && views.length >= config.max_views) {
        leaving.push(views.reduce((least, v) => (v.seconds < least.seconds ? v : least)));
      }
      return leaving;
    }

    /** Puts a view in the place of those it supersedes; returns what changes in the images. */
    function replace(view: HeldView): Change[] {
      const { views } = state;
      const leaving = leavingFor(view);
      const moved = new Set<HeldView>([view]);
      const neighbours = (i: number): void => {
        for (const k of [i - 1, i + 1]) moved.add(views[wrap(k, views.length)]!);
      };
      for (const old of leaving) {
        const i = views.indexOf(old);
        neighbours(i);
        views.splice(i, 1);
      }
      const at = above(view.half_deg);
      views.splice(at, 0, view);
      neighbours(at);

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
      const n = views.length;
      const angle = (i: number): number => views[i]!.half_deg;
      for (const old of leaving) moved.delete(old);
      for (const v of moved) {
        const i = views.indexOf(v);
        const weight_deg = arc(gap(n, angle, (i + n - 1) % n), gap(n, angle, i), config.max_gap);
        change(v, (weight_deg * Math.PI) / 180);
        if (v === view) for (const old of leaving) change(old, 0);
      }
      spare.push(...leaving);
      return changes;
    }

    /** True where rows of both can be added before they are back-projected. */
    function sameLine(a: HeldView, b: HeldView): boolean {
      const apart = wrap(a.angle_deg - b.angle_deg + 90, mirrored ? 180 : 360) - 90;
      return Math.abs(apart) < 1e-9;
    }

    /** Rows along one line, each times the change of its weight, are added before they are back-projected. */
    function lineOf(change: Change): Line {
      const { angle_deg } = change[0]!.view;
      return {
        theta_rad: (angle_deg * Math.PI) / 180,
        row(s, into) {
          into.fill(0);
          for (const { view, change_rad } of change) {
            const from = s * cols;
            const opposite = Math.abs(wrap(view.angle_deg - angle_deg, 360) - 180) < 90;
            if (opposite)
              for (let i = 0; i < cols; i++) into[i]! += change_rad * view.rows[from + cols - 1 - i]!;
            else for (let i = 0; i < cols; i++) into[i]! += change_rad * view.rows[from + i]!;
          }
        },
      };
    }

    function give(into: { add(row: SliceRow): void }): void {
      const { time, seconds } = state.pending!;
      const oldest = state.views.reduce((least, v) => Math.min(least, v.seconds), Infinity);
      const { total_deg, coverage_deg, largestGap_deg } = arcsNow();
      for (let s = 0; s < slices.length; s++) {
        const data = kernel.scaled(s, 180 / total_deg);
        if (!whole) beyond(data, size, radius);
        into.add({
          time, data, slice: slices[s]!,
          views: state.views.length, coverage: coverage_deg, largest_gap: largestGap_deg,
          rotation_angle: state.previous_deg!, oldest_age: seconds - oldest,
          axis, radius,
          filled: state.views.reduce((n, v) => n + v.filled[s]!, 0),
        }); // prettier-ignore
      }
      delete state.pending;
    }

    /** Brings the images up to date with the views that are read, one after another. */
    function takeIn(out: Results): void {
      kernel.filter(p, reading.map(({ view }) => view.rows)); // prettier-ignore
      for (const { time, view } of reading) {
        const filled = view.filled.reduce((most, n) => Math.max(most, n), 0);
        if (filled > 0 && !state.said.includes("filled")) {
          state.said.push("filled");
          out.fault(time, `up to ${filled} of ${cols} samples of a row are dead or opaque (transmission NaN or not above 0); ` +
            "they are interpolated from here on, and counted in the column `filled`"); // prettier-ignore
        }
        const full = state.views.length;
        const changes = replace(view);
        if (full === config.max_views && !state.said.includes("full")) {
          const { largestGap_deg } = arcsNow();
          if (largestGap_deg > config.max_gap) {
            state.said.push("full");
            out.fault(time, `the window is full with max_views = ${full} views before they cover 180 deg (largest gap ` +
              `${largestGap_deg.toFixed(2)} deg); the oldest leave, raise max_views`); // prettier-ignore
          }
        }
        kernel.add(changes.map(lineOf));
        state.count++;
        state.previous_deg = view.angle_deg;
        state.pending = { time, seconds: view.seconds };
        if (state.count === 1 || state.count % config.every === 0) give(out.slices);
      }
      reading.length = 0;
    }

    return {
      step({ projections }, out, upTo) {
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          const view: HeldView = spare.pop() ?? {
            angle_deg: 0, half_deg: 0, seconds: 0, weight_rad: 0,
            rows: new Float32Array(slices.length * cols), filled: new Int32Array(slices.length),
          }; // prettier-ignore
          const refused = Number.isFinite(rotation_angle)
            ? read(frame, view.filled)
            : "projection without a rotation angle, left out; give the source its angles";
          if (refused) {
            takeIn(out); // faults come in the order of their views
            out.fault(time, refused);
            spare.push(view);
            continue;
          }
          const half_deg = wrap(rotation_angle, 180);
          Object.assign(view, { angle_deg: rotation_angle, half_deg, seconds, weight_rad: 0 });
          reading.push({ time, view });
          if (reading.length === kernel.viewsAtOnce) takeIn(out);
        }
        takeIn(out);
        if (upTo === Infinity && state.pending) give(out.slices);
      },
      holds: () => state.pending?.seconds ?? Infinity,
      save: (): Saved => ({
        ...state,
        views: state.views.map((v) => ({ ...v, rows: v.rows.slice(), filled: v.filled.slice() })),
        images: kernel.save(),
        said: [...state.said],
      }),
      load: ({ images, ...saved }: Saved) => {
        state = saved;
        kernel.load(images);
      },
    };
  },
});

/** Marks pixels further than `radius` from the middle as missing. */
function beyond(image: Float32Array, size: number, radius: number): void {
  const middle = (size - 1) / 2;
  for (let r = 0; r < size; r++) {
    const half = Math.sqrt(radius * radius - (middle - r) ** 2); // NaN where the whole line is beyond
    const from = Number.isNaN(half) ? size : Math.max(0, Math.ceil(middle - half));
    const to = Number.isNaN(half) ? size : Math.min(size, Math.floor(middle + half) + 1);
    image.fill(NaN, r * size, r * size + from);
    image.fill(NaN, r * size + to, (r + 1) * size);
  }
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
