/**
 * A scene that is known at every point, so that frames of it are rendered where they look and not interpolated:
 * waves of 6 to 120 px and grains, as AFM topography has them. Own random numbers, so every run is the same.
 */
export type Random = () => number;

/** Mulberry32: uniform in 0 … 1. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const normal = (uniform: Random): number =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

export type Scene = (rows: number, cols: number, row: number, col: number) => Float64Array;

/** Frames of a scene of `waves` waves and `grains` grains: pixel (r, c) shows the scene at (r + row, c + col). */
export function scene(size: number, seed: number, { waves = 80, grains = 60 } = {}): Scene {
  const uniform = random(seed);
  const parts = Array.from({ length: waves }, () => {
    const wavelength = 6 * (120 / 6) ** uniform();
    const direction = 2 * Math.PI * uniform();
    return {
      amplitude: (wavelength / 120) ** 1.2,
      kr: (2 * Math.PI * Math.sin(direction)) / wavelength,
      kc: (2 * Math.PI * Math.cos(direction)) / wavelength,
      phase: 2 * Math.PI * uniform(),
    };
  });
  const bumps = bumpsOf(size, grains, uniform, () => ({
    height: 1 + 3 * uniform(),
    sigma: 3 + 6 * uniform(),
  }));
  return (rows, cols, row, col) => {
    const out = new Float64Array(rows * cols);
    for (const { amplitude, kr, kc, phase } of parts) {
      // cos(A + B) by columns: a sine and a cosine a row and a column in place of one a pixel
      const cosC = Float64Array.from({ length: cols }, (_, c) => Math.cos(kc * (c + col)));
      const sinC = Float64Array.from({ length: cols }, (_, c) => Math.sin(kc * (c + col)));
      for (let r = 0, i = 0; r < rows; r++) {
        const x = amplitude * Math.cos(kr * (r + row) + phase);
        const y = amplitude * Math.sin(kr * (r + row) + phase);
        for (let c = 0; c < cols; c++, i++) out[i]! += x * cosC[c]! - y * sinC[c]!;
      }
    }
    addBumps(out, rows, cols, row, col, bumps);
    return out;
  };
}

/** The same kind of waves at any point, for frames that are turned; slower. */
export function sceneAt(seed: number, waves = 60): (row: number, col: number) => number {
  const uniform = random(seed);
  const parts = Array.from({ length: waves }, () => {
    const wavelength = 6 * (120 / 6) ** uniform();
    const direction = 2 * Math.PI * uniform();
    const [kr, kc] = [Math.sin(direction), Math.cos(direction)].map((x) => (2 * Math.PI * x) / wavelength) as [number, number];
    return { amplitude: (wavelength / 120) ** 1.2, kr, kc, phase: 2 * Math.PI * uniform() };
  });
  return (row, col) => {
    let sum = 0;
    for (const { amplitude, kr, kc, phase } of parts) sum += amplitude * Math.cos(kr * row + kc * col + phase);
    return sum;
  };
} // prettier-ignore

export interface Bump {
  readonly row: number;
  readonly col: number;
  readonly height: number;
  readonly sigma: number;
}

function bumpsOf(size: number, count: number, uniform: Random, shape: () => Pick<Bump, "height" | "sigma">): Bump[] {
  const place = (): number => -20 + (size + 40) * uniform();
  return Array.from({ length: count }, () => ({ row: place(), col: place(), ...shape() }));
} // prettier-ignore

export function addBumps(out: Float64Array, rows: number, cols: number, row: number, col: number, bumps: readonly Bump[]): void {
  for (const bump of bumps) {
    const reach = 6 * bump.sigma;
    for (let r = Math.max(0, Math.floor(bump.row - row - reach)); r < Math.min(rows, bump.row - row + reach); r++) {
      for (let c = Math.max(0, Math.floor(bump.col - col - reach)); c < Math.min(cols, bump.col - col + reach); c++) {
        const away = ((r + row - bump.row) / bump.sigma) ** 2 + ((c + col - bump.col) / bump.sigma) ** 2;
        out[r * cols + c]! += bump.height * Math.exp(-away / 2);
      }
    }
  }
} // prettier-ignore

export interface Growth {
  /** Standard deviation of the new grains in pixels, and their height. */
  readonly sigma?: number;
  readonly height: number;
}

/** New grains all over size × size pixels, as many as it takes until `share` of them lie within two sigma of one. */
export function growthOver(size: number, share: number, uniform: Random, { sigma = 6, height }: Growth): Bump[] {
  const covered = new Uint8Array(size * size);
  const bumps: Bump[] = [];
  for (let count = 0; count < share * size * size; ) {
    const bump = { row: -10 + (size + 20) * uniform(), col: -10 + (size + 20) * uniform(), height, sigma };
    bumps.push(bump);
    const reach = 2 * sigma;
    for (let r = Math.max(0, Math.ceil(bump.row - reach)); r < Math.min(size, bump.row + reach); r++) {
      for (let c = Math.max(0, Math.ceil(bump.col - reach)); c < Math.min(size, bump.col + reach); c++) {
        if (covered[r * size + c] || Math.hypot(r - bump.row, c - bump.col) > reach) continue;
        covered[r * size + c] = 1;
        count++;
      }
    }
  }
  return bumps;
} // prettier-ignore

export function rmsOf(values: Float64Array): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
}

export interface Faults {
  readonly noise?: number;
  readonly tilt?: boolean;
  readonly lines?: boolean;
  readonly growth?: boolean;
  /** Of what the noise, tilt and offsets are parts; of the frame itself, if not given. */
  readonly rms?: number;
}

/** What a probe makes of it: noise, tilt and line offsets, in parts of the scene's rms; and what grew meanwhile. */
export function degraded(frame: Float64Array, rows: number, cols: number, uniform: Random, how: Faults): Float64Array {
  const rms = how.rms ?? rmsOf(frame);
  const out = frame.slice();
  if (how.growth) {
    const count = Math.round(40 * (rows / 256) ** 2);
    addBumps(out, rows, cols, 0, 0, bumpsOf(rows, count, uniform, () => ({ height: 1.5 * rms, sigma: 6 })));
  }
  const [slow, fast] = how.tilt ? [3 * rms * (uniform() - 0.5) * 2, 2 * rms * (uniform() - 0.5) * 2] : [0, 0];
  for (let r = 0, i = 0; r < rows; r++) {
    const offset = how.lines ? 0.3 * rms * normal(uniform) : 0;
    for (let c = 0; c < cols; c++, i++) {
      out[i]! += (slow * r) / rows + (fast * c) / cols + offset + (how.noise ?? 0) * rms * normal(uniform);
    }
  }
  return out;
} // prettier-ignore
