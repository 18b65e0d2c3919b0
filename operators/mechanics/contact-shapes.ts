import { CubicTable } from "./cubic-table.ts";
import { layerFactor, type Layer } from "./layers.ts";

/**
 * Force between an elastic half space and a rigid tip that is pushed into it, per modulus: F = E* g(δ).
 *
 *     hertz-paraboloid   g = 4/3 √R δ^1.5                                 a = √(R δ)
 *     sphere             g = (R² + a²)/2 ln((R + a)/(R - a)) - a R,       δ = a/2 ln((R + a)/(R - a))
 *     hertz-cone         g = 2/π tan α δ²          α  between the cone's axis and its flank
 *     hertz-pyramid      g = 1/√2 tan α δ²         α  four sides: between axis and the middle of a face
 *     pyramid-3          g = 0.8887 tan α δ²       α  three sides: between axis and the middle of a face
 *     punch              g = 2 R δ                 a = R, flat end
 *
 *     δ   indentation                [m]      R  radius of the tip, of a paraboloid at its apex  [m]
 *     a   radius of the contact      [m]      g  [m²]
 *     E*  reduced modulus            [Pa]     1/E* = (1 - ν²)/E + (1 - ν_t²)/E_t: Poisson's ratios enter here only
 *
 * All angles are measured from the tip's axis: a larger angle is a blunter tip, and needs more force for the same
 * indentation. Some papers and programs give the pyramid's angle from the sample's plane; take 90° minus that.
 * For every round tip dF/dδ = 2 E* a.
 *
 * On a thin layer g is multiplied by a series in χ (layers.ts): χ = √(R δ)/h for the round tips, R/h for the punch,
 * tan α δ/h for the cone. A pyramid is then taken for the cone that meets the same force in a half space.
 *
 * Reference: Sneddon, Int. J. Eng. Sci. 3, 47 (1965); Bilodeau, J. Appl. Mech. 59, 519 (1992);
 * Rico et al., Phys. Rev. E 72, 021914 (2005), eq. 3.
 */
export interface ContactShape {
  /** F/E* [m²]; 0 where the tip does not touch (δ ≤ 0). */
  g(depth_m: number): number;
  /** dg/dδ [m]; of a round tip twice the contact radius. */
  dg(depth_m: number): number;
  /** Where g = scale × δ^power exactly: 1 punch, 1.5 paraboloid, 2 cone and pyramids; undefined for sphere and layers. */
  readonly power: number | undefined;
  /** Of δ^power; where there is no power, of the half space's lowest power, for small δ. */
  readonly scale: number;
  /** Largest depth for which it holds: Infinity, or where the series of a layer ends to be good. */
  readonly deepest_m: number;
  /** ∂ln g/∂ln R at a depth: what a relative error of the radius does to the force. */
  radiusSensitivity(depth_m: number): number;
  /** ∂ln g/∂α at a depth, per rad. */
  angleSensitivity(depth_m: number): number;
  /** ∂ln g/∂ln h at a depth, h being the layer's thickness; 0 where there is no layer. */
  thicknessSensitivity(depth_m: number): number;
  /** χ at a depth: how much of the layer the contact feels; 0 where there is no layer. */
  substrateEffect(depth_m: number): number;
}

export const TIP_MODELS = [
  "hertz-paraboloid", "sphere", "hertz-cone", "hertz-pyramid", "pyramid-3", "punch",
] as const; // prettier-ignore
export type TipModel = (typeof TIP_MODELS)[number];

export interface Tip {
  readonly model: TipModel;
  /** Of paraboloid, sphere and punch. */
  readonly radius_m: number;
  /** Of cone and pyramids, from the axis. */
  readonly halfAngle_rad: number;
  /** Of the sample; matters only for a layer. */
  readonly poisson: number;
}

const isRound = (model: TipModel): boolean => model === "hertz-paraboloid" || model === "sphere";

/** Throws RangeError with a sentence where theory and tip do not go together. */
export function contactShape(tip: Tip, layer?: Layer): ContactShape {
  const bare = halfSpace(tip);
  return layer ? onLayer(bare, tip, layer) : bare;
}

const CONE_FACTOR = {
  "hertz-cone": 2 / Math.PI,
  "hertz-pyramid": Math.SQRT1_2,
  "pyramid-3": 0.8887,
} as const;

const none = (): number => 0;

function halfSpace({ model, radius_m: R, halfAngle_rad: angle }: Tip): ContactShape {
  const rest = { deepest_m: Infinity, thicknessSensitivity: none, substrateEffect: none };
  switch (model) {
    case "hertz-paraboloid": {
      const scale = (4 / 3) * Math.sqrt(R);
      return {
        ...rest, power: 1.5, scale,
        g: (d) => (d > 0 ? scale * d * Math.sqrt(d) : 0),
        dg: (d) => (d > 0 ? 1.5 * scale * Math.sqrt(d) : 0),
        radiusSensitivity: () => 0.5, angleSensitivity: none,
      }; // prettier-ignore
    }
    case "sphere": {
      const g = (d: number): number => (d > 0 ? R * R * sphereForce(d / R) : 0);
      const dg = (d: number): number => (d > 0 ? R * sphereForceSlope(d / R) : 0);
      return {
        ...rest, power: undefined, scale: (4 / 3) * Math.sqrt(R), g, dg,
        radiusSensitivity: (d) => (d > 0 ? 2 - (d * dg(d)) / g(d) : 0.5), // g is homogeneous in δ and R, of degree 2
        angleSensitivity: none,
      }; // prettier-ignore
    }
    case "hertz-cone":
    case "hertz-pyramid":
    case "pyramid-3": {
      const scale = CONE_FACTOR[model] * Math.tan(angle);
      return {
        ...rest, power: 2, scale,
        g: (d) => (d > 0 ? scale * d * d : 0),
        dg: (d) => (d > 0 ? 2 * scale * d : 0),
        radiusSensitivity: none, angleSensitivity: () => 2 / Math.sin(2 * angle),
      }; // prettier-ignore
    }
    case "punch": {
      const scale = 2 * R;
      return {
        ...rest, power: 1, scale,
        g: (d) => (d > 0 ? scale * d : 0),
        dg: (d) => (d > 0 ? scale : 0),
        radiusSensitivity: () => 1, angleSensitivity: none,
      }; // prettier-ignore
    }
  }
}

