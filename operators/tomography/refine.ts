import {
  choice, code, defineOperator, flag, image, integer, list, quantity, scalar, text, WiringError,
} from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { beamOf } from "./geometry.ts";
import { lineIntegralsOf } from "./line-integrals.ts";
import { PER_VIEW, perViewOr } from "./per-view.ts";
import { horizontal } from "./planes.ts";
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import { SliceEngine } from "./slice-engine.ts";
import { KERNELS } from "./slice-kernel.ts";
import { regionOf, SliceRefinement, type MeasuredView } from "./slice-refinement.ts";
import { axisOf, spanOf, windowMistake, checkKernel } from "./slice-setup.ts";

const STATE = {
  slice: code({ doc: "row of the detector" }),
  version: scalar("{frame}", { doc: "number of the newest view that it has seen, from 1 on" }),
  views: scalar("{frame}", { doc: "views that it is made from" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
  iterations: scalar("1", { doc: "passes over all views, since the first picture" }),
  residual_before: scalar("1", { doc: "root mean square of measured less projected line integrals, before these passes" }),
  residual: scalar("1", { doc: "and after them" }),
  coverage: scalar("deg", { doc: "angle covered, of 180" }),
  axis: scalar("{px}", { doc: "column that the rotation axis fell on" }),
  method: code({ codes: { 0: "sirt", 1: "tv" } }),
  left_out: scalar("{frame}", { doc: "views that could not be used, since the start" }),
}; // prettier-ignore

/** Of one slice. */
interface Refined {
  readonly slice: number;
  readonly engine: SliceEngine;
  readonly refinement: SliceRefinement;
  /** Refined, and the filtered back-projection that it was made from; empty before the first. */
  picture: Float32Array;
  from: Float32Array;
  iterations: number;
  leftOut: number;
}

interface Rest {
  count: number;
  newest_deg: number;
  pending: { time: bigint; seconds: number } | undefined;
  said: string[];
}

/**
 * Slices refined by iteration, where there is time to spare: what few or noisy views leave open is settled by what is known.
 *
 *     f ← max(0, f + λ / |S| Σ_S B_k (p_k - A_k f) / l_k)        ordered subsets of SIRT      slice-refinement.ts
 *     f ← the nearest picture that varies little                 after each pass, method tv   total-variation.ts
 *
 *     p  -ln T  [1]  (col)      f  attenuation coefficient  [1/px]  (row, col)      l  length of a ray in the region  [px]
 *
 * Every `every` views the filtered back-projection of the window (as tomography/incremental has it) is taken up: what it has changed by
 * since the last time is added to the refined slice, and `iterations` passes over all views of the window follow. So a
 * slice goes on being refined while views come, and what is new shows at once. `version` says which view was the newest
 * that it has seen; `residual_before` and `residual` how well it explained the views before and after the passes (total
 * variation trades some of that for less noise).
 *
 * The region is a circle about (`centre_x`, `centre_y`), by default all that every view sees. Pixels outside of it are held as
 * the filtered back-projection has them, and their part of the views is taken off.
 *
 * It takes `iterations` times views × two projections of a slice, and two projections a view for the residuals: for
 * 1024² from 720 views, five passes some 8 s. How much time there is to spare is said by `every` and `iterations`, never
 * read from a clock. With `place: worker` it does not hold up the rest.
 *
 * SIRT alone sharpens edges and, pass by pass, brings the views' noise into what is even: stop early (few `iterations` a
 * `every`, few `subsets`). What is outside of a region counts as right, so its errors end up inside: keep the region generous.
 *
 * Needs a parallel beam and a sample within the detector. Holds 8 bytes × columns × views and some 40 bytes a pixel, a slice.
 */
export const refine = defineOperator({
  name: "tomography/refine",
  doc: "Slices refined by iteration, from few or noisy views: SIRT in ordered subsets, total variation",
  place: "worker",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, config, { projections: metadata = {} }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    checkKernel(config.kernel);const made = typeof rows === "number" && typeof cols === "number" ? setup(config, metadata, rows, cols) : undefined;
    const shape = made ? [made.region.rows, made.region.cols] : ["row", "col"];
    return { refined: { data: image("1/{px}", { shape, quantity: "attenuation coefficient" }), ...STATE } };
  },
  metadata: ({ projections }, { kernel, centre_x, centre_y }) => {
    const centred = centre_x !== 0 || centre_y !== 0 ? { centre_x: String(centre_x), centre_y: String(centre_y) } : {};
    return { refined: { ...projections!.metadata, kernel, ...centred } };
  },
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one" }),
    method: choice(["sirt", "tv"], "tv", { doc: "tv: smoothed after each pass where it varies little, edges kept; sirt: as the views have it, with their noise" }),
    every: integer(100, { min: 1, doc: "refines after so many views" }),
    iterations: integer(5, { min: 1, max: 1000, doc: "passes over the views of the window, each time" }),
    subsets: integer(10, { min: 1, doc: "parts of the views, one after another in a pass; fewer where views are noisy" }),
    relaxation: quantity("1", 0.7, { min: 0.001, max: 1.9, doc: "part of what is wrong that a subset corrects" }),
    tv_weight: quantity("1", 0.03, { min: 0, doc: "with tv: of the slice's standard deviation; what differs by less is smoothed" }),
    tv_steps: integer(20, { min: 1, max: 1000, doc: "with tv: steps after each pass" }),
    non_negative: flag(true, { doc: "no pixel of the region may be below zero" }),
    window: text("180 deg", { check: windowMistake, doc: "180 deg, 360 deg, so many views (300 views) or a time (90 s): how far back a view counts" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    filter: choice(RAMP_WINDOWS, "hann", { doc: "window of the ramp filter of the picture that it begins with: a soft one, for what the views leave open stays as it is there" }),
    centre_x: quantity("{px}", 0, { doc: "middle of the region, to the right of the axis" }),
    centre_y: quantity("{px}", 0, { doc: "middle of the region, upwards of the axis" }),
    radius: quantity("{px}", 0, { min: 0, doc: "of the region; 0: all that every view sees" }),
    max_gap: quantity("deg", 10, { min: 0.001, max: 90, doc: "a wider gap between angles counts as not measured, a longer step as a jump" }),
    max_views: integer(4096, { min: 2, doc: "views that the window holds; one more, and the oldest leaves" }),
    kernel: choice(["wasm", "typescript"], "wasm", { doc: "WebAssembly SIMD, or plain TypeScript in double precision" }),
  },
  key: { list: "slices" },
  live: ["iterations", "relaxation", "tv_weight"],
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [detector, cols] = data.shape as [number, number];
    const { slices, plane, region, axis, span } = setup(config, metadata, detector, cols);
    const read = lineIntegralsOf(data);
    let { iterations, relaxation, tv_weight } = config;
    const p = new Float32Array(cols);
    const refined = slices.map((slice): Refined => ({
      slice, picture: new Float32Array(0), from: new Float32Array(0), iterations: 0, leftOut: 0,
      engine: new SliceEngine({
        kernel: KERNELS[config.kernel]({
          planes: [plane], detectorRows: [0], cols, window: config.filter, padding: "zero", middleRow: 0, images: 2,
        }),
        cols, axis, span, filter: config.filter, parallel: true, circle_deg: 180, keepLineIntegrals: true, forgetting: 0,
        rebuildRate_Hz: 1, maxGap_deg: config.max_gap, maxViews: config.max_views,
      }),
      refinement: new SliceRefinement({ kernel: config.kernel, plane, cols, region }),
    })); // prettier-ignore
    let rest: Rest = { count: 0, newest_deg: NaN, pending: undefined, said: [] };
    const cut = new Float32Array(region.rows * region.cols);

    /** Takes up what filtered back-projection has, and goes on from there. */
    function goOn(one: Refined): { before: number; after: number } {
      const now = one.engine.picture(0);
      const first = one.picture.length === 0;
      if (first) [one.picture, one.from] = [now.slice(), now.slice()];
      const { picture, from } = one;
      for (let i = 0; i < picture.length; i++) {
        picture[i]! += now[i]! - from[i]!;
        from[i] = now[i]!;
      }
      const views = one.engine.views.map((view): MeasuredView => ({
        theta_rad: (view.angle_deg * Math.PI) / 180, scale: view.scale, shift_y: 0, p: view.p!,
        axis: (Number.isNaN(view.axis) ? axis : view.axis) + view.shift_x,
      })); // prettier-ignore
      one.iterations += iterations;
      return one.refinement.refine(picture, views, {
        iterations, relaxation, subsets: config.subsets, nonNegative: config.non_negative, tvSteps: config.tv_steps,
        tvWeight: config.method === "tv" ? tv_weight * deviation(from) : 0,
      });
    } // prettier-ignore

    function give(out: Results): void {
      const { time } = rest.pending!;
      for (const one of refined) {
        if (one.engine.views.length === 0) continue;
        const { before, after } = goOn(one);
        for (let r = 0; r < region.rows; r++) {
          const from = (region.row + r) * plane.cols + region.col;
          cut.set(one.picture.subarray(from, from + region.cols), r * region.cols);
        }
        const { views, coverage_deg } = one.engine.shown();
        out.refined.add({
          time, data: cut, slice: one.slice, version: rest.count, views, rotation_angle: rest.newest_deg, iterations: one.iterations,
          residual_before: before, residual: after, coverage: coverage_deg, axis, method: config.method === "tv" ? 1 : 0, left_out: one.leftOut,
        });
      }
      rest.pending = undefined;
    } // prettier-ignore

    return {
      step({ projections }, out, upTo) {
        const { columns } = projections;
        const middle = (detector - 1) / 2;
        const sayOnce = (time: bigint, key: string, what: string): void => {
          if (rest.said.includes(key)) return;
          rest.said.push(key);
          out.fault(time, what);
        };
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          rest.count++;
          if (!Number.isFinite(rotation_angle)) {
            for (const one of refined) one.leftOut++;
            sayOnce(time, "angle", "projection without a rotation angle, left out, as are others like it; give the source its angles");
            continue;
          }
          const scale = perViewOr(columns, "scale", i, 1);
          for (const one of refined) {
            const down = perViewOr(columns, "shift_y", i, 0);
            const row = Math.max(0, Math.min(detector - 1, Math.round(middle + (one.slice - middle) * scale + down)));
            const unknown = read.row(frame, row * cols, p);
            if (unknown > cols / 2) {
              one.leftOut++;
              sayOnce(time, `row ${one.slice}`, `row ${one.slice}: less than half of a view is known, it is left out, as are others like it; look for a closed shutter or dead rows`);
              continue;
            }
            const view = {
              angle_deg: rotation_angle, seconds, scale, shift_y: 0, filled: unknown,
              axis: perViewOr(columns, "axis", i, NaN), shift_x: perViewOr(columns, "shift_x", i, 0),
            };
            one.engine.take(one.engine.filter([view], [p])[0]!);
          }
          rest.newest_deg = rotation_angle;
          rest.pending = { time, seconds };
          if (rest.count % config.every === 0) give(out as unknown as Results);
        }
        if (upTo === Infinity && rest.pending) give(out as unknown as Results);
      },
      holds: () => rest.pending?.seconds ?? Infinity,
      act({ changes }) {
        ({ iterations, relaxation, tv_weight } = { iterations, relaxation, tv_weight, ...changes });
      },
      save: () => ({
        rest: structuredClone(rest),
        refined: refined.map(({ engine, picture, from, iterations, leftOut }) => ({
          engine: engine.save(), picture: picture.slice(), from: from.slice(), iterations, leftOut,
        })),
      }),
      load: (saved: { rest: Rest; refined: (Pick<Refined, "picture" | "from" | "iterations" | "leftOut"> & { engine: ReturnType<SliceEngine["save"]> })[] }) => {
        rest = saved.rest;
        saved.refined.forEach(({ engine, ...one }, i) => {
          Object.assign(refined[i]!, one);
          refined[i]!.engine.load(engine);
        });
      },
    };
  },
}); // prettier-ignore

