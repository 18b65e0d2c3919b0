import {
  choice, curve, defineOperator, integer, quantity, scalar, WiringError, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { backgroundOf, basisFor, hasLines, MASKS, METHODS } from "./background.ts";
import { carriedBeside, frameField, pixelSize } from "./frame-columns.ts";
import { evaluateRow } from "./plane-fit.ts";

/**
 * Levelling of scanned images: takes off the tilt of the sample and the jumps of the probe from line to line, and
 * gives out what it took off, which while something grows is the signal.
 *
 *     levelled(r, c) = frame(r, c) - P(r, c) - line(r)                  line has neither mean nor slope over the rows
 *
 *     P     polynomial of degree x + y                 [as the frame]   plane-fit.ts has its basis
 *     line  offset of a line                           [as the frame]
 *
 *     method                        P                       line
 *     lines-median-of-differences   mean, slope along y     sums of the median of frame(r, c) - frame(r - 1, c) over c
 *     lines-median                  mean, slope along y     median over c
 *     plane                         plane                   0
 *     plane-and-lines               plane                   median over the c that do not stand out
 *     polynomial                    order_x, order_y        0
 *
 * `mean_removed` is P's mean over the frame, the height of the background; `tilt_x`, `tilt_y` its slope [unit/m], NaN
 * where it is left in. Adding P (from `coefficients`) and `line_offsets` to `levelled` gives the frame back.
 *
 * What stands out of the background by 3 robust standard deviations is masked (background.ts), so that grains do not
 * bend it, over up to some 60 % of the frame. With a quarter of it under grains a `plane` is right to 0.02 of the
 * background's noise, `plane-and-lines` to 0.11, mostly each line's own noise, and the median of differences to 0.42, since
 * its errors add up from line to line; with half of it lines are right to 0.8 at best. Any method by lines takes the edge
 * of a plateau that runs along a line, over half its length, for a jump; use `plane` there.
 *
 * The standard errors are of what is left as roughness, correlated as it is (block-error.ts), and of the lines' jumps
 * as if each were on its own. Drift of the scanner along z is not in them, nor what the mask lets through or cuts off:
 * of the mean 0.005 of the background's noise without grains, 0.06 with a quarter of the frame under grains, 0.2 with
 * half of it, much the same from frame to frame. Works on images of any unit.
 *
 * Reference: Nečas & Klapetek, Cent. Eur. J. Phys. 10, 181 (2012), for lines; Rousseeuw & Leroy, Robust Regression and Outlier Detection (1987).
 */
export const level = defineOperator({
  name: "image/level",
  doc: "Takes tilt and line jumps off scanned images, unbent by tall grains, and gives out what it took off",
  input: { images: {} },
  output: ({ images }) => {
    const field = frameField("images", images);
    const { unit } = field;
    const slope = unit === "m" ? "1" : `${unit}/m`;
    return {
      levelled: { ...images, data: { ...field, type: field.type === "f64" ? "f64" : "f32" } } as Fields,
      offsets: {
        ...Object.fromEntries(carriedBeside(images, OWN)),
        mean_removed: scalar(unit, { uncertainty: "mean_removed_se", doc: "height of the background" }),
        mean_removed_se: scalar(unit),
        tilt_x: scalar(slope, { uncertainty: "tilt_x_se", doc: "that was removed; NaN: none was, or the pixel size is not known" }),
        tilt_x_se: scalar(slope),
        tilt_y: scalar(slope, { uncertainty: "tilt_y_se", doc: "that was removed; NaN: none was, or the pixel size is not known" }),
        tilt_y_se: scalar(slope),
        line_offsets: curve(unit, { uncertainty: "line_offsets_se", doc: "of each row, without mean and slope" }),
        line_offsets_se: curve(unit, { doc: "of the step from the line before, or of the line's median" }),
        coefficients: curve(unit, { doc: "of the polynomial that was removed: mean, rise from the middle to the edge along x, along y, …" }),
        masked: scalar("%", { doc: "of the pixels, as they stand out of the background" }),
      } as Fields,
    };
  },
  config: {
    method: choice(METHODS, "lines-median-of-differences", {
      doc: "what is taken off; after one with lines, a step along a line is lost: plane and polynomial keep it",
    }),
    slope: choice(["remove", "keep"], "remove", {
      doc: "of methods with lines, the slope along y: tilt of the sample, or drift along z",
    }),
    mask: choice(MASKS, "above", {
      doc: "what stands out and does not count for the background: grains (above), pits (below), both, or none of it",
    }),
    order_x: integer(2, { min: 0, max: 5, doc: "of a polynomial, along x" }),
    order_y: integer(2, { min: 0, max: 5, doc: "of a polynomial, along y" }),
    pixel_size: quantity("m", NaN, { min: 1e-15, doc: "default: as the stream's metadata say (pixel_size_x, pixel_size_y)" }),
  },
  start({ method, slope, mask, order_x, order_y, pixel_size }, { inputs }) {
    if (slope === "keep" && !hasLines(method))
      throw new WiringError(`slope: keep is of methods with lines; ${method} has none`);
    const { fields, metadata } = inputs.images as { fields: Fields; metadata: Readonly<Record<string, string>> };
    const field = frameField("images", fields);
    const [rows, cols] = field.shape as [number, number];
    const beside = carriedBeside(fields, OWN).map(([name]) => name);
    const how = { method, slope, mask, orderX: order_x, orderY: order_y };
    const basis = basisFor(rows, cols, how);
    const { x_m, y_m } = pixelSize(pixel_size, metadata);
    const [halfX_m, halfY_m] = [(x_m * (cols - 1)) / 2, (y_m * (rows - 1)) / 2];
    const result = field.type === "f64" ? new Float64Array(rows * cols) : new Float32Array(rows * cols);
    const none = new Float64Array(rows).fill(NaN);
    const along = new Float64Array(cols);

    return {
      step({ images }, out) {
        // Which columns go along is known from the stream only, so the writers take what the schema names.
        const { levelled, offsets } = out as unknown as Record<string, { add(row: object): void }>;
        for (let i = 0; i < images.length; i++) {
          const row = (images as Rows<Fields>).at(i) as unknown as Frame;
          const { time, data } = row;
          const passed = Object.fromEntries(beside.map((name) => [name, row[name]]));
          const found = backgroundOf(data, basis, how);
          if (!found) {
            out.fault(time, `frame is not levelled: the pixels with a value are too few for method ${method}`);
            levelled!.add({ ...row, data: result.fill(NaN) });
            offsets!.add({
              ...passed, time, mean_removed: NaN, mean_removed_se: NaN, tilt_x: NaN, tilt_x_se: NaN, tilt_y: NaN, tilt_y_se: NaN,
              line_offsets: none, line_offsets_se: none, coefficients: new Float64Array(basis.terms.length).fill(NaN), masked: NaN,
            });
            continue;
          }
          for (let r = 0; r < rows; r++) {
            evaluateRow(basis, found.coefficients, r, along);
            for (let c = 0, k = r * cols; c < cols; c++, k++) result[k] = data[k]! - along[c]! - found.lines[r]!;
          }
          levelled!.add({ ...row, data: result });
          offsets!.add({
            ...passed, time, mean_removed: found.mean, mean_removed_se: found.mean_se,
            tilt_x: found.riseX / halfX_m, tilt_x_se: found.riseX_se / halfX_m,
            tilt_y: found.riseY / halfY_m, tilt_y_se: found.riseY_se / halfY_m,
            line_offsets: found.lines, line_offsets_se: found.lines_se, coefficients: found.coefficients,
            masked: 100 * found.masked,
          });
        }
      },
    };
  },
}); // prettier-ignore

interface Frame {
  readonly time: bigint;
  readonly data: Float32Array | Float64Array;
  readonly [column: string]: unknown;
}

const OWN = [
  "mean_removed", "mean_removed_se", "tilt_x", "tilt_x_se", "tilt_y", "tilt_y_se",
  "line_offsets", "line_offsets_se", "coefficients", "masked",
]; // prettier-ignore
