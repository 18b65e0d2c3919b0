import { parseUnit } from "../../runtime/index.ts";

// prettier-ignore
const UCUM: Readonly<Record<string, string>> = {
  "°C": "Cel", degC: "Cel", "\u03a9": "Ohm", "\u2126": "Ohm", ohm: "Ohm", "°": "deg", Ah: "A.h", mAh: "mA.h", uAh: "uA.h", Wh: "W.h", mWh: "mW.h",
  sec: "s", Sec: "s", seconds: "s", min: "min", Min: "min", hour: "h", "": "",
};

/** UCUM of a unit as instruments' software writes it ("mAh", "°C", "µF", "Ω"); "" where it is none that is known. */
export function ucumOf(written: string): string {
  const plain = written.trim();
  const unit = UCUM[plain] ?? plain.replace(/[µμ]/g, "u");
  if (unit === "") return "";
  try {
    return parseUnit(unit) === undefined ? "" : unit;
  } catch {
    return "";
  }
}
