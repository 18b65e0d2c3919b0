import {
  choice, code, defineOperator, image, integer, label, list, quantity, scalar, text, WiringError,
} from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { fanWeights } from "./fan.ts";
import { beamOf } from "./geometry.ts";
import { fillGaps, lineIntegralsOf } from "./line-integrals.ts";
import { PER_VIEW, perViewOr } from "./per-view.ts";
import { checkFlux, FLUX, FluxInForce, photonVariance } from "./photon-noise.ts";
import { horizontal, type Plane, type ViewGeometry } from "./planes.ts";
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import { readRegion, RegionMean, type Region } from "./region-mean.ts";
import { rowVariance } from "./row-variance.ts";
import { axisOf, MOST_VIEWS, radiusOf, spanOf, written, windowMistake, checkKernel } from "./slice-setup.ts";
import { KERNELS, type Line } from "./slice-kernel.ts";
import { ViewWindow, type Held } from "./view-window.ts";

const STATE = {
  slice: code({ doc: "row of the detector" }),
  views: scalar("{frame}", { doc: "views in the slice" }),
  window: label({ doc: "how far back views count" }),
  coverage: scalar("deg", { doc: "angle covered, of 180 (of 360 in a fan beam)" }),
  largest_gap: scalar("deg", { doc: "widest angle between neighbouring views" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
  oldest_age: scalar("s", { doc: "time since the oldest view in the slice" }),
  axis: scalar("{px}", { doc: "column that the rotation axis fell on, where the stream does not say it of each view" }),
  filter: code({ codes: Object.fromEntries(RAMP_WINDOWS.entries()), doc: "window of the ramp filter" }),
  left_out: scalar("{frame}", { doc: "views that could not be used, since the start" }),
}; // prettier-ignore

const MEAN = {
  region: label({ doc: "x,y,r or x0,y0,x1,y1 in pixels from the axis" }),
  mean: scalar("1/{px}", { quantity: "attenuation coefficient", uncertainty: "mean_se" }),
  mean_se: scalar("1/{px}", { doc: "from the photons counted" }),
  pixels: scalar("{px}", { doc: "of the slice, in the region" }),
};

/** A view of the window, with what came of it. */
interface NoisyView extends Held {
  readonly axis: number;
  readonly scale: number;
  readonly slot: number;
  /** (slice, col) */
  readonly p: Float32Array;
  readonly v: Float32Array;
  /** So much of its variance stands in the images [rad²]. */
  applied_rad2: number;
  /** By slice, then region: what it adds to the mean at weight 1, and to its variance. */
  means: { mean: number; variance: number }[];
}

interface Rest {
  count: number;
  leftOut: number;
  newest_deg: number;
  pending: { time: bigint; seconds: number } | undefined;
  since: number;
}

/** The images are made afresh when each place in the window was taken so often: roundings add up. */
const FRESH_AFTER = 64;

/**
 * How sure a slice is: the standard error of its pixels, and of the mean over any region, from the photons counted.
 *
 *     f(x, y) = Σ w_k q_k(t),  q = h * p         var f(x, y) = Σ w_k² var q_k(t)         row-variance.ts
 *     mean over a region                         region-mean.ts
 *
 *     p  line integral               [1]      var p = 1 / (photons in the pixel) + reading noise   photon-noise.ts
 *     w  weight of a view            [rad]    h  ramp filter   [1/px]
 *
 * Of the slice that tomography/incremental makes of the same stream with the same `window`, `taper`, `axis`, `filter`,
 * `padding`, `max_gap` and `max_views`, one pixel a detector pixel: give both the same. As there, while angles are
 * missing the sum is scaled as if those present stood for all, and a view counts until others take its place.
 *
 * `error` has a pixel every `pitch`: the variance changes slowly. Filtered samples are correlated, and pixels lie
 * between them; both are in it, the latter as it is on average over many views. It is good to a few per cent where
 * some ten photons come through; noise that is not the photons' (rings, motion, scatter) is not in it. In a fan beam
 * `error` takes 1 / u² for 1 / u⁴: within 5 % of the scatter up to 0.09 D from the axis; regions are exact there too.
 *
 * `regions` has a row a region: the mean that the slice's pixels have, with its standard error, in which it is counted
 * that neighbours are correlated: the error of a mean falls faster than with the root of the number of pixels.
 * They may be changed while it runs; the new means are of all views that are kept.
 *
 * Holds 8 bytes × columns × slices a view of the window, and 4 a filtered row.
 */
export const variance = defineOperator({
  name: "tomography/variance",
  doc: "Standard error of every pixel of a slice, and means of regions with theirs",
  input: {
    projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW },
    flux: { data: FLUX },
  },
  output: (inputs, config, { projections: metadata = {} }) => {
    checkFlux(inputs, true);
    checkKernel(config.kernel);const [rows, cols] = inputs.projections.data.shape as (number | string)[];
    let shape: (number | string)[] = ["row", "col"];
    if (typeof rows === "number" && typeof cols === "number") {
      const { plane } = setup(config, metadata, rows, cols);
      shape = [plane.rows, plane.cols];
    }
    return {
      error: { data: image("1/{px}", { shape, quantity: "standard error of the attenuation coefficient" }), ...STATE },
      regions: { ...MEAN, ...STATE },
    };
  },
  metadata: ({ projections }, { pitch, kernel }) => {
    const common = { ...projections!.metadata };
    const of = (name: string): Record<string, string> =>
      common[name] === undefined ? {} : { [name]: String(Number(common[name]) * pitch) };
    return {
      error: { ...common, kernel, pitch: String(pitch), ...of("sample_pixel_size_x"), ...of("sample_pixel_size_y") },
      regions: common,
    };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one" }),
    regions: list<string>([], { doc: "circles x,y,r and rectangles x0,y0,x1,y1 in pixels from the axis, y upwards" }),
    window: text("180 deg", { check: windowMistake, doc: "180 deg, 360 deg, so many views (300 views) or a time (90 s): how far back a view counts" }),
    taper: quantity("deg", 0, { min: 0, max: 180, doc: "of a window of 180 deg: views come in and leave by and by over this angle" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    filter: choice(RAMP_WINDOWS, "shepp-logan", { doc: "window of the ramp filter" }),
    padding: choice(["zero", "edge"], "zero", { doc: "edge, where the sample is wider than the detector" }),
    max_gap: quantity("deg", 10, { min: 0.001, max: 90, doc: "a wider gap between angles counts as not measured, a longer step as a jump" }),
    max_views: integer(MOST_VIEWS, { min: 2, doc: "views that the window holds; one more, and the oldest leaves" }),
    photons_per_count: quantity("1", 1, { min: Number.MIN_VALUE, doc: "photons that make one count" }),
    read_noise: quantity("{count}", 0, { min: 0, doc: "noise of reading a pixel" }),
    every: integer(10, { min: 1, doc: "gives out results after so many views" }),
    pitch: quantity("{px}", 4, { min: 1, max: 64, doc: "distance of the error's pixels" }),
    size: integer(0, { min: 0, doc: "rows and columns of the error; default as far as the detector" }),
    kernel: choice(["wasm", "typescript"], "wasm", { doc: "WebAssembly SIMD, or plain TypeScript in double precision" }),
  },
  key: { list: "slices" },
  live: ["regions"],
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const [detector, cols] = fields["data"]!.shape as [number, number];
    const { beam, slices, rows, axis, span, plane, whole, radius } = setup(config, metadata, detector, cols);
    const { filter, padding, max_gap, max_views } = config;
    const kernel = KERNELS[config.kernel]({
      planes: slices.map((row) => ({ ...plane, z: row })), detectorRows: rows, cols, images: 1, window: filter, padding,
      middleRow: (detector - 1) / 2, fan: beam.fan,
    }); // prettier-ignore
    const read = lineIntegralsOf(fields["data"]!, kernel.minusLog);
    const atMiddle = beam.fan && fanWeights(cols, axis, beam.fan);
    const filtered = rowVariance(cols, filter, 1);
    const meanOf = new RegionMean({ plane: whole, cols, filter, padding, fan: beam.fan, fanWeights: atMiddle });
    const flux = new FluxInForce(rows, cols);
    const windowOf = (): ViewWindow<NoisyView> =>
      new ViewWindow({ span, circle_deg: beam.circle_deg, maxGap_deg: max_gap, maxViews: max_views });

    let window = windowOf();
    let regions = readRegions(config.regions, whole, radius);
    let rest: Rest = { count: 0, leftOut: 0, newest_deg: NaN, pending: undefined, since: 0 };
    const free: Pick<NoisyView, "p" | "v" | "slot">[] = [];
    let slots = 0;
    const p = new Float32Array(rows.length * cols);
    const v = new Float32Array(rows.length * cols);
    const shown = new Float32Array(plane.rows * plane.cols);
    const put = new Float32Array(rows.length * cols);
    const weighed = new Float64Array(cols);

    /** Line integrals of all rows and their variance; false where the view cannot be used. */
    function lineIntegrals(frame: Float32Array): boolean {
      let good = 0;
      rows.forEach((row, i) => {
        const [from, to] = [i * cols, (i + 1) * cols];
        let known = 0;
        for (let c = 0; c < cols; c++) if (read.known(frame[row * cols + c]!)) known++;
        // A row that is not known is taken from the view before, as in tomography/incremental.
        if (2 * known < cols) return;
        const line = p.subarray(from, to);
        read.row(frame, row * cols, line);
        const noise = v.subarray(from, to);
        photonVariance(line, flux.current!.subarray(from, to), config, noise);
        for (let c = 0; c < cols; c++) if (!read.known(frame[row * cols + c]!)) noise[c] = NaN;
        if (fillGaps(noise) < cols) good++;
      });
      return good > 0;
    }

    const lineOf = ({ angle_deg, axis, scale }: NoisyView): ViewGeometry => ({
      theta_rad: (angle_deg * Math.PI) / 180, axis, shift_y: 0, scale,
    });

    /** Variance of a view's filtered rows, into its slot. */
    function putVariance({ v, slot }: NoisyView): void {
      for (let i = 0; i < rows.length; i++) {
        for (let c = 0; c < cols; c++) weighed[c] = v[i * cols + c]! * (atMiddle ? atMiddle[c]! ** 2 : 1);
        const filteredRow = filtered(weighed);
        for (let c = 0; c < cols; c++) put[i * cols + c] = Math.max(0, filteredRow[c]!);
      }
      kernel.put(slot, put);
    }

    /** What a view adds to the regions' means, slice after slice. */
    const measure = (view: NoisyView): NoisyView["means"] =>
      slices.flatMap((slice) => {
        const from = rows.indexOf(slice) * cols;
        const [p, v] = [view.p.subarray(from, from + cols), view.v.subarray(from, from + cols)];
        return regions.map((region) => meanOf.of(region, p, v, lineOf(view)));
      });

    /** Takes in a view that is read. */
    function take(angle_deg: number, seconds: number, axis: number, scale: number): void {
      const { p: ownP, v: ownV, slot } = free.pop() ??
        { p: new Float32Array(p.length), v: new Float32Array(v.length), slot: slots++ };
      ownP.set(p);
      ownV.set(v);
      const view: NoisyView = {
        angle_deg, seconds, axis, scale, slot, p: ownP, v: ownV,
        circle_deg: 0, turned_deg: 0, weight_rad: 0, applied_rad2: 0, means: [],
      };
      putVariance(view);
      view.means = measure(view);
      const { leaving, changed } = window.take(view);
      if (++rest.since > FRESH_AFTER * Math.max(window.views.length, 64)) {
        rest.since = 0;
        kernel.clear(0);
        for (const old of window.views) old.applied_rad2 = 0;
        apply(window.views);
      } else apply([...changed, ...leaving]);
      free.push(...leaving);
    }

    function apply(views: readonly NoisyView[]): void {
      const lines: Line[] = [];
      for (const view of views) {
        const weight = view.weight_rad ** 2 - view.applied_rad2;
        // Neighbours' arcs come out the same to rounding; what is skipped is not lost, it is compared again.
        if (Math.abs(weight) <= 1e-9 * Math.max(view.weight_rad ** 2, view.applied_rad2)) continue;
        view.applied_rad2 = view.weight_rad ** 2;
        lines.push({ ...lineOf(view), terms: [{ slot: view.slot, weight, mirrored: false }] });
      }
      kernel.add(0, lines);
    }

    function give(out: Results): void {
      const { time, seconds } = rest.pending!;
      const { views } = window;
      const { total_deg, coverage_deg, largestGap_deg } = window.coverage();
      // As if the views present stood for the whole circle.
      const factor = beam.circle_deg / total_deg;
      const state = {
        time, views: views.length, window: written(span), coverage: coverage_deg, largest_gap: largestGap_deg,
        rotation_angle: rest.newest_deg, oldest_age: seconds - views.reduce((least, { seconds }) => Math.min(least, seconds), Infinity),
        axis, filter: RAMP_WINDOWS.indexOf(filter), left_out: rest.leftOut,
      };
      slices.forEach((slice, k) => {
        const variances = kernel.scaled(0, k, factor * factor);
        for (let i = 0; i < shown.length; i++) shown[i] = variances[i]! > 0 ? Math.sqrt(variances[i]!) : NaN;
        out.error.add({ ...state, slice, data: shown });
        regions.forEach(({ name, pixels }, r) => {
          let [mean, variance] = [0, 0];
          for (const { weight_rad, means } of views) {
            const one = means[k * regions.length + r]!;
            mean += weight_rad * one.mean;
            variance += weight_rad ** 2 * one.variance;
          }
          out.regions.add({ ...state, slice, region: name, mean: factor * mean, mean_se: factor * Math.sqrt(variance), pixels });
        });
      });
      rest.pending = undefined;
    }

    return {
      step(given, out, upTo) {
        const { projections, flux: fluxRows } = given;
        const { columns } = projections;
        flux.begin();
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data, rotation_angle } = projections.at(i);
          flux.upTo(time, fluxRows.columns);
          const wrong = !Number.isFinite(rotation_angle) ? SAYS.angle
            : !flux.current ? SAYS.flux
            : !lineIntegrals(data) ? SAYS.unknown : undefined;
          if (wrong) {
            rest.leftOut++;
            out.fault(time, wrong);
            continue;
          }
          const own = perViewOr(columns, "axis", i, axis) + perViewOr(columns, "shift_x", i, 0);
          take(rotation_angle, seconds, own, perViewOr(columns, "scale", i, 1));
          rest.count++;
          rest.newest_deg = rotation_angle;
          rest.pending = { time, seconds };
          if (rest.count === 1 || rest.count % config.every === 0) give(out);
        }
        flux.end(fluxRows.columns);
        if (upTo === Infinity) {
          if (rest.pending) give(out);
          kernel.close();
        }
      },
      holds: () => rest.pending?.seconds ?? Infinity,
      act({ changes }) {
        if (!changes.regions) return;
        regions = readRegions(changes.regions, whole, radius);
        for (const view of window.views) view.means = measure(view);
      },
      save: () => ({
        rest: { ...rest }, p: p.slice(), v: v.slice(), flux: flux.current?.slice(), window: window.save(), images: kernel.save(0),
        views: window.views.map((view) => ({ ...view, p: view.p.slice(), v: view.v.slice(), means: [] })),
      }),
      load: (saved: Saved) => {
        rest = saved.rest;
        p.set(saved.p);
        v.set(saved.v);
        flux.current = saved.flux;
        const views = saved.views.map((view, slot): NoisyView => ({ ...view, slot }));
        slots = views.length;
        for (const view of views) {
          putVariance(view);
          view.means = measure(view);
        }
        window.load(views, saved.window);
        kernel.load(0, saved.images);
      },
    };
  },
}); // prettier-ignore

