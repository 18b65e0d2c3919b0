import type { Component, Connectivity, Labelled, Runs } from "./connected-components.ts";

/**
 * Width of a channel where it is narrowest: the side, in pixels, of the largest square (in a stack: cube) that can be
 * pushed through a component from one face to the other without touching its walls. Exact, by joining places in the
 * order of the largest square that fits there, until both faces belong together.
 *
 * Takes 13 bytes for each pixel of the box around the component. The edges of the picture count as walls, save for the
 * two faces.
 */
export function channelWidth(
  labelled: Labelled,
  runs: Runs,
  rows: number,
  index: number,
  axis: "x" | "y" | "z",
  connectivity: Connectivity,
): number {
  const c = labelled.components[index]!;
  const [w, h, d] = [c.maxX - c.minX + 1, c.maxY - c.minY + 1, c.maxZ - c.minZ + 1];
  const flat = d === 1;
  const inside = boxOf(labelled, runs, rows, index, c, w, h);
  const length = axis === "x" ? w : axis === "y" ? h : d;

  // size[i]: side of the largest square whose pixel of smallest x, y, z is i.
  const size = new Int32Array(w * h * d);
  const at = (x: number, y: number, z: number): number =>
    x < w && y < h && (flat || z < d) ? size[(z * h + y) * w + x]! : 0;
  const counts = new Int32Array(Math.max(w, h, d) + 2);
  for (let z = d - 1; z >= 0; z--) {
    for (let y = h - 1; y >= 0; y--) {
      for (let x = w - 1; x >= 0; x--) {
        const i = (z * h + y) * w + x;
        if (!inside[i]) continue;
        let least = Math.min(at(x + 1, y, z), at(x, y + 1, z), at(x + 1, y + 1, z));
        if (!flat) {
          least = Math.min(least, at(x, y, z + 1), at(x + 1, y, z + 1), at(x, y + 1, z + 1), at(x + 1, y + 1, z + 1)); // prettier-ignore
        }
        counts[(size[i] = 1 + least)]!++;
      }
    }
  }
  // Places by falling size.
  const starts = new Int32Array(counts.length + 1);
  for (let s = counts.length - 1; s >= 0; s--) starts[s] = starts[s + 1]! + counts[s]!;
  const order = new Int32Array(starts[0]!);
  const next = starts.slice(1);
  for (let i = 0; i < size.length; i++) if (size[i]! > 0) order[next[size[i]!]!++] = i;

  const [FROM, TO] = [size.length, size.length + 1];
  const parent = new Int32Array(size.length + 2).fill(-1);
  parent[FROM] = FROM;
  parent[TO] = TO;
  const root = (i: number): number => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]!]!;
    return i;
  };
  const join = (a: number, b: number): void => {
    if (parent[b]! >= 0) parent[root(b)] = root(a);
  };
  const steps = neighbours(flat, connectivity).map(([dx, dy, dz]) => ({
    dx,
    dy,
    dz,
    to: (dz * h + dy) * w + dx,
  }));
  for (const i of order) {
    parent[i] = i;
    const x = i % w;
    const y = Math.floor(i / w) % h;
    const z = Math.floor(i / (w * h));
    const along = axis === "x" ? x : axis === "y" ? y : z;
    if (along === 0) join(i, FROM);
    if (along + size[i]! === length) join(i, TO);
    for (const { dx, dy, dz, to } of steps) {
      if (x + dx >= 0 && x + dx < w && y + dy >= 0 && y + dy < h && z + dz >= 0 && z + dz < d)
        join(i, i + to);
    }
    if (root(FROM) === root(TO)) return size[i]!;
  }
  throw new RangeError(`component ${index} does not span ${axis}`);
}

/** Steps to neighbouring pixels, in a picture or a stack. */
function neighbours(flat: boolean, connectivity: Connectivity): [number, number, number][] {
  const [near, deep] = [[-1, 0, 1], flat ? [0] : [-1, 0, 1]];
  const all = deep.flatMap((dz) =>
    near.flatMap((dy) => near.map((dx): [number, number, number] => [dx, dy, dz])),
  );
  return all.filter((step) => {
    const sides = step.reduce((n, s) => n + Math.abs(s), 0);
    return connectivity === "faces" ? sides === 1 : sides > 0;
  });
}

/** The component as a picture of the box around it. */
function boxOf(
  { of }: Labelled, runs: Runs, rows: number, index: number, c: Component, w: number, h: number,
): Uint8Array {
  const box = new Uint8Array(w * h * (c.maxZ - c.minZ + 1));
  for (let z = c.minZ; z <= c.maxZ; z++) {
    for (let y = c.minY; y <= c.maxY; y++) {
      const line = z * rows + y;
      const from = ((z - c.minZ) * h + y - c.minY) * w - c.minX;
      for (let i = runs.start[line]!; i < runs.start[line + 1]!; i++) {
        if (of[i] === index) box.fill(1, from + runs.x0[i]!, from + runs.x1[i]!);
      }
    }
  }
  return box;
} // prettier-ignore
