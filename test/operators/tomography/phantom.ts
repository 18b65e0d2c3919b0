/**
 * Ellipses with known projections, a textbook filtered back-projection in double precision, and how far two images
 * are apart: ground truth for the tomography tests.
 */
export interface Ellipse {
  /** Middle, half axes [px] from the rotation axis, x right, y up; angle of the first half axis; attenuation [1/px]. */
  readonly x: number;
  readonly y: number;
  readonly a: number;
  readonly b: number;
  readonly angle_deg: number;
  readonly attenuation: number;
}

/** A cell-like thing for a detector of `cols` columns: a can, a winding, a hole, some grains. */
export function cell(cols: number): Ellipse[] {
  const R = cols / 2;
  return [
    { x: 0, y: 0, a: 0.86 * R, b: 0.8 * R, angle_deg: 0, attenuation: 2 / cols },
    { x: 0, y: 0, a: 0.78 * R, b: 0.72 * R, angle_deg: 0, attenuation: -1 / cols },
    { x: 0.2 * R, y: 0.3 * R, a: 0.3 * R, b: 0.15 * R, angle_deg: 30, attenuation: 1 / cols },
    { x: -0.3 * R, y: -0.2 * R, a: 0.2 * R, b: 0.25 * R, angle_deg: 70, attenuation: -0.8 / cols },
    { x: -0.1 * R, y: 0.5 * R, a: 0.05 * R, b: 0.09 * R, angle_deg: 10, attenuation: 2 / cols },
  ];
}

/** Line integrals of the ellipses at the detector's columns: -ln T. Chords, so exact at every angle. */
export function project(
  ellipses: readonly Ellipse[],
  theta_deg: number,
  cols: number,
  axis: number,
): Float64Array {
  const p = new Float64Array(cols);
  const theta = (theta_deg * Math.PI) / 180;
  for (const { x, y, a, b, angle_deg, attenuation } of ellipses) {
    const turned = theta - (angle_deg * Math.PI) / 180;
    const width2 = (a * Math.cos(turned)) ** 2 + (b * Math.sin(turned)) ** 2;
    const middle = axis + x * Math.cos(theta) + y * Math.sin(theta);
    for (let c = 0; c < cols; c++) {
      const inside = width2 - (c - middle) ** 2;
      if (inside > 0) p[c]! += (2 * attenuation * a * b * Math.sqrt(inside)) / width2;
    }
  }
  return p;
}

/**
 * Filtered back-projection as books have it: convolution with the ramp (Kak & Slaney eq. 3.61) written out, linear
 * interpolation, weight π / views, everything in double precision.
 */
export function textbook(
  rows: readonly Float64Array[], angles_deg: readonly number[], axis: number, size: number,
  kernel: (n: number) => number = ramLak, weights_rad?: readonly number[],
): Float64Array {
  const image = new Float64Array(size * size);
  const middle = (size - 1) / 2;
  rows.forEach((row, k) => {
    const cols = row.length;
    const h = Float64Array.from({ length: cols }, (_, n) => kernel(n));
    const q = new Float64Array(cols);
    for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) q[i]! += row[j]! * h[Math.abs(i - j)]!;
    const cos = Math.cos((angles_deg[k]! * Math.PI) / 180);
    const sin = Math.sin((angles_deg[k]! * Math.PI) / 180);
    const weight = weights_rad ? weights_rad[k]! : Math.PI / rows.length;
    for (let r = 0; r < size; r++) {
      for (let c = 0; c < size; c++) {
        const t = axis + (c - middle) * cos + (middle - r) * sin;
        const i = Math.min(cols - 2, Math.floor(t + 1e-9));
        if (t < -1e-9 || t > cols - 1 + 1e-9) continue;
        image[r * size + c]! += weight * (q[i]! + (t - i) * (q[i + 1]! - q[i]!));
      }
    }
  });
  return image;
} // prettier-ignore

export const ramLak = (n: number): number => (n === 0 ? 1 / 4 : n % 2 === 1 ? -1 / (Math.PI * n) ** 2 : 0);

export function rms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}

/** Peak signal to noise ratio [dB]; the peak is the reference's range. */
export function psnr(image: ArrayLike<number>, reference: Float64Array): number {
  let [least, most] = [Infinity, -Infinity];
  for (const value of reference) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return 20 * Math.log10((most - least) / rms(image, reference));
}
