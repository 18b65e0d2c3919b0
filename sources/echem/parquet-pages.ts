/**
 * What the pages of a Parquet column say of themselves, held against what can be. The library that decodes them believes
 * every count: one flipped bit in a run's length has it write 2^31 values, which ends the process.
 *
 * Layout: Apache Parquet's Encodings.md (runs and bit-packed groups, delta blocks) and the page headers of parquet.thrift.
 */
import * as zlib from "node:zlib";
import type { CompressionCodec, Compressors, SchemaElement } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { readVarInt } from "hyparquet/src/thrift.js";

type Unpack = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
/** Node.js has zstd from 22.15 on. */
const zstd = (zlib as unknown as { zstdDecompressSync?: Unpack }).zstdDecompressSync;
const by = (unpack: Unpack) => (bytes: Uint8Array, maxOutputLength: number) => new Uint8Array(unpack(bytes, { maxOutputLength })); // prettier-ignore

/** Besides snappy, which the library has. */
export const COMPRESSORS: Compressors = {
  GZIP: by(zlib.gunzipSync),
  BROTLI: by(zlib.brotliDecompressSync),
  ...(zstd && { ZSTD: by(zstd) }),
};
export const UNPACKED: ReadonlySet<string> = new Set(["UNCOMPRESSED", "SNAPPY", ...Object.keys(COMPRESSORS)]);

/** Bytes of a page of text once it is unpacked: writers make pages of about 1 MB. */
const MOST_TEXT_BYTES = 2 ** 26;

type Reader = Parameters<typeof readVarInt>[0];

/** Throws where a page of this column chunk says what cannot be. */
export function checkPages(bytes: Uint8Array, rows: number, codec: CompressionCodec, element: SchemaElement, isText: boolean): void {
  const most = isText ? MOST_TEXT_BYTES : 24 * rows + 65_536;
  const reader: Reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
  const unpack = (from: number, packed: number, size: number): Reader => {
    const page = decompressPage(bytes.subarray(from, from + packed), size, codec, COMPRESSORS);
    return { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
  };
  for (let values = 0; values < rows && reader.offset < bytes.length - 1;) {
    const header = parquetHeader(reader);
    const { compressed_page_size: packed, uncompressed_page_size: size } = header;
    const { data_page_header: v1, data_page_header_v2: v2, dictionary_page_header: dictionary } = header;
    const count = v1?.num_values ?? v2?.num_values ?? dictionary?.num_values ?? 0;
    if (!(count >= 0 && count <= rows)) throw new Error(`a page says that it has ${count} of ${rows} values`);
    if (!(size >= 0 && size <= most)) throw new Error(`a page says that it has ${size} bytes`);
    if (!(packed >= 0 && reader.offset + packed <= bytes.length)) throw new Error("a page goes on past the end of its column");
    if (v1) {
      const page = unpack(reader.offset, packed, size);
      if (element.repetition_type === "OPTIONAL") {
        const length = page.view.getUint32(page.offset, true);
        checkRuns({ ...page, offset: page.offset + 4 }, 1, count);
        page.offset += 4 + length;
      }
      checkValues(page, v1.encoding, count, element);
    } else if (v2) {
      const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
      if (!(levels >= 0 && levels <= packed)) throw new Error(`a page says that it has ${levels} bytes of levels`);
      if (element.repetition_type === "OPTIONAL") checkRuns({ ...reader, offset: reader.offset + v2.repetition_levels_byte_length }, 1, count);
      if (!(v2.num_nulls >= 0 && v2.num_nulls <= count)) throw new Error(`a page says that ${v2.num_nulls} of its ${count} values are missing`);
      const from = reader.offset + levels;
      const isPacked = v2.is_compressed !== false;
      const page = isPacked ? unpack(from, packed - levels, size - levels) : { view: new DataView(bytes.buffer, bytes.byteOffset + from, packed - levels), offset: 0 };
      checkValues(page, v2.encoding, count - v2.num_nulls, element);
    }
    reader.offset += packed;
    values += v1 || v2 ? count : 0;
    if ((v1 || v2) && count === 0 && packed === 0) throw new Error("a page says that it is empty");
  }
} // prettier-ignore

function checkValues(page: Reader, encoding: string, count: number, { type }: SchemaElement): void {
  if (count === 0 || page.offset >= page.view.byteLength) return; // nothing but missing values
  switch (encoding) {
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY": {
      const width = page.view.getUint8(page.offset++);
      if (width > 32) throw new Error(`a page says that its numbers have ${width} bits`);
      if (width > 0) checkRuns(page, width, count);
      return;
    }
    case "RLE":
      return checkRuns({ ...page, offset: page.offset + (type === "BOOLEAN" ? 4 : 0) }, 1, count);
    case "DELTA_BINARY_PACKED":
    case "DELTA_LENGTH_BYTE_ARRAY": {
      const blockSize = readVarInt(page);
      const parts = readVarInt(page);
      if (!(parts > 0 && parts <= 1024 && blockSize > 0 && blockSize <= 2 ** 20 && blockSize % parts === 0))
        throw new Error(`a page says that it has blocks of ${blockSize} in ${parts} parts`);
      return;
    }
    case "PLAIN":
    case "BYTE_STREAM_SPLIT":
      return;
    default:
      throw new Error(`its values are written by ${encoding}, which is not read; write it plain or with a dictionary`);
  }
} // prettier-ignore

/** Runs of one value and groups of eight, up to so many values. */
function checkRuns(reader: Reader, width: number, most: number): void {
  for (let seen = 0; seen < most && reader.offset < reader.view.byteLength;) {
    const header = readVarInt(reader);
    const isPacked = (header & 1) === 1;
    const count = isPacked ? (header >> 1) * 8 : header >>> 1;
    if (header < 0 || count > most + 512) throw new Error(`a run says that it has ${count} of ${most} values`);
    reader.offset += isPacked ? (count / 8) * width : (width + 7) >> 3;
    seen += count;
  }
} // prettier-ignore
