import { select } from "../image/order-statistics.ts";
import { medianOf } from "./level.ts";
import { coarserOf, FAR, finestOf, NEAR, octaveRoom, type Octave, type Slopes } from "./octaves.ts";
import { inverseOf, sandwich, scoreBlocks, scoreCovariance } from "./score-covariance.ts";
import { middleOf, pointIn, shifted, turned, type Move, type Part } from "./spline.ts";

/** What a frame is compared with. */
export interface Reference {
  readonly values: Float64Array;
  /** Every second pixel of it, smoothed. */
  readonly half: Float64Array;
  /** 1 where it has a value; undefined where it has one everywhere. */
  readonly known: Uint8Array | undefined;
  readonly slopes: readonly Slopes[];
}

/** What is compared. */
export interface Frame {
  readonly spline: Float64Array;
  /** Of every second pixel, smoothed. */
  readonly halfSpline: Float64Array;
  /** 1 where it has a value, and nothing missing next to it; undefined where nothing is missing at all. */
  readonly known: Uint8Array | undefined;
}

export interface Registration extends Move {
  /** Covariance of row [px] and col [px], and of the angle [rad] where it was estimated. */
  readonly covariance: readonly (readonly number[])[];
  /** Correlation of frame and reference where nothing has changed, offsets of lines taken off; 1 for the same picture. */
  readonly confidence: number;
  /** Share of what both show that differs by more than the noise, offsets of lines and columns taken off. */
  readonly changeShare: number;
  /** Share of the frame that the reference shows too. */
  readonly overlap: number;
}

export interface RefineOptions {
  /** Whether each line has an offset of its own. */
  readonly lineOffsets: boolean;
  /** Whether the frame may be turned too. */
  readonly turning: boolean;
}

/**
 * The shift (and turn) to a hundredth of a pixel and better, from one that is right to about a pixel, on a surface that
 * changes meanwhile:
 *
 *     Σ_j Σ_x w_j(x) ( e_j(x) - o_j(row) - g_j(x) · δ )²  →  min        x  pixel of octave j
 *
 *     e   frame, moved by the present shift, less the reference       δ   what the shift is wrong by
 *     g   slopes of the reference                                     o   offset of each line, of no interest
 *     w_j = 1 / (σ_j² (1 + (v_j / σ_j² - 2)₊))                        σ_j  noise in the octave, from the first quartile of the residual
 *     v_j   mean of the squared residual over 7 × 7 pixels
 *
 * What grows is smooth: it fills long waves and leaves the short ones, so an octave counts by what the frames differ by
 * in it. And it is local: where they differ by more than elsewhere, pixels count less. No mask is drawn, no threshold
 * says what has grown. Octaves that no change has reached keep all they know.
 *
 * Slopes of a noisy reference are too steep by their noise. The frame's own noise is independent of it, so the part of
 * the slopes that the frame has as well, Σ w g g_frame / Σ w g², says by how much, for each octave and axis; where it is
 * not distinct from none, nothing is taken from there. So a surface without texture along one axis has no shift
 * along it rather than a precise wrong one.
 *
 * Standard errors are from the sums of residual × slope over windows of the frame, which holds for residuals that are
 * not independent and not equal, times 1.1, since the weights answer to the residuals too. To them 0.001 px are added
 * for interpolation (cubic spline; measured without noise: 0.0003 px).
 *
 * Undefined where it does not settle. Reference: Baker & Matthews, Int. J. Comput. Vis. 56, 221 (2004), section 3.2.
 */
