/**
 * Least-squares fit of a power-law contact to one approach curve.
 *
 *     F(x) = b + a (c - x)^p    for x < c, in contact
 *     F(x) = b                  for x ≥ c
 *
 *     F  force               [N]
 *     x  tip position        [m]      decreases into the sample
 *     c  contact point       [m]
 *     a  amplitude           [N/m^p]  modulus times a factor of the tip's shape
 *     b  baseline            [N]
 *     p  1.5 (paraboloid) or 2 (cone, pyramid)
 *
 * For a fixed c the model is linear in a and b, so only c is searched (variable projection, Golub & Pereyra, SIAM
 * J. Numer. Anal. 10, 413 (1973)). The residual over c has many minima: it is sampled at order statistics of x,
 * densely where the contact is likely to be short, the four best minima are polished, and the best is finished by
 * joint Gauss-Newton steps.
 *
 * Standard errors. x = height + F/k holds the noise ε of F itself, so a residual is ε (1 + F'/k), F' = dF/dδ: on a
 * stiff contact it is larger than on the baseline. With residual weights left at 1, as peers have them, the
 * covariance is (JᵀJ)⁻¹ Jᵀ diag(σ² w²) J (JᵀJ)⁻¹, w = 1 + F'/k and σ² = Σ (r/w)² / (n - 3). It holds for white noise.
 */
export interface ContactFit {
  /** N/m^p */
  amplitude: number;
  contact_m: number;
  baseline_N: number;
  amplitude_se: number;
  contact_se_m: number;
  baseline_se_N: number;
  /** Σ residual² [N²]. */
  chiSquare_N2: number;
  /** Σ residual² of a constant force, for how much the contact explains. */
  chiSquareFlat_N2: number;
  /** Noise of the force [N]. */
  noise_N: number;
  /** Samples on the contact's side of the contact point. */
  samplesInContact: number;
}

const CANDIDATES = 40;
const POLISHED = 4;
const GOLDEN = (3 - Math.sqrt(5)) / 2;

