import { middleOf, pointIn, type Move } from "./spline.ts";

export type Interpolation = "bilinear" | "cubic";

/**
 * A frame moved by a shift in pixels, and turned, onto the grid that it had: out(row, col) = frame(row - shift.row,
 * col - shift.col), where the angle is none.
 *
 * NaN where the frame does not reach, and next to its own NaN. Cubic is Keys' convolution kernel (a = -1/2), at the
 * rim on a frame continued in a straight line; whole pixels move without interpolation.
 *
 * Reference: Keys, IEEE Trans. Acoust. Speech Signal Process. 29, 1153 (1981).
 */
export function resample(
  frame: ArrayLike<number>, rows: number, cols: number, { row, col, angle }: Move, how: Interpolation, into: Float64Array,
): Float64Array {
  if (angle !== 0) return resampleTurned(frame, rows, cols, { row, col, angle }, how, into);
  const down = tapsFor(rows, -row, how);
  const across = tapsFor(cols, -col, how);
  // Away from the ends all points of a line have the same weights.
  const [from, to] = inner(across, cols, col, how);
  const same = across[to - 1];
  const line = new Float64Array(cols);
  into.fill(NaN);
  for (let r = 0; r < rows; r++) {
    const taps = down[r];
    if (!taps) continue;
    line.fill(0);
    for (const { index, weight } of taps) {
      for (let c = 0, i = index * cols; c < cols; c++, i++) line[c]! += weight * frame[i]!;
    }
    const out = r * cols;
    for (let c = 0; c < cols; c++) {
      if (c === from) c = to;
      const side = across[c];
      if (!side) continue;
      let sum = 0;
      for (const { index, weight } of side) sum += weight * line[index]!;
      into[out + c] = sum;
    }
    if (from === to || !same) continue;
    const first = same[0]!.index - (to - 1);
    if (same.length === 4) {
      const [a0, a1, a2, a3] = same.map(({ weight }) => weight) as [number, number, number, number];
      for (let c = from, k = from + first; c < to; c++, k++) {
        into[out + c] = a0 * line[k]! + a1 * line[k + 1]! + a2 * line[k + 2]! + a3 * line[k + 3]!;
      }
    } else {
      for (let c = from; c < to; c++) {
        let sum = 0;
        for (let k = 0; k < same.length; k++) sum += same[k]!.weight * line[c + first + k]!;
        into[out + c] = sum;
      }
    }
  }
  return into;
} // prettier-ignore

/** The points of a line, from one up to another, whose taps all lie on it. */
function inner(taps: readonly (readonly Tap[] | undefined)[], n: number, shift: number, how: Interpolation): [number, number] {
  const before = how === "cubic" ? 1 : 0, after = how === "cubic" ? 2 : 1; // prettier-ignore
  const from = Math.max(0, before - Math.floor(-shift));
  const to = Math.min(n, n - after - Math.floor(-shift));
  return from < to && taps[from] && taps[to - 1] ? [from, to] : [n, n];
} // prettier-ignore

function resampleTurned(
  frame: ArrayLike<number>, rows: number, cols: number, move: Move, how: Interpolation, into: Float64Array,
): Float64Array {
  const point = pointIn(middleOf(rows, cols), move);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const [y, x] = point(r, c);
      const down = tapsAt(y, rows, how);
      const across = tapsAt(x, cols, how);
      let sum = down && across ? 0 : NaN;
      for (const { index, weight } of down ?? []) {
        for (const side of across ?? []) sum += weight * side.weight * frame[index * cols + side.index]!;
      }
      into[i] = sum;
    }
  }
  return into;
} // prettier-ignore

interface Tap {
  readonly index: number;
  readonly weight: number;
}

/** For each point i of a line of n: what to sum there, to see the line at i + offset. Undefined beyond its ends. */
const tapsFor = (n: number, offset: number, how: Interpolation): (readonly Tap[] | undefined)[] =>
  Array.from({ length: n }, (_, i) => tapsAt(i + offset, n, how));

function tapsAt(at: number, n: number, how: Interpolation): readonly Tap[] | undefined {
  if (!(at >= 0 && at <= n - 1)) return undefined;
  const whole = Math.floor(at);
  const f = at - whole;
  const weights = how === "cubic" ? keys(f) : [0, 1 - f, f, 0];
  const taps: { index: number; weight: number }[] = [];
  const add = (index: number, weight: number): void => {
    const there = taps.find((tap) => tap.index === index);
    if (there) there.weight += weight;
    else taps.push({ index, weight });
  };
  weights.forEach((weight, j) => {
    const index = whole + j - 1;
    if (weight === 0) return;
    if (index >= 0 && index < n) return add(index, weight);
    const [end, inner] = index < 0 ? [0, 1] : [n - 1, n - 2];
    add(end, 2 * weight);
    add(inner, -weight);
  });
  return taps;
}

const keys = (f: number): number[] => [
  (-f + 2 * f ** 2 - f ** 3) / 2,
  (2 - 5 * f ** 2 + 3 * f ** 3) / 2,
  (f + 4 * f ** 2 - 3 * f ** 3) / 2,
  (-(f ** 2) + f ** 3) / 2,
];
