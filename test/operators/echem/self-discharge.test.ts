import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { incrementalCapacity } from "../../../operators/echem/incremental-capacity.ts";
import { selfDischarge } from "../../../operators/echem/self-discharge.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws, spreadOf } from "../mechanics/draws.ts";
import { chargeStream, recordOf, slopeAt } from "./logistic-cell.ts";
import { restOf, type RestOptions } from "./resting-cell.ts";

const TOLD = 0, RELAXING = 1, NO_CURVE = 2, NOT_FROM_ZERO = 3; // prettier-ignore

interface Points {
  readonly at?: bigint;
  readonly kind?: number;
  readonly voltage: readonly number[];
  readonly dq_dv: readonly number[];
  readonly se?: number;
}

const curvesOf = (list: readonly Points[]) => ({
  time: BigInt64Array.from(list, ({ at = 0n }) => at),
  kind: Int32Array.from(list, ({ kind = 1 }) => kind),
  voltage: listsOf(list.map(({ voltage }) => voltage)),
  dq_dv: listsOf(list.map(({ dq_dv }) => dq_dv)),
  dq_dv_se: listsOf(list.map(({ dq_dv, se = 0 }) => dq_dv.map(() => se))),
});
const listsOf = (lists: readonly (readonly number[])[]) => {
  const offsets = [0];
  for (const one of lists) offsets.push(offsets.at(-1)! + one.length);
  return { values: Float64Array.from(lists.flat()), offsets: Int32Array.from(offsets) };
};

const rest = (voltage: (t: number) => number, curves: readonly Points[], options: RestOptions = {}, given = {}, more = {}) =>
  feed(selfDischarge, { ...restOf(voltage, { interval_s: () => 60, rest_s: 24 * 3600, ...options }), capacity: curvesOf(curves) }, { with: given, ...more }); // prettier-ignore

/** 1 A.h/V, that is 3600 F, from 3 to 4.5 V. */
const FLAT: Points = { voltage: [3, 4.5], dq_dv: [1, 1], se: 0.01 };
const R_Ohm = 2000;
/** 3600 F through 2 kOhm. */
const shorted = (t: number): number => 4 * Math.exp(-t / (3600 * R_Ohm));
const noisy = (seed: number, size_V: number): (() => number) => {
  const normal = normalDraws(seed);
  return () => size_V * normal();
};