/** Holds what a fit needs beside the curve, so that thousands of curves share it. */
export class ContactFitter {
  #x: Float64Array = new Float64Array(0);
  /** Force less its mean, so that sums of squares keep their digits. */
  #f = new Float64Array(0);
  #mean = 0;
  #n = 0;
  /** Least x up to each sample: samples before the first with `#least < c` are not in contact. */
  #least = new Float64Array(0);
  #squares = 0;
  #power: 1.5 | 2 = 1.5;
  /** The linear part at the last contact point that was tried. */
  #amplitude = 0;
  readonly #candidates = new Float64Array(CANDIDATES + 64);
  readonly #residuals = new Float64Array(CANDIDATES + 64);
  readonly #result: ContactFit = {
    amplitude: NaN, contact_m: NaN, baseline_N: NaN, amplitude_se: NaN, contact_se_m: NaN, baseline_se_N: NaN,
    chiSquare_N2: NaN, chiSquareFlat_N2: NaN, noise_N: NaN, samplesInContact: 0,
  }; // prettier-ignore

  /**
   * `tip_m` and `force_N` from far to deep, finite. The result is lent: it is overwritten by the next fit.
   * Amplitude 0 says that no contact lowers the residual.
   */
  fit(
    tip_m: Float64Array,
    force_N: Float64Array,
    power: 1.5 | 2,
    springConstant_N_per_m: number,
  ): ContactFit {
    const n = this.#prepare(tip_m, force_N, power);
    const count = this.#chooseCandidates(n);
    let contact = NaN;
    let least = Infinity;
    for (let i = 0; i < count; i++) this.#residuals[i] = this.#residual(this.#candidates[i]!);
    for (let k = 0; k < POLISHED; k++) {
      const i = this.#bestMinimum(count);
      if (i < 0) break;
      const found = this.#polish(
        this.#candidates[Math.max(0, i - 1)]!,
        this.#candidates[i]!,
        this.#candidates[Math.min(count - 1, i + 1)]!,
        this.#residuals[i]!,
      );
      const residual = this.#residual(found);
      if (residual < least) [contact, least] = [found, residual];
      this.#residuals[i] = Infinity;
    }
    if (Number.isNaN(contact)) contact = this.#least[n - 1]!;
    return this.#finish(contact, springConstant_N_per_m);
  }

  #prepare(tip_m: Float64Array, force_N: Float64Array, power: 1.5 | 2): number {
    const n = tip_m.length;
    if (this.#f.length < n) {
      this.#f = new Float64Array(2 * n);
      this.#least = new Float64Array(2 * n);
    }
    let sum = 0;
    for (let i = 0; i < n; i++) sum += force_N[i]!;
    const mean = sum / n;
    let squares = 0;
    let least = Infinity;
    for (let i = 0; i < n; i++) {
      const f = force_N[i]! - mean;
      this.#f[i] = f;
      squares += f * f;
      if (tip_m[i]! < least) least = tip_m[i]!;
      this.#least[i] = least;
    }
    this.#x = tip_m;
    this.#n = n;
    this.#mean = mean;
    this.#squares = squares;
    this.#power = power;
    return n;
  }

  /** Ascending positions: spread over the samples, and doubly spaced from the deepest for contacts of few samples. */
  #chooseCandidates(n: number): number {
    const candidates = this.#candidates;
    let count = 0;
    const add = (i: number): void => {
      const x = this.#least[i]!;
      if (count === 0 || x > candidates[count - 1]!) candidates[count++] = x;
    };
    let tail = n - 2;
    for (let gap = 1; tail > n - n / CANDIDATES && tail > 0; gap = Math.ceil(gap * 1.5), tail -= gap)
      add(tail);
    for (let k = CANDIDATES - 1; k >= 0; k--) {
      const i = Math.floor((k * (n - 1)) / CANDIDATES);
      if (i < tail + 1) add(i);
    }
    return count;
  }

  /** Index of the lowest residual that is no higher than its neighbours'; -1 where none is left. */
  #bestMinimum(count: number): number {
    const residuals = this.#residuals;
    let best = -1;
    for (let i = 0; i < count; i++) {
      const here = residuals[i]!;
      if (
        here === Infinity ||
        (i > 0 && residuals[i - 1]! < here) ||
        (i + 1 < count && residuals[i + 1]! < here)
      )
        continue;
      if (best < 0 || here < residuals[best]!) best = i;
    }
    return best;
  }

  #firstBelow(c: number): number {
    let low = 0;
    let high = this.#n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#least[middle]! < c) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Σ residual² of the best amplitude and baseline for this contact point. */
  #residual(c: number): number {
    const x = this.#x, f = this.#f, n = this.#n; // prettier-ignore
    let s = 0;
    let ss = 0;
    let sf = 0;
    if (this.#power === 2) {
      for (let i = this.#firstBelow(c); i < n; i++) {
        const d = c - x[i]!;
        if (d <= 0) continue;
        const g = d * d;
        s += g;
        ss += g * g;
        sf += g * f[i]!;
      }
    } else {
      for (let i = this.#firstBelow(c); i < n; i++) {
        const d = c - x[i]!;
        if (d <= 0) continue;
        const g = d * Math.sqrt(d);
        s += g;
        ss += d * d * d;
        sf += g * f[i]!;
      }
    }
    const spread = ss - (s * s) / n; // the force has no mean, so neither does sf need one
    if (!(spread > 0 && sf > 0)) {
      this.#amplitude = 0;
      return this.#squares;
    }
    this.#amplitude = sf / spread;
    return this.#squares - (sf * sf) / spread;
  }

  /** Brent's minimum search between two neighbours of a candidate. */
  #polish(low: number, middle: number, high: number, atMiddle: number): number {
    let [a, b, x, w, v] = [low, high, middle, middle, middle];
    let [fx, fw, fv] = [atMiddle, atMiddle, atMiddle];
    let step = 0;
    let before = 0;
    const tolerance = 1e-7 * (high - low);
    for (let k = 0; k < 40 && b - a > 4 * tolerance; k++) {
      const half = (a + b) / 2;
      if (Math.abs(x - half) <= 2 * tolerance - (b - a) / 2) break;
      let golden = true;
      if (Math.abs(before) > tolerance) {
        const r = (x - w) * (fx - fv);
        let q = (x - v) * (fx - fw);
        let p = (x - v) * q - (x - w) * r;
        q = 2 * (q - r);
        if (q > 0) p = -p;
        q = Math.abs(q);
        const last = before;
        if (Math.abs(p) < Math.abs((q * last) / 2) && p > q * (a - x) && p < q * (b - x)) {
          before = step;
          step = p / q;
          golden = false;
        }
      }
      if (golden) {
        before = x < half ? b - x : a - x;
        step = GOLDEN * before;
      }
      const u = x + (Math.abs(step) >= tolerance ? step : Math.sign(step) * tolerance);
      const fu = this.#residual(u);
      if (fu <= fx) {
        if (u < x) b = x;
        else a = x;
        [v, fv, w, fw, x, fx] = [w, fw, x, fx, u, fu];
      } else {
        if (u < x) a = u;
        else b = u;
        if (fu <= fw || w === x) [v, fv, w, fw] = [w, fw, u, fu];
        else if (fu <= fv || v === x || v === w) [v, fv] = [u, fu];
      }
    }
    return x;
  }

  /** Joint Gauss-Newton in amplitude, contact point and baseline, then the covariance. */
  #finish(start: number, springConstant_N_per_m: number): ContactFit {
    const x = this.#x, f = this.#f, n = this.#n, p = this.#power; // prettier-ignore
    let c = start;
    let chi = this.#residual(c);
    let amplitude = this.#amplitude;
    for (let k = 0; k < 20 && amplitude > 0; k++) {
      // Baseline and amplitude are projected out exactly, so one step in c is the joint step.
      let s = 0, ss = 0, t = 0, tt = 0, st = 0, sf = 0, tf = 0; // prettier-ignore
      for (let i = this.#firstBelow(c); i < n; i++) {
        const d = c - x[i]!;
        if (d <= 0) continue;
        const g = p === 2 ? d * d : d * Math.sqrt(d);
        const slope = (p * g) / d;
        s += g;
        ss += g * g;
        t += slope;
        tt += slope * slope;
        st += g * slope;
        sf += g * f[i]!;
        tf += slope * f[i]!;
      }
      const gg = ss - (s * s) / n;
      const gt = st - (s * t) / n;
      const free = tt - (t * t) / n - (gt * gt) / gg; // of dF/dc, what amplitude and baseline cannot do
      if (!(free > 0)) break;
      const amplitudeHere = sf / gg;
      const step = (tf - (gt * sf) / gg) / (amplitudeHere * free);
      let taken = step;
      let next = this.#residual(c + taken);
      for (let halvings = 0; next > chi && halvings < 8; halvings++) next = this.#residual(c + (taken /= 2));
      if (!(next < chi)) break;
      c += taken;
      chi = next;
      amplitude = this.#amplitude;
      if (Math.abs(taken) < 1e-9 * (this.#least[0]! - this.#least[n - 1]!)) break;
    }
    return this.#describe(c, amplitude, springConstant_N_per_m);
  }

  #describe(c: number, a: number, k: number): ContactFit {
    const x = this.#x, f = this.#f, n = this.#n, p = this.#power; // prettier-ignore
    const result = this.#result;
    // A = JᵀJ and B = Jᵀ diag(w²) J over amplitude, contact point, baseline; on the baseline g = slope = 0, w = 1.
    let s = 0, ss = 0, t = 0, tt = 0, st = 0, inContact = 0; // prettier-ignore
    let bAA = 0, bAC = 0, bCC = 0, bA = 0, bC = 0, bB = n; // prettier-ignore
    const first = this.#firstBelow(c);
    for (let i = first; i < n; i++) {
      const d = c - x[i]!;
      if (d <= 0) continue;
      const g = p === 2 ? d * d : d * Math.sqrt(d);
      const slope = (a * p * g) / d;
      const w2 = (1 + slope / k) ** 2;
      inContact++;
      s += g;
      ss += g * g;
      t += slope;
      tt += slope * slope;
      st += g * slope;
      bAA += w2 * g * g;
      bAC += w2 * g * slope;
      bCC += w2 * slope * slope;
      bA += w2 * g;
      bC += w2 * slope;
      bB += w2 - 1;
    }
    const baseline = (-a * s) / n;
    let chi = 0;
    let weighted = 0;
    for (let i = 0; i < n; i++) {
      const d = c - x[i]!;
      let r = f[i]! - baseline;
      let w = 1;
      if (d > 0) {
        const g = p === 2 ? d * d : d * Math.sqrt(d);
        r -= a * g;
        w += (a * p * g) / d / k;
      }
      chi += r * r;
      weighted += (r / w) ** 2;
    }
    const variance = weighted / Math.max(1, n - 3);
    result.amplitude = a;
    result.contact_m = c;
    result.baseline_N = this.#mean + baseline;
    result.chiSquare_N2 = chi;
    result.chiSquareFlat_N2 = this.#squares;
    result.noise_N = Math.sqrt(variance);
    result.samplesInContact = inContact;
    // Cofactors of A, symmetric: rows amplitude, contact, baseline.
    const iAA = tt * n - t * t, iAC = s * t - st * n, iAB = st * t - s * tt; // prettier-ignore
    const iCC = ss * n - s * s, iCB = st * s - ss * t, iBB = ss * tt - st * st; // prettier-ignore
    const det = ss * iAA + st * iAC + s * iAB;
    const se = (u: number, v: number, z: number): number => {
      const q = u * u * bAA + v * v * bCC + z * z * bB + 2 * (u * v * bAC + u * z * bA + v * z * bC);
      return a > 0 && det > 0 ? Math.sqrt(variance * q) / det : NaN;
    };
    result.amplitude_se = se(iAA, iAC, iAB);
    result.contact_se_m = se(iAC, iCC, iCB);
    result.baseline_se_N = se(iAB, iCB, iBB);
    return result;
  }
}
