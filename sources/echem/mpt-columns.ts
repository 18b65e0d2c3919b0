/**
 * Columns of EC-Lab's and BT-Lab's text exports by what stands in their heading: those of the `.mpr` under the names that they have
 * there, so that both formats give the same stream, and those that only the export has (derived on the way out).
 */
import { own, scalar, type Field } from "../../runtime/index.ts";
import { free } from "./column-map.ts";
import { TAKEN } from "./echem-file.ts";
import { FLAGS, isNameless, vendorColumn, type Storage } from "./mpr-columns.ts";
import type { TextColumn } from "./text-table.ts";
import { ucumOf } from "./vendor-units.ts";

export interface MptColumn extends TextColumn {
  readonly type: Storage | "skip";
  readonly field: Field;
}

type Known = Pick<MptColumn, "name" | "field"> & { readonly type: Storage };

/** Ids of the columns above those that have been seen. */
const IDS_END = 1024;

/** Headings as they are compared: "µ" and "°" arrive in any encoding, and in some files broken for good. */
const plainHeading = (heading: string): string => heading.replace(/[^ -~]+/g, "?").trim();

const KNOWN = new Map<string, Known>();
for (let id = 0; id < IDS_END; id++) {
  const flag = FLAGS.get(id);
  if (flag) KNOWN.set(plainHeading(flag.field.vendor_name!), { name: flag.name, type: "u8", field: flag.field });
  const column = isNameless(id) ? undefined : vendorColumn(id);
  if (!column) continue;
  const key = plainHeading(column.field.vendor_name!);
  // Of a quantity that the .mpr has in two widths, the wider one loses nothing.
  if (KNOWN.get(key)?.type !== "f64") KNOWN.set(key, column);
} // prettier-ignore

/** The same by another name, in other versions of the software or for other cells. */
const ALSO: Readonly<Record<string, string>> = {
  "Ecell/V": "Ewe/V",
  "<Ecell>/V": "<Ewe>/V",
  "<Ecell/V>": "<Ewe>/V",
  "<Ewe/V>": "<Ewe>/V",
  "<Ece/V>": "<Ece>/V",
  "<I/mA>": "<I>/mA",
  "Pwe/W": "P/W",
  "Energy we charge/W.h": "Energy charge/W.h",
  "Energy we discharge/W.h": "Energy discharge/W.h",
};

/** What only the export has, where the heading alone would not make a good name. */
const DERIVED: Readonly<Record<string, readonly [name: string, unit: string]>> = {
  x: ["x", "1"],
  "R/Ohm": ["resistance", "Ohm"],
  "Rwe/Ohm": ["resistance", "Ohm"],
  "Rce/Ohm": ["resistance_ce", "Ohm"],
  "Rwe-ce/Ohm": ["resistance_we_ce", "Ohm"],
  "Pce/W": ["power_ce", "W"],
  "Pwe-ce/W": ["power_we_ce", "W"],
};

const ANALOG = /^Analog IN \d/;
const UNIT_OF_ANALOG =
  "in the unit that was entered for this input; the export says V whatever it is, so none is given";

/** The column under a heading; of none, one to pass over. */
export function mptColumn(heading: string): MptColumn {
  const vendor_name = heading.trim();
  const plain = plainHeading(heading);
  if (plain === "") return { name: "", type: "skip", field: scalar("") };
  const known = KNOWN.get(own(ALSO, plain) ?? plain);
  const analog = known && ANALOG.test(plain);
  if (known)
    return { ...known, field: { ...known.field, vendor_name, ...(analog && { unit: "", doc: UNIT_OF_ANALOG }) } };
  const [name, unit] = own(DERIVED, plain) ?? derivedName(vendor_name);
  return { name, type: "f64", field: scalar(unit, { vendor_name }) };
} // prettier-ignore

/** The columns under a line of headings, each by a name of its own. */
export function mptColumns(headings: readonly string[]): MptColumn[] {
  const taken = new Set<string>();
  return headings.map((heading) => {
    const column = mptColumn(heading);
    if (column.type === "skip") return column;
    const name = free(column.name, taken);
    taken.add(name);
    return { ...column, name };
  });
}

/** "Re(Y)/Ohm-1" to y_real, "|C|/nF" to c_modulus, "<Ewe-Ece>/V" to ewe_minus_ece_mean, "Tan(Delta)" to tan_delta. */
function derivedName(heading: string): readonly [name: string, unit: string] {
  const [title, unit] = titleAndUnit(heading);
  const part = /^(-?)(Re|Im|Phase)\((.+)\)$/.exec(title);
  const [, minus, which, inner] = part ?? [];
  const modulus = /^\|(.+)\|$/.exec(title)?.[1];
  const mean = /^<(.+)>$/.exec(title)?.[1];
  const ending = { Re: "real", Im: "imaginary", Phase: "phase" }[which ?? ""];
  const name =
    ending ? `${inner}_${minus ? "minus_" : ""}${ending}`
    : modulus ? `${modulus}_modulus`
    : mean ? `${mean.replace("-", " minus ")}_mean`
    : title; // prettier-ignore
  const snake = name.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, ""); // prettier-ignore
  const usable = /^[a-z]/.test(snake) ? snake : `column_${snake || "unnamed"}`;
  return [TAKEN.has(usable) ? `vendor_${usable}` : usable, unit];
}

/** A heading is title/unit, but both may have a slash in them: the longest end that is a unit is it. */
function titleAndUnit(heading: string): [title: string, unit: string] {
  for (let slash = heading.indexOf("/"); slash >= 0; slash = heading.indexOf("/", slash + 1)) {
    const unit = ucumOf(heading.slice(slash + 1));
    if (unit !== "") return [heading.slice(0, slash), unit];
  }
  return [heading, ""];
}

/** True where a line is a heading of such an export: with its time, and something else that only BioLogic calls so. */
export function isMptHeading(line: string): boolean {
  const headings = line.split("\t").map(plainHeading);
  const known = headings.filter((one) => KNOWN.has(own(ALSO, one) ?? one)).length;
  return headings.includes("time/s") && known >= 3 && 2 * known > headings.length;
}
