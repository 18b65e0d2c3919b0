/** Size of a pixel at the sample, m, by the names in use; NaN where nobody says. */
import { metres } from "./readable-numbers.ts";

/** `horizontal`: of a slice across the rotation axis, both of whose sides lie along the detector's columns. */
export function pixelSize_m(
  metadata: Readonly<Record<string, string>>,
  horizontal = false,
): { x: number; y: number } {
  const of = (axis: "x" | "y") => {
    const own = metadata[`sample_pixel_size_${axis}`];
    if (own !== undefined) return metres(own);
    const names = [`pixel_size_${axis}`, `${axis}_pixel_size`, "pixel_size"];
    const detector = names.map((name) => metadata[name]).find((text) => text !== undefined);
    // The detector's, and an image's pixels may lie further apart.
    return metres(detector) * Number(metadata["pitch"] ?? 1);
  };
  const x = of("x");
  return { x, y: horizontal ? x : of("y") };
}
