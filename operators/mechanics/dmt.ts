import { farBaseline, leastForce, type Branch } from "./loop.ts";

/**
 * Reduced modulus from the retract branch after Derjaguin, Muller and Toporov, in closed form.
 *
 *     F = F_min + 4/3 E* √R δ^1.5,   δ = c - x,   x = z + F/k
 *     y = (F - F_min)^(2/3) = B (c - x),   E* = B^1.5 / (4/3 √R)
 *
 *     F_min  least force: baseline less adhesion 2π W R   [N]     z  piezo height      [m]
 *     R      radius of the tip's apex                     [m]     x  tip position      [m]
 *     W      work of adhesion                             [J/m2]  c  its contact point [m]
 *
 * A straight line through the samples between `low` and `high` of the load window (F_min … largest force). Both y and
 * x carry the noise of F, which in a plain regression makes a stiff sample look soft; the piezo height carries none.
 * So B = -Σ w (z - z̄) y / Σ w (z - z̄) x, with z as the instrument: unbiased, however stiff the contact. The noise of
 * y + B x is σ (2/3 (F - F_min)^(-1/3) + B/k): it gives the weights w. The power 2/3 of a noisy force is too small by
 * 1/9 (σ/(F - F_min))² of it, which is put back. All is done twice: the first line chooses samples and weights
 * of the second, so that these do not depend on each sample's own noise. Three passes over the samples, no iteration.
 *
 * The standard errors hold the noise in the samples of the line and that of F_min. Where the snap is sharper than the
 * samples are spaced, F_min is seen too high.
 *
 * Holds for a paraboloid, a Tabor parameter below 0.1 (jkr.ts), a lever that stays in contact down to F_min.
 *
 * Reference: Derjaguin, Muller & Toporov, J. Colloid Interface Sci. 53, 314 (1975); Maugis, Contact, Adhesion and
 * Rupture of Elastic Solids (Springer, 2000).
 */
export function dmt(
  { height_m: z, force_N: f, length: n }: Branch,
  { springConstant_N_per_m: k, tipRadius_m: R, low = 0.3, high = 0.9 }: AdhesiveOptions,
): AdhesiveFit {
  const far = farBaseline(f, n);
  const least = leastForce(f, n, far);
  const none = notFitted(far, least);
  const floor = least.force_N;
  let most = -Infinity;
  for (let i = 0; i < n; i++) if (f[i]! > most) most = f[i]!;
  const window = most - floor;
  if (!(least.at < n - LEAST_IN_WINDOW && window > 0)) return none;

  const first = Math.max(0, Math.ceil(least.at));
  /** One line by the instrument, over samples that `load` says to lie in the window; `load` ≤ 0 leaves out. */
  const line = (load: (i: number) => number, slope: number) => {
    let sw = 0, sz = 0, sx = 0, sy = 0; // prettier-ignore
    let count = 0;
    const each = (visit: (w: number, i: number, y: number, L: number) => void): void => {
      for (let i = first; i < n; i++) {
        const L = load(i);
        const own = f[i]! - floor;
        if (!(L >= low * window && L <= high * window && own > 0)) continue;
        const noise = (2 / 3) * Math.cbrt(1 / L) + slope / k;
        visit(1 / (noise * noise), i, Math.cbrt(own * own) + (far.noise_N ** 2 / 9) * L ** (-4 / 3), L);
      }
    };
    each((w, i, y) => {
      sw += w;
      sz += w * z[i]!;
      sx += w * (z[i]! + f[i]! / k);
      sy += w * y;
      count++;
    });
    const [meanZ, meanX, meanY] = [sz / sw, sx / sw, sy / sw];
    let zy = 0, zx = 0, zz = 0, zf = 0, wf = 0; // prettier-ignore
    each((w, i, y, L) => {
      const instrument = w * (z[i]! - meanZ);
      zy += instrument * (y - meanY);
      zx += instrument * (z[i]! + f[i]! / k - meanX);
      zz += instrument * (z[i]! - meanZ); // Σ w² (z - z̄)² noise²
      const perFloor = (-2 / 3) * Math.cbrt(1 / L); // dy/dF_min
      zf += instrument * perFloor;
      wf += w * perFloor;
    });
    const B = -zy / zx;
    let chi = 0;
    each((w, i, y) => (chi += w * (y - meanY + B * (z[i]! + f[i]! / k - meanX)) ** 2));
    return { B, c: meanX + meanY / B, count, sw, zx, zz, zf, meanX, meanY, perFloor: wf / sw, chi };
  };

  const rough = line((i) => f[i]! - floor, 0);
  if (!(rough.count >= LEAST_IN_WINDOW && rough.B > 0)) return none;
  const guess = new Float64Array(n - first); // the load that the first line says for each height
  for (let i = 0; i < guess.length; i++) guess[i] = loadAt(rough.c - z[first + i]! - floor / k, rough.B, k);
  const fine = line((i) => guess[i - first]!, rough.B);
  const { B, c, count } = fine;
  if (!(count >= LEAST_IN_WINDOW && B > 0)) return none;

  const variance = fine.chi / (count - 2);
  // c = x̄ + ȳ/B
  const dB = -fine.zf / fine.zx; // by F_min
  const B_se = Math.hypot(Math.sqrt(variance * fine.zz) / fine.zx, dB * least.force_se_N);
  const ofMean = 1 / (B * B * fine.sw);
  const ofB = (fine.meanY / (B * B)) ** 2 * ((variance * fine.zz) / fine.zx ** 2);
  const ofFloor = (fine.perFloor / B - (fine.meanY / (B * B)) * dB) * least.force_se_N;
  const perModulus = (4 / 3) * Math.sqrt(R);
  const modulus = (B * Math.sqrt(B)) / perModulus;
  return {
    ...none,
    reducedModulus_Pa: modulus,
    reducedModulus_se_Pa: (modulus * 1.5 * B_se) / B,
    contact_m: c,
    contact_se_m: Math.sqrt(variance * ofMean + ofB + ofFloor ** 2),
    workOfAdhesion_J_per_m2: least.depth_N / (2 * Math.PI * R),
    workOfAdhesion_se_J_per_m2: least.depth_se_N / (2 * Math.PI * R),
    noise_N: Math.sqrt(variance),
    samples: count,
  };
}

