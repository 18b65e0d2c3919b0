/**
 * Back-projection of filtered rows into a slice: back-projection.ts in WebAssembly SIMD.
 *
 *     image(x, y) += q(t),   t = axis + x cos θ + y sin θ,   q linear between its samples
 *
 * Rows come with cos θ >= 0 (the host turns the others round), so t grows by at most one sample a pixel, and four
 * neighbouring pixels lie within four neighbouring segments: one load of four samples, one of four slopes, and a
 * swizzle of either takes the place of a gather. t is an integer of 32.32 bits, so the place of a pixel depends on
 * nothing but its column: not on where a span begins, nor on the rows that are added in the same pass. Each pixel
 * takes its rows in their order, one addition after another: any number of rows in a pass gives the same bits.
 *
 * A view in memory: f64 axis, cos θ, sin θ; u32 address of its row; i32 columns. At the row's address q[0 … cols - 1],
 * and `slopes` bytes on, (q[i+1] - q[i]) 2^-26; eight floats before and after either are zero, but for slope -1,
 * which is q[0] 2^-26.
 */
@inline const VIEW: usize = 32;
/** Lanes hold t in 26 bits after the point, from the sample of the first lane on. */
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

@inline function offsets(cos: f64): v128 {
  const unit = <f64>(1 << FRACTION);
  return i32x4(0, <i32>nearest<f64>(cos * unit), <i32>nearest<f64>(2 * cos * unit), <i32>nearest<f64>(3 * cos * unit));
}

/** sum + q(t) of four pixels, the first of them at t. */
@inline function plus(sum: v128, t: i64, offset: v128, row: usize, slopes: usize, whole: v128, bytes: v128, fraction: v128): v128 {
  const at = row + (<usize>(t >> 32) << 2);
  const u = i32x4.add(i32x4.splat(<i32>(<u32>t >>> (32 - FRACTION))), offset);
  const lane = v128.or(v128.and(i8x16.shuffle(u, u, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15), whole), bytes);
  const q = i8x16.swizzle(v128.load(at), lane);
  const slope = i8x16.swizzle(v128.load(at + slopes), lane);
  return f32x4.add(f32x4.add(sum, q), f32x4.mul(f32x4.convert_i32x4_s(v128.and(u, fraction)), slope));
}

/** First pixel of a line whose t is on the detector and which is in the circle. */
@inline function begin(start: f64, cos: f64, left: f64, size: i32): i32 {
  // A pixel that lies on the detector's end is taken in, also where rounding puts it just beyond.
  const least = -1e-9 - start;
  const from = cos < 1e-12 ? (least <= 0 ? 0.0 : <f64>size) : ceil<f64>(least / cos);
  return <i32>max<f64>(0, min<f64>(max<f64>(from, left), <f64>size));
}

/** The pixel after the last. */
@inline function end(start: f64, cos: f64, cols: i32, right: f64, size: i32): i32 {
  const most = <f64>(cols - 1) + 1e-9 - start;
  const to = cos < 1e-12 ? (most >= 0 ? <f64>size : 0.0) : floor<f64>(most / cos) + 1;
  return <i32>max<f64>(0, min<f64>(min<f64>(to, right), <f64>size));
}

/** Groups of four pixels of one line, of which only pixels from … to count. */
function edges(line: usize, first: i32, last: i32, from: i32, to: i32, t0: i64, step: i64, offset: v128, row: usize, slopes: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const least = i32x4.splat(from), most = i32x4.splat(to);
  for (let group = first; group < last; group++) {
    const pixels = i32x4.add(i32x4.splat(group << 2), v128.load(TABLES, 48));
    const counts = v128.and(i32x4.ge_s(pixels, least), i32x4.lt_s(pixels, most));
    const o = line + (<usize>group << 4);
    const old = v128.load(o);
    v128.store(o, v128.bitselect(plus(old, t0 + <i64>group * step, offset, row, slopes, whole, bytes, fraction), old, counts));
  }
}

