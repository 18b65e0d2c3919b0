import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  contactShape,
  sphereContactRadius,
  TIP_MODELS,
  type Tip,
} from "../../../operators/mechanics/contact-shapes.ts";

const tip = (model: Tip["model"], more: Partial<Tip> = {}): Tip => ({
  model, radius_m: 1e-8, halfAngle_rad: Math.PI / 9, poisson: 0.5, ...more,
}); // prettier-ignore

test("the half space's forces are the textbook's", () => {
  const d = 3e-9;
  const g = (model: Tip["model"]) => contactShape(tip(model)).g(d);
  const tan = Math.tan(Math.PI / 9);
  expect(g("hertz-paraboloid")).toBeCloseTo((4 / 3) * Math.sqrt(1e-8) * d ** 1.5, 25);
  expect(g("hertz-cone")).toBeCloseTo((2 / Math.PI) * tan * d * d, 25);
  expect(g("hertz-pyramid")).toBeCloseTo(tan * Math.SQRT1_2 * d * d, 25);
  expect(g("pyramid-3")).toBeCloseTo(0.8887 * tan * d * d, 25);
  expect(g("punch")).toBeCloseTo(2e-8 * d, 25);
});

describe("sphere", () => {
  // Sneddon's two equations, with the contact radius as the parameter: no inversion, no table. Small a by its series.
  const exact = (u: number) => {
    let [G, q] = [0, 0];
    if (u < 0.3) for (let k = 1; k < 24; k++) G += ((4 * k) / (4 * k * k - 1)) * u ** (2 * k + 1);
    else G = (1 + u * u) * Math.atanh(u) - u;
    if (u < 0.3) for (let k = 0; k < 24; k++) q += u ** (2 * k + 2) / (2 * k + 1);
    else q = u * Math.atanh(u);
    return { G, q };
  };

  test("force and contact radius are Sneddon's within 1e-9, from a millionth of the radius to ten radii", () => {
    const R = 2e-6;
    const shape = contactShape(tip("sphere", { radius_m: R }));
    let [force, slope] = [0, 0];
    for (let i = 0; i < 4000; i++) {
      const u = i < 2000 ? 1e-3 * 900 ** (i / 2000) : 1 - 10 ** (-1 - (i - 2000) / 250);
      const { G, q } = exact(u);
      force = Math.max(force, Math.abs(shape.g(R * q) / (R * R * G) - 1));
      slope = Math.max(slope, Math.abs(shape.dg(R * q) / (2 * R * u) - 1));
    }
    expect(force).toBeLessThan(1e-9);
    expect(slope).toBeLessThan(1e-9);
  });

  test("agrees with the series that programs use, to its own 1e-4", () => {
    const shape = contactShape(tip("sphere", { radius_m: 1 }));
    for (const q of [0.01, 0.1, 0.5, 1]) {
      const series = 1 - q / 10 - q ** 2 / 840 + (11 * q ** 3) / 15120 + (1357 * q ** 4) / 6652800;
      expect(Math.abs(shape.g(q) / ((4 / 3) * q ** 1.5 * series) - 1)).toBeLessThan(1.2e-4);
    }
  });

  test("the contact never grows wider than the tip", () => {
    expect(sphereContactRadius(0)).toBe(0);
    expect(sphereContactRadius(-1)).toBe(0);
    expect(sphereContactRadius(1e-18)).toBeCloseTo(1e-9, 20);
    expect(sphereContactRadius(1000)).toBe(1);
  });
});

const LAYERED = [
  [tip("hertz-paraboloid"), "integral"], [tip("hertz-paraboloid"), "garcia"], [tip("hertz-paraboloid"), "dimitriadis"],
  [tip("sphere"), "integral"], [tip("hertz-cone"), "integral"], [tip("hertz-cone"), "managuli"], [tip("hertz-pyramid"), "garcia"],
  [tip("pyramid-3"), "integral"], [tip("punch"), "garcia"], [tip("punch"), "integral"],
] as const; // prettier-ignore
const shapes = [
  ...TIP_MODELS.map((model) => ({ of: tip(model), layer: undefined })),
  ...LAYERED.map(([of, theory]) => ({ of, layer: { thickness_m: 2e-8, bonded: true, theory } })),
];

test.each(shapes)(
  "$of.model on $layer.theory: slope and sensitivities are those of its force",
  ({ of, layer }) => {
    const shape = contactShape(of, layer);
    const close = (a: number, b: number) =>
      expect(Math.abs(a - b)).toBeLessThan(2e-6 * Math.max(1, Math.abs(b)));
    const step = 1e-5;
    const log = (change: (s: number) => number) => (change(step) - change(-step)) / (2 * step);
    for (const d of [2e-10, 1e-9, 4e-9]) {
      const g = shape.g(d);
      close(shape.dg(d) * d / g, log((s) => Math.log(shape.g(d * (1 + s))))); // prettier-ignore
      close(shape.radiusSensitivity(d), log((s) => Math.log(contactShape({ ...of, radius_m: of.radius_m * (1 + s) }, layer).g(d)))); // prettier-ignore
      close(shape.angleSensitivity(d), log((s) => Math.log(contactShape({ ...of, halfAngle_rad: of.halfAngle_rad + s }, layer).g(d)))); // prettier-ignore
      if (layer) {
        const thickness = log((s) => Math.log(contactShape(of, { ...layer, thickness_m: layer.thickness_m * (1 + s) }).g(d))); // prettier-ignore
        close(shape.thicknessSensitivity(d), thickness);
        expect(shape.substrateEffect(d)).toBeGreaterThan(0);
      } else expect([shape.thicknessSensitivity(d), shape.substrateEffect(d)]).toEqual([0, 0]);
      if (shape.power !== undefined) close(g / (shape.scale * d ** shape.power), 1);
    }
    expect([shape.g(0), shape.g(-1e-9), shape.dg(-1e-9)]).toEqual([0, 0, 0]);
  },
);

test("a blunter tip needs more force, whatever its sides: the angle is from the axis", () => {
  const angle = fc.double({ min: 0.05, max: 1.5, noNaN: true });
  fc.assert(
    fc.property(fc.constantFrom("hertz-cone", "hertz-pyramid", "pyramid-3"), angle, angle, (model, a, b) => {
      const g = (halfAngle_rad: number) =>
        contactShape(tip(model as Tip["model"], { halfAngle_rad })).g(1e-9);
      return Math.sign(g(a) - g(b)) === Math.sign(a - b);
    }),
    { seed: 4 },
  );
});

test("a tip and a theory that do not go together are refused with a sentence", () => {
  const layer = { thickness_m: 2e-8, bonded: true } as const;
  expect(() => contactShape(tip("hertz-cone"), { ...layer, theory: "dimitriadis" })).toThrow(
    "dimitriadis has no bonded layer under a cone, only under round tips; take theory integral",
  );
  expect(() => contactShape(tip("sphere", { poisson: 0.3 }), { ...layer, theory: "garcia" })).toThrow(
    "garcia holds for an incompressible layer, ν = 0.5, not 0.3; take theory integral",
  );
  expect(() => contactShape(tip("sphere"), { ...layer, thickness_m: 0, theory: "integral" })).toThrow("above zero"); // prettier-ignore
});
