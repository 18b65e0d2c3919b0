import { BlockError } from "./block-error.ts";
import { densest, median, select } from "./order-statistics.ts";
import { basisOf, evaluateRow, fit, type Basis, type Fit } from "./plane-fit.ts";

export const METHODS = [
  "lines-median-of-differences",
  "lines-median",
  "plane",
  "plane-and-lines",
  "polynomial",
] as const;
export const MASKS = ["above", "below", "both", "none"] as const;
type Mask = (typeof MASKS)[number];

export interface How {
  readonly method: (typeof METHODS)[number];
  readonly slope: "remove" | "keep";
  readonly mask: Mask;
  readonly orderX: number;
  readonly orderY: number;
}

/** What is taken off a frame: a polynomial (plane-fit.ts) and of each line its offset. */
export interface Background {
  /** In the order of the basis; 0 for what is left in. */
  readonly coefficients: Float64Array;
  /** Of each row, without mean and slope along y; NaN where it has no value, 0 where the method has no lines. */
  readonly lines: Float64Array;
  /** Of a line's step from the one before, or of its median. */
  readonly lines_se: Float64Array;
  readonly mean: number;
  readonly mean_se: number;
  /** From the middle of the frame to its edge; NaN where left in. */
  readonly riseX: number;
  readonly riseX_se: number;
  readonly riseY: number;
  readonly riseY_se: number;
  /** Share of the pixels with a value that the fit left out. */
  readonly masked: number;
}

export const hasLines = (method: How["method"]): boolean => method !== "plane" && method !== "polynomial";

/** The polynomial that a method fits. */
export const basisFor = (rows: number, cols: number, { method, orderX, orderY }: How): Basis =>
  method === "polynomial" ? basisOf(rows, cols, orderX, orderY) : basisOf(rows, cols, 1, 1);

/** Undefined where the pixels with a value do not fix a background. */
export function backgroundOf(frame: ArrayLike<number>, basis: Basis, how: How): Background | undefined {
  const { rows, cols } = basis;
  const [atX, atY] = [termOf(basis, 1, 0), termOf(basis, 0, 1)];
  const values = Float64Array.from(frame);
  const byLines = hasLines(how.method);

  const again = how.method === "plane-and-lines" || (byLines && how.mask !== "none");
  let lines = byLines ? linesOf(values, basis, how) : noLines(rows);
  let flat = withoutLines(values, lines, cols);
  let found = robustFit(flat, basis, how.mask);
  // Then without what stands out. A line's median depends on the slope along it, where it is masked unevenly.
  for (let pass = 0; found && again && pass < PASSES; pass++) {
    lines = linesOf(values, basis, how, { masked: found.masked, rise: found.fit.coefficients[atX] ?? 0 });
    flat = withoutLines(values, lines, cols);
    found = robustFit(flat, basis, how.mask, found);
  }
  if (!found) return undefined;
  const { masked } = found;
  const { coefficients, inverse, pixels } = found.fit;
  const left = residual(flat, basis, coefficients, masked);
  const { offsets } = lines;
  if (byLines) moveTrend(offsets, coefficients, basis);
  const xStays = atX < 0 || how.method.startsWith("lines");
  const yStays = atY < 0 || (byLines && how.slope === "keep");
  if (xStays && atX >= 0) coefficients[atX] = 0;
  if (yStays && atY >= 0) coefficients[atY] = 0;

  const error = new BlockError(rows, cols, rows * cols);
  const along = new Float64Array(cols);
  const u = new Float64Array(rows * cols);
  const errorOf = (term: number): number => {
    const weights = inverse.slice(term * basis.terms.length, (term + 1) * basis.terms.length);
    for (let r = 0; r < rows; r++) {
      evaluateRow(basis, weights, r, along);
      for (let c = 0, i = r * cols; c < cols; c++, i++) u[i] = along[c]! * left[i]!;
    }
    const fromLines = !byLines || term === atX ? 0 : lineError(offsets, basis.alongY[term === atY ? 1 : 0]!);
    return Math.hypot(error.of(u), fromLines);
  };
  let known = 0;
  for (const value of values) if (value - value === 0) known++;
  return {
    coefficients, lines: offsets, lines_se: lines.errors,
    mean: coefficients[0]!, mean_se: errorOf(0),
    riseX: xStays ? NaN : coefficients[atX]!, riseX_se: xStays ? NaN : errorOf(atX),
    riseY: yStays ? NaN : coefficients[atY]!, riseY_se: yStays ? NaN : errorOf(atY),
    masked: 1 - pixels / known,
  }; // prettier-ignore
}

