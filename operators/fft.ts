/**
 * Fast Fourier transform of complex rows, n a power of two, in place.
 *
 *     forward   X[k] = Σ x[j] exp(-2πi jk / n)      natural order in, scattered order out
 *     inverse   x[j] = Σ X[k] exp(+2πi jk / n)      scattered order in, natural order out; n times too large
 *
 * Forward is decimation in frequency, inverse decimation in time, so no pass is spent on ordering: place p holds
 * frequency `frequency[p]`, and what multiplies a spectrum is stored in that order once.
 * Two real rows ride as the real and imaginary part of one transform; where the multiplier is real and even, as
 * every ramp is, they come out filtered side by side and need no unpacking.
 *
 * Reference: Gentleman & Sande, AFIPS Proc. 29, 563 (1966), radix 4 with a last step of radix 2.
 */
export interface Fft {
  readonly n: number;
  /** Frequency, 0 … n - 1, at each place of a spectrum. */
  readonly frequency: Int32Array;
  /** Place of each frequency. */
  readonly place: Int32Array;
  forward(re: Float64Array, im: Float64Array): void;
  inverse(re: Float64Array, im: Float64Array): void;
}

/** The least power of two that is not below n. */
export const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

const made = new Map<number, Fft>();

export function fft(n: number): Fft {
  if (n < 1 || n !== powerOfTwo(n)) throw new RangeError(`an FFT of ${n} points: wanted a power of two`);
  let plan = made.get(n);
  if (!plan) made.set(n, (plan = makeFft(n)));
  return plan;
}

function makeFft(n: number): Fft {
  const cos = Float64Array.from({ length: n }, (_, k) => Math.cos((2 * Math.PI * k) / n));
  const sin = Float64Array.from({ length: n }, (_, k) => -Math.sin((2 * Math.PI * k) / n));
  const frequency = scattered(n);
  const place = new Int32Array(n);
  frequency.forEach((k, p) => (place[k] = p));

  function forward(re: Float64Array, im: Float64Array): void {
    let span = n;
    for (let turn = 1; span >= 4; span >>= 2, turn <<= 2) {
      const quarter = span >> 2;
      for (let j = 0; j < quarter; j++) {
        const c1 = cos[j * turn]!, s1 = sin[j * turn]!; // prettier-ignore
        const c2 = cos[2 * j * turn]!, s2 = sin[2 * j * turn]!; // prettier-ignore
        const c3 = cos[3 * j * turn]!, s3 = sin[3 * j * turn]!; // prettier-ignore
        for (let a = j; a < n; a += span) {
          const b = a + quarter, c = b + quarter, d = c + quarter; // prettier-ignore
          const sumR = re[a]! + re[c]!, sumI = im[a]! + im[c]!, difR = re[a]! - re[c]!, difI = im[a]! - im[c]!; // prettier-ignore
          const oddR = re[b]! + re[d]!, oddI = im[b]! + im[d]!, turnR = im[b]! - im[d]!, turnI = re[d]! - re[b]!; // prettier-ignore
          re[a] = sumR + oddR;
          im[a] = sumI + oddI;
          let x = difR + turnR, y = difI + turnI; // prettier-ignore
          re[b] = x * c1 - y * s1;
          im[b] = x * s1 + y * c1;
          x = sumR - oddR;
          y = sumI - oddI;
          re[c] = x * c2 - y * s2;
          im[c] = x * s2 + y * c2;
          x = difR - turnR;
          y = difI - turnI;
          re[d] = x * c3 - y * s3;
          im[d] = x * s3 + y * c3;
        }
      }
    }
    if (span === 2) pairs(re, im);
  }

  function inverse(re: Float64Array, im: Float64Array): void {
    const odd = Math.log2(n) % 2 === 1;
    if (odd) pairs(re, im);
    for (let span = odd ? 8 : 4, turn = n / span; span <= n; span <<= 2, turn >>= 2) {
      const quarter = span >> 2;
      for (let j = 0; j < quarter; j++) {
        const c1 = cos[j * turn]!, s1 = sin[j * turn]!; // prettier-ignore
        const c2 = cos[2 * j * turn]!, s2 = sin[2 * j * turn]!; // prettier-ignore
        const c3 = cos[3 * j * turn]!, s3 = sin[3 * j * turn]!; // prettier-ignore
        for (let a = j; a < n; a += span) {
          const b = a + quarter, c = b + quarter, d = c + quarter; // prettier-ignore
          const bR = re[b]! * c1 + im[b]! * s1, bI = im[b]! * c1 - re[b]! * s1; // prettier-ignore
          const cR = re[c]! * c2 + im[c]! * s2, cI = im[c]! * c2 - re[c]! * s2; // prettier-ignore
          const dR = re[d]! * c3 + im[d]! * s3, dI = im[d]! * c3 - re[d]! * s3; // prettier-ignore
          const sumR = re[a]! + cR, sumI = im[a]! + cI, difR = re[a]! - cR, difI = im[a]! - cI; // prettier-ignore
          const oddR = bR + dR, oddI = bI + dI, turnR = bI - dI, turnI = dR - bR; // prettier-ignore
          re[a] = sumR + oddR;
          im[a] = sumI + oddI;
          re[b] = difR - turnR;
          im[b] = difI - turnI;
          re[c] = sumR - oddR;
          im[c] = sumI - oddI;
          re[d] = difR + turnR;
          im[d] = difI + turnI;
        }
      }
    }
  }

  function pairs(re: Float64Array, im: Float64Array): void {
    for (let a = 0; a + 1 < n; a += 2) {
      const x = re[a]!, y = im[a]!; // prettier-ignore
      re[a] = x + re[a + 1]!;
      im[a] = y + im[a + 1]!;
      re[a + 1] = x - re[a + 1]!;
      im[a + 1] = y - im[a + 1]!;
    }
  }

  return { n, frequency, place, forward, inverse };
}

/** Where decimation by four, and at last by two, leaves each frequency. */
function scattered(n: number): Int32Array {
  if (n === 1) return Int32Array.of(0);
  const radix = n % 4 === 0 ? 4 : 2;
  const part = scattered(n / radix);
  return Int32Array.from({ length: n }, (_, p) => {
    const branch = Math.floor(p / part.length);
    return part[p % part.length]! * radix + branch;
  });
}

/** The transform of `rows × cols` numbers, row after row, both sizes powers of two; each axis in its scattered order. */
export function fft2(re: Float64Array, im: Float64Array, rows: number, cols: number, inverse = false): void {
  const along = fft(cols);
  const across = fft(rows);
  for (let r = 0; r < rows; r++) {
    const x = re.subarray(r * cols, (r + 1) * cols);
    const y = im.subarray(r * cols, (r + 1) * cols);
    if (inverse) along.inverse(x, y);
    else along.forward(x, y);
  }
  const x = new Float64Array(rows);
  const y = new Float64Array(rows);
  for (let c = 0; c < cols; c++) {
    for (let r = 0; r < rows; r++) {
      x[r] = re[r * cols + c]!;
      y[r] = im[r * cols + c]!;
    }
    if (inverse) across.inverse(x, y);
    else across.forward(x, y);
    for (let r = 0; r < rows; r++) {
      re[r * cols + c] = x[r]!;
      im[r * cols + c] = y[r]!;
    }
  }
}
