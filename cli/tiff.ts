/**
 * The frame of a TIFF file around pages of one size that lie in it one after another, uncompressed, a strip each:
 * what stands before the first page, and what after the last. So pages are written as they come and none is kept;
 * how many there are, and whether their places need BigTIFF's 64 bits, need not be known before the end.
 *
 * Reference: TIFF 6.0 (Adobe, 1992); BigTIFF (Aware Systems, 2007). Little-endian, as the pages are.
 */
import type { Numeric } from "../runtime/index.ts";

/** Pages begin here. */
export const PAGES_BEGIN = 16;

export interface Pages {
  readonly rows: number;
  readonly columns: number;
  readonly type: Numeric;
  /** When each was measured, ns since 1970, UTC. */
  readonly times: readonly bigint[];
  /** Stands with the first page; ASCII. */
  readonly description: string;
  readonly software: string;
  /** Size of a pixel, in the unit that the description names; absent where nobody knows it. */
  readonly pixel?: { readonly x: number; readonly y: number };
}

const BYTES: Record<Numeric, number> = {
  f64: 8,
  f32: 4,
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
};

/** Bytes before the pages, and after them. `big`: BigTIFF; by default where a plain TIFF would pass 4 GiB. */
export function frameOf(pages: Pages, big?: boolean): { before: Uint8Array; after: Uint8Array } {
  const pageBytes = pages.rows * pages.columns * BYTES[pages.type];
  const end = PAGES_BEGIN + pages.times.length * pageBytes;
  const from = Math.ceil(end / 8) * 8;
  if (big === undefined && from >= 2 ** 32) return frameOf(pages, true);
  const form = big ? BIG : PLAIN;
  const chunks: Uint8Array[] = [new Uint8Array(from - end)];
  let at = from;
  pages.times.forEach((time, i) => {
    const tags = tagsOf(pages, { time, first: i === 0, at: PAGES_BEGIN + i * pageBytes, pageBytes }, form);
    const chunk = directory(tags, at, i === pages.times.length - 1, form);
    chunks.push(chunk);
    at += chunk.length;
  });
  if (big === undefined && at >= 2 ** 32) return frameOf(pages, true);
  const before = new Uint8Array(PAGES_BEGIN);
  const view = new DataView(before.buffer);
  view.setUint16(0, 0x4949, true); // little-endian
  view.setUint16(2, form.version, true);
  if (form === BIG) view.setUint16(4, 8, true); // bytes of a place
  form.setPlace(view, form === BIG ? 8 : 4, from);
  return { before, after: Buffer.concat(chunks) };
}

/** Where the two kinds of TIFF differ: how many bytes a place, and so a count and an entry, has. */
interface Form {
  readonly version: number;
  readonly place: "long" | "long8";
  readonly placeBytes: number;
  /** Of the number of entries that a directory begins with. */
  readonly countBytes: number;
  readonly entryBytes: number;
  setPlace(view: DataView, at: number, value: number): void;
}

const PLAIN: Form = {
  version: 42, place: "long", placeBytes: 4, countBytes: 2, entryBytes: 12,
  setPlace: (view, at, value) => view.setUint32(at, value, true),
}; // prettier-ignore
const BIG: Form = {
  version: 43, place: "long8", placeBytes: 8, countBytes: 8, entryBytes: 20,
  setPlace: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
}; // prettier-ignore

const TYPES = { ascii: 2, short: 3, long: 4, rational: 5, long8: 16 } as const;

type Tag = readonly [tag: number, type: keyof typeof TYPES, value: number | string];

interface Page {
  readonly time: bigint;
  readonly first: boolean;
  readonly at: number;
  readonly pageBytes: number;
}

function tagsOf(pages: Pages, page: Page, { place }: Form): Tag[] {
  const { rows, columns, type, description, software, pixel } = pages;
  const [black, topLeft, noUnit, isUnsigned, isSigned, isFloat] = [1, 1, 1, 1, 2, 3];
  return [
    [256, "long", columns],
    [257, "long", rows],
    [258, "short", BYTES[type] * 8],
    [259, "short", 1], // not compressed
    [262, "short", black], // is zero
    ...(page.first ? [[270, "ascii", description] as const] : []),
    [273, place, page.at],
    [274, "short", topLeft],
    [277, "short", 1], // sample a pixel
    [278, "long", rows], // of a strip
    [279, place, page.pageBytes],
    ...(pixel ? ([[282, "rational", 1 / pixel.x], [283, "rational", 1 / pixel.y]] as const) : []), // pixels a unit
    [296, "short", noUnit], // of TIFF's own, inch and cm
    [305, "ascii", software],
    [306, "ascii", dateTime(page.time)],
    [339, "short", type.startsWith("f") ? isFloat : type.startsWith("u") ? isUnsigned : isSigned],
  ]; // prettier-ignore
}

/** "2026:11:22 10:15:00"; TIFF has no zone, this is UTC. */
function dateTime(time: bigint): string {
  const text = new Date(Number(time / 1_000_000n)).toISOString();
  return `${text.slice(0, 10).replaceAll("-", ":")} ${text.slice(11, 19)}`;
}

/** A directory at a place, with the values that do not fit into its entries behind it. */
function directory(tags: readonly Tag[], at: number, last: boolean, form: Form): Uint8Array {
  const { countBytes, entryBytes, placeBytes } = form;
  const values = tags.map(([, type, value]) => valueBytes(type, value));
  let length = countBytes + tags.length * entryBytes + placeBytes;
  const outside = values.map((bytes) => {
    if (bytes.length <= placeBytes) return 0;
    const from = length;
    length += Math.ceil(bytes.length / 8) * 8;
    return from;
  });
  length = Math.ceil(length / 8) * 8;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (form === BIG) form.setPlace(view, 0, tags.length);
  else view.setUint16(0, tags.length, true);
  tags.forEach(([tag, type, value], i) => {
    const entry = countBytes + i * entryBytes;
    view.setUint16(entry, tag, true);
    view.setUint16(entry + 2, TYPES[type], true);
    form.setPlace(view, entry + 4, typeof value === "string" ? value.length + 1 : 1);
    const inside = entry + 4 + placeBytes;
    if (outside[i]) form.setPlace(view, inside, at + outside[i]);
    bytes.set(values[i]!, outside[i] || inside);
  });
  form.setPlace(view, countBytes + tags.length * entryBytes, last ? 0 : at + length);
  return bytes;
}

function valueBytes(type: keyof typeof TYPES, value: number | string): Uint8Array {
  if (typeof value === "string") return Buffer.from(`${value}\0`, "ascii");
  const bytes = new Uint8Array({ ascii: 1, short: 2, long: 4, rational: 8, long8: 8 }[type]);
  const view = new DataView(bytes.buffer);
  if (type === "short") view.setUint16(0, value, true);
  else if (type === "long") view.setUint32(0, value, true);
  else if (type === "long8") view.setBigUint64(0, BigInt(value), true);
  else rational(value).forEach((part, i) => view.setUint32(4 * i, part, true));
  return bytes;
}

/** A ratio of two 32-bit numbers, by whose rounding a round `1 / value` is kept. */
function rational(value: number): [number, number] {
  let above = 1e9;
  while (above / value >= 2 ** 32) above /= 10;
  return [Math.round(above), Math.max(1, Math.round(above / value))];
}
