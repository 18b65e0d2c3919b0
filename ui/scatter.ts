/**
 * Points of one column against another, in the order of time: of one stream the two of each bucket; of two streams the
 * value of the one and what the other read last, as long as that had not fallen silent.
 */
import type { Ms } from "./client/types.ts";
import { longestBridge } from "./gaps.ts";
import type { TraceBuffer } from "./trace-buffer.ts";

export interface Side {
  readonly buffer: TraceBuffer;
  readonly column: string;
}

/** One point each: least and greatest where a bucket holds several rows. */
export interface Points {
  readonly time: Float64Array;
  readonly x: Float64Array;
  readonly xLow: Float64Array;
  readonly xHigh: Float64Array;
  readonly y: Float64Array;
  readonly yLow: Float64Array;
  readonly yHigh: Float64Array;
}

export function pointsOf(x: Side, y: Side, from: Ms, to: Ms): Points {
  const found = { time: [], x: [], xLow: [], xHigh: [], y: [], yLow: [], yHigh: [] } as Record<keyof Points, number[]>; // prettier-ignore
  const values = y.buffer.columns.get(y.column);
  const others = x.buffer.columns.get(x.column);
  if (values && others) {
    const { time } = y.buffer;
    const same = x.buffer === y.buffer;
    const patience = same ? 0 : longestBridge(x.buffer.time, others.count, x.buffer.length);
    const end = Math.min(y.buffer.length, y.buffer.indexOf(to) + 1);
    for (let i = y.buffer.indexOf(from); i < end; i++) {
      if (values.count[i] === 0 || Number.isNaN(values.min[i]!)) continue;
      const at = x.buffer.at(x.column, time[i]!);
      if (!at || time[i]! - at.time > patience) continue;
      found.time.push(time[i]!);
      found.x.push((at.min + at.max) / 2);
      found.xLow.push(at.min);
      found.xHigh.push(at.max);
      found.y.push((values.min[i]! + values.max[i]!) / 2);
      found.yLow.push(values.min[i]!);
      found.yHigh.push(values.max[i]!);
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, list]) => [name, Float64Array.from(list)]),
  ) as unknown as Points;
}

/** The last point at or before a time; -1 where there is none. */
export function pointAt({ time }: Points, moment: Ms): number {
  return time.findLastIndex((one) => one <= moment);
}

/**
 * The ellipse of one standard error about a point: half axes and the angle of the first, from the variances and the
 * covariance, NaN or 0 where that is not known.
 */
export function errorEllipse(
  x_se: number,
  y_se: number,
  covariance: number,
): { readonly a: number; readonly b: number; readonly angle_rad: number } | undefined {
  if (!(x_se >= 0) || !(y_se >= 0)) return undefined;
  const [u, v] = [x_se ** 2, y_se ** 2];
  const c = Number.isFinite(covariance) ? covariance : 0;
  const middle = (u + v) / 2;
  const reach = Math.hypot((u - v) / 2, c);
  return {
    a: Math.sqrt(middle + reach),
    b: Math.sqrt(Math.max(0, middle - reach)),
    angle_rad: Math.atan2(2 * c, u - v) / 2,
  };
}
