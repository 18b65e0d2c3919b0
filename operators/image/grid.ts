import type { Shape } from "./pixel-spans.ts";

type Metadata = Readonly<Record<string, string>>;

/** How the pixels of a slice lie at the sample, as far as its stream says. */
export interface Grid {
  /** Area of a pixel, and volume of a pixel as high as one detector row; NaN where their size is not known. */
  readonly pixel_m2: number;
  readonly voxel_m3: number;
  /** What lies within a radius of the axis of rotation; undefined where the stream does not say where that is. */
  circle(radius_px: number): Shape | undefined;
}

export function gridOf(metadata: Metadata, rows: number, cols: number): Grid {
  // Pictures may have their pixels further apart than the detector's, and their middle off the axis.
  const pitch = Number(metadata["pitch"] ?? 1);
  const parallel = (metadata["geometry"] ?? "parallel") === "parallel";
  const size_m = (axis: "x" | "y"): number => {
    const atSample = metadata[`sample_pixel_size_${axis}`];
    if (atSample !== undefined) return Number(atSample);
    // A detector's pixels are the sample's only where the beam does not spread.
    if (!parallel) return NaN;
    return (pitch * Number(metadata[`pixel_size_${axis}`] ?? NaN)) / Number(metadata["magnification"] ?? 1);
  };
  const x_m = size_m("x");
  const z_m = size_m("y") / pitch; // slices are detector rows, however far apart their own pixels are
  // A plane that does not lie across the axis cuts the round it is seen in another way.
  const level = /^\s*z/.test(metadata["plane"] ?? "z");
  const x = (cols - 1) / 2 - Number(metadata["centre_x"] ?? 0) / pitch;
  const y = (rows - 1) / 2 + Number(metadata["centre_y"] ?? 0) / pitch;
  return {
    pixel_m2: x_m * x_m,
    voxel_m3: x_m * x_m * z_m,
    circle: (radius_px) => (level ? { kind: "circle", x, y, r: radius_px / pitch } : undefined),
  };
}

/** Angle that a slice can cover. */
export const fullCoverage_deg = (metadata: Metadata): number =>
  (metadata["geometry"] ?? "parallel") === "parallel" ? 180 : 360;
