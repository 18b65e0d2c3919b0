import { median } from "../image/order-statistics.ts";

export type Level = "none" | "plane" | "means" | "lines";

/** A frame ready to be compared: background taken off, what is missing set to that background. */
export interface Levelled {
  readonly values: Float64Array;
  /** 1 where the frame has a value, 0 where it is NaN. */
  readonly known: Uint8Array;
  /** Root mean square of the known values. */
  readonly rms: number;
  readonly share: number;
}

/** Arrays for a frame to be levelled into. */
export type LevelledRoom = Pick<Levelled, "values" | "known">;

export const levelledRoom = (rows: number, cols: number): LevelledRoom => ({
  values: new Float64Array(rows * cols),
  known: new Uint8Array(rows * cols),
});

/**
 * Takes a frame's background off: a plane by least squares (tilt of the sample), then of each line its median (a
 * probe that jumps between lines), or, seven times faster, its mean, for those who estimate offsets once more without
 * what has changed. Only for comparing frames: what is taken off may be the growth of the sample.
 */
export function level(
  frame: ArrayLike<number>, rows: number, cols: number, how: Level, { values, known } = levelledRoom(rows, cols),
): Levelled {
  known.fill(1);
  // Of each line: how many are known, and the sums over them of c, c², z, c z; c counts from the middle, z from a first value.
  const [n, sc, scc, sz, scz] = [0, 1, 2, 3, 4].map(() => new Float64Array(rows)) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  let offset = NaN;
  for (let r = 0, i = 0; r < rows; r++) {
    let count = 0, x1 = 0, x2 = 0, z1 = 0, xz = 0; // prettier-ignore
    for (let c = 0; c < cols; c++, i++) {
      const z = frame[i]!;
      if (!(Math.abs(z) < Infinity)) {
        known[i] = 0;
        values[i] = 0;
        continue;
      }
      if (offset !== offset) offset = z; // NaN: there was none before
      const x = c - (cols - 1) / 2;
      const height = z - offset;
      values[i] = height;
      count++;
      x1 += x;
      x2 += x * x;
      z1 += height;
      xz += x * height;
    }
    n[r] = count;
    sc[r] = x1;
    scc[r] = x2;
    sz[r] = z1;
    scz[r] = xz;
  }
  const plane = how === "none" ? { mean: ratio(total(sz), total(n)), down: 0, right: 0 } : planeThrough(n, sc, scc, sz, scz);
  let sum = 0;
  for (let r = 0, i = 0; r < rows; r++) {
    const line = plane.mean + plane.down * (r - (rows - 1) / 2);
    const mean = how === "means" ? ratio(sz[r]! - line * n[r]! - plane.right * sc[r]!, n[r]!) : 0;
    const first = line + mean - (plane.right * (cols - 1)) / 2;
    for (let c = 0; c < cols; c++, i++) if (known[i]) values[i]! -= first + plane.right * c;
    if (how === "lines") subtractMedian(values, known, i - cols, i);
    for (let k = i - cols; k < i; k++) sum += values[k]! * values[k]!;
  }
  const count = total(n);
  return { values, known, rms: Math.sqrt(sum / Math.max(1, count)), share: count / values.length };
} // prettier-ignore

function subtractMedian(values: Float64Array, known: Uint8Array, from: number, to: number): void {
  const middle = medianOf(values.subarray(from, to).filter((_, k) => known[from + k]));
  for (let i = from; i < to; i++) if (known[i]) values[i]! -= middle;
}

const total = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0);
const ratio = (sum: number, n: number): number => (n > 0 ? sum / n : 0);

/** z = mean + down r + right c by least squares, r and c from the middle, from the sums of each line. */
function planeThrough(n: Float64Array, sc: Float64Array, scc: Float64Array, sz: Float64Array, scz: Float64Array) {
  let [s, r1, c1, rr, rc, cc, z1, rz, cz] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  n.forEach((count, line) => {
    const r = line - (n.length - 1) / 2;
    s += count;
    r1 += r * count;
    c1 += sc[line]!;
    rr += r * r * count;
    rc += r * sc[line]!;
    cc += scc[line]!;
    z1 += sz[line]!;
    rz += r * sz[line]!;
    cz += scz[line]!;
  });
  if (s === 0) return { mean: 0, down: 0, right: 0 };
  const [vrr, vrc, vcc] = [rr - (r1 * r1) / s, rc - (r1 * c1) / s, cc - (c1 * c1) / s];
  const [vrz, vcz] = [rz - (r1 * z1) / s, cz - (c1 * z1) / s];
  const det = vrr * vcc - vrc * vrc;
  const flat = !(det > 1e-12 * vrr * vcc); // one line or one column: no plane goes through
  const down = flat ? 0 : (vrz * vcc - vcz * vrc) / det;
  const right = flat ? 0 : (vcz * vrr - vrz * vrc) / det;
  return { mean: (z1 - down * r1 - right * c1) / s, down, right };
} // prettier-ignore

/** Median; puts what it is given in another order. 0 of nothing: a line without pixels has no offset. */
export const medianOf = (values: Float64Array): number => (values.length === 0 ? 0 : median(values));