/**
 * A frame without its tilt and, with `byLines`, without the jumps of its lines, for telling two levels apart: each of
 * them may cover any share of it.
 */
export function roughlyFlat(values: Float64Array, rows: number, cols: number, byLines: boolean): Float64Array | undefined {
  const basis = basisOf(rows, cols, 1, 1);
  const how = { method: "lines-median-of-differences", slope: "remove", mask: "both", orderX: 1, orderY: 1 } as const;
  const flat = byLines ? withoutLines(values, linesOf(values, basis, how), cols) : values;
  const found = robustFit(flat, basis, "both");
  return found && difference(flat, basis, found.fit.coefficients);
} // prettier-ignore

/** Place of a term among the coefficients; -1 where the frame is too narrow for it. */
const termOf = ({ terms }: Basis, x: number, y: number): number =>
  terms.findIndex(([dx, dy]) => dx === x && dy === y);

function withoutLines(values: Float64Array, { offsets }: Lines, cols: number): Float64Array {
  return values.map((z, i) => z - offsets[Math.floor(i / cols)]!);
}

/** What a fit leaves of the pixels that it took; 0 elsewhere. */
function residual(values: Float64Array, basis: Basis, coefficients: Float64Array, masked: Uint8Array): Float64Array {
  const left = difference(values, basis, coefficients);
  for (let i = 0; i < left.length; i++) if (left[i]! - left[i]! !== 0 || masked[i]) left[i] = 0;
  return left;
} // prettier-ignore

function difference(values: Float64Array, basis: Basis, coefficients: Float64Array): Float64Array {
  const { rows, cols } = basis;
  const left = new Float64Array(values.length);
  const along = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    evaluateRow(basis, coefficients, r, along);
    for (let c = 0, i = r * cols; c < cols; c++, i++) left[i] = values[i]! - along[c]!;
  }
  return left;
}

// The fit that tall grains do not bend.

interface Robust {
  readonly fit: Fit;
  readonly masked: Uint8Array;
}

const ROUNDS = 10;
/** Turns of lines and plane: with a third the lines get no better. */
const PASSES = 2;
/** Share of the pixels whose mark may still change. */
const SETTLED = 1e-3;
/** Share of the pixels that must be background. */
const DENSEST = 1 / 3;
/** Robust standard deviations from the background to what stands out of it. */
const STANDS_OUT = 3;

/**
 * Least squares over the pixels that do not stand out by more than 3 σ, found in turns. The background is where the
 * residuals lie closest (their mode), and σ comes from their side where nothing stands out: grains, however many and
 * tall, are on the other. It begins with the median slope between distant pixels, up and down grains alike.
 */
function robustFit(values: Float64Array, basis: Basis, mask: Mask, before?: Robust): Robust | undefined {
  const masked = new Uint8Array(values.length);
  if (mask === "none") {
    const all = fit(values, basis);
    return all && { fit: all, masked };
  }
  const plane = basisOf(basis.rows, basis.cols, 1, 1);
  let left = before
    ? difference(values, basis, before.fit.coefficients)
    : difference(values, plane, medianSlopes(values, plane));
  let found: Fit | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const changed = maskOut(left, mask, masked);
    if (found && changed <= values.length * SETTLED) break;
    found = fit(values, basis, masked) ?? found;
    if (!found) return undefined;
    left = difference(values, basis, found.coefficients);
  }
  return found && { fit: found, masked };
} // prettier-ignore

