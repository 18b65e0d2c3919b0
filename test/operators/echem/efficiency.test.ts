import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { efficiency } from "../../../operators/echem/efficiency.ts";
import { charge } from "../../../operators/echem/charge.ts";
import { cycles as cyclesOperator } from "../../../operators/echem/cycles.ts";
import { steps } from "../../../operators/echem/steps.ts";
import { code, defineSource } from "../../../runtime/index.ts";
import { feed, type FeedOptions } from "../../helpers/feed.ts";
import { runToEnd } from "../../helpers/graph.ts";
import { echemOf, expectedOf, newareOf, sharedThere } from "./field-files.ts";
import { cell, chain, constant, rest, without, type Chain, type Echem, type Part } from "./made-cells.ts";

const FINE = 0, MISSING = 1, WITH_GAPS = 2, ENDED = 3; // prettier-ignore
const LOWER = 1, UPPER = 2; // prettier-ignore
const FOUND = 0, ONE_DEPOSIT = 1, UNEQUAL = 2, GAPS = 3, NOT_FINISHED = 4, NO_DEPOSIT = 5; // prettier-ignore
const batches = [1, 7, 10_000];
const says = (faults: { what: string }[]): string[] => faults.map(({ what }) => what);

/** echem → … → efficiency. */
// oxlint-disable-next-line no-explicit-any
function efficiencyOf(echem: Echem, options: Record<string, unknown> = {}, before: Chain = {}, how: FeedOptions = {}): any {
  const { cycles, charge: charged } = chain(echem, before);
  const found = feed(efficiency, { cycles: filled(cycles, "cycles"), charge: filled(charged, "charge") }, { with: options, ...how });
  return { ...found, cycles, charge: charged };
} // prettier-ignore

/** A stream without a row has no columns but its time. */
const filled = (rows: { time: BigInt64Array }, port: "cycles" | "charge"): { time: BigInt64Array } =>
  rows.time.length
    ? rows
    : ({
        ...Object.fromEntries(Object.keys(efficiency.input[port]).map((name) => [name, new Float64Array(0)])),
        ...rows,
      } as { time: BigInt64Array });

/** Half cycles of 1 A for these seconds, charge first, each after a rest. */
const halves = (seconds: readonly number[], sign = 1, volts = [[3, 4], [3.8, 2.8]]): Part[] => [
  rest(5),
  ...seconds.flatMap((s, i) => [
    constant(s / 10 + 1, i % 2 ? -sign : sign, volts[i % 2], 1 + (i >> 1)),
    rest(3, 3, 1 + (i >> 1)),
  ]),
]; // prettier-ignore

