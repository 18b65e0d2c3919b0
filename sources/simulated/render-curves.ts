import type { Random } from "./random.ts";

/**
 * A force curve: approach to a force setpoint and retract, on a flat surface of one modulus.
 *
 *     F = 4/3 E / (1 − ν²) √R δ^1.5          Hertz, paraboloid, rigid tip; on retract less the adhesion
 *     δ = x_cp − (h + F / k)                 h height of the piezo, which falls towards the sample
 *
 *     E   modulus [Pa]          R    radius of the tip [m]       k  spring constant [N/m]
 *     δ   indentation [m]       x_cp contact point [m]           ν  Poisson's ratio
 *
 * Holds for δ ≪ R and a surface that is thick against √(R δ): the substrate under a thin film is not felt.
 */
export interface CurvePlan {
  readonly modulus_Pa: number;
  readonly contactPoint_m: number;
  readonly points: number;
  readonly tipRadius_m: number;
  readonly poissonRatio: number;
  readonly springConstant_N_per_m: number;
  readonly forceSetpoint_N: number;
  /** Height above the surface where the approach begins. */
  readonly clearance_m: number;
  readonly adhesion_N: number;
}

export interface Curve {
  readonly height: Float32Array;
  readonly force: Float32Array;
  readonly segment: Uint8Array;
}

export const hertzFactor = (plan: CurvePlan): number =>
  ((4 / 3) * plan.modulus_Pa * Math.sqrt(plan.tipRadius_m)) / (1 - plan.poissonRatio ** 2);

/** Share of the points that belong to the approach. */
const APPROACH = 0.75;
const APPROACH_SEGMENT = 0, RETRACT_SEGMENT = 1; // prettier-ignore

/** Without noise. */
export function forceCurve(plan: CurvePlan): Curve {
  const {
    points,
    contactPoint_m,
    springConstant_N_per_m: k,
    forceSetpoint_N,
    clearance_m,
    adhesion_N,
  } = plan;
  const factor = hertzFactor(plan);
  const deepest_m = (forceSetpoint_N / factor) ** (2 / 3);
  const top_m = contactPoint_m + clearance_m;
  const bottom_m = contactPoint_m - deepest_m - forceSetpoint_N / k;
  const approach = Math.round(APPROACH * points);
  const height = new Float32Array(points);
  const force = new Float32Array(points);
  const segment = new Uint8Array(points);
  let root = 0; // of the indentation, of the point before
  for (let i = 0; i < points; i++) {
    const retracting = i >= approach;
    const along = retracting ? (points - 1 - i) / (points - approach) : i / (approach - 1);
    const h = top_m + (bottom_m - top_m) * along;
    const adhesion = retracting ? adhesion_N : 0;
    // With u = √δ: u² + (f u³ − F_adh) / k = x_cp − h, a rising function of u
    const reach = contactPoint_m - h + adhesion / k;
    if (reach <= 0) root = 0;
    else {
      root = root === 0 ? Math.sqrt(reach) : root;
      for (let n = 0; n < 50; n++) {
        const change =
          (root * root + (factor * root ** 3) / k - reach) / (2 * root + (3 * factor * root * root) / k);
        root = Math.max(root / 4, root - change);
        if (Math.abs(change) < 1e-12 * root) break;
      }
    }
    height[i] = h;
    force[i] = reach <= 0 ? 0 : factor * root ** 3 - adhesion;
    segment[i] = retracting ? RETRACT_SEGMENT : APPROACH_SEGMENT;
  }
  return { height, force, segment };
}

export interface CurveNoise {
  readonly force_N: number;
  readonly height_m: number;
  readonly offset_N: number;
  /** Of the baseline, from stray light. */
  readonly tilt_N_per_m: number;
}

export function withNoise(curve: Curve, noise: CurveNoise, random: Random): Curve {
  const offset = noise.offset_N * random.normal();
  const tilt = noise.tilt_N_per_m * random.normal();
  const top = curve.height[0]!;
  return {
    height: curve.height.map((h) => h + noise.height_m * random.normal()),
    force: curve.force.map(
      (f, i) => f + offset + tilt * (top - curve.height[i]!) + noise.force_N * random.normal(),
    ),
    segment: curve.segment,
  };
}
