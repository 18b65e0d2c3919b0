import { RESERVOIR, type Bubble } from "./bubbles.ts";
import type { Random } from "./random.ts";

/**
 * X-ray projections of a small cell in a tube, turning about its axis: exact line integrals of discs, spheres and
 * rectangles, each averaged over the width of a pixel, so that the sum along a row is the same at every angle.
 *
 *     t = axis + x cos θ + y sin θ      where a point is on the detector; x right, y up, in pixels from the axis
 *     counts = dark + Poisson(flat · beam · e^(−p))
 *
 * Attenuation is per pixel. Lengths are for a detector of 128 columns and scale with it.
 */
export interface Sphere {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly radius: number;
  readonly attenuation: number;
}
/** A slab of the stack; along the axis of rotation it has no end. */
export interface Layer {
  readonly x: number;
  readonly y: number;
  readonly halfWidth: number;
  readonly halfHeight: number;
  readonly attenuation: number;
}
/** About the axis itself. */
export interface Cylinder {
  readonly radius: number;
  readonly attenuation: number;
}

export interface Phantom {
  readonly cylinders: readonly Cylinder[];
  readonly layers: readonly Layer[];
  readonly particles: readonly Sphere[];
  /** Scale of the lengths above to this detector. */
  readonly scale: number;
}

const ELECTROLYTE = 0.0017;
export const CATHODE = { y: -11, halfWidth: 38, halfHeight: 8 } as const;
const ANODE = { y: 8, halfWidth: 38, halfHeight: 6 } as const;
const RESERVOIR_BOTTOM = 20;
const WINDOW_px = 80;

/** The cell without gas: tube, electrolyte, collectors, cathode with its particles, anode. */
export function cellPhantom(columns: number, random: Random): Phantom {
  const scale = columns / 128;
  const particles: Sphere[] = [];
  for (let tries = 0; particles.length < 26 && tries < 2000; tries++) {
    const radius = random.uniform(2, 4.5);
    const sphere = {
      x: random.uniform(-CATHODE.halfWidth + radius, CATHODE.halfWidth - radius),
      y: CATHODE.y + random.uniform(-CATHODE.halfHeight + radius, CATHODE.halfHeight - radius),
      z: random.uniform(-5, 5),
      radius,
      attenuation: 0.03,
    };
    const clear = particles.every((p) => Math.hypot(p.x - sphere.x, p.y - sphere.y) > p.radius + radius);
    if (clear) particles.push(sphere);
  }
  return {
    scale,
    cylinders: [
      { radius: 62, attenuation: 0.0012 },
      { radius: 58, attenuation: ELECTROLYTE - 0.0012 },
    ],
    layers: [
      { x: 0, y: CATHODE.y - CATHODE.halfHeight - 1, halfWidth: 38, halfHeight: 1, attenuation: 0.008 }, // aluminium
      { x: 0, attenuation: 0.006, ...CATHODE },
      { x: 0, attenuation: 0.0015, ...ANODE },
      { x: 0, y: ANODE.y + ANODE.halfHeight + 0.75, halfWidth: 38, halfHeight: 0.75, attenuation: 0.02 }, // copper
    ],
    particles,
  };
}

/** Bubbles of the window as holes in the electrolyte above the stack. */
export const bubbleSpheres = (bubbles: readonly Bubble[]): Sphere[] =>
  bubbles.map(({ along, across, radius }) => ({
    x: (along - 0.5) * WINDOW_px,
    y: RESERVOIR_BOTTOM + across * RESERVOIR * WINDOW_px,
    z: 0,
    radius: radius * WINDOW_px,
    attenuation: -ELECTROLYTE,
  }));

/** Adds to `out` the mean over each pixel of a shape's line integral; `until(t)` is its integral up to t. */
function addAveraged(out: Float64Array, from: number, to: number, until: (t: number) => number): void {
  const first = Math.max(0, Math.floor(from));
  const last = Math.min(out.length - 1, Math.ceil(to));
  let before = until(first);
  for (let i = first; i <= last; i++) {
    const after = until(i + 1);
    out[i]! += after - before;
    before = after;
  }
}

