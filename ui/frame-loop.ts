/**
 * One animation-frame loop for the page: it draws what is dirty and visible, and sleeps while nothing is.
 * When a frame was slow, it draws half of the heavy ones in turn, so that the page answers before it is complete.
 */
export interface Drawable {
  readonly visible: boolean;
  /** Charts take turns under load; cheap things (cursor, marks, texts) are drawn in each frame. */
  readonly heavy: boolean;
  draw(): void;
}

/** What is about to be scrolled into sight counts as visible. */
export const NEARBY: IntersectionObserverInit = { rootMargin: "120px" };

export interface Clock {
  now(): number;
  request(callback: () => void): void;
}

const BROWSER: Clock = {
  now: () => performance.now(),
  request: (callback) => void requestAnimationFrame(callback),
};

/** Frames that took longer than this, ms, make the heavy ones take turns. */
const SLOW_ms = 14;

export class FrameLoop {
  readonly #dirty = new Set<Drawable>();
  readonly #drawn = new Set<() => void>();
  readonly #clock: Clock;
  #asked = false;
  #last_ms = 0;
  frames = 0;

  constructor(clock: Clock = BROWSER) {
    this.#clock = clock;
  }

  /** Draws it in the next frame in which it is visible. */
  invalidate(drawable: Drawable): void {
    this.#dirty.add(drawable);
    this.#ask();
  }

  remove(drawable: Drawable): void {
    this.#dirty.delete(drawable);
  }

  /** Calls back after each frame that drew something. */
  onDrawn(listener: () => void): () => void {
    this.#drawn.add(listener);
    return () => void this.#drawn.delete(listener);
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#clock.request(() => this.#frame());
  }

  #frame(): void {
    this.#asked = false;
    this.frames++;
    const start = this.#clock.now();
    const waiting = [...this.#dirty].filter((d) => d.visible);
    const heavy = waiting.filter((d) => d.heavy);
    // Whoever is left out stays dirty and stands first in the next frame: a Set keeps the order of insertion.
    const turn = this.#last_ms > SLOW_ms ? heavy.slice(0, Math.ceil(heavy.length / 2)) : heavy;
    const now = [...turn, ...waiting.filter((d) => !d.heavy)];
    for (const drawable of now) this.#dirty.delete(drawable);
    for (const drawable of now) drawable.draw();
    this.#last_ms = this.#clock.now() - start;
    if (turn.length < heavy.length) this.#ask();
    if (now.length > 0) for (const listener of this.#drawn) listener();
  }
}
