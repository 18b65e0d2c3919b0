import type { FanPassing } from "./back-projection.ts";
import type { Plane, ViewGeometry } from "./planes.ts";

/**
 * A fan beam: the middle slice of a cone, from a source at a finite distance, on a flat detector.
 *
 *     t = axis + a / u,   a = x cos θ + y sin θ,   u = 1 + (y cos θ - x sin θ) / D
 *
 *     t  column of the detector  [px]      x, y  from the rotation axis  [px of the detector at the sample]
 *     D  source to rotation axis [px of the detector at the sample]
 *
 * Rows are multiplied by D / √(D² + (t - axis)²) before the ramp filter, and back-projected with 1 / u². Each ray of
 * a full turn is seen twice, so a view counts half the angle it stands for.
 *
 * The source stands at (D sin θ, -D cos θ): at θ = 0 below the sample, the detector above it.
 *
 * Reference: Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.4.2.
 */
export interface Fan {
  /** D, source to rotation axis [px of the detector at the sample]. */
  readonly distance_px: number;
}

/** Factor that a row is multiplied by before it is filtered, by column. */
export function fanWeights(cols: number, axis: number, { distance_px }: Fan): Float64Array {
  return Float64Array.from({ length: cols }, (_, t) => distance_px / Math.hypot(distance_px, t - axis));
}

/** Where a view sees a plane's pixels. */
export function fanPassing(of: Plane, view: ViewGeometry, { distance_px }: Fan): FanPassing {
  const { theta_rad, axis, scale } = view;
  const [cos, sin] = [scale * Math.cos(theta_rad), scale * Math.sin(theta_rad)];
  return {
    axis,
    a: {
      start: of.x * cos + of.y * sin,
      along: of.alongX * cos + of.alongY * sin,
      down: of.downX * cos + of.downY * sin,
    },
    u: {
      start: 1 + (of.y * cos - of.x * sin) / distance_px,
      along: (of.alongY * cos - of.alongX * sin) / distance_px,
      down: (of.downY * cos - of.downX * sin) / distance_px,
    },
  };
}
