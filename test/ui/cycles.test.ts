// What comes again with each cycle: which panels there are, half cycles out of buckets, the last rows before a moment.
import fc from "fast-check";
import { expect, test } from "vitest";
import { code, curve, scalar, type Fields } from "../../runtime/wire/schema.ts";
import type { Request, StreamEntry } from "../../ui/client/types.ts";
import { cyclePanelsOf } from "../../ui/cycle-panels.ts";
import { HalfCycles, curveOf } from "../../ui/half-cycles.ts";
import { keepShape } from "../../ui/keep-shape.ts";
import { choose } from "../../ui/panels.ts";
import { equalSpans } from "../../ui/plot-frame.ts";
import { decadeName, readableQuantity } from "../../ui/readable-numbers.ts";
import { listOf, numberOf, RowHistory } from "../../ui/row-history.ts";
import { fromStart } from "../../ui/stream-start.ts";
import { TraceBuffer } from "../../ui/trace-buffer.ts";
import { FakeClient, START } from "./fake-client.ts";
import { capacityOf, HALF_ms, POINTS } from "./fake-echem.ts";

const MINUTE = 60_000;
/** Answers of the made-up client come in microtasks. */
const answered = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

const entry = (stream: string, fields: Fields, rest: Partial<StreamEntry> = {}): StreamEntry => ({
  stream, epoch: 0, schema: { fields, metadata: {} }, state: "active", derived: true, provisional: false,
  rows: 0, firstTime: NaN, lastTime: NaN, watermark: NaN, ...rest,
}); // prettier-ignore

test("panels are found by the columns of streams", () => {
  const { cyclic, charge, cycle, voltage } = choose(
    new FakeClient({ echem: "alone", history: 65 * MINUTE }).catalogue,
  );
  expect(cyclic).toMatchObject({
    capacity: [{ id: "charge.charge/V(Q)", title: "V against Q" }],
    incremental: [{ stream: "dqdv.curves", live: "dqdv.live", differential: true }],
    impedance: [{
      stream: "cycler.impedance", title: "impedance", fit: "eis.fit",
      resistances: { stream: "eis.spectra", valid: "valid", values: [{ name: "R0", error: "series_resistance_se" }, { name: "Rct" }] },
    }],
    efficiency: [{
      efficiency: { stream: "efficiency.efficiency", error: "coulombic_efficiency_se" },
      capacities: [{ stream: "cycles.cycles", name: "charge" }, { name: "discharge" }],
      bound: { stream: "efficiency.bound", side: true },
    }],
  }); // prettier-ignore
  // Of what is now, not of a cycle that has ended; and the cycler's own voltage.
  expect(charge).toMatchObject({ stream: "charge.charge", column: "charge_ampere_hour" });
  expect(cycle?.stream).toBe("charge.charge");
  expect(voltage?.stream).toBe("cycler.echem");
});

test("without efficiencies the capacities are shown; of two nodes each bears its name; nothing is nothing", () => {
  const sums = { cycle_index: code(), charge_capacity_ampere_hour: scalar("A.h"), discharge_capacity_ampere_hour: scalar("A.h") }; // prettier-ignore
  expect(cyclePanelsOf([entry("c.cycles", sums)]).efficiency).toMatchObject([
    { title: "capacity", capacities: [{ name: "charge" }, { name: "discharge" }] },
  ]);
  const ce = { cycle_index: code(), coulombic_efficiency: scalar("1"), capacity_ampere_hour: scalar("A.h") };
  const two = cyclePanelsOf([entry("a.cycles", sums), entry("b.cycles", sums), entry("x.out", ce), entry("y.out", ce)]); // prettier-ignore
  expect(two.efficiency.map(({ title }) => title)).toEqual(["efficiency, x", "efficiency, y"]);
  // Whose capacities are whose, nobody says: those beside the efficiency are.
  expect(two.efficiency[0]!.capacities).toMatchObject([{ stream: "x.out", name: "capacity" }]);
  expect(cyclePanelsOf([])).toEqual({ capacity: [], incremental: [], impedance: [], efficiency: [] });
  // A spectrum made of the measured one comes after it, under its own name.
  const z = { index: code(), electrode: code(), frequency: curve("Hz"), z_real: curve("Ohm"), z_imaginary: curve("Ohm") }; // prettier-ignore
  expect(
    cyclePanelsOf([entry("a.corrected", z), entry("c.impedance", z, { derived: false })]).impedance,
  ).toMatchObject([{ title: "impedance" }, { title: "impedance, a.corrected" }]);
});

