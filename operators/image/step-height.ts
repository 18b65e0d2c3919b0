import {
  choice, code, defineOperator, image, integer, list, scalar, text, WiringError, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { roughlyFlat } from "./background.ts";
import {
  carriedBeside,
  frameField,
  numberIn,
  numberMistake,
  pixelsWithin,
  placeMistake,
  seriesOf,
} from "./frame-columns.ts";
import { readShape, spansOf, type PixelSpans, type Shape } from "./pixel-spans.ts";
import { FEATURE, LEFT_OUT, REFERENCE, stepFit, type StepFit } from "./step-fit.ts";
import { edgesOf, profileAcross, rolesAcross, thirds, twoLevels } from "./step-places.ts";
import { cutOut } from "./surface-parameters.ts";
import { emptyHistogram, fillHistogram, METHODS as THRESHOLDS, thresholdOf } from "./threshold.ts";

/**
 * Height of a step, plateau or trench over what lies beside it, and its swelling: what a scratch in an SEI film is
 * deep, so thick is the film.
 *
 *     z(r, c) = a_r + b x + h δ(r, c)           a_r  offset of a line; with `line_offsets: none` a + c y
 *     swelling = 100 (h / h_ref - 1) %          h_ref  of the first frame that has one, or `reference_height`
 *
 *     h  step_height, above 0 where the feature stands over the reference      [as the frames]
 *     δ  1 on the feature, 0 on the reference; pixels near edges are in neither (step-places.ts)
 *
 *     method      feature                                    reference
 *     regions     `feature`: its middle third                beside it, W/3 to W from its edge, or `reference`
 *     profile     between the two edges that explain the profile best (or beyond the one): its middle third, and as above
 *     histogram   the higher of two levels                   the lower, both but for `guard` pixels at their borders
 *
 * One fit for all pixels, so neither tilt nor jumps of lines come in, and frames need not be levelled: an image/level
 * by lines flattens the step itself where it fills most of a line. Lines have offsets of their own where most of them
 * see both feature and reference. The error is from the roughness of both, correlated as it is (block-error.ts); of a
 * scanner's scale it knows nothing, which cancels in the swelling. Both heights of a swelling are of the same place, so
 * its error, which takes them as independent, is an upper limit; that of the frame which is h_ref is 0.
 *
 * Holds for planes that are parallel; a bowed background goes first (image/level, polynomial, mask both). Trace and
 * retrace (`direction`) have each its own h_ref. A found step (profile, histogram) that is not 6 standard errors high is
 * NaN, with the reason. Works on images of any unit.
 *
 * Reference: ISO 5436-1:2000, 7.2; ISO 11952:2019, 7.
 */
export const stepHeight = defineOperator({
  name: "image/step-height",
  doc: "Height of a step, plateau or trench with its standard error, and its swelling in %",
  input: { images: {} },
  output: ({ images }, config) => {
    if (config.method === "regions" && config.feature === "")
      throw new WiringError('feature: method regions needs the place of the step, such as feature: "40,20,90,110"');
    const field = frameField("images", images);
    const { unit } = field;
    const number = (doc: string, uncertainty?: string) => scalar(unit, { doc, ...(uncertainty && { uncertainty }) });
    shapesOf(config, field.shape);
    pixelsWithin("within", config.within, field.shape);
    referenceOf(config, unit);
    return {
      steps: {
        ...Object.fromEntries(carriedBeside(images, OWN)),
        step_height: number("of the feature over the reference; below 0 of a trench", "step_height_se"),
        step_height_se: number("from the roughness of both"),
        swelling: scalar("%", { uncertainty: "swelling_se", doc: "of the height, against reference_height" }),
        swelling_se: scalar("%", { doc: "an upper limit where both heights are of one place" }),
        reference_height: number("that swelling is against", "reference_height_se"),
        reference_height_se: number(""),
        rms: number("of the pixels about the two planes"),
        feature_pixels: scalar("{px}"),
        reference_pixels: scalar("{px}"),
        edge_first: scalar("{px}", { doc: "of method profile: where the feature begins" }),
        edge_end: scalar("{px}", { doc: "and where it ends" }),
        lines: code({ codes: { 0: "none", 1: "fitted" }, doc: "offsets of lines" }),
        reason: code({ codes: REASONS, doc: "why the height is NaN" }),
      },
      used: { data: image("", { type: "u8", shape: field.shape ?? [], doc: "0 left out, 1 reference, 2 feature" }) },
    } as Record<string, Fields>;
  },
  provisional: ["used"],
  config: {
    method: choice(["profile", "regions", "histogram"], "profile", { doc: "how feature and reference are told apart" }),
    feature: text("", { check: placeMistake("feature"), doc: 'of method regions: "x0,y0,x1,y1" or "circle x,y,r" in px, around the edges of the step' }),
    reference: list<string>([], { doc: "of method regions: places in px that are the ground; then they and the feature count as drawn; default beside it" }),
    within: text("", { check: placeMistake("within"), doc: "of methods profile and histogram: where to look; default everywhere" }),
    across: choice(["x", "y"], "x", { doc: "direction that crosses the edges; x, along the lines, is free of their jumps" }),
    edges: choice(["two", "one"], "two", { doc: "of method profile: of a plateau or trench, or of a single step, beyond which is the feature" }),
    threshold: choice(THRESHOLDS, "otsu", { doc: "of method histogram: otsu for levels of like area, minimum-error for a small one beside a large" }),
    guard: integer(3, { min: 0, max: 64, doc: "of method histogram: px from the border of the levels that do not count" }),
    line_offsets: choice(["auto", "fitted", "none"], "auto", { doc: "auto: fitted where half of the smaller of feature and reference lies in lines that see both" }),
    reference_height: text("", { check: numberMistake("12 nm"), doc: "that swelling is against; default the first frame's" }),
    reference_height_se: text("", { check: numberMistake("0.1 nm"), doc: "its standard error; default 0" }),
  },
  live: ["feature", "reference"],
  start(config, { inputs }) {
    const { fields } = inputs.images as { fields: Fields };
    const field = frameField("images", fields);
    const [rows, cols] = field.shape as [number, number];
    const within = pixelsWithin("within", config.within, field.shape)!;
    const given = referenceOf(config, field.unit);
    const beside = carriedBeside(fields, OWN).map(([name]) => name);
    let shapes = shapesOf(config, field.shape);
    /** By direction of the scan. */
    let references = new Map<number, Height>();

    const roles = new Uint8Array(rows * cols);
    const measure = (frame: ArrayLike<number>): Measured => {
      roles.fill(LEFT_OUT);
      if (config.method === "regions") return measureDrawn(frame);
      const { values, pixels } = cutOut(frame, cols, within);
      if (pixels < LEAST_PIXELS) return { reason: TOO_FEW };
      return config.method === "profile" ? measureProfile(values) : measureLevels(values);
    };

    const fitted = (values: Float64Array): { fit: StepFit; lines: boolean } | undefined => {
      const lines = config.line_offsets === "fitted" || (config.line_offsets === "auto" && seesBoth(values, roles, cols));
      const fit = stepFit(values, roles, rows, cols, lines);
      return fit && { fit, lines };
    };

    function measureDrawn(frame: ArrayLike<number>): Measured {
      const { feature, reference } = shapes;
      if (!feature) return { reason: TOO_FEW };
      if (reference.length === 0) thirds(roles, rows, cols, feature, config.across);
      else {
        for (const shape of reference) mark(roles, cols, spansOf(rows, cols, [shape]), REFERENCE);
        mark(roles, cols, spansOf(rows, cols, [feature]), FEATURE);
      }
      const found = fitted(Float64Array.from(frame, (z) => (z - z === 0 ? z : NaN)));
      return found ? { ...found, reason: FINE } : { reason: TOO_FEW };
    }

    function measureProfile(values: Float64Array): Measured {
      const edges = config.edges === "two" ? 2 : 1;
      const found = edgesOf(profileAcross(values, rows, cols, within, config.across), edges);
      if (!found) return { reason: TOO_FEW };
      if (found.first === found.end) return { reason: NO_STEP };
      const length = config.across === "x" ? cols : rows;
      const along = rolesAcross(length, found.first, found.end, edges);
      for (let r = 0; r < rows; r++)
        for (let c = within.first[r]!; c < within.end[r]!; c++) roles[r * cols + c] = along[config.across === "x" ? c : r]!;
      return standsOut(fitted(values), { first: found.first, end: edges === 2 ? found.end : NaN });
    }

    function measureLevels(values: Float64Array): Measured {
      let flat = roughlyFlat(values, rows, cols, config.line_offsets !== "none");
      const histogram = emptyHistogram();
      if (flat) fillHistogram(histogram, Float32Array.from(flat), cols, within);
      let threshold = flat ? thresholdOf(histogram, config.threshold) : NaN;
      let found: ReturnType<typeof fitted>;
      for (let turn = 0; turn < TURNS; turn++) {
        if (Number.isNaN(threshold)) return { reason: NO_STEP };
        twoLevels(roles, flat!, rows, cols, within, { threshold, guard: config.guard });
        found = fitted(values);
        if (!found) return { reason: NO_STEP };
        // Once more by the fit, which knows the lines and the tilt better.
        const { ground, height } = found.fit;
        flat = values.map((z, i) => z - ground[i]!);
        threshold = height / 2;
      }
      return standsOut(found);
    }

    return {
      step({ images }, out) {
        // Which columns go along is known from the stream only, so the writers take what the schema names.
        const { steps, used } = out as unknown as Record<string, { add(row: object): void }>;
        for (let i = 0; i < images.length; i++) {
          const row = (images as Rows<Fields>).at(i) as unknown as Frame;
          const { fit, lines, edges, reason } = measure(row.data);
          const height: Height = { value: fit?.height ?? NaN, se: fit?.height_se ?? NaN };
          const series = seriesOf(row);
          const first = given === undefined && !references.has(series) && !Number.isNaN(height.value);
          if (first) references.set(series, height);
          const reference = given ?? references.get(series) ?? { value: NaN, se: NaN };
          const ratio = height.value / reference.value;
          const ratio_se = Math.hypot(height.se, ratio * reference.se) / Math.abs(reference.value);
          steps!.add({
            ...Object.fromEntries(beside.map((name) => [name, row[name]])),
            time: row.time, step_height: height.value, step_height_se: height.se,
            swelling: 100 * (ratio - 1), swelling_se: first ? 0 : 100 * ratio_se,
            reference_height: reference.value, reference_height_se: reference.se,
            rms: fit?.rms ?? NaN, feature_pixels: fit?.feature ?? 0, reference_pixels: fit?.reference ?? 0,
            edge_first: edges?.first ?? NaN, edge_end: edges?.end ?? NaN, lines: lines ? 1 : 0, reason,
          });
          used!.add({ time: row.time, data: roles });
        }
      },
      act({ changes }) {
        shapes = shapesOf({ ...config, ...changes }, field.shape);
        references = new Map(); // another place has another height
      },
      save: (): [number, Height][] => [...references],
      load: (saved: [number, Height][]) => void (references = new Map(saved)),
    };
  },
}); // prettier-ignore

interface Frame {
  readonly time: bigint;
  readonly data: Float32Array;
  readonly direction?: number;
  readonly [column: string]: unknown;
}

interface Height {
  readonly value: number;
  readonly se: number;
}

interface Measured {
  readonly fit?: StepFit;
  readonly lines?: boolean;
  readonly edges?: { readonly first: number; readonly end: number };
  readonly reason: number;
}

const LEAST_PIXELS = 64;
const TURNS = 3;
const FINE = 0, TOO_FEW = 1, NO_STEP = 2; // prettier-ignore
const REASONS = {
  [FINE]: "fine",
  [TOO_FEW]: "too few pixels with a value on the feature or beside it",
  [NO_STEP]: "no step stands out",
};
/** Standard errors of a height that was looked for before it is believed: among many edges one is high by chance. */
const BELIEVED = 6;

function standsOut(found: { fit: StepFit; lines: boolean } | undefined, edges?: Measured["edges"]): Measured {
  if (!found) return { reason: TOO_FEW };
  const { height, height_se } = found.fit;
  return Math.abs(height) >= BELIEVED * height_se ? { ...found, ...(edges && { edges }), reason: FINE } : { reason: NO_STEP }; // prettier-ignore
}

function mark(roles: Uint8Array, cols: number, { first, end }: PixelSpans, as: number): void {
  for (let r = 0; r < first.length; r++) roles.fill(as, r * cols + first[r]!, r * cols + end[r]!);
}

/** Whether of the smaller of feature and reference at least half lies in lines that see both. */
function seesBoth(values: Float64Array, roles: Uint8Array, cols: number): boolean {
  let [feature, reference, featureSeen, referenceSeen] = [0, 0, 0, 0];
  for (let from = 0; from < roles.length; from += cols) {
    let [over, ground] = [0, 0];
    for (let i = from; i < from + cols; i++) {
      if (Number.isNaN(values[i])) continue;
      if (roles[i] === FEATURE) over++;
      else if (roles[i] === REFERENCE) ground++;
    }
    feature += over;
    reference += ground;
    if (over === 0 || ground === 0) continue;
    featureSeen += over;
    referenceSeen += ground;
  }
  return 2 * (feature < reference ? featureSeen : referenceSeen) >= Math.min(feature, reference);
}

type Drawn = { readonly feature: string; readonly reference: readonly string[] };

function shapesOf({ feature, reference }: Drawn, shape: readonly (number | string)[] = []): { feature: Shape | undefined; reference: Shape[] } {
  const [rows, cols] = shape;
  return {
    feature: feature === "" ? undefined : readShape("feature", feature, rows, cols),
    reference: reference.map((place) => readShape("reference", String(place), rows, cols)),
  };
} // prettier-ignore

function referenceOf(
  { reference_height, reference_height_se }: { reference_height: string; reference_height_se: string },
  unit: string,
): Height | undefined {
  const value = numberIn("reference_height", reference_height, unit);
  const se = numberIn("reference_height_se", reference_height_se, unit);
  if (value === 0) throw new WiringError("reference_height: swelling against a height of 0 has no meaning");
  if (reference_height === "" && reference_height_se !== "")
    throw new WiringError("reference_height_se is of a reference_height, which is not given");
  return reference_height === "" ? undefined : { value, se: Number.isNaN(se) ? 0 : Math.abs(se) };
}

const OWN = [
  "step_height", "step_height_se", "swelling", "swelling_se", "reference_height", "reference_height_se", "rms",
  "feature_pixels", "reference_pixels", "edge_first", "edge_end", "lines", "reason",
]; // prettier-ignore
