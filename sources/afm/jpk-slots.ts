/**
 * Slots of a JPK channel: what its numbers mean. Each is reached from the one that it is based on by one linear step,
 * `value × multiplier + offset`; the base slot is what comes out of the encoder.
 *
 *     volts → nominal [m] → calibrated [m]        a piezo's height
 *     volts → distance [m] → force [N]            a deflection
 */
import { SourceError } from "../../runtime/index.ts";

export interface Slot {
  readonly base: string;
  readonly multiplier: number;
  readonly offset: number;
  readonly unit: string;
}

export interface Slots {
  /** Name of the slot that the encoder gives, and its unit. */
  readonly base: string;
  readonly baseUnit: string;
  /** The slot that JPK's own program shows. */
  readonly preferred: string;
  /** In the file's order, from the base on. */
  readonly names: readonly string[];
  /** undefined where the file does not define it. */
  slot(name: string): Slot | undefined;
}

/** Reads slots from properties such as "conversion.calibrated.scaling.multiplier". */
export function slotsOf(get: (key: string) => string | number | undefined, baseUnit: string): Slots {
  const text = (key: string): string => String(get(key) ?? "").trim();
  return {
    baseUnit,
    base: text("conversions.base"),
    preferred: text("conversions.default"),
    names: text("conversions.list").split(/\s+/).filter(Boolean),
    slot(name) {
      const of = (rest: string): string => text(`conversion.${name}.${rest}`);
      if (of("defined") !== "true") return undefined;
      return {
        base: of("base-calibration-slot"),
        multiplier: Number(of("scaling.multiplier") || NaN),
        offset: Number(of("scaling.offset") || NaN),
        unit: of("scaling.unit.unit"),
      };
    },
  };
}

/** The slot in this unit: the one that the file shows by default, else the last; undefined where there is none. */
export function slotIn(unit: string, slots: Slots): string | undefined {
  const { base, baseUnit, preferred, names } = slots;
  const unitOf = (name: string): string | undefined => (name === base ? baseUnit : slots.slot(name)?.unit);
  return [preferred, ...names.toReversed(), base].find((name) => name !== "" && unitOf(name) === unit);
}

/** The steps from the base slot to this one, in their order. */
export function stepsTo(wanted: string, slots: Slots, where: string): Slot[] {
  const steps: Slot[] = [];
  for (let name = wanted; name !== slots.base;) {
    const step = slots.slot(name);
    if (!step || !Number.isFinite(step.multiplier + step.offset) || steps.length > slots.names.length) {
      throw new SourceError(
        `${where}: its conversion "${wanted}" does not lead back to "${slots.base}" (stops at "${name}")`,
      );
    }
    steps.unshift(step);
    name = step.base;
  }
  return steps;
}

export interface Scale {
  readonly multiplier: number;
  readonly offset: number;
}

/** An encoder and the steps after it as one. */
export const together = (encoder: Scale, steps: readonly Scale[]): Scale =>
  steps.reduce(
    (so, { multiplier, offset }) => ({
      multiplier: so.multiplier * multiplier,
      offset: so.offset * multiplier + offset,
    }),
    encoder,
  );
