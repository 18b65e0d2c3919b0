/**
 * Back-projection of filtered rows into the lines of a plane: back-projection.ts in WebAssembly SIMD.
 *
 *     image(line, column) += q(t),   t = start + column × along + line × down,   q linear between its samples
 *
 * |along| is at most one sample a pixel, so four neighbouring pixels lie within four neighbouring segments: one load
 * of four samples, one of four slopes, and a swizzle of either takes the place of a gather. t is an integer of 32.32
 * bits, so the place of a pixel depends on nothing but its line and column: not on where a span begins, nor on the
 * rows that are added in the same pass. Each pixel takes its rows in their order, one addition after another: any
 * number of rows in a pass gives the same bits.
 *
 * A view in memory: f64 start, along, down; u32 address of the row of line 0, and how many bytes on the row of the
 * next line lies (0 where all lines see the same); i32 columns. At a row's address q[0 … cols - 1], and `slopes` bytes on,
 * (q[i+1] - q[i]) 2^-26; eight floats before and after either are zero, but for slope -1, which is q[0] 2^-26.
 */
@inline const VIEW: usize = 48;
/** Lanes hold t in 26 bits after the point, from the sample of the lane with the least t on. */
@inline const FRACTION: i32 = 26;
/** Lines that go through all views before the next: 64 of 1024 pixels stay in the second cache. */
@inline const BLOCK: i32 = 64;

const TABLES = memory.data<u32>([
  0xfcfcfcfc, 0xfcfcfcfc, 0xfcfcfcfc, 0xfcfcfcfc, // four times the whole part of a top byte
  0x03020100, 0x03020100, 0x03020100, 0x03020100, // bytes of a float
  0x03ffffff, 0x03ffffff, 0x03ffffff, 0x03ffffff, // the fraction
  0, 1, 2, 3,
], 16); // prettier-ignore

/** The first address that is free for the host. */
export const heap: usize = __heap_base;

@inline function fixed(t: f64): i64 {
  return <i64>nearest<f64>(t * 4294967296.0);
}

/** How far the four lanes are from the one with the least t. */
@inline function offsets(along: f64): v128 {
  const unit = abs<f64>(along) * <f64>(1 << FRACTION);
  const one = <i32>nearest<f64>(unit), two = <i32>nearest<f64>(2 * unit), three = <i32>nearest<f64>(3 * unit);
  return along < 0 ? i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 0, three), 1, two), 2, one)
    : i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 1, one), 2, two), 3, three);
}

/** Least t of the first four pixels of a line. */
@inline function least(start: f64, along: f64): i64 {
  return fixed(along < 0 ? start + 3 * along : start);
}

/** sum + q(t) of four pixels, the least of them at t. */
@inline function plus(sum: v128, t: i64, offset: v128, row: usize, slopes: usize, whole: v128, bytes: v128, fraction: v128): v128 {
  const at = row + (<usize>(t >> 32) << 2);
  const u = i32x4.add(i32x4.splat(<i32>(<u32>t >>> (32 - FRACTION))), offset);
  const lane = v128.or(v128.and(i8x16.shuffle(u, u, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15), whole), bytes);
  const q = i8x16.swizzle(v128.load(at), lane);
  const slope = i8x16.swizzle(v128.load(at + slopes), lane);
  return f32x4.add(f32x4.add(sum, q), f32x4.mul(f32x4.convert_i32x4_s(v128.and(u, fraction)), slope));
}

/** First pixel of a line, `left` or later, whose t is on the detector. */
@inline function begin(start: f64, along: f64, cols: i32, left: f64, width: i32): i32 {
  // A pixel that lies on the detector's end is taken in, also where rounding puts it just beyond.
  const lower = -1e-9 - start, upper = <f64>(cols - 1) + 1e-9 - start;
  const from = abs<f64>(along) < 1e-12 ? (lower <= 0 && upper >= 0 ? 0.0 : <f64>width)
    : ceil<f64>(along > 0 ? lower / along : upper / along);
  return <i32>max<f64>(0, min<f64>(max<f64>(from, left), <f64>width));
}

