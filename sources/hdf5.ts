/**
 * HDF5 files of instruments, read piece by piece from where they lie (the library opens real paths, nothing is
 * copied into memory first). Each piece opens, reads and closes, so that no program is locked out, and so that of a
 * file that grows each piece sees what is there by then.
 *
 * The library reads a chunk whose filter it lacks as zeros and says so only on stderr: so filters are checked before
 * anything is read, of virtual datasets those of their sources too, and of each read its status is looked at. Bytes
 * beyond the end of a file that is cut short it takes for zeros: here they are an error of that read.
 */
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { Dataset, Entity, File, Group } from "h5wasm/node";
import { SourceError } from "../runtime/index.ts";

export type Numbers =
  | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array; // prettier-ignore

type Library = typeof import("h5wasm/node");

/** Filters that are not part of the library, by HDF5's registry; each is a plug-in file. */
const PLUGINS: Record<number, string> = {
  307: "bz2", 32000: "lzf", 32001: "blosc", 32004: "lz4", 32008: "bshuf", 32013: "zfp", 32015: "zstd",
  32019: "jpeg", 32022: "bitgroom", 32023: "bitround", 32026: "blosc2",
}; // prettier-ignore
const BUILT_IN = new Set([1, 2, 3, 4, 5, 6]); // deflate, shuffle, fletcher32, szip, nbit, scale-offset

const plugins = join(dirname(createRequire(import.meta.url).resolve("h5wasm-plugins")), "plugins");
let loading: Promise<Library> | undefined;

/** Loaded when the first file is opened: it takes a moment, and `operando list` does without. */
function library(): Promise<Library> {
  loading ??= import("h5wasm/node").then(async (loaded) => {
    const module = await loaded.ready;
    module.insert_plugin_search_path(plugins, 0);
    return loaded;
  });
  return loading;
}

/** An open file, for as long as `readHdf5` lasts. */
export interface Hdf5 {
  readonly path: string;
  readonly root: Group;
  readonly state: FileState;
  /** What stands at a path of the file, through links; undefined where nothing does. */
  find(path: string): Dataset | Group | undefined;
}

/** How a file stands on the disk. */
export interface FileState {
  readonly size: number;
  /** Length that the file has by its own account, where it is cut short. */
  readonly stated?: number;
  /** Held open by a writer that lets others read along (single writer, multiple readers). */
  readonly swmr: boolean;
  /** Its writer has closed it; only known of files that say so (superblock version 3). */
  readonly closed: boolean;
}

/** Opens, hands to `use`, closes. Throws SourceError where it is no HDF5 file, or of a cut one where too much is missing. */
export async function readHdf5<T>(path: string, use: (file: Hdf5) => T): Promise<T> {
  const state = await stateOf(path);
  const { File, Dataset, Module } = await library();
  const stop = overhear(Module as unknown as Insides, state.stated);
  try {
    Module.activate_throwing_error_handler();
    let file: File;
    try {
      file = new File(path, state.swmr ? "Sr" : "r");
    } finally {
      // Of a file that is cut short all that is wrong is thrown, or the library would go on and crash. Of others not:
      // what throws leaves things open, and then the library goes on seeing the file as it was.
      if (state.stated === undefined) Module.deactivate_throwing_error_handler();
    }
    try {
      return use({
        path,
        root: file,
        state,
        find: (name) => found(path, name, file.get(name), () => new Dataset(file.file_id, name)),
      });
    } catch (cause) {
      const cut = cutShort(state);
      if (cause instanceof SourceError) throw cut ? new SourceError(`${cause.message}. The file ${cut}`, { cause }) : cause;
      throw new SourceError(`${path}: ${cut ?? `is damaged, or of a kind that the HDF5 library does not read: ${innermost(cause)}; copy it again`}`, { cause });
    } finally {
      file.close();
    }
  } catch (cause) {
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`${path}: ${cutShort(state) ?? `HDF5 cannot open it: ${innermost(cause)}`}`, { cause });
  } finally {
    Module.deactivate_throwing_error_handler();
    stop();
  }
} // prettier-ignore

/** What a person is told of a file that is shorter than it says; undefined of a whole one. */
export function cutShort({ size, stated }: FileState): string | undefined {
  return stated === undefined
    ? undefined
    : `is cut short at byte ${size}: it says of itself that it has ${stated} bytes; copy it again, ` +
        "or wait until the program that writes it has finished";
}

/** What of the library is not in its types. */
interface Insides {
  activate_throwing_error_handler(): void;
  deactivate_throwing_error_handler(): void;
  get_dataset_data(...args: unknown[]): number;
  get_attribute_data(...args: unknown[]): number;
  readonly FS: {
    ErrnoError: new (code: number) => Error;
    fstat(fd: number): { size: number };
    read(stream: Stream, buffer: Uint8Array, offset: number, length: number, position?: number): number;
    write(stream: Stream, buffer: Uint8Array, offset: number, length: number, ...rest: unknown[]): number;
  };
}
interface Stream { readonly nfd: number } // prettier-ignore

