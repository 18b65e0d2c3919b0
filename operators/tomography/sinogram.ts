import { code, defineOperator, image, integer, list, quantity, scalar, WiringError, type Schema } from "../../runtime/index.ts"; // prettier-ignore
import { detectorRows } from "./detector-rows.ts";
import { PER_VIEW } from "./per-view.ts";
import { wrap } from "./view-window.ts";

/** Where a view stands in a sinogram. */
export interface Place {
  readonly bin: number;
  /** Seen from behind: its columns run the other way. */
  readonly mirrored: boolean;
}

/** The bin whose angle is nearest, bin k at k × window / bins; over a half-turn the other half is the mirrored one. */
export function placeOf(angle_deg: number, bins: number, window_deg: number): Place {
  const k = Math.round((angle_deg * bins) / window_deg);
  const bin = wrap(k, bins);
  return { bin, mirrored: window_deg === 180 && wrap((k - bin) / bins, 2) === 1 };
}

/** Value of a detector row, columns `from` on, at column t between two columns; NaN off the detector. */
function valueAt(frame: Float32Array, from: number, cols: number, t: number): number {
  const i = Math.floor(t);
  const share = t - i;
  if (share === 0) return i >= 0 && i < cols ? frame[from + i]! : NaN;
  return i >= 0 && i + 1 < cols ? (1 - share) * frame[from + i]! + share * frame[from + i + 1]! : NaN;
}

/** What stands beside each sinogram. */
const STATE = {
  slice: code({ doc: "row of the detector" }),
  views: scalar("{frame}", { doc: "angles that have been measured, of `bins`" }),
  coverage: scalar("deg", { doc: "angle that these stand for" }),
  rotation_angle: scalar("deg", { doc: "of the newest view" }),
  oldest_age: scalar("s", { doc: "time since the oldest view that is still in it" }),
  axis: scalar("{px}", { doc: "column that the rotation axis stands in" }),
};

interface State {
  /** By slice, bin and column. */
  image: Float32Array;
  /** By bin: seconds of the view that stands in it; NaN where none does. */
  seconds: Float64Array;
  count: number;
  newest_deg: number;
  pending?: { time: bigint; seconds: number };
}

/**
 * The sinogram of detector rows as it fills up: the newest view of each angle, for the eye.
 *
 *     S(k, t) = T(θ, t + shift)                       θ nearest to k × window / bins
 *     S(k, t) = T(θ, 2 axis - t + shift)              seen from behind, where the window is 180 deg
 *
 *     T  what comes in, transmission or line integral  [1]  (row, col)
 *     S  the same                                      [1]  (angle, col); NaN where no view was taken yet
 *
 * A point of the sample draws one sine wave, also where the stage has turned on, where views were shifted sideways
 * (`shift_x`) and where the axis moved (`axis`): these are taken back, to the nearest row in `shift_y`, and between
 * two columns by linear interpolation. Good to look at and to find a jump in; to reconstruct, take the projections.
 * Holds 4 bytes × bins × columns a slice.
 */
