/**
 * The one span of values that several images are painted with, so that a grey means the same in all: what their own
 * spans cover together, or what a person has set. It gives way at once and closes in late, so that it does not flicker.
 */
import type { Limits } from "./colour-maps.ts";

export class GreyWindow {
  readonly #own = new Map<string, Limits>();
  readonly #listeners = new Set<() => void>();
  #shared: Limits | undefined;
  /** Set by hand; undefined while it follows the images. */
  set: Limits | undefined;
  /** Goes up with each change. */
  version = 0;

  get limits(): Limits | undefined {
    return this.set ?? this.#shared;
  }

  /** What all images cover together, whatever is set. */
  get covered(): Limits | undefined {
    return this.#shared;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** An image has come, with its own span. */
  take(name: string, own: Limits | undefined): Limits | undefined {
    if (own) this.#own.set(name, own);
    else this.#own.delete(name);
    const all = [...this.#own.values()];
    if (all.length === 0) return this.limits;
    const low = Math.min(...all.map((one) => one.low));
    const high = Math.max(...all.map((one) => one.high));
    const before = this.#shared;
    const room = before ? 0.03 * (before.high - before.low) : 0;
    const same =
      before &&
      low >= before.low - room && high <= before.high + room &&
      high - low >= 0.85 * (before.high - before.low); // prettier-ignore
    if (!same) {
      this.#shared = { low, high };
      if (!this.set) this.#changed();
    }
    return this.limits;
  }

  choose(limits: Limits | undefined): void {
    this.set = limits;
    this.#changed();
  }

  #changed(): void {
    this.version++;
    for (const listener of this.#listeners) listener();
  }
}
