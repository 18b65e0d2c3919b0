/**
 * Units of measure, after UCUM (Schadow & McDonald, The Unified Code for Units of Measure, v2.1):
 * symbols with decimal prefixes, exponents, `.` and `/`, annotations in braces. Case matters.
 * Offsets (degree Celsius) are kept for conversion of single values. Also runs in the browser.
 */
import { own } from "./own.ts";

const PREFIXES: Record<string, number> = {
  Y: 1e24, Z: 1e21, E: 1e18, P: 1e15, T: 1e12, G: 1e9, M: 1e6, k: 1e3, h: 1e2, da: 1e1,
  d: 1e-1, c: 1e-2, m: 1e-3, u: 1e-6, n: 1e-9, p: 1e-12, f: 1e-15, a: 1e-18,
}; // prettier-ignore

/** Powers of metre, gram, second, radian, kelvin, coulomb, mole. */
type Dimension = readonly [number, number, number, number, number, number, number];
interface Atom { factor: number; dimension: Dimension; prefixable: boolean; offset?: number } // prettier-ignore

const atom = (factor: number, dimension: Dimension, prefixable = true): Atom => ({
  factor,
  dimension,
  prefixable,
});
const NONE: Dimension = [0, 0, 0, 0, 0, 0, 0];

const ATOMS: Record<string, Atom> = {
  m: atom(1, [1, 0, 0, 0, 0, 0, 0]),
  g: atom(1, [0, 1, 0, 0, 0, 0, 0]),
  s: atom(1, [0, 0, 1, 0, 0, 0, 0]),
  rad: atom(1, [0, 0, 0, 1, 0, 0, 0]),
  K: atom(1, [0, 0, 0, 0, 1, 0, 0]),
  C: atom(1, [0, 0, 0, 0, 0, 1, 0]),
  mol: atom(1, [0, 0, 0, 0, 0, 0, 1]),
  Cel: { ...atom(1, [0, 0, 0, 0, 1, 0, 0]), offset: 273.15 },
  min: atom(60, [0, 0, 1, 0, 0, 0, 0], false),
  h: atom(3600, [0, 0, 1, 0, 0, 0, 0], false),
  d: atom(86400, [0, 0, 1, 0, 0, 0, 0], false),
  deg: atom(Math.PI / 180, [0, 0, 0, 1, 0, 0, 0], false),
  Hz: atom(1, [0, 0, -1, 0, 0, 0, 0]),
  N: atom(1e3, [1, 1, -2, 0, 0, 0, 0]),
  Pa: atom(1e3, [-1, 1, -2, 0, 0, 0, 0]),
  bar: atom(1e8, [-1, 1, -2, 0, 0, 0, 0]),
  J: atom(1e3, [2, 1, -2, 0, 0, 0, 0]),
  W: atom(1e3, [2, 1, -3, 0, 0, 0, 0]),
  eV: atom(1.602176634e-16, [2, 1, -2, 0, 0, 0, 0]),
  A: atom(1, [0, 0, -1, 0, 0, 1, 0]),
  V: atom(1e3, [2, 1, -2, 0, 0, -1, 0]),
  Ohm: atom(1e3, [2, 1, -1, 0, 0, -2, 0]),
  S: atom(1e-3, [-2, -1, 1, 0, 0, 2, 0]),
  F: atom(1e-3, [-2, -1, 2, 0, 0, 2, 0]),
  H: atom(1e3, [2, 1, 0, 0, 0, -2, 0]),
  L: atom(1e-3, [3, 0, 0, 0, 0, 0, 0]),
  l: atom(1e-3, [3, 0, 0, 0, 0, 0, 0]),
  By: { ...atom(1, NONE), prefixable: true },
  "%": atom(1e-2, NONE, false),
  "[ppm]": atom(1e-6, NONE, false),
}; // prettier-ignore

/** What people write, and what UCUM calls it. */
const SPELLINGS: Record<string, string> = {
  "°": "deg", "°C": "Cel", degC: "Cel", Ah: "A.h", mAh: "mA.h", Wh: "W.h", mWh: "mW.h", Ω: "Ohm", ohm: "Ohm",
  px: "{px}", count: "{count}", frame: "{frame}", "": "1",
}; // prettier-ignore

export interface Unit {
  /** Multiply by this to reach metres, grams, seconds, radians, kelvins, coulombs and moles. */
  readonly factor: number;
  readonly offset: number;
  readonly dimension: Dimension;
  /** What is counted, as in "{count}": two counts of different things do not mix. */
  readonly counted: string;
}

