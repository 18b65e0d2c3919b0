/**
 * What shifts of many views say together: of a sample that was moved without turning, and of the axis.
 *
 *     s_k = a + dx cos θ_k + dy sin θ_k + jitter          (least squares, weights 1 / (var s_k + jitter²))
 *
 *     s       shift of a view [px]      dx, dy  of the sample, to the right and upwards in a horizontal slice [px]
 *     a       of the rotation axis, or of the detector [px]
 *     jitter  what the shifts scatter by beyond their errors [px]
 *
 * Within a quarter-turn a goes nearly with dx and dy: each alone has a large error, which its `_se` says; `chi2`, with three
 * degrees of freedom, and `size` do not suffer from it.
 */
export interface ShiftOf {
  readonly theta_rad: number;
  readonly shift: number;
  readonly variance: number;
}

export interface Translation {
  readonly axis: number;
  readonly axis_se: number;
  readonly dx: number;
  readonly dx_se: number;
  readonly dy: number;
  readonly dy_se: number;
  /** Of a, dx and dy being all zero. */
  readonly chi2: number;
  /** Root mean square of a + dx cos θ + dy sin θ over these views [px]. */
  readonly size: number;
  readonly jitter: number;
}

const FEWEST = 6;

/** Undefined of fewer than six views, or where their angles do not tell the three parts from each other. */
export function translationOf(shifts: readonly ShiftOf[]): Translation | undefined {
  if (shifts.length < FEWEST) return undefined;
  const alike = solve(shifts, () => 1);
  if (!alike) return undefined;
  const left = sumOver(shifts, (one) => (one.shift - at(alike.x, one)) ** 2) / (shifts.length - 3);
  const noise = sumOver(shifts, ({ variance }) => variance) / shifts.length;
  const jitter2 = Math.max(0, left - noise);
  const fit = solve(shifts, ({ variance }) => 1 / (variance + jitter2));
  if (!fit) return undefined;
  const { x, inverse, normal } = fit;
  let chi2 = 0;
  for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) chi2 += x[i]! * normal[3 * i + j]! * x[j]!;
  const [axis, dx, dy] = x as [number, number, number];
  return {
    axis, dx, dy, chi2,
    axis_se: Math.sqrt(inverse[0]!), dx_se: Math.sqrt(inverse[4]!), dy_se: Math.sqrt(inverse[8]!),
    size: Math.sqrt(sumOver(shifts, (one) => at(x, one) ** 2) / shifts.length),
    jitter: Math.sqrt(jitter2),
  }; // prettier-ignore
}

/** Takes off what is a translation: that of all views cannot be told from the place of the sample. */
export function withoutTranslation(shifts: Float64Array, thetas_rad: ArrayLike<number>, known: ArrayLike<boolean>): void {
  const all = Array.from(shifts, (shift, k) => ({ theta_rad: thetas_rad[k]!, shift, variance: 1 }));
  const fit = solve(all.filter((_, k) => known[k]!), () => 1);
  if (fit) for (let k = 0; k < all.length; k++) shifts[k]! -= at([0, fit.x[1]!, fit.x[2]!], all[k]!);
} // prettier-ignore

const at = ([axis, dx, dy]: readonly number[], { theta_rad }: ShiftOf): number =>
  axis! + dx! * Math.cos(theta_rad) + dy! * Math.sin(theta_rad);

function sumOver<T>(all: readonly T[], of: (one: T) => number): number {
  let sum = 0;
  for (const one of all) sum += of(one);
  return sum;
}

/** Normal equations, three by three, and their inverse; undefined where they are as good as singular. */
function solve(
  shifts: readonly ShiftOf[], weight: (one: ShiftOf) => number,
): { x: number[]; inverse: Float64Array; normal: Float64Array } | undefined {
  let [n, c, d, cc, cd, dd, y, cy, dy] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (const one of shifts) {
    const w = weight(one);
    const [cos, sin] = [Math.cos(one.theta_rad), Math.sin(one.theta_rad)];
    n += w;
    c += w * cos;
    d += w * sin;
    cc += w * cos * cos;
    cd += w * cos * sin;
    dd += w * sin * sin;
    y += w * one.shift;
    cy += w * cos * one.shift;
    dy += w * sin * one.shift;
  }
  const normal = Float64Array.of(n, c, d, c, cc, cd, d, cd, dd);
  const right = [y, cy, dy];
  const inverse = Float64Array.of(
    cc * dd - cd * cd, d * cd - c * dd, c * cd - d * cc,
    d * cd - c * dd, n * dd - d * d, c * d - n * cd,
    c * cd - d * cc, c * d - n * cd, n * cc - c * c,
  );
  const determinant = n * inverse[0]! + c * inverse[1]! + d * inverse[2]!;
  if (!(determinant > 1e-9 * n * cc * dd)) return undefined;
  for (let i = 0; i < 9; i++) inverse[i]! /= determinant;
  const x = [0, 3, 6].map((i) => inverse[i]! * right[0]! + inverse[i + 1]! * right[1]! + inverse[i + 2]! * right[2]!);
  return { x, inverse, normal };
} // prettier-ignore
