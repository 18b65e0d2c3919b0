import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bimodal } from "../../../operators/mechanics/bimodal.ts";
import { code, image, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws, spreadOf } from "./draws.ts";

const GIVEN = {
  spring_constant_1: "30 N/m", spring_constant_2: "1200 N/m", quality_factor_1: 400, frequency_2: "1.8 MHz", free_amplitude: "100 nm",
  tip_radius: "10 nm", poisson_ratio: 0.3,
}; // prettier-ignore
const [K1, K2, Q1, F2, FREE, R] = [30, 1200, 400, 1.8e6, 100e-9, 10e-9];

/** What an instrument would see: a Hertz contact over one cycle of mode 1, integrated in time. */
function seen(
  reduced_Pa: number,
  depth_m: number,
  amplitude_m: number,
): { phase_deg: number; shift_Hz: number } {
  const steps = 20_000;
  const scale = (4 / 3) * reduced_Pa * Math.sqrt(R);
  let [force, gradient] = [0, 0];
  const inContact = Math.acos(1 - depth_m / amplitude_m);
  for (let i = 0; i < steps; i++) {
    // u takes out the root at the edge of contact: θ = θ_c sin u
    const u = ((i + 0.5) / steps) * (Math.PI / 2);
    const angle = inContact * Math.sin(u);
    const weight = (inContact * Math.cos(u) * (Math.PI / 2)) / steps / Math.PI; // both halves, over 2π
    const d = Math.max(0, depth_m - amplitude_m * (1 - Math.cos(angle)));
    force += weight * scale * d ** 1.5 * Math.cos(angle);
    gradient += weight * 1.5 * scale * Math.sqrt(d);
  }
  const cos = (2 * Q1 * force) / (K1 * FREE);
  return { phase_deg: (Math.acos(cos) * 180) / Math.PI, shift_Hz: (gradient * F2) / (2 * K2) };
}

type Pixel = readonly [amplitude_m: number, phase_deg: number, shift_Hz: number];
function frames(
  list: readonly (readonly Pixel[])[],
  times = list.map((_, i) => BigInt(i + 1) * 1_000_000_000n),
) {
  const size = list[0]?.length ?? 2;
  const port = (k: number) => ({
    time: BigInt64Array.from(times),
    data: Float32Array.from(list.flat(), (pixel) => pixel[k]!),
    index: Int32Array.from(list, (_, i) => i),
    direction: new Int32Array(list.length),
    duration: new Float64Array(list.length).fill(0.5),
  });
  const fields = (unit: string) => ({ data: image(unit, { shape: [1, size] }), index: code(), direction: code(), duration: scalar("s") }); // prettier-ignore
  return {
    rows: { amplitude: port(0), phase: port(1), frequency_shift: port(2) },
    schema: { amplitude: fields("m"), phase: fields("deg"), frequency_shift: fields("Hz") },
  };
}
const run = (list: readonly (readonly Pixel[])[], given = {}, more = {}) => {
  const { rows, schema } = frames(list);
  return feed(bimodal, rows, { schema, with: { ...GIVEN, ...given }, ...more });
};

test("finds modulus and indentation of a contact that was integrated over the cycle, within 0.4 % at most", () => {
  const A = 80e-9;
  for (const [E, ratio] of [[3e8, 0.02], [3e9, 0.01], [3e10, 0.003]] as const) {
    const { phase_deg, shift_Hz } = seen(E, ratio * A, A);
    const { modulus, indentation } = run([[[A, phase_deg, shift_Hz]]]);
    expect(Math.abs(modulus.data[0] / (E * (1 - 0.09)) - 1)).toBeLessThan(ratio * 0.26 + 1e-5);
    expect(Math.abs(indentation.data[0] / (ratio * A) - 1)).toBeLessThan(ratio * 0.26 + 1e-5);
    expect(modulus.valid[0]).toBe(0);
  }
}); // prettier-ignore

test("at a tenth of the amplitude it is 2.6 % off, and past it flagged", () => {
  const A = 50e-9;
  const of = (ratio: number) => {
    const { phase_deg, shift_Hz } = seen(1e8, ratio * A, A);
    const { modulus } = run([[[A, phase_deg, shift_Hz]]]);
    return [Math.abs(modulus.data[0] / (1e8 * 0.91) - 1), modulus.valid[0]] as const;
  };
  expect(of(0.09)[0]).toBeLessThan(0.026);
  expect(of(0.09)[1]).toBe(0);
  expect(of(0.2)[1]).toBe(3);
});

test("the tip's own compliance is taken out", () => {
  const { phase_deg, shift_Hz } = seen(30e9, 0.2e-9, 80e-9);
  const plain = run([[[80e-9, phase_deg, shift_Hz]]]).modulus.data[0];
  const tip = run([[[80e-9, phase_deg, shift_Hz]]], { tip_modulus: "165 GPa" }).modulus.data[0];
  expect(1 / tip).toBeCloseTo(1 / plain - (1 - 0.27 ** 2) / 165e9 / 0.91, 15);
  expect(run([[[80e-9, phase_deg, 30 * shift_Hz]]], { tip_modulus: "165 GPa" }).modulus.valid[0]).toBe(4);
});

test("twice the shift is half the indentation and four times the modulus", () => {
  const phases = fc.double({ min: 20, max: 88, noNaN: true });
  fc.assert(
    fc.property(phases, fc.double({ min: 100, max: 1e4, noNaN: true }), (phase, shift) => {
      const { modulus, indentation } = run([[[80e-9, phase, shift], [80e-9, phase, 2 * shift]]]); // prettier-ignore
      return (
        Math.abs(modulus.data[1] / modulus.data[0] / 4 - 1) < 1e-6 &&
        Math.abs((2 * indentation.data[1]) / indentation.data[0] - 1) < 1e-6
      );
    }),
    { seed: 3, numRuns: 50 },
  );
});