function parseAtom(symbol: string): Atom | undefined {
  const plain = own(ATOMS, symbol);
  if (plain) return plain;
  for (const length of [1, 2]) {
    const prefix = PREFIXES[symbol.slice(0, length)];
    const rest = own(ATOMS, symbol.slice(length));
    if (prefix && rest?.prefixable && rest.offset === undefined)
      return { ...rest, factor: rest.factor * prefix };
  }
  return undefined;
}

const speltOut = (text: string): string => own(SPELLINGS, text) ?? text;

const parsed = new Map<string, Unit>();

/** Reads a unit. Throws RangeError naming the part that it does not know. */
export function parseUnit(text: string): Unit {
  const known = parsed.get(text);
  if (known) return known;
  const spelled = speltOut(text.trim()).replaceAll("µ", "u").replaceAll("μ", "u").replaceAll("·", ".");
  let factor = 1;
  let offset = 0;
  let counted = "";
  const dimension: number[] = [...NONE];
  const parts = [...spelled.matchAll(/([./]?)([^./{}[\]]*(?:\[[^\]]*\])?[^./{}[\]]*)(\{[^}]*\})?/g)].filter(
    (p) => p[0],
  );
  if (parts.map((p) => p[0]).join("") !== spelled) throw new RangeError(`"${text}" is not a unit`);
  for (const [, operator, body = "", annotation] of parts) {
    const sign = operator === "/" ? -1 : 1;
    if (annotation && !body) {
      counted += sign < 0 ? `/${annotation}` : annotation;
      continue;
    }
    const match = /^(.*?)([+-]?\d+)?$/.exec(body)!;
    let [, symbol = "", exponent = "1"] = match;
    if (symbol === "") {
      if (Number(exponent) !== 1) throw new RangeError(`"${text}" is not a unit: ${exponent} has no symbol`);
      continue;
    }
    const base = parseAtom(speltOut(symbol)) ?? parseAtom(symbol);
    if (!base) throw new RangeError(`"${text}" is not a unit: nobody knows "${symbol}"`);
    const power = sign * Number(exponent);
    factor *= base.factor ** power;
    if (base.offset !== undefined && parts.length === 1 && power === 1) offset = base.offset;
    base.dimension.forEach((d, i) => (dimension[i]! += d * power));
  }
  const unit: Unit = { factor, offset, dimension: dimension as unknown as Dimension, counted };
  if (parsed.size < 1000) parsed.set(text, unit);
  return unit;
}

/** True where both measure the same kind of quantity, whatever the scale. */
export function sameDimension(a: string, b: string): boolean {
  const [x, y] = [parseUnit(a), parseUnit(b)];
  return x.counted === y.counted && x.dimension.every((d, i) => d === y.dimension[i]);
}

/** True where numbers in the one unit can be read as numbers in the other. */
export function sameUnit(a: string, b: string): boolean {
  if (a === b) return true;
  if (a === "" || b === "") return false;
  const [x, y] = [parseUnit(a), parseUnit(b)];
  return sameDimension(a, b) && x.offset === y.offset && Math.abs(x.factor / y.factor - 1) < 1e-12;
}

/** A value in unit `from`, in unit `to`. Throws RangeError where the two measure different things. */
export function convert(value: number, from: string, to: string): number {
  if (from === to) return value;
  if (!sameDimension(from, to)) throw new RangeError(`${from} cannot be converted to ${to}`);
  const [x, y] = [parseUnit(from), parseUnit(to)];
  if (x.offset === 0 && y.offset === 0) {
    // Division by a whole number keeps powers of ten exact where multiplication by a rounded reciprocal does not.
    return x.factor < y.factor ? value / whole(y.factor / x.factor) : value * whole(x.factor / y.factor);
  }
  return ((value + x.offset) * x.factor) / y.factor - y.offset;
}

/** The whole number that a ratio of two rounded factors stands for, if it stands for one. */
function whole(ratio: number): number {
  const nearest = Math.round(ratio);
  return Math.abs(ratio - nearest) < 1e-12 * ratio ? nearest : ratio;
}

/** Reads "180 deg" or "10nm" as a number in `unit`. Throws RangeError that says what is allowed. */
export function parseQuantity(text: string, unit: string): number {
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$/.exec(text);
  if (!match) throw new RangeError(`"${text}" is not a number with a unit, such as "10 ${unit}"`);
  const [, number = "", written = ""] = match;
  if (written === "" && !/^(1|\{.*\})$/.test(unit)) {
    throw new RangeError(`"${text}" has no unit; write "${number} ${unit}"`);
  }
  return convert(Number(number), written === "" ? unit : (SPELLINGS[written] ?? written), unit);
}
