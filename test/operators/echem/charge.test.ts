import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { charge } from "../../../operators/echem/charge.ts";
import { slice, type Columns } from "../../../runtime/columns.ts";
import { readConfig } from "../../../runtime/config.ts";
import { startOperator } from "../../../runtime/instance.ts";
import type { Schema } from "../../../runtime/wire/schema.ts";
import { feed } from "../../helpers/feed.ts";
import { echemOf, expectedOf, sharedThere } from "./field-files.ts";
import { cell, chain, constant, rest, without, type Echem } from "./made-cells.ts";

const batches = [1, 7, 10_000];

describe("ground truth", () => {
  // 0.5 A for 1000 s, rest, -1 A for 400 s
  const echem = cell([rest(7), constant(101, 0.5), rest(10, 4), constant(41, -1, [4, 3]), rest(5)]);

  test.each(batches)("net charge and that of each half cycle, in batches of %i", (rows) => {
    const { charge: found, faults } = chain(echem, { rows });
    expect([...found.time]).toEqual([...echem.time]);
    expect([...found.voltage_volt]).toEqual([...echem.voltage_volt]);
    expect([...found.current_ampere]).toEqual([...echem.current_ampere]);
    const at = (i: number): number[] => [
      found.charge_ampere_hour[i],
      found.half_cycle_charge_ampere_hour[i],
      found.half_cycle_index[i],
      found.cycle_index[i],
      found.gap[i],
    ];
    expect(at(6)).toEqual([0, NaN, -1, -1, 0]);
    expect(at(7)).toEqual([0, 0, 0, 0, 2]); // a step begins
    expect(at(8)).toEqual([5 / 3600, 5 / 3600, 0, 0, 0]);
    expect(at(107)).toEqual([500 / 3600, 500 / 3600, 0, 0, 0]);
    expect(at(117)).toEqual([500 / 3600, 500 / 3600, 0, 0, 0]); // rest belongs to the half cycle before
    expect(at(118)).toEqual([500 / 3600, 0, 1, 0, 2]);
    expect(at(119)).toEqual([490 / 3600, 10 / 3600, 1, 0, 0]);
    expect(at(158)).toEqual([100 / 3600, 400 / 3600, 1, 0, 0]);
    expect(at(163)).toEqual([100 / 3600, 400 / 3600, 1, 0, 0]);
    expect([...found.charge_ampere_hour_se].every(Number.isNaN)).toBe(true);
    expect(faults).toEqual([]);
  });

  test("the ammeter's zero and gain, where they are given", () => {
    const errors = { current_error: "1 mA", current_gain_error: 0.001 };
    const { charge: found } = chain(echem, { charge: errors });
    const [offset, gain] = [(1e-3 * 1000) / 3600, (1e-3 * 500) / 3600];
    expect(found.charge_ampere_hour_se[107]).toBeCloseTo(Math.hypot(offset + (1e-3 * 60) / 3600, gain), 12); // 60 s of rest before
    expect(found.half_cycle_charge_ampere_hour_se[107]).toBeCloseTo(Math.hypot(offset, gain), 12);
    const gainOnly = chain(echem, { charge: { current_gain_error: 0.001 } }).charge;
    expect(gainOnly.half_cycle_charge_ampere_hour_se[107]).toBeCloseTo(gain, 15);
    // An ammeter whose zero is off by as much as it says is wrong by what it says.
    const off = { ...echem, current_ampere: echem.current_ampere.map((I) => I + 1e-3) };
    const wrong = chain(off, { steps: { rest_current: "10 mA" } }).charge;
    const zeroOnly = chain(echem, { charge: { current_error: "1 mA" } }).charge;
    expect(wrong.charge_ampere_hour.at(-1) - zeroOnly.charge_ampere_hour.at(-1)).toBeCloseTo(zeroOnly.charge_ampere_hour_se.at(-1), 12);
  }); // prettier-ignore

  test("charge that the cycler measured counts as it stands, at the first record of a step too", () => {
    const dq = Float64Array.from({ length: echem.time.length }, (_, i) => (i + 1) * 1e-3);
    const { charge: found } = chain({ ...echem, dq });
    expect([...found.gap].every((gap: number) => gap === 0)).toBe(true);
    expect(found.charge_ampere_hour[0]).toBeCloseTo(1e-6, 18);
    expect(found.charge_ampere_hour[163]).toBeCloseTo((164 * 165) / 2 / 1e6, 15);
    expect(found.half_cycle_charge_ampere_hour[107]).toBeCloseTo((108 * 109 - 7 * 8) / 2 / 1e6, 15);
    expect(found.half_cycle_charge_ampere_hour[158]).toBeCloseTo(-(159 * 160 - 118 * 119) / 2 / 1e6, 15);
  });
});

