/** Writes compound files (MS-CFB) of our own making, and scans in them as Zeiss's microscopes lay them out. */

export interface OleOptions {
  /** 3: sectors of 512 bytes; 4: of 4096. */
  version?: 3 | 4;
  /** Sectors of neighbouring streams are dealt out in turn, so that no stream lies in one piece. */
  scattered?: boolean;
}

const FREE = 0xffffffff, END = 0xfffffffe, FAT = 0xfffffffd, DIFAT = 0xfffffffc; // prettier-ignore
const MINI = 64;
const CUTOFF = 4096;

interface Node {
  name: string;
  kind: 1 | 2 | 5;
  children: Node[];
  bytes: Buffer;
  start: number;
  size: number;
}

/** A container with these streams; a "/" in a name makes storages. */
export function ole(streams: Readonly<Record<string, Uint8Array>>, { version = 3, scattered = false }: OleOptions = {}): Buffer {
  const sector = version === 3 ? 512 : 4096;
  const node = (name: string, kind: 1 | 2 | 5): Node => ({ name, kind, children: [], bytes: Buffer.alloc(0), start: END, size: 0 });
  const root = node("Root Entry", 5);
  for (const [path, bytes] of Object.entries(streams)) {
    let at = root;
    const names = path.split("/");
    for (const [i, name] of names.entries()) {
      let next = at.children.find((child) => child.name === name);
      if (!next) at.children.push((next = node(name, i === names.length - 1 ? 2 : 1)));
      at = next;
    }
    at.bytes = Buffer.from(bytes);
    at.size = bytes.length;
  }
  const all: Node[] = [];
  const collect = (of: Node): void => { all.push(of); of.children.forEach(collect); };
  collect(root);

  // Small streams share one stream of the root's.
  const mini: number[] = [];
  const miniBytes: Buffer[] = [];
  const sectors: Buffer[] = [];
  const table: number[] = [];
  const chains: Buffer[][] = [];
  const owners: ((start: number) => void)[] = [];
  const piece = (bytes: Buffer, size: number): Buffer[] =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => {
      const out = Buffer.alloc(size);
      bytes.copy(out, 0, i * size, (i + 1) * size);
      return out;
    });
  for (const stream of all.filter(({ kind, size }) => kind === 2 && size > 0)) {
    if (stream.size < CUTOFF) {
      stream.start = mini.length;
      const pieces = piece(stream.bytes, MINI);
      pieces.forEach((bytes, i) => { miniBytes.push(bytes); mini.push(i === pieces.length - 1 ? END : mini.length + 1); });
    } else {
      chains.push(piece(stream.bytes, sector));
      owners.push((start) => (stream.start = start));
    }
  }
  const miniStream = Buffer.concat(miniBytes);
  root.size = miniStream.length;
  if (miniStream.length > 0) { chains.push(piece(miniStream, sector)); owners.push((start) => (root.start = start)); }
  let miniFatStart = END;
  const miniFat = Buffer.alloc(Math.ceil((4 * mini.length) / sector) * sector, 0xff);
  mini.forEach((next, i) => miniFat.writeUInt32LE(next, 4 * i));
  const miniFatSectors = miniFat.length / sector;
  if (miniFatSectors > 0) { chains.push(piece(miniFat, sector)); owners.push((start) => (miniFatStart = start)); }

  // Sectors are dealt out one chain after the other, or in turn.
  const last = chains.map(() => -1);
  const place = (chain: number, bytes: Buffer): void => {
    const id = sectors.push(bytes) - 1;
    table.push(END);
    if (last[chain] === -1) owners[chain]!(id);
    else table[last[chain]!] = id;
    last[chain] = id;
  };
  if (scattered) for (let i = 0; chains.some((c) => i < c.length); i++) chains.forEach((c, k) => i < c.length && place(k, c[i]!));
  else chains.forEach((c, k) => c.forEach((bytes) => place(k, bytes)));

  // The directory: children of a storage as a degenerate tree, each the right one of the one before it.
  const directory = Buffer.alloc(Math.ceil((all.length * 128) / sector) * sector);
  all.forEach((of, i) => {
    const at = 128 * i;
    directory.write(of.name, at, "utf16le");
    directory.writeUInt16LE(2 * of.name.length + 2, at + 64);
    directory[at + 66] = of.kind;
    directory[at + 67] = 1;
    directory.writeUInt32LE(FREE, at + 68);
    directory.writeUInt32LE(FREE, at + 72);
    directory.writeUInt32LE(of.children[0] ? all.indexOf(of.children[0]) : FREE, at + 76);
    directory.writeUInt32LE(of.start, at + 116);
    directory.writeBigUInt64LE(BigInt(of.size), at + 120);
  });
  for (const { children } of all) {
    children.forEach((child, i) => children[i + 1] && directory.writeUInt32LE(all.indexOf(children[i + 1]!), 128 * all.indexOf(child) + 72));
  }
  const directoryStart = sectors.length;
  piece(directory, sector).forEach((bytes, i, list) => { sectors.push(bytes); table.push(i === list.length - 1 ? END : sectors.length); });

  // The FAT counts itself and the sectors that say where it is.
  const per = sector / 4;
  let fats = 0;
  let difats = 0;
  while (fats * per < sectors.length + fats + difats || difats * (per - 1) < fats - 109) {
    fats = Math.ceil((sectors.length + fats + difats) / per);
    difats = Math.max(0, Math.ceil((fats - 109) / (per - 1)));
  }
  const fatAt = Array.from({ length: fats }, (_, i) => sectors.length + i);
  const difatAt = Array.from({ length: difats }, (_, i) => sectors.length + fats + i);
  const fat = Buffer.alloc(fats * sector, 0xff);
  [...table, ...fatAt.map(() => FAT), ...difatAt.map(() => DIFAT)].forEach((next, i) => fat.writeUInt32LE(next, 4 * i));
  sectors.push(...piece(fat, sector));
  difatAt.forEach((_, i) => {
    const bytes = Buffer.alloc(sector, 0xff);
    fatAt.slice(109 + i * (per - 1), 109 + (i + 1) * (per - 1)).forEach((id, k) => bytes.writeUInt32LE(id, 4 * k));
    bytes.writeUInt32LE(difatAt[i + 1] ?? END, sector - 4);
    sectors.push(bytes);
  });

  const head = Buffer.alloc(sector);
  Buffer.from("d0cf11e0a1b11ae1", "hex").copy(head);
  head.writeUInt16LE(0x3e, 24);
  head.writeUInt16LE(version, 26);
  head.writeUInt16LE(0xfffe, 28);
  head.writeUInt16LE(version === 3 ? 9 : 12, 30);
  head.writeUInt16LE(6, 32);
  if (version === 4) head.writeUInt32LE(directory.length / sector, 40);
  head.writeUInt32LE(fats, 44);
  head.writeUInt32LE(directoryStart, 48);
  head.writeUInt32LE(CUTOFF, 56);
  head.writeUInt32LE(miniFatStart, 60);
  head.writeUInt32LE(miniFatSectors, 64);
  head.writeUInt32LE(difatAt[0] ?? END, 68);
  head.writeUInt32LE(difats, 72);
  for (let i = 0; i < 109; i++) head.writeUInt32LE(fatAt[i] ?? FREE, 76 + 4 * i);
  return Buffer.concat([head, ...sectors]);
} // prettier-ignore

