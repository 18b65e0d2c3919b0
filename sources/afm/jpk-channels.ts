/** Which stream a channel of a JPK image is for, and which of its slots has the unit of that stream. */
import { IMAGE_PORTS, type ImagePort } from "./afm-file.ts";
import { slotIn, type Slots } from "./jpk-slots.ts";

/** By name: streams that it may be for, the better unit first, and its rank among channels for the same. */
const KNOWN: Record<string, readonly [rank: number, ...ports: readonly ImagePort[]]> = {
  height: [0, "topography"],
  "head-height": [0, "topography"],
  strainGaugeHeight: [1, "topography"],
  capacitiveSensorHeight: [1, "topography"],
  measuredHeight: [1, "topography"],
  amplitude: [1, "amplitude", "amplitude_volt"],
  phase: [1, "phase"],
  frequency: [1, "frequency"],
  vDeflection: [1, "deflection", "deflection_volt"],
  hDeflection: [1, "friction"],
  adhesion: [1, "adhesion"],
  slope: [1, "stiffness"],
};
/** Whatever its name, what has this unit can only be one thing. */
const BY_UNIT: Record<string, ImagePort> = { A: "current", Pa: "modulus", J: "dissipation" };

export interface Chosen {
  readonly port: ImagePort | undefined;
  readonly unit: string;
  /** Name of the slot to read. */
  readonly slot: string;
  readonly rank: number;
}

/**
 * `contact`: the feedback holds the deflection, so that its error is the deflection.
 * A channel that is for no stream comes in the slot that JPK's own program shows.
 */
export function chosenFor(name: string, slots: Slots, { contact }: { contact: boolean }): Chosen {
  const [rank, ...ports] = KNOWN[name] ?? (name === "error" && contact ? [0, "deflection", "deflection_volt"] as const : [0]); // prettier-ignore
  for (const port of ports) {
    const [unit] = IMAGE_PORTS[port];
    const slot = slotIn(unit, slots);
    if (slot !== undefined) return { port, unit, slot, rank };
  }
  const slot = slots.preferred || slots.base;
  const unit = slot === slots.base ? slots.baseUnit : (slots.slot(slot)?.unit ?? "");
  const port = ports.length > 0 ? undefined
    : /potential|kpfm|cpd/i.test(name) && unit === "V" ? "potential"
    : /deformation/i.test(name) && unit === "m" ? "deformation"
    : BY_UNIT[unit]; // prettier-ignore
  return { port, unit, slot, rank };
}
