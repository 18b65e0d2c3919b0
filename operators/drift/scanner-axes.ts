import type { Matrix, Offset } from "./moves.ts";
import type { Predicted } from "./velocity.ts";

/** Between pixels of the first frame and metres on the scanner's axes. */
export interface Scanned {
  /** Where the middle of the frame is. */
  readonly center_x: number;
  readonly center_y: number;
  /** Of its rows against x, towards y [rad]. */
  readonly angle: number;
}

/** Size of a pixel along a column and along a row. */
export interface PixelSize_m {
  readonly row: number;
  readonly col: number;
}

/** Pixels by which the scanner was moved since the first frame; as before where that is not known. */
export function offsetOf(
  now: { readonly center_x?: number; readonly center_y?: number },
  first: Scanned & { readonly offset: Offset },
  pixel_m: PixelSize_m,
): Offset {
  const x = (now.center_x ?? NaN) - first.center_x;
  const y = (now.center_y ?? NaN) - first.center_y;
  const along = (Math.cos(first.angle) * x + Math.sin(first.angle) * y) / pixel_m.col;
  const across = (Math.cos(first.angle) * y - Math.sin(first.angle) * x) / pixel_m.row;
  return Number.isFinite(along + across) ? { row: across, col: along } : first.offset;
}

/** Drift and velocity on the scanner's axes. */
export function inMetres(
  covariance: Matrix, drift: Offset, [down, right]: readonly Predicted[], pixel_m: PixelSize_m, angle: number,
) {
  // x and y of a pixel down, and of a pixel to the right
  const [xDown, yDown] = [-Math.sin(angle) * pixel_m.row, Math.cos(angle) * pixel_m.row];
  const [xRight, yRight] = [Math.cos(angle) * pixel_m.col, Math.sin(angle) * pixel_m.col];
  const [rr, rc, cc] = [covariance[0]![0]!, covariance[0]![1]!, covariance[1]![1]!];
  const of = (a: number, b: number, c: number, d: number): number => a * c * rr + (a * d + b * c) * rc + b * d * cc;
  return {
    shift_x: xDown * drift.row + xRight * drift.col,
    shift_y: yDown * drift.row + yRight * drift.col,
    shift_x_se: Math.sqrt(of(xDown, xRight, xDown, xRight)),
    shift_y_se: Math.sqrt(of(yDown, yRight, yDown, yRight)),
    shift_xy_covariance: of(xDown, xRight, yDown, yRight),
    velocity_x: xDown * down!.velocity + xRight * right!.velocity,
    velocity_y: yDown * down!.velocity + yRight * right!.velocity,
    velocity_x_se: Math.hypot(xDown * down!.velocity_se, xRight * right!.velocity_se),
    velocity_y_se: Math.hypot(yDown * down!.velocity_se, yRight * right!.velocity_se),
  };
} // prettier-ignore
