import {
  choice, code, defineOperator, quantity, scalar, text, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import {
  carriedBeside,
  frameField,
  numberIn,
  numberMistake,
  pixelSize,
  pixelsWithin,
  placeMistake,
} from "./frame-columns.ts";
import { basisOf, evaluateRow, fit } from "./plane-fit.ts";
import { cutOut, surfaceParameters, type SurfaceParameters } from "./surface-parameters.ts";

/**
 * Roughness of a surface: the height parameters of ISO 25178-2, with standard errors.
 *
 *     Sa  = mean |z|                      Sz  = max z - min z
 *     Sq  = √mean z²                      Ssk = mean z³ / Sq³,  Sku = mean z⁴ / Sq⁴
 *     Sdq = √mean ((∂z/∂x)² + (∂z/∂y)²)   by central differences over one pixel on either side
 *     Sq_surface = √(Sq² - noise²)
 *
 *     z   height over the mean plane (`form: plane`) or the mean of the region, over its pixels that have a value
 *
 * A standard error says how far another place of the same surface would differ: heights of neighbouring pixels go
 * together, so the errors come from the spread of blocks (block-error.ts) and `independent` says as how many pixels of
 * their own they count. They are too small where the surface has waves longer than a tenth of the region. Sz and its
 * error are those of the region's size: a larger one has a larger Sz.
 *
 * Noise adds to Sq in quadrature, whether it is of the instrument or of lines that were not levelled. Sdq depends on the
 * pixel size and on noise even more. With under 64 pixels, or of a flat region, a parameter is NaN; `reason` says why.
 * Works on images of any unit; Sdq is NaN where the pixel size is not known.
 *
 * Reference: ISO 25178-2:2021, 4.3 and 4.4; Gumbel, Statistics of Extremes (1958), for the error of Sz.
 */
export const roughness = defineOperator({
  name: "image/roughness",
  doc: "Sa, Sq, Sz, skewness, kurtosis and rms slope of a surface, with errors that know its correlation",
  input: { images: {} },
  output: ({ images }, { within, noise }) => {
    const field = frameField("images", images);
    const { unit } = field;
    pixelsWithin("within", within, field.shape);
    numberIn("noise", noise, unit);
    const slope = unit === "m" ? "1" : `${unit}/m`;
    return {
      roughness: {
        ...Object.fromEntries(carriedBeside(images, OWN)),
        sa: scalar(unit, { uncertainty: "sa_se", long_name: "Sa", doc: "mean distance from the mean plane" }),
        sa_se: scalar(unit),
        sq: scalar(unit, { uncertainty: "sq_se", long_name: "Sq", doc: "root mean square height, noise and all" }),
        sq_se: scalar(unit),
        ...(noise && {
          sq_surface: scalar(unit, { uncertainty: "sq_surface_se", doc: "Sq without the noise; NaN where that is as large" }),
          sq_surface_se: scalar(unit),
        }),
        sz: scalar(unit, { uncertainty: "sz_se", long_name: "Sz", doc: "from the lowest to the highest pixel" }),
        sz_se: scalar(unit),
        ssk: scalar("1", { uncertainty: "ssk_se", long_name: "Ssk", doc: "skewness: above 0 with peaks, below with pits" }),
        ssk_se: scalar("1"),
        sku: scalar("1", { uncertainty: "sku_se", long_name: "Sku", doc: "kurtosis: 3 of a bell" }),
        sku_se: scalar("1"),
        sdq: scalar(slope, { uncertainty: "sdq_se", long_name: "Sdq", doc: "root mean square slope" }),
        sdq_se: scalar(slope),
        pixels: scalar("{px}", { doc: "that have a value" }),
        missing: scalar("{px}", { doc: "that have none" }),
        independent: scalar("{px}", { doc: "pixels that would know Sq as well, were each on its own" }),
        reason: code({ codes: REASONS, doc: "why something is NaN" }),
      } as Fields,
    };
  },
  config: {
    within: text("", {
      check: placeMistake("within"),
      doc: 'where to look: "x0,y0,x1,y1" or "circle x,y,r" in px, x the column, y the row; default everywhere',
    }),
    form: choice(["plane", "mean"], "plane", { doc: "what z is measured from; mean where a frame is levelled already" }),
    noise: text("", {
      check: numberMistake("40 pm"),
      doc: 'rms noise of a pixel, such as "40 pm", from a scan at rest: Sq_surface is Sq without it',
    }),
    pixel_size: quantity("m", NaN, { min: 1e-15, doc: "default: as the stream's metadata say (pixel_size_x, pixel_size_y)" }),
  },
  start({ within, form, noise, pixel_size }, { inputs }) {
    const { fields, metadata } = inputs.images as { fields: Fields; metadata: Readonly<Record<string, string>> };
    const field = frameField("images", fields);
    const [rows, cols] = field.shape as [number, number];
    const spans = pixelsWithin("within", within, field.shape)!;
    const size = pixelSize(pixel_size, metadata);
    const rms = noise === "" ? 0 : numberIn("noise", noise, field.unit);
    const basis = form === "plane" ? basisOf(rows, cols, 1, 1) : basisOf(rows, cols, 0, 0);
    const beside = carriedBeside(fields, OWN).map(([name]) => name);
    const along = new Float64Array(cols);

    return {
      step({ images }, out) {
        // Which columns go along is known from the stream only, so the writer takes what the schema names.
        const writer = out.roughness as unknown as { add(row: object): void };
        for (let i = 0; i < images.length; i++) {
          const row = (images as Rows<Fields>).at(i) as unknown as { time: bigint; data: Float32Array; [name: string]: unknown };
          const { values, pixels, missing } = cutOut(row.data, cols, spans);
          const found = pixels < LEAST_PIXELS ? undefined : fit(values, basis);
          for (let r = 0; found && r < rows; r++) {
            evaluateRow(basis, found.coefficients, r, along);
            for (let c = 0, k = r * cols; c < cols; c++, k++) values[k]! -= along[c]!;
          }
          const surface = found && surfaceParameters(values, rows, cols, pixels, size);
          const flat = surface && !(surface.sq > FLAT * Math.abs(found!.coefficients[0]!));
          const known = !surface || flat ? NOTHING : surface;
          // Both from Sq², whose variance is 4 Sq² sq_se².
          const without = known.sq ** 2 - rms ** 2;
          const sq_surface = without > 0 ? Math.sqrt(without) : NaN;
          writer.add({
            ...Object.fromEntries(beside.map((name) => [name, row[name]])),
            ...known, time: row.time, sq_surface, sq_surface_se: (known.sq * known.sq_se) / sq_surface, pixels, missing,
            reason: !surface ? TOO_FEW : flat ? NO_RELIEF : noise !== "" && Number.isNaN(sq_surface) ? BELOW_NOISE : FINE,
          });
        }
      },
    };
  },
}); // prettier-ignore

const LEAST_PIXELS = 64;
/** Sq over the height itself below which it is the rounding of 32 bits. */
const FLAT = 2 ** -24;

const FINE = 0, TOO_FEW = 1, NO_RELIEF = 2, BELOW_NOISE = 3; // prettier-ignore
const REASONS = {
  [FINE]: "fine",
  [TOO_FEW]: "too few pixels with a value",
  [NO_RELIEF]: "flat",
  [BELOW_NOISE]: "no rougher than the noise",
};

const NOTHING: SurfaceParameters = {
  sa: NaN, sa_se: NaN, sq: NaN, sq_se: NaN, sz: NaN, sz_se: NaN, ssk: NaN, ssk_se: NaN, sku: NaN, sku_se: NaN,
  sdq: NaN, sdq_se: NaN, pixels: 0, independent: NaN,
}; // prettier-ignore
const OWN = [...Object.keys(NOTHING), "sq_surface", "sq_surface_se", "missing", "reason"];