interface Results {
  readonly refined: { add(row: Record<string, unknown> & { time: bigint }): void };
}

interface Config {
  readonly slices: readonly (string | number)[];
  readonly axis: number;
  readonly window: string;
  readonly centre_x: number;
  readonly centre_y: number;
  readonly radius: number;
}

/** What config and stream determine; throws WiringError where they cannot be right. */
function setup(config: Config, metadata: Readonly<Record<string, string>>, detector: number, cols: number) {
  const beam = beamOf(metadata);
  if (beam.fan)
    throw new WiringError(`a ${beam.geometry} beam: slices are refined in a parallel beam only; leave this node out`);
  const axis = axisOf(config.axis, metadata, cols);
  const slices = detectorRows(config.slices, detector);
  const span = spanOf({ window: config.window, taper: 0 }, beam);
  const seen = Math.min(axis, cols - 1 - axis);
  const { centre_x: x, centre_y: y } = config;
  const radius = config.radius || seen - Math.hypot(x, y);
  if (!(radius >= 1 && Math.hypot(x, y) + radius <= seen + 1e-9)) {
    throw new WiringError(`radius: the region reaches ${(Math.hypot(x, y) + radius).toFixed(1)} px from the axis; every view sees ${seen.toFixed(1)} px. ` +
      "Set a smaller radius, or another centre");
  }
  const plane = horizontal(0, cols, { radius: seen });
  return { slices, plane, region: regionOf(plane, x, y, radius), axis, span };
} // prettier-ignore

function deviation(picture: Float32Array): number {
  let [sum, squares] = [0, 0];
  for (const f of picture) {
    sum += f;
    squares += f * f;
  }
  return Math.sqrt(Math.max(0, squares / picture.length - (sum / picture.length) ** 2));
}