export function makeRefiner(rows: number, cols: number, { lineOffsets, turning }: RefineOptions) {
  const room = octaveRoom(rows, cols);
  const coarsest = 1 << (room.length - 1);
  const unknowns = turning ? 3 : 2;
  const lever = (rows + cols) / 4; // the angle counts in pixels at this distance, so that all unknowns are alike
  const [halfRows, halfCols] = [(rows + 1) >> 1, (cols + 1) >> 1];
  const middle = middleOf(rows, cols);
  const halfMiddle = { row: middle.row / 2, col: middle.col / 2 };
  const residual = new Float64Array(rows * cols);
  const halfResidual = new Float64Array(halfRows * halfCols);
  const lines = new Float64Array(rows * cols);
  const line = new Float64Array(cols);
  const column = new Float64Array(cols);
  const changed = new Uint8Array(halfRows * halfCols);
  const sample = new Float64Array(Math.max(SAMPLE, rows, cols));
  const weight = room.map(({ detail }) => new Float64Array(detail.length));
  const seenIn = room.map(({ detail }) => new Uint8Array(detail.length));
  // Of each line of each octave, by the weights: mean of residual and slopes, and what the offset is.
  const means = room.map((_, j) => Array.from({ length: 4 }, () => new Float64Array((rows >> j) + 1)));
  const offsets = room.map((_, j) => new Float64Array((rows >> j) + 1));

  /** `sure`: the start is right to a few hundredths of a pixel. */
  return function refine(
    reference: Reference,
    frame: Frame,
    start: Move,
    sure = false,
  ): Registration | undefined {
    let near = start;
    for (let attempt = 0; attempt < 4; attempt++) {
      const found = settle(reference, frame, near, sure && attempt === 0);
      if (!found) return undefined;
      if (!("again" in found)) return found;
      near = found.again;
      if (Math.hypot(near.row - start.row, near.col - start.col) > 6) return undefined;
    }
    return undefined;
  };

  /** `again` where the shift left the part that was compared. */
  function settle(
    reference: Reference,
    frame: Frame,
    start: Move,
    sure: boolean,
  ): Registration | { again: Move } | undefined {
    // Octaves of the part lie on those of the reference. What smoothing took from beyond a rim is left out, and a
    // pixel is to spare for the shift to settle.
    const from = (shift: number): number => Math.ceil((RIM + Math.max(0, shift + 1)) / coarsest) * coarsest;
    const part: Part = {
      top: from(start.row),
      left: from(start.col),
      height: Math.floor(rows - RIM + Math.min(0, start.row - 1)) - from(start.row),
      width: Math.floor(cols - RIM + Math.min(0, start.col - 1)) - from(start.col),
    };
    const { top, left, height, width } = part;
    if (height < 8 || width < 8) return undefined;
    const halfPart: Part = {
      top: top / 2,
      left: left / 2,
      height: (height + 1) >> 1,
      width: (width + 1) >> 1,
    };
    let { row, col, angle } = start;
    let seen: readonly Uint8Array[] | undefined;
    let octaves: Octave[] = [];
    /** The first octave that is compared: at first the second, which is a quarter of the work. */
    let finest = 1;
    let normal: number[][] = [];
    let known = 0;
    const noise = new Float64Array(room.length);
    /** By octave: by how much to shrink the slopes, down and right. */
    const shrink = room.map(() => [1, 1]);
    const step = [0, 0, 0];
    const inReference = (j: number, r: number): number =>
      ((top >> j) + r) * reference.slopes[j]!.cols + (left >> j);
    /** How far a pixel of an octave is from the middle of the frame, in parts of the lever. */
    const leverRow = (j: number, r: number): number => (top + (r << j) - (rows - 1) / 2 - row) / lever;
    const leverCol = (j: number, c: number): number => (left + (c << j) - (cols - 1) / 2 - col) / lever;

    const begun = sure ? 1 : 0;
    for (let pass = begun; pass < 10; pass++) {
      if (pass === 1) finest = 0;
      compare();
      if (pass === begun) for (let j = 1; j < room.length; j++) begin(j);
      if (pass === 1) {
        begin(0);
        share(0, FIRST_ROWS);
        // Where pixels are small against the tip, the first octave is noise alone.
        if (shrink[0]!.every((x) => x === 0)) finest = 1;
      }
      // Weights answer to what the step leaves; those of the pass before are a begin, which a sure start has not.
      for (let k = pass === begun && sure ? 0 : 1; k < 2; k++) {
        if (!solve()) return undefined;
        weigh();
      }
      for (let j = finest; j < room.length; j++) share(j);
      const inverse = solve();
      if (!inverse) return undefined;
      row += step[0]!;
      col += step[1]!;
      angle += step[2]! / lever;
      const aside = Math.hypot(row - start.row, col - start.col);
      if (!(aside < 3)) return undefined;
      if (aside > 1 && !turning) return { again: { row, col, angle } };
      if (pass > 0 && Math.hypot(step[0]!, step[1]!, step[2]!) < SETTLED_px) return registration(inverse);
    }
    return undefined;

    /** Octaves of what frame and reference differ by; where either is not known, they do not. */
    function compare(): void {
      const move = { row, col, angle };
      if (turning || frame.known || reference.known) {
        seen = seenIn;
        markSeen(move);
      } else known = height * width;
      if (finest === 0) {
        if (turning) turned(frame.spline, rows, cols, middle, move, part, residual);
        else shifted(frame.spline, rows, cols, top - row, left - col, part, residual);
        difference(residual, reference.values, cols, part, seen?.[0]);
      }
      const halfMove = { row: row / 2, col: col / 2, angle };
      if (turning) turned(frame.halfSpline, halfRows, halfCols, halfMiddle, halfMove, halfPart, halfResidual);
      else shifted(frame.halfSpline, halfRows, halfCols, (top - row) / 2, (left - col) / 2, halfPart, halfResidual);
      difference(halfResidual, reference.half, halfCols, halfPart, seen?.[1]);
      octaves = coarserOf(halfResidual, height, width, room);
      octaves.unshift(finest === 0 ? finestOf(residual, height, width, room) : { ...octaves[0]!, rows: 0 });
    } // prettier-ignore

    /** Takes the reference off, and of each line the mean. */
    function difference(from: Float64Array, values: Float64Array, across: number, { top, left, height, width }: Part, both: Uint8Array | undefined): void {
      for (let r = 0; r < height; r++) {
        const first = r * width;
        const last = first + width;
        let there = (top + r) * across + left;
        let sum = 0;
        let n = width;
        if (both) {
          n = 0;
          for (let i = first; i < last; i++, there++) {
            from[i] = both[i] ? from[i]! - values[there]! : 0;
            sum += from[i]!;
            n += both[i]!;
          }
        } else {
          for (let i = first; i < last; i++, there++) {
            const e = from[i]! - values[there]!;
            from[i] = e;
            sum += e;
          }
        }
        const mean = lineOffsets && n > 0 ? sum / n : 0;
        for (let i = first; i < last; i++) from[i] = both && !both[i] ? 0 : from[i]! - mean;
      }
    } // prettier-ignore

    /** First weights of an octave: pixels count alike. */
    function begin(j: number): void {
      const { values } = octaves[j]!;
      const every = sampled(values.length);
      let taken = 0;
      for (let i = 0; i < values.length && taken < SAMPLE; i += every)
        if (!seen || seen[j]![i]) sample[taken++] = values[i]! * values[i]!;
      setNoise(j, taken);
      weight[j]!.fill(1 / noise[j]!);
      if (seen) blank(j);
    }

    /** A pixel of an octave is seen where the four below it are. */
    function markSeen(move: Move): void {
      const point = pointIn(middle, move);
      known = 0;
      for (let r = 0, i = 0; r < height; r++) {
        let [y, x] = point(top + r, left) as [number, number];
        const [down, right] = [-Math.sin(move.angle), Math.cos(move.angle)];
        const there = (top + r) * cols + left;
        for (let c = 0; c < width; c++, i++, y += down, x += right) {
          const m = Math.round(y), n = Math.round(x); // prettier-ignore
          const inside = m >= RIM && m < rows - RIM && n >= RIM && n < cols - RIM;
          const both = inside && (!frame.known || frame.known[m * cols + n] === 1) && (!reference.known || reference.known[there + c] === 1);
          seenIn[0]![i] = both ? 1 : 0;
          if (both) known++;
        }
      }
      let [h, w] = [height, width];
      for (let j = 1; j < room.length; j++) {
        const [finer, own] = [seenIn[j - 1]!, seenIn[j]!];
        const [h2, w2] = [(h + 1) >> 1, (w + 1) >> 1];
        for (let r = 0; r < h2; r++) {
          const [a, b] = [2 * r * w, Math.min(h - 1, 2 * r + 1) * w];
          for (let c = 0; c < w2; c++) {
            const d = Math.min(w - 1, 2 * c + 1);
            own[r * w2 + c] = finer[a + 2 * c]! & finer[a + d]! & finer[b + 2 * c]! & finer[b + d]!;
          }
        }
        [h, w] = [h2, w2];
      }
    } // prettier-ignore

    /** The normal equations, each line's offset taken out; `step` from them, and their inverse. */
    function solve(): number[][] | undefined {
      let aa = 0, ab = 0, bb = 0, ae = 0, be = 0, at = 0, bt = 0, tt = 0, te = 0; // prettier-ignore
      for (let j = finest; j < octaves.length; j++) {
        const { values, rows: h, cols: w } = octaves[j]!;
        const { down, right } = reference.slopes[j]!;
        const [p, q] = shrink[j] as [number, number];
        const W = weight[j]!;
        const [meanE, meanA, meanB, meanT] = means[j] as [Float64Array, Float64Array, Float64Array, Float64Array];
        for (let r = 0; r < h; r++) {
          const first = r * w;
          let g = inReference(j, r);
          let sw = 0, se = 0, sa = 0, sb = 0, saa = 0, sab = 0, sbb = 0, sae = 0, sbe = 0; // prettier-ignore
          for (let i = first; i < first + w; i++, g++) {
            const k = W[i]!, e = values[i]!, a = down[g]!, b = right[g]!, ka = k * a, kb = k * b; // prettier-ignore
            sw += k;
            se += k * e;
            sa += ka;
            sb += kb;
            saa += ka * a;
            sab += ka * b;
            sbb += kb * b;
            sae += ka * e;
            sbe += kb * e;
          }
          const one = lineOffsets && sw > 0 ? 1 / sw : 0;
          aa += p * p * (saa - sa * sa * one);
          ab += p * q * (sab - sa * sb * one);
          bb += q * q * (sbb - sb * sb * one);
          ae += p * (sae - sa * se * one);
          be += q * (sbe - sb * se * one);
          meanE[r] = se * one;
          meanA[r] = p * sa * one;
          meanB[r] = q * sb * one;
          if (!turning) continue;
          let st = 0, sat = 0, sbt = 0, stt = 0, ste = 0; // prettier-ignore
          const Y = q * leverRow(j, r);
          g -= w;
          for (let c = 0; c < w; c++, g++) {
            const k = W[first + c]!, a = p * down[g]!, b = q * right[g]!; // prettier-ignore
            const t = a * leverCol(j, c) - right[g]! * Y;
            st += k * t;
            sat += k * a * t;
            sbt += k * b * t;
            stt += k * t * t;
            ste += k * t * values[first + c]!;
          }
          at += sat - p * sa * st * one;
          bt += sbt - q * sb * st * one;
          tt += stt - st * st * one;
          te += ste - st * se * one;
          meanT[r] = st * one;
        }
      }
      normal = turning ? [[aa, ab, at], [ab, bb, bt], [at, bt, tt]] : [[aa, ab], [ab, bb]]; // prettier-ignore
      const inverse = inverseOf(normal);
      if (!inverse) return undefined;
      const score = [ae, be, te];
      inverse.forEach((line, i) => (step[i] = line.reduce((sum, x, k) => sum + x * score[k]!, 0)));
      for (let j = finest; j < octaves.length; j++) {
        const [meanE, meanA, meanB, meanT] = means[j] as [Float64Array, Float64Array, Float64Array, Float64Array];
        for (let r = 0; r < octaves[j]!.rows; r++) {
          offsets[j]![r] = meanE[r]! - meanA[r]! * step[0]! - meanB[r]! * step[1]! - (turning ? meanT[r]! * step[2]! : 0);
        }
      }
      return inverse;
    } // prettier-ignore

    /** What the linear model leaves of an octave's line. */
    function leftOver(j: number, r: number, into: Float64Array): void {
      const { values, cols: w } = octaves[j]!;
      const { down, right } = reference.slopes[j]!;
      const [p, q] = shrink[j] as [number, number];
      const [x, y] = [p * step[0]!, q * step[1]!];
      const offset = offsets[j]![r]!;
      let g = inReference(j, r);
      const first = r * w;
      if (!turning) {
        for (let c = 0; c < w; c++, g++) into[c] = values[first + c]! - offset - x * down[g]! - y * right[g]!;
        return;
      }
      const Y = leverRow(j, r);
      for (let c = 0; c < w; c++, g++) {
        const a = p * down[g]!, b = q * right[g]!; // prettier-ignore
        into[c] = values[first + c]! - offset - a * step[0]! - b * step[1]! - (a * leverCol(j, c) - b * Y) * step[2]!;
      }
    } // prettier-ignore

    /** Noise from the quartile of squares of what is left, which holds until three quarters have changed. */
    function setNoise(j: number, taken: number): void {
      const quartile = taken > 0 ? select(sample.subarray(0, taken), taken >> 2) : 0;
      noise[j] = Math.max(
        quartile / QUARTILE_OF_SQUARE,
        LEAST * reference.slopes[j]!.energy * 4 ** j,
        Number.MIN_VALUE,
      );
    }

    /** What is not seen does not count. */
    function blank(j: number): void {
      const W = weight[j]!;
      const inOctave = seen![j]!;
      for (let i = 0; i < octaves[j]!.values.length; i++) if (!inOctave[i]) W[i] = 0;
    }

    function weigh(): void {
      for (let j = finest; j < octaves.length; j++) {
        const { rows: h, cols: w } = octaves[j]!;
        const inOctave = seen?.[j];
        const every = sampled(h * w);
        let taken = 0;
        for (let r = 0, next = 0; r < h; r++) {
          const first = r * w;
          leftOver(j, r, line);
          for (let c = 0; c < w; c++) line[c]! *= line[c]!;
          for (; next < first + w && taken < SAMPLE; next += every) if (!inOctave || inOctave[next]) sample[taken++] = line[next - first]!;
          boxAlong(line, w, lines, first);
        }
        setNoise(j, taken);
        weightsOf(lines, h, w, 1 / noise[j]!, column, weight[j]!);
        if (seen) blank(j);
      }
    } // prettier-ignore

    /** By how much the slopes of the reference are those of the frame too, means over lines taken off. */
    function share(j: number, fewer = 1): void {
      const { values: v, rows: h, cols: w, step: pixel } = octaves[j]!;
      const { down, right } = reference.slopes[j]!;
      const W = weight[j]!;
      const [near, far] = [NEAR / pixel, FAR / pixel];
      let aa = 0, ad = 0, bb = 0, bd = 0; // prettier-ignore
      const apart = h < fewer * FEW_ROWS ? 1 : fewer;
      for (let r = 2; r + 2 < h; r += apart) {
        let g = inReference(j, r) + 2;
        let sw = 0, sa = 0, sb = 0, sd = 0, se = 0, saa = 0, sbb = 0, sad = 0, sbe = 0; // prettier-ignore
        for (let i = r * w + 2; i < r * w + w - 2; i++, g++) {
          const k = W[i]!, ka = k * down[g]!, kb = k * right[g]!; // prettier-ignore
          const d = near * (v[i + w]! - v[i - w]!) - far * (v[i + 2 * w]! - v[i - 2 * w]!);
          const e = near * (v[i + 1]! - v[i - 1]!) - far * (v[i + 2]! - v[i - 2]!);
          sw += k;
          sa += ka;
          sb += kb;
          sd += k * d;
          se += k * e;
          saa += ka * down[g]!;
          sbb += kb * right[g]!;
          sad += ka * d;
          sbe += kb * e;
        }
        const one = lineOffsets && sw > 0 ? 1 / sw : 0;
        aa += saa - sa * sa * one;
        bb += sbb - sb * sb * one;
        ad += sad - sa * sd * one;
        bd += sbe - sb * se * one;
      }
      const n = (h * w * known) / (height * width * apart);
      const least = 6 / Math.sqrt(Math.max(1, n)); // three standard deviations, of slopes that lie two pixels apart
      const part = (own: number, other: number): number =>
        own > 0 && 1 + other / own > least ? Math.min(1, 1 + other / own) : 0;
      shrink[j] = [part(aa, ad), part(bb, bd)];
    }

    function registration(inverse: number[][]): Registration {
      const blocks = scoreBlocks(height, width, unknowns);
      const { bits, across } = blocks;
      const [sumA, sumB, sumT] = blocks.sums as [Float64Array, Float64Array, Float64Array];
      for (let j = finest; j < octaves.length; j++) {
        const { rows: h, cols: w } = octaves[j]!;
        const { down, right } = reference.slopes[j]!;
        const [p, q] = shrink[j] as [number, number];
        const W = weight[j]!;
        const [, meanA, meanB, meanT] = means[j] as [Float64Array, Float64Array, Float64Array, Float64Array];
        const side = Math.max(1, (1 << bits) >> j);
        for (let r = 0; r < h; r++) {
          leftOver(j, r, line);
          const a0 = meanA[r]!, b0 = meanB[r]!; // prettier-ignore
          const blocksOfRow = ((r << j) >> bits) * across;
          const first = r * w;
          const g = inReference(j, r);
          for (let c = 0; c < w; c++) line[c]! *= W[first + c]!;
          for (let from = 0; from < w; from += side) {
            const block = blocksOfRow + ((from << j) >> bits);
            const end = Math.min(w, from + side);
            let s = 0, sa = 0, sb = 0; // prettier-ignore
            for (let c = from; c < end; c++) {
              const score = line[c]!;
              s += score;
              sa += score * down[g + c]!;
              sb += score * right[g + c]!;
            }
            sumA[block]! += p * sa - a0 * s;
            sumB[block]! += q * sb - b0 * s;
          }
          if (!turning) continue;
          const t0 = meanT[r]!, Y = q * leverRow(j, r); // prettier-ignore
          for (let c = 0; c < w; c++) sumT[blocksOfRow + ((c << j) >> bits)]! += line[c]! * (p * down[g + c]! * leverCol(j, c) - right[g + c]! * Y - t0);
        }
      }
      const covariance = sandwich(inverse, scoreCovariance(blocks)).map((line, i) =>
        line.map((x, k) => (ANSWER ** 2 * x + (i === k ? INTERPOLATION_px ** 2 : 0)) / (i === 2 ? lever : 1) / (k === 2 ? lever : 1)),
      );
      return { row, col, angle, covariance, ...agreement(), overlap: (shared(rows, row) * shared(cols, col) * known) / (height * width) };
    } // prettier-ignore

    /** Share of what has changed, and correlation of the rest, on every second pixel. */
    function agreement(): { confidence: number; changeShare: number } {
      const { rows: h, cols: w } = octaves[1]!;
      markChanged(h, w);
      let rr = 0, rf = 0, ff = 0, all = 0, same = 0; // prettier-ignore
      for (let r = 0; r < h; r++) {
        const there = ((top >> 1) + r) * ((cols + 1) >> 1) + (left >> 1);
        let n = 0, sr = 0, sf = 0, srr = 0, srf = 0, sff = 0; // prettier-ignore
        for (let c = 0, i = r * w; c < w; c++, i++) {
          if (seen && !seen[1]![i]) continue;
          all++;
          if (changed[i]) continue;
          const x = reference.half[there + c]!;
          const y = x + halfResidual[i]!;
          n++;
          sr += x;
          sf += y;
          srr += x * x;
          srf += x * y;
          sff += y * y;
        }
        if (n === 0) continue;
        same += n;
        rr += srr - (sr * sr) / n;
        rf += srf - (sr * sf) / n;
        ff += sff - (sf * sf) / n;
      }
      return { confidence: rr > 0 && ff > 0 ? rf / Math.sqrt(rr * ff) : 0, changeShare: all > 0 ? 1 - same / all : NaN };
    } // prettier-ignore

    /** Sets `changed` to 1 where the difference, less offsets of lines and columns, is more than noise. */
    function markChanged(h: number, w: number): void {
      const level = lines.subarray(0, h * w);
      level.set(halfResidual.subarray(0, h * w));
      const inHalf = seen?.[1];
      const middle = (first: number, count: number, apart: number): number => {
        const every = Math.max(1, Math.floor(count / LINE_SAMPLE)) * apart;
        let n = 0;
        for (let i = first; i < first + count * apart; i += every) if (!inHalf || inHalf[i]) sample[n++] = level[i]!;
        return medianOf(sample.subarray(0, n));
      };
      for (let r = 0; r < h; r++) {
        const offset = middle(r * w, w, 1);
        for (let i = r * w; i < (r + 1) * w; i++) level[i]! -= offset;
      }
      for (let c = 0; c < w; c++) column[c] = middle(c, h, w);
      const most = Math.max(CHANGED * Math.sqrt(HALF_TO_OCTAVE * noise[1]!), VISIBLE * rmsOf(reference.half));
      for (let r = 0, i = 0; r < h; r++) for (let c = 0; c < w; c++, i++) changed[i] = Math.abs(level[i]! - column[c]!) > most ? 1 : 0;
    } // prettier-ignore
  }
}

