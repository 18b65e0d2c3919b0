import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { steps } from "../../../operators/echem/steps.ts";
import { code, label, scalar, type Fault } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { echemOf, expectedOf, sharedThere } from "./field-files.ts";

const REST = 0, CHARGE = 1, DISCHARGE = 2, CV_CHARGE = 3; // prettier-ignore

interface Part {
  rows: number;
  current: (s: number) => number;
  voltage: (s: number) => number;
}
interface Echem {
  time: BigInt64Array;
  voltage_volt: Float64Array;
  current_ampere: Float64Array;
  [count: string]: BigInt64Array | Float64Array | Int32Array | Uint16Array | Uint32Array | Uint8Array;
}

/** A test made of parts; `s` counts from each part's first record. */
function cell(parts: readonly Part[], dt_s = 10): Echem {
  const rows = parts.flatMap(({ rows, current, voltage }) =>
    Array.from({ length: rows }, (_, i) => [current(i * dt_s), voltage(i * dt_s)] as const),
  );
  return {
    time: BigInt64Array.from(rows, (_, i) => BigInt(Math.round(i * dt_s * 1e9))),
    current_ampere: Float64Array.from(rows, ([current]) => current),
    voltage_volt: Float64Array.from(rows, ([, voltage]) => voltage),
  };
}

const rest = (rows: number, volt = 3): Part => ({ rows, current: () => 0, voltage: () => volt });
const constant = (rows: number, ampere: number, from = 3): Part => ({
  rows, current: () => ampere, voltage: (s) => from + Math.sign(ampere) * s * 5e-4,
}); // prettier-ignore

/** Noise that every run repeats. */
function noise(size: number): () => number {
  let x = 12345;
  const uniform = (): number => (x = (x * 1103515245 + 12345) % 2147483648) / 2147483648;
  return () => size * (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3);
}

const batches = [1, 7, 10_000];

