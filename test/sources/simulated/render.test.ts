import { describe, expect, test } from "vitest";
import { Random } from "../../../sources/simulated/random.ts";
import { forceCurve, hertzFactor } from "../../../sources/simulated/render-curves.ts";
import {
  beamProfile, bubbleSpheres, cellPhantom, DARK_counts, expose, lineIntegrals,
} from "../../../sources/simulated/render-projections.ts"; // prettier-ignore
import { radiographIntegrals, radiography } from "../../../sources/simulated/render-radiographs.ts";
import { Surface } from "../../../sources/simulated/surface.ts";

const sum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0);

describe("force curves", () => {
  const plan = {
    contactPoint_m: 2e-6, points: 128, tipRadius_m: 30e-9, poissonRatio: 0.3, springConstant_N_per_m: 20,
    forceSetpoint_N: 60e-9, clearance_m: 25e-9, adhesion_N: 3e-9,
  }; // prettier-ignore

  test.each([1e7, 3e8, 3e9, 3e10])("each point of the approach obeys Hertz at %d Pa", (modulus_Pa) => {
    const { height, force, segment } = forceCurve({ ...plan, modulus_Pa });
    const factor = hertzFactor({ ...plan, modulus_Pa });
    for (let i = 0; i < 96; i++) {
      expect(segment[i]).toBe(0);
      const indentation = plan.contactPoint_m - (height[i]! + force[i]! / plan.springConstant_N_per_m);
      // heights are of single precision: 0.12 pm at 2 µm
      const back = (force[i]! / factor) ** (2 / 3);
      if (force[i]! > 0) expect(Math.abs(back - indentation)).toBeLessThan(2.5e-13 + 1e-6 * back);
      else expect(indentation).toBeLessThan(2.5e-13);
    }
    expect(force[95]! / 60e-9).toBeCloseTo(1, 3);
    expect(height[0]! - plan.contactPoint_m).toBeCloseTo(25e-9, 11);
  });

  test("the retract goes back the same way, less the adhesion", () => {
    const { height, force, segment } = forceCurve({ ...plan, modulus_Pa: 1e9 });
    expect(sum(segment)).toBe(32);
    expect(Math.min(...force)).toBeLessThan(-2e-9);
    expect(Math.min(...force)).toBeGreaterThanOrEqual(-3.001e-9);
    expect(force[127]).toBe(0);
    expect(height.slice(96)).toEqual(height.slice(96).sort((a, b) => a - b));
  });
});

describe("the surface", () => {
  const surface = new Surface(new Random(1, "surface"));
  const clean = { sei_m: 5e-9, lithium_m: 0, modulus_Pa: 3e9 };

  test("a line is made of its points", () => {
    const line = surface.line(3e-7, -4e-7, 5e-9, 40, { ...clean, lithium_m: 3e-7 });
    line.forEach((z, i) => {
      const point = surface.height_m(3e-7 + i * 5e-9, -4e-7, { ...clean, lithium_m: 3e-7 });
      // a bump is cut off at 3.5 of its widths, 0.2 % of its height
      expect(Math.abs(z - point)).toBeLessThan(1e-9);
    });
  });

  test("drift moves it, and nothing else", () => {
    const line = surface.line(0, 0, 5e-9, 60, clean);
    const moved = surface.line(50e-9, 0, 5e-9, 50, clean);
    for (let i = 0; i < 50; i++) expect(Math.abs(moved[i]! - line[i + 10]!)).toBeLessThan(1e-12);
  });

  test("lithium grows on it and softens it", () => {
    const at = (lithium_m: number): number[] => {
      const state = { ...clean, lithium_m };
      const points = Array.from(
        { length: 400 },
        (_, i) => [(i % 20) * 1e-7, Math.floor(i / 20) * 1e-7] as const,
      );
      return [
        sum(points.map(([x, y]) => surface.height_m(x, y, state))) / 400,
        sum(points.map(([x, y]) => Math.log(surface.modulus_Pa(x, y, state)))) / 400,
      ];
    };
    const [before, after] = [at(0), at(300e-9)];
    expect(after[0]! - before[0]!).toBeGreaterThan(2e-9);
    expect(after[1]!).toBeLessThan(before[1]! - 0.1);
    expect(Math.abs(before[1]! - Math.log(3e9))).toBeLessThan(0.1);
  });
});