const SAMPLE = 4096;
/** Every so many pixels of n: an odd number, so that columns take turns. */
const sampled = (n: number): number => Math.max(1, Math.floor(n / (SAMPLE / 2)) | 1);
/** A first look at the slopes takes every so many rows, where that leaves enough of them. */
const [FIRST_ROWS, FEW_ROWS] = [4, 32];
/** Pixels of a line that its median is taken of, to twice as many. */
const LINE_SAMPLE = 128;
/** First quartile of the square of a normal number. */
const QUARTILE_OF_SQUARE = 0.1015;
/** What noise is never below, in mean square slopes of the reference: frames that are copies of each other are not infinitely precise. */
const LEAST = 1e-8;
const SETTLED_px = 0.03;
const ANSWER = 1.1;
const INTERPOLATION_px = 0.001;
/** Standard deviations. */
const CHANGED = 4;
/** Variance of white noise in the picture of half the size, to that in its octave. */
const HALF_TO_OCTAVE = 2.94;
/** What is less than this share of the relief is no change, however little noise there is. */
const VISIBLE = 0.01;
/** Pixels at a frame's rim that smoothing to half the size has filled from its mirror image. */
const RIM = 4;
/** Pixels to each side. */
const BOX = 3;

const shared = (n: number, shift: number): number => Math.max(0, 1 - Math.abs(shift) / n);

