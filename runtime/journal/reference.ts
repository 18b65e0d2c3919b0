/**
 * Frames by reference: images that already lie in a file of the instrument's are recorded as where they lie, with
 * length and CRC-32, and read again from there.
 */
import { crc32 } from "node:zlib";
import type { Columns } from "../columns.ts";
import type { FrameReference } from "../define.ts";
import { bytesPerValue, makeArray, typeOf } from "../columns.ts";
import { code, imageSize, label, type Field, type NumericArray, type Schema } from "../wire/schema.ts";
import { grouped, RunError } from "./run-error.ts";

/** Reads one frame, `reference.first` of its dataset. */
export type Resolve = (reference: FrameReference) => Promise<NumericArray>;

const PARTS = ["file", "dataset", "index", "bytes", "crc32"] as const;
const FIELDS: Record<(typeof PARTS)[number], Field> = {
  file: label({ doc: "file that the frame lies in" }),
  dataset: label({ doc: "dataset within the file" }),
  index: code({ doc: "number of the frame in the dataset" }),
  bytes: code({ doc: "length of the frame" }),
  crc32: code({ type: "u32", doc: "checksum of the frame's bytes" }),
};

/** The schema that is recorded in place of one with images. Throws TypeError where names collide or there is no such image. */
export function referenceSchema(schema: Schema, column: string, stream: string): Schema {
  if (schema.fields[column]?.kind !== "image")
    throw new TypeError(`${stream} has no image column ${column} to record by reference`);
  const fields: Record<string, Field> = {};
  for (const [name, field] of Object.entries(schema.fields)) {
    if (name !== column) fields[name] = field;
    else {
      for (const part of PARTS) {
        if (`${column}_${part}` in schema.fields)
          throw new TypeError(`${stream} has a column ${column}_${part} already; rename it`);
        fields[`${column}_${part}`] = FIELDS[part];
      }
    }
  }
  return { fields, metadata: schema.metadata };
}

/** Columns as `referenceSchema` has them. */
export function withReferences(columns: Columns, schema: Schema, reference: FrameReference): Columns {
  const { column, file, dataset, first, stride = 1 } = reference;
  const rows = columns.time.length;
  const frames = columns[column] as NumericArray;
  const width = imageSize(column, schema.fields[column]!);
  const out: Record<string, unknown> = { ...columns };
  delete out[column];
  out[`${column}_file`] = Array.from({ length: rows }, () => file);
  out[`${column}_dataset`] = Array.from({ length: rows }, () => dataset);
  out[`${column}_index`] = Int32Array.from({ length: rows }, (_, i) => first + i * stride);
  out[`${column}_bytes`] = new Int32Array(rows).fill(width * frames.BYTES_PER_ELEMENT);
  out[`${column}_crc32`] = Uint32Array.from({ length: rows }, (_, i) =>
    checksum(frames.subarray(i * width, (i + 1) * width)),
  );
  return out as unknown as Columns;
}

const checksum = (frame: NumericArray): number =>
  crc32(new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength));

/** The schema that a stream had before `referenceSchema`. */
export function originalSchema(recorded: Schema, references: Readonly<Record<string, Field>>): Schema {
  const fields: Record<string, Field> = {};
  for (const [name, field] of Object.entries(recorded.fields)) {
    const column = Object.keys(references).find((column) =>
      PARTS.some((part) => name === `${column}_${part}`),
    );
    if (column === undefined) fields[name] = field;
    else fields[column] = references[column]!;
  }
  return { fields, metadata: recorded.metadata };
}

/** The columns as they were; reads each frame and checks that it is the one that was recorded. */
export async function resolveFrames(
  recorded: Columns,
  references: Readonly<Record<string, Field>>,
  at: { stream: string; row: number },
  resolve: Resolve | undefined,
): Promise<Columns> {
  const out: Record<string, unknown> = { ...recorded };
  for (const [column, field] of Object.entries(references)) {
    const rows = recorded.time.length;
    const width = imageSize(column, field);
    const frames = makeArray(field.type, rows * width);
    const [file, dataset, index, , crc] = PARTS.map((part) => recorded[`${column}_${part}`]) as [
      string[],
      string[],
      Int32Array,
      Int32Array,
      Uint32Array,
    ];
    for (const part of PARTS) delete out[`${column}_${part}`];
    for (let i = 0; i < rows; i++) {
      const frame = `${at.stream}, row ${grouped(at.row + i)}: frame ${index[i]} of ${dataset[i]} in ${file[i]}`;
      if (!resolve)
        throw new RunError(`${frame} was recorded by reference, and nothing here reads such files`);
      let values: NumericArray;
      try {
        values = await resolve({ column, file: file[i]!, dataset: dataset[i]!, first: index[i]! });
      } catch (cause) {
        throw new RunError(
          `${frame} cannot be read: ${(cause as Error).message}; put the file back where it was`,
          { cause },
        );
      }
      if (typeOf(values) !== field.type || values.length !== width) {
        throw new RunError(
          `${frame} has changed: it was ${width} values of ${field.type} (${grouped(width * bytesPerValue(field.type))} bytes), ` +
            `now ${values.length} of ${typeOf(values)}; put the file back as it was`,
        );
      }
      if (checksum(values) !== crc[i]) {
        throw new RunError(
          `${frame} has changed since it was recorded: its checksum differs; put the file back as it was`,
        );
      }
      frames.set(values as never, i * width);
    }
    out[column] = frames;
  }
  return out as unknown as Columns;
}
