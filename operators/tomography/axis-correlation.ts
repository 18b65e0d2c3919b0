import { fft, powerOfTwo } from "../fft.ts";

/**
 * First guess of the axis, with nothing known before: the mirror correlation of all pairs together.
 *
 *     C(s) = Σ_pairs forget^age Σ_t p(t) q(s - t) / (|p| |q|) / sqrt(E_p(s) E_q(s)),     axis = argmax C / 2
 *
 * with E the share of the rows' power that lies where both were measured: a sample that is wider than the detector
 * shows one of its rims alone, which matches itself better than its opposite, that is not there.
 *
 * One pair may match best at a wrong place (electrodes repeat); the place that all pairs share is the axis. Rows are
 * binned to at most 512 columns and correlated by FFT, zeros beyond their ends; spectra are added, and turned back only
 * when the peak is asked for.
 */
export interface MirrorCorrelation {
  /** Good to about so many px. */
  readonly coarseness: number;
  /** Takes in one pair: rows freed of what is broad, of one detector row or of several in turn. */
  add(p: readonly Float64Array[], q: readonly Float64Array[]): void;
  /** Sum of the columns of one feature in both [px], twice the axis; how well rows match there, 0 … 1, and near `at`. */
  peak(at?: number): { s: number; correlation: number; correlationAt: number };
  save(): SavedCorrelation;
  load(saved: SavedCorrelation): void;
}

export interface SavedCorrelation {
  re: Float64Array;
  im: Float64Array;
  powerP: Float64Array;
  powerQ: Float64Array;
}

const WIDEST = 512;
/** Share of the rows' power that must be mirrored for a place to count in full. */
const LEAST_POWER = 0.1;
/** A pair counts half after 180 others. */
const FORGET = 2 ** (-1 / 180);

export function mirrorCorrelation(cols: number): MirrorCorrelation {
  const bin = Math.ceil(cols / WIDEST);
  const n = Math.floor(cols / bin);
  const length = powerOfTwo(2 * n);
  const { forward, inverse, frequency, place } = fft(length);
  const opposite = Int32Array.from(frequency, (k) => place[(length - k) % length]!);
  const [re, im] = [new Float64Array(length), new Float64Array(length)];
  const [workRe, workIm] = [new Float64Array(length), new Float64Array(length)];
  const [powerP, powerQ] = [new Float64Array(n), new Float64Array(n)];
  const beforeP = new Float64Array(n + 1);
  const beforeQ = new Float64Array(n + 1);

  function binned(row: Float64Array, into: Float64Array): number {
    into.fill(0, n);
    let energy = 0;
    for (let j = 0, i = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < bin; k++) sum += row[i++]!;
      into[j] = sum;
      energy += sum * sum;
    }
    return energy;
  }

  return {
    coarseness: bin,
    add(ps, qs) {
      for (let i = 0; i < length; i++) {
        re[i]! *= FORGET;
        im[i]! *= FORGET;
      }
      for (let j = 0; j < n; j++) {
        powerP[j]! *= FORGET;
        powerQ[j]! *= FORGET;
      }
      for (let r = 0; r < ps.length; r++) {
        const [energyP, energyQ] = [binned(ps[r]!, workRe), binned(qs[r]!, workIm)];
        const energy = Math.sqrt(energyP * energyQ);
        if (!(energy > 0)) continue;
        for (let j = 0; j < n; j++) {
          powerP[j]! += workRe[j]! ** 2 / energyP;
          powerQ[j]! += workIm[j]! ** 2 / energyQ;
        }
        forward(workRe, workIm);
        // With Z the transform of p + iq: P Q = (Z(f)² - conj Z(-f)²) / 4i
        const factor = 1 / (4 * energy);
        for (let i = 0; i < length; i++) {
          const o = opposite[i]!;
          const a = workRe[i]!, b = workIm[i]!, c = workRe[o]!, d = workIm[o]!; // prettier-ignore
          re[i]! += factor * 2 * (a * b + c * d);
          im[i]! -= factor * (a * a - b * b - c * c + d * d);
        }
      }
    },
    peak(at = NaN) {
      workRe.set(re);
      workIm.set(im);
      inverse(workRe, workIm);
      for (let j = 0; j < n; j++) {
        beforeP[j + 1] = beforeP[j]! + powerP[j]!;
        beforeQ[j + 1] = beforeQ[j]! + powerQ[j]!;
      }
      const least = LEAST_POWER * Math.sqrt(beforeP[n]! * beforeQ[n]!);
      const matching = (s: number): number => {
        const from = Math.max(0, s - n + 1);
        const to = Math.min(n, s + 1);
        const power = Math.sqrt((beforeP[to]! - beforeP[from]!) * (beforeQ[to]! - beforeQ[from]!));
        return power > 0 ? workRe[s]! / (length * Math.max(power, least)) : 0;
      };
      // An axis so near the end of the detector that hardly anything is mirrored cannot be told.
      const margin = Math.max(6, n >> 3);
      let best = margin;
      let correlation = -Infinity;
      for (let s = margin; s < 2 * n - 1 - margin; s++) {
        const here = matching(s);
        if (here > correlation) [best, correlation] = [s, here];
      }
      const [a, b, c] = [workRe[best - 1]!, workRe[best]!, workRe[best + 1]!];
      const bend = a - 2 * b + c;
      const fraction = bend < 0 ? Math.max(-0.5, Math.min(0.5, (a - c) / (2 * bend))) : 0;
      let correlationAt = 0;
      const place = Math.round((at - bin + 1) / bin);
      for (let s = Math.max(0, place - 2); s <= Math.min(2 * n - 2, place + 2); s++)
        correlationAt = Math.max(correlationAt, matching(s));
      return { s: bin * (best + fraction) + bin - 1, correlation, correlationAt };
    },
    save: () => ({ re: re.slice(), im: im.slice(), powerP: powerP.slice(), powerQ: powerQ.slice() }),
    load(saved) {
      re.set(saved.re);
      im.set(saved.im);
      powerP.set(saved.powerP);
      powerQ.set(saved.powerQ);
    },
  };
}
