/**
 * Igor binary waves (`.ibw`): one array of up to four dimensions with a note.
 *
 *     version  header of the file  header of the wave  behind the data
 *     1        8 bytes             110                 16 bytes of padding
 *     2        16                  110                 padding, note
 *     3        20                  110                 padding, note, formula
 *     5        64                  320                 formula, note, units, labels of the dimensions
 *
 * Byte order is told by the version, an int16 whose low byte is not zero. The int16s of both headers (up to
 * version 3 with the 16 bytes behind them) add up to zero. Dimension 0 runs fastest; element i of dimension d
 * stands for `scale[d] × i + offset[d]`. A label is a cell of 32 bytes that ends at its first NUL, whatever follows.
 *
 * Layout: WaveMetrics, Technical Note 003.
 */
import { SourceError } from "../../runtime/index.ts";
import { openBytes, type Bytes } from "../bytes.ts";

export interface IgorWave {
  readonly path: string;
  readonly version: number;
  readonly name: string;
  /** Lengths of the dimensions there are. */
  readonly shape: readonly number[];
  readonly scale: readonly number[];
  readonly offset: readonly number[];
  readonly dataUnit: string;
  readonly dimensionUnits: readonly string[];
  /** Labels of each dimension's elements; an empty list where it has none. */
  readonly labels: readonly (readonly string[])[];
  /** Latin-1, as it stands. */
  readonly note: string;
  /** Seconds of the machine's clock since 1904; 0 where not said. */
  readonly modified_s: number;
  /** `count` values from value `first` on, in the order of the file. */
  read(first: number, count: number, what: string): Promise<Float64Array>;
  close(): Promise<void>;
}

const FILE_HEADERS: Record<number, number> = { 1: 8, 2: 16, 3: 20, 5: 64 };
const OLD_WAVE_HEADER = 110, NEW_WAVE_HEADER = 320, PADDING = 16, LABEL = 32; // prettier-ignore
const MOST_DIMENSIONS = 4;
/** No instrument writes a longer note; a damaged header might claim one. */
const MOST_TEXT = 1 << 24;

interface NumberType {
  readonly bytes: number;
  readonly read: (view: DataView, at: number, little: boolean) => number;
}
const TYPES: Record<number, NumberType> = {
  0x02: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  0x04: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  0x08: { bytes: 1, read: (view, at) => view.getInt8(at) },
  0x10: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  0x20: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  0x48: { bytes: 1, read: (view, at) => view.getUint8(at) },
  0x50: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  0x60: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
};
const COMPLEX = 1, KNOWN_TYPES = "numbers of 8, 16 or 32 bit, and floats of 32 or 64"; // prettier-ignore

/** Version and byte order that a file's first two bytes tell; undefined where it is no wave. */
function beginning(head: Uint8Array): { version: number; little: boolean } | undefined {
  if (head.length < 2) return undefined;
  const little = head[0] !== 0;
  const version = little ? head[0]! | (head[1]! << 8) : head[1]!;
  return FILE_HEADERS[version] === undefined ? undefined : { version, little };
}

/** Bytes that the checksum is over. */
const headerBytes = (version: number): number =>
  FILE_HEADERS[version]! + (version === 5 ? NEW_WAVE_HEADER : OLD_WAVE_HEADER + PADDING);

/** Whether the int16s of both headers add up to zero. */
function isWhole(header: Uint8Array, little: boolean): boolean {
  let sum = 0;
  for (let at = 0; at + 1 < header.length; at += 2)
    sum += little ? header[at]! | (header[at + 1]! << 8) : (header[at]! << 8) | header[at + 1]!;
  return (sum & 0xffff) === 0;
}

export function looksLikeIgorWave(head: Uint8Array): boolean {
  const begins = beginning(head);
  if (!begins) return false;
  const length = headerBytes(begins.version);
  return head.length >= length && isWhole(head.subarray(0, length), begins.little);
}

