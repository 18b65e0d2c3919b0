import {
  choice, code, defineOperator, image, integer, list, quantity, scalar, WiringError,
  type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { ChangeMap } from "./change-map.ts";
import { ChangeSearch, type Suspicion } from "./change-search.ts";
import { detectorRows } from "./detector-rows.ts";
import { EarlierViews } from "./earlier-views.ts";
import { fanWeights } from "./fan.ts";
import { beamOf } from "./geometry.ts";
import { lineIntegralsOf } from "./line-integrals.ts";
import { PER_VIEW, perViewOr } from "./per-view.ts";
import { checkFlux, FLUX, FluxInForce, photonVariance, roughVariance } from "./photon-noise.ts";
import { horizontal, type ViewGeometry } from "./planes.ts";
import { axisOf, radiusOf, checkKernel } from "./slice-setup.ts";
import { Scatter, ViewDifference } from "./view-difference.ts";

const CLEAR = 0, WATCH = 1, ALARM = 2; // prettier-ignore
const SEEN = 0, NO_ANGLE = 1, UNKNOWN = 2, NEW = 3, DISTURBED = 4; // prettier-ignore
/** A view whose differences scatter so many times as widely as usual is disturbed all over. */
const ALL_OVER = 2;
/** Views that the usual scatter is learnt from at least: of all columns, and, without a flux, of each. */
const FEWEST = 8, FEWEST_BY_COLUMN = 90; // prettier-ignore
/** A shift is significant above so many standard errors. */
const MOVED_σ = 5;

const ONSET = {
  slice: code({ doc: "row of the detector" }),
  level: code({ codes: { [CLEAR]: "clear", [WATCH]: "watch", [ALARM]: "alarm" } }),
  value: scalar("1", { long_name: "evidence of a change", doc: "the largest of all places" }),
  limit: scalar("1", { doc: "alarm above it" }),
  x: scalar("{px}", { doc: "of that place, to the right of the axis; NaN where nothing speaks for a change" }),
  y: scalar("{px}", { doc: "upwards of the axis" }),
  size: scalar("{px}", { doc: "which of `sizes` sees it best" }),
  sign: code({ codes: { "-1": "less attenuation", 0: "none", 1: "more attenuation" } }),
  onset_seconds: scalar("s", { doc: "estimated onset, since the run's origin: when nothing spoke for it last" }),
  view: code({
    codes: {
      [SEEN]: "compared", [NO_ANGLE]: "no rotation angle", [UNKNOWN]: "not known", [NEW]: "nothing to compare with",
      [DISTURBED]: "disturbed all over",
    },
    doc: "what became of the view; only those compared are evidence",
  }),
  visits: scalar("{frame}", { doc: "earlier visits of this angle that it was compared with" }),
  noise: scalar("1", { doc: "how differences scatter, against what is expected of them" }),
  shift: scalar("{px}", { doc: "the view stands so much further to the right than the earlier ones" }),
  shift_se: scalar("{px}"),
  motion: code({ codes: { 0: "none", 1: "moved" }, doc: "moved: shift is significant, and above `moved`" }),
  left_out: scalar("{frame}", { doc: "views that were no evidence, so far" }),
}; // prettier-ignore

const MAP = {
  slice: code({ doc: "row of the detector" }),
  views: scalar("{frame}", { doc: "views whose differences are in the map" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
};

/** Of one slice. */
interface Watched {
  readonly slice: number;
  readonly place: number;
  /** Its place among the rows that are read. */
  readonly row: number;
  readonly earlier: EarlierViews;
  readonly difference: ViewDifference;
  readonly scatter: Scatter;
  readonly search: ChangeSearch;
  readonly map: ChangeMap;
  suspicion: Suspicion;
  leftOut: number;
}

/**
 * Sees that the sample has changed before any slice shows it: every view against what earlier views of the same angle
 * say that it should look like.
 *
 *     d(t) = p(t) - r(t) - beam - shift        p = -ln T, r the mean of earlier visits        earlier-views.ts
 *     S(x, y) = max(0, S ± z(t) - k)           t = axis + x cos θ + y sin θ                   change-search.ts
 *
 *     p  line integral                            [1]   (col)
 *     z  d over the columns of a blob, by its noise  [σ]
 *     S  evidence of a change at a place             [σ]
 *
 * `onset` has a row a view: `level` is alarm where S exceeds its threshold anywhere, with the place, the sign (less
 * attenuation: gas; more: something has grown in), and when it began. `run_length` is how many views pass between false
 * alarms, on average at least, where noise is as modelled; that is what sets the threshold. (`value` ends at four
 * limits, so the alarm ends when a changed sample has become what earlier views show.)
 *
 * `map`, every `every` views: change in standard deviations, positive where attenuation has grown (change-map.ts).
 * `first_change` with it: when a pixel's change exceeded `z` for the first time, `hold` maps on end.
 * Both are `size` × `size` pixels `pitch` apart about the axis, x to the right, y upwards.
 *
 * Earlier views are those within `reference` of turning: in a parallel beam the mirrored ones too, so that the first
 * comparison comes after a half-turn; in a fan beam after a turn. An angle that was left out is interpolated between
 * neighbours no further apart than `max_gap`; where there are none the view is no evidence, and counted.
 *
 * Noise comes from the photons counted where the input `flux` is wired (flat-field's second output), and is widened by
 * how differences really scatter (`noise`); without it, from how neighbouring columns differ, taken to go with 1 / T, and
 * from that scatter of each column, which takes 90 views more to learn.
 *
 * Not a change: what stays in its column for hundreds of views (the flats' own noise); a beam that is brighter or weaker, or tilted over the columns, and, with `remove: trend+shift`, a sample
 * that moved sideways as a whole: `shift` says by how much, `motion` that it did. A view that differs all over (twice
 * the usual scatter: shutter, large movement) is no evidence either. One view alone never raises the alarm.
 *
 * Holds 8 bytes × columns a view of `reference`, and some 30 bytes × (columns / least size)² a slice.
 */
export const change = defineOperator({
  name: "tomography/change",
  doc: "Alarm where a view differs from earlier ones of its angle, with the place; map of what has changed, and when",
  input: {
    projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW },
    "*": { data: FLUX },
  },
  output: (inputs, config, { projections: metadata = {} }) => {
    checkFlux(inputs, false);
    checkKernel(config.kernel);const [rows, cols] = inputs.projections.data.shape as (number | string)[];
    let size: number | string = config.size || "row";
    if (typeof rows === "number" && typeof cols === "number") size = setup(config, metadata, rows, cols).size;
    const shape = [size, size === "row" ? "col" : size];
    return {
      onset: ONSET,
      map: { data: image("1", { shape, quantity: "change in standard deviations" }), ...MAP },
      first_change: { data: image("s", { shape, quantity: "time of first change" }), ...MAP },
    };
  },
  metadata: ({ projections }, { pitch, kernel }) => {
    const common = { ...projections!.metadata };
    const of = (name: string): Record<string, string> =>
      common[name] === undefined ? {} : { [name]: String(Number(common[name]) * pitch) };
    const map = { ...common, kernel, pitch: String(pitch), ...of("sample_pixel_size_x"), ...of("sample_pixel_size_y") };
    return { onset: common, map, first_change: map };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    reference: quantity("deg", 720, { min: 180, doc: "views within so much of turning are what a new one is compared with" }),
    max_gap: quantity("deg", 2, { min: 0.001, max: 30, doc: "angles further apart are not interpolated between; a longer step is a jump" }),
    max_views: integer(4096, { min: 2, doc: "earlier views that are kept at most" }),
    photons_per_count: quantity("1", 1, { min: Number.MIN_VALUE, doc: "with flux: photons that make one count" }),
    read_noise: quantity("{count}", 0, { min: 0, doc: "with flux: noise of reading a pixel" }),
    remove: choice(["trend", "trend+shift"], "trend+shift", { doc: "what is no change: a beam that varies; and a sample that moves as a whole" }),
    moved: quantity("{px}", 0.1, { min: 0, doc: "a smaller shift is no motion" }),
    sizes: list<number>([4, 9, 18], { doc: "widths in pixels of what is looked for" }),
    k: quantity("1", 1, { min: 0.1, max: 3, doc: "half of what one view is to see of it, in σ; less finds slower changes, later" }),
    run_length: integer(100_000, { min: 100, doc: "views between false alarms, on average" }),
    watch: quantity("1", 1, { min: 0, max: 1, doc: "share of the limit above which the level is watch; 1: no watch, alarms alone" }),
    views: integer(30, { min: 1, max: 1024, doc: "views whose differences are in the map" }),
    every: integer(10, { min: 1, doc: "gives out the map after so many views" }),
    pitch: quantity("{px}", 4, { min: 1, max: 64, doc: "distance of the map's pixels" }),
    size: integer(0, { min: 0, doc: "rows and columns of the map; default as far as the detector sees" }),
    z: quantity("1", 5, { min: 1, doc: "of the map: a change is significant from here on" }),
    hold: integer(2, { min: 1, max: 200, doc: "maps on end that a first change has to last" }),
    kernel: choice(["wasm", "typescript"], "wasm", { doc: "WebAssembly SIMD, or plain TypeScript in double precision" }),
  },
  key: { list: "slices" },
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const [detector, cols] = fields["data"]!.shape as [number, number];
    const { beam, axis, slices, radius, size } = setup(config, metadata, detector, cols);
    const hasFlux = "flux" in inputs;
    const { z, hold, kernel, pitch, views, k } = config;
    const fan = beam.fan;
    const rows = [...new Set(slices)];
    const read = lineIntegralsOf(fields["data"]!);
    const flux = new FluxInForce(rows, cols);
    const middle = fan && fanWeights(cols, axis, fan);
    // A stream that finds its axis by and by says nothing of it at first: then neither do we.
    const axisToCome = "axis" in fields && Number.isNaN(config.axis) && metadata["rotation_axis"] === undefined;
    const watched = slices.map((slice, place): Watched => ({
      slice, place, row: rows.indexOf(slice),
      earlier: new EarlierViews({
        cols, period_deg: beam.circle_deg, reach_deg: config.reference, maxGap_deg: config.max_gap, maxViews: config.max_views,
      }),
      difference: new ViewDifference(cols),
      scatter: new Scatter(cols),
      search: new ChangeSearch({ cols, radius, sizes: config.sizes, k, runLength: config.run_length, fan }),
      map: new ChangeMap({ cols, views, size, pitch, z, hold, kernel, fan }),
      suspicion: { statistic: NaN, x: NaN, y: NaN, size: NaN, sign: 0, since: NaN },
      leftOut: 0,
    })); // prettier-ignore
    let count = 0;
    let said: Uint8Array = new Uint8Array(DISTURBED + 1);
    const p = new Float32Array(cols);
    const v = new Float32Array(cols);
    const known = new Uint8Array(cols);
    const expected = new Float64Array(cols);
    const variance = new Float64Array(cols);
    const weighed = new Float64Array(cols);

    /** Line integrals of a row; false where most are not known. */
    function readRow(frame: Float32Array, { slice }: Watched): boolean {
      const filled = read.row(frame, slice * cols, p);
      if (filled > cols / 2 || (hasFlux && !flux.current)) return false;
      for (let i = 0; i < cols; i++) known[i] = read.known(frame[slice * cols + i]!) ? 1 : 0;
      return true;
    }

    /**
     * Variance of the line integrals, Infinity where these are not known: that of the counts to be expected. Those
     * counted will not do: fewer would have more variance, so weigh less, and gas would seem to grow out of nothing.
     */
    function noiseOf({ row, earlier }: Watched, visits: number): void {
      for (let i = 0; i < cols; i++) {
        expected[i] = visits > 0 && earlier.variance[i]! < Infinity ? earlier.mean[i]! : around(p, i);
      }
      if (flux.current) photonVariance(expected, flux.current.subarray(row * cols, (row + 1) * cols), config, v);
      else roughVariance(p, expected, v);
      for (let i = 0; i < cols; i++) if (!(v[i]! > 0) || known[i] === 0) v[i] = Infinity;
    }

    /** What one view says of one slice. */
    function compare(of: Watched, { angle_deg, axis, scale, seconds }: View): Compared {
      const { earlier, difference, scatter } = of;
      const placed = !Number.isNaN(axis);
      const visits = earlier.turnTo(angle_deg, placed ? axis : 0);
      noiseOf(of, placed ? visits : 0);
      let compared: Compared = { ...NOTHING, view: NEW, noise: scatter.rows };
      if (visits > 0 && placed) {
        for (let i = 0; i < cols; i++) variance[i] = v[i]! + earlier.variance[i]!;
        difference.take(p, earlier.mean, variance, config.remove);
        const line = { theta_rad: (angle_deg * Math.PI) / 180, axis, shift_y: 0, scale };
        compared = { ...compared, visits, view: weigh(of, line, seconds) };
        const { shift, shift_se } = difference;
        const se = shift_se * usual(scatter);
        const moved = Math.abs(shift) > Math.max(config.moved, MOVED_σ * se);
        compared = { ...compared, noise: scatter.rows, shift, shift_se: se, motion: moved ? 1 : 0 };
      }
      earlier.keep(axis, p, v);
      return compared;
    }

    /** Scatter that differences have, in units of what their variance says. */
    const usual = ({ rows, views }: Scatter): number => (views < FEWEST ? 1 : Math.max(1, rows));

    /** Adds a difference to the evidence, unless something is wrong with all of it. */
    function weigh({ difference, scatter, search, map, ...of }: Watched, line: ViewGeometry, seconds: number): number {
      const { d } = difference;
      const now = scatter.of(d, variance);
      const learnt = hasFlux || scatter.views >= FEWEST_BY_COLUMN;
      if (Number.isNaN(now)) return NEW;
      if (learnt && now > ALL_OVER * usual(scatter)) return DISTURBED;
      if (learnt) {
        const square = usual(scatter) ** 2;
        for (let i = 0; i < cols; i++) weighed[i] = variance[i]! * square * Math.max(1, scatter.columns[i]!);
        watched[of.place]!.suspicion = search.take(d, weighed, line, seconds);
      }
      scatter.take(now, d, variance);
      of.earlier.learn(d, variance);
      if (!learnt) return NEW;
      if (middle) {
        for (let i = 0; i < cols; i++) {
          d[i]! *= middle[i]!;
          weighed[i]! *= middle[i]! ** 2;
        }
      }
      map.take(d, weighed, line);
      return SEEN;
    }

    function give(of: Watched, compared: Compared, time: bigint, out: Results): void {
      const { statistic, x, y, size, sign, since } = of.suspicion;
      const { threshold } = of.search;
      const level = statistic > threshold ? ALARM : statistic > config.watch * threshold ? WATCH : CLEAR;
      if (compared.view !== SEEN) of.leftOut++;
      out.onset.add({
        time, slice: of.slice, level, value: statistic, limit: threshold, x, y, size, sign,
        onset_seconds: level === CLEAR ? NaN : since, ...compared, left_out: of.leftOut,
      });
    }

    return {
      step(given, out, upTo) {
        const { projections } = given;
        const fluxRows = (given as unknown as { flux?: Rows<Fields> }).flux?.columns;
        flux.begin();
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data, rotation_angle } = projections.at(i);
          flux.upTo(time, fluxRows);
          count++;
          const view = {
            angle_deg: rotation_angle, seconds, scale: perViewOr(projections.columns, "scale", i, 1),
            axis: perViewOr(projections.columns, "axis", i, axisToCome ? NaN : axis) + perViewOr(projections.columns, "shift_x", i, 0),
          };
          const angled = Number.isFinite(rotation_angle);
          if (count === NONE_COMPARED && said[SEEN] === 0 && said[NEW] === 0) {
            said[NEW] = 1;
            out.fault(time, `none of ${count} views has an earlier one to be compared with, so no change can be seen: angles come round further than ` +
              `max_gap = ${config.max_gap} deg apart within reference = ${config.reference} deg; raise both (golden angle: many turns, and their spacing)`);
          }
          for (const of of watched) {
            let compared: Compared = { ...NOTHING, noise: of.scatter.rows, view: angled ? UNKNOWN : NO_ANGLE };
            if (angled && readRow(data, of)) compared = compare(of, view);
            if (compared.view === SEEN) said[SEEN] = 1;
            give(of, compared, time, out);
            for (const kind of [NO_ANGLE, UNKNOWN] as const) {
              if (compared.view !== kind || said[kind]) continue;
              said[kind] = 1;
              out.fault(time, SAYS[kind]);
            }
          }
          if (count % config.every !== 0) continue;
          for (const { slice, map } of watched) {
            const state = { time, slice, views: map.views, rotation_angle };
            out.map.add({ ...state, data: map.picture(seconds) });
            out.first_change.add({ ...state, data: map.first });
          }
        }
        flux.end(fluxRows);
        if (upTo === Infinity) for (const { map } of watched) map.close();
      },
      save: () => ({
        count, said: said.slice(), flux: flux.current?.slice(),
        slices: watched.map(({ earlier, scatter, search, map, suspicion, leftOut }) => ({
          earlier: earlier.save(), scatter: scatter.save(), search: search.save(), map: map.save(), suspicion: { ...suspicion }, leftOut,
        })),
      }),
      load: (saved: Saved) => {
        ({ count, said } = saved);
        flux.current = saved.flux;
        saved.slices.forEach(({ earlier, scatter, search, map, suspicion, leftOut }, k) => {
          const of = watched[k]!;
          of.earlier.load(earlier);
          of.scatter.load(scatter);
          of.search.load(search);
          of.map.load(map);
          of.suspicion = suspicion;
          of.leftOut = leftOut;
        });
      },
    };
  },
}); // prettier-ignore