/** The pixel after the last. */
@inline function end(start: f64, along: f64, cols: i32, right: f64, width: i32): i32 {
  const lower = -1e-9 - start, upper = <f64>(cols - 1) + 1e-9 - start;
  const to = abs<f64>(along) < 1e-12 ? (lower <= 0 && upper >= 0 ? <f64>width : 0.0)
    : floor<f64>(along > 0 ? upper / along : lower / along) + 1;
  return <i32>max<f64>(0, min<f64>(min<f64>(to, right), <f64>width));
}

/** Groups of four pixels of one line, of which only pixels from … to count. */
function edges(line: usize, first: i32, last: i32, from: i32, to: i32, t0: i64, step: i64, offset: v128, row: usize, slopes: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const lowest = i32x4.splat(from), highest = i32x4.splat(to);
  for (let group = first; group < last; group++) {
    const pixels = i32x4.add(i32x4.splat(group << 2), v128.load(TABLES, 48));
    const counts = v128.and(i32x4.ge_s(pixels, lowest), i32x4.lt_s(pixels, highest));
    const o = line + (<usize>group << 4);
    const old = v128.load(o);
    v128.store(o, v128.bitselect(plus(old, t0 + <i64>group * step, offset, row, slopes, whole, bytes, fraction), old, counts));
  }
}

function addOne(image: usize, width: i32, firstLine: i32, lastLine: i32, centreCol: f64, centreLine: f64, radius: f64, slopes: usize, view: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const start = load<f64>(view), along = load<f64>(view, 8), down = load<f64>(view, 16);
  const rows: usize = load<u32>(view, 24), apart: usize = load<u32>(view, 28), cols = load<i32>(view, 32);
  const offset = offsets(along), step = fixed(4 * along);
  for (let r = firstLine; r < lastLine; r++) {
    const y = centreLine - <f64>r;
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord);
    const t = start + <f64>r * down;
    const from = begin(t, along, cols, ceil<f64>(centreCol - half), width), to = end(t, along, cols, floor<f64>(centreCol + half) + 1, width);
    if (from >= to) continue;
    const line = image + (<usize>r * <usize>width << 2), row = rows + <usize>r * apart;
    const t0 = least(t, along);
    const first = (from + 3) >> 2, last = to >> 2;
    if (first >= last) {
      edges(line, from >> 2, (to + 3) >> 2, from, to, t0, step, offset, row, slopes);
      continue;
    }
    edges(line, from >> 2, first, from, to, t0, step, offset, row, slopes);
    edges(line, last, (to + 3) >> 2, from, to, t0, step, offset, row, slopes);
    let u = t0 + <i64>first * step;
    let o = line + (<usize>first << 4);
    const stop = line + (<usize>last << 4);
    do {
      v128.store(o, plus(v128.load(o), u, offset, row, slopes, whole, bytes, fraction));
      u += step;
      o += 16;
    } while (o < stop);
  }
}