describe("ground truth, by current and voltage", () => {
  test.each(batches)("rest, charge, rest, discharge, in batches of %i", (rows) => {
    const echem = cell([rest(20), constant(101, 0.5), rest(30, 3.4), constant(51, -1, 3.4), rest(10)]);
    const { steps: found, state, faults } = feed(steps, { echem }, { rows });
    expect([...found.kind]).toEqual([REST, CHARGE, REST, DISCHARGE, REST]);
    expect([...found.step_index]).toEqual([0, 1, 2, 3, 4]);
    expect([...found.rows]).toEqual([20, 101, 30, 51, 10]);
    expect([...found.duration]).toEqual([190, 1000, 290, 500, 90]);
    expect([...found.start].map(Number)).toEqual([0, 200e9, 1210e9, 1510e9, 2020e9]);
    expect([...found.time].map(Number)).toEqual([190e9, 1200e9, 1500e9, 2010e9, 2110e9]);
    // 0.5 A for 1000 s, -1 A for 500 s
    expect([...found.charge_ampere_hour]).toEqual([0, 500 / 3600, 0, -500 / 3600, 0]);
    expect(found.mean_current_ampere[1]).toBe(0.5);
    expect(found.mean_voltage_volt[1]).toBeCloseTo(3.25, 12);
    expect(found.energy_watt_hour[1]).toBeCloseTo((500 * 3.25) / 3600, 12);
    expect([found.start_voltage_volt[3], found.end_voltage_volt[3]]).toEqual([3.4, 3.4 - 0.25]);
    expect([...found.agreement]).toEqual([1, 1, 1, 1, 1]);
    expect([...state.time]).toEqual([...echem.time]);
    expect([...state.kind]).toEqual(
      [20, 101, 30, 51, 10].flatMap((n, i) => Array(n).fill([REST, CHARGE, REST, DISCHARGE, REST][i])),
    );
    expect(faults).toEqual([]);
  });

  test.each(batches)("constant current, then constant voltage, in batches of %i", (rows) => {
    // 1 A until 4.2 V, then held while the current decays with 600 s
    const hold: Part = { rows: 200, current: (s) => Math.exp(-(s + 10) / 600), voltage: () => 4.2 };
    const { steps: found } = feed(steps, { echem: cell([constant(241, 1), hold, rest(20, 4.2)]) }, { rows });
    expect([...found.kind]).toEqual([CHARGE, CV_CHARGE, REST]);
    // the hold is told once the current has fallen by 2 %
    expect(found.rows[0]! - 241).toBeLessThanOrEqual(2);
    const charge = found.charge_ampere_hour[1] * 3600;
    const [from, to] = [found.rows[0]! - 241, 199].map((i) => i * 10 + 10) as [number, number];
    expect(charge).toBeCloseTo(600 * (Math.exp(-from / 600) - Math.exp(-to / 600)), 1);
  });

  test("noise is no step, and a rest under noise is a rest", () => {
    const [small, large] = [noise(2e-6), noise(2e-3)];
    const noisy = (part: Part): Part => ({
      ...part,
      current: (s) => part.current(s) + small(),
      voltage: (s) => part.voltage(s) + large(),
    });
    const echem = cell(
      [rest(200), constant(300, 1e-3), rest(200, 3.2), constant(300, -1e-3, 3.2)].map(noisy),
    );
    const { steps: found } = feed(steps, { echem });
    expect([...found.kind]).toEqual([REST, CHARGE, REST, DISCHARGE]);
    expect([...found.rows]).toEqual([200, 300, 200, 300]);
  });

  test.each([0, 1, 2, 3, 4, 5, 6])(
    "the current that begins after %i records of rest is not taken for noise",
    (rows) => {
      const { state } = feed(steps, { echem: cell([rest(rows), constant(100, -0.5)]) });
      expect([...state.kind]).toEqual([...Array(rows).fill(REST), ...Array(100).fill(DISCHARGE)]);
    },
  );

  test("one odd record is no step, unless one is enough", () => {
    const echem = cell([constant(20, 1), rest(1), constant(20, 1)]);
    expect([...feed(steps, { echem }).steps.rows]).toEqual([41]);
    expect([...feed(steps, { echem }, { with: { min_dwell: 1 } }).steps.rows]).toEqual([20, 1, 20]);
  });

  test("a rest current that is given overrules the noise", () => {
    const echem = cell([constant(20, 1e-3), constant(20, 1)]);
    expect([...feed(steps, { echem }).steps.kind]).toEqual([CHARGE]);
    expect([...feed(steps, { echem }, { with: { rest_current: "10 mA" } }).steps.kind]).toEqual([
      REST,
      CHARGE,
    ]);
  });
});

