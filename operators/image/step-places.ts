import { median } from "./order-statistics.ts";
import type { PixelSpans, Shape } from "./pixel-spans.ts";
import { FEATURE, LEFT_OUT, REFERENCE } from "./step-fit.ts";

/**
 * Which pixels are of a step, and which of the reference beside it. Edges are never sharp, so what lies near them is
 * left out: of a feature of width W the middle third counts, and the reference begins W/3 beyond its edge and is 2W/3
 * long, on both sides as far as there is room.
 *
 * Reference: ISO 5436-1:2000, 7.2 (type A1: depth of a wide groove).
 */
export type Across = "x" | "y";

/** By the rule of thirds from a drawn feature: strips on both sides of a rectangle, a ring around a circle. */
export function thirds(role: Uint8Array, rows: number, cols: number, shape: Shape, across: Across): void {
  if (shape.kind === "circle") {
    for (let r = 0, i = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++, i++) {
        const away = Math.hypot(c - shape.x, r - shape.y) / shape.r;
        // Of a circle the middle third of the width would be few pixels: two thirds of its radius count.
        role[i] = away <= 2 / 3 ? FEATURE : away >= 4 / 3 && away <= 2 ? REFERENCE : LEFT_OUT;
      }
    }
    return;
  }
  const { x0, y0, x1, y1 } = shape;
  const [first, end] = across === "x" ? [x0, x1] : [y0, y1];
  const along = rolesAcross(across === "x" ? cols : rows, first, end, 2);
  for (let r = across === "x" ? y0 : 0; r < (across === "x" ? y1 : rows); r++) {
    for (let c = across === "x" ? 0 : x0; c < (across === "x" ? cols : x1); c++)
      role[r * cols + c] = along[across === "x" ? c : r]!;
  }
}

/** The same along one axis for edges at `first` and `end`; with one edge (`first`) what lies beyond it is the feature. */
export function rolesAcross(length: number, first: number, end: number, edges: 1 | 2): Uint8Array {
  const role = new Uint8Array(length);
  const width = edges === 2 ? end - first : Math.min(first, length - first);
  for (let i = 0; i < length; i++) {
    const at = i + 0.5;
    const outside = edges === 2 ? Math.max(first - at, at - end) : first - at;
    const inside = edges === 2 ? Math.min(at - first, end - at) : at - first;
    if (outside >= width / 3 && outside <= width) role[i] = REFERENCE;
    else if (inside >= width / 3 && (edges === 2 || inside <= width)) role[i] = FEATURE;
  }
  return role;
}

/** Median along the other axis of what the pixels have over the median of their line; NaN where none has a value. */
export function profileAcross(z: Float64Array, rows: number, cols: number, { first, end }: PixelSpans, across: Across): Float64Array {
  const profile = new Float64Array(across === "x" ? cols : rows).fill(NaN);
  const line = new Float64Array(Math.max(rows, cols));
  if (across === "y") {
    for (let r = 0; r < rows; r++) {
      let n = 0;
      for (let i = r * cols + first[r]!; i < r * cols + end[r]!; i++) if (!Number.isNaN(z[i])) line[n++] = z[i]!;
      profile[r] = median(line.subarray(0, n));
    }
    return profile;
  }
  const ground = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let n = 0;
    for (let i = r * cols + first[r]!; i < r * cols + end[r]!; i++) if (!Number.isNaN(z[i])) line[n++] = z[i]!;
    ground[r] = median(line.subarray(0, n));
  }
  for (let c = 0; c < cols; c++) {
    let n = 0;
    for (let r = 0; r < rows; r++) {
      const v = c >= first[r]! && c < end[r]! ? z[r * cols + c]! - ground[r]! : NaN;
      if (!Number.isNaN(v)) line[n++] = v;
    }
    profile[c] = median(line.subarray(0, n));
  }
  return profile;
} // prettier-ignore

/** Pixels that a feature, and what lies beside it, must have at least. */
const LEAST_WIDTH = 6;

/**
 * The two edges (or the one) that explain a profile best: p(i) = a + b i + h [first ≤ i < end] by least squares, over
 * all pairs. Edges are counted between pixels: 3 is before pixel 3. Undefined where the profile is too short; with
 * first = end where it is straight.
 */
export function edgesOf(profile: Float64Array, edges: 1 | 2): { first: number; end: number } | undefined {
  const places: number[] = [];
  for (let i = 0; i < profile.length; i++) if (!Number.isNaN(profile[i])) places.push(i);
  const n = places.length;
  if (n < 3 * LEAST_WIDTH) return undefined;
  // Straight line off first: then h follows from sums over the feature alone.
  const mean = places.reduce((a, b) => a + b) / n;
  const xx = places.reduce((sum, i) => sum + (i - mean) ** 2, 0);
  const level = places.reduce((sum, i) => sum + profile[i]!, 0) / n;
  const slope = places.reduce((sum, i) => sum + (i - mean) * (profile[i]! - level), 0) / xx;
  const [sumX, sumP] = [new Float64Array(n + 1), new Float64Array(n + 1)];
  places.forEach((i, k) => {
    sumX[k + 1] = sumX[k]! + (i - mean);
    sumP[k + 1] = sumP[k]! + (profile[i]! - level - slope * (i - mean));
  });
  let best = { first: 0, end: 0, explained: 0 };
  for (let a = edges === 2 ? LEAST_WIDTH >> 1 : LEAST_WIDTH; a + LEAST_WIDTH <= n; a++) {
    const last = edges === 2 ? n - (LEAST_WIDTH >> 1) : n;
    for (let b = edges === 2 ? a + LEAST_WIDTH : n; b <= last; b++) {
      const count = b - a;
      const x = sumX[b]! - sumX[a]!;
      const own = count - (count * count) / n - (x * x) / xx; // of [first ≤ i < end], without line
      if (!(own > 1e-9 * n)) continue;
      const explained = (sumP[b]! - sumP[a]!) ** 2 / own;
      if (explained > best.explained) best = { first: a, end: b, explained };
    }
  }
  if (best.explained === 0) return { first: 0, end: 0 };
  return { first: places[best.first]!, end: best.end === n ? profile.length : places[best.end]! };
}

/** Upper pixels as the feature, lower as the reference; those within `guard` of the other kind are left out. */
export function twoLevels(role: Uint8Array, flat: Float64Array, rows: number, cols: number, { first, end }: PixelSpans, { threshold, guard }: { threshold: number; guard: number }): void {
  const upper = (i: number): number => (Number.isNaN(flat[i]) ? 0 : flat[i]! >= threshold ? FEATURE : REFERENCE);
  const across = new Uint8Array(flat.length); // which kinds lie within guard along the row: 1, 2, both 3
  for (let r = 0; r < rows; r++) {
    for (let c = first[r]!; c < end[r]!; c++) {
      let kinds = 0;
      for (let k = Math.max(first[r]!, c - guard); k < Math.min(end[r]!, c + guard + 1); k++) kinds |= upper(r * cols + k);
      across[r * cols + c] = kinds;
    }
  }
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      let kinds = 0;
      for (let k = Math.max(0, r - guard); k < Math.min(rows, r + guard + 1); k++) kinds |= across[k * cols + c]!;
      const own = c >= first[r]! && c < end[r]! ? upper(r * cols + c) : LEFT_OUT;
      role[r * cols + c] = kinds === own ? own : LEFT_OUT;
    }
  }
} // prettier-ignore