const STDERR = 2, EIO = 29; // prettier-ignore

/**
 * Until it is stopped: keeps what the library would print on stderr, and throws it where a read failed, whose status
 * its wrapper drops. (The library's own way of throwing leaves datasets open; then it goes on seeing the file as it
 * was.) A file that is cut short gets its stated length, so that it is opened at all, and an error where bytes are
 * missing, which the library would take for zeros.
 */
function overhear(module: Insides, stated: number | undefined): () => void {
  const { FS, get_dataset_data, get_attribute_data } = module;
  const { fstat, read, write } = FS;
  let said = "";
  FS.write = (stream, buffer, offset, length, ...rest) => {
    if (stream.nfd !== STDERR) return write.call(FS, stream, buffer, offset, length, ...rest);
    said += new TextDecoder().decode(buffer.slice(offset, offset + length));
    return length;
  };
  if (stated !== undefined) {
    FS.fstat = (fd) => {
      const stat = fstat.call(FS, fd);
      if (stat.size < stated) stat.size = stated;
      return stat;
    };
    FS.read = (stream, buffer, offset, length, position) => {
      const count = read.call(FS, stream, buffer, offset, length, position);
      if (count < length) throw new FS.ErrnoError(EIO);
      return count;
    };
  }
  const checked = (get: (...args: unknown[]) => number) => (...args: unknown[]): number => {
    said = "";
    module.deactivate_throwing_error_handler();
    const status = get.call(module, ...args);
    if (stated !== undefined) module.activate_throwing_error_handler();
    if (status < 0) throw new Error(said);
    return status;
  }; // prettier-ignore
  module.get_dataset_data = checked(get_dataset_data);
  module.get_attribute_data = checked(get_attribute_data);
  return () => {
    Object.assign(FS, { fstat, read, write });
    Object.assign(module, { get_dataset_data, get_attribute_data });
  };
}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

const NEWEST_SUPERBLOCK = 3;

/** Where an HDF5 file begins within these first bytes: at 0, or after a user block of 512 bytes or a power of two more. */
export function hdf5At(head: Uint8Array): number | undefined {
  for (let at = 0; at + 8 <= head.length; at = at === 0 ? 512 : 2 * at) {
    if (SIGNATURE.every((byte, i) => head[at + i] === byte)) return at;
  }
  return undefined;
}

/** Looks at the first bytes: throws where it is no file of this library, or one that nobody else may read now. */
export async function stateOf(path: string): Promise<FileState> {
  let size: number;
  let head: Uint8Array;
  try {
    const file = await open(path, "r");
    try {
      ({ size } = await file.stat());
      head = new Uint8Array(Math.min(size, 4096));
      await file.read(head, 0, head.length, 0);
    } finally {
      await file.close();
    }
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    const why =
      code === "ENOENT" ? "there is no such file"
      : code === "EISDIR" ? "it is a folder; name the HDF5 file in it"
      : code === "EACCES" || code === "EPERM" ? "it may not be read; ask for access to it"
      : (cause as Error).message; // prettier-ignore
    throw new SourceError(`${path}: ${why}`, { cause });
  }
  if (size === 0)
    throw new SourceError(`${path}: it is empty (0 bytes); wanted an HDF5 file. Has the copy finished?`);
  const at = hdf5At(head);
  if (at === undefined) {
    const first = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new SourceError(`${path}: is not HDF5: it begins with ${first}, wanted 89 48 44 46 0d 0a 1a 0a (byte 0 or after a user block)`); // prettier-ignore
  }
  const version = head[at + SIGNATURE.length];
  if (version === undefined || version > NEWEST_SUPERBLOCK) {
    throw new SourceError(
      `${path}: byte ${at + SIGNATURE.length}: superblock version ${version ?? "is missing"}; 0 to ${NEWEST_SUPERBLOCK} are known. ` +
        "Write it with an HDF5 library up to 2.0",
    );
  }
  // From version 3 on a writer marks the file as its own: 1 open for writing, 4 and others may read along.
  const marks = version === NEWEST_SUPERBLOCK ? (head[at + 11] ?? 0) : 0;
  const swmr = (marks & 4) !== 0;
  if ((marks & 1) !== 0 && !swmr) {
    throw new SourceError(
      `${path}: is held open by the program that writes it; wait until that has closed it, or have it written in SWMR mode ` +
        "(h5py: f.swmr_mode = True). If that program has died: h5clear --status FILE",
    );
  }
  const stated = statedEnd(head, at);
  return {
    size,
    swmr,
    closed: version === NEWEST_SUPERBLOCK && marks === 0,
    ...(!swmr && stated !== undefined && size < stated && { stated }),
  };
}

