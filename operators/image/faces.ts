import type { Component } from "./connected-components.ts";
import type { PixelSpans } from "./pixel-spans.ts";
import type { Box } from "./protrusions.ts";

/** Opposite faces of what is looked at. */
export interface Faces extends Box {
  readonly slices: number;
  /** Whether both faces are in the picture, at least half of each. */
  readonly x: boolean;
  readonly y: boolean;
  readonly z: boolean;
}

export function facesOf({ first, end }: PixelSpans, box: Box, slices: number): Faces {
  const { x0, y0, x1, y1 } = box;
  const counts = (x: number, y: number): boolean => x >= first[y]! && x < end[y]!;
  const column = (x: number): boolean => {
    let n = 0;
    for (let y = y0; y < y1; y++) if (counts(x, y)) n++;
    return 2 * n >= y1 - y0;
  };
  const row = (y: number): boolean => {
    const n = Math.min(end[y]!, x1) - Math.max(first[y]!, x0);
    return 2 * n >= x1 - x0;
  };
  return { ...box, slices, x: column(x0) && column(x1 - 1), y: row(y0) && row(y1 - 1), z: slices > 1 };
}

/** Which opposite faces a component joins: 1 x, 2 y, 4 z. */
export function spanning(c: Component, { x0, y0, x1, y1, slices, x, y, z }: Faces): number {
  return (
    (x && c.minX === x0 && c.maxX === x1 - 1 ? 1 : 0) |
    (y && c.minY === y0 && c.maxY === y1 - 1 ? 2 : 0) |
    (z && c.minZ === 0 && c.maxZ === slices - 1 ? 4 : 0)
  );
}