describe("what is missing", () => {
  test("nothing is integrated over a gap, nor where there is no current", () => {
    const echem = without(cell([constant(41, 1)]), "step_count");
    for (let i = 20; i < 41; i++) echem.time[i]! += 3600n * 1_000_000_000n;
    echem.current_ampere[30] = NaN;
    const { charge: found } = chain(echem);
    expect([...found.gap.keys()].filter((i) => found.gap[i] === 1)).toEqual([20, 30, 31]);
    expect(found.charge_ampere_hour[40]).toBeCloseTo(370 / 3600, 12);
    expect(found.charge_ampere_hour[20]).toBe(found.charge_ampere_hour[19]);
    const wide = chain(echem, { charge: { gap_factor: 1000 } }).charge;
    expect(wide.charge_ampere_hour[40]).toBeCloseTo((380 + 3600) / 3600, 12);
  });

  test("each step has a cadence of its own: a slow one after a fast one has no gap", () => {
    const fast = cell([constant(100, 1)], { dt_s: 1 });
    const slow = cell([constant(20, 1)], { dt_s: 60, start: 99_001_000_000n });
    const join = (name: string): never => [...(fast[name] as never as number[]), ...(slow[name] as never as number[])] as never; // prettier-ignore
    const echem = {
      time: BigInt64Array.from(join("time")), current_ampere: Float64Array.from(join("current_ampere")),
      voltage_volt: Float64Array.from(join("voltage_volt")),
      step_count: Int32Array.from({ length: 120 }, (_, i) => (i < 100 ? 1 : 2)),
    }; // prettier-ignore
    expect([...chain(echem).charge.gap].filter((gap: number) => gap === 1)).toEqual([]);
    expect(chain(echem).charge.charge_ampere_hour[119]).toBeCloseTo((99 + 19 * 60) / 3600, 12);
  });

  test("no current at all: no charge, not a charge of 0", () => {
    const found = chain(without(cell([{ ...rest(50), current: () => NaN }]), "step_count")).charge;
    expect([...found.charge_ampere_hour].every(Number.isNaN)).toBe(true);
  });

  test("records in one instant, one record, none", () => {
    const echem = without(cell([constant(11, 1)]), "step_count", "cycle_count");
    echem.time[5] = echem.time[4]!;
    echem.time[6] = echem.time[4]!;
    expect(chain(echem).charge.charge_ampere_hour[10]).toBeCloseTo(100 / 3600, 12);
    const one = chain(cell([constant(1, -1)])).charge;
    expect([one.charge_ampere_hour[0], one.gap[0]]).toEqual([0, 2]);
    expect(chain(cell([])).charge.time.length).toBe(0);
  });

  test("the state of other records is refused, once", () => {
    const echem = cell([constant(40, 1)]);
    const { state } = chain(cell([constant(40, 1)], { start: 5n }));
    const { charge: found, faults } = feed(charge, { echem, state }, { rows: 10 });
    expect(found.time.length).toBe(0);
    expect(faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/^records of echem without a row of state.*echem\/cycles/),
      expect.stringMatching(/^80 records/),
    ]);
  });
});

