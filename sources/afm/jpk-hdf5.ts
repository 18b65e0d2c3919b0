/**
 * JPK's HDF5 (`.h5-jpk`, NanoRacer): series of images, one group a channel in `/Measurement_000`, after the USID
 * convention.
 *
 *     Measurement_000   attributes of the scan: position-pattern.grid.…, motion, timing-settings.…, feedback-mode.name
 *       Channel_00N     attributes of the channel: channel.name, retrace, encoder.…, conversion.<slot>.…, net-encoder.…
 *         <Name>        whole numbers (pixel, frame); pixels along u, then along v
 *         thumbnail
 *       meta-data       start-times, end-times: ms since 1970, UTC, one a frame
 *
 * `net-encoder` leads from the stored numbers to the slot that JPK's program shows. It says what the chain of slots
 * says too, so the two are compared.
 *
 * Order of lines, retrace and motion as in jpk-image.ts: in our sample (version 3.0, program 8.1.42) trace and retrace
 * correlate to 0.996 as they are stored, mirrored to 0.13, and its drift goes on from the last line of a frame to line
 * 0 of the next, all four frames being "topDown".
 */
import type { Dataset, Group } from "h5wasm/node";
import { SourceError } from "../../runtime/index.ts";
import { checkFilters, isDataset, isGroup, textOf, type Hdf5, type Numbers } from "../hdf5.ts";
import {
  RETRACE, TRACE,
  type AfmFile, type ImageChannel, type ImageFrame, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { readCarefully } from "./hdf5-care.ts";
import { chosenFor } from "./jpk-channels.ts";
import { MOST_PIXELS, scaled, slowScan, timing } from "./jpk-scan.ts";
import { slotsOf, stepsTo, together, type Scale } from "./jpk-slots.ts";
import { timeOrMissing } from "./jpk-time.ts";

const NEWEST_VERSION = 3;
const MOST_FRAMES = 1 << 20;
const MOST_CHUNK_BYTES = 1 << 28;
const DIFFERENT = 1e-6;

/** True where the file is JPK's, by the attributes of its root. */
export const isJpkHdf5 = ({ root }: Hdf5): boolean =>
  textOf(root.attrs["file-format-info"]?.value) === "JPK SCAN";

type Get = (key: string) => string | number | undefined;

function attributesOf(of: Group | Dataset): Get {
  const { attrs } = of;
  return (key) => {
    const value: unknown = attrs[key]?.value;
    if (typeof value === "number") return value;
    if (typeof value === "bigint") return Number(value);
    return textOf(value);
  };
}

export async function openJpkHdf5(path: string, zoned: Zoned): Promise<AfmFile> {
  const warnings: string[] = [];
  const scan = await readCarefully(path, (file) => readScan(file, zoned, warnings));
  for (const { dataset } of scan.channels) await checkFilters(path, dataset);
  const { channels, rows, columns, reflected, starts, ends } = scan;
  const frameAt = (number: number): ImageFrame => ({
    ...timing(starts[number], ends[number], scan.linesPerSecond, rows, `frame ${number + 1}`, []),
    ...scan.place,
  });
  const odd: string[] = [];
  for (const [number, start] of starts.entries())
    timing(start, ends[number], scan.linesPerSecond, rows, `frame ${number + 1}`, odd);
  if (odd.length > 0) warnings.push(`${odd[0]}${odd.length > 1 ? `; and so with ${odd.length - 1} more` : ""}`); // prettier-ignore
  return {
    path,
    format: scan.format,
    instrument: scan.instrument,
    software: scan.software,
    start: starts[0] ?? scan.began,
    warnings,
    images: {
      frames: scan.frames,
      sizeX_m: scan.sizeX_m,
      sizeY_m: scan.sizeY_m,
      channels,
      frame: async (number) => frameAt(number),
      async read(channel, number) {
        const { dataset, frames, scale, name } = channels[channel]!;
        if (number >= frames)
          throw new SourceError(`${path}: channel ${name} (${dataset}) has ${frames} frames; wanted frame ${number + 1}`); // prettier-ignore
        const stored = await readCarefully(path, (file) => {
          const found = file.find(dataset) as Dataset;
          return found.slice([[0, rows * columns], [number, number + 1]]) as Numbers; // prettier-ignore
        });
        if (stored?.length !== rows * columns)
          throw new SourceError(`${path}: frame ${number + 1} of ${dataset} has ${stored?.length ?? 0} values, wanted ${rows} × ${columns}`); // prettier-ignore
        return scaled(stored, scale, { rows, columns, reflected });
      },
    },
    close: async () => undefined,
  };
}

interface Channel extends ImageChannel {
  readonly dataset: string;
  readonly frames: number;
  readonly scale: Scale;
}

function readScan(file: Hdf5, zoned: Zoned, warnings: string[]) {
  const { path, root } = file;
  const version = String(attributesOf(root)("file-format-version") ?? "");
  if (parseFloat(version) >= NEWEST_VERSION + 1)
    throw new SourceError(`${path}: says format version ${version}; known are 3 and before; export it with an older setting, or send us the file`); // prettier-ignore
  const [measurement, ...others] = root.keys().filter((name) => /^Measurement_\d+$/.test(name)).sort(); // prettier-ignore
  const group = measurement === undefined ? undefined : file.find(measurement);
  if (!isGroup(group)) throw new SourceError(`${path}: has no group Measurement_000; it has ${root.keys().join(", ") || "none"}`); // prettier-ignore
  if (others.length > 0) warnings.push(`${others.join(", ")} stand beside ${measurement}, which alone is read`);
  const get = attributesOf(group);
  const grid = (name: string): number => Number(get(`position-pattern.grid.${name}`) ?? NaN);
  const [columns, rows] = [grid("ilength"), grid("jlength")];
  if (!(Number.isInteger(columns) && Number.isInteger(rows) && columns > 0 && rows > 0 && columns * rows <= MOST_PIXELS))
    throw new SourceError(`${path}: ${measurement}: position-pattern.grid says ${rows} × ${columns} pixels; ${MOST_PIXELS} are the most`); // prettier-ignore
  const length = (name: string): number => (grid(name) > 0 && grid(name) < 1 ? grid(name) : NaN);
  const [sizeX_m, sizeY_m] = [length("ulength"), length("vlength")];
  if (Number.isNaN(sizeX_m + sizeY_m))
    warnings.push("does not say how large the scanned field is (position-pattern.grid.ulength, vlength)");
  const reflected = get("position-pattern.grid.reflect") === "true";
  const contact = /contact/i.test(String(get("feedback-mode.name") ?? ""));

  const channels: Channel[] = [];
  for (const name of group.keys().sort()) {
    const folder = /^Channel_\d+$/.test(name) ? file.find(`${measurement}/${name}`) : undefined;
    if (!isGroup(folder)) continue;
    const at = `${measurement}/${name}`;
    try {
      channels.push(readChannel(file, at, folder, { rows, columns, contact }, warnings));
    } catch (error) {
      if ((error as Error).name === "RuntimeError") throw error; // the library is no more to be asked
      warnings.push(`${error instanceof SourceError ? error.message : `${at}: cannot be read, it is damaged`}; it is left out`); // prettier-ignore
    }
  }
  if (channels.length === 0) throw new SourceError(`${path}: ${measurement} has no channel that can be read${warnings.length > 0 ? ` (${warnings.at(-1)})` : ""}`); // prettier-ignore
  const frames = Math.max(...channels.map((channel) => channel.frames));
  if (frames > MOST_FRAMES) throw new SourceError(`${path}: would have ${frames} frames; ${MOST_FRAMES} are the most`); // prettier-ignore
  const theta_rad = grid("theta");
  return {
    channels, rows, columns, reflected, frames, sizeX_m, sizeY_m,
    place: {
      slowScan: slowScan(String(get("motion") ?? ""), reflected),
      centerX_m: grid("xcenter"),
      centerY_m: grid("ycenter"),
      angle_deg: (theta_rad * 180) / Math.PI + 0,
    },
    starts: timesOf(file, measurement!, "start-times", frames, warnings),
    ends: timesOf(file, measurement!, "end-times", frames, warnings),
    began: timeOrMissing(textOf(get("start-time")), `${measurement}: start-time`, zoned, warnings),
    linesPerSecond: Number(get("timing-settings.scanRate") ?? NaN),
    format: `JPK HDF5 images${version && `, version ${version}`}`,
    instrument: String(get("description.instrument") ?? ""),
    software: String(get("description.source-software") ?? ""),
  };
} // prettier-ignore

function readChannel(
  file: Hdf5,
  at: string,
  folder: Group,
  { rows, columns, contact }: { rows: number; columns: number; contact: boolean },
  warnings: string[],
): Channel {
  const key = folder.keys().find((name) => name !== "thumbnail" && isDataset(file.find(`${at}/${name}`)));
  const dataset = `${at}/${key}`;
  const found = key === undefined ? undefined : file.find(dataset);
  if (!isDataset(found)) throw new SourceError(`${at}: has no dataset but its thumbnail`);
  const { shape } = found;
  if (shape?.length !== 2 || shape[0] !== rows * columns || !(shape[1]! > 0))
    throw new SourceError(`${dataset}: has the shape ${shape?.join(" × ") || "of nothing"}; wanted ${rows * columns} pixels × frames`); // prettier-ignore
  if (typeof found.dtype !== "string" || !/[bBhHiIfd]$/.test(found.dtype))
    throw new SourceError(`${dataset}: holds values of type ${JSON.stringify(found.dtype)}; wanted numbers of 8 to 64 bit`); // prettier-ignore
  const chunk = (found.metadata.chunks ?? [1]).reduce((product, n) => product * n, found.metadata.size);
  if (chunk > MOST_CHUNK_BYTES) throw new SourceError(`${dataset}: is stored in pieces of ${chunk} bytes; ${MOST_CHUNK_BYTES} are the most`); // prettier-ignore

  const get = attributesOf(folder);
  const name = String(get("channel.name") ?? key);
  const where = `${at}, channel ${name}`;
  const slots = slotsOf(get, String(get("encoder.scaling.unit.unit") ?? ""));
  const chosen = chosenFor(name, slots, { contact });
  const encoder = scaleOf(get, "encoder");
  if (!encoder) throw new SourceError(`${where}: encoder.scaling says multiplier ${get("encoder.scaling.multiplier")}, offset ${get("encoder.scaling.offset")}; wanted two numbers`); // prettier-ignore
  const net = scaleOf(get, "net-encoder");
  const shown = slots.preferred && net ? together(encoder, stepsTo(slots.preferred, slots, where)) : undefined;
  if (net && shown && Math.abs(net.multiplier / shown.multiplier - 1) > DIFFERENT)
    warnings.push(`${where}: net-encoder.scaling says ${net.multiplier} a step, its slots come to ${shown.multiplier}; the slots count`); // prettier-ignore
  return {
    name,
    port: chosen.port,
    unit: chosen.unit,
    rank: chosen.rank,
    direction: get("retrace") === "true" ? RETRACE : TRACE,
    rows,
    columns,
    dataset,
    frames: shape[1]!,
    scale: together(encoder, stepsTo(chosen.slot, slots, where)),
  };
} // prettier-ignore

function scaleOf(get: Get, encoder: string): Scale | undefined {
  const [multiplier, offset] = [Number(get(`${encoder}.scaling.multiplier`) ?? NaN), Number(get(`${encoder}.scaling.offset`) ?? NaN)]; // prettier-ignore
  return Number.isFinite(multiplier + offset) ? { multiplier, offset } : undefined;
}

/** Times of the frames; empty where there are none, or not as many. */
function timesOf(
  file: Hdf5,
  measurement: string,
  what: string,
  frames: number,
  warnings: string[],
): (When | undefined)[] {
  const at = `${measurement}/meta-data`;
  // Only names that a group lists are looked for: in a damaged file the library may look for others without end.
  const group = (file.find(measurement) as Group).keys().includes("meta-data") ? file.find(at) : undefined;
  const name = `${at}/${what}`;
  const dataset = isGroup(group) && group.keys().includes(what) ? file.find(name) : undefined;
  if (!isDataset(dataset)) return [];
  const count = (dataset.shape ?? []).reduce((product, n) => product * n, 1);
  if (count !== frames) {
    warnings.push(`${name} has ${count} times for ${frames} frames, so the frames have none`);
    return [];
  }
  const value = dataset.value as ArrayLike<number | bigint>;
  return Array.from(value, (ms) => {
    const whole = Number(ms);
    return whole > EARLIEST_MS && whole < LATEST_MS ? { ns: BigInt(Math.round(whole)) * 1_000_000n, zoned: true } : undefined; // prettier-ignore
  });
}
/** 1990 to 2100: outside of it no such microscope ran. */
const EARLIEST_MS = 631_152_000_000, LATEST_MS = 4_102_444_800_000; // prettier-ignore
