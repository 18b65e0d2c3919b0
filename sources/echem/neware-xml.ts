/** What the XML beside the tables of an `.ndax` says of the test. Only attributes are read: broken XML still has them. */
import type { Problem, Start } from "./echem-file.ts";

export interface XmlEntry {
  readonly name: string;
  readonly text: string;
  readonly problem?: Problem;
}

/** In the encoding that the entry says, mostly GB 2312; bytes that are none of it are read as Latin text. */
export function xmlText(name: string, bytes: Uint8Array): XmlEntry {
  const head = String.fromCharCode(...bytes.subarray(0, 128));
  const says = /encoding="([^"]+)"/i.exec(head)?.[1]?.toLowerCase() ?? "gb2312";
  const encoding = says.startsWith("utf") ? "utf-8" : "gb18030";
  try {
    return { name, text: new TextDecoder(encoding, { fatal: true }).decode(bytes) };
  } catch {
    const text = new TextDecoder("windows-1252").decode(bytes);
    const what = `is not in the ${says} that it says; it is read as Latin text, and some names may be wrong`;
    return { name, text, problem: { where: `entry ${name}`, what } };
  }
} // prettier-ignore

type Attributes = Readonly<Record<string, string>>;

/** Attributes of all elements of that name, in their order. */
export function elements(text: string, name: string): Attributes[] {
  const found: Attributes[] = [];
  for (const [, inside = ""] of text.matchAll(new RegExp(`<${name}(?=[\\s/>])([^<>]*)>`, "g"))) {
    const attributes: Record<string, string> = {};
    for (const [, key = "", value = ""] of inside.matchAll(/(?<![\w.])([A-Za-z_][\w.]*)="([^"]*)"/g)) attributes[key] = unescaped(value); // prettier-ignore
    found.push(attributes);
  }
  return found;
} // prettier-ignore

const NAMED: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const unescaped = (text: string): string =>
  text.replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => NAMED[name]!);

export interface AboutTest {
  readonly metadata: Readonly<Record<string, string>>;
  /** By the clock of the server, whose zone is not said. */
  readonly start: Start | undefined;
  readonly ended: boolean;
  /** The vendor's program is set to begin a cycle by charge, for this file. */
  readonly chargeFirst: boolean;
  readonly channels: readonly Channel[];
}

/** An auxiliary channel of the test: the number it has in it, in the device, and what it measures. */
export interface Channel {
  readonly id: number;
  readonly real: number;
  readonly measures: number;
}

const CHARGE_FIRST = "1";

export function aboutTest(entries: readonly XmlEntry[]): AboutTest {
  const textOf = (name: string): string => entries.find((entry) => entry.name === name)?.text ?? "";
  const of = (name: string, element: string): Attributes => elements(textOf(name), element)[0] ?? {};
  const test = of("TestInfo.xml", "TestInfo");
  const versions = of("VersionInfo.xml", "ZwjVersion");
  const step = (element: string): string | undefined => of("Step.xml", element)["Value"];
  // The element within its like; its mass is the one that was entered later.
  const shown = elements(textOf("NdaxConfig.xml"), "config").find((one) => "CycleMode" in one) ?? {};
  const mass_kg = Number(shown["BatteryMass"] ?? step("SCQ_F") ?? NaN);
  const about: Record<string, string | undefined> = {
    test_name: test["StepName"],
    barcode: test["Barcode"],
    remark: step("Remark"),
    creator: step("Creator"),
    device: test["DevID"],
    unit: test["UnitID"],
    channel: test["ChlID"],
    test_id: test["TestID"],
    started: test["StartTime"],
    ended: test["EndTime"],
    current_range: test["CurrRange"] && `${test["CurrRange"]} mA`,
    voltage_range: test["VoltRange"] && `${test["VoltRange"]} V`,
    cycle_mode: shown["CycleMode"],
    active_mass: mass_kg > 0 ? `${Number((mass_kg * 1e6).toPrecision(9))} mg` : undefined,
    server_version: versions["SvrVer"],
    client_version: versions["CurrClientVer"],
    device_version: versions["ZwjVersion"],
  };
  return {
    metadata: Object.fromEntries(Object.entries(about).filter((entry): entry is [string, string] => !!entry[1])),
    start: faceOf(test["StartTime"]),
    ended: !!test["EndTime"],
    chargeFirst: shown["CycleMode"] === CHARGE_FIRST,
    channels: elements(textOf("TestInfo.xml"), "Aux\\d+").map((aux) => ({ id: Number(aux["AuxID"] ?? NaN), real: Number(aux["RealChlID"] ?? NaN), measures: Number(aux["ChlType"] ?? NaN) })),
  };
} // prettier-ignore

function faceOf(written: string | undefined): Start | undefined {
  const [, ...parts] = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(written ?? "") ?? [];
  if (parts.length === 0) return undefined;
  const [year, month, day, hour, minute, second] = parts.map(Number);
  return { face: BigInt(Date.UTC(year!, month! - 1, day, hour, minute, second)) * 1_000_000n };
}