describe("ground truth", () => {
  test("a capacitance over a resistance", () => {
    const { leak, faults } = rest(shorted, [FLAT]);
    expect(faults).toEqual([]);
    expect(leak.time.length).toBeGreaterThan(15);
    leak.elapsed.forEach((t: number, i: number) => {
      expect(t).toBeGreaterThanOrEqual(600);
      expect([leak.reason[i], leak.capacitance[i], leak.capacitance_se[i]]).toEqual([TOLD, 3600, 36]);
      expect(leak.leak_current[i] / (shorted(t) / R_Ohm)).toBeCloseTo(1, 5);
      expect(leak.resistance[i] / R_Ohm).toBeCloseTo(1, 5);
      // The curve's 1 %
      expect(leak.resistance_se[i] / R_Ohm).toBeCloseTo(0.01, 1);
      expect(leak.least_resistance[i]).toBeLessThan(R_Ohm);
    });
  });

  test("with noise: within its errors, in many draws, and the later the better", () => {
    const leaks: [number, number][] = [];
    let [late, early] = [0, 0];
    for (let seed = 1; seed <= 60; seed++) {
      const { leak } = rest(shorted, [{ ...FLAT, se: 0 }], { noise: noisy(seed, 1e-4) });
      const last = leak.time.length - 1;
      expect(leak.reason[last]).toBe(TOLD);
      leaks.push([leak.leak_current[last], leak.leak_current_se[last]]);
      late += leak.leak_current_se[last] / 60;
      early += leak.leak_current_se[last - 8] / 60;
    }
    expect(late).toBeLessThan(early / 2);
    const truth = shorted(12 * 3600) / R_Ohm;
    const { mean, sd, se } = spreadOf(truth, leaks);
    expect(Math.abs(mean / truth - 1)).toBeLessThan(0.01);
    expect(se / sd).toBeGreaterThan(0.9); // what relaxation could hide in the noise is counted
    expect(se / truth).toBeLessThan(0.02);
  });

  test("a cell that does not leak: cannot be told from zero, and a short has at least so much", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { leak } = rest(() => 4, [FLAT], { noise: noisy(seed, 1e-4) });
      const last = leak.time.length - 1;
      if (leak.reason[last] === RELAXING) continue; // one in twenty bends by two standard errors
      expect([leak.reason[last], leak.resistance[last]]).toEqual([NOT_FROM_ZERO, NaN]);
      expect(Math.abs(leak.leak_current[last])).toBeLessThan(4 * leak.leak_current_se[last]);
      expect(leak.least_resistance[last]).toBeGreaterThan(1e4);
    }
  });

  test("a voltage that is the same to the last digit tells no error, and no least resistance", () => {
    const { leak } = rest(() => 3.9001, [FLAT], { interval_s: () => 1, rest_s: 4 * 3600 });
    expect(leak.time.length).toBeGreaterThan(5);
    leak.reason.forEach((reason: number, i: number) => {
      expect([reason, leak.leak_current_se[i], leak.least_resistance[i]]).toEqual([NOT_FROM_ZERO, NaN, NaN]);
    });
  });

  test("while relaxation rules nothing is told; where it has died away, the leak is", () => {
    const relaxing = (t: number): number => shorted(t) + 0.05 * Math.exp(-t / 1800);
    const { leak } = rest(relaxing, [FLAT], { noise: noisy(3, 1e-5) });
    leak.elapsed.forEach((t: number, i: number) => {
      if (t < 4 * 1800) expect([leak.reason[i], leak.leak_current[i], leak.resistance[i]]).toEqual([RELAXING, NaN, NaN]);
      if (leak.reason[i] === TOLD) expect(Math.abs(leak.resistance[i] - R_Ohm)).toBeLessThan(4 * leak.resistance_se[i]);
    });
    expect(leak.reason.at(-1)).toBe(TOLD);
    expect(Math.abs(leak.resistance.at(-1) / R_Ohm - 1)).toBeLessThan(0.05);
  }); // prettier-ignore

  test("with dQ/dV from a curve that was measured", () => {
    const CELL = [{ a: 1, V: 3.9, w: 0.1 }];
    const normal = normalDraws(8);
    const half = recordOf(CELL, { from_V: 3.5, to_V: 4.3, hours: 10, look_s: 10, record_s: 10, noise: () => 2e-4 * normal() });
    const { curves } = feed(incrementalCapacity, { charge: chargeStream([half]) });
    curves.time[0] = 0n;
    const C = slopeAt(CELL, 4) * 3600;
    const { leak } = feed(selfDischarge, { ...restOf((t) => 4 - (1e-3 / C) * t, { interval_s: () => 60, rest_s: 24 * 3600, noise: noisy(4, 5e-5) }), capacity: curves });
    const last = leak.time.length - 1;
    expect(leak.reason[last]).toBe(TOLD);
    expect(Math.abs(leak.leak_current[last] / 1e-3 - 1)).toBeLessThan(0.05); // 1 mA
    expect(Math.abs(leak.capacitance[last] - slopeAt(CELL, leak.voltage[last]) * 3600)).toBeLessThan(5 * leak.capacitance_se[last]);
  }); // prettier-ignore
});

