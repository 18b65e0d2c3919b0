import {
  choice,
  defineOperator,
  quantity,
  scalar,
  WiringError,
  type Field,
  type Fields,
} from "../../runtime/index.ts";
import { coarseShift, type Shift } from "./cross-correlation.ts";
import { level, type Levelled } from "./level.ts";
import { refineShift, type Registration } from "./refine.ts";
import { resample } from "./resample.ts";
import { splineOf } from "./spline.ts";

/**
 * Drift between images of the same place: how far each is shifted, and the images on the grid of the first.
 *
 *     aligned(row, col) = frame(row - shift_row, col - shift_col)         frame 0 has shift 0
 *
 *     shift_row, shift_col   [px]   that the frame must move by, rows downwards, columns to the right
 *     shift_row_se, …_se     [px]   their standard errors
 *     confidence             [1]    correlation of the frame with what it was registered to
 *     data                   [as it came]  interpolated; NaN where this frame did not look
 *
 * Each frame is registered to the first and to the one before; the two shifts are combined by their standard errors,
 * so a sample that grows is followed from frame to frame once it no longer looks like the first. Levelling serves the
 * comparison alone: the data given out are those that came in.
 *
 * Holds for shifts that are the same all over the frame (no rotation, no stretch, no drift while scanning) and leave
 * `min_overlap` of it in common. A frame that is flat, mostly NaN, or agrees with neither well enough (`max_error`,
 * `min_confidence`) is not placed: its shift and its data are NaN, a fault says why, and the next is compared with the
 * last one placed.
 *
 * Works on images of any unit.
 */
export const driftImages = defineOperator({
  name: "drift/images",
  doc: "Sub-pixel shift of each image against the first, and the images moved by it",
  input: { images: {} },
  output: ({ images }) => {
    const data = (images as Fields)["data"];
    if (data?.kind !== "image") {
      throw new WiringError(`images needs a column data of images; it has ${Object.keys(images).join(", ") || "no columns"}`);
    }
    const type = data.type === "f64" ? "f64" : "f32";
    return {
      aligned: {
        ...Object.fromEntries(carried(images)),
        data: { ...data, type },
        shift_row: scalar("{px}", { uncertainty: "shift_row_se", doc: "downwards, that the frame must move by" }),
        shift_col: scalar("{px}", { uncertainty: "shift_col_se", doc: "to the right, that the frame must move by" }),
        shift_row_se: scalar("{px}"),
        shift_col_se: scalar("{px}"),
        confidence: scalar("1", { doc: "correlation with what it was registered to" }),
      } as Fields,
    };
  }, // prettier-ignore
  config: {
    level: choice(["lines", "plane", "none"], "lines", {
      doc: "taken off before comparing: a plane and of each line its median, a plane, or only the mean",
    }),
    interpolation: choice(["cubic", "bilinear"], "cubic", { doc: "of the images given out" }),
    min_overlap: quantity("1", 0.25, { min: 0.05, max: 1, doc: "share of the frame that must be in common" }),
    max_error: quantity("{px}", 0.5, {
      min: 0,
      doc: "a frame whose shift has a larger standard error is not placed",
    }),
    min_confidence: quantity("1", 0.3, { min: 0, max: 1, doc: "a frame that correlates less is not placed" }),
  },
  start(config, { inputs }) {
    const { fields } = inputs.images as { fields: Fields };
    const [rows, cols] = fields["data"]!.shape as [number, number];
    const others = carried(fields).map(([name]) => name);
    const moved = new Float64Array(rows * cols);
    let state: State = {};

    function register(to: Placed, frame: Levelled, guess: Shift): Registration | undefined {
      const coarse = coarseShift(to.levelled, frame, rows, cols, guess, config.min_overlap);
      return coarse && refineShift(to.spline, to.levelled, frame, rows, cols, coarse);
    }

    // Other places agree by chance, and well where the scene is smooth; but not at any one shift rather than its neighbours.
    const sure = (r: Registration): boolean =>
      larger(r) <= config.max_error && r.confidence >= config.min_confidence &&
      Math.max(0, 1 - Math.abs(r.row) / rows) * Math.max(0, 1 - Math.abs(r.col) / cols) >= config.min_overlap;

    /** Shift against the first frame, or why there is none. */
    function place(frame: Levelled): Registration | string {
      if (frame.share < 0.5) return `${Math.round(frame.share * 100)} % of its pixels have a value, half of them are wanted`;
      if (!(frame.rms > 0)) return "it is flat, there is nothing to register";
      const { first, last } = state;
      if (!first || !last) return { row: 0, col: 0, row_se: 0, col_se: 0, confidence: 1 };
      const direct = register(first, frame, last.shift);
      const step = last === first ? undefined : register(last, frame, { row: 0, col: 0 });
      const against = [direct, step].filter((r) => r !== undefined);
      const trusted: Registration[] = [];
      if (direct && sure(direct)) trusted.push(direct);
      if (step && sure(step)) trusted.push(chained(last.shift, step));
      if (trusted.length === 0) {
        const best = against.sort((a, b) => larger(a) - larger(b))[0];
        return best
          ? `its shift is known to ${larger(best).toFixed(2)} px only, its correlation is ${best.confidence.toFixed(2)} ` +
              `(max_error is ${config.max_error} px, min_confidence ${config.min_confidence})`
          : `no shift that leaves ${config.min_overlap} of the frame in common makes it agree with the first or the last one placed`;
      }
      return combine(trusted);
    }

    return {
      step({ images }, out) {
        // Which columns go along is known from the stream only, so the writer takes what the schema names.
        const aligned = out.aligned as { add(row: object): void };
        for (let i = 0; i < images.length; i++) {
          const row = images.at(i) as unknown as Record<string, unknown> & { time: bigint; data: Float32Array };
          const { time, data } = row;
          const levelled = level(data, rows, cols, config.level);
          const placed = place(levelled);
          const rest = Object.fromEntries(others.map((name) => [name, row[name]]));
          if (typeof placed === "string") {
            out.fault(time, `frame is not placed: ${placed}`);
            moved.fill(NaN);
            const none = { shift_row: NaN, shift_col: NaN, shift_row_se: NaN, shift_col_se: NaN, confidence: NaN };
            aligned.add({ ...rest, time, data: moved, ...none });
            continue;
          }
          const { row: shift_row, col: shift_col, row_se: shift_row_se, col_se: shift_col_se, confidence } = placed;
          resample(data, rows, cols, placed, config.interpolation, moved);
          aligned.add({ ...rest, time, data: moved, shift_row, shift_col, shift_row_se, shift_col_se, confidence });
          state.last = { levelled, spline: splineOf(levelled.values, rows, cols), shift: placed };
          state.first ??= state.last;
        }
      },
      // One frame may be both; what is loaded must know that too.
      save: () => structuredClone({ ...state, same: state.first === state.last }),
      load: ({ same, ...saved }: State & { same: boolean }) => {
        state = same && saved.first ? { first: saved.first, last: saved.first } : saved;
      },
    };
  }, // prettier-ignore
});