function addOne(image: usize, size: i32, radius: f64, firstLine: i32, lastLine: i32, slopes: usize, view: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const cos = load<f64>(view, 8), sin = load<f64>(view, 16);
  const row: usize = load<u32>(view, 24), cols = load<i32>(view, 28);
  const offset = offsets(cos), step = fixed(4 * cos);
  const middle = 0.5 * <f64>(size - 1);
  const corner = load<f64>(view) - middle * cos;
  for (let r = firstLine; r < lastLine; r++) {
    const y = middle - <f64>r;
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord);
    const start = corner + y * sin;
    const from = begin(start, cos, ceil<f64>(middle - half), size), to = end(start, cos, cols, floor<f64>(middle + half) + 1, size);
    if (from >= to) continue;
    const line = image + (<usize>r * <usize>size << 2);
    const t0 = fixed(start);
    const first = (from + 3) >> 2, last = to >> 2;
    if (first >= last) {
      edges(line, from >> 2, (to + 3) >> 2, from, to, t0, step, offset, row, slopes);
      continue;
    }
    edges(line, from >> 2, first, from, to, t0, step, offset, row, slopes);
    edges(line, last, (to + 3) >> 2, from, to, t0, step, offset, row, slopes);
    let t = t0 + <i64>first * step;
    let o = line + (<usize>first << 4);
    const stop = line + (<usize>last << 4);
    do {
      v128.store(o, plus(v128.load(o), t, offset, row, slopes, whole, bytes, fraction));
      t += step;
      o += 16;
    } while (o < stop);
  }
}

function addTwo(image: usize, size: i32, radius: f64, firstLine: i32, lastLine: i32, slopes: usize, view: usize): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32);
  const cos0 = load<f64>(view, 8), sin0 = load<f64>(view, 16);
  const row0: usize = load<u32>(view, 24), cols = load<i32>(view, 28);
  const cos1 = load<f64>(view, VIEW + 8), sin1 = load<f64>(view, VIEW + 16);
  const row1: usize = load<u32>(view, VIEW + 24);
  const offset0 = offsets(cos0), step0 = fixed(4 * cos0), offset1 = offsets(cos1), step1 = fixed(4 * cos1);
  const middle = 0.5 * <f64>(size - 1);
  const corner0 = load<f64>(view) - middle * cos0, corner1 = load<f64>(view, VIEW) - middle * cos1;
  for (let r = firstLine; r < lastLine; r++) {
    const y = middle - <f64>r;
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord);
    const left = ceil<f64>(middle - half), right = floor<f64>(middle + half) + 1;
    const start0 = corner0 + y * sin0, start1 = corner1 + y * sin1;
    const from0 = begin(start0, cos0, left, size), to0 = end(start0, cos0, cols, right, size);
    const from1 = begin(start1, cos1, left, size), to1 = end(start1, cos1, cols, right, size);
    const line = image + (<usize>r * <usize>size << 2);
    const t0 = fixed(start0), t1 = fixed(start1);
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
 * Adds `count` views to lines firstLine … lastLine - 1 of an image of `size` × `size` pixels, within `radius` of its
 * middle. Up to three floats after the last line are read, and written as they were.
 */
export function backProject(
  image: usize, size: i32, radius: f64, firstLine: i32, lastLine: i32, slopes: usize, views: usize, count: i32,
): void {
  const block = count > 2 ? BLOCK : lastLine - firstLine;
  for (let line = firstLine; line < lastLine; line += block) {
    const next = min(line + block, lastLine);
    let n = 0;
    for (; n + 1 < count; n += 2) addTwo(image, size, radius, line, next, slopes, views + <usize>n * VIEW);
    if (n < count) addOne(image, size, radius, line, next, slopes, views + <usize>n * VIEW);
  }
} // prettier-ignore

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
