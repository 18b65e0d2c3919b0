/** Small `.mpr` files of our own making, in the three layouts that EC-Lab has used. */

export type Width = "u8" | "u16" | "u32" | "f32" | "f64";
export type Layout = "old2" | "old3" | "new11";

export interface MprParts {
  layout: Layout;
  /** By id: how stored, and one value a record. Ids that share the flags byte have width "flag" and no values of their own. */
  columns: readonly (readonly [id: number, width: Width | "flag", values?: readonly number[]])[];
  /** The byte that the flag ids share. */
  flags?: readonly number[];
  technique?: number;
  /** Bytes to write into the settings at an offset. */
  settings?: Record<number, Uint8Array>;
  /** mm/dd/yy of every module. */
  date?: string;
  /** Clock face of the start, as if it were UTC; without it there is no LOG module. */
  start?: string;
  extDev?: Record<number, Uint8Array>;
  loop?: readonly number[];
  /** Says another number of records than there are. */
  count?: number;
  version?: number;
}

const SIZE: Record<Width, number> = { u8: 1, u16: 2, u32: 4, f32: 4, f64: 8 };
const LAYOUT = {
  old2: { version: 2, ids: 5, first: 405 },
  old3: { version: 3, ids: 5, first: 406 },
  new11: { version: 11, ids: 6, first: 1007 },
};

export function mprBytes(parts: MprParts): Uint8Array {
  const isNew = parts.layout === "new11";
  const date = parts.date ?? "05/28/25";
  const module = (name: string, data: Uint8Array, version = 0, newVersion = 10): Uint8Array => {
    const head = new Uint8Array(isNew ? 65 : 57).fill(32);
    const view = new DataView(head.buffer);
    head.set(ascii("MODULE"));
    head.set(ascii(name), 6);
    head.set(ascii(name), 16);
    if (isNew)
      [0xffffffff, data.length, 0, newVersion].forEach((n, i) => view.setUint32(41 + 4 * i, n, true));
    else [data.length, version].forEach((n, i) => view.setUint32(41 + 4 * i, n, true));
    head.set(ascii(date), head.length - 8);
    return join(head, data);
  };
  const magic = new Uint8Array(52);
  magic.set(ascii("BIO-LOGIC MODULAR FILE\x1a".padEnd(48)));
  const { version } = LAYOUT[parts.layout];
  return join(
    magic,
    module("VMP Set", bodyOf(0x600, { 0: Uint8Array.of(parts.technique ?? 4), ...parts.settings })),
    ...(parts.extDev ? [module("VMP ExtDev", bodyOf(0x100, parts.extDev))] : []),
    module("VMP data", dataOf(parts), parts.version ?? version, parts.version ?? version),
    ...(parts.start ? [module("VMP LOG", logOf(parts.start))] : []),
    ...(parts.loop
      ? [module("VMP loop", new Uint8Array(Uint32Array.of(parts.loop.length, ...parts.loop).buffer))]
      : []),
  );
}

function dataOf({ layout, columns, flags = [], count }: MprParts): Uint8Array {
  const { ids, first } = LAYOUT[layout];
  const rows = Math.max(flags.length, ...columns.map(([, , values]) => values?.length ?? 0));
  const flagged = columns.findIndex(([, width]) => width === "flag");
  const sizes = columns.map(([, width], i) => (width === "flag" ? Number(i === flagged) : SIZE[width]));
  const record = sizes.reduce((sum, size) => sum + size, 0);
  const bytes = new Uint8Array(first + rows * record);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count ?? rows, true);
  view.setUint16(4, columns.length, true); // old layouts: the low byte; the first id follows over the high one
  columns.forEach(([id], i) => view.setUint16(ids + 2 * i, id, true));
  for (let row = 0, at = first; row < rows; row++) {
    columns.forEach(([, width, values = []], i) => {
      if (width === "flag") {
        if (i === flagged) view.setUint8(at, flags[row]!);
      } else write(view, width, at, values[row]!);
      at += sizes[i]!;
    });
  }
  return bytes;
}

function write(view: DataView, width: Width, at: number, value: number): void {
  if (width === "u8") view.setUint8(at, value);
  else if (width === "u16") view.setUint16(at, value, true);
  else if (width === "u32") view.setUint32(at, value, true);
  else if (width === "f32") view.setFloat32(at, value, true);
  else view.setFloat64(at, value, true);
}

function logOf(start: string): Uint8Array {
  const days = (Date.parse(`${start}Z`) - Date.UTC(1899, 11, 30)) / 86_400_000;
  return bodyOf(0x930, {
    9: Uint8Array.of(7),
    0xab: new Uint8Array(Uint16Array.of(21637).buffer),
    0x249: new Uint8Array(Float64Array.of(days).buffer),
    0x3b7: pascal("11.61"),
    0x3cf: pascal("0858"),
  });
}

function bodyOf(length: number, at: Record<number, Uint8Array>): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [offset, data] of Object.entries(at)) bytes.set(data, Number(offset));
  return bytes;
}

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const pascal = (text: string): Uint8Array => join(Uint8Array.of(text.length), ascii(text));
export const f32 = (value: number): Uint8Array => new Uint8Array(Float32Array.of(value).buffer);

export function join(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
