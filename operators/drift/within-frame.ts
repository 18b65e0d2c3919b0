import {
  choice, code, curve, defineOperator, image, integer, quantity, scalar, WiringError, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import {
  driftAndCreep, evenDrift, fitCourse, fitNewer, lineTime, prepare, shiftAt, straightened, unevenDrift, varianceAt,
  type Course, type CourseFit, type Frame, type Lines, type Scan,
} from "./within-frame-fit.ts"; // prettier-ignore

/**
 * Drift while a frame is scanned, from each frame and the one before it; best from one scanned up and one scanned down.
 *
 *     line k of a frame shows the sample at k + s_row(t_k), its column c at c + s_col(t_k)
 *     s(t) = v t + a ln(1 + t/τ) + δ(t)
 *
 *     t_k  when the line was scanned; of an upward and a downward frame the lines at the turn meet at once, those at the
 *          other end two frame durations apart: so the drift shows as a stretch of one frame against the other
 *     v    drift [px per frame duration], a amplitude of the creep after a move [px], τ `creep_time`
 *     δ    deviation of the newest frame's lines from the even course, smooth over `line_span` lines and of the size of
 *          `deviation`
 *
 * `drift` has the mean velocity over the newest frame, which two frames determine much better than v and a each. `lines`
 * has s of each line, counted from the begin of the first frame and chained from frame to frame, so its error grows from
 * frame to frame: over hours drift/images is the better one. `straight` is the newest frame on an even grid, as if the
 * scanner had stood still on the sample since the begin of the first frame.
 *
 * v and a are those that make both frames alike. Then the newest frame is followed line by line against the older one, whose
 * lines are taken as known: of a first pair by v and a, later as they were found. So what moved unevenly in the first frame
 * of all is ascribed to the second; two frames cannot tell.
 *
 * Both frames may differ by what grew on up to a third of them (robust weights); what stretches both alike (a wrong
 * calibration of the scanner) does not show. Holds for drifts up to `max_drift`. Kernel: within-frame-fit.ts.
 *
 * Reference: Ophus, Ciston & Nelson, Ultramicroscopy 162, 1 (2016), for pairs scanned in different directions.
 */
export const withinFrame = defineOperator({
  name: "drift/within-frame",
  doc: "Drift while a frame is scanned, line by line, from an upward and a downward scan, and the frame without it",
  input: {
    images: {
      slow_scan: code({ optional: true }),
      duration: scalar("s", { optional: true }),
      direction: code({ optional: true }),
    },
  },
  output: ({ images }, { scan }) => {
    const data = (images as Fields)["data"];
    if (data?.kind !== "image")
      throw new WiringError(`images needs a column data of images; it has ${Object.keys(images).join(", ") || "no columns"}`); // prettier-ignore
    if (scan === "stream" && !("slow_scan" in images))
      throw new WiringError("images does not say which way its frames were scanned (column slow_scan); set scan to alternating, up or down"); // prettier-ignore
    return {
      drift: DRIFT,
      lines: LINES,
      straight: { data: image(data.unit, { ...(data.shape && { shape: data.shape }) }), valid: DRIFT.valid },
    };
  },
  config: {
    scan: choice(["stream", "alternating", "up", "down"], "stream", {
      doc: "which way frames are scanned: as their column slow_scan says; up, down, up, …; always up (row 0 first); always down",
    }),
    max_drift: quantity("{px}", 8, {
      min: 1,
      max: 64,
      doc: "per frame duration: how far the first search looks",
    }),
    creep_time: quantity("s", NaN, {
      min: 1e-6,
      doc: "time constant of the scanner's creep after the move before the first frame; not given: no creep",
    }),
    line_span: integer(32, { min: 8, doc: "lines over which their deviation from the even course is smooth" }),
    deviation: quantity("{px}", 0.5, {
      min: 0,
      doc: "expected size of that deviation; 0: only the even course",
    }),
    min_confidence: quantity("1", 0.3, { min: 0, max: 1, doc: "two frames that correlate less are no pair" }),
    min_overlap: quantity("1", 0.3, { min: 0.2, max: 1, doc: "share of the frame that both must show" }),
  },
  start(config, { inputs }) {
    const { fields, metadata } = inputs.images as { fields: Fields; metadata: Record<string, string> };
    const [rows, cols] = fields["data"]!.shape as [number, number];
    const pixel_m = { row: Number(metadata["pixel_size_y"] ?? NaN), col: Number(metadata["pixel_size_x"] ?? NaN) };
    const deviations = config.deviation > 0 ? Math.max(1, Math.round(rows / config.line_span)) : 0;
    const straight = new Float32Array(rows * cols);
    let last: Last | undefined;
    let count = 0;
    let direction = -1;

    /** 1 down, 0 up, undefined where it is not known. */
    const downwards = (told: number | undefined): boolean | undefined => {
      if (config.scan === "alternating") return count % 2 === 1;
      if (config.scan !== "stream") return config.scan === "down";
      return told === 0 || told === 1 ? told === 1 : undefined;
    };

    /** The course of the newest frame, counted from the begin of the first of its chain. */
    function followed(before: Last, frame: Frame, fit: CourseFit, course: Course, scans: { older: Scan; newer: Scan }): Followed {
      const { start, length } = scans.newer;
      const [row, col] = shiftAt(course, fit.theta, start);
      const [row_var, col_var] = varianceAt(course, fit, start);
      // Of a first pair both frames are known by their common course; later the older one by what was found before.
      let older: Lines;
      let begin: Place;
      if (before.known) {
        const [rowThen, colThen] = shiftAt(course, fit.theta, scans.older.start + scans.older.length);
        older = before.known;
        begin = { ...before, row: before.row + row - rowThen, col: before.col + col - colThen };
      } else {
        const at = Array.from({ length: rows }, (_, k) => shiftAt(course, fit.theta, lineTime(scans.older, k, rows)));
        older = { row: Float64Array.from(at, ([r]) => r), col: Float64Array.from(at, ([, c]) => c) };
        begin = { row, col, row_var, col_var };
      }
      const even = { course, fit, zero: { row: begin.row - row, col: begin.col - col }, variance: before.known ? begin : NOWHERE };
      let used: typeof even = even;
      if (deviations > 0) {
        const own = unevenDrift(scans.newer, deviations, config.deviation);
        const known = { row: older.row.map((r) => r - begin.row), col: older.col.map((c) => c - begin.col) };
        const [rowEnd, colEnd] = shiftAt(course, fit.theta, start + length);
        const mean = { row: rowEnd - row, col: colEnd - col };
        const found = fitNewer(before.frame, frame, rows, cols, scans, own, known, mean);
        if (found) used = { course: own, fit: found, zero: begin, variance: begin };
      }
      return {
        ...used,
        even: used === even,
        at(t) {
          const [r, c] = shiftAt(used.course, used.fit.theta, t);
          const [vr, vc] = varianceAt(used.course, used.fit, t);
          return { row: used.zero.row + r, col: used.zero.col + c, row_var: used.variance.row_var + vr, col_var: used.variance.col_var + vc };
        },
      };
    }

    return {
      step({ images }, out) {
        for (let i = 0; i < images.length; i++) {
          if (images.direction) {
            if (direction < 0) direction = images.direction[i]!;
            if (images.direction[i] !== direction) continue;
          }
          const { time, seconds, data } = images.at(i) as unknown as { time: bigint; seconds: number; data: Float32Array };
          const frame = prepare(data, rows, cols);
          const down = downwards(images.slow_scan?.[i]);
          count++;
          const told = images.duration?.[i] ?? NaN;
          const before = last;
          const length = told > 0 ? told : before ? seconds - before.end : NaN;
          const here: Last = { frame, end: seconds, length: told > 0 ? told : NaN, down, since: 0, known: undefined, row: 0, col: 0, row_var: 0, col_var: 0 };
          if (!before) {
            last = here;
            continue;
          }
          const wrong = unusable(frame) ?? unusable(before.frame) ?? (down === undefined || before.down === undefined ? UNKNOWN_SCAN : length > 0 ? undefined : UNKNOWN_SCAN);
          const older_s = before.length > 0 ? before.length : length;
          const scans = {
            older: { start: 0, length: older_s / length, up: !before.down },
            newer: { start: (seconds - length - (before.end - older_s)) / length, length: 1, up: !down },
          };
          const course: Course = Number.isNaN(config.creep_time) ? evenDrift
            : driftAndCreep(config.creep_time / length, before.since / length); // prettier-ignore
          const fit = wrong === undefined ? fitCourse(before.frame, frame, rows, cols, scans, course, config.max_drift) : undefined;
          const valid = wrong ?? (!fit ? NO_FIT : fit.confidence < config.min_confidence ? UNLIKE : fit.overlap < config.min_overlap ? LITTLE_OVERLAP : FITTED);
          if (!fit || valid !== FITTED) {
            out.fault(time, `the drift within this frame is not known: ${REASONS[valid]}; lines are counted from this frame on`);
            out.drift.add({ time, ...NO_DRIFT, confidence: fit?.confidence ?? NaN, overlap: fit?.overlap ?? NaN, valid });
            out.lines.add({ time, ...noLines(rows) });
            out.straight.add({ time, data: straight.fill(NaN), valid });
            last = here;
            continue;
          }
          out.drift.add({ time, ...described(fit, course, scans.newer, pixel_m, length), valid });
          const newest = followed(before, frame, fit, course, scans);
          if (newest.even && deviations > 0)
            out.fault(time, "the lines of this frame cannot be followed one by one: they are given by the even course, without deviations");
          const lines = perLine(rows, newest, scans.newer, length, pixel_m);
          out.lines.add({ time, ...lines });
          straightened(data, rows, cols, scans.newer, newest.course, newest.fit.theta, newest.zero, straight);
          out.straight.add({ time, data: straight, valid });
          const end = scans.newer.start + scans.newer.length;
          last = {
            ...here, length, since: before.since + length * scans.newer.start,
            known: { row: lines.shift_row, col: lines.shift_col }, ...newest.at(end),
          };
        }
      },
      save: () => structuredClone({ last, count, direction }),
      load: (saved: { last: Last | undefined; count: number; direction: number }) => void ({ last, count, direction } = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const FITTED = 0, FLAT = 1, FEW_PIXELS = 2, UNKNOWN_SCAN = 3, NO_FIT = 4, UNLIKE = 5, LITTLE_OVERLAP = 6; // prettier-ignore
const REASONS: Record<number, string> = {
  [FITTED]: "fitted",
  [FLAT]: "one of both frames is flat",
  [FEW_PIXELS]: "one of both frames is mostly NaN",
  [UNKNOWN_SCAN]: "which way a frame was scanned, or for how long, is not known",
  [NO_FIT]: "no drift within max_drift makes both alike",
  [UNLIKE]: "both frames correlate less than min_confidence",
  [LITTLE_OVERLAP]: "both frames have less than min_overlap in common",
};

const px = (doc: string, uncertainty?: string) =>
  scalar("{px}", { doc, ...(uncertainty && { uncertainty }) });
const DRIFT = {
  velocity_row: px("mean over the frame, rows from 0 up, per frame duration", "velocity_row_se"),
  velocity_row_se: scalar("{px}"),
  velocity_col: px("mean over the frame, per frame duration", "velocity_col_se"),
  velocity_col_se: scalar("{px}"),
  velocity_x: scalar("m/s", { uncertainty: "velocity_x_se", doc: "of the place under the tip over the sample" }),
  velocity_x_se: scalar("m/s"),
  velocity_y: scalar("m/s", { uncertainty: "velocity_y_se" }),
  velocity_y_se: scalar("m/s"),
  creep_row: px("amplitude a of the creep; NaN where it is not fitted", "creep_row_se"),
  creep_row_se: scalar("{px}"),
  creep_col: px("amplitude a of the creep", "creep_col_se"),
  creep_col_se: scalar("{px}"),
  confidence: scalar("1", { doc: "correlation of this frame with the one before, drift taken off" }),
  overlap: scalar("1", { doc: "share of the frame that both show" }),
  valid: code({ codes: REASONS, doc: "0 where it was fitted, else why not" }),
} as const; // prettier-ignore

const LINES = {
  before_end: curve("s", {
    doc: "of each line, row 0 first: how long before the frame's time it was scanned",
  }),
  shift_row: curve("{px}", { doc: "where the line looked, against the begin of the first frame" }),
  shift_row_se: curve("{px}"),
  shift_col: curve("{px}"),
  shift_col_se: curve("{px}"),
  shift_x: curve("m", { doc: "shift_col × pixel size" }),
  shift_y: curve("m", { doc: "shift_row × pixel size" }),
} as const;

interface Last extends Place {
  readonly frame: Frame;
  /** s since the origin. */
  readonly end: number;
  /** s; NaN where not known. */
  readonly length: number;
  readonly down: boolean | undefined;
  /** s from the begin of the first frame of the chain to its own. */
  readonly since: number;
  /** Where its lines looked; not yet known of the first of a chain. Its place is that at its end. */
  readonly known: Lines | undefined;
}

/** A shift against the begin of the first frame, px, and its variances, px². */
interface Place {
  readonly row: number;
  readonly col: number;
  readonly row_var: number;
  readonly col_var: number;
}
const NOWHERE: Place = { row: 0, col: 0, row_var: 0, col_var: 0 };

interface Followed {
  readonly course: Course;
  readonly fit: CourseFit;
  /** What the course counts from. */
  readonly zero: { readonly row: number; readonly col: number };
  /** It knows of no deviations of the lines. */
  readonly even: boolean;
  at(t: number): Place;
}

const unusable = ({ rms, share }: Frame): number | undefined =>
  share < 0.5 ? FEW_PIXELS : rms > 0 ? undefined : FLAT;

const NO_DRIFT = {
  velocity_row: NaN, velocity_row_se: NaN, velocity_col: NaN, velocity_col_se: NaN, velocity_x: NaN, velocity_x_se: NaN,
  velocity_y: NaN, velocity_y_se: NaN, creep_row: NaN, creep_row_se: NaN, creep_col: NaN, creep_col_se: NaN,
}; // prettier-ignore

function noLines(rows: number) {
  const none = new Float64Array(rows).fill(NaN);
  return { before_end: none, shift_row: none, shift_row_se: none, shift_col: none, shift_col_se: none, shift_x: none, shift_y: none }; // prettier-ignore
}

function described(
  fit: CourseFit, course: Course, newer: Scan, pixel_m: { row: number; col: number }, length_s: number,
) {
  const { theta, covariance, confidence, overlap } = fit;
  const n = theta.length;
  const mean = (axis: 0 | 1): [number, number] => {
    // Of each term what it contributes from the begin to the end of the newest frame.
    const by = Array.from({ length: course.terms }, (_, j) => course.value(j, newer.start + newer.length) - course.value(j, newer.start));
    let [value, variance] = [0, 0];
    for (const [i, bi] of by.entries()) {
      value += bi * theta[axis * course.terms + i]!;
      for (const [j, bj] of by.entries()) variance += bi * bj * covariance[(axis * course.terms + i) * n + axis * course.terms + j]!;
    }
    return [value, Math.sqrt(variance)];
  };
  const [[row, row_se], [col, col_se]] = [mean(0), mean(1)];
  const creep = (axis: 0 | 1): [number, number] => {
    const at = axis * course.terms + 1;
    return course.terms > 1 ? [theta[at]!, Math.sqrt(covariance[at * n + at]!)] : [NaN, NaN];
  };
  const [[creep_row, creep_row_se], [creep_col, creep_col_se]] = [creep(0), creep(1)];
  const [y, x] = [pixel_m.row / length_s, pixel_m.col / length_s];
  return {
    velocity_row: row, velocity_row_se: row_se, velocity_col: col, velocity_col_se: col_se,
    velocity_x: col * x, velocity_x_se: col_se * x, velocity_y: row * y, velocity_y_se: row_se * y,
    creep_row, creep_row_se, creep_col, creep_col_se, confidence, overlap,
  };
} // prettier-ignore

function perLine(rows: number, newest: Followed, scan: Scan, length_s: number, pixel_m: { row: number; col: number }) {
  const column = () => new Float64Array(rows);
  const lines = { before_end: column(), shift_row: column(), shift_row_se: column(), shift_col: column(), shift_col_se: column(), shift_x: column(), shift_y: column() };
  for (let k = 0; k < rows; k++) {
    const t = lineTime(scan, k, rows);
    const { row, col, row_var, col_var } = newest.at(t);
    lines.before_end[k] = (scan.start + scan.length - t) * length_s;
    lines.shift_row[k] = row;
    lines.shift_row_se[k] = Math.sqrt(row_var);
    lines.shift_col[k] = col;
    lines.shift_col_se[k] = Math.sqrt(col_var);
    lines.shift_x[k] = col * pixel_m.col;
    lines.shift_y[k] = row * pixel_m.row;
  }
  return lines;
} // prettier-ignore
