/**
 * What the columns of a table are, told by their headings: names and labels of BDF (Battery Data Format, ontology
 * 1.3.0: `test_time_second`, `Test Time / s`), a map that the user wrote, or common words with a unit ("Current (mA)").
 * The unit in the heading decides the conversion; without one, only BDF's own names have any.
 */
import {
  code,
  convert,
  nearest,
  own,
  scalar,
  sameUnit,
  SourceError,
  type Field,
  type Fields,
} from "../../runtime/index.ts";
import { plainName, TAKEN, type Problem } from "./echem-file.ts";
import type { TableRows } from "./text-table.ts";
import { ucumOf } from "./vendor-units.ts";

export interface Heading {
  /** As the file has it. */
  readonly vendor: string;
  /** Without its unit. */
  readonly quantity: string;
  /** UCUM; "" where there is none, or none that is known. */
  readonly unit: string;
  /** The unit as it is written there, "" where there is none. */
  readonly written: string;
}

// prettier-ignore
/** How BDF's names end, and the unit that says. */
const ENDINGS: Readonly<Record<string, string>> = {
  second: "s", millisecond: "ms", volt: "V", ampere: "A", ah: "A.h", wh: "W.h", watt: "W", ohm: "Ohm", celsius: "Cel", pa: "Pa", hertz: "Hz",
  degree: "deg", s: "s", ms: "ms", h: "h", min: "min", V: "V", mV: "mV", A: "A", mA: "mA", uA: "uA", mAh: "mA.h", Ah: "A.h", W: "W", Hz: "Hz",
};

/** What is longer names nothing, and would take long to look through. */
export const isTooLong = (text: string): boolean => text.length > 1000;

/** "Test Time / s", "Current (mA)", "U[V]", "voltage_volt" in quantity and unit. */
export function headingOf(vendor: string): Heading {
  const plain = vendor.trim();
  if (isTooLong(plain)) return { vendor, quantity: plain, written: "", unit: "" };
  // "mAh/g" is no "mAh" in grams.
  if (plain.includes("/") && unitOf(plain) !== "") return { vendor, quantity: plain, written: "", unit: unitOf(plain) };
  const bracketed = /^(.*?)\s*[([]([^()[\]]*)[)\]]\s*$/.exec(plain);
  const slashed = /^(.*\S)\s+\/\s+(\S.*)$/.exec(plain) ?? /^([^/]*[^/\s])\/([^/\s]+)$/.exec(plain);
  const ended = /^(.+)_([A-Za-z]+)$/.exec(plain);
  if (bracketed && bracketed[1] !== "") return { vendor, quantity: bracketed[1]!, written: bracketed[2]!, unit: unitOf(bracketed[2]!) };
  if (slashed && (unitOf(slashed[2]!) !== "" || slashed[2] === "1")) return { vendor, quantity: slashed[1]!, written: slashed[2]!, unit: unitOf(slashed[2]!) };
  const ending = ended ? own(ENDINGS, ended[2]!) : undefined;
  if (ended && ending !== undefined) return { vendor, quantity: ended[1]!, written: ended[2]!, unit: ending };
  return { vendor, quantity: plain, written: "", unit: "" };
} // prettier-ignore

// prettier-ignore
const WRITTEN: Readonly<Record<string, string>> = {
  C: "Cel", "\u2103": "Cel", "\ufffdC": "Cel", Sec: "s", Seconds: "s", Hr: "h", Hours: "h", Hour: "h", Ohms: "Ohm", Volts: "V", Amps: "A", Ah: "A.h", mAh: "mA.h", Wh: "W.h",
  mWh: "mW.h", As: "A.s", mAs: "mA.s", mWs: "mW.s", "Amp-hr": "A.h", "Watt-hr": "W.h",
};

/** As cyclers write them: a lone C is a temperature there, never a charge, and "mAh/V.g" is per volt and per gram. */
function unitOf(written: string): string {
  const [above = "", ...below] = written.trim().split("/");
  const plain = (unit: string): string => own(WRITTEN, unit) ?? unit;
  const whole = plain(written.trim());
  if (below.length === 0 || whole !== written.trim()) return ucumOf(whole);
  const parts = below.flatMap((part) => part.split(".")).flatMap((part) => plain(part).split("."));
  return ucumOf([plain(above), ...parts].join("/"));
}

