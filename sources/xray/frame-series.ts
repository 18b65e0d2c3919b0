/**
 * A plain series of frames, in whatever it lies: a folder or pattern of TIFF files in natural order (one image each, or
 * several), one TIFF with many pages, an `.npy` array, or a dataset of an HDF5 file. What the frames are (projections,
 * flats) and at which angles is not told by such files: the scan says it.
 */
import { open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { SourceError, type Numeric } from "../../runtime/index.ts";
import { filesOf, isPattern } from "../file-list.ts";
import { formatOf, type Format } from "./frame-files.ts";
import { checkFilters, hdf5At, isDataset, isGroup, readHdf5, type Hdf5 } from "../hdf5.ts";
import { frameDataset } from "./hdf5-values.ts";
import { framesOfNpy, npyHeader } from "./npy.ts";
import { tiffPages, type FrameShape } from "../tiff.ts";

/** Frames that lie one after the other in a file. */
export interface Run {
  readonly file: string;
  readonly dataset: string;
  readonly frames: number;
  readonly type: Numeric;
  readonly chunk: number;
  readonly written_ns: bigint;
}

export interface Series extends FrameShape {
  readonly format: Format;
  readonly runs: readonly Run[];
  readonly remarks: readonly string[];
}

export interface SeriesOptions {
  /** Of an HDF5 file; empty: the only one with three dimensions. */
  readonly dataset?: string;
  /** How a two-dimensional `.npy` is meant: each row a frame of one detector row, or all of it one frame. */
  readonly flat: "lines" | "image";
}

const FORMAT_NAMES: Record<Format, string> = { tiff: "TIFF", npy: ".npy", ole: "Zeiss (OLE)", hdf5: "HDF5" };
const natural = new Intl.Collator("en", { numeric: true });

/** Natural order: image2 stands before image10. */
export const inNaturalOrder = (paths: readonly string[]): string[] =>
  [...paths].sort((a, b) => natural.compare(a, b) || (a < b ? -1 : 1));

/** True where a path stands for a folder or several files. */
export async function isMany(path: string, folder: string): Promise<boolean> {
  return (
    isPattern(path) || ((await stat(resolve(folder, path)).catch(() => undefined))?.isDirectory() ?? false)
  );
}

/** The files that a path stands for, in natural order: those of a folder, those that match, or itself. */
export async function seriesFiles(path: string, folder: string): Promise<string[]> {
  const full = resolve(folder, path);
  const about = isPattern(path) ? undefined : await stat(full).catch(() => undefined);
  if (!about?.isDirectory()) return inNaturalOrder(await filesOf(path, folder));
  const entries = await readdir(full, { withFileTypes: true });
  return inNaturalOrder(
    entries.filter((e) => !e.isDirectory() && !e.name.startsWith(".")).map((e) => join(full, e.name)),
  );
}

/** What kind of frames a file holds; undefined where none that is known. */
export async function frameFormat(path: string): Promise<Format | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return undefined;
  try {
    const head = new Uint8Array(4096);
    const { bytesRead } = await file.read(head, 0, head.length, 0).catch(() => ({ bytesRead: 0 }));
    const seen = head.subarray(0, bytesRead);
    const format = formatOf(seen);
    return format === "hdf5" && hdf5At(seen) === undefined ? undefined : format;
  } finally {
    await file.close();
  }
}

/** The frames that a path stands for. Throws SourceError where there are none, or of several kinds. */
export async function openSeries(path: string, folder: string, options: SeriesOptions): Promise<Series> {
  const many = await isMany(path, folder);
  const files = await seriesFiles(path, folder);
  if (!many) return seriesOf(files, await formatOfOne(files[0]!), options);
  const byFormat = new Map<Format, string[]>();
  for (const file of files) {
    const format = await frameFormat(file);
    if (format) byFormat.set(format, [...(byFormat.get(format) ?? []), file]);
  }
  if (byFormat.size === 0) {
    throw new SourceError(
      `${path}: ${files.length === 0 ? "there is no file" : `none of ${files.length} files holds frames`}; ` +
        "wanted TIFF images, an .npy array, HDF5 or Zeiss .txrm",
    );
  }
  if (byFormat.size > 1) {
    const kinds = [...byFormat].map(([format, those]) => `${FORMAT_NAMES[format]} (${those.length}, such as ${basename(those[0]!)})`);
    throw new SourceError(`${path}: holds files of several kinds: ${kinds.join(", ")}; name one kind by a pattern such as ${isPattern(path) ? "scan*.tif" : join(path, "*.tif")}`);
  }
  const [[format, those]] = [...byFormat] as [[Format, string[]]];
  return seriesOf(those, format, options);
} // prettier-ignore

