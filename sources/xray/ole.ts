/**
 * Compound files of Microsoft's (MS-CFB, "OLE"), in which Zeiss's microscopes keep their scans: a small file system of
 * storages and streams, in sectors of 512 or 4096 bytes that a table (FAT) chains. Streams are read where they lie; of
 * the table only what is asked for, and at most `CACHED` of its sectors are kept. Names are compared without case.
 *
 * A damaged file is a SourceError that says where; no chain is followed further than its stream is long.
 *
 * Reference: [MS-CFB], Microsoft Open Specifications.
 */
import { open, type FileHandle } from "node:fs/promises";
import { SourceError } from "../../runtime/index.ts";
import { fill } from "../bytes.ts";

const SIGNATURE = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

export const isOle = (head: Uint8Array): boolean => SIGNATURE.every((byte, i) => head[i] === byte);

const LAST = 0xfffffffa; // greater "sectors" are marks
const NO_ENTRY = 0xffffffff;
const STORAGE = 1, STREAM = 2, ROOT = 5; // prettier-ignore
const ENTRY = 128;
const MOST_ENTRIES = 1 << 20;
const CACHED = 2048;

interface Entry {
  readonly start: number;
  readonly size: number;
}

export interface Ole {
  readonly path: string;
  readonly size: number;
  readonly written_ms: number;
  readonly written_ns: bigint;
  /** Streams by path, in lower case: "imageinfo/angles". */
  readonly streams: ReadonlyMap<string, Entry>;
  readonly layout: Layout;
}

interface Layout {
  readonly sector: number;
  /** Bytes of a sector of small streams, and below what size a stream is small. */
  readonly miniSector: number;
  readonly cutoff: number;
  /** Where the FAT lies: its i-th sector. */
  readonly fat: readonly number[];
  /** The chain of the mini FAT, and that of the stream which holds the small ones. */
  readonly miniFat: readonly number[];
  readonly miniStream: readonly number[];
  /** Sectors of the FAT that were read. */
  readonly cache: Map<number, Buffer>;
}

/** The files that were looked into last: replay asks for one frame at a time. */
const looked = new Map<string, Ole>();
const LOOKED = 4;

/** Opens, hands to `use` a way to read streams, closes. */
export async function withOle<T>(path: string, use: (ole: Ole, read: ReadStream) => Promise<T>): Promise<T> {
  const file = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw new SourceError(`${path}: ${cause.code === "ENOENT" ? "there is no such file" : cause.message}`, { cause }); // prettier-ignore
  });
  try {
    const { size, mtimeMs, mtimeNs } = await file.stat({ bigint: true }).then((about) => ({
      size: Number(about.size), mtimeMs: Number(about.mtimeMs), mtimeNs: about.mtimeNs,
    })); // prettier-ignore
    let ole = looked.get(path);
    if (ole?.size !== size || ole.written_ns !== mtimeNs) {
      ole = await lookInto(path, file, size, mtimeMs, mtimeNs);
      looked.delete(path);
      if (looked.size === LOOKED) looked.delete(looked.keys().next().value!);
      looked.set(path, ole);
    }
    const container = ole;
    return await use(container, (name, limit) => streamOf(container, file, name, limit));
  } finally {
    await file.close();
  }
}

/** The bytes of a stream; undefined where there is none of that name. Throws where it is longer than `limit`. */
export type ReadStream = (name: string, limit: number) => Promise<Buffer | undefined>;

const damaged = (path: string, what: string): SourceError =>
  new SourceError(`${path}: ${what}; the file is cut short or damaged: copy it again`);

/** Sector `id` begins at this byte: the header is as long as a sector. */
const byteOf = (id: number, sector: number): number => (id + 1) * sector;

async function readAt(path: string, file: FileHandle, size: number, at: number, length: number, what: string): Promise<Buffer> {
  if (at + length > size) throw damaged(path, `${what} would lie at bytes ${at} to ${at + length}, and the file ends at byte ${size}`);
  const out = Buffer.allocUnsafeSlow(length);
  const filled = await fill(file, out, at);
  if (filled < length) throw damaged(path, `${what} ends at byte ${at + filled}`);
  return out;
} // prettier-ignore

