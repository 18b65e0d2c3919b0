/** Small Parquet files of our own making: flat columns, plain values, not packed unless a packer is given. */

export type ParquetColumn =
  | { readonly type: "double" | "float" | "int32" | "int64" | "int96"; readonly values: readonly (number | null)[]; readonly timestamp?: "ms" | "us" }
  | { readonly type: "text"; readonly values: readonly (string | null)[] }; // prettier-ignore

export interface Packing {
  /** Number of the codec in Parquet: 1 snappy, 2 gzip, 4 brotli, 6 zstd. */
  readonly codec: number;
  pack(bytes: Uint8Array): Uint8Array;
}

const TYPE = { int32: 1, int64: 2, int96: 3, float: 4, double: 5, text: 6 } as const;
/** 1970-01-01 in the days that timestamps of 96 bits count. */
const JULIAN_EPOCH = 2_440_588, NS_PER_DAY = 86_400_000_000_000n; // prettier-ignore

/** The bytes of a file whose rows are cut into row groups of so many. */
export function parquetBytes(columns: Readonly<Record<string, ParquetColumn>>, rowsAGroup = Infinity, packing?: Packing): Uint8Array {
  const rows = Math.max(0, ...Object.values(columns).map(({ values }) => values.length));
  const body: Buffer[] = [Buffer.from("PAR1")];
  let at = 4;
  const groups: Thrift[] = [];
  for (let from = 0; from < rows; from += rowsAGroup) {
    const to = Math.min(rows, from + rowsAGroup);
    const chunks = Object.entries(columns).map(([name, column]): Thrift => {
      const page = pageBytes(column, from, to);
      const packed = packing ? Buffer.from(packing.pack(page)) : page;
      const header = struct([[1, i32(0)], [2, i32(page.length)], [3, i32(packed.length)], [5, struct([[1, i32(to - from)], [2, i32(0)], [3, i32(3)], [4, i32(3)]])]]);
      const bytes = Buffer.concat([header.bytes, packed]);
      const start = at;
      body.push(bytes);
      at += bytes.length;
      const size = i64(bytes.length);
      const about = struct([[1, i32(TYPE[column.type])], [2, list([i32(0), i32(3)])], [3, list([text(name)])], [4, i32(packing?.codec ?? 0)], [5, i64(to - from)], [6, size], [7, size], [9, i64(start)]]);
      return struct([[2, i64(start)], [3, about]]);
    });
    groups.push(struct([[1, list(chunks)], [2, i64(0)], [3, i64(to - from)]]));
    if (!Number.isFinite(rowsAGroup)) break;
  }
  const schema = Object.entries(columns).map(([name, column]): Thrift => {
    const stamp = "timestamp" in column && column.timestamp ? [[6, i32(column.timestamp === "ms" ? 9 : 10)] as const] : column.type === "text" ? [[6, i32(0)] as const] : [];
    return struct([[1, i32(TYPE[column.type])], [3, i32(1)], [4, text(name)], ...stamp]);
  });
  const root = struct([[4, text("schema")], [5, i32(schema.length)]]);
  const footer = struct([[1, i32(1)], [2, list([root, ...schema])], [3, i64(rows)], [4, list(groups)], [6, text("Operando's tests")]]).bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return new Uint8Array(Buffer.concat([...body, footer, length, Buffer.from("PAR1")]));
} // prettier-ignore

/** Which values are there, in bits, and those that are. */
function pageBytes(column: ParquetColumn, from: number, to: number): Buffer {
  const values = column.values.slice(from, to);
  const bits = Buffer.alloc(Math.ceil(values.length / 8));
  values.forEach((value, i) => {
    if (value !== null) bits[i >> 3]! |= 1 << (i & 7);
  });
  const levels = Buffer.concat([varint((bits.length << 1) | 1), bits]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(levels.length);
  const there = values.filter((value) => value !== null);
  return Buffer.concat([length, levels, ...there.map((value) => valueBytes(column.type, value))]);
}

function valueBytes(type: keyof typeof TYPE, value: number | string): Buffer {
  if (type === "text") {
    const encoded = Buffer.from(String(value));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(encoded.length);
    return Buffer.concat([length, encoded]);
  }
  const bytes = Buffer.alloc(type === "int96" ? 12 : type === "double" || type === "int64" ? 8 : 4);
  if (type === "double") bytes.writeDoubleLE(Number(value));
  else if (type === "float") bytes.writeFloatLE(Number(value));
  else if (type === "int32") bytes.writeInt32LE(Number(value));
  else if (type === "int96") {
    bytes.writeBigInt64LE(BigInt(value) % NS_PER_DAY);
    bytes.writeInt32LE(JULIAN_EPOCH + Number(BigInt(value) / NS_PER_DAY), 8);
  } else bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

// Thrift's compact protocol, as far as Parquet's directory needs it.
interface Thrift {
  readonly type: number;
  readonly bytes: Buffer;
}
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
const i32 = (value: number): Thrift => ({ type: 5, bytes: varint(2 * value) });
const i64 = (value: number): Thrift => ({ type: 6, bytes: varint(2 * value) });
const text = (value: string): Thrift => ({ type: 8, bytes: Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]) }); // prettier-ignore
function list(items: readonly Thrift[]): Thrift {
  const type = items[0]?.type ?? 12;
  const begin = items.length < 15 ? Buffer.from([(items.length << 4) | type]) : Buffer.concat([Buffer.from([0xf0 | type]), varint(items.length)]); // prettier-ignore
  return { type: 9, bytes: Buffer.concat([begin, ...items.map(({ bytes }) => bytes)]) };
}
function struct(fields: readonly (readonly [id: number, value: Thrift])[]): Thrift {
  let before = 0;
  const parts = fields.map(([id, { type, bytes }]) => {
    const begin = Buffer.from([((id - before) << 4) | type]);
    before = id;
    return Buffer.concat([begin, bytes]);
  });
  return { type: 12, bytes: Buffer.concat([...parts, Buffer.from([0])]) };
}
