/** What an `.mpt` says above its headings, under the names that the `.mpr` has for it where it has any. */
import { own } from "../../runtime/index.ts";
import { clockFace } from "./text-reader.ts";

export interface MptHeader {
  /** Clock face at test time 0, ns, as if it were UTC. */
  readonly start: bigint | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

// prettier-ignore
const TECHNIQUES: Readonly<Record<string, string>> = {
  "Galvanostatic Cycling with Potential Limitation": "GCPL", "Cyclic Voltammetry": "CV", "Open Circuit Voltage": "OCV",
  "Modular Potentio": "MP", "Modular Galvano": "MG", "Chronoamperometry / Chronocoulometry": "CA", Chronopotentiometry: "CP", Wait: "WAIT",
  "Potentio Electrochemical Impedance Spectroscopy": "PEIS", "Galvano Electrochemical Impedance Spectroscopy": "GEIS",
  "IR compensation (PEIS)": "ZIR", "Cyclic Voltammetry Advanced": "CVA", "Linear Sweep Voltammetry": "LSV",
  "Constant Voltage": "CoV", "Constant Current": "CoC", "Modulo Bat": "MB", "Battery Capacity Determination": "BCD",
};

/** "Key : value" lines by what stands before the colon. */
const KEYS: Readonly<Record<string, string>> = {
  comments: "comments",
  user: "user",
  "electrode material": "electrode_material",
  "initial state": "initial_state",
  electrolyte: "electrolyte",
  "reference electrode": "reference_electrode",
  "electrode connection": "electrode_connection",
  "potential control": "potential_control",
  "mass of active material": "active_mass",
  "molecular weight of active material (at x = 0)": "molecular_weight",
  "atomic weight of intercalated ion": "ion_weight",
  "electrode surface area": "electrode_area",
  "characteristic mass": "characteristic_mass",
  "battery capacity": "nominal_capacity",
  "cycle definition": "cycle_definition",
  file: "original_file",
  "loaded setting file": "setting_file",
  "technique started on": "technique_started",
  "modify on": "modified_by_hand",
};

/** Numbers that EC-Lab fills in where nobody entered any. */
const ENTERED = new Set(["active_mass", "molecular_weight", "ion_weight", "electrode_area", "characteristic_mass", "nominal_capacity"]); // prettier-ignore
const SETTING_WIDTH = 20;

export function headerMetadata(lines: readonly string[]): MptHeader {
  const metadata: Record<string, string> = {};
  let start: bigint | undefined;
  const say = (key: string, value: string | undefined): void => {
    if (value && value !== "(unspecified)") metadata[key] = value;
  };
  // Line 1 and 2 say what it is, the last is the headings.
  const about = lines.length > 3 ? lines.slice(2, -1) : [];
  const technique = about.find((line) => line.trim() !== "")?.trim();
  say("technique", technique && (own(TECHNIQUES, technique) ?? technique));
  const loops: string[] = [];
  for (const line of about) {
    const colon = line.search(/:(\s|$)/);
    const [key, value] = colon < 0 ? ["", ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    const known = own(KEYS, key.toLowerCase());
    const serial = /^([^(]*)\(SN\s*(\w+)\)/.exec(value);
    const loop = /^Loop \d+ from point number (\d+) to \d+/i.exec(line.trim());
    const software = /^(?:EC|BT)-Lab for windows v(\S+)/i.exec(line.trim());
    const firmware = /^Internet server v(\S+)/i.exec(line.trim());
    if (/^acquisition started on$/i.test(key)) start = clockFace(value, "month first");
    else if (/^run on channel$/i.test(key)) {
      say("channel", serial?.[1]!.trim() ?? value);
      say("channel_serial", serial?.[2]);
    } else if (/^device$/i.test(key)) {
      say("device", serial?.[1]!.trim() ?? value);
      say("device_serial", serial?.[2]);
    } else if (software) say("software_version", software[1]);
    else if (firmware) say("firmware_version", firmware[1]);
    else if (loop) loops.push(loop[1]!);
    else if (known === "comments" && metadata["comments"]) say(known, `${metadata["comments"]}\n${value}`);
    else if (known && ENTERED.has(known)) say(known, entered(value));
    else if (known) say(known, value);
    else if (!line.includes(" : ") && !line.trim().endsWith(")")) setting(line, say);
  }
  if (loops.length > 0) say("loops_from_row", loops.join(", "));
  return { start, metadata };
}

/** "Is                  0,000               30,000": a name and a value a sequence, in columns of a fixed width. */
function setting(line: string, say: (key: string, value: string) => void): void {
  const name = line.slice(0, SETTING_WIDTH);
  if (line.length <= SETTING_WIDTH || !/^\S.* $/.test(name)) return;
  const values: string[] = [];
  for (let at = SETTING_WIDTH; at < line.length; at += SETTING_WIDTH)
    values.push(line.slice(at, at + SETTING_WIDTH).trim());
  while (values.at(-1) === "") values.pop();
  const key = name.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, ""); // prettier-ignore
  if (key && values.length > 0) say(`setting_${key}`, values.join(" | "));
}

/** A number with its unit, with a point; 0 and 0.001 stand where nobody entered anything. */
function entered(value: string): string | undefined {
  const [, written, unit = ""] = /^([-+\d.,]+)\s*(.*)$/.exec(value) ?? [];
  const number = Number(written?.replace(",", "."));
  if (!(number > 0) || number === 0.001) return undefined;
  return `${number} ${unit.replace("²", "2").replace("³", "3").replace("µ", "u")}`.trim();
}
