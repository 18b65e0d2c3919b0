/**
 * JPK thermal noise (`.tnd`): text, comments and then a table.
 *
 *     # thermal noise data
 *     # sensitivity: 11.0399 nm/V
 *     # settings.temperature: 25.0 ℃
 *     # Channels: 'Frequency' 'Vertical Deflection' 'average' 'fit-data'
 *     # Units: 'Hz' 'V²/Hz' 'V²/Hz' 'V²/Hz'
 *     12.20703125 7.313179395396219E-9 1.0834659280713044E-7 8.937024087852716E-9
 *
 * Power densities are V²/Hz as the header says: in our sample its fit begins at 8.937e-9, which is the square of the
 * header's amplitude, 92.12 µV/√Hz, and its noise, 4.501e-10 V²/Hz. Amplitudes and densities in metres are converted.
 *
 * The file does not say when it was measured; its name does, as JPK's program gives it: "…2022.01.12-11.37.51.tnd".
 */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { SourceError } from "../../runtime/index.ts";
import type { AfmFile, Format, When, Zoned } from "./afm-file.ts";

const FIRST_LINE = "# thermal noise data";
const MOST_BYTES = 1 << 26;
/** Made by the program from the measured ones. */
const MADE = new Set(["Frequency", "average", "fit-data"]);
const PREFIXES: Record<string, number> = { p: 1e-12, n: 1e-9, µ: 1e-6, μ: 1e-6, u: 1e-6, m: 1e-3 };
const KELVIN_AT_0_CELSIUS = 273.15;

export const jpkThermal: Format = {
  name: "JPK thermal noise",
  looks: (head) => Buffer.from(head).toString("latin1", 0, FIRST_LINE.length) === FIRST_LINE,
  async open(path, zoned) {
    const { header, rows } = parts(await contentOf(path));
    const warnings: string[] = [];
    const column = powerColumn(path, header);
    const end = timeInName(path, zoned, warnings);
    const temperature_K = temperatureIn(header, warnings);
    return {
      path,
      format: "JPK thermal noise",
      instrument: "",
      software: "",
      start: end,
      warnings,
      thermal: {
        count: 1,
        read: async () => ({
          end,
          ...spectrum(path, rows, column),
          temperature_K,
          averages: NaN,
        }),
      },
      close: async () => undefined,
    } satisfies AfmFile;
  },
};