describe("ground truth", () => {
  const echem = cell(halves([1000, 900, 950, 920, 940, 470]));

  test.each(batches)("efficiencies, retention and slippage, in batches of %i", (rows) => {
    const { efficiency: found, faults } = efficiencyOf(echem, {}, {}, { rows });
    expect([...found.status]).toEqual([FINE, FINE, ENDED]);
    expect([...found.vendor_cycle]).toEqual([1, 2, 3]);
    [900 / 1000, 920 / 950, 470 / 940].forEach((CE, k) => {
      expect(found.coulombic_efficiency[k]).toBeCloseTo(CE, 13);
      expect(found.voltage_efficiency[k]).toBeCloseTo(3.3 / 3.5, 13);
      expect(found.energy_efficiency[k]).toBeCloseTo((CE * 3.3) / 3.5, 13);
      expect(found.coulombic_efficiency_se[k]).toBeNaN();
    });
    [1, 920 / 900, 470 / 900].forEach((share, k) => expect(found.capacity_retention[k]).toBeCloseTo(share, 13));
    [100, 30, 470].forEach((C, k) => expect(found.slippage_ampere_hour[k]).toBeCloseTo(C / 3600, 13));
    expect(faults).toEqual([]);
  });

  test("the bound grows in the second half of each cycle, and never says too much", () => {
    const { bound, efficiency: found } = efficiencyOf(echem, { bound_step: 0.045 });
    expect([...bound.side].every((side: number) => side === LOWER)).toBe(true);
    expect([...bound.status].every((status: number) => status === FINE)).toBe(true);
    for (const k of [0, 1, 2]) {
      const own = [...bound.cycle_index.keys()].filter((i) => bound.cycle_index[i] === k);
      const values = own.map((i) => bound.coulombic_efficiency_bound[i]);
      expect(own.length).toBeGreaterThan(found.coulombic_efficiency[k] / 0.06 - 1);
      expect(own.length).toBeLessThanOrEqual(found.coulombic_efficiency[k] / 0.045 + 1);
      values.forEach((value, i) => i > 0 && expect(value - values[i - 1]).toBeGreaterThanOrEqual(0.045));
      expect(values.at(-1)).toBeLessThanOrEqual(found.coulombic_efficiency[k] + 1e-12);
      expect(values.at(-1)).toBeGreaterThan(found.coulombic_efficiency[k] - 0.07);
    }
    // the first: 50 s of 1000
    expect(bound.coulombic_efficiency_bound[0]).toBeCloseTo(0.05, 12);
  });

  test("which of the two is the denominator", () => {
    const strip = efficiencyOf(echem, { ratio: "charge/discharge" });
    expect(strip.efficiency.coulombic_efficiency[0]).toBeCloseTo(1000 / 900, 13);
    expect([...strip.bound.side].every((side: number) => side === UPPER)).toBe(true);
    const values = [...strip.bound.coulombic_efficiency_bound].filter((_, i) => strip.bound.cycle_index[i] === 0);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(values.at(-1)).toBeCloseTo(1000 / 900, 2);
    // plate first, at 0 V; then strip
    const copper = cell(halves([1000, 950, 1000, 960], -1));
    const first = efficiencyOf(copper, { ratio: "second/first" }).efficiency.coulombic_efficiency;
    expect([...first].map((CE) => Math.round(CE * 1e9) / 1e9)).toEqual([0.95, 0.96]);
    expect(efficiencyOf(copper, { ratio: "charge/discharge" }).efficiency.coulombic_efficiency).toEqual(first);
    expect([...efficiencyOf(copper, { ratio: "second/first" }).bound.side].every((side: number) => side === LOWER)).toBe(true);
  });

  test("retention counts from the reference cycle", () => {
    const { capacity_retention: share } = efficiencyOf(echem, { reference_cycle: 1 }).efficiency;
    expect(share[0]).toBeNaN();
    expect([share[1], share[2]]).toEqual([1, expect.closeTo(470 / 920, 13)]);
  });

  test("a symmetric cell has no energy to give back", () => {
    const { efficiency: found } = efficiencyOf(cell(halves([1000, 1000], 1, [[0.1, 0.1], [-0.1, -0.1]])));
    expect(found.coulombic_efficiency[0]).toBeCloseTo(1, 13);
    expect([found.energy_efficiency[0], found.voltage_efficiency[0]]).toEqual([NaN, NaN]);
  });
}); // prettier-ignore

describe("standard error", () => {
  const echem = cell(halves([1000, 900]));
  const offset_A = 1e-3;

  test("is what an ammeter off by its own error makes of the efficiency, to first order", () => {
    const { efficiency: found, bound } = efficiencyOf(echem, { current_error: "1 mA" });
    expect(found.coulombic_efficiency_se[0]).toBeCloseTo((offset_A * (900 + 0.9 * 1000)) / 1000, 13);
    const active = echem.current_ampere.map((I) => (I === 0 ? 0 : I + offset_A));
    const wrong = efficiencyOf({ ...echem, current_ampere: active });
    const shift = wrong.efficiency.coulombic_efficiency[0] - 0.9;
    expect(-shift / found.coulombic_efficiency_se[0]).toBeCloseTo(1, 2);
    // of the bound, likewise
    const at = (rows: { time: BigInt64Array; coulombic_efficiency_bound: Float64Array }, value: number): number =>
      rows.coulombic_efficiency_bound.findIndex((x) => x >= value);
    expect(bound.coulombic_efficiency_bound_se[at(bound, 0.5)]).toBeCloseTo((offset_A * (500 + 0.5 * 1000)) / 1000, 5);
  });

  test("covers the truth as often as it says, for ammeters drawn from their data sheet", () => {
    let x = 99;
    const uniform = (): number => (x = (x * 1103515245 + 12345) % 2147483648) / 2147483648;
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    let within = 0;
    for (let draw = 0; draw < 200; draw++) {
      const [zero_A, gain, mismatch] = [normal() * offset_A, 1 + normal() * 0.01, 1 + normal() * 0.002];
      const current_ampere = echem.current_ampere.map((I) => (I === 0 ? 0 : gain * I * (I > 0 ? mismatch : 1) + zero_A));
      const { efficiency: found } = efficiencyOf({ ...echem, current_ampere }, { current_error: "1 mA", gain_mismatch: 0.002, bound_step: 1 });
      if (Math.abs(found.coulombic_efficiency[0] - 0.9) <= found.coulombic_efficiency_se[0]) within++;
    }
    // 68.3 % of 200, three standard deviations of a binomial
    expect(within / 200).toBeGreaterThan(0.683 - 3 * Math.sqrt((0.683 * 0.317) / 200));
    expect(within / 200).toBeLessThan(0.683 + 3 * Math.sqrt((0.683 * 0.317) / 200));
  });
}); // prettier-ignore