function rmsOf(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum / values.length);
}

/** Mean over 7 pixels of a line, fewer at its ends. */
function boxAlong(from: Float64Array, cols: number, to: Float64Array, at: number): void {
  const whole = 1 / (2 * BOX + 1);
  let sum = 0;
  for (let c = 0; c < Math.min(BOX, cols); c++) sum += from[c]!;
  let c = 0;
  for (; c < cols && c <= BOX; c++) {
    if (c + BOX < cols) sum += from[c + BOX]!;
    to[at + c] = sum / (Math.min(cols - 1, c + BOX) + 1);
  }
  for (; c + BOX < cols; c++) {
    sum += from[c + BOX]! - from[c - BOX - 1]!;
    to[at + c] = sum * whole;
  }
  for (; c < cols; c++) {
    sum -= from[c - BOX - 1]!;
    to[at + c] = sum / (cols - c + BOX);
  }
}

/** Weights of pixels from squares that are means along lines already: 1 / σ² where the mean over 7 × 7 of them is what noise makes of it, less where it is more. */
function weightsOf(along: Float64Array, rows: number, cols: number, one: number, sums: Float64Array, to: Float64Array): void {
  sums.fill(0);
  for (let r = 0, i = 0; r < Math.min(BOX, rows); r++) for (let c = 0; c < cols; c++, i++) sums[c]! += along[i]!;
  for (let r = 0; r < rows; r++) {
    const [first, last] = [Math.max(0, r - BOX), Math.min(rows - 1, r + BOX)];
    const share = one / (last - first + 1);
    const at = r * cols;
    if (r + BOX < rows) for (let c = 0, i = last * cols; c < cols; c++, i++) sums[c]! += along[i]!;
    if (r > BOX) for (let c = 0, i = (first - 1) * cols; c < cols; c++, i++) sums[c]! -= along[i]!;
    for (let c = 0; c < cols; c++) {
      const over = sums[c]! * share - 1; // running sums may end a rounding below zero
      to[at + c] = over > 1 ? one / over : one;
    }
  }
} // prettier-ignore
