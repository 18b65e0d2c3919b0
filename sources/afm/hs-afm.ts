/**
 * High-speed AFM files `.asd` (Ando's instruments, Falcon and Kodec), versions 0, 1 and 2: a header, all frames of
 * channel 1, then all frames of channel 2. Little-endian; a frame has a header of its own and int16 lines.
 *
 *     unipolar   V = -range × level / 2^bits
 *     bipolar    V = range - 2 × range × level / 2^bits
 *
 *     TP  height [nm] = V × z piezo gain × z piezo extension [nm/V]
 *     ER  deflection [nm] = -V × sensitivity of the sensor [nm/V]
 *     PH  phase [deg] = -V × sensitivity of the phase [deg/V]
 *
 * 12 bits are 4096 levels (not 14: one reader has `2 ^ bits`, which in its language is another operation).
 *
 * A frame ends its number × its time after the file's own, which is taken for the begin of the recording: frames that
 * were cut out of a longer one keep their numbers. Lines stand as they do in the file. Nothing that we know of tells
 * whether the first is the lowest, nor what the codes of the scan's direction mean: the slow scan is unknown.
 *
 * The headers of version 0 are known in two layouts, with pixels of 2 and of 4 bytes; the file's length of its own
 * header tells which it is.
 */
import { SourceError } from "../../runtime/index.ts";
import { IMAGE_PORTS, TRACE, UNKNOWN_SCAN, type AfmFile, type Format, type ImageChannel, type ImagePort, type Zoned } from "./afm-file.ts"; // prettier-ignore
import { openBytes, type Bytes } from "../bytes.ts";
import { whenOf } from "./wall-clock.ts";

const KINDS = ["TP", "ER", "PH"] as const;
type Kind = (typeof KINDS)[number];
const kindOf = (text: string): Kind | undefined => KINDS.find((kind) => kind === text.slice(0, 2));

/** Full range of the converter by its code: one-sided from 0 V, or to both sides of it. */
const RANGES: Record<number, readonly [range_V: number, bipolar: boolean]> = {
  1: [1, false], 2: [2.5, false], 3: [9.99, false], 4: [5, false],
  0x10000: [1, true], 0x20000: [2.5, true], 0x40000: [5, true],
}; // prettier-ignore

const FRAME_HEADER = 32;
const NEWEST_VERSION = 2;
/** A header with its comment and its tables of colours. */
const MOST_HEADER = 1 << 20;
const MOST_FRAMES = 1 << 20;