describe("the reservoir method", () => {
  const PLATE_V = [-0.05, -0.05], STRIP_V = [0.05, 0.06], TO_CUTOFF = [0.05, 1]; // prettier-ignore
  interface Half { s: number; full?: boolean } // prettier-ignore
  /** Alternating deposits (negative current) and strips of 1 mA, with rests; `full` reaches the cut-off. */
  const copper = (parts: readonly Half[], first = -1): Echem =>
    without(cell([
      rest(6, 1),
      ...parts.flatMap(({ s, full }, i) => {
        const sign = i % 2 ? -first : first;
        return [constant(s / 10 + 1, sign * 1e-3, sign < 0 ? PLATE_V : full ? TO_CUTOFF : STRIP_V), rest(3, 0)];
      }),
    ]), "cycle_count"); // prettier-ignore
  const options = { reservoir: true, ratio: "charge/discharge" };

  // Q_T 5000 s, then ten times 1000 s; of all that is deposited 98 % can be stripped: Q_S = 0.98 × 15000 − 10 × 1000
  const CE = 0.98, Q_S = CE * 15000 - 10000; // prettier-ignore
  const sequence: Half[] = [
    { s: 5000 }, ...Array.from({ length: 10 }, () => [{ s: 1000 }, { s: 1000 }]).flat(), { s: Q_S, full: true },
  ]; // prettier-ignore
  const conditioning: Half[] = [{ s: 4000 }, { s: 3800, full: true }];

  test.each(batches)("finds the efficiency it was made from, after a conditioning cycle, in batches of %i", (rows) => {
    const { reservoir: found, faults } = efficiencyOf(copper([...conditioning, ...sequence]), options, {}, { rows });
    expect([...found.status]).toEqual([ONE_DEPOSIT, FOUND]);
    expect([...found.cycles]).toEqual([0, 10]);
    expect(found.coulombic_efficiency[0]).toBeCloseTo(0.95, 12);
    expect(found.coulombic_efficiency[1]).toBeCloseTo(CE, 12);
    expect(found.first_deposit_ampere_hour[1]).toBeCloseTo(5 / 3600, 15);
    expect(found.cycled_ampere_hour[1]).toBeCloseTo(1 / 3600, 15);
    expect(found.final_strip_ampere_hour[1]).toBeCloseTo((Q_S * 1e-3) / 3600, 15);
    expect(faults).toEqual([]);
  }); // prettier-ignore

  test("timed by the end of the final strip; with its standard error", () => {
    const echem = copper(sequence);
    const { reservoir: found } = efficiencyOf(echem, { ...options, current_error: "1 uA" });
    expect(found.time[0]).toBe(echem.time[echem.time.length - 4]);
    // both directions for 15000 s: 1e-3 (0.98 + 0.98)
    expect(found.coulombic_efficiency_se[0]).toBeCloseTo(1e-3 * 2 * CE, 12);
    expect([...efficiencyOf(echem, options).reservoir.coulombic_efficiency_se]).toEqual([NaN]);
  });

  test("lithium may be the working electrode: plating is then the charge, and the voltage turns round", () => {
    const echem = copper(sequence);
    const turned = { ...echem, current_ampere: echem.current_ampere.map((I) => -I), voltage_volt: echem.voltage_volt.map((V) => -V) };
    const { reservoir: found } = efficiencyOf(turned, { ...options, ratio: "discharge/charge" });
    expect([...found.status]).toEqual([FOUND]);
    expect(found.coulombic_efficiency[0]).toBeCloseTo(CE, 12);
    expect(efficiencyOf(turned, { ...options, ratio: "second/first" }).reservoir).toEqual(found);
  }); // prettier-ignore

  test.each<[string, Half[], number[], RegExp]>([
    ["cycled charges that differ", [{ s: 5000 }, { s: 1000 }, { s: 1100 }, { s: 4000, full: true }], [UNEQUAL], /cycled charges differ/],
    ["no final strip", [{ s: 5000 }, { s: 1000 }, { s: 1000 }, { s: 2000 }], [NOT_FINISHED], /ended before a strip reached the cut-off/],
    ["a strip first", [{ s: 0 }, { s: 1000, full: true }].slice(1), [NO_DEPOSIT], /without a deposit/],
  ])("says why there is none: %s", (_, parts, status, why) => {
    const { reservoir: found, faults } = efficiencyOf(copper(parts, parts.length === 1 ? 1 : -1), options);
    expect([...found.status]).toEqual(status);
    expect([...found.coulombic_efficiency].every(Number.isNaN)).toBe(true);
    expect(says(faults)).toEqual([expect.stringMatching(why)]);
  }); // prettier-ignore

  test("says why there is none: charge that nobody measured", () => {
    const echem = copper(sequence);
    for (let i = 300; i < echem.time.length; i++) echem.time[i]! += 3600n * 1_000_000_000n;
    const { reservoir: found } = efficiencyOf(echem, options);
    expect([found.status[0], found.coulombic_efficiency[0]]).toEqual([GAPS, NaN]);
  });

  test("small differences of the cycled charge are as many as are allowed", () => {
    const parts = [{ s: 5000 }, { s: 1000 }, { s: 1050 }, { s: 4000, full: true }];
    expect(efficiencyOf(copper(parts), options).reservoir.status[0]).toBe(UNEQUAL);
    const { reservoir: found } = efficiencyOf(copper(parts), { ...options, same_charge: 0.1 });
    expect([found.status[0], found.coulombic_efficiency[0]]).toEqual([
      FOUND,
      expect.closeTo(5000 / 6050, 12),
    ]);
  });

  test("not asked for, there is no such stream", () => {
    expect("reservoir" in efficiencyOf(copper(sequence), { ratio: "charge/discharge" })).toBe(false);
  });
});

