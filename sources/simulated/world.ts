import { Bubbles, type Bubble } from "./bubbles.ts";
import { CellModel } from "./cell-model.ts";
import { Drift, type DriftSize } from "./drift.ts";
import { CAPACITY_C_per_m2 } from "./electrodes.ts";
import { Protocol } from "./protocol.ts";
import { Random } from "./random.ts";
import { cyclePlan, MICROSCOPE_DRIFT, STAGE_DRIFT, type EventName, type Scenario } from "./scenarios.ts";

/** Cell, cycler, room, beam, and what drifts: all that is true, advanced together at one fixed step. */
export interface WorldOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly step_s: number;
  readonly temperature_K: number;
  readonly c_rate: number;
  readonly area_m2: number;
  readonly onsetCycle: number;
  readonly firstRest_s: number;
  /** When the scenario's disturbance comes, if it has one. */
  readonly disturbance_s: number;
}

export interface TrueEvent {
  readonly event: EventName;
  readonly t0_s: number;
  /** NaN while it lasts. */
  t1_s: number;
}

/** So long does a disturbance last; a temperature step and a skewed clock stay. */
const MISSING_s = 600, FORCE_s = 1800, REFILL_s = 1800; // prettier-ignore
const WARMING_K = 8, WARMING_LAG_s = 300; // prettier-ignore
const FORCE_N = 20, FORCE_RISE_s = 60, FORCE_DECAY_s = 600; // prettier-ignore
const BEAM_LIFETIME_s = 6 * 3600;
const CLOCK_JUMP_s = 4, CLOCK_SKEW = 3e-4; // prettier-ignore
const STAGE_JUMP_px = 2.5;
/** Plating and gas count from here on: below, no instrument could know. */
const PLATED_C_per_m2 = 20;
const GAS_mol_per_m2 = 1e-6;
/** Side of the window that the X-ray instruments look through. */
const WINDOW_m = 0.8e-3;
const MOST_EVENTS = 1000;