export const hsAfm: Format = {
  name: "HS-AFM .asd files",
  looks(head) {
    if (head.length < 36) return false;
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    const version = view.getInt32(0, true);
    const channelAt = version === 0 ? 4 : 24;
    const channel = String.fromCharCode(head[channelAt]!, head[channelAt + 1]!);
    const frameHeader = view.getInt32(version === 0 ? 12 : 8, true);
    // A newer version is ours too, and is then refused by its number.
    return version >= 0 && version < 16 && kindOf(channel) !== undefined && frameHeader === FRAME_HEADER;
  },
  async open(path, zoned) {
    const bytes = await openBytes(path);
    try {
      return await read(bytes, zoned);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  },
};

interface Header {
  readonly length: number;
  /** Of channel 1 and 2; undefined where there is none. */
  readonly kinds: readonly [Kind | undefined, Kind | undefined];
  readonly recorded: number;
  readonly frames: number;
  readonly columns: number;
  readonly rows: number;
  readonly sizeX_nm: number;
  readonly sizeY_nm: number;
  readonly clock: readonly number[];
  readonly frameTime_ms: number;
  readonly sensor_nm_per_V: number;
  readonly phase_deg_per_V: number;
  readonly machine: number;
  readonly rangeCode: number;
  readonly bits: number;
  readonly z_nm_per_V: number;
  readonly zGain: number;
}

async function read(bytes: Bytes, zoned: Zoned): Promise<AfmFile> {
  const { path, size } = bytes;
  const version = (await bytes.read(0, 4, "its version")).readInt32LE(0);
  if (!(version >= 0 && version <= NEWEST_VERSION)) {
    throw new SourceError(
      `${path}: is an .asd file of version ${version}; known are 0 to ${NEWEST_VERSION}; save it by an older program, or send us the file`,
    );
  }
  const header = version === 0 ? await readOldest(bytes) : await readNewer(bytes, version);
  const { columns, rows, kinds, length } = header;
  const warnings: string[] = [];
  const lost: string[] = [];

  const frameBytes = FRAME_HEADER + 2 * columns * rows;
  const sized = [columns, rows].every((n) => n > 0 && n <= 1 << 16);
  if (!sized || length + frameBytes > size || header.frames < 1) {
    throw new SourceError(
      `${path}: its header (${length} bytes) speaks of ${header.frames} frames of ${columns} × ${rows} pixels, but the file has ${size} bytes, which do not hold one of them; it is cut short or damaged, copy it again`,
    );
  }
  const range = RANGES[header.rangeCode];
  if (!range || !(header.bits >= 1 && header.bits <= 16)) {
    throw new SourceError(
      `${path}: its converter has the code 0x${header.rangeCode.toString(16)} and ${header.bits} bits; known are codes ${Object.keys(RANGES).map((code) => `0x${Number(code).toString(16)}`).join(", ")} and 1 to 16 bits; its header is damaged, copy it again`,
    ); // prettier-ignore
  }
  const wanted = kinds.filter((kind) => kind !== undefined);
  if (wanted.length === 0)
    throw new SourceError(`${path}: its header names no channel of the kinds ${KINDS.join(", ")}; it is damaged, copy it again`); // prettier-ignore
  const { frames, channelsThere } = countFrames(header, wanted.length, frameBytes, size, { warnings, lost });
  const channels = wanted.slice(0, channelsThere).map((kind, i) => ({
    ...channelOf(kind, header, warnings),
    kind,
    rows,
    columns,
    at: length + i * frames * frameBytes,
  }));

  const [year, ...rest] = header.clock as [number, number, number, number, number, number];
  const two = (n: number): string => String(n).padStart(2, "0");
  const [month, day, hour, minute, second] = rest.map(two);
  const start = whenOf(`${year}-${month}-${day}`, `${hour}:${minute}:${second}`, zoned);
  if (!start)
    warnings.push(`its time ${year}-${month}-${day} ${hour}:${minute}:${second} is on no calendar, so that of the file on disk counts`); // prettier-ignore
  const frameTime_s = header.frameTime_ms > 0 && header.frameTime_ms < 1e9 ? header.frameTime_ms / 1e3 : NaN;
  if (Number.isNaN(frameTime_s))
    warnings.push(`its frames take ${header.frameTime_ms} ms by the header, so their duration is NaN`);

  const levels = 2 ** header.bits;
  await checkLevels(bytes, channels[0]!, levels, warnings);
  return {
    path,
    format: `HS-AFM .asd, version ${version}`,
    instrument: `HS-AFM no. ${header.machine}`,
    software: "",
    start,
    warnings,
    lost,
    images: {
      frames,
      rowsUp: false,
      sizeX_m: header.sizeX_nm / 1e9,
      sizeY_m: header.sizeY_nm / 1e9,
      channels,
      async frame(number) {
        const own = (await bytes.read(length + number * frameBytes, FRAME_HEADER, `frame ${number + 1}`)).readInt32LE(0);
        // Counted from 1; a number under that of its place is none.
        const ordinal = own > number && own <= MOST_FRAMES ? own : number + 1;
        const end =
          start && frameTime_s > 0
            ? { ...start, ns: start.ns + BigInt(Math.round(ordinal * frameTime_s * 1e9)) }
            : undefined;
        const unknown = { centerX_m: NaN, centerY_m: NaN, angle_deg: NaN };
        return { end, duration_s: frameTime_s, slowScan: UNKNOWN_SCAN, ...unknown };
      },
      async read(channel, number) {
        const { at, kind, name } = channels[channel]!;
        const where = `frame ${number + 1} of channel ${name}`;
        const raw = await bytes.read(at + number * frameBytes + FRAME_HEADER, frameBytes - FRAME_HEADER, where);
        return values(raw, range, levels, scaleOf(kind, header));
      },
    },
    close: () => bytes.close(),
  }; // prettier-ignore
}

function values(
  raw: Buffer,
  [range_V, bipolar]: readonly [number, boolean],
  levels: number,
  scale: number,
): Float32Array {
  const data = new Float32Array(raw.length / 2);
  for (let i = 0; i < data.length; i++) {
    const share = raw.readInt16LE(2 * i) / levels;
    data[i] = (bipolar ? range_V - 2 * range_V * share : -range_V * share) * scale;
  }
  return data;
}

/** What one volt is, in the unit of the channel's stream. */
function scaleOf(kind: Kind, header: Header): number {
  if (kind === "TP") return header.zGain * header.z_nm_per_V * 1e-9;
  return kind === "ER" ? -header.sensor_nm_per_V * 1e-9 : -header.phase_deg_per_V;
}

const PORTS: Record<Kind, ImagePort> = { TP: "topography", ER: "deflection", PH: "phase" };

function channelOf(kind: Kind, header: Header, warnings: string[]): Omit<ImageChannel, "rows" | "columns"> {
  const scale = scaleOf(kind, header);
  const usable = Math.abs(scale) > 0 && Math.abs(scale) < Infinity;
  if (!usable) {
    const what = kind === "TP" ? `z piezo gain ${header.zGain} and extension ${header.z_nm_per_V} nm/V` : kind === "ER" ? `sensor has ${header.sensor_nm_per_V} nm/V` : `phase has ${header.phase_deg_per_V} deg/V`; // prettier-ignore
    warnings.push(`channel ${kind} is left out: its ${what}, which is no scale`);
  }
  const port = usable ? PORTS[kind] : undefined;
  return { name: kind, port, unit: port ? IMAGE_PORTS[port][0] : "V", direction: TRACE, rank: 0 };
}

/** How many frames there are, and of how many channels: the place of channel 2 depends on the frames of channel 1. */
function countFrames(
  { frames: said, recorded, length }: Header,
  channels: number,
  frameBytes: number,
  size: number,
  { warnings, lost }: { warnings: string[]; lost: string[] },
): { frames: number; channelsThere: number } {
  const held = Math.floor((size - length) / frameBytes);
  const fits = (frames: number): boolean => size === length + channels * frames * frameBytes;
  const frames = !fits(said) && recorded > 0 && fits(recorded) ? recorded : said;
  if (said !== recorded)
    warnings.push(`was recorded with ${recorded} frames and says that it holds ${said}; by its size there are ${held / channels}`); // prettier-ignore
  if (held >= channels * frames) return { frames, channelsThere: channels };
  const inFirst = Math.min(held, frames);
  const second = channels > 1 ? ` of channel 1 and ${held - inFirst} of channel 2` : "";
  lost.push(`is cut short: it holds ${inFirst} of ${frames} frames${second}; copy it again`);
  return { frames: inFirst, channelsThere: held > frames ? channels : 1 };
}

async function checkLevels(
  bytes: Bytes,
  { at, rows, columns, name }: ImageChannel & { readonly at: number },
  levels: number,
  warnings: string[],
): Promise<void> {
  const raw = await bytes.read(at + FRAME_HEADER, 2 * rows * columns, `frame 1 of channel ${name}`);
  let beyond = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const level = raw.readInt16LE(i);
    if (level < 0 || level >= levels) beyond++;
  }
  if (beyond > 0)
    warnings.push(`in its first frame, ${beyond} of ${rows * columns} pixels are outside the converter's ${levels} levels; its header may be damaged`); // prettier-ignore
}

