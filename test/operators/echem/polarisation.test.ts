import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { correlatedError } from "../../../operators/echem/correlated-error.ts";
import { CHARGE, DISCHARGE } from "../../../operators/echem/current-state.ts";
import { freshRecords, keep, resistanceAt } from "../../../operators/echem/half-cycle-records.ts";
import { polarisation } from "../../../operators/echem/polarisation.ts";
import { timesOf } from "../../../sources/echem/test-time.ts";
import { feed } from "../../helpers/feed.ts";
import { echemOf, sharedThere } from "./field-files.ts";
import { chain } from "./made-cells.ts";
import { normals } from "./made-spectra.ts";

const LEARNING = -1, NO_FALL = 0, FALL = 1; // prettier-ignore
const HOUR_S = 3600;

interface Half {
  readonly hours: number;
  readonly sign: 1 | -1;
  /** Apparent resistance, by seconds since the half cycle's start. */
  readonly R: (t_s: number, record: number) => number;
  readonly rest_s?: number;
}
const CURRENT_A = 1e-3;

/** Rows of `charge`, each minute. */
function halves(parts: readonly Half[], dt_s = 60) {
  const rows: [t: number, V: number, I: number, kind: number, index: number][] = [];
  let t0 = 0;
  for (const [index, { hours, sign, R, rest_s = 0 }] of parts.entries()) {
    const n = Math.round((hours * HOUR_S) / dt_s);
    for (let i = 0; i < n; i++) rows.push([t0 + i * dt_s, sign * CURRENT_A * R(i * dt_s, i), sign * CURRENT_A, sign > 0 ? CHARGE : DISCHARGE, index]);
    t0 += n * dt_s;
    for (let t = 0; t < rest_s; t += dt_s) rows.push([t0 + t, 0, 0, 0, index]);
    t0 += rest_s;
  }
  return {
    time: BigInt64Array.from(rows, ([t]) => BigInt(Math.round(t * 1e9))),
    voltage_volt: Float64Array.from(rows, ([, V]) => V),
    current_ampere: Float64Array.from(rows, ([, , I]) => I),
    kind: Int32Array.from(rows, ([, , , kind]) => kind),
    half_cycle_index: Int32Array.from(rows, ([, , , , index]) => index),
  };
} // prettier-ignore

const alternating = (count: number, of: (index: number) => Half["R"], rest: Partial<Half> = {}): Half[] =>
  Array.from({ length: count }, (_, k) => ({ hours: 12, sign: k % 2 ? 1 : -1, R: of(k), ...rest }));
const run = (parts: readonly Half[], options: Record<string, unknown> = {}, rest = {}) =>
  feed(polarisation, { charge: halves(parts) }, { with: options, ...rest });

