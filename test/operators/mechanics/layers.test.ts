import { describe, expect, test } from "vitest";
import { layerTable } from "../../../operators/mechanics/layer-integral.ts";
import { cliffordSeahApparent, cliffordSeahLayer, layerFactor, type LayerFactor, type LayerTheory } from "../../../operators/mechanics/layers.ts"; // prettier-ignore

type Geometry = "sphere" | "cone" | "punch";
const law = (geometry: Geometry, theory: LayerTheory, bonded = true, poisson = 0.5): LayerFactor => {
  const found = layerFactor(geometry, { thickness_m: 1, bonded, theory }, poisson);
  if (typeof found === "string") throw new Error(found);
  return found;
};

describe("the solved contact problem", () => {
  test.each([
    ["sphere", [1.06024, 5.11537, 18.36869, 46.35314]],
    ["cone", [1.03754, 3.04437, 9.33932, 21.62647]],
    ["punch", [1.0596, 3.61874, 9.14945, 18.1574]],
  ] as const)(
    "of a %s is that of a program of its own (numpy, 80 points, test/golden/layer-factor.py)",
    (geometry, expected) => {
      [0.05, 1, 2, 3].forEach((chi, i) => {
        expect(Math.abs(law(geometry, "integral").factor(chi) / expected[i]! - 1)).toBeLessThan(5e-6);
      });
    },
  );

  test("small contacts: what perturbation of a half space gives, from the kernel's two moments", () => {
    // f = 1 + y₁ χ + y₂ χ² + …: y = (1 + κ χ y)^1.5 with κ = 4 I₀/(3π) for the sphere
    const I0 = 1.770217; // ∫ (1 - M) dξ, bonded, ν 0.5
    const kappa = (4 * I0) / (3 * Math.PI);
    for (const chi of [0.01, 0.02]) {
      const f = 1 + 1.5 * kappa * chi + 2.625 * (kappa * chi) ** 2;
      expect(Math.abs(law("sphere", "integral").factor(chi) - f)).toBeLessThan(4 * chi ** 3);
    }
    // of the punch the radius is fixed, and the series geometric
    expect(law("punch", "integral").factor(0.02)).toBeCloseTo(1 / (1 - (2 * I0 * 0.02) / Math.PI), 4);
  });

  test("wide contacts: a slipping layer is pressed like a bed of springs, E*/h per area", () => {
    // punch: F = π a² E* δ/h over 2 E* a δ, with an edge of the order of h
    for (const chi of [2, 3]) {
      const bed = (Math.PI * chi) / 2;
      const f = layerTable("punch", false, 0.3).value(chi);
      expect(f).toBeGreaterThan(bed);
      expect(f).toBeLessThan(bed * (1 + 1.2 / chi));
    }
  });

  test("grows with χ and with Poisson's ratio; a bonded layer is stiffer than one that slips", () => {
    for (const geometry of ["sphere", "cone", "punch"] as const)
      for (let chi = 0.05; chi < 3; chi += 0.05) {
        expect(law(geometry, "integral").slope(chi)).toBeGreaterThan(0);
        const by = [0.2, 0.35, 0.5].map((nu) => law(geometry, "integral", true, nu).factor(chi));
        expect(by[1]).toBeGreaterThan(by[0]!);
        expect(by[2]).toBeGreaterThan(by[1]!);
        expect(by[0]).toBeGreaterThan(law(geometry, "integral", false).factor(chi));
      }
  });
});

test.each([
  ["sphere", "garcia", true, 0.5], ["cone", "garcia", true, 0.5], ["punch", "garcia", true, 0.5], ["cone", "managuli", true, 0.5],
  ["sphere", "dimitriadis", true, 0.5], ["sphere", "dimitriadis", true, 0.3], ["sphere", "dimitriadis", false, 0.5],
] as const)("%s by %s (bonded %s, ν %d) stays within 5 %% of the solved problem up to its limit", (geometry, theory, bonded, nu) => {
  const series = law(geometry, theory, bonded, nu);
  const solved = law(geometry, "integral", bonded, nu);
  for (let chi = 0.01; chi <= series.limit; chi += 0.01)
    expect(Math.abs(series.factor(chi) / solved.factor(chi) - 1)).toBeLessThan(0.05);
}); // prettier-ignore

describe("published numbers", () => {
  test("Dimitriadis' general form gives the coefficients printed for ν = 0.5, the last with a minus", () => {
    const f = law("sphere", "dimitriadis").factor;
    for (const chi of [0.1, 0.5, 1])
      expect(f(chi)).toBeCloseTo(
        1 + 1.133 * chi + 1.283 * chi ** 2 + 0.769 * chi ** 3 - 0.0975 * chi ** 4,
        2,
      );
    const slips = law("sphere", "dimitriadis", false).factor;
    for (const chi of [0.1, 0.5, 1])
      expect(slips(chi)).toBeCloseTo(
        1 + 0.884 * chi + 0.781 * chi ** 2 + 0.386 * chi ** 3 + 0.0048 * chi ** 4,
        2,
      );
  });

  test("with either sign Dimitriadis stays below the solved problem: the sign is not what matters", () => {
    for (const chi of [0.2, 0.5, 0.7, 1]) {
      const plus = law("sphere", "dimitriadis").factor(chi) + 2 * 0.0975 * chi ** 4;
      expect(plus).toBeLessThan(law("sphere", "integral").factor(chi));
    }
  });

  test("the cone's half angle is in radians: 20° and δ/h = 0.1 raise the force by 2.7 %, not 3.6-fold", () => {
    const chi = Math.tan((20 * Math.PI) / 180) * 0.1;
    expect(law("cone", "managuli").factor(chi)).toBeCloseTo(1.027, 3);
    expect(law("cone", "garcia").factor(chi)).toBeCloseTo(1.027, 3);
    expect(law("cone", "integral").factor(chi)).toBeCloseTo(1.027, 3);
  });

  test("Garcia's sphere at χ 0.05, 0.1, 0.2: 1.06, 1.13, 1.30", () => {
    expect([0.05, 0.1, 0.2].map((chi) => law("sphere", "garcia").factor(chi).toFixed(2))).toEqual(["1.06", "1.13", "1.30"]); // prettier-ignore
  });
});

describe("Clifford and Seah", () => {
  const given = { chi: 0.4, substrate_Pa: 150e9, substratePoisson: 0.27, layerPoisson: 0.3 };
  test("the layer's modulus is found back from the apparent one", () => {
    for (const layer_Pa of [1e8, 3e9, 8e10, 4e11])
      expect(cliffordSeahLayer(cliffordSeahApparent(layer_Pa, given), given) / layer_Pa).toBeCloseTo(1, 9);
  });
  test("a layer like its substrate has no substrate effect; a stiff substrate makes it look stiffer", () => {
    expect(cliffordSeahApparent(150e9, given)).toBeCloseTo(150e9, -2);
    expect(cliffordSeahApparent(3e9, given)).toBeGreaterThan(3e9);
    expect(cliffordSeahLayer(NaN, given)).toBeNaN();
  });
});