export const sinogram = defineOperator({
  name: "tomography/sinogram",
  doc: "Sinograms of detector rows, filling up view by view",
  input: { projections: { data: image("1"), rotation_angle: scalar("deg"), ...PER_VIEW } },
  output: ({ projections }, { slices, window, bins, axis }, { projections: metadata }) => {
    const [rows, cols] = projections.data.shape as (number | string)[];
    if (window !== 180 && window !== 360) {
      throw new WiringError(`window is ${window} deg; wanted 180 deg or 360 deg`);
    }
    if (typeof rows === "number") detectorRows(slices, rows);
    if (typeof cols === "number") axisOf(axis, metadata, cols);
    const geometry = metadata?.["geometry"] ?? "parallel";
    if (window === 180 && geometry !== "parallel") {
      throw new WiringError(`window is 180 deg, but the beam is a ${geometry}: seen from behind it is another view; set window: 360 deg`);
    }
    return {
      sinograms: { data: { ...projections.data, type: "f32" as const, shape: [bins || window, cols!] }, ...STATE },
    };
  }, // prettier-ignore
  metadata: ({ projections }, { window, bins }) => ({
    sinograms: {
      ...projections!.metadata,
      angle_first_deg: "0",
      angle_step_deg: String(window / (bins || window)),
    },
  }),
  config: {
    slices: list<string | number>([], { doc: "rows of the detector, such as 512 or z=512; default the middle one" }),
    window: quantity("deg", 180, { doc: "180 deg, or 360 deg: angles that it shows" }),
    bins: integer(0, { min: 0, doc: "angles that it is divided into, its rows; default one a degree" }),
    axis: quantity("{px}", NaN, { doc: "column of the rotation axis; default the stream's rotation_axis, else the middle" }),
    every: integer(10, { min: 1, doc: "gives out each sinogram after so many views" }),
  }, // prettier-ignore
  start(config, { inputs }) {
    const { fields, metadata } = inputs.projections;
    const [detector, cols] = fields["data"]!.shape as [number, number];
    const slices = detectorRows(config.slices, detector);
    const bins = config.bins || config.window;
    const axis = axisOf(config.axis, metadata, cols);
    let state: State = {
      image: new Float32Array(slices.length * bins * cols).fill(NaN),
      seconds: new Float64Array(bins).fill(NaN),
      count: 0,
      newest_deg: NaN,
    };

    /** A column of a view, or a number where it has none. */
    const known = (column: Float64Array | undefined, i: number, otherwise: number): number => {
      const value = column?.[i] ?? NaN;
      return Number.isNaN(value) ? otherwise : value;
    };

    interface Shift {
      readonly x: number;
      readonly y: number;
      readonly axis: number;
    }

    function takeIn(frame: Float32Array, { bin, mirrored }: Place, shift: Shift): void {
      const direction = mirrored ? -1 : 1;
      const first = shift.axis + shift.x - direction * axis;
      slices.forEach((slice, s) => {
        const row = slice + Math.round(shift.y);
        const to = (s * bins + bin) * cols;
        const inside = row >= 0 && row < detector;
        for (let t = 0; t < cols; t++) {
          state.image[to + t] = inside ? valueAt(frame, row * cols, cols, first + direction * t) : NaN;
        }
      });
    }

    interface Writer {
      add(row: Record<keyof typeof STATE, number> & { time: bigint; data: Float32Array }): void;
    }
    function give(into: Writer): void {
      const { time, seconds } = state.pending!;
      const measured = state.seconds.filter((x) => !Number.isNaN(x));
      slices.forEach((slice, s) => {
        into.add({
          time, data: state.image.subarray(s * bins * cols, (s + 1) * bins * cols),
          slice, axis,
          views: measured.length, coverage: (measured.length * config.window) / bins,
          rotation_angle: state.newest_deg, oldest_age: seconds - measured.reduce((least, x) => Math.min(least, x), Infinity),
        }); // prettier-ignore
      });
      delete state.pending;
    }

    return {
      step({ projections }, out, upTo) {
        const {
          shift_x,
          shift_y,
          axis: axes,
        } = projections.columns as Record<string, Float64Array | undefined>;
        for (let i = 0; i < projections.length; i++) {
          const { time, seconds, data: frame, rotation_angle } = projections.at(i);
          if (!Number.isFinite(rotation_angle)) {
            out.fault(time, "projection without a rotation angle, left out; give the source its angles");
            continue;
          }
          const place = placeOf(rotation_angle, bins, config.window);
          takeIn(frame, place, {
            x: known(shift_x, i, 0),
            y: known(shift_y, i, 0),
            axis: known(axes, i, axis),
          });
          state.seconds[place.bin] = seconds;
          state.newest_deg = rotation_angle;
          state.pending = { time, seconds };
          state.count++;
          if (state.count === 1 || state.count % config.every === 0) give(out.sinograms);
        }
        if (upTo === Infinity && state.pending) give(out.sinograms);
      },
      holds: () => state.pending?.seconds ?? Infinity,
      save: () => structuredClone(state),
      load: (saved: State) => void (state = saved),
    };
  },
});

function axisOf(given: number, metadata: Schema["metadata"] | undefined, cols: number): number {
  const stated = metadata?.["rotation_axis"];
  const axis = !Number.isNaN(given) ? given : stated === undefined ? (cols - 1) / 2 : Number(stated);
  // It may stand beside the detector, where only one side of the sample is seen at a time.
  if (!Number.isFinite(axis)) {
    throw new WiringError(`axis: the stream's rotation_axis "${stated}" is not a column; give axis in px`);
  }
  return axis;
}