describe("ground truth", () => {
  // 100 Ohm, 2 more on charge, rising by 0.5 Ohm/h, with an early hump of 6 Ohm
  const R = (k: number) => (t: number) => 100 + (k % 2 ? 2 : 0) + (0.5 * t) / HOUR_S + 6 * Math.exp(-(((t / HOUR_S - 2) / 0.7) ** 2)); // prettier-ignore

  test.each([1000, 37, 1])("every half cycle, in batches of %i", (rows) => {
    const { half_cycles: found, faults } = run(alternating(rows === 1 ? 2 : 4, R), {}, { rows });
    expect(faults).toEqual([]);
    const n = found.time.length;
    expect([...found.half_cycle_index]).toEqual([0, 1, 2, 3].slice(0, n));
    expect([...found.kind]).toEqual([DISCHARGE, CHARGE, DISCHARGE, CHARGE].slice(0, n));
    expect([...found.complete]).toEqual([1, 1, 1, 0].slice(4 - n));
    expect([...found.start].map(Number)).toEqual([0, 12, 24, 36].slice(0, n).map((h) => h * HOUR_S * 1e9));
    for (let k = 0; k < n; k++) {
      const extra = k % 2 ? 2e-3 : 0;
      expect(found.current_ampere[k]).toBeCloseTo(k % 2 ? 1e-3 : -1e-3, 12);
      expect(found.end_overpotential[k]).toBeCloseTo(0.1 + extra + 0.5e-3 * (12 - 1 / 60), 7);
      expect(found.slope[k]).toBeCloseTo(0.5e-3, 8);
      // the second half's mean is 9.04 h in; the hump's top stands on 1 Ohm of slope
      expect(Math.abs(found.arc_height[k] - (6e-3 + 1e-3 - 0.5e-3 * 9.03))).toBeLessThan(5e-5);
      // mean of hump: 6 × 0.7 √π / 11.9 h
      expect(Math.abs(found.overpotential[k] - (0.1 + extra + 0.5e-3 * 6.03 + (6e-3 * 0.7 * Math.sqrt(Math.PI)) / 11.9))).toBeLessThan(5e-5);
      expect(found.resistance[k] * 1e-3).toBeCloseTo(found.overpotential[k], 12);
      if (k > 0) expect(found.asymmetry[k]).toBeCloseTo(2e-3, 10);
    }
    expect(found.asymmetry[0]).toBeNaN();
  });

  test("blocks: against the half cycle of the same sign before, at the same phase", () => {
    const grown = (k: number) => (t: number) => R(k)(t) * (1 + 0.01 * Math.floor(k / 2)) + (k === 4 && t > 6 * HOUR_S ? 3 : 0);
    const { blocks } = run(alternating(5, grown), { settle: "0 s" });
    expect(blocks.time.length).toBe(60);
    for (let i = 0; i < 24; i++) expect([blocks.residual[i], blocks.against[i]]).toEqual([NaN, -1]);
    for (let i = 24; i < 60; i++) {
      const k = Math.floor(i / 12);
      expect([blocks.half_cycle_index[i], blocks.against[i], blocks.records[i]]).toEqual([k, k - 2, 60]);
      const expected = 0.01 * R(k)(blocks.phase[i]) + (k === 4 && blocks.phase[i] > 6 * HOUR_S ? 3 : 0);
      expect(Math.abs(blocks.residual[i] - expected)).toBeLessThan(0.06);
    }
    expect([...blocks.phase].slice(0, 2)).toEqual([1770, 5370]);
    expect(Number(blocks.time[0]) / 1e9).toBe(3540);
  });

  test("rests and what comes just after a current's start do not count; a half cycle's row has the time of its last record", () => {
    const { half_cycles: found, blocks } = run(alternating(3, () => (t) => (t < 120 ? -50 : 100), { rest_s: 1800 }));
    expect([...found.overpotential].map((V) => Math.abs(V - 0.1) < 1e-12)).toEqual([true, true, true]);
    expect(found.duration[0]).toBe(12 * HOUR_S - 60);
    expect(found.records[0]).toBe(715);
    expect(Number(found.time[0]) / 1e9).toBe(12 * HOUR_S + 1740);
    expect(Math.max(...blocks.residual.filter(Number.isFinite).map(Math.abs))).toBeLessThan(1e-9);
  });
}); // prettier-ignore

test("where resistance has only risen, its noise is no fall once it stands still; a fall is", () => {
  const normal = normals(31);
  const R = (k: number) => (t: number) => (k < 4 ? 100 + t / 100 : 500 - (k === 6 && t > 6 * HOUR_S ? 2 : 0)) + 0.1 * normal();
  const { half_cycles: found, blocks } = run(alternating(7, R));
  expect(found.fastest_fall_before[6]).toBeLessThan(0.4);
  expect([...found.fall]).toEqual([LEARNING, LEARNING, NO_FALL, NO_FALL, NO_FALL, NO_FALL, FALL]);
  const indices = [...blocks.half_cycle_index].filter((_, i) => blocks.fall[i] === FALL);
  expect(new Set(indices)).toEqual(new Set([6]));
}); // prettier-ignore