function addDisc(out: Float64Array, centre: number, radius: number, attenuation: number): void {
  if (radius <= 0) return;
  addAveraged(out, centre - radius, centre + radius, (t) => {
    const s = t <= centre - radius ? -1 : t >= centre + radius ? 1 : (t - centre) / radius;
    return attenuation * radius * radius * (s * Math.sqrt(1 - s * s) + Math.asin(s));
  });
}

function addBox(out: Float64Array, centre: number, a: number, b: number, attenuation: number): void {
  // A box seen askew is a trapezoid: sides fall over 2 min(a, b), the top is 2 |a − b| wide
  const [outer, inner] = [a + b, Math.abs(a - b)];
  addAveraged(out, centre - outer, centre + outer, (t) => {
    const s = Math.max(-outer, Math.min(outer, t - centre));
    const side = Math.abs(s);
    const rising = outer - inner;
    const half = (outer + inner) / 2; // integral of the unit trapezoid over one half
    const upTo = side <= inner ? side : rising === 0 ? half : half - (outer - side) ** 2 / (2 * rising);
    return attenuation * (half + Math.sign(s) * upTo);
  });
}

/** Line integrals of each row (row, column), pixel i reaching from i to i + 1; `axis` is where the axis falls. */
export function lineIntegrals(
  phantom: Phantom,
  bubbles: readonly Sphere[],
  theta_rad: number,
  axis: number,
  rows: number,
  columns: number,
): Float64Array {
  const { scale } = phantom;
  const [cos, sin] = [Math.cos(theta_rad), Math.sin(theta_rad)];
  const per = 1 / scale; // attenuation per pixel falls as pixels get smaller
  const base = new Float64Array(columns);
  for (const { radius, attenuation } of phantom.cylinders)
    addDisc(base, axis, radius * scale, attenuation * per);
  for (const { x, y, halfWidth, halfHeight, attenuation } of phantom.layers) {
    const [a, b] = [Math.abs(halfWidth * cos) * scale, Math.abs(halfHeight * sin) * scale];
    const chord = (2 * halfWidth * scale * 2 * halfHeight * scale) / (2 * Math.max(a, b));
    addBox(base, axis + (x * cos + y * sin) * scale, a, b, attenuation * per * chord);
  }
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const line = out.subarray(row * columns, (row + 1) * columns);
    line.set(base);
    const z = (row - (rows - 1) / 2) / scale;
    for (const spheres of [phantom.particles, bubbles]) {
      for (const { x, y, z: at, radius, attenuation } of spheres) {
        const cut = radius * radius - (z - at) ** 2;
        if (cut > 0)
          addDisc(line, axis + (x * cos + y * sin) * scale, Math.sqrt(cut) * scale, attenuation * per);
      }
    }
  }
  return out;
}

export const DARK_counts = 100;
export const FLAT_counts = 20000;
const READ_NOISE_counts = 2;

/** Brightness of the beam over the columns: a slow curve, and strips of the scintillator that differ by a percent. */
export function beamProfile(columns: number, random: Random): Float64Array {
  return Float64Array.from({ length: columns }, (_, i) => {
    const t = (2 * i) / columns - 1;
    return FLAT_counts * (1 - 0.15 * t * t) * (1 + 0.01 * random.normal());
  });
}

/** One exposure: counts of each pixel, with Poisson and readout noise; without line integrals, of the beam alone. */
export function expose(
  profile: Float64Array,
  beam: number,
  integrals: Float64Array | undefined,
  pixels: number,
  random: Random,
): Uint16Array {
  const counts = new Uint16Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const mean = profile[i % profile.length]! * beam * (integrals ? Math.exp(-integrals[i]!) : 1);
    const n = DARK_counts + (mean > 0 ? random.poisson(mean) : 0) + READ_NOISE_counts * random.normal();
    counts[i] = Math.max(0, Math.min(65535, Math.round(n)));
  }
  return counts;
}
