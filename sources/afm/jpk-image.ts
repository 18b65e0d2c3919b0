/**
 * JPK images: `.jpk` and `.jpk-qi-image`. A TIFF whose first page is a thumbnail that bears the tags of the scan,
 * and whose other pages are a channel each, of 32 bit numbers.
 *
 * What was found in our samples (programs 6.0.41, 6.1.157, 6.3.51, 8.0.194) and in Gwyddion's list of the tags:
 *
 *     0x8000 program, 0x8001 version of the format, 0x8003 and 0x8006 begin and end, "2017-01-16 16:01:36.264 GMT"
 *     0x8030 mode of the feedback
 *     0x8040 … 0x8047 grid: x and y of its corner [m], lengths along u and v [m], turn of u against x [rad],
 *       reflection of v, columns, rows
 *     0x8049 lines a second, each there and back; 0x804b motion
 *     0x8050 channel, 0x8051 whether retrace, 0x8052 its name for people, 0x8053 what else, in lines of properties
 *     0x8080 number of slots, 0x8081 the one to show, 0x8090 + 0x30 n the n-th: +0 its name, +2 its base, +0x12 unit,
 *       +0x13 kind of scaling, +0x14 multiplier, +0x15 offset
 *
 * The steps of a slot lead from the stored numbers, not from its base: of one sample, 1.555e-16 m is the product
 * of 5.225e-9 V, 2 and 1.488e-8 m/V.
 *
 * Stored line 0 lies at the grid's corner and lines follow along v, which without reflection is +y: as they are
 * given out. Retrace is stored as trace is, column 0 the same place (they correlate to 0.996; mirrored, to 0.0005).
 * Of a motion "topDown" line 0 was scanned first, of "bottomUp" the last, whatever the names suggest: in a series of
 * frames each begins at line 0 at the height where the one before it ended, and in both samples that say where the
 * scanner stood at the begin, it stood there.
 *
 * Of maps of force curves begin and end are one time, at which the map began: they have no end.
 */