describe("standard errors", () => {
  test.each([0, 0.6, 0.9])("know that noise lasts: AR(1) of %f", (phi) => {
    const normal = normals(9);
    const [runs, n] = [300, 400];
    let [squares, hits] = [0, 0];
    for (let run = 0; run < runs; run++) {
      let x = normal();
      const values = Float64Array.from({ length: n }, () => (x = phi * x + Math.sqrt(1 - phi * phi) * normal()));
      const mean = values.reduce((sum, value) => sum + value, 0) / n;
      const se = correlatedError(new Float64Array(n).fill(1 / n), values.map((value) => value - mean), 1);
      squares += (mean / se) ** 2;
      hits += Math.abs(mean) < 1.96 * se ? 1 : 0;
    }
    expect(Math.sqrt(squares / runs)).toBeGreaterThan(0.85);
    expect(Math.sqrt(squares / runs)).toBeLessThan(1.2);
    expect(hits / runs).toBeGreaterThan(0.9);
  });

  test("cover the truth of mean, slope, end and resistance", () => {
    const normal = normals(4);
    let x = 0;
    const parts = alternating(60, () => (t) => 100 + (0.5 * t) / HOUR_S + (x = 0.8 * x + 0.6 * normal()), { hours: 6 });
    const { half_cycles: found } = run(parts);
    const middle = (300 + 6 * HOUR_S - 60) / 2 / HOUR_S;
    for (const [name, truth] of [["overpotential", 0.1 + 0.5e-3 * middle], ["slope", 0.5e-3], ["end_overpotential", 0.1 + 0.5e-3 * (6 - 1 / 60)], ["resistance", 100 + 0.5 * middle]] as const) {
      const z = Array.from(found[name] as Float64Array, (value, k) => (value - truth) / found[`${name}_se`][k]);
      const size = Math.sqrt(z.reduce((sum, one) => sum + one * one, 0) / z.length);
      expect(size).toBeGreaterThan(0.7);
      expect(size).toBeLessThan(1.5);
    }
    const white = run([{ hours: 12, sign: 1, R: () => 100 + 0.3 * normal() }]).half_cycles;
    expect(Math.abs(white.noise[0] / 0.3e-3 - 1)).toBeLessThan(0.15);
  });
}); // prettier-ignore

describe("falls", () => {
  /** From the third half cycle on a short of 5 Ohm in 100 for some minutes. */
  const shorted = (k: number, from: number, records: number, ohm = 5) => (half: number) => (t: number, i: number) =>
    100 + 0.1 * Math.sin(i * 1.7 + half) + 3 * Math.exp(-t / 1800) - (half === k && i >= from && i < from + records ? ohm : 0);

  test("one that is faster than activation is told, where it happens, and teaches nothing", () => {
    const { half_cycles: found, blocks } = run(alternating(7, shorted(4, 400, 10)));
    expect([...found.fall]).toEqual([LEARNING, LEARNING, NO_FALL, NO_FALL, FALL, NO_FALL, NO_FALL]);
    expect(Math.abs(found.fastest_fall[4] - 5)).toBeLessThan(0.3);
    expect(found.fastest_fall_before[5]).toBe(found.fastest_fall_before[4]);
    const told = [...blocks.fall.keys()].filter((i) => blocks.fall[i] === FALL);
    expect(told.map((i) => [blocks.half_cycle_index[i], Math.floor(blocks.phase[i] / HOUR_S)])).toEqual([[4, 6]]);
    // The half cycle after next is held against the one before the short.
    expect([...blocks.against].filter((_, i) => blocks.half_cycle_index[i] === 6)).toEqual(Array(12).fill(2));
  });

  test("one odd record is none, nor is activation that comes again, nor a rise", () => {
    expect([...run(alternating(6, shorted(4, 400, 1))).half_cycles.fall.slice(2)]).toEqual([0, 0, 0, 0]);
    expect([...run(alternating(6, shorted(4, 400, 10, -5))).half_cycles.fall.slice(2)]).not.toContain(LEARNING);
    const activated = (half: number) => (t: number, i: number) => shorted(-1, 0, 0)(half)(t, i) + 10 * Math.exp(-t / 600);
    expect([...run(alternating(6, activated)).half_cycles.fall.slice(2)]).toEqual([0, 0, 0, 0]);
  });
}); // prettier-ignore

