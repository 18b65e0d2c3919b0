import type { RampWindow } from "./ramp-filter.ts";
import type { Line, SliceKernel, Term } from "./slice-kernel.ts";
import { ViewWindow, wrap, type Coverage, type Held, type Span, type WindowOptions } from "./view-window.ts";

/** A view that is kept: where its filtered rows are, and how much of it stands in each set of images. */
export interface EngineView extends Held {
  /** Of the rotation axis, where the view knows it; else NaN: the engine's. */
  axis: number;
  shift_x: number;
  shift_y: number;
  scale: number;
  slot: number;
  applied_rad: [number, number];
  /** Whether it is in the images that are being made anew. */
  included: boolean;
  /** Samples that were filled in, of all detector rows. */
  filled: number;
  /** Line integrals, where they are kept: (detector row, col). */
  p: Float32Array | undefined;
  /** Number of the filter that its rows went through. */
  filter: number;
}

export type NewView = Pick<
  EngineView,
  "angle_deg" | "seconds" | "axis" | "shift_x" | "shift_y" | "scale" | "filled"
>;

export interface EngineOptions extends WindowOptions {
  readonly kernel: SliceKernel;
  readonly cols: number;
  readonly axis: number;
  readonly filter: RampWindow;
  /** Fan beams: half-turns show nothing mirrored. */
  readonly parallel: boolean;
  /** Keeps line integrals too, so that another filter can be applied to views that are here already. */
  readonly keepLineIntegrals: boolean;
  /** Part of an old view's row that stays when the same angle comes round again, 0 … 1. */
  readonly forgetting: number;
  /** Views a second of event time that are brought into images that are made anew. */
  readonly rebuildRate_Hz: number;
}

/** From what the images that are shown were made. */
export interface Shown extends Coverage {
  readonly views: number;
  readonly oldest_seconds: number;
  readonly filled: number;
  readonly axis: number;
  readonly filter: RampWindow;
  readonly span: Span;
}

interface SavedEngine {
  readonly views: (Omit<EngineView, "slot"> & { rows: Float32Array })[];
  readonly window: ReturnType<ViewWindow<EngineView>["save"]>;
  readonly shownImages: Float32Array[];
  readonly newImages: Float32Array[] | undefined;
  readonly rest: Rest;
}

/** What else it remembers: plain values. */
interface Rest {
  axis: number;
  filter: RampWindow;
  filters: number;
  span: Span;
  /** Views taken in since the images that are shown were begun. */
  since: number;
  making: "none" | "fresh" | "changed";
  /** While changed images are made: of those that stand. */
  frozen: Shown | undefined;
  previous_s: number | undefined;
  /** Of the rotation axis, in the newest view. */
  newestAxis: number;
}

/** The images are made afresh when each place in the window was taken so often: roundings add up. */
const FRESH_AFTER = 64;

/**
 * The views of a window and the images made of them, kept up to date view by view.
 *
 * A new view takes the place of those at the angles just passed, and only what changes is back-projected: weights that
 * change along one line are summed up into one row first. Sums in single precision gather roundings, so from time to
 * time a second set of images is made afresh beside the first, a view of the window with each new one, and takes its
 * place. Another axis, filter or window are a change of all: the images that stand are left as they are while new ones
 * are made, `rebuildRate_Hz` views a second of event time. All this depends on the views alone, never on a clock.
 */
