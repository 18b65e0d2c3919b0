import {
  choice, defineOperator, imageSize, integer, quantity, scalar, WiringError,
  type Field, type Fields, type NumericArray,
} from "../../runtime/index.ts"; // prettier-ignore
import { noiseOf, spotRemover } from "./spots.ts";

const PROJECTION = 0;

interface Frame {
  readonly time: bigint;
  readonly seconds: number;
  readonly data: NumericArray;
  readonly angle_deg: number;
  /** Columns that go along. */
  readonly rest: Readonly<Record<string, unknown>>;
}

interface State {
  /** The last three of the group at most, as they came. */
  frames: Frame[];
  /** image_key of the group; how many of the frames were given out. */
  key: number;
  given: number;
  /** Faults that are said once. */
  said: string[];
}

/**
 * Removes zingers: spots that a stray X-ray or cosmic ray leaves in one frame and in none beside it in time.
 *
 *     e = v - max(v before, v after) > threshold σ,   σ² = a + b v
 *
 *     v  pixel                [as it came]  counts or transmission; for darker spots all signs turn round
 *     e  what it stands out   [same]        replaced by the median of the three frames where it does
 *     σ  noise                [same]        a (read noise) and b (photons) are fitted to the frames' own differences
 *
 * Of three frames an edge that passes leaves the middle one in between, so it does not stand out at all. What else
 * moves with the sample is left alone by three guards: a spot is at most `max_size` px, nothing on a square around it
 * stands out half as much; the pixels above and below do not on the mean by a quarter; and there is no spot half as
 * strong in both the frames before and after that is gone in this one, no further away than the sample can have
 * turned meanwhile.
 *
 * Flats and darks are compared among themselves, the first and the last of them with the two nearest. Not looked at,
 * with `zingers` NaN, are the first and the last projection before flats, darks or the end, groups of fewer than
 * three, projections further apart than `max_step` (a fault says so), and frames where one pixel in 16 stands out (a
 * flash or a jump: a fault).
 * Not found are zingers that last for two frames, and streaks longer than `max_size`. Holds one frame (at the start of
 * a group two), keeps three.
 *
 * At the defaults less than one pixel in a million is replaced in noise alone, and less than one in 10,000 of a
 * turning sample with sharp edges; of zingers of 20 σ more than 99 % are found where the sample moves by up to 2 px
 * from frame to frame, 90 % where it moves by 4 px.
 */
