import type { CellBuild } from "./cell-model.ts";
import type { CyclePlan } from "./protocol.ts";
import type { DriftSize } from "./drift.ts";

/** What is different from a healthy cell on good instruments. Only what a scenario names differs. */
export interface Scenario {
  readonly doc: string;
  readonly build?: Partial<CellBuild>;
  /** What the cycler does from the cycle of the onset on, as factors on rate and as limits. */
  readonly abuse?: { readonly rate?: number; readonly upper_V?: number; readonly hold_s?: number };
  /** Something that happens to an instrument or to the room, at the onset. */
  readonly disturbance?: Disturbance;
  readonly drift?: number;
}

export type Disturbance =
  "missing-frames" | "clock-skew" | "force-imitates-gas" | "temperature-step" | "beam-refill";

export const SCENARIOS = {
  healthy: { doc: "nothing happens" },
  plating: {
    doc: "charged too fast from the onset on: lithium plates, no short",
    build: { tipFocus: 3 },
    abuse: { rate: 2.7, upper_V: 4.3 },
  },
  "soft-short": {
    doc: "plated lithium reaches the cathode in filaments that fuse",
    build: { tipFocus: 18, filamentConductance_S: 5e-5 },
    abuse: { rate: 2.7, upper_V: 4.3 },
  },
  "hard-short": {
    doc: "the first filament grows to a metallic bridge",
    build: { tipFocus: 18, filamentConductance_S: 5e-5, bridgeGrows: true },
    abuse: { rate: 2.7, upper_V: 4.3 },
  },
  gas: {
    doc: "held at 4.5 V from the onset on: the electrolyte oxidises",
    build: { anodeExcess: 1.45 },
    abuse: { upper_V: 4.5, hold_s: 2400 },
  },
  sei: { doc: "a pristine cell: SEI forms in the first charge", build: { pristine: true } },
  "drift-only": { doc: "instruments drift four times as much; the cell is healthy", drift: 4 },
  "missing-frames": {
    doc: "the tomograph loses frames, and its stage jumps",
    disturbance: "missing-frames",
  },
  "clock-skew": { doc: "the cycler's clock jumps and runs fast", disturbance: "clock-skew" },
  "force-imitates-gas": { doc: "the fixture relaxes: force without gas", disturbance: "force-imitates-gas" },
  "temperature-step": { doc: "the room warms by 8 K", disturbance: "temperature-step" },
  "beam-refill": {
    doc: "the beam decays and is refilled: brightness without gas",
    disturbance: "beam-refill",
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];
export const scenarioOf = (name: ScenarioName): Scenario => SCENARIOS[name];

/** What kinds of thing can happen, and in which streams each can be seen. The numbers are those of `truth.event`. */
export const EVENTS = {
  plating: { code: 1, visible: ["echem", "curves", "topography", "thickness", "force"] },
  "soft-short": { code: 2, visible: ["echem"] },
  "hard-short": { code: 3, visible: ["echem"] },
  gas: { code: 4, visible: ["frames", "radiographs", "thickness", "force", "pressure"] },
  "sei-formation": { code: 5, visible: ["echem", "curves", "topography"] },
  "missing-frames": { code: 6, visible: ["frames"] },
  "clock-skew": { code: 7, visible: ["echem"] },
  "force-imitates-gas": { code: 8, visible: ["force"] },
  "temperature-step": { code: 9, visible: ["echem", "thickness", "force", "pressure"] },
  "beam-refill": { code: 10, visible: ["frames", "radiographs"] },
} as const;

export type EventName = keyof typeof EVENTS;
export const EVENT_CODES: Record<number, string> = {
  0: "none",
  ...Object.fromEntries(Object.entries(EVENTS).map(([name, { code }]) => [code, name])),
};

/** Upper limit that keeps a healthy cell's anode above 0 V at up to 1C and 25 °C, or 2C and 45 °C. */
const HEALTHY_V = 4.1;

export function cyclePlan(
  scenario: Scenario,
  cycle: number,
  onsetCycle: number,
  rate_A_per_m2: number,
): CyclePlan {
  const abuse = cycle >= onsetCycle ? scenario.abuse : undefined;
  return {
    charge_A_per_m2: rate_A_per_m2 * (abuse?.rate ?? 1),
    discharge_A_per_m2: rate_A_per_m2,
    upper_V: abuse?.upper_V ?? HEALTHY_V,
    lower_V: 3,
    cutoff_A_per_m2: rate_A_per_m2 / 20,
    hold_s: abuse?.hold_s ?? 600,
    rest_s: 300,
  };
}

/** Of a good instrument: an axis of the force microscope [m], the rotation stage across the beam [px]. */
export const MICROSCOPE_DRIFT: DriftSize = {
  velocity_per_s: 0.3e-9 / 60,
  wander: 8e-9,
  wanderTime_s: 1800,
  settling: 60e-9,
  settlingTime_s: 3600,
};
export const STAGE_DRIFT: DriftSize = {
  velocity_per_s: 0.05 / 3600,
  wander: 0.15,
  wanderTime_s: 1200,
  settling: 0.3,
  settlingTime_s: 1800,
};
