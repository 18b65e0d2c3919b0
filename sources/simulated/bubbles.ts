import type { Random } from "./random.ts";

/**
 * Bubbles in the window that the X-ray instruments look through: they are born as gas comes, share what comes after,
 * and merge where they touch. Lengths are in units of the window's width.
 */
export interface Bubble {
  /** Centre: along the sheets, 0 to 1; and across the reservoir, 0 to 1. */
  along: number;
  across: number;
  radius: number;
  readonly share: number;
}

const MOST = 6;
/** Height of the reservoir over its width: how far apart `across` 0 and 1 are. */
export const RESERVOIR = 0.25;
const LARGEST = 0.16;

export class Bubbles {
  readonly #random: Random;
  /** Volume at which the next one is born. */
  #nextBirth = 0;
  #volume = 0;
  #born = 0;
  list: Bubble[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Takes the volume of gas in the window so far (window widths cubed). */
  grow(volume: number): void {
    if (volume <= this.#volume) return;
    const more = volume - this.#volume;
    this.#volume = volume;
    if (this.#born < MOST && volume > this.#nextBirth) {
      const random = this.#random;
      this.list.push({
        along: this.#born === 0 ? random.uniform(0.4, 0.6) : random.uniform(0.15, 0.85),
        across: random.uniform(0.35, 0.75),
        radius: 0,
        share: this.#born === 0 ? 3 : random.uniform(0.3, 1.5),
      });
      this.#born++;
      this.#nextBirth = 2 * volume + 2e-5;
    }
    const shares = this.list.reduce((sum, { share }) => sum + share, 0);
    for (const bubble of this.list) {
      const cube = bubble.radius ** 3 + (more * bubble.share) / shares / ((4 / 3) * Math.PI);
      bubble.radius = Math.min(LARGEST, Math.cbrt(cube));
    }
    this.#merge();
  }

  #merge(): void {
    const { list } = this;
    for (let i = 0; i < list.length; i++) {
      for (let j = list.length - 1; j > i; j--) {
        const a = list[i]!, b = list[j]!; // prettier-ignore
        const apart = Math.hypot(a.along - b.along, (a.across - b.across) * RESERVOIR);
        if (apart > a.radius + b.radius) continue;
        const [va, vb] = [a.radius ** 3, b.radius ** 3];
        a.along = (a.along * va + b.along * vb) / (va + vb);
        a.across = (a.across * va + b.across * vb) / (va + vb);
        a.radius = Math.min(LARGEST, Math.cbrt(va + vb));
        list.splice(j, 1);
      }
    }
  }
}