export class World {
  readonly options: WorldOptions;
  readonly cell: CellModel;
  readonly protocol: Protocol;
  readonly #bubbles: Bubbles;
  readonly #microscope: readonly Drift[];
  readonly #stage: Drift;
  readonly #clock: number;
  readonly events: TrueEvent[] = [];
  time_s = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    const { scenario, seed } = options;
    const random = (name: string): Random => new Random(seed, name);
    const build = { area_m2: options.area_m2, anodeExcess: 1, pristine: false, tipFocus: 3, filamentConductance_S: 1e-5, bridgeGrows: false, ...scenario.build }; // prettier-ignore
    this.cell = new CellModel(build, options.temperature_K, random("cell"));
    const rate = (options.c_rate * CAPACITY_C_per_m2) / 3600;
    this.protocol = new Protocol(
      (cycle) => cyclePlan(scenario, cycle, options.onsetCycle, rate), options.firstRest_s,
    ); // prettier-ignore
    this.#bubbles = new Bubbles(random("bubbles"));
    const drift = (name: string, size: DriftSize): Drift => {
      const direction = random(`${name} direction`);
      const more = scenario.drift ?? 1;
      const signed = (x: number): number =>
        x * more * direction.uniform(0.7, 1.3) * (direction.uniform() < 0.5 ? -1 : 1);
      const sized = {
        ...size,
        velocity_per_s: signed(size.velocity_per_s),
        settling: signed(size.settling),
        wander: size.wander * more,
      };
      return new Drift(sized, random(name));
    };
    this.#microscope = ["x", "y", "z"].map((axis) => drift(`microscope ${axis}`, MICROSCOPE_DRIFT));
    this.#stage = drift("stage", STAGE_DRIFT);
    this.#clock = random("clock").uniform(-20e-6, 20e-6);
  }

  step(): void {
    const { step_s, scenario, temperature_K } = this.options;
    const { cell, protocol } = this;
    if (scenario.disturbance === "temperature-step" && this.#since > 0) {
      cell.setTemperature(temperature_K + WARMING_K * (1 - Math.exp(-this.#since / WARMING_LAG_s)));
    }
    cell.step(protocol.control, step_s);
    protocol.advance(cell.voltage_V, cell.current_A_per_m2, step_s);
    this.#bubbles.grow((cell.gasFilm_m * WINDOW_m * (WINDOW_m / 2)) / WINDOW_m ** 3);
    for (const drift of this.#microscope) drift.step(step_s);
    this.#stage.step(step_s);
    this.time_s += step_s;
    this.#note();
  }

  /** Seconds since the disturbance began; negative before, and where there is none. */
  get #since(): number {
    return this.options.scenario.disturbance ? this.time_s - this.options.disturbance_s : -Infinity;
  }

  #disturbed(name: string, length_s = Infinity): boolean {
    return this.options.scenario.disturbance === name && this.#since >= 0 && this.#since < length_s;
  }

  /** Of the force microscope's sample under its tip [m]. */
  get microscopeDrift_m(): { x: number; y: number; z: number } {
    const [x, y, z] = this.#microscope;
    return { x: x!.value, y: y!.value, z: z!.value };
  }

  get stageDrift_px(): number {
    return this.#stage.value + (this.#disturbed("missing-frames") ? STAGE_JUMP_px : 0);
  }

  /** Share of the tomograph's frames that never arrive. */
  get frameLoss(): number {
    return this.#disturbed("missing-frames", MISSING_s) ? 0.5 : 0;
  }

  /** Ring current against that at the flat fields [1]. */
  get beam(): number {
    if (this.options.scenario.disturbance !== "beam-refill") return 1;
    const { time_s, options } = this;
    if (time_s < options.disturbance_s) return Math.exp(-time_s / BEAM_LIFETIME_s);
    const full = Math.min(1, this.#since / 20);
    const before = Math.exp(-options.disturbance_s / BEAM_LIFETIME_s);
    return (before + (1 - before) * full) * Math.exp(-Math.max(0, this.#since - 20) / BEAM_LIFETIME_s);
  }

  /** By how much the cycler's clock is ahead [s]. */
  get clockOffset_s(): number {
    const skewed = this.#disturbed("clock-skew") ? CLOCK_JUMP_s + CLOCK_SKEW * this.#since : 0;
    return this.time_s * this.#clock + skewed;
  }

  /** On top of what the cell exerts. */
  get fixtureForce_N(): number {
    if (!this.#disturbed("force-imitates-gas", FORCE_s)) return 0;
    const t = this.#since;
    return FORCE_N * (1 - Math.exp(-t / FORCE_RISE_s)) * Math.exp(-t / FORCE_DECAY_s);
  }

  get bubbles(): readonly Bubble[] {
    return this.#bubbles.list;
  }

  /** Code and name of what goes on now, the gravest first. */
  get event(): EventName | undefined {
    const { cell } = this;
    if (cell.hardShort) return "hard-short";
    if (cell.filaments.length > 0) return "soft-short";
    if (cell.gas_mol_per_m2 > GAS_mol_per_m2) return "gas";
    if (cell.plated_C_per_m2 > PLATED_C_per_m2) return "plating";
    return this.#lasting().at(0);
  }

  #lasting(): EventName[] {
    const { cell } = this;
    const going: EventName[] = [];
    if (cell.plated_C_per_m2 > PLATED_C_per_m2) going.push("plating");
    if (cell.filaments.length > 0 && !cell.hardShort) going.push("soft-short");
    if (cell.hardShort) going.push("hard-short");
    if (cell.gas_mol_per_m2 > GAS_mol_per_m2) going.push("gas");
    if (cell.build.pristine && cell.seiCoverage > 0.01 && cell.seiCoverage < 0.97)
      going.push("sei-formation");
    if (this.#disturbed("missing-frames", MISSING_s)) going.push("missing-frames");
    if (this.#disturbed("clock-skew")) going.push("clock-skew");
    if (this.#disturbed("force-imitates-gas", FORCE_s)) going.push("force-imitates-gas");
    if (this.#disturbed("temperature-step")) going.push("temperature-step");
    if (this.#disturbed("beam-refill", REFILL_s)) going.push("beam-refill");
    return going;
  }

  #note(): void {
    const going = this.#lasting();
    for (const event of this.events) {
      if (Number.isNaN(event.t1_s) && !going.includes(event.event)) event.t1_s = this.time_s;
    }
    for (const event of going) {
      if (this.events.length >= MOST_EVENTS) return;
      if (!this.events.some((known) => known.event === event && Number.isNaN(known.t1_s))) {
        this.events.push({ event, t0_s: this.time_s, t1_s: NaN });
      }
    }
  }
}