test("loss tangent: none where the amplitude falls by the sine of the phase, and the formula off resonance", () => {
  const phase = 60;
  const sin = Math.sin(Math.PI / 3);
  const { loss_tangent } = run([[[FREE * sin, phase, 1000], [0.5 * FREE, phase, 1000]]]); // prettier-ignore
  expect(loss_tangent.data[0]).toBeCloseTo(0, 6);
  expect(loss_tangent.data[1]).toBeCloseTo((sin - 0.5) / 0.5, 5);
  const off = run([[[0.5 * FREE, phase, 1000]]], { frequency_1: "300 kHz", drive_frequency: "299 kHz" });
  const r = 299 / 300;
  expect(off.loss_tangent.data[0]).toBeCloseTo((0.5 * r - sin) / (400 * 0.5 * (1 - r * r) - 0.5), 5);
});

test("errors over draws of the pixel's noise hold", () => {
  const draws = 4000;
  const normal = normalDraws(6);
  const A = 80e-9;
  const { phase_deg, shift_Hz } = seen(3e9, 1e-9, A);
  const noise = { amplitude_noise: "0.1 nm", phase_noise: "0.2 deg", frequency_noise: "40 Hz" };
  const quiet = run([[[A, phase_deg, shift_Hz]]], noise);
  const pixels = Array.from({ length: draws }, (): Pixel => [A + 0.1e-9 * normal(), phase_deg + 0.2 * normal(), shift_Hz + 40 * normal()]); // prettier-ignore
  const out = run([pixels], noise);
  for (const port of ["modulus", "indentation", "loss_tangent"]) {
    const { sd, se, coverage } = spreadOf(quiet[port].data[0], pixels.map((_, i) => [out[port].data[i], out[port].data_se[i]])); // prettier-ignore
    expect(Math.abs(se / sd - 1)).toBeLessThan(0.06);
    expect(Math.abs(coverage - 0.683)).toBeLessThan(4 * Math.sqrt(0.217 / draws));
  }
});

describe("bad input", () => {
  test("a pixel not measured, or that does not push, is NaN, and says why", () => {
    const { modulus, indentation, loss_tangent } = run([
      [[NaN, 60, 1000], [80e-9, NaN, 1000], [80e-9, 60, NaN], [0, 60, 1000], [80e-9, 95, 1000], [80e-9, 90, 1000], [80e-9, 60, -5], [80e-9, 60, 1000]],
    ]); // prettier-ignore
    expect([...modulus.valid]).toEqual([1, 1, 1, 1, 2, 2, 2, 0]);
    expect([...modulus.data].map(Number.isNaN)).toEqual([true, true, true, true, true, true, true, false]);
    expect([...indentation.data].map(Number.isNaN)).toEqual([
      true,
      true,
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(Number.isNaN(loss_tangent.data[3])).toBe(true);
  });

  test("options and images that do not go together stop the start", () => {
    expect(() => run([[[1, 1, 1]]], { phase_noise: "1 deg" })).toThrow("go together");
    expect(() => run([[[1, 1, 1]]], { drive_frequency: "1 kHz" })).toThrow("frequency_1 must be given");
    const { rows, schema } = frames([[[1e-9, 1, 1], [1e-9, 1, 1]]]); // prettier-ignore
    const other = { ...schema, phase: { ...schema.phase, data: image("deg", { shape: [2, 2] }) } };
    expect(() => feed(bimodal, rows, { schema: other, with: GIVEN })).toThrow("phase is 2 × 2 but amplitude is 1 × 2"); // prettier-ignore
  });

  test("a frame without its partners is a fault; trace goes with trace and retrace with retrace", () => {
    const of = (phase: number): Pixel => [80e-9, phase, 1000];
    const { rows, schema } = frames([[of(30), of(30)], [of(60), of(60)], [of(70), of(70)]], [1n, 1n, 2n]); // prettier-ignore
    rows.amplitude.direction.set([0, 1, 0]);
    rows.phase.direction.set([1, 0, 0]);
    rows.frequency_shift.direction.set([1, 0, 0]);
    rows.frequency_shift.time[2] = 3n;
    const { modulus, faults } = feed(bimodal, rows, { schema, with: GIVEN });
    expect([...modulus.direction]).toEqual([0, 1]);
    // the trace's phase is 60°, that of the retrace 30°
    expect(modulus.data[0] / modulus.data[2]).toBeCloseTo(Math.cos(Math.PI / 6) / Math.cos(Math.PI / 3), 5);
    expect(faults.map(({ what }: { what: string }) => what.split(";")[0])).toEqual([
      "amplitude has no frequency_shift of its time and direction",
      "frequency_shift has no amplitude of its time and direction",
    ]);
  });
});

test("columns go along, and the same bits come however it is cut", () => {
  const normal = normalDraws(2);
  const list = Array.from({ length: 9 }, () =>
    [0, 1].map((): Pixel => [80e-9, 50 + normal(), 900 + normal()]),
  );
  const whole = run(list);
  expect([...whole.indentation.index]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(whole.modulus.duration[3]).toBe(0.5);
  for (const rows of [1, 2, 4]) expect(run(list, {}, { rows, reloadAfter: [1] })).toEqual(whole);
  expect(run([]).modulus.time.length).toBe(0);
});
