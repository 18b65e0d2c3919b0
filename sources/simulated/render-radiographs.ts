import { RESERVOIR, type Bubble } from "./bubbles.ts";
import type { Random } from "./random.ts";

/**
 * A radiograph of the electrolyte beside the stack: transmission e^(−p), brighter where gas has taken the place of
 * electrolyte (0.5 % at 25 keV for 0.1 mm).
 *
 *     p = p_cell(row, col) − μ · chord of each bubble
 */
export interface Radiography {
  readonly rows: number;
  readonly columns: number;
  /** Line integral of the cell without gas. */
  readonly base: Float64Array;
}

const PATH_m = 0.5e-3;
const WINDOW_m = 0.8e-3;
/** Electrolyte at 15 keV. */
const ATTENUATION_per_m = 170;
/** Where the reservoir begins, as a share of the image's height. */
const RESERVOIR_TOP = 0.2;

export function radiography(rows: number, columns: number, random: Random): Radiography {
  const base = new Float64Array(rows * columns);
  const grain = Array.from({ length: 40 }, () => ({
    u: random.uniform(),
    v: random.uniform(0.72, 1),
    r: random.uniform(0.01, 0.03),
    p: random.uniform(0.05, 0.15),
  }));
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < columns; col++) {
      const [u, v] = [col / columns, row / rows];
      let p = ATTENUATION_per_m * PATH_m;
      if (v > 0.7) p += 0.6 * ramp(v, 0.7, 0.73); // the edge of the cathode
      if (v < 0.12) p += 0.25 * (1 - ramp(v, 0.1, 0.12)); // the wall of the tube
      for (const g of grain) {
        const d2 = ((u - g.u) ** 2 + ((v - g.v) * rows) ** 2 / columns ** 2) / (g.r * g.r);
        if (d2 < 1) p += g.p * Math.sqrt(1 - d2);
      }
      base[row * columns + col] = p;
    }
  }
  return { rows, columns, base };
}

const ramp = (x: number, from: number, to: number): number =>
  Math.max(0, Math.min(1, (x - from) / (to - from)));

/** Line integrals at this moment, the sample `shift_px` to the right of where it was built. */
export function radiographIntegrals(
  { rows, columns, base }: Radiography,
  bubbles: readonly Bubble[],
  shift_px: number,
): Float64Array {
  const p = new Float64Array(rows * columns);
  const whole = Math.floor(shift_px);
  const part = shift_px - whole;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < columns; col++) {
      const left = clamp(col - whole - 1, columns), right = clamp(col - whole, columns); // prettier-ignore
      p[row * columns + col] = part * base[row * columns + left]! + (1 - part) * base[row * columns + right]!;
    }
  }
  const metres = WINDOW_m / columns;
  for (const { along, across, radius } of bubbles) {
    const [x, y] = [along * columns + shift_px, RESERVOIR_TOP * rows + across * RESERVOIR * columns];
    const r = radius * columns;
    for (let row = Math.max(0, Math.ceil(y - r)); row < Math.min(rows, y + r); row++) {
      for (let col = Math.max(0, Math.ceil(x - r)); col < Math.min(columns, x + r); col++) {
        const d2 = r * r - (col - x) ** 2 - (row - y) ** 2;
        if (d2 > 0)
          p[row * columns + col]! -= ATTENUATION_per_m * Math.min(PATH_m, 2 * Math.sqrt(d2) * metres);
      }
    }
  }
  return p;
}

const clamp = (i: number, n: number): number => (i < 0 ? 0 : i >= n ? n - 1 : i);
