/**
 * Where planes through one sample cut each other. x to the right and y upwards from the rotation axis, z a row of the
 * detector, all in its pixels; a picture's pixels lie `pitch` apart. Upright planes are as high as the detector.
 */
import type { PlanePanel } from "./image-panels.ts";
import type { Mark } from "./picture.ts";
import { sizeOf, type Row } from "./row-feed.ts";
import { placeOf } from "./slice-state.ts";

/** One hue for each axis that a plane stands across. */
const HUES = { x: "#ff9d76", y: "#7fe0a0", z: "#7cc4ff" } as const;

/** The lines of the other planes in plane i, in its pixels. */
export function marksOf(
  planes: readonly PlanePanel[],
  rows: readonly (Row | undefined)[],
  i: number,
): Mark[] {
  const row = rows[i];
  const own = row && placeOf(planes[i]!, row);
  const size = row && sizeOf(row, planes[i]!.column);
  if (!own || !size) return [];
  const [height, width] = size;
  const { metadata } = row.frame.schema;
  const number = (name: string, otherwise: number) => Number(metadata[name] ?? otherwise);
  const pitch = number("pitch", 1);
  const across = (at: number, centre: number) => (width - 1) / 2 + (at - centre) / pitch;
  return planes.flatMap((other, k): Mark[] => {
    const cut = k === i ? undefined : placeOf(other, rows[k]);
    if (!cut || cut.axis === own.axis) return [];
    const hue = HUES[cut.axis];
    if (own.axis !== "z") {
      return cut.axis === "z" ? [{ row: cut.at / pitch, hue }] : [{ column: across(cut.at, 0), hue }];
    }
    if (cut.axis === "x") return [{ column: across(cut.at, number("centre_x", 0)), hue }];
    return [{ row: (height - 1) / 2 - (cut.at - number("centre_y", 0)) / pitch, hue }];
  });
}
