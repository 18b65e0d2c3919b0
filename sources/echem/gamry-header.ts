/**
 * What a Gamry `.DTA` says outside its tables, a key a line:
 *
 *     KEY <tab> TYPE <tab> VALUE (<tab> more values) <tab> label        TAG <tab> VALUE        KEY <tab> NOTES <tab> n, then n lines
 */
import { own } from "../../runtime/index.ts";
import type { Problem, Start } from "./echem-file.ts";
import { clockFace, dateOrder, isEitherWay } from "./text-reader.ts";

export interface GamryHeader {
  readonly start: Start | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly problems: readonly Problem[];
}

/** Key of a line, its values, and how many lines below belong to it; undefined where it is none. */
export interface HeaderLine {
  readonly key: string;
  readonly type: string;
  readonly values: readonly string[];
  readonly notes: number;
}

/** Values that a type has before its label. */
const VALUES: Readonly<Record<string, number>> = { TWOPARAM: 3, POTEN: 2 };
const NUMBERS = new Set(["QUANT", "IQUANT", "POTEN", "TWOPARAM"]);
const MOST_NOTES = 10_000;

export function headerLine(line: string): HeaderLine | undefined {
  if (!/^[^\s]/.test(line)) return undefined;
  const [key = "", type = "", ...rest] = line.split("\t").map((cell) => cell.trim());
  if (key === "TAG") return { key, type: "LABEL", values: [type], notes: 0 };
  const values = rest.slice(0, own(VALUES, type) ?? 1);
  const numbers = NUMBERS.has(type) ? values.map((value) => value.replace(",", ".")) : values;
  const notes = type === "NOTES" ? Math.min(MOST_NOTES, Math.max(0, Math.trunc(Number(rest[0])) || 0)) : 0;
  return { key, type, values: numbers, notes };
} // prettier-ignore

const NAMES: Readonly<Record<string, string>> = {
  TAG: "technique",
  TITLE: "test_name",
  PSTAT: "device",
  PSTATSERIALNO: "device_serial",
  FRAMEWORKVERSION: "software_version",
  INSTRUMENTVERSION: "firmware_version",
};
const WITH_UNIT: Readonly<Record<string, readonly [name: string, unit: string]>> = {
  AREA: ["electrode_area", "cm2"],
  EOC: ["open_circuit_voltage", "V"],
};
const NOT_SETTINGS = new Set(["EXPLAIN", "DATE", "TIME", "EXPERIMENTABORTED"]);

export function gamryHeader(lines: readonly string[]): GamryHeader {
  const metadata: Record<string, string> = {};
  const dates: string[] = [];
  let date: { written: string; line: number } | undefined;
  let time: string | undefined;
  let commas = false;
  for (let i = 0; i < lines.length; i++) {
    const said = headerLine(lines[i]!);
    if (!said || said.type === "TABLE") continue;
    const { key, type, values, notes } = said;
    const value = values[0] ?? "";
    if (NUMBERS.has(type) && /\t[-+]?\d*,\d/.test(lines[i]!)) commas = true;
    if (key === "DATE") date ??= { written: value, line: i + 1 };
    if (key === "TIME") time ??= value;
    if (key.endsWith("CALDATE")) dates.push(value);
    const name = own(NAMES, key);
    const withUnit = own(WITH_UNIT, key);
    if (notes > 0) {
      const text = lines.slice(i + 1, i + 1 + notes).map((line) => line.trim()).join("\n").trim(); // prettier-ignore
      if (text) metadata["comments"] = text;
      i += notes;
    } else if (name && value) metadata[name] = value;
    else if (withUnit && Number.isFinite(Number(value)))
      metadata[withUnit[0]] = `${Number(value)} ${withUnit[1]}`;
    else if (!NOT_SETTINGS.has(key) && type !== "NOTES" && value)
      metadata[`setting_${key.toLowerCase().replace(/[^a-z0-9]+/g, "_")}`] = values.join(" | ");
  }
  const { face, doubt } = startOf(date?.written, time, dates, commas);
  return {
    start: face === undefined ? undefined : { face },
    metadata,
    problems: date && doubt ? [{ where: `line ${date.line}`, what: doubt }] : [],
  };
}

/** Windows writes dates as the machine's language has them. What else the file says tells which comes first. */
function startOf(date: string | undefined, time: string | undefined, others: readonly string[], commas: boolean) {
  if (date === undefined || time === undefined) return {};
  const told = [date, ...others].map(dateOrder).find((order) => order !== undefined);
  const order = told ?? (commas ? "day first" : "month first");
  const face = clockFace(`${date} ${time}`, order);
  if (face === undefined)
    return { doubt: `DATE ${JSON.stringify(date)} with TIME ${JSON.stringify(time)} is no date; the start is not known` };
  const doubt =
    told || !isEitherWay(date) ? undefined
    : `DATE ${JSON.stringify(date)} is read as ${order === "day first" ? "day/month, since its numbers have decimal commas" : "month/day"}; nothing else in the file tells which comes first. If it is the other way round, say when it began with start`;
  return { face, doubt };
} // prettier-ignore