import { SourceError } from "../../runtime/index.ts";
import { isTiff, readTiffFrames, tiffTags, type TagValue } from "../tiff.ts";
import {
  RETRACE, TRACE,
  type AfmFile, type Format, type ImageChannel, type ImageFrame, type When, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { chosenFor } from "./jpk-channels.ts";
import { MOST_PIXELS, scaled, slowScan, timing } from "./jpk-scan.ts";
import { stepsTo, together, type Scale, type Slots } from "./jpk-slots.ts";
import { timeOrMissing } from "./jpk-time.ts";

const PROGRAM = 0x8000, VERSION = 0x8001, BEGAN = 0x8003, ENDED = 0x8006, FEEDBACK = 0x8030,
  X0 = 0x8040, Y0 = 0x8041, U_LENGTH = 0x8042, V_LENGTH = 0x8043, THETA = 0x8044, REFLECT = 0x8045,
  COLUMNS = 0x8046, ROWS = 0x8047, LINE_RATE = 0x8049, MOTION = 0x804b,
  CHANNEL = 0x8050, IS_RETRACE = 0x8051, TITLE = 0x8052, ABOUT = 0x8053, SLOTS = 0x8080, SHOWN = 0x8081; // prettier-ignore
const WIDTH = 256, LENGTH = 257, TILE_WIDTH = 322; // prettier-ignore
const NEWEST_VERSION = 2;
const MOST_SLOTS = 64;
type Tags = ReadonlyMap<number, TagValue>;

export const jpkImage: Format = {
  name: "JPK images",
  looks: looksLikeScan,
  async open(path, zoned) {
    const pages = await tiffTags(path);
    const scan = pages[0]!;
    const warnings: string[] = [];
    const version = number(scan, VERSION);
    if (version >= NEWEST_VERSION + 1)
      throw new SourceError(`${path}: tag 0x8001 says format version ${version}; known are 0 to ${NEWEST_VERSION}; export it with an older setting, or send us the file`); // prettier-ignore
    const began = timeAt(scan, BEGAN, zoned, warnings);
    const ended = timeAt(scan, ENDED, zoned, warnings);
    const channels = readChannels(pages, warnings);
    if (channels.length === 0) throw new SourceError(`${path}: holds no image: of its ${pages.length} pages none is a channel that can be read${warnings.length > 0 ? ` (${warnings.at(-1)})` : ""}`); // prettier-ignore
    const reflected = number(scan, REFLECT) === 1;
    const field = fieldOf(scan, reflected);
    if (Number.isNaN(field.sizeX_m + field.sizeY_m))
      warnings.push(`does not say how large the scanned field is (tags 0x8042, 0x8043)`);
    const frame: ImageFrame = {
      ...timing(began, ended, number(scan, LINE_RATE), channels[0]!.rows, "the scan", warnings),
      slowScan: slowScan(text(scan, MOTION), reflected),
      centerX_m: field.centerX_m,
      centerY_m: field.centerY_m,
      angle_deg: field.angle_deg,
    };
    return {
      path,
      format: `JPK ${channels.some(({ computed }) => computed) ? "QI image" : "image"}${Number.isNaN(version) ? "" : `, version ${version.toFixed(1)}`}`,
      instrument: "",
      software: text(scan, PROGRAM),
      start: began,
      warnings,
      images: {
        frames: 1,
        sizeX_m: field.sizeX_m,
        sizeY_m: field.sizeY_m,
        channels,
        frame: async () => frame,
        async read(channel) {
          const { page, rows, columns, scale, name } = channels[channel]!;
          const stored = await readTiffFrames(path, page, 1);
          if (stored.length !== rows * columns)
            throw new SourceError(`${path}: page ${page + 1}, channel ${name}: has ${stored.length} pixels, a moment ago ${rows} × ${columns}`); // prettier-ignore
          return scaled(stored, scale, { rows, columns, reflected });
        },
      },
      close: async () => undefined,
    } satisfies AfmFile;
  },
};

/** True where the first directory, if the first bytes hold it, has the tags of a scan. */
function looksLikeScan(head: Uint8Array): boolean {
  if (!isTiff(head) || head.length < 10) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const little = head[0] === 0x49;
  if (view.getUint16(2, little) !== 42) return false;
  const at = view.getUint32(4, little);
  const wanted = new Set([PROGRAM, U_LENGTH, COLUMNS]);
  for (let i = 0; at + 14 + 12 * i <= head.length && i < view.getUint16(at, little); i++)
    wanted.delete(view.getUint16(at + 2 + 12 * i, little));
  return wanted.size === 0;
}

// --- tags ---

function number(tags: Tags, tag: number): number {
  const value = tags.get(tag);
  return typeof value === "string" ? Number(value.trim() || NaN) : (value?.[0] ?? NaN);
}

function text(tags: Tags, tag: number): string {
  const value = tags.get(tag);
  return typeof value === "string" && value !== "<empty>" ? value.trim() : "";
}

function timeAt(tags: Tags, tag: number, zoned: Zoned, warnings: string[]): When | undefined {
  const written = text(tags, tag) || undefined;
  return timeOrMissing(written, `tag 0x${tag.toString(16)}`, zoned, warnings);
}

// --- the scan ---

interface Field {
  readonly sizeX_m: number;
  readonly sizeY_m: number;
  readonly centerX_m: number;
  readonly centerY_m: number;
  readonly angle_deg: number;
}

function fieldOf(scan: Tags, reflected: boolean): Field {
  const length = (tag: number): number => (number(scan, tag) > 0 && number(scan, tag) < 1 ? number(scan, tag) : NaN); // prettier-ignore
  const [u, v, theta_rad] = [length(U_LENGTH), length(V_LENGTH), number(scan, THETA)];
  const [alongU, alongV] = [u / 2, (reflected ? -v : v) / 2];
  const [cos, sin] = [Math.cos(theta_rad), Math.sin(theta_rad)];
  return {
    sizeX_m: u,
    sizeY_m: v,
    centerX_m: number(scan, X0) + alongU * cos - alongV * sin,
    centerY_m: number(scan, Y0) + alongU * sin + alongV * cos,
    angle_deg: (theta_rad * 180) / Math.PI + 0, // no negative zero
  };
}

// --- channels ---

interface Channel extends ImageChannel {
  readonly page: number;
  readonly scale: Scale;
  /** From force curves, by a named algorithm. */
  readonly computed: boolean;
}

function readChannels(pages: readonly Tags[], warnings: string[]): Channel[] {
  const scan = pages[0]!;
  const contact = /contact/i.test(text(scan, FEEDBACK));
  const [rows, columns] = [number(scan, ROWS), number(scan, COLUMNS)];
  const channels: Channel[] = [];
  for (const [page, tags] of pages.entries()) {
    if (page === 0) continue; // the thumbnail
    const channel = text(tags, CHANNEL);
    const where = `page ${page + 1}, channel ${channel || "without a name"}`;
    try {
      if (channel === "") throw new SourceError(`${where}: tag 0x8050 is missing`);
      const [height, width] = [number(tags, LENGTH), number(tags, WIDTH)];
      if ((rows > 0 && height !== rows) || (columns > 0 && width !== columns))
        throw new SourceError(`${where}: has ${height} × ${width} pixels, the scan's grid ${rows} × ${columns}`);
      if (!(height * width <= MOST_PIXELS && height * width > 0) || tags.has(TILE_WIDTH))
        throw new SourceError(`${where}: ${tags.has(TILE_WIDTH) ? "is stored in tiles, as no JPK image is" : `has ${height} × ${width} pixels; ${MOST_PIXELS} are the most`}`); // prettier-ignore
      const title = text(tags, TITLE);
      const algorithm = algorithmOf(text(tags, ABOUT));
      // A map has several heights: at the turning point, at 40 % of the force, …
      const other = algorithm !== undefined && algorithm !== title;
      const name = other ? `${channel} (${algorithm})` : channel;
      const slots = slotsIn(tags, where);
      const isHeight = /height$/i.test(channel);
      const chosen = chosenFor(other && !isHeight ? name : channel, slots, { contact });
      channels.push({
        name,
        port: chosen.port,
        unit: chosen.unit,
        rank: chosen.rank - (other ? 0.5 : 0),
        direction: number(tags, IS_RETRACE) === 1 ? RETRACE : TRACE,
        rows: height,
        columns: width,
        page,
        scale: together({ multiplier: 1, offset: 0 }, stepsTo(chosen.slot, slots, where)),
        computed: algorithm !== undefined,
      });
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      warnings.push(`${error.message}; it is left out`);
    }
  }
  return channels;
} // prettier-ignore

/** "algorithm.object-name.fancy-name : Adhesion" */
const algorithmOf = (about: string): string | undefined =>
  /^algorithm\.object-name\.(?:base-object-name\.)?fancy-name *: *(.*)$/m.exec(about)?.[1]?.trim();

function slotsIn(tags: Tags, where: string): Slots {
  const count = number(tags, SLOTS);
  if (!(count >= 1 && count <= MOST_SLOTS))
    throw new SourceError(`${where}: has ${count} slots (tag 0x8080)`);
  const names: string[] = [];
  const first = text(tags, 0x8090);
  const slots = new Map<string, { base: string; multiplier: number; offset: number; unit: string }>();
  for (let n = 0; n < count; n++) {
    const at = (rest: number): number => 0x8090 + 0x30 * n + rest;
    const name = text(tags, at(0));
    names.push(name);
    if (text(tags, at(0x13)) !== "LinearScaling") continue; // what is not calibrated has none
    const [multiplier, offset] = [number(tags, at(0x14)), number(tags, at(0x15))];
    slots.set(name, { base: first, multiplier, offset, unit: text(tags, at(0x12)) });
  }
  return { base: first, baseUnit: "", preferred: text(tags, SHOWN), names, slot: (name) => slots.get(name) };
}