async function formatOfOne(path: string): Promise<Format> {
  return (await frameFormat(path)) ?? "hdf5"; // whose reader says what is wrong with it
}

async function seriesOf(files: readonly string[], format: Format, options: SeriesOptions): Promise<Series> {
  if (format === "tiff") return tiffSeries(files);
  if (files.length > 1) {
    throw new SourceError(`${dirname(files[0]!)}: it is a folder, or a pattern, with ${files.length} ${FORMAT_NAMES[format]} files; name one of them, such as ${basename(files[0]!)}`); // prettier-ignore
  }
  const [file] = files as [string];
  if (format === "ole")
    throw new SourceError(`${file}: is a scan of Zeiss's, not a plain series; read it with xray/tomography`);
  return format === "npy" ? npySeries(file, options) : hdf5Series(file, options.dataset ?? "");
}

async function tiffSeries(files: readonly string[]): Promise<Series> {
  let shape: FrameShape | undefined;
  let first: unknown;
  const runs: Omit<Run, "type">[] = [];
  for (const file of files) {
    const { mtimeNs: written_ns } = await stat(file, { bigint: true });
    try {
      const about = await tiffPages(file);
      shape ??= about.first;
      runs.push({ file, dataset: PAGES, frames: about.count, chunk: 1, written_ns });
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      first ??= error;
      // Read again when its turn comes, and a fault then: the rest goes on.
      runs.push({ file, dataset: PAGES, frames: 1, chunk: 1, written_ns });
    }
  }
  if (!shape) throw first;
  const { rows, cols, type } = shape;
  return { format: "tiff", rows, cols, type, remarks: [], runs: runs.map((run) => ({ ...run, type })) };
}

/** The pages of a TIFF file, as a reference names them. */
export const PAGES = "pages";

async function npySeries(file: string, { flat }: SeriesOptions): Promise<Series> {
  const npy = await npyHeader(file);
  const dataset = npy.shape.length === 3 ? "array" : flat;
  const { frames, rows, cols } = framesOfNpy(npy, dataset);
  const { mtimeNs: written_ns } = await stat(file, { bigint: true });
  const remarks =
    npy.fortran && frames > 1
      ? ["is in Fortran order, so that its frames are strewn over the file and it is passed through many times; numpy.ascontiguousarray before saving makes it fast"]
      : []; // prettier-ignore
  const { type } = npy;
  return { format: "npy", rows, cols, type, remarks, runs: [{ file, dataset, frames, type, chunk: 1, written_ns }] }; // prettier-ignore
}

async function hdf5Series(file: string, named: string): Promise<Series> {
  const written_ns = (await stat(file, { bigint: true }).catch(() => undefined))?.mtimeNs ?? 0n;
  const { dataset, ...found } = await readHdf5(file, (opened) => {
    const dataset = named || onlyStack(opened);
    const { shape: [frames, rows, cols], type, chunk } = frameDataset(opened, dataset); // prettier-ignore
    return { dataset, frames, rows, cols, type, chunk };
  });
  await checkFilters(file, dataset);
  const { frames, rows, cols, type, chunk } = found;
  return { format: "hdf5", rows, cols, type, remarks: [], runs: [{ file, dataset, frames, type, chunk, written_ns }] }; // prettier-ignore
}

/** The dataset with three dimensions, where there is just one. */
function onlyStack(file: Hdf5): string {
  const stacks: string[] = [];
  const search = (path: string, depth: number): void => {
    const group = path === "" ? file.root : file.find(path);
    if (!isGroup(group) || depth > 8) return;
    for (const name of group.keys()) {
      let child;
      try {
        child = file.find(`${path}/${name}`);
      } catch {
        continue; // a link that leads nowhere
      }
      if (isDataset(child) && child.shape?.length === 3) stacks.push(`${path}/${name}`);
      else if (isGroup(child)) search(`${path}/${name}`, depth + 1);
    }
  };
  search("", 0);
  if (stacks.length === 1) return stacks[0]!;
  throw new SourceError(
    stacks.length === 0
      ? `${file.path}: has no dataset of frames × rows × columns`
      : `${file.path}: has ${stacks.length} datasets of frames × rows × columns; set dataset to one of ${stacks.join(", ")}`,
  );
}

/** The number that a file's name ends in, such as 12 of scan_0012.tif; undefined where there is none. */
export function numberOf(file: string): number | undefined {
  const digits = /(\d+)\D*$/.exec(basename(file).replace(/\.[^.]*$/, ""))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