export const u32s = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
export const f32s = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const bytesOf = (values: Uint8Array | Uint16Array | Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength); // prettier-ignore

export interface TxrmOptions {
  rows?: number;
  cols?: number;
  images?: number;
  type?: "u8" | "u16" | "f32";
  /** Streams in place of those that are written, or beside them; undefined: left out. */
  streams?: Record<string, Uint8Array | undefined>;
}

/** Image k of a scan, from 0. */
export function txrmImage(k: number, { rows = 4, cols = 5, type = "u16" }: TxrmOptions = {}) {
  const values = Array.from({ length: rows * cols }, (_, i) => (k * 31 + i * 3) % 251);
  return type === "u8" ? Uint8Array.from(values) : type === "u16" ? Uint16Array.from(values) : Float32Array.from(values, (x) => x / 8); // prettier-ignore
}

const codes = { u8: 3, u16: 5, f32: 10 };
const arrays = { u8: Uint8Array, u16: Uint16Array, f32: Float32Array };

/** The streams of a scan. */
export function txrm(options: TxrmOptions = {}): Record<string, Uint8Array> {
  const { rows = 4, cols = 5, images = 3, type = "u16", streams } = options;
  const date = (k: number): string =>
    `03/01/2026 12:0${Math.floor(k / 60) % 10}:${String(k % 60).padStart(2, "0")}.500`;
  const dates = Buffer.alloc(40 * images);
  const all: Record<string, Uint8Array | undefined> = {
    "ImageInfo/ImageWidth": u32s(cols), "ImageInfo/ImageHeight": u32s(rows), "ImageInfo/DataType": u32s(codes[type]),
    "ImageInfo/NoOfImages": u32s(images), "ImageInfo/ImagesTaken": u32s(images),
    "ImageInfo/Angles": f32s(...Array.from({ length: images }, (_, k) => -90 + k * 0.5)),
    "ImageInfo/PixelSize": f32s(2), "ImageInfo/StoRADistance": f32s(...Array.from({ length: images }, () => -25)),
    "ImageInfo/DtoRADistance": f32s(...Array.from({ length: images }, () => 75)), "ImageInfo/XrayGeometry": u32s(1),
    "ImageInfo/ExpTimes": f32s(...Array.from({ length: images }, () => 1.5)), "ImageInfo/Date": dates,
    "Alignment/X-Shifts": f32s(...Array.from({ length: images }, (_, k) => k * 0.5)),
    "Alignment/Y-Shifts": f32s(...Array.from({ length: images }, (_, k) => -k)),
    "ReferenceData/Image": bytesOf(arrays[type].from(Array.from({ length: rows * cols }, (_, i) => (40 + i) % 251))), "ReferenceData/DataType": u32s(codes[type]),
  }; // prettier-ignore
  for (let k = 0; k < images; k++) {
    dates.write(date(k), 40 * k, "latin1");
    all[`ImageData${Math.floor(k / 100) + 1}/Image${k + 1}`] = bytesOf(txrmImage(k, options));
  }
  return Object.fromEntries(Object.entries({ ...all, ...streams }).filter(([, bytes]) => bytes !== undefined)) as Record<string, Uint8Array>; // prettier-ignore
}