function addTwo(image: usize, width: i32, firstLine: i32, lastLine: i32, centreCol: f64, centreLine: f64, radius: f64, slopes: usize, view: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const start0 = load<f64>(view), along0 = load<f64>(view, 8), down0 = load<f64>(view, 16);
  const rows0: usize = load<u32>(view, 24), apart0: usize = load<u32>(view, 28), cols = load<i32>(view, 32);
  const start1 = load<f64>(view, VIEW), along1 = load<f64>(view, VIEW + 8), down1 = load<f64>(view, VIEW + 16);
  const rows1: usize = load<u32>(view, VIEW + 24), apart1: usize = load<u32>(view, VIEW + 28);
  const offset0 = offsets(along0), step0 = fixed(4 * along0), offset1 = offsets(along1), step1 = fixed(4 * along1);
  for (let r = firstLine; r < lastLine; r++) {
    const y = centreLine - <f64>r;
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord);
    const left = ceil<f64>(centreCol - half), right = floor<f64>(centreCol + half) + 1;
    const p0 = start0 + <f64>r * down0, p1 = start1 + <f64>r * down1;
    const from0 = begin(p0, along0, cols, left, width), to0 = end(p0, along0, cols, right, width);
    const from1 = begin(p1, along1, cols, left, width), to1 = end(p1, along1, cols, right, width);
    const line = image + (<usize>r * <usize>width << 2);
    const row0 = rows0 + <usize>r * apart0, row1 = rows1 + <usize>r * apart1;
    const t0 = least(p0, along0), t1 = least(p1, along1);
    const first = (max(from0, from1) + 3) >> 2, last = min(to0, to1) >> 2;
    if (first >= last) {
      if (from0 < to0) edges(line, from0 >> 2, (to0 + 3) >> 2, from0, to0, t0, step0, offset0, row0, slopes);
      if (from1 < to1) edges(line, from1 >> 2, (to1 + 3) >> 2, from1, to1, t1, step1, offset1, row1, slopes);
      continue;
    }
    edges(line, from0 >> 2, first, from0, to0, t0, step0, offset0, row0, slopes);
    edges(line, from1 >> 2, first, from1, to1, t1, step1, offset1, row1, slopes);
    edges(line, last, (to0 + 3) >> 2, from0, to0, t0, step0, offset0, row0, slopes);
    edges(line, last, (to1 + 3) >> 2, from1, to1, t1, step1, offset1, row1, slopes);
    let u0 = t0 + <i64>first * step0, u1 = t1 + <i64>first * step1;
    let o = line + (<usize>first << 4);
    const stop = line + (<usize>last << 4);
    do {
      const sum = plus(v128.load(o), u0, offset0, row0, slopes, whole, bytes, fraction);
      v128.store(o, plus(sum, u1, offset1, row1, slopes, whole, bytes, fraction));
      u0 += step0;
      u1 += step1;
      o += 16;
    } while (o < stop);
  }
}

/**
 * Adds `count` views to lines firstLine … lastLine - 1 of an image whose lines have `width` pixels, within `radius` of
 * a centre. Up to three floats after the last line are read, and written as they were.
 */
export function backProject(
  image: usize, width: i32, firstLine: i32, lastLine: i32, centreCol: f64, centreLine: f64, radius: f64,
  slopes: usize, views: usize, count: i32,
): void {
  const block = count > 2 ? BLOCK : lastLine - firstLine;
  for (let line = firstLine; line < lastLine; line += block) {
    const next = min(line + block, lastLine);
    let n = 0;
    for (; n + 1 < count; n += 2) addTwo(image, width, line, next, centreCol, centreLine, radius, slopes, views + <usize>n * VIEW);
    if (n < count) addOne(image, width, line, next, centreCol, centreLine, radius, slopes, views + <usize>n * VIEW);
  }
} // prettier-ignore

/**
 * The same for a fan beam, one view: image(line, column) += q(t) / u², t = axis + a / u.
 *
 * The view: f64 axis; a and u at pixel 0 of line 0, and how they grow along a line and from line to line (six f64);
 * then rows, apart and cols as above, from byte 56 on.
 */
export function fanProject(
  image: usize, width: i32, firstLine: i32, lastLine: i32, centreCol: f64, centreLine: f64, radius: f64,
  slopes: usize, view: usize,
): void {
  const axis = load<f64>(view), a00 = load<f64>(view, 8), aAlong = load<f64>(view, 16), aDown = load<f64>(view, 24);
  const u00 = load<f64>(view, 32), uAlong = load<f64>(view, 40), uDown = load<f64>(view, 48);
  const rows: usize = load<u32>(view, 56), apart: usize = load<u32>(view, 60), cols = load<i32>(view, 64);
  const highest = <f64>(cols - 1) + 1e-9, unit = <f64>(1 << FRACTION);
  for (let r = firstLine; r < lastLine; r++) {
    const y = centreLine - <f64>r;
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord);
    const from = <i32>max<f64>(0, ceil<f64>(centreCol - half)), to = <i32>min<f64>(<f64>width, floor<f64>(centreCol + half) + 1);
    const row = rows + <usize>r * apart, line = image + (<usize>r * <usize>width << 2);
    const a0 = a00 + <f64>r * aDown, u0 = u00 + <f64>r * uDown;
    for (let c = from; c < to; c++) {
      const u = 1 / (u0 + <f64>c * uAlong);
      const t = axis + (a0 + <f64>c * aAlong) * u;
      if (!(t >= -1e-9 && t <= highest)) continue;
      const i = <i32>floor<f64>(t);
      const at = row + (<usize>i << 2);
      const q = <f64>load<f32>(at) + (t - <f64>i) * unit * <f64>load<f32>(at + slopes);
      const o = line + (<usize>c << 2);
      store<f32>(o, <f32>(<f64>load<f32>(o) + u * u * q));
    }
  }
} // prettier-ignore