/** Marks what stands out; returns how many marks have changed. */
function maskOut(left: Float64Array, mask: Mask, masked: Uint8Array): number {
  const sorted = sampleOf(left).sort();
  const rough = densest(sorted, DENSEST);
  const centre = meanWithin(sorted, rough, sigmaOf(sorted, rough, mask)); // the mode alone is unsteady
  const sigma = sigmaOf(sorted, centre, mask);
  const [low, high] = [centre - STANDS_OUT * sigma, centre + STANDS_OUT * sigma];
  let changed = 0;
  for (let i = 0; i < left.length; i++) {
    const v = left[i]!;
    const out = (v > high && mask !== "below") || (v < low && mask !== "above") ? 1 : 0;
    if (out !== masked[i]) changed++;
    masked[i] = out;
  }
  return changed;
} // prettier-ignore

/** Of the background, from the side where nothing stands out. */
function sigmaOf(sorted: Float64Array, centre: number, mask: Mask): number {
  const [below, above] = [spreadBelow(sorted, centre), spreadAbove(sorted, centre)];
  const spread = mask === "above" ? below : mask === "below" ? above : Math.min(below || above, above || below);
  // Of a noiseless, quantised frame more than half can lie on the mode itself.
  return spread || Math.max(below, above);
} // prettier-ignore

function meanWithin(sorted: Float64Array, centre: number, reach: number): number {
  let [n, sum] = [0, 0];
  for (const v of sorted) {
    if (!(Math.abs(v - centre) <= reach)) continue;
    n++;
    sum += v - centre;
  }
  return n === 0 ? centre : centre + sum / n;
}

/** σ of a bell whose middle and one side are known: 0.6745 σ is its median distance. */
function spreadBelow(sorted: Float64Array, centre: number): number {
  let n = 0;
  while (n < sorted.length && sorted[n]! < centre) n++;
  return n === 0 ? 0 : (centre - sorted[n >> 1]!) / 0.6745;
}
const spreadAbove = (sorted: Float64Array, centre: number): number =>
  spreadBelow(sorted.map((v) => -v).reverse(), -centre);

const SAMPLE = 1 << 12;

/** Some 4,000 of the finite values, spread over the frame. */
function sampleOf(values: Float64Array): Float64Array {
  const every = Math.max(1, Math.floor(values.length / SAMPLE)) | 1; // odd: not always the same columns
  const sample = new Float64Array(Math.ceil(values.length / every));
  let n = 0;
  for (let i = 0; i < values.length; i += every) if (values[i]! - values[i]! === 0) sample[n++] = values[i]!;
  return sample.subarray(0, n);
}

/** A plane with the median slope of pairs of pixels a quarter of the frame apart. */
function medianSlopes(values: Float64Array, { rows, cols, terms }: Basis): Float64Array {
  const apart = (stepX: number, stepY: number): number => {
    const found = new Float64Array(values.length);
    for (let r = 0; r < rows; r++) {
      for (let c = 0, i = r * cols; c < cols; c++, i++) {
        const [x, y] = [c + stepX, r + stepY];
        found[i] = x < cols && y < rows ? values[y * cols + x]! - values[i]! : NaN;
      }
    }
    return median(sampleOf(found)) || 0;
  };
  const [lagX, lagY] = [Math.max(1, cols >> 2), Math.max(1, rows >> 2)];
  return Float64Array.from(terms, ([x, y]) =>
    x === 1 ? (apart(lagX, 0) / lagX) * ((cols - 1) / 2) : y === 1 ? (apart(0, lagY) / lagY) * ((rows - 1) / 2) : 0,
  );
} // prettier-ignore

// Lines

interface Lines {
  readonly offsets: Float64Array;
  readonly errors: Float64Array;
}

const noLines = (rows: number): Lines => ({
  offsets: new Float64Array(rows),
  errors: new Float64Array(rows),
});

/**
 * Offset of each line: its median, or the sum of the median differences between each and the one before. With
 * `plane-and-lines` the differences serve to find what stands out, then medians of the rest do not add up errors.
 */