describe("what is missing, and how much is kept", () => {
  test("none, one, and few records; no voltage; no current", () => {
    expect(run([]).half_cycles.time.length).toBe(0);
    const few = run([{ hours: 0.2, sign: 1, R: () => 100 }]);
    expect([few.half_cycles.time.length, few.half_cycles.overpotential[0], few.half_cycles.records[0]]).toEqual([1, NaN, 7]);
    const charge = halves(alternating(2, () => () => 100));
    charge.voltage_volt.fill(NaN, 0, 720);
    charge.current_ampere.fill(NaN, 720, 800);
    const { half_cycles: found } = feed(polarisation, { charge });
    expect([[...found.half_cycle_index], Number(found.start[0]) / 1e9]).toEqual([[1], 800 * 60]);
    const idle = halves(alternating(1, () => () => 100));
    idle.half_cycle_index.fill(-1);
    expect(feed(polarisation, { charge: idle }).half_cycles.time.length).toBe(0);
  });

  test("of more records than have room every second counts, over the whole half cycle", () => {
    const { half_cycles: found, faults } = run(alternating(2, () => (t) => 100 + (0.5 * t) / HOUR_S), { max_records: 100, block: "30 min" });
    expect(faults.map(({ what }: { what: string }) => what)).toEqual([
      "half cycle 0 has more than 100 records; of these every second counts, or fewer (max_records)",
      "half cycle 1 has more than 100 records; of these every second counts, or fewer (max_records)",
    ]);
    expect(found.slope[0]).toBeCloseTo(0.5e-3, 9);
    expect(found.records[0]).toBe(715);
    expect(run(alternating(1, () => () => 100), { max_records: 100, block: "4 h" }).faults.map(({ what }: { what: string }) => what)).toContain(
      "a block of half cycle 0 has more than 100 records; those before count (max_records, or a shorter block)",
    );
  });

  test.each([100, 101])("records are forgotten evenly, with room for %i", (most) => {
    const records = freshRecords(1, 0n);
    for (let i = 0; i < 1000; i++) keep(records, i, i, 1, most);
    expect(records.t_s.length).toBeLessThan(most);
    expect(records.t_s).toEqual(records.t_s.map((_, k) => k * records.stride));
    expect(records.t_s.at(-1)).toBeGreaterThan(1000 - 2 * records.stride);
    expect([resistanceAt(records, 500.5, 1).R_Ohm, resistanceAt(records, -1, 40).R_Ohm, resistanceAt(records, 1001, 40).R_Ohm]).toEqual([500.5, NaN, NaN]);
  });
}); // prettier-ignore

test("cut, saved and loaded anywhere, not one bit changes; twice the voltage is twice the polarisation", () => {
  const half = fc.record({ hours: fc.double({ min: 0.1, max: 1.5, noNaN: true }), rest_s: fc.constantFrom(0, 120), sign: fc.constantFrom(1 as const, -1 as const) });
  fc.assert(
    fc.property(fc.array(half, { maxLength: 6 }), fc.integer({ min: 1, max: 60 }), fc.array(fc.integer({ min: 1, max: 9 })), (parts, rows, reloadAfter) => {
      const normal = normals(parts.length);
      const charge = halves(parts.map((part) => ({ ...part, R: () => 100 + normal() })));
      const options = { with: { block: "10 min", fall_margin: 1.2 } };
      const whole = feed(polarisation, { charge }, options);
      expect(feed(polarisation, { charge }, { ...options, rows, reloadAfter })).toEqual(whole);
      const double = feed(polarisation, { charge: { ...charge, voltage_volt: charge.voltage_volt.map((V) => 2 * V) } }, options);
      for (const name of ["overpotential", "resistance", "noise", "arc_height"])
        expect(double.half_cycles[name]?.map((value: number) => value / 2)).toEqual(whole.half_cycles[name]);
      expect(double.half_cycles.fall).toEqual(whole.half_cycles.fall);
    }),
    { numRuns: 40, seed: 8 },
  );
}); // prettier-ignore

/** Hours at which a CUSUM (k = 3, h = 8) on the residuals of blocks goes off, after three days that settle and six that calibrate. */
function downward(blocks: { time: BigInt64Array; residual: Float64Array }): number[] {
  const hour = Array.from(blocks.time, (time) => Number(time) / 1e9 / HOUR_S);
  const clean = [...blocks.residual].filter((x, i) => Number.isFinite(x) && hour[i]! > 72 && hour[i]! < 216).sort((a, b) => a - b);
  const middle = clean[clean.length >> 1]!;
  const spread = 1.4826 * clean.map((x) => Math.abs(x - middle)).sort((a, b) => a - b)[clean.length >> 1]!;
  const found: number[] = [];
  let sum = 0;
  for (const [i, x] of blocks.residual.entries()) {
    if (!Number.isFinite(x) || hour[i]! <= 72) continue;
    sum = Math.max(0, sum - (x - middle) / spread - 3);
    if (sum <= 8) continue;
    found.push(hour[i]!);
    sum = 0;
  }
  return found;
} // prettier-ignore

