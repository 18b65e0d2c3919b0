/** Numbers and units as people read them: "1.25 mA", not "0.00125 A". */
import { parseUnit } from "../runtime/wire/units.ts";

export interface Scale {
  /** Multiply a value in the stream's unit by this to read it in `unit`. */
  readonly factor: number;
  /** For the eye: "mA", "µm", "1/px"; empty where there is none. */
  readonly unit: string;
}

const STEPS: readonly [exponent: number, prefix: string][] = [
  [9, "G"], [6, "M"], [3, "k"], [0, ""], [-3, "m"], [-6, "u"], [-9, "n"], [-12, "p"],
]; // prettier-ignore

const EXPONENTS: Record<string, number> = {
  G: 9, M: 6, k: 3, m: -3, u: -6, n: -9, p: -12, f: -15,
}; // prettier-ignore

/** Base symbols that take a prefix; all else is shown as it is. */
const PREFIXED = /^([GMkmunpf]?)(m|A|V|Pa|N|W|J|Hz|Ohm|F|S|C|g|A\.h\/V|A\.h|W\.h|N\/m)$/;

/** A UCUM unit as it is written on a page. */
export function readableUnit(unit: string): string {
  if (unit === "1" || unit === "") return "";
  return unit
    .replaceAll(/\{([^}]*)\}/g, "$1")
    .replace(/^Cel$/, "°C")
    .replace(/^deg$/, "°")
    .replaceAll("Ohm", "Ω")
    .replaceAll(/(^|[./])u(?=[A-Za-z])/g, "$1µ")
    .replaceAll(".", "·")
    .replaceAll("A·h", "Ah")
    .replaceAll("W·h", "Wh")
    .replaceAll(/([A-Za-z])-?(\d)/g, (whole: string, letter: string, digit: string) =>
      whole.includes("-")
        ? `${letter}⁻${"⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!}`
        : `${letter}${"⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!}`,
    );
}

/** The prefix with which the greatest of the values reads as 1 to 1000. */
export function readableScale(unit: string, greatest: number): Scale {
  const match = PREFIXED.exec(unit);
  if (!match || !Number.isFinite(greatest) || greatest === 0) return { factor: 1, unit: readableUnit(unit) };
  const [, prefix = "", base = ""] = match;
  const own = prefix === "" ? 0 : EXPONENTS[prefix]!;
  const magnitude = Math.log10(Math.abs(greatest)) + own;
  // A volt is read as volts down to 0.1: nobody says 912 mV for the terminal of a cell that sags.
  const grace = base === "V" ? 1 : 0;
  const step =
    STEPS.find(([exponent]) => magnitude >= exponent - (exponent === 0 ? grace : 0) - 1e-9) ?? STEPS.at(-1)!;
  return { factor: 10 ** (own - step[0]), unit: readableUnit(step[1] + base) };
}

/** A number with so many significant digits and no more, in figures of one width; a true minus sign. */
export function readableNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text =
    size < 1e-3 || size >= 1e6
      ? value.toExponential(Math.max(0, digits - 2))
      : value.toFixed(Math.min(6, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.max(size, 1e-3))))));
  return text.replace("-", "−").replace("e+", "e");
}

/** The same without zeros at its end: marks of an axis, speeds. */
export function shortNumber(value: number, digits = 3): string {
  return String(Number(value.toPrecision(digits)))
    .replace("-", "−")
    .replace("e+", "e");
}

/** "1 kHz", of a decimal logarithm. */
export function decadeName(exponent: number, unit: string): string {
  const scale = readableScale(unit, 10 ** exponent);
  return `${shortNumber(10 ** exponent * scale.factor)}${scale.unit && ` ${scale.unit}`}`;
}

/** A value in its stream's unit, with a fitting prefix. */
export function readableQuantity(value: number, unit: string, digits = 4): string {
  const scale = readableScale(unit, Math.abs(value));
  return `${readableNumber(value * scale.factor, digits)}${scale.unit && ` ${scale.unit}`}`;
}

/** "2.310 ± 0.042 GPa": the error with two figures, the value with as many decimals. Without an error the value alone. */
export function readableWithError(value: number, error: number, { factor, unit }: Scale): string {
  const end = unit && ` ${unit}`;
  const [v, e] = [value * factor, error * factor];
  if (!(e > 0) || !Number.isFinite(e) || !Number.isFinite(v)) return `${readableNumber(v)}${end}`;
  const decimals = Math.min(9, Math.max(0, 1 - Math.floor(Math.log10(e))));
  return `${v.toFixed(decimals)} ± ${e.toFixed(decimals)}${end}`.replace("-", "−");
}

/** A length, given as text in metres or with a unit of its own ("5.2e-7", "0.52 um"), in metres; NaN where unknown. */
export function metres(text: string | undefined): number {
  if (text === undefined) return NaN;
  const match = /^\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(\S*)\s*$/.exec(text);
  if (!match) return NaN;
  const [, number = "", unit = ""] = match;
  try {
    return Number(number) * (unit === "" ? 1 : parseUnit(unit).factor);
  } catch {
    return NaN; // a unit that nobody knows gives no scale bar rather than a wrong one
  }
}

/** The roundest length (1, 2, 5 × 10ⁿ) of at most `longest`. */
export function roundLength(longest: number): number {
  const power = 10 ** Math.floor(Math.log10(longest));
  return power * ([5, 2, 1].find((n) => n * power <= longest) ?? 1);
}

/** Counts of rows: "1,204", "1.2 M". */
export function readableCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`;
  return count.toLocaleString("en-GB");
}