const SAYS = {
  angle: "projection without a rotation angle, left out; give the source its angles",
  flux: "projection came before its flux, left out; wire flux to the flat-field that the projections come from",
  unknown:
    "less than half of each detector row is known, the view is left out; look for a closed shutter, an opaque holder or a dead detector",
};

interface Results {
  readonly error: { add(row: Record<string, unknown> & { time: bigint }): void };
  readonly regions: { add(row: Record<string, unknown> & { time: bigint }): void };
}

interface Saved {
  readonly rest: Rest;
  readonly p: Float32Array;
  readonly v: Float32Array;
  readonly flux: Float32Array | undefined;
  readonly window: ReturnType<ViewWindow<NoisyView>["save"]>;
  readonly images: Float32Array[];
  readonly views: NoisyView[];
}

interface Config {
  readonly slices: readonly (string | number)[];
  readonly regions: readonly string[];
  readonly window: string;
  readonly taper: number;
  readonly axis: number;
  readonly pitch: number;
  readonly size: number;
}

/** Everything that config and stream determine; throws WiringError where they cannot be right. */
function setup(config: Config, metadata: Readonly<Record<string, string>>, detector: number, cols: number) {
  const beam = beamOf(metadata);
  const span = spanOf(config, beam);
  const axis = axisOf(config.axis, metadata, cols);
  const radius = radiusOf(axis, cols, beam);
  const slices = detectorRows(config.slices, detector);
  const plane = horizontal(0, config.size || Math.ceil(cols / config.pitch), { pitch: config.pitch });
  /** The slice whose pixels the regions are made of. */
  const whole = horizontal(0, cols);
  beam.refuse(slices.map((row) => ({ ...whole, z: row })), detector, cols);
  readRegions(config.regions, whole, radius);
  return { beam, span, axis, radius, slices, rows: [...new Set(slices)].toSorted((a, b) => a - b), plane, whole };
} // prettier-ignore

function readRegions(regions: readonly string[], whole: Plane, radius: number): Region[] {
  if (regions.length > MOST_REGIONS)
    throw new WiringError(`regions: ${regions.length} of them; wanted at most ${MOST_REGIONS} in one node`);
  return regions.map((region) => readRegion(String(region), whole, radius));
} // prettier-ignore

const MOST_REGIONS = 64;