describe("ground truth, by the cycler's counts", () => {
  const echem = cell([constant(20, 1), constant(30, 0.5), rest(10)]);
  const counted = {
    ...echem,
    step_count: Int32Array.from({ length: 60 }, (_, i) => (i < 20 ? 4 : i < 50 ? 5 : 6)),
  };

  test.each(batches)("step_count cuts where current alone would not, in batches of %i", (rows) => {
    const { steps: found } = feed(steps, { echem: counted }, { rows });
    expect([...found.rows]).toEqual([20, 30, 10]);
    expect([...found.kind]).toEqual([CHARGE, CHARGE, REST]);
    expect([...feed(steps, { echem: counted }, { rows, with: { by: "current" } }).steps.rows]).toEqual([
      50, 10,
    ]);
  });

  test("ns, half cycle and mode together; a hold is at constant voltage, a sweep is not", () => {
    const sweep: Part = { rows: 10, current: () => 0.1, voltage: (s) => 3 + s * 0.01 };
    const hold: Part = { rows: 10, current: (s) => 1 / (1 + s), voltage: () => 4 };
    const all = { ...cell([rest(5), constant(10, 1), hold, constant(10, -1), sweep]) };
    const per = (values: number[], sizes = [5, 10, 10, 10, 10]): number[] =>
      sizes.flatMap((n, i) => Array<number>(n).fill(values[i]!));
    const { steps: found } = feed(steps, {
      echem: {
        ...all, ns: Uint16Array.from(per([0, 1, 1, 2, 3])), half_cycle: Uint32Array.from(per([0, 0, 0, 2, 2])),
        mode: Uint8Array.from(per([3, 1, 2, 1, 2])),
      },
    }); // prettier-ignore
    expect([...found.kind]).toEqual([REST, CHARGE, CV_CHARGE, DISCHARGE, CHARGE]);
    expect([...found.rows]).toEqual([5, 10, 10, 10, 10]);
  });

  test("what others call ns, half cycle or mode, and is only a number, cuts nothing and stops nothing", () => {
    const numbers = Float64Array.from({ length: 60 }, (_, i) => i);
    const fields = { ...steps.input.echem, ns: scalar(""), half_cycle: scalar(""), mode: scalar("V"), status: label() };
    const named = { ...echem, ns: numbers, half_cycle: numbers, mode: numbers.map(() => 3), status: Array<string>(60).fill("R") };
    const { steps: found, faults } = feed(steps, { echem: named }, { schema: { echem: fields } });
    expect(found).toEqual(feed(steps, { echem }).steps);
    expect(faults.map(({ what }: Fault) => what.replace(/:.*/, ""))).toEqual(["ns", "half_cycle", "mode", "status"].map((name) => `does not use echem.${name}`));
  }); // prettier-ignore

  test("the share of records that say otherwise is told", () => {
    const wrong = { ...cell([constant(75, 1), rest(25)]), step_count: new Int32Array(100) };
    const { steps: found } = feed(steps, { echem: wrong });
    expect([...found.kind]).toEqual([CHARGE]);
    expect(found.agreement[0]).toBeCloseTo(69 / 94, 12); // of the first six nothing can be told
  });

  test("what the cycler calls a step counts for more than its records", () => {
    const names = {
      0: "Rest",
      1: "CC_Chg",
      2: "CV DChg",
      3: "CCCV_Chg",
      4: "SIM",
      5: "CC_DChg",
      6: "CPCV Chg",
    };
    const counts = [0, 1, 2, 3, 4, 5, 6];
    const all = cell([rest(10), ...counts.slice(1).map(() => rest(20))]);
    const of = (of: (i: number) => number): Int32Array =>
      Int32Array.from({ length: 130 }, (_, i) => of(i < 10 ? 0 : 1 + Math.floor((i - 10) / 20)));
    const echem = { ...all, step_count: of((i) => i), status: of((i) => i) };
    const fields = { ...steps.input.echem, status: code({ codes: names }) };
    const { steps: found } = feed(steps, { echem }, { schema: { echem: fields } });
    expect([...found.kind]).toEqual([REST, CHARGE, 4, REST, REST, DISCHARGE, REST]);
    // a text of that name, as another program may have it, says nothing
    const text = { ...echem, status: Array(130).fill("CC_Chg") };
    const plain = feed(
      steps,
      { echem: text as never },
      { schema: { echem: { ...fields, status: label() } } },
    );
    expect([...plain.steps.kind]).toEqual(Array(7).fill(REST));
  });

  test("a step in which the cell wakes is no rest, one that begins with a current left over is", () => {
    const counted = (parts: Part[]): Echem => ({ ...cell(parts), step_count: new Int32Array(100) });
    expect([...feed(steps, { echem: counted([rest(90), constant(10, 1)]) }).steps.kind]).toEqual([CHARGE]);
    expect([...feed(steps, { echem: counted([rest(90), constant(10, -1)]) }).steps.kind]).toEqual([
      DISCHARGE,
    ]);
    expect([...feed(steps, { echem: counted([rest(50), constant(1, 1), rest(49)]) }).steps.kind]).toEqual([
      REST,
    ]);
    expect([...feed(steps, { echem: counted([constant(10, 1), rest(90)]) }).steps.kind]).toEqual([REST]);
  });

  test("each step has a cadence of its own: a slow one after a fast one has no gap", () => {
    const echem: Echem = { ...cell([constant(120, 1)], 1), step_count: Int32Array.from({ length: 120 }, (_, i) => (i < 100 ? 1 : 2)) };
    for (let i = 100; i < 120; i++) echem.time[i] = 99_001_000_000n + BigInt(i - 100) * 60_000_000_000n;
    const { steps: found } = feed(steps, { echem });
    expect([...found.gaps]).toEqual([0, 0]);
    expect(found.charge_ampere_hour[1]).toBeCloseTo((19 * 60) / 3600, 12);
  }); // prettier-ignore

  test("charge that the cycler measured is summed as it stands, gaps and first records too", () => {
    const dq = Float64Array.from({ length: 60 }, (_, i) => i * 1e-3);
    const { steps: found } = feed(steps, { echem: { ...counted, dq } });
    expect(found.charge_ampere_hour[0]).toBeCloseTo(190e-6, 15);
    expect(found.charge_ampere_hour[1]).toBeCloseTo((49 * 25 - 19 * 10) * 1e-6, 15);
  });
});

