/** Gwyddion files with known contents, as bytes. */

export type GwyValue =
  | { b: boolean }
  | { i: number }
  | { q: bigint }
  | { d: number }
  | { s: string }
  | { D: readonly number[]; count?: number }
  | { S: readonly string[] }
  | { o: Buffer };

const text = (value: string): Buffer => Buffer.from(`${value}\0`, "utf8");
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export function gwyObject(
  name: string,
  components: readonly (readonly [name: string, value: GwyValue])[],
): Buffer {
  const body = Buffer.concat(components.flatMap(([key, value]) => {
    const [type] = Object.keys(value) as [string];
    return [text(key), Buffer.from(type), bytesOf(value)];
  })); // prettier-ignore
  return Buffer.concat([text(name), uint32(body.length), body]);
}

function bytesOf(value: GwyValue): Buffer {
  if ("b" in value) return Buffer.of(value.b ? 1 : 0);
  if ("s" in value) return text(value.s);
  if ("o" in value) return value.o;
  if ("S" in value) return Buffer.concat([uint32(value.S.length), ...value.S.map(text)]);
  if ("i" in value) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value.i);
    return bytes;
  }
  if ("D" in value) return Buffer.concat([uint32(value.count ?? value.D.length), Buffer.from(Float64Array.from(value.D).buffer)]); // prettier-ignore
  const bytes = Buffer.alloc(8);
  if ("q" in value) bytes.writeBigInt64LE(value.q);
  else bytes.writeDoubleLE(value.d);
  return bytes;
}

export interface MadeField {
  columns: number;
  rows: number;
  /** From the top row down. */
  values: readonly number[];
  size?: readonly [x: number, y: number];
  offset?: readonly [x: number, y: number];
  unit?: string;
  xyUnit?: string;
}

export function gwyField({ columns, rows, values, size = [1e-6, 2e-6], offset = [0, 0], unit = "m", xyUnit = "m" }: MadeField): Buffer {
  const unitObject = (unitstr: string): GwyValue => ({ o: gwyObject("GwySIUnit", [["unitstr", { s: unitstr }]]) });
  return gwyObject("GwyDataField", [
    ["xres", { i: columns }], ["yres", { i: rows }], ["xreal", { d: size[0] }], ["yreal", { d: size[1] }],
    ["xoff", { d: offset[0] }], ["yoff", { d: offset[1] }],
    ["si_unit_xy", unitObject(xyUnit)], ["si_unit_z", unitObject(unit)], ["data", { D: values }],
  ]); // prettier-ignore
} // prettier-ignore

export const gwy = (components: readonly (readonly [name: string, value: GwyValue])[]): Buffer =>
  Buffer.concat([Buffer.from("GWYP"), gwyObject("GwyContainer", components)]);
