import {
  code, defineOperator, label, list, scalar, text, WiringError, type Field, type Fields, type Rows, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import { readShape, spansOf, type PixelSpans, type Shape } from "./pixel-spans.ts";
import { checkVariance, varianceSource } from "./variance.ts";

/**
 * Mean and spread of regions of an image.
 *
 *     mean    = Σ f / n                 sd² = Σ (f - mean)² / (n - 1)
 *     mean_se = √(Σ σ²) / n             from the variance σ² of each pixel, where it is known
 *             = sd / √n                 else: `se_of` says `spread`
 *
 *     f  pixels of the region that have a value    [as the image]
 *     n  their number; those that have none are left out and counted in `missing`
 *
 * Both errors hold for noise that is independent from pixel to pixel; the spread also contains whatever structure the
 * region has, so it is an upper limit where the noise is white. The variance comes from a column `variance` beside the
 * images or from the port `variance`. Works on images of any unit. Regions may be changed while it runs.
 */
export const region = defineOperator({
  name: "image/region",
  doc: "Mean, standard deviation and standard error of regions of an image",
  input: { images: {}, "*": {} },
  output: (inputs, config) => {
    const { field } = planRegions(inputs.images as Fields, config);
    checkVariance(inputs, "images", config.column);
    const number = (about: Partial<Field> = {}): Field => scalar(field.unit, about);
    return {
      regions: {
        region: code({ doc: "place in the list of regions" }),
        name: label(),
        mean: number({ ...(field.quantity && { quantity: field.quantity }), uncertainty: "mean_se" }),
        mean_se: number({ doc: "for noise that is independent from pixel to pixel" }),
        sd: number({ doc: "standard deviation of the pixels" }),
        pixels: scalar("{px}", { doc: "that have a value" }),
        missing: scalar("{px}", { doc: "that have none" }),
        se_of: code({ codes: { 0: "variance", 1: "spread" }, doc: "what mean_se is from" }),
        ...(hasSlice(inputs.images as Fields) && { slice: code({ doc: "row of the detector" }) }),
      },
    } as Record<string, Fields>;
  },
  config: {
    regions: list<string>([], {
      doc: '"x0,y0,x1,y1" or "circle x,y,r" in px, x the column, y the row downwards; "gas = 10,10,20,20" gives it a name; none until one is picked',
    }),
    column: text("data", { doc: "the images" }),
  },
  live: ["regions"],
  start(config, { inputs }) {
    const { fields } = inputs.images;
    const { field, ...planned } = planRegions(fields, config);
    const [rows, cols] = field.shape as [number, number];
    const spansIn = (named: readonly Named[]): PixelSpans[] => named.map(({ shape }) => spansOf(rows, cols, [shape]));
    let { regions } = planned;
    let spans = spansIn(regions);
    const variances = varianceSource(inputs as Record<string, Schema>, "images", config.column, rows * cols);
    const size = rows * cols;
    const sliced = hasSlice(fields);
    return {
      step(given, out) {
        const images = given.images as Rows<Fields>;
        const pictures = images.columns[config.column] as Float32Array;
        const slices = images.columns["slice"] as Int32Array | undefined;
        const variance = variances?.open(given);
        for (let i = 0; i < images.length; i++) {
          const time = images.time[i]!;
          const slice = slices?.[i] ?? 0;
          const known = variance?.at(i, time, slice);
          const picture = pictures.subarray(i * size, (i + 1) * size);
          spans.forEach((where, index) => {
            const { mean, sd, pixels, missing, mean_se } = statistics(picture, cols, where, known);
            out["regions"]!.add({
              time, region: index, name: regions[index]!.name, mean, mean_se, sd, pixels, missing,
              se_of: known ? 0 : 1, ...(sliced && { slice }),
            } as never);
          });
        }
        variance?.close();
      },
      act({ changes }) {
        regions = planRegions(fields, { ...config, ...changes }).regions;
        spans = spansIn(regions);
      },
      save: () => variances?.save() ?? [],
      load: (held: [number, Float32Array][]) => variances?.load(held),
    };
  },
}); // prettier-ignore

const hasSlice = (fields: Fields): boolean => fields["slice"]?.kind === "code";

interface Named {
  readonly name: string;
  readonly shape: Shape;
}

function planRegions(fields: Fields, { regions, column }: { regions: readonly string[]; column: string }): {
  field: Field;
  regions: Named[];
} {
  const field = fields[column];
  if (field?.kind !== "image" || field.type === "i64") {
    const images = Object.keys(fields).filter((name) => fields[name]!.kind === "image");
    throw new WiringError(`column: ${column} is not a column of images; there is ${images.join(", ") || "none"}`);
  }
  const [rows, cols] = field.shape ?? [];
  const named = regions.map((written, i): Named => {
    const [, name, place] = /^\s*(?:([\w-]+)\s*=)?(.*)$/s.exec(String(written))!;
    return { name: name ?? `r${i}`, shape: readShape("regions", place!, rows, cols) };
  });
  const twice = named.find(({ name }, i) => named.findIndex((other) => other.name === name) !== i);
  if (twice) throw new WiringError(`regions: two are called ${twice.name}`);
  return { field, regions: named };
} // prettier-ignore

/** Mean, spread and error of the pixels within the spans. */
export function statistics(
  picture: Float32Array, cols: number, { first, end }: PixelSpans, variance?: Float32Array,
): { mean: number; mean_se: number; sd: number; pixels: number; missing: number } {
  let [pixels, missing, sum, squares, noise] = [0, 0, 0, 0, 0];
  for (let y = 0; y < first.length; y++) {
    for (let i = y * cols + first[y]!, to = y * cols + end[y]!; i < to; i++) {
      const v = picture[i]!;
      if (!Number.isFinite(v)) missing++;
      else {
        pixels++;
        sum += v;
        if (variance) noise += variance[i]!;
      }
    }
  }
  const mean = sum / pixels; // NaN where there is none
  for (let y = 0; y < first.length; y++) {
    for (let i = y * cols + first[y]!, to = y * cols + end[y]!; i < to; i++) {
      const v = picture[i]!;
      if (Number.isFinite(v)) squares += (v - mean) ** 2;
    }
  }
  const sd = Math.sqrt(squares / (pixels - 1));
  return { mean, sd, pixels, missing, mean_se: variance ? Math.sqrt(noise) / pixels : sd / Math.sqrt(pixels) };
} // prettier-ignore
