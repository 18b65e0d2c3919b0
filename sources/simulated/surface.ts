import type { Random } from "./random.ts";

/**
 * The anode's surface under the force microscope: height [m] and modulus [Pa] at any point, by formula, so that an
 * image of it at any drift is exact and needs no interpolation.
 *
 *     z = Σ cosines + Σ grains + SEI film and particles + Σ deposits
 *
 * Grains, particles and deposits repeat every 2 µm. Deposits grow with the plated lithium, each at its own pace.
 */
export interface SurfaceState {
  readonly sei_m: number;
  /** Thickness that the plated lithium would have as a dense film. */
  readonly lithium_m: number;
  /** Modulus away from deposits. */
  readonly modulus_Pa: number;
}

const TILE_m = 2e-6;
const DEPOSIT_Pa = 0.4e9;
const TALLEST_m = 250e-9;
/** Standard deviation of ln E from place to place. */
const TEXTURE = 0.15;

interface Wave {
  readonly kx: number;
  readonly ky: number;
  readonly phase: number;
  readonly size: number;
}
interface Bump {
  readonly x: number;
  readonly y: number;
  readonly sigma: number;
  readonly size: number;
}

export class Surface {
  readonly #waves: Wave[];
  readonly #texture: Wave[];
  readonly #grains: Bump[];
  readonly #particles: Bump[];
  readonly #deposits: Bump[];

  constructor(random: Random) {
    const wave = (shortest_m: number, longest_m: number): Wave => {
      const length = shortest_m * (longest_m / shortest_m) ** random.uniform();
      const [direction, k] = [random.uniform(0, 2 * Math.PI), (2 * Math.PI) / length];
      const size = (length / longest_m) ** 1.2;
      return {
        kx: k * Math.cos(direction),
        ky: k * Math.sin(direction),
        phase: random.uniform(0, 2 * Math.PI),
        size,
      };
    };
    const waves = (n: number, shortest_m: number, longest_m: number, rms: number): Wave[] => {
      const made = Array.from({ length: n }, () => wave(shortest_m, longest_m));
      const scale = rms / Math.sqrt(made.reduce((sum, { size }) => sum + size * size, 0) / 2);
      return made.map((w) => ({ ...w, size: w.size * scale }));
    };
    const bumps = (n: number, narrowest_m: number, widest_m: number, least: number, most: number): Bump[] =>
      Array.from({ length: n }, () => ({
        x: random.uniform(0, TILE_m),
        y: random.uniform(0, TILE_m),
        sigma: random.uniform(narrowest_m, widest_m),
        size: random.uniform(least, most),
      }));
    this.#waves = waves(40, 40e-9, 700e-9, 4e-9);
    this.#texture = waves(16, 60e-9, 500e-9, TEXTURE);
    this.#grains = bumps(260, 15e-9, 45e-9, 4e-9, 18e-9);
    this.#particles = bumps(400, 12e-9, 25e-9, 0.3, 2.5);
    this.#deposits = bumps(90, 20e-9, 50e-9, 0.2, 2);
  }

  /** Heights along a line of n points, `step_m` apart, from (x, y). */
  line(x: number, y: number, step_m: number, n: number, state: SurfaceState): Float64Array {
    const z = new Float64Array(n);
    for (const { kx, ky, phase, size } of this.#waves) {
      // cos(a + kδ) by rotation, one multiplication a point in place of one cosine
      const [cos, sin] = [Math.cos(kx * step_m), Math.sin(kx * step_m)];
      let c = size * Math.cos(kx * x + ky * y + phase);
      let s = size * Math.sin(kx * x + ky * y + phase);
      for (let i = 0; i < n; i++) {
        z[i]! += c;
        [c, s] = [c * cos - s * sin, s * cos + c * sin];
      }
    }
    this.#addBumps(z, this.#grains, x, y, step_m, (size) => size);
    this.#addBumps(z, this.#particles, x, y, step_m, (size) => size * 0.4 * state.sei_m);
    if (state.lithium_m > 0) {
      this.#addBumps(z, this.#deposits, x, y, step_m, (size) => depositHeight_m(size, state.lithium_m));
    }
    for (let i = 0; i < n; i++) z[i]! += state.sei_m;
    return z;
  }

  #addBumps(
    z: Float64Array,
    bumps: readonly Bump[],
    x: number,
    y: number,
    step_m: number,
    height: (size: number) => number,
  ): void {
    for (const bump of bumps) {
      const dy = nearest(y - bump.y);
      const reach = 3.5 * bump.sigma;
      if (Math.abs(dy) > reach) continue;
      const across = height(bump.size) * Math.exp((-dy * dy) / (2 * bump.sigma * bump.sigma));
      // Every copy of the bump that the line passes
      const end = x + step_m * (z.length - 1);
      for (
        let at = bump.x + TILE_m * Math.ceil((x - reach - bump.x) / TILE_m);
        at <= end + reach;
        at += TILE_m
      ) {
        const first = Math.max(0, Math.ceil((at - reach - x) / step_m));
        const last = Math.min(z.length - 1, Math.floor((at + reach - x) / step_m));
        for (let i = first; i <= last; i++) {
          const dx = x + i * step_m - at;
          z[i]! += across * Math.exp((-dx * dx) / (2 * bump.sigma * bump.sigma));
        }
      }
    }
  }

  height_m(x: number, y: number, state: SurfaceState): number {
    return this.line(x, y, 1e-9, 1, state)[0]!;
  }

  modulus_Pa(x: number, y: number, state: SurfaceState): number {
    let texture = 0;
    for (const { kx, ky, phase, size } of this.#texture) texture += size * Math.cos(kx * x + ky * y + phase);
    const bare = state.modulus_Pa * Math.exp(texture);
    if (state.lithium_m <= 0) return bare;
    let cover = 0;
    for (const { x: bx, y: by, sigma, size } of this.#deposits) {
      const [dx, dy] = [nearest(x - bx), nearest(y - by)];
      const r2 = (dx * dx + dy * dy) / (2 * sigma * sigma);
      if (r2 < 6) cover += (depositHeight_m(size, state.lithium_m) / 20e-9) * Math.exp(-r2);
    }
    const share = 1 - Math.exp(-cover);
    return Math.exp((1 - share) * Math.log(bare) + share * Math.log(DEPOSIT_Pa * Math.exp(texture)));
  }
}

const depositHeight_m = (size: number, lithium_m: number): number =>
  TALLEST_m * (1 - Math.exp((-size * lithium_m) / TALLEST_m));

/** Distance to the nearest copy. */
const nearest = (d: number): number => d - TILE_m * Math.round(d / TILE_m);