export class SliceEngine {
  readonly #options: EngineOptions;
  #window: ViewWindow<EngineView>;
  #shown = 0;
  readonly #free: number[] = [];
  #slots = 0;
  #rest: Rest;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#window = new ViewWindow(options);
    const { axis, filter, span } = options;
    options.kernel.setWindow(filter);
    this.#rest = { axis, filter, filters: 0, span, since: 0, making: "none", frozen: undefined, previous_s: undefined, newestAxis: axis };
  } // prettier-ignore

  get views(): readonly EngineView[] {
    return this.#window.views;
  }

  /** The axis that new views are put on. */
  get axis(): number {
    return this.#rest.axis;
  }

  /** True while images are made that a change was asked for. */
  get pending(): boolean {
    return this.#rest.making === "changed";
  }

  /** True while views are kept that came through another filter. */
  get mixed(): boolean {
    return this.views.some(({ filter }) => filter !== this.#rest.filters);
  }

  /** Filters the line integrals of new views, (detector row, col) each; `take` them in the same order. */
  filter(views: readonly NewView[], p: readonly Float32Array[]): EngineView[] {
    const held = views.map((view, i): EngineView => ({
      ...view,
      circle_deg: 0, turned_deg: 0, weight_rad: 0, applied_rad: [0, 0], included: false,
      slot: this.#free.pop() ?? this.#slots++,
      p: this.#options.keepLineIntegrals ? p[i]!.slice() : undefined,
      filter: this.#rest.filters,
    })); // prettier-ignore
    this.#options.kernel.filter(p, held.map(({ slot }) => slot)); // prettier-ignore
    return held;
  }

  /** Brings the images up to date with one view that was filtered; returns the views that have left. */
  take(view: EngineView): readonly EngineView[] {
    const rest = this.#rest;
    const { forgetting, kernel } = this.#options;
    const { leaving, changed } = this.#window.take(view);
    if (forgetting > 0 && leaving.length > 0) this.#blend(view, leaving);
    rest.since++;
    if (rest.making === "none" && rest.since > FRESH_AFTER * Math.max(this.views.length, 64))
      this.#begin("fresh");
    const all = [...changed, ...leaving];
    if (rest.making !== "changed") kernel.add(this.#shown, this.#lines(this.#shown, all));
    if (rest.making !== "none") {
      view.included = true;
      kernel.add(this.#other, this.#lines(this.#other, all.filter(({ included }) => included))); // prettier-ignore
      const passed_s = view.seconds - (rest.previous_s ?? view.seconds);
      this.#goOn(
        rest.making === "fresh" ? 1 : Math.max(1, Math.ceil(passed_s * this.#options.rebuildRate_Hz)),
      );
    }
    rest.previous_s = view.seconds;
    rest.newestAxis = Number.isNaN(view.axis) ? rest.axis : view.axis;
    for (const old of leaving) this.#free.push(old.slot);
    return leaving;
  }

  /** Another axis, filter or window, from here on and for the views that are kept. */
  change({ axis, filter, span }: { axis?: number; filter?: RampWindow; span?: Span }): void {
    const rest = this.#rest;
    const frozen = rest.making === "changed" ? rest.frozen : this.shown();
    if (axis !== undefined) rest.axis = rest.newestAxis = axis;
    if (filter !== undefined && filter !== rest.filter) {
      rest.filter = filter;
      rest.filters++;
      this.#options.kernel.setWindow(filter);
      for (const view of this.views) {
        if (!view.p) continue;
        this.#options.kernel.filter([view.p], [view.slot]);
        view.filter = rest.filters;
      }
      // Without line integrals the old views keep their filter until they leave.
      if (!this.#options.keepLineIntegrals && axis === undefined && span === undefined) return;
    }
    if (span !== undefined) {
      rest.span = span;
      const window = new ViewWindow<EngineView>({ ...this.#options, span });
      for (const view of [...this.views].sort((a, b) => a.seconds - b.seconds)) {
        for (const old of window.take(view).leaving) this.#free.push(old.slot);
      }
      this.#window = window;
    }
    this.#begin("changed");
    rest.frozen = frozen;
  }

  /** Brings what is being made to its end. */
  finish(): void {
    this.#goOn(Infinity);
  }

  /** A picture that stands, scaled so that the views present stand for the whole circle; lent until the next call. */
  picture(plane: number): Float32Array {
    return this.#options.kernel.scaled(this.#shown, plane, this.#options.circle_deg / this.shown().total_deg);
  }

  shown(): Shown {
    const { making, frozen, newestAxis: axis, filter, span } = this.#rest;
    if (making === "changed" && frozen) return frozen;
    return {
      ...this.#window.coverage(),
      views: this.views.length,
      oldest_seconds: this.views.reduce((least, view) => Math.min(least, view.seconds), Infinity),
      filled: this.views.reduce((sum, view) => sum + view.filled, 0),
      axis, filter, span,
    }; // prettier-ignore
  }

  save(): SavedEngine {
    const { kernel } = this.#options;
    const order = this.#window.views;
    return {
      views: order.map(({ slot, ...view }) => ({
        ...view,
        applied_rad: this.#shown === 0 ? view.applied_rad : [view.applied_rad[1], view.applied_rad[0]],
        p: view.p?.slice(),
        rows: kernel.rows(slot),
      })),
      window: this.#window.save(),
      shownImages: kernel.save(this.#shown),
      newImages: this.#rest.making === "none" ? undefined : kernel.save(this.#other),
      rest: { ...this.#rest },
    };
  }

  load({ views, window, shownImages, newImages, rest }: SavedEngine): void {
    const { kernel } = this.#options;
    this.#rest = rest;
    this.#shown = 0;
    kernel.setWindow(rest.filter);
    const held = views.map(({ rows, ...view }, slot): EngineView => {
      kernel.put(slot, rows);
      return { ...view, slot };
    });
    this.#slots = held.length;
    this.#window = new ViewWindow({ ...this.#options, span: rest.span });
    this.#window.load(held, window);
    kernel.load(0, shownImages);
    if (newImages) kernel.load(1, newImages);
  }

  get #other(): 0 | 1 {
    return this.#shown === 0 ? 1 : 0;
  }

  #begin(making: "fresh" | "changed"): void {
    this.#rest.making = making;
    this.#options.kernel.clear(this.#other);
    for (const view of this.views) {
      view.included = false;
      view.applied_rad[this.#other] = 0;
    }
  }

  /** Brings up to `count` views that are kept into the images being made; they take over when all are in. */
  #goOn(count: number): void {
    const rest = this.#rest;
    if (rest.making === "none") return;
    const { kernel } = this.#options;
    const missing: EngineView[] = [];
    for (const view of this.views) {
      if (missing.length >= count) break;
      if (!view.included) missing.push(view);
    }
    for (const view of missing) {
      view.included = true;
      kernel.add(this.#other, this.#lines(this.#other, [view]));
    }
    if (missing.length >= count && this.views.some(({ included }) => !included)) return;
    kernel.settle();
    this.#shown = this.#other;
    Object.assign(rest, { making: "none", frozen: undefined, since: 0 } satisfies Partial<Rest>);
  }

  /** What has changed in a set of images: rows along one line are summed up before they are back-projected. */
  #lines(image: number, views: readonly EngineView[]): Line[] {
    const lines: (Line & { terms: Term[] })[] = [];
    for (const view of views) {
      const change_rad = view.weight_rad - view.applied_rad[image]!;
      // Neighbours' arcs come out the same to rounding; what is skipped is not lost, it is compared again.
      if (Math.abs(change_rad) <= 1e-9 * Math.max(view.weight_rad, view.applied_rad[image]!)) continue;
      view.applied_rad[image] = view.weight_rad;
      const axis = (Number.isNaN(view.axis) ? this.#rest.axis : view.axis) + view.shift_x;
      const { shift_y, scale, slot } = view;
      let mirrored = false;
      const line = lines.find((other) => {
        if (other.shift_y !== shift_y || other.scale !== scale) return false;
        const apart = wrap((other.theta_rad * 180) / Math.PI - view.angle_deg + 90, 360) - 90;
        mirrored = Math.abs(apart - 180) < 1e-9;
        if (mirrored) return this.#options.parallel && Math.abs(other.axis + axis - (this.#options.cols - 1)) < 1e-9; // prettier-ignore
        return Math.abs(apart) < 1e-9 && Math.abs(other.axis - axis) < 1e-9;
      });
      if (line) line.terms.push({ slot, weight: change_rad, mirrored });
      else {
        const theta_rad = (view.angle_deg * Math.PI) / 180;
        lines.push({ theta_rad, axis, shift_y, scale, terms: [{ slot, weight: change_rad, mirrored: false }] }); // prettier-ignore
      }
    }
    return lines;
  }

  /** Forgetting: the new row takes on part of that of the view it replaces, which had part of those before. */
  #blend(view: EngineView, leaving: readonly EngineView[]): void {
    const { kernel, forgetting } = this.#options;
    const nearest = leaving.reduce((best, old) =>
      Math.abs(wrap(old.angle_deg - view.angle_deg + 180, 360) - 180) <
      Math.abs(wrap(best.angle_deg - view.angle_deg + 180, 360) - 180) ? old : best); // prettier-ignore
    const [rows, before] = [kernel.rows(view.slot), kernel.rows(nearest.slot)];
    for (let i = 0; i < rows.length; i++) rows[i] = rows[i]! + forgetting * (before[i]! - rows[i]!);
    kernel.put(view.slot, rows);
    if (view.p && nearest.p) {
      for (let i = 0; i < view.p.length; i++)
        view.p[i] = view.p[i]! + forgetting * (nearest.p[i]! - view.p[i]!);
    }
  }
}
