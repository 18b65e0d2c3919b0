import { DEEPEST_CHI, layerTable, type Geometry } from "./layer-integral.ts";

/**
 * Thin elastic layer on a much stiffer substrate: the factor by which it takes more force than a half space of its own.
 *
 *     f = 1 + c₁ χ + c₂ χ² + c₃ χ³ + c₄ χ⁴       χ = √(R δ)/h round tips,  tan α δ/h cone,  R/h punch
 *
 *     δ  indentation  [m]    h  thickness of the layer  [m]    R, α  radius [m] and half angle [rad] of the tip
 *
 * integral      solves the contact problem itself: every tip, every Poisson ratio, bonded or slipping, χ to 3
 *               (layer-integral.ts). The others are series that people know, and need for comparison:
 * garcia        Garcia & Garcia, Biophys. J. 114, 2923 (2018): bonded, ν = 0.5; round tips, cone, punch
 * managuli      Managuli & Roy (2018): bonded, ν = 0.5; cone: c₁ = 4 C, c₂ = 20 C², C = 1.7795/π² with χ
 *               above; α is an angle in radians there, and with degrees in its tangent all is wrong
 * dimitriadis   Dimitriadis et al., Biophys. J. 82, 2798 (2002): round tips, bonded or not, any ν
 *
 *     -2 α₀/π,   4 α₀²/π²,   -8/π³ (α₀³ + 4π²/15 β₀),   16 α₀/π⁴ (α₀³ + 3π²/5 β₀)
 *
 * The last is -0.0975 where bonded with ν = 0.5, while the form for ν = 0.5 is printed with +0.0975. The general form is
 * right: with the contact radius held at √(R δ), which is what this theory does, the integral equation gives the same
 * coefficient (I₀ = -α₀ and I₂ = 4 β₀ being the kernel's moments ∫ (1 - M) dξ and ∫ ξ² (1 - M) dξ). What matters more
 * is that radius, which grows when the layer is thin: with either sign the series falls below the solved problem, by
 * 1 % at χ = 0.2 and 8 % at χ = 0.5. His "not bonded" with ν = 0.5 is above it by 3 and 8 %: a layer that slips without
 * friction does not feel ν, but in E*. Garcia lets the radius grow, and agrees to 0.1 and 0.7 %.
 *
 * `limit` is the χ to which a series stays within 5 % of the solved problem.
 */
export interface Layer {
  readonly thickness_m: number;
  /** The layer sticks to its substrate; else it slips on it without friction. */
  readonly bonded: boolean;
  readonly theory: LayerTheory;
}
export const LAYER_THEORIES = ["integral", "garcia", "managuli", "dimitriadis"] as const;
export type LayerTheory = (typeof LAYER_THEORIES)[number];

export interface LayerFactor {
  factor(chi: number): number;
  /** d factor / d χ */
  slope(chi: number): number;
  /** Largest χ for which it holds. */
  readonly limit: number;
}

/** Or a sentence, where there is no such theory. */
export function layerFactor(geometry: Geometry, layer: Layer, poisson: number): LayerFactor | string {
  const { theory, bonded, thickness_m } = layer;
  if (!(thickness_m > 0)) return `a layer's thickness is above zero, not ${thickness_m} m`;
  if (theory === "integral") {
    const table = layerTable(geometry, bonded, poisson);
    return {
      factor: (chi) => table.value(Math.min(chi, DEEPEST_CHI)),
      slope: (chi) => table.slope(Math.min(chi, DEEPEST_CHI)),
      limit: DEEPEST_CHI,
    };
  }
  const there = `${theory} has no ${bonded ? "bonded" : "slipping"} layer`;
  if (theory === "dimitriadis")
    return geometry === "sphere" ? dimitriadis(bonded, poisson) : `${there} under a ${geometry}, only under round tips; take theory integral`; // prettier-ignore
  if (!bonded) return `${there}; take theory integral`;
  if (poisson < 0.45) return `${theory} holds for an incompressible layer, ν = 0.5, not ${poisson}; take theory integral`; // prettier-ignore
  if (theory === "garcia") return GARCIA[geometry];
  return geometry === "cone" ? MANAGULI : `${there} under a ${geometry}, only under a cone; take theory integral`; // prettier-ignore
}