async function contentOf(path: string): Promise<string> {
  const file = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: ${cause.code === "ENOENT" ? "no such file" : `cannot be opened (${cause.code ?? cause.message})`}`, { cause }); // prettier-ignore
  });
  try {
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new SourceError(`${path}: has ${size} bytes; a spectrum has at most ${MOST_BYTES}`); // prettier-ignore
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

interface Parts {
  readonly header: ReadonlyMap<string, string>;
  /** With the number of each line in the file, from 1. */
  readonly rows: readonly (readonly [line: number, text: string])[];
}

function parts(content: string): Parts {
  const header = new Map<string, string>();
  const rows: (readonly [number, string])[] = [];
  for (const [i, raw] of content.split("\n").entries()) {
    const line = raw.trim();
    if (line === "") continue;
    if (!line.startsWith("#")) {
      rows.push([i + 1, line]);
      continue;
    }
    const colon = line.indexOf(":");
    if (colon > 0) header.set(line.slice(1, colon).trim(), line.slice(colon + 1).trim());
  }
  return { header, rows };
}

interface PowerColumn {
  readonly index: number;
  readonly columns: number;
  /** Of the unit, to V²/Hz. */
  readonly scale: number;
  /** The column holds amplitudes, whose square is the power. */
  readonly amplitude: boolean;
}

const quoted = (text = ""): string[] => [...text.matchAll(/'([^']*)'/g)].map(([, word]) => word!);

function powerColumn(path: string, header: ReadonlyMap<string, string>): PowerColumn {
  const [names, units] = [quoted(header.get("Channels")), quoted(header.get("Units"))];
  const index = names.findIndex((name) => !MADE.has(name));
  if (names[0] !== "Frequency" || units[0] !== "Hz" || index < 0 || names.length !== units.length) {
    throw new SourceError(`${path}: its header names the channels ${names.join(", ") || "not"} in ${units.join(", ") || "no units"}; wanted Frequency in Hz, then a power density, as many units as channels`); // prettier-ignore
  }
  const unit = units[index]!;
  const match = /^([pnµμum])?([Vm])(?:(²|\^2)\/Hz|\/√Hz)$/.exec(unit);
  if (!match) throw new SourceError(`${path}: channel ${names[index]} is in "${unit}"; wanted V²/Hz, V/√Hz, m²/Hz or m/√Hz`); // prettier-ignore
  const [, prefix, quantity, squared] = match;
  let one = prefix ? PREFIXES[prefix]! : 1;
  if (quantity === "m") {
    const written = header.get("sensitivity") ?? "";
    const sensitivity = /^([\d.eE+-]+)\s*([pnµμu]?)m\/V$/.exec(written);
    const sensitivity_m_per_V = sensitivity ? Number(sensitivity[1]) * (PREFIXES[sensitivity[2]!] ?? 1) : NaN;
    if (!(sensitivity_m_per_V > 0)) throw new SourceError(`${path}: channel ${names[index]} is in "${unit}", and the sensitivity that would make volts of it is "${written}"; wanted such as 11.04 nm/V`); // prettier-ignore
    one /= sensitivity_m_per_V;
  }
  return { index, columns: names.length, scale: one * one, amplitude: squared === undefined };
}

function spectrum(path: string, rows: Parts["rows"], { index, columns, scale, amplitude }: PowerColumn) {
  if (rows.length === 0) throw new SourceError(`${path}: has a header and no rows; it is cut short, copy it again`); // prettier-ignore
  const frequency_Hz = new Float64Array(rows.length);
  const power = new Float64Array(rows.length);
  for (const [i, [line, text]] of rows.entries()) {
    const words = text.split(/\s+/);
    const [frequency, value] = [Number(words[0]), Number(words[index])];
    if (
      words.length !== columns ||
      Number.isNaN(frequency) ||
      (Number.isNaN(value) && words[index] !== "NaN")
    ) {
      throw new SourceError(`${path}: line ${line}: "${text.slice(0, 60)}" is no row of ${columns} numbers; ${i === rows.length - 1 ? "it is cut short, " : ""}copy it again`); // prettier-ignore
    }
    if (i > 0 && !(frequency > frequency_Hz[i - 1]!))
      throw new SourceError(`${path}: line ${line}: frequency ${frequency} Hz does not go on from ${frequency_Hz[i - 1]} Hz; copy it again`); // prettier-ignore
    frequency_Hz[i] = frequency;
    power[i] = (amplitude ? value * value : value) * scale;
  }
  return { frequency_Hz, power };
}

function temperatureIn(header: ReadonlyMap<string, string>, warnings: string[]): number {
  const written = header.get("settings.temperature");
  if (written === undefined) return NaN;
  const match = /^(-?[\d.]+)\s*(℃|°C|K)$/.exec(written);
  const temperature_K = Number(match?.[1] ?? NaN) + (match?.[2] === "K" ? 0 : KELVIN_AT_0_CELSIUS);
  if (temperature_K > 0) return temperature_K;
  warnings.push(`its settings.temperature is "${written}"; wanted such as 25.0 ℃; it counts as missing`);
  return NaN;
}

function timeInName(path: string, zoned: Zoned, warnings: string[]): When | undefined {
  const match = /(\d{4})\.(\d\d)\.(\d\d)-(\d\d)\.(\d\d)\.(\d\d)(\.\d{3})?\.tnd$/i.exec(basename(path));
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = ""] = match;
  const face = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  if (Number.isNaN(Date.parse(`${face}Z`))) return undefined;
  try {
    return { ns: zoned(`${face}${fraction}`), zoned: false };
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    warnings.push(`its name says ${face}, but ${error.message}; the time counts as missing`);
    return undefined;
  }
}
