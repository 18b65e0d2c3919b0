import { CubicTable, slopesOf } from "./cubic-table.ts";

/**
 * How much more force a layer on a rigid substrate takes than a half space, from the integral equation of the contact.
 *
 *     φ(t) - 1/π ∫₀ᵃ φ(s) [K(t - s) + K(t + s)] ds = g(t),   F = 2 E* ∫₀ᵃ φ dt
 *     K(x) = ∫₀^∞ (1 - M(ξ)) cos(ξ x/h) dξ/h
 *
 *     bonded     M = ((3 - 4ν) sinh 2ξ - 2ξ) / ((3 - 4ν) cosh 2ξ + 2ξ² + 5 - 12ν + 8ν²)
 *     slipping   M = (cosh 2ξ - 1) / (sinh 2ξ + 2ξ)
 *
 *     g  of the tip: δ - t²/R paraboloid, δ - π/2 cot α t cone, δ punch     a  contact radius  [m]
 *     h  thickness of the layer  [m]                                        ν  its Poisson ratio
 *
 * Round tips end where φ(a) = 0. The factor goes with χ alone (layers.ts); here h = 1. Solved by Gauss and Legendre's
 * rule at 24 points, tabulated for χ of 0 … 3 every 1/32, cubic between: good to 1e-5.
 *
 * Holds for a frictionless tip and small strains.
 *
 * Reference: Lebedev & Ufliand, J. Appl. Math. Mech. 22, 442 (1958); Hayes et al., J. Biomech. 5, 541 (1972).
 */
export type Geometry = "sphere" | "cone" | "punch";

export const DEEPEST_CHI = 3;
const KNOTS_PER_UNIT = 32;

const tables = new Map<string, CubicTable>();

/** Force on the layer over force on the half space, over χ. */
export function layerTable(geometry: Geometry, bonded: boolean, poisson: number): CubicTable {
  const key = `${geometry} ${bonded} ${bonded ? poisson : ""}`; // who slips does not feel ν, but in E*
  const known = tables.get(key);
  if (known) return known;
  const kernel = kernelTable(bonded, poisson);
  const factors = new Float64Array(DEEPEST_CHI * KNOTS_PER_UNIT + 3).fill(1);
  let radius = 0;
  for (let i = 1; i < factors.length; i++) {
    const chi = i / KNOTS_PER_UNIT;
    radius = geometry === "punch" ? chi : radiusAt(geometry, chi, radius, kernel);
    factors[i] = press(geometry, radius, kernel).factor;
  }
  const table = new CubicTable(KNOTS_PER_UNIT, factors, slopesOf(factors, KNOTS_PER_UNIT));
  tables.set(key, table);
  return table;
}

/** The contact radius at a χ, by secants; the last one's is a little smaller. */
function radiusAt(geometry: Geometry, chi: number, last: number, kernel: CubicTable): number {
  let [a, b] = [Math.max(last, 0.5 * chi), 1.05 * last + 1.5 / KNOTS_PER_UNIT];
  let [fa, fb] = [press(geometry, a, kernel).chi - chi, press(geometry, b, kernel).chi - chi];
  for (let k = 0; k < 30 && Math.abs(fb) > 1e-13 * chi && fa !== fb; k++) {
    const c = b - (fb * (b - a)) / (fb - fa);
    [a, fa, b] = [b, fb, c];
    fb = press(geometry, b, kernel).chi - chi;
  }
  return b;
}

const RULE = gaussLegendre(24);