describe("what is missing", () => {
  test("a cycle with a gap says so", () => {
    const echem = without(cell([constant(41, 1), constant(41, -1), constant(41, 1)]), "cycle_count");
    for (let i = 20; i < 123; i++) echem.time[i]! += 600n * 1_000_000_000n;
    const { efficiency: found, bound, faults } = efficiencyOf(echem);
    expect([...found.status]).toEqual([WITH_GAPS, MISSING]);
    expect(found.capacity_retention[0]).toBeNaN();
    expect([...bound.status].every((status: number) => status === WITH_GAPS)).toBe(true);
    expect(says(faults)).toEqual(["cycle 0: 1 gaps, 610 s together, in which charge passed that nobody measured; its efficiency lacks it"]);
  }); // prettier-ignore

  test("a charge alone has no efficiency", () => {
    const { efficiency: found, bound } = efficiencyOf(cell([rest(5), constant(50, 1), rest(5)]));
    expect([found.status[0], found.coulombic_efficiency[0]]).toEqual([MISSING, NaN]);
    expect(bound.time.length).toBe(0);
  });

  test("no record; a rest", () => {
    for (const echem of [cell([]), cell([rest(30)])]) {
      const { efficiency: found, bound, reservoir } = efficiencyOf(echem, { reservoir: true });
      expect([found.time.length, bound.time.length, reservoir.time.length]).toEqual([0, 0, 0]);
    }
  });

  test("a half cycle across the cycler's cycles counts in each what passed in it", () => {
    // the cycler begins a new cycle in the middle of the second charge
    const echem = cell([rest(5), constant(51, 1), constant(51, -1), constant(31, 1), constant(21, 1, [3, 4], 2), constant(11, -1, [4, 3], 2)]);
    const { bound, efficiency: found } = efficiencyOf(echem, { bound_step: 0.01 });
    expect(found.coulombic_efficiency[0]).toBeCloseTo(500 / 800, 13);
    expect(found.coulombic_efficiency[1]).toBeCloseTo(100 / 200, 13);
    const last = bound.cycle_index.lastIndexOf(1);
    expect(bound.coulombic_efficiency_bound[last]).toBeCloseTo(0.5, 12);
  }); // prettier-ignore
});

