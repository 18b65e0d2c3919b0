import {
  choice, code, defineOperator, image, quantity, scalar, text, WiringError, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { BlockError } from "./block-error.ts";
import { carriedBeside, pixelsWithin, placeMistake, seriesOf } from "./frame-columns.ts";
import { meanOf, medianOf } from "./pixel-statistics.ts";
import type { PixelSpans } from "./pixel-spans.ts";
import { cutOut } from "./surface-parameters.ts";

/**
 * Kelvin probe: from the contact potential difference to the work function of the surface.
 *
 *     bias on the tip       φ = φ_tip - e V          bias on the sample     φ = φ_tip + e V
 *     φ_tip = φ_ref ± e V_ref                        from a place whose work function is known
 *
 *     V  contact potential difference, the bias that nulls the force    [V]    φ  work function [eV]
 *
 * On nulling, the potential just outside tip and sample is the same, -φ/e + bias; hence the signs. An instrument that
 * writes the potential the other way round ("surface potential" for the bias of the tip) is read with the other choice.
 *
 * `cpd_change` is the mean of what changed pixel by pixel since the first frame, `drift_rate` since the frame before, per
 * second: the pattern of the surface cancels, and its error with it. Frames that shifted in between are aligned before
 * (drift/images). Trace and retrace (`direction`) are each a series of their own. The first and the last frame are held.
 *
 * Errors of means are by blocks (block-error.ts). What all pixels share (the work function of the reference or of the tip)
 * is apart, in `work_function_scale_se`. Holds in gas or vacuum; in an electrolyte V is no contact potential. Stray
 * capacitance averages V over some ten tip radii, so of structures smaller than that differences come out too small.
 *
 * Reference: Melitz et al., Surf. Sci. Rep. 66, 1 (2011), eq. 1 and 2; Hansen & Hansen, Surf. Sci. 481, 172 (2001), for HOPG.
 */
export const surfacePotential = defineOperator({
  name: "image/surface-potential",
  doc: "Work function map from KPFM potentials, calibrated on a reference place, with statistics and drift",
  input: { images: { data: image("V") } },
  output: ({ images }, config) => {
    const { data } = images;
    const byPlace = config.reference !== "";
    if (byPlace !== !Number.isNaN(config.reference_work_function))
      throw new WiringError("reference: a place and its work function go together; give reference and reference_work_function");
    if (byPlace && !Number.isNaN(config.tip_work_function))
      throw new WiringError("tip_work_function: is given, and a reference to find it from; leave one out");
    const calibrated = byPlace || !Number.isNaN(config.tip_work_function);
    pixelsWithin("within", config.within, data.shape);
    pixelsWithin("reference", config.reference, data.shape);
    const carried = Object.fromEntries(carriedBeside(images, OWN));
    return {
      ...(calibrated && {
        work_function: { ...carried, data: image("eV", { shape: data.shape ?? [], long_name: "work function" }) },
      }),
      statistics: { ...carried, ...STATISTICS, ...(calibrated && CALIBRATED) },
    } as Record<string, Fields>;
  },
  config: {
    bias_on: choice(["tip", "sample"], "tip", { doc: "which of them has the nulling bias; the other if the instrument writes its negative" }),
    tip_work_function: quantity("eV", NaN, { doc: "where it is known" }),
    tip_work_function_se: quantity("eV", 0, { min: 0, doc: "its standard error" }),
    reference: text("", { check: placeMistake("reference"), doc: 'a place whose work function is known: "x0,y0,x1,y1" or "circle x,y,r" in px' }),
    reference_work_function: quantity("eV", NaN, { doc: "of that place; 4.6 eV for HOPG, 5.1 to 5.4 eV for clean gold" }),
    reference_work_function_se: quantity("eV", 0, { min: 0, doc: "its standard error" }),
    calibrate: choice(["each", "first"], "each", { doc: "from the reference in each frame, which takes out the drift of the tip, or in the first, which is held" }),
    within: text("", { check: placeMistake("within"), doc: "where the statistics look, in px; default everywhere" }),
  },
  start(config, { inputs }) {
    const { fields } = inputs.images as { fields: Fields };
    const field = fields["data"]!;
    const [rows, cols] = field.shape as [number, number];
    const within = pixelsWithin("within", config.within, field.shape)!;
    const reference = config.reference === "" ? undefined : pixelsWithin("reference", config.reference, field.shape)!;
    const beside = carriedBeside(fields, OWN).map(([name]) => name);
    const sign = config.bias_on === "tip" ? -1 : 1;
    const error = new BlockError(rows, cols, roomOf(within));
    const referenceError = reference && new BlockError(rows, cols, roomOf(reference));
    const map = new Float32Array(rows * cols);
    let tip: Tip | undefined = reference ? undefined : { eV: config.tip_work_function, noise_se: 0, scale_se: config.tip_work_function_se };
    /** By direction of the scan. */
    let series = new Map<number, Series>();

    /** Of one frame; from the reference in it, or what is held. */
    const tipOf = (frame: Float32Array): Tip => {
      if (!reference) return tip!;
      if (config.calibrate === "first" && tip) return tip;
      const { mean, mean_se, pixels } = meanOf(cutOut(frame, cols, reference).values, referenceError!);
      const eV = config.reference_work_function - sign * mean;
      const shared = config.reference_work_function_se;
      if (config.calibrate === "each") return { eV, noise_se: mean_se, scale_se: shared };
      const held: Tip = { eV, noise_se: 0, scale_se: Math.hypot(shared, mean_se) };
      if (pixels > 0) tip = held;
      return held;
    };

    return {
      step({ images }, out) {
        // Which columns go along is known from the stream only, so the writers take what the schema names.
        const writers = out as unknown as Record<string, { add(row: object): void } | undefined>;
        for (let i = 0; i < images.length; i++) {
          const row = (images as unknown as Rows<Fields>).at(i) as unknown as Frame;
          const { time, seconds, data } = row;
          const { values, pixels, missing } = cutOut(data, cols, within);
          const { mean, mean_se, sd } = meanOf(values, error);
          const { median, median_se } = medianOf(values, error);
          const found = tipOf(data);
          for (let k = 0; k < map.length; k++) map[k] = found.eV + sign * data[k]!;
          const passed = Object.fromEntries(beside.map((name) => [name, row[name]]));
          writers["work_function"]?.add({ ...passed, time, data: map });

          const before = series.get(seriesOf(row));
          const changed = before ? change(values, before.first) : NOTHING;
          const since = before ? change(values, before.last) : NOTHING;
          const passed_s = before ? seconds - before.seconds : NaN;
          writers["statistics"]!.add({
            ...passed, time, cpd_mean: mean, cpd_mean_se: mean_se, cpd_median: median, cpd_median_se: median_se, cpd_sd: sd,
            cpd_change: changed.mean, cpd_change_se: changed.mean_se,
            drift_rate: passed_s > 0 ? since.mean / passed_s : NaN, drift_rate_se: passed_s > 0 ? since.mean_se / passed_s : NaN,
            work_function_mean: found.eV + sign * mean, work_function_mean_se: Math.hypot(mean_se, found.noise_se),
            work_function_scale_se: found.scale_se, work_function_sd: sd,
            tip_work_function: found.eV, tip_work_function_se: Math.hypot(found.noise_se, found.scale_se),
            pixels, missing, reason: pixels === 0 ? NO_VALUES : reference && Number.isNaN(found.eV) ? NO_REFERENCE : FINE,
          });
          if (pixels === 0) continue;
          const last = Float32Array.from(values);
          series.set(seriesOf(row), { first: before?.first ?? last, last, seconds });
        }
      },
      save: (): Saved => ({ tip, series: [...series] }),
      load(saved: Saved) {
        tip = saved.tip;
        series = new Map(saved.series);
      },
    };

    function change(values: Float64Array, earlier: Float32Array): { mean: number; mean_se: number } {
      return meanOf(values.map((v, k) => v - earlier[k]!), error);
    }
  },
}); // prettier-ignore

interface Frame {
  readonly time: bigint;
  readonly seconds: number;
  readonly data: Float32Array;
  readonly direction?: number;
  readonly [column: string]: unknown;
}

interface Tip {
  readonly eV: number;
  /** Of this frame alone. */
  readonly noise_se: number;
  /** That all frames share. */
  readonly scale_se: number;
}

interface Series {
  readonly first: Float32Array;
  readonly last: Float32Array;
  readonly seconds: number;
}

interface Saved {
  readonly tip: Tip | undefined;
  readonly series: [number, Series][];
}

const NOTHING = { mean: NaN, mean_se: NaN };
const FINE = 0, NO_VALUES = 1, NO_REFERENCE = 2; // prettier-ignore

const STATISTICS = {
  cpd_mean: scalar("V", { uncertainty: "cpd_mean_se", doc: "contact potential difference" }),
  cpd_mean_se: scalar("V"),
  cpd_median: scalar("V", { uncertainty: "cpd_median_se" }),
  cpd_median_se: scalar("V"),
  cpd_sd: scalar("V"),
  cpd_change: scalar("V", { uncertainty: "cpd_change_se", doc: "since the first frame, pixel by pixel" }),
  cpd_change_se: scalar("V"),
  drift_rate: scalar("V/s", { uncertainty: "drift_rate_se", doc: "since the frame before, pixel by pixel" }),
  drift_rate_se: scalar("V/s"),
  pixels: scalar("{px}", { doc: "that have a value" }),
  missing: scalar("{px}", { doc: "that have none" }),
  reason: code({ codes: { [FINE]: "fine", [NO_VALUES]: "no pixel has a value", [NO_REFERENCE]: "no pixel of the reference has a value" } }),
} satisfies Fields; // prettier-ignore
const CALIBRATED = {
  work_function_mean: scalar("eV", { uncertainty: "work_function_mean_se" }),
  work_function_mean_se: scalar("eV", { doc: "of the surface and, where it is in the frame, of the reference" }),
  work_function_scale_se: scalar("eV", { doc: "from the work function that all was calibrated with; no average reduces it" }),
  work_function_sd: scalar("eV"),
  tip_work_function: scalar("eV", { uncertainty: "tip_work_function_se" }),
  tip_work_function_se: scalar("eV"),
} satisfies Fields; // prettier-ignore
const OWN = [...Object.keys(STATISTICS), ...Object.keys(CALIBRATED)];

function roomOf({ first, end }: PixelSpans): number {
  let room = 0;
  for (let r = 0; r < first.length; r++) room += end[r]! - first[r]!;
  return room;
}
