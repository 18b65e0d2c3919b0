/**
 * The ramp filter for eight rows at a time: fft.ts in WebAssembly SIMD, single precision.
 *
 * Two real rows ride as the real and imaginary part of one transform, as in ramp-filter.ts, and four such pairs lie
 * in the four lanes: element k is 32 bytes, four real parts and four imaginary ones. Lanes know nothing of each
 * other, so a pair comes out with the same bits whatever lies beside it.
 *
 * `turns` holds cos and sin of -2π k / n in turn, k < n; `gain` the filter over n in the transform's scattered order.
 */
@inline const RE: usize = 0;
@inline const IM: usize = 16;

/** Decimation in frequency, radix 4 with a last step of radix 2: natural order in, scattered order out. */
function forward(x: usize, n: i32, turns: usize): void {
  const stop = x + (<usize>n << 5);
  let turn = 8;
  let span = n;
  for (; span >= 4; span >>= 2) {
    const quarter = <usize>(span >> 2) << 5;
    const stride = <usize>span << 5;
    for (let j: usize = 0; j < quarter; j += 32) {
      const w = (j >> 5) * <usize>turn;
      const c1 = v128.load32_splat(turns + w), s1 = v128.load32_splat(turns + w, 4);
      const c2 = v128.load32_splat(turns + 2 * w), s2 = v128.load32_splat(turns + 2 * w, 4);
      const c3 = v128.load32_splat(turns + 3 * w), s3 = v128.load32_splat(turns + 3 * w, 4);
      let a = x + j;
      do {
        const b = a + quarter, c = b + quarter, d = c + quarter;
        const aR = v128.load(a, RE), aI = v128.load(a, IM), bR = v128.load(b, RE), bI = v128.load(b, IM);
        const cR = v128.load(c, RE), cI = v128.load(c, IM), dR = v128.load(d, RE), dI = v128.load(d, IM);
        const sumR = f32x4.add(aR, cR), sumI = f32x4.add(aI, cI), difR = f32x4.sub(aR, cR), difI = f32x4.sub(aI, cI);
        const oddR = f32x4.add(bR, dR), oddI = f32x4.add(bI, dI), turnR = f32x4.sub(bI, dI), turnI = f32x4.sub(dR, bR);
        v128.store(a, f32x4.add(sumR, oddR), RE);
        v128.store(a, f32x4.add(sumI, oddI), IM);
        turned(b, f32x4.add(difR, turnR), f32x4.add(difI, turnI), c1, s1);
        turned(c, f32x4.sub(sumR, oddR), f32x4.sub(sumI, oddI), c2, s2);
        turned(d, f32x4.sub(difR, turnR), f32x4.sub(difI, turnI), c3, s3);
        a += stride;
      } while (a < stop);
    }
    turn <<= 2;
  }
  if (span == 2) pairs(x, stop);
}

/** Decimation in time: scattered order in, natural order out. */
function inverse(x: usize, n: i32, turns: usize): void {
  const stop = x + (<usize>n << 5);
  const odd = (ctz(n) & 1) == 1;
  if (odd) pairs(x, stop);
  for (let span = odd ? 8 : 4; span <= n; span <<= 2) {
    const turn = <usize>(n / span) << 3;
    const quarter = <usize>(span >> 2) << 5;
    const stride = <usize>span << 5;
    for (let j: usize = 0; j < quarter; j += 32) {
      const w = (j >> 5) * turn;
      const c1 = v128.load32_splat(turns + w), s1 = v128.load32_splat(turns + w, 4);
      const c2 = v128.load32_splat(turns + 2 * w), s2 = v128.load32_splat(turns + 2 * w, 4);
      const c3 = v128.load32_splat(turns + 3 * w), s3 = v128.load32_splat(turns + 3 * w, 4);
      let a = x + j;
      do {
        const b = a + quarter, c = b + quarter, d = c + quarter;
        const aR = v128.load(a, RE), aI = v128.load(a, IM);
        const bR = backR(b, c1, s1), bI = backI(b, c1, s1);
        const cR = backR(c, c2, s2), cI = backI(c, c2, s2);
        const dR = backR(d, c3, s3), dI = backI(d, c3, s3);
        const sumR = f32x4.add(aR, cR), sumI = f32x4.add(aI, cI), difR = f32x4.sub(aR, cR), difI = f32x4.sub(aI, cI);
        const oddR = f32x4.add(bR, dR), oddI = f32x4.add(bI, dI), turnR = f32x4.sub(bI, dI), turnI = f32x4.sub(dR, bR);
        v128.store(a, f32x4.add(sumR, oddR), RE);
        v128.store(a, f32x4.add(sumI, oddI), IM);
        v128.store(b, f32x4.sub(difR, turnR), RE);
        v128.store(b, f32x4.sub(difI, turnI), IM);
        v128.store(c, f32x4.sub(sumR, oddR), RE);
        v128.store(c, f32x4.sub(sumI, oddI), IM);
        v128.store(d, f32x4.add(difR, turnR), RE);
        v128.store(d, f32x4.add(difI, turnI), IM);
        a += stride;
      } while (a < stop);
    }
  }
}

