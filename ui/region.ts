/**
 * A part of an image, and the mean of what lies in it. Places are pixels, x the column and y the row downwards, from 0
 * at the middle of the first; written as operators take them in an option `regions`.
 *
 *     x0,y0,x1,y1     columns x0 ≤ x < x1 of rows y0 ≤ y < y1
 *     circle x,y,r    pixels whose middle is no further than r from (x, y)
 *
 *     mean = Σ v / n          over the pixels that were measured
 *     se   = √(Σ se²) / n     where the standard error of each pixel is known, taken as independent
 *          = sd / √n          otherwise, from how the pixels scatter
 */
export type Region =
  | { readonly kind: "rectangle"; readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number }
  | { readonly kind: "circle"; readonly x: number; readonly y: number; readonly r: number }; // prettier-ignore

export interface RegionMean {
  readonly mean: number;
  readonly se: number;
  /** Pixels that were measured. */
  readonly n: number;
}

export type Size = readonly [rows: number, columns: number];
type Point = readonly [x: number, y: number];

const tenth = (value: number): number => Math.round(value * 10) / 10;

/** A rectangle that two points span, of at least a pixel; or the circle about the first that passes the second. On the image. */
export function regionBetween(kind: Region["kind"], a: Point, b: Point, size: Size): Region | undefined {
  if (kind === "rectangle") {
    const [x0, x1] = [Math.round(Math.min(a[0], b[0])), Math.round(Math.max(a[0], b[0])) + 1];
    const [y0, y1] = [Math.round(Math.min(a[1], b[1])), Math.round(Math.max(a[1], b[1])) + 1];
    return onImage({ kind, x0, y0, x1, y1 }, size);
  }
  return onImage(
    { kind, x: tenth(a[0]), y: tenth(a[1]), r: tenth(Math.hypot(b[0] - a[0], b[1] - a[1])) },
    size,
  );
}

/** What of it lies on the image: rectangles are cut, circles shrink. Undefined where nothing is left. */
export function onImage(region: Region, [rows, columns]: Size): Region | undefined {
  if (region.kind === "rectangle") {
    const [x0, y0] = [Math.max(0, Math.round(region.x0)), Math.max(0, Math.round(region.y0))];
    const [x1, y1] = [Math.min(columns, Math.round(region.x1)), Math.min(rows, Math.round(region.y1))];
    return x1 > x0 && y1 > y0 ? { kind: "rectangle", x0, y0, x1, y1 } : undefined;
  }
  const { x, y } = region;
  const room = Math.min(x + 0.5, y + 0.5, columns - 0.5 - x, rows - 0.5 - y);
  const r = Math.min(region.r, Math.floor(room * 10) / 10);
  return r >= 0 ? { kind: "circle", x, y, r } : undefined;
}

/** As an option `regions` takes it. */
export const regionText = (region: Region): string =>
  region.kind === "circle"
    ? `circle ${region.x},${region.y},${region.r}`
    : `${region.x0},${region.y0},${region.x1},${region.y1}`;

export function regionMean(
  values: ArrayLike<number>,
  [rows, columns]: Size,
  region: Region,
  errors?: ArrayLike<number>,
): RegionMean {
  let [n, sum, squares, variances] = [0, 0, 0, 0];
  let origin = 0; // of the sums, so that the scatter of values far from zero stays exact
  const take = (i: number): void => {
    const value = values[i]!;
    if (!Number.isFinite(value)) return;
    if (n === 0) origin = value;
    n++;
    sum += value - origin;
    squares += (value - origin) ** 2;
    if (errors) variances += errors[i]! ** 2;
  };
  if (region.kind === "rectangle") {
    const [yEnd, xEnd] = [Math.min(rows, region.y1), Math.min(columns, region.x1)];
    for (let y = Math.max(0, region.y0); y < yEnd; y++)
      for (let x = Math.max(0, region.x0); x < xEnd; x++) take(y * columns + x);
  } else {
    const { x: middle, y: centre, r } = region;
    const yEnd = Math.min(rows, Math.floor(centre + r) + 1);
    for (let y = Math.max(0, Math.ceil(centre - r)); y < yEnd; y++) {
      const half = Math.sqrt(r ** 2 - (centre - y) ** 2);
      const xEnd = Math.min(columns, Math.floor(middle + half) + 1);
      for (let x = Math.max(0, Math.ceil(middle - half)); x < xEnd; x++) take(y * columns + x);
    }
  }
  const mean = n > 0 ? origin + sum / n : NaN;
  const se = errors
    ? Math.sqrt(variances) / n
    : Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1) / n);
  return { mean, se, n };
}
