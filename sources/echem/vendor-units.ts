import { own, parseUnit } from "../../runtime/index.ts";

// prettier-ignore
const UCUM: Readonly<Record<string, string>> = {
  "°C": "Cel", "ºC": "Cel", degC: "Cel", "°": "deg", Ah: "A.h", mAh: "mA.h", uAh: "uA.h", Wh: "W.h", mWh: "mW.h",
  sec: "s", Sec: "s", seconds: "s", min: "min", Min: "min", hour: "h", "": "",
};

const inUcum = (plain: string): string =>
  plain
    .replace(/[µμ]/g, "u")
    .replace(/·/g, ".")
    .replace(/[\u03a9\u2126]|(?<=^[mkMu]?)ohm$/g, "Ohm");

/** UCUM of a unit as instruments' software writes it ("mAh", "°C", "µF", "Ω"); "" where it is none that is known. */
export function ucumOf(written: string): string {
  const plain = written.trim();
  const unit = own(UCUM, plain) ?? inUcum(plain);
  if (unit === "") return "";
  try {
    return parseUnit(unit) === undefined ? "" : unit;
  } catch {
    return "";
  }
}
