import type { ContactFit } from "./contact-fit.ts";

/**
 * The same contact fitted where the noise really is: in the force, at a piezo height that has none.
 *
 *     F(h) = b + f,   f = a δ^p,   δ + f/k = c - h - b/k        (contact-fit.ts for the symbols; h piezo height [m])
 *
 * The tip position h + F/k that other programs fit over carries the noise of F. A contact stiffer than the lever
 * (F' > k) then comes out too soft. Here the lever's own bending is solved for, sample by sample, and the estimate
 * stays unbiased however stiff the contact is. Gauss-Newton from the fit over tip position; the covariance is
 * σ² (JᵀJ)⁻¹ with
 *
 *     ∂F/∂a = δ^p / w,   ∂F/∂c = F'/w,   ∂F/∂b = 1/w,   w = 1 + F'/k
 */
export function refineAtHeight(
  tip_m: Float64Array,
  force_N: Float64Array,
  power: 1.5 | 2,
  k_N_per_m: number,
  fit: ContactFit,
): void {
  const n = tip_m.length;
  const sums = new Float64Array(10);
  let a = fit.amplitude;
  let c = fit.contact_m;
  let b = fit.baseline_N;
  if (!(a > 0)) return;
  let chi = accumulate(tip_m, force_N, power, k_N_per_m, a, c, b, sums);
  for (let round = 0; round < 60; round++) {
    const [aa, ac, ab, cc, cb, bb, ra, rc, rb] = sums as unknown as number[];
    const [iaa, iac, iab] = [cc! * bb! - cb! * cb!, ab! * cb! - ac! * bb!, ac! * cb! - ab! * cc!];
    const det = aa! * iaa! + ac! * iac! + ab! * iab!;
    if (!(det > 0)) break;
    const [icc, icb, ibb] = [aa! * bb! - ab! * ab!, ac! * ab! - aa! * cb!, aa! * cc! - ac! * ac!];
    const [da, dc, db] = [
      (iaa! * ra! + iac! * rc! + iab! * rb!) / det,
      (iac! * ra! + icc! * rc! + icb! * rb!) / det,
      (iab! * ra! + icb! * rc! + ibb! * rb!) / det,
    ];
    let share = 1;
    let next = Infinity;
    for (; share > 1e-4; share /= 2) {
      // The amplitude steps by its logarithm: it is positive and may be wrong by orders of magnitude at first.
      next = accumulate(
        tip_m,
        force_N,
        power,
        k_N_per_m,
        a * Math.exp(limit((share * da) / a)),
        c + share * dc,
        b + share * db,
        sums,
      );
      if (next <= chi) break;
    }
    if (!(next <= chi)) break;
    a *= Math.exp(limit((share * da) / a));
    c += share * dc;
    b += share * db;
    const done = chi - next < 1e-12 * chi;
    chi = next;
    if (done) break;
  }
  chi = accumulate(tip_m, force_N, power, k_N_per_m, a, c, b, sums);
  const [aa, ac, ab, cc, cb, bb] = sums as unknown as number[];
  const det = aa! * (cc! * bb! - cb! * cb!) + ac! * (ab! * cb! - ac! * bb!) + ab! * (ac! * cb! - ab! * cc!);
  const variance = chi / Math.max(1, n - 3);
  const se = (cofactor: number): number =>
    det > 0 && cofactor >= 0 ? Math.sqrt((variance * cofactor) / det) : NaN;
  fit.amplitude = a;
  fit.contact_m = c;
  fit.baseline_N = b;
  fit.amplitude_se = se(cc! * bb! - cb! * cb!);
  fit.contact_se_m = se(aa! * bb! - ab! * ab!);
  fit.baseline_se_N = se(aa! * cc! - ac! * ac!);
  fit.chiSquare_N2 = chi;
  fit.noise_N = Math.sqrt(variance);
  fit.samplesInContact = sums[9]!;
}

const limit = (step: number): number => Math.max(-1, Math.min(1, step));

/** Σ residual², and in `sums` JᵀJ (aa ac ab cc cb bb), Jᵀr (a c b) and the samples in contact. */
function accumulate(
  tip_m: Float64Array,
  force_N: Float64Array,
  power: 1.5 | 2,
  k: number,
  a: number,
  c: number,
  b: number,
  sums: Float64Array,
): number {
  let aa = 0, ac = 0, ab = 0, cc = 0, cb = 0, bb = 0, ra = 0, rc = 0, rb = 0, chi = 0, inContact = 0; // prettier-ignore
  for (let i = 0; i < tip_m.length; i++) {
    const reach = c - (tip_m[i]! - force_N[i]! / k) - b / k;
    let r = force_N[i]! - b;
    if (!(reach > 0)) {
      bb++;
      rb += r;
      chi += r * r;
      continue;
    }
    inContact++;
    const d = indentationOf(reach, a / k, power);
    const g = power === 2 ? d * d : d * Math.sqrt(d);
    const slope = (a * power * g) / d;
    const w = 1 / (1 + slope / k);
    r -= a * g;
    const [ja, jc] = [g * w, slope * w];
    aa += ja * ja;
    ac += ja * jc;
    ab += ja * w;
    cc += jc * jc;
    cb += jc * w;
    bb += w * w;
    ra += ja * r;
    rc += jc * r;
    rb += w * r;
    chi += r * r;
  }
  sums[0] = aa;
  sums[1] = ac;
  sums[2] = ab;
  sums[3] = cc;
  sums[4] = cb;
  sums[5] = bb; // prettier-ignore
  sums[6] = ra;
  sums[7] = rc;
  sums[8] = rb;
  sums[9] = inContact; // prettier-ignore
  return chi;
}

/** The d > 0 with d + q d^p = reach: how deep the tip is when the piezo has gone `reach` beyond contact. */
export function indentationOf(reach: number, q: number, power: 1.5 | 2): number {
  if (power === 2) return (2 * reach) / (1 + Math.sqrt(1 + 4 * q * reach));
  // u² + q u³ = reach, u = √d; Newton from above, where the left side is convex.
  let u = Math.min(Math.sqrt(reach), Math.cbrt(reach / q));
  for (let k = 0; k < 20; k++) {
    const step = (u * u * (1 + q * u) - reach) / (u * (2 + 3 * q * u));
    u -= step;
    if (step < 1e-15 * u) break;
  }
  return u * u;
}