export const zingers = defineOperator({
  name: "tomography/zingers",
  doc: "Removes spots that stand in one frame only, from frames or projections",
  input: { frames: {} },
  output: ({ frames }) => {
    const fields: Fields = frames;
    const data = fields["data"];
    if (data?.kind !== "image" || data.type === "i64") {
      throw new WiringError(`frames needs a column data of images; it has ${Object.keys(fields).join(", ") || "no columns"}`);
    }
    return {
      frames: {
        ...carried(fields), data, zingers: scalar("{px}", { doc: "pixels replaced; NaN where the frame was not looked at" }),
      } as Fields,
    };
  }, // prettier-ignore
  config: {
    threshold: quantity("1", 6, { min: 1, doc: "in standard deviations of the noise, above both neighbours in time" }),
    spots: choice(["brighter", "darker", "both"], "brighter", { doc: "which to remove" }),
    max_size: integer(3, { min: 1, max: 32, doc: "rows and columns of the largest spot, px" }),
    max_step: quantity("deg", 5, { min: 0, doc: "projections further apart than this are not compared" }),
  }, // prettier-ignore
  start({ threshold, spots, max_size, max_step }, { inputs }) {
    const { fields } = inputs.frames as { fields: Fields };
    const image = fields["data"]!;
    const [rows, cols] = image.shape as [number, number];
    const others = Object.keys(carried(fields));
    const signs = spots === "both" ? ([1, -1] as const) : [spots === "brighter" ? (1 as const) : (-1 as const)];
    const removers = signs.map((sign) => spotRemover({ rows, cols, threshold, sign, maxSize: max_size }));
    const spare: NumericArray[] = [];
    let work: NumericArray | undefined;
    let state: State = { frames: [], key: -1, given: 0, said: [] };

    interface Results {
      readonly frames: { add(row: object): void };
      fault(time: bigint, what: string): void;
    }

    function sayOnce(name: string, time: bigint, what: string, out: Results): void {
      if (!state.said.includes(name)) out.fault(time, what);
      if (!state.said.includes(name)) state.said.push(name);
    }

    function handOn({ rest, time, data }: Frame, out: Results): void {
      out.frames.add({ ...rest, time, data, zingers: NaN });
    }

    /** Gives out a frame of the group without its zingers. */
    function clean(now: Frame, before: Frame, after: Frame, outer: boolean, out: Results): void {
      const moves = state.key === PROJECTION;
      // An edge that moves is between those before and after, but not beyond the two that follow.
      if (outer && moves) return handOn(now, out);
      work ??= now.data.slice();
      work.set(now.data as never);
      const noise = noiseOf(before.data, now.data, after.data);
      const step_deg = Math.max(apart(before.angle_deg, now.angle_deg), apart(now.angle_deg, after.angle_deg));
      // What lies half the detector from the axis moves most; `near` looks a spot's width further.
      const reach = moves ? Math.ceil((cols * (Number.isNaN(step_deg) ? max_step : step_deg) * Math.PI) / 360) : -1;
      let count = 0;
      for (const remove of removers) count += remove(before.data, now.data, after.data, work, noise, reach, outer);
      if (Number.isNaN(count)) {
        work.set(now.data as never);
        sayOnce("flash", now.time, "more than one pixel in 16 stands out from the frames before and after, which is no zinger but a flash or a jump; " +
          "such frames are handed on as they came", out);
      }
      out.frames.add({ ...now.rest, time: now.time, data: work, zingers: count });
    }

    /** The group is over. */
    function finish(out: Results): void {
      const { frames } = state;
      if (frames.length === 3) clean(frames[2]!, frames[1]!, frames[0]!, true, out);
      else for (const frame of frames) handOn(frame, out);
      for (const { data } of frames) spare.push(data);
      state = { ...state, frames: [], given: 0 };
    }

    function take(frame: Frame, out: Results): void {
      const { frames } = state;
      if (frames.length === 3) spare.push(frames.shift()!.data);
      frames.push(frame);
      if (frames.length < 3) return;
      const [one, two, three] = frames as [Frame, Frame, Frame];
      if (state.given === 0) clean(one, two, three, true, out);
      clean(two, one, three, false, out);
      state.given = 2;
    }

    return {
      step({ frames }, written, upTo) {
        const out = written as Results;
        const keys = frames.columns["image_key"] as Int32Array | undefined;
        const angles = frames.columns["rotation_angle"] as Float64Array | undefined;
        const size = imageSize("data", image);
        const stored = frames.columns["data"] as NumericArray | undefined;
        for (let i = 0; i < frames.length; i++) {
          const time = frames.time[i]!;
          const key = keys ? Number(keys[i]) : PROJECTION;
          const angle_deg = angles ? Number(angles[i]) : NaN;
          const last = state.frames.at(-1);
          if (last && key !== state.key) finish(out);
          else if (last && key === PROJECTION && apart(last.angle_deg, angle_deg) > max_step) {
            finish(out);
            sayOnce("step", time, `the angle steps from ${last.angle_deg.toFixed(2)} to ${angle_deg.toFixed(2)} deg, more than max_step = ${max_step} deg: ` +
              "zingers are looked for only among three projections that are closer together, the others are handed on as they came", out);
          }
          state.key = key;
          const from = stored!.subarray(i * size, (i + 1) * size);
          const data = spare.pop() ?? from.slice();
          data.set(from as never);
          const rest = Object.fromEntries(others.map((name) => [name, (frames.columns[name] as NumericArray)[i]]));
          take({ time, seconds: frames.seconds[i]!, data, angle_deg, rest }, out);
        }
        if (upTo === Infinity) finish(out);
      },
      holds: () => state.frames[Math.min(state.given, 2)]?.seconds ?? Infinity,
      save: () => structuredClone(state),
      load: (saved: State) => void (state = saved),
    };
  },
}); // prettier-ignore

/** Columns that go along with their row: all but further images, curves, and what this operator gives out itself. */
const carried = (fields: Fields): Record<string, Field> =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([name, { kind }]) => name !== "data" && name !== "zingers" && kind !== "image" && kind !== "curve",
    ),
  );

/** Angle between two, without regard to whole turns; NaN where one is not known. */
const apart = (a: number, b: number): number => Math.abs(((((b - a + 180) % 360) + 360) % 360) - 180);
