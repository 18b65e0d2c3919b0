import type { Samples } from "./branch.ts";
import type { ContactShape } from "./contact-shapes.ts";

/**
 * Least-squares contact point of one force curve, over the tip position, found at the lowest of all minima.
 *
 *     F = b + s (h - h̄) + E* g(c - x)      x < c, in contact
 *     F = b + s (h - h̄)                    x ≥ c
 *
 *     F  force         [N]      c   contact point    [m]      b  baseline at the mean height  [N]
 *     h  piezo height  [m]      E*  reduced modulus  [Pa]     s  its slope, 0 unless wanted   [N/m]
 *     x  tip position  [m]      g   contact-shapes.ts [m²]    h̄  mean of h
 *
 * For a fixed c the model is linear in E*, b and s, so only c is searched (variable projection, Golub & Pereyra, SIAM
 * J. Numer. Anal. 10, 413 (1973)). Let e(c) be what b and s leave of g(c - x), scaled to length 1, and f the same of
 * the measured forces. The residual is sin² of the angle α(c) between the two. As c goes, e(c) moves on the unit
 * sphere with the speed ω = |de/dc|, which the same sums give: about 1/√2 rad for each factor e of the contact's
 * length, whatever the data. So α cannot fall between two candidates a and b by more than what the way between them
 * allows, (α_a + α_b - ω |b - a|) / 2: this says where no lower minimum can hide. Candidates stand at samples, the contact
 * of each 1.2 times as many samples as that of the one before; more are put in where a way is long; and each
 * valley that can go below the best is followed to its bottom. Between candidates ω is interpolated, with a margin:
 * of curves as ugly as a generator makes them 1 in 200 ends in a neighbouring valley, with Σ residual² up to 1 % above.
 *
 * No start value, no neighbour's result: a curve's answer depends on that curve alone.
 */
export interface Contact {
  /** E*; 0 says that no contact lowers the residual. */
  reducedModulus_Pa: number;
  contact_m: number;
  baseline_N: number;
  slope_N_per_m: number;
  /** h̄, where the baseline is said. */
  meanHeight_m: number;
  /** Σ residual² [N²]. */
  chiSquare_N2: number;
  /** Σ residual² of the baseline alone, for how much the contact explains. */
  chiSquareFlat_N2: number;
  /** Samples on the contact's side of the contact point. */
  samplesInContact: number;
}

/** Samples in contact at a candidate, over those at the one before. */
const RATIO = 1.2;
const LONGEST_WAY_rad = 0.2;
/** Times the best angle: where the contact explains little, valleys are narrow. */
const WEAK_WAY_rad = 0.07;
/** Both ends are as good as the bottom. */
const SHORTEST_WAY_rad = 1e-6;
const MOST_CANDIDATES = 512;
/** With so few samples in contact each new one may make a valley; candidates stand between them too. */
const FEW = 8;
const BETWEEN = [0.01, 0.5];
/** Samples come unevenly: ways may be longer than their ends say. */
const SAFETY = 1.5;

export class ContactSearch {
  readonly #shape: ContactShape;
  /** 1, 1.5 or 2 where the shape is a power; then moduli here are per `#unit`. */
  readonly #power: number;
  readonly #unit: number;

  #x: Float64Array = new Float64Array(0);
  /** Force and height less their means (and, with a slope, force less its line), so that sums keep their digits. */
  #f = new Float64Array(0);
  #h = new Float64Array(0);
  #n = 0;
  /** Σ h² where there is a slope, else 0. */
  #hh = 0;
  /** |f|². */
  #ff = 0;
  /** Least x up to each sample: samples before the first with `#least < c` are not in contact. */
  #least = new Float64Array(0);
  #sorted = new Float64Array(0);

  // What is known of the contact point that was tried last.
  /** The angle α [rad]. */
  #angle = 0;
  /** ω [rad/m]. */
  #speed = 0;
  /** -dα/dc, but for a positive factor that changes slowly: towards the minimum. */
  #rise = 0;
  /** Gauss-Newton step [m]. */
  #step = 0;
  #amplitude = 0;
  #sum = 0;
  #sumHeight = 0;
  #residual = 0;