/** Reads the fields of a header one behind the other. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #next(size: number): number {
    this.#at += size;
    return this.#at - size;
  }
  int32 = (): number => this.#bytes.readInt32LE(this.#next(4));
  uint32 = (): number => this.#bytes.readUInt32LE(this.#next(4));
  int16 = (): number => this.#bytes.readInt16LE(this.#next(2));
  uint8 = (): number => this.#bytes.readUInt8(this.#next(1));
  float = (): number => this.#bytes.readFloatLE(this.#next(4));
  text = (size: number): string => this.#bytes.toString("latin1", this.#next(size), this.#at);
  skip = (size: number): void => void this.#next(size);
}

const NEWER_FIXED = 165, OLDEST_FIXED = { 2: 117, 4: 132 } as const; // prettier-ignore

async function headerBytes(bytes: Bytes, length: number, least: number): Promise<Buffer> {
  if (!(length >= least && length <= MOST_HEADER)) {
    throw new SourceError(
      `${bytes.path}: says that its header has ${length} bytes, wanted ${least} to ${MOST_HEADER}; it is damaged, copy it again`,
    );
  }
  return bytes.read(0, length, "its header");
}

/** A count that comes from the file: never negative, so that a sum of counts is a length. */
const count = (n: number): number => (n >= 0 ? n : NaN);

