import type { Rate } from "./rest-windows.ts";

/**
 * The plateau that lithium plated in a charge leaves in the voltage of the rest after it.
 *
 *     r(t) = ∓ dV/dt                          rate at which the voltage relaxes, after a charge (-) or a discharge (+)
 *     x = ln r(t2) - ((t3 - t2) ln r(t1) + (t2 - t1) ln r(t3)) / (t3 - t1),   t1 < t2 < t3
 *     x = ln r(t2) - ln r(t1)                 the same for t3 far beyond the rest
 *     x - z x_se                              the largest over all t1, t2, t3; z is `significance`
 *
 * While there is metallic lithium, its mixed potential holds the voltage up; when it is used up the voltage falls faster.
 * Relaxation by diffusion and charge transfer is a sum of decaying exponentials of one sign; the logarithm of its rate is
 * convex in t, so that x ≤ 0. Where x - z x_se is above `leastExcess`, the voltage was held up and then let go. (A peak of dV/d ln t alone tells nothing: each exponential has one, at its time constant.)
 * What also gives x > 0 is an open-circuit voltage that turns steeper on the way, such as at the edge of a stage of graphite:
 * compare with a rest after a slow charge to the same voltage.
 *
 * t_p is where |dV/d ln t| is largest between t1 and t3: the vertex of a parabola through the largest and those half a
 * window to either side, over ln t. It is where stripping ends if that is sudden, and grows with the charge that was plated;
 * if stripping dies away slowly it comes before its end.
 *
 * Its error is of the noise; the window flattens the peak unevenly and so shifts t_p by up to 2 % besides.
 *
 * Reference: Konz, McShane & McCloskey, ACS Energy Lett. 5, 1750 (2020). From memory, not looked up: von Lüders et al., J. Power
 * Sources 342, 17 (2017); Schindler et al., J. Power Sources 304, 170 (2016). Convexity: Bernstein's theorem on completely monotone functions.
 */
export interface Plateau {
  /** NONE, FOUND, GOES_ON: there is no peak of |dV/d ln t| before the rest ends, or NOT_TOLD. */
  readonly plateau: number;
  readonly plateau_time: number;
  readonly plateau_time_se: number;
  readonly plateau_voltage: number;
  /** x where x - z x_se is largest, found or not. */
  readonly excess: number;
  readonly excess_se: number;
  /** excess / excess_se. */
  readonly significance: number;
}

export const NONE = 0, FOUND = 1, GOES_ON = 2, NOT_TOLD = 3; // prettier-ignore
export const PLATEAU_CODES = {
  [NONE]: "none",
  [FOUND]: "found",
  [GOES_ON]: "not over at the end of the rest",
  [NOT_TOLD]: "too few rates to tell",
};

/** A rate counts if it is so many standard errors above zero, and these are told from so many rows. */
const CLEAR = 5;
const LEAST_ROWS = 20;

/** `after` is 1 after a charge, -1 after a discharge. `apart` is half a window, counted in rates. */
export function plateauOf(
  rates: readonly Rate[], after: number, { apart, significance, leastExcess }: { apart: number; significance: number; leastExcess: number },
): Plateau {
  const nothing = { plateau_time: NaN, plateau_time_se: NaN, plateau_voltage: NaN };
  const clear = rates.filter(({ dv_dt, dv_dt_se, rows }) => -after * dv_dt > CLEAR * dv_dt_se && rows >= LEAST_ROWS);
  if (after === 0 || clear.length < 3) return { plateau: NOT_TOLD, ...nothing, excess: NaN, excess_se: NaN, significance: NaN };
  const t = clear.map(({ elapsed }) => elapsed);
  const ln = clear.map(({ dv_dt }) => Math.log(Math.abs(dv_dt)));
  const se = clear.map(({ dv_dt, dv_dt_se }) => dv_dt_se / Math.abs(dv_dt));
  let [from, end, excess, excess_se] = [0, 0, NaN, NaN];
  let beyond = -Infinity;
  // Where t3 is past the last rate nothing is asked of it: the rate only must not rise.
  for (let i = 0; i < t.length; i++)
    for (let k = i + 2; k <= t.length; k++)
      for (let j = i + 1; j < k; j++) {
        const part = k < t.length ? (t[j]! - t[i]!) / (t[k]! - t[i]!) : 0;
        const x = ln[j]! - (1 - part) * ln[i]! - (part && part * ln[k]!);
        // Of a thousand rates this is 200 million times: Math.hypot takes ten times as long.
        const x_se = Math.sqrt(se[j]! ** 2 + ((1 - part) * se[i]!) ** 2 + (part && part * se[k]!) ** 2);
        if (x - significance * x_se <= beyond) continue;
        beyond = x - significance * x_se;
        [from, end, excess, excess_se] = [i, Math.min(k, t.length - 1), x, x_se];
      }
  const told = { excess, excess_se, significance: excess / excess_se };
  if (beyond < leastExcess) return { plateau: NONE, ...nothing, ...told };

  const steep = clear.map(({ dv_dlnt }) => Math.abs(dv_dlnt));
  let to = from;
  for (let i = from; i <= end; i++) if (steep[i]! > steep[to]!) to = i;
  if (to === clear.length - 1) return { plateau: GOES_ON, ...nothing, ...told };
  if (to === 0) return { plateau: FOUND, ...nothing, ...told };
  const k = Math.min(apart, to, clear.length - 1 - to);
  const three = [to - k, to, to + k] as const;
  const [x0, x1, x2] = three.map((i) => Math.log(t[i]!)) as [number, number, number];
  const vertex = (y: readonly number[]): number => {
    const [a, b] = [(y[1]! - y[0]!) / (x1 - x0), (y[2]! - y[1]!) / (x2 - x1)];
    return (x0 + x1) / 2 - (a * (x2 - x0)) / (2 * (b - a));
  };
  const tops = three.map((i) => steep[i]!);
  const at = vertex(tops);
  if (!(at > x0 && at < x2)) return { plateau: FOUND, ...nothing, plateau_time: t[to]!, plateau_voltage: clear[to]!.voltage, ...told };
  const tiny = 1e-6 * tops[1]!;
  const at_se = Math.hypot(
    ...three.map((i, m) => ((vertex(tops.map((y, l) => (l === m ? y + tiny : y))) - at) / tiny) * clear[i]!.dv_dlnt_se),
  );
  const near = at < x1 ? to - 1 : to;
  const part = (at - Math.log(t[near]!)) / Math.log(t[near + 1]! / t[near]!);
  return {
    plateau: FOUND,
    plateau_time: Math.exp(at),
    plateau_time_se: Math.exp(at) * at_se,
    plateau_voltage: clear[near]!.voltage + part * (clear[near + 1]!.voltage - clear[near]!.voltage),
    ...told,
  };
} // prettier-ignore
