/** Writes NanoScope files of our own, line by line, for tests. */

type Lines = Record<string, string | number | undefined>;

export interface MadeImage {
  /** As behind `Image Data: S`. */
  name?: string;
  /** As behind `Z scale: V`. */
  scale?: string;
  columns: number;
  rows: number;
  /** Line by line, as stored. */
  raw: readonly number[];
  /** Of a sample as stored. */
  bytes?: 2 | 4;
  lines?: Lines;
}

export interface MadeForce {
  name?: string;
  scale?: string;
  approach: number;
  retract: number;
  /** Of each curve what is stored: the approach from the contact outwards, then the retract. */
  curves: readonly (readonly number[])[];
  bytes?: 2 | 4;
  lines?: Lines;
}

export interface MadeNanoscope {
  version?: string;
  date?: string | undefined;
  scanner?: Lines;
  scan?: Lines;
  /** Left out where there is none. */
  force?: Lines;
  images?: readonly MadeImage[];
  forces?: readonly MadeForce[];
  headerBytes?: number;
}

export const V_PER_LSB = 0.000375;
export const RAMP_M = 227.2211 * 13.203e-9;
/** A threshold of 1.2 V is 3200 steps. */
export const TRIGGER_V = 1.2;

const section = (name: string, lines: Lines): string =>
  `\\*${name}\r\n` +
  Object.entries(lines)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `\\${key}: ${value}\r\n`)
    .join("");

export function makeNanoscope(file: MadeNanoscope): Buffer {
  const { version = "0x0920B046", images = [], forces = [], headerBytes = 8192 } = file;
  const usual = Number(version) >= 0x09200000 ? 4 : 2;
  const blocks: Buffer[] = [];
  let at = headerBytes;
  const block = (raw: readonly number[], bytes: 2 | 4): Lines => {
    const buffer = Buffer.alloc(raw.length * bytes);
    raw.forEach((x, i) => (bytes === 2 ? buffer.writeInt16LE(x, 2 * i) : buffer.writeInt32LE(x, 4 * i)));
    blocks.push(buffer);
    at += buffer.length;
    return { "Data offset": at - buffer.length, "Data length": buffer.length, "Bytes/pixel": 2 };
  };
  const text =
    section(forces.length > 0 && images.length === 0 ? "Force file list" : "File list", {
      Version: version, Date: "date" in file ? file.date : "10:05:18 AM Fri Sep 04 2020", "Data length": headerBytes,
    }) +
    section("Equipment list", { Description: "Bench µ1", Microscope: "MultiMode 8" }) +
    section("Scanner list", { "@Sens. Zsens": "V 13.20300 nm/V", "@Sens. ZsensSens": "V 900.0000 nm/V", ...file.scanner }) +
    section("Ciao scan list", {
      "Operating mode": forces.length > 0 ? "Force" : "Image", "Scan Size": "2000 nm", "X Offset": "300 nm", "Y Offset": "-400 nm",
      "Rotate Ang.": 0, "Samps/line": 256, Lines: 256, "Scan Rate": 2, "PeakForce Capture": "Never",
      "@Sens. DeflSens": "V 27.39000 nm/V", "@Sens. Amplitude": "V 1.000000 ", "@Sens. AmplSens": "V 30.00000 nm/V", "@Sens. tunaSens": "V 10.00000 pA/V",
      ...file.scan,
    }) +
    (forces.length > 0 ? section("Ciao force list", {
      "Scan rate": 4, "Trigger mode": "Relative", "Samps/line": `${forces[0]!.retract} ${forces[0]!.approach}`,
      "@4:Trig Threshold Deflection": `V [Sens. DeflSens] (0.0003750000 V/LSB) ${TRIGGER_V} V`, ...file.force,
    }) : "") +
    images.map(({ name = '[Height] "Height"', scale = "V [Sens. Zsens] (0.006713765 V/LSB) 50.00000 V", columns, rows, raw, bytes = usual, lines }) =>
      section("Ciao image list", {
        ...block(raw, bytes), "Frame direction": "Up", "Samps/line": columns, "Number of lines": rows, "Aspect Ratio": "1:1",
        "Scan Size": "2 2 ~m", "Scan Line": "Main", "Line Direction": "Trace",
        "@2:Image Data": `S ${name}`, "@Z magnify": "C [2:Z scale] 0.04", "@2:Z scale": scale, ...lines,
      })).join("") +
    forces.map(({ name = '[DeflectionError] "Deflection Error"', scale = `V [Sens. DeflSens] (${V_PER_LSB} V/LSB) 2.500000 V`, approach, retract, curves, bytes = usual, lines }) =>
      section("Ciao force image list", {
        ...block(curves.flat(), bytes), "Samps/line": `${retract} ${approach}`, "Spring Constant": 0.1332,
        "@4:Image Data": `S ${name}`, "@4:Z scale": scale,
        "@4:Ramp Size": "V [Sens. Zsens] (0.006713765 V/LSB) 227.2211 V", ...lines,
      })).join("") +
    "\\*File list end\r\n\x1a"; // prettier-ignore
  const header = Buffer.alloc(headerBytes);
  if (Buffer.byteLength(text, "latin1") > headerBytes) throw new Error("the header wants more room");
  header.write(text, "latin1");
  return Buffer.concat([header, ...blocks]);
}

/**
 * What is stored of a curve that presses from a baseline of `base` steps by `rise` steps: the approach from the
 * contact outwards, then the retract, which sticks a little.
 */
export function stored(
  { approach, retract }: { approach: number; retract: number },
  { rise = 3200, base = 80, times = 1 }: { rise?: number; base?: number; times?: number } = {},
): number[] {
  const leg = (n: number, stick: number): number[] =>
    Array.from({ length: n }, (_, i) => {
      const x = 1 - i / (n / 3); // the contact takes a third
      return Math.round((x > 0 ? base + rise * x : base - (x > -0.3 ? stick : 0) + (i % 3)) * times);
    });
  return [...leg(approach, 0), ...leg(retract, 40)];
}
