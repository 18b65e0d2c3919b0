/**
 * Columns to Arrow and back, without a copy of numbers. Sources, journal, wire and export speak Arrow;
 * between operators no record batch is built.
 */
import * as arrow from "apache-arrow";
import { isList, makeArray, widthOf, type Column, type Columns } from "./columns.ts";
import { columnsOf } from "./wire/arrow-messages.ts";
import { NO_TIME } from "./batch.ts";
import type { Field, Fields, Kind, Numeric, NumericArray, Schema } from "./wire/schema.ts";

const TYPES: Record<Numeric, () => arrow.DataType> = {
  f64: () => new arrow.Float64(),
  f32: () => new arrow.Float32(),
  i8: () => new arrow.Int8(),
  u8: () => new arrow.Uint8(),
  i16: () => new arrow.Int16(),
  u16: () => new arrow.Uint16(),
  i32: () => new arrow.Int32(),
  u32: () => new arrow.Uint32(),
  i64: () => new arrow.Int64(),
};

const TEXT_KEYS = ["quantity", "long_name", "uncertainty", "vendor_name", "doc"] as const;

function typeFor(name: string, field: Field): arrow.DataType {
  if (field.kind === "label") return new arrow.Utf8();
  const item = TYPES[field.type]();
  if (field.kind === "image")
    return new arrow.FixedSizeList(widthOf(name, field), new arrow.Field("item", item, false));
  if (field.kind === "curve") return new arrow.List(new arrow.Field("item", item, false));
  return item;
}

function metadataFor(field: Field): Map<string, string> {
  const metadata = new Map<string, string>([["kind", field.kind]]);
  if (field.unit) metadata.set("unit", field.unit);
  for (const key of TEXT_KEYS) if (field[key]) metadata.set(key, field[key]);
  if (field.codes) metadata.set("codes", JSON.stringify(field.codes));
  if (field.kind === "image") {
    metadata.set("ARROW:extension:name", "arrow.fixed_shape_tensor");
    metadata.set("ARROW:extension:metadata", JSON.stringify({ shape: field.shape }));
  }
  return metadata;
}

const schemas = new WeakMap<Schema, arrow.Schema>();

/** The Arrow schema of a stream: `time` first, units and shapes in the fields' metadata. */
export function toArrowSchema(schema: Schema): arrow.Schema {
  let made = schemas.get(schema);
  if (!made) {
    const time = new arrow.Field(
      "time",
      new arrow.Timestamp(arrow.TimeUnit.NANOSECOND, "UTC"),
      false,
      new Map([["unit", "ns"]]),
    );
    const fields = Object.entries(schema.fields).map(
      ([name, field]) => new arrow.Field(name, typeFor(name, field), false, metadataFor(field)),
    );
    made = new arrow.Schema([time, ...fields], new Map(Object.entries(schema.metadata)));
    schemas.set(schema, made);
  }
  return made;
}

function toData(column: Column, type: arrow.DataType, length: number): arrow.Data {
  if (Array.isArray(column)) return arrow.vectorFromArray(column as string[], new arrow.Utf8()).data[0]!;
  if (isList(column)) {
    const first = column.offsets[0] ?? 0;
    const last = column.offsets[length] ?? first;
    const offsets = first === 0 ? column.offsets : column.offsets.map((at) => at - first);
    const values = column.values.subarray(first, last) as NumericArray;
    return arrow.makeData({
      type: type as arrow.List, length, nullCount: 0, valueOffsets: offsets,
      child: arrow.makeData({ type: (type as arrow.List).valueType as arrow.Float64, length: values.length, nullCount: 0, data: values as Float64Array }),
    }); // prettier-ignore
  }
  const values = column as Float64Array;
  if (arrow.DataType.isFixedSizeList(type)) {
    const child = arrow.makeData({
      type: type.valueType as arrow.Float64,
      length: values.length,
      nullCount: 0,
      data: values,
    });
    return arrow.makeData({ type, length, nullCount: 0, child });
  }
  return arrow.makeData({ type: type as arrow.Float64, length, nullCount: 0, data: values });
}

/** Columns as an Arrow record batch over the same bytes. Throws TypeError where a declared column is missing. */
export function toArrow(columns: Columns, schema: Schema, metadata?: Map<string, string>): arrow.RecordBatch {
  const arrowSchema = toArrowSchema(schema);
  const length = columns.time.length;
  const children = arrowSchema.fields.map((field) => {
    const column = columns[field.name];
    if (column === undefined && length > 0) throw new TypeError(`column ${field.name} is missing`);
    return toData(column ?? emptyColumn(schema.fields[field.name]!), field.type, length);
  });
  const struct = arrow.makeData({
    type: new arrow.Struct(arrowSchema.fields),
    length,
    nullCount: 0,
    children,
  });
  return new arrow.RecordBatch(arrowSchema, struct, metadata);
}

function emptyColumn(field: Field): Column {
  if (field.kind === "label") return [];
  const values = makeArray(field.type, 0);
  return field.kind === "curve" ? { values, offsets: new Int32Array(1) } : values;
}

/** Columns without rows. */
export function noRows(fields: Fields): Columns {
  const columns: Record<string, Column> = { time: NO_TIME };
  for (const name in fields) columns[name] = emptyColumn(fields[name]!);
  return columns as Columns;
}

/** Columns of an Arrow record batch, over the same bytes. */
export function fromArrow(batch: arrow.RecordBatch): Columns {
  return columnsOf(batch) as Columns;
}

const NUMERIC = new Map<string, Numeric>(
  (Object.entries(TYPES) as [Numeric, () => arrow.DataType][]).map(([type, make]) => [String(make()), type]),
);

/** A stream's schema from an Arrow schema: that of a recorded run, or of any Arrow data whose first column is `time`. */
export function fromArrowSchema(from: arrow.Schema): Schema {
  const fields: Record<string, Field> = {};
  for (const { name, type, metadata } of from.fields) {
    if (name === "time") continue;
    fields[name] = fieldFrom(name, type, metadata);
  }
  return { fields, metadata: Object.fromEntries(from.metadata) };
}

function fieldFrom(name: string, type: arrow.DataType, metadata: Map<string, string>): Field {
  const about: Record<string, unknown> = {};
  for (const key of TEXT_KEYS) if (metadata.has(key)) about[key] = metadata.get(key);
  if (metadata.has("codes")) about["codes"] = JSON.parse(metadata.get("codes")!);
  // What we wrote ourselves and has no unit says so by having none; of other tools' numbers we know nothing.
  const unit = metadata.get("unit") ?? (metadata.has("kind") ? "" : "1");
  if (arrow.DataType.isUtf8(type)) return { ...about, kind: "label", type: "u8", unit: "" };
  const list = arrow.DataType.isFixedSizeList(type) || arrow.DataType.isList(type);
  const numeric = NUMERIC.get(String(list ? type.valueType : type));
  if (!numeric) throw new TypeError(`column ${name} has type ${type}, which a stream cannot hold`);
  const kind =
    (metadata.get("kind") as Kind | undefined) ??
    (arrow.DataType.isFixedSizeList(type) ? "image" : list ? "curve" : "scalar");
  if (kind === "image") {
    const tensor = metadata.get("ARROW:extension:metadata");
    about["shape"] = tensor
      ? (JSON.parse(tensor) as { shape: number[] }).shape
      : [(type as arrow.FixedSizeList).listSize];
  }
  return { ...about, kind, type: numeric, unit: kind === "code" ? "" : unit };
}
