import { FORWARD_KERNELS, type ForwardKernel } from "./forward-projection.ts";
import type { Plane } from "./planes.ts";
import type { Padding } from "./ramp-filter.ts";
import { registrar, type Registrar, type Registration } from "./registration.ts";
import { SliceEngine } from "./slice-engine.ts";
import { KERNELS, type SliceKernel } from "./slice-kernel.ts";
import { withoutTranslation } from "./translation.ts";
import { ViewWindow, type Held } from "./view-window.ts";

export interface TrackerOptions {
  readonly kernel: keyof typeof KERNELS;
  /** Of all slices: each is made from rows that it is given, whatever their height. */
  readonly plane: Plane;
  readonly slices: number;
  readonly cols: number;
  readonly axis: number;
  /** Of the planes' circle [px]. */
  readonly radius: number;
  readonly padding: Padding;
  readonly maxGap_deg: number;
  readonly maxViews: number;
  /** Shifts are looked for so far from where they are expected [px]. */
  readonly reach: number;
}

/** A view with what was known of it before. */
export interface View {
  readonly id: number;
  readonly angle_deg: number;
  readonly seconds: number;
  /** Column that the rotation axis fell on; NaN: the engine's. */
  readonly axis: number;
  readonly shift_x: number;
  readonly scale: number;
}

/** Where a view lies, against what was known of it before. */
export interface Found {
  shift: number;
  variance: number;
  /** Size against that of the pictures, and its variance; NaN where not asked for, or not told. */
  scale: number;
  scaleVariance: number;
  correlation: number;
}

interface FirstView extends View, Held {
  readonly p: Float32Array;
}

interface Saved {
  readonly first: FirstView[];
  readonly window: ReturnType<ViewWindow<FirstView>["save"]>;
  readonly engines: ReturnType<SliceEngine["save"]>[];
  readonly start: Float32Array[];
}

/** Passes over the first window, at most: what jitters is found in the first, what goes slowly with the angle by a third each time. */
const PASSES = 12;
/** So much further than one step says, from the second pass on. */
const BEYOND = 1.5;
/** Root mean square of the steps that end it [px]. */
const ENDS_px = 0.01;
/** How far shifts are looked for [px] once views were shifted twice. */
const NEAR_px = 2;
/** Wider than three times the mean gap, and the window lacks views. */
const WIDE = 3;

/**
 * Pictures of the sample that are made of views whose shifts were found on these very pictures.
 *
 * The views of the first window are aligned together: all are back-projected as they came, each is compared with the
 * forward projection of the picture at its angle, shifted accordingly, and so again. What goes with cos θ and sin θ is the
 * place of the sample in the picture, and is taken off; a constant is the axis, which views from both sides tell. From then
 * on each view is compared with the picture of those before, and with that of the first window.
 *
 * Holds 8 bytes × columns × slices × views of a half-turn, and 32 bytes a pixel of each slice.
 */
export class SampleTracker {
  readonly #options: TrackerOptions;
  readonly #kernels: SliceKernel[];
  readonly #forward: ForwardKernel[];
  readonly #forwardStart: ForwardKernel[];
  readonly #register: Registrar;
  readonly #predicted: Float32Array;
  /** One a slice; none in the first window. */
  #engines: SliceEngine[] = [];
  #window: ViewWindow<FirstView>;
  /** In the order that they came. */
  #first: FirstView[] = [];
  #start: Float32Array[] = [];

