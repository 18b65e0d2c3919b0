import {
  choice, code, defineOperator, flag, quantity, scalar, WiringError, type Field, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { makeComparison, type Picture } from "./compare.ts";
import { level, type Levelled } from "./level.ts";
import { chained, combined, largestError, NONE, padded, plus, turnedBy, type Candidate, type Matrix, type Offset, type Placed } from "./moves.ts"; // prettier-ignore
import { renew, type Renewed } from "./renewed.ts";
import { resample } from "./resample.ts";
import { inMetres, offsetOf, type Scanned } from "./scanner-axes.ts";
import type { Move } from "./spline.ts";
import { following, predicted, settled, type Even } from "./velocity.ts";

/**
 * Drift between images of the same place, on a surface that grows meanwhile: how far each is shifted, how fast that
 * changes, and the images on the grid of the first.
 *
 *     frame(row, col) shows what the first shows at (row + shift_row, col + shift_col)              the first has shift 0
 *     aligned(row, col) = frame(row - shift_row, col - shift_col)
 *     x_sample = x_scanner + shift_x,   shift_x = shift_col · pixel_size_x - (center_x - center_x of the first)    y alike
 *
 *     shift_row, shift_col [px]   as the pictures show it, rows downwards; beside them standard errors and covariance
 *     shift_x, shift_y     [m]    drift of the sample against the scanner: where the frame was moved on purpose
 *                                 (`center_x`, `center_y`), that is taken off; turned by `angle` onto the scanner's axes
 *     velocity_x, _y       [m/s]  of that drift, over the last `memory` frames
 *     angle                [deg]  that the frame is turned by, from x to y; only with `rotation`
 *     change_share         [1]    share of what both show that differs by more than the noise: what has grown
 *     confidence           [1]    correlation with the reference where nothing has grown
 *
 * How: frames are levelled; the correlation of their short waves (cross-correlation.ts) finds the shift to a tenth of a pixel,
 * wherever it is within half a frame of the predicted one; octave by octave it is refined with weights that follow what
 * has changed (refine.ts). Growth is smooth or local; texture of 6 to 20 px that stays is what registers the frame.
 * A frame is compared with a reference that is slowly renewed, and with the frame before. Each is taken by its variance; the result is
 * given the larger error that it would have were both errors the same, since the frame's own noise is in both. Errors of
 * renewed references add up, those that come of growth without averaging out, since it stays: shifts have their errors
 * against the first frame. The reference follows the field of view.
 * `reference: first` compares with the first frame alone, so that errors never add up, for surfaces that stay;
 * `previous` with the frame before alone, for surfaces that do not last.
 *
 * Measured (256², waves of 6 to 120 px, noise 5 %, tilt, line offsets, shifts up to ±8 px): 0.006 px rms; with new grains on
 * 10, 30, 50 % of the frame 0.011, 0.022, 0.043 px, within two standard errors in 95 to 97 % of cases; 512²: 0.003 and 0.006 to 0.017 px.
 *
 * Holds for shifts that are the same all over the frame (no stretch, no drift while scanning: see drift/within-frame), which leave
 * `min_overlap` of it in common with the reference or the frame before; turns of up to a degree from frame to frame. A frame
 * that cannot be placed has NaN for its shift and its data, `valid` and a fault say why, and the next goes on from the last
 * one placed: it is flat or mostly NaN, agrees nowhere, nothing of it tells the shift well enough (`max_error`), or it
 * would be a jump that neither the drift so far nor a strong correlation speaks for. Where frames come in both
 * `direction`s, those of the first's are compared, and the others moved by the shift of the one at the same time.
 *
 * Further ports (any name) take other channels of the same frames; they come out under the same name, moved
 * alike: rows at the time of a placed frame. Images of any unit.
 */
export const driftImages = defineOperator({
  name: "drift/images",
  doc: "Sub-pixel shift of each image against the first while the surface grows, its velocity, and the images moved by it",
  input: {
    images: {
      center_x: scalar("m", { optional: true }),
      center_y: scalar("m", { optional: true }),
      angle: scalar("deg", { optional: true }),
      direction: code({ optional: true }),
      duration: scalar("s", { optional: true }),
    },
    "*": {},
  },
  output: (inputs) => {
    const { images, ...others } = inputs as Record<string, Fields>;
    const data = imageOf("images", images!);
    const ports: Record<string, Fields> = {
      aligned: { ...carried(images!), data, ...SHIFT },
      drift: { ...DRIFT, ...(images!["duration"] && { duration: images!["duration"] }) },
    };
    for (const [port, fields] of Object.entries(others)) {
      if (port in ports) throw new WiringError(`an output is called ${port} already; give the port another name`);
      const other = imageOf(port, fields);
      if (sized(other) && sized(data) && String(other.shape) !== String(data.shape)) {
        throw new WiringError(
          `${port}.data is ${other.shape!.join(" × ")} but images.data is ${data.shape!.join(" × ")}: wanted channels of the same frames`,
        );
      }
      ports[port] = { ...carried(fields), data: other };
    }
    return ports as { aligned: typeof SHIFT & Fields; drift: typeof DRIFT & Fields } & Record<string, Fields>;
  }, // prettier-ignore
  metadata: (inputs) => {
    const { images, ...others } = inputs;
    const own = Object.entries(others).map(([port, { metadata }]) => [port, metadata]);
    return { aligned: images!.metadata, drift: images!.metadata, ...Object.fromEntries(own) };
  },
  config: {
    reference: choice(["renewed", "first", "previous"], "renewed", {
      doc: "what a frame is compared with: a slowly renewed average and the frame before, the first frame alone, or the frame before alone",
    }),
    renewal: quantity("1", 0.1, { min: 0, max: 1, doc: "share of each placed frame in the renewed reference; 0 keeps the first frame" }), // prettier-ignore
    level: choice(["lines", "plane", "none"], "lines", {
      doc: "taken off before comparing: a plane and of each line an offset, a plane, or only the mean",
    }),
    rotation: flag(false, { doc: "whether frames may also be turned against each other" }),
    interpolation: choice(["cubic", "bilinear"], "cubic", { doc: "of the images given out" }),
    memory: quantity("1", 10, { min: 2, doc: "frames over which the velocity is taken" }),
    min_overlap: quantity("1", 0.25, { min: 0.05, max: 1, doc: "share of the frame that must be in common" }),
    max_error: quantity("{px}", 0.4, {
      min: 0,
      doc: "a frame whose shift has a larger standard error is not placed; other places agree by chance to 0.5 px and worse",
    }),
    min_confidence: quantity("1", 0.3, {
      min: 0,
      max: 1,
      doc: "a frame that correlates less where nothing has changed is not placed",
    }),
  },
  start(config, { inputs }) {
    const { images, ...further } = inputs as unknown as Record<string, { fields: Fields; metadata: Record<string, string> }>;
    const { fields, metadata } = images!;
    const [rows, cols] = fields["data"]!.shape as [number, number];
    const pixel_m = { row: Number(metadata["pixel_size_y"] ?? NaN), col: Number(metadata["pixel_size_x"] ?? NaN) };
    const lineOffsets = config.level === "lines";
    const { picture, compare } = makeComparison(rows, cols, { lineOffsets, turning: config.rotation, minOverlap: config.min_overlap });
    const moved = new Float64Array(rows * cols);
    const own = Object.keys(carried(fields));
    const channels = Object.entries(further).map(([port, of]) => ({ port, names: Object.keys(carried(of.fields)) }));
    let state: State = { even: undefined, last: undefined, reference: undefined, first: undefined };
    let pictures: { last?: Picture; reference?: Picture } = {};

    /** The move of a frame against the first by each comparison that there is, or why there is none. */
    function found(frame: Picture, guess: Move, last: Last, reference: Reference): (Candidate | string)[] {
      const all: (Candidate | string)[] = [];
      if (config.reference !== "previous") {
        const { row, col } = reference.origin;
        pictures.reference ??= picture(reference.levelled);
        const seen = compare(pictures.reference, frame, { ...guess, row: guess.row - row, col: guess.col - col });
        all.push(typeof seen === "string" ? seen : { seen, row: seen.row + row, col: seen.col + col, angle: seen.angle, covariance: padded(seen.covariance) });
      }
      // The second frame of all would be compared with the first twice.
      if (config.reference === "previous" || (config.reference === "renewed" && last.number > 0)) {
        pictures.last ??= picture(last.levelled);
        const step = turnedBy(-last.move.angle, { row: guess.row - last.move.row, col: guess.col - last.move.col });
        const seen = compare(pictures.last, frame, { ...step, angle: guess.angle - last.move.angle });
        all.push(typeof seen === "string" ? seen : chained(last, seen));
      }
      return all;
    }

    function place(frame: Picture, time: bigint, offset: Offset): Placed | Lost {
      const { share, rms } = frame.levelled;
      const { last, even, reference } = state;
      if (Math.min(rows, cols) < SMALLEST) return { valid: NOTHING, why: `it is ${rows} × ${cols}, ${SMALLEST} pixels along each side are wanted` };
      if (share < 0.5) return { valid: NOTHING, why: `${Math.round(share * 100)} % of its pixels have a value, half of them are wanted` };
      if (!(rms > 0)) return { valid: NOTHING, why: "it is flat, there is nothing to register" };
      if (!last || !reference) return BEGIN;
      const forecast = even && settled(even) ? predicted(even, time) : undefined;
      const expected = forecast?.every(({ velocity }) => Number.isFinite(velocity)) ? forecast : undefined;
      const guess = {
        row: (expected?.[0]!.position ?? last.drift.row) + offset.row,
        col: (expected?.[1]!.position ?? last.drift.col) + offset.col,
        angle: last.move.angle,
      };
      let lost: Lost | undefined;
      const trusted: (Candidate & { readonly jump: boolean })[] = [];
      for (const one of found(frame, guess, last, reference)) {
        if (typeof one === "string") {
          lost ??= { valid: NOWHERE, why: one };
          continue;
        }
        const { confidence, distinct, covariance } = one.seen;
        const error = largestError(covariance);
        const away = Math.hypot(one.row - guess.row, one.col - guess.col);
        const jump = expected !== undefined &&
          away > Math.max(JUMP_px, 6 * Math.hypot(error, expected[0]!.position_se, expected[1]!.position_se));
        if (!(error <= config.max_error)) {
          lost = { valid: UNSURE, why: `its shift is known to ${error.toFixed(2)} px only (max_error is ${config.max_error} px)` };
        } else if (!(confidence >= config.min_confidence)) {
          lost = { valid: UNSURE, why: `its correlation is ${confidence.toFixed(2)} (min_confidence is ${config.min_confidence})` };
        } else if (jump && error > BEYOND_DOUBT * config.max_error && distinct < CLEAR) {
          lost = { valid: JUMPED, why: `it would have jumped by ${away.toFixed(1)} px from where the drift so far leads, and does not agree there beyond doubt` };
        } else trusted.push({ ...one, jump });
      }
      if (trusted.length === 0) return lost!;
      const placed = combined(trusted, expected ? guess : undefined);
      return { ...placed, covariance: plus(placed.own, reference.covariance) };
    }

    /** Keeps what the next frame is compared with. */
    function keep(frame: Picture, placed: Placed, drift: Offset, time: bigint): void {
      const { levelled } = frame;
      const { row, col, angle, own, jump } = placed;
      const move = { row, col, angle };
      const before = state.reference;
      let reference: Reference;
      if (!before) {
        reference = { levelled, origin: { row: 0, col: 0 }, covariance: NONE };
        pictures.reference = frame;
      } else if (config.reference === "renewed" && config.renewal > 0) {
        const renewed = renew(before, frame.asFrame(), move, rows, cols, config.renewal);
        // The average is off by its share of what the frame was; what comes of growth, which stays, adds up over its memory.
        const { renewal } = config;
        const lasting = Math.min(1, 2 * placed.changeShare);
        const factor = renewal ** 2 + lasting * 2 * renewal * (1 - renewal);
        reference = { ...renewed, covariance: plus(before.covariance, own, factor) };
        pictures.reference = picture(renewed.levelled);
      } else reference = before;
      const even = following(jump ? undefined : state.even, time, [drift.row, drift.col], largestError(own), config.memory, EVENNESS_px);
      state = { ...state, even, reference, last: { levelled, move, own, drift, number: (state.last?.number ?? -1) + 1 } };
      pictures.last = frame;
    }

    /** A row of `aligned`, and of `drift` where it was compared. */
    function follow(row: FrameRow, out: Writers, fault: (time: bigint, what: string) => void): void {
      const { time, data } = row;
      // What comes out lies where the first frame placed lay.
      if (!state.last) state.first = firstOf(row);
      const first = state.first!;
      const rest = pick(row, own);
      for (const name of ["center_x", "center_y"] as const) if (name in rest) rest[name] = first[name];
      if ((row.direction ?? 0) !== first.direction) {
        const shown = first.shown?.time === time ? first.shown : undefined;
        out["aligned"]!.add({ ...rest, ...(shown?.shift ?? NO_SHIFT), time, data: movedBy(shown?.move, data) });
        return;
      }
      const offset = offsetOf(row, first, pixel_m);
      const frame = picture(level(data, rows, cols, lineOffsets ? "means" : config.level === "plane" ? "plane" : "none"));
      const placed = place(frame, time, offset);
      const duration = "duration" in fields ? { duration: row.duration } : {};
      if ("why" in placed) {
        fault(time, `frame is not placed: ${placed.why}`);
        state.first = { ...first, offset, shown: undefined };
        out["aligned"]!.add({ ...rest, ...NO_SHIFT, time, data: movedBy(undefined, data) });
        out["drift"]!.add({ ...NO_DRIFT, ...duration, time, valid: placed.valid });
        return;
      }
      const drift = { row: placed.row - offset.row, col: placed.col - offset.col };
      keep(frame, placed, drift, time);
      const move = { row: placed.row, col: placed.col, angle: placed.angle };
      const shift = shiftOf(placed);
      state.first = { ...first, offset, shown: { time, move, shift } };
      out["aligned"]!.add({ ...rest, ...shift, time, data: movedBy(move, data) });
      out["drift"]!.add({ ...shift, ...driftOf(placed, config.rotation), ...inMetres(placed.covariance, drift, predicted(state.even!, time), pixel_m, first.angle), ...duration, time, valid: PLACED });
    }

    const movedBy = (move: Move | undefined, data: ArrayLike<number>): Float64Array =>
      move ? resample(data, rows, cols, move, config.interpolation, moved) : moved.fill(NaN);

    return {
      step(given, out) {
        const rowsOf = given as unknown as Record<string, Rows<Fields>>;
        const writers = out as unknown as Writers;
        const images = rowsOf["images"]!;
        const next = channels.map(() => 0);
        // Frames and channels come side by side, each in the order of time; what is at the time of a frame comes after it.
        for (let i = 0; i <= images.length; i++) {
          const until = i < images.length ? images.time[i]! : undefined;
          channels.forEach(({ port, names }, k) => {
            const of = rowsOf[port]!;
            for (; next[k]! < of.length && (until === undefined || of.time[next[k]!]! < until); next[k]!++) {
              const row = of.at(next[k]!) as unknown as FrameRow;
              const shown = state.first?.shown?.time === row.time ? state.first.shown : undefined;
              writers[port]!.add({ ...pick(row, names), time: row.time, data: movedBy(shown?.move, row.data) });
            }
          });
          if (i < images.length) follow(images.at(i) as unknown as FrameRow, writers, (time, what) => out.fault(time, what));
        }
      },
      save: () => structuredClone(state),
      load(saved: State) {
        state = structuredClone(saved);
        pictures = {};
      },
    };
  }, // prettier-ignore
});

type Writers = Readonly<Record<string, { add(row: object): void }>>;

interface FrameRow {
  readonly time: bigint;
  readonly data: ArrayLike<number>;
  readonly center_x?: number;
  readonly center_y?: number;
  readonly angle?: number;
  readonly direction?: number;
  readonly duration?: number;
}

interface Lost {
  readonly valid: number;
  readonly why: string;
}

interface State {
  even: Even | undefined;
  last: Last | undefined;
  reference: Reference | undefined;
  first: First | undefined;
}

interface Last {
  readonly levelled: Levelled;
  readonly move: Move;
  readonly own: Matrix;
  readonly drift: Offset;
  readonly number: number;
}

interface Reference extends Renewed {
  /** Of its place against the first frame. */
  readonly covariance: Matrix;
}

interface First extends Scanned {
  readonly direction: number;
  /** By how much the newest frame was moved on purpose. */
  readonly offset: Offset;
  /** Where the newest frame was placed. */
  readonly shown: { readonly time: bigint; readonly move: Move; readonly shift: typeof NO_SHIFT } | undefined;
}

const [PLACED, NOTHING, NOWHERE, UNSURE, JUMPED] = [0, 1, 2, 3, 4];
const BEGIN: Placed = { row: 0, col: 0, angle: 0, own: NONE, covariance: NONE, confidence: 1, changeShare: 0, overlap: 1, jump: false }; // prettier-ignore

/** Pixels along a side, so that something is left within the rims. */
const SMALLEST = 24;
/** How far drift may be from even without being a jump. */
const JUMP_px = 4;
/** Of a jump: what no other place comes near by chance, in parts of `max_error`, or by how far it stands out. */
const BEYOND_DOUBT = 0.25;
const CLEAR = 12;
/** What positions scatter by about an even drift, at least. */
const EVENNESS_px = 0.02;

const SHIFT = {
  shift_row: scalar("{px}", { uncertainty: "shift_row_se", doc: "downwards, that the frame must move by" }),
  shift_col: scalar("{px}", {
    uncertainty: "shift_col_se",
    doc: "to the right, that the frame must move by",
  }),
  shift_row_se: scalar("{px}", { doc: "against the first frame" }),
  shift_col_se: scalar("{px}"),
  confidence: scalar("1", { doc: "correlation with what it was compared with, where nothing has changed" }),
} as const;

const DRIFT = {
  ...SHIFT,
  shift_covariance: scalar("{px}2", { doc: "of shift_row and shift_col" }),
  shift_x: scalar("m", { uncertainty: "shift_x_se", doc: "of the sample against the scanner: moves on purpose are taken off" }),
  shift_y: scalar("m", { uncertainty: "shift_y_se" }),
  shift_x_se: scalar("m"),
  shift_y_se: scalar("m"),
  shift_xy_covariance: scalar("m2", { doc: "of shift_x and shift_y" }),
  velocity_x: scalar("m/s", { uncertainty: "velocity_x_se" }),
  velocity_y: scalar("m/s", { uncertainty: "velocity_y_se" }),
  velocity_x_se: scalar("m/s"),
  velocity_y_se: scalar("m/s"),
  angle: scalar("deg", { uncertainty: "angle_se", doc: "that the frame is turned by against the first; NaN without rotation" }),
  angle_se: scalar("deg"),
  overlap: scalar("1", { doc: "share of the frame that what it was compared with shows too" }),
  change_share: scalar("1", { doc: "share of that which differs by more than the noise" }),
  valid: code({
    codes: {
      [PLACED]: "placed", [NOTHING]: "nothing to see", [NOWHERE]: "agrees nowhere", [UNSURE]: "cannot be known well enough",
      [JUMPED]: "a jump that is not believed",
    },
  }),
} as const; // prettier-ignore

const missing = <T extends string>(fields: Readonly<Record<T, Field>>): Record<T, number> =>
  Object.fromEntries(Object.keys(fields).map((name) => [name, NaN])) as Record<T, number>;
const NO_SHIFT = missing(SHIFT);
const NO_DRIFT = missing(DRIFT);

function imageOf(port: string, fields: Fields): Field {
  const data = fields["data"];
  if (data?.kind !== "image") {
    throw new WiringError(`${port} needs a column data of images; it has ${Object.keys(fields).join(", ") || "no columns"}`);
  }
  return { ...data, type: data.type === "f64" ? "f64" : "f32" };
} // prettier-ignore

const sized = ({ shape }: Field): boolean => shape?.every((n) => typeof n === "number") ?? false;

/** Columns that go along with their row: all but images, curves and what this operator gives out itself. */
const carried = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([name, { kind }]) => name !== "data" && !(name in SHIFT) && kind !== "image" && kind !== "curve",
    ),
  );

const pick = (row: object, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, (row as Record<string, unknown>)[name]]));

const firstOf = ({
  direction = 0,
  center_x = NaN,
  center_y = NaN,
  angle = NaN,
}: Partial<FrameRow>): First => ({
  direction,
  center_x,
  center_y,
  angle: Number.isFinite(angle) ? (angle * Math.PI) / 180 : 0, // not told: axes of the image are those of the scanner
  offset: { row: 0, col: 0 },
  shown: undefined,
});

const shiftOf = ({ row, col, covariance, confidence }: Placed): typeof NO_SHIFT => ({
  shift_row: row,
  shift_col: col,
  shift_row_se: Math.sqrt(covariance[0]![0]!),
  shift_col_se: Math.sqrt(covariance[1]![1]!),
  confidence,
});

const driftOf = ({ angle, covariance, overlap, changeShare }: Placed, rotation: boolean) => ({
  shift_covariance: covariance[0]![1]!,
  angle: rotation ? (angle * 180) / Math.PI : NaN,
  angle_se: rotation ? (Math.sqrt(covariance[2]![2]!) * 180) / Math.PI : NaN,
  overlap,
  change_share: changeShare,
});