/** A column of ours that a column of the file is to become. */
export interface Ours {
  readonly name: string;
  readonly field: Field;
  /** Unit of the file's numbers; they are converted to the field's. "" takes them as they are. */
  readonly from: string;
  readonly negative: boolean;
}

interface Known {
  readonly unit: string;
  readonly count?: true;
  /** Words for it, the surest first; none: only BDF's own names. */
  readonly words?: readonly string[];
}

export const UNIX_TIME = "unix_time_second";

// prettier-ignore
const KNOWN: Readonly<Record<string, Known>> = {
  test_time_second: { unit: "s", words: ["test time", "testtime", "total time", "cumulative time", "run time", "elapsed time", "time", "t"] },
  voltage_volt: { unit: "V", words: ["voltage", "cell voltage", "potential", "ecell", "ewe", "volts", "u", "v", "e"] },
  current_ampere: { unit: "A", words: ["current", "cell current", "amps", "i"] },
  cycle_count: { unit: "", count: true, words: ["cycle count", "cycle number", "cycle index", "cycle", "cyc count"] },
  step_count: { unit: "", count: true, words: ["step count"] },
  ambient_temperature_celsius: { unit: "Cel", words: ["ambient temperature", "chamber temperature"] },
  unix_time_second: { unit: "s", words: ["unix time", "epoch time"] },
  frequency: { unit: "Hz", words: ["frequency", "freq"] },
  z_real: { unit: "Ohm", words: ["real impedance", "re z", "zreal", "z real", "z'"] },
  z_imaginary: { unit: "Ohm", words: ["imaginary impedance", "im z", "zimag", "z imag", "z''"] },
  z_minus_imaginary: { unit: "Ohm", words: ["-im z", "minus im z", "-z''"] },
  z_modulus: { unit: "Ohm", words: ["absolute impedance", "zmod", "|z|"] },
  z_phase: { unit: "deg", words: ["impedance phase", "phase z", "zphz"] },
};

// prettier-ignore
/** BDF's names, the older ones too, for what has another name here. */
const BDF_NAMES: Readonly<Record<string, readonly [ours: string, unit: string]>> = {
  test_time_second: ["test_time_second", "s"], test_time_millisecond: ["test_time_second", "ms"], voltage_volt: ["voltage_volt", "V"],
  current_ampere: ["current_ampere", "A"], cycle_count: ["cycle_count", ""], cycle_dimensionless: ["cycle_count", ""], step_count: ["step_count", ""],
  ambient_temperature_celsius: ["ambient_temperature_celsius", "Cel"], unix_time_second: [UNIX_TIME, "s"], unix_time_millisecond: [UNIX_TIME, "ms"],
  date_time_millisecond: [UNIX_TIME, "ms"], frequency_hertz: ["frequency", "Hz"], real_impedance_ohm: ["z_real", "Ohm"],
  imaginary_impedance_ohm: ["z_imaginary", "Ohm"], absolute_impedance_ohm: ["z_modulus", "Ohm"], phase_degree: ["z_phase", "deg"],
};
// prettier-ignore
const BDF_LABELS: Readonly<Record<string, string>> = {
  "test time": "test_time_second", voltage: "voltage_volt", current: "current_ampere", "cycle count": "cycle_count", "step count": "step_count",
  "ambient temperature": "ambient_temperature_celsius", "unix time": UNIX_TIME, frequency: "frequency", "real impedance": "z_real",
  "imaginary impedance": "z_imaginary", "absolute impedance": "z_modulus", phase: "z_phase",
};
const BDF_COUNTS = new Set(["record_index", "step_index", "step_id", "step_record_index"]);

export const REQUIRED = ["test_time_second", "voltage_volt", "current_ampere"] as const;
const EXAMPLES = { test_time_second: "Time [h]", voltage_volt: "U [V]", current_ampere: "I [mA]" } as const;

const words = (text: string): string => text.trim().replace(/[_\s]+/g, " ").toLowerCase(); // prettier-ignore
const isLabel = (heading: Heading): boolean => / \/ /.test(heading.vendor) && heading.written !== "";

