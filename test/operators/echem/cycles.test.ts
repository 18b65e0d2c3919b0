import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cycles } from "../../../operators/echem/cycles.ts";
import { feed } from "../../helpers/feed.ts";
import { echemOf, expectedOf, newareOf, sharedThere } from "./field-files.ts";
import { cell, chain, constant, rest, without, type Part } from "./made-cells.ts";

const CHARGE = 1, DISCHARGE = 2; // prettier-ignore
const ENDED_IN_IT = 0, COMPLETE = 1, ALONE = 2; // prettier-ignore
const batches = [1, 7, 10_000];
const says = (faults: { what: string }[]): string[] => faults.map(({ what }) => what);

describe("ground truth", () => {
  // 1 A from 3 to 4 V in 1000 s, held at 4 V while the current decays with 100 s, rest, -1 A from 3.8 to 2.8 V in 900 s, rest
  const hold = (cycle: number): Part => ({ records: 101, cycle, current: (s) => Math.exp(-s / 100), voltage: () => 4 });
  const cycle = (n: number): Part[] => [
    constant(101, 1, [3, 4], n), hold(n), rest(31, 4, n), constant(91, -1, [3.8, 2.8], n), rest(21, 2.8, n),
  ];
  const echem = cell([rest(7), ...cycle(1), ...cycle(2), ...cycle(3)]);

  test.each(batches)("capacities, energies, voltages and durations, in batches of %i", (rows) => {
    const { cycles: found, state, faults } = chain(echem, { rows });
    expect([...found.cycle_index]).toEqual([0, 1, 2]);
    expect([...found.vendor_cycle]).toEqual([1, 2, 3]);
    expect([...found.complete]).toEqual([COMPLETE, COMPLETE, ENDED_IN_IT]);
    expect([...found.begins_with]).toEqual([CHARGE, CHARGE, CHARGE]);
    expect([...found.rows]).toEqual([345, 345, 345]);
    // the trapezoid of exp(-t/100) at every 10 s is 10 coth(0.05) / 2 (1 - e^-10)
    const held = (5 / Math.tanh(0.05)) * (1 - Math.exp(-10));
    for (const k of [0, 1, 2]) {
      expect(found.charge_capacity_ampere_hour[k]).toBeCloseTo((1000 + held) / 3600, 13);
      expect(found.constant_voltage_charge_capacity_ampere_hour[k]).toBeCloseTo(held / 3600, 13);
      expect(found.discharge_capacity_ampere_hour[k]).toBeCloseTo(900 / 3600, 13);
      expect(found.charge_energy_watt_hour[k]).toBeCloseTo((1000 * 3.5 + 4 * held) / 3600, 13);
      expect(found.discharge_energy_watt_hour[k]).toBeCloseTo((900 * 3.3) / 3600, 13);
      expect(found.charge_mean_voltage_volt[k]).toBeCloseTo((1000 * 3.5 + 4 * held) / (1000 + held), 13);
      expect(found.discharge_mean_voltage_volt[k]).toBeCloseTo(3.3, 13);
      expect([found.charge_end_voltage_volt[k], found.discharge_end_voltage_volt[k]]).toEqual([4, 2.8]);
      expect([found.charge_duration[k], found.discharge_duration[k], found.rest_duration[k]]).toEqual([2000, 900, 500]);
      expect([found.charge_measured_duration[k], found.discharge_measured_duration[k]]).toEqual([2000, 900]);
      expect(found.duration[k]).toBeCloseTo(3400.004, 9);
      expect([found.gaps[k], found.gap_duration[k], found.agreement[k]]).toEqual([0, 0, 1]);
    }
    expect(Number(found.start[0])).toBe(60.001e9);
    expect(found.time[0]).toBeLessThan(found.start[1]);
    expect([...state.time]).toEqual([...echem.time]);
    expect([...state.cycle_index]).toEqual([...Array(7).fill(-1), ...[0, 1, 2].flatMap((n) => Array(345).fill(n))]);
    expect([...state.half_cycle_index]).toEqual([
      ...Array(7).fill(-1), ...[0, 1, 2].flatMap((n) => [...Array(233).fill(2 * n), ...Array(112).fill(2 * n + 1)]),
    ]);
    expect(faults).toEqual([]);
  });

  test("standard errors, where the ammeter's are given", () => {
    const { cycles: found } = chain(echem, { cycles: { current_error: "1 mA", current_gain_error: 0.002 } });
    expect(found.discharge_capacity_ampere_hour_se[0]).toBeCloseTo(Math.hypot(0.9, 1.8) / 3600, 12);
    expect([...chain(echem).cycles.discharge_capacity_ampere_hour_se].every(Number.isNaN)).toBe(true);
  });
}); // prettier-ignore

