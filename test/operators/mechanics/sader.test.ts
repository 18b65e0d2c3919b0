import { describe, expect, test } from "vitest";
import { besselQuotient, hydrodynamic, reynolds, saderSpringConstant } from "../../../operators/mechanics/sader.ts"; // prettier-ignore

/** K_ν(z) = ∫₀^∞ exp(-z cosh t) cosh νt dt by the trapezoidal rule, which converges faster than any power here. */
function bessel(re: number, im: number, nu: number): { re: number; im: number } {
  const h = 1 / 512;
  let [sumRe, sumIm] = [0, 0];
  for (let t = 0; re * Math.cosh(t) < 740; t += h) {
    const cosh = Math.cosh(t);
    const weight = (t === 0 ? 0.5 : 1) * h * Math.exp(-re * cosh) * Math.cosh(nu * t);
    sumRe += weight * Math.cos(im * cosh);
    sumIm -= weight * Math.sin(im * cosh);
  }
  return { re: sumRe, im: sumIm };
}

test("K₁/K₀ is that of their integrals, along the argument that the fluid needs and off it", () => {
  for (const phase of [-Math.PI / 4, 0, 0.6, -1.3])
    for (const size of [1e-3, 0.05, 0.7, 1.99, 2.01, 3.7, 12, 60]) {
      const z = { re: size * Math.cos(phase), im: size * Math.sin(phase) };
      const [one, zero] = [bessel(z.re, z.im, 1), bessel(z.re, z.im, 0)];
      const norm = zero.re ** 2 + zero.im ** 2;
      const re = (one.re * zero.re + one.im * zero.im) / norm;
      const im = (one.im * zero.re - one.re * zero.im) / norm;
      const found = besselQuotient(z);
      expect(Math.hypot(found.re - re, found.im - im) / Math.hypot(re, im)).toBeLessThan(1e-11);
    }
  // far out 1 + 1/(2 z)
  expect(besselQuotient({ re: 1e4, im: 0 }).re).toBeCloseTo(1 + 0.5e-4, 8);
});

describe("hydrodynamic function", () => {
  test("of fast motion tends to the added mass of a flat plate, whose fluid no longer feels friction", () => {
    const { re, im } = hydrodynamic(1e4);
    expect(re).toBeCloseTo(1.03, 1);
    expect(im).toBeLessThan(0.06);
    expect(im).toBeGreaterThan(0);
  });

  test("of slow motion is friction alone, and falls with Re", () => {
    let before = Infinity;
    for (const Re of [1e-3, 1e-2, 0.1, 1, 10, 100, 1000]) {
      const { re, im } = hydrodynamic(Re);
      expect(im).toBeLessThan(before);
      if (Re < 0.1) expect(im).toBeGreaterThan(2 * re);
      before = im;
    }
  });
});

test("a lever of known stiffness, from the Q that the fluid gives it", () => {
  // Solved the other way round: of a lever with this k, mass per length and plan, f₀ and Q in air by the same theory's
  // ω₀ = ω_vac/√(1 + π ρ b²/(4 μ) Γ_r) and Q = (4 μ/(π ρ b²) + Γ_r)/Γ_i, and k = 0.2427 m ω_vac² (Sader 1998).
  const [b, L, mu, k] = [30e-6, 225e-6, 2330 * 30e-6 * 3e-6, 2.5]; // kg/m
  const air = { density_kg_per_m3: 1.18, viscosity_Pa_s: 1.86e-5 };
  const vacuum = Math.sqrt(k / (0.2427 * mu * L));
  const added = (Math.PI * air.density_kg_per_m3 * b * b) / (4 * mu);
  let omega = vacuum;
  for (let i = 0; i < 50; i++)
    omega = vacuum / Math.sqrt(1 + added * hydrodynamic(reynolds(b, air, omega)).re);
  const { re, im } = hydrodynamic(reynolds(b, air, omega));
  const Q = (1 / added + re) / im;
  expect(Q).toBeGreaterThan(50);
  // 0.1906 is π/4 × 0.2427 rounded
  expect(saderSpringConstant({ width_m: b, length_m: L }, air, omega / (2 * Math.PI), Q) / k).toBeCloseTo(
    1,
    3,
  );
});

test("no fluid given, no number", () => {
  expect(saderSpringConstant({ width_m: 3e-5, length_m: 2e-4 }, { density_kg_per_m3: NaN, viscosity_Pa_s: 1e-5 }, 7e4, 100)).toBeNaN(); // prettier-ignore
});