function linesOf(
  values: Float64Array, basis: Basis, { method, slope }: How, without?: { masked: Uint8Array; rise: number },
): Lines {
  const { rows, cols } = basis;
  const lines = { offsets: new Float64Array(rows).fill(NaN), errors: new Float64Array(rows).fill(NaN) };
  const tilt = Float64Array.from(basis.alongX[1] ?? [0], (x) => (without?.rise ?? 0) * x);
  const found = new Float64Array(cols);
  /** Of row r, or of its differences to an earlier one, what has a value; where enough are left without the masked. */
  const collect = (r: number, before: number): Float64Array => {
    for (const unmasked of without ? [true, false] : [false]) {
      let n = 0;
      for (let c = 0; c < cols; c++) {
        const [i, j] = [r * cols + c, before * cols + c];
        const z = before < 0 ? values[i]! - tilt[c]! : values[i]! - values[j]!;
        if (z - z !== 0 || (unmasked && (without!.masked[i] || (before >= 0 && without!.masked[j])))) continue;
        found[n++] = z;
      }
      if (!unmasked || n >= Math.max(8, cols / 10)) return found.subarray(0, n);
    }
    return found;
  };
  let begun = false;
  for (let r = 0; r < rows; r++) {
    if (method === "lines-median" || (method === "plane-and-lines" && without)) {
      const line = collect(r, -1);
      if (line.length > 0) [lines.offsets[r], lines.errors[r]] = medianWithError(line);
      continue;
    }
    // Where a line has no pixel in common with the one before it, with the last that has.
    let before = r - 1;
    let steps: Float64Array = new Float64Array(0);
    while (before >= 0) {
      if (!Number.isNaN(lines.offsets[before])) steps = collect(r, before);
      if (steps.length > 0) break;
      before--;
    }
    if (before >= 0) {
      const [step, step_se] = medianWithError(steps);
      lines.offsets[r] = lines.offsets[before]! + step;
      lines.errors[r] = step_se;
    } else if (!begun && collect(r, -1).length > 0) {
      lines.offsets[r] = 0; // has none before it
      begun = true;
    }
  }
  if (slope === "keep") moveTrend(lines.offsets, new Float64Array(basis.terms.length), basis);
  return lines;
} // prettier-ignore

/** Columns whose values are taken as one: neighbours are correlated. */
const STRETCH = 16;

/** Median along a line, and its standard error from how the signs of the distances to it add up in stretches. */
function medianWithError(line: Float64Array): [middle: number, se: number] {
  const n = line.length;
  const work = line.slice();
  const middle = median(work);
  // Of a bell the density at the median is 1 / (1.858 × the distance between its quartiles).
  const between = select(work, Math.floor((3 * (n - 1)) / 4)) - select(work, Math.floor((n - 1) / 4));
  let squares = 0;
  for (let from = 0; from < n; from += STRETCH) {
    let signs = 0;
    for (let i = from; i < Math.min(n, from + STRETCH); i++) signs += Math.sign(line[i]! - middle);
    squares += signs * signs;
  }
  return [middle, n < 2 * STRETCH ? NaN : (1.858 * between * Math.sqrt(squares)) / (2 * n)];
}

/** Takes mean and slope along y out of the offsets and adds them to the plane. */
function moveTrend(offsets: Float64Array, coefficients: Float64Array, basis: Basis): void {
  const y = basis.alongY[1];
  let [n, sum, along, product, square] = [0, 0, 0, 0, 0];
  for (let r = 0; r < offsets.length; r++) {
    if (Number.isNaN(offsets[r])) continue;
    n++;
    sum += offsets[r]!;
    along += y?.[r] ?? 0;
    product += offsets[r]! * (y?.[r] ?? 0);
    square += (y?.[r] ?? 0) ** 2;
  }
  if (n === 0) return;
  const spread = square - (along * along) / n;
  const slope = spread > 1e-12 * square ? (product - (along * sum) / n) / spread : 0;
  const mean = (sum - slope * along) / n;
  for (let r = 0; r < offsets.length; r++) offsets[r]! -= mean + slope * (y?.[r] ?? 0);
  coefficients[0]! += mean;
  const atY = termOf(basis, 0, 1);
  if (atY >= 0) coefficients[atY]! += slope;
}

/** What the lines' jumps, each on its own, leave unsure of a mean (weights 1) or a slope along y. */
function lineError(offsets: Float64Array, weights: Float64Array): number {
  let [jumps, square] = [0, 0];
  for (let r = 0; r < offsets.length; r++) {
    if (Number.isNaN(offsets[r])) continue;
    jumps += (weights[r]! * offsets[r]!) ** 2;
    square += weights[r]! ** 2;
  }
  return Math.sqrt(jumps) / square;
}
