import type { Point } from "./charge-windows.ts";
import { leastSquares } from "./least-squares.ts";

/**
 * Peaks of dQ/dV along one curve.
 *
 *     height      dQ/dV at the peak's top, of a parabola through the points within a quarter of a window of it
 *     prominence  height less the higher of the lowest places on either side, up to a higher peak or the curve's end
 *     width       full width at half of the prominence
 *     area        charge that passed within it (of a logistic step of charge a: 0.7071 a)
 *     voltage     where d(dQ/dV)/dV, a line through the points about the top, is zero
 *
 * For a logistic step Q = a / (1 + exp(-(V - V_i) / w)): height a / 4w, width 3.5255 w. Errors are carried over from those
 * of dQ/dV at the top and at the half height; that of the voltage from the slope at the top alone, which is up to twice too much. A peak is one whose prominence is beyond `significance` standard errors and
 * above a share of the largest height. Where noise is a tenth of the height, that is still some 3 % too high, since a peak is looked for
 * where the noise has one.
 */
export interface Peak {
  readonly voltage: number;
  readonly voltage_se: number;
  readonly height: number;
  readonly height_se: number;
  readonly width: number;
  readonly width_se: number;
  readonly area: number;
  readonly area_se: number;
  readonly prominence: number;
}

export interface PeakSettings {
  readonly half_V: number;
  readonly share: number;
  readonly significance: number;
}

export function peaksOf(points: readonly Point[], settings: PeakSettings): Peak[] {
  const told = points.filter(({ dq_dv }) => Number.isFinite(dq_dv));
  let largest = 0;
  for (const { dq_dv } of told) largest = Math.max(largest, dq_dv);
  const found: Peak[] = [];
  for (let top = 1; top + 1 < told.length; top++) {
    const { dq_dv: height, dq_dv_se: height_se } = told[top]!;
    if (!(height >= told[top - 1]!.dq_dv && height > told[top + 1]!.dq_dv) || height <= 0) continue;
    const foot = Math.max(lowest(told, top, -1), lowest(told, top, 1));
    const prominence = height - foot;
    if (prominence < settings.share * largest || !(prominence > settings.significance * height_se)) continue;
    found.push(peakAt(told, top, foot, settings.half_V));
  }
  return found.sort((a, b) => a.voltage - b.voltage);
}

/** Lowest place on one side, up to one that is higher than the top. */
function lowest(points: readonly Point[], top: number, way: number): number {
  let least = Infinity;
  for (let i = top + way; i >= 0 && i < points.length; i += way) {
    if (points[i]!.dq_dv > points[top]!.dq_dv) break;
    least = Math.min(least, points[i]!.dq_dv);
  }
  return least;
}

function peakAt(points: readonly Point[], top: number, lowest: number, half_V: number): Peak {
  const { dq_dv, dq_dv_se: height_se, voltage: top_V } = points[top]!;
  const { smooth, ...placed } = place(points, top, half_V, top_V);
  const height = smooth > lowest ? smooth : dq_dv;
  const prominence = height - lowest;
  /** Where the curve passes a share of the prominence, on either side. */
  const flanks = (share: number) =>
    ([-1, 1] as const).map((way) => flank(points, top, way, height - prominence * (1 - share)));
  const [before, after] = flanks(0.5) as [Flank, Flank];
  const [low, high] = [flanks(0.25), flanks(0.75)];
  const [riseBefore, riseAfter] = [0, 1].map(
    (i) => (0.5 * prominence) / Math.abs(high[i]!.voltage - low[i]!.voltage),
  ) as [number, number];
  const width = Math.abs(after.voltage - before.voltage);
  // An edge moves by what is wrong there, less half of what is wrong at the top.
  const steep = 1 / riseBefore + 1 / riseAfter;
  const width_se = Math.hypot(before.se / riseBefore, after.se / riseAfter, (height_se / 2) * steep);
  return {
    ...placed,
    height,
    height_se,
    width,
    width_se,
    area: Math.abs(after.capacity - before.capacity),
    area_se: Math.hypot(width_se * (height - prominence / 2), before.capacity_se, after.capacity_se),
    prominence,
  };
}

/** Where the curve passes a height on one side of the top, between two points. */
type Flank = ReturnType<typeof flank>;

function flank(points: readonly Point[], top: number, way: number, level: number) {
  let i = top + way;
  while (i + way >= 0 && i + way < points.length && points[i]!.dq_dv > level) i += way;
  const [a, b] = [points[i - way]!, points[i]!];
  const part = Math.min(1, (a.dq_dv - level) / (a.dq_dv - b.dq_dv));
  const between = (of: (point: Point) => number): number => of(a) + part * (of(b) - of(a));
  return {
    voltage: between(({ voltage }) => voltage),
    capacity: between(({ capacity }) => capacity),
    capacity_se: b.capacity_se,
    se: between(({ dq_dv_se }) => dq_dv_se),
  };
}

/**
 * Zero of a line through the slopes of the points about the top; the top itself where it lies beyond them. And the height
 * there, of a parabola through these points: the highest of noisy points is too high.
 */
function place(points: readonly Point[], top: number, half_V: number, top_V: number) {
  const near = (i: number): boolean =>
    i >= 0 && i < points.length && Math.abs(points[i]!.voltage - top_V) <= half_V / 2;
  let from = top, to = top; // prettier-ignore
  while (near(from - 1)) from--;
  while (near(to + 1)) to++;
  const about = points.slice(Math.min(from, top - 1), Math.max(to, top + 1) + 1);
  let [sx, sy, sxx, sxy] = [0, 0, 0, 0];
  for (const { voltage, rise } of about) {
    const x = voltage - top_V;
    sx += x;
    sy += rise;
    sxx += x * x;
    sxy += x * rise;
  }
  const n = about.length;
  const slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  const offset = sx / n - sy / n / slope;
  if (!(slope < 0) || !(Math.abs(offset) <= half_V)) return { voltage: top_V, voltage_se: NaN, smooth: NaN };
  const reach = about.map(({ voltage }) => voltage - top_V);
  const at = Math.max(Math.min(...reach), Math.min(offset, Math.max(...reach)));
  const x = Float64Array.from(reach, (value) => value - at);
  const parabola = leastSquares([x.map(() => 1), x, x.map((value) => value * value)], Float64Array.from(about, ({ dq_dv }) => dq_dv));
  return { voltage: top_V + offset, voltage_se: Math.abs(points[top]!.rise_se / slope), smooth: parabola.x[0]! };
} // prettier-ignore
