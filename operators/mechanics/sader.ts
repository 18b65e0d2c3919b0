/**
 * Spring constant of a rectangular lever from how a fluid damps it.
 *
 *     k = 0.1906 ρ b² L Q Γ_i(ω₀) ω₀²,   Γ = Ω(Re) (1 + 4i K₁(z) / (√(i Re) K₀(z))),   z = -i √(i Re),   Re = ρ ω₀ b²/(4 η)
 *
 *     ρ  density of the fluid    [kg/m3]    b, L  width and length of the lever   [m]
 *     η  its viscosity           [Pa s]     ω₀    2π f₀ in that fluid             [rad/s]
 *     Γ  hydrodynamic function: Γ_i its imaginary part; of a circular section corrected by Ω to a rectangular one
 *     K₀, K₁  modified Bessel functions of the second kind; only their quotient is needed
 *
 * Holds for L/b from 3 to 14, Re from 1e-6 to 1e4 where Ω was fitted, Q above some 1.
 *
 * Reference: Sader, J. Appl. Phys. 84, 64 (1998); Sader, Chon & Mulvaney, Rev. Sci. Instrum. 70, 3967 (1999).
 */
export interface Fluid {
  readonly density_kg_per_m3: number;
  readonly viscosity_Pa_s: number;
}

export interface Plan {
  readonly width_m: number;
  readonly length_m: number;
}

export function saderSpringConstant(
  { width_m: b, length_m: L }: Plan,
  fluid: Fluid,
  frequency_Hz: number,
  qualityFactor: number,
): number {
  const omega = 2 * Math.PI * frequency_Hz;
  const { im } = hydrodynamic(reynolds(b, fluid, omega));
  return 0.1906 * fluid.density_kg_per_m3 * b * b * L * qualityFactor * im * omega * omega;
}

export const reynolds = (
  width_m: number,
  { density_kg_per_m3: rho, viscosity_Pa_s: eta }: Fluid,
  omega_rad_per_s: number,
): number => (rho * omega_rad_per_s * width_m * width_m) / (4 * eta);

/** Γ of a rectangular section. */
export function hydrodynamic(Re: number): Complex {
  const root = polar(Math.sqrt(Re), Math.PI / 4);
  const quotient = besselQuotient(polar(Math.sqrt(Re), -Math.PI / 4));
  const circle = add({ re: 1, im: 0 }, divide(multiply({ re: 0, im: 4 }, quotient), root));
  const t = Math.log10(Re);
  const re =
    polynomial(t, [0.91324, -0.48274, 0.46842, -0.12886, 0.044055, -0.0035117, 0.00069085]) /
    polynomial(t, [1, -0.56964, 0.4869, -0.13444, 0.045155, -0.0035862, 0.00069085]);
  const im =
    polynomial(t, [-0.024134, -0.029256, 0.016294, -0.00010961, 0.000064577, -0.00004451]) /
    polynomial(t, [1, -0.59702, 0.55182, -0.18357, 0.079156, -0.014369, 0.0028361]);
  return multiply({ re, im }, circle);
}

/** K₁(z)/K₀(z) for Re z > 0: by their power series below |z| = 2, above by Steed's continued fraction (Temme). */
export function besselQuotient(z: Complex): Complex {
  if (Math.hypot(z.re, z.im) < 2) return divide(...bySeries(z));
  // K₁/K₀ = (z + 1/2 - h)/z, h = 1/4 (1/(b₁ + a₂/(b₂ + …))), b_n = 2 (z + n), a_n = -((n - 1)² + (n - 1) + 1/4)
  const n = 1 + Math.ceil(200 / Math.hypot(z.re, z.im)) + 20;
  let tail: Complex = { re: 2 * (z.re + n), im: 2 * z.im };
  for (let j = n - 1; j >= 1; j--) {
    const a = -(j * j + j + 0.25);
    tail = add({ re: 2 * (z.re + j), im: 2 * z.im }, divide({ re: a, im: 0 }, tail));
  }
  const h = divide({ re: 0.25, im: 0 }, tail);
  return divide({ re: z.re + 0.5 - h.re, im: z.im - h.im }, z);
}

const EULER_GAMMA = 0.5772156649015329;

/** K₁ and K₀ (Abramowitz & Stegun 9.6.11 and 9.6.13). */
function bySeries(z: Complex): [K1: Complex, K0: Complex] {
  const half = { re: z.re / 2, im: z.im / 2 };
  const square = multiply(half, half);
  const log = { re: Math.log(Math.hypot(half.re, half.im)), im: Math.atan2(half.im, half.re) };
  let term0: Complex = { re: 1, im: 0 }; // (z²/4)^k / k!²
  let I0: Complex = { re: 0, im: 0 };
  let I1: Complex = { re: 0, im: 0 }; // less z/2
  let sum0: Complex = { re: 0, im: 0 };
  let sum1: Complex = { re: 0, im: 0 };
  let psi = -EULER_GAMMA; // ψ(k + 1)
  for (let k = 0; k < 40; k++) {
    const term1 = scale(term0, 1 / (k + 1)); // (z²/4)^k / (k! (k + 1)!)
    I0 = add(I0, term0);
    I1 = add(I1, term1);
    sum0 = add(sum0, scale(term0, psi));
    sum1 = add(sum1, scale(term1, 2 * psi + 1 / (k + 1))); // ψ(k + 1) + ψ(k + 2)
    term0 = scale(multiply(term0, square), 1 / ((k + 1) * (k + 1)));
    psi += 1 / (k + 1);
  }
  const K0 = add(scale(multiply(log, I0), -1), sum0);
  const K1 = add(divide({ re: 1, im: 0 }, z), multiply(half, add(multiply(log, I1), scale(sum1, -0.5))));
  return [K1, K0];
}

export interface Complex {
  readonly re: number;
  readonly im: number;
}
const polar = (r: number, phase_rad: number): Complex => ({ re: r * Math.cos(phase_rad), im: r * Math.sin(phase_rad) }); // prettier-ignore
const add = (a: Complex, b: Complex): Complex => ({ re: a.re + b.re, im: a.im + b.im });
const scale = (a: Complex, s: number): Complex => ({ re: a.re * s, im: a.im * s });
const multiply = (a: Complex, b: Complex): Complex => ({ re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }); // prettier-ignore
function divide(a: Complex, b: Complex): Complex {
  const norm = b.re * b.re + b.im * b.im;
  return { re: (a.re * b.re + a.im * b.im) / norm, im: (a.im * b.re - a.re * b.im) / norm };
}
const polynomial = (x: number, c: readonly number[]): number =>
  c.reduceRight((sum, next) => sum * x + next, 0);
