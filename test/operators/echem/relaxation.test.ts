import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { relaxation } from "../../../operators/echem/relaxation.ts";
import { steps } from "../../../operators/echem/steps.ts";
import type { Columns, SourceItem } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { simulatedCell } from "../../../sources/simulated/cell.ts";
import { feed } from "../../helpers/feed.ts";
import { normalDraws, spreadOf } from "../mechanics/draws.ts";
import { restOf, type RestOptions } from "./resting-cell.ts";

const relax = (voltage: (t: number) => number, options: RestOptions = {}, given = {}, more = {}) =>
  feed(relaxation, restOf(voltage, options), { with: given, ...more });
const noisy = (seed: number, size_V: number): (() => number) => {
  const normal = normalDraws(seed);
  return () => size_V * normal();
};

const exponentials = (t: number): number =>
  3.9 + 0.03 * Math.exp(-t / 5) + 0.04 * Math.exp(-t / 60) + 0.05 * Math.exp(-t / 600);
const one = (t: number): number => 3.9 + 0.1 * Math.exp(-t / 300);
const diffusion = (t: number): number => 3.9 + 0.1 / (1 + Math.sqrt(t / 30));
/** Held up by so many volt until the lithium is used up, after ten minutes or so. */
const stripping = (held_V: number, width_s: number) => (t: number): number =>
  exponentials(t) + held_V / (1 + Math.exp((t - 600) / width_s)); // prettier-ignore
const NONE = 0, FOUND = 1, GOES_ON = 2, NOT_TOLD = 3; // prettier-ignore

const slope = (voltage: (t: number) => number, t: number): number =>
  (voltage(t * 1.0001) - voltage(t / 1.0001)) / (t * (1.0001 - 1 / 1.0001));
/** Where |dV/d ln t| of a known voltage is largest, after 200 s. */
function steepest(voltage: (t: number) => number): number {
  let best = 200;
  for (let t = 200; t < 2000; t++) if (-t * slope(voltage, t) > -best * slope(voltage, best)) best = t;
  return best;
}