/**
 * A row of `cols` samples and its slopes, from `count` stored rows: Σ weight × row. A term: u32 address, f32 weight,
 * i32 whether it is turned round. Stored rows may be read up to three floats before their first and after their last.
 */
export function combine(terms: usize, count: i32, cols: i32, row: usize, slopes: usize): void {
  const stop = row + (<usize>cols << 2);
  for (let k = 0; k < count; k++, terms += 16) {
    const weight = v128.load32_splat(terms, 4);
    let x: usize = load<u32>(terms);
    let o = row;
    if (load<i32>(terms, 8)) {
      x += <usize>(cols - 4) << 2;
      do {
        const old = v128.load(x);
        const term = f32x4.mul(i8x16.shuffle(old, old, 12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3), weight);
        v128.store(o, k == 0 ? term : f32x4.add(v128.load(o), term));
        x -= 16;
        o += 16;
      } while (o < stop);
    } else {
      do {
        const term = f32x4.mul(v128.load(x), weight);
        v128.store(o, k == 0 ? term : f32x4.add(v128.load(o), term));
        x += 16;
        o += 16;
      } while (o < stop);
    }
  }
  slopesOf(row, cols, slopes);
}

/** Zeros after the row's end, and its slopes. */
@inline function slopesOf(row: usize, cols: i32, slopes: usize): void {
  const last = row + (<usize>(cols - 1) << 2);
  v128.store(last, f32x4.splat(0), 4);
  const unit = f32x4.splat(<f32>(1.0 / <f64>(1 << FRACTION)));
  let o = row;
  do {
    v128.store(o + slopes, f32x4.mul(f32x4.sub(v128.load(o, 4), v128.load(o)), unit));
    o += 16;
  } while (o < last);
  store<f32>(row + slopes - 4, load<f32>(row) * <f32>(1.0 / <f64>(1 << FRACTION)));
  v128.store(last + slopes, f32x4.splat(0));
}

/** From the middle of sample 0 to t, the integral of a row that is linear between its samples and zero beyond them. */
@inline function integral(sums: usize, row: usize, cols: i32, t: f64): f64 {
  if (t <= 0) return 0;
  if (t >= <f64>(cols - 1)) return load<f64>(sums + (<usize>(cols - 1) << 3));
  const i = <i32>floor<f64>(t), f = t - <f64>i;
  const a = <f64>load<f32>(row + (<usize>i << 2)), b = <f64>load<f32>(row + (<usize>i << 2), 4);
  return load<f64>(sums + (<usize>i << 3)) + f * (a + 0.5 * f * (b - a));
}

/** Means of a row over `width` samples about each, and their slopes. `sums` holds cols f64. */
export function smooth(row: usize, cols: i32, width: f64, sums: usize, into: usize, slopes: usize): void {
  let sum: f64 = 0;
  store<f64>(sums, 0);
  for (let i = 1; i < cols; i++) {
    sum += 0.5 * (<f64>load<f32>(row + (<usize>i << 2) - 4) + <f64>load<f32>(row + (<usize>i << 2)));
    store<f64>(sums + (<usize>i << 3), sum);
  }
  for (let i = 0; i < cols; i++) {
    const mean = integral(sums, row, cols, <f64>i + 0.5 * width) - integral(sums, row, cols, <f64>i - 0.5 * width);
    store<f32>(into + (<usize>i << 2), <f32>(mean / width));
  }
  slopesOf(into, cols, slopes);
}

/** into = image × factor, `count` floats, a multiple of four. */
export function scaled(image: usize, into: usize, count: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  const stop = image + (<usize>count << 2);
  do {
    v128.store(into, f32x4.mul(v128.load(image), factors));
    image += 16;
    into += 16;
  } while (image < stop);
}