async function readNewer(bytes: Bytes, version: number): Promise<Header> {
  const lengths = await bytes.read(4, 20, "its header");
  const [length, name, comment] = [lengths.readInt32LE(0), lengths.readInt32LE(12), lengths.readInt32LE(16)] as const; // prettier-ignore
  const wanted = NEWER_FIXED + count(name) + count(comment);
  if (version === 1 ? length !== wanted : !(length >= wanted)) {
    throw new SourceError(
      `${bytes.path}: says that its header has ${length} bytes, but ${NEWER_FIXED} and a name of ${name} and a comment of ${comment} are ${wanted}; it is damaged, copy it again`,
    );
  }
  const fields = new Fields(await headerBytes(bytes, length, NEWER_FIXED));
  fields.skip(24);
  const kinds = [kindOf(fields.text(4)), kindOf(fields.text(4))] as const;
  const [recorded, frames] = [fields.int32(), fields.int32()] as const;
  fields.skip(8); // direction of the scan, number of the file
  const [columns, rows, sizeX_nm, sizeY_nm] = [fields.int32(), fields.int32(), fields.int32(), fields.int32()] as const; // prettier-ignore
  fields.skip(5); // averaging
  const clock = Array.from({ length: 6 }, fields.int32);
  fields.skip(8); // rounding of the scan's turns
  const [frameTime_ms, sensor_nm_per_V, phase_deg_per_V] = [fields.float(), fields.float(), fields.float()] as const; // prettier-ignore
  fields.skip(16);
  const [machine, rangeCode, bits] = [fields.int32(), fields.uint32(), fields.int32()] as const;
  fields.skip(16); // ranges and extensions of x and y
  const [z_nm_per_V, zGain] = [fields.float(), fields.float()] as const;
  return {
    length, kinds, recorded, frames, columns, rows, sizeX_nm, sizeY_nm, clock, frameTime_ms,
    sensor_nm_per_V, phase_deg_per_V, machine, rangeCode, bits, z_nm_per_V, zGain,
  }; // prettier-ignore
}

async function readOldest(bytes: Bytes): Promise<Header> {
  const lengths = await bytes.read(4, 24, "its header");
  const [length, name, gap, comment] = [4, 12, 16, 20].map((at) => lengths.readInt32LE(at)) as [number, number, number, number]; // prettier-ignore
  const texts = count(name) + count(gap) + count(comment);
  const wide = ([2, 4] as const).find((size) => length === OLDEST_FIXED[size] + texts);
  if (!wide) {
    throw new SourceError(
      `${bytes.path}: says that its header has ${length} bytes, but by its texts it has ${OLDEST_FIXED[2] + texts} or ${OLDEST_FIXED[4] + texts}; it is damaged, copy it again`,
    );
  }
  const fields = new Fields(await headerBytes(bytes, length, OLDEST_FIXED[2]));
  const pixels = wide === 2 ? fields.int16 : fields.int32;
  fields.skip(4);
  const kinds = [kindOf(fields.text(2)), kindOf(fields.text(2))] as const;
  fields.skip(20);
  const [columns, rows, sizeX_nm, sizeY_nm] = [pixels(), pixels(), pixels(), pixels()] as const;
  const [frameTime_ms, z_nm_per_V, zGain] = [fields.float(), fields.float(), fields.float()] as const;
  const [rangeCode, bits] = [fields.uint32(), fields.int32()] as const;
  fields.skip(5 + wide); // averaging
  const clock = [fields.int16(), ...Array.from({ length: 5 }, fields.uint8)];
  fields.skip((wide === 2 ? 1 : 4) + 20); // rounding of the scan's turns, largest ranges
  const [recorded, frames, machine] = [fields.int32(), fields.int32(), fields.int32()] as const;
  fields.skip(wide + name); // number of the file, name of the user
  const [sensor_nm_per_V, phase_deg_per_V] = [fields.float(), fields.float()] as const;
  return {
    length, kinds, recorded, frames, columns, rows, sizeX_nm, sizeY_nm, clock, frameTime_ms,
    sensor_nm_per_V, phase_deg_per_V, machine, rangeCode, bits, z_nm_per_V, zGain,
  }; // prettier-ignore
}
