export type Interpolation = "bilinear" | "cubic";

/**
 * A frame moved by a shift in pixels onto the grid that it had: out(row, col) = frame(row - shift.row, col - shift.col).
 *
 * NaN where the frame does not reach, and next to its own NaN. Cubic is Keys' convolution kernel (a = -1/2), at the
 * rim on a frame continued in a straight line; whole pixels move without interpolation.
 *
 * Reference: Keys, IEEE Trans. Acoust. Speech Signal Process. 29, 1153 (1981).
 */
export function resample(
  frame: ArrayLike<number>, rows: number, cols: number, shift: { row: number; col: number }, how: Interpolation,
  into: Float64Array,
): Float64Array {
  const down = tapsFor(rows, -shift.row, how);
  const across = tapsFor(cols, -shift.col, how);
  const line = new Float64Array(cols);
  into.fill(NaN);
  for (let r = 0; r < rows; r++) {
    const taps = down(r);
    if (!taps) continue;
    line.fill(0);
    for (const [from, weight] of taps) for (let c = 0; c < cols; c++) line[c]! += weight * frame[from * cols + c]!;
    for (let c = 0; c < cols; c++) {
      const side = across(c);
      if (!side) continue;
      let sum = 0;
      for (const [from, weight] of side) sum += weight * line[from]!;
      into[r * cols + c] = sum;
    }
  }
  return into;
} // prettier-ignore

type Taps = readonly (readonly [index: number, weight: number])[];

/** For each point i of a line of n: what to sum there, to see the line at i + offset. Undefined beyond its ends. */
function tapsFor(n: number, offset: number, how: Interpolation): (i: number) => Taps | undefined {
  const whole = Math.floor(offset);
  const weights = how === "cubic" ? keys(offset - whole) : [0, 1 - (offset - whole), offset - whole, 0];
  const all = Array.from({ length: n }, (_, i): Taps | undefined => {
    const at = i + offset;
    if (at < 0 || at > n - 1) return undefined;
    const taps = new Map<number, number>();
    const add = (index: number, weight: number): void =>
      void taps.set(index, (taps.get(index) ?? 0) + weight);
    weights.forEach((weight, j) => {
      const index = i + whole + j - 1;
      if (weight === 0) return;
      if (index >= 0 && index < n) return add(index, weight);
      const [end, inner] = index < 0 ? [0, 1] : [n - 1, n - 2];
      add(end, 2 * weight);
      add(inner, -weight);
    });
    return [...taps];
  });
  return (i) => all[i];
}

const keys = (f: number): number[] => [
  (-f + 2 * f ** 2 - f ** 3) / 2,
  (2 - 5 * f ** 2 + 3 * f ** 3) / 2,
  (f + 4 * f ** 2 - 3 * f ** 3) / 2,
  (-(f ** 2) + f ** 3) / 2,
];
