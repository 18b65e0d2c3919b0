import {
  choice, defineSource, integer, list, quantity, SourceError, text,
  type Columns, type Fault, type Schema, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { CAPACITY_C_per_m2 } from "./electrodes.ts";
import { Instrument } from "./instrument.ts";
import { instrumentPlans, PORTS, type InstrumentOptions, type PortName } from "./instruments.ts";
import { EVENTS, SCENARIO_NAMES, scenarioOf, type EventName, type ScenarioName } from "./scenarios.ts";
import { World, type TrueEvent, type WorldOptions } from "./world.ts";

const NAMES = Object.keys(PORTS) as PortName[];

/** Event time that one item holds, of all instruments. */
const ITEM_s = 2;
/** The cell is run ahead so far, without its instruments, to tell in `truth` what will happen. */
const FORESEEN_s = 48 * 3600;
const FIRST_REST_s = 300;
/** A disturbance comes so long after its cycle has begun. */
const DISTURBANCE_DELAY_s = 600;

/** What a scenario is about, where that is something the cell does. */
const MAIN_EVENT: Partial<Record<ScenarioName, EventName>> = {
  plating: "plating",
  "soft-short": "soft-short",
  "hard-short": "hard-short",
  gas: "gas",
  sei: "sei-formation",
};

/**
 * A simulated cell under a cycler, a force microscope, a tomograph, an X-ray camera, gauges for thickness, force and
 * pressure; and the truth. All look at one hidden state, each with its own clock, cadence, noise, delay and losses.
 * The same options give the same bytes each time; another cadence of one instrument changes nothing in another.
 */
export const simulatedCell = defineSource({
  name: "simulated/cell",
  closed: true,
  doc: "A cell with all instruments, from one hidden state whose truth is known",
  output: PORTS,
  config: {
    scenario: choice(SCENARIO_NAMES, "healthy", {
      doc: SCENARIO_NAMES.map((name) => `${name}: ${scenarioOf(name).doc}`).join("; "),
    }),
    seed: integer(1, { doc: "another number, another cell and other noise" }),
    duration: quantity("h", 12, { min: 0, doc: "of event time" }),
    cycles: integer(0, { min: 0, doc: "ends after this many cycles; 0: after the duration alone" }),
    c_rate: quantity("1", 1.5, {
      min: 0.05,
      max: 5,
      doc: "charge and discharge; a healthy anode stays above 0 V up to 1 at 25 Cel, 2 at 45 Cel",
    }),
    temperature: quantity("Cel", 45, { min: -20, max: 60 }),
    area: quantity("cm2", 1.54, { min: 0.01, doc: "of the electrode sheets; 1C is 5.02 mA/cm2" }),
    onset_cycle: integer(3, {
      min: 1,
      doc: "cycle from which the scenario mistreats the cell, or in which it disturbs",
    }),
    onset_at: quantity("h", 0, {
      min: 0,
      doc: "when the scenario's event begins, by a longer first rest; 0: as onset_cycle has it",
    }),
    start: text("2026-01-05T08:00:00Z", { doc: "time at which the simulation begins, ISO 8601" }),
    time_step: quantity("s", 1, { min: 0.1, max: 1, doc: "of the hidden state" }),
    instruments: list<string>(NAMES, { doc: "which to run" }),
    drops: quantity("1", 2e-4, { min: 0, max: 0.5, doc: "share of rows that each instrument loses" }),
    echem_rate: quantity("Hz", 1, { min: 0.01, max: 100 }),
    curve_rate: quantity("Hz", 4, { min: 0.01, max: 1000, doc: "force curves per second" }),
    curve_points: integer(128, { min: 32, max: 4096, doc: "of approach and retract together" }),
    map_columns: integer(32, { min: 1, max: 512 }),
    map_rows: integer(32, { min: 1, max: 512 }),
    scan_size: quantity("um", 0.5, { min: 0.05, max: 5, doc: "side of force map and topography" }),
    topography_size: integer(96, { min: 8, max: 1024, doc: "pixels along a side" }),
    topography_interval: quantity("s", 64, { min: 1 }),
    projection_rate: quantity("Hz", 4, { min: 0.01, max: 1000 }),
    projection_rows: integer(4, { min: 1, max: 512 }),
    projection_columns: integer(128, { min: 32, max: 2048 }),
    angle_step: quantity("deg", 1.5, { min: 0.01, max: 90, doc: "from one projection to the next" }),
    radiograph_interval: quantity("s", 10, { min: 0.1 }),
    radiograph_rows: integer(96, { min: 16, max: 2048 }),
    radiograph_columns: integer(128, { min: 16, max: 2048 }),
    gauge_interval: quantity("s", 2, { min: 0.1, doc: "thickness, force, pressure" }),
    truth_interval: quantity("s", 5, { min: 0.1 }),
  },
  async *open(config, { signal }): AsyncGenerator<SourceItem> {
    const start = startTime_ns(config.start);
    for (const name of config.instruments) {
      if (!NAMES.includes(name as PortName)) {
        throw new SourceError(`simulated/cell: instruments: ${name} is not one of ${NAMES.join(", ")}`);
      }
    }
    const duration_s = config.duration * 3600;
    const scenario = scenarioOf(config.scenario);
    const options = placeOnset(config.scenario, config.onset_at * 3600, duration_s, {
      scenario,
      seed: config.seed,
      step_s: config.time_step,
      temperature_K: config.temperature + 273.15,
      c_rate: config.c_rate,
      area_m2: config.area * 1e-4,
      onsetCycle: config.onset_cycle,
      firstRest_s: FIRST_REST_s,
      disturbance_s: Infinity,
    });
    const ahead = foresee(options, Math.min(duration_s, FORESEEN_s), config.cycles);
    const instruments = NAMES.filter((name) => config.instruments.includes(name)).map((name) => {
      const plan = instrumentPlans(instrumentOptions(config, options))[name]();
      return new Instrument(plan, start);
    });

    const schema: Record<string, Schema> = {};
    for (const { plan } of instruments) schema[plan.port] = plan.schema;
    if (schema["truth"]) {
      schema["truth"] = {
        ...schema["truth"],
        metadata: {
          ...schema["truth"].metadata,
          ...truthMetadata(config.scenario, config.seed, ahead, start),
        },
      };
    }
    yield { schema, watermark: start };

    const world = new World(options);
    let given_s = 0;
    const item = (now_s: number): SourceItem => {
      const rows: Record<string, Columns> = {};
      const faults: Fault[] = [];
      for (const instrument of instruments) {
        const columns = instrument.take(now_s);
        if (columns) rows[instrument.plan.port] = columns;
        const fault = instrument.takeFault(now_s);
        if (fault) faults.push(fault);
      }
      const watermark = instruments.reduce(
        (least, { promise }) => (promise < least ? promise : least),
        2n ** 63n - 1n,
      );
      return { rows, faults, watermark };
    };
    while (!signal.aborted && !over(world, duration_s, config.cycles)) {
      world.step();
      for (const instrument of instruments) instrument.observe(world);
      if (world.time_s >= given_s + ITEM_s - 1e-6) {
        given_s += ITEM_s;
        yield item(world.time_s);
      }
    }
    if (!signal.aborted) yield item(Infinity);
  },
});

const over = (world: World, duration_s: number, cycles: number): boolean =>
  world.time_s >= duration_s - 1e-6 || (cycles > 0 && world.protocol.cycle > cycles);

function startTime_ns(written: string): bigint {
  const ms = Date.parse(written);
  if (Number.isNaN(ms) || !/(Z|[+-]\d\d:\d\d)$/.test(written)) {
    throw new SourceError(
      `simulated/cell: start "${written}" is not a time with its zone, such as 2026-01-05T08:00:00Z`,
    );
  }
  return BigInt(ms) * 1_000_000n;
}

/** Runs the cell alone and tells what happens to it. */
function foresee(options: WorldOptions, duration_s: number, cycles: number): readonly TrueEvent[] {
  const world = new World(options);
  while (!over(world, duration_s, cycles)) world.step();
  return world.events;
}

/** The first time at which something holds, or NaN within the duration. */
function firstTime_s(options: WorldOptions, duration_s: number, holds: (world: World) => boolean): number {
  const world = new World(options);
  while (world.time_s < duration_s) {
    world.step();
    if (holds(world)) return world.time_s;
  }
  return NaN;
}

/**
 * The world in which the scenario's event begins when it was asked for: a disturbance at that time; what the cell
 * itself does, by so many cycles as fit before and a first rest that fills what is left.
 */
export function placeOnset(
  name: ScenarioName,
  onset_s: number,
  duration_s: number,
  options: WorldOptions,
): WorldOptions {
  if (options.scenario.disturbance) {
    if (onset_s > 0) return { ...options, disturbance_s: onset_s };
    const began = firstTime_s(
      options,
      duration_s,
      ({ protocol }) => protocol.cycle === options.onsetCycle && protocol.phase === "charge",
    );
    return { ...options, disturbance_s: Number.isNaN(began) ? Infinity : began + DISTURBANCE_DELAY_s };
  }
  const event = MAIN_EVENT[name];
  if (onset_s === 0 || !event) return options;
  let earliest = NaN;
  for (let onsetCycle = options.onsetCycle; onsetCycle >= 1; onsetCycle--) {
    const tried = { ...options, onsetCycle };
    earliest = firstTime_s(tried, duration_s, ({ events }) => events.some((known) => known.event === event));
    if (earliest <= onset_s) return { ...tried, firstRest_s: options.firstRest_s + onset_s - earliest };
  }
  const hours = (s: number): string => `${(s / 3600).toFixed(2)} h`;
  throw new SourceError(
    Number.isNaN(earliest)
      ? `simulated/cell: no ${event} comes within the duration of ${hours(duration_s)}; make it longer`
      : `simulated/cell: onset_at ${hours(onset_s)} is too early: ${event} begins after ${hours(earliest)} at the least; ask for a later one, or for a higher c_rate`,
  );
}

/** As JSON, in the metadata of `truth`: what happens, from when to when, and where it can be seen. */
function truthMetadata(
  scenario: string,
  seed: number,
  events: readonly TrueEvent[],
  start: bigint,
): Record<string, string> {
  const iso = (s: number): string => new Date(Number(start / 1_000_000n) + s * 1000).toISOString();
  return {
    scenario,
    seed: String(seed),
    events: JSON.stringify(
      events.map(({ event, t0_s, t1_s }) => ({
        event,
        t0: iso(t0_s),
        t1: Number.isNaN(t1_s) ? null : iso(t1_s),
        visible_in: EVENTS[event].visible,
      })),
    ),
    events_until: iso(FORESEEN_s),
  };
}

type Config = Parameters<typeof simulatedCell.open>[0];

function instrumentOptions(config: Config, { scenario, c_rate, area_m2 }: WorldOptions): InstrumentOptions {
  const rate = c_rate * (scenario.abuse?.rate ?? 1);
  return {
    seed: config.seed,
    drops: config.drops,
    largestCurrent_A: (rate * CAPACITY_C_per_m2 * area_m2) / 3600,
    echemRate_Hz: config.echem_rate,
    curveRate_Hz: config.curve_rate,
    curvePoints: config.curve_points,
    mapColumns: config.map_columns,
    mapRows: config.map_rows,
    scanSize_m: config.scan_size * 1e-6,
    topographySize: config.topography_size,
    topographyInterval_s: config.topography_interval,
    projectionRate_Hz: config.projection_rate,
    projectionRows: config.projection_rows,
    projectionColumns: config.projection_columns,
    angleStep_deg: config.angle_step,
    radiographInterval_s: config.radiograph_interval,
    radiographRows: config.radiograph_rows,
    radiographColumns: config.radiograph_columns,
    gaugeInterval_s: config.gauge_interval,
    truthInterval_s: config.truth_interval,
  };
}