export async function openIgorWave(path: string): Promise<IgorWave> {
  const bytes = await openBytes(path);
  try {
    return await readWave(bytes);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

async function readWave(bytes: Bytes): Promise<IgorWave> {
  const { path } = bytes;
  const wrong = (what: string): SourceError => new SourceError(`${path}: ${what}; copy the file again`);
  const begins = beginning(await bytes.read(0, 2, "the version of the wave"));
  if (!begins) throw new SourceError(`${path}: is no Igor binary wave: it does not begin with a version of 1, 2, 3 or 5`); // prettier-ignore
  const { version, little } = begins;
  const header = Buffer.from(await bytes.read(0, headerBytes(version), "the header of the wave"));
  if (!isWhole(header, little)) throw wrong("the checksum of its header (version " + version + ") is wrong, so it is damaged"); // prettier-ignore

  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const int16 = (at: number): number => view.getInt16(at, little);
  const int32 = (at: number): number => view.getInt32(at, little);
  const uint32 = (at: number): number => view.getUint32(at, little);
  const float64 = (at: number): number => view.getFloat64(at, little);
  const latin1 = (at: number, length: number): string => cut(header.toString("latin1", at, at + length));

  const wave = FILE_HEADERS[version]!;
  const isNew = version === 5;
  const waveBytes = int32(isNew ? 4 : 2);
  const formulaBytes = isNew ? int32(8) : version === 3 ? int32(10) : 0;
  const noteBytes = isNew ? int32(12) : version === 1 ? 0 : int32(6);
  // A wave that depends on a formula may be stored without its values.
  const computed = version === 3 && formulaBytes > 0 && waveBytes === OLD_WAVE_HEADER + PADDING;
  const points = computed ? 0 : int32(wave + (isNew ? 12 : 42));
  const typeCode = int16(wave + (isNew ? 16 : 0));

  if (typeCode === 0) throw new SourceError(`${path}: is an Igor wave of text, not of numbers`);
  if (typeCode & COMPLEX) throw new SourceError(`${path}: is an Igor wave of complex numbers, which no AFM channel is; export its magnitude or real part`); // prettier-ignore
  const type = TYPES[typeCode];
  if (!type) throw wrong(`its header says number type 0x${(typeCode & 0xffff).toString(16)}; known are ${KNOWN_TYPES}`); // prettier-ignore

  const dimensions = Array.from({ length: MOST_DIMENSIONS }, (_, d) => d);
  const lengths = isNew ? dimensions.map((d) => int32(wave + 68 + 4 * d)) : [points];
  const end = lengths.indexOf(0);
  const shape = end < 0 ? lengths : lengths.slice(0, end);
  const product = shape.length === 0 ? 0 : shape.reduce((a, b) => a * b, 1);
  if (shape.some((length) => length < 0) || product !== points)
    throw wrong(`its header says ${points} values, but dimensions of ${shape.join(" × ") || "none"}`);
  const dataAt = wave + (isNew ? NEW_WAVE_HEADER : OLD_WAVE_HEADER);
  const dataBytes = points * type.bytes;
  const dataEnd = wave + waveBytes;
  if (dataEnd !== dataAt + dataBytes + (isNew ? 0 : PADDING))
    throw wrong(`its header says ${waveBytes} bytes of wave, but ${points} values of ${type.bytes} bytes need ${dataAt - wave + dataBytes + (isNew ? 0 : PADDING)}`); // prettier-ignore
  if (dataEnd > bytes.size)
    throw new SourceError(`${path}: its ${points} values end at byte ${dataEnd}, but the file ends at byte ${bytes.size}; it is cut short, copy it again`); // prettier-ignore

  const text = async (at: number, length: number, what: string): Promise<string> => {
    if (length < 0 || length > MOST_TEXT) throw wrong(`${what} would have ${length} bytes`);
    return (await bytes.read(at, length, what)).toString("latin1");
  };
  const noteAt = dataEnd + (isNew ? formulaBytes : 0);
  if (formulaBytes < 0 || formulaBytes > MOST_TEXT) throw wrong(`its formula would have ${formulaBytes} bytes`); // prettier-ignore
  const note = await text(noteAt, noteBytes, "its note");

  const labels: string[][] = [];
  let longUnit = "";
  const longUnits: string[] = [];
  if (isNew) {
    let at = noteAt + noteBytes;
    const next = async (size: number, what: string): Promise<string> => {
      const read = await text(at, size, what);
      at += size;
      return read;
    };
    longUnit = cut(await next(int32(16), "its unit"));
    for (const d of dimensions) longUnits.push(cut(await next(int32(20 + 4 * d), `the unit of dimension ${d}`))); // prettier-ignore
    for (const d of dimensions) {
      const cells = await next(int32(36 + 4 * d), `the labels of dimension ${d}`);
      const list: string[] = [];
      // The first cell is the label of the dimension itself.
      for (let i = LABEL; i + LABEL <= cells.length && list.length < (shape[d] ?? 0); i += LABEL) list.push(cut(cells.slice(i, i + LABEL))); // prettier-ignore
      labels.push(list);
    }
  }

  return {
    path,
    version,
    name: latin1(wave + (isNew ? 28 : 6), isNew ? 32 : 20),
    shape,
    scale: isNew ? dimensions.map((d) => float64(wave + 84 + 8 * d)) : [float64(wave + 48)],
    offset: isNew ? dimensions.map((d) => float64(wave + 116 + 8 * d)) : [float64(wave + 56)],
    dataUnit: longUnit || latin1(wave + (isNew ? 148 : 34), 4),
    dimensionUnits: isNew
      ? dimensions.map((d) => longUnits[d] || latin1(wave + 152 + 4 * d, 4))
      : [latin1(wave + 38, 4)],
    labels,
    note,
    modified_s: uint32(wave + (isNew ? 8 : 102)),
    async read(first, count, what) {
      const raw = await bytes.read(dataAt + first * type.bytes, count * type.bytes, what);
      const data = new DataView(raw.buffer, raw.byteOffset, raw.length);
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = type.read(data, i * type.bytes, little);
      return values;
    },
    close: () => bytes.close(),
  };
}

/** Up to the first NUL. */
function cut(cell: string): string {
  const end = cell.indexOf("\0");
  return end < 0 ? cell : cell.slice(0, end);
}
