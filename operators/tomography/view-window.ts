/**
 * Which views make up a slice of a turning sample, and how much each counts. Angles in degrees, of any sign and
 * number of turns; nothing here knows of frames or their numbers, so dropped, repeated, reversed and irregular
 * views have their right place.
 */
import { parseQuantity } from "../../runtime/index.ts";

export const wrap = (x_deg: number, period_deg: number): number => {
  // Exact, as % is, which takes ten times as long.
  const rest = x_deg - Math.floor(x_deg / period_deg) * period_deg;
  return rest < 0 ? rest + period_deg : rest < period_deg ? rest : rest - period_deg;
};

/**
 * How far back views count.
 *
 *     angle    the newest of each angle: within a half-turn, where the view from the other side takes its place, or a turn
 *     views    the newest so many
 *     seconds  those not older
 *     tapered  of a steady turn, a half-turn and `taper_deg` more: new views come in and old ones leave by and by, so that
 *              w(θ) + w(θ + 180°) = 1 and no seam is left between the first view and the last
 */
export type Span =
  | { readonly kind: "angle"; readonly period_deg: 180 | 360 }
  | { readonly kind: "views"; readonly views: number }
  | { readonly kind: "seconds"; readonly seconds: number }
  | { readonly kind: "tapered"; readonly taper_deg: number };

/** "180 deg", "360 deg", "300 views" or "90 s"; undefined where it is none of them. */
export function readSpan(written: string, taper_deg: number): Span | undefined {
  const views = /^\s*(\d+)\s*(views?|frames?)\s*$/.exec(written);
  if (views) return Number(views[1]) >= 2 ? { kind: "views", views: Number(views[1]) } : undefined;
  const [deg, seconds] = ["deg", "s"].map((unit) => {
    try {
      return parseQuantity(written, unit);
    } catch {
      return undefined;
    }
  });
  if (deg === 180 && taper_deg > 0) return { kind: "tapered", taper_deg };
  if (deg === 180 || deg === 360) return { kind: "angle", period_deg: deg };
  return seconds !== undefined && seconds > 0 && deg === undefined ? { kind: "seconds", seconds } : undefined;
}