/** Depth as χ, and the factor, at a contact radius; all in units of h, tan α and R being 1. */
function press(geometry: Geometry, radius: number, kernel: CubicTable): { chi: number; factor: number } {
  const n = RULE.at.length;
  const at = RULE.at.map((x) => (radius * (x + 1)) / 2);
  const weight = RULE.weights.map((w) => (radius * w) / 2);
  const K = (t: number, s: number): number => (kernel.value(Math.abs(t - s)) + kernel.value(t + s)) / Math.PI;
  const shape = (t: number): number => (geometry === "sphere" ? t * t : (Math.PI / 2) * t);
  // Two right sides at once: the flat part of g, and the tip's shape.
  const width = n + 2;
  const rows = new Float64Array(n * width);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) rows[i * width + j] = (i === j ? 1 : 0) - K(at[i]!, at[j]!) * weight[j]!;
    rows[i * width + n] = 1;
    rows[i * width + n + 1] = shape(at[i]!);
  }
  eliminate(rows, n, width);
  let [flat, curved, flatEdge, curvedEdge] = [0, 0, 1, shape(radius)];
  for (let i = 0; i < n; i++) {
    const [u, v] = [rows[i * width + n]!, rows[i * width + n + 1]!];
    flat += weight[i]! * u;
    curved += weight[i]! * v;
    flatEdge += K(radius, at[i]!) * weight[i]! * u;
    curvedEdge += K(radius, at[i]!) * weight[i]! * v;
  }
  if (geometry === "punch") return { chi: radius, factor: flat / radius };
  const depth = curvedEdge / flatEdge; // so that φ ends at zero
  const force = 2 * (depth * flat - curved);
  return geometry === "sphere"
    ? { chi: Math.sqrt(depth), factor: force / ((4 / 3) * depth ** 1.5) }
    : { chi: depth, factor: force / ((2 / Math.PI) * depth ** 2) };
}

/** Gauss and Jordan in place; no pivot is needed, since the matrix is near the identity or positive. */
function eliminate(rows: Float64Array, n: number, width: number): void {
  for (let p = 0; p < n; p++) {
    const pivot = rows[p * width + p]!;
    for (let q = p; q < width; q++) rows[p * width + q]! /= pivot;
    for (let i = 0; i < n; i++) {
      const share = rows[i * width + p]!;
      if (i === p || share === 0) continue;
      for (let q = p; q < width; q++) rows[i * width + q]! -= share * rows[p * width + q]!;
    }
  }
}

const KERNEL_STEPS = 32;

/** K(x) h over x/h, as far as the widest contact reaches. */
function kernelTable(bonded: boolean, poisson: number): CubicTable {
  const { at, weights } = gaussLegendre(200);
  const most = 20; // 1 - M is below 1e-14 beyond
  const values = new Float64Array(KERNEL_STEPS * 4 * (DEEPEST_CHI + 1));
  const slopes = new Float64Array(values.length);
  for (let k = 0; k < at.length; k++) {
    const xi = (most * (at[k]! + 1)) / 2;
    const share = ((most * weights[k]!) / 2) * (1 - stiffness(xi, bonded, poisson));
    for (let i = 0; i < values.length; i++) {
      const phase = (xi * i) / KERNEL_STEPS;
      values[i]! += share * Math.cos(phase);
      slopes[i]! -= share * xi * Math.sin(phase);
    }
  }
  return new CubicTable(KERNEL_STEPS, values, slopes);
}

function stiffness(xi: number, bonded: boolean, nu: number): number {
  const [sinh, cosh] = [Math.sinh(2 * xi), Math.cosh(2 * xi)];
  return bonded
    ? ((3 - 4 * nu) * sinh - 2 * xi) / ((3 - 4 * nu) * cosh + 2 * xi * xi + 5 - 12 * nu + 8 * nu * nu)
    : (cosh - 1) / (sinh + 2 * xi);
}

/** Points and weights on -1 … 1: zeros of Legendre's polynomial by Newton. */
function gaussLegendre(n: number): { at: Float64Array; weights: Float64Array } {
  const at = new Float64Array(n);
  const weights = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let x = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let k = 0; k < 100; k++) {
      let [before, here] = [1, x];
      for (let j = 2; j <= n; j++) [before, here] = [here, ((2 * j - 1) * x * here - (j - 1) * before) / j];
      slope = (n * (x * here - before)) / (x * x - 1);
      const step = here / slope;
      x -= step;
      if (Math.abs(step) < 1e-15) break;
    }
    at[i] = x;
    weights[i] = 2 / ((1 - x * x) * slope * slope);
  }
  return { at, weights };
}