describe("ground truth", () => {
  test("without noise rates are those of the curve, at even steps of ln t", () => {
    const { rates, rests, faults } = relax(exponentials, { interval_s: () => 1 });
    expect(faults).toEqual([]);
    expect(rates.time.length).toBe(50);
    rates.elapsed.forEach((t: number, i: number) => {
      const truth = slope(exponentials, t);
      expect(Math.abs(rates.dv_dt[i] / truth - 1)).toBeLessThan(0.02);
      expect(rates.dv_dlnt[i]).toBeCloseTo(t * rates.dv_dt[i], 12);
      expect(Math.abs(rates.voltage[i] - exponentials(t))).toBeLessThan(1e-4);
    });
    const [a, b] = [rates.elapsed[10], rates.elapsed[30]];
    expect(Math.log10(b / a)).toBeCloseTo(1, 1); // 20 to a decade
    expect([rests.after[0], rests.known[0], rests.duration[0], rests.records[0], rests.step_index[0]]).toEqual([1, 1, 3599, 3600, 1]);
    expect(rests.start[0]).toBe(191_000_000_000n);
    expect(rests.end_voltage_volt[0]).toBeCloseTo(exponentials(3600), 5);
    expect(rests.relaxed_voltage_volt[0]).toBeCloseTo(3.9, 5);
  }); // prettier-ignore

  test("errors of rates, of the end and of what it tends to are those of many draws", () => {
    let [n, within, beyond] = [0, 0, 0];
    const ends: [number, number][] = [];
    const limits: [number, number][] = [];
    for (let seed = 1; seed <= 100; seed++) {
      const { rates, rests } = relax(exponentials, { noise: noisy(seed, 1e-4) });
      rates.elapsed.forEach((t: number, i: number) => {
        const z = Math.abs(rates.dv_dt[i] - slope(exponentials, t)) / rates.dv_dt_se[i];
        n++;
        if (z < 1) within++;
        if (z > 3) beyond++;
      });
      ends.push([rests.end_voltage_volt[0], rests.end_voltage_volt_se[0]]);
      limits.push([rests.relaxed_voltage_volt[0], rests.relaxed_voltage_volt_se[0]]);
    }
    expect(within / n).toBeGreaterThan(0.64);
    expect(within / n).toBeLessThan(0.73);
    expect(beyond / n).toBeLessThan(0.012);
    const [end, limit] = [spreadOf(exponentials(3600), ends), spreadOf(3.9, limits)];
    expect(end.coverage).toBeGreaterThan(0.58);
    expect(Math.abs(end.se / end.sd - 1)).toBeLessThan(0.25);
    expect(limit.coverage).toBeGreaterThan(0.65);
    expect(Math.abs(limit.mean - 3.9)).toBeLessThan(3e-5);
  });

  test("sums of exponentials and diffusion alone are no plateau, in 150 rests", () => {
    for (const voltage of [exponentials, one, diffusion]) {
      for (let seed = 1; seed <= 50; seed++) {
        const { rests } = relax(voltage, { noise: noisy(seed, 1e-4), interval_s: seed % 2 ? () => 10 : (t) => Math.max(0.5, t / 50) });
        expect(rests.plateau[0]).toBe(NONE);
        expect([rests.plateau_time[0], rests.plateau_time_se[0], rests.plateau_voltage[0]]).toEqual([NaN, NaN, NaN]);
      }
    }
  }); // prettier-ignore

  test.each([
    [0.02, 60],
    [0.004, 100],
  ])("stripping that holds the voltage up by %f V is found, and when it ends", (held_V, width_s) => {
    const voltage = stripping(held_V, width_s);
    const truth = steepest(voltage);
    const times: [number, number][] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const { rests } = relax(voltage, { noise: noisy(seed, 1e-4) });
      expect(rests.plateau[0]).toBe(FOUND);
      expect(rests.significance[0]).toBeGreaterThan(10);
      expect(Math.abs(rests.plateau_voltage[0] - voltage(rests.plateau_time[0]))).toBeLessThan(5e-4);
      times.push([rests.plateau_time[0], rests.plateau_time_se[0]]);
    }
    const { mean, sd, se } = spreadOf(truth, times);
    expect(Math.abs(mean / truth - 1)).toBeLessThan(0.03); // the window's width flattens the peak unevenly
    expect(se / sd).toBeGreaterThan(0.7);
    expect(se / truth).toBeLessThan(0.02);
  });

  test("in a rest after a discharge the voltage rises, and everything else is the same", () => {
    const down = stripping(0.02, 60);
    const up = (t: number): number => 7 - down(t);
    const [a, b] = [relax(down).rests, relax(up, { kind: 2 }).rests];
    expect([b.after[0], b.plateau[0]]).toEqual([2, FOUND]);
    expect(b.plateau_time[0]).toBeCloseTo(a.plateau_time[0], 5);
    expect(b.relaxed_voltage_volt[0]).toBeCloseTo(7 - a.relaxed_voltage_volt[0], 8);
  });

  test("a rest that ends on the plateau's edge says that it is not over", () => {
    const { rests } = relax(stripping(0.02, 60), { rest_s: 900, interval_s: () => 1, noise: noisy(2, 2e-5) });
    expect([rests.plateau[0], rests.plateau_time[0]]).toEqual([GOES_ON, NaN]);
  });

  test("a voltage that stands still tends to itself; a straight line to nothing that can be told", () => {
    const still = relax(() => 3.9, { interval_s: () => 10, noise: noisy(1, 1e-4) }).rests;
    expect(Math.abs(still.relaxed_voltage_volt[0] - 3.9)).toBeLessThan(4 * still.relaxed_voltage_volt_se[0]);
    expect(still.relaxed_voltage_volt_se[0]).toBeLessThan(3e-5);
    const line = relax((t) => 3.9 - 1e-6 * t, { interval_s: () => 10, noise: noisy(1, 2e-5) }).rests;
    expect([line.relaxed_voltage_volt[0], line.relaxed_voltage_volt_se[0]]).toEqual([NaN, NaN]);
    // To the last digit: it is what it is, but nobody knows how well that was measured.
    const same = relax(() => 3.9001, { interval_s: () => 1 }).rests;
    expect([same.end_voltage_volt[0], same.relaxed_voltage_volt[0]]).toEqual([3.9001, 3.9001]);
    expect([same.end_voltage_volt_se[0], same.relaxed_voltage_volt_se[0]]).toEqual([NaN, NaN]);
  });
});