@inline function turned(at: usize, re: v128, im: v128, cos: v128, sin: v128): void {
  v128.store(at, f32x4.sub(f32x4.mul(re, cos), f32x4.mul(im, sin)), RE);
  v128.store(at, f32x4.add(f32x4.mul(re, sin), f32x4.mul(im, cos)), IM);
}

@inline function backR(at: usize, cos: v128, sin: v128): v128 {
  return f32x4.add(f32x4.mul(v128.load(at, RE), cos), f32x4.mul(v128.load(at, IM), sin));
}

@inline function backI(at: usize, cos: v128, sin: v128): v128 {
  return f32x4.sub(f32x4.mul(v128.load(at, IM), cos), f32x4.mul(v128.load(at, RE), sin));
}

function pairs(x: usize, stop: usize): void {
  do {
    const aR = v128.load(x, RE), aI = v128.load(x, IM), bR = v128.load(x, 32 + RE), bI = v128.load(x, 32 + IM);
    v128.store(x, f32x4.add(aR, bR), RE);
    v128.store(x, f32x4.add(aI, bI), IM);
    v128.store(x, f32x4.sub(aR, bR), 32 + RE);
    v128.store(x, f32x4.sub(aI, bI), 32 + IM);
    x += 64;
  } while (x < stop);
}

/** Four columns of four numbers, `apart` bytes from one to the next, become rows, and the other way round. */
@inline function transpose(from: usize, apart: usize, into: usize, intoApart: usize): void {
  const a = v128.load(from), b = v128.load(from + apart), c = v128.load(from + 2 * apart), d = v128.load(from + 3 * apart);
  const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5), cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7), cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(into, i32x4.shuffle(ab01, cd01, 0, 1, 4, 5));
  v128.store(into + intoApart, i32x4.shuffle(ab01, cd01, 2, 3, 6, 7));
  v128.store(into + 2 * intoApart, i32x4.shuffle(ab23, cd23, 0, 1, 4, 5));
  v128.store(into + 3 * intoApart, i32x4.shuffle(ab23, cd23, 2, 3, 6, 7));
}

/**
 * Filters eight rows in place: the four real parts first, then the four that ride as imaginary ones. Rows are
 * `apart` bytes apart, a multiple of 16 and at least 4 × cols; n >= 2 cols is a power of two, `work` holds 32 n bytes.
 */
export function rampFilter(
  rows: usize, apart: usize, cols: i32, n: i32, turns: usize, gain: usize, work: usize, edge: i32,
): void {
  for (let k = 0; k < cols; k += 4) {
    const row = rows + (<usize>k << 2), x = work + (<usize>k << 5);
    transpose(row, apart, x + RE, 32);
    transpose(row + 4 * apart, apart, x + IM, 32);
  }
  const past = work + (<usize>cols << 5), stop = work + (<usize>n << 5);
  if (edge == 0) memory.fill(past, 0, stop - past);
  else {
    // The transform is a circle: the right end's value goes on, then the left end's comes before.
    const half = past + (<usize>((n - cols) >> 1) << 5);
    for (let x = past; x < half; x += 32) memory.copy(x, past - 32, 32);
    for (let x = half; x < stop; x += 32) memory.copy(x, work, 32);
  }
  forward(work, n, turns);
  for (let x = work; x < stop; x += 32) {
    const g = v128.load32_splat(gain);
    v128.store(x, f32x4.mul(v128.load(x, RE), g), RE);
    v128.store(x, f32x4.mul(v128.load(x, IM), g), IM);
    gain += 4;
  }
  inverse(work, n, turns);
  for (let k = 0; k < cols; k += 4) {
    const row = rows + (<usize>k << 2), x = work + (<usize>k << 5);
    transpose(x + RE, 32, row, apart);
    transpose(x + IM, 32, row + 4 * apart, apart);
  }
} // prettier-ignore
