import {
  choice, defineOperator, quantity, scalar, slice, WiringError, type Column, type Columns, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { copyRows, withHeld } from "../correlate/held-rows.ts";

/**
 * Scanner positions as positions on the sample, by the drift that images of the same scanner show.
 *
 *     x = x_scanner + s_x(t),   y = y_scanner + s_y(t)
 *
 *     x_scanner  where the scanner was when a curve or pixel was measured          [m]
 *     x          where that is on the sample, in the coordinates of the reference  [m]
 *     s          shift of the images: frame(r) shows what the reference shows at r + s   [m], its columns `shift_x`, `shift_y`
 *
 * A shift belongs to the middle of its frame, `duration`/2 before its time. Between frames:
 *
 *     extrapolate   s(t) = s_k + v_k (t - t_k) of the newest frame k that was done by t: no waiting
 *                   s_se² = s_k,se² + (v_k,se (t - t_k))²
 *     interpolate   s(t) on the straight line between the frames before and after; waits for the one after, `max_wait` at most,
 *                   then extrapolates from what there is; before the first frame of all, from that
 *
 * v is the drift's `velocity_x`, `velocity_y` [m/s]; where the stream has none, the newest shift holds, and errors do not grow. Frames without a
 * shift do not count. Where there is none yet, or the newest is older than `max_age`, x and y are NaN: not corrected is not
 * known. Both ports are of one scanner: how they are wired says so.
 *
 * Holds the drift rows that may still count, and, where it interpolates, the rows that wait.
 */
export const coordinates = defineOperator({
  name: "drift/coordinates",
  doc: "Positions of force curves and results on the sample, from those of the scanner and the drift seen in its images",
  input: {
    rows: { x: scalar("m"), y: scalar("m") },
    drift: {
      shift_x: scalar("m"),
      shift_y: scalar("m"),
      shift_x_se: scalar("m"),
      shift_y_se: scalar("m"),
      velocity_x: scalar("m/s", { optional: true }),
      velocity_y: scalar("m/s", { optional: true }),
      velocity_x_se: scalar("m/s", { optional: true }),
      velocity_y_se: scalar("m/s", { optional: true }),
      duration: scalar("s", { optional: true }),
    },
  },
  output: ({ rows }) => {
    for (const name in OWN)
      if (name in rows)
        throw new WiringError(`rows have a column ${name} already: were they corrected before? Wire what came before that`); // prettier-ignore
    return {
      corrected: {
        ...rows,
        x: scalar("m", { uncertainty: "x_se", doc: "on the sample" }),
        y: scalar("m", { uncertainty: "y_se", doc: "on the sample" }),
        ...OWN,
      } as Fields,
    };
  },
  metadata: ({ rows }, { method }) => ({
    corrected: { ...rows?.metadata, coordinates: `of the sample, ${method}d between frames` },
  }),
  config: {
    method: choice(["extrapolate", "interpolate"], "extrapolate", {
      doc: "extrapolate: at once, by the last shift and velocity; interpolate: between two frames, which waits for the next",
    }),
    max_wait: quantity("s", 600, { min: 0, doc: "of interpolate: for the next frame" }),
    max_age: quantity("s", Infinity, { min: 0, doc: "an older shift is none" }),
  },
  start({ method, max_wait, max_age }, { inputs }) {
    const fields = inputs.rows.fields;
    const wait = method === "interpolate" ? max_wait : 0;
    let held: Columns | undefined;
    let heldFrom = Infinity;
    let known: Shift[] = [];

    return {
      step({ rows, drift }, out, upTo) {
        for (let i = 0; i < drift.length; i++) {
          const [x, y] = [drift.shift_x[i]!, drift.shift_y[i]!];
          if (Number.isNaN(x + y)) continue;
          const done = drift.seconds[i]!;
          known.push({
            done, at: done - (drift.duration?.[i] || 0) / 2, x, y, x_se: drift.shift_x_se[i]!, y_se: drift.shift_y_se[i]!,
            vx: drift.velocity_x?.[i] || 0, vy: drift.velocity_y?.[i] || 0, vx_se: drift.velocity_x_se?.[i] ?? 0, vy_se: drift.velocity_y_se?.[i] ?? 0,
          }); // prettier-ignore
        }
        const { seconds: heldSeconds, ...heldRows } = (held ?? {}) as Columns & { seconds?: Float64Array };
        const seconds = new Float64Array((heldSeconds?.length ?? 0) + rows.length);
        if (heldSeconds) seconds.set(heldSeconds);
        seconds.set(rows.seconds, heldSeconds?.length ?? 0);
        const all = withHeld(heldSeconds ? (heldRows as Columns) : undefined, rows.columns, fields);

        const at: At[] = [];
        for (let i = 0; i < seconds.length; i++) {
          const found = shiftAt(known, seconds[i]!, wait, upTo);
          if (!found) break;
          at.push(found);
        }
        const n = at.length;
        if (n > 0) {
          const ready = slice(all, fields, 0, n);
          const [x, y] = [ready["x"] as Float64Array, ready["y"] as Float64Array];
          const column = (of: (shift: At, i: number) => number): Float64Array =>
            Float64Array.from(at, (shift, i) => (shift.age > max_age ? NaN : of(shift, i)));
          const corrected: Record<string, Column> = {
            ...ready,
            x: column((s, i) => x[i]! + s.x),
            y: column((s, i) => y[i]! + s.y),
            x_scanner: Float64Array.from(x),
            y_scanner: Float64Array.from(y),
            x_se: column((s) => s.x_se),
            y_se: column((s) => s.y_se),
            drift_age: Float64Array.from(at, ({ age }) => age),
          };
          (out.corrected as { put(columns: unknown): void }).put(corrected);
        }

        held = undefined;
        heldFrom = Infinity;
        if (n < seconds.length) {
          const rest = copyRows(slice(all, fields, n, seconds.length));
          held = { ...rest, seconds: seconds.slice(n) } as Columns;
          heldFrom = seconds[n]!;
        }
        known = known.slice(firstOfUse(known, Math.min(heldFrom, upTo)));
      },
      holds: () => heldFrom,
      save: () => ({ held, heldFrom, known }),
      load(saved: { held: Columns | undefined; heldFrom: number; known: Shift[] }) {
        ({ held, heldFrom, known } = structuredClone(saved));
      },
    };
  },
});

const OWN = {
  x_scanner: scalar("m", { doc: "as it was measured" }),
  y_scanner: scalar("m"),
  x_se: scalar("m", { doc: "of the drift; the scanner's own error is not in it" }),
  y_se: scalar("m"),
  drift_age: scalar("s", {
    doc: "from the middle of the last frame used; interpolated: from the frame before",
  }),
} as const;

interface Shift {
  /** Seconds since the origin: when its frame was done, and the middle of it. */
  readonly done: number;
  readonly at: number;
  readonly x: number;
  readonly y: number;
  readonly x_se: number;
  readonly y_se: number;
  readonly vx: number;
  readonly vy: number;
  readonly vx_se: number;
  readonly vy_se: number;
}

interface At {
  readonly x: number;
  readonly y: number;
  readonly x_se: number;
  readonly y_se: number;
  readonly age: number;
}

const UNKNOWN: At = { x: NaN, y: NaN, x_se: NaN, y_se: NaN, age: NaN };

/** The shift at a time; undefined where a frame that is not done by `upTo` may still say better. */
function shiftAt(known: readonly Shift[], t: number, wait: number, upTo: number): At | undefined {
  let newest = -1;
  for (let k = 0; k < known.length; k++) {
    const shift = known[k]!;
    if (shift.done > t + wait) break;
    if (wait > 0 && shift.at >= t && k > 0 && known[k - 1]!.at < t) return between(known[k - 1]!, shift, t);
    newest = k;
    // The first frame of all has none before it to draw a line from.
    if (wait > 0 && shift.at >= t) return extrapolated(shift, t);
  }
  if (wait > 0 && !(t + wait < upTo)) return undefined;
  return newest < 0 ? UNKNOWN : extrapolated(known[newest]!, t);
}

function extrapolated(from: Shift, t: number): At {
  const dt = t - from.at;
  return {
    x: from.x + from.vx * dt,
    y: from.y + from.vy * dt,
    x_se: Math.hypot(from.x_se, from.vx_se * dt),
    y_se: Math.hypot(from.y_se, from.vy_se * dt),
    age: dt,
  };
}

function between(before: Shift, after: Shift, t: number): At {
  const f = (t - before.at) / (after.at - before.at);
  return {
    x: (1 - f) * before.x + f * after.x,
    y: (1 - f) * before.y + f * after.y,
    x_se: Math.hypot((1 - f) * before.x_se, f * after.x_se),
    y_se: Math.hypot((1 - f) * before.y_se, f * after.y_se),
    age: t - before.at,
  };
}

/** First shift that a row at or after `from` may use: two before the first whose middle is not before it. */
function firstOfUse(known: readonly Shift[], from: number): number {
  let k = known.findIndex(({ at, done }) => at >= from || done > from);
  if (k < 0) k = known.length;
  return Math.max(0, k - 2);
}
