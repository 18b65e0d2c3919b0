/**
 * -ln T of single-precision numbers, four at a time: T = m 2^e with m between √½ and √2, and a polynomial in m - 1
 * (Cephes mathematical library, logf): within one unit of the last place. NaN where T is not above zero or not finite.
 */
@inline const LEAST: f32 = 1.17549435e-38;

@inline function minusLog4(T: v128): v128 {
  const known = v128.and(f32x4.ge(T, f32x4.splat(LEAST)), f32x4.lt(T, f32x4.splat(f32.MAX_VALUE)));
  const m = v128.or(v128.and(T, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const low = f32x4.lt(m, f32x4.splat(0.707106781186547524));
  const e = f32x4.convert_i32x4_s(i32x4.add(i32x4.sub(i32x4.shr_u(T, 23), i32x4.splat(126)), low));
  const x = f32x4.sub(f32x4.add(m, v128.and(m, low)), f32x4.splat(1));
  const z = f32x4.mul(x, x);
  let y = f32x4.splat(7.0376836292e-2);
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(-1.151461031e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(1.167699874e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(-1.2420140846e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(1.4249322787e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(-1.6668057665e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(2.0000714765e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(-2.4999993993e-1));
  y = f32x4.add(f32x4.mul(y, x), f32x4.splat(3.3333331174e-1));
  y = f32x4.mul(f32x4.mul(y, x), z);
  y = f32x4.add(y, f32x4.mul(e, f32x4.splat(-2.1219444e-4)));
  y = f32x4.sub(y, f32x4.mul(f32x4.splat(0.5), z));
  const log = f32x4.add(f32x4.add(x, y), f32x4.mul(e, f32x4.splat(0.693359375)));
  return v128.bitselect(f32x4.neg(log), f32x4.splat(f32.NaN), known);
}

/** In place, of `count` numbers; says how many of them are not known. What stands after them, up to three, is lost. */
export function minusLog(values: usize, count: i32): i32 {
  let unknown = 0;
  const stop = values + (<usize>count << 2);
  for (; values < stop; values += 16) {
    const p = minusLog4(v128.load(values));
    v128.store(values, p);
    const missing = v128.any_true(f32x4.ne(p, p));
    if (!missing) continue;
    for (let at = values; at < min(values + 16, stop); at += 4) {
      const one = load<f32>(at);
      if (one != one) unknown++;
    }
  }
  return unknown;
}