  #count = 0;
  /** Up to this contact point, few samples are in contact. */
  #fewUpTo = 0;
  readonly #points = new Float64Array(MOST_CANDIDATES);
  readonly #angles = new Float64Array(MOST_CANDIDATES);
  readonly #speeds = new Float64Array(MOST_CANDIDATES);
  readonly #rises = new Float64Array(MOST_CANDIDATES);
  readonly #steps = new Float64Array(MOST_CANDIDATES);
  readonly #result: Contact = {
    reducedModulus_Pa: NaN, contact_m: NaN, baseline_N: NaN, slope_N_per_m: NaN, meanHeight_m: NaN,
    chiSquare_N2: NaN, chiSquareFlat_N2: NaN, samplesInContact: 0,
  }; // prettier-ignore

  /** The force begins with a kink: each sample may make a valley of its own. */
  readonly #hinged: boolean;

  constructor(shape: ContactShape) {
    this.#shape = shape;
    this.#hinged = shape.dg(1e-20) > 0.5 * shape.dg(1e-12);
    const { power } = shape;
    this.#power = power === 1 || power === 1.5 || power === 2 ? power : 0;
    this.#unit = this.#power === 0 ? 1 : shape.scale;
  }

  /** The result is lent: it is overwritten by the next search. */
  find(samples: Samples, withSlope = false): Contact {
    const result = this.#result;
    const { mean_N, meanHeight_m, line_N_per_m } = this.#prepare(samples, withSlope);
    this.#layOut();
    this.#shorten();
    const contact = this.#lowest();
    if (Number.isNaN(contact)) this.#amplitude = 0;
    else this.#try(contact);
    const found = this.#amplitude > 0 && this.#ff > 0;
    result.reducedModulus_Pa = found ? this.#amplitude / this.#unit : 0;
    result.contact_m = contact;
    const tilt = found && withSlope ? (this.#amplitude * this.#sumHeight) / this.#hh : 0;
    result.baseline_N = mean_N - (found ? (this.#amplitude * this.#sum) / this.#n : 0);
    result.slope_N_per_m = line_N_per_m - tilt;
    result.meanHeight_m = meanHeight_m;
    result.chiSquare_N2 = found ? this.#residual : this.#ff;
    result.chiSquareFlat_N2 = this.#ff;
    result.samplesInContact = found ? this.#deeperThan(contact) : 0;
    return result;
  }

  #prepare({ tip_m, height_m, force_N, length: n }: Samples, withSlope: boolean) {
    if (this.#f.length < n) {
      this.#f = new Float64Array(2 * n);
      this.#h = new Float64Array(2 * n);
      this.#least = new Float64Array(2 * n);
      this.#sorted = new Float64Array(2 * n);
    }
    const [f, h, lowest] = [this.#f, this.#h, this.#least];
    let sum = 0;
    let sumHeight = 0;
    for (let i = 0; i < n; i++) {
      sum += force_N[i]!;
      sumHeight += height_m[i]!;
    }
    const mean_N = sum / n;
    const meanHeight_m = sumHeight / n;
    let ff = 0;
    let hh = 0;
    let hf = 0;
    let least = Infinity;
    for (let i = 0; i < n; i++) {
      const force = force_N[i]! - mean_N;
      const height = height_m[i]! - meanHeight_m;
      f[i] = force;
      h[i] = height;
      ff += force * force;
      hh += height * height;
      hf += height * force;
      if (tip_m[i]! < least) least = tip_m[i]!;
      lowest[i] = least;
    }
    const rounding = 1e-28 * (n * mean_N * mean_N + ff);
    let line_N_per_m = 0;
    this.#hh = 0;
    if (withSlope && hh > 0) {
      this.#hh = hh;
      line_N_per_m = hf / hh;
      ff = 0;
      for (let i = 0; i < n; i++) {
        const force = f[i]! - line_N_per_m * h[i]!;
        f[i] = force;
        ff += force * force;
      }
    }
    this.#x = tip_m;
    this.#n = n;
    this.#ff = ff > rounding ? ff : 0;
    return { mean_N, meanHeight_m, line_N_per_m };
  }

  /** Candidates from the deepest to the farthest. */
  #layOut(): void {
    this.#count = 0;
    this.#fewUpTo = -Infinity;
    const n = this.#n;
    // In order of x, which a snap or noise on a stiff contact can make another than that of the samples.
    const sorted = this.#sorted.subarray(0, n);
    sorted.set(this.#x.subarray(0, n));
    sorted.sort();
    const kink_m = this.#hinged ? 1e-9 * (sorted[n - 1]! - sorted[0]!) : 0;
    const ratio = this.#hinged && 2 * n + 32 < MOST_CANDIDATES ? 1 : RATIO;
    let last = NaN;
    for (let rank = 1; rank < n; rank = Math.max(rank + 1, Math.floor(rank * ratio))) {
      const c = sorted[rank]!;
      if (!(c - last > 4 * kink_m) && rank > 1) continue;
      if (rank > 1 && rank <= FEW) {
        // With one sample in contact all contact points are alike; then each new sample changes much.
        for (const share of BETWEEN) this.#put(this.#count, last + share * (c - last));
        this.#fewUpTo = c;
      }
      if (rank > 1 && kink_m > 0) this.#put(this.#count, c - kink_m);
      if (rank > 1) this.#put(this.#count, c + kink_m);
      last = c;
    }
    if (n > 1 && sorted[n - 1]! > last) this.#put(this.#count, sorted[n - 1]!);
  }

  /** Puts a candidate before the one at this place. */
  #put(place: number, c: number): void {
    this.#try(c);
    const end = this.#count++;
    if (place < end)
      for (const list of [this.#points, this.#angles, this.#speeds, this.#rises, this.#steps])
        list.copyWithin(place + 1, place, end);
    this.#points[place] = c;
    this.#angles[place] = this.#angle;
    this.#speeds[place] = this.#speed;
    this.#rises[place] = this.#rise;
    this.#steps[place] = this.#step;
  }

  /** Way of e(c) between a candidate and the next; ω falls ever more slowly, so it is no longer than this. */
  #way(i: number): number {
    return ((this.#speeds[i]! + this.#speeds[i + 1]!) / 2) * (this.#points[i + 1]! - this.#points[i]!);
  }

  /** What α cannot be below, between a candidate and the next. */
  #atLeast(i: number): number {
    if (this.#points[i]! < this.#fewUpTo) return 0;
    return (this.#angles[i]! + this.#angles[i + 1]! - SAFETY * this.#way(i)) / 2;
  }

  /** More candidates where the way is long and may lead below the best. */
  #shorten(): void {
    const [points, angles] = [this.#points, this.#angles];
    const deep = this.#least[this.#n - 1]!;
    let best = Infinity;
    for (let i = 0; i < this.#count; i++) if (angles[i]! < best) best = angles[i]!;
    for (let i = 0; i + 1 < this.#count && this.#count < MOST_CANDIDATES;) {
      if (this.#way(i) > Math.min(LONGEST_WAY_rad, WEAK_WAY_rad / best) && this.#atLeast(i) < best) {
        const [a, b] = [points[i]!, points[i + 1]!];
        const middle = deep + Math.sqrt((a - deep) * (b - deep));
        if (middle > a && middle < b) {
          this.#put(i + 1, middle);
          if (this.#angle < best) best = this.#angle;
          continue;
        }
      }
      i++;
    }
  }

  /** Follows each valley that may go below the best, the most likely first. */
  #lowest(): number {
    const [points, angles, rises] = [this.#points, this.#angles, this.#rises];
    let contact = NaN;
    let best = Infinity;
    let at = -1;
    for (let i = 0; i < this.#count; i++)
      if (angles[i]! < best) [contact, best, at] = [points[i]!, angles[i]!, i];
    const follow = (i: number): void => {
      if (!(i >= 0 && i + 1 < this.#count && rises[i]! > 0 && rises[i + 1]! < 0)) return;
      if (this.#atLeast(i) >= best || this.#way(i) < SHORTEST_WAY_rad) return;
      const c = this.#bottom(i);
      if (this.#angle < best) [contact, best] = [c, this.#angle];
    };
    const likely = rises[at]! > 0 ? at : at - 1;
    follow(likely);
    for (let i = 0; i + 1 < this.#count; i++) if (i !== likely) follow(i);
    return contact;
  }

  /** Bottom of the valley between a candidate and the next: secants of the slope, halving where they lead out. */
  #bottom(i: number): number {
    let [low, high] = [this.#points[i]!, this.#points[i + 1]!];
    let [lowRise, highRise] = [this.#rises[i]!, this.#rises[i + 1]!];
    const near = this.#angles[i]! < this.#angles[i + 1]! ? i : i + 1;
    let [before, beforeRise] = [this.#points[near]!, this.#rises[near]!];
    let c = before + this.#steps[near]!;
    const enough = 1e-10 * (high - this.#least[this.#n - 1]!);
    for (let round = 0; round < 40; round++) {
      if (!(c > low && c < high)) c = round % 3 === 2 ? (low + high) / 2 : low + ((high - low) * lowRise) / (lowRise - highRise); // prettier-ignore
      this.#try(c);
      const rise = this.#rise;
      if (rise > 0) [low, lowRise] = [c, rise];
      else [high, highRise] = [c, rise];
      const next = c - (rise * (c - before)) / (rise - beforeRise);
      if (!(Math.abs(next - c) > enough) || high - low < enough) return c;
      [before, beforeRise, c] = [c, rise, next];
    }
    return before;
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

  #deeperThan(c: number): number {
    let count = 0;
    for (let i = this.#firstBelow(c); i < this.#n; i++) if (this.#x[i]! < c) count++;
    return count;
  }

  /** The best E*, b and s for this contact point, and where to go from it. */
  #try(c: number): void {
    const x = this.#x, f = this.#f, h = this.#h, n = this.#n; // prettier-ignore
    const power = this.#power;
    const shape = this.#shape;
    const tilted = this.#hh > 0;
    // g and its slope t = dg/dc; both are 0 before contact
    let s = 0, ss = 0, sf = 0, sh = 0, t = 0, tt = 0, tf = 0, th = 0, st = 0; // prettier-ignore
    for (let i = this.#firstBelow(c); i < n; i++) {
      const d = c - x[i]!;
      if (d <= 0) continue;
      let g: number;
      let slope: number;
      if (power === 1.5) {
        slope = Math.sqrt(d);
        g = d * slope;
        slope *= 1.5;
      } else if (power === 2) {
        g = d * d;
        slope = 2 * d;
      } else if (power === 1) {
        g = d;
        slope = 1;
      } else {
        g = shape.g(d);
        slope = shape.dg(d);
      }
      const force = f[i]!;
      s += g;
      ss += g * g;
      sf += g * force;
      t += slope;
      tt += slope * slope;
      tf += slope * force;
      st += g * slope;
      if (tilted) {
        sh += g * h[i]!;
        th += slope * h[i]!;
      }
    }
    let gg = ss - (s * s) / n;
    let gt = st - (s * t) / n;
    let ht = tt - (t * t) / n;
    if (tilted) {
      gg -= (sh * sh) / this.#hh;
      gt -= (sh * th) / this.#hh;
      ht -= (th * th) / this.#hh;
    }
    if (!(gg > 1e-12 * ss)) {
      // The baseline can do all that the contact can.
      this.#angle = Math.PI / 2;
      this.#speed = this.#rise = this.#step = this.#amplitude = 0;
      this.#residual = this.#ff;
      return;
    }
    const amplitude = sf / gg;
    const free = Math.max(0, ht - (gt * gt) / gg); // of dF/dc, what the linear part cannot do
    const uphill = tf - amplitude * gt;
    this.#amplitude = amplitude;
    this.#residual = Math.max(0, this.#ff - amplitude * sf);
    this.#angle = Math.atan2(Math.sqrt(this.#residual), sf / Math.sqrt(gg));
    this.#speed = Math.sqrt(free / gg);
    this.#rise = uphill / Math.sqrt(gg);
    this.#step = uphill / (amplitude * free);
    this.#sum = s;
    this.#sumHeight = sh;
  }
}
