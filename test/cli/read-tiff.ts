/** Reads a TIFF file by the book, page by page, for tests: no more than its header, directories and strips. */
export interface ReadPage {
  readonly width: number;
  readonly height: number;
  readonly description: string | undefined;
  readonly dateTime: string;
  /** Pixels a unit. */
  readonly resolution: readonly [number, number] | undefined;
  readonly values: number[];
}

const SIZES: Record<number, number> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 16: 8 };

export function readTiff(file: Uint8Array): { big: boolean; pages: ReadPage[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint16(0, true) !== 0x4949) throw new Error("not little-endian");
  const version = view.getUint16(2, true);
  if (version !== 42 && version !== 43) throw new Error(`version ${version}`);
  const big = version === 43;
  if (big && (view.getUint16(4, true) !== 8 || view.getUint16(6, true) !== 0)) throw new Error("not BigTIFF");
  const place = (at: number): number =>
    big ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true);
  const pages: ReadPage[] = [];
  for (let at = place(big ? 8 : 4); at !== 0;) {
    if (at % 2 !== 0) throw new Error(`a directory at the odd place ${at}`);
    const count = big ? place(at) : view.getUint16(at, true);
    const tags = new Map<number, number[]>();
    let before = 0;
    for (let i = 0; i < count; i++) {
      const entry = at + (big ? 8 + 20 * i : 2 + 12 * i);
      const [tag, type] = [view.getUint16(entry, true), view.getUint16(entry + 2, true)];
      if (tag <= before) throw new Error(`tag ${tag} after ${before}`);
      before = tag;
      const n = place(entry + 4);
      const size = SIZES[type]!;
      const inside = entry + (big ? 12 : 8);
      const from = n * size <= (big ? 8 : 4) ? inside : place(inside);
      const read = (k: number): number => {
        const p = from + k * size;
        if (size === 1) return view.getUint8(p);
        if (size === 2) return view.getUint16(p, true);
        if (size === 4) return view.getUint32(p, true);
        if (type === 5) return view.getUint32(p, true) / view.getUint32(p + 4, true);
        return Number(view.getBigUint64(p, true));
      };
      tags.set(
        tag,
        Array.from({ length: n }, (_, k) => read(k)),
      );
    }
    const number = (tag: number): number => tags.get(tag)![0]!;
    const text = (tag: number): string | undefined =>
      tags.has(tag) ? String.fromCharCode(...tags.get(tag)!.slice(0, -1)) : undefined;
    if (number(259) !== 1 || number(277) !== 1) throw new Error("compressed, or more than a sample a pixel");
    const [width, height, bits, format, strip] = [256, 257, 258, 339, 273].map(number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (number(278) !== height || number(279) !== (width * height * bits) / 8)
      throw new Error("not one strip");
    const values = Array.from({ length: width * height }, (_, k) => {
      const p = strip + (k * bits) / 8;
      if (format === 3) return bits === 32 ? view.getFloat32(p, true) : view.getFloat64(p, true);
      if (bits === 8) return format === 1 ? view.getUint8(p) : view.getInt8(p);
      if (bits === 16) return format === 1 ? view.getUint16(p, true) : view.getInt16(p, true);
      return format === 1 ? view.getUint32(p, true) : view.getInt32(p, true);
    });
    pages.push({
      width, height, values,
      description: text(270), dateTime: text(306)!,
      resolution: tags.has(282) ? [number(282), number(283)] : undefined,
    }); // prettier-ignore
    at = place(at + (big ? 8 + 20 * count : 2 + 12 * count));
  }
  return { big, pages };
}
