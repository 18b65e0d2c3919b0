import {
  choice, code, defineOperator, flag, quantity, scalar, WiringError, type Field, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { makeComparison, type Comparison, type Picture } from "./compare.ts";
import { ANCHOR, DRIFT, driftOf, JUMPED, NO_DRIFT, NO_SHIFT, NOTHING, NOWHERE, PLACED, SHIFT, shiftOf, UNSURE } from "./images-columns.ts"; // prettier-ignore
import { level, levelledRoom, type Levelled, type LevelledRoom } from "./level.ts";
import { chained, combined, CONTRADICTION_px, diagonal, largestError, NONE, plus, relativeTo, type Candidate, type Matrix, type Offset, type Placed } from "./moves.ts"; // prettier-ignore
import { renew, type Renewed } from "./renewed.ts";
import { resample } from "./resample.ts";
import { inMetres, offsetOf, type Scanned } from "./scanner-axes.ts";
import type { Move } from "./spline.ts";
import { following, forecast, predicted, restarted, settled, type Even, type Predicted } from "./velocity.ts";

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
 *     anchor                      counts up where shifts begin anew
 *
 * How: frames are levelled; the correlation of their short waves (cross-correlation.ts) finds the shift to a tenth of a pixel,
 * wherever it is within half a frame of the predicted one; octave by octave it is refined with weights that follow what
 * has changed (refine.ts). Growth is smooth or local; texture of 6 to 20 px that stays is what registers the frame.
 * A frame is compared with a reference that is slowly renewed, and with the frame before: from where the first comparison ended, if
 * that is beyond doubt, else on its own. Each is taken by its variance; the result is
 * given the larger error that it would have were both errors the same, since the frame's own noise is in both. Errors of
 * renewed references add up, those that come of growth without averaging out, since it stays: shifts have their errors
 * against the first frame. The reference follows the field of view.
 * `reference: first` compares with the first frame alone, so that errors never add up, for surfaces that stay;
 * `previous` with the frame before alone, for surfaces that do not last.
 *
 * Where a surface is another one from one frame to the next (lithium that covers all of it), nothing placed before can be compared
 * with. `reanchor_after` frames in a row that agree with each other then begin anew: the last of them is the reference, taken
 * to lie where the drift led. The error of that, which all later shifts keep, is what the velocity was wrong by so far, times the
 * gap (velocity.ts). Before three frames were placed there is no telling: it is taken to lie where the last one did, within half a frame for each
 * frame between. Where the surface of the first frame, or of the reference before, has come back, the frame is placed on that.
 * A scanner that was moved without `center_x`, `center_y` cannot be told from a surface that has changed: the fault says what was taken.
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
      aligned: { ...carried(images!), data, ...SHIFT, ...ANCHOR },
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
    return ports as { aligned: typeof SHIFT & typeof ANCHOR & Fields; drift: typeof DRIFT & Fields } & Record<string, Fields>;
  }, // prettier-ignore
  metadata: (inputs) => {
    const { images, ...others } = inputs;
    const own = Object.entries(others).map(([port, { metadata }]) => [port, metadata]);
    return { aligned: images!.metadata, drift: images!.metadata, ...Object.fromEntries(own) };
  },
  config: {
    reference: choice(["renewed", "first", "previous"], "renewed", {
      doc: "what a frame is compared with: a slowly renewed average and the frame before, the first frame alone (and never anew), or the frame before alone",
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
    reanchor_after: quantity("1", 2, {
      min: 2,
      doc: "frames in a row that cannot be placed but agree with each other, of which the last is the reference from then on; Infinity: never",
    }),
  },
  start(config, { inputs }) {
    const { images, ...further } = inputs as unknown as Record<string, { fields: Fields; metadata: Record<string, string> }>;
    const { fields, metadata } = images!;
    const [rows, cols] = fields["data"]!.shape as [number, number];
    const pixel_m = { row: Number(metadata["pixel_size_y"] ?? NaN), col: Number(metadata["pixel_size_x"] ?? NaN) };
    const lineOffsets = config.level === "lines";
    const { picture, giveBack, compare, compareNear } = makeComparison(rows, cols, { lineOffsets, turning: config.rotation, minOverlap: config.min_overlap });
    const moved = new Float64Array(rows * cols);
    const spare: LevelledRoom[] = [];
    const roomForOne = (): LevelledRoom => spare.pop() ?? levelledRoom(rows, cols);
    const own = Object.keys(carried(fields));
    const channels = Object.entries(further).map(([port, of]) => ({ port, names: Object.keys(carried(of.fields)) }));
    let state: State = { even: undefined, last: undefined, reference: undefined, earlier: [], first: undefined, missed: 0, unplaced: undefined, anchor: 0 };
    let pictures: { last?: Picture; reference?: Picture; unplaced?: Picture } = {};

    /** Where a frame of this time should be, were its drift as even as before: by its velocity, or where the last one was. */
    function expectedAt(time: bigint, offset: Offset, last: Last): Expected {
      const led = state.even && settled(state.even) ? predicted(state.even, time) : undefined;
      const axes = led?.every(({ velocity }) => Number.isFinite(velocity)) ? led : undefined;
      return {
        axes,
        guess: {
          row: (axes?.[0]!.position ?? last.drift.row) + offset.row,
          col: (axes?.[1]!.position ?? last.drift.col) + offset.col,
          angle: last.move.angle,
        },
      };
    }

    /** The move of a frame against the first by each comparison that there is, or why there is none. */
    function found(frame: Picture, guess: Move, last: Last, reference: Reference): (Candidate | string)[] {
      const all: (Candidate | string)[] = [];
      if (config.reference !== "previous") {
        const { origin } = reference;
        pictures.reference ??= picture(reference.levelled);
        const seen = compare(pictures.reference, frame, relativeTo(origin, guess));
        all.push(typeof seen === "string" ? seen : chained({ move: origin, own: NONE }, seen));
      }
      // The second frame since the reference began would be compared with it twice.
      if (config.reference === "previous" || (config.reference === "renewed" && last.number > 0)) {
        pictures.last ??= picture(last.levelled);
        const [first] = all;
        const agreed = first && typeof first !== "string" && beyondDoubt(first.seen) ? agreedBy(first, frame, pictures.last, last) : undefined;
        const seen = agreed ?? compare(pictures.last, frame, relativeTo(last.move, guess));
        all.push(typeof seen === "string" ? seen : chained(last, seen));
      }
      return all;
    }

    /**
     * The second comparison, begun where the first ended: both say nearly the same. Only where the first is beyond doubt by itself,
     * and only what is beyond doubt by itself too and agrees with it; else the second looks for its own place as the first did.
     */
    function agreedBy(first: Candidate, frame: Picture, before: Picture, last: Last): Comparison | undefined {
      const start = relativeTo(last.move, first);
      const found = compareNear(before, frame, start);
      if (!found || Math.hypot(found.row - start.row, found.col - start.col) > CONTRADICTION_px) return undefined;
      const seen = { ...found, distinct: first.seen.distinct };
      return beyondDoubt(seen) ? seen : undefined;
    }

    const beyondDoubt = ({ covariance, confidence }: Comparison): boolean =>
      largestError(covariance) <= BEYOND_DOUBT * config.max_error && confidence >= config.min_confidence;

    /** Whether a comparison is to be believed, or why not. */
    function judged(one: Candidate | string, { guess, axes }: Expected): (Candidate & { readonly jump: boolean }) | Lost {
      if (typeof one === "string") return { valid: NOWHERE, why: one };
      const { confidence, distinct, covariance } = one.seen;
      const error = largestError(covariance);
      if (!(error <= config.max_error)) {
        return { valid: UNSURE, why: `its shift is known to ${error.toFixed(2)} px only (max_error is ${config.max_error} px)` };
      }
      if (!(confidence >= config.min_confidence)) {
        return { valid: UNSURE, why: `its correlation is ${confidence.toFixed(2)} (min_confidence is ${config.min_confidence})` };
      }
      const away = Math.hypot(one.row - guess.row, one.col - guess.col);
      const jump = axes !== undefined && away > Math.max(JUMP_px, 6 * Math.hypot(error, axes[0]!.position_se, axes[1]!.position_se));
      if (jump && error > BEYOND_DOUBT * config.max_error && distinct < CLEAR) {
        return { valid: JUMPED, why: `it would have jumped by ${away.toFixed(1)} px from where the drift so far leads, and does not agree there beyond doubt` };
      }
      return { ...one, jump };
    }

    function place(frame: Picture, time: bigint, offset: Offset): Placed | Lost {
      const { share, rms } = frame.levelled;
      const { last, reference } = state;
      if (Math.min(rows, cols) < SMALLEST) return { valid: NOTHING, why: `it is ${rows} × ${cols}, ${SMALLEST} pixels along each side are wanted` };
      if (share < 0.5) return { valid: NOTHING, why: `${Math.round(share * 100)} % of its pixels have a value, half of them are wanted` };
      if (!(rms > 0)) return { valid: NOTHING, why: "it is flat, there is nothing to register" };
      if (!last || !reference) return BEGIN;
      const expected = expectedAt(time, offset, last);
      const all = found(frame, expected.guess, last, reference).map((one) => judged(one, expected));
      const trusted = all.flatMap((one) => ("why" in one ? [] : [one]));
      if (trusted.length > 0) {
        const placed = combined(trusted, expected.axes && expected.guess);
        return { ...placed, covariance: plus(placed.own, reference.covariance) };
      }
      // What was found and is not believed says more than that nothing was.
      const lost = all as Lost[];
      return lost.findLast(({ valid }) => valid !== NOWHERE) ?? lost[0]!;
    }

    /** Whether a frame that could not be placed agrees with those before it that could not be either, so many that it is time to begin anew. */
    function agreement(frame: Picture, time: bigint, offset: Offset, last: Last): Comparison | undefined {
      const before = state.unplaced;
      const { guess, axes } = expectedAt(time, offset, last);
      let seen: Comparison | undefined;
      if (before) {
        pictures.unplaced ??= picture(before.levelled);
        const compared = compare(pictures.unplaced, frame, relativeTo(before.guess, guess));
        const one = judged(typeof compared === "string" ? compared : chained({ move: before.guess, own: NONE }, compared), { guess, axes });
        if (!("why" in one)) seen = one.seen;
      }
      const agreeing = before && seen ? before.agreeing + 1 : 1;
      state.unplaced = { levelled: frame.levelled, guess, agreeing };
      pictures.unplaced = frame;
      return agreeing >= config.reanchor_after ? seen : undefined;
    }

    /** A frame that resembles what was seen before the last beginning, or at the very first: what had grown is gone again. */
    function returned(frame: Picture, time: bigint, offset: Offset, last: Last): Placed | undefined {
      const { guess } = expectedAt(time, offset, last);
      const again = state.earlier.flatMap(({ levelled, origin, covariance }) => {
        const before = picture(levelled);
        const seen = compare(before, frame, relativeTo(origin, guess));
        giveBack(before);
        const one = judged(typeof seen === "string" ? seen : chained({ move: origin, own: NONE }, seen), { guess, axes: forecast(state.even, time) });
        if ("why" in one) return [];
        const placed = combined([one], undefined);
        return [{ ...placed, covariance: plus(placed.own, covariance) }];
      });
      return again.toSorted((a, b) => largestError(a.covariance) - largestError(b.covariance))[0];
    }

    /** A frame placed where the drift so far leads, as all that it could be compared with is gone. */
    function anchored({ confidence, changeShare, overlap }: Comparison, time: bigint, offset: Offset, last: Last, reference: Reference): Placed {
      const led = forecast(state.even, time);
      const { row, col, angle } = expectedAt(time, offset, last).guess;
      // Of a drift that has not shown yet how even it is, all is known that such a frame could have been found.
      const error = (axis: number, size: number): number => led?.[axis]!.position_se ?? (state.missed * size) / Math.sqrt(12);
      const turn = config.rotation ? state.missed * TURN_rad : 0;
      const covariance = plus(plus(reference.covariance, last.own), diagonal([error(0, rows), error(1, cols), turn].map((se) => se * se)));
      return { row, col, angle, own: NONE, covariance, confidence, changeShare, overlap, jump: false };
    }

    /** What becomes of a frame that could not be placed: it begins anew, or is left out. */
    function missed(frame: Picture, { valid, why }: Lost, time: bigint, offset: Offset): Missed {
      const { last, reference, unplaced } = state;
      state.missed++;
      const what = `frame is not placed: ${why}`;
      const stays = config.reference === "first";
      if (valid === NOTHING || !last || !reference || (stays && unplaced && unplaced.agreeing >= config.reanchor_after)) return { what };
      const seen = agreement(frame, time, offset, last);
      if (!seen) return { what };
      const agree = `${state.unplaced!.agreeing} frames in a row agree with each other but with none before`;
      if (stays) return { what: `${what}; ${agree}: with \`reference: renewed\` they would be followed from here on` };
      const back = returned(frame, time, offset, last);
      const placed = back ?? anchored(seen, time, offset, last, reference);
      const [row_se, col_se] = [0, 1].map((i) => Math.sqrt(placed.covariance[i]![i]!).toFixed(2));
      return {
        placed,
        anew: true,
        what: `shifts begin anew at this frame: ${agree} (${why}); it ${back ? "agrees with one of long before" : "is taken to be where the drift led"}, ` +
          `${placed.row.toFixed(2)} ± ${row_se} px down and ${placed.col.toFixed(2)} ± ${col_se} px to the right; that error stays with all that follow`,
      };
    }

    /** Keeps what the next frame is compared with. */
    function keep(frame: Picture, placed: Placed, drift: Offset, time: bigint, anew: boolean): void {
      const { levelled } = frame;
      const { row, col, angle, own, jump } = placed;
      const move = { row, col, angle };
      const before = anew ? undefined : state.reference;
      let reference: Reference;
      if (!before) {
        reference = { levelled, origin: move, covariance: placed.covariance };
        pictures.reference = frame;
      } else if (config.reference === "renewed" && config.renewal > 0) {
        const renewed = renew(before, frame.asFrame(), move, rows, cols, config.renewal, roomForOne(), moved);
        // The average is off by its share of what the frame was; what comes of growth, which stays, adds up over its memory.
        const { renewal } = config;
        const lasting = Math.min(1, 2 * placed.changeShare);
        const factor = renewal ** 2 + lasting * 2 * renewal * (1 - renewal);
        reference = { ...renewed, covariance: plus(before.covariance, own, factor) };
        pictures.reference = picture(renewed.levelled);
      } else reference = before;
      const position = [drift.row, drift.col];
      const even = anew
        ? restarted(state.even, time, position, EVENNESS_px)
        : following(jump ? undefined : state.even, time, position, largestError(own), config.memory, EVENNESS_px);
      const earlier = before ? state.earlier : anew ? [state.earlier[0]!, state.reference!] : [reference];
      const number = before ? state.last!.number + 1 : 0;
      state = { ...state, even, reference, earlier, last: { levelled, move, own, drift, number }, missed: 0, unplaced: undefined, anchor: state.anchor + (anew ? 1 : 0) };
      pictures.last = frame;
      delete pictures.unplaced;
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
        out["aligned"]!.add({ ...rest, ...(shown?.shift ?? NO_SHIFT), anchor: state.anchor, time, data: movedBy(shown?.move, data) });
        return;
      }
      const offset = offsetOf(row, first, pixel_m);
      const how = lineOffsets ? "means" : config.level === "plane" ? "plane" : "none";
      const frame = picture(level(data, rows, cols, how, roomForOne()));
      const held = [...Object.values(pictures), frame];
      register(frame, row, rest, offset, out, fault);
      // What nothing is compared with any more: its arrays are for the next frames.
      const kept = Object.values(pictures);
      for (const one of held) if (!kept.includes(one)) giveBack(one);
      const needed = [state.last, state.reference, state.unplaced, ...state.earlier].map((of) => of?.levelled);
      for (const levelled of new Set(held.map((one) => one.levelled))) {
        if (!needed.includes(levelled) && spare.length < MOST_SPARE) spare.push(levelled);
      }
    }

    function register(frame: Picture, row: FrameRow, rest: object, offset: Offset, out: Writers, fault: (time: bigint, what: string) => void): void {
      const { time, data } = row;
      const first = state.first!;
      const duration = "duration" in fields ? { duration: row.duration } : {};
      const found = place(frame, time, offset);
      const { placed, what, anew = false } = "why" in found ? missed(frame, found, time, offset) : { placed: found };
      if (what !== undefined) fault(time, what);
      if (!placed) {
        state.first = { ...first, offset, shown: undefined };
        out["aligned"]!.add({ ...rest, ...NO_SHIFT, anchor: state.anchor, time, data: movedBy(undefined, data) });
        out["drift"]!.add({ ...NO_DRIFT, ...duration, anchor: state.anchor, time, valid: (found as Lost).valid });
        return;
      }
      const drift = { row: placed.row - offset.row, col: placed.col - offset.col };
      keep(frame, placed, drift, time, anew);
      const move = { row: placed.row, col: placed.col, angle: placed.angle };
      const shift = shiftOf(placed);
      state.first = { ...first, offset, shown: { time, move, shift } };
      out["aligned"]!.add({ ...rest, ...shift, anchor: state.anchor, time, data: movedBy(move, data) });
      out["drift"]!.add({ ...shift, ...driftOf(placed, config.rotation), ...inMetres(placed.covariance, drift, predicted(state.even!, time), pixel_m, first.angle), ...duration, anchor: state.anchor, time, valid: PLACED });
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

interface Missed {
  readonly placed?: Placed;
  readonly anew?: boolean;
  readonly what: string;
}

interface Expected {
  readonly guess: Move;
  /** Undefined where there is no velocity yet. */
  readonly axes: readonly Predicted[] | undefined;
}

interface State {
  even: Even | undefined;
  last: Last | undefined;
  reference: Reference | undefined;
  /** The first frame, and the reference before the last beginning. */
  earlier: readonly Reference[];
  first: First | undefined;
  /** Frames since the last one placed. */
  missed: number;
  unplaced: Unplaced | undefined;
  anchor: number;
}

/** The newest frame that could not be placed. */
interface Unplaced {
  readonly levelled: Levelled;
  readonly guess: Move;
  /** How many in a row agree with each other, itself the last. */
  readonly agreeing: number;
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

const BEGIN: Placed = { row: 0, col: 0, angle: 0, own: NONE, covariance: NONE, confidence: 1, changeShare: 0, overlap: 1, jump: false }; // prettier-ignore

/** Frames that arrays are kept for, between one frame and the next. */
const MOST_SPARE = 3;
/** Pixels along a side, so that something is left within the rims. */
const SMALLEST = 24;
/** How far drift may be from even without being a jump. */
const JUMP_px = 4;
/** Of a jump: what no other place comes near by chance, in parts of `max_error`, or by how far it stands out. */
const BEYOND_DOUBT = 0.25;
const CLEAR = 12;
/** What positions scatter by about an even drift, at least. */
const EVENNESS_px = 0.02;

/** What frames may be turned by from one to the next, as a standard deviation: a degree at most. */
const TURN_rad = Math.PI / 180 / Math.sqrt(3);

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
      ([name, { kind }]) =>
        name !== "data" && !(name in SHIFT) && !(name in ANCHOR) && kind !== "image" && kind !== "curve",
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