test("cut, saved and loaded anywhere, not one bit changes; the gain of the ammeter cancels", () => {
  const half = fc.record({ s: fc.integer({ min: 1, max: 12 }), ampere: fc.constantFrom(1, -1, 0, NaN), gap: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(half, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 30 }), fc.array(fc.integer({ min: 1, max: 20 })),
      fc.constantFrom("discharge/charge", "charge/discharge", "second/first"),
      (parts, rows, reloadAfter, ratio) => {
        const echem = cell(parts.map(({ s, ampere }, i) => constant(s, ampere, [3, 4], i >> 1)));
        const options = { ratio, reservoir: true, strip_cutoff: "3.5 V", bound_step: 0.05, current_error: "1 mA" };
        const whole = efficiencyOf(echem, options);
        expect(efficiencyOf(echem, options, {}, { rows, reloadAfter })).toEqual(whole);
        const twice = efficiencyOf({ ...echem, current_ampere: echem.current_ampere.map((I) => 2 * I) }, options);
        expect(twice.efficiency.coulombic_efficiency).toEqual(whole.efficiency.coulombic_efficiency);
        expect(twice.bound.coulombic_efficiency_bound).toEqual(whole.bound.coulombic_efficiency_bound);
      },
    ),
    { numRuns: 80, seed: 11 },
  );
}); // prettier-ignore

test("wired in a run, the chain gives what it gives when fed", async () => {
  const echem = cell(halves([1000, 900, 950, 920, 940, 470]));
  const made = defineSource({
    name: "test/made",
    output: { echem: { ...cyclesOperator.input.echem, step_count: code() } },
    config: {},
    async *open() {
      for (let i = 0; i < echem.time.length; i += 50) {
        const rows = Object.entries(echem).map(([name, column]) => [name, column.slice(i, i + 50)]);
        yield { rows: { echem: Object.fromEntries(rows) as never } };
      }
    },
  });
  const { rows, failures } = await runToEnd({
    sources: { cycler: { use: made } },
    operators: {
      steps: { use: steps, from: "cycler.echem" },
      cycles: { use: cyclesOperator, from: { echem: "cycler.echem", state: "steps.state" } },
      charge: { use: charge, from: { echem: "cycler.echem", state: "cycles.state" } },
      efficiency: { use: efficiency, from: { cycles: "cycles.cycles", charge: "charge.charge" } },
    },
  }, { origin: 0n });
  expect(failures).toEqual([]);
  const fed = efficiencyOf(echem);
  expect(rows["efficiency.efficiency"]).toEqual(fed.efficiency);
  expect(rows["efficiency.bound"]).toEqual(fed.bound);
  expect(rows["cycles.cycles"]).toEqual(fed.cycles);
  expect(rows["charge.charge"]).toEqual(fed.charge);
}); // prettier-ignore

describe.runIf(sharedThere)("files of the field", () => {
  test("a full cell: efficiencies by the cycler's own sums", async () => {
    const { columns, fields } = await echemOf("gcpl.issue_230.mpr");
    const { efficiency: found, bound } = efficiencyOf(columns, {}, { fields });
    const q = expectedOf("biologic/gcpl.issue_230.mpr").half_cycles!.map(({ q_end_mAh }) => Math.abs(q_end_mAh));
    expect(found.coulombic_efficiency[0]).toBeCloseTo(q[1]! / q[0]!, 5);
    expect(found.coulombic_efficiency[1]).toBeCloseTo(q[3]! / q[2]!, 5);
    expect([...found.status]).toEqual([FINE, FINE, MISSING]);
    expect(found.energy_efficiency[0]).toBeGreaterThan(0.9);
    expect(found.energy_efficiency[0]).toBeCloseTo(found.coulombic_efficiency[0] * found.voltage_efficiency[0], 6);
    const last = bound.cycle_index.lastIndexOf(0);
    expect(found.coulombic_efficiency[0] - bound.coulombic_efficiency_bound[last]).toBeLessThan(0.0011);
    expect(bound.coulombic_efficiency_bound[last]).toBeLessThanOrEqual(found.coulombic_efficiency[0]);
  });

  test("a symmetric cell: what goes in comes out, to the errors of the cycler's own sum", async () => {
    const { columns, fields } = await echemOf("gcpl.mpr");
    const { efficiency: found } = efficiencyOf(columns, { ratio: "second/first" }, { fields });
    for (const CE of found.coulombic_efficiency) expect(CE).toBeCloseTo(1, 3);
  });

  test("a cell that fades: the first cycle gives back a fifth", async () => {
    const { columns, fields } = await newareOf("nw4-120-1-6-53");
    const { efficiency: found } = efficiencyOf(columns, {}, { fields });
    // BTSDA: 0.32362 of 0.05599 + 1.64055 mA.h
    expect(found.coulombic_efficiency[0]).toBeCloseTo(0.323619902 / (0.0559944138 + 1.64054525), 3);
  });
}); // prettier-ignore