/** Which of BDF's columns a heading is by BDF's own words; undefined where by none. */
export function bdfColumn(heading: Heading): readonly [ours: string, unit: string] | undefined {
  const named = own(BDF_NAMES, heading.vendor.trim());
  if (named) return named;
  const ours = isLabel(heading) ? own(BDF_LABELS, words(heading.quantity)) : undefined;
  if (!ours) return undefined;
  const { unit } = KNOWN[ours]!;
  if (unit === "") return [ours, ""];
  return isLike(heading.unit, unit) ? [ours, heading.unit] : undefined;
}

/** True where a table says what it is by BDF's own words. */
export const isBdf = (headings: readonly Heading[]): boolean =>
  REQUIRED.every((name) => headings.some((heading) => bdfColumn(heading)?.[0] === name));

function isLike(a: string, b: string): boolean {
  if (a === "" || b === "") return false;
  try {
    convert(1, a, b);
    return true;
  } catch {
    return false;
  }
}

export interface Mapping {
  /** One a heading, in their order. */
  readonly columns: readonly Ours[];
  /** How it was told, for the metadata. */
  readonly by: string;
  /** Of voltage and current that the user's map does not have, and no word tells. */
  readonly problems: readonly Problem[];
}

/** Common words with a unit that fits; the surest word of each. */
function byWords(headings: readonly Heading[], name: string, taken: ReadonlySet<number>): number {
  const { unit, words: known = [] } = KNOWN[name]!;
  for (const word of known) {
    const at = headings.findIndex((heading, i) => !taken.has(i) && words(heading.quantity) === word && (unit === "" ? true : isLike(heading.unit, unit)));
    if (at >= 0) return at;
  }
  return -1;
} // prettier-ignore

/** True where a heading alone tells that it is test time, voltage or current. */
export const isTold = (heading: Heading): boolean =>
  REQUIRED.some((name) => bdfColumn(heading)?.[0] === name || byWords([heading], name, new Set()) === 0);

/** True where test time, voltage and current can be told by the headings alone. */
export function canBeTold(headings: readonly Heading[], durations: ReadonlySet<number> = new Set()): boolean {
  if (isBdf(headings)) return true;
  return REQUIRED.every((name) => byWords(asDurations(headings, durations), name, new Set()) >= 0);
}

/** A time written as hours, minutes and seconds has its unit in how it is written. */
const asDurations = (headings: readonly Heading[], durations: ReadonlySet<number>): Heading[] =>
  headings.map((heading, i) => (durations.has(i) ? { ...heading, unit: "s" } : heading));

/**
 * Our columns, one a heading. `wanted` is the user's map of ours to theirs, with a "-" before theirs where it counts the other
 * way; `durations` are the columns whose cells are times such as 01:30:00. Throws SourceError where the map names what is not
 * there, and where test time, voltage or current are not told by anything.
 */