/** A frame that others are registered to. */
interface Placed {
  readonly levelled: Levelled;
  readonly spline: Float64Array;
  readonly shift: Registration;
}

interface State {
  first?: Placed;
  last?: Placed;
}

/** Columns that go along with their row: all but images, curves and what this operator gives out itself. */
function carried(fields: Fields): [string, Field][] {
  const own = ["data", "shift_row", "shift_col", "shift_row_se", "shift_col_se", "confidence"];
  return Object.entries(fields).filter(
    ([name, { kind }]) => !own.includes(name) && kind !== "image" && kind !== "curve",
  );
}

const larger = ({ row_se, col_se }: Registration): number => Math.max(row_se, col_se);

/** A shift against the frame before, as one against the first. */
function chained(before: Registration, step: Registration): Registration {
  return {
    row: before.row + step.row,
    col: before.col + step.col,
    row_se: Math.hypot(before.row_se, step.row_se),
    col_se: Math.hypot(before.col_se, step.col_se),
    confidence: step.confidence,
  };
}

/** Two shifts as one, each counting by its variance; where they contradict each other, the one that agrees better. */
function combine(found: readonly Registration[]): Registration {
  const [one, other] = found as [Registration, Registration | undefined];
  if (!other) return one;
  const apart = Math.hypot(one.row - other.row, one.col - other.col);
  const se = Math.hypot(one.row_se, one.col_se, other.row_se, other.col_se);
  if (apart > Math.max(0.5, 5 * se)) return one.confidence >= other.confidence ? one : other;
  const row = weighted(one.row, one.row_se, other.row, other.row_se);
  const col = weighted(one.col, one.col_se, other.col, other.col_se);
  return { row: row.x, row_se: row.se, col: col.x, col_se: col.se, confidence: Math.max(one.confidence, other.confidence) };
} // prettier-ignore

function weighted(x1: number, se1: number, x2: number, se2: number): { x: number; se: number } {
  if (se1 === 0 || se2 === 0) return se1 <= se2 ? { x: x1, se: se1 } : { x: x2, se: se2 };
  const [w1, w2] = [1 / se1 ** 2, 1 / se2 ** 2];
  return { x: (w1 * x1 + w2 * x2) / (w1 + w2), se: 1 / Math.sqrt(w1 + w2) };
}
