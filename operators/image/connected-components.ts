import type { PixelSpans } from "./pixel-spans.ts";

/**
 * Connected components of a picture or a stack of pictures, exactly: union-find over runs of pixels.
 *
 *     faces     pixels that share a side belong together: 4 neighbours in a picture, 6 in a stack
 *     corners   pixels that share a corner do, too: 8 and 26
 *
 * A line is one row of one picture; lines go row by row, picture by picture. Components are numbered in the order of
 * their first pixels, so the numbers depend on the pictures alone.
 *
 * Reference: He, Chao & Suzuki, IEEE Trans. Image Process. 17, 749 (2008), for runs; Tarjan, J. ACM 22, 215 (1975).
 */
export type Connectivity = "faces" | "corners";

/** Runs of pixels, x0 ≤ x < x1, of many lines; kept from one use to the next, growing as needed. */
export interface Runs {
  /** Runs `start[line] … start[line + 1]` are those of a line. */
  start: Int32Array;
  x0: Int32Array;
  x1: Int32Array;
  /** Pixels of each run that are so near the threshold that noise may have put them there. */
  near: Int32Array;
  lines: number;
}

export const noRuns = (): Runs => ({
  start: new Int32Array(1),
  x0: new Int32Array(0),
  x1: new Int32Array(0),
  near: new Int32Array(0),
  lines: 0,
});

export function clearRuns(runs: Runs): void {
  runs.lines = 0;
  runs.start[0] = 0;
}

/** Pixel classes. A pixel of class 2 is in the phase looked for, and near the threshold. */
export const OTHER = 0, PHASE = 1, NEAR = 2, MISSING = 255; // prettier-ignore

/** Adds the runs of one picture's rows; `classes` holds OTHER, PHASE, NEAR and MISSING. */
export function addRuns(runs: Runs, classes: Uint8Array, cols: number, { first, end }: PixelSpans): void {
  const rows = first.length;
  if (runs.start.length < runs.lines + rows + 1) runs.start = grown(runs.start, runs.lines + rows + 1);
  let n = runs.start[runs.lines]!;
  for (let y = 0; y < rows; y++) {
    const from = y * cols;
    const most = n + ((end[y]! - first[y]! + 1) >> 1);
    if (runs.x0.length < most) {
      runs.x0 = grown(runs.x0, most);
      runs.x1 = grown(runs.x1, most);
      runs.near = grown(runs.near, most);
    }
    const { x0, x1, near } = runs;
    let x = first[y]!;
    const to = end[y]!;
    for (;;) {
      while (x < to && ((classes[from + x]! + 1) & 2) === 0) x++; // neither PHASE nor NEAR
      if (x >= to) break;
      x0[n] = x;
      let close = 0;
      for (; x < to; x++) {
        const c = classes[from + x]!;
        if (((c + 1) & 2) === 0) break;
        close += c >> 1;
      }
      x1[n] = x;
      near[n++] = close;
    }
    runs.start[++runs.lines] = n;
  }
}

function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(length, array.length * 2, 1024));
  larger.set(array);
  return larger;
}

/** One component of a stack. */
export interface Component {
  pixels: number;
  near: number;
  /** Sides of pixels, within their pictures, that do not touch a pixel of the same component. */
  sides: number;
  /** Middle: column, row, picture. */
  x: number;
  y: number;
  z: number;
  minX: number;
  maxX: number;
  minY: number;
  maxY: number;
  minZ: number;
  maxZ: number;
}

export interface Labelled {
  readonly components: readonly Component[];
  /** Component of each run. */
  readonly of: Int32Array;
}

/** Finds the components of pictures of `rows` rows each. */
export function connect(runs: Runs, rows: number, connectivity: Connectivity): Labelled {
  const { start, x0, x1, near, lines } = runs;
  const count = start[lines]!;
  const parent = new Int32Array(count);
  for (let i = 0; i < count; i++) parent[i] = i;
  const overlaps = new Int32Array(count); // pixels that have one of the same phase above them

  const root = (i: number): number => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]!]!;
    return i;
  };
  const corner = connectivity === "corners" ? 1 : 0;
  const join = (line: number, other: number, isAbove: boolean): void => {
    let j = start[other]!;
    const last = start[other + 1]!;
    for (let i = start[line]!; i < start[line + 1]!; i++) {
      const [from, to] = [x0[i]!, x1[i]!];
      while (j < last && x1[j]! + corner <= from) j++;
      for (let k = j; k < last && x0[k]! < to + corner; k++) {
        const [a, b] = [root(i), root(k)];
        // The earlier run is the root, so a root comes before all that hang on it.
        if (a < b) parent[b] = a;
        else parent[a] = b;
        if (isAbove) overlaps[i]! += Math.max(0, Math.min(to, x1[k]!) - Math.max(from, x0[k]!));
      }
    }
  };
  for (let line = 0; line < lines; line++) {
    const y = line % rows;
    if (y > 0) join(line, line - 1, true);
    if (line < rows) continue;
    join(line, line - rows, false);
    if (corner && y > 0) join(line, line - rows - 1, false);
    if (corner && y + 1 < rows) join(line, line - rows + 1, false);
  }

  const of = new Int32Array(count);
  const components: Component[] = [];
  for (let line = 0; line < lines; line++) {
    const y = line % rows;
    const z = (line - y) / rows;
    for (let i = start[line]!; i < start[line + 1]!; i++) {
      const r = root(i);
      const label = r === i ? components.length : of[r]!;
      of[i] = label;
      if (r === i) {
        components.push({
          pixels: 0, near: 0, sides: 0, x: 0, y: 0, z: 0,
          minX: x0[i]!, maxX: x1[i]! - 1, minY: y, maxY: y, minZ: z, maxZ: z,
        }); // prettier-ignore
      }
      const c = components[label]!;
      const n = x1[i]! - x0[i]!;
      c.pixels += n;
      c.near += near[i]!;
      c.sides += 2 + 2 * n - 2 * overlaps[i]!;
      c.x += ((x0[i]! + x1[i]! - 1) / 2) * n;
      c.y += y * n;
      c.z += z * n;
      if (x0[i]! < c.minX) c.minX = x0[i]!;
      if (x1[i]! - 1 > c.maxX) c.maxX = x1[i]! - 1;
      if (y < c.minY) c.minY = y;
      if (y > c.maxY) c.maxY = y;
      c.maxZ = z;
    }
  }
  for (const c of components) {
    c.x /= c.pixels;
    c.y /= c.pixels;
    c.z /= c.pixels;
  }
  return { components, of };
}