describe("projections", () => {
  const columns = 128;
  const phantom = cellPhantom(columns, new Random(1, "phantom"));
  const angles = Array.from({ length: 48 }, (_, i) => (i * Math.PI) / 24 + 0.01);
  const bubble = bubbleSpheres([{ along: 0.5, across: 0.5, radius: 0.1, share: 1 }]);

  test("the sum of each row is the same at every angle, and the area times the attenuation", () => {
    const area = phantom.cylinders.reduce((s, { radius, attenuation }) => s + Math.PI * radius ** 2 * attenuation, 0) +
      phantom.layers.reduce((s, { halfWidth, halfHeight, attenuation }) => s + 4 * halfWidth * halfHeight * attenuation, 0) +
      phantom.particles.reduce((s, { z, radius, attenuation }) => s + Math.PI * Math.max(0, radius ** 2 - (z - 0.5) ** 2) * attenuation, 0); // prettier-ignore
    for (const angle of angles) {
      const p = lineIntegrals(phantom, [], angle, 64.75, 4, columns);
      expect(sum(p.subarray(256, 384))).toBeCloseTo(area, 9);
    }
  });

  test("the centre of mass goes round in a circle about the axis", () => {
    const [cx, cy] = [0, Math.PI / 2].map((angle) => {
      const p = lineIntegrals(phantom, [], angle, 64, 1, columns);
      return sum(p.map((v, i) => v * (i + 0.5 - 64))) / sum(p);
    });
    for (const angle of angles) {
      const p = lineIntegrals(phantom, [], angle, 64, 1, columns);
      const centre = sum(p.map((v, i) => v * (i + 0.5 - 64))) / sum(p);
      // a pixel's mean stands at its middle: off where an edge or a foil seen along itself falls beside it
      expect(Math.abs(centre - (cx! * Math.cos(angle) + cy! * Math.sin(angle)))).toBeLessThan(0.02);
    }
  });

  test("a bubble takes its volume out of the sums", () => {
    const without = lineIntegrals(phantom, [], 0.7, 64, 1, columns);
    const withIt = lineIntegrals(phantom, bubble, 0.7, 64, 1, columns);
    expect(sum(without) - sum(withIt)).toBeCloseTo(0.0017 * Math.PI * 8 ** 2, 9);
    expect(Math.min(...withIt)).toBeGreaterThanOrEqual(-1e-12);
  });

  test("a detector with twice the columns sees the same cell", () => {
    const fine = cellPhantom(256, new Random(1, "phantom"));
    const p = lineIntegrals(fine, bubble, 0.4, 128, 1, 256);
    const coarse = lineIntegrals(phantom, bubble, 0.4, 64, 1, 128);
    for (let i = 0; i < 128; i++) expect((p[2 * i]! + p[2 * i + 1]!) / 2).toBeCloseTo(coarse[i]!, 9);
  });

  test("counts come back to transmission by dark and flat", () => {
    const random = new Random(2, "noise");
    const profile = beamProfile(columns, random);
    const p = lineIntegrals(phantom, [], 0.3, 64, 4, columns);
    const mean = (integrals: Float64Array | undefined, beam: number): Float64Array => {
      const total = new Float64Array(4 * columns);
      for (let n = 0; n < 100; n++)
        expose(profile, beam, integrals, total.length, random).forEach((c, i) => (total[i]! += c / 100));
      return total;
    };
    const [dark, flat, sample] = [mean(undefined, 0), mean(undefined, 1), mean(p, 1)];
    expect(sum(dark) / dark.length).toBeCloseTo(DARK_counts, 0);
    for (let i = 0; i < p.length; i++) {
      const transmission = (sample[i]! - dark[i]!) / (flat[i]! - dark[i]!);
      // 100 frames of 20000 counts: 0.1 % each of sample and flat; five of these
      expect(Math.abs(transmission - Math.exp(-p[i]!))).toBeLessThan(0.006);
    }
  });
});

describe("radiographs", () => {
  const cell = radiography(96, 128, new Random(1, "radiograph"));
  test("a bubble lets light through where it is, and only there", () => {
    const before = radiographIntegrals(cell, [], 0);
    const after = radiographIntegrals(cell, [{ along: 0.5, across: 0.5, radius: 0.1, share: 1 }], 0);
    const change = before.map((p, i) => p - after[i]!);
    const [row, col] = [Math.round(0.2 * 96 + 0.5 * 32), 64];
    // its diameter, 0.16 mm, of 170 per m
    expect(change[row * 128 + col]).toBeCloseTo(170 * 0.16e-3, 3);
    expect(change[90 * 128 + col]).toBe(0);
    expect(Math.min(...change)).toBeGreaterThanOrEqual(0);
  });

  test("a stage that moves by whole pixels moves the image", () => {
    const still = radiographIntegrals(cell, [], 0);
    const moved = radiographIntegrals(cell, [], 3);
    for (let col = 10; col < 110; col++) expect(moved[80 * 128 + col + 3]).toBe(still[80 * 128 + col]);
  });
});
