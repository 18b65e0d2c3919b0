/**
 * Line integrals of a picture: forward-projection.ts in WebAssembly SIMD.
 *
 *     p(t) = length Σ f(line, u(t)),   u(t) = start + t × step + line × down,   f linear along its line, zero beyond it
 *
 * Four neighbouring columns of the detector are at most 3 × 7/3 pixels of a line apart, so they lie within eight pixels and
 * their neighbours: two loads and two swizzles take the place of a gather. u is an integer of 32.32 bits. Two lines go
 * into the sums at a time, always the same two, so the bits depend on nothing but the picture and the view.
 *
 * In memory a line follows the other `apart` bytes on; sixteen floats before and after its pixels are zero, and there is a line of
 * zeros after the last. The row p has eight floats of room before and after it.
 */
/** Lanes hold u in 26 bits after the point, from the pixel of the lane with the least u on. */
@inline const FRACTION: i32 = 26;

const TABLES = memory.data<u32>([
  0xfcfcfcfc, 0xfcfcfcfc, 0xfcfcfcfc, 0xfcfcfcfc, // four times the whole part of a top byte
  0x03020100, 0x03020100, 0x03020100, 0x03020100, // bytes of a float
  0x03ffffff, 0x03ffffff, 0x03ffffff, 0x03ffffff, // the fraction
  0x10101010, 0x10101010, 0x10101010, 0x10101010, // bytes of a vector
], 16); // prettier-ignore

@inline function fixed(u: f64): i64 {
  return <i64>nearest<f64>(u * 4294967296.0);
}

/** How far the four lanes are from the one with the least u. */
@inline function offsets(step: f64): v128 {
  const unit = abs<f64>(step) * <f64>(1 << FRACTION);
  const one = <i32>nearest<f64>(unit), two = <i32>nearest<f64>(2 * unit), three = <i32>nearest<f64>(3 * unit);
  return step < 0 ? i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 0, three), 1, two), 2, one)
    : i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 1, one), 2, two), 3, three);
}

/** f at four places of a line, the least of them u. */
@inline function along(line: usize, u: i64, offset: v128, whole: v128, bytes: v128, fraction: v128, vector: v128): v128 {
  const at = line + (<usize>(u >> 32) << 2);
  const v = i32x4.add(i32x4.splat(<i32>(<u32>u >>> (32 - FRACTION))), offset);
  const lane = v128.or(v128.and(i8x16.shuffle(v, v, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15), whole), bytes);
  const beyond = i8x16.sub(lane, vector); // a swizzle gives zero for what lies outside of its vector
  const a = v128.or(i8x16.swizzle(v128.load(at), lane), i8x16.swizzle(v128.load(at, 16), beyond));
  const b = v128.or(i8x16.swizzle(v128.load(at, 4), lane), i8x16.swizzle(v128.load(at, 20), beyond));
  const share = f32x4.mul(f32x4.convert_i32x4_s(v128.and(v, fraction)), f32x4.splat(<f32>(1.0 / <f64>(1 << FRACTION))));
  return f32x4.add(a, f32x4.mul(share, f32x4.sub(b, a)));
}

/** Line integrals of a picture of so many lines, each `long` pixels; those beyond the circle are zero. */
export function forwardProject(
  picture: usize, apart: usize, lines: i32, long: i32, centre: f64, centreLine: f64, radius: f64,
  row: usize, cols: i32, start: f64, step: f64, down: f64, length: f32,
): void {
  const whole = v128.load(TABLES), bytes = v128.load(TABLES, 16), fraction = v128.load(TABLES, 32), vector = v128.load(TABLES, 48);
  const offset = offsets(step), advance = fixed(4 * step);
  memory.fill(row, 0, (<usize>cols + 3) >> 2 << 4);
  for (let r = 0; r < lines; r += 2) {
    const y = max<f64>(0, abs<f64>(centreLine - (<f64>r + 0.5)) - 0.5);
    const chord = radius * radius - y * y;
    if (chord < 0) continue;
    const half = sqrt<f64>(chord) + 1;
    const u0 = start + <f64>r * down, u1 = u0 + down;
    // Columns from which either line is seen, in whole groups of four.
    const low = max<f64>(-1, centre - half), high = min<f64>(<f64>long, centre + half);
    const one = (low - u0) / step, two = (high - u0) / step, other = (low - u1) / step, another = (high - u1) / step;
    const least = max<f64>(0, min<f64>(min<f64>(one, two), min<f64>(other, another)));
    const most = min<f64>(<f64>(cols - 1), max<f64>(max<f64>(one, two), max<f64>(other, another)));
    if (!(least <= most)) continue;
    const from = <i32>floor<f64>(least) >> 2, to = (<i32>floor<f64>(most) >> 2) + 1;
    const t = <f64>(from << 2) * step + (step < 0 ? 3 * step : 0);
    let u = fixed(u0 + t), v = fixed(u1 + t);
    const line = picture + <usize>r * apart, next = line + apart;
    let o = row + (<usize>from << 4);
    const stop = row + (<usize>to << 4);
    do {
      const sum = f32x4.add(along(line, u, offset, whole, bytes, fraction, vector), along(next, v, offset, whole, bytes, fraction, vector));
      v128.store(o, f32x4.add(v128.load(o), sum));
      u += advance;
      v += advance;
      o += 16;
    } while (o < stop);
  }
  const factor = f32x4.splat(length);
  const stop = row + ((<usize>cols + 3) >> 2 << 4);
  for (let o = row; o < stop; o += 16) v128.store(o, f32x4.mul(v128.load(o), factor));
}

/** Lines of `into` are columns of the picture; both sides are rounded up to four, and there is room for that. */
export function transpose(picture: usize, apart: usize, rows: i32, cols: i32, into: usize, intoApart: usize): void {
  for (let r = 0; r < rows; r += 4) {
    let from = picture + <usize>r * apart;
    let to = into + (<usize>r << 2);
    for (let c = 0; c < cols; c += 4) {
      const a = v128.load(from), b = v128.load(from + apart), d = v128.load(from + 2 * apart), e = v128.load(from + 3 * apart);
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), AB = i32x4.shuffle(a, b, 2, 6, 3, 7);
      const de = i32x4.shuffle(d, e, 0, 4, 1, 5), DE = i32x4.shuffle(d, e, 2, 6, 3, 7);
      v128.store(to, i64x2.shuffle(ab, de, 0, 2));
      v128.store(to + intoApart, i64x2.shuffle(ab, de, 1, 3));
      v128.store(to + 2 * intoApart, i64x2.shuffle(AB, DE, 0, 2));
      v128.store(to + 3 * intoApart, i64x2.shuffle(AB, DE, 1, 3));
      from += 16;
      to += 4 * intoApart;
    }
  }
}
