import { WiringError } from "../../runtime/index.ts";
import type { Fan } from "./fan.ts";
import { heights, type Plane } from "./planes.ts";

/** The beam that a stream was recorded in, as its metadata say. */
export interface Beam {
  readonly geometry: "parallel" | "fan" | "cone";
  /** Angle after which a view shows nothing new. */
  readonly circle_deg: 180 | 360;
  readonly fan: Fan | undefined;
  /** Throws WiringError where planes cannot be made from such a beam. */
  refuse(planes: readonly Plane[], detectorRows: number, cols: number): void;
}

/** Detector pixels that a row of a cone beam may be off before the plane is not a fan any more. */
const FLAT_px = 0.5;

/**
 * Parallel where the metadata name no geometry. A fan or cone needs `source_distance` [m] and `sample_pixel_size_x` [m],
 * or what that follows from: `pixel_size_x` and `detector_distance`.
 */
export function beamOf(metadata: Readonly<Record<string, string>>): Beam {
  const { geometry = "parallel" } = metadata;
  if (geometry === "parallel") return { geometry, circle_deg: 180, fan: undefined, refuse: () => undefined };
  if (geometry !== "fan" && geometry !== "cone")
    throw new WiringError(`geometry "${geometry}" of the stream is not known; wanted parallel, fan or cone`);
  const at = (name: string): number => Number(metadata[name] ?? NaN);
  const source = at("source_distance");
  const magnification = (source + at("detector_distance")) / source;
  const pixel = metadata["sample_pixel_size_x"]
    ? at("sample_pixel_size_x")
    : at("pixel_size_x") / magnification;
  const distance_px = source / pixel;
  if (!(distance_px > 0 && distance_px < Infinity)) {
    throw new WiringError(
      `a ${geometry} beam needs the distance of its source and the size of a pixel at the sample; set source_distance, ` +
        "detector_distance and pixel_size at the source",
    );
  }
  const beam = { geometry, circle_deg: 360, fan: { distance_px } } as const;
  return {
    ...beam,
    refuse(planes, detectorRows, cols) {
      const middle = (detectorRows - 1) / 2;
      for (const plane of planes) {
        const far = Math.max(...heights(plane).map((z) => Math.abs(z - middle)));
        // A point at the edge of the sample moves by so much up and down while it turns.
        const off = (far * cols) / 2 / distance_px;
        if (geometry === "cone" && off > FLAT_px) {
          const near = Math.floor(middle);
          if (far <= 0.5) {
            throw new WiringError(
              `this cone beam is so wide (source ${distance_px.toFixed(0)} px from the axis) that even its middle slice is no fan; record with a longer distance`,
            );
          }
          throw new WiringError(
            `only the middle slice of a cone beam, row ${near}, lies in a plane with the source; ${far.toFixed(1)} rows ` +
              `from it, points move by ${off.toFixed(1)} rows as they turn. Name row ${near}, or record with a longer distance`,
          );
        }
      }
    },
  };
}
