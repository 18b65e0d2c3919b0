/**
 * Flats and darks as they stand at a time. Frames taken in one go, without a projection in between, are averaged: the
 * noise of a single flat would stand in every projection as stripes, and in every slice as rings.
 *
 *     field(t) = from + w (to - from),   w = (t - begin) / (end - begin) within 0 to 1
 *
 *     latest       to is the newest mean, w = 1
 *     fade-in      from is what stood before the newest, begin when it came into use, end so much later
 *     cross-fade   from and to are taken before and after t, begin and end when that was
 */
export type Passage = "latest" | "fade-in" | "cross-fade";

/** Mean of frames that were taken in one go. */
export interface MeanField {
  readonly mean: Float32Array;
  /** When, on average. */
  readonly seconds: number;
  /** Mean of the beam monitor meanwhile; NaN where there is none. */
  readonly monitor: number;
}

/** One going on. */
interface OpenField {
  /** In double precision, so that the mean does not depend on how many there are. */
  readonly sum: Float64Array;
  count: number;
  seconds: number;
  monitor: number;
}

interface Stretch {
  readonly from: MeanField;
  readonly to: MeanField;
  readonly begin: number;
  readonly end: number;
}

export type FieldName = "flat" | "dark";

interface State {
  open: { flat?: OpenField; dark?: OpenField };
  /** In order of time; more than one only while later flats are awaited. */
  flat: Stretch[];
  dark: Stretch[];
}

export interface ReferenceOptions {
  readonly size: number;
  /** Counts of the dark field where none is recorded; NaN where one must be. */
  readonly dark_count: number;
  readonly minSignal_count: number;
  readonly fade_s: number;
}

const weightAt = ({ begin, end }: Stretch, seconds: number): number =>
  seconds >= end ? 1 : seconds <= begin ? 0 : (seconds - begin) / (end - begin);

const stretchAt = (stretches: readonly Stretch[], seconds: number): Stretch | undefined =>
  stretches.findLast(({ begin }) => begin <= seconds) ?? stretches[0];

/** g = 1 / (F - D), of F between two flats; NaN where the signal is too small. */
function reciprocal(
  F1: Float32Array,
  F2: Float32Array,
  w: number,
  D: Float32Array,
  least: number,
  g: Float32Array,
): void {
  for (let i = 0; i < g.length; i++) {
    const signal = F1[i]! + w * (F2[i]! - F1[i]!) - D[i]!;
    g[i] = signal >= least ? 1 / signal : NaN;
  }
}