export interface AdhesiveOptions {
  readonly springConstant_N_per_m: number;
  readonly tipRadius_m: number;
  /** Part of the load window that is fitted, 0 at the least force, 1 at the largest. */
  readonly low?: number;
  readonly high?: number;
}

/** What dmt.ts and jkr.ts find; NaN what could not be estimated. */
export interface AdhesiveFit {
  reducedModulus_Pa: number;
  reducedModulus_se_Pa: number;
  /** Positive: baseline less the least force. */
  adhesion_N: number;
  adhesion_se_N: number;
  workOfAdhesion_J_per_m2: number;
  workOfAdhesion_se_J_per_m2: number;
  /** Tip position at which δ = 0, baseline's bending included. */
  contact_m: number;
  contact_se_m: number;
  baseline_N: number;
  baseline_se_N: number;
  /** Of one sample, from the residuals of the fit. */
  noise_N: number;
  /** Samples of the contact that were fitted. */
  samples: number;
}

export function notFitted(
  far: { mean_N: number; se_N: number },
  least: { depth_N: number; depth_se_N: number },
): AdhesiveFit {
  return {
    reducedModulus_Pa: NaN, reducedModulus_se_Pa: NaN, adhesion_N: least.depth_N, adhesion_se_N: least.depth_se_N,
    workOfAdhesion_J_per_m2: NaN, workOfAdhesion_se_J_per_m2: NaN, contact_m: NaN, contact_se_m: NaN,
    baseline_N: far.mean_N, baseline_se_N: far.se_N, noise_N: NaN, samples: 0,
  }; // prettier-ignore
}

const LEAST_IN_WINDOW = 5;

/** The load L with (L^(2/3))/B + L/k = reach; 0 where there is none. */
function loadAt(reach_m: number, B: number, k: number): number {
  if (!(reach_m > 0)) return 0;
  // u = L^(1/3): u²/B + u³/k rises and is convex, so Newton from above ends well.
  let u = Math.min(Math.sqrt(B * reach_m), Math.cbrt(k * reach_m));
  for (let i = 0; i < 50; i++) {
    const step = (u * u * (1 / B + u / k) - reach_m) / (u * (2 / B + (3 * u) / k));
    u -= step;
    if (Math.abs(step) <= 1e-14 * u) break;
  }
  return u * u * u;
}