describe("what is missing", () => {
  test("nothing is integrated over a gap, and it is counted", () => {
    const echem = cell([constant(40, 1)]);
    for (let i = 20; i < 40; i++) echem.time[i]! += 3600n * 1_000_000_000n;
    const { steps: found } = feed(steps, { echem });
    expect([found.gaps[0], found.gap_duration[0], found.duration[0]]).toEqual([1, 3610, 390 + 3600]);
    expect(found.charge_ampere_hour[0]).toBeCloseTo(380 / 3600, 12);
    expect(feed(steps, { echem }, { with: { gap_factor: 1000 } }).steps.charge_ampere_hour[0]).toBeCloseTo(
      3990 / 3600,
      12,
    );
  });

  test("a record without current or voltage leaves a hole, not a zero", () => {
    const echem = cell([constant(41, 1)]);
    echem.current_ampere[10] = NaN;
    echem.voltage_volt[20] = NaN;
    const { steps: found, state } = feed(steps, { echem });
    expect([...found.kind]).toEqual([CHARGE]);
    expect(found.charge_ampere_hour[0]).toBeCloseTo(380 / 3600, 12);
    expect(found.mean_voltage_volt[0]).toBeCloseTo(3.1, 2);
    expect(state.time.length).toBe(41);
  });

  test("no current at all: one step that nobody knows, or a rest where the cycler says so", () => {
    const echem = cell([{ rows: 3000, current: () => NaN, voltage: () => 3 }]);
    const { steps: found } = feed(steps, { echem }, { rows: 100 });
    expect([...found.kind]).toEqual([-1]);
    expect([found.rows[0], found.charge_ampere_hour[0], found.agreement[0]]).toEqual([3000, NaN, NaN]);
    const resting = feed(steps, { echem: { ...echem, mode: new Uint8Array(3000).fill(3) } }).steps;
    expect([[...resting.kind], resting.charge_ampere_hour[0]]).toEqual([[REST], NaN]);
  });

  test("no voltage: charge, but no energy", () => {
    const { steps: found } = feed(steps, {
      echem: cell([{ rows: 11, current: () => 1, voltage: () => NaN }]),
    });
    expect([found.charge_ampere_hour[0], found.energy_watt_hour[0], found.mean_voltage_volt[0]]).toEqual([
      100 / 3600,
      NaN,
      NaN,
    ]);
  });

  test("the cycler's counts where there are none are refused", () => {
    expect(() => feed(steps, { echem: cell([]) }, { with: { by: "cycler" } })).toThrow(
      /needs step_count, ns or half_cycle.*write by: current/,
    );
  });

  test("none, one and two records", () => {
    expect(feed(steps, { echem: cell([]) }).steps.time.length).toBe(0);
    const one = feed(steps, { echem: cell([constant(1, 1)]) });
    expect([[...one.steps.kind], one.steps.rows[0], one.steps.charge_ampere_hour[0]]).toEqual([
      [CHARGE],
      1,
      NaN,
    ]);
    expect([...one.state.kind]).toEqual([CHARGE]);
    expect(feed(steps, { echem: cell([constant(2, -1)]) }).steps.charge_ampere_hour[0]).toBeCloseTo(
      -10 / 3600,
      15,
    );
  });
});