/** Keeps the fields and makes of them, for a time, what projections are corrected with. */
export function referenceFields({ size, dark_count, minSignal_count, fade_s }: ReferenceOptions) {
  let state: State = { open: {}, flat: [], dark: [] };
  /** D and g = 1 / (F - D), NaN where F - D is too small; of these stretches and weights. */
  const dark = new Float32Array(size);
  const g = new Float32Array(size);
  let made = { flat: undefined as Stretch | undefined, dark: undefined as Stretch | undefined, f: NaN, d: NaN };

  function put(name: FieldName, frame: Float32Array, seconds: number, monitor: number, saturation: number): void {
    const open = (state.open[name] ??= { sum: new Float64Array(size), count: 0, seconds: 0, monitor: 0 });
    const { sum } = open;
    for (let i = 0; i < size; i++) sum[i]! += frame[i]! >= saturation ? NaN : frame[i]!;
    open.count++;
    open.seconds += seconds;
    open.monitor += monitor;
  }

  const asOf = (field: MeanField): Stretch => ({ from: field, to: field, begin: -Infinity, end: -Infinity });

  /** What stood at a time, as if taken then. */
  function standing(stretches: readonly Stretch[], seconds: number): MeanField {
    const stretch = stretchAt(stretches, seconds)!;
    const w = weightAt(stretch, seconds);
    if (w === 1) return stretch.to;
    const { from, to } = stretch;
    return {
      mean: from.mean.map((x, i) => x + w * (to.mean[i]! - x)),
      seconds,
      monitor: from.monitor + w * (to.monitor - from.monitor),
    };
  }

  /** Dead pixels of a flat with a dark. */
  function dead(flat: MeanField, dark: MeanField): number {
    let n = 0;
    for (let i = 0; i < size; i++) if (!(flat.mean[i]! - dark.mean[i]! >= minSignal_count)) n++;
    return n;
  }

  return {
    g,
    dark,
    put,
    get missing(): FieldName[] {
      return [
        ...(state.flat.length === 0 ? (["flat"] as const) : []),
        ...(state.dark.length === 0 ? (["dark"] as const) : []),
      ];
    },
    get open(): { readonly flat: boolean; readonly dark: boolean } {
      return { flat: state.open.flat !== undefined, dark: state.open.dark !== undefined };
    },

    /** A projection came at this time: what was going on is over, and comes into use. Says what is wrong with it. */
    close(seconds: number, passage: Passage): string | undefined {
      const closed = (name: FieldName): MeanField | undefined => {
        const open = state.open[name];
        return open && {
          mean: Float32Array.from(open.sum, (x) => x / open.count),
          seconds: open.seconds / open.count,
          monitor: open.monitor / open.count,
        };
      }; // prettier-ignore
      const fresh = { flat: closed("flat"), dark: closed("dark") };
      state.open = {};
      if (!fresh.dark && state.dark.length === 0 && !Number.isNaN(dark_count)) {
        fresh.dark = { mean: new Float32Array(size).fill(dark_count), seconds, monitor: NaN };
      }
      const flat = fresh.flat ?? state.flat.at(-1)?.to;
      const dark = fresh.dark ?? state.dark.at(-1)?.to;
      const lost = flat && dark ? dead(flat, dark) : 0;
      if (2 * lost > size) {
        const stands = state.flat.length > 0 && state.dark.length > 0;
        return (
          `${[fresh.flat && "flats", fresh.dark && "darks"].filter(Boolean).join(" and ")} are not used: flat less dark is under ` +
          `min_signal = ${minSignal_count} in ${lost} of ${size} pixels; was the shutter closed in the flats, or open in the darks? ` +
          (stands ? "Those before stay in use" : "Record them again")
        );
      }
      for (const name of ["flat", "dark"] as const) {
        const field = fresh[name];
        if (!field) continue;
        const stretches = state[name];
        if (stretches.length === 0 || passage === "latest") state[name] = [asOf(field)];
        else if (passage === "fade-in") {
          state[name] = [{ from: standing(stretches, seconds), to: field, begin: seconds, end: seconds + fade_s }];
        } else {
          const from = stretches.at(-1)!.to;
          stretches.push({ from, to: field, begin: from.seconds, end: Math.max(field.seconds, from.seconds) });
        }
      }
      return undefined;
    },

    /** Makes g and dark what they are at this time. True where that is no longer on the way from one to another. */
    standAt(seconds: number): boolean {
      const flat = stretchAt(state.flat, seconds)!;
      const low = stretchAt(state.dark, seconds)!;
      const f = weightAt(flat, seconds);
      const d = weightAt(low, seconds);
      if (flat === made.flat && low === made.dark && f === made.f && d === made.d) return f === 1 && d === 1;
      const [F1, F2, D1, D2] = [flat.from.mean, flat.to.mean, low.from.mean, low.to.mean];
      if (low !== made.dark || d !== made.d) {
        if (d === 1) dark.set(D2);
        else for (let i = 0; i < size; i++) dark[i] = D1[i]! + d * (D2[i]! - D1[i]!);
      }
      reciprocal(F1, F2, f, dark, Math.max(minSignal_count, Number.MIN_VALUE), g);
      made = { flat, dark: low, f, d };
      return f === 1 && d === 1;
    },

    /** Of the beam monitor, as it was with the flats. */
    monitorAt(seconds: number): number {
      const flat = stretchAt(state.flat, seconds)!;
      return flat.from.monitor + weightAt(flat, seconds) * (flat.to.monitor - flat.from.monitor);
    },

    /** Nothing before the newest flats and darks is asked for any more. */
    forget(): void {
      for (const name of ["flat", "dark"] as const) state[name] = state[name].slice(-1).map(({ to }) => asOf(to));
    },

    save: () => structuredClone(state),
    load(saved: State): void {
      state = saved;
      made = { flat: undefined, dark: undefined, f: NaN, d: NaN };
    },
  };
} // prettier-ignore