/** End-of-file address of the superblock, versions 0 to 3, where its addresses have 8 bytes. */
function statedEnd(head: Uint8Array, at: number): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset + at, head.length - at);
  const version = view.byteLength > 8 ? view.getUint8(8) : 0;
  if (view.byteLength < (version < 2 ? 64 : 36)) return undefined;
  const [sizeAt, baseAt] = version < 2 ? [13, version === 0 ? 24 : 28] : [9, 12];
  if (version > 3 || view.getUint8(sizeAt) !== 8) return undefined;
  return Number(view.getBigUint64(baseAt, true) + view.getBigUint64(baseAt + 16, true));
}

function found(path: string, name: string, entity: Entity | null, follow: () => Dataset): Dataset | Group | undefined {
  if (entity === null) return undefined;
  switch ((entity as { type: string }).type) {
    case "Dataset":
    case "Group":
      return entity as Dataset | Group;
    case "BrokenSoftLink":
      throw new SourceError(`${path}: ${name} is a link to ${(entity as { target: string }).target}, which is not in the file`);
    case "ExternalLink": {
      const { filename, obj_path } = entity as { filename: string; obj_path: string };
      if (!existsSync(resolve(dirname(path), filename))) {
        throw new SourceError(`${path}: ${name} lies in the file ${filename} (${obj_path}), which is not beside it; copy it there`); // prettier-ignore
      }
      return follow();
    }
    default:
      return undefined;
  }
} // prettier-ignore

export const isDataset = (entity: Dataset | Group | undefined): entity is Dataset =>
  (entity?.type as string) === "Dataset";
export const isGroup = (entity: Dataset | Group | undefined): entity is Group => (entity?.type as string) === "Group"; // prettier-ignore

/** Throws SourceError where a filter of the dataset, or of what a virtual one is made of, is not there. */
export async function checkFilters(path: string, dataset: string): Promise<void> {
  const { filters, sources } = await readHdf5(path, (file) => {
    const found = file.find(dataset) as Dataset;
    return { filters: found.filters, sources: found.metadata.virtual_sources ?? [] };
  });
  for (const { id, name } of filters) {
    const plugin = PLUGINS[id];
    if (BUILT_IN.has(id) || (plugin && existsSync(join(plugins, `libH5Z${plugin}.so`)))) continue;
    throw new SourceError(
      `${path}: ${dataset} is compressed with the HDF5 filter ${name || "without a name"} (${id}), which is not here; ` +
        `write it again with gzip (h5repack -f GZIP=4), or with one of ${Object.values(PLUGINS).join(", ")}`,
    );
  }
  for (const { file_name, dset_name } of sources) {
    if (file_name === ".") continue;
    const source = resolve(dirname(path), file_name);
    if (!existsSync(source)) {
      throw new SourceError(`${path}: ${dataset} is put together from other files, and ${file_name} is not beside it; copy it there`);
    }
    await checkFilters(source, dset_name);
  }
} // prettier-ignore

/** Frames first … first + count of a dataset (frame, row, col); double precision becomes single, all else stays as stored. */
export function readFrames(file: Hdf5, dataset: string, first: number, count: number): Numbers {
  const found = file.find(dataset);
  if (!isDataset(found)) throw new SourceError(`${file.path}: has no dataset ${dataset}`);
  const frames = found.shape?.[0] ?? 0;
  if (first + count > frames) {
    throw new SourceError(`${file.path}: ${dataset} has ${frames} frames; wanted frame ${first + count - 1}`);
  }
  try {
    const values = found.slice([[first, first + count], [], []]) as Numbers;
    return values instanceof Float64Array ? Float32Array.from(values) : values;
  } catch (cause) {
    const which = count === 1 ? `frame ${first}` : `frames ${first} to ${first + count - 1}`;
    throw new SourceError(`${file.path}: ${which} of ${dataset} cannot be read: ${innermost(cause)}`, { cause });
  }
} // prettier-ignore

/** All numbers of a small dataset. */
export function numbers(dataset: Dataset): Float64Array {
  const value = dataset.value as Numbers | BigInt64Array | BigUint64Array | number | null;
  if (value === null) return new Float64Array(0);
  if (typeof value === "number") return Float64Array.of(value);
  return Float64Array.from(value as ArrayLike<number | bigint>, Number);
}

/** A text of the file: of a dataset, or of an attribute; undefined where it is none. */
export function textOf(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" ? first.replace(/\0+$/, "").trim() : undefined;
}

export const attribute = (of: Dataset | Group, name: string): unknown => of.attrs[name]?.value;

/** What HDF5's list of errors comes down to: its last, innermost line, without the hour. */
function innermost(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = [...message.matchAll(/^\s*#\d+: \S+ line \d+ in \w+\(\): (.*)$/gm)].map(([, what]) => what);
  return (lines.at(-1) ?? message).replace(/: time = .*/s, "");
}
