/**
 * The one time axis of the page: which span all panels show, where the cursor stands, how to go back.
 * Elements read it when they draw; nothing here knows of them.
 */
import type { Ms } from "./client/types.ts";

export interface Range {
  readonly from: Ms;
  readonly to: Ms;
}

/**
 * follow  the newest `width` ms, moving on with the data; all there is while that is less
 * held    a fixed span: paused where it stood, or zoomed by hand
 */
export type View =
  | { readonly kind: "follow"; readonly width: Ms | "all" }
  | { readonly kind: "held"; readonly why: "paused" | "zoomed"; readonly from: Ms; readonly to: Ms };

export type Change = "view" | "time" | "cursor";

export const MINUTE: Ms = 60_000;
export const HOUR: Ms = 60 * MINUTE;
export const NARROWEST: Ms = 10;

export class TimeAxis {
  view: View = { kind: "follow", width: 10 * MINUTE };
  /** First and newest time of the run, by event time; NaN until there are rows. */
  first: Ms = NaN;
  newest: Ms = NaN;
  cursor: Ms | undefined;
  /** The width that `goLive` comes back to. */
  #width: Ms | "all" = 10 * MINUTE;
  readonly #listeners = new Set<(change: Change) => void>();

  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get live(): boolean {
    return this.view.kind === "follow";
  }

  /** The span on show. Before the first row it is the last stretch of 1970, so that axes have something to draw. */
  get range(): Range {
    if (this.view.kind === "held") return this.view;
    const to = Number.isNaN(this.newest) ? 0 : this.newest;
    const { width } = this;
    return { from: to - (width === "all" ? this.#runWidth : width), to };
  }

  /** What is followed: "all" too while the run is younger than the width that was chosen. */
  get width(): Ms | "all" {
    const width = this.view.kind === "follow" ? this.view.width : this.#width;
    return width === "all" || this.newest - this.first < width ? "all" : width;
  }

  get #runWidth(): Ms {
    const width = this.newest - this.first;
    return width > NARROWEST ? width : NARROWEST;
  }

  /** Rows up to `time` have been seen. Time never goes back. */
  advance(time: Ms): void {
    if (!(time > this.newest) && !(Number.isNaN(this.newest) && Number.isFinite(time))) return;
    this.newest = time;
    this.#tell("time");
  }

  begin(time: Ms): void {
    if (!Number.isFinite(time) || time >= this.first) return;
    this.first = time;
    this.#tell("time");
  }

  follow(width: Ms | "all"): void {
    this.show({ kind: "follow", width });
  }

  /** Back to the newest rows, as wide as what is on show now. */
  goLive(): void {
    if (this.view.kind === "held") this.#width = this.view.to - this.view.from;
    this.show({ kind: "follow", width: this.#width });
  }

  /** Stands still where it is; the data go on arriving. */
  pause(): void {
    if (this.view.kind === "follow") {
      this.#width = this.view.width;
      this.show({ kind: "held", why: "paused", ...this.range });
    }
  }

  /** Ends a pause as wide as before it: the whole run stays the whole run. */
  resume(): void {
    this.show({ kind: "follow", width: this.#width });
  }

  zoom(a: Ms, b: Ms): void {
    const [from, to] = a < b ? [a, b] : [b, a];
    if (!Number.isFinite(from) || !Number.isFinite(to)) return;
    const middle = (from + to) / 2;
    const half = Math.max(to - from, NARROWEST) / 2;
    this.#width = 2 * half;
    this.show({ kind: "held", why: "zoomed", from: middle - half, to: middle + half });
  }

  /** Magnifies about the cursor, or about the middle. `factor` under 1 goes closer. */
  magnify(factor: number): void {
    const { from, to } = this.range;
    if (this.live) {
      this.follow(Math.max((to - from) * factor, NARROWEST));
      return;
    }
    const about =
      this.cursor !== undefined && this.cursor >= from && this.cursor <= to ? this.cursor : (from + to) / 2;
    this.zoom(about - (about - from) * factor, about + (to - about) * factor);
  }

  /** Moves by a share of the width; moving past the newest row goes live. */
  pan(share: number): void {
    const { from, to } = this.range;
    const by = (to - from) * share;
    if (to + by >= this.newest) this.goLive();
    else this.zoom(from + by, to + by);
  }

  point(cursor: Ms | undefined): void {
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.#tell("cursor");
  }

  show(view: View): void {
    if (view.kind === "follow") this.#width = view.width;
    this.view = view;
    this.#tell("view");
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}
