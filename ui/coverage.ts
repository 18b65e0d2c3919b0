/**
 * Which angles a slice holds, as far as its own state tells: so much behind the newest angle, the way that it turns.
 * Where angles are taken in another order (golden angle, interlaced) only those that were seen are known.
 */

/** Angles that are remembered. */
const SEEN = 720;

const wrap = (angle: number, turn: number) => ((angle % turn) + turn) % turn;

export class AnglesSeen {
  readonly #seen: number[] = [];
  #last = NaN;
  /** 1 where angles grow, -1 where they shrink. */
  direction: 1 | -1 = 1;

  see(angle_deg: number): void {
    if (!Number.isFinite(angle_deg) || angle_deg === this.#last) return;
    if (!Number.isNaN(this.#last)) this.direction = angle_deg > this.#last ? 1 : -1;
    this.#last = angle_deg;
    this.#seen.push(angle_deg);
    if (this.#seen.length > SEEN) this.#seen.shift();
  }

  /** The newest of them, as many as there are views. */
  newest(views: number): readonly number[] {
    return this.#seen.slice(-Math.max(1, views));
  }
}

export interface Covered {
  /** Of the newest view, and what is covered, degrees. */
  readonly angle: number;
  readonly coverage: number;
  readonly largestGap: number;
  /** What there is to cover. */
  readonly span: 180 | 360;
  readonly direction: 1 | -1;
}

/** The filled parts of a dial; undefined where what is covered lies in several pieces, nobody knows which. */
export function filledArcs({ angle, coverage, largestGap, span, direction }: Covered): [from: number, to: number][] | undefined {
  if (!(coverage > 0) || !Number.isFinite(angle)) return [];
  if (coverage >= span - 1e-3) return [[0, span]];
  // In one piece there is one gap, and it is all that is not covered.
  const inOnePiece = !(span - coverage - largestGap > 0.02 * span);
  if (!inOnePiece) return undefined;
  const from = wrap(direction > 0 ? angle - coverage : angle, span);
  const to = from + coverage;
  return to <= span ? [[from, to]] : [[from, span], [0, to - span]];
} // prettier-ignore

/** Where an angle stands on a dial: 0 to the right, growing against the clock. */
export function onDial(angle_deg: number, span: number, radius: number): [x: number, y: number] {
  const angle = (wrap(angle_deg, span) * Math.PI) / 180;
  return [radius * Math.cos(angle), -radius * Math.sin(angle)];
}