async function lookInto(path: string, file: FileHandle, size: number, written_ms: number, written_ns: bigint): Promise<Ole> {
  const head = await readAt(path, file, size, 0, 512, "its header");
  if (!isOle(head)) throw new SourceError(`${path}: is no OLE container: wanted d0 cf 11 e0 a1 b1 1a e1 at byte 0`);
  const shift = head.readUInt16LE(30);
  const miniShift = head.readUInt16LE(32);
  if (head.readUInt16LE(28) !== 0xfffe || (shift !== 9 && shift !== 12) || miniShift < 2 || miniShift >= shift) {
    throw damaged(path, `bytes 28 to 34: sectors of 2^${shift} and 2^${miniShift} bytes, wanted 2^9 or 2^12, and smaller ones`);
  }
  const sector = 2 ** shift;
  const sectors = Math.ceil(size / sector); // more than there are
  const sectorAt = (id: number, what: string): Promise<Buffer> => {
    if (id >= sectors) throw damaged(path, `${what}: sector ${id} of ${sectors}`);
    return readAt(path, file, size, byteOf(id, sector), sector, what);
  };

  // Where the FAT lies: 109 sectors in the header, the rest in a chain of sectors of its own.
  const fatSectors = head.readUInt32LE(44);
  if (fatSectors > sectors) throw damaged(path, `byte 44: a FAT of ${fatSectors} sectors, and there are ${sectors}`);
  const fat: number[] = [];
  for (let i = 0; i < 109 && fat.length < fatSectors; i++) fat.push(head.readUInt32LE(76 + 4 * i));
  const perSector = sector / 4;
  let difat = head.readUInt32LE(68);
  for (let i = 0; fat.length < fatSectors; i++) {
    if (difat >= LAST) throw damaged(path, `its table of FAT sectors ends after ${fat.length} of ${fatSectors}`);
    const table = await sectorAt(difat, `sector ${i + 1} of the table of FAT sectors`);
    for (let k = 0; k < perSector - 1 && fat.length < fatSectors; k++) fat.push(table.readUInt32LE(4 * k));
    difat = table.readUInt32LE(sector - 4);
  }
  const layout = { sector, miniSector: 2 ** miniShift, cutoff: head.readUInt32LE(56), fat, miniFat: [] as number[], miniStream: [] as number[], cache: new Map<number, Buffer>() };
  const ole = { path, size, written_ms, written_ns, streams: new Map<string, Entry>(), layout };

  const directory = await chainToEnd(ole, file, head.readUInt32LE(48), sectors, "the directory");
  if (directory.length * (sector / ENTRY) > MOST_ENTRIES) throw damaged(path, `a directory of ${directory.length} sectors`);
  const entries: Buffer[] = [];
  for (const id of directory) {
    const bytes = await sectorAt(id, "the directory");
    for (let at = 0; at < sector; at += ENTRY) entries.push(bytes.subarray(at, at + ENTRY));
  }
  const root = entries[0];
  if (root?.[66] !== ROOT) throw damaged(path, "its directory does not begin with the root");
  layout.miniFat.push(...(await chainToEnd(ole, file, head.readUInt32LE(60), Math.min(sectors, head.readUInt32LE(64)), "the mini FAT")));
  const miniSize = sizeOf(root, shift);
  if (miniSize > size) throw damaged(path, `its small streams are said to be ${miniSize} bytes, and the file is ${size}`);
  layout.miniStream.push(...(await chainOf(ole, file, root.readUInt32LE(116), Math.ceil(miniSize / sector), "the small streams")));

  // Children of a storage are a tree by name; that it is one is not relied on.
  const seen = new Set<number>();
  const waiting: [id: number, folder: string][] = [[root.readUInt32LE(76), ""]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [id, folder] = next;
    if (id === NO_ENTRY) continue;
    const entry = entries[id];
    if (!entry) throw damaged(path, `its directory names entry ${id} of ${entries.length}`);
    if (seen.has(id)) throw damaged(path, `its directory comes to entry ${id} twice`);
    seen.add(id);
    const nameBytes = Math.min(64, Math.max(2, entry.readUInt16LE(64)));
    const name = folder + entry.toString("utf16le", 0, nameBytes - 2).toLowerCase();
    waiting.push([entry.readUInt32LE(68), folder], [entry.readUInt32LE(72), folder]);
    if (entry[66] === STORAGE && name.length < 1024) waiting.push([entry.readUInt32LE(76), `${name}/`]);
    if (entry[66] === STREAM) ole.streams.set(name, { start: entry.readUInt32LE(116), size: sizeOf(entry, shift) });
  }
  return ole;
} // prettier-ignore

/** In files with sectors of 512 bytes the upper half of a size may be rubbish. */
const sizeOf = (entry: Buffer, shift: number): number =>
  shift === 9 ? entry.readUInt32LE(120) : Number(entry.readBigUInt64LE(120));

