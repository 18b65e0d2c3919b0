import fc from "fast-check";
import { expect, test } from "vitest";
import { fft, fft2, powerOfTwo } from "../../operators/fft.ts";

/** The transform by its definition. */
function dft(re: Float64Array, im: Float64Array): [Float64Array, Float64Array] {
  const n = re.length;
  const x = new Float64Array(n);
  const y = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    for (let j = 0; j < n; j++) {
      const angle = (-2 * Math.PI * ((j * k) % n)) / n;
      x[k]! += re[j]! * Math.cos(angle) - im[j]! * Math.sin(angle);
      y[k]! += re[j]! * Math.sin(angle) + im[j]! * Math.cos(angle);
    }
  }
  return [x, y];
}

const seeded = (n: number, seed: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => Math.sin(seed + i * i * 0.7) + Math.cos(1.3 * i));

test.each([1, 2, 4, 8, 16, 32, 128, 256])("transforms %i points as the definition does, and back", (n) => {
  const re = seeded(n, 1);
  const im = seeded(n, 2);
  const [x, y] = dft(re, im);
  const { forward, inverse, frequency, place } = fft(n);
  const a = re.slice();
  const b = im.slice();
  forward(a, b);
  for (let p = 0; p < n; p++) {
    expect(place[frequency[p]!]).toBe(p);
    expect(a[p]).toBeCloseTo(x[frequency[p]!]!, 9);
    expect(b[p]).toBeCloseTo(y[frequency[p]!]!, 9);
  }
  inverse(a, b);
  for (let j = 0; j < n; j++) {
    expect(a[j]! / n).toBeCloseTo(re[j]!, 12);
    expect(b[j]! / n).toBeCloseTo(im[j]!, 12);
  }
});

test("a real, even multiplier filters two rows at once and keeps them apart", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 1000 }), (log, seed) => {
      const n = 2 ** log;
      const { forward, inverse, frequency } = fft(n);
      const one = seeded(n, seed);
      const filter = (re: Float64Array, im: Float64Array): void => {
        forward(re, im);
        for (let p = 0; p < n; p++) {
          const gain = Math.min(frequency[p]!, n - frequency[p]!) / n;
          re[p]! *= gain;
          im[p]! *= gain;
        }
        inverse(re, im);
      };
      const alone = one.slice();
      filter(alone, new Float64Array(n));
      const beside = one.slice();
      filter(beside, seeded(n, seed + 7));
      beside.forEach((value, i) => expect(value).toBeCloseTo(alone[i]!, 9));
    }),
    { seed: 1, numRuns: 50 },
  );
});

test("two axes: a plane wave is one point", () => {
  const [rows, cols] = [8, 32];
  const re = Float64Array.from({ length: rows * cols }, (_, i) =>
    Math.cos(2 * Math.PI * ((3 * Math.floor(i / cols)) / rows + (5 * (i % cols)) / cols)),
  );
  const im = Float64Array.from({ length: rows * cols }, (_, i) =>
    Math.sin(2 * Math.PI * ((3 * Math.floor(i / cols)) / rows + (5 * (i % cols)) / cols)),
  );
  const before = re.slice();
  fft2(re, im, rows, cols);
  const at = fft(rows).place[3]! * cols + fft(cols).place[5]!;
  re.forEach((value, i) => expect(value).toBeCloseTo(i === at ? rows * cols : 0, 9));
  fft2(re, im, rows, cols, true);
  re.forEach((value, i) => expect(value / (rows * cols)).toBeCloseTo(before[i]!, 12));
});

test("says what sizes it takes", () => {
  expect(() => fft(12)).toThrow(/12 points: wanted a power of two/);
  expect([1, 2, 3, 1023, 1025].map(powerOfTwo)).toEqual([1, 2, 4, 1024, 2048]);
});