interface View {
  readonly angle_deg: number;
  readonly axis: number;
  readonly scale: number;
  readonly seconds: number;
}

/** Mean of the samples about a column: two on either side. */
function around(p: Float32Array, i: number): number {
  let sum = 0;
  let count = 0;
  for (let k = Math.max(0, i - 2); k <= Math.min(p.length - 1, i + 2); k++, count++) sum += p[k]!;
  return sum / count;
}

/** What became of a view. */
interface Compared {
  readonly view: number;
  readonly visits: number;
  readonly noise: number;
  readonly shift: number;
  readonly shift_se: number;
  readonly motion: 0 | 1;
}
const NOTHING: Compared = { view: NEW, visits: 0, noise: NaN, shift: NaN, shift_se: NaN, motion: 0 };

/** So many views without one that was compared are no scan that has just begun. */
const NONE_COMPARED = 2000;

const SAYS = {
  [NO_ANGLE]: "projection without a rotation angle, no evidence; give the source its angles",
  [UNKNOWN]:
    "less than half of a detector row is known, or its flux is not: no evidence; look for a closed shutter, an opaque holder or a dead detector",
};

type Results = { readonly onset: { add(row: Record<string, unknown> & { time: bigint }): void } };

interface Saved {
  readonly count: number;
  readonly said: Uint8Array;
  readonly flux: Float32Array | undefined;
  readonly slices: {
    readonly earlier: ReturnType<EarlierViews["save"]>;
    readonly scatter: ReturnType<Scatter["save"]>;
    readonly search: ReturnType<ChangeSearch["save"]>;
    readonly map: ReturnType<ChangeMap["save"]>;
    readonly suspicion: Suspicion;
    readonly leftOut: number;
  }[];
}

interface Config {
  readonly slices: readonly (string | number)[];
  readonly axis: number;
  readonly pitch: number;
  readonly size: number;
  readonly sizes: readonly number[];
}

/** Everything that config and stream determine; throws WiringError where they cannot be right. */
function setup(config: Config, metadata: Readonly<Record<string, string>>, detector: number, cols: number) {
  const beam = beamOf(metadata);
  const slices = detectorRows(config.slices, detector);
  beam.refuse(slices.map((row) => horizontal(row, 1)), detector, cols);
  const axis = axisOf(config.axis, metadata, cols);
  const radius = radiusOf(axis, cols, beam);
  for (const size of config.sizes) {
    if (!(Number.isInteger(size) && size >= 1 && size <= cols / 2))
      throw new WiringError(`sizes: ${size} is no width of a change; wanted whole pixels, 1 to ${Math.floor(cols / 2)}`);
  }
  if (config.sizes.length === 0) throw new WiringError("sizes: none are given; wanted widths in pixels, such as 4, 9, 18");
  return { beam, slices, axis, radius, size: config.size || 2 * Math.ceil(radius / config.pitch) + 1 };
} // prettier-ignore