export function mapColumns(given: readonly Heading[], wanted: Readonly<Record<string, string>>, durations: ReadonlySet<number> = new Set()): Mapping {
  const headings = asDurations(given, durations);
  const found = new Map<number, Ours>();
  const has = (name: string): boolean => [...found.values()].some((ours) => ours.name === name);
  const add = (at: number, name: string, from: string, negative = false): void =>
    void found.set(at, { name, from, negative, field: fieldOf(name, headings[at]!.vendor, from) });

  for (const [name, theirs] of Object.entries(wanted)) {
    const { at, unit, negative } = find(headings, name, theirs);
    if (found.has(at)) throw new SourceError(`columns: ${name} and ${found.get(at)!.name} are both to be "${headings[at]!.vendor}"; name another for one of them`);
    const target = own(KNOWN, name)?.unit ?? "";
    if (target !== "" && unit !== "" && !isLike(unit, target)) throw new SourceError(`columns: ${name} is in ${target}, and "${headings[at]!.vendor}" in ${unit}, which measures something else`);
    if (target !== "" && unit === "") throw new SourceError(`columns: "${headings[at]!.vendor}" has no unit; write the one it is in behind it, as in { ${name}: "${headings[at]!.quantity} [${target}]" }`);
    add(at, name, unit, negative);
  }
  const bdf = isBdf(headings) || REQUIRED.some((name) => headings.some(({ vendor }) => vendor.trim() === name));
  headings.forEach((heading, at) => {
    const known = bdfColumn(heading);
    if (known && !found.has(at) && !has(known[0])) add(at, known[0], known[1]);
  });
  for (const name of Object.keys(KNOWN)) {
    if (has(name) || (bdf && !(REQUIRED as readonly string[]).includes(name))) continue;
    const at = byWords(headings, name, new Set(found.keys()));
    if (at >= 0) add(at, name, KNOWN[name]!.unit === "" ? "" : headings[at]!.unit);
  }
  const mapped = Object.keys(wanted).length > 0;
  const missing = REQUIRED.filter((name) => !has(name));
  for (const name of missing) if (!mapped || name === "test_time_second") notTold(name, headings, [...found.values()]);

  const taken = new Set([...TAKEN, ...[...found.values()].map(({ name }) => name)]);
  const columns: Ours[] = [];
  // BDF's own columns have their names before the vendor's beside them, which may be called alike.
  const isOwn = ({ vendor, written }: Heading): boolean => isLabel(headingOf(vendor)) || (written !== "" && /^[a-z0-9_]+$/.test(vendor));
  for (const own of [true, false])
    headings.forEach((heading, at) => {
      const ours = found.get(at);
      if (ours) columns[at] = ours;
      else if ((bdf && isOwn(heading)) === own) {
        const name = free(vendorName(heading, bdf), taken);
        taken.add(name);
        const field = bdf && BDF_COUNTS.has(name) ? counting(heading.vendor) : scalar(heading.unit, { vendor_name: heading.vendor });
        columns[at] = { name, field, from: "", negative: false };
      }
    });
  const problems = missing.map((name) => ({ where: "columns", what: `none is ${name}, so it is missing in all rows; if one is, name it: { ${name}: "${EXAMPLES[name]}" }` }));
  return { columns, by: mapped ? "the columns option" : bdf ? "BDF" : "words and units of the heading", problems };
} // prettier-ignore

export const NO_COUNT = -1;
const counting = (vendor_name: string): Field =>
  code({ codes: { [NO_COUNT]: "not in the file" }, vendor_name });

function fieldOf(name: string, vendor_name: string, from: string): Field {
  const known = own(KNOWN, name);
  if (known?.count) return counting(vendor_name);
  return scalar(known?.unit ?? from, { vendor_name, ...(name === "current_ampere" && { doc: "positive on charge" }) }); // prettier-ignore
}

const SUFFIXES: Readonly<Record<string, string>> = {
  "A.h": "ah", "W.h": "wh", Ohm: "ohm", Cel: "celsius", s: "second", W: "watt", V: "volt", A: "ampere", Pa: "pa", Hz: "hertz", deg: "degree",
}; // prettier-ignore