function series(c1: number, c2: number, c3: number, c4: number, limit: number): LayerFactor {
  return {
    factor: (x) => 1 + x * (c1 + x * (c2 + x * (c3 + x * c4))),
    slope: (x) => c1 + x * (2 * c2 + x * (3 * c3 + x * 4 * c4)),
    limit,
  };
}

const GARCIA: Record<Geometry, LayerFactor> = {
  sphere: series(1.133, 1.497, 1.469, 0.755, 0.75),
  cone: series(0.721, 0.65, 0.491, 0.225, 1.15),
  punch: series(1.133, 1.283, 0.598, -0.291, 1.8),
};
const C = 1.7795 / Math.PI ** 2;
const MANAGULI = series(4 * C, 20 * C * C, 0, 0, 0.5);

function dimitriadis(bonded: boolean, nu: number): LayerFactor {
  const a = (bonded ? -(1.2876 - 1.4678 * nu + 1.3442 * nu * nu) : -0.347 * (3 - 2 * nu)) / (1 - nu);
  const b = (bonded ? 0.6387 - 1.0277 * nu + 1.5164 * nu * nu : 0.056 * (5 - 2 * nu)) / (1 - nu);
  const p = Math.PI;
  return series(
    (-2 * a) / p,
    (4 * a * a) / p ** 2,
    (-8 / p ** 3) * (a ** 3 + ((4 * p ** 2) / 15) * b),
    ((16 * a) / p ** 4) * (a ** 3 + ((3 * p ** 2) / 5) * b),
    0.35,
  );
}

/**
 * Modulus of a stiff layer (near 100 GPa) on a substrate of another stiffness, from the one that a half space would have.
 *
 *     E_app = E_L + (E_S - E_L) P ξ^1.5/(1 + P ξ^1.5),   ξ = √(R δ)/h (E_L/E_S)^(2/3) (1 - B_S ν_S²)/(1 - B_L ν_L²)
 *
 *     E_L, E_S  Young's modulus of layer and substrate [Pa]    P = 2.25, B_S = 0.22, B_L = 1.92, fitted to finite elements
 *
 * The factor depends on the moduli, so this is no ContactShape: it comes after a fit without a layer. Solved by
 * bisection; NaN where no layer has this apparent modulus. Not exact for δ → 0, by its makers' own fit.
 *
 * Reference: Clifford & Seah, Nanotechnology 20, 145708 (2009).
 */
export function cliffordSeahLayer(apparent_Pa: number, given: CliffordSeah): number {
  let [low, high] = [1, 1e15];
  const of = (layer_Pa: number): number => cliffordSeahApparent(layer_Pa, given);
  if (!(of(low) <= apparent_Pa && apparent_Pa <= of(high))) return NaN;
  for (let k = 0; k < 200 && high / low - 1 > 1e-14; k++) {
    const middle = Math.sqrt(low * high);
    if (of(middle) < apparent_Pa) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

export interface CliffordSeah {
  /** √(R δ)/h */
  readonly chi: number;
  readonly substrate_Pa: number;
  readonly substratePoisson: number;
  readonly layerPoisson: number;
}

export function cliffordSeahApparent(
  layer_Pa: number,
  { chi, substrate_Pa, substratePoisson, layerPoisson }: CliffordSeah,
): number {
  const poisson = (1 - 0.22 * substratePoisson ** 2) / (1 - 1.92 * layerPoisson ** 2);
  const x = 2.25 * (chi * (layer_Pa / substrate_Pa) ** (2 / 3) * poisson) ** 1.5;
  return layer_Pa + ((substrate_Pa - layer_Pa) * x) / (1 + x);
}