test("a million records: the exact sum to 1e-12, and the same bits whatever the batches", () => {
  const n = 1_000_000;
  let x = 12345;
  const uniform = (): number => (x = (x * 1103515245 + 12345) % 2147483648) / 2147483648;
  const time = new BigInt64Array(n);
  const current = new Int32Array(n); // 2^-20 A
  let at = 1_700_000_000_000_000_000n;
  let exact = 0n; // 2^-21 A ns
  for (let i = 0; i < n; i++) {
    const dt = BigInt(900_000_000 + Math.floor(uniform() * 200_000_000));
    time[i] = at += dt;
    current[i] = Math.floor((uniform() - 0.49) * 2 ** 24);
    if (i > 0) exact += BigInt(current[i]! + current[i - 1]!) * dt;
  }
  const echem = { time, voltage_volt: new Float64Array(n).fill(3), current_ampere: Float64Array.from(current, (I) => I / 2 ** 20) };
  const codes = (value: number): Int32Array => new Int32Array(n).fill(value);
  const state = { time, cycle_index: codes(0), half_cycle_index: codes(0), step_index: codes(0), kind: codes(1) };
  const schemas: Record<string, Schema> = {
    echem: { fields: { voltage_volt: charge.input.echem.voltage_volt, current_ampere: charge.input.echem.current_ampere }, metadata: {} },
    state: { fields: charge.input.state, metadata: {} },
  };
  const total = (size: number, origin: bigint): number => {
    const running = startOperator(charge, readConfig(charge.config, {}).config, schemas, origin);
    let last = NaN;
    for (let i = 0; i < n; i += size) {
      const to = Math.min(n, i + size);
      const part = (columns: object, port: string): Columns => slice(columns as Columns, schemas[port]!.fields, i, to);
      const { rows } = running.step({ echem: part(echem, "echem"), state: part(state, "state") }, time[to - 1]! + 1n);
      last = (rows["charge"]!["charge_ampere_hour"] as Float64Array).at(-1)!;
    }
    return last;
  };
  const truth = Number(exact) / 2 ** 21 / 3.6e12;
  const whole = total(n, time[0]!);
  expect(Math.abs(whole / truth - 1)).toBeLessThan(1e-12);
  expect(total(4093, 0n)).toBe(whole); // and wherever seconds are counted from
}, 60_000); // prettier-ignore

const part = fc.record({
  records: fc.integer({ min: 1, max: 12 }),
  ampere: fc.constantFrom(0, 1, -1, 0.01, NaN),
});

test("cut, saved and loaded anywhere, not one bit changes; twice the current is twice the charge", () => {
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }), fc.integer({ min: 1, max: 30 }), fc.array(fc.integer({ min: 1, max: 20 })), fc.boolean(),
      (parts, rows, reloadAfter, counted) => {
        const made = cell(parts.map(({ records, ampere }, i) => constant(records, ampere, [3, 4], i)));
        const echem = counted ? made : without(made, "step_count", "cycle_count");
        const whole = chain(echem);
        expect(chain(echem, { rows, reloadAfter })).toEqual(whole);
        const twice: Echem = { ...echem, current_ampere: echem.current_ampere.map((ampere) => 2 * ampere) };
        const doubled = chain(twice).charge.charge_ampere_hour?.map((q: number) => q / 2);
        expect(doubled).toEqual(whole.charge.charge_ampere_hour);
        expect(whole.charge.time.length).toBe(echem.time.length);
      },
    ),
    { numRuns: 100, seed: 7 },
  );
}); // prettier-ignore

describe.runIf(sharedThere)("files of the field", () => {
  // The cycler's own sum over each half cycle, printed to nine digits.
  test.each([
    "gcpl.mpr", "jdb11-1_c3_gcpl_5cycles_2V-3p8V_C-24_data_C09.mpr", "bcd.issue_241.mpr", "gcpl.issue_230.mpr", "gcpl.issue_211.mpr",
  ])("%s: charge at the end of every half cycle", async (name) => {
    const { columns, fields } = await echemOf(name);
    const { charge: found } = chain(columns, { fields, rows: 5000 });
    let end = -1;
    const known = expectedOf(`biologic/${name}`).half_cycles!;
    for (const { rows, q_end_mAh } of known) {
      end += rows;
      expect(found.half_cycle_charge_ampere_hour[end] * 1000).toBeCloseTo(Math.abs(q_end_mAh), 8);
    }
    expect(found.half_cycle_index.at(-1)).toBe(known.length - 1);
  });
}); // prettier-ignore
