/**
 * What a column measures, from its schema (quantity, unit, name), and the one colour that this has on the page.
 * Colours are of the Okabe-Ito family, lightened for a dark ground; red and amber belong to alarms alone.
 */
import type { Field } from "../runtime/wire/schema.ts";
import { parseUnit, sameDimension } from "../runtime/wire/units.ts";

export type Quantity =
  | "voltage"
  | "current"
  | "modulus"
  | "gas"
  | "thickness"
  | "force"
  | "pressure"
  | "temperature"
  | "charge"
  | "state of charge"
  | "other";

export const HUES: Record<Quantity, string> = {
  voltage: "#5cb8ee",
  current: "#e8935a",
  modulus: "#35c497",
  gas: "#d08bb4",
  thickness: "#b9bfc7",
  force: "#cbb95c",
  pressure: "#cbb95c",
  temperature: "#8d9bea",
  charge: "#7fd0dd",
  "state of charge": "#7fd0dd",
  other: "#9fb0c0",
};

const is = (unit: string, like: string) => {
  if (unit === "" || unit === "1") return unit === like;
  try {
    return sameDimension(unit, like);
  } catch {
    return false; // a unit of the instrument's that nobody knows: shown, and of no quantity
  }
};

export function quantityOf(name: string, field: Field): Quantity {
  const words = `${field.quantity ?? ""} ${field.long_name ?? ""} ${name}`.toLowerCase();
  const { unit } = field;
  if (is(unit, "V")) return "voltage";
  if (is(unit, "A")) return "current";
  if (is(unit, "A.h")) return "charge";
  if (is(unit, "N")) return "force";
  if (is(unit, "K")) return "temperature";
  if (is(unit, "Pa")) return /pressure|stress/.test(words) ? "pressure" : "modulus";
  if (is(unit, "m") && /thick|swell|expan|dilat/.test(words)) return "thickness";
  if (is(unit, "1") || is(unit, "%")) {
    if (/gas|void|bubble|poros/.test(words)) return "gas";
    if (/state.of.charge|\bsoc\b/.test(words.replaceAll("_", " "))) return "state of charge";
  }
  return "other";
}

/** What a person calls a column: its long name, or its name without the unit that the format puts at its end. */
export function titleOf(name: string, field: Field): string {
  if (field.long_name) return field.long_name;
  const plain = name
    .replace(/_(volt|ampere|second|kelvin|celsius|newton|pascal|metre|meter|ohm|ampere_hour|watt_hour)$/, "")
    .replaceAll("_", " ");
  // "median" of what?
  return /^(median|mean|value)$/.test(plain) && isModulus(field.unit) ? `modulus, ${plain}` : plain;
}

/** True where the unit is a length, so that an image of it is a relief. */
export const isLength = (unit: string) => is(unit, "m");
export const isModulus = (unit: string) => is(unit, "Pa");
export const isForce = (unit: string) => is(unit, "N");

/** True of what an X-ray slice is measured in: a length or a pixel under the line. */
export function isAttenuation(unit: string): boolean {
  if (/^1\/\{(px|pixel|voxel)\}$/.test(unit)) return true;
  try {
    const { dimension, counted } = parseUnit(unit);
    return counted === "" && dimension[0] === -1 && dimension.every((d, i) => i === 0 || d === 0);
  } catch {
    return false;
  }
}

/** True of what a detector counts. */
export const isCounted = (unit: string) => unit.startsWith("{");