/** Rows of one half cycle after another as a server lays them out, so many a bucket. */
function bucketsOf(rows: readonly { half: number; kind: number; q: number; v: number }[], each: number): TraceBuffer {
  const buffer = new TraceBuffer(rows.length);
  const n = Math.ceil(rows.length / each);
  const column = (of: (row: (typeof rows)[number]) => number) => {
    const [min, max, count] = [new Float64Array(n).fill(NaN), new Float64Array(n).fill(NaN), new Uint32Array(n)];
    rows.forEach((row, i) => {
      const k = Math.floor(i / each);
      min[k] = count[k] === 0 ? of(row) : Math.min(min[k]!, of(row));
      max[k] = count[k] === 0 ? of(row) : Math.max(max[k]!, of(row));
      count[k]!++;
    });
    return { min, max, count };
  };
  const columns = {
    voltage_volt: column(({ v }) => v), half_cycle_charge_ampere_hour: column(({ q }) => q), cycle_index: column(({ half }) => Math.floor(half / 2)),
    half_cycle_index: column(({ half }) => half), kind: column(({ kind }) => kind),
  };
  buffer.push({ kind: "trace", time: Float64Array.from({ length: n }, (_, i) => i), columns, reset: true, dropped: 0 });
  return buffer;
} // prettier-ignore

test("a half cycle out of buckets: on its curve, without the rest after it, its capacity that of its last row", () => {
  const options = fc.record({
    rows: fc.integer({ min: 20, max: 200 }), each: fc.integer({ min: 1, max: 7 }), rest: fc.integer({ min: 0, max: 12 }),
    capacity: fc.double({ min: 1e-6, max: 5, noNaN: true }),
  }); // prettier-ignore
  fc.assert(
    fc.property(options, ({ rows, each, rest, capacity }) => {
      const list = [0, 1, 2].flatMap((half) => [
        ...Array.from({ length: rows }, (_, i) => {
          const q = capacity * ((i + 1) / rows);
          return { half, kind: 1 + (half % 2), q, v: half % 2 ? 4 - q / capacity : 3 + q / capacity };
        }),
        ...Array.from({ length: rest }, () => ({ half, kind: 0, q: capacity, v: 3.5 })),
      ]);
      const buffer = bucketsOf(list, each);
      for (const half of [0, 1, 2]) {
        const curve = curveOf(buffer, half)!;
        expect(curve).toMatchObject({ half, cycle: half >> 1, charging: half % 2 === 0, most_Ah: capacity });
        curve.capacity_Ah.forEach((q, i) => {
          const v = half % 2 ? 4 - q / capacity : 3 + q / capacity;
          expect(curve.voltage_V[i]).toBeCloseTo(v, 9);
          if (i > 0) expect(q).toBeGreaterThanOrEqual(curve.capacity_Ah[i - 1]!);
        });
      }
      expect(curveOf(buffer, 3)).toBeUndefined();
    }),
    { numRuns: 100, seed: 5 },
  );
});

test("keeps least and greatest of a long curve, and where it breaks", () => {
  const values = Float64Array.from({ length: 10_000 }, (_, i) => Math.sin(i / 300));
  values[4321] = 50;
  values[777] = -50;
  values[9000] = NaN;
  const kept = keepShape(values, 400);
  expect(kept.length).toBeLessThanOrEqual(400);
  for (const i of [0, 777, 4321, 9000, 9999]) expect(kept).toContain(i);
  expect([...kept].sort((a, b) => a - b)).toEqual(kept);
  expect(keepShape(values.subarray(0, 400), 400)).toEqual(Array.from({ length: 400 }, (_, i) => i));
  expect(keepShape([], 400)).toEqual([]);
});