describe("which dQ/dV", () => {
  const lastOf = (
    curves: readonly Points[],
    given: Record<string, unknown> = {},
    options: RestOptions = {},
  ) => {
    const { leak } = rest(shorted, curves, options, given);
    const last = leak.time.length - 1;
    return [leak.reason[last], leak.capacitance[last]];
  };
  const two: Points = { ...FLAT, kind: 2, dq_dv: [2, 2] };

  test("none, none that reaches, none that was told there", () => {
    expect(lastOf([])).toEqual([NO_CURVE, NaN]);
    expect(lastOf([{ voltage: [3, 3.9], dq_dv: [1, 1] }])).toEqual([NO_CURVE, NaN]);
    expect(lastOf([{ voltage: [], dq_dv: [] }])).toEqual([NO_CURVE, NaN]);
    expect(lastOf([{ voltage: [3, 4.5], dq_dv: [NaN, NaN] }])).toEqual([NO_CURVE, NaN]);
  });

  test("of the same kind, of another, the newest, or as given", () => {
    expect(lastOf([two, FLAT])).toEqual([TOLD, 3600]);
    expect(lastOf([FLAT, two])).toEqual([TOLD, 3600]);
    expect(lastOf([FLAT, two], {}, { kind: 2 })).toEqual([TOLD, 7200]);
    expect(lastOf([FLAT, two], { curve: "discharge" })).toEqual([TOLD, 7200]);
    expect(lastOf([two, FLAT], { curve: "newest" })).toEqual([TOLD, 3600]);
    expect(lastOf([two], {})).toEqual([NO_CURVE, NaN]);
    expect(lastOf([], { capacitance: "500 F" })).toEqual([TOLD, 500]);
  });

  test("a curve counts from its time on; one of a discharge may fall in voltage", () => {
    const later: Points = { at: 40_000n * 1_000_000_000n, voltage: [4.5, 3], dq_dv: [3, 3] };
    const { leak } = rest(shorted, [FLAT, later]);
    const seconds = Array.from(leak.time as BigInt64Array, (time) => Number(time) / 1e9);
    seconds.forEach((t, i) => expect(leak.capacitance[i]).toBe(t > 40_000 ? 10_800 : 3600));
    // One that comes between the last record of a window and the one before it, in whatever batches.
    const at = (leak.time as BigInt64Array)[5]!;
    for (const [early, expected] of [[1n, 10_800], [0n, 3600]] as const)
      for (const rows of [1, 1_000_000]) {
        const again = rest(shorted, [FLAT, { ...later, at: at - early }], {}, {}, { rows }).leak;
        expect([again.time[5], again.capacitance[4], again.capacitance[5], again.capacitance[6]]).toEqual([at, 3600, expected, 10_800]);
      }
  }); // prettier-ignore
});

describe("the stream", () => {
  test("of nothing gives nothing; a short rest gives no row", () => {
    expect(rest(shorted, [FLAT], { before: 0, rest_s: 0 }).leak.time.length).toBe(0);
    expect(rest(shorted, [FLAT], { rest_s: 500 }).leak.time.length).toBe(0);
  });

  test("states of another stream are refused: said at the first, and how many at the end", () => {
    const { echem, state } = restOf(shorted, { interval_s: () => 60 });
    const { leak, faults } = feed(selfDischarge, { echem, state: { ...state, time: state.time.map((t) => t + 1n) }, capacity: curvesOf([FLAT]) }, { rows: 20 });
    expect([leak.time.length, faults.length]).toEqual([0, 2]);
  }); // prettier-ignore

  test("cut, saved and loaded anywhere, not one bit changes; twice the capacitance is twice the leak", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }), fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }), fc.integer({ min: 600, max: 40_000 }), fc.constantFrom(0, 20),
        (rows, reloadAfter, rest_s, before) => {
          const curves = [FLAT, { ...FLAT, at: 9_000n * 1_000_000_000n, dq_dv: [1.5, 2] }];
          const options = { rest_s, before };
          const whole = rest(shorted, curves, { ...options, noise: noisy(2, 1e-5) });
          expect(rest(shorted, curves, { ...options, noise: noisy(2, 1e-5) }, {}, { rows, reloadAfter })).toEqual(whole);
          const twice = curves.map((one) => ({ ...one, se: 2 * one.se!, dq_dv: one.dq_dv.map((f) => 2 * f) }));
          const doubled = rest(shorted, twice, { ...options, noise: noisy(2, 1e-5) }).leak;
          expect(doubled.leak_current?.map((I: number) => I / 2)).toEqual(whole.leak.leak_current);
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  }); // prettier-ignore
});
