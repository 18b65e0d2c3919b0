import { WiringError } from "../../runtime/index.ts";
import { addRuns, clearRuns, connect, type Connectivity, type Runs } from "./connected-components.ts";
import type { Shape } from "./pixel-spans.ts";

/**
 * What stands on a plane: the height profile of all that hangs together with it, and the protrusions in it.
 *
 *     height(s) = the furthest pixel from the plane at place s along it [px], of what touches the plane; 0 where nothing
 *
 * A protrusion is a piece of the profile at or above `minHeight`; its base is as wide as that piece. What floats
 * free of the plane (dead lithium, specks) does not count.
 */
export interface Plane {
  readonly axis: "x" | "y";
  /** Of the first pixel beyond it. */
  readonly from: number;
  /** The way that heights count: towards greater or smaller x or y. */
  readonly sign: 1 | -1;
}

/** Rectangle that a picture, or the part of it that is looked at, fills. */
export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** Reads "y<400", "x>12", "top", "bottom", "left" or "right". */
export function readPlane(text: string, box?: Box): Plane {
  const edges: Record<string, Plane | undefined> = {
    top: { axis: "y", from: box?.y0 ?? 0, sign: 1 },
    bottom: { axis: "y", from: (box?.y1 ?? 1) - 1, sign: -1 },
    left: { axis: "x", from: box?.x0 ?? 0, sign: 1 },
    right: { axis: "x", from: (box?.x1 ?? 1) - 1, sign: -1 },
  };
  const edge = edges[text.trim()];
  if (edge) return edge;
  const match = /^\s*([xy])\s*([<>])\s*(\d+)\s*(?:px)?\s*$/.exec(text);
  if (!match) {
    throw new WiringError(
      `plane: "${text}" is not a plane; wanted such as "y<400" (from row 400 towards row 0), "x>12", ` +
        "or the edge that is grown from: top, bottom, left or right",
    );
  }
  const axis = match[1] as "x" | "y";
  const sign = match[2] === ">" ? 1 : -1;
  const from = Number(match[3]) + sign;
  if (box && !(axis === "x" ? from >= box.x0 && from < box.x1 : from >= box.y0 && from < box.y1)) {
    throw new WiringError(
      `plane: beyond "${text}" there is nothing; x is ${box.x0} to ${box.x1 - 1}, y ${box.y0} to ${box.y1 - 1}`,
    );
  }
  return { axis, from, sign };
}

export interface Protrusions {
  /** Along the plane, from the box's first column or row. */
  readonly profile: Float64Array;
  readonly number: number;
  /** Of the highest; to a fraction of a pixel. */
  readonly height: number;
  readonly height_se: number;
  /** Where the highest is, in px of the picture. */
  readonly x: number;
  readonly y: number;
  readonly baseWidth: number;
  /** Pixels beyond the plane that hang together with it. */
  readonly pixels: number;
  /** Height over what there is room for. */
  readonly reach: number;
}

export interface ProtrusionOptions {
  readonly plane: Plane;
  readonly box: Box;
  readonly minHeight: number;
  readonly connectivity: Connectivity;
  readonly threshold: number;
  /** Noise of a pixel. */
  readonly noise: number;
  /** To work in. */
  readonly runs: Runs;
}

export function protrusions(
  data: Float32Array, classes: Uint8Array, rows: number, cols: number, options: ProtrusionOptions,
): Protrusions {
  const { plane, box, minHeight, runs } = options;
  const { axis, from, sign } = plane;
  const { x0, y0, x1, y1 } = beyond(plane, box);
  const first = new Int32Array(rows);
  const end = new Int32Array(rows);
  for (let y = y0; y < y1; y++) [first[y], end[y]] = [x0, x1];
  clearRuns(runs);
  addRuns(runs, classes, cols, { first, end });
  const { components, of } = connect(runs, rows, options.connectivity);
  const stands = components.map(({ minX, maxX, minY, maxY }) =>
    axis === "x" ? (sign > 0 ? minX : maxX) === from : (sign > 0 ? minY : maxY) === from);

  const start = axis === "x" ? box.y0 : box.x0;
  const profile = new Float64Array((axis === "x" ? box.y1 : box.x1) - start);
  let pixels = 0;
  for (let y = y0; y < y1; y++) {
    for (let i = runs.start[y]!; i < runs.start[y + 1]!; i++) {
      if (!stands[of[i]!]) continue;
      const [a, b] = [runs.x0[i]!, runs.x1[i]!];
      pixels += b - a;
      if (axis === "x") profile[y - start] = Math.max(profile[y - start]!, sign > 0 ? b - from : from - a + 1);
      else {
        const height = sign > 0 ? y - from + 1 : from - y + 1;
        for (let x = a; x < b; x++) profile[x - start] = Math.max(profile[x - start]!, height);
      }
    }
  }

  let [number, best, baseWidth] = [0, -1, NaN];
  for (let s = 0; s < profile.length; s++) {
    if (!(profile[s]! >= minHeight)) continue;
    const left = s;
    let top = s;
    for (; s < profile.length && profile[s]! >= minHeight; s++) if (profile[s]! > profile[top]!) top = s;
    number++;
    if (best < 0 || profile[top]! > profile[best]!) [best, baseWidth] = [top, s - left];
  }
  if (best < 0) {
    for (let s = 0; s < profile.length; s++) if (profile[s]! > (best < 0 ? 0 : profile[best]!)) best = s;
  }
  const depth = axis === "x" ? x1 - x0 : y1 - y0;
  if (best < 0) {
    return { profile, number, height: 0, height_se: Math.sqrt(1 / 12), x: NaN, y: NaN, baseWidth, pixels, reach: 0 };
  }
  const along = best + start;
  const tip = from + sign * (profile[best]! - 1);
  const at = (place: number): number => (axis === "x" ? along * cols + place : place * cols + along);
  const room = profile[best]! < depth;
  const [inside, outside] = [data[at(tip)]!, room ? data[at(tip + sign)]! : NaN];
  // The edge lies where the picture, taken as straight between two pixels, passes the threshold.
  const slope = inside - outside;
  const beyondTip = (inside - options.threshold) / slope;
  const sharp = room && beyondTip >= 0 && beyondTip <= 1;
  const height = profile[best]! + (sharp ? beyondTip - 0.5 : 0);
  return {
    profile, number, height, baseWidth, pixels,
    height_se: room ? Math.hypot(options.noise / slope, Math.sqrt(1 / 12)) : NaN,
    x: axis === "x" ? tip : along,
    y: axis === "x" ? along : tip,
    reach: profile[best]! / depth,
  };
} // prettier-ignore

/** The part of a box that lies beyond the plane. */
function beyond({ axis, from, sign }: Plane, { x0, y0, x1, y1 }: Box): Box {
  if (axis === "x") return sign > 0 ? { x0: from, y0, x1, y1 } : { x0, y0, x1: from + 1, y1 };
  return sign > 0 ? { x0, y0: from, x1, y1 } : { x0, y0, x1, y1: from + 1 };
}

/** The rectangle of a shape, or the whole picture. */
export function boxOf(shape: Shape | undefined, rows: number, cols: number): Box {
  return shape?.kind === "rectangle" ? shape : { x0: 0, y0: 0, x1: cols, y1: rows };
}
