import {
  code, convert, defineOperator, integer, nearest, quantity, sameUnit, scalar, text, WiringError, type Field, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore

/**
 * Angles from the encoder of the rotation stage, for frames that come without, or with those that were asked for.
 *
 *     t   = time - exposure / 2 + delay           middle of the exposure by the encoder's clock, as `time` is its end
 *     θ   = (1 - w) a + w b,   w = (t - t_a) / (t_b - t_a)      between the samples before and after it  [deg]
 *     s²  = mean of r² / (1 + u² + (1 - u)²)      r [deg]: a sample against the line through its two neighbours,
 *                                                 which stands u of the way from the one to the other
 *     se² = s² ((1 - w)² + w²)                    s not below resolution / √12
 *
 * Samples are unwrapped first: each is within half a `period` of the one before, so θ goes on past 360. s is of the
 * last 16 samples, at least 6 of them, taken without a pause longer than 2 × tolerance; with fewer `rotation_angle_se`
 * is NaN. A stage that speeds up adds to it: that is an error of the straight line as well.
 *
 * Holds while the stage turns evenly between two samples. NaN, with a fault at the first frame of a stretch, where
 * either sample is missing, or further than `tolerance` from t: the angle of a stage that may have gone on is not
 * guessed. NaN without a fault for flats, darks and invalid frames.
 *
 * A frame waits for the first sample after its exposure, at most for `tolerance`. At most `max_held` frames wait:
 * when one more comes, the first leaves without an angle. The encoder's samples are kept for exposure / 2, tolerance
 * and -delay.
 */
export function interpolated(before: Sample, after: Sample, t_s: number): { angle_deg: number; w: number } {
  const w = after.time_s > before.time_s ? (t_s - before.time_s) / (after.time_s - before.time_s) : 1;
  return { angle_deg: (1 - w) * before.angle_deg + w * after.angle_deg, w };
}

/** Scatter s [deg] of samples about their local line; NaN of fewer than 6. */
export function scatter(samples: readonly Sample[]): number {
  if (samples.length < FEWEST_SAMPLES) return NaN;
  let sum = 0;
  for (let i = 1; i + 1 < samples.length; i++) {
    const [before, here, after] = [samples[i - 1]!, samples[i]!, samples[i + 1]!];
    const { angle_deg, w: u } = interpolated(before, after, here.time_s);
    sum += (here.angle_deg - angle_deg) ** 2 / (1 + u * u + (1 - u) ** 2);
  }
  return Math.sqrt(sum / (samples.length - 2));
}

/** The angle that differs by whole periods from `angle_deg` and is nearest to `last_deg`; a period of 0 says none. */
export function unwrapped(angle_deg: number, last_deg: number, period_deg: number): number {
  if (period_deg === 0) return angle_deg;
  return angle_deg + period_deg * Math.round((last_deg - angle_deg) / period_deg);
}

/** One reading of the encoder, unwrapped. */
export interface Sample {
  readonly time_s: number;
  readonly angle_deg: number;
}

const FEWEST_SAMPLES = 6, SAMPLES_FOR_SCATTER = 16; // prettier-ignore
const PROJECTION = 0;

/** A frame that waits; its row is a copy. */
interface Held {
  readonly time: bigint;
  readonly seconds: number;
  readonly row: Row;
}
type Row = Record<string, unknown>;

interface State {
  held: Held[];
  /** By time, none at the same. */
  samples: Sample[];
  /** Why the last projection has no angle; "" where it has one. */
  missing: string;
}

export const angles = defineOperator({
  name: "tomography/angles",
  doc: "Rotation angle of each frame, from the encoder of the stage",
  input: {
    frames: { rotation_angle: scalar("deg", { optional: true }), image_key: code({ optional: true }) },
    encoder: {},
  },
  output: ({ frames, encoder }, { column }) => {
    angleColumn(encoder, column);
    const { rotation_angle: _, ...rest } = frames as Fields;
    if (rest["data"]?.kind !== "image")
      throw new WiringError(`frames needs a column data with images; it has ${Object.keys(frames).join(", ") || "none"}`);
    return {
      frames: {
        ...rest,
        rotation_angle: scalar("deg", { uncertainty: "rotation_angle_se", doc: "in the middle of the exposure, by the encoder" }),
        rotation_angle_se: scalar("deg", { doc: "standard error of rotation_angle, from the encoder's scatter" }),
      },
    };
  }, // prettier-ignore
  metadata: ({ frames }, { column }) => ({
    frames: {
      ...frames!.metadata,
      rotation_angles: `from the encoder (${column}), in the middle of the exposure`,
    },
  }),
  config: {
    column: text("rotation_angle", { doc: "column of the encoder that is the angle" }),
    exposure: quantity("s", 0, { min: 0, doc: "a frame's time is its end; 0: the angle at that time" }),
    delay: quantity("s", 0, { doc: "by how much the encoder's clock is ahead of the detector's" }),
    tolerance: quantity("s", 1, {
      min: 0,
      doc: "a sample of the encoder further away than this is not used",
    }),
    period: quantity("deg", 360, { min: 0, doc: "the encoder starts over after this; 0: never" }),
    resolution: quantity("deg", 0, {
      min: 0,
      doc: "one step of the encoder, where its scatter may be below it",
    }),
    max_held: integer(32, { min: 1, doc: "frames that may wait for the encoder" }),
  },
  start({ column, exposure, delay, tolerance, period, resolution, max_held }, { inputs }) {
    const toDegrees = convert(1, angleColumn(inputs.encoder.fields, column).unit, "deg");
    const offset = delay - exposure / 2;
    let state: State = { held: [], samples: [], missing: "" };
    const spare: Row[] = []; // buffers of frames that have left, at most max_held with those that wait

    return {
      step({ frames, encoder }, out, upTo) {
        const readings = encoder.columns[column] as unknown as ArrayLike<number | bigint>;
        const givenOut = out.frames as { add(row: Row): void };

        const release = ({ time, row }: Held, { angle_deg, se_deg, why }: Answer): void => {
          if (why && why !== state.missing)
            out.fault(time, `no angle for this frame, nor for those that follow until one has: ${why}`);
          if (why !== "") state.missing = why ?? "";
          givenOut.add({ ...row, time, rotation_angle: angle_deg, rotation_angle_se: se_deg });
        };

        /** What the encoder says of a frame; undefined while a sample that counts may still come, at `now` or later. */
        const find = ({ seconds, row }: Held, now: number): Answer | undefined => {
          if ((row["image_key"] ?? PROJECTION) !== PROJECTION) return without("");
          const t_s = seconds + offset;
          const at = firstAtOrAfter(state.samples, t_s);
          const after = state.samples[at];
          if (!after && now < Infinity && !(now - t_s > tolerance)) return undefined;
          const before = after?.time_s === t_s ? after : state.samples[at - 1];
          if (!before) return without("the encoder has no sample before it; let the encoder's stream begin before the scan");
          if (t_s - before.time_s > tolerance) return without(`the encoder has no sample in the ${tolerance} s before it; ${ADVICE}`);
          if (!after || after.time_s - t_s > tolerance) return without(`the encoder has no sample in the ${tolerance} s after it; ${ADVICE}`);
          const { angle_deg, w } = interpolated(before, after, t_s);
          const s = scatter(unbroken(state.samples, at, 2 * tolerance));
          return { angle_deg, se_deg: Math.max(s, resolution / Math.sqrt(12)) * Math.hypot(1 - w, w) };
        }; // prettier-ignore

        const settle = (now: number): void => {
          let gone = 0;
          for (const frame of state.held) {
            const found = find(frame, now);
            if (found === undefined) break;
            release(frame, found);
            gone++;
          }
          for (const { row } of state.held.splice(0, gone)) spare.push(row);
        }; // prettier-ignore

        const arrive = (i: number): void => {
          const { time, seconds, ...row } = frames.at(i) as unknown as Row & { time: bigint; seconds: number };
          settle(seconds);
          const frame = { time, seconds, row };
          const found = state.held.length === 0 ? find(frame, seconds) : undefined;
          if (found !== undefined) return release(frame, found);
          if (state.held.length >= max_held) {
            const first = state.held.shift()!;
            release(first, without(`more than ${max_held} frames wait for the encoder; raise max_held, or have it read more often`));
            spare.push(first.row);
          }
          state.held.push({ time, seconds, row: copied(row, spare.pop()) });
        }; // prettier-ignore

        // Everything in the order of its time, so that what is held does not depend on how the rows were cut.
        let j = 0;
        const takeTo = (time: bigint | undefined): void => {
          let taken = false;
          for (; j < encoder.length && (time === undefined || encoder.time[j]! <= time); j++) {
            taken =
              take(state.samples, encoder.seconds[j]!, Number(readings[j]) * toDegrees, period) || taken;
            // Only the first sample after it decides over a frame, so the others may come together.
          }
          if (taken) settle(state.samples.at(-1)!.time_s);
        };
        for (let i = 0; i < frames.length; i++) {
          takeTo(frames.time[i]!);
          arrive(i);
        }
        takeTo(undefined);
        settle(upTo);
        const earliest_s = (state.held[0]?.seconds ?? upTo) + offset;
        const used = firstAtOrAfter(state.samples, earliest_s) - SAMPLES_FOR_SCATTER;
        if (used > 0) state.samples.splice(0, used);
      },
      holds: () => state.held[0]?.seconds ?? Infinity,
      save: () => structuredClone(state),
      load: (saved: State) => void (state = saved),
    };
  },
});

interface Answer {
  readonly angle_deg: number;
  readonly se_deg: number;
  /** Why there is no angle; "" where none is wanted. */
  readonly why?: string;
}
const without = (why: string): Answer => ({ angle_deg: NaN, se_deg: NaN, why });
const ADVICE = "raise tolerance if it is read this seldom, or set delay if its clock is another";

/** Takes a reading in; false where it is none. Of two at one time the later one counts. */
function take(samples: Sample[], time_s: number, angle_deg: number, period_deg: number): boolean {
  if (!Number.isFinite(angle_deg)) return false;
  const last = samples.at(-1);
  if (last?.time_s === time_s) samples.pop();
  samples.push({ time_s, angle_deg: unwrapped(angle_deg, last?.angle_deg ?? angle_deg, period_deg) });
  return true;
}

/** Samples up to number `last` for the scatter: as many as are used, and none from before a pause. */
function unbroken(samples: readonly Sample[], last: number, pause_s: number): readonly Sample[] {
  let first = last;
  while (first > 0 && last - first + 1 < SAMPLES_FOR_SCATTER && samples[first]!.time_s - samples[first - 1]!.time_s <= pause_s) first--;
  return samples.slice(first, last + 1);
} // prettier-ignore

function firstAtOrAfter(samples: readonly Sample[], time_s: number): number {
  let [from, to] = [0, samples.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (samples[middle]!.time_s < time_s) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A row that is kept past the step that lent it; images go into the buffers of one that has left. */
function copied(row: Row, spare: Row | undefined): Row {
  const kept: Row = {};
  for (const [name, value] of Object.entries(row)) {
    const buffer = spare?.[name] as Float32Array | undefined;
    if (!ArrayBuffer.isView(value)) kept[name] = value;
    else if (ArrayBuffer.isView(buffer) && buffer.length === (value as unknown as Float32Array).length) {
      buffer.set(value as unknown as Float32Array);
      kept[name] = buffer;
    } else kept[name] = (value as unknown as Float32Array).slice();
  }
  return kept;
}

/** The encoder's column of angles; throws WiringError where there is none. */
function angleColumn(fields: Fields, column: string): Field {
  const field = fields[column];
  if (!field) {
    const near = nearest(column, Object.keys(fields));
    throw new WiringError(`column: encoder has no ${column}${near ? `; did you mean ${near}?` : "."} It has ${Object.keys(fields).join(", ") || "none"}`);
  }
  if ((field.kind !== "scalar" && field.kind !== "code") || !["deg", "rad", "mrad", "urad"].some((unit) => sameUnit(field.unit, unit))) {
    throw new WiringError(`column: encoder.${column} is ${field.kind === "scalar" ? `in ${field.unit || "no unit"}` : `a ${field.kind}`}; wanted an angle in deg or rad`);
  }
  return field;
} // prettier-ignore
