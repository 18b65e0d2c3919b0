import type { Levelled, LevelledRoom } from "./level.ts";
import type { Frame } from "./refine.ts";
import { relativeTo, turnedBy } from "./moves.ts";
import { middleOf, pointIn, shifted, turned, type Move, type Part } from "./spline.ts";

/** A reference that goes along with what it shows. */
export interface Renewed {
  readonly levelled: Levelled;
  /** Its own move against the first frame. */
  readonly origin: Move;
}

/**
 * The reference, renewed by a frame that was placed on it:
 *
 *     reference += renewal · (frame, moved onto it, less reference, less its mean over the line)      where both are known
 *
 * and by the frame alone where the reference was not known. So what grows is taken up slowly, and offsets of lines are
 * not. It is written into arrays that are given, other ones than its own. Where the frame has moved by more than an eighth of its size the reference follows by whole pixels.
 */
export function renew(
  { levelled, origin }: Renewed, frame: Frame, move: Move, rows: number, cols: number, renewal: number, { values, known }: LevelledRoom, room: Float64Array,
): Renewed {
  const before = relativeTo(origin, move);
  const along = { row: follow(before.row, rows / 8), col: follow(before.col, cols / 8) };
  if (along.row !== 0 || along.col !== 0) {
    values.fill(0);
    known.fill(0);
  }
  const top = Math.max(0, -along.row), left = Math.max(0, -along.col);
  const width = Math.max(0, cols - Math.abs(along.col));
  for (let r = top; r < Math.min(rows, rows - along.row); r++) {
    const from = (r + along.row) * cols + left + along.col;
    values.set(levelled.values.subarray(from, from + width), r * cols + left);
    known.set(levelled.known.subarray(from, from + width), r * cols + left);
  }
  const placed = { row: before.row - along.row, col: before.col - along.col, angle: before.angle };
  const followed = turnedBy(origin.angle, along);
  const middle = middleOf(rows, cols);
  const part: Part = placed.angle === 0 ? common(rows, cols, placed) : { top: 0, left: 0, height: rows, width: cols };
  const seen = room.subarray(0, part.height * part.width);
  if (placed.angle === 0) shifted(frame.spline, rows, cols, part.top - placed.row, part.left - placed.col, part, seen);
  else turned(frame.spline, rows, cols, middle, placed, part, seen);
  if (frame.known) {
    // Next to what is missing the spline is not to be trusted.
    const point = pointIn(middle, placed);
    for (let r = 0, i = 0; r < part.height; r++) {
      for (let c = 0; c < part.width; c++, i++) {
        const [y, x] = point(part.top + r, part.left + c);
        if (frame.known[Math.round(y) * cols + Math.round(x)] !== 1) seen[i] = NaN;
      }
    }
  }
  for (let r = 0; r < part.height; r++) {
    const first = r * part.width;
    const there = (part.top + r) * cols + part.left - first;
    let sum = 0, n = 0;
    for (let i = first; i < first + part.width; i++) {
      const apart = known[there + i] ? seen[i]! - values[there + i]! : NaN;
      if (apart !== apart) continue;
      sum += apart;
      n++;
    }
    const offset = n > 0 ? sum / n : 0;
    for (let i = first, k = there + first; i < first + part.width; i++, k++) {
      const fresh = seen[i]! - offset;
      if (fresh !== fresh) continue;
      values[k] = known[k] ? values[k]! + renewal * (fresh - values[k]!) : fresh;
      known[k] = 1;
    }
  }
  let count = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    count += known[i]!;
    squares += values[i]! * values[i]!;
  }
  return {
    levelled: { values, known, rms: Math.sqrt(squares / Math.max(1, count)), share: count / values.length },
    origin: { row: origin.row + followed.row, col: origin.col + followed.col, angle: origin.angle },
  };
} // prettier-ignore

/** What a frame that is moved shows of the reference. */
function common(rows: number, cols: number, { row, col }: Move): Part {
  const top = Math.max(0, Math.ceil(row));
  const left = Math.max(0, Math.ceil(col));
  const height = Math.floor(Math.min(rows - 1, rows - 1 + row)) - top + 1;
  const width = Math.floor(Math.min(cols - 1, cols - 1 + col)) - left + 1;
  return { top, left, height: Math.max(0, height), width: Math.max(0, width) };
}

const follow = (away: number, most: number): number => (Math.abs(away) > most ? Math.round(away) : 0);
