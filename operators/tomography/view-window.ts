/**
 * Which views make up a slice of a turning sample, and how much each counts. Angles in degrees, of any sign and
 * number of turns; nothing here knows of frames or their numbers, so dropped, repeated, reversed and irregular
 * views have their right place.
 */

export const wrap = (x_deg: number, period_deg: number): number => {
  // Exact, as % is, which takes ten times as long.
  const rest = x_deg - Math.floor(x_deg / period_deg) * period_deg;
  return rest < 0 ? rest + period_deg : rest < period_deg ? rest : rest - period_deg;
};

/** Which views a new one takes the place of. */
export interface Passage {
  /** All of them are within so much of the new angle, modulo 180. */
  readonly reach_deg: number;
  supersedes(old_deg: number): boolean;
}

/**
 * A new view takes the place of those measured before at the angles that the sample has turned through since the
 * previous view (`step`, up to `maxGap_deg`; a longer one is a jump, as with golden-angle views, and replaces only
 * the very same angle). Angles are compared within `period_deg`: 180, where the mirrored view counts as the same, or
 * 360. A view up to a quarter step ahead is the same angle again, measured with the stage's jitter.
 */
export function passage(
  previous_deg: number | undefined, angle_deg: number, period_deg: number, maxGap_deg: number,
): Passage {
  const step = previous_deg === undefined ? Infinity : wrap(angle_deg - previous_deg + 180, 360) - 180;
  const turning = Math.abs(step) <= maxGap_deg;
  const direction = step < 0 ? -1 : 1;
  const same_deg = turning ? 1e-6 : maxGap_deg * 1e-3;
  return {
    reach_deg: (turning ? Math.abs(step) : 0) + same_deg,
    supersedes(old_deg) {
      const apart = wrap(old_deg - angle_deg, period_deg);
      if (Math.min(apart, period_deg - apart) <= same_deg) return true;
      if (!turning) return false;
      const passed = wrap(direction * (old_deg - previous_deg!), period_deg);
      return passed > 0 && passed <= Math.abs(step) * 1.25;
    },
  };
} // prettier-ignore

export interface Arcs {
  /** What each view stands for [deg]: half the way to its neighbours on either side. */
  readonly weight_deg: Float64Array;
  readonly total_deg: number;
  /** Angle between neighbours no further apart than the greatest gap allowed; 180 where nothing is missing. */
  readonly coverage_deg: number;
  readonly largestGap_deg: number;
}

/** What a view stands for: half the gaps to its neighbours. It does not stretch over one wider than `maxGap_deg`: it
 * counts as if its other neighbour stood on that side too, so a scan that has just begun weighs its views alike. */
export function arc(before_deg: number, after_deg: number, maxGap_deg: number): number {
  const left = before_deg <= maxGap_deg ? before_deg / 2 : undefined;
  const right = after_deg <= maxGap_deg ? after_deg / 2 : undefined;
  return (left ?? right ?? maxGap_deg / 2) + (right ?? left ?? maxGap_deg / 2);
}

/** From view i to the next, of angles ascending within 0 … 180. The half-circle is closed: 180 is 0, mirrored. */
export function gap(n: number, angle_deg: (i: number) => number, i: number): number {
  return i + 1 < n ? angle_deg(i + 1) - angle_deg(i) : angle_deg(0) + 180 - angle_deg(n - 1);
}

/** Arcs of all views, at ascending angles within 0 … 180: a Voronoi diagram on the half-circle. */
export function arcs(angles_deg: readonly number[], maxGap_deg: number): Arcs {
  const n = angles_deg.length;
  const angle = (i: number): number => angles_deg[i]!;
  const weight_deg = new Float64Array(n);
  let total_deg = 0;
  let coverage_deg = 0;
  let largestGap_deg = 0;
  for (let i = 0; i < n; i++) {
    const after = gap(n, angle, i);
    weight_deg[i] = arc(gap(n, angle, (i + n - 1) % n), after, maxGap_deg);
    total_deg += weight_deg[i]!;
    if (after <= maxGap_deg) coverage_deg += after;
    largestGap_deg = Math.max(largestGap_deg, after);
  }
  return { weight_deg, total_deg, coverage_deg, largestGap_deg };
}