  constructor(options: TrackerOptions) {
    this.#options = options;
    const { plane, cols, padding, slices } = options;
    const each = <T>(make: () => T): T[] => Array.from({ length: slices }, make);
    this.#kernels = each(() => KERNELS[options.kernel]({
      planes: [plane], detectorRows: [0], cols, window: "shepp-logan", padding, middleRow: 0, images: 2,
    })); // prettier-ignore
    this.#forward = each(() => FORWARD_KERNELS[options.kernel]({ plane, cols }));
    this.#forwardStart = each(() => FORWARD_KERNELS[options.kernel]({ plane, cols }));
    this.#register = registrar(cols, padding === "edge");
    this.#predicted = new Float32Array(cols);
    this.#window = this.#newWindow();
  }

  /** Whether the first window is aligned, so that views can be followed. */
  get following(): boolean {
    return this.#engines.length > 0;
  }

  /** Angle covered by the first window. */
  get covered_deg(): number {
    return this.#window.coverage().coverage_deg;
  }

  /** A view of the first window; true when that is full. Line integrals p: (detector row, col). */
  collect(view: View, p: Float32Array): boolean {
    const held = { ...view, p: p.slice(), circle_deg: 0, turned_deg: 0, weight_rad: 0 };
    const { leaving } = this.#window.take(held);
    this.#first = this.#first.filter((one) => !leaving.includes(one));
    this.#first.push(held);
    const { coverage_deg, largestGap_deg } = this.#window.coverage();
    const even = largestGap_deg <= (WIDE * 180) / this.#first.length;
    return this.#first.length >= 8 && coverage_deg >= 180 - 1e-6 && (even || leaving.length > 0);
  }

  /** Aligns the views of the first window; those that are in it, and where they were found, in the order that they came. */
  align(): { view: View; found: Found }[] {
    const views = this.#first;
    const thetas = views.map(({ angle_deg }) => (angle_deg * Math.PI) / 180);
    const shifts = new Float64Array(views.length);
    const found = views.map((): Found => ({ shift: NaN, variance: Infinity, scale: NaN, scaleVariance: NaN, correlation: NaN }));
    this.#makeOf(views, shifts);
    for (let pass = 0, step = Infinity; pass < PASSES && step > ENDS_px; pass++) {
      const before = shifts.slice();
      views.forEach((view, k) => {
        const one = this.#compare(this.#forward, { ...view, shift_x: view.shift_x + shifts[k]! }, view.p, false, pass < 2 ? this.#options.reach : NEAR_px);
        if (!Number.isNaN(one.shift)) shifts[k]! += (pass === 0 ? 1 : BEYOND) * one.shift;
        Object.assign(found[k]!, one);
      });
      withoutTranslation(shifts, thetas, found.map(({ variance }) => variance < Infinity));
      step = Math.sqrt(shifts.reduce((sum, shift, k) => sum + (shift - before[k]!) ** 2, 0) / views.length);
      this.#makeOf(views, shifts);
    }
    found.forEach((one, k) => {
      if (one.variance < Infinity) one.shift = shifts[k]!;
    });
    this.#first = [];
    this.#window = this.#newWindow();
    this.#start = this.#engines.map((engine) => engine.picture(0).slice());
    this.#start.forEach((picture, i) => this.#forwardStart[i]!.load(picture));
    return views.map((view, k) => ({ view, found: found[k]! }));
  } // prettier-ignore

  /** Where a view lies against the present picture, `view` being where it is expected. */
  againstPresent(view: View, p: Float32Array, growing: boolean): Found {
    return this.#compare(this.#forward, view, p, growing);
  }

  /** The same against the picture of the first window. */
  againstStart(view: View, p: Float32Array, growing: boolean): Found {
    return this.#compare(this.#forwardStart, view, p, growing);
  }

  /** Takes in a view, where it was found. */
  take(view: View, p: Float32Array): void {
    this.#bring(view, p);
    this.#show();
  }

  /** Forgets all. */
  restart(): void {
    this.#engines = [];
    this.#first = [];
    this.#window = this.#newWindow();
  }

  save(): Saved {
    return {
      first: this.#first.map((view) => ({ ...view, p: view.p.slice() })),
      window: this.#window.save(),
      engines: this.#engines.map((engine) => engine.save()),
      start: this.#start.map((picture) => picture.slice()),
    };
  }

  load({ first, window, engines, start }: Saved): void {
    this.#first = first;
    this.#window = this.#newWindow();
    const byAngle = [...first].sort((a, b) => a.circle_deg - b.circle_deg);
    this.#window.load(byAngle, window);
    this.#start = start;
    this.#start.forEach((picture, i) => this.#forwardStart[i]!.load(picture));
    this.#engines = engines.length > 0 ? this.#newEngines() : [];
    engines.forEach((saved, i) => this.#engines[i]!.load(saved));
    this.#show();
  }

  #newWindow(): ViewWindow<FirstView> {
    const { maxGap_deg, maxViews } = this.#options;
    return new ViewWindow({
      span: { kind: "angle", period_deg: 180 },
      circle_deg: 180,
      maxGap_deg,
      maxViews,
    });
  }

  #newEngines(): SliceEngine[] {
    const { cols, axis, maxGap_deg, maxViews } = this.#options;
    return this.#kernels.map((kernel) => {
      kernel.clear(0);
      kernel.clear(1);
      return new SliceEngine({
        kernel, cols, axis, maxGap_deg, maxViews, filter: "shepp-logan", parallel: true, keepLineIntegrals: false,
        forgetting: 0, rebuildRate_Hz: 1, span: { kind: "angle", period_deg: 180 }, circle_deg: 180,
      });
    }); // prettier-ignore
  }

  #makeOf(views: readonly FirstView[], shifts: Float64Array): void {
    this.#engines = this.#newEngines();
    views.forEach((view, k) => this.#bring({ ...view, shift_x: view.shift_x + shifts[k]! }, view.p));
    this.#show();
  }

  #bring({ angle_deg, seconds, axis, shift_x, scale }: View, p: Float32Array): void {
    const { cols } = this.#options;
    const view = { angle_deg, seconds, axis, shift_x, shift_y: 0, scale, filled: 0 };
    this.#engines.forEach((engine, i) => {
      engine.take(engine.filter([view], [p.subarray(i * cols, (i + 1) * cols)])[0]!);
    });
  }

  #show(): void {
    this.#engines.forEach((engine, i) => this.#forward[i]!.load(engine.picture(0)));
  }

  /** All slices together, each by what it tells. */
  #compare(kernels: readonly ForwardKernel[], view: View, p: Float32Array, growing: boolean, reach = this.#options.reach): Found {
    const { cols, radius } = this.#options;
    const middle = (Number.isNaN(view.axis) ? this.#options.axis : view.axis) + view.shift_x;
    const at = { theta_rad: (view.angle_deg * Math.PI) / 180, axis: middle, shift_y: 0, scale: view.scale };
    let [weight, shift, growthWeight, growth, correlation] = [0, 0, 0, 0, 0];
    kernels.forEach((kernel, i) => {
      kernel.project(at, this.#predicted);
      const row = p.subarray(i * cols, (i + 1) * cols);
      const one: Registration = this.#register(row, undefined, this.#predicted, { middle, radius: radius * view.scale - 3, reach, growing });
      if (!(one.shift_se > 0)) return;
      weight += 1 / one.shift_se ** 2;
      shift += one.shift / one.shift_se ** 2;
      correlation += one.correlation / kernels.length;
      if (!(one.growth_se > 0)) return;
      growthWeight += 1 / one.growth_se ** 2;
      growth += one.growth / one.growth_se ** 2;
    });
    return {
      shift: weight > 0 ? shift / weight : NaN,
      variance: 1 / weight,
      scale: growthWeight > 0 ? view.scale * (1 + growth / growthWeight) : NaN,
      scaleVariance: growthWeight > 0 ? view.scale ** 2 / growthWeight : NaN,
      correlation: weight > 0 ? correlation : NaN,
    };
  } // prettier-ignore
}
