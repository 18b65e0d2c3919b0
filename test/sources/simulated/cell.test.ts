import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Columns, ListColumn, Schema, SourceItem } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { simulatedCell } from "../../../sources/simulated/cell.ts";
import {
  SCENARIO_NAMES,
  scenarioOf,
  type EventName,
  type ScenarioName,
} from "../../../sources/simulated/scenarios.ts";
import { World } from "../../../sources/simulated/world.ts";

async function items(given: Record<string, unknown>, until = Infinity): Promise<SourceItem[]> {
  const { config, problems } = readConfig(simulatedCell.config, given);
  expect(problems).toEqual([]);
  const context = {
    signal: new AbortController().signal,
    now: () => 0n,
    timezone: "UTC",
    timezoneAssumed: false,
    directory: "",
  };
  const all: SourceItem[] = [];
  for await (const item of simulatedCell.open(config, context) as AsyncIterable<SourceItem>) {
    if (all.push(item) >= until) break;
  }
  return all;
}

/** Bytes of each port's columns, one after the other. */
async function bytesByPort(given: Record<string, unknown>): Promise<Record<string, string>> {
  const parts: Record<string, Buffer[]> = {};
  for (const { rows = {} } of await items(given)) {
    for (const [port, columns] of Object.entries(rows)) {
      for (const column of Object.values(columns as Columns)) {
        const { buffer, byteOffset, byteLength } = (
          "offsets" in column ? (column as ListColumn).values : column
        ) as Float64Array;
        (parts[port] ??= []).push(Buffer.from(buffer, byteOffset, byteLength));
      }
    }
  }
  return Object.fromEntries(
    Object.entries(parts).map(([port, all]) => [port, Buffer.concat(all).toString("base64")]),
  );
}

const column = (all: readonly SourceItem[], port: string, name: string): number[] =>
  all.flatMap(({ rows = {} }) => [...(((rows[port] as Columns | undefined)?.[name] ?? []) as Float64Array)]);
const schemaOf = (all: readonly SourceItem[], port: string): Schema => all[0]!.schema![port]!;

/** A few minutes with every instrument. */
const SHORT = { duration: "0.04 h", topography_interval: "20 s", topography_size: 16, radiograph_rows: 24, radiograph_columns: 32, map_columns: 8, map_rows: 8 }; // prettier-ignore

describe("the same each time", () => {
  const short = bytesByPort(SHORT);

  test("a seed gives the same bytes, another seed others", async () => {
    const [one, again, other] = await Promise.all([
      short,
      bytesByPort(SHORT),
      bytesByPort({ ...SHORT, seed: 2 }),
    ]);
    expect(Object.keys(one!).sort()).toEqual(Object.keys(simulatedCell.output).sort());
    expect(again).toEqual(one);
    for (const port of Object.keys(one!)) expect(other![port]).not.toBe(one![port]);
  });

  test.each([
    ["echem", { echem_rate: "3 Hz" }],
    ["curves", { curve_rate: "1 Hz" }],
    ["frames", { projection_rate: "1 Hz" }],
    ["topography", { topography_interval: "30 s" }],
    ["radiographs", { radiograph_interval: "4 s" }],
  ])("another cadence of %s changes no byte of the others", async (port, change) => {
    const before = { ...(await short) };
    const after = await bytesByPort({ ...SHORT, ...change });
    expect(after[port]).not.toBe(before[port]);
    delete before[port];
    delete after[port];
    expect(after).toEqual(before);
  });

  test("leaving instruments out changes nothing in those that stay", async () => {
    const all = await short;
    const few = await bytesByPort({ ...SHORT, instruments: ["force", "curves"] });
    expect(few).toEqual({ curves: all["curves"], force: all["force"] });
  });
});

