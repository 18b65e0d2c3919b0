/** What the cell is doing, in words. */
import type { Field } from "../runtime/wire/schema.ts";

/** "charge" and its like, as a sentence begins: "Charging". What is not known is said as it stands. */
export function doing(code: number, field: Field | undefined): string {
  const name = field?.codes?.[code];
  if (name === undefined) return "";
  const plain = name.replaceAll(/[_-]/g, " ");
  if (/discharg/i.test(plain))
    return /constant voltage|cv/i.test(plain) ? "Discharging at constant voltage" : "Discharging";
  if (/charg/i.test(plain))
    return /constant voltage|cv/i.test(plain) ? "Charging at constant voltage" : "Charging";
  if (/^rest|^idle|ocv|open circuit/i.test(plain)) return "Resting";
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** Where no stream says so, the sign of the current does: positive charges. Under a hundredth of its greatest it rests. */
export function doingByCurrent(current_A: number, greatest_A: number): string {
  if (Number.isNaN(current_A)) return "";
  if (Math.abs(current_A) <= 0.01 * greatest_A) return "Resting";
  return current_A > 0 ? "Charging" : "Discharging";
}
