import {
  choice, code, defineOperator, image, quantity, REQUIRED, scalar, WiringError, type ConfigOf, type Fields, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import { fft, powerOfTwo } from "../fft.ts";
import { fillGaps } from "./line-integrals.ts";
import { PER_VIEW, perViewAt, perViewFields, perViewNames } from "./per-view.ts";

/** What the filter is made for. */
export interface LowPass {
  readonly rows: number;
  readonly cols: number;
  /** α across and along the rows, in squares of their pixels. */
  readonly alphaRow_px2: number;
  readonly alphaCol_px2: number;
}

/**
 * The low pass of single-distance phase retrieval, in place on `rows × cols` numbers in a grid of `stride` columns:
 *
 *     F[u] / (1 + α k²)      k  angular frequency [rad/px]
 *
 * Beyond its edges the image goes on as if mirrored, so that what leaves on the right does not come in on the left:
 * the transform is a cosine transform, which is the Fourier transform of the mirrored image at a quarter of its size.
 * Sizes that are no powers of two are filled up with the edge's values first.
 *
 * A row's cosine transform (DCT-II) is an FFT of its even samples followed by its odd ones backwards, turned by a
 * quarter of the angle; it is linear, so two rows, or two columns, ride as the real and the imaginary part of one
 * (Makhoul, IEEE Trans. ASSP 28, 27 (1980)).
 */
export function lowPass({ rows, cols, alphaRow_px2, alphaCol_px2 }: LowPass): Filter {
  const height = powerOfTwo(rows);
  const width = powerOfTwo(cols);
  const grid = new Float64Array(height * width);
  const along = cosineTransform(width);
  const across = cosineTransform(height);
  // Spectra of pairs of rows are kept side by side; eight columns are read at a time, since they share cache lines.
  const [re, im] = [new Float64Array(width), new Float64Array(width)];
  const columns = Array.from({ length: 8 }, () => new Float64Array(height));
  const growth = (alpha_px2: number, n: number): Float64Array =>
    Float64Array.from({ length: n }, (_, k) => alpha_px2 * ((Math.PI * k) / n) ** 2);
  const down = growth(alphaRow_px2, height);
  const right = growth(alphaCol_px2, width);
  const norm = 1 / (height * width);

  function rowPairs(turn: (re: Float64Array, im: Float64Array) => void): void {
    for (let r = 0; r < height; r += 2) {
      const one = r * width;
      const paired = height > 1;
      re.set(grid.subarray(one, one + width));
      if (paired) im.set(grid.subarray(one + width, one + 2 * width));
      else im.fill(0);
      turn(re, im);
      grid.set(re, one);
      if (paired) grid.set(im, one + width);
    }
  }

  function columnPairs(): void {
    const block = Math.min(8, width);
    for (let c = 0; c < width; c += block) {
      for (let r = 0, i = c; r < height; r++, i += width) {
        for (let b = 0; b < block; b++) columns[b]![r] = grid[i + b]!;
      }
      for (let b = 0; b < block; b += 2) {
        const one = columns[b]!;
        const other = columns[b + 1]!; // of a single column it stays zero
        across.forward(one, other);
        const [g, h] = [1 + right[c + b]!, 1 + (right[c + b + 1] ?? 0)];
        for (let k = 0; k < height; k++) {
          one[k]! *= norm / (g + down[k]!);
          other[k]! *= norm / (h + down[k]!);
        }
        across.inverse(one, other);
      }
      for (let r = 0, i = c; r < height; r++, i += width) {
        for (let b = 0; b < block; b++) grid[i + b] = columns[b]![r]!;
      }
    }
  }

  return {
    grid,
    stride: width,
    apply() {
      for (let r = 0; r < rows; r++)
        grid.fill(grid[r * width + cols - 1]!, r * width + cols, (r + 1) * width);
      for (let r = rows; r < height; r++) grid.copyWithin(r * width, (rows - 1) * width, rows * width);
      rowPairs(along.forward);
      columnPairs();
      rowPairs(along.inverse);
    },
  };
}

export interface Filter {
  /** The image, row after row in `stride` columns; put in, and taken out after `apply`. */
  readonly grid: Float64Array;
  readonly stride: number;
  apply(): void;
}

/** DCT-II of two real rows of n numbers, a power of two, in place; and back, n times too large. */
function cosineTransform(n: number): { forward(one: Float64Array, other: Float64Array): void; inverse(one: Float64Array, other: Float64Array): void } {
  const { forward, inverse, place } = fft(n);
  const cos = Float64Array.from({ length: n }, (_, k) => Math.cos((Math.PI * k) / (2 * n)));
  const sin = Float64Array.from({ length: n }, (_, k) => Math.sin((Math.PI * k) / (2 * n)));
  const [re, im] = [new Float64Array(n), new Float64Array(n)];
  return {
    forward(one, other) {
      for (let i = 0; 2 * i < n; i++) {
        re[i] = one[2 * i]!;
        im[i] = other[2 * i]!;
        if (2 * i + 1 === n) break;
        re[n - 1 - i] = one[2 * i + 1]!;
        im[n - 1 - i] = other[2 * i + 1]!;
      }
      forward(re, im);
      one[0] = re[0]!;
      other[0] = im[0]!;
      // X[k] = (w V[k] + w* V[n-k]) / 2,  X[n-k] = i (w V[k] - w* V[n-k]) / 2,  w = exp(-iπk / 2n)
      for (let k = 1; 2 * k <= n; k++) {
        const a = place[k]!, b = place[n - k]!; // prettier-ignore
        const pR = re[a]! * cos[k]! + im[a]! * sin[k]!, pI = im[a]! * cos[k]! - re[a]! * sin[k]!; // prettier-ignore
        const qR = re[b]! * cos[k]! - im[b]! * sin[k]!, qI = im[b]! * cos[k]! + re[b]! * sin[k]!; // prettier-ignore
        one[k] = (pR + qR) / 2;
        other[k] = (pI + qI) / 2;
        if (2 * k === n) break;
        one[n - k] = (qI - pI) / 2;
        other[n - k] = (pR - qR) / 2;
      }
    },
    inverse(one, other) {
      re[0] = one[0]!;
      im[0] = other[0]!;
      // V[k] = w* (X[k] - i X[n-k]),  V[n-k] = w (X[k] + i X[n-k])
      for (let k = 1; 2 * k <= n; k++) {
        const a = place[k]!, b = place[n - k]!; // prettier-ignore
        const pR = one[k]! + other[n - k]!, pI = other[k]! - one[n - k]!; // prettier-ignore
        const qR = one[k]! - other[n - k]!, qI = other[k]! + one[n - k]!; // prettier-ignore
        re[a] = pR * cos[k]! - pI * sin[k]!;
        im[a] = pI * cos[k]! + pR * sin[k]!;
        re[b] = qR * cos[k]! + qI * sin[k]!;
        im[b] = qI * cos[k]! - qR * sin[k]!;
      }
      inverse(re, im);
      for (let i = 0; 2 * i < n; i++) {
        one[2 * i] = re[i]!;
        other[2 * i] = im[i]!;
        if (2 * i + 1 === n) break;
        one[2 * i + 1] = re[n - 1 - i]!;
        other[2 * i + 1] = im[n - 1 - i]!;
      }
    },
  };
} // prettier-ignore

const OPTIONS = {
  delta_beta: quantity("1", REQUIRED, { min: 1e-3, doc: "delta / beta of the sample's main material at this energy, as 500" }),
  energy: quantity("keV", NaN, { min: 0.01, doc: "of the photons; default the stream's energy_keV" }),
  distance: quantity("m", NaN, { min: 0, doc: "sample to detector; default the stream's detector_distance" }),
  pixel_size: quantity("m", NaN, { min: 1e-12, doc: "at the sample; default the stream's sample_pixel_size_x and _y" }),
  output: choice(["contact", "thickness"], "contact", { doc: "transmission as if measured right behind the sample, or thickness" }),
  mu: quantity("1/m", NaN, { min: 1e-9, doc: "linear attenuation coefficient of the material, for output: thickness" }),
}; // prettier-ignore

type Config = ConfigOf<typeof OPTIONS>;

const PORT = { contact: "projections", thickness: "thickness" } as const;

/** What an image is filtered with, and what it was made from. */
interface Alpha {
  readonly alphaRow_px2: number;
  readonly alphaCol_px2: number;
  /** Pixel² / (λ z): well under 1 the images of edges are fringes, which this formula does not know. */
  readonly fresnelNumber: number;
}

/** From the options, and where these say nothing from the stream; or a list of what is missing. */
function alphaOf(config: Config, metadata: Schema["metadata"]): Alpha | string[] {
  const missing: string[] = [];
  const find = (given: number, option: string, stated: string): number => {
    const value = Number.isNaN(given) ? Number(metadata[stated] ?? NaN) : given;
    if (!(value > 0 && value < Infinity) && !(value === 0 && option === "distance")) {
      const why = stated in metadata ? `the stream's ${stated} is "${metadata[stated]}"` : `the stream does not say ${stated}`; // prettier-ignore
      missing.push(
        option ? `${option}: give it, ${why}` : `${stated}: ${why}; give the source its distances`,
      );
    }
    return value;
  };
  const geometry = metadata["geometry"] ?? "parallel";
  const energy_keV = find(config.energy, "energy", "energy_keV");
  const distance_m = find(config.distance, "distance", "detector_distance");
  const source_m = geometry === "parallel" ? Infinity : find(NaN, "", "source_distance");
  const pixelCol_m = find(config.pixel_size, "pixel_size", "sample_pixel_size_x");
  const stated = Number(metadata["sample_pixel_size_y"] ?? NaN);
  const pixelRow_m = Number.isNaN(config.pixel_size) && stated > 0 ? stated : pixelCol_m;
  if (config.output === "thickness" && Number.isNaN(config.mu)) missing.push("mu: give it, thickness is -ln T / mu"); // prettier-ignore
  if (missing.length > 0) return missing;

  const wavelength_m = 1.239841984332003e-9 / energy_keV; // h c / E
  const magnification = 1 + distance_m / source_m;
  const reach_m2 = (wavelength_m * distance_m) / magnification;
  const alpha_m2 = (reach_m2 * config.delta_beta) / (4 * Math.PI);
  return {
    alphaRow_px2: alpha_m2 / pixelRow_m ** 2,
    alphaCol_px2: alpha_m2 / pixelCol_m ** 2,
    fresnelNumber: pixelCol_m ** 2 / reach_m2,
  };
}

/**
 * Phase retrieval from one distance: takes back what propagation did to the edges of a sample of one material, which
 * lowers the noise of weakly absorbing samples many times over.
 *
 *     T0 = F⁻¹[ F[T] / (1 + α k²) ],   α = λ z (δ/β) / (4π M),   t = -ln T0 / μ
 *
 *     T    transmission at the detector             [1]    (row, col)
 *     T0   transmission right behind the sample     [1]    (row, col)
 *     t    thickness of the material along the ray  [m]    (row, col)
 *     k    angular spatial frequency at the sample  [1/m]
 *     λ    wavelength                               [m]    1.2398e-9 / energy in keV
 *     z    distance from the sample to the detector [m]
 *     M    magnification, (source distance + z) / source distance in a fan or cone beam, 1 in a parallel one
 *     δ, β refractive index n = 1 - δ + iβ;  μ = 4πβ/λ, so α = z δ / (μ M)
 *     α    [m²]; the square of the distance over which edges are smoothed
 *
 * Holds for one material (for another beside it edges come out too smooth or too sharp), one energy, and the near
 * field, pixel² > λ z / M, which is the stream's `fresnel_number`. Of line integrals come line integrals.
 * Beyond its edges the image is taken as mirrored. Pixels without a value are interpolated before and put back
 * after, counted in `filled`; a view with fewer than half of its pixels is a fault and is left out.
 *
 * Reference: Paganin et al., J. Microsc. 206, 33 (2002).
 */
export const phase = defineOperator({
  name: "tomography/phase",
  doc: "Phase retrieval from one distance (Paganin): contact image or thickness",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, config, { projections: metadata }) => {
    const [rows] = projections.data.shape as (number | string)[];
    // Sizes and metadata are known together, when the stream begins.
    if (typeof rows === "number") {
      const alpha = alphaOf(config, metadata ?? {});
      if (Array.isArray(alpha)) throw new WiringError(alpha.join("; "));
      if (rows < 2) throw new WiringError("projections have a single row; phase retrieval needs those above and below it, take whole frames"); // prettier-ignore
    }
    const rest = {
      rotation_angle: projections.rotation_angle,
      filled: code({ doc: "pixels that were interpolated before, and are missing again" }),
      ...(perViewFields(projections) as object),
    };
    const { quantity: _, ...plain } = projections.data;
    return (
      config.output === "contact"
        ? { projections: { data: { ...projections.data, type: "f32" as const }, ...rest } }
        : {
            thickness: {
              data: { ...plain, unit: "m", type: "f32" as const, quantity: "thickness" },
              ...rest,
            },
          }
    ) as { projections: { data: typeof projections.data } & typeof rest };
  },
  metadata: ({ projections }, config) => {
    const alpha = alphaOf(config, projections!.metadata);
    if (Array.isArray(alpha)) return {};
    const said = { paganin_alpha_px2: String(alpha.alphaCol_px2), fresnel_number: String(alpha.fresnelNumber) };
    return { [PORT[config.output]]: { ...projections!.metadata, ...said } };
  }, // prettier-ignore
  config: OPTIONS,
  key: "row",
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const data = fields["data"]!;
    const [rows, cols] = data.shape as [number, number];
    const integrals = data.quantity === "line integral";
    const others = perViewNames(fields as Fields);
    const alpha = alphaOf(config, metadata);
    if (Array.isArray(alpha)) throw new WiringError(alpha.join("; "));
    const filter = lowPass({ rows, cols, ...alpha });
    const { grid, stride } = filter;
    const port = PORT[config.output];
    const retrieved = new Float32Array(rows * cols);
    const scale = config.output === "thickness" ? 1 / config.mu : 1;
    const logged = integrals || config.output === "thickness";

    /** Puts an image into the filter, its gaps filled; says how many there were. */
    function put(frame: Float32Array): number {
      let filled = 0;
      const empty = new Set<number>();
      for (let r = 0; r < rows; r++) {
        const row = grid.subarray(r * stride, r * stride + cols);
        for (let c = 0; c < cols; c++) {
          const x = frame[r * cols + c]!;
          row[c] = !Number.isFinite(x) ? NaN : integrals ? Math.exp(-x) : x;
        }
        const gaps = fillGaps(row);
        filled += gaps;
        if (gaps === cols) empty.add(r);
      }
      if (2 * filled <= rows * cols) for (const r of empty) fillRow(r, empty);
      return filled;
    }

    /** A row without any value, from the nearest rows that have some. */
    function fillRow(r: number, empty: ReadonlySet<number>): void {
      let [above, below] = [r, r];
      while (empty.has(above)) above--;
      while (empty.has(below)) below++;
      if (above < 0) above = below;
      if (below >= rows) below = above;
      const share = above === below ? 0 : (r - above) / (below - above);
      for (let c = 0; c < cols; c++) {
        const one = grid[above * stride + c]!;
        grid[r * stride + c] = one + share * (grid[below * stride + c]! - one);
      }
    }

    function take(frame: Float32Array): void {
      for (let r = 0, i = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++, i++) {
          const T0 = grid[r * stride + c]!;
          retrieved[i] = !Number.isFinite(frame[i]!) ? NaN : !logged ? T0 : T0 > 0 ? -Math.log(T0) * scale : NaN;
        }
      }
    } // prettier-ignore

    return {
      step({ projections }, out) {
        const writer = (out as unknown as Record<string, { add(row: object): void }>)[port]!;
        for (let i = 0; i < projections.length; i++) {
          const { time, data: frame, rotation_angle } = projections.at(i);
          const filled = put(frame);
          if (2 * filled > rows * cols) {
            out.fault(time, `${rows * cols - filled} of ${rows * cols} pixels have a value, the view is left out; ` +
              "look for a closed shutter or a detector without flat field"); // prettier-ignore
            continue;
          }
          filter.apply();
          take(frame);
          writer.add({
            time,
            data: retrieved,
            rotation_angle,
            filled,
            ...perViewAt(projections.columns, others, i),
          });
        }
      },
    };
  },
});