describe("the simulated cell, whose plated lithium is known", () => {
  /** Its rests after a charge: the lithium plated when each began, and what is found in it. */
  async function restsOf(given: Record<string, unknown>) {
    const { config } = readConfig(simulatedCell.config, { instruments: ["echem", "truth"], onset_cycle: 2, duration: "3 h", drops: 0, ...given });
    const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: "" };
    const columns = { time: [] as bigint[], voltage: [] as number[], current: [] as number[], trueTime: [] as bigint[], plated: [] as number[] };
    for await (const { rows } of simulatedCell.open(config, context) as AsyncIterable<SourceItem>) {
      const [echem, truth] = [rows?.["echem"] as Columns | undefined, rows?.["truth"] as Columns | undefined];
      if (echem) {
        columns.time.push(...echem.time);
        columns.voltage.push(...(echem["voltage_volt"] as Float64Array));
        columns.current.push(...(echem["current_ampere"] as Float64Array));
      }
      if (truth) {
        columns.trueTime.push(...truth.time);
        columns.plated.push(...(truth["plated_charge"] as Float64Array));
      }
    }
    const echem = { time: BigInt64Array.from(columns.time), voltage_volt: Float64Array.from(columns.voltage), current_ampere: Float64Array.from(columns.current) };
    const origin = columns.time[0]!;
    const { rests } = feed(relaxation, { echem, state: feed(steps, { echem }, { origin }).state }, { origin });
    return Array.from(rests.start as BigInt64Array, (start, i) => ({
      plated: columns.plated[columns.trueTime.findIndex((time) => time >= start)]!,
      after: rests.after[i] as number, duration: rests.duration[i] as number, plateau: rests.plateau[i] as number, significance: rests.significance[i] as number,
    })).filter(({ after, duration }) => after === 1 && duration > 250);
  }

  test("a plateau after each charge that plated, none after one that did not", async () => {
    const rests = [...(await restsOf({ scenario: "plating" })), ...(await restsOf({ scenario: "plating", temperature: "20 Cel" })), ...(await restsOf({ scenario: "healthy" }))];
    const plating = rests.filter(({ plated }) => plated > 0.01);
    expect(plating.length).toBeGreaterThanOrEqual(4);
    expect(rests.length - plating.length).toBeGreaterThanOrEqual(4);
    for (const { plated, plateau, significance } of rests) {
      expect(plateau).toBe(plated > 0.01 ? FOUND : NONE);
      if (plated > 0.01) expect(significance).toBeGreaterThan(10);
    }
  });
}); // prettier-ignore

describe("the stream", () => {
  test("none, one, few records; a rest without a voltage", () => {
    const empty = { time: new BigInt64Array(0), voltage_volt: new Float64Array(0) };
    const nothing = { time: new BigInt64Array(0), kind: new Int32Array(0), step_index: new Int32Array(0) };
    expect(feed(relaxation, { echem: empty, state: nothing }).rests.time.length).toBe(0);
    for (const rest_s of [1, 5]) {
      const { rests, rates, faults } = relax(one, { rest_s });
      expect([rests.records[0], rests.plateau[0], rates.time.length, faults.length]).toEqual([
        rest_s,
        NOT_TOLD,
        0,
        0,
      ]);
      expect([rests.end_voltage_volt[0], rests.relaxed_voltage_volt[0]]).toEqual([NaN, NaN]);
    }
    const blind = relax(() => NaN, { rest_s: 100 });
    expect([blind.rests.time.length, blind.rests.end_voltage_volt[0], blind.rates.time.length]).toEqual([
      1,
      NaN,
      0,
    ]);
  });

  test("records without a voltage are left out", () => {
    const { rates } = relax((t) => (Math.round(t) % 7 === 0 ? NaN : exponentials(t)), {
      interval_s: () => 1,
    });
    rates.elapsed.forEach((t: number, i: number) => {
      expect(Math.abs(rates.dv_dt[i] / slope(exponentials, t) - 1)).toBeLessThan(0.02);
    });
  });

  test("a rest that the stream begins with has no known begin, and no plateau is looked for", () => {
    const { rests } = relax(stripping(0.02, 60), { before: 0, interval_s: () => 10 });
    expect([rests.known[0], rests.after[0], rests.plateau[0]]).toEqual([0, -1, NOT_TOLD]);
    expect(rests.duration[0]).toBe(3600);
  });

  test("states of another stream are refused: said at the first, and how many at the end", () => {
    const { echem, state } = restOf(one);
    const { rests, faults } = feed(relaxation, { echem, state: { ...state, time: state.time.map((t) => t + 1n) } }, { rows: 50 });
    expect(rests.time.length).toBe(0);
    expect(faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/^records of echem without a row of state.*state from echem\/steps of the same echem$/),
      expect.stringMatching(/^\d+ records of echem without/),
    ]);
  }); // prettier-ignore

  test("cut, saved and loaded anywhere, not one bit changes; an offset of the voltage changes no rate", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }), fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }), fc.integer({ min: 20, max: 900 }),
        fc.constantFrom(0, 3, 20), fc.constantFrom(exponentials, diffusion, stripping(0.02, 60)),
        (rows, reloadAfter, rest_s, before, voltage) => {
          const options = { rest_s, before, interval_s: () => 3 };
          const whole = relax(voltage, { ...options, noise: noisy(5, 1e-4) });
          expect(relax(voltage, { ...options, noise: noisy(5, 1e-4) }, {}, { rows, reloadAfter })).toEqual(whole);
          const raised = relax((t) => voltage(t) + 0.5, { ...options, noise: noisy(5, 1e-4) });
          expect(raised.rates.time).toEqual(whole.rates.time);
          raised.rates.dv_dt?.forEach((rate: number, i: number) => expect(Math.abs(rate - whole.rates.dv_dt[i])).toBeLessThan(1e-9));
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  }); // prettier-ignore
});