describe("rows", () => {
  test("have the columns that the definition names, in time order, and keep the watermark's promise", async () => {
    const property = fc.asyncProperty(
      fc.constantFrom(...SCENARIO_NAMES),
      fc.nat(1000),
      async (scenario, seed) => {
        const all = await items({
          ...SHORT,
          scenario,
          seed,
          onset_at: "0.03 h",
          drops: 0.05,
          ...("abuse" in scenarioOf(scenario) || scenario === "sei" ? { onset_at: 0 } : {}),
        });
        const last: Record<string, bigint> = {};
        let watermark = -(2n ** 63n);
        for (const item of all) {
          for (const [port, columns] of Object.entries(item.rows ?? {}) as [string, Columns][]) {
            const { fields } = schemaOf(all, port);
            expect(Object.keys(columns).sort()).toEqual([...Object.keys(fields), "time"].sort());
            for (const time of columns.time) {
              expect(time > (last[port] ?? -1n)).toBe(true);
              expect(time >= watermark).toBe(true);
              last[port] = time;
            }
          }
          watermark = item.watermark!;
        }
      },
    );
    await fc.assert(property, { numRuns: 6, seed: 1 });
  });

  test("the first item names the schema, with sizes, before any row", async () => {
    const all = await items({ ...SHORT, projection_rows: 2, projection_columns: 40 }, 1);
    expect(all[0]!.rows).toBeUndefined();
    expect(schemaOf(all, "frames").fields["data"]).toMatchObject({
      shape: [2, 40],
      type: "u16",
      unit: "{count}",
    });
    expect(schemaOf(all, "topography").metadata).toMatchObject({
      pixel_size_x: String(0.5e-6 / 16),
      time_basis: "absolute",
    });
    expect(schemaOf(all, "curves").metadata).toMatchObject({ grid_columns: "8", grid_size_x: "5e-7" });
  });

  test("come late by each instrument's own delay, so that streams arrive out of step", async () => {
    const all = await items(SHORT);
    const third = all[3]!.rows as Record<string, Columns>;
    const newest = (port: string): bigint => third[port]!.time.at(-1)!;
    expect(newest("echem")).toBeGreaterThan(newest("curves"));
  });

  test("lost rows are missing, and said to be", async () => {
    const whole = await items({ ...SHORT, drops: 0, instruments: ["force"] });
    const some = await items({ ...SHORT, drops: 0.3, instruments: ["force"] });
    const [n, m] = [whole, some].map((all) => column(all, "force", "force").length);
    const lost = some.flatMap(({ faults = [] }) => faults).reduce((sum, { count = 1 }) => sum + count, 0);
    expect(n).toBe(72);
    expect(lost).toBeGreaterThan(10);
    expect(m! + lost).toBe(72);
    expect(some.flatMap(({ faults = [] }) => faults)[0]!.what).toMatch(/force: \d+ rows were lost/);
  });

  test("the tomograph begins with darks and flats, then turns without end", async () => {
    const all = await items({ ...SHORT, instruments: ["frames"], drops: 0 });
    const keys = column(all, "frames", "image_key");
    expect(keys.slice(0, 14)).toEqual([2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    const angles = column(all, "frames", "rotation_angle").slice(12);
    angles.forEach((angle, k) => expect(angle).toBeCloseTo(1.5 * k, 9));
    const data = column(all, "frames", "data");
    const mean = (from: number, to: number): number => {
      const part = data.slice(from * 512, to * 512);
      return part.reduce((a, b) => a + b) / part.length;
    };
    expect(mean(0, 4)).toBeCloseTo(100, 0);
    expect(mean(4, 12) - 100).toBeGreaterThan(17000);
  });

  test("without gas the sum over each projection stays as it is, within its noise", async () => {
    const all = await items({ ...SHORT, instruments: ["frames"], drops: 0 });
    const data = column(all, "frames", "data");
    const frames = Array.from({ length: data.length / 512 }, (_, k) => data.slice(k * 512, (k + 1) * 512));
    const average = (of: number[][]): number[] =>
      of[0]!.map((_, i) => of.reduce((sum, f) => sum + f[i]!, 0) / of.length);
    const [dark, flat] = [average(frames.slice(0, 4)), average(frames.slice(4, 12))];
    const sums = frames
      .slice(12)
      .map((f) => f.reduce((sum, n, i) => sum - Math.log((n - dark[i]!) / (flat[i]! - dark[i]!)), 0) / 4);
    const mean = sums.reduce((a, b) => a + b) / sums.length;
    const deviation = Math.sqrt(sums.reduce((sum, s) => sum + (s - mean) ** 2, 0) / sums.length);
    expect(mean).toBeGreaterThan(30);
    // flicker moves a whole frame by 0.1 % in each of 128 columns; Poisson noise adds about as much
    expect(deviation).toBeLessThan(0.25);
  });
});

describe("scenarios", () => {
  const HOURS = 3.3;
  const made = new Map<ScenarioName, World>();
  const worldOf = (name: ScenarioName): World => {
    if (made.has(name)) return made.get(name)!;
    const world = new World({
      scenario: scenarioOf(name), seed: 1, step_s: 1, temperature_K: 318.15, c_rate: 2, area_m2: 1.54e-4,
      onsetCycle: 3, firstRest_s: 300, disturbance_s: 7500,
    }); // prettier-ignore
    while (world.time_s < HOURS * 3600) world.step();
    made.set(name, world);
    return world;
  };
  const EXPECTED: Record<ScenarioName, EventName[]> = {
    healthy: [],
    plating: ["plating"],
    "soft-short": ["plating", "soft-short"],
    "hard-short": ["hard-short", "plating", "soft-short"],
    gas: ["gas"],
    sei: ["gas", "plating", "sei-formation"], // ethylene of the SEI; its thick film makes 2C too fast
    "drift-only": [],
    "missing-frames": ["missing-frames"],
    "clock-skew": ["clock-skew"],
    "force-imitates-gas": ["force-imitates-gas"],
    "temperature-step": ["temperature-step"],
    "beam-refill": ["beam-refill"],
  };

  test.each(SCENARIO_NAMES)("%s has its events and no others, and none before the third cycle", (name) => {
    const world = worldOf(name);
    expect([...new Set(world.events.map(({ event }) => event))].sort()).toEqual(EXPECTED[name]);
    const third = 6700;
    if (name !== "sei") for (const { t0_s } of world.events) expect(t0_s).toBeGreaterThan(third);
    expect(world.protocol.cycle).toBeGreaterThanOrEqual(3);
  });

  test("a hard short pulls the voltage down", () => {
    const world = worldOf("hard-short");
    expect(world.cell.voltage_V).toBeLessThan(0.5);
    expect(world.cell.voltage_V).toBeGreaterThan(0);
  });

  test("gas lifts stack, force and pressure; a relaxing fixture only the force", () => {
    const [healthy, gas, fixture] = (["healthy", "gas", "force-imitates-gas"] as const).map(worldOf);
    expect(gas!.cell.displacement_um - healthy!.cell.displacement_um).toBeGreaterThan(5);
    expect(gas!.cell.pressure_Pa - healthy!.cell.pressure_Pa).toBeGreaterThan(500);
    expect(gas!.bubbles.length).toBeGreaterThan(0);
    expect(fixture!.cell.pressure_Pa).toBe(healthy!.cell.pressure_Pa);
    expect(fixture!.bubbles).toEqual([]);
  });

  test("lithium is neither made nor lost, but for what SEI binds", () => {
    // cathode, graphite, plated, dead and SEI together hold what they held at the start
    const world = worldOf("plating");
    const { cell } = world;
    const anode = 85.2e-6 * 0.75 * 33133 * 96485.33212;
    const cathode = 75.6e-6 * 0.665 * 63104 * 96485.33212;
    const start = 0.026345790270645767 * anode + 0.853974674630047 * cathode;
    const sei = ((cell.sei_m - 5e-9) / 9.585e-5) * 96485.33212 * ((3 * 0.75 * 85.2e-6) / 5.86e-6);
    // oxidation hands over charge without lithium: a few C/m² of 180 000
    const now = cell.x * anode + cell.y * cathode + cell.plated_C_per_m2 + cell.dead_C_per_m2 + sei;
    expect(Math.abs(now - start)).toBeLessThan(20);
  });

  test("truth says what happens, when, and where it can be seen, and happens then", async () => {
    const all = await items({ scenario: "gas", c_rate: 2, duration: "1.5 h", onset_at: "1.25 h", instruments: ["truth", "radiographs"], radiograph_interval: "60 s", radiograph_rows: 24, radiograph_columns: 32 }); // prettier-ignore
    const { events, scenario } = schemaOf(all, "truth").metadata;
    const told = JSON.parse(events!) as {
      event: string;
      t0: string;
      t1: string | null;
      visible_in: string[];
    }[];
    expect(scenario).toBe("gas");
    expect(told.map(({ event }) => event)).toEqual(["gas"]);
    expect(told[0]!.visible_in).toContain("radiographs");
    expect(Math.abs(Date.parse(told[0]!.t0) - Date.parse("2026-01-05T09:15:00Z"))).toBeLessThanOrEqual(5000);
    const codes = column(all, "truth", "event");
    expect(codes.indexOf(4)).toBeGreaterThanOrEqual(1.25 * 720 - 2);
    expect(codes.indexOf(4)).toBeLessThanOrEqual(1.25 * 720 + 2);
    // the radiographs get brighter from then on
    const data = column(all, "radiographs", "data");
    const mean = (k: number): number => data.slice(k * 768, (k + 1) * 768).reduce((a, b) => a + b) / 768;
    const early = [60, 61, 62, 63, 64].map(mean).reduce((a, b) => a + b) / 5;
    const late = [85, 86, 87, 88, 89].map(mean).reduce((a, b) => a + b) / 5;
    expect(late / early).toBeGreaterThan(1.002);
  });

  test("onset_at is met by a disturbance too", async () => {
    const all = await items({
      scenario: "beam-refill",
      duration: "0.5 h",
      onset_at: "0.25 h",
      instruments: ["truth"],
    });
    const codes = column(all, "truth", "event");
    expect(codes.indexOf(10)).toBe(179);
    const beam = column(all, "truth", "beam");
    expect(beam[178]).toBeLessThan(0.97);
    expect(beam[185]).toBeGreaterThan(0.99);
  });

  test("a skewed clock moves the cycler's times alone", async () => {
    const given = { ...SHORT, drops: 0, onset_at: "0.03 h", instruments: ["echem", "force"] };
    const [right, wrong] = await Promise.all([items(given), items({ ...given, scenario: "clock-skew" })]);
    const times = (all: SourceItem[], port: string): bigint[] =>
      column(all, port, "time") as unknown as bigint[];
    expect(times(wrong, "force")).toEqual(times(right, "force"));
    const ahead = times(wrong, "echem").map((time, i) => Number(time - times(right, "echem")[i]!) / 1e9);
    expect(ahead[100]).toBe(0);
    expect(ahead[110]).toBeGreaterThan(3.9);
    expect(ahead.at(-1)).toBeGreaterThan(ahead[110]!);
  });
});

describe("what was asked for wrongly", () => {
  test.each([
    [{ instruments: ["echem", "sem"] }, "instruments: sem is not one of echem, curves"],
    [{ start: "yesterday" }, 'start "yesterday" is not a time with its zone'],
    [{ start: "2026-01-05T08:00:00" }, "is not a time with its zone"],
    [
      { scenario: "gas", onset_at: "0.1 h", duration: "3 h" },
      /onset_at 0.10 h is too early: gas begins after 0\.\d+ h at the least/,
    ],
    [{ scenario: "gas", onset_at: "0.1 h", duration: "0.2 h" }, "no gas comes within the duration of 0.20 h"],
  ])("%j", async (given, says) => {
    await expect(items(given, 1)).rejects.toThrow(says);
  });

  test("a signal ends it", async () => {
    const { config } = readConfig(simulatedCell.config, { ...SHORT });
    const ending = new AbortController();
    const context = {
      signal: ending.signal,
      now: () => 0n,
      timezone: "UTC",
      timezoneAssumed: false,
      directory: "",
    };
    let n = 0;
    for await (const item of simulatedCell.open(config, context) as AsyncIterable<SourceItem>) {
      void item;
      if (++n === 3) ending.abort();
    }
    expect(n).toBe(3);
  });
});