test("half cycles: the running one grows, the one before stays, those of the past are asked for when they are wanted", async () => {
  const client = new FakeClient({ echem: "alone", history: 65 * MINUTE });
  const halves = new HalfCycles({ client, stream: "charge.charge", first: START, onData: () => {} });
  expect(halves.newest).toBe(-1);
  expect(halves.asking).toBe(true);
  await answered();
  expect([halves.first, halves.newest]).toEqual([0, 6]);
  expect(halves.at(START + 25 * MINUTE)).toBe(2);
  expect(halves.curve(6)).toBeUndefined();
  expect(halves.curve(9)).toBeUndefined();
  await answered();
  const early = halves.curve(6)!;
  expect(early.most_Ah / capacityOf(6)).toBeCloseTo(5 / 9, 2);
  client.advance(2 * MINUTE);
  expect(halves.curve(6)!.most_Ah / capacityOf(6)).toBeCloseTo(7 / 9, 2);
  expect(halves.curve(6)!.time.length).toBeLessThan(4 * 400);

  expect(halves.curve(1)).toBeUndefined();
  await answered();
  expect(halves.curve(1)).toMatchObject({ half: 1, cycle: 0, charging: false, most_Ah: capacityOf(1) });
  const asked = client.asked.length;
  halves.curve(1);
  expect(client.asked.length).toBe(asked);

  // It ends: what was seen of it stands until its own answer is there.
  client.advance(4 * MINUTE);
  expect(halves.newest).toBe(7);
  halves.curve(7);
  expect(halves.curve(6)!.most_Ah).toBeGreaterThan(0);
  await answered();
  expect(halves.curve(6)!.most_Ah).toBe(capacityOf(6));
  expect(halves.curve(7)!.charging).toBe(false);
  halves.close();
  expect(client.subscriptions).toBe(0);
});

test("the last rows before a moment, and the first; older ones are asked for once", async () => {
  const client = new FakeClient({ echem: "alone", history: 60 * 10 * MINUTE + MINUTE });
  const lossless = (): Request[] => client.asked.filter((request) => request.lossless);
  const history = new RowHistory<number>({
    client, stream: "dqdv.curves", columns: ["half_cycle_index", "voltage"], count: "half_cycle_index", first: START + HALF_ms, wanted: 4,
    take: (frame, at) => (listOf(frame, at, "voltage").length === POINTS ? numberOf(frame, at, "half_cycle_index") : undefined),
    onData: () => {},
  }); // prettier-ignore
  const of = (rows: readonly { value: number }[]): number[] => rows.map(({ value }) => value);
  expect(history.before(undefined)).toEqual([]);
  await answered();
  await answered();
  expect(of(history.before(undefined))).toEqual([56, 57, 58, 59]);
  client.advance(20 * MINUTE);
  expect(of(history.before(undefined))).toEqual([58, 59, 60, 61]);
  expect(lossless().length).toBe(1);

  const moment = START + 205 * MINUTE; // half cycle 20 goes on
  history.before(moment);
  await answered();
  expect(of(history.before(moment))).toEqual([16, 17, 18, 19]);
  expect(of(history.before(moment + 1000))).toEqual([16, 17, 18, 19]);
  expect(lossless().length).toBe(2);
  history.first();
  await answered();
  expect(of(history.first())).toEqual([0, 1, 2, 3]);
  expect(of(history.before(START + 15 * MINUTE))).toEqual([]);
  await answered();
  expect(of(history.before(START + 15 * MINUTE))).toEqual([0]);
  history.close();
  expect(client.subscriptions).toBe(0);
});

test("a feed waits for the first row, and begins anew with an epoch", () => {
  let listener = (): void => {};
  const catalogue = new Map<string, StreamEntry>();
  const client = { catalogue, onChange: (one: () => void) => ((listener = one), () => {}) };
  const log: string[] = [];
  const stop = fromStart(client, "a.b", (first) => {
    log.push(`open ${first}`);
    return { close: () => void log.push("close") };
  });
  catalogue.set("a.b", entry("a.b", {}));
  listener();
  catalogue.set("a.b", entry("a.b", {}, { firstTime: 5 }));
  listener();
  listener();
  catalogue.set("a.b", entry("a.b", {}, { firstTime: 9, epoch: 1 }));
  listener();
  stop();
  expect(log).toEqual(["open 4", "close", "open 8", "close"]);
});

test("numbers as an electrochemist reads them, and a unit as long on both axes", () => {
  expect(readableQuantity(8.795e-4, "A.h")).toBe("879.5 µAh");
  expect(readableQuantity(0.0123, "A.h/V", 3)).toBe("12.3 mAh/V");
  expect([-1, 0, 3, 6].map((n) => decadeName(n, "Hz"))).toEqual(["100 mHz", "1 Hz", "1 kHz", "1 MHz"]);
  const [xs, ys] = equalSpans({ left: 0, right: 200, top: 0, bottom: 100 }, [0, 1], [0, 1]);
  expect([xs[1] - xs[0], ys[1] - ys[0]]).toEqual([2, 1]);
});
