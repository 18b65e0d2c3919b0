import { LEAST_ROWS, localCubic, placeIn, type LocalFit } from "./local-cubic.ts";

/**
 * dV/dQ along one stretch of charge or discharge, from a cubic through V(Q) over the records about a place whose voltage is
 * within half a window of its own, as far to one side of it in charge as to the other.
 *
 * The charge is an integral and nearly without noise, the voltage is not: so V is fitted over Q, where the noise does
 * not bias, and not Q over V, where it flattens each peak. On a plateau a window holds much charge, elsewhere little; beside
 * a sudden rise it is small, and its errors are large. Its ends are found from medians over five records, so that no single
 * one sets them, and each point is settled by the records alone, once those of its window have come.
 */
export interface Point {
  readonly voltage: number;
  readonly capacity: number;
  readonly capacity_se: number;
  readonly dq_dv: number;
  readonly dq_dv_se: number;
  readonly dv_dq: number;
  readonly dv_dq_se: number;
  /** Voltage that the window spans. */
  readonly window: number;
  /** d(dq_dv)/dV, which tells where a peak is. */
  readonly rise: number;
  readonly rise_se: number;
}

export interface WindowSettings {
  /** Half the window's width. */
  readonly half_V: number;
  readonly step_V: number;
  readonly mostRows: number;
}

/** Plain, so that it can be saved. */
export interface Stretch {
  /** Charge passed since the half cycle began [A.h], voltage and its median over five records, of the records that windows may still need. */
  charge: number[];
  voltage: number[];
  smooth: number[];
  /** None was forgotten yet: the first is where the stretch begins. */
  whole: boolean;
  /** Record of the next point, and the first that is not known to belong to its window. */
  at: number;
  right: number;
  /** Windows were cut, since they held too many records. */
  narrowed: boolean;
}

export const freshStretch = (): Stretch => ({
  charge: [], voltage: [], smooth: [], whole: true, at: 0, right: 0, narrowed: false,
}); // prettier-ignore

/** Records to either side of one that its median is taken over. */
const BESIDE = 2;
/** At an end of the stretch a window reaches at least so far to that side, as a share of the other. */
const LEAST_SHARE = 0.25;

/** A window in which the voltage moves by less, as a share of its half width, is at constant voltage, whatever its step is called. */
const LEAST_MOVE = 0.25;

/** `sign` is that of the current: dQ/dV counts charge into the cell. */
export function pointOf(fit: LocalFit, charge: number, sign: number, window: number): Point {
  const { value, value_se, slope, slope_se, curvature, curvature_se } = fit;
  const s = sign * slope;
  // Of a slope that cannot be told from zero there is no reciprocal; of others its mean is larger by se²/s².
  const told = Math.abs(s) > 2 * slope_se && s !== 0;
  const dq_dv = told ? s / (s * s + slope_se * slope_se) : NaN;
  return {
    voltage: value,
    capacity: charge,
    capacity_se: told ? value_se / Math.abs(s) : NaN,
    dq_dv,
    dq_dv_se: told ? slope_se / (s * s) : NaN,
    dv_dq: s,
    dv_dq_se: slope_se,
    window,
    rise: told ? -curvature / s ** 3 : NaN,
    rise_se: told ? curvature_se / Math.abs(s) ** 3 : NaN,
  };
}

export function addRow(
  stretch: Stretch, charge: number, voltage: number, sign: number, settings: WindowSettings, give: (point: Point) => void,
): void {
  const s = stretch;
  s.charge.push(charge);
  s.voltage.push(voltage);
  if (s.voltage.length > BESIDE) s.smooth.push(medianAbout(s.voltage, s.voltage.length - 1 - BESIDE));
  settle(s, sign, settings, false, give);
} // prettier-ignore

/** No more records will come: what is left is settled by windows that end here. */
export function endStretch(stretch: Stretch, sign: number, settings: WindowSettings, give: (point: Point) => void): void {
  while (stretch.smooth.length < stretch.voltage.length) stretch.smooth.push(medianAbout(stretch.voltage, stretch.smooth.length));
  settle(stretch, sign, settings, true, give);
} // prettier-ignore

/** Over fewer records at the ends, as many to either side. */
function medianAbout(voltage: readonly number[], i: number): number {
  const reach = Math.min(BESIDE, i, voltage.length - 1 - i);
  return voltage.slice(i - reach, i + reach + 1).sort((a, b) => a - b)[reach]!;
}

function settle(s: Stretch, sign: number, settings: WindowSettings, ended: boolean, give: (point: Point) => void): void {
  const { charge, smooth } = s;
  const { half_V, step_V } = settings;
  const mostRows = Math.floor(settings.mostRows / 2);
  while (s.at < smooth.length) {
    const known = smooth.length;
    const centre = smooth[s.at]!;
    const within = (i: number): boolean => Math.abs(smooth[i]! - centre) <= half_V;
    const cut = s.at + mostRows;
    let to = Math.max(s.at + 1, s.right);
    while (to < known && to < cut && within(to)) to++;
    s.right = to;
    // Where records are sparse the window holds a few to either side, whatever their voltage.
    to = Math.max(to, s.at + 1 + LEAST_ROWS / 2);
    if (!ended && (to > known || (s.right === known && known < cut))) return;
    to = Math.min(to, known);
    let from = s.at;
    while (from > 0 && from > s.at - mostRows && within(from - 1)) from--;
    if (s.right >= cut || (from > 0 && from <= s.at - mostRows)) s.narrowed = true;
    from = Math.max(0, Math.min(from, s.at - LEAST_ROWS / 2));

    const Q = charge[s.at]!;
    let [before, after] = [Q - charge[from]!, charge[to - 1]! - Q];
    const [begins, ends] = [s.whole && from === 0, ended && to === known];
    const cutBefore = begins && before < LEAST_SHARE * after;
    const cutAfter = ends && after < LEAST_SHARE * before;
    if (!begins && !ends) {
      // As far to one side as to the other: a lopsided window flattens the flanks of peaks.
      from = Math.min(s.at - LEAST_ROWS / 2, placeIn(charge, Q - after, from, s.at));
      to = Math.max(s.at + 1 + LEAST_ROWS / 2, placeIn(charge, Q + before, s.at + 1, to));
      [before, after] = [Q - charge[from]!, charge[to - 1]! - Q];
    }
    const scale = Math.max(before, after);
    const span_V = Math.abs(smooth[to - 1]! - smooth[from]!);
    if (scale > 0 && span_V >= LEAST_MOVE * half_V && !cutBefore && !cutAfter) {
      const fit = localCubic({ x: charge, y: s.voltage }, { from, to }, Q, scale);
      if (fit && Math.abs(fit.value - centre) <= Math.max(half_V, 3 * fit.noise)) give(pointOf(fit, Q, sign, span_V));
    }
    const next = Q + ((before + after) * step_V) / Math.max(2 * half_V, span_V);
    s.at = Math.max(s.at + 1, placeIn(charge, next, s.at, charge.length));
    s.right = Math.min(s.right, s.at);
    forget(s, 2 * from - s.at);
  }
} // prettier-ignore

/** Forgets the first records; moves the others up where more than half can go. */
function forget(s: Stretch, before: number): void {
  if (before < 256 || before < s.charge.length / 2) return;
  for (const list of [s.charge, s.voltage, s.smooth]) list.splice(0, before);
  s.at -= before;
  s.right -= before;
  s.whole = false;
}