const soft = new URL("../../../../shared/data/echem/derived/symmetric_softshort_a.csv", import.meta.url);

describe.runIf(sharedThere)("files of the field", () => {
  test("gcpl.mpr: 32 half cycles of a healthy symmetric cell, no fall among them", async () => {
    const { columns, fields } = await echemOf("gcpl.mpr");
    const { charge } = chain(columns, { fields });
    const { half_cycles: found, blocks, faults } = feed(polarisation, { charge }, { rows: 5000 });
    expect(faults).toEqual([]);
    // the cycler's index jumps from 0 to 2: there are 32 that it counts as half cycles, of 12 h each
    expect(found.time.length).toBe(32);
    expect(found.duration[5] / HOUR_S).toBeCloseTo(12, 2);
    expect([...found.kind]).toEqual(Array.from({ length: 32 }, (_, k) => (k % 2 ? CHARGE : DISCHARGE)));
    expect([...found.fall]).toEqual([LEARNING, LEARNING, ...Array(30).fill(NO_FALL)]);
    expect(found.end_overpotential[0]).toBeCloseTo(0.106, 3);
    expect(Math.abs(found.end_overpotential[31] - 0.112)).toBeLessThan(0.003);
    // of a cycle
    const rise = (found.resistance[29] - found.resistance[9]) / 10;
    expect(Math.abs(rise - 51)).toBeLessThan(5);
    for (let k = 3; k < 31; k++) expect(found.resistance_se[k]).toBeLessThan(10);
    expect(blocks.time.length).toBe(384);
    expect([...blocks.fall]).not.toContain(FALL);
    expect(downward(blocks)).toEqual([]);
  });

  test.runIf(existsSync(soft))("symmetric_softshort_a.csv: the first short is told within the hour, and most of them; none before", () => {
    const rows = readFileSync(soft, "utf8").trim().split("\n").slice(1).map((line) => line.split(",").map(Number));
    const truth = JSON.parse(readFileSync(new URL("symmetric_softshort_a.truth.json", soft), "utf8")) as { first_event_s: number; events: { t0_s: number; t1_s: number; G_S: number }[] };
    const column = (k: number): Float64Array => Float64Array.from(rows, (row) => row[k]!);
    const echem = { time: timesOf(0n, column(0)), current_ampere: column(1), voltage_volt: column(2) };
    const { charge } = chain(echem);
    const { blocks, half_cycles } = feed(polarisation, { charge });
    const end_s = Array.from(blocks.time as BigInt64Array, (time) => Number(time) / 1e9);
    const told = end_s.filter((_, i) => blocks.fall[i] === FALL);
    expect(downward(blocks)[0]! * HOUR_S - truth.first_event_s).toBeGreaterThan(0);
    expect(downward(blocks)[0]! * HOUR_S - truth.first_event_s).toBeLessThan(HOUR_S);
    expect(told[0]!).toBeGreaterThan(truth.first_event_s);
    expect(told[0]! - truth.first_event_s).toBeLessThan(HOUR_S);
    const first = Number(half_cycles.time[[...half_cycles.fall].indexOf(FALL)]) / 1e9;
    expect(first - truth.first_event_s).toBeLessThan(12 * HOUR_S);
    const large = truth.events.filter(({ G_S }) => G_S >= 5e-6);
    expect(large.length).toBe(106);
    const found = large.filter(({ t0_s, t1_s }) => end_s.some((end, i) => blocks.fall[i] === FALL && end >= t0_s && (end_s[i - 1] ?? 0) <= t1_s));
    expect(found.length).toBeGreaterThanOrEqual(100);
    // Hours with a fall and no short in them.
    const wrong = end_s.filter((end, i) => blocks.fall[i] === FALL && !truth.events.some(({ t0_s, t1_s }) => t0_s <= end && t1_s >= (end_s[i - 1] ?? 0)));
    expect(wrong.length).toBe(0);
  });
}); // prettier-ignore
