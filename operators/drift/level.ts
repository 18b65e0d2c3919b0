export type Level = "none" | "plane" | "lines";

/** A frame ready to be compared: background taken off, what is missing set to that background. */
export interface Levelled {
  readonly values: Float64Array;
  /** 1 where the frame has a value, 0 where it is NaN. */
  readonly known: Uint8Array;
  /** Root mean square of the known values. */
  readonly rms: number;
  readonly share: number;
}

/**
 * Takes a frame's background off: a plane by least squares (tilt of the sample), then of each line its median (a
 * probe that jumps between lines). Only for comparing frames: what is taken off may be the growth of the sample.
 */
export function level(frame: ArrayLike<number>, rows: number, cols: number, how: Level): Levelled {
  const values = new Float64Array(rows * cols);
  const known = new Uint8Array(rows * cols);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = frame[i]!;
    if (!Number.isFinite(value)) continue;
    known[i] = 1;
    values[i] = value;
    count++;
  }
  if (count > 0 && how !== "none") subtractPlane(values, known, rows, cols);
  if (count > 0 && how === "lines") subtractMedians(values, known, rows, cols);
  if (count > 0 && how === "none") subtractMean(values, known, count);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return { values, known, rms: Math.sqrt(sum / Math.max(1, count)), share: count / values.length };
}

function subtractMean(values: Float64Array, known: Uint8Array, count: number): void {
  let sum = 0;
  for (const value of values) sum += value;
  for (let i = 0; i < values.length; i++) if (known[i]) values[i]! -= sum / count;
}

/** z = a + b x + c y over the known values. */
function subtractPlane(values: Float64Array, known: Uint8Array, rows: number, cols: number): void {
  let n = 0, sx = 0, sy = 0, sz = 0; // prettier-ignore
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (!known[i]) continue;
      n++;
      sx += c;
      sy += r;
      sz += values[i]!;
    }
  }
  const [x0, y0, z0] = [sx / n, sy / n, sz / n];
  let xx = 0, xy = 0, yy = 0, xz = 0, yz = 0; // prettier-ignore
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (!known[i]) continue;
      const [x, y, z] = [c - x0, r - y0, values[i]! - z0];
      xx += x * x;
      xy += x * y;
      yy += y * y;
      xz += x * z;
      yz += y * z;
    }
  }
  const det = xx * yy - xy * xy;
  const flat = det <= 1e-12 * xx * yy || det === 0; // one line or one column: no plane goes through
  const b = flat ? 0 : (xz * yy - yz * xy) / det;
  const c1 = flat ? 0 : (yz * xx - xz * xy) / det;
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) if (known[i]) values[i]! -= z0 + b * (c - x0) + c1 * (r - y0);
  }
}

function subtractMedians(values: Float64Array, known: Uint8Array, rows: number, cols: number): void {
  const line = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    let n = 0;
    for (let i = r * cols; i < (r + 1) * cols; i++) if (known[i]) line[n++] = values[i]!;
    const middle = medianOf(line.subarray(0, n));
    for (let i = r * cols; i < (r + 1) * cols; i++) if (known[i]) values[i]! -= middle;
  }
}

/** Median; puts what it is given in another order. 0 of nothing. */
export function medianOf(values: Float64Array): number {
  const n = values.length;
  if (n === 0) return 0;
  const k = n >> 1;
  // Quickselect (Hoare): afterwards nothing before place k is larger than what stands there.
  for (let from = 0, to = n - 1; from < to;) {
    const pivot = values[(from + to) >> 1]!;
    let i = from;
    let j = to;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i <= j) {
        const swapped = values[i]!;
        values[i++] = values[j]!;
        values[j--] = swapped;
      }
    }
    if (k <= j) to = j;
    else if (k >= i) from = i;
    else break;
  }
  if (n % 2) return values[k]!;
  let below = -Infinity;
  for (let i = 0; i < k; i++) below = Math.max(below, values[i]!);
  return (below + values[k]!) / 2;
}