describe("where a cycle begins", () => {
  // discharge, charge, discharge, charge; the cycler says 1 for the first, then 2 2 3
  const parts = (counts: number[]): Part[] =>
    [rest(7, 3, counts[0]), ...counts.flatMap((n, i) => [constant(20, i % 2 ? 1 : -1, [3, 3.5], n), rest(5, 3.5, n)])];
  const echem = cell(parts([1, 2, 2, 3]));

  test.each([
    ["charge-first", [0, 1, 1, 2], [ALONE, COMPLETE, ENDED_IN_IT]],
    ["discharge-first", [0, 0, 1, 1], [COMPLETE, ENDED_IN_IT]],
    ["derived", [0, 0, 1, 1], [COMPLETE, ENDED_IN_IT]],
    ["vendor", [0, 1, 1, 2], [ALONE, COMPLETE, ENDED_IN_IT]],
    ["auto", [0, 1, 1, 2], [ALONE, COMPLETE, ENDED_IN_IT]],
  ])("%s", (by, expected, complete) => {
    const { cycles: found, state } = chain(echem, { cycles: { by } });
    expect([7, 32, 57, 82].map((i) => state.cycle_index[i])).toEqual(expected);
    expect([7, 32, 57, 82].map((i) => state.half_cycle_index[i])).toEqual([0, 1, 2, 3]);
    expect([...found.complete]).toEqual(complete);
  });

  test("auto without the cycler's numbers is derived", () => {
    const { cycles: found, faults } = chain(without(echem, "cycle_count"));
    expect([...found.complete]).toEqual([COMPLETE, ENDED_IN_IT]);
    expect([...found.vendor_cycle, ...found.agreement].every(Number.isNaN)).toBe(true);
    expect(faults).toEqual([]);
  });

  test("by vendor without the cycler's numbers is refused", () => {
    expect(() => chain(without(echem, "cycle_count"), { cycles: { by: "vendor" } })).toThrow(/needs cycle_count.*by: auto/);
  });

  test("disagreement is said once for each kind, and by cycle", () => {
    // the cycler counts charge-first, the stream begins with a discharge
    const { cycles: found, faults } = chain(echem, { cycles: { by: "derived" } });
    expect(found.agreement[0]).toBe(0.5);
    expect(found.agreement[1]).toBeCloseTo(1 / 3, 12); // 20 of 20 + 20 + 20
    expect(says(faults)).toEqual([
      expect.stringMatching(/cycle_count changed 2 times where no cycle began by current \(a discharge after a charge\)/),
      expect.stringMatching(/began by current .* once where the cycler's cycle_count did not change/),
    ]);
    expect(says(chain(echem, { cycles: { by: "charge-first" } }).faults)).toEqual([]);
    expect(says(chain(cell(parts([1, 1, 3, 3]))).faults)).toEqual([expect.stringMatching(/went on by other than one once/)]);
    // the cycler did not count a cycle: the one it has holds two
    const merged = chain(cell(parts([1, 1, 1, 1])));
    expect([...merged.cycles.agreement]).toEqual([0.5]);
    expect([...chain(cell(parts([1, 1, 1, 1])), { cycles: { by: "derived" } }).cycles.agreement]).toEqual([1, 0.5]);
  });

  test("rests that the cycler counts to the next cycle are no disagreement", () => {
    const { cycles: found, faults } = chain(cell([
      constant(20, 1, [3, 4], 1), rest(5, 4, 1), constant(20, -1, [4, 3], 1), rest(5, 3, 2), constant(20, 1, [3, 4], 2), constant(20, -1, [4, 3], 2),
    ]), { cycles: { by: "derived" } });
    expect([...found.agreement]).toEqual([1, 1]);
    expect(faults).toEqual([]);
  });

  test("records in which the cycler gives no number go to the cycle before", () => {
    const gaps = cell(parts([1, 1, -1, 2, 2]));
    expect([...chain(gaps).cycles.vendor_cycle]).toEqual([1, 2]);
  });
}); // prettier-ignore

describe("what is missing", () => {
  test("a gap is counted where charge would have passed, not at rest", () => {
    const echem = cell([constant(41, 1), rest(41, 4), constant(41, -1)]);
    for (let i = 20; i < 123; i++) echem.time[i]! += 3600n * 1_000_000_000n;
    for (let i = 60; i < 123; i++) echem.time[i]! += 3600n * 1_000_000_000n;
    const { cycles: found } = chain(echem);
    expect([found.gaps[0], found.gap_duration[0]]).toEqual([1, 3610]);
    expect(found.charge_capacity_ampere_hour[0]).toBeCloseTo(390 / 3600, 12);
    expect([found.charge_duration[0], found.charge_measured_duration[0]]).toEqual([4000, 390]);
  });

  test("no charge in a cycle is no charge of 0", () => {
    const { cycles: found } = chain(cell([constant(20, -1), rest(5)]));
    expect([found.charge_capacity_ampere_hour[0], found.charge_energy_watt_hour[0], found.charge_mean_voltage_volt[0]]).toEqual([NaN, NaN, NaN]);
    expect(found.constant_voltage_charge_capacity_ampere_hour[0]).toBeNaN();
  });

  test("no voltage: capacities, but no energy", () => {
    const { cycles: found } = chain(cell([{ ...constant(20, 1), voltage: () => NaN }, { ...constant(20, -1), voltage: () => NaN }]));
    expect(found.charge_capacity_ampere_hour[0]).toBeCloseTo(190 / 3600, 13);
    expect([found.charge_energy_watt_hour[0], found.discharge_mean_voltage_volt[0], found.charge_end_voltage_volt[0]]).toEqual([NaN, NaN, NaN]);
  });

  test("what passed before anyone could tell what the first step is belongs to the first cycle", () => {
    // of its first six records the noise is not known, so their kind is not
    const { cycles: found, state, charge } = chain(cell([constant(41, 1), constant(41, -1)]));
    expect([...state.cycle_index].slice(0, 8)).toEqual([-1, -1, -1, -1, -1, -1, 0, 0]);
    expect(found.charge_capacity_ampere_hour[0]).toBeCloseTo(400 / 3600, 13);
    expect([found.start[0], found.rows[0], found.charge_duration[0]]).toEqual([0n, 82, 400]);
    expect(charge.half_cycle_charge_ampere_hour[40]).toBeCloseTo(400 / 3600, 13);
  });

  test("a cell at rest has no cycles; nor has a stream without a record", () => {
    expect(chain(cell([rest(50)])).cycles.time.length).toBe(0);
    expect(chain(cell([])).cycles.time.length).toBe(0);
    const one = chain(without(cell([constant(1, 1)]), "step_count"));
    expect([one.cycles.rows[0], one.cycles.charge_capacity_ampere_hour[0], one.cycles.complete[0]]).toEqual([1, NaN, ENDED_IN_IT]);
  });

  test("records that have no state are told of", () => {
    const echem = cell([constant(20, 1)]);
    const { stepState } = chain(echem);
    const state = Object.fromEntries(Object.entries(stepState).map(([name, column]) => [name, (column as Int32Array).slice(0, 15)]));
    const { state: found, faults } = feed(cycles, { echem, state: state as never }, { rows: 6 });
    expect(found.time.length).toBe(15);
    expect(says(faults)).toEqual([expect.stringMatching(/^records of echem.*echem\/steps/), expect.stringMatching(/^5 records/)]);
  });
}); // prettier-ignore

const part = fc.record({
  records: fc.integer({ min: 1, max: 12 }), ampere: fc.constantFrom(0, 1, -1, 0.01, NaN), cycle: fc.integer({ min: -1, max: 4 }),
}); // prettier-ignore

test("cut, saved and loaded anywhere, not one bit changes; the other sign swaps charge and discharge", () => {
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 30 }), fc.array(fc.integer({ min: 1, max: 20 })),
      fc.constantFrom("auto", "charge-first", "discharge-first", "derived"),
      (parts, rows, reloadAfter, by) => {
        const echem = cell(parts.map(({ records, ampere, cycle }) => constant(records, ampere, [3, 4], cycle)));
        const whole = chain(echem, { cycles: { by } });
        expect(chain(echem, { rows, reloadAfter, cycles: { by } })).toEqual(whole);
        const { state, cycles: found } = whole;
        expect(state.time.length).toBe(echem.time.length);
        let before = -1;
        for (const half of state.half_cycle_index) {
          expect(half - before).toBeGreaterThanOrEqual(0);
          expect(half - before).toBeLessThanOrEqual(1);
          before = half;
        }
        if (by !== "auto" && by !== "derived") return;
        const turned = chain({ ...echem, current_ampere: echem.current_ampere.map((I) => -I) }, { cycles: { by } }).cycles;
        expect(turned.discharge_capacity_ampere_hour).toEqual(found.charge_capacity_ampere_hour);
        expect(turned.complete).toEqual(found.complete);
      },
    ),
    { numRuns: 100, seed: 3 },
  );
}); // prettier-ignore