/** Which views a new one takes the place of. */
interface Passage {
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
function passage(
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

export interface Coverage {
  /** What all views stand for together. */
  readonly total_deg: number;
  /** Angle between neighbours no further apart than the greatest gap allowed; the whole circle where nothing is missing. */
  readonly coverage_deg: number;
  readonly largestGap_deg: number;
}

/** What a view stands for: half the gaps to its neighbours. It does not stretch over one wider than `maxGap_deg`: it
 * counts as if its other neighbour stood on that side too, so a scan that has just begun weighs its views alike. */
function arc(before_deg: number, after_deg: number, maxGap_deg: number): number {
  const left = before_deg <= maxGap_deg ? before_deg / 2 : undefined;
  const right = after_deg <= maxGap_deg ? after_deg / 2 : undefined;
  return (left ?? right ?? maxGap_deg / 2) + (right ?? left ?? maxGap_deg / 2);
}

/** A view as the window sees it. */
export interface Held {
  readonly angle_deg: number;
  readonly seconds: number;
  /** Its angle within the circle. */
  circle_deg: number;
  /** Angle turned through since the first view. */
  turned_deg: number;
  /** What it counts for. */
  weight_rad: number;
}

export interface WindowOptions {
  readonly span: Span;
  /** 180 where a view from the other side shows the same, 360 where it does not (fan beam). */
  readonly circle_deg: 180 | 360;
  readonly maxGap_deg: number;
  readonly maxViews: number;
}

/** Steps that a tapered view comes and goes in. */
const TAPER_STEPS = 8;

/** The views that count at present; `weight_rad` of all of them is kept up to date, and sums to π over the circle. */
export class ViewWindow<V extends Held> {
  readonly #options: WindowOptions;
  /** By angle within the circle; of a tapered window, by time. */
  #views: V[] = [];
  #previous_deg: number | undefined;
  #turned_deg = 0;
  #direction = 0;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  get views(): readonly V[] {
    return this.#views;
  }

  /** Takes in a view; returns those whose weight has changed, first those that leave, whose weight is now zero. */
  take(view: V): { leaving: V[]; changed: V[] } {
    const { circle_deg, span } = this.#options;
    view.circle_deg = wrap(view.angle_deg, circle_deg);
    const step =
      this.#previous_deg === undefined ? 0 : wrap(view.angle_deg - this.#previous_deg + 180, 360) - 180;
    this.#turned_deg += Math.abs(step);
    view.turned_deg = this.#turned_deg;
    const taken = span.kind === "tapered" ? this.#taper(view, step, span.taper_deg) : this.#replace(view);
    this.#previous_deg = view.angle_deg;
    return taken;
  }

  coverage(): Coverage {
    const { circle_deg, maxGap_deg, span } = this.#options;
    const angles = this.#views.map((view) => view.circle_deg);
    if (span.kind === "tapered") angles.sort((a, b) => a - b);
    let [total_deg, coverage_deg, largestGap_deg] = [0, 0, 0];
    const n = angles.length;
    const gap = (i: number): number => (i + 1 < n ? angles[i + 1]! - angles[i]! : angles[0]! + circle_deg - angles[n - 1]!);
    for (let i = 0; i < n; i++) {
      const after = gap(i);
      total_deg += arc(gap((i + n - 1) % n), after, maxGap_deg);
      if (after <= maxGap_deg) coverage_deg += after;
      largestGap_deg = Math.max(largestGap_deg, after);
    }
    if (span.kind === "tapered") {
      total_deg = this.#views.reduce((sum, view) => sum + view.weight_rad, 0) * (circle_deg / Math.PI);
    }
    return { total_deg, coverage_deg, largestGap_deg };
  } // prettier-ignore

  save(): { previous_deg: number | undefined; turned_deg: number; direction: number } {
    return { previous_deg: this.#previous_deg, turned_deg: this.#turned_deg, direction: this.#direction };
  }

  /** Views in the order that `views` had them. */
  load(views: readonly V[], { previous_deg, turned_deg, direction }: ReturnType<ViewWindow<V>["save"]>): void {
    this.#views = [...views];
    this.#previous_deg = previous_deg;
    this.#turned_deg = turned_deg;
    this.#direction = direction;
  } // prettier-ignore

  /** First view whose angle is greater. */
  #above(angle_deg: number): number {
    let [from, to] = [0, this.#views.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#views[middle]!.circle_deg > angle_deg) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  /** Views that a new one takes the place of, or makes room for itself from; looks at its neighbours alone. */
  #leavingFor(view: V): V[] {
    const { span, circle_deg, maxGap_deg, maxViews } = this.#options;
    const views = this.#views;
    const leaving: V[] = [];
    if (span.kind === "seconds") {
      for (const old of views) if (old.seconds <= view.seconds - span.seconds) leaving.push(old);
    } else if (span.kind === "angle") {
      const { reach_deg, supersedes } = passage(this.#previous_deg, view.angle_deg, span.period_deg, maxGap_deg); // prettier-ignore
      const start = this.#above(view.circle_deg);
      const half = circle_deg / 2;
      for (const direction of [1, -1]) {
        for (
          let k = direction > 0 ? start : start - 1, seen = 0;
          seen < views.length;
          k += direction, seen++
        ) {
          const old = views[wrap(k, views.length)]!;
          if (Math.abs(wrap(old.circle_deg - view.circle_deg + half, circle_deg) - half) > reach_deg) break;
          if (supersedes(old.angle_deg) && !leaving.includes(old)) leaving.push(old);
        }
      }
    }
    const most = span.kind === "views" ? span.views : maxViews;
    if (leaving.length === 0 && views.length >= most) {
      leaving.push(views.reduce((least, v) => (v.seconds < least.seconds ? v : least)));
    }
    return leaving;
  }

  #replace(view: V): { leaving: V[]; changed: V[] } {
    const views = this.#views;
    const leaving = this.#leavingFor(view);
    const moved = new Set<V>([view]);
    const neighbours = (i: number): void => {
      if (views.length > 0) for (const k of [i - 1, i + 1]) moved.add(views[wrap(k, views.length)]!);
    };
    for (const old of leaving) {
      const i = views.indexOf(old);
      neighbours(i);
      views.splice(i, 1);
      old.weight_rad = 0;
    }
    const at = this.#above(view.circle_deg);
    views.splice(at, 0, view);
    neighbours(at);
    for (const old of leaving) moved.delete(old);
    for (const v of moved) v.weight_rad = this.#weightAt(views.indexOf(v));
    return { leaving, changed: [...moved] };
  }

  #weightAt(i: number): number {
    const { circle_deg, maxGap_deg } = this.#options;
    const views = this.#views;
    const n = views.length;
    const gap = (k: number): number =>
      k + 1 < n
        ? views[k + 1]!.circle_deg - views[k]!.circle_deg
        : views[0]!.circle_deg + circle_deg - views[n - 1]!.circle_deg;
    return (arc(gap((i + n - 1) % n), gap(i), maxGap_deg) * Math.PI) / circle_deg;
  }

  #taper(view: V, step: number, taper_deg: number): { leaving: V[]; changed: V[] } {
    const { maxGap_deg, maxViews, circle_deg } = this.#options;
    const direction = Math.sign(step);
    // A jump, or the other way round: the views from before have nothing to blend with.
    const jumped = Math.abs(step) > maxGap_deg;
    const leaving = jumped || this.#direction * direction < 0 ? this.#views.splice(0) : [];
    if (jumped) this.#direction = 0;
    else if (direction !== 0) this.#direction = direction;
    const views = this.#views;
    while (
      views.length > 0 &&
      (views.length >= maxViews || this.#turned_deg - views[0]!.turned_deg >= circle_deg + taper_deg - 1e-9)
    )
      leaving.push(views.shift()!);
    for (const old of leaving) old.weight_rad = 0;
    views.push(view);
    const n = views.length;
    const changed: V[] = [];
    views.forEach((v, i) => {
      const before = i > 0 ? v.turned_deg - views[i - 1]!.turned_deg : Infinity;
      const after = i + 1 < n ? views[i + 1]!.turned_deg - v.turned_deg : Infinity;
      const age = this.#turned_deg - v.turned_deg;
      const level = (deg: number): number =>
        (Math.floor((TAPER_STEPS * deg) / taper_deg + 1e-9) + 0.5) / TAPER_STEPS;
      // A view comes in by and by where there is one from the other side that leaves by and by.
      const paired = views[0]!.turned_deg <= v.turned_deg - circle_deg + 1e-9;
      const part = age >= circle_deg - 1e-9 ? 1 - level(age - circle_deg)
        : age < taper_deg && paired ? level(age)
        : 1; // prettier-ignore
      const weight = (arc(before, after, maxGap_deg) * part * Math.PI) / circle_deg;
      if (weight === v.weight_rad) return;
      v.weight_rad = weight;
      changed.push(v);
    });
    return { leaving, changed };
  }
}