function vendorName(heading: Heading, bdf: boolean): string {
  const { vendor, quantity, unit, written } = heading;
  // BDF's label and its name are the same column: "Charging Capacity / Ah" is charging_capacity_ah.
  const suffix = bdf && isLabel(heading) && written !== "1" ? SUFFIXES[unit] : undefined;
  if (suffix) return `${plainName(quantity)}_${suffix}`;
  const ended = written !== "" && vendor.trim() === `${quantity}_${written}`;
  return plainName((ended ? vendor : quantity).replace(/\//g, " "));
}

/** The name, or with a number behind it where another column has it. */
export function free(name: string, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n++) {
    const tried = n === 1 ? name : `${name}_${n}`;
    if (!taken.has(tried)) return tried;
  }
}

function find(headings: readonly Heading[], name: string, theirs: string): { at: number; unit: string; negative: boolean } {
  for (const negative of [false, true]) {
    if (negative && !theirs.trimStart().startsWith("-")) break;
    const wanted = negative ? theirs.trimStart().slice(1).trimStart() : theirs;
    const exact = headings.findIndex(({ vendor }) => vendor.trim() === wanted.trim());
    if (exact >= 0) return { at: exact, unit: headings[exact]!.unit, negative };
    const { quantity, unit, written } = headingOf(wanted);
    if (written !== "" && unit === "") throw new SourceError(`columns: ${name}: nobody knows the unit "${written}"; write it as in "Time [h]" or "I [mA]"`);
    const sameCase = headings.findIndex((heading) => heading.vendor.trim() === quantity || heading.quantity === quantity);
    const alike = sameCase >= 0 ? sameCase : headings.findIndex((heading) => words(heading.vendor) === words(quantity) || words(heading.quantity) === words(quantity));
    if (alike < 0) continue;
    const own = headings[alike]!.unit;
    if (unit !== "" && own !== "" && !sameUnit(unit, own)) throw new SourceError(`columns: ${name} is to be in ${unit}, but the file says that "${headings[alike]!.vendor}" is in ${own}; leave the unit away`);
    return { at: alike, unit: unit || own, negative };
  }
  const names = headings.map(({ vendor }) => vendor.trim());
  const near = nearest(theirs, names);
  throw new SourceError(`columns: ${name} is to be "${theirs}", which is none of the file's columns: ${listed(names)}${near ? `; did you mean "${near}"?` : ""}`);
} // prettier-ignore

const listed = (names: readonly string[]): string => names.map((name) => `"${name}"`).slice(0, 40).join(", ") + (names.length > 40 ? ` and ${names.length - 40} more` : ""); // prettier-ignore

function notTold(name: (typeof REQUIRED)[number], headings: readonly Heading[], found: readonly Ours[]): never {
  const told = found.map((ours) => `${ours.name} is "${ours.field.vendor_name ?? ""}"`).join(", ");
  throw new SourceError(
    `none of its columns says by its heading, with a unit, that it is ${name}: ${listed(headings.map(({ vendor }) => vendor.trim()))}${told ? ` (${told})` : ""}; ` +
      `write which it is, with the unit it is in: columns: { ${name}: "${EXAMPLES[name]}" }`,
  );
} // prettier-ignore

/** Converts numbers in place from the file's unit to ours. */
export function toOurs(values: Float64Array, { from, field, negative }: Ours): void {
  const { unit: to } = field;
  if (from !== "" && to !== "" && from !== to) {
    const [up, down] = [convert(1, from, to), convert(1, to, from)];
    // Division by a whole number is exact where multiplication by a rounded reciprocal is not.
    if (convert(0, from, to) !== 0) for (let i = 0; i < values.length; i++) values[i] = convert(values[i]!, from, to);
    else if (up < 1) for (let i = 0; i < values.length; i++) values[i]! /= down;
    else for (let i = 0; i < values.length; i++) values[i]! *= up;
  }
  if (negative) for (let i = 0; i < values.length; i++) values[i] = -values[i]!;
} // prettier-ignore

/** Counts as integers; what is none is missing. Returns how many were there and none. */
export function toCounts(values: ArrayLike<number>): { counts: Int32Array; wrong: number } {
  const counts = new Int32Array(values.length);
  let wrong = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const whole = value === (value | 0);
    counts[i] = whole ? value : NO_COUNT;
    if (!whole && !Number.isNaN(value)) wrong++;
  }
  return { counts, wrong };
}

/** Of counts that are none, from the first row of this table on. */
export const noCounts = ({ lines }: Pick<TableRows, "lines">, { field }: Ours, count: number): Problem => ({
  where: `line ${lines[0]}`, unread: true, count,
  what: `column "${field.vendor_name}" has ${count} values from here on that are no whole numbers, and are missing`,
}); // prettier-ignore

/** BDF's columns first. */
export function inOrder(columns: readonly Ours[]): Fields {
  const all: Record<string, Field> = Object.fromEntries(columns.map(({ name, field }) => [name, field]));
  const missing: Field = { kind: "scalar", type: "f64", unit: "", doc: "not measured in this file" };
  const { test_time_second, voltage_volt = { ...missing, unit: "V" }, current_ampere = { ...missing, unit: "A" }, ...others } = all;
  return { ...(test_time_second && { test_time_second }), voltage_volt, current_ampere, ...others };
} // prettier-ignore