function onLayer(bare: ContactShape, { model, radius_m: R, poisson }: Tip, layer: Layer): ContactShape {
  const h = layer.thickness_m;
  const geometry = model === "punch" ? "punch" : isRound(model) ? "sphere" : "cone";
  const law = layerFactor(geometry, layer, poisson);
  if (typeof law === "string") throw new RangeError(law);
  const tangent = geometry === "cone" ? bare.scale / CONE_FACTOR["hertz-cone"] : 0; // of the cone of the same force
  const chiOf = {
    sphere: (d: number): number => (d > 0 ? Math.sqrt(R * d) / h : 0),
    cone: (d: number): number => (d > 0 ? (tangent * d) / h : 0),
    punch: (): number => R / h,
  }[geometry];
  const deepest_m = {
    sphere: (law.limit * h) ** 2 / R,
    cone: (law.limit * h) / tangent,
    punch: R <= law.limit * h ? Infinity : 0,
  }[geometry];
  /** d ln χ / d ln δ and d ln χ / d ln R */
  const [byDepth, byRadius] = { sphere: [0.5, 0.5], cone: [1, 0], punch: [0, 1] }[geometry] as [
    number,
    number,
  ];
  /** d ln factor / d ln χ */
  const steepness = (chi: number): number => (chi * law.slope(chi)) / law.factor(chi);
  return {
    power: undefined,
    scale: bare.scale,
    deepest_m,
    g: (d) => bare.g(d) * law.factor(chiOf(d)),
    dg: (d) => {
      if (!(d > 0)) return 0;
      const chi = chiOf(d);
      return bare.dg(d) * law.factor(chi) + (bare.g(d) * law.slope(chi) * byDepth * chi) / d;
    },
    radiusSensitivity: (d) => bare.radiusSensitivity(d) + byRadius * steepness(chiOf(d)),
    angleSensitivity: (d) => bare.angleSensitivity(d) * (1 + steepness(chiOf(d))),
    thicknessSensitivity: (d) => -steepness(chiOf(d)),
    substrateEffect: chiOf,
  };
}

// Sphere, in units of R: q = δ/R, u = a/R, G = g/R². q = u artanh u; G = (1 + u²) artanh u - u; dG/dq = 2 u.

/** The contact radius over R, of a sphere pushed in by q radii. */
export function sphereContactRadius(q: number): number {
  if (!(q > 0)) return 0;
  if (q > 18) return 1; // to the last bit
  let low = 0;
  let high = 1;
  let u = Math.min(Math.sqrt(q), Math.tanh(Math.max(q, Math.sqrt(q)))); // both are above the root or near it
  for (let k = 0; k < 60; k++) {
    const t = Math.atanh(u);
    const over = u * t - q;
    if (over > 0) high = u;
    else low = u;
    let next = u - over / (t + u / (1 - u * u));
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (Math.abs(next - u) <= 2e-16 * u) return next;
    u = next;
  }
  return u;
}

const KNOTS_PER_UNIT = 256;
const DEEPEST = 4;

/** G/q^1.5 is smooth, 4/3 at q = 0. Between the knots good to 1e-11, and dG/dq to 2e-11. */
const perHertz = sphereTable();

function sphereTable(): CubicTable {
  const values = new Float64Array(DEEPEST * KNOTS_PER_UNIT + 2);
  const slopes = new Float64Array(values.length);
  [values[0], slopes[0]] = [4 / 3, -4 / 30];
  for (let i = 1; i < values.length; i++) {
    const q = i / KNOTS_PER_UNIT;
    const u = sphereContactRadius(q);
    const G = exactForce(q, u);
    values[i] = G / (q * Math.sqrt(q));
    slopes[i] = (2 * u * q - 1.5 * G) / (q * q * Math.sqrt(q));
  }
  return new CubicTable(KNOTS_PER_UNIT, values, slopes);
}

function exactForce(q: number, u: number): number {
  return ((1 + u * u) * q) / u - u;
}

function sphereForce(q: number): number {
  return q < DEEPEST ? q * Math.sqrt(q) * perHertz.value(q) : exactForce(q, sphereContactRadius(q));
}

function sphereForceSlope(q: number): number {
  return q < DEEPEST
    ? Math.sqrt(q) * (1.5 * perHertz.value(q) + q * perHertz.slope(q))
    : 2 * sphereContactRadius(q);
}