async function nextOf({ path, size, layout }: Ole, file: FileHandle, id: number, what: string): Promise<number> {
  const { sector, fat, cache } = layout;
  const perSector = sector / 4;
  const which = Math.floor(id / perSector);
  const at = fat[which];
  if (at === undefined) throw damaged(path, `${what}: sector ${id} stands in no table`);
  let table = cache.get(which);
  if (!table) {
    if (cache.size === CACHED) cache.clear();
    table = await readAt(path, file, size, byteOf(at, sector), sector, `sector ${which + 1} of the FAT`);
    cache.set(which, table);
  }
  return table.readUInt32LE(4 * (id % perSector));
} // prettier-ignore

/** A chain of just so many sectors. */
async function chainOf(ole: Ole, file: FileHandle, start: number, sectors: number, what: string): Promise<number[]> {
  const chain: number[] = [];
  for (let id = start; chain.length < sectors; id = await nextOf(ole, file, id, what)) {
    if (id >= LAST) throw damaged(ole.path, `${what}: ends after ${chain.length} of ${sectors} sectors`);
    chain.push(id);
    if (chain.length === sectors) break;
  }
  return chain;
} // prettier-ignore

/** A chain to its end, which must come before `most` sectors. */
async function chainToEnd(ole: Ole, file: FileHandle, start: number, most: number, what: string): Promise<number[]> {
  const chain: number[] = [];
  for (let id = start; id < LAST; id = await nextOf(ole, file, id, what)) {
    if (chain.length === most) throw damaged(ole.path, `${what}: goes on after ${most} sectors, in a circle perhaps`);
    chain.push(id);
  }
  return chain;
} // prettier-ignore

async function streamOf(ole: Ole, file: FileHandle, name: string, limit: number): Promise<Buffer | undefined> {
  const entry = ole.streams.get(name.toLowerCase());
  if (!entry) return undefined;
  const { path, size, layout } = ole;
  const what = `its stream ${name}`;
  if (entry.size > limit || entry.size > size) {
    throw damaged(path, `${what} is said to be ${entry.size} bytes, wanted at most ${Math.min(limit, size)}`);
  }
  if (entry.size === 0) return Buffer.alloc(0);
  const { sector } = layout;
  if (entry.size >= layout.cutoff) {
    const chain = await chainOf(ole, file, entry.start, Math.ceil(entry.size / sector), what);
    return gather(ole, file, chain, sector, entry.size, (id) => byteOf(id, sector), what);
  }
  const mini = layout.miniSector;
  const perSector = sector / 4;
  const chain: number[] = [];
  const sectors = Math.ceil(entry.size / mini);
  let table: Buffer | undefined;
  let tableOf = -1;
  for (let id = entry.start; ;) {
    if (id >= LAST) throw damaged(path, `${what}: ends after ${chain.length} of ${sectors} small sectors`);
    chain.push(id);
    if (chain.length === sectors) break;
    const which = Math.floor(id / perSector);
    const at = layout.miniFat[which];
    if (at === undefined) throw damaged(path, `${what}: small sector ${id} stands in no table`);
    if (tableOf !== which) table = await readAt(path, file, size, byteOf(at, sector), sector, "the mini FAT");
    tableOf = which;
    id = table!.readUInt32LE(4 * (id % perSector));
  }
  return gather(ole, file, chain, mini, entry.size, (id) => {
    const within = (id * mini) % sector;
    const holder = layout.miniStream[(id * mini - within) / sector];
    if (holder === undefined) throw damaged(path, `${what}: small sector ${id} lies beyond the small streams`);
    return byteOf(holder, sector) + within;
  }, what);
} // prettier-ignore

/** The sectors of a chain, one after the other; neighbours in the file are read in one go. */
async function gather(
  { path, size: fileSize }: Ole, file: FileHandle, chain: readonly number[], sector: number, size: number,
  byteAt: (id: number) => number, what: string,
): Promise<Buffer> {
  const out = Buffer.allocUnsafeSlow(size);
  for (let i = 0; i < chain.length;) {
    const at = byteAt(chain[i]!);
    let n = 1;
    while (i + n < chain.length && byteAt(chain[i + n]!) === at + n * sector) n++;
    const length = Math.min(n * sector, size - i * sector);
    const run = await readAt(path, file, fileSize, at, length, what);
    run.copy(out, i * sector);
    i += n;
  }
  return out;
} // prettier-ignore