const part = fc.record({
  rows: fc.integer({ min: 1, max: 15 }),
  ampere: fc.constantFrom(0, 1, -1, 0.001, NaN, 0.5),
});

test("cut, saved and loaded anywhere, not one bit changes; twice the current is twice the charge", () => {
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }), fc.integer({ min: 1, max: 30 }), fc.array(fc.integer({ min: 1, max: 20 })),
      fc.constantFrom("current", "step_count", "dq"),
      (parts, rows, reloadAfter, kind) => {
        const echem = cell(parts.map(({ rows: n, ampere }) => constant(n, ampere)));
        if (kind === "step_count") echem["step_count"] = Int32Array.from(parts.flatMap(({ rows: n }, i) => Array<number>(n).fill(i)));
        if (kind === "dq") echem["dq"] = echem.current_ampere.map((ampere) => ampere * 3);
        const whole = feed(steps, { echem });
        expect(feed(steps, { echem }, { rows, reloadAfter })).toEqual(whole);
        const twice: Echem = { ...echem, current_ampere: echem.current_ampere.map((ampere) => 2 * ampere) };
        if (kind === "dq") twice["dq"] = (echem["dq"] as Float64Array).map((q) => 2 * q);
        const doubled = feed(steps, { echem: twice });
        expect(doubled.steps.charge_ampere_hour?.map((q: number) => q / 2)).toEqual(whole.steps.charge_ampere_hour);
        let total = 0;
        for (const n of whole.steps.rows ?? []) total += n;
        expect(total).toBe(echem.time.length);
      },
    ),
    { numRuns: 150, seed: 5 },
  ); // prettier-ignore
});

describe.runIf(sharedThere)("files of the field", () => {
  // The cycler's own sum over each half cycle, printed to nine digits.
  test.each(["gcpl.mpr", "jdb11-1_c3_gcpl_5cycles_2V-3p8V_C-24_data_C09.mpr", "gcpl.issue_211.mpr"])(
    "%s: charge of every half cycle",
    async (name) => {
      const known = expectedOf(`biologic/${name}`).half_cycles!;
      const { columns, fields } = await echemOf(name);
      const { steps: found } = feed(steps, { echem: columns }, { schema: { echem: fields }, rows: 1000 });
      for (const { t0_s, t1_s, q_end_mAh, rows } of known) {
        const within = [...found.time.keys()].filter(
          (i) => Number(found.start[i]) / 1e9 >= t0_s - 1e-2 && Number(found.time[i]) / 1e9 <= t1_s + 1e-2,
        );
        const sum = (column: Float64Array): number =>
          within.reduce((total, i) => total + (Number.isNaN(column[i]) ? 0 : column[i]!), 0);
        expect(sum(found.rows)).toBe(rows);
        expect(sum(found.charge_ampere_hour) * 1000).toBeCloseTo(q_end_mAh, 8);
      }
    },
  );

  test("a symmetric cell: what current alone tells is what the cycler counted", async () => {
    const { columns, fields } = await echemOf("gcpl.mpr");
    const counted = feed(steps, { echem: columns }, { schema: { echem: fields } }).steps;
    const told = feed(
      steps,
      { echem: columns },
      { schema: { echem: fields }, with: { by: "current" } },
    ).steps;
    expect(told.time).toEqual(counted.time);
    expect(told.kind).toEqual(counted.kind);
    expect(Math.min(...counted.agreement)).toBeGreaterThan(0.99);
  });
});