describe.runIf(sharedThere)("files of the field", () => {
  // Capacities by the cycler's own sum over each half cycle, printed to nine digits.
  test.each([
    ["gcpl.mpr", DISCHARGE, 16],
    ["jdb11-1_c3_gcpl_5cycles_2V-3p8V_C-24_data_C09.mpr", DISCHARGE, 7],
    ["bcd.issue_241.mpr", DISCHARGE, 1],
    ["gcpl.issue_230.mpr", CHARGE, 3],
  ])("%s: capacity of every cycle", async (name, first, count) => {
    const { columns, fields } = await echemOf(name);
    const { cycles: found } = chain(columns, { fields, rows: 5000 });
    const known = expectedOf(`biologic/${name}`).half_cycles!;
    expect(found.time.length).toBe(count);
    const half = (k: number): [number, number] =>
      (k % 2 === 0 ? CHARGE : DISCHARGE) === first
        ? [found.charge_capacity_ampere_hour[k >> 1], found.charge_end_voltage_volt[k >> 1]]
        : [found.discharge_capacity_ampere_hour[k >> 1], found.discharge_end_voltage_volt[k >> 1]];
    known.forEach(({ q_end_mAh }, k) => {
      // What passes at rest is the cycler's, not the capacity's.
      expect(Math.abs(half(k)[0] * 1000 / q_end_mAh)).toBeCloseTo(1, 5);
    });
    expect(found.begins_with[0]).toBe(first);
  });

  test("Neware, a cell that fades: cycles by current as NewareNDA counts them, by vendor as BTSDA", async () => {
    const { columns, fields, charges } = await newareOf("nw4-120-1-6-53");
    const vendor = chain(columns, { fields });
    expect(vendor.cycles.time.length).toBe(150);
    expect(says(vendor.faults)).toEqual([
      expect.stringMatching(/a cycle began by current \(a charge after a discharge\) 10 times where the cycler's cycle_count did not/),
    ]);
    expect(chain(columns, { fields, cycles: { by: "derived" } }).cycles.time.length).toBe(160); // NewareNDA v2026.06.11
    // The cycler sums its current faster than it records it: where that falls, a trapezoid is above (CV steps of few records).
    for (const k of [0, 1, 2, 10, 20]) {
      let [charge, discharge] = [0, 0];
      for (const { cycle, type, charge_Ah } of charges.values()) {
        if (cycle !== k + 1) continue;
        if (type.includes("DChg")) discharge += charge_Ah;
        else charge += charge_Ah;
      }
      expect(Math.abs(vendor.cycles.charge_capacity_ampere_hour[k] / charge - 1)).toBeLessThan(k < 3 ? 1e-3 : 1e-2);
      expect(Math.abs(vendor.cycles.discharge_capacity_ampere_hour[k] / discharge - 1)).toBeLessThan(1e-3);
    }
  });
}); // prettier-ignore
